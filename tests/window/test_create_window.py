"""Creating an image with the dock widget in a real window: plan, write, cancel, open the result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import pytest
from qtpy.QtCore import QTimer
from xarray import DataArray

from napari_ome_ngff import write_multiscale_group
from napari_ome_ngff.plugin.save.form import EVERYTHING, SHAPES, SLICES, VIEW
from napari_ome_ngff.plugin.save_widget import CreateWidget
from tests.window_tools import (
    PLUGIN,
    Awake,
    add_cells,
    add_slow_image,
    answering,
    canvas,
    click,
    difference,
    lives,
    photograph,
    pump,
    reply,
    wait_until,
)


@pytest.fixture
def widget(viewer: Any, tmp_path: Path) -> CreateWidget:
    """The dock widget as the menu opens it, with a target in this test's folder."""
    _, widget = viewer.window.add_plugin_dock_widget(PLUGIN)
    assert isinstance(widget, CreateWidget)
    widget.fields["target"].value = tmp_path / "cells.ome.zarr"
    return widget


def finish(widget: CreateWidget) -> None:
    wait_until(lambda: not widget.busy, why="written")
    pump(0.2)


def test_created_shown_instead_and_replaced_by_itself_it_is_the_same_picture(
    viewer: Any, widget: CreateWidget, tmp_path: Path
) -> None:
    add_cells(viewer)
    before = canvas(viewer)
    assert widget.plan_table.shape[0] >= 2, "one line for each level of image and labels"
    photograph("create-plan")
    click(widget.create)
    finish(widget)
    photograph("create-done")
    assert widget.status.value.startswith("Saved")
    assert [path.name for path in tmp_path.iterdir()] == ["cells.ome.zarr"]
    on: list[bool] = []
    for event in (viewer.layers.events.inserted, viewer.layers.events.removed):
        event.connect(lambda: on.append(widget.open_result.enabled))
    click(widget.open_result)
    pump(0.2)
    assert on[:6] == [False] * 6, "it is not pressed again while layers are exchanged"
    assert [layer.name for layer in viewer.layers] == ["red", "green", "cells"]
    wait_until(lambda: not widget._later.isActive(), why="planned anew")
    assert f"Where: {tmp_path / 'cells.ome.zarr'}" in widget.status.value, "it is still said where"
    assert "Saved cells.ome.zarr" in viewer.status
    assert all(layer.source.reader_plugin == PLUGIN for layer in viewer.layers)
    assert difference(before, canvas(viewer)) < 0.01

    # What is shown is replaced by itself, and only when that is ticked.
    widget.fields["target"].value = tmp_path / "cells.ome.zarr"
    widget.fields["overwrite"].value = True
    widget.fields["compressor"].value = "gzip"
    click(widget.create)
    finish(widget)
    assert widget.status.value.startswith("Saved")
    assert [layer.name for layer in viewer.layers] == ["red", "green", "cells"]
    assert difference(before, canvas(viewer)) < 0.01

    # If no pixel is to be changed, the metadata alone will do.
    widget.fields["compressor"].value = "auto"
    viewer.layers["red"].gamma = 0.5
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.name[0].isdigit()}
    with answering(reply("Save metadata")):
        click(widget.create)
    finish(widget)
    assert "of metadata" in widget.status.value
    assert not widget.open_result.enabled
    assert files == {path: path.stat().st_mtime_ns for path in files}
    assert "looks" in (tmp_path / "cells.ome.zarr" / "zarr.json").read_text()

    # Also for an image of one level, which a full copy would give more.
    one = np.random.default_rng(0).integers(0, 999, (600, 700)).astype("uint16")
    write_multiscale_group(
        store=tmp_path / "one.ome.zarr", image=DataArray(one, dims=("y", "x")), levels=1
    ).run()
    viewer.layers.clear()
    (layer,) = viewer.open(str(tmp_path / "one.ome.zarr"), plugin=PLUGIN)
    layer.contrast_limits = (10, 500)
    widget.fields["target"].value = tmp_path / "one.ome.zarr"
    with answering(reply("Save metadata")):
        click(widget.create)
    finish(widget)
    assert "of metadata" in widget.status.value
    assert [path.name for path in (tmp_path / "one.ome.zarr").iterdir() if path.is_dir()] == ["0"]

    widget.fields["overwrite"].value = False
    widget.refresh()
    assert not widget.create.enabled
    assert '"Replace what is there"' in widget.status.value
    assert widget.fields["overwrite"].visible
    assert widget.place.value.startswith("would replace")
    photograph("create-refused")


def test_the_part_in_view_is_written_as_the_view_moves(
    viewer: Any, widget: CreateWidget, tmp_path: Path
) -> None:
    """The plan follows the camera; what the canvas shows is what is written, where it was."""
    add_cells(viewer)
    before = canvas(viewer)
    widget.fields["part"].value = VIEW
    viewer.scene.camera.zoom *= 3
    viewer.scene.camera.center = (0, 20, 20)
    wait_until(lambda: "96×128" not in widget.plan_table.to_dataframe()["Size"][0], why="planned anew")
    photograph("create-part")
    click(widget.create)
    finish(widget)
    assert widget.status.value.startswith("Saved")
    middle, zoom = viewer.scene.camera.center, viewer.scene.camera.zoom
    seen = np.asarray(viewer.screenshot(canvas_only=True, flash=False))[..., :3]
    click(widget.open_result)
    viewer.scene.camera.center, viewer.scene.camera.zoom = middle, zoom
    pump(0.2)
    shown = np.asarray(viewer.screenshot(canvas_only=True, flash=False))[..., :3]
    # Voxels are written whose centres are in view: up to half a voxel is missing at the edges.
    edge = int(zoom * 0.5)
    assert difference(seen[edge:-edge, edge:-edge], shown[edge:-edge, edge:-edge]) < 0.02
    assert difference(before, canvas(viewer)) > 0.1


def test_the_part_is_outlined_while_it_is_chosen(viewer: Any, widget: CreateWidget, tmp_path: Path) -> None:
    """In its slices only; it is no layer, and goes with the choice, the save's start or the panel."""
    add_cells(viewer)
    corners = np.array([[5.0, 5], [5, 30], [20, 30], [20, 5]])
    viewer.add_shapes([corners], name="box", units=("micrometer",) * 2, visible=False)
    layers, active = list(viewer.layers), viewer.layers["green"]
    viewer.layers.selection.active = active

    def outlined() -> bool:
        seen = canvas(viewer).astype(int)
        yellow = (seen[..., 0] > 200) & (seen[..., 1] > 150) & (seen[..., 2] < 60)
        return int(yellow.sum()) > 100

    widget.fields["part"].value = SHAPES
    assert outlined()
    photograph("create-part-box")
    widget.fields["part"].value = SLICES
    widget.slices[0][1].value, widget.slices[0][3].value = 2, 5
    assert widget.plan_table.to_dataframe()["Size"][0] == "2×4×96×128"
    viewer.dims.set_current_step(0, 5)
    wait_until(outlined)
    photograph("create-part-slices")
    assert widget.native.minimumSizeHint().height() <= 450, "768 lines hold it with the browser above it"
    viewer.dims.set_current_step(0, 6)
    wait_until(lambda: not outlined())
    widget.fields["part"].value = EVERYTHING
    assert not outlined()
    assert list(viewer.layers) == layers
    assert viewer.layers.selection.active is active
    widget.fields["part"].value = SHAPES
    assert outlined()
    widget.create.native.click()
    assert widget.busy
    assert widget._outline._lines is None
    finish(widget)
    assert widget.status.value.startswith("Saved")
    assert outlined()
    viewer.window.remove_dock_widget("all")
    assert not outlined()


def test_progress_is_shown_and_the_window_stays_alive(viewer: Any, widget: CreateWidget) -> None:
    add_slow_image(viewer)  # long enough that the time left is no guess
    clock, ticks = Awake(), list[float]()
    shown: list[str] = []
    timer = QTimer()
    timer.timeout.connect(lambda: (ticks.append(clock()), shown.append(widget.status.value)))
    timer.start(10)
    click(widget.create)
    finish(widget)
    timer.stop()
    assert widget.status.value.startswith("Saved")
    assert any(" of " in text and text.endswith("left") for text in shown)
    assert lives(ticks)


def test_cancelled_in_the_middle_nothing_is_left(viewer: Any, widget: CreateWidget, tmp_path: Path) -> None:
    read = add_slow_image(viewer)
    click(widget.create)
    wait_until(lambda: read.is_set() and any(tmp_path.iterdir()), why="writing has begun")
    wait_until(lambda: widget.progress.value > 0 or not widget.busy, why="progress")
    photograph("create-progress")
    assert widget.busy
    click(widget.cancel)
    finish(widget)
    photograph("create-cancelled")
    assert widget.status.value == "Cancelled. Nothing was left behind."
    assert list(tmp_path.iterdir()) == []
    assert widget.create.enabled, "and it can be tried again"


def test_a_window_that_is_closed_in_the_middle_leaves_nothing(
    viewer: Any, widget: CreateWidget, tmp_path: Path
) -> None:
    read = add_slow_image(viewer)
    click(widget.create)
    wait_until(lambda: read.is_set() and any(tmp_path.iterdir()), why="writing has begun")
    viewer.close()
    wait_until(lambda: not any(tmp_path.iterdir()), why="taken back")


def test_a_save_goes_on_when_its_dock_is_closed_and_ends_with_the_window_if_that_is_the_answer(
    viewer: Any, widget: CreateWidget, tmp_path: Path
) -> None:
    read = add_slow_image(viewer)
    click(widget.create)
    wait_until(read.is_set, why="writing has begun")
    viewer.window.remove_dock_widget("all")
    pump(0.2)
    with answering(reply("Cancel")):
        assert not viewer.window._qt_window.close()
    assert any(tmp_path.iterdir())
    with answering(reply("Stop and close")):
        assert not viewer.window._qt_window.close(), "it closes once the save has ended"
    wait_until(lambda: not viewer.window._qt_window.isVisible(), why="closed after the save")
    assert list(tmp_path.iterdir()) == []
    viewer.close()


def test_a_source_that_fails_is_reported_and_nothing_is_left(
    viewer: Any, widget: CreateWidget, tmp_path: Path
) -> None:
    def plane(block_info: Any = None) -> np.ndarray:
        if block_info and block_info[None]["chunk-location"][0] == 40:
            raise RuntimeError("the microscope is on fire")
        return np.zeros((1, 64, 64), "uint8")

    data = dask.array.map_blocks(
        plane, chunks=((1,) * 64, (64,), (64,)), dtype="uint8", meta=np.empty((0,) * 3, "uint8")
    )
    viewer.add_image(data, name="broken", contrast_limits=(0, 1))
    click(widget.create)
    finish(widget)
    photograph("create-failed")
    assert "the microscope is on fire" in widget.status.value
    assert list(tmp_path.iterdir()) == []


def test_one_store_each_and_all_of_them_are_opened(viewer: Any, widget: CreateWidget, tmp_path: Path) -> None:
    add_cells(viewer)
    viewer.add_image(np.zeros((40, 50), "uint8"), name="map", contrast_limits=(0, 1), axis_labels=("y", "x"))
    widget.fields["several"].value = "one store each"
    assert widget.plan_table["Image"][:: len(widget.plan_table["Image"]) - 1] == ["red (czyx)", "map (yx)"]
    click(widget.create)
    finish(widget)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cells-map.ome.zarr", "cells-red.ome.zarr"]
    click(widget.open_result)
    pump(0.2)
    assert [layer.name for layer in viewer.layers] == ["red", "green", "cells", "map"]
    assert {Path(layer.source.path).name for layer in viewer.layers} == {
        "cells-map.ome.zarr",
        "cells-red.ome.zarr",
    }


def test_labels_are_added_to_the_image_at_the_target(
    viewer: Any, widget: CreateWidget, tmp_path: Path
) -> None:
    add_cells(viewer)
    click(widget.create)
    finish(widget)
    place = {"scale": (2.0, 0.5, 0.5), "units": ("micrometer",) * 3, "axis_labels": ("z", "y", "x")}
    new = viewer.add_labels(np.ones((8, 96, 128), "uint8"), name="all", **place)
    widget.fields["which"].value = "selected layers"
    viewer.layers.selection = {new}
    widget.fields["target"].value = tmp_path / "cells.ome.zarr"
    assert widget.create.enabled
    assert "all is added. The image stays as it is." in widget.messages.notes.value
    assert widget.place.value.startswith("will be added to")
    photograph("create-labels")
    click(widget.create)
    finish(widget)
    click(widget.open_result)
    pump(0.2)
    assert [layer.name for layer in viewer.layers if layer.source.path][-1] == "all"
