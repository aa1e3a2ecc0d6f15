"""Other processes for tests, forked from one that imports once what they all need: it takes a second."""

from __future__ import annotations

import multiprocessing
import sys
from multiprocessing.context import BaseContext

IMPORTED = ("dask.array", "hypothesis", "napari_ome_ngff.writing.write", "pytest", "xarray", "zarr")
METHOD = "spawn" if sys.platform == "win32" else "forkserver"


def clean_processes(*others: str) -> BaseContext:
    """Processes that share nothing with this one; the first call may say what else they import."""
    context = multiprocessing.get_context(METHOD)
    if METHOD == "forkserver":
        context.set_forkserver_preload([*IMPORTED, *others])
    return context
