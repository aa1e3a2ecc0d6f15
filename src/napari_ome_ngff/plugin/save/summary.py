"""A save in words and numbers that people read: plan, progress, and what there is in the end."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from napari_ome_ngff.writing.plan.write_plan import LevelPlan, WritePlan
    from napari_ome_ngff.writing.save import Progress

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


SETTLED = 1.0
"""Seconds after which a rate is worth telling; earlier ones jump about."""


HEADER = ("Image", "Level", "Size", "Data", "Voxel size", "Chunks")


def table(plans: Iterable[WritePlan]) -> list[tuple[str, ...]]:
    """Return one row for each level of each image, in the order of `HEADER`."""
    return [
        (
            f"{multiscale.name} ({axes(multiscale.dims)})" if index == 0 else "",
            str(index),
            sizes(level.shape),
            f"{megabytes(level.nbytes(np.dtype(multiscale.dtype).itemsize))} MB",
            voxel_size(multiscale.dims, level.scale, multiscale.units),
            _chunks(level),
        )
        for plan in plans
        for multiscale in plan.multiscales
        for index, level in enumerate(multiscale.levels)
    ]


def _chunks(level: LevelPlan) -> str:
    stored = sizes(level.chunks) + ("" if level.shards is None else f" in {sizes(level.shards)}")
    return stored + (", copied" if level.copied else "")


def axes(dims: Sequence[str]) -> str:
    """Write the names of axes in their order.

    Examples
    --------
    >>> axes(("c", "y", "x")), axes(("time", "y", "x"))
    ('cyx', 'time, y, x')
    """
    return ("" if all(len(dim) == 1 for dim in dims) else ", ").join(dims)


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


def summary(plans: Sequence[WritePlan]) -> str:
    """Say the plans in one sentence.

    The number of files is the largest possible: chunks that hold nothing but the fill value make none.
    """
    memory = max(plan.memory + plan.reading for plan in plans)
    decodes = max(plan.decodes for plan in plans)
    again = f" Each stored block of the source is read {decodes:.2g} times." if decodes > 1 else ""
    return (
        f"OME-NGFF {plans[0].version}: at most {sum(plan.n_files for plan in plans):,} files, "
        f"{megabytes(sum(plan.nbytes for plan in plans))} MB before compression; "
        f"up to {megabytes(memory)} MB of memory while writing.{again}"
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


class Meter:
    """How far a save is, how fast it goes, and how long it still takes.

    Parameters
    ----------
    clock
        Returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun = clock()
        self._blocks = 0

    def read(self, progress: Progress) -> str:
        """Say the progress in a few words. The next of several stores is measured anew.

        Examples
        --------
        >>> from napari_ome_ngff.writing.save import Progress
        >>> seconds = iter([0, 4])
        >>> meter = Meter(lambda: next(seconds))
        >>> meter.read(
        ...     Progress(blocks_done=2, blocks_total=8, bytes_done=400_000_000, bytes_total=1_600_000_000)
        ... )
        '400 of 1,600 MB, 100 MB/s, 12 s left'
        """
        done = f"{megabytes(progress.bytes_done)} of {megabytes(progress.bytes_total)} MB"
        return ", ".join(filter(None, [done, self.pace(progress)]))

    def pace(self, progress: Progress) -> str:
        """Say how fast it goes and how long it still takes; nothing as long as that is a guess."""
        now = self._clock()
        if progress.blocks_done < self._blocks:
            self._begun = now
        self._blocks = progress.blocks_done
        seconds, share = now - self._begun, share_of(progress)
        if seconds <= SETTLED or share <= 0:
            return ""
        rate = megabytes(round(progress.bytes_done / seconds))
        return f"{rate} MB/s, {duration(seconds * (1 - share) / share)} left"


def share_of(progress: Progress) -> float:
    """Share of a save that is done, between 0 and 1; what is read back to be checked counts too."""
    return progress.blocks_done / max(progress.blocks_total, 1)


def saved(paths: Sequence[str], size: int, seconds: float) -> str:
    """Say where it is and how large; the first line in one sentence, which is all that a toast shows.

    Examples
    --------
    >>> print(saved(["/data/cells.ome.zarr"], 1_234_000_000, 75))
    Saved cells.ome.zarr (1.2 GB) in 1 min 15 s.
    Where: /data/cells.ome.zarr
    """
    names = ", ".join(re.split(r"[/\\\\]", path)[-1] for path in paths)
    what = f" ({amount(size)})" if size else ""
    return "\n".join([f"Saved {names}{what} in {duration(seconds)}.", *(f"Where: {path}" for path in paths)])


def short(name: str) -> str:
    """Shorten a name so that there is room for Cancel beside it in napari's activity dock.

    Examples
    --------
    >>> short("cells.ome.zarr"), short("2026-11-25 embryo 17 stained.ome.zarr")
    ('cells.ome.zarr', '2026-11-25…ome.zarr')
    """
    return name if len(name) <= 20 else f"{name[:10]}…{name[-8:]}"


def amount(size: int) -> str:
    """Write a number of bytes with the unit that suits it.

    Examples
    --------
    >>> amount(1_234_000_000), amount(2_500_000), amount(20)
    ('1.2 GB', '2.5 MB', '1 kB')
    """
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{max(1, round(size / 1e3))} kB"
