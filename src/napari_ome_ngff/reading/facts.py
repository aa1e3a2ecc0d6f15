"""What there is to know of what was opened, as plain JSON: for programs, and for those who print it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from napari_ome_ngff.metadata.nouns import Channel, Json, Multiscale, Plate, ScaleTranslation
from napari_ome_ngff.metadata.transforms import level_transform
from napari_ome_ngff.reading.opened import Collection, Image


def facts_of(opened: Image | Collection) -> dict[str, Json]:
    """Axes, levels, channels and label images of an image, or of each image of a collection."""
    if isinstance(opened, Image):
        return {"location": opened.location, "kind": "image", **_image(opened)}
    facts: dict[str, Json] = {"location": opened.location, "kind": opened.kind, "name": opened.name}
    if opened.plate is not None:
        facts["plate"] = _plate(opened.plate)
    return {**facts, "images": {name: _image(image) for name, image in opened.images.items()}}


def _image(image: Image) -> dict[str, Json]:
    facts: dict[str, Json] = {}
    if image.multiscale is not None and image.group is not None:
        facts = _multiscale(image.multiscale, image.group.sources)
    if image.tiles:
        facts["fields"] = len(image.tiles)
    return {**facts, "labels": {name: _image(label) for name, label in image.labels.items()}}


def _multiscale(multiscale: Multiscale, sources: Mapping[str, Any]) -> dict[str, Json]:
    shape = _opened(next(iter(sources.values()))).shape
    finest = level_transform(multiscale, 0)
    places = zip(multiscale.axes, shape, finest.scale, finest.translation, strict=True)
    by_path = {level.path: level_transform(multiscale, i) for i, level in enumerate(multiscale.levels)}
    return {
        "version": multiscale.version,
        "name": multiscale.name,
        "axes": [
            {
                "name": axis.name,
                "type": axis.type,
                "unit": axis.unit,
                "size": n,
                "scale": scale,
                "start": start,
            }
            for axis, n, scale, start in places
        ],
        "levels": [_level(path, source, by_path.get(path)) for path, source in sources.items()],
        "channels": [_channel(channel) for channel in multiscale.channels],
    }


def _opened(source: Any | Callable[..., Any]) -> Any:
    """A level of an image is a Zarr array; one of a mosaic is made when it is asked for."""
    return source("fill") if callable(source) else source


def _level(path: str, source: Any, place: ScaleTranslation | None) -> dict[str, Json]:
    array = _opened(source)
    facts: dict[str, Json] = {"path": path, "shape": list(array.shape), "dtype": str(array.dtype)}
    if place is not None:
        facts |= {"scale": list(place.scale), "translation": list(place.translation)}
    if array is source:
        facts["chunks"] = list(array.chunks)
        facts["shards"] = None if array.shards is None else list(array.shards)
        facts["compressors"] = [codec_name(codec) for codec in array.compressors]
    return facts


def codec_name(codec: Any) -> str:
    """Name of a codec, and of what Blosc compresses with."""
    if hasattr(codec, "to_dict"):
        described = codec.to_dict()
        inner = (described.get("configuration") or {}).get("cname")
        name = str(described.get("name", type(codec).__name__))
    else:
        inner, name = getattr(codec, "cname", None), str(getattr(codec, "codec_id", type(codec).__name__))
    return f"{name} ({inner})" if inner else name


def _channel(channel: Channel) -> dict[str, Json]:
    window = None if channel.window is None else asdict(channel.window)
    if window is not None:
        del window["extra"]
    return {"label": channel.label, "color": channel.color, "window": window, "active": channel.active}


def _plate(plate: Plate) -> dict[str, Json]:
    return {
        "version": plate.version,
        "rows": list(plate.rows),
        "columns": list(plate.columns),
        "wells": [well.path for well in plate.wells],
        "acquisitions": [{"id": each.id, "name": each.name} for each in plate.acquisitions],
    }
