"""Cut the work into tasks that fit in memory. Pure: what it costs is told before anything is done."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from napari_ome_ngff.writing.blocks import (
    Box,
    clipped,
    count_boxes,
    decodes,
    depth_first,
    nested_blocks,
    nested_steps,
    read_box,
    shape_of,
    spans,
    split_for_loading,
)

PARTS_PER_TASK = 4
"""In how many parts every task reads its share of a box, so that none waits long for another."""


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One pass over one source: a level that is read, and the levels that are made of it, finest first.

    A unit is what is encoded and stored at once, a factor that from the level above. `whole_shards` says that
    units are shards that are put together in memory, `shared_memory` that tasks run in threads, so that all
    of them can encode parts of what was read at once.
    """

    shapes: tuple[tuple[int, ...], ...]
    units: tuple[tuple[int, ...], ...]
    factors: tuple[tuple[int, ...], ...]
    itemsize: int
    source_chunks: tuple[int, ...] | None = None
    whole_shards: bool = False
    shared_memory: bool = True

    @property
    def unit_nbytes(self) -> int:
        """Bytes of the largest write unit."""
        sizes = [clipped(unit, shape) for unit, shape in zip(self.units, self.shapes, strict=True)]
        return max(math.prod(size) for size in sizes) * self.itemsize


@dataclass(frozen=True, kw_only=True)
class Cut:
    """How a pass is cut into tasks, and the memory that this takes.

    `blocks` are whole write units of each level, finest first, encoded and reduced by one task. `box` is what
    is read from the source at once: whole blocks of the first level, larger than one only for a lazy source
    whose own chunks are. `reading` are the bytes that reading a lazy source takes on top of the engine's
    buffers (`memory`), about and at most: the box, and in every task that reads its part of it and a chunk of
    the source, encoded and decoded; what the source itself keeps is not known here. `decodes` says how often
    a chunk of a lazy source is decoded on average.
    """

    blocks: tuple[tuple[int, ...], ...]
    box: tuple[int, ...]
    tasks: int
    memory: int
    reading: int
    decodes: float


def cut_pass(work: Pass, *, workers: int, memory_limit: int) -> Cut:
    """Find the best way to cut a pass, with at most `workers` tasks at once and within `memory_limit` bytes.

    The buffers of the engine are within the limit, and so is what is read at once of a lazy source.
    Where not even one task with one block fits, that is what is returned: compare :attr:`Cut.memory`.
    """
    blocks = nested_blocks(work.shapes, work.units, work.factors, work.itemsize)
    for tasks in range(max(1, workers), 0, -1):
        box = _largest_box(work, blocks, tasks, memory_limit)
        memory = _memory_of(work, blocks, box, tasks)
        if memory <= memory_limit:
            break
    chunks = work.source_chunks
    times = 1.0 if chunks is None else decodes(work.shapes[0], box, chunks)
    return Cut(
        blocks=blocks,
        box=box,
        tasks=tasks,
        memory=memory,
        reading=_reading(work, box, tasks, box != blocks[0]),
        decodes=times,
    )


def _reading(work: Pass, box: tuple[int, ...], tasks: int, large: bool) -> int:
    """Bytes that reading a lazy source takes besides the engine's own buffers."""
    if work.source_chunks is None:
        return 0
    chunk = math.prod(work.source_chunks)
    if not (large and work.shared_memory):
        return tasks * (math.prod(box) + 2 * chunk) * work.itemsize
    whole = tuple(slice(0, size) for size in box)
    parts = split_for_loading(whole, work.source_chunks, PARTS_PER_TASK * tasks)
    part = max(math.prod(shape_of(each)) for each in parts)
    return (math.prod(box) + tasks * (part + 2 * chunk)) * work.itemsize


def _largest_box(
    work: Pass, blocks: tuple[tuple[int, ...], ...], tasks: int, memory_limit: int
) -> tuple[int, ...]:
    """The best box to read at once that fits in what the rest leaves."""
    # Threads share one box, which is theirs to read; processes have one each, among the engine's buffers.
    room = memory_limit
    if not work.shared_memory:
        room -= _memory_of(work, blocks, blocks[0], tasks)
    while work.source_chunks is not None and room > math.prod(blocks[0]) * work.itemsize:
        box = read_box(work.shapes[0], blocks[0], work.source_chunks, work.itemsize, room)
        if _memory_of(work, blocks, box, tasks) <= memory_limit:
            return box
        room = room * 3 // 4  # a larger box also keeps more blocks of coarser levels waiting
    return blocks[0]


def _memory_of(work: Pass, blocks: tuple[tuple[int, ...], ...], box: tuple[int, ...], tasks: int) -> int:
    """Bytes of all buffers of the engine at their worst, besides a box that threads read.

    A running task holds its block, what it makes of it, and a write unit as it is and encoded. A block of a
    coarser level waits until all of its parts are there: as many wait as one box reaches into, and one more
    for every task that is late. What reading a lazy source takes besides its result comes on top.
    """
    large = box != blocks[0]
    sizes = [math.prod(block) for block in blocks]
    first = math.prod(box) if large and not work.shared_memory else sizes[0]
    made, task = 0, 0
    for k in reversed(range(len(blocks))):
        size = first if k == 0 else sizes[k]
        made = (size + made) // math.prod(work.factors[k + 1]) if k + 1 < len(blocks) else 0
        # The block of a coarser level is counted among those that wait.
        task = max(task, made + (size if k == 0 else 0))
    task += (3 if work.whole_shards else 2) * work.unit_nbytes // work.itemsize
    covered = spans(work.shapes, blocks, work.factors)
    groups = nested_steps([box, *covered[1:]])
    waiting = 0
    for k in range(1, len(blocks)):
        at_once = count_boxes(clipped(groups[k], work.shapes[0]), covered[k])
        waiting += min(count_boxes(work.shapes[k], blocks[k]), at_once + tasks + 1) * sizes[k]
    return (tasks * task + waiting) * work.itemsize


def iter_boxes(work: Pass, cut: Cut) -> Iterator[Box]:
    """What to read, one box after the other, depth first: those of one coarse block together. Lazy."""
    return depth_first(work.shapes[0], [cut.box, *spans(work.shapes, cut.blocks, work.factors)[1:]])


def iter_blocks(work: Pass, cut: Cut, box: Box) -> Iterator[Box]:
    """The blocks of one box, in the same order."""
    steps = [cut.blocks[0], *spans(work.shapes, cut.blocks, work.factors)[1:]]
    return depth_first(box, steps)
