"""Several images in one group (``bioformats2raw.layout``), in all versions: ``series`` and OME-XML.

OME-Zarr has no other way to say which images a group holds, up to and including 0.6.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from xml.parsers import expat

from napari_ome_ngff.metadata.collections.plates import MAX_ENTRIES, entry_path, list_entries
from napari_ome_ngff.metadata.context import Context
from napari_ome_ngff.metadata.group_kind import holder_of
from napari_ome_ngff.metadata.json_checks import as_paths
from napari_ome_ngff.metadata.nouns import Json, Multiscale
from napari_ome_ngff.metadata.transforms import level_transform
from napari_ome_ngff.metadata.versions import check_version

OME_XML = "METADATA.ome.xml"
"""Name of the document in the group ``OME``."""

MAX_XML_BYTES = 20_000_000
"""Larger ones (with the positions of a million planes) are not searched for names."""

NAMESPACE = "http://www.openmicroscopy.org/Schemas/OME/2016-06"

_TYPES = {
    "bool": "bit",
    "int8": "int8",
    "int16": "int16",
    "int32": "int32",
    "uint8": "uint8",
    "uint16": "uint16",
    "uint32": "uint32",
    "float32": "float",
    "float64": "double",
}

_UNITS = {"angstrom": "Å", "nanometer": "nm", "micrometer": "µm", "millimeter": "mm", "meter": "m"}

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_LAYOUT = 3
"""0.4, "bioformats2raw.layout": the only value that is in use."""

_ORDERS = ("XYZCT", "XYZTC", "XYCTZ", "XYCZT", "XYTCZ", "XYTZC")


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """One image of a collection, with shape and data type of its finest level."""

    path: str
    multiscale: Multiscale
    shape: tuple[int, ...]
    dtype: str


def encode_ome_xml(images: Sequence[Pixels]) -> bytes | None:
    """Return an OME-XML document that describes images, in their order; None if it cannot describe one.

    OME-XML knows no 64-bit integers and no axes besides x, y, z, channel and time, and to leave one image out
    would be to name the others wrongly.
    """
    described = [_image(index, image) for index, image in enumerate(images)]
    if None in described:
        return None
    body = "\n".join(each for each in described if each is not None)
    head = f'<?xml version="1.0" encoding="UTF-8"?>\n<OME xmlns="{NAMESPACE}">\n'
    return f"{head}{body}\n</OME>\n".encode()


def _image(index: int, image: Pixels) -> str | None:
    letters = _letters(image.multiscale)
    kind = _TYPES.get(image.dtype)
    if letters is None or kind is None:
        return None
    sizes = dict(zip(letters, image.shape, strict=True))
    order = "XY" + "".join(sorted("ZCT", key=lambda letter: -letters.find(letter)))
    attributes = {"ID": f"Pixels:{index}", "Type": kind}
    attributes["DimensionOrder"] = order if order in _ORDERS else _ORDERS[0]
    attributes |= {f"Size{letter}": str(sizes.get(letter, 1)) for letter in "XYZCT"}
    transform = level_transform(image.multiscale, 0)
    for letter, axis, step in zip(letters, image.multiscale.axes, transform.scale, strict=True):
        if letter in "XYZ" and axis.unit in _UNITS and step > 0:
            attributes |= {f"PhysicalSize{letter}": repr(float(step))}
            attributes |= {f"PhysicalSize{letter}Unit": _UNITS[axis.unit]}
    channels = list(image.multiscale.channels)
    lines = [
        f'<Image ID="Image:{image.path}"{_name_attribute(image.multiscale.name)}>',
        f"<Pixels{_xml_attributes(attributes)}>",
    ]
    for i in range(sizes.get("C", 1)):
        label = channels[i].label if i < len(channels) else None
        lines.append(f'<Channel ID="Channel:{index}:{i}" SamplesPerPixel="1"{_name_attribute(label)}/>')
    return "\n".join([*lines, "<MetadataOnly/>", "</Pixels>", "</Image>"])


def _letters(multiscale: Multiscale) -> str | None:
    """One of XYZCT for each axis, or None if an axis is none of them."""
    by_type = {"channel": "C", "time": "T"}
    letters = [by_type.get(axis.type or "", axis.name.upper()) for axis in multiscale.axes]
    usable = {"X", "Y"} <= set(letters) <= set("XYZCT") and len(set(letters)) == len(letters)
    return "".join(letters) if usable else None


def _name_attribute(name: str | None) -> str:
    return _xml_attributes({"Name": name}) if name else ""


def _xml_attributes(attributes: dict[str, str]) -> str:
    from xml.sax.saxutils import quoteattr  # it imports urllib.request

    return "".join(f" {key}={quoteattr(_NO_XML.sub('?', value))}" for key, value in attributes.items())


def decode_series(attributes: Mapping[str, Json], *, where: str) -> tuple[str, ...]:
    """Return the paths of the images that an ``OME`` group lists, relative to the group above it, each once.

    0.4, "bioformats2raw.layout": '"series" MUST be a list of string objects, each of which is a path to an
    image group'. Warns about what is not; nothing usable is no error.
    """
    container, holder = holder_of(attributes, "series")
    context = Context.of(where).below(container)
    paths = (entry_path(item, "image", at) for at, item in list_entries(holder, "series", context))
    listed = tuple(dict.fromkeys(path for path in paths if path is not None))
    context.warn()
    return listed


def encode_series(paths: Iterable[str], version: str) -> dict[str, dict[str, Json]]:
    """Return by path the complete attributes of the groups that say which images there are.

    ``""`` is the group that holds the images, with these paths in it; the other one is ``"OME"``.
    """
    row = check_version(version)
    listed = as_paths(paths, Context(keys=("series",)), holder="collection", what="image")
    return {
        "": row.attributes({"bioformats2raw.layout": _LAYOUT}),
        "OME": row.attributes({"series": listed}),
    }


def names_in(xml: bytes) -> list[str | None]:
    """Return the names of the images that an OME-XML document describes, in order; None for one without.

    Nothing else of the document is kept in memory. Raises :class:`xml.parsers.expat.ExpatError` if it is no
    XML, or declares entities.
    """
    names: list[str | None] = []
    depth = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth == 2 and tag.rpartition(":")[2] == "Image" and len(names) < MAX_ENTRIES:
            names.append(attributes.get("Name", "").strip() or None)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1

    def refuse(*declaration: object) -> None:
        raise expat.ExpatError("it declares entities")

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.EntityDeclHandler = refuse
    parser.Parse(xml, True)
    return names
