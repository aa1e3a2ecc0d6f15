"""The window is closed while an image is saved: all or nothing of it is there, and Qt raises nothing."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QMessageBox, QWidget

from napari_ome_ngff.plugin.writer import write_layers
from tests.window_tools import add_slow_image, answering, photograph, press, pump, wait_until


def test_a_save_ends_with_its_window(viewer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[BaseException] = []
    monkeypatch.setattr(sys, "excepthook", lambda _, error, __: raised.append(error))
    monkeypatch.setattr(threading, "excepthook", lambda args: raised.append(args.exc_value))
    add_slow_image(viewer)
    layers = [layer.as_layer_data_tuple() for layer in viewer.layers]
    timer = QTimer()

    def close() -> None:
        if any(tmp_path.iterdir()):
            timer.stop()
            viewer.close()

    timer.timeout.connect(close)
    timer.start(20)
    write_layers(str(tmp_path / "a.ome.zarr"), layers)
    pump(0.3)
    assert list(tmp_path.iterdir()) == []
    assert raised == []


def test_a_person_who_closes_the_window_is_asked_and_the_save_goes_on_or_ends(
    viewer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In words, with how far it is; once it has ended, the window closes, and nothing is raised."""
    raised: list[BaseException] = []
    monkeypatch.setattr(sys, "excepthook", lambda _, error, __: raised.append(error))
    add_slow_image(viewer)
    layers = [layer.as_layer_data_tuple() for layer in viewer.layers]
    window = viewer.window._qt_window
    asked: list[str] = []

    def answer(text: str) -> Callable[[QWidget], None]:
        def look(dialog: QWidget) -> None:
            assert isinstance(dialog, QMessageBox)
            asked.append(dialog.text())
            photograph(f"close-{len(asked)}")
            press(dialog, text)

        return look

    def close() -> None:
        if len(asked) < 2 and any(tmp_path.iterdir()):
            window.close()

    timer = QTimer()
    timer.timeout.connect(close)
    timer.start(200)
    with answering(answer("Cancel"), answer("Stop and close")):
        write_layers(str(tmp_path / "cells.ome.zarr"), layers)
    timer.stop()
    assert all(re.fullmatch(r"A save is running: cells.ome.zarr(, \d+ %)?", text) for text in asked)
    assert list(tmp_path.iterdir()) == []
    wait_until(lambda: not window.isVisible(), why="closed after the save")
    assert raised == []
    viewer.close()
