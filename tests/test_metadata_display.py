"""Channels and label images: decoration that never keeps an image from being opened."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings

from napari_ome_ngff.errors import MetadataError
from napari_ome_ngff.metadata.checks import Notes
from napari_ome_ngff.metadata.display import (
    decode_label_image,
    decode_omero,
    encode_label_image,
    encode_omero,
)
from napari_ome_ngff.metadata.model import Axis, Channel, LabelImage, Multiscale, Window

from .metadata_tools import json_values

WINDOW = {"start": 0, "end": 1500, "min": 0, "max": 65535}


def channel(item: Any) -> tuple[Channel, list[str]]:
    notes = Notes("")
    (found,), _ = decode_omero({"channels": [item]}, where="omero", notes=notes)
    return found, notes.lines


def label(item: Any) -> tuple[LabelImage | None, list[str]]:
    notes = Notes("")
    return decode_label_image(item, where="image-label", notes=notes), notes.lines


def test_a_complete_channel() -> None:
    item = {"color": "0000ff", "label": "LaminB1", "window": WINDOW, "active": False, "family": "linear"}
    found, notes = channel(item)
    assert found == Channel(
        label="LaminB1",
        color="0000FF",
        window=Window(start=0, end=1500, min=0, max=65535),
        active=False,
        extra={"family": "linear"},
    )
    assert not notes


def test_other_keys_of_omero_are_kept_but_its_version_is_ours() -> None:
    omero = {"channels": [], "version": "0.4", "rdefs": {"model": "color"}, "id": 1}
    assert decode_omero(omero, where="", notes=Notes("")) == ((), {"rdefs": {"model": "color"}, "id": 1})


@pytest.mark.parametrize(
    ("color", "read"),
    [
        ("#ff00ff", "FF00FF"),
        (None, None),
        (255, None),
        ("red", None),
        ("ff00ff80", None),
        ("", None),
        ([255, 0, 0], None),
    ],
)
def test_an_odd_colour_is_noted(color: Any, read: str | None) -> None:
    found, notes = channel({"color": color, "window": WINDOW})
    assert found.color == read
    assert notes[0].startswith("omero.channels[0].color: ")


@pytest.mark.parametrize(
    ("window", "read"),
    [
        (None, None),
        (5, None),
        ({}, None),
        ({"start": 1, "end": 2}, Window(start=1, end=2)),
        ({**WINDOW, "end": "1500"}, Window(start=0, end=1500, min=0, max=65535)),
        ({**WINDOW, "end": "bright"}, Window(start=0, min=0, max=65535)),
        ({**WINDOW, "end": float("nan")}, Window(start=0, min=0, max=65535)),
        ({**WINDOW, "end": True}, Window(start=0, min=0, max=65535)),
        ({**WINDOW, "end": "1e999"}, Window(start=0, min=0, max=65535)),
    ],
)
def test_an_odd_window_is_noted(window: Any, read: Window | None) -> None:
    found, notes = channel({"color": "FFFFFF", "window": window})
    assert found.window == read
    assert notes[0].startswith("omero.channels[0].window")


@pytest.mark.parametrize(("active", "read"), [(0, False), (1, True), (None, True), ("yes", True)])
def test_odd_visibility_is_noted(active: Any, read: bool) -> None:
    found, notes = channel({"color": "FFFFFF", "window": WINDOW, "active": active})
    assert found.active is read
    assert notes == [notes[0]]


def test_a_channel_that_is_none_keeps_its_place() -> None:
    channels, _ = decode_omero({"channels": [None, {"label": 7}]}, where="", notes=Notes(""))
    assert [found.label for found in channels] == [None, "7"]


@settings(deadline=None)
@given(json_values)
def test_omero_is_never_an_obstacle(value: Any) -> None:
    for omero in (value, {"channels": value}, {"channels": [value]}, {"channels": [{"window": value}]}):
        decode_omero(omero, where="", notes=Notes(""))


@settings(deadline=None)
@given(json_values)
def test_label_metadata_are_never_an_obstacle(value: Any) -> None:
    colors = [{"label-value": value, "rgba": value}, {"label-value": 1, "rgba": value}]
    for item in (value, {"colors": value}, {"colors": colors}, {"properties": [value]}, {"source": value}):
        decode_label_image(item, where="", notes=Notes(""))


def image(*channels: Channel, dims: str = "cyx") -> Multiscale:
    types = {"c": "channel", "t": "time"}
    axes = tuple(Axis(name=name, type=types.get(name, "space")) for name in dims)
    return Multiscale(version="0.5", axes=axes, levels=(), channels=channels)


COMPLETE = Channel(color="00FF00", window=Window(start=0, end=9, min=0, max=255))


def test_channels_are_written_with_all_that_must_be_there() -> None:
    written = encode_omero(image(COMPLETE), version="0.4", where="omero")
    assert written["version"] == "0.4"
    assert written["channels"] == [
        {"color": "00FF00", "active": True, "window": {"start": 0, "end": 9, "min": 0, "max": 255}}
    ]


def test_without_channels_there_is_no_omero() -> None:
    bare = replace(image(), omero_extra={"id": 1})
    assert encode_omero(bare, version=None, where="omero") == {}


@pytest.mark.parametrize(
    ("odd", "where"),
    [
        (replace(COMPLETE, color=None), "omero.channels[1].color"),
        (replace(COMPLETE, color="#00FF00"), "omero.channels[1].color"),
        (replace(COMPLETE, color="green"), "omero.channels[1].color"),
        (replace(COMPLETE, window=None), "omero.channels[1].window"),
        (replace(COMPLETE, window=Window(start=0, end=1)), "omero.channels[1].window"),
        (
            replace(COMPLETE, window=Window(start=0, end=1, min=0, max=float("inf"))),
            "omero.channels[1].window",
        ),
    ],
)
def test_an_incomplete_channel_is_not_written(odd: Channel, where: str) -> None:
    with pytest.raises(MetadataError) as caught:
        encode_omero(image(COMPLETE, odd), version=None, where="omero")
    assert caught.value.where == where


def test_several_channels_need_an_axis() -> None:
    encode_omero(image(COMPLETE, dims="yx"), version=None, where="omero")
    with pytest.raises(MetadataError, match="no channel axis"):
        encode_omero(image(COMPLETE, COMPLETE, dims="tyx"), version=None, where="omero")


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
        properties=({"label-value": 1, "class": "nucleus"},),
        source="../../",
        extra={"@note": "kept", "source": {"array": "0"}},
    )
    assert not notes
    written = encode_label_image(found, version="0.4", where="")
    assert written == {**item, "colors": item["colors"][:1]}


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


@pytest.mark.parametrize("value", [None, "1", 1.5, True, [], {}])
def test_an_odd_label_value_is_noted(value: Any) -> None:
    item = {"label-value": value, "rgba": [1, 2, 3, 4]}
    assert label({"colors": [item]}) == (LabelImage(), [label({"colors": [item]})[1][0]])


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
    assert encode_label_image(found, version=None, where="") == {"source": {"image": "../../"}}


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
        encode_label_image(odd, version=None, where="image-label")


def test_values_with_a_colour_are_among_those_with_properties() -> None:
    """Otherwise ome-zarr-models, and so napari-ome-zarr, refuse the label image."""
    given_ = LabelImage(colors={1: (0, 0, 0, 0), 2: (9, 9, 9, 9)}, properties=({"label-value": 2, "a": 1},))
    written = encode_label_image(given_, version=None, where="")
    assert written["properties"] == [{"label-value": 2, "a": 1}, {"label-value": 1}]
