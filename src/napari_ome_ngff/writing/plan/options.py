"""How a save is to be done: what was asked for, and what follows from the store and the executor."""

from __future__ import annotations

import os
from concurrent.futures import Executor, ThreadPoolExecutor
from os import PathLike
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.metadata.versions import check_version
from napari_ome_ngff.writing.commit.checks import local_root
from napari_ome_ngff.writing.commit.single_file import is_archive, refuse_version
from napari_ome_ngff.writing.engine.shards import can_append
from napari_ome_ngff.writing.plan.levels import Chunks, Shards
from napari_ome_ngff.writing.plan.prepare import Prepared
from napari_ome_ngff.writing.plan.write_plan import Options, WritePlan

if TYPE_CHECKING:
    from zarr.abc.store import Store

MEMORY_LIMIT = 256 * 2**20
"""Bytes that the engine's buffers may take, unless something else is asked for."""


_UPLOADS = 8  # blocks at once where they go to a server


def options_for(
    store: Store | str | PathLike[str],
    version: str,
    *,
    chunks: Chunks,
    shards: Shards,
    executor: Executor | None,
    memory_limit: int,
) -> Options:
    """Return the options of a save, and what follows for it from the store and the executor.

    Parameters
    ----------
    store, version, chunks, shards, executor, memory_limit
        As for :func:`napari_ome_ngff.write_multiscale_group`.

    Raises
    ------
    OptionError
        If the version cannot be written, or not into this store.
    """
    known = check_version(version)
    refuse_version(known.name, known.zarr_format, store)
    threads = executor is None or isinstance(executor, ThreadPoolExecutor)
    is_local = local_root(store) is not None
    # Who waits for a server needs no processor.
    waiting = 1 if is_local else _UPLOADS
    return Options(
        version=known.name,
        chunks=chunks,
        # RFC-9: "The sharding codec SHOULD be used to reduce the number of entries within the ZIP archive."
        shards="auto" if shards is None and is_archive(store) else shards,
        workers=_workers(executor) or max(waiting, processors()),
        memory_limit=memory_limit,
        shared_memory=threads,
        append_shards=threads and is_local and can_append(),
        local=is_local,
    )


def is_open(chunks: Chunks, shards: Shards, compressor: object, fill_value: object = 0) -> bool:
    """Tell whether nothing was said of how arrays are stored: those that are stored may stay as they are."""
    said = [chunks, compressor] != ["auto", "auto"] or shards is not None
    return not said and isinstance(fill_value, int) and fill_value == 0


def plan_of(prepared: tuple[Prepared, ...], options: Options) -> WritePlan:
    """Return the plan of everything that one save writes."""
    return WritePlan(
        version=options.version,
        multiscales=tuple(one.plan for one in prepared),
        workers=options.workers,
        memory_limit=options.memory_limit,
    )


def _workers(executor: Executor | None) -> int | None:
    """How many tasks an executor runs at once; None if it does not say."""
    client: Any = getattr(executor, "_client", None)  # of dask.distributed
    if hasattr(client, "ncores"):
        return sum(client.ncores().values()) or None
    return getattr(executor, "_max_workers", None)


def processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
