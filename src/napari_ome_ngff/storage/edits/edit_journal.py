"""The journal of an edit: new chunks lie beside the image until all are there, then they take their places.

``.NAME.ngff-edit/new/`` has the new files, under the keys of those that they replace. From when
``.NAME.ngff-edit/journal.json`` is there, which says what is replaced and deleted, the edit is decided: who
finds it finishes it, in the very folder that was edited. One without it was never decided: it is deleted.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable
from contextlib import ExitStack
from functools import partial
from pathlib import Path, PurePosixPath

from napari_ome_ngff.errors import StorageError, TargetError, give_warning
from napari_ome_ngff.storage.edits.locks import exclusive
from napari_ome_ngff.storage.places.folders import (
    check_movable,
    flush,
    flush_folder,
    patiently,
    remove,
    remove_empty,
    replace,
)
from napari_ome_ngff.storage.places.leftovers import short

EDIT = ".ngff-edit"
"""End of the name of the folder beside an image that is edited."""


NEW, JOURNAL = "new", "journal.json"

MAX_JOURNAL = 2**28
"""Bytes of a journal: the keys of some millions of chunks."""

_log = logging.getLogger(__name__)


def journal_folder(target: Path) -> Path:
    """Where the journal of an edit of the image in a folder is."""
    return target.with_name(f".{short(target.name)}{EDIT}")


def lock_images(stack: ExitStack, *targets: Path) -> None:
    """Keep other saves away from images, and from those that they are on; TargetError if one is running."""
    folders: dict[Path, None] = {}
    for target in targets:
        around = (target.parent.parent, target.parent) if target.parent.name == "labels" else ()
        folders |= dict.fromkeys((*around, target))
    for folder in folders:
        stack.enter_context(exclusive(folder))


def decide(target: Path, *, replaced: Iterable[str], removed: Iterable[str]) -> None:
    """Have the system write all new chunks to disk, and then the journal: the edit will be done now."""
    folder = journal_folder(target)
    flush(folder)
    lists = {"replaced": sorted(replaced), "removed": sorted(removed)}
    _check_inside(target, [key for keys in lists.values() for key in keys])
    check_movable(target / key for keys in lists.values() for key in keys)
    document = {"folder": target.stat().st_ino, **lists}
    draft = folder / f"{JOURNAL}.new"
    with open(draft, "w", encoding="utf-8") as file:
        json.dump(document, file)
        file.flush()
        os.fsync(file.fileno())
    if draft.stat().st_size > MAX_JOURNAL:
        raise StorageError(
            "This edit changes too many chunks at once.",
            where=str(target),
            hint="Save more often, or save it as a new image.",
        )
    replace(draft, folder / JOURNAL)
    flush_folder(folder)


def abandon(target: Path) -> None:
    """Delete an edit that goes no further: nothing of it has taken its place."""
    folder = journal_folder(target)
    # First: with it, what is left would count as decided.
    patiently(lambda: (folder / JOURNAL).unlink(missing_ok=True))
    remove(folder)


def finish(target: Path) -> bool:
    """Finish an edit that was decided, or delete what is left of one that was not; only under its lock.

    Each file takes its place in one step, and may have done so before. Whether one was finished.
    """
    folder = journal_folder(target)
    if not os.path.lexists(folder):
        return False
    if folder.is_symlink() or not folder.is_dir():
        raise _damaged(folder, "something else has the name of its folder")
    if not os.path.lexists(folder / JOURNAL):
        remove(folder)
        return False
    replaced, removed = _read(target, folder / JOURNAL)
    for key in replaced:
        if (folder / NEW / key).is_file() and not (folder / NEW / key).is_symlink():
            (target / key).parent.mkdir(parents=True, exist_ok=True)
            replace(folder / NEW / key, target / key)
    for key in removed:
        patiently(partial((target / key).unlink, missing_ok=True))
    emptied = {target / above for key in removed for above in PurePosixPath(key).parents}
    remove_empty(emptied - {target})
    flush(target)
    remove(folder)
    return True


def finish_before_save(target: Path) -> None:
    """Finish the edits of what a save replaces or puts aside, and of what it is in; only under its lock.

    Done later, they would change what was saved.
    """
    for above in _edited(target.parents):
        with ExitStack() as stack:
            lock_images(stack, above)
            finish(above)
    for folder in (target, target / "labels"):
        for journal in folder.glob(f".*{EDIT}"):
            finish(folder / journal.name[1 : -len(EDIT)])
    finish(target)


def finish_interrupted(target: Path) -> None:
    """Finish the edits of an image, and of what it is in, that were interrupted, before the image is read.

    One that goes on is left alone. A warning says if it cannot be finished.
    """
    for edited in _edited((target, *target.parents)):
        _finish_to_read(edited)


def _edited(folders: Iterable[Path]) -> list[Path]:
    """Those of some folders that have a journal beside them."""
    return [folder for folder in folders if folder.name and os.path.lexists(journal_folder(folder))]


def _finish_to_read(target: Path) -> None:
    try:
        with ExitStack() as stack:
            lock_images(stack, target)
            if finish(target):
                _log.warning("An edit of %s was interrupted, and is finished now.", target)
    except TargetError:
        _log.info("%s is being edited.", target)
    except (OSError, StorageError) as error:
        message = (
            "An edit of this image was interrupted, and cannot be finished here: some of its chunks may "
        )
        message += f"be new and some old. Open it where it can be written to. ({target}: {error})"
        give_warning(message, stacklevel=2)


def _read(target: Path, journal: Path) -> tuple[list[str], list[str]]:
    """What a journal says; its keys never lead out of the image."""
    try:
        if journal.is_symlink() or (journal.parent / NEW).is_symlink() or not journal.is_file():
            raise ValueError("a link in place of it")
        if journal.stat().st_size > MAX_JOURNAL:
            raise ValueError(f"more than {MAX_JOURNAL} bytes")
        document = json.loads(journal.read_text(encoding="utf-8"))
        if not target.is_dir() or document["folder"] != target.stat().st_ino:
            raise ValueError("it is of another image, which was at this place")
        lists = list(document["replaced"]), list(document["removed"])
        _check_inside(target, [key for keys in lists for key in keys])
        _check_inside(journal.parent / NEW, lists[0])
    except (ValueError, TypeError, KeyError, RecursionError, StorageError) as error:
        raise _damaged(journal, str(error)) from error
    return lists


def _damaged(place: Path, reason: str) -> StorageError:
    return StorageError(
        "The journal of an edit is damaged.",
        where=str(place),
        found=reason,
        hint="Look what it is; delete it.",
    )


def _check_inside(target: Path, keys: Iterable[object]) -> None:
    """Refuse keys that lead out of an image, by themselves or by a link in it."""
    root, folders = target.resolve(), set()
    for key in keys:
        if not isinstance(key, str) or not _is_plain(key):
            raise StorageError("A key leads out of the image.", where=str(target), found=repr(key)[:100])
        folders.add(PurePosixPath(key).parent)
    for folder in folders:
        if not (target / folder).resolve().is_relative_to(root):
            raise StorageError(
                "A folder of this image is a link to somewhere else; it is not edited in place.",
                where=str(target / folder),
                hint="Save it as a new image.",
            )


def _is_plain(key: str) -> bool:
    parts = key.split("/")
    return not {"", "..", "."} & set(parts) and not any(mark in key for mark in ("\\", "\0", ":"))
