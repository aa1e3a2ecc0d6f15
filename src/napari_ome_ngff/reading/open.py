"""Open OME-Zarr groups as xarray DataArrays: lazily, placed by their transforms. Pixels stay unread."""

from __future__ import annotations

import logging
import os
from functools import partial
from os import PathLike
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any

import zarr
from xarray import DataArray

from napari_ome_ngff.arguments import check_type, place_of
from napari_ome_ngff.errors import NotOmeNgffError, OmeNgffError
from napari_ome_ngff.metadata.group_kind import (
    SPATIALDATA,
    container_of,
    foreign_attributes,
    image_count,
    kind_of,
)
from napari_ome_ngff.metadata.image.label_images import decode_labels
from napari_ome_ngff.metadata.versions import decode
from napari_ome_ngff.reading.image import open_image, open_labels
from napari_ome_ngff.reading.multiscale_group import open_multiscale_group, read_levels
from napari_ome_ngff.reading.opened import Collection, Image, MultiscaleGroup, with_levels
from napari_ome_ngff.storage.documents.hierarchy import Hierarchy, open_hierarchy
from napari_ome_ngff.storage.documents.parents import array_at, parents
from napari_ome_ngff.storage.documents.watch import read_settled
from napari_ome_ngff.storage.edits.edit_journal import finish_interrupted
from napari_ome_ngff.storage.pixels.array_wrap import (
    ArrayWrapperSpec,
    BaseArrayWrapper,
    ZarrArrayWrapper,
    resolve_wrapper,
)
from napari_ome_ngff.storage.places.location import is_url, local_path, location_of
from napari_ome_ngff.storage.places.save_note import unfinished
from napari_ome_ngff.storage.places.store_kind import store_kind
from napari_ome_ngff.storage.places.stores import stores_of

if TYPE_CHECKING:
    from napari_ome_ngff.arguments import Place

_AHEAD = ("labels", "OME")
"""What most groups have, asked for along with the group itself."""


_OPENS_PATHS = "open_ome_ngff opens paths, addresses and stores."

_log = logging.getLogger(__name__)


def read_multiscale_group(
    group: zarr.Group | MultiscaleGroup,
    *,
    array_wrapper: BaseArrayWrapper | ArrayWrapperSpec = ZarrArrayWrapper(),  # noqa: B008 (frozen)
    multiscale: int | str = 0,
) -> dict[str, DataArray]:
    """Read the levels of a multiscale group as DataArrays with coordinates. Pixels stay unread.

    Parameters
    ----------
    group
        The Zarr group that carries the OME-Zarr metadata; the version is detected. Or the `group` of an
        :class:`Image` that is open already: then nothing is fetched.
    array_wrapper
        What each level's ``zarr.Array`` is wrapped in: ``ZarrArrayWrapper()``, ``DaskArrayWrapper(...)``, or
        the same as a dict such as ``{"name": "dask_array", "config": {"chunks": "auto"}}``.
    multiscale
        Which entry of ``multiscales`` of a Zarr group, by index or by name.

    Returns
    -------
    dict
        Path of each level to its DataArray, finest first. Coordinates are the positions of voxel centres by
        the composed transforms, the level's first and then the multiscale's: ``S * (s * index + t) + T``.
        They carry ``attrs["units"]``, ``attrs["type"]`` (of the axis) and ``attrs["scale"]``; channel names
        are the coordinate ``channel_label`` along the channel dim. True times that were written with the
        image are there as they were. ``attrs`` are those that were written, and those of the Zarr array.

    Raises
    ------
    NotOmeNgffError
        If the group has no OME-Zarr metadata.
    MetadataError
        If the metadata cannot be interpreted.
    UnsupportedError
        If the group is no image (a plate, a collection) or its version or transforms are not supported.
    OptionError
        If there is no such multiscale.

    Examples
    --------
    >>> import numpy, xarray
    >>> from napari_ome_ngff import create_multiscale_group
    >>> image = xarray.DataArray(
    ...     numpy.zeros((4, 6), "uint8"), dims=("y", "x"), coords={"x": numpy.arange(6) * 0.5}
    ... )
    >>> group = create_multiscale_group(store=zarr.storage.MemoryStore(), arrays={"s0": image})
    >>> levels = read_multiscale_group(group)
    >>> levels["s0"].coords["x"].values.tolist()
    [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
    """
    wrapper = resolve_wrapper(array_wrapper)
    check_type(group, (zarr.Group, MultiscaleGroup), "The group", "a zarr.Group", _OPENS_PATHS)
    if isinstance(group, MultiscaleGroup):
        return read_levels(group, wrapper)

    def read() -> MultiscaleGroup:
        return open_multiscale_group(open_hierarchy(group, watched=True), multiscale=multiscale)[0]

    return read_levels(read_settled(group, read), wrapper)


def read_multiscale_array(
    array: zarr.Array[Any],
    *,
    array_wrapper: BaseArrayWrapper | ArrayWrapperSpec = ZarrArrayWrapper(),  # noqa: B008 (frozen)
) -> DataArray:
    """Read one level, placed by the multiscale that describes it. Pixels stay unread.

    The hierarchy is walked upwards, whatever store it is in, until a group's metadata name the array.

    Parameters
    ----------
    array
        A Zarr array that is a level of an OME-Zarr image.
    array_wrapper
        As for :func:`read_multiscale_group`.

    Raises
    ------
    NotOmeNgffError
        If no group above the array describes it.

    Examples
    --------
    >>> import numpy, xarray
    >>> from napari_ome_ngff import create_multiscale_group
    >>> image = xarray.DataArray(
    ...     numpy.zeros((4, 6), "uint8"), dims=("y", "x"), coords={"x": numpy.arange(6) * 0.5}
    ... )
    >>> group = create_multiscale_group(store=zarr.storage.MemoryStore(), arrays={"s0": image})
    >>> read_multiscale_array(group["s0"]).dims
    ('y', 'x')
    """
    wrapper = resolve_wrapper(array_wrapper)
    check_type(array, zarr.Array, "The array", "a zarr.Array", _OPENS_PATHS)
    hierarchy, index, path = _image_above(array)
    group, _ = open_multiscale_group(hierarchy, multiscale=index, only=path)
    (level,) = read_levels(group, wrapper).values()
    return level


def _image_above(array: zarr.Array[Any]) -> tuple[Hierarchy, int, str]:
    """Return the group that describes an array as a level, in which of its images, and under which path."""
    where = location_of(array)
    for group in parents(array):
        hierarchy = open_hierarchy(group)
        path = where.removeprefix(hierarchy.location).strip("/")
        try:
            multiscales = decode(hierarchy.attributes() or {}, where=hierarchy.location)
        except OmeNgffError as error:
            # A plate or a broken group on the way up does not describe this array; its own image may.
            _log.debug("%s does not describe %s: %s", hierarchy.location, where, error)
            continue
        for index, multiscale in enumerate(multiscales):
            if path in [level.path.strip("/") for level in multiscale.levels]:
                return hierarchy, index, path
    raise NotOmeNgffError(
        "No OME-Zarr image above this array describes it.",
        where=where,
        expected="a group above it whose multiscales name the array among their datasets",
        hint="Open the array's image instead, or use zarr.open_array for a plain Zarr array.",
    )


def open_ome_ngff(
    location: Place,
    *,
    array_wrapper: BaseArrayWrapper | ArrayWrapperSpec = ZarrArrayWrapper(),  # noqa: B008 (frozen)
    multiscale: int | str | None = None,
    coordinate_system: str | None = None,
) -> Image | Collection:
    """Open an image with its label images, or several images in one group. Pixels stay unread.

    Parameters
    ----------
    location
        A folder, a URL, a ``.zip`` or ``.ozx`` file, a Zarr store or group: of an image, a level of one,
        a label image, a plate, a well, a scene or a collection. In a zip file images may be in any folder.
    array_wrapper
        As for :func:`read_multiscale_group`.
    multiscale
        Which entry of ``multiscales``, by index or by name; None for all.
    coordinate_system
        Name of the coordinate system in which images are placed (0.6). By default images lie in their
        intrinsic system (one that was saved from a turned layer in the one that the layer was shown in),
        those of a scene in its first one.

    Returns
    -------
    Image or Collection
        A `Collection` for a plate, a well, a scene, and for several images in one group.

    Raises
    ------
    StorageError
        If the place cannot be reached or read.
    OptionError
        If there is no such multiscale or coordinate system.
    NotOmeNgffError, MetadataError, UnsupportedError
        As for :func:`read_multiscale_group`.

    Examples
    --------
    >>> import numpy, xarray
    >>> from napari_ome_ngff import create_multiscale_group
    >>> group = create_multiscale_group(
    ...     store=zarr.storage.MemoryStore(),
    ...     arrays={"s0": xarray.DataArray(numpy.zeros((4, 6), "uint8"), dims=("y", "x"))},
    ... )
    >>> open_ome_ngff(group).multiscale.dims
    ('y', 'x')
    """
    wrapper = resolve_wrapper(array_wrapper)
    place_of(location)
    check_type(multiscale, (int, str, NoneType), "The multiscale", "its index, its name, or None")
    check_type(coordinate_system, (str, NoneType), "The coordinate system", "the name of one, or None")
    opened = open_metadata(location, multiscale=multiscale, coordinate_system=coordinate_system)
    return with_levels(opened, lambda group: read_levels(group, wrapper))


def open_metadata(
    location: Place,
    *,
    multiscale: int | str | None = None,
    coordinate_system: str | None = None,
) -> Image | Collection:
    """Open what is at a location as `open_ome_ngff` does, but read no level yet: `arrays` are empty."""
    if isinstance(location, str | PathLike) and not is_url(text := local_path(os.fspath(location))):
        finish_interrupted(Path(os.path.realpath(Path(text).expanduser())))
    return read_settled(location, lambda: _open_metadata(location, multiscale, coordinate_system))


def _open_metadata(
    location: Place,
    multiscale: int | str | None,
    coordinate_system: str | None,
) -> Image | Collection:
    try:
        hierarchy = open_hierarchy(location, ahead=_AHEAD, watched=True)
    except NotOmeNgffError:
        # A level is opened in its place; what is no array stays the error that it is.
        array = array_at(location)
        if array is None:
            store, path = stores_of(location)[0]
            if store_kind(store) != "zip":
                raise
            from napari_ome_ngff.reading.archive import open_archive

            return open_archive(store, path, partial(_open_kind, coordinate_system=coordinate_system))
        image, index, path = _image_above(array)
        return open_image(
            image, multiscale=index, coordinate_system=coordinate_system, only=path, labels=False
        )
    try:
        return _open_kind(hierarchy, multiscale, coordinate_system)
    finally:
        hierarchy.settle()


def _open_kind(
    hierarchy: Hierarchy, multiscale: int | str | None = None, coordinate_system: str | None = None
) -> Image | Collection:
    attributes = hierarchy.attributes() or {}
    kind = kind_of(attributes)
    if kind == "image" and (multiscale is not None or image_count(attributes) <= 1):
        return open_image(hierarchy, multiscale=multiscale or 0, coordinate_system=coordinate_system)
    # An image, which most groups are, is opened without them.
    from napari_ome_ngff.reading.archive import open_archive
    from napari_ome_ngff.reading.collection import open_collection
    from napari_ome_ngff.reading.others.spatialdata import is_spatialdata, open_spatialdata
    from napari_ome_ngff.reading.plates.plate import open_plate, open_row, open_well
    from napari_ome_ngff.reading.scene import open_scene

    if kind == "plate":
        return open_plate(hierarchy, coordinate_system=coordinate_system)
    if kind == "well":
        return open_well(hierarchy, coordinate_system=coordinate_system)
    if kind == "scene":
        return open_scene(hierarchy, coordinate_system=coordinate_system)
    if kind in ("image", "bioformats2raw.layout", "series"):
        return open_collection(hierarchy, coordinate_system=coordinate_system)
    if SPATIALDATA in attributes or (not attributes and is_spatialdata(hierarchy)):
        return open_spatialdata(hierarchy, coordinate_system=coordinate_system)
    row = None if kind else open_row(hierarchy, coordinate_system=coordinate_system)
    if row is None and store_kind(hierarchy.store) == "zip" and container_of(attributes) is None:
        return open_archive(
            hierarchy.store, hierarchy.path, partial(_open_kind, coordinate_system=coordinate_system)
        )
    return row or _labels_alone(hierarchy)


def _labels_alone(hierarchy: Hierarchy) -> Image:
    """Open a group without image: the ``labels`` group itself, or one that holds nothing else."""
    attributes = hierarchy.attributes() or {}
    if not attributes and (error := unfinished(hierarchy.store, hierarchy.path)):
        raise error
    for parent in (hierarchy, hierarchy.below("labels")):
        listed = decode_labels(parent.attributes() or {}, where=parent.location)
        if labels := open_labels(parent, listed):
            return Image(
                location=hierarchy.location,
                multiscale=None,
                labels=labels,
                attributes=foreign_attributes(attributes),
            )
    decode(attributes, where=hierarchy.location)  # says what is wrong
    raise NotOmeNgffError("This group holds no OME-Zarr image.", where=hierarchy.location)
