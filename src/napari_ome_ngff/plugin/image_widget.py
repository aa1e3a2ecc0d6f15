"""The dock "OME-Zarr image": what the selected layer's image is, correct it, and paint its labels.

State flows one way: the selected layer -> its origin -> what is shown. What buttons do is decided in
:mod:`napari_ome_ngff.plugin.edit`; here it is only shown.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QComboBox, QLineEdit, QProgressBar, QPushButton, QScrollArea, QVBoxLayout, QWidget

from napari_ome_ngff.errors import OmeNgffError
from napari_ome_ngff.plugin import notify
from napari_ome_ngff.plugin.edit import actions
from napari_ome_ngff.plugin.edit.choose_system import current_system, show_in_system
from napari_ome_ngff.plugin.edit.dock_parts import (
    axes_table,
    fill_rows,
    labelled,
    push_button,
    text_label,
    titled_box,
    typed_rows,
)
from napari_ome_ngff.plugin.edit.edited_layer import view_of
from napari_ome_ngff.plugin.edit.image_facts import axis_rows
from napari_ome_ngff.plugin.edit.save_painted import save_in_thread
from napari_ome_ngff.plugin.edit.show_rois import show_rois
from napari_ome_ngff.plugin.open.levels_in_3d import levels_in_3d
from napari_ome_ngff.plugin.origin import Origin, origin_of
from napari_ome_ngff.plugin.save.summary import amount, share_of
from napari_ome_ngff.plugin.save_panel.panel_parts import FOCUS, end_with_dock

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_ome_ngff.writing.save import Progress

STEPS = 1000
"""Resolution of the progress bar."""


MARK_MS = 500
"""How often to look whether something was painted."""


NOTHING = "Select a layer that was opened from an OME-Zarr image."


class ImageWidget(QScrollArea):
    """See and correct what a file says, and paint on its labels. napari finds `napari_viewer` by its name."""

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._layer: Layer | None = None
        self.heading = text_label(bold=True)
        self.facts = text_label()
        self.system = QComboBox()
        self.system.setToolTip("Show all layers of what was opened in one of its coordinate systems.")
        self.name = QLineEdit()
        self.axes = axes_table()
        self.apply_button = push_button(
            "Apply to layers", "Show all layers of the image so. The file stays as it is."
        )
        self.save_button = push_button(
            "Save to file", "Write what is corrected, and how the layers look. Pixels are not touched."
        )
        self.edit_button = push_button("Edit labels", "Make the layer paintable at full resolution.")
        self.save_edit_button = push_button("Save changes", "Write what was painted, in all levels.")
        self.discard_button = push_button("Discard changes", "Go back to what is in the file.")
        self.new_button = push_button("New labels", "Add an empty label image to the image of this layer.")
        self.plain_button = push_button(
            "Add level as plain layer",
            "The level that is shown, lazy and in its place: for plugins that cannot take levels.",
        )
        self.rois_button = push_button(
            "Show ROI tables", "Add the tables of regions beside the image as Shapes."
        )
        self.volume = text_label()
        self.finer_button = push_button("Finer", "Show the image at the next finer level in 3D.")
        self.coarser_button = push_button("Coarser", "Show it at the next coarser level.")
        self.status = text_label()
        self.progress = QProgressBar()
        self.progress.setRange(0, STEPS)
        self._arrange()
        self._connect()
        timer = QTimer(self)
        timer.timeout.connect(self._show_mark)
        timer.start(MARK_MS)
        self.refresh()

    def _arrange(self) -> None:
        inner = QWidget()
        column = QVBoxLayout(inner)
        for widget in (self.heading, self.facts):
            column.addWidget(widget)
        self.system_box = titled_box("Coordinate system", [self.system], [])
        column.addWidget(self.system_box)
        column.addWidget(
            titled_box(
                "Correct what the file says",
                [labelled("Name", self.name), self.axes],
                [self.apply_button, self.save_button],
            )
        )
        self.volume_box = titled_box("In 3D", [self.volume], [self.finer_button, self.coarser_button])
        column.addWidget(self.volume_box)
        painting = [self.edit_button, self.save_edit_button, self.discard_button]
        column.addWidget(titled_box("Labels", [], painting))
        column.addWidget(titled_box("Add", [self.rois_button], [self.new_button, self.plain_button]))
        column.addWidget(self.status)
        column.addWidget(self.progress)
        column.addStretch()
        self.progress.hide()
        self.setWidget(inner)
        self.setWidgetResizable(True)
        self.setMinimumWidth(360)
        self.setStyleSheet(FOCUS)

    def _connect(self) -> None:
        layers = self._viewer.layers
        layers.selection.events.active.connect(self.refresh)
        end_with_dock(self, lambda: layers.selection.events.active.disconnect(self.refresh))
        for button, action in (
            (self.apply_button, self._apply),
            (self.save_button, self._save_metadata),
            (self.edit_button, self._edit),
            (self.save_edit_button, self._save_changes),
            (self.discard_button, self._discard),
            (self.new_button, self._new_labels),
            (self.plain_button, self._plain_level),
            (self.finer_button, lambda: levels_in_3d(self._viewer).step(self._layer, -1)),
            (self.coarser_button, lambda: levels_in_3d(self._viewer).step(self._layer, 1)),
            (self.rois_button, lambda: show_rois(self._viewer, self._layer)),
        ):
            button.clicked.connect(self._told(action))
        chosen = self._told(self._choose_system)
        self.system.activated.connect(lambda _: chosen())

    def _told(self, action: Callable[[], str | None]) -> Callable[[], None]:
        """Do what a button does, and say how it ended: an error too."""

        def run() -> None:
            try:
                message = action()
            except OmeNgffError as error:
                message = str(error)
                notify.warn(message)
            if message is not None:
                self.refresh()
                self.status.setText(message)

        return run

    def refresh(self, event: Any = None) -> None:
        """Show the selected layer's image."""
        layer = self._viewer.layers.selection.active
        origin = _origin(layer)
        changed = layer != self._layer  # not "is": what a dock is given are proxies
        self._layer = layer
        for button in self.findChildren(QPushButton):
            button.setEnabled(origin is not None)
        view = None if layer is None else view_of(layer)
        self.edit_button.setEnabled(origin is not None and actions.is_label(layer) and view is None)
        self.save_edit_button.setEnabled(view is not None)
        self.discard_button.setEnabled(view is not None)
        self._list_systems(origin)
        self._show_mark()
        if origin is None or layer is None:
            self.heading.setText(NOTHING)
            self.facts.setText("")
            fill_rows(self.axes, [])
            return
        if changed:
            self.status.setText("")
            self.name.setText(origin["multiscale"].name or "")
            fill_rows(self.axes, axis_rows(origin["multiscale"]))
            self._ask_for_facts(origin["location"])

    def _list_systems(self, origin: Origin | None) -> None:
        systems = () if origin is None else origin["systems"]
        self.system_box.setVisible(len(systems) > 1)
        self.system.clear()
        self.system.addItems(systems)
        self.system.setCurrentText((None if origin is None else current_system(origin)) or "")

    def _choose_system(self) -> str:
        return show_in_system(self._viewer, self._layer, self.system.currentText())

    def _show_mark(self) -> None:
        """What changes by itself: the level in 3D, and how much is painted and not saved."""
        layer = self._layer
        volume = "" if layer is None else levels_in_3d(self._viewer).text(layer)
        self.volume.setText(volume[:1].upper() + volume[1:])
        self.volume_box.setVisible(bool(volume))
        if layer is None or _origin(layer) is None:
            return
        view = view_of(layer)
        dirty = 0 if view is None else view.edit.dirty.chunks
        changes = f" — {dirty} chunk{'s' * (dirty > 1)} painted, not saved"
        self.heading.setText(layer.name + (changes if dirty else "" if view is None else " — being edited"))

    def _ask_for_facts(self, location: str) -> None:
        """Fill in what takes time to find out: size on disk, chunks and codecs."""
        from napari.qt.threading import create_worker

        from napari_ome_ngff.plugin.edit.image_facts import image_facts

        self.facts.setText(location)

        def told(text: str) -> None:
            if (origin := _origin(self._layer)) is not None and origin["location"] == location:
                self.facts.setText(text)

        worker = create_worker(image_facts, location)
        worker.returned.connect(told)
        worker.start()

    def _apply(self) -> str:
        return actions.apply_corrections(self._viewer, self._layer, self.name.text(), typed_rows(self.axes))

    def _save_metadata(self) -> str:
        message = actions.save_corrections(self._viewer, self._layer, self.name.text(), typed_rows(self.axes))
        self._layer = None  # what the file says is shown anew
        return message

    def _edit(self) -> str:
        return actions.paint_labels(self._viewer, self._layer)

    def _discard(self) -> str:
        return actions.discard_changes(self._viewer, self._layer)

    def _new_labels(self) -> str:
        return actions.new_labels(self._viewer, self._layer)

    def _plain_level(self) -> str | None:
        return actions.add_plain_level(self._viewer, self._layer)

    def _save_changes(self) -> str | None:
        """Save in a thread; painting goes on meanwhile."""
        save_in_thread(self._layer, progress=self._on_progress, ended=self._on_saved)
        self.progress.show()
        self.save_edit_button.setEnabled(False)
        self.status.setText("Saving changes…")
        return None

    def _on_progress(self, progress: Progress) -> None:
        self.progress.setValue(round(share_of(progress) * STEPS))
        self.status.setText(f"{progress.message}: {amount(progress.bytes_done)}")

    def _on_saved(self, message: str) -> None:
        self.progress.hide()
        self.refresh()
        self.status.setText(message)
        notify.inform(message)


def _origin(layer: Layer | None) -> Origin | None:
    return None if layer is None else origin_of({"metadata": layer.metadata})
