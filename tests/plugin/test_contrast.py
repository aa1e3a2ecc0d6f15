"""Contrast from a bounded look: how much is read, in how many waves, and what comes of it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import pytest
import xarray
import zarr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from napari_ome_ngff.metadata.nouns import Axis, Channel, Multiscale, Window
from napari_ome_ngff.plugin.open.contrast import (
    IMAGES_AT_MOST,
    TILES_AT_MOST,
    _window,
    estimate_limits,
    read_as_one,
)
from napari_ome_ngff.plugin.open.to_layers import to_layers
from napari_ome_ngff.reading.opened import Collection, Image, Tile
from napari_ome_ngff.storage.pixels.array_wrap import DaskArrayWrapper
from tests.plugin.test_layers import TYPES, make_image


def an_image(data: Any, dims: str, **more: Any) -> Image:
    axes = tuple(Axis(name=dim, type=TYPES[dim]) for dim in dims)
    noun = Multiscale(version="0.5", axes=axes, levels=(), **more.pop("multiscale", {}))
    return Image(location="", multiscale=noun, arrays={"0": xarray.DataArray(data, dims=list(dims))}, **more)


def limits_of(image: Image, **options: int) -> Any:
    """The limits of each channel of one image."""
    return estimate_limits(image, **options)[""]


class CountingStore(zarr.storage.LocalStore):
    """A folder that knows which chunks were asked for, and how many at the same time."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, read_only=True)
        self.keys: set[str] = set()

    async def get(self, key: str, *rest: Any, **options: Any) -> Any:
        if not key.endswith("zarr.json"):
            self.keys.add(key)
        return await super().get(key, *rest, **options)


def on_disk(path: Path, shape: tuple[int, ...], chunks: tuple[int, ...]) -> tuple[Any, CountingStore]:
    array = zarr.create_array(path, shape=shape, chunks=chunks, dtype="uint16")
    array[...] = np.arange(np.prod(shape)).reshape(shape) % 60013
    store = CountingStore(path)
    data = DaskArrayWrapper().wrap(zarr.open_array(store, mode="r"))
    store.keys.clear()
    return data, store


def test_chunks_count_as_a_whole(tmp_path: Path) -> None:
    data, store = on_disk(tmp_path / "a", (3, 20, 256, 256), (1, 1, 64, 64))
    assert read_as_one(data)[0] == (1, 1, 64, 64)
    nbytes = 3 * 3 * 4 * 64 * 64 * 2  # four chunks of three planes of three channels
    limits = limits_of(an_image(data, "czyx"), nbytes=nbytes)
    assert all(limit is not None for limit in limits)
    assert len(store.keys) == 3 * 3 * 4
    assert {key.split("/")[2] for key in store.keys} == {"3", "9", "15"}  # depths; 9 is shown first
    assert {key.split("/")[3] for key in store.keys} == {"1", "2"}


def test_one_chunk_of_each_channel_is_read_however_large_it_is(tmp_path: Path) -> None:
    data, store = on_disk(tmp_path / "a", (2, 4, 64, 64), (1, 4, 64, 64))
    assert None not in limits_of(an_image(data, "czyx"), nbytes=1)
    assert len(store.keys) == 2


def test_all_channels_and_images_are_read_at_once() -> None:
    together = threading.Barrier(6, timeout=20)

    class Waiting:
        """Nothing is read before everything is asked for."""

        shape, dtype, ndim = (3, 4, 4), np.dtype("uint8"), 3

        def __getitem__(self, key: Any) -> np.ndarray:
            together.wait()
            return np.arange(48, dtype="uint8").reshape(3, 4, 4)[key]

    def waiting() -> Image:
        data = dask.array.from_array(
            Waiting(), chunks=(1, 4, 4), name=False, meta=np.empty((0,) * 3, "uint8")
        )
        return an_image(data, "cyx")

    both = Collection(location="", kind="scene", name=None, images={"a": waiting(), "b": waiting()})
    found = estimate_limits(both)
    assert list(found) == ["a", "b"]
    assert found["a"] == found["b"]
    assert None not in found["a"]


def test_a_long_series_gets_the_contrast_of_its_first_images() -> None:
    read: list[int] = []

    def data(number: int) -> Any:
        def values(block: np.ndarray) -> np.ndarray:
            read.append(number)
            return block + np.arange(16).reshape(4, 4) * (number + 1)

        return dask.array.map_blocks(values, dask.array.zeros((4, 4)), dtype=float, meta=np.empty((0, 0)))

    images = {str(i): an_image(data(i), "yx") for i in range(IMAGES_AT_MOST + 3)}
    images["other"] = make_image("cyx", levels=1)
    found = estimate_limits(Collection(location="", kind="collection", name=None, images=images))
    assert sorted(read) == list(range(IMAGES_AT_MOST))
    assert found[str(IMAGES_AT_MOST + 2)] == found["0"]
    assert found["other"] == (None,) * 3
    assert len(to_layers(Collection(location="", kind="scene", name=None, images={}), limits=found)) == 0


def plate(wells: int, edge: int) -> tuple[tuple[Tile, ...], np.ndarray]:
    values = np.zeros((wells * edge, 2 * edge), "uint16")
    tiles = []
    for row in range(wells):
        place = {"y": row * edge, "x": edge, "height": edge, "width": edge}
        tiles.append(Tile(well=f"{row}", field="0", location="", row=row, column=1, **place))
        values[row * edge : (row + 1) * edge, edge:] = np.arange(edge * edge).reshape(edge, edge) + 100
    return tuple(tiles), values


@pytest.mark.parametrize("wells", [1, 2, TILES_AT_MOST, 96])
def test_of_a_plate_some_fields_are_read_and_nothing_between(wells: int) -> None:
    tiles, values = plate(wells, 10)
    read: list[tuple[slice, ...]] = []

    class Spy:
        shape, dtype, ndim = values.shape, values.dtype, 2

        def __getitem__(self, key: tuple[slice, ...]) -> np.ndarray:
            read.append(key)
            return values[key]

    data = dask.array.from_array(Spy(), chunks=-1, name=False, meta=np.empty((0, 0), "uint16"))
    ((low, high),) = limits_of(an_image(data, "yx", tiles=tiles))
    assert 100 <= low < high <= 199
    assert min(wells, 3) <= len(read) <= TILES_AT_MOST if wells != 2 else len(read) == 2
    assert all(key[1].start >= 10 for key in read)


def test_fields_are_found_in_coarser_levels() -> None:
    tiles, values = plate(4, 16)
    fine = an_image(values, "yx", tiles=tiles)
    coarse = xarray.DataArray(values[::4, ::4], dims=["y", "x"])
    image = Image(
        location="",
        multiscale=fine.multiscale,
        arrays={"0": fine.arrays["0"], "1": coarse},
        tiles=tiles,
    )
    ((low, _),) = limits_of(image)
    assert low >= 100


def test_what_the_file_says_is_not_looked_for() -> None:
    known = (Channel(window=Window(start=1, end=2)),)
    image = make_image("yx", channels=known)
    assert limits_of(image) == (None,)
    # of several descriptions without a channel axis nobody knows which one it is
    assert limits_of(make_image("yx", channels=(*known, Channel()))) != (None,)


@pytest.mark.parametrize(
    "dtype", ["u1", "<u2", ">u2", ">i4", "i8", "u8", "f2", ">f4", "f8", "c8", "c16", "?"]
)
def test_every_type_has_contrast(dtype: str) -> None:
    values = (np.arange(64) % 50).reshape(8, 8).astype(dtype)
    (limits,) = limits_of(an_image(values, "yx"))
    assert (limits is None) == (dtype == "?")
    if limits is not None:
        assert 0 <= limits[0] < limits[1] <= 49


@given(
    arrays.arrays(
        st.sampled_from(["u1", "i8", "u8", "f2", "f8", "c16"]).map(np.dtype),
        arrays.array_shapes(min_dims=2, max_dims=2, max_side=5),
    )
)
def test_limits_are_finite_and_differ(values: np.ndarray) -> None:
    (limits,) = limits_of(an_image(values, "yx"))
    if limits is not None:
        assert np.isfinite(limits).all()
        assert np.float32(limits[0]) < np.float32(limits[1])


@given(
    start=st.integers(0, 50),
    sizes=st.tuples(st.integers(1, 200), st.integers(1, 200)),
    unit=st.tuples(st.integers(1, 64), st.integers(1, 64)),
    room=st.integers(0, 30),
)
def test_a_window_holds_no_more_chunks_than_there_is_room_for(
    start: int, sizes: tuple[int, int], unit: tuple[int, int], room: int
) -> None:
    region = [range(start, start + size) for size in sizes]
    found = _window(region, unit, room)
    chunks = 1
    for part, whole, size in zip(found, region, unit, strict=True):
        assert whole.start <= part.start < part.stop <= whole.stop
        chunks *= (part.stop - 1) // size - part.start // size + 1
    assert chunks <= max(1, room)
