"""What all layers of one multiscale have in common: levels, where they lie, and what they remember."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import astuple, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ome_ngff.errors import OmeNgffWarning, UnsupportedError
from napari_ome_ngff.metadata.nouns import Multiscale, View
from napari_ome_ngff.metadata.transforms import level_transform
from napari_ome_ngff.plugin.layout import Frame, Layout, layout, shown_units
from napari_ome_ngff.plugin.open.volume import misfits, with_volume
from napari_ome_ngff.plugin.open.world import Shown, World, is_usable, shown, without_channel, world_of
from napari_ome_ngff.plugin.origin import METADATA_KEY, LayerData, Origin

if TYPE_CHECKING:
    from napari_ome_ngff.reading.opened import Image

_LOOK = ("name", "colormap", "contrast_limits", "visible", "units", "features")


@dataclass(frozen=True, kw_only=True)
class Part:
    """Which part of what was opened an image is.

    Parameters
    ----------
    key
        What all layers of the image have in common.
    kind
        Kind of the collection that it is part of, or ``"image"``.
    label
        Name of the label image, or None for an image.
    """

    key: str
    kind: str = "image"
    label: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Placed:
    """The levels of a multiscale, and where they are shown.

    Parameters
    ----------
    levels
        Arrays with all axes of the file, finest first.
    paths
        Path of each.
    layout
        Which axis is that of channels, and the order of the others.
    frame
        Where the finest level lies in its own coordinate system.
    world
        The coordinate system that it is shown in, without the channel axis; None for its own.
    inserted
        Dimensions that the data lack, and where the frame has them.
    shown
        Where it lies there.
    """

    levels: tuple[Any, ...]
    paths: tuple[str, ...]
    layout: Layout
    frame: Frame
    world: World | None
    shown: Shown
    inserted: tuple[tuple[int, str], ...] = field(default=())


def placed(image: Image) -> Placed:
    """Look at an image's levels, and find out where they lie.

    Parameters
    ----------
    image
        An image or label image.

    Raises
    ------
    UnsupportedError
        If it has less than two dimensions, or no pixels.

    Warns
    -----
    OmeNgffWarning
        If its place is not quite what the file says.
    """
    multiscale = multiscale_of(image)
    levels, paths = _sorted_levels(image)
    arranged = layout(multiscale, levels[0].shape)
    if len(arranged.order) < 2:
        raise UnsupportedError(
            "napari shows images of two dimensions and more.",
            where=image.location,
            found=f"axes {', '.join(multiscale.dims)}",
        )
    world, split = _world(image, multiscale, image.view, arranged)
    if not split:
        arranged = layout(multiscale, levels[0].shape, split=False)
    known = {level.path: index for index, level in enumerate(multiscale.levels)}
    transforms = [level_transform(multiscale, known[path]) for path in paths]
    off = [paths[i] for i in misfits([level.shape for level in levels], transforms)]
    if off:
        warn(
            f"napari stretches level {', '.join(map(repr, off))} over what level {paths[0]!r} covers, "
            "which is not where the file places it.",
            image.location,
        )
    frame = Frame(
        dims=arranged.pick(multiscale.dims),
        scale=arranged.pick(transforms[0].scale),
        translate=arranged.pick(transforms[0].translation),
        units=arranged.pick(shown_units(multiscale.axes)),
        shape=arranged.pick(levels[0].shape),
    )
    return Placed(
        levels=tuple(levels),
        paths=tuple(paths),
        layout=arranged,
        frame=frame,
        world=world,
        shown=shown(frame, world),
    )


def _sorted_levels(image: Image) -> tuple[list[Any], list[str]]:
    """Levels with pixels, the finest first whatever the order in the file: napari counts on it."""
    found = [(path, array.data) for path, array in image.arrays.items() if 0 not in array.shape]
    if not found:
        raise UnsupportedError("The image has no pixels.", where=image.location)
    found.sort(key=lambda item: -float(np.prod(item[1].shape, dtype=float)))
    return [data for _, data in found], [path for path, _ in found]


def _world(
    image: Image, multiscale: Multiscale, view: View | None, arranged: Layout
) -> tuple[World | None, bool]:
    """Return the system to show an image in, and whether its channels can be layers there."""
    world = world_of(multiscale, view)
    if world is None:
        return None, True
    if not is_usable(world):
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
    found: Placed, levels: Sequence[Any], channel: int | None, *, rgb: bool = False
) -> tuple[Any, int]:
    """Return the data of one layer, axes in its order, and how many levels were added.

    Parameters
    ----------
    found
        Of the multiscale.
    levels
        Its levels, as they are to be shown.
    channel
        Which channel; None if the layer has all there is.
    rgb
        Whether the channel axis is colour, and comes last.

    Returns
    -------
    tuple
        A list for a pyramid, an array for a single level, which is not pretended to be one. And a number.
    """
    arranged = found.layout
    data = []
    for level in levels:
        if arranged.channel is not None and not rgb:
            level = level[(slice(None),) * arranged.channel + (channel,)]
        data.append(_arrange(level, found, rgb=rgb))
    shown_levels = with_volume(data, rgb=rgb)
    return (shown_levels if len(shown_levels) > 1 else shown_levels[0]), len(shown_levels) - len(data)


def _arrange(data: Any, found: Placed, *, rgb: bool) -> Any:
    """Transpose to the layer's order, with an axis of one voxel where the data have none."""
    arranged = found.layout
    inserted = [position for position, _ in found.inserted]
    own = iter(arranged.order)
    source = [None if i in inserted else next(own) for i in range(len(found.frame.dims))]
    wanted = [None if i is None else source[i] for i in found.shown.order]
    order = [i for i in wanted if i is not None]
    if rgb and arranged.channel is not None:
        order.append(arranged.channel)
    elif arranged.channel is not None:  # it is taken out already
        order = [i - (i > arranged.channel) for i in order]
    if order != sorted(order):
        data = data.transpose(order)
    for position, axis in enumerate(wanted):
        if axis is None:
            data = data[(slice(None),) * position + (np.newaxis,)]
    return data


def origin(image: Image, found: Placed, part: Part) -> Origin:
    """Return what the layers of an image remember of it."""
    multiscale = multiscale_of(image)
    inserted = [position for position, _ in found.inserted]
    dims = iter(zip(found.layout.order, range(len(found.layout.order)), strict=True))
    own = [None if i in inserted else next(dims)[0] for i in range(len(found.frame.dims))]
    # Positions in the file of the layer's dimensions, in the layer's order.
    order = [None if i is None else own[i] for i in found.shown.order]
    file = [i for i in order if i is not None]
    return Origin(
        location=image.location,
        image=part.key,
        prefix="",
        kind=part.kind,
        multiscale=multiscale,
        channel=None,
        label=part.label,
        attributes=dict(image.attributes),
        groups=dict(image.groups),
        dims=tuple(multiscale.dims[i] for i in file),
        units=tuple(multiscale.axes[i].unit for i in file),
        shapes=tuple(tuple(level.shape[i] for i in file) for level in found.levels),
        paths=found.paths,
        added=0,
        inserted=tuple(found.shown.labels[k] for k, i in enumerate(order) if i is None),
        system=None if image.view is None else image.view.system.name,
        placing=_placing(found, multiscale, order),
        tiles=tuple(astuple(tile) for tile in image.tiles),
        range=None,
        look={},
    )


def _placing(found: Placed, multiscale: Multiscale, order: Sequence[int | None]) -> dict[str, Any] | None:
    """How a layer lies as it was opened, and how it lies in its own system, if those are two.

    What levels say beyond scale and translation (`Multiscale.affine`) no file that we write can say: such a
    layer is saved as it is shown.
    """
    if found.world is None or multiscale.affine is not None:
        return None
    frame, labels = found.frame, found.shown.labels
    file = {
        "scale": [1.0 if i is None else frame.scale[i] for i in found.shown.order],
        "translate": [0.0 if i is None else frame.translate[i] for i in found.shown.order],
        "units": ["pixel" if i is None else frame.units[i] for i in found.shown.order],
        "axis_labels": [labels[k] if i is None else multiscale.dims[i] for k, i in enumerate(order)],
    }
    keys = ("scale", "translate", "affine")
    opened = {key: value for key, value in found.shown.arguments.items() if key in keys}
    return {"opened": opened, "file": file}


def layer(data: Any, meta: dict[str, Any], kind: str, remembered: Origin) -> LayerData:
    """Return a layer tuple with what the layer remembers."""
    look = {key: meta[key] for key in _LOOK if key in meta}
    metadata = {METADATA_KEY: {**remembered, "look": look}}
    return data, meta | {"multiscale": isinstance(data, list), "metadata": metadata}, kind


def multiscale_of(image: Image) -> Multiscale:
    """Return what the file says of an image.

    Raises
    ------
    UnsupportedError
        If there is none.
    """
    if image.multiscale is None or not image.arrays:
        raise UnsupportedError("There is no image at this place.", where=image.location)
    return image.multiscale


def warn(message: str, where: str = "") -> None:
    """Warn of what is not shown as it is in the file."""
    warnings.warn(f"{message} ({where})" if where else message, OmeNgffWarning, stacklevel=3)
