"""Zarr v2 arrays that do not say how their chunks are called: the chunks that are there tell."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from zarr.storage import LocalStore, MemoryStore, WrapperStore

from napari_ome_ngff import open_ome_ngff
from tests.cases.build import image, ramp, write_json, zipped
from tests.servers import Web

VALUES = ramp((2, 8, 6))
KINDS = ("folder", "zip", "memory", "server", "store that lists nothing")


def make(folder: Path, version: str, separator: str, *, levels: int = 2) -> Path:
    """An image whose arrays do not say their separator."""
    axes: Any = "zyx" if version not in ("0.1", "0.2") else ["z", "y", "x"]
    image(
        folder,
        version=version,
        axes=axes,
        values=VALUES,
        levels=levels,
        separator=separator,
        chunks=(1, 4, 3),
    )
    for document in folder.glob("*/.zarray"):
        content = json.loads(document.read_text())
        del content["dimension_separator"]
        write_json(document, content)
    return folder


def behind(kind: str, folder: Path, web: Callable[[Path], Web]) -> Any:
    """The hierarchy behind a kind of store."""
    if kind == "zip":
        return zipped(folder, folder.with_suffix(".zip"))
    if kind == "memory":
        store = MemoryStore()
        for file in folder.rglob("*"):
            if file.is_file():
                key = file.relative_to(folder).as_posix()
                store._store_dict[key] = zarr.core.buffer.cpu.Buffer.from_bytes(file.read_bytes())
        return store
    if kind == "server":
        return f"{web(folder.parent).url}/{folder.name}"
    return folder if kind == "folder" else WrapperStore(LocalStore(folder))


@pytest.fixture
def web() -> Any:
    servers: list[Web] = []

    def start(folder: Path) -> Web:
        servers.append(Web(folder).__enter__())
        return servers[-1]

    yield start
    for server in servers:
        server.__exit__()


@pytest.mark.parametrize("version", ["0.1", "0.2", "0.3", "0.4"])
@pytest.mark.parametrize("separator", [".", "/"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_pixels_are_those_of_the_chunks_that_are_there(
    kind: str, separator: str, version: str, tmp_path: Path, web: Callable[[Path], Web]
) -> None:
    opened = open_ome_ngff(behind(kind, make(tmp_path / "a.zarr", version, separator), web))
    np.testing.assert_array_equal(opened.arrays["0"].values, VALUES)
    np.testing.assert_array_equal(opened.arrays["1"].values, VALUES[:, ::2, ::2])


@pytest.mark.parametrize("kind", KINDS)
def test_any_chunk_tells_where_chunks_are_listed_else_that_of_another_level(
    kind: str, tmp_path: Path, web: Callable[[Path], Web]
) -> None:
    folder = make(tmp_path / "a.zarr", "0.4", "/")
    for file in (folder / "0").glob("*/*/*"):
        if file.relative_to(folder / "0").parts != ("1", "1", "1"):
            file.unlink()
    opened = open_ome_ngff(behind(kind, folder, web))
    assert opened.arrays["0"].values[1, 4:, 3:].tolist() == VALUES[1, 4:, 3:].tolist()
    assert opened.arrays["0"].values.sum() == VALUES[1, 4:, 3:].sum()


def test_a_server_is_asked_for_both_forms_of_one_chunk_of_each_level(tmp_path: Path) -> None:
    folder = make(tmp_path / "a.zarr", "0.4", "/")
    with Web(tmp_path, gate=0.05) as server:
        open_ome_ngff(f"{server.url}/a.zarr")
        chunks = [path for path in server.paths if path.rpartition("/")[2][0].isdigit()]
        rounds = server.rounds
    assert sorted(chunks) == [f"/a.zarr/{level}/{key}" for level in "01" for key in ("0.0.0", "0/0/0")]
    for document in folder.glob("*/.zarray"):
        write_json(document, json.loads(document.read_text()) | {"dimension_separator": "/"})
    with Web(tmp_path, gate=0.05) as server:
        open_ome_ngff(f"{server.url}/a.zarr")
    assert rounds == server.rounds + 1


def test_one_level_opened_by_itself_is_read_in_the_same_way(tmp_path: Path) -> None:
    folder = make(tmp_path / "a.zarr", "0.4", "/")
    (level,) = open_ome_ngff(folder / "0").arrays.values()
    np.testing.assert_array_equal(level.values, VALUES)
