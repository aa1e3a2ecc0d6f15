"""Affine transforms between coordinate systems: compose, invert, apply, and make square for showing.

An :class:`Affine` maps coordinates to positions, ``matrix @ coordinates + translation``. It need not be
square: systems may have different numbers of axes. Everything here is plain float arithmetic on tuples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from napari_ome_ngff.errors import MetadataError
from napari_ome_ngff.metadata.nouns import Affine, Axis, ScaleTranslation

_SINGULAR = "A transform that maps different points to one place cannot be inverted."


_NOTHING = 1e-9
"""A row with nothing larger than this, once its like is taken out of it, follows from others."""


_SLIGHT = 1e-6
"""A turn by 90 degrees may leave such a share of an axis by rounding."""


@dataclass(frozen=True, kw_only=True)
class Squared:
    """An affine made square and invertible, as a viewer needs it. See :func:`squared` for the rule.

    Parameters
    ----------
    affine
        As many rows as columns, never singular.
    order
        One entry per column: which axis of the image it stands for, or None for a new axis of size 1.
    axes
        One axis per row: first the axes of the image that lead nowhere in the system, then the system's.
    """

    affine: Affine
    order: tuple[int | None, ...]
    axes: tuple[Axis, ...]


def identity_affine(ndim: int) -> Affine:
    """Return the affine that leaves positions as they are.

    Examples
    --------
    >>> identity_affine(2)
    Affine(matrix=((1.0, 0.0), (0.0, 1.0)), translation=(0.0, 0.0))
    """
    return affine_of(ScaleTranslation(scale=(1.0,) * ndim, translation=(0.0,) * ndim))


def affine_of(transform: ScaleTranslation) -> Affine:
    """Return a scale and translation as an affine.

    Examples
    --------
    >>> affine_of(ScaleTranslation(scale=(2.0, 3.0), translation=(5.0, 7.0)))
    Affine(matrix=((2.0, 0.0), (0.0, 3.0)), translation=(5.0, 7.0))
    """
    size = len(transform.scale)
    rows = (
        tuple(number if row == column else 0.0 for column in range(size))
        for row, number in enumerate(transform.scale)
    )
    return Affine(matrix=tuple(rows), translation=transform.translation)


def as_scale_translation(affine: Affine) -> ScaleTranslation | None:
    """Return an affine as scale and translation, or None if it is more than that.

    Examples
    --------
    >>> as_scale_translation(Affine(matrix=((2.0, 0.0), (0.0, 3.0)), translation=(5.0, 7.0)))
    ScaleTranslation(scale=(2.0, 3.0), translation=(5.0, 7.0))
    >>> as_scale_translation(Affine(matrix=((0.0, 1.0), (1.0, 0.0)), translation=(0.0, 0.0))) is None
    True
    """
    size = len(affine.matrix)
    for row, numbers in enumerate(affine.matrix):
        if len(numbers) != size or any(number for column, number in enumerate(numbers) if column != row):
            return None
    diagonal = tuple(numbers[row] for row, numbers in enumerate(affine.matrix))
    return ScaleTranslation(scale=diagonal, translation=affine.translation)


def apply_affine(affine: Affine, point: Sequence[float]) -> tuple[float, ...]:
    """Return where a point lies after an affine.

    Parameters
    ----------
    affine
        What to apply.
    point
        One coordinate per column of the matrix.

    Raises
    ------
    MetadataError
        If the point has another number of coordinates.

    Examples
    --------
    >>> apply_affine(Affine(matrix=((0.0, -1.0), (1.0, 0.0)), translation=(10.0, 0.0)), (1.0, 2.0))
    (8.0, 1.0)
    """
    if any(len(row) != len(point) for row in affine.matrix):
        raise MetadataError(
            "A point must have one coordinate per axis.",
            found=f"{len(point)} coordinates",
            expected=f"{len(affine.matrix[0])}",
        )
    return tuple(
        sum(a * b for a, b in zip(row, point, strict=True)) + shift
        for row, shift in zip(affine.matrix, affine.translation, strict=True)
    )


def compose_affine(first: Affine, then: Affine) -> Affine:
    """Return the affine that applies `first`, and `then` to the result.

    Raises
    ------
    MetadataError
        If `then` does not take as many axes as `first` gives.

    Examples
    --------
    >>> turn = Affine(matrix=((0.0, -1.0), (1.0, 0.0)), translation=(0.0, 0.0))
    >>> move = Affine(matrix=((1.0, 0.0), (0.0, 1.0)), translation=(5.0, 7.0))
    >>> compose_affine(move, turn).translation, compose_affine(turn, move).translation
    ((-7.0, 5.0), (5.0, 7.0))
    """
    if any(len(row) != len(first.matrix) for row in then.matrix):
        raise MetadataError(
            "Two transforms of different numbers of axes cannot follow each other.",
            found=f"{len(first.matrix)} and {len(then.matrix[0])} axes",
        )
    columns = tuple(zip(*first.matrix, strict=True))
    rows = (
        tuple(sum(a * b for a, b in zip(row, column, strict=True)) for column in columns)
        for row in then.matrix
    )
    return Affine(matrix=tuple(rows), translation=apply_affine(then, first.translation))


def invert_affine(affine: Affine) -> Affine:
    """Return the affine that leads back.

    Raises
    ------
    MetadataError
        If it has not as many rows as columns, or different points have the same position.

    Examples
    --------
    >>> invert_affine(Affine(matrix=((2.0, 0.0), (0.0, 4.0)), translation=(1.0, 2.0)))
    Affine(matrix=((0.5, 0.0), (0.0, 0.25)), translation=(-0.5, -0.5))
    """
    size = len(affine.matrix)
    if any(len(row) != size for row in affine.matrix):
        raise MetadataError(
            "A transform between different numbers of axes cannot be inverted.",
            found=f"{len(affine.matrix[0])} and {size} axes",
        )
    if len(_pivots(affine.matrix)) < size:
        raise MetadataError(_SINGULAR)
    # Gauss and Jordan, with the largest element of each column first.
    work = [[*row, *unit] for row, unit in zip(affine.matrix, identity_affine(size).matrix, strict=True)]
    for column in range(size):
        best = max(range(column, size), key=lambda row: abs(work[row][column]))
        work[column], work[best] = work[best], work[column]
        if not work[column][column]:  # vanished, among extreme numbers
            raise MetadataError(_SINGULAR)
        head = [number / work[column][column] for number in work[column]]
        work = [
            head if row == column else [a - numbers[column] * b for a, b in zip(numbers, head, strict=True)]
            for row, numbers in enumerate(work)
        ]
    # "+ 0.0" makes 0.0 of -0.0, which would be puzzling to read.
    matrix = tuple(tuple(number + 0.0 for number in row[size:]) for row in work)
    back = Affine(matrix=matrix, translation=(0.0,) * size)
    shift = tuple(0.0 - number for number in apply_affine(back, affine.translation))
    inverse = replace(back, translation=shift)
    if not is_finite(inverse):
        raise MetadataError("A transform with extreme numbers cannot be inverted.")
    return inverse


def _pivots(matrix: Sequence[Sequence[float]], usual: Sequence[int] = ()) -> dict[int, int]:
    """Return rows that do not follow from each other, each with a column of its own: as many as the rank.

    `usual` has the column that each row should get if it depends on it at all; rows with none come last.
    """
    largest = [max(map(abs, column)) or 1.0 for column in zip(*matrix, strict=True)]
    rows = [[number / most for number, most in zip(row, largest, strict=True)] for row in matrix]
    rows = [[number / (max(map(abs, row)) or 1.0) for number in row] for row in rows]
    found: dict[int, int] = {}
    wanted = {row: column for row, column in enumerate(usual) if 0 <= column < len(largest)}
    for row in sorted(range(len(rows)), key=lambda row: row not in wanted):
        rest = rows[row]
        for pivot, column in found.items():
            share = rest[column] / rows[pivot][column]
            rest = [a - share * b for a, b in zip(rest, rows[pivot], strict=True)]
        rows[row] = rest
        free = [column for column in range(len(rest)) if column not in found.values()]
        best = max(free, key=lambda column: abs(rest[column]), default=0)
        if not free or abs(rest[best]) <= _NOTHING:
            continue
        own = wanted.get(row)
        found[row] = own if own in free and abs(rest[own]) > _SLIGHT * abs(rest[best]) else best
    return found


def is_finite(affine: Affine) -> bool:
    """Return whether all numbers of an affine are finite.

    Examples
    --------
    >>> is_finite(Affine(matrix=((float("inf"),),), translation=(0.0,)))
    False
    """
    return all(math.isfinite(n) for row in (*affine.matrix, affine.translation) for n in row)


def squared(affine: Affine, *, inputs: Sequence[Axis], outputs: Sequence[Axis]) -> Squared:
    """Return an affine made square, so that data can be shown by it whatever it does to the number of axes.

    A transform may drop axes of the image and create axes of the system. 0.6, "projectAxis": it "MAY be
    applied along the dropped dimension by iterating over all possible values of the dropped dimension". Here:

    - An axis of the image that the system does not need to tell voxels apart (dropped) is kept: it becomes an
      axis of the result too, with the image's own coordinate. Such axes come before the system's.
    - An axis of the system that the image does not extend along (created) becomes a new axis of the image
      with one voxel of size 1 at coordinate 0, so the image lies where the transform says.
    - The columns are ordered so that an affine that only scales, moves and exchanges axes becomes diagonal:
      layers then slice straight. Otherwise they stay in the image's order.

    To show an array: transpose it to the axes that are in `order`, in that order, and put an axis of size 1
    wherever `order` has None; give those a scale of 1 and a translation of 0. Then `affine` maps positions
    along the array's axes to positions along `axes`.

    Parameters
    ----------
    affine
        From the image's axes to the system's.
    inputs
        Axes of the image, one per column.
    outputs
        Axes of the system, one per row.

    Returns
    -------
    Squared
        A singular or non-square affine gets more rows or columns; an invertible one keeps its numbers.
        An axis whose name is taken in the system has " (image)" after it.

    Examples
    --------
    >>> c, z, y, x = (Axis(name=name) for name in "czyx")
    >>> flat = Affine(matrix=((0.0,) * 3, (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)), translation=(9.0, 0.0, 0.0))
    >>> shown = squared(flat, inputs=(c, y, x), outputs=(z, y, x))
    >>> [axis.name for axis in shown.axes], shown.order
    (['c', 'z', 'y', 'x'], (0, None, 1, 2))
    >>> shown.affine.translation
    (0.0, 9.0, 0.0, 0.0)
    """
    ahead = len(outputs) - len(inputs)
    names = [axis.name for axis in inputs]
    # A row is expected to depend on the column of its name, or on the one that is as far from the end.
    usual = [
        names.index(axis.name) if axis.name in names else row - ahead for row, axis in enumerate(outputs)
    ]
    pivots = _pivots(affine.matrix, usual)
    kept = [column for column in range(len(inputs)) if column not in pivots.values()]
    order = (*kept, *(pivots.get(row) for row in range(len(outputs))))
    above = (tuple(1.0 if column is not None and column == own else 0.0 for column in order) for own in kept)
    below = (
        tuple(
            numbers[column] if column is not None else float(place == len(kept) + row)
            for place, column in enumerate(order)
        )
        for row, numbers in enumerate(affine.matrix)
    )
    taken = {axis.name for axis in outputs}
    extra = (
        replace(inputs[column], name=f"{names[column]} (image)") if names[column] in taken else inputs[column]
        for column in kept
    )
    return Squared(
        affine=Affine(matrix=(*above, *below), translation=(*(0.0,) * len(kept), *affine.translation)),
        order=order,
        axes=(*extra, *outputs),
    )
