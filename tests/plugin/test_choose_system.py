"""A choice of coordinate system: layers lie where opening in that system puts them, and look as before."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Layer

from napari_ome_ngff import OmeNgffWarning, open_ome_ngff
from napari_ome_ngff.plugin.edit.choose_system import current_system, show_in_system
from napari_ome_ngff.plugin.open.to_layers import to_layers
from napari_ome_ngff.plugin.origin import origin_of
from napari_ome_ngff.plugin.reader import read_layers
from tests.cases.spellings import alternatives, axes_of, spatialdata


def window(place: Path) -> Any:
    viewer: Any = ViewerModel()
    for data, meta, kind in read_layers(str(place)):
        viewer.layers.append(Layer.create(data, meta, kind))
    return viewer


def where(layer: Any) -> tuple[str, list[float], list[float], tuple[str, ...]]:
    """Name, and where two voxels of it lie."""
    far = np.ones(layer.ndim) * (3, 5)[-layer.ndim :]
    corners = [np.asarray(layer.data_to_world(point)).tolist() for point in (np.zeros(layer.ndim), far)]
    return layer.name, *corners, layer.axis_labels


def system_of(layer: Any) -> str | None:
    origin = origin_of({"metadata": layer.metadata})
    assert origin is not None
    return current_system(origin)


@pytest.mark.filterwarnings("ignore::napari_ome_ngff.OmeNgffWarning", "ignore::UserWarning")
def test_layers_of_a_store_lie_where_opening_it_in_that_system_puts_them(tmp_path: Path) -> None:
    root = spatialdata(tmp_path)
    viewer = window(root)
    first = [(where(layer), layer.visible) for layer in viewer.layers]
    viewer.layers[0].colormap = "magma"
    for system, shown in (("aligned", ["cells", "scan"]), ("global", ["cells", "stain"])):
        message = show_in_system(viewer, viewer.layers["cells"], system)
        assert "2 layers are not in it; they are hidden" in message
        assert sorted({layer.name.split()[0] for layer in viewer.layers if layer.visible}) == shown
        opened = to_layers(open_ome_ngff(root, coordinate_system=system))
        expected = {meta["name"]: where(Layer.create(data, meta, kind)) for data, meta, kind in opened}
        placed = {layer.name: where(layer) for layer in viewer.layers if layer.visible}
        assert placed == expected
        assert {system_of(layer) for layer in viewer.layers if layer.visible} == {system}
    assert [(where(layer), layer.visible) for layer in viewer.layers] == first
    assert viewer.layers[0].colormap.name == "magma"


def test_axes_in_another_order_replace_the_layer(tmp_path: Path) -> None:
    to = {name: {"output": {"name": name, "axes": axes_of("yx")}} for name in ("global", "turned")}
    turned = {"type": "affine", "affine": [[0, 1, 0], [1, 0, 100]]}
    place = alternatives({"type": "identity", **to["global"]}, {**turned, **to["turned"]})(tmp_path)
    viewer = window(place)
    viewer.layers[0].opacity = 0.25
    for system, corner in (("turned", (5, 107)), ("global", (7, 5)), ("turned", (5, 107))):
        show_in_system(viewer, viewer.layers[0], system)
        (layer,) = viewer.layers
        value = open_pixels(place)[7, 5]
        (index,) = np.argwhere(np.asarray(layer.data) == value)
        assert tuple(layer.data_to_world(index)) == corner
        assert layer.opacity == 0.25
        assert system_of(layer) == system


def open_pixels(place: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OmeNgffWarning)
        image: Any = open_ome_ngff(place)
    return next(iter(image.arrays.values())).values


@pytest.mark.filterwarnings("ignore::napari_ome_ngff.OmeNgffWarning", "ignore::UserWarning")
def test_the_dock_offers_the_systems_where_there_is_a_choice(tmp_path: Path, qtbot: Any) -> None:
    from napari_ome_ngff.plugin.image_widget import ImageWidget

    viewer = window(spatialdata(tmp_path))
    dock = ImageWidget(viewer)
    qtbot.addWidget(dock)
    viewer.layers.selection.active = None
    assert dock.system_box.isHidden()
    viewer.layers.selection.active = viewer.layers["cells"]
    assert not dock.system_box.isHidden()
    assert [dock.system.itemText(i) for i in range(dock.system.count())] == ["global", "aligned"]
    assert dock.system.currentText() == "global"
    dock.system.setCurrentText("aligned")
    dock.system.activated.emit(1)
    assert system_of(viewer.layers["cells"]) == "aligned"
    assert "shown in the coordinate system 'aligned'" in dock.status.text()
    qtbot.waitUntil(lambda: "Level" in dock.facts.text())
