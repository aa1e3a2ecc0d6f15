"""Whether a save may not fit on the disk: what it takes uncompressed, and what is free."""

from __future__ import annotations

import math
import os
import shutil
from os import PathLike
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_ome_ngff.writing.blocks import count_boxes
from napari_ome_ngff.writing.plan.write_plan import MultiscalePlan, WritePlan
from napari_ome_ngff.writing.target import is_archive, local_root

if TYPE_CHECKING:
    from zarr.abc.store import Store


class Space(NamedTuple):
    """Bytes of a disk: what a save takes at most, and what is free; None if the target is no local folder."""

    needed: int
    free: int | None


def space_for(plan: WritePlan, store: Store | str | PathLike[str]) -> Space:
    """Compare what a save takes if nothing can be compressed with what is free.

    An image that is replaced stays until the new one is complete, so its space does not count as free.
    """
    needed = sum(map(_stored_at_most, plan.multiscales)) + plan.tables_nbytes
    if is_archive(store):  # packing holds one part twice
        needed += max(map(_largest_file, plan.multiscales))
    root = local_root(store)
    if root is None:
        return Space(needed, None)
    existing = next(folder for folder in (root, *root.parents) if os.path.isdir(folder))
    return Space(needed, shutil.disk_usage(existing).free)


def _stored_at_most(plan: MultiscalePlan) -> int:
    """Bytes of all chunks, uncompressed; those at the far edges are stored whole."""
    itemsize = np.dtype(plan.dtype).itemsize
    return itemsize * sum(
        count_boxes(level.shape, level.chunks) * math.prod(level.chunks) for level in plan.levels
    )


def _largest_file(plan: MultiscalePlan) -> int:
    return np.dtype(plan.dtype).itemsize * max(math.prod(level.write_unit) for level in plan.levels)
