"""Folders of a local file system: what is in them, and swapping, syncing, linking and deleting them."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import logging
import os
import shutil
import sys
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Literal

from napari_ome_ngff.storage.places.node_documents import kind_of_node

_log = logging.getLogger(__name__)


_AT_FDCWD = -100


_RENAME_EXCHANGE = 2


def node_kind(folder: Path) -> Literal["group", "array"] | None:
    """Whether a folder is a Zarr group, an array or neither; with a damaged ``zarr.json`` it is a group."""

    def read(name: str) -> bytes | None:
        try:  # a pipe would never answer
            return (folder / name).read_bytes() if os.path.isfile(folder / name) else None
        except OSError:
            return None

    # `Path.is_file` fails where one may not look.
    return kind_of_node(lambda name: os.path.isfile(folder / name), read)


def is_empty(folder: Path) -> bool:
    """Whether a path is a folder without anything in it."""
    try:
        return not os.listdir(folder)
    except OSError:
        return False


def remove(path: Path) -> None:
    """Delete a folder or file; what cannot be deleted is logged and stays."""
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        _log.warning("%s could not be deleted: %s", path, error)


def missing_above(folder: str | None) -> list[Path]:
    """Those of a folder and the folders above it that do not exist."""
    places = [] if folder is None else [Path(folder), *Path(folder).parents]
    return [place for place in places if not os.path.lexists(place)]


def remove_empty(folders: Iterable[Path]) -> None:
    """Delete those of some folders that are empty once the deeper ones are gone."""
    for folder in sorted(folders, key=lambda one: -len(one.parts)):
        with contextlib.suppress(OSError):  # not empty, or not there
            folder.rmdir()


def flush(folder: Path) -> None:
    """Have the system write a folder's files to disk; OSError if it cannot: then they must not be published.

    On Linux the whole file system is flushed in one call, elsewhere each file.
    """
    if sys.platform == "linux":
        handle = os.open(folder, os.O_RDONLY)
        try:
            if ctypes.CDLL(None, use_errno=True).syncfs(handle) == 0:
                return
        finally:
            os.close(handle)
        code = ctypes.get_errno()
        _raise_unless_unable(OSError(code, os.strerror(code), str(folder)))
    # Windows syncs only what is open for writing.
    mode = os.O_RDWR | getattr(os, "O_BINARY", 0) if sys.platform == "win32" else os.O_RDONLY
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                handle = os.open(os.path.join(root, name), mode)
            except PermissionError:  # a file of others that was carried over: it is on disk
                continue
            try:
                os.fsync(handle)
            except OSError as error:
                _raise_unless_unable(error)
            finally:
                os.close(handle)


def _raise_unless_unable(error: OSError) -> None:
    """Raise an error of syncing, unless it says that this file system or system cannot sync at all."""
    if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):
        raise error


def flush_folder(folder: Path) -> None:
    """Have the system write the names in a folder to disk, where it can; OSError if the disk fails."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except PermissionError:  # Windows opens no folders
        return
    try:
        os.fsync(handle)
    except OSError as error:  # some network file systems sync no folders, and say so in many ways
        if error.errno in (errno.EIO, errno.ENOSPC, errno.EDQUOT):
            raise
    finally:
        os.close(handle)


def exchange(one: Path, other: Path) -> bool:
    """Swap two paths of one file system in one step; False where the system has no such call (of Linux)."""
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        return False
    done = libc.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)
    if done == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM):
        return False
    raise OSError(code, os.strerror(code), str(other))


def link_tree(source: Path, target: Path, *, without: Collection[Path] = ()) -> None:
    """Make a second tree of the same files at a new path: hard links where there are any, else copies."""
    if source.is_symlink():
        os.symlink(os.readlink(source), target)
    elif source.is_dir():
        target.mkdir()
        for entry in os.scandir(source):
            if Path(entry.path) not in without:
                link_tree(Path(entry.path), target / entry.name, without=without)
        shutil.copystat(source, target)
    else:
        try:
            os.link(source, target)
        except OSError:  # no hard links here
            shutil.copy2(source, target)
