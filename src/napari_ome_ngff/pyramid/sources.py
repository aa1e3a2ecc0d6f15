"""Where voxels come from: numpy, dask, zarr or xarray's lazy arrays, all behind an xarray ``Variable``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ome_ngff.pyramid.blocks import Box, count_boxes, depth_first, shape_of

if TYPE_CHECKING:
    from xarray import DataArray


def is_in_memory(array: DataArray) -> bool:
    """Whether the voxels are a numpy array (a memory map too), so that a part of them costs nothing.

    Examples
    --------
    >>> import xarray
    >>> is_in_memory(xarray.DataArray(np.zeros(3)))
    True
    """
    # `Variable.data` would read all of a lazy array that is none of dask's, only to tell its type.
    return isinstance(array.variable._data, np.ndarray)


def source_chunks(array: DataArray) -> tuple[int, ...] | None:
    """What a lazy source decodes at once; one voxel where it cannot tell. None if it is in memory.

    Examples
    --------
    >>> import dask.array, xarray
    >>> source_chunks(xarray.DataArray(dask.array.zeros((10, 10), chunks=(5, 10))))
    (5, 10)
    """
    if is_in_memory(array):
        return None
    if array.chunks is not None:
        return tuple(max(sizes) for sizes in array.chunks)
    preferred = array.encoding.get("preferred_chunks")
    if isinstance(preferred, Mapping) and all(isinstance(preferred.get(dim), int) for dim in array.dims):
        return tuple(preferred[dim] for dim in array.dims)
    inner: Any = array.variable._data
    while inner is not None:
        chunks = getattr(inner, "chunks", None)
        if (
            isinstance(chunks, tuple)
            and len(chunks) == array.ndim
            and all(isinstance(n, int) for n in chunks)
        ):
            return chunks
        inner = getattr(inner, "array", None)
    return (1,) * array.ndim


def load(data: Any) -> NDArray[Any]:
    """The voxels of a part of a source, in memory.

    Dask is computed in the calling thread alone: the engine's own tasks run at the same time.

    Examples
    --------
    >>> import xarray
    >>> load(xarray.Variable("x", [1, 2])).tolist()
    [1, 2]
    """
    if isinstance(data, np.ndarray):
        return data
    if getattr(data, "chunks", None) is not None:
        return np.asarray(data.data.compute(scheduler="synchronous"))
    return np.asarray(data.values)


def load_into(target: NDArray[Any], data: Any) -> None:
    """Load a part of a source into its place."""
    target[...] = load(data)


def part_of(source: Any, box: Box, *, remote: bool) -> Any:
    """A part of a source, for a task.

    Parameters
    ----------
    source
        An xarray ``Variable``.
    box
        Which part.
    remote
        Whether it is sent to another process: then of a dask graph only what this part needs is kept.
    """
    part = source[box]
    if isinstance(part._data, np.ndarray):
        return part._data
    if remote and part.chunks is not None:
        from dask import base

        optimize: Any = base.optimize
        part = part.copy(data=optimize(part.data)[0])
    return part


def split_for_loading(box: Box, chunks: Sequence[int], parts: int) -> Iterator[Box]:
    """Cut a box along the source's chunks into about as many parts, to be read at the same time.

    Examples
    --------
    >>> box = (slice(0, 16), slice(0, 100))
    >>> [(z.start, z.stop) for z, y in split_for_loading(box, (1, 100), 4)]
    [(0, 4), (4, 8), (8, 12), (12, 16)]
    """
    step = list(shape_of(box))
    for axis, (size, chunk) in enumerate(zip(shape_of(box), chunks, strict=True)):
        missing = -(-parts // count_boxes(shape_of(box), step))
        if missing == 1:
            break
        step[axis] = max(1, size // chunk // missing) * chunk
    # Boxes start at whole chunks wherever memory allows; where not, cutting here does no further harm.
    return depth_first(box, [step])
