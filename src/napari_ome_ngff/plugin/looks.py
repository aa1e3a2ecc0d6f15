"""What OME-Zarr has no key for and the picture depends on: opacity, blending, order of layers ... Pure.

It is kept under one key of the attributes of an image, and of each label image. Only what differs from what a
layer has when it is opened without the key is written, so most files have none.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.errors import give_warning
from napari_ome_ngff.metadata.group_kind import OUR_KEYS
from napari_ome_ngff.metadata.nouns import Json
from napari_ome_ngff.plugin.origin import LayerData

if TYPE_CHECKING:
    from napari_ome_ngff.reading.opened import Image

LOOKS_KEY = f"{OUR_KEYS}looks"
"""Key of the attributes: ``{"layers": [{"gamma": 0.5}, ...], "order": ["labels/cells", "0"]}``.

``layers`` are the layers of the image in the order of its channels, ``order`` is the order of the layer list,
bottom first: channels by their index, label images by their paths.
"""

_FILTERS = ("nearest", "linear", "cubic", "kaiser", "spline36")
_WORDS: Mapping[str, tuple[str, ...]] = {
    "blending": (
        "translucent_no_depth",
        "translucent",
        "additive",
        "minimum",
        "opaque",
        "multiplicative",
    ),
    "interpolation2d": _FILTERS,
    "interpolation3d": _FILTERS,
    "iso_gradient_mode": ("fast", "smooth"),
}
_RENDERING = {
    "image": ("mip", "translucent", "additive", "iso", "minip", "attenuated_mip", "average"),
    "labels": ("iso_categorical", "translucent"),
}
_NUMBERS: Mapping[str, tuple[float, float]] = {
    "opacity": (0.0, 1.0),
    "gamma": (0.01, 100.0),
    "attenuation": (0.0, 100.0),
    "iso_threshold": (-1e300, 1e300),
    "contour": (0, 1000),
}
_OPENED_AS: Mapping[str, Mapping[str, object]] = {
    "image": {
        "opacity": 1.0,
        "gamma": 1.0,
        "blending": "translucent_no_depth",
        "interpolation2d": "nearest",
        "interpolation3d": "linear",
        "rendering": "mip",
        "attenuation": 0.05,
    },
    "labels": {
        "opacity": 0.7,
        "blending": "translucent",
        "rendering": "iso_categorical",
        "iso_gradient_mode": "fast",
        "contour": 0,
    },
}


def with_looks(
    attributes: Mapping[str, Json], layers: Sequence[Mapping[str, Any]], kind: str, order: Sequence[str] = ()
) -> dict[str, Json]:
    """Attributes of an image with the looks of its layers, by channel; `order` if it is not as usual."""
    looks = [_looks(meta, kind, several=len(layers) > 1) for meta in layers]
    if not order and looks[0].get("blending") == _OPENED_AS[kind]["blending"]:
        # napari's own choice for the lowest of several channels, which looks as if it was added to nothing.
        del looks[0]["blending"]
    value: dict[str, Json] = {"layers": looks} if any(looks) else {}
    value |= {"order": list(order)} if order else {}
    others = {key: each for key, each in attributes.items() if key != LOOKS_KEY}
    return others | ({LOOKS_KEY: value} if value else {})


def _looks(meta: Mapping[str, Any], kind: str, *, several: bool) -> dict[str, Json]:
    """What a layer has and would not have if it was opened without it."""
    usual = {**_OPENED_AS[kind], **({"blending": "additive"} if several and kind == "image" else {})}
    usual |= {"iso_threshold": None} if meta.get("rendering") == "iso" else {}
    looks = {key: _checked(key, meta.get(key), kind) for key in usual}
    return {key: value for key, value in looks.items() if value is not None and value != usual[key]}


def kept_looks(image: Image, index: int, kind: str, name: str) -> dict[str, Any]:
    """What the file keeps of the looks of a channel's layer; what cannot be is left out with a warning."""
    looks = image.attributes.get(LOOKS_KEY)
    layers = looks.get("layers") if isinstance(looks, Mapping) else None
    entry = layers[index] if isinstance(layers, Sequence) and index < len(layers) else None
    if not isinstance(entry, Mapping):
        return {}
    keys = [*_OPENED_AS[kind], *(["iso_threshold"] if kind == "image" else [])]
    values = {key: _checked(key, entry[key], kind) for key in keys if key in entry}
    if refused := [key for key, value in values.items() if value is None]:
        text = f"{' and '.join(refused)} of {name!r} cannot be as the file says: left out. ({image.location})"
        give_warning(text, stacklevel=3)
    return {key: value for key, value in values.items() if value is not None}


def in_order(layers: Iterable[tuple[str, LayerData]], attributes: Mapping[str, Json]) -> list[LayerData]:
    """Layers, each with what it is called in the order, the lowest first as when they were saved."""
    named = list(layers)
    looks = attributes.get(LOOKS_KEY)
    order = looks.get("order") if isinstance(looks, Mapping) else None
    if isinstance(order, Sequence) and len(order) <= len(named) and all(isinstance(n, str) for n in order):
        rank = {name: i for i, name in enumerate(order)}
        named.sort(key=lambda each: rank.get(each[0], len(rank)))
    return [layer for _, layer in named]


def _checked(key: str, value: object, kind: str) -> Any:
    """A value that a layer takes, or None."""
    if key in _NUMBERS:
        low, high = _NUMBERS[key]
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return None
        if not low <= value <= high:
            return None
        return int(value) if key == "contour" else float(value)
    words = _RENDERING[kind] if key == "rendering" else _WORDS[key]
    text = str(value) if value is not None else ""
    return text if text in words else None
