"""What will be written, before anything is: levels, chunks, files, bytes and memory. Pure.

The plan of an image of any size costs a few kilobytes: blocks are counted here, and listed only while they
are written.
"""

from __future__ import annotations

from collections.abc import Sequence

from napari_ome_ngff.errors import OptionError
from napari_ome_ngff.metadata.transforms import level_translation
from napari_ome_ngff.metadata.versions import check_version
from napari_ome_ngff.writing.plan.levels import (
    Factors,
    choose_chunks,
    choose_factors,
    choose_shards,
    level_path,
)
from napari_ome_ngff.writing.plan.tasks import Cut, Pass, cut_pass
from napari_ome_ngff.writing.plan.write_plan import METHODS, Grid, LevelPlan, MultiscalePlan, Options


def plan_multiscale(
    *,
    path: str = "",
    name: str = "image",
    dims: Sequence[str],
    types: Sequence[str | None],
    units: Sequence[str | None],
    finest: Grid,
    method: str,
    levels: int | None = None,
    factors: Factors = None,
    options: Options,
) -> MultiscalePlan:
    """Plan a multiscale whose levels are made of the finest one.

    Parameters
    ----------
    path, name
        In the hierarchy, and what it is called.
    dims, types, units
        Name, type and unit of each axis.
    finest
        Level 0.
    method
        ``"mean"`` for images, ``"nearest"`` or ``"mode"`` for labels.
    levels, factors
        As for :func:`napari_ome_ngff.writing.plan.levels.choose_factors`.
    options
        How to store it.

    Raises
    ------
    OptionError
        If an option cannot be, or if one block needs more than ``options.memory_limit``.

    Examples
    --------
    >>> import numpy as np
    >>> grid = Grid(
    ...     path="0",
    ...     shape=(64, 2048, 2048),
    ...     dtype=np.dtype("uint16"),
    ...     scale=(1.0, 0.25, 0.25),
    ...     translation=(0.0, 0.0, 0.0),
    ... )
    >>> plan = plan_multiscale(
    ...     dims=("z", "y", "x"),
    ...     types=("space",) * 3,
    ...     units=(None,) * 3,
    ...     finest=grid,
    ...     method="mean",
    ...     options=Options(),
    ... )
    >>> [level.shape for level in plan.levels]
    [(64, 2048, 2048), (64, 1024, 1024), (64, 512, 512)]
    >>> plan.levels[2].translation
    (0.0, 0.375, 0.375)
    """
    if method not in METHODS:
        raise OptionError(f"There is no method {method!r}.", expected="one of " + ", ".join(METHODS))
    if method == "mean" and finest.dtype.kind not in "biufc":
        raise OptionError(f"Data of type {finest.dtype} have no mean.", hint='Use the method "nearest".')
    steps = choose_factors(dims, types, finest.shape, finest.scale, levels=levels, factors=factors)
    grids = [finest]
    for i, step in enumerate(steps, start=1):
        grids.append(_coarser(grids[-1], level_path(finest.path, i), step, method))
    plans = _levels(types, grids, [(1,) * len(dims), *steps], options)
    work = _pass(plans, finest, options)
    return MultiscalePlan(
        path=path,
        name=name,
        dims=tuple(dims),
        units=tuple(units),
        dtype=finest.dtype.str,
        method=method,
        levels=plans,
        passes=(work,),
        cuts=(_cut(work, options, path),),
    )


def plan_given_levels(
    *,
    path: str = "",
    name: str = "image",
    dims: Sequence[str],
    types: Sequence[str | None],
    units: Sequence[str | None],
    grids: Sequence[Grid],
    options: Options,
) -> MultiscalePlan:
    """Plan a multiscale whose levels are all given, finest first, and are copied as they are.

    Raises
    ------
    OptionError
        If an option cannot be, or if one block needs more than ``options.memory_limit``.
    """
    ones = (1,) * len(dims)
    plans = _levels(types, grids, [ones] * len(grids), options)
    passes = tuple(_pass((plan,), grid, options) for plan, grid in zip(plans, grids, strict=True))
    return MultiscalePlan(
        path=path,
        name=name,
        dims=tuple(dims),
        units=tuple(units),
        dtype=grids[0].dtype.str,
        method=None,
        levels=plans,
        passes=passes,
        cuts=tuple(_cut(work, options, path) for work in passes),
    )


def _coarser(grid: Grid, path: str, step: Sequence[int], method: str) -> Grid:
    return Grid(
        path=path,
        shape=tuple(n // f for n, f in zip(grid.shape, step, strict=True)),
        dtype=grid.dtype,
        scale=tuple(s * f for s, f in zip(grid.scale, step, strict=True)),
        translation=tuple(
            level_translation(t, s, f, method)
            for t, s, f in zip(grid.translation, grid.scale, step, strict=True)
        ),
    )


def _levels(
    types: Sequence[str | None], grids: Sequence[Grid], steps: Sequence[Sequence[int]], options: Options
) -> tuple[LevelPlan, ...]:
    version = check_version(options.version)
    if options.shards is not None and version.zarr_format == 2:
        raise OptionError(
            f"OME-NGFF {version.name} has no shards.",
            hint="Choose version 0.5 or 0.6, or leave the shards away.",
        )
    finest = grids[0]
    if 0 in finest.shape:
        raise OptionError("An image without voxels cannot be written.", found=f"shape {finest.shape}")
    shapes = [grid.shape for grid in grids]
    itemsize = finest.dtype.itemsize
    chunks = choose_chunks(options.chunks, shapes, types, itemsize)
    shards = choose_shards(options.shards, options.chunks, shapes, chunks, itemsize)
    return tuple(
        LevelPlan(
            path=grid.path,
            shape=grid.shape,
            chunks=chunk,
            shards=shard,
            factors=tuple(step),
            scale=grid.scale,
            translation=grid.translation,
        )
        for grid, step, chunk, shard in zip(grids, steps, chunks, shards, strict=True)
    )


def _pass(levels: Sequence[LevelPlan], source: Grid, options: Options) -> Pass:
    append = options.append_shards and options.shared_memory
    return Pass(
        shapes=tuple(level.shape for level in levels),
        units=tuple(level.chunks if append else level.write_unit for level in levels),
        factors=tuple(level.factors for level in levels),
        itemsize=source.dtype.itemsize,
        source_chunks=source.source_chunks,
        whole_shards=options.shards is not None and not append,
        shared_memory=options.shared_memory,
    )


def _cut(work: Pass, options: Options, path: str) -> Cut:
    cut = cut_pass(work, workers=options.workers, memory_limit=options.memory_limit)
    if cut.memory > options.memory_limit:
        raise OptionError(
            "A single block of this image does not fit in the memory limit.",
            where=path,
            found=f"blocks of {cut.blocks[0]} need {_mebibytes(cut.memory)}",
            expected=f"at most memory_limit, {_mebibytes(options.memory_limit)}",
            hint="Choose smaller chunks or shards, or a higher memory limit.",
        )
    return cut


def _mebibytes(nbytes: int) -> str:
    return f"{-(-nbytes // 2**20)} MiB"
