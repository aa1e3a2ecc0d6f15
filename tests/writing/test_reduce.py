"""Making the next level: exact means without bias, no invented labels, any dtype and any odd size."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_ome_ngff.metadata.transforms import METHODS
from napari_ome_ngff.writing.engine.reduce import reduce_block

INTEGERS = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8"]
ORDERS = ["<", ">"]


def windows(block: np.ndarray[Any, Any], factors: tuple[int, ...]) -> dict[tuple[int, ...], list[Any]]:
    """The voxels of every window, one after the other: the slow and obvious way."""
    shape = [n // f for n, f in zip(block.shape, factors, strict=True)]
    found = {}
    for index in np.ndindex(*shape):
        box = tuple(slice(i * f, (i + 1) * f) for i, f in zip(index, factors, strict=True))
        found[index] = block[box].reshape(-1).tolist()
    return found


@st.composite
def blocks(draw: st.DrawFn, dtypes: st.SearchStrategy[np.dtype[Any]]) -> tuple[Any, tuple[int, ...]]:
    dtype = draw(dtypes)
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=7))
    elements = None
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        extremes = [info.min, info.min + 1, info.max - 1, info.max, 0, 1, 2, 3]
        elements = st.one_of(st.sampled_from(extremes), st.integers(info.min, info.max))
    block = draw(hnp.arrays(dtype, shape, elements=elements))
    factors = draw(st.tuples(*(st.integers(1, 4) for _ in shape)))
    return block, factors


integers = st.builds(
    lambda order, name: np.dtype(order + name), st.sampled_from(ORDERS), st.sampled_from(INTEGERS)
)


@settings(deadline=None)
@given(blocks(integers))
def test_integer_means_are_exact_and_rounded_half_to_even(case: Any) -> None:
    block, factors = case
    result = reduce_block(block, factors, "mean")
    assert result.dtype == block.dtype
    for index, values in windows(block, factors).items():
        # round() of a Fraction rounds half to even
        assert int(result[index]) == round(Fraction(sum(values), len(values)))


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i2"])
@pytest.mark.parametrize("factors", [(2, 2, 2), (1, 2, 2), (2, 1, 2), (2, 2, 1), (1, 1, 2), (3, 2, 2)])
def test_large_blocks_are_cut_without_a_seam(dtype: str, factors: tuple[int, ...]) -> None:
    info = np.iinfo(dtype)
    shape = (7, 301, 263)
    block = np.random.default_rng(0).integers(info.min, info.max, shape, dtype=dtype, endpoint=True)
    cropped = block[tuple(slice(0, n // f * f) for n, f in zip(shape, factors, strict=True))]
    split = [m for n, f in zip(shape, factors, strict=True) for m in (n // f, f)]
    mean = cropped.astype("f8").reshape(split).mean(axis=(1, 3, 5))  # exact: the factors have few bits
    np.testing.assert_array_equal(reduce_block(block, factors, "mean"), np.rint(mean).astype(dtype))


def test_a_view_with_odd_strides_is_read_right() -> None:
    block = np.arange(1001 * 7, dtype="u2").reshape(7, 1001)[1:7, 3:]
    np.testing.assert_array_equal(
        reduce_block(block, (2, 2), "mean"), reduce_block(block.copy(), (2, 2), "mean")
    )
    turned = np.asfortranarray(block)
    np.testing.assert_array_equal(
        reduce_block(turned, (2, 2), "mean"), reduce_block(block.copy(), (2, 2), "mean")
    )


def test_rounding_has_no_bias() -> None:
    noise = np.random.default_rng(1).integers(0, 1000, (64, 64, 64)).astype("u2")
    means = noise.reshape(32, 2, 32, 2, 32, 2).mean(axis=(1, 3, 5))
    assert abs(float((reduce_block(noise, (2, 2, 2), "mean") - means).mean())) < 0.01


@settings(deadline=None)
@given(blocks(st.just(np.dtype(bool))))
def test_the_mean_of_booleans_is_the_majority(case: Any) -> None:
    block, factors = case
    result = reduce_block(block, factors, "mean")
    assert result.dtype == bool
    for index, values in windows(block, factors).items():
        assert bool(result[index]) == (2 * sum(values) > len(values))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "c8", "c16"])
@pytest.mark.parametrize("order", ORDERS)
def test_floating_point_means(dtype: str, order: str) -> None:
    rng = np.random.default_rng(2)
    block = rng.normal(size=(5, 9, 8))
    if dtype.startswith("c"):
        block = block + 1j * rng.normal(size=block.shape)
    block = block.astype(order + dtype)
    result = reduce_block(block, (2, 3, 2), "mean")
    assert result.dtype == block.dtype
    wide = block[:4].astype("c16" if dtype.startswith("c") else "f8")
    expected = wide.reshape(2, 2, 3, 3, 4, 2).mean(axis=(1, 3, 5)).astype(dtype)
    np.testing.assert_allclose(result, expected, rtol={"f2": 1e-3}.get(dtype, 1e-6))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_a_mean_of_the_largest_numbers_is_finite(dtype: str) -> None:
    largest = np.finfo(dtype).max
    block = np.full((2, 4), largest, dtype)
    np.testing.assert_allclose(reduce_block(block, (2, 2), "mean"), np.full((1, 2), largest, dtype))


@settings(deadline=None)
@given(blocks(hnp.floating_dtypes(sizes=(16, 32, 64))), st.data())
def test_nan_are_left_out_of_the_mean(case: Any, data: st.DataObject) -> None:
    block, factors = case
    block = np.where(np.isfinite(block), block, 1).astype(block.dtype)
    missing = data.draw(hnp.arrays(bool, block.shape))
    result = reduce_block(np.where(missing, np.nan, block).astype(block.dtype), factors, "mean")
    for index, values in windows(np.where(missing, np.nan, block), factors).items():
        rest = [value for value in values if value == value]
        if not rest:
            assert np.isnan(result[index])
            continue
        # Exact, as the sum of numbers of very different sizes is not.
        mean = float(sum(map(Fraction, rest)) / len(rest))
        largest = max(abs(value) for value in rest)
        assert abs(float(result[index]) - mean) <= 8 * float(np.finfo(block.dtype).eps) * largest + float(
            np.finfo(block.dtype).smallest_subnormal
        )


@pytest.mark.parametrize("part", [complex("nan+1j"), complex("1+nanj")])
def test_half_a_nan_is_none_of_both_parts(part: complex) -> None:
    block = np.array([[part, 2 + 4j], [4 + 6j, 6 + 8j]], "c8")
    np.testing.assert_array_equal(reduce_block(block, (2, 2), "mean"), [[4 + 6j]])


@settings(deadline=None)
@given(blocks(st.one_of(integers, hnp.floating_dtypes(sizes=(16, 32, 64)), hnp.datetime64_dtypes())))
def test_nearest_is_every_nth_voxel(case: Any) -> None:
    block, factors = case
    result = reduce_block(block, factors, "nearest")
    expected = block[tuple(slice(0, n // f * f, f) for n, f in zip(block.shape, factors, strict=True))]
    assert result.dtype == block.dtype
    assert result.tobytes() == np.ascontiguousarray(expected).tobytes()
    assert not np.shares_memory(result, block)


@st.composite
def almost_too_large(draw: st.DrawFn) -> tuple[Any, tuple[int, ...]]:
    """Unsigned integers around the largest whose sums fit in their own bits, or half of it."""
    dtype = np.dtype(draw(st.sampled_from(["u1", "u2", "u4"])))
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=2, max_side=6))
    factors = (*draw(st.tuples(*(st.sampled_from([1, 2]) for _ in shape[1:]))), 2)
    largest = 2 ** (8 * dtype.itemsize) // (
        2 ** sum(f == 2 for f in factors) // draw(st.sampled_from([1, 2]))
    )
    near = st.integers(max(0, largest - 3), min(largest + 3, 2 ** (8 * dtype.itemsize) - 1))
    return draw(hnp.arrays(dtype, shape, elements=near)), factors


@settings(deadline=None)
@given(almost_too_large())
def test_means_are_exact_where_sums_just_fit_or_do_not(case: Any) -> None:
    block, factors = case
    result = reduce_block(block, factors, "mean")
    for index, values in windows(block, factors).items():
        assert int(result[index]) == round(Fraction(sum(values), len(values)))


@st.composite
def labels(draw: st.DrawFn) -> tuple[Any, tuple[int, ...]]:
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=8))
    dtype = draw(st.sampled_from(["u1", "i2", ">u4", "u4", "i8"]))
    block = draw(hnp.arrays(dtype, shape, elements=st.sampled_from([0, 1, 2, 3, 100])))
    return block, draw(st.tuples(*(st.integers(1, 4) for _ in shape)))


@settings(deadline=None)
@given(labels())
def test_mode_is_the_most_frequent_label_and_the_smallest_of_equals(case: Any) -> None:
    block, factors = case
    result = reduce_block(block, factors, "mode")
    for index, values in windows(block, factors).items():
        assert int(result[index]) == min(values, key=lambda value: (-values.count(value), value))


@settings(deadline=None)
@given(labels(), st.sampled_from(["nearest", "mode"]))
def test_labels_are_never_invented(case: Any, method: str) -> None:
    block, factors = case
    assert set(reduce_block(block, factors, method).flat) <= set(block.flat)


def test_large_label_images() -> None:
    labels = np.random.default_rng(3).integers(0, 4, (6, 300, 200)).astype("u4")
    result = reduce_block(labels, (2, 2, 2), "mode")
    stacked = np.stack([labels[i::2, j::2, k::2] for i, j, k in itertools.product(range(2), repeat=3)])
    counts = np.stack([(stacked == value).sum(axis=0) for value in range(4)])
    np.testing.assert_array_equal(result, counts.argmax(axis=0))


@settings(deadline=None)
@given(blocks(integers), st.sampled_from(METHODS))
def test_the_block_is_not_changed_and_the_result_is_its_own(case: Any, method: str) -> None:
    block, factors = case
    before = block.copy()
    result = reduce_block(block, factors, method)
    assert result.flags.c_contiguous
    assert result.shape == tuple(n // f for n, f in zip(block.shape, factors, strict=True))
    result[...] = 1
    np.testing.assert_array_equal(block, before)


@settings(deadline=None)
@given(blocks(integers), st.sampled_from(METHODS))
def test_a_copy_of_the_block_is_made_on_the_way(case: Any, method: str) -> None:
    block, factors = case
    copy = np.empty_like(block)
    result = reduce_block(block, factors, method, copy=copy)
    np.testing.assert_array_equal(copy, block)
    np.testing.assert_array_equal(result, reduce_block(block, factors, method))


@pytest.mark.parametrize("method", METHODS)
def test_a_copy_of_a_large_block_is_made_strip_by_strip(method: str) -> None:
    block = np.random.default_rng(4).integers(0, 9, (5, 601, 403)).astype("u4")
    copy = np.empty_like(block)
    result = reduce_block(block, (2, 3, 2), method, copy=copy)
    np.testing.assert_array_equal(copy, block)
    np.testing.assert_array_equal(result, reduce_block(block, (2, 3, 2), method))
