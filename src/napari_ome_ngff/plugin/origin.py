"""Where a layer came from: what a later save needs, kept in the layer's metadata.

napari hands a writer layers, not images. What belongs together, and what no layer attribute can hold, is
kept under one key of ``layer.metadata`` and travels with the layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict, cast

from napari_ome_ngff.metadata.model import Json, Multiscale

METADATA_KEY = "ome_ngff"
"""Key of ``layer.metadata`` under which the origin is kept."""

LayerData = tuple[Any, dict[str, Any], str]
"""napari's layer tuple: data (an array, or a list of levels), keyword arguments, and type of the layer."""


class Origin(TypedDict):
    """What a layer remembers of the file that it was opened from.

    Parameters
    ----------
    location
        Path or URL of the multiscale's group.
    image
        Path or URL of the image; the same for all layers of one image, its label images included.
    multiscale
        What the file says.
    channel
        Index along the multiscale's channel axis, or None if the layer is not one of its channels.
    label
        Name of the label image, or None for the image itself.
    attributes
        Attributes of the group that belong to others.
    dims
        Names of the layer's dimensions, as in the file.
    units
        Units of the layer's dimensions exactly as in the file: napari may be unable to say them.
    shapes
        Shape of each level of the layer, finest first.
    paths
        Path of each level in the group, finest first.
    inserted
        Dimensions that the file does not have: a label image without z over an image with z has one.
    """

    location: str
    image: str
    multiscale: Multiscale
    channel: int | None
    label: str | None
    attributes: Mapping[str, Json]
    dims: tuple[str, ...]
    units: tuple[str | None, ...]
    shapes: tuple[tuple[int, ...], ...]
    paths: tuple[str, ...]
    inserted: tuple[str, ...]


def origin_of(meta: Mapping[str, Any]) -> Origin | None:
    """Return the origin of a layer from its keyword arguments, or None if it was not opened by us.

    Users and other plugins can write anything into a layer's metadata: what is incomplete counts as nothing.

    Examples
    --------
    >>> origin_of({"name": "cells", "metadata": {"ome_ngff": "no"}}) is None
    True
    """
    metadata = meta.get("metadata")
    origin = metadata.get(METADATA_KEY) if isinstance(metadata, Mapping) else None
    if not isinstance(origin, Mapping) or not set(Origin.__annotations__) <= set(origin):
        return None
    if not isinstance(origin["multiscale"], Multiscale):
        return None
    return cast("Origin", dict(origin))
