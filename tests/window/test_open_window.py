"""Opening in a real napari window: by drag and drop, through the question for a reader, by a call; and 3D."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from npe2 import PluginManifest
from qtpy.QtCore import QEventLoop, QTimer
from qtpy.QtWidgets import QDialog, QLineEdit, QPushButton, QWidget

from napari_ome_ngff import add_to_viewer, open_ome_ngff, save_ome_ngff, write_plate
from napari_ome_ngff.errors import OmeNgffError
from napari_ome_ngff.plugin import preferences
from napari_ome_ngff.plugin.dialogs.open_dialog import OpenDialog
from napari_ome_ngff.plugin.dialogs.save_dialog import FOLDER_TYPE, SaveDialog
from napari_ome_ngff.plugin.open import levels_in_3d
from napari_ome_ngff.plugin.reader import read_layers
from napari_ome_ngff.reading import open as reading_open
from napari_ome_ngff.reading.plates.mosaic import MosaicSource
from napari_ome_ngff.storage.pixels.source import ChunkedSource
from tests.window_tools import (
    PLUGIN,
    answering,
    canvas,
    choose_from_menu,
    choose_reader,
    difference,
    drop,
    notifications,
    photograph,
    press,
    reply,
    save_as,
    wait_until,
)


@pytest.fixture
def coins(corpus: Path) -> Path:
    """An image with a label image, written by ome-zarr-py."""
    return corpus / "generated" / "ome-zarr-py-0.21" / "coins_0.5.zarr"


def test_a_dropped_folder_opens_once_a_reader_is_chosen(viewer: Any, coins: Path) -> None:
    offered: list[str] = []
    with answering(choose_reader("OME-Zarr", offered=offered, shot="choose-reader")):
        drop(viewer, coins)
    assert offered[0] == "OME-Zarr", "napari sorts readers by name and selects the first one"
    kinds = [layer._type_string for layer in viewer.layers]
    assert kinds == ["image", "image", "labels"], "a layer for each channel, then the label image"
    dropped = canvas(viewer)
    photograph(f"dropped-{coins.stem}")
    assert (dropped.max(axis=-1) > 32).mean() > 0.2, "the image fills the canvas"
    viewer.layers.clear()
    viewer.open(str(coins), plugin=PLUGIN)
    assert difference(dropped, canvas(viewer)) < 0.001, "opened by a call, it is the same picture"
    viewer.layers.clear()
    assert add_to_viewer(viewer, open_ome_ngff(coins)) == list(viewer.layers)
    canvas(viewer)  # the slider takes its place again
    assert difference(dropped, canvas(viewer)) < 0.001, "and from a script"


def test_the_window_lives_while_an_image_is_opened(
    viewer: Any, coins: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is read before the first layer may take seconds: on a server, or the 1,536 fields of a plate."""
    beat, opened = threading.Event(), list[Any]()
    timer, loop = QTimer(), QEventLoop()
    timer.timeout.connect(beat.set)
    read = reading_open.open_metadata

    def slow(*args: Any, **options: Any) -> Any:
        beat.clear()
        assert beat.wait(5), "the window waits for the image"
        return read(*args, **options)

    def open_it() -> None:
        try:
            opened.extend(viewer.open(str(coins), plugin=PLUGIN))
        finally:
            loop.quit()

    monkeypatch.setattr(reading_open, "open_metadata", slow)
    timer.start(1)
    QTimer.singleShot(0, open_it)
    loop.exec()
    timer.stop()
    assert opened == list(viewer.layers) != []


def test_a_window_that_is_closed_while_an_image_is_read_closes_quietly(
    viewer: Any, coins: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither an error nor a layer of it comes, and nothing waits for ever."""
    reads, may_read, loop, opened = threading.Event(), threading.Event(), QEventLoop(), list[Any]()
    read = reading_open.open_metadata

    def slow(*args: Any, **options: Any) -> Any:
        reads.set()
        assert may_read.wait(20), "the window does not close"
        return read(*args, **options)

    def open_it() -> None:
        try:
            opened.append(viewer.open(str(coins), plugin=PLUGIN))
        finally:
            loop.quit()

    def close() -> None:
        if reads.is_set():  # not while napari still gets ready: that is its own
            timer.stop()
            viewer.close()
            may_read.set()

    timer = QTimer()
    timer.timeout.connect(close)
    monkeypatch.setattr(reading_open, "open_metadata", slow)
    QTimer.singleShot(0, open_it)
    timer.start(20)
    loop.exec()
    assert opened == [[]]


def test_label_images_are_drawn_over_their_image(viewer: Any, coins: Path) -> None:
    *images, labels = viewer.open(str(coins), plugin=PLUGIN)
    labels.visible = True
    with_labels = canvas(viewer)
    labels.visible = False
    without = canvas(viewer)
    assert difference(with_labels, without) > 0.1
    for image in images:
        image.visible = False
    labels.visible = True
    photograph("labels")
    alone = canvas(viewer).astype(int)
    seen = alone[alone.max(axis=-1) > 64]
    assert len(seen) > 0.2 * alone.shape[0] * alone.shape[1]
    assert (seen[:, 0] > 2 * seen[:, 1:].sum(axis=1)).all(), "red, as the file says"
    lower, upper = labels.extent.world
    assert np.allclose(lower, images[0].extent.world[0])
    assert np.allclose(upper, images[0].extent.world[1])


def test_no_reader_no_layers(viewer: Any, coins: Path) -> None:
    def cancel(dialog: QWidget) -> None:
        press(dialog, "Cancel")

    with answering(cancel):
        drop(viewer, coins)
    assert len(viewer.layers) == 0


def test_what_cannot_be_opened_says_so_and_opens_nothing(viewer: Any, tmp_path: Path) -> None:
    broken = tmp_path / "broken.zarr"
    broken.mkdir()
    (broken / ".zgroup").write_text('{"zarr_format": 2}')
    (broken / ".zattrs").write_text('{"multiscales": [{"version": "0.4", "axes": [], "datasets": []}]}')
    with answering(choose_reader("OME-Zarr")), pytest.raises(OmeNgffError) as caught:
        drop(viewer, broken)
    assert len(caught.value.summary) < 120
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    (pictures / "1.png").write_bytes(b"")
    with answering(choose_reader("OME-Zarr")), pytest.raises(OmeNgffError, match="no Zarr group"):
        drop(viewer, pictures)
    assert len(viewer.layers) == 0


def test_a_plain_array_opens_with_the_reader_that_is_preselected(viewer: Any, tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "plain.zarr", data=np.eye(16, dtype="uint8"))

    def accept(dialog: QWidget) -> None:
        press(dialog, "OK")

    with answering(accept):
        drop(viewer, tmp_path / "plain.zarr")
    (layer,) = viewer.layers
    assert layer.source.reader_plugin == PLUGIN
    assert layer.metadata["zarr"]["attributes"] == {}


def test_an_image_that_goes_away_while_it_is_shown_leaves_the_window_alive(
    viewer: Any, corpus: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "wave.ome.zarr"
    shutil.copytree(corpus / "generated" / "ngff-zarr-0.50" / "wave_0.5.ome.zarr", copy)
    viewer.open(str(copy), plugin=PLUGIN)
    assert (canvas(viewer).max(axis=-1) > 32).any()
    shutil.rmtree(copy)
    viewer.dims.set_current_step(0, 1)
    assert canvas(viewer).shape


# Commands, as napari's palette runs them: by their id, with nothing but what napari injects


def run(name: str) -> Any:
    from napari._app_model import get_app_model

    return get_app_model().commands.execute_command(f"{PLUGIN}.{name}").result()


def cancel(dialog: QWidget) -> None:
    assert isinstance(dialog, QDialog)
    photograph(f"command-{type(dialog).__name__}")
    press(dialog, "Cancel")


def test_every_command_runs_from_the_palette(viewer: Any) -> None:
    """Those that ask are answered with Cancel; of layers that are not right they say so."""
    palette = viewer.window._qt_window._command_palette
    offered = {rule.id.removeprefix(f"{PLUGIN}.") for rule in palette._list.all_commands}
    contributions = PluginManifest.from_distribution(PLUGIN).contributions
    samples = {sample.command: sample.key for sample in contributions.sample_data}
    names = [samples.get(one.id, one.id).removeprefix(f"{PLUGIN}.") for one in contributions.commands]
    assert len(names) > 12
    assert set(names) <= offered
    for name in set(names) - {"cells", "get_reader"}:
        run(name)  # there are no layers: nothing is asked
    assert "There are no layers to save." in notifications(viewer)
    run("cells")
    for name in ("get_reader", "write_layers", "save_selected"):
        with answering(cancel):
            run(name)


def test_a_pasted_path_opens_and_is_offered_again(viewer: Any, coins: Path) -> None:
    def paste(dialog: QWidget) -> None:
        assert isinstance(dialog, OpenDialog)
        dialog.line.setText("/nowhere/cells.tif")
        dialog.accept()
        assert dialog.problem.text().startswith("There is no such file or folder.")
        photograph("open-dialog-problem")
        dialog.line.setText(f'"{coins}" ')  # as file managers copy it
        assert not dialog.problem.isVisible()
        press(dialog, "Open")

    with answering(paste):
        choose_from_menu(viewer, "File", "IO Utilities", "Open OME-Zarr...")
    assert len(viewer.layers) == 3
    assert {layer.source.reader_plugin for layer in viewer.layers} == {PLUGIN}
    assert preferences.recent_places() == [str(coins)]

    def look(dialog: QWidget) -> None:
        assert isinstance(dialog, OpenDialog)
        assert [dialog.recent.item(row).text() for row in range(dialog.recent.count())] == [str(coins)]
        dialog.line.setText(coins.as_uri())
        assert dialog.place() == str(coins)
        cancel(dialog)

    with answering(look):
        run("get_reader")


def test_layers_are_saved_under_the_name_of_their_file(viewer: Any, tmp_path: Path) -> None:
    place = tmp_path / "cells.ome.zarr"
    save_ome_ngff(place, np.arange(64, dtype="uint8").reshape(8, 8), name="cells")
    (layer,) = viewer.open(str(place), plugin=PLUGIN)
    layer.name = "nuclei"

    def take(dialog: QWidget) -> None:
        """The proposal: it is there, so others would step into it."""
        assert isinstance(dialog, SaveDialog)
        assert dialog.selectedNameFilter() == FOLDER_TYPE
        line = dialog.findChild(QLineEdit, "fileNameEdit")
        assert line.text() == "cells.ome.zarr"
        dialog._on_folder(str(place))  # a double click
        assert line.text() == "cells.ome.zarr"
        assert dialog.directory().path() == str(tmp_path)
        photograph("save-dialog")
        press(dialog, "Save")

    with answering(take, reply("Cancel")):
        choose_from_menu(viewer, "File", "IO Utilities", "Save all layers as OME-Zarr...")
    wait_until(lambda: "Nothing was saved. What was there is as it was." in notifications(viewer))
    with answering(take, reply("Save metadata")):
        run("save_selected")
    assert [meta["name"] for _, meta, _ in read_layers(str(place))] == ["nuclei"]
    with answering(save_as(tmp_path / "one", kind="single file")):
        run("write_layers")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cells.ome.zarr", "one.ozx"]
    assert preferences.recent_places()[:2] == [str(tmp_path / "one.ozx"), str(place)]


@pytest.fixture
def movie(tmp_path: Path) -> Path:
    z, y, x = np.indices((6, 96, 96))
    ball = ((z - 3) * 8) ** 2 + (y - 48) ** 2 + (x - 48) ** 2 < 600
    data = np.stack([ball * 4000, np.roll(ball, 20, 2) * 4000]).astype("uint16")
    labels = {"balls": data // 4000}
    save_ome_ngff(tmp_path / "balls.ome.zarr", data, axes="tzyx", labels=labels, levels=3, scale={"z": 8})
    return tmp_path / "balls.ome.zarr"


def test_3d_becomes_sharp_by_itself_and_finer_on_demand(
    viewer: Any, movie: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(levels_in_3d, "volume_budget", lambda **_: 2 * 2 * 6 * 48 * 48)
    viewer.window.resize(700, 500)  # without a graphics card pictures take their time
    layers = viewer.open(str(movie), plugin=PLUGIN)
    _, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "OME-Zarr image")
    layers[-1].visible = True
    photograph("volume-2d")

    def shown() -> list[int]:
        return [layer.data_level for layer in layers]

    before, read, asked = shown(), ChunkedSource._read, []

    def noted(source: ChunkedSource, picks: Any) -> Any:
        asked.append(source.location)
        return read(source, picks)

    monkeypatch.setattr(ChunkedSource, "_read", noted)
    viewer.dims.ndisplay = 3
    assert shown() == [2, 2], "napari's own choice, at once"
    wait_until(lambda: shown() == [1, 1], why="the finer level is read")
    assert {place.rpartition("/")[2] for place in asked} == {"2"}, "the window is given what was read"
    np.testing.assert_array_equal(
        layers[0]._data_view, np.asarray(layers[0].data[1][int(viewer.dims.point[0])])
    )
    wait_until(lambda: not str(viewer.status).endswith("loading"), why="the status bar says it")
    assert str(viewer.status).startswith("3D: level 1 of 0-2 (6 x 48 x 48 voxels, 55 kB in 2 layers)")
    wait_until(lambda: widget.volume.text().startswith("Level 1 of 0-2"), why="the dock says it")
    assert widget.volume_box.isVisible()
    photograph("volume-3d")
    next(one for one in widget.findChildren(QPushButton) if one.text() == "Finer").click()
    wait_until(lambda: shown() == [0, 0], why="finer on demand")
    viewer.dims.set_current_step(0, 1)
    viewer.dims.set_current_step(0, 0)  # before it is read
    wait_until(lambda: shown() == [0, 0], why="the next time point")
    np.testing.assert_array_equal(layers[0]._data_view, np.asarray(layers[0].data[0][0]))
    choose_from_menu(viewer, "Layers", "Visualize", "Coarser level of an OME-Zarr image in 3D")
    wait_until(lambda: shown() == [1, 1], why="coarser by the menu")
    viewer.dims.ndisplay = 2
    wait_until(lambda: shown() == before, why="back in 2D as before")
    assert [layer.locked_data_level for layer in layers] == [None] * 2
    wait_until(lambda: not widget.volume_box.isVisible(), why="the dock has nothing to choose")
    photograph("volume-2d-again")


def test_wells_appear_as_they_are_read(viewer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The window does not wait for a plate; a script that reads the layer's data does."""
    pixels = np.full((40, 40), 7, "uint8")
    write_plate(
        store=tmp_path / "plate.zarr", fields={("A", 1): [pixels], ("A", 2): [pixels]}, axes="yx"
    ).run()
    read, may_read = MosaicSource._read, threading.Event()

    def slow(source: MosaicSource, picks: Any) -> Any:
        if threading.current_thread().name.startswith("ome-ngff-local"):  # not for contrast
            assert may_read.wait(20)
        return read(source, picks)

    monkeypatch.setattr(MosaicSource, "_read", slow)
    loop, seen = QEventLoop(), []

    def shown() -> set[int]:
        return set(np.unique(viewer.layers[0]._slice.image.raw)) if viewer.layers else set()

    def opened() -> None:
        viewer.open(str(tmp_path / "plate.zarr"), plugin=PLUGIN)
        seen.append((shown(), str(viewer.status)))
        QTimer.singleShot(300, lambda: seen.append((shown(), str(viewer.status))))
        QTimer.singleShot(400, may_read.set)

    def look() -> None:
        if 7 in shown():
            loop.quit()

    timer = QTimer()
    timer.timeout.connect(look)
    timer.start(20)
    QTimer.singleShot(0, opened)
    QTimer.singleShot(20_000, loop.quit)
    loop.exec()
    timer.stop()
    assert [values for values, _ in seen] == [{0}, {0}]
    assert seen[1][1].startswith("Loading the picture ... 0 %")
    assert 7 in shown()
    np.testing.assert_array_equal(np.unique(np.asarray(viewer.layers[0].data)), sorted(shown()))
