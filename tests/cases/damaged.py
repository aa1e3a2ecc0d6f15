"""Damaged, hostile and absurd files: an error in one sentence, or the best possible picture."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_ome_ngff import MetadataError, NotOmeNgffError, OmeNgffError

from .build import array, axes_of, change, group, image, multiscales, ramp, wrapped, write_json
from .labels import labelled
from .nouns import Case, Opened, Shown

YX = ramp((8, 6))
SECRET = np.full((8, 6), 4242, "uint16")


def text(content: str | bytes, file: str = ".zattrs") -> Any:
    """An image whose metadata are this text."""

    def make(folder: Path) -> Path:
        store = image(folder / "a.zarr", version="0.5" if file == "zarr.json" else "0.4")
        data = content.encode() if isinstance(content, str) else content
        (store / file).write_bytes(data)
        return store

    return make


def attributes(content: Any) -> Any:
    def make(folder: Path) -> Path:
        array(folder / "a.zarr/0", YX)
        group(folder / "a.zarr")
        write_json(folder / "a.zarr/.zattrs", content)
        return folder / "a.zarr"

    return make


def entry(**changes: Any) -> Any:
    """An image with keys of its entry replaced; `...` removes one."""

    def make(folder: Path) -> Path:
        store = image(folder / "a.zarr", levels=2)

        def edit(ome: dict[str, Any]) -> None:
            known = ome["multiscales"][0]
            known.update(changes)
            for key in [key for key, value in known.items() if value is ...]:
                del known[key]

        return change(store, edit)

    return make


def scaled(values: Any, key: str = "scale", version: str = "0.4") -> Any:
    def make(folder: Path) -> Path:
        store = image(folder / "a.zarr", version=version)

        def edit(ome: dict[str, Any]) -> None:
            ome["multiscales"][0]["datasets"][0]["coordinateTransformations"] = [
                *([{"type": "scale", "scale": [1, 1]}] if key != "scale" else []),
                {"type": key, key: values},
            ]

        return change(store, edit)

    return make


def escaping(path: str) -> Any:
    """An image whose level is a path that leads out of it, to an array that is there."""

    def make(folder: Path) -> Path:
        array(folder / "secret", SECRET)
        array(folder / "a.zarr/0", YX)
        where = path.format(folder=folder)
        entry = multiscales("0.4", "yx", [{"path": where, "scale": (1, 1)}])
        return group(folder / "a.zarr", {"multiscales": [entry]})

    return make


def no_secret(layers: Opened) -> None:
    for data, meta, _ in layers:
        finest = np.asarray(data[0] if meta["multiscale"] else data)
        assert not (finest == 4242).any()


def claimed(shape: Sequence[int], chunks: Sequence[int], axes: str = "yx", **document: Any) -> Any:
    """An array that claims a shape; nothing is stored of it but one chunk of metadata."""

    def make(folder: Path) -> Path:
        store = folder / "a.zarr"
        known = {"zarr_format": 2, "shape": shape, "chunks": chunks, "dtype": "<u2", "fill_value": 0}
        known |= {"order": "C", "filters": None, "compressor": None, "dimension_separator": "/"}
        write_json(store / "0/.zarray", known | document)
        entry = multiscales("0.4", axes, [{"path": "0", "scale": [1] * len(shape)}])
        return group(store, {"multiscales": [entry]})

    return make


def document(content: Mapping[str, Any]) -> Any:
    """An image whose array has damaged metadata."""

    def make(folder: Path) -> Path:
        store = image(folder / "a.zarr")
        known = json.loads((store / "0/.zarray").read_text())
        write_json(store / "0/.zarray", {k: v for k, v in (known | dict(content)).items() if v is not ...})
        return store

    return make


def million(path: Any) -> Any:
    def make(folder: Path) -> Path:
        array(folder / "a.zarr/0", YX)
        levels = ",".join(f'{{"path":"{path(i)}"}}' for i in range(1_000_000))
        known = json.dumps(multiscales("0.4", "yx", []))
        group(folder / "a.zarr")
        whole = '{"multiscales": [' + known.replace('"datasets": []', f'"datasets": [{levels}]') + "]}"
        (folder / "a.zarr/.zattrs").write_text(whole)
        return folder / "a.zarr"

    return make


def chunks(damage: Any, *, compressed: bool = True, sharded: bool = False) -> Any:
    """An image of four chunks, of which the first is damaged."""

    def make(folder: Path) -> Path:
        store = image(folder / "a.zarr", chunks=(4, 3), compressed=compressed)
        damage(store / "0/0/0")
        return store

    return make


def without_first(fill: int = 0) -> np.ndarray[Any, Any]:
    values = YX.copy()
    values[:4, :3] = fill
    return values


def deep(depth: int) -> str:
    return '{"multiscales": ' + "[" * depth + "]" * depth + "}"


def deep_sequence(depth: int) -> Any:
    """A transform in a transform in a transform ..., at 0.6 and in a level."""

    def make(folder: Path) -> Path:
        store = image(folder / "a.zarr", version="0.6")
        inner = '{"type": "scale", "scale": [0.5, 0.25]}'
        opening = '{"type": "sequence", "transformations": ['
        whole = opening * depth + inner + "]}" * depth
        known = json.loads((store / "zarr.json").read_text())
        known["attributes"]["ome"]["multiscales"][0]["datasets"][0]["coordinateTransformations"] = "HERE"
        known = json.dumps(known).replace('"HERE"', f"[{whole}]")
        (store / "zarr.json").write_text(known)
        return store

    return make


def cases() -> list[Case]:
    found: list[Case] = []

    def add(name: str, what: str, result: str, make: Any, layers: Any = (), **more: Any) -> None:
        known: dict[str, Any] = {"may_warn": True}
        found.append(
            Case(
                group="Damaged",
                name=name,
                what=what,
                result=result,
                make=make,
                layers=layers,
                **(known | more),
            )
        )

    refused = {"error": OmeNgffError}
    for name, content in (
        ("empty", ""),
        ("cut", '{"multiscales": [{"axes": [{"na'),
        ("words", "multiscales"),
        ("binary", bytes(range(256))),
        ("utf16", json.dumps({"multiscales": []}).encode("utf-16")),
        ("list", '["multiscales"]'),
        ("number", "5"),
        ("deep", deep(100_000)),
    ):
        add(f"json_{name}", "metadata that are no JSON object", "refused", text(content), **refused)
        if name == "utf16":  # Python reads it all the same, and there is no image in it
            continue
        add(
            f"json_v3_{name}",
            "metadata that are no JSON object",
            "refused",
            text(content, "zarr.json"),
            **refused,
        )
    for name, content in (
        ("null", None),
        ("empty", []),
        ("object", {}),
        ("text", "x"),
        ("words", ["a", 5, None]),
        ("no_datasets", [{"axes": axes_of("yx"), "version": "0.4"}]),
    ):
        add(
            f"multiscales_{name}",
            "`multiscales` without an image in it",
            "refused; the message says where and what",
            attributes({"multiscales": content}),
            error=(MetadataError, NotOmeNgffError),
            says=("multiscales",),
        )
    for name, datasets in (
        ("null", None),
        ("empty", []),
        ("text", "0"),
        ("numbers", [0, 1]),
        ("pathless", [{}]),
        ("object", {"0": {}}),
    ):
        add(
            f"datasets_{name}",
            "an image without levels",
            "refused; the message says where and what",
            entry(datasets=datasets),
            error=MetadataError,
            says=("datasets",),
        )
    add(
        "path_number",
        "a number for a path",
        "understood",
        entry(datasets=[{"path": 0, "coordinateTransformations": [{"type": "scale", "scale": [1, 1]}]}]),
        [Shown(name="cells", pixels=YX)],
    )
    for name, axes in (
        ("null", None),
        ("text", "yx"),
        ("numbers", [1, 2]),
        ("one", axes_of("x")),
        ("three", axes_of("zyx")),
        ("hundred_thousand", [{"name": str(i)} for i in range(100_000)]),
    ):
        add(
            f"axes_{name}",
            "axes that do not fit the data",
            "refused, or shown with axes that are made up, with a warning",
            entry(axes=axes),
            error=OmeNgffError if name not in ("null", "numbers", "three") else None,
            layers=[Shown(name="cells", pixels=YX, levels=2)] if name in ("null", "numbers", "three") else (),
        )
    level_0 = [Shown(name="cells", pixels=YX, places={(0, 0): (0, 0)})]
    for name, values in (
        ("zero", [0, 1]),
        ("nan", [float("nan"), 1]),
        ("infinite", [float("inf"), 1]),
        ("huge", [1e300, 1]),
        ("short", [1]),
        ("long", [1, 1, 1]),
        ("text", "11"),
        ("words", ["a", "b"]),
        ("null", None),
        ("nothing", []),
        ("nested", [[1], [1]]),
    ):
        add(
            f"scale_{name}",
            "scales that are zero, no numbers, or of the wrong number",
            "shown in pixels, with a warning, or refused",
            scaled(values),
            layers=level_0 if name == "huge" else (),
            check=_well_placed,
            error=None,
        )
        add(
            f"translation_{name}",
            "translations that are no numbers, or of the wrong number",
            "left out, with a warning, or refused",
            scaled(values, "translation"),
            check=_well_placed,
        )
        add(
            f"scale_0.6_{name}",
            "scales that are zero, no numbers, or of the wrong number",
            "shown in pixels, with a warning, or refused",
            scaled(values, version="0.6"),
            check=_well_placed,
        )
    add(
        "level_missing",
        "a level that is not there",
        "the others, with a warning",
        _without("1"),
        [Shown(name="cells", pixels=YX)],
        warns=("1",),
    )
    add(
        "finest_missing",
        "a level that is not there",
        "the others, with a warning",
        _without("0"),
        [Shown(name="cells", pixels=YX[::2, ::2], places={(3, 2): (6, 4)})],
        warns=("0",),
    )
    add("all_missing", "no level that is there", "refused", _without("0", "1"), says=("level",), **refused)
    add(
        "level_is_group",
        "a level that is no array",
        "the others, with a warning",
        _group_for_a_level,
        [Shown(name="cells", pixels=YX)],
        warns=("1",),
    )
    add(
        "wrong_ndim",
        "a level with another number of axes",
        "the others, with a warning",
        _wrong_ndim,
        [Shown(name="cells", pixels=YX)],
        warns=("1",),
    )
    add(
        "growing",
        "levels that grow",
        "opens",
        _growing,
        [Shown(name="cells", levels=2)],
    )
    for name, damage in (("cut", _cut), ("noise", _noise), ("empty", _empty), ("folder", _folder)):
        add(
            f"chunk_{name}",
            "chunks that cannot be read",
            "filled with the fill value, with one notification; the rest is shown",
            chunks(damage),
            [Shown(name="cells", pixels=without_first())],
        )
    for name, damage in (("cut", _cut), ("long", _long)):
        add(
            f"raw_chunk_{name}",
            "chunks that cannot be read",
            "filled with the fill value, with one notification; the rest is shown",
            chunks(damage, compressed=False),
            [Shown(name="cells", pixels=without_first())],
        )
    add(
        "chunk_missing",
        "chunks that are not there",
        "the fill value, as Zarr has it",
        chunks(Path.unlink),
        [Shown(name="cells", pixels=without_first())],
        may_warn=False,
    )
    for name, path in (
        ("dots", "../secret"),
        ("inner_dots", "x/../../secret"),
        ("absolute", "{folder}/secret"),
        ("backslash", "..\\secret"),
        ("file_url", "file://{folder}/secret"),
        ("url", "http://127.0.0.1:9/secret"),
        ("null_byte", "0\0"),
        ("long", "x" * 100_000),
        ("empty", ""),
        ("dot", "."),
    ):
        add(
            f"path_{name}",
            "paths that lead out of the image (`..`, absolute, URLs), or nowhere",
            "refused; nothing outside is read",
            escaping(path),
            check=no_secret,
            **refused,
        )
    for name, listed in (
        ("dots", ["../../secret"]),
        ("absolute", ["/etc"]),
        ("itself", [".", "", "..", "../labels"]),
        ("nonsense", [None, 5, {}, []]),
        ("many", [f"gone{i}" for i in range(2_000)]),
        ("text", "nuclei"),
    ):
        add(
            f"labels_{name}",
            "label images that lead out of the image, to itself, or nowhere",
            "left out, with a warning",
            labelled({}, listed=listed),
            [Shown(name="cells", pixels=YX)],
        )
    for name, loop in (("level", "0"), ("labels", "labels"), ("deeper", "0/loop"), ("self", ".loop")):
        add(
            f"symlink_{name}",
            "symbolic links in a circle",
            "not followed for ever",
            _looping(loop),
            [Shown(name="cells", pixels=YX)] if name in ("deeper", "self") else [],
            error=OmeNgffError if name == "level" else None,
            check=_few_layers if name == "labels" else None,
        )
    add(
        "huge_z",
        "a huge shape (10^12 voxels)",
        "opens at once",
        claimed((10**6, 1000, 1000), (1, 1000, 1000), "zyx"),
        [Shown(name="cells", shape=(10**6, 1000, 1000), levels=3)],  # the coarser ones are for 3D
    )
    add(
        "cube",
        "an absurd shape (10^18 voxels)",
        "refused",
        claimed((10**6, 10**6, 10**6), (1, 1000, 1000), "zyx"),
        **refused,
    )
    add(
        "long_z",
        "an absurd shape (10^18 voxels)",
        "refused",
        claimed((10**18, 8, 6), (1, 8, 6), "zyx"),
        **refused,
    )
    add(
        "huge_plane",
        "an absurd shape (10^18 voxels)",
        "refused",
        claimed((10**9, 10**9), (1000, 1000)),
        **refused,
    )
    add(
        "huge_chunks",
        "chunks larger than the memory",
        "refused, or empty with a notification",
        claimed((3 * 10**6, 3 * 10**6), (3 * 10**6, 3 * 10**6)),
        check=lambda layers: None,
        slices=False,
        memory=2**28,
    )
    add(
        "beyond_64_bits",
        "an absurd shape (10^18 voxels)",
        "refused",
        claimed((10**30, 8, 6), (1, 8, 6), "zyx"),
        **refused,
    )
    add(
        "zero_size",
        "an axis of size 0",
        "refused, or empty",
        claimed((0, 6), (1, 6)),
        check=lambda layers: None,
    )
    for name, content in (
        ("no_shape", {"shape": ...}),
        ("negative_shape", {"shape": [-8, 6]}),
        ("zero_chunks", {"chunks": [0, 0]}),
        ("chunks_short", {"chunks": [8]}),
        ("no_dtype", {"dtype": ...}),
        ("bad_dtype", {"dtype": "<q9"}),
        ("bad_codec", {"compressor": {"id": "nobody-knows-it"}}),
        ("codec_text", {"compressor": "zlib"}),
        ("bad_fill", {"fill_value": "many"}),
        ("bad_order", {"order": "Z"}),
        ("format_9", {"zarr_format": 9}),
        ("shape_text", {"shape": ["8", "6"]}),
        ("shape_float", {"shape": [8.5, 6]}),
    ):
        add(
            f"array_{name}",
            "an array with damaged metadata",
            "refused, or opened if the damage does not matter",
            document(content),
            check=lambda layers: None,
        )
    add(
        "million_missing",
        "a million levels",
        "refused, or those that are there, with a warning",
        million(str),
        check=_first_level_is_true,
        memory=2**30,
    )
    add(
        "million_same",
        "a million levels",
        "refused, or those that are there, with a warning",
        million(lambda i: 0),
        check=_first_level_is_true,
        memory=2**30,
    )
    add(
        "50_mb",
        "50 MB of attributes",
        "opens",
        _fifty_megabytes,
        [Shown(name="cells", pixels=YX)],
        memory=2**29,
        may_warn=False,
    )
    for depth in (50, 900, 20_000):
        add(
            f"sequence_{depth}",
            "transforms in transforms, thousands deep",
            "placed, or shown in pixels with a warning, or refused",
            deep_sequence(depth),
            check=_well_placed,
        )
    add(
        "plate_of_many",
        "a plate that lists 100,000 wells",
        "refused, or what is there, with a warning",
        _huge_plate,
        check=lambda layers: None,
        memory=2**30,
    )
    for name, content in (
        ("null", None),
        ("text", "A"),
        ("list", []),
        ("empty", {}),
        ("wells", {"wells": 7}),
    ):
        add(
            f"plate_{name}",
            "a plate without wells",
            "refused",
            attributes({"plate": content}),
            **refused,
        )
    for name, content in (("null", None), ("text", "0"), ("empty", {}), ("images", {"images": "0"})):
        add(f"well_{name}", "a well without fields", "refused", attributes({"well": content}), **refused)
    for name, content in (("null", None), ("list", []), ("empty", {}), ("text", "x")):
        add(
            f"scene_{name}",
            "a scene without images",
            "refused",
            _with_ome({"scene": content}),
            **refused,
        )
    add(
        "version_object",
        "a version that is no text",
        "read as the nearest one, with a warning",
        _with_version({"major": 0}),
        [Shown(name="cells", pixels=YX)],
    )
    add(
        "name_object",
        "a name that is no text",
        "left out",
        entry(name={"en": "cells"}),
        [Shown(pixels=YX, levels=2)],
    )
    return found


def _well_placed(layers: Opened) -> None:
    """Whatever was made of it: a place that napari can show, and the pixels of the file."""
    ((data, meta, _),) = layers
    finest = np.asarray(data[0] if meta["multiscale"] else data)
    np.testing.assert_array_equal(finest, YX)
    for key in ("scale", "translate"):
        assert np.isfinite(meta[key]).all(), (key, meta[key])
    assert all(meta["scale"]), meta["scale"]


def _few_layers(layers: Opened) -> None:
    assert layers[0][1]["name"] == "cells"
    assert len(layers) <= 2


def _first_level_is_true(layers: Opened) -> None:
    data, meta, _ = layers[0]
    np.testing.assert_array_equal(np.asarray(data[0] if meta["multiscale"] else data), YX)
    assert not meta["multiscale"] or len(data) < 1000


def _cut(chunk: Path) -> None:
    os.truncate(chunk, chunk.stat().st_size // 2)


def _noise(chunk: Path) -> None:
    chunk.write_bytes(b"\x00\xff" * 20)


def _long(chunk: Path) -> None:
    chunk.write_bytes(chunk.read_bytes() + b"more")


def _empty(chunk: Path) -> None:
    chunk.write_bytes(b"")


def _folder(chunk: Path) -> None:
    chunk.unlink()
    chunk.mkdir()


def _without(*paths: str) -> Any:
    def make(folder: Path) -> Path:
        store = image(folder / "a.zarr", levels=2)
        for path in paths:
            (store / path / ".zarray").unlink()
        return store

    return make


def _group_for_a_level(folder: Path) -> Path:
    store = _without("1")(folder)
    group(store / "1")
    return store


def _wrong_ndim(folder: Path) -> Path:
    store = image(folder / "a.zarr", levels=2)
    shutil.rmtree(store / "1")
    array(store / "1", ramp((2, 4, 3)))
    return store


def _growing(folder: Path) -> Path:
    store = image(folder / "a.zarr", levels=2)
    return change(store, lambda ome: ome["multiscales"][0]["datasets"].reverse())


def _looping(where: str) -> Any:
    def make(folder: Path) -> Path:
        store = image(folder / "a.zarr")
        link = store / where
        if where == "0":
            shutil.rmtree(link)
            link.symlink_to(link)
        else:
            link.symlink_to(store, target_is_directory=True)
        return store

    return make


def _fifty_megabytes(folder: Path) -> Path:
    store = image(folder / "a.zarr")
    return change(store, lambda ome: ome.update(notes=[f"{i:06d} " + "x" * 93 for i in range(500_000)]))


def _huge_plate(folder: Path) -> Path:
    group(folder / "a.zarr")
    names = [{"name": str(i)} for i in range(316)]
    wells = [{"path": f"{r}/{c}", "rowIndex": r, "columnIndex": c} for r in range(316) for c in range(316)]
    write_json(
        folder / "a.zarr/.zattrs",
        {"plate": {"rows": names, "columns": names, "wells": wells, "version": "0.4"}},
    )
    image(folder / "a.zarr/0/0/0")
    group(folder / "a.zarr/0")
    group(folder / "a.zarr/0/0", {"well": {"images": [{"path": "0"}]}})
    return folder / "a.zarr"


def _with_ome(content: Mapping[str, Any]) -> Any:
    return lambda folder: group(folder / "a.zarr", wrapped("0.6", content), zarr=3)


def _with_version(version: Any) -> Any:
    def make(folder: Path) -> Path:
        return change(image(folder / "a.zarr", version="0.5"), lambda ome: ome.update(version=version))

    return make
