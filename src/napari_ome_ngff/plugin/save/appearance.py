"""How layers are displayed: what was not changed stays as in the file, the rest becomes what is shown."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from napari_ome_ngff.label_tables import may_be_small
from napari_ome_ngff.metadata.nouns import Channel, LabelImage, Multiscale
from napari_ome_ngff.plugin.colors import (
    COLORMAP_KEY,
    color_of,
    colormap_for,
    colormap_name,
    colors_of,
    is_rgb,
    properties_of,
    rgb_channels,
    table_of,
    window_of,
)
from napari_ome_ngff.plugin.save.layer_image import LayerImage

_ABOVE = "../../"


def channels_of(images: Sequence[LayerImage], multiscale: Multiscale | None) -> tuple[Channel, ...]:
    """Return the channels of an image made of these layers, exactly those of `multiscale` if nothing changed.

    The layers are in the order of the channels; `multiscale` is what they were opened from.
    """
    first = images[0]
    in_file = () if multiscale is None else multiscale.channels
    if first.rgb:
        count = int(first.levels[0].shape[-1])
        return in_file if is_rgb(in_file, count) else rgb_channels(count, first.dtype)
    if "channel" in [axis.type for axis in first.axes]:
        return in_file  # a channel axis with a slider: the layer says nothing about single channels
    if all(_unchanged(image) for image in images):
        channels = [_channel_in_file(image) for image in images]
        while channels and channels[-1] is None:
            channels.pop()
        return tuple(channel or Channel() for channel in channels)
    return tuple(_channel(image, index, len(images)) for index, image in enumerate(images))


def _channel_in_file(image: LayerImage) -> Channel | None:
    if image.origin is None:
        return None
    channels, index = image.origin["multiscale"].channels, image.origin["channel"] or 0
    return channels[index] if index < len(channels) else None


def _unchanged(image: LayerImage) -> bool:
    return all(_as_opened(image, key) for key in ("name", "colormap", "contrast_limits", "visible"))


def _as_opened(image: LayerImage, key: str) -> bool:
    """Whether an attribute of a layer still is as it was opened."""
    if image.origin is None or key not in image.origin["appearance"]:
        return False
    then, now = image.origin["appearance"][key], image.name if key == "name" else image.meta.get(key)
    if key == "colormap":
        return (color_of(then), colormap_name(then)) == (color_of(now), colormap_name(now))
    if key == "contrast_limits":
        same = np.shape(then) == np.shape(now) == (2,)
        return same and np.allclose(np.asarray(then, float), np.asarray(now, float), rtol=1e-9, atol=0)
    return bool(then == now)


def _channel(image: LayerImage, index: int, count: int) -> Channel:
    channel = _channel_in_file(image) or Channel()
    if channel.label is None or not _as_opened(image, "name"):
        channel = replace(channel, label=image.name)
    if channel.color is None or not _as_opened(image, "colormap"):
        colormap = image.meta.get("colormap")
        name = colormap_name(colormap)
        extra = {key: value for key, value in channel.extra.items() if key != COLORMAP_KEY}
        color = color_of(colormap) or channel.color or color_of(colormap_for(None, index, count))
        channel = replace(channel, color=color, extra=extra | ({COLORMAP_KEY: name} if name else {}))
    if channel.window is None or not _as_opened(image, "contrast_limits"):
        window = window_of(image.meta.get("contrast_limits"), image.dtype, channel.window)
        channel = replace(channel, window=window)
    if not _as_opened(image, "visible"):
        channel = replace(channel, active=bool(image.meta.get("visible", True)))
    return channel


def features_of(image: LayerImage) -> Any:
    """The table of a Labels layer, under either of napari's names."""
    features = image.meta.get("features")
    return image.meta.get("properties") if features is None else features


def _is_same_table(one: Any, other: Any) -> bool:
    import pandas

    if one is None or other is None:
        return properties_of(one) == properties_of(other)
    if pandas.DataFrame(dict(one)).equals(pandas.DataFrame(dict(other))):
        return True
    columns = table_of(one)[0]
    return columns is not None and may_be_small(columns) and properties_of(one) == properties_of(other)


def label_image_of(image: LayerImage, *, on_image: bool) -> LabelImage:
    """Return colours, properties and source of the label image made of a Labels layer.

    `on_image`: an image is saved with it.
    """
    origin = image.origin
    label_image = (origin["multiscale"].label_image if origin else None) or LabelImage()
    features = features_of(image)
    # What did not change is written as it was read: also what a table cannot hold.
    if origin is None or not _is_same_table(features, origin["appearance"].get("features")):
        columns = table_of(features)[0]
        if columns is not None and not may_be_small(columns):
            label_image = replace(label_image, properties=(), table=columns)
        else:
            label_image = replace(label_image, properties=properties_of(features), table=None)
    source = _ABOVE if on_image else None
    if source and label_image.source and posixpath.normpath(label_image.source) == posixpath.normpath(source):
        source = label_image.source
    colors = colors_of(image.meta.get("colormap"), label_image.colors)
    return replace(label_image, colors=colors, source=source)
