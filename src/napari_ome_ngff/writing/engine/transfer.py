"""How tasks get to where they run, with their voxels, and how what they leave over comes back.

Threads take both as they are, processes of this machine through a file that they share, and workers of a
cluster elsewhere get what is in memory from `scatter`: never in the graph, and each voxel once.
"""

from __future__ import annotations

import contextlib
import math
import mmap
import os
import pickle
import secrets
import tempfile
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ome_ngff.storage.pixels.process_state import unpickled
from napari_ome_ngff.writing.blocks import Box, relative, shape_of
from napari_ome_ngff.writing.engine.buffers import freed_memory_kept
from napari_ome_ngff.writing.engine.cascade import Finished, LevelPart, PassJob, tiles_of
from napari_ome_ngff.writing.plan.tasks import submitted

Task = Callable[[PassJob, int, Box, Any], Finished]
"""What is done with a region of a level, and with its voxels or what they are read from."""

_ALIGNED = 64


@dataclass(frozen=True, kw_only=True)
class Slot:
    """A part of a file that processes of one machine share: room for the voxels of one task."""

    path: str
    token: bytes  # what the file begins with: elsewhere another one may have this path
    start: int
    nbytes: int

    def memory(self) -> NDArray[np.uint8]:
        """The bytes of it, which are the same in all processes."""
        with open(self.path, "r+b") as file:
            if file.read(len(self.token)) != self.token:
                raise OSError(f"{self.path} is another file here")
            return np.frombuffer(mmap.mmap(file.fileno(), self.nbytes, offset=self.start), np.uint8)

    def is_here(self) -> bool:
        """Whether this process has the same file."""
        try:
            self.memory()
        except OSError:
            return False
        return True


class SharedFile:
    """A file of slots, each for one task at a time."""

    def __init__(self, count: int, nbytes: int) -> None:
        size = -(-nbytes // mmap.ALLOCATIONGRANULARITY) * mmap.ALLOCATIONGRANULARITY
        token = secrets.token_bytes(16)
        # On Linux the file has no name and is gone with the last process that has it open, whatever ends
        # it, and the size of /dev/shm does not limit it. Elsewhere a killed process leaves some MB behind.
        if hasattr(os, "memfd_create"):
            self._descriptor, self._name = os.memfd_create("ome-ngff"), ""
            path = f"/proc/{os.getpid()}/fd/{self._descriptor}"
        else:
            self._descriptor, self._name = tempfile.mkstemp(prefix="ome-ngff-")
            path = self._name
        try:
            with open(self._descriptor, "r+b", closefd=False) as file:
                file.write(token)
                if self._name:  # a disk that is full is an error here, and the end of the process later
                    for _ in range(count):
                        file.write(bytes(size))
                file.truncate(mmap.ALLOCATIONGRANULARITY + count * size)
        except OSError:
            self.close()
            raise
        starts = (mmap.ALLOCATIONGRANULARITY + i * size for i in range(count))
        self.free = [Slot(path=path, token=token, start=start, nbytes=size) for start in starts]

    def close(self) -> None:
        """Give the memory back, once no array of it is left."""
        self.free = []
        os.close(self._descriptor)
        if self._name:
            with contextlib.suppress(OSError):  # Windows, while a worker has it open
                os.unlink(self._name)


class Threads:
    """Tasks of this process."""

    def __init__(self, executor: Executor, job: PassJob, task: Task) -> None:
        self.executor, self._job, self._task = executor, job, task

    def submit(self, part: LevelPart) -> Future[Any]:
        """Start a task."""
        return self.executor.submit(self._task, self._job, *part)

    def finished(self, future: Future[Any]) -> Finished:
        """What a task has done; raises what it has raised."""
        result: Finished = future.result()
        return result

    def close(self) -> None:
        """Nothing is left."""


class Processes:
    """Tasks of other processes, here or elsewhere."""

    def __init__(self, executor: Executor, job: PassJob, task: Task) -> None:
        self.executor, self._job, self._task = executor, job, task
        self._client: Any = getattr(executor, "_client", None)  # of dask.distributed
        if not hasattr(self._client, "scatter"):
            self._client = None
        self._message = _pickled(job, self._client)
        self._file: SharedFile | None = None
        self._direct: bool | None = None  # what is scattered goes straight to workers
        self._slots: dict[Future[Any], tuple[Slot, int]] = {}  # with the bytes that were sent in it
        self._sent: dict[Future[Any], Any] = {}
        self._memory: dict[Slot, NDArray[np.uint8]] = {}
        if job.cut.slot and (self._client is not None or isinstance(executor, ProcessPoolExecutor)):
            shared = self._share(submitted(job.work, job.cut.tasks), job.cut.slot + 3 * _ALIGNED)
            if not shared and self._client is not None and job.source is None:
                self._direct = _reaches_workers(self._client)

    def _share(self, count: int, nbytes: int) -> bool:
        """Make a file of slots, and keep it if all workers see it."""
        file = SharedFile(count, nbytes)
        slot = file.free[0]
        if self._client is None:
            are_here = [self.executor.submit(Slot.is_here, slot).result()]
        else:
            are_here = list(self._client.run(Slot.is_here, slot).values())
        if not are_here or not all(are_here):
            file.close()
            return False
        self._file = file
        self._memory = {slot: slot.memory() for slot in file.free}
        return True

    def submit(self, part: LevelPart) -> Future[Any]:
        """Start a task: its voxels are in a slot, or sent to a worker, or in the message."""
        level, region, data = part
        slot = self._file.free.pop() if self._file is not None and self._file.free else None
        sent = None
        if isinstance(data, np.ndarray):
            nbytes = data.size * self._job.writers[level].array.dtype.itemsize
            if slot is not None and _room(nbytes) < slot.nbytes:
                tiles = tiles_of(self._job, level, region, self._memory[slot][_ALIGNED:])
                tiles[relative(region, region)] = data
                data = nbytes
            elif self._client is not None:
                values = np.ascontiguousarray(data)
                data = sent = self._client.scatter(values, hash=False, direct=self._direct)
        if slot is not None:
            self._memory[slot][0] = 0
        future = self.executor.submit(run_there, self._task, self._message, level, region, data, slot)
        if slot is not None:
            self._slots[future] = slot, data if isinstance(data, int) else 0
        if sent is not None:
            self._sent[future] = sent
        return future

    def finished(self, future: Future[Any]) -> Finished:
        """What a task has done; raises what it has raised. What it left over is valid until the next task."""
        self._sent.pop(future, None)
        slot, sent = self._slots.pop(future, (None, 0))
        done, left, seen = future.result()
        if slot is None or self._file is None:
            return Finished(done, [LevelPart(*part) for part in left], seen)
        memory = self._memory[slot]
        # A cluster does a task again if it has lost its worker, which may still be at work and read what is
        # in the slot: then that is never used again.
        if memory[0] == 1:
            self._file.free.append(slot)
        parts, start = list[LevelPart](), _ALIGNED + _room(sent)
        for level, region, data in left:
            if data is None:
                data = _voxels(memory[start:], self._job.writers[level].array.dtype, region)
                start += _room(data.nbytes)
            parts.append(LevelPart(level, region, data))
        return Finished(done, parts, seen)

    def close(self) -> None:
        """Give back what the processes share; no task may be at work."""
        if self._file is not None:
            self._file.close()
        self._memory, self._slots, self._sent = {}, {}, {}


def run_there(task: Task, message: bytes, level: int, region: Box, data: Any, slot: Slot | None) -> Finished:
    """A task in another process; what it leaves over comes back in its slot, behind what was sent there."""
    # `data` is a number of bytes if these are in the slot.
    job: PassJob = unpickled(message)
    memory = None if slot is None else slot.memory()
    start = _ALIGNED
    if memory is not None:
        memory[0] += 1
        if isinstance(data, int):
            start += _room(data)
            data = tiles_of(job, level, region, memory[_ALIGNED:])
    with freed_memory_kept(max(map(math.prod, job.cut.blocks)) * job.work.itemsize + 2**16):
        done, left, seen = task(job, level, region, data)
    if memory is None or start + sum(_room(part.data.nbytes) for part in left) > memory.nbytes:
        return Finished(done, left, seen)
    parts = list[LevelPart]()
    for part in left:
        _voxels(memory[start:], job.writers[part.level].array.dtype, part.region)[...] = part.data
        start += _room(part.data.nbytes)
        parts.append(part._replace(data=None))
    return Finished(done, parts, seen)


def _reaches_workers(client: Any) -> bool | None:
    """Whether this process may connect to all workers; None if the user has said it (`direct_to_workers`)."""
    if client.direct_to_workers is not None:
        return None
    import dask

    with dask.config.set({"distributed.comm.timeouts.connect": "3s"}):
        try:
            client.scatter([b""] * len(client.ncores()), hash=False, direct=True)
        except (OSError, TimeoutError):  # behind a gateway, say
            return False
    return True


def _pickled(job: PassJob, client: Any) -> bytes:
    if client is None:
        return pickle.dumps(job)
    from distributed.protocol import pickle as of_clusters

    dumps: Any = of_clusters.dumps  # also what was defined in a notebook
    return bytes(dumps(job))


def _voxels(memory: NDArray[np.uint8], dtype: np.dtype[Any], region: Box) -> NDArray[Any]:
    shape = shape_of(region)
    size = math.prod(shape) * dtype.itemsize
    return memory[:size].view(dtype).reshape(shape)


def _room(nbytes: int) -> int:
    return -(-nbytes // _ALIGNED) * _ALIGNED
