"""A window that several tests use one after the other, as good as new for each."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QApplication

from napari_ome_ngff.plugin.edit.edited_layer import edited_layers
from tests.window_tools import let_go_of_errors, notes, notifications, pump, wait_until

SIZE = (1100, 800)


class SharedWindow:
    """A napari window, shown, made when it is first asked for and again after it was closed."""

    def __init__(self) -> None:
        self._viewer: Any = None
        self._surroundings = ExitStack()

    def viewer(self) -> Any:
        """Return the viewer of a window that is as good as new."""
        import napari

        if self._viewer is None:
            self._surroundings.enter_context(app_of_its_own())
            self._viewer = napari.Viewer(show=True, show_welcome_screen=False)
        gc.collect()
        gc.freeze()  # what lives now is not looked at again
        self._viewer.window.resize(*SIZE)
        pump(0.02)
        return self._viewer

    def clean(self) -> None:
        """Take out what a test has left, and fail where something stays."""
        from napari.settings import get_settings

        get_settings().reset()
        if not hasattr(self._viewer.window, "_qt_window"):  # the test has closed it
            self._forget()
            return
        self._put_back()
        # Names alone: an error that held widgets would keep the window alive, and fail the module as well.
        assert self._left_behind() == []

    def _put_back(self) -> None:
        viewer = self._viewer
        for layer in edited_layers(list(viewer.layers)):
            layer.data.edit.discard()  # nobody is there to say what becomes of it
        viewer.layers.clear()
        viewer.dims.ndisplay = 2
        viewer.scene.camera.angles = (0, 0, 90)
        viewer.reset_view()
        viewer.window.remove_dock_widget("all")
        # A failed chunk is told a while later: not here, where nobody waits for it any more.
        timers = [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]
        for timer in timers:
            timer.cancel()
        wait_until(lambda: not any(timer.is_alive() for timer in timers), why="messages cancelled")
        pump(0.02)
        for note in notes(viewer):
            note.close()
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        pump(0.02)

    def _left_behind(self) -> list[str]:
        viewer = self._viewer
        shown = [one for one in QApplication.topLevelWidgets() if one.isVisible()]
        return [
            *(repr(one) for one in shown if one is not viewer.window._qt_window),
            *_docks_alive(),
            *(layer.name for layer in viewer.layers),
            *viewer.window.dock_widgets,
            *notifications(viewer),
        ]

    def close(self) -> None:
        """Close the window, and fail if anything keeps it alive."""
        if self._viewer is not None:
            with patch.object(self._viewer.window._qt_window, "_save_current_window_settings"):
                self._viewer.close()
            self._forget()

    def _forget(self) -> None:
        from napari._qt.qt_viewer import QtViewer

        self._viewer = None
        self._surroundings.close()
        let_go_of_errors()
        gc.unfreeze()
        try:
            wait_until(lambda: _is_gone(QtViewer._instances), seconds=5, why="nothing keeps the window alive")
        finally:
            QtViewer._instances.clear()
            gc.freeze()


def _docks_alive() -> list[str]:
    """Return our widgets: one whose dock is closed would go on planning and reading, unseen."""

    def ours() -> list[str]:
        widgets = QApplication.allWidgets()
        return [repr(one) for one in widgets if type(one).__module__.startswith("napari_ome_ngff")]

    if ours():
        gc.collect()  # some only keep themselves
    return ours()


def _is_gone(instances: Any) -> bool:
    gc.collect()
    return len(instances) == 0


@contextmanager
def app_of_its_own() -> Iterator[None]:
    """Do for one window what napari's `make_napari_viewer` does for one test."""
    from app_model import Application
    from napari._app_model._app import NapariApplication, _napari_names
    from napari._qt._qapp_model.qactions import init_qactions
    from napari.plugins import _initialize_plugins
    from napari.settings import get_settings

    def forget_actions() -> None:
        _initialize_plugins.cache_clear()
        init_qactions.cache_clear()

    get_settings().reset()
    forget_actions()
    app = NapariApplication("window tests")
    app.injection_store.namespace = _napari_names
    with (
        patch.object(NapariApplication, "get_app_model", return_value=app),
        patch("napari._qt.threads.status_checker.StatusChecker.start"),
        # napari collects whenever a layer goes, for drivers of Windows: 0.2 s each. We do once for each test.
        patch("napari._vispy.canvas.gc", gc if sys.platform == "win32" else SimpleNamespace(collect=int)),
    ):
        yield
    # Menus of a window that is gone fail at each of 200 commands, and psygnal looks up each traceback.
    app.menus.menus_changed.disconnect()
    Application.destroy("window tests")
    forget_actions()
