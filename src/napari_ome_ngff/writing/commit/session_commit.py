"""All or nothing in a session that is committed as a whole, as those of icechunk are.

Others see nothing of a save before that commit: no note says how far it is, and nothing has to be hidden.
A save that ends early takes back what it wrote, so that the session can be used for something else.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from zarr.core.sync import sync

from napari_ome_ngff.errors import StorageError
from napari_ome_ngff.storage.places import keys
from napari_ome_ngff.storage.places.leftovers import PART
from napari_ome_ngff.storage.places.location import folder_of
from napari_ome_ngff.storage.places.server_errors import first_line
from napari_ome_ngff.writing.commit.bucket_commit import is_document, keys_to_keep, path_beside, relative
from napari_ome_ngff.writing.commit.temporary import undone_by
from napari_ome_ngff.writing.stored_objects import copy_objects
from napari_ome_ngff.writing.target import location_in

if TYPE_CHECKING:
    from zarr.abc.store import Store

_log = logging.getLogger(__name__)

_AT_ONCE = 32  # objects in memory


@contextlib.contextmanager
def in_session(store: Store, path: str, obsolete: Collection[str]) -> Iterator[str]:
    """Write a hierarchy into a session; yields the path to write to, which is another one if it replaces."""
    part = path_beside(path) if keys.exists(store, path) else path
    above = keys.documents_above(store, path)
    with undone_by(partial(_take_back, store, path, part, above)):
        yield part
        if part == path:
            return
        try:
            _replace(store, path, part, obsolete)
        except Exception as error:
            raise StorageError(
                "The new image could not be put in its place.",
                where=location_in(store, path),
                found=first_line(error),
                hint="Discard the changes of the session.",
            ) from error


def _replace(store: Store, path: str, part: str, obsolete: Collection[str]) -> None:
    new = relative(keys.under(store, part), part)
    old = {key for key in relative(keys.under(store, path), path) if PART not in key}
    inside = {key: f"{part}/{key}" for key in new}
    arrays = {folder_of(key) for key in filter(is_document, new) if keys.is_array_key(store, inside[key])}
    ended = old - new - keys_to_keep(old, new, arrays, obsolete)
    place = f"{path}/" if path else ""
    _delete(store, (f"{place}{key}" for key in ended))
    documents = sorted(filter(is_document, new), key=_depth)
    # A chunk can be written only where its array is.
    for some in (documents, sorted(new - set(documents))):
        copy_objects(store, store, [(inside[key], f"{place}{key}") for key in some], at_once=_AT_ONCE)
    _delete(store, keys.under(store, part))


def _take_back(store: Store, path: str, part: str, above: Collection[str]) -> None:
    try:
        left = keys.under(store, part)
        _delete(store, [*left, *(keys.documents_above(store, path) - set(above))])
    except Exception as error:  # noqa: BLE001 (what ended the save matters more)
        where = location_in(store, path)
        _log.warning("Parts of an unfinished save stay at %s: %s", where, first_line(error))


def _delete(store: Store, wanted: Iterable[str]) -> None:
    """Delete keys: chunks while their arrays are there, what is in a group before the group."""
    for key in sorted(wanted, key=lambda key: (is_document(key), -_depth(key))):
        sync(store.delete(key))


def _depth(key: str) -> int:
    return key.count("/")
