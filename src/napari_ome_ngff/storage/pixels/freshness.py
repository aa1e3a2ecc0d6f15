"""Which state of an array something was decoded from, so that nothing stale is shown."""

from __future__ import annotations

import hashlib
import json
import operator
import os
import sys
import uuid
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.errors import OmeNgffError
from napari_ome_ngff.storage.documents.hierarchy import Table
from napari_ome_ngff.storage.documents.json_documents import array_of
from napari_ome_ngff.storage.places.location import join
from napari_ome_ngff.storage.places.node_documents import array_document
from napari_ome_ngff.storage.places.requests import fetch
from napari_ome_ngff.storage.places.stamps import file_stamp, stamper
from napari_ome_ngff.storage.places.store_kind import local_folder, store_kind

if TYPE_CHECKING:
    import zarr

Position = tuple[int, ...]
"""Position of a chunk in the chunk grid."""


_NOT_LAYOUT = frozenset({"attributes", "dimension_names", "shape"})


_MAX_FILES = 20_000  # that are asked for their times to tell the state of an array


def stored_position(in_object: Position | None, position: Position) -> Position:
    """What ``encode_chunk_key`` takes for a chunk: its position, or that of its shard of so many chunks."""
    return position if in_object is None else tuple(map(operator.floordiv, position, in_object))


def fingerprint(array: zarr.Array[Any]) -> str:
    """A digest of an array's metadata, attributes included."""
    text = json.dumps(array.metadata.to_dict(), default=str, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


class ReplacementWatch:
    """Whether another array has taken the place of one, or none is left.

    Its chunks, or those of an array that is stored in another way, would be decoded to nonsense.
    """

    def __init__(self, array: zarr.Array[Any]) -> None:
        self._array = array
        self._key = join(array.path, array_document(array.metadata.zarr_format))
        # A zip file stays open, so the old one is read; but a save on Windows closes it.
        stays = store_kind(array.store) == "zip" and sys.platform != "win32"
        self._stamp = None if stays else stamper(array.store)
        self._seen: object = self  # None is the stamp of what is gone
        self._same: dict[str, bytes] = {}  # the last document that was found to be of such an array

    def beside(self, array: zarr.Array[Any]) -> ReplacementWatch:
        """The watch of an array with the same metadata: a document that was compared is not parsed again."""
        other = ReplacementWatch(array)
        other._same = self._same
        return other

    def is_replaced(self) -> bool:
        """False also where a server would have to be asked."""
        if self._stamp is None:
            return False
        stamp = self._stamp(self._key)
        if stamp is self._seen or stamp == self._seen:
            return False
        contents = fetch(self._array.store, [self._key])
        content = contents[self._key]
        if isinstance(content, bytes) and self._same.get("document") == content:
            self._seen = stamp
            return False
        table = Table(self._array.store)
        table.zarr_format = self._array.metadata.zarr_format
        table.take(contents)
        document = table.documents[self._key]
        if not isinstance(document, dict):  # it is gone, or damaged
            return True
        try:
            present = array_of(self._array.store_path, document, {}, where="").metadata
        except OmeNgffError:
            return True
        if _layout(present) != _layout(self._array.metadata) or not _holds(present.shape, self._array.shape):
            return True
        self._seen = stamp
        if isinstance(content, bytes):
            self._same["document"] = content
        return False


def _holds(present: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Whether an array is as large as it was, or longer along one axis: then something was put at its end."""
    if len(present) != len(shape):
        return False
    grown = [new - old for new, old in zip(present, shape, strict=True)]
    return min(grown, default=0) >= 0 and sum(map(bool, grown)) <= 1


def _layout(metadata: Any) -> dict[str, Any]:
    """What the values of an array depend on, besides its chunks."""
    return {key: repr(value) for key, value in metadata.to_dict().items() if key not in _NOT_LAYOUT}


def state(array: zarr.Array[Any]) -> object:
    """What has another ``repr`` when any pixel of an array was written again.

    A new one each time where that cannot be told: too many files, or a server would have to be asked.
    """
    store: Any = array.store
    if store_kind(store) == "zip":
        return file_stamp(str(store.path))
    if store_kind(store) == "memory":
        prefix = f"{array.path}/" if array.path else ""
        digest = hashlib.blake2b(digest_size=16)
        for key in sorted(key for key in store._store_dict if key.startswith(prefix)):
            digest.update(key.encode() + store._store_dict[key].to_bytes())
        return digest.hexdigest()
    stamps: list[object] = []
    if (root := local_folder(store)) is not None:
        for folder, _, files in os.walk(os.path.join(root, array.path)):
            stamps += [(name, file_stamp(os.path.join(folder, name))) for name in sorted(files)]
            if len(stamps) > _MAX_FILES:
                break
        else:
            return sorted(map(repr, stamps))
    return uuid.uuid4().hex
