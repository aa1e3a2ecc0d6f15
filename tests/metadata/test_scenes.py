"""Scenes: what the JSON names, and where each image lies. No image is opened."""

from __future__ import annotations

import json
import math
import time
import tomllib
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_ome_ngff.errors import MetadataError, OmeNgffError, OmeNgffWarning, OptionError
from napari_ome_ngff.metadata.affine import apply_affine
from napari_ome_ngff.metadata.collections.scene_placement import (
    find_system,
    place_members,
    scene_graph,
    scene_systems,
)
from napari_ome_ngff.metadata.collections.scenes import decode_scene, member_paths
from napari_ome_ngff.metadata.context import Context
from napari_ome_ngff.metadata.nouns import Axis, Multiscale, Scene, SystemRef
from napari_ome_ngff.metadata.systems.graph import Way, ways_to

AXES = [{"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
WORLD = {"name": "world", "axes": AXES}
CASES = [
    "affine_identity", "affine_identity_inverse", "bijection_forward", "bijection_inverse", "byDimension",
    "byDimension_inverse", "identity", "identity_inverse", "mapAxis", "mapAxis_inverse", "rotation",
    "rotation_identity", "rotation_identity_inverse", "rotation_inverse", "scale", "scale_inverse",
    "sequence", "sequence_inverse", "simple_path", "simple_path_inverse", "translation",
    "translation_inverse", "unknown_source", "unknown_target",
]  # fmt: skip


def way_between(scene: Scene, *ends: str) -> Way:
    """How to get from one system of a scene to another: transforms as its images follow them."""
    graph = scene_graph(scene, {}, Context())
    start, stop = (find_system(name, scene, {}, Context()) for name in ends)
    return ways_to(stop, graph.edges, ndim=len(graph.systems[stop].axes))[start]


@pytest.mark.parametrize("case", CASES)
def test_conformance(corpus: Path, case: str) -> None:
    """The cases of ome-zarr-transformations-conformance: points in, points out, with its tolerances."""
    folder = corpus / "ome-zarr-transformations-conformance/cases-0.6" / f"{case}.ome.zarr"
    attributes = json.loads((folder / "zarr.json").read_text())["attributes"]
    expected = tomllib.loads((folder / "conformance.toml").read_text())
    scene = decode_scene(attributes, where=str(folder))
    source, target = expected["source"], expected["target"]
    ends = source["name"], target["name"]
    if expected["should_error"]:
        with pytest.raises(OptionError, match=r"no coordinate system '(source|potato)'"):
            way_between(scene, *ends)
        return
    way = way_between(scene, *ends)
    for point, result in zip(source["coordinates"], target["coordinates"], strict=True):
        tolerance = {"abs": expected["absolute_tolerance"], "rel": expected["relative_tolerance"]}
        assert apply_affine(way.affine, point) == pytest.approx(result, **tolerance)


def test_every_conformance_case_is_run(corpus: Path) -> None:
    folders = (corpus / "ome-zarr-transformations-conformance/cases-0.6").iterdir()
    assert sorted(folder.name.removesuffix(".ome.zarr") for folder in folders) == sorted(CASES)


def shift(y: float, x: float) -> dict[str, Any]:
    return {"type": "translation", "translation": [y, x]}


def end(place: Any) -> Any:
    """``"tile/physical"`` as a reference to the system of an image, ``"world"`` as one of the scene."""
    if not isinstance(place, str):
        return place
    path, _, name = place.rpartition("/")
    return {"name": name, "path": path} if path else {"name": name}


def link(start: Any, stop: Any, transform: Any) -> dict[str, Any]:
    return {**transform, "input": end(start), "output": end(stop)}


def scene(*links: Any, systems: Any = (WORLD,)) -> Scene:
    own = {"coordinateSystems": list(systems), "coordinateTransformations": list(links)}
    return decode_scene({"ome": {"version": "0.6", "scene": own}}, where="a.zarr")


def image(system: str | None = "physical", **more: Any) -> Multiscale:
    axes = (Axis(name="y", type="space"), Axis(name="x", type="space"))
    return Multiscale(version="0.6", axes=axes, levels=(), system=system, **more)


def members(*paths: str) -> dict[str, Multiscale]:
    return {path: image() for path in paths}


def place(found: Scene, images: Any, system: str | None = None, **parameters: Any) -> Any:
    views, problems = place_members(found, images, system, parameters=parameters, where="a.zarr")
    return {path: apply_affine(view.affine, (0, 0)) for path, view in views.items()}, problems


TILES = scene(link("a/physical", "world", shift(0, 10)), link("b/physical", "world", shift(0, 20)))


def test_images_are_placed_in_the_first_system_of_the_scene() -> None:
    assert member_paths(TILES) == ("a", "b")
    assert place(TILES, members("a", "b")) == ({"a": (0, 10), "b": (0, 20)}, ())


def test_the_system_of_an_image_can_be_asked_for() -> None:
    images = members("a", "b")
    assert list(scene_systems(TILES, images)) == ["world", "a/physical", "b/physical"]
    for name in ("b", "b/physical"):
        assert place(TILES, images, name) == ({"a": (0, -10), "b": (0, 0)}, ())
    with pytest.raises(OptionError) as caught:
        place(TILES, images, "physical")
    assert caught.value.expected == "'world', 'a/physical', 'b/physical'"
    assert place(TILES, {"a": image()}, "physical")[0] == {"a": (0, 0)}


def test_a_chain_of_images_without_a_system_of_the_scene() -> None:
    """0.6, "Multi-hop transformations": 1 to 2 and 3 to 2, so 3 to 1 by going back."""
    chain = scene(
        link("one/physical", "two/physical", shift(1, 0)),
        link("three/physical", "two/physical", shift(5, 0)),
        systems=(),
    )
    images = members("one", "two", "three")
    assert place(chain, images) == ({"one": (0, 0), "two": (-1, 0), "three": (4, 0)}, ())


def test_the_image_that_most_lead_to_is_the_default() -> None:
    alone = scene(
        link("alone/physical", "other/physical", {"type": "scale", "scale": [0, 0]}),
        link("a/physical", "b/physical", shift(1, 0)),
        link("b/physical", "c/physical", shift(1, 0)),
        systems=(),
    )
    placed, problems = place(alone, members("alone", "a", "b", "c"))
    assert placed == {"a": (0, 0), "b": (-1, 0), "c": (-2, 0)}
    assert len(problems) == 1
    assert "'alone' cannot be placed in 'a/physical'" in problems[0]


def test_a_system_of_the_scene_that_no_image_leads_to_is_no_default() -> None:
    apart = scene(link("a/physical", "b/physical", shift(1, 0)))
    placed, problems = place(apart, members("a", "b"))
    assert placed == {"a": (0, 0), "b": (-1, 0)}
    assert problems == ()
    placed, problems = place(apart, members("a", "b"), "world")
    assert placed == {}
    assert len(problems) == 2


def test_an_image_that_is_not_there_may_still_lead_from_one_to_another() -> None:
    hub = scene(
        link("a/physical", "gone/physical", shift(1, 0)),
        link("b/physical", "gone/physical", shift(5, 0)),
        systems=(),
    )
    assert place(hub, members("a", "b")) == ({"a": (0, 0), "b": (4, 0)}, ())


def test_systems_of_an_image_are_part_of_the_graph() -> None:
    kept = {
        "coordinateSystems": [{"name": "physical"}, {"name": "rotated", "axes": AXES}],
        "coordinateTransformations": [
            {"type": "affine", "path": "m", "input": {"name": "physical"}, "output": {"name": "rotated"}}
        ],
    }
    images = {"a": image(extra=kept)}
    turned = scene(link("a/rotated", "world", shift(100, 0)))
    numbers = {"a/m": [[0, -1, 1], [1, 0, 2]]}
    assert place(turned, images, **numbers) == ({"a": (101, 2)}, ())
    _, problems = place(turned, images)
    assert any("numbers of a transform" in problem for problem in problems)


def test_of_two_ways_the_shortest_is_taken() -> None:
    cycle = scene(
        link("a/physical", "world", shift(0, 10)),
        link("b/physical", "world", shift(0, 20)),
        link("a/physical", "b/physical", shift(0, 0)),
    )
    placed, problems = place(cycle, members("a", "b"))
    assert placed == {"a": (0, 10), "b": (0, 20)}
    assert problems == ()


def test_a_bijection_says_its_way_back() -> None:
    both = {"type": "bijection", "forward": shift(1, 1), "inverse": shift(10, 10)}
    found = scene(link("world", "a/physical", both))
    assert place(found, members("a")) == ({"a": (10, 10)}, ())


def test_a_field_is_named_with_the_image() -> None:
    found = scene(link("a/physical", "world", {"type": "displacements", "path": "field"}))
    views, problems = place_members(found, members("a"), None, parameters={}, where="")
    assert problems == ()
    assert "displacement field is not applied" in views["a"].problems[0]


@pytest.mark.parametrize(
    ("links", "problem"),
    [
        ([link("a/physical", "world", {"type": "warp"})], "no transform of type 'warp'"),
        ([link("a/physical", "world", {"type": "scale", "scale": [1]})], "one number per axis"),
        ([link("a/physical", "world", {"type": "affine", "path": "numbers"})], "cannot be read"),
        ([link("gone/physical", "lost/physical", shift(1, 0))], "Nothing is known"),
    ],
)
def test_a_transform_that_cannot_be_read_is_named_and_its_image_left_where_it_is(
    links: list[Any], problem: str
) -> None:
    placed, problems = place(scene(*links), members("a"), "world")
    assert placed == {}
    assert problem in problems[0]
    assert "shown in its own place" in problems[-1]


@pytest.mark.parametrize(
    ("ref", "problem"),
    [
        ({"path": "a", "name": "phisical"}, "'a/phisical' is not there, 'a/physical' is taken"),
        ({"path": "./a", "name": "physical"}, ""),
        ({"path": "a/", "name": "physical"}, ""),
        ({"path": "a"}, ""),
        ("a/physical", ""),
    ],
)
def test_a_system_is_found_whatever_it_is_called(ref: Any, problem: str) -> None:
    placed, problems = place(scene({**shift(0, 10), "input": ref, "output": "world"}), members("a"))
    assert placed == {"a": (0, 10)}
    assert len(problems) == bool(problem)
    assert problem in "".join(problems)


def test_images_of_older_versions_have_one_system() -> None:
    images = {"a": image(system=None)}
    found = scene(link("a/anything", "world", shift(0, 10)))
    assert place(found, images)[0] == {"a": (0, 10)}
    assert list(scene_systems(found, images)) == ["world", "a"]


def test_a_scene_may_forget_to_define_its_system() -> None:
    found = scene(
        link("a/physical", "world", shift(0, 1)), link("b/physical", "world", shift(0, 4)), systems=()
    )
    placed, problems = place(found, members("a", "b"))
    assert placed == {"a": (0, 0), "b": (0, 3)}
    assert "'world' is no coordinate system of the scene" in problems[0]


def test_drafts_name_images_in_a_text() -> None:
    found = scene({**shift(0, 10), "input": "tile_0", "output": "world"})
    assert found.links[0].input == SystemRef(name="", path="tile_0")
    assert found.links[0].output == SystemRef(name="world")


@pytest.mark.parametrize(
    "odd",
    [
        None,
        3,
        {**shift(0, 1), "input": None, "output": {"name": "world"}},
        {**shift(0, 1), "input": "", "output": {"name": "world"}},
        {**shift(0, 1), "input": {"name": 3, "path": "a"}, "output": {"name": "world"}},
        {**shift(0, 1), "input": {"name": "a", "path": "../a"}, "output": {"name": "world"}},
        {**shift(0, 1), "input": {"name": "a", "path": 3}, "output": {"name": "world"}},
        {**shift(0, 1), "input": {"name": "a"}},
    ],
)
def test_what_is_no_transform_is_left_out_with_a_warning(odd: Any) -> None:
    with pytest.warns(OmeNgffWarning, match=r"coordinateTransformations\[1\]"):
        found = scene(link("a/physical", "world", shift(0, 10)), odd)
    assert member_paths(found) == ("a",)
    with pytest.warns(OmeNgffWarning), pytest.raises(MetadataError, match="how its images lie"):
        scene(odd)


@pytest.mark.parametrize("odd", [3, {"axes": AXES}, {"name": "empty", "axes": []}, WORLD])
def test_a_system_that_cannot_be_read_is_left_out_with_a_warning(odd: Any) -> None:
    with pytest.warns(OmeNgffWarning, match=r"coordinateSystems\[1\]"):
        found = scene(link("a/physical", "world", shift(0, 10)), systems=[WORLD, odd])
    assert [system.name for system in found.systems] == ["world"]


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"ome": 3},
        {"ome": {}},
        {"ome": {"scene": 3}},
        {"ome": {"scene": {}}},
        {"ome": {"scene": {"coordinateTransformations": []}}},
        {"ome": {"scene": {"coordinateTransformations": 3}}},
        {"ome": {"scene": {"coordinateTransformations": [], "coordinateSystems": 3}}},
    ],
)
def test_what_is_no_scene_is_refused(attributes: Any) -> None:
    with pytest.raises(MetadataError):
        decode_scene(attributes, where="a.zarr")


@pytest.mark.parametrize("name", ["scene", "tile_stitching"])
def test_scenes_of_the_specification_can_be_read(corpus: Path, name: str) -> None:
    folder = corpus / "ngff-spec/0.6rc0/tests/attributes/spec/valid/scene"
    found = decode_scene(json.loads((folder / f"{name}.json").read_text()), where=name)
    assert member_paths(found)


def test_nothing_leads_from_one_to_another() -> None:
    found = scene(link("a/physical", "world", {"type": "warp"}))
    views, problems = place_members(found, members("a"), "world", parameters={}, where="")
    assert not views
    assert "'a' cannot be placed in 'world': no transform leads there" in problems[-1]
    with pytest.raises(OmeNgffError):
        place_members(found, {}, "a", parameters={}, where="")


references = st.none() | st.text("ab/.", max_size=3) | st.fixed_dictionaries(
    {}, optional={"name": st.sampled_from(["a", "physical", "world", "", None, 3]),
                  "path": st.sampled_from(["a", "b", "b/a", "../a", None, 3])})  # fmt: skip
transforms = st.sampled_from(
    [
        {},
        {"type": "identity"},
        {"type": "scale", "scale": [2, 1e200]},
        {"type": "scale", "scale": [0, 1]},
        {"type": "affine", "affine": [[1, 2, 3], [1, 1e-300, 4]]},
        {"type": "affine", "affine": [[1, 2, 3]]},
        {"type": "projectAxis", "createdOutputs": [0]},
        {"type": "coordinates", "path": "field"},
        {"type": "bijection", "forward": shift(1, 1), "inverse": {"type": "scale", "scale": [1e300, 1]}},
    ]
)
links = st.builds(
    lambda transform, start, stop: {**transform, "input": start, "output": stop},
    transforms,
    references,
    references,
)


@given(st.lists(links, max_size=8), st.sampled_from([None, "world", "a", "b/physical"]))
@settings(deadline=None)
def test_whatever_the_links_images_are_placed_in_finite_numbers_or_named(
    found: list[Any], system: str | None
) -> None:
    images = {"a": image(), "b": image(system=None)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OmeNgffWarning)
        try:
            views, problems = place_members(scene(*found), images, system, parameters={}, where="")
        except OmeNgffError:
            return
    for path in images:
        if path in views:
            rows = (*views[path].affine.matrix, views[path].affine.translation)
            assert all(math.isfinite(number) for row in rows for number in row)
            assert len(views[path].affine.matrix) == len(views[path].system.axes)
        else:
            assert any(f"Image {path!r} cannot be placed" in problem for problem in problems)


def test_thousands_of_images_are_placed_in_a_moment() -> None:
    paths = [f"tile_{index}" for index in range(2000)]
    grid = scene(*(link(f"{path}/physical", "world", shift(0, i)) for i, path in enumerate(paths)))
    start = time.perf_counter()
    placed, problems = place(grid, members(*paths))
    assert time.perf_counter() - start < 10
    assert placed["tile_1999"] == (0, 1999)
    assert problems == ()
