"""Which Zarr array lazy data are: never said of anything that holds other values than that array."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import dask.array as da
import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given
from hypothesis import strategies as st

from napari_ome_ngff.storage.pixels.array_wrap import DaskArrayWrapper
from napari_ome_ngff.storage.pixels.provenance import rejoined, stored_array
from napari_ome_ngff.storage.pixels.source import ChunkedSource
from napari_ome_ngff.storage.pixels.xarray_backend import lazily_indexed

SHAPE = (2, 3, 4)


def stored(shape: tuple[int, ...] = SHAPE) -> zarr.Array[Any]:
    array = zarr.create_array({}, shape=shape, chunks=(1,) * len(shape), dtype="uint16")
    array[...] = np.arange(np.prod(shape)).reshape(shape)
    return array


def assign(array: Any) -> Any:
    array[0] = 77
    return array


def add_in_place(array: Any) -> Any:
    da.add(array, 1, out=array)
    return array


def edited_behind(array: Any) -> Any:
    """Transposed, then the array that it was transposed from is assigned to, then transposed back."""
    turned = array.transpose(*range(array.ndim)[::-1])
    array[0] = 77
    return turned.transpose(*range(array.ndim)[::-1])


OPERATIONS: dict[str, Any] = {
    "everything": lambda a: a[...],
    "slice": lambda a: a[..., 1:] if a.shape[-1] > 1 else a,
    "backwards": lambda a: a[::-1],
    "position": lambda a: a[1] if a.ndim > 1 and len(a) > 1 else a,
    "new axis": lambda a: a[np.newaxis],
    "list": lambda a: a[[1, 0]] if len(a) > 1 else a,
    "mask": lambda a: a[np.ones(len(a), bool)],
    "transpose": lambda a: a.transpose(),
    "move": lambda a: da.moveaxis(a, 0, -1),
    "swap": lambda a: a.swapaxes(0, -1),
    "T": lambda a: a.T,
    "without it": lambda a: a[:, 0] if a.ndim > 1 else a,
    "cast": lambda a: a.astype("uint8"),
    "same type": lambda a: a.astype(a.dtype),
    "view": lambda a: a.view("uint8"),
    "plus": lambda a: a + 1,
    "nothing added": lambda a: a + 0,
    "assign": assign,
    "add in place": add_in_place,
    "edited behind": edited_behind,
    "copy": copy.copy,
    "deep copy": copy.deepcopy,
    "rechunk": lambda a: a.rechunk(1),
    "ravel": lambda a: a.ravel(),
    "map": lambda a: a.map_blocks(np.invert),  # no lambda, which older versions of dask cannot pickle
    "stack": lambda a: da.stack([a[0], a[-1]]),
    "flip": lambda a: da.flip(a, 0),
    "roll": lambda a: da.roll(a, 1, 0),
    "pickle": lambda a: pickle.loads(pickle.dumps(a)),
    "xarray": lambda a: xr.Variable([f"d{i}" for i in range(a.ndim)], a)[...].transpose()._data,
}


@given(st.lists(st.sampled_from(sorted(OPERATIONS)), max_size=4))
def test_whatever_is_done_to_a_lazy_array_it_is_no_other_than_it_says(names: list[str]) -> None:
    array = stored()
    values = array[...]
    lazy = DaskArrayWrapper().wrap(array)
    for name in names:
        lazy = OPERATIONS[name](lazy)
    expected = lazy.compute()
    found = stored_array(lazy)
    if found is not None:
        assert found is array
        np.testing.assert_array_equal(expected, values)
    # What it reads is what it computes, by every way in.
    np.testing.assert_array_equal(np.asarray(lazy), expected)
    np.testing.assert_array_equal(lazy[:1].compute(), expected[:1])


def test_what_is_untouched_is_known() -> None:
    array = stored()
    lazy = DaskArrayWrapper().wrap(array)
    assert stored_array(lazy) is array
    assert stored_array(lazy[:, 0:3]) is array
    assert stored_array(lazy.transpose(2, 0, 1).transpose(1, 2, 0)) is array
    assert stored_array(da.moveaxis(da.moveaxis(lazy, 0, -1), -1, 0)) is array
    named = xr.DataArray(lazy, dims=tuple("zyx"), coords={"x": np.arange(4.0)}, name="a")
    moved = named.transpose("x", "z", "y").assign_coords(y=[1.0, 2.0, 3.0]).rename(x="w")
    assert stored_array(moved.transpose("z", "y", "w").variable._data) is array
    assert stored_array(DaskArrayWrapper(chunks=(1, 2, 2), missing="fill").wrap(array)) is array


@pytest.mark.parametrize("kind", ["array", "source"])
def test_an_array_that_is_lazy_inside_xarray(kind: str) -> None:
    array = stored()
    held = lazily_indexed(array if kind == "array" else ChunkedSource(array))
    variable = xr.Variable(tuple("zyx"), held)
    assert stored_array(variable._data) is array
    assert stored_array(variable[:, 0:3]._data) is array
    others = [variable[1:], variable[::-1], variable[0], variable[[1, 0]], variable.transpose(), variable + 1]
    others += [variable.astype("uint8"), variable.copy(deep=True).load(), variable.expand_dims("t")]
    assert [stored_array(other._data) for other in others] == [None] * len(others)


@pytest.mark.parametrize("other", [np.zeros(3), da.zeros(3), None, "array", stored()[...]])
def test_other_data_are_no_stored_array(other: Any) -> None:
    assert stored_array(other) is None


@given(st.data())
def test_parts_put_together_are_what_a_stack_of_them_is(data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.integers(1, 3), min_size=2, max_size=4)))
    array = stored(shape)
    lazy = DaskArrayWrapper().wrap(array)
    axis = data.draw(st.integers(0, len(shape) - 1))
    order = data.draw(st.permutations(range(len(shape) - 1)))
    picks = data.draw(st.just(list(range(shape[axis]))) | st.permutations(range(shape[axis])))
    at = data.draw(st.integers(0, len(shape) - 1))
    parts = [lazy[(slice(None),) * axis + (i,)].transpose(order) for i in picks]
    together = rejoined(parts, at)
    if picks == sorted(picks):
        assert together is not None
        back = np.argsort(np.insert(np.array(order) + (np.array(order) >= axis), at, axis))
        assert stored_array(together.transpose(*back)) is array
    if together is not None:
        np.testing.assert_array_equal(together.compute(), da.stack(parts, at).compute())


def test_parts_of_different_arrays_are_not_put_together() -> None:
    one, other = (DaskArrayWrapper().wrap(stored()) for _ in range(2))
    assert rejoined([one[0], other[1]], 0) is None
    assert rejoined([one[0], one[1] + 1], 0) is None
    assert rejoined([one[0], one[1].T], 0) is None
    assert rejoined([one[0], assign(one[1])], 0) is None
    assert rejoined([one[0], one[0]], 0) is None
    assert rejoined([np.zeros(3)], 0) is None
    # Some of the channels are still read from the array itself.
    some = rejoined([one[:, 1], one[:, 2]], 1)
    assert some is not None
    assert stored_array(some) is None
