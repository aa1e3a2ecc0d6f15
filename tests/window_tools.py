"""Hands and eyes for a real napari window: drop a folder, answer a dialog, choose from a menu, look."""

from __future__ import annotations

import gc
import itertools
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
from qtpy.QtCore import QEvent, QMimeData, QPoint, QPointF, Qt, QTimer, QUrl
from qtpy.QtGui import QDropEvent, QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QApplication,
    QDialogButtonBox,
    QFileDialog,
    QLineEdit,
    QMessageBox,
    QRadioButton,
    QWidget,
)

from tests.cases import build

PLUGIN = "napari-ome-ngff"


def pump(seconds: float = 0.05) -> None:
    """Let the window live for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.005)


def wait_until(condition: Callable[[], object], *, seconds: float = 30, why: str = "") -> None:
    """Let the window live until something is the case."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s: {why or condition}"
        pump(0.02)


def canvas(viewer: Any) -> np.ndarray:
    """Look at the whole picture once everything is loaded: ``(y, x, 3)`` of uint8."""
    viewer.reset_view()  # earlier, the window may have had another size
    wait_until_painted(viewer)
    return np.asarray(viewer.screenshot(canvas_only=True, flash=False))[..., :3]


def wait_until_painted(viewer: Any) -> None:
    wait_until(lambda: all(layer.loaded for layer in viewer.layers), why="layers loaded")
    wait_until(lambda: painted_last(viewer), why="nothing is painted any more")


def painted_last(viewer: Any) -> bool:
    """Whether nothing is painted for a while: the first paint of a picture is not the last."""
    paints: list[object] = []
    drawing = viewer.window._qt_viewer.canvas._scene_canvas.events.draw
    drawing.connect(paints.append)
    pump(0.1)
    drawing.disconnect(paints.append)
    return not paints


def photograph(name: str) -> None:
    """Save the whole screen, for people to look at, if a folder for that was named."""
    if folder := os.environ.get("NAPARI_OME_NGFF_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        pump(0.2)
        QApplication.primaryScreen().grabWindow(0).save(str(Path(folder) / f"{name}.png"))


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """Share of pixels that differ by more than interpolation and rounding may make."""
    assert np.allclose(one.shape, other.shape, atol=2), "the canvas has another size"
    y, x, _ = np.minimum(one.shape, other.shape)
    both = (picture[:y, :x].astype(int) for picture in (one, other))
    return float((np.abs(np.subtract(*both)).max(axis=-1) > 24).mean())


def drop(viewer: Any, path: Path) -> None:
    """Drag a folder from a file manager and drop it on the canvas."""
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path))])
    viewer.window._qt_viewer.dropEvent(
        QDropEvent(
            QPointF(10, 10),
            Qt.DropAction.CopyAction,
            mime,
            Qt.MouseButton.LeftButton,
            Qt.KeyboardModifier.NoModifier,
        )
    )


def choose_from_menu(viewer: Any, menu: str, *items: str) -> None:
    """Choose an item of a menu, or of its submenus, by the beginnings of their texts, as clicks do."""
    here, path = viewer.window._qt_window.menuBar(), ""
    for wanted in (menu, *items):
        found = [action for action in here.actions() if action.text().replace("&", "").startswith(wanted)]
        assert found, f"there is no{path} > {wanted}"
        action, path = found[0], f"{path} > {wanted}"
        assert action.isEnabled(), f"{path} is not enabled"
        if (here := action.menu()) is not None:
            here.aboutToShow.emit()
    action.trigger()


def move_mouse(viewer: Any, point: QPoint) -> None:
    """Move the mouse to a point of the canvas, also on a display that has no pointer."""
    place = QPointF(point)
    button, none = Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier
    move = QMouseEvent(QEvent.Type.MouseMove, place, place, button, Qt.MouseButton.NoButton, none)
    QApplication.sendEvent(viewer.window._qt_viewer.canvas.native, move)
    pump()


def notes(viewer: Any) -> list[Any]:
    """Notifications that are on the screen."""
    from napari._qt.dialogs.qt_notification import NapariQtNotification

    made = viewer.window._qt_viewer.canvas.native.findChildren(NapariQtNotification)
    return [note for note in made if note.isVisible()]


def notifications(viewer: Any) -> list[str]:
    """Texts of the notifications that are on the screen."""
    return [note.message.text() for note in notes(viewer)]


def browse(viewer: Any) -> Any:
    """Open the table of wells, fields and images from the menu, and return it."""
    from napari_ome_ngff.plugin.browse_widget import BrowseWidget

    choose_from_menu(viewer, "Plugins", "OME-Zarr", "Browse OME-Zarr plate or collection")
    (widget,) = viewer.window._qt_window.findChildren(BrowseWidget)
    return widget


@contextmanager
def answering(*answers: Callable[[QWidget], None]) -> Iterator[None]:
    """Answer the modal dialogs that open meanwhile, in this order, one answer each.

    A dialog without an answer, or one that its answer fails at, is closed, and the test fails afterwards.
    """
    open_answers = list(answers)
    met: list[QWidget] = []
    errors: list[BaseException] = []

    def look() -> None:
        dialog = QApplication.activeModalWidget()
        if dialog is None or dialog in met:
            return
        met.append(dialog)
        try:
            assert open_answers, f"unexpected dialog {dialog.windowTitle()!r}"
            open_answers.pop(0)(dialog)
        except BaseException as error:  # noqa: BLE001 - a timer would lose it, and the dialog stay
            errors.append(error)
            dialog.close()

    timer = QTimer()
    timer.timeout.connect(look)
    timer.start(50)
    try:
        yield
    finally:
        timer.stop()
    if errors:
        raise errors[0]
    assert not open_answers, f"{len(open_answers)} dialogs did not come"


@contextmanager
def errors_told(qtbot: Any) -> Iterator[list[str]]:
    """Collect the messages of errors that reach the user from a menu; napari shows them as notifications.

    The errors themselves are let go: their tracebacks would keep the window alive.
    """
    messages: list[str] = []
    with qtbot.captureExceptions() as raised:
        yield messages
    messages.extend(str(error) for _, error, _ in raised)
    raised.clear()
    let_go_of_errors()
    gc.collect()  # frames and errors refer to each other


def let_go_of_errors() -> None:
    """Forget the last error, which Python and pytest keep: its traceback would keep the window alive."""
    for name in ("last_type", "last_value", "last_traceback", "last_exc"):
        if hasattr(sys, name):
            delattr(sys, name)


class Awake:
    """A clock that stands still while a thread of this process is ready to run and gets no processor.

    So a machine that is busy with others makes no gap; a thread that computes, sleeps or waits does.
    Where the system does not tell (Linux does), it is an ordinary clock.
    """

    def __init__(self) -> None:
        self._waited: dict[str, float] = {}
        self._all = 0.0

    def __call__(self) -> float:
        for task in Path("/proc/self/task").glob("*"):
            with suppress(OSError):  # it has ended
                waited = int((task / "schedstat").read_bytes().split()[1]) / 1e9
                self._all += max(0.0, waited - self._waited.get(task.name, 0.0))
                self._waited[task.name] = waited
        return time.monotonic() - self._all


def lives(ticks: list[float]) -> bool:
    """Whether a window whose timer ticked at these times, of one `Awake`, was alive.

    On a quiet machine the largest gap is below 0.1 s: docs/reference/plugin.md says what was measured.
    """
    gaps = np.diff(ticks)
    return bool(np.quantile(gaps, 0.9) < 0.1 and gaps.max() < 3)


def click(button: Any) -> None:
    """Click a button of a dock widget, once it can be: plans follow a moment after what was changed."""
    wait_until(lambda: button.enabled, seconds=5, why="the button is enabled")
    QTest.mouseClick(button.native, Qt.MouseButton.LeftButton)


def press(dialog: QWidget, text: str) -> None:
    """Press a button of a dialog by its text."""
    buttons = [button for box in dialog.findChildren(QDialogButtonBox) for button in box.buttons()]
    named = [button for button in buttons if button.text().replace("&", "").lower() == text.lower()]
    assert named, f"no button {text!r} among {[button.text() for button in buttons]}"
    QTimer.singleShot(20, named[0].click)


def reply(text: str, shot: str = "") -> Callable[[QWidget], None]:
    """Answer a question by the button with this text."""

    def answer(dialog: QWidget) -> None:
        assert isinstance(dialog, QMessageBox)
        if shot:
            photograph(shot)
        press(dialog, text)

    return answer


def choose_reader(
    name: str, *, offered: list[str] | None = None, shot: str = ""
) -> Callable[[QWidget], None]:
    """Answer napari's dialog "Choose reader" with the reader of this name."""

    def answer(dialog: QWidget) -> None:
        assert dialog.windowTitle() == "Choose reader"
        buttons = {button.text(): button for button in dialog.findChildren(QRadioButton)}
        if offered is not None:
            offered.extend(buttons)
        buttons[name].setChecked(True)
        if shot:
            photograph(shot)
        press(dialog, "OK")

    return answer


def save_as(path: Path, *, kind: str = "OME-Zarr", shot: str = "") -> Callable[[QWidget], None]:
    """Answer the file dialog: choose the file type whose name contains `kind`, type a path, save."""

    def answer(dialog: QWidget) -> None:
        assert isinstance(dialog, QFileDialog)
        kinds = [name for name in dialog.nameFilters() if kind in name]
        assert kinds, f"no {kind!r} among {dialog.nameFilters()}"
        dialog.selectNameFilter(kinds[0])
        line = dialog.findChild(QLineEdit, "fileNameEdit")
        line.setText(str(path))
        if shot:
            photograph(shot)
        press(dialog, "Save")

    return answer


def add_cells(viewer: Any, *, labels: bool = True) -> None:
    """Add a red channel that is bright on the left, a green one that is bright on the right, and labels."""
    plane = np.zeros((8, 96, 128), "uint16")
    ramp = np.linspace(400, 1000, 96, dtype="uint16")[None, :, None]
    red, green, cells = plane.copy(), plane.copy(), plane.copy()
    red[..., 10:60] = ramp
    green[..., 70:120] = ramp[:, ::-1]
    for value, (y, x) in enumerate([(30, 30), (60, 64), (70, 100)], start=1):
        cells[:, y - 12 : y + 12, x - 12 : x + 12] = value
    place = {"scale": (2.0, 0.5, 0.5), "units": ("micrometer",) * 3, "axis_labels": ("z", "y", "x")}
    shown = {"contrast_limits": (0, 1000), "blending": "additive"}
    viewer.add_image(red, name="red", colormap="red", **shown, **place)
    viewer.add_image(green, name="green", colormap="green", **shown, **place)
    if labels:
        viewer.add_labels(cells, name="cells", **place)


def write_plate(path: Path, *, rows: int = 8, columns: int = 12, fields: int = 1, side: int = 96) -> Path:
    """Write a plate of two channels: fewer cells from column to column, brighter ones from row to row."""
    random = np.random.default_rng(4)
    y, x = np.mgrid[:side, :side]
    listed = []
    for row, column in itertools.product(range(rows), range(columns)):
        well = f"{chr(65 + row)}/{column + 1}"
        listed.append({"path": well, "rowIndex": row, "columnIndex": column})
        build.group(path / well[0], zarr=3)
        images = [{"path": str(field)} for field in range(fields)]
        build.group(path / well, build.wrapped("0.5", {"well": {"images": images}}), zarr=3)
        for field in range(fields):
            pixels = random.normal(200, 15, (2, side, side))
            for at in random.uniform(6, side - 6, (max(2, 26 - 2 * column), 2)):
                bell = np.exp(-((y - at[0]) ** 2 + (x - at[1]) ** 2) / 18)
                pixels += np.array([800 + 250 * row, 400 + 120 * column])[:, None, None] * bell
            look = [
                {
                    "label": "DNA",
                    "color": "00FFFF",
                    "window": {"start": 150, "end": 3000, "min": 0, "max": 65535},
                },
                {
                    "label": "drug",
                    "color": "FF00FF",
                    "window": {"start": 150, "end": 2200, "min": 0, "max": 65535},
                },
            ]
            build.image(
                path / well / str(field),
                version="0.5",
                axes="cyx",
                values=pixels.round().astype("uint16"),
                levels=3,
                scale=(1.0, 0.65, 0.65),
                name=None,
                beside={"omero": {"channels": look}},
            )
    plate = {
        "name": "dose response",
        "rows": [{"name": chr(65 + row)} for row in range(rows)],
        "columns": [{"name": str(column + 1)} for column in range(columns)],
        "wells": listed,
    }
    return build.group(path, build.wrapped("0.5", {"plate": plate}), zarr=3)


def write_scene(path: Path, *, side: int = 200, overlap: int = 20) -> Path:
    """Write a scene of four tiles, in different colours and a little apart from the grid, of one pattern."""
    y, x = np.mgrid[: 2 * side, : 2 * side] / side
    pattern = 2000 + 1500 * np.sin(9 * np.hypot(y - 1, x - 1)) * np.exp(-np.hypot(y - 1, x - 1))
    axes = build.axes_of("yx")
    links = []
    for number, (row, column) in enumerate(itertools.product(range(2), range(2))):
        name = f"tile_{number}"
        corner = np.array([row, column]) * (side - overlap)
        color = ("00FFFF", "FF00FF", "FFFF00", "00FF00")[number]
        window = {"start": 500, "end": 4500, "min": 0, "max": 65535}
        build.image(
            path / name,
            version="0.6",
            values=pattern[corner[0] :, corner[1] :][:side, :side].astype("uint16"),
            levels=2,
            scale=(0.5, 0.5),
            name=name,
            beside={"omero": {"channels": [{"label": name, "color": color, "window": window}]}},
        )
        links.append(
            {
                "type": "translation",
                "translation": [float(at) * 0.5 for at in corner],
                "input": {"name": "physical", "path": name},
                "output": {"name": "stage"},
            }
        )
    scene = {
        "coordinateSystems": [{"name": "stage", "axes": axes}],
        "coordinateTransformations": links,
    }
    return build.group(path, build.wrapped("0.6", {"scene": scene}), zarr=3)


def add_slow_image(viewer: Any, *, seconds: float = 0.03, planes: int = 160) -> threading.Event:
    """Add a lazy image that takes its time for each plane; the event is set once writing reads the first."""
    read = threading.Event()

    def plane() -> np.ndarray:
        read.set()
        time.sleep(seconds)
        return np.full((1, 1024, 1024), 100, "uint16")

    data = dask.array.map_blocks(
        plane, chunks=((1,) * planes, (1024,), (1024,)), dtype="uint16", meta=np.empty((0,) * 3, "uint16")
    )
    viewer.add_image(data, name="slow", contrast_limits=(0, 200), axis_labels=("z", "y", "x"))
    canvas(viewer)
    read.clear()  # what the screen shows has been read
    return read
