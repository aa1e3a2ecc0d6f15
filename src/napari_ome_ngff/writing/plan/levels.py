"""Which levels an image gets, and how each is chunked. Pure: sizes in, sizes out."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

from napari_ome_ngff.arguments import check_type, shown
from napari_ome_ngff.errors import OptionError
from napari_ome_ngff.metadata.nouns import Axis
from napari_ome_ngff.writing.plan.array_spec import auto_chunks, clip_chunks
from napari_ome_ngff.writing.plan.options import Chunks, Factors, Shards

_SHOWN_AT_ONCE = 512  # voxels along an axis that a viewer shows without a coarser level


_MAX_LEVELS = 16


_SHARD_BYTES = 32 * 2**20


def choose_factors(
    axes: Sequence[Axis],
    shape: Sequence[int],
    scale: Sequence[float],
    *,
    levels: int | None = None,
    factors: Factors = None,
) -> tuple[tuple[int, ...], ...]:
    """Factors from each level to the next, one entry less than there are levels.

    `shape` and `scale` are those of level 0. `levels` counts it too; None: until no axis that gets smaller,
    by default those of space, has more than 512 voxels. An axis with fewer voxels than its given factor is
    kept as it is. Without `factors`, towards isotropic voxels: a spatial axis is halved if its voxels are
    less than twice as long as the shortest ones, and if it has at least four voxels.
    """
    dims, types = [axis.name for axis in axes], [axis.type for axis in axes]
    given = _given_factors(dims, types, factors)
    if levels is not None and levels < 1:
        raise OptionError("There must be at least one level.", found=f"levels={levels}")
    if isinstance(given, list):
        if levels not in (None, len(given) + 1):
            raise OptionError(
                "The number of levels and of factors do not agree.",
                found=f"levels={levels}, {len(given)} factors",
                expected="one factor less than levels",
            )
        levels = len(given) + 1
    shrinks = [f > 1 for f in given] if isinstance(given, tuple) else [kind == "space" for kind in types]
    steps: list[tuple[int, ...]] = []
    size, voxel = tuple(shape), tuple(abs(s) for s in scale)
    while len(steps) + 1 < (levels or _MAX_LEVELS):
        if levels is None and _is_small(size, shrinks):
            break
        wanted = given[len(steps)] if isinstance(given, list) else given
        step = _halvings(types, size, voxel) if wanted is None else _possible(wanted, size)
        if max(step) == 1 and not isinstance(given, list):
            break
        steps.append(step)
        size = tuple(n // f for n, f in zip(size, step, strict=True))
        voxel = tuple(v * f for v, f in zip(voxel, step, strict=True))
    if levels is not None and len(steps) + 1 < levels:
        raise OptionError(
            f"An image of this size has {len(steps) + 1} levels at most, not {levels}.",
            found="sizes " + ", ".join(f"{dim}: {n}" for dim, n in zip(dims, shape, strict=True)),
            hint="Ask for fewer levels, or leave the number away.",
        )
    return tuple(steps)


def _given_factors(
    dims: Sequence[str], types: Sequence[str | None], factors: Any
) -> tuple[int, ...] | list[tuple[int, ...]] | None:
    if factors is None:
        return None
    if isinstance(factors, Integral):
        factors = {dim: int(factors) for dim, kind in zip(dims, types, strict=True) if kind == "space"}
    if not isinstance(factors, Mapping):
        for one in factors:
            check_type(one, Mapping, "A step from level to level", 'a factor for each dim: {"y": 2, "x": 2}')
        return [step for one in factors if isinstance(step := _given_factors(dims, types, one), tuple)]
    unknown = [dim for dim in factors if dim not in dims]
    if unknown:
        raise OptionError(
            f"There is no dim {unknown[0]!r} to have a factor.", expected="some of " + ", ".join(dims)
        )
    for dim, kind in zip(dims, types, strict=True):
        factor = factors.get(dim, 1)
        if isinstance(factor, bool) or not hasattr(factor, "__index__") or factor < 1:
            raise OptionError(
                f"The factor of {dim!r} is {shown(factor)}.", expected="a whole number, 1 or more"
            )
        if factor > 1 and kind in ("time", "channel"):
            raise OptionError(
                f"Levels are never made smaller along {dim!r}, a {kind} axis.", hint="Leave its factor at 1."
            )
    return tuple(int(factors.get(dim, 1)) for dim in dims)


def _is_small(shape: Sequence[int], shrinks: Sequence[bool]) -> bool:
    return all(n <= _SHOWN_AT_ONCE for n, gets_smaller in zip(shape, shrinks, strict=True) if gets_smaller)


def _halvings(types: Sequence[str | None], shape: Sequence[int], voxel: Sequence[float]) -> tuple[int, ...]:
    long = [kind == "space" and n >= 4 for kind, n in zip(types, shape, strict=True)]
    shortest = min((v for v, can in zip(voxel, long, strict=True) if can), default=0.0)
    # A little less than twice, so that voxels of 0.3 and 0.1 * 2 + rounding stay what they are.
    return tuple(
        2 if can and v < 2 * shortest * (1 - 1e-9) else 1 for v, can in zip(voxel, long, strict=True)
    )


def _possible(step: Sequence[int], shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(f if n >= f else 1 for f, n in zip(step, shape, strict=True))


def for_each_axis(sizes: Any, axes: Sequence[Axis]) -> Any:
    """Sizes of chunks or shards: a single one is that along all axes of space; all else is as it is."""
    if not isinstance(sizes, Integral):
        return sizes
    return tuple(1 if axis.type in ("time", "channel") else sizes for axis in axes)


def choose_chunks(
    chunks: Chunks, shapes: Sequence[Sequence[int]], axes: Sequence[Axis], itemsize: int
) -> tuple[tuple[int, ...], ...]:
    """Chunks of every level, nowhere larger than the level."""
    ndim = len(axes)
    if chunks == "auto":
        chunks = auto_chunks(shapes[0], [axis.type for axis in axes], itemsize)
    given: Any = chunks
    each = [_as_shape(one, ndim) for one in given]
    if None in each or len(each) != len(shapes):
        each = [_as_shape(chunks, ndim)] * len(shapes)
    if None in each:
        raise OptionError(
            "The chunks do not fit the image.",
            found=repr(chunks),
            expected=f'"auto", {ndim} whole numbers from 1, or these for each of {len(shapes)} levels',
        )
    return tuple(clip_chunks(one, shape) for one, shape in zip(each, shapes, strict=True) if one)


def _as_shape(value: object, ndim: int) -> tuple[int, ...] | None:
    """`value` as a shape of `ndim` sizes, or None if it is none."""
    if isinstance(value, str) or not isinstance(value, Sequence) or len(value) != ndim:
        return None
    if not all(hasattr(n, "__index__") and not isinstance(n, bool) and n >= 1 for n in value):
        return None
    return tuple(int(n) for n in value)


def choose_shards(
    shards: Shards,
    given_chunks: Chunks,
    shapes: Sequence[Sequence[int]],
    chunks: Sequence[Sequence[int]],
    itemsize: int,
) -> tuple[tuple[int, ...] | None, ...]:
    """Shards of every level: whole chunks, and no larger than the level needs.

    `given_chunks` is the option that `chunks` came from: one shape is what shards are a multiple of, even at
    a level that is smaller than a chunk.
    """
    if shards is None:
        return (None,) * len(shapes)
    if shards == "auto":
        shards = _auto_shards(shapes[0], chunks[0], itemsize)
        given_chunks = tuple(chunks[0])
    base = _as_shape(given_chunks, len(chunks[0])) or tuple(chunks[0])
    wanted = _as_shape(shards, len(base))
    if wanted is None or any(s % c for s, c in zip(wanted, base, strict=True)):
        raise OptionError(
            "Shards must be whole multiples of the chunks.", found=f"shards {shards!r}, chunks {base}"
        )
    times = [s // c for s, c in zip(wanted, base, strict=True)]
    return tuple(
        tuple(c * min(t, -(-n // c)) for c, t, n in zip(chunk, times, shape, strict=True))
        for shape, chunk in zip(shapes, chunks, strict=True)
    )


def _auto_shards(shape: Sequence[int], chunk: Sequence[int], itemsize: int) -> tuple[int, ...]:
    shard = list(chunk)
    growing = True
    while growing:
        growing = False
        for axis in reversed(range(len(shard))):
            if shard[axis] < shape[axis] and 2 * math.prod(shard) * itemsize <= _SHARD_BYTES:
                shard[axis] *= 2
                growing = True
    return tuple(shard)


def level_path(first: str, index: int) -> str:
    """Return the path of a level that is made: counted on from that of the first, if it has a 0.

    >>> level_path("0", 1), level_path("s0", 2), level_path("scale0/image", 1), level_path("full", 1)
    ('1', 's2', 'scale1/image', 'full-1')
    """
    parts = re.fullmatch(r"(.*)(?<!\d)0(\D*)", first)
    return f"{parts[1]}{index}{parts[2]}" if parts else f"{first}-{index}"
