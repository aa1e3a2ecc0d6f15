"""The blocks of our dask arrays: large, and cut only where chunks end. Pure."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from napari_ome_ngff.storage.pixels.indexing import Axis, pieces

Blocks = tuple[tuple[int, ...], ...]
"""Lengths of the blocks along each axis."""


BLOCK_BYTES = 64 * 2**20
"""Size that a planned block does not exceed, and up to which a request is read as one.

When a whole array is computed, every thread holds one or two blocks.
"""


BLOCK_EDGE = 512
"""Length of a planned block along each axis, in whole chunks.

napari 0.9 widens what it asks for to the borders of blocks, along the axes that are displayed: with blocks of
whole planes it would load the plane around a small tile.
"""


_MAX_BLOCKS = 4096  # along an axis; above it blocks grow, since dask lists their lengths


def plan_blocks(
    axes: Sequence[Axis],
    unit: Sequence[int],
    itemsize: int,
    *,
    limit: int = BLOCK_BYTES,
    edge: int = BLOCK_EDGE,
) -> Blocks:
    """Return blocks for a part of an array: large, but of limited length, and cut only where chunks end.

    Parameters
    ----------
    axes
        What is taken along each axis of the array.
    unit
        Shape of the chunks or shards, one length per axis of the array.
    itemsize
        Bytes of a value.
    limit
        Bytes that a block should not exceed, unless one unit does.
    edge
        Length that a block should have along each axis; the last axis comes first, until `limit` is reached.

    Returns
    -------
    tuple of tuple of int
        Lengths of the blocks along each axis that is left.

    Examples
    --------
    >>> plan_blocks((range(300), range(2048), range(600)), (1, 256, 256), 2)
    ((128, 128, 44), (512, 512, 512, 512), (512, 88))
    """
    lengths = [1 if isinstance(axis, int) else len(axis) for axis in axes]
    steps = [1 if isinstance(axis, int) else abs(axis.step) for axis in axes]
    # How much of what is taken lies in one unit.
    held = [min(n, max(1, u // s)) for n, u, s in zip(lengths, unit, steps, strict=True)]
    blocks: list[tuple[int, ...]] = []
    for i in reversed(range(len(axes))):
        axis = axes[i]
        if isinstance(axis, int):
            continue
        fits = limit // max(1, math.prod(held) * itemsize)
        wanted = -(-edge // max(1, held[i]))
        needed = -(-len(axis) // (_MAX_BLOCKS * max(1, held[i])))
        room = max(1, min(fits, wanted), needed)
        blocks.append(pieces(axis, max(unit[i], steps[i]) * room))
        held[i] = min(len(axis), held[i] * room)
    return tuple(reversed(blocks))


def cut_blocks(blocks: Blocks, whole: Sequence[Axis], part: Sequence[Axis]) -> Blocks:
    """Return the blocks of a part of an array, cut where the blocks of the whole are.

    Parameters
    ----------
    blocks
        Blocks of the whole, for each axis that it has.
    whole, part
        What the whole and the part take along each axis of the underlying array.

    Returns
    -------
    tuple of tuple of int
        Blocks of the part; empty ones are left out.

    Examples
    --------
    >>> cut_blocks(((3, 3, 3), (9,)), (range(9), range(9)), (range(8, 0, -2), 4))
    ((2, 1, 1),)
    """
    lengths = iter(blocks)
    result = []
    for before, after in zip(whole, part, strict=True):
        sizes = () if isinstance(before, int) else next(lengths)
        if isinstance(before, int) or isinstance(after, int):
            continue
        step = after.step // before.step
        first = before.index(after[0]) if len(after) else 0
        places = range(first, first + len(after) * step, step)  # of the part, counted in the whole
        forward = places if step > 0 else places[::-1]
        counts, passed = [], 0
        for end in itertools.accumulate(sizes):
            below = min(len(forward), max(0, -(-(end - forward.start) // forward.step)))
            counts.append(below - passed)
            passed = below
        counts = [n for n in counts if n]
        result.append(tuple(counts if step > 0 else counts[::-1]) or (0,))
    return tuple(result)
