"""Indexing said in ranges, and the chunks that it cuts. Pure: no zarr, no IO."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from types import EllipsisType
from typing import Any

import numpy as np

Axis = int | range
"""What a view takes along one axis of the array: one position, or a range of positions."""


Pick = range | np.ndarray[Any, Any]
"""What a request takes along one axis: a range of positions, or any positions."""


def whole(shape: Sequence[int]) -> tuple[range, ...]:
    """Return the view of a whole array.

    Parameters
    ----------
    shape
        Shape of the array.

    Returns
    -------
    tuple of range
        One per axis.

    Examples
    --------
    >>> whole((2, 3))
    (range(0, 2), range(0, 3))
    """
    return tuple(range(n) for n in shape)


def is_basic(index: object) -> bool:
    """Tell whether an index is made of integers, slices and an ellipsis alone.

    Parameters
    ----------
    index
        What stands between the brackets.

    Returns
    -------
    bool
        False for new axes, masks and lists.

    Examples
    --------
    >>> is_basic((3, slice(None))), is_basic([1, 2]), is_basic(None), is_basic(True)
    (True, False, False, False)
    """
    items = index if isinstance(index, tuple) else (index,)
    return all(_is_int(item) or isinstance(item, slice | EllipsisType) for item in items)


def compose(view: Sequence[Axis], index: object) -> tuple[int | range | np.ndarray[Any, Any], ...]:
    """Index a view.

    Parameters
    ----------
    view
        What the view takes along each axis of the array.
    index
        Integers, slices (also with steps and backwards), an ellipsis, lists or masks of one axis. Several
        lists select the product of their positions (as ``numpy.ix_``), not pairs.

    Returns
    -------
    tuple
        What is taken along each axis of the array.

    Raises
    ------
    IndexError
        If there are too many indices, one is out of bounds, or a kind that is not supported.

    Examples
    --------
    >>> compose((4, range(10, 20)), slice(None, None, -2))
    (4, range(19, 9, -2))
    """
    items = list(index) if isinstance(index, tuple) else [index]
    ndim = sum(isinstance(axis, range) for axis in view)
    gaps = [i for i, item in enumerate(items) if isinstance(item, EllipsisType)]
    if len(gaps) > 1:
        raise IndexError("an index can have only one ellipsis")
    missing = ndim - (len(items) - len(gaps))
    if missing < 0:
        raise IndexError(f"too many indices: the array has {ndim} dimensions, {len(items)} were given")
    at = gaps[0] if gaps else len(items)
    items[at : at + len(gaps)] = [slice(None)] * missing
    following = iter(items)
    return tuple(axis if isinstance(axis, int) else _take(axis, next(following)) for axis in view)


def cut(pick: Pick, chunk: int) -> list[tuple[int, Any, Any]]:
    """Return which chunks along one axis a pick needs, and which part of each goes where.

    Parameters
    ----------
    pick
        The positions taken.
    chunk
        Length of a chunk.

    Returns
    -------
    list of tuple
        Number of the chunk, selection in the chunk, selection in the result; by number of the chunk.

    Examples
    --------
    >>> cut(range(3, 7), 4)
    [(0, slice(3, 4, 1), slice(0, 1, None)), (1, slice(0, 3, 1), slice(1, 4, None))]
    """
    if len(pick) == 0:
        return []
    if isinstance(pick, range):
        return [
            (number, _as_slice(part, number * chunk), slice(first, first + len(part)))
            for number, first, part in _parts(pick, chunk)
        ]
    numbers = pick // chunk
    return [
        (int(number), pick[numbers == number] - int(number) * chunk, np.nonzero(numbers == number)[0])
        for number in np.unique(numbers)
    ]


def pieces(pick: range, step: int) -> tuple[int, ...]:
    """Return how many positions of a range lie in each cell of a grid, empty cells left out.

    Parameters
    ----------
    pick
        Positions along an axis.
    step
        Length of the grid's cells.

    Returns
    -------
    tuple of int
        In the order of `pick`; ``(0,)`` if it is empty.

    Examples
    --------
    >>> pieces(range(3, 10), 4)
    (1, 4, 2)
    >>> pieces(range(9, 2, -1), 4)
    (2, 4, 1)
    """
    counts = [len(part) for _, _, part in _parts(pick, step)]
    return tuple(counts if len(pick) == 0 or pick.step > 0 else counts[::-1]) or (0,)


def boxes(
    chunks: set[tuple[int, ...]], *, full: float = 0.75
) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Cover chunks with few boxes that hold little else, so that each box is one request.

    Parameters
    ----------
    chunks
        Positions in the chunk grid.
    full
        Share of a box that must be asked for; below it the box is split.

    Returns
    -------
    list of tuple
        First and last position of each box; they do not overlap.

    Examples
    --------
    >>> boxes({(0, 0), (0, 1), (0, 2), (5, 0)})
    [((0, 0), (0, 2)), ((5, 0), (5, 0))]
    """
    pending, done = [chunks], []
    while pending:
        group = pending.pop()
        if not group:
            continue
        low = tuple(map(min, zip(*group, strict=True)))
        high = tuple(map(max, zip(*group, strict=True)))
        extent = [b - a + 1 for a, b in zip(low, high, strict=True)]
        volume = 1
        for n in extent:
            volume *= n
        if len(group) >= full * volume:
            done.append((low, high))
            continue
        axis = extent.index(max(extent))
        # The widest gap in the middle of the longest side: an L falls into its two legs.
        counts: dict[int, int] = {}
        for position in group:
            counts[position[axis]] = counts.get(position[axis], 0) + 1
        lines = sorted(counts)
        split = max(
            range(1, len(lines)),
            key=lambda i: (abs(counts[lines[i]] - counts[lines[i - 1]]), lines[i] - lines[i - 1]),
        )
        pending.append({p for p in group if p[axis] >= lines[split]})
        pending.append({p for p in group if p[axis] < lines[split]})
    return done


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
    number, first = forward[0] // cell, 0
    while first < len(forward):
        number = forward[first] // cell
        end = min(len(forward), -(-((number + 1) * cell - forward.start) // forward.step))
        part = forward[first:end]
        if pick.step > 0:
            yield number, first, part
        else:
            yield number, len(forward) - end, part[::-1]
        first = end


def _as_slice(part: range, offset: int) -> slice:
    stop: int | None = part.stop - offset
    if part.step < 0:
        stop = part[-1] - offset - 1
        stop = None if stop < 0 else stop
    elif stop is not None:
        stop = part[-1] - offset + 1
    return slice(part[0] - offset, stop, part.step)


def _is_int(item: object) -> bool:
    return isinstance(item, int | np.integer) and not isinstance(item, bool)
