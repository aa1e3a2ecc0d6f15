"""Coordinates say the same as transforms; what they leave open has one defined result, or one clear error."""

from __future__ import annotations

import tracemalloc

import dask.array
import numpy as np
import pytest
import xarray
from hypothesis import given
from hypothesis import strategies as st
from xarray.indexes import RangeIndex

from napari_ome_ngff.coordinates import (
    CHANNEL_LABEL,
    axis_coordinates,
    from_coordinates,
    grid_of,
    to_coordinates,
)
from napari_ome_ngff.errors import CoordinateError, MetadataError
from napari_ome_ngff.long_axes import longest_ordinary
from napari_ome_ngff.metadata.nouns import Axis, Channel, Level, Multiscale, ScaleTranslation


def image(shape: tuple[int, ...], dims: tuple[str, ...], **coords: object) -> xarray.DataArray:
    return xarray.DataArray(np.zeros(shape, "uint8"), dims=dims, coords=coords)


def transform_of(array: xarray.DataArray, *others: xarray.DataArray) -> list[ScaleTranslation]:
    levels = {f"s{i}": level for i, level in enumerate((array, *others))}
    return list(from_coordinates(levels)[1])


def test_level_transform_comes_first_then_the_multiscale_transform() -> None:
    # (x10, +100) after (x2, +3): S * (s*i + t) + T = 10 * (2i + 3) + 100, not 20i + 103
    multiscale = Multiscale(
        version="0.4",
        axes=(Axis(name="y", type="space"), Axis(name="x", type="space", unit="micrometer")),
        levels=(Level(path="0", transform=ScaleTranslation(scale=(1.0, 2.0), translation=(0.0, 3.0))),),
        transform=ScaleTranslation(scale=(1.0, 10.0), translation=(0.0, 100.0)),
    )
    coordinates = to_coordinates(multiscale, 0, (1, 3))
    assert coordinates["x"].values.tolist() == [130.0, 150.0, 170.0]
    assert coordinates["x"].attrs == {"scale": 20.0, "units": "micrometer", "type": "space"}
    assert "units" not in coordinates["y"].attrs


numbers = st.floats(-1e12, 1e12, allow_subnormal=False)


@given(st.lists(st.tuples(numbers.filter(bool), numbers, st.integers(1, 40)), min_size=1, max_size=5))
def test_the_grid_of_a_level_is_its_transform_to_the_last_bit(axes: list[tuple[float, float, int]]) -> None:
    scale, translation, shape = zip(*axes, strict=True)
    dims = [f"d{i}" for i in range(len(axes))]
    transform = ScaleTranslation(scale=scale, translation=translation)
    multiscale = Multiscale(
        version="0.5",
        axes=tuple(Axis(name=dim, type="space") for dim in dims),
        levels=(Level(path="0", transform=transform),),
    )
    level = xarray.DataArray(np.zeros(shape), to_coordinates(multiscale, 0, shape), dims)
    assert grid_of(level) == transform


def test_channel_names_lie_along_the_channel_axis_one_per_channel() -> None:
    multiscale = Multiscale(
        version="0.5",
        axes=(Axis(name="c", type="channel"), Axis(name="y", type="space"), Axis(name="x", type="space")),
        levels=(Level(path="0", transform=ScaleTranslation(scale=(1.0,) * 3, translation=(0.0,) * 3)),),
        channels=(Channel(label="DAPI"), Channel()),
    )
    labels = to_coordinates(multiscale, 0, (3, 1, 1))[CHANNEL_LABEL]
    assert labels.dims == ("c",)
    assert labels.values.tolist() == ["DAPI", "Channel 1", "Channel 2"]


def test_an_array_with_another_number_of_dimensions_is_refused() -> None:
    multiscale = Multiscale(
        version="0.5",
        axes=(Axis(name="y"), Axis(name="x")),
        levels=(Level(path="0", transform=ScaleTranslation(scale=(1.0, 1.0), translation=(0.0, 0.0))),),
    )
    with pytest.raises(MetadataError, match="3 dimensions"):
        to_coordinates(multiscale, 0, (1, 2, 3))


def test_axes_follow_dims_not_the_order_of_coords() -> None:
    array = image(
        (4, 8, 6), ("z", "y", "x"), x=np.arange(6) * 0.25, y=np.arange(8) * 0.5, z=np.arange(4) * 2.0
    )
    axes, transforms = from_coordinates({"s0": array})
    assert [axis.name for axis in axes] == ["z", "y", "x"]
    assert transforms[0].scale == (2.0, 0.5, 0.25)


def test_an_axis_of_one_voxel_keeps_the_scale_of_its_attribute() -> None:
    z = xarray.Variable(("z",), [7.0], {"scale": 3.0, "units": "micrometer"})
    assert transform_of(image((1, 2, 2), ("z", "y", "x"), z=z))[0].scale[0] == 3.0


def test_an_axis_of_one_voxel_takes_its_scale_from_the_finest_level() -> None:
    fine = image((2, 2), ("y", "x"), y=[0.0, 5.0])
    mean_of_both = image((1, 2), ("y", "x"), y=[2.5])
    first_of_both = image((1, 2), ("y", "x"), y=[0.0])
    assert [t.scale[0] for t in transform_of(fine, mean_of_both)] == [5.0, 10.0]
    assert [t.scale[0] for t in transform_of(fine, first_of_both)] == [5.0, 10.0]


def test_slicing_to_one_plane_keeps_the_pixel_size() -> None:
    # isel(z=slice(5, 6)) of what was read: the earlier implementation made it 1
    multiscale = Multiscale(
        version="0.5",
        axes=tuple(Axis(name=n, type="space", unit="micrometer") for n in "zyx"),
        levels=(Level(path="0", transform=ScaleTranslation(scale=(3.0, 1.0, 1.0), translation=(0.0,) * 3)),),
    )
    array = xarray.DataArray(
        np.zeros((9, 2, 2)), dims=("z", "y", "x"), coords=to_coordinates(multiscale, 0, (9, 2, 2))
    )
    transform = transform_of(array.isel(z=slice(5, 6)))[0]
    assert (transform.scale[0], transform.translation[0]) == (3.0, 15.0)


def test_every_second_voxel_has_twice_the_scale_whatever_the_attribute_says() -> None:
    x = xarray.Variable(("x",), np.arange(8) * 0.5, {"scale": 0.5})
    assert transform_of(image((2, 8), ("y", "x"), x=x).isel(x=slice(None, None, 2)))[0].scale[1] == 1.0


def test_descending_coordinates_have_a_negative_scale() -> None:
    transform = transform_of(image((3, 2), ("y", "x"), y=[4.0, 2.0, 0.0]))[0]
    assert (transform.scale[0], transform.translation[0]) == (-2.0, 4.0)


def test_a_dim_without_coordinate_is_placed_by_its_size() -> None:
    transforms = transform_of(image((8, 8), ("y", "x")), image((4, 8), ("y", "x")))
    assert transforms[0] == ScaleTranslation(scale=(1.0, 1.0), translation=(0.0, 0.0))
    assert transforms[1] == ScaleTranslation(scale=(2.0, 1.0), translation=(0.5, 0.0))


def test_channel_names_instead_of_numbers_are_fine_on_a_channel_axis() -> None:
    transform = transform_of(image((2, 2, 2), ("c", "y", "x"), c=["DAPI", "GFP"]))[0]
    assert (transform.scale[0], transform.translation[0]) == (1.0, 0.0)


def test_a_scalar_coordinate_left_over_from_isel_does_not_matter() -> None:
    array = image((2, 2, 2), ("z", "y", "x"), z=[0.0, 3.0]).isel(z=1)
    assert [axis.name for axis in from_coordinates({"s0": array})[0]] == ["y", "x"]


def test_durations_become_seconds() -> None:
    array = image((3, 2, 2), ("t", "y", "x"), t=np.arange(3) * np.timedelta64(1500, "ms"))
    axes, transforms = from_coordinates({"s0": array})
    assert (axes[0].type, axes[0].unit, transforms[0].scale[0]) == ("time", "second", 1.5)


@pytest.mark.parametrize("unit", ["pixel", "px", "", None])
def test_no_physical_unit_is_no_unit(unit: str | None) -> None:
    array = image((2, 2), ("y", "x"), y=xarray.Variable(("y",), [0.0, 1.0], {"units": unit}))
    axis = from_coordinates({"s0": array})[0][0]
    assert (axis.unit, axis.type) == (None, "space")


@pytest.mark.parametrize(("unit", "name"), [("um", "micrometer"), ("µm", "micrometer"), ("nm", "nanometer")])
def test_abbreviated_units_become_udunits_names(unit: str, name: str) -> None:
    array = image((2, 2), ("y", "x"), y=xarray.Variable(("y",), [0.0, 1.0], {"units": unit}))
    assert from_coordinates({"s0": array})[0][0].unit == name


def test_steps_are_the_decimal_numbers_that_were_meant() -> None:
    # 0.1 * 3 is 0.30000000000000004; the file must say 0.1
    array = image((7, 2), ("y", "x"), y=np.arange(7) * 0.1 + 0.7)
    assert transform_of(array)[0] == ScaleTranslation(scale=(0.1, 1.0), translation=(0.7, 0.0))


def test_float32_coordinates_are_regular_enough() -> None:
    array = image((5000, 1), ("y", "x"), y=(np.arange(5000, dtype="float32") * np.float32(0.325) + 1000))
    assert transform_of(array)[0].scale[0] == pytest.approx(0.325, rel=1e-4)


def refused(message: str, *arrays: xarray.DataArray) -> None:
    with pytest.raises(CoordinateError, match=message):
        transform_of(*arrays)


def test_errors_name_the_axis_and_the_index() -> None:
    two = image((2, 2), ("y", "x"))
    refused("axis 'y' is not regular at index 1", image((4, 1), ("y", "x"), y=[0, 1, 5, 6]))
    refused("axis 'y' is not regular at index 1", image((3, 1), ("y", "x"), y=[2.0, 2.0, 2.0]))
    refused("axis 'y' is not finite at index 1", image((3, 1), ("y", "x"), y=[0.0, np.nan, 2.0]))
    refused("axis 'y' is not made of numbers", image((2, 2), ("y", "x"), y=["a", "b"]))
    stamps = np.array(["2026-01-01", "NaT"], "datetime64[ns]")
    refused("axis 't' is not finite at index 1", image((2, 1, 1), ("t", "y", "x"), t=stamps))
    refused("'s0' and 's1' have different dims", two, two.transpose("x", "y"))
    um, nm = (two.assign_coords(y=xarray.Variable(("y",), [0.0, 1.0], {"units": u})) for u in ("um", "nm"))
    refused("The levels give axis 'y' different units", um, nm)
    odd = two.assign_coords(y=xarray.Variable(("y",), [0.0, 1.0], {"units": "furlongs", "type": "space"}))
    refused("Axis 'y' has the unit 'furlongs'", odd)
    with pytest.raises(CoordinateError, match="no array"):
        from_coordinates({})


KEEPS_STEP = RangeIndex.arange(0.0, 0.95, 0.1, dim="x").transform.step == 0.1  # type: ignore[attr-defined]
"""Older versions of xarray divide the range by the number of positions."""


@pytest.mark.parametrize("scale", [0.1, -0.1, 1 / 3, 1e-30, 7e9])
@pytest.mark.parametrize("translation", [0.0, -1 / 7, 5e-30, 1e17, 1e300])
@pytest.mark.parametrize("size", [2**18 + 1, 10**8, 2**31])
def test_positions_of_a_very_long_axis_are_worked_out_when_asked_for(
    scale: float, translation: float, size: int
) -> None:
    axes = (Axis(name="y", type="space"), Axis(name="x", type="space", unit="micrometer"))
    transform = ScaleTranslation(scale=(2.0, scale), translation=(0.0, translation))
    data = dask.array.zeros((4, size), chunks=(4, 2**24), dtype="u1")
    tracemalloc.start()
    array = xarray.DataArray(data, dims=("y", "x"), coords=axis_coordinates(axes, transform, data.shape))
    assert grid_of(array) == transform
    position = array.coords["x"]
    assert position.attrs == {"scale": scale, "units": "micrometer", "type": "space"}
    assert position.size == size
    if abs(translation) < 1e15 * abs(scale):  # further away, voxels cannot be told apart
        # The same as of any other axis, to the last bit.
        assert position[size - 3 :].values.tolist() == [translation + scale * (size - i) for i in (3, 2, 1)]
        _, (read, _) = from_coordinates({"0": array, "1": array[:, ::2]})
        assert read.scale == transform.scale
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 * 2**20


def test_many_levels_of_long_axes_get_a_bounded_number_of_positions() -> None:
    shapes = [(2**17, 2**17)] * 64
    assert sum(n for shape in shapes for n in shape if n <= longest_ordinary(shapes)) <= 2**20
    assert longest_ordinary([(100_000 >> i, 200_000 >> i) for i in range(8)]) >= 200_000
