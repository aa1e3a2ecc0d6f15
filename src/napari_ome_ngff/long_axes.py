"""Axes that are too long for ordinary coordinates: positions are worked out when they are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xarray import Coordinates, DataArray

ORDINARY = 2**18  # longer axes get positions that are worked out when they are asked for


_ORDINARY_IN_ALL = 2**20  # positions of all levels of an image together


_ALWAYS_ORDINARY = 2**12


def longest_ordinary(shapes: Iterable[Sequence[int]]) -> int:
    """Return how long an axis of an image with levels of these shapes may be to get ordinary coordinates."""
    together = sum(size for shape in shapes for size in shape if size <= ORDINARY)
    return ORDINARY if together <= _ORDINARY_IN_ALL else _ALWAYS_ORDINARY


def lazy_coordinate(
    name: str, translation: float, scale: float, size: int, attrs: Mapping[str, object]
) -> Coordinates:
    """Return the coordinate of one axis, with a ``RangeIndex``."""
    from xarray import Coordinates
    from xarray.indexes import RangeIndex

    # Half a voxel short of the end: rounding cannot add a voxel.
    stop = translation + scale * (size - 0.5)
    index: Any = RangeIndex.arange(translation, stop, scale, dim=name)
    # So far from 0 that voxels cannot be told apart; or xarray 2026.2 and older, which divides the range that
    # it is given by the size.
    if index.size != size or index.transform.step != scale:
        end = translation + scale * size
        index = RangeIndex.linspace(translation, end, size, endpoint=False, dim=name)
    coordinates = Coordinates.from_xindex(index)
    coordinates.variables[name].attrs.update(attrs)
    return coordinates


def is_range(array: DataArray, dim: str) -> bool:
    """Return whether the coordinate of a dim is regular by what it is, without its values."""
    from xarray.indexes import RangeIndex

    return array.sizes[dim] > 2 and isinstance(array.xindexes.get(dim), RangeIndex)
