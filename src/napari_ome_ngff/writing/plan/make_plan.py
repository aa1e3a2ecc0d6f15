"""What will be written, before anything is: levels, chunks, files, bytes and memory. Pure.

The plan of an image of any size costs a few kilobytes: blocks are counted here, and listed only while they
are written.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_ome_ngff.errors import OptionError
from napari_ome_ngff.metadata.nouns import Axis, Level
from napari_ome_ngff.metadata.transforms import METHODS, coarser
from napari_ome_ngff.writing.plan.levels import (
    choose_chunks,
    choose_factors,
    choose_shards,
    for_each_axis,
    level_path,
)
from napari_ome_ngff.writing.plan.options import Factors, SaveOptions
from napari_ome_ngff.writing.plan.tasks import Cut, Pass, cut_pass
from napari_ome_ngff.writing.plan.write_plan import LevelPlan, MultiscalePlan

Shape = tuple[int, ...]


def plan_multiscale(
    *,
    path: str = "",
    name: str = "image",
    axes: Sequence[Axis],
    given: Sequence[Level],
    shapes: Sequence[Shape],
    dtype: np.dtype[np.generic],
    source_chunks: Sequence[Shape | None],
    method: str | None,
    levels: int | None = None,
    factors: Factors = None,
    options: SaveOptions,
) -> MultiscalePlan:
    """Plan a multiscale of `given` levels, finest first; only the finest is given if others are made of it.

    `method` says how, and is None if all levels are given and copied as they are. `source_chunks` are what a
    lazy source decodes at once, None for one in memory; `levels` and `factors` are those of `choose_factors`.
    Refused if a block needs more than the memory limit.
    """
    steps = [(1,) * len(axes)] * len(given)
    if method is not None:
        given, shapes, steps = _made(axes, given[0], shapes[0], dtype, method, levels, factors)
    plans = _levels(axes, given, shapes, steps, dtype, options)
    sources = [(plan,) for plan in plans] if method is None else [plans]
    passes = tuple(
        _pass(made, dtype, chunks, options) for made, chunks in zip(sources, source_chunks, strict=True)
    )
    return MultiscalePlan(
        path=path,
        name=name,
        dims=tuple(axis.name for axis in axes),
        units=tuple(axis.unit for axis in axes),
        dtype=dtype.str,
        method=method,
        levels=plans,
        passes=passes,
        cuts=tuple(_cut(work, options, path) for work in passes),
    )


def _made(
    axes: Sequence[Axis],
    finest: Level,
    shape: Shape,
    dtype: np.dtype[np.generic],
    method: str,
    count: int | None,
    factors: Factors,
) -> tuple[list[Level], list[Shape], list[Shape]]:
    """The levels that are made of the finest one, itself included: with their shapes and factors."""
    if method not in METHODS:
        raise OptionError(f"There is no method {method!r}.", expected="one of " + ", ".join(METHODS))
    if method == "mean" and dtype.kind not in "biufc":
        raise OptionError(f"Data of type {dtype} have no mean.", hint='Use the method "nearest".')
    steps = choose_factors(axes, shape, finest.transform.scale, levels=count, factors=factors)
    made, shapes = [finest], [shape]
    for i, step in enumerate(steps, start=1):
        transform = coarser(made[-1].transform, step, method)
        made.append(Level(path=level_path(finest.path, i), transform=transform))
        shapes.append(tuple(n // f for n, f in zip(shapes[-1], step, strict=True)))
    return made, shapes, [(1,) * len(axes), *steps]


def _levels(
    axes: Sequence[Axis],
    levels: Sequence[Level],
    shapes: Sequence[Shape],
    steps: Sequence[Shape],
    dtype: np.dtype[np.generic],
    options: SaveOptions,
) -> tuple[LevelPlan, ...]:
    if 0 in shapes[0]:
        raise OptionError("An image without voxels cannot be written.", found=f"shape {shapes[0]}")
    asked, shards_asked = for_each_axis(options.chunks, axes), for_each_axis(options.shards, axes)
    chunks = choose_chunks(asked, shapes, axes, dtype.itemsize)
    shards = choose_shards(shards_asked, asked, shapes, chunks, dtype.itemsize)
    return tuple(
        LevelPlan(
            path=level.path,
            transform=level.transform,
            shape=tuple(shape),
            chunks=chunk,
            shards=shard,
            factors=tuple(step),
        )
        for level, shape, step, chunk, shard in zip(levels, shapes, steps, chunks, shards, strict=True)
    )


def _pass(
    levels: Sequence[LevelPlan],
    dtype: np.dtype[np.generic],
    source_chunks: Shape | None,
    options: SaveOptions,
) -> Pass:
    append = options.append_shards and options.shared_memory
    return Pass(
        shapes=tuple(level.shape for level in levels),
        units=tuple(level.chunks if append else level.write_unit for level in levels),
        factors=tuple(level.factors for level in levels),
        itemsize=dtype.itemsize,
        source_chunks=source_chunks,
        whole_shards=options.shards is not None and not append,
        shared_memory=options.shared_memory,
    )


def _cut(work: Pass, options: SaveOptions, path: str) -> Cut:
    cut = cut_pass(
        work,
        workers=options.workers,
        memory_limit=options.memory_limit,
        per_process=options.per_process,
    )
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
