"""Which part of layers is written: in view, in the box of a Shapes layer, some slices, or a time point."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ome_ngff.editing.crop import voxels_within
from napari_ome_ngff.errors import OptionError
from napari_ome_ngff.plugin.layer_axes.axes_in_view import named_in_view
from napari_ome_ngff.plugin.save.form import EVERYTHING, SHAPES, SLICES, TIME
from napari_ome_ngff.plugin.save.from_layers import SAVED_KINDS
from napari_ome_ngff.plugin.save.layer_image import layer_image

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_ome_ngff.editing.crop import Extents

Box = dict[int, tuple[float, float]]
"""From where to where along dimensions of the world, counted from the last one: -1, -2, ..."""

Slices = Mapping[int, tuple[int, int]]
"""The first slice and the last one along dimensions with a slider, counted as in a `Box`."""


def sliders(viewer: Viewer) -> dict[int, tuple[str, int]]:
    """Name and number of slices of the dimensions with a slider, counted as in a `Box`."""
    dims = viewer.dims
    return {
        axis - dims.ndim: (dims.axis_labels[axis], int(dims.nsteps[axis]))
        for axis in sorted(dims.not_displayed)
        if dims.nsteps[axis] > 1
    }


def chosen_part(viewer: Viewer, part: str, layers: Sequence[Layer], slices: Slices | None = None) -> Extents:
    """The part that was chosen, by positions along axes; empty: all. OptionError if it is not one for all."""
    saved = [layer for layer in layers if layer.as_layer_data_tuple()[2] in SAVED_KINDS]
    extents: dict[str, tuple[float, float]] = {}
    if part == EVERYTHING:
        return extents
    box: Box = {}
    if part == SLICES:
        box = _box_of_slices(viewer, slices or {})
    elif part != TIME:
        box = _box_of_shapes(viewer) if part == SHAPES else _box_in_view(viewer)
    for layer in saved:
        mine = _time_point(viewer, layer) if part == TIME else _extents(viewer, layer, box)
        for dim, ends in mine.items():
            before = extents.setdefault(dim, ends)
            if not np.allclose(before, ends, rtol=1e-6, atol=1e-6 * abs(before[1] - before[0])):
                raise OptionError(
                    "The layers are not placed in the same way: their parts differ.",
                    found=f"{dim} {before} and {ends}",
                    hint="Select the layers of one image, and save those.",
                )
    if part == TIME and saved and not extents:
        raise OptionError("The layers have no time axis.", hint="Choose another part.")
    return extents


def _box_in_view(viewer: Viewer) -> Box:
    if viewer.dims.ndisplay != 2:
        raise OptionError("What is in view is known in 2D only.", hint="Switch to 2D, or draw a shape.")
    camera = getattr(viewer, "scene", viewer).camera  # napari 0.8 has no scene
    size = viewer.canvas.viewbox_size(viewer.layers) if hasattr(viewer, "canvas") else viewer._canvas_size
    half = np.asarray(size, float) / camera.zoom / 2
    middle = np.asarray(camera.center, float)[-2:]
    pairs = zip(viewer.dims.displayed, middle - half, middle + half, strict=True)
    return {axis - viewer.dims.ndim: (low, high) for axis, low, high in pairs}


def _box_of_slices(viewer: Viewer, slices: Slices) -> Box:
    """Slices as the sliders count them, up to the edges of their voxels."""
    box = {}
    for i, (first, last) in slices.items():
        if first > last:
            name = viewer.dims.axis_labels[i]
            raise OptionError(f"The slices along {name!r} end before they begin.", found=f"{first} to {last}")
        start, _, step = viewer.dims.range[i]
        box[i] = (start + (first - 0.5) * step, start + (last + 0.5) * step)
    return box


def _box_of_shapes(viewer: Viewer) -> Box:
    from napari.layers import Shapes

    chosen = [layer for layer in viewer.layers if isinstance(layer, Shapes)]
    chosen = [layer for layer in chosen if layer in viewer.layers.selection] or chosen
    if len(chosen) != 1 or not len(chosen[0].data):
        raise OptionError(
            "There is no Shapes layer to take the box of." if len(chosen) < 2 else "Which Shapes layer?",
            expected="one with a shape in it, selected if there are several",
        )
    (layer,) = chosen
    corners = np.concatenate([np.asarray(shape, float) for shape in layer.data])
    world = np.array([layer.data_to_world(corner) for corner in corners])
    low, high = world.min(axis=0), world.max(axis=0)
    n = len(low)
    # A rectangle lies in one slice; it stands for all of them.
    return {i - n: (low[i], high[i]) for i in range(n) if high[i] > low[i]}


def _extents(viewer: Viewer, layer: Layer, box: Box) -> dict[str, tuple[float, float]]:
    """A box of the world as positions along the axes of a layer's image."""
    point = list(viewer.dims.point)[-layer.ndim :]
    mine = {i: ends for i, ends in box.items() if -i <= layer.ndim}
    data = []
    for corner in itertools.product(*mine.values()):
        for i, position in zip(mine, corner, strict=True):
            point[i] = position
        data.append(layer.world_to_data(point)[-layer.ndim :])
    low, high = np.min(data, axis=0), np.max(data, axis=0)
    return _positions(layer, {i: (low[i], high[i]) for i in mine})


def _time_point(viewer: Viewer, layer: Layer) -> dict[str, tuple[float, float]]:
    image, kept = _axes(layer)
    times = [i for i, axis in zip(kept, image.axes, strict=True) if axis.type == "time"]
    at = layer.world_to_data(list(viewer.dims.point)[-layer.ndim :])[-layer.ndim :]
    index = {i - layer.ndim: round(float(at[i])) for i in times}
    return _positions(layer, {i: (plane - 0.5, plane + 0.5) for i, plane in index.items()})


def _positions(layer: Layer, pixels: Box) -> dict[str, tuple[float, float]]:
    image, kept = _axes(layer)
    grid, result = image.positions[0], {}
    for j, i in enumerate(kept):
        if (ends := pixels.get(i - layer.ndim)) is not None:
            low, high = sorted(grid.translation[j] + grid.scale[j] * end for end in ends)
            result[image.axes[j].name] = (low, high)
    return result


def edges_of_part(layer: Layer, extents: Extents, level: int) -> list[tuple[float, float]]:
    """Where a part begins and ends in a layer's pixels: at the edges of a level's voxels, if it has that."""
    image, kept = _axes(layer)
    edges = [(-0.5, 0.5)] * layer.ndim
    level = min(level, len(image.positions) - 1)
    finest, grid = image.positions[0], image.positions[level]
    for j, i in enumerate(kept):
        n, scale, start = image.shapes[level][j], grid.scale[j], grid.translation[j]
        ends = extents.get(image.axes[j].name)
        part = slice(0, n) if ends is None else voxels_within(*ends, scale, start, n)
        low, high = (
            (start + scale * (end - 0.5) - finest.translation[j]) / finest.scale[j]
            for end in (part.start, part.stop)
        )
        edges[i] = (low, high)
    return edges


def _axes(layer: Layer) -> tuple[Any, list[int]]:
    """A layer as an image, and which of its dimensions that has."""
    image = layer_image(named_in_view([layer.as_layer_data_tuple()])[0])
    inserted = () if image.origin is None else image.origin["inserted"]
    return image, [i for i, label in enumerate(layer.axis_labels) if label not in inserted]
