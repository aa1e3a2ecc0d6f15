"""How chunks are decoded and encoded: without Zarr where the chain of codecs is plain, as for most images.

Zarr knows every chain, but goes through its event loop for each one. What is not plain is left to it.
"""

from __future__ import annotations

import gzip
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import google_crc32c
import numpy as np

if TYPE_CHECKING:
    import zarr

MISSING = np.uint64(2**64 - 1)
"""Offset and length, in the index of a shard, of a chunk that is not stored (sharding codec)."""


_READ_V2 = frozenset({"blosc", "bz2", "gzip", "lz4", "lzma", "zlib", "zstd"})


_READ_V3 = frozenset({"blosc", "gzip", "zstd"})
"""In both formats also those that are written."""


_SHUFFLE = {"noshuffle": 0, "shuffle": 1, "bitshuffle": 2}


@dataclass(frozen=True, kw_only=True)
class ShardIndex:
    """Where the chunks of a shard are, and how that is stored."""

    grid: tuple[int, ...]
    """Number of chunks along each axis of a shard."""
    at_end: bool
    checksum: bool

    @property
    def span(self) -> tuple[int, int]:
        """Offset (-1: the last bytes) and length of the stored index, as in `requests.Piece`."""
        size = 16 * math.prod(self.grid) + 4 * self.checksum
        return (-1, size) if self.at_end else (0, size)

    def decode(self, data: bytes) -> np.ndarray[Any, Any]:
        """Offset and length of each chunk, of shape ``(*grid, 2)``; ValueError if the index is damaged."""
        if len(data) != self.span[1]:
            raise ValueError(f"the index of the shard has {len(data)} bytes instead of {self.span[1]}")
        if self.checksum:
            if checksum(data[:-4]) != data[-4:]:
                raise ValueError("the checksum of the shard's index is wrong")
            data = data[:-4]
        return np.frombuffer(data, "<u8").reshape(*self.grid, 2)

    def empty(self) -> np.ndarray[Any, Any]:
        """The index of a shard that was never written."""
        return np.broadcast_to(MISSING, (*self.grid, 2))

    @staticmethod
    def place(index: np.ndarray[Any, Any], position: Sequence[int]) -> tuple[int, int] | None:
        """Offset and length of the chunk at a position of the array's chunk grid; None if not stored."""
        offset, length = index[tuple(p % n for p, n in zip(position, index.shape[:-1], strict=True))]
        return None if offset == MISSING and length == MISSING else (int(offset), int(length))


def checksum(data: bytes) -> bytes:
    """CRC-32C as the codec ``crc32c`` of Zarr appends it: four bytes, little endian."""
    value: int = google_crc32c.value(data)
    return value.to_bytes(4, "little")


@dataclass(frozen=True, kw_only=True)
class ChunkFormat:
    """How the values of a chunk become stored bytes, and back."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    """As stored, byte order included."""
    order: Literal["C", "F"]
    codecs: tuple[Any, ...] | None
    """Codecs of numcodecs, in the order in which they encode; None if `pipeline` decodes."""
    fill: np.ndarray[Any, Any]
    """The fill value, without axes."""
    shard: ShardIndex | None = None
    encodable: bool = False
    """Whether chunks may be written without Zarr: then there is one codec at most."""
    pipeline: Any = None
    """A codec pipeline of Zarr, and the ``ArraySpec`` of a chunk, where the chain is not plain."""

    @property
    def nbytes(self) -> int:
        """Bytes of a decoded chunk."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def most_stored(self) -> int:
        """Bytes that a stored chunk may have; filters may widen the type of the values."""
        return (2 if self.codecs is not None else 32) * self.nbytes + 2**20

    def decode(self, data: bytes | None) -> np.ndarray[Any, Any]:
        """The values of a chunk, read-only; of None (never written) the fill value. Only if `codecs` is set.

        On damaged data a codec raises whatever it likes; too few or too many bytes are a ValueError.
        """
        if data is None:
            return np.broadcast_to(self.fill, self.shape)
        assert self.codecs is not None
        nbytes = self.nbytes
        for number, codec in enumerate(reversed(self.codecs), 1):
            # What is compressed twice may have grown a little the first time.
            limit = nbytes if number == len(self.codecs) else 2 * nbytes + 2**16
            data = _gunzip(data, limit) if codec.codec_id == "gzip" else codec.decode(data)
        assert data is not None
        if len(data) != nbytes:
            raise ValueError(f"the chunk holds {len(data)} bytes instead of {nbytes}")
        return np.frombuffer(data, self.dtype).reshape(self.shape, order=self.order)

    def decode_by_zarr(self, data: Sequence[bytes | None]) -> list[np.ndarray[Any, Any] | Exception]:
        """The values of many chunks in one call of Zarr, or why a chunk could not be decoded."""
        from zarr.core.buffer import default_buffer_prototype
        from zarr.core.sync import sync

        pipeline, spec = self.pipeline
        make = default_buffer_prototype().buffer.from_bytes
        stored = [(make(one), spec) for one in data if one is not None]
        try:
            decoded = iter(sync(pipeline.decode(stored)))
        except Exception as error:  # noqa: BLE001 (codecs raise whatever they like)
            return [error] if len(data) == 1 else [self.decode_by_zarr([one])[0] for one in data]
        empty = np.broadcast_to(self.fill, self.shape)
        return [empty if one is None else next(decoded).as_numpy_array() for one in data]


def chunk_format(array: zarr.Array[Any]) -> ChunkFormat | None:
    """How chunks of an array are stored; None for what only an array of Zarr can tell.

    The latter: types that numpy has no bytes for, grids of unequal chunks, and pipelines of other packages.
    """
    dtype = np.dtype(array.dtype)
    config = getattr(array, "config", None)  # since zarr 3.2
    if dtype.kind not in "biufc" or not getattr(config, "read_missing_chunks", True):
        return None
    fill = np.zeros((), dtype)
    if array.fill_value is not None:
        fill[()] = array.fill_value
    metadata: Any = array.metadata
    if metadata.zarr_format == 2:
        return _format_v2(array, metadata, dtype, fill)
    return _format_v3(array, metadata.to_dict(), dtype, fill)


def _format_v2(
    array: zarr.Array[Any], metadata: Any, dtype: np.dtype[Any], fill: np.ndarray[Any, Any]
) -> ChunkFormat | None:
    codecs = () if metadata.compressor is None else (metadata.compressor,)
    names = {getattr(codec, "codec_id", None) for codec in codecs}
    form = ChunkFormat(shape=tuple(array.chunks), dtype=dtype, order=metadata.order, codecs=codecs, fill=fill)
    if metadata.filters or not names <= _READ_V2:
        return _left_to_zarr(form, array, array._async_array.codec_pipeline)
    return replace(form, encodable=metadata.order == "C" and names <= _READ_V3)


def _format_v3(
    array: zarr.Array[Any], document: Mapping[str, Any], dtype: np.dtype[Any], fill: np.ndarray[Any, Any]
) -> ChunkFormat | None:
    if document["chunk_grid"]["name"] != "regular" or document.get("storage_transformers"):
        return None
    pipeline: Any = array._async_array.codec_pipeline
    codecs, shard = _items(document["codecs"]), None
    if codecs and codecs[0][0] == "sharding_indexed":
        if len(codecs) > 1 or (shard := _shard_index(array, codecs[0][1])) is None:
            return None
        codecs, pipeline = _items(codecs[0][1]["codecs"]), None
    form = ChunkFormat(shape=tuple(array.chunks), dtype=dtype, order="C", codecs=(), fill=fill, shard=shard)
    if not codecs or codecs[0][0] != "bytes" or any(name not in _READ_V3 for name, _ in codecs[1:]):
        return _left_to_zarr(form, array, pipeline)
    orders: Mapping[str, Literal["<", ">"]] = {"little": "<", "big": ">"}
    endian = codecs[0][1].get("endian")
    # Here blosc takes the size of a value from the values.
    sizes = {config.get("typesize", dtype.itemsize) for name, config in codecs[1:] if name == "blosc"}
    usual_index = shard is None or (shard.checksum and shard.at_end)
    return replace(
        form,
        dtype=dtype.newbyteorder(orders[endian]) if endian else dtype,
        codecs=tuple(_codec_v3(name, config) for name, config in codecs[1:]),
        encodable=len(codecs) <= 2 and sizes <= {dtype.itemsize} and usual_index,
    )


def _left_to_zarr(form: ChunkFormat, array: zarr.Array[Any], pipeline: Any) -> ChunkFormat | None:
    """The format with Zarr's `pipeline` in place of codecs; without one, that of the chunks in a shard."""
    from zarr.core.array_spec import ArrayConfig, ArraySpec
    from zarr.core.buffer import default_buffer_prototype
    from zarr.registry import get_pipeline_class

    metadata: Any = array.metadata
    spec = ArraySpec(
        shape=form.shape,
        dtype=metadata.dtype,
        fill_value=metadata.fill_value,
        config=ArrayConfig.from_dict({"order": form.order}),
        prototype=default_buffer_prototype(),
    )
    if pipeline is None:
        codecs, inner = [], spec
        for codec in metadata.codecs[0].codecs:
            codecs.append(codec.evolve_from_array_spec(inner))
            inner = codecs[-1].resolve_metadata(inner)
        pipeline = get_pipeline_class().from_codecs(codecs)
    if not type(pipeline).__module__.startswith("zarr."):  # they may decode only what they fetch
        return None
    return replace(form, codecs=None, pipeline=(pipeline, spec))


def _items(codecs: Sequence[Any]) -> list[tuple[str, Mapping[str, Any]]]:
    return [(c["name"], c.get("configuration") or {}) if isinstance(c, Mapping) else (c, {}) for c in codecs]


def _shard_index(array: zarr.Array[Any], configuration: Mapping[str, Any]) -> ShardIndex | None:
    codecs = _items(configuration["index_codecs"])
    names = [name for name, _ in codecs]
    if names not in (["bytes"], ["bytes", "crc32c"]) or codecs[0][1].get("endian") != "little":
        return None
    shards = array.shards or ()
    return ShardIndex(
        grid=tuple(s // c for s, c in zip(shards, array.chunks, strict=True)),
        at_end=configuration.get("index_location", "end") == "end",
        checksum=len(names) == 2,
    )


def _codec_v3(name: str, configuration: Mapping[str, Any]) -> Any:
    import numcodecs

    options = {key: value for key, value in configuration.items() if key != "typesize"}
    if name == "blosc" and isinstance(options.get("shuffle"), str):
        options["shuffle"] = _SHUFFLE[options["shuffle"]]
    return numcodecs.get_codec({"id": name, **options})


def _gunzip(data: Any, limit: int) -> bytes:
    # A little file may unpack to more than there is memory.
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
        unpacked = file.read(limit + 1)
    if len(unpacked) > limit:
        raise ValueError(f"the chunk unpacks to more than {limit} bytes")
    return unpacked
