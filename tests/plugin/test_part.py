"""A part of layers is saved: what is in view, in a box, at a time point, from a coarser level."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
import xarray
from napari.components import ViewerModel

from napari_ome_ngff import Image, LabelImage, MultiscaleSource, open_ome_ngff, write_multiscale_group
from napari_ome_ngff.errors import OmeNgffError
from napari_ome_ngff.metadata.transforms import level_transform
from napari_ome_ngff.plugin.crop_outline import outline
from napari_ome_ngff.plugin.edit.actions import add_plain_level
from napari_ome_ngff.plugin.layer_part import chosen_part, sliders
from napari_ome_ngff.plugin.reader import open_layers
from napari_ome_ngff.plugin.save.form import EVERYTHING, SHAPES, SLICES, TIME, VIEW, Form
from napari_ome_ngff.plugin.save.request import preview, write
from napari_ome_ngff.plugin.save_widget import CreateWidget

RNG = np.random.default_rng(5)
VOXELS = RNG.integers(0, 60000, (3, 2, 4, 41, 50), "uint16")  # t, c, z, y, x
LABELS = RNG.integers(0, 9, (4, 41, 50), "uint8")
STEP = {"t": 3.0, "z": 2.0, "y": 0.5, "x": 0.25}
START = {"t": 7.0, "z": -10.0, "y": 100.0, "x": 40.0}


def dataarray(values: np.ndarray[Any, Any], dims: str) -> xarray.DataArray:
    sizes = dict(zip(dims, values.shape, strict=True))
    coords = {dim: START[dim] + STEP[dim] * np.arange(n) for dim, n in sizes.items() if dim in STEP}
    return xarray.DataArray(values, dims=tuple(dims), coords=coords)


@pytest.fixture
def viewer(tmp_path: Path) -> ViewerModel:
    from napari.layers import Layer

    folder = tmp_path / "whole.ome.zarr"
    cells = MultiscaleSource(image=dataarray(LABELS, "zyx"), levels=2, label_image=LabelImage())
    write_multiscale_group(
        store=folder, image=dataarray(VOXELS, "tczyx"), levels=3, labels={"cells": cells}
    ).run()
    viewer = ViewerModel()
    for layer in open_layers(str(folder), folder.name)[1]:
        viewer.add_layer(Layer.create(*layer))
    return viewer


def saved(viewer: ViewerModel, target: Path, part: str = EVERYTHING, **choices: Any) -> Image:
    extents = chosen_part(viewer, part, list(viewer.layers))
    data = [layer.as_layer_data_tuple() for layer in viewer.layers]
    planned = preview(Form(target=str(target), part=part, **choices), data, extents)
    assert planned.request is not None, planned.problem
    steps, outcomes = write(planned.request, planned.places, Event()), []

    def run() -> Iterator[object]:
        outcomes.append((yield from steps))

    list(run())
    assert outcomes[0].error is None
    image = open_ome_ngff(target)
    assert isinstance(image, Image)
    return image


def check_place(image: Image, whole: Image, level: int) -> None:
    """Every voxel lies where one of the same value lay in a level of the whole."""
    for dim in STEP:
        if dim in image.arrays["0"].dims:
            there = whole.arrays[str(level)].coords[dim].values
            for position in image.arrays["0"].coords[dim].values:
                assert np.abs(there - position).min() < 1e-9 * STEP[dim]
    near = {dim: image.arrays["0"].coords[dim].values for dim in STEP if dim in image.arrays["0"].dims}
    expected = whole.arrays[str(level)].sel(near, method="nearest")
    np.testing.assert_array_equal(image.arrays["0"].values, expected.values)


@pytest.mark.parametrize("level", [0, 1, 2])
def test_the_box_of_a_shape_is_cut_in_all_slices(viewer: ViewerModel, tmp_path: Path, level: int) -> None:
    """Image and labels together, from any level, each voxel where it was; the original is not replaced."""
    low, high = [7.0, -8.0, 103.1, 42.1], [7.0, -8.0, 111.0, 49.0]
    corners = np.array([low, [7, -8, 103.1, 49.0], high, [7, -8, 111.0, 42.1]])
    viewer.add_shapes([corners], shape_type="polygon")
    whole = open_ome_ngff(tmp_path / "whole.ome.zarr")
    assert isinstance(whole, Image)
    part = saved(viewer, tmp_path / "part.ome.zarr", SHAPES, from_level=str(level))
    check_place(part, whole, level)
    check_place(part.labels["cells"], whole.labels["cells"], min(level, 1))
    shape = part.arrays["0"].shape
    assert shape[:2] == (3, 2)
    assert shape[3] in range(2, 18)
    assert part.multiscale is not None
    assert whole.multiscale is not None
    assert part.multiscale.channels == whole.multiscale.channels
    assert level_transform(part.multiscale, 0).scale == level_transform(whole.multiscale, level).scale
    assert part.attributes["napari-ome-ngff:part-of"]["level"] == str(level)


def test_the_current_time_point_is_cut(viewer: ViewerModel, tmp_path: Path) -> None:
    viewer.dims.set_current_step(0, 2)
    part = saved(viewer, tmp_path / "part.ome.zarr", TIME)
    np.testing.assert_array_equal(part.arrays["0"].values, VOXELS[2:])
    assert part.arrays["0"].coords["t"].values == [13.0]
    np.testing.assert_array_equal(part.labels["cells"].arrays["0"].values, LABELS)


def test_the_view_is_cut(viewer: ViewerModel, tmp_path: Path) -> None:
    viewer.scene.camera.center = (0, 110.0, 46.0)
    viewer.scene.camera.zoom = viewer.canvas.size[0] / 5.2  # 5.2 high
    part = saved(viewer, tmp_path / "part.ome.zarr", VIEW)
    y = part.arrays["0"].coords["y"].values
    assert (y.min(), y.max()) == (107.5, 112.5)
    viewer.dims.ndisplay = 3
    with pytest.raises(OmeNgffError, match="in 2D only"):
        chosen_part(viewer, VIEW, list(viewer.layers))


@pytest.mark.parametrize("level", [0, 2])
def test_slices_are_cut_as_the_sliders_count_them_and_outlined_while_one_of_them_is_shown(
    viewer: ViewerModel, level: int
) -> None:
    """t and z; the outline goes along the edges of the voxels of the level, in the world."""
    assert sliders(viewer) == {-4: ("t", 3), -3: ("z", 4)}
    layer = viewer.layers[0]
    extents = chosen_part(viewer, SLICES, list(viewer.layers), {-4: (1, 2), -3: (2, 2)})
    assert extents == {"t": (8.5, 14.5), "z": (-7.0, -5.0)}
    extents = {**extents, "y": (103.0, 107.3), "x": (42.0, 44.9)}
    for t, z, seen in ((1, 2, True), (2, 2, True), (0, 2, False), (1, 1, False), (1, 3, False)):
        viewer.dims.set_current_step((0, 1), (t, z))
        ends = outline(viewer, layer, extents, level)
        assert (ends is not None) == seen
        if ends is not None:
            y = (102.75, 107.75 if level else 107.25)
            x = (41.875, 44.875)
            assert len(ends) == 8
            np.testing.assert_allclose([ends[:, 1].min(), ends[:, 1].max()], y)
            np.testing.assert_allclose([ends[:, 0].min(), ends[:, 0].max()], x)
    viewer.dims.ndisplay = 3
    assert sliders(viewer) == {-4: ("t", 3)}
    box = outline(viewer, layer, extents, level)
    assert box is not None
    assert box.shape == (24, 3)
    with pytest.raises(OmeNgffError, match="end before they begin"):
        chosen_part(viewer, SLICES, list(viewer.layers), {-4: (2, 1)})


def test_a_part_replaces_nothing_without_a_question(viewer: ViewerModel, tmp_path: Path) -> None:
    """The same label image of the same file: but only as a whole does it take its place without a word."""
    data = [viewer.layers["cells"].as_layer_data_tuple()]
    whole = Form(target=str(tmp_path / "whole.ome.zarr"))
    assert preview(whole, data, {}).request is not None
    assert preview(whole, data, {"z": (-100.0, 100.0)}).request is not None
    asked = preview(whole, data, {"z": (-10.5, -7.5)})
    assert asked.taken
    assert "4×41×50 by 2×41×50" in str(asked.problem)


def test_what_cannot_be_cut_is_said(viewer: ViewerModel, tmp_path: Path) -> None:
    data = [layer.as_layer_data_tuple() for layer in viewer.layers]
    form = Form(target=str(tmp_path / "part"), from_level="3")
    assert "has no level 3" in str(preview(form, data).problem)
    asked = preview(Form(target=str(tmp_path / "part")), data, {"y": (0.0, 1.0)})
    assert "no voxel in this part along 'y'" in str(asked.problem)
    with pytest.raises(OmeNgffError, match="no Shapes layer"):
        chosen_part(viewer, SHAPES, list(viewer.layers))


@pytest.mark.parametrize("name", ["image", "cells"])
@pytest.mark.parametrize("flat", [False, True])
def test_a_level_as_a_plain_layer_is_lazy_and_in_its_place(name: str, flat: bool, tmp_path: Path) -> None:
    """Of images and label images, in space and in the plane: the centre of each voxel is where it was."""
    from napari.layers import Layer

    folder, dims = tmp_path / "a.ome.zarr", "yx" if flat else "zyx"
    voxels = dataarray(LABELS[0] if flat else LABELS, dims)
    cells = MultiscaleSource(image=voxels, levels=2, label_image=LabelImage())
    write_multiscale_group(store=folder, image=voxels, levels=2, labels={"cells": cells}).run()
    model = ViewerModel()
    for each in open_layers(str(folder), folder.name)[1]:
        model.add_layer(Layer.create(*each))
    layer = model.layers[name == "cells"]
    add_plain_level(model, layer, 1)
    plain, whole = model.layers[-1], open_ome_ngff(folder)
    assert isinstance(whole, Image)
    level = (whole.labels["cells"] if name == "cells" else whole).arrays["1"]
    assert type(plain) is type(layer)
    assert not plain.multiscale
    assert not isinstance(plain.data, np.ndarray)
    np.testing.assert_array_equal(np.asarray(plain.data), level.values)
    for corner in (0, -1):
        there = [level.coords[dim].values[corner] for dim in dims]
        index = [0 if corner == 0 else n - 1 for n in level.shape]
        np.testing.assert_allclose(plain.data_to_world(index), there)


def test_the_widget_plans_the_part_and_offers_the_levels_that_the_layers_have(
    viewer: ViewerModel, tmp_path: Path, qtbot: Any
) -> None:
    widget = CreateWidget(napari_viewer=viewer)
    qtbot.addWidget(widget.native)
    assert widget.fields["from_level"].choices == ("0", "1", "2")
    widget.fields["from_level"].value = "1"
    sizes = list(widget.plan_table.to_dataframe()["Size"])
    assert sizes[0] == "3×2×4×41×25"
    widget.fields["part"].value = TIME
    assert next(iter(widget.plan_table.to_dataframe()["Size"])) == "1×2×4×41×25"
    widget.fields["part"].value = SHAPES
    assert "no Shapes layer" in widget.status.value
    assert not widget.create.enabled
    viewer.add_shapes([[[7, 0, 103, 42], [7, 0, 103, 44], [7, 0, 106, 44], [7, 0, 106, 42]]])
    qtbot.waitUntil(lambda: widget.create.enabled)
    viewer.layers.pop()  # the sliders counted its steps too
    widget.fields["part"].value = SLICES
    assert [line[0].value for line in widget.slices] == ["t from", "z from"]
    widget.slices[0][1].value = 1
    widget.slices[1][3].value = 1
    assert next(iter(widget.plan_table.to_dataframe()["Size"])) == "2×2×2×41×25"
    viewer.dims.ndisplay = 3
    qtbot.waitUntil(lambda: len(widget.slices) == 1)
    assert widget.slices.chosen() == {-4: (1, 2)}
    assert widget.fields["from_level"].native.currentText() == "1: 41×25"
    widget.fields["part"].value = EVERYTHING
    assert not widget.slices
