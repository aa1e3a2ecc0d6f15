"""How a level is cut: blocks that nest from level to level, and boxes that suit a lazy source.

Pure integer arithmetic; nothing here grows with the number of blocks.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

Box = tuple[slice, ...]
"""A region of one level: one slice with start and stop per dimension, clipped to the level."""


_SMALL_BLOCK = 2**20


_BOX_OVERHEAD = 2**20  # reading one more box costs about as much as reading this many bytes


_LARGE_BOX = 2**25  # from here on the price of a box does not matter


def nested_blocks(
    shapes: Sequence[Sequence[int]],
    units: Sequence[Sequence[int]],
    factors: Sequence[Sequence[int]],
    itemsize: int,
) -> tuple[tuple[int, ...], ...]:
    """Blocks of every level: whole write units whose reductions tile the block of the next level.

    Parameters
    ----------
    shapes, units
        Shape and write unit (chunk or shard) of each level, finest first.
    factors
        Factor from the level above, per level; those of level 0 are not used.
    itemsize
        Bytes per voxel. A block is made of several units where one has less than 1 MiB, because each task
        has its price.

    Returns
    -------
    tuple of tuple of int
        Block of each level. Where it equals the level's size, one block spans the axis at all coarser levels.

    Examples
    --------
    >>> nested_blocks([(4096, 4096), (2048, 2048)], [(1024, 1024)] * 2, [(1, 1), (2, 2)], 1)
    ((1024, 1024), (1024, 1024))
    """
    steps = [*factors[1:], (1,) * len(shapes[0])]
    first = _grown(
        [math.lcm(unit, factor) for unit, factor in zip(units[0], steps[0], strict=True)], shapes[0], itemsize
    )
    blocks = [clipped(first, shapes[0])]
    for k in range(1, len(shapes)):
        block = []
        for d, size in enumerate(shapes[k]):
            above, factor = blocks[k - 1][d], factors[k][d]
            whole = above >= shapes[k - 1][d]
            made = above // math.gcd(above, factor)
            block.append(size if whole else math.lcm(units[k][d], steps[k][d], made))
        blocks.append(clipped(block, shapes[k]))
    return tuple(blocks)


def clipped(block: Sequence[int], shape: Sequence[int]) -> tuple[int, ...]:
    """`block`, nowhere larger than `shape`."""
    return tuple(min(b, n) for b, n in zip(block, shape, strict=True))


def _grown(block: list[int], shape: Sequence[int], itemsize: int) -> list[int]:
    """Double a small block along its last axes until it is worth a task."""
    for axis in reversed(range(len(block))):
        while block[axis] < shape[axis] and math.prod(clipped(block, shape)) * itemsize < _SMALL_BLOCK:
            block[axis] *= 2
    return block


def read_box(
    shape: Sequence[int], block: Sequence[int], source_chunks: Sequence[int], itemsize: int, budget: int
) -> tuple[int, ...]:
    """The box of whole blocks to read a lazy source in: few chunks of it cut, and not larger than `budget`.

    Parameters
    ----------
    shape, block
        Of the level.
    source_chunks
        What the source decodes at once.
    itemsize, budget
        Bytes per voxel, and bytes that a box may have. A single block is returned even if it is larger.

    Examples
    --------
    Planes of 8 MiB and blocks of 16 planes: 16 planes at once, or a part of them if memory is short.

    >>> read_box((64, 2048, 2048), (16, 256, 256), (1, 2048, 2048), 2, 2**28)
    (16, 2048, 2048)
    >>> read_box((64, 2048, 2048), (16, 256, 256), (1, 2048, 2048), 2, 2**25)
    (16, 512, 2048)
    """
    options = [_sizes(n, b, c) for n, b, c in zip(shape, block, source_chunks, strict=True)]
    best = tuple(block)
    best_cost: tuple[float, ...] = ()
    for sizes in itertools.product(*options):
        nbytes = math.prod(sizes) * itemsize
        if nbytes > budget:
            continue
        price = decodes(shape, sizes, source_chunks) * (1 + _BOX_OVERHEAD / min(nbytes, _LARGE_BOX))
        # Of equally cheap boxes the smallest, and of these the longest along the last axes: its rows lie
        # together.
        cost = (round(price, 9), nbytes, *(-n for n in sizes[::-1]))
        if not best_cost or cost < best_cost:
            best, best_cost = sizes, cost
    return best


def _sizes(size: int, block: int, chunk: int) -> list[int]:
    """Candidate box sizes along one axis: multiples of the block up to the axis."""
    aligned = math.lcm(block, chunk)
    found = {block, aligned, 2 * aligned, 4 * aligned, -(-chunk // block) * block, -(-size // block) * block}
    found |= {block << i for i in range(12) if block << i < size}
    return sorted({min(n, size) for n in found})


def decodes(shape: Sequence[int], box: Sequence[int], source_chunks: Sequence[int]) -> float:
    """How often a chunk of the source is decoded, on average, if `shape` is read box by box.

    Examples
    --------
    >>> decodes((64, 100), (16, 50), (8, 100))
    2.0
    """
    times = 1.0
    for size, step, chunk in zip(shape, box, source_chunks, strict=True):
        chunks = -(-size // chunk)
        # A chunk is decoded once more for each boundary between boxes that cuts it.
        boundaries = -(-size // step) - 1
        aligned = boundaries // (chunk // math.gcd(step, chunk))
        times *= 1 + (boundaries - aligned) / chunks
    return times


def depth_first(region: Sequence[int] | Box, steps: Sequence[Sequence[int]]) -> Iterator[Box]:
    """Cut `region` into boxes of ``steps[0]``, those of one ``steps[1]`` together, and so on: lazily.

    Parameters
    ----------
    region
        What to cut: the shape of a level, or a box of it.
    steps
        Sizes of the boxes and of the larger and larger boxes that they belong to. A larger box is rounded up
        to whole boxes of the step before.

    Examples
    --------
    >>> [(y.start, x.start) for y, x in depth_first((2, 4), [(1, 1), (2, 2)])]
    [(0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (0, 3), (1, 2), (1, 3)]
    """
    whole = tuple(part if isinstance(part, slice) else slice(0, part) for part in region)
    yield from _divide(whole, nested_steps(steps))


def nested_steps(steps: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
    """Round every step up to whole ones of the step before."""
    nested = [tuple(steps[0])]
    for step in steps[1:]:
        nested.append(tuple(-(-n // b) * b for n, b in zip(step, nested[-1], strict=True)))
    return tuple(nested)


def _divide(box: Box, steps: Sequence[Sequence[int]]) -> Iterator[Box]:
    if not steps:
        yield box
        return
    starts = [range(part.start, part.stop, step) for part, step in zip(box, steps[-1], strict=True)]
    for corner in itertools.product(*starts):
        inner = tuple(
            slice(start, min(start + step, part.stop))
            for start, step, part in zip(corner, steps[-1], box, strict=True)
        )
        yield from _divide(inner, steps[:-1])


def spans(
    shapes: Sequence[Sequence[int]], blocks: Sequence[Sequence[int]], factors: Sequence[Sequence[int]]
) -> tuple[tuple[int, ...], ...]:
    """What the block of each level covers of the finest level; the whole axis where one block spans it.

    Examples
    --------
    >>> spans([(64, 100), (32, 50)], [(16, 50), (16, 50)], [(1, 1), (2, 2)])
    ((16, 50), (32, 100))
    """
    found: list[tuple[int, ...]] = []
    times = [1] * len(shapes[0])
    for shape, block, factor in zip(shapes, blocks, factors, strict=True):
        times = [t * f for t, f in zip(times, factor, strict=True)] if found else times
        found.append(
            tuple(
                whole if size >= n else min(size * t, whole)
                for size, n, t, whole in zip(block, shape, times, shapes[0], strict=True)
            )
        )
    return tuple(found)


def split_for_loading(box: Box, chunks: Sequence[int], parts: int) -> Iterator[Box]:
    """Cut a box along the source's chunks into about as many parts, to be read at the same time.

    Chunks that the box begins or ends inside of are in one part as well: no part cuts another chunk.

    Examples
    --------
    >>> box = (slice(0, 16), slice(0, 100))
    >>> [(z.start, z.stop) for z, y in split_for_loading(box, (1, 100), 4)]
    [(0, 4), (4, 8), (8, 12), (12, 16)]
    >>> [(z.start, z.stop) for z, y in split_for_loading((slice(5, 20), slice(0, 100)), (8, 100), 4)]
    [(5, 8), (8, 16), (16, 20)]
    """
    cuts: list[list[slice]] = []
    for side, chunk in zip(box, chunks, strict=True):
        first, last = side.start // chunk, -(-side.stop // chunk)
        step = max(1, (last - first) // -(-parts // math.prod(map(len, cuts))))
        edges = [side.start, *(i * chunk for i in range(first + step, last, step)), side.stop]
        cuts.append([slice(start, stop) for start, stop in itertools.pairwise(edges)])
    yield from itertools.product(*cuts)


def cells(region: Box, steps: Sequence[int]) -> Iterator[tuple[tuple[int, ...], Box]]:
    """The cells of a regular grid that a region reaches into: index of each, and what of the region is in it.

    Examples
    --------
    >>> list(cells((slice(3, 9),), (4,)))
    [((0,), (slice(3, 4, None),)), ((1,), (slice(4, 8, None),)), ((2,), (slice(8, 9, None),))]
    """
    grid = [
        range(part.start // step, -(-part.stop // step)) for part, step in zip(region, steps, strict=True)
    ]
    for index in itertools.product(*grid):
        yield (
            index,
            tuple(
                slice(max(i * step, part.start), min((i + 1) * step, part.stop))
                for i, step, part in zip(index, steps, region, strict=True)
            ),
        )


def relative(box: Box, to: Box) -> Box:
    """A region as seen from the corner of another one.

    Examples
    --------
    >>> relative((slice(5, 7),), (slice(4, 8),))
    (slice(1, 3, None),)
    """
    return tuple(slice(a.start - b.start, a.stop - b.start) for a, b in zip(box, to, strict=True))


def shape_of(box: Box) -> tuple[int, ...]:
    """Shape of a region."""
    return tuple(part.stop - part.start for part in box)


def count_boxes(shape: Sequence[int], step: Sequence[int]) -> int:
    """How many boxes of `step` cover `shape`.

    Examples
    --------
    >>> count_boxes((10, 10), (4, 5))
    6
    """
    return math.prod(-(-n // s) for n, s in zip(shape, step, strict=True))
