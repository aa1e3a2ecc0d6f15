"""SpatialData stores: everything that is an image is there, each element in the system that it is in."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import zarr

from napari_ome_ngff import Collection, OmeNgffWarning, OptionError, UnsupportedError, open_ome_ngff
from tests.cases.build import group
from tests.cases.spellings import spatialdata
from tests.storage.test_round_trips_of_requests import served

VERSIONS = ("0.4", "0.4-dev-spatialdata", "0.5-dev-spatialdata")


def opened(place: object, system: str | None = None) -> Collection:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OmeNgffWarning)
        result = open_ome_ngff(place, coordinate_system=system)  # type: ignore[arg-type]
    assert isinstance(result, Collection)
    return result


@pytest.mark.parametrize("version", VERSIONS)
def test_all_images_and_labels_are_there_in_every_system(version: str, tmp_path: Path) -> None:
    root = spatialdata(tmp_path, version=version)
    store = opened(root)
    assert store.kind == "spatialdata"
    assert list(store.images) == ["stain", "scan", "cells"]
    assert set(store.systems) == {"global", "aligned"}
    assert list(store.attributes) == ["spatialdata_attrs"]
    for system in store.systems:
        some = opened(root, system)
        assert set(some.images) == {name for name, image in store.images.items() if system in image.systems}
        for image in some.images.values():
            assert image.system == system
    with pytest.raises(OptionError, match="no coordinate system 'nowhere'") as caught:
        opened(root, "nowhere")
    assert "'aligned'" in str(caught.value)


def test_what_is_not_read_is_named_once(tmp_path: Path) -> None:
    with pytest.warns(OmeNgffWarning) as caught:
        open_ome_ngff(spatialdata(tmp_path))
    (message,) = (str(w.message) for w in caught if "transcripts" in str(w.message))
    assert "points (transcripts), tables (table)" in message


@pytest.mark.parametrize("version", VERSIONS[1:])
def test_where_nothing_can_be_listed_consolidated_metadata_say_what_there_is(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = spatialdata(tmp_path, version=version)
    with served(tmp_path, monkeypatch) as web:
        with pytest.raises(UnsupportedError, match="no image"):
            opened(f"{web.url}/sd.zarr")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Zarr: other libraries may not know these
            zarr.consolidate_metadata(root)
        web.forget()
        assert list(opened(f"{web.url}/sd.zarr").images) == ["stain", "scan", "cells"]
        assert web.rounds <= 6


def test_stores_of_the_first_versions_have_no_attributes(tmp_path: Path) -> None:
    root = spatialdata(tmp_path, version="0.4")
    (root / ".zattrs").unlink()
    assert list(opened(root).images) == ["stain", "scan", "cells"]


def test_a_damaged_element_leaves_the_others(tmp_path: Path) -> None:
    root = spatialdata(tmp_path)
    document = root / "images/scan/zarr.json"
    document.write_text(json.dumps(json.loads(document.read_text())["attributes"])[:-9])
    with pytest.warns(OmeNgffWarning) as caught:
        assert list(open_ome_ngff(root).images) == ["stain", "cells"]
    assert any("images are left out" in str(w.message) and "(scan)" in str(w.message) for w in caught)


def test_a_store_without_images_says_what_it_holds(tmp_path: Path) -> None:
    root = group(tmp_path / "sd.zarr", {"spatialdata_attrs": {"version": "0.2"}}, zarr=3)
    group(root / "points", zarr=3)
    group(root / "points/transcripts", zarr=3)
    with pytest.raises(UnsupportedError, match=r"no image.*points \(transcripts\)"):
        open_ome_ngff(root)


# Stores that spatialdata itself has written.

DATA = Path(__file__).parents[2] / "docs" / "examples" / "data"
IN_SYSTEMS = {
    "global": dict.fromkeys(
        ("blobs_image", "blobs_multiscale_image", "blobs_labels", "blobs_multiscale_labels"), np.eye(3)
    ),
    "scaled": {
        "blobs_image": np.diag([2, 3, 1]),
        "blobs_labels": np.array([[2, 0, 10], [0, 3, 20], [0, 0, 1]]),
    },
    "sheared": {"blobs_multiscale_image": np.array([[1, 0.2, 5], [0.1, 1, 7], [0, 0, 1]])},
}
"""What ``spatialdata.transformations.get_transformation(...).to_affine_matrix`` says of them, for y and x."""


@pytest.mark.parametrize("form", ["0.1", "0.2"])
def test_elements_lie_where_spatialdata_says(form: str) -> None:
    place = DATA / f"spatialdata-{form}.zarr.zip"
    with pytest.warns(OmeNgffWarning) as caught:
        open_ome_ngff(place)
    (message,) = (str(w.message) for w in caught)
    assert "not points (blobs_points), shapes (blobs_circles, " in message
    assert set(opened(place).systems) == set(IN_SYSTEMS)
    for system, expected in IN_SYSTEMS.items():
        images = opened(place, system).images
        assert set(images) == set(expected)
        for name, image in images.items():
            affine = np.eye(len(image.multiscale.axes) + 1)
            if image.view is not None:
                affine[:-1, :-1], affine[:-1, -1] = image.view.affine.matrix, image.view.affine.translation
            np.testing.assert_allclose(affine[-3:, -3:], expected[name], atol=1e-12)
    labels = opened(place).images["blobs_multiscale_labels"]
    assert [array.shape for array in labels.arrays.values()] == [(48, 48), (24, 24), (12, 12)]
