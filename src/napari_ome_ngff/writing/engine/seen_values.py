"""What the values of an image are, gathered while they are written: the contrast of its channels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_ome_ngff.channels import default_window
from napari_ome_ngff.metadata.nouns import Window
from napari_ome_ngff.writing.blocks import Box
from napari_ome_ngff.writing.sources import load, part_of

_SAMPLE = 2**16  # voxels of a channel that percentiles are made of, about and at most
_SAMPLES = 2**22  # of all channels together
_PERCENTILES = (0.5, 99.8)
_READ_AT_MOST = 2**26  # bytes of a level that was copied
_BLOCKS_AT_MOST = 256


class Glance(NamedTuple):
    """What was seen of a channel in one block: its extremes, and every so manyth voxel."""

    channel: int
    low: float
    high: float
    sample: Any


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Which voxels of a level are looked at: all for the extremes, every so manyth for percentiles."""

    channel: int | None  # axis of channels
    steps: tuple[int, ...]

    def look(self, values: NDArray[Any], region: Box) -> list[Glance]:
        """What is seen in a region of each channel that it has, except where no number is finite."""
        # Every so manyth of the level, not of the block: it does not matter how an image is cut.
        picked = [
            slice((step // 2 - part.start) % step, None, step)
            for part, step in zip(region, self.steps, strict=True)
        ]
        if self.channel is None:
            return _glances(0, values, picked)
        at, glances = self.channel, list[Glance]()
        picked[at] = slice(None)
        for i in range(values.shape[at]):
            one = values[(slice(None),) * at + (slice(i, i + 1),)]
            glances += _glances(region[at].start + i, one, picked)
        return glances


def _glances(channel: int, values: NDArray[Any], picked: Sequence[slice]) -> list[Glance]:
    low, high, sample = values.min(), values.max(), values[tuple(picked)].ravel()
    if values.dtype.kind == "f" and not (np.isfinite(low) and np.isfinite(high)):
        finite = values[np.isfinite(values)]
        if not finite.size:
            return []
        low, high, sample = finite.min(), finite.max(), sample[np.isfinite(sample)]
    return [Glance(channel, float(low), float(high), sample)]


class SeenValues:
    """What was seen of the channels of a level so far; the order in which blocks come does not matter."""

    def __init__(self, shape: Sequence[int], channel: int | None) -> None:
        count = 1 if channel is None else shape[channel]
        room = max(1, min(_SAMPLE, _SAMPLES // count))
        self.sampling = Sampling(channel=channel, steps=steps_for(shape, channel, room))
        self._ranges: list[tuple[float, float] | None] = [None] * count
        self._samples: list[list[NDArray[Any]]] = [[] for _ in range(count)]

    def add(self, glances: Iterable[Sequence[Any]]) -> None:
        """Add what was seen in a block."""
        for channel, low, high, sample in glances:
            least, most = self._ranges[channel] or (low, high)
            self._ranges[channel] = min(least, low), max(most, high)
            if len(sample):
                self._samples[channel].append(np.array(sample))

    def windows(self, dtype: np.dtype[Any]) -> tuple[Window, ...]:
        """The window of each channel: its extremes, and percentiles that leave out a few outliers."""
        return tuple(
            default_window(dtype) if ends is None else _window(*ends, samples, dtype)
            for ends, samples in zip(self._ranges, self._samples, strict=True)
        )


def _window(low: float, high: float, samples: Sequence[NDArray[Any]], dtype: np.dtype[Any]) -> Window:
    start, end = low, high
    if samples:
        with np.errstate(over="ignore", invalid="ignore"):
            values = np.concatenate(samples).astype(np.float64)
            start, end = map(float, np.percentile(values, _PERCENTILES))
    if not start < end:
        start, end = low, high
    if not start < end:  # one value: from there to 0
        start, end = min(low, 0.0), max(high, 0.0)
    if not start < end:
        return default_window(dtype)
    return Window(start=start, end=end, min=min(low, start), max=max(high, end))


def steps_for(shape: Sequence[int], channel: int | None, room: int) -> tuple[int, ...]:
    """Steps of which at most so many voxels of a channel are left; odd, as patterns of detectors are not."""
    steps = [1] * len(shape)
    others = [i for i in range(len(shape)) if i != channel]
    while others and math.prod(-(-shape[i] // steps[i]) for i in others) > room:
        widest = max(others, key=lambda i: shape[i] / steps[i])
        steps[widest] = 2 * steps[widest] + 1
    return tuple(steps)


def seen_in(seen: SeenValues, source: Any, chunks: Sequence[int]) -> None:
    """Look at a level, an xarray ``Variable``: at all of it, or at chunks from all over if it is large."""
    unit = tuple(map(min, chunks, source.shape))
    grid = tuple(-(-n // size) for n, size in zip(source.shape, unit, strict=True))
    count = math.prod(grid)
    most = max(1, min(_BLOCKS_AT_MOST, _READ_AT_MOST // (math.prod(unit) * source.dtype.itemsize)))
    channel, few = seen.sampling.channel, count > most
    sampling = Sampling(
        channel=channel,
        steps=steps_for(unit if few else source.shape, channel, _SAMPLE // most if few else _SAMPLE),
    )
    for number in np.unique(np.linspace(0, count - 1, min(count, most)).astype(int)):
        box = tuple(
            slice(int(i) * size, min((int(i) + 1) * size, n))
            for i, size, n in zip(np.unravel_index(number, grid), unit, source.shape, strict=True)
        )
        seen.add(sampling.look(load(part_of(source, box, remote=False), box, source.dtype), box))
