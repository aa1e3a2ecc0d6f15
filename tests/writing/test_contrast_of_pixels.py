"""The contrast that is written is that of the pixels, seen in the pass that writes them."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
import xarray
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_ome_ngff import (
    Channel,
    Image,
    MultiscaleSource,
    OptionError,
    Window,
    open_ome_ngff,
    write_hierarchy,
    write_multiscale_group,
)
from napari_ome_ngff.writing.engine.seen_values import SeenValues, steps_for
from tests.strategies import images

NUMBERS = ("uint8", "int16", "uint16", ">u2", "uint32", "int64", "float16", "float32", "float64", ">f4")


def channels(store: Any, path: str = "") -> list[dict[str, Any]]:
    """``omero.channels`` as they stand in the file."""
    attributes = zarr.open_group(store, path=path, mode="r").attrs.asdict()
    return attributes.get("ome", attributes)["omero"]["channels"]


def written(image: xarray.DataArray, **options: Any) -> zarr.storage.MemoryStore:
    store = zarr.storage.MemoryStore()
    write_multiscale_group(store=store, image=image, **options).run()
    return store


def counts(*means: float) -> xarray.DataArray:
    """A channel of camera counts around each of these means."""
    rng = np.random.default_rng(0)
    pixels = np.stack([rng.poisson(mean, (70, 90)) for mean in means]).astype("u2")
    return xarray.DataArray(
        pixels,
        dims=("c", "y", "x"),
        coords={"channel_label": ("c", [f"stain {i}" for i in range(len(means))])},
    )


@settings(deadline=None, max_examples=12)
@given(images(max_size=6, dtypes=NUMBERS), st.sampled_from(["0.4", "0.5"]), st.integers(2, 5), st.data())
def test_the_window_is_that_of_the_pixels(
    image: xarray.DataArray, version: str, chunk: int, data: st.DataObject
) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    image = image.copy(data=rng.integers(0, 120, image.shape).astype(image.dtype))
    if image.dtype.kind == "f" and data.draw(st.booleans()):
        image = image.where(rng.random(image.shape) < 0.7)  # the others are NaN
    names = (Channel(),) * image.sizes.get("c", 1)
    options: dict[str, Any] = {"ngff_version": version, "channels": names}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shown = channels(written(image, chunks=(chunk,) * image.ndim, **options))
        # It does not depend on how an image is cut.
        assert shown == channels(written(image, **options))
    assert len(shown) == len(names)
    for i, channel in enumerate(shown):
        window, pixels = channel["window"], image.isel(c=i) if "c" in image.dims else image
        if not np.isfinite(pixels).any() or not (float(pixels.max()) or float(pixels.min())):
            continue  # nothing is to be seen
        least, most = float(pixels.min()), float(pixels.max())
        assert window["min"] <= window["start"] < window["end"] <= window["max"]
        assert (window["min"], window["max"]) == ((least, most) if least < most else (0, most))


def test_what_is_given_stays() -> None:
    given_window = Window(start=1, end=2, min=0, max=3)
    given_part = Window(start=900)
    image = counts(100, 1000)
    shown = channels(written(image, channels=(Channel(window=given_window), Channel(window=given_part))))
    assert shown[0]["window"] == {"start": 1, "end": 2, "min": 0, "max": 3}
    assert shown[1]["window"]["start"] == 900
    assert shown[1]["window"]["max"] == float(image[1].max())


def test_a_few_outliers_do_not_make_an_image_dark() -> None:
    image = counts(100)
    image[0, 3, 4] = 65535
    window = channels(written(image))[0]["window"]
    assert window["max"] == 65535
    assert window["end"] < 200


def test_the_window_of_copied_levels_is_that_of_the_coarsest() -> None:
    image = counts(100, 1000)
    plain, copied = written(image.drop_vars("channel_label"), levels=2), zarr.storage.MemoryStore()
    opened = open_ome_ngff(plain)
    assert isinstance(opened, Image)
    source = MultiscaleSource(arrays=opened.arrays, channels=(Channel(), Channel()))
    write_hierarchy(store=copied, sources={"": source}).run()
    coarsest = opened.arrays["1"]
    for i, channel in enumerate(channels(copied)):
        assert channel["window"]["min"] == float(coarsest[i].min())
        assert channel["window"]["max"] == float(coarsest[i].max())


def test_each_image_of_a_collection_has_its_own() -> None:
    store = zarr.storage.MemoryStore()
    sources = {"0": MultiscaleSource(image=counts(10)), "1": MultiscaleSource(image=counts(1000))}
    write_hierarchy(store=store, sources=sources).run()
    low, high = (channels(store, path)[0]["window"] for path in "01")
    assert low["max"] < high["min"]


@pytest.mark.parametrize("value", [0, 7])
def test_an_image_of_one_value_can_be_shown(value: int) -> None:
    image = xarray.DataArray(np.full((8, 8), value, "u2"), dims=("y", "x"))
    window = channels(written(image, channels=(Channel(),)))[0]["window"]
    assert window["start"] < window["end"]


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=5), st.integers(1, 2**16))
def test_the_sample_is_bounded_whatever_the_size(shape: list[int], room: int) -> None:
    assert (
        math.prod(-(-n // step) for n, step in zip(shape, steps_for(shape, None, room), strict=True)) <= room
    )


def test_blocks_may_come_in_any_order() -> None:
    image = np.random.default_rng(0).integers(0, 1000, (3, 400, 500))
    boxes = [
        (slice(0, 3), slice(y, y + 100), slice(x, x + 125))
        for y in range(0, 400, 100)
        for x in range(0, 500, 125)
    ]
    one, other = SeenValues(image.shape, 0), SeenValues(image.shape, 0)
    for seen, order in ((one, boxes), (other, boxes[::-1])):
        for box in order:
            seen.add(seen.sampling.look(image[box], box))
    assert one.windows(image.dtype) == other.windows(image.dtype)


def test_there_are_as_many_channels_as_in_the_pixels() -> None:
    image = counts(1, 2, 3)
    assert len(channels(written(image, channels=(Channel(label="first"),)))) == 3
    with pytest.raises(OptionError, match="4 channels are described, but the image has 3"):
        written(image, channels=(Channel(),) * 4)
