"""What all layers of one multiscale have in common: levels, where they lie, and what they remember."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ome_ngff.coordinates import grid_of
from napari_ome_ngff.errors import OmeNgffError, UnsupportedError, give_warning
from napari_ome_ngff.metadata.nouns import Multiscale
from napari_ome_ngff.plugin.layout import Layout, VoxelGrid, layout, shown_units
from napari_ome_ngff.plugin.open.volume import misfits, sampling, with_overview, with_volume
from napari_ome_ngff.plugin.open.world import (
    LayerTransform,
    World,
    layer_transform,
    without_channel,
    world_of,
)
from napari_ome_ngff.plugin.origin import METADATA_KEY, LayerData, Origin

if TYPE_CHECKING:
    from xarray import DataArray

    from napari_ome_ngff.reading.opened import Image

_APPEARANCE = ("name", "colormap", "contrast_limits", "visible", "units", "features")


@dataclass(frozen=True, kw_only=True)
class ImageRef:
    """Which image of what was opened a layer shows.

    `key` is common to all layers of the image, `kind` that of the collection it is part of (or ``"image"``),
    `label` the name of a label image.
    """

    key: str
    kind: str = "image"
    label: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class PlacedLevels:
    """The levels of a multiscale with all axes of the file, finest first, and where they are shown.

    `grid` is that of the finest level in the image's own coordinate system, `world` the system that it is
    shown in, without the channel axis (None for its own). `inserted` are dimensions that the data lack, and
    where the grid has them.
    """

    location: str
    levels: tuple[Any, ...]
    paths: tuple[str, ...]
    layout: Layout
    grid: VoxelGrid
    world: World | None
    transform: LayerTransform
    inserted: tuple[tuple[int, str], ...] = field(default=())

    @cached_property
    def file_axes(self) -> tuple[int | None, ...]:
        """Position in the file of each of the layer's dimensions; None for one that the data lack."""
        inserted = [position for position, _ in self.inserted]
        positions = iter(self.layout.order)
        of_grid = [None if i in inserted else next(positions) for i in range(len(self.grid.dims))]
        return tuple(None if i is None else of_grid[i] for i in self.transform.order)


def place_levels(image: Image, *, falling: bool = False) -> PlacedLevels:
    """Return the levels of an image, and where their coordinates say that they lie.

    `falling` leaves out levels that are as large as the one before, which napari refuses of labels.
    """
    multiscale = multiscale_of(image)
    levels = _sorted_levels(image)
    arrays, paths = list(levels.values()), tuple(levels)
    shape = arrays[0].shape
    arranged = layout(multiscale, shape)
    if falling and (equal := _as_large_as_before(arrays, paths, arranged.channel)):
        warn(
            f"Level {', '.join(map(repr, equal))} is as large as the one before; it is left out.",
            image.location,
        )
        levels = {path: level for path, level in levels.items() if path not in equal}
        arrays, paths = list(levels.values()), tuple(levels)
    if len(arranged.order) < 2:
        raise UnsupportedError(
            "napari shows images of two dimensions and more.",
            where=image.location,
            found=f"axes {', '.join(multiscale.dims)}",
        )
    world, channels_apart = _world(image, multiscale, arranged)
    if not channels_apart:
        arranged = layout(multiscale, shape, split=False)
    grids = [grid_of(level) for level in arrays]
    off = [paths[i] for i in misfits([level.shape for level in arrays], grids)]
    if off:
        warn(
            f"napari stretches level {', '.join(map(repr, off))} over what level {paths[0]!r} covers, "
            "which is not where the file places it.",
            image.location,
        )
    grid = VoxelGrid(
        dims=arranged.pick(multiscale.dims),
        scale=arranged.pick(grids[0].scale),
        translate=arranged.pick(grids[0].translation),
        units=arranged.pick(shown_units(multiscale.axes)),
        shape=arranged.pick(shape),
    )
    return PlacedLevels(
        location=image.location,
        levels=tuple(level.data for level in arrays),
        paths=paths,
        layout=arranged,
        grid=grid,
        world=world,
        transform=layer_transform(grid, world),
    )


def _sorted_levels(image: Image) -> dict[str, DataArray]:
    """Levels with pixels, the finest first whatever the order in the file: napari counts on it."""
    levels = [(path, array) for path, array in image.arrays.items() if 0 not in array.shape]
    if not levels:
        raise UnsupportedError("The image has no pixels.", where=image.location)
    return dict(sorted(levels, key=lambda item: -float(np.prod(item[1].shape, dtype=float))))


def _as_large_as_before(arrays: list[DataArray], paths: tuple[str, ...], channel: int | None) -> list[str]:
    """Paths of the levels that are not smaller than all before them, channels apart."""
    equal, least = list[str](), math.inf
    for path, array in zip(paths, arrays, strict=True):
        size = math.prod(n for axis, n in enumerate(array.shape) if axis != channel)
        equal += [path] * (size >= least)
        least = min(least, size)
    return equal


def _world(image: Image, multiscale: Multiscale, arranged: Layout) -> tuple[World | None, bool]:
    """Return the system to show an image in, and whether its channels can be layers there."""
    world = world_of(multiscale, image.view)
    if world is None:
        return None, True
    if not (np.isfinite(world.linear).all() and np.isfinite(world.offset).all()):
        warn(
            "The transform to the coordinate system is not made of finite numbers; it is left out.",
            image.location,
        )
        return None, True
    channel = None if arranged.channel is None else multiscale.dims[arranged.channel]
    rest = without_channel(world, channel)
    if rest is None:
        warn("The transform mixes channels with other axes: they are shown by a slider.", image.location)
        return world, False
    return rest, True


def layer_data(
    placed: PlacedLevels, levels: Sequence[Any], channel: int | None, *, rgb: bool = False
) -> tuple[Any, int]:
    """Return the data of one layer, axes in its order, and how many levels were added for 3D.

    Without `channel` the layer has all there is; `rgb` puts the channel axis last. The data are a list for
    several levels, an array for a single one, which is not pretended to be a pyramid.
    """
    axis = placed.layout.channel
    data = []
    for level in levels:
        if axis is not None and not rgb:
            level = level[(slice(None),) * axis + (channel,)]
        data.append(_arrange(level, placed, rgb=rgb))
    shown_levels = with_overview(with_volume(data, rgb=rgb), rgb=rgb)
    if (factors := sampling(data[-1], rgb=rgb)) is not None:
        volume = math.prod(data[-1].shape[-3 - rgb :]) * data[-1].dtype.itemsize / 2**30
        warn(
            # napari's corner has room for the first line, some 35 letters.
            f"3D shows a sample of the voxels.\nOnly one of {' x '.join(map(str, factors))} is shown: the "
            f"smallest level has {volume:.1f} GiB. Save the image with more levels to see more of it.",
            placed.location,
        )
    return (shown_levels if len(shown_levels) > 1 else shown_levels[0]), len(shown_levels) - len(data)


def _arrange(data: Any, placed: PlacedLevels, *, rgb: bool) -> Any:
    """Transpose to the layer's order, with an axis of one voxel where the data have none."""
    channel = placed.layout.channel
    order = [i for i in placed.file_axes if i is not None]
    if rgb and channel is not None:
        order.append(channel)
    elif channel is not None:  # it is taken out already
        order = [i - (i > channel) for i in order]
    if order != sorted(order):
        data = data.transpose(order)
    for position, axis in enumerate(placed.file_axes):
        if axis is None:
            data = data[(slice(None),) * position + (np.newaxis,)]
    return data


def origin(image: Image, placed: PlacedLevels, ref: ImageRef) -> Origin:
    """Return what the layers of an image remember of it."""
    multiscale = multiscale_of(image)
    in_file = [i for i in placed.file_axes if i is not None]
    return Origin(
        location=image.location,
        image=ref.key,
        prefix="",
        kind=ref.kind,
        multiscale=multiscale,
        channel=None,
        label=ref.label,
        attributes=dict(image.attributes),
        groups=dict(image.groups),
        dims=tuple(multiscale.dims[i] for i in in_file),
        units=tuple(multiscale.axes[i].unit for i in in_file),
        shapes=tuple(tuple(level.shape[i] for i in in_file) for level in placed.levels),
        paths=placed.paths,
        added=0,
        inserted=tuple(
            label for label, i in zip(placed.transform.labels, placed.file_axes, strict=True) if i is None
        ),
        system=None if image.view is None else image.view.system.name,
        store=image.location,
        title="",
        systems=image.systems,
        placing=_placing(placed, multiscale),
        tiles=image.tiles,
        range=None,
        contour=0,
        appearance={},
    )


def _placing(placed: PlacedLevels, multiscale: Multiscale) -> dict[str, Any] | None:
    """How a layer lies as it was opened, and how it lies in its own system, if those are two.

    What levels say beyond scale and translation (`Multiscale.affine`) no file that we write can say: such a
    layer is saved as it is shown.
    """
    if placed.world is None or multiscale.affine is not None:
        return None
    grid, transform = placed.grid, placed.transform
    file = {
        "scale": [1.0 if i is None else grid.scale[i] for i in transform.order],
        "translate": [0.0 if i is None else grid.translate[i] for i in transform.order],
        "units": ["pixel" if i is None else grid.units[i] for i in transform.order],
        "axis_labels": [
            label if i is None else multiscale.dims[i]
            for label, i in zip(transform.labels, placed.file_axes, strict=True)
        ],
    }
    keys = ("scale", "translate", "affine")
    opened = {key: value for key, value in transform.arguments.items() if key in keys}
    return {"opened": opened, "file": file}


def layer(data: Any, meta: dict[str, Any], kind: str, remembered: Origin) -> LayerData:
    """Return a layer tuple with what the layer remembers."""
    appearance = {key: meta[key] for key in _APPEARANCE if key in meta}
    features: Any = meta.get("features")
    if hasattr(features, "iloc"):
        meta = meta | {"features": features.copy()}  # where edits may go into the table that is given
    metadata = {METADATA_KEY: {**remembered, "appearance": appearance}}
    return data, meta | {"multiscale": isinstance(data, list), "metadata": metadata}, kind


def viewable(data: Any, name: str, *, first: bool) -> Any:
    """Return data of a type that napari can show."""
    if data.dtype.kind == "c":
        if first:
            warn(f"{name!r} holds complex numbers; their magnitude is shown.")
        return abs(data)
    if data.dtype.kind not in "biuf":
        raise UnsupportedError(f"napari cannot show data of type {data.dtype}.", where=name)
    return data


def multiscale_of(image: Image) -> Multiscale:
    """Return what the file says of an image; an error if there is none."""
    if image.multiscale is None or not image.arrays:
        raise UnsupportedError("There is no image at this place.", where=image.location)
    return image.multiscale


def warn(message: str, where: str = "") -> None:
    """Warn of what is not shown as it is in the file."""
    give_warning(f"{message} ({where})" if where else message, stacklevel=3)


def with_tables_read(image: Image, title: str) -> Image:
    """Read the large tables of a label image; those that cannot be read are left out with a warning."""
    multiscale = multiscale_of(image)
    label_image = multiscale.label_image
    if label_image is None:
        return image
    for key, empty in (("table", None), ("colors", {})):
        try:
            len(getattr(label_image, key) or ())
        except OmeNgffError as error:
            what = "properties" if key == "table" else "colours"
            warn(f"The {what} of label image {title!r} are left out: {error.summary}", image.location)
            label_image = replace(label_image, **{key: empty})  # type: ignore[arg-type]
    return replace(image, multiscale=replace(multiscale, label_image=label_image))
