"""Open, change, save, open again in a real window: the same picture, pixel by pixel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.window_tools import (
    PLUGIN,
    add_cells,
    answering,
    canvas,
    choose_from_menu,
    click,
    photograph,
    save_as,
    wait_until,
    wait_until_painted,
)


def add_plane_of_colours(viewer: Any) -> None:
    y, x = np.mgrid[:90, :120]
    photo = np.stack([2 * y, 2 * x, 255 - y - x], axis=-1).astype("uint8")
    viewer.add_image(photo, name="photo", scale=(0.5, 0.5), units=("micrometer",) * 2, axis_labels=("y", "x"))


def add_turned(viewer: Any) -> None:
    add_cells(viewer)
    del viewer.layers["green"]
    for layer in viewer.layers:
        layer.rotate = 20
        layer.translate = (4, 10, -7)


def through_the_dialog(viewer: Any, path: Path, version: str) -> None:
    from napari.settings import get_plugin_settings

    get_plugin_settings(PLUGIN).saving.version = version
    with answering(save_as(path)):
        choose_from_menu(viewer, "File", "Save All Layers")


def through_the_widget(viewer: Any, path: Path, version: str) -> None:
    dock, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "Create OME-Zarr pyramid")
    widget.fields["target"].value = path
    widget.fields["version"].value = version
    click(widget.create)
    wait_until(lambda: not widget.busy, why="written")
    assert widget.status.value.startswith("Saved"), widget.status.value
    viewer.window.remove_dock_widget(dock)


def look_different(viewer: Any) -> None:
    """Change what a user would: names, contrast, colours, order, what is shown and how."""
    viewer.dims.ndisplay = 2  # napari warns that it draws no contours in 3D
    images = [layer for layer in viewer.layers if layer._type_string == "image" and not layer.rgb]
    for layer, colour in zip(images, ("yellow", "blue", "cyan"), strict=False):
        low, high = layer.contrast_limits
        layer.contrast_limits = (low + (high - low) / 4, high - (high - low) / 8)
        layer.colormap = colour
        layer.gamma, layer.interpolation2d = 0.7, "linear"
    for layer in viewer.layers:
        layer.name = f"{layer.name} mine"
        if layer._type_string == "labels":
            layer.colormap = {1: "white", 2: "orange", 3: (0.25, 0.5, 1, 1), None: "transparent"}
            layer.contour, layer.opacity = 2, 0.9
            viewer.layers.move(viewer.layers.index(layer), 0)


@pytest.mark.parametrize(
    ("add", "save", "version"),
    [
        (add_cells, through_the_dialog, "0.4"),
        (add_plane_of_colours, through_the_widget, "0.5"),
        (add_turned, through_the_widget, "0.6"),
    ],
)
@pytest.mark.filterwarnings("ignore::napari_ome_ngff.errors.OmeNgffWarning")
def test_what_was_changed_and_saved_is_the_same_picture(
    viewer: Any,
    tmp_path: Path,
    add: Callable[[Any], None],
    save: Callable[[Any, Path, str], None],
    version: str,
) -> None:
    viewer.window.resize(640, 480)  # without a graphics card, each pixel of a volume takes its time
    add(viewer)
    where = views(viewer)
    fresh = pictures(viewer, where)
    save(viewer, tmp_path / "one.ome.zarr", version)
    viewer.layers.clear()
    open_all(viewer, tmp_path / "one.ome.zarr")
    opened = pictures(viewer, where)
    assert_same(opened, fresh)
    look_different(viewer)
    plane = {2: where[2]}  # a volume takes most of the time, and has its colours and contrast from the plane
    changed, looks = pictures(viewer, plane), looks_of(viewer)
    assert add is add_plane_of_colours or (changed != opened[:1]).any()
    photograph(f"trip-{add.__name__}-changed")
    save(viewer, tmp_path / "two.ome.zarr", version)
    viewer.layers.clear()
    open_all(viewer, tmp_path / "two.ome.zarr")
    photograph(f"trip-{add.__name__}-again")
    assert looks_of(viewer) == looks
    assert_same(pictures(viewer, plane), changed)


def open_all(viewer: Any, path: Path) -> None:
    """Open an image, or all of a collection, of which the reader shows the first only."""
    for layer in viewer.open(str(path), plugin=PLUGIN):
        layer.visible = True


def assert_same(one: np.ndarray, other: np.ndarray) -> None:
    """Every pixel is the same, but for rounding in the shaders of volumes."""
    assert np.abs(one.astype(int) - other.astype(int)).max() <= 1


Views = dict[int, tuple[Any, ...]]
"""Where the camera stands for the plane (2), and for the volume (3) if there is one."""


def views(viewer: Any) -> Views:
    where = {}
    for ndisplay in (2, 3) if viewer.dims.ndim > 2 else (2,):
        viewer.dims.ndisplay = ndisplay
        canvas(viewer)
        camera = viewer.scene.camera
        where[ndisplay] = (camera.center, camera.zoom, camera.angles)
    return where


def pictures(viewer: Any, where: Views) -> np.ndarray:
    """Look from each place, on a canvas of one size: the window's changes by a pixel with its sliders."""
    seen = []
    for viewer.dims.ndisplay, place in where.items():
        camera = viewer.scene.camera
        camera.center, camera.zoom, camera.angles = place
        wait_until_painted(viewer)
        seen.append(np.asarray(viewer.screenshot(canvas_only=True, flash=False, size=(200, 240))))
    return np.stack(seen)


LOOKS = ("visible", "contrast_limits", "gamma", "interpolation2d", "opacity", "blending", "contour")


def looks_of(viewer: Any) -> list[tuple[Any, ...]]:
    return [
        (layer.name, layer._type_string, *(getattr(layer, name, None) for name in LOOKS))
        for layer in viewer.layers
    ]
