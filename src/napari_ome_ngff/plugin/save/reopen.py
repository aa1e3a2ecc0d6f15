"""Open what was saved in place of the layers that it was saved from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from napari_ome_ngff.errors import OmeNgffError
from napari_ome_ngff.plugin.origin import origin_of
from napari_ome_ngff.plugin.preferences import PLUGIN
from napari_ome_ngff.storage.pixels.provenance import lazy_locations
from napari_ome_ngff.storage.places.location import is_within

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer


def image_of(layer: Layer) -> str | None:
    """Location of the image that a layer was opened from by this plugin, if it was."""
    origin = origin_of({"metadata": layer.metadata})
    return None if origin is None else origin["image"]


def from_paths(layers: Iterable[Layer], paths: Sequence[str]) -> list[Layer]:
    """Return the layers whose voxels are read from images or label images that have been written since.

    They would show those of the new one in the places of the old one. Layers in memory stay what they are,
    wherever they come from: nobody may have saved them.
    """
    found = [(layer, lazy_locations(layer.data)) for layer in layers if image_of(layer) is not None]
    return [
        layer
        for layer, locations in found
        if any(is_within(location, path) for location in locations for path in paths)
    ]


def open_instead(viewer: Viewer, paths: Sequence[str], layers: Iterable[Layer]) -> None:
    """Open images, and close these layers once they are there; the view stays as it is.

    Raises
    ------
    OmeNgffError
        If an image cannot be opened; the layers are as they were then.
    """
    old = {layer: layer.name for layer in layers if layer in viewer.layers}
    for layer, name in old.items():
        layer.name = f"{name} (old)"  # two layers cannot have one name, and the new ones are to have these
    try:
        for path in paths:
            viewer.open(path, plugin=PLUGIN)
    except OmeNgffError:
        for layer, name in old.items():
            layer.name = name
        raise
    for layer in old:
        viewer.layers.remove(layer)
