"""Whatever holds an image (numpy, dask, zarr, xarray, a list of levels, an opened image) as a source."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ome_ngff.arguments import check_data_array, shown
from napari_ome_ngff.coordinates import axis_coordinates, from_coordinates
from napari_ome_ngff.errors import NotOmeNgffError, OptionError, give_warning
from napari_ome_ngff.metadata.image.array_axes import dimension_names
from napari_ome_ngff.metadata.nouns import Channel
from napari_ome_ngff.metadata.units import axis_type
from napari_ome_ngff.reading.open import open_ome_ngff, read_multiscale_array
from napari_ome_ngff.reading.opened import Collection, Image
from napari_ome_ngff.saving.dataarrays import lazy
from napari_ome_ngff.saving.described_axes import Description, described
from napari_ome_ngff.storage.pixels.array_wrap import DaskArrayWrapper
from napari_ome_ngff.writing.accepted_axes import in_order, usual_name
from napari_ome_ngff.writing.data_tree import is_tree
from napari_ome_ngff.writing.plan.write_plan import MultiscaleSource, sources_of_tree

if TYPE_CHECKING:
    from xarray import DataArray

_KINDS = "a numpy, dask, zarr or xarray array, a list of levels, or what open_ome_ngff returns"


def sources_of(data: Any, about: Description, *, what: str = "The image") -> dict[str, MultiscaleSource]:
    """An image with its label images, by their paths in the hierarchy, from what somebody has of it.

    Nothing is read but metadata. OptionError if it is no image, or its axes have no names.
    """
    if isinstance(data, MultiscaleSource):
        return {"": data}
    if is_place(data):
        data = open_ome_ngff(data)
    if isinstance(data, Collection):
        raise OptionError(
            f"This {data.kind} holds several images.",
            where=data.location,
            found=", ".join(list(data.images)[:10]),
            hint='Save one of them: opened.images["NAME"].',
        )
    if isinstance(data, Image):
        return _sources_of_image(data, about)
    if is_tree(data):
        return {
            path: _ordered(each, Description() if path else about)
            for path, each in sources_of_tree(data).items()
        }
    return {"": _source(data, about, what)}


def is_place(data: object) -> bool:
    """Whether this is where an image is, rather than the image."""
    import zarr
    from zarr.abc.store import Store
    from zarr.storage import StorePath

    return isinstance(data, str | os.PathLike | zarr.Group | Store | StorePath)


def _sources_of_image(image: Image, about: Description) -> dict[str, MultiscaleSource]:
    if image.multiscale is None or not image.arrays:
        raise OptionError(
            "There is no image here, only label images.",
            where=image.location,
            found=", ".join(image.labels) or "nothing",
            hint="Write them into an image with write_labels.",
        )
    labels = {
        f"labels/{name}": _opened(label, Description(), dict(label.groups))
        for name, label in image.labels.items()
        if label.arrays
    }
    groups = {path: each for path, each in image.groups.items() if path != ".."}
    return {"": _opened(image, about, groups), **labels}


def _opened(image: Image, about: Description, groups: Mapping[str, Any]) -> MultiscaleSource:
    """All that an opened image says, and the attributes of others on it and on the groups in it."""
    multiscale = image.multiscale
    return MultiscaleSource(
        arrays=described(image.arrays, about),
        multiscale=multiscale,
        label_image=None if multiscale is None else multiscale.label_image,
        attributes=image.attributes,
        groups=groups,
    )


def _source(data: Any, about: Description, what: str) -> MultiscaleSource:
    levels = _levels(data, about, what)
    if not levels:
        raise OptionError(f"{what} has no levels.", found=f"an empty {type(data).__name__}")
    for path, array in levels.items():
        check_data_array(array, what if len(levels) == 1 else f"Level {path!r}")
    levels = _in_order(described(levels, about), quiet=about.follows)
    if len(levels) > 1 or isinstance(data, Sequence):
        return MultiscaleSource(arrays=levels)
    return MultiscaleSource(image=next(iter(levels.values())))


def _ordered(source: MultiscaleSource, about: Description) -> MultiscaleSource:
    """A source with what is said of its axes, in the order that OME-Zarr asks for."""
    if source.image is not None:
        return replace(source, image=_in_order(described({"0": source.image}, about))["0"])
    return replace(source, arrays=_in_order(described(source.arrays or {}, about)))


def _in_order(levels: Mapping[str, DataArray], *, quiet: bool = False) -> dict[str, DataArray]:
    levels, _, notice = in_order(levels)
    if notice and not quiet:
        give_warning(notice, stacklevel=5)
    return levels


def _levels(data: Any, about: Description, what: str) -> dict[str, DataArray]:
    """The levels of an image by their paths, finest first; one, if they are still to be made."""
    if isinstance(data, Mapping):
        return {str(path): _named(array, about, what) for path, array in data.items()}
    if isinstance(data, Sequence):
        levels = {str(i): _named(array, about, f"Level {i}") for i, array in enumerate(data)}
        if len({array.shape for array in levels.values()}) < len(levels):
            raise OptionError(
                f"{what} is a list of arrays of one size: levels get smaller.",
                hint="Put them into one array first: numpy.stack(arrays), or dask.array.stack(arrays).",
            )
        return levels
    return {"0": _named(data, about, what)}


def _named(data: Any, about: Description, what: str) -> DataArray:
    """One array of any kind with names for its axes, unread."""
    import zarr
    from xarray import DataArray, Variable

    if isinstance(data, DataArray):
        return data
    if isinstance(data, Variable):
        return DataArray(data)
    if isinstance(data, zarr.Array):
        return _stored(data, about, what)
    if not all(hasattr(type(data), name) for name in ("shape", "dtype", "__getitem__")):
        hint = "Make an array of it first: numpy.asarray(...)." if isinstance(data, list | tuple) else ""
        raise OptionError(f"{what} must be {_KINDS}, not {shown(data)}.", hint=hint)
    dims = about.names(len(data.shape), what)
    return DataArray(Variable(dims, data if isinstance(data, np.ndarray) else lazy(data)))


def _stored(array: Any, about: Description, what: str) -> DataArray:
    """A Zarr array: placed as the image above it says, or with the names that it has itself."""
    from xarray import DataArray

    if about.axes is None:
        try:
            return read_multiscale_array(array, array_wrapper=DaskArrayWrapper())
        except NotOmeNgffError:
            given = dimension_names(array)
            if isinstance(given, list | tuple) and len(given) == array.ndim and all(given):
                return DataArray(DaskArrayWrapper().wrap(array), dims=[str(name) for name in given])
    return DataArray(DaskArrayWrapper().wrap(array), dims=about.names(array.ndim, what))


def label_source(name: str, data: Any, image: DataArray, axes: Sequence[str]) -> MultiscaleSource:
    """A label image on an image: what it does not say of its axes is as in the image.

    `axes` are those of the image in the order in which they were given.
    """
    what = f"Label image {name!r}"
    if isinstance(data, MultiscaleSource):
        return data
    ndim = len(getattr(data[0] if isinstance(data, list | tuple) and data else data, "shape", ()))
    plain = [axis for axis in axes if axis_type(axis, None) != "channel"]
    spatial = [axis for axis in plain if axis_type(usual_name(axis), None) == "space"]
    names = next((each for each in (axes, plain, spatial) if len(each) == ndim), None)
    has_names = is_place(data) or hasattr(data, "dims")
    source = sources_of(
        data, Description(axes=None if has_names else names, follows=not has_names), what=what
    )[""]
    levels = {"": source.image} if source.image is not None else dict(source.arrays or {})
    placed = {path: _on_image(_as_numbers(array), image) for path, array in levels.items()}
    if source.image is not None:
        return replace(source, image=placed[""])
    return replace(source, arrays=placed)


def _as_numbers(array: DataArray) -> DataArray:
    """A mask as 0 and 1: label images hold whole numbers."""
    return array.astype("uint8") if array.dtype.kind == "b" else array


def _on_image(label: DataArray, image: DataArray) -> DataArray:
    """A label image with the coordinates of the image along the axes along which it has none."""
    missing = [dim for dim in label.dims if dim not in label.coords]
    if not missing or not set(label.dims) <= set(image.dims):
        return label
    others = {dim: 0 for dim in image.dims if dim not in label.dims}
    below = image.isel(others, drop=True).transpose(*label.dims)
    bare = label.drop_vars(list(label.coords))
    axes, (_, grid) = from_coordinates({"the image": below, "the label image": bare})
    coordinates = axis_coordinates(axes, grid, label.shape)
    # True times and irregular positions are those of the image.
    same = {dim for dim in missing if dim in below.coords and below.sizes[dim] == label.sizes[dim]}
    return label.assign_coords(
        {dim: below.coords[dim].variable if dim in same else coordinates[dim] for dim in missing}
    )


def channels_for(channels: object, image: DataArray) -> tuple[Channel, ...]:
    """Channels from their names or as they are: one for each that the image has."""
    if channels is None:
        return ()
    if isinstance(channels, str | Channel):
        channels = (channels,)
    if not isinstance(channels, Sequence) or not all(isinstance(each, str | Channel) for each in channels):
        raise OptionError(
            f"channels must be names of channels, not {shown(channels)}.",
            hint='Give channels=["DAPI", "GFP"].',
        )
    count = next((n for dim, n in image.sizes.items() if axis_type(str(dim), None) == "channel"), 1)
    if len(channels) != count:
        raise OptionError(
            f"channels has {len(channels)} entries, but the image has {count} channels.",
            found=f"axes {dict(image.sizes)}",
        )
    return tuple(Channel(label=each) if isinstance(each, str) else each for each in channels)
