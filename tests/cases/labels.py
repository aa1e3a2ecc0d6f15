"""Label images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .build import group, image, multiscales, ramp, wrapped
from .nouns import Case, Shown

IDS = (ramp((8, 6)) // 6 % 4).astype("uint8")
"""Four labels, 0 to 3."""

ZYX = ramp((4, 8, 6))


def labelled(
    labels: Mapping[str, Mapping[str, Any] | None],
    *,
    listed: Sequence[str] | None = None,
    version: str = "0.4",
    opened: str = "",
    **options: Any,
) -> Any:
    """An image "cells" (8 x 6 at 0.5 um by default) with label images; None: listed but missing."""

    def make(folder: Path) -> Path:
        store = image(folder / "a.zarr", **({"version": version, "scale": (0.5, 0.5)} | options))
        zarr = 2 if version == "0.4" else 3
        names = list(labels) if listed is None else list(listed)
        group(store / "labels", wrapped(version, {"labels": names}), zarr=zarr)
        for name, more in labels.items():
            if more is not None:
                known = {"version": version, "values": IDS, "scale": (0.5, 0.5), "name": name}
                image(store / "labels" / name, **({"beside": {"image-label": {}}} | known | more))
        return store / opened if opened else store

    return make


CELLS = Shown(name="cells", pixels=ramp((8, 6)), places={(7, 5): (3.5, 2.5)})
VOLUME = Shown(
    name="cells", pixels=ZYX, axes=("z", "y", "x"), places={(0, 0, 0): (0, 0, 0), (3, 7, 5): (6, 3.5, 2.5)}
)


def nuclei(**more: Any) -> Shown:
    known: dict[str, Any] = {"name": "nuclei", "kind": "labels", "pixels": IDS}
    known |= {"axes": ("y", "x"), "units": ("micrometer", "micrometer"), "places": {(7, 5): (3.5, 2.5)}}
    return Shown(**(known | more))


def says(**content: Any) -> dict[str, Any]:
    return {"beside": {"image-label": content}}


def volume(label: Mapping[str, Any]) -> Any:
    return labelled({"nuclei": label}, axes="zyx", shape=(4, 8, 6), scale=(2, 0.5, 0.5))


def cases() -> list[Case]:
    found: list[Case] = []

    def add(name: str, what: str, result: str, make: Any, layers: Any, **more: Any) -> None:
        found.append(
            Case(group="Labels", name=name, what=what, result=result, make=make, layers=layers, **more)
        )

    for version in ("0.4", "0.5", "0.6"):
        add(
            f"plain_{version}",
            "label images of an image",
            "Labels layers over it, with its units",
            labelled({"nuclei": {}}, version=version),
            [CELLS, nuclei()],
        )
    add(
        "two",
        "label images of an image",
        "Labels layers over it, with its units",
        labelled({"nuclei": {}, "membranes": {"values": IDS[::-1]}}),
        [CELLS, nuclei(), nuclei(name="membranes", pixels=IDS[::-1])],
    )
    colors = [
        {"label-value": 1, "rgba": [255, 0, 0, 255]},
        {"label-value": 2, "rgba": [0, 255, 0, 51]},
        {"label-value": 3, "rgb": [1, 2, 3]},
        {"label-value": 7, "rgba": [0, 0, 255, 255]},
        {"rgba": [9, 9, 9, 9]},
        "nonsense",
    ]
    add(
        "colors",
        "colours",
        "used; labels without one are gray",
        labelled({"nuclei": says(colors=colors)}),
        [CELLS, nuclei(colors={1: (1, 0, 0, 1), 2: (0, 1, 0, 0.2), 7: (0, 0, 1, 1)})],
        may_warn=True,
    )
    rows = [
        {"label-value": 1, "area": 12, "class": "round"},
        {"label-value": 3, "area": 4.5},
        {"label-value": 99, "class": "gone"},
    ]
    features = {"index": [1, 3, 99], "area": [12, 4.5, None], "class": ["round", None, "gone"]}
    add(
        "properties",
        "properties",
        "a table of features, also for labels that are not in the data",
        labelled({"nuclei": says(properties=rows)}),
        [CELLS, nuclei(features=features)],
    )
    add(
        "ids_differ",
        "colours and properties of different labels",
        "each where it belongs",
        labelled({"nuclei": says(properties=rows[1:2], colors=colors[:1])}),
        [CELLS, nuclei(features={"index": [3], "area": [4.5]}, colors={1: (1, 0, 0, 1)})],
    )
    for name, content in (
        ("null", None),
        ("list", []),
        ("text", "x"),
        ("inside", {"colors": {}, "properties": 5}),
    ):
        add(
            f"image_label_{name}",
            "`image-label` missing or without sense",
            "labels all the same",
            labelled({"nuclei": {"beside": {"image-label": content}}}),
            [CELLS, nuclei()],
            may_warn=True,
        )
    add(
        "no_image_label",
        "`image-label` missing or without sense",
        "labels all the same",
        labelled({"nuclei": {"beside": {}}}),
        [CELLS, nuclei()],
        may_warn=True,
    )
    add(
        "nested",
        "label images in folders",
        "opened by their paths",
        labelled({"round 1/nuclei": {"name": None}}),
        [CELLS, nuclei(name="round 1/nuclei")],
    )
    add(
        "unsorted",
        "label images in any order",
        "in the order of the list",
        labelled({"b": {"name": None}, "a": {"name": None}}),
        [CELLS, nuclei(name="b"), nuclei(name="a")],
    )
    add(
        "levels",
        "other numbers of levels than the image",
        "its own levels",
        labelled({"nuclei": {"levels": 3}}, levels=2),
        [Shown(name="cells", pixels=ramp((8, 6)), levels=2), nuclei(levels=3)],
        may_warn=True,
    )
    add(
        "smaller",
        "other shapes than the image",
        "placed by their own transforms",
        labelled({"nuclei": {"values": IDS[::2, ::2], "scale": (1, 1), "translation": (0.25, 0.25)}}),
        [CELLS, nuclei(pixels=IDS[::2, ::2], places={(0, 0): (0.25, 0.25), (3, 2): (3.25, 2.25)})],
    )
    add(
        "fewer_axes",
        "fewer axes than the image",
        "over all of the image along those that they lack",
        volume({}),
        [VOLUME, nuclei()],
        may_warn=True,
    )
    stack = np.stack([IDS, IDS])
    add(
        "fewer_axes_between",
        "fewer axes than the image",
        "over all of the image along those that they lack",
        labelled(
            {"nuclei": {"axes": "tyx", "values": stack, "scale": (3, 0.5, 0.5)}},
            axes="tzyx",
            shape=(2, 4, 8, 6),
            scale=(3, 2, 0.5, 0.5),
        ),
        [
            Shown(name="cells", pixels=ramp((2, 4, 8, 6)), places={(1, 3, 7, 5): (3, 6, 3.5, 2.5)}),
            nuclei(
                pixels=stack[:, None],
                axes=("t", "z", "y", "x"),
                units=("second", *["micrometer"] * 3),
                places={(1, 0, 7, 5): (3, 3, 3.5, 2.5)},
            ),
        ],
        may_warn=True,
    )
    add(
        "3d_over_5d",
        "fewer axes than the image",
        "over all of the image along those that they lack",
        labelled(
            {"nuclei": {"axes": "zyx", "values": np.stack([IDS] * 4), "scale": (2, 0.5, 0.5)}},
            axes="tczyx",
            shape=(2, 1, 4, 8, 6),
            scale=(3, 1, 2, 0.5, 0.5),
        ),
        [
            Shown(name="cells", pixels=ramp((2, 1, 4, 8, 6))[:, 0]),
            nuclei(
                pixels=np.stack([IDS] * 4),
                axes=("z", "y", "x"),
                units=("micrometer",) * 3,
                places={(3, 7, 5): (6, 3.5, 2.5)},
            ),
        ],
        may_warn=True,
    )
    add(
        "more_axes",
        "more axes than the image",
        "shown with them",
        labelled({"nuclei": {"axes": "zyx", "values": np.stack([IDS] * 2), "scale": (2, 0.5, 0.5)}}),
        [
            CELLS,
            nuclei(
                pixels=np.stack([IDS] * 2),
                axes=("z", "y", "x"),
                units=("micrometer",) * 3,
                places={(1, 7, 5): (2, 3.5, 2.5)},
            ),
        ],
        may_warn=True,
    )
    add(
        "channels",
        "a channel axis",
        "one layer per channel",
        labelled(
            {"nuclei": {"axes": "cyx", "values": np.stack([IDS, IDS + 1]), "scale": (1, 0.5, 0.5)}},
            axes="cyx",
            shape=(2, 8, 6),
            scale=(1, 0.5, 0.5),
        ),
        [
            *[Shown(name=f"cells channel {c}", pixels=ramp((2, 8, 6))[c]) for c in range(2)],
            *[nuclei(name=f"nuclei channel {c}", pixels=IDS + c) for c in range(2)],
        ],
    )
    add(
        "one_channel",
        "a channel axis",
        "one layer per channel",
        labelled({"nuclei": {"axes": "cyx", "values": IDS[None], "scale": (1, 0.5, 0.5)}}),
        [CELLS, nuclei()],
        may_warn=True,
    )
    add(
        "missing",
        "listed but missing",
        "left out, with a warning",
        labelled({"nuclei": {}, "gone": None}),
        [CELLS, nuclei()],
        warns=("gone",),
    )
    add(
        "broken",
        "one that cannot be read",
        "left out, with a warning",
        labelled({"nuclei": {}, "bad": {"multiscale": {"datasets": []}}}),
        [CELLS, nuclei()],
        warns=("bad",),
        may_warn=True,
    )
    add(
        "not_listed",
        "present but not listed (where folders can be listed)",
        "opened",
        labelled({"nuclei": {}}, listed=[]),
        [CELLS, nuclei()],
        may_warn=True,
    )
    add(
        "partly_listed",
        "present but not listed (where folders can be listed)",
        "opened",
        labelled({"nuclei": {}, "more": {"name": None}}, listed=["nuclei"]),
        [CELLS, nuclei(), nuclei(name="more")],
        may_warn=True,
    )
    add(
        "no_labels_group",
        "present but not listed (where folders can be listed)",
        "opened",
        _without_list,
        [CELLS, nuclei()],
        may_warn=True,
    )
    for dtype in ("float32", "float64"):
        add(
            f"{dtype}",
            "numbers with a fraction, or bool",
            "whole numbers become labels; others are shown as an image, with a warning; bool is fine",
            labelled({"nuclei": {"values": IDS / np.dtype(dtype).type(2)}}),
            [CELLS, nuclei(kind="image", pixels=IDS / 2, units=None)],
            warns=("nuclei",),
            may_warn=True,
        )
    for dtype in ("float32", "float64"):
        add(
            f"whole_{dtype}",
            "numbers with a fraction, or bool",
            "whole numbers become labels; others are shown as an image, with a warning; bool is fine",
            labelled({"nuclei": {"values": IDS.astype(dtype)}}),
            [CELLS, nuclei()],
            warns=("integers",),
        )
    add(
        "bool",
        "numbers with a fraction, or bool",
        "whole numbers become labels; others are shown as an image, with a warning; bool is fine",
        labelled({"nuclei": {"values": IDS > 1}}),
        [CELLS, nuclei(pixels=IDS > 1)],
        may_warn=True,
    )
    for dtype in ("int8", "uint16", "int32", "uint32", "int64", "uint64", ">u2"):
        add(
            f"dtype_{dtype}",
            "any whole number type",
            "labels",
            labelled({"nuclei": {"values": IDS.astype(dtype)}}),
            [CELLS, nuclei()],
        )
    for version in ("0.4", "0.5"):
        add(
            f"directly_{version}",
            "one label image, opened directly",
            "a Labels layer",
            labelled({"nuclei": says(colors=colors[:1])}, opened="labels/nuclei", version=version),
            [nuclei(colors={1: (1, 0, 0, 1)})],
        )
        add(
            f"folder_{version}",
            "the `labels` folder, opened directly",
            "all label images in it",
            labelled({"nuclei": {}, "more": {"name": None}, "gone": None}, opened="labels", version=version),
            [nuclei(), nuclei(name="more")],
            warns=("gone",),
        )
    add(
        "alone",
        "label images without an image",
        "all of them",
        _without_image,
        [nuclei()],
        may_warn=True,
    )
    add(
        "empty_list",
        "an empty list of label images",
        "just the image",
        labelled({}),
        [CELLS],
    )
    add(
        "not_versioned",
        "`labels` without a version or without `ome`",
        "opened",
        _plain_labels_in_05,
        [CELLS, nuclei()],
        may_warn=True,
    )
    add(
        "units",
        "other units than the image",
        "kept: napari converts them",
        _other_units,
        [CELLS, nuclei(places={(7, 5): (3500, 2500)}, units=("nanometer", "nanometer"))],
        may_warn=True,
    )
    add(
        "no_units",
        "no units",
        "in the units of the image",
        _no_units,
        [CELLS, nuclei()],
        may_warn=True,
    )
    add(
        "big_ids",
        "very large label values with colours",
        "opens; napari may not be able to show the colours",
        labelled(
            {
                "nuclei": {
                    "values": IDS.astype("uint64") * 2**40,
                    **says(colors=[{"label-value": 2**40, "rgba": [255, 0, 0, 255]}]),
                }
            }
        ),
        [CELLS, nuclei(pixels=IDS.astype("uint64") * 2**40)],
        may_warn=True,
    )
    return found


def _without_list(folder: Path) -> Path:
    store = labelled({"nuclei": {}})(folder)
    (store / "labels/.zattrs").unlink()
    return store


def _without_image(folder: Path) -> Path:
    store = group(folder / "a.zarr")
    group(store / "labels", {"labels": ["nuclei"]})
    image(store / "labels/nuclei", values=IDS, scale=(0.5, 0.5), name="nuclei", beside={"image-label": {}})
    return store


def _plain_labels_in_05(folder: Path) -> Path:
    store = labelled({"nuclei": {}}, version="0.5")(folder)
    group(store / "labels", {"labels": ["nuclei"]}, zarr=3)
    return store


def _in_units(folder: Path, axes: list[dict[str, str]], scale: float) -> Path:
    store = labelled({"nuclei": {}})(folder)
    entry = multiscales("0.4", axes, [{"path": "0", "scale": [scale, scale]}], name="nuclei")
    group(store / "labels/nuclei", {"multiscales": [entry], "image-label": {}})
    return store


def _other_units(folder: Path) -> Path:
    axes = [{"name": n, "type": "space", "unit": "nanometer"} for n in "yx"]
    return _in_units(folder, axes, 500)


def _no_units(folder: Path) -> Path:
    return _in_units(folder, [{"name": n, "type": "space"} for n in "yx"], 0.5)
