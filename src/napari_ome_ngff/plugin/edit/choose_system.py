"""All layers of an image, a scene or a SpatialData store in another coordinate system."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ome_ngff.errors import OptionError, collected_warnings
from napari_ome_ngff.plugin.edit.correct import APPLIED_KEY
from napari_ome_ngff.plugin.edit.edited_layer import put_instead, view_of
from napari_ome_ngff.plugin.origin import METADATA_KEY, LayerData, Origin, origin_of

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer

_PLACE = ("scale", "translate", "affine", "units", "axis_labels")

_REMEMBERED = ("system", "placing", "dims", "units", "shapes", "inserted", "systems")
"""What a layer remembers that depends on the system."""


def current_system(origin: Origin) -> str | None:
    """The name of the coordinate system that a layer is shown in."""
    return origin["system"] or origin["multiscale"].system


def show_in_system(viewer: Viewer, layer: Layer, system: str) -> str:
    """Place all layers of what a layer was opened from in one of its coordinate systems.

    Those that are not in it are hidden; those that were not in the one before are shown. How layers look
    stays; one whose axes come in another order is replaced.
    """
    asked = origin_of({"metadata": layer.metadata})
    if asked is None:
        raise OptionError("This layer was not opened from an OME-Zarr image.", hint="Select one that was.")
    layers = _of_store(list(viewer.layers), asked["store"])
    edited = [each.name for each, _ in layers if view_of(each) is not None]
    if edited:
        raise OptionError(f"{edited[0]!r} is being edited.", hint="Save or discard the changes first.")
    placed = {
        _key(origin_of(meta)): (data, meta, kind) for data, meta, kind in _opened(asked["store"], system)
    }
    moved = 0
    for each, origin in layers:
        new = placed.get(_key(origin))
        was_in = current_system(origin) == current_system(asked)
        if new is None:
            each.visible = False
            continue
        moved += 1
        each.visible = each.visible or not was_in
        _place(viewer, each, origin, new)
    others = len(layers) - moved
    hidden = f" {others} layers are not in it; they are hidden." if others else ""
    return f"{moved} layers are shown in the coordinate system {system!r}.{hidden}"


def _of_store(layers: Sequence[Layer], store: str) -> list[tuple[Layer, Origin]]:
    pairs = ((layer, origin_of({"metadata": layer.metadata})) for layer in layers)
    return [(layer, origin) for layer, origin in pairs if origin is not None and origin["store"] == store]


def _key(origin: Origin | None) -> tuple[Any, ...]:
    return () if origin is None else (origin["image"], origin["label"], origin["channel"])


def _opened(store: str, system: str) -> list[LayerData]:
    """The layers of a store in a coordinate system; no pixel is read."""
    from napari_ome_ngff.plugin.open.add_to_viewer import read_described, store_of
    from napari_ome_ngff.plugin.open.to_layers import to_layers
    from napari_ome_ngff.reading.open import open_metadata

    with collected_warnings():  # what is wrong with the file was said when it was opened
        opened = read_described(open_metadata(store, coordinate_system=system))
        layers = to_layers(opened)
    for _, meta, _ in layers:
        meta["metadata"][METADATA_KEY] |= store_of(opened)
    return layers


def _place(viewer: Viewer, layer: Layer, origin: Origin, new: LayerData) -> None:
    data, meta, kind = new
    theirs: Origin = meta["metadata"][METADATA_KEY]
    place = {key: meta[key] for key in _PLACE if key in meta}
    place.setdefault("affine", np.eye(len(place["scale"]) + 1))
    remembered: dict[str, Any] = {**origin, **{key: theirs[key] for key in _REMEMBERED}}  # type: ignore[literal-required]
    remembered["appearance"] = {**origin["appearance"], "units": theirs["appearance"]["units"]}
    metadata = {key: value for key, value in layer.metadata.items() if key != APPLIED_KEY}
    metadata[METADATA_KEY] = remembered
    same = (origin["dims"], origin["inserted"], layer.ndim)
    if same == (theirs["dims"], theirs["inserted"], len(place["scale"])):
        for name, value in place.items():
            setattr(layer, name, value)
        layer.metadata = metadata
        return
    from napari.layers import Layer as AnyLayer

    _, looks, _ = layer.as_layer_data_tuple()
    changed = {**looks, **place, "metadata": metadata, "multiscale": isinstance(data, list)}
    put_instead(viewer, layer, AnyLayer.create(data, changed, kind))
