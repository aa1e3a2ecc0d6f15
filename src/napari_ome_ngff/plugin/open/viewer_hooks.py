"""What napari cannot take from a reader: contrast sliders, contours, levels in 3D, the well pointed at.

A reader returns tuples and does not learn which viewer they are for, and for a ``Layer`` instead of a tuple
napari ignores the user's own arguments. So the events of all open viewers are used, by plain functions.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.plugin.notify import plain
from napari_ome_ngff.plugin.open.catalog import active_first, tile_under, title
from napari_ome_ngff.plugin.open.levels_in_3d import levels_in_3d
from napari_ome_ngff.plugin.open.read_ahead import read_ahead
from napari_ome_ngff.plugin.origin import METADATA_KEY, LayerData
from napari_ome_ngff.storage.pixels.dask_array import pictures_of

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_ome_ngff.reading.opened import Tile

CLICKED_KEY = "ome_ngff_clicked"
"""Key of ``layer.metadata`` under which the well and field of the last click are kept."""


def attach(layers: Sequence[LayerData], viewers: Iterable[Any] | None = None) -> None:
    """Let viewers, by default all that are open, complete these layers once they are added."""
    has_levels = any(meta.get("multiscale") for _, meta, _ in layers)
    plate = any(meta.get("metadata", {}).get(METADATA_KEY, {}).get("tiles") for _, meta, _ in layers)
    comes_later = any(
        pictures_of(level) is not None
        for data, meta, _ in layers
        for level in (data if meta.get("multiscale") else [data])
    )
    for viewer in open_viewers() if viewers is None else viewers:
        viewer.layers.events.inserted.connect(widen_range)
        viewer.layers.events.inserted.connect(draw_contours)
        if plate:
            watch_fields(viewer)
        if has_levels:
            levels_in_3d(viewer)
        if comes_later:
            read_ahead(viewer)


def open_viewers() -> tuple[Viewer, ...]:
    """Return the viewers that are open, without importing napari.

    All of them: a folder that is dropped on a window does not make that window the current one.
    """
    if "napari.viewer" not in sys.modules:
        return ()
    from napari.viewer import Viewer, current_viewer

    current = current_viewer()
    # napari has no public list of its viewers.
    return tuple(getattr(Viewer, "_instances", () if current is None else (current,)))


def watch_fields(viewer: Any) -> None:
    """Show the field under the cursor in the status bar, and remember the one that was clicked."""
    # Last: the window's own callback would put the text without the field over the one with it.
    viewer.events.status.connect(name_field, position="last")
    if remember_click not in viewer.mouse_drag_callbacks:
        viewer.mouse_drag_callbacks.append(remember_click)


def widen_range(event: Any) -> None:
    """Give the contrast slider of a new layer the range that its file says, or else that of its data type.

    napari takes the limits for the range, so that the slider would end where the picture is brightest.
    """
    layer = event.value
    origin = layer.metadata.get(METADATA_KEY)
    range_ = origin.get("range") if isinstance(origin, Mapping) else None
    limits = getattr(layer, "contrast_limits", None)
    # A range that differs from the limits was chosen by someone: a layer may be taken out and put back.
    if range_ is None or limits is None or list(layer.contrast_limits_range) != list(limits):
        return
    low, high = min(range_[0], limits[0]), max(range_[1], limits[1])
    if low < high:
        layer.contrast_limits_range = (low, high)


def draw_contours(event: Any) -> None:
    """Draw the contours of new labels as the file says, unless someone chose others."""
    layer = event.value
    contour = _contour_in_file(layer.metadata)
    if contour and getattr(layer, "contour", None) == 0:
        layer.contour = contour


def with_contours(layers: Sequence[LayerData]) -> list[LayerData]:
    """Layer tuples with the contours that viewers show; those in the file of layers that none shows."""
    shown = {
        (layer.name, id(layer.data)): layer.contour
        for viewer in open_viewers()
        for layer in viewer.layers
        if hasattr(layer, "contour")
    }
    result = []
    for data, meta, kind in layers:
        contour = shown.get((meta.get("name"), id(data)))
        if contour is None:
            contour = _contour_in_file(meta.get("metadata", {}))
        result.append((data, {**meta, "contour": contour}, kind))
    return result


def _contour_in_file(metadata: Mapping[str, Any]) -> int:
    origin = metadata.get(METADATA_KEY)
    return origin.get("contour", 0) if isinstance(origin, Mapping) else 0


def name_field(event: Any) -> None:
    """Add the well and field under the cursor to what napari says of that place."""
    viewer = event.source
    tile = _tile_at(viewer, viewer.cursor.position)
    if tile is None or not viewer.mouse_over_canvas:
        return
    name = plain(title(tile[1]))
    status = viewer.status
    text = status if isinstance(status, str) else status["coordinates"]
    if text.endswith(name):  # this very function has just added it
        return
    text = f"{text}   {name}"
    viewer.status = text if isinstance(status, str) else {**status, "coordinates": text}


def remember_click(viewer: Any, event: Any) -> Iterator[None]:
    """Keep the well and field of a click in the metadata of the layer, for scripts and the console."""
    position = tuple(event.position)
    yield
    if event.type == "mouse_move":  # a drag: the picture is moved
        return
    if (clicked := _tile_at(viewer, position)) is not None:
        layer, tile = clicked
        place = {"well": tile.well, "field": tile.field, "location": tile.location}
        layer.metadata[CLICKED_KEY] = place


def _tile_at(viewer: Any, position: Sequence[float]) -> tuple[Any, Tile] | None:
    if len(viewer.dims.displayed) != 2:  # in 3D the cursor is a line through the volume
        return None
    return tile_under(active_first(viewer.layers, viewer.layers.selection.active), position)
