"""An array that is painted on: it reads as what lies under it, and chunks are copied before they change."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Sequence
from types import EllipsisType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ome_ngff.editing.held_chunks import HeldChunks, Position
from napari_ome_ngff.errors import TargetError
from napari_ome_ngff.storage.pixels.indexing import Pick, compose, cut, is_basic
from napari_ome_ngff.writing.blocks import Box


class Painted:
    """An array of voxels, indexed as numpy arrays are, for reading and for writing.

    Chunks under the painted ones are never changed here. Threads may read while another one paints.
    """

    def __init__(self, source: Any, *, memory_limit: int) -> None:
        self.source = source
        self.shape: tuple[int, ...] = source.shape
        self.dtype: np.dtype[Any] = source.dtype
        self.grid: tuple[int, ...] = source.grid
        self._limit = memory_limit
        self.held = HeldChunks(memory_limit)
        self.saving: HeldChunks | None = None  # those that a save is writing: they are copied if painted on
        self._stamps: dict[Position, object] = {}  # of the files under held chunks, when they were copied
        self._lock = threading.RLock()

    def begin_save(self) -> HeldChunks:
        """Set apart what was painted up to now, for a save; painting goes on."""
        with self._lock:
            if self.saving is not None:  # its chunks would be forgotten
                raise TargetError(
                    "What was painted is being saved already.", hint="Wait until that has ended."
                )
            self.saving, self.held = self.held, HeldChunks(self._limit)
            return self.saving

    def end_save(self, *, saved: bool) -> None:
        """Forget what was saved, or take it back."""
        with self._lock:
            newer, older = self.held, self.saving
            self.saving = None
            if older is None:
                return
            if saved:
                written = {self.source.name(position) for position in older}
                mine = {position for position in newer if self.source.name(position) in written}
                self._stamps = {p: self.source.stamp(p) if p in mine else self._stamps[p] for p in newer}
                return
            for position in newer:
                chunk = newer.get(position)
                below = older.get(position)
                if chunk is not None and below is not None:
                    below[...] = chunk
                elif chunk is not None:
                    older.put(position, chunk)
            self.held = older

    def changed_by_others(self, chunks: Iterable[Position]) -> list[Position]:
        """Those of the chunks whose files were written by somebody else since they were copied."""
        return [p for p in chunks if _contents(self.source.stamp(p)) != _contents(self._stamps[p])]

    def discard(self) -> None:
        """Forget what was painted."""
        with self._lock:
            self.held = HeldChunks(self._limit)
            self._stamps = {} if self.saving is None else {p: self._stamps[p] for p in self.saving}

    def __getitem__(self, key: Any) -> Any:
        with self._lock:
            chunk, inside = self._one_chunk(key)
            if chunk is not None:
                return chunk[inside].copy()
        if not is_basic(key):
            return self._read_points(key)
        taken = compose([range(n) for n in self.shape], key)
        picks = _picks(taken)
        shape = _result_shape(taken)
        values = self._read(picks).reshape(shape)
        return values if shape or _has_ellipsis(key) else values[()]

    def __setitem__(self, key: Any, value: Any) -> None:
        with self._lock:
            chunk, inside = self._one_chunk(key)
            if chunk is not None:
                chunk[inside] = value
                return
        if not is_basic(key):
            self._write_points(key, value)
            return
        taken = compose([range(n) for n in self.shape], key)
        picks = _picks(taken)
        new = _spread(value, self.dtype, _result_shape(taken)).reshape(list(map(len, picks)))
        with self._lock:
            for position, inside, outside in _parts(picks, self.grid):
                self._to_paint(position)[inside] = new[outside]

    def _one_chunk(self, key: Any) -> tuple[NDArray[Any] | None, tuple[slice, ...]]:
        """The painted chunk that a key of plain slices lies in, and where: what most dabs of a brush need."""
        position, inside = [], []
        if type(key) is tuple and len(key) == len(self.shape):
            for item, n, length in zip(key, self.grid, self.shape, strict=True):
                if type(item) is not slice or item.step is not None:
                    break
                start, stop = item.start, item.stop
                if type(start) is not int or type(stop) is not int or not 0 <= start < stop <= length:
                    break
                number, first = divmod(start, n)
                if stop > (number + 1) * n:
                    break
                position.append(number)
                inside.append(slice(first, stop - number * n))
            else:
                return self.held.get(tuple(position)), tuple(inside)
        return None, ()

    def saved_box(self, box: Box) -> NDArray[Any]:
        """The voxels of a region as they are saved: without what was painted since the save began."""
        picks = [range(part.start, part.stop) for part in box]
        return self._read(picks, newest=self.saving is None)

    def _read(self, picks: Sequence[range], *, newest: bool = True) -> NDArray[Any]:
        parts = list(_parts(picks, self.grid))
        # Those that are held are taken before what is under them is read: a save may end meanwhile.
        with self._lock:
            chunks = [self._chunk(position, newest=newest) for position, _, _ in parts]
        shape = [len(pick) for pick in picks]
        if all(chunk is not None for chunk in chunks):
            values = np.empty(shape, self.dtype)
        else:
            values = self.source[tuple(_as_key(pick) for pick in picks)]
        for chunk, (_, inside, outside) in zip(chunks, parts, strict=True):
            if chunk is not None:
                values[outside] = chunk[inside]
        return values

    def _read_points(self, key: Any) -> NDArray[Any]:
        points = _points(key, self.shape)
        values = np.empty(points[0].shape, self.dtype)
        flat = values.reshape(-1)
        for position, members, inside in self._by_chunk(points):
            with self._lock:
                chunk = self._chunk(position)
            flat[members] = (self._under(position) if chunk is None else chunk)[inside]
        return values

    def _write_points(self, key: Any, value: Any) -> None:
        points = _points(key, self.shape)
        new = _spread(value, self.dtype, points[0].shape).reshape(-1)
        with self._lock:
            for position, members, inside in self._by_chunk(points):
                self._to_paint(position)[inside] = new[members]

    def _by_chunk(
        self, points: Sequence[NDArray[np.int64]]
    ) -> Iterable[tuple[Position, NDArray[np.int64], tuple[NDArray[np.int64], ...]]]:
        """The points in each chunk: their numbers, and where they are in the chunk."""
        flat = [one.reshape(-1) for one in points]
        if not flat[0].size:
            return
        counts = [max(1, -(-n // size)) for n, size in zip(self.shape, self.grid, strict=True)]
        chunks = np.ravel_multi_index([one // n for one, n in zip(flat, self.grid, strict=True)], counts)
        order = np.argsort(chunks, kind="stable")  # of equal points, the last one counts
        numbers, starts = np.unique(chunks[order], return_index=True)
        for number, members in zip(numbers, np.split(order, starts[1:]), strict=True):
            position = tuple(int(i) for i in np.unravel_index(number, counts))
            corner = [i * n for i, n in zip(position, self.grid, strict=True)]
            yield position, members, tuple(one[members] - at for one, at in zip(flat, corner, strict=True))

    def _chunk(self, position: Position, *, newest: bool = True) -> NDArray[Any] | None:
        chunk = self.held.get(position) if newest else None
        if chunk is None and self.saving is not None:
            chunk = self.saving.get(position)
        return chunk

    def _under(self, position: Position) -> NDArray[Any]:
        region = tuple(
            slice(i * n, min((i + 1) * n, length))
            for i, n, length in zip(position, self.grid, self.shape, strict=True)
        )
        return np.asarray(self.source[region])

    def _to_paint(self, position: Position) -> NDArray[Any]:
        chunk = self.held.get(position)
        if chunk is not None:
            return chunk
        # Before it is read: what is written in between counts as changed.
        self._stamps.setdefault(position, self.source.stamp(position))
        below = self._chunk(position)
        chunk = np.array(self._under(position) if below is None else below)
        self.held.put(position, chunk)
        return chunk


def _spread(value: Any, dtype: np.dtype[Any], shape: Sequence[int]) -> NDArray[Any]:
    """A value for each voxel, as numpy assigns it: more axes than there are may lead, of length 1."""
    values = np.asarray(value, dtype)
    extra = values.ndim - len(shape)
    if extra > 0 and set(values.shape[:extra]) == {1}:
        values = values.reshape(values.shape[extra:])
    return np.broadcast_to(values, tuple(shape))


def _contents(stamp: object) -> object:
    """What of a file's stamp changes with its contents; another name for it changes its last time alone."""
    return stamp[:-1] if isinstance(stamp, tuple) else stamp


def _picks(taken: Sequence[int | Pick | None]) -> list[range]:
    picks = []
    for item in taken:
        if isinstance(item, range):
            picks.append(item)
        elif isinstance(item, int):
            picks.append(range(item, item + 1))
    return picks


def _result_shape(taken: Sequence[int | Pick | None]) -> tuple[int, ...]:
    return tuple(1 if item is None else len(item) for item in taken if not isinstance(item, int))


def _has_ellipsis(key: Any) -> bool:
    items = key if isinstance(key, tuple) else (key,)
    return not items or any(isinstance(item, EllipsisType) for item in items)


def _parts(picks: Sequence[range], grid: Sequence[int]) -> Iterable[tuple[Position, Any, Any]]:
    """The chunks that a request reaches into: position, what is taken of the chunk, and where that goes."""
    for parts in itertools.product(*(cut(pick, n) for pick, n in zip(picks, grid, strict=True))):
        yield (
            tuple(number for number, _, _ in parts),
            tuple(i for _, i, _ in parts),
            tuple(o for _, _, o in parts),
        )


def _as_key(pick: range) -> slice:
    stop = pick.stop if pick.step > 0 or pick.stop >= 0 else None
    return slice(pick.start, stop, pick.step)


def _points(key: Any, shape: Sequence[int]) -> tuple[NDArray[np.int64], ...]:
    """The positions that an index with masks or lists takes, as numpy understands it: one array per axis."""
    items = list(key) if isinstance(key, tuple) else [key]
    spread: list[Any] = []
    for item in items:  # a mask stands for as many lists as it has axes
        mask = item if isinstance(item, slice | EllipsisType | type(None)) else np.asarray(item)
        if isinstance(mask, np.ndarray) and mask.dtype.kind == "b":
            at = len([one for one in spread if one is not None and not isinstance(one, EllipsisType)])
            if not any(isinstance(one, EllipsisType) for one in spread) and mask.shape != tuple(
                shape[at : at + mask.ndim]
            ):
                raise IndexError(
                    f"a mask of shape {mask.shape} does not fit an array of shape {tuple(shape)}"
                )
            spread += list(np.nonzero(mask))
        else:
            spread.append(mask)
    gaps = [i for i, item in enumerate(spread) if isinstance(item, EllipsisType)]
    given = len(spread) - len(gaps) - sum(item is None for item in spread)
    if None in [item for item in spread if item is None] or given > len(shape) or len(gaps) > 1:
        raise IndexError("this index is not supported: new axes with lists, or too many indices")
    at = gaps[0] if gaps else len(spread)
    spread[at : at + len(gaps)] = [slice(None)] * (len(shape) - given)
    lists = np.broadcast_arrays(*(item for item in spread if not isinstance(item, slice)))
    where = [i for i, item in enumerate(spread) if not isinstance(item, slice)]
    rank = lists[0].ndim
    # numpy puts what lists select where they stand if they stand side by side, else in front.
    first = where[0] if where == list(range(where[0], where[-1] + 1)) else 0
    ahead = [i for i, item in enumerate(spread) if isinstance(item, slice)]
    axis_of = {i: n if n < first else n + rank for n, i in enumerate(ahead)}
    total = len(ahead) + rank
    following = iter(lists)
    points = []
    for i, (item, n) in enumerate(zip(spread, shape, strict=True)):
        if isinstance(item, slice):
            one, places = np.arange(*item.indices(n)), [axis_of[i]]
        else:
            one, places = next(following).astype(np.int64), list(range(first, first + rank))
            one = np.asarray(np.where(one < 0, one + n, one))
            if ((one < 0) | (one >= n)).any():
                raise IndexError(f"an index is out of bounds for axis {i} of length {n}")
        lengths = [1] * total
        for place, length in zip(places, one.shape, strict=True):
            lengths[place] = length
        points.append(one.reshape(lengths))
    return tuple(np.broadcast_arrays(*points))
