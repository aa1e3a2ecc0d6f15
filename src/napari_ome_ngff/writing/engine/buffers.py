"""Memory that is used again, and memory that is given back."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGE_BOX = 2**25
"""Bytes of a box from which on it is worth some milliseconds to tidy up after it was read."""


class Scratch:
    """Memory of each thread that is used again for every block: fresh memory costs a fault for every page."""

    def __init__(self) -> None:
        self._local = threading.local()

    def __reduce__(self) -> tuple[object, ...]:
        return Scratch, ()

    def room_for(self, values: NDArray[Any]) -> NDArray[Any] | None:
        """An array for a copy in one piece, if these are in several; valid until this thread asks again."""
        if values.flags.c_contiguous:
            return None
        memory = getattr(self._local, "memory", None)
        if memory is None or memory.nbytes < values.nbytes:
            memory = self._local.memory = np.empty(values.nbytes, np.uint8)
        return memory[: values.nbytes].view(values.dtype).reshape(values.shape)


def keep_freed_memory(nbytes: int) -> None:
    """Have buffers of up to this size made from memory that was freed, not from fresh pages each time."""
    # What codecs return is a new buffer for every chunk. glibc takes it from the system, which clears each of
    # its pages on a fault, until a buffer of that size was freed once. Others do not mind.
    np.empty(nbytes, np.uint8)


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h
_DEFAULT_MMAP_THRESHOLD = 2**17
_LARGEST_MMAP_THRESHOLD = 2**25


@contextlib.contextmanager
def freed_memory_kept(nbytes: int) -> Iterator[None]:
    """Do what `keep_freed_memory` does where glibc was told to give everything back, until this ends."""
    # Workers of dask are started with this variable, and with it every buffer of a codec is made of fresh
    # pages: their faults took 2 s for 1 GiB, as long as all the rest.
    trim = os.environ.get("MALLOC_TRIM_THRESHOLD_", "")
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" and trim else None
    if mallopt is None or not trim.isdigit():
        keep_freed_memory(nbytes)
        yield
        return
    mallopt(_M_MMAP_THRESHOLD, min(nbytes, _LARGEST_MMAP_THRESHOLD))
    mallopt(_M_TRIM_THRESHOLD, 2 * _LARGEST_MMAP_THRESHOLD)
    try:
        yield
    finally:
        mallopt(_M_MMAP_THRESHOLD, _DEFAULT_MMAP_THRESHOLD)
        mallopt(_M_TRIM_THRESHOLD, min(int(trim), 2**30))


def give_back_freed_memory() -> None:
    """Have the C library return to the system what reading a source has freed."""
    # glibc keeps some for each thread that decoded or encoded a chunk, up to 100 MB in all. Others do not.
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
