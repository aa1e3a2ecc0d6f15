"""Paint, correct and add in a real window: what a person does in the dock, and what is in the file then."""

from __future__ import annotations

import hashlib
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray
from napari import save_layers
from qtpy.QtCore import QEventLoop, Qt, QTimer
from qtpy.QtGui import QCloseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QPushButton

from napari_ome_ngff import (
    Channel,
    DaskArrayWrapper,
    Image,
    LabelImage,
    MultiscaleSource,
    StorageOptions,
    Window,
    open_ome_ngff,
    write_multiscale_group,
)
from napari_ome_ngff.errors import OmeNgffError, TargetError
from napari_ome_ngff.plugin import notify
from napari_ome_ngff.plugin.edit import closing, edited_layer
from napari_ome_ngff.plugin.edit.edited_layer import MAX_SIDE, view_of
from napari_ome_ngff.plugin.image_widget import ImageWidget
from tests.window_tools import PLUGIN, answering, photograph, pump, reply, wait_until

SHAPE = (4, 200, 240)
COINS = Path(__file__).parents[2] / "docs" / "examples" / "data" / "coins.ome.zarr"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Two channels (c, z, y, x) and a label image (z, y, x), two levels each."""
    folder = tmp_path / "cells.ome.zarr"
    yy, xx = np.mgrid[: SHAPE[1], : SHAPE[2]]
    spot = (900 * np.exp(-((yy - 90) ** 2 + (xx - 100) ** 2) / 3000)).astype("uint16")
    voxels = np.stack([np.broadcast_to(spot, SHAPE), np.broadcast_to(spot[::-1], SHAPE)])
    labels = np.zeros(SHAPE, "uint32")
    labels[:, 60:120, 70:130] = 3
    coords = {"z": np.arange(4) * 2.0, "y": np.arange(200) * 0.5, "x": np.arange(240) * 0.5}
    contrast = Window(start=0, end=1000)
    write_multiscale_group(
        store=folder,
        image=xarray.DataArray(voxels, dims=("c", "z", "y", "x"), coords=coords),
        levels=2,
        options=StorageOptions(chunks=(2, 64, 64)),
        channels=(
            Channel(label="DAPI", color="0000FF", window=contrast),
            Channel(label="GFP", color="00FF00", window=contrast),
        ),
        labels={
            "nuclei": MultiscaleSource(
                image=xarray.DataArray(labels, dims=("z", "y", "x"), coords=coords),
                levels=2,
                label_image=LabelImage(colors={3: (255, 0, 0, 255)}),
            )
        },
    ).run()
    return folder


@pytest.fixture
def dock(viewer: Any, place: Path) -> ImageWidget:
    viewer.open(str(place), plugin=PLUGIN)
    _, widget = viewer.window.add_plugin_dock_widget("napari-ome-ngff", "OME-Zarr image")
    viewer.layers.selection.active = viewer.layers["nuclei"]
    wait_until(lambda: "chunks" in widget.facts.text())
    return widget  # type: ignore[no-any-return]


def opened(place: Path) -> Image:
    image = open_ome_ngff(place, array_wrapper=DaskArrayWrapper())
    assert isinstance(image, Image)
    return image


def saved_labels(place: Path) -> list[np.ndarray[Any, Any]]:
    return [array.values for array in opened(place).labels["nuclei"].arrays.values()]


def pixels(folder: Path) -> dict[str, str]:
    """Everything but metadata documents."""
    return {
        str(path.relative_to(folder)): hashlib.sha1(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(("json", ".zattrs"))
    }


def save_changes(dock: ImageWidget) -> None:
    dock.save_edit_button.click()
    wait_until(lambda: dock.status.text().startswith(("Saved", "Somebody", "Another")))


def press_m(viewer: Any) -> int:
    """napari's key for a label that is not used yet."""
    QTest.keyClick(viewer.window._qt_viewer.canvas.native, Qt.Key.Key_M)
    return int(viewer.layers.selection.active.selected_label)


def press_new(viewer: Any) -> int:
    """The button beside the number of the label."""
    buttons = viewer.window._qt_window.findChildren(QPushButton, "newLabelButton")
    next(button for button in buttons if button.isVisible()).click()
    return int(viewer.layers.selection.active.selected_label)


def test_labels_with_levels_are_painted_saved_and_painted_again(
    viewer: Any, place: Path, dock: ImageWidget
) -> None:
    """The layer keeps its looks, tools do what they do on numpy, and undo outlives a save."""
    before = viewer.layers["nuclei"]
    before.opacity, before.selected_label, before.brush_size = 0.4, 5, 12
    assert not before.editable
    assert "2 levels" in dock.facts.text() or "Level 1" in dock.facts.text()
    viewer.dims.set_current_step(0, 2)
    dock.edit_button.click()
    layer = viewer.layers["nuclei"]
    assert layer.editable
    assert [one.name for one in viewer.layers] == ["DAPI", "GFP", "nuclei"]
    assert (layer.opacity, layer.selected_label, layer.brush_size) == (0.4, 5, 12)
    np.testing.assert_allclose(layer.scale, before.scale)
    np.testing.assert_allclose(layer.get_color(3), before.get_color(3))
    assert viewer.dims.current_step[0] == 2

    expected = saved_labels(place)[0]
    other = viewer.add_labels(expected.copy(), name="numpy", scale=layer.scale)
    for one in (layer, other):
        one.brush_size, one.mode = 12, "paint"
        one.paint((2, 150, 60), 5)
        one.paint_polygon(np.array([[2, 20, 150], [2, 60, 150], [2, 40, 200]]), 6)
        one.fill((2, 90, 100), 8)
        one.undo()
        one.undo()
        one.redo()
    np.testing.assert_array_equal(np.asarray(layer.data), other.data)
    other.mode = "pan_zoom"
    viewer.layers.remove(other)
    viewer.layers.selection.active = layer
    dock.refresh()
    assert "not saved" in dock.heading.text()
    photograph("edit-painted")
    image = pixels(place / "0")
    save_changes(dock)
    assert dock.status.text().startswith("Saved the changes of nuclei")
    np.testing.assert_array_equal(saved_labels(place)[0], other.data)
    assert pixels(place / "0") == image
    layer.undo()
    save_changes(dock)
    assert (saved_labels(place)[0] == 6).sum() == 0
    dock.discard_button.click()
    assert viewer.layers["nuclei"].multiscale


def test_the_commands_of_the_palette_do_what_the_dock_does(
    viewer: Any, place: Path, dock: ImageWidget, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run as napari's palette and menus run them; of a layer that is not right they say so."""
    from napari._app_model import get_app_model

    said: list[str] = []
    monkeypatch.setattr(notify, "inform", said.append)
    monkeypatch.setattr(notify, "warn", said.append)

    def command(name: str) -> str:
        before = len(said)
        get_app_model().commands.execute_command(f"{PLUGIN}.{name}").result()
        wait_until(lambda: len(said) > before)
        return said[-1]

    names = ("edit_labels", "save_changes", "discard_changes", "new_labels", "add_plain_level")
    viewer.add_labels(np.zeros((4, 4), int), name="mine")
    viewer.add_points(name="points")
    for wrong in (viewer.layers["mine"], viewer.layers["points"], None):
        viewer.layers.selection.active = wrong
        for name in names:
            assert any(word in command(name) for word in ("not", "Only", "No layer")), name
    del viewer.layers["mine"], viewer.layers["points"]

    viewer.layers.selection.active = viewer.layers["nuclei"]
    assert "can be painted on" in command("edit_labels")
    layer = viewer.layers["nuclei"]
    assert press_m(viewer) == 4
    assert press_m(viewer) == 4  # it is not used yet
    assert not np.allclose(layer.get_color(4), layer.get_color(50))  # that is gray: it has no colour
    np.testing.assert_allclose(layer.get_color(3), (1, 0, 0, 1))
    layer.data[0, 0:5, 0:5] = 9
    assert press_new(viewer) == 10
    assert press_m(viewer) == 10
    wait_until(lambda: "not saved" in dock.heading.text())
    photograph("edit-new-label")
    assert command("save_changes").startswith("Saved the changes of nuclei")
    assert (saved_labels(place)[0] == 9).sum() == 25
    wait_until(lambda: "being edited" in dock.heading.text())
    viewer.layers["nuclei"].data[0, 0:5, 0:5] = 7
    assert "as it is in the file" in command("discard_changes")
    assert (saved_labels(place)[0] == 9).sum() == 25

    viewer.layers.selection.active = viewer.layers["DAPI"]
    assert "Added the label image" in command("new_labels")
    new = viewer.layers["labels"]
    assert new.editable
    new.data[0, 0, 0] = 5
    assert press_new(viewer) == 6
    new.data[0, 10:20, 10:20] = 1
    assert command("save_changes").startswith("Saved")
    assert int(opened(place).labels["labels"].arrays["0"][0, 15, 15]) == 1
    viewer.layers.selection.active = viewer.layers["DAPI"]
    assert "Added level" in command("add_plain_level")
    assert viewer.layers[-1].metadata == {}
    viewer.layers.selection.active = viewer.layers["DAPI"]
    dock.plain_button.click()
    plain = viewer.layers[-1]
    assert not plain.multiscale
    assert plain.data.shape == SHAPE


@pytest.mark.parametrize("answer", [closing.SAVE, closing.DISCARD, None])
def test_a_layer_with_changes_is_asked_about_when_it_is_closed(
    viewer: Any, place: Path, dock: ImageWidget, answer: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    dock.edit_button.click()
    layer = viewer.layers["nuclei"]
    layer.data[0, 0:5, 0:5] = 9
    asked: list[str] = []

    def choose(question: str, details: str, actions: list[str]) -> str | None:
        asked.append(question)
        return answer

    monkeypatch.setattr(closing, "choose", choose)
    viewer.layers.remove(layer)
    assert asked == ["Save the changes of nuclei?"]
    assert ("nuclei" in [one.name for one in viewer.layers]) is (answer is None)
    assert (saved_labels(place)[0] == 9).any() == (answer == closing.SAVE)
    if answer is None:
        assert not viewer.window._qt_window.close()
        assert viewer.window._qt_window.isVisible()
        view = view_of(viewer.layers["nuclei"])
        assert view is not None
        view.edit.discard()


def test_a_painted_layer_that_is_saved_with_the_file_menu_is_not_asked_about_again(
    viewer: Any, place: Path, dock: ImageWidget
) -> None:
    """What was painted is in the file: the layers that are opened anew take the place of those."""
    dock.edit_button.click()
    before = pixels(place)
    viewer.layers["DAPI"].gamma = 0.5
    with answering(reply("Save metadata")):  # nothing is painted: the pixels are in the file
        save_layers(str(place), list(viewer.layers), plugin=PLUGIN)
    assert pixels(place) == before
    viewer.layers["nuclei"].data[0, 0:5, 0:5] = 9
    with answering():
        save_layers(str(place), [viewer.layers["nuclei"]], plugin=PLUGIN)
    assert [layer.name for layer in viewer.layers] == ["DAPI", "GFP", "nuclei"]
    assert (saved_labels(place)[0] == 9).any()
    assert (np.asarray(viewer.layers["nuclei"].data[0])[0, 0:5, 0:5] == 9).all()


def test_the_window_lives_while_labels_become_paintable(
    viewer: Any, place: Path, dock: ImageWidget, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is read for it may take seconds; the layer may be closed meanwhile."""
    beat, loop, ended = threading.Event(), QEventLoop(), list[str]()
    timer, real, layer = QTimer(), edited_layer._view, viewer.layers["nuclei"]
    timer.timeout.connect(beat.set)

    def slow(*args: Any) -> Any:
        beat.clear()
        assert beat.wait(5), "the window waits for the labels"
        return real(*args)

    def begin() -> None:
        try:
            ended.append(str(view_of(edited_layer.begin_edit(viewer, layer)) is not None))
        except OmeNgffError as error:
            ended.append(str(error))
        finally:
            loop.quit()

    monkeypatch.setattr(edited_layer, "_view", slow)
    timer.start(1)
    timer.timeout.connect(lambda: viewer.layers.remove(layer) if layer in viewer.layers else None)
    QTimer.singleShot(0, begin)
    loop.exec()
    assert ended == ["The layer was closed meanwhile."]
    viewer.layers.append(layer)
    timer.timeout.disconnect()
    timer.timeout.connect(beat.set)
    QTimer.singleShot(0, begin)
    loop.exec()
    timer.stop()
    assert ended[1:] == ["True"]


@pytest.mark.parametrize("closed", ["nothing", "the old layer", "the new layer", "the window"])
def test_the_window_lives_between_the_steps_of_an_exchange(
    viewer: Any, place: Path, dock: ImageWidget, closed: str
) -> None:
    """To make a layer, to add it and to remove another one take napari 0.2 s each."""
    seen: list[list[str]] = []
    loop, ended = QEventLoop(), list[str]()
    old = viewer.layers["nuclei"]
    before = [layer.name for layer in viewer.layers]

    def look() -> None:
        names = [layer.name for layer in viewer.layers]
        if names not in seen:
            seen.append(names)
        if closed != "nothing" and len(names) > len(before):
            viewer.close() if closed == "the window" else viewer.layers.pop(-1 if "old" in closed else -2)

    def begin() -> None:
        try:
            ended.append(edited_layer.begin_edit(viewer, old).name)
        except OmeNgffError as error:
            ended.append(str(error))
        finally:
            loop.quit()

    looking = QTimer()
    looking.timeout.connect(look)
    looking.start(1)
    QTimer.singleShot(0, begin)
    loop.exec()
    looking.stop()
    assert seen[:2] == [before, [*before, "nuclei (old)"]]
    if closed == "the window":
        assert ended == ["The layer was closed meanwhile."]
    else:
        stays = closed == "the new layer"
        assert ended == ["The layer was closed meanwhile." if stays else "nuclei"]
        assert (old in viewer.layers) == stays
        assert [layer.name for layer in viewer.layers] == before


def test_closing_waits_for_a_save_and_the_window_lives(
    viewer: Any, place: Path, dock: ImageWidget, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also for one that the dock has begun; what was painted since is saved after it."""
    dock.edit_button.click()
    layer = viewer.layers["nuclei"]
    view = view_of(layer)
    assert view is not None
    layer.data[0, 0:5, 0:5] = 9
    saves: list[str] = []
    real = view.edit.save

    def slow() -> Iterator[Any]:
        saves.append(threading.current_thread().name)
        for progress in (writing := real()):
            time.sleep(0.05)
            yield progress
        writing.close()

    monkeypatch.setattr(view.edit, "save", slow)
    monkeypatch.setattr(closing, "choose", lambda *_: closing.SAVE)
    dock.save_edit_button.click()
    wait_until(lambda: view.edit.is_saving)
    layer.data[2, 0:5, 0:5] = 8
    with pytest.raises(TargetError, match="being saved already"):
        real().run()
    window = viewer.window._qt_window
    guard = window.findChild(closing.CloseGuard)
    ticks, again = [], []
    timer = QTimer()
    timer.timeout.connect(lambda: ticks.append(time.monotonic()))
    timer.start(10)
    QTimer.singleShot(100, lambda: again.append(guard.eventFilter(window, QCloseEvent())))
    assert guard.eventFilter(window, QCloseEvent()) is False  # it closes
    timer.stop()
    assert again == [True]  # not while it saves
    assert len(ticks) > 5  # frozen, it would have none
    assert len(saves) == 2
    assert threading.main_thread().name not in saves
    stored = saved_labels(place)[0]
    assert ((stored == 9).sum(), (stored == 8).sum()) == (25, 25)
    wait_until(lambda: dock.progress.isHidden())


def test_what_the_file_says_is_corrected_for_all_layers_and_no_pixel_is_touched(
    viewer: Any, place: Path, dock: ImageWidget
) -> None:
    viewer.layers.selection.active = viewer.layers["GFP"]
    wait_until(lambda: dock.axes.rowCount() == 4)
    viewer.dims.set_current_step(0, 3)
    before = pixels(place)
    item = dock.axes.item(1, 3)
    assert item is not None
    item.setText("0,75")
    for row in (1, 2, 3):
        unit = dock.axes.item(row, 2)
        assert unit is not None
        unit.setText("micrometer")
    viewer.layers["DAPI"].colormap = "red"
    viewer.layers["GFP"].contrast_limits = (10, 500)
    dock.apply_button.click()
    dock.apply_button.click()  # twice is once
    assert {tuple(layer.scale) for layer in viewer.layers} == {(0.75, 0.5, 0.5)}
    assert {str(unit) for layer in viewer.layers for unit in layer.units} == {"micrometer"}
    assert viewer.dims.current_step[0] == 3
    dock.save_button.click()
    assert "no pixel was touched" in dock.status.text()
    photograph("edit-corrected")
    assert pixels(place) == before
    image = opened(place)
    assert image.multiscale is not None
    assert image.multiscale.levels[1].transform.scale == (1, 0.75, 1, 1)
    assert [axis.unit for axis in image.multiscale.axes] == [None, *["micrometer"] * 3]
    first, second = image.multiscale.channels
    assert first.color == "FF0000"
    assert second.window is not None
    assert (second.window.start, second.window.end) == (10, 500)
    labels = image.labels["nuclei"].multiscale
    assert labels is not None
    assert labels.levels[0].transform.scale == (0.75, 0.5, 0.5)
    viewer.layers.selection.active = viewer.layers["DAPI"]
    pump(0.2)
    dock.save_button.click()
    assert "says so already" in dock.status.text()
    viewer.layers["GFP"].gamma = 0.5  # OME-Zarr has no key for these
    viewer.layers["nuclei"].opacity = 0.25
    dock.save_button.click()
    assert pixels(place) == before
    looks = "napari-ome-ngff:looks"
    assert opened(place).attributes[looks] == {"layers": [{}, {"gamma": 0.5}]}
    assert opened(place).labels["nuclei"].attributes[looks] == {"layers": [{"opacity": 0.25}]}
    dock.save_button.click()
    assert "says so already" in dock.status.text()
    viewer.layers["GFP"].gamma = 1
    dock.save_button.click()
    assert looks not in opened(place).attributes


def test_a_channel_is_corrected_while_another_one_is_closed(
    viewer: Any, place: Path, dock: ImageWidget
) -> None:
    before = opened(place).multiscale
    viewer.layers.remove("DAPI")
    layer = viewer.layers["GFP"]
    layer.name, layer.contrast_limits = "tubulin", (20, 300)
    viewer.layers.selection.active = layer
    dock.save_button.click()
    after = opened(place).multiscale
    assert before is not None
    assert after is not None
    assert after.channels[0] == before.channels[0]
    window = after.channels[1].window
    assert window is not None
    assert (after.channels[1].label, window.start, window.end) == ("tubulin", 20, 300)


def test_what_is_no_number_is_said_and_nothing_is_written(
    viewer: Any, place: Path, dock: ImageWidget
) -> None:
    item = dock.axes.item(0, 3)
    assert item is not None
    item.setText("two")
    dock.save_button.click()
    assert "voxel size of axis 'z' is no number" in dock.status.text()
    labels = opened(place).labels["nuclei"].multiscale
    assert labels is not None
    assert labels.levels[0].transform.scale[0] == 2


def test_a_plane_that_is_too_large_is_painted_in_view(viewer: Any, tmp_path: Path, dock: ImageWidget) -> None:
    """The part lies where it lay, and what is painted on it goes to its place in the file."""
    folder = tmp_path / "large.ome.zarr"
    large = np.broadcast_to(np.uint8(0), (64, 2 * MAX_SIDE))
    image = MultiscaleSource(image=xarray.DataArray(large, dims=("y", "x")), levels=2)
    write_multiscale_group(store=folder, image=image.image, levels=2, labels={"big": image}).run()
    viewer.layers.clear()
    viewer.open(str(folder), plugin=PLUGIN)
    viewer.layers.selection.active = viewer.layers["big"]
    dock.refresh()
    dock.edit_button.click()
    assert "part in view" in dock.status.text()
    layer = viewer.layers["big"]
    assert layer.data.shape == (64, MAX_SIDE)
    corner = int(layer.translate[1])
    assert corner > 0
    layer.data[10, 5] = 4
    save_changes(dock)
    stored = opened(folder).labels["big"].arrays["0"]
    assert int(stored[10, corner + 5]) == 4
    assert int((stored != 0).sum()) == 1
    layer.data[11, 5] = 4
    copy = tmp_path / "copy.ome.zarr"
    save_layers(str(copy), [layer], plugin=PLUGIN)  # all of it, not the part in view
    saved = opened(copy).arrays["0"]
    assert (saved.shape, int(saved[11, corner + 5]), int((saved != 0).sum())) == (large.shape, 4, 2)


def test_the_steps_of_the_tutorials(viewer: Any, tmp_path: Path) -> None:
    """Fix a voxel size, correct a segmentation and cut out a region, on the coins, as the pages say."""
    place, part = tmp_path / "my-coins.ome.zarr", tmp_path / "part.ome.zarr"
    shutil.copytree(COINS, place)
    viewer.open(str(place), plugin=PLUGIN)
    _, dock = viewer.window.add_plugin_dock_widget("napari-ome-ngff", "OME-Zarr image")
    viewer.layers.selection.active = viewer.layers[0]
    for row, size in ((1, "2"), (2, "0.65"), (3, "0.65")):
        dock.axes.item(row, 2).setText("micrometer")
        dock.axes.item(row, 3).setText(size)
    dock.apply_button.click()
    assert {tuple(layer.scale) for layer in viewer.layers} == {(2, 0.65, 0.65)}
    dock.save_button.click()
    assert "no pixel was touched" in dock.status.text()

    viewer.layers.selection.active = viewer.layers["cells"]
    dock.edit_button.click()
    layer = viewer.layers["cells"]
    layer.selected_label, layer.brush_size, layer.mode = 2, 10, "paint"
    layer.paint((0, 155, 160), 2)
    save_changes(dock)
    finest = next(iter(opened(place).labels["cells"].arrays.values()))
    assert int(finest[0, 155, 160]) == 2
    assert finest.coords["y"].attrs["units"] == "micrometer"

    corners = np.array([[100, 120], [100, 200], [180, 200], [180, 120]]) * 0.65
    viewer.add_shapes([corners], units=("micrometer",) * 2)
    _, saver = viewer.window.add_plugin_dock_widget("napari-ome-ngff", "Create OME-Zarr pyramid")
    saver.fields["part"].value = "box of a Shapes layer"
    saver.fields["target"].value = part
    saver.create.native.click()
    wait_until(lambda: not saver.busy)
    written = next(iter(opened(part).arrays.values()))
    assert written.shape == (2, 6, 80, 80)
    assert written.coords["y"].values[0] == pytest.approx(65)
    assert list(opened(part).labels) == ["cells"]
    viewer.layers.pop()
    saver.fields["part"].value = "slices from … to …"
    saver.slices[0][1].value, saver.slices[0][3].value = 1, 4
    assert saver.plan_table.to_dataframe()["Size"][0] == "2×4×256×256"


def test_layers_of_others_are_refused_with_the_reason(viewer: Any, dock: ImageWidget) -> None:
    viewer.add_labels(np.zeros((4, 4), int), name="mine")
    pump(0.1)
    assert not dock.edit_button.isEnabled()
    assert "Select a layer" in dock.heading.text()


def test_a_file_that_is_gone_or_never_was_is_said_in_the_dock(
    viewer: Any, tmp_path: Path, place: Path, dock: ImageWidget
) -> None:
    """As text beside the rest, and as no error: the layers are there."""
    place.rename(tmp_path / "elsewhere")
    viewer.layers.selection.active = viewer.layers["GFP"]
    wait_until(lambda: "no such file" in dock.facts.text().lower())
    viewer.open_sample(PLUGIN, "cells")
    wait_until(lambda: "in no file" in dock.facts.text())
