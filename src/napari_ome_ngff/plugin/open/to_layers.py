"""From images with their levels to napari's layer tuples. Nothing is read, napari and Qt are not imported."""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from napari_ome_ngff.errors import MetadataError, UnsupportedError
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
from napari_ome_ngff.plugin.looks import in_order, kept_looks
from napari_ome_ngff.plugin.names import safe_name, unique_names
from napari_ome_ngff.plugin.open.placed_levels import (
    ImageRef,
    PlacedLevels,
    layer,
    layer_data,
    multiscale_of,
    origin,
    place_levels,
    viewable,
    warn,
    with_tables_read,
)
from napari_ome_ngff.plugin.open.world import layer_transform
from napari_ome_ngff.plugin.origin import METADATA_KEY, LayerData, prefix
from napari_ome_ngff.reading.opened import Collection, Image

if TYPE_CHECKING:
    import numpy as np


def image_layers(
    image: Image, name: str, ref: ImageRef, limits: Sequence[Limits | None] = ()
) -> tuple[list[LayerData], PlacedLevels]:
    """Return the layers of an image, one for each channel, and where they lie.

    `name` is for layers that have none of their own, `limits` for channels of which the file says none.
    """
    multiscale = multiscale_of(image)
    placed = place_levels(image)
    levels = [viewable(level, name, first=i == 0) for i, level in enumerate(placed.levels)]
    remembered = origin(image, placed, ref)
    meta = placed.transform.arguments
    axis = placed.layout.channel
    count = 1 if axis is None else min(level.shape[axis] for level in levels)
    if axis is not None and is_rgb(multiscale.channels, count):
        data, added = layer_data(placed, levels, None, rgb=True)
        meta |= {"name": name, "rgb": True, "visible": True, "contrast_limits": dtype_limits(levels[0].dtype)}
        meta |= kept_looks(image, 0, "image", name)
        return [layer(data, meta, "image", {**remembered, "added": added})], placed
    layers = []
    for index in range(count):
        channel = None if axis is None else index
        data, added = layer_data(placed, levels, channel)
        dtype = levels[0].dtype
        appearance, slider = _image_appearance(
            multiscale, index, count, name, limits, dtype, is_channel=axis is not None
        )
        appearance |= kept_looks(image, index, "image", appearance["name"])
        memory = {**remembered, "channel": channel, "added": added, "range": slider}
        layers.append(layer(data, meta | appearance, "image", memory))  # type: ignore[arg-type]
    return layers, placed


def _image_appearance(
    multiscale: Multiscale,
    index: int,
    count: int,
    name: str,
    limits: Sequence[Limits | None],
    dtype: np.dtype[Any],
    *,
    is_channel: bool,
) -> tuple[dict[str, Any], Limits]:
    """Return how a channel is shown, and the ends of its contrast slider."""
    # Several descriptions without a channel axis: nobody knows which of them it is.
    is_described = is_channel or len(multiscale.channels) == 1
    channels = multiscale.channels[:count] if is_described else ()
    channel = channels[index] if index < len(channels) else Channel()
    estimate = limits[index] if index < len(limits) else None
    contrast = window_limits(channel.window) or estimate or dtype_limits(dtype)
    appearance = {
        "name": name if count == 1 else f"{name} channel {index}",
        "colormap": "gray",
        "visible": True,
        "contrast_limits": contrast,
        "rgb": False,
    }
    if is_described:
        active = [i for i, other in enumerate(channels) if other.active] + list(range(len(channels), count))
        if (given := (channel.label or "").strip()) not in ("", str(index)):  # SpatialData numbers channels
            appearance["name"] = given
        if is_greyscale(multiscale.omero_extra):
            # OMERO's greyscale model shows one channel at a time.
            appearance["visible"] = index == (active or [0])[0]
        else:
            appearance["colormap"] = channel_colormap(channel, index, count)
            # A file in which no channel is active would open as nothing at all.
            appearance["visible"] = not is_channel or index in active or not active
    if count > 1:
        appearance["blending"] = "additive"
    return appearance, slider_range(channel.window, contrast, dtype)


def label_layers(
    image: Image, name: str, ref: ImageRef, *, over: PlacedLevels | None = None
) -> list[LayerData]:
    """Return the layers of a label image: one, or one for each of its channels. `over` is its image."""
    title = _label_title(multiscale_of(image), name, ref.label)
    image = with_tables_read(image, title)
    multiscale = multiscale_of(image)
    dtype = next(iter(image.arrays.values())).dtype
    if dtype.kind not in "biu":
        # 0.5, "labels": "The pixels of the label images MUST be integer data types"
        warn(f"Label image {title!r} holds {dtype} values; it is shown as an image.")
        return image_layers(image, title, ref)[0]
    placed = place_levels(image, falling=True)
    if over is not None:
        placed = _over(placed, over, image, title)
    remembered = origin(image, placed, ref)
    meta = placed.transform.arguments | _label_appearance(multiscale, title, dtype)
    axis = placed.layout.channel
    layers = []
    for index in range(1 if axis is None else min(level.shape[axis] for level in placed.levels)):
        channel = None if axis is None else index
        data, added = layer_data(placed, placed.levels, channel)
        looks = kept_looks(image, index, "labels", title)
        contour = looks.pop("contour", 0)
        memory = {**remembered, "channel": channel, "added": added, "contour": contour}
        layers.append(layer(data, meta | looks | {"name": title}, "labels", memory))  # type: ignore[arg-type]
    if len(layers) > 1:
        for index, (_, arguments, _) in enumerate(layers):
            arguments["name"] = f"{title} channel {index}"
    return layers


def _over(placed: PlacedLevels, over: PlacedLevels, image: Image, title: str) -> PlacedLevels:
    """Lay a label image over its image: same units, and the same system if it has none of its own."""
    if placed.world is not None:
        return placed
    grid = renamed(placed.grid, over.grid)
    if (guessed := laid_over(grid, over.grid)) is not None:
        warn(f"Label image {title!r} does not say where it lies; it is laid over its image.", image.location)
        grid = guessed
    inserted = tuple(missing_dims(grid.dims, over.grid.dims, every=over.world is not None))
    grid = aligned(grid, over.grid, inserted)
    # 0.6: without transforms of its own a label image lies in its image's coordinate system.
    transform = layer_transform(grid, over.world)
    return replace(placed, grid=grid, inserted=inserted, world=over.world, transform=transform)


def _label_title(multiscale: Multiscale, name: str, label: str | None) -> str:
    """Return the name that a label image had as a layer, if its path was made from it, else its path."""
    given = multiscale.name or ""
    return given if label is not None and safe_name(given) == label else name


def _label_appearance(multiscale: Multiscale, name: str, dtype: np.dtype[Any]) -> dict[str, Any]:
    appearance: dict[str, Any] = {"visible": True}
    if multiscale.label_image is None:
        return appearance
    colors = multiscale.label_image.colors
    has_numba = importlib.util.find_spec("numba") is not None
    if table := direct_colors(colors, dtype, any_label=has_numba):
        appearance["colormap"] = table
    elif colors:
        warn(f"The colours of label image {name!r} are not shown: for such labels napari needs numba.")
    try:
        features = features_table(multiscale.label_image)
    except MetadataError as error:
        warn(f"The properties of label image {name!r} are left out: {error.summary}")
        features = None
    if features is not None:
        appearance["features"] = features
    return appearance


MANY_LAYERS = 100
"""Layers after which further images and label images are not shown: napari needs about 0.1 s to add each."""


_PICTURES = ("scene", "spatialdata")
"""Kinds of collections whose images lie in one coordinate system: together they are one picture."""


_MOST_OF_A_PICTURE = 500  # it is worth waiting for


def most_layers(opened: Image | Collection) -> int:
    """Return after how many layers further images and label images are not shown."""
    return _MOST_OF_A_PICTURE if getattr(opened, "kind", "") in _PICTURES else MANY_LAYERS


def to_layers(
    opened: Image | Collection,
    name: str = "image",
    *,
    limits: Mapping[str, Sequence[Limits | None]] = MappingProxyType({}),
) -> list[LayerData]:
    """Translate what was opened into layers, bottom first: one for each channel, one for each label image.

    `name` is for an image that has none, `limits` by name of the image for channels of which the file says
    none. Of several images each layer's name starts with that of its image. All of a scene or a SpatialData
    store are visible that lie in the coordinate system of the first; of those that lie on top of each other,
    such as the acquisitions of a plate, the first is.
    """
    if isinstance(opened, Image):
        title = _given_name(opened.multiscale) or name
        return _layers(opened, title, ImageRef(key=opened.location), limits.get("", ()))
    return _collection_layers(opened, name, limits)


def _collection_layers(
    collection: Collection, name: str, limits: Mapping[str, Sequence[Limits | None]]
) -> list[LayerData]:
    layers: list[LayerData] = []
    several = len(collection.images) > 1
    places = Counter(image.location for image in collection.images.values())
    titles = unique_names(key.strip("/ ") or "image" for key in collection.images)
    firsts = {None, *(image.system for image in list(collection.images.values())[:1])}
    for index, ((key, image), title) in enumerate(zip(collection.images.items(), titles, strict=True)):
        if len(layers) >= most_layers(collection):
            warn(
                f"{index} of {len(collection.images)} images are shown; open the others one by one.",
                collection.location,
            )
            break
        shared = places[image.location] > 1
        ref = ImageRef(key=f"{image.location}#{key}" if shared else image.location, kind=collection.kind)
        if not several:
            of_image = key.strip("/ ") if collection.kind == "collection" and not key.isdigit() else ""
            title = (collection.name or "").strip("/ ") or of_image or _given_name(image.multiscale) or name
        try:
            shown = _layers(image, title, ref, limits.get(key, ()))
        except UnsupportedError as error:
            if not several:
                raise
            warn(f"Image {title!r} is not shown: {error.summary}", image.location)
            continue
        for one in shown:
            if several:
                prefix(one, title)
            is_beside = collection.kind == "scene" or image.system in firsts
            if layers and not (collection.kind in _PICTURES and is_beside):
                one[1]["visible"] = False
                one[1]["metadata"][METADATA_KEY]["appearance"]["visible"] = False
        layers += shown
    if collection.images and not layers:
        raise UnsupportedError("None of the images can be shown.", where=collection.location)
    return layers


def _layers(image: Image, title: str, ref: ImageRef, limits: Sequence[Limits | None]) -> list[LayerData]:
    """The layers of an image, those of its label images on top if the file does not keep another order."""
    return in_order(_named_layers(image, title, ref, limits), image.attributes)


def _named_layers(
    image: Image, title: str, ref: ImageRef, limits: Sequence[Limits | None]
) -> Iterator[tuple[str, LayerData]]:
    """Yield the layers of an image, each with what it is called in the order that is kept."""
    over = None
    if image.multiscale is not None and _is_label(image):
        yield from (("0", each) for each in label_layers(image, title, ref))
    elif image.multiscale is not None:
        layers, over = image_layers(image, title, ref, limits)
        yield from ((str(index), each) for index, each in enumerate(layers))
    shown = {label: each for label, each in image.labels.items() if each.arrays}
    if len(shown) < len(image.labels):
        warn(f"{len(shown)} of {len(image.labels)} label images are shown.", image.location)
    for label, label_image in shown.items():
        try:
            layers = label_layers(label_image, label, replace(ref, label=label), over=over)
            yield from ((f"labels/{label}", each) for each in layers)
        except UnsupportedError as error:
            warn(f"Label image {label!r} is not shown: {error.summary}", label_image.location)


def _is_label(image: Image) -> bool:
    """Return whether an image that was opened by itself holds labels, although its file may not say it.

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
