"""Local folders: put a new folder in its place, clean up after processes that died."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path

from napari_ome_ngff.errors import StorageError, TargetError
from napari_ome_ngff.storage.edits.locks import exclusive
from napari_ome_ngff.storage.places.folders import (
    exchange,
    flush_folder,
    is_empty,
    link_tree,
    node_kind,
    patiently,
    remove,
    rename,
)
from napari_ome_ngff.storage.places.leftovers import (
    LOCK,
    OLD,
    PART,
    in_the_making,
    leftovers,
    moved_aside,
    short,
)
from napari_ome_ngff.storage.places.node_documents import DOCUMENTS
from napari_ome_ngff.writing.commit.temporary import undone_by

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def new_folder(folder: Path, *, like: Path) -> Iterator[Callable[[], bool]]:
    """Make a folder; yields a function that tells whether the folder at this path is still that one.

    Whoever replaces the folder above takes it away with that. It has the mode and the group of the folder
    that it is to be in place of, so that what is made in it inherits them.
    """
    folder.mkdir()
    if like.is_dir():
        if hasattr(os, "chown"):
            with contextlib.suppress(OSError):  # the group is not one of ours
                if (group := like.stat().st_gid) != folder.stat().st_gid:
                    os.chown(folder, -1, group)
        folder.chmod(like.stat().st_mode & 0o7777 | 0o700)
    made = folder.stat()
    # Held open, so that its number is not given to another one. Windows opens none, and reuses none.
    handle = os.open(folder, os.O_RDONLY) if hasattr(os, "O_DIRECTORY") else None
    try:
        yield lambda: os.path.samestat(made, folder.stat())
    finally:
        if handle is not None:
            os.close(handle)


def recover(target: Path, *, alone: bool) -> None:
    """Clean up what a killed process left beside a target; only under its lock, if there are locks.

    A hierarchy that was moved aside and not replaced is moved back. If something else took its place
    meanwhile, it gets a new name. A link stays for those that have opened it, until the next save has ended.
    """
    if not alone:
        if aside := moved_aside(target):
            raise TargetError(
                "A save to this place was interrupted, or is running: without locks nobody can tell.",
                where=str(target),
                found=str(aside),
                hint="If none is running, give what was found its name back.",
            )
        return
    for path in leftovers(target):
        if path.is_symlink():
            continue
        if path.name.endswith(PART) or not os.path.lexists(in_the_making(path)):
            remove(path)
            _log.info("Removed %s, left by an interrupted save.", path)
        else:
            back = target if not os.path.lexists(target) else _rescued(path, target)
            rename(path, back)
            with contextlib.suppress(OSError, NotImplementedError):
                path.symlink_to(back.name)
            _log.warning("A save to %s was interrupted; what was there before is at %s.", target, back)


def restore(target: Path) -> None:
    """Move a hierarchy back that a killed process moved aside; refused while another save is running."""
    if moved_aside(target) is not None:
        with exclusive(target) as alone:
            recover(target, alone=alone)


def remove_links(target: Path) -> None:
    """Delete the links that `recover` has made."""
    for path in leftovers(target):
        if path.is_symlink():
            remove(path)


def carry_over(old: Path, new: Path, obsolete: Collection[Path]) -> None:
    """Give a new group the members of the old one that it does not replace, but for those that are obsolete.

    Files are linked where the file system can: the old group stays whole until it is deleted, and nothing is
    copied.
    """
    if node_kind(old) != "group":
        return
    for entry in os.scandir(old):
        source, target = Path(entry.path), new / entry.name
        if entry.name in DOCUMENTS or source in obsolete or _is_of_a_save(source):
            continue
        if not os.path.lexists(target):
            link_tree(source, target, without=obsolete)
        elif node_kind(target) == "group":
            carry_over(source, target, obsolete)


def _is_of_a_save(path: Path) -> bool:
    """Whether a save inside the old group made it: one that died, or that ends without its folder."""
    if path.name.startswith(".") and path.name.endswith(OLD):
        # What was replaced, and could not be deleted then: see `recover`.
        return path.is_symlink() or not os.path.lexists(in_the_making(path))
    if path.name.startswith(".") and path.name.endswith(PART):
        # What was moved aside is only recognised while this is there.
        return not os.path.lexists(path.with_name(path.name.removesuffix(PART) + OLD))
    return path.name.startswith(".") and path.name.endswith(LOCK)


def publish(part: Path, target: Path) -> Path | None:
    """Put a finished folder in its place, in one step where the system can.

    If renaming fails, nothing has changed. Returns where the old one is now, to be deleted; None if there was
    none, or an empty folder. The working directory of this process goes along.
    """
    is_here = False
    with contextlib.suppress(OSError):  # nothing there, or the working directory was deleted
        is_here = os.path.samefile(os.curdir, target)
    if is_here and sys.platform == "win32":  # which renames no folder that a process is in
        os.chdir(target.parent)
    try:
        return _put(part, target)
    finally:
        if is_here:
            os.chdir(target)


def _put(part: Path, target: Path) -> Path | None:
    if not os.path.lexists(target) or is_empty(target):
        if os.path.lexists(target):
            patiently(target.rmdir)
        rename(part, target)
        return None
    if exchange(part, target):
        return part
    aside = part.with_name(part.name.removesuffix(PART) + OLD)
    rename(target, aside)  # if we end here, `recover` moves it back
    with undone_by(partial(_move_back, aside, target)):
        rename(part, target)
    return aside


def _move_back(aside: Path, target: Path) -> None:
    if not os.path.lexists(target):
        rename(aside, target)


def flush_and_remove(target: Path, old: Path | None) -> None:
    """Have the system write to disk that a place was taken, and only then delete what was there.

    If the disk fails, both are kept until the next save to this place.
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
    return target.with_name(f"rescued-{aside.name.split('.')[-2]}-{short(target.name)}")
