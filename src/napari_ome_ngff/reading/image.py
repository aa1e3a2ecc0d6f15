"""One image with its label images, from metadata documents to lazy levels. Nothing but documents is read.

All documents that can be asked for are fetched together: the group, then its levels and label images, then
what is still unknown of those. So the number of round trips does not depend on how many there are.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import zarr
from xarray import DataArray, Variable

from napari_ome_ngff.coordinates import to_coordinates
from napari_ome_ngff.errors import MetadataError, OmeNgffError, OmeNgffWarning, OptionError
from napari_ome_ngff.metadata.group_kind import foreign_attributes, kind_of
from napari_ome_ngff.metadata.image.datasets import groups_above, listed_paths, placed_by_shapes
from napari_ome_ngff.metadata.image.label_images import decode_labels
from napari_ome_ngff.metadata.nouns import Multiscale, View
from napari_ome_ngff.metadata.systems.view import parameter_paths, system_names, view
from napari_ome_ngff.metadata.versions import decode
from napari_ome_ngff.reading.opened import Image
from napari_ome_ngff.storage.pixels.array_wrap import BaseArrayWrapper
from napari_ome_ngff.storage.pixels.xarray_backend import lazily_indexed

if TYPE_CHECKING:
    from napari_ome_ngff.storage.documents.hierarchy import Hierarchy

MAX_PARAMETERS = 10_000
"""Numbers that a transform may keep in an array; a matrix has dozens."""


_NAMED = 5
"""Missing label images that are named; more are counted: nobody reads a notification of a thousand lines."""


def open_image(
    hierarchy: Hierarchy,
    *,
    wrapper: BaseArrayWrapper,
    multiscale: int | str = 0,
    coordinate_system: str | None = None,
    only: str | None = None,
    labels: bool = True,
) -> Image:
    """Open the image that a group describes, with its label images.

    Parameters
    ----------
    hierarchy
        The image's group.
    wrapper
        What each level is wrapped in.
    multiscale
        Which entry of ``multiscales``, by index or by name.
    coordinate_system
        Name of the coordinate system to place it in (0.6); None for the one that the file says, which is
        usually the intrinsic one.
    only
        Path of the one level to open; None for all.
    labels
        Whether to open its label images too.

    Raises
    ------
    NotOmeNgffError, MetadataError, UnsupportedError, OptionError, StorageError
        As for :func:`napari_ome_ngff.open_ome_ngff`.

    Examples
    --------
    >>> import xarray
    >>> from napari_ome_ngff import DaskArrayWrapper, create_multiscale_group
    >>> from napari_ome_ngff.storage.documents.hierarchy import open_hierarchy
    >>> pixels = xarray.DataArray([[1, 2], [3, 4]], dims=("y", "x"))
    >>> group = create_multiscale_group(store=zarr.storage.MemoryStore(), arrays={"s0": pixels})
    >>> open_image(open_hierarchy(group), wrapper=DaskArrayWrapper()).multiscale.dims
    ('y', 'x')
    """
    where, attributes = hierarchy.location, hierarchy.attributes() or {}
    names = _label_names(hierarchy) if labels else ()
    numbers, paths = parameter_paths(attributes), listed_paths(attributes)
    groups = [f"labels/{name}" for name in names]
    # The levels of label images are nearly always called as those of the image: asked for at once, they save
    # a round trip.
    ahead = [f"{group}/{path}" for group in groups for path in paths]
    hierarchy.fetch([*paths, *numbers, *groups, *ahead])
    parameters = read_parameters(hierarchy, numbers)
    chosen = select(decode(attributes, where=where, parameters=parameters), multiscale, where)
    completed, arrays = read_levels(hierarchy, chosen, wrapper, only=only)
    shown = view(completed, coordinate_system, parameters=parameters, where=where)
    for problem in shown.problems if shown else ():
        _warn(problem, where)
    opened = open_labels(hierarchy.below("labels"), names, wrapper) if names else {}
    return Image(
        location=where,
        multiscale=completed,
        arrays=arrays,
        labels={name: _in_view(image, coordinate_system, completed, shown) for name, image in opened.items()},
        attributes=foreign_attributes(attributes),
        groups=_others(hierarchy, groups_above(level.path for level in completed.levels)),
        view=shown,
    )


def _others(hierarchy: Hierarchy, paths: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Attributes of others on groups; one that cannot be read has nothing to do with showing the image."""
    found = {}
    for path in paths:
        try:
            found[path] = foreign_attributes(hierarchy.attributes(path) or {})
        except OmeNgffError as error:
            _warn(f"Attributes cannot be read: {error.summary}", f"{hierarchy.location}/{path}")
    return {path: attributes for path, attributes in found.items() if attributes}


def read_parameters(hierarchy: Hierarchy, paths: Iterable[str]) -> dict[str, Any]:
    """Read the arrays in which transforms keep their numbers, as nested lists; missing ones are left out.

    Parameters
    ----------
    hierarchy
        The group that the paths are relative to.
    paths
        Of the arrays.

    Raises
    ------
    MetadataError
        If an array is too large to be the numbers of a transform.
    """
    found: dict[str, Any] = {}
    for path in paths:
        array = hierarchy.array(path)
        if array is None:
            continue
        if array.size > MAX_PARAMETERS:
            raise MetadataError(
                "An array is too large to hold the numbers of a transform.",
                where=f"{hierarchy.location}/{path}",
                found=f"shape {array.shape}",
            )
        try:
            found[path] = array[...].tolist()  # type: ignore[union-attr]
        except Exception as error:  # codecs and stores raise whatever they like
            raise MetadataError(
                "The numbers of a transform cannot be read.",
                where=f"{hierarchy.location}/{path}",
                found=f"{type(error).__name__}: {error}",
            ) from error
    return found


def select(found: tuple[Multiscale, ...], which: int | str, where: str) -> Multiscale:
    """Return one of the images that a group describes, by index or by name.

    Raises
    ------
    OptionError
        If there is no such image.

    Examples
    --------
    >>> select((Multiscale(version="0.5", axes=(), levels=(), name="cells"),), "cells", "").name
    'cells'
    """
    names = [item.name for item in found]
    if isinstance(which, str) and which in names:
        return found[names.index(which)]
    if isinstance(which, int) and -len(found) <= which < len(found):
        return found[which]
    raise OptionError(
        f"There is no multiscale {which!r}.",
        where=where,
        found=", ".join(f"{i}: {name!r}" for i, name in enumerate(names)),
        hint="Choose one by its index or its name.",
    )


def read_levels(
    hierarchy: Hierarchy, multiscale: Multiscale, wrapper: BaseArrayWrapper, *, only: str | None = None
) -> tuple[Multiscale, dict[str, DataArray]]:
    """Make a DataArray of every level that is there; one that is not is left out with a warning.

    Parameters
    ----------
    hierarchy
        The image's group.
    multiscale
        What its metadata say.
    wrapper
        What each level is wrapped in.
    only
        Path of the one level to make; None for all.

    Returns
    -------
    tuple of Multiscale and dict
        The image with all its levels placed, and each level by its path, finest first.

    Raises
    ------
    MetadataError
        If no level can be read.
    """
    where = hierarchy.location
    problems: dict[str, str] = {}
    found: dict[str, zarr.Array[Any]] = {}
    for level in multiscale.levels:
        try:
            array = hierarchy.array(level.path)
        except MetadataError as error:
            problems[level.path] = f"cannot be read: {error.summary}"
            continue
        if array is None:
            problems[level.path] = "is listed but not there"
        else:
            found[level.path] = array
    completed = placed_by_shapes(multiscale, {path: array.shape for path, array in found.items()})
    arrays: dict[str, DataArray] = {}
    for index, level in enumerate(completed.levels):
        array = found[level.path]
        if array.ndim != len(completed.axes):
            problems[level.path] = (
                f"has {array.ndim} dimensions, but the axes are {', '.join(completed.dims)}"
            )
        elif only is None or level.path.strip("/") == only:
            arrays[level.path] = _level(array, completed, index, wrapper)
    for path, problem in problems.items():
        if only is None:
            index = [level.path for level in multiscale.levels].index(path)
            _warn(f"Level {path!r} {problem}; it is left out.", f"{where}, datasets[{index}]")
    if not arrays:
        raise MetadataError(
            "The image has no level that can be read.",
            where=where,
            found="; ".join(f"{path!r} {problem}" for path, problem in list(problems.items())[:3]),
            expected=f"an array with axes {', '.join(multiscale.dims)} at "
            + " or ".join(repr(level.path) for level in multiscale.levels[:5]),
            hint="The file is incomplete: copy it again, or create it again.",
        )
    return completed, arrays


def _level(
    array: zarr.Array[Any], multiscale: Multiscale, index: int, wrapper: BaseArrayWrapper
) -> DataArray:
    coordinates = to_coordinates(multiscale, index, array.shape)
    data: Any = wrapper.wrap(array)
    if isinstance(data, zarr.Array):
        data = lazily_indexed(data)
    return DataArray(Variable(multiscale.dims, data), coords=coordinates, name=multiscale.name)


def _label_names(hierarchy: Hierarchy) -> tuple[str, ...]:
    """Return the names of an image's label images: those that are listed, and those that are just there."""
    attributes = hierarchy.attributes("labels")
    where = f"{hierarchy.location}/labels"
    listed = decode_labels(attributes, where=where) if attributes else ()
    return tuple(dict.fromkeys([*listed, *(hierarchy.children("labels") or ())]))


def open_labels(hierarchy: Hierarchy, names: Iterable[str], wrapper: BaseArrayWrapper) -> dict[str, Image]:
    """Open label images; one that cannot be read is left out with a warning.

    Parameters
    ----------
    hierarchy
        The ``labels`` group.
    names
        Paths of the label images in it. What is there without being listed may be something else: it is
        passed over in silence if it is no image.
    wrapper
        What each level is wrapped in.

    Returns
    -------
    dict
        Name of each label image to the label image.
    """
    attributes = hierarchy.attributes()
    listed = frozenset(decode_labels(attributes) if attributes else ())
    names = tuple(names)
    missing: list[str] = []
    hierarchy.fetch(names)
    groups: dict[str, Mapping[str, Any]] = {}
    for name in names:
        try:
            own = hierarchy.attributes(name)
        except OmeNgffError as error:
            _warn(f"Label image {name!r} is left out: {error.summary}", f"{hierarchy.location}/{name}")
            continue
        if own is not None and (name in listed or kind_of(own) == "image"):
            groups[name] = own
        elif name in listed:
            missing.append(name)
    for name in missing[:_NAMED]:
        _warn(f"Label image {name!r} is listed but not there.", hierarchy.location)
    if len(missing) > _NAMED:
        _warn(f"{len(missing) - _NAMED} more label images are listed but not there.", hierarchy.location)
    hierarchy.fetch(f"{name}/{path}" for name, own in groups.items() for path in listed_paths(own))
    around = {"..": others} if (others := foreign_attributes(attributes or {})) else {}
    images: dict[str, Image] = {}
    for name in groups:
        try:
            image = open_image(hierarchy.below(name), wrapper=wrapper, labels=False)
            images[name] = replace(image, groups={**image.groups, **around})
        except OmeNgffError as error:
            _warn(f"Label image {name!r} is left out: {error.summary}", f"{hierarchy.location}/{name}")
    return images


def _in_view(image: Image, system: str | None, parent: Multiscale, shown: View | None) -> Image:
    """Place a label image in the coordinate system that its image is shown in."""
    if shown is None or image.multiscale is None:
        return image if system is None else replace(image, view=None)
    if system is None and image.view is not None:
        return image  # it says itself where it is to be shown
    if system in system_names(image.multiscale):
        return replace(image, view=view(image.multiscale, system, parameters={}, where=image.location))
    # 0.6, "image-label": without a transform of its own, a label image lies in its image's system.
    return replace(image, view=shown) if image.multiscale.dims == parent.dims else image


def _warn(message: str, where: str) -> None:
    warnings.warn(f"{message} ({where})", OmeNgffWarning, stacklevel=3)
