"""Plates, wells and their fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_ome_ngff import OmeNgffError

from .build import V3, group, image, ramp, wrapped
from .labels import IDS
from .nouns import Case, Opened, Shown

Key = tuple[int, int, int]
"""Row, column and number of a field."""

SIZE = (8, 6)


def pixels(key: Key, shape: Sequence[int] = SIZE) -> np.ndarray[Any, Any]:
    """Values that occur in no other field, and never 0."""
    row, column, number = key
    return ramp(shape) + np.uint16(1 + 6000 * row + 2000 * column + 400 * number)


def plate(
    fields: Mapping[Key, Mapping[str, Any]] | Sequence[Key],
    *,
    version: str = "0.4",
    opened: str = "",
    names: Callable[[int], str] = str,
    acquisitions: Mapping[int, Sequence[int]] | None = None,
    missing: Sequence[tuple[int, int]] = (),
    bare_wells: bool = False,
    indexed: bool = True,
    edit: Callable[[dict[str, Any]], Any] | None = None,
    beside: Mapping[str, Any] | None = None,
    sizes: tuple[int, int] = (2, 2),
) -> Any:
    """A plate "P" with these fields; `missing` wells are listed, too."""

    def make(folder: Path) -> Path:
        store = folder / "plate.zarr"
        options = fields if isinstance(fields, Mapping) else {key: {} for key in fields}
        zarr = 3 if version.startswith(V3) else 2
        wells = sorted({key[:2] for key in options} | set(missing))
        listed = []
        for row, column in wells:
            path = f"{'ABCDEFGH'[row]}/{column + 1}"
            place = {"rowIndex": row, "columnIndex": column} if indexed else {}
            listed.append({"path": path, **place})
            if (row, column) in missing:
                continue
            if not (store / path).parent.exists():
                group((store / path).parent, zarr=zarr)
            images = []
            for key, more in options.items():
                if key[:2] != (row, column):
                    continue
                name = names(key[2])
                known = {"version": version, "scale": (0.5, 0.5), "name": None, "levels": 2}
                known |= {"values": pixels(key, more.get("shape", SIZE))}
                image(store / path / name, **(known | more))
                entry: dict[str, Any] = {"path": name}
                for number, members in (acquisitions or {}).items():
                    if key[2] in members:
                        entry["acquisition"] = number
                images.append(entry)
            well = None if bare_wells else wrapped(version, {"well": {"images": images, "version": version}})
            group(store / path, well, zarr=zarr)
        content: dict[str, Any] = {
            "name": "P",
            "version": version,
            "rows": [{"name": "ABCDEFGH"[i]} for i in range(sizes[0])],
            "columns": [{"name": str(i + 1)} for i in range(sizes[1])],
            "wells": listed,
        }
        if acquisitions:
            content["acquisitions"] = [{"id": n, "name": f"round {n}"} for n in acquisitions]
        if edit:
            edit(content)
        group(store, wrapped(version, {"plate": content, **(beside or {})}), zarr=zarr)
        return store / opened if opened else store

    return make


def mosaic(keys: Mapping[Key, Sequence[int]] | Sequence[Key], layer: int = 0) -> Callable[[Opened], None]:
    """Check that a layer has exactly these fields: whole, apart, rows below and columns beside each other."""
    shapes = keys if isinstance(keys, Mapping) else dict.fromkeys(keys, SIZE)

    def check(layers: Opened) -> None:
        data, meta, _ = layers[layer]
        finest = np.asarray(data[0] if meta["multiscale"] else data)
        plane = finest.reshape(-1, *finest.shape[-2:])[0] if finest.ndim > 2 else finest
        free = np.ones(plane.shape, bool)
        corners = {}
        for key, shape in shapes.items():
            expected = pixels(key, shape)
            expected = expected.reshape(-1, *expected.shape[-2:])[0]
            found = np.argwhere(plane == expected[0, 0])
            assert len(found) == 1, f"field {key} is {len(found)} times in the mosaic"
            y, x = (int(i) for i in found[0])
            region = np.s_[y : y + expected.shape[0], x : x + expected.shape[1]]
            np.testing.assert_array_equal(plane[region], expected, err_msg=f"field {key}")
            assert free[region].all(), f"field {key} overlaps another one"
            free[region] = False
            corners[key] = (y, x)
        assert not plane[free].any(), "something besides the fields is in the mosaic"
        for one, (y, x) in corners.items():
            for other, (v, u) in corners.items():
                assert one[0] >= other[0] or y < v, f"row of {one} is not above that of {other}"
                assert one[1] >= other[1] or x < u, f"column of {one} is not left of that of {other}"

    return check


FOUR = [(0, 0, 0), (0, 1, 0), (1, 0, 0), (1, 1, 0)]
WHOLE = Shown(name="P", axes=("y", "x"), levels=2, units=("micrometer", "micrometer"))


def scale_half(layers: Opened) -> None:
    assert tuple(layers[0][1]["scale"]) == (0.5, 0.5)


def both(*checks: Callable[[Opened], None]) -> Callable[[Opened], None]:
    def check(layers: Opened) -> None:
        for one in checks:
            one(layers)

    return check


def cases() -> list[Case]:
    found: list[Case] = []

    def add(name: str, what: str, result: str, make: Any, layers: Any = (WHOLE,), **more: Any) -> None:
        found.append(
            Case(group="Plates", name=name, what=what, result=result, make=make, layers=layers, **more)
        )

    for version in ("0.1", "0.4", "0.5", "0.6"):
        add(
            f"plain_{version}",
            "plate",
            "all wells side by side, as one lazy image per channel and acquisition",
            plate(FOUR, version=version),
            [Shown(name="P", levels=2)] if version == "0.1" else [WHOLE],
            check=mosaic(FOUR) if version == "0.1" else both(mosaic(FOUR), scale_half),
            may_warn=version == "0.1",
        )
    several = [(r, c, f) for r, c, _ in FOUR for f in range(4)]
    add(
        "fields",
        "several fields in a well",
        "side by side in their well",
        plate(several),
        check=mosaic(several),
    )
    uneven = [(0, 0, 0), (0, 0, 1), (0, 0, 2), (0, 1, 0), (1, 1, 0), (1, 1, 1)]
    add(
        "uneven",
        "wells with different numbers of fields",
        "empty where there are none",
        plate(uneven),
        check=mosaic(uneven),
    )
    add(
        "missing_wells",
        "wells that are not listed",
        "empty",
        plate([(0, 0, 0), (1, 1, 0)]),
        check=mosaic([(0, 0, 0), (1, 1, 0)]),
    )
    for name, gone in (("first", (0, 0)), ("last", (1, 1))):
        there = [key for key in FOUR if key[:2] != gone]
        add(
            f"absent_{name}",
            "wells that are listed but not there, the first one too",
            "empty, with a warning",
            plate(there, missing=[gone]),
            check=mosaic(there),
            warns=("A/1" if gone == (0, 0) else "B/2",),
        )
    add(
        "all_absent",
        "no well that is there",
        "refused",
        plate([], missing=[(0, 0), (1, 1)]),
        (),
        error=OmeNgffError,
        says=("well",),
        may_warn=True,
    )
    add(
        "no_wells",
        "no well that is there",
        "refused",
        plate([]),
        (),
        error=OmeNgffError,
        may_warn=True,
    )
    add(
        "field_names",
        "fields of any names",
        "found by what their well says",
        plate(several, names=lambda i: ("left", "f_2", "3.b", "last")[i]),
        check=mosaic(several),
    )
    sizes = {(0, 0, 0): (8, 6), (0, 1, 0): (5, 9), (1, 0, 0): (3, 3), (1, 1, 0): (8, 6)}
    add(
        "sizes",
        "wells and fields of different sizes",
        "each as large as it is, not stretched",
        plate({key: {"shape": shape} for key, shape in sizes.items()}),
        check=mosaic(sizes),
        may_warn=True,
    )
    rounds = [(r, c, f) for r, c, _ in FOUR for f in range(4)]
    add(
        "acquisitions",
        "acquisitions",
        "one image each, in the same place; the first is visible",
        plate(rounds, acquisitions={0: (0, 1), 1: (2, 3)}),
        [
            Shown(levels=2, axes=("y", "x")),
            Shown(levels=2, axes=("y", "x"), visible=False),
        ],
        check=both(
            mosaic([k for k in rounds if k[2] < 2], 0),
            mosaic([k for k in rounds if k[2] > 1], 1),
            _rounds_are_named,
        ),
    )
    add(
        "axes",
        "fields with any axes",
        "one layer per channel, sliders for the others",
        plate(
            {key: {"axes": "tczyx", "shape": (2, 2, 3, 8, 6), "scale": (1, 1, 2, 0.5, 0.5)} for key in FOUR}
        ),
        [Shown(axes=("t", "z", "y", "x"), levels=2), Shown(axes=("t", "z", "y", "x"), levels=2)],
        check=mosaic(dict.fromkeys(FOUR, (2, 2, 3, 8, 6))),
    )
    add(
        "omero",
        "names and colours of the channels",
        "taken from the first field",
        plate(
            {
                key: {
                    "axes": "cyx",
                    "shape": (2, 8, 6),
                    "scale": (1, 0.5, 0.5),
                    "beside": {
                        "omero": {
                            "channels": [
                                {
                                    "label": n,
                                    "color": c,
                                    "window": {"start": 1, "end": 9000, "min": 0, "max": 65535},
                                }
                                for n, c in (("DAPI", "0000FF"), ("GFP", "00FF00"))
                            ]
                        }
                    },
                }
                for key in FOUR
            }
        ),
        [
            Shown(name="DAPI", color="blue", limits=(1, 9000), levels=2),
            Shown(name="GFP", color="green", limits=(1, 9000), levels=2),
        ],
    )
    add(
        "labels",
        "label images of the fields",
        "Labels layers over the plate",
        _with_labels,
        [WHOLE, Shown(name="nuclei", kind="labels", levels=2, axes=("y", "x"))],
        check=_labels_lie_over_their_fields,
    )
    add(
        "bare_wells",
        "wells without metadata",
        "their fields are found where folders can be listed, else `0`",
        plate(FOUR, bare_wells=True),
        check=mosaic(FOUR),
        may_warn=True,
    )
    add(
        "not_indexed",
        "wells without `rowIndex` and `columnIndex`",
        "placed by their paths",
        plate(FOUR, indexed=False),
        check=mosaic(FOUR),
        may_warn=True,
    )
    add(
        "no_rows",
        "no lists of rows and columns",
        "known from the wells",
        plate(FOUR, edit=lambda p: (p.pop("rows"), p.pop("columns"))),
        check=mosaic(FOUR),
        may_warn=True,
    )
    add(
        "no_name",
        "no name",
        "that of the folder",
        plate(FOUR, edit=lambda p: p.pop("name")),
        [Shown(name="plate", levels=2)],
        check=mosaic(FOUR),
        may_warn=True,
    )
    add(
        "bioformats2raw",
        "plates written by bioformats2raw",
        "as plates",
        plate(FOUR, beside={"bioformats2raw.layout": 3}),
        check=mosaic(FOUR),
    )
    well = [(0, 0, f) for f in range(4)]
    for version in ("0.4", "0.5"):
        add(
            f"well_{version}",
            "a well, opened directly",
            "its fields side by side",
            plate(well, version=version, opened="A/1"),
            [Shown(levels=2, axes=("y", "x"))],
            check=both(mosaic(well), scale_half),
        )
        add(
            f"field_{version}",
            "a field, opened directly",
            "that image",
            plate(well, version=version, opened="A/1/2"),
            [Shown(name="2", pixels=pixels((0, 0, 2)), levels=2, places={(7, 5): (3.5, 2.5)})],
        )
    add(
        "row",
        "a row's folder, opened directly",
        "its wells",
        plate(FOUR, opened="A"),
        [Shown(levels=2, axes=("y", "x"))],
        check=mosaic(FOUR[:2]),
        may_warn=True,
    )
    add(
        "broken_field",
        "a field that cannot be read",
        "empty, with a warning",
        _with_a_broken_field,
        check=mosaic([key for key in FOUR if key != (0, 1, 0)]),
        warns=("A/2",),
        may_warn=True,
    )
    add(
        "nonsense_wells",
        "nonsense among the wells",
        "left out, with a warning",
        plate(FOUR, edit=lambda p: p["wells"].extend([None, {"path": 5}, {"path": "../x"}, {}])),
        check=mosaic(FOUR),
        may_warn=True,
    )
    big = [(r, c, 0) for r in range(8) for c in range(12)]
    add(
        "96_wells",
        "plate",
        "all wells side by side, as one lazy image per channel and acquisition",
        plate({key: {"shape": (4, 4), "levels": 1} for key in big}, sizes=(8, 12)),
        [Shown(name="P", axes=("y", "x"))],
        check=_has_all_wells,
    )
    return found


def _rounds_are_named(layers: Opened) -> None:
    names = [meta["name"] for _, meta, _ in layers]
    assert "round 0" in names[0], names
    assert "round 1" in names[1], names


def _has_all_wells(layers: Opened) -> None:
    data, meta, _ = layers[0]
    finest = np.asarray(data[0] if meta["multiscale"] else data)
    assert np.count_nonzero(finest) == 96 * 16


def _with_labels(folder: Path) -> Path:
    store = plate(FOUR)(folder)
    for well in ("A/1", "A/2", "B/1", "B/2"):
        group(store / well / "0/labels", {"labels": ["nuclei"]})
        known = {"scale": (0.5, 0.5), "levels": 2, "beside": {"image-label": {}}}
        image(store / well / "0/labels/nuclei", values=IDS, name="nuclei", **known)
    return store


def _labels_lie_over_their_fields(layers: Opened) -> None:
    mosaic(FOUR)(layers)
    image_data, _, _ = layers[0]
    labels_data, meta, _ = layers[1]
    whole = np.asarray(image_data[0])
    ids = np.asarray(labels_data[0] if meta["multiscale"] else labels_data)
    assert ids.shape == whole.shape
    for key in FOUR:
        y, x = (int(i) for i in np.argwhere(whole == pixels(key)[0, 0])[0])
        np.testing.assert_array_equal(ids[y : y + 8, x : x + 6], IDS)


def _with_a_broken_field(folder: Path) -> Path:
    store = plate(FOUR)(folder)
    (store / "A/2/0/.zattrs").write_text("{")
    return store
