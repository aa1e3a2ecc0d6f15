"""Tables of regions as Shapes layers: each region is drawn around its voxels, wherever the image lies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from napari.components import ViewerModel
from napari.layers import Layer, Shapes

from napari_ome_ngff.plugin.edit.show_rois import show_rois
from napari_ome_ngff.plugin.reader import read_layers
from tests.cases.build import image

Box = dict[str, tuple[float, float]]
"""Where a region begins along each axis, and how long it is there, in micrometers."""


def viewer_of(folder: Path, *boxes: Box) -> Any:
    """A stack at (3, 10, 20) with voxels of (2, 0.5, 0.5), and a table."""
    place = image(
        folder / "a.zarr",
        version="0.5",
        axes="zyx",
        shape=(4, 8, 6),
        scale=(2, 0.5, 0.5),
        translation=(3, 10, 20),
    )
    rows: dict[str, list[Any]] = {"label": [str(i) for i in range(len(boxes))]}
    for axis in "zyx":
        rows[f"{axis}_micrometer"] = [box[axis][0] for box in boxes]
        rows[f"len_{axis}_micrometer"] = [box[axis][1] for box in boxes]
    if boxes:
        group = zarr.open_group(place, mode="r+")
        described = {"type": "masking_roi_table", "backend": "json", "index_key": "label"}
        group.create_group("tables/nuclei", attributes=described).create_group("table", attributes=rows)
    viewer: Any = ViewerModel()
    for data, meta, kind in read_layers(str(place)):
        viewer.layers.append(Layer.create(data, meta, kind))
    return viewer


def drawn(layer: Shapes) -> list[tuple[list[float], list[float]]]:
    """Least and greatest corner of each shape in the world."""
    corners = [np.array([layer.data_to_world(point) for point in shape]) for shape in layer.data]
    return [(each.min(axis=0).tolist(), each.max(axis=0).tolist()) for each in corners]


def test_a_region_as_deep_as_the_image_is_drawn_in_every_slice(tmp_path: Path) -> None:
    viewer = viewer_of(
        tmp_path, {"z": (0, 8), "y": (1, 2), "x": (0, 3)}, {"z": (0, 8), "y": (0, 4), "x": (0, 3)}
    )
    assert show_rois(viewer, viewer.layers[0]) == "Added nuclei (2 regions)."
    shapes = viewer.layers["nuclei"]
    assert shapes.ndim == 2
    # From edge to edge: y begins at 10 - 0.25.
    assert drawn(shapes)[0] == ([10.75, 19.75], [12.75, 22.75])
    assert list(shapes.features["name"]) == ["0", "1"]
    assert viewer.layers.selection.active is viewer.layers[0]


def test_other_regions_are_drawn_in_the_slices_that_they_are_in(tmp_path: Path) -> None:
    viewer = viewer_of(tmp_path, {"z": (2, 4), "y": (1, 2), "x": (0, 3)})
    show_rois(viewer, viewer.layers[0])
    shapes = viewer.layers["nuclei"]
    assert [low[0] for low, _ in drawn(shapes)] == [5.0, 7.0]  # slices 1 and 2
    assert drawn(shapes)[0][1] == [5.0, 12.75, 22.75]
    assert list(shapes.features["name"]) == ["0", "0"]


def test_an_image_without_tables_says_so(tmp_path: Path) -> None:
    viewer = viewer_of(tmp_path)
    assert "no table of regions" in show_rois(viewer, viewer.layers[0])
    assert len(viewer.layers) == 1


@pytest.mark.parametrize("unit", ["nanometer", "millimeter"])
def test_voxels_in_other_units_are_converted(unit: str, tmp_path: Path) -> None:
    factor = {"nanometer": 1e-3, "millimeter": 1e3}[unit]
    axes = [{"name": dim, "type": "space", "unit": unit} for dim in "yx"]
    place = image(tmp_path / "a.zarr", version="0.5", axes=axes, scale=(0.5 / factor, 0.5 / factor))
    rows = {f"{start}{dim}_micrometer": [1.0] for dim in "yx" for start in ("", "len_")}
    group = zarr.open_group(place, mode="r+")
    group.create_group("tables/t", attributes={"backend": "json"}).create_group("table", attributes=rows)
    viewer: Any = ViewerModel()
    viewer.layers.append(Layer.create(*read_layers(str(place))[0]))
    show_rois(viewer, viewer.layers[0])
    shape = viewer.layers["t"].data[0]
    assert np.allclose((shape.min(axis=0), shape.max(axis=0)), ((1.5, 1.5), (3.5, 3.5)))
