"""What layers look like: what was not changed stays as the file says it, the rest becomes what is shown."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from napari_ome_ngff.metadata.nouns import Channel, Json, LabelImage, Multiscale
from napari_ome_ngff.plugin.colors import (
    COLORMAP_KEY,
    color_of,
    colormap_for,
    colormap_name,
    colors_of,
    is_rgb,
    properties_of,
    rgb_channels,
    window_of,
)
from napari_ome_ngff.plugin.save.layer_image import LayerImage

_ABOVE = "../../"


def channels_of(images: Sequence[LayerImage], multiscale: Multiscale | None) -> tuple[Channel, ...]:
    """Return the channels of an image that is made of these layers.

    Parameters
    ----------
    images
        In the order of the channels.
    multiscale
        What the file says that they were opened from; None if there is none.

    Returns
    -------
    tuple of Channel
        Exactly those of the file if nothing was changed since, also none.

    Examples
    --------
    >>> from napari_ome_ngff.plugin.save.layer_image import layer_image
    >>> layer = (np.zeros((4, 4), "uint8"), {"name": "DNA", "colormap": "cyan"}, "image")
    >>> channels_of([layer_image(layer)], None)[0].color
    '00FFFF'
    """
    first = images[0]
    known = () if multiscale is None else multiscale.channels
    if first.rgb:
        count = int(first.levels[0].shape[-1])
        return known if is_rgb(known, count) else rgb_channels(count, first.dtype)
    if "channel" in [axis.type for axis in first.axes]:
        return known  # a channel axis with a slider: the layer says nothing about single channels
    if all(_unchanged(image) for image in images):
        said = [_said(image) for image in images]
        while said and said[-1] is None:
            said.pop()
        return tuple(channel or Channel() for channel in said)
    return tuple(_channel(image, index, len(images)) for index, image in enumerate(images))


def _said(image: LayerImage) -> Channel | None:
    """What the file says of the channel that a layer was opened from."""
    if image.origin is None:
        return None
    channels, index = image.origin["multiscale"].channels, image.origin["channel"] or 0
    return channels[index] if index < len(channels) else None


def _unchanged(image: LayerImage) -> bool:
    return all(_as_opened(image, key) for key in ("name", "colormap", "contrast_limits", "visible"))


def _as_opened(image: LayerImage, key: str) -> bool:
    """Whether an attribute of a layer still is as it was opened."""
    if image.origin is None or key not in image.origin["look"]:
        return False
    then, now = image.origin["look"][key], image.name if key == "name" else image.meta.get(key)
    if key == "colormap":
        return (color_of(then), colormap_name(then)) == (color_of(now), colormap_name(now))
    if key == "contrast_limits":
        same = np.shape(then) == np.shape(now) == (2,)
        return same and np.allclose(np.asarray(then, float), np.asarray(now, float), rtol=1e-9, atol=0)
    return bool(then == now)


def _channel(image: LayerImage, index: int, count: int) -> Channel:
    known = _said(image) or Channel()
    if known.label is None or not _as_opened(image, "name"):
        known = replace(known, label=image.name)
    if known.color is None or not _as_opened(image, "colormap"):
        colormap = image.meta.get("colormap")
        name = colormap_name(colormap)
        extra = {key: value for key, value in known.extra.items() if key != COLORMAP_KEY}
        color = color_of(colormap) or known.color or color_of(colormap_for(None, index, count))
        known = replace(known, color=color, extra=extra | ({COLORMAP_KEY: name} if name else {}))
    if known.window is None or not _as_opened(image, "contrast_limits"):
        window = window_of(image.meta.get("contrast_limits"), image.dtype, known.window)
        known = replace(known, window=window)
    if not _as_opened(image, "visible"):
        known = replace(known, active=bool(image.meta.get("visible", True)))
    return known


def label_image_of(image: LayerImage, *, on_image: bool) -> LabelImage:
    """Return colours, properties and source of a label image that is made of a Labels layer.

    Parameters
    ----------
    image
        The layer.
    on_image
        Whether it lies on an image that is saved with it.

    Examples
    --------
    >>> from napari_ome_ngff.plugin.save.layer_image import layer_image
    >>> layer = (np.zeros((4, 4), "uint8"), {"features": {"index": [1], "area": [5]}}, "labels")
    >>> label_image_of(layer_image(layer), on_image=True).properties
    ({'label-value': 1, 'area': 5},)
    """
    origin = image.origin
    known = (origin["multiscale"].label_image if origin else None) or LabelImage()
    features: Any = image.meta.get("features")
    table = image.meta.get("properties") if features is None else features
    properties: tuple[Mapping[str, Json], ...] = properties_of(table)
    if origin is not None and properties == properties_of(origin["look"].get("features")):
        properties = known.properties  # also those that a table cannot hold
    source = _ABOVE if on_image else None
    if source and known.source and posixpath.normpath(known.source) == posixpath.normpath(source):
        source = known.source
    colors = colors_of(image.meta.get("colormap"), known.colors)
    return replace(known, colors=colors, properties=properties, source=source)
