"""Where the save dialog starts: the file's own name and folder, a new name for a part of it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from napari_ome_ngff import add_to_viewer, save_ome_ngff
from napari_ome_ngff.plugin.dialogs.save_dialog import proposed_place


@pytest.fixture
def viewer(tmp_path: Path) -> ViewerModel:
    """Two channels with a label image, opened from a file."""
    pixels = np.zeros((2, 8, 8), "uint8")
    place = tmp_path / "cells.ome.zarr"
    save_ome_ngff(place, pixels, axes="cyx", channels=["red", "green"], labels={"nuclei": pixels[0]})
    viewer = ViewerModel()
    add_to_viewer(viewer, place)
    return viewer


def test_the_file_that_layers_came_from(viewer: ViewerModel, tmp_path: Path) -> None:
    layers = list(viewer.layers)
    assert proposed_place(layers, layers, "/elsewhere") == str(tmp_path / "cells.ome.zarr")


def test_labels_alone_are_added_to_their_image(viewer: ViewerModel, tmp_path: Path) -> None:
    layers = list(viewer.layers)
    assert proposed_place(layers[-1:], layers, "/elsewhere") == str(tmp_path / "cells.ome.zarr")


def test_a_part_of_an_image_does_not_take_its_place(viewer: ViewerModel, tmp_path: Path) -> None:
    layers = list(viewer.layers)
    assert proposed_place(layers[:1], layers, "/elsewhere") == str(tmp_path / "red.ome.zarr")


def test_new_layers_get_a_new_name(tmp_path: Path) -> None:
    layer = Image(np.zeros((4, 4)), name="a/b")
    assert proposed_place([layer], [layer], str(tmp_path)) == str(tmp_path / "ab.ome.zarr")
    os.mkdir(tmp_path / "ab.ome.zarr")
    assert proposed_place([layer], [layer], str(tmp_path)) == str(tmp_path / "ab-2.ome.zarr")
