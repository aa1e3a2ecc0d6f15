"""Which Zarr arrays some data are read from when they are computed: what a save must not destroy first."""

from __future__ import annotations

import gc
import sys
import types
from collections.abc import Iterable
from typing import Any

import numpy as np

from napari_ome_ngff.storage.pixels.chunk_cache import ChunkCache
from napari_ome_ngff.storage.places.location import location_of, store_location

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
