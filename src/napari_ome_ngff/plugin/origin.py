"""Where a layer came from: what a later save needs, kept in the layer's metadata.

napari hands a writer layers, not images. What belongs together, and what no layer attribute can hold, is
kept under one key of ``layer.metadata`` and travels with the layer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict, cast

from napari_ome_ngff.metadata.nouns import Json, Multiscale
from napari_ome_ngff.plugin.names import OLD

if TYPE_CHECKING:
    from napari_ome_ngff.reading.opened import Tile

METADATA_KEY = "ome_ngff"
"""Key of ``layer.metadata`` under which the origin is kept."""


_NO_NAMES = ("", "/", "0", "image")
"""Names that programs give to every image."""


LayerData = tuple[Any, dict[str, Any], str]
"""napari's layer tuple: data (an array, or a list of levels), keyword arguments, and type of the layer."""


class Origin(TypedDict):
    """What a layer remembers of the file that it was opened from. A writer sees layers, not images."""

    location: str
    """Path or URL of the multiscale's group; of the plate or well for a mosaic of its fields."""

    image: str
    """What all layers of one image have in common, its label images included: path or URL of the image,
    with ``#`` and a name where several images are made from one group."""

    prefix: str
    """What was put before the layer's name to distinguish it from those of other images; "" for nothing."""

    kind: str
    """``"image"``, or what the image is a part of: ``"plate"``, ``"well"``, ``"scene"``, ``"spatialdata"``,
    ``"collection"``."""

    multiscale: Multiscale
    """What the file says; of a mosaic, what its fields say."""

    channel: int | None
    """Index along the multiscale's channel axis, or None if the layer is not one of its channels."""

    label: str | None
    """Name of the label image, or None for the image itself."""

    # Attributes of others on the group, and on the groups around it: see `Image.groups`.
    attributes: Mapping[str, Json]
    groups: Mapping[str, Mapping[str, Json]]
    # Of the layer's dimensions exactly as in the file: napari may be unable to say the units.
    dims: tuple[str, ...]
    units: tuple[str | None, ...]
    # Of each level of the layer that the file has, finest first.
    shapes: tuple[tuple[int, ...], ...]
    paths: tuple[str, ...]

    added: int
    """How many further levels the layer has that are not in the file: they are for display in 3D."""

    inserted: tuple[str, ...]
    """Labels of the layer's axes that the file does not have: label images without z over an image with z."""

    system: str | None
    """Name of the coordinate system in which the layer was opened, or None for the image's own."""

    store: str
    """Path or URL of what was opened: all layers of it are shown in one coordinate system."""

    title: str
    """What was opened, as it is called: a plate by its name."""

    systems: tuple[str, ...]
    """Names of the coordinate systems that it can be shown in."""

    placing: Mapping[str, Mapping[str, Any]] | None
    """Given if the layer is not where `dims`, `units` and `multiscale` say: the arguments that place it, as
    it was opened (``"opened"``) and as it lies in the image's own system (``"file"``)."""

    tiles: tuple[Tile, ...]
    """The fields of a mosaic."""

    range: tuple[float, float] | None
    """Ends of the contrast slider; None for labels and RGB."""

    contour: int
    """Thickness of the contours of labels, which a reader cannot hand to napari; 0: filled."""

    appearance: Mapping[str, Any]
    """Arguments of the layer as it was opened, to find what was changed since: name, colormap,
    contrast_limits, visible, units, features."""


def origin_of(meta: Mapping[str, Any]) -> Origin | None:
    """Return the origin of a layer from its keyword arguments, or None if it was not opened by us.

    Users and other plugins can write anything into a layer's metadata: what is incomplete counts as nothing.
    """
    metadata = meta.get("metadata")
    origin = metadata.get(METADATA_KEY) if isinstance(metadata, Mapping) else None
    if not isinstance(origin, Mapping) or not set(Origin.__annotations__) <= set(origin):
        return None
    if not isinstance(origin["multiscale"], Multiscale):
        return None
    return cast("Origin", dict(origin))


def scene_system(layers: Iterable[LayerData]) -> str | None:
    """Return the coordinate system that several images of one scene were opened in, or None."""
    origins = [origin_of(meta) for _, meta, _ in layers]
    scenes = [origin for origin in origins if origin is not None and origin["kind"] == "scene"]
    systems = {origin["system"] for origin in scenes}
    several = len({origin["image"] for origin in scenes}) > 1
    return systems.pop() if several and len(systems) == 1 else None


def own_name(name: str, origin: Origin | None) -> str:
    """Return the name of a layer without what napari put behind it, if the file has the rest.

    napari calls the second layer of one name ``"DAPI [1]"``: in its file it is ``"DAPI"`` all the same.
    """
    numbered = re.fullmatch(r"(.+) \[\d+\]", name)
    if origin is None or numbered is None:
        return name
    channels, index, label = origin["multiscale"].channels, origin["channel"] or 0, origin["label"]
    in_file = {origin["multiscale"].name, label, f"{label} channel {index}", origin["appearance"].get("name")}
    in_file |= {channels[index].label} if index < len(channels) else set()
    return numbered[1] if numbered[1].removeprefix(origin["prefix"]) in in_file else name


def prefix(layer: LayerData, title: str) -> None:
    """Put the name of its image before that of a layer."""
    meta = layer[1]
    name, origin = meta["name"], meta["metadata"][METADATA_KEY]
    if name != title and not name.startswith((f"{title} ", f"{title}: ")):
        meta["name"] = f"{title}: {name}"
        origin["prefix"] = f"{title}: "


def named_apart(layers: Sequence[LayerData], title: str, shown: Iterable[Any]) -> None:
    """Put the name of an image before those of its layers, if layers of others are `shown`.

    An image has a name in its file, or else `title`; several images are called as what they were opened from.
    """
    origins = [meta["metadata"][METADATA_KEY] for _, meta, _ in layers]
    images = {None, *(origin["image"] for origin in origins)}
    others = (origin_of({"metadata": each.metadata}) for each in shown if not each.name.endswith(OLD))
    if all((None if other is None else other["image"]) in images for other in others):
        return
    given = next((each["multiscale"].name for each in origins if each["label"] is None), None) or ""
    given = given.strip("/ ") if given not in _NO_NAMES else title
    for layer, origin in zip(layers, origins, strict=True):
        if not origin["prefix"]:
            prefix(layer, given if origin["kind"] == "image" else origin["title"])
