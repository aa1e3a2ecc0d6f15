"""Label images that are stored as floating point numbers: integers, if the numbers are whole."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import zarr

from napari_ome_ngff.errors import OmeNgffError, give_warning
from napari_ome_ngff.reading.opened import MultiscaleGroup
from napari_ome_ngff.storage.pixels.source import Missing, WholeNumbers
from napari_ome_ngff.storage.places.location import location_of

READ_AT_MOST = 4 * 2**20
"""Bytes of the coarsest level that are read to see whether its numbers are whole, but one chunk."""


LARGEST_CHUNK = 2**28
"""Bytes of a decoded chunk above which none is read for that."""


def as_labels(group: MultiscaleGroup) -> MultiscaleGroup:
    """Return a label image with its levels read as integers, if a part of the coarsest one is whole numbers.

    Otherwise it is returned as it is, as are levels of other types.
    """
    floats = {
        path: source
        for path, source in group.sources.items()
        if isinstance(source, zarr.Array) and source.dtype.kind == "f" and 0 not in source.shape
    }
    if not floats or not _is_whole(min(floats.values(), key=lambda array: array.size)):
        return group
    # 0.4 and later, "labels": pixels of label images are integers.
    kinds = ", ".join(sorted({str(array.dtype) for array in floats.values()}))
    where = location_of(next(iter(floats.values())))
    message = f"The label image holds {kinds} numbers; they are read as integers, what is no number as 0."
    give_warning(f"{message} ({where})", stacklevel=2)
    whole = {path: partial(_source, array) for path, array in floats.items()}
    return replace(group, sources={**group.sources, **whole})


def _source(array: zarr.Array[Any], missing: Missing) -> WholeNumbers:
    return WholeNumbers(array, missing=missing)


def _is_whole(array: zarr.Array[Any]) -> bool:
    """Whether a part of an array, its middle, is whole numbers; False if it cannot be read."""
    source = WholeNumbers(array)
    if math.prod(map(min, source.grid, array.shape)) * array.dtype.itemsize > LARGEST_CHUNK:
        return False
    try:
        return source.could_be_labels(_middle(array.shape, source.grid, READ_AT_MOST // array.dtype.itemsize))
    except OmeNgffError:
        return False


def _middle(shape: Sequence[int], chunk: Sequence[int], room: int) -> list[range]:
    """The chunk in the middle, and those beside it along the last axes as long as there is room."""
    counts = [1] * len(shape)
    for i in reversed(range(len(shape))):
        held = math.prod(c * n for c, n in zip(chunk, counts, strict=True))
        counts[i] = max(1, min(-(-shape[i] // chunk[i]), room // held))
    picks = []
    for size, length, count in zip(shape, chunk, counts, strict=True):
        first = (-(-size // length) - count) // 2 * length
        picks.append(range(first, min(size, first + count * length)))
    return picks
