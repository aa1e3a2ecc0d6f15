"""Every real file of the corpus opens with the right levels, places and pixels, or is refused clearly.

What is right is worked out here a second time, from the JSON and with zarr alone: points are sent through the
transforms one after the other, as the specification words it.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from napari_ome_ngff import (
    DaskArrayWrapper,
    MetadataError,
    NotOmeNgffError,
    OmeNgffWarning,
    UnsupportedError,
    ZarrArrayWrapper,
    open_ome_ngff,
    read_multiscale_array,
)

IMAGES = (
    "generated/ome-zarr-py-0.10.2/plate_0.4.zarr/A/1/1",
    "generated/ome-zarr-py-0.10.2/plate_0.4.zarr/A/2/0",
    "generated/ome-zarr-py-0.21/plate_0.4.zarr/B/2/0",
    "generated/ome-zarr-py-0.21/plate_0.5.zarr/A/1/0",
    "generated/ome-zarr-py-0.21/scene_tiles_0.6.zarr/tile_1",
    "ome-zarr-examples/data/valid/plate-01.zarr/A/2/0",
    "ome-zarr-examples/data/valid/plate-01.zarr/B/1/0",
    "ome-zarr-examples/data/valid/plate-01.zarr/B/2/0",
    "generated/ngff-zarr-0.50/wave_0.4.ome.zarr",
    "generated/ngff-zarr-0.50/wave_0.5.ome.zarr",
    "generated/ngff-zarr-0.50/wave_0.6.ome.zarr",
    "generated/ngff-zarr-0.50/wave_sharded_0.5.ome.zarr",
    "generated/ome-zarr-py-0.10.2/plate_0.4.zarr/A/1/0",
    "generated/ome-zarr-py-0.10.2/plate_0.4.zarr/A/2/1",
    "generated/ome-zarr-py-0.10.2/wave_0.4.zarr",
    "generated/ome-zarr-py-0.21/classes_0.4.zarr",
    "generated/ome-zarr-py-0.21/classes_0.5.zarr",
    "generated/ome-zarr-py-0.21/classes_0.6.zarr",
    "generated/ome-zarr-py-0.21/classes_labels_0.6.zarr",
    "generated/ome-zarr-py-0.21/coins_0.4.zarr",
    "generated/ome-zarr-py-0.21/coins_0.5.zarr",
    "generated/ome-zarr-py-0.21/plate_0.4.zarr/A/1/0",
    "generated/ome-zarr-py-0.21/plate_0.5.zarr/B/2/0",
    "generated/ome-zarr-py-0.21/scene_tiles_0.6.zarr/tile_0",
    "generated/xarray-ome-ngff-3.1.1/wave_0.4.zarr",
    "generated/yaozarrs-0.3.4/wave_0.5.ome.zarr",
    "n5-universe/metadata.zarr/cOrder",
    "n5-universe/metadata.zarr/fOrder",
    "n5-universe/metadata.zarr/coordTforms/ss",
    "n5-universe/metadata.zarr/coordTforms/st",
    "n5-universe/metadata.zarr/coordTforms/ts",
    "n5-universe/metadata.zarr/coordTforms/tt",
    "neuroglancer/ome_zarr/simple_0.4",
    "neuroglancer/ome_zarr/simple_0.5",
    "ome-zarr-examples/data/valid/image-01.zarr",
    "ome-zarr-examples/data/valid/image-02.zarr",
    "ome-zarr-examples/data/valid/image-03.zarr",
    "ome-zarr-examples/data/valid/image-04.zarr",
    "ome-zarr-examples/data/valid/plate-01.zarr/A/1/0",
    "ome-zarr-examples/data/warning/image-01.zarr",
    "ome-zarr-fiji-java/testdata/2d_testing/2d_dataset_v4.ome.zarr",
    "ome-zarr-fiji-java/testdata/2d_testing/2d_dataset_v5.ome.zarr",
    "ome-zarr-fiji-java/testdata/3d_testing/xyc/3d_dataset_v4.ome.zarr",
    "ome-zarr-fiji-java/testdata/3d_testing/xyc/3d_dataset_v5.ome.zarr",
    "ome-zarr-fiji-java/testdata/3d_testing/xyt/3d_dataset_v4.ome.zarr",
    "ome-zarr-fiji-java/testdata/3d_testing/xyt/3d_dataset_v5.ome.zarr",
    "ome-zarr-fiji-java/testdata/3d_testing/xyz/3d_dataset_v4.ome.zarr",
    "ome-zarr-fiji-java/testdata/3d_testing/xyz/3d_dataset_v5.ome.zarr",
    "ome-zarr-fiji-java/testdata/4d_testing/xyct/4d_dataset_v4.ome.zarr",
    "ome-zarr-fiji-java/testdata/4d_testing/xyct/4d_dataset_v5.ome.zarr",
    "ome-zarr-fiji-java/testdata/4d_testing/xyzc/4d_dataset_v4.ome.zarr",
    "ome-zarr-fiji-java/testdata/4d_testing/xyzc/4d_dataset_v5.ome.zarr",
    "ome-zarr-fiji-java/testdata/4d_testing/xyzt/4d_dataset_v4.ome.zarr",
    "ome-zarr-fiji-java/testdata/4d_testing/xyzt/4d_dataset_v5.ome.zarr",
    "ome-zarr-fiji-java/testdata/5d_testing/5d_dataset_v4.ome.zarr",
    "ome-zarr-fiji-java/testdata/5d_testing/5d_dataset_v5.ome.zarr",
    "ome-zarr-fiji-java/testdata/bioformats2raw_testing/bf2raw_dataset_v5.ome.zarr/0",
    "ome-zarr-fiji-java/testdata/bioformats2raw_testing/bf2raw_dataset_v5.ome.zarr/1",
    "ome-zarr-fiji-java/testdata/pyramid_testing/pyramid_v4.zarr",
    "ome-zarr-fiji-java/testdata/pyramid_testing/pyramid_v5.zarr",
    "ome-zarr-fiji-java/testdata/single_resolution_testing/single_resolution_dataset_v5.ome.zarr",
)
"""All images at 0.4, 0.5 and 0.6."""

REFUSED: tuple[tuple[str, type[Exception], str], ...] = (
    ("generated/ngff-zarr-0.50/wave_0.9.dev1.ome.zarr", UnsupportedError, r"0\.9\.dev1"),
    ("generated/ome-zarr-py-0.10.2/wave_0.1.zarr", UnsupportedError, r"0\.1"),
    ("generated/ome-zarr-py-0.10.2/wave_0.2.zarr", UnsupportedError, r"0\.2"),
    ("generated/ome-zarr-py-0.10.2/wave_0.3.zarr", UnsupportedError, r"0\.3"),
    ("ome-zarr-py/data/v1", UnsupportedError, r"0\.1"),
    ("ome-zarr-py/data/v2", UnsupportedError, r"0\.2"),
    ("generated/ome-zarr-py-0.10.2/plate_0.1.zarr", UnsupportedError, "plate"),
    ("generated/ome-zarr-py-0.10.2/plate_0.4.zarr", UnsupportedError, "plate"),
    ("generated/ome-zarr-py-0.10.2/plate_0.4.zarr/A/1", UnsupportedError, "well"),
    ("generated/ome-zarr-py-0.21/plate_0.4.zarr", UnsupportedError, "plate"),
    ("generated/ome-zarr-py-0.21/plate_0.5.zarr", UnsupportedError, "plate"),
    ("ome-zarr-examples/data/valid/plate-01.zarr", UnsupportedError, "plate"),
    ("generated/ome-zarr-py-0.21/scene_tiles_0.6.zarr", UnsupportedError, "scene"),
    (
        "ome-zarr-fiji-java/testdata/bioformats2raw_testing/bf2raw_dataset_v5.ome.zarr",
        UnsupportedError,
        "collection",
    ),
    ("generated/rfc3-data/astronaut_xcy.ome.zarr", UnsupportedError, r"0\.9"),
    ("generated/rfc3-data/ramp_6d.ome.zarr", UnsupportedError, r"0\.9"),
    ("neuroglancer/ome_zarr/all_0.6/axis_dependent/mapAxis.zarr", UnsupportedError, r"0\.6\.dev1"),
    ("neuroglancer/ome_zarr/all_0.6/basic/identity.zarr", UnsupportedError, r"0\.6\.dev1"),
    ("neuroglancer/ome_zarr/all_0.6/basic/scale.zarr", UnsupportedError, r"0\.6\.dev1"),
    (
        "neuroglancer/ome_zarr/all_0.6/basic/sequenceScaleTranslation.zarr",
        UnsupportedError,
        r"0\.6\.dev1",
    ),
    ("neuroglancer/ome_zarr/all_0.6/basic/translation.zarr", UnsupportedError, r"0\.6\.dev1"),
    ("neuroglancer/ome_zarr/all_0.6/simple/affine.zarr", UnsupportedError, r"0\.6\.dev1"),
    ("neuroglancer/ome_zarr/all_0.6/simple/anisotropic_rotation.zarr", UnsupportedError, r"0\.6\.dev1"),
    ("neuroglancer/ome_zarr/all_0.6/simple/rotation.zarr", UnsupportedError, r"0\.6\.dev1"),
    ("ome-zarr-examples/data/invalid/image-01.zarr", NotOmeNgffError, "OME-NGFF"),
    ("ome-zarr-examples/data/invalid/image-02.zarr", MetadataError, "multiscales"),
    ("ome-zarr-examples/data/invalid/image-03.zarr", MetadataError, "no level that can be read"),
)


def metadata(group: Path) -> dict[str, Any]:
    """The group's OME-NGFF metadata, wherever the version puts it."""
    if (group / "zarr.json").exists():
        return json.loads((group / "zarr.json").read_text())["attributes"]["ome"]
    return json.loads((group / ".zattrs").read_text())


def through(transforms: list[dict[str, Any]], point: list[float]) -> list[float]:
    """Send a point through transforms, one after the other."""
    for transform in transforms:
        match transform["type"]:
            case "scale":
                point = [p * s for p, s in zip(point, transform["scale"], strict=True)]
            case "translation":
                point = [p + t for p, t in zip(point, transform["translation"], strict=True)]
            case "sequence":
                point = through(transform["transformations"], point)
            case "identity":
                pass
            case other:
                raise AssertionError(other)
    return point


def expected_levels(ome: dict[str, Any]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Path of each level and all transforms that place it: in 0.6, those to the intrinsic system."""
    multiscale = ome["multiscales"][0]
    outer = [] if ome.get("version") == "0.6" else multiscale.get("coordinateTransformations", [])
    for dataset in multiscale["datasets"]:
        yield dataset["path"], [*dataset.get("coordinateTransformations", []), *outer]


@pytest.mark.parametrize("wrapper", [ZarrArrayWrapper(), DaskArrayWrapper()], ids=["zarr", "dask"])
@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.filterwarnings("ignore::napari_ome_ngff.OmeNgffWarning")
@pytest.mark.filterwarnings("ignore:Found an empty list of filters")  # zarr, of the n5-universe files
def test_image_opens_with_the_right_levels_places_and_pixels(
    corpus: Path, name: str, wrapper: ZarrArrayWrapper | DaskArrayWrapper
) -> None:
    ome = metadata(corpus / name)
    image = open_ome_ngff(corpus / name, array_wrapper=wrapper)
    expected = list(expected_levels(ome))
    assert list(image.arrays) == [path for path, _ in expected]
    for path, transforms in expected:
        array = image.arrays[path]
        stored = zarr.open_array(corpus / name / path, mode="r")
        assert array.shape == stored.shape
        for corner in (
            [0.0] * array.ndim,
            [n - 1.0 for n in array.shape],
            [float(n // 2) for n in array.shape],
        ):
            place = through(transforms, corner)
            found = [float(array.coords[dim][int(i)]) for dim, i in zip(array.dims, corner, strict=True)]
            assert found == pytest.approx(place, rel=1e-12, abs=1e-9)
        window = tuple(slice(n // 3, n // 3 + 40) for n in array.shape)
        np.testing.assert_array_equal(array[window].values, stored[window])


@pytest.mark.parametrize(("name", "error", "message"), REFUSED)
def test_what_cannot_be_shown_yet_is_refused_in_one_sentence(
    corpus: Path, name: str, error: type[Exception], message: str
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OmeNgffWarning)
        with pytest.raises(error, match=message) as caught:
            open_ome_ngff(corpus / name)
    first_line = str(caught.value).splitlines()[0]
    assert len(first_line) <= 120
    assert str(corpus / name) in str(caught.value)


def test_a_level_with_the_wrong_number_of_dimensions_is_left_out(corpus: Path) -> None:
    with pytest.warns(OmeNgffWarning, match="Level '1' has 2 dimensions"):
        image = open_ome_ngff(corpus / "ome-zarr-examples/data/invalid/image-04.zarr")
    assert list(image.arrays) == ["0"]


def test_no_image_of_the_corpus_is_forgotten(corpus: Path) -> None:
    """A new store in the corpus must be added to one of the lists above."""
    known = {*IMAGES, *(name for name, _, _ in REFUSED), "ome-zarr-examples/data/invalid/image-04.zarr"}
    for document in (*corpus.rglob(".zattrs"), *corpus.rglob("zarr.json")):
        name = document.parent.relative_to(corpus).as_posix()
        if name.startswith(("ngff-spec", "ome-zarr-transformations-conformance")):
            continue
        text = document.read_text()
        if '"multiscales"' not in text or "/labels/" in name:
            continue
        inside = name.startswith("generated/ome-zarr-py-0.10.2/plate_0.1.zarr/")  # its fields are 0.1, too
        assert name in known or inside, name


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("generated/ome-zarr-py-0.21/coins_0.4.zarr", ["cells"]),
        ("generated/ome-zarr-py-0.21/coins_0.5.zarr", ["cells"]),
        ("generated/ome-zarr-py-0.21/classes_labels_0.6.zarr", ["cells"]),
        ("generated/ome-zarr-py-0.10.2/wave_0.4.zarr", ["cells"]),
        ("ome-zarr-examples/data/valid/image-01.zarr", []),
    ],
)
@pytest.mark.filterwarnings("ignore::napari_ome_ngff.OmeNgffWarning")
def test_label_images_come_with_their_image(corpus: Path, name: str, labels: list[str]) -> None:
    image = open_ome_ngff(corpus / name)
    assert list(image.labels) == labels
    for label, opened in image.labels.items():
        path = next(iter(opened.arrays))
        stored = zarr.open_array(corpus / name / "labels" / label / path, mode="r")
        np.testing.assert_array_equal(opened.arrays[path].values, stored[...])
        assert opened.multiscale.label_image is not None


@pytest.mark.parametrize("name", ["neuroglancer/ome_zarr/simple_0.4", "neuroglancer/ome_zarr/simple_0.5"])
def test_a_level_opened_by_its_own_path_is_placed_as_in_its_image(corpus: Path, name: str) -> None:
    # nested dataset paths: the group between the array and the image carries no metadata of its own
    image = open_ome_ngff(corpus / name)
    for path, level in image.arrays.items():
        alone = read_multiscale_array(zarr.open_array(corpus / name / path, mode="r"))
        assert alone.equals(level)


def test_a_plain_array_has_no_image_above_it(tmp_path: Path) -> None:
    array = zarr.create_array(tmp_path / "plain.zarr", shape=(4, 4), dtype="uint8")
    with pytest.raises(NotOmeNgffError, match="No OME-NGFF image above"):
        read_multiscale_array(array)
