"""Zarr hierarchies written by hand: JSON as text, chunks as bytes."""

from __future__ import annotations

import itertools
import json
import math
import shutil
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

TYPES = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}
UNITS = {"time": "second", "space": "micrometer"}
V3 = ("0.5", "0.6", "0.7", "0.9")
"""Versions whose container is Zarr v3 begin with one of these."""


def ramp(shape: Sequence[int], dtype: str = "uint16") -> np.ndarray[Any, Any]:
    """Different numbers at all places: 0, 1, 2 ... in the order in which they are stored."""
    return np.arange(math.prod(shape)).reshape(shape).astype(dtype)


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def axis(name: str) -> dict[str, str]:
    kind = TYPES.get(name, "custom")
    unit = UNITS.get(kind)
    return {"name": name, "type": kind} | ({"unit": unit} if unit else {})


def axes_of(names: str) -> list[dict[str, str]]:
    return [axis(name) for name in names]


def group(folder: Path, attributes: Mapping[str, Any] | None = None, *, zarr: int = 2) -> Path:
    """A group; no attributes file where there are none."""
    if zarr == 3:
        write_json(
            folder / "zarr.json",
            {"zarr_format": 3, "node_type": "group", "attributes": dict(attributes or {})},
        )
        return folder
    write_json(folder / ".zgroup", {"zarr_format": 2})
    if attributes is not None:
        write_json(folder / ".zattrs", dict(attributes))
    return folder


def array(
    folder: Path,
    values: np.ndarray[Any, Any],
    *,
    zarr: int = 2,
    chunks: Sequence[int] | None = None,
    separator: str = "/",
    names: Sequence[str | None] | None = None,
    compressed: bool = False,
    shape: Sequence[int] | None = None,
    **document: Any,
) -> Path:
    """An array. `shape` may claim more than the values fill; `document` replaces keys of the metadata."""
    chunks = tuple(chunks or values.shape)
    shape = tuple(shape or values.shape)
    fill: Any = False if values.dtype.kind == "b" else 0
    known: dict[str, Any] = {"zarr_format": zarr, "shape": shape, "fill_value": fill}
    if zarr == 2:
        known |= {"chunks": chunks, "dtype": values.dtype.str, "order": "C", "filters": None}
        known |= {"compressor": {"id": "zlib", "level": 1} if compressed else None}
        known |= {"dimension_separator": separator}
        write_json(folder / ".zarray", known | document)
    else:
        endian = "big" if values.dtype.str.startswith(">") else "little"
        codecs: list[dict[str, Any]] = [{"name": "bytes", "configuration": {"endian": endian}}]
        if compressed:
            codecs.append({"name": "gzip", "configuration": {"level": 1}})
        known |= {
            "node_type": "array",
            "data_type": values.dtype.name,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunks}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": separator}},
            "codecs": codecs,
            "attributes": {},
        }
        if names is not None:
            known["dimension_names"] = list(names)
        write_json(folder / "zarr.json", known | document)
    prefix = (
        "" if zarr == 2 or document.get("chunk_key_encoding", {}).get("name") == "v2" else f"c{separator}"
    )
    for index in itertools.product(*(range(-(-n // c)) for n, c in zip(values.shape, chunks, strict=True))):
        chunk = np.full(chunks, fill, dtype=values.dtype)
        part = values[tuple(slice(i * c, (i + 1) * c) for i, c in zip(index, chunks, strict=True))]
        chunk[tuple(slice(n) for n in part.shape)] = part
        data = chunk.tobytes()
        if compressed:
            data = zlib.compress(data) if zarr == 2 else _gzip(data)
        file = folder / (prefix + separator.join(map(str, index)))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    return folder


def _gzip(data: bytes) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def placed(
    version: str, path: str, scale: Sequence[float] | None, translation: Sequence[float] | None
) -> list[dict[str, Any]]:
    """The transforms of a dataset, in the words of a version."""
    steps: list[dict[str, Any]] = [] if scale is None else [{"type": "scale", "scale": list(scale)}]
    if translation is not None:
        steps.append({"type": "translation", "translation": list(translation)})
    if not version.startswith("0.6") or not steps:
        return steps
    whole = steps[0] if len(steps) == 1 else {"type": "sequence", "transformations": steps}
    if version in ("0.6.dev1", "0.6.dev2", "0.6.dev3"):
        return [whole | {"input": path, "output": "physical"}]
    return [whole | {"input": {"path": path}, "output": {"name": "physical"}}]


def multiscales(
    version: str,
    axes: str | Sequence[Any],
    levels: Sequence[Mapping[str, Any]],
    *,
    name: str | None = "cells",
    **more: Any,
) -> dict[str, Any]:
    """An entry of ``multiscales``. Each level: path, scale, translation."""
    entry: dict[str, Any] = {"name": name} if name else {}
    if not version.startswith(V3) and version:
        entry["version"] = version
    objects = axes_of(axes) if isinstance(axes, str) else list(axes)
    if version == "0.3":
        entry["axes"] = [one["name"] for one in objects]
    elif version.startswith("0.6"):
        entry["coordinateSystems"] = [{"name": "physical", "axes": objects}]
    elif version not in ("0.1", "0.2"):
        entry["axes"] = objects
    entry["datasets"] = []
    for level in levels:
        dataset: dict[str, Any] = {"path": level["path"]}
        if version not in ("0.1", "0.2", "0.3"):
            transforms = placed(version, level["path"], level.get("scale"), level.get("translation"))
            if transforms:
                dataset["coordinateTransformations"] = transforms
        entry["datasets"].append(dataset | dict(level.get("more", {})))
    return entry | more


def wrapped(version: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes of a group: under ``ome`` from 0.5 on, with the version."""
    return {"ome": {"version": version, **content}} if version.startswith(V3) else dict(content)


def image(
    folder: Path,
    *,
    version: str = "0.4",
    axes: str | Sequence[Any] = "yx",
    shape: Sequence[int] = (8, 6),
    dtype: str = "uint16",
    levels: int = 1,
    scale: Sequence[float] | None = (),
    translation: Sequence[float] | None = None,
    values: np.ndarray[Any, Any] | None = None,
    zarr: int | None = None,
    name: str | None = "cells",
    multiscale: Mapping[str, Any] | None = None,
    beside: Mapping[str, Any] | None = None,
    **options: Any,
) -> Path:
    """An image. Levels halve y and x (every second voxel); `beside` goes beside ``multiscales``.

    `scale` () means ones, None means no transforms at all; levels above the finest get multiples of it.
    """
    zarr = zarr or (3 if version.startswith(V3) else 2)
    names = [one["name"] if isinstance(one, Mapping) else one for one in axes]
    step = [1.0] * len(names) if scale == () else scale
    level = ramp(shape, dtype) if values is None else values
    entries = []
    for i in range(levels):
        factor = [2.0**i if n in ("y", "x") else 1.0 for n in names]
        here = None if step is None else [s * f for s, f in zip(step, factor, strict=True)]
        entries.append({"path": str(i), "scale": here, "translation": translation})
        sep = "." if version == "0.1" else "/"
        array(folder / str(i), level, **({"zarr": zarr, "separator": sep} | options))
        level = level[tuple(slice(None, None, 2) if n in ("y", "x") else slice(None) for n in names)]
    content = {"multiscales": [multiscales(version, axes, entries, name=name, **(multiscale or {}))]}
    group(folder, wrapped(version, content | dict(beside or {})), zarr=zarr)
    return folder


def change(folder: Path, edit: Any) -> Path:
    """Edit the attributes of a group in place: `edit` gets what holds ``multiscales``."""
    for file, unwrap in ((folder / "zarr.json", True), (folder / ".zattrs", False)):
        if file.exists():
            content = json.loads(file.read_text(encoding="utf-8"))
            inner = content["attributes"] if unwrap else content
            edit(inner.get("ome", inner))
            write_json(file, content)
    return folder


def zipped(folder: Path, target: Path, *, inside: str = "", method: int = zipfile.ZIP_STORED) -> Path:
    """The folder as a zip file, its files at the top or in one folder `inside`; the folder is removed."""
    with zipfile.ZipFile(target, "w", compression=method) as archive:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            archive.write(file, Path(inside) / file.relative_to(folder))
    shutil.rmtree(folder)
    return target
