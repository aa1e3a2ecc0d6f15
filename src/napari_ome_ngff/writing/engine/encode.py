"""Encode and store write units: the one seam between the engine and how bytes are made.

For a local folder and the usual codecs chunks are encoded with numcodecs and written to their files directly,
which takes half of the processor time. Everything else goes through zarr-python.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ome_ngff.errors import OptionError
from napari_ome_ngff.storage.pixels.codecs import MISSING, checksum, chunk_format
from napari_ome_ngff.storage.places.requests import settle
from napari_ome_ngff.storage.places.store_kind import local_folder, store_kind
from napari_ome_ngff.writing.blocks import Box, depth_first, relative, shape_of
from napari_ome_ngff.writing.commit.temporary import undone_by
from napari_ome_ngff.writing.target import can_append

if TYPE_CHECKING:
    import zarr


@dataclass(kw_only=True)
class _OpenShard:
    """One shard on its way: its file once it has a chunk, where the next one goes, and what is missing."""

    index: NDArray[np.uint64]
    missing: int
    descriptor: int | None = None
    end: int = 0


@dataclass(kw_only=True)
class ShardAppender:
    """All shards of one array that are being written; `chunks` are those inside a shard."""

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

        `chunk` is its position in the grid of the array, `key` makes the path of a shard in the array's
        folder from the shard's grid position.
        """
        per_shard = tuple(s // c for s, c in zip(self.shards, self.chunks, strict=True))
        position = tuple(i // n for i, n in zip(chunk, per_shard, strict=True))
        inside = np.ravel_multi_index(tuple(i % n for i, n in zip(chunk, per_shard, strict=True)), per_shard)
        nbytes, start = 0 if encoded is None else memoryview(encoded).nbytes, 0
        with self._lock:
            shard = self._open.get(position)
            if shard is None:
                shard = self._open[position] = self._begin(position, per_shard)
            if encoded is not None:
                if shard.descriptor is None:
                    shard.descriptor = _create(os.path.join(folder, *key(position).split("/")))
                start, shard.end = shard.end, shard.end + nbytes
                shard.index[inside] = (start, nbytes)
        if encoded is not None and shard.descriptor is not None:
            _write_at(shard.descriptor, encoded, start)
        with self._lock:
            shard.missing -= 1
            if shard.missing:
                return
            del self._open[position]
        if shard.descriptor is not None:
            _complete(shard)

    def _begin(self, position: tuple[int, ...], per_shard: tuple[int, ...]) -> _OpenShard:
        chunks = [-(-n // c) for n, c in zip(self.shape, self.chunks, strict=True)]
        in_array = [min(p, n - i * p) for p, n, i in zip(per_shard, chunks, position, strict=True)]
        index = np.full((math.prod(per_shard), 2), MISSING, dtype="<u8")
        return _OpenShard(index=index, missing=math.prod(in_array))

    def close(self) -> None:
        """Close the files of shards that are still open."""
        with self._lock:
            for shard in self._open.values():
                if shard.descriptor is not None:
                    os.close(shard.descriptor)
            self._open.clear()


def _create(path: str) -> int:
    """Create or empty a file, and the folders above it if they are missing; returns its descriptor."""
    flags = os.O_CREAT | os.O_TRUNC | os.O_WRONLY | getattr(os, "O_BINARY", 0)
    try:
        return os.open(path, flags, 0o666)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return os.open(path, flags, 0o666)


def _complete(shard: _OpenShard) -> None:
    assert shard.descriptor is not None
    index = shard.index.tobytes()
    try:
        _write_at(shard.descriptor, index + checksum(index), shard.end)
    finally:
        os.close(shard.descriptor)


def _write_at(descriptor: int, content: Any, position: int) -> None:
    left = memoryview(content).cast("B")
    while left:
        written = os.pwrite(descriptor, left, position)  # type: ignore[attr-defined,unused-ignore]
        left, position = left[written:], position + written


@dataclass(frozen=True, kw_only=True)
class PlainChunks:
    """How chunks of one array are encoded and where their files are, when that needs no zarr-python."""

    folder: str  # of the array
    chunks: tuple[int, ...]  # those inside, if there are shards
    dtype: np.dtype[Any]  # as stored, with its byte order
    fill: NDArray[Any]  # one voxel
    compressor: Any  # a numcodecs codec, or None
    shards: ShardAppender | None = None  # where chunks are appended; None if each is a file


@dataclass(frozen=True, kw_only=True)
class UnitWriter:
    """Where one level goes: an array, and the short way to its files if there is one."""

    array: zarr.Array[Any]
    plain: PlainChunks | None = None

    def close(self) -> None:
        """Close the files of shards that were not completed, after an error."""
        if self.plain is not None and self.plain.shards is not None:
            self.plain.shards.close()

    def __getstate__(self) -> dict[str, Any]:
        """Refuse to be sent to another process by a store that would be a copy there."""
        store = self.array.store
        kind = store_kind(store, derived=True)
        if kind == "memory" or (kind == "zip" and not store.read_only):
            raise OptionError(
                f"Other processes cannot write into a {type(store).__name__}.",
                where=str(store),
                hint="Use threads (executor=None), or write to a folder.",
            )
        return vars(self)


def unit_writer(array: zarr.Array[Any], *, shared_memory: bool = True) -> UnitWriter:
    """Find the way to write an empty array; only threads, which share memory, can share an open shard."""
    return UnitWriter(array=array, plain=_plain_chunks(array, shared_memory))


def _plain_chunks(array: zarr.Array[Any], shared_memory: bool) -> PlainChunks | None:
    if (root := local_folder(array.store)) is None or array.ndim == 0:
        return None
    form = chunk_format(array)
    if form is None or not form.encodable:
        return None
    shards = None
    if form.shard is not None:
        if not (shared_memory and can_append()) or array.shards is None:
            return None
        shards = ShardAppender(shape=array.shape, chunks=array.chunks, shards=array.shards)
    return PlainChunks(
        folder=os.path.join(root, array.path),
        chunks=form.shape,
        dtype=form.dtype,
        fill=form.fill.astype(form.dtype).reshape(1),
        compressor=form.codecs[0] if form.codecs else None,
        shards=shards,
    )


def write_units(writer: UnitWriter, region: Box, data: NDArray[Any]) -> None:
    """Encode and store the voxels of a region of whole write units, clipped to the array."""
    if writer.plain is None:
        with undone_by(settle):  # here, in the process that has sent it
            writer.array[region] = data
        return
    plain = writer.plain
    for box in depth_first(region, [plain.chunks]):
        _write_chunk(writer, plain, box, data[relative(box, region)])


def _write_chunk(writer: UnitWriter, plain: PlainChunks, box: Box, voxels: NDArray[Any]) -> None:
    index = tuple(part.start // size for part, size in zip(box, plain.chunks, strict=True))
    if shape_of(box) == plain.chunks:
        chunk = np.ascontiguousarray(voxels, dtype=plain.dtype)
    else:
        # A chunk at the far edge is stored whole; what lies outside the array is the fill value.
        chunk = np.full(plain.chunks, plain.fill[0], dtype=plain.dtype)
        chunk[tuple(slice(0, size) for size in shape_of(box))] = voxels
    encoded = None if is_filled_with(chunk, plain.fill) else _encode(chunk, plain.compressor)
    if plain.shards is not None:
        plain.shards.add(plain.folder, writer.array.metadata.encode_chunk_key, index, encoded)
    elif encoded is not None:
        path = os.path.join(plain.folder, *writer.array.metadata.encode_chunk_key(index).split("/"))
        _write_file(path, encoded)


def _encode(chunk: NDArray[Any], compressor: Any) -> Any:
    # bool has no buffer format that every codec knows; one byte per voxel is what is stored anyway.
    flat = chunk.view(np.uint8) if chunk.dtype.kind == "b" else chunk
    return memoryview(flat.reshape(-1).view(np.uint8)) if compressor is None else compressor.encode(flat)


def _write_file(path: str, content: Any) -> None:
    descriptor = _create(path)
    try:
        left = memoryview(content).cast("B")
        while left:  # the system may take them in parts
            left = left[os.write(descriptor, left) :]
    finally:
        os.close(descriptor)


# Chunks that hold nothing but the fill value are left out, as zarr-python does by default; for other chunks
# that costs one comparison of their first voxel.
def is_filled_with(chunk: NDArray[Any], fill: NDArray[Any]) -> bool:
    """Whether every voxel has the very bits of the fill value: NaN equals NaN, and -0.0 is not 0.0."""
    word = np.dtype(f"u{math.gcd(8, chunk.dtype.itemsize)}")
    bits = chunk.reshape(-1).view(word)
    wanted = fill.view(word)
    # One look at the first voxel spares nearly all chunks the rest.
    if bits.size < wanted.size or not np.array_equal(bits[: wanted.size], wanted):
        return False
    return bool((bits.reshape(-1, wanted.size) == wanted).all())
