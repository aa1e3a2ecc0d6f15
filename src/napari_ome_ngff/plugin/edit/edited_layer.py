"""A Labels layer with levels becomes one that can be painted on, under its name and in its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ome_ngff.errors import OptionError, TargetError, UnsupportedError
from napari_ome_ngff.plugin.edit.edit_view import EditView
from napari_ome_ngff.plugin.names import OLD
from napari_ome_ngff.plugin.origin import LayerData, Origin, origin_of
from napari_ome_ngff.plugin.save.progress import alive, breathe, event_loop_runs

if TYPE_CHECKING:
    from napari.layers import Labels, Layer
    from napari.viewer import Viewer

MAX_SIDE = 8192
"""Longest side of a plane that is painted on as a whole: napari reads all of the plane that it shows, and
textures end at 16384. Of a larger one, the part in view is painted on."""


_STATE = (
    "selected_label",
    "brush_size",
    "n_edit_dimensions",
    "contour",
    "contiguous",
    "preserve_labels",
    "show_selected_label",
)
"""What a Labels layer has beside what it is made with."""


def view_of(layer: Layer) -> EditView | None:
    """What is painted on in a layer, or None if the layer is not being edited."""
    return layer.data if isinstance(layer.data, EditView) else None


def edited_layers(layers: Sequence[Layer]) -> list[Layer]:
    """The layers with changes that are not saved."""
    return [layer for layer in layers if (view := view_of(layer)) is not None and view.edit.dirty.chunks]


def begin_edit(viewer: Viewer, layer: Labels) -> Labels:
    """Put a layer that can be painted on in the place of one that shows the levels of a label image.

    It has the same name, place, colours, features, visibility and order. An OmeNgffError says why it cannot:
    nothing has changed then.
    """
    if view_of(layer) is not None:
        return layer
    origin = _origin(layer)
    if event_loop_runs():
        view = alive(lambda: _view(layer, origin, viewer.dims.displayed))
        first = _planes(layer, view, viewer.dims.point)
        # napari would read them in the window's thread.
        alive(lambda: [np.asarray(view[plane]) for plane in first])
        if layer not in viewer.layers:
            raise OptionError("The layer was closed meanwhile.")
    else:
        view = _view(layer, origin, viewer.dims.displayed)
    _, meta, kind = layer.as_layer_data_tuple()
    translate = np.asarray(meta["translate"]) + _corner(meta, view)
    new = _like(layer, view, meta | {"multiscale": False, "translate": translate, "name": layer.name}, kind)
    breathe()
    put_instead(viewer, layer, new)
    if new not in viewer.layers:
        raise OptionError("The layer was closed meanwhile.")
    return new


def end_edit(viewer: Viewer, layer: Labels) -> Layer:
    """Show the levels of the file again in place of a layer that is edited; unsaved changes are lost."""
    view = view_of(layer)
    if view is None:
        return layer
    new = _like(layer, *_whole(layer.as_layer_data_tuple(), view, view.levels))
    put_instead(viewer, layer, new)
    return new


def as_stored(layers: Sequence[LayerData]) -> list[LayerData]:
    """Layers as they are saved: those that are edited are whole, with their levels if nothing is painted."""
    return [
        _whole(layer, view, view.within(None) if view.edit.dirty.chunks else view.levels)
        if isinstance(view := layer[0], EditView)
        else layer
        for layer in layers
    ]


def _whole(layer: LayerData, view: EditView, data: Any) -> LayerData:
    """An edited layer with other data, those of all its image, where that lies."""
    _, meta, kind = layer
    translate = np.asarray(meta["translate"]) - _corner(meta, view)
    return data, meta | {"multiscale": isinstance(data, list), "translate": translate}, kind


def _origin(layer: Layer) -> Origin:
    from napari.layers import Labels

    origin = origin_of({"metadata": layer.metadata})
    if not isinstance(layer, Labels):
        raise OptionError("Only Labels layers are painted on.", hint="Select a Labels layer.")
    if origin is None:
        raise OptionError(
            "This layer was not opened from an OME-Zarr image.",
            hint="napari paints on it as it is; save it when it is done.",
        )
    if origin["tiles"]:
        raise UnsupportedError(
            "A mosaic of fields is not painted on.",
            hint="Open one field alone (Plugins > OME-Zarr > Browse), and paint on that.",
        )
    return origin


def _view(layer: Labels, origin: Origin, displayed: Sequence[int]) -> EditView:
    from napari_ome_ngff.editing.label_edit import edit_image

    edit = edit_image(origin["location"])
    if edit.dtype.kind not in "iub":
        raise UnsupportedError(
            f"Labels stored as {edit.dtype} are not painted on.",
            where=origin["location"],
            hint="Save the layer as a new image: its labels are whole numbers there.",
        )
    dims = edit.multiscale.dims
    in_file = iter(origin["dims"])
    inserted = set(origin["inserted"])
    if len(origin["dims"]) + len(inserted) != layer.ndim:
        raise TargetError("The layer has other dimensions than its file.", where=origin["location"])
    axes = [None if label in inserted else dims.index(next(in_file)) for label in layer.axis_labels]
    levels = list(layer.data) if layer.multiscale else layer.data
    view = EditView(edit, levels=levels, axes=axes, channel=origin["channel"])
    if view.shape != tuple(layer.data[0].shape if layer.multiscale else layer.data.shape):
        raise TargetError(
            "The layer is not the label image that is in the file.",
            where=origin["location"],
            found=f"a layer of {layer.data.shape}, a file of {view.shape}",
            hint="Open the file again.",
        )
    window = _window(layer, view.shape, displayed)
    return view if window is None else view.within(window)


def _window(layer: Labels, shape: Sequence[int], displayed: Sequence[int]) -> tuple[slice, ...] | None:
    """The part of a plane that is in view, if the plane is too large to be painted on as a whole."""
    missing = max(displayed) + 1 - len(shape)  # napari aligns layers from the right
    shown = [i - max(0, missing) for i in displayed if i >= max(0, missing)]
    if all(shape[i] <= MAX_SIDE for i in shown):
        return None
    factors = layer.downsample_factors[layer.data_level] if layer.multiscale else np.ones(layer.ndim)
    low, high = layer.corner_pixels * factors
    window = [slice(0, n) for n in shape]
    for i in shown:
        middle, side = (low[i] + high[i]) / 2, min(shape[i], MAX_SIDE)
        start = int(min(max(0, middle - side / 2), shape[i] - side))
        window[i] = slice(start, start + side)
    return tuple(window)


def _planes(layer: Labels, view: EditView, point: Sequence[float]) -> list[tuple[int | slice, ...]]:
    """The planes that napari asks for: when it makes a layer the one at the origin, then the one in view."""
    displayed = set(layer._slice_input.displayed)
    starts = [part.start for part in view.window]
    planes = []
    for place in (np.zeros(layer.ndim), point[-layer.ndim :]):
        index = np.rint(layer.world_to_data(place)).astype(int) - starts
        planes.append(
            tuple(
                slice(None) if i in displayed else int(np.clip(index[i], 0, n - 1))
                for i, n in enumerate(view.shape)
            )
        )
    return planes


def _corner(meta: Mapping[str, Any], view: EditView) -> np.ndarray[Any, Any]:
    """How far the first voxel of a part of a layer lies from that of the whole, before its affine."""
    from napari.utils.transforms import Affine

    linear = Affine(scale=meta["scale"], rotate=meta["rotate"], shear=meta["shear"]).linear_matrix
    corner: np.ndarray[Any, Any] = linear @ [part.start for part in view.window]
    return corner


def _like(layer: Labels, data: Any, meta: dict[str, Any], kind: str) -> Labels:
    """A layer of other data that is otherwise the same."""
    from napari.layers import Layer

    new: Any = Layer.create(data, meta, kind)
    for name in _STATE:
        value = getattr(layer, name, None)
        if value is not None and value != getattr(new, name):  # napari colours the whole plane each time
            setattr(new, name, value)
    return new


def put_instead(viewer: Viewer, old: Layer, new: Layer) -> None:
    """Replace a layer by another one in its place, with its name; the view stays.

    Where a window runs it lives in between: if the new one is closed then, the old one stays.
    """
    if old not in viewer.layers:
        return
    index, name = viewer.layers.index(old), old.name
    selected = old in viewer.layers.selection
    step, order, ndisplay = viewer.dims.current_step, viewer.dims.order, viewer.dims.ndisplay
    old.mode = "pan_zoom"  # its brush is drawn no more
    old.name = name + OLD  # frees the name for the new layer
    viewer.layers.insert(index, new)
    breathe()
    if new not in viewer.layers:
        old.name = name
        return
    if old in viewer.layers:
        viewer.layers.remove(old)
    new.name = name
    viewer.dims.ndisplay, viewer.dims.order, viewer.dims.current_step = ndisplay, order, step
    if selected:
        viewer.layers.selection.active = new
