"""Axes that other programs refuse are put right before they are written: names, order, direction."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import xarray
import zarr
from hypothesis import given
from hypothesis import strategies as st

from napari_ome_ngff import (
    Affine,
    CoordinateError,
    DaskArrayWrapper,
    Image,
    MultiscaleSource,
    OmeNgffWarning,
    ZarrArrayWrapper,
    create_multiscale_group,
    open_ome_ngff,
    save_ome_ngff,
    write_hierarchy,
    write_multiscale_group,
)
from napari_ome_ngff.metadata.nouns import Axis, Multiscale
from tests.metadata_tools import judges
from tests.strategies import VERSIONS, images

ODD_NAMES = {"t": "T", "c": "C", "z": "plane", "y": "row", "x": "col"}


def opened(store: Any) -> Image:
    image = open_ome_ngff(store)
    assert isinstance(image, Image)
    return image


def judged(store: Any, version: str) -> None:
    """Pass if all judges of this version accept an image."""
    attributes = zarr.open_group(store, mode="r").attrs.asdict()
    for of, judge in judges():
        if of == version:
            judge(attributes, version)


def written(source: MultiscaleSource, version: str = "0.5", **options: Any) -> zarr.storage.MemoryStore:
    store = zarr.storage.MemoryStore()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OmeNgffWarning)
        write_hierarchy(store=store, sources={"": source}, ngff_version=version, **options).run()
    return store


@given(images(max_size=4, dtypes=("uint8",)), st.sampled_from(VERSIONS), st.booleans(), st.data())
def test_every_voxel_keeps_its_position(
    image: xarray.DataArray, version: str, odd_names: bool, data: st.DataObject
) -> None:
    given_image = image.transpose(*data.draw(st.permutations([str(dim) for dim in image.dims])))
    if odd_names:
        given_image = given_image.rename({dim: ODD_NAMES[str(dim)] for dim in image.dims})
        given_image = given_image.drop_vars("channel_label", errors="ignore")
    store = written(MultiscaleSource(image=given_image, levels=1), version)
    judged(store, version)
    level = opened(store).arrays["0"]
    placed = [dim for dim in image.dims if dim in image.coords]
    expected = image.sortby(placed).transpose(*level.dims)
    np.testing.assert_array_equal(level, expected)
    for dim in placed:
        step = level.coords[dim].attrs["scale"]
        assert step > 0
        assert np.abs(level.coords[dim].values - expected.coords[dim].values).max() <= 1e-6 * step


@pytest.mark.parametrize("wrapper", [ZarrArrayWrapper(), DaskArrayWrapper()])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_file_with_negative_scales_is_saved_without(wrapper: Any, version: str) -> None:
    store, pixels = zarr.storage.MemoryStore(), np.arange(48).reshape(6, 8)
    level = xarray.DataArray(pixels, dims=("y", "x"))
    group = create_multiscale_group(store=store, arrays={"s0": level, "s1": level[::2, ::2]})
    group["s0"][...], group["s1"][...] = pixels, pixels[::2, ::2]
    attributes = group.attrs.asdict()
    for dataset, step in zip(attributes["multiscales"][0]["datasets"], (1, 2), strict=True):
        dataset["coordinateTransformations"][0]["scale"] = [step, -step]
    group.attrs.put(attributes)
    before = open_ome_ngff(store, array_wrapper=wrapper)
    with pytest.warns(OmeNgffWarning, match="stored in reverse along x"):
        after = save_ome_ngff(zarr.storage.MemoryStore(), before, ngff_version=version)
    for path, level in before.arrays.items():
        np.testing.assert_array_equal(after.arrays[path], level.sortby("x"))
        np.testing.assert_array_equal(after.arrays[path].x, level.sortby("x").x)


def test_an_image_that_is_mirrored_by_an_affine_is_reversed_in_older_versions() -> None:
    axes = (Axis(name="y", type="space"), Axis(name="x", type="space"))
    mirror = Affine(matrix=((1.0, 0.0), (0.0, -1.0)), translation=(0.0, 7.0))
    base = Multiscale(version="0.6", axes=axes, levels=(), affine=mirror)
    image = xarray.DataArray(np.arange(6).reshape(2, 3), dims=("y", "x"), coords={"x": [0.0, 2.0, 4.0]})
    level = opened(written(MultiscaleSource(image=image, multiscale=base))).arrays["0"]
    np.testing.assert_array_equal(level, image.values[:, ::-1])
    np.testing.assert_array_equal(level.x, [3.0, 5.0, 7.0])


def test_sizes_of_chunks_and_factors_follow_the_axes() -> None:
    image = xarray.DataArray(np.zeros((4, 2, 40, 60), "u1"), dims=("Z", "C", "Y", "X"))
    factors = {"Y": 2, "X": 4}
    store = written(MultiscaleSource(image=image, factors=factors, levels=2), chunks=(4, 1, 10, 20))
    group = zarr.open_group(store, mode="r")
    assert (group["0"].shape, group["0"].chunks) == ((2, 4, 40, 60), (1, 4, 10, 20))
    assert group["1"].shape == (2, 4, 20, 15)


def test_channels_are_never_reversed() -> None:
    image = xarray.DataArray(np.zeros((2, 8, 8)), dims=("c", "y", "x"), coords={"c": [1.0, 0.0]})
    image[0] = 1
    store = written(MultiscaleSource(image=image))
    assert opened(store).arrays["0"][:, 0, 0].values.tolist() == [1, 0]


def test_what_others_will_fill_must_ascend() -> None:
    image = xarray.DataArray(np.zeros((2, 2)), dims=("y", "x"), coords={"y": [1.0, 0.0]})
    with pytest.raises(CoordinateError, match="descend along axis 'y'"):
        create_multiscale_group(store=zarr.storage.MemoryStore(), arrays={"s0": image})


def test_what_is_right_is_left_alone() -> None:
    image = xarray.DataArray(np.zeros((2, 4, 4)), dims=("c", "x", "y"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_multiscale_group(store=zarr.storage.MemoryStore(), image=image).run()
