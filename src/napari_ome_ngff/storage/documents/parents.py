"""Arrays by their own path, and the groups above them; always read-only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import zarr
from zarr.abc.store import Store

from napari_ome_ngff.errors import OmeNgffError
from napari_ome_ngff.storage.documents import json_documents
from napari_ome_ngff.storage.documents.hierarchy import Hierarchy, Table
from napari_ome_ngff.storage.places.location import join, location_in
from napari_ome_ngff.storage.places.stores import parent_store, stores_of

if TYPE_CHECKING:
    from napari_ome_ngff.arguments import Place


# How deep in an image an array can be that was opened by its own path: plate/A/1/field/labels/name/level.
_MAX_CLIMB = 8


def array_at(location: Place) -> zarr.Array[Any] | None:
    """The array at a location (as of `open_hierarchy`, or inside a zip file), read-only; None if none."""
    for store, path in stores_of(location):
        table = Table(store)
        table.fetch(join(path, name) for name in ("zarr.json", ".zarray", ".zattrs"))
        if (array := _array(table, path)) is not None:
            return array
        if store is not location:
            store.close()
    return None


def parents(node: zarr.Group | zarr.Array[Any]) -> Iterator[zarr.Group]:
    """Yield the groups above an array or a group, nearest first; folders that are no group are passed over.

    An array that was opened by its own path has a store rooted at itself: the groups above it are reached all
    the same for local folders, object stores and fsspec file systems.
    """
    store: Store | None = node.store
    path = node.path
    for _ in range(_MAX_CLIMB):
        if store is None:
            return
        if path:
            path = path.rpartition("/")[0]
        else:
            store = parent_store(store)
        if store is not None and (group := _group(store, path)) is not None:
            yield group


def _array(table: Table, path: str) -> zarr.Array[Any] | None:
    new, old = (table.documents[join(path, name)] for name in ("zarr.json", ".zarray"))
    is_new = isinstance(new, dict) and json_documents.is_array(new, where=location_in(table.store, path))
    # A damaged zarr.json beside a sound document of Zarr v2 is left aside.
    is_damaged = isinstance(new, OmeNgffError) and not isinstance(old, dict)
    table.zarr_format = 3 if is_new or is_damaged else 2
    return Hierarchy(table, path).array("")


def _group(store: Store, path: str) -> zarr.Group | None:
    table = Table(store)
    try:
        table.find_root(path, ())
        return Hierarchy(table, path).group()
    except OmeNgffError:
        return None  # climbing passes over everything that is no readable group
