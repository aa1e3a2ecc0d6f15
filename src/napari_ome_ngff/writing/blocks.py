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

    All lists are finest first. A write unit is a chunk or shard; `factors` are those from the level above (of
    level 0 they are not used). A block is made of several units where one has less than 1 MiB, because each
    task has its price. Where a block equals the level's size, one block spans the axis at all coarser levels.
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

    `source_chunks` is what the source decodes at once, `budget` a number of bytes. A single block is returned
    even if it is larger.
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
    sizes = {block, aligned, 2 * aligned, 4 * aligned, -(-chunk // block) * block, -(-size // block) * block}
    sizes |= {block << i for i in range(12) if block << i < size}
    return sorted({min(n, size) for n in sizes})


def decodes(shape: Sequence[int], box: Sequence[int], source_chunks: Sequence[int]) -> float:
    """How often a chunk of the source is decoded, on average, if `shape` is read box by box."""
    times = 1.0
    for size, step, chunk in zip(shape, box, source_chunks, strict=True):
        chunks = -(-size // chunk)
        # A chunk is decoded once more for each boundary between boxes that cuts it.
        boundaries = -(-size // step) - 1
        aligned = boundaries // (chunk // math.gcd(step, chunk))
        times *= 1 + (boundaries - aligned) / chunks
    return times


def depth_first(region: Sequence[int] | Box, steps: Sequence[Sequence[int]]) -> Iterator[Box]:
    """Cut a level, or a box of it, into boxes of ``steps[0]``, those of one ``steps[1]`` together, and so on.

    Lazy. A larger step is rounded up to whole boxes of the step before.
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
    """What the block of each level covers of the finest level; the whole axis where one block spans it."""
    covered: list[tuple[int, ...]] = []
    times = [1] * len(shapes[0])
    for shape, block, factor in zip(shapes, blocks, factors, strict=True):
        times = [t * f for t, f in zip(times, factor, strict=True)] if covered else times
        covered.append(
            tuple(
                whole if size >= n else min(size * t, whole)
                for size, n, t, whole in zip(block, shape, times, shapes[0], strict=True)
            )
        )
    return tuple(covered)


def split_for_loading(box: Box, chunks: Sequence[int], parts: int) -> Iterator[Box]:
    """Cut a box along the source's chunks into about as many parts, to be read at the same time.

    Chunks that the box begins or ends inside of are in one part as well: no part cuts another chunk.
    """
    cuts: list[list[slice]] = []
    for side, chunk in zip(box, chunks, strict=True):
        first, last = side.start // chunk, -(-side.stop // chunk)
        step = max(1, (last - first) // -(-parts // math.prod(map(len, cuts))))
        edges = [side.start, *(i * chunk for i in range(first + step, last, step)), side.stop]
        cuts.append([slice(start, stop) for start, stop in itertools.pairwise(edges)])
    yield from itertools.product(*cuts)


def cells(region: Box, steps: Sequence[int]) -> Iterator[tuple[tuple[int, ...], Box]]:
    """The cells of a regular grid that a region reaches into: index of each, and its share of the region."""
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
    """A region as seen from the corner of another one."""
    return tuple(slice(a.start - b.start, a.stop - b.start) for a, b in zip(box, to, strict=True))


def shape_of(box: Box) -> tuple[int, ...]:
    """Shape of a region."""
    return tuple(part.stop - part.start for part in box)


def count_boxes(shape: Sequence[int], step: Sequence[int]) -> int:
    """How many boxes of `step` cover `shape`."""
    return math.prod(-(-n // s) for n, s in zip(shape, step, strict=True))
