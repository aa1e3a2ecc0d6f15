"""What somebody says of the axes of an image, given to all of its layers in the viewer. No Qt."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ome_ngff.errors import OmeNgffError, OptionError
from napari_ome_ngff.metadata.nouns import Axis
from napari_ome_ngff.metadata.units import axis_type, canonical_unit, is_udunits
from napari_ome_ngff.plugin.layer_axes.axes_in_view import named_in_view
from napari_ome_ngff.plugin.layer_axes.axes_of_layer import OTHER, TYPES_KEY, chosen_types, is_named
from napari_ome_ngff.plugin.layout import shown_units
from napari_ome_ngff.plugin.origin import METADATA_KEY, origin_of
from napari_ome_ngff.plugin.save.from_layers import SAVED_KINDS
from napari_ome_ngff.plugin.save.grouping import group_layers, lead
from napari_ome_ngff.plugin.save.layer_image import LayerImage, layer_image

if TYPE_CHECKING:
    from napari.layers import Layer

SERIES = {
    "Time series": {3: "tyx", 4: "tzyx", 5: "tczyx"},
    "Z-stack": {3: "zyx", 4: "czyx", 5: "tczyx"},
}
"""What people call images, and their axes by the number of these."""

USUAL = {"time": "t", "channel": "c", "space": "z"}
"""Usual names of axes that are not shown in the plane, by type."""


@dataclass(frozen=True, kw_only=True)
class SaidAxis:
    """One axis as a row shows it; without a name and a type if nobody said what it is."""

    name: str
    type: str
    unit: str
    step: float


@dataclass(frozen=True, kw_only=True)
class ImageAxes:
    """The axes of one image, and its layers: channels, label images, and what is drawn on them."""

    name: str
    rows: tuple[SaidAxis, ...]
    at: tuple[int, ...]  # dimension of a layer that each row is of, from the right: -1 is the last
    layers: tuple[Any, ...]
    inserted: tuple[str, ...] = ()  # names of dimensions that only the layers have
    placed: bool = False  # shown in another coordinate system than its own: sizes of voxels are not edited


def image_axes(viewer: Any, chosen: Sequence[Layer]) -> ImageAxes | None:
    """The axes of the image that the active layer is part of, else of the first of some layers."""
    images, every = {}, list(viewer.layers)  # what is iterated over is no proxy
    for i, layer in enumerate(every):
        data = layer.as_layer_data_tuple()
        if data[2] in SAVED_KINDS:
            try:
                images[i] = replace(layer_image(named_in_view([data], [viewer])[0]), rank=i)
            except OmeNgffError:  # it is said when it is to be saved
                continue
    wanted = [i for i in images if every[i] in chosen]
    if not wanted:
        return None
    active = viewer.layers.selection.active
    rank = next((i for i in wanted if every[i] == active), wanted[0])
    for group in group_layers(list(images.values()))[0]:
        members = [*group.images, *(each for labels in group.labels for each in labels)]
        if rank in (member.rank for member in members):
            first = lead(group.images or group.labels[0])
            shown, layers = every[first.rank], [every[member.rank] for member in members]
            return _axes(first, shown, [*layers, *_drawn_on(every, shown)])
    return None


def _axes(image: LayerImage, shown: Any, layers: Sequence[Any]) -> ImageAxes:
    inserted = () if image.origin is None else image.origin["inserted"]
    at = [i for i in range(-shown.ndim, 0) if shown.axis_labels[i] not in inserted]
    labels, n = list(image.meta.get("axis_labels") or ()), len(image.axes)
    rows = []
    for i, (axis, step) in enumerate(zip(image.axes, image.positions[0].scale, strict=True)):
        # Time and channels are guessed as well, in the order of OME-Zarr.
        unknown = (
            image.origin is None and i < n - 2 and not axis.unit and not any(map(is_named, labels[i : i + 1]))
        )
        rows.append(
            SaidAxis(
                name="" if unknown else axis.name,
                type="" if unknown else axis.type or OTHER,
                unit=axis.unit or "",
                step=abs(step),
            )
        )
    placed = image.origin is not None and image.origin["placing"] is not None
    title = "" if image.origin is None else image.origin["prefix"].removesuffix(": ")
    return ImageAxes(
        name=title or image.name,
        rows=tuple(rows),
        at=tuple(at),
        layers=tuple(layers),
        inserted=inserted,
        placed=placed,
    )


def _drawn_on(every: Sequence[Any], layer: Any) -> list[Any]:
    """Points, shapes and the like that count in the voxels of a layer: they are moved with it."""
    return [
        each
        for each in every
        if each._type_string not in SAVED_KINDS
        and each.ndim == layer.ndim
        and np.allclose(each.scale, layer.scale)
    ]


def changed(
    rows: Sequence[SaidAxis],
    index: int,
    new: SaidAxis,
    others: Collection[str] = (),  # names of dimensions without a row
) -> list[SaidAxis]:
    """Rows with one edited: a new type brings a usual name, a new name its type. OptionError if not valid."""
    old = rows[index]
    taken = {*others, *(row.name for i, row in enumerate(rows) if i != index)}
    name, kind = new.name.strip(), new.type
    if name != old.name and name and kind == old.type:
        kind = axis_type(name, None) or kind or OTHER
    elif kind != old.type and (not name or name in USUAL.values()):
        usual = USUAL.get(kind, "")
        name = usual if usual and usual not in taken else "" if name in USUAL.values() else name
    if not name:
        name, kind = old.name, (new.type if old.name else old.type)
    if name and name in taken:
        raise OptionError(f"Two axes cannot both be called {name!r}.")
    if not new.step > 0:
        raise OptionError(f"The voxel size of axis {name!r} must be a positive number.")
    unit = canonical_unit(new.unit) or ""
    if unit and not is_udunits(unit, kind if kind in ("time", "space") else ""):
        if new.unit != old.unit:
            raise OptionError(
                f"{new.unit!r} is no unit of {kind or 'an axis'}.", expected="a name such as micrometer or s"
            )
        unit = ""  # that of the type before
    result = list(rows)
    result[index] = SaidAxis(name=name, type=kind, unit=unit, step=new.step)
    return result


def as_series(rows: Sequence[SaidAxis], series: str) -> list[SaidAxis]:
    """Rows named as those of a time series or of a z-stack."""
    names = SERIES[series][len(rows)]
    result = []
    for row, name in zip(rows, names, strict=True):
        kind = axis_type(name, None) or OTHER
        unit = row.unit if is_udunits(row.unit, kind) and kind != "channel" else ""
        result.append(replace(row, name=name, type=kind, unit=unit))
    return result


def say(image: ImageAxes, rows: Sequence[SaidAxis]) -> None:
    """Give the layers of an image names, types, units and voxel sizes: what is the same as before is left."""
    for layer in image.layers:
        labels, units = list(layer.axis_labels), [str(unit) for unit in layer.units]
        scale, translate = np.array(layer.scale, float), np.array(layer.translate, float)
        types = dict(chosen_types({"metadata": layer.metadata}))
        for i, old, new in zip(image.at, image.rows, rows, strict=True):
            if -i > layer.ndim:
                continue
            if new.name and (new.name != old.name or not is_named(labels[i])):
                labels[i] = new.name
            if new.unit != old.unit:
                (units[i],) = shown_units([Axis(name=new.name, unit=new.unit or None)])
            if new.step != old.step:
                scale[i] *= new.step / old.step
                translate[i] *= new.step / old.step
            if new.type != old.type or new.name != old.name:
                types.pop(old.name, None)
                if new.name and new.type != (axis_type(new.name, new.unit) or OTHER):
                    types[new.name] = new.type
        if labels != list(layer.axis_labels):
            _keep_inserted(layer, labels)
            layer.axis_labels = labels
        if units != [str(unit) for unit in layer.units]:
            layer.units = units
        if tuple(scale) != tuple(layer.scale):
            layer.scale, layer.translate = scale, translate
        if types != dict(chosen_types({"metadata": layer.metadata})):
            layer.metadata = {**layer.metadata, TYPES_KEY: types}
            layer.events.axis_labels()  # napari has no event for it


def _keep_inserted(layer: Any, labels: Sequence[str]) -> None:
    """Remember under their new names which dimensions of a layer its file does not have."""
    if (origin := origin_of({"metadata": layer.metadata})) is not None and origin["inserted"]:
        new = dict(zip(layer.axis_labels, labels, strict=True))
        inserted = tuple(new.get(name, name) for name in origin["inserted"])
        layer.metadata = {**layer.metadata, METADATA_KEY: {**origin, "inserted": inserted}}
