"""Blocks of dask arrays: large ones, planned for a part of an array, or cut as an index cuts it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from napari_ome_ngff.storage.pixels.indexing import compose, pieces

Blocks = tuple[tuple[int, ...], ...]
"""Lengths of the blocks along each axis."""


BLOCK_BYTES = 64 * 2**20
"""Size that a planned block does not exceed; every thread holds one or two while an array is computed."""


# napari 0.9 widens what it asks for to the borders of blocks, along the axes that are displayed: with blocks
# of whole planes it would load the plane around a small tile.
BLOCK_EDGE = 512
"""Length of a planned block along each axis, in whole chunks."""


_MAX_BLOCKS = 4096  # along an axis; above it blocks grow, since dask lists their lengths


def plan_blocks(
    dims: Sequence[range],
    units: Sequence[int],
    itemsize: int,
    *,
    limit: int = BLOCK_BYTES,
    edge: int = BLOCK_EDGE,
) -> Blocks:
    """Blocks for a part of an array: large, but of limited length, and cut only where chunks end.

    `units` is the shape of the chunks or shards, by dim; a block exceeds `limit` bytes only if one unit does;
    `edge` is the length along each dim, the last one first, until `limit` is reached.

    >>> plan_blocks((range(300), range(2048), range(600)), (1, 256, 256), 2)
    ((128, 128, 44), (512, 512, 512, 512), (512, 88))
    """
    steps = [abs(dim.step) for dim in dims]
    # How much of what is taken lies in one unit.
    held = [min(len(dim), max(1, u // s)) for dim, u, s in zip(dims, units, steps, strict=True)]
    blocks: list[tuple[int, ...]] = []
    for i in reversed(range(len(dims))):
        fits = limit // max(1, math.prod(held) * itemsize)
        wanted = -(-edge // max(1, held[i]))
        needed = -(-len(dims[i]) // (_MAX_BLOCKS * max(1, held[i])))
        room = max(1, min(fits, wanted), needed)
        blocks.append(pieces(dims[i], max(units[i], steps[i]) * room))
        held[i] = min(len(dims[i]), held[i] * room)
    return tuple(reversed(blocks))


def cut_blocks(blocks: Blocks, dims: Sequence[range], index: object) -> Blocks:
    """Blocks of what an index takes of an array, cut where its blocks are; empty ones are left out.

    >>> cut_blocks(((3, 3, 3), (9,)), (range(9), range(9)), (slice(8, 0, -2), 4, None))
    ((2, 1, 1), (1,))
    """
    following = iter(zip(blocks, dims, strict=True))
    result: list[tuple[int, ...]] = []
    for after in compose(dims, index):
        if after is None:
            result.append((1,))
            continue
        sizes, before = next(following)
        if not isinstance(after, range):
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
