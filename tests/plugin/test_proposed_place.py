"""Where the save dialog starts: the file's own name and folder, a new name for a part of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import xarray as xr
from napari.components import ViewerModel
from napari.layers import Image, Layer

from napari_ome_ngff import MultiscaleSource, add_to_viewer, save_ome_ngff, write_hierarchy
from napari_ome_ngff.plugin.dialogs.save_dialog import proposed_place
from napari_ome_ngff.plugin.reader import open_layers
from napari_ome_ngff.plugin.save.form import Form
from napari_ome_ngff.plugin.save.request import preview
from napari_ome_ngff.plugin.save_panel.proposal import new_place
from tests.window_tools import write_plate, write_scene


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
    assert proposed_place(layers[:1], layers, "/elsewhere") == str(tmp_path / "cells_red.ome.zarr")


def test_new_layers_get_a_new_name(tmp_path: Path) -> None:
    layer = Image(np.zeros((4, 4)), name="a/b")
    assert proposed_place([layer], [layer], str(tmp_path)) == str(tmp_path / "ab.ome.zarr")
    os.mkdir(tmp_path / "ab.ome.zarr")
    assert proposed_place([layer], [layer], str(tmp_path)) == str(tmp_path / "ab-2.ome.zarr")


def in_folder(folder: Path) -> dict[str, Path]:
    """One of everything that can be opened, in a folder that is no hierarchy."""
    pixels = np.zeros((2, 8, 8), "uint8")
    cells = {"axes": "cyx", "channels": ["red", "green"], "labels": {"nuclei": pixels[0]}}
    save_ome_ngff(folder / "cells.ome.zarr", pixels, **cells)
    save_ome_ngff(folder / "one.ozx", pixels, axes="cyx")
    flat = xr.DataArray(pixels[0], dims=("y", "x"))
    images = {"0": MultiscaleSource(image=flat), "1": MultiscaleSource(image=flat, name="after")}
    write_hierarchy(store=folder / "many.zarr", sources=images).run()
    write_plate(folder / "plate.zarr", rows=1, columns=2, fields=2, side=16)
    write_scene(folder / "scene.zarr", side=20, overlap=2)
    return {path.name: path for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("opened", "chosen", "name"),
    [
        ("cells.ome.zarr", slice(None), "cells-2"),
        ("cells.ome.zarr", slice(1), "cells_red"),
        ("cells.ome.zarr/labels/nuclei", slice(None), "cells_nuclei"),
        ("one.ozx", slice(None), "one"),
        ("many.zarr", slice(None), "many"),
        ("many.zarr", slice(1), "many_0"),
        ("many.zarr/1", slice(None), "many_1"),
        ("plate.zarr", slice(None), "plate"),
        ("plate.zarr/A/2/1", slice(None), "plate_A_2_1"),
        ("scene.zarr", slice(None), "scene"),
        ("scene.zarr/tile_1", slice(None), "scene_tile_1"),
    ],
)
def test_a_new_place_is_valid_and_called_as_the_image(
    opened: str, chosen: slice, name: str, one_of_each: Path, preview_of: Callable[[list[Layer], str], object]
) -> None:
    """Not inside what was opened, whatever it is a part of; nor after the first of the channels."""
    every = [Layer.create(*layer) for layer in open_layers(str(one_of_each / opened), "")[1]]
    place = new_place(every[chosen], every, "/elsewhere")
    assert place == str(one_of_each / f"{name}.ome.zarr")
    assert preview_of(every[chosen], place) is None


@pytest.fixture(scope="module")
def one_of_each(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("opened")
    in_folder(folder)
    return folder


@pytest.fixture
def preview_of() -> Callable[[list[Layer], str], object]:
    """What is wrong with saving layers to a place, None if nothing."""
    return lambda layers, place: (
        preview(Form(target=place), [layer.as_layer_data_tuple() for layer in layers]).problem
    )


@pytest.mark.parametrize(
    ("names", "called"),
    [
        (["DAPI"], "DAPI"),
        (["cells: DAPI", "cells: GFP"], "cells"),
        (["red", "green"], "image"),
        (["stack", "stack [1]"], "stack"),
        (["c1", "c2"], "image"),
    ],
)
def test_new_layers_are_called_as_what_their_names_share(names: list[str], called: str) -> None:
    layers = [Image(np.zeros((4, 4)), name=name) for name in names]
    assert new_place(layers, layers, "/nowhere") == f"/nowhere/{called}.ome.zarr"


def test_a_place_where_nobody_may_write_is_not_proposed(tmp_path: Path) -> None:
    save_ome_ngff(tmp_path / "cells.ome.zarr", np.zeros((8, 8), "uint8"))
    layers = [Layer.create(*layer) for layer in open_layers(str(tmp_path / "cells.ome.zarr"), "")[1]]
    with patch("os.access", return_value=False):
        assert new_place(layers, layers, "/nowhere") == "/nowhere/cells.ome.zarr"
