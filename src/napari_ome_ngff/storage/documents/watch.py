"""Whether documents that are read together are of one image, which may be replaced meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from napari_ome_ngff.errors import OmeNgffError, StorageError
from napari_ome_ngff.storage.places.location import folder_of, join
from napari_ome_ngff.storage.places.stamps import file_stamp, stamper
from napari_ome_ngff.storage.places.store_kind import store_kind

if TYPE_CHECKING:
    from zarr.abc.store import Store

T = TypeVar("T")

_ATTEMPTS = 20


class StaleError(Exception):
    """A group was written again while the documents below it were read: they may be of two images.

    None of our family, since it must pass whatever leaves out a part that cannot be read: all is read anew.
    """


class Watch:
    """What the documents of a store were when they were first looked at; no server is asked."""

    def __init__(self, store: Store) -> None:
        self._stamp = stamper(store) or (lambda _: None)
        self._stamps: dict[str, object] = {}

    @staticmethod
    def can_tell(store: Store) -> bool:
        """Whether documents of a store may change, and that can be seen; a zip file that is open stays."""
        return store_kind(store) in ("folder", "memory")

    def look(self, keys: Iterable[str]) -> None:
        """Look at documents, before they are read."""
        self._stamps.update({key: self._stamp(key) for key in keys if not key.endswith(".zarray")})

    def look_again(self, keys: Iterable[str]) -> None:
        """Raise a StaleError if a group above these documents, which were read, was written again."""
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


def read_settled(location: str | PathLike[str] | Any, read: Callable[[], T]) -> T:
    """Call `read`, which raises a StaleError for an image that is replaced meanwhile, until none is.

    Local images may be gone for a moment while others take their place.
    """
    path = Path(location).expanduser() if isinstance(location, str | PathLike) else None
    for _ in range(_ATTEMPTS):
        before = None if path is None else file_stamp(str(path))
        try:
            return read()
        except StaleError:
            continue
        except OmeNgffError:
            if path is None or file_stamp(str(path)) == before:
                raise
    raise StorageError(
        "The image is replaced again and again while it is opened.",
        where=str(location),
        hint="Open it when whoever saves it is done.",
    )
