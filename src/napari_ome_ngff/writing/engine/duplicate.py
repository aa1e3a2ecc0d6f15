"""Stored objects from one store to another, byte for byte.

Files are copied, never linked: a program that writes into the original later must not write into the copy.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zarr.abc.store import Store

Pair = tuple[str, str]
"""Keys of an object where it is, and where it goes."""


_PIECE = 2**20


def copy_keys(source: Store, target: Store, pairs: Sequence[Pair], *, at_once: int) -> None:
    """Copy stored objects; those that are missing stay missing.

    Parameters
    ----------
    source, target
        Where they are and where they go. From folder to folder nothing passes through this process' memory.
    pairs
        Their keys.
    at_once
        How many may be in memory at once elsewhere.

    Examples
    --------
    >>> import zarr
    >>> from zarr.core.buffer import default_buffer_prototype
    >>> one, other = zarr.storage.MemoryStore(), zarr.storage.MemoryStore()
    >>> zarr.create_array(one, shape=(2,), chunks=(1,), dtype="uint8")[0] = 7
    >>> copy_keys(one, other, [("c/0", "0"), ("c/1", "1")], at_once=1)
    >>> are_same(one, other, [("c/0", "0"), ("c/1", "1"), ("c/0", "1")], at_once=1)
    [True, True, False]
    """
    old, new = local_folder(source), local_folder(target)
    if old is not None and new is not None:
        for key, copy in pairs:
            _copy_file(os.path.join(old, *key.split("/")), os.path.join(new, *copy.split("/")))
    else:
        _for_each(pairs, partial(_copy_key, source, target), at_once)


def are_same(source: Store, target: Store, pairs: Sequence[Pair], *, at_once: int) -> list[bool]:
    """Tell of each pair of objects whether they are the same, or both missing.

    Parameters
    ----------
    source, target, pairs, at_once
        As for :func:`copy_keys`.
    """
    one, other = local_folder(source), local_folder(target)
    if one is None or other is None:
        return _for_each(pairs, partial(_is_same_key, source, target), at_once)
    return [
        _is_same_file(os.path.join(one, *key.split("/")), os.path.join(other, *copy.split("/")))
        for key, copy in pairs
    ]


def local_folder(store: object) -> str | None:
    """Return the folder that a store is, or None if it is anything else."""
    from zarr.storage import LocalStore

    return str(store.root) if type(store) is LocalStore else None  # a derived class may read in its own way


def _copy_file(source: str, target: str) -> None:
    if not _is_there(source):
        return
    try:
        shutil.copyfile(source, target)  # in the kernel, where the system can
    except FileNotFoundError:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copyfile(source, target)


def _is_there(path: str) -> bool:
    """Whether there is a file, or something else in its place that is no folder."""
    try:
        return not stat.S_ISDIR(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _is_same_file(one: str, other: str) -> bool:
    there = _is_there(one), _is_there(other)
    if not all(there):
        return there[0] == there[1]
    with open(one, "rb", buffering=0) as first, open(other, "rb", buffering=0) as second:
        while True:
            piece = first.read(_PIECE)
            if piece != second.read(_PIECE):
                return False
            if not piece:
                return True


def _for_each(pairs: Sequence[Pair], work: Any, at_once: int) -> list[bool]:
    """Await a function for every pair of keys, some of them at the same time."""
    from zarr.core.sync import sync

    async def everything() -> list[bool]:
        room = asyncio.Semaphore(at_once)

        async def one(pair: Pair) -> bool:
            async with room:
                return bool(await work(*pair))

        return await asyncio.gather(*map(one, pairs))

    return sync(everything())


async def _copy_key(source: Store, target: Store, old: str, new: str) -> bool:
    from zarr.core.buffer import default_buffer_prototype

    prototype = default_buffer_prototype()
    found = await source.get(old, prototype)
    if found is not None:
        # Bytes of our own: two stores in memory must not share them.
        await target.set(new, prototype.buffer.from_bytes(found.to_bytes()))
    return found is not None


async def _is_same_key(source: Store, target: Store, old: str, new: str) -> bool:
    from zarr.core.buffer import default_buffer_prototype

    prototype = default_buffer_prototype()
    one, other = await source.get(old, prototype), await target.get(new, prototype)
    if one is None or other is None:
        return one is other
    return one.to_bytes() == other.to_bytes()
