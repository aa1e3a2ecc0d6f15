"""Cut the work into tasks that fit in memory. Pure: what it costs is told before anything is done."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
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

_TASKS_PER_WORKER = 4  # at least, where tasks could be larger: the last ones end at about the same time
_LARGE_TASK = 2**30  # bytes of level 0 in one task: to cancel, or a dead worker, costs what is running
_LARGE_MESSAGE = 2**25  # bytes that are sent with one task


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One pass over one source: a level that is read, and the levels that are made of it, finest first."""

    shapes: tuple[tuple[int, ...], ...]
    units: tuple[tuple[int, ...], ...]  # what is encoded and stored at once
    factors: tuple[tuple[int, ...], ...]  # from the level above
    itemsize: int
    source_chunks: tuple[int, ...] | None = None
    whole_shards: bool = False  # units are shards that are put together in memory
    shared_memory: bool = True  # tasks run in threads: all encode parts of what was read at once

    @property
    def unit_nbytes(self) -> int:
        """Bytes of the largest write unit."""
        sizes = [clipped(unit, shape) for unit, shape in zip(self.units, self.shapes, strict=True)]
        return max(math.prod(size) for size in sizes) * self.itemsize


@dataclass(frozen=True, kw_only=True)
class Cut:
    """How a pass is cut into tasks, and the memory that this takes."""

    # Whole write units of each level, finest first, encoded and reduced at once.
    blocks: tuple[tuple[int, ...], ...]
    # Read from the source at once: whole blocks of the first level, several only of a lazy source.
    box: tuple[int, ...]
    # Done by one task in another process (threads do a block): whole boxes, and as far as possible all that
    # blocks of coarser levels are made of, so that little of these is left over.
    task: tuple[int, ...]
    tasks: int  # at once
    memory: int  # bytes of buffers, in the process that takes most
    slot: int  # bytes of them that go to another process and come back with one task, at most
    # Bytes that reading a lazy source takes on top, about and at most: the box, and in every task that reads
    # its part of it and a chunk of the source, encoded and decoded. What the source keeps is not known here.
    reading: int
    decodes: float  # of a chunk of a lazy source, on average


def cut_pass(work: Pass, *, workers: int, memory_limit: int, per_process: int = 1) -> Cut:
    """Find the best way to cut a pass, with at most `workers` tasks at once and within `memory_limit` bytes.

    The limit is that of each process, of which one runs `per_process` tasks at once, for the buffers of the
    engine and for what is read at once. Where not even one task with one block fits, that is returned.
    """
    blocks = nested_blocks(work.shapes, work.units, work.factors, work.itemsize)
    workers = max(1, workers)
    for tasks in range(workers, 0, -1):
        # Processes have a box each, so that it does not depend on how many there are.
        alone = functools.partial(_memory_of, work, blocks, tasks if work.shared_memory else 1, per_process)
        box = _largest_box(work, blocks, alone, memory_limit)
        for task in _subtrees(work, blocks, box, workers, memory_limit):
            memory = _memory_of(work, blocks, tasks, per_process, box, task)
            if memory <= memory_limit:
                break
        if memory <= memory_limit:
            break
    chunks = work.source_chunks
    times = 1.0 if chunks is None else decodes(work.shapes[0], box, chunks)
    at_once = tasks if work.shared_memory else per_process
    return Cut(
        blocks=blocks,
        box=box,
        task=task,
        tasks=tasks,
        memory=memory,
        slot=0 if work.shared_memory else _slot(work, blocks, task) * work.itemsize,
        reading=_reading(work, box, at_once, box != blocks[0]),
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
    work: Pass,
    blocks: tuple[tuple[int, ...], ...],
    need: Callable[[tuple[int, ...], tuple[int, ...]], int],
    memory_limit: int,
) -> tuple[int, ...]:
    """The best box to read at once that fits in what the rest leaves."""
    # Threads share one box, which is theirs to read; processes have one each, among the engine's buffers.
    room = memory_limit
    if not work.shared_memory:
        room -= need(blocks[0], blocks[0])
    while work.source_chunks is not None and room > math.prod(blocks[0]) * work.itemsize:
        box = read_box(work.shapes[0], blocks[0], work.source_chunks, work.itemsize, room)
        if need(box, box) <= memory_limit:
            return box
        room = room * 3 // 4  # a larger box also keeps more blocks of coarser levels waiting
    return blocks[0]


def _subtrees(
    work: Pass, blocks: tuple[tuple[int, ...], ...], box: tuple[int, ...], workers: int, memory_limit: int
) -> Iterator[tuple[int, ...]]:
    """What a task may do, the best first: boxes that make whole blocks of coarser levels, or one box."""
    # What is in memory is sent as a whole. Enough tasks are left for all workers to end at one time.
    steps: list[tuple[int, ...]] = [box]
    sent = min(_LARGE_MESSAGE, memory_limit // submitted(work, workers))
    most = _LARGE_TASK if work.source_chunks else sent

    def is_good(region: tuple[int, ...]) -> bool:
        few = count_boxes(work.shapes[0], region) < _TASKS_PER_WORKER * workers
        return not few and math.prod(region) * work.itemsize <= most

    groups = [] if work.shared_memory else nested_steps([box, *spans(work.shapes, blocks, work.factors)[1:]])
    for group in groups[1:]:
        region = clipped(group, work.shapes[0])
        if not is_good(region):  # part of it then
            for axis in reversed(range(len(box))):
                while steps[-1][axis] < region[axis]:
                    wider = (*steps[-1][:axis], 2 * steps[-1][axis], *steps[-1][axis + 1 :])
                    if not is_good(clipped(wider, work.shapes[0])):
                        break
                    steps.append(clipped(wider, work.shapes[0]))
            break
        steps.append(region)
    yield from reversed(steps)


def _slot(work: Pass, blocks: tuple[tuple[int, ...], ...], task: tuple[int, ...]) -> int:
    """Voxels that go to another process with a task, and come back as parts of blocks that it left open."""
    sent = math.prod(task) if work.source_chunks is None else 0
    left = math.prod(task)
    covered = spans(work.shapes, blocks, work.factors)
    for k in range(1, len(blocks)):
        left //= math.prod(work.factors[k])
        if any(
            size % span and size < n for size, span, n in zip(task, covered[k], work.shapes[0], strict=True)
        ):
            return sent + left
    return sent


def _memory_of(
    work: Pass,
    blocks: tuple[tuple[int, ...], ...],
    tasks: int,
    per_process: int,
    box: tuple[int, ...],
    task: tuple[int, ...],
) -> int:
    """Bytes of all buffers of the engine at their worst, besides a box that threads read."""
    # In other processes a task has open blocks of its own, and what was sent to it; here the blocks wait that
    # tasks left open, and what goes to them and comes back.
    if work.shared_memory:
        return (tasks * _held(work, blocks, box) + _waiting(work, blocks, box, tasks)) * work.itemsize
    slot = _slot(work, blocks, task)
    there = per_process * (_held(work, blocks, box) + _waiting(work, blocks, box, 0) + slot)
    here = _left_open(work, blocks, task, window(work, tasks)) + submitted(work, tasks) * slot
    return max(here, there) * work.itemsize


def _held(work: Pass, blocks: tuple[tuple[int, ...], ...], box: tuple[int, ...]) -> int:
    """Voxels that a running task holds: its block, what it makes of it, a write unit as it is and encoded."""
    large = box != blocks[0]
    sizes = [math.prod(block) for block in blocks]
    first = math.prod(box) if large and not work.shared_memory else sizes[0]
    made, most = 0, 0
    for k in reversed(range(len(blocks))):
        size = first if k == 0 else sizes[k]
        made = (size + made) // math.prod(work.factors[k + 1]) if k + 1 < len(blocks) else 0
        # The block of a coarser level is counted among those that wait.
        most = max(most, made + (size if k == 0 else 0))
    return most + (3 if work.whole_shards else 2) * work.unit_nbytes // work.itemsize


def _waiting(work: Pass, blocks: tuple[tuple[int, ...], ...], box: tuple[int, ...], tasks: int) -> int:
    """Voxels of blocks of coarser levels that wait until all of their parts are there."""
    # As many as one box reaches into, and one more for every task that is late.
    covered = spans(work.shapes, blocks, work.factors)
    groups = nested_steps([box, *covered[1:]])
    waiting = 0
    for k in range(1, len(blocks)):
        at_once = count_boxes(clipped(groups[k], work.shapes[0]), covered[k])
        waiting += min(count_boxes(work.shapes[k], blocks[k]), at_once + tasks + 1) * math.prod(blocks[k])
    return waiting


def submitted(work: Pass, tasks: int) -> int:
    """How many tasks are submitted where so many run at once, so that nobody idles."""
    # Where each takes the time to copy its voxels, two workers that end together both need one that waits.
    is_sent = not work.shared_memory and work.source_chunks is None
    return tasks + (min(tasks, 2) if is_sent else 1)


def window(work: Pass, tasks: int) -> int:
    """How many tasks of level 0, one after the other, may be begun before the first of them is done."""
    # Those that come later reach into other blocks, which wait: so how many do is not left to chance.
    return submitted(work, tasks) + tasks + 1


def _left_open(work: Pass, blocks: tuple[tuple[int, ...], ...], task: tuple[int, ...], count: int) -> int:
    """Voxels of the blocks of coarser levels that so many tasks, one after the other, leave open."""
    covered = spans(work.shapes, blocks, work.factors)
    groups = nested_steps([task, *covered[1:]])
    waiting = 0
    for k in range(1, len(blocks)):
        group = clipped(groups[k], work.shapes[0])
        blocks_each, tasks_each = count_boxes(group, covered[k]), count_boxes(group, task)
        if tasks_each > 1 or blocks_each > count_boxes(task, covered[k]):
            at_once = (-(-count // tasks_each) + 1) * blocks_each
            waiting += min(count_boxes(work.shapes[k], blocks[k]), at_once) * math.prod(blocks[k])
    return waiting


def iter_tasks(work: Pass, cut: Cut) -> Iterator[Box]:
    """What tasks in other processes do, depth first. Lazy."""
    return depth_first(work.shapes[0], [cut.task, *spans(work.shapes, cut.blocks, work.factors)[1:]])


def iter_boxes(work: Pass, cut: Cut, region: Box | None = None) -> Iterator[Box]:
    """What to read, one box after the other, depth first: those of one coarse block together. Lazy."""
    return depth_first(region or work.shapes[0], [cut.box, *spans(work.shapes, cut.blocks, work.factors)[1:]])


def iter_blocks(work: Pass, cut: Cut, box: Box) -> Iterator[Box]:
    """The blocks of one box, in the same order."""
    steps = [cut.blocks[0], *spans(work.shapes, cut.blocks, work.factors)[1:]]
    return depth_first(box, steps)
