"""What kind of Zarr store something is, told without importing zarr: the one list of kinds."""

from __future__ import annotations

import os
from typing import Any, Literal

Kind = Literal["folder", "zip", "memory", "object", "fsspec"]

_KINDS: dict[str, Kind] = {
    "LocalStore": "folder",
    "ZipStore": "zip",
    "MemoryStore": "memory",
    "ObjectStore": "object",
    "RemoteStore": "object",
    "UploadStore": "object",
    "FsspecStore": "fsspec",
}


def store_kind(store: object, *, derived: bool = False) -> Kind | None:
    """The kind of a store, None for any other; a class derived from a known one counts only with `derived`.

    Such a class may read in its own way, so that nothing may be read past it.
    """
    classes = type(store).__mro__ if derived else (type(store),)
    return next((_KINDS[one.__name__] for one in classes if one.__name__ in _KINDS), None)


def is_cheap(store: object) -> bool:
    """Whether asking for what is not there costs next to nothing, and listing is possible."""
    return store_kind(store, derived=True) in ("folder", "zip", "memory")


def local_folder(store: Any) -> str | None:
    """Absolute path of the folder that a store is, if files may be read and written there without it."""
    return os.path.abspath(str(store.root)) if store_kind(store) == "folder" else None
