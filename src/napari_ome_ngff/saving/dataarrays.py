"""Arrays of any kind as DataArrays with coordinates, unread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ome_ngff.coordinates import axis_coordinates
from napari_ome_ngff.metadata.nouns import Axis, ScaleTranslation

if TYPE_CHECKING:
    from xarray import DataArray

_NUMPY_BLOCK = (8, 1024, 1024)


def to_dataarray(data: Any, axes: Sequence[Axis], position: ScaleTranslation) -> DataArray:
    """Put dims and coordinates on an array of any kind (numpy, dask, zarr, tensorstore, xarray), unread."""
    from xarray import DataArray, Variable

    dims = tuple(axis.name for axis in axes)
    coords = axis_coordinates(axes, position, data.shape)
    if isinstance(data, DataArray):
        plain = data.drop_vars(list(data.coords)).rename(dict(zip(data.dims, dims, strict=True)))
        return plain.assign_coords(coords)
    return DataArray(Variable(dims, data if isinstance(data, np.ndarray) else lazy(data)), coords=coords)


def lazy(data: Any) -> Any:
    """Return an array of any kind as a dask array, unread; a numpy array in blocks that are views of it."""
    import dask.array
    import zarr
    from xarray import DataArray

    from napari_ome_ngff.storage.pixels.array_wrap import DaskArrayWrapper

    if isinstance(data, dask.array.Array):
        return data
    if isinstance(data, DataArray):
        return (data.chunk() if data.chunks is None else data).data
    if isinstance(data, zarr.Array):
        return DaskArrayWrapper().wrap(data)
    shape = tuple(data.shape)
    if len(getattr(data, "chunks", None) or ()) == len(shape):
        chunks = data.chunks
    else:
        # In memory a block is a view: its sides only have to go with those of the chunks that are written.
        chunks = tuple(map(min, shape, ((1,) * len(shape) + _NUMPY_BLOCK)[-len(shape) :]))
    # Without a name an array is hashed, which reads all of it.
    return dask.array.from_array(Uncopied(data), chunks=chunks, name=False)  # type: ignore[no-untyped-call]


def stacked(parts: Sequence[Any], axis: int) -> Any:
    """Stack arrays of one shape along a new axis, unread; parts of one array become that array again."""
    import dask.array

    from napari_ome_ngff.storage.pixels.provenance import rejoined

    arrays = [lazy(part) for part in parts]
    if (together := rejoined(arrays, axis)) is not None:
        return together
    # Where it is left open, dask imports distributed to find out: 0.3 s.
    with dask.config.set({"array.rechunk.method": "tasks"}):
        return dask.array.stack(arrays, axis=axis)  # type: ignore[no-untyped-call]


class Uncopied:
    """An array that dask does not recognize as numpy's: those it copies as a whole."""

    def __init__(self, data: Any) -> None:
        self.data = data
        self.shape = tuple(data.shape)
        self.dtype = np.dtype(data.dtype)
        self.ndim = len(self.shape)

    def __getitem__(self, key: Any) -> Any:
        return np.asarray(self.data[key])


def as_numbers(data: Any) -> Any:
    """Return a mask as 0 and 1, unread: label images hold whole numbers."""
    return data.view(np.uint8) if isinstance(data, np.ndarray) else lazy(data).astype(np.uint8)
