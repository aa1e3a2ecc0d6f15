"""All or nothing where nothing can be renamed: the root's attributes come last, a note says how far it is.

A new hierarchy is written in place, one that replaces another beside it. The note says that it is complete,
and then that the exchange is done: whoever saves next knows what is left to do.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import platform
import secrets
from collections.abc import Collection, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from napari_ome_ngff.errors import StorageError, TargetError
from napari_ome_ngff.metadata.group_kind import kind_of
from napari_ome_ngff.storage.edits.locks import another_save
from napari_ome_ngff.storage.pixels.process_state import running_saves
from napari_ome_ngff.storage.places import keys
from napari_ome_ngff.storage.places.leftovers import PART, is_leftover_of
from napari_ome_ngff.storage.places.location import folder_of, join, store_location
from napari_ome_ngff.storage.places.node_documents import DOCUMENTS
from napari_ome_ngff.storage.places.requests import settle
from napari_ome_ngff.storage.places.save_note import NOTE, Note, decode_note, unfinished
from napari_ome_ngff.storage.places.server_errors import first_line
from napari_ome_ngff.writing.commit.temporary import is_alive, new_part, undone_by
from napari_ome_ngff.writing.stored_objects import copy_objects
from napari_ome_ngff.writing.target import location_in

if TYPE_CHECKING:
    from zarr.abc.store import Store

_log = logging.getLogger(__name__)

_REQUESTS = 32  # under way at once


@contextlib.contextmanager
def committed(store: Store, path: str, obsolete: Collection[str]) -> Iterator[str]:
    """Write a hierarchy into a store that is no local folder; yields the path to write to.

    First, what interrupted saves left there is brought to its end. If the block is left by an exception, its
    keys are deleted.
    """
    if not can_replace(store):
        warning = "%s cannot delete: what an unfinished save wrote stays."
        with undone_by(partial(_log.warning, warning, store_location(store))):
            yield path
        return
    for place in (folder_of(path), path) if _is_labels(path) else (path,):
        recover(store, place)
    part = path_beside(path) if keys.exists(store, path) else path
    if part != path and not _is_labels(path):
        recover(store, join(path, "labels"))
    above = keys.documents_above(store, path)
    note = _signed(Note(part=part if part != path else "", obsolete=tuple(obsolete)))
    with _running(note):
        _write(store, path, note, only_new=True)
        if _read(store, path) != note:
            raise another_save(location_in(store, path))
        with undone_by(partial(_undo, store, path, above, note)):
            yield part
            if _read(store, path) != note:
                raise TargetError("Another save took this place over.", where=location_in(store, path))
        if note.part:
            _exchange(store, path, note)
        _clean(store, path, note)


def can_replace(store: Store) -> bool:
    """Whether a store can list and delete."""
    return store.supports_deletes and store.supports_listing


def _is_labels(path: str) -> bool:
    return path.rpartition("/")[2] == "labels"


def path_beside(path: str) -> str:
    """Where a hierarchy is written that replaces the one at a path."""
    above, _, name = path.rpartition("/")
    return join(above, new_part(name or "root"))


def _signed(note: Note) -> Note:
    return replace(note, save=secrets.token_hex(8), host=platform.node(), process=os.getpid())


@contextlib.contextmanager
def _running(note: Note) -> Iterator[None]:
    """Count a save as running; after an error, until none of its requests is under way any more."""
    running_saves().add(note.save)
    try:
        with undone_by(settle):
            yield
    finally:
        running_saves().discard(note.save)


def _undo(store: Store, path: str, above: Collection[str], note: Note) -> None:
    """Delete what was written; where the store fails, say that it stays.

    In place the note stays if a request was never answered: what it carried may still arrive.
    """
    try:
        answered = settle() and not getattr(store, "unanswered", False)
        is_ours = _read(store, path) == note
        if is_ours or note.part:
            _remove(store, path, note, _leftovers(store, path, note), note_it=is_ours)
        # zarr makes the groups above on its own
        keys.delete(store, sorted(keys.documents_above(store, path) - set(above)))
        if is_ours and (answered or note.part):  # what arrives in a part disturbs nobody
            keys.delete(store, [join(path, NOTE)])
    except Exception as error:  # noqa: BLE001 (what ended the save matters more)
        where = location_in(store, path)
        _log.warning("Parts of an unfinished save stay at %s: %s", where, first_line(error))


def _exchange(store: Store, path: str, note: Note) -> None:
    """Put a complete hierarchy in the old one's place; an interruption leaves what is needed to finish."""
    try:
        _write(store, path, replace(note, phase="copying"))
        _replace(store, path, note)
        _write(store, path, replace(note, phase="removing"))
    except Exception as error:
        raise StorageError(
            "The new image is complete, but could not be put in its place yet.",
            where=location_in(store, path),
            found=first_line(error),
            hint="Save to this place again (overwrite=True) when the store answers: what was saved now is put"
            " there first.",
        ) from error


def _clean(store: Store, path: str, note: Note) -> None:
    """Delete the part and the note of a save that is complete; if that fails, the next save does it."""
    try:
        keys.delete(store, keys.under(store, note.part) if note.part else [])
        keys.delete(store, [join(path, NOTE)])
    except Exception as error:  # noqa: BLE001 (the image is in its place)
        where = location_in(store, path)
        _log.warning("Saved, but %s cannot be cleaned up yet: %s", where, first_line(error))


def _replace(store: Store, path: str, note: Note) -> None:
    """Put the finished hierarchy in the old one's place; it stays, so that this can be done again."""
    # The documents of the images that are replaced go first, the root's before all others, and the new ones
    # come last: in between there is no image rather than half of one. Groups that are no images, such as that
    # of the label images, are changed with one write, which lists what is added when all of it is there.
    new = relative(_leftovers(store, path, note), note.part)
    old = {key for key in relative(keys.under(store, path), path) if PART not in key}
    arrays = {folder_of(key) for key in new if key.endswith(".zarray")}
    wanted = {join(note.part, key): key for key in new if is_document(key) and folder_of(key) not in arrays}
    documents = {wanted[key]: content for key, content in keys.read_all(store, wanted).items()}
    arrays |= {folder_of(key) for key, content in documents.items() if keys.is_array_document(key, content)}
    groups = sorted((key for key in documents if folder_of(key) not in arrays), key=_outermost_first)
    if not groups or folder_of(groups[0]):  # somebody deleted it
        return
    if None in documents.values():
        raise TargetError("Another save took this place over.", where=location_in(store, path))
    images = {folder_of(key) for key in groups if _is_image(key, documents[key])}
    # Not those that are there now: the same ones again, if this is done again after an interruption.
    replaced = {path for path in images if any(one.startswith(f"{path}/") for one in note.obsolete)}
    replaced |= images & {""}
    to_hide = sorted(filter(is_document, old), key=_outermost_first)
    to_hide = [key for key in to_hide if folder_of(key) in replaced]
    to_keep = keys_to_keep(old, new, arrays, note.obsolete)
    for some in ([key for key in to_hide if "/" not in key], [key for key in to_hide if "/" in key]):
        keys.delete(store, [join(path, key) for key in some])
    keys.delete(store, [join(path, key) for key in old - new - to_keep - set(to_hide)])
    moved = [(join(note.part, key), join(path, key)) for key in sorted(new - set(groups))]
    copy_objects(store, store, moved, at_once=_REQUESTS)
    groups.reverse()
    for key in sorted(groups, key=lambda key: folder_of(key) in replaced):
        keys.put(store, join(path, key), documents[key] or b"")


def relative(full: Collection[str], path: str) -> set[str]:
    """Keys under a path, without it."""
    return {key.removeprefix(f"{path}/") if path else key for key in full}


def _outermost_first(key: str) -> tuple[int, str, bool]:
    """Order of documents to delete: those of a group before those inside, attributes before the rest."""
    return key.count("/"), folder_of(key), not key.endswith(".zattrs")


def _is_image(key: str, content: bytes | None) -> bool:
    """Whether a document is what makes a group an image."""
    with contextlib.suppress(ValueError, AttributeError, TypeError):
        document = json.loads(content or b"")
        attributes = document.get("attributes", {}) if key.endswith("zarr.json") else document
        return kind_of(attributes) == "image"
    return False


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


def occupied(store: Store, path: str, *, overwrite: bool) -> tuple[bool, set[str]]:
    """Whether a save would find a hierarchy at a place, and which keys of an interrupted one it would delete.

    Refused if a save is running. Whether one runs on another computer is not known: `overwrite` says to go
    on. Nothing is changed.
    """
    note = _read(store, path)
    if note is None:
        return keys.exists(store, path), set()
    running = _is_running(note)
    if running:
        raise another_save(location_in(store, path))
    if note.phase == "copying":
        if not overwrite and (error := unfinished(store, path)):
            raise TargetError(error.summary, where=error.where, found=error.found, hint=error.hint)
        return True, set()
    if running is None and not overwrite:
        raise TargetError(
            "A save to this place was interrupted, or is running on another computer.",
            where=location_in(store, path),
            found=f"{NOTE}, written on {note.host or 'an unknown computer'}",
            hint="If none is running, overwrite it (overwrite=True): what is left of it is deleted.",
        )
    if note.part or _is_complete(store, path):
        return keys.exists(store, path), {join(path, NOTE)}
    return False, {*_leftovers(store, path, note), join(path, NOTE)}


def documents_after_recovery(store: Store, path: str) -> Store:
    """The store; where saves were interrupted, the documents that there will be when the next one begins."""
    places = {join(place, NOTE): place for place in (path, join(path, "labels"))}
    contents = keys.read_all(store, places)
    notes = [(place, note) for key, place in places.items() if (note := decode_note(contents[key]))]
    if not (notes and can_replace(store)):
        return store
    sources = {key: key for key in keys.under(store, path) if PART not in key}
    for place, note in notes:
        if note.phase == "copying":
            new = relative(keys.under(store, note.part), note.part)
            arrays = {folder_of(key) for key in new if keys.is_array_key(store, join(note.part, key))}
            old = {key for key in sources if not place or key.startswith(f"{place}/")}
            to_keep = keys_to_keep(relative(old, place), new, arrays, note.obsolete)
            for key in old - {join(place, key) for key in to_keep}:
                del sources[key]
            sources |= {join(place, key): join(note.part, key) for key in new}
        elif not note.part and not _is_complete(store, place):
            for key in _leftovers(store, place, note):
                sources.pop(key, None)
    read = keys.read_all(store, filter(is_document, sources.values()))
    documents = {key: read[source] or b"" for key, source in sources.items() if is_document(source)}
    return keys.documents_only(store_location(store), documents)


def recover(store: Store, path: str) -> None:
    """Bring to its end what an interrupted save left: finish the exchange, or delete; refused if it runs."""
    note = _read(store, path)
    if note is None:
        return
    if _is_running(note):
        raise another_save(location_in(store, path))
    note = _signed(note)
    with _running(note):
        if note.phase == "copying":
            _exchange(store, path, note)
            note = replace(note, phase="removing")
        if note.part or not _is_complete(store, path):
            _remove(store, path, note, _leftovers(store, path, note), note_it=True)
        keys.delete(store, [join(path, NOTE)])
    _log.info("Removed what an interrupted save left at %s.", location_in(store, path))


def _remove(store: Store, path: str, note: Note, left: Collection[str], *, note_it: bool) -> None:
    """Delete what a save left, the documents of its root first."""
    if left and note_it:
        arrays = {folder_of(key) for key in left if not note.part and keys.is_array_key(store, key)}
        _write(store, path, replace(note, phase="removing", arrays=tuple(sorted({*arrays, *note.arrays}))))
    roots = {join(path, key) for key in DOCUMENTS} & set(left)
    keys.delete(store, sorted(roots))  # ".zattrs" before ".zgroup"
    keys.delete(store, sorted(set(left) - roots))


def _leftovers(store: Store, path: str, note: Note) -> list[str]:
    """Keys that an interrupted save left: its part; or in place, arrays and metadata, but nothing else."""
    if note.part:
        above, _, name = path.rpartition("/")
        is_part = is_leftover_of(name or "root", note.part.removeprefix(f"{above}/" if above else ""))
        return keys.under(store, note.part) if is_part else []
    present = [key for key in keys.under(store, path) if PART not in key]  # notes stay to the end
    documents = {key for key in present if is_document(key)}
    arrays = {folder_of(key) for key in documents if keys.is_array_key(store, key)} | set(note.arrays)
    inside = tuple(f"{array}/" for array in arrays)
    return [key for key in present if key in documents or key.startswith(inside)]


def _is_complete(store: Store, path: str) -> bool:
    """Whether a hierarchy that is written in place has its last document; what is removed loses it first."""
    return keys.exists(store, path) and keys.has_attributes(store, path)


def _is_running(note: Note) -> bool | None:
    """Whether a save is still running; None if that cannot be told from here."""
    if note.host != platform.node():
        return None
    if note.process == os.getpid():
        return note.save in running_saves()
    return is_alive(note.process)


def _write(store: Store, path: str, note: Note, *, only_new: bool = False) -> None:
    keys.put(store, join(path, NOTE), note.encode(), only_new=only_new)


def _read(store: Store, path: str) -> Note | None:
    return decode_note(keys.read(store, join(path, NOTE)))
