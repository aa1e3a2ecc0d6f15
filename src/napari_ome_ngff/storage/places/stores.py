"""The Zarr store behind a place: a folder, a zip file, a URL, a store or a group."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from napari_ome_ngff.errors import NotOmeNgffError, OmeNgffError, StorageError
from napari_ome_ngff.storage.places import server_errors
from napari_ome_ngff.storage.places.location import (
    DOCUMENTS,
    group_location,
    is_url,
    is_zip,
    local_path,
)

if TYPE_CHECKING:
    import zarr
    from zarr.abc.store import Store


def folders(store: Store, path: str) -> tuple[str, ...] | None:
    """Return the names of the folders below a path.

    Parameters
    ----------
    store
        Any Zarr store.
    path
        A path in it; "" for its root.

    Returns
    -------
    tuple of str or None
        In alphabetical order; None where listing takes requests, or may be impossible.

    Examples
    --------
    >>> import zarr
    >>> store = zarr.storage.MemoryStore()
    >>> _ = zarr.create_array(store, name="a/b/0", shape=(2,), dtype="uint8")
    >>> folders(store, "a")
    ('b',)
    """
    from zarr.storage import LocalStore, MemoryStore, ZipStore

    found: Any = store
    if isinstance(store, LocalStore):
        return tuple(sorted(_in_folder(os.path.join(os.path.abspath(found.root), path))))
    if isinstance(store, ZipStore):
        names = found._zf.namelist()
    elif isinstance(store, MemoryStore):
        names = list(found._store_dict)
    else:
        return None
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


def stores_of(location: str | os.PathLike[str] | Store | zarr.Group) -> list[tuple[Store, str]]:
    """Return the store that a place is in, and its path there.

    Parameters
    ----------
    location
        A folder, a ``.zip`` or ``.ozx`` file (also with one folder inside), an ``http``, ``https``, ``s3``,
        ``gs`` or ``az`` address, a Zarr store, or a group.

    Returns
    -------
    list of (Store, str)
        Read-only, unless a group was given. Several for an address that may need signing in: to be tried in
        this order.

    Raises
    ------
    StorageError
        If there is nothing, or it cannot be reached or read.
    NotOmeNgffError
        If there is a file that is no zip file.

    Examples
    --------
    >>> import tempfile
    >>> [path for store, path in stores_of(tempfile.mkdtemp())]
    ['']
    """
    import zarr
    from zarr.abc.store import Store

    if isinstance(location, zarr.Group):
        return [(location.store, location.path)]
    if isinstance(location, Store):
        return [(_read_only(location), "")]
    text = local_path(group_location(os.fspath(location)))
    if is_url(text):
        from napari_ome_ngff.storage.places import object_store

        return [(store, "") for store in object_store.remote_stores(text, dict(os.environ))]
    return [_local(Path(text).expanduser())]


def _read_only(store: Store) -> Store:
    if store.read_only:
        return store
    try:
        return store.with_read_only(True)
    except NotImplementedError:
        return store


def _local(path: Path) -> tuple[Store, str]:
    from zarr.storage import LocalStore, ZipStore

    inner = ""
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
    return store, inner or _folder_in_zip(store)


def nothing_found(store: Store, error: OmeNgffError) -> OmeNgffError:
    """Return why nothing was found in a store, which may be something else than that there is nothing.

    Parameters
    ----------
    store
        One of `stores_of`.
    error
        What was found wrong.

    Returns
    -------
    OmeNgffError
        The same, or what the server said.
    """
    if not hasattr(store, "refused"):
        return error
    return server_errors.nothing_found(store, error)


def _folder_in_zip(store: Any) -> str:
    """Return the path of the group in a zip file: the root, or the one folder that the file holds."""
    names = store._zf.namelist()
    if any(name in DOCUMENTS for name in names):
        return ""
    tops = {name.partition("/")[0] for name in names if "/" in name and not name.startswith("__MACOSX")}
    return tops.pop() if len(tops) == 1 else ""


def _parent_store(store: Any) -> Store | None:
    """Return a store rooted one folder higher, or None where that cannot be."""
    from zarr.storage import LocalStore

    kind = type(store).__name__
    if kind == "LocalStore":
        root = Path(store.root).absolute()
        return LocalStore(root.parent, read_only=True) if root.parent != root else None
    if kind in ("ObjectStore", "RemoteStore"):
        from napari_ome_ngff.storage.places import object_store

        above = object_store.remote_parent(store.store)
        return None if above is None else object_store.RemoteStore(above, read_only=True)
    if kind == "FsspecStore" and "/" in store.path.strip("/"):
        path = store.path.rstrip("/").rpartition("/")[0]
        return cast("Store", type(store)(fs=store.fs, path=path, read_only=True))
    return None
