"""Writing: one pass, bounded memory, every voxel where it belongs, all or nothing."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dask.array as da
import numcodecs
import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given
from hypothesis import strategies as st
from zarr.storage import LocalStore, MemoryStore, ZipStore

from napari_ome_ngff.errors import OmeNgffError, OptionError, StorageError, TargetError
from napari_ome_ngff.metadata.nouns import Axis, Channel, LabelImage, Level, Multiscale, ScaleTranslation
from napari_ome_ngff.metadata.versions import decode
from napari_ome_ngff.reading.open import open_ome_ngff
from napari_ome_ngff.writing import blocks
from napari_ome_ngff.writing.blocks import count_boxes
from napari_ome_ngff.writing.engine.encode import UnitWriter, unit_writer, write_units
from napari_ome_ngff.writing.engine.reduce import reduce_block
from napari_ome_ngff.writing.plan.write_plan import MultiscaleSource
from napari_ome_ngff.writing.save import Progress
from napari_ome_ngff.writing.write import plan_hierarchy, write_hierarchy, write_multiscale_group
from tests.processes import clean_processes

VERSIONS = ("0.4", "0.5", "0.6")


def image(
    shape: tuple[int, ...] = (20, 70, 50), dims: str = "zyx", dtype: str = "uint16", **attrs: Any
) -> xr.DataArray:
    """An image without two equal neighbours, half a micrometer a voxel, that does not begin at 0."""
    data = (np.arange(np.prod(shape)) * 7919 % 251).reshape(shape).astype(dtype)
    coords = {
        dim: xr.Variable((dim,), 3.0 + 0.5 * np.arange(n), {"units": "micrometer"})
        for dim, n in zip(dims, shape, strict=True)
        if dim in "zyx"
    }
    return xr.DataArray(data, dims=tuple(dims), coords=coords, name="sample", attrs=attrs)


def write(store: Any, source: xr.DataArray | None = None, **options: Any) -> list[Progress]:
    return list(write_multiscale_group(store=store, image=source, **options))


def levels_of(store: Any) -> list[np.ndarray[Any, Any]]:
    return [array.values for array in open_ome_ngff(store).arrays.values()]


def expected_levels(
    data: np.ndarray[Any, Any], factors: list[tuple[int, ...]], method: str
) -> list[np.ndarray[Any, Any]]:
    """Every level from the whole of the one above."""
    return list(itertools.accumulate([data, *factors], lambda above, f: reduce_block(above, f, method)))


@pytest.fixture(params=["memory", "folder"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return MemoryStore() if request.param == "memory" else tmp_path / "image.ome.zarr"


def what_is_there(store: Any) -> list[str]:
    """Everything at a target, and beside it."""
    if isinstance(store, Path):
        return sorted(str(path.relative_to(store.parent)) for path in store.parent.rglob("*"))
    return sorted(store._store_dict)


class ReadCounter:
    """A lazy array that counts how often each of its chunks is read."""

    def __init__(self, data: np.ndarray[Any, Any], fails_at: int | None = None) -> None:
        self.data = data
        self.shape, self.dtype, self.ndim = data.shape, data.dtype, data.ndim
        self.reads: list[tuple[tuple[int, int], ...]] = []
        self.fails_at = fails_at
        self.lock = threading.Lock()

    def __getitem__(self, key: tuple[slice, ...]) -> np.ndarray[Any, Any]:
        box = tuple(part.indices(n)[:2] for part, n in zip(key, self.shape, strict=True))
        with self.lock:
            if all(start < stop for start, stop in box):  # dask looks at none at all to learn the dtype
                self.reads.append(box)
            if self.fails_at is not None and len(self.reads) > self.fails_at:
                raise ValueError("the camera is gone")
        return self.data[key]

    def lazy(self, like: xr.DataArray, chunks: tuple[Any, ...]) -> xr.DataArray:
        # map_blocks keeps slices from being pushed down: a dask block is read whole, or not at all.
        whole = da.from_array(self, chunks=chunks, asarray=False, name=False)
        return like.copy(data=whole.map_blocks(np.array, dtype=self.dtype))


# --- what is written


@pytest.mark.parametrize(
    ("version", "shards"),
    [
        (version, shards)
        for version in VERSIONS
        for shards in (None, (8, 32, 32))
        if version != "0.4" or not shards
    ],
)
def test_levels_are_those_made_from_the_whole_image(store: Any, version: str, shards: Any) -> None:
    source = image()
    factors = [(2, 2, 2), (1, 2, 2)]
    steps = [dict(zip("zyx", step, strict=True)) for step in factors]
    write(store, source, ngff_version=version, factors=steps, chunks=(8, 16, 16), shards=shards)
    for found, expected in zip(
        levels_of(store), expected_levels(source.values, factors, "mean"), strict=True
    ):
        np.testing.assert_array_equal(found, expected)
    assert open_ome_ngff(store).multiscale.version == version


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    dims = draw(st.sampled_from(["yx", "zyx", "cyx", "tczyx", "tyx"]))
    shape = tuple(draw(st.integers(1, 3 if dim in "tc" else 33)) for dim in dims)
    levels = draw(st.integers(0, 3))
    factors = [{dim: draw(st.integers(1, 3)) for dim in dims if dim in "zyx"} for _ in range(levels)]
    chunks = tuple(draw(st.integers(1, 20)) for _ in dims)
    version = draw(st.sampled_from(VERSIONS))
    shards = None
    if version != "0.4" and draw(st.booleans()):
        shards = tuple(chunk * draw(st.integers(1, 3)) for chunk in chunks)
    return {
        "dims": dims,
        "shape": shape,
        "dtype": draw(st.sampled_from(["uint8", ">u2", "int16", "float32", "bool", "complex64"])),
        "method": draw(st.sampled_from(["mean", "nearest", "mode"])),
        "lazy": draw(st.none() | st.just(tuple(draw(st.integers(1, 12)) for _ in dims))),
        "options": {"factors": factors, "chunks": chunks, "shards": shards, "ngff_version": version},
    }


@given(cases())
def test_voxels_are_right_and_lie_where_those_lie_that_they_were_made_from(case: dict[str, Any]) -> None:
    source = image(case["shape"], case["dims"], case["dtype"])
    given_image = (
        source if case["lazy"] is None else source.chunk(dict(zip(source.dims, case["lazy"], strict=True)))
    )
    store = MemoryStore()
    write(store, given_image, method=case["method"], **case["options"])
    written = list(open_ome_ngff(store).arrays.values())
    values = source.values
    first = {dim: source.coords[dim].values for dim in source.dims if dim in source.coords}
    centres = dict(first)
    for k, level in enumerate(written):
        if k:
            asked = case["options"]["factors"][k - 1]
            step = [
                f if n >= f else 1
                for f, n in zip((asked.get(dim, 1) for dim in source.dims), values.shape, strict=True)
            ]
            values = reduce_block(values, step, case["method"])
            for dim, f in zip(source.dims, step, strict=True):
                if dim in centres:
                    n = centres[dim].size // f
                    inside = centres[dim][: n * f].reshape(n, f)
                    nearest = case["method"] == "nearest"
                    centres[dim] = inside[:, 0] if nearest else inside.mean(axis=1)
        np.testing.assert_array_equal(level.values, values)
        assert level.dtype.newbyteorder("=") == source.dtype.newbyteorder("=")
        for dim, positions in centres.items():
            np.testing.assert_allclose(level.coords[dim].values, positions, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    "dtype", ["bool", "uint8", ">u2", "int32", "uint64", "int64", "float16", ">f4", "float64", "complex128"]
)
@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_every_dtype_is_kept(store: Any, dtype: str, version: str) -> None:
    source = image((40, 30), "yx", dtype)
    write(store, source, ngff_version=version, levels=2)
    found = levels_of(store)
    np.testing.assert_array_equal(found[0], source.values)
    np.testing.assert_array_equal(found[1], reduce_block(source.values, (2, 2), "mean"))
    assert found[1].dtype.newbyteorder("=") == np.dtype(dtype).newbyteorder("=")


@pytest.mark.parametrize("method", ["nearest", "mode"])
def test_label_images_get_no_new_labels_and_as_many_levels_as_the_image(store: Any, method: str) -> None:
    ids = np.random.default_rng(0).choice([0, 3, 70_000, 2**32 - 1], (20, 70, 50)).astype("uint32")
    labels = {"cells": MultiscaleSource(image=image().copy(data=ids), method=method)}
    write(store, image(), factors=[{"x": 2, "y": 2}, {"z": 2}], labels=labels)
    opened = open_ome_ngff(store)
    cells = opened.labels["cells"]
    assert [array.shape for array in cells.arrays.values()] == [a.shape for a in opened.arrays.values()]
    for array in cells.arrays.values():
        assert set(np.unique(array.values)) <= set(np.unique(ids))
    assert cells.multiscale.label_image == LabelImage(source="../../")
    assert cells.multiscale.name == "sample"


@pytest.mark.parametrize("version", ["0.4", "0.5", "0.6"])
def test_images_are_shuffled_and_label_images_are_not_unless_a_codec_is_given(
    store: Any, version: str
) -> None:
    labels = {"cells": MultiscaleSource(image=image())}
    write(store, image(), ngff_version=version, labels=labels, levels=2)
    root = zarr.open_group(store, mode="r")
    for path, shuffle in {"0": 1, "1": 1, "labels/cells/0": 0, "labels/cells/1": 0}.items():
        (codec,) = root[path].compressors
        about = codec.to_dict() if version != "0.4" else {"configuration": codec.get_config()}
        configuration = about["configuration"]
        assert (configuration["cname"], configuration["clevel"]) == ("zstd", 1)
        assert configuration["blocksize"] == 2**20
        assert configuration["shuffle"] == (
            shuffle if version == "0.4" else ["noshuffle", "shuffle"][shuffle]
        )
    write(store, image(), ngff_version=version, labels=labels, compressor=None, overwrite=True)
    assert zarr.open_group(store, mode="r")["labels/cells/0"].compressors == ()


def test_labels_are_not_averaged_and_are_whole_numbers(store: Any) -> None:
    for source in (
        MultiscaleSource(image=image(), method="mean"),
        MultiscaleSource(image=image(dtype="float32")),
        MultiscaleSource(image=image(dtype="bool")),
    ):
        with pytest.raises(OptionError):
            write(store, image(), labels={"cells": source})


@pytest.mark.parametrize("lazy", [False, True])
def test_given_levels_are_copied(store: Any, lazy: bool) -> None:
    fine = image((30, 60), "yx")
    coarse = fine.coarsen(y=3, x=4).max().astype("uint16")  # not what we would make of it
    arrays = {"s0": fine, "inner/s1": coarse}
    if lazy:
        arrays = {path: array.chunk(7) for path, array in arrays.items()}
    list(write_multiscale_group(store=store, arrays=arrays, chunks=(16, 16)))
    found = open_ome_ngff(store)
    assert list(found.arrays) == ["s0", "inner/s1"]
    for path, array in found.arrays.items():
        np.testing.assert_array_equal(array.values, arrays[path].values)
        for dim in "yx":
            np.testing.assert_allclose(array.coords[dim], arrays[path].coords[dim])


def test_what_was_read_is_written_again(store: Any) -> None:
    """Transforms as they were split, names, display settings and unknown keys."""
    axes = (Axis(name="y", type="space", extra={"hint": 1}), Axis(name="x", type="space"))
    own = ScaleTranslation(scale=(0.1, 0.3), translation=(5.0, -7.0))
    levels = (Level(path="a", transform=ScaleTranslation(scale=(3.0, 3.0), translation=(0.7, 0.1))),)
    read = Multiscale(
        version="0.5",
        axes=axes,
        levels=levels,
        transform=own,
        name="before",
        method="wavelet",
        metadata={"by": "them"},
        extra={"@type": "ngff:Image"},
    )
    y, x = (own.scale[d] * (3.0 * np.arange(9) + (0.7, 0.1)[d]) + own.translation[d] for d in (0, 1))
    array = xr.DataArray(np.ones((9, 9), "u1"), dims=("y", "x"), coords={"y": y, "x": x})
    source = MultiscaleSource(arrays={"a": array}, multiscale=read, attributes={"theirs": [1, 2]})
    list(write_hierarchy(store=store, sources={"": source}))
    found = open_ome_ngff(store)
    assert found.multiscale == read
    assert found.attributes == {"theirs": [1, 2]}


def test_levels_that_are_made_anew_keep_the_split_too(store: Any) -> None:
    own = ScaleTranslation(scale=(0.5, 0.5), translation=(10.0, 0.0))
    read = Multiscale(
        version="0.5",
        axes=(Axis(name="y", type="space"), Axis(name="x", type="space")),
        levels=(Level(path="0", transform=ScaleTranslation(scale=(2.0, 2.0), translation=(0.0, 4.0))),),
        transform=own,
    )
    coords = {"y": 10.0 + np.arange(8.0), "x": 2.0 + np.arange(8.0)}
    array = xr.DataArray(np.ones((8, 8), "u1"), dims=("y", "x"), coords=coords)
    source = MultiscaleSource(image=array, multiscale=read, levels=2)
    list(write_hierarchy(store=store, sources={"": source}))
    found = open_ome_ngff(store)
    assert found.multiscale.transform == own
    assert found.multiscale.levels[1].transform == ScaleTranslation(scale=(4.0, 4.0), translation=(1.0, 5.0))
    np.testing.assert_allclose(found.arrays["1"].coords["y"], [10.5, 12.5, 14.5, 16.5])


def test_channels_are_completed(store: Any) -> None:
    source = image((2, 8, 8), "cyx", "uint8")
    write(store, source, channels=(Channel(label="DAPI", color="0000FF"), Channel(label="GFP")))
    first, second = open_ome_ngff(store).multiscale.channels
    assert (first.label, first.color, second.label) == ("DAPI", "0000FF", "GFP")
    assert second.color is not None
    assert second.window is not None
    assert (second.window.min, second.window.max) == (source[1].min(), source[1].max())


def test_transforms_are_rounded_at_every_level(store: Any) -> None:
    source = image((64, 64), "yx").assign_coords(y=1 / 3 + np.arange(64) / 7, x=np.arange(64) / 7)
    write(store, source, levels=3, transform_precision=3)
    found = [level.transform for level in open_ome_ngff(store).multiscale.levels]
    assert [transform.scale[0] for transform in found] == [0.143, 0.286, 0.571]
    assert [transform.translation[0] for transform in found] == [0.333, 0.405, 0.548]


def test_methods_and_names_are_told(store: Any) -> None:
    write(store, image((64, 64), "yx"), levels=2, name="cells")
    attributes = zarr.open_group(store, mode="r").attrs["ome"]
    entry = attributes["multiscales"][0]
    assert entry["name"] == "cells"
    assert entry["type"] == "mean"
    assert entry["metadata"]["kwargs"] == {"method": "mean"}


# --- one pass, bounded memory


@pytest.mark.parametrize("chunks", [(1, 64, 64), (4, 16, 64), (20, 64, 64), (8, 32, 32)])
def test_every_source_chunk_is_read_once(store: Any, chunks: tuple[int, ...]) -> None:
    source = image((40, 64, 64))
    counter = ReadCounter(source.values)
    write(store, counter.lazy(source, chunks), levels=3, factors=dict.fromkeys("zyx", 2), chunks=(8, 16, 16))
    assert len(counter.reads) == len(set(counter.reads))
    assert sum(np.prod([stop - start for start, stop in box]) for box in counter.reads) == source.size
    np.testing.assert_array_equal(levels_of(store)[0], source.values)


@pytest.mark.parametrize("shards", [None, (8, 64, 64)])
def test_a_zarr_source_is_read_once_and_stays_lazy(tmp_path: Path, shards: tuple[int, ...] | None) -> None:
    class CountingStore(MemoryStore):
        async def get(self, key: str, *args: Any, **options: Any) -> Any:
            reads.append(key)
            return await super().get(key, *args, **options)

    reads: list[str] = []
    origin = CountingStore()
    source = image((40, 64, 64))
    write(origin, source, levels=1, chunks=(1, 64, 64), shards=shards)
    opened = open_ome_ngff(origin).arrays["0"]
    reads.clear()
    steps = write_multiscale_group(store=tmp_path / "a.zarr", image=opened, levels=2, chunks=(8, 16, 16))
    assert not reads
    list(steps)
    chunks = [key for key in reads if "/c/" in key]
    assert len(chunks) == len(set(chunks)) == (40 if shards is None else 5)
    np.testing.assert_array_equal(levels_of(tmp_path / "a.zarr")[0], source.values)


def test_a_source_wider_than_memory_is_read_in_boxes_that_fit(store: Any) -> None:
    source = image((64, 256, 256))
    counter = ReadCounter(source.values)
    lazy = counter.lazy(source, (1, 256, 256))
    options = {"chunks": (64, 64, 64), "memory_limit": 6 * 2**20}
    plan = plan_hierarchy(sources={"": MultiscaleSource(image=lazy)}, workers=1, **options).multiscales[0]
    assert plan.memory <= 6 * 2**20
    with ThreadPoolExecutor(1) as executor:
        write(store, lazy, executor=executor, **options)
    assert len(counter.reads) / 64 == pytest.approx(plan.decodes)
    assert plan.decodes > 1
    np.testing.assert_array_equal(levels_of(store)[0], source.values)


@pytest.mark.parametrize("memory_limit", [2**15, 2**28])
@pytest.mark.parametrize("source_chunks", [(7, 30, 64), (40, 70, 5), (3, 70, 64), (13, 17, 11), (40, 70, 64)])
def test_chunks_that_lie_across_the_blocks_are_decoded_as_often_as_the_plan_says(
    tmp_path: Path, source_chunks: tuple[int, ...], memory_limit: int
) -> None:
    source = image((40, 70, 64), dtype="uint8")
    counter = ReadCounter(source.values)
    lazy = counter.lazy(source, source_chunks)
    options = {"chunks": (8, 16, 16), "memory_limit": memory_limit}
    with patch.object(blocks, "_SMALL_BLOCK", 1), ThreadPoolExecutor(2) as executor:
        plan = plan_hierarchy(sources={"": MultiscaleSource(image=lazy)}, workers=2, **options)
        write(tmp_path / "a.zarr", lazy, executor=executor, **options)
    assert len(counter.reads) / count_boxes(source.shape, source_chunks) == pytest.approx(plan.decodes)
    assert plan.decodes == 1 or memory_limit < 2**28
    np.testing.assert_array_equal(levels_of(tmp_path / "a.zarr")[0], source.values)


def test_dask_blocks_of_all_sizes_are_read_once_where_memory_allows(store: Any) -> None:
    source = image((40, 64, 64))
    counter = ReadCounter(source.values)
    write(store, counter.lazy(source, ((3, 7, 30), (64,), (1, 40, 23))), chunks=(8, 16, 16), levels=2)
    assert len(counter.reads) == len(set(counter.reads)) == 9
    np.testing.assert_array_equal(levels_of(store)[0], source.values)


MEASURE = """
    import resource, sys, threading
    import dask.array as da, numpy as np, xarray as xr, zarr
    from napari_ome_ngff.writing.write import write_multiscale_group

    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()

    def run(target, planes):
        blocks = da.ones((planes, 512, 512), chunks=(1, 512, 512))
        image = xr.DataArray(blocks.astype("uint16"), dims=("z", "y", "x"))
        peak = 0
        for _ in write_multiscale_group(
            store=target, image=image, levels=3, factors=dict(z=2, y=2, x=2), chunks=(16, 128, 128),
            memory_limit=24 * 2**20,
        ):
            peak = max(peak, resident())
        return peak

    run(sys.argv[1] + "/warm.zarr", 16)
    before = resident()
    print(*(run(f"{sys.argv[1]}/{n}.zarr", n) - before for n in map(int, sys.argv[2:])))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_does_not_grow_with_the_image(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(MEASURE), str(tmp_path), "32", "160"],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
        env={**os.environ, "MALLOC_TRIM_THRESHOLD_": "65536"},
    )
    small, large = (int(word) / 2**20 for word in done.stdout.split())
    # 160 planes are 80 MiB; the limit is 24, what dask needs to make a few planes comes on top.
    assert large < 64, done.stdout
    assert large < small + 16, done.stdout


# --- executors


class Synchronous(Executor):
    """Runs every task at once, where it is submitted."""

    def submit(self, task: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(task(*args, **options))
        except OmeNgffError as error:
            future.set_exception(error)
        return future


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(2, mp_context=clean_processes()) as executor:
        yield executor


@pytest.mark.parametrize("shards", [None, (16, 32, 32)])
@pytest.mark.parametrize("lazy", [False, True])
def test_executors_write_the_same(
    tmp_path: Path, processes: ProcessPoolExecutor, shards: Any, lazy: bool
) -> None:
    source = image((40, 64, 64))
    given_image = source.chunk({"z": 1}) if lazy else source
    options: dict[str, Any] = {"levels": 3, "chunks": (8, 16, 16), "shards": shards}
    options["factors"] = dict.fromkeys("zyx", 2)
    with ThreadPoolExecutor(3) as threads:
        executors = {"own": None, "threads": threads, "processes": processes, "now": Synchronous()}
        for name, executor in executors.items():
            write(tmp_path / f"{name}.zarr", given_image, executor=executor, **options)
    expected = expected_levels(source.values, [(2, 2, 2), (2, 2, 2)], "mean")
    for name in executors:
        for found, level in zip(levels_of(tmp_path / f"{name}.zarr"), expected, strict=True):
            np.testing.assert_array_equal(found, level)
    with pytest.raises(StorageError):  # the pool is closed
        write(tmp_path / "late.zarr", source, executor=threads)
    assert not (tmp_path / "late.zarr").exists()


def test_an_executor_that_was_given_is_not_closed(store: Any) -> None:
    with ThreadPoolExecutor(1) as executor:
        write(store, image(), executor=executor)
        assert executor.submit(int, "1").result() == 1


def test_other_processes_cannot_write_into_our_memory(processes: ProcessPoolExecutor) -> None:
    store = MemoryStore()
    with pytest.raises(OptionError, match="MemoryStore"):
        write(store, image(), executor=processes)
    assert not what_is_there(store)


# --- all or nothing


@pytest.mark.parametrize("steps", [0, 1, 3, 5])
@pytest.mark.parametrize("shards", [None, (8, 32, 32)])
def test_closing_early_leaves_nothing(store: Any, steps: int, shards: Any) -> None:
    before = what_is_there(store)
    options: dict[str, Any] = {"chunks": (4, 16, 16), "shards": shards, "levels": 3}
    options["image"] = image((40, 128, 128), dtype="uint64")
    progress = write_multiscale_group(store=store, **options)
    for step in itertools.islice(progress, steps):
        assert step.blocks_done < step.blocks_total
    progress.close()
    assert what_is_there(store) == before
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ome-ngff-write")]


def test_nothing_happens_before_the_first_step(store: Any) -> None:
    before = what_is_there(store)
    write_multiscale_group(store=store, image=image()).close()
    assert what_is_there(store) == before


@pytest.mark.parametrize("chunks", [(1, 64, 64), (8, 16, 16)])
def test_an_error_in_the_source_leaves_nothing(store: Any, chunks: tuple[int, ...]) -> None:
    source = image((40, 64, 64))
    before = what_is_there(store)
    counter = ReadCounter(source.values, fails_at=20)
    with pytest.raises(StorageError, match="the camera is gone") as caught:
        write(store, counter.lazy(source, chunks), chunks=(8, 16, 16))
    assert isinstance(caught.value.__cause__, ValueError)
    assert what_is_there(store) == before


def test_an_error_in_another_process_leaves_nothing(tmp_path: Path, processes: ProcessPoolExecutor) -> None:
    source = image((40, 64, 64))
    broken = source.copy(data=da.from_array(source.values, chunks=(8, 64, 64)).map_blocks(_fail, dtype="u2"))
    with pytest.raises(StorageError, match="the camera is gone"):
        write(tmp_path / "a.zarr", broken, executor=processes)
    assert list(tmp_path.iterdir()) == []


def _fail(block: Any) -> Any:
    raise ValueError("the camera is gone")


def test_a_refused_option_leaves_nothing(store: Any) -> None:
    before = what_is_there(store)
    for options in (
        {"chunks": (3,) * 4},
        {"ngff_version": "1.0"},
        {"fill_value": 1.5},
        {"compressor": "strong"},
        {"method": "median"},
        {"memory_limit": 10},
        {"image": image(dtype="datetime64[s]"), "method": "nearest"},
        {"image": None},
        {"arrays": {"0": image()}},
    ):
        with pytest.raises(OmeNgffError):
            write_multiscale_group(store=store, **{"image": image(), **options})
    assert what_is_there(store) == before


def test_what_is_there_is_replaced_only_when_asked(store: Any) -> None:
    write(store, image())
    with pytest.raises(TargetError):
        write(store, image() + 1)
    np.testing.assert_array_equal(levels_of(store)[0], image().values)
    group = zarr.open_group(store, mode="r+")
    group.attrs["theirs"] = "kept"
    group.create_group("tables").attrs["rows"] = 3
    write(store, image((10, 30, 30)) + 1, levels=1, overwrite=True)
    np.testing.assert_array_equal(levels_of(store)[0], image((10, 30, 30)).values + 1)
    after = zarr.open_group(store, mode="r")
    assert after.attrs["theirs"] == "kept"
    assert after["tables"].attrs["rows"] == 3


def test_a_replacement_that_is_given_up_leaves_the_old_image(store: Any) -> None:
    write(store, image())
    before = what_is_there(store)
    progress = write_multiscale_group(store=store, image=image() + 1, overwrite=True)
    next(progress)
    next(progress)
    progress.close()
    assert what_is_there(store) == before
    np.testing.assert_array_equal(levels_of(store)[0], image().values)


def test_an_image_can_be_written_over_itself(store: Any) -> None:
    write(store, image(), levels=1, chunks=(4, 16, 16))
    lazy = open_ome_ngff(store).arrays["0"]
    write(store, lazy[::-1].drop_vars("z"), levels=1, overwrite=True)
    np.testing.assert_array_equal(levels_of(store)[0], image().values[::-1])


def test_other_label_images_stay_listed(store: Any) -> None:
    cells = {"cells": MultiscaleSource(image=image())}
    write(store, image(), levels=2, labels=cells)
    write(store, image(), levels=1, labels={"nuclei": MultiscaleSource(image=image())}, overwrite=True)
    assert sorted(open_ome_ngff(store).labels) == ["cells", "nuclei"]
    write(store, image(), levels=1, labels=cells, overwrite=True)
    assert sorted(open_ome_ngff(store).labels) == ["cells", "nuclei"]
    assert sorted(zarr.open_group(store, mode="r")["labels/cells"]) == ["0"]


def test_members_that_cannot_be_kept_are_not_lost(store: Any) -> None:
    write(store, image(), labels={"cells": MultiscaleSource(image=image())}, ngff_version="0.4")
    with pytest.raises(TargetError, match="labels cannot be kept"):
        write(store, image(), ngff_version="0.5", overwrite=True)
    write(
        store,
        image(),
        labels={"cells": MultiscaleSource(image=image())},
        ngff_version="0.5",
        overwrite=True,
    )
    assert open_ome_ngff(store).multiscale.version == "0.5"


def test_a_path_inside_a_store(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "many.zarr")
    zarr.create_group(store)
    for name in ("a", "b/c"):
        write(store, image(), path=name, labels={"cells": MultiscaleSource(image=image())})
        found = open_ome_ngff(tmp_path / "many.zarr" / name)
        np.testing.assert_array_equal(found.arrays["0"].values, image().values)
        assert list(found.labels) == ["cells"]


def test_a_zip_file(tmp_path: Path) -> None:
    with ZipStore(tmp_path / "image.zip", mode="w") as store:
        write(store, image(), labels={"cells": MultiscaleSource(image=image())}, levels=2)
    found = open_ome_ngff(tmp_path / "image.zip")
    np.testing.assert_array_equal(found.arrays["0"].values, image().values)
    assert list(found.labels) == ["cells"]


# --- progress


def test_progress_only_ever_grows_and_ends_complete(store: Any) -> None:
    steps = write(store, image(), chunks=(4, 16, 16), levels=3)
    assert steps[0].blocks_done == steps[0].bytes_done == 0
    for before, after in itertools.pairwise(steps):
        assert after.blocks_done >= before.blocks_done
        assert after.bytes_done >= before.bytes_done
    assert all(step.blocks_done < step.blocks_total for step in steps[:-1])
    assert steps[-1].blocks_done == steps[-1].blocks_total
    assert steps[-1].bytes_done == steps[-1].bytes_total == sum(level.nbytes for level in levels_of(store))


@given(cases())
def test_the_plan_is_what_is_written(case: dict[str, Any]) -> None:
    source = image(case["shape"], case["dims"], case["dtype"])
    store = MemoryStore()
    steps = write(store, source, method=case["method"], **case["options"])
    planned = plan_hierarchy(
        sources={
            "": MultiscaleSource(image=source, method=case["method"], factors=case["options"]["factors"])
        },
        **{key: value for key, value in case["options"].items() if key != "factors"},
    )
    found = open_ome_ngff(store)
    group = zarr.open_group(store, mode="r")
    assert planned.nbytes == steps[-1].bytes_done
    for level, array in zip(planned.multiscales[0].levels, found.arrays.values(), strict=True):
        assert level.shape == array.shape
        assert level.chunks == group[level.path].chunks
        assert level.shards == group[level.path].shards
    files = [key for key in store._store_dict if not key.endswith((".zattrs", ".zgroup"))]
    assert len(files) <= planned.n_files


# --- write units


CODECS = {
    "none": None,
    "zstd": numcodecs.Zstd(level=1),
    "blosc": numcodecs.Blosc(cname="zstd", clevel=1, shuffle=numcodecs.Blosc.SHUFFLE, blocksize=2**16),
    "bits": numcodecs.Blosc(cname="lz4", shuffle=numcodecs.Blosc.BITSHUFFLE),
    "gzip": numcodecs.GZip(level=1),
}


@pytest.mark.parametrize("dtype", ["bool", ">u2", "float64", ">c8"])
@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("layout", ["v2", "v3", "sharded"])
def test_the_short_way_writes_what_zarr_writes(tmp_path: Path, codec: str, dtype: str, layout: str) -> None:
    """Decoded by zarr-python, both are the same bytes, and they are the same files."""
    from napari_ome_ngff.writing.plan.array_spec import array_spec
    from napari_ome_ngff.writing.plan.options import StorageOptions
    from napari_ome_ngff.writing.target import can_append

    data = image((30, 21), ("y", "x"), dtype=dtype).values
    data[:16, :16] = 0  # a chunk, or a part of a shard, that need not be stored
    found = {}
    for direct in (False, True):
        spec = array_spec(
            shape=data.shape,
            dtype=dtype,
            chunks=(8, 8),
            shards=(16, 16) if layout == "sharded" else None,
            dims=("y", "x"),
            options=StorageOptions(version="0.4" if layout == "v2" else "0.5", compressor=CODECS[codec]),
        )
        store = LocalStore(tmp_path / str(direct))
        array = spec.to_zarr(store, "a")
        writer = unit_writer(array) if direct else UnitWriter(array=array)
        is_there = layout != "sharded" or can_append()  # Windows cannot: there zarr-python writes shards
        assert (writer.plain is not None) == (direct and is_there)
        unit = (16, 16)
        for start in itertools.product(*(range(0, n, u) for n, u in zip(data.shape, unit, strict=True))):
            region = tuple(slice(s, min(s + u, n)) for s, u, n in zip(start, unit, data.shape, strict=True))
            write_units(writer, region, data[region])
        found[direct] = zarr.open_array(store, path="a", mode="r")
    assert found[True][:].tobytes() == found[False][:].tobytes()
    np.testing.assert_array_equal(found[True][:], data)
    files = [
        sorted(path.relative_to(tmp_path / str(direct)) for path in (tmp_path / str(direct)).rglob("*"))
        for direct in (False, True)
    ]
    assert files[0] == files[1]


def test_chunks_of_nothing_but_the_fill_value_are_not_stored(tmp_path: Path) -> None:
    data = xr.DataArray(np.full((64, 64), np.nan, "f4"), dims=("y", "x"))
    data[40, 40] = 1.0
    data[:16, :16] = -0.0
    write(tmp_path / "a.zarr", data, chunks=(16, 16), fill_value=np.nan, levels=1)
    assert sorted(path.name for path in (tmp_path / "a.zarr/0/c").glob("*/*")) == ["0", "2"]
    written = levels_of(tmp_path / "a.zarr")[0]
    np.testing.assert_array_equal(written, data.values)
    assert np.signbit(written[0, 0])


def test_every_chunk_is_written_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from napari_ome_ngff.writing.engine import encode

    written: list[str] = []
    original = encode._write_file

    def counting(path: str, content: Any) -> None:
        written.append(path)
        original(path, content)

    monkeypatch.setattr(encode, "_write_file", counting)
    write(tmp_path / "a.zarr", image() + 1, chunks=(4, 16, 16), levels=3)
    assert len(written) == len(set(written)) > 50


def test_attributes_come_last() -> None:
    """What is interrupted in a store without renames is not yet an image."""

    class Recording(MemoryStore):
        async def set(self, key: str, *args: Any, **options: Any) -> None:
            order.append(key)
            await super().set(key, *args, **options)

    order: list[str] = []
    store = Recording()
    write(store, image(), labels={"cells": MultiscaleSource(image=image())})
    assert order[-1] == "zarr.json"
    assert order.count("zarr.json") == 1
    assert decode(zarr.open_group(store, mode="r").attrs.asdict(), where="")
