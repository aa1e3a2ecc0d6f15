"""One layer as an image: levels with dims, placement and units, checked for what OME-NGFF can hold. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from napari_ome_ngff.errors import UnsupportedError
from napari_ome_ngff.metadata.nouns import Affine, Axis
from napari_ome_ngff.metadata.systems.rotated import without_views
from napari_ome_ngff.metadata.systems.view import shown_system
from napari_ome_ngff.metadata.transforms import level_transform
from napari_ome_ngff.metadata.units import axis_type, canonical_unit, is_udunits
from napari_ome_ngff.plugin.origin import LayerData, Origin, origin_of, own_name
from napari_ome_ngff.plugin.save.dataarrays import Placement, as_numbers
from napari_ome_ngff.plugin.save.placement import as_in_file, place_of

DEFAULT_DIMS = ("t", "c", "z", "y", "x")
"""Names for dimensions that the user gave none, by position from the right; time before channel."""


_AS_IN_FILE = "as in the file"


_UNNAMED = re.compile(r"-?\d+|")


_EXACT = 1e-12


@dataclass(frozen=True, kw_only=True)
class LayerImage:
    """An Image or Labels layer, seen as what OME-NGFF calls a multiscale.

    Parameters
    ----------
    name, kind
        Of the layer; ``"image"`` or ``"labels"``.
    levels
        Arrays, finest first, with one dimension per axis (and for an RGB layer the colours last).
    axes
        One per dimension, without the colours.
    placements
        Scale and translation of each level.
    affine
        What is applied after them, from `axes` to `axes`, or None if it is nothing.
    rgb
        Whether the last dimension of the levels is colour.
    origin
        Where the layer was opened from, if it still has the dimensions that it had there.
    meta
        The layer's other attributes.
    messages
        What the file will not say as the layer does.
    named
        False if nobody named its axes, so that they are guessed from their number.
    """

    name: str
    kind: str
    levels: tuple[Any, ...]
    axes: tuple[Axis, ...]
    placements: tuple[Placement, ...]
    affine: Affine | None
    rgb: bool
    origin: Origin | None
    meta: Mapping[str, Any] = field(default_factory=dict)
    messages: tuple[str, ...] = ()
    named: bool = True

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of the axes."""
        return tuple(axis.name for axis in self.axes)

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shape of each level, without colours."""
        return tuple(tuple(level.shape)[: len(self.axes)] for level in self.levels)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type of the pixels."""
        dtype: np.dtype[Any] = np.dtype(self.levels[0].dtype)
        return dtype


def layer_image(layer: LayerData) -> LayerImage:
    """Look at an Image or Labels layer as an image of OME-NGFF.

    Parameters
    ----------
    layer
        Data, attributes and type, as napari hands them to a writer.

    Raises
    ------
    UnsupportedError
        If the layer has data that OME-NGFF cannot hold: the layer and what can be done about it are named.
    MetadataError
        If its scale or translation is not made of finite numbers.

    Examples
    --------
    >>> image = layer_image((np.zeros((4, 8, 8), "uint8"), {"name": "cells", "scale": [2, 1, 1]}, "image"))
    >>> image.dims, image.placements
    (('z', 'y', 'x'), (((2.0, 1.0, 1.0), (0.0, 0.0, 0.0)),))
    """
    data, meta, kind = layer
    name = str(meta.get("name") or kind)
    shown = meta
    meta, origin = as_in_file(meta)
    name = name if origin is None else name.removeprefix(origin["prefix"])
    levels = _levels(data, meta, origin)
    rgb = kind == "image" and bool(meta.get("rgb"))
    ndim = len(levels[0].shape) - rgb
    _check_pixels(name, kind, np.dtype(levels[0].dtype), ndim)
    place = place_of(meta, ndim, name)
    labels = _texts(meta.get("axis_labels"), ndim, "")
    inserted = [] if origin is None else _inserted(origin, labels)
    if origin is not None and len(origin["dims"]) + len(inserted) != ndim:
        origin, inserted = None, []  # made from what was opened, but something else: a projection, a slice
    rest = place.without(inserted)
    if rest is None:
        origin, inserted = None, []  # it was turned together with the dimensions that the file does not have
    units = _texts(meta.get("units"), ndim, "pixel")
    if origin is not None:
        # What was not changed is as in the file, which may say none: a label image is shown in its image's.
        then, now = (_texts(each.get("units"), ndim, "pixel") for each in (origin["look"], shown))
        units = [_AS_IN_FILE if a == b else unit for a, b, unit in zip(then, now, units, strict=True)]
    if inserted and rest is not None:
        levels, place = [_drop(level, inserted) for level in levels], rest
        keep = [i for i in range(ndim) if i not in inserted]
        units, labels = [units[i] for i in keep], [labels[i] for i in keep]
    axes, messages = _axes(name, labels, units, origin)
    messages += _systems_left_out(name, shown, origin, place.affine)
    if kind == "labels" and levels[0].dtype == bool:
        messages.append(f"The mask {name!r} is saved as 0 and 1.")
        levels = [as_numbers(level) for level in levels]
    image = LayerImage(
        name=own_name(name, origin),
        kind=kind,
        levels=tuple(levels),
        axes=axes,
        placements=(),
        affine=place.affine,
        rgb=rgb,
        origin=origin,
        meta=meta,
        messages=tuple(messages),
        named=origin is not None or not all(map(_UNNAMED.fullmatch, labels)),
    )
    return replace(image, placements=_placements(image, (place.scale, place.translate)))


def unnamed_axes(layers: Sequence[LayerData]) -> list[str]:
    """Say which layers have axes without names, and what they are called in the file.

    Parameters
    ----------
    layers
        Those that are saved.

    Examples
    --------
    >>> unnamed_axes([(np.zeros((4, 8, 8)), {"name": "cells", "axis_labels": ("-3", "-2", "-1")}, "image")])
    ["The axes of 'cells' have no names: they are saved as z, y, x."]
    """
    found: dict[tuple[str, ...], list[str]] = {}
    for layer in layers:
        labels = layer[1].get("axis_labels")
        if labels is None or any(map(_UNNAMED.fullmatch, map(str, labels))):
            image = layer_image(layer)
            if image.origin is None:
                found.setdefault(image.dims, []).append(repr(image.name))
    return [
        f"The axes of {' and '.join(names)} have no names: they are saved as {', '.join(dims)}."
        for dims, names in found.items()
    ]


def _systems_left_out(
    name: str, meta: Mapping[str, Any], origin: Origin | None, affine: Affine | None
) -> list[str]:
    """Say in which coordinate systems the layer will not lie: those that it has left, and that of a scene."""
    before = origin_of(meta)
    if origin is not None and origin["kind"] == "scene" and origin["placing"] and origin["label"] is None:
        # What places it there is written in the scene's group, not in the image's.
        shown_name = str(meta.get("name") or name)  # with the scene's name of the image, as in the layer list
        return [
            f"Layer {shown_name!r} is saved without its scene: where it lies in {origin['system']!r} is not."
        ]
    if origin is None or before is None or (affine is None and origin["placing"] == before["placing"]):
        return []
    shown = shown_system(before["multiscale"])
    names = [repr(other) for other in without_views(before["multiscale"])[1] if other != shown]
    if not names:
        return []
    return [f"Layer {name!r} was moved or turned: where it lies in {', '.join(names)} is not saved."]


def _levels(data: Any, meta: Mapping[str, Any], origin: Origin | None) -> list[Any]:
    many = meta.get("multiscale")
    if many is None:
        many = isinstance(data, list | tuple)
    levels = list(data) if many else [data]
    if origin is not None and len(levels) == len(origin["paths"]) + origin["added"]:
        levels = levels[: len(origin["paths"])]  # the others are for display only
    return [
        level if hasattr(level, "shape") and hasattr(level, "dtype") else np.asarray(level)
        for level in levels
    ]


def _check_pixels(name: str, kind: str, dtype: np.dtype[Any], ndim: int) -> None:
    if kind == "labels" and dtype.kind not in "biu":
        # 0.5, "labels": "The pixels of the label images MUST be integer data types"
        raise UnsupportedError(
            f"Labels layer {name!r} holds {dtype.name} values; label images must be whole numbers.",
            hint="Convert it first: layer.data = layer.data.astype('int32').",
        )
    if dtype.kind not in "biuf" or dtype.itemsize > 8:  # Zarr knows no longer floats
        hints = {
            "c": "Save the real and imaginary part, or magnitude and phase, as layers of their own.",
            "f": "Convert it first: layer.data = layer.data.astype('float64').",
        }
        raise UnsupportedError(
            f"Layer {name!r} holds values of type {dtype.name}, which an image of OME-NGFF cannot hold.",
            hint=hints.get(dtype.kind, "Convert it to numbers first."),
        )
    if not 2 <= ndim <= 5:
        # 0.4, "axes": 'The length of "axes" must be between 2 and 5'
        raise UnsupportedError(
            f"Layer {name!r} has {ndim} dimensions; an image of OME-NGFF has 2 to 5.",
            hint="Save parts of it.",
        )


def _texts(values: Any, ndim: int, default: str) -> list[str]:
    found = [] if values is None else [values] if isinstance(values, str) else list(values)
    texts = [default if value is None else str(value) for value in found]
    if len(texts) == 1 and ndim > 1 and default == "pixel":
        texts *= ndim  # napari takes one unit for all
    return ([default] * ndim + texts)[-ndim:]


def _inserted(origin: Origin, labels: Sequence[str]) -> list[int]:
    """Positions of the dimensions that the file does not have."""
    return [i for i, label in enumerate(labels) if label in origin["inserted"]]


def _drop(data: Any, positions: Sequence[int]) -> Any:
    return data[tuple(0 if i in positions else slice(None) for i in range(len(data.shape)))]


def _axes(
    name: str, labels: Sequence[str], units: Sequence[str], origin: Origin | None
) -> tuple[tuple[Axis, ...], list[str]]:
    """Axes of a layer: names that the user gave, else those of the file, else by position."""
    ndim = len(labels)
    usual = DEFAULT_DIMS[-ndim:] if ndim != 4 else ("t", "z", "y", "x")
    fallback = usual if origin is None else origin["dims"]
    names = [fallback[i] if _UNNAMED.fullmatch(label) else label for i, label in enumerate(labels)]
    if len(set(names)) < ndim:
        names = list(fallback)
    axes, messages = [], []
    for i, axis_name in enumerate(names):
        known = None
        if origin is not None:
            known = next((a for a in origin["multiscale"].axes if a.name == origin["dims"][i]), None)
        unit = canonical_unit(units[i])
        if units[i] == _AS_IN_FILE:
            unit = None if origin is None else origin["units"][i]
        kind = (known.type if known else None) or axis_type(axis_name, unit)
        if kind is None and i >= ndim - 2:
            kind = "space"  # napari's two displayed dimensions
        if unit is not None and kind in ("space", "time") and not is_udunits(unit, kind):
            messages.append(f"The unit {unit!r} of axis {axis_name!r} of layer {name!r} is left out.")
            unit = None
        axes.append(Axis(name=axis_name, type=kind, unit=unit, extra=known.extra if known else {}))
    return tuple(axes), messages


def _placements(image: LayerImage, finest: Placement) -> tuple[Placement, ...]:
    """Placement of every level: as in the file it came from, moved along with the layer; else as shown."""
    shapes, origin = image.shapes, image.origin
    if origin is None or shapes != origin["shapes"]:
        return tuple(_edge_aligned(finest, shapes[0], shape) for shape in shapes)
    multiscale = origin["multiscale"]
    order = [multiscale.dims.index(dim) for dim in origin["dims"]]
    paths = [level.path for level in multiscale.levels]
    known = []
    for path in origin["paths"]:
        transform = level_transform(multiscale, paths.index(path))
        known.append(
            (tuple(transform.scale[i] for i in order), tuple(transform.translation[i] for i in order))
        )
    if np.allclose(known[0], finest, rtol=_EXACT, atol=0):
        return tuple(known)
    ratio = [new / old for new, old in zip(finest[0], known[0][0], strict=True)]
    return tuple(
        (
            tuple(s * r for s, r in zip(scale, ratio, strict=True)),
            tuple(
                new + (t - old) * r
                for new, t, old, r in zip(finest[1], translation, known[0][1], ratio, strict=True)
            ),
        )
        for scale, translation in known
    )


def _edge_aligned(finest: Placement, whole: Sequence[int], shape: Sequence[int]) -> Placement:
    """Placement of a level by its shape, from edge to edge of the finest one, as napari shows it."""
    factors = [n / max(1, m) for n, m in zip(whole, shape, strict=True)]
    scale, translation = finest
    return (
        tuple(s * f for s, f in zip(scale, factors, strict=True)),
        tuple(t + s * (f - 1) / 2 for t, s, f in zip(translation, scale, factors, strict=True)),
    )
