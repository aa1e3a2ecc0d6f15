"""All state of the process, so that it can be named, and reset.

- Decoded chunks: `shared_cache`.
- Chunks that could not be read, and who is told of them: `shared_failures`.
- Threads that decode, and that read pictures: `decode_pool`, `picture_pool`.
- Saves that are under way: to stores `running_saves`, to folders `held_locks`; jobs of others: `unpickled`.

What else is remembered between calls follows from its arguments alone.
"""

from __future__ import annotations

import contextlib
import functools
import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

from napari_ome_ngff.storage.pixels.chunk_cache import ChunkCache
from napari_ome_ngff.storage.pixels.failed_chunks import Failures
from napari_ome_ngff.storage.places.requests import usable_cores


@functools.cache
def shared_cache() -> ChunkCache:
    """The cache of all sources."""
    return ChunkCache()


@functools.cache
def shared_failures() -> Failures:
    """The record of all sources."""
    return Failures()


@functools.cache
def running_saves() -> set[str]:
    """Marks of the saves of this process that are under way: they are not taken for interrupted ones."""
    return set()


@functools.cache
def held_locks() -> set[int]:
    """Handles of the lock files of saves that are under way."""
    return set()


@functools.lru_cache(maxsize=2)
def unpickled(message: bytes) -> Any:
    """What comes with every task of a save, with its source and its arrays: opened once for all of them."""
    return pickle.loads(message)


def _let_go_of_locks() -> None:
    """In a process that was forked: the lock ends with the process that holds it, not with its workers."""
    for handle in held_locks():
        with contextlib.suppress(OSError):
            os.close(handle)
    held_locks().clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go_of_locks)


def decode_pool() -> ThreadPoolExecutor:
    """The threads that decode; a process that was forked has its own."""
    return _pool_of(os.getpid())


@functools.cache
def picture_pool(kind: Literal["local", "server", "ahead"]) -> ThreadPoolExecutor:
    """The threads in which a viewer's pictures are put together, and those that wait for them."""
    # From servers all at once, also while a slider is dragged over many planes; from local files one after
    # the other, or the window's thread would come last.
    count = {"local": 1, "server": 64, "ahead": 64}[kind]
    return ThreadPoolExecutor(count, thread_name_prefix=f"ome-ngff-{kind}")


@functools.cache
def _pool_of(process: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(usable_cores(), thread_name_prefix=f"ome-ngff-read-{process}")


def reset() -> None:
    """Forget everything, as a new process; for tests. The threads stay, they hold nothing, and locks."""
    for state in (shared_cache, shared_failures, running_saves, unpickled):
        state.cache_clear()
