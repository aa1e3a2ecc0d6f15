"""A plan in words and numbers that people read: what the dock widget shows before anything is written."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from napari_ome_ngff.pyramid.model import LevelPlan, WritePlan

SYMBOLS = {
    "nanometer": "nm",
    "micrometer": "µm",
    "millimeter": "mm",
    "centimeter": "cm",
    "meter": "m",
    "angstrom": "Å",
    "millisecond": "ms",
    "second": "s",
    "minute": "min",
    "hour": "h",
}
HEADER = ("Image", "Level", "Size", "Data", "Voxel size", "Chunks")


def table(plan: WritePlan) -> list[tuple[str, ...]]:
    """Return one row for each level of each image, in the order of `HEADER`."""
    return [
        (
            (multiscale.path.rpartition("/")[2] or "image") if index == 0 else "",
            str(index),
            sizes(level.shape),
            f"{megabytes(level.nbytes(np.dtype(multiscale.dtype).itemsize))} MB",
            voxel_size(multiscale.dims, level.scale, multiscale.units),
            _chunks(level),
        )
        for multiscale in plan.multiscales
        for index, level in enumerate(multiscale.levels)
    ]


def _chunks(level: LevelPlan) -> str:
    return sizes(level.chunks) + ("" if level.shards is None else f" in {sizes(level.shards)}")


def sizes(numbers: Iterable[int]) -> str:
    """Write sizes as people do.

    Examples
    --------
    >>> sizes((3, 16, 512))
    '3×16×512'
    """
    return "×".join(str(number) for number in numbers)


def voxel_size(dims: Iterable[str], scale: Iterable[float], units: Iterable[str | None]) -> str:
    """Write the distance between voxels along the axes that have a unit; along all axes if none has one.

    Neighbouring axes with the same distance and unit are written as one.

    Examples
    --------
    >>> voxel_size("czyx", (1, 2.0, 0.25, 0.25), (None, "micrometer", "micrometer", "micrometer"))
    'z 2, yx 0.25 µm'
    >>> voxel_size("tyx", (0.5, 3, 4), ("second", "nanometer", "nanometer"))
    't 0.5 s, y 3, x 4 nm'
    """
    axes = list(zip(dims, scale, units, strict=True))
    axes = [axis for axis in axes if axis[2] is not None] or axes
    runs = [
        ("".join(dim for dim, _, _ in run), f"{step:.4g}", unit)
        for (step, unit), run in groupby(axes, key=lambda axis: (axis[1], axis[2]))
    ]
    words = []
    for index, (names, step, unit) in enumerate(runs):
        last = index + 1 == len(runs) or runs[index + 1][2] != unit
        words.append(f"{names} {step}" + (f" {SYMBOLS.get(unit, unit)}" if unit is not None and last else ""))
    return ", ".join(words)


def megabytes(nbytes: int) -> str:
    """Write a number of bytes in millions, to two digits where that is less than ten.

    Examples
    --------
    >>> megabytes(25_200_000), megabytes(1_500_000), megabytes(1200)
    ('25', '1.5', '0.0012')
    """
    millions = nbytes / 1e6
    return f"{millions:,.0f}" if millions >= 10 else f"{millions:.2g}"


def summary(plan: WritePlan) -> str:
    """Say the plan in one sentence.

    The number of files is the largest possible: chunks that hold nothing but the fill value make none.
    """
    return (
        f"At most {plan.n_files:,} files, {megabytes(plan.nbytes)} MB before compression; "
        f"up to {megabytes(plan.memory)} MB of memory while writing."
    )


def duration(seconds: float) -> str:
    """Write a duration as people say it.

    Examples
    --------
    >>> duration(0.4), duration(75), duration(7320)
    ('0 s', '1 min 15 s', '2 h 2 min')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
