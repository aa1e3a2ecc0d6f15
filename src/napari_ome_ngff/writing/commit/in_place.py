"""The documents of a hierarchy in the place where they are, and their exchange: all of them, or none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from napari_ome_ngff.errors import TargetError
from napari_ome_ngff.storage.edits import edit_journal
from napari_ome_ngff.storage.edits.group_attributes import GroupAttributes
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
    if not encoded:  # no journal for nothing
        return ()
    check_documents(encoded)
    if place.root is None:
        with failing("The metadata could not be written", place.documents.where):
            for key, content in encoded.items():
                keys.put(place.documents.store, key, content)
        return tuple(encoded)
    with _journal(place, place.root):
        pass
    return tuple(encoded)


@dataclass(frozen=True, kw_only=True)
class Change:
    """A change that goes on: what belongs to its end is put into `new`, under the keys of the hierarchy.

    `path` is that of the image in the hierarchy. Keys in `keys` that have no file in `new` at the end are
    deleted; the documents are written as they are then.
    """

    documents: GroupAttributes
    path: str
    root: Path
    new: Path
    keys: list[str] = field(default_factory=list)


@contextmanager
def changing(location: str | os.PathLike[str]) -> Iterator[Change]:
    """Lock a hierarchy in a folder and change it when the block ends; ended early, nothing has happened."""
    with locked(location) as place:
        if place.root is None:
            raise TargetError(
                "Only what is in a folder can be changed like this.", where=place.documents.where
            )
        with _journal(place, place.root) as change:
            yield change


@contextmanager
def _journal(place: InPlace, root: Path) -> Iterator[Change]:
    """Put new files in their places when the block ends: all of them, or none."""
    new = edit_journal.journal_folder(root) / edit_journal.NEW
    with undone_by(partial(edit_journal.abandon, root)):
        new.mkdir(parents=True)
        change = Change(documents=place.documents, path=place.path, root=root, new=new)
        yield change
        encoded = place.documents.encoded()
        check_documents(encoded)
        for key, content in encoded.items():
            (new / key).parent.mkdir(parents=True, exist_ok=True)
            (new / key).write_bytes(content)
        of_it = {*change.keys, *encoded}
        written = {key for key in of_it if (new / key).is_file()}
        edit_journal.decide(root, replaced=written, removed=of_it - written)
    edit_journal.finish(root)
