"""Run a save to its end while napari's window stays alive, with progress and a button to cancel."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING, Any, TypeVar

from napari_ome_ngff.plugin.notify import has_window
from napari_ome_ngff.plugin.save.summary import Meter

if TYPE_CHECKING:
    from napari_ome_ngff.plugin.save.request import Outcome
    from napari_ome_ngff.writing.save import Progress

T = TypeVar("T")


REFRESH_MS, POLL_MS = 200, 10


ACTIVITY = "napari.window.view.toggle_activity_dock"
"""Id of the entry of napari's View menu that shows and hides the activity dock."""


class Job:
    """Steps that a worker thread takes, as the window sees them.

    Parameters
    ----------
    steps
        Work that yields progress and returns how it ended; it does not raise.
    """

    def __init__(self, steps: Generator[Progress, None, Outcome]) -> None:
        self.steps = steps
        self.latest: Progress | None = None
        self.outcome: Outcome | None = None
        self.done = Event()

    def run(self) -> None:
        """Take all steps. To be called in a thread."""
        try:
            while True:
                self.latest = next(self.steps)
        except StopIteration as end:
            self.outcome = end.value
        finally:
            self.done.set()


def run_steps(steps: Generator[Progress, None, Outcome], cancelled: Event, description: str) -> Outcome:
    """Take all steps; in napari's window in a thread, while the window stays alive.

    Parameters
    ----------
    steps
        Work that yields progress and returns how it ended; it does not raise.
    cancelled
        Set here if the user presses Cancel in the activity dock or closes the window; ends the steps.
    description
        What napari's activity dock says is going on.

    Examples
    --------
    >>> from napari_ome_ngff.plugin.save.request import Outcome
    >>> def steps():
    ...     yield from ()
    ...     return Outcome(paths=("/data/cells.ome.zarr",))
    >>> run_steps(steps(), Event(), "Saving").paths
    ('/data/cells.ome.zarr',)
    """
    job = Job(steps)
    if in_gui_thread() and has_window():
        _run_in_window(job, cancelled, description)
    else:
        job.run()
    assert job.outcome is not None, "it runs to its end"
    return job.outcome


def alive(function: Callable[[], T]) -> T:
    """Return what a function returns; in napari's window it runs in a thread, while the window stays alive.

    The first save imports Zarr and dask, which takes most of a second.

    Examples
    --------
    >>> alive(lambda: 2)
    2
    """
    if not (in_gui_thread() and has_window()):
        return function()
    from qtpy.QtCore import QEventLoop, QTimer

    with ThreadPoolExecutor(1, thread_name_prefix="ome-ngff-plan") as pool:
        future = pool.submit(function)
        loop, timer = QEventLoop(), QTimer()
        timer.timeout.connect(lambda: loop.quit() if future.done() else None)
        timer.start(POLL_MS)
        loop.exec()
        timer.stop()
        return future.result()


def in_gui_thread() -> bool:
    """Tell whether there is a Qt application whose window would freeze; imports no Qt where there is none."""
    if "qtpy.QtWidgets" not in sys.modules or "napari" not in sys.modules:
        return False
    from qtpy.QtCore import QThread
    from qtpy.QtWidgets import QApplication

    app = QApplication.instance()
    return app is not None and app.thread() == QThread.currentThread()


def _run_in_window(job: Job, cancelled: Event, description: str) -> None:
    """Run a job in one of napari's workers, and process events until it is done.

    napari asks before it closes a window while one of its workers runs, and then tells the worker to quit.
    """
    from napari.qt.threading import create_worker
    from napari.utils.progress import cancelable_progress
    from qtpy.QtCore import QEventLoop, QTimer

    loop = QEventLoop()
    timer = QTimer()
    timer.setSingleShot(True)  # showing progress processes events: a repeating timer would come in between
    meter = Meter()
    bar = cancelable_progress(total=1, desc=description)
    worker: Any = create_worker(job.run)

    def refresh() -> None:
        if job.latest is not None and not job.done.is_set():
            _show(bar, job.latest, meter)
        if bar.is_canceled or worker.abort_requested:
            cancelled.set()
        if finished.is_set():
            loop.quit()
        else:
            timer.start(REFRESH_MS)

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
            bar.close()


def _show(bar: Any, progress: Progress, meter: Meter) -> None:
    if bar.total != progress.blocks_total or progress.blocks_done < bar.n:
        bar.total, bar.n = progress.blocks_total, 0
    # napari shows what comes after the last "|" beside the bar: tqdm itself would count blocks.
    bar.bar_format = f"{{desc}}|{meter.pace(progress)}"
    bar.update(progress.blocks_done - bar.n)
    bar.refresh()


@contextmanager
def _activity_dock() -> Iterator[None]:
    """Show napari's activity dock, where progress and Cancel are; hide it again if it was hidden."""
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
        viewer.window.view_menu.aboutToShow.emit()
        if not shown and entry.isChecked():
            entry.trigger()


def can_ask() -> bool:
    """Tell whether there is a window to ask in, and this is its thread.

    Examples
    --------
    >>> can_ask()
    False
    """
    return in_gui_thread() and has_window()


def confirm(question: str, details: str, action: str) -> bool:
    """Ask whether something is to be done; to be called where `can_ask` says that one can.

    Parameters
    ----------
    question
        One sentence.
    details
        What follows.
    action
        What the button says, besides Cancel, which Enter and Escape press.

    Returns
    -------
    bool
        Whether the button was pressed.
    """
    from qtpy.QtWidgets import QApplication, QMainWindow, QMessageBox

    windows = [window for window in QApplication.topLevelWidgets() if isinstance(window, QMainWindow)]
    box = QMessageBox(QApplication.activeWindow() or next(filter(QMainWindow.isVisible, windows), None))
    box.setIcon(QMessageBox.Icon.Warning)
    box.setWindowTitle("OME-NGFF")
    box.setText(question)
    box.setInformativeText(details)
    button = box.addButton(action, QMessageBox.ButtonRole.AcceptRole)
    cancel = box.addButton(QMessageBox.StandardButton.Cancel)
    box.setDefaultButton(cancel)
    box.setEscapeButton(cancel)
    box.exec()
    return box.clickedButton() is button
