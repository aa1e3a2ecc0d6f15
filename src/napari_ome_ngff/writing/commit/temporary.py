"""What a save puts beside its target while it runs: names that are recognised, and removal when it fails."""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import Callable, Iterator

from napari_ome_ngff.storage.places.save_note import NOTE

PART, OLD, LOCK = NOTE, ".ngff-old", ".ngff-lock"
"""Ends of names: of what is in the making, of what was moved aside for it, and of the lock file."""


def new_part(name: str) -> str:
    """Return a fresh name for the hierarchy in the making: hidden, and recognisable as ours."""
    return f".{short(name)}.{secrets.token_hex(4)}{PART}"


def is_leftover_of(target: str, name: str) -> bool:
    """Whether a name is one that a save to a target gives to what is in the making or was moved aside."""
    ends = "|".join(map(re.escape, (PART, OLD)))
    return re.fullmatch(re.escape(f".{short(target)}.") + rf"[0-9a-f]{{8}}({ends})", name) is not None


def short(name: str) -> str:
    """Return a name short enough for ours to be made of it: they are longer by up to 20 bytes of 255."""
    return name.encode()[:200].decode(errors="ignore")


@contextlib.contextmanager
def undone_by(*undo: Callable[[], object]) -> Iterator[None]:
    """Call `undo` if anything ends the block early: an error, Ctrl-C, a generator that is closed."""
    try:
        yield
    except BaseException:
        for step in undo:
            step()
        raise
