"""A save in words and numbers: plan, progress, and what there is in the end."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from napari_ome_ngff.metadata.systems.rotated import without_views
from napari_ome_ngff.metadata.systems.view import shown_system
from napari_ome_ngff.metadata.versions import check_version

if TYPE_CHECKING:
    from napari_ome_ngff.writing.plan.write_plan import LevelPlan, MultiscaleSource, WritePlan
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


SETTLED = 1.0  # seconds before a rate is shown; earlier ones jump about


MOST_SHOWN = 20
"""Images whose levels the table of the plan shows."""

MUCH_MEMORY = 500_000_000
"""Bytes of memory that are worth a word."""

HEADER = ("Image", "Level", "Size", "Voxel size", "Chunks")


def table(plans: Iterable[WritePlan]) -> list[tuple[str, ...]]:
    """One row per level of each image, under `HEADER`; of a plate the first fields."""
    images = [multiscale for plan in plans for multiscale in plan.multiscales]
    rows: list[tuple[str, ...]] = [
        (
            f"{multiscale.name} ({axis_names(multiscale.dims)})" if index == 0 else "",
            str(index),
            sizes(level.shape),
            voxel_size(multiscale.dims, level.transform.scale, multiscale.units),
            _chunks(level),
        )
        for multiscale in images[:MOST_SHOWN]
        for index, level in enumerate(multiscale.levels)
    ]
    left = len(images) - MOST_SHOWN
    return rows if left <= 0 else [*rows, (f"and {left} more images", *[""] * (len(HEADER) - 1))]


def _chunks(level: LevelPlan) -> str:
    return sizes(level.chunks) + ("" if level.shards is None else f" in {sizes(level.shards)}")


def axis_names(dims: Sequence[str]) -> str:
    """``cyx`` if all names are single letters, else ``time, y, x``."""
    return ("" if all(len(dim) == 1 for dim in dims) else ", ").join(dims)


def sizes(numbers: Iterable[int]) -> str:
    """``3×16×512``."""
    return "×".join(str(number) for number in numbers)


def voxel_size(dims: Iterable[str], scale: Iterable[float], units: Iterable[str | None]) -> str:
    """Distance between voxels along the axes with a unit, or along all: ``z 2, yx 0.25 µm``."""
    axes = list(zip(dims, scale, units, strict=True))
    axes = [axis for axis in axes if axis[2] is not None] or axes
    runs = [
        ("".join(dim for dim, _, _ in run), f"{step:.4g}", unit)
        for (step, unit), run in groupby(axes, key=lambda axis: (axis[1], axis[2]))
    ]
    parts = []
    for index, (names, step, unit) in enumerate(runs):
        ends_unit = index + 1 == len(runs) or runs[index + 1][2] != unit
        symbol = f" {SYMBOLS.get(unit, unit)}" if unit is not None and ends_unit else ""
        parts.append(f"{names} {step}{symbol}")
    return ", ".join(parts)


def megabytes(nbytes: int) -> str:
    """Millions of bytes, with two digits below ten."""
    millions = nbytes / 1e6
    return f"{millions:,.0f}" if millions >= 10 else f"{millions:.2g}"


def summary(plans: Sequence[WritePlan]) -> str:
    """The plans in one sentence; chunks of nothing but the fill value make no files, hence "at most"."""
    memory = max(plan.memory + plan.reading for plan in plans)
    decodes = max(plan.decodes for plan in plans)
    files = sum(plan.n_files for plan in plans)
    words = [
        f"OME-Zarr {plans[0].version}: {amount(sum(plan.nbytes for plan in plans))} before compression, "
        f"at most {files:,} file{'' if files == 1 else 's'}."
    ]
    levels = [level for plan in plans for image in plan.multiscales for level in image.levels]
    if copied := sum(level.copied for level in levels):
        words.append(f"{'All' if copied == len(levels) else copied} levels are copied as they are.")
    if memory >= MUCH_MEMORY:
        words.append(f"Writing takes up to {amount(memory)} of memory.")
    if decodes > 1:
        words.append(f"Each stored block of the source is read {decodes:.2g} times.")
    return " ".join(words)


def systems_notes(sources: Mapping[str, MultiscaleSource], version: str) -> list[str]:
    """Say which coordinate systems a version cannot store."""
    if check_version(version).affines:
        return []
    lost = {}
    for source in sources.values():
        if (multiscale := source.multiscale) is not None:
            shown = shown_system(multiscale)
            lost[source.name] = [repr(name) for name in without_views(multiscale)[1] if name != shown]
    return [
        f"{image!r} is saved in one coordinate system, not in {', '.join(names)}: "
        "only OME-Zarr 0.6 has several."
        for image, names in lost.items()
        if names
    ]


def space_notes(planned: WritePlan, path: str) -> list[str]:
    """Say that there may not be room enough."""
    from napari_ome_ngff.writing.plan.disk_space import space_for

    needed, free = space_for(planned, path)
    if free is None or needed <= free:
        return []
    return [
        f"It may not fit: {amount(free)} are free, {amount(needed)} are needed if nothing can be compressed."
    ]


def duration(seconds: float) -> str:
    """``0 s``, ``1 min 15 s``, ``2 h 2 min``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


class Meter:
    """Progress, rate and time left of a save."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun = clock()
        self._blocks = 0

    def read(self, progress: Progress) -> str:
        """``400 of 1,600 MB, 100 MB/s, 12 s left``. Each of several stores is measured anew."""
        done = f"{megabytes(progress.bytes_done)} of {megabytes(progress.bytes_total)} MB"
        return ", ".join(filter(None, [done, self.pace(progress)]))

    def pace(self, progress: Progress) -> str:
        """Rate and time left; empty before they settle."""
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
    """Share of a save that is done, 0 to 1; reading back to verify counts too."""
    return progress.blocks_done / max(progress.blocks_total, 1)


def saved(paths: Sequence[str], size: int, seconds: float, *, of: str = "") -> str:
    """What was saved, in one sentence on the first line, which is all that a toast shows; then where."""
    names = ", ".join(re.split(r"[/\\\\]", path)[-1] for path in paths)
    what = f" ({amount(size)}{of})" if size else ""
    took = f" in {duration(seconds)}" if round(seconds) else ""
    return "\n".join([f"Saved {names}{what}{took}.", *(f"Where: {path}" for path in paths)])


def short(name: str) -> str:
    """At most 20 characters, so that Cancel fits beside it in napari's activity dock."""
    return name if len(name) <= 20 else f"{name[:10]}…{name[-8:]}"


def amount(size: int) -> str:
    """Bytes with a unit that suits them: ``1.2 GB``, at least ``1 kB``."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{max(1, round(size / 1e3))} kB"


def size_of(target: str) -> int:
    """Bytes of a folder with all that is in it, or of a file; 0 for what is not on this computer."""
    if os.path.isfile(target):
        return os.path.getsize(target)
    return sum(
        os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(target) for name in names
    )
