"""The order of axes on disk costs nothing: what is asked of an image cuts the same chunks in every order."""

from __future__ import annotations

import functools
import pickle
from collections import Counter
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.storage import MemoryStore

from napari_ome_ngff import DaskArrayWrapper
from napari_ome_ngff.storage.pixels.process_state import shared_cache
from napari_ome_ngff.storage.pixels.provenance import rejoined, stored_array
from tests.storage.test_source import CountingStore, basic_indices

SIZES = {"t": 2, "c": 2, "z": 5, "y": 7, "x": 8}
CHUNKS = {"t": 1, "c": 1, "z": 2, "y": 2, "x": 3}
FORMATS: dict[str, dict[str, Any]] = {
    "v2": {"zarr_format": 2, "chunk_key_encoding": {"name": "v2", "separator": "/"}},
    "v3": {"zarr_format": 3},
    "shards": {"zarr_format": 3, "shards": 2},
}


@functools.cache
def values(dims: str) -> np.ndarray:
    count = np.prod([SIZES[dim] for dim in dims])
    return np.arange(1, count + 1, dtype="u2").reshape([SIZES[dim] for dim in dims])


@functools.cache
def stored(dims: str, order: str, form: str) -> tuple[zarr.Array[Any], Counter[str]]:
    """An array of which the axes are stored in an order, and what is read of it."""
    inner = MemoryStore()
    options = dict(FORMATS[form])
    chunks = tuple(CHUNKS[dim] for dim in order)
    if "shards" in options:
        options["shards"] = tuple(n * options["shards"] for n in chunks)
    pixels = values(dims).transpose([dims.index(dim) for dim in order])
    array = zarr.create_array(inner, shape=pixels.shape, chunks=chunks, dtype="u2", **options)
    array[...] = pixels
    store = CountingStore(inner)
    return zarr.open_array(store, mode="r+"), store.reads


def cut(reads: Counter[str], dims: str, order: str) -> Counter[tuple[int, ...]]:
    """What was read, by the position of the chunk along each of `dims`."""
    positions: Counter[tuple[int, ...]] = Counter()
    for key, count in reads.items():
        numbers = [int(part) for part in key.split("/") if part.isdecimal()]
        positions[tuple(numbers[order.index(dim)] for dim in dims)] += count
    return positions


def slices_of_slices(dims: str) -> st.SearchStrategy[list[Any]]:
    shape = tuple(SIZES[dim] for dim in dims)

    @st.composite
    def several(draw: st.DrawFn) -> list[Any]:
        left, indices = shape, []
        for _ in range(draw(st.integers(1, 3))):
            if 0 in left:
                break
            indices.append(draw(basic_indices(left)))
            left = np.empty(left, "u1")[indices[-1]].shape
        return indices

    return several()


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("dims", ["zyx", "cyx", "tczyx"])
@given(data=st.data())
@settings(deadline=None, max_examples=7)
def test_a_request_reads_the_same_chunks_whatever_the_order_on_disk(
    dims: str, form: str, data: st.DataObject
) -> None:
    order = "".join(data.draw(st.permutations(dims)))
    indices = data.draw(slices_of_slices(dims))
    compute = data.draw(st.sampled_from([np.asarray, lambda lazy: lazy.compute(scheduler="sync")]))
    expected = functools.reduce(lambda part, index: part[index], indices, values(dims))
    counts = []
    for way in (dims, order):
        array, reads = stored(dims, way, form)
        named = xr.DataArray(DaskArrayWrapper().wrap(array), dims=tuple(way))
        lazy = named.transpose(*dims).data
        shared_cache().clear()
        reads.clear()
        np.testing.assert_array_equal(
            compute(functools.reduce(lambda part, index: part[index], indices, lazy)), expected
        )
        counts.append(cut(reads, dims, way))
    assert counts[0] == counts[1]


@given(data=st.data())
def test_whatever_is_done_to_the_axes_is_done_as_numpy_does_it(data: st.DataObject) -> None:
    """Transposed, sliced and given new axes, again and again; and no name stands for two contents."""
    array, reads = stored("zyx", "zyx", "v3")
    plain, lazy = values("zyx"), DaskArrayWrapper(chunks=data.draw(st.sampled_from(["auto", 4]))).wrap(array)
    names = {lazy.name: plain}
    for _ in range(data.draw(st.integers(1, 5))):
        if data.draw(st.booleans()):
            order = data.draw(st.permutations(range(plain.ndim)))
            plain, lazy = plain.transpose(order), lazy.transpose(order)
        elif 0 not in plain.shape:
            index = [*data.draw(basic_indices(plain.shape))]
            if data.draw(st.booleans()) and Ellipsis not in index:
                index.insert(data.draw(st.integers(0, len(index))), None)
            plain, lazy = plain[tuple(index)], lazy[tuple(index)]
        assert lazy.shape == plain.shape
        assert tuple(map(sum, lazy.chunks)) == plain.shape
        before = names.setdefault(lazy.name, plain)
        np.testing.assert_array_equal(before, plain)
    shared_cache().clear()
    reads.clear()
    np.testing.assert_array_equal(np.asarray(lazy), plain)
    assert set(reads.values()) <= {1}
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(lazy)).compute(scheduler="sync"), plain)


def test_transposed_back_and_without_its_new_axes_it_is_what_is_stored() -> None:
    array, _ = stored("tczyx", "xyzct", "v3")
    lazy = DaskArrayWrapper().wrap(array)
    shown = lazy.transpose(4, 3, 2, 1, 0)
    assert stored_array(shown) is None
    assert stored_array(shown[:, None][:, 0].T) is array
    channels = [shown[:, i, None] for i in range(2)]
    together = rejoined([channel[:, 0] for channel in channels], 1)
    assert together is not None
    assert together.chunks == shown.chunks
    assert stored_array(together.T) is array
