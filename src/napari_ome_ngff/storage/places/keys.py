"""Keys of a store that has no folders to rename: which are there, how one hierarchy replaces another."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from napari_ome_ngff.storage.places.folders import METADATA
from napari_ome_ngff.storage.places.location import join

if TYPE_CHECKING:
    from zarr.abc.store import Store
    from zarr.core.buffer import Buffer

T = TypeVar("T")
R = TypeVar("R")

_AT_ONCE = 32  # requests


_NODES = ("zarr.json", ".zgroup", ".zarray")


def under(store: Store, path: str, *, limit: int | None = None) -> list[str]:
    """Return the keys under a path.

    Parameters
    ----------
    store
        Any Zarr store.
    path
        A path in it; "" for all keys.
    limit
        Stop after so many.

    Returns
    -------
    list of str
        Complete keys; empty if the store cannot list.
    """
    from zarr.core.sync import sync

    if not store.supports_listing:
        return []
    return sync(_collect(store, f"{path}/" if path else "", limit))


def exists(store: Store, path: str) -> bool:
    """Tell whether there is a Zarr group or array at a path.

    Parameters
    ----------
    store
        Any Zarr store.
    path
        A path in it.

    Returns
    -------
    bool
        True if one of its metadata documents is there.
    """
    return any(_get(store, join(path, name)) is not None for name in _NODES)


def array_above(store: Store, path: str) -> str | None:
    """Return the path of an array that a path lies in.

    Parameters
    ----------
    store
        Any Zarr store.
    path
        A path in it.

    Returns
    -------
    str or None
        None if there is none.
    """
    parts = path.split("/") if path else []
    for above in ("/".join(parts[:n]) for n in range(len(parts))):
        document = _get(store, join(above, "zarr.json"))
        if _get(store, join(above, ".zarray")) is not None or (document and _is_array(document)):
            return above
    return None


def read(store: Store, key: str) -> bytes | None:
    """Return what is at a key.

    Parameters
    ----------
    store
        Any Zarr store.
    key
        A complete key.

    Returns
    -------
    bytes or None
        None if there is nothing.
    """
    found = _get(store, key)
    return None if found is None else found.to_bytes()


def put(store: Store, key: str, content: bytes, *, only_new: bool = False) -> None:
    """Put something at a key.

    Parameters
    ----------
    store
        A writable store.
    key
        A complete key.
    content
        What to put there.
    only_new
        Leave what is there as it is.
    """
    from zarr.core.buffer import default_buffer_prototype
    from zarr.core.sync import sync

    value = default_buffer_prototype().buffer.from_bytes(content)
    sync(store.set_if_not_exists(key, value) if only_new else store.set(key, value))


def delete(store: Store, keys: Iterable[str]) -> None:
    """Delete keys, many at once.

    Parameters
    ----------
    store
        A store that can delete.
    keys
        Complete keys.
    """
    from zarr.core.sync import sync

    wanted = list(keys)
    if wanted and hasattr(store, "delete_keys"):
        sync(store.delete_keys(wanted))
    else:
        for_each(wanted, store.delete)


def documents_above(store: Store, path: str) -> set[str]:
    """Return the metadata documents of the groups that a path lies in.

    Parameters
    ----------
    store
        Any Zarr store.
    path
        A path in it.

    Returns
    -------
    set of str
        Complete keys.
    """
    parts = path.split("/") if path else []
    candidates = (join(*parts[:n], name) for n in range(len(parts)) for name in METADATA)
    return {key for key in candidates if _get(store, key) is not None}


def _get(store: Store, key: str) -> Buffer | None:
    from zarr.core.buffer import default_buffer_prototype
    from zarr.core.sync import sync

    async def get() -> Buffer | None:
        await store._ensure_open()  # a ZipStore is not, before its first use
        return await store.get(key, default_buffer_prototype())

    return sync(get())


def for_each(items: Sequence[T], work: Callable[[T], Awaitable[R]], *, at_once: int = _AT_ONCE) -> list[R]:
    """Await `work` for every item, some at a time; the first that fails ends it."""
    from zarr.core.sync import sync

    results: dict[int, R] = {}
    queue = iter(enumerate(items))

    async def worker() -> None:
        for number, item in queue:
            results[number] = await work(item)

    async def everything() -> None:
        workers = [asyncio.ensure_future(worker()) for _ in range(min(at_once, len(items)))]
        try:
            await asyncio.gather(*workers)
        finally:
            for each in workers:
                each.cancel()

    sync(everything())
    return [results[number] for number in range(len(items))]


def is_array_key(store: Store, key: str) -> bool:
    """Tell whether a key is the metadata document of an array.

    Parameters
    ----------
    store
        Any Zarr store.
    key
        A complete key.

    Returns
    -------
    bool
        False also for ``.zattrs``.
    """
    name = key.rpartition("/")[2]
    if name != "zarr.json":
        return name == ".zarray"
    document = _get(store, key)
    return document is not None and _is_array(document)


def has_attributes(store: Store, path: str) -> bool:
    """Tell whether a group has attributes: then a save to it is complete.

    Parameters
    ----------
    store
        Any Zarr store.
    path
        Path of the group.

    Returns
    -------
    bool
        False also where there is no group.
    """
    for name in ("zarr.json", ".zattrs"):
        content = read(store, join(path, name))
        with contextlib.suppress(ValueError, AttributeError):
            found = json.loads(content or b"{}")
            if found.get("attributes") if name == "zarr.json" else found:
                return True
    return False


def _is_array(document: Buffer) -> bool:
    try:
        content: Any = json.loads(document.to_bytes())
    except ValueError:
        return False
    return isinstance(content, dict) and content.get("node_type") == "array"


async def _collect(store: Store, prefix: str, limit: int | None) -> list[str]:
    await store._ensure_open()
    found: list[str] = []
    async for key in store.list_prefix(prefix):
        found.append(key)
        if limit is not None and len(found) >= limit:
            break
    return found
