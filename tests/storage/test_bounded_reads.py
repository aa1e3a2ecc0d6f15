"""Parts of what is stored: of members of zip files what `zipfile` finds there; of shards, chunks."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.storage import MemoryStore, ZipStore

from napari_ome_ngff.storage.pixels.chunk_cache import ChunkCache
from napari_ome_ngff.storage.pixels.chunk_reader import ChunkReader
from napari_ome_ngff.storage.places import bounded_reads
from napari_ome_ngff.storage.places.bounded_reads import read_member

CONTENT = os.urandom(3000)
SPANS = [(0, 10), (5, 100), (2990, 100), (-1, 16), (0, 3000), (3000, 5)]
needs_pread = pytest.mark.skipif(not hasattr(os, "pread"), reason="`zipfile` reads everything here")


def make(path: Path, name: str, method: int = zipfile.ZIP_STORED) -> ZipStore:
    with zipfile.ZipFile(path, "w", method) as file:
        file.writestr("first", b"something before it")
        file.writestr(name, CONTENT)
    return ZipStore(path, mode="r")


@pytest.mark.parametrize("span", SPANS)
@pytest.mark.parametrize("name", ["0/c/0/0", "µm/é"])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_part_of_a_member_is_that_part(
    tmp_path: Path, name: str, method: int, span: tuple[int, int]
) -> None:
    start, length = span
    expected = CONTENT[-length:] if start < 0 else CONTENT[start : start + length]
    assert read_member(make(tmp_path / "a.zip", name, method), name, span, 3000) == expected


@needs_pread
def test_a_stored_part_is_read_past_the_objects_of_zipfile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make(tmp_path / "a.zip", "0/c/0")
    assert read_member(store, "first", None, 3000) == b"something before it"
    monkeypatch.setattr(zipfile.ZipFile, "open", None)
    assert read_member(store, "0/c/0", (7, 20), 3000) == CONTENT[7:27]
    assert isinstance(read_member(store, "0/c/0", None, 3000), Exception)  # its checksum is asked for


def test_a_member_of_another_name_is_an_error(tmp_path: Path) -> None:
    store = make(tmp_path / "a.zip", "0/c/0")
    data = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(data.replace(b"0/c/0", b"0/c/1", 1))  # before its content only
    assert isinstance(read_member(store, "0/c/0", (7, 20), 3000), zipfile.BadZipFile)


@needs_pread
def test_a_file_that_is_cut_off_is_an_error(tmp_path: Path) -> None:
    store = make(tmp_path / "a.zip", "0/c/0")
    assert read_member(store, "0/c/0", (7, 20), 3000) == CONTENT[7:27]
    os.truncate(tmp_path / "a.zip", 1000)
    assert isinstance(read_member(store, "0/c/0", (2000, 20), 3000), Exception)
    assert bounded_reads._HEADER == zipfile.sizeFileHeader  # type: ignore[attr-defined]


@pytest.mark.parametrize("codec", [None, Crc32cCodec(), ZstdCodec()])
def test_a_chunk_that_is_kept_keeps_no_others_of_its_shard_alive(codec: Any) -> None:
    values = np.arange(64, dtype="uint64")
    array: Any = zarr.create_array(
        MemoryStore(), shape=(64,), chunks=(8,), shards=(64,), dtype="uint64", compressors=codec
    )
    array[:] = values
    kept: list[Any] = []
    ChunkReader(array, cache=ChunkCache()).read([(n,) for n in range(8)], lambda _, chunk: kept.append(chunk))
    assert sorted(np.concatenate(kept).tolist()) == values.tolist()
    for chunk in kept:
        while isinstance(chunk, np.ndarray) and chunk.base is not None:
            chunk = chunk.base
        whole = chunk.obj if isinstance(chunk, memoryview) else chunk
        assert memoryview(whole).nbytes <= 8 * 8 + 4
