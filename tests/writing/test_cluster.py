"""Other processes as executors: a pool, and a dask cluster with a folder that its workers share."""

from __future__ import annotations

import itertools
import os
import pickle
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr
import zarr

from napari_ome_ngff import (
    DaskArrayWrapper,
    LabelImage,
    ZarrArrayWrapper,
    open_ome_ngff,
    write_multiscale_group,
)
from napari_ome_ngff.errors import StorageError
from napari_ome_ngff.writing import blocks
from napari_ome_ngff.writing.engine import transfer
from napari_ome_ngff.writing.plan.options import StorageOptions, save_options
from napari_ome_ngff.writing.plan.write_plan import MultiscaleSource
from napari_ome_ngff.writing.write import write_hierarchy
from tests.processes import METHOD, clean_processes

SHAPE = (24, 64, 96)
WAYS: dict[str, dict[str, Any]] = {
    "v2": {"ngff_version": "0.4", "chunks": (8, 16, 16)},
    "v3": {"chunks": (8, 16, 16)},
    "sharded": {"chunks": (8, 16, 16), "shards": (8, 32, 32)},
}


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    from distributed import Client, LocalCluster
    from distributed.utils import get_mp_context

    settings = {
        "distributed.scheduler.allowed-failures": 0,
        "distributed.worker.multiprocessing-method": METHOD,
    }
    with dask.config.set(settings):
        get_mp_context()  # it would set what is imported, once
    clean_processes("distributed")
    with (
        dask.config.set(settings),
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        yield client


@pytest.fixture
def executor(client: Any) -> Executor:
    executor: Executor = client.get_executor(pure=False)
    return executor


def pixels() -> xr.DataArray:
    values = np.random.default_rng(3).integers(0, 5000, SHAPE).astype("uint16")
    return xr.DataArray(values, dims=tuple("zyx"))


def write(target: Path, image: xr.DataArray, **options: Any) -> list[Any]:
    return list(write_multiscale_group(store=target, image=image, levels=3, **options))


def source(kind: str, folder: Path) -> xr.DataArray:
    """The same image, in memory or lazy in one of the ways in which images are lazy."""
    if kind == "numpy":
        return pixels()
    if kind == "dask":
        return pixels().chunk({"z": 1})
    if not (folder / "source.zarr").exists():
        for _ in write_multiscale_group(
            store=folder / "source.zarr", image=pixels(), levels=1, chunks=(3, 64, 96)
        ):
            pass
    if kind == "xarray":
        array = zarr.open_array(folder / "source.zarr" / "0", mode="r")
        return xr.DataArray(da.from_zarr(array, inline_array=True), dims=tuple("zyx"))
    wrapper = DaskArrayWrapper() if kind == "ours, dask" else ZarrArrayWrapper()
    return open_ome_ngff(folder / "source.zarr", array_wrapper=wrapper).arrays["0"]


KINDS = ("numpy", "dask", "ours, dask", "ours, zarr", "xarray")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["numpy", "dask", "ours, dask", "ours, zarr"])
def test_a_cluster_writes_what_threads_write(tmp_path: Path, executor: Executor, kind: str, way: str) -> None:
    image = source(kind, tmp_path)
    write(tmp_path / "cluster.zarr", image, executor=executor, verify=kind == "dask", **WAYS[way])
    write(tmp_path / "threads.zarr", image, **WAYS[way])
    one, other = (open_ome_ngff(tmp_path / f"{name}.zarr").arrays for name in ("cluster", "threads"))
    assert len(one) == 3
    for path in one:
        np.testing.assert_array_equal(one[path].values, other[path].values)


def test_workers_of_other_machines_get_what_is_in_memory_once_and_straight(
    tmp_path: Path, client: Any, executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They see no file of this one: what is scattered passes neither the graph nor the scheduler."""
    sent: list[int] = []

    def scatter(self: Any, data: Any, **options: Any) -> Any:
        assert options["direct"]
        sent.extend([data.nbytes] if isinstance(data, np.ndarray) else [])
        return plain(self, data, **options)

    plain = type(client).scatter
    monkeypatch.setattr(type(client), "scatter", scatter)
    monkeypatch.setattr(transfer.Processes, "_share", lambda *_: False)
    with patch.object(blocks, "_SMALL_BLOCK", 1):
        write(tmp_path / "a.zarr", pixels(), executor=executor, **WAYS["v3"])
    for path, level in open_ome_ngff(tmp_path / "a.zarr").arrays.items():
        assert level.shape == tuple(n >> int(path) for n in SHAPE)
    assert pixels().nbytes < sum(sent) < 1.2 * pixels().nbytes
    write(tmp_path / "b.zarr", pixels(), **WAYS["v3"])
    for file in (tmp_path / "b.zarr").rglob("c/*/*/*"):
        assert file.read_bytes() == (tmp_path / "a.zarr" / file.relative_to(tmp_path / "b.zarr")).read_bytes()


def test_where_no_file_can_be_without_a_name_it_is_removed_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "memfd_create", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    file = transfer.SharedFile(3, 100)
    assert all(slot.is_here() for slot in file.free)
    one, other = file.free[0].memory(), file.free[0].memory()
    one[:] = np.arange(one.size)
    assert (one == other).all()
    assert not file.free[1].memory().any()
    assert not replace(file.free[0], token=b"another file's!!").is_here()
    slot = file.free[0]
    file.close()
    assert not slot.is_here()
    assert list(tmp_path.iterdir()) == []


def test_a_cluster_copies_what_was_not_changed(tmp_path: Path, executor: Executor) -> None:
    write(tmp_path / "a.zarr", pixels(), **WAYS["sharded"])
    arrays = open_ome_ngff(tmp_path / "a.zarr").arrays
    for _ in write_hierarchy(
        store=tmp_path / "b.zarr",
        sources={"": MultiscaleSource(arrays=arrays)},
        executor=executor,
        verify=True,
    ):
        pass
    for file in (tmp_path / "a.zarr").rglob("c/*/*/*"):
        assert file.read_bytes() == (tmp_path / "b.zarr" / file.relative_to(tmp_path / "a.zarr")).read_bytes()


def test_as_many_tasks_run_at_once_as_the_cluster_has_threads(executor: Executor, tmp_path: Path) -> None:
    options = save_options(StorageOptions(), tmp_path / "a.zarr", executor)
    assert options.workers == 2
    assert not options.shared_memory
    assert not options.append_shards


@pytest.mark.parametrize("steps", [1, 2])
def test_cancelled_on_a_cluster_nothing_is_left(tmp_path: Path, executor: Executor, steps: int) -> None:
    """A cluster says that it cancelled tasks which are still at work: these are waited for."""
    save = write_multiscale_group(
        store=tmp_path / "a.zarr", image=mapped(_slow), executor=executor, chunks=(8, 16, 16)
    )
    for _ in itertools.islice(save, steps):
        pass
    save.close()
    assert list(tmp_path.iterdir()) == []


def _slow(block: Any) -> Any:
    import time

    time.sleep(0.1)
    return block


def _die(block: Any) -> Any:
    if block.size:
        os._exit(1)
    return block


def mapped(function: Any) -> xr.DataArray:
    blocks = da.from_array(pixels().values, chunks=(8, 64, 96))
    return pixels().copy(data=blocks.map_blocks(function, dtype="u2"))


def test_a_process_that_dies_leaves_everything_as_it_was(tmp_path: Path) -> None:
    write(tmp_path / "a.zarr", pixels())
    before = sorted(tmp_path.rglob("*"))
    with (
        ProcessPoolExecutor(2, mp_context=clean_processes()) as pool,
        pytest.raises(StorageError, match=r"A task failed: A process in the process pool was terminated"),
    ):
        write(tmp_path / "a.zarr", mapped(_die), executor=pool, overwrite=True, chunks=(8, 16, 16))
    assert sorted(tmp_path.rglob("*")) == before


# --- the scheduler that the user has chosen


@pytest.mark.parametrize("way", ["as it is", "changed", "on the cluster", "changed, on the cluster"])
def test_what_a_cluster_keeps_is_saved(tmp_path: Path, client: Any, executor: Executor, way: str) -> None:
    image = pixels().chunk({"z": 3}).persist()
    changed = (image + 1)[:, 5:] if "changed" in way else image
    options: dict[str, Any] = {"executor": executor} if "cluster" in way else {}
    write(tmp_path / "a.zarr", changed, verify=way == "changed", **options, **WAYS["v3"])
    expected = pixels() if way in ("as it is", "on the cluster") else (pixels() + 1)[:, 5:]
    np.testing.assert_array_equal(open_ome_ngff(tmp_path / "a.zarr").arrays["0"].values, expected)


@pytest.mark.parametrize("chunks", [{"z": 1}, {"z": 24}, {"z": 5, "x": 7}])
def test_dask_computes_where_the_user_says(tmp_path: Path, chunks: dict[str, int]) -> None:
    """Not so what is read from our own arrays: there is nothing to compute."""
    from dask.threaded import get

    calls: list[int] = []

    def counting(graph: Any, keys: Any, **options: Any) -> Any:
        calls.append(1)
        return get(graph, keys, **options)

    image = pixels().chunk(chunks) + 1
    with dask.config.set(scheduler=counting):
        write(tmp_path / "a.zarr", image, chunks=(8, 16, 16))
        assert calls
        np.testing.assert_array_equal(open_ome_ngff(tmp_path / "a.zarr").arrays["0"].values, pixels() + 1)
        calls.clear()
        lazy = open_ome_ngff(tmp_path / "a.zarr", array_wrapper=DaskArrayWrapper()).arrays["0"]
        write(tmp_path / "b.zarr", lazy, chunks=(4, 16, 16))
        assert not calls


def test_what_the_chosen_scheduler_delivers_is_compared_with_what_was_declared(tmp_path: Path) -> None:
    blocks = da.from_array(pixels().values, chunks=(8, 64, 96))
    wrong = blocks.map_blocks(lambda block: block[:, :3], dtype="u2", chunks=blocks.chunks)
    with dask.config.set(scheduler="threads"), pytest.raises(StorageError, match="are declared"):
        write(tmp_path / "a.zarr", xr.DataArray(wrong, dims=tuple("zyx")), chunks=(8, 16, 16))
    assert list(tmp_path.iterdir()) == []


# --- what is sent to other processes


class Recorder(Executor):
    """Sends every task to another process, as far as anyone can tell: it comes back pickled."""

    _max_workers = 2

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.results: list[int] = []

    def submit(self, task: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
        message = pickle.dumps((task, args, options))
        self.sizes.append(len(message))
        future: Future[Any] = Future()
        task, args, options = pickle.loads(message)
        result = pickle.dumps(task(*args, **options))
        self.results.append(len(result))
        future.set_result(pickle.loads(result))
        return future


class Neighbour(Recorder, ProcessPoolExecutor):
    """The same, to a process of this machine."""


@pytest.mark.parametrize("kind", KINDS)
def test_tasks_carry_no_voxels_of_a_lazy_source(tmp_path: Path, kind: str) -> None:
    recorder, image = Recorder(), source(kind, tmp_path)
    if kind == "dask":  # blocks that are made, not held
        image = xr.DataArray(
            da.random.default_rng(0).integers(0, 9, SHAPE, chunks=(1, 64, 96)), dims=tuple("zyx")
        )
    write(tmp_path / "b.zarr", image, executor=recorder, chunks=(8, 64, 96), factors={"z": 1, "y": 2, "x": 2})
    block = 8 * 64 * 96 * image.dtype.itemsize
    first = recorder.sizes[0]
    assert (first > block) == (kind == "numpy")
    assert first < 12_000 or kind == "numpy", first


@pytest.mark.parametrize(
    ("kind", "where"),
    [("numpy", "here"), ("numpy", "elsewhere"), ("ours, dask", "elsewhere"), ("ours, zarr", "here")],
)
def test_voxels_do_not_pass_through_the_client(tmp_path: Path, kind: str, where: str) -> None:
    """Tasks are small, and so is what comes back: a task does all levels of what it has read that it can."""
    voxels = np.random.default_rng(0).integers(0, 5000, (32, 64, 64)).astype("uint16")
    options: dict[str, Any] = {"label_image": LabelImage(), "levels": 4, "chunks": (8, 16, 16)}
    options["verify"] = True
    options["factors"] = {"z": 2, "y": 2, "x": 2}
    image = xr.DataArray(voxels, dims=tuple("zyx"))
    if kind != "numpy":
        for _ in write_multiscale_group(store=tmp_path / "source.zarr", image=image, levels=1):
            pass
        wrapper = DaskArrayWrapper() if kind == "ours, dask" else ZarrArrayWrapper()
        image = open_ome_ngff(tmp_path / "source.zarr", array_wrapper=wrapper).arrays["0"]
    recorder = Neighbour() if where == "here" else Recorder()
    with patch.object(blocks, "_SMALL_BLOCK", 1):
        list(write_multiscale_group(store=tmp_path / "a.zarr", image=image, executor=recorder, **options))
        list(write_multiscale_group(store=tmp_path / "b.zarr", image=image, **options))
    files = [file for file in (tmp_path / "b.zarr").rglob("*") if file.is_file()]
    for file in files:
        assert file.read_bytes() == (tmp_path / "a.zarr" / file.relative_to(tmp_path / "b.zarr")).read_bytes()
    # Subtrees, a look for the shared file, the coarsest block; and once more without that to compare.
    assert len(recorder.sizes) <= 2 * (8 + 1) + 1
    assert sum(recorder.results) < voxels.nbytes / 32
    if kind != "numpy" or where == "here":
        assert max(recorder.sizes) < 16_000
    else:  # once to write, and once to compare
        assert voxels.nbytes * 2 < sum(recorder.sizes) < voxels.nbytes * 2.4


class Waiting(Executor):
    """Other processes, as far as anyone can tell, whose tasks begin when as many are there as are given."""

    def __init__(self, workers: int, count: int) -> None:
        self._max_workers, self.missing = workers, count
        self.pool, self.there = ThreadPoolExecutor(workers), threading.Event()

    def submit(self, task: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
        self.missing -= 1
        if self.missing == 0:
            self.there.set()
        return self.pool.submit(self._begin, task, *args, **options)

    def _begin(self, task: Callable[..., Any], *args: Any, **options: Any) -> Any:
        assert self.there.wait(10)
        return task(*args, **options)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self.pool.shutdown(wait, cancel_futures=cancel_futures)


@pytest.mark.parametrize(("workers", "count"), [(1, 2), (2, 4), (3, 5)])
def test_tasks_wait_so_that_no_worker_does(tmp_path: Path, workers: int, count: int) -> None:
    """Two workers that end together find a task each: it takes a while to copy the voxels of the next."""
    with patch.object(blocks, "_SMALL_BLOCK", 1), Waiting(workers, count) as executor:
        write(tmp_path / "a.zarr", pixels(), executor=executor, chunks=(8, 16, 16))


class Forgetful(Neighbour):
    """Loses its workers when they have done their tasks, and has each of these done again."""

    def submit(self, task: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
        super().submit(task, *args, **options)
        return super().submit(task, *args, **options)


def test_a_task_that_is_done_again_finds_what_was_sent_with_it(tmp_path: Path) -> None:
    """And nobody else gets the memory that the first one may still read."""
    forgetful = Forgetful()
    with patch.object(blocks, "_SMALL_BLOCK", 1):
        write(tmp_path / "a.zarr", pixels(), executor=forgetful, **WAYS["v3"])
        write(tmp_path / "b.zarr", pixels(), **WAYS["v3"])
    for file in (tmp_path / "b.zarr").rglob("c/*/*/*"):
        assert file.read_bytes() == (tmp_path / "a.zarr" / file.relative_to(tmp_path / "b.zarr")).read_bytes()
    in_slots = [size for size in forgetful.sizes if size < 12_000]
    assert 2 * (1 + 3) <= len(in_slots) < len(forgetful.sizes)


def test_copies_carry_no_voxels(tmp_path: Path) -> None:
    recorder = Recorder()
    write(tmp_path / "a.zarr", pixels())
    sources = {"": MultiscaleSource(arrays=open_ome_ngff(tmp_path / "a.zarr").arrays)}
    for _ in write_hierarchy(store=tmp_path / "b.zarr", sources=sources, executor=recorder):
        pass
    assert max(recorder.sizes) < 12_000


def test_a_worker_of_a_cluster_that_dies_leaves_nothing(
    tmp_path: Path, executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed import Nanny

    async def nothing(_: Nanny) -> None:
        """The cluster would start others in their places: no test needs them any more."""

    monkeypatch.setattr(Nanny, "instantiate", nothing)
    with pytest.raises(StorageError, match=r"A task failed: Attempted to run task .* died"):
        write(tmp_path / "a.zarr", mapped(_die), executor=executor, chunks=(8, 16, 16))
    assert list(tmp_path.iterdir()) == []
