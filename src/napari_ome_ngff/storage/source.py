"""What lies under a lazy array: a Zarr array behind one cache of decoded chunks.

A viewer asks for a plane, then for the next one, then for the first again. Zarr decodes every chunk that a
request cuts, each time; here a chunk is decoded once as long as the shared cache has room. All chunks that
are missing for a request are read in one call where they lie together, so that they are fetched concurrently.
"""

from __future__ import annotations

import itertools
import math
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ome_ngff.errors import StorageError
from napari_ome_ngff.storage.cache import ChunkCache, shared_cache
from napari_ome_ngff.storage.location import location_of
from napari_ome_ngff.storage.origins import lazy_locations
from napari_ome_ngff.storage.selection import Axis, Pick, boxes, compose, cut, whole
from napari_ome_ngff.storage.stamps import Position, fingerprint, stamper, stored_position

if TYPE_CHECKING:
    import zarr

__all__ = ["ChunkedSource", "lazy_locations"]


class ChunkedSource:
    """A Zarr array, or a part of one, that is read by indexing and remembers decoded chunks.

    Parameters
    ----------
    array
        The array to read.
    view
        What to take along each axis: an integer (the axis is dropped) or a range. By default everything.
    cache
        Where decoded chunks are kept; by default the cache that all sources of the process share.

    Attributes
    ----------
    array : zarr.Array
        The array that is read.
    shape, dtype, ndim, chunks
        Of the part that is taken; chunks are those of the array.

    Notes
    -----
    A chunk is decoded again when what it came from changed: its file, for folders and zip files; its bytes,
    for stores in memory. Remote stores cannot be asked cheaply: there a new source sees the new state.

    Examples
    --------
    >>> import zarr
    >>> array = zarr.create_array({}, shape=(4, 6), chunks=(2, 3), dtype="uint8")
    >>> array[1] = 7
    >>> source = ChunkedSource(array)
    >>> source[:2, ::2].tolist()
    [[0, 0, 0], [7, 7, 7]]
    >>> source.view(1)[-1]
    np.uint8(7)
    """

    def __init__(
        self,
        array: zarr.Array[Any],
        *,
        view: tuple[Axis, ...] | None = None,
        cache: ChunkCache | None = None,
    ) -> None:
        self.array = array
        self._view = whole(array.shape) if view is None else view
        self._cache = shared_cache() if cache is None else cache
        self._grid = tuple(max(1, n) for n in array.chunks)
        alone = uuid.uuid4().hex if stamper(array) is None else None
        self._identity = (location_of(array), fingerprint(array), alone)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the part that is taken."""
        return tuple(len(axis) for axis in self._view if isinstance(axis, range))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values, as the array says."""
        return np.dtype(self.array.dtype)

    @property
    def ndim(self) -> int:
        """Number of axes that are left."""
        return len(self.shape)

    @property
    def chunks(self) -> tuple[int, ...]:
        """Shape of the chunks, counted in what is taken."""
        return tuple(
            max(1, chunk // abs(axis.step))
            for axis, chunk in zip(self._view, self._grid, strict=True)
            if isinstance(axis, range)
        )

    @property
    def axes(self) -> tuple[Axis, ...]:
        """What is taken along each axis of the array."""
        return self._view

    @property
    def location(self) -> str:
        """Path or URL of the array."""
        return location_of(self.array)

    def view(self, index: object) -> ChunkedSource:
        """Take a part, without reading anything.

        Parameters
        ----------
        index
            Integers, slices and an ellipsis.

        Returns
        -------
        ChunkedSource
            With the same cache.

        Raises
        ------
        IndexError
            If the index is out of bounds or holds lists.
        """
        taken = compose(self._view, index)
        if any(isinstance(axis, np.ndarray) for axis in taken):
            raise IndexError("a view is taken with integers and slices only")
        part = object.__new__(ChunkedSource)
        part.__dict__.update(self.__dict__)
        part._view = tuple(axis for axis in taken if not isinstance(axis, np.ndarray))
        return part

    def __getitem__(self, index: object) -> Any:
        """Read a part.

        Parameters
        ----------
        index
            Integers, slices (also with steps and backwards), an ellipsis, lists or masks of one axis; several
            lists select the product of their positions.

        Returns
        -------
        numpy.ndarray or scalar
            Values of the caller's own: writing to them changes nothing else.

        Raises
        ------
        IndexError
            If the index is out of bounds or of a kind that is not supported.
        StorageError
            If a chunk cannot be read; it is named.
        """
        taken = compose(self._view, index)
        picks = [range(axis, axis + 1) if isinstance(axis, int) else axis for axis in taken]
        shape = tuple(len(axis) for axis in taken if not isinstance(axis, int))
        if 0 in shape:
            return np.empty(shape, self.dtype)
        read = self._read_cached if self._worth_keeping(picks) else self._read_direct
        values = read(picks).reshape(shape)
        return values if shape or index == () or index is Ellipsis else values[()]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        values = np.asarray(self[...])
        return values if dtype is None else values.astype(dtype, copy=False)

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"<ChunkedSource {self.location} shape={self.shape} dtype={self.dtype}>"

    def __reduce__(self) -> tuple[Any, ...]:
        # Tasks may run in other processes: there the cache is that of the process.
        return _rebuild, (self.array, self._view)

    def __dask_tokenize__(self) -> tuple[object, ...]:
        return (*self._identity, str(self._view))

    def _worth_keeping(self, picks: Sequence[Pick]) -> bool:
        """Tell whether decoded chunks of a request should go through the cache.

        A pass over the whole image (a save, a sum) asks for much and takes its chunks whole: kept, it would
        only drive out what the viewer shows.
        """
        wanted = math.prod(len(pick) for pick in picks)
        decoded = math.prod(
            len(cut(pick, chunk)) * min(chunk, n)
            for pick, chunk, n in zip(picks, self._grid, self.array.shape, strict=True)
        )
        limit = self._cache.max_bytes / max(1, self.dtype.itemsize)
        return decoded <= limit / 8 or (decoded <= limit and wanted * 2 < decoded)

    def _read_direct(self, picks: Sequence[Pick]) -> np.ndarray[Any, Any]:
        """Read as Zarr does, past the cache."""
        ordered = tuple(p[::-1] if isinstance(p, range) and p.step < 0 else p for p in picks)
        flips = tuple(slice(None, None, -1 if a is not b else 1) for a, b in zip(picks, ordered, strict=True))
        slices = tuple(slice(p.start, p.stop, p.step) if isinstance(p, range) else p for p in ordered)
        fancy = any(isinstance(p, np.ndarray) for p in picks)
        try:
            values = self.array.oindex[slices] if fancy else self.array[slices]
        except Exception as error:  # codecs and stores raise whatever they like
            grids = [[n for n, _, _ in cut(p, c)] for p, c in zip(picks, self._grid, strict=True)]
            for position in itertools.product(*grids):
                self._read_chunk(position)
            raise self._failure("a part of it", error) from error
        return np.asarray(values).reshape([len(p) for p in picks])[flips]

    def _read_cached(self, picks: Sequence[Pick]) -> np.ndarray[Any, Any]:
        """Put a result together from chunks: those in the cache, and those read now."""
        cuts = [cut(pick, chunk) for pick, chunk in zip(picks, self._grid, strict=True)]
        positions = list(itertools.product(*([number for number, _, _ in parts] for parts in cuts)))
        stamp = stamper(self.array)
        stamps = [None if stamp is None else stamp(position) for position in positions]
        wanted = [((self._identity, p), stamp) for p, stamp in zip(positions, stamps, strict=True)]
        found = self._cache.get(wanted)
        missing = {p for p, chunk in zip(positions, found, strict=True) if chunk is None}
        decoded = self._decode(missing)
        self._cache.put(
            (key, stamp, decoded[p])
            for (key, stamp), p in zip(wanted, positions, strict=True)
            if p in missing
        )
        values = np.empty([len(pick) for pick in picks], self.dtype)
        fancy = any(isinstance(pick, np.ndarray) for pick in picks)
        for chunk, position, parts in zip(found, positions, itertools.product(*cuts), strict=True):
            inside, outside = tuple(p[1] for p in parts), tuple(p[2] for p in parts)
            if fancy:
                inside, outside = _outer(inside), _outer(outside)
            values[outside] = (decoded[position] if chunk is None else chunk)[inside]
        return values

    def _decode(self, missing: set[Position]) -> dict[Position, np.ndarray[Any, Any]]:
        """Read chunks that are not in the cache, in as few calls as possible."""
        todo = boxes(missing) if missing else []
        if len(todo) > 1:
            from concurrent.futures import ThreadPoolExecutor

            with ThreadPoolExecutor(min(8, len(todo))) as pool:
                done = list(pool.map(lambda box: self._decode_box(*box), todo))
        else:
            done = [self._decode_box(*box) for box in todo]
        return {position: chunk for part in done for position, chunk in part.items() if position in missing}

    def _decode_box(self, low: Position, high: Position) -> dict[Position, np.ndarray[Any, Any]]:
        """Read a box of neighbouring chunks in one call, each chunk in memory of its own."""
        from napari_ome_ngff.storage.scatter import read_pieces

        region = self._region(low, high)
        try:
            pieces = read_pieces(self.array, region)
        except Exception as error:  # codecs and stores raise whatever they like
            if low == high:
                raise self._failure(f"chunk {self._key(low)}", error) from error
            positions = itertools.product(*(range(a, b + 1) for a, b in zip(low, high, strict=True)))
            return {position: self._read_chunk(position) for position in positions}
        decoded = {}
        for where, values in pieces:  # one chunk each, or those of a shard
            corner = [s.start + p.start for s, p in zip(region, where, strict=True)]
            ends = [s.start + p.stop for s, p in zip(region, where, strict=True)]
            numbers = [range(a // n, -(-b // n)) for a, b, n in zip(corner, ends, self._grid, strict=True)]
            for position in itertools.product(*numbers):
                own = self._region(position, position)
                inside: Any = tuple(slice(s.start - a, s.stop - a) for s, a in zip(own, corner, strict=True))
                decoded[position] = _own(values[(*inside, ...)])
        return decoded

    def _read_chunk(self, position: Position) -> np.ndarray[Any, Any]:
        return self._decode_box(position, position)[position]

    def _region(self, low: Position, high: Position) -> tuple[slice, ...]:
        return tuple(
            slice(a * chunk, min((b + 1) * chunk, n))
            for a, b, chunk, n in zip(low, high, self._grid, self.array.shape, strict=True)
        )

    def _key(self, position: Position) -> str:
        return str(self.array.metadata.encode_chunk_key(stored_position(self.array, self._grid, position)))

    def _failure(self, what: str, error: Exception) -> StorageError:
        return StorageError(
            f"The image could not be read: {what} is damaged or out of reach.",
            where=self.location,
            found=(f"{type(error).__name__}: {error}".splitlines() or [""])[0][:300],
            hint="If the file was copied, compare it with the original; if it is remote, try again.",
        )


def _rebuild(array: zarr.Array[Any], view: tuple[Axis, ...]) -> ChunkedSource:
    return ChunkedSource(array, view=view)


def _own(chunk: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return a chunk that keeps no more memory alive than its own."""
    base = chunk
    while isinstance(base.base, np.ndarray):
        base = base.base
    return chunk if base.nbytes <= chunk.nbytes else chunk.copy()


def _outer(parts: tuple[Any, ...]) -> tuple[Any, ...]:
    arrays = [np.arange(p.start, _stop(p), p.step or 1) if isinstance(p, slice) else p for p in parts]
    return np.ix_(*arrays)


def _stop(part: slice) -> int:
    return -1 if part.stop is None else int(part.stop)
