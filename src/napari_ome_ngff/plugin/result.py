"""Open what was saved in place of the layers that it was saved from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from napari_ome_ngff.errors import OmeNgffError
from napari_ome_ngff.plugin.origin import origin_of
from napari_ome_ngff.plugin.preferences import PLUGIN
from napari_ome_ngff.storage.location import is_within

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer


def image_of(layer: Layer) -> str | None:
    """Location of the image that a layer was opened from by this plugin, if it was."""
    origin = origin_of({"metadata": layer.metadata})
    return None if origin is None else origin["image"]


def from_paths(layers: Iterable[Layer], paths: Sequence[str]) -> list[Layer]:
    """Return the layers that were opened from stores that have been written since.

    Their voxels are those of the new image, and would be shown in the places of the old one.
    """
    images = [(layer, image_of(layer)) for layer in layers]
    return [layer for layer, image in images if image and any(is_within(image, path) for path in paths)]


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
