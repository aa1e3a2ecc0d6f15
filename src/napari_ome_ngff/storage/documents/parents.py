"""Arrays by their own place, and the groups above them. Always read-only."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.errors import OmeNgffError
from napari_ome_ngff.storage.documents import json_documents
from napari_ome_ngff.storage.documents.hierarchy import Hierarchy, Table
from napari_ome_ngff.storage.places.location import join, store_location
from napari_ome_ngff.storage.places.stores import _parent_store, stores_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import zarr
    from zarr.abc.store import Store

# How deep in an image an array can be that was opened by its own path: plate/A/1/field/labels/name/level.
_MAX_CLIMB = 8


def array_at(location: str | os.PathLike[str] | Store | zarr.Group) -> zarr.Array[Any] | None:
    """Return the array that lies at a place.

    Parameters
    ----------
    location
        As for :func:`~napari_ome_ngff.storage.documents.hierarchy.open_hierarchy`; a path may go on inside a
        zip file.

    Returns
    -------
    zarr.Array or None
        Read-only. None if there is no array.

    Raises
    ------
    StorageError
        If there is nothing, or it cannot be reached or read.
    MetadataError
        If the array's document is damaged.
    NotOmeNgffError
        If there is a file that is no zip file.

    Examples
    --------
    >>> import tempfile, zarr
    >>> folder = tempfile.mkdtemp()
    >>> _ = zarr.create_array(f"{folder}/0", shape=(4, 6), dtype="uint8")
    >>> array_at(f"{folder}/0").shape, array_at(folder)
    ((4, 6), None)
    """
    for store, path in stores_of(location):
        table = Table(store)
        table.fetch(join(path, name) for name in ("zarr.json", ".zarray", ".zattrs"))
        if (array := _array(table, path)) is not None:
            return array
        if store is not location:
            store.close()
    return None


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
        if store is not None and (group := _group(store, path)) is not None:
            yield group


def _array(table: Table, path: str) -> zarr.Array[Any] | None:
    where = "/".join(part for part in (store_location(table.store).rstrip("/"), path) if part)
    new, old, attributes = (table.documents[join(path, n)] for n in ("zarr.json", ".zarray", ".zattrs"))
    if isinstance(new, dict) and json_documents.is_array(new, where=where):
        own = json_documents.attributes_of(new, where=where)
        return json_documents.build_array(table.store, path, new, own, where=where)
    if isinstance(old, dict):
        own = attributes if isinstance(attributes, dict) else {}
        return json_documents.build_array(table.store, path, old, own, where=where)
    for found in (new, old):
        if isinstance(found, OmeNgffError):
            raise found
    return None


def _group(store: Store, path: str) -> zarr.Group | None:
    table = Table(store)
    try:
        table.find_root(path, ())
        return Hierarchy(table, path).group()
    except OmeNgffError:
        return None  # climbing passes over everything that is no readable group
