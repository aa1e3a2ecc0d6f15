"""Shards that are written chunk by chunk: encoded chunks are appended, the index comes last.

Memory does not depend on the size of a shard, and chunks of one shard may come from several threads.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MISSING = np.uint64(2**64 - 1)  # Zarr v3, sharding codec: offset and length of a chunk that is not there


@dataclass(kw_only=True)
class _OpenShard:
    """One shard on its way: its file once it has a chunk, where the next one goes, and what is missing."""

    index: NDArray[np.uint64]
    missing: int
    descriptor: int | None = None
    end: int = 0


@dataclass(kw_only=True)
class ShardAppender:
    """All shards of one array that are being written.

    Parameters
    ----------
    shape, chunks, shards
        Of the array, of the chunks inside a shard, and of a shard.
    """

    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    shards: tuple[int, ...]
    _open: dict[tuple[int, ...], _OpenShard] = field(default_factory=dict)
    _lock: Any = field(default_factory=Lock)

    def __reduce__(self) -> tuple[object, ...]:
        """Open files cannot be shared with another process."""
        raise TypeError("shards that are appended to belong to one process")

    def add(
        self, folder: str, key: Callable[[tuple[int, ...]], str], chunk: tuple[int, ...], encoded: Any
    ) -> None:
        """Append one chunk, or count it as seen if `encoded` is None; the last one completes the shard.

        Parameters
        ----------
        folder, key
            Of the array; the path of a shard in it from the shard's grid position.
        chunk
            Grid position of the chunk in the array.
        encoded
            Its bytes, or None for a chunk that is not stored.
        """
        per_shard = tuple(s // c for s, c in zip(self.shards, self.chunks, strict=True))
        where = tuple(i // n for i, n in zip(chunk, per_shard, strict=True))
        inside = np.ravel_multi_index(tuple(i % n for i, n in zip(chunk, per_shard, strict=True)), per_shard)
        nbytes, start = 0 if encoded is None else memoryview(encoded).nbytes, 0
        with self._lock:
            shard = self._open.get(where)
            if shard is None:
                shard = self._open[where] = self._begin(where, per_shard)
            if encoded is not None:
                if shard.descriptor is None:
                    shard.descriptor = _create(os.path.join(folder, *key(where).split("/")))
                start, shard.end = shard.end, shard.end + nbytes
                shard.index[inside] = (start, nbytes)
        if encoded is not None and shard.descriptor is not None:
            _write_at(shard.descriptor, encoded, start)
        with self._lock:
            shard.missing -= 1
            if shard.missing:
                return
            del self._open[where]
        if shard.descriptor is not None:
            _complete(shard)

    def _begin(self, where: tuple[int, ...], per_shard: tuple[int, ...]) -> _OpenShard:
        chunks_of_array = [-(-n // c) for n, c in zip(self.shape, self.chunks, strict=True)]
        there = [min(p, n - w * p) for p, n, w in zip(per_shard, chunks_of_array, where, strict=True)]
        index = np.full((math.prod(per_shard), 2), _MISSING, dtype="<u8")
        return _OpenShard(index=index, missing=math.prod(there))

    def close(self) -> None:
        """Close the files of shards that were not completed, after an error."""
        with self._lock:
            for shard in self._open.values():
                if shard.descriptor is not None:
                    os.close(shard.descriptor)
            self._open.clear()


def crc32c(content: bytes) -> int:
    """CRC-32C (Castagnoli), the checksum of a shard's index: a few kilobytes, so plain Python will do.

    Examples
    --------
    The check value of RFC 3720:

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    remainder = 0xFFFFFFFF
    for byte in content:
        remainder = _CRC_TABLE[(remainder ^ byte) & 0xFF] ^ (remainder >> 8)
    return remainder ^ 0xFFFFFFFF


def _crc_of_byte(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
    return byte


_CRC_TABLE = tuple(_crc_of_byte(byte) for byte in range(256))


def can_append() -> bool:
    """Whether this system can write at a position of a file from several threads (Windows cannot)."""
    return hasattr(os, "pwrite")


def _create(path: str) -> int:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | getattr(os, "O_BINARY", 0), 0o666)


def _complete(shard: _OpenShard) -> None:
    assert shard.descriptor is not None
    index = shard.index.tobytes()
    try:
        _write_at(shard.descriptor, index + crc32c(index).to_bytes(4, "little"), shard.end)
    finally:
        os.close(shard.descriptor)


def _write_at(descriptor: int, content: Any, position: int) -> None:
    left = memoryview(content).cast("B")
    while left:
        written = os.pwrite(descriptor, left, position)
        left, position = left[written:], position + written
