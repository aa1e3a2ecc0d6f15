"""All or nothing where nothing can be renamed: the root's attributes come last, and a note says who writes.

A new hierarchy is written in place. One that replaces another is written beside it; when it is complete the
note says so, and from then on whoever comes next can finish the exchange.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import platform
import secrets
import sys
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.errors import OmeNgffError, StorageError, TargetError
from napari_ome_ngff.storage.places import keys
from napari_ome_ngff.storage.places.folders import METADATA
from napari_ome_ngff.storage.places.keys import copy, delete, is_array_key, put, read, under
from napari_ome_ngff.storage.places.location import folder_of, join, store_location
from napari_ome_ngff.storage.places.server_errors import first_line

if TYPE_CHECKING:
    from zarr.abc.store import Store


def move(store: Store, part: str, path: str, obsolete: Collection[str]) -> bool:
    """Put a finished hierarchy in the place of another one in the same store.

    The old root's metadata go first and the new ones come last: in between there is no image rather than
    half of one. The finished hierarchy stays where it is, so that this can be done again after an
    interruption.

    Parameters
    ----------
    store
        A store that can delete.
    part, path
        Where it is and where it shall be.
    obsolete
        Paths of members, relative to the root, that end with the old hierarchy.

    Returns
    -------
    bool
        False, and nothing done, if there is no finished hierarchy: somebody else has moved it.
    """
    new = {key.removeprefix(f"{part}/") for key in under(store, part)}
    # Kept in memory: whoever does the same at the same time deletes the part when it is done.
    roots = {key: content for key in sorted(METADATA & new) if (content := read(store, join(part, key)))}
    if not roots:
        return False
    old = {key.removeprefix(f"{path}/") if path else key for key in under(store, path)}
    old = {key for key in old if ".ngff-part" not in key}
    arrays = {folder_of(k) for k in new if is_array_key(store, join(part, k))}
    delete(store, [join(path, key) for key in old if key in METADATA])
    delete(store, [join(path, key) for key in old - new - kept(old, new, arrays, obsolete)])
    copy(store, [(join(part, key), join(path, key)) for key in sorted(new - set(roots))])
    for key, content in roots.items():
        put(store, join(path, key), content)
    return True


def kept(
    old: Collection[str], new: Collection[str], arrays: Collection[str], obsolete: Collection[str]
) -> set[str]:
    """Return the keys of an old hierarchy that stay when a new one takes its place.

    Parameters
    ----------
    old, new
        Keys, relative to the root.
    arrays
        Folders of the new arrays: nothing old stays in them.
    obsolete
        Paths of members that end with the old hierarchy.

    Returns
    -------
    set of str
        Some of `old`. Metadata of a group that the new hierarchy has as well are not among them.

    Examples
    --------
    >>> sorted(kept({"zarr.json", "0/c/9", "1/zarr.json", "t/c/0"}, {"zarr.json"}, {"0"}, {"1"}))
    ['t/c/0']
    """
    groups = {folder_of(k) for k in new if k.rpartition("/")[2] in METADATA} - set(arrays)
    ended = {*arrays, *obsolete}
    return {k for k in old if k not in new and not _within(k, ended) and not _is_metadata_of(k, groups)}


def _within(key: str, paths: Collection[str]) -> bool:
    return any(key == path or key.startswith(f"{path}/") for path in paths)


def _is_metadata_of(key: str, groups: Collection[str]) -> bool:
    return key.rpartition("/")[2] in METADATA and folder_of(key) in groups


_log = logging.getLogger(__name__)


NOTE = ".ngff-part"
"""Name of the note in the hierarchy's root; it is there while a save is under way."""


@dataclass(frozen=True, kw_only=True)
class Note:
    """Who writes to a place.

    Parameters
    ----------
    save
        What tells this save from all others.
    host, process
        Where it runs.
    part
        Path of the hierarchy in the making, if it is beside the one that it replaces.
    complete
        Whether that is complete, so that all that is left is to exchange the two.
    obsolete
        Paths of members, relative to the root, that end with the replaced hierarchy.
    """

    save: str
    host: str
    process: int
    part: str = ""
    complete: bool = False
    obsolete: tuple[str, ...] = ()


@contextlib.contextmanager
def committed(store: Store, path: str, obsolete: Collection[str]) -> Iterator[str]:
    """Write a hierarchy into a store; if the block is left by an exception, its keys are deleted.

    Parameters
    ----------
    store
        A writable store that is no local folder.
    path
        Path of the hierarchy.
    obsolete
        As for :func:`napari_ome_ngff.writing.commit.staging.staged`.

    Yields
    ------
    str
        The path to write to.

    Raises
    ------
    TargetError
        If another save to this place is running.
    StorageError
        If the store fails.
    """
    if not (store.supports_deletes and store.supports_listing):
        with _undeletable(store):
            yield path
        return
    part = keys.new_part(path) if keys.exists(store, path) else path
    above = keys.documents_above(store, path)
    note = Note(
        save=secrets.token_hex(8),
        host=platform.node(),
        process=os.getpid(),
        part=part if part != path else "",
        obsolete=tuple(obsolete),
    )
    _under_way().add(note.save)
    try:
        _claim(store, path, note)
        try:
            yield part
            if _read(store, path) != note:
                raise TargetError("Another save took this place over.", where=_where(store, path))
        except BaseException:
            _undo(store, path, part, above, note)
            raise
        if note.part:
            _exchange(store, path, note)
        keys.delete(store, [join(path, NOTE)])
    finally:
        _under_way().discard(note.save)


def settle(store: Store, path: str, *, overwrite: bool) -> None:
    """Bring a place in order that a save was interrupted at: finish an exchange, or delete what was left.

    Parameters
    ----------
    store
        A store that is no local folder.
    path
        Path of the hierarchy.
    overwrite
        Whether to go on if a save may be running in another place: that cannot be found out.

    Raises
    ------
    TargetError
        If a save is running, or may be.
    StorageError
        If the store fails.
    """
    note = _read(store, path)
    if note is None:
        return
    running = _is_running(note)
    if running:
        raise _is_busy(store, path)
    if note.complete:
        _exchange(store, path, note)
    elif running is None and not overwrite:
        raise TargetError(
            "A save to this place was interrupted, or is running on another computer.",
            where=_where(store, path),
            found=f"{NOTE}, written on {note.host or 'an unknown computer'}",
            hint="If none is running, overwrite it (overwrite=True): what is left of it is deleted.",
        )
    else:
        keys.delete(store, _left(store, path, note))
        _log.info("Removed what an interrupted save left at %s.", _where(store, path))
    keys.delete(store, [join(path, NOTE)])


def _exchange(store: Store, path: str, note: Note) -> None:
    """Put a complete hierarchy in the old one's place; an interruption leaves what is needed to finish."""
    try:
        if not note.complete:
            _write(store, path, replace(note, complete=True))
        move(store, note.part, path, note.obsolete)
        keys.delete(store, keys.under(store, note.part))
    except OmeNgffError as error:
        raise StorageError(
            "The new image is complete, but could not be put in its place yet.",
            where=_where(store, path),
            found=error.summary,
            hint="Save to this place again when the server answers: what was saved now is put there first.",
        ) from error


def _claim(store: Store, path: str, note: Note) -> None:
    _write(store, path, note, only_new=True)
    if _read(store, path) != note:
        raise _is_busy(store, path)


def _undo(store: Store, path: str, part: str, above: Collection[str], note: Note) -> None:
    """Delete what was written; where the store fails, say that it stays."""
    try:
        written = set(keys.under(store, part)) if note.part or _read(store, path) == note else set()
        written |= keys.documents_above(store, path) - set(above)  # which zarr makes of its own accord
        keys.delete(store, sorted(written - {join(path, NOTE)}))
        if _read(store, path) == note:
            keys.delete(store, [join(path, NOTE)])
    except Exception as error:  # noqa: BLE001 (what ended the save matters more)
        _log.warning("Parts of an unfinished save stay at %s: %s", _where(store, path), first_line(error))


@contextlib.contextmanager
def _undeletable(store: Store) -> Iterator[None]:
    try:
        yield
    except BaseException:
        _log.warning("%s cannot delete: what an unfinished save wrote stays.", store_location(store))
        raise


def _left(store: Store, path: str, note: Note) -> list[str]:
    """Keys that an interrupted save left: its part; or in place, arrays and metadata, but nothing else."""
    if note.part:
        return keys.under(store, note.part) if note.part.endswith(NOTE) else []
    if keys.has_attributes(store, path):  # it was complete, but for the deletion of its note
        return []
    found = keys.under(store, path)
    documents = [key for key in found if key.rpartition("/")[2] in METADATA]
    arrays = tuple(f"{folder_of(key)}/" for key in documents if keys.is_array_key(store, key))
    return [key for key in found if key in set(documents) or key.startswith(arrays)]


def _is_running(note: Note) -> bool | None:
    """Whether a save is still running; None if that cannot be told from here."""
    if note.host != platform.node():
        return None
    if note.process == os.getpid():
        return note.save in _under_way()
    if sys.platform == "win32":  # where this would end the process
        return None
    try:
        os.kill(note.process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True


@functools.cache
def _under_way() -> set[str]:
    """The saves of this process: a failed one must not count as running until the process ends."""
    return set()


def _write(store: Store, path: str, note: Note, *, only_new: bool = False) -> None:
    content = json.dumps({**asdict(note), "made by": "napari-ome-ngff"}).encode()
    keys.put(store, join(path, NOTE), content, only_new=only_new)


def _read(store: Store, path: str) -> Note | None:
    content = keys.read(store, join(path, NOTE))
    if content is None:
        return None
    try:
        found: dict[str, Any] = json.loads(content)
        return Note(
            save=str(found["save"]),
            host=str(found["host"]),
            process=int(found["process"]),
            part=str(found["part"]),
            complete=found["complete"] is True,
            obsolete=tuple(map(str, found["obsolete"])),
        )
    except (ValueError, TypeError, KeyError):
        return Note(save="", host="", process=0)


def _where(store: Store, path: str) -> str:
    return f"{store_location(store)}/{path}" if path else store_location(store)


def _is_busy(store: Store, path: str) -> TargetError:
    return TargetError(
        "Another save to this place is running.",
        where=_where(store, path),
        hint="Wait until it has ended.",
    )
