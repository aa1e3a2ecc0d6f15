"""Parts of the panel: rows that are folded away, what scrolls, and messages above the buttons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from magicgui.widgets import Container, Label, PushButton, Table
from qtpy.QtCore import QEvent, QObject, Qt, QTimer
from qtpy.QtWidgets import QApplication, QFrame, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

ERROR = "background: rgb(153, 18, 31); color: white; border-radius: 4px; padding: 6px;"
"""How an error looks in a dark and in a light window."""

FOCUS = ", ".join(f"Q{each}:focus" for each in ("PushButton", "ComboBox", "LineEdit", "CheckBox", "SpinBox"))
FOCUS += " { border: 1px solid rgb(106, 140, 255); }"
"""How the widget that the keyboard is on looks: napari's style shows nothing."""

MOST_MESSAGES = 150  # pixels; more of them are scrolled


ROW, MOST_ROWS, WIDEST_NAME = 24, 8, 150
"""Height of a row of a table in pixels, the rows that are seen at once, and the width of the first column."""


NARROW = 1300  # pixels of a screen that is too narrow for all columns of the table
SPARE = 4  # pixels beside and below messages


class _TakenOut(QObject):
    def eventFilter(self, watched: Any, event: Any) -> bool:
        """Delete what has no parent any more."""
        if event.type() == QEvent.Type.ParentChange and watched.parent() is None:
            watched.deleteLater()
        return False


def end_with_dock(widget: QWidget, end: Callable[[], object]) -> None:
    """Delete a widget when its dock is closed, and call `end`: napari lets it go on working unseen."""
    widget.installEventFilter(_TakenOut(widget))
    widget.destroyed.connect(end)


class UpAndDown(QScrollArea):
    """A widget that scrolls up and down where there is no room for all of it, and is as wide as there is."""

    def __init__(self, inner: QWidget) -> None:
        super().__init__()
        self.setWidget(inner)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)

    def minimumSizeHint(self) -> Any:
        """As wide as what is in it, for it does not scroll sideways."""
        size, bar = super().minimumSizeHint(), self.verticalScrollBar()
        inner: Any = self.widget()
        size.setWidth(inner.minimumSizeHint().width() + (0 if bar is None else bar.sizeHint().width()))
        return size

    def eventFilter(self, watched: Any, event: Any) -> bool:
        """Follow what is in it."""
        if watched is self.widget() and event.type() == QEvent.Type.LayoutRequest:
            self.follow()
        return bool(super().eventFilter(watched, event))

    def follow(self) -> None:
        """Something in it wants another size."""
        self.updateGeometry()


def set_looks(panel: QWidget) -> None:
    """Make the panel wide enough for a usual table, where the screen is, and show where the keyboard is."""
    screen = QApplication.primaryScreen()
    is_narrow = screen is not None and screen.availableGeometry().width() < NARROW
    panel.setMinimumWidth(0 if is_narrow else 480)
    panel.setStyleSheet(FOCUS)


def text_line() -> Any:
    """A text that is wrapped, and can be selected and copied."""
    label = Label(value="")
    label.native.setTextFormat(Qt.TextFormat.PlainText)  # names in files are anyone's
    label.native.setWordWrap(True)
    label.native.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    label.native.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    return label


def table_of(header: Sequence[str]) -> Any:
    """An empty table to look at; the keyboard goes past it."""
    table = Table(value={name: [] for name in header})
    table.read_only = True
    table.native.verticalHeader().setVisible(False)
    table.native.setWordWrap(False)
    table.native.setTabKeyNavigation(False)
    return table


def save_buttons() -> tuple[PushButton, PushButton, PushButton]:
    """Create, Cancel and Open result, as they are before anything is saved."""
    create = PushButton(text="Create", tooltip="Write the image as planned.")
    cancel = PushButton(text="Cancel", tooltip="Stop, and leave nothing behind.", enabled=False)
    instead = "Open what was written, and close the layers that it was written from."
    return create, cancel, PushButton(text="Open result", tooltip=instead, enabled=False)


def timer_of(owner: QObject, wait: int, action: Callable[[], object]) -> QTimer:
    """A timer that does something once, so many milliseconds after it was last started."""
    timer = QTimer(owner)
    timer.setSingleShot(True)
    timer.setInterval(wait)
    timer.timeout.connect(action)
    return timer


def in_tab_order(*widgets: Any) -> None:
    """Let the keyboard go from each of these, of magicgui or Qt, to the next."""
    for one, other in pairwise(getattr(each, "native", each) for each in widgets):
        QWidget.setTabOrder(one, other)


def fill_table(table: Any, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Show rows: the table as high as they are, up to a limit, and columns as wide as they need to be."""
    table.value = {name: [row[i] for row in rows] for i, name in enumerate(header)}
    grid = table.native
    font = grid.font()
    font.setPointSizeF(max(6.0, 0.9 * QApplication.font().pointSizeF()))
    grid.setFont(font)
    grid.verticalHeader().setDefaultSectionSize(ROW)
    grid.horizontalHeader().setStretchLastSection(False)
    grid.resizeColumnsToContents()
    grid.setColumnWidth(0, min(grid.columnWidth(0), WIDEST_NAME))
    width = sum(grid.columnWidth(i) for i in range(grid.columnCount()))
    grid.horizontalHeader().setStretchLastSection(True)  # again: it does so when it is turned on
    bar = grid.horizontalScrollBar().sizeHint().height() if width > grid.viewport().width() else 0
    head = grid.horizontalHeader().sizeHint().height()
    grid.setFixedHeight(head + min(grid.rowCount(), MOST_ROWS) * ROW + bar + 2 * grid.frameWidth())
    grid.setVisible(grid.rowCount() > 0)


class Fold(Container[Any]):
    """Rows under a title that shows and hides them, and says what was chosen in them."""

    def __init__(self, title: str, rows: Sequence[Any]) -> None:
        self._title, self._chosen = title, ""
        self.rows: Container[Any] = Container(widgets=list(rows), labels=False, visible=False)
        self.rows.margins = (12, 0, 0, 0)
        self.button = PushButton(
            text=title, tooltip="How the image is stored; the defaults are good for most."
        )
        self.button.native.setStyleSheet("text-align: left; padding: 4px;")
        self.button.native.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        super().__init__(widgets=[self.button, self.rows], labels=False)
        self.margins = (0, 0, 0, 0)
        self.button.changed.connect(self.turn)
        self.say("")

    def turn(self) -> None:
        """Show the rows, or hide them."""
        self.rows.visible = not self.rows.visible
        self.say(self._chosen)

    def say(self, chosen: str) -> None:
        """Put what differs from the usual behind the title."""
        self._chosen = chosen
        mark = "▾" if self.rows.visible else "▸"
        self.button.text = f"{mark} {self._title}" + (f": {chosen}" if chosen else "")


class Messages(UpAndDown):
    """One sentence, in a box if it is an error, and notes below it; as high as they are, up to a limit."""

    def __init__(self) -> None:
        self.status, self.notes = text_line(), text_line()
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(0, 0, SPARE, 0)
        for label in (self.status, self.notes):
            column.addWidget(label.native)
        column.addStretch()
        super().__init__(inner)

    def say(self, text: str, notes: Sequence[str] = (), *, error: bool = False) -> None:
        """Show what is to be known."""
        self.status.value = text
        look = ERROR if error else ""
        if look != self.status.native.styleSheet():  # it takes time, and progress is said often
            self.status.native.setStyleSheet(look)
        self.notes.value = "\n".join(f"• {note}" for note in notes)
        self.status.native.setVisible(bool(text))
        self.notes.native.setVisible(bool(notes))
        self.follow()

    def resizeEvent(self, event: Any) -> None:
        """Be as high as the text is at the new width."""
        super().resizeEvent(event)
        self.follow()

    def follow(self) -> None:
        """Be as high as the text is."""
        inner: Any = self.widget()
        column = inner.layout()
        height = column.heightForWidth(max(self.width(), 1)) if column.hasHeightForWidth() else 0
        self.setFixedHeight(min(height + SPARE, MOST_MESSAGES))
