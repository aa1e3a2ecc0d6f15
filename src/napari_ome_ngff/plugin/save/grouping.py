"""Which layers belong together: the channels of one image, and the label images on it. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from napari_ome_ngff.plugin.save.layer_image import LayerImage

_SAME = 1e-9
"""Of a voxel or of a step: what two layers may differ by and still lie at one place."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """Layers that make one image.

    Parameters
    ----------
    images
        Its channels, in the order of the layer list; empty for label images without an image.
    labels
        Its label images: one layer each, or those that were the channels of one.
    """

    images: tuple[LayerImage, ...]
    labels: tuple[tuple[LayerImage, ...], ...] = ()


def group_layers(found: Sequence[LayerImage]) -> tuple[tuple[Group, ...], list[str]]:
    """Group layers by the image that they belong to.

    Image layers are channels of one image if nothing but their pixels and colours differ. Those that were
    opened from different images stay different images. A new one joins the opened image that it is like, if
    there is but one.
    A Labels layer goes to the image that it was opened with, else to one on the same grid, else to the one
    that it overlaps most. If there are several images and it touches none, it becomes an image itself.

    Parameters
    ----------
    found
        The layers, bottom first.

    Returns
    -------
    tuple of Group
        In the order of their first layers.
    list of str
        What the user should know: why there are several images (unless they were opened as several), and
        where new Labels layers went.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_ome_ngff.plugin.save.layer_image import layer_image
    >>> def image(n): return layer_image((np.zeros((n, n)), {"name": f"{n} wide"}, "image"))
    >>> groups, messages = group_layers([image(8), image(9), image(8)])
    >>> [len(group.images) for group in groups], messages
    ([2, 1], ["'8 wide' and '9 wide' are different images (size (8, 8) and (9, 9))."])
    """
    order = {id(image): index for index, image in enumerate(found)}
    images = _image_groups([image for image in found if image.kind == "image"], order)
    labels = _label_groups([image for image in found if image.kind == "labels"])
    if not images:
        return (Group(images=(), labels=tuple(map(tuple, labels))),), []
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
    return (*groups, *(Group(images=(), labels=(tuple(group),)) for group in alone)), messages


def _named(images: Sequence[LayerImage], labels: Sequence[Sequence[LayerImage]]) -> Group:
    """Name the axes of all layers of an image as those that have names."""
    image = lead(images)
    return Group(
        images=tuple(named_as(each, image) for each in images),
        labels=tuple(tuple(named_as(each, image) for each in group) for group in labels),
    )


def named_as(layer: LayerImage, image: LayerImage) -> LayerImage:
    """Return a layer with the names and units of the axes of an image, if nobody has named its own.

    napari aligns dimensions from the right. What is drawn on or computed from (t, y, x) is (t, y, x), even if
    three axes without names are taken for (z, y, x).

    Examples
    --------
    >>> import numpy as np
    >>> from napari_ome_ngff.plugin.save.layer_image import layer_image
    >>> movie = layer_image((np.zeros((2, 8, 8)), {"axis_labels": ("t", "y", "x")}, "image"))
    >>> drawn = layer_image((np.zeros((2, 8, 8), "uint8"), {}, "labels"))
    >>> drawn.dims, named_as(drawn, movie).dims
    (('z', 'y', 'x'), ('t', 'y', 'x'))
    """
    axes = image.axes[-len(layer.axes) :]
    if layer.named or not image.named or len(axes) < len(layer.axes):
        return layer
    if "channel" in [axis.type for axis in axes]:
        return layer
    own = zip(layer.axes, axes, strict=True)
    return replace(layer, axes=tuple(replace(axis, unit=mine.unit or axis.unit) for mine, axis in own))


def lead(images: Sequence[LayerImage]) -> LayerImage:
    """The layer that says what the image is: the first that was opened, else that has names, else the first.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_ome_ngff.plugin.save.layer_image import layer_image
    >>> lead([layer_image((np.zeros((4, 4)), {"name": "a"}, "image"))]).name
    'a'
    """
    named = next((image for image in images if image.named), images[0])
    return next((image for image in images if image.origin is not None), named)


def _image_groups(images: Sequence[LayerImage], order: Mapping[int, int]) -> list[list[LayerImage]]:
    opened: list[list[LayerImage]] = []
    for image in images:
        if image.origin is not None:
            like = [group for group in opened if not _differences(group[0], image)]
            same = (_file(image), _label(image))
            _join(image, [group for group in like if (_file(group[0]), _label(group[0])) == same], opened)
    new: list[list[LayerImage]] = []
    for image in images:
        if image.origin is None:
            like = [group for group in opened if not _differences(group[0], image)]
            if len(like) == 1:
                like[0].append(image)
            else:  # of several that it could be a channel of, nobody knows which it is
                _join(image, [group for group in new if not _differences(lead(group), image)], new)
    groups = [sorted(group, key=lambda image: order[id(image)]) for group in opened + new]
    return sorted(groups, key=lambda group: order[id(group[0])])


def _join(image: LayerImage, fitting: Sequence[list[LayerImage]], groups: list[list[LayerImage]]) -> None:
    if fitting:
        fitting[0].append(image)
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
    found = [
        f"{what} {_say(a)} and {_say(b)}"
        for what, a, b, same in (
            ("axes", one.dims, other.dims, one.dims == other.dims),
            ("size", one.shapes[0], other.shapes[0], one.shapes[0] == other.shapes[0]),
            ("data type", one.dtype, other.dtype, one.dtype == other.dtype),
            ("scale", one.placements[0][0], other.placements[0][0], _same_scale(one, other)),
            ("translate", one.placements[0][1], other.placements[0][1], _same_start(one, other)),
            ("units", _units(one), _units(other), _units(one) == _units(other)),
            ("transform", _turn(one), _turn(other), _same_turn(one, other)),
        )
        if not same
    ]
    if not found and (one.rgb or "channel" in [axis.type for axis in one.axes]):
        return ["each has channels of its own"]
    return found


def _reason(one: LayerImage, other: LayerImage) -> str:
    return next(iter(_differences(one, other)), "one is new, and could be a channel of several")


def _units(image: LayerImage) -> tuple[str | None, ...]:
    return tuple(axis.unit for axis in image.axes)


def _same_scale(one: LayerImage, other: LayerImage) -> bool:
    scales = one.placements[0][0], other.placements[0][0]
    return len(scales[0]) == len(scales[1]) and all(
        math.isclose(a, b, rel_tol=_SAME) for a, b in zip(*scales, strict=True)
    )


def _same_start(one: LayerImage, other: LayerImage) -> bool:
    (scale, start), (_, start_other) = one.placements[0], other.placements[0]
    return len(start) == len(start_other) and all(
        math.isclose(a, b, rel_tol=_SAME, abs_tol=_SAME * abs(step))
        for a, b, step in zip(start, start_other, scale, strict=True)
    )


def _turn(image: LayerImage) -> str:
    return "scale and translate" if image.affine is None else "rotation, shear or affine"


def _same_turn(one: LayerImage, other: LayerImage) -> bool:
    """Whether what comes after scale and translate is the same, along the axes that both have in common."""
    if one.affine is None or other.affine is None or one.dims != other.dims:
        return (one.affine is None) == (other.affine is None)
    rows = zip(one.affine.matrix, other.affine.matrix, strict=True)
    pairs = [pair for row in rows for pair in zip(*row, strict=True)]
    pairs += zip(one.affine.translation, other.affine.translation, strict=True)
    return all(math.isclose(a, b, rel_tol=_SAME, abs_tol=_SAME) for a, b in pairs)


def _say(value: Any) -> str:
    if isinstance(value, tuple):
        return "(" + ", ".join(f"{x:g}" if isinstance(x, float) else str(x or "none") for x in value) + ")"
    return str(value)


def _label_groups(images: Sequence[LayerImage]) -> list[list[LayerImage]]:
    """Labels layers by label image: one each, but those that were its channels are together again."""
    groups: dict[object, list[LayerImage]] = {}
    for index, image in enumerate(images):
        origin = image.origin
        key: object = index
        if origin is not None and origin["channel"] is not None:
            key = (origin["location"], image.shapes, image.placements, image.affine)
            if any(o.origin and o.origin["channel"] == origin["channel"] for o in groups.get(key, [])):
                key = index  # a copy of the layer
        groups.setdefault(key, []).append(image)
    return list(groups.values())


def _home(
    label: LayerImage, images: Sequence[Sequence[LayerImage]], order: Mapping[int, int]
) -> tuple[int | None, str | None]:
    """The image that a label image belongs to (None: to none of several), and what is to be told of it."""
    if len(images) == 1:
        return 0, None

    def fit(index: int) -> tuple[bool, bool, float, int]:
        image = lead(images[index])
        same = _file(label) is not None and _file(label) == _file(image)
        # What was drawn on an image usually lies above it in the list.
        below = [order[id(each)] for each in images[index] if order[id(each)] < order[id(label)]]
        own = named_as(label, image)
        return same, _on_grid(own, image), _overlap(own, image), max(below, default=-1)

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
    """Whether each voxel of a label image lies on one of the image, and the other way round."""
    ours, theirs = _grid(label), _grid(image)
    return (
        _same_turn(label, image)
        and set(ours) <= set(theirs)
        and all(
            theirs[dim][0] == size
            and math.isclose(theirs[dim][1], step, rel_tol=_SAME)
            and math.isclose(theirs[dim][2], start, rel_tol=_SAME, abs_tol=_SAME * abs(step))
            for dim, (size, step, start) in ours.items()
        )
    )


def _overlap(label: LayerImage, image: LayerImage) -> float:
    """Which part of a label image lies on the image, along the axes of space that both have."""
    ours, theirs = _grid(label), _grid(image)
    shared = [axis.name for axis in label.axes if axis.type == "space" and axis.name in theirs]
    part = 1.0
    for dim in shared:
        (low, high), (least, most) = _edges(*ours[dim]), _edges(*theirs[dim])
        part *= max(0.0, min(high, most) - max(low, least)) / (high - low)
    return part if shared else 0.0


def _grid(image: LayerImage) -> dict[str, tuple[int, float, float]]:
    """Size, step and position of voxel 0 along each axis."""
    values = zip(image.shapes[0], *image.placements[0], strict=True)
    return dict(zip(image.dims, values, strict=True))


def _edges(size: int, step: float, start: float) -> tuple[float, float]:
    ends = start - step / 2, start + step * (size - 0.5)
    return min(ends), max(ends)
