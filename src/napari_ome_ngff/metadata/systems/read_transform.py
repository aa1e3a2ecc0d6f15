"""Transforms of any of the twelve types of 0.6 as affines; nested ones are read without recursion.

Each is read in both directions at once, because some say their own way back (0.6, "bijection").
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from napari_ome_ngff.errors import MetadataError, UnsupportedError
from napari_ome_ngff.metadata.affine import compose_affine, identity_affine, is_finite
from napari_ome_ngff.metadata.axes import MOST_AXES
from napari_ome_ngff.metadata.json_checks import as_list, as_mapping, describe
from napari_ome_ngff.metadata.nouns import Affine, Json
from napari_ome_ngff.metadata.systems.read_simple import Task, TwoWay, axis_indices, decode_simple, two_way

_MOST_PROBLEMS = 8


_LONGEST_PLACE = 300


_Reading = Generator[Task, Any, TwoWay]
"""Reading one transform: asks for its parts to be read, and is sent what they do."""


def decode_two_way(
    transform: Json,
    *,
    inputs: Sequence[str],
    outputs: Sequence[str] | None,
    parameters: Mapping[str, Json],
    where: str,
) -> TwoWay:
    """Read a transform of any type as an affine.

    0.6, "Transformation types". A ``displacements`` or ``coordinates`` transform is left out and named in
    `problems`. Forms of the drafts are read too: axes said by name, and ``inverseOf``.

    Parameters
    ----------
    transform
        The JSON object; its ``input`` and ``output`` are not looked at.
    inputs, outputs
        Names of the axes of the two systems, in order; None if those of the output are not known.
    parameters
        Path of an array that a transform keeps its numbers in to its values, as nested lists.
    where
        Location and JSON path, for errors and problems.

    Raises
    ------
    MetadataError
        If it is malformed, does not fit the numbers of axes, or its numbers are missing or not finite.
    UnsupportedError
        If there is no such type, or a field leads to another number of axes.

    Examples
    --------
    >>> parts = [{"type": "scale", "scale": [2, 3]}, {"type": "mapAxis", "mapAxis": [1, 0]}]
    >>> sequence = {"type": "sequence", "transformations": parts}
    >>> decode_two_way(sequence, inputs="yx", outputs="yx", parameters={}, where="").forward.matrix
    ((0.0, 3.0), (2.0, 0.0))
    """
    whole = Task(
        item=transform,
        inputs=tuple(inputs),
        outputs=tuple(outputs or ()),
        parameters=parameters,
        where=where,
    )
    found = _read(whole)
    if not is_finite(found.forward):
        raise MetadataError("The numbers of a transform are too large.", where=where)
    count = len(found.forward.matrix)
    if outputs is not None and count != len(outputs):
        kind = UnsupportedError if found.problems else MetadataError
        raise kind(
            "A transform does not fit the coordinate systems that it connects.",
            where=where,
            found=f"{len(inputs)} axes become {count}",
            expected=f"{len(outputs)} axes",
        )
    return found


def _read(whole: Task) -> TwoWay:
    """Read a transform and its parts, with a stack in place of recursion: a file may nest as it likes."""
    stack: list[_Reading] = [_decode(whole)]
    result: TwoWay | None = None
    while True:
        try:
            task = stack[-1].send(result)
        except StopIteration as done:
            stack.pop()
            result = done.value
            if not stack:
                return done.value  # type: ignore[no-any-return]
        else:
            stack.append(_decode(task))
            result = None


def _decode(task: Task) -> _Reading:
    found = decode_simple(task)
    if found is not None:
        return found
    kinds = {
        "sequence": _sequence,
        "byDimension": _by_dimension,
        "bijection": _bijection,
        "inverseOf": _inverse_of,
    }
    kind = task.item["type"]
    if kind not in kinds:
        raise UnsupportedError(f"There is no transform of type {describe(kind)}.", where=task.where)
    return (yield from kinds[kind](task, task.item))


def _part(task: Task, item: Json, inputs: Iterable[str], outputs: Iterable[str], below: str) -> Task:
    # The place in metadata that nest thousands of times deep would be longer than they are.
    where = f"{task.where}{below}" if len(task.where) < _LONGEST_PLACE else task.where
    return replace(task, item=item, inputs=tuple(inputs), outputs=tuple(outputs), where=where)


def _sequence(task: Task, item: Mapping[str, Json]) -> _Reading:
    key = "transformations"
    steps = as_list(item.get(key), where=f"{task.where}.{key}", what="a list of transforms")
    forward = identity_affine(len(task.inputs))
    backward: Affine | None = forward
    names = task.inputs
    problems: tuple[str, ...] = ()
    for index, step in enumerate(steps):
        outputs = task.outputs if index == len(steps) - 1 else ()
        part = yield _part(task, step, names, outputs, f".{key}[{index}]")
        # "the first transformation in the array of transformations. Next, apply the second ... to the result"
        forward = compose_affine(forward, part.forward)
        backward = compose_affine(part.backward, backward) if part.backward and backward else None
        problems = _together(problems, part.problems)
        if len(forward.matrix) != len(names):
            names = ("",) * len(forward.matrix)
    # "invertible if every coordinate transform in the array is invertible (though could be ...)"
    whole = two_way(forward, problems)
    return whole if backward is None else TwoWay(forward=forward, backward=backward, problems=problems)


def _by_dimension(task: Task, item: Mapping[str, Json]) -> _Reading:
    key, parts = "transformations", []
    items = as_list(item.get(key), where=f"{task.where}.{key}", what="a list of transforms")
    for index, child in enumerate(items[:MOST_AXES]):
        below = f".{key}[{index}]"
        own = as_mapping(child, where=f"{task.where}{below}", what="a transform of some axes")
        taken = _axes_of(task, own, "input", task.inputs, len(task.inputs), below)
        given = _axes_of(task, own, "output", task.outputs, len(task.outputs) or MOST_AXES, below)
        # Drafts: the item is the transform.
        inner, deeper = (own["transformation"], ".transformation") if "transformation" in own else (own, "")
        names = [task.outputs[axis] for axis in given] if task.outputs else []
        part = yield _part(task, inner, (task.inputs[axis] for axis in taken), names, below + deeper)
        if len(part.forward.matrix) != len(given):
            raise MetadataError(
                "A transform of some axes gives another number of axes than it should.",
                where=f"{task.where}{below}",
                found=f"{len(part.forward.matrix)} axes",
                expected=f"{len(given)} axes",
            )
        parts.append((taken, given, part))
    results = sorted(axis for _, given, _ in parts for axis in given)
    # "Every axis index in the parent byDimension's output ... MUST appear in exactly one child"
    if not results or results != list(range(len(results))):
        raise MetadataError(
            "Each axis of the result must come from exactly one transform.",
            where=f"{task.where}.{key}",
            found=describe(results),
        )
    ndim, problems = len(task.inputs), _together(*(part.problems for _, _, part in parts))
    forward = _assembled(((*axes, part.forward) for *axes, part in parts), rows=len(results), columns=ndim)
    back = [(given, taken, part.backward) for taken, given, part in parts if part.backward]
    covered = sorted(axis for _, taken, _ in back for axis in taken)
    if len(back) < len(parts) or covered != list(range(ndim)):
        return two_way(forward, problems)
    backward = _assembled(back, rows=ndim, columns=len(results))
    return TwoWay(forward=forward, backward=backward, problems=problems)


def _axes_of(
    task: Task, own: Mapping[str, Json], end: str, names: Sequence[str], count: int, below: str
) -> list[int]:
    # Drafts said "input_axes", and before that "input", with names.
    key = next((key for key in (f"{end}Axes", f"{end}_axes") if key in own), end)
    return axis_indices(own.get(key), names, count=count, where=f"{task.where}{below}.{key}")


def _assembled(parts: Iterable[tuple[list[int], list[int], Affine]], *, rows: int, columns: int) -> Affine:
    """Return the affine made of affines of some columns and some rows each."""
    matrix, shift = [[0.0] * columns for _ in range(rows)], [0.0] * rows
    for taken, given, part in parts:
        for row, numbers, move in zip(given, part.matrix, part.translation, strict=True):
            shift[row] = move
            for column, number in zip(taken, numbers, strict=True):
                matrix[row][column] = number
    return Affine(matrix=tuple(map(tuple, matrix)), translation=tuple(shift))


def _bijection(task: Task, item: Mapping[str, Json]) -> _Reading:
    forward = yield _part(task, item.get("forward"), task.inputs, task.outputs, ".forward")
    count = len(forward.forward.matrix)
    names = task.outputs if len(task.outputs) == count else ("",) * count
    inverse = yield _part(task, item.get("inverse"), names, task.inputs, ".inverse")
    if len(inverse.forward.matrix) != len(task.inputs):
        raise MetadataError(
            "The two ways of a bijection do not fit each other.",
            where=f"{task.where}.inverse",
            found=f"{len(inverse.forward.matrix)} axes",
            expected=f"{len(task.inputs)} axes",
        )
    problems = _together(forward.problems, inverse.problems)
    return TwoWay(forward=forward.forward, backward=inverse.forward, problems=problems)


def _inverse_of(task: Task, item: Mapping[str, Json]) -> _Reading:
    """Read what drafts of 0.6 had: the inverse of a transform."""
    names = task.outputs or task.inputs
    inner = yield _part(task, item.get("transformation"), names, task.inputs, ".transformation")
    if inner.backward is None or len(inner.forward.matrix) != len(task.inputs):
        raise MetadataError("A transform cannot be inverted.", where=task.where)
    return TwoWay(forward=inner.backward, backward=inner.forward, problems=inner.problems)


def _together(*problems: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one for some in problems for one in some))[:_MOST_PROBLEMS]
