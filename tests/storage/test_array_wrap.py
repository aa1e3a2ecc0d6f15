"""Wrapping: lazy, large blocks, one read per request, and names that never stand for something old."""

from __future__ import annotations

import math
import pickle
import timeit
import tracemalloc
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import zarr
from dask.callbacks import Callback
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.storage import MemoryStore

from napari_ome_ngff.errors import OptionError
from napari_ome_ngff.storage.pixels.array_wrap import (
    BaseArrayWrapper,
    DaskArrayWrapper,
    ZarrArrayWrapper,
    resolve_wrapper,
)
from napari_ome_ngff.storage.pixels.chunk_cache import ChunkCache
from napari_ome_ngff.storage.pixels.dask_array import lazy_array
from napari_ome_ngff.storage.pixels.dask_blocks import plan_blocks
from napari_ome_ngff.storage.pixels.indexing import Source
from napari_ome_ngff.storage.pixels.process_state import shared_cache
from napari_ome_ngff.storage.pixels.provenance import lazy_locations
from napari_ome_ngff.storage.pixels.source import ChunkedSource, WholeNumbers
from napari_ome_ngff.storage.places.location import location_of
from tests.storage.test_source import CHUNKS, SHAPE, VALUES, CountingStore, basic_indices, example, make


@pytest.fixture(autouse=True)
def empty_cache() -> None:
    shared_cache().clear()


@pytest.fixture
def counting() -> CountingStore:
    inner = MemoryStore()
    make(inner)
    return CountingStore(inner)


# --- the wrappers and their specs


def test_the_zarr_wrapper_passes_the_array_through() -> None:
    array = make({})
    assert ZarrArrayWrapper().wrap(array) is array


@pytest.mark.parametrize(
    ("spec", "wrapper"),
    [
        ({"name": "zarr_array", "config": {}}, ZarrArrayWrapper()),
        ({"name": "dask_array", "config": {}}, DaskArrayWrapper()),
        (
            {
                "name": "dask_array",
                "config": {"chunks": (1, 4, 5), "inline_array": False, "naming": "array_url"},
            },
            DaskArrayWrapper(chunks=(1, 4, 5), inline_array=False, naming="array_url"),
        ),
        (DaskArrayWrapper(chunks=3), DaskArrayWrapper(chunks=3)),
    ],
)
def test_a_spec_says_the_same_as_a_wrapper(spec: Any, wrapper: BaseArrayWrapper) -> None:
    assert resolve_wrapper(spec) == wrapper


@pytest.mark.parametrize(
    "spec",
    [
        {"name": "numpy_array", "config": {}},
        {"name": "dask_array", "config": {"block": 3}},
        {"name": "dask_array", "options": {}},
        {"config": {}},
        "dask_array",
        None,
        ZarrArrayWrapper,
    ],
)
def test_an_unknown_spec_is_refused_with_the_choices(spec: Any) -> None:
    with pytest.raises(OptionError, match="dask_array"):
        resolve_wrapper(spec)


def test_options_that_do_not_exist_are_refused() -> None:
    with pytest.raises(OptionError, match="array_url"):
        DaskArrayWrapper(naming="url")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="chunks"):
        DaskArrayWrapper(chunks=(1, 2)).wrap(make({}))
    with pytest.raises(OptionError, match="chunks"):
        DaskArrayWrapper(chunks="a few").wrap(make({}))


# --- lazy, and the same values


@pytest.mark.parametrize("inline", [True, False])
@pytest.mark.parametrize("chunks", ["auto", 3, (2, 11, (5, 8)), ((3, 4), (5, 6), (13,)), "100 B", -1])
def test_wrapping_reads_nothing_and_computing_gives_the_values(
    chunks: Any, inline: bool, counting: CountingStore
) -> None:
    array = zarr.open_array(counting, mode="r+")
    counting.reads.clear()
    wrapped = DaskArrayWrapper(chunks=chunks, inline_array=inline).wrap(array)
    part = wrapped[1:6, 3, ::-2]
    assert not counting.reads
    assert (wrapped.shape, wrapped.dtype) == (SHAPE, VALUES.dtype)
    assert isinstance(wrapped, da.Array)
    for lazy, expected in ((wrapped, VALUES), (part, VALUES[1:6, 3, ::-2])):
        assert np.array_equal(np.asarray(lazy), expected)
        assert np.array_equal(lazy.compute(), expected)
        assert type(lazy.compute()) is np.ndarray


@given(first=basic_indices(), data=st.data(), chunks=st.sampled_from(["auto", 3, ((3, 4), (5, 6), (13,))]))
def test_slices_of_slices_are_what_numpy_gives(first: Any, data: st.DataObject, chunks: Any) -> None:
    sliced, expected = DaskArrayWrapper(chunks=chunks).wrap(example())[first], VALUES[first]
    assert sliced.shape == expected.shape
    assert sliced.shape == tuple(sum(sizes) for sizes in sliced.chunks)
    if 0 not in expected.shape:
        then = data.draw(basic_indices(expected.shape))
        sliced, expected = sliced[then], expected[then]
    assert np.array_equal(np.asarray(sliced), expected)
    assert np.array_equal(sliced.compute(scheduler="sync"), expected)


def test_everything_else_that_dask_arrays_can_do() -> None:
    x = DaskArrayWrapper(chunks=(2, 4, 5)).wrap(make({}))
    for lazy, expected in (
        (x + x[0], VALUES + VALUES[0]),
        (x[[0, 2, 5]], VALUES[[0, 2, 5]]),
        (x[x > 100], VALUES[VALUES > 100]),
        (x[None, 2], VALUES[None, 2]),
        (x.transpose(2, 0, 1)[3], VALUES.transpose(2, 0, 1)[3]),
        (x.rechunk((7, 3, 13)).sum(axis=0), VALUES.sum(axis=0)),
        (da.stack([x, x])[1, :, 4], VALUES[:, 4]),
        (x.copy()[1], VALUES[1]),
        (x.persist()[1:3], VALUES[1:3]),
        (pickle.loads(pickle.dumps(x))[2], VALUES[2]),
        (da.where(x > 5, x, 0).max(), VALUES.max()),
        (x.astype("float32")[..., 1], VALUES[..., 1]),
    ):
        assert np.array_equal(lazy.compute(scheduler="sync"), expected)


def test_meta_says_what_a_block_is() -> None:
    x = DaskArrayWrapper(meta=np.ma.empty((0, 0, 0), "uint16")).wrap(make({}))
    assert isinstance(x._meta, np.ma.MaskedArray)
    assert isinstance(x[0]._meta, np.ma.MaskedArray)
    assert np.array_equal(np.asarray(x[0]), VALUES[0])


# --- one request is one read of what it cuts


@pytest.mark.parametrize("inline", [True, False])
def test_a_request_reads_the_chunks_it_cuts_however_it_was_sliced(
    inline: bool, counting: CountingStore
) -> None:
    x = DaskArrayWrapper(inline_array=inline).wrap(zarr.open_array(counting, mode="r+"))
    cuts = {f"c/1/{y}/{x}": 1 for y in (0, 1) for x in (1,)}
    for lazy in (
        x[3, 1:8, 5:10],
        x[3][1:8][:, 5:10],
        x[1:][2, 1:8, 5:10],
        x[:, 1:8, 5:10][2:4][1],
        x[::-1][3][7:0:-1, 5:10],
    ):
        for compute in (
            np.asarray,
            lambda lazy: lazy.compute(scheduler="sync"),
            lambda lazy: (lazy + 1).compute(),
        ):
            shared_cache().clear()
            counting.reads.clear()
            compute(lazy)
            assert counting.reads == cuts


def test_a_request_is_one_read_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that all its chunks are under way at once, and dask's scheduler has nothing to do."""
    reads: list[Any] = []
    read = ChunkedSource.__getitem__

    def noting(self: ChunkedSource, index: Any) -> Any:
        reads.append(self.shape)
        return read(self, index)

    monkeypatch.setattr(ChunkedSource, "__getitem__", noting)
    x = DaskArrayWrapper(chunks=CHUNKS).wrap(make({}))
    assert x[:, 3, 4:9].npartitions > 4
    assert np.array_equal(np.asarray(x[:, 3, 4:9]), VALUES[:, 3, 4:9])
    assert reads == [(7, 5)]


@pytest.mark.parametrize(("dtype", "times"), [("uint8", 1.3), ("float32", 2.5)])
def test_all_of_a_large_array_takes_its_own_memory_and_none_of_the_cache(dtype: str, times: float) -> None:
    """Also where whole numbers are stored as floats: they are checked, a part at a time."""
    array = zarr.create_array({}, shape=(72, 1024, 1024), chunks=(36, 512, 512), dtype=dtype)
    cache = ChunkCache(400 * 2**20)  # a block would be kept
    source = (ChunkedSource if dtype == "uint8" else WholeNumbers)(array, cache=cache)
    lazy = lazy_array(source, name=dtype, blocks=None, inline_array=False, meta=None)
    assert lazy.npartitions > 1
    tracemalloc.start()
    values = np.asarray(lazy)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < values.nbytes * times
    assert cache.nbytes == 0


def test_dask_needs_little_for_a_request() -> None:
    array = zarr.create_array({}, shape=(8, 256, 256), chunks=(1, 64, 64), dtype="uint8")
    x = DaskArrayWrapper().wrap(array)
    assert len(x[3, :100, :100].__dask_graph__()) <= 2
    assert len((x[3] + 1).__dask_graph__().layers) <= 3


# --- blocks


@given(
    shape=st.lists(st.integers(1, 300), min_size=1, max_size=4),
    data=st.data(),
    itemsize=st.sampled_from([1, 2, 8]),
    limit=st.sampled_from([200, 5_000, 100_000]),
)
@settings(deadline=None)
def test_blocks_cover_what_is_taken_and_end_where_chunks_end(
    shape: list[int], data: st.DataObject, itemsize: int, limit: int
) -> None:
    unit = [data.draw(st.integers(1, n + 5)) for n in shape]
    blocks = plan_blocks([range(n) for n in shape], unit, itemsize, limit=limit, edge=50)
    assert [sum(sizes) for sizes in blocks] == shape
    for sizes, n, u in zip(blocks, shape, unit, strict=True):
        assert all(edge % u == 0 or edge == n for edge in np.cumsum(sizes))
    largest = math.prod(max(sizes) for sizes in blocks) * itemsize
    one_unit = math.prod(min(u, n) for u, n in zip(unit, shape, strict=True)) * itemsize
    assert largest <= max(limit, one_unit)
    assert all(max(sizes) < 50 + u for sizes, u in zip(blocks, unit, strict=True))


@pytest.mark.parametrize(
    ("shape", "chunks", "shards", "expected"),
    [
        ((300, 2048, 2048), (1, 256, 256), None, (128, 512, 512)),
        ((128, 1024, 1024), (64, 64, 64), None, (128, 512, 512)),
        ((2, 64, 2048, 2048), (1, 16, 256, 256), (1, 32, 512, 512), (2, 64, 512, 512)),
        ((3, 99, 4096, 4096), (1, 16, 300, 300), (1, 32, 1200, 1200), (1, 80, 600, 600)),
        ((1, 20000, 20000), (1, 1024, 1024), None, (1, 1024, 1024)),
        ((20000, 20000, 3), (512, 512, 1), None, (512, 512, 3)),
        ((1, 9000, 9000), (1, 9000, 9000), None, (1, 9000, 9000)),
        ((5, 40, 30), (1, 40, 30), None, (5, 40, 30)),
    ],
)
def test_planned_blocks_are_of_whole_chunks_and_of_64_mib_at_most(
    shape: tuple[int, ...], chunks: tuple[int, ...], shards: Any, expected: tuple[int, ...]
) -> None:
    x = DaskArrayWrapper().wrap(
        zarr.create_array({}, shape=shape, chunks=chunks, shards=shards, dtype="uint16")
    )
    assert x.chunksize == expected
    assert math.prod(x.chunksize) * 2 <= max(64 * 2**20, math.prod(chunks) * 2)


def test_own_blocks_are_kept_when_slicing() -> None:
    x = DaskArrayWrapper(chunks=((3, 4), (5, 6), (13,))).wrap(make({}))
    assert x.chunks == ((3, 4), (5, 6), (13,))
    plain = da.from_array(VALUES, chunks=x.chunks)
    for index in ((2,), (slice(1, 6), 3), (slice(None), slice(10, 2, -3)), (slice(2, 2),)):
        assert x[index].chunks == plain[index].chunks


def test_a_million_chunks_are_wrapped_and_sliced_in_no_time() -> None:
    array = zarr.create_array({}, shape=(100, 102400, 102400), chunks=(1, 1024, 1024), dtype="uint16")

    def wrap() -> da.Array:
        return DaskArrayWrapper().wrap(array)

    assert min(timeit.repeat(wrap, number=1, repeat=5)) < 0.05
    tracemalloc.start()
    tile = wrap()[50][51200:51712, 51200:51712]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20
    assert np.asarray(tile).shape == (512, 512)
    whole, source = wrap(), ChunkedSource(array)
    assert whole.npartitions <= 40_000
    for index in ((50, slice(51200, 51712), slice(512)), (slice(None), 7, slice(512))):
        through = min(timeit.repeat(lambda index=index: np.asarray(whole[index]), number=1, repeat=9))
        read = min(timeit.repeat(lambda index=index: source[index], number=1, repeat=9))
        assert through - read < 0.005


class Nested(Source):
    """A source that is no Zarr array: another one, with a frame of zeros beyond its end along x."""

    def __init__(self, source: ChunkedSource) -> None:
        self._source = source
        z, y, x = source.array.shape
        self._cover((z, y, 2 * x))

    dtype = property(lambda self: self._source.dtype)
    unit = property(lambda self: self._source.unit)
    locations = property(lambda self: self._source.locations)

    def _read(self, picks: Any) -> Any:
        whole = np.pad(self._source[...], ((0, 0), (0, 0), (0, SHAPE[2])))
        return whole[np.ix_(*map(list, picks))]


@given(index=basic_indices((*SHAPE[:2], 2 * SHAPE[2])), chunks=st.sampled_from(["auto", 3, (2, 11, 5)]))
def test_any_source_can_be_wrapped(index: Any, chunks: Any) -> None:
    expected = np.pad(VALUES, ((0, 0), (0, 0), (0, SHAPE[2])))
    source = Nested(ChunkedSource(example()))
    lazy = DaskArrayWrapper(chunks=chunks, naming="array_url").wrap_source(source)
    assert lazy.dtype == VALUES.dtype
    assert lazy[index].shape == expected[index].shape
    assert np.array_equal(np.asarray(lazy[index]), expected[index])
    assert np.array_equal((lazy[index] + 1).compute(scheduler="sync"), expected[index] + 1)
    assert lazy_locations(lazy[index]) == {location_of(example())} or 0 in expected[index].shape


def test_absurd_shapes_are_wrapped_too() -> None:
    array = zarr.create_array({}, shape=(10**9, 10**9), chunks=(64, 64), dtype="uint8")
    x = DaskArrayWrapper().wrap(array)
    assert max(x.numblocks) <= 4096
    assert not np.asarray(x[10**8, 5:9]).any()


# --- names


def test_names_are_unique_unless_asked_for() -> None:
    array = make({})
    assert DaskArrayWrapper().wrap(array).name != DaskArrayWrapper().wrap(array).name


@pytest.mark.parametrize("kind", ["local", "memory", "zip"])
def test_names_by_url_are_the_same_for_the_same_state(kind: str, tmp_path: Path) -> None:
    store: Any = tmp_path / "a.zarr" if kind == "local" else MemoryStore()
    if kind == "zip":
        with zarr.storage.ZipStore(tmp_path / "a.zip", mode="w") as archive:
            make(archive)
        store = zarr.storage.ZipStore(tmp_path / "a.zip", mode="r")
    else:
        make(store)
    wrapper = DaskArrayWrapper(naming="array_url")
    one, two = (wrapper.wrap(zarr.open_array(store, mode="r")) for _ in range(2))
    assert one.name == two.name
    assert one.name.startswith(location_of(zarr.open_array(store, mode="r")))
    assert one[3].name == two[3].name
    assert one[3].name != one[4].name
    assert (
        DaskArrayWrapper(naming="array_url", chunks=3).wrap(zarr.open_array(store, mode="r")).name != one.name
    )
    if kind == "zip":
        store.close()


@pytest.mark.parametrize("kind", ["local", "memory"])
@pytest.mark.parametrize("rewrite", ["one value", "the same shape anew", "another shape"])
def test_a_rewritten_array_is_not_served_under_its_old_name(kind: str, rewrite: str, tmp_path: Path) -> None:
    """napari has dask keep results by the names of their tasks: here, everything that was ever computed."""
    store: Any = tmp_path / "a.zarr" if kind == "local" else MemoryStore()
    make(store)
    kept: dict[Any, Any] = {}

    class KeepEverything(Callback):  # what dask.cache.Cache does, without its bound
        def __init__(self) -> None:
            super().__init__(start=self._serve, posttask=lambda key, value, *_: kept.setdefault(key, value))

        def _serve(self, graph: dict[Any, Any]) -> None:
            graph.update({key: kept[key] for key in graph if key in kept})

    def compute() -> Any:
        x = DaskArrayWrapper(naming="array_url").wrap(zarr.open_array(store, mode="r"))
        return x.name, x.compute(scheduler="sync")[2, 3, 4]

    with KeepEverything():
        before, value = compute()
        assert value == VALUES[2, 3, 4]
        assert compute() == (before, value)
        if rewrite == "one value":
            zarr.open_array(store, mode="r+")[2, 3, 4] = 12345
        elif rewrite == "the same shape anew":
            make(store, np.full(SHAPE, 12345, "uint16"))
        else:
            make(store, np.full((5, 5, 5), 12345, "uint16"))
        after, value = compute()
    assert after != before
    assert value == 12345


def test_a_state_that_cannot_be_told_has_a_name_that_is_used_once(counting: CountingStore) -> None:
    array = zarr.open_array(counting, mode="r+")
    wrapper = DaskArrayWrapper(naming="array_url")
    assert wrapper.wrap(array).name != wrapper.wrap(array).name


def test_chunks_of_the_example() -> None:
    assert CHUNKS == DaskArrayWrapper(chunks=CHUNKS).wrap(make({})).chunksize
