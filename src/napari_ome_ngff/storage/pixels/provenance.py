"""Which Zarr arrays some data are read from when they are computed: what a save must not destroy first."""

from __future__ import annotations

import gc
import sys
import types
import uuid
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ome_ngff.storage.pixels.chunk_cache import ChunkCache
from napari_ome_ngff.storage.pixels.dask_array import lazy_array, source_of
from napari_ome_ngff.storage.pixels.indexing import Axis, whole
from napari_ome_ngff.storage.pixels.source import ChunkedSource
from napari_ome_ngff.storage.places.location import location_in, location_of, store_location

if TYPE_CHECKING:
    import dask.array
    import zarr

# Objects that hold no pixels to be read later, or through which one would reach the rest of the process.
_CLOSED = (
    type,
    types.ModuleType,
    types.FrameType,
    types.CodeType,
    types.GeneratorType,
    str,
    bytes,
    bytearray,
    int,
    float,
    complex,
    range,
    slice,
    type(None),
    type(...),
    np.dtype,
    np.generic,
    ChunkCache,
)


def lazy_locations(data: object) -> frozenset[str]:
    """Locations (as of `location_of`) of all Zarr arrays and groups that lazy data are read from.

    Data are numpy, dask, xarray or Zarr arrays, sources, napari's ``MultiScaleData``, or lists, tuples and
    dicts of such. A source has its own `locations`; what a dask graph or a lazily indexed xarray array holds
    is searched, closures and partial functions included.
    """
    zarr = sys.modules.get("zarr")
    if zarr is None:  # nobody can have made a Zarr array
        return frozenset()
    from zarr.abc.store import Store
    from zarr.core.array import AsyncArray
    from zarr.core.group import AsyncGroup

    locations: set[str] = set()
    seen: set[int] = set()
    pending: list[Any] = [data]
    while pending:
        thing = pending.pop()
        if isinstance(thing, _CLOSED) or id(thing) in seen:
            continue
        seen.add(id(thing))
        if (named := _named(thing)) is not None:
            locations |= named
        elif isinstance(thing, zarr.Array | zarr.Group):
            locations.add(location_of(thing))
        elif isinstance(thing, AsyncArray | AsyncGroup):
            locations.add(location_in(thing.store_path.store, thing.store_path.path))
        elif isinstance(thing, Store):
            locations.add(store_location(thing))
        else:
            pending.extend(_held(thing))
    return frozenset(locations)


def _named(thing: Any) -> frozenset[str] | None:
    """The `locations` of a source of ours, which may not have opened its arrays yet; None for all else."""
    if not isinstance(getattr(type(thing), "locations", None), property):
        return None
    locations = thing.locations
    return locations if isinstance(locations, frozenset) else None


def _held(thing: Any) -> Iterable[Any]:
    """The objects through which something may read its values."""
    if isinstance(thing, np.ndarray):
        return thing.ravel().tolist() if thing.dtype.hasobject else ()
    if isinstance(thing, types.FunctionType):
        # Not its globals: they reach every module.
        cells = []
        for cell in thing.__closure__ or ():
            try:
                cells.append(cell.cell_contents)
            except ValueError:  # a variable that was not given a value yet
                continue
        return [*cells, *(thing.__defaults__ or ()), *(thing.__kwdefaults__ or {}).values()]
    if isinstance(thing, types.MethodType):
        return (thing.__self__, thing.__func__)
    return gc.get_referents(thing)


_PASS_CACHE = 16 * 2**20  # indices of shards, and small chunks at the borders of what is read at once


def stored_array(data: object) -> zarr.Array[Any] | None:
    """The Zarr array that lazy data are: all of it, axes in its order, nothing computed.

    None for a part, a transpose, a cast, a result, for data that were assigned to, and for everything that
    was not made by one of this package's wrappers. `data` is what an xarray ``Variable`` holds.
    """
    import zarr

    source = _lazily_indexed(data)
    if source is None:
        source = source_of(data)
    if type(source) is ChunkedSource:
        shape = source.array.shape
        all_of_it = (whole(shape), tuple(range(len(shape))))
        source = source.array if source.part == all_of_it else None
    return source if type(source) is zarr.Array else None


def _lazily_indexed(data: object) -> object:
    """The array or source under what xarray indexes lazily, if all of it is taken."""
    from xarray.core import indexing

    from napari_ome_ngff.storage.pixels.xarray_backend import LazyArray

    # What xarray puts around the arrays of an engine: nothing was assigned to it, nor loaded.
    while type(data) is indexing.MemoryCachedArray or (
        type(data) is indexing.CopyOnWriteArray and not data._copied
    ):
        data = data.array
    # Exactly these: others read something else than what they hold.
    if type(data) is not indexing.LazilyIndexedArray or type(data.array) is not LazyArray:
        return None
    inner = data.array
    taken = data.key.tuple
    complete = len(taken) == len(inner.shape) and all(
        isinstance(part, slice) and range(n)[part] == range(n)
        for part, n in zip(taken, inner.shape, strict=True)
    )
    return inner.array if complete else None


def for_a_pass(data: Any) -> Any:
    """Lazy data to be read once, from one end to the other, such as the source of a save.

    Decoded chunks are not kept for viewers, whose cache they would fill, and a chunk that cannot be read is
    an error: shown as empty it may be, saved as empty it would be lost. Other data are returned as they are.
    """
    from napari_ome_ngff.storage.pixels.xarray_backend import keeping_nothing

    source = source_of(data)
    if not isinstance(source, ChunkedSource):
        return keeping_nothing(data)
    cache = ChunkCache(max_bytes=_PASS_CACHE)
    once = type(source)(source.array, cache=cache).taking(*source.part)
    name = f"ome-ngff-{uuid.uuid4().hex}"
    return lazy_array(once, name=name, blocks=data.chunks, inline_array=True, meta=None)


def rejoined(parts: Sequence[Any], axis: int) -> dask.array.Array | None:
    """Put parts that were taken out of one array together again, such as the channels of an image.

    Parts are dask arrays, each at one position of an axis of the same array, one after the other. What
    ``dask.array.stack(parts, axis)`` would be, read from the array itself; None if they are no such parts.
    """
    sources = [source for part in parts if type(source := source_of(part)) is ChunkedSource]
    if not sources or len(sources) != len(parts):
        return None
    (axes, order), first = sources[0].part, sources[0]
    if any(source.array is not first.array or source.part[1] != order for source in sources):
        return None
    joined = _joined_axes([source.part[0] for source in sources])
    if joined is None:
        return None
    axes, at = joined
    together = first.taking(axes, (*order[:axis], at, *order[axis:]))
    name = f"ome-ngff-{uuid.uuid4().hex}"
    return lazy_array(together, name=name, blocks=None, inline_array=True, meta=None)


def _joined_axes(views: Sequence[tuple[Axis, ...]]) -> tuple[tuple[Axis, ...], int] | None:
    """What several views take together, and the axis along which they are one position each."""
    first = views[0]
    for at, start in enumerate(first):
        if isinstance(start, int) and all(
            view == (*first[:at], start + i, *first[at + 1 :]) for i, view in enumerate(views)
        ):
            return (*first[:at], range(start, start + len(views)), *first[at + 1 :]), at
    return None
