"""Rules that tie the metadata of an image to its arrays and label images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.checking.findings import Spot
from napari_ome_ngff.checking.forms import listed, mapped
from napari_ome_ngff.errors import OmeNgffError
from napari_ome_ngff.metadata.json_checks import describe
from napari_ome_ngff.metadata.nouns import Json

if TYPE_CHECKING:
    import zarr

    from napari_ome_ngff.storage.documents.hierarchy import Hierarchy

Axes = Sequence[Mapping[str, Json]]


def axes_of(entry: Mapping[str, Json]) -> Axes:
    """The axes of the arrays of an image, as any version says them."""
    if "coordinateSystems" not in entry:
        return [mapped(axis) for axis in listed(entry.get("axes"))]
    dataset = mapped(next(iter(listed(entry.get("datasets"))), None))
    transform = mapped(next(iter(listed(dataset.get("coordinateTransformations"))), None))
    name = mapped(transform.get("output")).get("name")
    systems = [mapped(system) for system in listed(entry["coordinateSystems"])]
    axes = next((system.get("axes") for system in systems if system.get("name") == name), None)
    return [mapped(axis) for axis in listed(axes)]


def check_arrays(entry: Mapping[str, Json], hierarchy: Hierarchy, spot: Spot) -> zarr.Array[Any] | None:
    """Check the levels of an image; return the first one that is there."""
    axes, first, finer = axes_of(entry), None, None
    for index, dataset in enumerate(listed(entry.get("datasets"))):
        path, at = mapped(dataset).get("path"), spot.at("datasets", index)
        if not isinstance(path, str):
            continue
        try:
            array = hierarchy.array(path)
        except OmeNgffError as error:
            at.refuse(f"The array {path!r} cannot be read: {error.summary}", "levels must be Zarr arrays")
            continue
        if array is None:
            at.refuse(f"There is no array {path!r}.", "levels must be Zarr arrays")
            continue
        _check_array(array, axes, at)
        if finer is not None and array.ndim == finer.ndim and _grows(finer.shape, array.shape):
            at.refuse(
                f"Its shape, {describe(list(array.shape))}, is larger than that of the level before.",
                "levels must be ordered from the largest to the smallest",
            )
        if first is not None and array.dtype != first.dtype:
            note = at.refuse if spot.version == "0.6" else at.advise
            note(f"Its type is {array.dtype}, that of the first one {first.dtype}.", "levels have one type")
        first, finer = first if first is not None else array, array
    return first


def _grows(finer: Sequence[int], coarser: Sequence[int]) -> bool:
    return any(one < other for one, other in zip(finer, coarser, strict=True))


def _check_array(array: zarr.Array[Any], axes: Axes, spot: Spot) -> None:
    names = tuple(axis.get("name") for axis in axes)
    if axes and array.ndim != len(axes):
        spot.refuse(f"The array has {array.ndim} dimensions.", f"it must have those of the {len(axes)} axes")
        return
    metadata: Any = array.metadata
    if array.metadata.zarr_format == 2:
        if getattr(metadata, "dimension_separator", "/") != "/":
            spot.advise('Chunks are called "0.0".', 'chunks should be in folders, "0/0"')
        return
    given = metadata.dimension_names
    if given is None:
        note = spot.refuse if spot.version == "0.5" else spot.advise
        note("The array has no dimension_names.", "they must be the names of the axes")
    elif axes and tuple(given) != names:
        spot.refuse(
            f"dimension_names are {describe(list(given))}, the axes {describe(list(names))}.",
            "they must be the names of the axes",
        )


def check_channels(omero: Json, entry: Mapping[str, Json], array: zarr.Array[Any], spot: Spot) -> None:
    """Note ``omero`` that describes another number of channels than the image has."""
    axis = next((i for i, each in enumerate(axes_of(entry)) if each.get("type") == "channel"), None)
    count = 1 if axis is None or axis >= array.ndim else array.shape[axis]
    channels = mapped(omero).get("channels")
    if isinstance(channels, list) and len(channels) != count:
        spot.at("channels").refuse(
            f"{len(channels)} channels are described, the image has {count}.",
            "each channel must be described",
        )


def check_label_array(array: zarr.Array[Any], spot: Spot) -> None:
    """Note a label image that is not of whole numbers."""
    if array.dtype.kind not in "iu":
        spot.refuse(f"The labels are of type {array.dtype}.", "labels must be whole numbers")
