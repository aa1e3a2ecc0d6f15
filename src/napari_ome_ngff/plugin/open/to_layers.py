"""From what was opened to napari's layer tuples. Pure: nothing is read, napari and Qt are not imported."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from napari_ome_ngff.errors import UnsupportedError
from napari_ome_ngff.metadata.image.omero import is_greyscale
from napari_ome_ngff.metadata.nouns import Channel, Multiscale
from napari_ome_ngff.plugin.colors import (
    Limits,
    channel_colormap,
    direct_colors,
    dtype_limits,
    features_table,
    is_rgb,
    slider_range,
    window_limits,
)
from napari_ome_ngff.plugin.layout import aligned, laid_over, missing_dims, renamed
from napari_ome_ngff.plugin.names import safe_name, unique_names
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
from napari_ome_ngff.plugin.open.world import shown
from napari_ome_ngff.plugin.origin import METADATA_KEY, LayerData
from napari_ome_ngff.reading.opened import Collection, Image

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
        look = _image_look(multiscale, index, count, name, is_channel=axis is not None)
        contrast = _contrast(multiscale.channels, limits, index, levels[0].dtype, is_channel=axis is not None)
        own = {**remembered, "channel": None if axis is None else index, "added": added, "range": contrast[1]}
        layers.append(layer(data, meta | look | {"contrast_limits": contrast[0], "rgb": False}, "image", own))  # type: ignore[arg-type]
    return layers, found


def _image_look(
    multiscale: Multiscale, index: int, count: int, name: str, *, is_channel: bool
) -> dict[str, Any]:
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


def label_layers(image: Image, name: str, part: Part, *, over: Placed | None = None) -> list[LayerData]:
    """Return the layers of a label image: one, or one for each of its channels.

    Parameters
    ----------
    image
        The label image.
    name
        Of the label image.
    part
        What it is a part of.
    over
        Where its image lies; None if it is shown without one.

    Raises
    ------
    UnsupportedError
        If napari cannot show it.
    """
    multiscale = multiscale_of(image)
    title = label_title(multiscale, name, part.label)
    dtype = next(iter(image.arrays.values())).dtype
    if dtype.kind not in "biu":
        # 0.5, "labels": "The pixels of the label images MUST be integer data types"
        warn(f"Label image {title!r} holds {dtype} values; it is shown as an image.")
        return image_layers(image, title, part)[0]
    found = placed(image)
    if over is not None:
        found = _over(found, over, image, title)
    remembered = origin(image, found, part)
    meta = found.shown.arguments | _label_look(multiscale, title, dtype)
    axis = found.layout.channel
    layers = []
    for index in range(1 if axis is None else min(level.shape[axis] for level in found.levels)):
        channel = None if axis is None else index
        data, added = layer_data(found, found.levels, channel)
        own = {**remembered, "channel": channel, "added": added}
        layers.append(layer(data, meta | {"name": title}, "labels", own))  # type: ignore[arg-type]
    if len(layers) > 1:
        for index, (_, arguments, _) in enumerate(layers):
            arguments["name"] = f"{title} channel {index}"
    return layers


def _over(found: Placed, over: Placed, image: Image, title: str) -> Placed:
    """Lay a label image over its image: same units, and the same system if it has none of its own."""
    if found.world is not None:
        return found
    own = renamed(found.frame, over.frame)
    if (guessed := laid_over(own, over.frame)) is not None:
        warn(f"Label image {title!r} does not say where it lies; it is laid over its image.", image.location)
        own = guessed
    inserted = tuple(missing_dims(own, over.frame, every=over.world is not None))
    frame = aligned(own, over.frame, inserted)
    # 0.6: without transforms of its own a label image lies in its image's coordinate system.
    return replace(found, frame=frame, inserted=inserted, world=over.world, shown=shown(frame, over.world))


def label_title(multiscale: Multiscale, name: str, label: str | None) -> str:
    """Return the name that a label image had as a layer, if its path was made from it, else its path.

    Examples
    --------
    >>> label_title(Multiscale(version="0.5", axes=(), levels=(), name="my cells"), "my_cells", "my_cells")
    'my cells'
    """
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
        warn(f"The colours of label image {name!r} are not shown: for such labels napari needs numba.")
    if features := features_table(multiscale.label_image):
        look["features"] = features
    return look


ImageLimits = Sequence[Limits | None]
"""Contrast limits of the channels of an image; None or missing where the file has them, or nobody knows."""


MANY_LAYERS = 100
"""Layers after which further images of a collection are not shown: napari needs about 0.1 s to add each."""


def to_layers(
    opened: Image | Collection,
    name: str = "image",
    *,
    limits: ImageLimits | Mapping[str, ImageLimits] = (),
) -> list[LayerData]:
    """Translate what was opened into layers: one for each channel, one for each label image.

    Parameters
    ----------
    opened
        What :func:`napari_ome_ngff.open_ome_ngff` returned.
    name
        Of an image for which the file has no name.
    limits
        Contrast limits of the channels for which the file has none; None or missing: the data type's range.
        For a collection a mapping from the names of its images.

    Returns
    -------
    list of tuple
        ``(data, arguments of add_image or add_labels, "image" or "labels")``, bottom layer first. Of several
        images each layer's name starts with that of its image. All images of a scene are visible. Of
        images that lie on top of each other, such as the acquisitions of a plate or the images of a series,
        the first is visible.

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
    >>> import numpy as np, xarray, zarr
    >>> from napari_ome_ngff import create_multiscale_group, open_ome_ngff
    >>> cells = xarray.DataArray(np.zeros((2, 8, 8), "uint8"), dims=("c", "y", "x"), name="cells")
    >>> store = zarr.storage.MemoryStore()
    >>> group = create_multiscale_group(store=store, path="", arrays={"s0": cells}, ngff_version="0.5")
    >>> image = open_ome_ngff(group, array_wrapper={"name": "dask_array", "config": {}})
    >>> [(kind, meta["name"], meta["colormap"]) for _, meta, kind in to_layers(image, "cells")]
    [('image', 'cells channel 0', 'magenta'), ('image', 'cells channel 1', 'green')]
    """
    if isinstance(opened, Image):
        own = () if isinstance(limits, Mapping) else limits
        title = _given_name(opened.multiscale) or name
        return list(_layers(opened, title, Part(key=opened.location), own))
    known = limits if isinstance(limits, Mapping) else {}
    return _collection_layers(opened, name, known)


def _collection_layers(
    collection: Collection, name: str, limits: Mapping[str, ImageLimits]
) -> list[LayerData]:
    layers: list[LayerData] = []
    several = len(collection.images) > 1
    places = [image.location for image in collection.images.values()]
    titles = unique_names(key.strip("/ ") or "image" for key in collection.images)
    for index, ((key, image), title) in enumerate(zip(collection.images.items(), titles, strict=True)):
        if collection.kind == "collection" and len(layers) >= MANY_LAYERS:
            warn(
                f"{index} of {len(collection.images)} images are shown; open the others one by one.",
                collection.location,
            )
            break
        shared = places.count(image.location) > 1
        part = Part(key=f"{image.location}#{key}" if shared else image.location, kind=collection.kind)
        if not several:
            own = key.strip("/ ") if collection.kind == "collection" and not key.isdigit() else ""
            title = (collection.name or "").strip("/ ") or own or _given_name(image.multiscale) or name
        for one in _layers(image, title, part, limits.get(key, ())):
            if several:
                _prefix(one, title)
            if index and collection.kind != "scene":
                one[1]["visible"] = False
                one[1]["metadata"][METADATA_KEY]["look"]["visible"] = False
            layers.append(one)
    return layers


def _layers(image: Image, title: str, part: Part, limits: ImageLimits) -> Iterator[LayerData]:
    """Yield the layers of an image, those of its label images on top."""
    over = None
    if image.multiscale is not None and _is_label(image):
        yield from label_layers(image, title, part)
    elif image.multiscale is not None:
        layers, over = image_layers(image, title, part, limits)
        yield from layers
    for label, label_image in image.labels.items():
        own = Part(key=part.key, kind=part.kind, label=label)
        yield from label_layers(label_image, label, own, over=over)


def _is_label(image: Image) -> bool:
    """Tell whether an image that was opened by itself holds labels, although its file may not say it.

    0.4 and later, "labels": the group of label images is called ``labels``, and within it all are.
    """
    multiscale = cast("Multiscale", image.multiscale)
    if multiscale.label_image is not None:
        return True
    *above, _ = image.location.replace("\\", "/").rstrip("/").split("/")
    stores = [i for i, name in enumerate(above) if name.lower().endswith((".zarr", ".ozx", ".zip"))]
    inside = bool(stores) and "labels" in above[stores[0] :]
    return inside and all(array.dtype.kind in "biu" for array in image.arrays.values())


def _given_name(multiscale: Multiscale | None) -> str:
    return "" if multiscale is None else (multiscale.name or "").strip("/ ")


def _prefix(layer: LayerData, title: str) -> None:
    """Put the name of its image before that of a layer."""
    meta = layer[1]
    name = meta["name"]
    if name != title and not name.startswith(f"{title} "):
        meta["name"] = f"{title} {name}"
        meta["metadata"][METADATA_KEY]["prefix"] = f"{title} "
