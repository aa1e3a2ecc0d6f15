"""Dask arrays over a source: large blocks, and slices that are pushed down to the source at once.

Their cost does not depend on how many chunks or arrays lie below.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from napari_ome_ngff.storage.pixels.indexing import Source, compose, is_basic, pieces

if TYPE_CHECKING:
    import dask.array

Blocks = tuple[tuple[int, ...], ...]
"""Lengths of the blocks along each axis."""


BLOCK_BYTES = 64 * 2**20
"""Size that a planned block does not exceed.

When a whole array is computed, every thread holds one or two blocks.
"""


BLOCK_EDGE = 512
"""Length of a planned block along each axis, in whole chunks.

napari 0.9 widens what it asks for to the borders of blocks, along the axes that are displayed: with blocks of
whole planes it would load the plane around a small tile.
"""


_MAX_BLOCKS = 4096  # along an axis; above it blocks grow, since dask lists their lengths


def plan_blocks(
    dims: Sequence[range],
    units: Sequence[int],
    itemsize: int,
    *,
    limit: int = BLOCK_BYTES,
    edge: int = BLOCK_EDGE,
) -> Blocks:
    """Blocks for a part of an array: large, but of limited length, and cut only where chunks end.

    `units` is the shape of the chunks or shards, by dim; a block exceeds `limit` bytes only if one unit does;
    `edge` is the length along each dim, the last one first, until `limit` is reached.

    >>> plan_blocks((range(300), range(2048), range(600)), (1, 256, 256), 2)
    ((128, 128, 44), (512, 512, 512, 512), (512, 88))
    """
    steps = [abs(dim.step) for dim in dims]
    # How much of what is taken lies in one unit.
    held = [min(len(dim), max(1, u // s)) for dim, u, s in zip(dims, units, steps, strict=True)]
    blocks: list[tuple[int, ...]] = []
    for i in reversed(range(len(dims))):
        fits = limit // max(1, math.prod(held) * itemsize)
        wanted = -(-edge // max(1, held[i]))
        needed = -(-len(dims[i]) // (_MAX_BLOCKS * max(1, held[i])))
        room = max(1, min(fits, wanted), needed)
        blocks.append(pieces(dims[i], max(units[i], steps[i]) * room))
        held[i] = min(len(dims[i]), held[i] * room)
    return tuple(reversed(blocks))


def cut_blocks(blocks: Blocks, dims: Sequence[range], index: object) -> Blocks:
    """Blocks of what an index takes of an array, cut where its blocks are; empty ones are left out.

    >>> cut_blocks(((3, 3, 3), (9,)), (range(9), range(9)), (slice(8, 0, -2), 4, None))
    ((2, 1, 1), (1,))
    """
    following = iter(zip(blocks, dims, strict=True))
    result: list[tuple[int, ...]] = []
    for after in compose(dims, index):
        if after is None:
            result.append((1,))
            continue
        sizes, before = next(following)
        if not isinstance(after, range):
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


class Pictures(Protocol):
    """What a viewer gets of a source while the rest is on its way; None for who is no viewer."""

    def picture(self, source: Source) -> np.ndarray[Any, Any] | None:
        """What there is of a part, into memory of the caller's own."""


@dataclass(frozen=True, kw_only=True)
class _Origin:
    """How one of our dask arrays was made, and what it is called as long as it is nothing else.

    `whole` is the array that it is a part of, by its name, and the part that this is of its source.
    """

    name: str
    whole: tuple[str, object]
    source: Source
    planned: bool
    inline_array: bool
    meta: Any
    pictures: Pictures | None = None


def lazy_array(
    source: Source, *, name: str, blocks: Blocks | None, inline_array: bool, meta: Any
) -> dask.array.Array:
    """A dask array that reads from a source; nothing is read until it is computed.

    Slicing it with integers, slices and new axes, and transposing it, takes a part of the source and makes a
    dask array of that, so that only what a request needs is read whatever was done before. (dask itself
    pushes one slice down to the source, not a slice of a slice or of a transpose: a plane of a channel would
    read the channel, a plane across the order of storage all blocks that it cuts.)

    `name` must stand for this content alone. Without `blocks` they are planned, anew for every part that is
    taken; `inline_array` and `meta` are those of ``dask.array.from_array``.
    """
    import dask.array

    planned = blocks is None
    if blocks is None:
        blocks = plan_blocks(source.dims, source.units, source.dtype.itemsize)
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
        name=array.name,
        whole=(array.name, source.part),
        source=source,
        planned=planned,
        inline_array=inline_array,
        meta=meta,
    )
    return cast("dask.array.Array", array)


def source_of(data: object) -> Source | None:
    """The source that a dask array of ours is; None for all else, such as what was computed from one."""
    made = _made(data)
    return None if made is None else made.source


def with_pictures(data: Any, pictures: Pictures) -> Any:
    """The same lazy array, which gives to viewers what there is; parts that are taken of it do so too."""
    made = _made(data)
    assert made is not None, "an array of ours"
    array = _copy(data)
    array.made = replace(made, pictures=pictures)
    return array


def pictures_of(data: object) -> Pictures | None:
    """What gives to viewers what there is of a lazy array of ours."""
    made = _made(data)
    return None if made is None else made.pictures


def _made(data: object) -> _Origin | None:
    """How a dask array of ours was made; None for all else, and for one that was assigned to since."""
    made: _Origin | None = data.made if isinstance(data, _source_array()) else None
    return made if made is not None and made.name == data.name else None  # type: ignore[attr-defined]


def _part(made: _Origin, source: Source, blocks: Blocks) -> Any:
    """Another part of what one of our arrays reads; the same part has the same name, whatever the way."""
    name, whole = made.whole
    part = lazy_array(
        source,
        name=name if source.part == whole else f"{name}-{token(source.part)}",
        blocks=None if made.planned else blocks,
        inline_array=made.inline_array,
        meta=made.meta,  # dask gives it the number of axes that it needs
    )
    part.made = replace(part.made, whole=made.whole, pictures=made.pictures)  # type: ignore[attr-defined]
    return part


def _copy(array: Any) -> Any:
    """A dask array as one of ours."""
    return _source_array()(array.dask, array.name, array.chunks, dtype=array.dtype, meta=array._meta)


def token(thing: object) -> str:
    """A short digest of what an object prints as: sixteen hexadecimal digits."""
    return hashlib.blake2b(repr(thing).encode(), digest_size=8).hexdigest()


@functools.cache
def _source_array() -> Any:
    """The class of our dask arrays, made here because importing this module must not load dask."""
    import dask.array

    class SourceArray(dask.array.Array):
        """A dask array that is nothing but a source: slicing or transposing it takes a part of that."""

        # Copies, unpickled and computed arrays are ordinary dask arrays.
        made: _Origin | None = None

        def transpose(self, *axes: Any) -> Any:
            given = axes[0] if len(axes) == 1 and isinstance(axes[0], Iterable) else axes
            order = tuple(range(self.ndim))[::-1] if not given else tuple(int(i) % self.ndim for i in given)
            made = _made(self)
            if made is None or sorted(order) != list(range(self.ndim)):
                return super().transpose(*axes)  # type: ignore[no-untyped-call]
            return _part(made, made.source.transpose(order), tuple(self.chunks[i] for i in order))

        def __getitem__(self, index: Any) -> Any:
            made = _made(self)
            if made is None or not is_basic(index):
                return super().__getitem__(index)  # type: ignore[no-untyped-call]
            part = made.source.view(index)
            if part.part == made.source.part:
                return self
            return _part(made, part, cut_blocks(self.chunks, made.source.dims, index))

        def __array__(  # type: ignore[override]  # dask takes further options and warns of them
            self, dtype: Any = None, copy: bool | None = None
        ) -> np.ndarray[Any, Any]:
            # One request is one read, with all its chunks under way at once, however many blocks it cuts:
            # blocks would be put together from copies, and each be small enough for the cache to keep it.
            made = _made(self)
            if made is None or made.meta is not None:
                return np.asarray(self.compute(), dtype=dtype)  # type: ignore[no-untyped-call]
            if made.pictures is not None and (there := made.pictures.picture(made.source)) is not None:
                return there if dtype is None else there.astype(dtype, copy=False)
            return made.source.__array__(dtype)

    return SourceArray
