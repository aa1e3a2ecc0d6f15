"""Levels whose stored chunks are copied as they are, byte for byte: nothing is decoded.

A level is copied if it is a whole Zarr array and what is written is stored alike. Files are copied, never
linked: a program that writes into the original later must not write into the copy.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ome_ngff.errors import StorageError
from napari_ome_ngff.storage.documents.json_documents import build_array, parse
from napari_ome_ngff.storage.places.location import join, location_of
from napari_ome_ngff.storage.places.node_documents import array_document
from napari_ome_ngff.storage.places.requests import at_most, fetch
from napari_ome_ngff.writing.blocks import count_boxes
from napari_ome_ngff.writing.engine.encode import UnitWriter
from napari_ome_ngff.writing.engine.executors import Done, run_in_order
from napari_ome_ngff.writing.plan.array_spec import says_same_storage
from napari_ome_ngff.writing.plan.copied_levels import object_bytes
from napari_ome_ngff.writing.plan.tasks import Cut
from napari_ome_ngff.writing.refusals import differs, failing
from napari_ome_ngff.writing.stored_objects import Pair, between_folders, copy_objects, same_objects

if TYPE_CHECKING:
    import zarr
    from numpy.typing import NDArray
    from zarr.abc.store import Store

_BATCH_BYTES = 2**24  # of voxels, in the objects of one task
_BATCH = 64  # objects of one task, at most
_FOLDERS = 4  # times as many from folder to folder, where a task costs as much as two files


@dataclass(frozen=True, kw_only=True)
class CopyJob:
    """What every task of one copied level needs to know; objects are numbered in C order."""

    source: zarr.Array[Any]
    writer: UnitWriter
    at_once: int  # requests of one task, for stores that are no folders
    where: str  # path or URL of the image, for errors

    @property
    def store(self) -> Store:
        """Where the objects are; from a server, none is read that is larger than one can be."""
        return at_most(self.source.store, 64 * object_bytes(self.source) + 2**20)

    def indices(self, start: int, stop: int) -> NDArray[np.int64]:
        """Where in the grid of stored objects these are, of shape (objects, axes)."""
        unit = self.source.shards or self.source.chunks
        grid = tuple(-(-n // size) for n, size in zip(self.source.shape, unit, strict=True))
        return np.transpose(np.unravel_index(np.arange(start, stop), grid))

    def pairs(self, indices: NDArray[np.int64]) -> list[Pair]:
        """Keys of the stored objects at some places, where they are and where they go."""
        old, new = self.source.metadata.encode_chunk_key, self.writer.array.metadata.encode_chunk_key
        places = [tuple(place) for place in indices.tolist()]
        names = [old(place) for place in places]
        others = names if new(places[0]) == names[0] else [new(place) for place in places]
        here, there = (f"{array.path}/" if array.path else "" for array in (self.source, self.writer.array))
        return [(here + name, there + other) for name, other in zip(names, others, strict=True)]

    def nbytes(self, indices: NDArray[np.int64]) -> int:
        """Bytes of the voxels in these objects."""
        unit = self.source.shards or self.source.chunks
        corners = indices * unit
        sizes = np.minimum(corners + unit, self.source.shape) - corners
        return int(sizes.prod(axis=1).sum()) * int(self.source.dtype.itemsize)


def copy_level(job: CopyJob, cut: Cut, executor: Executor) -> Iterator[Done]:
    """Copy the stored chunks of an array into an empty one that is stored alike; missing ones stay missing.

    Refuses an array that is another one by now. Yields once per task.
    """
    with failing("The image that is copied cannot be read", location_of(job.source)):
        _check_unchanged(job.source)
    yield from _run(copy_batch, job, cut, executor)


def verify_copy(job: CopyJob, cut: Cut, executor: Executor) -> Iterator[Done]:
    """Compare what was copied with what it was copied from, byte by byte. Yields once per task."""
    yield from _run(compare_batch, job, cut, executor)


def _check_unchanged(source: zarr.Array[Any]) -> None:
    """Refuse an array that was written again since it was opened: its chunks may mean something else now."""
    key = join(source.path, array_document(source.metadata.zarr_format))
    content = fetch(source.store, [key])[key]
    if not isinstance(content, bytes):
        raise content or FileNotFoundError(f"{key} is gone")
    document = parse(content, where=key)
    if says_same_storage(document, source):
        return
    now = build_array(source.store, source.path, document, {}, where=key)
    if not says_same_storage(now.metadata.to_dict(), source):
        raise StorageError(
            "The image was written again since it was opened.",
            where=location_of(source),
            found="other chunks, codecs or sizes than it had",
            hint="Open it again, then save.",
        )


def _run(task: Callable[..., Done], job: CopyJob, cut: Cut, executor: Executor) -> Iterator[Done]:
    """Run a task over all objects of a level, in batches."""
    total = count_boxes(job.source.shape, cut.blocks[0])
    step = max(1, min(_BATCH, _BATCH_BYTES // max(1, object_bytes(job.source))))
    folders = between_folders(job.source.store, job.writer.array.store)
    if folders:
        step *= _FOLDERS
    calls = iter([(job, start, min(start + step, total)) for start in range(0, total, step)])
    if folders and isinstance(executor, ThreadPoolExecutor):
        # Where nothing is waited for, two threads are no faster than this one.
        for call in calls:
            done = task(*call)
            yield done
            if done.waited:
                break
    yield from run_in_order(task, calls, executor, cut.tasks, job.where)


def copy_batch(job: CopyJob, start: int, stop: int) -> Done:
    """Copy the stored objects from one number to another."""
    began, worked = time.perf_counter(), time.thread_time()
    indices = job.indices(start, stop)
    with failing("Copying failed", job.where):
        copy_objects(job.store, job.writer.array.store, job.pairs(indices), at_once=job.at_once)
    took, worked = time.perf_counter() - began, time.thread_time() - worked
    return Done(stop - start, job.nbytes(indices), waited=took > 2 * worked)


def compare_batch(job: CopyJob, start: int, stop: int) -> Done:
    """Compare the stored objects from one number to another with what they were copied from."""
    pairs = job.pairs(job.indices(start, stop))
    with failing("Reading back what was written failed", job.where):
        same = same_objects(job.store, job.writer.array.store, pairs, at_once=job.at_once)
    if not all(same):
        raise differs(job.where, f"another {pairs[same.index(False)][1]}")
    return Done(stop - start, 0)
