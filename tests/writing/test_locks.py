"""The lock beside a target, and what an interrupted save leaves: nothing that stays for good."""

from __future__ import annotations

import errno
import multiprocessing
import os
import stat
import sys
import threading
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray
import zarr

from napari_ome_ngff import LabelImage, MultiscaleSource, open_ome_ngff, write_labels, write_multiscale_group
from napari_ome_ngff.errors import StorageError, TargetError
from napari_ome_ngff.writing.commit import local_swap

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other locks and no fork")

KINDS = ("new", "replace", "replace, no exchange", "labels", "ozx", "ozx replaced")
STEP = int(os.environ.get("NAPARI_OME_NGFF_FAULT_STEP", "4"))
"""Every fourth call fails; 1 is for campaigns."""

CALLS = ("open", "close", "mkdir", "rename", "replace", "link", "unlink", "rmdir", "fsync", "stat", "listdir")


def image(value: int) -> xarray.DataArray:
    return xarray.DataArray(np.full((8, 8), value, "uint8"), dims=("y", "x"))


def save(kind: str, folder: Path, value: int) -> None:
    if kind == "labels":
        labels = {"cells": MultiscaleSource(image=image(value), label_image=LabelImage())}
        write_labels(store=folder / "a.ome.zarr", labels=labels, overwrite=True).run()
        return
    target = folder / ("a.ozx" if kind.startswith("ozx") else "a.ome.zarr")
    write_multiscale_group(store=target, image=image(value), overwrite=True).run()


def prepare(kind: str, folder: Path) -> None:
    if kind not in ("new", "ozx"):
        save("ozx" if kind.startswith("ozx") else "new", folder, 1)
    if kind == "labels":
        save("labels", folder, 1)


def value(kind: str, folder: Path) -> int | None:
    """What is there, looked at by what opens it; None if that is nothing."""
    target = folder / ("a.ozx" if kind.startswith("ozx") else "a.ome.zarr")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a broken save moved aside
        try:
            opened: Any = open_ome_ngff(target)
        except StorageError:
            return None
    levels = opened.labels["cells"].arrays if kind == "labels" else opened.arrays
    (number,) = np.unique(levels["0"].values)
    return int(number)


def left(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.ngff-*"))


@pytest.mark.parametrize(
    ("kind", "error"),
    [(kind, partial(OSError, errno.EIO, "broken")) for kind in KINDS]
    + [(kind, KeyboardInterrupt) for kind in ("replace", "ozx replaced")],
)
def test_whatever_call_fails_the_next_save_cleans_up(
    kind: str, error: Callable[[], BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call with what a save has beside its target, from the first to the last, fails once."""
    if kind == "replace, no exchange":
        monkeypatch.setattr(local_swap, "exchange", lambda *_: False)
    folder = tmp_path / "place"
    count, moment = 1, 1 - STEP % 2

    def failing(name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            where = "" if isinstance(args[0], int) else os.path.basename(str(args[0]))
            if ".ngff-" not in where or threading.current_thread() is not threading.main_thread():
                return real(*args, **kwargs)
            count += 1
            if count == moment:
                raise error()
            return real(*args, **kwargs)

        return call

    while count >= moment:
        folder.mkdir()
        prepare(kind, folder)
        before = value(kind, folder)
        moment, count = moment + STEP, 0
        with monkeypatch.context() as patch:
            for name in CALLS:
                patch.setattr(os, name, failing(name))
            try:
                save(kind, folder, 2)
                wanted = {2}
            except (StorageError, KeyboardInterrupt):
                wanted = {before, 2}
        assert value(kind, folder) in wanted, moment
        save(kind, folder, 3)
        assert value(kind, folder) == 3
        assert left(folder) == [], moment
        folder.rename(tmp_path / f"done{moment}")
    assert moment > STEP


def _hold(ready: Any, end: Any) -> None:
    ready.set()
    end.wait(60)


def _save_with_workers_and_die(folder: Path, ready: Any, end: Any) -> None:
    fork = multiprocessing.get_context("fork")
    steps = write_multiscale_group(store=folder / "a.ome.zarr", image=image(2), overwrite=True)
    next(steps)
    fork.Process(target=_hold, args=(ready, end)).start()
    ready.wait(60)
    os.kill(os.getpid(), 9)


def test_workers_that_outlive_a_killed_save_do_not_hold_its_lock(tmp_path: Path) -> None:
    save("new", tmp_path, 1)
    fork = multiprocessing.get_context("fork")
    ready, end = fork.Event(), fork.Event()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks where there are threads
        killed = fork.Process(target=_save_with_workers_and_die, args=(tmp_path, ready, end))
        killed.start()
    assert ready.wait(60)
    while killed.is_alive():  # `join` waits for the worker too, which has inherited its pipe
        time.sleep(0.01)
    try:
        assert ready.is_set()
        save("replace", tmp_path, 3)
    finally:
        end.set()
    assert value("replace", tmp_path) == 3
    assert left(tmp_path) == []


@pytest.mark.parametrize("what", ["link to a file", "link to nothing", "pipe", "folder"])
def test_what_is_planted_in_place_of_the_lock_is_not_followed(what: str, tmp_path: Path) -> None:
    lock, other = tmp_path / ".a.ome.zarr.ngff-lock", tmp_path / "other"
    if what == "link to a file":
        other.write_text("mine")
    if what.startswith("link"):
        lock.symlink_to(other)
    elif what == "pipe":
        os.mkfifo(lock)
    else:
        lock.mkdir()
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(StorageError, match="in the place of the lock"):
        save("new", tmp_path, 1)
    assert sorted(os.listdir(tmp_path)) == before
    assert not other.exists() or other.read_text() == "mine"


def test_a_stale_lock_of_somebody_else_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, open_ = tmp_path / ".a.ome.zarr.ngff-lock", os.open
    lock.touch()

    def not_to_be_written(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        if path == lock and flags & os.O_RDWR:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return open_(path, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", not_to_be_written)
    save("new", tmp_path, 1)
    assert os.listdir(tmp_path) == ["a.ome.zarr"]


@pytest.mark.parametrize("protected", ["", "zarr.json"])
@pytest.mark.parametrize("name", ["a.ome.zarr", "a.ozx"])
def test_what_is_write_protected_is_not_replaced(name: str, protected: str, tmp_path: Path) -> None:
    kind = "ozx" if name == "a.ozx" else "new"
    save(kind, tmp_path, 1)
    path = tmp_path / name / protected if kind == "new" else tmp_path / name
    path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o222)
    with pytest.raises(TargetError, match="write-protected"):
        save(kind, tmp_path, 2)
    assert value(kind, tmp_path) == 1


@pytest.mark.parametrize("elsewhere", ["outside", "in another group"])
def test_labels_may_be_a_link_elsewhere(elsewhere: str, tmp_path: Path) -> None:
    prepare("labels", tmp_path)
    labels, other = tmp_path / "a.ome.zarr" / "labels", tmp_path / "labels elsewhere"
    if elsewhere == "in another group":
        zarr.create_group(tmp_path / "others.zarr")
        other = tmp_path / "others.zarr" / "labels"
    labels.rename(other)
    labels.symlink_to(other)
    nuclei = {"nuclei": MultiscaleSource(image=image(2), label_image=LabelImage())}
    write_labels(store=tmp_path / "a.ome.zarr", labels=nuclei).run()
    opened: Any = open_ome_ngff(tmp_path / "a.ome.zarr")
    assert labels.is_symlink()
    assert sorted(opened.labels) == ["cells", "nuclei"]
    assert left(tmp_path) == []


@pytest.mark.parametrize("name", ["zarr.json", ".zattrs", ".zgroup"])
def test_a_pipe_in_place_of_a_document_is_refused(name: str, tmp_path: Path) -> None:
    version = "0.5" if name == "zarr.json" else "0.4"
    target = tmp_path / "a.ome.zarr"
    write_multiscale_group(store=target, image=image(1), ngff_version=version).run()
    (target / name).unlink()
    os.mkfifo(target / name)
    with pytest.raises(TargetError, match=r"no Zarr|not a Zarr"):
        save("replace", tmp_path, 2)
    assert stat.S_ISFIFO((target / name).stat().st_mode)
