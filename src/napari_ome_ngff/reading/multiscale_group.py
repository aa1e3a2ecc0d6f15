"""One multiscale of a group: from its documents, fetched together, to lazy levels with coordinates."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

import zarr
from xarray import DataArray, Variable
from xarray.core.indexing import LazilyIndexedArray

from napari_ome_ngff.arguments import shown
from napari_ome_ngff.coordinates import check_lengths, to_coordinates
from napari_ome_ngff.errors import (
    MetadataError,
    OmeNgffError,
    OptionError,
    StorageError,
    UnsupportedError,
    give_warning,
)
from napari_ome_ngff.long_axes import longest_ordinary
from napari_ome_ngff.metadata.group_kind import CARRIED, carried_text
from napari_ome_ngff.metadata.image.array_axes import dimension_names
from napari_ome_ngff.metadata.image.datasets import listed_paths, placed_by_shapes
from napari_ome_ngff.metadata.json_checks import describe
from napari_ome_ngff.metadata.nouns import Multiscale
from napari_ome_ngff.metadata.systems.view import parameter_paths
from napari_ome_ngff.metadata.versions import decode
from napari_ome_ngff.reading.float_labels import as_labels
from napari_ome_ngff.reading.label_columns import with_tables
from napari_ome_ngff.reading.opened import MultiscaleGroup
from napari_ome_ngff.storage.pixels.array_wrap import BaseArrayWrapper, DaskArrayWrapper
from napari_ome_ngff.storage.pixels.dask_array import SourceArray
from napari_ome_ngff.storage.pixels.source import ChunkedSource
from napari_ome_ngff.storage.pixels.xarray_backend import lazily_indexed
from napari_ome_ngff.stored_attrs import attrs_of

if TYPE_CHECKING:
    from napari_ome_ngff.storage.documents.hierarchy import Hierarchy
    from napari_ome_ngff.storage.pixels.indexing import Source
    from napari_ome_ngff.storage.pixels.source import Missing

MAX_PARAMETERS = 10_000
"""Numbers that a transform may keep in an array; a matrix has dozens."""

_MAX_NAMED = 8
"""Levels or images that a message names; nobody reads a list of hundreds."""


def open_multiscale_group(
    hierarchy: Hierarchy, *, multiscale: int | str = 0, only: str | None = None, ahead: Iterable[str] = ()
) -> tuple[MultiscaleGroup, dict[str, Any]]:
    """Return an entry of ``multiscales``, and the numbers that transforms of the group keep in arrays.

    `only` is the path of the one level to open. `ahead` are further paths to fetch in the same round trip.
    """
    images, parameters = decode_images(hierarchy, ahead=ahead)
    return find_levels(hierarchy, select_image(images, multiscale, hierarchy.location), only), parameters


def decode_images(
    hierarchy: Hierarchy, *, ahead: Iterable[str] = ()
) -> tuple[tuple[Multiscale, ...], dict[str, Any]]:
    """Return all entries of ``multiscales``, and the numbers that transforms of the group keep in arrays.

    `ahead` are further paths to fetch in the same round trip.
    """
    where, attributes = hierarchy.location, hierarchy.attributes() or {}
    numbers = parameter_paths(attributes)
    hierarchy.fetch([*listed_paths(attributes), *numbers, *ahead])
    parameters = read_parameters(hierarchy, numbers)
    images = decode(attributes, where=where, parameters=parameters)
    return tuple(with_tables(image, hierarchy) for image in images), parameters


def read_levels(group: MultiscaleGroup, wrapper: BaseArrayWrapper) -> dict[str, DataArray]:
    """Return each level by its path, finest first, with the positions of voxel centres as coordinates."""
    multiscale = group.multiscale
    wrapped = {path: _wrapped(source, wrapper) for path, source in group.sources.items()}
    lazy_above = longest_ordinary(data.shape for data in wrapped.values())
    text = carried_text(group.attributes)
    levels = {}
    for index, level in enumerate(multiscale.levels):
        if level.path in wrapped:
            data = wrapped[level.path]
            coordinates = to_coordinates(
                multiscale, index, data.shape, lazy_above=lazy_above, stored=group.attributes
            )
            # Else xarray asks whether it is an array of dask, and imports dask.array for that: 0.5 s.
            is_known = isinstance(data, SourceArray | LazilyIndexedArray)
            variable = Variable(multiscale.dims, data, _attrs(group, level.path), fastpath=is_known)
            levels[level.path] = DataArray(variable, coords=coordinates, name=multiscale.name)
            if text:
                levels[level.path].attrs[CARRIED] = text
    return levels


def _attrs(group: MultiscaleGroup, path: str) -> dict[str, Any]:
    source = group.sources[path]
    array = source.metadata.attributes if isinstance(source, zarr.Array) else {}
    return attrs_of(group.attributes, array)


def _wrapped(source: zarr.Array[Any] | Callable[[Missing], Source], wrapper: BaseArrayWrapper) -> Any:
    if isinstance(source, zarr.Array):
        data = wrapper.wrap(source)
        return lazily_indexed(data) if isinstance(data, zarr.Array) else data
    # Only a DaskArrayWrapper can wrap what is no Zarr array.
    if isinstance(wrapper, DaskArrayWrapper):
        return wrapper.wrap_source(source(wrapper.missing))
    return lazily_indexed(source("raise"))


def _is_large(array: zarr.Array[Any]) -> bool:
    return max(array.size, math.prod(array.shards or array.chunks), array.nchunks**2) > MAX_PARAMETERS


def read_parameters(hierarchy: Hierarchy, paths: Iterable[str]) -> dict[str, Any]:
    """Read the arrays in which transforms keep their numbers, as nested lists.

    Missing ones are left out, and with a warning those that cannot be read: pixels are shown without them.
    """
    parameters: dict[str, Any] = {}
    for path in paths:
        try:
            array = hierarchy.array(path)
            if array is not None and _is_large(array):
                problem = f"its array is too large, shape {array.shape}, {array.nchunks} chunks"
            elif array is not None:
                parameters[path] = ChunkedSource(array)[...].tolist()
                continue
            else:
                continue
        except Exception as error:  # noqa: BLE001 (codecs and stores raise whatever they like)
            problem = str(error).partition("\n")[0] or type(error).__name__
        message = f"The numbers of a transform cannot be read: {problem} ({hierarchy.location}/{path})"
        give_warning(message, stacklevel=4)
    return parameters


def select_image(multiscales: tuple[Multiscale, ...], which: int | str, where: str) -> Multiscale:
    """Return the image of an index or name; OptionError if there is none."""
    names = [multiscale.name for multiscale in multiscales]
    if isinstance(which, str) and which in names:
        return multiscales[names.index(which)]
    if (
        isinstance(which, int)
        and not isinstance(which, bool)
        and -len(multiscales) <= which < len(multiscales)
    ):
        return multiscales[which]
    raise OptionError(
        f"There is no multiscale {shown(which)}.",
        where=where,
        found=", ".join(f"{i}: {describe(name)}" for i, name in enumerate(names[:_MAX_NAMED])),
        hint="Choose one by its index or its name.",
    )


def find_levels(hierarchy: Hierarchy, multiscale: Multiscale, only: str | None) -> MultiscaleGroup:
    """Return the multiscale with the levels that exist; one that does not is left out with a warning."""
    where = hierarchy.location
    problems: dict[str, str] = {}
    arrays: dict[str, zarr.Array[Any]] = {}
    errors: list[OmeNgffError] = []
    for level in multiscale.levels:
        try:
            array = hierarchy.array(level.path)
        except OmeNgffError as error:
            problems[level.path] = f"cannot be read: {error.summary}"
            errors.append(error)
            continue
        if array is None:
            problems[level.path] = "is listed but not there"
        else:
            arrays[level.path] = array
    shapes = {path: array.shape for path, array in arrays.items()}
    completed = placed_by_shapes(
        multiscale, shapes, {path: dimension_names(array) for path, array in arrays.items()}
    )
    if completed.axes != multiscale.axes and not multiscale.assumed:
        message = f"The arrays have {len(completed.axes)} dimensions, but the axes are "
        message += f"{', '.join(multiscale.dims)}; shown with {', '.join(completed.dims)}. ({where})"
        give_warning(message, stacklevel=3)
    sources: dict[str, zarr.Array[Any]] = {}
    for level in completed.levels:
        array = arrays[level.path]
        if array.ndim != len(completed.axes):
            problems[level.path] = (
                f"has {array.ndim} dimensions, but the axes are {', '.join(completed.dims)}"
            )
        elif only is None or level.path.strip("/") == only:
            check_lengths(level.path, array.shape)
            sources[level.path] = array
    if only is None:
        _warn_of(problems, multiscale, where)
    if not sources:
        if errors and all(isinstance(error, StorageError | UnsupportedError) for error in errors):
            raise errors[0]
        raise MetadataError(
            "The image has no level that can be read.",
            where=where,
            found="; ".join(f"{describe(path)} {problem}" for path, problem in list(problems.items())[:3]),
            expected=f"an array with axes {', '.join(multiscale.dims)} at "
            + " or ".join(describe(level.path) for level in multiscale.levels[:5]),
            hint="The file is incomplete: copy it again, or create it again.",
        ) from (errors[0] if errors else None)
    attributes = hierarchy.attributes() or {}
    group = MultiscaleGroup(multiscale=completed, sources=sources, attributes=attributes)
    return group if completed.label_image is None else as_labels(group)


def _warn_of(problems: Mapping[str, str], multiscale: Multiscale, where: str) -> None:
    """Warn of levels that are left out, of a few by name."""
    paths = [level.path for level in multiscale.levels]
    for path, problem in islice(problems.items(), _MAX_NAMED):
        at = f"{where}, datasets[{paths.index(path)}]"
        message = f"Level {describe(path)} {problem}; it is left out. ({at})"
        give_warning(message, stacklevel=4)
    if len(problems) > _MAX_NAMED:
        message = f"{len(problems) - _MAX_NAMED} more levels are left out. ({where})"
        give_warning(message, stacklevel=4)
