"""The dialog that asks what to open: a folder, a file, an address, or a place of before."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QApplication,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_ome_ngff.errors import OmeNgffError
from napari_ome_ngff.storage.places.location import is_url, local_path
from napari_ome_ngff.storage.places.node_documents import DOCUMENTS

_FILES = f"OME-Zarr (*.ozx *.zip {' '.join(DOCUMENTS)})"


class OpenDialog(QDialog):
    """Asks for a place and opens it; where that fails, it says why and asks again."""

    def __init__(
        self, parent: QWidget | None, *, folder: str, recent: Sequence[str], open_place: Callable[[str], None]
    ) -> None:
        super().__init__(parent)
        self._folder = folder
        self._open = open_place
        self.setWindowTitle("Open OME-Zarr")
        self.setMinimumWidth(560)
        self.line = QLineEdit()
        self.line.setPlaceholderText("Path or address, such as https://example.org/cells.ome.zarr")
        self.line.setClearButtonEnabled(True)
        self.recent = QListWidget()
        self.recent.addItems(list(recent))
        self.problem = QLabel()
        self.problem.setTextFormat(Qt.TextFormat.PlainText)  # names in files are anyone's
        self.problem.setWordWrap(True)
        self.problem.setStyleSheet("color: #e0554f;")
        self._lay_out()

    def _lay_out(self) -> None:
        choose = QHBoxLayout()
        for text, ask in (("Choose folder…", self._ask_folder), ("Choose file…", self._ask_file)):
            button = QPushButton(text)
            button.setAutoDefault(False)
            button.clicked.connect(ask)
            choose.addWidget(button)
        choose.addStretch()
        standard = QDialogButtonBox.StandardButton
        buttons = QDialogButtonBox(standard.Open | standard.Cancel)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        self._go: Any = buttons.button(standard.Open)
        layout = QVBoxLayout(self)
        layout.addWidget(
            QLabel("A folder, a file (.ozx, .zip), or an address (https://, s3://, gs://, az://):")
        )
        layout.addWidget(self.line)
        layout.addLayout(choose)
        if self.recent.count():
            layout.addWidget(QLabel("Recent places:"))
            layout.addWidget(self.recent)
        layout.addWidget(self.problem)
        layout.addWidget(buttons)
        self.problem.hide()
        self.line.textChanged.connect(self._on_text)
        self.recent.currentTextChanged.connect(self.line.setText)
        self.recent.itemDoubleClicked.connect(lambda item: self.accept())
        self._on_text()

    def place(self) -> str:
        """What was typed or pasted, without the quotes that file managers put around a path."""
        text = local_path(self.line.text().strip().strip("\"'"))
        return text if is_url(text) else os.path.expanduser(text)

    def accept(self) -> None:
        """Open what was typed; the dialog stays, with the reason, if that fails."""
        if not self.place():
            return
        self.problem.hide()
        QApplication.setOverrideCursor(Qt.CursorShape.WaitCursor)
        try:
            self._open(self.place())
        except OmeNgffError as error:
            self.problem.setText(str(error))
            self.problem.show()
        else:
            super().accept()
        finally:
            QApplication.restoreOverrideCursor()

    def _on_text(self) -> None:
        self.problem.hide()
        self._go.setEnabled(bool(self.place()))

    def _ask_folder(self) -> None:
        self._take(QFileDialog.getExistingDirectory(self, "Folder of an OME-Zarr image", self._start()))

    def _ask_file(self) -> None:
        files = f"{_FILES};;All files (*)"
        self._take(QFileDialog.getOpenFileName(self, "File of an OME-Zarr image", self._start(), files)[0])

    def _take(self, path: str) -> None:
        if path:
            self.line.setText(path)

    def _start(self) -> str:
        """The folder in which choosing starts: where the typed place is, else where napari was last."""
        above = os.path.dirname(self.place())
        return above if os.path.isdir(above) else self._folder
