"""A task: it reduces a block while it is in the cache, stores it, and goes on with the result.

That is pasted into the open block of the next level unless it is a whole one. What is still open at the end
goes back. Nothing that was written is read again, and every chunk or shard is written by one task, once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_ome_ngff.writing.blocks import Box, cells, count_boxes, relative, shape_of
from napari_ome_ngff.writing.engine.buffers import LARGE_BOX, Scratch, give_back_freed_memory
from napari_ome_ngff.writing.engine.encode import UnitWriter, write_units
from napari_ome_ngff.writing.engine.executors import Done
from napari_ome_ngff.writing.engine.reduce import reduce_block
from napari_ome_ngff.writing.engine.seen_values import Glance, Sampling
from napari_ome_ngff.writing.plan.tasks import Cut, Pass, iter_blocks, iter_boxes
from napari_ome_ngff.writing.refusals import failing
from napari_ome_ngff.writing.sources import Tiles, check_complete, load, load_into


@dataclass(frozen=True, kw_only=True)
class PassJob:
    """What every task of one pass needs to know; small, and sent to other processes with each task."""

    work: Pass
    cut: Cut
    writers: tuple[UnitWriter, ...]  # of each level
    method: str
    where: str  # path or URL of the image, for errors
    source: Any = None  # an xarray Variable that tasks in other processes open themselves
    sampling: Sampling | None = None  # of level 0, if its values are asked for
    scratch: Scratch = field(default_factory=Scratch)


class LevelPart(NamedTuple):
    """A region of a level and its voxels, in memory or lazy: the work of a task, or what one leaves over."""

    level: int
    region: Box
    data: Any


class Finished(NamedTuple):
    """What a task has written, what it leaves for the next level, and what it saw of level 0."""

    done: Done
    left: list[LevelPart]
    seen: list[Glance]


class OpenBlocks:
    """Blocks of coarser levels that wait for some of their parts."""

    def __init__(self, work: Pass, cut: Cut) -> None:
        self._work, self._cut = work, cut
        self.blocks: dict[tuple[int, ...], tuple[Box, NDArray[Any], list[Box]]] = {}
        self._missing: dict[tuple[int, ...], int] = {}

    def paste(self, piece: LevelPart) -> Iterator[LevelPart]:
        """Put voxels into their blocks; yields those that are complete."""
        level, region, data = piece
        steps, shape = self._cut.blocks[level], self._work.shapes[level]
        for index, common in cells(region, steps):
            key = (level, *index)
            if key not in self.blocks:
                block = tuple(
                    slice(i * step, min((i + 1) * step, n))
                    for i, step, n in zip(index, steps, shape, strict=True)
                )
                values = np.empty(shape_of(block), data.dtype)
                self.blocks[key] = block, values, []
                self._missing[key] = values.size
            block, values, parts = self.blocks[key]
            part = values[relative(common, block)]
            part[...] = data[relative(common, region)]
            parts.append(common)
            self._missing[key] -= part.size
            if self._missing[key] == 0:
                del self.blocks[key], self._missing[key]
                yield LevelPart(level, block, values)

    def parts(self) -> Iterator[LevelPart]:
        """What was pasted into blocks that are still open: a box of each, since tasks do whole boxes."""
        for key, (block, values, parts) in self.blocks.items():
            hull = tuple(
                slice(min(side.start for side in sides), max(side.stop for side in sides))
                for sides in zip(*parts, strict=True)
            )
            yield LevelPart(key[0], hull, values[relative(hull, block)])


def cascade(job: PassJob, level: int, region: Box, data: Any) -> Finished:
    """Write whole blocks of a level, and of the coarser levels as far as they make whole blocks of them."""
    done, seen, left = Done(0, 0), list[Glance](), list[LevelPart]()
    opened = OpenBlocks(job.work, job.cut)
    for block, values in blocks_in(job, level, region, data):
        parts = [LevelPart(level, block, values)]
        while parts:
            part = parts.pop()
            coarse, glances = _write(job, part)
            seen += glances
            blocks = count_boxes(shape_of(part.region), job.cut.blocks[0]) if part.level == 0 else 0
            done = Done(done.blocks + blocks, done.nbytes + part.data.nbytes)
            if coarse is None:
                continue
            if _is_whole(coarse.region, job.cut.blocks[coarse.level], job.work.shapes[coarse.level]):
                parts.append(coarse)
            elif block == region:
                left.append(coarse)
            else:
                parts += opened.paste(coarse)
    return Finished(done, [*left, *opened.parts()], seen)


def blocks_in(job: PassJob, level: int, region: Box, data: Any) -> Iterator[tuple[Box, NDArray[Any]]]:
    """The blocks of a region, and their voxels; what is not in memory is read box by box."""
    if isinstance(data, Tiles):
        yield from data.blocks
        return
    dtype, cut = job.writers[level].array.dtype, job.cut
    if level or isinstance(data, np.ndarray) or all(map(_fits, shape_of(region), cut.blocks[0])):
        with failing("Reading the image failed", job.where):
            values = load(job.source[region] if data is None else data, region, dtype)
        for block in blocks_of(job, level, region):
            yield block, values[relative(block, region)]
        return
    memory: NDArray[Any] | None = None
    for box in iter_boxes(job.work, cut, region):
        part = job.source[box] if data is None else data[relative(box, region)]
        if memory is None:
            memory = np.empty(math.prod(cut.box) * job.work.itemsize, np.uint8)
        with failing("Reading the image failed", job.where):
            tiles = tiles_of(job, 0, box, memory)
            load_into(tiles, relative(box, box), part)
            check_complete(tiles.sizes, shape_of(box))
        if memory.nbytes >= LARGE_BOX:
            give_back_freed_memory()
        yield from tiles.blocks


def blocks_of(job: PassJob, level: int, region: Box) -> Iterator[Box]:
    """The blocks of a region, depth first; of coarser levels a region is one block."""
    yield from iter_blocks(job.work, job.cut, region) if level == 0 else (region,)


def tiles_of(job: PassJob, level: int, region: Box, memory: NDArray[np.uint8]) -> Tiles:
    """Memory as the blocks of a region, each in one piece."""
    blocks, dtype = blocks_of(job, level, region), job.writers[level].array.dtype
    return Tiles(memory, dtype, region, blocks, job.cut.blocks[level])


def _fits(size: int, block: int) -> bool:
    return size <= block


def _write(job: PassJob, part: LevelPart) -> tuple[LevelPart | None, list[Glance]]:
    """Write a block, and make of it what it is of the next level, if there is one."""
    level, region, values = part
    copy, coarse, seen = job.scratch.room_for(values), None, list[Glance]()
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
    if coarse is None or coarse.size == 0:
        return None, seen
    below = tuple(
        slice(side.start // f, side.start // f + size)
        for side, f, size in zip(region, factors, coarse.shape, strict=True)
    )
    return LevelPart(level + 1, below, coarse), seen


def _is_whole(region: Box, block: Iterable[int], shape: Iterable[int]) -> bool:
    return all(
        part.start % size == 0 and (part.stop % size == 0 or part.stop == n)
        for part, size, n in zip(region, block, shape, strict=True)
    )
