"""Images that are alike, side by side as one: which levels they share, and a mosaic for each.

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
from xarray import DataArray, Variable

from napari_ome_ngff.coordinates import to_coordinates
from napari_ome_ngff.errors import OmeNgffError
from napari_ome_ngff.metadata.image.datasets import placed_by_shapes
from napari_ome_ngff.metadata.nouns import Level, Multiscale, ScaleTranslation
from napari_ome_ngff.metadata.transforms import level_transform
from napari_ome_ngff.reading.plates.field_layout import Arrangement, multiple_of, next_factor
from napari_ome_ngff.reading.plates.mosaic import MosaicSource, Patch
from napari_ome_ngff.storage.pixels.array_wrap import BaseArrayWrapper, DaskArrayWrapper
from napari_ome_ngff.storage.pixels.source import ChunkedSource
from napari_ome_ngff.storage.pixels.xarray_backend import lazily_indexed
from napari_ome_ngff.storage.places.location import join

if TYPE_CHECKING:
    import zarr

    from napari_ome_ngff.storage.documents.hierarchy import Hierarchy

_MOST_TRIED = 5  # images of which the first level cannot be understood, before all are given up


_SAME = 0.01  # how much the factor between two levels may differ among images


@dataclass(frozen=True, kw_only=True)
class Member:
    """One of the images side by side.

    Parameters
    ----------
    path
        Of its group, relative to the hierarchy.
    multiscale
        What its metadata say.
    sizes, origin
        Length of each axis, and position of the first voxel, by the axis' name, at the finest level of the
        field that it shows or labels.
    corner
        Its place: first line and column, in voxels of the finest level of fields.
    """

    path: str
    multiscale: Multiscale
    sizes: Mapping[str, int]
    origin: Mapping[str, float]
    corner: tuple[int, int] = (0, 0)


@dataclass(frozen=True, kw_only=True)
class SharedLevel:
    """A level that all members have.

    Parameters
    ----------
    index
        Which of the levels that their metadata list.
    level
        As the model says it.
    shape, dtype, unit
        Of the model's array; `unit` is what is read as one.
    factors
        From the finest level of fields to this one, along y and x.
    """

    index: int
    level: Level
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    unit: tuple[int, ...]
    factors: tuple[Fraction, Fraction]


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What members have in common.

    Parameters
    ----------
    model
        The member that stands for all.
    multiscale
        What its metadata say, with a place for every level.
    plane
        Positions of y and x among the axes.
    levels
        Finest first.
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
    laid out in line with it.

    Parameters
    ----------
    hierarchy
        Where they are found.
    members
        At least one.

    Returns
    -------
    Shared or None
        None if none of the first members has a level that can be used.
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
        plane = plane_of(multiscale)
        levels = tuple(_usable(model, multiscale, arrays, plane, members)) if plane else ()
        if plane and levels:
            return Shared(model=model, multiscale=multiscale, plane=plane, levels=levels)
    return None


def plane_of(multiscale: Multiscale) -> tuple[int, int] | None:
    """Return the positions of y and x among the axes: by name, else the last two of space.

    Parameters
    ----------
    multiscale
        The image.

    Examples
    --------
    >>> from napari_ome_ngff.metadata.nouns import Axis
    >>> plane_of(Multiscale(version="0.5", axes=(Axis(name="x"), Axis(name="c"), Axis(name="y")), levels=()))
    (2, 0)
    """
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
    before: list[tuple[int, Fraction]] = []
    first: tuple[Level, list[Fraction]] | None = None
    multiples = [1, 1]
    for index, listed in enumerate(model.multiscale.levels):
        array = arrays.get(listed.path)
        if array is None or array.ndim != len(multiscale.axes) or 0 in array.shape:
            continue
        if not all(_goes_on(member.multiscale, model.multiscale, index, plane) for member in members):
            return
        level = placed[listed.path]
        sizes = [array.shape[axis] for axis in plane]
        own = [model.sizes.get(name, size) for name, size in zip(names, sizes, strict=True)]
        before = before or [(size, Fraction(1)) for size in own]
        told: list[float | None] = [None, None]
        if first is not None:
            steps = [_ratio(level, first[0], axis) for axis in plane]
            told = [step * float(ratio) for step, ratio in zip(steps, first[1], strict=True)]
        found = [
            next_factor(*lengths, before=known, told=said)
            for *lengths, known, said in zip(own, sizes, before, told, strict=True)
        ]
        factors = [ratio for ratio in found if ratio is not None]
        if len(factors) < 2:
            continue
        wanted = [math.lcm(m, ratio.numerator) for m, ratio in zip(multiples, factors, strict=True)]
        if any(
            m > max(size, ratio.numerator, 64) for m, size, ratio in zip(wanted, own, factors, strict=True)
        ):
            continue
        before = list(zip(sizes, factors, strict=True))
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


def _goes_on(own: Multiscale, model: Multiscale, index: int, plane: tuple[int, int]) -> bool:
    """Return whether an image has a level like the model's: as much coarser than its first one."""
    if index >= len(own.levels):
        return False
    if own.unplaced or model.unplaced:
        return True
    for axis in plane:
        ratios = [_ratio(image.levels[index], image.levels[0], axis) for image in (own, model)]
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
    *,
    largest: Mapping[str, int],
    wrapper: BaseArrayWrapper,
) -> tuple[Multiscale, dict[str, DataArray]]:
    """Put images side by side: one mosaic per level.

    Parameters
    ----------
    hierarchy
        Where they are found.
    shared
        What they have in common.
    members
        The images, each with its corner.
    arrangement
        Size of the whole and of what each may fill.
    largest
        Largest size of any field along each axis, by the axis' name.
    wrapper
        What each level is wrapped in. Only a ``DaskArrayWrapper`` can wrap what is no Zarr array: with any
        other the levels are lazy arrays of xarray.

    Returns
    -------
    tuple of Multiscale and dict
        What the mosaic is, as if a file said so, and each level by its path, finest first.
    """
    multiscale = _placed(shared)
    # One opening: a server that fails is told of once, not for each of a thousand fields.
    make = partial(ChunkedSource, missing=getattr(wrapper, "missing", "raise"), opening=uuid.uuid4().hex)
    arrays: dict[str, DataArray] = {}
    for number, level in enumerate(shared.levels):
        whole = [_part(n, f) for n, f in zip(arrangement.shape, level.factors, strict=True)]
        cell = [_part(n, f) for n, f in zip(arrangement.cell, level.factors, strict=True)]
        patches = [
            Patch(
                path=join(member.path, member.multiscale.levels[level.index].path),
                y=_part(member.corner[0], level.factors[0]),
                x=_part(member.corner[1], level.factors[1]),
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
            for axis, (name, size) in enumerate(zip(multiscale.dims, level.shape, strict=True))
        ]
        source = MosaicSource(
            hierarchy,
            patches,
            shape=shape,
            dtype=level.dtype,
            plane=shared.plane,
            unit=[min(n, size) for n, size in zip(level.unit, level.shape, strict=True)],
            make=make,
        )
        lazy = isinstance(wrapper, DaskArrayWrapper)
        data: Any = wrapper.wrap_source(source) if lazy else lazily_indexed(source)  # type: ignore[attr-defined]
        variable = Variable(multiscale.dims, data)
        coordinates = to_coordinates(multiscale, number, shape)
        arrays[level.level.path] = DataArray(variable, coords=coordinates, name=multiscale.name)
    return multiscale, arrays


def _part(length: int, ratio: Fraction) -> int:
    """Return how long something is at a coarser level; arrangements see to it that nothing is left over."""
    return length * ratio.denominator // ratio.numerator


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
        own = first.translation[axis]
        its = shared.model.origin.get(whole.dims[axis], own)
        start[axis] = its if abs(own - its) <= abs(first.scale[axis]) else own

    def moved(transform: ScaleTranslation) -> ScaleTranslation:
        places = (t - s for t, s in zip(transform.translation, start, strict=True))
        return replace(transform, translation=tuple(places))

    levels = tuple(
        replace(level.level, transform=moved(transforms[level.level.path])) for level in shared.levels
    )
    return replace(whole, levels=levels, transform=None, affine=None, extra={})
