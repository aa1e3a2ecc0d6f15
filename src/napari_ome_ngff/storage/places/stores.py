"""The Zarr store behind a place: a folder, a zip file, a URL, a store or a group."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import zarr
from zarr.abc.store import Store
from zarr.storage import LocalStore, StorePath, ZipStore

from napari_ome_ngff.errors import NotOmeNgffError, OmeNgffError, StorageError
from napari_ome_ngff.storage.places import server_errors
from napari_ome_ngff.storage.places.leftovers import where_it_is
from napari_ome_ngff.storage.places.location import group_location, is_url, is_zip, local_path
from napari_ome_ngff.storage.places.node_documents import DOCUMENTS
from napari_ome_ngff.storage.places.store_kind import local_folder, store_kind

if TYPE_CHECKING:
    from napari_ome_ngff.arguments import Place


_MOST_NAMED = 5


def folders(store: Any, path: str) -> tuple[str, ...] | None:
    """Names of the folders below a path, sorted; None where listing takes requests, or may be impossible."""
    kind = store_kind(store, derived=True)
    if kind == "folder":
        return tuple(sorted(_in_folder(os.path.join(os.path.abspath(store.root), path))))
    if kind not in ("zip", "memory"):
        return None
    names = store._zf.namelist() if kind == "zip" else list(store._store_dict)
    prefix = f"{path}/" if path else ""
    inside = (name[len(prefix) :].partition("/") for name in names if name.startswith(prefix))
    return tuple(sorted({name for name, slash, _ in inside if slash and name}))


def _in_folder(path: str) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return [entry.name for entry in entries if _is_folder(entry)]
    except (OSError, ValueError):  # nothing there, or not to be read
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a loop of links
        return False


def stores_of(location: Place) -> list[tuple[Store, str]]:
    """The store that a place is in, and its path there; several to try where one may have to sign in.

    A place is a folder, a ``.zip`` or ``.ozx`` file (also with one folder inside), an ``http``, ``https``,
    ``s3``, ``gs`` or ``az`` address, a Zarr store, or a group. Stores are read-only, but that of a group.
    """
    if isinstance(location, zarr.Group | StorePath):
        return [_or_beside(location.store, location.path)]
    if isinstance(location, Store):
        return [_or_beside(_read_only(location), "")]
    text = local_path(group_location(os.fspath(location)))
    if is_url(text):
        from napari_ome_ngff.storage.places.servers import remote_store

        return [(store, "") for store in remote_store.remote_stores(text, dict(os.environ))]
    return [_local(Path(text).expanduser())]


def _read_only(store: Store) -> Store:
    if store.read_only:
        return store
    try:
        return store.with_read_only(True)
    except NotImplementedError:
        return store


def _or_beside(store: Store, path: str) -> tuple[Store, str]:
    """A store and a path in it; of a local folder that a killed save moved aside, where that is."""
    folder = Path(local_folder(store) or "", path)
    if local_folder(store) is None or (place := where_it_is(folder)) == folder:
        return store, path
    return LocalStore(place, read_only=True), ""


def _local(path: Path) -> tuple[Store, str]:
    inner, path = "", where_it_is(path)
    try:
        if path.is_dir():
            return LocalStore(path.absolute(), read_only=True), ""
        archive = next((above for above in path.parents if above.is_file()), None)
        if archive is not None and is_zip(archive):  # a path that goes on inside a zip file
            path, inner = archive, path.relative_to(archive).as_posix()
        path.stat()
    except FileNotFoundError as error:
        raise StorageError(
            "There is no such file or folder.", where=str(path), hint="Check the spelling of the path."
        ) from error
    except (OSError, ValueError) as error:  # a loop of links, a file in place of a folder; NUL in the name
        raise StorageError("The path cannot be read.", where=str(path), found=str(error)) from error
    if not is_zip(path):
        raise NotOmeNgffError(
            "This file is no Zarr hierarchy.",
            where=str(path),
            expected="a folder, or a .zip or .ozx file",
            hint="Open the folder that ends with .zarr, or the zarr.json or .zattrs inside it.",
        )
    try:
        store = ZipStore(path.absolute(), mode="r")
        store._sync_open()
    except Exception as error:  # zipfile raises many kinds on a damaged file
        raise StorageError("The zip file is damaged.", where=str(path), found=str(error)) from error
    return store, inner or _folder_in_zip(store, path)


def nothing_found(store: Store, error: OmeNgffError) -> OmeNgffError:
    """Why nothing was read from a store of `stores_of`: `error`, or what the server answered."""
    if not hasattr(store, "server"):
        return error
    return server_errors.nothing_found(store, error)


def _folder_in_zip(store: Any, where: Path) -> str:
    """Path of the group in a zip file: the root, or the one folder that has all others; else ""."""
    every = zarr_folders(store)
    if not every:
        tops = sorted({name.partition("/")[0] for name in store._zf.namelist()})
        store.close()
        raise NotOmeNgffError(
            "There is no Zarr group in this zip file.",
            where=str(where),
            found=", ".join(tops[:_MOST_NAMED]) + (", ..." if len(tops) > _MOST_NAMED else "") or "nothing",
            expected="a zarr.json, .zgroup or .zarray document",
        )
    first = f"{every[0]}/" if every[0] else ""
    return every[0] if all(f"{folder}/".startswith(first) for folder in every) else ""


def zarr_folders(store: Any, below: str = "") -> list[str]:
    """Zarr groups and arrays of a zip file, at a path or below it; those above come first."""
    inside = f"{below}/" if below else ""
    folders = {
        folder
        for folder, _, name in (name.rpartition("/") for name in store._zf.namelist())
        if name in DOCUMENTS and f"{folder}/".startswith(inside) and not folder.startswith("__MACOSX")
    }
    return sorted(folders, key=lambda folder: (folder.count("/") if folder else -1, folder))


def parent_store(store: Any) -> Store | None:
    """A store rooted one folder higher, or None where that cannot be."""
    kind = store_kind(store)
    if kind == "folder":
        root = Path(local_folder(store) or "")
        return LocalStore(root.parent, read_only=True) if root.parent != root else None
    if kind == "object":
        from napari_ome_ngff.storage.places import object_store
        from napari_ome_ngff.storage.places.servers import remote_store

        above = object_store.remote_parent(store.store)
        return None if above is None else remote_store.RemoteStore(above, read_only=True)
    if kind == "fsspec" and "/" in store.path.strip("/"):
        path = store.path.rstrip("/").rpartition("/")[0]
        return cast("Store", type(store)(fs=store.fs, path=path, read_only=True))
    return None
