"""Open a Zarr group, wherever it is: a path, a URL, a zip file, a Zarr store or a group. Always read-only."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from napari_ome_ngff.errors import MetadataError, NotOmeNgffError, OmeNgffError, StorageError
from napari_ome_ngff.storage.location import (
    DOCUMENTS,
    group_location,
    is_url,
    is_within,
    is_zip,
    location_of,
    looks_like_ome_ngff,
    store_location,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    import zarr
    from zarr.abc.store import Store

__all__ = [
    "group_location",
    "is_within",
    "location_of",
    "looks_like_ome_ngff",
    "member",
    "open_group",
    "parents",
]

# How deep in an image an array can be that was opened by its own path: plate/A/1/field/labels/name/level.
_MAX_CLIMB = 8


def open_group(location: str | os.PathLike[str] | Store | zarr.Group, *, path: str = "") -> zarr.Group:
    """Open a Zarr group for reading.

    Parameters
    ----------
    location
        A folder, a ``.zip`` or ``.ozx`` file (also with one folder inside), an ``http``, ``https``, ``s3``,
        ``gs`` or ``az`` address, a Zarr store, or a group, which is used as it is.
    path
        Path of the group below `location`.

    Returns
    -------
    zarr.Group
        Read-only, unless a group was given.

    Raises
    ------
    StorageError
        If there is nothing, or it cannot be reached or read.
    NotOmeNgffError
        If there is something, but not a Zarr group.

    Examples
    --------
    >>> import tempfile, zarr
    >>> folder = tempfile.mkdtemp()
    >>> _ = zarr.open_group(folder, mode="w", attributes={"ome": {"version": "0.5"}})
    >>> open_group(folder).attrs["ome"]
    {'version': '0.5'}
    """
    import zarr
    from zarr.abc.store import Store

    if isinstance(location, zarr.Group):
        if not path:
            return location
        return _open(location.store, "/".join(p for p in (location.path, path.strip("/")) if p))
    if isinstance(location, Store):
        return _open(location, path.strip("/"))
    text = group_location(os.fspath(location))
    if text.startswith("file://"):
        from urllib.parse import urlsplit
        from urllib.request import url2pathname

        text = url2pathname(urlsplit(text).path)
    if is_url(text):
        return _open_remote(text, path.strip("/"))
    return _open_local(Path(text).expanduser(), path.strip("/"))


def parents(node: zarr.Group | zarr.Array[Any]) -> Iterator[zarr.Group]:
    """Yield the groups above an array or a group, nearest first.

    An array that was opened by its own path or address has a store rooted at itself; the groups above it are
    found all the same for local folders, object stores and fsspec file systems.

    Parameters
    ----------
    node
        A Zarr array or group of any store.

    Yields
    ------
    zarr.Group
        Folders that are no Zarr group are passed over.

    Examples
    --------
    >>> import zarr
    >>> array = zarr.create_array({}, name="image/0", shape=(2,), dtype="uint8")
    >>> [group.path for group in parents(array)]
    ['image', '']
    """
    store: Store | None = node.store
    path = node.path
    for _ in range(_MAX_CLIMB):
        if store is None:
            return
        if path:
            path = path.rpartition("/")[0]
        else:
            store = _parent_store(store)
        if store is not None and (group := _open_if_group(store, path)) is not None:
            yield group


def member(group: zarr.Group, path: str) -> zarr.Array[Any] | zarr.Group | None:
    """Open what is below a group.

    Parameters
    ----------
    group
        An open group.
    path
        Relative to it.

    Returns
    -------
    zarr.Array, zarr.Group or None
        None if there is nothing.

    Raises
    ------
    MetadataError
        If its Zarr metadata are damaged.
    StorageError
        If it cannot be reached or read.

    Examples
    --------
    >>> import zarr
    >>> group = zarr.group(store=zarr.storage.MemoryStore())
    >>> member(group, "0") is None
    True
    """
    from zarr.errors import NodeNotFoundError

    try:
        return group[path]
    except (FileNotFoundError, NodeNotFoundError):
        return None
    except (KeyError, TypeError, ValueError) as error:
        # zarr says KeyError(path) for what is not there, and any of these for a document it cannot read.
        if isinstance(error, KeyError) and (error.__cause__ is not None or error.args == (path,)):
            return None
        raise MetadataError(
            f"The Zarr metadata of {path!r} are damaged.",
            where=location_of(group),
            found=f"{type(error).__name__}: {error}",
        ) from error
    except OmeNgffError:
        raise
    except Exception as error:  # whatever a store makes zarr raise
        raise _explain(error, f"{location_of(group)}/{path}") from error


def _open_local(path: Path, inner: str) -> zarr.Group:
    from zarr.storage import LocalStore, ZipStore

    try:
        path.stat()
    except FileNotFoundError as error:
        raise StorageError(
            "There is no such file or folder.", where=str(path), hint="Check the spelling of the path."
        ) from error
    except OSError as error:
        raise StorageError("The path cannot be read.", where=str(path), found=str(error)) from error
    if path.is_dir():
        return _open(LocalStore(path.absolute(), read_only=True), inner)
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
    return _open(store, inner or _folder_in_zip(store))


def _folder_in_zip(store: Any) -> str:
    """Return the path of the group in a zip file: the root, or the one folder that the file holds."""
    names = store._zf.namelist()
    if any(name in DOCUMENTS for name in names):
        return ""
    tops = {name.partition("/")[0] for name in names if "/" in name and not name.startswith("__MACOSX")}
    return tops.pop() if len(tops) == 1 else ""


def _open_remote(url: str, path: str) -> zarr.Group:
    from napari_ome_ngff.storage import remote

    stores = remote.remote_stores(url, dict(os.environ))
    for last, store in ((s is stores[-1], s) for s in stores):
        try:
            return _open(store, path)
        except OmeNgffError:
            if last and not store.refused:
                raise
            if last:
                raise remote.refused(url, store.refused) from None
    raise AssertionError("remote_stores returns at least one store")


def _open(store: Store, path: str) -> zarr.Group:
    import zarr
    from zarr.errors import ContainsArrayError, GroupNotFoundError

    where = f"{store_location(store)}/{path}" if path else store_location(store)
    try:
        with warnings.catch_warnings():
            # Documents of both formats: v3 is taken. A server that answers everything seems to have both.
            warnings.filterwarnings("ignore", "Both zarr.json")
            return zarr.open_group(store, path=path, mode="r")
    except ContainsArrayError as error:
        raise _is_array(where) from error
    except (GroupNotFoundError, FileNotFoundError) as error:
        if _holds_array(store, path):
            raise _is_array(where) from error
        raise NotOmeNgffError(
            "There is no Zarr group at this place.",
            where=where,
            expected="a zarr.json or .zgroup document",
            hint="Open the folder or address that holds it; it usually ends with .zarr.",
        ) from error
    except OmeNgffError:
        raise
    except Exception as error:  # whatever a store or a malformed document makes zarr raise
        if not isinstance(error, OSError) and not is_url(where) and _holds_array(store, path):
            raise _is_array(where) from error  # zarr before 3.1.2 asserts
        raise _explain(error, where) from error


def _holds_array(store: Store, path: str) -> bool:
    import zarr

    try:
        zarr.open_array(store, path=path, mode="r")
    except Exception:  # noqa: BLE001 (any failure means the same: no array that the message could name)
        return False
    return True


def _is_array(where: str) -> NotOmeNgffError:
    return NotOmeNgffError(
        "This is a Zarr array, not a group.",
        where=where,
        hint="Open the image's folder, one or more levels above.",
    )


def _explain(error: Exception, where: str) -> OmeNgffError:
    if is_url(where) and not where.startswith("memory://"):
        from napari_ome_ngff.storage import remote

        return remote.explain(error, where)
    if isinstance(error, PermissionError):
        return StorageError("The permission to read this is missing.", where=where, found=str(error))
    if isinstance(error, OSError):
        return StorageError("The Zarr metadata cannot be read.", where=where, found=str(error))
    return NotOmeNgffError(
        "The Zarr metadata are damaged.", where=where, found=f"{type(error).__name__}: {error}"
    )


def _open_if_group(store: Store, path: str) -> zarr.Group | None:
    import zarr

    try:
        return zarr.open_group(store, path=path, mode="r")
    except Exception:  # noqa: BLE001 (climbing passes over everything that is no readable group)
        return None


def _parent_store(store: Any) -> Store | None:
    """Return a store rooted one folder higher, or None where that cannot be."""
    from zarr.storage import LocalStore

    kind = type(store).__name__
    if kind == "LocalStore":
        root = Path(store.root).absolute()
        return LocalStore(root.parent, read_only=True) if root.parent != root else None
    if kind in ("ObjectStore", "RemoteStore"):
        from napari_ome_ngff.storage import remote

        above = remote.remote_parent(store.store)
        return None if above is None else remote.RemoteStore(above, read_only=True)
    if kind == "FsspecStore" and "/" in store.path.strip("/"):
        path = store.path.rstrip("/").rpartition("/")[0]
        return cast("Store", type(store)(fs=store.fs, path=path, read_only=True))
    return None
