"""Images of one kind, side by side as one: which levels they share, and a mosaic for each.

Only the documents of one of them are needed beyond its finest level: the others are taken to have the same
levels, and whatever turns out to be different when it is read is cut or left empty.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ome_ngff.errors import OmeNgffError
from napari_ome_ngff.metadata.image.datasets import placed_by_shapes
from napari_ome_ngff.metadata.nouns import Level, Multiscale, ScaleTranslation
from napari_ome_ngff.metadata.transforms import level_transform
from napari_ome_ngff.reading.opened import MultiscaleGroup
from napari_ome_ngff.reading.plates.field_layout import Arrangement, multiple_of, next_factor
from napari_ome_ngff.reading.plates.mosaic import MosaicSource, Patch
from napari_ome_ngff.storage.pixels.source import ChunkedSource, Missing
from napari_ome_ngff.storage.places.location import join

if TYPE_CHECKING:
    import zarr

    from napari_ome_ngff.storage.documents.hierarchy import Hierarchy

_MOST_TRIED = 5  # images of which the first level cannot be understood, before all are given up


_SAME = 0.01  # how much the factor between two levels may differ among images


@dataclass(frozen=True, kw_only=True)
class Member:
    """One of the images side by side.

    `sizes` and `origin` are length and first position along each axis, by name, at the finest level of the
    field that the image shows or labels; `corner` is its first line and column in the mosaic of such levels.
    """

    path: str
    multiscale: Multiscale
    sizes: Mapping[str, int]
    origin: Mapping[str, float]
    corner: tuple[int, int] = (0, 0)


@dataclass(frozen=True, kw_only=True)
class SharedLevel:
    """A level that all members have, as the model has it; `index` counts the levels in their metadata.

    `factors` lead from the finest level of fields to this one, along y and x.
    """

    index: int
    level: Level
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    unit: tuple[int, ...]
    factors: tuple[Fraction, Fraction]


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What members have in common: the levels, finest first, of the model that stands for all of them.

    `plane` are the positions of y and x among the axes.
    """

    model: Member
    multiscale: Multiscale
    plane: tuple[int, int]
    levels: tuple[SharedLevel, ...]

    @property
    def multiple(self) -> tuple[int, int]:
        """What places along y and x must be multiples of, so that they are places at every level."""
        y, x = (multiple_of(level.factors[i] for level in self.levels) for i in (0, 1))
        return y, x


def shared_levels(hierarchy: Hierarchy, members: Sequence[Member]) -> Shared | None:
    """Find out which levels images share, from the documents of the first one that can be understood.

    A level is left out if its size has no simple ratio to that of the finest one, so that it could not be
    laid out in line with it. None if none of the first members has a level that can be used.
    """
    for model in members[:_MOST_TRIED]:
        arrays: dict[str, zarr.Array[Any]] = {}
        for level in model.multiscale.levels:
            try:
                array = hierarchy.array(join(model.path, level.path))
            except OmeNgffError:
                continue  # it is left out, as it would be of an image
            if array is not None:
                arrays[level.path] = array
        if not arrays:
            continue
        multiscale = placed_by_shapes(model.multiscale, {path: array.shape for path, array in arrays.items()})
        plane = _plane(multiscale)
        levels = tuple(_usable(model, multiscale, arrays, plane, members)) if plane else ()
        if plane and levels:
            return Shared(model=model, multiscale=multiscale, plane=plane, levels=levels)
    return None


def _plane(multiscale: Multiscale) -> tuple[int, int] | None:
    """Return the positions of y and x among the axes: by name, else the last two of space."""
    names = [name.lower() for name in multiscale.dims]
    if "y" in names and "x" in names:
        return names.index("y"), names.index("x")
    space = [i for i, axis in enumerate(multiscale.axes) if axis.type == "space"]
    return (space[-2], space[-1]) if len(space) > 1 else None


def _usable(
    model: Member,
    multiscale: Multiscale,
    arrays: Mapping[str, zarr.Array[Any]],
    plane: tuple[int, int],
    members: Sequence[Member],
) -> Iterable[SharedLevel]:
    placed = {level.path: level for level in multiscale.levels}
    names = [multiscale.dims[axis] for axis in plane]
    previous: list[tuple[int, Fraction]] = []
    first: tuple[Level, list[Fraction]] | None = None
    multiples = [1, 1]
    for index, listed in enumerate(model.multiscale.levels):
        array = arrays.get(listed.path)
        if array is None or array.ndim != len(multiscale.axes) or 0 in array.shape:
            continue
        if not all(_has_level(member.multiscale, model.multiscale, index, plane) for member in members):
            return
        level = placed[listed.path]
        sizes = [array.shape[axis] for axis in plane]
        field_sizes = [model.sizes.get(name, size) for name, size in zip(names, sizes, strict=True)]
        previous = previous or [(size, Fraction(1)) for size in field_sizes]
        by_scales: list[float | None] = [None, None]
        if first is not None:
            steps = [_ratio(level, first[0], axis) for axis in plane]
            by_scales = [step * float(ratio) for step, ratio in zip(steps, first[1], strict=True)]
        factors = [
            ratio
            for fine, coarse, before, expected in zip(field_sizes, sizes, previous, by_scales, strict=True)
            if (ratio := next_factor(fine, coarse, before=before, by_scales=expected)) is not None
        ]
        if len(factors) < 2:
            continue
        wanted = [math.lcm(m, ratio.numerator) for m, ratio in zip(multiples, factors, strict=True)]
        if any(
            m > max(size, ratio.numerator, 64)
            for m, size, ratio in zip(wanted, field_sizes, factors, strict=True)
        ):
            continue
        previous = list(zip(sizes, factors, strict=True))
        first = first or (level, factors)
        multiples = wanted
        yield SharedLevel(
            index=index,
            level=level,
            shape=tuple(array.shape),
            dtype=np.dtype(array.dtype).newbyteorder("="),
            unit=ChunkedSource(array).unit,
            factors=(factors[0], factors[1]),
        )


def _has_level(multiscale: Multiscale, model: Multiscale, index: int, plane: tuple[int, int]) -> bool:
    """Return whether an image has a level like the model's: as much coarser than its first one."""
    if index >= len(multiscale.levels):
        return False
    if multiscale.unplaced or model.unplaced:
        return True
    for axis in plane:
        ratios = [_ratio(image.levels[index], image.levels[0], axis) for image in (multiscale, model)]
        if abs(ratios[0] - ratios[1]) > _SAME * abs(ratios[1]):
            return False
    return True


def _ratio(level: Level, first: Level, axis: int) -> float:
    """Return how much coarser a level is than another, as their scales say."""
    return level.transform.scale[axis] / (first.transform.scale[axis] or 1.0)


def lay_out(
    hierarchy: Hierarchy,
    shared: Shared,
    members: Sequence[Member],
    arrangement: Arrangement,
    largest: Mapping[str, int],
) -> MultiscaleGroup:
    """Put images side by side, one mosaic per level, as if a file had them as one multiscale.

    `largest` is the largest size of any field along each axis, by the axis' name.
    """
    # One opening: a failing server is reported once, not for each of a thousand fields.
    opening = uuid.uuid4().hex
    return MultiscaleGroup(
        multiscale=_placed(shared),
        sources={
            level.level.path: partial(
                _mosaic, hierarchy, shared, level, members, arrangement, largest, opening
            )
            for level in shared.levels
        },
    )


def _mosaic(
    hierarchy: Hierarchy,
    shared: Shared,
    level: SharedLevel,
    members: Sequence[Member],
    arrangement: Arrangement,
    largest: Mapping[str, int],
    opening: str,
    missing: Missing,
) -> MosaicSource:
    """Return the mosaic of one level."""
    whole = [_coarse(n, f) for n, f in zip(arrangement.shape, level.factors, strict=True)]
    cell = [_coarse(n, f) for n, f in zip(arrangement.cell, level.factors, strict=True)]
    patches = [
        Patch(
            path=join(member.path, member.multiscale.levels[level.index].path),
            y=_coarse(member.corner[0], level.factors[0]),
            x=_coarse(member.corner[1], level.factors[1]),
            height=cell[0],
            width=cell[1],
        )
        for member in members
    ]
    shape = [
        whole[shared.plane.index(axis)]
        if axis in shared.plane
        # As much longer than the model's as the longest field is.
        else -(-size * largest.get(name, 1) // shared.model.sizes.get(name, 1))
        for axis, (name, size) in enumerate(zip(shared.multiscale.dims, level.shape, strict=True))
    ]
    return MosaicSource(
        hierarchy,
        patches,
        shape=shape,
        dtype=level.dtype,
        plane=shared.plane,
        unit=[min(n, size) for n, size in zip(level.unit, level.shape, strict=True)],
        make=partial(ChunkedSource, missing=missing, opening=opening),
    )


def _coarse(length: int, factor: Fraction) -> int:
    """Return how long something is at a coarser level; arrangements see to it that nothing is left over."""
    return length * factor.denominator // factor.numerator


def _placed(shared: Shared) -> Multiscale:
    """Return the model with the levels that are shared, the first voxel of its field at 0 along y and x.

    A label image keeps its distance from the field, unless that is more than a voxel: then it was left at 0
    while the field was given a place on the stage.
    """
    whole = shared.multiscale
    transforms = {level.path: level_transform(whole, i) for i, level in enumerate(whole.levels)}
    first = transforms[shared.levels[0].level.path]
    start = [0.0] * len(whole.axes)
    for axis in shared.plane:
        image_start = first.translation[axis]
        field_start = shared.model.origin.get(whole.dims[axis], image_start)
        near = abs(image_start - field_start) <= abs(first.scale[axis])
        start[axis] = field_start if near else image_start

    def moved(transform: ScaleTranslation) -> ScaleTranslation:
        places = (t - s for t, s in zip(transform.translation, start, strict=True))
        return replace(transform, translation=tuple(places))

    levels = tuple(
        replace(level.level, transform=moved(transforms[level.level.path])) for level in shared.levels
    )
    return replace(whole, levels=levels, transform=None, affine=None, extra={})
