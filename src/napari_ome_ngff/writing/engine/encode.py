"""Encode and store write units: the one seam between the engine and how bytes are made.

For a local folder and the usual codecs (none, blosc, zstd, gzip) chunks are encoded with numcodecs and
written to their files directly, which takes half of the processor time. Everything else goes through
zarr-python.
Both leave out chunks that hold nothing but the fill value, as zarr-python does by default; for other chunks
that costs one comparison of their first voxel.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ome_ngff.errors import OptionError
from napari_ome_ngff.writing.blocks import Box, depth_first, shape_of
from napari_ome_ngff.writing.target import can_append

if TYPE_CHECKING:
    import zarr

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


_COMPRESSORS = frozenset({"blosc", "zstd", "gzip"})


_SHUFFLE = {"noshuffle": 0, "shuffle": 1, "bitshuffle": 2}


@dataclass(frozen=True, kw_only=True)
class PlainChunks:
    """How chunks of one array are encoded and where their files are, when that needs no zarr-python.

    Parameters
    ----------
    folder
        Of the array.
    chunks
        Shape of a chunk; of the chunks inside when there are shards.
    dtype
        As stored, with its byte order.
    fill
        One voxel of the fill value.
    compressor
        A numcodecs codec, or None.
    shards
        Where chunks are appended, or None if each is a file.
    """

    folder: str
    chunks: tuple[int, ...]
    dtype: np.dtype[Any]
    fill: NDArray[Any]
    compressor: Any
    shards: ShardAppender | None = None


@dataclass(frozen=True, kw_only=True)
class UnitWriter:
    """Where one level goes: an array, and the short way to its files if there is one."""

    array: zarr.Array[Any]
    plain: PlainChunks | None = None

    def __reduce__(self) -> tuple[object, ...]:
        """Refuse to be sent to another process by a store that would be a copy there."""
        store = self.array.store
        if type(store).__name__ in ("MemoryStore", "ZipStore", "ManagedMemoryStore"):
            raise OptionError(
                f"Other processes cannot write into a {type(store).__name__}.",
                where=str(store),
                hint="Use threads (executor=None), or write to a folder.",
            )
        return _rebuild, (self.array, self.plain)


def _rebuild(array: zarr.Array[Any], plain: PlainChunks | None) -> UnitWriter:
    return UnitWriter(array=array, plain=plain)


def unit_writer(array: zarr.Array[Any], *, shared_memory: bool = True, direct: bool = True) -> UnitWriter:
    """Find the way to write an array.

    Parameters
    ----------
    array
        Open for writing, and empty.
    shared_memory
        Whether all writers are threads of this process, so that they can share an open shard.
    direct
        Whether files may be written without zarr-python.

    Examples
    --------
    >>> import zarr
    >>> array = zarr.create_array(zarr.storage.MemoryStore(), shape=(4, 4), dtype="uint8")
    >>> unit_writer(array).plain is None
    True
    """
    return UnitWriter(array=array, plain=_plain_chunks(array, shared_memory) if direct else None)


def _plain_chunks(array: zarr.Array[Any], shared_memory: bool) -> PlainChunks | None:
    from zarr.storage import LocalStore

    if type(array.store) is not LocalStore or array.ndim == 0:
        return None
    about: Mapping[str, Any] = array.metadata.to_dict()
    folder = os.path.join(str(array.store.root), array.path)
    fill = np.asarray(0 if array.fill_value is None else array.fill_value)
    if about["zarr_format"] == 2:
        compressor = _codec_v2(about)
        if compressor is None:
            return None
        dtype = array.dtype
        return PlainChunks(
            folder=folder,
            chunks=array.chunks,
            dtype=dtype,
            fill=fill.astype(dtype).reshape(1),
            compressor=compressor[0],
        )
    codecs, shards = about["codecs"], None
    if len(codecs) == 1 and codecs[0]["name"] == "sharding_indexed":
        usual = _is_usual_shard(codecs[0]["configuration"])
        if not (shared_memory and usual and can_append()) or array.shards is None:
            return None
        codecs = codecs[0]["configuration"]["codecs"]
        shards = ShardAppender(shape=array.shape, chunks=array.chunks, shards=array.shards)
    found = _codecs_v3(codecs, array.dtype)
    if found is None or about.get("storage_transformers"):
        return None
    return PlainChunks(
        folder=folder,
        chunks=array.chunks,
        dtype=found[0],
        fill=fill.astype(found[0]).reshape(1),
        compressor=found[1],
        shards=shards,
    )


def _codec_v2(about: Mapping[str, Any]) -> tuple[Any] | None:
    """The compressor in a tuple (it may be None), or None if there is more to encoding than that."""
    import numcodecs

    if about.get("filters") or about["order"] != "C":
        return None
    config = about["compressor"]
    if config is None:
        return (None,)
    return (numcodecs.get_codec(dict(config)),) if config["id"] in _COMPRESSORS else None


def _codecs_v3(codecs: Any, dtype: np.dtype[Any]) -> tuple[np.dtype[Any], Any] | None:
    """Stored dtype and compressor, or None if the chain is another one than bytes and a compressor."""
    import numcodecs

    names = [codec["name"] for codec in codecs]
    if names[:1] != ["bytes"] or len(names) > 2 or not set(names[1:]) <= _COMPRESSORS:
        return None
    endian = codecs[0].get("configuration", {}).get("endian", "little")
    stored = dtype.newbyteorder(">" if endian == "big" else "<")
    if len(names) == 1:
        return stored, None
    config = dict(codecs[1].get("configuration", {}))
    if names[1] == "blosc":
        if config.pop("typesize", dtype.itemsize) != dtype.itemsize:
            return None
        config["shuffle"] = _SHUFFLE[config["shuffle"]]
    return stored, numcodecs.get_codec({"id": names[1], **config})


def _is_usual_shard(config: Mapping[str, Any]) -> bool:
    index = [codec["name"] for codec in config["index_codecs"]]
    little = config["index_codecs"][0].get("configuration", {}).get("endian") == "little"
    return index == ["bytes", "crc32c"] and little and config.get("index_location", "end") == "end"


def write_units(writer: UnitWriter, region: Box, data: NDArray[Any]) -> None:
    """Encode and store the voxels of a region that is made of whole write units.

    Parameters
    ----------
    writer
        Where to.
    region
        Of the array, clipped to its shape.
    data
        Voxels of the region.
    """
    if writer.plain is None:
        writer.array[region] = data
        return
    plain = writer.plain
    corner = [part.start for part in region]
    for box in depth_first(region, [plain.chunks]):
        inside = tuple(
            slice(part.start - start, part.stop - start) for part, start in zip(box, corner, strict=True)
        )
        _write_chunk(writer, plain, box, data[inside])


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
    try:
        file = open(path, "wb", buffering=0)  # noqa: SIM115 - closed below, once it could be opened
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        file = open(path, "wb", buffering=0)  # noqa: SIM115
    with file:
        write_all(file.fileno(), content)


def write_all(descriptor: int, content: Any) -> None:
    """Write every byte: the system may take them in parts."""
    left = memoryview(content).cast("B")
    while left:
        left = left[os.write(descriptor, left) :]


def is_filled_with(chunk: NDArray[Any], fill: NDArray[Any]) -> bool:
    """Whether every voxel has the very bits of the fill value: NaN equals NaN, and -0.0 is not 0.0.

    Examples
    --------
    >>> is_filled_with(np.zeros((2, 2)), np.array([0.0])), is_filled_with(np.ones(2), np.array([0.0]))
    (True, False)
    """
    word = np.dtype(f"u{math.gcd(8, chunk.dtype.itemsize)}")
    bits = chunk.reshape(-1).view(word)
    wanted = fill.view(word)
    # One look at the first voxel spares nearly all chunks the rest.
    if bits.size < wanted.size or not np.array_equal(bits[: wanted.size], wanted):
        return False
    return bool((bits.reshape(-1, wanted.size) == wanted).all())
