"""Affine transforms between coordinate systems: compose, invert, apply, and make square for showing.

An affine need not be square: systems may have different numbers of axes. Everything here is plain float
arithmetic on tuples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from napari_ome_ngff.errors import MetadataError
from napari_ome_ngff.metadata.nouns import Affine, Axis, ScaleTranslation

_SINGULAR = "A transform that maps different points to one place cannot be inverted."

_NOTHING = 1e-9
"""A row with nothing larger than this, once multiples of other rows are taken out, depends on them."""

_LARGEST = 1e60
"""1e308 is finite, but twice as much is not; what can be seen is between 1e-20 and 1e30 of any unit."""

_SLIGHT = 1e-6
"""A rotation by 90 degrees may leave such a share of an axis by rounding."""


@dataclass(frozen=True, kw_only=True)
class Squared:
    """An affine made square and invertible by :func:`squared`, as a viewer needs it."""

    affine: Affine
    order: tuple[int | None, ...]
    """For each column the index of the image's axis, or None for a new axis of size 1."""
    axes: tuple[Axis, ...]
    """One per row: first the axes of the image that the system does not have, then the system's."""


def identity_affine(ndim: int) -> Affine:
    """Return the affine that leaves positions as they are."""
    return affine_of(ScaleTranslation(scale=(1.0,) * ndim, translation=(0.0,) * ndim))


def affine_of(transform: ScaleTranslation) -> Affine:
    """Return a scale and translation as an affine."""
    size = len(transform.scale)
    rows = (
        tuple(number if row == column else 0.0 for column in range(size))
        for row, number in enumerate(transform.scale)
    )
    return Affine(matrix=tuple(rows), translation=transform.translation)


def as_scale_translation(affine: Affine) -> ScaleTranslation | None:
    """Return an affine as scale and translation, or None if it is more than that."""
    size = len(affine.matrix)
    for row, numbers in enumerate(affine.matrix):
        if len(numbers) != size or any(number for column, number in enumerate(numbers) if column != row):
            return None
    diagonal = tuple(numbers[row] for row, numbers in enumerate(affine.matrix))
    return ScaleTranslation(scale=diagonal, translation=affine.translation)


def apply_affine(affine: Affine, point: Sequence[float]) -> tuple[float, ...]:
    """Return the position of a point after an affine."""
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
    """Return the affine that applies `first`, and `then` to the result."""
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


def along_axes(affine: Affine, axes: Sequence[int]) -> Affine | None:
    """A transform between systems of the same axes, along some of them; None if it mixes them with others.

    >>> along_axes(Affine(matrix=((1.0, 0.0), (0.0, 2.0)), translation=(0.0, 5.0)), [1])
    Affine(matrix=((2.0,),), translation=(5.0,))
    """
    size = len(affine.matrix)
    others = set(range(size)) - set(axes)
    if any(len(row) != size for row in affine.matrix) or not set(axes) <= set(range(size)):
        return None
    if any(affine.matrix[i][j] or affine.matrix[j][i] for i in axes for j in others):
        return None
    matrix = tuple(tuple(affine.matrix[i][j] for j in axes) for i in axes)
    return Affine(matrix=matrix, translation=tuple(affine.translation[i] for i in axes))


def without_negative_zeros(matrix: Sequence[Sequence[float]]) -> tuple[tuple[float, ...], ...]:
    """Return a matrix with 0.0 in place of -0.0, which would be puzzling to read."""
    return tuple(tuple(number + 0.0 for number in row) for row in matrix)


def invert_affine(affine: Affine) -> Affine:
    """Return the inverse of an affine; one that is singular or not square is refused."""
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
    matrix = without_negative_zeros([row[size:] for row in work])
    back = Affine(matrix=matrix, translation=(0.0,) * size)
    shift = tuple(0.0 - number for number in apply_affine(back, affine.translation))
    inverse = replace(back, translation=shift)
    if not is_finite(inverse):
        raise MetadataError("A transform with extreme numbers cannot be inverted.")
    return inverse


def _pivots(matrix: Sequence[Sequence[float]], preferred: Sequence[int] = ()) -> dict[int, int]:
    """Return linearly independent rows, each with its pivot column: as many as the rank.

    `preferred` has the column that each row should get if it depends on it at all; rows with none come last.
    """
    largest = [max(map(abs, column)) or 1.0 for column in zip(*matrix, strict=True)]
    rows = [[number / most for number, most in zip(row, largest, strict=True)] for row in matrix]
    rows = [[number / (max(map(abs, row)) or 1.0) for number in row] for row in rows]
    pivots: dict[int, int] = {}
    wanted = {row: column for row, column in enumerate(preferred) if 0 <= column < len(largest)}
    for row in sorted(range(len(rows)), key=lambda row: row not in wanted):
        rest = rows[row]
        for pivot, column in pivots.items():
            share = rest[column] / rows[pivot][column]
            rest = [a - share * b for a, b in zip(rest, rows[pivot], strict=True)]
        rows[row] = rest
        free = [column for column in range(len(rest)) if column not in pivots.values()]
        best = max(free, key=lambda column: abs(rest[column]), default=0)
        if not free or abs(rest[best]) <= _NOTHING:
            continue
        column = wanted.get(row, best)
        usable = column in free and abs(rest[column]) > _SLIGHT * abs(rest[best])
        pivots[row] = column if usable else best
    return pivots


def is_finite(affine: Affine) -> bool:
    """Return whether all numbers of an affine can be computed with."""
    return all(is_usable(n) for row in (*affine.matrix, affine.translation) for n in row)


def is_usable(number: float) -> bool:
    """Return whether a number is finite, and stays so when it is squared or multiplied with a few others."""
    return abs(number) <= _LARGEST


def squared(affine: Affine, *, inputs: Sequence[Axis], outputs: Sequence[Axis]) -> Squared:
    """Return an affine made square, so that data can be shown by it whatever it does to the number of axes.

    A transform may drop axes of the image and create axes of the system. 0.6, "projectAxis": it "MAY be
    applied along the dropped dimension by iterating over all possible values of the dropped dimension". Here:

    - An axis of the image that the system does not need to tell voxels apart (dropped) is kept: it becomes an
      axis of the result too, with the image's own coordinate, and " (image)" after a name that is taken. Such
      axes come before the system's.
    - An axis of the system that the image does not extend along (created) becomes a new axis of the image
      with one voxel of size 1 at coordinate 0, so the image lies where the transform says.
    - The columns are ordered so that an affine that only scales, moves and exchanges axes becomes diagonal:
      layers then slice straight. Otherwise they stay in the image's order.

    To show an array: transpose it to the axes that are in `order`, in that order, and put an axis of size 1
    wherever `order` has None; give those a scale of 1 and a translation of 0. Then `affine` maps positions
    along the array's axes to positions along `axes`. An invertible affine keeps its numbers.
    """
    ahead = len(outputs) - len(inputs)
    names = [axis.name for axis in inputs]
    # A row is expected to depend on the column of its name, or on the one that is as far from the end.
    preferred = [
        names.index(axis.name) if axis.name in names else row - ahead for row, axis in enumerate(outputs)
    ]
    pivots = _pivots(affine.matrix, preferred)
    kept = [column for column in range(len(inputs)) if column not in pivots.values()]
    order = (*kept, *(pivots.get(row) for row in range(len(outputs))))
    above = (
        tuple(1.0 if column is not None and column == dropped else 0.0 for column in order)
        for dropped in kept
    )
    below = (
        tuple(
            numbers[column] if column is not None else float(index == len(kept) + row)
            for index, column in enumerate(order)
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
