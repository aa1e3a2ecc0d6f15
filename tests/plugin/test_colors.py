"""Colours and contrast in napari's words and in those of a file: laws of single functions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_ome_ngff.metadata.nouns import Axis, Channel, Multiscale, Window
from napari_ome_ngff.plugin.colors import (
    COLORMAP_KEY,
    channel_colormap,
    color_of,
    colormap_for,
    colormap_name,
    is_ramp,
    is_rgb,
    slider_range,
    usable_limits,
    window_of,
)
from napari_ome_ngff.plugin.layout import layout, shown_units
from napari_ome_ngff.plugin.origin import own_name


@pytest.mark.parametrize(
    ("color", "index", "count", "name"),
    [
        ("00FF00", 0, 1, "green"),
        ("FF8000", 0, 1, "#FF8000"),
        (None, 0, 1, "gray"),
        (None, 0, 2, "magenta"),
        (None, 1, 2, "green"),
        (None, 0, 3, "cyan"),
    ],
)
def test_a_colour_has_the_name_that_napari_gives_it(
    color: str | None, index: int, count: int, name: str
) -> None:
    assert colormap_for(color, index, count) == name


def test_a_saved_colormap_counts_as_long_as_nobody_changed_the_colour() -> None:
    extra = {COLORMAP_KEY: "viridis"}
    assert channel_colormap(Channel(color="FDE725", extra=extra), 0, 1) == "viridis"
    assert channel_colormap(Channel(color="00FF00", extra=extra), 0, 1) == "green"


@pytest.mark.parametrize(
    ("colormap", "color", "name", "ramp"),
    [
        ({"colors": [[0, 0, 0, 1], [1, 0.5, 0, 1]]}, "FF8000", None, True),
        ({"colors": [[1, 1, 1, 1], [0, 0, 0, 1]]}, "FFFFFF", None, False),  # ends in black
        ({"colors": []}, None, None, True),
        ("cyan", "00FFFF", None, True),
        ("viridis", "FDE725", "viridis", False),
        ("#a1b2c3", "A1B2C3", None, True),
        ("no such colormap", None, None, True),
    ],
)
def test_a_colormap_is_a_colour_a_name_or_a_ramp(
    colormap: Any, color: str | None, name: str | None, ramp: bool
) -> None:
    assert (color_of(colormap), colormap_name(colormap), is_ramp(colormap)) == (color, name, ramp)


@pytest.mark.parametrize(
    ("window", "limits", "dtype", "ends"),
    [
        (Window(min=0, max=4095), (10.0, 200.0), "uint16", (0.0, 4095.0)),
        (Window(min=50, max=60), (10.0, 200.0), "uint16", (10.0, 200.0)),  # it encloses the limits
        (None, (10.0, 200.0), "uint8", (0.0, 255.0)),
        (None, (10.0, 200.0), "uint16", (0.0, 770.0)),  # three times as far above as they are apart
        (None, (60000.0, 65000.0), "uint16", (55000.0, 65535.0)),
        (None, (1.0, 3.0), "float32", (0.0, 9.0)),
    ],
)
def test_the_slider_reaches_as_far_as_is_of_use(
    window: Window | None, limits: Any, dtype: str, ends: Any
) -> None:
    assert slider_range(window, limits, np.dtype(dtype)) == ends


def test_limits_must_differ_in_single_precision() -> None:
    assert usable_limits(0, 255) == (0.0, 255.0)
    assert usable_limits(2**24, 2**24 + 1) is None
    assert usable_limits(0, 1e300) is None


def test_a_window_keeps_what_the_file_had_around_the_limits() -> None:
    assert window_of([100, 2000], np.dtype("uint16"), None) == Window(start=100, end=2000)
    assert window_of([10, 20], np.dtype("uint8"), None) == Window(start=10, end=20, min=0, max=255)
    known = Window(start=0, end=1, min=0, max=4095)
    assert window_of([100, 5000], np.dtype("uint16"), known) == Window(start=100, end=5000, min=0, max=5000)


def test_channels_that_are_called_red_green_and_blue_are_no_rgb() -> None:
    assert not is_rgb([Channel(label=name) for name in ("red", "green", "blue")], 3)


def test_y_and_x_are_shown_last_and_what_is_no_space_first() -> None:
    types = {"c": "channel", "t": "time"}
    axes = tuple(Axis(name=name, type=types.get(name.lower(), "space")) for name in "XYcTz")
    arranged = layout(Multiscale(version="0.5", axes=axes, levels=()), (9, 8, 2, 5, 7))
    assert (arranged.channel, arranged.order) == (2, (3, 4, 1, 0))


def test_units_are_those_of_the_specification_or_pixels() -> None:
    axes = [Axis(name=name, unit=unit) for name, unit in zip("zyx", ["um", "a.u.", None], strict=True)]
    assert shown_units(axes) == ("micrometer", "pixel", "pixel")


def test_what_napari_put_behind_a_name_is_taken_off_if_the_file_has_the_rest() -> None:
    origin: Any = {
        "multiscale": Multiscale(version="0.5", axes=(), levels=(), channels=(Channel(label="DAPI"),)),
        "channel": 0,
        "label": None,
        "prefix": "",
        "appearance": {},
    }
    assert own_name("DAPI [1]", origin) == "DAPI"
    assert own_name("cells [1]", origin) == "cells [1]"
    assert own_name("DAPI [1]", None) == "DAPI [1]"
