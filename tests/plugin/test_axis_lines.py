"""The lines of axes in the panel: what is said there is given to the layers, and so reaches every save."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Layer
from napari.utils._proxies import PublicOnlyProxy

from napari_ome_ngff.errors import OptionError
from napari_ome_ngff.metadata.nouns import LabelImage
from napari_ome_ngff.plugin.layer_axes.axes_in_view import named_in_view
from napari_ome_ngff.plugin.open.to_layers import to_layers
from napari_ome_ngff.plugin.save.layer_image import layer_image
from napari_ome_ngff.plugin.save_panel.axis_lines import AxisLines
from napari_ome_ngff.plugin.save_panel.said_axes import SaidAxis, as_series, changed
from tests.plugin.test_layers import make_image


@pytest.fixture
def model() -> ViewerModel:
    return ViewerModel()


@pytest.fixture
def lines(model: ViewerModel, qtbot: Any) -> AxisLines:
    lines = AxisLines(PublicOnlyProxy(model))  # as napari hands it to plugins
    qtbot.addWidget(lines)
    return lines


def shown(lines: AxisLines) -> list[tuple[str, ...]]:
    return [
        (line.name.text(), line.type.currentText(), line.unit.currentText(), line.step.text())
        for line in lines.lines
        if not line.name.isHidden()
    ]


def choose(box: Any, text: str) -> None:
    box.setCurrentText(text)
    box.activated.emit(box.currentIndex())


def type_into(edit: Any, text: str) -> None:
    edit.setText(text)
    edit.editingFinished.emit()


def axes(model: ViewerModel, layer: Any) -> list[tuple[str, str | None, str | None]]:
    (data,) = named_in_view([layer.as_layer_data_tuple()], [model])
    return [(axis.name, axis.type, axis.unit) for axis in layer_image(data).axes]


YX = [("y", "space", None), ("x", "space", None)]


def test_an_axis_that_nobody_named_is_shown_as_unknown(model: ViewerModel, lines: AxisLines) -> None:
    lines.offer([model.add_image(np.zeros((5, 8, 8)), name="movie")])
    assert shown(lines) == [("", "unknown", "", "1"), ("y", "space", "", "1"), ("x", "space", "", "1")]


@pytest.mark.parametrize(("series", "first"), [("Time series", "t"), ("Z-stack", "z")])
def test_one_click_says_what_an_image_is(
    model: ViewerModel, lines: AxisLines, series: str, first: str
) -> None:
    image = model.add_image(np.zeros((5, 8, 8)), name="movie")
    labels = model.add_labels(np.zeros((5, 8, 8), int), name="cells")
    lines.offer([image, labels])
    lines.series[series].click()
    kind = {"t": "time", "z": "space"}[first]
    for layer in (image, labels):
        assert axes(model, layer) == [(first, kind, None), *YX]
        assert layer_image(layer.as_layer_data_tuple()).guessed == ()
    assert model.dims.axis_labels[0] == first, "the slider says it, too"
    assert shown(lines)[0] == (first, kind, "", "1")
    assert lines.series[series].isHidden(), "it would change nothing"


def test_what_is_typed_reaches_all_layers_of_the_image(model: ViewerModel, lines: AxisLines) -> None:
    image = model.add_image(np.zeros((5, 8, 8)), name="movie", translate=(0, 2, 2))
    labels = model.add_labels(np.zeros((5, 8, 8), int), name="cells", translate=(0, 2, 2))
    points = model.add_points([[0, 1, 1]], name="spots")
    lines.offer([image])
    type_into(lines.lines[0].name, "t")
    assert shown(lines)[0][:2] == ("t", "time")
    choose(lines.lines[0].unit, "second")
    type_into(lines.lines[0].step, "0,5")
    for i in (1, 2):
        choose(lines.lines[i].unit, "um")
        type_into(lines.lines[i].step, "0.25")
    assert shown(lines)[1:] == [(dim, "space", "micrometer", "0.25") for dim in "yx"]
    for layer in (image, labels):
        assert tuple(layer.scale) == (0.5, 0.25, 0.25)
        assert tuple(layer.translate) == (0, 0.5, 0.5), "it lies where it lay, in the new unit"
        assert axes(model, layer) == [("t", "time", "second")] + [(d, "space", "micrometer") for d in "yx"]
    assert tuple(points.scale) == (0.5, 0.25, 0.25), "what is drawn on it stays on it"


def test_a_type_that_the_name_does_not_tell_is_kept(model: ViewerModel, lines: AxisLines) -> None:
    layer = model.add_image(np.zeros((3, 5, 8, 8)), name="tilts")
    lines.offer([layer])
    type_into(lines.lines[0].name, "angle")
    type_into(lines.lines[1].name, "depth")
    choose(lines.lines[1].type, "space")
    assert axes(model, layer) == [("angle", None, None), ("depth", "space", None), *YX]
    assert [row[1] for row in shown(lines)] == ["other", "space", "space", "space"]


def test_a_renamed_slider_is_shown(model: ViewerModel, lines: AxisLines) -> None:
    layer = model.add_image(np.zeros((5, 8, 8)), name="movie")
    model.dims.set_axis_label(0, "time")
    lines.offer([layer])
    assert shown(lines)[0][:2] == ("time", "time")


def test_what_cannot_be_is_refused_and_nothing_changes(model: ViewerModel, lines: AxisLines) -> None:
    layer = model.add_image(np.zeros((5, 8, 8)), name="movie", axis_labels=("t", "y", "x"))
    lines.offer([layer])
    before = shown(lines)
    edits: list[tuple[Callable[[], None], str]] = [
        (lambda: type_into(lines.lines[0].name, "y"), "both be called 'y'"),
        (lambda: type_into(lines.lines[0].step, "fast"), "positive number"),
        (lambda: choose(lines.lines[0].unit, "parsec"), "no unit of time"),
    ]
    for edit, why in edits:
        edit()
        assert why in lines.trouble.text()
        assert not lines.trouble.isHidden()
        assert shown(lines) == before


def test_the_lines_are_those_of_the_image_that_is_selected(model: ViewerModel, lines: AxisLines) -> None:
    one = model.add_image(np.zeros((5, 8, 8)), name="one", axis_labels=("t", "y", "x"))
    two = model.add_image(np.zeros((6, 6, 6)), name="two", axis_labels=("z", "y", "x"))
    for layer, first in ((one, "t"), (two, "z")):
        model.layers.selection.active = layer
        lines.offer([one, two])
        assert shown(lines)[0][0] == first
        type_into(lines.lines[1].step, "0.5")
        assert lines.title.text() == f"Axes of {layer.name}"
    points = model.add_points([[0, 0, 0]], scale=(9, 9, 9))
    lines.offer([one, points])
    assert lines.title.text() == "Axes", "points are no other image"
    lines.offer([])
    assert lines.isHidden()


@pytest.fixture
def flat(model: ViewerModel) -> Any:
    """Label images of (t, y, x) over an image of (t, z, y, x), and all layers."""
    labels = {"cells": make_image("tyx", dtype="uint8", units={}, label_image=LabelImage())}
    layers = [Layer.create(*layer) for layer in to_layers(make_image("tzyx", labels=labels))]
    model.layers.extend(layers)
    return layers[-1], layers


def test_axes_that_an_image_lacks_have_no_line_and_the_others_can_be_said(
    model: ViewerModel, lines: AxisLines, flat: Any
) -> None:
    cells, layers = flat
    for layer in layers:
        if layer is not cells:
            model.layers.remove(layer)
    assert cells.axis_labels == ("t", "z", "y", "x")
    before = list(cells.scale)
    lines.offer([cells])
    assert [row[0] for row in shown(lines)] == ["t", "y", "x"]
    assert not lines.series["Z-stack"].isVisibleTo(lines), "it has a z already, which its file lacks"
    type_into(lines.lines[0].name, "z")
    assert "both be called 'z'" in lines.trouble.text()
    type_into(lines.lines[0].name, "time")
    type_into(lines.lines[1].step, "0.5")
    assert cells.axis_labels == ("time", "z", "y", "x")
    assert list(cells.scale) == [*before[:2], 0.5, before[3]]
    assert [name for name, _, _ in axes(model, cells)] == ["time", "y", "x"]


@pytest.mark.parametrize("by", ["line", "slider"])
def test_a_new_name_of_an_axis_that_a_label_image_lacks_gives_it_no_more_axes(
    model: ViewerModel, lines: AxisLines, flat: Any, by: str
) -> None:
    cells, layers = flat
    lines.offer(layers)
    if by == "line":
        type_into(lines.lines[1].name, "depth")
    else:
        model.dims.set_axis_label(1, "depth")
        lines.offer(layers)
    assert [row[0] for row in shown(lines)] == ["t", "depth", "y", "x"]
    assert [name for name, _, _ in axes(model, cells)] == ["t", "y", "x"]


def row(name: str, kind: str, unit: str = "", step: float = 1.0) -> SaidAxis:
    return SaidAxis(name=name, type=kind, unit=unit, step=step)


PLANE = [row("y", "space"), row("x", "space")]


@pytest.mark.parametrize(
    ("old", "new", "result"),
    [
        (row("", ""), row("", "time"), row("t", "time")),
        (row("", ""), row("", "space"), row("z", "space")),
        (row("z", "space", "micrometer"), row("z", "time", "micrometer"), row("t", "time")),
        (row("z", "space", "micrometer"), row("t", "space", "micrometer"), row("t", "time")),
        (row("z", "space"), row("depth", "space"), row("depth", "space")),
        (row("t", "time"), row("t", "time", "ms"), row("t", "time", "millisecond")),
    ],
)
def test_name_type_and_unit_go_together(old: SaidAxis, new: SaidAxis, result: SaidAxis) -> None:
    assert changed([old, *PLANE], 0, new) == [result, *PLANE]


def test_a_series_keeps_the_units_that_fit() -> None:
    rows = [row("z", "space", "micrometer", 2), *PLANE]
    assert as_series(rows, "Time series")[0] == row("t", "time", "", 2)
    assert as_series(rows, "Z-stack") == rows
    with pytest.raises(OptionError):
        changed(rows, 0, row("z", "space", "micrometer", 0))
