"""Scenes of 0.6: several images in one coordinate system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_ome_ngff import OmeNgffError

from .build import array, axes_of, group, image, ramp, wrapped
from .nouns import Case, Shown

YX = ramp((8, 6))


def link(start: str, end: str, **transform: Any) -> dict[str, Any]:
    """From "a:physical" (system of the image a) to "world" (system of the scene)."""

    def ref(text: str) -> dict[str, str]:
        path, _, name = text.rpartition(":")
        return {"name": name} | ({"path": path} if path else {})

    return {"input": ref(start), "output": ref(end), **transform}


def scene(
    links: Sequence[Mapping[str, Any]],
    members: Mapping[str, Mapping[str, Any]] | Sequence[str] = ("a", "b"),
    *,
    systems: Mapping[str, str] | None = None,
    parameters: Mapping[str, np.ndarray[Any, Any]] | None = None,
) -> Any:
    """A scene. Every image is 8 x 6 with scale (0.5, 0.25) unless `members` says otherwise."""

    def make(folder: Path) -> Path:
        store = folder / "scene.zarr"
        options = members if isinstance(members, Mapping) else {key: {} for key in members}
        for path, more in options.items():
            image(
                store / path, **({"version": "0.6", "scale": (0.5, 0.25), "name": path.split("/")[-1]} | more)
            )
        for path, values in (parameters or {}).items():
            array(store / path, values, zarr=3)
        content: dict[str, Any] = {"coordinateTransformations": list(links)}
        known = {"world": "yx"} if systems is None else systems
        if known:
            content["coordinateSystems"] = [{"name": n, "axes": axes_of(a)} for n, a in known.items()]
        return group(store, wrapped("0.6", {"scene": content}), zarr=3)

    return make


def tile(name: str, places: Mapping[Any, Any], **more: Any) -> Shown:
    return Shown(name=name, pixels=YX, axes=("y", "x"), places=places, **more)


def shift(*by: float) -> dict[str, Any]:
    return {"type": "translation", "translation": list(by)}


TWO = [
    link("a:physical", "world", **shift(10, 20)),
    link("b:physical", "world", type="affine", affine=[[0, -1, 0], [1, 0, 100]]),
]
A = tile("a", {(0, 0): (10, 20), (7, 5): (13.5, 21.25)})
B = Shown(name="b", axes=("y", "x"), where={0: (0, 100), 47: (-1.25, 103.5)})


def labelled(folder: Path) -> Path:
    store = scene(TWO)(folder)
    group(store / "a/labels", wrapped("0.6", {"labels": ["nuclei"]}), zarr=3)
    image(
        store / "a/labels/nuclei",
        version="0.6",
        scale=(0.5, 0.25),
        dtype="uint8",
        name="nuclei",
        beside={"image-label": {}},
    )
    return store


def cases() -> list[Case]:
    found: list[Case] = []

    def add(name: str, what: str, result: str, make: Any, layers: Any = (), **more: Any) -> None:
        found.append(
            Case(group="Scenes", name=name, what=what, result=result, make=make, layers=layers, **more)
        )

    add(
        "two",
        "images tied to a coordinate system of the scene",
        "all of them, each in its place",
        scene(TWO),
        [A, B],
    )
    add(
        "labels",
        "images with label images",
        "label images lie over their image",
        labelled,
        [
            A,
            tile("a: nuclei", A.places, kind="labels"),
            B,
        ],
    )
    add(
        "turned_links",
        "transforms that lead the other way",
        "inverted",
        scene([link("world", "a:physical", **shift(-10, -20)), TWO[1]]),
        [A, B],
    )
    chain = [
        link("a:physical", "stage", **shift(10, 20)),
        link("stage", "world", type="scale", scale=[2, 2]),
        link("b:physical", "a:physical", **shift(1, 2)),
    ]
    add(
        "chain",
        "images tied to each other, or over several systems",
        "the transforms on the way are put together",
        scene(chain, systems={"world": "yx", "stage": "yx"}),
        [
            tile("a", {(0, 0): (20, 40), (7, 5): (27, 42.5)}),
            tile("b", {(0, 0): (22, 44), (7, 5): (29, 46.5)}),
        ],
    )
    add(
        "chosen",
        "several systems of the scene",
        "the first, as the specification asks; others in the dock, or by name in scripts",
        scene(chain, systems={"world": "yx", "stage": "yx"}),
        [
            tile("a", {(0, 0): (10, 20), (7, 5): (13.5, 21.25)}),
            tile("b", {(0, 0): (11, 22), (7, 5): (14.5, 23.25)}),
        ],
        system="stage",
    )
    add(
        "no_systems",
        "images tied to each other, without a system of the scene",
        "in the system of the first of them",
        scene([link("a:physical", "b:physical", **shift(10, 20))], systems={}),
        [
            tile("a", {(0, 0): (0, 0)}),
            tile("b", {(0, 0): (-10, -20), (7, 5): (-6.5, -18.75)}),
        ],
        may_warn=True,
    )
    add(
        "cycle",
        "a circle of transforms",
        "the shortest way counts",
        scene(
            [
                *TWO[:1],
                link("b:physical", "a:physical", **shift(1, 2)),
                link("world", "b:physical", **shift(-11, -22)),
            ]
        ),
        [A, tile("b", {(0, 0): (11, 22)})],
        may_warn=True,
    )
    add(
        "wrong_cycle",
        "a circle of transforms",
        "the shortest way counts",
        scene(
            [
                *TWO[:1],
                link("b:physical", "a:physical", **shift(1, 2)),
                link("b:physical", "world", **shift(50, 50)),
            ]
        ),
        [A, tile("b", {(0, 0): (50, 50)})],
        may_warn=True,
    )
    add(
        "disconnected",
        "an image that nothing ties to the system that is shown",
        "shown in its own system; it is named in a warning",
        scene(
            [TWO[0], link("b:physical", "elsewhere", **shift(1, 1))],
            systems={"world": "yx", "elsewhere": "yx"},
        ),
        [A, tile("b", {(0, 0): (0, 0), (7, 5): (3.5, 1.25)})],
        warns=("b",),
        may_warn=True,
    )
    add(
        "missing_member",
        "an image that is not there",
        "the others are shown; it is named in a warning",
        scene(TWO, ["a"]),
        [A],
        warns=("b",),
    )
    add(
        "no_member",
        "no image that is there",
        "refused",
        scene(TWO, []),
        error=OmeNgffError,
        says=("image",),
        may_warn=True,
    )
    add("empty", "no transforms", "refused", scene([]), error=OmeNgffError, may_warn=True)
    add(
        "stored",
        "numbers of a transform stored in an array",
        "read",
        scene(
            [
                TWO[0],
                link("b:physical", "world", type="affine", path="coordinateTransformations/m"),
            ],
            parameters={"coordinateTransformations/m": np.array([[0, -1, 0], [1, 0, 100]], "float64")},
        ),
        [A, B],
    )
    add(
        "field",
        "a displacement field",
        "the image is shown without it, with a warning",
        scene(
            [
                TWO[0],
                link(
                    "b:physical",
                    "world",
                    type="sequence",
                    transformations=[
                        {"type": "displacements", "path": "coordinateTransformations/d"},
                        shift(100, 200),
                    ],
                ),
            ]
        ),
        [A, tile("b", {(0, 0): (100, 200)})],
        warns=("displacement",),
    )
    add(
        "systems_of_members",
        "transforms from further systems of the images",
        "placed through them",
        _through_a_members_system,
        [tile("a", {(0, 0): (100, 0), (7, 5): (107, 2.5)})],
    )
    add(
        "nested",
        "images in folders, with channels",
        "all of them, each in its place",
        scene(
            [
                link(
                    "raw/left:physical",
                    "world",
                    type="affine",
                    affine=[[1, 0, 0, 0], [0, 1, 0, 5], [0, 0, 1, 6]],
                )
            ],
            {"raw/left": {"axes": "cyx", "shape": (2, 8, 6), "scale": (1, 0.5, 0.25)}},
            systems={"world": "cyx"},
        ),
        [
            Shown(
                name=f"left channel {c}",
                pixels=ramp((2, 8, 6))[c],
                axes=("y", "x"),
                places={(0, 0): (5, 6), (7, 5): (8.5, 7.25)},
            )
            for c in range(2)
        ],
    )
    add(
        "member",
        "an image of a scene, opened by itself",
        "in its own system",
        _member,
        [tile("b", {(0, 0): (0, 0), (7, 5): (3.5, 1.25)})],
    )
    return found


def _member(folder: Path) -> Path:
    return scene(TWO)(folder) / "b"


def _through_a_members_system(folder: Path) -> Path:
    from .build import change

    store = scene([link("a:pixels", "world", **shift(100, 0))], ["a"])(folder)

    def edit(ome: dict[str, Any]) -> None:
        entry = ome["multiscales"][0]
        entry["coordinateSystems"].append({"name": "pixels", "axes": axes_of("yx")})
        entry["coordinateTransformations"] = [link("physical", "pixels", type="scale", scale=[2, 2])]

    change(store / "a", edit)
    return store
