"""Decoded chunks, kept as long as they fit: one cache for all images of the process."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np

MAX_BYTES = 512 * 2**20
"""Bound of the shared cache.

Stepping through z needs the slab of chunks under the current plane: 128 MiB for chunks 64 deep under a plane
of 1024x1024 of 16 bits. Three channels of it fit; and it is a sixteenth of the memory of a small laptop.
"""


class ChunkCache:
    """Least recently used decoded chunks, bounded in bytes, safe under threads.

    An entry carries a stamp of what it was decoded from, and is only given back under an equal stamp: a chunk
    that was written again is decoded again.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.max_bytes = max_bytes
        self._entries: OrderedDict[Hashable, tuple[object, np.ndarray[Any, Any]]] = OrderedDict()
        self._nbytes = 0
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Bytes of the chunks held."""
        return self._nbytes

    def get(self, wanted: Sequence[tuple[Hashable, object]]) -> list[np.ndarray[Any, Any] | None]:
        """The chunks under `(key, present stamp)` pairs, read-only; None for what is missing or stale."""
        chunks: list[np.ndarray[Any, Any] | None] = []
        with self._lock:
            for key, stamp in wanted:
                entry = self._entries.get(key)
                if entry is None:
                    chunks.append(None)
                elif entry[0] is stamp or entry[0] == stamp:
                    self._entries.move_to_end(key)
                    chunks.append(entry[1])
                else:
                    self._drop(key)
                    chunks.append(None)
        return chunks

    def put(self, chunks: Iterable[tuple[Hashable, object, np.ndarray[Any, Any]]]) -> None:
        """Keep `(key, stamp, array)`, and let go of the least recently used above the bound.

        The arrays belong to the cache from now on and become read-only.
        """
        with self._lock:
            for key, stamp, chunk in chunks:
                self._drop(key)
                if chunk.nbytes > self.max_bytes:
                    continue
                chunk.flags.writeable = False
                self._entries[key] = (stamp, chunk)
                self._nbytes += chunk.nbytes
            while self._nbytes > self.max_bytes:
                _, (_, oldest) = self._entries.popitem(last=False)
                self._nbytes -= oldest.nbytes

    def clear(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._entries.clear()
            self._nbytes = 0

    def _drop(self, key: Hashable) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._nbytes -= entry[1].nbytes
