"""Plans of images that nobody has here: what they take does not depend on how many blocks there are."""

from __future__ import annotations

import itertools
import math
import tracemalloc

import pytest

from napari_ome_ngff.writing.plan.tasks import iter_blocks, iter_boxes
from napari_ome_ngff.writing.plan.write_plan import MultiscalePlan
from tests.writing.engine_runs import run_late
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


@pytest.mark.parametrize(
    ("depth", "planes", "threads"),
    [(64, True, True), (100, False, True), (256, True, True), (64, False, False), (100, True, False)],
)
def test_open_blocks_are_bounded_by_what_the_plan_says(depth: int, planes: bool, threads: bool) -> None:
    """However late tasks finish, and however many blocks there are."""
    bounds = []
    for times in (2, 4):
        image = plan(
            (times, depth, 2048, 2500),
            dims="tzyx",
            factors={"z": 2, "y": 2, "x": 2},
            levels=5,
            source_chunks=(1, 1, 1024, 1024) if planes else None,
            workers=4,
            shared_memory=threads,
        )
        work = image.passes[0]
        written, waiting = run_late(work, image.cuts[0], seed=times)
        assert written == sum(math.prod(level.shape) for level in image.levels)
        assert 0 < waiting * work.itemsize < image.memory
        bounds.append(image.memory)
    assert bounds[1] < 1.1 * bounds[0]
