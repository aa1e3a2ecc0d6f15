"""Locks of places that are written to, against other processes and threads."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from napari_ome_ngff.errors import StorageError, TargetError
from napari_ome_ngff.storage.pixels.process_state import held_locks
from napari_ome_ngff.storage.places.leftovers import LOCK, short


def another_save(where: str) -> TargetError:
    """Return the error for a target that somebody else is writing to."""
    return TargetError("Another save to this place is running.", where=where, hint="Wait until it has ended.")


@contextlib.contextmanager
def exclusive(target: Path) -> Iterator[bool]:
    """Hold the right to write at a target, against other processes and threads; refused if it is taken.

    A lock file lies beside the target meanwhile; the lock ends with its process, however that ends. Yields
    False if the file system has no locks: then the living cannot be told from the dead.
    """
    path = target.with_name(f".{short(target.name)}{LOCK}")
    held = held_locks()
    handle, locked = -1, None
    try:
        while True:
            handle = _open_lock(path)
            held.add(handle)
            locked = _lock(handle, target)
            # The holder before us may have removed the file between our opening and locking it.
            if not locked or _is_at(path, handle):
                break
            held.discard(handle)
            os.close(handle)
        yield locked
    finally:
        if handle in held:  # in a process that was forked meanwhile it is not
            try:
                if sys.platform != "win32":
                    _unlink(path, handle, target, locked=locked)
            finally:
                held.discard(handle)
                os.close(handle)
            # Windows deletes no file that is open, so none that somebody else has locked meanwhile.
            if sys.platform == "win32" and locked is not None:
                with contextlib.suppress(OSError):
                    path.unlink()


def _unlink(path: Path, handle: int, target: Path, *, locked: bool | None) -> None:
    """Delete the lock file while it is locked: whoever opened it meanwhile sees that it is another one."""
    with contextlib.suppress(OSError, TargetError):
        if locked is None:  # interrupted before that was known
            _lock(handle, target)
        if _is_at(path, handle):
            path.unlink()


def _open_lock(path: Path) -> int:
    """Open the lock file, making it if there is none; refused if something else is in its place."""
    flags = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o666)
        except PermissionError:  # somebody else's, who may be dead: that can be told with reading alone
            handle = os.open(path, os.O_RDONLY | flags)
    except OSError as error:
        if not path.is_symlink() and not path.is_dir():
            raise
        raise _no_lock(path) from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise _no_lock(path)
    return handle


def _no_lock(path: Path) -> StorageError:
    return StorageError(
        "Something else is in the place of the lock file.",
        where=str(path),
        hint="Look what it is; delete it.",
    )


def _is_at(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except OSError:
        return False


def _lock(handle: int, target: Path) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK):
            raise another_save(str(target)) from error
        return False
    return True
