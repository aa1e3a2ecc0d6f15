"""All or nothing: a new hierarchy is made beside the old one, and takes its place when it is complete."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from napari_ome_ngff.errors import StorageError, TargetError
from napari_ome_ngff.storage.edits.edit_journal import finish_before_save
from napari_ome_ngff.storage.edits.locks import exclusive
from napari_ome_ngff.storage.places.folders import (
    flush,
    flushed_meanwhile,
    is_empty,
    missing_above,
    node_kind,
    remove,
    remove_empty,
)
from napari_ome_ngff.storage.places.keys import documents_only
from napari_ome_ngff.storage.places.leftovers import beside, is_leftover_of, moved_aside
from napari_ome_ngff.storage.places.location import store_location
from napari_ome_ngff.storage.places.node_documents import DOCUMENTS
from napari_ome_ngff.storage.places.store_kind import folder_beneath, is_session
from napari_ome_ngff.writing.commit import bucket_commit, local_swap
from napari_ome_ngff.writing.commit.checks import check_target, looking
from napari_ome_ngff.writing.commit.plate_place import collection_of, plate_place
from napari_ome_ngff.writing.commit.register_field import register_field, relist
from napari_ome_ngff.writing.commit.session_commit import in_session
from napari_ome_ngff.writing.commit.single_file import check_archive, documents_in, pack, publish_file
from napari_ome_ngff.writing.commit.temporary import new_part, undone_by
from napari_ome_ngff.writing.refusals import failing, system_errors_of, target_exists
from napari_ome_ngff.writing.target import as_store, is_archive, local_root, location_in, target_folder

if TYPE_CHECKING:
    import zarr
    from zarr.abc.store import Store


@dataclass(frozen=True, kw_only=True)
class Staged:
    """Where to write a hierarchy that is not published yet, and where it will be.

    `packing` is what is left to do for a single file when everything is written, in steps; those that nobody
    asks for are done when the block ends. Then `packed` is the store in it.
    """

    store: Store
    path: str
    final: str  # path or URL
    final_store: Store
    final_path: str
    packing: Iterator[None] = field(default_factory=lambda: iter(()))
    packed: Store | None = None


@contextlib.contextmanager
def staged(
    store: Store | str | os.PathLike[str],
    path: str = "",
    *,
    overwrite: bool = False,
    obsolete: Collection[str] = (),
    zarr_format: int = 3,
) -> Iterator[Staged]:
    """Write a hierarchy so that it is either there as a whole or not at all; yields where to write.

    In a local folder the hierarchy is made beside its target and renamed when the block ends; a source that
    lives in the target can be read until then. In other stores nothing can be renamed: a new hierarchy is
    written in place, and one that replaces another is written beside it and copied, its root's metadata last.
    A path that ends with ``.ozx`` is a single file: the hierarchy is made in a folder beside it and packed.
    Write the root's attributes last in any case: until then it cannot be mistaken for an image.

    If the block is left by any exception, what was written is deleted. Members of a replaced hierarchy that
    the new one lacks are kept, unless they are `obsolete` (paths relative to its root). Folders that have to
    be made above the hierarchy become groups of `zarr_format`.
    """
    root = local_root(store)
    if root is None:
        place, inner = as_store(store), path.strip("/")
        where = location_in(place, inner)
        missing = missing_above(folder_beneath(place))
        check_target(place, path, overwrite=overwrite)
        commit = in_session if is_session(place) else bucket_commit.committed
        committed = commit(place, inner, obsolete)
        # stores raise whatever they like
        with undone_by(partial(remove_empty, missing)), failing("Writing failed", where), committed as part:
            yield Staged(store=place, path=part, final=where, final_store=place, final_path=inner)
        return
    target = target_folder(root, path)
    check_target(store, path, overwrite=overwrite)  # a save that is refused recovers nothing
    with system_errors_of(target), _parents_made(root, target) as made, exclusive(target) as alone:
        local_swap.recover(target, alone=alone)
        local_swap.restore(target / "labels")
        finish_before_save(target)
        check_target(store, path, overwrite=overwrite)
        if (field_place := plate_place(target)) is not None:
            target = field_place.path
        file = is_archive(store)
        making = partial(_staged_file, target) if file else partial(_staged_beside, store, target, root)
        try:
            with making(overwrite=overwrite, obsolete=obsolete) as stage:
                yield stage
        finally:
            for linked in (target, *_above(root, target)):
                local_swap.remove_links(linked)
        if field_place is not None:
            register_field(field_place)
        elif (collection := collection_of(target)) is not None:
            relist(collection, target)
        top = root if field_place is None else field_place.folder
        for folder in made:
            if folder.is_relative_to(top) and node_kind(folder) is None:
                _make_group(folder, zarr_format)


@contextlib.contextmanager
def _parents_made(root: Path, target: Path) -> Iterator[list[Path]]:
    """Make the folders that are missing above a target, and delete them again if it fails; deepest first."""
    made: list[Path] = []
    for above in reversed(_above(root, target)):
        local_swap.restore(above)
    with undone_by(lambda: remove_empty(made)):
        for folder in reversed(missing_above(str(target.parent))):
            made.insert(0, folder)
            folder.mkdir()
        yield made


def _above(root: Path, target: Path) -> list[Path]:
    return [folder for folder in target.parents if folder.is_relative_to(root)]


def _make_group(folder: Path, zarr_format: int) -> None:
    if zarr_format == 2:
        (folder / ".zgroup").write_text(json.dumps({"zarr_format": 2}), encoding="utf-8")
    else:
        document = {"zarr_format": 3, "node_type": "group", "attributes": {}}
        (folder / "zarr.json").write_text(json.dumps(document), encoding="utf-8")


@contextlib.contextmanager
def _staged_beside(
    store: Store | str | os.PathLike[str],
    target: Path,
    root: Path,
    *,
    overwrite: bool,
    obsolete: Collection[str],
) -> Iterator[Staged]:
    """A folder beside the target, which is renamed when it is complete."""
    from zarr.storage import LocalStore

    if not target.is_relative_to(root):  # a link leads elsewhere
        store = root = target
    final_store = LocalStore(root) if isinstance(store, str | os.PathLike) else store
    part = target.with_name(new_part(target.name))
    with undone_by(partial(remove, part)), local_swap.new_folder(part, like=target) as is_ours:
        path = target.relative_to(root).as_posix().removeprefix(".")
        stage = Staged(
            store=LocalStore(part), path="", final=str(target), final_store=final_store, final_path=path
        )
        with flushed_meanwhile(part):
            yield stage
        if not is_ours():  # what was written first went with the folder
            raise TargetError(
                "Another save replaced the image meanwhile; this one has to be done again.",
                where=str(target),
            )
        if os.path.lexists(target) and not is_empty(target):
            if not overwrite or node_kind(target) is None:
                raise target_exists(str(target))
            local_swap.carry_over(target, part, {target.joinpath(*path.split("/")) for path in obsolete})
            part.chmod(target.stat().st_mode & 0o7777)
        flush(part)
        with _nothing_appeared(target):
            old = local_swap.publish(part, target)
    local_swap.flush_and_remove(target, old)


@contextlib.contextmanager
def _staged_file(target: Path, *, overwrite: bool, obsolete: Collection[str]) -> Iterator[Staged]:
    """A folder beside the file, which is packed when it is complete."""
    from zarr.storage import LocalStore, ZipStore

    part, packed = (target.with_name(new_part(target.name)) for _ in range(2))
    replaces = os.path.lexists(target)
    packing = pack(part, packed, replaced=target if replaces else None, obsolete=obsolete)
    store = ZipStore(packed, mode="r")
    try:
        part.mkdir()
        with undone_by(packing.close, partial(_close, store), partial(remove, packed)):
            yield Staged(
                store=LocalStore(part),
                path="",
                final=str(target),
                final_store=ZipStore(target, mode="r"),
                final_path="",
                packing=packing,
                packed=store,
            )
            for _ in packing:
                pass
            _close(store)
            check_archive(target, "", overwrite=overwrite)
            with _nothing_appeared(target):
                old = publish_file(packed, target, replaces=replaces)
    finally:
        remove(part)
    local_swap.flush_and_remove(target, old)


def _close(store: Store) -> None:
    if store._is_open:  # a ZipStore that was never used cannot be closed
        store.close()


@contextlib.contextmanager
def _nothing_appeared(target: Path) -> Iterator[None]:
    """Publish inside the block; what somebody else put there meanwhile is not replaced."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise target_exists(str(target)) from error
        raise


def open_existing(store: Store | str | os.PathLike[str], path: str = "") -> zarr.Group | None:
    """Open the group that a save would replace, read-only; None if there is none.

    A group that cannot be read is refused: what it holds of others would be lost.
    """
    import zarr
    from zarr.errors import ContainsArrayError
    from zarr.storage import LocalStore

    root = local_root(store)
    place: Store
    if root is None:
        place, inner = as_store(store), path.strip("/")
        with looking(place, inner):
            place = bucket_commit.documents_after_recovery(place, inner)
    else:
        target = target_folder(root, path)
        folder, inner = beside(target), ""
        if is_archive(store):
            documents = documents_in(target)
            if documents is None:
                return None
            place = documents
        elif folder != target or moved_aside(folder / "labels"):
            place = _documents_after_recovery(target, folder)
        else:
            place = LocalStore(target, read_only=True)
        _check_readable(folder)
        if not is_archive(store) and node_kind(folder) != "group":
            return None
    try:
        # Not what was consolidated: others may have added to it since.
        return zarr.open_group(place, path=inner, mode="r", use_consolidated=False)
    except (FileNotFoundError, ContainsArrayError):
        return None
    except Exception as error:  # whatever damaged metadata make zarr raise
        raise TargetError(
            "The metadata of what is there cannot be read, so it is not replaced.",
            where=store_location(place),
            found=f"{type(error).__name__}: {error}",
            hint="Choose another name, or delete it yourself.",
        ) from error


def _documents_after_recovery(target: Path, folder: Path) -> Store:
    """The documents that a group will have once what a killed save moved aside is back in its place."""
    labels, contents = folder / "labels", {}
    for place, name in ((folder, ""), (beside(labels), "labels")):
        for above, folders, names in os.walk(place):
            if place == folder and above == str(folder):
                folders[:] = [n for n in folders if n != "labels" and not is_leftover_of("labels", n)]
            if node_kind(Path(above)) == "array":
                folders.clear()
            inside = Path(name, os.path.relpath(above, place))
            for document in DOCUMENTS.intersection(names):
                contents[(inside / document).as_posix()] = Path(above, document).read_bytes()
    return documents_only(str(target), contents)


def _check_readable(target: Path) -> None:
    """Refuse what the system does not let us see, and pipes, which would never answer."""
    for name in DOCUMENTS:
        try:
            status = (target / name).stat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise StorageError(
                "What is there cannot be read.", where=str(target), found=str(error)
            ) from error
        if not stat.S_ISREG(status.st_mode):
            raise TargetError(
                "What is there is no Zarr hierarchy, so it is not replaced.",
                where=str(target),
                found=f"{name}, which is no file",
            )
