"""Axes as other programs accept them: usual names, in the order of the specification, none that descends.

What can be put right is, without reading a voxel and without moving one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.arguments import is_of_pint
from napari_ome_ngff.coordinates import axis_coordinates, from_coordinates
from napari_ome_ngff.errors import CoordinateError, collected_warnings
from napari_ome_ngff.metadata.affine import as_scale_translation
from napari_ome_ngff.metadata.nouns import Axis, Multiscale, ScaleTranslation
from napari_ome_ngff.metadata.systems.rotated import needs_affine
from napari_ome_ngff.metadata.systems.view import shown_affine, view
from napari_ome_ngff.metadata.units import axis_type
from napari_ome_ngff.metadata.versions import check_version

if TYPE_CHECKING:
    from xarray import DataArray

_RANKS = MappingProxyType({"time": 0, "space": 2})
_SPACE = "zyx"
_USUAL = MappingProxyType(
    {name: name.lower() for name in "TCZYX"}
    | {"row": "y", "rows": "y", "col": "x", "cols": "x", "column": "x", "columns": "x"}
    | {"plane": "z", "planes": "z", "pln": "z"}
)
"""Names that some readers do not know, and the ones that all do."""

Levels = Mapping[str, "DataArray"]


def usual_name(dim: str) -> str:
    """The name of an axis that all readers know, if this is another one for it."""
    return _USUAL.get(dim) or _USUAL.get(dim.lower(), dim)


def in_order(
    levels: Levels, *, rename: bool = True, any_space: bool = False
) -> tuple[dict[str, DataArray], dict[str, str], str]:
    """Levels with usual names of axes in the order of OME-Zarr; new names by old ones; what was changed.

    `any_space` leaves axes of space in the order that they have, which the specification allows.
    """
    first = next(iter(levels.values()))
    dims = tuple(map(str, first.dims))
    names: dict[str, str] = {}
    for dim in dims if rename else ():
        usual = usual_name(dim)
        if usual not in (*dims, *names.values()):
            names[dim] = usual
    order = sorted(dims, key=lambda dim: _rank(first, dim, names, any_space=any_space))
    stored = [names.get(dim, dim) for dim in order]
    if tuple(stored) == dims:
        return dict(levels), {}, ""
    notice = f"Axes {', '.join(dims)} are stored as {', '.join(stored)}, as OME-Zarr asks for."
    renamed = {path: _renamed(array, names) for path, array in levels.items()}
    return {path: array.transpose(*stored) for path, array in renamed.items()}, names, notice


def _renamed(array: DataArray, names: Mapping[str, str]) -> DataArray:
    """An array with other names of dims, and of the coordinates along them."""
    taken = {name: f"{name}_" for name in names.values() if name in array.coords}
    return array.rename(taken).rename(names) if names else array


def _rank(array: DataArray, dim: str, names: Mapping[str, str], *, any_space: bool) -> tuple[int, int]:
    """0.4, "axes": time first, then channel or custom, then space, of which "zyx" is the usual order."""
    name = names.get(dim, dim)
    attrs = array.coords[dim].attrs if dim in array.coords else {}
    unit = attrs.get("units", attrs.get("unit"))
    is_text = isinstance(unit, str) or is_of_pint(unit)
    kind = attrs.get("type") or axis_type(name, str(unit) if is_text else None)
    rank = _RANKS.get(str(kind), 1)
    return rank, _SPACE.find(name.lower()) if rank == _RANKS["space"] and not any_space else 0


def by_name(factors: Any, names: Mapping[str, str]) -> Any:
    """Factors with the new names of dims."""
    if isinstance(factors, Mapping):
        return {names.get(dim, dim): factor for dim, factor in factors.items()}
    if not names or not isinstance(factors, list | tuple):
        return factors
    return [by_name(each, names) if isinstance(each, Mapping) else each for each in factors]


def ascending(
    levels: Levels, base: Multiscale | None, version: str
) -> tuple[dict[str, DataArray], list[str]]:
    """Levels that are reversed along the axes along which positions would descend, and these axes.

    No version has negative scales that other programs accept; an affine of 0.6 takes mirroring over.
    """
    if base is not None and base.affine is not None and check_version(version).affines:
        return dict(levels), []
    with collected_warnings():  # said when the image is described
        axes, transforms = from_coordinates(levels)
    after = _signs(base, axes)
    result, mirrored = {}, dict[str, None]()
    for (path, array), transform in zip(levels.items(), transforms, strict=True):
        dims = {
            axis.name: axis.type
            for axis, scale, sign in zip(axes, transform.scale, after, strict=True)
            if scale * sign < 0
        }
        result[path] = _reversed(array, dims)
        mirrored |= {dim: None for dim, kind in dims.items() if kind != "channel"}
    return result, list(mirrored)


def _signs(base: Multiscale | None, axes: tuple[Axis, ...]) -> list[int]:
    """Along which axes what follows the levels of a file mirrors it, where an older version is written."""
    dims = [axis.name for axis in axes]
    if base is None or sorted(base.dims) != sorted(dims) or needs_affine(base):
        return [1] * len(dims)
    whole = shown_affine(base, view(base, None, where=""))
    transform = None if whole is None else as_scale_translation(whole)
    if transform is None:
        return [1] * len(dims)
    scales = dict(zip(base.dims, transform.scale, strict=True))
    return [-1 if scales[dim] < 0 else 1 for dim in dims]


def _reversed(array: DataArray, dims: Mapping[str, str | None]) -> DataArray:
    """An array in reverse along some dims, with its coordinates; channels stay in their order."""
    for dim, kind in dims.items():
        if kind == "channel":
            array = array.drop_vars(dim)
            continue
        array = array.isel({dim: slice(None, None, -1)})
        attrs = array.coords[dim].attrs
        if isinstance(attrs.get("scale"), int | float):
            attrs["scale"] = -attrs["scale"]
    return array


def check_ascending(arrays: Levels) -> None:
    """Refuse axes along which positions descend, of arrays that others fill: nobody would reverse those."""
    axes, transforms = from_coordinates(arrays)
    for axis, scale in zip(axes, transforms[0].scale, strict=True):
        if scale < 0:
            raise CoordinateError(
                f"Positions descend along axis {axis.name!r}.",
                found=f"scale {scale:g}",
                expected="a positive scale: other programs refuse negative ones",
                hint=f"Reverse the axis: array.isel({axis.name}=slice(None, None, -1)).",
            )


def placed_on(
    label: DataArray, axes: Sequence[Axis], finest: ScaleTranslation, shape: Sequence[int]
) -> DataArray:
    """Return a label image with the coordinates of its image along the axes along which it has none.

    `axes`, `finest` and `shape` are those of level 0 of the image. Where a label image is smaller, each of
    its voxels stands for as many of the image as go into it.
    """
    names = [axis.name for axis in axes]
    missing = [names.index(str(dim)) for dim in label.dims if dim in names and dim not in label.coords]
    if not missing or not set(label.dims) <= set(names):
        return label
    sizes = [label.sizes[names[i]] for i in missing]
    factors = [max(1, round(shape[i] / max(1, size))) for i, size in zip(missing, sizes, strict=True)]
    steps = [finest.scale[i] for i in missing]
    place = ScaleTranslation(
        scale=tuple(step * factor for step, factor in zip(steps, factors, strict=True)),
        translation=tuple(
            finest.translation[i] + step * (factor - 1) / 2
            for i, step, factor in zip(missing, steps, factors, strict=True)
        ),
    )
    return label.assign_coords(axis_coordinates([axes[i] for i in missing], place, sizes))
