"""The table of a plate or collection, the well under the cursor, and the range of the contrast slider.

On layers with the metadata that the reader gives them, without any file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from napari.components import ViewerModel
from qtpy.QtCore import QModelIndex, Qt
from qtpy.QtWidgets import QDockWidget

from napari_ome_ngff.plugin.browse_widget import BrowseWidget
from napari_ome_ngff.plugin.image_widget import ImageWidget
from napari_ome_ngff.plugin.open import viewer_hooks
from napari_ome_ngff.plugin.open.catalog import (
    catalogued,
    entries,
    natural_key,
    tile_at,
    tile_under,
    tiles_of,
    title,
    world_box,
)
from napari_ome_ngff.plugin.open.viewer_hooks import (
    CLICKED_KEY,
    name_field,
    remember_click,
    watch_fields,
    widen_range,
)
from napari_ome_ngff.plugin.origin import METADATA_KEY
from napari_ome_ngff.plugin.save_widget import CreateWidget
from napari_ome_ngff.reading.opened import Tile

SIDE, GAP = 10, 2


def plate_tiles(rows: int, columns: int, fields: int = 1) -> tuple[Tile, ...]:
    """Fields of `SIDE` voxels, `GAP` voxels apart; those of one well side by side."""
    step = SIDE * fields + GAP
    return tuple(
        Tile(
            well=f"{chr(65 + row)}/{column + 1}",
            field=str(field),
            location=f"/data/plate.zarr/{chr(65 + row)}/{column + 1}/{field}",
            row=row,
            column=column,
            y=row * (SIDE + GAP),
            x=column * step + field * SIDE,
            height=SIDE,
            width=SIDE,
        )
        for row in range(rows)
        for column in range(columns)
        for field in range(fields)
    )


def add_plate(viewer: Any, rows: int = 2, columns: int = 3, fields: int = 1, **kwargs: Any) -> Any:
    """Add a plate in which each well has its own brightness."""
    tiles = plate_tiles(rows, columns, fields)
    height, width = max(tile.y for tile in tiles) + SIDE, max(tile.x for tile in tiles) + SIDE
    plane = np.zeros((height, width), "uint16")
    for number, tile in enumerate(tiles):
        plane[tile.y : tile.y + SIDE, tile.x : tile.x + SIDE] = 100 + number
    origin = {
        "kind": "plate",
        "tiles": tiles,
        "image": "/data/plate.zarr",
        "range": (0, 65535),
    }
    given = {"name": "plate", "contrast_limits": (0, 200), "metadata": {METADATA_KEY: origin}}
    return viewer.add_image(plane, **{**given, **kwargs})


def add_series(viewer: Any, name: str, *, kind: str = "collection", visible: bool = True) -> Any:
    origin = {"kind": kind, "image": f"/data/series.zarr/{name}"}
    image = np.zeros((20, 30), "uint8")
    return viewer.add_image(image, name=name, visible=visible, metadata={METADATA_KEY: origin})


# Where a field lies


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.data())
def test_every_voxel_of_a_field_is_found_and_the_gaps_are_not(
    rows: int, columns: int, fields: int, data: st.DataObject
) -> None:
    tiles = plate_tiles(rows, columns, fields)
    tile = data.draw(st.sampled_from(tiles))
    y = data.draw(st.integers(tile.y, tile.y + SIDE - 1))
    x = data.draw(st.integers(tile.x, tile.x + SIDE - 1))
    assert tile_at(tiles, y, x) is tile
    assert tile_at(tiles, tile.y + SIDE + GAP / 2 - 0.5, x) is None


@pytest.mark.parametrize(
    "place",
    [
        {},
        {"scale": (0.5, 2.0), "translate": (100, -7)},
        {"rotate": 90},
        {"affine": [[1, 0.2, 5], [0, 1, 6], [0, 0, 1]]},
    ],
)
def test_a_field_is_found_wherever_the_layer_lies(place: dict[str, Any]) -> None:
    layer = add_plate(ViewerModel(), **place)
    for tile in tiles_of(layer):
        low, high = world_box(layer, tile)
        middle = tuple((a + b) / 2 for a, b in zip(low, high, strict=True))
        assert tile_under([layer], middle) == (layer, tile)


def test_layers_of_others_have_no_fields() -> None:
    viewer = ViewerModel()
    for ours in ("x", {}, {"tiles": "A/1"}, {"tiles": (1,)}, {"tiles": ((1, 2),)}, {"tiles": ([],)}):
        layer = viewer.add_image(np.zeros((4, 4)), metadata={METADATA_KEY: ours})
        assert tiles_of(layer) == ()
        assert catalogued(viewer.layers, layer) is None


@given(st.lists(st.text("AB/0123456789", max_size=6)))
def test_any_names_can_be_sorted(names: list[str]) -> None:
    assert sorted(map(natural_key, names)) == sorted(map(natural_key, reversed(names)))


# The status bar, the click, the contrast slider


def hover(viewer: ViewerModel, *position: float) -> str:
    viewer.mouse_over_canvas = True
    viewer.cursor.position = position
    viewer.update_status_from_cursor()
    return viewer.status if isinstance(viewer.status, str) else viewer.status["coordinates"]


def test_the_status_bar_names_the_well_and_field_under_the_cursor() -> None:
    viewer = ViewerModel()
    layer = add_plate(viewer, fields=2, scale=(0.5, 0.5))
    watch_fields(viewer)
    watch_fields(viewer)  # each opening does this
    tile = tiles_of(layer)[3]
    y, x = layer.data_to_world((tile.y + 1, tile.x + 1))
    text = hover(viewer, y, x)
    assert text.endswith(f"   {title(tile)}")
    assert text.count("field") == 1
    assert text.startswith("["), "what napari says itself stays"
    assert hover(viewer, y, x) == text, "also when the cursor comes back to the same place"
    assert "field" not in hover(viewer, -100, -100)


def test_the_field_is_named_over_labels_and_other_layers_too() -> None:
    viewer = ViewerModel()
    add_plate(viewer)
    watch_fields(viewer)
    viewer.add_labels(np.zeros((22, 34), "uint8"))
    assert hover(viewer, 1, 1).endswith("A/1 field 0")
    viewer.layers.selection = set(viewer.layers)
    assert hover(viewer, 1, 1).endswith("A/1 field 0")


def test_in_3d_no_field_is_under_the_cursor() -> None:
    viewer = ViewerModel()
    add_plate(viewer)
    viewer.add_image(np.zeros((3, 22, 34)))
    watch_fields(viewer)
    viewer.dims.ndisplay = 3
    assert "field" not in hover(viewer, 1, 1, 1)


class Press:
    """A mouse event as napari hands it to its callbacks."""

    def __init__(self, *position: float, then: str = "mouse_release") -> None:
        self.type, self.position, self.then = "mouse_press", position, then


def click(viewer: Any, press: Press) -> None:
    steps = remember_click(viewer, press)
    next(steps)
    press.type = press.then
    assert next(steps, None) is None


def test_a_click_is_remembered_and_a_drag_is_not() -> None:
    viewer = ViewerModel()
    layer = add_plate(viewer)
    watch_fields(viewer)
    watch_fields(viewer)
    assert viewer.mouse_drag_callbacks.count(remember_click) == 1
    click(viewer, Press(1, SIDE + GAP + 1))
    place = {"well": "A/2", "field": "0", "location": "/data/plate.zarr/A/2/0"}
    assert layer.metadata[CLICKED_KEY] == place
    click(viewer, Press(SIDE + GAP + 1, 1, then="mouse_move"))
    assert layer.metadata[CLICKED_KEY] == place
    click(viewer, Press(-50, -50))
    assert layer.metadata[CLICKED_KEY] == place


class Inserted:
    def __init__(self, layer: Any) -> None:
        self.value = layer


@pytest.mark.parametrize(("limits", "expected"), [((0, 200), [0, 65535]), ((-5, 70000), [-5, 70000])])
def test_the_contrast_slider_gets_the_range_of_the_file(limits: Any, expected: Any) -> None:
    layer = add_plate(ViewerModel(), contrast_limits=limits)
    widen_range(Inserted(layer))
    assert layer.contrast_limits_range == expected
    assert layer.contrast_limits == list(limits)


def test_a_range_that_someone_chose_stays() -> None:
    viewer = ViewerModel()
    viewer.layers.events.inserted.connect(widen_range)
    layer = add_plate(viewer)
    assert layer.contrast_limits_range == [0, 65535]
    layer.contrast_limits_range = (0, 4095)
    viewer.layers.remove(layer)
    viewer.layers.append(layer)
    assert layer.contrast_limits_range == [0, 4095]


def test_layers_without_a_range_are_left_alone() -> None:
    viewer = ViewerModel()
    viewer.layers.events.inserted.connect(widen_range)
    image = viewer.add_image(
        np.zeros((4, 4)), contrast_limits=(0, 1), metadata={METADATA_KEY: {"range": None}}
    )
    assert image.contrast_limits_range == [0, 1]
    viewer.add_labels(np.zeros((4, 4), int), metadata={METADATA_KEY: {"range": (0, 9)}})
    viewer.add_points(np.zeros((1, 2)))


def test_without_a_viewer_nothing_is_attached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewer_hooks, "open_viewers", lambda: ())
    viewer_hooks.attach(
        [(np.zeros((4, 4)), {"metadata": {METADATA_KEY: {"tiles": plate_tiles(1, 1)}}}, "image")]
    )
    viewer_hooks.attach([(np.zeros((4, 4)), {}, "image")])


def test_nothing_of_ours_keeps_a_viewer(monkeypatch: pytest.MonkeyPatch) -> None:
    import gc
    import weakref

    viewer = ViewerModel()
    monkeypatch.setattr(viewer_hooks, "open_viewers", [(viewer,)].pop)
    meta = {"metadata": {METADATA_KEY: {"tiles": plate_tiles(1, 1)}}}
    viewer_hooks.attach([(np.zeros((4, 4)), meta, "image")])
    assert widen_range in viewer.layers.events.inserted.callbacks
    assert name_field in viewer.events.status.callbacks
    monkeypatch.undo()
    gone = weakref.ref(viewer)
    del viewer
    gc.collect()
    assert gone() is None


# The table


def texts(widget: BrowseWidget) -> list[tuple[str, ...]]:
    shown = widget.filtered
    return [
        tuple(str(shown.index(row, column).data()) for column in range(3)) for row in range(shown.rowCount())
    ]


@pytest.fixture
def browse(qtbot: Any) -> Any:
    """Makes a widget on a viewer model, and keeps it until the end of the test."""

    def make(viewer: Any) -> BrowseWidget:
        widget = BrowseWidget(viewer)
        qtbot.addWidget(widget)
        return widget

    return make


def test_it_lists_the_fields_of_a_plate_in_natural_order(browse: Any) -> None:
    viewer = ViewerModel()
    add_plate(viewer, 2, 11, fields=2)
    widget = browse(viewer)
    rows = texts(widget)
    assert len(rows) == 2 * 11 * 2
    assert rows[:2] == [("A/1", "0", "10 × 10"), ("A/1", "1", "10 × 10")]
    wells = list(dict.fromkeys(row[0] for row in rows))
    assert wells[:3] == ["A/1", "A/2", "A/3"]
    assert wells[9:12] == ["A/10", "A/11", "B/1"]
    assert "22 wells, 44 fields" in widget.heading.text()


@pytest.mark.parametrize(
    ("text", "count"), [("", 44), ("b/1", 6), ("b/11", 2), ("A/2 1", 1), ("c", 0), ("  ", 44)]
)
def test_the_line_above_finds_wells_and_fields(browse: Any, text: str, count: int) -> None:
    viewer = ViewerModel()
    add_plate(viewer, 2, 11, fields=2)
    widget = browse(viewer)
    widget.search.setText(text)
    assert widget.filtered.rowCount() == count


def test_it_follows_the_layers(browse: Any) -> None:
    viewer = ViewerModel()
    widget = browse(viewer)
    assert texts(widget) == []
    assert "No layer" in widget.heading.text()
    assert not widget.open_button.isEnabled()
    small = add_plate(viewer, 1, 2)
    large = add_plate(viewer, 2, 3)
    assert len(texts(widget)) == 6
    viewer.layers.selection.active = small
    assert len(texts(widget)) == 2
    viewer.layers.selection.clear()
    assert len(texts(widget)) == 6, "the topmost"
    viewer.layers.remove(large)
    assert len(texts(widget)) == 2
    viewer.layers.clear()
    assert texts(widget) == []


def test_a_large_plate_is_listed_at_once(browse: Any) -> None:
    import time

    viewer = ViewerModel()
    add_plate(viewer, 16, 24, fields=4)
    start = time.process_time()
    widget = browse(viewer)
    assert widget.filtered.rowCount() == 16 * 24 * 4
    widget.search.setText("P/24 3")
    assert texts(widget) == [("P/24", "3", "10 × 10")]
    hover(viewer, 1, 1)
    assert time.process_time() - start < 2  # usually 0.1


def row_of(widget: BrowseWidget, name: str) -> QModelIndex:
    names = [row[0] for row in texts(widget)]
    return widget.filtered.index(names.index(name), 0)


def test_choosing_a_field_moves_the_camera_there(browse: Any) -> None:
    viewer = ViewerModel()
    layer = add_plate(viewer, scale=(0.5, 0.5), translate=(100, 200))
    widget = browse(viewer)
    widget.table.setCurrentIndex(row_of(widget, "B/2"))
    tile = next(tile for tile in tiles_of(layer) if tile.well == "B/2")
    low, high = world_box(layer, tile)
    assert np.allclose(viewer.scene.camera.center[-2:], np.add(low, high) / 2)
    assert tile_under([layer], viewer.scene.camera.center[-2:]) == (layer, tile)
    shown = np.divide(viewer.canvas.size, viewer.scene.camera.zoom)
    assert (shown >= np.subtract(high, low)).all()
    assert shown.min() < 2 * SIDE * 0.5, "the field fills the canvas"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is opened by our reader, which adds an image of one layer."""
    places: list[str] = []

    def open_(self: Any, path: str, *, plugin: str) -> list[Any]:
        assert plugin == "napari-ome-ngff"
        places.append(path)
        metadata = {METADATA_KEY: {"kind": "image", "image": path}}
        return [self.add_image(np.zeros((SIDE, SIDE)), name="DNA", metadata=metadata)]

    monkeypatch.setattr(ViewerModel, "open", open_)
    return places


def test_a_double_click_shows_a_field_alone(browse: Any, opened: list[str]) -> None:
    viewer = ViewerModel()
    plate = add_plate(viewer, name="DNA")
    other = viewer.add_image(np.zeros((4, 4)))
    widget = browse(viewer)
    widget.table.doubleClicked.emit(row_of(widget, "A/3"))
    widget.table.setCurrentIndex(row_of(widget, "B/1"))
    widget.open_button.click()
    assert opened == ["/data/plate.zarr/A/3/0", "/data/plate.zarr/B/1/0"]
    assert [layer.name for layer in viewer.layers if layer.visible and layer is not other] == [
        "B/1 field 0: DNA"
    ]
    assert other.visible, "what others opened is left alone"
    assert len(viewer.layers) == 3, "the field before is closed"
    viewer.layers.selection.active = plate
    widget.table.doubleClicked.emit(row_of(widget, "B/1"))
    assert len(opened) == 2, "it is there already"
    assert [layer.visible for layer in viewer.layers] == [False, True, True]
    widget.all_button.click()
    assert list(viewer.layers) == [plate, other]
    assert plate.visible
    assert viewer.layers.selection.active is plate


def test_a_field_that_is_edited_stays(browse: Any, opened: list[str]) -> None:
    viewer = ViewerModel()
    add_plate(viewer, name="DNA")
    widget = browse(viewer)
    widget.table.doubleClicked.emit(row_of(widget, "A/3"))
    edited = viewer.add_labels(np.zeros((SIDE, SIDE), int), metadata=viewer.layers[-1].metadata)
    widget.table.doubleClicked.emit(row_of(widget, "B/1"))
    assert edited in viewer.layers
    assert len(viewer.layers) == 4


def test_it_names_the_plate_and_keeps_its_order(browse: Any) -> None:
    viewer = ViewerModel()
    plate = add_plate(viewer, 2, 3)
    plate.metadata[METADATA_KEY]["title"] = "dose response"
    widget = browse(viewer)
    assert widget.heading.text().startswith("dose response: 6 wells")
    widget.table.horizontalHeader().setSortIndicator(0, Qt.SortOrder.DescendingOrder)
    assert texts(widget)[0][0] == "B/3"
    add_series(viewer, "0")
    assert widget.filtered.headerData(0, Qt.Orientation.Horizontal) == "Image"
    viewer.layers.selection.active = plate
    assert texts(widget)[0][0] == "B/3"


def test_what_cannot_be_opened_is_told(browse: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_ome_ngff.errors import StorageError
    from napari_ome_ngff.plugin import notify

    def fail(*_: Any, **__: Any) -> None:
        raise StorageError("There is nothing at this place.", where="/data")

    told: list[str] = []
    monkeypatch.setattr(ViewerModel, "open", fail)
    monkeypatch.setattr(notify, "warn", told.append)
    viewer = ViewerModel()
    add_plate(viewer)
    widget = browse(viewer)
    widget.table.doubleClicked.emit(row_of(widget, "A/1"))
    assert len(told) == 1
    assert told[0].startswith("There is nothing at this place.")


def test_it_lists_the_images_of_a_collection_and_shows_one_of_them(browse: Any) -> None:
    viewer = ViewerModel()
    series = [add_series(viewer, str(number), visible=number == 0) for number in range(3)]
    other = viewer.add_image(np.zeros((4, 4)))
    widget = browse(viewer)
    assert [row[0] for row in texts(widget)] == ["0", "1", "2"]
    assert widget.table.isColumnHidden(1)
    assert widget.filtered.headerData(0, Qt.Orientation.Horizontal) == "Image"
    widget.table.doubleClicked.emit(row_of(widget, "2"))
    assert [layer.visible for layer in series] == [False, False, True]
    assert other.visible
    assert viewer.layers.selection.active is series[2]


def test_an_image_of_a_scene_is_shown_alone_and_all_again(browse: Any) -> None:
    viewer = ViewerModel()
    tiles = [add_series(viewer, name, kind="scene") for name in ("left", "right")]
    widget = browse(viewer)
    widget.table.doubleClicked.emit(row_of(widget, "left"))
    assert [layer.visible for layer in tiles] == [True, False]
    widget.all_button.click()
    assert all(layer.visible for layer in tiles)


def test_an_image_whose_layers_were_removed_is_opened_again(browse: Any, opened: list[str]) -> None:
    viewer = ViewerModel()
    add_series(viewer, "0")
    gone = add_series(viewer, "1")
    entry = entries(viewer.layers, gone)[1]
    viewer.layers.remove(gone)
    browse(viewer).open_entry(entry)
    assert opened == ["/data/series.zarr/1"]


@pytest.mark.parametrize("make", [BrowseWidget, ImageWidget, CreateWidget])
def test_a_closed_dock_is_gone(qtbot: Any, make: Callable[[Any], Any]) -> None:
    """It plans, reads and lists nothing any more; napari only takes it out of what it closes."""
    import gc
    import weakref

    viewer = ViewerModel()
    dock, widget = QDockWidget(), make(viewer)
    qtbot.addWidget(dock)
    dock.setWidget(getattr(widget, "native", widget))
    gone = weakref.ref(dock.widget())
    del widget
    dock.widget().setParent(None)
    qtbot.wait(50)
    gc.collect()
    assert gone() is None
    add_plate(viewer)  # its callbacks are no longer called


def test_the_keyboard_goes_past_the_tables(qtbot: Any) -> None:
    """Qt's tables keep the tab key for themselves: buttons below them could not be reached."""
    browser, dock = BrowseWidget(ViewerModel()), ImageWidget(ViewerModel())
    for widget in (browser, dock):
        qtbot.addWidget(widget)
    assert not browser.table.tabKeyNavigation()
    assert not dock.axes.tabKeyNavigation()
