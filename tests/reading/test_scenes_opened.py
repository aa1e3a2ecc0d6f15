"""Opening scenes: every image that is there, placed in one coordinate system, and nothing hidden."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from xarray import DataArray

from napari_ome_ngff import create_multiscale_group
from napari_ome_ngff.errors import MetadataError, OmeNgffWarning, OptionError
from napari_ome_ngff.metadata.affine import apply_affine
from napari_ome_ngff.metadata.nouns import Multiscale
from napari_ome_ngff.metadata.versions import encode_labels
from napari_ome_ngff.reading.opened import Collection
from napari_ome_ngff.reading.scene import open_scene
from napari_ome_ngff.storage.documents.hierarchy import Hierarchy, open_hierarchy
from tests.reading.test_plates import read

WORLD = {
    "name": "world",
    "axes": [{"name": "y", "type": "space", "unit": "micrometer"}, {"name": "x", "type": "space"}],
}


def to_world(path: str, transform: dict[str, Any] | None = None) -> dict[str, Any]:
    shift = {"type": "translation", "translation": [0, 10]}
    return {**(transform or shift), "input": {"name": "physical", "path": path}, "output": {"name": "world"}}


def write_scene(folder: Path, *links: Any, systems: Any = (WORLD,), **more: Any) -> zarr.Group:
    scene = {"coordinateSystems": list(systems), "coordinateTransformations": list(links), **more}
    return zarr.create_group(folder, attributes={"ome": {"version": "0.6", "scene": scene}, "lab": "ours"})


def write_image(folder: Path, path: str, *, value: int = 1, name: str | None = None) -> zarr.Group:
    pixels = DataArray(np.full((4, 6), value, "uint8"), dims=("y", "x"), name=name or path)
    group = create_multiscale_group(
        store=zarr.storage.LocalStore(folder), path=path, arrays={"s0": pixels}, ngff_version="0.6"
    )
    group["s0"][...] = value
    return group


def opened(folder: Path, system: str | None = None) -> Collection:
    return read(open_scene(open_hierarchy(folder), coordinate_system=system))


def origins(found: Collection) -> dict[str, tuple[float, ...] | None]:
    """Where the origin of each image lies, or None for one that has no view."""
    return {
        name: apply_affine(image.view.affine, (0, 0)) if image.view else None
        for name, image in found.images.items()
    }


def test_the_scene_of_ome_zarr_py(corpus: Path) -> None:
    found = opened(corpus / "generated/ome-zarr-py-0.21/scene_tiles_0.6.zarr")
    assert found.kind == "scene"
    assert origins(found) == {"tile_0": (0, 0), "tile_1": (0, 24)}
    assert [list(image.arrays) for image in found.images.values()] == [["s0", "s1"]] * 2
    assert {image.view.system.name for image in found.images.values() if image.view} == {"world"}
    tile = opened(corpus / "generated/ome-zarr-py-0.21/scene_tiles_0.6.zarr", "tile_1/physical")
    assert origins(tile) == {"tile_0": (0, -24), "tile_1": (0, 0)}


def test_images_keep_their_pixels_and_the_group_what_is_not_ours(tmp_path: Path) -> None:
    write_scene(tmp_path / "a", to_world("one"), to_world("two"), name="both")
    for value, path in ((1, "one"), (2, "two")):
        write_image(tmp_path / "a", path, value=value)
    found = opened(tmp_path / "a")
    assert found.name == "both"
    assert found.attributes == {"lab": "ours"}
    assert [int(image.arrays["s0"].values.max()) for image in found.images.values()] == [1, 2]
    assert found.images["one"].location.endswith("a/one")


def test_images_are_called_by_their_names_where_these_are_different(tmp_path: Path) -> None:
    write_scene(tmp_path / "a", *(to_world(path) for path in ("one", "two", "three")))
    for path, name in (("one", "cells"), ("two", "tile"), ("three", "tile")):
        write_image(tmp_path / "a", path, name=name)
    assert set(opened(tmp_path / "a").images) == {"cells", "two", "three"}


def test_numbers_are_read_from_arrays(tmp_path: Path) -> None:
    kept = {"type": "affine", "path": "coordinateTransformations/turn"}
    group = write_scene(tmp_path / "a", to_world("one", kept))
    turn = np.array([[0.0, -1, 5], [1, 0, 7]])
    group.create_array("coordinateTransformations/turn", data=turn)
    write_image(tmp_path / "a", "one")
    assert origins(opened(tmp_path / "a")) == {"one": (5, 7)}


def test_numbers_of_an_image_of_the_scene_are_its_own(tmp_path: Path) -> None:
    link = to_world("one")
    link["input"]["name"] = "stage"
    write_scene(tmp_path / "a", link)
    image = write_image(tmp_path / "a", "one")
    image.create_array("numbers", data=np.array([[1.0, 0, 5], [0, 1, 7]]))
    attributes = image.attrs.asdict()
    (entry,) = attributes["ome"]["multiscales"]
    entry["coordinateSystems"].append({"name": "stage", "axes": WORLD["axes"]})
    ends = {"input": {"name": "physical"}, "output": {"name": "stage"}}
    entry["coordinateTransformations"] = [{"type": "affine", "path": "numbers", **ends}]
    image.update_attributes(attributes)
    assert origins(opened(tmp_path / "a")) == {"one": (5, 17)}


def test_label_images_follow_their_image(tmp_path: Path) -> None:
    write_scene(tmp_path / "a", to_world("one"))
    write_image(tmp_path / "a", "one")
    zarr.create_group(tmp_path / "a/one/labels", attributes=encode_labels(["cells"], "0.6"))
    write_image(tmp_path / "a", "one/labels/cells")
    (image,) = opened(tmp_path / "a").images.values()
    assert image.view is not None
    assert image.labels["cells"].view == image.view


def test_an_image_that_is_not_linked_lies_where_it_is_and_is_named(tmp_path: Path) -> None:
    flat = {"type": "warp"}
    write_scene(tmp_path / "a", to_world("one"), to_world("two", flat))
    for path in ("one", "two"):
        write_image(tmp_path / "a", path)
    with pytest.warns(OmeNgffWarning) as caught:
        found = opened(tmp_path / "a")
    assert origins(found) == {"one": (0, 10), "two": None}
    assert len(caught) == 1
    assert "no transform of type 'warp'" in str(caught[0].message)
    assert "Image 'two' cannot be placed in 'world'" in str(caught[0].message)


def test_a_field_that_is_not_applied_is_named(tmp_path: Path) -> None:
    write_scene(tmp_path / "a", to_world("one", {"type": "displacements", "path": "field"}))
    write_image(tmp_path / "a", "one")
    with pytest.warns(OmeNgffWarning, match="displacement field is not applied.*image 'one'"):
        assert origins(opened(tmp_path / "a")) == {"one": (0, 0)}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (shutil.rmtree, "named in the scene but not there"),
        (lambda path: (path / "zarr.json").write_text("{"), "'two' is left out"),
        (lambda path: shutil.rmtree(path / "s0"), "'two' is left out"),
        (lambda path: zarr.create_group(path, overwrite=True), "'two' is left out"),
    ],
)
def test_an_image_that_cannot_be_opened_is_left_out_and_named(
    tmp_path: Path, damage: Any, message: str
) -> None:
    write_scene(tmp_path / "a", to_world("one"), to_world("two"))
    for path in ("one", "two"):
        write_image(tmp_path / "a", path)
    damage(tmp_path / "a/two")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = opened(tmp_path / "a")
    assert origins(found) == {"one": (0, 10)}
    assert any(message in str(warning.message) for warning in caught)
    assert all(issubclass(warning.category, OmeNgffWarning) for warning in caught)


def test_a_scene_without_any_image_is_refused(tmp_path: Path) -> None:
    write_scene(tmp_path / "a", to_world("one"))
    with pytest.warns(OmeNgffWarning), pytest.raises(MetadataError, match="None of the images") as caught:
        opened(tmp_path / "a")
    assert "'one'" in caught.value.expected


def test_a_system_that_is_not_there_is_refused_with_the_choices(tmp_path: Path) -> None:
    write_scene(tmp_path / "a", to_world("one"))
    write_image(tmp_path / "a", "one")
    with pytest.raises(OptionError) as caught:
        opened(tmp_path / "a", "moon")
    assert caught.value.expected == "'world', 'one/physical'"


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What is fetched, one list per round trip: documents that are known already are no round trip."""
    known: set[str] = set()
    found: list[list[str]] = []
    original = Hierarchy.fetch

    def fetch(self: Hierarchy, paths: Any, **options: Any) -> None:
        paths = list(paths)
        if new := {f"{self.path}/{path}".strip("/") for path in paths} - known:
            found.append(sorted(new))
            known.update(new)
        original(self, paths, **options)

    monkeypatch.setattr(Hierarchy, "fetch", fetch)
    return found


def test_the_number_of_round_trips_does_not_grow_with_the_number_of_images(
    tmp_path: Path, rounds: list[list[str]]
) -> None:
    counts = []
    for name, paths in (("few", "ab"), ("many", "cdefgh")):
        write_scene(tmp_path / name, *(to_world(path) for path in paths))
        for path in paths:
            write_image(tmp_path / name, path)
            zarr.create_group(tmp_path / name / path / "labels", attributes=encode_labels(["cells"], "0.6"))
            write_image(tmp_path / name, f"{path}/labels/cells")
        rounds.clear()
        hierarchy = open_hierarchy(tmp_path / name)
        open_scene(hierarchy)
        counts.append(len(rounds))
    assert counts[0] == counts[1] == 3


def test_a_scene_of_older_images_is_placed_too(tmp_path: Path) -> None:
    write_scene(tmp_path / "a", to_world("one"))
    pixels = DataArray(np.zeros((4, 6), "uint8"), dims=("y", "x"))
    store = zarr.storage.LocalStore(tmp_path / "a")
    create_multiscale_group(store=store, path="one", arrays={"s0": pixels}, ngff_version="0.5")
    (image,) = opened(tmp_path / "a").images.values()
    assert isinstance(image.multiscale, Multiscale)
    assert image.multiscale.version == "0.5"
    assert image.view is not None
    assert image.view.affine.translation == (0, 10)
