"""An image in another of its coordinate systems: chains, both ways, and what can be asked for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_ome_ngff.errors import OptionError, UnsupportedError
from napari_ome_ngff.metadata.affine import apply_affine, compose_affine, invert_affine
from napari_ome_ngff.metadata.nouns import Affine, Axis, Multiscale, View
from napari_ome_ngff.metadata.systems.view import parameter_paths, shown_affine, systems_of, view
from napari_ome_ngff.metadata.versions import decode

AXES = [{"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
SHIFT = {"type": "translation", "translation": [5, 7]}


def system(name: str, axes: Any = AXES) -> dict[str, Any]:
    return {"name": name, "axes": axes}


def link(start: str, end: str, transform: Any = SHIFT) -> dict[str, Any]:
    return {**transform, "input": {"name": start}, "output": {"name": end}}


def image(*links: Any, systems: Any = ("stage", "room")) -> Multiscale:
    kept = [system(each) if isinstance(each, str) else each for each in systems]
    return Multiscale(
        version="0.6",
        axes=(Axis(name="y", type="space"), Axis(name="x", type="space")),
        levels=(),
        system="lab",
        extra={"coordinateSystems": [{"name": "lab"}, *kept], "coordinateTransformations": list(links)},
    )


def seen(multiscale: Multiscale, name: str, **parameters: Any) -> View:
    found = view(multiscale, name, parameters=parameters, where="a.zarr")
    assert found is not None
    assert found.system.name == name
    return found


def test_the_intrinsic_system_needs_no_view() -> None:
    assert view(image(), None, parameters={}, where="") is None
    assert view(image(), "lab", parameters={}, where="") is None


@pytest.mark.parametrize(
    ("links", "expected"),
    [
        ([link("lab", "stage")], (6, 9)),
        ([link("stage", "lab")], (-4, -5)),
        ([link("lab", "room"), link("room", "stage")], (11, 16)),
        ([link("lab", "room"), link("stage", "room")], (1, 2)),
        # The shorter way, and of two the first.
        ([link("lab", "room"), link("room", "stage", {"type": "identity"}), link("lab", "stage")], (6, 9)),
    ],
)  # fmt: skip
def test_transforms_are_followed_forward_and_back(links: list[Any], expected: Any) -> None:
    found = seen(image(*links), "stage")
    assert apply_affine(found.affine, (1, 2)) == expected


numbers = st.floats(-100, 100)
factors = st.floats(0.01, 100)


@given(st.tuples(factors, factors), st.tuples(numbers, numbers))
@settings(deadline=None)
def test_the_view_of_the_inverse_is_the_inverse_of_the_view(scale: Any, shift: Any) -> None:
    steps = [
        {"type": "scale", "scale": list(scale)},
        {"type": "rotation", "rotation": [[0, -1], [1, 0]]},
        {"type": "translation", "translation": list(shift)},
    ]
    transform = {"type": "sequence", "transformations": steps}
    forward = seen(image(link("lab", "stage", transform)), "stage").affine
    back = seen(image(link("stage", "lab", transform)), "stage").affine
    point = apply_affine(compose_affine(forward, back), (3.0, 4.0))
    assert point == pytest.approx((3.0, 4.0), abs=1e-6)
    assert apply_affine(invert_affine(forward), (3.0, 4.0)) == pytest.approx(
        apply_affine(back, (3.0, 4.0)), rel=1e-9, abs=1e-6
    )


def test_a_view_may_have_other_axes() -> None:
    created = {"type": "projectAxis", "createdOutputs": [0]}
    volume = system("volume", [{"name": "z", "type": "space"}, *AXES])
    found = seen(image(link("lab", "volume", created), systems=[volume]), "volume")
    assert [axis.name for axis in found.system.axes] == ["z", "y", "x"]
    assert apply_affine(found.affine, (1, 2)) == (0, 1, 2)


def test_a_field_is_named_and_a_way_without_one_preferred() -> None:
    field = {"type": "displacements", "path": "field"}
    (problem,) = seen(image(link("lab", "stage", field)), "stage").problems
    assert "displacement field is not applied" in problem
    around = image(link("lab", "stage", field), link("lab", "room"), link("room", "stage"))
    found = seen(around, "stage")
    assert found.problems == ()
    assert apply_affine(found.affine, (1, 2)) == (11, 16)


def test_numbers_may_be_kept_in_arrays() -> None:
    kept = image(link("lab", "stage", {"type": "affine", "path": "numbers/affine"}))
    found = seen(kept, "stage", **{"numbers/affine": [[1, 0, 5], [0, 1, 7]]})
    assert apply_affine(found.affine, (1, 2)) == (6, 9)
    with pytest.raises(UnsupportedError) as caught:
        view(kept, "stage", parameters={}, where="a.zarr")
    assert "cannot be read" in caught.value.found


@pytest.mark.parametrize("name", ["moon", ""])
def test_a_system_that_is_not_there_is_refused_with_the_choices(name: str) -> None:
    with pytest.raises(OptionError) as caught:
        view(image(link("lab", "stage")), name, parameters={}, where="a.zarr")
    assert caught.value.expected == "'lab', 'stage', 'room'"
    old = Multiscale(version="0.5", axes=(), levels=())
    with pytest.raises(OptionError, match="no named coordinate systems"):
        view(old, "stage", parameters={}, where="")


@pytest.mark.parametrize(
    "links",
    [
        [],
        [link("room", "stage")],
        [link("stage", "lab", {"type": "scale", "scale": [0, 1]})],
        [link("lab", "stage", {"type": "warp"})],
        [link("lab", "stage", {"type": "scale", "scale": [1]})],
        [link("lab", "moon"), link("moon", "stage")],
        [{**SHIFT, "input": {"name": "lab"}, "output": {"name": "stage", "path": "labels/cells"}}],
        [None, 1, {}, {**SHIFT, "input": [], "output": 1}],
    ],
)
def test_a_system_that_no_transform_leads_to_is_refused(links: list[Any]) -> None:
    with pytest.raises(UnsupportedError, match="cannot be placed"):
        view(image(*links), "stage", parameters={}, where="a.zarr")


def test_systems_are_listed_with_the_intrinsic_one_first() -> None:
    odd = [1, {}, {"name": 3}, {"name": "empty", "axes": []}, system("lab"), system("stage")]
    assert tuple(systems_of(image(systems=["stage", *odd]))) == ("lab", "stage")


def test_parameters_are_found_wherever_transforms_are() -> None:
    def kept(path: str) -> dict[str, Any]:
        return {"type": "affine", "path": path}

    entry = {
        "datasets": [{"path": "0", "coordinateTransformations": [kept("a")]}],
        "coordinateTransformations": [{"type": "sequence", "transformations": [kept("b"), kept("a")]}],
    }
    scene = {"coordinateTransformations": [{"type": "bijection", "forward": kept("c"), "inverse": kept("d")}]}
    assert parameter_paths({"ome": {"multiscales": [entry], "scene": scene}}) == ("c", "d", "b", "a")
    assert parameter_paths({"multiscales": [entry]}) == ("b", "a")
    for odd in ({}, {"ome": 3}, {"multiscales": 1}, {"multiscales": [None, {"datasets": 3}]}):
        assert parameter_paths(odd) == ()


def test_what_is_shown_is_what_drafts_say_of_the_levels_and_then_the_view() -> None:
    double = Affine(matrix=((2.0, 0.0), (0.0, 2.0)), translation=(0.0, 0.0))
    plain = image(link("lab", "stage"))
    found = seen(plain, "stage")
    assert shown_affine(plain, None) is None
    assert shown_affine(plain, found) is found.affine
    draft = replace(plain, affine=double)
    assert shown_affine(draft, None) is double
    both = shown_affine(draft, found)
    assert both is not None
    assert apply_affine(both, (1, 2)) == (7, 11)


def test_the_draft_of_an_anisotropic_rotation(corpus: Path) -> None:
    folder = corpus / "neuroglancer/ome_zarr/all_0.6/simple/anisotropic_rotation.zarr"
    attributes = json.loads((folder / "zarr.json").read_text())["attributes"]
    with pytest.warns(UserWarning, match="draft|rules"):
        (found,) = decode(attributes, where=str(folder))
    assert found.levels[0].transform.scale == (2, 0.5, 0.25)
    assert apply_affine(seen(found, "world").affine, (1, 0, 0)) == pytest.approx((-0.7071, 0.7071, 0))
