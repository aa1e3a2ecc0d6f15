"""Plates and wells as mosaics: every field in its place at every level, whatever is missing."""

from __future__ import annotations

import json
import shutil
import time
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import LocalStore, MemoryStore, WrapperStore

from napari_ome_ngff.errors import MetadataError, NotOmeNgffError, OmeNgffError, OmeNgffWarning
from napari_ome_ngff.metadata.transforms import level_transform
from napari_ome_ngff.reading.open import read_multiscale_group
from napari_ome_ngff.reading.opened import Collection, Image, with_levels
from napari_ome_ngff.reading.plates.plate import open_plate, open_row, open_well
from napari_ome_ngff.storage.documents import hierarchy
from napari_ome_ngff.storage.documents.hierarchy import Hierarchy, open_hierarchy
from napari_ome_ngff.storage.pixels.array_wrap import BaseArrayWrapper, DaskArrayWrapper, ZarrArrayWrapper
from tests.plate_tools import large_plate, multiscale, write_array, write_image, write_json, write_plate

CORPUS_PLATES = (
    "generated/ome-zarr-py-0.10.2/plate_0.1.zarr",
    "generated/ome-zarr-py-0.10.2/plate_0.4.zarr",
    "generated/ome-zarr-py-0.21/plate_0.4.zarr",
    "generated/ome-zarr-py-0.21/plate_0.5.zarr",
    "ome-zarr-examples/data/valid/plate-01.zarr",
)
SIZE = {"t": 2, "c": 3, "z": 4, "y": 24, "x": 20}


def pixels(seed: int, axes: str = "cyx", **sizes: int) -> np.ndarray[Any, Any]:
    shape = [{**SIZE, **sizes}[axis] for axis in axes]
    return np.random.default_rng(seed).integers(1, 200, shape).astype("uint8")


def opened(
    place: Path | Hierarchy, *, wrapper: BaseArrayWrapper | None = None, told: str = "", **own: Any
) -> Collection:
    """Open a plate; `told` is what it must warn of."""
    hierarchy = place if isinstance(place, Hierarchy) else open_hierarchy(place)
    if not told:
        return read(open_plate(hierarchy, **own), wrapper)
    with pytest.warns(OmeNgffWarning, match=told):
        return read(open_plate(hierarchy, **own), wrapper)


def read(collection: Collection, wrapper: BaseArrayWrapper | None = None) -> Collection:
    """The collection with the levels of its images."""
    array_wrapper = wrapper or DaskArrayWrapper()
    images = with_levels(collection, partial(read_multiscale_group, array_wrapper=array_wrapper))
    assert isinstance(images, Collection)
    return images


def only(collection: Collection) -> Image:
    (image,) = collection.images.values()
    return image


def levels(image: Image) -> list[np.ndarray[Any, Any]]:
    return [np.asarray(array.data) for array in image.arrays.values()]


def corners(image: Image) -> dict[str, tuple[int, int]]:
    return {f"{tile.well}/{tile.field}": (tile.y, tile.x) for tile in image.tiles}


def paste(
    shape: Sequence[int], parts: Sequence[tuple[np.ndarray[Any, Any], tuple[int, int]]]
) -> np.ndarray[Any, Any]:
    """Put fields together as numpy does, y and x last."""
    whole = np.zeros(shape, parts[0][0].dtype)
    for part, (y, x) in parts:
        leading = tuple(slice(0, n) for n in part.shape[:-2])
        whole[(*leading, slice(y, y + part.shape[-2]), slice(x, x + part.shape[-1]))] = part
    return whole


# ---------------------------------------------------------------------------------------- pixels and places


@pytest.mark.filterwarnings("ignore:The OME-Zarr metadata.*plate-01:napari_ome_ngff.errors.OmeNgffWarning")
@pytest.mark.parametrize("name", CORPUS_PLATES)
def test_every_field_of_real_plates_is_in_its_place_at_every_level(corpus: Path, name: str) -> None:
    collection = opened(corpus / name)
    image = only(collection)
    assert collection.plate is not None
    assert {tile.well for tile in image.tiles} == {well.path for well in collection.plate.wells}
    finest = next(iter(image.arrays.values()))
    for path, array in image.arrays.items():
        values, ratio = np.asarray(array.data), finest.shape[-1] // array.shape[-1]
        assert [n * ratio for n in array.shape[-2:]] == list(finest.shape[-2:])
        parts = [
            (zarr.open_array(f"{tile.location}/{path}", mode="r")[...], (tile.y // ratio, tile.x // ratio))
            for tile in image.tiles
        ]
        np.testing.assert_array_equal(values, paste(values.shape, parts))


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("axes", ["yx", "cyx", "zyx", "tczyx"])
def test_fields_lie_side_by_side_wells_by_row_and_column(tmp_path: Path, version: str, axes: str) -> None:
    fields = {"B/3": ["0", "1", "2"], "B/5": ["0"], "C/4": ["0", "1"]}
    plate = write_plate(tmp_path / "p.zarr", fields, version=version)
    made = {}
    for seed, (well, name) in enumerate((well, name) for well, names in fields.items() for name in names):
        made[f"{well}/{name}"] = pixels(seed, axes)
        write_image(plate / well / name, made[f"{well}/{name}"], axes, version=version)
    image = only(opened(plate))
    # Two by two cells of 24x20 make a well; the next follows after a gap of 2, 4 % of its width.
    wanted = {
        "B/3/0": (0, 0),
        "B/3/1": (0, 20),
        "B/3/2": (24, 0),
        "B/5/0": (0, 84),
        "C/4/0": (50, 42),
        "C/4/1": (50, 62),
    }
    assert corners(image) == wanted
    whole = paste(
        [*[SIZE[axis] for axis in axes[:-2]], 98, 124], [(made[path], wanted[path]) for path in wanted]
    )
    fine, coarse = levels(image)
    np.testing.assert_array_equal(fine, whole)
    np.testing.assert_array_equal(coarse, whole[..., ::2, ::2])
    assert {(tile.row, tile.column) for tile in image.tiles} == {(0, 0), (0, 2), (1, 1)}
    assert all((tile.height, tile.width) == (24, 20) for tile in image.tiles)
    tile = image.tiles[-1]
    assert (tile.well, tile.field, tile.location) == ("C/4", "1", str(plate / "C/4/1"))


def test_y_and_x_may_be_anywhere_among_the_axes(tmp_path: Path) -> None:
    plate = write_plate(tmp_path / "p.zarr", {"A/1": ["0"], "A/2": ["0"]})
    made = [pixels(seed, "xcy") for seed in (0, 1)]
    for well, values in zip(("A/1", "A/2"), made, strict=True):
        write_image(plate / well / "0", values, "xcy", levels=1)
    image = only(opened(plate, told="axes must be ordered"))
    assert corners(image) == {"A/1/0": (0, 0), "A/2/0": (0, 21)}
    gap = np.zeros((1, 3, 24), "uint8")
    np.testing.assert_array_equal(levels(image)[0], np.concatenate([made[0], gap, made[1]]))


def test_fields_of_different_and_odd_sizes_lie_in_cells_that_hold_the_largest(tmp_path: Path) -> None:
    plate = write_plate(tmp_path / "p.zarr", {"A/1": ["0"], "A/2": ["0"], "B/1": ["0"]})
    made = {
        "A/1": pixels(0, "cyx", y=17, x=19),
        "A/2": pixels(1, "cyx", y=24, x=5, c=1),
        "B/1": pixels(2, "cyx", y=3, x=33, c=4),
    }
    for well, values in made.items():
        write_image(plate / well / "0", values, "cyx", levels=3)
    image = only(opened(plate))
    fine, *coarser = levels(image)
    assert corners(image) == {"A/1/0": (0, 0), "A/2/0": (0, 40), "B/1/0": (28, 0)}
    whole = paste((4, 52, 76), [(made[tile.well], (tile.y, tile.x)) for tile in image.tiles])
    np.testing.assert_array_equal(fine, whole)
    for level, values in enumerate(coarser, start=1):
        np.testing.assert_array_equal(values, whole[..., :: 2**level, :: 2**level])


def test_fields_lie_as_on_the_stage_where_that_makes_a_grid(tmp_path: Path) -> None:
    plate = write_plate(tmp_path / "p.zarr", {"A/1": ["0", "1", "2", "3"]})
    for name, y, x in [("0", 812.0, 530.0), ("1", 812.0, 539.0), ("2", 800.0, 539.5), ("3", 801.0, 530.0)]:
        write_image(plate / "A/1" / name, pixels(int(name), "yx"), "yx", scale=0.5, place={"y": y, "x": x})
    image = only(opened(plate))
    assert corners(image) == {"A/1/0": (24, 0), "A/1/1": (24, 20), "A/1/2": (0, 20), "A/1/3": (0, 0)}
    assert image.multiscale is not None
    transform = level_transform(image.multiscale, 0)
    assert (transform.scale, transform.translation) == ((0.5, 0.5), (0.0, 0.0))


def test_levels_are_those_that_all_fields_share(tmp_path: Path) -> None:
    plate = write_plate(tmp_path / "p.zarr", {"A/1": ["0"], "A/2": ["0"], "A/3": ["0"]})
    for well, count in [("A/1", 4), ("A/2", 3), ("A/3", 3)]:
        write_image(plate / well / "0", pixels(0), "cyx", levels=count)
    entry = multiscale("cyx", 3)
    entry["datasets"][2]["coordinateTransformations"][0]["scale"] = [1.0, 8.0, 8.0]
    write_json(plate / "A/3/0", {"multiscales": [entry]})
    assert list(only(opened(plate)).arrays) == ["0", "1"]


def test_the_same_is_lazy_in_xarray_without_dask(tmp_path: Path) -> None:
    plate = write_plate(tmp_path / "p.zarr", {"A/1": ["0"]})
    write_image(plate / "A/1/0", pixels(5), "cyx")
    array = only(opened(plate, wrapper=ZarrArrayWrapper())).arrays["0"]
    np.testing.assert_array_equal(array[1, ::-1, [3, 1]].values, pixels(5)[1, ::-1][:, [3, 1]])
    assert array.coords["y"].values[:3].tolist() == [0.0, 1.0, 2.0]


# ------------------------------------------------------------------------------------------- what is missing


def test_the_order_of_wells_and_the_names_of_fields_do_not_matter(tmp_path: Path) -> None:
    """The first well that is listed is not there, and fields have names of their own."""
    fields = {"A/1": ["0"], "B/2": ["img_x", "7"], "A/2": ["z-stack"]}
    plate = write_plate(tmp_path / "p.zarr", fields)
    for well, name in [("B/2", "img_x"), ("B/2", "7"), ("A/2", "z-stack")]:
        write_image(plate / well / name, pixels(1), "cyx")
    (plate / "A/1/zarr.json").unlink()
    image = only(opened(plate, told=r"1 wells are listed but not there \(A/1\)"))
    assert corners(image) == {"B/2/img_x": (26, 0), "B/2/7": (26, 20), "A/2/z-stack": (0, 0)}


def test_missing_and_damaged_fields_are_left_out_and_named(tmp_path: Path) -> None:
    names = ["good", "gone", "broken", "empty", "flat", "hollow"]
    plate = write_plate(tmp_path / "p.zarr", {"A/1": names})
    well = plate / "A/1"
    for name in ("good", "broken", "flat", "hollow"):
        write_image(well / name, pixels(1), "cyx")
    (well / "broken/zarr.json").write_text("{")
    write_json(well / "empty", {})
    shutil.rmtree(well / "flat/0")
    write_array(well / "flat/0", pixels(1, "yx"))
    (well / "hollow/0/zarr.json").unlink()
    with pytest.warns(OmeNgffWarning) as heard:
        image = only(open_plate(open_hierarchy(plate)))
    assert corners(image) == {"A/1/good": (0, 0)}
    text = "\n".join(str(item.message) for item in heard)
    for name in names[1:]:
        assert f"A/1/{name}" in text


def test_a_first_field_whose_finest_level_has_a_wrong_shape_is_left_out(tmp_path: Path) -> None:
    """Its other levels say other axes; alone it is an error."""
    plate = write_plate(tmp_path / "p.zarr", {"A/1": ["0"], "A/2": ["0", "1"]})
    for path in ("A/1/0", "A/2/0", "A/2/1"):
        write_image(plate / path, pixels(1), "cyx")
    document = plate / "A/1/0/0/zarr.json"
    array = json.loads(document.read_text())
    document.write_text(json.dumps({**array, "shape": array["shape"][:2]}))
    image = only(opened(plate, told=r"fields are left out: their .*\(A/1/0\)"))
    assert [tile.location.rpartition("/A/")[2] for tile in image.tiles] == ["2/0", "2/1"]
    for path in ("A/2/0", "A/2/1"):
        shutil.rmtree(plate / path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OmeNgffWarning)
        with pytest.raises(MetadataError, match="cannot be read"):
            open_plate(open_hierarchy(plate))


def test_fields_with_other_axes_than_the_first_are_left_out_and_named(tmp_path: Path) -> None:
    plate = write_plate(tmp_path / "p.zarr", {"A/1": ["0"], "A/2": ["0"]})
    write_image(plate / "A/1/0", pixels(0), "cyx")
    write_image(plate / "A/2/0", pixels(0, "zyx"), "zyx")
    image = only(opened(plate, told=r"their axes are z, y, x, not c, y, x \(A/2/0\)"))
    assert [tile.well for tile in image.tiles] == ["A/1"]


def test_faults_that_all_fields_share_are_told_of_once(tmp_path: Path) -> None:
    plate = write_plate(tmp_path / "p.zarr", {"A/1": [str(i) for i in range(9)]})
    for index in range(9):
        write_image(plate / "A/1" / str(index), pixels(0), "cyx", own={"omero": index})
    with pytest.warns(OmeNgffWarning) as heard:
        opened(plate)
    assert len(heard) == 1
    assert "and 8 more like this" in str(heard[0].message)


def test_a_well_that_does_not_list_its_fields_shows_what_is_there(tmp_path: Path) -> None:
    plate = write_plate(tmp_path / "p.zarr", {"A/1": ["0", "1", "10"], "A/2": ["0"]})
    for path in ("A/1/0", "A/1/1", "A/1/10", "A/2/0"):
        write_image(plate / path, pixels(0), "cyx")
    write_json(plate / "A/1", None)
    write_json(plate / "A/1/tables", {})
    image = only(opened(plate, told="do not list their fields"))
    assert [f"{tile.well}/{tile.field}" for tile in image.tiles] == ["A/1/0", "A/1/1", "A/1/10", "A/2/0"]
    remote = open_hierarchy(NotListing(LocalStore(plate, read_only=True)))
    image = only(opened(remote, told="do not list their fields"))
    assert [f"{tile.well}/{tile.field}" for tile in image.tiles] == ["A/1/0", "A/2/0"]


@pytest.mark.parametrize("wells", [{}, {"A/1": []}, {"A/1": ["0"]}])
def test_a_plate_without_fields_is_an_error(tmp_path: Path, wells: dict[str, list[str]]) -> None:
    plate = write_plate(tmp_path / "p.zarr", wells)
    with pytest.raises(MetadataError, match="no field that can be shown"):
        open_plate(open_hierarchy(plate))


def test_what_is_no_plate_is_an_error_of_ours(tmp_path: Path) -> None:
    folder = write_json(tmp_path / "p.zarr", {"plate": 3})
    with pytest.raises(MetadataError, match="a plate was expected"):
        opened(folder)
    with pytest.raises(OmeNgffError):
        open_well(open_hierarchy(folder))
    with pytest.raises(NotOmeNgffError):
        open_hierarchy(tmp_path)


# --------------------------------------------------------------------------- acquisitions, channels, labels


def test_each_acquisition_is_an_image_of_its_own_in_the_same_places(tmp_path: Path) -> None:
    plate = write_plate(
        tmp_path / "p.zarr",
        {"A/1": ["0", "1", "2"], "B/1": ["0", "1", "2"], "C/1": ["1"]},
        acquisitions={7: "first", 3: "second", 5: "never"},
        acquired={"0": 7, "1": 3, "2": 3},
    )
    for well, name in [
        ("A/1", "0"),
        ("A/1", "1"),
        ("A/1", "2"),
        ("B/1", "0"),
        ("B/1", "1"),
        ("B/1", "2"),
        ("C/1", "1"),
    ]:
        write_image(plate / well / name, pixels(int(name)), "cyx")
    collection = opened(plate)
    first, second = collection.images.values()
    assert list(collection.images) == ["test first", "test second"]
    assert first.multiscale is not None
    assert first.multiscale.name == "test first"
    assert corners(first) == {"A/1/0": (0, 0), "B/1/0": (26, 0)}
    assert corners(second) == {
        "A/1/1": (0, 0), "A/1/2": (0, 20), "B/1/1": (26, 0), "B/1/2": (26, 20), "C/1/1": (52, 0),
    }  # fmt: skip
    assert first.arrays["0"].shape == second.arrays["0"].shape
    np.testing.assert_array_equal(np.asarray(second.arrays["0"].data[:, 26:50, 20:40]), pixels(2))


def test_acquisitions_that_nobody_lists_are_numbered(tmp_path: Path) -> None:
    plate = write_plate(tmp_path / "p.zarr", {"A/1": ["0", "1"]}, acquired={"0": 0, "1": 4})
    for name in "01":
        write_image(plate / "A/1" / name, pixels(0), "cyx")
    assert list(opened(plate).images) == ["test acquisition 0", "test acquisition 4"]


def test_a_field_without_acquisition_belongs_to_the_only_one(tmp_path: Path) -> None:
    plate = write_plate(tmp_path / "p.zarr", {"A/1": ["0"]}, acquisitions={7: "first"})
    write_image(plate / "A/1/0", pixels(0), "cyx")
    assert list(opened(plate).images) == ["test"]


def test_channels_are_those_of_the_first_field_that_names_them(tmp_path: Path) -> None:
    plate = write_plate(tmp_path / "p.zarr", {"A/1": ["0"], "A/2": ["0"]})
    write_image(plate / "A/1/0", pixels(0), "cyx")
    window = {"start": 0, "end": 9, "min": 0, "max": 255}
    omero = {
        "channels": [
            {"label": label, "color": "00FF00", "window": window} for label in ("DAPI", "GFP", "RFP")
        ]
    }
    write_image(plate / "A/2/0", pixels(0), "cyx", own={"omero": omero})
    image = only(opened(plate))
    assert image.multiscale is not None
    assert [channel.label for channel in image.multiscale.channels] == ["DAPI", "GFP", "RFP"]
    assert image.arrays["0"].coords["channel_label"].values.tolist() == ["DAPI", "GFP", "RFP"]


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_label_images_become_mosaics_too_and_are_background_where_there_are_none(
    tmp_path: Path, version: str
) -> None:
    plate = write_plate(tmp_path / "p.zarr", {"A/1": ["0"], "A/2": ["0"], "A/3": ["0"]}, version=version)
    cells = {well: pixels(seed, "yx") for seed, well in enumerate(("A/2", "A/3"))}
    write_image(plate / "A/1/0", pixels(0), "cyx", version=version)
    for well, values in cells.items():
        write_image(plate / well / "0", pixels(0), "cyx", version=version, labels={"cells": (values, "yx")})
    label = {"colors": [{"label-value": value, "rgba": [0, value, 0, 255]} for value in (1, 2)]}
    label["properties"] = [{"label-value": 9, "area": 5}]
    marked: dict[str, Any] = {"multiscales": [multiscale("yx", 2)], "image-label": label}
    if version == "0.4":
        marked["multiscales"][0]["version"] = version
    write_json(plate / "A/3/0/labels/cells", marked, version=version)
    image = only(opened(plate))
    mosaic = image.labels["cells"]
    places = corners(image)
    assert places["A/3/0"] == (0, 44)
    whole = paste((24, 64), [(values, places[f"{well}/0"]) for well, values in cells.items()])
    fine, coarse = levels(mosaic)
    np.testing.assert_array_equal(fine, whole)
    np.testing.assert_array_equal(coarse, whole[::2, ::2])
    assert mosaic.multiscale is not None
    assert mosaic.multiscale.label_image is not None
    assert mosaic.multiscale.label_image.colors == {1: (255, 0, 0, 255), 2: (0, 2, 0, 255)}
    assert [item["label-value"] for item in mosaic.multiscale.label_image.properties] == [9]


def test_label_images_of_another_resolution_lie_on_their_fields(tmp_path: Path) -> None:
    plate = write_plate(tmp_path / "p.zarr", {"A/1": ["0"], "A/2": ["0"]})
    half = pixels(3, "yx", y=12, x=10)
    for well in ("A/1", "A/2"):
        place = {"y": 100.0, "x": 100.0}
        write_image(plate / well / "0", pixels(0), "cyx", place=place, labels={"cells": (half, "yx")})
        entry = multiscale("yx", 1, scale=2.0, place={"y": 100.5, "x": 100.5})
        write_json(plate / well / "0/labels/cells", {"multiscales": [entry], "image-label": {}})
    image = only(opened(plate))
    mosaic = image.labels["cells"]
    (values,) = levels(mosaic)
    assert [n * 2 for n in values.shape] == list(image.arrays["0"].shape[1:])
    np.testing.assert_array_equal(values, paste((12, 21), [(half, (0, 0)), (half, (0, 11))]))
    assert mosaic.multiscale is not None
    assert level_transform(mosaic.multiscale, 0).translation == (0.5, 0.5)


def test_label_images_that_were_left_at_0_lie_on_their_fields_all_the_same(tmp_path: Path) -> None:
    plate = write_plate(tmp_path / "p.zarr", {"A/1": ["0"]})
    own = {"place": {"y": 5000.0, "x": 7000.0}, "labels": {"cells": (pixels(1, "yx"), "yx")}}
    write_image(plate / "A/1/0", pixels(0), "cyx", **own)
    mosaic = only(opened(plate)).labels["cells"]
    assert mosaic.multiscale is not None
    assert level_transform(mosaic.multiscale, 0).translation == (0.0, 0.0)


def test_a_damaged_label_image_is_left_out(tmp_path: Path) -> None:
    plate = write_plate(tmp_path / "p.zarr", {"A/1": ["0"]})
    write_image(plate / "A/1/0", pixels(0), "cyx", labels={"cells": (pixels(1, "yx"), "yx")})
    (plate / "A/1/0/labels/cells/zarr.json").write_text("{")
    assert only(opened(plate, told="1 label images are left out")).labels == {}


# ------------------------------------------------------------------------------------- wells, rows, systems


def test_a_well_opens_by_itself(tmp_path: Path) -> None:
    plate = write_plate(tmp_path / "p.zarr", {"A/1": ["0"], "B/2": ["a", "b"]})
    for name in "ab":
        write_image(plate / "B/2" / name, pixels(ord(name)), "cyx")
    well = read(open_well(open_hierarchy(plate / "B/2")))
    assert (well.kind, well.name, list(well.images)) == ("well", "B/2", ["B/2"])
    assert corners(only(well)) == {"/a": (0, 0), "/b": (0, 20)}
    assert only(well).tiles[1].location == str(plate / "B/2/b")
    np.testing.assert_array_equal(levels(only(well))[0][:, :, 20:], pixels(ord("b")))


def test_a_row_opens_by_its_name(tmp_path: Path) -> None:
    plate = write_plate(tmp_path / "p.zarr", {"A/1": ["0"], "B/2": ["0"], "B/3": ["0"]})
    for path in ("A/1/0", "B/2/0", "B/3/0"):
        write_image(plate / path, pixels(0), "cyx")
    row = opened(plate, row="B")
    assert row.name == "test B"
    assert corners(only(row)) == {"B/2/0": (0, 0), "B/3/0": (0, 22)}


def test_a_row_opens_by_its_folder_too(tmp_path: Path) -> None:
    plate = write_plate(tmp_path / "p.zarr", {"A/1": ["0"], "B/2": ["0"]})
    for path in ("A/1/0", "B/2/0"):
        write_image(plate / path, pixels(0), "cyx")
    row = open_row(open_hierarchy(plate / "B"))
    assert row is not None
    assert [tile.well for tile in only(row).tiles] == ["B/2"]
    write_json(plate / "extra", None)
    for other in (plate / "extra", plate / "A/1/0"):
        assert open_row(open_hierarchy(other)) is None


def test_a_plate_in_a_coordinate_system_is_shown_without_it(tmp_path: Path) -> None:
    plate = write_plate(tmp_path / "p.zarr", {"A/1": ["0"]})
    write_image(plate / "A/1/0", pixels(0), "cyx")
    assert only(opened(plate, told="side by side, not in 'world'", coordinate_system="world")).view is None


def test_what_belongs_to_others_is_kept(tmp_path: Path) -> None:
    plate = write_plate(tmp_path / "p.zarr", {"A/1": ["0"]})
    write_image(plate / "A/1/0", pixels(0), "cyx")
    document = json.loads((plate / "zarr.json").read_text())
    document["attributes"]["author"] = "me"
    (plate / "zarr.json").write_text(json.dumps(document))
    assert opened(plate).attributes == {"author": "me"}


# ---------------------------------------------------------------------------------------- requests and time


class NotListing(WrapperStore[Any]):
    """A store like a server: nobody knows what it holds without asking."""


@pytest.fixture
def waves(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many documents were asked for in each round trip."""
    asked: list[int] = []
    fetch = hierarchy.fetch

    def counted(store: Any, keys: Any) -> Any:
        keys = list(keys)
        if keys:
            asked.append(len(keys))
        return fetch(store, keys)

    monkeypatch.setattr(hierarchy, "fetch", counted)
    return asked


def store_of(content: dict[str, bytes]) -> NotListing:
    make = default_buffer_prototype().buffer.from_bytes
    return NotListing(MemoryStore({key: make(value) for key, value in content.items()}))


def test_a_large_plate_opens_in_four_round_trips_and_at_once(waves: list[int]) -> None:
    content = large_plate()
    hierarchy = open_hierarchy(store_of(content))
    start = time.process_time()
    image = only(opened(hierarchy))
    elapsed = time.process_time() - start
    # The plate; wells; fields, one of each well with its label images; finest levels, with all of the first.
    assert len(waves) <= 4
    assert waves[1:] == [384, 1536 + 384, 1536 + 4]
    assert elapsed < 3  # 0.5 s on a machine that does nothing else; the fetching of 3,845 documents included
    assert len(image.tiles) == 1536
    waves.clear()
    overview = image.arrays["4"].data[1]
    assert overview.shape == (2138, 3210)
    assert len(overview.dask) < 100
    values = np.asarray(overview)
    assert values.max() == 5
    assert (values == 5).sum() == 1536 * 64 * 64
    assert waves == [1535]
    waves.clear()
    tile = image.arrays["0"].data[0, 1000:1500, 1000:1500]
    assert len(tile.dask) < 20
    assert np.asarray(tile).max() == 1
    assert sum(waves) <= 4


def test_label_images_need_one_round_trip_more(tmp_path: Path, waves: list[int]) -> None:
    wells = {f"{row}/{column}": ["0", "1"] for row in "AB" for column in "123"}
    plate = write_plate(tmp_path / "p.zarr", wells)
    for seed, well in enumerate(wells):
        for name in "01":
            labels = {"cells": (pixels(seed, "yx"), "yx"), "nuclei": (pixels(seed, "yx"), "yx")}
            write_image(plate / well / name, pixels(seed), "cyx", labels=labels)
    image = only(opened(open_hierarchy(NotListing(LocalStore(plate, read_only=True)))))
    assert len(waves) <= 5
    assert list(image.labels) == ["cells", "nuclei"]
    places = corners(image)
    wanted = paste(
        (50, 124),
        [(pixels(seed, "yx"), places[f"{well}/{name}"]) for seed, well in enumerate(wells) for name in "01"],
    )
    np.testing.assert_array_equal(levels(image.labels["cells"])[0], wanted)


def test_damaged_pixels_are_filled_if_that_is_asked_for(tmp_path: Path) -> None:
    plate = write_plate(tmp_path / "p.zarr", {"A/1": ["0", "1"]})
    for name in "01":
        write_image(plate / "A/1" / name, pixels(0), "cyx", levels=1)
    (plate / "A/1/1/0/c/0/0/0").write_bytes(b"short")
    with pytest.raises(OmeNgffError):
        np.asarray(only(opened(plate)).arrays["0"].data)
    values = np.asarray(only(opened(plate, wrapper=DaskArrayWrapper(missing="fill"))).arrays["0"].data)
    np.testing.assert_array_equal(values, paste((3, 24, 40), [(pixels(0), (0, 0))]))
