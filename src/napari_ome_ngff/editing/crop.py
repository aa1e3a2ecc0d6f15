"""A part of images that are to be saved, with their label images: cut by positions, unread."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_ome_ngff.coordinates import grid_of
from napari_ome_ngff.errors import OptionError, without_secrets
from napari_ome_ngff.metadata.group_kind import OUR_KEYS
from napari_ome_ngff.metadata.nouns import Json, Multiscale
from napari_ome_ngff.writing.plan.write_plan import MultiscaleSource

if TYPE_CHECKING:
    from xarray import DataArray

PART_OF = f"{OUR_KEYS}part-of"
"""The attribute that says what an image was cut from."""


Extents = Mapping[str, tuple[float, float]]
"""From where to where a part reaches, by dim, in the units of the axes; dims that are left out are whole."""


def part_of_sources(
    sources: Mapping[str, MultiscaleSource], extents: Extents, *, from_level: int = 0, location: str | None
) -> dict[str, MultiscaleSource] | None:
    """The part of an image, and of what lies on it, that has its centres of voxels in a region.

    Arguments as for `cut_sources`; the first of `sources` says what the region is. None: it is the whole.
    """
    first = next(iter(sources.values()))
    levels = list(levels_of(first).values())
    if from_level >= len(levels):
        name = first.name or "The image"
        raise OptionError(f"{name} has no level {from_level}.", expected=f"0 to {len(levels) - 1}")
    array = levels[from_level]
    ranges = ranges_within(array, extents)
    for dim, taken in zip(_dims(array), ranges, strict=True):
        if taken.start >= taken.stop:
            raise OptionError(f"There is no voxel in this part along {dim!r}.", found=str(extents[dim]))
    if not from_level and all(
        len(range(n)[taken]) == n for n, taken in zip(array.shape, ranges, strict=True)
    ):
        return None
    return cut_sources(sources, from_level, ranges, dims=extents, location=location)


def cut_sources(
    sources: Mapping[str, MultiscaleSource],
    from_level: int,
    ranges: Sequence[slice],
    *,
    dims: Container[str],
    location: str | None,
) -> dict[str, MultiscaleSource]:
    """Some voxels of a level of the first of `sources`, and of the others what lies there.

    Those are cut along the edges of the voxels, in `dims`, from the levels with the closest voxel size, and
    left out if nothing of them lies there. `location` is where the first was opened from.
    """
    (main, first), *others = sources.items()
    path, array = list(levels_of(first).items())[from_level]
    cut = {main: _cut(first, from_level, ranges)}
    if location is not None:
        provenance: Json = {
            "image": without_secrets(location),
            "level": path,
            "region": {dim: [part.start, part.stop] for dim, part in zip(_dims(array), ranges, strict=True)},
        }
        cut[main] = replace(cut[main], attributes={**first.attributes, PART_OF: provenance})
    reach = {dim: ends for dim, ends in _reach(array, ranges).items() if dim in dims}
    for name, source in others:
        arrays = list(levels_of(source).values())
        level = _closest(_sizes(array), [_sizes(each) for each in arrays])
        taken = ranges_within(arrays[level], reach)
        if all(part.start < part.stop for part in taken):
            cut[name] = _cut(source, level, taken)
    return cut


def levels_of(source: MultiscaleSource) -> Mapping[str, DataArray]:
    """The levels of a source by their paths, finest first."""
    if source.arrays:
        return source.arrays
    assert source.image is not None
    return {"0": source.image}


def _dims(array: DataArray) -> tuple[str, ...]:
    return tuple(map(str, array.dims))


def _sizes(array: DataArray) -> dict[str, float]:
    return dict(zip(_dims(array), grid_of(array).scale, strict=True))


def ranges_within(array: DataArray, extents: Extents) -> tuple[slice, ...]:
    """The voxels of a level with their centres in ``[start, stop)`` of each dim; maybe none."""
    grid = grid_of(array)
    return tuple(
        voxels_within(*extents[dim], scale, start, n) if dim in extents else slice(0, n)
        for dim, n, scale, start in zip(_dims(array), array.shape, grid.scale, grid.translation, strict=True)
    )


def voxels_within(low: float, high: float, scale: float, start: float, n: int) -> slice:
    """The voxels of an axis with their centres between two positions, which may be infinite; maybe none."""
    ends = []
    for position in sorted(((low - start) / scale, (high - start) / scale)):
        # A position that was computed is hardly ever exactly that of a voxel.
        nearest = round(max(-1.0, min(position, n + 1.0)))
        ends.append(nearest if abs(position - nearest) < 1e-6 else math.ceil(max(0.0, min(position, n))))
    return slice(max(0, min(ends[0], n)), max(0, min(ends[1], n)))


def _reach(array: DataArray, ranges: Sequence[slice]) -> dict[str, tuple[float, float]]:
    """From where to where voxels reach along each dim, edges included."""
    grid, reach = grid_of(array), {}
    for dim, scale, start, part in zip(_dims(array), grid.scale, grid.translation, ranges, strict=True):
        ends = start + scale * (part.start - 0.5), start + scale * (part.stop - 0.5)
        reach[dim] = (min(ends), max(ends))
    return reach


def _closest(sizes: Mapping[str, float], levels: Sequence[Mapping[str, float]]) -> int:
    """The level whose voxels are closest to a size along the axes that both have."""

    def difference(level: int) -> float:
        pairs = ((abs(size), abs(sizes.get(dim, 0))) for dim, size in levels[level].items())
        return sum(abs(math.log(one / other)) for one, other in pairs if one and other)

    return min(range(len(levels)), key=difference)


def _cut(source: MultiscaleSource, level: int, ranges: Sequence[slice]) -> MultiscaleSource:
    shapes = [array.shape for array in levels_of(source).values()]
    array = list(levels_of(source).values())[level]
    part = array.isel(dict(zip(array.dims, ranges, strict=True)))
    taken = dict(zip(map(str, array.dims), ranges, strict=True))
    multiscale = source.multiscale
    if multiscale is not None:
        multiscale = _described(multiscale, taken, shapes, level)
    axis = next((dim for dim in array.dims if array.coords[dim].attrs.get("type") == "channel"), None)
    channels = source.channels if axis is None else source.channels[taken[str(axis)]]
    factors = source.factors if isinstance(source.factors, Mapping) else None  # a list is for all levels
    return replace(source, image=part, arrays=None, factors=factors, multiscale=multiscale, channels=channels)


def _described(
    multiscale: Multiscale, taken: Mapping[str, slice], shapes: Sequence[Sequence[int]], level: int
) -> Multiscale:
    """The metadata of a part: its channels, and the plane that is shown first, if it is in the part."""
    axis = multiscale.channel_axis
    if axis is not None and multiscale.channels and multiscale.dims[axis] in taken:
        multiscale = replace(multiscale, channels=multiscale.channels[taken[multiscale.dims[axis]]])
    display = multiscale.omero_extra.get("rdefs")
    if not isinstance(display, Mapping):
        return multiscale
    kept = dict(display)
    for key, dim in (("defaultZ", "z"), ("defaultT", "t")):
        plane = kept.get(key)
        if not isinstance(plane, int) or dim not in taken:
            continue
        i = list(taken).index(dim)
        shown_plane = plane * shapes[level][i] // shapes[0][i] - taken[dim].start
        kept.pop(key)
        if 0 <= shown_plane < taken[dim].stop - taken[dim].start:
            kept[key] = shown_plane
    return replace(multiscale, omero_extra={**multiscale.omero_extra, "rdefs": kept})
