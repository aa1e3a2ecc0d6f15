"""All or nothing where nothing can be renamed: the root's attributes come last, and a note says who writes.

A new hierarchy is written in place. One that replaces another is written beside it; when it is complete the
note says so, and from then on whoever comes next can finish the exchange.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import platform
import secrets
import sys
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.errors import OmeNgffError, StorageError, TargetError
from napari_ome_ngff.storage.pixels.process_state import running_saves
from napari_ome_ngff.storage.places import keys
from napari_ome_ngff.storage.places.location import folder_of, join, store_location
from napari_ome_ngff.storage.places.node_documents import DOCUMENTS
from napari_ome_ngff.storage.places.server_errors import first_line
from napari_ome_ngff.writing.commit.temporary import PART, new_part, undone_by
from napari_ome_ngff.writing.refusals import another_save
from napari_ome_ngff.writing.stored_objects import copy_objects
from napari_ome_ngff.writing.target import location_in

if TYPE_CHECKING:
    from zarr.abc.store import Store

_log = logging.getLogger(__name__)

_REQUESTS = 32  # under way at once

NOTE = PART
"""Name of the note in the hierarchy's root; it is there while a save is under way."""


@dataclass(frozen=True, kw_only=True)
class Note:
    """Who writes to a place.

    `part` is the path of the hierarchy in the making, if it is beside the one that it replaces; if it is
    `complete`, all that is left is to exchange the two. Members of the replaced one that are `obsolete`
    (paths relative to its root) end with it.
    """

    save: str
    host: str
    process: int
    part: str = ""
    complete: bool = False
    obsolete: tuple[str, ...] = ()


@contextlib.contextmanager
def committed(store: Store, path: str, obsolete: Collection[str]) -> Iterator[str]:
    """Write a hierarchy into a store that is no local folder; yields the path to write to.

    If the block is left by an exception, its keys are deleted.
    """
    if not (store.supports_deletes and store.supports_listing):
        warning = "%s cannot delete: what an unfinished save wrote stays."
        with undone_by(partial(_log.warning, warning, store_location(store))):
            yield path
        return
    part = _path_beside(path) if keys.exists(store, path) else path
    above = keys.documents_above(store, path)
    note = Note(
        save=secrets.token_hex(8),
        host=platform.node(),
        process=os.getpid(),
        part=part if part != path else "",
        obsolete=tuple(obsolete),
    )
    running_saves().add(note.save)
    try:
        _write(store, path, note, only_new=True)
        if _read(store, path) != note:
            raise another_save(location_in(store, path))
        with undone_by(partial(_undo, store, path, part, above, note)):
            yield part
            if _read(store, path) != note:
                raise TargetError("Another save took this place over.", where=location_in(store, path))
        if note.part:
            _exchange(store, path, note)
        keys.delete(store, [join(path, NOTE)])
    finally:
        running_saves().discard(note.save)


def _path_beside(path: str) -> str:
    above, _, name = path.rpartition("/")
    return join(above, new_part(name or "root"))


def _undo(store: Store, path: str, part: str, above: Collection[str], note: Note) -> None:
    """Delete what was written; where the store fails, say that it stays."""
    try:
        written = set(keys.under(store, part)) if note.part or _read(store, path) == note else set()
        written |= keys.documents_above(store, path) - set(above)  # zarr makes the groups above on its own
        keys.delete(store, sorted(written - {join(path, NOTE)}))
        if _read(store, path) == note:
            keys.delete(store, [join(path, NOTE)])
    except Exception as error:  # noqa: BLE001 (what ended the save matters more)
        where = location_in(store, path)
        _log.warning("Parts of an unfinished save stay at %s: %s", where, first_line(error))


def _exchange(store: Store, path: str, note: Note) -> None:
    """Put a complete hierarchy in the old one's place; an interruption leaves what is needed to finish."""
    try:
        if not note.complete:
            _write(store, path, replace(note, complete=True))
        _replace(store, path, note)
        keys.delete(store, keys.under(store, note.part))
    except OmeNgffError as error:
        raise StorageError(
            "The new image is complete, but could not be put in its place yet.",
            where=location_in(store, path),
            found=error.summary,
            hint="Save to this place again when the server answers: what was saved now is put there first.",
        ) from error


def _replace(store: Store, path: str, note: Note) -> None:
    """Put the finished hierarchy in the old one's place, unless somebody else has done so already.

    The old root's metadata go first and the new ones come last: in between there is no image rather than
    half of one. The finished hierarchy stays where it is, so that this can be done again after an
    interruption.
    """
    part = note.part
    new = {key.removeprefix(f"{part}/") for key in keys.under(store, part)}
    # Kept in memory: whoever does the same at the same time deletes the part when it is done.
    roots = {
        key: content for key in sorted(DOCUMENTS & new) if (content := keys.read(store, join(part, key)))
    }
    if not roots:
        return
    old = {key.removeprefix(f"{path}/") if path else key for key in keys.under(store, path)}
    old = {key for key in old if PART not in key}
    arrays = {folder_of(key) for key in new if keys.is_array_key(store, join(part, key))}
    to_keep = keys_to_keep(old, new, arrays, note.obsolete)
    keys.delete(store, [join(path, key) for key in old if key in DOCUMENTS])
    keys.delete(store, [join(path, key) for key in old - new - to_keep])
    moved = [(join(part, key), join(path, key)) for key in sorted(new - set(roots))]
    copy_objects(store, store, moved, at_once=_REQUESTS)
    for key, content in roots.items():
        keys.put(store, join(path, key), content)


def keys_to_keep(
    old: Collection[str], new: Collection[str], arrays: Collection[str], obsolete: Collection[str]
) -> set[str]:
    """Return the keys of an old hierarchy that stay when a new one takes its place, relative to the root.

    Nothing old stays in the folders of new `arrays` and of `obsolete` members, nor do metadata of a group
    that the new hierarchy has as well.
    """
    groups = {folder_of(key) for key in new if is_document(key)} - set(arrays)
    ended = {*arrays, *obsolete}
    return {
        key
        for key in old
        if key not in new
        and not any(key == path or key.startswith(f"{path}/") for path in ended)
        and not (is_document(key) and folder_of(key) in groups)
    }


def is_document(key: str) -> bool:
    """Whether a key is that of a metadata document of Zarr."""
    return key.rpartition("/")[2] in DOCUMENTS


def recover(store: Store, path: str, *, overwrite: bool) -> None:
    """Clean up where a save was interrupted: finish an exchange, or delete what was left.

    Refused if a save is running. Whether one runs on another computer is not known: `overwrite` says to go
    on.
    """
    note = _read(store, path)
    if note is None:
        return
    running = _is_running(note)
    if running:
        raise another_save(location_in(store, path))
    if note.complete:
        _exchange(store, path, note)
    elif running is None and not overwrite:
        raise TargetError(
            "A save to this place was interrupted, or is running on another computer.",
            where=location_in(store, path),
            found=f"{NOTE}, written on {note.host or 'an unknown computer'}",
            hint="If none is running, overwrite it (overwrite=True): what is left of it is deleted.",
        )
    else:
        keys.delete(store, _leftovers(store, path, note))
        _log.info("Removed what an interrupted save left at %s.", location_in(store, path))
    keys.delete(store, [join(path, NOTE)])


def _leftovers(store: Store, path: str, note: Note) -> list[str]:
    """Keys that an interrupted save left: its part; or in place, arrays and metadata, but nothing else."""
    if note.part:
        return keys.under(store, note.part) if note.part.endswith(PART) else []
    if keys.has_attributes(store, path):  # it was complete, but for the deletion of its note
        return []
    present = keys.under(store, path)
    documents = {key for key in present if is_document(key)}
    arrays = tuple(f"{folder_of(key)}/" for key in documents if keys.is_array_key(store, key))
    return [key for key in present if key in documents or key.startswith(arrays)]


def _is_running(note: Note) -> bool | None:
    """Whether a save is still running; None if that cannot be told from here."""
    if note.host != platform.node():
        return None
    if note.process == os.getpid():
        return note.save in running_saves()
    if sys.platform == "win32":  # where this would end the process
        return None
    try:
        os.kill(note.process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True


def _write(store: Store, path: str, note: Note, *, only_new: bool = False) -> None:
    content = json.dumps({**asdict(note), "made by": "napari-ome-ngff"}).encode()
    keys.put(store, join(path, NOTE), content, only_new=only_new)


def _read(store: Store, path: str) -> Note | None:
    """Return the note at a place; of a damaged one nothing is known, so it is of nobody here."""
    content = keys.read(store, join(path, NOTE))
    if content is None:
        return None
    try:
        entries: dict[str, Any] = json.loads(content)
        return Note(
            save=str(entries["save"]),
            host=str(entries["host"]),
            process=int(entries["process"]),
            part=str(entries["part"]),
            complete=entries["complete"] is True,
            obsolete=tuple(map(str, entries["obsolete"])),
        )
    except (ValueError, TypeError, KeyError):
        return Note(save="", host="", process=0)
