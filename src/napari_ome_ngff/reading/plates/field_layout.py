"""Where the fields of wells lie side by side. Pure numbers: voxels of the finest level.

A mosaic is for looking: wells lie by row and column, close together, and the fields of a well beside each
other. So a place in it is no place on the microscope's stage.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

Slot = tuple[int, int]
"""Row and column of a field among the fields of its well."""


GAP = 0.04
"""Distance between wells, as a share of a well's shorter side: enough to tell them apart, and little lost."""


_NEAR = 0.05  # how far a factor may be from what the scales say: 255 pixels may become 127 by 2.008


_FINEST_PARTS = 16  # factors between levels such as 3/2 are looked for up to this denominator


@dataclass(frozen=True, kw_only=True)
class Site:
    """A field that wants a place: its well, and in voxels its size and its position on the stage.

    Fields of one acquisition, which lie beside each other in a well, have the same `group`. The position is
    None where it is not known.
    """

    group: int
    row: int
    column: int
    height: int
    width: int
    position: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class Arrangement:
    """Where everything lies, in lines and columns: the whole, what each field may fill, and the corners.

    The first line and column of each field are in the order in which the fields were given.
    """

    shape: tuple[int, int]
    cell: tuple[int, int]
    corners: tuple[tuple[int, int], ...]


def arrange(sites: Sequence[Site], *, multiple: tuple[int, int] = (1, 1)) -> Arrangement:
    """Place fields: wells by row and column, fields within. Acquisitions lie on top of each other.

    The part of the plate that has wells is shown, from the first such row and column to the last: four wells
    of a plate of 384 would be specks otherwise. Within a well the fields lie as their positions on the stage
    say, above or left of each other, but without gaps or overlaps; if that says nothing (all the same,
    unknown, scattered), in the order of the file, in rows. Every field begins, and the whole ends, at a
    `multiple`, so that coarser levels begin and end there too.
    """
    wells: dict[tuple[int, int, int], list[int]] = {}
    for index, site in enumerate(sites):
        wells.setdefault((site.group, site.row, site.column), []).append(index)
    most = max((len(members) for members in wells.values()), default=1)
    slots: dict[int, Slot] = {}
    for members in wells.values():
        of_well = by_position([sites[i] for i in members]) or in_rows(len(members), like=most)
        slots.update(zip(members, of_well, strict=True))
    shape, cell, pitch = [], [], []
    for axis, sizes, lines in (
        (0, [site.height for site in sites], [site.row for site in sites]),
        (1, [site.width for site in sites], [site.column for site in sites]),
    ):
        cell.append(up(max(sizes, default=1), multiple[axis]))
        well = cell[axis] * (1 + max((slot[axis] for slot in slots.values()), default=0))
        pitch.append(well)
        shape.append(1 + max(lines, default=0) - min(lines, default=0))
    gap = max(1, math.ceil(GAP * min(pitch)))
    gaps = [up(gap, multiple[axis]) for axis in (0, 1)]
    first = (min((s.row for s in sites), default=0), min((s.column for s in sites), default=0))
    return Arrangement(
        shape=(shape[0] * (pitch[0] + gaps[0]) - gaps[0], shape[1] * (pitch[1] + gaps[1]) - gaps[1]),
        cell=(cell[0], cell[1]),
        corners=tuple(
            (
                (site.row - first[0]) * (pitch[0] + gaps[0]) + slots[index][0] * cell[0],
                (site.column - first[1]) * (pitch[1] + gaps[1]) + slots[index][1] * cell[1],
            )
            for index, site in enumerate(sites)
        ),
    )


def in_rows(count: int, *, like: int | None = None) -> list[Slot]:
    """Return slots in reading order that make about a square.

    The square is made for `like` fields, so that wells with fewer fields have the same form.
    """
    columns = max(1, math.isqrt(max(1, like or count) - 1) + 1)
    return [divmod(index, columns) for index in range(count)]


def by_position(sites: Sequence[Site]) -> list[Slot] | None:
    """Return the slots of a well's fields by their positions on the stage, or None if these say nothing.

    Fields of which the positions differ by less than half a field lie in one row or column.
    """
    if len(sites) < 2 or any(site.position is None for site in sites):
        return None
    rows = _ranks([site.position[0] for site in sites if site.position], max(s.height for s in sites) / 2)
    columns = _ranks([site.position[1] for site in sites if site.position], max(s.width for s in sites) / 2)
    slots = list(zip(rows, columns, strict=True))
    # Fields scattered over the well would leave most of it empty.
    room = (max(rows) + 1) * (max(columns) + 1)
    return slots if len(set(slots)) == len(slots) and room <= 2 * len(slots) else None


def _ranks(values: Sequence[float], apart: float) -> list[int]:
    """Return which line each value lies in, where lines are more than a distance apart."""
    ranks: dict[int, int] = {}
    rank, start = -1, -math.inf
    for index in sorted(range(len(values)), key=lambda i: values[i]):
        if values[index] - start > apart:
            rank, start = rank + 1, values[index]
        ranks[index] = rank
    return [ranks[index] for index in range(len(values))]


def factor(fine: int, coarse: int) -> Fraction | None:
    """Return the simplest factor that made one length of another; None if none does.

    Writers round up, down or to the nearest: 255 becomes 127 or 128 by 2.
    """
    if fine < 1 or coarse < 1:
        return None
    if coarse > fine:
        inverse = factor(coarse, fine)
        return None if inverse is None else 1 / inverse
    for parts in range(1, _FINEST_PARTS + 1):
        simple = Fraction(round(fine * parts / coarse), parts)
        if abs(coarse - fine / simple) < 1:
            return simple
    return None


def next_factor(
    fine: int, coarse: int, *, before: tuple[int, Fraction], by_scales: float | None
) -> Fraction | None:
    """Return the factor of a level among others. Small levels say little: 17 may become 5 by 3 or by 4.

    `before` are length and factor of the level before. Of the factors that fit, one near what the scales of
    the two levels say, if they say it, counts first.
    """
    step = factor(before[0], coarse) or Fraction(1)
    likely = [before[1]] if coarse == before[0] else []
    likely += [2 * before[1], step * before[1], Fraction(max(1, round(by_scales or 1)))]
    fits = [ratio for ratio in likely if abs(coarse - fine / ratio) < 1]
    near = [ratio for ratio in fits if by_scales and abs(ratio / by_scales - 1) <= _NEAR]
    return next(iter([*near, *fits]), None) or factor(fine, coarse)


def multiple_of(factors: Iterable[Fraction]) -> int:
    """Return what a length must be a multiple of, so that every factor divides it."""
    return math.lcm(1, *(ratio.numerator for ratio in factors))


def up(length: int, multiple: int) -> int:
    """Return the next multiple that is no less than a length, itself one at least."""
    return max(1, -(-length // multiple)) * multiple
