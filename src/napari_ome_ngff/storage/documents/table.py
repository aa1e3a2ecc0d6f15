"""Metadata documents by key, as they were fetched: each once, and the first ones in both Zarr formats."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.errors import NotOmeNgffError, OmeNgffError
from napari_ome_ngff.storage.documents import json_documents
from napari_ome_ngff.storage.places.keys import join
from napari_ome_ngff.storage.places.location import store_location
from napari_ome_ngff.storage.places.requests import fetch

if TYPE_CHECKING:
    import zarr
    from zarr.abc.store import Store

_ROOT = ("zarr.json", ".zgroup", ".zattrs")


_AHEAD = ("zarr.json", ".zattrs")


class Table:
    """What the documents of a store hold, by key.

    Parameters
    ----------
    store
        Where they are.

    Attributes
    ----------
    store : Store
        The same.
    zarr_format : int
        2 or 3: which documents are asked for.
    documents : dict
        Key to the document, to None where there is nothing, or to the error that came instead.
    arrays : dict
        Identity of an array's document to an array that was made from it.

    Examples
    --------
    >>> import zarr
    >>> table = Table(zarr.group(store=zarr.storage.MemoryStore(), attributes={"a": 1}).store)
    >>> table.find_root("", ["labels"])
    >>> table.documents["zarr.json"]["attributes"], table.documents["labels/zarr.json"]
    ({'a': 1}, None)
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.zarr_format = 3
        self.documents: dict[str, json_documents.Document | OmeNgffError | None] = {}
        self.arrays: dict[int, zarr.Array[Any]] = {}

    def fetch(self, keys: Iterable[str]) -> None:
        """Fetch, in one round trip, those documents that are not known yet.

        Parameters
        ----------
        keys
            Complete keys.
        """
        root = store_location(self.store).rstrip("/")
        known: dict[bytes, json_documents.Document | OmeNgffError] = {}
        for key, content in fetch(self.store, [key for key in keys if key not in self.documents]).items():
            found: json_documents.Document | OmeNgffError | None
            if not isinstance(content, bytes):
                found = content
            elif content in known:  # the fields of a plate are mostly described in the same words
                found = known[content]
            else:
                found = known[content] = _parsed(content, f"{root}/{key}")
            self.documents[key] = found
            if key.endswith("zarr.json") and isinstance(found, dict):
                self._take_consolidated(key.rpartition("/")[0], found.get("consolidated_metadata"))

    def take_group(self, group: zarr.Group) -> None:
        """Take what a group object knows already.

        Parameters
        ----------
        group
            A group in the same store.
        """
        self.zarr_format = group.metadata.zarr_format
        attributes, metadata = group.attrs.asdict(), group.metadata.to_dict()
        if self.zarr_format == 3:
            consolidated = metadata.get("consolidated_metadata")
            self.documents[join(group.path, "zarr.json")] = {
                "node_type": "group",
                "attributes": attributes,
                "consolidated_metadata": consolidated,
            }
            self._take_consolidated(group.path, consolidated)
        else:
            self.documents[join(group.path, ".zattrs")] = attributes
            self.documents[join(group.path, ".zarray")] = None

    def find_root(self, path: str, ahead: Iterable[str]) -> None:
        """Fetch the first documents, in both Zarr formats, and find out which one it is.

        Parameters
        ----------
        path
            Complete path of the group.
        ahead
            Complete paths of groups that are asked for in the same round trip.

        Raises
        ------
        NotOmeNgffError
            If there is no group.
        MetadataError
            If its document is damaged.
        StorageError
            If it cannot be read.
        """
        where = "/".join(part for part in (store_location(self.store).rstrip("/"), path) if part)
        keys = [join(path, name) for name in _ROOT]
        self.fetch([*keys, *(join(folder, name) for folder in ahead for name in _AHEAD)])
        new, old, attributes = (self.documents[key] for key in keys)
        if isinstance(new, dict):
            if json_documents.is_array(new, where=where):
                raise is_array(where)
            return
        errors = [found for found in (new, old, attributes) if isinstance(found, OmeNgffError)]
        if not isinstance(old, dict) and not errors:
            self.fetch([join(path, ".zarray")])
            if isinstance(self.documents[join(path, ".zarray")], dict):
                raise is_array(where)
        # A damaged zarr.json beside sound documents of Zarr v2 is left aside.
        if isinstance(old, dict) or (isinstance(attributes, dict) and not errors):
            self.zarr_format = 2
            return
        raise errors[0] if errors else no_group(where)

    def _take_consolidated(self, folder: str, consolidated: Any) -> None:
        """Take documents from a group's consolidated metadata: those of Zarr v3, and what is no nonsense."""
        members = consolidated.get("metadata") if isinstance(consolidated, dict) else None
        for path, document in members.items() if isinstance(members, dict) else ():
            if isinstance(document, dict) and document.get("zarr_format", 3) == 3:
                try:
                    key = join(folder, json_documents.normalised(path, where=folder), "zarr.json")
                except OmeNgffError:
                    continue
                self.documents.setdefault(key, document)


def is_array(where: str) -> NotOmeNgffError:
    """Return the error for an array in the place of a group.

    Parameters
    ----------
    where
        Path or URL of it.

    Returns
    -------
    NotOmeNgffError
        To be raised by the caller.
    """
    return NotOmeNgffError(
        "This is a Zarr array, not a group.",
        where=where,
        hint="Open the image's folder, one or more levels above.",
    )


def no_group(where: str) -> NotOmeNgffError:
    """Return the error for a place without a group.

    Parameters
    ----------
    where
        Path or URL of it.

    Returns
    -------
    NotOmeNgffError
        To be raised by the caller.
    """
    return NotOmeNgffError(
        "There is no Zarr group at this place.",
        where=where,
        expected="a zarr.json or .zgroup document",
        hint="Open the folder or address that holds it; it usually ends with .zarr.",
    )


def _parsed(content: bytes, where: str) -> json_documents.Document | OmeNgffError:
    try:
        return json_documents.parse(content, where=where)
    except OmeNgffError as error:
        return error
