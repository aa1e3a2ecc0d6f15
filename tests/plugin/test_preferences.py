"""Opening ``.zarr`` without a question: what is written into napari's settings, and what napari then does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from qtpy.QtWidgets import QComboBox

from napari_ome_ngff.plugin import preferences, reader
from napari_ome_ngff.plugin.preferences import AS_SET, ASK, PATTERNS, PLUGIN, WITHOUT_ASKING
from tests.window_tools import answering, choose_from_menu, choose_reader, drop, photograph, pump, wait_until

associations = st.dictionaries(
    st.sampled_from([*PATTERNS, "*.tif", "/data/a.zarr/"]),
    st.sampled_from([PLUGIN, "napari", "napari-ome-zarr"]),
)


@given(associations)
def test_only_our_two_patterns_are_touched(before: dict[str, str]) -> None:
    after = preferences.with_default(before)
    assert all(after[pattern] == PLUGIN for pattern in PATTERNS)
    others = {pattern: plugin for pattern, plugin in before.items() if pattern not in PATTERNS}
    assert others.items() <= after.items()
    assert len(after) == len(others) + len(PATTERNS)


@given(associations)
def test_undoing_takes_away_ours_and_nothing_else(before: dict[str, str]) -> None:
    after = preferences.without_default(before)
    assert not any(after.get(pattern) == PLUGIN for pattern in PATTERNS)
    assert after.items() <= before.items()
    assert preferences.without_default(preferences.with_default(before)).keys() == before.keys() - set(
        PATTERNS
    )


@pytest.fixture
def settings() -> Iterator[Any]:
    """napari's settings, in the scratch folder of the tests, no reader preferred, no recent places."""
    from napari.settings import get_settings

    plugins = get_settings().plugins
    plugins.extension2reader = {}
    opening().recent = "[]"
    yield plugins
    plugins.extension2reader = {}
    opening().zarr_reader = AS_SET


def opening() -> Any:
    from napari.settings import get_plugin_settings

    return get_plugin_settings(PLUGIN).opening


@pytest.fixture
def coins(corpus: Path) -> Path:
    return corpus / "generated" / "ome-zarr-py-0.21" / "coins_0.5.zarr"


@pytest.mark.parametrize("path", ["coins_0.5.zarr", "https://example.org/a.zarr", "s3://bucket/a.ome.zarr"])
def test_napari_finds_our_reader_preferred(settings: Any, coins: Path, path: str) -> None:
    from napari.plugins.utils import get_preferred_reader

    preferences.make_default()
    path = str(coins) if path == coins.name else path
    assert get_preferred_reader(path) == PLUGIN
    preferences.ask_again()
    assert get_preferred_reader(path) is None


def test_it_outlives_the_session(settings: Any) -> None:
    from napari.settings import NapariSettings, get_settings

    preferences.make_default()
    saved = NapariSettings(get_settings().config_path)
    assert all(saved.plugins.extension2reader[pattern] == PLUGIN for pattern in PATTERNS)


def test_the_choice_in_the_preferences_is_followed(settings: Any) -> None:
    preferences.follow()
    opening().zarr_reader = WITHOUT_ASKING
    assert settings.extension2reader == dict.fromkeys(PATTERNS, PLUGIN)
    opening().zarr_reader = ASK
    assert settings.extension2reader == {}


def test_a_choice_made_before_the_plugin_was_loaded_is_followed_once_it_is(settings: Any) -> None:
    opening().zarr_reader = WITHOUT_ASKING
    settings.extension2reader = {"*.tif": "other"}
    preferences.follow()
    assert settings.extension2reader == {"*.tif": "other", **dict.fromkeys(PATTERNS, PLUGIN)}


def test_what_the_user_set_by_hand_stays_while_the_preferences_say_nothing(settings: Any) -> None:
    by_hand = {"*.zarr": "napari", "*.zarr/": PLUGIN}
    settings.extension2reader = by_hand
    preferences.follow()
    assert settings.extension2reader == by_hand


def test_a_command_is_not_undone_by_an_older_choice(settings: Any) -> None:
    opening().zarr_reader = WITHOUT_ASKING
    preferences.ask_again()
    preferences.follow()
    assert settings.extension2reader == {}
    assert opening().zarr_reader == ASK, "and the Preferences show it at once"
    preferences.make_default()
    assert opening().zarr_reader == WITHOUT_ASKING


def test_places_are_offered_again_but_no_address_with_a_key(settings: Any) -> None:
    assert preferences.recent_places() == []
    for place in ("/data/a.zarr", "https://h/b.zarr", "https://h/a.zarr?sig=1", "https://me:key@h/a.zarr"):
        preferences.remember_place(place)
    preferences.remember_place("/data/a.zarr")
    assert preferences.recent_places() == ["/data/a.zarr", "https://h/b.zarr"]
    opening().recent = "edited by hand"
    assert preferences.recent_places() == []


# In a window


def test_a_dropped_folder_is_opened_without_a_question_if_the_menu_or_the_preferences_say_so(
    viewer: Any, settings: Any, coins: Path
) -> None:
    choose_from_menu(viewer, "File", "IO Utilities", "Open .zarr with OME-Zarr without asking")
    pump(0.3)
    photograph("default-told")
    with answering():  # a dialog would fail here
        drop(viewer, coins)
    assert [layer.source.reader_plugin for layer in viewer.layers] == [PLUGIN] * 3
    viewer.layers.clear()
    choose_from_menu(viewer, "File", "IO Utilities", "Ask again before opening .zarr with OME-Zarr")
    with answering(choose_reader("OME-Zarr")):
        drop(viewer, coins)
    assert len(viewer.layers) == 3

    dialog = viewer.window._open_preferences_dialog()
    rows = [dialog._list.item(row).text() for row in range(dialog._list.count())]
    assert "OME-Zarr" in rows
    dialog._list.setCurrentRow(rows.index("OME-Zarr"))
    boxes = [box for box in dialog.findChildren(QComboBox) if box.findText(WITHOUT_ASKING) >= 0]
    assert len(boxes) == 1
    assert [boxes[0].itemText(index) for index in range(boxes[0].count())] == [AS_SET, WITHOUT_ASKING, ASK]
    boxes[0].setCurrentText(WITHOUT_ASKING)
    wait_until(lambda: settings.extension2reader == dict.fromkeys(PATTERNS, PLUGIN), seconds=5)
    photograph("preferences")
    dialog.accept()
    pump()
    viewer.layers.clear()
    with answering():
        drop(viewer, coins)
    assert len(viewer.layers) == 3


def test_the_preferences_are_not_read_while_a_button_of_the_mouse_is_down(
    qapp: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qtpy.QtCore import Qt
    from qtpy.QtWidgets import QApplication

    down, read = [Qt.MouseButton.LeftButton], []
    monkeypatch.setattr(QApplication, "mouseButtons", lambda: down[-1])
    monkeypatch.setattr(preferences, "follow", lambda: read.append(down[-1]))
    monkeypatch.setattr(preferences, "_SHOWN_MS", 10)
    monkeypatch.setattr(preferences, "_RELEASED_MS", 10)
    monkeypatch.setattr(preferences.notify, "has_window", lambda: True)
    preferences.follow_later()
    pump(0.2)
    assert not read
    down.append(Qt.MouseButton.NoButton)
    wait_until(lambda: read)
    pump(0.1)
    assert read == [Qt.MouseButton.NoButton]


def test_a_window_that_runs_follows_the_preferences_before_there_is_something_to_paint_on(
    viewer: Any, coins: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qtpy.QtCore import QEventLoop, QTimer

    order, read = [], reader._described_layers
    monkeypatch.setattr(reader, "follow", lambda: order.append("Preferences"))
    monkeypatch.setattr(reader, "_described_layers", lambda *args: (order.append("image"), read(*args))[1])
    loop = QEventLoop()
    QTimer.singleShot(0, lambda: (viewer.open(str(coins), plugin=PLUGIN), loop.quit()))
    loop.exec()
    assert order == ["Preferences", "image"]
    assert viewer.layers
