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


@pytest.mark.parametrize("written", [False, True], ids=["while it is planned", "while it is written"])
def test_a_save_ends_with_its_window(
    viewer: Any, tmp_path: Path, written: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised: list[BaseException] = []
    monkeypatch.setattr(sys, "excepthook", lambda _, error, __: raised.append(error))
    monkeypatch.setattr(threading, "excepthook", lambda args: raised.append(args.exc_value))
    add_slow_image(viewer)
    layers = [layer.as_layer_data_tuple() for layer in viewer.layers]
    timer = QTimer()

    def close() -> None:
        if not written or any(tmp_path.iterdir()):
            timer.stop()
            viewer.close()

    timer.timeout.connect(close)
    timer.start(20)
    try:
        write_layers(str(tmp_path / "a.ome.zarr"), layers)
        complete = True
    except CancelledError:
        complete = False
    pump(0.3)
    assert [path.name for path in tmp_path.iterdir()] == (["a.ome.zarr"] if complete else [])
    assert not (written and complete)
    assert raised == []
