"""`save_ome_ngff`: whatever holds an image is saved in one call, and comes back as what it was."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import xarray as xr
import zarr
from zarr.storage import MemoryStore, StorePath

from napari_ome_ngff import (
    Channel,
    Image,
    LabelImage,
    MultiscaleSource,
    OmeNgffWarning,
    OptionError,
    TargetError,
    open_ome_ngff,
    save_ome_ngff,
)

PIXELS = np.arange(2 * 3 * 4 * 16 * 20, dtype="uint16").reshape(2, 3, 4, 16, 20)
PLANE = PIXELS[0, 0, 0]


def data_array(pixels: np.ndarray[Any, Any] = PLANE) -> xr.DataArray:
    return xr.DataArray(pixels, dims=("z", "y", "x")[-pixels.ndim :])


def stored(**options: Any) -> zarr.Array[Any]:
    return zarr.create_array(MemoryStore(), data=PLANE, **options)


def opened() -> Image:
    return save_ome_ngff(MemoryStore(), PLANE)


def tree() -> xr.DataTree:
    levels = {"s0": PLANE, "s1": PLANE[::2, ::2]}
    named = {name: data_array(level).to_dataset(name="image") for name, level in levels.items()}
    return xr.DataTree.from_dict({**named, "labels/a/s0": data_array(PLANE % 3).to_dataset(name="a")})


KINDS: dict[str, Callable[[], Any]] = {
    "numpy": lambda: PLANE,
    "dask": lambda: da.from_array(PLANE, chunks=(5, 7)),
    "zarr.Array": stored,
    "zarr.Array with names": lambda: stored(dimension_names=("y", "x")),
    "a level": lambda: zarr.open_group(written())["0"],
    "DataArray": data_array,
    "Dataset": lambda: data_array().to_dataset(name="image"),
    "DataTree": tree,
    "Variable": lambda: data_array().variable,
    "list of levels": lambda: [PLANE, PLANE[::2, ::2]],
    "dict of levels": lambda: {"s0": PLANE, "s1": PLANE[::2, ::2]},
    "Image": opened,
    "store": lambda: written(),
    "zarr.Group": lambda: zarr.open_group(written()),
    "MultiscaleSource": lambda: MultiscaleSource(image=data_array()),
}


def written() -> MemoryStore:
    store = MemoryStore()
    save_ome_ngff(store, PLANE)
    return store


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_holds_an_image_is_saved(kind: str) -> None:
    data = KINDS[kind]()
    image = save_ome_ngff(MemoryStore(), data)
    np.testing.assert_array_equal(next(iter(image.arrays.values())).values, PLANE)
    assert next(iter(image.arrays.values())).dims == ("y", "x")
    assert len(image.arrays) == (2 if kind in ("DataTree", "list of levels", "dict of levels") else 1)
    assert list(image.labels) == (["a"] if kind == "DataTree" else [])


@pytest.mark.parametrize("kind", ["path", "file", "store", "zarr.Group", "StorePath"])
def test_wherever_it_goes_it_is_opened_from_there(kind: str, tmp_path: Path) -> None:
    places: dict[str, Callable[[], Any]] = {
        "path": lambda: tmp_path / "a.ome.zarr",
        "file": lambda: tmp_path / "a.ozx",
        "store": MemoryStore,
        "zarr.Group": lambda: zarr.open_group(MemoryStore()).create_group("inside"),
        "StorePath": lambda: StorePath(MemoryStore(), "inside"),
    }
    place = places[kind]()
    image = save_ome_ngff(place, PLANE, overwrite=kind == "zarr.Group")
    assert image.location.endswith("inside" if kind in ("zarr.Group", "StorePath") else image.location)
    np.testing.assert_array_equal(image.arrays["0"].values, PLANE)


@pytest.mark.parametrize("order", [*permutations("CZYX")][::3])
def test_axes_in_any_order_and_case_are_put_in_order_and_a_warning_says_so(order: tuple[str, ...]) -> None:
    volume = PIXELS[0]
    shuffled = volume.transpose(["CZYX".index(axis) for axis in order])
    scale = {"c": 1, "z": 2.0, "y": 0.5, "x": 0.25}
    with pytest.warns(OmeNgffWarning, match="are stored as c, z, y, x"):
        image = save_ome_ngff(
            MemoryStore(), shuffled, axes="".join(order), scale=[scale[axis.lower()] for axis in order]
        )
    assert image.multiscale is not None
    assert image.multiscale.dims == ("c", "z", "y", "x")
    assert image.multiscale.levels[0].transform.scale == (1, 2.0, 0.5, 0.25)
    np.testing.assert_array_equal(image.arrays["0"].values, volume)


def test_the_capital_letters_of_bioio_become_small_ones() -> None:
    array = xr.DataArray(PIXELS, dims=("T", "C", "Z", "Y", "X"), coords={"C": ["a", "b", "c"]})
    with pytest.warns(OmeNgffWarning, match="T, C, Z, Y, X are stored as t, c, z, y, x"):
        image = save_ome_ngff(MemoryStore(), array)
    assert image.multiscale is not None
    assert [channel.label for channel in image.multiscale.channels] == ["a", "b", "c"]


@pytest.mark.parametrize("scale", [0.5, {"y": 0.5, "col": 0.5}, (0.5, 0.5)])
def test_rows_and_columns_have_a_scale_too(scale: object) -> None:
    with pytest.warns(OmeNgffWarning, match="are stored as channel, y, x"):
        image = save_ome_ngff(
            MemoryStore(),
            PIXELS[0, :, 0],
            axes=("channel", "row", "col"),
            scale=scale,
            units="um",
            labels={"a": PLANE},
        )
    for each in (image, image.labels["a"]):
        array = each.arrays["0"]
        assert [float(array[dim][1]) for dim in "yx"] == [0.5, 0.5]
        assert array.x.attrs["units"] == "micrometer"


@pytest.mark.parametrize(
    ("scale", "units", "expected"),
    [
        (0.5, "um", (1.0, 0.5, 0.5, 0.5)),
        ({"z": 2, "x": 0.5}, {"Z": "um", "x": "µm"}, (1.0, 2.0, 1.0, 0.5)),
        ((2, 0.5, 0.25), "micrometer", (1.0, 2.0, 0.5, 0.25)),
        (np.array([9, 2, 0.5, 0.25]), (None, "um", "um", "um"), (1.0, 2.0, 0.5, 0.25)),
    ],
)
def test_scale_and_units_are_said_once_by_name_or_in_order(
    scale: object, units: object, expected: tuple[float, ...]
) -> None:
    image = save_ome_ngff(
        MemoryStore(), [PIXELS[0], PIXELS[0, ..., ::2, ::2]], axes="czyx", scale=scale, units=units
    )
    assert image.multiscale is not None
    first, second = (level.transform for level in image.multiscale.levels)
    assert first.scale == expected
    assert second.scale == (*expected[:2], 2 * expected[2], 2 * expected[3])
    assert second.translation == (0.0, 0.0, expected[2] / 2, expected[3] / 2)
    assert {image.multiscale.axes[i].unit for i in (1, 3)} == {"micrometer"}
    assert image.multiscale.axes[0].unit is None


def test_a_scale_that_is_said_replaces_coordinates_and_keeps_the_place() -> None:
    array = data_array().assign_coords(x=("x", np.arange(20) * 3.0 + 7, {"units": "nanometer"}))
    image = save_ome_ngff(MemoryStore(), array, scale={"x": 0.5}, translation={"y": -4})
    assert image.multiscale is not None
    assert image.multiscale.levels[0].transform.scale == (1.0, 0.5)
    assert image.multiscale.levels[0].transform.translation == (-4.0, 7.0)
    assert image.multiscale.axes[1].unit == "nanometer"


def test_labels_without_names_or_coordinates_lie_on_the_image() -> None:
    labels = {
        "mask": PIXELS[0, 0] > 9,
        "every time": PIXELS[:, 0].astype("int32"),
        "coarser": da.ones((4, 8, 10), dtype="uint8"),
        "coloured": MultiscaleSource(
            image=data_array(PIXELS[0, 0]), label_image=LabelImage(colors={1: (255, 0, 0, 255)})
        ),
    }
    image = save_ome_ngff(MemoryStore(), PIXELS, scale=0.5, units="um", labels=labels)
    assert list(image.labels) == list(labels)
    mask, coarser = image.labels["mask"].arrays["0"], image.labels["coarser"].arrays["0"]
    assert mask.dtype == "uint8"
    assert mask.dims == ("z", "y", "x")
    assert (mask.x.attrs["units"], float(mask.x[1])) == ("micrometer", 0.5)
    assert [float(x) for x in coarser.x[:2]] == [0.25, 1.25]
    assert image.labels["every time"].arrays["0"].dims == ("t", "z", "y", "x")
    about = image.labels["coloured"].multiscale
    assert about is not None
    assert about.label_image is not None
    assert about.label_image.colors == {1: (255, 0, 0, 255)}


def test_channels_are_names_or_channels_one_for_each() -> None:
    image = save_ome_ngff(MemoryStore(), PIXELS, channels=["a", Channel(label="b", color="00FF00"), "c"])
    assert image.multiscale is not None
    assert [(channel.label, channel.color) for channel in image.multiscale.channels][1] == ("b", "00FF00")
    with pytest.raises(OptionError, match="channels has 2 entries, but the image has 3"):
        save_ome_ngff(MemoryStore(), PIXELS, channels=["a", "b"])


def test_lower_levels_are_made_again_where_that_is_asked_for() -> None:
    pyramid = [PLANE, PLANE[::4, ::4]]
    image = save_ome_ngff(MemoryStore(), pyramid, factors={"y": 2, "x": 2}, levels=3)
    assert [level.shape for level in image.arrays.values()] == [(16, 20), (8, 10), (4, 5)]
    again = save_ome_ngff(MemoryStore(), image, levels=1)
    assert list(again.arrays) == ["0"]


def test_an_image_that_is_there_is_replaced_only_with_overwrite(tmp_path: Path) -> None:
    place = tmp_path / "a.ome.zarr"
    save_ome_ngff(place, PLANE)
    with pytest.raises(TargetError):
        save_ome_ngff(place, PLANE + 1)
    image = save_ome_ngff(place, open_ome_ngff(place).arrays["0"] + 1, overwrite=True)  # type: ignore[union-attr]
    np.testing.assert_array_equal(image.arrays["0"].values, PLANE + 1)


@pytest.mark.parametrize(
    ("data", "arguments", "message"),
    [
        (PIXELS[0, 0], {}, "The image has 3 axes without names"),
        (PIXELS[0], {"axes": "zyx"}, "axes has 3 names, but the image has 4 axes"),
        (PLANE, {"axes": "yy"}, "axes has a name twice"),
        (PLANE, {"scale": {"q": 1}}, "scale has a value for 'q', which is no axis"),
        (PLANE, {"scale": (1, 2, 3)}, "scale has 3 values for 2 axes"),
        (PLANE, {"scale": "half"}, "scale must be numbers, not 'half'"),
        (PLANE, {"scale": 0}, "scale must not be 0"),
        (PLANE, {"units": 3}, "units must be text such as .*, not 3"),
        (PLANE, {"labels": [PLANE]}, "labels must be label images by their names"),
        ([PLANE, PLANE], {}, "a list of arrays of one size"),
        ([[1, 2], [3, 4]], {}, "Level 0 must be a numpy, dask"),
        (3, {}, "The image must be a numpy, dask"),
        (xr.Dataset({"a": data_array(), "b": data_array()}), {}, "The image has 2 variables"),
    ],
)
def test_what_cannot_be_is_named_with_what_to_give(
    data: object, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        save_ome_ngff(MemoryStore(), data, **arguments)


def test_nothing_is_warned_of_where_nothing_is_changed() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save_ome_ngff(MemoryStore(), PIXELS, axes="tczyx")
