"""Where voxels are in napari: axes of any number, order and name; coordinate systems of any kind.

The law: where napari says a voxel is, is where the transforms of the file put it.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import dask.array
import numpy as np
import pytest
import xarray
from hypothesis import assume, given
from hypothesis import strategies as st
from napari.layers import Image as NapariImage
from napari.layers import Labels as NapariLabels

from napari_ome_ngff.coordinates import to_coordinates
from napari_ome_ngff.errors import OmeNgffWarning, UnsupportedError
from napari_ome_ngff.metadata.nouns import (
    Affine,
    Axis,
    CoordinateSystem,
    LabelImage,
    Level,
    Multiscale,
    ScaleTranslation,
    View,
)
from napari_ome_ngff.plugin.layout import MAX_CHANNEL_LAYERS
from napari_ome_ngff.plugin.open.to_layers import to_layers
from napari_ome_ngff.plugin.origin import METADATA_KEY, LayerData
from napari_ome_ngff.reading.opened import Image
from tests.plugin.test_layers import SIZES, STARTS, STEPS, as_saved, make_image, one_image

UNIT = {"space": "micrometer", "time": "second"}
SYSTEM = "world"
numbers = st.floats(-100, 100).map(lambda x: round(x, 3))
steps = st.floats(0.01, 100).map(lambda x: round(x, 3))


def an_image(axes: list[Axis], shape: list[int], place: ScaleTranslation, **more: Any) -> Image:
    """An image of one level whose voxels are all different."""
    noun = Multiscale(version="0.6", axes=tuple(axes), levels=(Level(path="0", transform=place),), **more)
    values = np.arange(np.prod(shape)).reshape(shape).astype("int32")
    dims = [axis.name for axis in axes]
    array = xarray.DataArray(dask.array.from_array(values), to_coordinates(noun, 0, shape), dims)
    return Image(location="/data/image.zarr", multiscale=noun, arrays={"0": array})


def in_system(image: Image, axes: list[Axis], matrix: Any, offset: Any) -> Image:
    affine = Affine(
        matrix=tuple(tuple(map(float, row)) for row in matrix), translation=tuple(map(float, offset))
    )
    system = CoordinateSystem(name=SYSTEM, axes=tuple(axes))
    return replace(image, view=View(system=system, affine=affine))


def axes_of(names: str) -> list[Axis]:
    kinds = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space", "q": "phase"}
    return [Axis(name=n, type=kinds[n], unit=UNIT.get(kinds[n])) for n in names]


def in_napari(layer: LayerData) -> NapariImage | NapariLabels:
    data, meta, kind = layer
    with warnings.catch_warnings():
        # napari slices along the axes of the data, and says so where a matrix mixes axes of sliders.
        warnings.filterwarnings("ignore", "Non-orthogonal slicing", UserWarning)
        return (NapariImage if kind == "image" else NapariLabels)(data, **meta)


def world_positions(layer: LayerData) -> dict[int, dict[str, float]]:
    """Value of each voxel to its place in the world, as napari says it."""
    shown = in_napari(layer)
    values = np.asarray(shown.data[0] if shown.multiscale else shown.data)
    assert values.ndim == shown.ndim
    places = shown._data_to_world(np.array(list(np.ndindex(values.shape))))
    return {
        int(value): dict(zip(shown.axis_labels, map(float, place), strict=True))
        for value, place in zip(values.ravel(), np.atleast_2d(places), strict=True)
    }


@st.composite
def images(draw: st.DrawFn) -> Image:
    """Images of two to five axes in any order, the finest level anywhere."""
    names = draw(st.permutations("tczyxq").map("".join))
    names = names[: draw(st.integers(2, 5))]
    assume(len(names.replace("c", "")) >= 2)
    shape = [draw(st.integers(1, 3)) for _ in names]
    place = ScaleTranslation(
        scale=tuple(draw(steps) for _ in names), translation=tuple(draw(numbers) for _ in names)
    )
    return an_image(axes_of(names), shape, place)


def expected_positions(image: Image) -> dict[int, dict[str, float]]:
    """Value of each voxel to its place, by the transforms alone."""
    noun = image.multiscale
    assert noun is not None
    place = noun.levels[0].transform
    values = image.arrays["0"].values
    found = {}
    for index in np.ndindex(values.shape):
        point = np.array(place.scale) * index + place.translation
        names = noun.dims
        if image.view is not None:
            point = np.array(image.view.affine.matrix) @ point + image.view.affine.translation
            names = tuple(axis.name for axis in image.view.system.axes)
        found[int(values[index])] = dict(zip(names, map(float, point), strict=True))
    return found


def check(image: Image) -> list[LayerData]:
    """Every voxel is shown once, and where the transforms put it along every axis that the world has."""
    layers = to_layers(image)
    expected = expected_positions(image)
    seen: dict[int, dict[str, float]] = {}
    for layer in layers:
        found = world_positions(layer)
        assert not set(found) & set(seen)
        seen |= found
    assert set(seen) == set(expected)
    for value, place in seen.items():
        for name in set(place) & set(expected[value]):
            assert place[name] == pytest.approx(expected[value][name], rel=1e-6, abs=1e-6)
    missing = set(next(iter(expected.values()))) - set(next(iter(seen.values())))
    assert missing <= {"c"}
    return layers


# The image's own coordinate system


@given(images())
def test_voxels_are_where_the_file_puts_them(image: Image) -> None:
    for _, meta, _ in check(image):
        names = meta["axis_labels"]
        if {"y", "x"} <= set(names):
            assert names[-2:] == ("y", "x")


@pytest.mark.parametrize(
    ("axes", "labels"),
    [
        ("xyzt", "tzyx"),
        ("zctyx", "tzyx"),
        ("yxz", "zyx"),
        ([("row", "space"), ("t", "time"), ("col", "space")], ["t", "row", "col"]),
        ([("Y", "space"), ("X", "space"), ("depth", "space")], ["depth", "Y", "X"]),
        ([("dim_0", None), ("dim_1", None), ("dim_2", None)], ["dim_0", "dim_1", "dim_2"]),
        ([("x", None), ("y", None), ("angle", "custom")], ["angle", "y", "x"]),
        ([("c", "channel"), ("x", "space")], ["c", "x"]),
    ],
)
def test_axes_of_any_name_and_type(axes: Any, labels: Any) -> None:
    nouns = axes_of(axes) if isinstance(axes, str) else [Axis(name=n, type=kind) for n, kind in axes]
    nowhere = ScaleTranslation(scale=(1.0,) * len(nouns), translation=(0.0,) * len(nouns))
    for _, meta, _ in check(an_image(nouns, [2] * len(nouns), nowhere)):
        assert list(meta["axis_labels"]) == list(labels)


def test_more_than_five_dimensions_get_sliders() -> None:
    axes = [*axes_of("tczyx"), Axis(name="angle", type="custom"), Axis(name="phase", type="custom")]
    nowhere = ScaleTranslation(scale=(1.0,) * 7, translation=(0.0,) * 7)
    layers = check(an_image(axes, [1, 2, 2, 2, 2, 2, 2], nowhere))
    assert layers[0][1]["axis_labels"] == ("t", "angle", "phase", "z", "y", "x")


def test_many_channels_are_a_slider() -> None:
    axes = axes_of("cyx")
    nowhere = ScaleTranslation(scale=(1.0,) * 3, translation=(0.0,) * 3)
    (layer,) = to_layers(an_image(axes, [MAX_CHANNEL_LAYERS + 1, 2, 2], nowhere))
    assert layer[1]["axis_labels"] == ("c", "y", "x")


def test_an_image_without_pixels_is_refused() -> None:
    nowhere = ScaleTranslation(scale=(1.0,) * 2, translation=(0.0,) * 2)
    with pytest.raises(UnsupportedError, match="no pixels"):
        to_layers(an_image(axes_of("yx"), [0, 4], nowhere))


def test_levels_in_the_wrong_order_are_sorted() -> None:
    image = make_image("yx")
    turned = replace(image, arrays=dict(reversed(image.arrays.items())))
    ((data, meta, _),) = to_layers(turned)
    assert [level.shape for level in data] == [(8, 6), (4, 3)]
    assert meta["scale"] == (STEPS["y"], STEPS["x"])


# Other coordinate systems


@st.composite
def viewed(draw: st.DrawFn) -> Image:
    """Images in a system of the same axes: turned, sheared, mirrored, exchanged; channels by themselves."""
    image = draw(images())
    noun = image.multiscale
    assert noun is not None
    axes = list(draw(st.permutations(noun.axes)))
    size = len(axes)
    matrix = np.zeros((size, size))
    for i, axis in enumerate(axes):
        for j, other in enumerate(noun.axes):
            if axis.type == "channel" or other.type == "channel":
                matrix[i, j] = float(axis.name == other.name)
            else:
                matrix[i, j] = draw(st.sampled_from([0.0, 0.0, 1.0, -1.0, 0.5, 2.0, 0.1]))
    assume(abs(np.linalg.det(matrix)) > 1e-3)
    return in_system(image, axes, matrix, [draw(numbers) if axis.type != "channel" else 0 for axis in axes])


@given(viewed())
def test_voxels_are_where_the_chosen_system_puts_them(image: Image) -> None:
    for layer in check(image):
        meta = layer[1]
        assert set(meta["axis_labels"]) == {axis.name for axis in image.view.system.axes} - {"c"}
        assert meta["metadata"][METADATA_KEY]["system"] == SYSTEM


@given(viewed())
def test_what_only_scales_moves_and_exchanges_needs_no_matrix(image: Image) -> None:
    matrix = np.array(image.view.affine.matrix)
    straight = bool(
        (np.count_nonzero(matrix, axis=0) == 1).all() and (np.count_nonzero(matrix, axis=1) == 1).all()
    )
    for _, meta, _ in to_layers(image):
        assert not straight or "affine" not in meta


@given(viewed())
def test_a_layer_in_another_system_is_saved_as_it_was(image: Image) -> None:
    sources, messages = one_image(as_saved(to_layers(image)))
    assert messages == []
    (source,) = sources.values()
    noun = image.multiscale
    for array in [source.image]:
        assert array.dims == noun.dims
        np.testing.assert_array_equal(array.values, image.arrays["0"].values)
        for i, dim in enumerate(noun.dims):
            if noun.axes[i].type != "channel":
                assert array.coords[dim].attrs["scale"] == noun.levels[0].transform.scale[i]
                assert array.coords[dim].values[0] == noun.levels[0].transform.translation[i]


def test_a_layer_that_was_moved_in_another_system_is_saved_as_it_is_shown() -> None:
    place = ScaleTranslation(scale=(2.0, 3.0), translation=(0.0, 0.0))
    image = in_system(an_image(axes_of("yx"), [2, 3], place), axes_of("yx"), np.diag([10, 10]), [5, 5])
    ((data, meta, kind),) = to_layers(image)
    assert (meta["scale"], meta["translate"]) == ((20.0, 30.0), (5.0, 5.0))
    (source,) = one_image([(data, meta | {"translate": (6.0, 5.0)}, kind)])[0].values()
    assert source.multiscale.extra == {}  # of other systems the file says nothing true any more
    assert source.image.coords["y"].values.tolist() == [6.0, 26.0]


def test_a_turn_by_thirty_degrees_is_a_matrix_and_by_ninety_is_none() -> None:
    place = ScaleTranslation(scale=(1.0, 1.0), translation=(0.0, 0.0))
    image = an_image(axes_of("yx"), [3, 4], place)
    for angle, is_matrix in ((30, True), (90, False), (89, True)):
        c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        (layer,) = check(in_system(image, axes_of("yx"), [[c, -s], [s, c]], [0, 0]))
        assert ("affine" in layer[1]) == is_matrix
        assert layer[0].shape == ((3, 4) if angle == 30 else (4, 3))  # along the axes that they point to


@pytest.mark.parametrize(
    ("own", "system", "matrix", "labels"),
    [
        ("yx", "zyx", [[0, 0], [1, 0], [0, 1]], "zyx"),  # a plane in a volume
        ("zyx", "yx", [[0, 1, 0], [0, 0, 1]], "zyx"),  # a volume of which the system says nothing in depth
        ("yx", "zyx", [[0.5, 0], [0.5, 0], [0, 1]], "zyx"),  # an oblique plane
        ("tyx", "zyx", [[0, 0, 0], [0, 1, 0], [0, 0, 1]], "tzyx"),  # time is not depth
        ("cyx", "yx", [[0, 1, 0], [0, 0, 1]], "yx"),  # a system without channels
        ("yx", "cyx", [[0, 0], [1, 0], [0, 1]], "yx"),  # a system with channels
    ],
)
def test_systems_with_other_axes(own: str, system: str, matrix: Any, labels: str) -> None:
    place = ScaleTranslation(scale=(2.0,) * len(own), translation=(1.0,) * len(own))
    offset = [7.0 if name == "z" else 0.0 for name in system]
    image = in_system(an_image(axes_of(own), [2] * len(own), place), axes_of(system), matrix, offset)
    for layer in check(image):
        assert "".join(layer[1]["axis_labels"]) == labels
    saved = as_saved(to_layers(image))
    (source,) = one_image(saved)[0].values()
    assert source.image.dims == tuple(own)


def test_channels_that_a_matrix_mixes_are_a_slider() -> None:
    place = ScaleTranslation(scale=(1.0,) * 3, translation=(0.0,) * 3)
    image = an_image(axes_of("cyx"), [2, 3, 4], place)
    mixed = in_system(image, axes_of("cyx"), [[1, 0, 0], [0.5, 1, 0], [0, 0, 1]], [0, 0, 0])
    with pytest.warns(OmeNgffWarning, match="slider"):
        (layer,) = to_layers(mixed)
    assert layer[1]["axis_labels"] == ("c", "y", "x")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OmeNgffWarning)
        check(mixed)


def test_a_transform_without_end_is_left_out() -> None:
    place = ScaleTranslation(scale=(1.0,) * 2, translation=(0.0,) * 2)
    image = an_image(axes_of("yx"), [3, 4], place)
    with pytest.warns(OmeNgffWarning, match="finite"):
        ((_, meta, _),) = to_layers(in_system(image, axes_of("yx"), np.eye(2), [np.inf, 0]))
    assert meta["translate"] == (0.0, 0.0)


def test_what_levels_say_beyond_scale_and_translation_counts_too() -> None:
    place = ScaleTranslation(scale=(2.0, 1.0), translation=(0.0, 1.0))
    turn = Affine(matrix=((0.8, -0.6), (0.6, 0.8)), translation=(3.0, 0.0))
    image = an_image(axes_of("yx"), [2, 2], place, affine=turn)
    ((_, meta, _),) = to_layers(image)
    found = world_positions(to_layers(image)[0])
    assert found[3] == pytest.approx({"y": 0.8 * 2 - 0.6 * 2 + 3, "x": 0.6 * 2 + 0.8 * 2})
    assert meta["affine"].shape == (3, 3)
    source = one_image([to_layers(image)[0]])[0][""]
    assert source.multiscale.affine == turn
    assert source.multiscale.levels == image.multiscale.levels


# Label images in another system


@pytest.mark.parametrize("dims", ["tczyx", "zyx", "yx", "tyx", "tzyx", "czyx"])
def test_labels_go_where_their_image_goes(dims: str) -> None:
    """A label image lies on its image, whatever the system, and also along axes that it does not have."""
    sizes = SIZES | {"c": 1}
    label = make_image(dims, dtype="uint8", units={}, levels=1, sizes=sizes, label_image=LabelImage())
    image = make_image("tczyx", dtype="uint8", levels=1, sizes=sizes, labels={"cells": label})
    matrix = np.eye(5)
    matrix[3:, 3:] = [[0.8, -0.6], [0.6, 0.8]]
    matrix[2, 2] = 10.0
    viewed_image = in_system(image, axes_of("tczyx"), matrix, [0, 0, 7, 1, 2])
    shown, over = map(in_napari, to_layers(viewed_image))
    assert shown.axis_labels == over.axis_labels == ("t", "z", "y", "x")
    assert shown.units == over.units
    np.testing.assert_allclose(over.extent.world[:, -2:], shown.extent.world[:, -2:])
    for axis in range(2):
        low, high = shown.extent.world[:, axis]
        half = (shown.scale * np.diag(shown.affine.linear_matrix))[axis] / 2
        thick = over._data_to_world([0.0] * 4)[axis]
        if "tz"[axis] in dims:
            assert thick == pytest.approx(low)
        else:
            assert thick == pytest.approx((low + high) / 2)
            assert over.scale[axis] * over.affine.linear_matrix[axis, axis] == pytest.approx(
                high - low + 2 * half
            )


def test_a_label_image_with_a_place_of_its_own_keeps_it() -> None:
    label = make_image("yx", dtype="uint8", levels=1, label_image=LabelImage())
    image = make_image("yx", levels=1, labels={"cells": in_system(label, axes_of("yx"), np.eye(2), [50, 60])})
    shown, over = to_layers(in_system(image, axes_of("yx"), np.eye(2), [5, 6]))
    assert shown[1]["translate"] == (STARTS["y"] + 5, STARTS["x"] + 6)
    assert over[1]["translate"] == (STARTS["y"] + 50, STARTS["x"] + 60)
