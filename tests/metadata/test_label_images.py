"""Label images: which ones there are, and decoration that never keeps one from being opened."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from napari_ome_ngff.errors import MetadataError, OmeNgffWarning
from napari_ome_ngff.metadata.context import Context
from napari_ome_ngff.metadata.image.label_images import decode_label_image, decode_labels, encode_label_image
from napari_ome_ngff.metadata.nouns import LabelImage
from tests.metadata_tools import json_values


def label(item: Any) -> tuple[LabelImage | None, list[str]]:
    context = Context(keys=("image-label",))
    return decode_label_image(item, context), list(context.notes)


@settings(deadline=None)
@given(json_values)
def test_label_metadata_are_never_an_obstacle(value: Any) -> None:
    colors = [{"label-value": value, "rgba": value}, {"label-value": 1, "rgba": value}]
    for item in (value, {"colors": value}, {"colors": colors}, {"properties": [value]}, {"source": value}):
        decode_label_image(item, Context())


def test_a_complete_label_image() -> None:
    item = {
        "version": "0.4",
        "colors": [{"label-value": 1, "rgba": [255, 0, 0, 255]}, {"label-value": 4}],
        "properties": [{"label-value": 1, "class": "nucleus"}],
        "source": {"image": "../../", "array": "0"},
        "@note": "kept",
    }
    found, notes = label(item)
    assert found == LabelImage(
        colors={1: (255, 0, 0, 255)},
        color_extra={4: {}},
        properties=({"label-value": 1, "class": "nucleus"},),
        source="../../",
        extra={"@note": "kept", "source": {"array": "0"}},
    )
    assert not notes
    written = encode_label_image(found, Context())
    assert written == {key: value for key, value in item.items() if key != "version"}


def test_null_is_no_label_image_but_anything_else_is() -> None:
    assert label(None) == (None, [])
    assert label({}) == (LabelImage(), [])
    assert label("cells") == (LabelImage(), ["image-label: 'cells', ignored"])


@pytest.mark.parametrize(
    ("rgba", "read"),
    [
        ([1, 2, 3], (1, 2, 3, 255)),
        ([1, 2, 3, 4, 5], None),
        ([1, 2], None),
        ([1, 2, 3, 256], None),
        ([1, 2, 3, -1], None),
        ([1, 2, 3, 0.5], None),
        ([1.0, 0.5, 0, 1.0], (255, 128, 0, 255)),
        ([0.5, 0.5, 0.5], (128, 128, 128, 255)),
        ([0.5, 0.5, 0.5, None], None),
        ([1, 2, 3, "4"], None),
        ([1, 2, 3, None], None),
        ("red", None),
        (None, None),
    ],
)
def test_an_odd_label_colour_is_noted(rgba: Any, read: tuple[int, ...] | None) -> None:
    found, notes = label({"colors": [{"label-value": 1, "rgba": rgba}]})
    assert found == LabelImage(colors={} if read is None else {1: read})
    assert notes[0].startswith("image-label.colors[0].rgba: ")


@pytest.mark.parametrize("value", [None, "one", "-1", "1.0", "1" * 99, 1.5, True, [], {}])
def test_an_odd_label_value_is_noted(value: Any) -> None:
    item = {"label-value": value, "rgba": [1, 2, 3, 4]}
    assert label({"colors": [item]}) == (LabelImage(), [label({"colors": [item]})[1][0]])


def test_a_million_colours_or_names_are_not_all_looked_at() -> None:
    found, notes = label({"colors": [{"label-value": 1, "rgba": [1, 2, 3, 4]}] * 1_000_000})
    assert found == LabelImage(colors={1: (1, 2, 3, 4)})
    assert notes[0] == "image-label.colors: 1000000 entries, only the first 200000 are read"
    with pytest.warns(OmeNgffWarning, match="only the first 10000"):
        assert len(decode_labels({"labels": [str(index) for index in range(1_000_000)]})) == 10_000


def test_an_integer_as_text_is_read() -> None:
    found, notes = label({"properties": [{"label-value": "7", "a": 1}]})
    assert found == LabelImage(properties=({"label-value": 7, "a": 1},))
    assert len(notes) == 1


def test_of_two_entries_for_a_label_the_last_one_counts() -> None:
    twice = [{"label-value": 1, "rgba": [9, 9, 9, 9]}, {"label-value": 1.0, "rgba": [1, 2, 3, 4]}]
    found, notes = label({"colors": twice, "properties": [{"label-value": 2, "a": 1}, {"label-value": 2}]})
    assert found == LabelImage(colors={1: (1, 2, 3, 4)}, properties=({"label-value": 2},))
    assert [line.partition(":")[0] for line in notes] == [
        "image-label.colors[1]",
        "image-label.properties[1]",
    ]


@pytest.mark.parametrize("key", ["colors", "properties"])
def test_an_empty_list_is_noted_and_never_written(key: str) -> None:
    found, notes = label({key: []})
    assert notes == [f"image-label.{key}: an empty list, ignored"]
    assert found is not None
    assert encode_label_image(found, Context()) == {"source": {"image": "../../"}}


@pytest.mark.parametrize(
    "odd",
    [
        LabelImage(colors={1: (0, 0, 0)}),  # type: ignore[dict-item]
        LabelImage(colors={1: (0, 0, 0, 256)}),
        LabelImage(colors={1: (0, 0, 0, 0.5)}),  # type: ignore[dict-item]
        LabelImage(colors={1: None}),  # type: ignore[dict-item]
        LabelImage(colors={"1": (0, 0, 0, 0)}),  # type: ignore[dict-item]
        LabelImage(properties=({"class": "nucleus"},)),
        LabelImage(properties=({"label-value": "1"},)),
        LabelImage(properties=({"label-value": 1}, {"label-value": 1})),
    ],
)
def test_label_metadata_that_break_a_rule_are_not_written(odd: LabelImage) -> None:
    with pytest.raises(MetadataError):
        encode_label_image(odd, Context(keys=("image-label",)))


def test_values_with_a_colour_are_among_those_with_properties() -> None:
    """Otherwise ome-zarr-models, and so napari-ome-zarr, refuse the label image."""
    given_ = LabelImage(colors={1: (0, 0, 0, 0), 2: (9, 9, 9, 9)}, properties=({"label-value": 2, "a": 1},))
    written = encode_label_image(given_, Context())
    assert written["properties"] == [{"label-value": 2, "a": 1}, {"label-value": 1}]
