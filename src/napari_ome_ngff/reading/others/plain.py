"""Zarr arrays that no OME-Zarr describes, as images: pixels, names of dimensions, attributes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ome_ngff.errors import NotOmeNgffError, OmeNgffError
from napari_ome_ngff.metadata.group_kind import CONTAINER
from napari_ome_ngff.metadata.image.array_axes import dimension_names
from napari_ome_ngff.metadata.nouns import Axis, Level, Multiscale, ScaleTranslation
from napari_ome_ngff.metadata.units import axis_type, canonical_unit, is_udunits
from napari_ome_ngff.reading.omissions import LeftOut
from napari_ome_ngff.reading.opened import Collection, Image, MultiscaleGroup
from napari_ome_ngff.storage.documents.hierarchy import open_hierarchy
from napari_ome_ngff.storage.documents.parents import array_at
from napari_ome_ngff.storage.pixels.source import ChunkedSource
from napari_ome_ngff.storage.places.location import join, location_of

if TYPE_CHECKING:
    import zarr

    from napari_ome_ngff.arguments import Place
    from napari_ome_ngff.storage.documents.hierarchy import Hierarchy

_OURS = frozenset({CONTAINER, "multiscales", "plate", "well"})


_DEEPEST, _MOST_NODES = 4, 1000
"""How far below a group arrays are looked for."""


_VERSION = "0.5"  # a Multiscale has one


_LONGEST_COORDINATE = 2**16


_SAME_STEP = 1e-3
"""Share of a step by which those of a coordinate may differ: it was computed in single precision."""


_DIMS = "_ARRAY_DIMENSIONS"
"""Attribute in which xarray keeps the names of dimensions in Zarr v2."""


def open_plain(location: Place) -> Image | Collection | None:
    """Open a Zarr array, or those in a group, as images of one level each; None if there are none.

    Their `attributes` are those of the array. Axes are called as the array calls its dimensions, else
    ``dim_0`` and so on; they have the scale, translation and unit of a one-dimensional array of that name
    beside it, as xarray writes coordinates, where its steps are equal. NotOmeNgffError says why none of those
    that are there can be shown.
    """
    if (array := array_at(location)) is not None:
        return None if _reason(array) else _image(array, {})
    hierarchy = open_hierarchy(location)
    if not _OURS.isdisjoint(hierarchy.attributes() or {}):
        return None  # it is meant to be OME-Zarr, and damaged
    arrays = dict(_arrays(hierarchy))
    left = LeftOut(hierarchy.location)
    images = {}
    for path, array in arrays.items():
        folder = path.rpartition("/")[0]
        beside = {dim: arrays[join(folder, dim)] for dim in _dims(array) if join(folder, dim) in arrays}
        if reason := _reason(array):
            if _dims(array) != (path.rpartition("/")[2],):  # it is no coordinate
                left.add(reason, path)
        else:
            images[path] = _image(array, beside)
    if not images and left:
        raise left.error("No array in this Zarr group can be shown.", NotOmeNgffError)
    if not images:
        return None
    left.warn()
    images = dict(sorted(images.items(), key=lambda named: -arrays[named[0]].size))  # the largest is shown
    return Collection(location=hierarchy.location, kind="collection", name=None, images=images)


def _arrays(hierarchy: Hierarchy) -> Iterator[tuple[str, zarr.Array[Any]]]:
    """Yield the arrays below a group with their paths, those that are less deep first."""
    paths = _consolidated(hierarchy)
    if paths:
        hierarchy.fetch(paths)
        yield from _readable(hierarchy, paths)
        return
    level: tuple[str, ...] = ("",)
    for _ in range(_DEEPEST):
        below = (join(path, name) for path in level for name in hierarchy.children(path) or ())
        level = tuple(islice(below, _MOST_NODES))
        hierarchy.fetch(level)
        arrays = dict(_readable(hierarchy, level))
        yield from arrays.items()
        level = tuple(path for path in level if path not in arrays)


def _readable(hierarchy: Hierarchy, paths: tuple[str, ...]) -> Iterator[tuple[str, zarr.Array[Any]]]:
    for path in paths:
        try:
            array = hierarchy.array(path)
        except OmeNgffError:  # others open all the same
            continue
        if array is not None:
            yield path, array


def _consolidated(hierarchy: Hierarchy) -> tuple[str, ...]:
    """Paths of the arrays of a group where nothing can be listed, if its consolidated metadata name them."""
    if hierarchy.children() is not None:
        return ()
    name = "zarr.json" if hierarchy.zarr_format == 3 else ".zmetadata"
    document: Any = hierarchy.document(name) or {}
    document = document.get("consolidated_metadata") if hierarchy.zarr_format == 3 else document
    members = document.get("metadata") if isinstance(document, dict) else None
    keys = list(islice(members, _MOST_NODES)) if isinstance(members, dict) else []
    if hierarchy.zarr_format == 3:
        return tuple(keys)
    return tuple(key.removesuffix("/.zarray") for key in keys if key.endswith("/.zarray"))


def _reason(array: zarr.Array[Any]) -> str:
    """Why an array cannot be shown; "" if it can."""
    if array.ndim < 2:
        return "arrays have fewer than two dimensions"
    if array.dtype.kind not in "biufc":
        return "arrays hold no numbers"
    return "arrays are empty" if array.size == 0 else ""


def _image(array: zarr.Array[Any], beside: Mapping[str, zarr.Array[Any]]) -> Image:
    where = location_of(array)
    attributes = {name: value for name, value in array.metadata.attributes.items() if name != _DIMS}
    placed = [
        _placed(dim, beside.get(dim), size) for dim, size in zip(_dims(array), array.shape, strict=True)
    ]
    transform = ScaleTranslation(
        scale=tuple(scale for _, scale, _ in placed), translation=tuple(start for *_, start in placed)
    )
    axes = tuple(axis for axis, *_ in placed)
    multiscale = Multiscale(version=_VERSION, axes=axes, levels=(Level(path="", transform=transform),))
    group = MultiscaleGroup(multiscale=multiscale, sources={"": array})
    return Image(location=where, multiscale=multiscale, attributes=attributes, group=group)


def _dims(array: zarr.Array[Any]) -> tuple[str, ...]:
    """Names of the dimensions, each once; ``dim_0`` and so on where they have none."""
    names = dimension_names(array)
    given = names if isinstance(names, list | tuple) and len(names) == array.ndim else [None] * array.ndim
    dims = tuple(name if isinstance(name, str) and name else f"dim_{i}" for i, name in enumerate(given))
    return dims if len(set(dims)) == len(dims) else tuple(f"dim_{i}" for i in range(array.ndim))


def _placed(dim: str, coordinate: zarr.Array[Any] | None, size: int) -> tuple[Axis, float, float]:
    """Axis, step and start of a dimension; 1 and 0 without a coordinate of equal steps."""
    unit, values = None, np.empty(0)
    if coordinate is not None and coordinate.shape == (size,):
        given = canonical_unit(str(coordinate.metadata.attributes.get("units", "")))
        unit = given if given is not None and is_udunits(given, "") else None
        if 1 < size <= _LONGEST_COORDINATE and coordinate.dtype.kind in "iuf":
            with suppress(OmeNgffError):
                values = np.asarray(ChunkedSource(coordinate)[...], dtype=float)
    axis, steps = Axis(name=dim, type=axis_type(dim, unit), unit=unit), np.diff(values)
    if steps.size == 0 or not (steps[0] > 0 and np.allclose(steps, steps[0], rtol=_SAME_STEP, atol=0)):
        return axis, 1.0, 0.0
    return axis, float(values[-1] - values[0]) / (size - 1), float(values[0])
