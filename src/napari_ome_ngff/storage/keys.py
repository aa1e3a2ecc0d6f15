"""Keys of a store that has no folders to rename: which are there, how one hierarchy replaces another."""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.storage.folders import METADATA

if TYPE_CHECKING:
    from zarr.abc.store import Store
    from zarr.core.buffer import Buffer

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


def new_part(path: str) -> str:
    """Return a fresh path beside a path, for the hierarchy in the making.

    Parameters
    ----------
    path
        Where the hierarchy will be.

    Returns
    -------
    str
        A path that no image has.
    """
    above, _, name = path.rpartition("/")
    return join(above, f".{name or 'root'}.{secrets.token_hex(4)}.ngff-part")


def delete(store: Store, keys: Iterable[str]) -> None:
    """Delete keys.

    Parameters
    ----------
    store
        A store that can delete.
    keys
        Complete keys.
    """
    from zarr.core.sync import sync

    for key in keys:
        sync(store.delete(key))


def move(store: Store, part: str, path: str, obsolete: Collection[str]) -> None:
    """Put a finished hierarchy in the place of another one in the same store.

    The old root's metadata go first and the new ones come last: in between there is no image rather than
    half of one.

    Parameters
    ----------
    store
        A store that can delete.
    part, path
        Where it is and where it shall be.
    obsolete
        Paths of members, relative to the root, that end with the old hierarchy.
    """
    from zarr.core.sync import sync

    new = {key.removeprefix(f"{part}/") for key in under(store, part)}
    old = {key.removeprefix(f"{path}/") if path else key for key in under(store, path)}
    old = {key for key in old if not join(path, key).startswith(f"{part}/")}
    roots = [key for key in new if key in METADATA]
    delete(store, [join(path, key) for key in old if key in METADATA])
    arrays = {_folder(k) for k in new if _is_array_key(store, part, k)}
    groups = {_folder(k) for k in new if k.rpartition("/")[2] in METADATA} - arrays
    ended = [k for k in old - new if _within(k, {*arrays, *obsolete}) or _is_metadata_of(k, groups)]
    delete(store, [join(path, key) for key in ended if key not in METADATA])
    for key in [*sorted(new - set(roots)), *roots]:
        value = _get(store, join(part, key))
        if value is not None:
            sync(store.set(join(path, key), value))


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


def join(*parts: str) -> str:
    """Return parts of a key joined by slashes, empty ones left out.

    Parameters
    ----------
    *parts
        Paths and names.

    Returns
    -------
    str
        A key.

    Examples
    --------
    >>> join("", "a", "zarr.json")
    'a/zarr.json'
    """
    return "/".join(part for part in parts if part)


def _get(store: Store, key: str) -> Buffer | None:
    from zarr.core.buffer import default_buffer_prototype
    from zarr.core.sync import sync

    async def get() -> Buffer | None:
        await store._ensure_open()  # a ZipStore is not, before its first use
        return await store.get(key, default_buffer_prototype())

    return sync(get())


def _folder(key: str) -> str:
    return key.rpartition("/")[0]


def _within(key: str, paths: Collection[str]) -> bool:
    return any(key == path or key.startswith(f"{path}/") for path in paths)


def _is_metadata_of(key: str, groups: Collection[str]) -> bool:
    return key.rpartition("/")[2] in METADATA and _folder(key) in groups


def _is_array_key(store: Store, part: str, key: str) -> bool:
    name = key.rpartition("/")[2]
    if name != "zarr.json":
        return name == ".zarray"
    document = _get(store, join(part, key))
    return document is not None and _is_array(document)


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
