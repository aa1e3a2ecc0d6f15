"""Axes of arrays where the image says none, or not as many as they have dimensions.

Arrays name their dimensions too: ``dimension_names`` in Zarr v3, ``_ARRAY_DIMENSIONS`` of xarray before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from napari_ome_ngff.metadata.axes import MOST_AXES
from napari_ome_ngff.metadata.nouns import Axis, Json, Multiscale, ScaleTranslation
from napari_ome_ngff.metadata.transforms import identity
from napari_ome_ngff.metadata.units import axis_type

ASSUMED_AXES = (
    Axis(name="t", type="time"),
    Axis(name="c", type="channel"),
    Axis(name="z", type="space"),
    Axis(name="y", type="space"),
    Axis(name="x", type="space"),
)
"""0.1 and 0.2, "multiscales": the arrays are five-dimensional, "tczyx"."""


def dimension_names(array: Any) -> Any:
    """What a Zarr array calls its dimensions, as Zarr v3 has it or xarray before; not checked."""
    metadata = array.metadata
    return getattr(metadata, "dimension_names", None) or metadata.attributes.get("_ARRAY_DIMENSIONS")


def with_axes_of_arrays(
    multiscale: Multiscale, shapes: Mapping[str, Sequence[int]], names: Mapping[str, Json]
) -> Multiscale:
    """Return an image with one axis for each dimension of its arrays; both are given by the path of a level.

    An image that has as many axes as one of its arrays stays as it is, unless the axes are a guess that the
    names of the dimensions know better. Axes that an image says keep their places and units by name; those
    of no name are the last ones.
    """
    paths = [level.path for level in multiscale.levels if level.path in shapes]
    ndims = [len(shapes[path]) for path in paths]
    if (
        not ndims
        or not 2 <= ndims[0] <= MOST_AXES
        or (len(multiscale.axes) in ndims and not multiscale.assumed)
    ):
        return multiscale
    before, ndim = multiscale.axes, ndims[0]
    named = next(filter(None, (_axes_named(names.get(path), ndim) for path in paths)), None)
    if multiscale.assumed:
        axes = named or _last(ASSUMED_AXES, ndim)
        kept = tuple(range(ndim)) if len(before) == ndim else None
    else:
        axes = named or _last(before, ndim)
        of_name = {axis.name.lower(): index for index, axis in enumerate(before)}
        order = [of_name.get(axis.name.lower()) for axis in axes]
        axes = tuple(axis if j is None else before[j] for axis, j in zip(axes, order, strict=True))
        kept = tuple(order)  # type: ignore[arg-type]
    if axes == before:
        return multiscale
    if kept is None:  # places for another number of dimensions, of which nobody knows the axes
        levels = tuple(replace(level, transform=identity(ndim), original=None) for level in multiscale.levels)
        unplaced = tuple(level.path for level in levels)
        return replace(multiscale, axes=axes, levels=levels, unplaced=unplaced, transform=None, affine=None)
    whole = None if multiscale.transform is None else _along(multiscale.transform, kept)
    levels = tuple(
        replace(level, transform=_along(level.transform, kept), original=None) for level in multiscale.levels
    )
    affine = multiscale.affine if kept == tuple(range(len(before))) else None
    return replace(multiscale, axes=axes, levels=levels, transform=whole, affine=affine)


def _axes_named(names: Json, ndim: int) -> tuple[Axis, ...] | None:
    """Return axes of these names; None if there are not as many, or none of them is usual."""
    if not isinstance(names, list | tuple) or len(names) != ndim:
        return None
    if not all(isinstance(name, str) and name for name in names) or len(set(names)) < ndim:
        return None
    axes = tuple(Axis(name=name, type=axis_type(name, None)) for name in names)
    return axes if any(axis.type for axis in axes) else None


def _last(axes: tuple[Axis, ...], ndim: int) -> tuple[Axis, ...]:
    """Return the last axes, with some without a type before them if there are not enough."""
    more = range(ndim - len(axes))
    return (*(Axis(name=f"dim_{index}") for index in more), *axes[-ndim:])


def _along(transform: ScaleTranslation, order: Sequence[int | None]) -> ScaleTranslation:
    return ScaleTranslation(
        scale=tuple(1.0 if j is None else transform.scale[j] for j in order),
        translation=tuple(0.0 if j is None else transform.translation[j] for j in order),
    )
