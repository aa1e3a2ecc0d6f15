"""Plans of images that nobody has here: what they take does not depend on how many blocks there are."""

from __future__ import annotations

import itertools
import math
import random
import tracemalloc
from collections import deque
from typing import Any

import pytest

from napari_ome_ngff.writing.blocks import Box, shape_of
from napari_ome_ngff.writing.plan.tasks import Cut, Pass, iter_blocks, iter_boxes
from napari_ome_ngff.writing.plan.write_plan import MultiscalePlan
from tests.writing.test_plan import plan

MEBIBYTE = 2**20


def walk(image: MultiscalePlan, most: int) -> int:
    """How many blocks are met, of the first so many."""
    work, cut = image.passes[0], image.cuts[0]
    blocks = (block for box in iter_boxes(work, cut) for block in iter_blocks(work, cut, box))
    return sum(1 for _ in itertools.islice(blocks, most))


def peak_of(side: int, times: int) -> tuple[int, int]:
    """Blocks of an image of so many volumes, and the memory of planning them and of meeting 2000."""
    tracemalloc.start()
    image = plan((times, 400, side, side), dims="tzyx", source_chunks=(1, 1, 1024, 1024), workers=8)
    assert walk(image, 2000) >= 400
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return image.n_tasks, peak


def test_ten_million_blocks_take_the_memory_of_a_thousand() -> None:
    peak_of(1024, 1)  # whatever is remembered of a first time
    small, large = peak_of(1024, 2), peak_of(16384, 100)
    assert small[0] < 2000
    assert large[0] > 10_000_000
    assert large[1] < small[1] + MEBIBYTE // 4
    assert large[1] < MEBIBYTE


class Simulation:
    """The open blocks of a save, voxels left out: what the engine pastes where, and what it takes."""

    def __init__(self, work: Pass, cut: Cut) -> None:
        self.work, self.cut = work, cut
        self.open: dict[tuple[int, ...], int] = {}
        self.peak = 0
        self.written = 0

    def task(self, level: int, region: Box) -> tuple[int, Box] | None:
        """What is left for the next level after a task has written a region, as `cascade.cascade` does."""
        while True:
            self.written += math.prod(shape_of(region))
            level += 1
            if level == len(self.work.shapes):
                return None
            factors, shape = self.work.factors[level], self.work.shapes[level]
            region = tuple(
                slice(part.start // f, part.start // f + (part.stop - part.start) // f)
                for part, f in zip(region, factors, strict=True)
            )
            if 0 in shape_of(region):
                return None
            block = self.cut.blocks[level]
            if not all(
                part.start % size == 0 and (part.stop % size == 0 or part.stop == n)
                for part, size, n in zip(region, block, shape, strict=True)
            ):
                return level, region

    def paste(self, level: int, region: Box) -> list[tuple[int, Box]]:
        """Put a piece into its open blocks; those that are complete are tasks."""
        steps, shape, ready = self.cut.blocks[level], self.work.shapes[level], []
        for index in itertools.product(
            *(range(p.start // s, -(-p.stop // s)) for p, s in zip(region, steps, strict=True))
        ):
            block = tuple(
                slice(i * s, min((i + 1) * s, n)) for i, s, n in zip(index, steps, shape, strict=True)
            )
            common = math.prod(
                min(a.stop, b.stop) - max(a.start, b.start) for a, b in zip(block, region, strict=True)
            )
            key = (level, *index)
            self.open[key] = self.open.get(key, math.prod(shape_of(block))) - common
            sizes = (math.prod(self.cut.blocks[key[0]]) for key in self.open)
            self.peak = max(self.peak, sum(sizes) * self.work.itemsize)
            if self.open[key] == 0:
                del self.open[key]
                ready.append((level, block))
        return ready

    def run(self, seed: int) -> None:
        """Run all tasks, as many at once as the cut says; they finish in any order."""
        order = random.Random(seed)
        large = self.cut.box != self.cut.blocks[0] and self.work.shared_memory
        for box in iter_boxes(self.work, self.cut):
            calls = iter_blocks(self.work, self.cut, box) if large else iter([box])
            self._run_box(calls, order)
        assert not self.open

    def _run_box(self, calls: Any, order: random.Random) -> None:
        ready: deque[tuple[int, Box]] = deque()
        running: list[tuple[int, Box]] = []
        while True:
            while len(running) <= self.cut.tasks:
                call = ready.popleft() if ready else next(((0, box) for box in calls), None)
                if call is None:
                    break
                running.append(call)
            if not running:
                return
            piece = self.task(*running.pop(order.randrange(len(running))))
            if piece is not None:
                ready.extend(self.paste(*piece))


@pytest.mark.parametrize("planes", [True, False])
@pytest.mark.parametrize("depth", [64, 100, 256])
def test_open_blocks_are_bounded_by_what_the_plan_says(depth: int, planes: bool) -> None:
    """However late tasks finish, and however many blocks there are."""
    bounds = []
    for times in (2, 6):
        image = plan(
            (times, depth, 2048, 2500),
            dims="tzyx",
            factors={"z": 2, "y": 2, "x": 2},
            levels=5,
            source_chunks=(1, 1, 1024, 1024) if planes else None,
            workers=4,
        )
        simulation = Simulation(image.passes[0], image.cuts[0])
        simulation.run(seed=times)
        assert simulation.written == sum(math.prod(level.shape) for level in image.levels)
        assert 0 < simulation.peak < image.memory
        bounds.append(image.memory)
    assert bounds[1] < 1.1 * bounds[0]
