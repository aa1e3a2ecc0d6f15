"""Axes that are no regular grid: names of channels, and true times and positions.

These are kept beside the mean step that is written.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ome_ngff.errors import CoordinateError, give_warning
from napari_ome_ngff.long_axes import is_range
from napari_ome_ngff.metadata.group_kind import OUR_KEYS
from napari_ome_ngff.metadata.nouns import Axis, Json, ScaleTranslation

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from xarray import DataArray, Variable

POSITIONS = f"{OUR_KEYS}positions"
"""The attribute of an image's group with the true positions along axes that are not regular, by name."""

ORIGIN = "origin"
"""Attribute of a coordinate of points in time: the one at position 0."""

GRID_TOLERANCE = 1e-3
"""Of a voxel: how far positions may be from a grid; what float32 still keeps of ten thousand voxels."""

_JITTER = 0.01  # of the mean step: from here on the grid says something else than the positions

_DTYPE = re.compile(r"(datetime64|timedelta64)\[(s|ms|us|ns)\]|u?int(8|16|32|64)|float(32|64)")


def seconds_of(coordinate: Variable) -> NDArray[np.float64]:
    """Points in time, since the coordinate's origin or the first one, or durations, in seconds."""
    values = coordinate.values
    bad = np.flatnonzero(np.isnat(values))
    if bad.size:
        raise CoordinateError(
            f"The coordinate of axis {coordinate.dims[0]!r} is not finite at index {bad[0]}.", found="NaT"
        )
    if values.dtype.kind == "M":
        values = values - _origin(coordinate)
    return np.asarray(values / np.timedelta64(1, "ns"), dtype=np.float64) / 1e9


def _origin(coordinate: Variable) -> Any:
    try:
        return np.datetime64(coordinate.attrs[ORIGIN], "ns")
    except (KeyError, ValueError, TypeError):
        return coordinate.values[0]


def deviations(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far positions are from those of a regular grid with the same ends."""
    step = (values[-1] - values[0]) / max(1, values.size - 1)
    far: NDArray[np.float64] = np.abs(values - (values[0] + step * np.arange(values.size)))
    return far


def tolerance(values: NDArray[np.float64], step: float, dtype: np.dtype[Any]) -> float:
    """How far positions that were stored as some type may be from a grid that they stand for."""
    precision = float(np.finfo(dtype).eps) if dtype.kind == "f" else 0.0
    return GRID_TOLERANCE * abs(step) + 4 * float(np.abs(values).max()) * precision


def _is_kept(coordinate: Variable) -> bool:
    """Whether scale and translation do not say all that a coordinate says: times, and what is not regular."""
    kind, size = coordinate.dtype.kind, coordinate.size
    if kind in "mM":
        return size > 0
    if kind not in "iuf" or size < 3:
        return False
    values = coordinate.values.astype(np.float64)
    step = (values[-1] - values[0]) / (size - 1)
    return bool((deviations(values) > tolerance(values, step, coordinate.dtype)).any())


def _encode(values: NDArray[Any], scale: float, translation: float) -> dict[str, Json]:
    """Positions as JSON, with the scale and translation with which they are written."""
    texts = np.datetime_as_string(values) if values.dtype.kind == "M" else values
    plain = texts.astype("i8") if values.dtype.kind == "m" else texts
    return {
        "dtype": str(values.dtype.newbyteorder("=")),
        "values": plain.tolist(),
        "scale": scale,
        "translation": translation,
    }


def _decode(stored: Json, size: int, scale: float, translation: float) -> NDArray[Any] | None:
    """Positions that were stored; None if the axis is not the one that they were stored for any more."""
    if not isinstance(stored, Mapping) or [stored.get("scale"), stored.get("translation")] != [
        scale,
        translation,
    ]:
        return None
    values, dtype = stored.get("values"), stored.get("dtype")
    if not isinstance(values, list) or len(values) != size or not isinstance(dtype, str):
        return None
    if not _DTYPE.fullmatch(dtype) or not all(isinstance(value, int | float | str) for value in values):
        return None
    try:
        decoded = np.array(values, dtype=dtype)
    except (ValueError, TypeError, OverflowError):
        return None
    missing = np.isnat(decoded) if decoded.dtype.kind in "mM" else ~np.isfinite(decoded)
    return None if missing.any() else decoded


def longer_positions(
    stored: Json, size: int, more: NDArray[Any] | None
) -> tuple[dict[str, Json], float] | None:
    """Stored positions, of so many voxels, with more at their end, and their mean step (s).

    None if they are of another number of voxels, or of another kind.
    """
    if not isinstance(stored, Mapping):
        return None
    scale: Any = stored.get("scale")
    translation: Any = stored.get("translation")
    old = _decode(stored, size, scale, translation)
    if old is None or more is None or old.dtype.kind != more.dtype.kind:
        return None
    together = np.concatenate([old, more])
    span = together[-1] - together[0]
    if together.dtype.kind in "mM":
        span = span / np.timedelta64(1, "s")
    step = float(f"{float(span) / (together.size - 1):.12g}")
    return _encode(together, scale, translation), step


def coordinate_attrs(
    axis: Axis, scale: float, translation: float = 0.0, values: NDArray[Any] | None = None
) -> dict[str, object]:
    """The attributes of a coordinate; times have no unit, but the one that position 0 is."""
    attrs: dict[str, object] = {"scale": scale, "units": axis.unit, "type": axis.type}
    if values is not None and values.dtype.kind in "mM":
        del attrs["units"]
    if values is not None and values.dtype.kind == "M":
        since = np.timedelta64(round(translation * 1e9), "ns")
        attrs[ORIGIN] = str(values[0].astype("datetime64[ns]") - since)
    return {name: value for name, value in attrs.items() if value is not None}


def true_positions(
    attributes: Mapping[str, Json], axes: Sequence[Axis], shape: Sequence[int], transform: ScaleTranslation
) -> dict[Hashable, Variable]:
    """Return the coordinates of a level that the attributes of its group know better than its transform."""
    from xarray import Variable

    kept, coordinates = attributes.get(POSITIONS), dict[Hashable, Variable]()
    if not isinstance(kept, Mapping):
        return coordinates
    for axis, size, scale, start in zip(axes, shape, transform.scale, transform.translation, strict=True):
        if (values := _decode(kept.get(axis.name), size, scale, start)) is not None:
            attrs = coordinate_attrs(axis, scale, start, values)
            coordinates[axis.name] = Variable((axis.name,), values, attrs)
    return coordinates


def with_positions(
    attributes: Mapping[str, Json], array: DataArray, axes: Sequence[Axis], transform: ScaleTranslation
) -> dict[str, Json]:
    """Return attributes of a group with what `transform` does not say of a level: times, irregular positions.

    A warning says where they are far from the grid that other programs see. Those that are there already stay
    for a part of the axis that is regular, as napari's layers are.
    """
    old = attributes.get(POSITIONS)
    positions: dict[str, Json] = {}
    for axis, scale, start in zip(axes, transform.scale, transform.translation, strict=True):
        coordinate = array.coords.variables.get(axis.name)
        if axis.type in ("space", "channel") or is_range(array, axis.name):
            continue
        if coordinate is not None and _is_kept(coordinate):
            positions[axis.name] = _encode(coordinate.values, scale, start)
            _warn_of_jitter(coordinate, axis)
        elif isinstance(old, Mapping):
            kept = _part(old.get(axis.name), scale, start, array.sizes[axis.name])
            positions |= {} if kept is None else {axis.name: kept}
    rest = {key: value for key, value in attributes.items() if key != POSITIONS}
    return {**rest, POSITIONS: positions} if positions else rest


def _warn_of_jitter(coordinate: Variable, axis: Axis) -> None:
    values = seconds_of(coordinate) if coordinate.dtype.kind in "mM" else coordinate.values.astype(float)
    step = abs(values[-1] - values[0]) / max(1, values.size - 1)
    far = deviations(values)
    at = int(np.argmax(far))
    if far[at] > _JITTER * step:
        unit = f" {axis.unit}" if axis.unit else ""
        message = f"Axis {axis.name!r} is not regular. Its mean step is written, {step:g}{unit}, from which "
        message += f"index {at} is {far[at]:g} away; its true positions are kept beside it."
        give_warning(message, stacklevel=4)


def _part(stored: Json, scale: float, translation: float, size: int) -> dict[str, Json] | None:
    """Stored positions for a part of the axis that is a regular grid; None if it is no part of it."""
    if not isinstance(stored, Mapping) or not isinstance(values := stored.get("values"), list):
        return None
    old_scale, old_start = stored.get("scale"), stored.get("translation")
    if not isinstance(old_scale, int | float) or not isinstance(old_start, int | float) or not old_scale:
        return None
    first = (translation - old_start) / old_scale
    index = round(first) if np.isfinite(first) else -1
    same = abs(scale - old_scale) <= GRID_TOLERANCE * abs(old_scale) and abs(first - index) <= GRID_TOLERANCE
    if not same or not 0 <= index <= len(values) - size:
        return None
    return {**stored, "values": values[index : index + size], "scale": scale, "translation": translation}


def check_regular(
    values: NDArray[np.float64], step: float, dtype: np.dtype[Any], axis: Axis, key: str
) -> None:
    """Refuse a coordinate in space that is not regular, and any that stands still."""
    wrong = np.flatnonzero(deviations(values) > tolerance(values, step, dtype))
    if step == 0 or (wrong.size and axis.type == "space"):
        expected = values[0] + step * np.arange(values.size)
        at = int(wrong[0]) if wrong.size else 1
        raise CoordinateError(
            f"The coordinate of axis {axis.name!r} is not regular at index {at}.",
            where=f"level {key!r}, axis {axis.name!r}",
            found=f"{values[at]:g}",
            expected=f"{expected[at]:g}: OME-Zarr stores one distance between voxels per axis, not zero",
            hint="Resample the image, or drop the coordinate.",
        )


def names_in(coordinate: Variable) -> list[str] | None:
    """Return what a coordinate of channels calls them: texts, or numbers that do not just count them.

    None for positions, which say their scale, and for 0, 1, 2 ...
    """
    values = coordinate.values
    if values.dtype.kind in "OUST":
        return [v.decode(errors="replace") if isinstance(v, bytes) else str(v) for v in values]
    if values.dtype.kind not in "iuf" or "scale" in coordinate.attrs or not np.isfinite(values).all():
        return None
    if np.array_equal(values, np.arange(values.size)):
        return None
    return [str(int(value)) if float(value).is_integer() else f"{value:.15g}" for value in values]
