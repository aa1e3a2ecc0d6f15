"""The engine: tasks of one pass on an executor, and what they leave over put together for further tasks."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import replace
from typing import Any

import numpy as np

from napari_ome_ngff.errors import StorageError
from napari_ome_ngff.writing.blocks import Box, relative, shape_of, split_for_loading
from napari_ome_ngff.writing.engine.buffers import LARGE_BOX, give_back_freed_memory, keep_freed_memory
from napari_ome_ngff.writing.engine.cascade import LevelPart, OpenBlocks, PassJob, cascade
from napari_ome_ngff.writing.engine.executors import Done, cancel_and_wait
from napari_ome_ngff.writing.engine.seen_values import SeenValues
from napari_ome_ngff.writing.engine.transfer import Processes, Task, Threads
from napari_ome_ngff.writing.plan.tasks import (
    PARTS_PER_TASK,
    iter_blocks,
    iter_boxes,
    iter_tasks,
    submitted,
    window,
)
from napari_ome_ngff.writing.refusals import failing
from napari_ome_ngff.writing.sources import (
    Tiles,
    as_declared,
    check_complete,
    load_into,
    opened_again,
    part_of,
)


class Engine:
    """Runs the tasks of one pass on an executor, a bounded number at a time, and keeps the open blocks."""

    def __init__(
        self, job: PassJob, executor: Executor, seen: SeenValues | None = None, task: Task = cascade
    ) -> None:
        self.job = job
        self.seen = seen
        self.executor = executor
        self.pending: set[Future[Any]] = set()
        self.nbytes = 0  # written
        self.ready: deque[tuple[int, LevelPart]] = deque()  # with the number of what completed it
        self._numbers: dict[Future[Any], int] = {}  # of what is pending, in the order of level 0
        self._next = 0
        self._window = None if job.work.shared_memory else window(job.work, job.cut.tasks)
        self._at_once = submitted(job.work, job.cut.tasks)
        self.open = OpenBlocks(job.work, job.cut)
        with failing("A task could not be started", job.where):
            self.tasks = (Threads if job.work.shared_memory else Processes)(executor, job, task)

    def run(self, calls: Iterable[LevelPart]) -> Iterator[Done]:
        """Run tasks, and those that follow from them, to the end; yields once per finished task."""
        queue = iter(calls)
        while self._fill(queue):
            finished, self.pending = wait(self.pending, return_when=FIRST_COMPLETED)
            for future in finished:
                number = self._numbers.pop(future)
                with failing("A task failed", self.job.where):
                    done, pieces, glances = self.tasks.finished(future)
                    done = Done(int(done[0]), int(done[1]))
                    if self.seen is not None:
                        self.seen.add(glances)
                    for piece in pieces:
                        self._paste(number, LevelPart(*piece))
                self.nbytes += done.nbytes
                yield done

    def load(self, source: Any, box: Box, tiles: Tiles, parts: Iterable[Box]) -> None:
        """Read a box of a lazy source into memory, in parts at the same time."""
        for part in parts:
            with failing("A task could not be started", self.job.where):
                data = part_of(source, part, remote=False)
                self.pending.add(self.executor.submit(load_into, tiles, relative(part, box), data))
        done, self.pending = wait(self.pending)
        for future in done:
            with failing("Reading the image failed", self.job.where):
                future.result()
        with failing("Reading the image failed", self.job.where):
            check_complete(tiles.sizes, shape_of(box))

    def check_complete(self) -> None:
        """StorageError unless every level was written: an executor may have lost what a task returned."""
        declared = sum(math.prod(shape) for shape in self.job.work.shapes) * self.job.work.itemsize
        if self.nbytes != declared:
            raise StorageError(
                "All tasks have ended, but the levels are not complete.",
                where=self.job.where,
                found=f"{self.nbytes} of {declared} bytes",
            )

    def stop(self) -> None:
        """Wait for what has begun: after this nothing is written any more."""
        cancel_and_wait(self.executor, self.pending)
        self.pending = set()
        self.tasks.close()

    def _fill(self, queue: Iterator[LevelPart]) -> bool:
        """Submit tasks up to the limit, coarse blocks first: they hold memory. False when all is done."""
        call: LevelPart | None
        while len(self.pending) < self._at_once:
            if self.ready:
                number, call = self.ready.popleft()
            else:
                first = min(self._numbers.values(), default=self._next)
                if self._window is not None and self._next - first >= self._window:
                    break
                number, call = self._next, next(queue, None)
                self._next += 1
            if call is None:
                break
            with failing("A task could not be started", self.job.where):
                future = self.tasks.submit(call)
            self.pending.add(future)
            self._numbers[future] = number
        return bool(self.pending)

    def _paste(self, number: int, piece: LevelPart) -> None:
        """Put voxels into their blocks; a block that is complete becomes a task."""
        level, region, values = piece
        data = as_declared(np.asarray(values), region, self.job.writers[level].array.dtype)
        self.ready.extend((number, block) for block in self.open.paste(LevelPart(level, region, data)))


def run_pass(
    job: PassJob,
    source: Any,
    executor: Executor,
    seen: SeenValues | None = None,
    *,
    task: Task = cascade,
) -> Iterator[Done]:
    """Read a source, an xarray ``Variable``, box by box and write all levels that are made of it."""
    # Yields once per finished task, which may do something else too. `seen` takes what level 0 holds.
    work, cut = job.work, job.cut
    keep_freed_memory(max(math.prod(block) for block in cut.blocks) * work.itemsize + 2**16)
    again = None if work.shared_memory else opened_again(source)
    job = replace(job, sampling=None if seen is None else seen.sampling, source=again)
    engine = Engine(job, executor, seen, task)
    try:
        if not work.shared_memory:
            yield from engine.run(
                LevelPart(0, region, None if again is not None else part_of(source, region, remote=True))
                for region in iter_tasks(work, cut)
            )
        elif work.source_chunks is None or cut.box == cut.blocks[0]:
            yield from engine.run(
                LevelPart(0, box, part_of(source, box, remote=False)) for box in iter_boxes(work, cut)
            )
        else:
            memory = np.empty(math.prod(cut.box) * work.itemsize, np.uint8)
            for box in iter_boxes(work, cut):
                tiles = Tiles(memory, source.dtype, box, iter_blocks(work, cut, box), cut.blocks[0])
                parts = split_for_loading(box, work.source_chunks, PARTS_PER_TASK * cut.tasks)
                engine.load(source, box, tiles, parts)
                if memory.nbytes >= LARGE_BOX:
                    give_back_freed_memory()
                yield from engine.run(LevelPart(0, block, values) for block, values in tiles.blocks)
        if task is cascade:
            engine.check_complete()
    finally:
        engine.stop()
