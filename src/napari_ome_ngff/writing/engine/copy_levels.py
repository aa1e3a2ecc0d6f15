"""Levels whose stored chunks are copied as they are, byte for byte: nothing is decoded.

A level is copied if it is a whole Zarr array and what is written is stored alike. Files are copied, never
linked: a program that writes into the original later must not write into the copy.
"""

from __future__ import annotations

import asyncio
import math
import os
import shutil
import stat
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ome_ngff.errors import StorageError
from napari_ome_ngff.metadata.versions import check_version
from napari_ome_ngff.storage.places.location import location_of
from napari_ome_ngff.writing.blocks import clipped, count_boxes
from napari_ome_ngff.writing.engine.cascade import Done, failing, settle
from napari_ome_ngff.writing.engine.encode import UnitWriter
from napari_ome_ngff.writing.plan.array_spec import is_stored_alike, spec_like
from napari_ome_ngff.writing.plan.group_documents import join_paths
from napari_ome_ngff.writing.plan.options import SaveOptions
from napari_ome_ngff.writing.plan.prepare import Prepared
from napari_ome_ngff.writing.plan.tasks import Cut

if TYPE_CHECKING:
    import zarr
    from zarr.abc.store import Store

Pair = tuple[str, str]
"""Keys of an object where it is, and where it goes."""


_PIECE = 2**20


def copy_keys(source: Store, target: Store, pairs: Sequence[Pair], *, at_once: int) -> None:
    """Copy stored objects; those that are missing stay missing.

    Parameters
    ----------
    source, target
        Where they are and where they go. From folder to folder nothing passes through this process' memory.
    pairs
        Their keys.
    at_once
        How many may be in memory at once elsewhere.

    Examples
    --------
    >>> import zarr
    >>> from zarr.core.buffer import default_buffer_prototype
    >>> one, other = zarr.storage.MemoryStore(), zarr.storage.MemoryStore()
    >>> zarr.create_array(one, shape=(2,), chunks=(1,), dtype="uint8")[0] = 7
    >>> copy_keys(one, other, [("c/0", "0"), ("c/1", "1")], at_once=1)
    >>> are_same(one, other, [("c/0", "0"), ("c/1", "1"), ("c/0", "1")], at_once=1)
    [True, True, False]
    """
    old, new = local_folder(source), local_folder(target)
    if old is not None and new is not None:
        for key, copy in pairs:
            _copy_file(os.path.join(old, *key.split("/")), os.path.join(new, *copy.split("/")))
    else:
        _for_each(pairs, partial(_copy_key, source, target), at_once)


def are_same(source: Store, target: Store, pairs: Sequence[Pair], *, at_once: int) -> list[bool]:
    """Tell of each pair of objects whether they are the same, or both missing.

    Parameters
    ----------
    source, target, pairs, at_once
        As for :func:`copy_keys`.
    """
    one, other = local_folder(source), local_folder(target)
    if one is None or other is None:
        return _for_each(pairs, partial(_is_same_key, source, target), at_once)
    return [
        _is_same_file(os.path.join(one, *key.split("/")), os.path.join(other, *copy.split("/")))
        for key, copy in pairs
    ]


def local_folder(store: object) -> str | None:
    """Return the folder that a store is, or None if it is anything else."""
    from zarr.storage import LocalStore

    return str(store.root) if type(store) is LocalStore else None  # a derived class may read in its own way


def _copy_file(source: str, target: str) -> None:
    if not _is_there(source):
        return
    try:
        shutil.copyfile(source, target)  # in the kernel, where the system can
    except FileNotFoundError:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copyfile(source, target)


def _is_there(path: str) -> bool:
    """Whether there is a file, or something else in its place that is no folder."""
    try:
        return not stat.S_ISDIR(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _is_same_file(one: str, other: str) -> bool:
    there = _is_there(one), _is_there(other)
    if not all(there):
        return there[0] == there[1]
    with open(one, "rb", buffering=0) as first, open(other, "rb", buffering=0) as second:
        while True:
            piece = first.read(_PIECE)
            if piece != second.read(_PIECE):
                return False
            if not piece:
                return True


def _for_each(pairs: Sequence[Pair], work: Any, at_once: int) -> list[bool]:
    """Await a function for every pair of keys, some of them at the same time."""
    from zarr.core.sync import sync

    async def everything() -> list[bool]:
        room = asyncio.Semaphore(at_once)

        async def one(pair: Pair) -> bool:
            async with room:
                return bool(await work(*pair))

        return await asyncio.gather(*map(one, pairs))

    return sync(everything())


async def _copy_key(source: Store, target: Store, old: str, new: str) -> bool:
    from zarr.core.buffer import default_buffer_prototype

    prototype = default_buffer_prototype()
    found = await source.get(old, prototype)
    if found is not None:
        # Bytes of our own: two stores in memory must not share them.
        await target.set(new, prototype.buffer.from_bytes(found.to_bytes()))
    return found is not None


async def _is_same_key(source: Store, target: Store, old: str, new: str) -> bool:
    from zarr.core.buffer import default_buffer_prototype

    prototype = default_buffer_prototype()
    one, other = await source.get(old, prototype), await target.get(new, prototype)
    if one is None or other is None:
        return one is other
    return one.to_bytes() == other.to_bytes()


_BATCH_BYTES = 2**24


_BATCH = 64


_REQUESTS = 16


def with_copies(
    prepared: tuple[Prepared, ...], specs: Mapping[str, Any], options: SaveOptions
) -> tuple[tuple[Prepared, ...], dict[str, Any]]:
    """Plan to copy the levels that are stored already as they are to be stored.

    Where options leave open how (`keep_layout`), a level that is a whole Zarr array of the right
    format stays stored as it is.

    Parameters
    ----------
    prepared
        What is to be written.
    specs
        The pydantic-zarr model of every array by its path in the hierarchy.
    options
        How to store it.

    Returns
    -------
    tuple
        Both, with what is copied.
    """
    found, changed = [], dict(specs)
    for one in prepared:
        plan = one.plan
        levels, cuts = list(plan.levels), list(plan.cuts)
        for i, (level, array) in enumerate(zip(levels, one.stored, strict=False)):
            # A level that others are made of has to be read in any case.
            if array is None or len(plan.passes) != len(levels):
                continue
            key = join_paths(plan.path, level.path)
            right = array.metadata.zarr_format == check_version(options.version).zarr_format
            # Where there have to be shards, in a single file, those that are there will do.
            if options.keep_layout and right and (options.shards is None or array.shards is not None):
                changed[key] = spec_like(array, plan.dims)
            if is_stored_alike(changed[key], array):
                levels[i] = replace(level, chunks=array.chunks, shards=array.shards, copied=True)
                cuts[i] = _cut(array, options)
        copied = replace(plan, levels=tuple(levels), cuts=tuple(cuts))
        found.append(replace(one, plan=copied))
    return tuple(found), changed


def _cut(array: zarr.Array[Any], options: SaveOptions) -> Cut:
    unit = array.shards or array.chunks
    local = options.local and local_folder(array.store) is not None
    memory = 0 if local else options.workers * requests(array, options) * _object_bytes(array)
    block = clipped(unit, array.shape)
    return Cut(blocks=(block,), box=block, tasks=options.workers, memory=memory, reading=0, decodes=0.0)


def requests(array: zarr.Array[Any], options: SaveOptions) -> int:
    """How many stored objects one task may hold at once, where they have to pass through memory."""
    return max(1, min(_REQUESTS, options.memory_limit // (options.workers * _object_bytes(array))))


def _object_bytes(array: zarr.Array[Any]) -> int:
    return math.prod(array.shards or array.chunks) * int(array.dtype.itemsize)


@dataclass(frozen=True, kw_only=True)
class CopyJob:
    """What every task of one copied level needs to know.

    Parameters
    ----------
    source
        The array whose chunks are copied.
    writer
        Where to.
    at_once
        Requests of one task that are under way at once, for stores that are no folders.
    where
        Path or URL of the image, for errors.
    """

    source: zarr.Array[Any]
    writer: UnitWriter
    at_once: int
    where: str

    @property
    def grid(self) -> tuple[int, ...]:
        """Number of stored objects along each axis."""
        unit = self.source.shards or self.source.chunks
        return tuple(-(-n // size) for n, size in zip(self.source.shape, unit, strict=True))

    def keys(self, start: int, stop: int) -> list[tuple[str, str]]:
        """Keys of the stored objects from one number to another: where they are, and where they go."""
        source, target = self.source, self.writer.array
        grid = self.grid
        positions = [tuple(map(int, np.unravel_index(number, grid))) for number in range(start, stop)]
        return [
            (
                join_paths(source.path, source.metadata.encode_chunk_key(position)),
                join_paths(target.path, target.metadata.encode_chunk_key(position)),
            )
            for position in positions
        ]

    def nbytes(self, start: int, stop: int) -> int:
        """Bytes of the voxels in these objects."""
        unit = self.source.shards or self.source.chunks
        total = 0
        for number in range(start, stop):
            position = np.unravel_index(number, self.grid)
            total += math.prod(
                min(size, n - int(i) * size)
                for i, size, n in zip(position, unit, self.source.shape, strict=True)
            )
        return total * int(self.source.dtype.itemsize)


def copy_level(job: CopyJob, cut: Cut, executor: Executor) -> Iterator[Done]:
    """Copy the stored chunks of an array; those that are missing stay missing. Yields once per task.

    Parameters
    ----------
    job
        What is copied, and where to: an empty array that is stored alike.
    cut
        How many tasks run at once, and the stored objects as blocks.
    executor
        What tasks run on.

    Raises
    ------
    StorageError
        If something cannot be read or written, or if the array is another one by now.
    """
    with failing("The image that is copied cannot be read", location_of(job.source)):
        _check_unchanged(job.source)
    yield from _run(copy_objects, job, cut, executor)


def verify_copy(job: CopyJob, cut: Cut, executor: Executor) -> Iterator[Done]:
    """Compare what was copied with what it was copied from, byte by byte. Yields once per task.

    Parameters
    ----------
    job, cut, executor
        As for :func:`copy_level`.

    Raises
    ------
    StorageError
        If something differs or cannot be read.
    """
    for done in _run(compare_objects, job, cut, executor):
        yield Done(done.blocks, 0)


def _check_unchanged(source: zarr.Array[Any]) -> None:
    """Refuse an array that was written again since it was opened: its chunks may mean something else now."""
    import zarr

    form: Any = source.metadata.zarr_format
    now = zarr.open_array(source.store, path=source.path, mode="r", zarr_format=form)
    if not is_stored_alike(now, source):
        raise StorageError(
            "The image was written again since it was opened.",
            where=location_of(source),
            found="other chunks, codecs or sizes than it had",
            hint="Open it again, then save.",
        )


def _run(task: Any, job: CopyJob, cut: Cut, executor: Executor) -> Iterator[Done]:
    """Run a task over all objects of a level, a bounded number at a time."""
    total = count_boxes(job.source.shape, cut.blocks[0])
    nbytes = _object_bytes(job.source)
    step = max(1, min(_BATCH, _BATCH_BYTES // max(1, nbytes)))
    pending: deque[Future[Done]] = deque()
    try:
        for start in range(0, total, step):
            with failing("A task could not be started", job.where):
                pending.append(executor.submit(task, job, start, min(start + step, total)))
            if len(pending) > cut.tasks:
                yield _result(pending.popleft(), job)
        while pending:
            yield _result(pending.popleft(), job)
    finally:
        settle(executor, pending)  # after this nothing is written any more


def _result(future: Future[Done], job: CopyJob) -> Done:
    with failing("A task failed", job.where):
        return future.result()


def copy_objects(job: CopyJob, start: int, stop: int) -> Done:
    """Copy the stored objects from one number to another.

    Parameters
    ----------
    job
        What is copied.
    start, stop
        Numbers of the objects in the grid, in C order.
    """
    with failing("Copying failed", job.where):
        copy_keys(job.source.store, job.writer.array.store, job.keys(start, stop), at_once=job.at_once)
    return Done(stop - start, job.nbytes(start, stop))


def compare_objects(job: CopyJob, start: int, stop: int) -> Done:
    """Compare the stored objects from one number to another with what they were copied from.

    Parameters
    ----------
    job, start, stop
        As for :func:`copy_objects`.

    Raises
    ------
    StorageError
        If one differs.
    """
    keys = job.keys(start, stop)
    with failing("Reading back what was written failed", job.where):
        same = are_same(job.source.store, job.writer.array.store, keys, at_once=job.at_once)
    if not all(same):
        raise StorageError(
            "What was written differs from the image; nothing was saved.",
            where=job.where,
            found=f"another {keys[same.index(False)][1]}",
            hint="The disk or the network may be failing, or the image changed during the save: try again.",
        )
    return Done(stop - start, 0)
