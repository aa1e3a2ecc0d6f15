"""What will be written, before anything is: levels, chunks, files, bytes and memory. Pure.

The plan of an image of any size costs a few kilobytes: blocks are counted here, and listed only while they
are written.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_ome_ngff.errors import OptionError
from napari_ome_ngff.metadata.nouns import Axis, Level, ScaleTranslation
from napari_ome_ngff.metadata.transforms import level_translation
from napari_ome_ngff.writing.plan.levels import choose_chunks, choose_factors, choose_shards, level_path
from napari_ome_ngff.writing.plan.options import Factors, SaveOptions
from napari_ome_ngff.writing.plan.tasks import Cut, Pass, cut_pass
from napari_ome_ngff.writing.plan.write_plan import METHODS, LevelPlan, MultiscalePlan

Shape = tuple[int, ...]


def plan_multiscale(
    *,
    path: str = "",
    name: str = "image",
    axes: Sequence[Axis],
    finest: Level,
    shape: Shape,
    dtype: np.dtype[np.generic],
    source_chunks: Shape | None = None,
    method: str,
    levels: int | None = None,
    factors: Factors = None,
    options: SaveOptions,
) -> MultiscalePlan:
    """Plan a multiscale whose levels are made of the finest one.

    `source_chunks` are what a lazy source decodes at once, None for one in memory; `levels` and `factors` are
    those of `choose_factors`. Refused if a block needs more than the memory limit.
    """
    if method not in METHODS:
        raise OptionError(f"There is no method {method!r}.", expected="one of " + ", ".join(METHODS))
    if method == "mean" and dtype.kind not in "biufc":
        raise OptionError(f"Data of type {dtype} have no mean.", hint='Use the method "nearest".')
    steps = choose_factors(axes, shape, finest.transform.scale, levels=levels, factors=factors)
    given, shapes = [finest], [shape]
    for i, step in enumerate(steps, start=1):
        transform = _coarser(given[-1].transform, step, method)
        given.append(Level(path=level_path(finest.path, i), transform=transform))
        shapes.append(tuple(n // f for n, f in zip(shapes[-1], step, strict=True)))
    plans = _levels(axes, given, shapes, [(1,) * len(axes), *steps], dtype, options)
    work = _pass(plans, dtype, source_chunks, options)
    return _multiscale(path, name, axes, dtype, method, plans, (work,), options)


def plan_given_levels(
    *,
    path: str = "",
    name: str = "image",
    axes: Sequence[Axis],
    levels: Sequence[Level],
    shapes: Sequence[Shape],
    dtype: np.dtype[np.generic],
    source_chunks: Sequence[Shape | None],
    options: SaveOptions,
) -> MultiscalePlan:
    """Plan a multiscale whose levels are all given, finest first, and are copied as they are."""
    ones = (1,) * len(axes)
    plans = _levels(axes, levels, shapes, [ones] * len(levels), dtype, options)
    passes = tuple(
        _pass((plan,), dtype, chunks, options) for plan, chunks in zip(plans, source_chunks, strict=True)
    )
    return _multiscale(path, name, axes, dtype, None, plans, passes, options)


def _multiscale(
    path: str,
    name: str,
    axes: Sequence[Axis],
    dtype: np.dtype[np.generic],
    method: str | None,
    levels: tuple[LevelPlan, ...],
    passes: tuple[Pass, ...],
    options: SaveOptions,
) -> MultiscalePlan:
    return MultiscalePlan(
        path=path,
        name=name,
        dims=tuple(axis.name for axis in axes),
        units=tuple(axis.unit for axis in axes),
        dtype=dtype.str,
        method=method,
        levels=levels,
        passes=passes,
        cuts=tuple(_cut(work, options, path) for work in passes),
    )


def _coarser(transform: ScaleTranslation, step: Sequence[int], method: str) -> ScaleTranslation:
    return ScaleTranslation(
        scale=tuple(s * f for s, f in zip(transform.scale, step, strict=True)),
        translation=tuple(
            level_translation(t, s, f, method)
            for t, s, f in zip(transform.translation, transform.scale, step, strict=True)
        ),
    )


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
    chunks = choose_chunks(options.chunks, shapes, axes, dtype.itemsize)
    shards = choose_shards(options.shards, options.chunks, shapes, chunks, dtype.itemsize)
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
