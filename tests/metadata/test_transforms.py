"""Scale and translation: order of composition, inverse, and where a coarser level lies."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_ome_ngff.errors import MetadataError, OptionError, UnsupportedError
from napari_ome_ngff.metadata.context import Context
from napari_ome_ngff.metadata.nouns import Axis, Level, Multiscale, ScaleTranslation
from napari_ome_ngff.metadata.transforms import (
    METHODS,
    check_transform,
    compose,
    decode_scale_translation,
    encode_transform,
    identity,
    invert,
    level_transform,
    level_translation,
)
from tests.metadata_tools import transforms


def apply(transform: ScaleTranslation, points: np.ndarray) -> np.ndarray:
    return np.array(transform.scale) * points + np.array(transform.translation)


POINTS = np.array([[0.0, 0.0], [1.0, 2.0], [-3.5, 10.0]])
planar = transforms(ndim=2, negative=True)


@given(planar, planar)
@settings(deadline=None)
def test_composition_applies_the_first_transform_first(first: Any, then: Any) -> None:
    step_by_step = apply(then, apply(first, POINTS))
    largest = max(map(abs, (*first.scale, *first.translation))) * max(map(abs, then.scale))
    tolerance = 1e-14 * (100 * largest + max(map(abs, then.translation)))
    np.testing.assert_allclose(apply(compose(first, then), POINTS), step_by_step, rtol=0, atol=tolerance)


@given(planar)
@settings(deadline=None)
def test_identity_changes_nothing(transform: ScaleTranslation) -> None:
    assert compose(transform, identity(2)) == compose(identity(2), transform) == transform


@given(planar)
@settings(deadline=None)
def test_inverse_leads_back(transform: ScaleTranslation) -> None:
    back = compose(transform, invert(transform))
    np.testing.assert_allclose(back.scale, (1.0, 1.0), rtol=1e-12)
    largest = max(abs(t / s) for s, t in zip(transform.scale, transform.translation, strict=True))
    np.testing.assert_allclose(back.translation, (0.0, 0.0), atol=1e-12 * max(1.0, largest))


def test_what_cannot_be_inverted_or_composed_is_refused() -> None:
    with pytest.raises(MetadataError, match="zero"):
        invert(ScaleTranslation(scale=(0.0,), translation=(1.0,)))
    with pytest.raises(MetadataError, match="numbers of axes"):
        compose(identity(2), identity(3))


@given(st.integers(1, 9), st.integers(1, 5), st.floats(-1e6, 1e6), st.floats(1e-3, 1e3))
@settings(deadline=None)
def test_a_voxel_lies_where_the_voxels_it_was_made_from_lie(
    factor: int, index: int, translation: float, scale: float
) -> None:
    fine = translation + scale * np.arange(factor * (index + 1))
    members = fine[factor * index : factor * (index + 1)]
    for method, place in (("mean", members.mean()), ("mode", members.mean()), ("nearest", members[0])):
        found = level_translation(translation, scale, factor, method) + scale * factor * index
        assert found == pytest.approx(place, abs=1e-9 * (abs(translation) + scale))


def test_an_unknown_method_is_refused_with_the_choices() -> None:
    with pytest.raises(OptionError) as caught:
        level_translation(0.0, 1.0, 2, "gaussian")
    assert all(method in str(caught.value) for method in METHODS)


def test_the_transform_of_the_image_follows_that_of_the_level() -> None:
    """0.4: the multiscale's transforms "are applied after" those of the dataset, S * (s * i + t) + T."""
    level = Level(path="1", transform=ScaleTranslation(scale=(2.0, 4.0), translation=(0.5, 1.5)))
    image = Multiscale(
        version="0.4",
        axes=(Axis(name="y"), Axis(name="x")),
        levels=(level, level),
        transform=ScaleTranslation(scale=(10.0, 100.0), translation=(7.0, 8.0)),
    )
    expected = ScaleTranslation(scale=(20.0, 400.0), translation=(12.0, 158.0))
    assert level_transform(image, 1) == expected
    with pytest.raises(OptionError, match="no such level"):
        level_transform(image, 2)
    with pytest.raises(OptionError, match="no such level"):
        level_transform(image, -1)


def scale(*numbers: Any) -> dict[str, Any]:
    return {"type": "scale", "scale": list(numbers)}


def translation(*numbers: Any) -> dict[str, Any]:
    return {"type": "translation", "translation": list(numbers)}


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([], identity(2)),
        ([{"type": "identity"}], identity(2)),
        ([scale(2, 3)], ScaleTranslation(scale=(2, 3), translation=(0, 0))),
        ([scale(2, 3), translation(5, 7)], ScaleTranslation(scale=(2, 3), translation=(5, 7))),
        ([translation(5, 7), scale(2, 3)], ScaleTranslation(scale=(2, 3), translation=(10, 21))),
        ([scale(2, 3), scale(2, -3)], ScaleTranslation(scale=(4, -9), translation=(0, 0))),
        ([translation(5, 7), translation(1, 1)], ScaleTranslation(scale=(1, 1), translation=(6, 8))),
    ],
)
def test_a_list_is_composed_in_its_order(items: list[Any], expected: ScaleTranslation) -> None:
    assert decode_scale_translation(items, Context(), ndim=2) == expected


@pytest.mark.parametrize(
    ("items", "where"),
    [
        ("scale", "here"),
        ([scale(1)], "here[0].scale"),
        ([scale(1, 2, 3)], "here[0].scale"),
        ([scale(1, 0)], "here[0].scale"),
        ([scale(1e-308, 1)], "here[0].scale"),
        ([scale(1e308, 1)], "here[0].scale"),
        ([scale(1, math.nan)], "here[0].scale[1]"),
        ([scale(math.inf, 1)], "here[0].scale[0]"),
        ([scale(1, 10**400)], "here[0].scale[1]"),
        ([scale(1, True)], "here[0].scale[1]"),
        ([scale(1, "two")], "here[0].scale[1]"),
        ([scale(1, None)], "here[0].scale[1]"),
        ([{"type": "scale"}], "here[0].scale"),
        ([{"type": "scale", "scale": 2}], "here[0].scale"),
        ([scale(1, 1), translation(math.nan, 0)], "here[1].translation[0]"),
        ([scale(1e-50, 1), scale(1e-50, 1)], "here"),
        ([scale(1e50, 1), scale(1e50, 1)], "here"),
        ([{"scale": [1, 1]}], "here[0]"),
        ([{"type": 1, "scale": [1, 1]}], "here[0]"),
        ([None], "here[0]"),
        ([[]], "here[0]"),
    ],
)
def test_what_places_nothing_is_refused_and_its_place_named(items: Any, where: str) -> None:
    with pytest.raises(MetadataError) as caught:
        decode_scale_translation(items, Context(keys=("here",)), ndim=2)
    assert caught.value.where == where


@pytest.mark.parametrize("kind", ["affine", "rotation", "mapAxis", "displacements", "bijection", "warp"])
def test_other_types_are_named(kind: str) -> None:
    with pytest.raises(UnsupportedError, match=kind):
        decode_scale_translation([{"type": kind}], Context(keys=("here",)), ndim=2)


@pytest.mark.parametrize("kind", ["scale", "translation"])
def test_numbers_in_an_array_are_not_read(kind: str) -> None:
    with pytest.raises(UnsupportedError, match="Zarr array"):
        decode_scale_translation([{"type": kind, "path": "numbers"}], Context(keys=("here",)), ndim=2)


@given(planar)
@settings(deadline=None)
def test_json_and_back(transform: ScaleTranslation) -> None:
    items = encode_transform(transform, Context(), ndim=2)
    assert [item["type"] for item in items] == ["scale", "translation"]
    assert decode_scale_translation(items, Context(), ndim=2) == transform


def test_numbers_of_numpy_are_written_as_plain_numbers() -> None:
    transform = ScaleTranslation(scale=tuple(np.float32([0.5, 2])), translation=tuple(np.int64([1, 2])))
    items = encode_transform(transform, Context(), ndim=2)
    assert items == [scale(0.5, 2.0), translation(1.0, 2.0)]
    assert {type(number) for number in (*items[0]["scale"], *items[1]["translation"])} == {float}


@pytest.mark.parametrize(
    "transform",
    [
        ScaleTranslation(scale=(1.0,), translation=(0.0,)),
        ScaleTranslation(scale=(1.0, 1.0), translation=(0.0,)),
        ScaleTranslation(scale=(1.0, 0.0), translation=(0.0, 0.0)),
        ScaleTranslation(scale=(1.0, math.nan), translation=(0.0, 0.0)),
        ScaleTranslation(scale=(1.0, 1.0), translation=(0.0, math.inf)),
        ScaleTranslation(scale=(1.0, "two"), translation=(0.0, 0.0)),  # type: ignore[arg-type]
    ],
)
def test_what_places_nothing_is_not_written(transform: ScaleTranslation) -> None:
    with pytest.raises(MetadataError):
        encode_transform(transform, Context(keys=("here",)), ndim=2)


def test_a_transform_is_checked_for_its_number_of_axes() -> None:
    check_transform(identity(2), Context(), ndim=2)
    with pytest.raises(MetadataError, match="one number per axis"):
        check_transform(identity(2), Context(), ndim=3)
