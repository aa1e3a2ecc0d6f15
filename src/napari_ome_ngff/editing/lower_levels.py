"""Which chunks of the next level depend on chunks of one level, and how they are made anew."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ome_ngff.editing.held_chunks import Position
from napari_ome_ngff.editing.painted import Painted
from napari_ome_ngff.writing.blocks import Box
from napari_ome_ngff.writing.engine.reduce import reduce_block


def factors_between(fine: Sequence[int], coarse: Sequence[int]) -> tuple[int | None, ...]:
    """How many voxels of a level make one of the next, along each axis; None where that is no whole number.

    >>> factors_between((64, 101, 100), (64, 50, 40))
    (1, 2, None)
    """
    return tuple(_factor(n, m) for n, m in zip(fine, coarse, strict=True))


def _factor(fine: int, coarse: int) -> int | None:
    for factor in (fine // coarse, -(-fine // coarse), round(fine / coarse)):
        if factor and coarse in (fine // factor, -(-fine // factor)):
            return factor
    return None


def made_of(box: Box, fine: Sequence[int], coarse: Sequence[int]) -> Box:
    """The region of the next level that depends on a region of a level; it may be empty."""
    parts = []
    for part, n, m, factor in zip(box, fine, coarse, factors_between(fine, coarse), strict=True):
        if factor is not None:
            start, stop = part.start // factor, -(-part.stop // factor)
        else:  # voxel i is the one at i * n // m
            start, stop = -(-part.start * m // n), -(-part.stop * m // n)
        parts.append(slice(min(start, m), min(stop, m)))
    return tuple(parts)


def dependents(chunks: Iterable[Position], fine: Painted, coarse: Painted) -> set[Position]:
    """The chunks of the next level that depend on chunks of a level."""
    result: set[Position] = set()
    for position in chunks:
        box = made_of(chunk_box(position, fine.grid, fine.shape), fine.shape, coarse.shape)
        cells = [range(part.start // n, -(-part.stop // n)) for part, n in zip(box, coarse.grid, strict=True)]
        result.update(itertools.product(*cells))
    return result


def chunk_box(position: Position, grid: Sequence[int], shape: Sequence[int]) -> Box:
    """The region of a chunk, up to the end of its array."""
    return tuple(slice(i * n, min((i + 1) * n, end)) for i, n, end in zip(position, grid, shape, strict=True))


def make_anew(box: Box, fine: Painted, coarse: Painted, method: str) -> None:
    """Paint on the next level what depends on a region of a level."""
    target = made_of(box, fine.shape, coarse.shape)
    if any(part.start == part.stop for part in target):
        return
    factors = factors_between(fine.shape, coarse.shape)
    if None in factors:
        coarse[target] = _sampled(target, fine, coarse)
        return
    whole = tuple(factor or 1 for factor in factors)
    source = tuple(
        slice(part.start * f, min(part.stop * f, n))
        for part, f, n in zip(target, whole, fine.shape, strict=True)
    )
    values = fine.saved_box(source)
    # Where the last window is not whole, other programs round the size up: the edge goes on.
    missing = [part.stop * f - one.stop for part, f, one in zip(target, whole, source, strict=True)]
    if any(missing):
        values = np.pad(values, [(0, n) for n in missing], mode="edge")
    coarse[target] = reduce_block(values, whole, method)


def _sampled(target: Box, fine: Painted, coarse: Painted) -> NDArray[Any]:
    """The nearest voxels, where the sizes of levels are no multiples of each other."""
    wanted = [
        np.arange(part.start, part.stop) * n // m
        for part, n, m in zip(target, fine.shape, coarse.shape, strict=True)
    ]
    corner = tuple(slice(int(one[0]), int(one[-1]) + 1) for one in wanted)
    values = fine.saved_box(corner)
    return values[np.ix_(*(one - one[0] for one in wanted))]
