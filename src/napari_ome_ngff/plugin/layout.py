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

    `channel` is the position of the one that becomes layers (or the colours of an RGB layer), `order` are
    the positions of the others, in the layer's order.
    """

    channel: int | None
    order: tuple[int, ...]

    def pick(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """Return one value per layer dimension from one per dimension of the multiscale."""
        return tuple(values[i] for i in self.order)


@dataclass(frozen=True, kw_only=True)
class VoxelGrid:
    """Where the finest level lies in its image's own coordinate system, dimensions in display order."""

    dims: tuple[str, ...]
    scale: tuple[float, ...]
    translate: tuple[float, ...]
    units: tuple[str, ...]
    shape: tuple[int, ...]


def layout(multiscale: Multiscale, shape: Sequence[int], *, split: bool = True) -> Layout:
    """Return which dimension becomes channels, and the order of the others: y and x last.

    `shape` is that of the finest level; without `split` channels stay together, as one more dimension.
    """
    channel = multiscale.channel_axis if split else None
    if channel is not None and (shape[channel] > MAX_CHANNEL_LAYERS or len(shape) < 3):
        channel = None
    order = display_order(multiscale.axes)
    return Layout(channel=channel, order=tuple(i for i in order if i != channel))


def display_order(axes: Sequence[Axis]) -> tuple[int, ...]:
    """Return the positions of axes as napari is to show them: what is not space first, y and x last.

    Axes of space that are not called y and x keep the order that they have.
    """
    names = {axis.name.lower(): i for i, axis in enumerate(axes) if axis.type != "channel"}
    last = [names["y"], names["x"]] if "y" in names and "x" in names else []
    space = [i for i, axis in enumerate(axes) if axis.type == "space" and i not in last]
    return tuple([i for i in range(len(axes)) if i not in last + space] + space + last)


def shown_units(axes: Sequence[Axis]) -> tuple[str, ...]:
    """Return a unit that napari understands for each axis: ``"pixel"`` where it has none for the file's.

    napari refuses to open a layer with a unit that pint cannot parse, so only the names of OME-Zarr pass.
    """
    units = [canonical_unit(axis.unit) for axis in axes]
    return tuple(unit if unit is not None and is_udunits(unit, "") else "pixel" for unit in units)


def missing_dims(
    label_dims: Sequence[str], image_dims: Sequence[str], *, every: bool = False
) -> list[tuple[int, str]]:
    """Return the dimensions of the image that a label image lacks, and where they belong among its own.

    napari aligns layers from the right by position: (t, y, x) over (t, z, y, x) would put time on z. It does
    without those left of the label image's first dimension: they count only with `every`.
    """
    extra = [dim for dim in label_dims if dim not in image_dims]
    common = list(label_dims[len(extra) :])
    if extra != list(label_dims[: len(extra)]) or not common:
        return []  # nothing in common, or other dims between: there is no place for more
    wanted = image_dims if every or extra else image_dims[image_dims.index(common[0]) :]
    if [dim for dim in wanted if dim in common] != common:
        return []
    return [(i + len(extra), dim) for i, dim in enumerate(wanted) if dim not in common]


def renamed(label: VoxelGrid, image: VoxelGrid) -> VoxelGrid:
    """Return a label image's grid with the image's spelling of its dimensions."""
    spelling = {dim.lower(): dim for dim in image.dims}
    dims = tuple(spelling.get(dim.lower(), dim) for dim in label.dims)
    return replace(label, dims=dims) if len(set(dims)) == len(dims) else label


def aligned(label: VoxelGrid, image: VoxelGrid, inserted: Sequence[tuple[int, str]]) -> VoxelGrid:
    """Return the grid of a label image over its image.

    It gets the image's units where it has none, and is one thick voxel along a dimension that it lacks.
    """
    units = list(label.units)
    for i, dim in enumerate(label.dims):
        # Axes of other names are laid over those of the image by napari, from the right.
        j = image.dims.index(dim) if dim in image.dims else len(image.dims) - len(label.dims) + i
        if units[i] == "pixel" and j >= 0 and (dim in image.dims or not set(label.dims) & set(image.dims)):
            units[i] = image.units[j]
    rows = list(zip(label.dims, label.scale, label.translate, units, label.shape, strict=True))
    for position, dim in inserted:
        j = image.dims.index(dim)
        size, step = image.shape[j], image.scale[j]
        middle = image.translate[j] + step * (size - 1) / 2
        rows.insert(position, (dim, step * size, middle, image.units[j], 1))
    dims, scale, translate, shown, shape = zip(*rows, strict=True)
    return VoxelGrid(dims=dims, scale=scale, translate=translate, units=shown, shape=shape)


def laid_over(label: VoxelGrid, image: VoxelGrid) -> VoxelGrid | None:
    """Return the grid of a label image that does not say where it lies: edge to edge over its image.

    None if it says where it lies (it has units, a scale or a translation), lies there already, or if its
    shape is not that of the image made smaller or larger.
    """
    if set(label.units) != {"pixel"} or set(label.scale) != {1} or set(label.translate) != {0}:
        return None
    scale, translate = list(label.scale), list(label.translate)
    ratios = {}
    for i, dim in enumerate(label.dims):
        if dim not in image.dims:
            continue
        j = image.dims.index(dim)
        ratio = ratios[dim] = image.shape[j] / max(1, label.shape[i])
        scale[i] = image.scale[j] * ratio
        translate[i] = image.translate[j] + image.scale[j] * (ratio - 1) / 2
    plane = [ratios[dim] for dim in label.dims[-2:] if dim in ratios]
    if len(plane) < 2 or abs(plane[0] - plane[1]) > _SAME_RATIO * max(plane):
        return None
    stretched = replace(label, scale=tuple(map(float, scale)), translate=tuple(map(float, translate)))
    same = (stretched.scale, stretched.translate) == (label.scale, label.translate)
    return None if same else stretched
