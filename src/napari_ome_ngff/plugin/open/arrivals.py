"""What shows the rest of pictures that were not complete: a timer in the window's thread."""

from __future__ import annotations

import sys
import threading
import time
from types import FrameType
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QThread, QTimer
from qtpy.QtWidgets import QApplication

from napari_ome_ngff.plugin.open.arriving import PATIENCE, Arriving, pictures_in

if TYPE_CHECKING:
    from napari.layers import Layer

FIRST_MS, LAST_MS = 40, 800  # from one look to the next: soon, then rarely, as drawing takes its time, too

PAUSE_MS = 30  # without a request, before more is read

NAPARI_ADDS = "napari.components.viewer_model"

STATUS = "Loading "  # how what is said in the status bar begins


class Arrivals(QObject):
    """Shows what has arrived, of all layers of all viewers; there is one for an application."""

    def __init__(self, application: QApplication) -> None:
        super().__init__(application)
        self._deadline = 0.0
        self._is_showing = False
        self.is_idle = threading.Event()
        self.is_idle.set()
        self.is_over = False
        application.aboutToQuit.connect(self._end)
        self._turn, self._pause, self._tick = QTimer(self), QTimer(self), QTimer(self)
        self._turn.setSingleShot(True)
        self._pause.setSingleShot(True)
        self._pause.setInterval(PAUSE_MS)
        self._pause.timeout.connect(self._go_on)
        self._tick.timeout.connect(self._look)

    def time_left(self) -> float:
        """Seconds that the window may still wait in this turn of the event loop."""
        if not self._turn.isActive():
            self._deadline = time.monotonic() + PATIENCE
            self._turn.start()
        return max(0.0, self._deadline - time.monotonic())

    def watch(self, *, is_late: bool) -> None:
        """Show the rest when it comes, which is read when nothing else is left to do; then let go of it."""
        if is_late:
            self.is_idle.clear()
            self._pause.start()
        if is_late and not self._is_showing:
            self._tick.start(FIRST_MS)
        elif not self._tick.isActive():
            self._tick.start(LAST_MS)

    def _end(self) -> None:
        self.is_over = True
        self.is_idle.set()

    def _go_on(self) -> None:
        # While napari adds one layer after the other, it lets events pass.
        frame: FrameType | None = sys._getframe()
        while frame is not None and frame.f_globals.get("__name__") != NAPARI_ADDS:
            frame = frame.f_back
        if frame is None:
            self.is_idle.set()
        else:
            self._pause.start()

    def _look(self) -> None:
        self._is_showing = True
        try:
            is_left = self._show()
        finally:
            self._is_showing = False
        if is_left:
            self._tick.start(min(LAST_MS, self._tick.interval() * 3 // 2))
        else:
            self._tick.stop()

    def _show(self) -> bool:
        from napari_ome_ngff.plugin.open.viewer_hooks import open_viewers

        left = False
        for viewer in open_viewers():
            layers: dict[Arriving, list[Layer]] = {}
            for layer in viewer.layers:
                for pictures in pictures_in(layer):
                    layers.setdefault(pictures, []).append(layer)
            fresh = [pictures for pictures in layers if pictures.has_news()]
            for layer in dict.fromkeys(layer for pictures in fresh for layer in layers[pictures]):
                if layer.visible:
                    layer.refresh(extent=False, highlight=False)
            for pictures in fresh:
                pictures.drop_unseen()
            left |= bool(sum(pictures.let_go() for pictures in layers))
            if any(pictures.is_late() for pictures in layers):
                arrived, parts = map(sum, zip(*(pictures.share() for pictures in layers), strict=True))
                viewer.status = f"{STATUS}the picture ... {100 * arrived // max(1, parts)} %"
            elif str(viewer.status).startswith(STATUS):
                viewer.status = "Ready"
        return left


def arrivals() -> Arrivals | None:
    """The one of this application; None outside of the thread, and the event loop, of its window."""
    # A script that slices before its window runs would never see the rest: there everything is read at once.
    application: Any = QApplication.instance()
    thread: Any = QThread.currentThread()
    if application is None or thread is not application.thread() or thread.loopLevel() == 0:
        return None
    return application.findChild(Arrivals) or Arrivals(application)
