"""Whether a save fits on the disk: known where nothing is compressed, else seen in a few samples."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterator, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from napari_ome_ngff.errors import StorageError
from napari_ome_ngff.writing.blocks import Box, count_boxes
from napari_ome_ngff.writing.engine.cascade import failing
from napari_ome_ngff.writing.plan.group_documents import join_paths
from napari_ome_ngff.writing.plan.prepare import Prepared
from napari_ome_ngff.writing.plan.write_plan import MultiscalePlan, WritePlan
from napari_ome_ngff.writing.sources import load
from napari_ome_ngff.writing.target import is_archive, local_root

if TYPE_CHECKING:
    from zarr.abc.store import Store

SAMPLES = 16
"""Chunks of level 0 that are encoded on trial, if there may not be room for all of them uncompressed."""


class Space(NamedTuple):
    """Bytes of a disk: what a save takes at most, and what is free, or None where nobody can tell."""

    needed: int
    free: int | None


def space_for(plan: WritePlan, store: Store | str | PathLike[str]) -> Space:
    """Say how much space a save takes if nothing can be compressed, and how much there is.

    An image that is replaced stays until the new one is complete, so its space does not count as free.

    Parameters
    ----------
    plan
        What is to be written.
    store
        Where to. Only of a local file system it is known how much is free.

    Examples
    --------
    >>> import numpy, tempfile, xarray
    >>> from napari_ome_ngff.writing.plan.write_plan import MultiscaleSource
    >>> from napari_ome_ngff.writing.write import plan_hierarchy
    >>> image = xarray.DataArray(numpy.ones((1024, 1024), "uint8"), dims=("y", "x"))
    >>> plan = plan_hierarchy(sources={"": MultiscaleSource(image=image)})
    >>> space = space_for(plan, tempfile.gettempdir() + "/a.ome.zarr")
    >>> space.needed, space.free > 0
    (1310720, True)
    """
    needed = sum(map(_stored_at_most, plan.multiscales))
    if is_archive(store):  # while it is packed, one part is there twice
        needed += max(map(_largest_file, plan.multiscales))
    root = local_root(store)
    if root is None:
        return Space(needed, None)
    there = next(folder for folder in (root, *root.parents) if os.path.isdir(folder))
    return Space(needed, shutil.disk_usage(there).free)


def _stored_at_most(plan: MultiscalePlan) -> int:
    """Bytes of all chunks, uncompressed; those at the far edges are stored whole."""
    itemsize = np.dtype(plan.dtype).itemsize
    return itemsize * sum(
        count_boxes(level.shape, level.chunks) * math.prod(level.chunks) for level in plan.levels
    )


def _largest_file(plan: MultiscalePlan) -> int:
    return np.dtype(plan.dtype).itemsize * max(math.prod(level.write_unit) for level in plan.levels)


def check_space(
    plan: WritePlan,
    prepared: tuple[Prepared, ...],
    specs: Mapping[str, Any],
    store: Store | str | PathLike[str],
) -> None:
    """Refuse a save that will not fit on the disk.

    Nothing is read if there is room for all chunks uncompressed. Else a few chunks of level 0 of each image,
    spread over it, are encoded as they would be stored. It is refused only if even the low end of what they
    tell (two standard errors below the mean) does not fit.

    Parameters
    ----------
    plan, prepared
        What is to be written.
    specs
        The pydantic-zarr model of every array by its path.
    store
        Where to.

    Raises
    ------
    StorageError
        If there is not enough space, or the samples cannot be read.
    """
    most, free = space_for(plan, store)
    if free is None or most <= free:
        return
    likely, least, samples = 0.0, 0.0, 0
    for one in prepared:
        spec = specs[join_paths(one.plan.path, one.plan.levels[0].path)]
        with failing("Reading the image failed", str(store)):
            shares = np.array(list(_shares(one, spec)))
        mean, spread = shares.mean(), shares.std() / math.sqrt(shares.size)
        exact = shares.size == count_boxes(one.plan.levels[0].shape, one.plan.levels[0].chunks)
        likely += mean * _stored_at_most(one.plan)
        least += max(0.0, mean - (0 if exact else 2 * spread)) * _stored_at_most(one.plan)
        samples += shares.size
    if least > free:
        raise StorageError(
            f"The disk is too full: about {readable(round(likely))} are needed, {readable(free)} are free.",
            where=str(store),
            found=f"{readable(most)} uncompressed; {samples} chunks that were encoded on trial take"
            f" {likely / most:.0%} of their size",
            hint="Make room, choose another disk, or a stronger compression.",
        )


def _shares(prepared: Prepared, spec: Any) -> Iterator[float]:
    """How much of their size chunks of level 0 take when they are stored."""
    from zarr.core.sync import sync
    from zarr.storage import MemoryStore

    level, source = prepared.plan.levels[0], prepared.inputs[0].variable
    whole = math.prod(level.chunks) * source.dtype.itemsize
    for box in sample_boxes(level.shape, level.chunks):
        store = MemoryStore()
        array = spec.to_zarr(store, "0")
        before = sync(store.getsize_prefix(""))
        array[box] = load(source[box])
        yield (sync(store.getsize_prefix("")) - before) / whole


def sample_boxes(shape: tuple[int, ...], chunks: tuple[int, ...]) -> Iterator[Box]:
    """Yield the regions of some chunks that are spread over an array: one of each part, at random but alike.

    Parameters
    ----------
    shape, chunks
        Of the array.

    Examples
    --------
    >>> list(sample_boxes((5, 4), (3, 4)))
    [(slice(0, 3, None), slice(0, 4, None)), (slice(3, 5, None), slice(0, 4, None))]
    """
    grid = tuple(-(-n // c) for n, c in zip(shape, chunks, strict=True))
    total = math.prod(grid)
    n = min(SAMPLES, total)
    chance = np.random.default_rng(0)
    for i in range(n):
        place = chance.integers(i * total // n, (i + 1) * total // n)
        index = np.unravel_index(int(place), grid)
        yield tuple(
            slice(int(k) * c, min((int(k) + 1) * c, size))
            for k, c, size in zip(index, chunks, shape, strict=True)
        )


def readable(nbytes: int) -> str:
    """Bytes for people.

    Examples
    --------
    >>> readable(1_300_000_000), readable(250_000)
    ('1.3 GB', '0.2 MB')
    """
    unit, size = ("GB", 1e9) if nbytes >= 1e9 else ("MB", 1e6)
    return f"{nbytes / size:.1f} {unit}"
