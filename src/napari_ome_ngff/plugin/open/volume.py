"""Levels that napari can draw in 3D, and how they are read: those of the file, and if too large one more.

In 3D napari draws the whole coarsest level, and fails if that is longer than a 3D texture. What is added here
exists in napari only, and is not saved.

napari stretches each level from edge to edge over the finest, which is exact for levels whose sizes divide. A
level that was cropped (31 voxels for 250, by a factor of 8) is shown up to one of its own voxels too wide at
its far end; at full zoom nothing is off. `misfits` finds levels that are off by more.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator, Sequence
from typing import Any

import numpy as np

from napari_ome_ngff.metadata.nouns import ScaleTranslation
from napari_ome_ngff.reading.plates.mosaic import MosaicSource
from napari_ome_ngff.storage.pixels.dask_array import source_of
from napari_ome_ngff.storage.pixels.indexing import Source
from napari_ome_ngff.storage.places.location import is_url

LONGEST = 2048  # voxels along an axis of a 3D texture that cards and drivers can be expected to take
VOLUME_BYTES = 2**28  # of a volume: it is loaded as a whole, for each channel, and sent to the card
READ_AT_MOST = 2**31  # bytes, decoded, that napari may read for a volume unless the user locks a level
CHUNKS_AT_MOST = 2**15  # the same in chunks
PIECE_BYTES = 2**25  # read between two looks at whether it is still wanted
SHOW_BYTES = 2**28  # read before it is shown: layers of less change together

Read = tuple[int, dict[int, np.ndarray[Any, Any]], float]
"""How many volumes can be shown, what has been read of them since the last time, and the seconds so far."""


_OFF = 1.5  # of its own voxels: less is how levels of odd sizes, or of every second voxel, come to lie


def with_volume(
    levels: Sequence[Any], *, rgb: bool = False, longest: int = LONGEST, nbytes: int = VOLUME_BYTES
) -> list[Any]:
    """Return the levels, and after them one or two that can be drawn in 3D if the coarsest cannot.

    The added level is every n-th voxel of the coarsest one: as much is read for it, but no more than `nbytes`
    are kept. In 2D it costs nothing: its chunks are those of the coarsest level's plane.

    An image of one level stays one, and can be painted on if it is a label image, up to four times `nbytes`:
    napari itself thins what is too long for a texture, once it has loaded it. Where even reading all chunks
    once is too much, a sample of them comes last.
    """
    coarsest = levels[-1]
    if coarsest.ndim - rgb < 3:
        return list(levels)
    *_, depth, height, width = coarsest.shape[: coarsest.ndim - rgb]
    voxel = coarsest.dtype.itemsize * (coarsest.shape[-1] if rgb else 1)
    sample = sampling(coarsest, rgb=rgb)
    small = len(levels) == 1 and depth * height * width * voxel <= 4 * nbytes
    factors = strides((depth, height, width), voxel, longest=longest, nbytes=nbytes)
    wanted = [] if small else [factors]
    if sample is not None:
        wanted.append(tuple(map(max, factors, sample)))
    # From the middle of the voxels that one stands for, so that it lies where they lie.
    steps = [[slice((factor - 1) // 2, None, factor) for factor in each] for each in wanted if max(each) > 1]
    return [*levels, *(coarsest[(..., *each, *([slice(None)] * rgb))] for each in steps)]


def with_overview(levels: Sequence[Any], *, rgb: bool = False, longest: int = LONGEST) -> list[Any]:
    """Return levels of a plate, and after them every second voxel, every fourth, until it fits a screen."""
    # The coarsest level of 1,536 fields of 270x270 is a picture of 230 MB a channel: seconds to draw.
    coarsest, result = levels[-1], list(levels)
    last = coarsest.ndim - rgb
    if not isinstance(source_of(coarsest), MosaicSource):
        return result
    factor = 2
    while max(coarsest.shape[last - 2 : last]) * 2 > factor * longest:
        step = slice((factor - 1) // 2, None, factor)
        result.append(coarsest[(..., step, step, *([slice(None)] * rgb))])
        factor *= 2
    return result


def sampling(
    coarsest: Any, *, rgb: bool = False, nbytes: int | None = None, chunks: int | None = None
) -> tuple[int, ...] | None:
    """Return how a volume is thinned so that few of its chunks are read; None if all of them may be."""
    nbytes, chunks = nbytes or READ_AT_MOST, chunks or CHUNKS_AT_MOST
    source = source_of(coarsest)
    units = getattr(coarsest, "chunksize", None) if source is None else source.units
    last = coarsest.ndim - rgb
    if units is None or last < 3 or 0 in coarsest.shape:
        return None
    sizes, cells = coarsest.shape[last - 3 : last], units[last - 3 : last]
    cell = math.prod(map(min, units, coarsest.shape)) * coarsest.dtype.itemsize
    colours = -(-coarsest.shape[-1] // units[-1]) if rgb else 1
    factors = [1, 1, 1]

    def touched(i: int) -> int:
        return int(min(-(-sizes[i] // cells[i]), -(-sizes[i] // factors[i])))

    while (count := math.prod(map(touched, range(3))) * colours) > chunks or count * cell > nbytes:
        i = max(range(3), key=touched)
        if touched(i) == 1:
            break
        factors[i] = 2 * max(factors[i], cells[i])
    return tuple(factors) if max(factors) > 1 else None


def strides(
    shape: Sequence[int], itemsize: int, *, longest: int = LONGEST, nbytes: int = VOLUME_BYTES
) -> tuple[int, ...]:
    """Return powers of two by which a volume is to be thinned along each axis until it can be drawn."""
    factors = [1] * len(shape)
    sizes = list(shape)
    while max(sizes) > longest or (math.prod(sizes) * itemsize > nbytes and max(sizes) > 1):
        i = sizes.index(max(sizes))
        factors[i] *= 2
        sizes[i] = -(-shape[i] // factors[i])
    return tuple(factors)


def misfits(
    shapes: Sequence[Sequence[int]], transforms: Sequence[ScaleTranslation], *, tolerance: float = _OFF
) -> list[int]:
    """Return which levels do not cover, from edge to edge, what the finest one covers.

    The `tolerance` is in voxels of the level.
    """
    misplaced = []
    whole = _edges(shapes[0], transforms[0])
    for index in range(1, len(shapes)):
        steps = transforms[index].scale
        for (low, high), (start, end), step in zip(
            whole, _edges(shapes[index], transforms[index]), steps, strict=True
        ):
            if max(abs(start - low), abs(end - high)) > tolerance * abs(step):
                misplaced.append(index)
                break
    return misplaced


def _edges(shape: Sequence[int], transform: ScaleTranslation) -> list[tuple[float, float]]:
    return [
        (start - step / 2, start + step * (size - 0.5))
        for size, step, start in zip(shape, transform.scale, transform.translation, strict=True)
    ]


def read_volumes(volumes: Sequence[Any]) -> Generator[Read, None, None]:
    """Read the volumes that are lazy arrays of ours, piece by piece; after each, how far it is."""
    started, shown = time.perf_counter(), 0
    ready: dict[int, np.ndarray[Any, Any]] = {}
    for index, volume in enumerate(volumes):
        if (source := source_of(volume)) is not None:
            values = np.empty(source.shape, source.dtype)
            for piece in _pieces(source):
                _read(source.view(piece), values[piece])
                yield shown, {}, time.perf_counter() - started
            ready[index] = values
            del values
        if sum(one.nbytes for one in ready.values()) > SHOW_BYTES or index == len(volumes) - 1:
            shown = index + 1
            yield shown, ready, time.perf_counter() - started
            ready = {}


def _pieces(source: Source) -> Iterator[tuple[slice, ...]]:
    """Cut a volume along its longest axis, where chunks end."""
    axis = int(np.argmax(source.shape))
    size, unit = source.shape[axis], max(1, source.units[axis] // abs(source.dims[axis].step))
    nbytes = math.prod(source.shape) * source.dtype.itemsize
    step = unit * max(1, size * PIECE_BYTES // max(1, nbytes * unit))
    for start in range(0, size, step):
        yield (*([slice(None)] * axis), slice(start, start + step))


def _read(part: Source, values: np.ndarray[Any, Any]) -> None:
    if any(map(is_url, part.locations)):  # the cache keeps what came from a server
        values[...] = part[...]
    else:
        part.read_into(values)
