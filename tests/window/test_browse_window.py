"""Plates, scenes and volumes in a real window: what is seen, what the status bar and the table say."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint
from qtpy.QtTest import QTest

from napari_ome_ngff.plugin.open.catalog import tiles_of, world_box
from napari_ome_ngff.plugin.open.viewer_hooks import CLICKED_KEY
from tests.cases import build
from tests.window_tools import (
    PLUGIN,
    browse,
    canvas,
    difference,
    move_mouse,
    notifications,
    photograph,
    pump,
    wait_until,
    write_plate,
)


@pytest.fixture(scope="module")
def plate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """96 wells of two channels and three levels."""
    return write_plate(tmp_path_factory.mktemp("plate") / "plate.zarr")


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def slicing(request: pytest.FixtureRequest) -> Iterator[bool]:
    """napari slices in the GUI's thread, or in one of its own."""
    from napari.settings import get_settings

    experimental = get_settings().experimental
    experimental.async_ = request.param
    yield request.param
    experimental.async_ = False


@pytest.fixture
def told() -> Callable[[], list[str]]:
    """What napari was given to show since the test began; on the screen it fades after some seconds."""
    from napari.utils.notifications import notification_manager

    notification_manager.records.clear()
    return lambda: [note.message for note in notification_manager.records]


def brightness(picture: np.ndarray) -> float:
    """Share of the canvas that shows something."""
    return float((picture.max(axis=-1) > 32).mean())


def point_at(viewer: Any, y: float, x: float) -> QPoint:
    """Where a point of the world is on the canvas, in 2D and with the camera as it is."""
    middle, zoom = viewer.scene.camera.center[-2:], viewer.scene.camera.zoom
    height, width = viewer.canvas.size
    down, right = height / 2 + (y - middle[0]) * zoom, width / 2 + (x - middle[1]) * zoom
    return QPoint(round(right), round(down))


def middle_of(layer: Any, well: str) -> tuple[float, ...]:
    tile = next(tile for tile in tiles_of(layer) if tile.well == well)
    return tuple((a + b) / 2 for a, b in zip(*world_box(layer, tile), strict=True))


# Plates


@pytest.mark.parametrize("slicing", [True], indirect=True)
def test_a_plate_opens_as_one_picture_of_all_wells(
    viewer: Any, plate: Path, slicing: bool, told: Callable[[], list[str]]
) -> None:
    start = time.process_time()
    layers = viewer.open(str(plate), plugin=PLUGIN)
    opened = time.process_time() - start
    assert [layer.name for layer in layers] == ["DNA", "drug"]
    picture = canvas(viewer)
    photograph(f"plate-{'async' if slicing else 'sync'}")
    assert brightness(picture) > 0.05
    assert all(layer.contrast_limits_range == [0, 65535] for layer in layers)
    # Cells become fewer from column to column: wells are where the plate has them.
    parts = np.array_split(picture.max(axis=-1), 12, axis=1)
    assert (parts[1] > 96).mean() > 2 * (parts[10] > 96).mean()
    assert [text.split(".")[0] for text in told()] == ["Opened 96 wells"]
    assert opened < 5  # usually 0.5


def test_the_well_under_the_mouse_is_in_the_status_bar_and_a_click_puts_it_into_the_metadata(
    viewer: Any, plate: Path
) -> None:
    from qtpy.QtCore import Qt

    layer = viewer.open(str(plate), plugin=PLUGIN)[-1]
    canvas(viewer)
    window = viewer.window._qt_window
    label = window.statusBar()._coordinates
    for well in ("C/5", "H/12"):
        move_mouse(viewer, point_at(viewer, *middle_of(layer, well)[-2:]))
        window.status_thread.calculate_status()  # what its thread does, which napari's fixture does not start
        pump()
        assert label.text().endswith(f"   {well} field 0")
    photograph("status-bar")
    move_mouse(viewer, QPoint(2, 2))
    window.status_thread.calculate_status()
    pump()
    assert "field" not in label.text()

    native = viewer.window._qt_viewer.canvas.native
    point = point_at(viewer, *middle_of(layer, "B/7")[-2:])
    QTest.mouseClick(native, Qt.MouseButton.LeftButton, pos=point)
    pump()
    clicked = layer.metadata[CLICKED_KEY]
    assert (clicked["well"], clicked["field"]) == ("B/7", "0")
    assert Path(clicked["location"]) == plate / "B" / "7" / "0"


def test_the_table_of_a_plate_goes_to_a_well_and_opens_it(viewer: Any, plate: Path) -> None:
    layer = viewer.open(str(plate), plugin=PLUGIN)[-1]
    overview = canvas(viewer)
    widget = browse(viewer)
    pump(0.3)
    assert widget.heading.text().startswith("dose response: 96 wells")
    photograph("browse-plate")
    widget.search.setText("d/1")
    names = [widget.filtered.index(row, 0).data() for row in range(widget.filtered.rowCount())]
    assert names == ["D/1", "D/10", "D/11", "D/12"]
    widget.table.setCurrentIndex(widget.filtered.index(3, 0))
    wait_until(lambda: layer.loaded)
    pump(0.5)
    assert np.allclose(viewer.scene.camera.center[-2:], middle_of(layer, "D/12")[-2:])
    photograph("browse-well")
    near = np.asarray(viewer.screenshot(canvas_only=True, flash=False))[..., :3]
    assert near.shape != overview.shape or difference(near, overview) > 0.02
    widget.table.doubleClicked.emit(widget.filtered.index(3, 0))
    pump(0.3)
    opened = list(viewer.layers)[2:]
    assert [Path(one.source.path) for one in opened] == [plate / "D" / "12" / "0"] * 2
    assert [one.name for one in viewer.layers if one.visible] == ["D/12 field 0: DNA", "D/12 field 0: drug"]
    photograph("browse-opened")


def test_a_plate_of_others_opens(viewer: Any, corpus: Path) -> None:
    viewer.open(str(corpus / "generated" / "ome-zarr-py-0.21" / "plate_0.5.zarr"), plugin=PLUGIN)
    assert brightness(canvas(viewer)) > 0.02
    photograph("plate-corpus")
    assert tiles_of(viewer.layers[-1])


# Scenes and collections


def test_the_tiles_of_a_scene_lie_where_it_puts_them(viewer: Any, corpus: Path) -> None:
    viewer.open(str(corpus / "generated" / "ome-zarr-py-0.21" / "scene_tiles_0.6.zarr"), plugin=PLUGIN)
    picture = canvas(viewer)
    photograph("scene")
    assert brightness(picture) > 0.1
    images = {layer.metadata["ome_ngff"]["image"] for layer in viewer.layers}
    assert len(images) == 2
    extents = [layer.extent.world for layer in viewer.layers]
    assert not np.allclose(extents[0], extents[-1]), "they lie in different places"
    widget = browse(viewer)
    assert widget.filtered.rowCount() == 2


# Volumes


def volume(folder: Path, *, shape: tuple[int, int, int] = (24, 128, 160), version: str = "0.5") -> Path:
    """Blobs in a volume of three levels, in chunks of one plane each."""
    random = np.random.default_rng(1)
    z, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    values = np.zeros(shape)
    for center in random.uniform(0.1, 0.9, (12, 3)) * shape:
        values += np.exp(
            -(((z - center[0]) / 3) ** 2 + ((y - center[1]) / 9) ** 2 + ((x - center[2]) / 9) ** 2)
        )
    build.image(
        folder,
        version=version,
        axes="zyx",
        values=(100 + 3000 * values).astype("uint16"),
        levels=3,
        scale=(2.0, 0.5, 0.5),
        chunks=(1, 64, 64),
        compressed=True,
    )
    return folder


@pytest.mark.parametrize("slicing", [True], indirect=True)
def test_a_volume_is_seen_in_3d(viewer: Any, tmp_path: Path, slicing: bool) -> None:
    viewer.open(str(volume(tmp_path / "blobs.ome.zarr")), plugin=PLUGIN)
    viewer.dims.ndisplay = 3
    viewer.scene.camera.angles = (10, 30, 60)
    assert brightness(canvas(viewer)) > 0.02
    photograph("volume")


def test_a_step_in_z_shows_the_plane_and_does_not_hold_the_window(
    viewer: Any, tmp_path: Path, slicing: bool
) -> None:
    (layer,) = viewer.open(str(volume(tmp_path / "blobs.ome.zarr")), plugin=PLUGIN)
    canvas(viewer)
    held = []
    for step in range(1, 21):
        start = time.perf_counter()
        viewer.dims.set_current_step(0, step)
        held.append(time.perf_counter() - start)
        wait_until(lambda: layer.loaded)
        pump(0.01)
    assert np.median(held) < 0.15  # usually 0.01: the machine of the tests may be busy
    finest = np.asarray(layer.data[0][step])
    assert layer.get_value(layer.data_to_world((step, 5, 5)), world=True)[1] is not None
    assert finest.max() > 100


def test_a_damaged_chunk_is_seen_as_empty_and_told_once(
    viewer: Any, tmp_path: Path, told: Callable[[], list[str]]
) -> None:
    path = volume(tmp_path / "blobs.ome.zarr", shape=(4, 64, 64))
    for level in range(3):
        for chunk in (path / str(level) / "c" / "2").rglob("*"):
            if chunk.is_file():
                chunk.write_bytes(b"not a chunk")
    viewer.open(str(path), plugin=PLUGIN)
    viewer.dims.set_current_step(0, 1)
    before = canvas(viewer)
    viewer.dims.set_current_step(0, 2)
    empty = canvas(viewer)
    assert brightness(empty) == 0, "the plane before must not stay on the screen"
    assert difference(before, empty) > 0.02
    wait_until(told, seconds=5)
    photograph("damaged")
    viewer.dims.set_current_step(0, 1)
    assert brightness(canvas(viewer)) > 0.02
    viewer.dims.set_current_step(0, 2)
    assert brightness(canvas(viewer)) == 0
    pump(1)
    assert len(told()) == 1
    assert "c/2/0/0" in told()[0]


def test_arguments_of_the_user_win_and_the_range_still_comes_from_the_file(viewer: Any, plate: Path) -> None:
    layers = viewer.open(str(plate), plugin=PLUGIN, contrast_limits=(5, 70000), colormap="red")
    assert [layer.colormap.name for layer in layers] == ["red", "red"]
    assert [layer.contrast_limits for layer in layers] == [[5, 70000]] * 2
    assert [layer.contrast_limits_range for layer in layers] == [[0, 70000]] * 2


def test_what_is_told_before_the_window_is_shown_appears_with_it(
    no_window: None, make_napari_viewer: Any, plate: Path
) -> None:
    viewer = make_napari_viewer(show=False)
    viewer.open(str(plate), plugin=PLUGIN)  # as "napari plate.zarr" does
    assert notifications(viewer) == []
    viewer.show()
    wait_until(lambda: len(notifications(viewer)) == 1, seconds=5)
