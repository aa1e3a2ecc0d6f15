"""Run a save to its end while napari's window stays alive, with progress and Cancel."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import copy_context
from threading import Event
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from napari_ome_ngff.plugin.notify import has_window, plain

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_ome_ngff.plugin.save.request import Outcome
    from napari_ome_ngff.plugin.save.summary import Meter
    from napari_ome_ngff.writing.save import Progress

T = TypeVar("T")


REFRESH_MS, POLL_MS = 200, 10


ACTIVITY = "napari.window.view.toggle_activity_dock"  # of napari's View menu


class SaveJob(Generic[T]):
    """A save in a worker thread; the window polls `latest`."""

    def __init__(self, steps: Generator[Progress, None, T]) -> None:
        self.steps = steps
        self.latest: Progress | None = None
        self.outcome: T | None = None
        self.done = Event()

    def run(self) -> None:
        """Take all steps; they must not raise."""
        try:
            while True:
                self.latest = next(self.steps)
        except StopIteration as end:
            self.outcome = end.value
        finally:
            self.done.set()


def run_steps(steps: Generator[Progress, None, T], cancelled: Event, description: str) -> T:
    """Take all steps and return the outcome; in napari's window in a thread.

    `cancelled` is set here if the user presses Cancel in the activity dock or closes the window; it must end
    the steps, which must not raise.
    """
    job = SaveJob(steps)
    if in_gui_thread() and has_window():
        _run_in_window(job, cancelled, description)
    else:
        job.run()
    assert job.outcome is not None, "it runs to its end"
    return job.outcome


def start_worker(
    steps: Generator[Progress, None, T],
    *,
    progress: Callable[[Progress], None] | None,
    ended: Callable[[T], None],
    title: str = "",
) -> None:
    """Take all steps, which must not raise, in a worker of napari; without `progress` napari shows a bar."""
    from napari.qt.threading import create_worker
    from qtpy.QtCore import Qt

    def job() -> Generator[Progress, None, T]:
        return (yield from steps)

    worker: Any = create_worker(job, _progress={"desc": title} if progress is None else None)
    if progress is not None:
        worker.yielded.connect(progress)
    worker.returned.connect(ended)
    # napari aborts its workers when it closes, and superqt leaves their generators open: ours must take
    # back what it wrote, and at once, in its own thread.
    worker.aborted.connect(steps.close, Qt.ConnectionType.DirectConnection)
    worker.start()


def alive(function: Callable[[], T]) -> T:
    """Call a function, in napari's window in a thread: the first save imports Zarr and dask."""
    if not (in_gui_thread() and has_window()):
        return function()
    from qtpy.QtCore import QEventLoop, QTimer

    with ThreadPoolExecutor(1, thread_name_prefix="ome-ngff-plan") as pool:
        future = pool.submit(copy_context().run, function)  # with who collects its warnings
        loop, timer = QEventLoop(), QTimer()
        timer.timeout.connect(lambda: loop.quit() if future.done() else None)
        timer.start(POLL_MS)
        loop.exec()
        timer.stop()
        return future.result()


def in_gui_thread() -> bool:
    """Whether this thread runs a Qt window, which would freeze; imports no Qt."""
    if "qtpy.QtWidgets" not in sys.modules or "napari" not in sys.modules:
        return False
    from qtpy.QtCore import QThread
    from qtpy.QtWidgets import QApplication

    app = QApplication.instance()
    return app is not None and app.thread() == QThread.currentThread()


def event_loop_runs() -> bool:
    """Whether this thread runs a window now: a script that has not come to that yet does not."""
    if not (in_gui_thread() and has_window()):
        return False
    from qtpy.QtCore import QThread

    thread: Any = QThread.currentThread()
    return bool(thread.loopLevel() > 0)


def breathe() -> None:
    """Let a window that runs paint, and answer to what was pressed, before there is more to do."""
    if event_loop_runs():
        from qtpy.QtCore import QEventLoop, QTimer

        loop = QEventLoop()
        QTimer.singleShot(POLL_MS, loop.quit)
        loop.exec()


def is_closed(viewer: Viewer | None) -> bool:
    """Whether the window of a viewer was closed; the viewer may live on, but takes no layers."""
    viewer = getattr(viewer, "__wrapped__", viewer)  # what a dock is given are proxies
    return viewer is None or (hasattr(viewer, "window") and not hasattr(viewer.window, "_qt_window"))


def _run_in_window(job: SaveJob[T], cancelled: Event, description: str) -> None:
    """Run a job in a worker of napari, which asks before it closes a window meanwhile, and process events."""
    from napari.qt.threading import create_worker
    from napari.utils.progress import cancelable_progress
    from qtpy.QtCore import QEventLoop, QTimer

    from napari_ome_ngff.plugin.save.closing_guard import guard_window, percent
    from napari_ome_ngff.plugin.save.summary import Meter, share_of

    loop = QEventLoop()
    timer = QTimer()
    timer.setSingleShot(True)  # showing progress processes events: a repeating timer would come in between
    meter = Meter()
    bar = cancelable_progress(total=1, desc=plain(description))
    worker: Any = create_worker(job.run)

    def refresh() -> None:
        if job.latest is not None and not job.done.is_set():
            with _window_may_be_gone():
                _show(bar, job.latest, meter)
        if bar.is_canceled or worker.abort_requested:
            cancelled.set()
        if finished.is_set():
            loop.quit()
        else:
            timer.start(REFRESH_MS)

    def running() -> str:
        latest = job.latest
        return description.removeprefix("Saving ") + percent(None if latest is None else share_of(latest))

    guard = guard_window(choose, running, cancelled.set)
    finished = Event()
    worker.finished.connect(finished.set)
    timer.timeout.connect(refresh)
    with _activity_dock():
        try:
            timer.start(REFRESH_MS)
            worker.start()
            loop.exec()
        finally:
            # The application may have ended the loop: nothing half written may stay.
            if not job.done.is_set():
                cancelled.set()
                job.done.wait()
            timer.stop()
            with _window_may_be_gone():
                bar.close()
                if guard is not None:
                    guard.end()


def _show(bar: Any, progress: Progress, meter: Meter) -> None:
    if bar.total != progress.blocks_total or progress.blocks_done < bar.n:
        bar.total, bar.n = progress.blocks_total, 0
    # napari shows what comes after the last "|" beside the bar: tqdm itself would count blocks.
    bar.bar_format = f"{{desc}}|{meter.pace(progress)}"
    bar.update(progress.blocks_done - bar.n)
    bar.refresh()


def in_words(outcome: Outcome, seconds: float) -> str:
    """How a save ended."""
    from napari_ome_ngff.plugin.save.summary import saved

    words = []
    if outcome.paths:
        of = "" if outcome.folders else " of metadata"
        words.append(saved(outcome.paths, outcome.size, seconds, of=of))
    if outcome.cancelled:
        words.append("Cancelled. Nothing was left behind.")
    if outcome.error is not None:
        words.append(str(outcome.error))
    return "\n".join(words)


@contextmanager
def _activity_dock() -> Iterator[None]:
    """Show napari's activity dock, which has progress and Cancel, and hide it again if it was hidden."""
    from napari.viewer import current_viewer

    viewer = current_viewer()
    entry = None if viewer is None else viewer.window.view_menu.findAction(ACTIVITY)
    if entry is None:
        yield
        return
    viewer.window.view_menu.aboutToShow.emit()  # the menu looks whether the dock is shown when it is opened
    shown = entry.isChecked()
    if not shown:
        entry.trigger()
    try:
        yield
    finally:
        with _window_may_be_gone():
            viewer.window.view_menu.aboutToShow.emit()
            if not shown and entry.isChecked():
                entry.trigger()


def _window_may_be_gone() -> suppress:
    """Where Qt raises RuntimeError for what it has deleted: the user may close the window meanwhile."""
    return suppress(RuntimeError)


def can_ask() -> bool:
    """Whether there is a window to ask in, and this is its thread."""
    return in_gui_thread() and has_window()


def confirm(question: str, details: str, action: str) -> bool:
    """Ask with a dialog; True if `action` was pressed. Enter and Escape press Cancel. Needs `can_ask`."""
    return choose(question, details, [action]) == action


def choose(question: str, details: str, actions: Sequence[str]) -> str | None:
    """Ask which of several things to do; None if Cancel was pressed, as Enter and Escape do."""
    from qtpy.QtCore import Qt
    from qtpy.QtWidgets import QApplication, QLabel, QMainWindow, QMessageBox

    windows = [window for window in QApplication.topLevelWidgets() if isinstance(window, QMainWindow)]
    box = QMessageBox(QApplication.activeWindow() or next(filter(QMainWindow.isVisible, windows), None))
    box.setIcon(QMessageBox.Icon.Warning)
    box.setWindowTitle("OME-Zarr")
    box.setText(question)
    box.setInformativeText(details)
    for label in box.findChildren(QLabel):
        label.setTextFormat(Qt.TextFormat.PlainText)
    buttons = {action: box.addButton(action, QMessageBox.ButtonRole.AcceptRole) for action in actions}
    cancel = box.addButton(QMessageBox.StandardButton.Cancel)
    box.setDefaultButton(cancel)
    box.setEscapeButton(cancel)
    box.exec()
    return next((action for action, button in buttons.items() if box.clickedButton() is button), None)
