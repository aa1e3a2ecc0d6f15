"""Chains of codecs that only Zarr knows, with a bound on what each one unpacks to.

This module imports zarr at its top and is imported only for arrays that have such a chain.
"""

from __future__ import annotations

import asyncio
import dataclasses
import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import zarr
from zarr.abc.codec import ArrayBytesCodec, BytesBytesCodec
from zarr.codecs import BytesCodec, ShardingCodec
from zarr.core.array_spec import ArrayConfig, ArraySpec
from zarr.core.buffer import Buffer, default_buffer_prototype
from zarr.core.codec_pipeline import BatchedCodecPipeline
from zarr.core.sync import sync
from zarr.storage import StorePath

from napari_ome_ngff.storage.pixels.unpack import plain_codec, unpack
from napari_ome_ngff.storage.places.requests import at_most


@dataclass(frozen=True)
class BoundedCodec(BytesBytesCodec):
    """A codec of Zarr from bytes to bytes, undone by `plain`, that of numcodecs, as `unpack` does."""

    codec: BytesBytesCodec
    plain: Any
    size: int
    exact: bool

    is_fixed_size = False

    def to_dict(self) -> dict[str, Any]:
        """The same as of the codec."""
        return self.codec.to_dict()

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: ArraySpec) -> int:
        """The same as of the codec."""
        return self.codec.compute_encoded_size(input_byte_length, chunk_spec)

    async def _decode_single(self, chunk_data: Buffer, chunk_spec: ArraySpec) -> Buffer:
        unpacked = await asyncio.to_thread(
            unpack, self.plain, chunk_data.to_bytes(), self.size, exact=self.exact
        )
        return chunk_spec.prototype.buffer.from_bytes(unpacked)


def _bounded(codecs: Iterable[Any], spec: ArraySpec) -> tuple[tuple[Any, ...], int]:
    """The codecs, fitted to the values of a chunk, with bounds where there can be any, and that of all."""
    result: list[Any] = []
    size, exact = 0, False
    for codec in codecs:
        fitted = codec.evolve_from_array_spec(spec)
        itemsize = np.dtype(spec.dtype.to_native_dtype()).itemsize
        nbytes = math.prod(spec.shape) * itemsize
        if isinstance(fitted, ShardingCodec):
            inner = dataclasses.replace(spec, shape=fitted.chunk_shape)
            fitted = dataclasses.replace(fitted, codecs=_bounded(fitted.codecs, inner)[0])
            index = 16 * math.prod(spec.shape) // max(1, math.prod(fitted.chunk_shape))
            size, exact = 2 * (nbytes + index) + 2**16, False
        elif isinstance(fitted, BytesBytesCodec):
            document: Any = fitted.to_dict()
            plain = plain_codec(document["name"], document.get("configuration") or {}, itemsize)
            fitted = fitted if plain is None else BoundedCodec(fitted, plain, size, exact)
            size, exact = 2 * size + 2**16, False
        elif isinstance(fitted, ArrayBytesCodec):  # texts may be of any length
            exact = isinstance(fitted, BytesCodec)
            size = nbytes if exact else 64 * nbytes + 2**20
        spec = fitted.resolve_metadata(spec)
        result.append(fitted)
    return tuple(result), size


def _spec(array: zarr.Array[Any], shape: tuple[int, ...]) -> ArraySpec:
    metadata: Any = array.metadata
    return ArraySpec(
        shape=shape,
        dtype=metadata.dtype,
        fill_value=metadata.fill_value,
        config=ArrayConfig.from_dict({"order": "C"}),
        prototype=default_buffer_prototype(),
    )


@dataclass(frozen=True)
class ZarrChain:
    """A chain of codecs as Zarr runs it, and what it has to know of a chunk."""

    pipeline: BatchedCodecPipeline
    spec: ArraySpec

    def decode(self, data: Sequence[bytes]) -> list[np.ndarray[Any, Any] | Exception]:
        """The values of many chunks in one call of Zarr, or why a chunk could not be decoded."""
        make = self.spec.prototype.buffer.from_bytes
        try:
            decoded: Any = sync(self.pipeline.decode([(make(one), self.spec) for one in data]))
            return [self._checked(one.as_numpy_array()) for one in decoded]
        except Exception as error:  # noqa: BLE001 (codecs raise whatever they like)
            return [error] if len(data) == 1 else [self.decode([one])[0] for one in data]

    def _checked(self, chunk: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        if chunk.shape != self.spec.shape:
            raise ValueError(f"the chunk has the shape {chunk.shape} instead of {self.spec.shape}")
        return chunk


def zarr_chain(array: zarr.Array[Any], *, sharded: bool) -> ZarrChain:
    """The chain of codecs of an array of Zarr v3, or of the chunks in its shards."""
    metadata: Any = array.metadata
    spec = _spec(array, tuple(array.chunks))
    codecs = metadata.codecs[0].codecs if sharded else metadata.codecs
    return ZarrChain(BatchedCodecPipeline.from_codecs(_bounded(codecs, spec)[0]), spec)


def bounded_array(array: zarr.Array[Any]) -> zarr.Array[Any]:
    """An array whose chunks Zarr reads itself, with bounds on what they have and what they unpack to."""
    metadata: Any = array.metadata
    unit, options = tuple(array.shards or array.chunks), array._async_array
    if metadata.zarr_format == 2:
        size = 64 * math.prod(unit) * array.dtype.itemsize
    else:
        codecs, size = _bounded(metadata.codecs, _spec(array, unit))
        metadata = dataclasses.replace(metadata, codecs=codecs)
    path = StorePath(at_most(array.store, 2 * size + 2**20), array.path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that partial reads are slow concerns who writes, not who looks
        return zarr.Array(zarr.AsyncArray(metadata, store_path=path, config=options.config))
