"""Layers that are rotated, sheared or mirrored: 0.6 says it, earlier versions refuse it, none forgets it."""

from __future__ import annotations

import json
from contextlib import nullcontext
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import ome_zarr_models
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from napari.utils.transforms import CompositeAffine

from napari_ome_ngff import MultiscaleSource, open_ome_ngff, write_hierarchy
from napari_ome_ngff.errors import MetadataError, OmeNgffWarning, UnsupportedError
from napari_ome_ngff.metadata.nouns import Affine, Axis, Level, Multiscale, ScaleTranslation
from napari_ome_ngff.metadata.versions import decode, encode
from napari_ome_ngff.plugin.open.to_layers import to_layers
from napari_ome_ngff.plugin.origin import LayerData
from napari_ome_ngff.plugin.reader import read_layers
from napari_ome_ngff.plugin.save.bundles import targets_of
from napari_ome_ngff.plugin.save.form import Form
from napari_ome_ngff.plugin.save.from_layers import from_layers
from napari_ome_ngff.plugin.save.placement import placement, with_affine
from napari_ome_ngff.plugin.save.request import preview
from napari_ome_ngff.plugin.writer import write_layers
from napari_ome_ngff.writing.write import plan_hierarchy
from tests.late_imports import when_used
from tests.metadata_tools import judge_by_schema, judges

ngff_zarr = when_used("ngff_zarr")

Array = np.ndarray[Any, np.dtype[np.float64]]

SHAPES = {2: (8, 10), 3: (4, 8, 6)}
TURNED = {"rotate": 30, "shear": [0.25], "scale": [2, 3], "translate": [5, 7]}
small = st.floats(-3, 3)


@st.composite
def places(draw: st.DrawFn, ndim: int) -> dict[str, Any]:
    """Arguments that place a layer, in every form that napari takes them."""
    angle = st.floats(-360, 360)
    size = st.floats(0.05, 20).flatmap(lambda x: st.sampled_from([x, x, -x]))
    matrix = np.eye(ndim + 1)
    if draw(st.booleans()):
        # Far enough from singular that places can be compared.
        rotate = draw(angle) if ndim == 2 else draw(st.tuples(*[angle] * 3))
        _, turn = placement({"rotate": rotate}, ndim, "")
        whole = np.eye(ndim) if turn is None else np.array(turn.matrix)
        matrix[:ndim, :ndim] = whole @ np.diag(draw(st.tuples(*[size] * ndim)))
        matrix[:ndim, -1] = draw(st.tuples(*[st.floats(-100, 100)] * ndim))
    return {
        "scale": draw(st.tuples(*[size] * ndim)),
        "translate": draw(st.tuples(*[st.floats(-100, 100)] * ndim)),
        "rotate": draw(st.none() | (angle if ndim == 2 else st.tuples(*[angle] * 3))),
        "shear": draw(st.none() | st.tuples(*[small] * (ndim * (ndim - 1) // 2))),
        "affine": matrix,
    }


def pixels(ndim: int) -> Any:
    return np.arange(np.prod(SHAPES[ndim]), dtype="uint16").reshape(SHAPES[ndim])


def save(
    layers: list[LayerData], version: str = "0.6", target: Path | None = None
) -> zarr.storage.MemoryStore:
    bundles, _ = from_layers(layers)
    (sources,) = targets_of(bundles, "a.ome.zarr").values()
    store = zarr.storage.MemoryStore()
    for _ in write_hierarchy(store=target or store, path="", sources=sources, ngff_version=version):
        pass
    return store


def entry(store: zarr.storage.MemoryStore, path: str = "") -> dict[str, Any]:
    ome: Any = zarr.open_group(store, path=path, mode="r").attrs["ome"]
    return ome["multiscales"][0]  # type: ignore[no-any-return]


def plain(name: str = "a", ndim: int = 2, kind: str = "image", **meta: Any) -> LayerData:
    return pixels(ndim), {"name": name, **meta}, kind


def matrix_of(meta: dict[str, Any], ndim: int) -> Array:
    """From indices of the data to the world, as napari itself computes it."""
    given = {key: meta.get(key) for key in ("rotate", "shear")}
    scale, translate = meta.get("scale", (1.0,) * ndim), meta.get("translate", (0.0,) * ndim)
    physical = CompositeAffine(scale, translate, ndim=ndim, **given).affine_matrix
    after = meta.get("affine")
    found = physical if after is None else np.asarray(after, dtype=np.float64) @ physical
    return np.asarray(found, dtype=np.float64)


def positions(layer: LayerData) -> dict[int, Array]:
    """Value of each pixel of level 0, all different, to where napari shows it."""
    data, meta, _ = layer
    finest = np.asarray(data[0] if isinstance(data, list) else data)
    index = np.argwhere(np.ones(finest.shape, dtype=bool))
    world = matrix_of(meta, finest.ndim)
    found = index @ world[:-1, :-1].T + world[:-1, -1]
    return dict(zip(finest[tuple(index.T)].tolist(), found, strict=True))


def assert_same_place(one: LayerData, other: LayerData) -> None:
    expected, found = positions(one), positions(other)
    extent = max(1.0, float(np.abs(list(expected.values())).max()))
    for value, place in expected.items():
        np.testing.assert_allclose(found[value], place, rtol=0, atol=1e-9 * extent)


# As napari places it


def test_what_only_scales_and_moves_needs_no_affine() -> None:
    meta = {"scale": [2, 3], "affine": [[10, 0, 5], [0, 10, 0], [0, 0, 1]]}
    expected = ScaleTranslation(scale=(20.0, 30.0), translation=(5.0, 0.0))
    assert placement(meta, 2, "cells") == (expected, None)


def test_channels_are_not_rotated_with_their_image() -> None:
    turn = Affine(matrix=((0.0, -1.0), (1.0, 0.0)), translation=(5.0, 7.0))
    c, y, x = (Axis(name=name) for name in "cyx")
    file = Multiscale(version="0.6", axes=(c, y, x), levels=())
    image = with_affine(file, (y, x), turn, name="cells", channel="c")
    assert image is not None
    assert image.affine == Affine(
        matrix=((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0)), translation=(0.0, 5.0, 7.0)
    )


@pytest.mark.parametrize("ndim", [2, 3])
@given(data=st.data())
def test_a_layer_lies_where_napari_shows_it(ndim: int, data: st.DataObject) -> None:
    meta = data.draw(places(ndim))
    physical = CompositeAffine(
        ndim=ndim, **{key: meta[key] for key in ("scale", "translate", "rotate", "shear")}
    )
    # What was given, and what a writer gets: matrices and lists.
    said = meta | {"rotate": physical.rotate.tolist(), "shear": list(physical.shear)}
    world = matrix_of(meta, ndim)
    for given_meta in (meta, said):
        finest, after = placement(given_meta, ndim, "a")
        affine = after or Affine(matrix=tuple(map(tuple, np.eye(ndim))), translation=(0.0,) * ndim)
        linear = np.array(affine.matrix) @ np.diag(finest.scale)
        offset = np.array(affine.matrix) @ finest.translation + affine.translation
        np.testing.assert_allclose(linear, world[:-1, :-1], rtol=1e-9, atol=1e-9 * np.abs(world).max())
        np.testing.assert_allclose(offset, world[:-1, -1], rtol=1e-9, atol=1e-9 * np.abs(world).max())


@pytest.mark.parametrize("ndim", [2, 3])
@given(data=st.data())
def test_what_is_saved_opens_in_the_same_place_at_every_level(ndim: int, data: st.DataObject) -> None:
    layer = plain(ndim=ndim, **data.draw(places(ndim)))
    (saved,) = from_layers([layer])[0]
    source = saved.sources[""]
    store = zarr.storage.MemoryStore()
    levels = MultiscaleSource(**{**vars(source), "levels": 2, "factors": dict.fromkeys(source.image.dims, 2)})
    for _ in write_hierarchy(store=store, path="", sources={"": levels}, ngff_version="0.6"):
        pass
    opened = open_ome_ngff(store)
    (again,) = to_layers(opened)
    assert_same_place(layer, again)
    # The library: coordinates of each level, and the affine that all of them share.
    world = matrix_of(layer[1], ndim)
    for factor, array in zip((1, 2), opened.arrays.values(), strict=True):
        corner = np.array([float(array.coords[dim][-1]) for dim in array.dims])
        if opened.view is not None:
            corner = np.array(opened.view.affine.matrix) @ corner + opened.view.affine.translation
        index = (np.array(array.shape) - 1) * factor + (factor - 1) / 2
        expected = world[:-1, :-1] @ index + world[:-1, -1]
        np.testing.assert_allclose(corner, expected, rtol=0, atol=1e-9 * max(1.0, np.abs(world).max() * 10))


def test_the_levels_keep_the_layers_scale_and_the_rest_leads_to_the_world() -> None:
    layer = plain(units="um", **TURNED)
    found = entry(save([layer]))
    (place,) = found["datasets"][0]["coordinateTransformations"]
    assert place["transformations"] == [
        {"type": "scale", "scale": [2.0, 3.0]},
        {"type": "translation", "translation": [5.0, 7.0]},
    ]
    assert [system["name"] for system in found["coordinateSystems"]] == ["physical", "world"]
    assert found["coordinateSystems"][0]["axes"] == found["coordinateSystems"][1]["axes"]
    assert found["coordinateSystems"][1]["axes"][0] == {"name": "y", "type": "space", "unit": "micrometer"}
    (transform,) = found["coordinateTransformations"]
    assert (transform["input"], transform["output"]) == ({"name": "physical"}, {"name": "world"})
    turn = np.array(transform["affine"])
    assert turn[:, :2] @ np.diag([2, 3]) == pytest.approx(matrix_of(layer[1], 2)[:-1, :-1])


# Who judges, and who shows it


def test_judges_have_no_complaint_about_a_turned_image(tmp_path: Path) -> None:
    layers = [plain("a", **TURNED), plain("b", **TURNED), plain("cells", kind="labels", **TURNED)]
    target = tmp_path / "a.ome.zarr"
    save(layers, target=target)
    for path in ("", "labels/cells"):
        attributes = saved_document(target / path)
        for version, judge in judges():
            if version == "0.6":
                judge(attributes, version)
    if find_spec("ome_zarr_models.v06"):  # from 1.8 on, which needs Python 3.12
        image = ome_zarr_models.v06.image.Image.from_zarr(zarr.open_group(target, mode="r"))
        (transform,) = image.ome_attributes.multiscales[0].coordinateTransformations
        assert np.array(transform.affine)[:2, :2].tolist() == [[1, 0], [0, pytest.approx(np.cos(np.pi / 6))]]
    # Readers that know no other system show the image in its own: scale and translate.
    theirs = ngff_zarr.from_ngff_zarr(str(target), validate=True)
    assert theirs.images[0].scale == {"c": 1.0, "y": 2.0, "x": 3.0}


def test_channels_and_labels_lie_where_they_lay() -> None:
    layers = [
        plain("a", 3, rotate=(20, 30, 40)),
        plain("b", 3, rotate=(20, 30, 40)),
        plain("cells", 3, "labels", rotate=(20, 30, 40)),
        plain("elsewhere", 3, "labels", rotate=(20, 30, 41)),
        plain("straight", 3, "labels"),
    ]
    store = save(layers)
    assert entry(store)["coordinateTransformations"][0]["affine"][0] == [1.0, 0.0, 0.0, 0.0, 0.0]
    found = to_layers(open_ome_ngff(store))
    assert [meta["name"] for _, meta, _ in found] == ["a", "b", "cells", "elsewhere", "straight"]
    for layer, again in zip(layers, found, strict=True):
        assert_same_place(layer, again)


def test_the_system_that_an_image_lies_in_by_itself_can_be_asked_for() -> None:
    store = save([plain(**TURNED)])
    assert open_ome_ngff(store).view.system.name == "world"
    assert open_ome_ngff(store, coordinate_system="physical").view is None


# Versions that cannot say it


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize(
    "meta",
    [
        {"rotate": 30},
        {"rotate": [[0.0, -1.0], [1.0, 0.0]]},
        {"shear": [0.5]},
        {"affine": [[1, 0.1, 0], [0, 1, 0], [0, 0, 1]]},
    ],
    ids=["angle", "matrix", "shear", "affine"],
)
@pytest.mark.parametrize("kind", ["image", "labels"])
def test_earlier_versions_are_refused_with_the_layers_name(version: str, meta: Any, kind: str) -> None:
    (bundle,) = from_layers([(pixels(2), {"name": "my cells", **meta}, kind)], name="the file")[0]
    store = zarr.storage.MemoryStore()
    plan = partial(plan_hierarchy, sources=bundle.sources, ngff_version=version)
    write = partial(write_hierarchy, store=store, path="", sources=bundle.sources, ngff_version=version)
    for act in (plan, write):
        with pytest.raises(UnsupportedError) as caught:
            act()
        first, *_ = str(caught.value).splitlines()
        assert first.startswith("'my cells' is rotated")
        assert "0.6" in first
        assert "reset" in caught.value.hint
    assert not store._store_dict


def test_the_writer_says_which_version_to_choose(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match=r"'a' is rotated.*choose OME-Zarr version 0\.6"):
        write_layers(str(tmp_path / "a"), [plain(rotate=30)])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("version", ["0.4", "0.5", "0.6"])
def test_a_mirrored_layer_can_be_said_by_all(version: str) -> None:
    layer = plain(scale=[-2, 3], translate=[5, 7], affine=np.diag([1.0, -1.0, 1.0]))
    reversed_pixels = pytest.warns(OmeNgffWarning, match="stored in reverse along y, x")
    with nullcontext() if version == "0.6" else reversed_pixels:
        store = save([layer], version)
    (again,) = to_layers(open_ome_ngff(store))
    assert_same_place(layer, again)
    assert "affine" not in again[1]
    assert (min(again[1]["scale"]) > 0) == (version != "0.6")
    judge_by_schema(zarr.open_group(store, mode="r").attrs.asdict(), version)


def test_the_preview_says_that_pixels_are_reversed(tmp_path: Path) -> None:
    shown = preview(Form(target=str(tmp_path / "a"), version="0.5"), [plain(scale=[-2, 3])])
    assert "'a': Pixels are stored in reverse along y, each at its position." in shown.notes


# Opened and saved


def saved_document(path: Path) -> dict[str, Any]:
    return json.loads((path / "zarr.json").read_text())["attributes"]  # type: ignore[no-any-return]


def test_what_was_opened_turned_is_saved_with_the_same_systems_and_transforms(tmp_path: Path) -> None:
    image = plain(**TURNED)
    save([image], target=tmp_path / "one.ome.zarr")
    file = tmp_path / "one.ome.zarr" / "zarr.json"
    text = file.read_text().replace('"world"', '"my stage"')
    document = json.loads(text)
    mine = document["attributes"]["ome"]["multiscales"][0]
    mine["coordinateTransformations"][0] |= {"name": "measured", "@by": "me"}
    mine["coordinateSystems"].append({"name": "atlas", "axes": mine["coordinateSystems"][0]["axes"]})
    mine["coordinateTransformations"].append(
        {"type": "identity", "input": {"name": "physical"}, "output": {"name": "atlas"}}
    )
    file.write_text(json.dumps(document))
    layers = read_layers(str(tmp_path / "one.ome.zarr"))
    write_layers(str(tmp_path / "two"), layers)
    assert saved_document(tmp_path / "two.ome.zarr") == document["attributes"]
    assert_same_place(image, layers[0])
    (bundle,) = from_layers(layers)[0]
    with pytest.raises(UnsupportedError, match=r"choose OME-Zarr version 0\.6"):
        plan_hierarchy(sources=bundle.sources, ngff_version="0.5")


def test_an_opened_layer_that_is_turned_keeps_levels_and_what_else_the_file_says(tmp_path: Path) -> None:
    store = save([plain(scale=[2, 3], colormap="red")])
    ((data, meta, kind),) = to_layers(open_ome_ngff(store))
    layer = data, meta | {"affine": np.array([[0.8, -0.6, 1], [0.6, 0.8, 2], [0, 0, 1]])}, kind
    saved = save([layer])
    assert entry(saved)["datasets"] == entry(store)["datasets"]
    (again,) = to_layers(open_ome_ngff(saved))
    assert_same_place(layer, again)
    assert again[1]["affine"] == pytest.approx(layer[1]["affine"])


def test_systems_that_a_turned_layer_has_left_are_named() -> None:
    store = save([plain(**TURNED)])
    group = zarr.open_group(store, mode="r+")
    ome: Any = group.attrs["ome"]
    mine = ome["multiscales"][0]
    mine["coordinateSystems"].append({"name": "atlas", "axes": mine["coordinateSystems"][0]["axes"]})
    ends = {"input": {"name": "physical"}, "output": {"name": "atlas"}}
    mine["coordinateTransformations"].append({"type": "identity", **ends})
    group.attrs["ome"] = ome
    ((data, meta, kind),) = to_layers(open_ome_ngff(store))
    assert from_layers([(data, meta, kind)])[1] == []
    _, messages = from_layers([(data, meta | {"translate": (1.0, 2.0)}, kind)])
    assert messages == ["Layer 'a' was moved or turned: where it lies in 'atlas' is not saved."]


def test_the_place_in_a_scene_is_named_where_it_is_not_saved(corpus: Path) -> None:
    layers = read_layers(str(corpus / "generated/ome-zarr-py-0.21/scene_tiles_0.6.zarr"))
    images = [layer for layer in layers if layer[1]["name"].startswith("tile_1")]
    assert from_layers(images)[1] == [
        "Layer 'tile_1: Channel 0' is saved without its scene: where it lies in 'world' is not."
    ]
    moved = [(data, meta | {"translate": (1.0,) * data[0].ndim}, kind) for data, meta, kind in images]
    assert from_layers(moved)[1] == []  # it is saved where it is shown


def test_systems_that_a_version_does_not_have_are_named() -> None:
    store = save([plain()])
    group = zarr.open_group(store, mode="r+")
    ome: Any = group.attrs["ome"]
    mine = ome["multiscales"][0]
    mine["coordinateSystems"].append({"name": "stage", "axes": mine["coordinateSystems"][0]["axes"]})
    ends = {"input": {"name": mine["coordinateSystems"][0]["name"]}, "output": {"name": "stage"}}
    mine["coordinateTransformations"] = [{"type": "translation", "translation": [5.0, 7.0], **ends}]
    group.attrs["ome"] = ome
    for system in (None, "stage"):
        layers = to_layers(open_ome_ngff(store, coordinate_system=system))
        told = {v: preview(Form(target="/data/new", version=v), layers).notes for v in ("0.4", "0.5", "0.6")}
        note = "'a' is saved in one coordinate system, not in 'stage': only OME-Zarr 0.6 has several."
        assert told == {"0.4": (note,), "0.5": (note,), "0.6": ()}


@given(data=st.data())
def test_a_turned_layer_that_is_moved_again_keeps_what_else_the_file_says(data: st.DataObject) -> None:
    store = save([plain(**TURNED, colormap="red")])
    group = zarr.open_group(store, mode="r+")
    ome: Any = group.attrs["ome"]
    ome["multiscales"][0]["@mine"] = 1
    group.attrs["ome"] = ome
    ((pixels_again, meta, kind),) = to_layers(open_ome_ngff(store))
    layer = pixels_again, meta | data.draw(places(2)), kind
    saved = save([layer])
    assert entry(saved)["@mine"] == 1
    (again,) = to_layers(open_ome_ngff(saved))
    assert_same_place(layer, again)
    assert again[1]["colormap"] == "red"


def test_labels_drawn_on_a_turned_image_are_not_turned_with_it(tmp_path: Path) -> None:
    save([plain(**TURNED)], target=tmp_path / "a.ome.zarr")
    drawn = plain("drawn", kind="labels", translate=(20, 30))
    with pytest.warns(match="drawn is added"):
        write_layers(str(tmp_path / "a.ome.zarr"), [drawn])
    _, found = read_layers(str(tmp_path / "a.ome.zarr"))
    assert_same_place(drawn, found)


# The library


AXES = (Axis(name="y", type="space"), Axis(name="x", type="space"))
PLACE = ScaleTranslation(scale=(2.0, 3.0), translation=(1.0, 0.0))
TURN = Affine(matrix=((0.0, -1.0), (1.0, 0.0)), translation=(5.0, 0.0))


def image(**more: Any) -> Multiscale:
    return Multiscale(version="0.6", axes=AXES, levels=(Level(path="0", transform=PLACE),), **more)


def test_an_affine_that_only_scales_and_moves_becomes_part_of_the_levels() -> None:
    stretch = Affine(matrix=((10.0, 0.0), (0.0, -1.0)), translation=(5.0, 7.0))
    for version in ("0.4", "0.5"):
        (found,) = decode(encode(image(affine=stretch), version), where="")
        assert found.levels[0].transform == ScaleTranslation(scale=(20.0, -3.0), translation=(15.0, 7.0))


def test_an_affine_that_does_nothing_is_no_obstacle() -> None:
    still = Affine(matrix=((1.0, 0.0), (0.0, 1.0)), translation=(0.0, 0.0))
    for version in ("0.4", "0.5"):
        assert encode(image(affine=still), version) == encode(image(), version)


def test_a_name_that_is_taken_is_not_taken_again() -> None:
    (found,) = decode(encode(image(affine=TURN, system="world"), "0.6"), where="")
    assert [system["name"] for system in found.extra["coordinateSystems"]] == ["world", "world 2"]


@pytest.mark.parametrize(
    "broken",
    [
        image(affine=Affine(matrix=((1.0, 0.0),), translation=(0.0,))),
        image(affine=Affine(matrix=((np.nan, 0.0), (0.0, 1.0)), translation=(0.0, 0.0))),
        image(
            affine=TURN,
            system="physical",
            extra={
                "coordinateSystems": [{"name": "atlas", "axes": [{"name": "y", "type": "space"}] * 2}],
                "coordinateTransformations": [
                    {"type": "identity", "input": {"name": "physical"}, "output": {"name": "atlas"}}
                ],
            },
        ),
    ],
)
def test_an_affine_that_cannot_be_said_is_refused(broken: Multiscale) -> None:
    with pytest.raises(MetadataError):
        encode(broken, "0.6")


def test_a_mark_that_leads_nowhere_is_noted_and_the_image_shown_as_it_lies() -> None:
    store = save([plain(**TURNED)])
    group = zarr.open_group(store, mode="r+")
    ome: Any = group.attrs["ome"]
    del ome["multiscales"][0]["coordinateTransformations"]
    group.attrs["ome"] = ome
    with pytest.warns(match="no transform leads to 'world'"):
        assert open_ome_ngff(store).view is None
