"""Axes: any subset, any order, and what people leave out."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_ome_ngff import OmeNgffError

from .build import array, change, group, image, multiscales, ramp
from .nouns import Case, Shown

SIZES = {"t": 2, "c": 3, "z": 4, "y": 8, "x": 6}
SCALES = {"t": 2.0, "c": 1.0, "z": 3.0, "y": 0.5, "x": 0.25}
UNITS = {"t": "second", "z": "micrometer", "y": "micrometer", "x": "micrometer"}
ORDERS = [
    "".join(order)
    for size in range(4)
    for others in itertools.combinations("tcz", size)
    for order in itertools.permutations((*others, "y", "x"))
]
"""All orders of all subsets of t, c, z, y, x that have y and x."""


def ordered(axes: str) -> Any:
    def make(folder: Path) -> Path:
        return image(
            folder / "a.zarr",
            axes=axes,
            shape=[SIZES[name] for name in axes],
            levels=2,
            scale=[SCALES[name] for name in axes],
        )

    return make


def ordered_layers(axes: str) -> tuple[Shown, ...]:
    """Channels apart, then t, z, y, x: the last three are the ones that 3D shows."""
    shown = [name for name in "tzyx" if name in axes]
    values = ramp([SIZES[name] for name in axes])
    places = {
        tuple(SIZES[name] - 1 for name in shown): tuple((SIZES[name] - 1) * SCALES[name] for name in shown)
    }
    layers = []
    for c in range(3) if "c" in axes else [None]:
        part, names = values, list(axes)
        if c is not None:
            part = np.take(values, c, axis=axes.index("c"))
            names.remove("c")
        layers.append(
            Shown(
                name="cells" if c is None else f"cells channel {c}",
                pixels=np.transpose(part, [names.index(name) for name in shown]),
                levels=2,
                axes=shown,
                units=[UNITS[name] for name in shown],
                places=places,
            )
        )
    return tuple(layers)


def with_axes(axes: Sequence[Any], shape: Sequence[int], scale: Sequence[float] | None = None) -> Any:
    """An image of one level with axes as given."""

    def make(folder: Path) -> Path:
        array(folder / "a.zarr/0", ramp(shape))
        level = {"path": "0", "scale": scale or [1] * len(shape)}
        return group(folder / "a.zarr", {"multiscales": [multiscales("0.4", axes, [level])]})

    return make


def without_axes(folder: Path) -> Path:
    store = image(folder / "a.zarr", axes="zyx", shape=(3, 8, 6), scale=(2, 0.5, 0.5))
    return change(store, lambda ome: ome["multiscales"][0].pop("axes"))


def y(**more: Any) -> dict[str, Any]:
    return {"name": "y", "type": "space", **more}


def x(**more: Any) -> dict[str, Any]:
    return {"name": "x", "type": "space", **more}


def split(values: np.ndarray[Any, Any], **more: Any) -> tuple[Shown, ...]:
    return tuple(Shown(name=f"cells channel {c}", pixels=values[c], **more) for c in range(len(values)))


YX = ramp((8, 6))
STACK = ramp((3, 8, 6))


def cases() -> list[Case]:
    found: list[Case] = []

    def add(name: str, what: str, result: str, make: Any, layers: Any = (), **more: Any) -> None:
        found.append(
            Case(group="Axes", name=name, what=what, result=result, make=make, layers=layers, **more)
        )

    for axes in ORDERS:
        add(
            axes,
            "t, c, z, y, x: any subset with y and x, in any order",
            "one layer per channel; y and x are displayed, with z in 3D, whatever their place in the file",
            ordered(axes),
            ordered_layers(axes),
            may_warn=True,  # most of these orders are not allowed
        )
    kept = "kept as a slider"
    add(
        "custom_type",
        "an axis of a custom type, or of none",
        kept,
        with_axes([{"name": "angle", "type": "phase"}, y(), x()], (3, 8, 6), [5, 1, 1]),
        [Shown(name="cells", pixels=STACK, axes=("angle", "y", "x"), places={(2, 0, 0): (10, 0, 0)})],
    )
    add(
        "no_type",
        "an axis of a custom type, or of none",
        kept,
        with_axes([{"name": "angle"}, {"name": "y"}, {"name": "x"}], (3, 8, 6)),
        [Shown(name="cells", pixels=STACK, axes=("angle", "y", "x"))],
        may_warn=True,
    )
    add(
        "c_without_type",
        "an axis `c` without a type",
        "channels",
        with_axes([{"name": "c"}, {"name": "y"}, {"name": "x"}], (3, 8, 6)),
        split(STACK, axes=("y", "x")),
        may_warn=True,
    )
    add(
        "channel_by_type",
        "a channel axis of any name",
        "channels",
        with_axes([{"name": "lambda", "type": "channel"}, y(), x()], (3, 8, 6)),
        split(STACK, axes=("y", "x")),
    )
    add(
        "channel_and_custom",
        "channels and a custom axis",
        "channels; the other is a slider",
        with_axes(
            [{"name": "round", "type": "round"}, {"name": "c", "type": "channel"}, y(), x()], (2, 3, 8, 6)
        ),
        [
            Shown(name=f"cells channel {c}", pixels=ramp((2, 3, 8, 6))[:, c], axes=("round", "y", "x"))
            for c in range(3)
        ],
        may_warn=True,
    )
    add(
        "spectrum",
        "more than 64 channels",
        "a slider, not 200 layers",
        with_axes([{"name": "c", "type": "channel"}, y(), x()], (200, 8, 6)),
        [Shown(name="cells", pixels=ramp((200, 8, 6)), axes=("c", "y", "x"))],
        may_warn=True,
    )
    add(
        "no_names",
        "axes without names",
        "named by their places, with a warning",
        with_axes([{"type": "space"}, {"type": "space"}], (8, 6)),
        [Shown(name="cells", pixels=YX)],
        may_warn=True,
    )
    add(
        "no_axes",
        "no axes at all",
        "taken as the last of t, c, z, y, x, with a warning",
        without_axes,
        [
            Shown(
                name="cells",
                pixels=STACK,
                axes=("z", "y", "x"),
                places={(2, 7, 5): (4, 3.5, 2.5)},
            )
        ],
        may_warn=True,
    )
    add(
        "other_names",
        "spatial axes with other names",
        "the last two are displayed",
        with_axes(
            [
                {"name": "depth", "type": "space"},
                {"name": "row", "type": "space"},
                {"name": "col", "type": "space"},
            ],
            (3, 8, 6),
        ),
        [Shown(name="cells", pixels=STACK, axes=("depth", "row", "col"))],
    )
    add(
        "capitals",
        "`Z`, `Y`, `X` in capitals",
        "as y and x",
        with_axes([{"name": n, "type": "space"} for n in "XYZ"], (3, 8, 6)),
        [Shown(name="cells", pixels=STACK.transpose(2, 1, 0), axes=("Z", "Y", "X"))],
        may_warn=True,
    )
    add(
        "double_names",
        "two axes with one name",
        "refused, or told apart with a warning",
        with_axes([y(), y()], (8, 6)),
        [Shown(name="cells", pixels=YX)],
        may_warn=True,
    )
    seconds, still = {"type": "time", "unit": "second"}, Shown(name="cells", pixels=ramp((2, 3, 8, 6)))
    add(
        "two_times",
        "two axes of time",
        "both as sliders, each with its unit, with a warning",
        with_axes([{"name": "t", **seconds}, {"name": "tau", **seconds}, y(), x()], (2, 3, 8, 6)),
        [replace(still, axes=("t", "tau", "y", "x"))],
        warns=("at most one axis may be of type 'time'",),
    )
    for kind in (None, "detector"):
        more = {} if kind is None else {"type": kind}
        add(
            f"scan_{kind}",
            "axes of a detector after those of space",
            "as sliders: y and x are displayed, with a warning",
            with_axes([y(), x(), {"name": "dy", **more}, {"name": "dx", **more}], (2, 3, 8, 6)),
            [replace(still, pixels=ramp((2, 3, 8, 6)).transpose(2, 3, 0, 1), axes=("dy", "dx", "y", "x"))],
            warns=("at most one axis",),
        )
    for size in (6, 7):
        names = "abtzyx" if size == 6 else "abdtzyx"
        add(
            f"{size}d",
            "more than five axes",
            "all of them, as sliders",
            with_axes([{"name": n} for n in names], [2] * (size - 2) + [8, 6]),
            [Shown(name="cells", pixels=ramp([2] * (size - 2) + [8, 6]), axes=tuple(names))],
            may_warn=True,
        )
    add(
        "1d",
        "one axis",
        "refused: napari shows two and more",
        with_axes([x()], (6,)),
        error=OmeNgffError,
        says=("two",),
        may_warn=True,
    )
    for name, unit, shown in (
        ("um", "um", "micrometer"),
        ("micro_sign", "µm", "micrometer"),
        ("greek_mu", "μm", "micrometer"),
        ("plural", "micrometers", "micrometer"),
        ("british", "micrometre", "micrometer"),
        ("angstrom", "angstrom", "angstrom"),
    ):
        add(
            f"unit_{name}",
            "abbreviated and misspelt units",
            "understood",
            with_axes([y(unit=unit), x(unit=unit)], (8, 6), [0.5, 0.5]),
            [Shown(name="cells", units=(shown, shown), places={(2, 2): (1, 1)})],
            may_warn=True,
        )
    for name, unit in (
        ("null", None),
        ("pixel", "pixel"),
        ("nonsense", "a.u."),
        ("number", 5),
        ("empty", ""),
    ):
        add(
            f"unit_{name}",
            "no unit, or one that nobody knows",
            "shown as pixels; kept for saving",
            with_axes([y(unit=unit), x(unit=unit)], (8, 6), [0.5, 0.5]),
            [Shown(name="cells", units=("pixel", "pixel"), places={(2, 2): (1, 1)})],
            may_warn=True,
        )
    add(
        "size_one",
        "axes of size 1",
        "kept, with their scale",
        with_axes("tczyx", (1, 1, 1, 8, 6), [1, 1, 3, 1, 1]),
        [
            Shown(
                name="cells",
                pixels=ramp((1, 1, 8, 6)),
                axes=("t", "z", "y", "x"),
                places={(0, 0, 7, 5): (0, 0, 7, 5)},
            )
        ],
    )
    return found
