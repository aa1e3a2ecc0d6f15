"""Whatever goes wrong in a save is one clear error; the target is as it was, and nothing is left behind."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask.array
import numcodecs
import numpy as np
import pytest
import xarray
import zarr

from napari_ome_ngff import MultiscaleSource, open_ome_ngff, write_labels, write_multiscale_group
from napari_ome_ngff.errors import StorageError, TargetError
from napari_ome_ngff.storage.places import folders
from napari_ome_ngff.writing import save as save_module
from napari_ome_ngff.writing.commit import local_swap, single_file, staging
from napari_ome_ngff.writing.plan.disk_space import space_for
from napari_ome_ngff.writing.write import plan_hierarchy
from tests.disks import make_read_only, small_disk

KINDS = ("new", "replace", "labels", "ozx", "ozx replaced")
"""Of saves."""

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions and no tmpfs")


def image(seed: int = 0, megabytes: int = 4) -> xarray.DataArray:
    """Noise, which no codec makes smaller."""
    values = np.random.default_rng(seed).integers(0, 2**16, (megabytes * 8, 256, 256)).astype("uint16")
    return xarray.DataArray(values, dims=("z", "y", "x"), name="cells")


def steps(kind: str, folder: Path, source: xarray.DataArray, **options: Any) -> Iterator[Any]:
    """Begin a save of some kind, which `prepare` has prepared."""
    options = {"chunks": (8, 256, 256), "compressor": None, "overwrite": "replace" in kind, **options}
    if kind == "labels":
        cells = {"cells": MultiscaleSource(image=source, levels=1)}
        options.pop("overwrite")
        return write_labels(store=folder / "a.ome.zarr", labels=cells, **options)
    name = "a.ozx" if kind.startswith("ozx") else "a.ome.zarr"
    return write_multiscale_group(store=folder / name, image=source, levels=1, **options)


def prepare(kind: str, folder: Path) -> None:
    """Put there what a save of some kind needs to be there."""
    if kind in ("replace", "labels"):
        list(steps("new", folder, image(1, 1)))
        (folder / "a.ome.zarr" / "notes.txt").write_text("mine")
    elif kind == "ozx replaced":
        list(steps("ozx", folder, image(1, 1)))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@contextlib.contextmanager
def nothing_changes(folder: Path) -> Iterator[None]:
    """Everything is as it was, hidden files and empty folders included."""
    before, paths = contents(folder), sorted(folder.rglob("*"))
    yield
    assert contents(folder) == before
    assert sorted(folder.rglob("*")) == paths


# --- space


@POSIX
@pytest.mark.parametrize("compressor", [None, numcodecs.Zstd(1)])
@pytest.mark.parametrize("kind", KINDS)
def test_what_does_not_fit_is_one_clear_error(kind: str, compressor: Any, tmp_path: Path) -> None:
    with small_disk(tmp_path, 4) as disk:
        prepare(kind, disk)
        with nothing_changes(disk), pytest.raises(StorageError, match=r"^The disk is full\."):
            list(steps(kind, disk, image(2, 6), compressor=compressor))


@POSIX
def test_the_plan_says_what_is_needed_and_what_is_free(tmp_path: Path) -> None:
    voxels = xarray.DataArray(np.ones((1000, 1000), "uint8"), dims=("y", "x"))
    plan = plan_hierarchy(sources={"": MultiscaleSource(image=voxels, levels=2)}, chunks=(512, 512))
    chunk = 512 * 512
    with small_disk(tmp_path, 4) as disk:
        (disk / "others").write_bytes(bytes(2**20))
        folder = space_for(plan, disk / "missing" / "a.ome.zarr")
        assert folder.needed == 4 * chunk + 500 * 500
        assert folder.free == shutil.disk_usage(disk).free == 3 * 2**20
        assert space_for(plan, disk / "a.ozx").needed == folder.needed + chunk, "one part is there twice"
    assert space_for(plan, "s3://bucket/a.ome.zarr") == (folder.needed, None)


@POSIX
@pytest.mark.parametrize(
    "values",
    [
        np.zeros((48, 256, 256), "uint16"),
        np.broadcast_to(np.arange(256, dtype="uint16"), (48, 256, 256)),
        np.concatenate([image(3, 1).values, np.zeros((40, 256, 256), "uint16")]),
    ],
    ids=["empty", "compressible", "mostly empty"],
)
def test_what_fits_when_it_is_compressed_is_written(values: np.ndarray, tmp_path: Path) -> None:
    with small_disk(tmp_path, 4) as disk:
        list(steps("new", disk, xarray.DataArray(values, dims=("z", "y", "x")), compressor="auto"))
        np.testing.assert_array_equal(open_ome_ngff(disk / "a.ome.zarr").arrays["0"], values)


def test_nothing_is_read_on_trial(tmp_path: Path) -> None:
    touched: list[int] = []

    def block(x: np.ndarray) -> np.ndarray:
        touched.append(1)
        return x

    lazy = dask.array.zeros((16, 256, 256), chunks=(8, 256, 256), dtype="uint16")
    lazy = lazy.map_blocks(block, dtype="uint16", meta=np.zeros((0, 0, 0), "uint16"))
    list(steps("new", tmp_path, xarray.DataArray(lazy, dims=("z", "y", "x"))))
    assert len(touched) == 2


@POSIX
@pytest.mark.parametrize("kind", [*KINDS, "sharded"])
@pytest.mark.parametrize("verify", [False, True])
def test_a_disk_that_fills_up_meanwhile(kind: str, verify: bool, tmp_path: Path) -> None:
    options = {"shards": (16, 256, 256)} if kind == "sharded" else {}
    kind = "new" if kind == "sharded" else kind
    with small_disk(tmp_path, 12) as disk:
        (disk / "place").mkdir()
        prepare(kind, disk / "place")
        with nothing_changes(disk / "place"):
            save = steps(kind, disk / "place", image(2), verify=verify, **options)
            next(save)
            free = shutil.disk_usage(disk).free
            (disk / "others").write_bytes(bytes(free - 3_000_000))
            with pytest.raises(StorageError, match=r"^The disk is full\."):
                list(save)


@POSIX
def test_a_disk_that_is_too_full_to_pack_the_file(tmp_path: Path) -> None:
    with small_disk(tmp_path, 12) as disk:
        save = steps("ozx", disk, image(2))
        for progress in save:
            if progress.message == "Packing":
                break
        (disk / "others").write_bytes(bytes(shutil.disk_usage(disk).free))
        # Each part is deleted once it is packed, so hardly more than one part is needed.
        with contextlib.suppress(StorageError):
            list(save)
        assert [name for name in os.listdir(disk) if name.startswith(".")] == []


# --- what the system refuses

MOMENTS: dict[str, tuple[Any, str]] = {
    "the arrays": (save_module, "unit_writer"),
    "the metadata": (save_module, "write_documents"),
    "the sync": (staging, "flush"),
    "the members of others": (local_swap, "carry_over"),
    "the rename": (local_swap, "publish"),
    "the packing": (single_file, "_add"),
    "the file's sync": (single_file.os, "fsync"),
    "the file's rename": (staging, "publish_file"),
}


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("kind", ["replace", "ozx replaced"])
def test_the_system_refuses_at_any_moment(
    kind: str, moment: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = {"replace": ("the sync", "the members of others", "the rename")}
    file = ("the packing", "the file's sync", "the file's rename")
    if (kind == "replace" and moment in file) or (kind != "replace" and moment in ours["replace"]):
        return  # this moment is one of the other kind
    prepare(kind, tmp_path)

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(code, os.strerror(code))

    with nothing_changes(tmp_path):
        save = steps(kind, tmp_path, image(2, 1))
        with monkeypatch.context() as patch:
            patch.setattr(*MOMENTS[moment], refuse)
            with pytest.raises(StorageError) as caught:
                list(save)
    full = code in (errno.ENOSPC, errno.EDQUOT)
    assert ("disk is full" in caught.value.summary) == full
    assert len(caught.value.summary) < 100


@pytest.mark.skipif(sys.platform == "win32", reason="Windows opens no folders")
@pytest.mark.parametrize("kind", ["replace", "ozx replaced"])
def test_the_old_image_is_kept_if_the_disk_fails_after_the_exchange(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(kind, tmp_path)
    old = contents(tmp_path)
    fsync = os.fsync

    def broken(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", broken)
        with pytest.raises(StorageError, match="the disk failed at the last step") as caught:
            list(steps(kind, tmp_path, image(2, 1)))
    kept = Path(str(caught.value.hint).split("kept in ")[1].removesuffix("."))
    assert kept.parent == tmp_path
    if kind == "replace":
        assert contents(kept) == {name.split("/", 1)[1]: value for name, value in old.items() if "/" in name}
    else:
        assert kept.read_bytes() == old["a.ozx"]
    list(steps(kind, tmp_path, image(2, 1)))
    assert not kept.exists()


@POSIX
@pytest.mark.parametrize("kind", KINDS)
def test_a_disk_that_nobody_may_write_to(kind: str, tmp_path: Path) -> None:
    with small_disk(tmp_path, 8) as disk:
        prepare(kind, disk)
        make_read_only(disk)
        with nothing_changes(disk), pytest.raises(StorageError, match=r"permission|cannot be written"):
            list(steps(kind, disk, image(2, 1)))


@pytest.fixture
def others_folder() -> Iterator[Path]:
    """A folder that belongs to somebody else, in one that everybody may look into."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)
        os.chmod(folder, 0o755)


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Without an administrator's rights, which are to write everywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@POSIX
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", [0o555, 0o000])
def test_a_folder_that_one_may_not_write_to(kind: str, mode: int, others_folder: Path) -> None:
    place = others_folder / "place"
    place.mkdir()
    prepare(kind, place)
    with nothing_changes(place):
        place.chmod(mode)
        if kind == "labels":  # it is the image's folder that is written to
            (place / "a.ome.zarr").chmod(mode)
        try:
            with (
                as_nobody(),
                pytest.raises(StorageError, match=r"permission|cannot be (written to|read)") as e,
            ):
                list(steps(kind, place, image(2, 1)))
            assert len(e.value.summary) < 100
        finally:
            place.chmod(0o755)
            if kind == "labels":
                (place / "a.ome.zarr").chmod(0o755)


# --- the source


def failing_dask() -> Any:
    def fail(block: np.ndarray, block_info: Any = None) -> np.ndarray:
        if block_info and block_info[0]["chunk-location"][0] == 2:
            raise RuntimeError("the detector is gone")
        return block

    zeros = dask.array.ones((32, 256, 256), chunks=(8, 256, 256), dtype="uint16")
    return zeros.map_blocks(fail, dtype="uint16", meta=np.zeros((0, 0, 0), "uint16"))


def damaged_zarr(tmp_path: Path) -> Any:
    """A level of which one chunk is garbage."""
    array = zarr.create_array(
        tmp_path / "source.zarr", shape=(32, 256, 256), chunks=(8, 256, 256), dtype="uint16"
    )
    array[...] = 1
    (tmp_path / "source.zarr" / "c" / "2" / "0" / "0").write_bytes(b"garbage")
    return dask.array.from_zarr(zarr.open_array(tmp_path / "source.zarr", mode="r"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("source", ["dask", "zarr"])
def test_a_source_that_fails_in_the_middle(kind: str, source: str, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    lazy, sentence = (
        (failing_dask(), "the detector is gone")
        if source == "dask"
        else (damaged_zarr(tmp_path), "Reading the image failed")
    )
    data = xarray.DataArray(lazy, dims=("z", "y", "x"))
    prepare(kind, place)
    with nothing_changes(place), pytest.raises(StorageError, match=sentence):
        list(steps(kind, place, data))


# --- cancel


@pytest.mark.parametrize(
    ("kind", "verify"), [(kind, False) for kind in KINDS] + [(kind, True) for kind in KINDS[:2]]
)
def test_cancelled_after_any_step(kind: str, verify: bool, tmp_path: Path) -> None:
    prepare(kind, tmp_path)
    for count in itertools.count():
        before, paths = contents(tmp_path), sorted(tmp_path.rglob("*"))
        save = steps(kind, tmp_path, image(2), verify=verify)
        done = list(itertools.islice(save, count))
        if done and done[-1].blocks_done == done[-1].blocks_total:
            break
        save.close()  # type: ignore[attr-defined]
        assert contents(tmp_path) == before
        assert sorted(tmp_path.rglob("*")) == paths
    assert count > (9 if verify else 5)


# --- two at once

HOLDER = """
    import sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[1])
    from tests.writing.test_faults import image, steps
    for kind in sys.argv[3:]:
        save = steps(kind, Path(sys.argv[2]), image(2, 1))
        next(save)
        print(kind, flush=True)
        sys.stdin.readline()
        save.close()
        print("closed", flush=True)
        sys.stdin.readline()
"""


def test_two_processes_at_once(tmp_path: Path) -> None:
    prepare("replace", tmp_path)
    root = str(Path(__file__).parents[2])
    kinds = ("replace", "labels", "ozx")
    other = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(HOLDER), root, str(tmp_path), *kinds],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdin is not None
    assert other.stdout is not None
    with other:
        for kind in kinds:
            assert other.stdout.readline().strip() == kind
            with nothing_changes(tmp_path), pytest.raises(TargetError, match="Another save to this place"):
                list(steps(kind, tmp_path, image(3, 1)))
            print(file=other.stdin, flush=True)
            assert other.stdout.readline().strip() == "closed"
            assert [name for name in os.listdir(tmp_path) if name.startswith(".")] == []
            print(file=other.stdin, flush=True)
    for kind in kinds:
        list(steps(kind, tmp_path, image(3, 1)))


@pytest.mark.parametrize("kind", ["new", "ozx"])
def test_many_threads_at_once(kind: str, tmp_path: Path) -> None:
    start, outcomes, refused = threading.Barrier(4), [], []

    def run(seed: int) -> None:
        start.wait()
        try:
            list(steps(kind, tmp_path, image(seed, 1)))
            outcomes.append(seed)
        except TargetError as error:
            refused.append(error.summary)

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [winner] = outcomes
    assert all(found.startswith(("Another save", "There is something already")) for found in refused)
    [name] = os.listdir(tmp_path)
    np.testing.assert_array_equal(open_ome_ngff(tmp_path / name).arrays["0"], image(winner, 1))


def test_label_images_onto_an_image_that_is_replaced_meanwhile(tmp_path: Path) -> None:
    """What the slower save wrote first is gone with the old image: it must not publish the rest."""
    prepare("replace", tmp_path)
    slow = steps("labels", tmp_path, image(2))
    list(itertools.islice(slow, 3))
    list(steps("replace", tmp_path, image(3, 1)))
    after = contents(tmp_path)
    assert not [name for name in after if ".ngff-" in name]
    with pytest.raises(StorageError, match=r"replaced the image meanwhile|cannot be written"):
        list(slow)
    assert contents(tmp_path) == after
    list(steps("labels", tmp_path, image(2, 1)))
    assert list(open_ome_ngff(tmp_path / "a.ome.zarr").labels) == ["cells"]


# --- the order of things on disk


@POSIX
@pytest.mark.parametrize("exchange", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_data_are_synced_before_the_rename_and_the_folder_after_it(
    kind: str, exchange: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(kind, tmp_path)
    done: list[str] = []

    def noting(module: Any, name: str, what: str) -> None:
        real: Callable[..., Any] = getattr(module, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            done.append(what)
            return real(*args, **kwargs)

        monkeypatch.setattr(module, name, call)

    if not exchange:
        monkeypatch.setattr(local_swap, "exchange", lambda *_: False)
    else:
        noting(local_swap, "exchange", "rename")
    noting(staging, "flush", "sync")
    noting(local_swap, "flush_folder", "folder")
    for name in ("rename", "replace", "link"):
        noting(os, name, "rename")
    fsync = os.fsync

    def noting_fsync(descriptor: int) -> None:
        done.append("sync" if os.path.isfile(os.readlink(f"/proc/self/fd/{descriptor}")) else "sync folder")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noting_fsync)
    save = steps(kind, tmp_path, image(2, 1))
    for _ in itertools.islice(save, 2):
        pass
    done.clear()
    list(save)
    ends = done[done.index("sync") :]
    assert ends[0] == "sync"
    assert ends[-2:] == ["folder", "sync folder"]
    assert "rename" in ends[1:-2]
    assert "sync" not in ends[ends.index("rename") :]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere each file is synced on its own")
def test_where_the_file_system_cannot_be_synced_at_once_each_file_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("a", "deep/b"):
        (tmp_path / name).write_text("x")
    synced: list[str] = []
    monkeypatch.setattr(folders.sys, "platform", "freebsd")
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(os.readlink(f"/proc/self/fd/{number}")))
    folders.flush(tmp_path)
    assert sorted(synced) == sorted(str(tmp_path / name) for name in ("a", "deep/b"))


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EINVAL, errno.ENOTSUP])
def test_what_could_not_be_synced_is_an_error_unless_nothing_can_be(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    (tmp_path / "a").write_text("x")
    monkeypatch.setattr(folders.sys, "platform", "freebsd")
    monkeypatch.setattr(os, "fsync", fail)
    if code in (errno.EINVAL, errno.ENOTSUP):  # how a file system says that it syncs nothing
        folders.flush(tmp_path)
    else:
        with pytest.raises(OSError, match=os.strerror(code)):
            folders.flush(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="a call of Linux")
def test_an_error_of_the_whole_file_system_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def __init__(self, *arguments: object, **options: object) -> None: ...

        def syncfs(self, handle: int) -> int:
            return -1

    monkeypatch.setattr(folders.ctypes, "CDLL", Broken)
    monkeypatch.setattr(folders.ctypes, "get_errno", lambda: errno.EIO)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        folders.flush(tmp_path)


LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux writes to disk meanwhile")


@LINUX
def test_files_are_written_to_disk_while_others_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = threading.Event()
    flush_file_system = folders._flush_file_system

    def noting(*arguments: Any) -> bool:
        again.set()
        return flush_file_system(*arguments)

    monkeypatch.setattr(folders, "_BETWEEN_FLUSHES", 0.001)
    monkeypatch.setattr(folders, "_flush_file_system", noting)
    save = steps("new", tmp_path, image(2, 1))
    for _ in save:
        again.clear()
        assert again.wait(10)
        break
    list(save)


@LINUX
def test_an_error_of_the_disk_that_was_told_meanwhile_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system tells it once: the flush in the end is told of none."""
    told = threading.Event()

    def once(*_: Any) -> bool:
        if told.is_set():
            return True
        told.set()
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    prepare("replace", tmp_path)
    monkeypatch.setattr(folders, "_BETWEEN_FLUSHES", 0.001)
    monkeypatch.setattr(folders, "_flush_file_system", once)
    with nothing_changes(tmp_path):
        save = steps("replace", tmp_path, image(2, 1))
        next(save)
        assert told.wait(10)
        with pytest.raises(StorageError, match=os.strerror(errno.EIO)):
            list(save)


@LINUX
def test_who_cancels_does_not_wait_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, over = threading.Event(), threading.Event()

    def slow(*_: Any) -> bool:
        begun.set()
        return over.wait(10)

    monkeypatch.setattr(folders, "_BETWEEN_FLUSHES", 0.001)
    monkeypatch.setattr(folders, "_flush_file_system", slow)
    save = steps("new", tmp_path, image(2, 1))
    next(save)
    assert begun.wait(10)
    save.close()
    assert list(tmp_path.iterdir()) == []
    assert not over.is_set()
    over.set()
    for thread in threading.enumerate():
        if thread.name == "ome-ngff-flush":
            thread.join(10)
            assert not thread.is_alive()
