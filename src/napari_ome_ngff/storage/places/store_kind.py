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


_DELETIONS = frozenset({"_rm", "_rm_file", "rm", "rm_file"})
_ABSTRACT = frozenset({"AbstractFileSystem", "AsyncFileSystem", "AsyncFileSystemWrapper", "DirFileSystem"})
_LAYERS = 10  # file systems of fsspec around one another


def store_kind(store: object, *, derived: bool = False) -> Kind | None:
    """The kind of a store, None for any other; a class derived from a known one counts only with `derived`.

    Such a class may read in its own way, so that nothing may be read past it.
    """
    classes = type(store).__mro__ if derived else (type(store),)
    return next((_KINDS[one.__name__] for one in classes if one.__name__ in _KINDS), None)


def is_cheap(store: object) -> bool:
    """Whether asking for what is not there costs next to nothing, and listing is possible."""
    return store_kind(store, derived=True) in ("folder", "zip", "memory")


def is_session(store: object) -> bool:
    """Whether others see what is written to a store when its session is committed: a store of icechunk."""
    return type(store).__name__ == "IcechunkStore"


def never_written(store: Any) -> str:
    """Why nothing can be saved to a store, as far as its kind tells without a request; "" if it can.

    Stores of fsspec say that they can do everything, whatever their file system can.
    """
    if store_kind(store, derived=True) != "fsspec":
        return ""
    fs: Any = store.fs
    layers: list[Any] = []
    while fs is not None and len(layers) < _LAYERS:
        layers.append(fs)
        held = object.__getattribute__(fs, "__dict__")  # some give that of the one inside
        fs = held.get("sync_fs") or held.get("fs")
    if any(type(one).__name__ == "LocalFileSystem" and not one.auto_mkdir for one in layers):
        return "fsspec makes no folders there (auto_mkdir=True)"
    classes = {one for layer in layers for one in type(layer).__mro__ if one.__name__ not in _ABSTRACT}
    if _DELETIONS.isdisjoint(name for one in classes for name in vars(one)):
        return f"nothing can be deleted through {type(layers[-1]).__name__}"
    return ""


def local_folder(store: Any) -> str | None:
    """Absolute path of the folder that a store is, if files may be read and written there without it."""
    return os.path.abspath(str(store.root)) if store_kind(store) == "folder" else None


def folder_beneath(store: Any) -> str | None:
    """Absolute path of the folder that a store keeps its keys in, however it reads and writes there."""
    while hasattr(store, "_store"):  # a wrapper around another store
        store = store._store
    return os.path.abspath(str(store.root)) if store_kind(store, derived=True) == "folder" else None
