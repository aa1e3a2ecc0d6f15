"""Transforms of 0.6 as affines: algebra, the twelve types in both directions, and what is made square."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from napari_ome_ngff.errors import MetadataError, OmeNgffError, UnsupportedError
from napari_ome_ngff.metadata.affine import (
    affine_of,
    apply_affine,
    as_scale_translation,
    compose_affine,
    identity_affine,
    invert_affine,
    squared,
)
from napari_ome_ngff.metadata.context import Context
from napari_ome_ngff.metadata.nouns import Affine, Axis, ScaleTranslation
from napari_ome_ngff.metadata.systems.read_simple import TwoWay, number_paths
from napari_ome_ngff.metadata.systems.read_transform import decode_two_way

Array = np.ndarray[Any, np.dtype[np.float64]]

numbers = st.floats(-100, 100).map(lambda number: round(number, 3))
sizes = st.integers(1, 4)


def affines(*, rows: int, columns: int) -> st.SearchStrategy[Affine]:
    row = st.tuples(*[numbers] * columns)
    return st.builds(Affine, matrix=st.tuples(*[row] * rows), translation=st.tuples(*[numbers] * rows))


def well_posed(affine: Affine) -> bool:
    """Far enough from singular that its inverse can be compared."""
    matrix = np.array(affine.matrix)
    return bool(np.linalg.matrix_rank(matrix) == len(matrix) and np.linalg.cond(matrix) < 1e5)


@st.composite
def invertible(draw: st.DrawFn) -> Affine:
    size = draw(sizes)
    affine = draw(affines(rows=size, columns=size))
    assume(well_posed(affine))
    return affine


def homogeneous(affine: Affine) -> Array:
    """The textbook's form, independent of the code under test."""
    rows = len(affine.matrix)
    whole = np.zeros((rows + 1, len(affine.matrix[0]) + 1))
    whole[:rows, :-1], whole[:rows, -1], whole[-1, -1] = affine.matrix, affine.translation, 1
    return whole


def assert_alike(one: Affine, other: Affine, *, tolerance: float = 1e-9) -> None:
    a, b = homogeneous(one), homogeneous(other)
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * max(1.0, np.abs(b).max()))


@st.composite
def chains(draw: st.DrawFn, length: int = 3) -> tuple[Affine, ...]:
    counts = [draw(sizes) for _ in range(length + 1)]
    pairs = pairwise(counts)
    return tuple(draw(affines(rows=rows, columns=columns)) for columns, rows in pairs)


@given(chains())
@settings(deadline=None)
def test_composition_is_associative(chain: tuple[Affine, ...]) -> None:
    a, b, c = chain
    one = compose_affine(compose_affine(a, b), c)
    other = compose_affine(a, compose_affine(b, c))
    assert_alike(one, other)


@given(chains(length=2), st.data())
@settings(deadline=None)
def test_composition_applies_the_first_first(chain: tuple[Affine, ...], data: st.DataObject) -> None:
    first, then = chain
    point = data.draw(st.tuples(*[numbers] * len(first.matrix[0])))
    step_by_step = apply_affine(then, apply_affine(first, point))
    at_once = apply_affine(compose_affine(first, then), point)
    expected = (homogeneous(then) @ homogeneous(first) @ [*point, 1])[:-1]
    np.testing.assert_allclose(step_by_step, expected, rtol=1e-9, atol=1e-3 * 1e-3)
    np.testing.assert_allclose(at_once, expected, rtol=1e-9, atol=1e-3 * 1e-3)


@given(invertible())
@settings(deadline=None)
def test_inverse_leads_back_from_either_side(affine: Affine) -> None:
    inverse = invert_affine(affine)
    assert_alike(compose_affine(affine, inverse), identity_affine(len(affine.matrix)), tolerance=1e-6)
    assert_alike(compose_affine(inverse, affine), identity_affine(len(affine.matrix)), tolerance=1e-6)


@given(invertible())
@settings(deadline=None)
def test_the_inverse_of_the_inverse_is_the_affine(affine: Affine) -> None:
    assert_alike(invert_affine(invert_affine(affine)), affine, tolerance=1e-6)


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=4))
def test_scale_and_translation_as_an_affine_and_back(pairs: list[tuple[float, float]]) -> None:
    scale, translation = zip(*pairs, strict=True)
    transform = ScaleTranslation(scale=scale, translation=translation)
    assert as_scale_translation(affine_of(transform)) == transform


def test_what_is_not_diagonal_or_square_is_no_scale_and_translation() -> None:
    assert as_scale_translation(Affine(matrix=((1.0, 0.1), (0.0, 1.0)), translation=(0.0, 0.0))) is None
    assert as_scale_translation(Affine(matrix=((1.0, 0.0),), translation=(0.0,))) is None


@pytest.mark.parametrize(
    "matrix",
    [
        ((1.0, 2.0), (2.0, 4.0)),
        ((0.0,),),
        ((1.0, 0.0),),
        ((1.0,), (0.0,)),
        ((1e-200, 1.0), (0.0, 0.0)),
        ((1e-320,),),
    ],
)
def test_what_cannot_be_inverted_is_refused(matrix: Any) -> None:
    with pytest.raises(MetadataError):
        invert_affine(Affine(matrix=matrix, translation=(0.0,) * len(matrix)))


def test_a_matrix_in_very_different_units_can_be_inverted() -> None:
    mixed = Affine(matrix=((1e12, 0.0, 0.0), (0.0, 1e-9, 3e-9), (0.0, 0.0, 2.0)), translation=(1.0, 2.0, 3.0))
    assert_alike(compose_affine(mixed, invert_affine(mixed)), identity_affine(3))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(MetadataError, match="numbers of axes"):
        compose_affine(identity_affine(2), identity_affine(3))
    with pytest.raises(MetadataError, match="one coordinate per axis"):
        apply_affine(identity_affine(2), (1.0, 2.0, 3.0))


# The types


def read(item: Any, inputs: str = "yx", outputs: str | None = "yx", **parameters: Any) -> TwoWay:
    return decode_two_way(
        item, Context.of(parameters=parameters).below("here"), inputs=inputs, outputs=outputs
    )


TURN = {"type": "rotation", "rotation": [[0, -1], [1, 0]]}
SCALE = {"type": "scale", "scale": [2, 3]}
SHIFT = {"type": "translation", "translation": [5, 7]}


def part(transform: Any, inputs: list[Any], outputs: list[Any]) -> dict[str, Any]:
    return {"transformation": transform, "inputAxes": inputs, "outputAxes": outputs}


def sequence(*parts: Any) -> dict[str, Any]:
    return {"type": "sequence", "transformations": list(parts)}


@pytest.mark.parametrize(
    ("item", "inputs", "outputs", "point", "result"),
    [
        ({"type": "identity"}, "yx", "yx", (1, 2), (1, 2)),
        ({"type": "mapAxis", "mapAxis": [1, 2, 0]}, "zyx", "zyx", (1, 2, 3), (2, 3, 1)),
        ({"type": "mapAxis", "mapAxis": {"y": "i", "x": "j"}}, "ji", "yx", (1, 2), (2, 1)),
        ({"type": "projectAxis", "createdOutputs": [0, 1]}, "ij", "czyx", (1, 2), (0, 0, 1, 2)),
        ({"type": "projectAxis", "createdOutputs": [0], "droppedInputs": [0]}, "cij", "zyx",
         (9, 1, 2), (0, 1, 2)),
        ({"type": "projectAxis", "droppedInputs": [1]}, "zyx", "zx", (1, 2, 3), (1, 3)),
        (SHIFT, "yx", "yx", (1, 2), (6, 9)),
        (SCALE, "yx", "yx", (1, 2), (2, 6)),
        # "x = 1*j + 2*i + 3, y = 4*j + 5*i + 6"
        ({"type": "affine", "affine": [[1, 2, 3], [4, 5, 6]]}, "ji", "yx", (10, 100), (213, 546)),
        ({"type": "affine", "affine": [[1, 0, 0], [2, 3, 4], [5, 6, 7]]}, "ij", "zyx",
         (10, 100), (10, 324, 657)),
        (TURN, "ji", "yx", (1, 2), (-2, 1)),
        (sequence(SHIFT, SCALE), "yx", "yx", (1, 2), (12, 27)),
        (sequence(), "yx", "yx", (1, 2), (1, 2)),
        (sequence({"type": "projectAxis", "createdOutputs": [0]}, {"type": "scale", "scale": [1, 2, 3]}),
         "yx", "zyx", (1, 2), (0, 2, 6)),
        ({"type": "bijection", "forward": SCALE, "inverse": SHIFT}, "yx", "yx", (1, 2), (2, 6)),
        ({"type": "byDimension", "transformations": [
            part({"type": "translation", "translation": [-1.0]}, [1], [1]),
            part({"type": "scale", "scale": [2.0]}, [0], [0])]}, "ji", "yx", (1, 2), (2, 1)),
        # The second example of the specification: l is used by nobody, and the others change places.
        ({"type": "byDimension", "transformations": [
            part({"type": "translation", "translation": [0.5, 1.5]}, [3, 2], [1, 2]),
            part({"type": "scale", "scale": [2]}, [1], [0])]}, "ljki", "zyx", (9, 1, 2, 3), (2, 3.5, 3.5)),
        # Drafts: axes by name, the item itself a transform, and the inverse of another.
        ({"type": "byDimension", "transformations": [
            {"type": "scale", "scale": [2], "input_axes": ["j"], "output_axes": ["x"]},
            {"type": "identity", "input": ["i"], "output": ["y"]}]}, "ji", "yx", (1, 2), (2, 2)),
        ({"type": "inverseOf", "transformation": SCALE}, "yx", "yx", (2, 6), (1, 2)),
    ],
)  # fmt: skip
def test_each_type_moves_points_as_the_specification_says(
    item: Any, inputs: str, outputs: str, point: Any, result: Any
) -> None:
    found = read(item, inputs, outputs)
    assert apply_affine(found.forward, point) == pytest.approx(result)
    assert not found.problems


@pytest.mark.parametrize(
    "item",
    [
        SCALE,
        SHIFT,
        TURN,
        sequence(SCALE, TURN, SHIFT),
        {"type": "mapAxis", "mapAxis": [1, 0]},
        {"type": "affine", "affine": [[1, 2, 3], [4, 5, 6]]},
        {"type": "byDimension", "transformations": [part(TURN, [1, 0], [0, 1])]},
        sequence(
            {"type": "projectAxis", "createdOutputs": [0]}, {"type": "projectAxis", "droppedInputs": [0]}
        ),
    ],
)
def test_the_way_back_is_the_inverse(item: Any) -> None:
    found = read(item)
    assert found.backward is not None
    assert_alike(compose_affine(found.forward, found.backward), identity_affine(2))


def test_a_bijection_says_its_own_way_back_also_inside_others() -> None:
    both = {"type": "bijection", "forward": SCALE, "inverse": SHIFT}
    assert read(both).backward == read(SHIFT).forward
    found = read(sequence(TURN, both)).backward
    assert found is not None
    # Back through the bijection first, then through the rotation.
    assert apply_affine(found, (1, 2)) == apply_affine(invert_affine(read(TURN).forward), (6, 9))
    line = {"type": "bijection", "forward": {"type": "scale", "scale": [2]},
            "inverse": {"type": "translation", "translation": [5]}}  # fmt: skip
    parts = [part(line, [1], [0]), part({"type": "identity"}, [0], [1])]
    back = read({"type": "byDimension", "transformations": parts}).backward
    assert back is not None
    assert apply_affine(back, (1, 2)) == (2, 6)


@pytest.mark.parametrize(
    ("item", "outputs"),
    [
        ({"type": "scale", "scale": [0, 1]}, "yx"),
        ({"type": "projectAxis", "droppedInputs": [0]}, "x"),
        ({"type": "affine", "affine": [[1, 0, 0]]}, "x"),
        ({"type": "byDimension", "transformations": [part({"type": "identity"}, [0], [0])]}, "x"),
    ],
)
def test_some_have_no_way_back(item: Any, outputs: str) -> None:
    assert read(item, outputs=outputs).backward is None


def test_created_axes_are_dropped_on_the_way_back() -> None:
    back = read({"type": "projectAxis", "createdOutputs": [1]}, "zx", "zyx").backward
    assert back is not None
    assert apply_affine(back, (1, 2, 3)) == (1, 3)


@pytest.mark.parametrize("kind", ["displacements", "coordinates"])
def test_a_field_is_left_out_and_named(kind: str) -> None:
    item = sequence(SCALE, {"type": kind, "path": "field"})
    found = read(item)
    assert found.forward == read(SCALE).forward
    (problem,) = found.problems
    assert "field is not applied (here.transformations[1])" in problem
    with pytest.raises(UnsupportedError):
        read(item, outputs="zyx")


def test_numbers_may_be_kept_in_arrays() -> None:
    for item, key in ((SCALE, "scale"), (SHIFT, "translation"), (TURN, "rotation")):
        kept = {"type": item["type"], "path": "numbers/a"}
        assert read(kept, **{"numbers/a": item[key]}) == read(item)
        assert list(number_paths([sequence(kept), kept])) == ["numbers/a"] * 2
        with pytest.raises(MetadataError) as caught:
            read(kept)
        assert caught.value.where == "here.path"
    assert (
        list(number_paths([{**SCALE, "path": "unused"}, {"type": "scale", "path": "../up"}, None, 3])) == []
    )


def test_transforms_may_nest_as_deep_as_they_like() -> None:
    deep: Any = SCALE
    for index in range(3000):
        deep = [
            lambda inner: sequence(inner),
            lambda inner: {"type": "bijection", "forward": inner, "inverse": {"type": "identity"}},
            lambda inner: {"type": "byDimension", "transformations": [part(inner, [0, 1], [0, 1])]},
        ][index % 3](deep)
    assert read(deep).forward == read(SCALE).forward
    assert list(number_paths([deep])) == []


@pytest.mark.parametrize(
    ("item", "where"),
    [
        (None, "here"),
        ([], "here"),
        ({}, "here"),
        ({"type": 1}, "here"),
        ({"type": "scale"}, "here.scale"),
        ({"type": "scale", "scale": [1]}, "here.scale"),
        ({"type": "scale", "scale": [1, math.inf]}, "here.scale[1]"),
        ({"type": "translation", "translation": [1, None]}, "here.translation[1]"),
        ({"type": "scale", "path": "../up"}, "here.path"),
        ({"type": "affine", "affine": []}, "here.affine"),
        ({"type": "affine", "affine": [[1, 0], [0, 1, 2]]}, "here.affine[0]"),
        ({"type": "affine", "affine": [[1, 0, 0], [0, 1, "a"]]}, "here.affine[1][2]"),
        ({"type": "affine", "affine": [[1, 0, 0]]}, "here"),
        ({"type": "affine", "affine": [[1, 0, 0]] * 1000}, "here.affine"),
        ({"type": "rotation", "rotation": [[1, 0]]}, "here"),
        ({"type": "mapAxis"}, "here.mapAxis"),
        ({"type": "mapAxis", "mapAxis": [0]}, "here.mapAxis"),
        ({"type": "mapAxis", "mapAxis": [0, 0]}, "here.mapAxis[1]"),
        ({"type": "mapAxis", "mapAxis": [0, 2]}, "here.mapAxis[1]"),
        ({"type": "mapAxis", "mapAxis": [0, -1]}, "here.mapAxis[1]"),
        ({"type": "mapAxis", "mapAxis": {"y": "z"}}, "here.mapAxis[0]"),
        ({"type": "projectAxis", "droppedInputs": [0, 1]}, "here"),
        ({"type": "projectAxis", "droppedInputs": [2]}, "here.droppedInputs[0]"),
        ({"type": "projectAxis", "createdOutputs": [0, 0]}, "here.createdOutputs[1]"),
        ({"type": "projectAxis", "createdOutputs": [0] * 1000}, "here"),
        ({"type": "projectAxis", "createdOutputs": [0]}, "here"),
        ({"type": "sequence"}, "here.transformations"),
        (sequence(SCALE, 1), "here.transformations[1]"),
        ({"type": "bijection", "forward": SCALE}, "here.inverse"),
        ({"type": "bijection", "forward": SCALE, "inverse": {"type": "projectAxis", "droppedInputs": [0]}},
         "here.inverse"),
        ({"type": "byDimension", "transformations": []}, "here.transformations"),
        ({"type": "byDimension", "transformations": [part(SCALE, [0, 1], [0, 2])]},
         "here.transformations[0].outputAxes[1]"),
        ({"type": "byDimension", "transformations": [part(SCALE, [0, 1], [0])]}, "here.transformations[0]"),
        ({"type": "byDimension", "transformations": [
            part({"type": "identity"}, [0], [1]), part({"type": "identity"}, [1], [1])]},
         "here.transformations"),
        ({"type": "byDimension", "transformations": [part({"type": "scale", "scale": []}, [0], [0])]},
         "here.transformations[0].transformation.scale"),
        ({"type": "inverseOf", "transformation": {"type": "scale", "scale": [0, 1]}}, "here"),
        (sequence({"type": "scale", "scale": [1e300, 1]}, {"type": "scale", "scale": [1e300, 1]}), "here"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_and_its_place_named(item: Any, where: str) -> None:
    with pytest.raises(MetadataError) as caught:
        read(item)
    assert caught.value.where == where


def test_an_unknown_type_is_named() -> None:
    with pytest.raises(UnsupportedError, match="warp"):
        read(sequence(SCALE, {"type": "warp"}))


# A law over all types: reading agrees with an evaluation point by point, written independently.


@st.composite
def trees(draw: st.DrawFn, ndim: int, depth: int) -> dict[str, Any]:
    """Any transform from `ndim` axes to as many."""
    kinds = ["identity", "mapAxis", "translation", "scale", "affine", "rotation"]
    kind = draw(st.sampled_from([*kinds, "sequence", "byDimension", "bijection"] if depth else kinds))
    vector = st.lists(st.integers(-5, 5), min_size=ndim, max_size=ndim)
    inner = trees(ndim=ndim, depth=depth - 1)
    item: dict[str, Any] = {"type": kind}
    if kind == "mapAxis":
        item[kind] = draw(st.permutations(range(ndim)))
    elif kind in ("translation", "scale"):
        item[kind] = draw(vector)
    elif kind in ("affine", "rotation"):
        width = ndim + (kind == "affine")
        row = st.lists(st.integers(-5, 5), min_size=width, max_size=width)
        item[kind] = draw(st.lists(row, min_size=ndim, max_size=ndim))
    elif kind == "sequence":
        item["transformations"] = draw(st.lists(inner, min_size=1, max_size=3))
    elif kind == "bijection":
        item |= {"forward": draw(inner), "inverse": draw(inner)}
    elif kind == "byDimension":
        cut = draw(st.integers(1, ndim))
        taken, given_ = draw(st.permutations(range(ndim))), draw(st.permutations(range(ndim)))
        item["transformations"] = [
            part(draw(trees(ndim=len(its), depth=depth - 1)), list(its), list(theirs))
            for its, theirs in ((taken[:cut], given_[:cut]), (taken[cut:], given_[cut:]))
            if its
        ]
    return item


def evaluate(item: dict[str, Any], point: Array) -> Array:
    """What a transform does to one point, by the words of the specification."""
    match item["type"]:
        case "identity":
            return point
        case "mapAxis":
            return point[item["mapAxis"]]
        case "translation":
            return point + np.array(item["translation"])
        case "scale":
            return point * np.array(item["scale"])
        case "rotation":
            return np.array(item["rotation"]) @ point
        case "affine":
            return np.array(item["affine"]) @ np.append(point, 1)
        case "sequence":
            for step in item["transformations"]:
                point = evaluate(step, point)
            return point
        case "bijection":
            return evaluate(item["forward"], point)
    result = np.zeros_like(point)
    for child in item["transformations"]:
        result[child["outputAxes"]] = evaluate(child["transformation"], point[child["inputAxes"]])
    return result


@given(st.data(), st.integers(1, 4))
@settings(deadline=None)
def test_reading_agrees_with_evaluation_point_by_point(data: st.DataObject, ndim: int) -> None:
    item = data.draw(trees(ndim=ndim, depth=3))
    names = [f"dim_{index}" for index in range(ndim)]
    found = decode_two_way(item, Context(), inputs=names, outputs=names)
    point = data.draw(st.lists(st.integers(-9, 9), min_size=ndim, max_size=ndim))
    # Whole numbers in, whole numbers out: exact up to 2**53.
    expected = evaluate(item, np.array(point, dtype=float))
    assume(np.abs(expected).max() < 2**50)
    np.testing.assert_allclose(apply_affine(found.forward, point), expected, rtol=1e-12, atol=1e-9)


@given(st.data(), st.integers(1, 3), st.integers(1, 3))
@settings(deadline=None)
def test_the_whole_of_parts_by_dimension_is_each_part_on_its_own(
    data: st.DataObject, left: int, right: int
) -> None:
    items = [data.draw(trees(ndim=size, depth=1)) for size in (left, right)]
    axes = [list(range(left)), list(range(left, left + right))]
    parts = [part(item, own, own) for item, own in zip(items, axes, strict=True)]
    whole = {"type": "byDimension", "transformations": parts}
    names = [f"dim_{index}" for index in range(left + right)]
    found = decode_two_way(whole, Context(), inputs=names, outputs=names)
    for item, own in zip(items, axes, strict=True):
        alone = decode_two_way(item, Context(), inputs=names[: len(own)], outputs=None)
        block = homogeneous(found.forward)[np.ix_([*own, -1], [*own, -1])]
        np.testing.assert_array_equal(block, homogeneous(alone.forward))


# Made square


def named(names: str) -> list[Axis]:
    return [Axis(name=name) for name in names]


@given(st.data(), st.integers(1, 4), st.integers(1, 4))
@settings(deadline=None)
def test_what_is_made_square_keeps_its_numbers_and_can_be_inverted(
    data: st.DataObject, rows: int, columns: int
) -> None:
    small = st.integers(-3, 3).map(float)
    row = st.tuples(*[small] * columns)
    affine = data.draw(
        st.builds(Affine, matrix=st.tuples(*[row] * rows), translation=st.tuples(*[small] * rows))
    )
    inputs, outputs = named("abcd"[:columns]), named("wxyz"[:rows])
    found = squared(affine, inputs=inputs, outputs=outputs)
    rank = int(np.linalg.matrix_rank(np.array(affine.matrix)))
    matrix = np.array(found.affine.matrix)
    kept, new = columns - rank, rows - rank
    assert matrix.shape == (rows + kept, columns + new)
    assert abs(np.linalg.det(matrix)) > 1e-9
    assert list(found.axes[kept:]) == outputs
    assert sorted(index for index in found.order if index is not None) == list(range(columns))
    assert found.order.count(None) == new
    # A position in the image, whose new axes are at 0, goes where the affine says, and keeps the rest of it.
    point = data.draw(st.tuples(*[small] * columns))
    moved = apply_affine(found.affine, [0.0 if index is None else point[index] for index in found.order])
    assert moved[kept:] == pytest.approx(apply_affine(affine, point))
    for axis, position in zip(found.axes[:kept], moved, strict=False):
        assert position == point[inputs.index(axis)]


@given(st.data())
def test_axes_that_change_places_are_put_in_order(data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(4)))
    scales = data.draw(st.tuples(*[st.floats(0.01, 100)] * 4))
    matrix = tuple(
        tuple(scales[row] * (column == own) for column in range(4)) for row, own in enumerate(order)
    )
    affine = Affine(matrix=matrix, translation=(1.0, 2.0, 3.0, 4.0))
    found = squared(affine, inputs=named("tzyx"), outputs=named("tzyx"))
    assert found.order == tuple(order)
    assert as_scale_translation(found.affine) == ScaleTranslation(
        scale=scales, translation=affine.translation
    )


def test_a_turn_leaves_the_order_and_a_quarter_turn_changes_it() -> None:
    for degrees, order in ((0, (0, 1)), (30, (0, 1)), (80, (0, 1)), (90, (1, 0)), (180, (0, 1))):
        c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        turn = Affine(matrix=((c, -s), (s, c)), translation=(0.0, 0.0))
        assert squared(turn, inputs=named("yx"), outputs=named("yx")).order == order


def test_an_axis_that_is_dropped_gets_another_name_if_its_own_is_taken() -> None:
    flat = Affine(matrix=((0.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)), translation=(7.0, 0.0, 0.0))
    found = squared(flat, inputs=named("zyx"), outputs=named("zyx"))
    assert [axis.name for axis in found.axes] == ["z (image)", "z", "y", "x"]
    assert found.order == (0, None, 1, 2)


def test_axes_keep_their_units() -> None:
    time = replace(Axis(name="t"), type="time", unit="second")
    flat = Affine(matrix=((0.0, 1.0),), translation=(0.0,))
    assert squared(flat, inputs=[time, Axis(name="x")], outputs=named("x")).axes[0] is time


KINDS = ["sequence", "byDimension", "bijection", "mapAxis", "projectAxis", "affine", "scale", "inverseOf"]
KEYS = ["transformations", "forward", "inverse", "transformation", "path", "inputAxes", "outputAxes"]
KEYS += ["droppedInputs", "createdOutputs", "mapAxis", "affine", "scale"]
nonsense = st.recursive(
    st.none() | st.integers() | st.text(max_size=3) | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.fixed_dictionaries({"type": st.sampled_from(KINDS)}, optional=dict.fromkeys(KEYS, inner))
    ),
    max_leaves=12,
)


@given(nonsense)
@settings(deadline=None)
def test_nothing_but_our_errors_comes_of_nonsense(item: Any) -> None:
    try:
        found = read(item)
    except OmeNgffError:
        return
    assert all(math.isfinite(number) for row in found.forward.matrix for number in row)
