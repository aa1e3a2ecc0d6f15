"""Plans: levels, chunks, shards and blocks are decided, counted and bounded before anything is written."""

from __future__ import annotations

import itertools
import math
import tracemalloc
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import xarray
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_ome_ngff import MultiscaleSource, plan_hierarchy
from napari_ome_ngff.errors import OptionError
from napari_ome_ngff.metadata.nouns import Axis, Level, ScaleTranslation
from napari_ome_ngff.metadata.transforms import identity
from napari_ome_ngff.writing import blocks as blocks_module
from napari_ome_ngff.writing.blocks import (
    Box,
    cells,
    count_boxes,
    decodes,
    depth_first,
    nested_blocks,
    read_box,
    spans,
    split_for_loading,
)
from napari_ome_ngff.writing.engine.run_pass import run_pass
from napari_ome_ngff.writing.plan.array_spec import auto_chunks
from napari_ome_ngff.writing.plan.levels import choose_chunks, choose_factors, choose_shards
from napari_ome_ngff.writing.plan.make_plan import plan_multiscale
from napari_ome_ngff.writing.plan.options import SaveOptions, StorageOptions
from napari_ome_ngff.writing.plan.tasks import Pass, cut_pass, iter_blocks, iter_boxes
from napari_ome_ngff.writing.plan.write_plan import MultiscalePlan
from tests.writing.engine_runs import counting_writes, job_for

MEBIBYTE = 2**20


def axes(dims: str) -> tuple[Axis, ...]:
    types = {"t": "time", "c": "channel", "q": None}
    return tuple(Axis(name=dim, type=types.get(dim, "space")) for dim in dims)


def plan(
    shape: Sequence[int], *, dims: str = "zyx", dtype: str = "u2", scale: Sequence[float] = (), **options: Any
) -> MultiscalePlan:
    arguments = {key: options.pop(key) for key in ("levels", "factors", "method") if key in options}
    source_chunks = options.pop("source_chunks", None)
    ndim = len(shape)
    transform = ScaleTranslation(scale=tuple(scale) or (1.0,) * ndim, translation=(0.0,) * ndim)
    return plan_multiscale(
        axes=axes(dims),
        given=[Level(path="0", transform=transform)],
        shapes=[tuple(shape)],
        dtype=np.dtype(dtype),
        source_chunks=[source_chunks],
        options=SaveOptions(**options),
        **{"method": "mean", **arguments},
    )


# --- levels


def test_levels_end_where_an_image_can_be_shown_at_once() -> None:
    assert [level.shape for level in plan((100, 4000, 3000)).levels] == [
        (100, 4000, 3000),
        (50, 2000, 1500),
        (25, 1000, 750),
        (12, 500, 375),
    ]
    assert len(plan((512, 512), dims="yx").levels) == 1


def test_the_longest_voxels_wait_for_the_others() -> None:
    levels = plan((64, 2048, 2048), scale=(3.0, 0.5, 0.5), levels=5).levels
    assert [level.factors for level in levels] == [(1, 1, 1), (1, 2, 2), (1, 2, 2), (2, 2, 2), (2, 2, 2)]
    assert [level.transform.scale for level in levels][2:4] == [(3.0, 2.0, 2.0), (6.0, 4.0, 4.0)]


def test_a_single_plane_does_not_keep_the_others_from_being_halved() -> None:
    assert plan((1, 4096, 4096), scale=(1.0, 0.1, 0.1)).levels[-1].shape == (1, 512, 512)


def test_time_and_channels_are_never_made_smaller() -> None:
    levels = plan((600, 600, 1024, 1024), dims="tcyx").levels
    assert [level.shape for level in levels] == [(600, 600, 1024, 1024), (600, 600, 512, 512)]
    for dim in "tc":
        with pytest.raises(OptionError, match="never made smaller"):
            plan((8, 8, 64, 64), dims="tcyx", factors={dim: 2})


def test_a_descending_axis_is_as_good_as_any() -> None:
    levels = plan((64, 64), dims="yx", scale=(-0.5, 0.5), levels=2).levels
    assert levels[1].transform == ScaleTranslation(scale=(-1.0, 1.0), translation=(-0.25, 0.25))


def test_factors_by_dim_for_all_levels_or_for_each() -> None:
    assert plan((64, 64, 64), factors={"x": 4}, levels=3).levels[2].shape == (64, 64, 4)
    shapes = [level.shape for level in plan((9, 9, 9), factors=[{"z": 3}, {"y": 2, "x": 2}]).levels]
    assert shapes == [(9, 9, 9), (3, 9, 9), (3, 4, 4)]


@pytest.mark.parametrize(
    "options",
    [
        {"levels": 0},
        {"levels": 12},
        {"factors": {"w": 2}},
        {"factors": {"x": 0}},
        {"factors": {"x": 1.5}},
        {"factors": [{"x": 2}], "levels": 3},
        {"method": "median"},
        {"chunks": (16, 16)},
        {"chunks": (0, 16, 16)},
        {"chunks": "big"},
        {"shards": (20, 20, 20), "chunks": (16, 16, 16)},
        {"shards": "auto", "version": "0.4"},
        {"version": "0.3"},
        {"memory_limit": 1000},
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        plan((32, 64, 64), **options)


def test_an_image_without_voxels_is_refused() -> None:
    with pytest.raises(OptionError, match="without voxels"):
        plan((0, 64, 64))


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 100_000), min_size=3, max_size=3),
    st.lists(st.sampled_from([0.1, 0.5, 1.0, 7.0]), min_size=3, max_size=3),
)
def test_levels_of_any_image(shape: list[int], scale: list[float]) -> None:
    steps = choose_factors(axes("zyx"), shape, scale)
    size, voxel = np.array(shape), np.array(scale)
    for step in steps:
        assert max(step) == 2
        assert (size >= 4)[np.array(step) == 2].all()
        size, voxel = size // step, voxel * step
        assert size.min() >= 1
    assert len(steps) < 16
    assert len(steps) == 15 or (size <= 512).all() or (size < 4).any()


# --- chunks and shards


def test_chunks_are_cut_to_the_level() -> None:
    assert choose_chunks((16, 64), [(100, 100), (50, 50), (8, 50)], axes("yx"), 1) == (
        (16, 64),
        (16, 50),
        (8, 50),
    )
    per_level = ((16, 16), (8, 8))
    assert choose_chunks(per_level, [(64, 64), (32, 32)], axes("yx"), 1) == per_level


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4", "f8", "c16"])
@pytest.mark.parametrize("shape", [(1, 200, 4096, 4096), (3, 5, 4096, 4096), (2, 64, 8000, 300)])
def test_default_chunks_are_a_few_megabytes(shape: tuple[int, ...], dtype: str) -> None:
    chunks = plan(shape, dims="czyx", dtype=dtype).levels[0].chunks
    assert chunks[0] == 1
    assert MEBIBYTE / 2 <= math.prod(chunks) * np.dtype(dtype).itemsize <= 4 * MEBIBYTE


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 500), min_size=2, max_size=2),
    st.lists(st.integers(1, 64), min_size=2, max_size=2),
    st.lists(st.integers(1, 5), min_size=2, max_size=2),
)
def test_shards_hold_whole_chunks_at_every_level(
    shape: list[int], chunk: list[int], times: list[int]
) -> None:
    shapes = [tuple(shape), tuple(max(1, n // 2) for n in shape)]
    chunks = choose_chunks(tuple(chunk), shapes, axes("yx"), 2)
    wanted = tuple(c * t for c, t in zip(chunk, times, strict=True))
    for size, inner, shard in zip(
        shapes, chunks, choose_shards(wanted, tuple(chunk), shapes, chunks, 2), strict=True
    ):
        assert shard is not None
        assert all(s % c == 0 for s, c in zip(shard, inner, strict=True))
        assert all(s < n + c for s, c, n in zip(shard, inner, size, strict=True))


def test_automatic_shards_are_about_32_mebibytes() -> None:
    level = plan((200, 4096, 4096), shards="auto", memory_limit=2**30).levels[0]
    assert level.shards is not None
    assert 16 * MEBIBYTE <= math.prod(level.shards) * 2 <= 32 * MEBIBYTE


# --- blocks


@st.composite
def passes(draw: st.DrawFn) -> Pass:
    ndim = draw(st.integers(1, 3))

    def sizes(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(low, high)) for _ in range(ndim))

    shapes, factors = [sizes(1, 90)], [(1,) * ndim]
    for _ in range(draw(st.integers(0, 3))):
        step = tuple(min(f, n) for f, n in zip(sizes(1, 3), shapes[-1], strict=True))
        factors.append(step)
        shapes.append(tuple(n // f for n, f in zip(shapes[-1], step, strict=True)))
    chunk = sizes(1, 40)
    return Pass(
        shapes=tuple(shapes),
        units=tuple(tuple(min(c, n) for c, n in zip(chunk, shape, strict=True)) for shape in shapes),
        factors=tuple(factors),
        # Large voxels keep a block from being made of many units.
        itemsize=draw(st.sampled_from([1, 2**12, 2**20])),
        source_chunks=draw(st.none() | st.just(sizes(1, 90))),
        shared_memory=draw(st.booleans()),
    )


def volume(box: Box) -> int:
    return math.prod(part.stop - part.start for part in box)


@settings(deadline=None)
@given(passes())
def test_blocks_nest(work: Pass) -> None:
    blocks = nested_blocks(work.shapes, work.units, work.factors, work.itemsize)
    for k, (shape, block, unit) in enumerate(zip(work.shapes, blocks, work.units, strict=True)):
        for d, (n, b, u) in enumerate(zip(shape, block, unit, strict=True)):
            assert b == n or b % u == 0, "whole write units"
            if k + 1 < len(blocks) and b < n:
                factor, below = work.factors[k + 1][d], blocks[k + 1][d]
                assert b % factor == 0, "whole windows"
                assert below == work.shapes[k + 1][d] or below % (b // factor) == 0, "reductions tile"
            if k + 1 < len(blocks) and b == n:
                assert blocks[k + 1][d] == work.shapes[k + 1][d]


@settings(deadline=None)
@given(passes(), st.integers(0, 2**30))
def test_boxes_and_their_blocks_cover_the_level_once(work: Pass, memory_limit: int) -> None:
    cut = cut_pass(work, workers=2, memory_limit=memory_limit)
    seen = np.zeros(work.shapes[0], int)
    starts = set()
    for box in iter_boxes(work, cut):
        for block in iter_blocks(work, cut, box):
            seen[block] += 1
            starts |= {part.start % size for part, size in zip(block, cut.blocks[0], strict=True)}
    assert (seen == 1).all()
    assert starts == {0}
    assert cut.tasks >= 1


@settings(deadline=None)
@given(passes())
def test_blocks_come_depth_first(work: Pass) -> None:
    """Those of one coarse block come together, so that one of each level is open at a time."""
    blocks = nested_blocks(work.shapes, work.units, work.factors, work.itemsize)
    covered = spans(work.shapes, blocks, work.factors)
    boxes = list(depth_first(work.shapes[0], covered))
    for span in covered:
        owners = [tuple(part.start // size for part, size in zip(box, span, strict=True)) for box in boxes]
        groups = [owner for owner, _ in itertools.groupby(owners)]
        assert len(groups) == len(set(groups))


def test_blocks_boxes_and_cells_of_simple_levels() -> None:
    """What the laws above say, in numbers that can be checked by eye."""
    assert nested_blocks([(4096, 4096), (2048, 2048)], [(1024, 1024)] * 2, [(1, 1), (2, 2)], 1) == (
        (1024, 1024),
        (1024, 1024),
    )
    # Planes of 8 MiB and blocks of 16 planes: 16 planes at once, or a part of them if memory is short.
    planes = (64, 2048, 2048), (16, 256, 256), (1, 2048, 2048), 2
    assert read_box(*planes, 2**28) == (16, 2048, 2048)
    assert read_box(*planes, 2**25) == (16, 512, 2048)
    assert decodes((64, 100), (16, 50), (8, 100)) == 2
    corners = [(y.start, x.start) for y, x in depth_first((2, 4), [(1, 1), (2, 2)])]
    assert corners == [(0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (0, 3), (1, 2), (1, 3)]
    assert spans([(64, 100), (32, 50)], [(16, 50), (16, 50)], [(1, 1), (2, 2)]) == ((16, 50), (32, 100))
    x = slice(0, 100)
    assert [part[0] for part in split_for_loading((slice(0, 16), x), (1, 100), 4)] == [
        slice(0, 4),
        slice(4, 8),
        slice(8, 12),
        slice(12, 16),
    ]
    parts = split_for_loading((slice(5, 20), x), (8, 100), 4)
    assert [part[0] for part in parts] == [slice(5, 8), slice(8, 16), slice(16, 20)]
    assert list(cells((slice(3, 9),), (4,))) == [
        ((0,), (slice(3, 4),)),
        ((1,), (slice(4, 8),)),
        ((2,), (slice(8, 9),)),
    ]
    assert count_boxes((10, 10), (4, 5)) == 6


def test_small_chunks_are_joined_into_blocks_that_are_worth_a_task() -> None:
    block = plan((256, 256, 256), chunks=(32, 32, 32), dtype="u1").cuts[0].blocks[0]
    assert MEBIBYTE <= math.prod(block) <= 2 * MEBIBYTE


def test_the_plan_of_ten_terabytes_takes_no_memory() -> None:
    tracemalloc.start()
    image = plan((4, 20_000, 11_500, 11_500), dims="czyx")
    boxes = iter_boxes(image.passes[0], image.cuts[0])
    first = list(itertools.islice(boxes, 1000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert image.nbytes > 2e13
    assert image.n_tasks > 10_000_000
    assert image.memory < 256 * MEBIBYTE
    assert len(first) == 1000
    assert peak < 2 * MEBIBYTE


# --- memory and lazy sources


def test_a_lazy_source_of_planes_is_read_in_whole_planes() -> None:
    image = plan((2, 64, 2048, 2048), dims="czyx", source_chunks=(1, 1, 2048, 2048), workers=2)
    assert image.cuts[0].box == (1, 16, 2048, 2048)
    assert image.decodes == 1
    assert image.memory <= 256 * MEBIBYTE


def test_where_memory_is_short_planes_are_read_more_than_once_and_the_plan_says_so() -> None:
    image = plan(
        (2, 64, 2048, 2048),
        dims="czyx",
        source_chunks=(1, 1, 2048, 2048),
        workers=2,
        chunks=(1, 64, 256, 256),
    )
    assert image.decodes == 2
    assert image.memory <= 256 * MEBIBYTE
    assert 256 * MEBIBYTE < image.reading < 400 * MEBIBYTE


def test_an_image_in_memory_is_read_block_by_block() -> None:
    image = plan((64, 2048, 2048), workers=2)
    assert image.cuts[0].box == image.cuts[0].blocks[0]
    assert image.memory < 64 * MEBIBYTE


def test_fewer_tasks_run_at_once_where_memory_is_short() -> None:
    many = plan((64, 2048, 2048), workers=16)
    few = plan((64, 2048, 2048), workers=16, memory_limit=32 * MEBIBYTE)
    assert many.cuts[0].tasks == 16
    assert 1 <= few.cuts[0].tasks < 16
    assert few.memory <= 32 * MEBIBYTE


def test_a_block_that_does_not_fit_is_refused_with_the_numbers() -> None:
    with pytest.raises(OptionError, match=r"need 1\d\d\d MiB"):
        plan((1024, 1024, 1024), chunks=(512, 512, 512))


def test_appending_to_shards_takes_less_memory_than_putting_them_together() -> None:
    options: dict[str, Any] = {"chunks": (64, 256, 256), "shards": (64, 1024, 1024), "memory_limit": 2**31}
    appended = plan((64, 4096, 4096), append_shards=True, **options)
    whole = plan((64, 4096, 4096), **options)
    assert 4 * appended.memory < whole.memory


@settings(deadline=None)
@given(passes(), st.integers(2**20, 2**32), st.integers(1, 8))
def test_memory_is_within_the_limit_or_nothing_fits(work: Pass, memory_limit: int, workers: int) -> None:
    cut = cut_pass(work, workers=workers, memory_limit=memory_limit)
    assert cut.memory <= memory_limit or (cut.tasks == 1 and cut.box == cut.blocks[0])
    box = math.prod(cut.box) * work.itemsize
    assert box <= memory_limit or cut.box == cut.blocks[0]
    assert cut.reading >= box if work.source_chunks else cut.reading == 0


@given(passes(), st.integers(2**10, 2**22), st.integers(1, 3))
def test_a_save_takes_no_more_memory_than_the_plan_says(work: Pass, memory_limit: int, workers: int) -> None:
    """Measured: everything that is allocated while all blocks go through, but for what is not pixels."""
    work = replace(work, itemsize=1, source_chunks=None)
    source = xarray.Variable(tuple("zyx"[: len(work.shapes[0])]), np.zeros(work.shapes[0], "u1"))
    with (
        patch.object(blocks_module, "_SMALL_BLOCK", 1),
        counting_writes() as counter,
        ThreadPoolExecutor(workers) as executor,
    ):
        cut = cut_pass(work, workers=workers, memory_limit=memory_limit)
        tracemalloc.start()
        for _ in run_pass(job_for(work, cut, dtype=source.dtype), source, executor):
            pass
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert counter.voxels == sum(math.prod(shape) for shape in work.shapes)
    assert peak <= cut.memory + 2**18


@settings(deadline=None)
@given(st.data())
def test_parts_that_are_read_at_once_cut_no_chunk_of_the_source(data: st.DataObject) -> None:
    ndim = data.draw(st.integers(1, 3))
    sizes = st.lists(st.integers(1, 30), min_size=ndim, max_size=ndim)
    starts, lengths, chunks = data.draw(sizes), data.draw(sizes), data.draw(sizes)
    box = tuple(slice(a, a + n) for a, n in zip(starts, lengths, strict=True))
    parts = list(split_for_loading(box, chunks, data.draw(st.integers(1, 20))))
    assert sum(map(volume, parts)) == volume(box)
    owners: dict[tuple[int, ...], int] = {}
    for number, part in enumerate(parts):
        for chunk, _ in cells(part, chunks):
            assert owners.setdefault(chunk, number) == number


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 60), min_size=2, max_size=2),
    st.lists(st.integers(1, 20), min_size=2, max_size=2),
    st.lists(st.integers(1, 60), min_size=2, max_size=2),
    st.integers(1, 10**4),
)
def test_read_boxes(shape: list[int], block: list[int], chunks: list[int], budget: int) -> None:
    block = [min(b, n) for b, n in zip(block, shape, strict=True)]
    box = read_box(shape, block, chunks, 1, budget)
    assert all(s == n or s % b == 0 for s, b, n in zip(box, block, shape, strict=True))
    assert math.prod(box) <= budget or list(box) == block
    times = decodes(shape, box, chunks)
    # counted one by one
    touched = 0
    for part in depth_first(shape, [box]):
        touched += math.prod(-(-p.stop // c) - p.start // c for p, c in zip(part, chunks, strict=True))
    assert times == pytest.approx(touched / count_boxes(shape, chunks))


# --- totals


def test_totals() -> None:
    image = plan((64, 1024, 1024), chunks=(16, 256, 256), levels=2)
    assert image.nbytes == 2 * (64 * 1024 * 1024 + 32 * 512 * 512)
    assert sum(level.n_files for level in image.levels) == 4 * 4 * 4 + 2 * 2 * 2
    assert image.n_tasks == 64
    assert image.method == "mean"


@pytest.mark.parametrize(
    "arguments",
    [
        {"method": "median"},
        {"factors": {"q": 2}},
        {"factors": {"y": 0}},
        {"factors": {"y": -1}, "method": "mode"},
    ],
)
def test_levels_that_cannot_be_made_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        plan((64, 64), dims="yx", **arguments)


def test_dates_have_no_mean() -> None:
    with pytest.raises(OptionError, match="have no mean"):
        plan((64, 64), dims="yx", dtype="M8[s]")


def test_given_levels_are_copied_each_on_its_own() -> None:
    image = plan_multiscale(
        axes=axes("yx"),
        given=[Level(path=path, transform=identity(2)) for path in ("s0", "s1")],
        shapes=[(100, 100), (37, 41)],
        dtype=np.dtype("u1"),
        source_chunks=[None, None],
        method=None,
        options=SaveOptions(),
    )
    assert image.method is None
    assert [work.shapes for work in image.passes] == [((100, 100),), ((37, 41),)]
    assert [level.path for level in image.levels] == ["s0", "s1"]
    assert image.n_tasks == 2


# --- options


def test_options_are_given_as_one_noun_or_each_on_its_own() -> None:
    image = xarray.DataArray(np.zeros((64, 64), "u1"), dims=("y", "x"))
    sources = {"": MultiscaleSource(image=image)}
    options = StorageOptions(version="0.6", chunks=(16, 16), shards=(32, 32), compressor=None)
    each = plan_hierarchy(
        sources=sources, ngff_version="0.6", chunks=(16, 16), shards=(32, 32), compressor=None
    )
    assert plan_hierarchy(sources=sources, options=options) == each
    with pytest.raises(OptionError, match="both as `options` and on their own"):
        plan_hierarchy(sources=sources, options=options, chunks=(8, 8))


def test_options_are_checked_when_they_are_made() -> None:
    for wrong in ({"version": "0.3"}, {"version": "0.4", "shards": "auto"}):
        with pytest.raises(OptionError):
            StorageOptions(**wrong)  # type: ignore[arg-type]


def test_chunks_follow_what_an_axis_is() -> None:
    kinds = ("channel", "space", "space", "space")
    assert auto_chunks((2, 64, 2048, 2048), kinds, 2) == (1, 16, 256, 256)
    assert auto_chunks((4096, 4096), ("space", "space"), 1) == (2048, 2048)


def test_shards_keep_their_number_of_chunks_at_a_level_smaller_than_a_chunk() -> None:
    shards = choose_shards((64, 64), (16, 32), [(100, 100), (50, 20)], [(16, 32), (16, 20)], 1)
    assert shards == ((64, 64), (64, 20))
