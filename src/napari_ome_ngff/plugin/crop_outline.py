"""What is to be written of layers, outlined in the canvas while it is chosen."""

from __future__ import annotations

import itertools
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QEvent, QObject

from napari_ome_ngff.plugin.layer_part import edges_of_part
from napari_ome_ngff.plugin.open.viewer_hooks import open_viewers

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_ome_ngff.editing.crop import Extents

COLOR = "#ffcc00"
WIDTH = 2
IN_FRONT = 10**6


class CropOutline(QObject):
    """Lines in the canvas, around the voxels that are to be written, while a widget is seen.

    They are no layer: nothing saves or selects them, and undo does not know them.
    """

    def __init__(self, viewer: Viewer, widget: Any, shown: Callable[[], None]) -> None:
        super().__init__(widget)
        self._viewer, self._widget, self._shown = viewer, widget, shown
        self._lines: Any = None
        widget.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Qt asks whether an event of the widget goes no further."""
        if event is not None and event.type() == QEvent.Type.Hide:
            self.hide()  # the dock closes: the widget may live on for a while
        elif event is not None and event.type() == QEvent.Type.Show:
            self._shown()
        return False

    def show(self, layer: Layer, extents: Extents, level: int) -> None:
        """Outline the part of a layer that would be written from a level, if a slice of it is shown."""
        ends = outline(self._viewer, layer, extents, level)
        windows = [each.window for each in open_viewers() if layer in each.layers and hasattr(each, "window")]
        if ends is None or not windows or not self._widget.isVisible():
            self.hide()
            return
        if self._lines is None:
            from vispy.scene.visuals import Line

            scene = windows[0]._qt_viewer.canvas.view.scene
            self._lines = Line(ends, color=COLOR, width=WIDTH, connect="segments", parent=scene)
            self._lines.order = IN_FRONT
            self._lines.set_gl_state("translucent", depth_test=False)
        self._lines.set_data(pos=ends)

    def hide(self) -> None:
        """Take the lines out of the canvas."""
        if self._lines is not None:
            with suppress(RuntimeError):  # the canvas may have gone before: the window is closing
                self._lines.parent = None
            self._lines = None


def outline(viewer: Viewer, layer: Layer, extents: Extents, level: int) -> np.ndarray[Any, Any] | None:
    """Both ends of each edge of a part, as vispy wants them: ``(x, y)`` or ``(x, y, z)`` in the world.

    None if it lies in other slices than the one that is shown.
    """
    edges, dims = edges_of_part(layer, extents, level), viewer.dims
    shown = [axis - dims.ndim + layer.ndim for axis in dims.displayed]
    if min(shown) < 0:
        return None
    point = np.asarray(layer.world_to_data(list(dims.point)[-layer.ndim :])[-layer.ndim :], float)
    if any(not low <= point[i] < high for i, (low, high) in enumerate(edges) if i not in shown):
        return None
    corners = {}
    for corner in itertools.product((0, 1), repeat=len(shown)):
        for i, side in zip(shown, corner, strict=True):
            point[i] = edges[i][side]
        corners[corner] = np.asarray(layer.data_to_world(point))[shown][::-1]
    pairs = itertools.combinations(corners, 2)
    lines = [pair for pair in pairs if sum(a != b for a, b in zip(*pair, strict=True)) == 1]
    return np.array([corners[corner] for line in lines for corner in line], "float32")
