"""Whether documents that are read together are of one image, which may be replaced meanwhile."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from napari_ome_ngff.errors import OmeNgffError, StorageError
from napari_ome_ngff.storage.documents.json_documents import parse
from napari_ome_ngff.storage.places.leftovers import moved_aside, where_it_is
from napari_ome_ngff.storage.places.location import folder_of, join
from napari_ome_ngff.storage.places.requests import fetch
from napari_ome_ngff.storage.places.stamps import file_stamp, stamper
from napari_ome_ngff.storage.places.store_kind import local_folder, store_kind

if TYPE_CHECKING:
    import zarr
    from zarr.abc.store import Store

T = TypeVar("T")

_ATTEMPTS = 20


class StaleError(Exception):
    """A group was written again while the documents below it were read: they may be of two images.

    None of our family, since it must pass whatever leaves out a part that cannot be read: all is read anew.
    """


class Watch:
    """What the documents of a store were when they were first looked at; no server is asked.

    It `is_on` while documents are read that will be shown together.
    """

    def __init__(self, store: Store, *, is_on: bool) -> None:
        self._store = store
        self._stamp = stamper(store)
        self._stamps: dict[str, object] = {}
        # A zip file that is open stays the one that it is.
        self.is_on = is_on and self._stamp is not None and store_kind(store) != "zip"

    def look(self, keys: Iterable[str]) -> None:
        """Look at documents, before they are read."""
        if self.is_on and self._stamp is not None:
            self._stamps.update({key: self._stamp(key) for key in keys if not key.endswith(".zarray")})

    def look_again(self, keys: Iterable[str]) -> None:
        """Raise a StaleError if a group above these documents, which were read, was written again."""
        if not self.is_on or self._stamp is None:
            return
        above: set[str] = set()
        for key in keys:
            folder = folder_of(folder_of(key))
            while folder not in above:
                above.add(folder)
                folder = folder_of(folder)
        for key in (join(folder, name) for folder in above for name in ("zarr.json", ".zattrs")):
            if key in self._stamps:
                old, now = self._stamps[key], self._stamp(key)
                if now is not old and now != old:
                    raise StaleError(key)

    def sees_other(self, group: zarr.Group, attributes: Mapping[str, Any]) -> bool:
        """Whether the attributes of a group are others than those that are stored by now."""
        if not self.is_on:
            return False
        is_v3 = group.metadata.zarr_format == 3
        key = join(group.path, "zarr.json" if is_v3 else ".zattrs")
        self.look([key])
        content = fetch(self._store, [key])[key]
        try:
            document = parse(content, where=key) if isinstance(content, bytes) else {}
        except OmeNgffError:
            return True
        return (document.get("attributes") or {} if is_v3 else document) != attributes

    def moved(self, path: str) -> str:
        """Where the group at a path is, which a save may have moved aside; a StaleError if it came back."""
        root = local_folder(self._store)
        place = Path(root or "", path)
        if root is None or moved_aside(place) is None:
            return path
        aside = where_it_is(place)
        if aside == place and self.is_on:
            raise StaleError(path)
        return join(folder_of(path), aside.name)


def read_settled(location: str | PathLike[str] | Any, read: Callable[[], T]) -> T:
    """Call `read`, which raises a StaleError for an image that is replaced meanwhile, until none is.

    Local images may be gone for a moment while others take their place.
    """
    path = os.path.expanduser(location) if isinstance(location, str | PathLike) else None
    for _ in range(_ATTEMPTS):
        before = None if path is None else file_stamp(path)
        try:
            return read()
        except StaleError:
            continue
        except OmeNgffError:
            if path is None or file_stamp(path) == before:
                raise
    raise StorageError(
        "The image is replaced again and again while it is opened.",
        where=str(location),
        hint="Open it when whoever saves it is done.",
    )
