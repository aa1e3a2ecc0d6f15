"""A window that is closed while a save runs asks first, and closes once nothing of the save is left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from qtpy.QtCore import QEvent, QObject, QTimer
from qtpy.QtWidgets import QMainWindow

STOP = "Stop and close"


class ClosingGuard(QObject):
    """Asks before a window is closed, for as long as a save runs."""

    # `ask` shows a question, details and answers; `running` says what runs and how far it is; `stop` ends it.
    def __init__(
        self,
        window: Any,
        ask: Callable[[str, str, Sequence[str]], str | None],
        running: Callable[[], str],
        stop: Callable[[], None],
    ) -> None:
        super().__init__(window)
        self._window, self._ask, self._running, self._stop = window, ask, running, stop
        self._closing = self._over = False
        window.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Qt asks whether an event of the window goes no further."""
        if event is None or event.type() != QEvent.Type.Close:
            return False
        if not self._window._qt_viewer.isVisible():  # a script closes the viewer: nobody is asked
            return False
        event.ignore()
        if self._closing:
            return True
        details = "If you stop it, nothing of it is left, and what was there before stays as it was."
        self._closing = self._ask(f"A save is running: {self._running()}", details, [STOP]) == STOP
        if self._closing and self._over:
            self._close()
        elif self._closing:
            self._stop()
        return True

    def end(self) -> None:
        """The save has ended: the window closes now, if it was to."""
        self._over = True
        with suppress(RuntimeError):  # Qt has deleted the window
            self._window.removeEventFilter(self)
        if self._closing:
            self._close()

    def _close(self) -> None:
        # napari's own `close` would forget that the whole application is to end.
        QTimer.singleShot(0, lambda: QMainWindow.close(self._window))


def guard_window(
    ask: Callable[[str, str, Sequence[str]], str | None],
    running: Callable[[], str],
    stop: Callable[[], None],
) -> ClosingGuard | None:
    """Guard the current window, if there is one."""
    from napari.viewer import current_viewer

    viewer = current_viewer()  # the viewer that a dock is given hides its window
    window = getattr(getattr(viewer, "window", None), "_qt_window", None)
    return None if window is None else ClosingGuard(window, ask, running, stop)


def percent(share: float | None) -> str:
    """``, 40 %``, or nothing if that is not known yet."""
    return "" if share is None else f", {round(100 * share)} %"
