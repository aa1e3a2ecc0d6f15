"""A window that several tests use one after the other, as good as new for each."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QApplication

from tests.window_tools import notes, pump, wait_until

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
        viewer = self._viewer
        viewer.layers.clear()
        viewer.dims.ndisplay = 2
        viewer.scene.camera.angles = (0, 0, 90)
        viewer.reset_view()
        viewer.window.remove_dock_widget("all")
        for note in notes(viewer):
            note.close()
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        pump(0.02)
        visible = [one for one in QApplication.topLevelWidgets() if one.isVisible()]
        assert visible == [viewer.window._qt_window]
        assert list(viewer.layers) == []
        assert dict(viewer.window.dock_widgets) == {}
        assert notes(viewer) == []

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
        try:
            wait_until(lambda: _is_gone(QtViewer._instances), seconds=5, why="nothing keeps the window alive")
        finally:
            QtViewer._instances.clear()


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
    ):
        yield
    Application.destroy("window tests")
    forget_actions()
