"""Read back what was written and compare it with the source, voxel by voxel, before it is published."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ome_ngff.errors import StorageError
from napari_ome_ngff.writing.blocks import Box
from napari_ome_ngff.writing.engine.cascade import Done, failing
from napari_ome_ngff.writing.plan.tasks import Cut, Pass, iter_blocks, iter_boxes
from napari_ome_ngff.writing.sources import load, part_of

if TYPE_CHECKING:
    import zarr


def verify_pass(
    work: Pass, cut: Cut, array: zarr.Array[Any], source: Any, executor: Executor, where: str
) -> Iterator[Done]:
    """Compare the first level of a pass with its source; yields once per block, a bounded number at a time.

    Parameters
    ----------
    work, cut
        As it was written.
    array
        The level, as it is stored.
    source
        An xarray ``Variable``; it is read a second time.
    executor
        What the comparisons run on.
    where
        Path or URL of the image, for errors.

    Raises
    ------
    StorageError
        If a voxel differs, or something cannot be read.
    """
    pending: deque[tuple[Box, Future[bool]]] = deque()
    try:
        for block, part in _parts(work, cut, source, where):
            pending.append((block, executor.submit(is_same, array, block, part)))
            if len(pending) > cut.tasks:
                yield _checked(*pending.popleft(), where)
        while pending:
            yield _checked(*pending.popleft(), where)
    finally:
        for _, future in pending:
            future.cancel()


def _parts(work: Pass, cut: Cut, source: Any, where: str) -> Iterator[tuple[Box, Any]]:
    """Yield each block and what it should hold; a lazy source is read in the boxes that suit it."""
    for box in iter_boxes(work, cut):
        values: Any = None
        if cut.box != cut.blocks[0] and work.shared_memory:
            with failing("Reading the image again failed", where):
                values = np.asarray(source[box].values)
        for block in iter_blocks(work, cut, box):
            if values is None:
                yield block, part_of(source, block, remote=not work.shared_memory)
            else:
                yield block, values[tuple(_shifted(p, b.start) for p, b in zip(block, box, strict=True))]


def _shifted(part: slice, start: int) -> slice:
    return slice(part.start - start, part.stop - start)


def is_same(array: zarr.Array[Any], block: Box, source: Any) -> bool:
    """Whether a block of an array holds the source's values; NaN is the same as NaN.

    Parameters
    ----------
    array
        As it is stored.
    block
        Which part of it.
    source
        What it should hold.

    Examples
    --------
    >>> import xarray, zarr
    >>> array = zarr.create_array({}, shape=(3,), dtype="float32", fill_value=float("nan"))
    >>> is_same(array, (slice(0, 3),), xarray.Variable("x", [float("nan")] * 3))
    True
    """
    found, wanted = np.asarray(array[block]), load(source)
    if found.shape != wanted.shape:
        return False
    return bool(((found == wanted) | ((found != found) & (wanted != wanted))).all())


def _checked(block: Box, future: Future[bool], where: str) -> Done:
    with failing("Reading back what was written failed", where):
        same = future.result()
    if not same:
        raise StorageError(
            "What was written differs from the image; nothing was saved.",
            where=where,
            found="a difference at " + ", ".join(f"{part.start}:{part.stop}" for part in block),
            hint="The disk or the network may be failing, or the image changed during the save: try again.",
        )
    return Done(1, 0)
