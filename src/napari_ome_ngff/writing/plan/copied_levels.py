"""Levels that are copied byte for byte: those that are stored already as they are to be stored."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.metadata.versions import check_version
from napari_ome_ngff.storage.places.store_kind import local_folder
from napari_ome_ngff.writing.blocks import clipped
from napari_ome_ngff.writing.plan.array_spec import has_same_storage, spec_like
from napari_ome_ngff.writing.plan.group_documents import join_paths
from napari_ome_ngff.writing.plan.options import SaveOptions
from napari_ome_ngff.writing.plan.tasks import Cut
from napari_ome_ngff.writing.plan.write_plan import Prepared

if TYPE_CHECKING:
    import zarr

_REQUESTS = 16  # under way at once, of one task


def with_copies(
    prepared: tuple[Prepared, ...], specs: Mapping[str, Any], options: SaveOptions
) -> tuple[tuple[Prepared, ...], dict[str, Any]]:
    """Plan to copy the levels that are stored already as they are to be stored; returns both with the copies.

    Where options leave open how (`keep_layout`), a level that is a whole Zarr array of the right format
    stays stored as it is. `specs` has the pydantic-zarr model of every array by its path in the hierarchy.
    """
    planned, changed = [], dict(specs)
    for one in prepared:
        plan = one.plan
        levels, cuts = list(plan.levels), list(plan.cuts)
        for i, (level, array) in enumerate(zip(levels, one.stored, strict=False)):
            # A level that others are made of has to be read in any case.
            if array is None or len(plan.passes) != len(levels):
                continue
            key = join_paths(plan.path, level.path)
            same_format = array.metadata.zarr_format == check_version(options.version).zarr_format
            # Where there have to be shards, in a single file, those that are there will do.
            if options.keep_layout and same_format and (options.shards is None or array.shards is not None):
                changed[key] = spec_like(array, plan.dims)
            if has_same_storage(changed[key], array):
                levels[i] = replace(level, chunks=array.chunks, shards=array.shards, copied=True)
                cuts[i] = _cut(array, options)
        copied = replace(plan, levels=tuple(levels), cuts=tuple(cuts))
        planned.append(replace(one, plan=copied))
    return tuple(planned), changed


def _cut(array: zarr.Array[Any], options: SaveOptions) -> Cut:
    unit = array.shards or array.chunks
    local = options.local and local_folder(array.store) is not None
    memory = 0 if local else options.workers * requests(array, options) * object_bytes(array)
    block = clipped(unit, array.shape)
    return Cut(
        blocks=(block,),
        box=block,
        task=block,
        tasks=options.workers,
        memory=memory,
        slot=0,
        reading=0,
        decodes=0.0,
    )


def requests(array: zarr.Array[Any], options: SaveOptions) -> int:
    """How many stored objects one task may hold at once, where they have to pass through memory."""
    return max(1, min(_REQUESTS, options.memory_limit // (options.workers * object_bytes(array))))


def object_bytes(array: zarr.Array[Any]) -> int:
    """Bytes of a chunk or shard of an array, decoded."""
    return math.prod(array.shards or array.chunks) * int(array.dtype.itemsize)
