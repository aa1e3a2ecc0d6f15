"""From the transforms of OME-Zarr to the coordinates of xarray, and back.

A coordinate is the position of a voxel's centre: ``scale * index + translation`` in the axis' unit. The
way back accepts only what OME-Zarr can say, a regular grid, and names the axis and the index otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from napari_ome_ngff.arguments import is_of_pint, shown
from napari_ome_ngff.errors import CoordinateError, MetadataError
from napari_ome_ngff.irregular_axes import (
    check_regular,
    coordinate_attrs,
    names_in,
    seconds_of,
    true_positions,
)
from napari_ome_ngff.long_axes import ORDINARY, is_range, lazy_coordinate
from napari_ome_ngff.metadata.nouns import Axis, Json, Multiscale, ScaleTranslation
from napari_ome_ngff.metadata.transforms import level_transform
from napari_ome_ngff.metadata.units import axis_type, canonical_unit, is_udunits

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from xarray import Coordinates, DataArray, Variable

CHANNEL_LABEL = "channel_label"
"""Name of the coordinate that holds the channels' names along the channel dim."""


MAX_LENGTH = 2**31
"""Longest axis that is read. No image is as long, but a damaged file may say so."""


_MOST_NAMED = 10_000  # channels that get a name each


_JITTER = 0.01  # of the mean step: from here on the grid says something else than the positions


_TIDY_TOLERANCE = 1e-10  # of a voxel, over the whole axis


def to_coordinates(
    multiscale: Multiscale,
    index: int,
    shape: Sequence[int],
    *,
    lazy_above: int = ORDINARY,
    stored: Mapping[str, Json] = MappingProxyType({}),
) -> dict[Hashable, Variable] | Coordinates:
    """Return the coordinates of one level by name: the positions of voxel centres along each axis.

    They carry ``units`` and ``type`` where the metadata have them, and ``scale``, the distance between two
    voxels, which an axis of a single voxel cannot tell otherwise. Names of channels become ``channel_label``
    along the channel axis. `stored` are attributes of the image's group: true times and other positions in
    them take the place of regular ones.
    """
    from xarray import Variable

    if len(shape) != len(multiscale.axes):
        raise MetadataError(
            f"Level {multiscale.levels[index].path!r} has {len(shape)} dimensions, its axes are "
            f"{', '.join(multiscale.dims)}.",
            found=f"shape {tuple(shape)}",
            expected="one axis per dimension of the array",
        )
    check_lengths(multiscale.levels[index].path, shape)
    labels = _channel_labels(multiscale, shape)
    names: dict[Hashable, Variable] = {}
    if labels is not None:
        # fastpath: see `axis_coordinates`
        names[CHANNEL_LABEL] = Variable(
            (multiscale.axes[labels[0]].name,), np.array(labels[1]), fastpath=True
        )
    transform = level_transform(multiscale, index)
    names |= true_positions(stored, multiscale.axes, shape, transform)
    return axis_coordinates(multiscale.axes, transform, shape, lazy_above=lazy_above, others=names)


def axis_coordinates(
    axes: Sequence[Axis],
    transform: ScaleTranslation,
    shape: Sequence[int],
    *,
    lazy_above: int = ORDINARY,
    others: Mapping[Hashable, Variable] = MappingProxyType({}),
) -> dict[Hashable, Variable] | Coordinates:
    """Return the positions of voxel centres along each axis, with its unit, type and scale as attributes.

    They are variables, together with `others`, which may take the place of one; where an axis is longer than
    `lazy_above`, xarray's own `Coordinates`, in which that axis has a ``RangeIndex``: nothing is worked out
    before it is asked for.
    """
    import pandas as pd
    from xarray import Coordinates, Variable

    coordinates: dict[Hashable, Variable] = {}
    lazy: list[Coordinates] = []
    for axis, size, scale, translation in zip(
        axes, shape, transform.scale, transform.translation, strict=True
    ):
        if axis.name in others:
            continue
        attrs = coordinate_attrs(axis, scale)
        if size > lazy_above:
            lazy.append(lazy_coordinate(axis.name, translation, scale, size, attrs))
            continue
        values = translation + scale * np.arange(size, dtype=np.float64)
        # As an index: of an array xarray asks whether it is one of dask or pint, and imports both.
        coordinates[axis.name] = Variable((axis.name,), pd.Index(values), attrs)
    coordinates |= others
    if not lazy:
        return coordinates
    result = Coordinates(coordinates)
    for each in lazy:
        result = result.assign(each)
    return result


def check_lengths(path: str, shape: Sequence[int]) -> None:
    """Refuse the level at a path if an axis is longer than any image can be."""
    if max(shape, default=0) > MAX_LENGTH:
        raise MetadataError(
            f"Level {path!r} is said to be too large to be an image.",
            found=f"shape {tuple(shape)}",
            expected=f"at most {MAX_LENGTH} voxels along an axis",
        )


def grid_of(level: DataArray) -> ScaleTranslation:
    """Return scale and translation of a level exactly as `to_coordinates` put them into its coordinates."""
    variables = level.coords.variables  # coords[dim] would make a DataArray for each
    coordinates = [variables[dim] for dim in level.dims]
    return ScaleTranslation(
        scale=tuple(coordinate.attrs["scale"] for coordinate in coordinates),
        # Not the difference of two positions: index 0 is the translation to the last bit. A slice, since a
        # single value would have xarray ask whether it is one of dask.
        translation=tuple(
            float(seconds_of(c[:1])[0] if c.dtype.kind in "mM" else c[:1].values[0]) for c in coordinates
        ),
    )


def _channel_labels(multiscale: Multiscale, shape: Sequence[int]) -> tuple[int, list[str]] | None:
    position = multiscale.channel_axis
    size = 0 if position is None else shape[position]
    if position is None or size > _MOST_NAMED or not any(channel.label for channel in multiscale.channels):
        return None
    names = [channel.label or f"Channel {i}" for i, channel in enumerate(multiscale.channels[:size])]
    names += [f"Channel {i}" for i in range(len(names), size)]
    return position, names[:size]


def from_coordinates(
    arrays: Mapping[str, DataArray],
) -> tuple[tuple[Axis, ...], tuple[ScaleTranslation, ...]]:
    """Return axes and level transforms that say in OME-Zarr what the arrays' coordinates say in xarray.

    The levels are given finest first. Axes follow ``dims``, never the order of ``coords``. Defined results
    for what coordinates leave open:

    - A dim without coordinate has scale 1 and translation 0 at the finest level, and is placed by its size
      relative to that level at the others.
    - A dim of size 1 has the scale of its coordinate's attribute ``scale``, else that of the finest level
      times the factor between the two, else 1.
    - Descending coordinates give a negative scale.
    - A channel dim whose coordinate holds names (strings, or numbers such as wavelengths) has scale 1 and
      translation 0.
    - Durations (``timedelta64``) and points in time (``datetime64``, since the first) become seconds.
    - What is not regular and not in space has the mean step: see `with_positions`.
    """
    if not arrays:
        raise CoordinateError("There is no array to describe.", hint="Give at least one level.")
    finest_key, finest = next(iter(arrays.items()))
    dims = tuple(str(dim) for dim in finest.dims)
    for key, array in arrays.items():
        if tuple(str(dim) for dim in array.dims) != dims:
            raise CoordinateError(
                f"Levels {finest_key!r} and {key!r} have different dims.",
                found=f"{dims} and {tuple(array.dims)}",
                expected="the same dims in the same order at every level",
                hint=f"Use .transpose{dims}.",
            )
    axes = tuple(_axis(arrays, dim) for dim in dims)
    base = [_grid(finest, axis, finest_key) for axis in axes]
    finest_grid = [
        (1.0 if scale is None else scale, 0.0 if start is None else start) for scale, start in base
    ]
    transforms: list[ScaleTranslation] = []
    for key, array in arrays.items():
        grid = []
        own = base if array is finest else [_grid(array, axis, key) for axis in axes]
        for i, (reference, given) in enumerate(zip(finest_grid, own, strict=True)):
            size, most = array.shape[i], finest.shape[i]
            if size == 1 < most and given[0] in [finer.scale[i] for finer in transforms]:
                given = _not_left_over(given, reference)
            grid.append(_complete(given, reference, most, size))
        scale, translation = zip(*grid, strict=True)
        transforms.append(ScaleTranslation(scale=scale, translation=translation))
    return axes, tuple(transforms)


def _axis(arrays: Mapping[str, DataArray], dim: str) -> Axis:
    """Return the axis that all levels agree on; a level without unit or type agrees with any."""
    units: dict[str, str] = {}
    types: dict[str, str] = {}
    for key, array in arrays.items():
        coordinate = array.coords.variables.get(dim)
        attrs = {} if coordinate is None else coordinate.attrs
        given = attrs.get("units", attrs.get("unit"))
        if is_of_pint(given):
            given = str(given)
        if not isinstance(given, str | None):
            raise CoordinateError(
                f"The unit of axis {dim!r} is no text.",
                found=shown(given),
                hint=f'Set array.coords["{dim}"].attrs["units"] to str(unit), for example "micrometer".',
            )
        is_time = coordinate is not None and coordinate.dtype.kind in "mM"
        unit = "second" if is_time else canonical_unit(given)
        if unit is not None:
            units[key] = unit
        if attrs.get("type") is not None:
            types[key] = str(attrs["type"])
    for what, by_level in (("units", units), ("types", types)):
        if len(set(by_level.values())) > 1:
            raise CoordinateError(
                f"The levels give axis {dim!r} different {what}.",
                found=", ".join(f"{value!r} at level {key!r}" for key, value in by_level.items()),
                expected="the same at every level",
            )
    unit = next(iter(units.values()), None)
    kind = next(iter(types.values()), None) or axis_type(dim, unit)
    if unit is not None and kind in ("space", "time") and not is_udunits(unit, kind):
        raise CoordinateError(
            f"Axis {dim!r} has the unit {unit!r}, which is no UDUNITS name for {kind}.",
            expected='a name such as "micrometer" or "second", or no unit',
            hint=f'Set array.coords["{dim}"].attrs["units"], or delete it.',
        )
    return Axis(name=dim, type=kind, unit=unit)


def _grid(array: DataArray, axis: Axis, key: str) -> tuple[float | None, float | None]:
    """``(scale, translation)`` of one dim as far as its own coordinate has them; else None."""
    coordinate = array.coords.variables.get(axis.name)  # a DataArray of it takes 20 times as long
    if coordinate is None or coordinate.ndim != 1 or coordinate.size == 0:
        return None, None
    size = coordinate.size
    # The positions of a RangeIndex are regular, and may be too many to be worked out.
    values = _numbers(coordinate[[0, -1]] if is_range(array, axis.name) else coordinate, axis, key)
    if values is None:
        return 1.0, 0.0
    start = float(values[0])
    given = coordinate.attrs.get("scale")
    usable = isinstance(given, int | float) and math.isfinite(given) and given != 0
    exact = float(given) if usable and given is not None else None
    if size == 1:
        return exact, start
    step = (float(values[-1]) - start) / (size - 1)
    if values.size == size:
        check_regular(values, step, coordinate.dtype, axis, key)
    if exact is not None and abs(exact - step) * (size - 1) <= _TIDY_TOLERANCE * abs(step):
        return exact, _tidy(start, abs(step))
    return _tidy(step, abs(step) / (size - 1)), _tidy(start, abs(step))


def _numbers(coordinate: Variable, axis: Axis, key: str) -> NDArray[np.float64] | None:
    """Return the coordinate as numbers in the axis' unit; None for the names of channels."""
    kind = coordinate.dtype.kind
    where = f"level {key!r}, axis {axis.name!r}"
    if axis.type == "channel" and names_in(coordinate) is not None:
        return None
    if kind in "mM":
        return seconds_of(coordinate)
    if kind not in "iufb":
        raise CoordinateError(
            f"The coordinate of axis {axis.name!r} is not made of numbers.",
            where=where,
            found=f"dtype {coordinate.dtype}, first value {coordinate.values[0]!r} at index 0",
            expected="numbers or times (names are for a channel axis only)",
        )
    values: NDArray[np.float64] = np.asarray(coordinate.values, dtype=np.float64)
    if not (finite := np.isfinite(values)).all():
        bad = int(np.argmin(finite))
        raise CoordinateError(
            f"The coordinate of axis {axis.name!r} is not finite at index {bad}.",
            where=where,
            found=str(values[bad]),
        )
    return values


def _not_left_over(
    grid: tuple[float | None, float | None], finest: tuple[float, float]
) -> tuple[float | None, float | None]:
    """The grid of one voxel without the scale of a finer level that its place does not agree with.

    xarray's coarsen keeps attributes, so that the mean of several voxels still has the scale of one.
    """
    start = grid[1]
    return (None, start) if start is not None and (start - finest[1]) / finest[0] > 0 else grid


def _complete(
    grid: tuple[float | None, float | None], reference: tuple[float, float], finest_size: int, size: int
) -> tuple[float, float]:
    """Fill what a level's own coordinate leaves open from the finest level and the factor between them."""
    scale, start = grid
    finest_scale, finest_start = reference
    if start is None:
        # No coordinate: the usual factor for these sizes, and the mean of the voxels it is made from.
        factor = max(1, round(finest_size / max(size, 1)))
        return finest_scale * factor, finest_start + finest_scale * (factor - 1) / 2
    if scale is None:
        # One voxel: the mean of f voxels lies (f - 1)/2 voxels after the first (0.6, "Axes"); a sample of
        # them lies at the first, and then only the sizes give the factor.
        offset = (start - finest_start) / finest_scale
        ratio = 2 * offset + 1 if offset > 0 else max(1, finest_size // max(size, 1))
        return finest_scale * ratio, start
    return scale, start


def _tidy(value: float, tolerance: float) -> float:
    """Return the shortest decimal close enough to a number: 0.1, not 0.10000000000000003."""
    for digits in range(6, 17):
        candidate = float(f"{value:.{digits}g}")
        if abs(candidate - value) <= _TIDY_TOLERANCE * tolerance:
            return candidate
    return value
