"""Put a new folder in an old one's place: locks, names, and what dead processes left behind. Local only."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import secrets
import sys
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from napari_ome_ngff.errors import StorageError
from napari_ome_ngff.storage.places.folders import (
    METADATA,
    exchange,
    flush_folder,
    is_empty,
    link_tree,
    node_kind,
    remove,
)

_log = logging.getLogger(__name__)


def new_part(target: Path) -> Path:
    """Return a fresh name beside a target for the hierarchy in the making.

    Parameters
    ----------
    target
        Where the hierarchy will be.

    Returns
    -------
    pathlib.Path
        Hidden, on the same file system, recognisable as ours.

    Examples
    --------
    >>> import re
    >>> re.sub("[0-9a-f]{8}", "x", new_part(Path("/data/a.zarr")).name)
    '.a.zarr.x.ngff-part'
    """
    return target.with_name(f".{_stem(target)}.{secrets.token_hex(4)}.ngff-part")


@contextlib.contextmanager
def made(folder: Path) -> Iterator[Callable[[], bool]]:
    """Make a folder, and know it again: whoever replaces the folder above takes it away with that.

    Parameters
    ----------
    folder
        A path where nothing is.

    Yields
    ------
    callable
        Tells whether the folder at this path is still the one that was made.

    Raises
    ------
    OSError
        If it cannot be made.
    """
    folder.mkdir()
    # Held open, so that its number is not given to another one. Windows opens no folders.
    handle = os.open(folder, os.O_RDONLY) if hasattr(os, "O_DIRECTORY") else None
    try:
        yield lambda: handle is None or os.path.samestat(os.fstat(handle), folder.stat())
    finally:
        if handle is not None:
            os.close(handle)


@contextlib.contextmanager
def exclusive(target: Path) -> Iterator[bool]:
    """Hold the right to write at a place, against other processes and threads.

    The lock ends with its process, however that ends.

    Parameters
    ----------
    target
        The place; a lock file is made beside it and removed at the end.

    Yields
    ------
    bool
        False if the file system has no locks: then others cannot be told apart from the dead.

    Raises
    ------
    BlockingIOError
        If somebody else is writing there.
    OSError
        If nothing can be written beside the target.
    """
    path = target.with_name(f".{_stem(target)}.ngff-lock")
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            locked = _lock(handle)
            # The holder before us may have removed the file between our opening and locking it.
            current = not locked or (path.exists() and os.path.samestat(os.fstat(handle), path.stat()))
        except BaseException:
            os.close(handle)
            raise
        if current:
            break
        os.close(handle)
    try:
        yield locked
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(handle)


def recover(target: Path) -> None:
    """Clean up what a process that was killed left beside a target; only under its lock.

    A hierarchy that had been moved aside and not yet been replaced is moved back. If something else took its
    place meanwhile, it gets a name of its own.

    Parameters
    ----------
    target
        The place that was written to.
    """
    for path in leftovers(target):
        unfinished = path.with_name(path.name.removesuffix("old") + "part")
        if path.name.endswith("part") or not unfinished.exists():
            remove(path)
            _log.info("Removed %s, left by an interrupted save.", path)
        else:
            back = target if not os.path.lexists(target) else _rescued(path, target)
            os.rename(path, back)
            _log.warning("A save to %s was interrupted; what was there before is at %s.", target, back)


def leftovers(target: Path) -> list[Path]:
    """Return what interrupted saves left beside a target.

    Parameters
    ----------
    target
        The place that was written to.

    Returns
    -------
    list of pathlib.Path
        What was moved aside comes before what was in the making.
    """
    ours = re.compile(re.escape(f".{_stem(target)}.") + r"[0-9a-f]{8}\.ngff-(part|old)")
    try:
        names = [name for name in os.listdir(target.parent) if ours.fullmatch(name)]
    except OSError:
        return []
    return [target.with_name(name) for name in sorted(names, key=lambda n: (n.endswith("part"), n))]


def carry_over(old: Path, new: Path, obsolete: Collection[Path]) -> None:
    """Give a new group the members of the old one that it does not replace.

    Files are linked where the file system can, so that the old group stays whole until it is deleted and
    nothing is copied.

    Parameters
    ----------
    old, new
        Folders of the two groups.
    obsolete
        Paths in `old` that end with it.
    """
    if node_kind(old) != "group":
        return
    for entry in os.scandir(old):
        here, there = Path(entry.path), new / entry.name
        if entry.name in METADATA or here in obsolete or _is_in_the_making(here):
            continue
        if not os.path.lexists(there):
            link_tree(here, there, without=obsolete)
        elif node_kind(there) == "group":
            carry_over(here, there, obsolete)


def _is_in_the_making(path: Path) -> bool:
    """Whether it is of a save inside the old group: of one that died, or that ends without its folder."""
    if path.name.startswith(".") and path.name.endswith(".ngff-part"):
        # What was moved aside is only known as such while this is there.
        return not os.path.lexists(path.with_name(path.name.removesuffix("part") + "old"))
    return path.name.startswith(".") and path.name.endswith(".ngff-lock")


def publish(part: Path, target: Path) -> Path | None:
    """Put a finished folder in its place, in one step where the system can.

    Parameters
    ----------
    part
        The finished folder.
    target
        Its place. What is there is swapped out; an empty folder is replaced.

    Returns
    -------
    pathlib.Path or None
        Where the old one is now, to be deleted.

    Raises
    ------
    OSError
        If renaming fails; then the target is as before.
    """
    if not os.path.lexists(target) or is_empty(target):
        if os.path.lexists(target):
            target.rmdir()
        os.rename(part, target)
        return None
    if exchange(part, target):
        return part
    aside = part.with_name(part.name.removesuffix("part") + "old")
    os.rename(target, aside)  # if we end here, `recover` moves it back
    try:
        os.rename(part, target)
    except BaseException:
        if not os.path.lexists(target):
            os.rename(aside, target)
        raise
    return aside


def conclude(target: Path, old: Path | None) -> None:
    """Have it written to disk that a place was taken, and delete what was there only then.

    Parameters
    ----------
    target
        The place.
    old
        Where the old one is now, from `publish`.

    Raises
    ------
    StorageError
        If the disk fails: then both are kept until the next save to this place.
    """
    try:
        flush_folder(target.parent)
    except OSError as error:
        raise StorageError(
            "The new image is in its place, but the disk failed at the last step.",
            where=str(target),
            found=str(error),
            hint="Check the disk." if old is None else f"Check the disk. The old image is kept in {old}.",
        ) from error
    if old is not None:
        remove(old)


def _rescued(aside: Path, target: Path) -> Path:
    return target.with_name(f"rescued-{aside.name.split('.')[-2]}-{_stem(target)}")


def _stem(target: Path) -> str:
    # Our names are longer than the target's by up to 20 bytes, and 255 are allowed.
    return target.name.encode()[:200].decode(errors="ignore")


def _lock(handle: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK):
            raise BlockingIOError(error.errno, "another save is running") from error
        return False
    return True
