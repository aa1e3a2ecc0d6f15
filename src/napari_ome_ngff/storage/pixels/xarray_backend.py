"""An array that stays lazy inside xarray, which otherwise reads all of it at once.

This module imports xarray and zarr at its top and is imported only when an image is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeGuard

import zarr
from xarray.backends import BackendArray
from xarray.core import indexing

from napari_ome_ngff.errors import StorageError
from napari_ome_ngff.storage.pixels.chunk_cache import ChunkCache
from napari_ome_ngff.storage.pixels.freshness import ReplacementWatch
from napari_ome_ngff.storage.pixels.source import ChunkedSource
from napari_ome_ngff.storage.places.location import location_of
from napari_ome_ngff.storage.places.stamps import stamper

if TYPE_CHECKING:
    from napari_ome_ngff.storage.pixels.indexing import Source


class LazyArray(BackendArray):
    """What xarray asks for values: one region at a time."""

    def __init__(self, array: zarr.Array[Any] | Source, *, keep: bool = True) -> None:
        self.array = array
        self.shape = array.shape
        self.dtype = array.dtype
        self._source: Any = array
        if isinstance(array, zarr.Array):
            # Whoever asks again sees what is stored then: nothing is kept where a change cannot be told.
            kept = None if keep and stamper(array.store) is not None else ChunkCache(max_bytes=0)
            self._source = ChunkedSource(array, cache=kept)
        self._watch = ReplacementWatch(array) if isinstance(array, zarr.Array) else None

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)

    def _read(self, index: Any) -> Any:
        try:
            return self._source[index]  # sources take the product of several lists as they are
        finally:
            if (
                self._watch is not None and self._watch.is_replaced()
            ):  # then the values are nonsense, and an error says too little
                raise StorageError(
                    "The image was replaced by another one while it was open.",
                    where=location_of(self.array),  # type: ignore[arg-type]
                    found="another array has taken its place",
                    hint="Open it again.",
                )


def lazily_indexed(array: zarr.Array[Any] | Source) -> indexing.LazilyIndexedArray:
    """What an xarray ``Variable`` can hold of an array or source without reading it, region by region."""
    return indexing.LazilyIndexedArray(LazyArray(array))


def keeping_nothing(data: object) -> object:
    """The same lazily indexed data, to be read once: decoded chunks are not kept; all else as it is."""
    if not is_lazily_indexed(data):
        return data
    return indexing.LazilyIndexedArray(LazyArray(data.array.array, keep=False), data.key)


def is_lazily_indexed(data: object) -> TypeGuard[Any]:
    """Whether data are an array or source of ours that xarray indexes lazily, or a part of one."""
    return type(data) is indexing.LazilyIndexedArray and type(data.array) is LazyArray


def stored_chunks(data: object) -> tuple[int, ...] | None:
    """The shape of what is decoded at once of data that are lazily indexed; None for all else."""
    lazy = data.array if isinstance(data, indexing.LazilyIndexedArray) else None
    if not isinstance(lazy, LazyArray):
        return None
    return tuple(lazy.array.chunks if isinstance(lazy.array, zarr.Array) else lazy.array.units)
