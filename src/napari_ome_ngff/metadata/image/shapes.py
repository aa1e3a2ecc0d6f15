"""Levels placed by their sizes, for files that do not say where each level lies.

OME-NGFF 0.1 to 0.3 have no transforms. All that is known is that every level shows the same field of view, so
each is stretched over it, edge to edge. That is exact for levels made by averaging blocks or by resizing. For
levels made of every second voxel, bioformats2raw's and old ome-zarr-py's, it is off by half a voxel of the
finest level at a factor of two: one of them kept the first voxel of each pair and the other the second, which
the file does not tell, and the middle is as near as one can get to both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from napari_ome_ngff.metadata.nouns import Axis, Level, Multiscale, ScaleTranslation
from napari_ome_ngff.metadata.transforms import check_transform, compose, identity

ASSUMED_AXES = (
    Axis(name="t", type="time"),
    Axis(name="c", type="channel"),
    Axis(name="z", type="space"),
    Axis(name="y", type="space"),
    Axis(name="x", type="space"),
)
"""0.1 and 0.2, "multiscales": the arrays are five-dimensional, "tczyx"."""


_LONGEST = 2**63


def placed_by_shapes(multiscale: Multiscale, shapes: Mapping[str, tuple[int, ...]]) -> Multiscale:
    """Return the image with a place for every level, worked out from the sizes of the arrays.

    Parameters
    ----------
    multiscale
        The image, as `decode` returned it.
    shapes
        Path of each level that is there to the shape of its array, such as ``(z, y, x)``.

    Returns
    -------
    Multiscale
        Without levels that `shapes` does not have, and with nothing in `unplaced`. A level that the file does
        not place covers, edge to edge, what the first level covers that it does place; if it places none,
        the first level has voxels of size 1, and the others cover what that one covers. Along channels all
        levels lie alike. Arrays of an image of 0.1 or 0.2 with less than five dims have the last of t, c, z,
        y, x. An array with another number of dims than the image keeps the identity as its place.

    Raises
    ------
    MetadataError
        If a level would lie infinitely far away.

    Examples
    --------
    >>> axes = (Axis(name="y", type="space"), Axis(name="x", type="space"))
    >>> levels = tuple(Level(path=path, transform=identity(2)) for path in "01")
    >>> image = Multiscale(version="0.3", axes=axes, levels=levels, unplaced=("0", "1"))
    >>> placed_by_shapes(image, {"0": (8, 6), "1": (4, 3)}).levels[1].transform
    ScaleTranslation(scale=(2.0, 2.0), translation=(0.5, 0.5))
    """
    there = tuple(level for level in multiscale.levels if level.path in shapes)
    axes = _axes(multiscale, [len(shapes[level.path]) for level in there])
    if axes != multiscale.axes:
        there = tuple(replace(level, transform=identity(len(axes))) for level in there)
    fitting = {level.path: level for level in there if len(shapes[level.path]) == len(axes)}
    known = [level for path, level in fitting.items() if path not in multiscale.unplaced]
    if fitting and multiscale.unplaced:
        whole = known[0] if known else next(iter(fitting.values()))
        channel = replace(multiscale, axes=axes).channel_axis
        missing = {path for path in multiscale.unplaced if path in fitting}
        there = tuple(
            replace(level, transform=_stretched(whole, shapes[whole.path], shapes[level.path], channel))
            if level.path in missing
            else level
            for level in there
        )
        for level in there:
            whole_image = multiscale.transform or identity(len(axes))
            check_transform(compose(level.transform, whole_image), ndim=len(axes), where=level.path)
    return replace(multiscale, axes=axes, levels=there, unplaced=())


def _axes(multiscale: Multiscale, ndims: list[int]) -> tuple[Axis, ...]:
    """Return the axes, as many of the assumed ones as the arrays have dims."""
    old = multiscale.version in ("0.1", "0.2") and multiscale.axes == ASSUMED_AXES
    all_unplaced = all(level.path in multiscale.unplaced for level in multiscale.levels)
    if old and all_unplaced and ndims and 2 <= ndims[0] < len(ASSUMED_AXES):
        return ASSUMED_AXES[-ndims[0] :]
    return multiscale.axes


def _stretched(
    whole: Level, shape: tuple[int, ...], other: tuple[int, ...], channel: int | None
) -> ScaleTranslation:
    """Return the place of an array that covers, edge to edge, what a placed one covers."""
    factors = [
        1.0 if axis == channel or 0 in (size, its) or max(size, its) > _LONGEST else size / its
        for axis, (size, its) in enumerate(zip(shape, other, strict=True))
    ]
    placed = zip(whole.transform.scale, whole.transform.translation, factors, strict=True)
    # 0.6, "Coordinate convention": a voxel's centre is its place, and half of it lies on either side.
    return ScaleTranslation(
        scale=tuple(factor * scale for scale, factor in zip(whole.transform.scale, factors, strict=True)),
        translation=tuple(t + scale * (factor - 1.0) / 2.0 for scale, t, factor in placed),
    )
