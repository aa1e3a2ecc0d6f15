"""What layers know of their file after metadata were saved: what was not saved is still to be saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray
from napari.layers import Layer

from napari_ome_ngff import MultiscaleSource, edit_metadata, write_labels, write_multiscale_group, write_plate
from napari_ome_ngff.plugin.edit.correct import looks, remember_file
from napari_ome_ngff.plugin.reader import read_layers


@pytest.fixture
def place(tmp_path: Path) -> str:
    folder = tmp_path / "a.ome.zarr"
    image = xarray.DataArray(np.arange(2048, dtype="uint16").reshape(2, 32, 32), dims=("c", "y", "x"))
    write_multiscale_group(store=folder, image=image, levels=2).run()
    cells = MultiscaleSource(image=(image[0] // 500).astype("uint8"))
    write_labels(store=folder, labels={"cells": cells}).run()
    return str(folder)


def layers_of(place: str) -> list[Any]:
    return [Layer.create(*layer) for layer in read_layers(place)]


def test_looks_of_the_image_are_still_to_be_saved_after_those_of_its_labels_were(place: str) -> None:
    layers = layers_of(place)
    layers[0].contrast_limits, layers[2].opacity = (5, 500), 0.25
    labels = f"{place}/labels/cells"
    edit_metadata(labels, **looks(layers, labels))
    remember_file(layers, place)
    channel = looks(layers, place)["channels"][0]
    assert (channel.window.start, channel.window.end) == (5, 500)
    assert looks(layers, labels) == {}
    edit_metadata(place, **looks(layers, place))
    remember_file(layers, place)
    assert looks(layers, place) == {}


def test_looks_are_still_to_be_saved_after_the_voxel_size_was(place: str) -> None:
    """As when a script has corrected that meanwhile."""
    layers = layers_of(place)
    layers[0].contrast_limits = (5, 500)
    edit_metadata(place, scale={"y": 0.5})
    remember_file(layers, place)
    assert looks(layers, place)["channels"][0].window.end == 500


def test_a_plate_with_labels_has_the_channels_of_its_images(tmp_path: Path) -> None:
    """Not its labels: the mosaic of the labels lies at the same place."""
    pixels = xarray.DataArray(np.arange(512, dtype="uint16").reshape(2, 16, 16), dims=("c", "y", "x"))
    field = {"": pixels, "labels/cells": (pixels[0] // 100).astype("uint8")}
    place = str(tmp_path / "plate.ome.zarr")
    write_plate(store=place, fields={("A", 1): [field], ("A", 2): [field]}, channels=["a", "b"]).run()
    layers = layers_of(place)
    layers[1].name = "tubulin"
    assert {i: channel.label for i, channel in looks(layers, place)["channels"].items()} == {1: "tubulin"}
