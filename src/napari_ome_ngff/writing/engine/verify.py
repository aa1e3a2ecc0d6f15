"""Read back what was written and compare it with the source, voxel by voxel, before it is published."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ome_ngff.writing.blocks import Box, relative
from napari_ome_ngff.writing.engine.executors import Done, run_in_order
from napari_ome_ngff.writing.plan.tasks import Cut, Pass, iter_blocks, iter_boxes
from napari_ome_ngff.writing.refusals import differs, failing
from napari_ome_ngff.writing.sources import load, part_of

if TYPE_CHECKING:
    import zarr


def verify_pass(
    work: Pass, cut: Cut, array: zarr.Array[Any], source: Any, executor: Executor, where: str
) -> Iterator[Done]:
    """Compare the stored first level of a pass with its source, an xarray ``Variable`` that is read again.

    Yields once per block.
    """
    calls = ((array, block, part, where) for block, part in _parts(work, cut, source, where))
    yield from run_in_order(compare_block, calls, executor, cut.tasks, where)


def _parts(work: Pass, cut: Cut, source: Any, where: str) -> Iterator[tuple[Box, Any]]:
    """Yield each block and what it should hold; a lazy source is read in the boxes that suit it."""
    for box in iter_boxes(work, cut):
        values: Any = None
        if cut.box != cut.blocks[0] and work.shared_memory:
            with failing("Reading the image again failed", where):
                values = np.asarray(source[box].values)
        for block in iter_blocks(work, cut, box):
            if values is None:
                yield block, part_of(source, block, remote=not work.shared_memory)
            else:
                yield block, values[relative(block, box)]


def compare_block(array: zarr.Array[Any], block: Box, source: Any, where: str) -> Done:
    """Compare a block of a stored array with what it should hold; NaN is the same as NaN."""
    with failing("Reading back what was written failed", where):
        stored, wanted = np.asarray(array[block]), load(source, block, array.dtype)
        same = (
            stored.shape == wanted.shape
            and ((stored == wanted) | ((stored != stored) & (wanted != wanted))).all()
        )
    if not same:
        raise differs(where, "a difference at " + ", ".join(f"{part.start}:{part.stop}" for part in block))
    return Done(1, 0)
