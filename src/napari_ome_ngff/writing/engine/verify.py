"""Read back what was written and compare it with the source, voxel by voxel, before it is published."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_ome_ngff.writing.blocks import Box, count_boxes, shape_of
from napari_ome_ngff.writing.engine.cascade import Finished, PassJob, blocks_in
from napari_ome_ngff.writing.engine.executors import Done
from napari_ome_ngff.writing.refusals import differs, failing


def compare(job: PassJob, level: int, region: Box, data: Any) -> Finished:
    """Compare blocks of a stored array with what they should hold; NaN is the same as NaN."""
    array, blocks = job.writers[level].array, 0
    for block, wanted in blocks_in(job, level, region, data):
        with failing("Reading back what was written failed", job.where):
            stored = np.asarray(array[block])
            same = (
                stored.shape == wanted.shape
                and ((stored == wanted) | ((stored != stored) & (wanted != wanted))).all()
            )
        if not same:
            place = ", ".join(f"{part.start}:{part.stop}" for part in block)
            raise differs(job.where, f"a difference at {place}")
        blocks += count_boxes(shape_of(block), job.cut.blocks[level])
    return Finished(Done(blocks, 0), [], [])
