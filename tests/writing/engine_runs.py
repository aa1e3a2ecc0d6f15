"""The engine run over an image that nobody has: its own code, with voxels that take no memory."""

from __future__ import annotations

import contextlib
import math
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np

from napari_ome_ngff.writing.blocks import Box, shape_of
from napari_ome_ngff.writing.engine import cascade, run_pass
from napari_ome_ngff.writing.engine.buffers import Scratch
from napari_ome_ngff.writing.engine.cascade import LevelPart, PassJob
from napari_ome_ngff.writing.engine.run_pass import Engine
from napari_ome_ngff.writing.plan.tasks import Cut, Pass, iter_blocks, iter_boxes, iter_tasks


class Counter:
    """Voxels that were given to be encoded: a sum, since a list of many blocks would take memory."""

    def __init__(self) -> None:
        self.voxels = 0
        self._lock = threading.Lock()

    def __call__(self, _: object, region: Box, data: object) -> None:
        with self._lock:
            self.voxels += math.prod(shape_of(region))


@contextlib.contextmanager
def counting_writes() -> Iterator[Counter]:
    """Count voxels in place of encoding and storing them."""
    counter = Counter()
    with patch.object(cascade, "write_units", counter):
        yield counter


def job_for(work: Pass, cut: Cut, *, dtype: Any = np.uint8, **options: Any) -> PassJob:
    """A job that stores nothing of a source of this type."""
    writer: Any = SimpleNamespace(array=SimpleNamespace(dtype=np.dtype(dtype)))
    writers = (writer,) * len(work.shapes)
    return PassJob(work=work, cut=cut, writers=writers, method="nearest", where="", **options)


class _NoScratch(Scratch):
    def __reduce__(self) -> tuple[object, ...]:
        return _NoScratch, ()

    def room_for(self, values: object) -> None:
        return None


class _Late(Executor):
    """Runs no task before somebody waits for it, and then any one of them."""

    def __init__(self, seed: int) -> None:
        self.calls: dict[Future[Any], Callable[[], Any]] = {}
        self.chance = random.Random(seed)

    def submit(self, task: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.calls[future] = lambda: task(*args, **options)
        return future

    def wait(self, pending: set[Future[Any]], **_: Any) -> tuple[set[Future[Any]], set[Future[Any]]]:
        future = list(self.calls)[self.chance.randrange(len(self.calls))]
        future.set_result(self.calls.pop(future)())
        return {future}, pending - {future}


class _Voxels(np.ndarray):  # type: ignore[type-arg]
    """An array of any shape in one byte, to which nothing is written."""

    def __setitem__(self, key: object, value: object) -> None:
        pass


def _voxels(shape: tuple[int, ...] | int, _: object = None) -> _Voxels:
    shape = (shape,) if isinstance(shape, int) else shape
    return _Voxels(shape, np.uint8, buffer=b"\0", strides=(0,) * len(shape))


def _reduced(block: np.ndarray[Any, Any], factors: tuple[int, ...], _: str, **__: Any) -> Any:
    return _voxels(tuple(n // f for n, f in zip(block.shape, factors, strict=True)))


def run_late(work: Pass, cut: Cut, *, seed: int) -> tuple[int, int]:
    """Run all tasks of a pass, as many at once as the cut says, which finish in any order.

    Returns how many voxels of all levels were written, and how many at most lay in blocks that waited.
    """
    executor, most = _Late(seed), 0
    engine = Engine(job_for(work, cut, scratch=_NoScratch()), executor)
    large = cut.box != cut.blocks[0] and work.shared_memory
    with (
        counting_writes() as counter,
        patch.object(cascade, "reduce_block", _reduced),
        patch.object(run_pass, "wait", executor.wait),
        patch.object(cascade.np, "empty", _voxels),
    ):
        at_once = [iter_boxes(work, cut) if work.shared_memory else iter_tasks(work, cut)]
        if large:  # threads read one box after the other
            at_once = [iter_blocks(work, cut, box) for box in at_once[0]]
        for parts in at_once:
            for _ in engine.run(LevelPart(0, each, _voxels(shape_of(each))) for each in parts):
                waiting = [
                    *(values for _, values, _ in engine.open.blocks.values()),
                    *(part.data for _, part in engine.ready),
                ]
                most = max(most, sum(values.size for values in waiting))
    assert not engine.open.blocks
    return counter.voxels, most
