"""Dask arrays over a source: large blocks, and slices that are pushed down to the source at once.

Their cost does not depend on how many chunks or arrays lie below.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from napari_ome_ngff.storage.pixels.indexing import Axis, Source, is_basic, pieces

if TYPE_CHECKING:
    import dask.array

Blocks = tuple[tuple[int, ...], ...]
"""Lengths of the blocks along each axis."""


BLOCK_BYTES = 64 * 2**20
"""Size that a planned block does not exceed, and up to which a request is read as one.

When a whole array is computed, every thread holds one or two blocks.
"""


BLOCK_EDGE = 512
"""Length of a planned block along each axis, in whole chunks.

napari 0.9 widens what it asks for to the borders of blocks, along the axes that are displayed: with blocks of
whole planes it would load the plane around a small tile.
"""


_MAX_BLOCKS = 4096  # along an axis; above it blocks grow, since dask lists their lengths


def plan_blocks(
    axes: Sequence[Axis],
    unit: Sequence[int],
    itemsize: int,
    *,
    limit: int = BLOCK_BYTES,
    edge: int = BLOCK_EDGE,
) -> Blocks:
    """Blocks for a part of an array: large, but of limited length, and cut only where chunks end.

    `unit` is the shape of the chunks or shards, by axis of the array; a block exceeds `limit` bytes only if
    one unit does; `edge` is the length along each axis, the last axis first, until `limit` is reached.

    >>> plan_blocks((range(300), range(2048), range(600)), (1, 256, 256), 2)
    ((128, 128, 44), (512, 512, 512, 512), (512, 88))
    """
    lengths = [1 if isinstance(axis, int) else len(axis) for axis in axes]
    steps = [1 if isinstance(axis, int) else abs(axis.step) for axis in axes]
    # How much of what is taken lies in one unit.
    held = [min(n, max(1, u // s)) for n, u, s in zip(lengths, unit, steps, strict=True)]
    blocks: list[tuple[int, ...]] = []
    for i in reversed(range(len(axes))):
        axis = axes[i]
        if isinstance(axis, int):
            continue
        fits = limit // max(1, math.prod(held) * itemsize)
        wanted = -(-edge // max(1, held[i]))
        needed = -(-len(axis) // (_MAX_BLOCKS * max(1, held[i])))
        room = max(1, min(fits, wanted), needed)
        blocks.append(pieces(axis, max(unit[i], steps[i]) * room))
        held[i] = min(len(axis), held[i] * room)
    return tuple(reversed(blocks))


def cut_blocks(blocks: Blocks, whole: Sequence[Axis], part: Sequence[Axis]) -> Blocks:
    """Blocks of a part of an array, cut where the blocks of the whole are; empty ones are left out.

    >>> cut_blocks(((3, 3, 3), (9,)), (range(9), range(9)), (range(8, 0, -2), 4))
    ((2, 1, 1),)
    """
    lengths = iter(blocks)
    result = []
    for before, after in zip(whole, part, strict=True):
        sizes = () if isinstance(before, int) else next(lengths)
        if isinstance(before, int) or isinstance(after, int):
            continue
        step = after.step // before.step
        first = before.index(after[0]) if len(after) else 0
        places = range(first, first + len(after) * step, step)  # of the part, counted in the whole
        forward = places if step > 0 else places[::-1]
        counts, passed = [], 0
        for end in itertools.accumulate(sizes):
            below = min(len(forward), max(0, -(-(end - forward.start) // forward.step)))
            counts.append(below - passed)
            passed = below
        counts = [n for n in counts if n]
        result.append(tuple(counts if step > 0 else counts[::-1]) or (0,))
    return tuple(result)


@dataclass(frozen=True, kw_only=True)
class _Origin:
    """How one of our dask arrays was made, and what it is called as long as it is nothing else."""

    name: str
    source: Source
    planned: bool
    inline_array: bool
    meta: Any


@dataclass(frozen=True, kw_only=True)
class _Transposed:
    """What one of our dask arrays is transposed from: transposed back, it is that again."""

    name: str
    straight: Any
    order: tuple[int, ...]


def lazy_array(
    source: Source, *, name: str, blocks: Blocks | None, inline_array: bool, meta: Any
) -> dask.array.Array:
    """A dask array that reads from a source; nothing is read until it is computed.

    Slicing it with integers and slices takes a part of the source and makes a dask array of that, so that
    only what a request needs is read however often the array was sliced before. (dask itself pushes one slice
    down to the source, not a slice of a slice: a plane of a channel would read the channel.)

    `name` must stand for this content alone. Without `blocks` they are planned, anew for every part that is
    taken; `inline_array` and `meta` are those of ``dask.array.from_array``.
    """
    import dask.array

    planned = blocks is None
    if blocks is None:
        blocks = plan_blocks(source.axes, source.unit, source.dtype.itemsize)
    plain = dask.array.from_array(  # type: ignore[no-untyped-call]
        source,
        chunks=blocks,
        name=name,
        inline_array=inline_array,
        meta=np.empty((0,) * source.ndim, source.dtype) if meta is None else meta,
        asarray=False,
        fancy=True,  # with False dask 2026.8 pushes no slice down at all
    )
    array = _copy(plain)
    array.made = _Origin(
        name=array.name, source=source, planned=planned, inline_array=inline_array, meta=meta
    )
    return cast("dask.array.Array", array)


def source_of(data: object) -> Source | None:
    """The source that a dask array of ours is; None for all else, such as what was computed from one."""
    made = _made(data)
    return made.source if isinstance(made, _Origin) else None


def transposed_from(data: object) -> tuple[dask.array.Array, tuple[int, ...]] | None:
    """The dask array that one of ours is the transpose of, and the order of its axes; None for all else."""
    made = _made(data)
    return (made.straight, made.order) if isinstance(made, _Transposed) else None


def _made(data: object) -> _Origin | _Transposed | None:
    """How a dask array of ours was made; None for all else, and for one that was assigned to since."""
    made: _Origin | _Transposed | None = data.made if isinstance(data, _source_array()) else None
    return made if made is not None and made.name == data.name else None  # type: ignore[attr-defined]


def _copy(array: Any) -> Any:
    """A dask array as one of ours."""
    return _source_array()(array.dask, array.name, array.chunks, dtype=array.dtype, meta=array._meta)


def _straight(array: Any) -> Any:
    """A copy that stays what it is when the array is assigned to."""
    copy = _copy(array)
    copy.made = array.made
    return copy


def token(thing: object) -> str:
    """A short digest of what an object prints as: sixteen hexadecimal digits."""
    return hashlib.blake2b(repr(thing).encode(), digest_size=8).hexdigest()


@functools.cache
def _source_array() -> Any:
    """The class of our dask arrays, made here because importing this module must not load dask."""
    import dask.array

    class SourceArray(dask.array.Array):
        """A dask array that is nothing but a source: slicing it takes a part of the source."""

        # Copies, unpickled and computed arrays are ordinary dask arrays.
        made: _Origin | _Transposed | None = None

        def transpose(self, *axes: Any) -> Any:
            given = axes[0] if len(axes) == 1 and isinstance(axes[0], Iterable) else axes
            order = tuple(range(self.ndim))[::-1] if not given else tuple(int(i) % self.ndim for i in given)
            made = _made(self)
            if made is None or len(order) != self.ndim:
                return super().transpose(*axes)  # type: ignore[no-untyped-call]
            if isinstance(made, _Transposed):
                straight, order = made.straight, tuple(made.order[i] for i in order)
            else:
                straight = _straight(self)
            if order == tuple(range(self.ndim)):
                return _straight(straight)
            plain = dask.array.transpose(straight, order)
            result = _copy(plain)
            result.made = _Transposed(name=result.name, straight=straight, order=order)
            return result

        def __getitem__(self, index: Any) -> Any:
            made = _made(self)
            if not isinstance(made, _Origin) or not is_basic(index):
                return super().__getitem__(index)  # type: ignore[no-untyped-call]
            axes, part = made.source.axes, made.source.view(index)
            if part.axes == axes:
                return self
            return lazy_array(
                part,
                name=f"{self.name}-{token(part.axes)}",
                blocks=None if made.planned else cut_blocks(self.chunks, axes, part.axes),
                inline_array=made.inline_array,
                meta=made.meta,  # dask gives it the number of axes that it needs
            )

        def __array__(  # type: ignore[override]  # dask takes further options and warns of them
            self, dtype: Any = None, copy: bool | None = None
        ) -> np.ndarray[Any, Any]:
            # One request is one read, with all its chunks under way at once, however many blocks it cuts.
            made = _made(self)
            if not isinstance(made, _Origin) or made.meta is not None or self.nbytes > BLOCK_BYTES:
                return np.asarray(self.compute(), dtype=dtype)  # type: ignore[no-untyped-call]
            return made.source.__array__(dtype)

    return SourceArray
