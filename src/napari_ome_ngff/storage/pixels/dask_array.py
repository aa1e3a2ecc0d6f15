"""Dask arrays over a source: large blocks, and slices that are pushed down to the source at once.

What a source is says `Source`: one Zarr array (`storage.source.ChunkedSource`), or many side by side (the
fields of a plate). What is made here does not depend on how many chunks or arrays lie below.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from napari_ome_ngff.storage.pixels.indexing import Axis, is_basic, pieces

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
    """Return blocks for a part of an array: large, but of limited length, and cut only where chunks end.

    Parameters
    ----------
    axes
        What is taken along each axis of the array.
    unit
        Shape of the chunks or shards, one length per axis of the array.
    itemsize
        Bytes of a value.
    limit
        Bytes that a block should not exceed, unless one unit does.
    edge
        Length that a block should have along each axis; the last axis comes first, until `limit` is reached.

    Returns
    -------
    tuple of tuple of int
        Lengths of the blocks along each axis that is left.

    Examples
    --------
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
    """Return the blocks of a part of an array, cut where the blocks of the whole are.

    Parameters
    ----------
    blocks
        Blocks of the whole, for each axis that it has.
    whole, part
        What the whole and the part take along each axis of the underlying array.

    Returns
    -------
    tuple of tuple of int
        Blocks of the part; empty ones are left out.

    Examples
    --------
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


class Source(Protocol):
    """What a lazy array reads from: an array of any kind, or a part of one, that is read by indexing.

    A source is never changed, may be read by several threads at once, and is pickled without what it read.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the part that is taken."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        ...

    @property
    def ndim(self) -> int:
        """Number of axes that are left, ``len(shape)``."""
        ...

    @property
    def axes(self) -> tuple[Axis, ...]:
        """What is taken along each axis of the whole: a position (the axis is dropped) or a range."""
        ...

    @property
    def unit(self) -> tuple[int, ...]:
        """Shape of what is read as one, such as a chunk: one length per axis of the whole, 1 at least."""
        ...

    @property
    def locations(self) -> frozenset[str]:
        """Paths or URLs of all arrays that values may come from: what a save must not destroy first."""
        ...

    def view(self, index: object) -> Source:
        """Take a part with integers, slices and an ellipsis, without reading anything."""
        ...

    def __getitem__(self, index: Any) -> Any:
        """Read a part, into memory of the caller's own."""
        ...

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        """Read everything."""
        ...


@dataclass(frozen=True, kw_only=True)
class _Origin:
    """How one of our dask arrays was made, and what it is called as long as it is nothing else."""

    name: str
    source: Source
    planned: bool
    inline_array: bool
    meta: Any


@dataclass(frozen=True, kw_only=True)
class _Turned:
    """What one of our dask arrays is transposed from: turned back, it is that again."""

    name: str
    straight: Any
    order: tuple[int, ...]


def lazy_array(
    source: Source, *, name: str, blocks: Blocks | None, inline_array: bool, meta: Any
) -> dask.array.Array:
    """Return a dask array that reads from a source.

    Slicing the result with integers and slices takes a part of the source and makes a dask array of that, so
    that only what a request needs is read however often the array was sliced before. (dask itself pushes one
    slice down to the source, not a slice of a slice: a plane of a channel would read the channel.)

    Parameters
    ----------
    source
        What is read.
    name
        Name of the dask array; it must stand for this content alone.
    blocks
        Lengths of the blocks along each axis; None to plan them, anew for every part that is taken.
    inline_array, meta
        As in ``dask.array.from_array``; `meta` None for numpy.

    Returns
    -------
    dask.array.Array
        Nothing is read until it is computed.

    Examples
    --------
    >>> import zarr
    >>> from napari_ome_ngff.storage.pixels.source import ChunkedSource
    >>> source = ChunkedSource(zarr.create_array({}, shape=(9, 9), chunks=(3, 3), dtype="uint8"))
    >>> lazy = lazy_array(source, name="nine", blocks=((3, 3, 3), (9,)), inline_array=True, meta=None)
    >>> lazy[2:5].chunks
    ((1, 2), (9,))
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
    """Return the source that a dask array of ours reads, or None if it is anything else than that source.

    Parameters
    ----------
    data
        Anything. What was computed from one of our arrays, or assigned to, is something else.

    Examples
    --------
    >>> source_of(np.zeros(3)) is None
    True
    """
    origin = data.origin if isinstance(data, _source_array()) else None
    return None if origin is None else cast("Source", origin.source)


def turned_from(data: object) -> tuple[dask.array.Array, tuple[int, ...]] | None:
    """Return what a dask array of ours is the transpose of, and how it was transposed, if it is that alone.

    Parameters
    ----------
    data
        Anything.

    Returns
    -------
    tuple or None
        A dask array that is a source, and the order of its axes.

    Examples
    --------
    >>> turned_from(np.zeros(3)) is None
    True
    """
    turned = data.turned if isinstance(data, _source_array()) else None
    return None if turned is None else (turned.straight, turned.order)


def _copy(array: Any) -> Any:
    """Return a dask array as one of ours."""
    return _source_array()(array.dask, array.name, array.chunks, dtype=array.dtype, meta=array._meta)


def _straight(array: Any) -> Any:
    """Return a copy that stays what it is when the array is assigned to."""
    copy = _copy(array)
    copy.made = array.made
    return copy


def token(thing: object) -> str:
    """Return a short digest of what an object prints as.

    Parameters
    ----------
    thing
        Anything with a ``repr`` that says all that matters.

    Returns
    -------
    str
        Sixteen hexadecimal digits.

    Examples
    --------
    >>> token((1, 2)) == token((1, 2))
    True
    """
    return hashlib.blake2b(repr(thing).encode(), digest_size=8).hexdigest()


@functools.cache
def _source_array() -> Any:
    """Return the class of our dask arrays, made here because importing this module must not load dask."""
    import dask.array

    class SourceArray(dask.array.Array):
        """A dask array that is nothing but a source: slicing it takes a part of the source."""

        # Copies, unpickled and computed arrays are ordinary dask arrays.
        made: _Origin | None = None
        made_turned: _Turned | None = None

        @property
        def origin(self) -> _Origin | None:
            # dask arrays can be assigned to: then the name is another one.
            return self.made if self.made is not None and self.made.name == self.name else None

        @property
        def turned(self) -> _Turned | None:
            made = self.made_turned
            return made if made is not None and made.name == self.name else None

        def transpose(self, *axes: Any) -> Any:
            given = axes[0] if len(axes) == 1 and isinstance(axes[0], Iterable) else axes
            order = tuple(range(self.ndim))[::-1] if not given else tuple(int(i) % self.ndim for i in given)
            turned = self.turned
            if (self.origin is None and turned is None) or len(order) != self.ndim:
                return super().transpose(*axes)  # type: ignore[no-untyped-call]
            straight = _straight(self) if turned is None else turned.straight
            order = order if turned is None else tuple(turned.order[i] for i in order)
            if order == tuple(range(self.ndim)):
                return _straight(straight)
            plain = dask.array.transpose(straight, order)
            result = _copy(plain)
            result.made_turned = _Turned(name=result.name, straight=straight, order=order)
            return result

        def __getitem__(self, index: Any) -> Any:
            if self.origin is None or not is_basic(index):
                return super().__getitem__(index)  # type: ignore[no-untyped-call]
            axes, part = self.origin.source.axes, self.origin.source.view(index)
            if part.axes == axes:
                return self
            return lazy_array(
                part,
                name=f"{self.name}-{token(part.axes)}",
                blocks=None if self.origin.planned else cut_blocks(self.chunks, axes, part.axes),
                inline_array=self.origin.inline_array,
                meta=self.origin.meta,  # dask gives it the number of axes that it needs
            )

        def __array__(  # type: ignore[override]  # dask takes further options and warns of them
            self, dtype: Any = None, copy: bool | None = None
        ) -> np.ndarray[Any, Any]:
            # One request is one read, with all its chunks under way at once, however many blocks it cuts.
            if self.origin is None or self.origin.meta is not None or self.nbytes > BLOCK_BYTES:
                return np.asarray(self.compute(), dtype=dtype)  # type: ignore[no-untyped-call]
            return self.origin.source.__array__(dtype)

    return SourceArray
