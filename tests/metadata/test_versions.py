"""Which version metadata are in, what a group is, and whose its attributes are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_ome_ngff.errors import (
    MetadataError,
    NotOmeNgffError,
    OmeNgffWarning,
    OptionError,
    UnsupportedError,
)
from napari_ome_ngff.metadata.group_kind import (
    COLLECTIONS,
    CONTAINER,
    container_of,
    foreign_attributes,
    is_ome_ngff,
    kind_of,
    merge_attributes,
)
from napari_ome_ngff.metadata.image.datasets import placed_by_shapes
from napari_ome_ngff.metadata.image.label_images import decode_labels
from napari_ome_ngff.metadata.nouns import Affine
from napari_ome_ngff.metadata.versions import VERSIONS, check_version, decode, encode, encode_labels
from napari_ome_ngff.reading.sniff import _OURS
from tests.metadata.test_v04 import IMAGE, entry
from tests.metadata.test_v06 import LAB, placed
from tests.metadata_tools import json_values, multiscales

ENTRY_06 = {"coordinateSystems": [LAB], "datasets": [placed()]}
BARE = {"datasets": [{"path": "0"}]}


@pytest.mark.parametrize(
    ("attributes", "version"),
    [
        ({"multiscales": [entry()]}, "0.4"),
        ({"multiscales": [entry(version="0.4")]}, "0.4"),
        ({"multiscales": [entry(version="0.4.1")]}, "0.4"),
        ({"multiscales": [entry(version="0.4-dev-spatialdata")]}, "0.4"),
        ({"ome": {"version": "0.5", "multiscales": [entry()]}}, "0.5"),
        ({"ome": {"version": "0.5.2", "multiscales": [entry()]}}, "0.5"),
        ({"ome": {"version": "0.5-dev-spatialdata", "multiscales": [entry()]}}, "0.5"),
        ({"ome": {"multiscales": [entry(version="0.5")]}}, "0.5"),
        ({"ome": {"version": "0.6", "multiscales": [ENTRY_06]}}, "0.6"),
        ({"ome": {"version": "0.6rc0", "multiscales": [ENTRY_06]}}, "0.6"),
        ({"ome": {"version": "0.6.dev4", "multiscales": [ENTRY_06]}}, "0.6"),
        ({"ome": {"version": "0.6dev4", "multiscales": [ENTRY_06]}}, "0.6"),
        ({"multiscales": [entry()], "version": "0.4"}, "0.4"),
        # Where both are there, what is under "ome" counts.
        ({"ome": {"version": "0.5", "multiscales": [entry()]}, "multiscales": []}, "0.5"),
        ({"ome": {"version": "0.5"}, "multiscales": [entry()]}, "0.4"),
    ],
)
def test_versions_that_are_known(attributes: Any, version: str) -> None:
    (image,) = decode(attributes, where="a.zarr")
    assert image.version == version


@pytest.mark.parametrize(
    ("attributes", "version", "warning"),
    [
        ({"ome": {"multiscales": [entry()]}}, "0.5", "do not say their OME-Zarr version"),
        ({"ome": {"multiscales": [ENTRY_06]}}, "0.6", "do not say their OME-Zarr version"),
        ({"ome": {"version": "0.7", "multiscales": [ENTRY_06]}}, "0.6", "'0.7' is no known version"),
        ({"ome": {"version": "1.0", "multiscales": [entry()]}}, "0.5", "'1.0' is no known version"),
        ({"ome": {"version": "banana", "multiscales": [entry()]}}, "0.5", "'banana' is no known version"),
        ({"ome": {"version": 7, "multiscales": [entry()]}}, "0.5", "7 is no known version"),
        ({"ome": {"version": "0.9.dev1", "multiscales": [ENTRY_06]}}, "0.6", "0.9.dev1 is a preview"),
        ({"ome": {"version": "0.9.dev3", "multiscales": [entry()]}}, "0.5", "0.9.dev3 is a preview"),
        # The form of another version than the one that is named.
        ({"ome": {"version": "0.5", "multiscales": [ENTRY_06]}}, "0.6", "have the form of 0.6"),
        ({"ome": {"version": "0.6", "multiscales": [entry()]}}, "0.5", "have the form of 0.5"),
        ({"multiscales": [{**ENTRY_06, "version": "0.4"}]}, "0.6", "have the form of 0.6"),
        ({"multiscales": [{**ENTRY_06, "version": "0.6"}]}, "0.6", "not where they should be"),
        ({"multiscales": [ENTRY_06]}, "0.6", "not where they should be"),
        ({"multiscales": [entry(version="0.6")]}, "0.4", "have the form of 0.4"),
        ({"ome": {"version": "0.2", "multiscales": [BARE]}}, "0.2", "not where they should be"),
        ({"ome": {"version": "0.5", "multiscales": [BARE]}}, "0.2", "t, c, z, y, x assumed"),
        ({"multiscales": [entry(version="latest")]}, "0.4", "'latest' is no known version"),
        ({"multiscales": [entry(version=0.4)]}, "0.4", "0.4 is no known version"),
        ({"multiscales": [entry(version=[])]}, "0.4", "is no known version"),
        ({"multiscales": [entry(version="0.5")]}, "0.5", "not where they should be"),
        ({"ome": {"version": "0.4", "multiscales": [entry()]}}, "0.4", "not where they should be"),
    ],
)
def test_versions_that_are_guessed(attributes: Any, version: str, warning: str) -> None:
    with pytest.warns(OmeNgffWarning) as caught:
        (image,) = decode(attributes, where="a.zarr")
    assert warning in "\n".join(str(item.message) for item in caught)
    assert image.version == version


@pytest.mark.parametrize(
    ("attributes", "version"),
    [
        ({"multiscales": [{**BARE, "version": "0.1"}]}, "0.1"),
        ({"multiscales": [{**BARE, "version": "0.2"}]}, "0.2"),
        ({"multiscales": [BARE]}, "0.2"),
        ({"multiscales": [{**BARE, "version": "0.3", "axes": ["y", "x"]}]}, "0.3"),
        ({"multiscales": [{**BARE, "axes": ["y", "x"]}]}, "0.3"),
    ],
)
def test_versions_without_places(attributes: Any, version: str) -> None:
    (image,) = decode(attributes, where="a.zarr")
    assert (image.version, image.unplaced) == (version, ("0",))


@pytest.mark.parametrize(
    ("own", "word"),
    [
        ({"plate": {}}, "plate"),
        ({"plate": {}, "bioformats2raw.layout": 3}, "plate"),
        ({"well": {"images": []}}, "well"),
        ({"bioformats2raw.layout": 3}, "collection of images"),
        ({"labels": []}, "label images"),
        ({"labels": ["cells"]}, "label images"),
    ],
)
def test_what_is_no_image_is_named(own: dict[str, Any], word: str) -> None:
    for attributes in (own, {"ome": {"version": "0.5", **own}}):
        assert is_ome_ngff(attributes)
        with pytest.raises(UnsupportedError, match=word) as caught:
            decode(attributes, where="a.zarr")
        assert "open_ome_ngff" in caught.value.summary
        assert "\n" not in caught.value.summary
        assert caught.value.summary.endswith(".")


@pytest.mark.parametrize(("own", "word"), [({"scene": {}}, "scene"), ({"series": []}, "collection")])
def test_what_is_ours_only_under_ome(own: dict[str, Any], word: str) -> None:
    with pytest.raises(UnsupportedError, match=word):
        decode({"ome": {"version": "0.6", **own}}, where="")
    with pytest.raises(NotOmeNgffError):
        decode(own, where="")


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"author": "me"},
        {"ome": {}},
        {"ome": {"version": "0.5"}},
        {"ome": "xml"},
        {"plate": 7},
        {"labels": "a"},
    ],
)
def test_what_is_not_ours_is_not_claimed(attributes: dict[str, Any]) -> None:
    assert not is_ome_ngff(attributes)
    with pytest.raises(NotOmeNgffError) as caught:
        decode(attributes, where="a.zarr")
    assert caught.value.where == "a.zarr"


@pytest.mark.parametrize("attributes", [{"image-label": {}}, {"ome": {"version": "0.5", "image-label": {}}}])
def test_a_label_image_without_arrays_is_broken(attributes: dict[str, Any]) -> None:
    with pytest.raises(MetadataError, match="where its arrays are"):
        decode(attributes, where="")


@pytest.mark.parametrize("attributes", [None, [], "text", 1])
def test_attributes_are_an_object(attributes: Any) -> None:
    assert not is_ome_ngff(attributes)
    with pytest.raises(MetadataError):
        decode(attributes, where="")


@pytest.mark.parametrize("axes", [[{"name": "x", "type": "space"}], ["x"]])
def test_one_axis_is_no_image(axes: Any) -> None:
    for attributes in ({"multiscales": [entry(axes=axes)]}, {"multiscales": [{**BARE, "axes": axes}]}):
        with pytest.raises(MetadataError):
            decode(attributes, where="")


def test_more_axes_than_the_specification_knows_are_read(recwarn: pytest.WarningsRecorder) -> None:
    axes = [{"name": name, "type": "space"} for name in "uvwzyx"]
    place = [{"type": "scale", "scale": [1] * 6}]
    item = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": place}]}
    assert decode({"multiscales": [item]}, where="")[0].dims == tuple("uvwzyx")
    assert "must have 2 to 5 axes" in str(recwarn.pop(OmeNgffWarning).message)


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        ({"multiscales": []}, "image"),
        ({"multiscales": None}, "image"),
        ({"multiscales": [], "labels": ["a"], "plate": {}}, "image"),
        ({"multiscales": None, "plate": {}}, "plate"),
        ({"plate": {}, "bioformats2raw.layout": 3}, "plate"),
        ({"well": {}}, "well"),
        ({"bioformats2raw.layout": 1}, "bioformats2raw.layout"),
        ({"labels": []}, "labels"),
        ({"ome": {"scene": {}}}, "scene"),
        ({"ome": {"series": ["0"]}}, "series"),
        ({"scene": {}, "series": []}, ""),
        ({"plate": 7}, ""),
        ({"ome": "xml", "author": "me"}, ""),
        ({}, ""),
        (None, ""),
        ([], ""),
    ],
)
def test_the_kind_of_a_group(attributes: Any, kind: str) -> None:
    assert kind_of(attributes) == kind
    assert not isinstance(attributes, dict) or is_ome_ngff(attributes) == bool(kind)


def test_an_image_wins_over_what_else_a_group_is() -> None:
    assert decode({"multiscales": [entry()], "labels": ["cells"]}, where="")


@pytest.mark.parametrize("version", ["", "0.3", "0.7", 0.5, None, []])
def test_only_known_versions_are_written(version: Any) -> None:
    for refuse in (check_version, lambda name: encode(IMAGE, name), lambda name: encode_labels(["a"], name)):
        with pytest.raises(OptionError) as caught:
            refuse(version)
        assert all(name in caught.value.expected for name in VERSIONS)


def test_the_table_of_versions() -> None:
    assert [(version.name, version.zarr_format) for version in VERSIONS.values()] == [
        ("0.4", 2),
        ("0.5", 3),
        ("0.6", 3),
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_labels_are_written_and_read(version: str) -> None:
    attributes = encode_labels(["cells", "nuclei/0"], version)
    assert decode_labels(attributes) == ("cells", "nuclei/0")
    own = attributes if version == "0.4" else attributes["ome"]
    assert own.get("version") == (None if version == "0.4" else version)


@pytest.mark.parametrize("names", [[], ["a", "a"], ["../a"], [""], [1]])
def test_labels_that_cannot_be_found_are_not_written(names: Any) -> None:
    with pytest.raises(MetadataError):
        encode_labels(names, "0.5")


@pytest.mark.parametrize(
    ("attributes", "names"),
    [
        ({}, ()),
        ({"labels": []}, ()),
        ({"labels": None}, ()),
        ({"labels": ["b", "a", "b"]}, ("b", "a")),
        ({"labels": [0, "1"]}, ("0", "1")),
        ({"labels": ["cells/"]}, ("cells",)),
        # ngio has written them at the top level, ome-zarr-py without a version.
        ({"labels": ["a"], "ome": {"version": "0.5"}}, ("a",)),
        ({"ome": {"labels": ["a"]}}, ("a",)),
        ({"ome": {"labels": ["a"]}, "labels": ["b"]}, ("a",)),
    ],
)
def test_labels_as_they_are_found(attributes: Any, names: tuple[str, ...]) -> None:
    assert decode_labels(attributes) == names


@pytest.mark.parametrize("listed", ["cells", {"a": 1}, 3, ["../a"], [None], [True], [["a"]], ["/a"]])
def test_odd_labels_are_noted(listed: Any) -> None:
    with pytest.warns(OmeNgffWarning, match="ome.labels"):
        assert decode_labels({"ome": {"labels": listed}}, where="a.zarr/labels") == ()


FOREIGN = {"author": "me", "ome": {"@creator": "us"}, "plate": "a word", "version": 7}


@pytest.mark.parametrize("before", VERSIONS)
@pytest.mark.parametrize("after", VERSIONS)
def test_attributes_of_others_survive(before: str, after: str) -> None:
    existing = encode(IMAGE, before)
    existing = {**FOREIGN, **existing, "ome": {**FOREIGN["ome"], **existing.get("ome", {})}}
    assert foreign_attributes(existing) == FOREIGN
    ours = encode(IMAGE, after)
    merged = merge_attributes(existing, ours)
    assert foreign_attributes(merged) == FOREIGN
    assert decode(merged, where="") == decode(ours, where="")
    assert merge_attributes(merged, ours) == merged


def test_nothing_of_another_kind_of_group_stays() -> None:
    plate = {"plate": {}, "ome": {"version": "0.5", "plate": {}, "bioformats2raw.layout": 3}, "labels": ["a"]}
    ours = encode(IMAGE, "0.5")
    assert merge_attributes(plate, ours) == ours


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["ome", "multiscales", "plate", "labels", "x"]), json_values))
def test_any_attributes_are_sorted_into_ours_and_theirs(attributes: dict[str, Any]) -> None:
    foreign = foreign_attributes(attributes)
    assert not is_ome_ngff(foreign)
    assert is_ome_ngff(attributes) == (container_of(attributes) is not None)
    assert merge_attributes(attributes, {}) == foreign


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_an_image_that_is_turned_is_not_written_as_if_it_were_not(version: str) -> None:
    turned = Affine(matrix=((0.0, 1.0), (1.0, 0.0)), translation=(0.0, 0.0))
    with pytest.raises(UnsupportedError, match="rotated or sheared"):
        encode(replace(IMAGE, affine=turned), version)
    # Nor is one that 0.6 shows in another of its systems.
    (marked,) = decode(encode(replace(IMAGE, affine=turned), "0.6"), where="")
    with pytest.raises(UnsupportedError, match="rotated or sheared"):
        encode(marked, version)


def test_an_image_whose_levels_have_no_place_is_not_written() -> None:
    (image,) = decode({"multiscales": [BARE]}, where="")
    for version in VERSIONS:
        with pytest.raises(MetadataError, match="not known where"):
            encode(image, version)
        assert encode(placed_by_shapes(image, {"0": (1, 1, 1, 4, 4)}), version)


@given(multiscales(version="0.5"))
def test_the_version_of_the_noun_does_not_matter_for_writing(image: Any) -> None:
    assert encode(image, "0.5") == encode(replace(image, version="0.4"), "0.5")


def test_a_folder_is_worth_opening_by_the_keys_that_have_a_meaning() -> None:
    """What looks at a folder loads no metadata, so it lists the keys once more."""
    assert {CONTAINER, "multiscales", *COLLECTIONS} == _OURS
