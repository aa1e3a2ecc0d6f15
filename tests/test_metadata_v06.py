"""OME-NGFF 0.6: levels placed in the intrinsic coordinate system, other systems kept as they are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from napari_ome_ngff.errors import MetadataError, OmeNgffWarning, UnsupportedError
from napari_ome_ngff.metadata import v06
from napari_ome_ngff.metadata.model import Axis, Level, Multiscale, ScaleTranslation
from napari_ome_ngff.metadata.systems import view_problem
from napari_ome_ngff.metadata.transforms import identity

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
    (image,) = v06.decode({"ome": {"version": "0.6", "multiscales": [item]}}, where="a.zarr")
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


@pytest.mark.parametrize(
    "kind", ["affine", "rotation", "mapAxis", "displacements", "byDimension", "bijection"]
)
def test_what_cannot_be_placed_is_named(kind: str) -> None:
    for transform in ({"type": kind}, sequence(SCALE, {"type": kind})):
        with pytest.raises(UnsupportedError, match=kind):
            read(placed(**transform))


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
    (written,) = v06.encode(image)["ome"]["multiscales"]
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
        v06.encode(replace(image, extra={**image.extra, "coordinateTransformations": [view]}))


def test_a_view_may_lead_to_a_label_image() -> None:
    view = {**VIEW, "type": "identity", "output": {"name": "lab", "path": "labels/cells"}}
    image = read(coordinateTransformations=[view])
    assert v06.encode(image)["ome"]["multiscales"][0]["coordinateTransformations"] == [view]


@pytest.mark.parametrize(
    ("datasets", "note"),
    [
        ([{**placed(), "path": "1"}], "'0' instead of '1'"),
        ([placed(**{**SCALE, "input": "0", "output": "lab"})], "'lab' instead of an object"),
        ([placed(**{**SCALE, "output": None})], "null instead of an object"),
        ([placed(**{**SCALE, "output": {"name": "moon"}})], "'moon' is not defined"),
        ([{"path": "0"}], "voxels of size 1"),
        ([placed(), {"path": "1", "coordinateTransformations": []}], "left out"),
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
        ({"systems": []}, "coordinateSystems"),
        ({"systems": [{"name": "lab"}]}, "coordinateSystems[0].axes"),
        ({"systems": [STAGE, {"name": "lab", "axes": []}]}, "coordinateSystems[1].axes"),
        ({"datasets": []}, "datasets"),
        ({"datasets": [{"path": "0", "coordinateTransformations": [SCALE, SCALE]}]},
         "datasets[0].coordinateTransformations"),
        ({"datasets": [{"path": "0", "coordinateTransformations": [1]}]},
         "datasets[0].coordinateTransformations[0]"),
        ({"datasets": [placed(type="scale", scale=[1])]},
         "datasets[0].coordinateTransformations[0].scale"),
        ({"datasets": [placed(**sequence(SCALE, 1))]},
         "datasets[0].coordinateTransformations[0].transformations[1]"),
        ({"datasets": [placed(type="sequence")]},
         "datasets[0].coordinateTransformations[0].transformations"),
        ({"datasets": [placed(), placed("1", **{**SCALE, "output": {"name": "stage"}})]},
         "datasets[1].coordinateTransformations[0].output"),
    ],
)  # fmt: skip
def test_what_cannot_be_placed_is_refused_and_its_place_named(more: Any, where: str) -> None:
    item = {
        "coordinateSystems": more.get("systems", [LAB, STAGE]),
        "datasets": more.get("datasets", [placed()]),
    }
    with pytest.raises(MetadataError) as caught:
        v06.decode({"ome": {"multiscales": [item]}}, where="a.zarr")
    assert caught.value.where == f"a.zarr: ome.multiscales[0].{where}"


IMAGE = Multiscale(
    version="0.6",
    axes=(Axis(name="y", type="space"), Axis(name="x", type="space")),
    levels=(Level(path="0", transform=ScaleTranslation(scale=(2, 3), translation=(5, 7))),),
)


def test_each_level_is_written_as_a_sequence_in_a_named_system() -> None:
    (written,) = v06.encode(IMAGE)["ome"]["multiscales"]
    physical = {"input": {"path": "0"}, "output": {"name": "physical"}}
    assert written == {
        "coordinateSystems": [{"name": "physical", "axes": AXES}],
        "datasets": [{"path": "0", "coordinateTransformations": [{**sequence(SCALE, SHIFT), **physical}]}],
    }


def test_the_transform_of_an_older_image_becomes_part_of_its_levels() -> None:
    image = replace(IMAGE, transform=ScaleTranslation(scale=(10, 10), translation=(1, 1)))
    (again,) = v06.decode(v06.encode(image), where="")
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
        v06.encode(replace(IMAGE, **odd))
