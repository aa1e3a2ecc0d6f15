"""Run a save to its end while napari's window stays alive, with progress and a button to cancel."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import closing
from threading import Event
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.errors import CancelledError, OmeNgffError

if TYPE_CHECKING:
    from napari_ome_ngff.pyramid.write import Progress

REFRESH_MS = 50


class Job:
    """Steps that a worker thread takes, as the window sees them.

    Whatever ends the steps is kept here, never raised in the worker: napari would report it a second time,
    and a RuntimeError raised in a worker's generator would be lost.

    Parameters
    ----------
    steps
        Work that yields progress; closing it takes back what it did.
    """

    def __init__(self, steps: Generator[Progress, None, None]) -> None:
        self.steps = steps
        self.latest: Progress | None = None
        self.error: Exception | None = None
        self.cancel = Event()
        self.cancelled = False
        self.done = Event()

    def run(self) -> None:
        """Take all steps, or as many as there are before `cancel` is set. To be called in a thread."""
        try:
            with closing(self.steps):
                for step in self.steps:
                    self.latest = step
                    # With the last step everything is in its place: then it is too late to cancel.
                    if self.cancel.is_set() and step.blocks_done < step.blocks_total:
                        self.cancelled = True
                        break
        except Exception as error:  # noqa: BLE001 - `outcome` raises it in the caller's thread
            self.error = error
        finally:
            self.done.set()

    def outcome(self) -> None:
        """Raise what ended the steps early.

        Raises
        ------
        CancelledError
            If they were cancelled.
        OmeNgffError
            If they failed.
        """
        # Given away: napari keeps its workers, and with them the error's traceback would keep the window.
        error, self.error = self.error, None
        if isinstance(error, OmeNgffError):
            raise error
        if error is not None:
            # napari swallows a ValueError that leaves a writer.
            raise OmeNgffError(f"Saving failed: {error}", found=f"{type(error).__name__}: {error}") from error
        if self.cancelled:
            raise CancelledError("Saving was cancelled. Nothing was left behind.")


def run_steps(steps: Generator[Progress, None, None], description: str) -> None:
    """Take all steps; in napari's window in a thread, while the window stays alive.

    Parameters
    ----------
    steps
        Work that yields progress.
    description
        What napari's activity dock says is going on.

    Raises
    ------
    CancelledError
        If the user pressed Cancel in the activity dock, or closed the window.
    OmeNgffError
        If the steps failed.

    Examples
    --------
    >>> def steps():
    ...     yield from ()
    >>> run_steps(steps(), "Saving")
    """
    job = Job(steps)
    if _in_gui_thread():
        _run_in_window(job, description)
    else:
        job.run()
    job.outcome()


def _in_gui_thread() -> bool:
    """Tell whether there is a Qt application whose window would freeze; imports no Qt where there is none."""
    if "qtpy.QtWidgets" not in sys.modules or "napari" not in sys.modules:
        return False
    from qtpy.QtCore import QThread
    from qtpy.QtWidgets import QApplication

    app = QApplication.instance()
    return app is not None and app.thread() == QThread.currentThread()


def _run_in_window(job: Job, description: str) -> None:
    """Run a job in one of napari's workers, and process events until it is done.

    napari asks before it closes a window while one of its workers runs, and then tells the worker to quit.
    """
    from napari.qt.threading import create_worker
    from napari.utils.progress import cancelable_progress
    from qtpy.QtCore import QEventLoop, QTimer

    loop = QEventLoop()
    timer = QTimer()
    timer.setSingleShot(True)  # showing progress processes events: a repeating timer would come in between
    bar = cancelable_progress(total=1, desc=description)
    worker: Any = create_worker(job.run)

    def refresh() -> None:
        if job.latest is not None and not job.done.is_set():
            _show(bar, job.latest)
        if bar.is_canceled or worker.abort_requested:
            job.cancel.set()
        if finished.is_set():
            loop.quit()
        else:
            timer.start(REFRESH_MS)

    finished = Event()
    worker.finished.connect(finished.set)
    timer.timeout.connect(refresh)
    try:
        timer.start(REFRESH_MS)
        worker.start()
        loop.exec()
    finally:
        # The application may have ended the loop: nothing half written may stay.
        if not job.done.is_set():
            job.cancel.set()
            job.done.wait()
        timer.stop()
        bar.close()


def _show(bar: Any, progress: Progress) -> None:
    if bar.total != progress.blocks_total:
        bar.total = progress.blocks_total
    if progress.blocks_done > bar.n:
        bar.update(progress.blocks_done - bar.n)
