"""A line for each axis of an image: name, type, unit, voxel size; and what it is, with one click."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_ome_ngff.errors import OptionError
from napari_ome_ngff.plugin.layer_axes.axes_of_layer import OTHER
from napari_ome_ngff.plugin.save.from_layers import SAVED_KINDS
from napari_ome_ngff.plugin.save_panel.panel_parts import in_tab_order
from napari_ome_ngff.plugin.save_panel.said_axes import (
    SERIES,
    ImageAxes,
    SaidAxis,
    as_series,
    changed,
    image_axes,
    say,
)

if TYPE_CHECKING:
    from napari.layers import Layer

TYPES = {"space": "space", "time": "time", "channel": "channel", OTHER: "other", "": "unknown"}
"""Types of an axis, and what they are called."""

UNITS = {
    "space": ("micrometer", "nanometer", "millimeter", "angstrom"),
    "time": ("second", "millisecond", "minute", "hour"),
}
"""Usual units; others are typed."""

HEADER = ("Axis", "Type", "Unit", "Voxel size")


class AxisLines(QWidget):
    """Shows the axes of the image that is written, and gives its layers what is changed of them."""

    def __init__(self, viewer: Any, *, after: Any = None) -> None:  # the widget before it, for the keyboard
        super().__init__()
        self._viewer = viewer
        self._after = self if after is None else after
        self._chosen: Sequence[Layer] = ()
        self.image: ImageAxes | None = None
        self.title, self.trouble = QLabel(), QLabel()
        for label in (self.title, self.trouble):
            label.setTextFormat(Qt.TextFormat.PlainText)  # names in files are anyone's
            label.setWordWrap(True)
            label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.series = {name: QPushButton(name) for name in SERIES}
        first, column = QHBoxLayout(), QVBoxLayout(self)
        first.addWidget(self.title, 1)
        for name, button in self.series.items():
            button.clicked.connect(partial(self._say_series, name))
            first.addWidget(button)
        self._grid = QGridLayout()
        self._grid.setVerticalSpacing(2)
        for j, stretch in enumerate((2, 3, 4, 3)):
            self._grid.setColumnStretch(j, stretch)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(first)
        column.addLayout(self._grid)
        column.addWidget(self.trouble)
        self.lines: list[_Line] = []
        self._header = [QLabel(text) for text in HEADER]
        for j, label in enumerate(self._header):
            self._grid.addWidget(label, 0, j)
        self.hide()

    def offer(self, chosen: Sequence[Layer]) -> None:
        """Show the axes of the image that some layers are, as they are now."""
        self._chosen = chosen
        image = image_axes(self._viewer, chosen)
        self.setVisible(image is not None)
        self.trouble.hide()
        if image is None or image == self.image:
            self.image = image
            return
        self.image = image
        others = [each for each in chosen if each._type_string in SAVED_KINDS and each not in image.layers]
        self.title.setText(f"Axes of {image.name}" if others else "Axes")
        for name, button in self.series.items():
            names = SERIES[name].get(len(image.rows))
            button.setVisible(names is not None and len(set(names[:-2])) > 0 and not _is_useless(name, image))
            if names is not None:
                button.setToolTip(f"The axes are {', '.join(names)}.")
        shown = [button for button in self.series.values() if not button.isHidden()]
        self.title.setVisible(bool(others or shown))
        while len(self.lines) < len(image.rows):
            self.lines.append(_Line(self, len(self.lines)))
            lines = [widget for line in self.lines for widget in line.widgets]
            in_tab_order(*[self._after, *self.series.values(), *lines])
        for line, row in zip(self.lines, image.rows, strict=False):
            line.show_row(row, placed=image.placed)
        for line in self.lines[len(image.rows) :]:
            line.hide()

    def follow(self) -> None:
        """Another layer is active: show the axes of its image."""
        self.offer([layer for layer in self._chosen if layer in self._viewer.layers])

    def edited(self, index: int, row: SaidAxis) -> None:
        """Give the layers what was typed into one line, or say why that cannot be."""
        if self.image is None or row == self.image.rows[index]:
            return
        try:
            rows = changed(self.image.rows, index, row, self.image.inserted)
        except OptionError as error:
            self._refuse(str(error))
            return
        self._say(rows)

    def _say(self, rows: Sequence[SaidAxis]) -> None:
        image, self.image = self.image, None
        if image is not None:
            step = self._viewer.dims.current_step
            say(image, rows)
            factors = [new.step / old.step for new, old in zip(rows, image.rows, strict=True)]
            self._keep_view(step, dict(zip(image.at, factors, strict=True)))
            self.offer(self._chosen)

    def _keep_view(self, step: tuple[int, ...], factors: Mapping[int, float]) -> None:
        """Show the slice and the part of it that were shown before voxels got another size."""
        if set(factors.values()) == {1}:
            return
        dims, camera = self._viewer.dims, getattr(self._viewer, "scene", self._viewer).camera
        dims.current_step = step
        shown = [factors.get(i - dims.ndim, 1.0) for i in dims.displayed]
        center = [1.0] * (3 - len(shown)) + shown
        camera.center = tuple(c * f for c, f in zip(camera.center, center, strict=True))
        camera.zoom /= shown[-1]

    def _say_series(self, name: str) -> None:
        if self.image is not None:
            self._say(as_series(self.image.rows, name))

    def _refuse(self, text: str) -> None:
        image, self.image = self.image, None
        if image is not None:
            self.offer(self._chosen)
        self.trouble.setText(text)
        self.trouble.show()


def _is_useless(name: str, image: ImageAxes) -> bool:
    """Whether a button would change no axis, do what the one before it does, or take a name twice."""
    n = len(image.rows)
    before = list(SERIES)[: list(SERIES).index(name)]
    same = any(SERIES[other].get(n) == SERIES[name].get(n) for other in before)
    names = SERIES[name].get(n, "")
    return same or "".join(row.name for row in image.rows) == names or bool(set(names) & set(image.inserted))


class _Line:
    """The widgets of one axis."""

    def __init__(self, lines: AxisLines, index: int) -> None:
        self._lines, self._index = lines, index
        self._row = SaidAxis(name="", type="", unit="", step=1.0)
        self.name, self.type = QLineEdit(), QComboBox()
        self.unit, self.step = QComboBox(), QLineEdit()
        self.unit.setEditable(True)
        self.unit.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.name.setToolTip("Name of the axis, such as t, z, y, x. It is that of the slider, too.")
        self.type.setToolTip("Levels are downsampled along axes of space, never along time or channels.")
        self.unit.setToolTip("Unit of the voxel size, such as micrometer or second; s and um will do.")
        self.step.setToolTip("Distance between two voxels, or two time points.")
        for j, widget in enumerate(self.widgets):
            widget.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            widget.setMinimumSize(QSize(36, 0))
            lines._grid.addWidget(widget, index + 1, j)
        self.name.editingFinished.connect(self._edited)
        self.step.editingFinished.connect(self._edited)
        self.type.activated.connect(self._edited)
        self.unit.activated.connect(self._edited)
        edit = self.unit.lineEdit()
        assert edit is not None
        edit.editingFinished.connect(self._edited)

    @property
    def widgets(self) -> tuple[QWidget, ...]:
        """In the order of the columns."""
        return self.name, self.type, self.unit, self.step

    def show_row(self, row: SaidAxis, *, placed: bool) -> None:
        """Show what is known of the axis."""
        self._row = row
        for widget in self.widgets:
            widget.blockSignals(True)
            widget.show()
        self.name.setText(row.name)
        self.name.setPlaceholderText("?")
        self.type.clear()
        for value, text in TYPES.items():
            if value or not row.type:
                self.type.addItem(text, value)
        self.type.setCurrentIndex(self.type.findData(row.type))
        self.unit.clear()
        self.unit.addItems(["", *UNITS.get(row.type or "space", ())])
        self.unit.setCurrentText(row.unit)
        self.step.setText(f"{row.step:.6g}")
        channel = row.type == "channel"
        self.unit.setEnabled(not channel)
        self.step.setEnabled(not channel and not placed)
        for widget in self.widgets:
            widget.blockSignals(False)

    def hide(self) -> None:
        """Show nothing: the image has fewer axes."""
        for widget in self.widgets:
            widget.hide()

    def _edited(self) -> None:
        text = self.step.text().strip().replace(",", ".")
        step = self._row.step
        if text != f"{step:.6g}":
            try:
                step = float(text)
            except ValueError:
                step = 0.0  # is refused
        row = replace(
            self._row,
            name=self.name.text().strip(),
            type=self.type.currentData() or "",
            unit=self.unit.currentText().strip(),
            step=step,
        )
        self._lines.edited(self._index, row)
