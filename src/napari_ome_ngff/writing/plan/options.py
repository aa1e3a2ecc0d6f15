"""What may be chosen for a save, as one noun, and what follows for it from the store and the executor."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, fields
from numbers import Integral, Number
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_ome_ngff.arguments import bytes_of, check_type, check_whole, place_of, shown
from napari_ome_ngff.errors import OptionError
from napari_ome_ngff.metadata.versions import check_version
from napari_ome_ngff.writing.target import can_append, is_archive, local_root, refuse_version

if TYPE_CHECKING:
    from napari_ome_ngff.arguments import Place

NgffVersion = Literal["0.4", "0.5", "0.6"]

Chunks = Literal["auto"] | int | tuple[int, ...] | tuple[tuple[int, ...], ...]

Shards = Literal["auto"] | int | tuple[int, ...] | None

Factors = int | Mapping[str, int] | Sequence[Mapping[str, int]] | None

MEMORY_LIMIT = 256 * 2**20
"""Bytes that the engine's buffers may take, unless something else is asked for."""

_UPLOADS = 8  # blocks at once where they go to a server


@dataclass(frozen=True, kw_only=True)
class StorageOptions:
    """How images are to be stored: the options that the writing functions share, checked.

    Parameters
    ----------
    version
        Of OME-Zarr: ``"0.4"`` (Zarr v2), ``"0.5"`` or ``"0.6"`` (Zarr v3).
    chunks
        ``"auto"`` (1 to 4 MiB), one size for all axes of space, sizes for the last axes, or one such tuple
        per level.
    shards
        None, ``"auto"`` (about 32 MiB), or multiples of the chunks. Not for 0.4.
    compressor
        ``"auto"`` (blosc-zstd), a numcodecs codec, or None.
    fill_value
        What chunks hold that are not stored.
    transform_precision
        Decimal places to round scales and translations to; None: exact.
    memory_limit
        Bytes that the buffers of all tasks may take together, or text such as ``"1 GB"``.

    Raises
    ------
    OptionError
        If there is no such version, or it has no shards.

    Examples
    --------
    >>> StorageOptions(chunks=(16, 256, 256)).version
    '0.5'
    """

    version: str = "0.5"
    chunks: Chunks = "auto"
    shards: Shards = None
    compressor: object = "auto"
    fill_value: object = 0
    transform_precision: int | None = None
    memory_limit: int | str = MEMORY_LIMIT

    def __post_init__(self) -> None:
        version = check_version(self.version)
        sizes = '"auto", a whole number for all axes of space, or some for the last axes'
        check_type(self.chunks, (str, list, tuple, Integral), "Chunks", sizes)
        check_type(self.shards, (str, list, tuple, Integral, NoneType), "Shards", f"None, {sizes}")
        is_number = isinstance(self.fill_value, Number | str | np.generic | np.ndarray)
        if not is_number or np.ndim(self.fill_value):
            raise OptionError("The fill value must be one number.", found=shown(self.fill_value))
        is_codec = isinstance(self.compressor, Mapping | None) or hasattr(type(self.compressor), "encode")
        if isinstance(self.compressor, str):
            is_codec = self.compressor == "auto"
        if not is_codec:
            raise OptionError(
                "The compressor cannot be that.",
                found=shown(self.compressor),
                expected='"auto", a numcodecs codec such as numcodecs.Zstd(level=3), or None',
            )
        if isinstance(self.memory_limit, str):
            object.__setattr__(self, "memory_limit", bytes_of(self.memory_limit, "The limit of memory"))
        check_whole(self.memory_limit, 1, sys.maxsize, "The limit of memory")
        if self.transform_precision is not None:
            check_whole(self.transform_precision, 0, 300, "The number of decimal places")
        if self.shards is not None and version.zarr_format == 2:
            raise OptionError(
                f"OME-Zarr {self.version} has no shards.",
                hint="Choose version 0.5 or 0.6, or leave the shards away.",
            )

    @property
    def zarr_format(self) -> int:
        """2 or 3: the only format of Zarr that the version allows."""
        return check_version(self.version).zarr_format

    @property
    def is_layout_open(self) -> bool:
        """Whether chunks, shards, compressor and fill value are left open: stored levels may keep theirs."""
        is_auto = self.shards is None and [self.chunks, self.compressor] == ["auto", "auto"]
        return is_auto and isinstance(self.fill_value, int) and self.fill_value == 0


@dataclass(frozen=True, kw_only=True)
class SaveOptions(StorageOptions):
    """What was chosen for a save, and what follows for it from the store and the executor."""

    memory_limit: int = MEMORY_LIMIT
    workers: int = 1  # tasks that may run at once
    per_process: int = 1  # of them, in one other process
    shared_memory: bool = True  # they run in threads of this process
    append_shards: bool = False  # chunks go to shards as they come: no shard is ever held in memory
    local: bool = True  # a local folder is written into
    keep_layout: bool = False  # levels that are Zarr arrays stay stored as they are


def chosen_options(
    options: StorageOptions | None, given: StorageOptions, *, version: str = "0.5"
) -> StorageOptions:
    """Return the options of a public function, which may be given as one noun or each on its own.

    `given` are those on their own, `version` is the function's default.
    """
    if options is None:
        return given
    check_type(options, StorageOptions, "The options", "StorageOptions")
    if given != StorageOptions(version=version):
        raise OptionError(
            "Options were given both as `options` and on their own.",
            hint="Put all of them into StorageOptions.",
        )
    return options


def save_options(chosen: StorageOptions, store: Place, executor: Executor | None) -> SaveOptions:
    """Add what follows from the store and the executor; refuse a version that the store cannot hold."""
    check_type(executor, (Executor, NoneType), "The executor", "an Executor of concurrent.futures, or None")
    place, _ = place_of(store)
    refuse_version(chosen.version, chosen.zarr_format, place)
    is_threads = executor is None or isinstance(executor, ThreadPoolExecutor)
    is_local = local_root(place) is not None
    # Who waits for a server needs no processor.
    at_least = 1 if is_local else _UPLOADS
    values = {field.name: getattr(chosen, field.name) for field in fields(StorageOptions)}
    if chosen.shards is None and is_archive(place):
        # RFC-9: "The sharding codec SHOULD be used to reduce the number of entries within the ZIP archive."
        values["shards"] = "auto"
    return SaveOptions(
        **values,
        workers=sum(_threads(executor)) or max(at_least, _processors()),
        per_process=1 if is_threads else max(_threads(executor), default=1),
        shared_memory=is_threads,
        append_shards=is_threads and is_local and can_append(),
        local=is_local,
        keep_layout=chosen.is_layout_open,
    )


def _threads(executor: Executor | None) -> list[int]:
    """How many tasks each process of an executor runs at once; none if it does not say."""
    client: Any = getattr(executor, "_client", None)  # of dask.distributed
    if hasattr(client, "ncores"):
        return list(client.ncores().values())
    workers = getattr(executor, "_max_workers", None) or 0
    return [workers] if isinstance(executor, ThreadPoolExecutor) else [1] * workers


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
