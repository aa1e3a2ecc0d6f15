"""The layers of an image: one for each channel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.errors import UnsupportedError
from napari_ome_ngff.metadata.image.omero import is_greyscale
from napari_ome_ngff.metadata.looks import Channel
from napari_ome_ngff.metadata.nouns import Multiscale
from napari_ome_ngff.plugin.colors import (
    Limits,
    channel_colormap,
    dtype_limits,
    is_rgb,
    slider_range,
    window_limits,
)
from napari_ome_ngff.plugin.open.placed import (
    Part,
    Placed,
    layer,
    layer_data,
    multiscale_of,
    origin,
    placed,
    warn,
)
from napari_ome_ngff.plugin.origin import LayerData

if TYPE_CHECKING:
    import numpy as np

    from napari_ome_ngff.reading.opened import Image


def image_layers(
    image: Image, name: str, part: Part, limits: Sequence[Limits | None] = ()
) -> tuple[list[LayerData], Placed]:
    """Return the layers of an image, one for each channel, and where they lie.

    Parameters
    ----------
    image
        The image.
    name
        Of the image: of its layer, or of those that have no name of their own.
    part
        What it is a part of.
    limits
        Contrast limits of the channels of which the file says none.

    Raises
    ------
    UnsupportedError
        If napari cannot show it.
    """
    multiscale = multiscale_of(image)
    found = placed(image)
    levels = [_viewable(level, name, first=i == 0) for i, level in enumerate(found.levels)]
    remembered = origin(image, found, part)
    meta = found.shown.arguments
    axis = found.layout.channel
    count = 1 if axis is None else min(level.shape[axis] for level in levels)
    if axis is not None and is_rgb(multiscale.channels, count):
        data, added = layer_data(found, levels, None, rgb=True)
        meta |= {"name": name, "rgb": True, "visible": True, "contrast_limits": dtype_limits(levels[0].dtype)}
        return [layer(data, meta, "image", {**remembered, "added": added})], found
    layers = []
    for index in range(count):
        data, added = layer_data(found, levels, None if axis is None else index)
        look = _look(multiscale, index, count, name, is_channel=axis is not None)
        contrast = _contrast(multiscale.channels, limits, index, levels[0].dtype, is_channel=axis is not None)
        own = {**remembered, "channel": None if axis is None else index, "added": added, "range": contrast[1]}
        layers.append(layer(data, meta | look | {"contrast_limits": contrast[0], "rgb": False}, "image", own))  # type: ignore[arg-type]
    return layers, found


def _look(multiscale: Multiscale, index: int, count: int, name: str, *, is_channel: bool) -> dict[str, Any]:
    channels = multiscale.channels[:count]
    if not is_channel and len(multiscale.channels) != 1:
        return {"visible": True, "colormap": "gray", "name": name}  # nobody knows which of them it is
    channel = channels[index] if index < len(channels) else Channel()
    label = (channel.label or "").strip()
    active = [i for i, other in enumerate(channels) if other.active] + list(range(len(channels), count))
    look: dict[str, Any] = {
        "name": label or (name if count == 1 else f"{name} channel {index}"),
        "colormap": channel_colormap(channel, index, count),
        # A file in which no channel is active would open as nothing at all.
        "visible": not is_channel or index in active or not active,
    }
    if is_greyscale(multiscale.omero_extra):
        # OMERO's greyscale model shows one channel at a time.
        look |= {"colormap": "gray", "visible": index == (active or [0])[0]}
    return look | ({"blending": "additive"} if count > 1 else {})


def _contrast(
    channels: Sequence[Channel],
    limits: Sequence[Limits | None],
    index: int,
    dtype: np.dtype[Any],
    *,
    is_channel: bool,
) -> tuple[Limits, Limits]:
    if not is_channel and len(channels) != 1:
        channels = ()
    window = channels[index].window if index < len(channels) else None
    estimate = limits[index] if index < len(limits) else None
    found = window_limits(window) or estimate or dtype_limits(dtype)
    return found, slider_range(window, found, dtype)


def _viewable(data: Any, name: str, *, first: bool) -> Any:
    """Return data of a type that napari can show."""
    if data.dtype.kind == "c":
        if first:
            warn(f"{name!r} holds complex numbers; their magnitude is shown.")
        return abs(data)
    if data.dtype.kind not in "biuf":
        raise UnsupportedError(f"napari cannot show data of type {data.dtype}.", where=name)
    return data
