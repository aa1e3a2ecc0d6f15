"""Which dimension of an image becomes channels, which are displayed, and where layers lie. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from napari_ome_ngff.metadata.model import Multiscale
from napari_ome_ngff.metadata.units import canonical_unit, is_udunits

MAX_CHANNEL_LAYERS = 64
"""Longer channel axes (spectra) become a slider: napari needs about 0.1 s to add each layer."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How the dimensions of a multiscale become those of a layer.

    Parameters
    ----------
    channel
        Position of the dimension that becomes layers (or the colours of an RGB layer), or None.
    order
        Positions of the others, in the layer's order.
    """

    channel: int | None
    order: tuple[int, ...]

    def pick(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """Return one value per layer dimension from one per dimension of the multiscale."""
        return tuple(values[i] for i in self.order)

    @property
    def order_after(self) -> tuple[int, ...]:
        """The order, counted without the channel dimension once that is taken out."""
        return tuple(i - (self.channel is not None and i > self.channel) for i in self.order)


@dataclass(frozen=True, kw_only=True)
class Frame:
    """Where an image's layers are: what its label images are aligned with. One entry per layer dimension."""

    dims: tuple[str, ...]
    scale: tuple[float, ...]
    translate: tuple[float, ...]
    units: tuple[str, ...]
    shape: tuple[int, ...]


def layout(multiscale: Multiscale, shape: Sequence[int]) -> Layout:
    """Return which dimension becomes channels, and the order of the others: y and x last.

    Parameters
    ----------
    multiscale
        What the file says of the axes.
    shape
        Shape of the finest level.

    Examples
    --------
    >>> from napari_ome_ngff.metadata.model import Axis
    >>> axes = [Axis(name=n, type="channel" if n == "c" else "space") for n in "xycz"]
    >>> layout(Multiscale(version="0.5", axes=tuple(axes), levels=()), (9, 8, 2, 7)).order
    (3, 1, 0)
    """
    channel = multiscale.channel_axis
    if channel is not None and (shape[channel] > MAX_CHANNEL_LAYERS or len(shape) < 3):
        channel = None
    rest = [i for i in range(len(shape)) if i != channel]
    names = {axis.name.lower(): i for i, axis in enumerate(multiscale.axes) if i != channel}
    if "y" in names and "x" in names:
        last = [names["y"], names["x"]]
    else:
        last = [i for i in rest if multiscale.axes[i].type == "space"]
    return Layout(channel=channel, order=tuple([i for i in rest if i not in last] + last))


def shown_units(multiscale: Multiscale) -> tuple[str, ...]:
    """Return a unit that napari understands for each axis: ``"pixel"`` where the file's cannot be said.

    napari refuses to open a layer with a unit that pint cannot parse, so only the names of OME-NGFF pass.

    Examples
    --------
    >>> from napari_ome_ngff.metadata.model import Axis
    >>> axes = (Axis(name="y", unit="um"), Axis(name="x", unit="a.u."))
    >>> shown_units(Multiscale(version="0.5", axes=axes, levels=()))
    ('micrometer', 'pixel')
    """
    units = [canonical_unit(axis.unit) for axis in multiscale.axes]
    return tuple(unit if unit is not None and is_udunits(unit, "") else "pixel" for unit in units)


def placement(frame: Frame, *, multiscale: bool) -> dict[str, Any]:
    """Return the arguments that place a layer."""
    return {
        "scale": frame.scale,
        "translate": frame.translate,
        "units": frame.units,
        "axis_labels": frame.dims,
        "multiscale": multiscale,
    }


def missing_dims(own: Frame, frame: Frame | None) -> list[tuple[int, str]]:
    """Return the dimensions of the image that a label image lacks right of its first one, and where.

    napari aligns layers from the right by position: (t, y, x) over (t, z, y, x) would put time on z.
    """
    if frame is None or not set(own.dims) <= set(frame.dims):
        return []
    start = min((frame.dims.index(dim) for dim in own.dims), default=0)
    wanted = frame.dims[start:]
    if [dim for dim in wanted if dim in own.dims] != list(own.dims):
        return []
    return [(i, dim) for i, dim in enumerate(wanted) if dim not in own.dims]


def aligned(own: Frame, frame: Frame, inserted: Sequence[tuple[int, str]]) -> dict[str, Any]:
    """Return the arguments that place a label image over its image.

    It gets the image's units where it has none, and is one thick voxel along a dimension that it lacks.
    """
    scale, translate, dims = list(own.scale), list(own.translate), list(own.dims)
    units = list(own.units)
    for i, dim in enumerate(own.dims):
        if dim in frame.dims and units[i] == "pixel":
            units[i] = frame.units[frame.dims.index(dim)]
    for position, dim in inserted:
        j = frame.dims.index(dim)
        size, step = frame.shape[j], frame.scale[j]
        scale.insert(position, step * size)
        translate.insert(position, frame.translate[j] + step * (size - 1) / 2)
        units.insert(position, frame.units[j])
        dims.insert(position, dim)
    return {
        "scale": tuple(scale),
        "translate": tuple(translate),
        "units": tuple(units),
        "axis_labels": tuple(dims),
    }
