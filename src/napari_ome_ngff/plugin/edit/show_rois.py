"""The tables of regions beside an image, as Shapes layers that lie on it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ome_ngff.errors import OptionError
from napari_ome_ngff.metadata.nouns import Multiscale
from napari_ome_ngff.metadata.transforms import level_transform
from napari_ome_ngff.plugin.origin import Origin, origin_of

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_ome_ngff.reading.others.roi_tables import Roi

_MICROMETERS = {"nanometer": 1e-3, "angstrom": 1e-4, "micrometer": 1.0, "millimeter": 1e3, "meter": 1e6}

_MOST_SHAPES = 2000
"""A region is drawn in each slice that it is in; where these would be more, in its middle slice."""


def show_rois(viewer: Viewer, layer: Layer | None) -> str:
    """Add a Shapes layer for each table of regions beside the image of a layer, in the layer's place."""
    from napari.layers import Layer as AnyLayer

    from napari_ome_ngff.reading.others.roi_tables import read_roi_tables

    origin = None if layer is None else origin_of({"metadata": layer.metadata})
    if layer is None or origin is None:
        raise OptionError("This layer was not opened from an OME-Zarr image.", hint="Select one that was.")
    if origin["tiles"]:
        raise OptionError("Open one field of the plate alone first.", hint="Plugins > OME-Zarr > Browse")
    place = origin["image"].partition("#")[0]
    tables = {name: rois for name, rois in read_roi_tables(place).items() if rois}
    if not tables:
        return "There is no table of regions beside this image."
    for name, rois in tables.items():
        data, meta = shapes_of(rois, layer, origin)
        viewer.layers.append(AnyLayer.create(data, {"name": name, **meta}, "shapes"))
    viewer.layers.selection.active = layer
    return "Added " + ", ".join(f"{name} ({len(rois)} regions)" for name, rois in tables.items()) + "."


def shapes_of(rois: Sequence[Roi], layer: Layer, origin: Origin) -> tuple[list[Any], dict[str, Any]]:
    """Rectangles in the voxels of a layer, and the other arguments of the Shapes layer.

    Regions that are as deep as the image, in all of them, make a layer of two dimensions: napari shows it in
    every slice.
    """
    shape = (layer.data[0] if layer.multiscale else layer.data).shape[: layer.ndim]
    sizes = _voxel_sizes(origin["multiscale"])
    names = iter(origin["dims"])
    dims = [None if label in origin["inserted"] else next(names, None) for label in layer.axis_labels]
    matrix = layer.affine.affine_matrix
    is_flat = not (matrix[-3:-1, :-3].any() or matrix[:-3, -3:-1].any())
    boxes = [_box(roi, dims, sizes, shape) for roi in rois]
    whole = [(-0.5, n - 0.5) for n in shape[:-2]]
    used = layer.ndim
    if is_flat and all(_covers(box[:-2], whole) for box in boxes):
        boxes, used = [box[-2:] for box in boxes], 2
    slices = [_slices(box[:-2]) for box in boxes]
    if sum(map(len, slices)) > _MOST_SHAPES:
        slices = [each[len(each) // 2 :][:1] for each in slices]
    data = [_rectangle(at, box[-2:]) for box, each in zip(boxes, slices, strict=True) for at in each]
    rows = [roi for roi, each in zip(rois, slices, strict=True) for _ in each]
    keep = [*range(layer.ndim - used, layer.ndim), layer.ndim]
    return data, {
        "shape_type": "rectangle",
        "features": {"name": [roi.name for roi in rows]},
        "text": {"string": "{name}", "color": "yellow", "anchor": "upper_left", "size": 9},
        "face_color": "transparent",
        "edge_color": "yellow",
        "edge_width": max(float(min(shape[-2:])) / 400, 0.1),
        "scale": layer.scale[-used:],
        "translate": layer.translate[-used:],
        "affine": matrix[np.ix_(keep, keep)],
        "units": tuple(str(unit) for unit in layer.units[-used:]),
        "axis_labels": layer.axis_labels[-used:],
    }


def _voxel_sizes(multiscale: Multiscale) -> dict[str, float]:
    """Size of a voxel along each dimension, in micrometers or seconds; one without a unit is in those."""
    sizes = level_transform(multiscale, 0).scale
    factors = (_MICROMETERS.get(axis.unit or "micrometer", 1.0) for axis in multiscale.axes)
    return {dim: size * factor for dim, size, factor in zip(multiscale.dims, sizes, factors, strict=True)}


def _box(
    roi: Roi, dims: Sequence[str | None], sizes: dict[str, float], shape: Sequence[int]
) -> list[tuple[float, float]]:
    """Where a region begins and ends along each dimension, in voxels: at their edges."""
    box = []
    for dim, n in zip(dims, shape, strict=True):
        if dim is None or dim not in roi.origin or (dim == "t" and roi.origin["t"] == 0):
            box.append((-0.5, n - 0.5))
            continue
        start = roi.origin[dim] / sizes[dim] - 0.5
        box.append((start, start + roi.size[dim] / sizes[dim]))
    return box


def _covers(box: Sequence[tuple[float, float]], whole: Sequence[tuple[float, float]]) -> bool:
    pairs = zip(box, whole, strict=True)
    return all(low <= least + 0.5 and high >= most - 0.5 for (low, high), (least, most) in pairs)


def _slices(box: Sequence[tuple[float, float]]) -> list[tuple[float, ...]]:
    """The slices that a region is in: one index per dimension that is not drawn."""
    ranges = [np.arange(round(low + 0.5), max(round(high + 0.5), round(low + 0.5) + 1)) for low, high in box]
    if np.prod([len(each) for each in ranges], dtype=float) > _MOST_SHAPES:
        ranges = [each[len(each) // 2 :][:1] for each in ranges]
    return list(itertools.product(*(each.tolist() for each in ranges)))


def _rectangle(at: tuple[float, ...], box: Sequence[tuple[float, float]]) -> Any:
    (top, bottom), (left, right) = box
    corners = ((top, left), (top, right), (bottom, right), (bottom, left))
    return np.array([(*at, *corner) for corner in corners], float)
