"""Channels from the coordinates of a DataArray, and defaults for their colours and contrast."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ome_ngff.coordinates import CHANNEL_LABEL
from napari_ome_ngff.irregular_axes import names_in
from napari_ome_ngff.metadata.nouns import Axis, Channel, Multiscale, Window
from napari_ome_ngff.metadata.transforms import level_transform

if TYPE_CHECKING:
    from xarray import DataArray

_COLORS = MappingProxyType({1: ("FFFFFF",), 2: ("FF00FF", "00FF00")})


_MANY = ("00FFFF", "FFFF00", "FF00FF", "FF0000", "00FF00", "0000FF")


def channels_of(array: DataArray, axes: Sequence[Axis]) -> tuple[Channel, ...]:
    """Make channels from names along the channel dim, with colours; their contrast is that of the pixels.

    The names are the coordinate ``channel_label``, or the channel dim's own if it holds text; empty without.
    """
    dim = next((axis.name for axis in axes if axis.type == "channel"), None)
    if dim is None:
        return ()
    candidates = [c for name in (CHANNEL_LABEL, dim) if (c := array.coords.variables.get(name)) is not None]
    names = next((n for c in candidates if c.dims == (dim,) and (n := names_in(c)) is not None), None)
    if names is None:
        return ()
    return tuple(Channel(label=label, color=default_color(i, len(names))) for i, label in enumerate(names))


def channels_at(multiscale: Multiscale, finest: DataArray) -> tuple[Channel, ...]:
    """Return those of a multiscale's channels that a part of its finest level still has."""
    axis, channels = multiscale.channel_axis, multiscale.channels
    dim = None if axis is None else multiscale.dims[axis]
    if axis is None:
        return channels
    transform = level_transform(multiscale, 0)
    if dim in finest.coords and finest.coords[dim].dtype.kind in "iuf":
        places = (np.atleast_1d(finest.coords[dim].values) - transform.translation[axis]) / transform.scale[
            axis
        ]
        if all(place.is_integer() and 0 <= place < len(channels) for place in places.astype(float)):
            return tuple(channels[int(place)] for place in places)
    return channels if len(channels) == finest.sizes.get(dim, 1) else ()


def default_color(index: int, count: int) -> str:
    """Return the colour of a channel that has none: the one that napari gives to it."""
    colors = _COLORS.get(count, _MANY)
    return colors[index % len(colors)]


def default_window(dtype: np.dtype[Any]) -> Window:
    """Return the contrast that shows every value of a data type: its range, or 0 to 1 for floating point."""
    low, high = 0.0, 1.0
    if dtype.kind in "iu":
        low, high = float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)
    return Window(start=low, end=high, min=low, max=high)
