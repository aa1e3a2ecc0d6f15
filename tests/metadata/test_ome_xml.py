"""OME-XML of collections: well formed whatever the names are, and read again as it was meant."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_ome_ngff.metadata.collections.bioformats2raw import NAMESPACE, Pixels, encode_ome_xml, names_in
from napari_ome_ngff.metadata.nouns import Axis, Channel, Level, Multiscale, ScaleTranslation

TYPES = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}


def pixels(dims: str = "tczyx", dtype: str = "uint16", name: str | None = "a", path: str = "0") -> Pixels:
    axes = tuple(
        Axis(name=dim, type=TYPES.get(dim), unit="micrometer" if TYPES.get(dim) == "space" else None)
        for dim in dims
    )
    place = ScaleTranslation(scale=(0.5,) * len(dims), translation=(0.0,) * len(dims))
    channels = (Channel(label="DAPI"),) if "c" in dims else ()
    noun = Multiscale(
        version="0.5", axes=axes, levels=(Level(path="0", transform=place),), name=name, channels=channels
    )
    return Pixels(path=path, multiscale=noun, shape=tuple(range(2, 2 + len(dims))), dtype=dtype)


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_names_of_any_kind_make_a_document_that_is_read_again(names: list[str]) -> None:
    document = encode_ome_xml([pixels(name=name, path=str(i)) for i, name in enumerate(names)])
    assert document is not None
    found = names_in(document)
    assert len(found) == len(names)
    for name, again in zip(names, found, strict=True):
        if name.isprintable():
            assert (again or "") == name.strip()


@pytest.mark.parametrize(
    ("dims", "order"), [("tczyx", "XYZCT"), ("ctzyx", "XYZTC"), ("zcyx", "XYCZT"), ("yx", "XYZCT")]
)
def test_sizes_and_order_are_those_of_the_array(dims: str, order: str) -> None:
    document = encode_ome_xml([pixels(dims)])
    assert document is not None
    (image,) = ElementTree.fromstring(document)
    (found,) = image
    assert image.attrib["ID"] == "Image:0"
    sizes = {dim: 2 + i for i, dim in enumerate(dims)}
    assert {letter: int(found.attrib[f"Size{letter}"]) for letter in "XYZCT"} == {
        letter: sizes.get(letter.lower(), 1) for letter in "XYZCT"
    }
    assert found.attrib["DimensionOrder"] == order
    assert (found.attrib["PhysicalSizeX"], found.attrib["PhysicalSizeXUnit"]) == ("0.5", "µm")
    channels = found.findall(f"{{{NAMESPACE}}}Channel")
    assert len(channels) == sizes.get("c", 1)
    assert channels[0].attrib.get("Name") == ("DAPI" if "c" in dims else None)


@pytest.mark.parametrize(
    "odd", [pixels(dtype="uint64"), pixels(dtype="float16"), pixels("ayx"), pixels("zy"), pixels("yxY")]
)
def test_what_it_cannot_describe_is_no_document(odd: Pixels) -> None:
    assert encode_ome_xml([pixels(), odd]) is None
