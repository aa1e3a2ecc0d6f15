"""Read a region of a Zarr array as the chunks it is made of, without putting it together first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from zarr.core.buffer.cpu import NDBuffer

if TYPE_CHECKING:
    import zarr

Piece = tuple[tuple[slice, ...], np.ndarray[Any, Any]]
"""Where a piece lies in the region, and its values."""


class _Catcher(NDBuffer):
    """Takes what Zarr would write into an output array, and keeps it instead of copying it."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        # One value seen as the whole region, not writable: nothing can be written to it unnoticed.
        super().__init__(np.broadcast_to(np.zeros((), dtype), shape))
        self.pieces: list[tuple[Any, Any]] = []

    def __setitem__(self, key: Any, value: Any) -> None:
        self.pieces.append((key, value.as_ndarray_like() if hasattr(value, "as_ndarray_like") else value))


def read_pieces(array: zarr.Array[Any], region: tuple[slice, ...]) -> list[Piece]:
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
        Pieces that cover the region once; their slices are relative to it. Whoever keeps a piece should copy
        it if it is a view.

    Examples
    --------
    >>> import zarr
    >>> array = zarr.create_array({}, shape=(4,), chunks=(2,), dtype="uint8", fill_value=5)
    >>> [(where[0].start, values.tolist()) for where, values in read_pieces(array, (slice(0, 4),))]
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
    pieces = [(_full(key, shape), value) for key, value in catcher.pieces]
    pieces = [(where, _shaped(where, value, catcher.dtype)) for where, value in pieces]
    if sum(values.size for _, values in pieces) != catcher._data.size:
        return [(whole, np.asarray(array[region]))]
    return pieces


def _full(key: Any, shape: tuple[int, ...]) -> tuple[slice, ...]:
    parts = key if isinstance(key, tuple) else (key,)
    return tuple(slice(*part.indices(n)) for part, n in zip(parts, shape, strict=True))


def _shaped(where: tuple[slice, ...], value: Any, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    shape = tuple(part.stop - part.start for part in where)
    if np.ndim(value) == 0:  # a chunk that was never written
        return np.full(shape, value, dtype)
    return np.asarray(value).reshape(shape)
