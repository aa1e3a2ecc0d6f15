"""OME-Zarr 0.6: levels placed in the intrinsic coordinate system, other systems kept as they are."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from napari_ome_ngff.errors import MetadataError, OmeNgffWarning
from napari_ome_ngff.metadata.affine import affine_of, apply_affine
from napari_ome_ngff.metadata.nouns import Affine, Axis, Level, Multiscale, ScaleTranslation
from napari_ome_ngff.metadata.systems.coordinate_systems import view_problem
from napari_ome_ngff.metadata.systems.view import shown_affine, view
from napari_ome_ngff.metadata.transforms import identity
from napari_ome_ngff.metadata.versions import decode, encode

AXES = [{"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
LAB = {"name": "lab", "axes": AXES}
STAGE = {"name": "stage", "axes": AXES}
SCALE = {"type": "scale", "scale": [2, 3]}
SHIFT = {"type": "translation", "translation": [5, 7]}
VIEW = {
    "type": "affine",
    "affine": [[1, 0, 0], [0, 1, 0]],
    "input": {"name": "lab"},
    "output": {"name": "stage"},
}


def placed(path: str = "0", **transform: Any) -> dict[str, Any]:
    item = {"input": {"path": path}, "output": {"name": "lab"}, **(transform or SCALE)}
    return {"path": path, "coordinateTransformations": [item]}


def sequence(*transforms: Any) -> dict[str, Any]:
    return {"type": "sequence", "transformations": list(transforms)}


def read(*datasets: Any, systems: Any = (LAB,), **more: Any) -> Multiscale:
    item = {"coordinateSystems": list(systems), "datasets": list(datasets or [placed()]), **more}
    (image,) = decode({"ome": {"version": "0.6", "multiscales": [item]}}, where="a.zarr")
    return image


@pytest.mark.parametrize(
    ("transform", "scale", "translation"),
    [
        (SCALE, (2, 3), (0, 0)),
        ({"type": "identity"}, (1, 1), (0, 0)),
        (sequence(SCALE, SHIFT), (2, 3), (5, 7)),
    ],
)
def test_a_level_is_placed_by_one_transform(transform: Any, scale: Any, translation: Any) -> None:
    image = read(placed(**transform))
    assert image.system == "lab"
    assert image.levels == (
        Level(path="0", transform=ScaleTranslation(scale=scale, translation=translation)),
    )


@pytest.mark.parametrize(
    ("transform", "scale", "translation"),
    [
        (SHIFT, (1, 1), (5, 7)),
        (sequence(), (1, 1), (0, 0)),
        (sequence(SHIFT, SCALE), (2, 3), (10, 21)),
        (sequence(sequence(SCALE, SHIFT), sequence(sequence(SCALE))), (4, 9), (10, 21)),
        ({"type": "scale", "scale": [-2, 3]}, (-2, 3), (0, 0)),
    ],
)
def test_what_else_can_be_placed_is_placed_and_noted(transform: Any, scale: Any, translation: Any) -> None:
    with pytest.warns(OmeNgffWarning):
        image = read(placed(**transform))
    assert image.levels[0].transform == ScaleTranslation(scale=scale, translation=translation)


def test_sequences_may_nest_as_deep_as_they_like() -> None:
    transform = sequence(SCALE, SHIFT)
    for _ in range(20_000):
        transform = sequence(transform)
    assert read(placed(**transform)).levels[0].transform.translation == (5, 7)


def test_what_drafts_say_beyond_scale_and_translation_is_taken_out_of_all_levels() -> None:
    """A turn by 90 degrees of voxels of 2 by 3, and a level of half the resolution."""
    turn = {"type": "rotation", "rotation": [[0, -1], [1, 0]]}
    fine = placed("0", **sequence(SCALE, turn, SHIFT))
    half = sequence({"type": "scale", "scale": [4, 6]}, {"type": "translation", "translation": [1, 1.5]})
    coarse = placed("1", **sequence(half, turn, SHIFT))
    with pytest.warns(OmeNgffWarning, match="instead of a scale"):
        image = read(fine, coarse)
    assert image.affine == Affine(matrix=((0.0, -1.0), (1.0, 0.0)), translation=(5.0, 7.0))
    assert [level.transform for level in image.levels] == [
        ScaleTranslation(scale=(2, 3), translation=(0, 0)),
        ScaleTranslation(scale=(4, 6), translation=(1, 1.5)),
    ]
    # The final 0.6 says the same with a further coordinate system.
    (again,) = decode(encode(image, "0.6"), where="")
    assert again.affine is None
    assert [level.transform for level in again.levels] == [level.transform for level in image.levels]
    assert shown_affine(again, view(again, None, parameters={}, where="")) == image.affine


matrices = st.lists(st.lists(st.integers(-9, 9), min_size=3, max_size=3), min_size=2, max_size=2)
factors = st.tuples(st.integers(1, 8), st.integers(1, 8))
shifts = st.tuples(st.integers(-9, 9), st.integers(-9, 9))


@given(matrices, factors, shifts)
@settings(deadline=None)
def test_the_levels_of_a_draft_lie_where_their_transforms_say(matrix: Any, scale: Any, shift: Any) -> None:
    assume(abs(matrix[0][0] * matrix[1][1] - matrix[0][1] * matrix[1][0]) > 0)
    affine = {"type": "affine", "affine": matrix}
    own = sequence(
        {"type": "scale", "scale": list(scale)}, {"type": "translation", "translation": list(shift)}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OmeNgffWarning)
        image = read(placed("0", **affine), placed("1", **sequence(own, affine)))
    point = (3.0, 4.0)
    steps = [(1, 1), (0, 0)], [scale, shift]
    for level, (own_scale, own_shift) in zip(image.levels, steps, strict=True):
        index = [s * i + t for s, i, t in zip(own_scale, point, own_shift, strict=True)]
        expected = [row[0] * index[0] + row[1] * index[1] + row[2] for row in matrix]
        found = apply_affine(affine_of(level.transform), point)
        found = found if image.affine is None else apply_affine(image.affine, found)
        assert found == pytest.approx(expected, abs=1e-6)


def test_a_level_of_a_draft_that_lies_otherwise_is_placed_as_near_as_can_be_and_noted() -> None:
    turn, other = ({"type": "rotation", "rotation": r} for r in ([[0, -1], [1, 0]], [[0, -1], [1, 0.5]]))
    with pytest.warns(OmeNgffWarning, match="level '1' is placed otherwise"):
        image = read(placed("0", **turn), placed("1", **sequence(other, {"type": "scale", "scale": [2, 2]})))
    assert image.levels[1].transform.scale == (2, 2)


def test_an_affine_that_is_no_more_than_scale_and_translation_stays_one() -> None:
    with pytest.warns(OmeNgffWarning, match="affine"):
        image = read(placed(type="affine", affine=[[2, 0, 5], [0, 3, 7]]))
    assert image.affine is None
    assert image.levels[0].transform == ScaleTranslation(scale=(2, 3), translation=(5, 7))


@pytest.mark.parametrize(
    "transform",
    [
        {"type": "affine", "affine": [[1, 0, 0], [1, 0, 0]]},
        {"type": "affine", "affine": [[1, 1, 0], [1, 1, 0]]},
        {"type": "affine", "affine": [[1, 0, 0]]},
        {"type": "affine"},
        {"type": "affine", "path": "numbers"},
        {"type": "projectAxis", "droppedInputs": [0]},
        sequence(SCALE, {"type": "rotation", "rotation": "left"}),
    ],
)
def test_what_gives_voxels_no_size_is_shown_in_pixels(transform: Any) -> None:
    with pytest.warns(OmeNgffWarning, match="voxels of size 1 assumed"):
        image = read(placed(**transform))
    assert len(image.unplaced) == 1
    assert (image.levels[0].transform, image.affine) == (identity(2), None)


def test_an_unknown_type_is_named() -> None:
    for transform in ({"type": "warp"}, sequence(SCALE, {"type": "warp"})):
        with pytest.warns(OmeNgffWarning, match="warp"):
            read(placed(**transform))


def test_numbers_may_be_kept_in_arrays() -> None:
    kept = sequence({"type": "scale", "path": "numbers/scale"}, SHIFT)
    attributes = {
        "ome": {"version": "0.6", "multiscales": [{"coordinateSystems": [LAB], "datasets": [placed(**kept)]}]}
    }
    (image,) = decode(attributes, where="", parameters={"numbers/scale": [2, 3]})
    assert image.levels[0].transform == ScaleTranslation(scale=(2, 3), translation=(5, 7))


def test_an_unknown_step_of_time_is_taken_as_one() -> None:
    lab = {"name": "lab", "axes": [{"name": "t", "type": "time"}, *AXES]}
    with pytest.warns(OmeNgffWarning, match="nothing about t"):
        image = read(placed(type="scale", scale=[0, 2, 3]), systems=[lab])
    assert image.levels[0].transform.scale == (1, 2, 3)


def test_a_field_is_not_applied_and_noted() -> None:
    with pytest.warns(OmeNgffWarning, match="displacement field is not applied"):
        image = read(placed(**sequence(SCALE, {"type": "displacements", "path": "field"})))
    assert image.levels[0].transform.scale == (2, 3)


def test_several_transforms_are_applied_one_after_the_other_unless_they_lead_elsewhere() -> None:
    several = [{**SCALE, "input": {"path": "0"}, "output": {"name": "lab"}}, SHIFT]
    with pytest.warns(OmeNgffWarning, match="2 transforms"):
        image = read({"path": "0", "coordinateTransformations": several})
    assert image.levels[0].transform == ScaleTranslation(scale=(2, 3), translation=(5, 7))
    elsewhere = [several[0], {**SHIFT, "output": {"name": "stage"}}]
    with pytest.warns(OmeNgffWarning, match="only the first"):
        image = read({"path": "0", "coordinateTransformations": elsewhere})
    assert image.levels[0].transform == ScaleTranslation(scale=(2, 3), translation=(0, 0))


DRAFTS = {
    "basic/identity": ((1, 1, 1), (0, 0, 0), None),
    "basic/scale": ((4, 3, 2), (0, 0, 0), None),
    "basic/translation": ((1, 1, 1), (30, 20, 10), None),
    "basic/sequenceScaleTranslation": ((4, 3, 2), (32, 21, 10), None),
    "simple/affine": ((4, 3, 2), (32, 21, 10), None),
    "simple/rotation": ((1, 1, 1), (0, 0, 0), ((0, 0, 1), (1, 0, 0), (0, 1, 0))),
    "simple/anisotropic_rotation": ((2, 0.5, 0.25), (0, 0, 0), None),
    "axis_dependent/mapAxis": ((1, 1, 1), (0, 0, 0), ((0, 1, 0), (0, 0, 1), (1, 0, 0))),
}


@pytest.mark.parametrize("name", DRAFTS)
def test_files_of_a_draft_are_placed(corpus: Path, name: str) -> None:
    """0.6.dev1: references are text, and any transform may place a level."""
    text = (corpus / f"neuroglancer/ome_zarr/all_0.6/{name}.zarr/zarr.json").read_text()
    with pytest.warns(OmeNgffWarning, match="instead of an object"):
        (image,) = decode(json.loads(text)["attributes"], where=name)
    scale, translation, matrix = DRAFTS[name]
    assert image.levels[0].transform == ScaleTranslation(scale=scale, translation=translation)
    assert (image.affine and image.affine.matrix) == matrix


def test_the_intrinsic_system_is_the_one_of_the_levels() -> None:
    other = {"name": "array", "axes": [{"name": "i", "type": "array"}, {"name": "j", "type": "array"}]}
    image = read(systems=[other, LAB])
    assert image.system == "lab"
    assert image.dims == ("y", "x")


def test_other_systems_and_the_transforms_to_them_are_kept_in_silence() -> None:
    image = read(systems=[STAGE, {**LAB, "@note": 1}], coordinateTransformations=[VIEW])
    assert image.extra == {
        "coordinateSystems": [STAGE, {"name": "lab", "@note": 1}],
        "coordinateTransformations": [VIEW],
    }
    (written,) = encode(image, "0.6")["ome"]["multiscales"]
    assert written["coordinateSystems"] == [STAGE, {**LAB, "@note": 1}]
    assert written["coordinateTransformations"] == [VIEW]


def test_nulls_are_not_kept() -> None:
    view = {**VIEW, "name": None, "input": {"name": "lab", "path": None}}
    assert read(systems=[LAB, STAGE], coordinateTransformations=[view]).extra[
        "coordinateTransformations"
    ] == [VIEW]


@pytest.mark.parametrize(
    "view",
    [
        {**VIEW, "output": {"name": "nowhere"}},
        {**VIEW, "input": {"name": "stage"}},
        {**VIEW, "input": "lab"},
        {**VIEW, "input": None},
        {"input": {"name": "lab"}, "output": {"name": "stage"}},
        "lab",
        None,
    ],
)
def test_a_view_that_leads_nowhere_is_noted_and_not_written(view: Any) -> None:
    assert view_problem(view, "lab", ["lab", "stage"])
    with pytest.warns(OmeNgffWarning, match=r"coordinateTransformations\[0\]"):
        image = read(systems=[LAB, STAGE], coordinateTransformations=[view])
    with pytest.raises(MetadataError):
        encode(replace(image, extra={**image.extra, "coordinateTransformations": [view]}), "0.6")


def test_a_view_may_lead_to_a_label_image() -> None:
    view = {**VIEW, "type": "identity", "output": {"name": "lab", "path": "labels/cells"}}
    image = read(coordinateTransformations=[view])
    assert encode(image, "0.6")["ome"]["multiscales"][0]["coordinateTransformations"] == [view]


@pytest.mark.parametrize(
    ("datasets", "note"),
    [
        ([{**placed(), "path": "1"}], "'0' instead of '1'"),
        ([placed(**{**SCALE, "input": "0", "output": "lab"})], "'lab' instead of an object"),
        ([placed(**{**SCALE, "output": None})], "null instead of an object"),
        ([placed(**{**SCALE, "output": {"name": "moon"}})], "'moon' is not defined"),
        ([{"path": "0"}], "voxels of size 1"),
        ([placed(), {"path": "1", "coordinateTransformations": []}], "placed by its size"),
    ],
)
def test_loose_ends_are_noted(datasets: list[Any], note: str) -> None:
    with pytest.warns(OmeNgffWarning, match=note):
        assert read(*datasets).system == "lab"


@pytest.mark.parametrize("odd", [None, {}, {"axes": AXES}, {"name": ""}, {"name": 1}, LAB])
def test_a_system_without_a_name_of_its_own_is_left_out(odd: Any) -> None:
    with pytest.warns(OmeNgffWarning, match=r"coordinateSystems\[1\]"):
        assert read(systems=[LAB, odd]).extra == {}


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ({"systems": [{}]}, "coordinateSystems"),
        ({"datasets": []}, "datasets"),
    ],
)
def test_what_cannot_be_found_is_refused_and_its_place_named(more: Any, where: str) -> None:
    item = {
        "coordinateSystems": more.get("systems", [LAB, STAGE]),
        "datasets": more.get("datasets", [placed()]),
    }
    with pytest.raises(MetadataError) as caught:
        decode({"ome": {"version": "0.6", "multiscales": [item]}}, where="a.zarr")
    assert caught.value.where == f"a.zarr: ome.multiscales[0].{where}"


@pytest.mark.parametrize(
    "dataset",
    [
        {"path": "0", "coordinateTransformations": [1]},
        placed(type="scale", scale=[1]),
        placed(type="scale", scale=[0, 1]),
        placed(**sequence(SCALE, 1)),
        placed(type="sequence"),
    ],
)
def test_pixels_are_never_refused_for_their_place(dataset: Any) -> None:
    with pytest.warns(OmeNgffWarning, match="voxels of size 1 assumed"):
        assert read(dataset).unplaced == ("0",)


def test_a_level_in_another_system_is_placed_by_its_size() -> None:
    with pytest.warns(OmeNgffWarning, match="in another coordinate system"):
        image = read(placed(), placed("1", **{**SCALE, "output": {"name": "stage"}}), systems=[LAB, STAGE])
    assert (image.system, image.unplaced) == ("lab", ("1",))


@pytest.mark.parametrize("systems", [[], None, [{"name": "lab"}], [{"name": "lab", "axes": []}]])
def test_where_no_system_says_the_axes_the_arrays_do(systems: Any) -> None:
    item = {"coordinateSystems": systems, "datasets": [placed()]}
    with pytest.warns(OmeNgffWarning, match="assumed|have the form of"):
        (image,) = decode({"ome": {"version": "0.6", "multiscales": [item]}}, where="")
    assert image.assumed


@pytest.mark.parametrize(
    "affine",
    [
        [[2, 0, 5], [0, 3, 7], [0, 0, 1]],
        [2, 0, 5, 0, 3, 7],
        [2, 0, 5, 0, 3, 7, 0, 0, 1],
        [["2", "0", "5"], ["0", "3", "7"]],
    ],
)
def test_a_matrix_in_another_form_means_the_same(affine: Any) -> None:
    with pytest.warns(OmeNgffWarning):
        image = read(placed(type="affine", affine=affine))
    assert image.levels[0].transform == ScaleTranslation(scale=(2, 3), translation=(5, 7))


IMAGE = Multiscale(
    version="0.6",
    axes=(Axis(name="y", type="space"), Axis(name="x", type="space")),
    levels=(Level(path="0", transform=ScaleTranslation(scale=(2, 3), translation=(5, 7))),),
)


def test_each_level_is_written_as_a_sequence_in_a_named_system() -> None:
    (written,) = encode(IMAGE, "0.6")["ome"]["multiscales"]
    physical = {"input": {"path": "0"}, "output": {"name": "physical"}}
    assert written == {
        "coordinateSystems": [{"name": "physical", "axes": AXES}],
        "datasets": [{"path": "0", "coordinateTransformations": [{**sequence(SCALE, SHIFT), **physical}]}],
    }


def test_the_transform_of_an_older_image_becomes_part_of_its_levels() -> None:
    image = replace(IMAGE, transform=ScaleTranslation(scale=(10, 10), translation=(1, 1)))
    (again,) = decode(encode(image, "0.6"), where="")
    assert again.transform is None
    assert again.levels[0].transform == ScaleTranslation(scale=(20, 30), translation=(51, 71))


@pytest.mark.parametrize(
    "odd",
    [
        {"system": ""},
        {"system": 3},
        {"levels": ()},
        {"levels": (Level(path="0", transform=identity(3)),)},
        {"levels": (Level(path="0", transform=ScaleTranslation(scale=(-1, 1), translation=(0, 0))),)},
        {"transform": identity(3)},
        {"extra": {"coordinateSystems": "lab"}},
        {"extra": {"coordinateSystems": [STAGE, STAGE]}},
        {"extra": {"coordinateSystems": [{"axes": AXES}]}},
        {"extra": {"coordinateSystems": [{"name": "line", "axes": AXES[:1]}]}},
        {"extra": {"coordinateSystems": [{"name": "stage", "axes": "zyx"}]}},
        {"extra": {"coordinateTransformations": [VIEW]}},
        {"extra": {"coordinateTransformations": "identity"}},
    ],
)
def test_what_breaks_a_rule_is_not_written(odd: dict[str, Any]) -> None:
    with pytest.raises(MetadataError):
        encode(replace(IMAGE, **odd), "0.6")
