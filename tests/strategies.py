"""Images as OME-Zarr allows them, for hypothesis: every subset and order of axes, dtype and regular grid."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray
from hypothesis import strategies as st

DTYPES = (
    "bool",
    "int8",
    "uint8",
    "int16",
    "uint16",
    ">u2",
    "int32",
    "uint32",
    "int64",
    "uint64",
    "float16",
    "float32",
    "float64",
    ">f4",
    "complex64",
)
VERSIONS = ("0.4", "0.5", "0.6")
SPACE_UNITS = ("micrometer", "nanometer", "millimeter", "angstrom", None)
TIME_UNITS = ("second", "millisecond", None)


@st.composite
def axis_names(draw: st.DrawFn) -> tuple[str, ...]:
    """Two to five axes in the order that OME-Zarr asks for: time, channel, then space in any order."""
    count = draw(st.sampled_from([2, 3]))
    space = draw(st.permutations("zyx").map(lambda names: [n for n in names if count == 3 or n != "z"]))
    leading = [name for name in "tc" if draw(st.booleans())]
    return (*leading, *space)


@st.composite
def grids(draw: st.DrawFn) -> tuple[float, float]:
    """Step and start of a regular coordinate, as instruments give them: decimal, either direction."""
    step = draw(st.integers(1, 99_999)) * 10.0 ** draw(st.integers(-6, 1))
    start = draw(st.integers(-10_000, 10_000)) * step * draw(st.sampled_from([0.0, 0.5, 1.0, 0.1]))
    return (step if draw(st.booleans()) else -step), start


@st.composite
def images(draw: st.DrawFn, *, max_size: int = 9, dtypes: tuple[str, ...] = DTYPES) -> xarray.DataArray:
    """A DataArray with a regular, named, calibrated grid."""
    dims = draw(axis_names())
    shape = tuple(draw(st.integers(1, max_size)) for _ in dims)
    coords: dict[str, Any] = {}
    for dim, size in zip(dims, shape, strict=True):
        if dim == "c":
            continue
        step, start = draw(grids())
        attrs = {"scale": step} if size == 1 else {}
        unit = draw(st.sampled_from(TIME_UNITS if dim == "t" else SPACE_UNITS))
        if unit:
            attrs["units"] = unit
        coords[dim] = xarray.Variable((dim,), start + step * np.arange(size), attrs)
    if "c" in dims and draw(st.booleans()):
        names = [f"stain {i}" for i in range(shape[dims.index("c")])]
        coords["channel_label"] = ("c", names)
    dtype = draw(st.sampled_from(dtypes))
    data = (np.arange(np.prod(shape)) % 100).reshape(shape).astype(dtype)
    return xarray.DataArray(data, dims=dims, coords=coords, name=draw(st.sampled_from(["image", "cells 1"])))
