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
from napari_ome_ngff.storage.pixels.dask_array import lazy_array, source_of, turned_from
from napari_ome_ngff.storage.pixels.indexing import Axis, whole
from napari_ome_ngff.storage.pixels.source import ChunkedSource
from napari_ome_ngff.storage.places.location import location_of, store_location

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
    """Return the locations of all Zarr arrays and groups that lazy data are read from.

    Parameters
    ----------
    data
        numpy, dask, xarray or Zarr arrays, sources of this package, napari's ``MultiScaleData``, or lists,
        tuples and dicts of such. A source says its `locations` itself; what a dask graph or a lazily indexed
        xarray array holds is searched, closures and partial functions included.

    Returns
    -------
    frozenset of str
        Paths or URLs as `location_of` says them; empty for data in memory.

    Examples
    --------
    >>> import zarr
    >>> array = zarr.create_array({}, shape=(2,), dtype="uint8")
    >>> lazy_locations([np.zeros(2), array]) == {location_of(array)}
    True
    >>> lazy_locations(array[:])
    frozenset()
    """
    zarr = sys.modules.get("zarr")
    if zarr is None:  # nobody can have made a Zarr array
        return frozenset()
    from zarr.abc.store import Store
    from zarr.core.array import AsyncArray
    from zarr.core.group import AsyncGroup

    found: set[str] = set()
    seen: set[int] = set()
    pending: list[Any] = [data]
    while pending:
        thing = pending.pop()
        if isinstance(thing, _CLOSED) or id(thing) in seen:
            continue
        seen.add(id(thing))
        if (named := _named(thing)) is not None:
            found |= named
        elif isinstance(thing, zarr.Array | zarr.Group):
            found.add(location_of(thing))
        elif isinstance(thing, AsyncArray | AsyncGroup):
            root, path = store_location(thing.store_path.store), thing.store_path.path
            found.add(f"{root.rstrip('/')}/{path}" if path else root)
        elif isinstance(thing, Store):
            found.add(store_location(thing))
        else:
            pending.extend(_held(thing))
    return frozenset(found)


def _named(thing: Any) -> frozenset[str] | None:
    """Return the locations that a source of ours says itself: it may not have opened its arrays yet."""
    if not isinstance(getattr(type(thing), "locations", None), property):
        return None
    locations = thing.locations
    return locations if isinstance(locations, frozenset) else None


def _held(thing: Any) -> Iterable[Any]:
    """Return the objects through which something may read its values."""
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
    """Return the Zarr array that lazy data are: all of it, axes in its order, nothing computed.

    Parameters
    ----------
    data
        What an xarray ``Variable`` holds.

    Returns
    -------
    zarr.Array or None
        None for a part, a transpose, a cast, a result, for data that were assigned to, and for everything
        that was not made by one of this package's wrappers.

    Examples
    --------
    >>> import zarr
    >>> from napari_ome_ngff.storage.pixels.array_wrap import DaskArrayWrapper
    >>> array = zarr.create_array({}, shape=(4, 4), dtype="uint8")
    >>> lazy = DaskArrayWrapper().wrap(array)
    >>> stored_array(lazy) is array, stored_array(lazy[1:]), stored_array(lazy + 1)
    (True, None, None)
    """
    import zarr

    found = _lazily_indexed(data)
    if found is None:
        found = source_of(data)
    if type(found) is ChunkedSource:
        found = found.array if found.axes == whole(found.array.shape) else None
    return found if type(found) is zarr.Array else None


def _lazily_indexed(data: object) -> object:
    """Return the array or source under what xarray indexes lazily, if all of it is taken."""
    from xarray.core import indexing

    from napari_ome_ngff.storage.pixels.xarray_backend import LazyArray

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
    """Return lazy data as what is read once, from one end to the other, such as the source of a save.

    Decoded chunks are not kept for viewers, whose cache they would fill, and a chunk that cannot be read is
    an error: shown as empty it may be, saved as empty it would be lost.

    Parameters
    ----------
    data
        What an xarray ``Variable`` holds. Whatever was computed from arrays of ours is returned as it is.

    Examples
    --------
    >>> import zarr
    >>> from napari_ome_ngff.storage.pixels.array_wrap import DaskArrayWrapper
    >>> array = zarr.create_array({}, shape=(4, 4), dtype="uint8")
    >>> for_a_pass(DaskArrayWrapper(missing="fill").wrap(array)).sum().compute()
    np.uint64(0)
    """
    if (turned := turned_from(data)) is not None:
        return for_a_pass(turned[0]).transpose(turned[1])
    source = source_of(data)
    if type(source) is not ChunkedSource:
        return data
    cache = ChunkCache(max_bytes=_PASS_CACHE)
    once = ChunkedSource(source.array, view=source.axes, cache=cache)
    name = f"ome-ngff-{uuid.uuid4().hex}"
    return lazy_array(once, name=name, blocks=data.chunks, inline_array=True, meta=None)


def rejoined(parts: Sequence[Any], axis: int) -> dask.array.Array | None:
    """Put parts that were taken out of one array together again, such as the channels of an image.

    Parameters
    ----------
    parts
        Dask arrays, each at one position of an axis of the same array, one after the other.
    axis
        Where the result has that axis.

    Returns
    -------
    dask.array.Array or None
        What ``dask.array.stack(parts, axis)`` would be, read from the array itself; None if they are no such
        parts.

    Examples
    --------
    >>> import zarr
    >>> from napari_ome_ngff.storage.pixels.array_wrap import DaskArrayWrapper
    >>> array = zarr.create_array({}, shape=(2, 4), dtype="uint8")
    >>> lazy = DaskArrayWrapper().wrap(array)
    >>> stored_array(rejoined([lazy[0], lazy[1]], 0)) is array
    True
    >>> rejoined([lazy[1], lazy[0]], 0) is None
    True
    """
    turned = [turned_from(part) for part in parts]
    straight = [part if found is None else found[0] for part, found in zip(parts, turned, strict=True)]
    orders = {None if found is None else found[1] for found in turned}
    sources = [source for part in straight if type(source := source_of(part)) is ChunkedSource]
    if not sources or len(sources) != len(parts) or len(orders) != 1:
        return None
    first = sources[0]
    if any(source.array is not first.array for source in sources):
        return None
    axes = _joined_axes([source.axes for source in sources])
    if axes is None:
        return None
    joined, at = axes
    together = lazy_array(
        first.taking(joined), name=f"ome-ngff-{uuid.uuid4().hex}", blocks=None, inline_array=True, meta=None
    )
    # Where the new axis is among the others, and where these are in each part.
    position = sum(isinstance(taken, range) for taken in joined[:at])
    order = [i + (i >= position) for i in orders.pop() or range(first.ndim)]
    order.insert(axis, position)
    result: dask.array.Array = together.transpose(order)  # type: ignore[no-untyped-call]
    return result


def _joined_axes(views: Sequence[tuple[Axis, ...]]) -> tuple[tuple[Axis, ...], int] | None:
    """Return what several views take together, and the axis along which they are one position each."""
    first = views[0]
    for at, start in enumerate(first):
        if isinstance(start, int) and all(
            view == (*first[:at], start + i, *first[at + 1 :]) for i, view in enumerate(views)
        ):
            return (*first[:at], range(start, start + len(views)), *first[at + 1 :]), at
    return None
