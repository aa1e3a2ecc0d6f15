"""Indexing in ranges, the chunks that it cuts, and what all lazy sources share of it. No zarr, no IO."""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from types import EllipsisType
from typing import Any, Self

import numpy as np

Axis = int | range
"""What a view takes along one axis of the array: one position, or a range of positions."""


Pick = range | np.ndarray[Any, Any]
"""What a request takes along one axis: a range of positions, or any positions."""


def whole(shape: Sequence[int]) -> tuple[range, ...]:
    """The view of a whole array."""
    return tuple(range(n) for n in shape)


def is_basic(index: object) -> bool:
    """Whether an index is made of integers, slices, new axes and an ellipsis alone: no masks or lists."""
    items = index if isinstance(index, tuple) else (index,)
    return all(item is None or _is_int(item) or isinstance(item, slice | EllipsisType) for item in items)


def compose(dims: Sequence[range], index: object) -> tuple[int | range | np.ndarray[Any, Any] | None, ...]:
    """What an index takes along each dim, None for a new axis; IndexError for what is not supported.

    Supported are integers, slices (also with steps and backwards), an ellipsis, ``np.newaxis``, lists or
    masks of one axis. Several lists select the product of their positions (as ``numpy.ix_``), not pairs.

    >>> compose((range(10, 20), range(5)), (slice(None, None, -2), None))
    (range(19, 9, -2), None, range(0, 5))
    """
    items = list(index) if isinstance(index, tuple) else [index]
    gaps = [i for i, item in enumerate(items) if isinstance(item, EllipsisType)]
    if len(gaps) > 1:
        raise IndexError("an index can have only one ellipsis")
    given = sum(item is not None for item in items) - len(gaps)
    if given > len(dims):
        raise IndexError(f"too many indices: the array has {len(dims)} dimensions, {given} were given")
    at = gaps[0] if gaps else len(items)
    items[at : at + len(gaps)] = [slice(None)] * (len(dims) - given)
    following = iter(dims)
    return tuple(None if item is None else _take(next(following), item) for item in items)


def cut(pick: Pick, chunk: int) -> list[tuple[int, Any, Any]]:
    """The chunks (of length `chunk`) along one axis that a pick needs, by number.

    Number of the chunk, selection in the chunk, selection in the result.

    >>> cut(range(3, 7), 4)
    [(0, slice(3, 4, 1), slice(0, 1, None)), (1, slice(0, 3, 1), slice(1, 4, None))]
    """
    if len(pick) == 0:
        return []
    if isinstance(pick, range):
        return [
            (number, as_slice(part, number * chunk), slice(first, first + len(part)))
            for number, first, part in _parts(pick, chunk)
        ]
    numbers = pick // chunk
    return [
        (int(number), pick[numbers == number] - int(number) * chunk, np.nonzero(numbers == number)[0])
        for number in np.unique(numbers)
    ]


def pieces(pick: range, step: int) -> tuple[int, ...]:
    """How many positions of a range lie in each cell of a grid, in its order; empty cells are left out.

    >>> pieces(range(3, 10), 4), pieces(range(9, 2, -1), 4), pieces(range(0), 4)
    ((1, 4, 2), (2, 4, 1), (0,))
    """
    counts = [len(part) for _, _, part in _parts(pick, step)]
    return tuple(counts if len(pick) == 0 or pick.step > 0 else counts[::-1]) or (0,)


def outer(parts: Sequence[Any]) -> tuple[Any, ...]:
    """The index of the product of some positions along each axis, each a slice or a list."""
    arrays = [np.arange(p.start, _stop(p), p.step or 1) if isinstance(p, slice) else p for p in parts]
    return np.ix_(*arrays)


def _stop(part: slice) -> int:
    return -1 if part.stop is None else int(part.stop)


class Source(ABC):
    """What a lazy array reads from: an array of any kind, or a view of one, that is read by indexing.

    A source is never changed, may be read by several threads at once, and is pickled without what it read.
    What is taken along each axis of the whole, and the order of axes, belong to it: so what a slice of a
    transposed array needs is all that is read.
    """

    _rank: int
    _view: tuple[Axis, ...]  # one more for each new axis
    _order: tuple[int, ...]  # the place in `_view` of each dim

    def _cover(self, shape: Sequence[int]) -> None:
        self._rank, self._view, self._order = len(shape), whole(shape), tuple(range(len(shape)))

    @property
    @abstractmethod
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""

    @property
    @abstractmethod
    def unit(self) -> tuple[int, ...]:
        """Shape of what is read as one, such as a chunk: one length per axis of the whole, 1 at least."""

    @property
    def grid(self) -> tuple[int, ...]:
        """Shape of the chunks: `unit`, or what a unit is made of."""
        return self.unit

    @property
    @abstractmethod
    def locations(self) -> frozenset[str]:
        """Paths or URLs of all arrays that values may come from: what a save must not destroy first."""

    @abstractmethod
    def _read(self, picks: Sequence[Pick]) -> np.ndarray[Any, Any]:
        """Values at the product of some positions along each axis of the whole, into fresh memory."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the part that is taken."""
        return tuple(map(len, self.dims))

    @property
    def ndim(self) -> int:
        """Number of axes that are left, ``len(shape)``."""
        return len(self.shape)

    @property
    def dims(self) -> tuple[range, ...]:
        """The positions that are taken along each axis that is left, in the order of `shape`."""
        return tuple(axis for i in self._order if isinstance(axis := self._view[i], range))

    @property
    def units(self) -> tuple[int, ...]:
        """`unit` along each axis that is left, in the order of `shape`."""
        return self.along(self.unit)

    def along(self, lengths: Sequence[int]) -> tuple[int, ...]:
        """Lengths along the axes of the whole, such as `grid`, along each axis that is left."""
        return tuple(lengths[i] if i < self._rank else 1 for i in self._order)

    @property
    def part(self) -> tuple[tuple[Axis, ...], tuple[int, ...]]:
        """What is taken along each axis (a position: it is dropped), and the order of those that are left.

        Axes beyond those of the whole are new ones, of length one.
        """
        return self._view, self._order

    def view(self, index: object) -> Self:
        """Take a part with integers, slices, new axes and an ellipsis, without reading anything."""
        axes, order = self._indexed(index)
        if any(isinstance(axis, np.ndarray) for axis in axes):
            raise IndexError("a view is taken with integers and slices only")
        return self.taking(tuple(axis for axis in axes if not isinstance(axis, np.ndarray)), order)

    def transpose(self, order: Sequence[int]) -> Self:
        """The same part, its axes in another order."""
        return self.taking(self._view, [self._order[i] for i in order])

    def taking(self, axes: Sequence[Axis], order: Sequence[int]) -> Self:
        """The same source, but another `part` of it."""
        part = object.__new__(type(self))
        part.__dict__.update(self.__dict__)
        # A new axis that was taken out again leaves nothing behind.
        kept = [i for i, axis in enumerate(axes) if i < self._rank or isinstance(axis, range)]
        part._view, part._order = tuple(axes[i] for i in kept), tuple(kept.index(i) for i in order)
        return part

    def _indexed(self, index: object) -> tuple[list[int | Pick], list[int]]:
        """What an index takes along each axis, and the order of those that are left."""
        axes: list[int | Pick] = list(self._view)
        order = []
        following = iter(self._order)
        for taken in compose(self.dims, index):
            at = len(axes) if taken is None else next(following)
            axes[at : at + 1] = [range(1) if taken is None else taken]
            if not isinstance(taken, int):
                order.append(at)
        return axes, order

    def __getitem__(self, index: object) -> Any:
        """Read a part, indexed as in `compose`, into memory of the caller's own."""
        axes, order = self._indexed(index)
        picks = [range(axis, axis + 1) if isinstance(axis, int) else axis for axis in axes]
        shape = tuple(len(picks[i]) for i in order)
        if 0 in shape:
            return np.empty(shape, self.dtype)
        values = self._read(picks[: self._rank])
        kept = [i for i in order if i < self._rank]
        values = values.transpose(kept + [i for i in range(self._rank) if i not in kept])
        values = values.reshape([n if i < self._rank else 1 for i, n in zip(order, shape, strict=True)])
        if values.shape != shape:  # a list of positions along a new axis
            values = np.broadcast_to(values, shape).copy()
        return values if shape or index == () or index is Ellipsis else values[()]

    def read_into(self, values: np.ndarray[Any, Any]) -> None:
        """Read the part into an array of its shape; if possible, past the cache of decoded chunks."""
        values[...] = self[...]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        values = np.asarray(self[...])
        return values if dtype is None else values.astype(dtype, copy=False)

    def __len__(self) -> int:
        return self.shape[0]


def _take(axis: range, item: Any) -> int | range | np.ndarray[Any, Any]:
    if _is_int(item):
        try:
            return axis[operator.index(item)]
        except IndexError:
            raise IndexError(f"index {item} is out of bounds for an axis of length {len(axis)}") from None
    if isinstance(item, slice):
        return axis[item]
    positions = np.asarray(item) if isinstance(item, list | np.ndarray) else None
    if positions is None or positions.ndim != 1 or (positions.size and positions.dtype.kind not in "biu"):
        raise IndexError(
            f"only integers, slices, ellipsis and lists of one axis can be indices, not {item!r}"
        )
    if positions.dtype.kind == "b":
        if positions.size != len(axis):
            raise IndexError(f"a mask of {positions.size} does not fit an axis of length {len(axis)}")
        positions = np.nonzero(positions)[0]
    positions = positions.astype(np.int64)
    positions = np.where(positions < 0, positions + len(axis), positions)
    if positions.size and not 0 <= positions.min() <= positions.max() < len(axis):
        raise IndexError(f"an index is out of bounds for an axis of length {len(axis)}")
    return axis.start + axis.step * positions


def _parts(pick: range, cell: int) -> Iterator[tuple[int, int, range]]:
    """Yield number of the cell, first index in `pick`, and the part of `pick` in the cell; by number."""
    if len(pick) == 0:
        return
    forward = pick if pick.step > 0 else pick[::-1]
    first = 0
    while first < len(forward):
        number = forward[first] // cell
        end = min(len(forward), -(-((number + 1) * cell - forward.start) // forward.step))
        part = forward[first:end]
        if pick.step > 0:
            yield number, first, part
        else:
            yield number, len(forward) - end, part[::-1]
        first = end


def as_slice(part: range, offset: int) -> slice:
    """Positions, not none, as a slice of an axis that begins at an offset."""
    stop = part[-1] - offset + (1 if part.step > 0 else -1)
    return slice(part[0] - offset, None if stop < 0 else stop, part.step)


def _is_int(item: object) -> bool:
    return isinstance(item, int | np.integer) and not isinstance(item, bool)
