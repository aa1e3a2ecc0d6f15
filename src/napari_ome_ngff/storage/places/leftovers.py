"""What a save has beside its target while it runs, and leaves there if it is killed: names, and where."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

from napari_ome_ngff.errors import give_warning

_WAITS, _WAIT = 20, 0.005  # times, seconds

PLATE = ".ngff-plate"
"""End of the name of the folder beside a plate that is written field by field."""

PART, OLD, LOCK = ".ngff-part", ".ngff-old", ".ngff-lock"
"""Ends of names: of what is in the making, of what was moved aside for it, and of the lock file."""

_END = re.compile(rf"[0-9a-f]{{8}}({re.escape(PART)}|{re.escape(OLD)})")


def is_leftover_of(target: str, name: str) -> bool:
    """Whether a name is one that a save to a target gives to what is in the making or was moved aside."""
    start = f".{short(target)}."
    return name.startswith(start) and _END.fullmatch(name, len(start)) is not None


def short(name: str) -> str:
    """Return a name short enough for ours to be made of it: they are longer by up to 20 bytes of 255."""
    return name.encode()[:200].decode(errors="ignore")


def leftovers(target: Path) -> list[Path]:
    """Return what interrupted saves left beside a target: first what was moved aside, then what was made."""
    start = f".{short(target.name)}."
    try:
        names = os.listdir(target.parent)
    except OSError:
        return []
    ends = [name[len(start) :] for name in names if name.casefold().startswith(start.casefold())]
    # Of a name in another case it is where the two are one.
    paths = [target.with_name(start + end) for end in sorted(set(ends)) if _END.fullmatch(end)]
    return sorted(filter(os.path.lexists, paths), key=lambda path: path.name.endswith(PART))


def moved_aside(target: Path) -> Path | None:
    """Return where the hierarchy is that a save moved away from a target without putting another there."""
    if os.path.lexists(target):
        return None
    aside = (path for path in leftovers(target) if path.name.endswith(OLD) and not path.is_symlink())
    return next((path for path in aside if os.path.lexists(in_the_making(path))), None)


def in_the_making(aside: Path) -> Path:
    """Return what something was moved aside for: while this is there, it was not put in its place."""
    return aside.with_name(aside.name.removesuffix(OLD) + PART)


def beside(path: Path) -> Path:
    """Return where what belongs at a path is now: a killed save may have moved it, or a folder above it."""
    for missing in (path, *path.parents):
        if os.path.lexists(missing):
            break
        if aside := moved_aside(missing):
            return aside / path.relative_to(missing)
    return path


def where_it_is(path: Path) -> Path:
    """Return a path, or where a killed save has left what was there, with a warning."""
    if os.path.exists(path) or "\0" in str(path):
        return path
    real = Path(os.path.realpath(path))
    for _ in range(_WAITS):
        if beside(real) == real:
            return path
        time.sleep(_WAIT)
    if (place := beside(real)) == real:
        return path
    give_warning(
        f"A save to {path} was interrupted. What was there before is opened, from {place} beside it; "
        "the next save to this place puts it back first.",
        stacklevel=2,
    )
    return place
