"""Folders of a local file system: what is in them, and swapping, syncing, linking and deleting them."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import logging
import os
import shutil
import stat
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, TypeVar

from napari_ome_ngff.storage.places.node_documents import kind_of_node

_log = logging.getLogger(__name__)


_T = TypeVar("_T")

_AT_FDCWD = -100


_EXCHANGE = 2  # RENAME_EXCHANGE of Linux and RENAME_SWAP of macOS

_SYNC_VOLUME = 1 | 2  # SYNC_VOLUME_FULLSYNC and SYNC_VOLUME_WAIT of macOS

DENIED, _SHARED, _LOCKED = 5, 32, 33
"""What Windows says of a file that is open somewhere, or of a folder with such a file (it says 5, too)."""

_WAITS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28)
"""Seconds between tries: virus scanners and search indexes let go of a file after a moment."""

_AT_ONCE = 16
"""Files that are synced at once where each is synced on its own: a disk does many in the time of one."""

_BETWEEN_FLUSHES = 0.25  # seconds


def is_open_elsewhere(error: BaseException) -> bool:
    """Whether Windows refuses what it does not do to files that a program, maybe this one, has open."""
    return getattr(error, "winerror", None) in (DENIED, _SHARED, _LOCKED)


def patiently(call: Callable[[], _T]) -> _T:
    """Call again for some seconds while a file that is renamed or deleted is open elsewhere."""
    for wait in _WAITS:
        try:
            return call()
        except OSError as error:
            if not is_open_elsewhere(error):
                raise
        time.sleep(wait)
    return call()


def rename(source: Path, target: Path) -> None:
    """Rename a file or folder; where something is, only POSIX replaces it."""
    patiently(lambda: os.rename(source, target))


def replace(source: Path, target: Path) -> None:
    """Put a file in the place of another one."""
    patiently(lambda: os.replace(source, target))


def check_movable(files: Iterable[Path]) -> None:
    """Raise OSError if the system would not let files be replaced now; only Windows ever refuses it."""
    if sys.platform == "win32":
        for file in files:
            with contextlib.suppress(FileNotFoundError):
                rename(file, file)
                if not file.stat().st_mode & stat.S_IWRITE:
                    raise PermissionError(errno.EACCES, "The file is read-only", str(file))


def node_kind(folder: Path) -> Literal["group", "array"] | None:
    """Whether a folder is a Zarr group, an array or neither; with a damaged ``zarr.json`` it is a group."""

    def exists(name: str) -> bool:  # `Path.is_file` fails where one may not look
        return os.path.isfile(os.path.join(folder, name))

    def read(name: str) -> bytes | None:
        try:  # a pipe would never answer
            return (folder / name).read_bytes() if exists(name) else None
        except OSError:
            return None

    return kind_of_node(exists, read)


def is_empty(folder: Path) -> bool:
    """Whether a path is a folder without anything in it."""
    try:
        return not os.listdir(folder)
    except OSError:
        return False


def remove(path: Path) -> None:
    """Delete a folder or file; what cannot be deleted is logged and stays."""
    try:
        patiently(lambda: _delete(path))
    except OSError as error:
        _log.warning("%s could not be deleted: %s", path, error)


def _delete(path: Path) -> None:
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    try:
        shutil.rmtree(path)
    except PermissionError:
        if sys.platform == "win32":  # which deletes nothing that is read-only
            for folder, _, names in os.walk(path):
                for name in names:
                    os.chmod(os.path.join(folder, name), stat.S_IWRITE)
        raise


def missing_above(folder: str | None) -> list[Path]:
    """Those of a folder and the folders above it that do not exist."""
    places = [] if folder is None else [Path(folder), *Path(folder).parents]
    return [place for place in places if not os.path.lexists(place)]


def remove_empty(folders: Iterable[Path]) -> None:
    """Delete those of some folders that are empty once the deeper ones are gone."""
    for folder in sorted(folders, key=lambda one: -len(one.parts)):
        with contextlib.suppress(OSError):  # not empty, or not there
            folder.rmdir()


@contextlib.contextmanager
def flushed_meanwhile(folder: Path) -> Iterator[None]:
    """Have Linux write the files of a folder to disk while they are made: `flush` waits for the last ones."""
    # The system tells an error once, to who asks first: it is raised here, or `flush` would know of none.
    over, errors = threading.Event(), list[OSError]()

    def flush_again() -> None:
        try:
            handle = os.open(folder, os.O_RDONLY)
            try:
                took = 0.0  # a slow disk has as long for others
                while not over.wait(max(_BETWEEN_FLUSHES, took)):
                    begun = time.monotonic()
                    if not _flush_file_system(handle, folder):
                        break
                    took = time.monotonic() - begun
            finally:
                os.close(handle)
        except OSError as error:
            errors.append(error)

    if sys.platform != "linux":
        yield
        return
    thread = threading.Thread(target=flush_again, name="ome-ngff-flush", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(1)  # who cancels does not wait for a slow disk, and else can eject it
    thread.join()
    if errors:
        raise errors[0]


def flush(folder: Path) -> None:
    """Have the system write a folder's files to disk; OSError if it cannot: then none may be published."""
    if sys.platform in ("linux", "darwin"):
        handle = os.open(folder, os.O_RDONLY)
        try:
            if _flush_file_system(handle, folder):  # in one call
                return
        finally:
            os.close(handle)
    files = (os.path.join(root, name) for root, _, names in os.walk(folder) for name in names)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for _ in pool.map(_flush_file, files):
            pass


def _flush_file_system(handle: int, folder: Path) -> bool:
    """Flush the file system that an open folder is on; False where the system cannot."""
    libc = ctypes.CDLL(None, use_errno=True)
    mac = sys.platform == "darwin"
    failed = libc.fsync_volume_np(handle, _SYNC_VOLUME) if mac else libc.syncfs(handle)
    if failed:
        code = ctypes.get_errno()
        _raise_unless_unable(OSError(code, os.strerror(code), str(folder)))
    return not failed


def _flush_file(path: str) -> None:
    # Windows syncs only what is open for writing.
    mode = os.O_RDWR | getattr(os, "O_BINARY", 0) if sys.platform == "win32" else os.O_RDONLY
    try:
        handle = os.open(path, mode)
    except PermissionError:  # a file of others that was carried over: it is on disk
        return
    try:
        os.fsync(handle)
    except OSError as error:
        _raise_unless_unable(error)
    finally:
        os.close(handle)


def _raise_unless_unable(error: OSError) -> None:
    """Raise an error of syncing, unless it says that this file system or system cannot sync at all."""
    if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EPERM):
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
    """Swap two paths of one file system in one step; False where the system has no such call, as Windows."""
    if sys.platform not in ("linux", "darwin"):
        return False
    libc, paths = ctypes.CDLL(None, use_errno=True), (os.fsencode(one), os.fsencode(other))
    if sys.platform == "darwin":
        failed = libc.renamex_np(*paths, _EXCHANGE)
    elif hasattr(libc, "renameat2"):
        failed = libc.renameat2(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _EXCHANGE)
    else:
        return False
    if not failed:
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
