"""What a save has beside its target while it runs, and leaves there if it is killed: names, and where."""

from __future__ import annotations

import os
import re
import time
import warnings
from pathlib import Path

from napari_ome_ngff.errors import OmeNgffWarning

_WAITS, _WAIT = 20, 0.005  # times, seconds

PART, OLD, LOCK = ".ngff-part", ".ngff-old", ".ngff-lock"
"""Ends of names: of what is in the making, of what was moved aside for it, and of the lock file."""


def is_leftover_of(target: str, name: str) -> bool:
    """Whether a name is one that a save to a target gives to what is in the making or was moved aside."""
    ends = "|".join(map(re.escape, (PART, OLD)))
    return re.fullmatch(re.escape(f".{short(target)}.") + rf"[0-9a-f]{{8}}({ends})", name) is not None


def short(name: str) -> str:
    """Return a name short enough for ours to be made of it: they are longer by up to 20 bytes of 255."""
    return name.encode()[:200].decode(errors="ignore")


def leftovers(target: Path) -> list[Path]:
    """Return what interrupted saves left beside a target: first what was moved aside, then what was made."""
    try:
        names = [name for name in os.listdir(target.parent) if is_leftover_of(target.name, name)]
    except OSError:
        return []
    return [target.with_name(name) for name in sorted(names, key=lambda n: (n.endswith(PART), n))]


def moved_aside(target: Path) -> Path | None:
    """Return where the hierarchy is that a save moved away from a target without putting another there."""
    if os.path.lexists(target):
        return None
    return next((p for p in leftovers(target) if p.name.endswith(OLD) and not p.is_symlink()), None)


def where_it_is(path: Path) -> Path:
    """Return a path, or where a killed save has left what was there, with a warning."""
    if os.path.exists(path) or "\0" in str(path):
        return path
    real, missing = Path(os.path.realpath(path)), None
    for _ in range(_WAITS):
        missing = next((one for one in (real, *real.parents) if moved_aside(one)), None)
        if missing is None:
            return path
        time.sleep(_WAIT)
    aside = moved_aside(missing) if missing else None
    if missing is None or aside is None:
        return path
    warnings.warn(
        f"A save to {missing} was interrupted. What was there before is opened, from {aside.name} beside it; "
        "the next save to this place puts it back first.",
        OmeNgffWarning,
        stacklevel=2,
    )
    return aside / real.relative_to(missing)
