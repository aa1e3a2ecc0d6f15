"""The metadata documents of a hierarchy, to be read and changed together."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.errors import MetadataError, NotOmeNgffError
from napari_ome_ngff.storage.documents.json_documents import parse
from napari_ome_ngff.storage.places import keys
from napari_ome_ngff.storage.places.location import join

if TYPE_CHECKING:
    from zarr.abc.store import Store

_NAMES = ("zarr.json", ".zattrs", ".zgroup", ".zarray", ".zmetadata")

_CONSOLIDATED = "consolidated_metadata"


class GroupAttributes:
    """Documents by their keys: fetched when they are first asked for, and changed in memory only."""

    def __init__(self, store: Store, where: str) -> None:
        self.store, self.where = store, where
        self._documents: dict[str, dict[str, Any] | None] = {}
        self._compact: set[str] = set()
        self._changed: set[str] = set()

    def fetch(self, paths: Iterable[str]) -> None:
        """Fetch all documents of several groups or arrays at once."""
        wanted = [
            key for path in paths for name in _NAMES if (key := join(path, name)) not in self._documents
        ]
        for key, content in keys.read_all(self.store, wanted).items():
            self._documents[key] = None if content is None else dict(parse(content, where=self._at(key)))
            if content is not None and b"\n" not in content:
                self._compact.add(key)

    def attributes(self, path: str) -> Mapping[str, Any] | None:
        """Attributes of a group or array; None if there is none."""
        self.fetch([path])
        document = self._documents[join(path, "zarr.json")]
        if document is not None:
            attributes = document.get("attributes", {})
            return attributes if isinstance(attributes, Mapping) else {}
        if self._documents[join(path, ".zattrs")] is not None:
            return self._documents[join(path, ".zattrs")]
        is_node = any(self._documents[join(path, name)] is not None for name in (".zgroup", ".zarray"))
        return {} if is_node else None

    def group(self, path: str) -> Mapping[str, Any]:
        """Attributes of a group that has to be there."""
        attributes = self.attributes(path)
        if attributes is None:
            raise NotOmeNgffError("There is no Zarr group.", where=self._at(path))
        return attributes

    def set_attributes(self, path: str, attributes: Mapping[str, Any]) -> None:
        """Change the attributes of a group or array, also in the consolidated copies of groups above it."""
        self.fetch([path])
        document = self._documents[join(path, "zarr.json")]
        if document is None:
            self._documents[join(path, ".zattrs")] = dict(attributes)
            self._changed.add(join(path, ".zattrs"))
        else:
            document["attributes"] = dict(attributes)
            self._changed.add(join(path, "zarr.json"))
        self._consolidate(path, "attributes", ".zattrs", attributes)

    def rename_dims(self, path: str, names: Mapping[str, str]) -> None:
        """Change the names that an array itself gives to its dimensions, where it does."""
        attributes = dict(self.attributes(path) or {})
        dims = attributes.get("_ARRAY_DIMENSIONS")
        if isinstance(dims, list):
            attributes["_ARRAY_DIMENSIONS"] = [names.get(dim, dim) for dim in dims]
            self.set_attributes(path, attributes)
        document = self._documents[join(path, "zarr.json")]
        if document is not None and isinstance(document.get("dimension_names"), list):
            # 0.5: "dimension_names ... MUST match the names in the axes metadata"
            document["dimension_names"] = [names.get(dim, dim) for dim in document["dimension_names"]]
            self._changed.add(join(path, "zarr.json"))
            self._consolidate(path, "dimension_names", "", document["dimension_names"])

    def add_group(self, path: str, zarr_format: int) -> None:
        """Make a group where none is, also in consolidated metadata."""
        self.fetch([path])
        if zarr_format == 3:
            new: dict[str, Any] = {"zarr.json": {"zarr_format": 3, "node_type": "group", "attributes": {}}}
        else:
            new = {".zgroup": {"zarr_format": 2}, ".zattrs": {}}
        for name, document in new.items():
            self._documents[join(path, name)] = document
            self._changed.add(join(path, name))
        self._list(path, copy.deepcopy(new))

    def set_shape(self, path: str, shape: Iterable[int]) -> None:
        """Change the shape of an array, also in the consolidated copies of groups above it."""
        self.fetch([path])
        for name in ("zarr.json", ".zarray"):
            document = self._documents[join(path, name)]
            if document is not None:
                document["shape"] = list(shape)
                self._changed.add(join(path, name))
        self._consolidate(path, "shape", "", list(shape))
        for listed in self._listings(path, ".zarray"):
            listed["shape"] = list(shape)

    def list_node(self, path: str, folder: Path | None) -> None:
        """Put the documents of a new group or array into consolidated metadata, or take old ones out."""
        names = ("zarr.json", *(name for name in _NAMES[1:] if name != ".zmetadata"))
        documents = {
            name: json.loads((folder / name).read_bytes())
            for name in names
            if folder is not None and (folder / name).is_file()
        }
        self._list(path, documents)

    def unlist(self, path: str) -> None:
        """Take all that is in a group, and itself, out of the consolidated metadata of groups above it."""
        for _, inner, listed in self._consolidated(path):
            for entry in [entry for entry in listed if f"{entry}/".startswith(f"{inner}/")]:
                del listed[entry]

    def _list(self, path: str, documents: Mapping[str, Any]) -> None:
        for key, inner, listed in self._consolidated(path):
            for name in ("zarr.json",) if key == "zarr.json" else (".zgroup", ".zarray", ".zattrs"):
                entry = join(inner, name) if key == ".zmetadata" else inner
                listed.pop(entry, None)
                if name in documents:
                    listed[entry] = documents[name]

    def _consolidated(self, path: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Consolidated metadata of groups above a path, to be changed: its document, the path in it, it."""
        for group, inner in self._above(path)[:-1]:
            for key in ("zarr.json", ".zmetadata"):
                whole: Any = self._documents[join(group, key)] or {}
                listed = (whole.get(_CONSOLIDATED) or {} if key == "zarr.json" else whole).get("metadata")
                if isinstance(listed, dict):
                    self._changed.add(join(group, key))
                    yield key, inner, listed

    def encoded(self) -> dict[str, bytes]:
        """The documents that were changed, those of the outermost groups last."""
        result = {}
        for key in sorted(self._changed, key=lambda key: (-key.count("/"), key)):
            indent = None if key in self._compact else 2
            try:
                result[key] = json.dumps(self._documents[key], indent=indent, allow_nan=True).encode()
            except (TypeError, ValueError) as error:
                raise MetadataError(
                    "This cannot be stored as JSON.", where=self._at(key), found=str(error)
                ) from error
        return result

    def _consolidate(self, path: str, field: str, name: str, value: Any) -> None:
        for group, inner in self._above(path):
            document = self._documents[join(group, "zarr.json")] or {}
            listed = (document.get(_CONSOLIDATED) or {}).get("metadata") or {}
            if inner in listed and isinstance(listed[inner], dict):
                listed[inner][field] = copy.deepcopy(value)
                self._changed.add(join(group, "zarr.json"))
            listed = (self._documents[join(group, ".zmetadata")] or {}).get("metadata") or {}
            if name and (join(inner, ".zgroup") in listed or join(inner, ".zarray") in listed):
                listed[join(inner, name)] = copy.deepcopy(value)
                self._changed.add(join(group, ".zmetadata"))

    def _listings(self, path: str, name: str) -> Iterator[dict[str, Any]]:
        """Copies of a v2 document in the consolidated metadata of groups above it, to be changed."""
        for group, inner in self._above(path):
            listed = (self._documents[join(group, ".zmetadata")] or {}).get("metadata") or {}
            if isinstance(listed.get(join(inner, name)), dict):
                self._changed.add(join(group, ".zmetadata"))
                yield listed[join(inner, name)]

    def _above(self, path: str) -> list[tuple[str, str]]:
        """Each group that a path lies in, itself too, and the path in that."""
        parts = path.split("/") if path else []
        above = [join(*parts[:n]) for n in range(len(parts) + 1)]
        self.fetch(above)
        return [(group, path[len(group) :].strip("/")) for group in above]

    def _at(self, key: str) -> str:
        return f"{self.where}/{key}" if key else self.where
