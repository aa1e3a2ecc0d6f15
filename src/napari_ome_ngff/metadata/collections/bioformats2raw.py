"""Several images in one group: what is written about it (``bioformats2raw.layout``). Alike in all versions.

OME-NGFF has no other way to say which images a group holds, up to and including 0.6.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

from napari_ome_ngff.errors import MetadataError
from napari_ome_ngff.metadata.collections.plates import MAX_ENTRIES, _entries, _holder, _path
from napari_ome_ngff.metadata.json_checks import Notes, as_path, describe, root
from napari_ome_ngff.metadata.nouns import Json, Multiscale
from napari_ome_ngff.metadata.transforms import level_transform
from napari_ome_ngff.metadata.versions import check_version

if TYPE_CHECKING:
    pass

OME_XML = "METADATA.ome.xml"
"""Name of the document in the group ``OME``."""


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


_ORDERS = ("XYZCT", "XYZTC", "XYCTZ", "XYCZT", "XYTCZ", "XYTZC")


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """One image of a collection: its path, what is said of it, and what its finest level is like."""

    path: str
    multiscale: Multiscale
    shape: tuple[int, ...]
    dtype: str


def encode_ome_xml(images: Sequence[Pixels]) -> bytes | None:
    """Return an OME-XML document that describes images, in their order.

    Parameters
    ----------
    images
        The images of a collection.

    Returns
    -------
    bytes or None
        None if OME-XML cannot describe one of them: it knows no 64-bit integers and no axes besides x, y, z,
        channel and time, and to leave one out would be to name the others wrongly.

    Examples
    --------
    >>> from napari_ome_ngff.metadata.nouns import Axis, Level
    >>> from napari_ome_ngff.metadata.transforms import identity
    >>> axes = (Axis(name="y", type="space"), Axis(name="x", type="space"))
    >>> noun = Multiscale(
    ...     version="0.5", axes=axes, levels=(Level(path="0", transform=identity(2)),), name="cells"
    ... )
    >>> b'<Image ID="Image:0" Name="cells">' in encode_ome_xml(
    ...     [Pixels(path="0", multiscale=noun, shape=(4, 6), dtype="uint8")]
    ... )
    True
    >>> encode_ome_xml([Pixels(path="0", multiscale=noun, shape=(4, 6), dtype="int64")]) is None
    True
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
        f'<Image ID="Image:{image.path}"{_named(image.multiscale.name)}>',
        f"<Pixels{_said(attributes)}>",
    ]
    for i in range(sizes.get("C", 1)):
        label = channels[i].label if i < len(channels) else None
        lines.append(f'<Channel ID="Channel:{index}:{i}" SamplesPerPixel="1"{_named(label)}/>')
    return "\n".join([*lines, "<MetadataOnly/>", "</Pixels>", "</Image>"])


def _letters(multiscale: Multiscale) -> str | None:
    """One of XYZCT for each axis, or None if an axis is none of them."""
    known = {"channel": "C", "time": "T"}
    letters = [known.get(axis.type or "", axis.name.upper()) for axis in multiscale.axes]
    found = "".join(letters)
    usable = set(letters) <= set("XYZCT") and len(found) == len(set(found)) == len(letters)
    return found if usable and {"X", "Y"} <= set(letters) else None


def _named(name: str | None) -> str:
    return _said({"Name": name}) if name else ""


def _said(attributes: dict[str, str]) -> str:
    return "".join(f" {key}={quoteattr(_NO_XML.sub('?', value))}" for key, value in attributes.items())


def decode_series(attributes: Mapping[str, Json], *, where: str) -> tuple[str, ...]:
    """Return the paths of the images that an ``OME`` group lists, relative to the group above it.

    0.4, "bioformats2raw.layout": '"series" MUST be a list of string objects, each of which is a path to an
    image group'.

    Parameters
    ----------
    attributes
        Attributes of the ``OME`` group.
    where
        Path or URL of it, for warnings.

    Returns
    -------
    tuple of str
        Each path once, in order; empty if nothing usable is listed.

    Examples
    --------
    >>> decode_series({"series": ["0", "1"]}, where="")
    ('0', '1')
    """
    notes = Notes(where)
    container, own = _holder(attributes, "series")
    paths: dict[str, None] = {}
    for spot, item in _entries(own, "series", where=root(where, container).rstrip(" ."), notes=notes):
        path = _path(item, where=spot, what="image", notes=notes)
        if path is not None:
            paths[path] = None
    notes.warn()
    return tuple(paths)


LAYOUT = 3
"""0.4, "bioformats2raw.layout": the only value that is in use."""


def encode_series(paths: Iterable[str], version: str) -> dict[str, dict[str, Json]]:
    """Return the complete attributes of the groups that say which images there are.

    Parameters
    ----------
    paths
        Of the images, relative to the group that holds them.
    version
        ``"0.4"``, ``"0.5"`` or ``"0.6"``.

    Returns
    -------
    dict
        Path of a group to its attributes: ``""`` for the one that holds the images, and ``"OME"``.

    Raises
    ------
    MetadataError
        If there is no path, one occurs twice, or one leads out of the group.
    OptionError
        If there is no such version.

    Examples
    --------
    >>> encode_series(["0", "1"], "0.4")
    {'': {'bioformats2raw.layout': 3}, 'OME': {'series': ['0', '1']}}
    """
    found = check_version(version)
    listed = [as_path(path, where="series", what="image") for path in paths]
    if not listed or len(set(listed)) < len(listed):
        raise MetadataError(
            "A collection must list at least one image, and each only once.",
            where="series",
            found=describe(listed),
        )
    own: dict[str, dict[str, Json]] = {"": {"bioformats2raw.layout": LAYOUT}, "OME": {"series": listed}}
    if not found.container:
        return own
    return {path: {found.container: {"version": found.name, **content}} for path, content in own.items()}


def names_in(xml: bytes) -> list[str | None]:
    """Return the names of the images that an OME-XML document describes, in order.

    Parameters
    ----------
    xml
        The document. Nothing of it is kept in memory, and no entity is expanded.

    Returns
    -------
    list of str or None
        One per image; None for one without a name.

    Raises
    ------
    xml.parsers.expat.ExpatError
        If it is no XML, or declares entities.

    Examples
    --------
    >>> names_in(b'<OME xmlns="x"><Image ID="Image:0" Name="a.czi"/><Image ID="Image:1"/></OME>')
    ['a.czi', None]
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
