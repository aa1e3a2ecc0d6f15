"""Many arrays side by side as one, read where it is looked at: the fields of wells, one mosaic per level."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ome_ngff.reading.plates.patches import Board, Patch, within
from napari_ome_ngff.storage.pixels.indexing import Axis, Pick, compose, whole
from napari_ome_ngff.storage.places.location import is_url

if TYPE_CHECKING:
    import zarr

    from napari_ome_ngff.storage.documents.hierarchy import Hierarchy
    from napari_ome_ngff.storage.pixels.dask_array import Source

MAX_REQUESTS = 64
"""Arrays of a remote mosaic that are read at once: waiting costs no processor."""


MAX_THREADS = 4
"""The same where arrays are local."""


class MosaicSource:
    """Arrays side by side, read as one: a `Source` for lazy arrays.

    Parameters
    ----------
    hierarchy
        What the arrays are found in.
    patches
        The arrays, not overlapping.
    shape
        Of the whole, such as ``(c, y, x)``.
    dtype
        Of the values.
    plane
        Positions of y and x among the axes.
    unit
        Shape of what should be read as one: a chunk of the arrays.
    make
        Makes the source of one array; it must be possible to pickle it.

    Notes
    -----
    Where there is no array, values are 0.

    Examples
    --------
    >>> import zarr
    >>> from napari_ome_ngff.storage.documents.hierarchy import open_hierarchy
    >>> from napari_ome_ngff.storage.pixels.source import ChunkedSource
    >>> group = zarr.group(store=zarr.storage.MemoryStore())
    >>> for name, value in [("a", 1), ("b", 2)]:
    ...     group.create_array(name, shape=(2, 2), dtype="uint8", fill_value=value)
    <Array ...>
    <Array ...>
    >>> places = [Patch(path="a", y=0, x=0, height=2, width=2), Patch(path="b", y=0, x=3, height=2, width=2)]
    >>> mosaic = MosaicSource(
    ...     open_hierarchy(group), places, shape=(2, 5), dtype="uint8", plane=(0, 1), unit=(2, 2),
    ...     make=ChunkedSource,
    ... )
    >>> mosaic[0].tolist()
    [1, 1, 0, 2, 2]
    """

    def __init__(
        self,
        hierarchy: Hierarchy,
        patches: Iterable[Patch],
        *,
        shape: Sequence[int],
        dtype: np.dtype[Any] | str,
        plane: tuple[int, int],
        unit: Sequence[int],
        make: Callable[[zarr.Array[Any]], Source],
    ) -> None:
        self._board = Board(hierarchy, tuple(patches), ndim=len(shape), plane=plane, make=make)
        self._dtype = np.dtype(dtype)
        self._unit = tuple(max(1, n) for n in unit)
        self._view: tuple[Axis, ...] = whole(shape)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the part that is taken."""
        return tuple(len(axis) for axis in self._view if isinstance(axis, range))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self._dtype

    @property
    def ndim(self) -> int:
        """Number of axes that are left."""
        return len(self.shape)

    @property
    def axes(self) -> tuple[Axis, ...]:
        """What is taken along each axis of the whole."""
        return self._view

    @property
    def unit(self) -> tuple[int, ...]:
        """Shape of a chunk of the arrays."""
        return self._unit

    @property
    def locations(self) -> frozenset[str]:
        """Paths or URLs of all arrays, whether or not they were touched."""
        root = self._board.hierarchy.location.rstrip("/")
        return frozenset(f"{root}/{patch.path}" for patch in self._board.patches)

    def view(self, index: object) -> MosaicSource:
        """Take a part, without reading anything.

        Parameters
        ----------
        index
            Integers, slices and an ellipsis.

        Raises
        ------
        IndexError
            If the index is out of bounds or holds lists.
        """
        taken = compose(self._view, index)
        if any(isinstance(axis, np.ndarray) for axis in taken):
            raise IndexError("a view is taken with integers and slices only")
        part = object.__new__(MosaicSource)
        part.__dict__.update(self.__dict__)
        part._view = tuple(axis for axis in taken if not isinstance(axis, np.ndarray))
        return part

    def __getitem__(self, index: object) -> Any:
        """Read a part: only the arrays that it cuts, at once.

        Parameters
        ----------
        index
            As for :class:`~napari_ome_ngff.storage.pixels.source.ChunkedSource`.

        Raises
        ------
        IndexError
            If the index is out of bounds or of a kind that is not supported.
        StorageError
            If a chunk cannot be read and the sources are such that raise.
        """
        taken = compose(self._view, index)
        picks = [range(axis, axis + 1) if isinstance(axis, int) else axis for axis in taken]
        shape = tuple(len(axis) for axis in taken if not isinstance(axis, int))
        values = np.zeros([len(pick) for pick in picks], self.dtype)
        if values.size:
            self._paste(picks, values)
        values = values.reshape(shape)
        return values if shape or index == () or index is Ellipsis else values[()]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        values = np.asarray(self[...])
        return values if dtype is None else values.astype(dtype, copy=False)

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        count = len(self._board.patches)
        return f"<MosaicSource of {count} arrays in {self._board.hierarchy.location} shape={self.shape}>"

    def __dask_tokenize__(self) -> tuple[object, ...]:
        return (self._board.identity, str(self._view))

    def _paste(self, picks: Sequence[Pick], values: np.ndarray[Any, Any]) -> None:
        """Read what is asked for of each array into its place."""
        board, (y, x) = self._board, self._board.plane
        known: dict[tuple[int, int, int], tuple[Any, Any] | None] = {}

        def part(axis: int, start: int, length: int) -> tuple[Any, Any] | None:
            key = (axis, start, length)  # the patches of a row share their lines
            if key not in known:
                known[key] = within(picks[axis], start, start + length)
            return known[key]

        # Between the first and the last line that are asked for a step may pass over a whole patch.
        places = [(index, board.patches[index]) for index in board.cut(picks[y], picks[x])]
        cut = [i for i, p in places if part(y, p.y, p.height) and part(x, p.x, p.width)]
        jobs: list[tuple[Source, tuple[Any, ...], tuple[Any, ...]]] = []
        for index, source in zip(cut, board.sources(cut), strict=True):
            intervals = [] if source is None else board.intervals(index, source.shape)
            found = [part(axis, *interval) for axis, interval in enumerate(intervals)]
            ends = [ends for ends in found if ends is not None]
            if source is not None and len(ends) == len(picks):
                jobs.append((source, tuple(out for out, _ in ends), tuple(inside for _, inside in ends)))
        fancy = any(isinstance(pick, np.ndarray) for pick in picks)

        def run(job: tuple[Source, tuple[Any, ...], tuple[Any, ...]]) -> None:
            source, outside, inside = job
            target = np.ix_(*map(_positions, outside)) if fancy else outside
            values[target] = _cast(source[inside], values.dtype)

        workers = MAX_REQUESTS if is_url(board.hierarchy.location) else MAX_THREADS
        if len(jobs) < 2:
            for job in jobs:
                run(job)
            return
        with ThreadPoolExecutor(min(workers, len(jobs))) as pool:
            list(pool.map(run, jobs))


def _positions(part: Any) -> Any:
    return np.arange(part.start, part.stop) if isinstance(part, slice) else part


def _cast(values: Any, dtype: np.dtype[Any]) -> Any:
    """Return values that fit the mosaic's type: what it cannot say becomes the nearest that it can."""
    if values.dtype.kind == "c" != dtype.kind:
        values = values.real
    if dtype.kind not in "iu" or np.can_cast(values.dtype, dtype):
        return values
    limits = np.iinfo(dtype)
    own = np.iinfo(values.dtype) if values.dtype.kind in "iu" else limits
    return np.clip(np.nan_to_num(values), max(limits.min, own.min), min(limits.max, own.max))
