"""Layers that lie side by side are saved as a scene of 0.6, and come back where they were."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import Any

import napari_ome_zarr
import numpy as np
import pytest
import zarr
from napari.layers import Image, Labels, Layer
from zarr.storage import MemoryStore

from napari_ome_ngff import Affine, Collection, open_ome_ngff, save_ome_ngff, write_scene
from napari_ome_ngff.plugin.reader import read_layers
from napari_ome_ngff.plugin.save.form import Form
from napari_ome_ngff.plugin.save.request import preview, write
from tests.metadata_tools import judge_by_schema, ngff_zarr

TILE = np.arange(24 * 32, dtype="uint16").reshape(24, 32)
TURN = np.array([[0.8, -0.6, 3.0], [0.6, 0.8, 5.0], [0.0, 0.0, 1.0]])
WHERE: dict[str, dict[str, Any]] = {
    "beside": {"translate": (0, 40)},
    "of other voxels": {"translate": (30, -7.5), "scale": (0.25, 0.5)},
    "rotated": {"rotate": 30, "translate": (10, 60)},
    "sheared": {"affine": TURN @ np.array([[1, 0.3, 0], [0, 1, 0], [0, 0, 1]])},
}


LABELS: dict[str, dict[str, Any] | None] = {
    "none": None,
    "as the image": {},
    "rotated otherwise": {"rotate": 10, "translate": (12, 61)},
    "moved": {"translate": (12, 61)},
}


def layers(where: str, labels: str) -> list[Layer]:
    made: list[Layer] = [Image(TILE, name="here"), Image(TILE + 1, name="there", **WHERE[where])]
    if (other := LABELS[labels]) is not None:
        made.append(Labels((TILE // 100).astype("uint8"), name="cells", **(other or WHERE[where])))
    return made


def corners(layer: Layer) -> np.ndarray:
    """World positions of the corners of a layer's first level."""
    data = layer.data[0] if layer.multiscale else layer.data
    far = np.array(data.shape) - 1
    return np.array([layer.data_to_world(point) for point in ((0, 0), (0, far[1]), (far[0], 0), far)])


def save(made: list[Layer], target: Path, version: str = "0.6") -> Any:
    planned = preview(
        Form(target=str(target), version=version), [each.as_layer_data_tuple() for each in made]
    )
    assert planned.problem is None
    assert planned.request is not None
    for _ in write(planned.request, planned.places, Event()):
        pass
    return planned


@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("where", WHERE)
def test_layers_come_back_where_they_were(where: str, labels: str, tmp_path: Path) -> None:
    made = layers(where, labels)
    planned = save(made, tmp_path / "s.ome.zarr")
    assert any("a scene" in note for note in planned.notes)
    opened = open_ome_ngff(tmp_path / "s.ome.zarr")
    assert isinstance(opened, Collection)
    assert opened.kind == "scene"
    assert list(opened.images)[:2] == ["here", "there"]  # labels that lie on neither are an image
    again = [Layer.create(*layer) for layer in read_layers(str(tmp_path / "s.ome.zarr"))]
    by_name = {layer.name: layer for layer in again}
    assert len(by_name) == len(made)
    for layer in made:
        found = next(other for name, other in by_name.items() if layer.name in name)
        np.testing.assert_allclose(corners(found), corners(layer), atol=1e-6)
        pixels = found.data[0] if found.multiscale else found.data
        np.testing.assert_array_equal(np.asarray(pixels), layer.data)


@pytest.mark.parametrize("labels", [None, {"cells": TILE // 100}])
def test_a_scene_that_was_opened_comes_back_as_it_was(labels: Any, tmp_path: Path) -> None:
    tile = save_ome_ngff(MemoryStore(), TILE, axes="yx", scale=0.5, labels=labels)
    turned = Affine(matrix=((0.8, -0.6), (0.6, 0.8)), translation=(3.0, 50.0))
    images = {"left": tile, "right": tile, "turned": tile}
    write_scene(
        store=tmp_path / "a.ome.zarr",
        images=images,
        placements={"right": {"x": 16}, "turned": turned},
        system="stage",
    ).run()
    made = [Layer.create(*layer) for layer in read_layers(str(tmp_path / "a.ome.zarr"))]
    planned = save(made, tmp_path / "b.ome.zarr")
    assert planned.notes == ("3 images are saved as a scene, each at its place.",)
    again = [Layer.create(*layer) for layer in read_layers(str(tmp_path / "b.ome.zarr"))]
    assert [layer.name for layer in again] == [layer.name for layer in made]
    for one, other in zip(made, again, strict=True):
        np.testing.assert_allclose(corners(one), corners(other), atol=1e-9)
        assert other.metadata["ome_ngff"]["system"] == "stage"
    older = save(made, tmp_path / "c.ome.zarr", "0.5")
    assert [note for note in older.notes if "scene" in note] == [
        "'left', 'right', 'turned' are saved without their scene: where they lie in 'stage' is not."
    ], "0.5 has none: it is said once"


def test_label_images_lie_on_images_with_channels(tmp_path: Path) -> None:
    turned: dict[str, Any] = {"rotate": 30, "translate": (10, 60)}
    made: list[Layer] = [Image(TILE + i, name=f"here{i}", colormap="red") for i in range(2)]
    made += [Image(TILE + i, name=f"there{i}", colormap="red", **turned) for i in range(2)]
    made.append(Labels((TILE // 100).astype("uint8"), name="cells", **turned))
    save(made, tmp_path / "s.ome.zarr")
    again = [Layer.create(*layer) for layer in read_layers(str(tmp_path / "s.ome.zarr"))]
    for layer in made:
        found = next(other for other in again if layer.name in other.name)
        np.testing.assert_allclose(corners(found), corners(layer), atol=1e-6)


def test_the_judges_accept_it(tmp_path: Path) -> None:
    save(layers("rotated", "rotated otherwise"), tmp_path / "s.ome.zarr")
    group = zarr.open_group(tmp_path / "s.ome.zarr", mode="r")
    ngff_zarr.validate(group.attrs.asdict(), version="0.6", model="scene")
    for member in ("here", "there", "there/labels/cells"):
        judge_by_schema(group[member].attrs.asdict(), "0.6")


def test_other_versions_and_images_of_other_axes_are_a_collection(tmp_path: Path) -> None:
    beside = layers("beside", "none")
    other = [beside[0], Image(np.zeros((3, 24, 32), "uint8"), name="deep", translate=(0, 0, 50))]
    for number, (made, version) in enumerate([(beside, "0.5"), (other, "0.6")]):
        place = tmp_path / f"{number}.ome.zarr"
        save(made, place, version)
        opened = open_ome_ngff(place)
        assert isinstance(opened, Collection)
        assert opened.kind != "scene"


def test_the_official_reader_sees_the_same_places(tmp_path: Path) -> None:
    place = str(tmp_path / "a.ome.zarr")
    write_scene(store=place, images={"left": TILE, "right": TILE}, placements={"right": {"x": 64}}).run()
    read = napari_ome_zarr.napari_get_reader(place)
    shifts = {meta["name"]: meta["affine"][:2, 2].tolist() for _, meta, _ in read(place)}
    assert shifts == {"left": [0, 0], "right": [0, 64]}
