"""What the dock "OME-Zarr image" does, as commands of napari's menus and palette: for the selected layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from napari_ome_ngff.errors import OmeNgffError, OptionError
from napari_ome_ngff.plugin import notify
from napari_ome_ngff.plugin.edit import actions
from napari_ome_ngff.plugin.edit.save_painted import save_in_thread
from napari_ome_ngff.plugin.edit.show_rois import show_rois
from napari_ome_ngff.plugin.open.levels_in_3d import levels_in_3d

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer


def edit_labels() -> None:
    """Command: make the selected layer paintable at full resolution."""
    _notified(actions.paint_labels)


def save_changes() -> None:
    """Command: write what was painted on the selected layer, in a thread."""
    _notified(lambda _, layer: save_in_thread(layer, progress=None, ended=notify.inform))


def discard_changes() -> None:
    """Command: show what is in the file of the selected layer."""
    _notified(actions.discard_changes)


def new_labels() -> None:
    """Command: add an empty label image to the image of the selected layer."""
    _notified(actions.new_labels)


def add_plain_level() -> None:
    """Command: add the level that is shown of the selected layer as a layer without levels."""
    _notified(actions.add_plain_level)


def show_roi_tables() -> None:
    """Command: add the tables of regions beside the image of the selected layer as Shapes layers."""
    _notified(show_rois)


def finer_in_3d() -> None:
    """Command: show the image of the selected layer at the next finer level in 3D."""
    _notified(lambda viewer, layer: levels_in_3d(viewer).step(layer, -1))


def coarser_in_3d() -> None:
    """Command: show the image of the selected layer at the next coarser level in 3D."""
    _notified(lambda viewer, layer: levels_in_3d(viewer).step(layer, 1))


def _notified(action: Callable[[Viewer, Layer | None], str | None]) -> None:
    """Do something with the selected layer, and say how it ended: an error too."""
    from napari.viewer import current_viewer

    viewer = current_viewer()
    try:
        if viewer is None:
            raise OptionError("There is no viewer.", hint="Open an OME-Zarr image in napari first.")
        message = action(viewer, viewer.layers.selection.active)
    except OmeNgffError as error:
        notify.warn(str(error))
    else:
        if message is not None:
            notify.inform(message)
