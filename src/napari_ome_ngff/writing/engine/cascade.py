"""The engine: every source voxel is read once, and each level is written as its blocks complete.

A task reduces one block while it is in the processor's cache, encodes and stores it, and goes on with the
result if that is a whole block of the next level; otherwise the result is pasted into that level's open
block, which becomes a task of its own once it is complete. Nothing that was written is read again, and every
chunk or shard is written by one task, once.
"""

from __future__ import annotations

import ctypes
import math
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_ome_ngff.errors import StorageError
from napari_ome_ngff.writing.blocks import Box, cells, count_boxes, relative, shape_of, split_for_loading
from napari_ome_ngff.writing.engine.encode import UnitWriter, write_units
from napari_ome_ngff.writing.engine.executors import Done, cancel_and_wait
from napari_ome_ngff.writing.engine.reduce import reduce_block
from napari_ome_ngff.writing.engine.seen_values import Glance, Sampling, SeenValues
from napari_ome_ngff.writing.plan.tasks import PARTS_PER_TASK, Cut, Pass, iter_blocks, iter_boxes
from napari_ome_ngff.writing.refusals import failing
from napari_ome_ngff.writing.sources import Tiles, as_declared, check_complete, load, load_into, part_of

_LARGE_BOX = 2**25
"""Bytes of a box from which on it is worth some milliseconds to tidy up after it was read."""


class Scratch:
    """Memory of each thread that is used again for every block: fresh memory costs a fault for every page."""

    def __init__(self) -> None:
        self._local = threading.local()

    def __reduce__(self) -> tuple[object, ...]:
        return Scratch, ()

    def room_for(self, values: NDArray[Any]) -> NDArray[Any] | None:
        """An array for a copy in one piece, if these are in several; valid until this thread asks again."""
        if values.flags.c_contiguous:
            return None
        memory = getattr(self._local, "memory", None)
        if memory is None or memory.nbytes < values.nbytes:
            memory = self._local.memory = np.empty(values.nbytes, np.uint8)
        return memory[: values.nbytes].view(values.dtype).reshape(values.shape)


def keep_freed_memory(nbytes: int) -> None:
    """Have buffers of up to this size made from memory that was freed, not from fresh pages each time."""
    # What codecs return is a new buffer for every chunk. glibc takes it from the system, which clears each of
    # its pages on a fault, until a buffer of that size was freed once. Others do not mind.
    np.empty(nbytes, np.uint8)


def give_back_freed_memory() -> None:
    """Have the C library return to the system what reading a source has freed.

    glibc keeps some for each thread that decoded or encoded a chunk, up to 100 MB in all. Others do not.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


@dataclass(frozen=True, kw_only=True)
class PassJob:
    """What every task of one pass needs to know; small, and sent to other processes with each task."""

    work: Pass
    cut: Cut
    writers: tuple[UnitWriter, ...]  # of each level
    method: str
    where: str  # path or URL of the image, for errors
    sampling: Sampling | None = None  # of level 0, if its values are asked for
    scratch: Scratch = field(default_factory=Scratch)


class Finished(NamedTuple):
    """What a task has written, what it leaves for the next level, and what it saw of level 0."""

    done: Done
    left: LevelPart | None
    seen: list[Glance]


class LevelPart(NamedTuple):
    """A region of a level and its voxels, in memory or lazy: the work of a task, or what one leaves over."""

    level: int
    region: Box
    data: Any


def cascade(job: PassJob, level: int, region: Box, data: Any) -> Finished:
    """Write whole blocks of a level, and of the coarser levels as far as they make whole blocks of them."""
    with failing("Reading the image failed", job.where):
        values = load(data, region, job.writers[level].array.dtype)
    done = Done(count_boxes(shape_of(region), job.cut.blocks[0]) if level == 0 else 0, 0)
    seen: list[Glance] = []
    while True:
        copy, coarse = job.scratch.room_for(values), None
        if level + 1 < len(job.work.shapes):
            factors = job.work.factors[level + 1]
            coarse = reduce_block(values, factors, job.method, copy=copy)
        elif copy is not None:
            copy[...] = values
        whole = values if copy is None else copy
        if level == 0 and job.sampling is not None:  # in one piece, and in the cache
            seen = job.sampling.look(whole, region)
        with failing("Writing failed", job.where):
            write_units(job.writers[level], region, whole)
        done = Done(done.blocks, done.nbytes + values.nbytes)
        if coarse is None:
            return Finished(done, None, seen)
        level, values = level + 1, coarse
        region = tuple(
            slice(part.start // f, part.start // f + size)
            for part, f, size in zip(region, factors, values.shape, strict=True)
        )
        if values.size == 0:
            return Finished(done, None, seen)
        if not _is_whole(region, job.cut.blocks[level], job.work.shapes[level]):
            return Finished(done, LevelPart(level, region, values), seen)


def _is_whole(region: Box, block: Iterable[int], shape: Iterable[int]) -> bool:
    return all(
        part.start % size == 0 and (part.stop % size == 0 or part.stop == n)
        for part, size, n in zip(region, block, shape, strict=True)
    )


class Engine:
    """Runs the tasks of one pass on an executor, a bounded number at a time, and keeps the open blocks."""

    def __init__(self, job: PassJob, executor: Executor, seen: SeenValues | None = None) -> None:
        self.job = job
        self.seen = seen
        self.executor = executor
        self.pending: set[Future[Any]] = set()
        self.nbytes = 0  # written
        self.ready: deque[LevelPart] = deque()
        self.open: dict[tuple[int, ...], tuple[NDArray[Any], list[int]]] = {}

    def run(self, calls: Iterable[LevelPart]) -> Iterator[Done]:
        """Run tasks, and those that follow from them, to the end; yields once per finished task."""
        queue = iter(calls)
        while self._fill(queue):
            finished, self.pending = wait(self.pending, return_when=FIRST_COMPLETED)
            for future in finished:
                with failing("A task failed", self.job.where):
                    done, piece, glances = future.result()
                    done = Done(*map(int, done))
                    if self.seen is not None:
                        self.seen.add(glances)
                    if piece is not None:
                        self._paste(LevelPart(*piece))
                self.nbytes += done.nbytes
                yield done

    def load(self, source: Any, box: Box, tiles: Tiles, parts: Iterable[Box]) -> None:
        """Read a box of a lazy source into memory, in parts at the same time."""
        for part in parts:
            self._submit(load_into, tiles, relative(part, box), part_of(source, part, remote=False))
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

    def _fill(self, queue: Iterator[LevelPart]) -> bool:
        """Submit tasks up to the limit, coarse blocks first: they hold memory. False when all is done."""
        while len(self.pending) <= self.job.cut.tasks:  # one waits, so that nobody idles
            call = self.ready.popleft() if self.ready else next(queue, None)
            if call is None:
                break
            self._submit(cascade, self.job, *call)
        return bool(self.pending)

    def _submit(self, task: Any, *arguments: Any) -> None:
        with failing("A task could not be started", self.job.where):
            self.pending.add(self.executor.submit(task, *arguments))

    def _paste(self, piece: LevelPart) -> None:
        """Put voxels into their blocks; a block that is complete becomes a task."""
        level, region, values_left = piece
        data = as_declared(np.asarray(values_left), region, self.job.writers[level].array.dtype)
        steps, shape = self.job.cut.blocks[level], self.job.work.shapes[level]
        for index, common in cells(region, steps):
            block = tuple(
                slice(i * step, min((i + 1) * step, n))
                for i, step, n in zip(index, steps, shape, strict=True)
            )
            key = (level, *index)
            if key not in self.open:
                values = np.empty(shape_of(block), data.dtype)
                self.open[key] = values, [values.size]
            values, missing = self.open[key]
            part = values[relative(common, block)]
            part[...] = data[relative(common, region)]
            missing[0] -= part.size
            if missing[0] == 0:
                del self.open[key]
                self.ready.append(LevelPart(level, block, values))


def run_pass(job: PassJob, source: Any, executor: Executor, seen: SeenValues | None = None) -> Iterator[Done]:
    """Read a source, an xarray ``Variable``, box by box and write all levels that are made of it.

    Yields once per finished task. `seen` takes what the values of level 0 are.
    """
    work, cut = job.work, job.cut
    keep_freed_memory(max(math.prod(block) for block in cut.blocks) * work.itemsize + 2**16)
    job = job if seen is None else replace(job, sampling=seen.sampling)
    engine = Engine(job, executor, seen)
    large = cut.box != cut.blocks[0]
    try:
        if work.source_chunks is None or not large or not work.shared_memory:
            yield from engine.run(
                LevelPart(0, box, part_of(source, box, remote=not work.shared_memory))
                for box in iter_boxes(work, cut)
            )
        else:
            memory = np.empty(math.prod(cut.box) * work.itemsize, np.uint8)
            for box in iter_boxes(work, cut):
                tiles = Tiles(memory, source.dtype, box, iter_blocks(work, cut, box), cut.blocks[0])
                parts = split_for_loading(box, work.source_chunks, PARTS_PER_TASK * cut.tasks)
                engine.load(source, box, tiles, parts)
                if memory.nbytes >= _LARGE_BOX:
                    give_back_freed_memory()
                yield from engine.run(LevelPart(0, block, values) for block, values in tiles.blocks)
        engine.check_complete()
    finally:
        engine.stop()
