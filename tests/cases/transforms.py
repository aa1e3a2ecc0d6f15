"""Where voxels lie: transforms of levels, of multiscales, and the twelve types of 0.6."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_ome_ngff import OmeNgffError, OptionError

from .build import array, axes_of, change, image, ramp
from .nouns import Case, Shown

YX = ramp((8, 6))
ZYX = ramp((3, 8, 6))


def stepwise(datasets: Sequence[Sequence[Any] | None], outer: Any = None, version: str = "0.4") -> Any:
    """A 2-D image with these transforms of levels and of the multiscale."""

    def make(folder: Path) -> Path:
        levels = len(datasets)
        store = image(folder / "a.zarr", version=version, levels=levels, scale=None)

        def edit(ome: dict[str, Any]) -> None:
            entry = ome["multiscales"][0]
            for dataset, steps in zip(entry["datasets"], datasets, strict=True):
                if steps is not None:
                    dataset["coordinateTransformations"] = [_transform(step) for step in steps]
            if outer is not None:
                entry["coordinateTransformations"] = [_transform(step) for step in outer]

        return change(store, edit)

    return make


def _transform(step: Any) -> Any:
    """("scale", [2, 3]) as JSON."""
    if isinstance(step, tuple):
        return {"type": step[0]} | ({step[0]: step[1]} if len(step) > 1 else {})
    return step


def flat(places: Mapping[tuple[int, ...], tuple[float, ...]], levels: int = 1, **more: Any) -> list[Shown]:
    return [Shown(name="cells", pixels=YX, levels=levels, axes=("y", "x"), places=places, **more)]


def turned(places: Mapping[tuple[int, ...], tuple[float, ...]], **more: Any) -> list[Shown]:
    """An image of which napari may be given the axes in another order."""
    where = {int(YX[index]): place for index, place in places.items()}
    return [Shown(name="cells", axes=("y", "x"), where=where, **more)]


def systems(
    transform: Mapping[str, Any],
    *,
    axes: str = "yx",
    into: str | None = None,
    shape: Sequence[int] = (8, 6),
    scale: Sequence[float] = (0.5, 0.25),
    parameters: Mapping[str, np.ndarray[Any, Any]] | None = None,
    backwards: bool = False,
) -> Any:
    """A 0.6 image whose system "physical" is tied to the system "world" by a transform."""

    def make(folder: Path) -> Path:
        store = image(folder / "a.zarr", version="0.6", axes=axes, shape=shape, scale=scale)
        for path, values in (parameters or {}).items():
            array(store / path, values, zarr=3)

        def edit(ome: dict[str, Any]) -> None:
            entry = ome["multiscales"][0]
            entry["coordinateSystems"].append({"name": "world", "axes": axes_of(into or axes)})
            ends = ("world", "physical") if backwards else ("physical", "world")
            entry["coordinateTransformations"] = [
                {"input": {"name": ends[0]}, "output": {"name": ends[1]}, **transform}
            ]

        return change(store, edit)

    return make


def field(kind: str) -> Any:
    """A displacement or coordinate field, as the specification stores it."""

    def make(folder: Path) -> Path:
        path = "coordinateTransformations/field"
        store = systems({"type": f"{kind}s", "path": path, "interpolation": "linear"})(folder)
        axes = [{"name": "d", "type": kind, "discrete": True}, *axes_of("yx")]
        values = ramp((2, 4, 3), "float32")
        image(store / path, version="0.6", axes=axes, shape=values.shape, values=values)
        return store

    return make


def many_systems(folder: Path) -> Path:
    """Three systems besides the intrinsic one, one of them two steps away."""
    store = image(folder / "a.zarr", version="0.6", scale=(0.5, 0.25))

    def edit(ome: dict[str, Any]) -> None:
        entry = ome["multiscales"][0]
        entry["coordinateSystems"] += [{"name": n, "axes": axes_of("yx")} for n in ("stage", "atlas", "lost")]
        entry["coordinateTransformations"] = [
            {
                "type": "translation",
                "translation": [10, 20],
                "input": {"name": "physical"},
                "output": {"name": "stage"},
            },
            {"type": "scale", "scale": [2, 2], "input": {"name": "stage"}, "output": {"name": "atlas"}},
        ]

    return change(store, edit)


def doubled_names(folder: Path) -> Path:
    """The `output` of the levels names a system that is not there."""
    store = image(folder / "a.zarr", version="0.6", scale=(0.5, 0.25))

    def edit(ome: dict[str, Any]) -> None:
        ome["multiscales"][0]["coordinateSystems"][0]["name"] = "other"

    return change(store, edit)


TYPES: tuple[tuple[str, dict[str, Any], dict[tuple[int, ...], tuple[float, ...]]], ...] = (
    # voxel (7, 5) lies at (3.5, 1.25) in "physical"
    ("identity", {"type": "identity"}, {(7, 5): (3.5, 1.25)}),
    ("translation", {"type": "translation", "translation": [10, 20]}, {(7, 5): (13.5, 21.25)}),
    ("scale", {"type": "scale", "scale": [2, 4]}, {(7, 5): (7, 5)}),
    (
        "rotation",
        {"type": "rotation", "rotation": [[0, -1], [1, 0]]},
        {(7, 5): (-1.25, 3.5), (0, 4): (-1, 0)},
    ),
    (
        "affine",
        {"type": "affine", "affine": [[1, 2, 10], [0, 1, 20]]},
        {(0, 0): (10, 20), (7, 5): (16, 21.25)},
    ),
    (
        "sequence",
        {
            "type": "sequence",
            "transformations": [
                {"type": "translation", "translation": [1, 1]},
                {"type": "scale", "scale": [2, 3]},
            ],
        },
        {(7, 5): (9, 6.75), (0, 0): (2, 3)},
    ),
    (
        "nested_sequence",
        {
            "type": "sequence",
            "transformations": [
                {
                    "type": "sequence",
                    "transformations": [
                        {"type": "rotation", "rotation": [[0, -1], [1, 0]]},
                        {"type": "translation", "translation": [100, 0]},
                    ],
                },
                {"type": "scale", "scale": [2, 2]},
            ],
        },
        {(7, 5): (197.5, 7), (0, 0): (200, 0)},
    ),
    ("mapAxis", {"type": "mapAxis", "mapAxis": [1, 0]}, {(7, 5): (1.25, 3.5)}),
    (
        "byDimension",
        {
            "type": "byDimension",
            "transformations": [
                {
                    "transformation": {"type": "translation", "translation": [7]},
                    "inputAxes": [0],
                    "outputAxes": [1],
                },
                {"transformation": {"type": "scale", "scale": [8]}, "inputAxes": [1], "outputAxes": [0]},
            ],
        },
        {(7, 5): (10, 10.5), (0, 0): (0, 7)},
    ),
    (
        "bijection",
        {
            "type": "bijection",
            "forward": {"type": "translation", "translation": [1, 2]},
            "inverse": {"type": "translation", "translation": [-1, -2]},
        },
        {(7, 5): (4.5, 3.25)},
    ),
)


def cases() -> list[Case]:
    found: list[Case] = []

    def add(name: str, what: str, result: str, make: Any, layers: Any = (), **more: Any) -> None:
        found.append(
            Case(group="Transforms", name=name, what=what, result=result, make=make, layers=layers, **more)
        )

    s, t = "scale", "translation"
    two = ([(s, [0.5, 0.25]), (t, [10, 20])], [(s, [1, 0.5]), (t, [10.25, 20.125])])
    for version in ("0.4", "0.5"):
        add(
            f"{version}_dataset",
            "scale and translation of the levels",
            "applied",
            stepwise(two, version=version),
            flat({(0, 0): (10, 20), (7, 5): (13.5, 21.25)}, levels=2),
        )
        add(
            f"{version}_both",
            "transforms of the levels and of the multiscale",
            "the levels' first, then the multiscale's",
            stepwise(two, [(s, [10, 100]), (t, [1, 2])], version=version),
            flat({(0, 0): (101, 2002), (7, 5): (136, 2127)}, levels=2),
        )
    add(
        "outer_scale",
        "transforms of the levels and of the multiscale",
        "the levels' first, then the multiscale's",
        stepwise(two, [(s, [10, 100])]),
        flat({(7, 5): (135, 2125)}, levels=2),
    )
    for name, outer in (("empty", []), ("identity", [("identity",)]), ("null", [None])):
        add(
            f"outer_{name}",
            "empty lists and identities",
            "nothing to apply",
            stepwise(two, outer) if name != "null" else _null_outer(two),
            flat({(7, 5): (13.5, 21.25)}, levels=2),
            may_warn=True,
        )
    add(
        "turned_round",
        "a translation before the scale",
        "applied in the order of the file",
        stepwise([[(t, [10, 20]), (s, [0.5, 0.25])]]),
        flat({(0, 0): (5, 5), (7, 5): (8.5, 6.25)}),
        may_warn=True,
    )
    add(
        "two_scales",
        "several scales",
        "applied one after the other",
        stepwise([[(s, [2, 2]), (s, [0.25, 0.125])]]),
        flat({(7, 5): (3.5, 1.25)}),
        may_warn=True,
    )
    add(
        "no_transform",
        "levels of 0.4 and later without a transform",
        "placed over each other by their sizes, with a warning",
        stepwise([None, None]),
        flat({(0, 0): (0, 0), (7, 5): (7, 5)}, levels=2),
        may_warn=True,
    )
    add(
        "one_without",
        "levels of 0.4 and later without a transform",
        "placed over each other by their sizes, with a warning",
        stepwise([[(s, [0.5, 0.25]), (t, [10, 20])], None]),
        flat({(7, 5): (13.5, 21.25)}, levels=2),
        may_warn=True,
    )
    add(
        "negative",
        "an axis that runs backwards (negative scale)",
        "mirrored",
        stepwise([[(s, [-0.5, 0.25])]]),
        flat({(7, 5): (-3.5, 1.25), (0, 0): (0, 0)}),
        may_warn=True,
    )
    add(
        "dataset_path_0.4",
        "numbers of a transform stored in an array, in 0.4",
        "read",
        _stored_scale_04,
        flat({(7, 5): (3.5, 1.25)}),
        may_warn=True,
    )

    for name, transform, places in TYPES:
        known = name.split("_")[-1]
        add(
            f"0.6_{name}",
            f"0.6: {known}" + (" (also nested)" if known == "sequence" else ""),
            "applied when its coordinate system is chosen",
            systems(transform),
            turned(places),
            system="world",
        )
    add(
        "0.6_intrinsic",
        "0.6: several coordinate systems",
        "the image's own, as the specification asks; others in the dock, or by name in scripts",
        systems({"type": "scale", "scale": [100, 100]}),
        flat({(7, 5): (3.5, 1.25)}),
    )
    for system, places in (
        ("physical", {(7, 5): (3.5, 1.25)}),
        ("stage", {(7, 5): (13.5, 21.25)}),
        ("atlas", {(7, 5): (27, 42.5)}),
    ):
        add(
            f"0.6_system_{system}",
            "0.6: several coordinate systems",
            "the image's own, as the specification asks; others in the dock, or by name in scripts",
            many_systems,
            flat(places),
            system=system,
            may_warn=True,
        )
    add(
        "0.6_no_such_system",
        "0.6: a coordinate system that is not there",
        "refused in scripts; the message names those that are",
        many_systems,
        error=OptionError,
        says=("nowhere", "stage", "atlas"),
        system="nowhere",
        may_warn=True,
    )
    add(
        "0.6_wrong_name",
        "0.6: levels in a coordinate system that is not defined",
        "in the one that is, with a warning",
        doubled_names,
        flat({(7, 5): (3.5, 1.25)}),
        may_warn=True,
    )
    add(
        "0.6_inverse",
        "0.6: a transform from the chosen system to the image",
        "inverted",
        systems({"type": "affine", "affine": [[2, 0, 10], [0, 4, 20]]}, backwards=True),
        flat({(0, 0): (-5, -5), (7, 5): (-3.25, -4.6875)}),
        system="world",
    )
    add(
        "0.6_bijection_inverse",
        "0.6: a transform from the chosen system to the image",
        "inverted",
        systems(
            {
                "type": "bijection",
                "forward": {"type": "translation", "translation": [1, 1]},
                "inverse": {"type": "translation", "translation": [10, 10]},
            },
            backwards=True,
        ),
        flat({(7, 5): (13.5, 11.25)}),
        system="world",
    )
    turn = np.array([[0, -1], [1, 0]], "float64")
    for name, transform, values, places in (
        ("scale", {"type": "scale", "path": "p/s"}, np.array([2.0, 4.0]), {(7, 5): (7, 5)}),
        ("translation", {"type": "translation", "path": "p/s"}, np.array([1.0, 2.0]), {(7, 5): (4.5, 3.25)}),
        ("rotation", {"type": "rotation", "path": "p/s"}, turn, {(7, 5): (-1.25, 3.5)}),
        (
            "affine",
            {"type": "affine", "path": "p/s"},
            np.array([[1, 2, 10], [0, 1, 20]], "float32"),
            {(7, 5): (16, 21.25)},
        ),
    ):
        add(
            f"0.6_stored_{name}",
            "0.6: numbers of a transform stored in an array",
            "read",
            systems(transform, parameters={"p/s": values}),
            turned(places),
            system="world",
            may_warn=name in ("scale", "translation"),
        )
    add(
        "0.6_stored_missing",
        "0.6: numbers of a transform that are not there",
        "the image opens in its own system; others are refused in scripts",
        systems({"type": "affine", "path": "p/s"}),
        error=OmeNgffError,
        says=("affine", "world"),
        system="world",
        may_warn=True,
    )
    add(
        "0.6_stored_missing_unused",
        "0.6: numbers of a transform that are not there",
        "the image opens in its own system; others are refused in scripts",
        systems({"type": "affine", "path": "p/s"}),
        flat({(7, 5): (3.5, 1.25)}),
        may_warn=True,
    )
    matrix = [[1, 0, 0, 0, 0], [0, 1, 0, 0, 5], [0, 0, 0, -1, 10], [0, 0, 1, 0, 20]]
    values = ramp((2, 3, 8, 6))
    add(
        "0.6_channels",
        "0.6: channel axes inside matrices",
        "channels stay channels, the rest is placed",
        systems(
            {"type": "affine", "affine": matrix},
            axes="czyx",
            shape=values.shape,
            scale=(1, 2, 0.5, 0.25),
        ),
        [
            Shown(
                name=f"cells channel {c}",
                axes=("z", "y", "x"),
                where={int(values[c, 0, 0, 0]): (5, 10, 20), int(values[c, 2, 7, 5]): (9, 8.75, 23.5)},
            )
            for c in range(2)
        ],
        system="world",
    )
    add(
        "0.6_rotation_3d",
        "0.6: rotation",
        "applied when its coordinate system is chosen",
        systems(
            {"type": "rotation", "rotation": [[0, 0, 1], [1, 0, 0], [0, 1, 0]]},
            axes="zyx",
            shape=(3, 8, 6),
            scale=(2, 0.5, 0.25),
        ),
        [
            Shown(
                name="cells",
                axes=("z", "y", "x"),
                where={4: (1, 0, 0), int(ZYX[2, 0, 0]): (0, 4, 0), int(ZYX[0, 2, 0]): (0, 0, 1)},
            )
        ],
        system="world",
    )
    add(
        "0.6_projectAxis_create",
        "0.6: projectAxis",
        "an axis more is one voxel; an axis less is left out",
        systems({"type": "projectAxis", "createdOutputs": [0]}, into="zyx"),
        [
            Shown(
                name="cells",
                pixels=YX[np.newaxis],
                axes=("z", "y", "x"),
                places={(0, 7, 5): (0, 3.5, 1.25)},
            )
        ],
        system="world",
        may_warn=True,
    )
    add(
        "0.6_projectAxis_drop",
        "0.6: projectAxis",
        "an axis more is one voxel; an axis less is left out",
        systems(
            {"type": "projectAxis", "droppedInputs": [0]},
            axes="cyx",
            into="yx",
            shape=(2, 8, 6),
            scale=(1, 0.5, 0.25),
        ),
        [
            Shown(
                name=f"cells channel {c}",
                pixels=ramp((2, 8, 6))[c],
                axes=("y", "x"),
                places={(7, 5): (3.5, 1.25)},
            )
            for c in range(2)
        ],
        system="world",
        may_warn=True,
    )
    for kind in ("displacement", "coordinate"):
        add(
            f"0.6_{kind}s",
            "0.6: displacement and coordinate fields",
            "the image is shown without them, with a warning",
            field(kind),
            flat({(7, 5): (3.5, 1.25)}),
            system="world",
            warns=(kind,),
        )
    add(
        "0.6_unknown",
        "0.6: transforms of an unknown type",
        "the image opens in its own system; others are refused in scripts",
        systems({"type": "swirl", "angle": 3}),
        error=OmeNgffError,
        says=("swirl",),
        system="world",
        may_warn=True,
    )
    add(
        "0.6_unknown_unused",
        "0.6: transforms to systems that were not asked for",
        "kept for saving",
        systems({"type": "swirl", "angle": 3}),
        flat({(7, 5): (3.5, 1.25)}),
        may_warn=True,
    )
    return found


def _null_outer(datasets: Any) -> Any:
    def make(folder: Path) -> Path:
        store = stepwise(datasets)(folder)
        return change(store, lambda ome: ome["multiscales"][0].update(coordinateTransformations=None))

    return make


def _stored_scale_04(folder: Path) -> Path:
    store = stepwise([[{"type": "scale", "path": "numbers"}]])(folder)
    array(store / "numbers", np.array([0.5, 0.25]))
    return store
