"""Chunks decoded by Zarr, where their codecs are not plain: regions as the chunks they are made of."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from zarr.core.buffer.cpu import NDBuffer

from napari_ome_ngff.storage.pixels.indexing import boxes

if TYPE_CHECKING:
    import zarr

Position = tuple[int, ...]


Part = tuple[tuple[slice, ...], np.ndarray[Any, Any]]
"""Where a part lies in the region, and its values."""


class _Catcher(NDBuffer):
    """Takes what Zarr would write into an output array, and keeps it instead of copying it."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        # One value seen as the whole region, not writable: nothing can be written to it unnoticed.
        super().__init__(np.broadcast_to(np.zeros((), dtype), shape))
        self.parts: list[tuple[Any, Any]] = []

    def __setitem__(self, key: Any, value: Any) -> None:
        self.parts.append((key, value.as_ndarray_like() if hasattr(value, "as_ndarray_like") else value))


def read_through_zarr(
    array: zarr.Array[Any],
    positions: Sequence[Position],
    take: Callable[[Position, np.ndarray[Any, Any] | Exception], None],
) -> None:
    """Decode chunks in as few calls of Zarr as possible.

    Parameters
    ----------
    array
        The array.
    positions
        Positions in the chunk grid.
    take
        Gets each chunk, without what lies beyond the end of the array, or why it could not be read; in any
        order and in any thread.
    """
    todo = boxes(set(positions)) if positions else []
    wanted = set(positions)

    def read(box: tuple[Position, Position]) -> None:
        for position, chunk in _read_box(array, *box).items():
            if position in wanted:
                take(position, chunk)

    if len(todo) > 1:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(min(8, len(todo))) as pool:
            list(pool.map(read, todo))
    else:
        for box in todo:
            read(box)


def _read_box(
    array: zarr.Array[Any], low: Position, high: Position
) -> dict[Position, np.ndarray[Any, Any] | Exception]:
    """Read a box of neighbouring chunks in one call, each chunk in memory of its own."""
    grid = tuple(max(1, n) for n in array.chunks)
    region = _region(array, grid, low, high)
    try:
        parts = read_parts(array, region)
    except Exception as error:  # noqa: BLE001 (codecs and stores raise whatever they like)
        if low == high:
            return {low: error}
        alone: dict[Position, np.ndarray[Any, Any] | Exception] = {}
        for position in itertools.product(*(range(a, b + 1) for a, b in zip(low, high, strict=True))):
            alone |= _read_box(array, position, position)
        return alone
    decoded: dict[Position, np.ndarray[Any, Any] | Exception] = {}
    for where, values in parts:  # one chunk each, or those of a shard
        corner = [s.start + p.start for s, p in zip(region, where, strict=True)]
        ends = [s.start + p.stop for s, p in zip(region, where, strict=True)]
        numbers = [range(a // n, -(-b // n)) for a, b, n in zip(corner, ends, grid, strict=True)]
        for position in itertools.product(*numbers):
            own = _region(array, grid, position, position)
            inside: Any = tuple(slice(s.start - a, s.stop - a) for s, a in zip(own, corner, strict=True))
            decoded[position] = _own(values[(*inside, ...)])
    return decoded


def read_parts(array: zarr.Array[Any], region: tuple[slice, ...]) -> list[Part]:
    """Read a region in one call, as the decoded chunks (or parts of shards) that Zarr makes it from.

    Parameters
    ----------
    array
        The array.
    region
        Slices without steps and with both ends, one per axis.

    Returns
    -------
    list of (tuple of slice, numpy.ndarray)
        Parts that cover the region once; their slices are relative to it. Whoever keeps a part should copy
        it if it is a view.

    Examples
    --------
    >>> import zarr
    >>> array = zarr.create_array({}, shape=(4,), chunks=(2,), dtype="uint8", fill_value=5)
    >>> [(where[0].start, values.tolist()) for where, values in read_parts(array, (slice(0, 4),))]
    [(0, [5, 5]), (2, [5, 5])]
    """
    shape = tuple(part.stop - part.start for part in region)
    whole = tuple(slice(0, n) for n in shape)
    pipeline = array._async_array.codec_pipeline
    if not shape or not type(pipeline).__module__.startswith("zarr."):
        # Pipelines of other packages may write to the memory of the output.
        return [(whole, np.asarray(array[region]))]
    catcher = _Catcher(shape, np.dtype(array.dtype))
    array.get_basic_selection(region, out=catcher)
    parts = [(_full(key, shape), value) for key, value in catcher.parts]
    parts = [(where, _shaped(where, value, catcher.dtype)) for where, value in parts]
    if sum(values.size for _, values in parts) != catcher._data.size:
        return [(whole, np.asarray(array[region]))]
    return parts


def _full(key: Any, shape: tuple[int, ...]) -> tuple[slice, ...]:
    parts = key if isinstance(key, tuple) else (key,)
    return tuple(slice(*part.indices(n)) for part, n in zip(parts, shape, strict=True))


def _shaped(where: tuple[slice, ...], value: Any, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    shape = tuple(part.stop - part.start for part in where)
    if np.ndim(value) == 0:  # a chunk that was never written
        return np.full(shape, value, dtype)
    return np.asarray(value).reshape(shape)


def _region(array: zarr.Array[Any], grid: Position, low: Position, high: Position) -> tuple[slice, ...]:
    return tuple(
        slice(a * chunk, min((b + 1) * chunk, n))
        for a, b, chunk, n in zip(low, high, grid, array.shape, strict=True)
    )


def _own(chunk: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return a chunk that keeps no more memory alive than its own."""
    base = chunk
    while isinstance(base.base, np.ndarray):
        base = base.base
    return chunk if base.nbytes <= chunk.nbytes else chunk.copy()
