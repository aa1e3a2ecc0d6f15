"""Axes as somebody says them (``axes="TCZYX"``, ``scale=0.5``), put on a DataArray and in order."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ome_ngff.arguments import is_of_pint, shown, unit_text
from napari_ome_ngff.coordinates import axis_coordinates, from_coordinates
from napari_ome_ngff.errors import OptionError
from napari_ome_ngff.metadata.nouns import Axis, ScaleTranslation
from napari_ome_ngff.metadata.units import axis_type
from napari_ome_ngff.writing.accepted_axes import usual_name

if TYPE_CHECKING:
    from xarray import DataArray

_USUAL = {2: "yx", 5: "tczyx"}
"""Axes of an array without names, where there is no doubt: of 3 or 4, some may be time or channels."""


@dataclass(frozen=True, kw_only=True)
class Description:
    """What is said of the axes of an array, by those who have it: all None where the array says it itself.

    `axes` are names in the order of the array; the others are one value for all axes of space, one for each
    axis (or each of space), or values by name.
    """

    axes: object = None
    scale: object = None
    translation: object = None
    units: object = None
    follows: bool = False  # the axes are named after those of an image, of which a warning has been given

    def names(self, ndim: int, what: str) -> tuple[str, ...]:
        """Names of the axes of an array that has none itself."""
        if self.axes is None:
            if ndim not in _USUAL:
                raise OptionError(
                    f"{what} has {ndim} axes without names.",
                    hint=f'Name them in their order, for example axes="{"tczyx"[-ndim:] or "yx"}".',
                )
            return tuple(_USUAL[ndim])
        names = axis_names(self.axes)
        if len(names) != ndim:
            raise OptionError(
                f"axes has {len(names)} names, but {what.lower()} has {ndim} axes.", found=", ".join(names)
            )
        return names


def axis_names(axes: object) -> tuple[str, ...]:
    """Names of axes, given as one text with a letter for each, or as a list; OptionError if they are none."""
    hint = 'Give a letter for each, axes="tczyx", or a list of names.'
    if not isinstance(axes, str | Sequence):
        raise OptionError(f"axes must be names of axes, not {shown(axes)}.", hint=hint)
    names = tuple(axis.name if isinstance(axis, Axis) else axis for axis in axes)
    if not names or not all(isinstance(name, str) and name.strip() for name in names):
        raise OptionError("axes must be names of axes.", found=shown(axes), hint=hint)
    lower = [name.lower() for name in names]
    if len(set(lower)) < len(lower):
        raise OptionError("axes has a name twice.", found=", ".join(names), hint=hint)
    return names


def described(levels: Mapping[str, DataArray], about: Description) -> dict[str, DataArray]:
    """Levels, finest first, with what is said of their axes: the scale is that of the finest."""
    first = next(iter(levels.values()))
    dims = tuple(map(str, first.dims))
    if about.axes is not None and dims != (names := about.names(first.ndim, "The image")):
        levels = {path: array.rename(dict(zip(dims, names, strict=True))) for path, array in levels.items()}
        dims = names
    return _placed(dict(levels), dims, about)


def _placed(levels: dict[str, DataArray], dims: tuple[str, ...], about: Description) -> dict[str, DataArray]:
    scales = {dim: _quantity(value, "scale") for dim, value in _by_axis(about.scale, dims, "scale").items()}
    starts = {
        dim: _quantity(value, "translation")
        for dim, value in _by_axis(about.translation, dims, "translation").items()
    }
    units = {dim: unit_text(value, "units") for dim, value in _by_axis(about.units, dims, "units").items()}
    changed = [dim for dim in dims if dim in {*scales, *starts, *units}]
    if not changed:
        return levels
    path, first = next(iter(levels.items()))
    # What is replaced need not be regular.
    axes, (grid,) = from_coordinates({path: first.drop_vars([d for d in scales if d in first.coords])})
    new_axes, new_scales, new_starts = list(axes), list(grid.scale), list(grid.translation)
    for i, dim in enumerate(dims):
        scale, of_scale = scales.get(dim, (new_scales[i], None))
        start, of_start = starts.get(dim, (_start(first, dim) if dim in scales else new_starts[i], None))
        old = first.coords[dim].attrs.get("units") if dim in first.coords else None
        unit = units.get(dim) or of_scale or of_start or unit_text(old, "units")
        new_scales[i], new_starts[i] = scale, start
        new_axes[i] = replace(axes[i], unit=unit, type=axes[i].type or axis_type(usual_name(dim), unit))
    coordinates = axis_coordinates(
        new_axes, ScaleTranslation(scale=tuple(new_scales), translation=tuple(new_starts)), first.shape
    )
    # The others follow from their sizes.
    placed = {
        key: array.drop_vars([d for d in changed if d in array.coords]) for key, array in levels.items()
    }
    placed[path] = placed[path].assign_coords({dim: coordinates[dim] for dim in changed})
    return placed


def _start(array: DataArray, dim: str) -> float:
    """Position of the first voxel, if its coordinate says it."""
    if dim not in array.coords or array.coords[dim].dtype.kind not in "iuf":
        return 0.0
    return float(array.coords[dim][0])


def _by_axis(values: object, dims: tuple[str, ...], what: str) -> dict[str, Any]:
    """What is said of each axis by its name: never of channels, which have no place."""
    if values is None:
        return {}
    spatial = [dim for dim in dims if axis_type(usual_name(dim), None) == "space"]
    if isinstance(values, Mapping):
        lower = {usual_name(dim): dim for dim in dims} | {dim.lower(): dim for dim in dims}
        for name in values:
            if not isinstance(name, str) or name.lower() not in lower:
                raise OptionError(
                    f"{what} has a value for {shown(name)}, which is no axis of the image.",
                    expected=", ".join(dims),
                )
        by_name = {lower[name.lower()]: value for name, value in values.items()}
    elif isinstance(values, str | Real) or not np.iterable(values):
        by_name = dict.fromkeys(spatial, values)
    else:
        each = list(values)
        named = next((names for names in (dims, spatial) if len(names) == len(each)), None)
        if named is None:
            raise OptionError(
                f"{what} has {len(each)} values for {len(dims)} axes.",
                expected=f"one for each of {', '.join(dims)}, or by name: {what}={{{dims[-1]!r}: ...}}",
            )
        by_name = dict(zip(named, each, strict=True))
    return {
        dim: value
        for dim, value in by_name.items()
        if value is not None and axis_type(dim, None) != "channel"
    }


def _quantity(value: Any, what: str) -> tuple[float, str | None]:
    """A number, and its unit if it has one (pint)."""
    number, unit = (value.magnitude, value.units) if is_of_pint(value) else (value, None)
    if isinstance(number, bool) or not isinstance(number, Real | np.number) or not math.isfinite(number):
        raise OptionError(
            f"{what} must be numbers, not {shown(value)}.", hint=f"Give {what}=0.5, for example."
        )
    if what == "scale" and not number:
        raise OptionError("scale must not be 0.", hint="Give the distance between two voxels.")
    return float(number), None if unit is None else str(unit)
