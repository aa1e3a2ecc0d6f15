"""What xarray says and OME-Zarr does not: true times, irregular positions, names of channels, ``attrs``."""

from __future__ import annotations

import datetime
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given
from hypothesis import strategies as st
from zarr.storage import MemoryStore

from napari_ome_ngff import (
    CoordinateError,
    Image,
    MetadataError,
    MultiscaleSource,
    OmeNgffWarning,
    append_to_image,
    edit_metadata,
    open_ome_ngff,
    save_ome_ngff,
    write_hierarchy,
    write_multiscale_group,
)
from napari_ome_ngff.coordinates import from_coordinates, grid_of
from napari_ome_ngff.metadata.group_kind import CARRIED

START = np.datetime64("2026-11-27T15:32:55.123", "ms")


def movie(times: Any = None, channels: Any = None, attrs: dict[str, Any] | None = None) -> xr.DataArray:
    n = 4 if times is None else len(times)
    c = 2 if channels is None else len(channels)
    array = xr.DataArray(np.ones((n, c, 8, 8), "u1"), dims=("t", "c", "y", "x"), name="movie", attrs=attrs)
    array = array if times is None else array.assign_coords(t=times)
    return array if channels is None else array.assign_coords(c=channels)


def saved(image: xr.DataArray, **options: Any) -> Image:
    store = MemoryStore()
    write_multiscale_group(store=store, image=image, **options).run()
    opened = open_ome_ngff(store)
    assert isinstance(opened, Image)
    return opened


def given_attrs(array: xr.DataArray) -> dict[Any, Any]:
    """Those that are not what the array carries of its image."""
    return {name: value for name, value in array.attrs.items() if name != CARRIED}


def finest(opened: Any) -> xr.DataArray:
    array: xr.DataArray = next(iter(opened.arrays.values()))
    return array


TIMES: dict[str, tuple[Any, float, float]] = {
    # values -> scale and translation in the file
    "regular stamps": (START + np.arange(4) * np.timedelta64(20, "s"), 20.0, 0.0),
    "uneven stamps": (START + np.array([0, 19, 41, 60]) * np.timedelta64(1, "s"), 20.0, 0.0),
    "nanoseconds": ((START + np.arange(4)).astype("M8[ns]"), 0.001, 0.0),
    "durations": (np.array([5, 25, 45, 65], "m8[s]"), 20.0, 5.0),
    "uneven durations": (np.array([5, 25, 44, 65], "m8[s]"), 20.0, 5.0),
    "uneven numbers": ([0.5, 1.5, 3.75, 6.5], 2.0, 0.5),
    "uneven integers": ([0, 1, 3, 6], 2.0, 0.0),
    "one stamp": ([START], 1.0, 0.0),
}


@pytest.mark.filterwarnings("ignore:Axis 't' is not regular")
@pytest.mark.parametrize("version", ["0.4", "0.6"])
@pytest.mark.parametrize("kind", TIMES)
def test_true_times_come_back_and_others_see_the_mean_step(kind: str, version: str) -> None:
    times, scale, start = TIMES[kind]
    opened = saved(movie(times), levels=2, ngff_version=version)
    for level in opened.arrays.values():
        np.testing.assert_array_equal(level.t.values, movie(times).t.values)
        assert level.t.dtype == movie(times).t.dtype
        assert (grid_of(level).scale[0], grid_of(level).translation[0]) == (scale, start)
    # And again, from what was read, as a whole and in part.
    for array in (finest(opened), finest(opened)[-3:]):
        again = saved(array)
        np.testing.assert_array_equal(finest(again).t.values, array.t.values)
    assert again.multiscale.axes == opened.multiscale.axes  # type: ignore[union-attr]
    times_axis = opened.multiscale.axes[0]  # type: ignore[union-attr]
    assert times_axis.unit == (None if "numbers" in kind or "integers" in kind else "second")


def test_regular_numbers_are_kept_as_numbers_alone() -> None:
    opened = saved(movie([0.0, 2.0, 4.0, 6.0]))
    assert not [name for name in opened.attributes if name.startswith("napari-ome-ngff")]


@pytest.mark.parametrize(("jitter", "warns"), [(0.0, False), (0.05, False), (0.25, True)])
def test_more_than_a_hundredth_of_jitter_is_said(jitter: float, warns: bool) -> None:
    times = START.astype("M8[ns]") + (np.array([0, 10, 20 + jitter, 30]) * 1e9).astype("m8[ns]")
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always")
        saved(movie(times))
    messages = [str(each.message) for each in noted if issubclass(each.category, OmeNgffWarning)]
    expected = "Axis 't' is not regular. Its mean step is written, 10 second, from which index 2 is 0.25 away"
    assert [expected in message for message in messages] == [True] * warns


def test_space_is_regular_or_refused() -> None:
    with pytest.raises(CoordinateError, match="axis 'x' is not regular at index 1"):
        saved(movie().assign_coords(x=[0, 1, 2, 3, 4, 5, 6, 9]))
    with pytest.raises(MetadataError, match="2 or 3 axes must be of type 'space'"):
        saved(movie().assign_coords(x=START + np.arange(8)))
    with pytest.raises(CoordinateError, match="axis 't' is not regular at index 1"):
        saved(movie([3.0, 3.0, 3.0, 3.0]))


def test_corrected_metadata_win_over_times_that_were_kept(tmp_path: Path) -> None:
    target = tmp_path / "a.ome.zarr"
    write_multiscale_group(store=target, image=movie(TIMES["regular stamps"][0])).run()
    edit_metadata(target, scale={"t": 3.0})
    assert finest(open_ome_ngff(target)).t.values.tolist() == [0, 3, 6, 9]


def test_times_stay_with_a_regular_part_of_the_axis() -> None:
    """napari's layers are regular: what is saved of them keeps the times of the slices that are left."""
    times = START + np.array([0, 20, 40, 60]) * np.timedelta64(1, "s")
    opened = saved(movie(times))
    layer = movie([20.0, 40.0])
    store = MemoryStore()
    write_hierarchy(
        store=store, sources={"": MultiscaleSource(image=layer, attributes=opened.attributes)}
    ).run()
    np.testing.assert_array_equal(finest(open_ome_ngff(store)).t.values, times[1:3])
    for other in (movie([20.0, 41.0]), movie([30.0, 50.0]), movie([60.0, 80.0])):
        store = MemoryStore()
        write_hierarchy(
            store=store, sources={"": MultiscaleSource(image=other, attributes=opened.attributes)}
        ).run()
        np.testing.assert_array_equal(finest(open_ome_ngff(store)).t.values, other.t.values)


def test_times_go_on_in_what_is_appended(tmp_path: Path) -> None:
    """One plane after the other, as a microscope delivers them; label images have those of their image."""
    target, times = tmp_path / "a.ome.zarr", START + np.array([0, 19, 41, 60]) * np.timedelta64(1, "s")
    planes = [movie(times)[[i]] for i in range(4)]
    save_ome_ngff(target, planes[0], labels={"cells": np.ones((1, 8, 8), "u1")})
    for plane in planes[1:3]:
        append_to_image(target, plane).run()
    append_to_image(target, planes[3].isel(t=0)).run()  # without the axis, at a point in time
    opened = open_ome_ngff(target)
    assert isinstance(opened, Image)
    for level in (finest(opened), finest(opened.labels["cells"])):
        np.testing.assert_array_equal(level.t.values, times)
        assert grid_of(level).scale[0] == 20
    with pytest.warns(OmeNgffWarning, match="The true positions along 't' end"):
        append_to_image(target, np.ones((1, 2, 8, 8), "u1"), axes="tcyx").run()
    assert finest(open_ome_ngff(target)).t.values.tolist() == [0, 20, 40, 60, 80]


KEPT = {"dtype": "datetime64[s]", "values": ["2026-01-01", "2026-01-02"], "scale": 1.0, "translation": 0.0}


@pytest.mark.parametrize(
    "change",
    [
        {"dtype": "O"},
        {"dtype": 3},
        {"values": ["x", "y"]},
        {"values": [[1], [2]]},
        {"values": ["2026-01-01", "NaT"]},
        {"dtype": "float64", "values": [1.0, "nan"]},
        {"dtype": "uint8", "values": [1, 2**80]},
        {"values": "2026"},
        {"values": ["2026-01-01"]},
        {"scale": None},
        {"translation": "0"},
    ],
)
def test_damaged_times_are_passed_over(change: dict[str, Any]) -> None:
    store = MemoryStore()
    write_multiscale_group(store=store, image=movie([0, 1])).run()
    group = zarr.open_group(store, mode="r+")
    key = "napari-ome-ngff:positions"
    group.attrs[key] = {"t": KEPT}
    assert finest(open_ome_ngff(store)).t.dtype.kind == "M"
    for damaged in ({"t": KEPT | change}, {"t": 3}, [1]):
        group.attrs[key] = damaged
        opened = open_ome_ngff(store)
        assert finest(opened).t.values.tolist() == [0, 1]
        write_multiscale_group(store=MemoryStore(), image=finest(opened)).run()


# --- channels


@pytest.mark.parametrize(
    ("channels", "names"),
    [
        ([488, 561], ["488", "561"]),
        ([488.0, 561.5, 640.0], ["488", "561.5", "640"]),
        ([405], ["405"]),
        (np.array([b"a", b"b"]), ["a", "b"]),
        ([0, 1], []),
        ([0.0], []),
    ],
)
def test_numbers_of_channels_are_names(channels: Any, names: list[str]) -> None:
    opened = saved(movie(channels=channels))
    assert [channel.label for channel in opened.multiscale.channels] == names  # type: ignore[union-attr]
    assert grid_of(finest(opened)).scale[1] == 1
    assert finest(opened).c.values.tolist() == list(range(len(channels)))
    again = saved(finest(opened).isel(c=slice(0, 1)))
    assert [channel.label for channel in again.multiscale.channels] == names[:1]  # type: ignore[union-attr]


# --- coarsen


@given(n=st.integers(2, 40), scale=st.sampled_from([0.25, 1.0, 3.5]), start=st.sampled_from([0.0, -7.0]))
def test_coarsened_to_one_voxel_the_scale_is_that_of_all_of_them(n: int, scale: float, start: float) -> None:
    """xarray keeps the attributes of coordinates, so that "scale" is that of the finer level."""
    x = ("x", start + scale * np.arange(n), {"scale": scale, "units": "micrometer"})
    fine = xr.DataArray(np.zeros((4, n)), dims=("y", "x"), coords={"x": x})
    coarse = fine.coarsen(x=n).mean()
    middle = fine.coarsen(x=2, boundary="trim").mean()
    m = n // 2
    last = middle.coarsen(x=m).mean()
    for levels, factor in (({"0": fine, "1": coarse}, n), ({"0": fine, "1": middle, "2": last}, 2 * m)):
        transform = from_coordinates(levels)[1][-1]
        assert transform.scale[1] == pytest.approx(factor * scale)
        assert transform.translation[1] == pytest.approx(start + scale * (factor - 1) / 2)


# --- attrs


def test_attrs_come_back_at_every_level() -> None:
    attrs = {"who": "me", "gain": np.float32(0.5), "at": np.arange(3), "more": {"a": [1, None, True]}}
    opened = saved(movie(attrs=attrs), levels=2)
    expected = {"who": "me", "gain": 0.5, "at": [0, 1, 2], "more": {"a": [1, None, True]}}
    assert [given_attrs(level) for level in opened.arrays.values()] == [expected] * 2
    assert given_attrs(saved(finest(opened)).arrays["0"]) == expected
    assert opened.attributes == {"napari-ome-ngff:attrs": expected}


@pytest.mark.parametrize(
    "value", [{1, 2}, float("nan"), datetime.date(2026, 1, 1), np.array([object()]), 1j, b"a", [float("inf")]]
)
def test_what_is_not_json_is_left_out_and_named(value: Any) -> None:
    with pytest.warns(OmeNgffWarning, match=r"cannot be stored as JSON and is left out: 'odd' \("):
        opened = saved(movie(attrs={"odd": value, "even": 2}))
    assert given_attrs(finest(opened)) == {"even": 2}


def test_attributes_of_arrays_are_attrs() -> None:
    store = MemoryStore()
    write_multiscale_group(store=store, image=movie(attrs={"a": 1, "b": 1}), levels=2).run()
    group = zarr.open_group(store, mode="r+")
    group["1"].attrs.update({"b": 2, "_ARRAY_DIMENSIONS": ["t"]})
    opened = open_ome_ngff(store)
    assert isinstance(opened, Image)
    assert [given_attrs(a) for a in opened.arrays.values()] == [{"a": 1, "b": 1}, {"a": 1, "b": 2}]
