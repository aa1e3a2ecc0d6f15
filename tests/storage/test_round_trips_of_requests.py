"""The law of opening over a network: how many requests must wait for others does not grow with the image."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import zarr

from napari_ome_ngff import DaskArrayWrapper, open_ome_ngff, read_multiscale_group
from napari_ome_ngff.storage.places import requests
from tests.servers import Web

if find_spec("obstore") is None:
    pytest.skip("obstore is not installed", allow_module_level=True)

WRAPPER = DaskArrayWrapper()
FORMATS = pytest.mark.parametrize("zarr_format", [2, 3])


def attributes(zarr_format: int, own: dict[str, Any]) -> dict[str, Any]:
    return {"ome": {"version": "0.5", **own}} if zarr_format == 3 else own


def multiscale(levels: int, dims: str) -> dict[str, Any]:
    types = {"c": "channel"}
    axes = [{"name": dim, "type": types.get(dim, "space")} for dim in dims]
    datasets = [
        {
            "path": str(level),
            "coordinateTransformations": [
                {"type": "scale", "scale": [1.0 if dim == "c" else 2.0**level for dim in dims]},
            ],
        }
        for level in range(levels)
    ]
    return {"multiscales": [{"version": "0.4", "axes": axes, "datasets": datasets}]}


def make_image(
    folder: Path, zarr_format: Any, *, levels: int, channels: int, labels: int, contrast: bool = True
) -> None:
    """An image as large as its number of levels asks for, without pixels, its contrast given or not."""
    windows = [{"window": {"min": 0, "max": 9, "start": 0, "end": 9}, "color": "FFFFFF"}] * channels
    side = 8 << levels
    for path, dims in {"": "cyx", **{f"labels/label{n}": "yx" for n in range(labels)}}.items():
        shown = {"image-label": {}} if path else {"omero": {"channels": windows}} if contrast else {}
        own = multiscale(levels, dims) | shown
        group = zarr.create_group(
            folder / path,
            zarr_format=zarr_format,
            attributes=attributes(zarr_format, own),
            overwrite=bool(path),
        )
        for level in range(levels):
            shape = (*[channels] * (dims == "cyx"), side >> level, side >> level)
            group.create_array(str(level), shape=shape, chunks=(1, 16, 16)[-len(shape) :], dtype="uint8")
        if not path and labels:
            names = {"labels": [f"label{n}" for n in range(labels)]}
            group.create_group("labels", attributes=attributes(zarr_format, names))


@contextmanager
def served(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """A server that counts how deep requests depend on one another.

    However many are ready are sent at once; that no more than 128 are under way is another law.
    """
    monkeypatch.setattr(requests, "_MAX_DOCUMENTS", 10_000)
    with Web(folder, gate=0.15) as web:
        yield web


@FORMATS
@pytest.mark.parametrize(("levels", "channels", "labels"), [(1, 1, 0), (5, 3, 2), (8, 6, 6)])
def test_an_image_is_opened_in_three_round_trips(
    levels: int, channels: int, labels: int, zarr_format: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_image(tmp_path / "a.zarr", zarr_format, levels=levels, channels=channels, labels=labels)
    with served(tmp_path, monkeypatch) as web:
        image: Any = open_ome_ngff(f"{web.url}/a.zarr", array_wrapper=WRAPPER)
        assert len(image.arrays) == levels
        assert len(image.labels) == labels
        assert web.rounds <= (3 if labels else 2)
        documents = levels * (1 + labels) + labels
        assert len(web.requests) <= 7 + documents * (1 if zarr_format == 3 else 2)
        assert len(set(web.paths)) == len(web.paths)  # nothing is asked for twice


@FORMATS
def test_levels_of_what_is_open_are_read_without_a_request(
    zarr_format: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_image(tmp_path / "a.zarr", zarr_format, levels=3, channels=2, labels=1)
    make_plate(tmp_path / "plate.zarr", zarr_format, rows="AB", columns=2, fields=2)
    with served(tmp_path, monkeypatch) as web:
        image: Any = open_ome_ngff(f"{web.url}/a.zarr")
        plate: Any = open_ome_ngff(f"{web.url}/plate.zarr")
        requested = len(web.requests)
        for opened in (image, *image.labels.values(), *plate.images.values()):
            levels = read_multiscale_group(opened.group, array_wrapper=WRAPPER)
            assert list(levels) == list(opened.arrays)
            for path, level in levels.items():
                assert level.chunks is not None
                assert level.coords.identical(opened.arrays[path].coords)
        assert len(web.requests) == requested


@FORMATS
def test_a_plate_is_opened_in_five_round_trips(
    zarr_format: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_plate(tmp_path / "plate.zarr", zarr_format, rows="ABCDEF", columns=8, fields=2)
    with served(tmp_path, monkeypatch) as web:
        plate: Any = open_ome_ngff(f"{web.url}/plate.zarr", array_wrapper=WRAPPER)
        assert plate.kind == "plate"
        assert web.rounds <= 5
        assert len(set(web.paths)) == len(web.paths)


def make_plate(folder: Path, zarr_format: Any, *, rows: str, columns: int, fields: int) -> None:
    make_image(folder.parent / "field", zarr_format, levels=2, channels=2, labels=0)
    names = {"zarr.json", ".zattrs", ".zarray", ".zgroup"}
    files = [file for file in (folder.parent / "field").rglob("*") if file.name in names]
    wells = [
        {"path": f"{row}/{column + 1}", "rowIndex": rows.index(row), "columnIndex": column}
        for row in rows
        for column in range(columns)
    ]
    plate = {
        "version": "0.4",
        "rows": [{"name": row} for row in rows],
        "columns": [{"name": str(column + 1)} for column in range(columns)],
        "wells": wells,
    }
    zarr.create_group(folder, zarr_format=zarr_format, attributes=attributes(zarr_format, {"plate": plate}))
    own = attributes(zarr_format, {"well": {"images": [{"path": str(field)} for field in range(fields)]}})
    document = {"zarr_format": 3, "node_type": "group", "attributes": own} if zarr_format == 3 else own
    for well in wells:
        place = folder / str(well["path"])
        for file in files:
            for field in range(fields):
                copy = place / str(field) / file.relative_to(folder.parent / "field")
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(file.read_bytes())
        (place / ("zarr.json" if zarr_format == 3 else ".zattrs")).write_text(json.dumps(document))
