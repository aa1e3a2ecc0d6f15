"""The window is closed while an image is saved: all or nothing of it is there, and Qt raises nothing."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from qtpy.QtCore import QTimer

from napari_ome_ngff.errors import CancelledError
from napari_ome_ngff.plugin.writer import write_layers
from tests.window_tools import add_slow_image, pump


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
    try:
        write_layers(str(tmp_path / "a.ome.zarr"), layers)
        pytest.fail("the window was closed, and the save went on")
    except CancelledError:
        pass
    pump(0.3)
    assert list(tmp_path.iterdir()) == []
    assert raised == []
