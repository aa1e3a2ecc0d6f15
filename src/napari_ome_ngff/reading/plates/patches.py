"""The arrays that a mosaic is made of: where each lies, and its source once it was touched."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ome_ngff.errors import OmeNgffError, StorageError
from napari_ome_ngff.storage.pixels.failed_chunks import shared_failures
from napari_ome_ngff.storage.pixels.indexing import Pick

if TYPE_CHECKING:
    import zarr

    from napari_ome_ngff.storage.documents.hierarchy import Hierarchy
    from napari_ome_ngff.storage.pixels.dask_array import Source

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Patch:
    """An array of a mosaic, and the place that it may fill.

    Parameters
    ----------
    path
        Of the array, relative to the mosaic's hierarchy.
    y, x
        First line and column, in voxels of the mosaic.
    height, width
        What it may fill: a larger array is cut, the rest around a smaller one stays empty.
    """

    path: str
    y: int
    x: int
    height: int
    width: int


class Board:
    """Arrays side by side. What is not touched costs nothing.

    The document of an array is fetched, and its source made, when it is asked for the first time. One that is
    missing or does not fit is told of in
    :func:`~napari_ome_ngff.storage.pixels.failed_chunks.shared_failures`, once.

    Parameters
    ----------
    hierarchy
        What the arrays are found in.
    patches
        The arrays, not overlapping.
    ndim
        Number of axes that each must have.
    plane
        Positions of y and x among them.
    make
        Makes the source of one array; it must be possible to pickle it.

    Attributes
    ----------
    identity : str
        Tells the board from all others.
    """

    def __init__(
        self,
        hierarchy: Hierarchy,
        patches: Sequence[Patch],
        *,
        ndim: int,
        plane: tuple[int, int],
        make: Callable[[zarr.Array[Any]], Source],
    ) -> None:
        self.hierarchy = hierarchy
        self.patches = tuple(patches)
        self.plane = plane
        self.identity = uuid.uuid4().hex
        self._ndim = ndim
        self._make = make
        bounds = [(p.y, p.y + p.height, p.x, p.x + p.width) for p in patches]
        self._bounds = np.array(bounds, np.int64).reshape(-1, 4)
        self._opened: dict[int, Source | None] = {}
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": {}, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def cut(self, rows: Pick, columns: Pick) -> list[int]:
        """Return which patches lie between the first and the last line and column of a request.

        Parameters
        ----------
        rows, columns
            Positions that are asked for; at least one of each.
        """
        low_y, high_y, low_x, high_x = self._bounds.T
        found = (low_y <= np.max(rows)) & (high_y > np.min(rows))
        found &= (low_x <= np.max(columns)) & (high_x > np.min(columns))
        return [int(index) for index in np.flatnonzero(found)]

    def sources(self, indices: Sequence[int]) -> list[Source | None]:
        """Return the sources of patches, None for those that are not there.

        Parameters
        ----------
        indices
            Which patches; the documents of all that are new are fetched in one round trip.
        """
        with self._lock:
            new = [index for index in indices if index not in self._opened]
            if new:
                self.hierarchy.fetch(self.patches[index].path for index in new)
            for index in new:
                self._opened[index] = self._open(self.patches[index])
            return [self._opened[index] for index in indices]

    def intervals(self, index: int, shape: Sequence[int]) -> list[tuple[int, int]]:
        """Return where a patch begins in the mosaic, and how much of it is shown, along each axis.

        Parameters
        ----------
        index
            Which patch.
        shape
            Of its array.
        """
        patch, found = self.patches[index], [(0, n) for n in shape]
        for axis, start, room in zip(
            self.plane, (patch.y, patch.x), (patch.height, patch.width), strict=True
        ):
            found[axis] = start, min(shape[axis], room)
        return found

    def _open(self, patch: Patch) -> Source | None:
        where = f"{self.hierarchy.location.rstrip('/')}/{patch.path}"
        try:
            array = self.hierarchy.array(patch.path)
        except OmeNgffError as error:
            self._tell("A field could not be read", where, f"{error.summary} {error.found}")
            return None
        if array is None or array.ndim != self._ndim:
            found = "no array" if array is None else f"{array.ndim} dimensions instead of {self._ndim}"
            self._tell("A field could not be read", where, found)
            return None
        y, x = self.plane
        if array.shape[y] > patch.height or array.shape[x] > patch.width:
            found = f"shape {array.shape}, but there is room for {patch.height} x {patch.width}"
            self._tell("A field is cut: its array is larger than it should be", where, found)
        return self._make(array)

    def _tell(self, summary: str, where: str, found: str) -> None:
        name = "/".join(where.split("/")[-4:])
        error = StorageError(f"{summary}: {name}.", where=where, found=found)
        _log.warning("%s", error)
        shared_failures().report(self.identity, where, [(where, None)], error)


def within(pick: Pick, low: int, high: int) -> tuple[Any, Any] | None:
    """Return which of the positions of a pick lie in an interval.

    Parameters
    ----------
    pick
        Positions along an axis.
    low, high
        First position of the interval, and the one after its last.

    Returns
    -------
    tuple or None
        Where they stand in the pick, and where in the interval, each as an index; None if there are none.

    Examples
    --------
    >>> within(range(9, 0, -2), 4, 8)
    (slice(1, 3, None), slice(3, 0, -2))
    """
    if isinstance(pick, np.ndarray):
        at = np.flatnonzero((pick >= low) & (pick < high))
        return (at, pick[at] - low) if at.size else None
    step = abs(pick.step)
    forward = pick if pick.step > 0 else pick[::-1]
    first = max(0, -(-(low - forward.start) // step))
    end = min(len(forward), max(first, -(-(high - forward.start) // step)))
    if end <= first:
        return None
    if pick.step < 0:
        first, end = len(pick) - end, len(pick) - first
    part = pick[first:end]
    stop = part[-1] - low + (1 if pick.step > 0 else -1)
    return slice(first, end), slice(part[0] - low, None if stop < 0 else stop, pick.step)
