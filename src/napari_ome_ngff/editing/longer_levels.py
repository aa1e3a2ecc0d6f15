"""Levels of an image made longer along one axis: what is new is written beside them, chunk by chunk."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ome_ngff.editing.lower_levels import chunk_box, made_of, make_anew
from napari_ome_ngff.editing.painted import Painted
from napari_ome_ngff.editing.save_edit import EditedLevel, staged_writer
from napari_ome_ngff.errors import UnsupportedError
from napari_ome_ngff.storage.pixels.source import ChunkedSource
from napari_ome_ngff.storage.places.location import join
from napari_ome_ngff.writing.blocks import Box, depth_first, relative, shape_of
from napari_ome_ngff.writing.engine.encode import UnitWriter, write_units
from napari_ome_ngff.writing.refusals import failing
from napari_ome_ngff.writing.sources import load

if TYPE_CHECKING:
    import zarr

_READ_AT_ONCE = 2**26
"""Bytes of new voxels that are read at once."""

_REWRITTEN = 2**30
"""Bytes that may be written again where the old end lies inside a chunk or shard."""


@dataclass(frozen=True, kw_only=True)
class Extension:
    """What is put at the end of one image, or label image: `data` has the axes of its arrays.

    `path` is that of the image in the one that is extended, `arrays` are its levels by their paths, `axis` is
    the index of the axis that they get longer along.
    """

    path: str
    arrays: Mapping[str, zarr.Array[Any]]
    data: Any
    axis: int
    method: str

    @property
    def old(self) -> int:
        """Size along the axis before."""
        return int(next(iter(self.arrays.values())).shape[self.axis])

    @property
    def new(self) -> int:
        """Size along the axis after."""
        return self.old + int(self.data.shape[self.axis])

    @property
    def step(self) -> int:
        """How many planes whole files of all levels have."""
        return math.lcm(*((array.shards or array.chunks)[self.axis] for array in self.arrays.values()))

    @property
    def slabs(self) -> range:
        """First plane of each part that is written at once, whole files of all levels."""
        return range(self.old // self.step * self.step, self.new, self.step)

    def shape(self, array: zarr.Array[Any]) -> tuple[int, ...]:
        """Shape of a level after."""
        return tuple(self.new if i == self.axis else n for i, n in enumerate(array.shape))


def check_extension(extension: Extension, name: str, where: str) -> None:
    """Refuse what would have to be made anew: levels smaller along the axis, large files at the end."""
    arrays = list(extension.arrays.values())
    if any(array.shape[extension.axis] != extension.old for array in arrays):
        raise UnsupportedError(
            f"Lower levels of this image have fewer planes along {name!r}: what is there would change.",
            where=where,
            found=", ".join(str(array.shape) for array in arrays),
            hint="Save the whole image anew, with both parts.",
        )
    again = sum(
        (extension.old - extension.slabs.start) * array.nbytes // max(1, extension.old) for array in arrays
    )
    added = sum(math.prod(extension.shape(array)) * array.dtype.itemsize - array.nbytes for array in arrays)
    if again > max(_REWRITTEN, 4 * added):
        raise UnsupportedError(
            f"The last chunks along {name!r} hold so many planes that they would be written again.",
            where=where,
            found=f"{again / 1e9:.1f} GB of what is there, for {added / 1e9:.1f} GB that are new",
            hint=f"Append {extension.step} planes or more at once, or save the image with smaller shards.",
        )


def count_steps(extension: Extension) -> int:
    """How many parts are written, over all levels."""
    return len(extension.slabs) * len(extension.arrays)


def write_extension(
    extension: Extension, new: Path, path: str, executor: Executor, *, memory_limit: int
) -> Iterator[tuple[int, list[str]]]:
    """Write the new files of all levels into a folder; yields bytes and keys of each level of each slab.

    `path` is that of the image in the hierarchy. A key without a file in the folder is of a file that holds
    the fill value alone, and is not needed.
    """
    arrays = {name: _longer(array, extension.shape(array)) for name, array in extension.arrays.items()}
    writers: dict[str, UnitWriter] = {}
    try:
        for start in extension.slabs:
            planes = slice(max(start, extension.old), min(start + extension.step, extension.new))
            levels = [
                EditedLevel(
                    path=join(path, name),
                    array=array,
                    painted=Painted(_Longer(extension.arrays[name], array.shape), memory_limit=memory_limit),
                )
                for name, array in arrays.items()
            ]
            _paint(extension, levels[0].painted, planes)
            for level, coarser in zip(levels, [*levels[1:], None], strict=True):
                writer = writers.setdefault(level.path, staged_writer(level, new))
                yield _written(level, writer, extension.axis, slice(start, planes.stop), executor)
                if coarser is not None:
                    _reduce(level.painted, coarser.painted, extension, planes)
    finally:
        for writer in writers.values():
            writer.close()


class _Longer:
    """What lies under the levels: the stored voxels, and nothing yet where they get longer."""

    def __init__(self, array: zarr.Array[Any], shape: tuple[int, ...]) -> None:
        self._stored = ChunkedSource(array)
        self.shape, self.dtype, self.grid = shape, self._stored.dtype, self._stored.grid

    def __getitem__(self, key: Box) -> NDArray[Any]:
        values = np.zeros(shape_of(key), self.dtype)
        stored = tuple(slice(p.start, min(p.stop, n)) for p, n in zip(key, self._stored.shape, strict=True))
        if all(part.start < part.stop for part in stored):
            values[relative(stored, key)] = self._stored[stored]
        return values

    def stamp(self, _: object) -> None:
        """Who else writes is kept away by a lock."""


def _longer(array: zarr.Array[Any], shape: tuple[int, ...]) -> zarr.Array[Any]:
    """An array with another shape over the same chunks; nothing is stored."""
    import zarr

    like = array._async_array
    metadata = like.metadata.update_shape(shape)
    return zarr.Array(zarr.AsyncArray(metadata, store_path=like.store_path, config=like.config))


def _slab(shape: tuple[int, ...], axis: int, planes: slice) -> Box:
    return tuple(planes if i == axis else slice(0, n) for i, n in enumerate(shape))


def _paint(extension: Extension, painted: Painted, planes: slice) -> None:
    """Put the new voxels of a slab in their place, in parts that are read at once."""
    block = list(painted.grid)
    for i in reversed(range(len(block))):  # whole rows of chunks while they are small
        while math.prod(block) * painted.dtype.itemsize * 2 < _READ_AT_ONCE and block[i] < painted.shape[i]:
            block[i] *= 2
    whole = _slab(painted.shape, extension.axis, planes)
    for box in depth_first(whole, [tuple(block)]):
        inside = tuple(
            slice(part.start - extension.old, part.stop - extension.old) if i == extension.axis else part
            for i, part in enumerate(box)
        )
        with failing("Reading the new part failed", ""):
            painted[box] = load(extension.data[inside], inside, painted.dtype)


def _reduce(fine: Painted, coarse: Painted, extension: Extension, planes: slice) -> None:
    """Make the new planes of the next level, chunk by chunk; the old ones stay as they are."""
    boxes: dict[tuple[tuple[int, int], ...], Box] = {}
    for position in sorted(fine.held):
        box = chunk_box(position, fine.grid, fine.shape)
        part = box[extension.axis]
        part = slice(max(part.start, planes.start), min(part.stop, planes.stop))
        box = tuple(part if i == extension.axis else each for i, each in enumerate(box))
        target = made_of(box, fine.shape, coarse.shape)
        boxes[tuple((each.start, each.stop) for each in target)] = box
    for box in boxes.values():
        make_anew(box, fine, coarse, extension.method)


def _written(
    level: EditedLevel, writer: UnitWriter, axis: int, planes: slice, executor: Executor
) -> tuple[int, list[str]]:
    """Write all files of a slab of a level."""
    box = _slab(level.painted.shape, axis, planes)
    units = [
        tuple(part.start // n for part, n in zip(each, level.unit, strict=True))
        for each in depth_first(box, [level.unit])
    ]

    def write(unit: tuple[int, ...]) -> int:
        region = chunk_box(unit, level.unit, level.painted.shape)
        data = level.painted.saved_box(region)
        with failing("Writing failed", level.path):
            write_units(writer, region, data)
        return data.nbytes

    nbytes = sum(executor.map(write, units))
    return nbytes, [join(level.path, level.array.metadata.encode_chunk_key(unit)) for unit in units]
