"""What the dock "OME-Zarr image" is made of: texts, buttons, boxes, the table of axes."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QApplication,
    QGroupBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_ome_ngff.plugin.edit.image_facts import COLUMNS, AxisRow

ROW = 26
"""Height of a row of the table of axes in pixels."""


def text_label(*, bold: bool = False) -> QLabel:
    """A text that can be selected, and that is never taken for HTML."""
    label = QLabel()
    label.setTextFormat(Qt.TextFormat.PlainText)  # names in files are anyone's
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    if bold:
        font = label.font()
        font.setBold(True)
        label.setFont(font)
    return label


def push_button(text: str, tooltip: str) -> QPushButton:
    """A button with a tooltip."""
    button = QPushButton(text)
    button.setToolTip(tooltip)
    return button


def axes_table() -> QTableWidget:
    """An empty table of axes."""
    table = QTableWidget(0, len(COLUMNS))
    table.setHorizontalHeaderLabels(COLUMNS)
    side, top, bar = table.verticalHeader(), table.horizontalHeader(), table.horizontalScrollBar()
    assert side is not None
    assert top is not None
    assert bar is not None
    font = table.font()
    font.setPointSizeF(max(6.0, 0.9 * QApplication.font().pointSizeF()))
    table.setFont(font)
    bar.rangeChanged.connect(lambda: _fit(table))
    side.hide()
    side.setDefaultSectionSize(ROW)
    top.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
    top.setSectionResizeMode(len(COLUMNS) - 1, QHeaderView.ResizeMode.Stretch)
    table.setTabKeyNavigation(False)  # the keyboard goes on to the buttons
    table.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    _fit(table)
    return table


def _fit(table: QTableWidget) -> None:
    """Be as high as the rows are, and the bar that scrolls sideways where they are wider than the dock."""
    bar = table.horizontalScrollBar()
    scrolled = 0 if bar is None or not bar.maximum() else bar.sizeHint().height()
    table.setFixedHeight((table.rowCount() + 1) * ROW + scrolled + 2 * table.frameWidth())


def fill_rows(table: QTableWidget, rows: list[AxisRow]) -> None:
    """Show axes in the table."""
    table.setRowCount(len(rows))
    _fit(table)
    for i, row in enumerate(rows):
        for j, text in enumerate((row.name, row.type, row.unit, row.size, row.position)):
            table.setItem(i, j, QTableWidgetItem(text))


def typed_rows(table: QTableWidget) -> list[AxisRow]:
    """What the table says now."""

    def text(i: int, j: int) -> str:
        item = table.item(i, j)
        return "" if item is None else item.text()

    return [
        AxisRow(name=text(i, 0), type=text(i, 1), unit=text(i, 2), size=text(i, 3), position=text(i, 4))
        for i in range(table.rowCount())
    ]


def labelled(text: str, widget: QWidget) -> QWidget:
    """A widget behind a word."""
    line = QWidget()
    row = QHBoxLayout(line)
    row.setContentsMargins(0, 0, 0, 0)
    row.addWidget(QLabel(text))
    row.addWidget(widget)
    return line


def titled_box(title: str, widgets: list[QWidget], buttons: list[QPushButton]) -> QGroupBox:
    """Widgets below each other and buttons side by side, under a title."""
    box = QGroupBox(title)
    column = QVBoxLayout(box)
    for widget in widgets:
        column.addWidget(widget)
    row = QHBoxLayout()
    for button in buttons:
        row.addWidget(button)
    column.addLayout(row)
    return box
