"""The target of a save: a folder, a single file or a store."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.errors import StorageError, TargetError
from napari_ome_ngff.storage.places.location import (
    group_location,
    is_url,
    is_windows_name,
    local_path,
    store_location,
)
from napari_ome_ngff.storage.places.store_kind import store_kind

if TYPE_CHECKING:
    from zarr.abc.store import Store


ARCHIVES = (".ozx", ".zarr.zip")
"""Endings of single files: zip files, of which the first are those of RFC-9."""


def is_archive(store: object) -> bool:
    """Tell by its name whether a target is a single file: a local path that ends with `ARCHIVES`."""
    if not isinstance(store, str | os.PathLike):
        return False
    text = local_path(os.fspath(store))
    return not is_url(text) and Path(text).name.lower().endswith(ARCHIVES)


def refuse_version(version: Any, zarr_format: int, store: object) -> None:
    """Refuse versions of OME-Zarr that are not on Zarr v3 for a single file."""
    if zarr_format == 2 and is_archive(store):
        # RFC-9: the archive "MUST contain the OME-Zarr's root-level zarr.json".
        raise TargetError(
            f"OME-Zarr {version} cannot be in a single file.",
            where=str(store),
            expected="Zarr v3, which came with version 0.5",
            hint="Choose 0.5 or 0.6, or save into a folder that ends with .ome.zarr.",
        )


def check_names(names: Iterable[str], where: str) -> None:
    """Refuse names that Windows does not take, on Windows; it would change them, or write to a device."""
    for name in names if sys.platform == "win32" else ():
        if name not in ("", ".", "..") and not is_windows_name(name):
            raise TargetError(
                "Windows takes no file or folder of this name.",
                where=where,
                found=repr(name),
                expected='a name without < > : " / \\ | ? *, which does not end with a dot or a space, and is'
                " none of CON, PRN, AUX, NUL, COM1 to COM9 and LPT1 to LPT9, whatever follows the dot",
                hint="Choose another name.",
            )


def local_root(store: Store | str | os.PathLike[str]) -> Path | None:
    """Return the folder or file that a store is rooted at, links followed; None for any other store."""
    if isinstance(store, str | os.PathLike):
        text = local_path(os.fspath(store))
        if is_url(text):
            return None
        path = Path(text).expanduser()
        check_names(path.parts[bool(path.anchor) :], str(path))
        return Path(os.path.realpath(path))
    if store_kind(store) == "folder":
        if store.read_only:
            raise StorageError("The store is read-only.", where=store_location(store))
        return Path(os.path.realpath(store_location(store)))
    return None


def target_folder(root: Path, path: str) -> Path:
    """Return the folder of a hierarchy, links followed; it need not exist. A path that leaves is refused."""
    parts = [part for part in path.split("/") if part]
    if any(part in (".", "..") or os.sep in part for part in parts):
        raise TargetError("A path inside a store must not leave it.", where=str(root), found=repr(path))
    check_names(parts, str(root))
    return Path(os.path.realpath(root.joinpath(*parts)))


def as_store(store: Any) -> Store:
    """Return the store to write to, for what is no local folder.

    An ``s3``, ``gs`` or ``az`` address and an object store become one that says clearly what a server
    answers.
    """
    if isinstance(store, str | os.PathLike):
        from napari_ome_ngff.storage.places.upload_store import upload_store

        return upload_store(group_location(os.fspath(store)), dict(os.environ))
    if store_kind(store) == "object":
        from napari_ome_ngff.storage.places.upload_store import UploadStore

        if not isinstance(store, UploadStore):
            return UploadStore(store.store, read_only=store.read_only)
    result: Store = store
    return result


def location_in(store: Store, path: str) -> str:
    """Return the path or URL of a hierarchy in a store, for messages."""
    return f"{store_location(store)}/{path}" if path else store_location(store)


def can_append() -> bool:
    """Whether this system can write at a position of a file from several threads (Windows cannot)."""
    return hasattr(os, "pwrite")
