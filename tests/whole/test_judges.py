"""Others judge what we write: the official schemas, two model libraries, and three readers."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import version as installed
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import ome_zarr_models
import pytest
import xarray
import yaozarrs
import zarr

from napari_ome_ngff import (
    Channel,
    Image,
    LabelImage,
    MultiscaleSource,
    StorageOptions,
    edit_labels,
    edit_metadata,
    label_tables,
    open_ome_ngff,
    write_hierarchy,
    write_labels,
    write_multiscale_group,
    write_region,
)
from tests.campaigns.reader_scripts import READERS, outcome
from tests.campaigns.readers import WHAT, WORDS, write_files
from tests.house.source import ROOT
from tests.late_imports import when_used
from tests.strategies import VERSIONS

ngff_zarr = when_used("ngff_zarr")

# What the installed release of each judge knows (ome-zarr-models learnt 0.6 in 1.8, yaozarrs has not).
MODELS_VERSIONS = (
    VERSIONS if tuple(map(int, installed("ome-zarr-models").split(".")[:2])) >= (1, 8) else VERSIONS[:2]
)
YAOZARRS_VERSIONS = ("0.4", "0.5")
READS_06 = find_spec("ome_zarr") is not None and tuple(map(int, installed("ome-zarr").split(".")[:2])) >= (
    0,
    21,
)

DIMS = (
    ("y", "x"),
    ("z", "y", "x"),
    ("c", "y", "x"),
    ("t", "y", "x"),
    ("c", "z", "y", "x"),
    ("t", "c", "z", "y", "x"),
)
SIZES = {"t": 2, "c": 2, "z": 9, "y": 67, "x": 50}
STEPS = {"t": 2.5, "z": 2.0, "y": 0.5, "x": 0.5}


def sample(dims: tuple[str, ...], dtype: str = "uint16") -> xarray.DataArray:
    shape = tuple(SIZES[dim] for dim in dims)
    data = (np.arange(np.prod(shape)) % 1009).reshape(shape).astype(dtype)
    coords: dict[str, Any] = {}
    for dim in dims:
        if dim == "c":
            coords["channel_label"] = ("c", ["DAPI", "GFP"])
            continue
        unit = "second" if dim == "t" else "micrometer"
        coords[dim] = xarray.Variable((dim,), 10.0 + STEPS[dim] * np.arange(SIZES[dim]), {"units": unit})
    return xarray.DataArray(data, dims=dims, coords=coords, name="sample")


@pytest.fixture(scope="module", params=DIMS, ids="".join)
def dims(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return request.param


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, dims: tuple[str, ...]) -> Callable[[str], Path]:
    """An image with a label image, written at a version: once per version."""
    done: dict[str, Path] = {}

    def write(version: str) -> Path:
        if version not in done:
            path = tmp_path_factory.mktemp("judged") / f"{''.join(dims)}_{version}.ome.zarr"
            image = sample(dims)
            cells = (sample(dims, "uint16") // 100).drop_vars("channel_label", errors="ignore")
            source = MultiscaleSource(
                image=cells.isel(c=0, drop=True) if "c" in dims else cells,
                method="mode",
                levels=3,
                label_image=LabelImage(
                    colors={1: (255, 0, 0, 255)}, properties=({"label-value": 1, "class": "round"},)
                ),
            )
            for _ in write_multiscale_group(
                store=path,
                image=image,
                ngff_version=version,
                levels=3,
                factors={d: 2 for d in dims if d in "zyx"},
                chunks=tuple({"z": 4, "y": 32, "x": 32}.get(d, 1) for d in dims),
                labels={"cells": source},
            ):
                pass
            done[version] = path
        return done[version]

    return write


def attributes(group: Path) -> dict[str, Any]:
    if (group / "zarr.json").exists():
        return json.loads((group / "zarr.json").read_text())["attributes"]
    return json.loads((group / ".zattrs").read_text())


@pytest.fixture(autouse=True)
def _judges_warn() -> Iterator[None]:
    """Deprecations inside the judges are theirs; complaints about our files are errors, not warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("version", VERSIONS)
def test_official_schemas_have_no_complaint(written: Callable[[str], Path], version: str) -> None:
    path = written(version)
    ngff_zarr.validate(attributes(path), version=version, model="image", strict=True)
    ngff_zarr.validate(attributes(path / "labels/cells"), version=version, model="image")
    ngff_zarr.validate(attributes(path / "labels/cells"), version=version, model="label")


@pytest.mark.parametrize("version", MODELS_VERSIONS)
def test_ome_zarr_models_has_no_complaint(written: Callable[[str], Path], version: str) -> None:
    group = zarr.open_group(written(version), mode="r")
    models = {"0.4": "v04", "0.5": "v05", "0.6": "v06"}
    image = getattr(ome_zarr_models, models[version]).image.Image.from_zarr(group)
    assert image.labels is not None


@pytest.mark.parametrize("version", YAOZARRS_VERSIONS)
def test_yaozarrs_has_no_complaint(written: Callable[[str], Path], version: str) -> None:
    yaozarrs.validate_zarr_store(str(written(version)))
    yaozarrs.validate_zarr_store(str(written(version) / "labels/cells"))


@pytest.mark.parametrize("version", VERSIONS)
def test_ngff_zarr_reads_the_same_pixels_and_places(written: Callable[[str], Path], version: str) -> None:
    ours = open_ome_ngff(written(version))
    theirs = ngff_zarr.from_ngff_zarr(str(written(version)), validate=True)
    assert len(theirs.images) == len(ours.arrays) == 3
    for image, array in zip(theirs.images, ours.arrays.values(), strict=True):
        assert tuple(image.dims) == array.dims
        np.testing.assert_array_equal(np.asarray(image.data), array.values)
        for dim in array.dims:
            coordinate = array.coords[dim]
            assert image.scale[dim] == pytest.approx(coordinate.attrs["scale"])
            assert image.translation[dim] == pytest.approx(float(coordinate[0]))


if find_spec("ome_zarr") is not None:
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    @pytest.mark.parametrize("version", VERSIONS if READS_06 else VERSIONS[:2])
    def test_ome_zarr_py_reads_the_same_pixels_and_places(
        written: Callable[[str], Path], version: str
    ) -> None:
        ours = open_ome_ngff(written(version))
        nodes = list(Reader(parse_url(str(written(version))))())
        image = next(node for node in nodes if node.data)
        assert len(image.data) == 3
        for theirs, array in zip(image.data, ours.arrays.values(), strict=True):
            np.testing.assert_array_equal(np.asarray(theirs), array.values)
        for transforms, array in zip(
            image.metadata["coordinateTransformations"], ours.arrays.values(), strict=True
        ):
            steps = transforms[0].get("transformations", transforms)  # 0.6 wraps the two in a sequence
            scale = next(t["scale"] for t in steps if t["type"] == "scale")
            start = next(t["translation"] for t in steps if t["type"] == "translation")
            assert scale == pytest.approx([array.coords[d].attrs["scale"] for d in array.dims])
            assert start == pytest.approx([float(array.coords[d][0]) for d in array.dims])


if find_spec("napari_ome_zarr") is not None:
    from napari_ome_zarr._reader import napari_get_reader

    def shown_by_napari_ome_zarr(path: Path) -> list[Any]:
        """The layers that napari gets of it; before 0.11 one tuple says all channels, which napari splits."""
        reader = napari_get_reader(str(path))
        assert reader is not None
        layers: list[Any] = []
        for data, meta, kind in reader(str(path)):
            axis = meta.get("channel_axis")
            if axis is None:
                layers.append((data, meta, kind))
                continue
            for index in range(data[0].shape[axis]):
                of_all = {key: meta[key] for key in ("scale", "axis_labels")}
                name = meta.get("name", "")
                name = name if isinstance(name, str) else name[index]
                at = (slice(None),) * axis + (index,)
                layers.append(([level[at] for level in data], {**of_all, "name": name}, kind))
        return layers

    @pytest.mark.parametrize("version", VERSIONS if READS_06 else VERSIONS[:2])
    def test_napari_ome_zarr_shows_the_same_pixels_and_places(
        written: Callable[[str], Path], version: str
    ) -> None:
        ours = open_ome_ngff(written(version))
        finest = next(iter(ours.arrays.values()))
        layers = shown_by_napari_ome_zarr(written(version))
        kinds = [layer[2] for layer in layers]
        assert kinds.count("labels") == 1
        shown = [dim for dim in finest.dims if dim != "c"]
        channels = [(data, meta) for data, meta, kind in layers if kind == "image"]
        assert len(channels) == finest.sizes.get("c", 1)
        for index, (data, meta) in enumerate(channels):
            assert len(data) == 3
            channel = finest.isel(c=index) if "c" in finest.dims else finest
            np.testing.assert_array_equal(np.asarray(data[0]), channel.values)
            steps = [channel.coords[dim].attrs["scale"] for dim in shown]
            assert list(meta["scale"]) == pytest.approx(steps)
            assert "c" not in finest.dims or ("DAPI", "GFP")[index] in meta["name"]


@pytest.mark.parametrize("version", VERSIONS)
def test_label_images_that_came_later_are_as_good(version: str, tmp_path: Path) -> None:
    path = tmp_path / "a.ome.zarr"
    for _ in write_multiscale_group(
        store=path, image=sample(("z", "y", "x")), ngff_version=version, levels=3
    ):
        pass
    cells = (sample(("z", "y", "x")) // 100).astype("uint16")
    for _ in write_labels(store=path, labels={"cells": MultiscaleSource(image=cells, method="mode")}):
        pass
    check(path, version)


def check(path: Path, version: str) -> None:
    """Ask all judges of an image with labels."""
    ngff_zarr.validate(attributes(path), version=version, model="image", strict=True)
    ngff_zarr.validate(attributes(path / "labels/cells"), version=version, model="label")
    if version in YAOZARRS_VERSIONS:
        yaozarrs.validate_zarr_store(str(path))
    if version in MODELS_VERSIONS:
        models = getattr(ome_zarr_models, {"0.4": "v04", "0.5": "v05", "0.6": "v06"}[version])
        image = models.image.Image.from_zarr(zarr.open_group(path, mode="r"))
        assert image.labels is not None


@pytest.mark.parametrize("version", VERSIONS)
def test_what_was_painted_corrected_and_cut_out_is_as_good(version: str, tmp_path: Path) -> None:
    path, part = tmp_path / "a.ome.zarr", tmp_path / "part.ome.zarr"
    image = sample(("z", "y", "x"))
    cells = MultiscaleSource(image=image // 100, method="mode", levels=2, label_image=LabelImage())
    write_multiscale_group(
        store=path, image=image, ngff_version=version, levels=2, labels={"cells": cells}
    ).run()
    edit = edit_labels(path, "cells")
    edit[2, 10:20, 10:20] = 7
    edit.save().run()
    edit_metadata(path, scale={"z": 3.0}, units={"z": "nanometer"}, name="corrected")
    check(path, version)
    opened = open_ome_ngff(path)
    assert isinstance(opened, Image)
    region = {"z": slice(1, 4), "y": slice(4, 30)}
    options = StorageOptions(version=version)
    write_region(store=part, image=opened, region=region, from_level=1, options=options).run()
    check(part, version)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_large_table_beside_the_levels_is_no_reason_to_complain(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label_tables, "LARGEST_IN_JSON", 20)
    path, cells = tmp_path / "a.ome.zarr", (sample(("y", "x")) // 100).astype("uint16")
    about = LabelImage(
        table={"label-value": [1, 2], "area": [1.5, 2], "kind": ["a", None]},
        colors={1: (1, 2, 3, 255), 2: (4, 5, 6, 255)},
    )
    write_multiscale_group(
        store=path,
        image=sample(("y", "x")),
        ngff_version=version,
        labels={"cells": MultiscaleSource(image=cells, label_image=about)},
    ).run()
    assert sorted(attributes(path / "labels/cells" / label_tables.GROUP / "properties")) == [
        "columns",
        "rows",
        "version",
    ]
    ngff_zarr.validate(attributes(path / "labels/cells"), version=version, model="image")
    ngff_zarr.validate(attributes(path / "labels/cells"), version=version, model="label")
    ngff_zarr.from_ngff_zarr(str(path), validate=True)
    if version in YAOZARRS_VERSIONS:
        yaozarrs.validate_zarr_store(str(path))
        yaozarrs.validate_zarr_store(str(path / "labels/cells"))
    if version in MODELS_VERSIONS:
        models = getattr(ome_zarr_models, {"0.4": "v04", "0.5": "v05", "0.6": "v06"}[version])
        image = models.image.Image.from_zarr(zarr.open_group(path, mode="r"))
        assert image.labels is not None
        models.image_label.ImageLabel.from_zarr(zarr.open_group(path / "labels/cells", mode="r"))


# Several images


@pytest.fixture(scope="module", params=VERSIONS)
def collection(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> tuple[Path, str]:
    path = tmp_path_factory.mktemp("collection") / "all.ome.zarr"
    stack, flat = sample(("c", "z", "y", "x")), sample(("y", "x"), "uint8")
    cells = (sample(("z", "y", "x")) // 100).astype("uint16")
    sources = {
        "0": MultiscaleSource(image=stack, name='stack <1> & "2"'),
        "0/labels/cells": MultiscaleSource(image=cells, method="mode"),
        "1": MultiscaleSource(
            image=flat, name="flat", channels=(Channel(extra={"napari_colormap": "fire"}),)
        ),
    }
    for _ in write_hierarchy(store=path, sources=sources, ngff_version=request.param):
        pass
    return path, request.param


def test_judges_of_collections_have_no_complaint(collection: tuple[Path, str]) -> None:
    path, version = collection
    for inside in ("0", "1"):
        ngff_zarr.validate(attributes(path / inside), version=version, model="image", strict=True)
    ngff_zarr.validate(attributes(path), version=version, model="bf2raw")
    if version != "0.6":  # it has no schema for this group
        ngff_zarr.validate(attributes(path / "OME"), version=version, model="ome")
    if version in YAOZARRS_VERSIONS:
        yaozarrs.validate_zarr_store(str(path))
    if version in MODELS_VERSIONS:
        models = getattr(ome_zarr_models, {"0.4": "v04", "0.5": "v05", "0.6": "v06"}[version])
        found = models.bioformats2raw.BioFormats2Raw.from_zarr(zarr.open_group(path, mode="r"))
        assert found.image_paths == ["0", "1"]


if find_spec("napari_ome_zarr") is not None:

    def test_napari_ome_zarr_shows_all_images_of_a_collection(collection: tuple[Path, str]) -> None:
        path, version = collection
        if version == "0.6" and not READS_06:
            return
        kinds = [kind for _, _, kind in shown_by_napari_ome_zarr(path)]
        assert (kinds.count("image"), kinds.count("labels")) == (3, 1)


# The table of the documentation


def installed_readers() -> list[str]:
    modules = {"ome-zarr-py": "ome_zarr", "zarr-python": "zarr"}
    return [name for name in READERS if find_spec(modules.get(name, name.replace("-", "_")))]


@pytest.mark.parametrize("name", installed_readers())
def test_the_page_says_who_reads_what_we_write(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A short form of `tests.campaigns.readers`, with the readers that are installed."""
    folder = tmp_path_factory.getbasetemp() / "read by others"
    if not folder.exists():
        write_files(folder, releases=("0.5",), kinds=("tczyx", "plate"))
    page = (ROOT / "docs/reference/who-reads-it.md").read_text(encoding="utf-8")
    table = [line.split(" | ") for line in page.splitlines() if line.startswith("| ")]
    column = next(i for i, cell in enumerate(table[0]) if cell.strip("| ").startswith(f"{name} "))
    for kind in ("tczyx", "plate"):
        row = next(row for row in table if row[0] == f"| {WHAT[kind]}" and row[1] == "0.5")
        found = outcome(READERS[name][1], folder / f"{kind} 0.5.ome.zarr")
        assert WORDS.get(found, "no") == row[column].strip("| ").split()[0], (kind, found)
