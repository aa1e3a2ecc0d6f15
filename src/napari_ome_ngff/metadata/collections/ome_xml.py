"""The least OME-XML that describes images: by it other readers of ``bioformats2raw.layout`` find them.

0.4, "bioformats2raw.layout": each image "MUST represent exactly one OME-XML Image in the same order". Readers
such as napari-ome-zarr open no collection without it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import quoteattr

from napari_ome_ngff.metadata.nouns import Multiscale
from napari_ome_ngff.metadata.transforms import level_transform

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
