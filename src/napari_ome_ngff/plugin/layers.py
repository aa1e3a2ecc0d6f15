"""OME-NGFF images and napari layers, both ways. Pure translation: no IO, no Qt, no napari."""

from __future__ import annotations

from napari_ome_ngff.plugin.bundles import Bundle, targets_of
from napari_ome_ngff.plugin.from_layers import file_version, from_layers
from napari_ome_ngff.plugin.origin import METADATA_KEY, LayerData, Origin, origin_of
from napari_ome_ngff.plugin.to_layers import to_layers

__all__ = [
    "METADATA_KEY",
    "Bundle",
    "LayerData",
    "Origin",
    "file_version",
    "from_layers",
    "origin_of",
    "targets_of",
    "to_layers",
]
