"""`add_to_viewer`: what a script has, in a viewer, as if it had been opened there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from napari.components import ViewerModel
from zarr.storage import MemoryStore, StorePath

from napari_ome_ngff import Image, OptionError, StorageError, add_to_viewer, open_ome_ngff, save_ome_ngff
from napari_ome_ngff.plugin.reader import read_layers
from napari_ome_ngff.plugin.writer import write_layers

PIXELS = np.arange(2 * 32 * 40, dtype="uint16").reshape(2, 32, 40)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("viewed") / "cells.ome.zarr"
    labels = {"nuclei": PIXELS[0] > 99}
    save_ome_ngff(place, PIXELS, axes="cyx", scale=0.5, units="um", channels=["a", "b"], labels=labels)
    return place


WAYS: dict[str, Callable[[Path], Any]] = {
    "path": lambda place: place,
    "text": str,
    "group": lambda place: zarr.open_group(place, mode="r"),
    "place in a store": lambda place: StorePath(zarr.storage.LocalStore(place.parent), place.name),
    "store": lambda place: zarr.storage.LocalStore(place),
    "image": open_ome_ngff,
}


@pytest.mark.parametrize("way", WAYS)
def test_an_image_is_added_with_all_that_its_file_says(way: str, place: Path) -> None:
    viewer = ViewerModel()
    layers = add_to_viewer(viewer, WAYS[way](place))
    assert layers == list(viewer.layers)
    assert [layer.name for layer in layers] == ["a", "b", "nuclei"]
    assert [type(layer).__name__ for layer in layers] == ["Image", "Image", "Labels"]
    first: Any = layers[0]
    assert first.scale.tolist() == [0.5, 0.5]
    assert str(first.units[0]) == "micrometer"
    assert first.metadata["ome_ngff"]["location"] == str(place)
    np.testing.assert_array_equal(np.asarray(first.data[0] if first.multiscale else first.data), PIXELS[0])


def test_levels_that_were_replaced_are_shown_as_they_are(place: Path) -> None:
    image = open_ome_ngff(place)
    assert isinstance(image, Image)
    changed = replace(image, arrays={path: level + 1 for path, level in image.arrays.items()})
    first: Any = add_to_viewer(ViewerModel(), changed)[0]
    np.testing.assert_array_equal(
        np.asarray(first.data[0] if first.multiscale else first.data), PIXELS[0] + 1
    )


def test_an_image_without_a_name_is_called_as_told() -> None:
    store = MemoryStore()
    save_ome_ngff(store, PIXELS[0])
    group = zarr.open_group(store)
    ome = dict(group.attrs["ome"])
    ome["multiscales"][0].pop("name")
    group.attrs["ome"] = ome
    viewer = ViewerModel()
    add_to_viewer(viewer, store)
    add_to_viewer(viewer, store, name="mine")
    assert [layer.name for layer in viewer.layers] == ["image", "mine"]


def test_what_is_no_viewer_or_no_place_is_refused(place: Path, tmp_path: Path) -> None:
    viewer: Any = ViewerModel()
    with pytest.raises(OptionError, match=r"must be a napari.Viewer, not of type pathlib"):
        add_to_viewer(place, viewer)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="The store must be"):
        add_to_viewer(viewer, PIXELS)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="coordinate_system is for"):
        add_to_viewer(viewer, open_ome_ngff(place), coordinate_system="world")
    with pytest.raises(StorageError):
        add_to_viewer(viewer, tmp_path / "nothing.zarr")
    assert not viewer.layers


def test_the_name_is_there_without_importing_napari() -> None:
    code = "import sys, napari_ome_ngff as n; n.add_to_viewer; sys.exit('napari' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_layers_are_called_after_their_image_where_several_are_open(tmp_path: Path) -> None:
    """In their files they are called as before."""
    viewer, pixels = ViewerModel(), np.zeros((2, 8, 8), "uint8")
    for name in ("cells", "tissue"):
        place = tmp_path / f"{name}.ome.zarr"
        save_ome_ngff(place, pixels, axes="cyx", channels=["DAPI", "GFP"], labels={"nuclei": pixels[0]})
        add_to_viewer(viewer, place)
    names = [layer.name for layer in viewer.layers]
    assert names == ["DAPI", "GFP", "nuclei", "tissue: DAPI", "tissue: GFP", "tissue: nuclei"]
    saved = tmp_path / "saved.ome.zarr"
    write_layers(str(saved), [layer.as_layer_data_tuple() for layer in viewer.layers[3:]])
    assert [meta["name"] for _, meta, _ in read_layers(str(saved))] == ["DAPI", "GFP", "nuclei"]
