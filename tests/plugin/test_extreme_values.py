"""Values at the ends of what numbers can be: finite and useful contrast, and layers that napari opens."""

from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import example, given, settings
from hypothesis import strategies as st
from napari.components import ViewerModel
from napari.layers import Layer
from zarr.storage import MemoryStore

from napari_ome_ngff.errors import OmeNgffWarning, UnsupportedError
from napari_ome_ngff.metadata.nouns import Window
from napari_ome_ngff.plugin.colors import slider_range, usable_limits
from napari_ome_ngff.plugin.open.viewer_hooks import widen_range
from napari_ome_ngff.plugin.reader import open_layers
from tests.cases import build

FLOATS, WHOLE = ("f2", "f4", "f8", ">f4", ">f8"), ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", ">u8", "?")
SINGLE = float(np.finfo("f4").max)


def extremes(dtype: str) -> list[Any]:
    if np.dtype(dtype).kind == "b":
        return [False, True]
    if np.dtype(dtype).kind in "iu":
        i = np.iinfo(dtype)
        return [i.min, i.max, 0, 1, i.max - 1, i.min + 1, i.max // 2]
    f = np.finfo(dtype)
    least = [f.tiny, f.smallest_subnormal, 1 + f.eps]
    wide = [1e300, -1e300, 1e-300, 1e39] if dtype.endswith("f8") else []
    return [np.nan, np.inf, -np.inf, f.max, f.min, *least, 0, -0.0, 1, -1, *wide]


@st.composite
def pictures(draw: st.DrawFn) -> np.ndarray:
    """Arrays of one to three different extreme values, of one voxel and more."""
    dtype = draw(st.sampled_from([*FLOATS, *WHOLE]))
    shape = draw(st.sampled_from([(1, 1), (2, 3), (1, 1, 1), (3, 2, 2), (2, 1, 3, 3)]))
    used = draw(st.lists(st.sampled_from(extremes(dtype)), min_size=1, max_size=3))
    return np.resize(np.array(used, dtype), shape)


def stored(pixels: np.ndarray, levels: int = 1) -> MemoryStore:
    store = MemoryStore()
    group = zarr.create_group(store, zarr_format=3)
    for level in range(levels):
        shape = tuple(max(n, 1) for n in pixels.shape)
        array = group.create_array(str(level), shape=pixels.shape, chunks=shape, dtype=pixels.dtype)
        array[...] = pixels
    axes = build.axes_of("tzyx"[-pixels.ndim :])
    place = {"coordinateTransformations": [{"type": "scale", "scale": [1.0] * pixels.ndim}]}
    datasets = [{"path": str(level), **place} for level in range(levels)]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}
    return store


def is_usable(limits: Any) -> bool:
    """Whether napari, which counts in single precision, can divide by what is between them."""
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        low, high = np.array(limits, "f4")
        return bool(np.isfinite(np.float32(1) / (high - low)))


@given(pixels=pictures())
@example(pixels=np.array([[0, 1e-45]], "f4"))
@example(pixels=np.array([[1, 1.7e308]], "f8"))
@example(pixels=np.array([[2.0**63 - 1024, 2.0**63]], "f8"))
def test_whatever_the_values_are_they_are_shown(pixels: np.ndarray) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DeprecationWarning)
        (tuple_,) = open_layers(stored(pixels), "image")[1]
        low, high = tuple_[1]["contrast_limits"]
        model = ViewerModel()
        layer = model.add_layer(Layer.create(*tuple_))
        widen_range(SimpleNamespace(value=layer))
        model.dims.ndisplay = min(3, pixels.ndim)
        model.dims.set_point(0, pixels.shape[0] - 1)
    assert is_usable((low, high))
    assert is_usable(layer.contrast_limits_range)
    shown = pixels[np.isfinite(pixels)].astype(float)
    if shown.size:  # something lies between the limits, as far as a graphics card can count
        clipped = np.clip(shown, -SINGLE / 4, SINGLE / 4).astype("f4").astype(float)
        assert np.float32(low) <= clipped.max()
        assert clipped.min() <= np.float32(high)


@given(st.floats(allow_nan=False), st.floats(allow_nan=False), st.floats(), st.floats())
@settings(deadline=None)
def test_limits_and_slider_of_a_file_are_usable_or_not_used(
    a: float, b: float, low: float, high: float
) -> None:
    if (limits := usable_limits(a, b)) is None:
        return
    assert is_usable(limits)
    for dtype in ("u1", "u2", "i8", "f4"):
        ends = slider_range(Window(start=a, end=b, min=low, max=high), limits, np.dtype(dtype))
        assert is_usable(ends)
        assert ends[0] <= limits[0] < limits[1] <= ends[1]


@pytest.mark.parametrize("shape", [(0, 4, 5), (3, 0, 5), (3, 4, 0), (0, 0), (0, 2, 3, 4)])
def test_an_image_without_pixels_is_refused_as_such(shape: tuple[int, ...]) -> None:
    with pytest.raises(UnsupportedError, match="has no pixels"):
        open_layers(stored(np.empty(shape, "u2")), "image")


def test_what_has_no_pixels_does_not_take_the_rest_with_it() -> None:
    """An empty label image is left out; so is an empty image among several."""
    store = stored(np.ones((4, 5), "u2"))
    group = zarr.open_group(store)
    for name, shape in (("cells", (4, 5)), ("none", (0, 5))):
        inner = zarr.open_group(stored(np.ones(shape, "u2")), mode="r")
        label = group.require_group("labels").create_group(name)
        label.create_array("0", shape=shape, chunks=(4, 5), dtype="u2")
        label.attrs.update(inner.attrs.asdict())
    group["labels"].attrs["ome"] = {"version": "0.5", "labels": ["cells", "none"]}
    with pytest.warns(OmeNgffWarning, match=r"Label image 'none' is not shown: The image has no pixels"):
        layers = open_layers(store, "image")[1]
    assert [layer[2] for layer in layers] == ["image", "labels"]

    series = MemoryStore()
    root = zarr.create_group(
        series, zarr_format=3, attributes={"ome": {"bioformats2raw.layout": 3, "version": "0.5"}}
    )
    for name, shape in (("0", (0, 5)), ("1", (4, 5))):
        image = root.create_group(name)
        image.create_array("0", shape=shape, chunks=(4, 5), dtype="u2")
        image.attrs.update(inner.attrs.asdict())
    with pytest.warns(OmeNgffWarning, match="is not shown: The image has no pixels"):
        layers = open_layers(series, "series")[1]
    assert [layer[1]["visible"] for layer in layers] == [True]
