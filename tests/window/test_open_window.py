"""Opening in a real napari window: by drag and drop, through the question for a reader, and by a call."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtWidgets import QWidget

from napari_ome_ngff import add_to_viewer, open_ome_ngff
from napari_ome_ngff.errors import OmeNgffError
from tests.window_tools import (
    PLUGIN,
    answering,
    canvas,
    choose_reader,
    difference,
    drop,
    photograph,
    press,
)


@pytest.fixture
def coins(corpus: Path) -> Path:
    """An image with a label image, written by ome-zarr-py."""
    return corpus / "generated" / "ome-zarr-py-0.21" / "coins_0.5.zarr"


def test_a_dropped_folder_opens_once_a_reader_is_chosen(viewer: Any, coins: Path) -> None:
    offered: list[str] = []
    with answering(choose_reader("OME-NGFF", offered=offered, shot="choose-reader")):
        drop(viewer, coins)
    assert offered[0] == "OME-NGFF", "napari sorts readers by name and selects the first one"
    kinds = [layer._type_string for layer in viewer.layers]
    assert kinds == ["image", "image", "labels"], "a layer for each channel, then the label image"
    dropped = canvas(viewer)
    photograph(f"dropped-{coins.stem}")
    assert (dropped.max(axis=-1) > 32).mean() > 0.2, "the image fills the canvas"
    viewer.layers.clear()
    viewer.open(str(coins), plugin=PLUGIN)
    assert difference(dropped, canvas(viewer)) < 0.001, "opened by a call, it is the same picture"
    viewer.layers.clear()
    assert add_to_viewer(viewer, open_ome_ngff(coins)) == list(viewer.layers)
    canvas(viewer)  # the slider takes its place again
    assert difference(dropped, canvas(viewer)) < 0.001, "and from a script"


def test_label_images_are_drawn_over_their_image(viewer: Any, coins: Path) -> None:
    *images, labels = viewer.open(str(coins), plugin=PLUGIN)
    labels.visible = True
    with_labels = canvas(viewer)
    labels.visible = False
    without = canvas(viewer)
    assert difference(with_labels, without) > 0.1
    for image in images:
        image.visible = False
    labels.visible = True
    photograph("labels")
    alone = canvas(viewer).astype(int)
    seen = alone[alone.max(axis=-1) > 64]
    assert len(seen) > 0.2 * alone.shape[0] * alone.shape[1]
    assert (seen[:, 0] > 2 * seen[:, 1:].sum(axis=1)).all(), "red, as the file says"
    lower, upper = labels.extent.world
    assert np.allclose(lower, images[0].extent.world[0])
    assert np.allclose(upper, images[0].extent.world[1])


def test_no_reader_no_layers(viewer: Any, coins: Path) -> None:
    def cancel(dialog: QWidget) -> None:
        press(dialog, "Cancel")

    with answering(cancel):
        drop(viewer, coins)
    assert len(viewer.layers) == 0


def test_what_cannot_be_opened_says_so_and_opens_nothing(viewer: Any, tmp_path: Path) -> None:
    broken = tmp_path / "broken.zarr"
    broken.mkdir()
    (broken / ".zgroup").write_text('{"zarr_format": 2}')
    (broken / ".zattrs").write_text('{"multiscales": [{"version": "0.4", "axes": [], "datasets": []}]}')
    with answering(choose_reader("OME-NGFF")), pytest.raises(OmeNgffError) as caught:
        drop(viewer, broken)
    assert len(caught.value.summary) < 120
    assert len(viewer.layers) == 0


def test_an_image_that_goes_away_while_it_is_shown_leaves_the_window_alive(
    viewer: Any, corpus: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "wave.ome.zarr"
    shutil.copytree(corpus / "generated" / "ngff-zarr-0.50" / "wave_0.5.ome.zarr", copy)
    viewer.open(str(copy), plugin=PLUGIN)
    assert (canvas(viewer).max(axis=-1) > 32).any()
    shutil.rmtree(copy)
    viewer.dims.set_current_step(0, 1)
    assert canvas(viewer).shape
