"""Every real file of the corpus opens with the right levels, places, names and pixels, or is refused clearly.

What is right is worked out here a second time, from the JSON and with zarr alone: points are sent through the
transforms one after the other, as the specification words it.
"""

from __future__ import annotations

import json
import shutil
import tomllib
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray
import zarr

from napari_ome_ngff import (
    DaskArrayWrapper,
    MetadataError,
    NotOmeNgffError,
    OmeNgffError,
    OmeNgffWarning,
    ZarrArrayWrapper,
    open_ome_ngff,
    read_multiscale_array,
)
from napari_ome_ngff.plugin.reader import get_reader, read_layers
from tests.cases import build
from tests.cases.judge import levels_of, world

quietly = pytest.mark.filterwarnings("ignore::napari_ome_ngff.OmeNgffWarning")
empty_filters = pytest.mark.filterwarnings("ignore:Found an empty list of filters")
"""zarr, of the n5-universe files."""

IMAGES = (
    "generated/ngff-zarr-0.50/wave_0.9.dev1.ome.zarr",
    "generated/ome-zarr-py-0.10.2/plate_0.1.zarr/A/1/0",
    "generated/ome-zarr-py-0.10.2/plate_0.1.zarr/A/1/1",
    "generated/ome-zarr-py-0.10.2/plate_0.1.zarr/A/2/0",
    "generated/ome-zarr-py-0.10.2/plate_0.1.zarr/A/2/1",
    "generated/ome-zarr-py-0.10.2/wave_0.1.zarr",
    "generated/ome-zarr-py-0.10.2/wave_0.2.zarr",
    "generated/ome-zarr-py-0.10.2/wave_0.3.zarr",
    "generated/rfc3-data/astronaut_xcy.ome.zarr",
    "generated/rfc3-data/ramp_6d.ome.zarr",
    "neuroglancer/ome_zarr/all_0.6/axis_dependent/mapAxis.zarr",
    "neuroglancer/ome_zarr/all_0.6/basic/identity.zarr",
    "neuroglancer/ome_zarr/all_0.6/basic/scale.zarr",
    "neuroglancer/ome_zarr/all_0.6/basic/sequenceScaleTranslation.zarr",
    "neuroglancer/ome_zarr/all_0.6/basic/translation.zarr",
    "neuroglancer/ome_zarr/all_0.6/simple/affine.zarr",
    "neuroglancer/ome_zarr/all_0.6/simple/anisotropic_rotation.zarr",
    "neuroglancer/ome_zarr/all_0.6/simple/rotation.zarr",
    "ome-zarr-py/data/v1",
    "ome-zarr-py/data/v2",
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
"""All images, of all versions and drafts."""

ZIPS = (
    "generated/ngff-zarr-0.50/wave_0.5.ozx",
    "generated/ngff-zarr-0.50/wave_0.6.ozx",
    "generated/ozx-tck/error/misleadingsort.ozx",  # its comment promises an order that it does not keep
    "generated/ozx-tck/error/ozxinozx.ozx",  # the zip file in the zip file is not looked into
    "generated/ozx-tck/error/rootnotzarr.ozx",  # one folder, and the image in it
    "generated/ozx-tck/valid/valid.ozx",
    "generated/ozx-tck/warn/compressed.ozx",
    "generated/ozx-tck/warn/missingcomment.ozx",
    "generated/ozx-tck/warn/notozx.zip",
    "generated/ozx-tck/warn/notzip64.ozx",
    "generated/ozx-tck/warn/unsorted.ozx",
    "neuroglancer/ome_zarr/simple_0.5.zip",
)
"""All zip files. What the test kit of .ozx calls an error is one for writers; the pixels are there."""

COLLECTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "generated/ome-zarr-py-0.10.2/plate_0.1.zarr": ("plate", ("A/1/0", "A/1/1", "A/2/0", "A/2/1")),
    "generated/ome-zarr-py-0.10.2/plate_0.4.zarr": ("plate", ("A/1/0", "A/1/1", "A/2/0", "A/2/1")),
    "generated/ome-zarr-py-0.10.2/plate_0.1.zarr/A/1": ("well", ("0", "1")),
    "generated/ome-zarr-py-0.10.2/plate_0.1.zarr/A/2": ("well", ("0", "1")),
    "generated/ome-zarr-py-0.10.2/plate_0.4.zarr/A/1": ("well", ("0", "1")),
    "generated/ome-zarr-py-0.10.2/plate_0.4.zarr/A/2": ("well", ("0", "1")),
    "generated/ome-zarr-py-0.21/plate_0.4.zarr": ("plate", ("A/1/0", "B/2/0")),
    "generated/ome-zarr-py-0.21/plate_0.5.zarr": ("plate", ("A/1/0", "B/2/0")),
    "generated/ome-zarr-py-0.21/plate_0.4.zarr/A/1": ("well", ("0",)),
    "generated/ome-zarr-py-0.21/plate_0.4.zarr/B/2": ("well", ("0",)),
    "generated/ome-zarr-py-0.21/plate_0.5.zarr/A/1": ("well", ("0",)),
    "generated/ome-zarr-py-0.21/plate_0.5.zarr/B/2": ("well", ("0",)),
    "ome-zarr-examples/data/valid/plate-01.zarr": ("plate", ("A/1/0", "A/2/0", "B/1/0", "B/2/0")),
    "ome-zarr-examples/data/valid/plate-01.zarr/A/1": ("well", ("0",)),
    "ome-zarr-examples/data/valid/plate-01.zarr/A/2": ("well", ("0",)),
    "ome-zarr-examples/data/valid/plate-01.zarr/B/1": ("well", ("0",)),
    "ome-zarr-examples/data/valid/plate-01.zarr/B/2": ("well", ("0",)),
    "generated/ome-zarr-py-0.21/scene_tiles_0.6.zarr": ("scene", ("tile_0", "tile_1")),
    "ome-zarr-fiji-java/testdata/bioformats2raw_testing/bf2raw_dataset_v5.ome.zarr": (
        "collection",
        ("0", "1"),
    ),
}
"""All plates, wells, scenes and collections: what they are, and the images in them."""

REFUSED: tuple[tuple[str, type[Exception], str], ...] = (
    ("ome-zarr-examples/data/invalid/image-01.zarr", NotOmeNgffError, "OME-Zarr"),
    ("ome-zarr-examples/data/invalid/image-02.zarr", MetadataError, "multiscales"),
    ("ome-zarr-examples/data/invalid/image-03.zarr", MetadataError, "no level that can be read"),
)

DRAFTS = "neuroglancer/ome_zarr/all_0.6"

TURNED = {f"{DRAFTS}/axis_dependent/mapAxis.zarr": (1, 2, 0), f"{DRAFTS}/simple/rotation.zarr": (2, 0, 1)}
"""Files that turn the axes: those of the layer, as numbers of those in the file."""

NAMED = {
    "FFFFFF": "gray",
    "FF0000": "red",
    "00FF00": "green",
    "0000FF": "blue",
    "00FFFF": "cyan",
    "FF00FF": "magenta",
    "FFFF00": "yellow",
}
"""napari's names of the colours that it has names for."""

DEFAULTS = {1: ["gray"], 2: ["magenta", "green"]}
MANY = ["cyan", "yellow", "magenta", "red", "green", "blue"]
"""The colours that napari itself gives to one channel, to two, and to more, over and over."""


def metadata(group: Path) -> dict[str, Any]:
    """The group's OME-Zarr metadata, wherever the version puts it."""
    if (group / "zarr.json").exists():
        return json.loads((group / "zarr.json").read_text())["attributes"]["ome"]
    return json.loads((group / ".zattrs").read_text())


def axes_of(ome: Mapping[str, Any]) -> list[str]:
    """Names of the axes, as each version says them."""
    multiscale = ome["multiscales"][0]
    if "coordinateSystems" in multiscale:
        transforms = multiscale["datasets"][0]["coordinateTransformations"]
        output = transforms[0]["output"]
        name = output if isinstance(output, str) else output["name"]
        (system,) = [one for one in multiscale["coordinateSystems"] if one["name"] == name]
        return [axis["name"] for axis in system["axes"]]
    axes = multiscale.get("axes", list("tczyx"))
    return [axis if isinstance(axis, str) else axis["name"] for axis in axes]


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
            case "affine":
                point = list(np.array(transform["affine"], float) @ [*point, 1.0])
            case "rotation":
                point = list(np.array(transform["rotation"], float) @ point)
            case "mapAxis":
                point = [point[i] for i in transform["mapAxis"]]
            case "identity":
                pass
            case other:
                raise AssertionError(other)
    return point


def expected_levels(
    ome: dict[str, Any], shapes: Mapping[str, tuple[int, ...]]
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Path of each level and all transforms that place it: in 0.6, those to the intrinsic system.

    Files before 0.4 say nothing of places: there all levels show the same field of view, edge to edge, which
    the outer edges of the first and last voxels say.
    """
    multiscale = ome["multiscales"][0]
    paths = [dataset["path"] for dataset in multiscale["datasets"]]
    if not any("coordinateTransformations" in dataset for dataset in multiscale["datasets"]):
        channel = axes_of(ome).index("c") if "c" in axes_of(ome) else None
        for path in paths:
            sizes = zip(shapes[paths[0]], shapes[path], strict=True)
            factors = [1.0 if i == channel else n / m for i, (n, m) in enumerate(sizes)]
            yield (
                path,
                [
                    {"type": "translation", "translation": [0.5] * len(factors)},
                    {"type": "scale", "scale": factors},
                    {"type": "translation", "translation": [-0.5] * len(factors)},
                ]
                if channel is None
                else [
                    {"type": "translation", "translation": [0.5 * (f != 1) for f in factors]},
                    {"type": "scale", "scale": factors},
                    {"type": "translation", "translation": [-0.5 * (f != 1) for f in factors]},
                ],
            )
        return
    outer = [] if "coordinateSystems" in multiscale else multiscale.get("coordinateTransformations", [])
    for dataset in multiscale["datasets"]:
        yield dataset["path"], [*dataset.get("coordinateTransformations", []), *outer]


def place_of(image: Any, array: xarray.DataArray, index: list[float]) -> list[float]:
    """Where a voxel lies: by the coordinates, and what cannot be said by them."""
    place = [float(array.coords[dim][int(i)]) for dim, i in zip(array.dims, index, strict=True)]
    affine = image.multiscale.affine
    if affine is None:
        return place
    return list(np.array(affine.matrix) @ place + np.array(affine.translation))


@pytest.fixture
def store(corpus: Path, name: str, tmp_path: Path) -> Path:
    """The store `name`. One chunk of most drafts was a symbolic link, which became the text of its path."""
    whole = corpus / DRAFTS / "base_array/0"
    chunk = corpus / name / "array/c/0/0/0"
    if not name.startswith(DRAFTS) or chunk.stat().st_size > 100:
        return corpus / name
    copied = shutil.copytree(corpus / name, tmp_path / Path(name).name, copy_function=shutil.copyfile)
    (copied / "array/c/0/0/0").write_bytes(whole.read_bytes())
    return copied


def judge(image: Any, folder: Path) -> None:
    """Compare an opened image with the files in a folder."""
    ome = metadata(folder)
    shapes = {
        dataset["path"]: zarr.open_array(folder / dataset["path"], mode="r").shape
        for dataset in ome["multiscales"][0]["datasets"]
    }
    expected = list(expected_levels(ome, shapes))
    assert list(image.arrays) == [path for path, _ in expected]
    assert list(image.multiscale.dims) == axes_of(ome)
    for path, transforms in expected:
        array = image.arrays[path]
        stored = zarr.open_array(folder / path, mode="r")
        assert array.shape == stored.shape
        for corner in (
            [0.0] * array.ndim,
            [n - 1.0 for n in array.shape],
            [float(n // 2) for n in array.shape],
        ):
            assert place_of(image, array, corner) == pytest.approx(
                through(transforms, corner), rel=1e-12, abs=1e-9
            )
        window = tuple(slice(n // 3, n // 3 + 40) for n in array.shape)
        np.testing.assert_array_equal(array[window].values, stored[window])


@pytest.mark.parametrize("name", IMAGES)
@quietly
@empty_filters
def test_image_opens_with_the_right_levels_places_and_pixels(store: Path) -> None:
    """As arrays of Zarr; those of dask are what is shown, below."""
    judge(open_ome_ngff(store, array_wrapper=ZarrArrayWrapper()), store)


@pytest.mark.parametrize("name", ZIPS)
@quietly
def test_zip_file_opens_as_the_folder_that_was_packed(corpus: Path, tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(corpus / name) as archive:
        archive.extractall(tmp_path)
    inside = tmp_path / "somedirectory" if (tmp_path / "somedirectory").exists() else tmp_path
    judge(open_ome_ngff(corpus / name, array_wrapper=DaskArrayWrapper()), inside)
    assert get_reader(str(corpus / name)) is not None


def expected_layers(folder: Path) -> list[tuple[str, str, str]]:
    """Kind, name and colour of each layer of an image, from its JSON alone."""
    ome = metadata(folder)
    multiscale = ome["multiscales"][0]
    title = folder.name
    for suffix in (".zarr", ".ome"):
        title = title.removesuffix(suffix)
    name = (multiscale.get("name") or "").strip("/ ") or title
    axes = axes_of(ome)
    shape = zarr.open_array(folder / multiscale["datasets"][0]["path"], mode="r").shape
    types = [axis.get("type") for axis in multiscale.get("axes", []) if isinstance(axis, dict)]
    split = "c" in axes and (not types or types[axes.index("c")] in ("channel", None))
    count = shape[axes.index("c")] if split else 1
    channels = (ome.get("omero") or {}).get("channels") or []
    layers = []
    for i in range(count):
        channel = channels[i] if i < len(channels) else {}
        color = str(channel.get("color") or "").upper()
        default = DEFAULTS.get(count, MANY)[i % 6]
        label = channel.get("label") or (f"{name} channel {i}" if count > 1 else name)
        layers.append(("image", label, NAMED.get(color, f"#{color}") if color else default))
    listed = folder / "labels"
    for label in metadata(listed).get("labels", []) if _has_metadata(listed) else []:
        layers.append(("labels", label, ""))
    return layers


def _has_metadata(folder: Path) -> bool:
    return (folder / ".zattrs").exists() or (folder / "zarr.json").exists()


@pytest.mark.parametrize("name", IMAGES)
@quietly
@empty_filters
def test_image_is_shown_with_its_names_colours_places_and_pixels(store: Path, name: str) -> None:
    folder = store
    layers = read_layers(str(folder))
    found = [(kind, meta["name"], meta["colormap"] if kind == "image" else "") for _, meta, kind in layers]
    assert found == expected_layers(folder)
    ome = metadata(folder)
    paths = [dataset["path"] for dataset in ome["multiscales"][0]["datasets"]]
    stored = [zarr.open_array(folder / path, mode="r") for path in paths]
    ((_, transforms), *_) = expected_levels(ome, {p: a.shape for p, a in zip(paths, stored, strict=True)})
    axes = axes_of(ome)
    images = [layer for layer in layers if layer[2] == "image"]
    for c, (data, meta, _) in enumerate(images):
        levels = levels_of(data, meta)
        shown = [axes.index(dim) for dim in meta["axis_labels"]]  # of the world, and mostly of the file
        kept = list(TURNED.get(name, shown))
        assert [level.shape for level in levels[: len(stored)]] == [
            tuple(array.shape[i] for i in kept) for array in stored
        ]
        low, high = meta["contrast_limits"]
        assert low < high
        corner = [n - 1 for n in levels[0].shape]
        index = [c if axis == "c" and len(images) > 1 else 0 for axis in axes]
        for i, position in zip(kept, corner, strict=True):
            index[i] = position
        target = through(transforms, [float(i) for i in index])
        assert world(meta, corner) == pytest.approx([target[i] for i in shown])
        # the last few voxels of the finest level, cut out and turned by hand
        window = tuple(slice(max(0, i - 3), i + 1) if n in kept else i for n, i in enumerate(index))
        cut = stored[0][window].transpose([sorted(kept).index(i) for i in kept])
        found = levels[0][tuple(slice(max(0, i - 3), i + 1) for i in corner)]
        np.testing.assert_array_equal(np.asarray(found), cut)


@pytest.mark.parametrize("name", COLLECTIONS)
@quietly
def test_several_images_of_one_group_are_all_there(corpus: Path, name: str) -> None:
    kind, members = COLLECTIONS[name]
    opened = open_ome_ngff(corpus / name, array_wrapper=DaskArrayWrapper())
    assert opened.kind == kind
    folders = [corpus / name / member for member in members]
    if kind in ("scene", "collection"):
        assert len(opened.images) == len(members)
        for image, folder in zip(opened.images.values(), folders, strict=True):
            assert Path(image.location) == folder
            judge(image, folder)
    else:
        _judge_mosaic(opened, folders, corpus / name, kind)
    assert get_reader(str(corpus / name)) is not None
    assert len(read_layers(str(corpus / name))) >= 1


def _judge_mosaic(opened: Any, folders: list[Path], root: Path, kind: str) -> None:
    """Every field is somewhere, whole, at its size, apart from the others, and where its well belongs."""
    (image,) = opened.images.values()
    assert sorted(Path(tile.location) for tile in image.tiles) == sorted(folders)
    finest = next(iter(image.arrays.values()))
    taken = np.zeros(finest.shape[-2:], bool)
    for tile in image.tiles:
        field = Path(tile.location)
        path = metadata(field)["multiscales"][0]["datasets"][0]["path"]
        stored = zarr.open_array(field / path, mode="r")
        assert (tile.height, tile.width) == stored.shape[-2:]
        region = np.s_[tile.y : tile.y + tile.height, tile.x : tile.x + tile.width]
        assert not taken[region].any()
        taken[region] = True
        np.testing.assert_array_equal(finest[(..., *region)].values, stored[...])
        if kind == "plate":
            row, column = field.relative_to(root).parts[:2]
            plate = metadata(root)["plate"]
            assert tile.row == [one["name"] for one in plate["rows"]].index(row)
            assert tile.column == [one["name"] for one in plate["columns"]].index(column)
    for one in image.tiles:
        for other in image.tiles:
            assert one.row >= other.row or one.y < other.y
            assert one.column >= other.column or one.x < other.x


def test_the_tiles_of_the_scene_lie_side_by_side(corpus: Path) -> None:
    layers = read_layers(str(corpus / "generated/ome-zarr-py-0.21/scene_tiles_0.6.zarr"))
    folder = corpus / "generated/ome-zarr-py-0.21/scene_tiles_0.6.zarr"
    places = []
    for i, (_, meta, _) in enumerate(layers):
        ome = metadata(folder / f"tile_{i}")
        transforms = ome["multiscales"][0]["datasets"][0]["coordinateTransformations"]
        start = through(transforms, [0.0, 0.0])
        assert world(meta, (0, 0)) == pytest.approx([start[0], start[1] + 24.0 * i])
        places.append(world(meta, (0, 0)))
    assert len(places) == 2


@pytest.mark.parametrize(("name", "error", "message"), REFUSED)
def test_what_cannot_be_shown_is_refused_in_one_sentence(
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


def without_arrays(corpus: Path) -> list[Path]:
    """Groups of the suites that have nothing but metadata."""
    found = (
        *corpus.glob("ngff-spec/*/tests/zarr/**/zarr.json"),
        *corpus.glob("ome-zarr-transf*/**/zarr.json"),
    )
    return sorted(document.parent for document in found)


def test_groups_without_arrays_are_refused_in_one_sentence(corpus: Path) -> None:
    groups = without_arrays(corpus)
    assert len(groups) == 170 + 48
    wrong = []
    for group in groups:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OmeNgffWarning)
            try:
                open_ome_ngff(group)
            except OmeNgffError as error:
                first = str(error).splitlines()[0]
                if len(first) > 120 or not first.endswith(".") or str(group) not in str(error):
                    wrong.append(f"{group.relative_to(corpus)}: {error}")
            else:
                wrong.append(f"{group.relative_to(corpus)} opened")
    assert not wrong, "\n".join(wrong)


BROKEN_BUT_CALLED_VALID = {"mismatch_axes_units"}
"""Two numbers of scale for three axes."""


@quietly
def test_valid_groups_of_the_suites_open_once_their_arrays_are_there(corpus: Path, tmp_path: Path) -> None:
    opened = 0
    for document in sorted(corpus.glob("ngff-spec/0.6rc0/tests/zarr/*/valid/image/*/zarr.json")):
        name = document.parent.name.removesuffix(".ome.zarr")
        if name in BROKEN_BUT_CALLED_VALID:
            continue
        folder = tmp_path / f"{document.parts[-5]} {name}"
        folder.mkdir()
        shutil.copy(document, folder)
        entry = metadata(folder)["multiscales"][0]
        size = len(entry["coordinateSystems"][0]["axes"])
        for i, dataset in enumerate(entry["datasets"]):
            values = build.ramp([2] * (size - 2) + [16 >> i, 16 >> i])
            build.array(folder / dataset["path"], values, zarr=3)
        assert read_layers(str(folder)), name
        opened += 1
    assert opened >= 8


CONFORMANCE = Path("ome-zarr-transformations-conformance")


def conformance_cases() -> list[str]:
    kinds = (
        "affine_identity",
        "byDimension",
        "identity",
        "mapAxis",
        "rotation",
        "rotation_identity",
        "scale",
    )
    both = (*kinds, "sequence", "simple_path", "translation")
    names = [*both, *(f"{kind}_inverse" for kind in both), "bijection_forward", "bijection_inverse"]
    return [*names, "unknown_source", "unknown_target"]


@pytest.mark.parametrize("name", conformance_cases())
@pytest.mark.parametrize("draft", [False, True], ids=["0.6", "draft"])
@quietly
def test_conformance_of_transforms(corpus: Path, tmp_path: Path, name: str, draft: bool) -> None:
    """The points of the test kit, as voxels of an image that lies in the system that they are said in."""
    case = corpus / CONFORMANCE / ("cases" if draft else "cases-0.6") / f"{name}.ome.zarr"
    wanted = tomllib.loads((corpus / CONFORMANCE / f"cases-0.6/{name}.ome.zarr/conformance.toml").read_text())
    document = json.loads((case / "zarr.json").read_text())
    scene = document["attributes"]["ome"]["scene"]
    source, target = wanted["source"], wanted["target"]
    build.image(tmp_path / "points", version="0.6", shape=(8, 8))
    ends: dict[str, Any] = {
        "input": {"name": "physical", "path": "points"},
        "output": {"name": source["name"]},
    }
    scene["coordinateTransformations"].append({"type": "identity", **ends})
    build.write_json(tmp_path / "zarr.json", document)
    if wanted["should_error"]:
        with pytest.raises(OmeNgffError):
            open_ome_ngff(tmp_path, coordinate_system=target["name"])
        return
    opened = open_ome_ngff(tmp_path, coordinate_system=target["name"])
    (image,) = opened.images.values()
    assert image.view is not None
    assert image.view.problems == ()
    matrix, translation = np.array(image.view.affine.matrix), np.array(image.view.affine.translation)
    tolerance = {"rel": wanted["relative_tolerance"], "abs": wanted["absolute_tolerance"]}
    for point, expected in zip(source["coordinates"], target["coordinates"], strict=True):
        # three digits of a sine: the errors of the numbers given are no smaller than this
        assert list(matrix @ point + translation) == pytest.approx(expected, rel=tolerance["rel"], abs=0.02)


def test_every_conformance_case_is_tested(corpus: Path) -> None:
    there = {path.name.removesuffix(".ome.zarr") for path in (corpus / CONFORMANCE / "cases").glob("*.zarr")}
    assert there == set(conformance_cases())


def test_no_store_of_the_corpus_is_forgotten(corpus: Path) -> None:
    """A new store in the corpus must be added to one of the lists above."""
    known = {*IMAGES, *COLLECTIONS, *(name for name, _, _ in REFUSED)}
    known |= {"ome-zarr-examples/data/invalid/image-04.zarr"}
    names = ("multiscales", "plate", "well", "scene", "bioformats2raw.layout")
    for document in (*corpus.rglob(".zattrs"), *corpus.rglob("zarr.json")):
        name = document.parent.relative_to(corpus).as_posix()
        if name.startswith(("ngff-spec", "ome-zarr-transformations-conformance")) or "/labels/" in name:
            continue
        content = json.loads(document.read_text())
        content = content.get("attributes", {}).get("ome", {}) if document.name == "zarr.json" else content
        assert name in known or not any(key in content for key in names), name
    zips = {
        path.relative_to(corpus).as_posix() for kind in ("ozx", "zip") for path in corpus.rglob(f"*.{kind}")
    }
    assert zips == set(ZIPS)


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
    with pytest.raises(NotOmeNgffError, match="No OME-Zarr image above"):
        read_multiscale_array(array)
