"""A part that is cut out: its voxels, its place, its label images and its looks are those of the original."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_ome_ngff import (
    Axis,
    Channel,
    DaskArrayWrapper,
    Image,
    LabelImage,
    Level,
    Multiscale,
    MultiscaleSource,
    OptionError,
    ScaleTranslation,
    StorageOptions,
    open_ome_ngff,
    write_hierarchy,
    write_region,
)

SHAPE = (2, 8, 40, 36)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """(c, z, y, x) with levels, channels, a plane to begin with, and labels (z, y, x) on the same grid."""
    place = tmp_path_factory.mktemp("part") / "a.ome.zarr"
    voxels = np.random.default_rng(0).integers(0, 1000, SHAPE, dtype="uint16")
    coords = {"z": 3 + np.arange(8) * 2.0, "y": np.arange(40) * 0.3, "x": -5 + np.arange(36) * 0.3}
    image = xarray.DataArray(voxels, dims=("c", "z", "y", "x"), coords=coords)
    labels = xarray.DataArray((voxels[0] // 100).astype("uint8"), dims=("z", "y", "x"), coords=coords)
    axes = tuple(Axis(name=dim, type="channel" if dim == "c" else "space") for dim in "czyx")
    level = Level(path="0", transform=ScaleTranslation(scale=(1, 2, 0.3, 0.3), translation=(0, 3, 0, -5)))
    base = Multiscale(
        version="0.5",
        axes=axes,
        levels=(level,),
        name="embryo",
        channels=(Channel(label="DAPI"), Channel(label="GFP")),
        omero_extra={"rdefs": {"defaultZ": 4, "model": "color"}},
    )
    sources = {
        "": MultiscaleSource(image=image, multiscale=base, levels=3, attributes={"mine": 1}),
        "labels/cells": MultiscaleSource(
            image=labels, levels=3, label_image=LabelImage(colors={3: (1, 2, 3, 255)})
        ),
    }
    write_hierarchy(store=place, sources=sources).run()
    return opened(place)


def opened(place: Any) -> Image:
    image = open_ome_ngff(place, array_wrapper=DaskArrayWrapper())
    assert isinstance(image, Image)
    return image


def cut(image: Image, **options: Any) -> Image:
    store = zarr.storage.MemoryStore()
    write_region(store=store, image=image, **options).run()
    return opened(store)


@pytest.mark.parametrize(
    ("version", "read_as", "name", "expected"),
    [
        ("0.4", "0.4", "a.ome.zarr", "0.4"),
        ("0.5", "0.5", "a.ome.zarr", "0.5"),
        ("0.6", "0.6", "a.ome.zarr", "0.6"),
        ("0.4", "0.2", "a.ome.zarr", "0.4"),  # the versions before 0.4 are not written
        ("0.4", "0.4", "a.ozx", "0.5"),  # a single file is in Zarr v3
    ],
)
def test_a_part_keeps_the_version_unless_options_are_given(
    version: str, read_as: str, name: str, expected: str, tmp_path: Path
) -> None:
    voxels = xarray.DataArray(np.zeros((8, 8), "uint8"), dims=("y", "x"))
    store = zarr.storage.MemoryStore()
    options = StorageOptions(version=version)
    write_hierarchy(store=store, sources={"": MultiscaleSource(image=voxels)}, options=options).run()
    whole = opened(store)
    assert whole.multiscale is not None
    whole = replace(whole, multiscale=replace(whole.multiscale, version=read_as))
    write_region(store=tmp_path / name, image=whole, region={"y": slice(2, 6)}).run()
    part = opened(tmp_path / name).multiscale
    assert part is not None
    assert part.version == expected
    other = cut(whole, options=StorageOptions(version="0.5")).multiscale
    assert other is not None
    assert other.version == "0.5"


def spans(n: int) -> st.SearchStrategy[slice]:
    return st.tuples(st.integers(0, n - 1), st.integers(1, n)).map(lambda p: slice(p[0], max(p[0] + 1, p[1])))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(level=st.integers(0, 2), data=st.data())
def test_a_part_is_what_was_read_there(level: int, data: st.DataObject, original: Image) -> None:
    """Voxels, coordinates to 1e-9 of a voxel, and of the label image the same."""
    whole, labels = original.arrays[str(level)], original.labels["cells"].arrays[str(level)]
    region = {
        str(dim): data.draw(spans(n))
        for dim, n in whole.sizes.items()
        if data.draw(st.booleans(), label=str(dim))
    }
    part = cut(original, region=region, from_level=level)
    expected = whole.isel(region)
    of_labels = labels.isel({dim: one for dim, one in region.items() if dim != "c"})
    for read, wanted in ((part.arrays["0"], expected), (part.labels["cells"].arrays["0"], of_labels)):
        np.testing.assert_array_equal(read.values, wanted.values)
        for dim in "zyx":
            step = wanted.coords[dim].attrs["scale"]
            np.testing.assert_allclose(read.coords[dim], wanted.coords[dim], rtol=0, atol=1e-9 * step)


def test_a_part_in_physical_units_holds_the_voxels_whose_centres_are_in_it(original: Image) -> None:
    part = cut(original, region={"z": slice(5, 9), "x": slice(-4.05, None)}, region_units="physical")
    z, x = (part.arrays["0"].coords[dim].values for dim in "zx")
    assert z.tolist() == [5, 7]
    np.testing.assert_allclose(x[[0, -1]], [-3.8, 5.5])


def test_a_part_looks_as_the_whole_did_and_says_what_it_is_of(original: Image) -> None:
    part = cut(original, region={"c": 1, "z": slice(2, 6)})
    assert part.multiscale is not None
    assert [channel.label for channel in part.multiscale.channels] == ["GFP"]
    assert part.multiscale.omero_extra["rdefs"] == {"defaultZ": 2, "model": "color"}
    assert part.multiscale.name == "embryo"
    assert part.attributes["mine"] == 1
    said = part.attributes["napari-ome-ngff:part-of"]
    assert said["image"] == original.location
    assert said["region"]["z"] == [2, 6]
    labels = part.labels["cells"].multiscale
    assert labels is not None
    assert labels.label_image is not None
    assert labels.label_image.colors == {3: (1, 2, 3, 255)}
    beyond = cut(original, region={"z": slice(5, 6)})
    assert beyond.multiscale is not None
    assert beyond.multiscale.omero_extra["rdefs"] == {"model": "color"}


@pytest.mark.parametrize(("taken", "level", "shown"), [(slice(2, 5), 0, 1), (slice(0, 3), 1, None)])
def test_the_time_that_is_shown_first_moves_with_the_part_or_is_dropped(
    taken: slice, level: int, shown: int | None
) -> None:
    axes = (Axis(name="t", type="time"), Axis(name="y", type="space"), Axis(name="x", type="space"))
    base = Multiscale(
        version="0.5",
        axes=axes,
        levels=(Level(path="0", transform=ScaleTranslation(scale=(1, 1, 1), translation=(0, 0, 0))),),
        channels=(Channel(label="DAPI"),),
        omero_extra={"rdefs": {"defaultT": 3}},
    )
    movie = xarray.DataArray(np.zeros((6, 16, 16), "uint8"), dims=("t", "y", "x"))
    store = zarr.storage.MemoryStore()
    write_hierarchy(store=store, sources={"": MultiscaleSource(image=movie, multiscale=base, levels=2)}).run()
    part = cut(opened(store), region={"t": taken}, from_level=level)
    assert part.multiscale is not None
    assert part.multiscale.omero_extra["rdefs"].get("defaultT") == shown


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "axis": ({"region": {"t": 0}}, "no axis 't'"),
    "empty": ({"region": {"z": slice(4, 4)}}, "holds no voxel"),
    "outside": ({"region": {"z": slice(90, 99)}, "region_units": "physical"}, "holds no voxel"),
    "step": ({"region": {"z": slice(0, 8, 2)}}, "has a step"),
    "text": ({"region": {"z": "all"}}, "cannot be that"),
    "fractions": ({"region": {"z": slice(0.5, 3)}}, "not in voxels"),
    "units": ({"region": {"z": 0}, "region_units": "pixel"}, "no such units"),
    "level": ({"from_level": 3}, "The level"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_part_that_cannot_be_is_refused(what: str, original: Image, tmp_path: Path) -> None:
    options, message = WRONG[what]
    with pytest.raises(OptionError, match=message):
        write_region(store=tmp_path / "a.ome.zarr", image=original, **options)
    assert not list(tmp_path.iterdir())
