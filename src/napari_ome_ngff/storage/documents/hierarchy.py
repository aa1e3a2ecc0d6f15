"""Metadata documents of a hierarchy: fetched together, each once; arrays are built from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import zarr
from zarr.abc.store import Store

from napari_ome_ngff.errors import NotOmeNgffError, OmeNgffError
from napari_ome_ngff.storage.documents import json_documents
from napari_ome_ngff.storage.documents.separators import find_separators, lacks_separator
from napari_ome_ngff.storage.documents.watch import Watch
from napari_ome_ngff.storage.places.location import join, location_in, store_location
from napari_ome_ngff.storage.places.node_documents import GROUP_DOCUMENTS
from napari_ome_ngff.storage.places.requests import fetch
from napari_ome_ngff.storage.places.save_note import unfinished
from napari_ome_ngff.storage.places.store_kind import is_cheap
from napari_ome_ngff.storage.places.stores import folders, nothing_found, stores_of

if TYPE_CHECKING:
    from napari_ome_ngff.arguments import Place


_AHEAD = ("zarr.json", ".zattrs")  # asked for before the Zarr format is known


class Table:
    """The documents of a store, by key: a JSON object, None where there is nothing, or the error that came.

    `zarr_format` (2 or 3) is that of the documents that are asked for; `arrays` has, by the identity of an
    array's document, an array that was made from it. While it is `watched`, `fetch` raises a StaleError for
    documents below a group that was written again, where no server has to be asked for that.
    """

    def __init__(self, store: Store, *, watched: bool = False) -> None:
        self.store = store
        self.watch = Watch(store, is_on=watched)
        self.zarr_format = 3
        self.documents: dict[str, json_documents.Document | OmeNgffError | None] = {}
        self.arrays: dict[int, zarr.Array[Any]] = {}

    def fetch(self, keys: Iterable[str]) -> None:
        """Fetch, in one round trip, those documents that are not in the table yet."""
        new = [key for key in keys if key not in self.documents]
        self.watch.look(new)
        contents = fetch(self.store, new)
        self.watch.look_again(new)
        self.take(contents)

    def take(self, contents: Mapping[str, bytes | OmeNgffError | None]) -> None:
        """Take documents that were fetched."""
        root = store_location(self.store).rstrip("/")
        parsed: dict[bytes, json_documents.Document | OmeNgffError] = {}
        silent: dict[str, json_documents.Document] = {}
        for key, content in contents.items():
            document: json_documents.Document | OmeNgffError | None
            if not isinstance(content, bytes):
                document = content
            else:  # the fields of a plate are mostly described in the same words
                if content not in parsed:
                    parsed[content] = _parsed(content, f"{root}/{key}")
                document = parsed[content]
            self.documents[key] = document
            if key.endswith("zarr.json") and isinstance(document, dict):
                self._take_consolidated(key.rpartition("/")[0], document.get("consolidated_metadata"))
            elif key.endswith(".zarray") and isinstance(document, dict) and lacks_separator(document):
                silent[key.rpartition("/")[0]] = document
        for path, form in find_separators(self.store, silent).items() if silent else ():
            self.documents[join(path, ".zarray")] = silent[path] | {"dimension_separator": form}

    def take_group(self, group: zarr.Group) -> None:
        """Take what a group of the same store knows already, unless it can be seen that it is stale."""
        self.zarr_format = group.metadata.zarr_format
        attributes = group.attrs.asdict()
        json_documents.check_nesting(attributes, where=location_in(self.store, group.path))
        if self.watch.sees_other(group, attributes):
            self.zarr_format = 3
            self.find_root(group.path, ())
            return
        if self.zarr_format == 3:
            held = group.metadata.consolidated_metadata
            consolidated = None if held is None else held.to_dict()
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
        """Fetch the first documents of a group, in both Zarr formats, and find out which one it is.

        The documents of the groups `ahead` are asked for in the same round trip. NotOmeNgffError if there is
        no group.
        """
        where = location_in(self.store, path)
        keys = [join(path, name) for name in GROUP_DOCUMENTS]
        self.fetch([*keys, *(join(folder, name) for folder in ahead for name in _AHEAD)])
        new, attributes, old = (self.documents[key] for key in keys)
        if isinstance(new, dict):
            if json_documents.is_array(new, where=where):
                raise array_not_group(where)
            return
        errors = [one for one in (new, old, attributes) if isinstance(one, OmeNgffError)]
        if not isinstance(old, dict) and not errors:
            self.fetch([join(path, ".zarray")])
            if isinstance(self.documents[join(path, ".zarray")], dict):
                raise array_not_group(where)
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


def array_not_group(where: str) -> NotOmeNgffError:
    """The error for an array in the place of a group."""
    return NotOmeNgffError(
        "This is a Zarr array, not a group.",
        where=where,
        hint="Open the image's folder, one or more levels above.",
    )


def no_group(where: str) -> NotOmeNgffError:
    """The error for a place without a group."""
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
    """A Zarr group and what is below it, known by metadata documents that are fetched together, each once.

    Arrays are built from them without further requests. Paths are relative to the group; one that leads out
    of it is refused with a MetadataError. What changes in the store later is not seen. All methods raise
    MetadataError for a damaged document, and StorageError for one that is out of reach.
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
        """Fetch the documents of several groups and arrays in one round trip, but none that is known.

        A path that leads out of the group is passed over here and refused when it is used. With `groups`, all
        are groups: in Zarr v2 these need half as many requests.
        """
        wanted = []
        for path in paths:
            try:
                wanted.append(self._full(path))
            except OmeNgffError:
                continue
        self._table.fetch(join(path, name) for path in wanted for name in self._names(groups=groups))

    def attributes(self, path: str = "") -> dict[str, Any] | None:
        """The attributes of a group, not to be changed; None if there is nothing, an array, or no metadata.

        A Zarr v2 group below the root that has no attributes is not looked for on a server.
        """
        full = self._full(path)
        where = self._where(full)
        if self.zarr_format == 3:
            document = self._get(full, "zarr.json")
            if document is None or json_documents.is_array(document, where=where):
                return None
            return json_documents.attributes_of(document, where=where)
        attributes = self._get(full, ".zattrs")
        if self._fetched_document(full, ".zarray"):
            return None
        return {} if attributes is None and self._fetched_document(full, ".zgroup") else attributes

    def readable_attributes(self, path: str) -> dict[str, Any]:
        """The attributes of a group; empty also where they are damaged or out of reach."""
        try:
            return self.attributes(path) or {}
        except OmeNgffError:
            return {}

    def is_refused(self, path: str) -> bool:
        """Whether a server refuses a group, and not because that is what it says of all that is missing."""
        refuses = getattr(self.store, "refuses", None)
        name = "zarr.json" if self.zarr_format == 3 else ".zattrs"
        return refuses is not None and refuses(join(self._full(path), name))

    def array(self, path: str) -> zarr.Array[Any] | None:
        """An array, read-only; None if there is none."""
        full = self._full(path)
        document = self._array_document(full)
        if document is None:
            return None
        where = self._where(full)
        if self.zarr_format == 3:
            attributes = json_documents.attributes_of(document, where=where)
        else:
            attributes = self._fetched_document(full, ".zattrs") or {}
        # Equal documents of one round trip are one object: hundreds of fields differ in their place alone.
        twin = self._table.arrays.get(id(document)) if not attributes else None
        array = json_documents.build_array(self.store, full, document, attributes, where=where, twin=twin)
        if not attributes:
            self._table.arrays[id(document)] = array
        return array

    def shape(self, path: str) -> tuple[int, ...] | None:
        """The shape of an array, without building it; None if there is none."""
        full = self._full(path)
        document = self._array_document(full)
        return None if document is None else json_documents.shape_of(document, where=self._where(full))

    def group(self, path: str = "") -> zarr.Group:
        """A group as Zarr's object, read-only unless the hierarchy was made from a group.

        NotOmeNgffError if there is none.
        """
        attributes = self.attributes(path)
        full = self._full(path)
        if attributes is None:
            raise no_group(self._where(full))
        document = self._fetched_document(full, "zarr.json") or {} if self.zarr_format == 3 else {}
        return json_documents.build_group(
            self.store, full, self.zarr_format, attributes, document.get("consolidated_metadata")
        )

    def children(self, path: str = "") -> tuple[str, ...] | None:
        """Names of the folders below a group, sorted; None where listing takes requests."""
        return folders(self.store, self._full(path))

    def document(self, name: str) -> json_documents.Document | None:
        """A document of the group itself by its name; None if there is none that can be read."""
        self._table.fetch([join(self.path, name)])
        return self._fetched_document(self.path, name)

    def below(self, path: str) -> Hierarchy:
        """The same documents as seen from a group below: what one of them fetches the other one knows."""
        return Hierarchy(self._table, self._full(path))

    def moved(self, path: str) -> str:
        """Where the group at a path is, which a save may have moved aside; a StaleError if it came back."""
        return self._table.watch.moved(self._full(path)).removeprefix(f"{self.path}/")

    def settle(self) -> None:
        """Stop watching: everything that belongs together was fetched."""
        self._table.watch.is_on = False

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
        """A document, fetched now if it must be, with those that belong to it."""
        if join(full, name) not in self._table.documents:
            self._table.fetch(join(full, each) for each in self._names(groups=False))
        document = self._table.documents.get(join(full, name))
        if isinstance(document, OmeNgffError):
            raise document
        return document

    def _fetched_document(self, full: str, name: str) -> json_documents.Document | None:
        document = self._table.documents.get(join(full, name))
        return document if isinstance(document, dict) else None


def open_hierarchy(location: Place, *, ahead: Sequence[str] = (), watched: bool = False) -> Hierarchy:
    """Open a group by its metadata documents, in one round trip.

    A location is whatever `stores_of` takes; the groups `ahead` are asked for in the same round trip.
    While it is `watched`, whatever fetches documents may raise a StaleError.
    StorageError if there is nothing, NotOmeNgffError if there is something, but no group.
    """
    places = stores_of(location)
    for store, path in places:
        table = Table(store, watched=watched)
        try:
            if isinstance(location, zarr.Group) and store is location.store:
                table.take_group(location)
                Hierarchy(table, path).fetch(ahead, groups=True)
            else:
                inside = [Hierarchy(table, path)._full(name) for name in ahead]
                table.find_root(path, inside)
        except OmeNgffError as error:
            if store is not places[-1][0]:
                continue
            missing = isinstance(error, NotOmeNgffError)  # the server answers
            reason = (unfinished(store, path) if missing else None) or nothing_found(store, error)
            if not isinstance(location, zarr.Group) and store is not location:
                store.close()
            if reason is error:  # it keeps its own cause
                raise
            raise reason from error
        return Hierarchy(table, path)
    raise AssertionError("there is at least one store")
