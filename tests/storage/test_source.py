"""Reading through the cache: numpy's values, each chunk decoded once, nothing stale, nothing shared."""

from __future__ import annotations

import functools
import pickle
import threading
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.storage import LocalStore, MemoryStore, WrapperStore, ZipStore

from napari_ome_ngff.errors import StorageError
from napari_ome_ngff.storage.pixels.chunk_cache import ChunkCache
from napari_ome_ngff.storage.pixels.chunk_reader import MAX_STRETCH, stretches
from napari_ome_ngff.storage.pixels.codecs import checksum, chunk_format
from napari_ome_ngff.storage.pixels.failed_chunks import Failures
from napari_ome_ngff.storage.pixels.indexing import cut, pieces
from napari_ome_ngff.storage.pixels.process_state import decode_pool
from napari_ome_ngff.storage.pixels.provenance import lazy_locations
from napari_ome_ngff.storage.pixels.source import ChunkedSource
from napari_ome_ngff.storage.places import requests
from napari_ome_ngff.storage.places.location import location_of
from napari_ome_ngff.storage.places.requests import MAX_REQUESTS

SHAPE, CHUNKS = (7, 11, 13), (2, 4, 5)
VALUES = np.arange(np.prod(SHAPE), dtype="uint16").reshape(SHAPE)


class CountingStore(WrapperStore[Any]):
    """Counts what is read; of a kind that cannot tell whether a chunk was rewritten."""

    def __init__(self, store: Any) -> None:
        super().__init__(store)
        self.reads: Counter[str] = Counter()

    async def get(self, key: str, *args: Any, **kwargs: Any) -> Any:
        self.reads[key] += 1
        return await super().get(key, *args, **kwargs)


def make(
    store: Any, values: np.ndarray = VALUES, chunks: tuple[int, ...] = CHUNKS, **options: Any
) -> zarr.Array:
    array = zarr.create_array(
        store, shape=values.shape, chunks=chunks, dtype=values.dtype, overwrite=True, **options
    )
    array[...] = values
    return array


@functools.cache
def example() -> zarr.Array:
    """The example, made once for all tests that only read it."""
    return make(MemoryStore())


@pytest.fixture
def counted() -> tuple[ChunkedSource, Counter[str]]:
    """A source of its own cache, and what was read from its store since."""
    inner = MemoryStore()
    make(inner)
    store = CountingStore(inner)
    source = ChunkedSource(zarr.open_array(store, mode="r+"), cache=ChunkCache())  # "r" would copy the store
    store.reads.clear()
    return source, store.reads


BOOLEANS = st.booleans()


@functools.cache  # hypothesis looks at each strategy before its first draw
def slices(length: int) -> st.SearchStrategy[slice]:
    ends = st.none() | st.integers(-length - 2, length + 2)
    return st.builds(slice, ends, ends, st.sampled_from([None, 1, 2, 3, 7, -1, -2, -5]))


@functools.cache
def along(length: int) -> st.SearchStrategy[slice | int]:
    return slices(length) | st.integers(-length, length - 1)


@st.composite
def basic_indices(draw: st.DrawFn, shape: tuple[int, ...] = SHAPE) -> tuple[Any, ...]:
    index: list[Any] = [draw(along(n)) for n in shape[: draw(st.integers(0, len(shape)))]]
    if draw(BOOLEANS):
        index = [*index[:1], Ellipsis]
    return tuple(index)


# --- the same values as numpy's


@given(index=basic_indices())
def test_indexing_gives_what_numpy_gives(index: tuple[Any, ...]) -> None:
    source = ChunkedSource(example(), cache=ChunkCache())
    for _ in range(2):  # cold, then from the cache
        values = source[index]
        assert np.array_equal(values, VALUES[index])
        assert np.shape(values) == VALUES[index].shape
        assert values.dtype == VALUES.dtype


@given(index=basic_indices(), data=st.data())
def test_a_view_of_a_view_is_what_numpy_gives(index: tuple[Any, ...], data: st.DataObject) -> None:
    view = ChunkedSource(example(), cache=ChunkCache()).view(index)
    expected = VALUES[index]
    assert view.shape == expected.shape
    if 0 not in expected.shape:
        then = data.draw(basic_indices(expected.shape))
        assert np.array_equal(view[then], expected[then])


@given(index=basic_indices(), order=st.permutations(range(4)), shards=st.sampled_from([None, (4, 8, 5)]))
def test_what_is_read_into_an_array_is_the_same_and_not_kept(
    index: tuple[Any, ...], order: list[int], shards: tuple[int, ...] | None
) -> None:
    cache = ChunkCache()
    source = ChunkedSource(example() if shards is None else make({}, shards=shards), cache=cache)
    for new_axis in (False, True):
        part, expected = source.view(index), VALUES[index]
        if new_axis:
            part, expected = part.view((None, ...)), expected[None]
        axes = [axis for axis in order if axis < expected.ndim]
        part, expected = part.transpose(axes), expected.transpose(axes)
        values = np.full_like(expected, 77)
        part.read_into(values)
        np.testing.assert_array_equal(values, expected)
        assert new_axis or not [key for key in cache._entries if "index" not in key], "decoded chunks"


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint16", ">u2", ">i4", "float16", ">f4", "float64", "complex64", "<u8"]
)
@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("cache", [ChunkCache(), ChunkCache(max_bytes=0)], ids=["cached", "direct"])
def test_every_dtype_and_format(dtype: str, zarr_format: Any, cache: ChunkCache) -> None:
    values = (VALUES % 120).astype(dtype)
    source = ChunkedSource(make({}, values, zarr_format=zarr_format), cache=cache)
    part = source[1:6, ::-2, 3]
    assert np.array_equal(part, values[1:6, ::-2, 3])
    assert part.dtype.newbyteorder("=") == values.dtype.newbyteorder("=")


@pytest.mark.parametrize("options", [{"shards": (4, 8, 10)}, {"compressors": None}, {"order": "F"}])
def test_shards_uncompressed_and_column_order(options: dict[str, Any]) -> None:
    zarr_format = 2 if "order" in options else 3
    source = ChunkedSource(make({}, zarr_format=zarr_format, **options), cache=ChunkCache())
    for index in ((3,), (slice(None), 5), (slice(1, 6), slice(2, 9), slice(4, 12)), ...):
        assert np.array_equal(source[index], VALUES[index])


PLAIN: dict[str, dict[str, Any]] = {
    "raw": {"compressors": None},
    "zstd": {"compressors": zarr.codecs.ZstdCodec(checksum=True)},
    "gzip": {"compressors": zarr.codecs.GzipCodec()},
    "blosc": {"compressors": zarr.codecs.BloscCodec(cname="lz4", shuffle="bitshuffle")},
    "two": {"compressors": [zarr.codecs.BloscCodec(), zarr.codecs.GzipCodec()]},
    "big": {"serializer": zarr.codecs.BytesCodec(endian="big")},
    "shards": {"shards": (4, 8, 10)},
    "shards, index first": {"shards": {"shape": (4, 8, 10), "index_location": "start"}},
    "shards, raw": {"shards": (4, 12, 15), "compressors": None},
    "v2 raw": {"zarr_format": 2, "compressors": None},
    "v2 columns": {"zarr_format": 2, "order": "F"},
    "v2 nested": {"zarr_format": 2, "chunk_key_encoding": {"name": "v2", "separator": "/"}},
    **{
        f"v2 {codec.codec_id}": {"zarr_format": 2, "compressors": codec}
        for codec in (
            *(numcodecs.Blosc(), numcodecs.GZip(), numcodecs.Zlib(), numcodecs.LZ4(), numcodecs.BZ2()),
            *(numcodecs.LZMA(), numcodecs.Zstd(), numcodecs.Base64(), numcodecs.Shuffle(2)),
        )
    },
    "v2 filters": {"zarr_format": 2, "filters": [numcodecs.Delta(dtype="u2")]},
    "v2 wider": {
        "zarr_format": 2,
        "filters": [numcodecs.AsType("f8", "u2"), numcodecs.FixedScaleOffset(0, 1, "f8", "i4")],
        "compressors": numcodecs.Zstd(),
    },
    "v2 checked": {"zarr_format": 2, "filters": [numcodecs.CRC32(), numcodecs.Fletcher32()]},
    "checked": {"compressors": [zarr.codecs.Crc32cCodec(), zarr.codecs.ZstdCodec()]},
}
"""What is decoded here."""

UNUSUAL: dict[str, dict[str, Any]] = {
    "transposed": {"filters": [zarr.codecs.TransposeCodec(order=(2, 0, 1))]},
    "shards, transposed": {
        "shards": (4, 8, 10),
        "filters": [zarr.codecs.TransposeCodec(order=(2, 0, 1))],
    },
    "transposed, two": {
        "filters": [zarr.codecs.TransposeCodec(order=(2, 0, 1))],
        "compressors": [zarr.codecs.GzipCodec(), zarr.codecs.ZstdCodec()],
    },
}
"""What is left to Zarr."""


@pytest.mark.parametrize("name", [*PLAIN, *UNUSUAL])
@pytest.mark.parametrize(
    ("kind", "cache"),
    [("local", ChunkCache()), ("memory", ChunkCache(max_bytes=0))],
    ids=["local, cached", "memory, direct"],
)
def test_every_chain_of_codecs_gives_what_was_written(
    name: str, kind: str, cache: ChunkCache, tmp_path: Path
) -> None:
    options = {**PLAIN, **UNUSUAL}[name]
    array = make(tmp_path / "a.zarr" if kind == "local" else {}, fill_value=9, **options)
    source = ChunkedSource(array, cache=cache)
    form = chunk_format(array)
    assert form is not None
    assert (form.codecs is None) == (name in UNUSUAL)
    for index in (..., 3, (slice(1, 6), slice(9, 2, -2), 12), (slice(None), [10, 0])):
        assert np.array_equal(source[index], VALUES[index])
    array[2:4, 4:8] = 9  # chunks of nothing but the fill value are deleted
    assert np.array_equal(source[...], array[...])
    assert (source[3, 5] == 9).all()


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize(
    ("dtype", "fill"), [("uint8", 7), (">f4", np.nan), ("bool", True), ("complex64", 1 + 2j), ("<i8", -3)]
)
def test_what_was_never_written_is_the_fill_value(zarr_format: Any, dtype: str, fill: Any) -> None:
    array = zarr.create_array(
        {}, shape=(5, 5), chunks=(2, 3), dtype=dtype, fill_value=fill, zarr_format=zarr_format
    )
    array[:2, :3] = 1
    source = ChunkedSource(array, cache=ChunkCache())
    assert chunk_format(array) is not None
    assert np.array_equal(source[...], array[...], equal_nan=True)
    assert np.array_equal(source[4], np.full(5, fill, dtype), equal_nan=True)


def test_no_fill_value_is_zero() -> None:
    array = zarr.create_array({}, shape=(3,), chunks=(2,), dtype="u2", fill_value=None, zarr_format=2)
    assert ChunkedSource(array)[...].tolist() == [0, 0, 0]


def test_huge_chunks_that_were_never_written_take_no_memory() -> None:
    array = zarr.create_array({}, shape=(10**7, 10**7), chunks=(10**6, 10**6), dtype="u2", fill_value=4)
    tracemalloc.start()
    assert (ChunkedSource(array, cache=ChunkCache())[5000:5010, :10] == 4).all()
    assert tracemalloc.get_traced_memory()[1] < 10**6
    tracemalloc.stop()


def test_lists_and_masks_select_the_product_of_their_positions() -> None:
    source = ChunkedSource(make({}), cache=ChunkCache())
    direct = ChunkedSource(source.array, cache=ChunkCache(max_bytes=0))
    mask = np.arange(11) % 3 == 0
    for one in (source, direct):
        assert np.array_equal(
            one[[5, 0, -1], mask, 2:4], VALUES[np.ix_([5, 0, 6], np.nonzero(mask)[0], [2, 3])]
        )


def test_arrays_without_axes_and_without_values() -> None:
    scalar = zarr.create_array({}, shape=(), dtype="uint8", fill_value=3)
    assert ChunkedSource(scalar)[()] == 3
    empty = ChunkedSource(zarr.create_array({}, shape=(0, 4), chunks=(1, 2), dtype="uint8"))
    assert empty[...].shape == (0, 4)
    assert ChunkedSource(make({}))[2:2, 1].shape == (0, 13)


@pytest.mark.parametrize("index", [7, -8, (0, 0, 0, 0), ([[1, 2]],), "x", (..., ...), [99], [True]])
def test_what_numpy_refuses_is_refused(index: Any) -> None:
    with pytest.raises(IndexError):
        ChunkedSource(make({}))[index]


# --- chunks are decoded once, in few requests


def test_a_plane_decodes_the_chunks_it_cuts_and_no_others(
    counted: tuple[ChunkedSource, Counter[str]],
) -> None:
    source, reads = counted
    assert np.array_equal(source[3, 2:9, 4:6], VALUES[3, 2:9, 4:6])
    assert reads == {f"c/1/{y}/{x}": 1 for y in (0, 1, 2) for x in (0, 1)}


def test_stepping_inside_a_chunk_and_coming_back_decodes_nothing(
    counted: tuple[ChunkedSource, Counter[str]],
) -> None:
    source, reads = counted
    _ = source[2]
    reads.clear()
    assert np.array_equal(source[3], VALUES[3])
    assert np.array_equal(source.view((slice(None), 4))[2], VALUES[2, 4])
    assert not reads


def test_moving_sideways_reads_only_what_came_into_sight(counted: tuple[ChunkedSource, Counter[str]]) -> None:
    source, reads = counted
    _ = source[0, :8, :10]
    reads.clear()
    assert np.array_equal(source[0, 1:11, 2:13], VALUES[0, 1:11, 2:13])
    assert reads == {f"c/0/{y}/{x}": 1 for y, x in [(2, 0), (2, 1), (2, 2), (0, 2), (1, 2)]}


def test_all_missing_chunks_are_asked_for_at_once() -> None:
    """Each store call waits until all expected ones are under way: reading one by one would never end."""
    expected, under_way = 9, 0
    store = MemoryStore()
    make(store)

    class Patient(WrapperStore[Any]):
        async def get(self, key: str, *args: Any, **kwargs: Any) -> Any:
            import asyncio

            nonlocal under_way
            if key.startswith("c/"):
                under_way += 1
                async with asyncio.timeout(20):
                    while under_way < expected:
                        await asyncio.sleep(0.001)
            return await super().get(key, *args, **kwargs)

    source = ChunkedSource(zarr.open_array(Patient(store), mode="r+"), cache=ChunkCache())
    assert np.array_equal(source[0], VALUES[0])


@pytest.mark.parametrize("shards", [None, (1, 16)])
def test_requests_under_way_are_many_but_bounded(shards: Any) -> None:
    """Sixty-four, whatever Zarr's own setting is: that is the process', and stays as it was."""
    import asyncio

    values = np.arange(8 * 512, dtype="uint16").reshape(8, 512)
    inner, under_way, most = MemoryStore(), 0, 0
    make(inner, values, (1, 16), shards=shards)

    class Slow(WrapperStore[Any]):
        async def get(self, key: str, *args: Any, **kwargs: Any) -> Any:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0.02)
            under_way -= 1
            return await super().get(key, *args, **kwargs)

    source = ChunkedSource(zarr.open_array(Slow(inner), mode="r+"), cache=ChunkCache())
    before = zarr.config.get("async.concurrency")
    most = 0
    assert np.array_equal(source[:, ::2], values[:, ::2])
    assert most == MAX_REQUESTS
    assert zarr.config.get("async.concurrency") == before


def test_large_chunks_are_fetched_few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "MAX_BYTES_AT_ONCE", 100)
    found: dict[int, Any] = {}
    under_way: list[str] = []

    class Watched(WrapperStore[Any]):
        async def get(self, key: str, *args: Any, **kwargs: Any) -> Any:
            under_way.append(key)
            assert len(under_way) <= 3
            found_here = await super().get(key, *args, **kwargs)
            under_way.remove(key)
            return found_here

    pieces = [requests.Piece(str(n)) for n in range(20)]
    requests.read_pieces(
        Watched(MemoryStore()),
        pieces,
        found.__setitem__,
        pool=decode_pool(),
        decoded_bytes=33,
        limit=100,
    )
    assert found == dict.fromkeys(range(20))


def test_a_pass_over_everything_leaves_the_cache_alone() -> None:
    values = np.zeros((64, 64), "uint8")
    cache = ChunkCache(max_bytes=4096)
    source = ChunkedSource(make({}, values, (8, 8)), cache=cache)
    _ = source[:16, :16]
    before = cache.nbytes
    _ = source[...]
    assert cache.nbytes == before == 256


def test_a_thinned_volume_is_read_once_until_it_changes() -> None:
    """napari asks twice for it: its chunks are too many for the cache, what is taken of them is not."""
    inner = MemoryStore()
    values = np.arange(64 * 64, dtype="uint16").reshape(64, 64)
    make(inner, values, (8, 8))
    store = CountingStore(inner)
    cache = ChunkCache(max_bytes=4096)
    source = ChunkedSource(zarr.open_array(store, mode="r+"), cache=cache)
    thin = source.view((slice(3, None, 8), slice(3, None, 8)))
    store.reads.clear()
    for _ in range(2):
        taken = thin[...]
        np.testing.assert_array_equal(taken, values[3::8, 3::8])
        taken[...] = 0  # it is the caller's own
    assert set(store.reads.values()) == {1}
    np.testing.assert_array_equal(thin[:, 1:], values[3::8, 11::8])  # another part
    assert cache.nbytes <= 4096
    here = ChunkedSource(zarr.open_array(inner, mode="r+"), cache=cache)
    thin = here.view((slice(3, None, 8), slice(3, None, 8)))
    _ = thin[...]
    here.array[11, 11] = 9999
    assert thin[1, 1] == thin[...][1, 1] == 9999


def test_a_thinned_volume_with_a_chunk_that_failed_is_not_kept(tmp_path: Path) -> None:
    values = np.arange(1, 64 * 64 + 1, dtype="uint16").reshape(64, 64)
    array = make(tmp_path / "a", values, (8, 8))
    chunk = tmp_path / "a" / "c" / "0" / "0"
    content = chunk.read_bytes()
    chunk.write_bytes(b"damaged")
    failures = Failures()
    source = ChunkedSource(array, cache=ChunkCache(max_bytes=4096), missing="fill", failures=failures)
    thin = source.view((slice(3, None, 8), slice(3, None, 8)))
    assert thin[...][0, 0] == 0
    chunk.write_bytes(content)
    assert thin[...][0, 0] == values[3, 3]


def test_the_cache_keeps_its_bound() -> None:
    values = np.zeros((4, 100, 100), "uint8")
    cache = ChunkCache(max_bytes=16_000)
    source = ChunkedSource(make({}, values, (1, 10, 10)), cache=cache)
    for z in range(4):
        for y in range(0, 100, 20):
            _ = source[z, y : y + 20, ::2]
            assert cache.nbytes <= 16_000
    assert cache.nbytes > 8_000


@given(st.integers(1, 60), st.data(), st.integers(1, 9))
@settings(deadline=None)
def test_cuts_and_pieces_share_out_a_range(length: int, data: st.DataObject, chunk: int) -> None:
    pick = range(length)[data.draw(slices(length))]
    taken = np.empty(len(pick), int)
    for number, inside, outside in cut(pick, chunk):
        taken[outside] = np.arange(number * chunk, (number + 1) * chunk)[inside]
    assert taken.tolist() == list(pick)
    assert sum(pieces(pick, chunk)) == len(pick)


@given(
    st.dictionaries(
        st.tuples(st.integers(0, 99)),
        st.tuples(st.integers(0, 3 * MAX_STRETCH), st.integers(0, 2 * MAX_STRETCH)),
    )
)
@settings(deadline=None)
def test_stretches_hold_each_chunk_once_where_it_is(places: dict[Any, tuple[int, int]]) -> None:
    """Chunks of a shard may lie in any order, with gaps, and even over each other."""
    seen = {}
    for (offset, length), members in stretches(places):
        assert length <= MAX_STRETCH or len(members) == 1
        for position, part in members:
            assert 0 <= part.start <= part.stop <= length
            seen[position] = (offset + part.start, part.stop - part.start)
    assert seen == places


def test_chunks_of_a_shard_that_lie_together_are_one_request() -> None:
    inner = MemoryStore()
    make(inner, shards=(4, 12, 15))
    store = CountingStore(inner)
    source = ChunkedSource(zarr.open_array(store, mode="r+"), cache=ChunkCache())
    store.reads.clear()
    assert np.array_equal(source[1], VALUES[1])
    assert store.reads == {"c/0/0/0": 2}  # the index, and nine chunks
    assert np.array_equal(source[2], VALUES[2])
    assert store.reads == {"c/0/0/0": 3}


# --- nothing stale


@pytest.mark.parametrize("kind", ["local", "memory"])
@pytest.mark.parametrize("shards", [None, (4, 8, 10)])
def test_a_rewritten_chunk_is_decoded_again(kind: str, shards: Any, tmp_path: Path) -> None:
    array = make(MemoryStore() if kind == "memory" else tmp_path / "a.zarr", shards=shards)
    source = ChunkedSource(array, cache=ChunkCache())
    _ = source[...]
    array[2, 3, 4] = 9999
    assert source[2, 3, 4] == 9999


def test_a_chunk_that_appears_or_is_deleted_is_seen(tmp_path: Path) -> None:
    array = make(tmp_path, chunks=(7, 11, 13))
    source = ChunkedSource(array, cache=ChunkCache())
    assert source[1, 1, 1] == VALUES[1, 1, 1]
    (tmp_path / "c/0/0/0").unlink()
    assert source[1, 1, 1] == 0
    array[...] = 5
    assert source[1, 1, 1] == 5


def test_an_array_made_anew_at_the_same_place_is_read_anew(tmp_path: Path) -> None:
    cache = ChunkCache()
    make(tmp_path / "a")
    assert ChunkedSource(zarr.open_array(tmp_path / "a"), cache=cache)[0, 0, 1] == 1
    make(tmp_path / "a", VALUES.astype("float32") + 7, (7, 11, 13))
    assert ChunkedSource(zarr.open_array(tmp_path / "a"), cache=cache)[0, 0, 1] == 8


@pytest.mark.parametrize("kind", ["folder", "memory"])
@pytest.mark.parametrize("looked_before", [False, True])
def test_an_array_that_is_gone_is_an_error_and_not_zeros(
    looked_before: bool, kind: str, tmp_path: Path
) -> None:
    store: Any = tmp_path / "a" if kind == "folder" else MemoryStore()
    zarr.create_array(store, shape=(4, 4), chunks=(2, 2), dtype="uint8")[...] = 7
    source = ChunkedSource(zarr.open_array(store, mode="r"))
    assert not looked_before or source[0, 0] == 7
    if kind == "folder":
        store.rename(tmp_path / "b")
    else:
        store._store_dict.clear()
    with pytest.raises(StorageError, match="another array has taken its place"):
        source[3, 3]


def test_a_zip_file_written_again_is_read_again(tmp_path: Path) -> None:
    cache = ChunkCache()
    for value in (1, 2):
        with ZipStore(tmp_path / "a.zip", mode="w") as store:
            make(store, np.full((4, 4), value, "uint8"), (2, 2))
        with ZipStore(tmp_path / "a.zip", mode="r") as store:
            assert ChunkedSource(zarr.open_array(store, mode="r"), cache=cache)[3, 3] == value


def test_stores_that_cannot_tell_are_read_anew_by_a_new_source() -> None:
    cache, inner = ChunkCache(), MemoryStore()
    array = make(inner)
    assert ChunkedSource(zarr.open_array(CountingStore(inner), mode="r+"), cache=cache)[0, 0, 1] == 1
    array[0, 0, 1] = 77
    assert ChunkedSource(zarr.open_array(CountingStore(inner), mode="r+"), cache=cache)[0, 0, 1] == 77


# --- nothing shared by accident


@pytest.mark.parametrize(
    "index", [..., 0, (slice(0, 2), slice(0, 4), slice(0, 5)), (slice(0, 2), slice(0, 4))]
)
@pytest.mark.parametrize("compressors", ["auto", None])
def test_what_is_returned_may_be_written_to(index: Any, compressors: Any) -> None:
    source = ChunkedSource(make({}, compressors=compressors), cache=ChunkCache())
    for _ in range(2):
        values = source[index]
        values[...] = 0
        assert np.array_equal(source[index], VALUES[index])
    assert np.array_equal(source.array[...], VALUES)


def test_threads_see_the_same_values() -> None:
    source = ChunkedSource(make({}), cache=ChunkCache(max_bytes=1500))  # too small: chunks come and go
    start = threading.Barrier(4)

    def look(seed: int) -> bool:
        random = np.random.default_rng(seed)
        start.wait()
        return all(
            np.array_equal(source[z, y : y + 5], VALUES[z, y : y + 5])
            for z, y in zip(random.integers(0, 7, 40), random.integers(0, 8, 40), strict=True)
        )

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(look, range(4)))


def test_a_source_is_pickled_without_its_cache(tmp_path: Path) -> None:
    source = ChunkedSource(make(tmp_path / "a")).view((slice(1, 5), 3))
    _ = source[...]
    data = pickle.dumps(source)
    assert len(data) < 5000
    assert np.array_equal(pickle.loads(data)[...], VALUES[1:5, 3])


# --- a chunk that cannot be read


@pytest.mark.parametrize("cache", [ChunkCache(), ChunkCache(max_bytes=0)], ids=["cached", "direct"])
@pytest.mark.parametrize("damage", ["truncated", "noise", "refused"])
def test_a_chunk_that_cannot_be_read_is_named(damage: str, cache: ChunkCache, tmp_path: Path) -> None:
    array = make(tmp_path / "a.zarr")
    chunk = tmp_path / "a.zarr/c/1/2/0"
    if damage == "refused":
        array = zarr.open_array(RefusingStore(array.store), mode="r+")
    else:
        chunk.write_bytes(chunk.read_bytes()[:7] if damage == "truncated" else b"\x00noise" * 9)
    source = ChunkedSource(array, cache=cache)
    with pytest.raises(StorageError, match="c/1/2/0") as caught:
        _ = source[...]
    assert caught.value.where == str(tmp_path / "a.zarr")
    assert len(caught.value.summary.splitlines()) == 1
    assert np.array_equal(source[0], VALUES[0]), "the others are still there"


class RefusingStore(WrapperStore[Any]):
    """A store that may not read one chunk (the tests may run as root, who may read every file)."""

    async def get(self, key: str, *args: Any, **kwargs: Any) -> Any:
        if key == "c/1/2/0":
            raise PermissionError(13, "Permission denied", key)
        return await super().get(key, *args, **kwargs)


# --- where lazy data come from


def test_locations_of_what_is_read_directly() -> None:
    array, other = make({}), make({})
    both = {location_of(array), location_of(other)}
    assert lazy_locations(array) == lazy_locations(ChunkedSource(array)) == {location_of(array)}
    assert lazy_locations([array, (other,)]) == lazy_locations({"0": array, "1": other}) == both
    assert lazy_locations(VALUES) == lazy_locations([VALUES, "text", 3]) == frozenset()


def _lazy_arrays(array: zarr.Array[Any]) -> Iterator[tuple[str, Any]]:
    import dask.array as da

    from napari_ome_ngff.storage.pixels.array_wrap import DaskArrayWrapper

    for inline in (False, True):
        yield "from_array", da.from_array(array, inline_array=inline)
        yield "ours", DaskArrayWrapper(inline_array=inline).wrap(array)
    yield "from_zarr", da.from_zarr(array)
    yield "closure", da.map_blocks(lambda: array[...], chunks=array.shape, dtype=array.dtype)
    yield "delayed", da.from_delayed(_read_later()(array), array.shape, array.dtype)


def _read_later() -> Any:
    import dask

    return dask.delayed(lambda array: array[...])


def test_locations_in_dask_graphs() -> None:
    import dask.array as da

    # dask may take arrays of equal content for the same one
    array, other = make({}), make({}, VALUES + 1)
    here, there = location_of(array), location_of(other)
    for kind, lazy in _lazy_arrays(array):
        assert lazy_locations(lazy) == {here}, kind
        assert lazy_locations(lazy[1:3, ::2]) == {here}, kind
        assert lazy_locations(lazy.map_blocks(np.sqrt).mean(axis=0)) == {here}, kind
        assert lazy_locations(da.stack([lazy, da.from_array(other)])) == {here, there}, kind
        assert lazy_locations(lazy.persist()) == frozenset(), kind


def test_locations_in_xarray() -> None:
    import xarray
    from xarray.backends.common import BackendArray
    from xarray.core.indexing import LazilyIndexedArray

    class OneLevel(BackendArray):
        def __init__(self, array: zarr.Array[Any]) -> None:
            self.array, self.shape, self.dtype = array, array.shape, array.dtype

        def __getitem__(self, key: Any) -> Any:
            raise AssertionError("looking for locations reads nothing")

    array = make({})
    lazy = xarray.DataArray(LazilyIndexedArray(OneLevel(array)), dims=("z", "y", "x"))
    for data in (lazy, lazy.variable, lazy.isel(z=slice(1, 3)), [lazy], lazy.to_dataset(name="a")):
        assert lazy_locations(data) == {location_of(array)}
    assert lazy_locations(xarray.DataArray(VALUES)) == frozenset()
    chunked = xarray.DataArray(next(_lazy_arrays(array))[1], dims=("z", "y", "x"))
    assert lazy_locations(chunked.isel(z=2)) == {location_of(array)}


def test_locations_of_local_arrays_are_paths(tmp_path: Path) -> None:
    make(LocalStore(tmp_path / "a.zarr"), name="0")
    array = zarr.open_array(tmp_path / "a.zarr", path="0")
    assert lazy_locations(array) == {str(tmp_path / "a.zarr" / "0")}


def test_the_checksum_of_a_shards_index_is_crc32c() -> None:
    """The check value of RFC 3720."""
    assert checksum(b"123456789") == bytes.fromhex("839206e3")
