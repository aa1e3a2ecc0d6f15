"""How chunks are decoded and encoded: without Zarr where the chain of codecs is plain, as for most images.

Zarr knows every chain, but goes through its event loop for each one. What is not plain is left to it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import google_crc32c
import numpy as np

from napari_ome_ngff.storage.documents.codec_names import check_codecs
from napari_ome_ngff.storage.pixels.unpack import UNPACKED, plain_codec, unpack, unpacked_sizes
from napari_ome_ngff.storage.places.location import location_of

if TYPE_CHECKING:
    import zarr

MISSING = np.uint64(2**64 - 1)
"""Offset and length, in the index of a shard, of a chunk that is not stored (sharding codec)."""


_SLACK = 2**20  # bytes that a stored object may have more than can be worked out


_WRITTEN = frozenset({"blosc", "gzip", "zstd"})
"""Compressors that are also applied without Zarr, in both formats."""


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
    """A `ZarrChain`, where the chain is not plain."""

    @property
    def nbytes(self) -> int:
        """Bytes of a decoded chunk."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def unpacks(self) -> bool:
        """Whether a decoded chunk has memory of its own, and keeps none of the stored bytes alive."""
        return bool(self.codecs) and self.codecs[0].codec_id in UNPACKED  # type: ignore[index]

    @functools.cached_property
    def _sizes(self) -> list[tuple[int, bool]]:
        return unpacked_sizes(self.codecs or (), self.nbytes)

    @property
    def most_stored(self) -> int:
        """Bytes that a stored chunk may have; filters may widen the type of the values."""
        if self.codecs is None:
            return 32 * self.nbytes + _SLACK
        return 2 * max([self.nbytes, *(size for size, _ in self._sizes)]) + _SLACK

    @property
    def largest_object(self) -> int:
        """Bytes that a stored object may have: a chunk, or a shard of them with its index."""
        if self.shard is None:
            return self.most_stored
        return math.prod(self.shard.grid) * (self.most_stored - _SLACK) + self.shard.span[1] + _SLACK

    def decode(self, data: bytes | None) -> np.ndarray[Any, Any]:
        """The values of a chunk, read-only; of None (never written) the fill value. Only if `codecs` is set.

        On damaged data a codec raises whatever it likes; too few or too many bytes are a ValueError.
        """
        if data is None:
            return np.broadcast_to(self.fill, self.shape)
        assert self.codecs is not None
        plain: Any = data
        for codec, (size, exact) in zip(reversed(self.codecs), reversed(self._sizes), strict=True):
            plain = unpack(codec, plain, size, exact=exact)
        if len(plain) != self.nbytes:
            raise ValueError(f"the chunk holds {len(plain)} bytes instead of {self.nbytes}")
        chunk = np.frombuffer(plain, self.dtype).reshape(self.shape, order=self.order)
        chunk.flags.writeable = False
        return chunk


def chunk_format(array: zarr.Array[Any]) -> ChunkFormat | None:
    """How chunks of an array are stored; None for what only an array of Zarr can tell.

    The latter: types that numpy has no bytes for, grids of unequal chunks, and codecs around shards.
    UnsupportedError for values that are Python objects, and for codecs that are not installed.
    """
    metadata: Any = array.metadata
    document = metadata.to_dict()
    check_codecs(document, where=location_of(array))
    dtype = np.dtype(array.dtype)
    config = getattr(array, "config", None)  # since zarr 3.2
    kinds = "biufcmMSUV" if metadata.zarr_format == 2 else "biufc"
    if dtype.kind not in kinds or not getattr(config, "read_missing_chunks", True):
        return None
    fill = np.zeros((), dtype)
    if array.fill_value is not None:
        fill[()] = array.fill_value
    form = ChunkFormat(shape=tuple(array.chunks), dtype=dtype, order="C", codecs=(), fill=fill)
    if metadata.zarr_format == 3:
        return _format_v3(array, document, form)
    codecs = (*(metadata.filters or ()), *(() if metadata.compressor is None else (metadata.compressor,)))
    is_written = len(codecs) <= 1 and {codec.codec_id for codec in codecs} <= _WRITTEN
    return replace(form, order=metadata.order, codecs=codecs, encodable=is_written and metadata.order == "C")


def _format_v3(array: zarr.Array[Any], document: Mapping[str, Any], form: ChunkFormat) -> ChunkFormat | None:
    if document["chunk_grid"]["name"] != "regular" or document.get("storage_transformers"):
        return None
    codecs, shard, itemsize = _items(document["codecs"]), None, form.dtype.itemsize
    if codecs and codecs[0][0] == "sharding_indexed":
        if len(codecs) > 1 or (shard := _shard_index(array, codecs[0][1])) is None:
            return None
        codecs, form = _items(codecs[0][1]["codecs"]), replace(form, shard=shard)
    plain = [plain_codec(name, config, itemsize) for name, config in codecs[1:]]
    if not codecs or codecs[0][0] != "bytes" or None in plain:
        from napari_ome_ngff.storage.pixels.zarr_chain import zarr_chain

        return replace(form, codecs=None, pipeline=zarr_chain(array, sharded=shard is not None))
    orders: Mapping[str, Literal["<", ">"]] = {"little": "<", "big": ">"}
    endian = codecs[0][1].get("endian")
    # Here blosc takes the size of a value from the values.
    sizes = {config.get("typesize", itemsize) for name, config in codecs[1:] if name == "blosc"}
    usual_index = shard is None or (shard.checksum and shard.at_end)
    is_written = len(plain) <= 1 and {name for name, _ in codecs[1:]} <= _WRITTEN and sizes <= {itemsize}
    return replace(
        form,
        dtype=form.dtype.newbyteorder(orders[endian]) if endian else form.dtype,
        codecs=tuple(plain),
        encodable=is_written and usual_index,
    )


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
