"""Corrected metadata in the viewer and in the file: all layers of an image at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ome_ngff.editing.metadata_change import MetadataChange, Move, move_of
from napari_ome_ngff.metadata.nouns import Axis, Multiscale
from napari_ome_ngff.plugin.layout import shown_units
from napari_ome_ngff.plugin.looks import LOOKS_KEY
from napari_ome_ngff.plugin.open.viewer_hooks import with_contours
from napari_ome_ngff.plugin.origin import METADATA_KEY, Origin, origin_of
from napari_ome_ngff.plugin.save.appearance import channels_of, label_image_of
from napari_ome_ngff.plugin.save.from_layers import SAVED_KINDS
from napari_ome_ngff.plugin.save.grouping import looks_of
from napari_ome_ngff.plugin.save.layer_image import layer_image

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_ome_ngff.reading.opened import Image


APPLIED_KEY = "ome_ngff_applied"
"""Key of ``layer.metadata`` under which a correction is kept that is not saved yet."""


def layers_of_image(layers: Iterable[Layer], layer: Layer) -> list[Layer]:
    """The layers of the image that a layer was opened from: its channels, and its label images."""
    origin = origin_of({"metadata": layer.metadata})
    if origin is None:
        return []
    every = [(each, origin_of({"metadata": each.metadata})) for each in layers]
    return [each for each, theirs in every if theirs is not None and theirs["image"] == origin["image"]]


def apply_axes(layers: Sequence[Layer], multiscale: Multiscale, changes: Mapping[str, Any]) -> None:
    """Give all layers of an image the voxel size, position, units and axis names that were corrected.

    `changes` are arguments of `edit_metadata`, `multiscale` is what they refer to. What was applied before
    and not saved is taken back first.
    """
    move = move_of(multiscale, MetadataChange(**changes))
    axes: Mapping[str, Axis] = changes.get("axes", {})
    for layer in layers:
        origin = origin_of({"metadata": layer.metadata})
        if origin is None:
            continue
        before: Move = layer.metadata.get(APPLIED_KEY, {})
        scale, translate = np.array(layer.scale, float), np.array(layer.translate, float)
        units, labels = [str(unit) for unit in layer.units], list(layer.axis_labels)
        for i, dim in enumerate(_dims(layer, origin)):
            if dim is None:
                continue
            old_factor, old_shift = before.get(dim, (1.0, 0.0))
            factor, shift = move.get(dim, (1.0, 0.0))
            scale[i] = scale[i] / old_factor * factor
            translate[i] = (translate[i] - old_shift) / old_factor * factor + shift
            if dim in axes:
                labels[i] = axes[dim].name
                (units[i],) = shown_units([axes[dim]])
        layer.scale, layer.translate = scale, translate
        layer.units, layer.axis_labels = tuple(units), tuple(labels)
        layer.metadata[APPLIED_KEY] = dict(move)


def _dims(layer: Layer, origin: Origin) -> list[str | None]:
    """The name in the file of each dimension of a layer, None for one that the file lacks."""
    names = iter(origin["dims"])
    return [None if label in origin["inserted"] else next(names, None) for label in layer.axis_labels]


def looks(layers: Sequence[Layer], location: str) -> dict[str, Any]:
    """What was changed of how an image is shown by all its layers, bottom first: as for `edit_metadata`."""
    return _shown(layers, location) | _kept(layers, location)


def _kept(layers: Sequence[Layer], location: str) -> dict[str, Any]:
    """What OME-Zarr has no key for, if the file does not say it already."""
    data = [layer.as_layer_data_tuple() for layer in layers]
    kinds = [each for each in with_contours(data) if each[2] in SAVED_KINDS]
    origins = [origin for _, meta, _ in kinds if (origin := origin_of(meta)) is not None]
    before = next((each["attributes"] for each in origins if each["location"] == location), None)
    after = looks_of(kinds)
    if before is None or location not in after or after[location] == before.get(LOOKS_KEY):
        return {}
    return {"attributes": {LOOKS_KEY: after[location]}}


def _shown(layers: Sequence[Layer], location: str) -> dict[str, Any]:
    """What OME-Zarr has keys for: channels, or colours and properties of labels."""
    mine = [
        (origin, layer_image(layer.as_layer_data_tuple()))
        for layer in layers
        if (origin := origin_of({"metadata": layer.metadata})) is not None and origin["location"] == location
    ]
    if not mine:
        return {}
    # Label images on a mosaic of fields have its location.
    mine = [pair for pair in mine if pair[0]["label"] is None] or mine
    mine.sort(key=lambda pair: pair[0]["channel"] or 0)
    multiscale = mine[0][0]["multiscale"]
    if mine[0][0]["label"] is not None or multiscale.label_image is not None:
        if mine[0][1].kind != "labels":
            return {}
        old, new = multiscale.label_image, label_image_of(mine[0][1], on_image=False)
        changed: dict[str, Any] = {}
        if old is None or new.colors != old.colors:
            changed["colors"] = dict(new.colors)
        if new.table is None and (old is None or (old.table is None and new.properties != old.properties)):
            changed["properties"] = list(new.properties)
        return changed
    numbers = [origin["channel"] for origin, _ in mine if origin["channel"] is not None]
    if len(numbers) < len(mine):  # a layer that shows all of them
        if len(multiscale.channels) > len(mine):
            return {}
        numbers = []
    channels = channels_of([image for _, image in mine], multiscale)
    different = {
        i: channel
        for i, channel in zip(
            numbers or range(len(channels)), channels, strict=False
        )  # those of layers that were closed stay
        if i >= len(multiscale.channels) or channel != multiscale.channels[i]
    }
    return {"channels": different} if different else {}


def remember_file(layers: Sequence[Layer], place: str) -> None:
    """Let layers know what the file of their image says now."""
    from napari_ome_ngff.reading.open import open_metadata
    from napari_ome_ngff.reading.opened import images_of

    images = images_of(open_metadata(place)).values()
    remember(layers, {one.location: one for image in images for one in (image, *image.labels.values())})


def remember(layers: Sequence[Layer], images: Mapping[str, Image]) -> None:
    """Let layers know what the file says now, by the location of their image."""
    for layer in layers:
        origin = origin_of({"metadata": layer.metadata})
        image = None if origin is None else images.get(origin["location"])
        if origin is None or image is None or image.multiscale is None:
            continue
        multiscale = image.multiscale
        names = [
            None if dim is None else origin["multiscale"].dims.index(dim) for dim in _dims(layer, origin)
        ]
        in_file = [multiscale.axes[i] for i in names if i is not None]
        _, meta, _ = layer.as_layer_data_tuple()
        before = origin["multiscale"]
        # What was not written, as of an image whose labels alone were saved, stays to be saved.
        written = [] if multiscale.axes == before.axes else ["units"]
        if _keys_of_looks(multiscale) != _keys_of_looks(before):
            written += [key for key in origin["appearance"] if key != "units"]
        appearance = {**origin["appearance"], **{key: meta[key] for key in written if key in meta}}
        if (multiscale.levels, multiscale.transform) != (before.levels, before.transform):
            layer.metadata.pop(APPLIED_KEY, None)
        layer.metadata[METADATA_KEY] = {
            **origin,
            "multiscale": multiscale,
            "dims": tuple(axis.name for axis in in_file),
            "units": tuple(axis.unit for axis in in_file),
            "appearance": appearance,
            "attributes": image.attributes,
        }


def _keys_of_looks(multiscale: Multiscale) -> tuple[object, ...]:
    """What the file says of how an image is shown; not large tables of labels, which are no metadata."""
    label_image = multiscale.label_image
    of_labels = () if label_image is None else (label_image.colors, label_image.properties)
    return (multiscale.name, multiscale.channels, *of_labels)
