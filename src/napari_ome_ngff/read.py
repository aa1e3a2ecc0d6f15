"""Open OME-NGFF groups as xarray DataArrays: lazily, placed by their transforms.

Nothing but metadata is read here. Whatever the array wrapper, pixels are read when values are asked for.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from typing import TYPE_CHECKING, Any

import zarr
from xarray import DataArray, Variable

from napari_ome_ngff.coordinates import to_coordinates
from napari_ome_ngff.errors import (
    MetadataError,
    NotOmeNgffError,
    OmeNgffError,
    OmeNgffWarning,
    OptionError,
)
from napari_ome_ngff.metadata.model import Multiscale
from napari_ome_ngff.metadata.versions import (
    decode,
    decode_labels,
    foreign_attributes,
    is_ome_ngff,
)
from napari_ome_ngff.storage.array_wrap import (
    ArrayWrapperSpec,
    BaseArrayWrapper,
    ZarrArrayWrapper,
    resolve_wrapper,
)
from napari_ome_ngff.storage.backend import lazily_indexed
from napari_ome_ngff.storage.location import location_of
from napari_ome_ngff.storage.open import member, open_group, parents

if TYPE_CHECKING:
    from zarr.abc.store import Store

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Image:
    """An opened image: metadata decoded, levels lazy, label images beside it.

    Parameters
    ----------
    location
        Path or URL of the group.
    multiscale
        What the metadata say; None for a group that holds nothing but label images.
    arrays
        Path of each level in the group to the level, finest first.
    labels
        Name of each label image to the label image.
    attributes
        Attributes of the group that belong to others.
    """

    location: str
    multiscale: Multiscale | None
    arrays: Mapping[str, DataArray]
    labels: Mapping[str, Image] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)


def read_multiscale_group(
    group: zarr.Group,
    *,
    array_wrapper: BaseArrayWrapper | ArrayWrapperSpec = ZarrArrayWrapper(),  # noqa: B008 (frozen)
    multiscale: int | str = 0,
) -> dict[str, DataArray]:
    """Read the levels of a multiscale group as DataArrays with coordinates. Pixels stay unread.

    Parameters
    ----------
    group
        The Zarr group that carries the OME-NGFF metadata; the version is detected.
    array_wrapper
        What each level's ``zarr.Array`` is wrapped in: ``ZarrArrayWrapper()``, ``DaskArrayWrapper(...)``, or
        the same as a dict such as ``{"name": "dask_array", "config": {"chunks": "auto"}}``.
    multiscale
        Which entry of ``multiscales``, by index or by name.

    Returns
    -------
    dict
        Path of each level to its DataArray, finest first. Coordinates are the positions of voxel centres by
        the composed transforms, the level's first and then the multiscale's: ``S * (s * index + t) + T``.
        They carry ``attrs["units"]``, ``attrs["type"]`` (of the axis) and ``attrs["scale"]``; channel names
        are the coordinate ``channel_label`` along the channel dim.

    Raises
    ------
    NotOmeNgffError
        If the group has no OME-NGFF metadata.
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
    where = location_of(group)
    chosen = _select(decode(group.attrs.asdict(), where=where), multiscale, where)
    return _read_levels(group, chosen, resolve_wrapper(array_wrapper))


def _select(found: tuple[Multiscale, ...], which: int | str, where: str) -> Multiscale:
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


def _read_levels(
    group: zarr.Group, multiscale: Multiscale, wrapper: BaseArrayWrapper
) -> dict[str, DataArray]:
    """Read every level that is there; a missing one is left out with a warning."""
    levels: dict[str, DataArray] = {}
    for index, level in enumerate(multiscale.levels):
        try:
            node = member(group, level.path)
        except MetadataError:
            problem = "has damaged Zarr metadata"
        else:
            problem = _problem(node, multiscale)
        if not problem and isinstance(node, zarr.Array):
            levels[level.path] = _level(node, multiscale, index, wrapper)
            continue
        _warn(f"Level {level.path!r} {problem}; it is left out.", f"{location_of(group)}, datasets[{index}]")
    if not levels:
        raise MetadataError(
            "The image has no level that can be read.",
            where=location_of(group),
            expected=f"an array with axes {', '.join(multiscale.dims)} at "
            + " or ".join(repr(level.path) for level in multiscale.levels),
            hint="The file is incomplete: copy it again, or create it again.",
        )
    return levels


def _problem(node: zarr.Array[Any] | zarr.Group | None, multiscale: Multiscale) -> str:
    if not isinstance(node, zarr.Array):
        return "is listed but not there"
    if node.ndim != len(multiscale.axes):
        return f"has {node.ndim} dimensions, but the axes are {', '.join(multiscale.dims)}"
    return ""


def _level(
    array: zarr.Array[Any], multiscale: Multiscale, index: int, wrapper: BaseArrayWrapper
) -> DataArray:
    coordinates = to_coordinates(multiscale, index, array.shape)
    data: Any = wrapper.wrap(array)
    if isinstance(data, zarr.Array):
        data = lazily_indexed(data)
    return DataArray(Variable(multiscale.dims, data), coords=coordinates, name=multiscale.name)


def _warn(message: str, where: str) -> None:
    warnings.warn(f"{message} ({where})", OmeNgffWarning, stacklevel=3)


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
        A Zarr array that is a level of an OME-NGFF image.
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
    where = location_of(array)
    wrapper = resolve_wrapper(array_wrapper)
    for group in parents(array):
        attributes = group.attrs.asdict()
        if not is_ome_ngff(attributes):
            continue
        try:
            found = decode(attributes, where=location_of(group))
        except OmeNgffError as error:
            # A plate or a broken group on the way up does not describe this array; its own image may.
            _log.debug("%s does not describe %s: %s", location_of(group), where, error)
            continue
        path = where.removeprefix(location_of(group)).strip("/")
        for multiscale in found:
            paths = [level.path.strip("/") for level in multiscale.levels]
            if path in paths:
                return _level(array, multiscale, paths.index(path), wrapper)
    raise NotOmeNgffError(
        "No OME-NGFF image above this array describes it.",
        where=where,
        expected="a group above it whose multiscales name the array among their datasets",
        hint="Open the array's image instead, or use zarr.open_array for a plain Zarr array.",
    )


def open_ome_ngff(
    location: str | PathLike[str] | Store | zarr.Group,
    *,
    array_wrapper: BaseArrayWrapper | ArrayWrapperSpec = ZarrArrayWrapper(),  # noqa: B008 (frozen)
    multiscale: int | str = 0,
) -> Image:
    """Open an image with its label images, from wherever it is. Pixels stay unread.

    Parameters
    ----------
    location
        A folder, a URL, a ``.zip`` or ``.ozx`` file, a Zarr store or group.
    array_wrapper, multiscale
        As for :func:`read_multiscale_group`.

    Raises
    ------
    StorageError
        If the place cannot be reached or read.
    NotOmeNgffError, MetadataError, UnsupportedError, OptionError
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
    group = open_group(location)
    wrapper = resolve_wrapper(array_wrapper)
    if _has_image(group):
        return _open_image(group, wrapper, multiscale, _open_labels(member(group, "labels"), wrapper))
    # No image: the group may hold label images alone, or be the "labels" group itself.
    labels = _open_labels(group, wrapper) or _open_labels(member(group, "labels"), wrapper)
    if labels:
        return Image(
            location=location_of(group),
            multiscale=None,
            arrays={},
            labels=labels,
            attributes=foreign_attributes(group.attrs.asdict()),
        )
    return _open_image(group, wrapper, multiscale, {})


def _has_image(group: zarr.Group) -> bool:
    attributes = group.attrs.asdict()
    ome = attributes.get("ome")
    return "multiscales" in attributes or (isinstance(ome, Mapping) and "multiscales" in ome)


def _open_image(
    group: zarr.Group, wrapper: BaseArrayWrapper, which: int | str, labels: Mapping[str, Image]
) -> Image:
    where = location_of(group)
    attributes = group.attrs.asdict()
    multiscale = _select(decode(attributes, where=where), which, where)
    return Image(
        location=where,
        multiscale=multiscale,
        arrays=_read_levels(group, multiscale, wrapper),
        labels=labels,
        attributes=foreign_attributes(attributes),
    )


def _open_labels(parent: zarr.Group | zarr.Array[Any] | None, wrapper: BaseArrayWrapper) -> dict[str, Image]:
    """Open the label images that a group lists; one that cannot be read is left out with a warning."""
    if not isinstance(parent, zarr.Group):
        return {}
    images: dict[str, Image] = {}
    for name in decode_labels(parent.attrs.asdict()):
        node = member(parent, name)
        if not isinstance(node, zarr.Group):
            _warn(f"Label image {name!r} is listed but not there.", location_of(parent))
            continue
        try:
            images[name] = _open_image(node, wrapper, 0, {})
        except OmeNgffError as error:
            _warn(f"Label image {name!r} is left out: {error.summary}", location_of(node))
    return images
