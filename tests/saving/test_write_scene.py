"""Scenes that are written: every image is read again at its place, and others have no complaint."""

from __future__ import annotations

from typing import Any

import numpy as np
import ome_zarr_models
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_ome_ngff import (
    Affine,
    Collection,
    OptionError,
    StorageOptions,
    TargetError,
    open_ome_ngff,
    save_ome_ngff,
    write_scene,
)
from napari_ome_ngff.errors import OmeNgffError
from napari_ome_ngff.metadata.affine import compose_affine, identity_affine
from tests.late_imports import when_used

ngff_zarr = when_used("ngff_zarr")

TILE = np.arange(48, dtype="u2").reshape(6, 8)
TURNED = Affine(matrix=((0.0, -1.0), (1.0, 0.0)), translation=(5.0, 0.0))

numbers = st.floats(0.01, 1e3) | st.floats(-1e3, -0.01) | st.just(0.0)
affines = st.builds(
    lambda rows, shift: Affine(matrix=rows, translation=shift),
    st.tuples(*[st.tuples(numbers, numbers)] * 2),
    st.tuples(numbers, numbers),
).filter(lambda affine: abs(np.linalg.det(affine.matrix)) > 1e-4)


def written(**options: Any) -> zarr.storage.MemoryStore:
    store = zarr.storage.MemoryStore()
    write_scene(store=store, **options).run()
    return store


def opened(store: Any) -> Collection:
    scene = open_ome_ngff(store)
    assert isinstance(scene, Collection)
    assert scene.kind == "scene"
    return scene


@settings(deadline=None, max_examples=12)
@given(st.dictionaries(st.sampled_from(["left", "0", "a.b"]), st.none() | affines, min_size=1, max_size=2))
def test_every_image_is_read_again_at_its_place(placements: dict[str, Affine | None]) -> None:
    images = {name: TILE + i for i, name in enumerate(placements)}
    given_places = {name: affine for name, affine in placements.items() if affine is not None}
    store = written(images=images, placements=given_places, scale=0.5, units="um", name="both")
    scene = opened(store)
    assert (scene.name, list(scene.images)) == ("both", list(images))
    for name, pixels in images.items():
        image = scene.images[name]
        np.testing.assert_array_equal(image.arrays["0"], pixels)
        assert image.arrays["0"].y.attrs["scale"] == 0.5
        assert image.view is not None
        assert image.view.affine == (placements[name] or identity_affine(2))
        assert [axis.unit for axis in image.view.system.axes] == ["micrometer"] * 2


def test_judges_have_no_complaint_of_scenes() -> None:
    places = {"moved": {"x": 8}, "turned": TURNED}
    store = written(images={"first": TILE, "moved": TILE, "turned": TILE}, placements=places)
    group = zarr.open_group(store, mode="r")
    ngff_zarr.validate(group.attrs.asdict(), version="0.6", model="scene")
    for name, member in group.groups():
        ngff_zarr.validate(member.attrs.asdict(), version="0.6", model="image"), name
    if tuple(map(int, ome_zarr_models.__version__.split(".")[:2])) >= (1, 8):
        from ome_zarr_models.v06.scene import Scene

        Scene.from_zarr(group)


def test_label_images_come_with_their_image() -> None:
    labels = (TILE > 20).astype("u1")
    store = written(images={"a": {"": TILE, "labels/cells": labels}}, placements={"a": {"x": 8}})
    label = opened(store).images["a"].labels["cells"]
    np.testing.assert_array_equal(label.arrays["0"], labels)
    assert label.view is not None
    assert label.view.affine.translation == (0, 8)


def test_a_scene_is_written_again_as_it_was_read() -> None:
    scene = opened(written(images={"a": TILE, "b": TILE}, placements={"b": TURNED}))
    places = {name: image.view.affine for name, image in scene.images.items() if image.view is not None}
    again = opened(written(images=scene.images, placements=places))
    for name, image in scene.images.items():
        assert again.images[name].view == image.view


def test_an_affine_of_an_image_is_a_part_of_its_place() -> None:
    from napari_ome_ngff import MultiscaleSource
    from napari_ome_ngff.metadata.nouns import Axis, Multiscale

    image = save_ome_ngff(zarr.storage.MemoryStore(), TILE).arrays["0"]
    axes = (Axis(name="y", type="space"), Axis(name="x", type="space"))
    base = Multiscale(version="0.6", axes=axes, levels=(), affine=TURNED)
    moved = Affine(matrix=((1.0, 0.0), (0.0, 1.0)), translation=(0.0, 9.0))
    scene = opened(
        written(images={"a": MultiscaleSource(image=image, multiscale=base)}, placements={"a": moved})
    )
    assert scene.images["a"].view is not None
    assert scene.images["a"].view.affine == compose_affine(TURNED, moved)


def test_a_scene_replaces_nothing() -> None:
    store = written(images={"a": TILE})
    with pytest.raises(TargetError):
        write_scene(store=store, images={"a": TILE})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"images": {}}, "same axes"),
        ({"images": [TILE]}, "The images must be"),
        ({"images": {"a/b": TILE}}, "can be called 'a/b'"),
        ({"images": {"zarr.json": TILE}}, "name of a document"),
        ({"placements": {"b": {"x": 1}}}, "no image 'b'"),
        ({"placements": {"a": {"w": 1}}}, "placement of 'a'"),
        ({"placements": {"a": 3}}, "placement of 'a'"),
        ({"placements": {"a": {"x": "far"}}}, "placement of 'a'"),
        ({"placements": {"a": Affine(matrix=((1.0,),), translation=(0.0,))}}, "a row and a column"),
        (
            {"placements": {"a": Affine(matrix=((0.0, 1.0), (0.0, 1.0)), translation=(0.0, 0.0))}},
            "invert|singular",
        ),
        ({"options": StorageOptions(version="0.5")}, r"part of OME-Zarr 0\.6"),
        ({"system": ""}, "name"),
    ],
)
def test_what_cannot_be_is_refused_by_name(wrong: dict[str, Any], message: str) -> None:
    store = zarr.storage.MemoryStore()
    with pytest.raises(OmeNgffError, match=message):
        write_scene(store=store, **({"images": {"a": TILE}} | wrong)).run()
    assert not store._store_dict


def test_images_with_other_axes_are_refused() -> None:
    with pytest.raises(OptionError, match="same axes"):
        write_scene(store=zarr.storage.MemoryStore(), images={"a": TILE, "b": np.zeros((1, 1, 1, 6, 8))})
