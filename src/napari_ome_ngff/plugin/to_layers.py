"""From an opened image to napari's layer tuples. Pure: nothing is read, napari and Qt are not imported."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ome_ngff.errors import OmeNgffWarning, UnsupportedError
from napari_ome_ngff.metadata.model import Channel, Multiscale
from napari_ome_ngff.metadata.transforms import level_transform
from napari_ome_ngff.plugin.display import (
    Limits,
    colormap_for,
    dtype_limits,
    is_rgb,
    window_limits,
)
from napari_ome_ngff.plugin.label_display import direct_colors, features_table
from napari_ome_ngff.plugin.layout import Frame, Layout, aligned, layout, missing_dims, placement, shown_units
from napari_ome_ngff.plugin.names import safe_name
from napari_ome_ngff.plugin.origin import METADATA_KEY, LayerData, Origin

if TYPE_CHECKING:
    from napari_ome_ngff.read import Image

_log = logging.getLogger(__name__)


def to_layers(image: Image, name: str = "image", *, limits: Sequence[Limits | None] = ()) -> list[LayerData]:
    """Translate an opened image into layers: one for each channel, one for each label image.

    Parameters
    ----------
    image
        What :func:`napari_ome_ngff.open_ome_ngff` returned.
    name
        Name of the image where the file has none.
    limits
        Contrast limits of the channels for which the file has none; None or missing: the data type's range.

    Returns
    -------
    list of tuple
        ``(data, arguments of add_image or add_labels, "image" or "labels")``, bottom layer first.

    Raises
    ------
    UnsupportedError
        If napari cannot show data of this type or with fewer than two dimensions.

    Warns
    -----
    OmeNgffWarning
        If something is not shown as it is in the file.

    Examples
    --------
    >>> import xarray, zarr
    >>> from napari_ome_ngff import create_multiscale_group, open_ome_ngff
    >>> cells = xarray.DataArray(np.zeros((2, 8, 8), "uint8"), dims=("c", "y", "x"), name="cells")
    >>> store = zarr.storage.MemoryStore()
    >>> group = create_multiscale_group(store=store, path="", arrays={"s0": cells}, ngff_version="0.5")
    >>> image = open_ome_ngff(group, array_wrapper={"name": "dask_array", "config": {}})
    >>> [(kind, meta["name"], meta["colormap"]) for _, meta, kind in to_layers(image, "cells")]
    [('image', 'cells channel 0', 'magenta'), ('image', 'cells channel 1', 'green')]
    """
    layers: list[LayerData] = []
    frame: Frame | None = None
    if image.multiscale is not None:
        if image.multiscale.name:
            name = image.multiscale.name.strip("/ ") or name
        if image.multiscale.label_image is not None:
            layers += _label_layers(image, name, key=image.location, label=None, frame=None)
        else:
            layers, frame = _image_layers(image, name, image.location, limits)
    for label, label_image in image.labels.items():
        layers += _label_layers(label_image, label, key=image.location, label=label, frame=frame)
    return layers


def _image_layers(
    image: Image, name: str, key: str, limits: Sequence[Limits | None]
) -> tuple[list[LayerData], Frame]:
    multiscale = _multiscale_of(image)
    levels = [_viewable(array.data, name) for array in image.arrays.values()]
    arranged = layout(multiscale, levels[0].shape)
    frame, origin = _place(image, arranged, [level.shape for level in levels], key=key, label=None)
    meta = placement(frame, multiscale=len(levels) > 1)
    if arranged.channel is None:
        shown = {"visible": True, "colormap": "gray", "name": name}
        channels = multiscale.channels
        if len(channels) == 1:  # an image without channel axis may still say how it is shown
            shown = _channel_look(channels[0], 0, 1, name) | {"visible": True}
        data = [_arrange(level, arranged.order) for level in levels]
        meta = meta | shown | {"contrast_limits": _limits(channels, limits, 0, levels[0].dtype), "rgb": False}
        return [(_data(data), meta | _with_origin(origin, None), "image")], frame

    count = min(level.shape[arranged.channel] for level in levels)
    if is_rgb(multiscale.channels, count):
        data = [_arrange(level, (*arranged.order, arranged.channel)) for level in levels]
        meta = meta | {"name": name, "rgb": True, "visible": True}
        meta["contrast_limits"] = dtype_limits(levels[0].dtype)
        return [(_data(data), meta | _with_origin(origin, None), "image")], frame

    layers: list[LayerData] = []
    none_active = not any(channel.active for channel in multiscale.channels[:count])
    for index in range(count):
        channel = multiscale.channels[index] if index < len(multiscale.channels) else Channel()
        data = [_arrange(_take(level, arranged.channel, index), arranged.order_after) for level in levels]
        look = _channel_look(channel, index, count, name)
        # A file in which no channel is active would open as nothing at all.
        look["visible"] = channel.active or none_active
        look["contrast_limits"] = _limits(multiscale.channels, limits, index, levels[0].dtype)
        if count > 1:
            look["blending"] = "additive"
        layers.append((_data(data), meta | look | {"rgb": False} | _with_origin(origin, index), "image"))
    return layers, frame


def _channel_look(channel: Channel, index: int, count: int, name: str) -> dict[str, Any]:
    label = (channel.label or "").strip()
    return {
        "name": label or (name if count == 1 else f"{name} channel {index}"),
        "colormap": colormap_for(channel.color, index, count),
    }


def _limits(
    channels: Sequence[Channel], limits: Sequence[Limits | None], index: int, dtype: np.dtype[Any]
) -> Limits:
    window = channels[index].window if index < len(channels) else None
    estimate = limits[index] if index < len(limits) else None
    return window_limits(window) or estimate or dtype_limits(dtype)


def _label_layers(
    image: Image, name: str, *, key: str, label: str | None, frame: Frame | None
) -> list[LayerData]:
    multiscale = _multiscale_of(image)
    title = _label_title(multiscale, name, label)
    dtype = next(iter(image.arrays.values())).dtype
    if dtype.kind not in "biu":
        _warn(f"Label image {title!r} holds {dtype} values; it is shown as an image.")
        layers, _ = _image_layers(image, title, key, ())
        return [_relabelled(layer, label) for layer in layers]
    levels = [array.data for array in image.arrays.values()]
    arranged = layout(multiscale, levels[0].shape)
    own, origin = _place(image, arranged, [level.shape for level in levels], key=key, label=label)
    inserted = missing_dims(own, frame)
    origin["inserted"] = tuple(dim for _, dim in inserted)
    meta = placement(own, multiscale=len(levels) > 1) | _label_look(multiscale, title, dtype)
    if frame is not None:
        meta |= aligned(own, frame, inserted)
    count = 1 if arranged.channel is None else min(level.shape[arranged.channel] for level in levels)
    layers = []
    for index in range(count):
        data = levels
        if arranged.channel is not None:
            data = [_take(level, arranged.channel, index) for level in levels]
        order = arranged.order if arranged.channel is None else arranged.order_after
        data = [_insert(_arrange(level, order), inserted) for level in data]
        channel = None if arranged.channel is None else index
        look = {"name": title if count == 1 else f"{title} channel {index}"}
        layers.append((_data(data), meta | look | _with_origin(origin, channel), "labels"))
    return layers


def _label_title(multiscale: Multiscale, name: str, label: str | None) -> str:
    """Return the name that a label image had as a layer, if its path was made from it, else its path."""
    given = multiscale.name or ""
    return given if label is not None and safe_name(given) == label else name


def _label_look(multiscale: Multiscale, name: str, dtype: np.dtype[Any]) -> dict[str, Any]:
    look: dict[str, Any] = {"visible": True}
    if multiscale.label_image is None:
        return look
    colors = multiscale.label_image.colors
    has_numba = importlib.util.find_spec("numba") is not None
    if table := direct_colors(colors, dtype, any_label=has_numba):
        look["colormap"] = table
    elif colors:
        _log.warning("the colours of label image %r are not shown: napari needs numba for them", name)
    if features := features_table(multiscale.label_image):
        look["features"] = features
    return look


def _relabelled(layer: LayerData, label: str | None) -> LayerData:
    data, meta, kind = layer
    origin = meta["metadata"][METADATA_KEY] | {"label": label}
    return data, meta | {"metadata": {METADATA_KEY: origin}}, kind


def _place(
    image: Image, arranged: Layout, shapes: Sequence[tuple[int, ...]], *, key: str, label: str | None
) -> tuple[Frame, Origin]:
    """Where all layers of one multiscale lie, and what they remember of it."""
    multiscale = _multiscale_of(image)
    paths = tuple(image.arrays)
    if len(arranged.order) < 2:
        raise UnsupportedError(
            "napari shows images of two dimensions and more.",
            where=image.location,
            found=f"axes {', '.join(multiscale.dims)}",
        )
    finest = [level.path for level in multiscale.levels].index(paths[0])
    transform = level_transform(multiscale, finest)
    frame = Frame(
        dims=arranged.pick(multiscale.dims),
        scale=arranged.pick(transform.scale),
        translate=arranged.pick(transform.translation),
        units=arranged.pick(shown_units(multiscale)),
        shape=arranged.pick(shapes[0]),
    )
    origin = Origin(
        location=image.location,
        image=key,
        multiscale=multiscale,
        channel=None,
        label=label,
        attributes=dict(image.attributes),
        dims=frame.dims,
        units=arranged.pick([axis.unit for axis in multiscale.axes]),
        shapes=tuple(arranged.pick(shape) for shape in shapes),
        paths=paths,
        inserted=(),
    )
    return frame, origin


def _with_origin(origin: Origin, channel: int | None) -> dict[str, Any]:
    return {"metadata": {METADATA_KEY: {**origin, "channel": channel}}}


def _multiscale_of(image: Image) -> Multiscale:
    if image.multiscale is None:
        raise UnsupportedError("There is no image at this place.", where=image.location)
    return image.multiscale


def _viewable(data: Any, name: str) -> Any:
    """Return data of a type that napari can show."""
    if data.dtype.kind == "c":
        _warn(f"{name!r} holds complex numbers; their magnitude is shown.")
        return abs(data)
    if data.dtype.kind not in "biuf":
        raise UnsupportedError(f"napari cannot show data of type {data.dtype}.", where=name)
    return data


def _take(data: Any, axis: int, index: int) -> Any:
    return data[(slice(None),) * axis + (index,)]


def _arrange(data: Any, order: tuple[int, ...]) -> Any:
    return data if order == tuple(range(len(order))) else data.transpose(order)


def _insert(data: Any, inserted: Sequence[tuple[int, str]]) -> Any:
    for position, _ in inserted:
        data = data[(slice(None),) * position + (np.newaxis,)]
    return data


def _data(levels: list[Any]) -> Any:
    """Return a list for a pyramid; a single level is not pretended to be one."""
    return levels if len(levels) > 1 else levels[0]


def _warn(message: str) -> None:
    warnings.warn(message, OmeNgffWarning, stacklevel=3)
