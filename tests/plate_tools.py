"""Plates for tests, made in no time: documents written by hand, pixels as plain bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

NAMES = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}
Pixels = np.ndarray[Any, Any]


def write_json(folder: Path, attributes: Mapping[str, Any] | None, *, version: str = "0.5") -> Path:
    """Make a Zarr group: v2 with the attributes at the top (0.1 to 0.4), else v3 with them under "ome"."""
    folder.mkdir(parents=True, exist_ok=True)
    if version < "0.5":
        (folder / ".zgroup").write_text('{"zarr_format": 2}')
        if attributes is not None:
            (folder / ".zattrs").write_text(json.dumps(attributes))
    else:
        (folder / "zarr.json").write_bytes(group_json(attributes, version=version))
    return folder


def group_json(attributes: Mapping[str, Any] | None, *, version: str = "0.5") -> bytes:
    own = {} if attributes is None else {"ome": {"version": version, **attributes}}
    return json.dumps({"zarr_format": 3, "node_type": "group", "attributes": own}).encode()


def array_json(shape: Sequence[int], chunks: Sequence[int], dtype: np.dtype[Any]) -> bytes:
    document: dict[str, Any] = {"zarr_format": 3, "node_type": "array", "shape": shape, "fill_value": 0}
    document |= {"data_type": dtype.name, "attributes": {}}
    document |= {"codecs": [{"name": "bytes", "configuration": {"endian": "little"}}]}
    document |= {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunks}}}
    document |= {"chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}}}
    return json.dumps(document).encode()


def write_array(
    folder: Path, pixels: Pixels, *, chunks: Sequence[int] | None = None, version: str = "0.5", like: str = ""
) -> None:
    """Write an array without compression; `like` is a file of bytes that stands for every chunk."""
    folder.mkdir(parents=True, exist_ok=True)
    chunks = list(chunks or pixels.shape)
    if version < "0.5":
        document: dict[str, Any] = {"zarr_format": 2, "shape": pixels.shape, "chunks": chunks, "order": "C"}
        document |= {"dtype": pixels.dtype.str, "compressor": None, "filters": None, "fill_value": 0}
        document |= {"dimension_separator": "/"}
        (folder / ".zarray").write_text(json.dumps(document))
    else:
        (folder / "zarr.json").write_bytes(array_json(pixels.shape, chunks, pixels.dtype))
    grid = [range(-(-n // chunk)) for n, chunk in zip(pixels.shape, chunks, strict=True)]
    for position in np.ndindex(*map(len, grid)):
        name = folder / (
            "/".join(map(str, position)) if version < "0.5" else "/".join(["c", *map(str, position)])
        )
        name.parent.mkdir(parents=True, exist_ok=True)
        block = np.zeros(chunks, pixels.dtype)
        part = pixels[tuple(slice(i * n, (i + 1) * n) for i, n in zip(position, chunks, strict=True))]
        block[tuple(map(slice, part.shape))] = part
        name.write_bytes(block.tobytes())


def halves(pixels: Pixels, count: int) -> list[Pixels]:
    """Levels that keep every second pixel along y and x, the last two axes."""
    return [pixels[..., :: 2**level, :: 2**level] for level in range(count)]


def multiscale(
    axes: str,
    count: int,
    *,
    scale: float = 1.0,
    place: Mapping[str, float] | None = None,
    name: str | None = None,
) -> dict[str, Any]:
    """An entry of ``multiscales`` with levels 0, 1, ..., each half as fine as the one before."""
    datasets = []
    for level in range(count):
        steps = [scale * 2**level if axis in "yx" else 1.0 for axis in axes]
        transforms: list[dict[str, Any]] = [{"type": "scale", "scale": steps}]
        if place:
            transforms.append({"type": "translation", "translation": [place.get(axis, 0.0) for axis in axes]})
        datasets.append({"path": str(level), "coordinateTransformations": transforms})
    entry: dict[str, Any] = {
        "axes": [{"name": axis, "type": NAMES[axis]} for axis in axes],
        "datasets": datasets,
    }
    return entry | ({"name": name} if name else {})


def write_image(
    folder: Path,
    pixels: Pixels,
    axes: str,
    *,
    levels: int = 2,
    version: str = "0.5",
    own: Mapping[str, Any] | None = None,
    labels: Mapping[str, tuple[Pixels, str]] | None = None,
    **place: Any,
) -> Path:
    """Write an image, or a field of a well, with its label images: name -> (pixels, axes)."""
    entry = multiscale(axes, levels, **place)
    if version < "0.5":
        entry["version"] = version
    write_json(folder, {"multiscales": [entry], **(own or {})}, version=version)
    for index, level in enumerate(halves(pixels, levels)):
        write_array(folder / str(index), level, version=version)
    if labels:
        write_json(folder / "labels", {"labels": list(labels)}, version=version)
        for name, (values, its) in labels.items():
            marked = {"image-label": {"colors": [{"label-value": 1, "rgba": [255, 0, 0, 255]}]}}
            write_image(folder / "labels" / name, values, its, levels=levels, version=version, own=marked)
    return folder


def write_plate(
    folder: Path,
    fields: Mapping[str, Sequence[str]],
    *,
    version: str = "0.5",
    acquisitions: Mapping[int, str] | None = None,
    acquired: Mapping[str, int] | None = None,
    **own: Any,
) -> Path:
    """Write the documents of a plate and its wells: path of each well to the names of its fields.

    `acquired` says which acquisition fields of a name belong to. The images themselves are written by
    `write_image`, into ``folder / well / field``.
    """
    rows = sorted({path.split("/")[0] for path in fields})
    columns = sorted({path.split("/")[1] for path in fields}, key=int)
    wells = [
        {
            "path": path,
            "rowIndex": rows.index(path.split("/")[0]),
            "columnIndex": columns.index(path.split("/")[1]),
        }
        for path in fields
    ]
    plate: dict[str, Any] = {"name": "test", "wells": wells, **own}
    plate |= {"rows": [{"name": row} for row in rows], "columns": [{"name": column} for column in columns]}
    if acquisitions:
        plate["acquisitions"] = [{"id": number, "name": name} for number, name in acquisitions.items()]
    write_json(folder, {"plate": plate}, version=version)
    for path, names in fields.items():
        write_json((folder / path).parent, None, version=version)
        images = [{"path": name, **({"acquisition": acquired[name]} if acquired else {})} for name in names]
        write_json(folder / path, {"well": {"images": images}}, version=version)
    return folder


def large_plate(*, rows: int = 16, columns: int = 24, fields: int = 4) -> dict[str, bytes]:
    """Keys and bytes of a plate of 3 channels and 5 levels of 1024x1024: value n + 1 at level n."""
    names = [chr(ord("A") + row) for row in range(rows)]
    wells = [
        {"path": f"{name}/{column + 1}", "rowIndex": row, "columnIndex": column}
        for row, name in enumerate(names)
        for column in range(columns)
    ]
    window = {"start": 0, "end": 99, "min": 0, "max": 255}
    omero = {"channels": [{"label": name, "color": "00FF00", "window": window} for name in "abc"]}
    listed = {
        "rows": [{"name": name} for name in names],
        "columns": [{"name": str(i + 1)} for i in range(columns)],
    }
    image = {"multiscales": [multiscale("cyx", 5, scale=0.5)], "omero": omero}
    well = {"well": {"images": [{"path": str(field)} for field in range(fields)]}}
    found = {"zarr.json": group_json({"plate": {"name": "large", "wells": wells, **listed}})}
    field = {"zarr.json": group_json(image)}
    for level in range(5):
        size = 1024 >> level
        chunk = min(512, size)
        field[f"{level}/zarr.json"] = array_json((3, size, size), (1, chunk, chunk), np.dtype("uint16"))
        pixels = np.full((1, chunk, chunk), level + 1, "uint16").tobytes()
        for c, y, x in np.ndindex(3, size // chunk, size // chunk):
            field[f"{level}/c/{c}/{y}/{x}"] = pixels
    for item in wells:
        found[f"{item['path']}/zarr.json"] = group_json(well)
        for number in range(fields):
            found |= {f"{item['path']}/{number}/{key}": content for key, content in field.items()}
    return found
