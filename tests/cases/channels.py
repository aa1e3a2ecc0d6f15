"""``omero``, of any completeness: names, colours, contrast, visibility."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .build import image, ramp
from .nouns import Case, Opened, Shown

CYX = ramp((2, 8, 6))
FULL = {"label": "DAPI", "color": "0000FF", "window": {"min": 0, "max": 4095, "start": 10, "end": 80}}
SECOND = {"label": "GFP", "color": "00FF00", "window": {"min": 0, "max": 4095, "start": 20, "end": 90}}


def omero(content: Any, *, axes: str = "cyx", shape: Sequence[int] = (2, 8, 6), version: str = "0.4") -> Any:
    def make(folder: Path) -> Path:
        return image(folder / "a.zarr", version=version, axes=axes, shape=shape, beside={"omero": content})

    return make


def channels(*entries: Any, **more: Any) -> Any:
    return omero({"channels": list(entries), **more})


def first(**more: Any) -> Shown:
    return Shown(**({"name": "DAPI", "color": "blue", "limits": (10, 80), "pixels": CYX[0]} | more))


def second(**more: Any) -> Shown:
    return Shown(**({"name": "GFP", "color": "green", "limits": (20, 90), "pixels": CYX[1]} | more))


def without(key: str) -> dict[str, Any]:
    return {k: v for k, v in FULL.items() if k != key}


def cases() -> list[Case]:
    found: list[Case] = []

    def add(name: str, what: str, result: str, make: Any, layers: Any, **more: Any) -> None:
        found.append(
            Case(group="Channels", name=name, what=what, result=result, make=make, layers=layers, **more)
        )

    for version in ("0.4", "0.5", "0.6"):
        add(
            f"complete_{version}",
            "complete `omero`",
            "names, colours, contrast",
            omero({"channels": [FULL, SECOND]}, version=version),
            [first(), second()],
        )
    add(
        "none",
        "no `omero`",
        "channels are numbered, get colours of their own, and contrast from their values",
        lambda folder: image(folder / "a.zarr", axes="cyx", shape=(2, 8, 6)),
        [
            Shown(name="cells channel 0", pixels=CYX[0], color="magenta"),
            Shown(name="cells channel 1", pixels=CYX[1], color="green"),
        ],
    )
    for name, color, shown in (
        ("hash", "#FF8000", "#FF8000"),
        ("small", "ff8000", "#FF8000"),
        ("three", "F80", "#FF8800"),
        ("hash_three", "#F80", "#FF8800"),
        ("eight", "FF800080", "#FF8000"),
    ):
        add(
            f"color_{name}",
            "colours with `#`, 3, 6 or 8 digits",
            "understood",
            channels(FULL | {"color": color}, SECOND),
            [first(color=shown), second()],
            may_warn=True,
        )
    for name, value in (
        ("word", "reddish"),
        ("number", 255),
        ("null", None),
        ("empty", ""),
        ("list", [1, 0, 0]),
    ):
        add(
            f"color_{name}",
            "no colour, or one that is none",
            "a colour of its own",
            channels(FULL | {"color": value}, SECOND),
            [first(color="magenta"), second()],
            may_warn=True,
        )
    add(
        "color_missing",
        "no colour, or one that is none",
        "a colour of its own",
        channels(without("color"), SECOND),
        [first(color="magenta"), second()],
        may_warn=True,
    )
    for name, window, limits in (
        ("no_range", {"start": 10, "end": 80}, (10, 80)),
        ("strings", {"min": "0", "max": "4095", "start": "10", "end": "80.0"}, (10, 80)),
    ):
        add(
            f"window_{name}",
            "windows without `min` and `max`, or with numbers as text",
            "understood",
            channels(FULL | {"window": window}, SECOND),
            [first(limits=limits), second()],
            may_warn=True,
        )
    for name, window in (
        ("range_only", {"min": 0, "max": 4095}),
        ("turned", {"start": 80, "end": 10}),
        ("equal", {"start": 5, "end": 5}),
        ("nan", {"start": float("nan"), "end": 5}),
        ("words", {"start": "low", "end": "high"}),
        ("null", None),
        ("list", [10, 80]),
    ):
        add(
            f"window_{name}",
            "no window, or one that shows nothing",
            "contrast from the values of the coarsest level",
            channels(FULL | {"window": window}, SECOND),
            [first(limits=None), second()],
            may_warn=True,
        )
    for name, label in (("missing", ...), ("empty", "  "), ("null", None)):
        entry = without("label") if label is ... else FULL | {"label": label}
        add(
            f"label_{name}",
            "no name",
            "numbered",
            channels(entry, SECOND),
            [first(name="cells channel 0"), second()],
            may_warn=True,
        )
    add(
        "label_number",
        "a number for a name",
        "as text",
        channels(FULL | {"label": 488}, SECOND),
        [first(name="488"), second()],
        may_warn=True,
    )
    add(
        "same_labels",
        "several channels of one name",
        "so named",
        channels(FULL, SECOND | {"label": "DAPI"}),
        [first(), second(name="DAPI")],
    )
    add(
        "inactive",
        "`active: false`",
        "not visible; if none is active, all are",
        channels(FULL | {"active": False}, SECOND | {"active": True}),
        [first(visible=False), second()],
    )
    add(
        "none_active",
        "`active: false`",
        "not visible; if none is active, all are",
        channels(FULL | {"active": False}, SECOND | {"active": False}),
        [first(), second()],
    )
    add(
        "greyscale",
        "the greyscale model",
        "gray; one channel is visible, as in OMERO",
        channels(FULL, SECOND, rdefs={"model": "greyscale", "defaultT": 0, "defaultZ": 0}),
        [first(color="gray"), second(color="gray", visible=False)],
    )
    add(
        "color_model",
        "the colour model",
        "their colours",
        channels(FULL, SECOND, rdefs={"model": "color"}),
        [first(), second()],
    )
    add(
        "fewer",
        "fewer channels than the data have",
        "the others as without `omero`",
        channels(FULL),
        [first(), Shown(name="cells channel 1", pixels=CYX[1], color="green")],
        may_warn=True,
    )
    add(
        "more",
        "more channels than the data have",
        "those that are there",
        channels(FULL, SECOND, FULL | {"label": "ghost"}),
        [first(), second()],
        may_warn=True,
    )
    add(
        "no_channel_axis",
        "`omero` without a channel axis",
        "its name, colour and contrast count for the image",
        omero({"channels": [FULL]}, axes="yx", shape=(8, 6)),
        [Shown(name="DAPI", pixels=ramp((8, 6)), color="blue", limits=(10, 80))],
        may_warn=True,
    )
    for name, content in (
        ("null", None),
        ("list", []),
        ("empty", {}),
        ("no_channels", {"id": 1}),
        ("channels_null", {"channels": None}),
        ("channels_empty", {"channels": []}),
        ("channels_text", {"channels": ["DAPI", 5]}),
    ):
        add(
            f"nonsense_{name}",
            "`omero` that says nothing",
            "as without it",
            omero(content),
            [
                Shown(name="cells channel 0", pixels=CYX[0], color="magenta"),
                Shown(name="cells channel 1", pixels=CYX[1], color="green"),
            ],
            may_warn=True,
        )
    add(
        "constant",
        "an image of one value",
        "a contrast that napari can show",
        lambda folder: image(folder / "a.zarr", values=np.full((8, 6), 7, "uint16")),
        [Shown(name="cells", pixels=np.full((8, 6), 7))],
    )
    add(
        "nan",
        "an image with values that are no numbers",
        "contrast from those that are",
        _with_nan,
        [Shown(name="cells", shape=(8, 6))],
        check=_finite_limits,
    )
    return found


def _with_nan(folder: Path) -> Path:
    values = ramp((8, 6), "float32")
    values[0, :] = np.nan
    values[1, 0] = np.inf
    return image(folder / "a.zarr", values=values)


def _finite_limits(layers: Opened) -> None:
    low, high = layers[0][1]["contrast_limits"]
    assert 6 <= low < 15
    assert 40 < high <= 47
