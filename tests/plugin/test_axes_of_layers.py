"""Axes of layers reach the file as they are said, and no movie is averaged over time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from napari.components import ViewerModel

from napari_ome_ngff import open_ome_ngff, write_multiscale_group
from napari_ome_ngff.errors import OmeNgffWarning
from napari_ome_ngff.metadata.nouns import Axis
from napari_ome_ngff.metadata.units import axis_type
from napari_ome_ngff.plugin.layer_axes.axes_in_view import named_in_view
from napari_ome_ngff.plugin.origin import LayerData
from napari_ome_ngff.plugin.reader import read_layers
from napari_ome_ngff.plugin.save.form import Form
from napari_ome_ngff.plugin.save.request import Preview, preview
from napari_ome_ngff.plugin.writer import write_layers
from napari_ome_ngff.writing.plan.levels import choose_factors

LONG = np.broadcast_to(np.uint8(0), (8, 1100, 1100))
"""Large enough for lower levels."""


def movie(shape: tuple[int, ...] = (8, 1100, 1100), **meta: Any) -> LayerData:
    return np.broadcast_to(np.uint8(0), shape), {"name": "movie", **meta}, "image"


def planned(*layers: LayerData, **form: Any) -> Preview:
    result = preview(Form(target="/nowhere/a.ome.zarr", **form), layers)
    assert result.problem is None, result.problem
    return result


def axes(*layers: LayerData, **form: Any) -> list[tuple[str, str | None, str | None]]:
    """Name, type and unit of each axis of the image that these layers would be saved as."""
    attributes = planned(*layers, **form).places[0].model.attributes
    return [
        (each["name"], each.get("type"), each.get("unit"))
        for each in attributes["ome"]["multiscales"][0]["axes"]
    ]


def shapes(*layers: LayerData, image: int = 0, **form: Any) -> list[tuple[int, ...]]:
    return [level.shape for level in planned(*layers, **form).plans[0].multiscales[image].levels]


# A movie is never averaged over time


@pytest.mark.parametrize("ndim", [3, 4, 5])
@pytest.mark.parametrize("labels", [False, True], ids=["image", "labels"])
@pytest.mark.parametrize("levels", ["auto", "3"])
def test_an_axis_without_a_name_is_never_made_smaller(ndim: int, labels: bool, levels: str) -> None:
    leading = (7, 6, 8)[-(ndim - 2) :]
    data, meta, kind = movie((*leading, 1100, 1100))
    layer = (data, meta, "labels" if labels else kind)
    assert shapes(layer, levels=levels) == [(*leading, n, n) for n in (1100, 550, 275)]


def test_a_long_movie_has_no_more_levels_than_one_of_its_frames() -> None:
    assert len(shapes(movie((2000, 1100, 1100)))) == len(shapes(movie((1100, 1100)))) == 3


def test_an_axis_that_is_called_z_is_made_smaller() -> None:
    assert shapes(movie((8, 1100, 1100), axis_labels=("z", "y", "x")))[-1] == (2, 275, 275)


def test_labels_follow_the_image_that_they_are_saved_with() -> None:
    labels = (LONG, {"name": "cells"}, "labels")
    for meta in ({}, {"axis_labels": ("t", "y", "x")}, {"axis_labels": ("z", "y", "x")}):
        assert shapes(movie(**meta), labels, image=0) == shapes(movie(**meta), labels, image=1)


def test_a_part_of_a_movie_is_not_averaged_over_time() -> None:
    result = preview(Form(target="/nowhere/a.ome.zarr"), [movie()], {"z": (0.5, 6.5)})
    assert [level.shape[0] for level in result.plans[0].multiscales[0].levels] == [6, 6, 6]


def test_what_was_assumed_is_said_before_the_save() -> None:
    (hint,) = planned(movie()).hints
    assert "'movie'" in hint
    assert "z, y, x" in hint
    assert "not downsampled along z" in hint
    assert planned(movie(axis_labels=("z", "y", "x"))).hints == ()
    assert planned(movie((64, 64))).hints == (), "there is no doubt about two axes"


def test_axes_without_names_are_told_before_writing() -> None:
    default = [f"-{i}" for i in range(3, 0, -1)]
    layers = [
        (np.zeros((5 - (name == "b"),) * ndim), {"name": name, "axis_labels": labels}, "image")
        for name, ndim, labels in (
            ("a", 3, default),
            ("b", 3, None),  # another size, so another image
            ("c", 4, None),
            ("d", 5, None),
            ("e", 2, ("y", "x")),
        )
    ]
    layers.append((np.zeros((4,) * 3, "uint8"), {"name": "on b"}, "labels"))
    assert planned(*layers).hints == tuple(
        f"The axes of {names} have no names: they are saved as {dims}, and not downsampled along z, "
        "which could be time."
        for names, dims in (
            ("'a' and 'b'", "z, y, x"),
            ("'c'", "t, z, y, x"),
            ("'d'", "t, c, z, y, x"),
        )
    )


def test_labels_on_a_named_image_need_no_names() -> None:
    named = movie((2, 64, 64), axis_labels=("t", "y", "x"))
    assert planned(named, (np.zeros((2, 64, 64), "uint8"), {"name": "cells"}, "labels")).hints == ()


def test_the_writer_keeps_all_frames_and_says_so(tmp_path: Path) -> None:
    frames = np.zeros((4, 600, 600), "uint8")
    frames[::2] = 200
    with pytest.warns(OmeNgffWarning, match="not downsampled along z"):
        write_layers(str(tmp_path / "a"), [(frames, {"name": "blinking"}, "image")])
    lowest = np.asarray(list(open_ome_ngff(tmp_path / "a.ome.zarr").arrays.values())[-1])
    assert lowest.shape == (4, 300, 300)
    assert {int(v) for v in np.unique(lowest)} == {0, 200}, "nothing between on and off"


def test_a_person_is_asked_what_an_image_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def answer(question: str, details: str, actions: Sequence[str]) -> str | None:
        asked.append((question, details, *actions))
        return answers.pop()

    monkeypatch.setattr("napari_ome_ngff.plugin.save.progress.can_ask", lambda: True)
    monkeypatch.setattr("napari_ome_ngff.plugin.notify.is_seen", lambda: True)
    monkeypatch.setattr("napari_ome_ngff.plugin.save_panel.axes_question.choose", answer)
    layers = [movie((2, 8, 8)), (np.zeros((2, 8, 8), "uint8"), {"name": "cells"}, "labels")]
    series, stack, unknown = "Time series (t, y, x)", "Z-stack (z, y, x)", "I do not know"
    for given_answer, names in ((series, "tyx"), (stack, "zyx"), (unknown, "zyx")):
        answers: list[str | None] = [given_answer]
        (written,) = write_layers(str(tmp_path / given_answer[0]), layers)
        image = open_ome_ngff(written)
        assert "".join(image.arrays["0"].dims) == "".join(image.labels["cells"].arrays["0"].dims) == names
    assert asked[0][0] == "What is 'movie'?"
    assert asked[0][2:] == (series, stack, unknown)
    answers = [None]
    write_layers(str(tmp_path / "cancelled"), layers)
    assert not (tmp_path / "cancelled.ome.zarr").exists()
    write_layers(str(tmp_path / "named"), [movie((2, 8, 8), axis_labels=("t", "y", "x"))])
    assert len(asked) == 4, "nothing is asked of what has names"


@given(names=st.permutations(["dim_0", "y", "x", "frame"]))
def test_the_library_halves_only_what_is_space(names: Sequence[str]) -> None:
    named = [Axis(name=name, type=axis_type(name, None)) for name in names]
    for step in choose_factors(named, (2048,) * 4, (1.0,) * 4):
        assert dict(zip(names, step, strict=True)) == {"dim_0": 1, "frame": 1, "y": 2, "x": 2}


def test_factors_decide_which_axes_have_to_get_small() -> None:
    zyx = [Axis(name=name, type="space") for name in "zyx"]
    steps = choose_factors(zyx, (2000, 1100, 1100), (1.0,) * 3, factors={"y": 2, "x": 2})
    assert steps == ((1, 2, 2), (1, 2, 2))


def test_the_library_keeps_all_frames_of_a_dim_without_a_meaning(tmp_path: Path) -> None:
    frames = xr.DataArray(np.zeros((4, 600, 600), "uint8"), dims=("dim_0", "y", "x"))
    write_multiscale_group(store=str(tmp_path / "a.ome.zarr"), image=frames).run()
    assert list(open_ome_ngff(tmp_path / "a.ome.zarr").arrays.values())[-1].shape == (4, 300, 300)


# What was said reaches the file


def test_a_unit_of_time_makes_a_time_axis() -> None:
    layer = movie(units=("second", "micrometer", "micrometer"))
    assert axes(layer)[0] == ("t", "time", "second")
    assert planned(layer).hints == ()


@pytest.fixture
def stack(tmp_path: Path) -> str:
    array = xr.DataArray(np.zeros((4, 600, 600), "uint8"), dims=("z", "y", "x"))
    for dim in "zyx":
        array = array.assign_coords({dim: np.arange(array.sizes[dim]) * 1.0})
        array[dim].attrs["units"] = "micrometer"
    write_multiscale_group(store=str(tmp_path / "stack.ome.zarr"), image=array).run()
    return str(tmp_path / "stack.ome.zarr")


def opened(path: str, **changes: Any) -> LayerData:
    ((data, meta, kind),) = read_layers(path)
    return data, {**meta, **changes}, kind


TYX = {"axis_labels": ("t", "y", "x")}
SECONDS = {"units": ("second", "micrometer", "micrometer")}


def test_z_renamed_to_t_with_seconds_is_time(stack: str) -> None:
    assert axes(opened(stack))[0] == ("z", "space", "micrometer")
    assert axes(opened(stack, **TYX, **SECONDS))[0] == ("t", "time", "second")
    assert axes(opened(stack, **SECONDS))[0] == ("z", "time", "second")


def test_a_unit_of_length_is_not_kept_for_time_and_that_is_said(stack: str) -> None:
    layer = opened(stack, **TYX)
    assert axes(layer)[0] == ("t", "time", None)
    assert any("'micrometer' of axis 't'" in note for note in planned(layer).losses)


def test_levels_that_were_averaged_along_what_is_time_are_made_again(stack: str) -> None:
    assert shapes(opened(stack)) == [(4, 600, 600), (2, 300, 300)]
    assert shapes(opened(stack, **TYX)) == [(4, 600, 600), (4, 300, 300)]


def test_a_type_that_was_chosen_is_kept() -> None:
    chosen = {"ome_ngff_axis_types": {"depth": "space", "angle": "other"}}
    layer = movie((8, 8, 64, 64), axis_labels=("angle", "depth", "y", "x"), metadata=chosen)
    assert axes(layer)[:2] == [("angle", "custom", None), ("depth", "space", None)]


# Names from the viewer


def in_view(model: ViewerModel, *layers: Any) -> list[LayerData]:
    return named_in_view([layer.as_layer_data_tuple() for layer in layers], [model])


def test_a_renamed_slider_reaches_the_file() -> None:
    model = ViewerModel()
    layer = model.add_image(LONG, name="movie", multiscale=False)
    model.dims.set_axis_label(0, "t")
    assert axes(*in_view(model, layer))[0] == ("t", "time", None)


def test_a_renamed_slider_reaches_the_file_of_what_was_opened(stack: str) -> None:
    model = ViewerModel()
    data, meta, _ = opened(stack)
    layer = model.add_image(data, **meta)
    model.dims.set_axis_label(0, "t")
    assert axes(*in_view(model, layer))[0] == ("t", "time", None)


def test_a_slider_that_is_named_after_another_image_says_nothing() -> None:
    model = ViewerModel()
    model.add_image(np.zeros((5, 16, 16)), name="frames", axis_labels=("t", "y", "x"))
    other = model.add_image(np.zeros((8, 16, 16)), name="stack", axis_labels=("z", "y", "x"))
    unnamed = model.add_image(np.zeros((3, 16, 16)), name="unnamed")
    assert axes(*in_view(model, other))[0][0] == "z"
    assert in_view(model, unnamed)[0][1]["axis_labels"] == unnamed.axis_labels


def test_what_was_computed_from_a_movie_is_a_movie() -> None:
    model = ViewerModel()
    units, scale = ("second", "micrometer", "micrometer"), (2, 0.5, 0.5)
    frames = np.zeros((5, 16, 16), "uint8")
    model.add_image(frames, name="frames", axis_labels=("t", "y", "x"), units=units, scale=scale)
    smooth = model.add_image(frames.astype("float32"), name="smooth", scale=scale)
    assert axes(*in_view(model, smooth))[0] == ("t", "time", "second")
    plain = model.add_image(frames.astype("float32"), name="plain")
    assert axes(*in_view(model, plain))[0] == ("t", "time", None), "its voxels have another size"


def test_names_of_two_images_that_differ_say_nothing() -> None:
    model = ViewerModel()
    for first in "tz":
        model.add_image(np.zeros((5, 16, 16)), name=first, axis_labels=(first, "y", "x"))
    unnamed = model.add_image(np.zeros((5, 16, 16)), name="unnamed")
    assert in_view(model, unnamed)[0][1]["axis_labels"] == unnamed.axis_labels


def test_the_names_of_an_xarray_are_those_of_its_dims() -> None:
    array = xr.DataArray(np.zeros((5, 16, 16)), dims=("t", "y", "x"))
    assert axes((array, {"name": "a"}, "image"))[0] == ("t", "time", None)
