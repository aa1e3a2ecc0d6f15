"""What the stored bytes of a chunk mean, for the plain codec chains that nearly all images have.

Zarr decodes every chain, but goes through its event loop for each chunk. Here bytes become values in one
call, in whatever thread has them. Chains that are not plain are left to Zarr: `chunk_format` returns None.
"""

from __future__ import annotations

import gzip
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    import zarr

Decoder = Callable[[Any, int], Any]
"""From bytes, and how many there may be afterwards, to bytes."""


_V2_COMPRESSORS = frozenset({"blosc", "bz2", "gzip", "lz4", "lzma", "zlib", "zstd"})


_MISSING = np.uint64(2**64 - 1)  # in the index of a shard


@dataclass(frozen=True, kw_only=True)
class ShardIndex:
    """Where the chunks of a shard are, and how that is stored."""

    grid: tuple[int, ...]
    """Number of chunks along each axis of a shard."""
    at_end: bool
    checksum: bool

    @property
    def span(self) -> tuple[int, int]:
        """Where the index is in the stored shard, as in `storage.transfer.Piece`."""
        size = 16 * math.prod(self.grid) + 4 * self.checksum
        return (-1, size) if self.at_end else (0, size)

    def decode(self, data: bytes) -> np.ndarray[Any, Any]:
        """Return offset and length of each chunk, as an array of the shape of the grid and a last axis of 2.

        Parameters
        ----------
        data
            The stored index.

        Raises
        ------
        ValueError
            If it is damaged.
        """
        if len(data) != self.span[1]:
            raise ValueError(f"the index of the shard has {len(data)} bytes instead of {self.span[1]}")
        if self.checksum:
            import google_crc32c  # zarr needs it too

            if google_crc32c.value(data[:-4]) != int.from_bytes(data[-4:], "little"):
                raise ValueError("the checksum of the shard's index is wrong")
            data = data[:-4]
        return np.frombuffer(data, "<u8").reshape(*self.grid, 2)

    def none(self) -> np.ndarray[Any, Any]:
        """Return the index of a shard that was never written."""
        return np.broadcast_to(_MISSING, (*self.grid, 2))

    @staticmethod
    def place(index: np.ndarray[Any, Any], position: Sequence[int]) -> tuple[int, int] | None:
        """Return offset and length of a chunk, None if it was never written."""
        offset, length = index[tuple(p % n for p, n in zip(position, index.shape[:-1], strict=True))]
        return None if offset == _MISSING and length == _MISSING else (int(offset), int(length))


@dataclass(frozen=True, kw_only=True)
class ChunkFormat:
    """How the stored bytes of a chunk become values."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    """Type of the values as they are stored, byte order included."""
    order: str
    decoders: tuple[Decoder, ...]
    fill: np.ndarray[Any, Any]
    """The fill value, without axes."""
    shard: ShardIndex | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of the values of a chunk."""
        return math.prod(self.shape) * self.dtype.itemsize

    def values(self, data: bytes | None) -> np.ndarray[Any, Any]:
        """Decode a chunk.

        Parameters
        ----------
        data
            Its stored bytes; None for a chunk that was never written.

        Returns
        -------
        numpy.ndarray
            Of the shape of a chunk, read-only.

        Raises
        ------
        Exception
            Whatever a codec raises on damaged data; ValueError if there are too few or too many bytes.
        """
        if data is None:
            return np.broadcast_to(self.fill, self.shape)
        nbytes = self.nbytes
        for number, decoder in enumerate(self.decoders, 1):
            # What is compressed twice may have grown a little the first time.
            data = decoder(data, nbytes if number == len(self.decoders) else 2 * nbytes + 2**16)
        if len(data) != nbytes:
            raise ValueError(f"the chunk holds {len(data)} bytes instead of {nbytes}")
        return np.frombuffer(data, self.dtype).reshape(self.shape, order="F" if self.order == "F" else "C")


def chunk_format(array: zarr.Array[Any]) -> ChunkFormat | None:
    """Return how chunks of an array are decoded, if its codecs are plain.

    Parameters
    ----------
    array
        The array.

    Returns
    -------
    ChunkFormat or None
        None for filters, transposed chunks, codecs of other packages and types that numpy has no bytes for:
        those are left to Zarr.

    Examples
    --------
    >>> import zarr
    >>> array = zarr.create_array({}, shape=(4, 4), chunks=(2, 2), dtype="uint16", fill_value=7)
    >>> chunk_format(array).values(None).tolist()
    [[7, 7], [7, 7]]
    >>> chunk_format(zarr.create_array({}, shape=(4,), dtype=str)) is None
    True
    """
    dtype = np.dtype(array.dtype)
    config = getattr(array, "config", None)  # since zarr 3.2
    if dtype.kind not in "biufc" or not getattr(config, "read_missing_chunks", True):
        return None
    metadata: Any = array.metadata
    fill = np.zeros((), dtype)
    if array.fill_value is not None:
        fill[()] = array.fill_value
    if metadata.zarr_format == 2:
        decoders = _decoders_of_v2(metadata)
        if decoders is None:
            return None
        return ChunkFormat(
            shape=tuple(array.chunks), dtype=dtype, order=metadata.order, decoders=decoders, fill=fill
        )
    document = metadata.to_dict()
    if document["chunk_grid"]["name"] != "regular" or document.get("storage_transformers"):
        return None
    codecs, shard = _items(document["codecs"]), None
    if codecs and codecs[0][0] == "sharding_indexed":
        if len(codecs) > 1 or (shard := _shard_index(array, codecs[0][1])) is None:
            return None
        codecs = _items(codecs[0][1]["codecs"])
    if not codecs or codecs[0][0] != "bytes" or any(name not in _V3_DECODERS for name, _ in codecs[1:]):
        return None
    orders: Mapping[str, Literal["<", ">"]] = {"little": "<", "big": ">"}
    endian = codecs[0][1].get("endian")
    return ChunkFormat(
        shape=tuple(array.chunks),
        dtype=dtype.newbyteorder(orders[endian]) if endian else dtype,
        order="C",
        decoders=tuple(_V3_DECODERS[name]() for name, _ in reversed(codecs[1:])),
        fill=fill,
        shard=shard,
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


def _decoders_of_v2(metadata: Any) -> tuple[Decoder, ...] | None:
    compressor = metadata.compressor
    if metadata.filters or metadata.order not in ("C", "F"):
        return None
    if compressor is None:
        return ()
    name = getattr(compressor, "codec_id", None)
    if name not in _V2_COMPRESSORS:
        return None
    return (_gunzip if name == "gzip" else lambda data, _: compressor.decode(data),)


def _gunzip(data: Any, limit: int) -> bytes:
    # A little file may unpack to more than there is memory.
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
        unpacked = file.read(limit + 1)
    if len(unpacked) > limit:
        raise ValueError(f"the chunk unpacks to more than {limit} bytes")
    return unpacked


def _zstd() -> Decoder:
    from numcodecs import Zstd

    codec = Zstd()
    return lambda data, _: codec.decode(data)


def _blosc() -> Decoder:
    from numcodecs import Blosc

    codec = Blosc()
    return lambda data, _: codec.decode(data)


_V3_DECODERS: Mapping[str, Callable[[], Decoder]] = {
    "blosc": _blosc,
    "gzip": lambda: _gunzip,
    "zstd": _zstd,
}
