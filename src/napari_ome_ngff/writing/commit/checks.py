"""Where a hierarchy may be written: refuse, before a byte is written, what could lose something."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.errors import StorageError, TargetError
from napari_ome_ngff.storage.places import keys
from napari_ome_ngff.storage.places.folders import is_empty, missing_above, node_kind, remove_empty
from napari_ome_ngff.storage.places.leftovers import beside
from napari_ome_ngff.storage.places.location import is_zip, join, store_location
from napari_ome_ngff.storage.places.node_documents import DOCUMENTS
from napari_ome_ngff.storage.places.store_kind import folder_beneath, never_written
from napari_ome_ngff.writing.commit import bucket_commit
from napari_ome_ngff.writing.commit.plate_place import collection_of, plate_place
from napari_ome_ngff.writing.commit.single_file import check_archive
from napari_ome_ngff.writing.refusals import failing, inside_hierarchy, target_exists
from napari_ome_ngff.writing.target import as_store, is_archive, local_root, location_in, target_folder

if TYPE_CHECKING:
    from zarr.abc.store import Store


def check_target(store: Store | str | os.PathLike[str], path: str = "", *, overwrite: bool = False) -> None:
    """Refuse to write where something could be lost; `overwrite` allows to replace a Zarr hierarchy.

    Refused is whatever is no Zarr hierarchy, a place inside another one, a home folder or one above it, and
    where nothing can be written.
    """
    root = local_root(store)
    if root is None:
        place, inner = as_store(store), path.strip("/")
        with looking(place, inner):
            _check_in_store(place, inner, overwrite=overwrite)
        return
    target = target_folder(root, path)
    if is_archive(store):
        check_surroundings(root, root)
        check_archive(root, path, overwrite=overwrite)
        _refuse_protected(root)
        return
    check_surroundings(root, target)
    here = beside(target)
    if not os.path.lexists(here) or is_empty(here):
        return
    if not here.is_dir() or node_kind(here) is None:
        kind = "folder" if here.is_dir() else "file"
        raise TargetError(
            "A zip file is not replaced."
            if is_zip(here)
            else f"The {kind} is not a Zarr hierarchy, so it is not replaced.",
            where=str(target),
            hint="Choose a name that is not taken.",
        )
    if not overwrite:
        raise target_exists(str(target), "" if here == target else str(here))
    _refuse_protected(here)


@contextlib.contextmanager
def looking(store: Store, path: str) -> Iterator[None]:
    """Look at a place: what fails is an error of ours, and folders that a store makes for it go again."""
    missing = missing_above(folder_beneath(store))
    try:
        with failing("Looking at the place failed", location_in(store, path)):
            yield
    finally:
        remove_empty(missing)


def _refuse_protected(target: Path) -> None:
    """Refuse to replace what may not be written to, though the folder that it is in allows to rename it."""
    for path in (target, *(target / name for name in DOCUMENTS)):
        # An administrator may write everywhere.
        if os.path.exists(path) and not (os.access(path, os.W_OK) and path.stat().st_mode & 0o222):
            raise TargetError(
                "What is there is write-protected, so it is not replaced.",
                where=str(target),
                found=f"no permission to write to {path}",
                hint="Choose another name, or allow writing to it first.",
            )


def check_surroundings(root: Path, target: Path) -> None:
    """Refuse a place because of what is above it; `target` is the store's `root` or below it."""
    home = Path(os.path.realpath(os.path.expanduser("~")))
    if target == home or target in home.parents or target == Path(target.anchor):
        raise TargetError("A home folder, or one above it, is never replaced.", where=str(target))
    is_inside = plate_place(target) is not None or collection_of(target) is not None
    for above in () if is_inside else root.parents:
        if node_kind(above) is not None:
            raise inside_hierarchy(str(target), f"{above} is a Zarr {node_kind(above)}")
    for between in target.parents:
        if between == root.parent:
            break
        if node_kind(between) == "array":
            raise TargetError("The place lies inside a Zarr array.", where=str(target), found=str(between))
    parent = next(folder for folder in target.parents if os.path.lexists(folder))  # the others are made
    if not os.path.exists(parent):
        raise StorageError(
            "There is no folder to save into.", where=str(parent), hint="Make it, or choose another."
        )
    if not os.path.isdir(parent):
        raise StorageError("This is a file; nothing can be saved into it.", where=str(parent))
    if not os.access(parent, os.W_OK | os.X_OK):
        raise StorageError("The permission to write into this folder is missing.", where=str(parent))


def outermost(store: Store | str | os.PathLike[str], path: str = "") -> tuple[Any, str]:
    """Return the outermost Zarr hierarchy that a place lies in, and the path in that.

    That is what was given, unless `store` is the path or address of a group inside other groups.
    """
    if not isinstance(store, str | os.PathLike):
        return store, path
    root = local_root(store)
    if root is None:
        place = as_store(store)
        outer = _hierarchy_above(place)
        if outer is None:
            return place, path
        inner = store_location(place).removeprefix(store_location(outer)).strip("/")
        return outer.with_read_only(False), join(inner, path)
    groups = [above for above in root.parents if node_kind(above) == "group"]
    if not groups:
        return store, path
    return groups[-1], join(root.relative_to(groups[-1]).as_posix(), path)


def _check_in_store(store: Store, path: str, *, overwrite: bool) -> None:
    where = location_in(store, path)
    if store.read_only:
        raise StorageError("The store is read-only.", where=where)
    if reason := never_written(store):
        raise StorageError(
            "Nothing can be saved to a store of this kind.",
            where=where,
            found=reason,
            hint="Give a path, or the address of a bucket.",
        )
    if (above := keys.array_above(store, path)) is not None:
        raise TargetError("The place lies inside a Zarr array.", where=where, found=above)
    if (outer := _hierarchy_above(store)) is not None:
        raise inside_hierarchy(where, f"{store_location(outer)} is a Zarr group or array")
    exists, left = bucket_commit.occupied(store, path, overwrite=overwrite)
    if exists:
        if not overwrite:
            raise target_exists(where)
        if not bucket_commit.can_replace(store):
            raise TargetError("This kind of store cannot replace what it holds.", where=where)
    elif set(keys.under(store, path, limit=len(left) + 1)) - left:
        raise TargetError("There is something that is not a Zarr hierarchy.", where=where)


def _hierarchy_above(store: Any) -> Any | None:
    """Return the outermost group or array above a store in a bucket."""
    outer, above = None, store.above() if hasattr(store, "above") else None
    while above is not None:
        with contextlib.suppress(StorageError):  # there, nothing may be read
            outer = above if keys.exists(above, "") else outer
        above = above.above()
    return outer
