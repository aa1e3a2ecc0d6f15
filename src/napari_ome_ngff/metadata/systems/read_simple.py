"""Transforms of 0.6 that are made of numbers, read as affines in both directions.

A transform maps points of its input system to points of its output system. Those that are made of other
transforms are in :mod:`~napari_ome_ngff.metadata.systems.read_transform`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from napari_ome_ngff.errors import MetadataError
from napari_ome_ngff.metadata.affine import affine_of, identity_affine, invert_affine
from napari_ome_ngff.metadata.axes import MOST_AXES
from napari_ome_ngff.metadata.context import Context
from napari_ome_ngff.metadata.json_checks import (
    as_integer,
    as_list,
    as_mapping,
    as_path,
    as_vector,
    describe,
    number_in,
)
from napari_ome_ngff.metadata.nouns import Affine, Json, ScaleTranslation
from napari_ome_ngff.metadata.transforms import type_of

_FIELDS = {"displacements": "displacement field", "coordinates": "coordinate field"}

_WITH_NUMBERS = ("scale", "translation", "affine", "rotation")


@dataclass(frozen=True, kw_only=True)
class TwoWay:
    """A transform as affines, from the input system to the output system and back."""

    forward: Affine
    backward: Affine | None
    """None if it cannot be inverted."""
    problems: tuple[str, ...] = ()
    """What of it could not be read as an affine and is left out, one sentence each."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """A transform that is to be read, and the names of the axes of its two systems."""

    item: Json
    inputs: tuple[str, ...]
    outputs: tuple[str, ...] = ()
    """Empty where they are not known."""
    context: Context


def decode_simple(task: Task) -> TwoWay | None:
    """Return a transform that is not made of other transforms, or None if it is of no such type."""
    item = as_mapping(task.item, task.context, "a transform")
    kind, ndim = type_of(item, task.context), len(task.inputs)
    if kind == "identity":
        return two_way(identity_affine(ndim))
    if kind in _FIELDS:
        return TwoWay(
            forward=identity_affine(ndim),
            backward=identity_affine(ndim),
            problems=(f"A {_FIELDS[kind]} is not applied ({task.context.where}).",),
        )
    if kind in ("scale", "translation"):
        vector = as_vector(_numbers(task, kind), task.context.below(kind), ndim=ndim, what=kind)
        ones, zeros = (1.0,) * ndim, (0.0,) * ndim
        scale, shift = (vector, zeros) if kind == "scale" else (ones, vector)
        return two_way(affine_of(ScaleTranslation(scale=scale, translation=shift)))
    if kind == "affine":
        rows = _matrix(task, kind, columns=ndim + 1)
        return two_way(
            Affine(matrix=tuple(row[:-1] for row in rows), translation=tuple(row[-1] for row in rows))
        )
    if kind == "rotation":
        rows = _matrix(task, kind, columns=ndim)
        if len(rows) != ndim:
            raise task.context.error(
                "A rotation must have as many rows as columns.", found=f"{len(rows)} rows"
            )
        return two_way(Affine(matrix=rows, translation=(0.0,) * ndim))
    if kind == "mapAxis":
        return _map_axis(task, item)
    return _project_axis(task, item) if kind == "projectAxis" else None


def two_way(forward: Affine, problems: tuple[str, ...] = ()) -> TwoWay:
    """Return an affine with its inverse, if there is one."""
    try:
        backward = invert_affine(forward)
    except MetadataError:
        backward = None
    return TwoWay(forward=forward, backward=backward, problems=problems)


def _numbers(task: Task, key: str) -> Json:
    """Return the numbers of a transform, in place or from the array that it names."""
    if task.item.get(key) is not None or task.item.get("path") is None:
        return task.item.get(key)
    at = task.context.below("path")
    path = as_path(task.item["path"], at)
    if path not in at.parameters:
        raise at.error(
            f"The array that holds the numbers of a transform of type {key!r} cannot be read.",
            found=describe(path),
        )
    return at.parameters[path]


def _matrix(task: Task, key: str, *, columns: int) -> tuple[tuple[float, ...], ...]:
    at = task.context.below(key)
    rows = _in_rows(as_list(_numbers(task, key), at, "a list of rows"), columns, task, at)
    # "the outer array MUST be length M and the inner arrays MUST be length N+1"
    if not 1 <= len(rows) <= MOST_AXES:
        raise at.error("A matrix must have one row per axis.", found=f"{len(rows)} rows")
    return tuple(
        as_vector(row, at.below(index), ndim=columns, what="row of a matrix")
        for index, row in enumerate(rows)
    )


def _in_rows(rows: Sequence[Json], columns: int, task: Task, context: Context) -> Sequence[Json]:
    """Return the rows of a matrix that may also be written flat, homogeneous or without a translation."""
    ndim = len(task.inputs)
    is_flat = all(not isinstance(item, list | tuple | Mapping) for item in rows)
    if rows and is_flat and len(rows) in (columns * ndim, columns * (ndim + 1), ndim * ndim):
        width = columns if len(rows) % columns == 0 else ndim
        rows = [rows[start : start + width] for start in range(0, len(rows), width)]
        context.note("a list of numbers, read row by row")
    if any(not isinstance(row, list | tuple) for row in rows):
        return rows
    count = len(task.outputs) or ndim
    if columns > ndim and len(rows) == count and all(len(row) == ndim for row in rows):
        context.note("no translation")
        return [[*row, 0.0] for row in rows]
    # The last row of a homogeneous matrix says nothing.
    if (
        len(rows) == count + 1
        and all(number_in(n) == 0.0 for n in rows[-1][:-1])
        and number_in(rows[-1][-1]) == 1.0
    ):
        context.note("a homogeneous matrix, read without its last row")
        return rows[:-1]
    return rows


def _selection(chosen: Sequence[int | None], *, inputs: int) -> Affine:
    """Return the affine of which each result is one of the inputs, or zero for None."""
    rows = (tuple(float(index == column) for column in range(inputs)) for index in chosen)
    return Affine(matrix=tuple(rows), translation=(0.0,) * len(chosen))


def axis_indices(value: Json, names: Sequence[str], context: Context, *, count: int) -> list[int]:
    """Return different axes of `count`, given by index, or by name as in drafts."""
    indices: list[int] = []
    for position, item in enumerate(as_list(value, context, "a list of axes")):
        index = names.index(item) if isinstance(item, str) and item in names else as_integer(item)
        if index is None or not 0 <= index < count or index in indices:
            raise context.below(position).error(
                "A transform names an axis that is not there, or names it twice.",
                found=describe(item),
                expected=f"different numbers from 0 to {count - 1}",
            )
        indices.append(index)
    return indices


def _map_axis(task: Task, item: Mapping[str, Json]) -> TwoWay:
    value, at, ndim = item.get("mapAxis"), task.context.below("mapAxis"), len(task.inputs)
    if isinstance(value, Mapping):
        # Drafts: the name of each axis of the output to that of the input.
        value = [value.get(name) for name in task.outputs]
    # "The value at position i in the array indicates which input axis becomes the i-th output axis."
    order = axis_indices(value, task.inputs, at, count=ndim)
    # "The length of the array MUST equal the number of dimensions ... Each index MUST appear exactly once"
    if len(order) != ndim:
        raise at.error(
            "A transform of type 'mapAxis' must name each axis.",
            found=describe(order),
            expected=f"{ndim} numbers",
        )
    return two_way(_selection(order, inputs=ndim))


def _project_axis(task: Task, item: Mapping[str, Json]) -> TwoWay:
    ndim, key = len(task.inputs), "createdOutputs"
    at = task.context.below("droppedInputs")
    dropped = axis_indices(item.get("droppedInputs") or [], task.inputs, at, count=ndim)
    at = task.context.below(key)
    created = as_list(item.get(key) or [], at, "a list of axes")
    count = ndim - len(dropped) + len(created)
    if not 1 <= count <= MOST_AXES:
        raise task.context.error("A transform must lead to some axes.", found=f"{count} axes")
    new = axis_indices(created, task.outputs, at, count=count)
    kept = iter(column for column in range(ndim) if column not in dropped)
    chosen = [None if row in new else next(kept) for row in range(count)]
    back = [chosen.index(column) for column in range(ndim) if column in chosen]
    # "not invertible in general if a dimension is dropped"
    return TwoWay(
        forward=_selection(chosen, inputs=ndim),
        backward=None if dropped else _selection(back, inputs=count),
    )


def parts_of(transforms: Iterable[Json]) -> Iterator[Mapping[str, Json]]:
    """Yield transforms and all transforms in them, without judging any."""
    stack = list(transforms)[::-1]
    while stack:
        item = stack.pop()
        if not isinstance(item, Mapping):
            continue
        yield item
        listed = item.get("transformations")
        below = listed if isinstance(listed, list | tuple) else ()
        stack.extend([*(item.get(key) for key in ("transformation", "forward", "inverse")), *below][::-1])


def number_paths(transforms: Iterable[Json]) -> Iterator[str]:
    """Yield the paths of arrays in which transforms, or transforms in them, keep their numbers.

    Fields are left out: they are not applied, and may be as large as an image.
    """
    # Not more than anyone needs: the file may have a million.
    for part in islice(parts_of(transforms), 10_000):
        kind, path = part.get("type"), part.get("path")
        if kind in _WITH_NUMBERS and path is not None and part.get(str(kind)) is None:
            try:
                yield as_path(path, Context())
            except MetadataError:
                continue  # named when the transform is read
