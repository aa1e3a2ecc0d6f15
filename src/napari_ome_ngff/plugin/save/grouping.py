"""Which layers belong together: the channels of one image, and the label images on it; their looks. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from napari_ome_ngff.metadata.nouns import ScaleTranslation
from napari_ome_ngff.plugin.looks import LOOKS_KEY, with_looks
from napari_ome_ngff.plugin.names import safe_name, unique_names
from napari_ome_ngff.plugin.origin import LayerData
from napari_ome_ngff.plugin.save.layer_image import LayerImage, layer_image

_SAME = 1e-9  # relative to a voxel: a difference of position that does not count


@dataclass(frozen=True, kw_only=True)
class LayerGroup:
    """Layers that make one image: its channels, and its label images (several layers if it has channels)."""

    images: tuple[LayerImage, ...]  # empty for label images without an image
    labels: tuple[tuple[LayerImage, ...], ...] = ()


def group_layers(layers: Sequence[LayerImage]) -> tuple[tuple[LayerGroup, ...], list[str]]:
    """Group layers (bottom first) by image, in the order of their first layers; and say what is not obvious.

    Image layers are channels of one image if nothing but their pixels and colours differ. Those opened from
    different images stay different images; a new one joins the opened image that it matches, if there is one
    only. A Labels layer goes to the image that it was opened with, else to one on the same grid, else to the
    one that it overlaps most. If there are several images and it overlaps none, it becomes an image itself.
    """
    order = {id(image): index for index, image in enumerate(layers)}
    images = _image_groups([image for image in layers if image.kind == "image"], order)
    labels = _label_groups([image for image in layers if image.kind == "labels"])
    if not images:
        return (LayerGroup(images=(), labels=tuple(map(tuple, labels))),), []
    first = lead(images[0])
    messages = [
        f"{first.name!r} and {other.name!r} are different images ({_reason(first, other)})."
        for other in map(lead, images[1:])
        if _file(first) is None or _file(other) is None or _file(first) == _file(other)
    ]
    homes: dict[int, list[list[LayerImage]]] = {index: [] for index in range(len(images))}
    alone: list[list[LayerImage]] = []
    for group in labels:
        home, message = _home(group[0], images, order)
        (alone if home is None else homes[home]).append(group)
        messages += [message] if message else []
    groups = [_named(members, homes[index]) for index, members in enumerate(images)]
    return (*groups, *(LayerGroup(images=(), labels=(tuple(group),)) for group in alone)), messages


def _named(images: Sequence[LayerImage], labels: Sequence[Sequence[LayerImage]]) -> LayerGroup:
    """Name the axes of all layers of an image as those that have names."""
    image = lead(images)
    return LayerGroup(
        images=tuple(named_as(each, image) for each in images),
        labels=tuple(tuple(named_as(each, image) for each in group) for group in labels),
    )


def named_as(layer: LayerImage, image: LayerImage) -> LayerImage:
    """Return a layer with the names and units of an image's axes, unless its own are named.

    napari aligns dimensions from the right: what is drawn on or computed from (t, y, x) is (t, y, x), even if
    three axes without names are taken for (z, y, x).
    """
    axes = image.axes[-len(layer.axes) :]
    if layer.named or not image.named or len(axes) < len(layer.axes):
        return layer
    if "channel" in [axis.type for axis in axes]:
        return layer
    return replace(
        layer,
        axes=tuple(
            replace(axis, unit=before.unit or axis.unit)
            for before, axis in zip(layer.axes, axes, strict=True)
        ),
        guessed=tuple(axis.name for axis in axes if axis.name in image.guessed),
    )


def lead(images: Sequence[LayerImage]) -> LayerImage:
    """The layer that decides: the first that was opened, else the first with named axes, else the first."""
    named = next((image for image in images if image.named), images[0])
    return next((image for image in images if image.origin is not None), named)


def _image_groups(images: Sequence[LayerImage], order: Mapping[int, int]) -> list[list[LayerImage]]:
    opened: list[list[LayerImage]] = []
    for image in images:
        if image.origin is not None:
            matching = [group for group in opened if not _differences(group[0], image)]
            file = (_file(image), _label(image))
            _join(image, [group for group in matching if (_file(group[0]), _label(group[0])) == file], opened)
    new: list[list[LayerImage]] = []
    for image in images:
        if image.origin is None:
            matching = [group for group in opened if not _differences(group[0], image)]
            if len(matching) == 1:
                matching[0].append(image)
            else:  # nobody knows which of several it is a channel of
                _join(image, [group for group in new if not _differences(lead(group), image)], new)
    groups = [sorted(group, key=lambda image: order[id(image)]) for group in opened + new]
    return sorted(groups, key=lambda group: order[id(group[0])])


def _join(image: LayerImage, matching: Sequence[list[LayerImage]], groups: list[list[LayerImage]]) -> None:
    if matching:
        matching[0].append(image)
    else:
        groups.append([image])


def _file(image: LayerImage) -> str | None:
    """The image that a layer was opened with, None if with none."""
    return None if image.origin is None else image.origin["image"]


def _label(image: LayerImage) -> str | None:
    return None if image.origin is None else image.origin["label"]


def _differences(one: LayerImage, other: LayerImage) -> list[str]:
    """Why two Image layers are no channels of one image; empty if they can be."""
    one, other = named_as(one, other), named_as(other, one)
    if one.rgb != other.rgb:
        return ["one of them is RGB"]
    first, second = one.positions[0], other.positions[0]
    differences = [
        f"{what} {_text(a)} and {_text(b)}"
        for what, a, b, same in (
            ("axes", one.dims, other.dims, one.dims == other.dims),
            ("size", one.shapes[0], other.shapes[0], one.shapes[0] == other.shapes[0]),
            ("data type", one.dtype, other.dtype, one.dtype == other.dtype),
            ("scale", first.scale, second.scale, _same_scale(first, second)),
            ("translate", first.translation, second.translation, _same_translation(first, second)),
            ("units", _units(one), _units(other), _units(one) == _units(other)),
            ("transform", _transform(one), _transform(other), _same_affine(one, other)),
        )
        if not same
    ]
    if not differences and (one.rgb or "channel" in [axis.type for axis in one.axes]):
        return ["each has channels of its own"]
    return differences


def _reason(one: LayerImage, other: LayerImage) -> str:
    return next(iter(_differences(one, other)), "one is new, and could be a channel of several")


def _units(image: LayerImage) -> tuple[str | None, ...]:
    return tuple(axis.unit for axis in image.axes)


def _same_scale(one: ScaleTranslation, other: ScaleTranslation) -> bool:
    return len(one.scale) == len(other.scale) and all(
        math.isclose(a, b, rel_tol=_SAME) for a, b in zip(one.scale, other.scale, strict=True)
    )


def _same_translation(one: ScaleTranslation, other: ScaleTranslation) -> bool:
    return len(one.translation) == len(other.translation) and all(
        math.isclose(a, b, rel_tol=_SAME, abs_tol=_SAME * abs(step))
        for a, b, step in zip(one.translation, other.translation, one.scale, strict=True)
    )


def _transform(image: LayerImage) -> str:
    return "scale and translate" if image.affine is None else "rotation, shear or affine"


def _same_affine(one: LayerImage, other: LayerImage) -> bool:
    """Whether the affines are the same; with different dims, whether both or neither have one."""
    if one.affine is None or other.affine is None or one.dims != other.dims:
        return (one.affine is None) == (other.affine is None)
    rows = zip(one.affine.matrix, other.affine.matrix, strict=True)
    pairs = [pair for row in rows for pair in zip(*row, strict=True)]
    pairs += zip(one.affine.translation, other.affine.translation, strict=True)
    return all(math.isclose(a, b, rel_tol=_SAME, abs_tol=_SAME) for a, b in pairs)


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return "(" + ", ".join(f"{x:g}" if isinstance(x, float) else str(x or "none") for x in value) + ")"
    return str(value)


def _label_groups(images: Sequence[LayerImage]) -> list[list[LayerImage]]:
    """Labels layers by label image: one each, but those that were opened as channels of one stay together."""
    groups: dict[object, list[LayerImage]] = {}
    for index, image in enumerate(images):
        origin = image.origin
        key: object = index
        if origin is not None and origin["channel"] is not None:
            key = (origin["location"], image.shapes, image.positions, image.affine)
            if any(o.origin and o.origin["channel"] == origin["channel"] for o in groups.get(key, [])):
                key = index  # a copy of the layer
        groups.setdefault(key, []).append(image)
    return list(groups.values())


def _home(
    label: LayerImage, images: Sequence[Sequence[LayerImage]], order: Mapping[int, int]
) -> tuple[int | None, str | None]:
    """Index of the image that a label image belongs to (None: to none of several), and a message about it."""
    if len(images) == 1:
        return 0, None

    def fit(index: int) -> tuple[bool, bool, float, int]:
        image = lead(images[index])
        same = _file(label) is not None and _file(label) == _file(image)
        # What was drawn on an image usually lies above it in the list.
        below = [order[id(each)] for each in images[index] if order[id(each)] < order[id(label)]]
        named = named_as(label, image)
        return same, _on_grid(named, image), _overlap(named, image), max(below, default=-1)

    best = max(range(len(images)), key=fit)
    same, on_grid, overlap, _ = fit(best)
    if same:
        return best, None
    if not on_grid and overlap <= 0:
        return (
            None,
            f"Labels layer {label.name!r} lies on none of the images: it is saved as an image itself.",
        )
    why = "on whose grid it lies" if on_grid else "which it overlaps most"
    return best, f"Labels layer {label.name!r} is saved with {lead(images[best]).name!r}, {why}."


def _on_grid(label: LayerImage, image: LayerImage) -> bool:
    """Whether the voxels of a label image are those of the image, along the axes that it has."""
    labels, pixels = _grid(label), _grid(image)
    return (
        _same_affine(label, image)
        and set(labels) <= set(pixels)
        and all(
            pixels[dim][0] == size
            and math.isclose(pixels[dim][1], step, rel_tol=_SAME)
            and math.isclose(pixels[dim][2], start, rel_tol=_SAME, abs_tol=_SAME * abs(step))
            for dim, (size, step, start) in labels.items()
        )
    )


def _overlap(label: LayerImage, image: LayerImage) -> float:
    """Which part of a label image lies on the image, along the axes of space that both have."""
    labels, pixels = _grid(label), _grid(image)
    shared = [axis.name for axis in label.axes if axis.type == "space" and axis.name in pixels]
    part = 1.0
    for dim in shared:
        (low, high), (least, most) = _edges(*labels[dim]), _edges(*pixels[dim])
        part *= max(0.0, min(high, most) - max(low, least)) / (high - low)
    return part if shared else 0.0


def _grid(image: LayerImage) -> dict[str, tuple[int, float, float]]:
    """Size, step and position of voxel 0 along each axis."""
    finest = image.positions[0]
    values = zip(image.shapes[0], finest.scale, finest.translation, strict=True)
    return dict(zip(image.dims, values, strict=True))


def _edges(size: int, step: float, start: float) -> tuple[float, float]:
    ends = start - step / 2, start + step * (size - 0.5)
    return min(ends), max(ends)


def members_of(group: LayerGroup) -> dict[str, tuple[LayerImage, ...]]:
    """The layers of an image and of each label image on it, by their paths in the hierarchy."""
    members = {"": group.images} if group.images else {}
    for label, layers in zip(unique_names(map(_label_path, group.labels)), group.labels, strict=True):
        members[f"labels/{label}"] = layers
    return members


def _label_path(group: Sequence[LayerImage]) -> str:
    """Path of a label image: as in its file while the layer keeps that name, else made of the name."""
    name, origin = group[0].name, group[0].origin
    if origin is not None and origin["label"] is not None:
        given = origin["label"]
        if name in (given, origin["multiscale"].name, f"{given} channel 0"):
            return given if safe_name(given) == given else safe_name(given.replace("/", "_"))
    return safe_name(name)


def attributes_with_looks(
    attributes: Mapping[str, Any], path: str, members: Mapping[str, Sequence[LayerImage]]
) -> dict[str, Any]:
    """Attributes of an image, or a label image, with what its layers look like."""
    looks = [layer.meta for layer in in_channels(members[path])]
    return with_looks(attributes, looks, members[path][0].kind, () if path else _order(members))


def _order(members: Mapping[str, Sequence[LayerImage]]) -> list[str]:
    """What the layers are called, the lowest first; empty if they will be opened in that order."""
    named = [
        (layer.rank, path or str(index))
        for path, layers in members.items()
        for index, layer in enumerate(in_channels(layers))
    ]
    return [] if named == sorted(named, key=lambda each: each[0]) else [n for _, n in sorted(named)]


def in_channels(images: Sequence[LayerImage]) -> Sequence[LayerImage]:
    """Layers in the order of the channels that they were opened from; new ones stay as they are."""
    opened = all(image.origin and image.origin["channel"] is not None for image in images)
    if images[0].kind == "image" and not opened:
        return images
    return sorted(images, key=_channel_index)


def _channel_index(image: LayerImage) -> int:
    return 0 if image.origin is None else image.origin["channel"] or 0


def looks_of(layers: Sequence[LayerData]) -> dict[str, Any]:
    """What would be kept of the looks of layers (bottom first), by the location that they were opened from.

    None where nothing is to be kept; images of which a layer was closed are left out.
    """
    images = [replace(layer_image(layer), rank=rank) for rank, layer in enumerate(layers)]
    looks = {}
    for group in group_layers(images)[0]:
        members = members_of(group)
        for path, layers_of_one in members.items():
            origin = lead(layers_of_one).origin
            if origin is not None and len(origin["multiscale"].channels) <= len(layers_of_one):
                kept = attributes_with_looks(origin["attributes"], path, members)
                looks[origin["location"]] = kept.get(LOOKS_KEY)
    return looks
