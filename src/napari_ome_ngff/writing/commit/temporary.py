"""What a save puts beside its target while it runs: fresh names, removal when it fails, and whose it is."""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import sys
from collections.abc import Callable, Iterator

from napari_ome_ngff.storage.places.leftovers import PART, short

# Of Windows: PROCESS_QUERY_LIMITED_INFORMATION, ERROR_INVALID_PARAMETER, STILL_ACTIVE.
_QUERY, _NONE_OF_THIS_NUMBER, _RUNS = 0x1000, 87, 259


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


def is_alive(process: int) -> bool:
    """Whether a process of this computer is running; True if only its owner may know."""
    if sys.platform == "win32":  # where `os.kill` would end it
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        handle = kernel.OpenProcess(_QUERY, False, process)
        if not handle:
            return ctypes.get_last_error() != _NONE_OF_THIS_NUMBER
        code = ctypes.c_ulong()
        known = kernel.GetExitCodeProcess(handle, ctypes.byref(code))
        kernel.CloseHandle(handle)
        return not known or code.value == _RUNS
    try:
        os.kill(process, 0)
    except OSError as error:
        return not isinstance(error, ProcessLookupError)
    return True
