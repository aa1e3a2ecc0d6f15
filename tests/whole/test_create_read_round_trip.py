"""The law of the library: what is created and read again has the same coordinates, units and names."""

from __future__ import annotations

import numpy as np
import pytest
import xarray
import zarr
from hypothesis import given
from hypothesis import strategies as st

from napari_ome_ngff import (
    DaskArrayWrapper,
    ZarrArrayWrapper,
    create_multiscale_group,
    model_multiscale_group,
    read_multiscale_array,
    read_multiscale_group,
)
from tests.strategies import DTYPES, VERSIONS, images

NATIVE = tuple(dtype for dtype in DTYPES if not dtype.startswith(">"))


def coarser(image: xarray.DataArray) -> xarray.DataArray:
    """Half the size along every spatial dim that has two voxels, by xarray's own rule for coordinates."""
    factors = {dim: 2 for dim in image.dims if dim not in ("t", "c") and image.sizes[dim] > 1}
    reduced = image.astype("float64") if image.dtype.kind == "b" else image
    if image.dtype.kind == "c":
        reduced = image.real
    mean = reduced.coarsen(factors, boundary="trim").mean() if factors else image
    return mean.astype(image.dtype).assign_attrs(image.attrs)


def ascending(image: xarray.DataArray) -> xarray.DataArray:
    """Turn axes that run backwards: other programs refuse negative scales."""
    for dim in image.dims:
        if dim in image.coords and image.coords[dim].attrs.get("scale", 1) < 0:
            image = image.assign_coords({dim: (dim, image.coords[dim].values, {"scale": 1.0})})
        elif dim in image.coords and image.sizes[dim] > 1 and image.coords[dim][1] < image.coords[dim][0]:
            image = image.isel({dim: slice(None, None, -1)})
    return image


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


@given(image=images(), version=st.sampled_from(VERSIONS))
def test_read_gives_back_what_create_was_given(image: xarray.DataArray, version: str) -> None:
    image = ascending(image)
    arrays = {"s0": image, "s1": coarser(image)}
    group = create_multiscale_group(store=zarr.storage.MemoryStore(), arrays=arrays, ngff_version=version)
    levels = read_multiscale_group(group, array_wrapper=ZarrArrayWrapper())
    assert list(levels) == ["s0", "s1"]
    for path, array in arrays.items():
        assert levels[path].dims == array.dims
        assert levels[path].shape == array.shape
        # Zarr v3 keeps the byte order to itself and hands out the machine's
        assert levels[path].dtype.newbyteorder("=") == array.dtype.newbyteorder("=")
        assert levels[path].name == image.name
        same_place(levels[path], array)


@given(image=images(dtypes=NATIVE), version=st.sampled_from(VERSIONS))
def test_what_was_read_makes_the_same_group_again(image: xarray.DataArray, version: str) -> None:
    image = ascending(image)
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
