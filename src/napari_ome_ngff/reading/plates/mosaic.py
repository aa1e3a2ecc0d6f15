"""Many arrays side by side as one lazy source: the fields of wells, one mosaic per level."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ome_ngff.errors import OmeNgffError, StorageError
from napari_ome_ngff.storage.pixels.indexing import Pick, Source, as_slice, outer
from napari_ome_ngff.storage.pixels.process_state import shared_failures
from napari_ome_ngff.storage.pixels.source import ChunkedSource
from napari_ome_ngff.storage.places.location import is_url

if TYPE_CHECKING:
    import zarr

    from napari_ome_ngff.storage.documents.hierarchy import Hierarchy

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Patch:
    """An array of a mosaic, and the rectangle that it may fill, in voxels of the mosaic.

    A larger array is cut, the rest around a smaller one stays empty.
    """

    path: str
    y: int
    x: int
    height: int
    width: int


class Board:
    """Arrays side by side, not overlapping, each opened when it is first needed.

    One that is missing or does not fit is reported in `shared_failures`, once. `plane` are the positions of y
    and x among the axes; `make` makes the source of one array and can be pickled; `identity` is unique to
    the board.
    """

    def __init__(
        self,
        hierarchy: Hierarchy,
        patches: Sequence[Patch],
        *,
        ndim: int,
        plane: tuple[int, int],
        make: Callable[[zarr.Array[Any]], Source],
    ) -> None:
        self.hierarchy = hierarchy
        self.patches = tuple(patches)
        self.plane = plane
        self.identity = uuid.uuid4().hex
        self._ndim = ndim
        self._make = make
        bounds = [(p.y, p.y + p.height, p.x, p.x + p.width) for p in patches]
        self._bounds = np.array(bounds, np.int64).reshape(-1, 4)
        self._opened: dict[int, Source | None] = {}
        self._model: Source | None = None  # the last one that was made of other metadata than the one before
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": {}, "_model": None, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def cut(self, rows: Pick, columns: Pick) -> list[int]:
        """Return which patches lie between the first and the last line and column of a request."""
        low_y, high_y, low_x, high_x = self._bounds.T
        cut = (low_y <= np.max(rows)) & (high_y > np.min(rows))
        cut &= (low_x <= np.max(columns)) & (high_x > np.min(columns))
        return [int(index) for index in np.flatnonzero(cut)]

    def sources(self, indices: Sequence[int]) -> list[Source | None]:
        """Return the sources of patches, None for missing ones; documents come in one round trip."""
        with self._lock:
            new = [index for index in indices if index not in self._opened]
            if new:
                self.hierarchy.fetch(self.patches[index].path for index in new)
            for index in new:
                self._opened[index] = self._open(self.patches[index])
            return [self._opened[index] for index in indices]

    def intervals(self, index: int, shape: Sequence[int]) -> list[tuple[int, int]]:
        """Return where a patch begins in the mosaic, and how much of its array is shown, along each axis."""
        patch, intervals = self.patches[index], [(0, n) for n in shape]
        for axis, start, room in zip(
            self.plane, (patch.y, patch.x), (patch.height, patch.width), strict=True
        ):
            intervals[axis] = start, min(shape[axis], room)
        return intervals

    def _open(self, patch: Patch) -> Source | None:
        where = f"{self.hierarchy.location.rstrip('/')}/{patch.path}"
        try:
            array = self.hierarchy.array(patch.path)
        except OmeNgffError as error:
            self._report("A field could not be read", where, f"{error.summary} {error.found}")
            return None
        if array is None or array.ndim != self._ndim:
            actual = "no array" if array is None else f"{array.ndim} dimensions instead of {self._ndim}"
            self._report("A field could not be read", where, actual)
            return None
        y, x = self.plane
        if array.shape[y] > patch.height or array.shape[x] > patch.width:
            found = f"shape {array.shape}, but there is room for {patch.height} x {patch.width}"
            self._report("A field is cut: its array is larger than it should be", where, found)
        model = self._model
        if isinstance(model, ChunkedSource) and array.metadata is model.array.metadata:
            return model.beside(array)
        self._model = self._make(array)
        return self._model

    def _report(self, summary: str, where: str, found: str) -> None:
        name = "/".join(where.split("/")[-4:])
        error = StorageError(f"{summary}: {name}.", where=where, found=found)
        _log.warning("%s", error)
        shared_failures().report(self.identity, where, [(where, None)], error)


def within(pick: Pick, low: int, high: int) -> tuple[Any, Any] | None:
    """Return which positions of a pick lie from `low` to before `high`; None if there are none.

    Two indices: where they stand in the pick, and where in the interval.
    """
    if isinstance(pick, np.ndarray):
        at = np.flatnonzero((pick >= low) & (pick < high))
        return (at, pick[at] - low) if at.size else None
    step = abs(pick.step)
    forward = pick if pick.step > 0 else pick[::-1]
    first = max(0, -(-(low - forward.start) // step))
    end = min(len(forward), max(first, -(-(high - forward.start) // step)))
    if end <= first:
        return None
    if pick.step < 0:
        first, end = len(pick) - end, len(pick) - first
    return slice(first, end), as_slice(pick[first:end], low)


MAX_REQUESTS = 64
"""Arrays of a remote mosaic that are read at once: waiting costs no processor."""


MAX_THREADS = 4
"""The same where arrays are local."""


class MosaicSource(Source):
    """Arrays side by side, read as one: a `Source` for lazy arrays. Where there is no array, values are 0.

    `shape` is that of the whole, such as ``(c, y, x)``; `plane` are the positions of y and x; `unit` is what
    should be read as one: a chunk of the arrays.
    """

    def __init__(
        self,
        hierarchy: Hierarchy,
        patches: Iterable[Patch],
        *,
        shape: Sequence[int],
        dtype: np.dtype[Any] | str,
        plane: tuple[int, int],
        unit: Sequence[int],
        make: Callable[[zarr.Array[Any]], Source],
    ) -> None:
        self._board = Board(hierarchy, tuple(patches), ndim=len(shape), plane=plane, make=make)
        self._dtype = np.dtype(dtype)
        self._unit = tuple(max(1, n) for n in unit)
        self._cover(shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self._dtype

    @property
    def unit(self) -> tuple[int, ...]:
        """Shape of a chunk of the arrays."""
        return self._unit

    @property
    def locations(self) -> frozenset[str]:
        """Paths or URLs of all arrays, whether or not they were touched."""
        root = self._board.hierarchy.location.rstrip("/")
        return frozenset(f"{root}/{patch.path}" for patch in self._board.patches)

    def __repr__(self) -> str:
        count = len(self._board.patches)
        return f"<MosaicSource of {count} arrays in {self._board.hierarchy.location} shape={self.shape}>"

    def __dask_tokenize__(self) -> tuple[object, ...]:
        return (self._board.identity, str(self.part))

    def _read(self, picks: Sequence[Pick]) -> np.ndarray[Any, Any]:
        """Read what is asked for of each array that it cuts into its place, at once."""
        values = np.zeros([len(pick) for pick in picks], self.dtype)
        board, (y, x) = self._board, self._board.plane
        parts: dict[tuple[int, int, int], tuple[Any, Any] | None] = {}

        def part(axis: int, start: int, length: int) -> tuple[Any, Any] | None:
            key = (axis, start, length)  # the patches of a row share their lines
            if key not in parts:
                parts[key] = within(picks[axis], start, start + length)
            return parts[key]

        # Between the first and the last line that are asked for a step may pass over a whole patch.
        places = [(index, board.patches[index]) for index in board.cut(picks[y], picks[x])]
        cut = [i for i, p in places if part(y, p.y, p.height) and part(x, p.x, p.width)]
        jobs: list[tuple[Source, tuple[Any, ...], tuple[Any, ...]]] = []
        for index, source in zip(cut, board.sources(cut), strict=True):
            intervals = [] if source is None else board.intervals(index, source.shape)
            each = [part(axis, *interval) for axis, interval in enumerate(intervals)]
            ends = [both for both in each if both is not None]
            if source is not None and len(ends) == len(picks):
                jobs.append((source, tuple(out for out, _ in ends), tuple(inside for _, inside in ends)))
        fancy = any(isinstance(pick, np.ndarray) for pick in picks)

        def run(job: tuple[Source, tuple[Any, ...], tuple[Any, ...]]) -> None:
            source, outside, inside = job
            target = outer(outside) if fancy else outside
            values[target] = _cast(source[inside], values.dtype)

        workers = MAX_REQUESTS if is_url(board.hierarchy.location) else MAX_THREADS
        if len(jobs) < 2:
            for job in jobs:
                run(job)
            return values
        with ThreadPoolExecutor(min(workers, len(jobs))) as pool:
            list(pool.map(run, jobs))
        return values


def _cast(values: Any, dtype: np.dtype[Any]) -> Any:
    """Return values that fit the mosaic's type: what it cannot say becomes the nearest that it can."""
    if values.dtype.kind == "c" != dtype.kind:
        values = values.real
    if dtype.kind not in "iu" or np.can_cast(values.dtype, dtype):
        return values
    limits = np.iinfo(dtype)
    source = np.iinfo(values.dtype) if values.dtype.kind in "iu" else limits
    return np.clip(np.nan_to_num(values), max(limits.min, source.min), min(limits.max, source.max))
