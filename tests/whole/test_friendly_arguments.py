"""What is clearly meant is taken: groups and places in stores, one size, "1 GB", units of pint, lists."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
from zarr.storage import LocalStore, MemoryStore, StorePath

from napari_ome_ngff import (
    Image,
    MultiscaleSource,
    OptionError,
    StorageOptions,
    create_labels,
    create_multiscale_group,
    edit_image,
    edit_labels,
    edit_metadata,
    model_multiscale_group,
    open_ome_ngff,
    plan_hierarchy,
    save_ome_ngff,
    write_hierarchy,
    write_labels,
    write_multiscale_group,
    write_region,
)

PIXELS = np.arange(2 * 8 * 40 * 40, dtype="uint16").reshape(2, 8, 40, 40)
IMAGE = xr.DataArray(PIXELS, dims=("c", "z", "y", "x"))
PLANE = IMAGE[0, 0].drop_vars(())

PLACES: dict[str, Callable[[Path], tuple[Any, Any]]] = {
    "group of a folder": lambda folder: _group(LocalStore(folder)),
    "group in memory": lambda folder: _group(MemoryStore()),
    "place in a folder": lambda folder: (StorePath(LocalStore(folder), "inside"), folder / "inside"),
    "place in memory": lambda folder: _inside(MemoryStore()),
    "root of a store": lambda folder: (StorePath(LocalStore(folder / "a.zarr")), folder / "a.zarr"),
}
"""Somewhere to write to, and the same place as it is given otherwise."""


def _group(store: Any) -> tuple[Any, Any]:
    zarr.open_group(store, mode="w").create_group("inside")
    return zarr.open_group(store, path="inside", mode="r+"), StorePath(store, "inside")


def _inside(store: Any) -> tuple[Any, Any]:
    return StorePath(store, "inside"), StorePath(store, "inside")


def opened(place: Any) -> Image:
    image = open_ome_ngff(place)
    assert isinstance(image, Image)
    return image


@pytest.mark.parametrize("kind", PLACES)
def test_groups_and_places_in_stores_are_places(kind: str, tmp_path: Path) -> None:
    place, same = PLACES[kind](tmp_path)
    write_multiscale_group(store=place, image=PLANE, overwrite=True).run()
    write_labels(store=place, labels={"a": PLANE}).run()
    create_labels(place, "b")
    assert edit_metadata(place, scale={"x": 0.5})
    for each in (place, same):
        image = opened(each)
        assert list(image.labels) == ["a", "b"]
        assert image.arrays["0"].x.values[1] == 0.5
    if "memory" in kind:
        with pytest.raises(OptionError, match="Only what is in a folder can be edited"):
            edit_image(place)
    else:
        for edit in (edit_image(place), edit_labels(place, "a", memory_limit="1 MB")):
            edit[0, 0] = 7
            edit.save().run()
        assert opened(same).labels["a"].arrays["0"].values[0, 0] == 7
    write_region(store=place, image=opened(same), region={"y": slice(4)}, overwrite=True).run()
    create_multiscale_group(store=place, arrays=[PLANE], overwrite=True, ngff_version="0.5")
    write_hierarchy(store=place, sources={"": MultiscaleSource(image=PLANE)}, overwrite=True).run()
    assert plan_hierarchy(sources={"": PLANE}, store=place).n_files


def test_one_size_is_that_of_all_axes_of_space() -> None:
    options = StorageOptions(chunks=16, shards=32, memory_limit="100 MB")
    assert options.memory_limit == 10**8
    store = MemoryStore()
    write_multiscale_group(store=store, image=IMAGE, factors=2, levels=2, options=options).run()
    group = zarr.open_group(store, mode="r")
    assert [group[path].shape for path in "01"] == [(2, 8, 40, 40), (2, 4, 20, 20)]
    assert group["0"].chunks == (1, 8, 16, 16)
    assert group["0"].shards == (1, 8, 32, 32)
    (plan,) = plan_hierarchy(sources={"": MultiscaleSource(image=IMAGE)}, chunks=np.int64(20)).multiscales
    assert plan.levels[0].chunks == (1, 8, 20, 20)


@pytest.mark.parametrize("text", ["much", "", "-1 GB", "1 lightyear", "nan GB"])
def test_text_that_is_no_number_of_bytes_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="limit of memory"):
        StorageOptions(memory_limit=text)


@pytest.mark.parametrize("sizes", [0, -3, True, 2.5])
def test_one_size_is_a_whole_number_from_1(sizes: Any) -> None:
    for arguments in ({"chunks": sizes}, {"shards": sizes}, {"factors": sizes}):
        with pytest.raises(OptionError):
            write_multiscale_group(store=MemoryStore(), image=IMAGE, **arguments)


def test_levels_may_be_a_list_and_label_images_arrays() -> None:
    levels = [IMAGE, IMAGE[..., ::2, ::2].drop_vars(())]
    assert list(model_multiscale_group(arrays=levels).members) == ["0", "1"]  # type: ignore[arg-type]
    store = MemoryStore()
    labels: Any = {"a": PLANE, "b": PLANE.to_dataset(name="b"), "c": MultiscaleSource(image=PLANE)}
    write_multiscale_group(store=store, arrays=levels, labels=labels).run()  # type: ignore[arg-type]
    image = opened(store)
    assert list(image.arrays) == ["0", "1"]
    assert list(image.labels) == ["a", "b", "c"]


class Unit:
    """As of pint, whose import takes longer than all these tests."""

    __module__ = "pint"

    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return self.name


class Quantity:
    """The same."""

    __module__ = "pint"

    def __init__(self, magnitude: float, units: Unit) -> None:
        self.magnitude, self.units = magnitude, units


def test_units_of_pint_are_units() -> None:
    array = PLANE.assign_coords(x=("x", np.arange(40.0), {"units": Unit("micrometer")}))
    store = MemoryStore()
    write_multiscale_group(store=store, image=array).run()
    assert opened(store).arrays["0"].x.attrs["units"] == "micrometer"
    image = save_ome_ngff(MemoryStore(), PIXELS[0, 0], scale=Quantity(0.5, Unit("nanometer")))
    assert image.arrays["0"].y.attrs == {"scale": 0.5, "units": "nanometer", "type": "space"}
    image = save_ome_ngff(MemoryStore(), PLANE, units=Unit("nanometer"))
    assert image.arrays["0"].x.attrs["units"] == "nanometer"
    edit_metadata(store, units={"x": Unit("nanometer")})  # type: ignore[dict-item]
    assert opened(store).arrays["0"].x.attrs["units"] == "nanometer"


@pytest.mark.parametrize(
    ("argument", "value", "hint"),
    [
        ("image", PIXELS, "save_ome_ngff"),
        ("image", "image", "save_ome_ngff"),
        ("image", [IMAGE], "save_ome_ngff"),
        ("store", {}, "MemoryStore"),
        ("chunks", "256", "auto"),
        ("memory_limit", "much", "MB"),
        ("labels", [PLANE], "by their names"),
        ("channels", ["a"], "Channel"),
    ],
)
def test_what_is_wrong_is_named_with_what_to_write_instead(argument: str, value: Any, hint: str) -> None:
    image = opened(create_multiscale_group(store=MemoryStore(), arrays=[PLANE], ngff_version="0.5"))
    given = {"image": image}.get(value, value) if isinstance(value, str) else value
    with pytest.raises(OptionError) as refused:
        write_multiscale_group(**{"store": MemoryStore(), "image": IMAGE, argument: given})
    assert hint in str(refused.value)
