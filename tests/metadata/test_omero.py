"""Channels: decoration that never keeps an image from being opened."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings

from napari_ome_ngff.errors import MetadataError
from napari_ome_ngff.metadata.context import Context
from napari_ome_ngff.metadata.image.omero import decode_omero, encode_omero, is_greyscale
from napari_ome_ngff.metadata.nouns import Axis, Channel, Multiscale, Window
from tests.metadata_tools import json_values

WINDOW = {"start": 0, "end": 1500, "min": 0, "max": 65535}


def channel(item: Any) -> tuple[Channel, list[str]]:
    context = Context(keys=("omero",))
    (found,), _ = decode_omero({"channels": [item]}, context)
    return found, list(context.notes)


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
    assert decode_omero(omero, Context()) == ((), {"rdefs": {"model": "color"}, "id": 1})


@pytest.mark.parametrize(
    ("color", "read"),
    [
        ("#ff00ff", "FF00FF"),
        ("0xff00ff", "FF00FF"),
        ("f0f", "FF00FF"),
        ("#f0f", "FF00FF"),
        ("ff00ff80", "FF00FF"),
        ("#FF00FF80", "FF00FF"),
        (" ff00ff ", "FF00FF"),
        ("Red", "FF0000"),
        ("green", "00FF00"),
        (None, None),
        (255, None),
        ("reddish", None),
        ("ff00f", None),
        ("gg00ff", None),
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


@pytest.mark.parametrize(
    ("active", "read"),
    [(0, False), (1, True), (None, True), ("yes", True), ("False", False), ("0", False), ([], True)],
)
def test_odd_visibility_is_noted(active: Any, read: bool) -> None:
    found, notes = channel({"color": "FFFFFF", "window": WINDOW, "active": active})
    assert found.active is read
    assert notes == [notes[0]]


def test_a_channel_that_is_none_keeps_its_place() -> None:
    channels, _ = decode_omero({"channels": [None, {"label": 7}, {"label": []}]}, Context())
    assert [found.label for found in channels] == [None, "7", None]


@pytest.mark.parametrize(
    ("extra", "grey"),
    [
        ({"rdefs": {"model": "greyscale"}}, True),
        ({"rdefs": {"model": "Grayscale"}}, True),
        ({"rdefs": {"model": "color"}}, False),
        ({"rdefs": {"model": None}}, False),
        ({"rdefs": []}, False),
        ({}, False),
    ],
)
def test_the_model_of_colours_is_known(extra: Any, grey: bool) -> None:
    assert is_greyscale(extra) is grey


def test_more_channels_than_anyone_looks_at_are_left_out() -> None:
    context = Context(keys=("omero",))
    channels, _ = decode_omero({"channels": [{}] * 20_000}, context)
    assert len(channels) == 10_000


@settings(deadline=None)
@given(json_values)
def test_omero_is_never_an_obstacle(value: Any) -> None:
    for omero in (value, {"channels": value}, {"channels": [value]}, {"channels": [{"window": value}]}):
        decode_omero(omero, Context())


def image(*channels: Channel, dims: str = "cyx") -> Multiscale:
    types = {"c": "channel", "t": "time"}
    axes = tuple(Axis(name=name, type=types.get(name, "space")) for name in dims)
    return Multiscale(version="0.5", axes=axes, levels=(), channels=channels)


COMPLETE = Channel(color="00FF00", window=Window(start=0, end=9, min=0, max=255))


def test_channels_are_written_with_all_that_must_be_there() -> None:
    written = encode_omero(image(COMPLETE), Context(keys=("omero",)))
    shown = {"color": "00FF00", "active": True, "window": {"start": 0, "end": 9, "min": 0, "max": 255}}
    assert written == {"channels": [shown]}


def test_without_channels_there_is_no_omero() -> None:
    bare = replace(image(), omero_extra={"id": 1})
    assert encode_omero(bare, Context(keys=("omero",))) == {}


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
        encode_omero(image(COMPLETE, odd), Context(keys=("omero",)))
    assert caught.value.where == where


def test_several_channels_need_an_axis() -> None:
    encode_omero(image(COMPLETE, dims="yx"), Context(keys=("omero",)))
    with pytest.raises(MetadataError, match="no channel axis"):
        encode_omero(image(COMPLETE, COMPLETE, dims="tyx"), Context(keys=("omero",)))
