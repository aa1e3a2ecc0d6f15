"""The fields of a plate and the images of a collection, from the metadata of layers. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from napari_ome_ngff.plugin.origin import METADATA_KEY
from napari_ome_ngff.reading.opened import Tile

if TYPE_CHECKING:
    from napari.layers import Layer

TOGETHER = ("scene", "spatialdata", "collection")
"""Kinds of places that are opened as several images, each with layers of its own."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One row of the table: a field of a well, or an image of a collection (then without field and tile).

    `size` is ``"height × width"`` in voxels; `location` is where the field or image can be opened alone.
    """

    name: str
    field: str
    size: str
    location: str
    tile: Tile | None = None


def tiles_of(layer: Layer) -> tuple[Tile, ...]:
    """Return the fields that a layer is a mosaic of; nothing for others, whatever their metadata are."""
    tiles = _origin(layer).get("tiles")
    return tiles if isinstance(tiles, tuple) and all(isinstance(tile, Tile) for tile in tiles) else ()


def tile_at(tiles: Iterable[Tile], y: float, x: float) -> Tile | None:
    """Return the field that a point lies in, or None between fields.

    The point is in voxels of the finest level; the centre of the first voxel is at 0.
    """
    for tile in tiles:
        if -0.5 <= y - tile.y < tile.height - 0.5 and -0.5 <= x - tile.x < tile.width - 0.5:
            return tile
    return None


def tile_under(layers: Sequence[Layer], position: Sequence[float]) -> tuple[Layer, Tile] | None:
    """Return the first visible layer that has a field at a position in the world, and that field."""
    for layer in layers:
        if layer.visible and (tiles := tiles_of(layer)):
            y, x = layer.world_to_data(position)[-2:]
            if tile := tile_at(tiles, y, x):
                return layer, tile
    return None


def title(tile: Tile) -> str:
    """Return the name of a field, such as "A/1 field 0"."""
    return f"{tile.well} field {tile.field}".strip()


def world_box(layer: Layer, tile: Tile) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the least and the greatest corner of a field in the world, one number per dim of the layer."""
    outer = [0.0] * (layer.ndim - 2)
    rows = (tile.y - 0.5, tile.y + tile.height - 0.5)
    columns = (tile.x - 0.5, tile.x + tile.width - 0.5)
    corners = [layer.data_to_world((*outer, y, x)) for y, x in product(rows, columns)]
    along = list(zip(*corners, strict=True))
    return tuple(map(min, along)), tuple(map(max, along))


def active_first(layers: Sequence[Layer], active: Layer | None) -> list[Layer]:
    """Return the active layer, then all from the topmost down."""
    return [*([] if active is None else [active]), *reversed(layers)]


def catalogued(layers: Sequence[Layer], active: Layer | None) -> Layer | None:
    """Return the layer whose plate or collection is meant: the active one, else the topmost that has one."""
    for layer in active_first(layers, active):
        if tiles_of(layer) or kind_of(layer) in TOGETHER:
            return layer
    return None


def entries(layers: Sequence[Layer], chosen: Layer) -> tuple[Entry, ...]:
    """List the fields of the plate of the `chosen` layer, or the images of its collection."""
    if tiles := tiles_of(chosen):
        return tuple(
            Entry(
                name=tile.well,
                field=tile.field,
                size=f"{tile.height} × {tile.width}",
                location=tile.location,
                tile=tile,
            )
            for tile in tiles
        )
    images: dict[str, list[Layer]] = {}
    for layer in layers:
        if kind_of(layer) in TOGETHER and layer.source.path == chosen.source.path:
            images.setdefault(image_of(layer), []).append(layer)
    return tuple(_image_entry(location, members) for location, members in images.items())


def kind_of(layer: Layer) -> str:
    """Return what a layer was opened from: ``"plate"``, ``"scene"`` and so on; "" if we did not open it."""
    return str(_origin(layer).get("kind", ""))


def natural_key(text: str) -> tuple[str | int, ...]:
    """Return by what names are sorted, so that numbers in them count as numbers: A/2 before A/10."""
    return tuple(int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", text))


def title_of(layer: Layer) -> str:
    """Return the name of the plate or collection that a layer belongs to; "" if it has none."""
    return str(_origin(layer).get("title", ""))


def image_of(layer: Layer) -> str:
    """Return what all layers of one image have in common; "" if we did not open it."""
    return str(_origin(layer).get("image", ""))


def layers_of(layers: Sequence[Layer], image: str) -> list[Layer]:
    """Return the layers of one image."""
    return [layer for layer in layers if image_of(layer) == image]


def _image_entry(location: str, members: Sequence[Layer]) -> Entry:
    named = getattr(_origin(members[0]).get("multiscale"), "name", None)
    last = unquote(location.rstrip("/\\").replace("\\", "/").rpartition("/")[2])
    name = members[0].name if len(members) == 1 else named or last
    return Entry(name=name, field="", size=_size(members[0]), location=location)


def _size(layer: Layer) -> str:
    shape = (layer.data[0] if getattr(layer, "multiscale", False) else layer.data).shape
    height, width = shape[layer.ndim - 2 : layer.ndim]  # RGB has a further dimension
    return f"{height} × {width}"


def _origin(layer: Layer) -> Mapping[str, Any]:
    origin = layer.metadata.get(METADATA_KEY)
    return origin if isinstance(origin, Mapping) else {}
