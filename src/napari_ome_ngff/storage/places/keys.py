"""Keys of a store that has no folders to rename: which exist, how one hierarchy replaces another.

This module imports zarr at its top and is imported only when something is saved.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import MemoryStore

from napari_ome_ngff.storage.places.folders import remove_empty
from napari_ome_ngff.storage.places.location import join
from napari_ome_ngff.storage.places.node_documents import DOCUMENTS, NODE_DOCUMENTS, kind_of_node
from napari_ome_ngff.storage.places.requests import for_each
from napari_ome_ngff.storage.places.store_kind import folder_beneath, is_session, local_folder

if TYPE_CHECKING:
    from zarr.abc.store import Store

_AT_ONCE = 32  # requests


def under(store: Store, path: str, *, limit: int | None = None) -> list[str]:
    """Complete keys under a path, `limit` at most; empty if the store cannot list."""
    if not store.supports_listing:
        return []
    start = path
    while is_session(store) and start and not exists(store, start):  # which lists groups and arrays alone
        start = start.rpartition("/")[0]
    return sync(_collect(store, f"{start}/" if start else "", f"{path}/" if path else "", limit))


async def _collect(store: Store, start: str, prefix: str, limit: int | None) -> list[str]:
    await store._ensure_open()
    keys: list[str] = []
    async for key in store.list_prefix(start):
        if not key.startswith(prefix):
            continue
        keys.append(key)
        if limit is not None and len(keys) >= limit:
            break
    return keys


def exists(store: Store, path: str) -> bool:
    """Whether there is a Zarr group or array at a path."""
    return any(read(store, join(path, name)) is not None for name in NODE_DOCUMENTS)


def array_above(store: Store, path: str) -> str | None:
    """Path of an array that a path lies in, if any."""
    return next((above for above in _folders_above(path) if _is_array(store, above)), None)


def _folders_above(path: str) -> list[str]:
    """Folders that a path lies in, the root first."""
    parts = path.split("/") if path else []
    return [join(*parts[:n]) for n in range(len(parts))]


def _is_array(store: Store, path: str) -> bool:
    def content(name: str) -> bytes | None:
        return read(store, join(path, name))

    return kind_of_node(lambda name: content(name) is not None, content) == "array"


def read(store: Store, key: str) -> bytes | None:
    """What is at a key; None if there is nothing."""
    return read_all(store, [key])[key]


def read_all(store: Store, keys: Iterable[str]) -> dict[str, bytes | None]:
    """What is at several keys, many at once; None where there is nothing."""

    async def get(key: str) -> bytes | None:
        await store._ensure_open()  # a ZipStore is not, before its first use
        buffer = await store.get(key, default_buffer_prototype())
        return None if buffer is None else buffer.to_bytes()

    wanted = list(keys)
    return dict(zip(wanted, for_each(wanted, get, at_once=_AT_ONCE), strict=True))


def put(store: Store, key: str, content: bytes, *, only_new: bool = False) -> None:
    """Put something at a key; with `only_new`, leave what is there as it is."""
    value = default_buffer_prototype().buffer.from_bytes(content)
    sync(store.set_if_not_exists(key, value) if only_new else store.set(key, value))


def put_new(store: Store, contents: Mapping[str, bytes]) -> None:
    """Put something at several keys that nobody reads yet: many at once, or past Zarr into a folder."""
    if (folder := local_folder(store)) is not None:
        for key, content in contents.items():
            file = Path(folder, *key.split("/"))
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        return
    make = default_buffer_prototype().buffer.from_bytes
    for_each(list(contents.items()), lambda item: store.set(item[0], make(item[1])), at_once=_AT_ONCE)


def delete(store: Store, keys: Iterable[str]) -> None:
    """Delete keys, many at once."""
    wanted = list(keys)
    if wanted and hasattr(store, "delete_keys"):
        sync(store.delete_keys(wanted))
    else:
        for_each(wanted, store.delete, at_once=_AT_ONCE)
        if (root := folder_beneath(store)) is not None:  # where folders stay when they are empty
            remove_empty({Path(root, above) for key in wanted for above in Path(key).parents} - {Path(root)})


def documents_above(store: Store, path: str) -> set[str]:
    """Keys of the metadata documents of the groups that a path lies in."""
    candidates = (join(above, name) for above in _folders_above(path) for name in DOCUMENTS)
    return {key for key in candidates if read(store, key) is not None}


def is_array_key(store: Store, key: str) -> bool:
    """Whether a key is the metadata document that makes its folder an array."""
    return is_array_document(key, read(store, key) if key.endswith("zarr.json") else None)


def is_array_document(key: str, content: bytes | None) -> bool:
    """Whether a document at a key makes its folder an array."""
    name = key.rpartition("/")[2]
    if name != "zarr.json":
        return name == ".zarray"
    return kind_of_node(lambda _: False, lambda _: content) == "array"


def documents_only(where: str, documents: Mapping[str, bytes]) -> Store:
    """A read-only store in memory that holds metadata documents of another place, and is called like it."""

    class Documents(MemoryStore):
        def __str__(self) -> str:
            return where

    make = default_buffer_prototype().buffer.from_bytes
    return Documents({key: make(content) for key, content in documents.items()}, read_only=True)


def has_attributes(store: Store, path: str) -> bool:
    """Whether there is a group with attributes: then a save to it is complete."""
    for name in ("zarr.json", ".zattrs"):
        content = read(store, join(path, name))
        with contextlib.suppress(ValueError, AttributeError):
            document: Any = json.loads(content or b"{}")
            if document.get("attributes") if name == "zarr.json" else document:
                return True
    return False


def children(store: Store, paths: Iterable[str]) -> list[str]:
    """Paths of what lies directly below some paths and is not hidden, documents aside."""

    async def listed(path: str) -> list[str]:
        await store._ensure_open()
        names = [name.rstrip("/") async for name in store.list_dir(path)]
        return [join(path, name) for name in names if not name.startswith(".") and name not in DOCUMENTS]

    return [child for each in for_each(list(paths), listed, at_once=_AT_ONCE) for child in each]
