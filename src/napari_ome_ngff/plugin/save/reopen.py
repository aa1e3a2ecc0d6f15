"""Open what was saved in place of the layers that it was saved from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from napari_ome_ngff.errors import OmeNgffError
from napari_ome_ngff.plugin.names import OLD
from napari_ome_ngff.plugin.origin import origin_of
from napari_ome_ngff.plugin.preferences import PLUGIN
from napari_ome_ngff.plugin.save.progress import breathe, is_closed
from napari_ome_ngff.storage.pixels.provenance import lazy_locations
from napari_ome_ngff.storage.places.location import is_within

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_ome_ngff.plugin.origin import LayerData


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


def open_instead(
    viewer: Viewer, paths: Sequence[str], layers: Iterable[Layer], read: Callable[[str], list[LayerData]]
) -> None:
    """Open images with a reader, then close these layers; if one cannot be opened, they stay as they were.

    Layer by layer where a window runs: napari takes some 0.2 s for each, and the window lives in between.
    """
    from napari.layers import Layer as AnyLayer
    from napari.layers._source import layer_source

    names = {layer: layer.name for layer in layers if layer in viewer.layers}
    for layer, name in names.items():
        layer.name = name + OLD  # frees the name for the new layer
    try:
        for path in paths:
            for data, *rest in read(path):
                if not rest:  # it was closed meanwhile
                    return
                meta, kind = rest
                with layer_source(path=path, reader_plugin=PLUGIN):
                    new = AnyLayer.create(data, meta, kind)
                breathe()
                if is_closed(viewer):
                    return
                viewer.add_layer(new)
                breathe()
    except OmeNgffError:
        for layer, name in names.items():
            layer.name = name
        raise
    for layer in names:
        if layer in viewer.layers:
            viewer.layers.remove(layer)
            breathe()
