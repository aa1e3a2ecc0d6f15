"""Which dimension of an image becomes channels, which are displayed, and where layers lie. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from napari_ome_ngff.metadata.nouns import Axis, Multiscale
from napari_ome_ngff.metadata.units import canonical_unit, is_udunits

MAX_CHANNEL_LAYERS = 64
"""Longer channel axes (spectra) become a slider: napari needs about 0.1 s to add each layer."""


_SAME_RATIO = 0.02


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


@dataclass(frozen=True, kw_only=True)
class Frame:
    """Where an image lies in its own coordinate system. One entry per dimension, in the order of display.

    Parameters
    ----------
    dims
        Names of the dimensions, as in the file.
    scale, translate
        Of the finest level.
    units
        That napari understands.
    shape
        Of the finest level.
    """

    dims: tuple[str, ...]
    scale: tuple[float, ...]
    translate: tuple[float, ...]
    units: tuple[str, ...]
    shape: tuple[int, ...]


def layout(multiscale: Multiscale, shape: Sequence[int], *, split: bool = True) -> Layout:
    """Return which dimension becomes channels, and the order of the others: y and x last.

    Parameters
    ----------
    multiscale
        What the file says of the axes.
    shape
        Shape of the finest level.
    split
        False to keep the channels together, as one more dimension.

    Examples
    --------
    >>> from napari_ome_ngff.metadata.nouns import Axis
    >>> axes = [Axis(name=n, type="channel" if n == "c" else "space") for n in "xycz"]
    >>> layout(Multiscale(version="0.5", axes=tuple(axes), levels=()), (9, 8, 2, 7)).order
    (3, 1, 0)
    """
    channel = multiscale.channel_axis if split else None
    if channel is not None and (shape[channel] > MAX_CHANNEL_LAYERS or len(shape) < 3):
        channel = None
    order = display_order(multiscale.axes)
    return Layout(channel=channel, order=tuple(i for i in order if i != channel))


def display_order(axes: Sequence[Axis]) -> tuple[int, ...]:
    """Return the positions of axes as napari is to show them: what is not space first, y and x last.

    Axes of space that are not called y and x keep the order that they have.

    Examples
    --------
    >>> display_order([Axis(name="X"), Axis(name="Y"), Axis(name="t"), Axis(name="z", type="space")])
    (2, 3, 1, 0)
    """
    names = {axis.name.lower(): i for i, axis in enumerate(axes) if axis.type != "channel"}
    last = [names["y"], names["x"]] if "y" in names and "x" in names else []
    space = [i for i, axis in enumerate(axes) if axis.type == "space" and i not in last]
    return tuple([i for i in range(len(axes)) if i not in last + space] + space + last)


def shown_units(axes: Sequence[Axis]) -> tuple[str, ...]:
    """Return a unit that napari understands for each axis: ``"pixel"`` where the file's cannot be said.

    napari refuses to open a layer with a unit that pint cannot parse, so only the names of OME-NGFF pass.

    Examples
    --------
    >>> shown_units((Axis(name="y", unit="um"), Axis(name="x", unit="a.u.")))
    ('micrometer', 'pixel')
    """
    units = [canonical_unit(axis.unit) for axis in axes]
    return tuple(unit if unit is not None and is_udunits(unit, "") else "pixel" for unit in units)


def missing_dims(own: Frame, frame: Frame, *, every: bool = False) -> list[tuple[int, str]]:
    """Return the dimensions of the image that a label image lacks, and where they belong among its own.

    napari aligns layers from the right by position: (t, y, x) over (t, z, y, x) would put time on z.

    Parameters
    ----------
    own, frame
        Of the label image and of its image.
    every
        Whether those left of the label image's first dimension count too: napari does without them.

    Examples
    --------
    >>> def of(dims): return Frame(dims=tuple(dims), scale=(), translate=(), units=(), shape=())
    >>> missing_dims(of("tyx"), of("ctzyx")), missing_dims(of("tyx"), of("ctzyx"), every=True)
    ([(1, 'z')], [(0, 'c'), (2, 'z')])
    """
    extra = [dim for dim in own.dims if dim not in frame.dims]
    known = list(own.dims[len(extra) :])
    if extra != list(own.dims[: len(extra)]) or not known:
        return []  # nothing in common, or other dims between: there is no place for more
    wanted = frame.dims if every or extra else frame.dims[frame.dims.index(known[0]) :]
    if [dim for dim in wanted if dim in known] != known:
        return []
    return [(i + len(extra), dim) for i, dim in enumerate(wanted) if dim not in known]


def renamed(own: Frame, frame: Frame) -> Frame:
    """Return a label image's frame with the image's spelling of its dimensions.

    Examples
    --------
    >>> label = Frame(dims=("Y", "X"), scale=(1, 1), translate=(0, 0), units=("pixel",) * 2, shape=(4, 4))
    >>> image = Frame(dims=("z", "y", "x"), scale=(1,) * 3, translate=(0,) * 3, units=("",) * 3, shape=())
    >>> renamed(label, image).dims
    ('y', 'x')
    """
    known = {dim.lower(): dim for dim in frame.dims}
    dims = tuple(known.get(dim.lower(), dim) for dim in own.dims)
    return replace(own, dims=dims) if len(set(dims)) == len(dims) else own


def aligned(own: Frame, frame: Frame, inserted: Sequence[tuple[int, str]]) -> Frame:
    """Return the frame of a label image over its image.

    It gets the image's units where it has none, and is one thick voxel along a dimension that it lacks.
    """
    scale, translate, dims = list(own.scale), list(own.translate), list(own.dims)
    units, shape = list(own.units), list(own.shape)
    for i, dim in enumerate(own.dims):
        # Axes of other names are laid over those of the image by napari, from the right.
        j = frame.dims.index(dim) if dim in frame.dims else len(frame.dims) - len(own.dims) + i
        if units[i] == "pixel" and j >= 0 and (dim in frame.dims or not set(dims) & set(frame.dims)):
            units[i] = frame.units[j]
    for position, dim in inserted:
        j = frame.dims.index(dim)
        size, step = frame.shape[j], frame.scale[j]
        scale.insert(position, step * size)
        translate.insert(position, frame.translate[j] + step * (size - 1) / 2)
        units.insert(position, frame.units[j])
        dims.insert(position, dim)
        shape.insert(position, 1)
    return Frame(
        dims=tuple(dims),
        scale=tuple(scale),
        translate=tuple(translate),
        units=tuple(units),
        shape=tuple(shape),
    )


def laid_over(own: Frame, frame: Frame) -> Frame | None:
    """Return the frame of a label image that does not say where it lies: edge to edge over its image.

    Returns
    -------
    Frame or None
        None if it says where it lies (it has units, a scale or a translation), lies there already, or if its
        shape is not that of the image made smaller or larger.

    Examples
    --------
    >>> label = Frame(dims=("y", "x"), scale=(1, 1), translate=(0, 0), units=("pixel",) * 2, shape=(4, 8))
    >>> image = replace(label, scale=(0.5, 0.5), shape=(8, 16))
    >>> laid_over(label, image).scale, laid_over(label, image).translate
    ((1.0, 1.0), (0.25, 0.25))
    """
    if set(own.units) != {"pixel"} or set(own.scale) != {1} or set(own.translate) != {0}:
        return None
    scale, translate = list(own.scale), list(own.translate)
    ratios = {}
    for i, dim in enumerate(own.dims):
        if dim not in frame.dims:
            continue
        j = frame.dims.index(dim)
        ratio = ratios[dim] = frame.shape[j] / max(1, own.shape[i])
        scale[i] = frame.scale[j] * ratio
        translate[i] = frame.translate[j] + frame.scale[j] * (ratio - 1) / 2
    plane = [ratios[dim] for dim in own.dims[-2:] if dim in ratios]
    if len(plane) < 2 or abs(plane[0] - plane[1]) > _SAME_RATIO * max(plane):
        return None
    found = replace(own, scale=tuple(map(float, scale)), translate=tuple(map(float, translate)))
    return None if (found.scale, found.translate) == (own.scale, own.translate) else found
