"""Metadata documents of a hierarchy: fetched together, each once; arrays are built from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.errors import NotOmeNgffError, OmeNgffError
from napari_ome_ngff.storage.documents import json_documents
from napari_ome_ngff.storage.places.location import join, store_location
from napari_ome_ngff.storage.places.requests import fetch, is_cheap
from napari_ome_ngff.storage.places.stores import folders, nothing_found, stores_of

if TYPE_CHECKING:
    from os import PathLike

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


class Hierarchy:
    """A Zarr hierarchy known by its metadata documents.

    Documents are fetched together, each at most once, and arrays are built from them without further
    requests. Paths are relative to the group that was opened; one that leads out of it is refused with a
    :class:`~napari_ome_ngff.errors.MetadataError`. What changes in the store later is not seen.

    Parameters
    ----------
    table
        The documents, shared with hierarchies of groups below.
    path
        Path of the group in the store.

    Examples
    --------
    >>> import zarr
    >>> store = zarr.storage.MemoryStore()
    >>> _ = zarr.create_array(store, name="labels/cells/0", shape=(4, 6), dtype="uint8")
    >>> hierarchy = open_hierarchy(store)
    >>> hierarchy.shape("labels/cells/0")
    (4, 6)
    >>> hierarchy.below("labels").attributes("cells"), hierarchy.attributes("labels/nuclei")
    ({}, None)
    >>> hierarchy.children("labels")
    ('cells',)
    """

    def __init__(self, table: Table, path: str) -> None:
        self._table = table
        self._root = store_location(table.store)
        self.path = path

    @property
    def store(self) -> Store:
        """The store that the hierarchy is in."""
        return self._table.store

    @property
    def zarr_format(self) -> int:
        """2 or 3: of the group that was opened, and asked for below it."""
        return self._table.zarr_format

    @property
    def location(self) -> str:
        """Path or URL of the group."""
        return self._where(self.path)

    def fetch(self, paths: Iterable[str], *, groups: bool = False) -> None:
        """Fetch the documents of several groups and arrays in one round trip; nothing that is known.

        Parameters
        ----------
        paths
            Relative to the group. One that leads out of it is passed over here and refused when it is used.
        groups
            Whether all of them are groups: in Zarr v2 these need half as many requests.
        """
        wanted = []
        for path in paths:
            try:
                wanted.append(self._full(path))
            except OmeNgffError:
                continue
        self._table.fetch(join(path, name) for path in wanted for name in self._names(groups=groups))

    def attributes(self, path: str = "") -> dict[str, Any] | None:
        """Return the attributes of a group.

        Parameters
        ----------
        path
            Of the group.

        Returns
        -------
        dict or None
            Not to be changed. None if there is no group: nothing, an array, or a folder without metadata. (A
            Zarr v2 group below the root that has no attributes is not looked for on a server.)

        Raises
        ------
        MetadataError
            If its document is damaged.
        StorageError
            If it is out of reach.
        """
        full = self._full(path)
        where = self._where(full)
        if self.zarr_format == 3:
            document = self._get(full, "zarr.json")
            if document is None or json_documents.is_array(document, where=where):
                return None
            return json_documents.attributes_of(document, where=where)
        attributes = self._get(full, ".zattrs")
        if self._known(full, ".zarray"):
            return None
        return {} if attributes is None and self._known(full, ".zgroup") else attributes

    def array(self, path: str) -> zarr.Array[Any] | None:
        """Return an array.

        Parameters
        ----------
        path
            Of the array.

        Returns
        -------
        zarr.Array or None
            Read-only. None if there is no array.

        Raises
        ------
        MetadataError
            If its document is damaged, or no array can be as it says.
        StorageError
            If it is out of reach.
        """
        full = self._full(path)
        document = self._array_document(full)
        if document is None:
            return None
        where = self._where(full)
        if self.zarr_format == 3:
            attributes = json_documents.attributes_of(document, where=where)
        else:
            attributes = self._known(full, ".zattrs") or {}
        # Equal documents of one round trip are one object: hundreds of fields differ in their place alone.
        known = self._table.arrays.get(id(document)) if not attributes else None
        array = json_documents.build_array(self.store, full, document, attributes, where=where, alike=known)
        if not attributes:
            self._table.arrays[id(document)] = array
        return array

    def shape(self, path: str) -> tuple[int, ...] | None:
        """Return the shape of an array, without building it.

        Parameters
        ----------
        path
            Of the array.

        Returns
        -------
        tuple of int or None
            None if there is no array.

        Raises
        ------
        MetadataError, StorageError
            As for `array`.
        """
        full = self._full(path)
        document = self._array_document(full)
        return None if document is None else json_documents.shape_of(document, where=self._where(full))

    def group(self, path: str = "") -> zarr.Group:
        """Return a group as Zarr's own object.

        Parameters
        ----------
        path
            Of the group.

        Returns
        -------
        zarr.Group
            Read-only, unless the hierarchy was made from a group.

        Raises
        ------
        NotOmeNgffError
            If there is no group.
        MetadataError, StorageError
            As for `attributes`.
        """
        attributes = self.attributes(path)
        full = self._full(path)
        if attributes is None:
            raise no_group(self._where(full))
        document = self._known(full, "zarr.json") or {} if self.zarr_format == 3 else {}
        return json_documents.build_group(
            self.store, full, self.zarr_format, attributes, document.get("consolidated_metadata")
        )

    def children(self, path: str = "") -> tuple[str, ...] | None:
        """Return the names of the folders below a group, where that costs no request.

        Parameters
        ----------
        path
            Of the group.

        Returns
        -------
        tuple of str or None
            In alphabetical order; None where listing takes requests, or may be impossible.
        """
        return folders(self.store, self._full(path))

    def below(self, path: str) -> Hierarchy:
        """Return the same documents as seen from a group below.

        Parameters
        ----------
        path
            Of the group.

        Returns
        -------
        Hierarchy
            What one of them fetches the other one knows.
        """
        return Hierarchy(self._table, self._full(path))

    def __repr__(self) -> str:
        return f"<Hierarchy {self.location}>"

    def _full(self, path: str) -> str:
        return join(self.path, json_documents.normalised(path, where=self.location))

    def _where(self, full: str) -> str:
        return f"{self._root.rstrip('/')}/{full}" if full else self._root

    def _names(self, *, groups: bool) -> tuple[str, ...]:
        if self.zarr_format == 3:
            return ("zarr.json",)
        names = (".zattrs",) if groups else (".zattrs", ".zarray")
        return (*names, ".zgroup") if is_cheap(self.store) else names

    def _array_document(self, full: str) -> json_documents.Document | None:
        if self.zarr_format == 2:
            return self._get(full, ".zarray")
        document = self._get(full, "zarr.json")
        is_array = document is not None and json_documents.is_array(document, where=self._where(full))
        return document if is_array else None

    def _get(self, full: str, name: str) -> json_documents.Document | None:
        """Return a document, fetched now if it must be, with those that belong to it."""
        if join(full, name) not in self._table.documents:
            self._table.fetch(join(full, each) for each in self._names(groups=False))
        found = self._table.documents.get(join(full, name))
        if isinstance(found, OmeNgffError):
            raise found
        return found

    def _known(self, full: str, name: str) -> json_documents.Document | None:
        found = self._table.documents.get(join(full, name))
        return found if isinstance(found, dict) else None


def open_hierarchy(
    location: str | PathLike[str] | Store | zarr.Group, *, ahead: Sequence[str] = ()
) -> Hierarchy:
    """Open a group by its metadata documents, in one round trip.

    Parameters
    ----------
    location
        A folder, a ``.zip`` or ``.ozx`` file (also with one folder inside), an ``http``, ``https``, ``s3``,
        ``gs`` or ``az`` address, a Zarr store, or a group.
    ahead
        Paths of groups that are likely to be needed: asked for in the same round trip.

    Returns
    -------
    Hierarchy
        Read-only, unless a group was given.

    Raises
    ------
    StorageError
        If there is nothing, or it cannot be reached or read.
    NotOmeNgffError
        If there is something, but not a Zarr group.
    MetadataError
        If the group's own document is damaged.

    Examples
    --------
    >>> import zarr
    >>> group = zarr.group(store=zarr.storage.MemoryStore(), attributes={"ome": {"version": "0.5"}})
    >>> open_hierarchy(group).attributes()
    {'ome': {'version': '0.5'}}
    """
    import zarr

    places = stores_of(location)
    for store, path in places:
        table = Table(store)
        try:
            if isinstance(location, zarr.Group):
                table.take_group(location)
                Hierarchy(table, path).fetch(ahead, groups=True)
            else:
                inside = [Hierarchy(table, path)._full(name) for name in ahead]
                table.find_root(path, inside)
        except OmeNgffError as error:
            if store is not places[-1][0]:
                continue
            if not isinstance(location, zarr.Group) and store is not location:
                store.close()
            raise nothing_found(store, error) from error
        return Hierarchy(table, path)
    raise AssertionError("there is at least one store")
