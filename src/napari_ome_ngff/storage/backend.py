"""An array that stays lazy inside xarray, which otherwise reads all of it at once.

This module imports xarray and zarr at its top and is imported only when an image is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import zarr
from xarray.backends import BackendArray
from xarray.core import indexing

if TYPE_CHECKING:
    from napari_ome_ngff.storage.lazy import Source


class LazyArray(BackendArray):
    """What xarray asks for values: one region at a time."""

    def __init__(self, array: zarr.Array[Any] | Source) -> None:
        self.array = array
        self.shape = array.shape
        self.dtype = array.dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        # Sources take the product of several lists as they are.
        read = self.array.oindex if isinstance(self.array, zarr.Array) else self.array
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.OUTER, read.__getitem__
        )


def lazily_indexed(array: zarr.Array[Any] | Source) -> indexing.LazilyIndexedArray:
    """Return what an xarray ``Variable`` can hold of a Zarr array or a source without reading it.

    Parameters
    ----------
    array
        The array; indexing the variable reads only the region that is asked for, when it is asked for.

    Examples
    --------
    >>> import xarray
    >>> array = zarr.create_array({}, shape=(4, 6), dtype="uint8")
    >>> xarray.Variable(("y", "x"), lazily_indexed(array))[0, :2].values.tolist()
    [0, 0]
    """
    return indexing.LazilyIndexedArray(LazyArray(array))
