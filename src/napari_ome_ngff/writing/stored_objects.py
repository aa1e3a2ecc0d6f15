"""Stored objects of Zarr, byte for byte: copied from store to store, and compared."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from napari_ome_ngff.storage.places.requests import for_each
from napari_ome_ngff.storage.places.store_kind import local_folder

if TYPE_CHECKING:
    from zarr.abc.store import Store

_T = TypeVar("_T")

Pair = tuple[str, str]
"""Keys of an object in one store and in another."""

_PIECE = 2**20

_MOST = 2**30  # bytes of one call

# What file systems say that copy nothing in the kernel, or not to one another; and if the target exists.
_UNABLE = frozenset(
    (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EBADF, errno.EEXIST)
)


def copy_objects(source: Store, target: Store, pairs: Sequence[Pair], *, at_once: int) -> None:
    """Copy stored objects; those that are missing stay missing.

    Nothing passes through this process' memory from folder to folder, or where a server copies by itself;
    elsewhere `at_once` objects may be in memory.
    """
    folders = _local_folders(source, target)
    if folders is not None:
        for old, new in _paths(pairs, *folders):
            _copy_file(old, new)
    elif source is target and hasattr(source, "copy_key"):
        for_each(pairs, lambda pair: source.copy_key(*pair), at_once=at_once)
    else:
        for_each(pairs, lambda pair: _copy_key(source, target, pair), at_once=at_once)


def same_objects(source: Store, target: Store, pairs: Sequence[Pair], *, at_once: int) -> list[bool]:
    """Tell of each pair of objects whether they are the same, or both missing."""
    folders = _local_folders(source, target)
    if folders is None:
        return for_each(pairs, lambda pair: _is_same_key(source, target, pair), at_once=at_once)
    return [_is_same_file(one, other) for one, other in _paths(pairs, *folders)]


def between_folders(source: Store, target: Store) -> bool:
    """Whether both stores are folders of this machine."""
    return _local_folders(source, target) is not None


def _local_folders(source: Store, target: Store) -> tuple[str, str] | None:
    old, new = local_folder(source), local_folder(target)
    return None if old is None or new is None else (old, new)


def _paths(pairs: Sequence[Pair], source: str, target: str) -> list[tuple[str, str]]:
    old, new = os.path.join(source, ""), os.path.join(target, "")
    if os.sep == "/":
        return [(old + a, new + b) for a, b in pairs]
    return [(old + a.replace("/", os.sep), new + b.replace("/", os.sep)) for a, b in pairs]


def _copy_file(source: str, target: str) -> None:
    if sys.platform == "linux":
        try:  # a pipe is opened at once, and not waited for
            reading = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except (FileNotFoundError, NotADirectoryError):
            return
        try:
            status = os.fstat(reading)
            if stat.S_ISDIR(status.st_mode) or (
                stat.S_ISREG(status.st_mode) and _copy_in_kernel(reading, target, status.st_size)
            ):
                return
        finally:
            os.close(reading)
    elif not _exists(source):
        return
    _in_new_folder(lambda: shutil.copyfile(source, target), target)  # never into the file that it reads


def _copy_in_kernel(reading: int, target: str, size: int) -> bool:
    """Copy a regular file within the system, which may share its blocks; False where it cannot."""
    # `shutil.copyfile` makes a pipe and two file objects for each file: 25 µs of processor time more.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        writing = _in_new_folder(lambda: os.open(target, flags, 0o666), target)
        try:
            while size > 0 and (count := os.copy_file_range(reading, writing, min(size, _MOST))):
                size -= count
        finally:
            os.close(writing)
    except OSError as error:
        if error.errno not in _UNABLE:
            raise
        return False
    return size <= 0


def _in_new_folder(make: Callable[[], _T], target: str) -> _T:
    try:
        return make()
    except FileNotFoundError:
        folder = os.path.dirname(target)
        try:
            os.mkdir(folder)
        except (FileNotFoundError, FileExistsError):  # others make folders, too
            os.makedirs(folder, exist_ok=True)
        return make()


def _exists(path: str) -> bool:
    # A file, or something else in its place that is no folder.
    try:
        return not stat.S_ISDIR(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _is_same_file(one: str, other: str) -> bool:
    exist = _exists(one), _exists(other)
    if not all(exist):
        return exist[0] == exist[1]
    with open(one, "rb", buffering=0) as first, open(other, "rb", buffering=0) as second:
        while True:
            piece = first.read(_PIECE)
            if piece != second.read(_PIECE):
                return False
            if not piece:
                return True


async def _copy_key(source: Store, target: Store, pair: Pair) -> None:
    from zarr.core.buffer import default_buffer_prototype

    prototype = default_buffer_prototype()
    content = await source.get(pair[0], prototype)
    if content is not None:
        # Other bytes: two stores in memory must not share them.
        await target.set(pair[1], prototype.buffer.from_bytes(content.to_bytes()))


async def _is_same_key(source: Store, target: Store, pair: Pair) -> bool:
    from zarr.core.buffer import default_buffer_prototype

    prototype = default_buffer_prototype()
    one, other = await source.get(pair[0], prototype), await target.get(pair[1], prototype)
    if one is None or other is None:
        return one is other
    return one.to_bytes() == other.to_bytes()
