"""Transforms of 0.6 that are made of numbers, read as affines in both directions.

A transform maps points of its input system to points of its output system. Those that are made of other
transforms are in :mod:`~napari_ome_ngff.metadata.systems.read_transform`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from napari_ome_ngff.errors import MetadataError
from napari_ome_ngff.metadata.affine import affine_of, identity_affine, invert_affine
from napari_ome_ngff.metadata.axes import MOST_AXES
from napari_ome_ngff.metadata.json_checks import as_integer, as_list, as_mapping, as_path, as_vector, describe
from napari_ome_ngff.metadata.nouns import Affine, Json, ScaleTranslation

_FIELDS = {"displacements": "displacement field", "coordinates": "coordinate field"}


_WITH_NUMBERS = ("scale", "translation", "affine", "rotation")


@dataclass(frozen=True, kw_only=True)
class TwoWay:
    """What a transform does.

    Parameters
    ----------
    forward
        From the input system to the output system.
    backward
        From the output system to the input system, or None if there is no way back.
    problems
        What of it could not be read as an affine and is left out, one sentence each.
    """

    forward: Affine
    backward: Affine | None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Task:
    """A transform that is to be read.

    Parameters
    ----------
    item
        The JSON.
    inputs
        Names of the axes that it is applied to.
    outputs
        Names of the axes of the result, or empty where they are not known.
    parameters
        Path of an array that a transform keeps its numbers in to its values, as nested lists.
    where
        Location and JSON path.
    """

    item: Json
    inputs: tuple[str, ...]
    outputs: tuple[str, ...] = ()
    parameters: Mapping[str, Json] = field(default_factory=dict)
    where: str = ""


def decode_simple(task: Task) -> TwoWay | None:
    """Return what a transform does that is not made of other transforms, or None if it is of no such type.

    Raises
    ------
    MetadataError
        If it is malformed, does not fit the number of axes, or its numbers are missing or not finite.

    Examples
    --------
    >>> task = Task(item={"type": "mapAxis", "mapAxis": [1, 0]}, inputs=("y", "x"))
    >>> decode_simple(task).forward.matrix
    ((0.0, 1.0), (1.0, 0.0))
    """
    item = as_mapping(task.item, where=task.where, what="a transform")
    kind, ndim = item.get("type"), len(task.inputs)
    if not isinstance(kind, str):
        raise MetadataError(
            "A coordinate transform does not say its type.",
            where=task.where,
            found=describe(item),
            expected="a type, such as 'scale'",
        )
    if kind == "identity":
        return two_way(identity_affine(ndim))
    if kind in _FIELDS:
        return TwoWay(
            forward=identity_affine(ndim),
            backward=identity_affine(ndim),
            problems=(f"A {_FIELDS[kind]} is not applied ({task.where}).",),
        )
    if kind in ("scale", "translation"):
        vector = as_vector(_numbers(task, kind), ndim=ndim, where=f"{task.where}.{kind}", what=kind)
        still, zeros = (1.0,) * ndim, (0.0,) * ndim
        scale, shift = (vector, zeros) if kind == "scale" else (still, vector)
        return two_way(affine_of(ScaleTranslation(scale=scale, translation=shift)))
    if kind == "affine":
        rows = _matrix(task, kind, columns=ndim + 1)
        return two_way(
            Affine(matrix=tuple(row[:-1] for row in rows), translation=tuple(row[-1] for row in rows))
        )
    if kind == "rotation":
        rows = _matrix(task, kind, columns=ndim)
        if len(rows) != ndim:
            raise MetadataError(
                "A rotation must have as many rows as columns.", where=task.where, found=f"{len(rows)} rows"
            )
        return two_way(Affine(matrix=rows, translation=(0.0,) * ndim))
    if kind == "mapAxis":
        return _map_axis(task, item)
    return _project_axis(task, item) if kind == "projectAxis" else None


def two_way(forward: Affine, problems: tuple[str, ...] = ()) -> TwoWay:
    """Return an affine with its inverse, if there is one.

    Examples
    --------
    >>> two_way(Affine(matrix=((2.0,),), translation=(0.0,))).backward
    Affine(matrix=((0.5,),), translation=(0.0,))
    """
    try:
        backward = invert_affine(forward)
    except MetadataError:
        backward = None
    return TwoWay(forward=forward, backward=backward, problems=problems)


def _numbers(task: Task, key: str) -> Json:
    """Return what a transform says in place, or in the array that it names."""
    if task.item.get(key) is not None or task.item.get("path") is None:
        return task.item.get(key)
    path = as_path(task.item["path"], where=f"{task.where}.path")
    if path not in task.parameters:
        raise MetadataError(
            f"The array that holds the numbers of a transform of type {key!r} cannot be read.",
            where=f"{task.where}.path",
            found=describe(path),
        )
    return task.parameters[path]


def _matrix(task: Task, key: str, *, columns: int) -> tuple[tuple[float, ...], ...]:
    where = f"{task.where}.{key}"
    rows = as_list(_numbers(task, key), where=where, what="a list of rows")
    # "the outer array MUST be length M and the inner arrays MUST be length N+1"
    if not 1 <= len(rows) <= MOST_AXES:
        raise MetadataError("A matrix must have one row per axis.", where=where, found=f"{len(rows)} rows")
    return tuple(
        as_vector(row, ndim=columns, where=f"{where}[{index}]", what="row of a matrix")
        for index, row in enumerate(rows)
    )


def _choose(chosen: Sequence[int | None], *, inputs: int) -> Affine:
    """Return the affine of which each result is one of the inputs, or zero for None."""
    rows = (tuple(float(own == column) for column in range(inputs)) for own in chosen)
    return Affine(matrix=tuple(rows), translation=(0.0,) * len(chosen))


def axis_indices(value: Json, names: Sequence[str], *, count: int, where: str) -> list[int]:
    """Return different axes of `count`, said by index, or by name as in drafts.

    Raises
    ------
    MetadataError
        If one is not there, or said twice.

    Examples
    --------
    >>> axis_indices(["x", 0], "yx", count=2, where="inputAxes")
    [1, 0]
    """
    found = []
    for place, item in enumerate(as_list(value, where=where, what="a list of axes")):
        index = names.index(item) if isinstance(item, str) and item in names else as_integer(item)
        if index is None or not 0 <= index < count or index in found:
            raise MetadataError(
                "A transform names an axis that is not there, or names it twice.",
                where=f"{where}[{place}]",
                found=describe(item),
                expected=f"different numbers from 0 to {count - 1}",
            )
        found.append(index)
    return found


def _map_axis(task: Task, item: Mapping[str, Json]) -> TwoWay:
    value, where, ndim = item.get("mapAxis"), f"{task.where}.mapAxis", len(task.inputs)
    if isinstance(value, Mapping):
        # Drafts: the name of each axis of the output to that of the input.
        value = [value.get(name) for name in task.outputs]
    # "The value at position i in the array indicates which input axis becomes the i-th output axis."
    order = axis_indices(value, task.inputs, count=ndim, where=where)
    # "The length of the array MUST equal the number of dimensions ... Each index MUST appear exactly once"
    if len(order) != ndim:
        raise MetadataError(
            "A transform of type 'mapAxis' must name each axis.",
            where=where,
            found=describe(order),
            expected=f"{ndim} numbers",
        )
    return two_way(_choose(order, inputs=ndim))


def _project_axis(task: Task, item: Mapping[str, Json]) -> TwoWay:
    ndim, key = len(task.inputs), "createdOutputs"
    dropped = axis_indices(
        item.get("droppedInputs") or [], task.inputs, count=ndim, where=f"{task.where}.droppedInputs"
    )
    created = as_list(item.get(key) or [], where=f"{task.where}.{key}", what="a list of axes")
    count = ndim - len(dropped) + len(created)
    if not 1 <= count <= MOST_AXES:
        raise MetadataError("A transform must lead to some axes.", where=task.where, found=f"{count} axes")
    new = axis_indices(created, task.outputs, count=count, where=f"{task.where}.{key}")
    kept = iter(column for column in range(ndim) if column not in dropped)
    chosen = [None if row in new else next(kept) for row in range(count)]
    back = [chosen.index(column) for column in range(ndim) if column in chosen]
    # "not invertible in general if a dimension is dropped"
    return TwoWay(
        forward=_choose(chosen, inputs=ndim),
        backward=None if dropped else _choose(back, inputs=count),
    )


def parts_of(transforms: Iterable[Json]) -> Iterator[Mapping[str, Json]]:
    """Yield transforms and all transforms in them, without judging any.

    Examples
    --------
    >>> inner = {"type": "scale", "path": "numbers"}
    >>> [part["type"] for part in parts_of([{"type": "bijection", "forward": inner}])]
    ['bijection', 'scale']
    """
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

    Examples
    --------
    >>> list(number_paths([{"type": "affine", "path": "m"}, {"type": "displacements", "path": "field"}]))
    ['m']
    """
    # Not more than anyone needs: the file may have a million.
    for part in islice(parts_of(transforms), 10_000):
        kind, path = part.get("type"), part.get("path")
        if kind in _WITH_NUMBERS and path is not None and part.get(str(kind)) is None:
            try:
                yield as_path(path, where="")
            except MetadataError:
                continue  # named when the transform is read
