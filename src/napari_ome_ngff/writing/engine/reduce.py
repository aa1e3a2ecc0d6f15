"""From a block of one level to the block of the next: numpy kernels, pure functions.

A coarse voxel is made of the `factor` voxels that it covers along each axis; what is left over at the far
end of an odd axis is left out, so that a level's geometry is exact. Windows are summed or compared axis by
axis and strip by strip, which stay in the processor's cache.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


_STRIP_BYTES = 2**20
"""What is worked on at once: about what a core's cache holds; smaller strips pay more for their calls."""


_TWICE_AS_WIDE = {1: np.uint16, 2: np.uint32, 4: np.uint64}
_FLOAT_SUM = {2: np.float32, 4: np.float64, 8: np.float64}


def reduce_block(block: Array, factors: Sequence[int], method: str, *, copy: Array | None = None) -> Array:
    """Make the block of the next coarser level: of any number of dimensions, C-contiguous, of the same dtype.

    `factors` say how many voxels make one, per dimension; 1 keeps an axis. `copy` is an array like `block`
    that takes its voxels on the way, so that the block is fetched from memory only once.
    """
    # "mean": integers and booleans exactly, rounded half to even (no bias); floating point and complex
    # numbers summed in a wider type. NaN are left out: only a window of nothing else is NaN.
    # "nearest": the first voxel of each window, ``block[::factor]``, whatever the dtype.
    # "mode": the most frequent value of each window, the smallest of equally frequent ones.
    # What none of these can do was refused when the save was planned.
    shape = tuple(size // factor for size, factor in zip(block.shape, factors, strict=True))
    result = np.empty(shape, block.dtype.newbyteorder("="))
    kernel = _kernel(result.dtype, factors, method)
    strips = _strips(shape, factors, _STRIP_BYTES // max(1, block.itemsize)) if result.size else ()
    for window, source in strips:
        strip = block[source]
        if copy is not None:
            copy[source] = strip
            strip = copy[source]
        kernel(strip.astype(result.dtype, copy=False), factors, result[window])
    if copy is not None:
        for left_over in _left_over(block.shape, factors):
            copy[left_over] = block[left_over]
    return result.astype(block.dtype, copy=False)


def _left_over(shape: Sequence[int], factors: Sequence[int]) -> Iterator[tuple[slice, ...]]:
    """What no whole window covers: at the far end of each axis that the factor does not divide."""
    for axis, (size, factor) in enumerate(zip(shape, factors, strict=True)):
        if size % factor:
            yield (*(slice(None),) * axis, slice(size - size % factor, None))


def _strips(
    shape: Sequence[int], factors: Sequence[int], voxels: int
) -> Iterator[tuple[tuple[slice, ...], tuple[slice, ...]]]:
    """Cut the result into boxes that are made of about so many voxels each, and say of which."""
    steps = list(shape)
    total = math.prod(shape) * math.prod(factors)
    for axis, size in enumerate(shape):
        if total <= voxels:
            break
        total //= size
        steps[axis] = max(1, min(size, voxels // max(1, total)))
        total *= steps[axis]
    pairs = [
        [(slice(i, min(i + step, n)), slice(i * f, min(i + step, n) * f)) for i in range(0, n, step)]
        for n, step, f in zip(shape, steps, factors, strict=True)
    ]
    for parts in itertools.product(*pairs):
        yield tuple(made for made, _ in parts), tuple(source for _, source in parts)


Kernel = Callable[[Array, Sequence[int], Array], None]


def _kernel(dtype: np.dtype[Any], factors: Sequence[int], method: str) -> Kernel:
    if method == "nearest" or all(factor == 1 for factor in factors):
        return _nearest
    if method == "mode":
        return _mode
    if dtype.kind == "b":
        return _mean_bool
    if dtype.kind in "iu":
        if dtype.itemsize == 8:
            return _mean_int64
        pairs = dtype.kind == "u" and factors[-1] == 2 and set(factors) <= {1, 2}
        # The sum of a window must fit in twice the bits of one voxel.
        return _mean_pairs if pairs and math.prod(factors) <= 2 ** (8 * dtype.itemsize) else _mean_int
    return _mean_complex if dtype.kind == "c" else _mean_float


def _nearest(block: Array, factors: Sequence[int], result: Array) -> None:
    result[...] = block[tuple(slice(None, None, factor) for factor in factors)]


def _summed(values: Array, factors: Sequence[int]) -> Array:
    """Sum of each window in the dtype of `values`; the last axis comes last: little is left to stride."""
    for axis, factor in enumerate(factors):
        if factor == 1:
            continue
        first, *others = _phases(values, axis, factor)
        values = first + others[0]
        for other in others[1:]:
            values += other
    return values


def _phases(values: Array, axis: int, factor: int) -> list[Array]:
    """``values[i::factor]`` along `axis`, for every i."""
    before = (slice(None),) * axis
    return [values[(*before, slice(i, None, factor))] for i in range(factor)]


def _divided(total: Array, count: int) -> Array:
    """``total / count`` of integers, rounded half to even, in place."""
    if count & (count - 1) == 0:
        shift = count.bit_length() - 1
        if shift:
            # One less than a half, and one more where the result would be odd: ties end at even numbers.
            odd = total >> shift
            odd &= 1
            total += odd
            total += (count >> 1) - 1
            total >>= shift
        return total
    mean = total // count
    rest = total - mean * count
    rest *= 2
    mean += (rest > count) | ((rest == count) & ((mean & 1) == 1))
    return mean


def _mean_pairs(block: Array, factors: Sequence[int], result: Array) -> None:
    """Unsigned integers, factor 2 along the last axis: a pair of neighbours is read as one wide integer."""
    # Its halves are the two voxels, whatever the byte order, so that the sum of pairs needs neither a stride
    # nor a conversion. Where the largest value leaves room for it (cameras give 12 or 14 of 16 bits), planes
    # and rows are summed before that, as narrow as they are: half the bytes, and nothing is taken apart
    # twice.
    bits = 8 * block.dtype.itemsize
    wide = _TWICE_AS_WIDE[block.dtype.itemsize]
    rows, count = (*factors[:-1], 1), math.prod(factors)
    largest = int(block.max())
    if largest * (count // 2) < 2**bits:
        block, rows = _summed(block, rows), (1,) * block.ndim
    if block.strides[-1] != block.dtype.itemsize or any(s % (bits // 4) for s in block.strides[:-1]):
        block = np.ascontiguousarray(block)
    pairs: Array = block.view(wide)
    if largest * count + count < 2**bits:
        # Half by half, a product with 1 and 1 has the lower half, and above it the sum of both.
        total = pairs * wide(2**bits + 1)
        total >>= wide(bits)
        result[...] = _divided(total.astype(block.dtype), count)
        return
    total = None
    # Plane by plane: what is worked on at once is half as large as when whole windows are.
    for first in itertools.product(*(range(factor) for factor in rows[:-2])):
        plane = pairs[tuple(slice(i, None, f) for i, f in zip(first, rows[:-2], strict=True))]
        sums = plane & wide(2**bits - 1)
        sums += plane >> wide(bits)
        total = sums if total is None else np.add(total, sums, out=total)
    assert total is not None
    lines = (1,) * (block.ndim - 2) + (*rows[-2:-1], 1)
    result[...] = _divided(_summed(total, lines[-block.ndim :]), count)


def _mean_int(block: Array, factors: Sequence[int], result: Array) -> None:
    count = math.prod(factors)
    narrow = 8 * block.dtype.itemsize + count.bit_length() <= 30  # room for twice the sum, with a sign
    total = _summed(block.astype(np.int32 if narrow else np.int64), factors)
    result[...] = _divided(total, count)


def _mean_bool(block: Array, factors: Sequence[int], result: Array) -> None:
    total = _summed(block.astype(np.int32), factors)
    np.greater(2 * total, math.prod(factors), out=result)


def _mean_int64(block: Array, factors: Sequence[int], result: Array) -> None:
    """Sum the upper and the lower 32 bits apart, because a sum of 64-bit integers does not fit in 64 bits."""
    count = math.prod(factors)
    upper = _summed(block >> 32, factors)
    lower = _summed(block & 0xFFFFFFFF, factors)
    mean = upper // count
    lower += (upper - mean * count) << 32
    mean <<= 32
    quotient = lower // count
    rest = lower - quotient * count
    mean += quotient
    rest *= 2
    mean += ((rest > count) | ((rest == count) & ((mean & 1) == 1))).astype(mean.dtype)
    result[...] = mean


def _mean_float(block: Array, factors: Sequence[int], result: Array) -> None:
    """Mean of the voxels that are no NaN; NaN where all are."""
    count: Any = math.prod(factors)
    wide = block.astype(_FLOAT_SUM[block.dtype.itemsize])
    with np.errstate(over="ignore", invalid="ignore", under="ignore", divide="ignore"):
        total, left = _summed(wide, factors), count
        # One look at the sums: it costs little, and few images have NaN.
        if np.isnan(total.min(initial=0)):
            missing = np.isnan(wide)
            wide[missing] = 0
            total, left = _summed(wide, factors), count - _summed(missing.astype(np.int32), factors)
        if block.dtype.itemsize == 8 and not np.isfinite(total).all():
            # The sum may be infinite where the mean is not.
            result[...] = _summed(wide / count, factors) * (count / left)
            return
        total /= left
        result[...] = total


def _mean_complex(block: Array, factors: Sequence[int], result: Array) -> None:
    missing = np.isnan(block)
    if missing.any():
        block = np.where(missing, np.complex64(complex("nan+nanj")), block)
    _mean_float(block.real, factors, result.real)
    _mean_float(block.imag, factors, result.imag)


def _mode(block: Array, factors: Sequence[int], result: Array) -> None:
    """Most windows of a label image hold one value; only the others are counted."""
    first, mixed = block, np.zeros((1,) * block.ndim, bool)
    for axis, factor in enumerate(factors):
        if factor == 1:
            continue
        parts = _phases(first, axis, factor)
        differ = parts[1] != parts[0]
        for part in parts[2:]:
            differ |= part != parts[0]
        if mixed.size > 1:
            for part in _phases(mixed, axis, factor):
                differ |= part
        first, mixed = parts[0], differ
    result[...] = first
    if mixed.any():
        windows = _windows(block, factors)[np.broadcast_to(mixed, result.shape)]
        result[mixed] = _most_frequent(windows.reshape(len(windows), -1))


def _windows(block: Array, factors: Sequence[int]) -> Array:
    """View of shape ``(*coarse shape, *factors)``."""
    split: list[int] = []
    for size, factor in zip(block.shape, factors, strict=True):
        split += [size // factor, factor]
    order = (*range(0, 2 * block.ndim, 2), *range(1, 2 * block.ndim, 2))
    return block.reshape(split).transpose(order)


def _most_frequent(rows: Array) -> Array:
    """Most frequent value of each row, the smallest of equally frequent ones."""
    columns = np.ascontiguousarray(np.sort(rows, axis=1).T)
    best: Array = columns[0].copy()
    best_count = np.ones(columns.shape[1], np.int32)
    run = best_count.copy()
    for previous, column in itertools.pairwise(columns):
        run *= previous == column
        run += 1
        longer = run > best_count
        np.copyto(best, column, where=longer)
        np.copyto(best_count, run, where=longer)
    return best
