"""Contrast for channels of which the file says none: from a bounded part of the coarsest level."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from napari_ome_ngff.plugin.colors import Limits, is_rgb, limits_around, usable_limits, window_limits
from napari_ome_ngff.plugin.layout import layout
from napari_ome_ngff.reading.opened import Collection, Image, images_of
from napari_ome_ngff.storage.pixels.dask_array import source_of

READ_AT_MOST = 16 * 2**20
"""Bytes that are read for all channels of all images together."""


CHUNKS_AT_MOST = 1024
"""Chunks that are read for all channels of all images together: a file may have millions in a plane."""


LARGEST_CHUNK = 2**28
"""Bytes of a decoded chunk above which none is read: contrast is not worth that."""


IMAGES_AT_MOST = 8
"""Images of a collection that are read; the others get the contrast of one of the same kind."""


TILES_AT_MOST = 6
"""Fields of a plate that are read."""


_DEPTHS = (1 / 2, 1 / 6, 5 / 6)  # of a stack: the plane that napari shows first, and two more


_PERCENTILES = (0.5, 99.8)


_VALUES_AT_MOST = 2**20


_READERS = 16


_log = logging.getLogger(__name__)


Box = tuple[slice, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Sample:
    """What is to be read of one channel: arrays, not read yet."""

    image: str
    channel: int
    parts: tuple[Any, ...]


def estimate_limits(
    opened: Image | Collection, *, nbytes: int = READ_AT_MOST
) -> dict[str, tuple[Limits | None, ...]]:
    """Read a part of the coarsest levels, and return contrast limits for the channels that have none.

    All that is read, for whatever number of channels and images, is asked for at once: of a stack the plane
    that napari shows first and two more, of a plate some of the fields. `nbytes` is how much at most, in
    whole chunks of a bounded number, but one chunk of each plane; what does not fit is left out around the
    middle. Limits come by name of the image; they are None where the file has them, or nothing could be read.
    """
    images = images_of(opened)
    wanted = {name: _wanted(image) for name, image in images.items()}
    sampled = [name for name, channels in wanted.items() if any(channels)][:IMAGES_AT_MOST]
    count = max(1, sum(sum(wanted[name]) for name in sampled))
    room = nbytes // count, CHUNKS_AT_MOST // count
    samples = [sample for name in sampled for sample in _samples(name, images[name], wanted[name], *room)]
    estimates = dict(zip([(each.image, each.channel) for each in samples], _read(samples), strict=True))
    limits = {
        name: tuple(estimates.get((name, i)) if use else None for i, use in enumerate(channels))
        for name, channels in wanted.items()
    }
    similar = {_kind(images[name]): limits[name] for name in reversed(sampled)}
    for name in set(images) - set(sampled):
        others = similar.get(_kind(images[name]), ())
        if len(others) == len(wanted[name]):
            limits[name] = tuple(k if use else None for k, use in zip(others, wanted[name], strict=True))
    return limits


def _wanted(image: Image) -> tuple[bool, ...]:
    """For each channel, whether its contrast is to be found out."""
    multiscale = image.multiscale
    if multiscale is None or multiscale.label_image is not None or not image.arrays:
        return ()
    coarsest = _coarsest(image)
    axis = layout(multiscale, coarsest.shape).channel
    count = 1 if axis is None else coarsest.shape[axis]
    channels = multiscale.channels if axis is not None or len(multiscale.channels) == 1 else ()
    if coarsest.dtype.kind not in "iufc" or 0 in coarsest.shape or is_rgb(channels, count):
        return (False,) * count
    if not _is_readable(coarsest):
        return (False,) * count
    return tuple(i >= len(channels) or window_limits(channels[i].window) is None for i in range(count))


def _coarsest(image: Image) -> Any:
    return min(image.arrays.values(), key=lambda array: array.size).data


def _kind(image: Image) -> tuple[object, ...]:
    """Images of which this is the same may have similar contrast."""
    dtype = next(iter(image.arrays.values())).dtype if image.arrays else None
    channels = image.multiscale.channels if image.multiscale is not None else ()
    return str(dtype), tuple(channel.label for channel in channels)


def _samples(name: str, image: Image, wanted: Sequence[bool], nbytes: int, chunks: int) -> Iterator[_Sample]:
    """Yield what is to be read of each channel: so many bytes, and so many chunks."""
    multiscale = image.multiscale
    assert multiscale is not None
    data = _coarsest(image)
    source = source_of(data)  # parts of it cost next to nothing, those of a lazy array a graph each
    arranged = layout(multiscale, data.shape)
    unit, inside = read_as_one(data, chunks)
    if math.prod(unit) * data.dtype.itemsize > nbytes:  # a chunk too large to be read as a whole
        unit = tuple(min(size, max(1, math.isqrt(nbytes // data.dtype.itemsize))) for size in unit)
    plane, channel_axis = arranged.order[-2:], arranged.channel
    stack = [i for i in arranged.order[:-2] if multiscale.axes[i].type == "space"][-1:]
    middle = [(n - 1) // 2 for n in data.shape]  # what napari shows first
    regions = _regions(image, plane, data.shape)
    planes = dict.fromkeys(int((data.shape[stack[0]] - 1) * part) for part in _DEPTHS) if stack else [0]
    share = max(1, len(regions) * len(planes))
    room = nbytes // share // (math.prod(unit) * data.dtype.itemsize)
    room = min(room, chunks // share // inside) if inside else room
    for channel in (i for i, use in enumerate(wanted) if use):
        parts = []
        for depth, region in product(planes, regions):
            box = [slice(i, i + 1) for i in middle]
            for i in stack:
                box[i] = slice(depth, depth + 1)
            if channel_axis is not None:
                box[channel_axis] = slice(channel, channel + 1)
            box[plane[0]], box[plane[1]] = _window(region, [unit[i] for i in plane], room)
            parts.append(data[tuple(box)] if source is None else source.view(tuple(box)))
        yield _Sample(image=name, channel=channel, parts=tuple(parts))


def _regions(image: Image, plane: Sequence[int], shape: Sequence[int]) -> list[list[range]]:
    """Return what to read, along the two displayed axes: everything, or some fields of a mosaic."""
    whole = [range(shape[i]) for i in plane]
    finest = max(image.arrays.values(), key=lambda array: array.size).shape
    factors = [finest[i] / shape[i] for i in plane]
    step = max(1, math.ceil(len(image.tiles) / TILES_AT_MOST))
    regions = []
    for tile in image.tiles[step // 2 :: step]:
        sides = ((tile.y, tile.height), (tile.x, tile.width))
        region = [
            range(int(start / f), min(max(int((start + size) / f), int(start / f) + 1), len(all_)))
            for (start, size), f, all_ in zip(sides, factors, whole, strict=True)
        ]
        if all(region):
            regions.append(region)
    return regions or [whole]


def _window(region: Sequence[range], unit: Sequence[int], room: int) -> list[slice]:
    """Cut a region to its middle, to whole chunks where they are known: `room` of them at most, but one."""
    counts = [r.stop // u + (r.stop % u > 0) - r.start // u for r, u in zip(region, unit, strict=True)]
    room = max(1, room)
    across = min(counts[1], max(1, math.isqrt(room)))
    down = min(counts[0], max(1, room // across))
    across = min(counts[1], max(1, room // down))
    result = []
    for r, u, count, n in zip(region, unit, counts, (down, across), strict=True):
        first = (r.start // u + (count - n) // 2) * u
        result.append(slice(max(r.start, first), min(r.stop, first + n * u)))
    return result


def read_as_one(data: Any, most: int = CHUNKS_AT_MOST) -> tuple[tuple[int, ...], int]:
    """Return the shape that an array is read in, a chunk or a shard, and how many chunks that is.

    No more than `most`, if it can be; ones and no chunk at all where neither is known.
    """
    source = source_of(data)
    if source is None:
        return (1,) * int(data.ndim), 0
    unit, inside = source.unit, math.prod(-(-u // c) for u, c in zip(source.unit, source.grid, strict=True))
    if inside > most:
        unit, inside = source.grid, 1
    lengths = zip(source.along(unit), data.shape, strict=True)
    return tuple(max(1, min(size, n)) for size, n in lengths), inside


def _is_readable(data: Any) -> bool:
    """Return whether chunks are small enough to be read for contrast."""
    source = source_of(data)
    return source is None or math.prod(source.grid) * source.dtype.itemsize <= LARGEST_CHUNK


def _read(samples: Sequence[_Sample]) -> list[Limits | None]:
    """Read all parts, as many at once as there are readers, and find limits for each channel."""
    jobs = [part for sample in samples for part in sample.parts]
    if not jobs:
        return []
    with ThreadPoolExecutor(max_workers=min(_READERS, len(jobs)), thread_name_prefix="contrast") as pool:
        values = iter(list(pool.map(_values, jobs)))
    return [_limits([next(values) for _ in sample.parts]) for sample in samples]


def _values(part: Any) -> Any:
    try:
        return np.asarray(part).ravel()
    except Exception as error:  # noqa: BLE001 - contrast is decoration: the image opens without it
        _log.warning("no contrast could be estimated: %s", error)
        return np.empty(0)


def _limits(values: Sequence[Any]) -> Limits | None:
    """Return percentiles that leave out a few outliers; None where all is 0 or not a number."""
    flat = np.concatenate(values) if len(values) > 1 else values[0]
    flat = flat[:: max(1, flat.size // _VALUES_AT_MOST)]
    whole = flat.dtype.kind in "iu"
    with np.errstate(all="ignore"):  # of extreme numbers
        flat = np.abs(flat) if flat.dtype.kind == "c" else flat
        flat = flat[np.isfinite(flat)].astype(np.float64)
        if flat.size == 0:
            return None
        low, high = np.percentile(flat, _PERCENTILES)
        if not usable_limits(low, high):
            low, high = flat.min(), flat.max()
        if whole and low == high:  # what its type can hold shows as much of it
            return None
        return limits_around(low, high)
