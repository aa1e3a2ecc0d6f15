"""Saving through the real File > Save dialog of a real window, and opening again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QFileDialog, QPushButton, QWidget

from tests.window_tools import (
    PLUGIN,
    Awake,
    add_cells,
    add_slow_image,
    answering,
    canvas,
    choose_from_menu,
    difference,
    errors_told,
    lives,
    notifications,
    photograph,
    press,
    reply,
    save_as,
)


def save_all(viewer: Any) -> None:
    choose_from_menu(viewer, "File", "Save All Layers")


def test_only_the_selected_layers_are_saved(viewer: Any, tmp_path: Path) -> None:
    add_cells(viewer)
    viewer.layers.selection = {viewer.layers["green"]}
    with answering(save_as(tmp_path / "green.ome.zarr")):
        choose_from_menu(viewer, "File", "Save Selected Layers")
    viewer.layers.clear()
    assert [layer.name for layer in viewer.open(str(tmp_path / "green.ome.zarr"), plugin=PLUGIN)] == ["green"]


def test_nothing_is_written_where_that_is_cancelled_refused_or_inside_an_image(
    viewer: Any, tmp_path: Path, qtbot: Any
) -> None:
    add_cells(viewer, labels=False)

    def cancel(dialog: QWidget) -> None:
        assert isinstance(dialog, QFileDialog)
        press(dialog, "Cancel")

    with answering(cancel):
        save_all(viewer)
    assert list(tmp_path.iterdir()) == []

    with answering(save_as(tmp_path / "cells")):
        save_all(viewer)
    assert [path.name for path in tmp_path.iterdir()] == ["cells.ome.zarr"], (
        "a name without a suffix gets one"
    )
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with (
        errors_told(qtbot) as messages,
        answering(save_as(tmp_path / "cells"), reply("Cancel", "save-replace")),
    ):
        save_all(viewer)
    assert messages == [], "to cancel is no error"
    assert notifications(viewer)[-1] == "Nothing was saved. What was there is as it was."
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before

    # The dialog enters a folder that is clicked, so that the next name lands inside of it.
    with errors_told(qtbot) as messages, answering(save_as(tmp_path / "cells.ome.zarr" / "mine")):
        save_all(viewer)
    assert messages[0].startswith("The place lies inside another Zarr hierarchy.")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_what_is_there_is_replaced_if_that_is_the_answer(viewer: Any, tmp_path: Path) -> None:
    add_cells(viewer)
    with answering(save_as(tmp_path / "cells")):
        save_all(viewer)
    viewer.layers.clear()
    red, *_ = viewer.open(str(tmp_path / "cells.ome.zarr"), plugin=PLUGIN)
    red.name = "nuclei"
    before = canvas(viewer)
    with answering(save_as(tmp_path / "cells"), reply("Full copy")):
        save_all(viewer)
    assert [path.name for path in tmp_path.iterdir()] == ["cells.ome.zarr"]
    # The layers were opened from what was replaced: they are opened anew.
    assert [layer.name for layer in viewer.layers] == ["nuclei", "green", "cells"]
    assert red not in viewer.layers
    assert difference(before, canvas(viewer)) < 0.01


def test_metadata_alone_are_saved_if_that_is_the_answer(viewer: Any, tmp_path: Path, qtbot: Any) -> None:
    """The pixels are where they are; layers stay, and know what the file says now."""
    add_cells(viewer)
    with answering(save_as(tmp_path / "cells")):
        save_all(viewer)
    viewer.layers.clear()
    red, green, cells = viewer.open(str(tmp_path / "cells.ome.zarr"), plugin=PLUGIN)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    red.gamma, green.name = 0.5, "tubulin"
    cells.opacity = 0.3
    for layer in viewer.layers:
        layer.scale = np.asarray(layer.scale) * 2
    with errors_told(qtbot) as messages, answering(save_as(tmp_path / "cells"), reply("Cancel")):
        save_all(viewer)
    assert messages == []
    assert "Nothing was saved" in notifications(viewer)[-1]
    assert files == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    with answering(save_as(tmp_path / "cells"), reply("Save metadata", shot="save-metadata")):
        save_all(viewer)
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    changed = {path.name for path in after if after[path] != files.get(path)}
    assert after.keys() == files.keys()
    assert changed == {"zarr.json"}
    assert list(viewer.layers) == [red, green, cells]  # the same, with their history
    before = [(tuple(layer.scale), layer.name, layer.opacity) for layer in viewer.layers]
    viewer.layers.clear()
    again = viewer.open(str(tmp_path / "cells.ome.zarr"), plugin=PLUGIN)
    assert [(tuple(layer.scale), layer.name, layer.opacity) for layer in again] == before
    assert again[0].gamma == 0.5


def test_a_save_that_is_cancelled_leaves_nothing_and_the_window_alive(
    viewer: Any, tmp_path: Path, qtbot: Any
) -> None:
    read = add_slow_image(viewer)
    clock, ticks = Awake(), list[float]()
    pressed: list[bool] = []

    def watch() -> None:
        ticks.append(clock())
        buttons = [
            button
            for button in viewer.window._qt_window.findChildren(QPushButton)
            if button.text() == "Cancel"
        ]
        if read.is_set() and buttons and any(tmp_path.iterdir()) and not pressed:
            pressed.append(True)
            photograph("save-progress")
            assert not buttons[0].visibleRegion().isEmpty()
            buttons[0].click()

    timer = QTimer()
    timer.timeout.connect(watch)
    timer.start(20)
    with errors_told(qtbot) as messages, answering(save_as(tmp_path / "slow.ome.zarr")):
        save_all(viewer)
    timer.stop()
    assert pressed
    assert messages == []
    assert "cancelled" in notifications(viewer)[-1]
    assert list(tmp_path.iterdir()) == []
    assert lives(ticks)


def test_labels_alone_are_added_to_the_image_whose_name_is_typed(viewer: Any, tmp_path: Path) -> None:
    add_cells(viewer)
    with answering(save_as(tmp_path / "cells")):
        save_all(viewer)
    viewer.layers.clear()
    viewer.open(str(tmp_path / "cells.ome.zarr"), plugin=PLUGIN)
    drawn = viewer.layers["cells"].data
    place = {"scale": (2.0, 0.5, 0.5), "units": ("micrometer",) * 3, "axis_labels": ("z", "y", "x")}
    new = viewer.add_labels(np.where(np.asarray(drawn) == 2, 7, 0), name="one of them", **place)
    viewer.layers.selection = {new}
    image = tmp_path / "cells.ome.zarr" / "0"
    before = {path: path.read_bytes() for path in image.rglob("*") if path.is_file()}
    with answering(save_as(tmp_path / "cells")):  # no question: nothing is replaced
        choose_from_menu(viewer, "File", "Save Selected Layers")
    assert {path: path.read_bytes() for path in image.rglob("*") if path.is_file()} == before
    viewer.layers.clear()
    layers = viewer.open(str(tmp_path / "cells.ome.zarr"), plugin=PLUGIN)
    assert [layer.name for layer in layers] == ["red", "green", "cells", "one of them"]


def test_one_file_is_saved_from_the_dialog(viewer: Any, tmp_path: Path) -> None:
    add_cells(viewer)
    before = canvas(viewer)
    with answering(save_as(tmp_path / "cells.ozx")):
        save_all(viewer)
    assert [path.name for path in tmp_path.iterdir()] == ["cells.ozx"]
    viewer.layers.clear()
    viewer.open(str(tmp_path / "cells.ozx"), plugin=PLUGIN)
    assert difference(before, canvas(viewer)) < 0.01
