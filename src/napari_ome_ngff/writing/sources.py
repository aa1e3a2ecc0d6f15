"""Where voxels come from: numpy, dask, zarr or xarray's lazy arrays, all behind an xarray ``Variable``."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ome_ngff.storage.pixels.dask_array import source_of
from napari_ome_ngff.writing.blocks import Box, cells, relative, shape_of

if TYPE_CHECKING:
    from xarray import DataArray


def is_in_memory(array: DataArray) -> bool:
    """Whether the voxels are a numpy array (a memory map too), so that a part of them costs nothing."""
    # `Variable.data` would read all of a lazy array that is none of dask's, only to tell its type.
    return isinstance(array.variable._data, np.ndarray)


def source_chunks(array: DataArray) -> tuple[int, ...] | None:
    """What a lazy source decodes at once; one voxel where it cannot tell. None if it is in memory."""
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


def load(data: Any, region: Box, dtype: np.dtype[Any]) -> NDArray[Any]:
    """The voxels of a region of a source, in memory; dask computes as `_store` says.

    Raises ValueError where the source delivers something else than it declares: a block of another shape
    would be repeated or shift its neighbours, and nobody could read the image.
    """
    if getattr(data, "chunks", None) is None:
        return as_declared(data if isinstance(data, np.ndarray) else np.asarray(data.values), region, dtype)
    blocks = _Blocks(np.empty(shape_of(region), dtype), region)
    if data.data.npartitions == 1 and _chosen_scheduler(data.data) is None:
        from dask.local import get_sync

        return as_declared(np.asarray(data.data.compute(scheduler=get_sync)), region, dtype)
    _store(data.data, blocks, (slice(0, None),) * data.ndim)
    check_complete(blocks.sizes, blocks.values.shape)
    return blocks.values


def as_declared(values: NDArray[Any], region: Box, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return voxels that have the shape of their region and the type that was declared; ValueError if not."""
    native = values.dtype.newbyteorder("=")
    if values.shape == shape_of(region) and native == dtype.newbyteorder("="):
        return values
    place = ", ".join(f"{part.start}:{part.stop}" for part in region)
    raise ValueError(
        f"the block at {place} has shape {values.shape} and type {native}, "
        f"where {shape_of(region)} and {dtype} are declared"
    )


def check_complete(sizes: Iterable[int], shape: Sequence[int]) -> None:
    """ValueError unless that many voxels were delivered: dask passes over blocks that are empty."""
    delivered, declared = sum(sizes), math.prod(shape)
    if delivered != declared:
        raise ValueError(f"{delivered} voxels were delivered, where {declared} are declared")


class _Blocks:
    """What dask stores the blocks of a region into, each compared with what was declared of it."""

    def __init__(self, values: NDArray[Any], region: Box) -> None:
        self.values = values
        self.sizes: list[int] = []
        self._corner = tuple(part.start for part in region)

    def __setitem__(self, key: Box, values: NDArray[Any]) -> None:
        self.sizes.append(values.size)
        self.values[key] = as_declared(values, _moved(key, self._corner), self.values.dtype)


def _moved(key: Box, corner: Iterable[int]) -> Box:
    return tuple(
        slice(part.start + start, part.stop + start) for part, start in zip(key, corner, strict=True)
    )


class Tiles:
    """Blocks of a box, of a grid of `steps`, each contiguous in `memory`, to be filled from any direction."""

    # A source decodes planes, say, and the engine encodes blocks: what is read is put where it will be
    # encoded from, so that it is copied only once.

    def __init__(
        self,
        memory: NDArray[np.uint8],
        dtype: np.dtype[Any],
        box: Box,
        blocks: Iterable[Box],
        steps: tuple[int, ...],
    ) -> None:
        self.blocks: list[tuple[Box, NDArray[Any]]] = []
        self.sizes: list[int] = []  # of what was put into them
        self._steps, self._dtype = steps, dtype
        self._corner = tuple(part.start for part in box)
        voxels, start = memory.view(dtype), 0
        for block in blocks:
            shape = shape_of(block)
            stop = start + math.prod(shape)
            self.blocks.append((block, voxels[start:stop].reshape(shape)))
            start = stop
        self._by_index = {next(cells(block, steps))[0]: (block, values) for block, values in self.blocks}

    def __dask_tokenize__(self) -> object:
        """Spare dask to name the tiles by every voxel that is in them."""
        return type(self).__name__, id(self)

    def __setitem__(self, key: Box, values: NDArray[Any]) -> None:
        """Put voxels into the blocks that they belong to; `key` is a region of the box."""
        region = _moved(key, self._corner)
        self.sizes.append(as_declared(values, region, self._dtype).size)
        for index, common in cells(region, self._steps):
            block, target = self._by_index[index]
            target[relative(common, block)] = values[relative(common, region)]


def load_into(tiles: Tiles, region: Box, data: Any) -> None:
    """Load a region of a box into its blocks; of dask each of its own blocks as it comes."""
    if getattr(data, "chunks", None) is None:
        tiles[region] = data if isinstance(data, np.ndarray) else np.asarray(data.values)
        return
    _store(data.data, tiles, region)


def _store(data: Any, target: Any, region: Box) -> None:
    """Compute a dask array and put its blocks into a region of a target.

    That is done in this thread, beside the other tasks, unless the user has chosen another scheduler.
    """
    import dask

    if (scheduler := _chosen_scheduler(data)) is None:
        from dask import array
        from dask.local import get_sync

        # By its name, dask would look for it in dask.distributed too, whose import stops a window for 0.2 s.
        array.store(data, target, regions=region, lock=False, scheduler=get_sync)
        return
    from dask.array.core import slices_from_chunks

    places: list[Box] = slices_from_chunks(data.chunks)  # type: ignore[no-untyped-call]
    blocks = [data.blocks[index] for index in np.ndindex(data.numblocks)]
    # In other processes, the target would be another one.
    computed: Any = dask.compute(*blocks, scheduler=scheduler)  # type: ignore[attr-defined, no-untyped-call]
    for place, values in zip(places, computed, strict=True):
        target[_moved(place, (part.start for part in region))] = np.asarray(values)


def _chosen_scheduler(data: Any) -> Any:
    """The scheduler that dask is configured to use, or that of a client; None where reading is all there is.

    A task on a cluster computes alone.
    """
    if source_of(data) is not None:
        return None
    from dask import base, config

    if "distributed" in sys.modules:
        import distributed

        try:
            distributed.get_worker()
        except ValueError:
            pass
        else:
            return None
    elif config.get("scheduler", None) is None:
        return None
    return base.get_scheduler()  # type: ignore[no-untyped-call]


def _is_persisted(data: Any) -> bool:
    """Whether a dask array refers to results that a cluster keeps (`persist`)."""
    if "distributed" not in sys.modules:
        return False
    import distributed
    from dask.highlevelgraph import MaterializedLayer

    layers = getattr(data.dask, "layers", {"": data.dask}).values()
    # Each layer holds nodes of one kind, and to look into others would make them.
    first = (next(iter(each.values()), None) for each in layers if isinstance(each, MaterializedLayer | dict))
    return any(isinstance(getattr(node, "value", node), distributed.Future) for node in first)


def part_of(source: Any, box: Box, *, remote: bool) -> Any:
    """A part of a source, an xarray ``Variable``, for a task.

    If it is sent to another process (`remote`), of a dask graph only what this part needs is kept.
    """
    part = source[box]
    if isinstance(part._data, np.ndarray):
        return part._data
    if remote and part.chunks is not None:
        if _is_persisted(part.data):  # a task on a cluster cannot ask for it
            return load(part, tuple(slice(0, n) for n in part.shape), part.dtype)
        from dask import base

        optimize: Any = base.optimize
        part = part.copy(data=optimize(part.data)[0])
    return part


_SMALL_SOURCE = 2**16  # bytes of a source as it is sent; a mosaic may be of thousands of arrays


def opened_again(source: Any) -> Any:
    """A lazy source as another process opens it, by its place; None where it cannot: parts of it are sent."""
    import pickle

    from xarray import Variable

    from napari_ome_ngff.storage.pixels.xarray_backend import is_lazily_indexed, lazily_indexed

    data = source._data
    if (ours := source_of(data)) is not None:
        data = lazily_indexed(ours)
    if not is_lazily_indexed(data):
        return None
    try:
        small = len(pickle.dumps(data)) <= _SMALL_SOURCE
    except (pickle.PicklingError, TypeError, AttributeError):  # only the executor knows how, if anybody
        return None
    return Variable(source.dims, data) if small else None
