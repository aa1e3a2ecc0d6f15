"""Open what was saved in place of the layers that it was saved from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from napari_ome_ngff.errors import OmeNgffError
from napari_ome_ngff.plugin.names import OLD
from napari_ome_ngff.plugin.origin import origin_of
from napari_ome_ngff.plugin.preferences import PLUGIN
from napari_ome_ngff.storage.pixels.provenance import lazy_locations
from napari_ome_ngff.storage.places.location import is_within

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer


def image_of(layer: Layer) -> str | None:
    """Location of the image that this plugin opened a layer from, or None."""
    origin = origin_of({"metadata": layer.metadata})
    return None if origin is None else origin["image"]


def stale_layers(layers: Iterable[Layer], paths: Sequence[str]) -> list[Layer]:
    """Return the stale layers: those read lazily from what has been written since.

    Layers in memory stay, wherever they come from: they may hold unsaved changes.
    """
    return [
        layer
        for layer in layers
        if image_of(layer) is not None
        and any(is_within(location, path) for location in lazy_locations(layer.data) for path in paths)
    ]


def open_instead(viewer: Viewer, paths: Sequence[str], layers: Iterable[Layer]) -> None:
    """Open images, then close these layers; if an image cannot be opened, they stay as they were."""
    names = {layer: layer.name for layer in layers if layer in viewer.layers}
    for layer, name in names.items():
        layer.name = name + OLD  # frees the name for the new layer
    try:
        for path in paths:
            viewer.open(path, plugin=PLUGIN)
    except OmeNgffError:
        for layer, name in names.items():
            layer.name = name
        raise
    for layer in names:
        viewer.layers.remove(layer)
