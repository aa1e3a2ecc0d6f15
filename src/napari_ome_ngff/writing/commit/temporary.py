"""What a save puts beside its target while it runs: fresh names, and removal when it fails."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator

from napari_ome_ngff.storage.places.leftovers import PART, short


def new_part(name: str) -> str:
    """Return a fresh name for the hierarchy in the making: hidden, and recognisable as ours."""
    return f".{short(name)}.{secrets.token_hex(4)}{PART}"


@contextlib.contextmanager
def undone_by(*undo: Callable[[], object]) -> Iterator[None]:
    """Call `undo` if anything ends the block early: an error, Ctrl-C, a generator that is closed."""
    try:
        yield
    except BaseException:
        for step in undo:
            step()
        raise
