"""The layers of label images: laid over their image, coloured, with what is known of each label."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.metadata.nouns import Multiscale
from napari_ome_ngff.plugin.label_display import direct_colors, features_table
from napari_ome_ngff.plugin.layout import aligned, laid_over, missing_dims, renamed
from napari_ome_ngff.plugin.names import safe_name
from napari_ome_ngff.plugin.open.image_layers import image_layers
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
from napari_ome_ngff.plugin.origin import LayerData

if TYPE_CHECKING:
    import numpy as np

    from napari_ome_ngff.reading.opened import Image


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
    meta = found.shown.arguments | _look(multiscale, title, dtype)
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


def _look(multiscale: Multiscale, name: str, dtype: np.dtype[Any]) -> dict[str, Any]:
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
