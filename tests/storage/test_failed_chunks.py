"""Chunks that cannot be read: shown as empty where a viewer asks for it, told of once, tried again later."""

from __future__ import annotations

import os
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from zarr.codecs import TransposeCodec
from zarr.storage import LocalStore, MemoryStore, WrapperStore

from napari_ome_ngff import DaskArrayWrapper
from napari_ome_ngff.errors import OptionError, StorageError
from napari_ome_ngff.storage.pixels.chunk_cache import ChunkCache
from napari_ome_ngff.storage.pixels.failed_chunks import (
    FIRST_WAIT,
    LONGEST_WAIT,
    MAX_ARRAYS,
    MAX_CHUNKS,
    Failure,
    Failures,
)
from napari_ome_ngff.storage.pixels.process_state import shared_cache, shared_failures
from napari_ome_ngff.storage.pixels.source import ChunkedSource
from tests.storage.test_source import VALUES, make

FILL = 65000
ERROR = StorageError("Chunk c/0 could not be read.")


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Faulty(WrapperStore[Any]):
    """A store that answers some requests with an error, and counts them all."""

    def __init__(self, store: Any, faults: dict[str, Exception] | None = None) -> None:
        super().__init__(store)
        self.faults = {} if faults is None else faults
        self.reads: Counter[str] = Counter()

    async def get(self, key: str, *args: Any, **kwargs: Any) -> Any:
        self.reads[key] += 1
        if key in self.faults:
            raise self.faults[key]
        return await super().get(key, *args, **kwargs)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def told(clock: Clock) -> tuple[Failures, list[Failure]]:
    """A record of its own, and what it told of."""
    failures, heard = Failures(clock=clock), []
    failures.subscribe(heard.append)
    return failures, heard


# --- reading goes on


FORMATS: dict[str, dict[str, Any]] = {
    "v3": {},
    "v2": {"zarr_format": 2, "chunk_key_encoding": {"name": "v2", "separator": "/"}},
    "by Zarr": {"filters": [TransposeCodec(order=(2, 0, 1))]},
}


@pytest.mark.parametrize("options", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize(
    ("damage", "keep"),
    [(damage, True) for damage in ("truncated", "empty", "noise", "denied", "server", "timeout")]
    + [("noise", False), ("server", False)],
)
def test_a_chunk_that_cannot_be_read_shows_as_fill_value(
    damage: str, keep: bool, options: dict[str, Any], tmp_path: Path, told: tuple[Failures, list[Failure]]
) -> None:
    array = make(tmp_path / "a.zarr", fill_value=FILL, **options)
    key = "1/2/0" if "zarr_format" in options else "c/1/2/0"
    chunk = tmp_path / "a.zarr" / key
    faults: dict[str, Exception] = {
        "denied": PermissionError(13, "Permission denied", key),
        "server": OSError("503 Service Unavailable"),
        "timeout": TimeoutError("no answer within 30 s"),
    }
    if damage in faults:
        array = zarr.open_array(Faulty(array.store, {key: faults[damage]}), mode="r+")
    else:
        good = chunk.read_bytes()
        chunk.write_bytes({"truncated": good[:7], "empty": b"", "noise": b"\x00noise" * 9}[damage])
    failures, heard = told
    cache = ChunkCache() if keep else ChunkCache(max_bytes=0)
    source = ChunkedSource(array, cache=cache, missing="fill", failures=failures)
    expected = VALUES.copy()
    expected[2:4, 8:, :5] = FILL
    for _ in range(2):
        assert np.array_equal(source[...], expected)
        assert np.array_equal(source[3], expected[3])
        assert np.array_equal(source[[3, 0], ::-1, 2], expected[[3, 0], ::-1, 2])
    assert len(heard) == 1
    assert heard[0].location == str(tmp_path / "a.zarr")
    assert heard[0].error.summary == f"Chunk {key} could not be read and is shown as empty."
    assert heard[0].chunks == 1
    strict = ChunkedSource(array, cache=cache)
    with pytest.raises(StorageError, match=key):
        _ = strict[...]
    assert np.array_equal(strict[0], VALUES[0])


def test_a_damaged_index_spoils_its_shard_and_a_damaged_chunk_only_itself(
    tmp_path: Path, told: tuple[Failures, list[Failure]]
) -> None:
    make(tmp_path / "a.zarr", shards=(4, 8, 10))
    failures, heard = told
    first, last = tmp_path / "a.zarr/c/0/0/0", tmp_path / "a.zarr/c/1/1/1"
    data = bytearray(first.read_bytes())
    data[:9] = b"\x00noise\x00\x00\x00"  # the first chunk of the shard; the index is at its end
    first.write_bytes(data)
    last.write_bytes(last.read_bytes()[:-1])
    source = ChunkedSource(
        zarr.open_array(tmp_path / "a.zarr"), cache=ChunkCache(), missing="fill", failures=failures
    )
    expected = VALUES.copy()
    expected[:2, :4, :5] = 0
    expected[4:, 8:, 10:] = 0
    assert np.array_equal(source[...], expected)
    assert [(f.chunks, "c/0/0/0" in f.error.summary) for f in failures.record()] == [(3, True)]
    assert len(heard) == 1


def test_a_shard_that_is_gone_or_says_nonsense_does_not_eat_the_memory(tmp_path: Path) -> None:
    array = make(tmp_path / "a.zarr", shards=(4, 8, 10), compressors=None)
    path = tmp_path / "a.zarr/c/0/0/0"
    data, size = bytearray(path.read_bytes()), 16 * 8 + 4
    index = np.frombuffer(bytes(data[-size:-4]), "<u8").reshape(-1, 2).copy()
    index[0, 1] = 2**62
    import google_crc32c

    data[-size:] = index.tobytes() + google_crc32c.value(index.tobytes()).to_bytes(4, "little")
    path.write_bytes(data)
    source = ChunkedSource(array, cache=ChunkCache())
    with pytest.raises(StorageError, match="c/0/0/0") as caught:
        _ = source[0]
    assert "index" in caught.value.found
    path.unlink()
    assert not source[0, :8, :10].any()


def test_a_chunk_of_the_wrong_size_is_not_shown_as_something_else(tmp_path: Path) -> None:
    """Too few or too many values would be another picture, or none."""
    for wrong in (b"", b"\x01" * 79, b"\x01" * 81, b"\x01" * 160):
        array = make(tmp_path / "a.zarr", compressors=None)
        (tmp_path / "a.zarr/c/0/0/0").write_bytes(wrong)
        with pytest.raises(StorageError, match="c/0/0/0"):
            _ = ChunkedSource(array, cache=ChunkCache())[0, 0, 0]


def test_a_small_file_that_unpacks_to_gigabytes_is_refused_at_once(tmp_path: Path) -> None:
    import gzip

    array = make(tmp_path / "a.zarr", compressors=zarr.codecs.GzipCodec())
    (tmp_path / "a.zarr/c/0/0/0").write_bytes(gzip.compress(bytes(50_000_000)))
    with pytest.raises(StorageError, match="c/0/0/0") as caught:
        _ = ChunkedSource(array, cache=ChunkCache())[0]
    assert "more than 80 bytes" in caught.value.found


# --- through the layer data


def test_the_library_raises_and_the_viewer_fills(tmp_path: Path) -> None:
    make(tmp_path / "a.zarr", fill_value=FILL)
    (tmp_path / "a.zarr/c/1/2/0").write_bytes(b"")
    array = zarr.open_array(tmp_path / "a.zarr", mode="r")
    heard: list[Failure] = []
    stop = shared_failures().subscribe(heard.append)
    try:
        with pytest.raises(StorageError, match="c/1/2/0"):
            DaskArrayWrapper().wrap(array).sum().compute()
        assert not heard
        lazy = DaskArrayWrapper(missing="fill").wrap(array)
        for plane in (np.asarray(lazy[3]), lazy[3].compute(), (lazy + 0)[3].compute(scheduler="sync")):
            assert (plane[8:, :5] == FILL).all()
            assert np.array_equal(plane[:8], VALUES[3, :8])
        assert [failure.location for failure in heard] == [str(tmp_path / "a.zarr")]
    finally:
        stop()
        shared_failures().clear()
        shared_cache().clear()


def test_only_these_two_ways_exist() -> None:
    with pytest.raises(OptionError, match="fill"):
        DaskArrayWrapper(missing="zeros")  # type: ignore[arg-type]


# --- not at every slice, but again


def test_a_failed_chunk_is_left_alone_for_a_while_and_then_tried_again(
    clock: Clock, told: tuple[Failures, list[Failure]]
) -> None:
    inner = MemoryStore()
    make(inner)
    store = Faulty(inner, {"c/0/0/0": OSError("503")})
    source = ChunkedSource(
        zarr.open_array(store, mode="r+"), cache=ChunkCache(), missing="fill", failures=told[0]
    )

    def tries() -> int:
        store.reads.clear()
        assert np.array_equal(source[1, :, 5:], VALUES[1, :, 5:])
        _ = source[1]
        return store.reads["c/0/0/0"]

    wait = FIRST_WAIT
    assert tries() == 1
    for _ in range(6):
        assert tries() == 0
        clock.now += wait - 0.1
        assert tries() == 0
        clock.now += 0.2
        assert tries() == 1
        wait = min(2 * wait, LONGEST_WAIT)
    clock.now += wait
    store.faults.clear()
    assert np.array_equal(source[1], VALUES[1])
    assert np.array_equal(source[1], VALUES[1])
    assert len(told[1]) == 1


def test_a_file_that_changes_is_tried_at_once(tmp_path: Path, told: tuple[Failures, list[Failure]]) -> None:
    array = make(tmp_path / "a.zarr")
    chunk = tmp_path / "a.zarr/c/0/0/0"
    good = chunk.read_bytes()
    chunk.write_bytes(good[:5])
    source = ChunkedSource(array, cache=ChunkCache(), missing="fill", failures=told[0])
    assert source[0, 0, 1] == 0
    chunk.write_bytes(good)
    assert source[0, 0, 1] == VALUES[0, 0, 1]


def test_a_file_that_cannot_be_opened_is_a_failure_too(tmp_path: Path) -> None:
    """A link to itself stands for all that a file system can refuse, to root as well."""
    array = make(tmp_path / "a.zarr")
    chunk = tmp_path / "a.zarr/c/0/0/0"
    chunk.unlink()
    chunk.symlink_to(chunk)
    with pytest.raises(StorageError, match="c/0/0/0") as caught:
        _ = ChunkedSource(array, cache=ChunkCache())[0]
    assert "OSError" in caught.value.found


def test_a_file_far_too_large_for_a_chunk_is_not_read(tmp_path: Path) -> None:
    array = make(tmp_path / "a.zarr")
    with open(tmp_path / "a.zarr/c/0/0/0", "wb") as file:
        file.truncate(2**40)  # takes no room on the disk
    with pytest.raises(StorageError, match="c/0/0/0") as caught:
        _ = ChunkedSource(array, cache=ChunkCache())[0]
    assert "too many" in caught.value.found


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_in_the_place_of_a_chunk_does_not_hang(tmp_path: Path) -> None:
    array = make(tmp_path / "a.zarr")
    chunk = tmp_path / "a.zarr/c/0/0/0"
    chunk.unlink()
    os.mkfifo(chunk)
    with pytest.raises(StorageError, match="c/0/0/0") as caught:
        _ = ChunkedSource(array, cache=ChunkCache())[0]
    assert "regular" in caught.value.found
    chunk.unlink()
    chunk.mkdir()  # as for Zarr: no chunk there
    assert ChunkedSource(array, cache=ChunkCache())[0, 0, 1] == 0


# --- the record


def test_each_opening_is_told_of_once_and_counted(told: tuple[Failures, list[Failure]]) -> None:
    failures, heard = told
    failures.report("a", "/a", [("c/0", 1), ("c/1", 1)], ERROR)
    failures.report("a", "/a", [("c/2", 1), ("c/0", 1)], StorageError("another"))
    failures.report("b", "/a", [("c/0", 1)], ERROR)
    assert [(failure.location, failure.chunks) for failure in heard] == [("/a", 2), ("/a", 1)]
    assert [(failure.error, failure.chunks) for failure in failures.record()] == [(ERROR, 3), (ERROR, 1)]
    failures.clear()
    assert failures.record() == ()
    assert failures.waiting([("c/0", 1)]) == [False]


def test_the_record_is_bounded() -> None:
    failures = Failures()
    for n in range(MAX_ARRAYS + 5):
        failures.report(n, f"/{n}", [(n, None)], ERROR)
    assert len(failures.record()) == MAX_ARRAYS
    failures.report("many", "/many", [(("many", n), None) for n in range(MAX_CHUNKS + 10)], ERROR)
    assert sum(failures.waiting([(("many", n), None) for n in range(MAX_CHUNKS + 10)])) == MAX_CHUNKS


def test_a_subscriber_may_do_as_it_likes(caplog: pytest.LogCaptureFixture) -> None:
    failures = Failures()
    heard: list[Any] = []

    def curious(failure: Failure) -> None:
        # From another thread: a lock that is held while subscribers are called would never be free.
        with ThreadPoolExecutor(1) as pool:
            heard.append(pool.submit(failures.record).result(10))
        stop()

    def clumsy(failure: Failure) -> None:
        raise RuntimeError("oops")

    failures.subscribe(clumsy)
    stop = failures.subscribe(curious)
    failures.report("a", "/a", [("c/0", None)], ERROR)
    failures.report("b", "/b", [("c/0", None)], ERROR)
    stop()
    assert [len(record) for record in heard] == [1]
    assert "oops" in caplog.text


def test_threads_that_fail_together_tell_once() -> None:
    failures, heard, start = Failures(), [], threading.Barrier(4)
    failures.subscribe(heard.append)

    def fail(thread: int) -> None:
        start.wait()
        for n in range(200):
            failures.report("a", "/a", [((thread, n), None)], ERROR)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(fail, range(4)))
    assert len(heard) == 1
    assert failures.record()[0].chunks == 800


def test_a_local_store_is_read_by_several_threads_and_all_failures_are_noted(tmp_path: Path) -> None:
    values = np.arange(64 * 64, dtype="uint16").reshape(64, 64)
    array = make(tmp_path / "a.zarr", values, (4, 4))
    assert isinstance(array.store, LocalStore)
    for y in range(16):
        (tmp_path / f"a.zarr/c/{y}/3").write_bytes(b"?")
    failures = Failures()
    for _ in range(5):
        source = ChunkedSource(array, cache=ChunkCache(), missing="fill", failures=failures)
        expected = values.copy()
        expected[:, 12:16] = 0
        assert np.array_equal(source[...], expected)
        failures.clear()
