"""The dock table: wells and fields of a plate, images of a collection; to find one, and to open it alone."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QSortFilterProxyModel, Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QPushButton,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from napari_ome_ngff.errors import OmeNgffError
from napari_ome_ngff.plugin import notify
from napari_ome_ngff.plugin.open.catalog import (
    Entry,
    catalogued,
    entries,
    image_of,
    layers_of,
    natural_key,
    tiles_of,
    title,
    title_of,
    world_box,
)
from napari_ome_ngff.plugin.origin import METADATA_KEY
from napari_ome_ngff.plugin.preferences import PLUGIN
from napari_ome_ngff.plugin.save_panel.panel_parts import FOCUS

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer

MARGIN = 1.2
"""How much more than a field the canvas shows when the camera goes there."""


_NUMBER = re.compile(r" \[\d+\]$")


_NOTHING = "No layer here belongs to an OME-Zarr plate or collection."


_BY_WELL, _AS_LISTED = (0, Qt.SortOrder.AscendingOrder), (-1, Qt.SortOrder.AscendingOrder)
"""How the table is sorted until somebody clicks a column."""


_HEADERS = {True: ("Well", "Field", "Size (y × x)"), False: ("Image", "", "Size (y × x)")}


class EntryTable(QAbstractTableModel):
    """Entries as a table that Qt asks for cell by cell: a plate may have thousands of fields."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.entries: tuple[Entry, ...] = ()

    def fill(self, entries: tuple[Entry, ...]) -> None:
        """Show other entries."""
        self.beginResetModel()
        self.entries = entries
        self.endResetModel()

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Qt asks for the number of rows."""
        return 0 if parent is not None and parent.isValid() else len(self.entries)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        """Qt asks for the number of columns."""
        return 0 if parent is not None and parent.isValid() else 3

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Qt asks for a cell; for sorting, "A/2" comes before "A/10"."""
        entry = self.entries[index.row()]
        text = (entry.name, entry.field, entry.size)[index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return text
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"<qt>{escape(entry.location)}</qt>"  # Qt itself guesses whether it is HTML
        return natural_key(text) if role == Qt.ItemDataRole.UserRole else None

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Qt asks for the title of a column."""
        if orientation != Qt.Orientation.Horizontal or role != Qt.ItemDataRole.DisplayRole:
            return None
        plate = not self.entries or self.entries[0].tile is not None
        return _HEADERS[plate][section]


class FilteredTable(QSortFilterProxyModel):
    """The entries that contain each of some words, in natural order."""

    def __init__(self, table: EntryTable, parent: QWidget) -> None:
        super().__init__(parent)
        self._table = table
        self._words: tuple[str, ...] = ()
        self.setSourceModel(table)

    def set_words(self, text: str) -> None:
        """Show only entries with these words in their name, field or both ("B/3 0")."""
        self._words = tuple(text.lower().split())
        self.invalidate()

    def filterAcceptsRow(self, row: int, parent: QModelIndex) -> bool:
        """Qt asks whether a row is shown."""
        entry = self._table.entries[row]
        text = f"{entry.name} {entry.field}".lower()
        return all(word in text for word in self._words)

    def lessThan(self, left: QModelIndex, right: QModelIndex) -> bool:
        """Qt asks which of two cells comes first."""
        role = Qt.ItemDataRole.UserRole
        return bool(self._table.data(left, role) < self._table.data(right, role))


class BrowseWidget(QWidget):
    """Find the fields and images of a plate or collection. napari finds `napari_viewer` by its name."""

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._layer: Layer | None = None
        self._field: list[Layer] = []  # of the one that was opened here
        self._order: dict[bool, tuple[int, Qt.SortOrder]] = {True: _BY_WELL, False: _AS_LISTED}  # of a plate?
        self.heading = QLabel(_NOTHING)
        self.heading.setTextFormat(Qt.TextFormat.PlainText)  # names in files are anyone's
        self.heading.setWordWrap(True)
        self.search = QLineEdit()
        self.search.setPlaceholderText("Find, such as B/3")
        self.search.setClearButtonEnabled(True)
        self.model = EntryTable(self)
        self.filtered = FilteredTable(self.model, self)
        self.table = QTableView()
        self.table.setModel(self.filtered)
        self.open_button = QPushButton("Show this alone")
        self.all_button = QPushButton("Show all")
        layout = QVBoxLayout(self)
        for part in (self.heading, self.search, self.table):
            layout.addWidget(part)
        buttons = QHBoxLayout()
        buttons.addWidget(self.open_button)
        buttons.addWidget(self.all_button)
        layout.addLayout(buttons)
        self._arrange()
        self._connect()
        self.refresh()

    def _arrange(self) -> None:
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSortingEnabled(True)
        self.table.setTabKeyNavigation(False)  # the keyboard goes on to the buttons
        self.setStyleSheet(FOCUS)
        side, top = self.table.verticalHeader(), self.table.horizontalHeader()
        assert side is not None
        assert top is not None
        side.setVisible(False)
        side.setDefaultSectionSize(24)
        top.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        top.setStretchLastSection(True)
        self.setMinimumWidth(260)

    def _connect(self) -> None:
        self.search.textChanged.connect(self.filtered.set_words)
        rows, top = self.table.selectionModel(), self.table.horizontalHeader()
        assert rows is not None
        assert top is not None
        top.sortIndicatorChanged.connect(self._on_sorted)
        rows.currentRowChanged.connect(self._on_row)
        self.table.doubleClicked.connect(lambda index: self.open_entry(self._entry(index)))
        self.open_button.clicked.connect(lambda: self.open_entry(self.current()))
        self.all_button.clicked.connect(self.show_all)
        layers = self._viewer.layers
        # napari keeps methods weakly: a closed widget is let go.
        layers.events.inserted.connect(self.refresh)
        layers.events.removed.connect(self.refresh)
        layers.selection.events.active.connect(self.refresh)

    def refresh(self) -> None:
        """List what the selected layer belongs to, or the topmost layer that belongs to something."""
        layers = list(self._viewer.layers)
        layer = catalogued(layers, self._viewer.layers.selection.active)
        rows = () if layer is None else entries(layers, layer)
        self._layer = layer
        if rows != self.model.entries:
            self.model.fill(rows)
            self.table.sortByColumn(*self._order[self._is_plate()])
            self.table.setColumnHidden(1, bool(rows) and rows[0].tile is None)
        self.heading.setText(_NOTHING if layer is None else _heading(layer, rows))
        self.open_button.setEnabled(bool(rows))
        self.all_button.setEnabled(bool(rows))

    def _is_plate(self) -> bool:
        return bool(self.model.entries) and self.model.entries[0].tile is not None

    def _on_sorted(self, column: int, order: Qt.SortOrder) -> None:
        """Keep what the user sorts by, for what is listed next."""
        self._order[self._is_plate()] = column, order

    def current(self) -> Entry | None:
        """Return the entry of the current row."""
        return self._entry(self.table.currentIndex())

    def open_entry(self, entry: Entry | None) -> None:
        """Show one field or image alone: the layers that it has already, else it is opened."""
        if entry is None or self._layer is None:
            return
        layers = self._viewer.layers
        alone = layers_of(layers, entry.location)
        others = [layer for layer in self._members() if layer not in alone]
        if not alone:
            try:
                alone = list(self._viewer.open(entry.location, plugin=PLUGIN))
            except OmeNgffError as error:
                notify.warn(str(error))
                return
            if entry.tile is not None:
                for layer in alone:
                    call_after(layer, title(entry.tile))
                self._close_field()
                self._field = alone
        # Alone: a field has its own place, which is not that in the plate, and images of a series lie on top
        # of each other.
        self._show(alone, instead_of=[layer for layer in others if layer in layers])

    def show_all(self) -> None:
        """Show the whole plate or scene again; of a collection, all images on top of each other."""
        if self._layer is None:
            return
        whole = layers_of(self._viewer.layers, image_of(self._layer))
        shown = whole if tiles_of(self._layer) else self._members()
        self._show(shown, instead_of=[layer for layer in self._members() if layer not in shown])
        self._close_field()

    def _close_field(self) -> None:
        """Take out the field that was opened here before, unless its labels are being edited."""
        layers = self._viewer.layers
        field = [layer for layer in self._field if layer in layers]
        if not any(layer not in field for one in field for layer in layers_of(layers, image_of(one))):
            for layer in field:
                layers.remove(layer)
        self._field = []

    def _members(self) -> list[Layer]:
        """Return the layers of the plate or collection, those of fields that were opened included."""
        layers = self._viewer.layers
        places = [entry.location for entry in self.model.entries]
        if self._layer is not None:
            places.append(image_of(self._layer))
        return [layer for layer in layers if image_of(layer) in places]

    def _show(self, shown: list[Layer], *, instead_of: list[Layer]) -> None:
        for layer in instead_of:
            layer.visible = False
        for layer in shown:
            layer.visible = True
        self._viewer.layers.selection.active = shown[-1]
        self._viewer.fit_to_view(layers=shown)

    def _on_row(self, index: QModelIndex) -> None:
        """Move the camera to a field."""
        entry = self._entry(index)
        if entry is None or entry.tile is None or self._layer is None:
            return
        if len(self._viewer.dims.displayed) != 2:
            return
        low, high = world_box(self._layer, entry.tile)
        camera = self._viewer.scene.camera
        camera.center = (0.0, *((a + b) / 2 for a, b in zip(low[-2:], high[-2:], strict=True)))
        sides = [
            size / (b - a) for size, a, b in zip(self._viewer.canvas.size, low[-2:], high[-2:], strict=True)
        ]
        camera.zoom = min(sides) / MARGIN

    def _entry(self, index: QModelIndex) -> Entry | None:
        if not index.isValid():
            return None
        return self.model.entries[self.filtered.mapToSource(index).row()]


def call_after(layer: Layer, image: str) -> None:
    """Put the name of an image before that of a layer, instead of what was put before or behind it."""
    origin = layer.metadata.get(METADATA_KEY, {})
    # Beside the plate's "DNA" napari calls it "DNA [1]".
    name = _NUMBER.sub("", layer.name).removeprefix(origin.get("prefix", ""))
    origin["prefix"] = f"{image}: "
    layer.name = f"{image}: {name}"


def _heading(layer: Layer, rows: tuple[Entry, ...]) -> str:
    name = title_of(layer) or layer.name
    if not tiles_of(layer):
        return f"{name}: {len(rows)} images. A double click shows one alone."
    wells = len({entry.name for entry in rows})
    return (
        f"{name}: {wells} wells, {len(rows)} fields. A click goes to a field, a double click shows it alone."
    )
