"""The documents of a hierarchy in the place where they are, and their exchange: all of them, or none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from napari_ome_ngff.editing.group_attributes import GroupAttributes
from napari_ome_ngff.errors import TargetError
from napari_ome_ngff.storage.edits import edit_journal
from napari_ome_ngff.storage.places import keys
from napari_ome_ngff.storage.places.location import is_zip
from napari_ome_ngff.writing.commit.checks import outermost
from napari_ome_ngff.writing.commit.temporary import undone_by
from napari_ome_ngff.writing.reader_bounds import check_documents
from napari_ome_ngff.writing.refusals import failing, system_errors_of
from napari_ome_ngff.writing.target import as_store, is_archive, local_root, location_in, target_folder

if TYPE_CHECKING:
    from zarr.abc.store import Store


@dataclass(frozen=True, kw_only=True)
class InPlace:
    """The documents of the outermost hierarchy that an image is in, and where in it the image is."""

    documents: GroupAttributes
    path: str
    root: Path | None  # its folder; None in a bucket or another store


def in_place(location: str | os.PathLike[str] | Store, path: str = "") -> InPlace:
    """Find the documents of a hierarchy; nothing is fetched yet. TargetError for a single file."""
    from zarr.storage import LocalStore

    folder = local_root(location)
    if folder is None:
        outer, inner = outermost(location, path)
        store = as_store(outer)
        return InPlace(documents=GroupAttributes(store, location_in(store, "")), path=inner, root=None)
    if is_archive(location) or is_zip(folder):
        raise TargetError(
            "A single file cannot be changed in place.",
            where=str(folder),
            hint="Save it as a new image, with what is corrected.",
        )
    outer, inner = outermost(target_folder(folder, path))
    root = Path(os.path.realpath(outer))
    return InPlace(documents=GroupAttributes(LocalStore(root), str(root)), path=inner, root=root)


@contextmanager
def locked(location: str | os.PathLike[str] | Store, path: str = "") -> Iterator[InPlace]:
    """The documents of a hierarchy while no other save of ours changes it; interrupted edits are finished."""
    place = in_place(location, path)
    if place.root is None:
        yield place
        return
    with ExitStack() as stack, system_errors_of(place.root):
        edit_journal.lock_images(stack, place.root, place.root / place.path)
        edit_journal.finish(place.root)
        yield place


def put_documents(place: InPlace) -> tuple[str, ...]:
    """Write the documents that were changed, and return their keys.

    In a folder all of them take their places, or none does; in another store one after the other.
    """
    encoded = place.documents.encoded()
    check_documents(encoded)
    if place.root is None:
        with failing("The metadata could not be written", place.documents.where):
            for key, content in encoded.items():
                keys.put(place.documents.store, key, content)
        return tuple(encoded)
    new = edit_journal.journal_folder(place.root) / edit_journal.NEW
    with undone_by(partial(edit_journal.abandon, place.root)):
        for key, content in encoded.items():
            (new / key).parent.mkdir(parents=True, exist_ok=True)
            (new / key).write_bytes(content)
        edit_journal.decide(place.root, replaced=encoded, removed=())
    edit_journal.finish(place.root)
    return tuple(encoded)
