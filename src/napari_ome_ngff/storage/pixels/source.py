"""What lies under a lazy array: a Zarr array behind a cache of decoded chunks.

A viewer asks for a plane, for the next one, for the first again: a chunk is decoded once as long as the cache
has room. All chunks that are missing for a request are fetched at once.
"""

from __future__ import annotations

import itertools
import math
import uuid
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from napari_ome_ngff.errors import StorageError
from napari_ome_ngff.storage.pixels.chunk_cache import ChunkCache
from napari_ome_ngff.storage.pixels.chunk_reader import ChunkReader
from napari_ome_ngff.storage.pixels.failed_chunks import Chunk, Failures
from napari_ome_ngff.storage.pixels.freshness import Position
from napari_ome_ngff.storage.pixels.indexing import Pick, Source, cut, outer
from napari_ome_ngff.storage.pixels.process_state import shared_cache, shared_failures
from napari_ome_ngff.storage.places.location import location_of
from napari_ome_ngff.storage.places.store_kind import store_kind

if TYPE_CHECKING:
    import zarr

LONGEST_SHARD = 512
"""Shards that are longer along any axis are not read as one: a tile would read the plane around it."""


Missing = Literal["raise", "fill"]
"""What a chunk that cannot be read does: raise an error, or show as fill value."""

_CHECKED_AT_ONCE = 2**22
"""Voxels of a label image stored as floating point numbers that are looked at together."""


class ChunkedSource(Source):
    """A Zarr array, or a part of one, that is read by indexing and remembers decoded chunks.

    With `missing` "fill", a chunk that cannot be read shows the fill value, is noted in `failures`, and is
    left alone for some seconds; sources with the same `opening` are told of once. Cache and failures are by
    default those of the process.

    A chunk is decoded again when what it came from changed: its file, for folders and zip files; its bytes,
    for stores in memory. Remote stores cannot be asked cheaply: there a new source sees the new state.
    """

    def __init__(
        self,
        array: zarr.Array[Any],
        *,
        cache: ChunkCache | None = None,
        missing: Missing = "raise",
        failures: Failures | None = None,
        opening: str | None = None,
    ) -> None:
        self.array = array
        self._cover(array.shape)
        self._cache = shared_cache() if cache is None else cache
        self._missing: Missing = missing
        self._failures = shared_failures() if failures is None else failures
        self._opening = opening or uuid.uuid4().hex  # its views share it
        self._reader = ChunkReader(array, cache=self._cache)
        self._grid = self._reader.grid

    def beside(self, array: zarr.Array[Any]) -> Self:
        """The whole of another array with the same metadata, as another field of a plate is."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.array, other._reader = array, self._reader.beside(array)
        other._cover(array.shape)
        return other

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values, as the array says."""
        return np.dtype(self.array.dtype)

    @property
    def chunks(self) -> tuple[int, ...]:
        """Shape of the chunks, counted in what is taken."""
        grid = (*self._grid, *(1 for _ in self._view[self._rank :]))
        return tuple(max(1, grid[i] // abs(dim.step)) for i, dim in zip(self._order, self.dims, strict=True))

    @property
    def unit(self) -> tuple[int, ...]:
        """Shape that requests should be multiples of: shards where they are short, else chunks."""
        shards = self.array.shards
        return tuple(shards) if shards is not None and max(shards) <= LONGEST_SHARD else self._grid

    @property
    def grid(self) -> tuple[int, ...]:
        """Shape of the chunks, of which a shard has many."""
        return self._grid

    @property
    def locations(self) -> frozenset[str]:
        """The location of the array, alone."""
        return frozenset((self.location,))

    @property
    def location(self) -> str:
        """Path or URL of the array."""
        return location_of(self.array)

    def name(self, position: Position) -> str:
        """Name of the file or object that holds a chunk, relative to the array."""
        return self._reader.name(position)

    def stamp(self, position: Position) -> object:
        """What changes when a chunk is written again; None where that cannot be told."""
        return self._reader.stamps([position])[0]

    def check_place(self) -> None:
        """LookupError if another array has taken the place of this one."""
        self._reader.check_place()

    def __repr__(self) -> str:
        return f"<ChunkedSource {self.location} shape={self.shape} dtype={self.dtype}>"

    def __reduce__(self) -> tuple[Any, ...]:
        # Tasks may run in other processes: there the cache is that of the process, or its own as here.
        most = None if self._cache is shared_cache() else self._cache.max_bytes
        return _rebuild, (type(self), self.array, self.part, self._missing, most)

    def __dask_tokenize__(self) -> tuple[object, ...]:
        return (self._reader.identity, str(self.part), self._missing, str(self.dtype))

    def _worth_keeping(self, picks: Sequence[Pick]) -> Literal["chunks", "result", ""]:
        """Whether the decoded chunks of a request should go through the cache, or what it takes of them."""
        # A pass over the whole image (a save, a sum) asks for much and takes its chunks whole: kept, it would
        # only drive out what the viewer shows. A volume that is thinned takes few voxels of many chunks, and
        # napari asks for it twice, for the picture and for the thumbnail.
        wanted = math.prod(len(pick) for pick in picks)
        decoded = math.prod(
            len(cut(pick, chunk)) * min(chunk, n)
            for pick, chunk, n in zip(picks, self._grid, self.array.shape, strict=True)
        )
        limit = self._cache.max_bytes / max(1, self.dtype.itemsize)
        if decoded <= limit / 8 or (decoded <= limit and wanted * 2 < decoded):
            return "chunks"
        is_thinned = wanted <= limit / 8 and wanted * 8 < decoded
        return "result" if is_thinned and all(isinstance(pick, range) for pick in picks) else ""

    def _read(self, picks: Sequence[Pick]) -> np.ndarray[Any, Any]:
        keep = self._worth_keeping(picks)
        form = self._reader.format
        # Zarr asks for a whole shard at once, and need not ask for its index first if that is not kept.
        by_shards = form is not None and form.shard is not None and not self._cache.max_bytes
        if not keep and (
            form is None or (by_shards and store_kind(self.array.store) not in ("folder", "zip", "memory"))
        ):
            return self._read_by_zarr(picks)
        return self._assemble(picks, keep)

    def read_into(self, values: np.ndarray[Any, Any]) -> None:
        """Read the part, each chunk into its place."""
        if self._reader.format is None or len(self._view) > self._rank:
            super().read_into(values)
            return
        picks = [range(axis, axis + 1) if isinstance(axis, int) else axis for axis in self._view]
        stored = values.transpose(np.argsort(self._order))
        places = tuple(None if isinstance(axis, int) else slice(None) for axis in self._view)
        self._assemble(picks, "", stored[places])

    def _read_by_zarr(self, picks: Sequence[Pick]) -> np.ndarray[Any, Any]:
        """Read as Zarr does, past the cache."""
        ordered = tuple(p[::-1] if isinstance(p, range) and p.step < 0 else p for p in picks)
        flips = tuple(slice(None, None, -1 if a is not b else 1) for a, b in zip(picks, ordered, strict=True))
        slices = tuple(slice(p.start, p.stop, p.step) if isinstance(p, range) else p for p in ordered)
        fancy = any(isinstance(p, np.ndarray) for p in picks)
        try:
            array = self._reader.bounded
            values = array.oindex[slices] if fancy else array[slices]
            self._reader.check_place()
        except Exception:  # noqa: BLE001 (anything; now we look which chunk it was)
            return self._assemble(picks, "")
        return np.asarray(values).reshape([len(p) for p in picks])[flips]

    def _assemble(
        self,
        picks: Sequence[Pick],
        kept: Literal["chunks", "result", ""],
        values: np.ndarray[Any, Any] | None = None,
    ) -> np.ndarray[Any, Any]:
        """Put a result together from chunks: those in the cache, and those read now."""
        keep = kept == "chunks"
        if values is None:
            values = np.empty([len(pick) for pick in picks], np.dtype(self.array.dtype))
        result = _Result(picks, self._grid, values)
        chunks = self._chunks(result.parts, bool(kept))
        if kept == "result":
            key, stamp = (self._reader.identity, *picks), tuple(stamp for _, stamp in chunks.values())
            (held,) = self._cache.get([(key, stamp)])
            if held is not None:
                return held.copy()
        todo = list(chunks)
        if keep:
            cached = self._cache.get(list(chunks.values()))
            for position, chunk in zip(chunks, cached, strict=True):
                if chunk is not None:
                    result.put(position, chunk)
            todo = [position for position, chunk in zip(chunks, cached, strict=True) if chunk is None]
        if self._missing == "fill":
            waiting = self._failures.waiting([chunks[position] for position in todo])
            result.fill(itertools.compress(todo, waiting), self._fill_value())
            todo = [position for position, later in zip(todo, waiting, strict=True) if not later]
        fresh: list[tuple[Hashable, object, np.ndarray[Any, Any]]] = []
        failed: dict[Position, Exception] = {}

        def take(position: Position, chunk: np.ndarray[Any, Any] | Exception) -> None:
            if isinstance(chunk, Exception):
                failed[position] = chunk
                return
            result.put(position, chunk)  # in the thread that has just decoded it
            if keep:
                fresh.append((*chunks[position], chunk))

        if todo:
            self._reader.read(todo, take)
        self._cache.put(fresh if not failed else ())
        if self._missing == "fill":
            self._failures.recovered([chunks[position][0] for position in todo if position not in failed])
        if failed:
            self._on_failure(failed, result, chunks)
        elif kept == "result" and len(todo) == len(chunks):
            self._cache.put([(key, stamp, result.values.copy())])
        return result.values

    def _on_failure(
        self, failed: Mapping[Position, Exception], result: _Result, chunks: Mapping[Position, Chunk]
    ) -> None:
        position = min(failed)
        error = self._error(self._reader.name(position), failed[position])
        if self._missing == "raise":
            raise error from failed[position]
        result.fill(failed, self._fill_value())
        self._failures.report(self._opening, self.location, [chunks[p] for p in sorted(failed)], error)

    def _chunks(self, positions: Collection[Position], keep: bool) -> dict[Position, Chunk]:
        """Key and stamp under which each chunk is remembered, if it will be."""
        identity, remembered = self._reader.identity, keep or self._missing == "fill"
        stamps = self._reader.stamps(positions) if remembered else itertools.repeat(None, len(positions))
        return {p: ((identity, p), stamp) for p, stamp in zip(positions, stamps, strict=True)}

    def _fill_value(self) -> Any:
        value = self.array.fill_value
        return 0 if value is None else value

    def _error(self, name: str, error: Exception) -> StorageError:
        shown = self._missing == "fill"
        return StorageError(
            f"Chunk {name} could not be read" + (" and is shown as empty." if shown else "."),
            where=self.location,
            found=(f"{type(error).__name__}: {error}".splitlines() or [""])[0][:300],
            hint="If the file was copied, compare it with the original; if it is remote, try again.",
        )


class WholeNumbers(ChunkedSource):
    """A Zarr array of floating point numbers, read as the integers that they are: a label image.

    What is no number is 0, no label. A fraction, or what is too large, is an error, or with `missing` "fill"
    shown as 0 and noted once.
    """

    @property
    def dtype(self) -> np.dtype[Any]:
        """Integers of the same size, of 32 bits at least."""
        return np.dtype(np.int32 if self.array.dtype.itemsize <= 4 else np.int64)

    def _read(self, picks: Sequence[Pick]) -> np.ndarray[Any, Any]:
        values = super()._read(picks)
        labels = np.empty(values.shape, self.dtype)
        rows = max(1, _CHECKED_AT_ONCE // max(1, math.prod(values.shape[1:])))
        for first in range(0, len(values), rows):
            labels[first : first + rows] = self._labels(values[first : first + rows])
        return labels

    def read_into(self, values: np.ndarray[Any, Any]) -> None:
        """Read the part, converted."""
        Source.read_into(self, values)

    def _labels(self, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        values[~np.isfinite(values)] = 0
        if not (fits := self._fits(values)).all():
            error = StorageError(
                "The label image holds numbers that are no labels"
                + (", shown as 0." if self._missing == "fill" else "."),
                where=self.location,
                found=f"{values[~fits][0]} among {self.array.dtype} numbers",
                expected="whole numbers",
                hint="Read the array with Zarr, and round or convert it.",
            )
            if self._missing == "raise":
                raise error
            self._failures.report(self._opening, self.location, [(self.location, None)], error)
            values[~fits] = 0
        return values

    def could_be_labels(self, picks: Sequence[Pick]) -> bool:
        """Whether what lies at some positions, which are read now, is whole where it is a number."""
        values = super()._read(picks)
        return bool(self._fits(values[np.isfinite(values)]).all())

    def _fits(self, values: np.ndarray[Any, Any]) -> Any:
        limit = np.float64(2.0 ** (8 * self.dtype.itemsize - 1))
        return (values == np.trunc(values)) & (np.abs(values) < limit)


class _Result:
    """The values of a request, while its chunks come in."""

    def __init__(self, picks: Sequence[Pick], grid: Sequence[int], values: np.ndarray[Any, Any]) -> None:
        self.values = values
        cuts = [cut(pick, chunk) for pick, chunk in zip(picks, grid, strict=True)]
        numbers = itertools.product(*([number for number, _, _ in axis] for axis in cuts))
        self.parts = dict(zip(numbers, itertools.product(*cuts), strict=True))
        self._fancy = any(isinstance(pick, np.ndarray) for pick in picks)

    def put(self, position: Position, chunk: np.ndarray[Any, Any]) -> None:
        """Copy what is wanted of a chunk to its place. Several threads may do so at once."""
        inside = tuple(axis[1] for axis in self.parts[position])
        if self._fancy:
            inside = outer(inside)
        self.values[self._outside(position)] = chunk[inside]

    def fill(self, positions: Iterable[Position], value: Any) -> None:
        """Set the places of chunks to one value."""
        for position in positions:
            self.values[self._outside(position)] = value

    def _outside(self, position: Position) -> tuple[Any, ...]:
        outside = tuple(axis[2] for axis in self.parts[position])
        return outer(outside) if self._fancy else outside


def _rebuild(
    kind: type[ChunkedSource],
    array: zarr.Array[Any],
    part: tuple[Any, Any],
    missing: Missing,
    most: int | None = None,
) -> ChunkedSource:
    cache = None if most is None else ChunkCache(max_bytes=most)
    return kind(array, missing=missing, cache=cache).taking(*part)
