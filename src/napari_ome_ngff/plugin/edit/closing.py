"""Changes that are not saved are asked about before their layer, or the window, is closed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QObject

from napari_ome_ngff.editing.label_edit import is_in_file
from napari_ome_ngff.plugin import notify
from napari_ome_ngff.plugin.edit.edited_layer import edited_layers, view_of
from napari_ome_ngff.plugin.edit.new_label import take_over_button
from napari_ome_ngff.plugin.edit.save_painted import save_now
from napari_ome_ngff.plugin.open.viewer_hooks import open_viewers
from napari_ome_ngff.plugin.save.progress import can_ask, choose

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer

SAVE, DISCARD = "Save changes", "Discard changes"


class CloseGuard(QObject):
    """Asks when a layer with unsaved changes is closed, or the window that shows one."""

    def __init__(self, viewer: Viewer) -> None:
        window = viewer.window._qt_window
        super().__init__(window)
        self._viewer = viewer
        self._saving = False
        window.installEventFilter(self)
        viewer.layers.events.removed.connect(self._on_removed)
        viewer.layers.selection.events.active.connect(self._on_active, position="last")
        self._on_active()

    def _on_active(self, event: Any = None) -> None:
        """Of what is selected napari makes new controls, in the course of this event: it goes first."""
        take_over_button(self._viewer.window._qt_window, self._viewer)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Qt asks whether an event of the window goes no further."""
        if event is None or event.type() != QEvent.Type.Close:
            return False
        changed = edited_layers(list(self._viewer.layers))
        if not self._saving and (not changed or self._settled(changed)):
            return False
        event.ignore()
        return True

    def _on_removed(self, event: Any) -> None:
        layer = event.value
        view = view_of(layer)
        if view is None or not edited_layers([layer]) or is_in_file(view.edit) or self._settled([layer]):
            return
        self._viewer.layers.insert(min(event.index, len(self._viewer.layers)), layer)

    def _settled(self, layers: Sequence[Layer]) -> bool:
        """Save or discard the changes of layers, as the user says; False if they are to stay.

        The window lives while it saves, but cannot be closed.
        """
        if not can_ask():
            return True
        names = ", ".join(layer.name for layer in layers)
        answer = choose(
            f"Save the changes of {names}?", "They are lost if you discard them.", [SAVE, DISCARD]
        )
        if answer is None:
            return False
        self._saving = True
        try:
            return all(self._ended(layer, answer) for layer in layers)
        finally:
            self._saving = False

    def _ended(self, layer: Layer, answer: str) -> bool:
        view = view_of(layer)
        if view is None:
            return True
        if answer == DISCARD:
            view.edit.discard()
            return True
        message = save_now(layer)
        if view.edit.dirty.chunks:
            notify.warn(message)
            return False
        return True


def guard(layer: Layer) -> None:
    """Have unsaved changes in the viewer of a layer asked about; calling it again does nothing."""
    for viewer in open_viewers():  # what a dock is given hides the window
        window = getattr(viewer, "window", None)
        if window is not None and layer in viewer.layers and window._qt_window.findChild(CloseGuard) is None:
            CloseGuard(viewer)
