"""Plans are made in a thread where napari's window runs: one at a time, and only the newest is shown."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from qtpy.QtCore import QTimer

from napari_ome_ngff.errors import OmeNgffError
from napari_ome_ngff.plugin.save.progress import POLL_MS, event_loop_runs
from napari_ome_ngff.plugin.save.request import Preview

if TYPE_CHECKING:
    from qtpy.QtCore import QObject

Make = Callable[[], Preview]
Show = Callable[[Preview], None]

_log = logging.getLogger(__name__)


class Planner:
    """Makes the plan of what is in a panel now; what was asked for before is not shown any more."""

    def __init__(self, panel: QObject) -> None:
        self._next: tuple[Make, Show] | None = None
        self._show: Show | None = None
        self._running: Future[Preview] | None = None
        self._timer = QTimer(panel)  # is gone with the panel: then nothing is shown
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self._look)

    def plan(self, make: Make, show: Show) -> None:
        """Make a plan, and show it unless another one is asked for first; at once where no window runs."""
        self._show = None
        if not event_loop_runs():
            self._next = None
            show(make())
            return
        self._next = make, show
        if self._running is None:
            self._begin()

    def _begin(self) -> None:
        assert self._next is not None
        (make, self._show), self._next = self._next, None
        thread = ThreadPoolExecutor(1, thread_name_prefix="ome-ngff-plan")
        self._running = thread.submit(make)
        thread.shutdown(wait=False)
        self._timer.start()

    def _look(self) -> None:
        if self._running is None or not self._running.done():
            return
        self._timer.stop()
        planned, show = self._running, self._show
        self._running = self._show = None
        if self._next is not None:
            self._begin()
        elif show is not None:
            show(_result(planned))


def _result(planned: Future[Preview]) -> Preview:
    try:
        return planned.result()
    except Exception as error:  # noqa: BLE001 - a defect: it is told where the plan would be
        _log.exception("planning failed")
        return Preview(problem=OmeNgffError(f"Planning failed: {error}", found=type(error).__name__))
