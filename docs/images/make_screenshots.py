"""Make the pictures of the documentation by running the program in a real napari window.

    python docs/images/make_screenshots.py [FOLDER]

Needs a display; on a Linux machine without one:

    xvfb-run -a -s "-screen 0 1400x900x24 +extension GLX -noreset" python docs/images/make_screenshots.py

Each picture is what a step of the tutorial shows. They are written beside this file unless a folder is named.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent))  # the tests' makers of plates and scenes
COINS = HERE.parent / "examples" / "data" / "coins.ome.zarr"
PLUGIN = "napari-ome-ngff"
SIZE = (1360, 780)
COLORS = 255
"""Colours in a picture: enough for a window, and few enough for a small file."""


def pump(seconds: float) -> None:
    from qtpy.QtWidgets import QApplication

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.01)


def wait_until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "this takes too long"
        pump(0.05)


def save_picture(viewer: Any, path: Path, *, settle: float = 1.0) -> None:
    """Save the whole window as a small PNG, once everything is drawn."""
    from napari._qt.dialogs.qt_notification import NapariQtNotification
    from PIL import Image

    wait_until(lambda: all(layer.loaded for layer in viewer.layers))
    for note in viewer.window._qt_window.findChildren(NapariQtNotification):
        note.close()  # they would be in some pictures, and in others not
    pump(settle)
    pixels = viewer.screenshot(canvas_only=False, flash=False)[..., :3]
    buffer = BytesIO()
    Image.fromarray(pixels).quantize(COLORS).save(buffer, "PNG", optimize=True)
    path.write_bytes(buffer.getvalue())
    print(f"{path} ({len(buffer.getvalue()) / 1000:.0f} kB)")


def open_sample(viewer: Any) -> None:
    from npe2 import PluginManager

    samples = PluginManager.instance().get_manifest(PLUGIN).contributions.sample_data
    viewer.open_sample(PLUGIN, samples[0].key)


def show_middle_plane(viewer: Any) -> None:
    axis = viewer.dims.ndim - 3
    if axis >= 0:
        viewer.dims.set_current_step(axis, int(viewer.dims.nsteps[axis]) // 2)


def open_browser(viewer: Any) -> Any:
    """Dock the table of wells beside the picture, wide enough for its text."""
    from qtpy.QtCore import Qt

    dock, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "Browse OME-Zarr plate or collection")
    viewer.window._qt_window.resizeDocks([dock], [300], Qt.Orientation.Horizontal)
    pump(0.5)
    return widget


def close_docks(viewer: Any) -> None:
    for dock in list(viewer.window.dock_widgets):
        widget = viewer.window.dock_widgets[dock]
        viewer.window.remove_dock_widget(getattr(widget, "native", widget).parent())
    pump(0.5)


def picture_plate(viewer: Any, folder: Path, scratch: Path) -> None:
    from tests.window_tools import write_plate

    viewer.open(str(write_plate(scratch / "plate.zarr")), plugin=PLUGIN)
    widget = open_browser(viewer)
    viewer.reset_view()
    save_picture(viewer, folder / "plate.png")
    widget.search.setText("d/1")
    widget.table.selectRow(1)
    save_picture(viewer, folder / "well.png")
    close_docks(viewer)
    viewer.layers.clear()


def picture_scene(viewer: Any, folder: Path, scratch: Path) -> None:
    """Show the corners of one tissue that were taken one by one, as a scene puts them together."""
    from tests.window_tools import write_scene

    viewer.open(str(write_scene(scratch / "tiles.zarr")), plugin=PLUGIN)
    viewer.reset_view()
    save_picture(viewer, folder / "scene.png")
    viewer.layers.clear()


def picture_volume(viewer: Any, folder: Path) -> None:
    open_sample(viewer)
    viewer.layers[-1].visible = False  # labels would hide the cells
    viewer.layers.selection.active = viewer.layers["membranes"]
    viewer.layers["membranes"].opacity = 0.35
    viewer.dims.ndisplay = 3
    viewer.scene.camera.angles = (20, 25, 60)
    wait_until(lambda: "Finer" in str(viewer.status))  # the level is read in the background
    viewer.reset_view(reset_camera_angle=False)
    save_picture(viewer, folder / "volume.png")
    widget = open_image_dock(viewer)
    viewer.layers.selection.active = viewer.layers[1]
    wait_until(lambda: widget.volume.text().startswith("Level 0"))
    viewer.reset_view(reset_camera_angle=False)
    save_picture(viewer, folder / "volume-level.png")
    close_docks(viewer)
    viewer.dims.ndisplay = 2
    viewer.layers.clear()


def new_viewer() -> Any:
    import napari

    viewer = napari.Viewer(show=True, show_welcome_screen=False)
    viewer.window.resize(*SIZE)
    pump(0.5)
    return viewer


def main(folder: Path, scratch: Path) -> None:
    viewer = new_viewer()
    viewer.open(str(COINS), plugin=PLUGIN)
    viewer.dims.set_current_step(0, 0)
    save_picture(viewer, folder / "open.png")

    viewer.layers.clear()
    picture_plate(viewer, folder, scratch)
    picture_scene(viewer, folder, scratch)
    picture_volume(viewer, folder)

    picture_editing(viewer, folder, scratch)
    picture_cutting(viewer, folder, scratch)
    picture_axes(viewer, folder, scratch)
    picture_saving(viewer, folder, scratch)
    viewer.close()


def picture_editing(viewer: Any, folder: Path, scratch: Path) -> None:
    """Show the dock "OME-Zarr image" beside labels that are painted, and beside axes that are corrected."""
    import shutil

    place = scratch / "my-coins.ome.zarr"
    shutil.copytree(COINS, place)
    viewer.open(str(place), plugin=PLUGIN)
    viewer.dims.set_current_step(0, 0)
    viewer.layers.selection.active = viewer.layers["cells"]
    widget = open_image_dock(viewer)
    wait_until(lambda: "chunks" in widget.facts.text())
    widget.edit_button.click()
    layer = viewer.layers["cells"]
    layer.selected_label, layer.brush_size, layer.mode = 12, 20, "paint"
    for step in range(20):  # the coin that was missed
        layer.paint((0, 190 + 0.6 * step, 37 + 0.6 * step), 12)
        layer.paint((0, 201 - 0.6 * step, 37 + 0.6 * step), 12)
    widget.refresh()
    viewer.reset_view()
    save_picture(viewer, folder / "edit-labels.png")
    layer.data.edit.discard()
    widget.discard_button.click()

    viewer.layers.selection.active = viewer.layers[0]
    wait_until(lambda: widget.axes.rowCount() == 4)
    for row, size in ((1, "2"), (2, "0.65"), (3, "0.65")):
        widget.axes.item(row, 2).setText("micrometer")
        widget.axes.item(row, 3).setText(size)
    widget.apply_button.click()
    widget.save_button.click()
    wait_until(lambda: "chunks" in widget.facts.text())
    viewer.canvas.overlays.scale_bar.visible = True
    viewer.reset_view()
    save_picture(viewer, folder / "correct-metadata.png")
    viewer.canvas.overlays.scale_bar.visible = False
    close_docks(viewer)
    viewer.layers.clear()


def picture_cutting(viewer: Any, folder: Path, scratch: Path) -> None:
    """Show the outline of a part, and its plan, while it is chosen."""
    viewer.open(str(COINS), plugin=PLUGIN)
    widget = open_creator(viewer)
    widget.fields["target"].value = scratch / "four-slices.ome.zarr"
    widget.fields["part"].value = "slices from … to …"
    widget.slices[0][1].value, widget.slices[0][3].value = 1, 4
    viewer.dims.set_current_step(0, 2)
    viewer.reset_view()
    save_picture(viewer, folder / "cut-out.png")
    widget.fields["part"].value = "everything"
    close_docks(viewer)
    viewer.layers.clear()


def picture_axes(viewer: Any, folder: Path, scratch: Path) -> None:
    """Show the lines of the axes of a movie and its labels, and what is planned of them."""
    import numpy as np
    from qtpy.QtCore import QRect

    units = ("second", "micrometer", "micrometer")
    place = {"axis_labels": ("t", "y", "x"), "scale": (0.5, 0.25, 0.25), "units": units}
    viewer.add_image(np.zeros((8, 600, 600), "uint8"), name="movie", contrast_limits=(0, 1), **place)
    viewer.add_labels(np.zeros((8, 600, 600), "uint8"), name="cells", **place)
    widget = open_creator(viewer)
    widget.fields["target"].value = scratch / "movie.ome.zarr"
    pump(1)
    body, first, last = widget.body.native, widget.axes.geometry(), widget.plan_table.native.geometry()
    body.grab(QRect(0, first.top() - 4, body.width(), last.bottom() - first.top() + 8)).save(
        str(folder / "axes.png")
    )
    close_docks(viewer)
    viewer.layers.clear()


def open_image_dock(viewer: Any) -> Any:
    from qtpy.QtCore import Qt

    dock, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "OME-Zarr image")
    viewer.window._qt_window.resizeDocks([dock], [480], Qt.Orientation.Horizontal)
    pump(0.5)
    return widget


def picture_saving(viewer: Any, folder: Path, scratch: Path) -> None:
    """Show the dock widget: a plan, another one, at work, done, and one that it refuses."""
    open_sample(viewer)
    show_middle_plane(viewer)
    widget = open_creator(viewer)
    widget.fields["target"].value = scratch / "cells.ome.zarr"
    pump(0.5)
    viewer.reset_view()
    save_picture(viewer, folder / "window.png")
    widget.advanced.turn()
    widget.fields["levels"].value = "3"
    save_picture(viewer, folder / "create.png")
    widget.advanced.turn()
    widget.create.native.click()
    wait_until(lambda: not widget.busy)
    save_picture(viewer, folder / "created.png")
    widget.open_result.native.click()
    widget.fields["target"].value = scratch / "other.ome.zarr"
    widget.fields["target"].value = scratch / "cells.ome.zarr"
    save_picture(viewer, folder / "refused.png")
    viewer.layers[0].gamma = 0.8
    widget.fields["levels"].value, widget.fields["overwrite"].value = "auto", True
    picture_question(widget.create.native, folder / "save-metadata.png")
    widget.fields["overwrite"].value = False
    close_docks(viewer)
    viewer.layers.clear()

    add_large_image(viewer)
    widget = open_creator(viewer)
    widget.fields["target"].value = scratch / "embryo.ome.zarr"
    widget.fields["levels"].value = "auto"
    viewer.reset_view()
    widget.create.native.click()
    wait_until(lambda: "left" in widget.status.value and widget.progress.value > 450)
    save_picture(viewer, folder / "creating.png", settle=0.1)
    widget.cancel.native.click()
    wait_until(lambda: not widget.busy)
    close_docks(viewer)
    picture_file_menu(viewer, folder, scratch)
    viewer.layers.clear()


def picture_question(button: Any, path: Path) -> None:
    """Press a button, and save the question that it asks as a picture; the answer is Cancel."""
    from qtpy.QtCore import QTimer
    from qtpy.QtWidgets import QApplication, QMessageBox

    def answer() -> None:
        dialog = QApplication.activeModalWidget()
        if not isinstance(dialog, QMessageBox):
            QTimer.singleShot(100, answer)
            return
        dialog.grab().save(str(path))
        print(path)
        dialog.reject()

    QTimer.singleShot(500, answer)
    button.click()


def open_creator(viewer: Any) -> Any:
    from qtpy.QtCore import Qt

    dock, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "Create OME-Zarr pyramid")
    viewer.window._qt_window.resizeDocks([dock], [560], Qt.Orientation.Horizontal)
    pump(0.5)
    return widget


def add_large_image(viewer: Any) -> None:
    """Add an image that is made plane by plane, like one that comes from a slow disk."""
    import dask.array
    import numpy as np

    y, x = np.mgrid[:1500, :1500] / 1500 - 0.5
    cosine, bell = np.cos(60 * np.hypot(y, x)), np.exp(-12 * (y**2 + x**2))
    rings = (2000 + 1900 * cosine * bell).astype("uint16")[None]

    def plane() -> Any:
        time.sleep(0.01)
        return rings

    data = dask.array.map_blocks(
        plane, chunks=((1,) * 240, (1500,), (1500,)), dtype="uint16", meta=np.empty((0,) * 3, "uint16")
    )
    place = {"scale": (1.0, 0.4, 0.4), "units": ("micrometer",) * 3, "axis_labels": ("z", "y", "x")}
    viewer.add_image(data, name="embryo", colormap="viridis", contrast_limits=(0, 4000), **place)


def picture_file_menu(viewer: Any, folder: Path, scratch: Path) -> None:
    """Show what File > Save shows meanwhile, and cancel it."""
    viewer.status = "Ready"  # not how the save before ended
    from napari._qt.widgets.qt_progress_bar import QtLabeledProgressBar
    from qtpy.QtCore import QTimer

    from napari_ome_ngff import CancelledError

    timer = QTimer()

    def look() -> None:
        for bar in viewer.window._qt_window.findChildren(QtLabeledProgressBar):
            if "left" in bar.eta_label.text() and bar.progress.n > 0.4 * bar.progress.total:
                timer.stop()
                save_picture(viewer, folder / "saving.png", settle=0.1)
                bar.cancel_button.click()

    timer.timeout.connect(look)
    timer.start(100)
    with contextlib.suppress(CancelledError):
        viewer.layers.save(str(scratch / "embryo.ome.zarr"), plugin=PLUGIN)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="napari-") as directory:
        # The user's own settings would show in the pictures.
        os.environ["NAPARI_CONFIG"] = str(Path(directory) / "settings.yaml")
        main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE, Path(directory))
