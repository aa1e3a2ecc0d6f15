"""The law of the library: what is created and read again has the same coordinates, units and names."""

from __future__ import annotations

import numpy as np
import pytest
import xarray
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_ome_ngff import (
    DaskArrayWrapper,
    ZarrArrayWrapper,
    create_multiscale_group,
    model_multiscale_group,
    read_multiscale_array,
    read_multiscale_group,
)

from .strategies import VERSIONS, images


def coarser(image: xarray.DataArray) -> xarray.DataArray:
    """Half the size along every spatial dim that has two voxels, by xarray's own rule for coordinates."""
    factors = {dim: 2 for dim in image.dims if dim not in ("t", "c") and image.sizes[dim] > 1}
    reduced = image.astype("float64") if image.dtype.kind == "b" else image
    if image.dtype.kind == "c":
        reduced = image.real
    mean = reduced.coarsen(factors, boundary="trim").mean() if factors else image
    return mean.astype(image.dtype).assign_attrs(image.attrs)


def same_place(read: xarray.DataArray, written: xarray.DataArray) -> None:
    for dim in written.dims:
        if dim not in written.coords:
            continue
        coordinate = written.coords[dim]
        step = abs(read.coords[dim].attrs["scale"])
        assert np.abs(read.coords[dim].values - coordinate.values).max() <= 1e-9 * step, dim
        assert read.coords[dim].attrs.get("units") == coordinate.attrs.get("units")
    if "channel_label" in written.coords:
        assert read.coords["channel_label"].values.tolist() == written.coords["channel_label"].values.tolist()


@settings(max_examples=150, deadline=None)
@given(image=images(), version=st.sampled_from(VERSIONS))
def test_read_gives_back_what_create_was_given(image: xarray.DataArray, version: str) -> None:
    arrays = {"s0": image, "s1": coarser(image)}
    group = create_multiscale_group(store=zarr.storage.MemoryStore(), arrays=arrays, ngff_version=version)
    levels = read_multiscale_group(group, array_wrapper=ZarrArrayWrapper())
    assert list(levels) == ["s0", "s1"]
    for path, array in arrays.items():
        assert levels[path].dims == array.dims
        assert levels[path].shape == array.shape
        assert levels[path].dtype == array.dtype
        assert levels[path].name == image.name
        same_place(levels[path], array)


@settings(max_examples=60, deadline=None)
@given(image=images(), version=st.sampled_from(VERSIONS))
def test_what_was_read_makes_the_same_group_again(image: xarray.DataArray, version: str) -> None:
    arrays = {"s0": image, "s1": coarser(image)}
    first = model_multiscale_group(arrays=arrays, ngff_version=version)
    group = first.to_zarr(zarr.storage.MemoryStore(), "a")
    again = model_multiscale_group(arrays=read_multiscale_group(group), ngff_version=version)
    assert again.attributes == first.attributes
    assert again == first


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("wrapper", [ZarrArrayWrapper(), DaskArrayWrapper()])
def test_pixels_come_back_through_every_wrapper(version: str, wrapper: object) -> None:
    image = xarray.DataArray(np.arange(60, dtype=">u2").reshape(3, 4, 5), dims=("z", "y", "x"))
    group = create_multiscale_group(
        store=zarr.storage.MemoryStore(), arrays={"s0": image}, ngff_version=version, chunks=(2, 3, 2)
    )
    group["s0"][...] = image.values
    level = read_multiscale_group(group, array_wrapper=wrapper)["s0"]
    np.testing.assert_array_equal(level.values, image.values)
    np.testing.assert_array_equal(level.isel(z=1, y=slice(None, None, 2)).values, image.values[1, ::2])
    np.testing.assert_array_equal(level[..., [3, 0]].values, image.values[..., [3, 0]])
    alone = read_multiscale_array(group["s0"], array_wrapper=wrapper)
    assert alone.identical(level) or alone.equals(level)
