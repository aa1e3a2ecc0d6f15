"""What other programs write in another way: the same picture as of the right spelling."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .build import array, axes_of, change, group, image, ramp, write_json
from .nouns import Case, Shown

YX = ramp((8, 6))
ZYX = ramp((3, 8, 6))


def changed(edit: Callable[[dict[str, Any]], Any], **options: Any) -> Callable[[Path], Path]:
    return lambda folder: change(image(folder / "a.zarr", **options), edit)


def alternatives(*transforms: dict[str, Any]) -> Callable[[Path], Path]:
    """Transforms to several systems, as SpatialData has them."""

    def edit(ome: dict[str, Any]) -> None:
        ome["multiscales"][0]["coordinateTransformations"] = [
            {"input": {"name": "yx", "axes": axes_of("yx")}, **step} for step in transforms
        ]

    return changed(edit)


def silent(separator: str) -> Callable[[Path], Path]:
    """Chunks in one of the two forms, and an array that does not say which."""

    def make(folder: Path) -> Path:
        store = image(folder / "a.zarr", values=ZYX, axes="zyx", chunks=(1, 4, 3), separator=separator)
        document = store / "0" / ".zarray"
        content = json.loads(document.read_text())
        del content["dimension_separator"]
        write_json(document, content)
        return store

    return make


def respelt(version: str, **keys: Any) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        store = image(folder / "a.zarr", version=version, values=YX.astype("uint8"))
        document = store / "0" / (".zarray" if version == "0.4" else "zarr.json")
        write_json(document, json.loads(document.read_text()) | keys)
        return store

    return make


def named_dims(folder: Path) -> Path:
    store = changed(lambda ome: ome["multiscales"][0].pop("axes"), axes="yxc", shape=(8, 6, 3), scale=None)(
        folder
    )
    write_json(store / "0" / ".zattrs", {"_ARRAY_DIMENSIONS": ["y", "x", "c"]})
    return store


def omero_outside(folder: Path) -> Path:
    channel = {"label": "DAPI", "color": "FF8000", "window": {"start": 3, "end": 35, "min": 0, "max": 99}}
    store = image(folder / "a.zarr", version="0.5")
    content = json.loads((store / "zarr.json").read_text())
    content["attributes"]["omero"] = {"channels": [channel]}
    write_json(store / "zarr.json", content)
    return store


def first_level(**keys: Any) -> Callable[[dict[str, Any]], None]:
    return lambda ome: ome["multiscales"][0]["datasets"][0].update(keys)


def in_systems(axes: str, **steps: dict[str, Any]) -> dict[str, Any]:
    """Transforms of an element to systems by name, as SpatialData writes them."""
    ends = {"input": {"name": axes, "axes": axes_of(axes)}}
    each = [{**step, **ends, "output": {"name": name, "axes": axes_of(axes)}} for name, step in steps.items()]
    return {"coordinateTransformations": each}


def spatialdata(folder: Path, *, version: str = "0.5-dev-spatialdata") -> Path:
    """Two images, labels, points and a table; what is aligned is not in ``global``."""
    zarr = 2 if version.startswith("0.4") else 3
    root = group(folder / "sd.zarr", {"spatialdata_attrs": {"version": "0.2"}}, zarr=zarr)
    half, shift = {"type": "scale", "scale": [1, 0.5, 0.5]}, {"type": "translation", "translation": [4, 5]}
    group(root / "images", zarr=zarr)
    group(root / "labels", zarr=zarr)
    omero = {"omero": {"channels": [{"label": 0}, {"label": 1}]}}
    for name, systems in (
        ("stain", in_systems("cyx", **{"global": half})),
        ("scan", in_systems("cyx", aligned={"type": "scale", "scale": [1, 7, 7]})),
    ):
        image(
            root / f"images/{name}",
            version=version,
            axes="cyx",
            shape=(2, 8, 6),
            beside=omero,
            multiscale=systems,
        )
    image(
        root / "labels/cells",
        version=version,
        beside={"image-label": {"version": version}},
        multiscale=in_systems("yx", **{"global": {"type": "identity"}, "aligned": shift}),
    )
    for name in ("points/transcripts", "tables/table"):
        group(root / name.partition("/")[0], zarr=zarr)
        group(root / name, {"encoding-type": "something"}, zarr=zarr)
    return root


def missing_numbers(folder: Path) -> Path:
    store = image(folder / "a.zarr")
    for chunk in array(store / "s", np.ones(2)).glob("[0-9]*"):
        chunk.unlink()
    steps = [{"type": "scale", "path": "s"}]
    return change(store, first_level(coordinateTransformations=steps))


def cases() -> list[Case]:
    """All cases of this group."""
    found: list[Case] = []

    def add(
        name: str,
        what: str,
        result: str,
        make: Any,
        shown: Shown | None,
        more: Sequence[Shown] = (),
        **options: Any,
    ) -> None:
        layers = [*([] if shown is None else [shown]), *more]
        found.append(
            Case(
                group="Other programs",
                name=name,
                what=what,
                result=result,
                make=make,
                layers=layers,
                **options,
            )
        )

    def flat(corner: tuple[float, ...], **more: Any) -> Shown:
        return Shown(pixels=YX, axes=("y", "x"), places={(7, 5): corner}, **more)

    to = {name: {"output": {"name": name, "axes": axes_of("yx")}} for name in ("global", "aligned", "turned")}
    several = alternatives(
        {"type": "translation", "translation": [-50, 10], **to["aligned"]},
        {"type": "scale", "scale": [3, 2], **to["global"]},
        {"type": "affine", "affine": [[0, 1, 0], [1, 0, 100]], **to["turned"]},
    )
    what = "transforms beside `datasets` to several systems (SpatialData)"
    result = "in `global`, else in the first; in others in the dock, or by name in scripts"
    add("alternatives", what, result, several, flat((21, 10)))
    add("alternatives_by_name", what, result, several, flat((-43, 15)), system="aligned")
    turned = Shown(axes=("y", "x"), where={int(YX[7, 5]): (5, 107)})
    add("alternatives_affine", what, result, several, turned, system="turned")
    what = "the root of a SpatialData store: images and labels"
    result = "all of them, in the coordinate system of the most; the others hidden, in their own"
    planes, elsewhere = ramp((2, 8, 6)), {(7, 5): (49.0, 35.0)}
    cells = {"name": "cells", "kind": "labels", "pixels": YX, "axes": ("y", "x")}
    stain = [
        Shown(name=f"stain channel {c}", pixels=planes[c], places={(7, 5): (3.5, 2.5)}) for c in range(2)
    ]
    scan = [Shown(name=f"scan channel {c}", pixels=planes[c], places=elsewhere) for c in range(2)]
    hidden = [replace(shown, visible=False) for shown in scan]
    elements = [*stain, *hidden, Shown(**cells, places={(7, 5): (7.0, 5.0)})]
    warns = ("points (transcripts), tables (table)", "1 elements are not in the coordinate system 'global'")
    for version in ("0.4", "0.4-dev-spatialdata", "0.5-dev-spatialdata"):
        make = partial(spatialdata, version=version)
        add(f"spatialdata_{version}", what, result, make, elements[0], warns=warns, more=elements[1:])
    aligned = [*scan, Shown(**cells, places={(7, 5): (11.0, 10.0)})]
    warns = ("not points", "1 elements are not in the coordinate system 'aligned'")
    add("spatialdata_aligned", what, result, spatialdata, None, warns=warns, more=aligned, system="aligned")
    what, result = (
        "Zarr v2 chunks of an array that does not say their separator",
        "the chunks that are there tell",
    )
    add("nested", what, result, silent("/"), Shown(pixels=ZYX, axes=("z", "y", "x")))
    add("dots", what, result, silent("."), Shown(pixels=ZYX, axes=("z", "y", "x")))
    what, result = "Zarr arrays described in odd or old spellings", "opens"
    small = Shown(pixels=YX.astype("uint8"), axes=("y", "x"))
    add("big_endian_byte", what, result, respelt("0.4", dtype=">u1", order=None, fill_value=None), small)
    endian = [{"name": "endian", "configuration": {"endian": "little"}}]
    add("draft_of_v3", what, result, respelt("0.5", fill_value=None, data_type="|u1", codecs=endian), small)
    add(
        "dimension_names",
        "`_ARRAY_DIMENSIONS` or `dimension_names` where the image says no axes",
        "those are the axes, with a warning",
        lambda folder: named_dims(folder),
        None,
        check=lambda layers: [meta["axis_labels"] for _, meta, _ in layers] == [("y", "x")] * 3,
        may_warn=True,
    )
    add(
        "omero_outside",
        "`omero` beside `ome`",
        "names, colours and contrast as from its place, with a warning",
        omero_outside,
        flat((7, 5), name="DAPI", color="#FF8000", limits=(3, 35)),
        warns=("not in its place",),
    )
    what, result = "an object in place of a list of one; paths such as `./0`", "understood, with a warning"
    scale = {"type": "scale", "scale": [0.5, 0.25]}
    one = changed(first_level(coordinateTransformations=scale))
    add("object_for_list", what, result, one, flat((3.5, 1.25)), warns=("list of one",))
    add("path_dot", what, result, changed(first_level(path="./0")), flat((7, 5)), warns=("./0",))
    what, result = "scales and translations for the axes of space alone", "taken for those, with a warning"
    short = [{"type": "scale", "scale": [2, 0.5, 0.25]}]
    options: dict[str, Any] = {"axes": "czyx", "values": ZYX[None]}
    zyx = Shown(pixels=ZYX, axes=("z", "y", "x"), places={(2, 7, 5): (4, 3.5, 1.25)})
    make = changed(first_level(coordinateTransformations=short), **options)
    add("short_scale", what, result, make, zyx, warns=("3 numbers for 4 axes",))
    what, result = "numbers as text", "read, with a warning"
    text = [{"type": "scale", "scale": ["0.5", "0.25"]}]
    make = changed(first_level(coordinateTransformations=text))
    add("text", what, result, make, flat((3.5, 1.25)), warns=("read as a number",))
    what, result = "places that make no sense, such as a scale of zero", "shown in pixels, with a warning"
    add("zeros", what, result, missing_numbers, flat((7, 5)), warns=("zero",))
    return found
