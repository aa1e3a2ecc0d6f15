"""Which level of an image is shown in 3D: the finest one that fits, for all its layers together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_ome_ngff.plugin.open.volume import CHUNKS_AT_MOST, LONGEST, READ_AT_MOST
from napari_ome_ngff.storage.pixels.dask_array import source_of

_SAME = 0.75  # levels of odd sizes: less than that is another voxel size


@dataclass(frozen=True, kw_only=True)
class VolumeLevel:
    """A level in 3D, of one layer or of all layers of an image together."""

    levels: tuple[int, ...]  # one for each layer
    voxel: float  # volume of a voxel in napari's world
    nbytes: int  # of what is shown, in memory or on the graphics card
    drawable: bool  # a texture can hold it, and not too many chunks are read for it


def levels_of(layer: Any, dims: Any, *, longest: int = LONGEST) -> list[VolumeLevel]:
    """The levels of a layer, finest first, as they would be shown with these displayed dimensions."""
    shown, levels = displayed_axes(layer, dims), []
    steps = np.abs(np.asarray(layer.scale))[shown]
    for i, data in enumerate(layer.data):
        part = part_at(layer, dims, i)
        sizes = [len(range(*cut.indices(n))) for cut, n in zip(part, data.shape, strict=False)]
        rest = math.prod(data.shape[layer.ndim :])  # colours
        levels.append(
            VolumeLevel(
                levels=(i,),
                voxel=float(np.prod(steps * layer.downsample_factors[i][shown])),
                nbytes=math.prod(sizes) * rest * _bytes_per_voxel(data.dtype),
                drawable=max(data.shape[axis] for axis in shown) <= longest and _is_readable(data, sizes),
            )
        )
    return levels


def displayed_axes(layer: Any, dims: Any) -> list[int]:
    """The axes of a layer that are drawn: napari aligns layers from the right."""
    missing = dims.ndim - layer.ndim
    return [dim - missing for dim in dims.displayed if dim >= missing]


def part_at(layer: Any, dims: Any, level: int) -> tuple[slice, ...]:
    """What napari reads of a level in 3D: all along displayed axes, one slice or a thick one along others."""
    missing = dims.ndim - layer.ndim
    shown = displayed_axes(layer, dims)
    point = layer.world_to_data(dims.point[missing:])
    thick = str(layer.projection_mode) != "none"
    part = []
    for axis, (size, factor) in enumerate(
        zip(layer.level_shapes[level], layer.downsample_factors[level], strict=True)
    ):
        if axis in shown:
            part.append(slice(0, int(size)))
            continue
        step = abs(float(layer.scale[axis])) or 1.0
        before, after = (
            (dims.margin_left[missing + axis] / step, dims.margin_right[missing + axis] / step)
            if thick
            else (0.0, 0.0)
        )
        first, last = (
            int(np.clip(round(place / factor), 0, size - 1))
            for place in (point[axis] - before, point[axis] + after)
        )
        part.append(slice(first, last + 1))
    return tuple(part)


def volume_at(layer: Any, dims: Any, level: int) -> Any:
    """The same as a lazy array, just as napari takes it: one slice is an index."""
    part, shown = part_at(layer, dims, level), displayed_axes(layer, dims)
    is_thick = str(layer.projection_mode) != "none"
    return layer.data[level][
        tuple(cut if is_thick or axis in shown else cut.start for axis, cut in enumerate(part))
    ]


def _bytes_per_voxel(dtype: np.dtype[Any]) -> int:
    # In memory or as a texture, whatever is more: cards take 8 and 16 bits without sign, and float32.
    return dtype.itemsize if dtype.name in ("bool", "uint8", "uint16") else max(4, dtype.itemsize)


def _is_readable(data: Any, sizes: Sequence[int]) -> bool:
    source = source_of(data)
    units = getattr(data, "chunksize", None) if source is None else source.units
    if units is None:  # in memory
        return True
    cells = [*(-(-n // unit) for n, unit in zip(sizes, units, strict=False)), 1]
    count = math.prod(cells)
    size = math.prod(map(min, units, data.shape)) * data.dtype.itemsize
    return bool(count <= CHUNKS_AT_MOST and count * size <= READ_AT_MOST)


def together(layers: Iterable[Sequence[VolumeLevel]]) -> list[VolumeLevel]:
    """The levels of an image, finest first: of each layer the one that is no finer than the others'."""
    layers = list(layers)
    merged: dict[tuple[int, ...], VolumeLevel] = {}
    for voxel in sorted({level.voxel for each in layers for level in each}):
        picked = [
            next((level for level in each if level.voxel >= _SAME * voxel), each[-1]) for each in layers
        ]
        levels = tuple(level.levels[0] for level in picked)
        one = VolumeLevel(
            levels=levels,
            voxel=voxel,
            nbytes=sum(level.nbytes for level in picked),
            drawable=all(level.drawable for level in picked),
        )
        merged.setdefault(levels, one)
    return list(merged.values())


def finest_within(levels: Sequence[VolumeLevel], budget: float) -> VolumeLevel:
    """The finest level that can be drawn and takes no more than that; the coarsest if none does."""
    fitting = (level for level in levels if level.drawable and level.nbytes <= budget)
    return next(fitting, levels[-1])


def shared(images: Sequence[Sequence[VolumeLevel]], budget: float) -> list[VolumeLevel]:
    """A level for each image, within one budget: what a small image leaves is for the larger ones."""
    chosen: dict[int, VolumeLevel] = {}
    by_size = sorted(range(len(images)), key=lambda i: images[i][0].nbytes)
    for place, i in enumerate(by_size):
        chosen[i] = finest_within(images[i], budget / (len(images) - place))
        budget = max(0, budget - chosen[i].nbytes)
    return [chosen[i] for i in range(len(images))]
