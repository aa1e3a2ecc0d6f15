"""Names of axes that the viewer knows: of sliders that were renamed, and of layers of the same shape."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from napari_ome_ngff.plugin.layer_axes.axes_of_layer import TYPES_KEY, chosen_types, is_named
from napari_ome_ngff.plugin.open.viewer_hooks import open_viewers
from napari_ome_ngff.plugin.origin import METADATA_KEY, LayerData, origin_of


def named_in_view(layers: Sequence[LayerData], viewers: Iterable[Any] | None = None) -> list[LayerData]:
    """Layer tuples whose axes are named as viewers, by default all that are open, name them."""
    viewers = tuple(open_viewers() if viewers is None else viewers)
    return [_named(layer, viewers) for layer in layers]


def tuples_in_view(layers: Sequence[Any], viewer: Any) -> list[LayerData]:
    """Layer tuples of some layers of a viewer, their axes named as it names them."""
    return named_in_view([layer.as_layer_data_tuple() for layer in layers], [viewer])


def shown_layers(layer: LayerData, viewers: Iterable[Any] | None = None) -> list[Any]:
    """The layers in viewers, by default all that are open, that a tuple is of."""
    data, meta, _ = layer
    return [
        each
        for viewer in (open_viewers() if viewers is None else viewers)
        for each in viewer.layers
        if each.name == meta.get("name") and each.data is data
    ]


def _named(layer: LayerData, viewers: Iterable[Any]) -> LayerData:
    data, meta, kind = layer
    for viewer in viewers:
        for each in shown_layers(layer, [viewer]):
            return data, {**meta, **_as_source(each, viewer), **_renamed(each, viewer)}, kind
    return layer


def _renamed(layer: Any, viewer: Any) -> dict[str, Any]:
    """Labels of a layer's axes with the names that their sliders were given.

    A slider is named after the layer with the most named axes: only another name was typed by somebody.
    """
    labels = list(layer.axis_labels)
    sliders, layers = viewer.dims.axis_labels, viewer.layers.axis_labels
    origin = origin_of({"metadata": layer.metadata})
    inserted = () if origin is None else origin["inserted"]
    for i in range(-min(layer.ndim, len(sliders), len(layers)), 0):
        if labels[i] not in inserted and sliders[i] != layers[i] and is_named(sliders[i]):
            labels[i] = sliders[i]
    return {} if labels == list(layer.axis_labels) else {"axis_labels": tuple(labels)}


def _as_source(layer: Any, viewer: Any) -> dict[str, Any]:
    """Names, and units where voxels have the same size, of what a layer without names was computed from.

    That is its parent, else the layers of its shape, as far as they have the same names.
    """
    if any(map(is_named, layer.axis_labels)) or METADATA_KEY in layer.metadata:
        return {}
    parent = layer.source.parent
    parents = [] if parent is None else [parent()]
    alike = [each for each in parents or viewer.layers if each is not None and _is_like(each, layer)]
    if len({each.axis_labels for each in alike}) != 1:
        return {}
    source = alike[0]
    taken: dict[str, Any] = {"axis_labels": source.axis_labels}
    if {str(unit) for unit in layer.units} == {"pixel"} and tuple(source.scale) == tuple(layer.scale):
        taken["units"] = source.units
    if types := chosen_types({"metadata": source.metadata}):
        taken["metadata"] = {**layer.metadata, TYPES_KEY: types}
    return taken


def _is_like(other: Any, layer: Any) -> bool:
    if other is layer or not any(map(is_named, other.axis_labels)):
        return False
    return _shape(other) == _shape(layer)


def _shape(layer: Any) -> tuple[int, ...]:
    """Shape of the finest level, without colours."""
    data = getattr(layer, "data", None)
    finest = data[0] if getattr(layer, "multiscale", False) and data is not None else data
    return tuple(getattr(finest, "shape", ()))[: layer.ndim]
