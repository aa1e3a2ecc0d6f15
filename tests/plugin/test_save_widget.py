"""The dock widget without a window of napari: fields, plan and proposals, on a viewer model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_ome_ngff.plugin import save_widget
from napari_ome_ngff.plugin.save.form import SEVERAL, Form
from napari_ome_ngff.plugin.save.request import preview
from napari_ome_ngff.plugin.save_panel.form_fields import SELECTED, read_form
from napari_ome_ngff.plugin.save_widget import CreateWidget
from tests.cases import build


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ViewerModel:
    """A viewer without a window, whose user lives in an empty folder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    return ViewerModel()


@pytest.fixture
def widget(model: ViewerModel, qtbot: Any) -> CreateWidget:
    widget = CreateWidget(napari_viewer=model)
    qtbot.addWidget(widget.native)
    return widget


def add_image(model: ViewerModel, name: str = "cells", shape: tuple[int, ...] = (4, 64, 64)) -> Any:
    return model.add_image(np.zeros(shape, "uint8"), name=name, axis_labels=("z", "y", "x")[-len(shape) :])


Settle = Callable[[], None]


@pytest.fixture
def settle(widget: CreateWidget, qtbot: Any) -> Settle:
    """Wait until the last change in the viewer is planned."""
    return lambda: qtbot.waitUntil(lambda: not widget._later.isActive())


def test_an_empty_viewer_has_nothing_to_write(widget: CreateWidget) -> None:
    assert not widget.create.enabled
    assert not widget.cancel.enabled
    assert "nothing to write" in widget.status.value


def test_the_fields_start_as_the_defaults_of_a_request(widget: CreateWidget) -> None:
    assert read_form(widget.fields) == Form(target="")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", "0.6"),
        ("image_method", "nearest"),
        ("label_method", "nearest"),
        ("levels", "4"),
        ("chunks", "16, 16"),
        ("shards", "auto"),
        ("compressor", "gzip"),
        ("overwrite", True),
        ("several", SEVERAL[1]),
        ("verify", True),
    ],
)
def test_every_field_reaches_the_form(widget: CreateWidget, field: str, value: object) -> None:
    widget.fields[field].value = value
    assert getattr(read_form(widget.fields), field) == value


def test_three_rows_and_the_part_are_shown_and_the_rest_is_folded(widget: CreateWidget) -> None:
    """What was chosen in it is said all the same; what is there is replaced only where something is."""
    widget.show()
    shown = [name for name, field in widget.fields.items() if field.visible]
    assert shown == ["which", "target", "part", "from_level", "version"]
    widget.advanced.turn()
    hidden = [name for name, field in widget.fields.items() if not field.visible]
    assert hidden == ["overwrite"]
    widget.fields["compressor"].value = "gzip"
    widget.fields["verify"].value = True
    widget.advanced.turn()
    assert widget.advanced.button.text == "▸ Advanced: compression gzip, check what was written"
    assert not widget.fields["compressor"].visible


def test_where_it_goes_is_said_in_full_and_only_what_is_wrong_looks_wrong(
    widget: CreateWidget, model: ViewerModel, tmp_path: Path, settle: Settle
) -> None:
    def looks_wrong() -> bool:
        return "background" in widget.status.native.styleSheet()

    assert not looks_wrong(), "an empty viewer is no error"
    add_image(model)
    model.add_points([[0, 0, 0]], name="spots")
    settle()
    place = widget.place.value.replace("\u200b", "")
    assert place == f"will be written to {tmp_path / 'cells.ome.zarr'}"
    assert widget.messages.notes.value.count("'spots' is not saved") == 1
    assert not looks_wrong()
    inside = tmp_path / "other.zarr"
    build.group(inside, zarr=3)
    for wrong in (str(inside / "in_it"), ""):
        widget.fields["target"].line_edit.value = wrong
        assert looks_wrong()
        assert widget.place.value == "", "nothing is written there"


def test_every_field_is_explained(widget: CreateWidget) -> None:
    for field in widget.fields.values():
        assert len(field.tooltip or "") > 20, field.label


def test_the_plan_follows_the_layers(widget: CreateWidget, model: ViewerModel, settle: Settle) -> None:
    layer = add_image(model)
    settle()
    assert widget.create.enabled
    assert widget.plan_table["Size"] == ["4×64×64"]
    layer.scale, layer.units = (2, 0.5, 0.5), ("micrometer",) * 3
    settle()
    assert widget.plan_table["Voxel size"] == ["z 2, yx 0.5 µm"]
    model.add_labels(np.zeros((4, 64, 64), "uint8"), name="blobs", scale=(2, 0.5, 0.5), units=layer.units)
    settle()
    assert widget.plan_table["Image"] == ["cells (zyx)", "blobs (zyx)"]
    layer.data = np.zeros((8, 64, 64), "uint8")
    settle()
    assert widget.plan_table["Size"][0] == "8×64×64"
    model.layers.clear()
    settle()
    assert not widget.create.enabled
    assert widget.plan_table["Size"] == []


def test_many_changes_are_planned_once(
    widget: CreateWidget, model: ViewerModel, settle: Settle, monkeypatch: pytest.MonkeyPatch
) -> None:
    previews = []
    monkeypatch.setattr(save_widget, "preview", lambda *given: previews.append(given) or preview(*given))
    for name in "abc":
        add_image(model, name).scale = (1, 0.5, 0.5)
    settle()
    assert len(previews) == 1
    assert len(widget.plan_table["Size"]) >= 1


def test_the_plan_follows_the_fields(widget: CreateWidget, model: ViewerModel) -> None:
    add_image(model)
    widget.fields["levels"].value = "3"
    assert widget.plan_table["Level"] == ["0", "1", "2"]
    widget.fields["chunks"].value = "2, 16, 16"
    assert widget.plan_table["Chunks"][0] == "2×16×16"
    widget.fields["chunks"].value = "no"
    assert not widget.create.enabled
    assert widget.status.value.startswith("Chunks")
    widget.fields["chunks"].value = "auto"
    assert widget.create.enabled


def test_only_selected_layers_are_planned_if_that_is_chosen(
    widget: CreateWidget, model: ViewerModel, settle: Settle
) -> None:
    add_image(model, "a")
    b = add_image(model, "b", (32, 32))
    settle()
    assert "different images" in widget.messages.notes.value
    widget.fields["which"].value = SELECTED
    model.layers.selection = {b}
    settle()
    assert widget.plan_table["Size"] == ["32×32"]
    model.layers.selection = set()
    settle()
    assert "nothing to write" in widget.status.value


def test_what_cannot_be_is_refused_with_the_reason(widget: CreateWidget, model: ViewerModel) -> None:
    add_image(model)
    widget.fields["shards"].value = "auto"
    widget.fields["version"].value = "0.4"
    assert not widget.create.enabled
    assert "0.4 has no shards" in widget.status.value
    widget.fields["version"].value = "0.5"
    assert widget.create.enabled


def test_a_target_is_proposed_until_one_is_typed(
    widget: CreateWidget, model: ViewerModel, tmp_path: Path, settle: Settle
) -> None:
    layer = add_image(model)
    settle()
    assert read_form(widget.fields).target == str(tmp_path / "cells.ome.zarr")
    layer.name = "nuclei"
    settle()
    assert read_form(widget.fields).target == str(tmp_path / "nuclei.ome.zarr")
    (tmp_path / "nuclei.ome.zarr").mkdir()
    widget.refresh()
    assert read_form(widget.fields).target == str(tmp_path / "nuclei-2.ome.zarr")
    widget.fields["target"].line_edit.value = str(tmp_path / "mine")
    layer.name = "cells"
    settle()
    assert read_form(widget.fields).target == str(tmp_path / "mine")


def test_axes_are_those_of_the_layer_that_is_selected(
    widget: CreateWidget, model: ViewerModel, settle: Settle
) -> None:
    layers = [add_image(model, "cells"), add_image(model, "map", (64, 64))]
    settle()
    for layer in layers:
        model.layers.selection.active = layer
        assert widget.axes.title.text() == f"Axes of {layer.name}"


def test_the_keyboard_goes_from_the_rows_through_the_axes_to_the_buttons(
    widget: CreateWidget, model: ViewerModel, settle: Settle
) -> None:
    add_image(model)
    settle()
    start = widget.fields["version"].native
    reached, one = [], start.nextInFocusChain()
    while one is not start:
        reached.append(one)
        one = one.nextInFocusChain()
    axes = [*widget.axes.series.values(), *(each for line in widget.axes.lines for each in line.widgets)]
    wanted = [*axes, widget.advanced.button.native, widget.create.native, widget.open_result.native]
    assert [one for one in reached if one in wanted] == wanted


def test_a_viewer_outlives_its_widget(model: ViewerModel, qtbot: Any) -> None:
    widget = CreateWidget(napari_viewer=model)
    widget.native.deleteLater()
    qtbot.wait(50)
    add_image(model)
    model.layers.selection = set()
    qtbot.wait(50)
    assert len(model.layers) == 1
