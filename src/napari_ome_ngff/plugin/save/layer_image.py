"""One layer as an image: levels with dims, positions and units, checked for what OME-Zarr can hold. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from napari_ome_ngff.errors import UnsupportedError
from napari_ome_ngff.metadata.nouns import Affine, Axis, ScaleTranslation
from napari_ome_ngff.metadata.systems.rotated import without_views
from napari_ome_ngff.metadata.systems.view import shown_system
from napari_ome_ngff.metadata.transforms import along, coarser, level_transform
from napari_ome_ngff.plugin.layer_axes.axes_of_layer import AS_IN_FILE, axes_of_layer, chosen_types, is_named
from napari_ome_ngff.plugin.origin import LayerData, Origin, origin_of, own_name
from napari_ome_ngff.plugin.save.placement import as_in_file, placement, without_dims
from napari_ome_ngff.saving.dataarrays import as_numbers

_EXACT = 1e-12


@dataclass(frozen=True, kw_only=True)
class LayerImage:
    """An Image or Labels layer as a multiscale: arrays, axes, and the position of every level."""

    name: str
    kind: str  # "image" or "labels"
    levels: tuple[Any, ...]  # finest first; one dimension per axis, and the colours of RGB last
    axes: tuple[Axis, ...]
    positions: tuple[ScaleTranslation, ...]  # of each level
    affine: Affine | None  # applied after them, from axes to axes
    rgb: bool
    origin: Origin | None  # None also if the layer no longer has the dimensions that it was opened with
    meta: Mapping[str, Any] = field(default_factory=dict)  # the layer's other arguments
    messages: tuple[str, ...] = ()  # what will be lost
    rank: int = 0  # among the layers that are saved, from the bottom
    named: bool = True  # False: the names of the axes are guessed from their number
    guessed: tuple[str, ...] = ()  # axes of which nobody said that they are space

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


def layer_image(layer: LayerData, *, keep_scene: bool = False) -> LayerImage:
    """Translate an Image or Labels layer. Raises UnsupportedError, MetadataError: the layer is named."""
    data, meta, kind = layer
    name = str(meta.get("name") or kind)
    shown = meta
    meta, origin = as_in_file(meta, keep_scene=keep_scene)
    name = name if origin is None else name.removeprefix(origin["prefix"])
    levels = _levels(data, meta, origin)
    rgb = kind == "image" and bool(meta.get("rgb"))
    ndim = len(levels[0].shape) - rgb
    _check_pixels(name, kind, np.dtype(levels[0].dtype), ndim)
    finest, affine = placement(meta, ndim, name)
    labels = _labels(meta, levels[0], ndim)
    # Positions of the dimensions that the file does not have.
    inserted = [i for i, label in enumerate(labels) if origin is not None and label in origin["inserted"]]
    if origin is not None and len(origin["dims"]) + len(inserted) != ndim:
        origin, inserted = None, []  # made from what was opened, but something else: a projection, a slice
    rest = None if affine is None else without_dims(affine, inserted)
    if affine is not None and rest is None:
        origin, inserted = None, []  # rotated together with the dimensions that the file does not have
    else:
        affine = rest
    units = _texts(meta.get("units"), ndim, "pixel")
    if origin is not None:
        # Unchanged units are those of the file, which may have none: labels are shown in their image's.
        then, now = (_texts(each.get("units"), ndim, "pixel") for each in (origin["appearance"], shown))
        units = [AS_IN_FILE if a == b else unit for a, b, unit in zip(then, now, units, strict=True)]
    if inserted:
        levels = [_drop(level, inserted) for level in levels]
        keep = [i for i in range(ndim) if i not in inserted]
        units, labels = [units[i] for i in keep], [labels[i] for i in keep]
        finest = along(finest, keep)
    axes, guessed, messages = axes_of_layer(name, labels, units, origin, chosen_types(meta))
    messages += _systems_left_out(name, shown, origin, affine)
    if kind == "labels" and levels[0].dtype == bool:
        messages.append(f"The mask {name!r} is saved as 0 and 1.")
        levels = [as_numbers(level) for level in levels]
    image = LayerImage(
        name=own_name(name, origin),
        kind=kind,
        levels=tuple(levels),
        axes=axes,
        positions=(),
        affine=affine,
        rgb=rgb,
        origin=origin,
        meta=meta,
        messages=tuple(messages),
        named=origin is not None or any(map(is_named, labels)),
        guessed=guessed,
    )
    return replace(image, positions=_positions(image, finest))


def scenes_left_out(images: Sequence[LayerImage]) -> list[str]:
    """Say which layers are saved without their scene, whose group and not the image's places them there."""
    names: dict[str | None, list[str]] = {}
    for image in images:
        origin = image.origin
        if origin is not None and origin["kind"] == "scene" and origin["placing"] and origin["label"] is None:
            # with the scene's name of the image, as in the layer list
            names.setdefault(origin["system"], []).append(repr(image.meta.get("name") or image.name))
    return [
        f"Layer {layers[0]} is saved without its scene: where it lies in {system!r} is not."
        if len(layers) == 1
        else f"{', '.join(layers)} are saved without their scene: where they lie in {system!r} is not."
        for system, layers in names.items()
    ]


def _systems_left_out(
    name: str, meta: Mapping[str, Any], origin: Origin | None, affine: Affine | None
) -> list[str]:
    """Say which coordinate systems the saved image will not have: those it was moved out of."""
    before = origin_of(meta)
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
            f"Layer {name!r} holds values of type {dtype.name}, which an image of OME-Zarr cannot hold.",
            hint=hints.get(dtype.kind, "Convert it to numbers first."),
        )
    if not 2 <= ndim <= 5:
        # 0.4, "axes": 'The length of "axes" must be between 2 and 5'
        raise UnsupportedError(
            f"Layer {name!r} has {ndim} dimensions; an image of OME-Zarr has 2 to 5.",
            hint="Save parts of it.",
        )


def _texts(values: Any, ndim: int, default: str) -> list[str]:
    given = [] if values is None else [values] if isinstance(values, str) else list(values)
    texts = [default if value is None else str(value) for value in given]
    if len(texts) == 1 and ndim > 1 and default == "pixel":
        texts *= ndim  # napari takes one unit for all
    return ([default] * ndim + texts)[-ndim:]


def _labels(meta: Mapping[str, Any], data: Any, ndim: int) -> list[str]:
    """Labels of the axes; of an xarray without, its dims."""
    labels = _texts(meta.get("axis_labels"), ndim, "")
    dims = getattr(data, "dims", None)
    if any(map(is_named, labels)) or not isinstance(dims, tuple):
        return labels
    # xarray calls dims without names dim_0, dim_1 ...
    return ["" if str(dim) == f"dim_{i}" else str(dim) for i, dim in enumerate(dims)][:ndim]


def _drop(data: Any, positions: Sequence[int]) -> Any:
    return data[tuple(0 if i in positions else slice(None) for i in range(len(data.shape)))]


def _positions(image: LayerImage, finest: ScaleTranslation) -> tuple[ScaleTranslation, ...]:
    """Position of every level: as in the file, moved and scaled with the layer; else as napari shows it."""
    shapes, origin = image.shapes, image.origin
    if origin is None or shapes != origin["shapes"]:
        return tuple(_edge_aligned(finest, shapes[0], shape) for shape in shapes)
    multiscale = origin["multiscale"]
    order = [multiscale.dims.index(dim) for dim in origin["dims"]]
    paths = [level.path for level in multiscale.levels]
    stored = [along(level_transform(multiscale, paths.index(path)), order) for path in origin["paths"]]
    first = stored[0]
    if np.allclose(first.scale, finest.scale, rtol=_EXACT, atol=0) and np.allclose(
        first.translation, finest.translation, rtol=_EXACT, atol=0
    ):
        return tuple(stored)
    ratio = [new / old for new, old in zip(finest.scale, first.scale, strict=True)]
    return tuple(
        ScaleTranslation(
            scale=tuple(s * r for s, r in zip(level.scale, ratio, strict=True)),
            translation=tuple(
                new + (t - old) * r
                for new, t, old, r in zip(
                    finest.translation, level.translation, first.translation, ratio, strict=True
                )
            ),
        )
        for level in stored
    )


def _edge_aligned(finest: ScaleTranslation, whole: Sequence[int], shape: Sequence[int]) -> ScaleTranslation:
    """Position of a level by its shape, from edge to edge of the finest one, as napari shows it."""
    factors = [n / max(1, m) for n, m in zip(whole, shape, strict=True)]
    return coarser(finest, factors)
