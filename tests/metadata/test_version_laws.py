"""What every version promises: what is written is read again, and nobody has a complaint about it."""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_ome_ngff.metadata.nouns import Multiscale
from napari_ome_ngff.metadata.transforms import level_transform
from napari_ome_ngff.metadata.versions import decode, encode
from tests.metadata_tools import VERSIONS, judges, multiscales


@pytest.mark.parametrize("version", VERSIONS)
@given(data=st.data())
def test_what_is_written_is_json_is_read_again_and_nothing_that_is_given_is_changed(
    version: str, data: st.DataObject
) -> None:
    image = data.draw(multiscales(version=version))
    attributes = encode(image, version)
    assert json.loads(json.dumps(attributes, allow_nan=False)) == attributes
    before = copy.deepcopy((image, attributes))
    encode(image, version)
    assert decode(attributes, where="a.zarr") == (image,)
    assert (image, attributes) == before


@pytest.mark.parametrize("version", VERSIONS)
@given(data=st.data())
def test_judges_have_no_complaint(version: str, data: st.DataObject) -> None:
    attributes = encode(data.draw(multiscales(version=version, negative=False)), version)
    for one, judge in judges():
        if one == version:
            judge(copy.deepcopy(attributes), version)


@pytest.mark.parametrize("before", VERSIONS)
@given(data=st.data())
def test_an_image_keeps_its_place_in_another_version(before: str, data: st.DataObject) -> None:
    image = data.draw(multiscales(version=before, negative=False))
    places = [level_transform(image, index) for index in range(len(image.levels))]
    for after in VERSIONS:
        (other,) = decode(encode(image, after), where="")
        assert other.version == after
        assert places == [level_transform(other, index) for index in range(len(other.levels))]
        assert without_form(other) == without_form(image)


def without_form(image: Multiscale) -> Multiscale:
    """The image without what only one version has: form of the transforms, further coordinate systems."""
    forms = {"coordinateSystems", "coordinateTransformations"}
    extra = {key: value for key, value in image.extra.items() if key not in forms}
    return replace(image, version="", levels=(), transform=None, system=None, extra=extra)
