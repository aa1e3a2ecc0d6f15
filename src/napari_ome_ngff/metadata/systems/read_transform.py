"""Transforms of any of the twelve types of 0.6 as affines; nested ones are read without recursion.

Each is read in both directions at once, because some say their own way back (0.6, "bijection").
"""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from napari_ome_ngff.errors import MetadataError, UnsupportedError
from napari_ome_ngff.metadata.affine import compose_affine, identity_affine, is_finite
from napari_ome_ngff.metadata.axes import MOST_AXES
from napari_ome_ngff.metadata.context import Context
from napari_ome_ngff.metadata.json_checks import as_list, as_mapping, describe
from napari_ome_ngff.metadata.nouns import Affine, Json
from napari_ome_ngff.metadata.systems.read_simple import Task, TwoWay, axis_indices, decode_simple, two_way

_MOST_PROBLEMS = 8

_MOST_PARTS = 5000
"""Transforms that one may be made of."""

_LONGEST_PLACE = 300

_PARTS = "transformations"

_Reading = Generator[Task, Any, TwoWay]
"""Reading one transform: yields its parts to be read, and is sent the result of each."""


def decode_two_way(
    transform: Json, context: Context, *, inputs: Sequence[str], outputs: Sequence[str] | None
) -> TwoWay:
    """Read a transform of any type as an affine between systems with these names of axes.

    0.6, "Transformation types". Its ``input`` and ``output`` are not looked at; `outputs` is None if the
    axes of the output are not known. A ``displacements`` or ``coordinates`` transform is left out and named
    in `problems`. Forms of the drafts are read too: axes by name, and ``inverseOf``.
    """
    result = _read(Task(item=transform, inputs=tuple(inputs), outputs=tuple(outputs or ()), context=context))
    if not is_finite(result.forward):
        raise context.error("The numbers of a transform are too large.")
    count = len(result.forward.matrix)
    if outputs is not None and count != len(outputs):
        raise context.error(
            "A transform does not fit the coordinate systems that it connects.",
            found=f"{len(inputs)} axes become {count}",
            expected=f"{len(outputs)} axes",
            kind=UnsupportedError if result.problems else MetadataError,
        )
    return result


def _read(whole: Task) -> TwoWay:
    """Read a transform and its parts, with a stack in place of recursion: a file may nest as it likes."""
    stack: list[_Reading] = [_decode(whole)]
    result: TwoWay | None = None
    parts = itertools.count()
    while True:
        if next(parts) > 2 * _MOST_PARTS:
            raise whole.context.error(
                "A transform is made of too many others.", expected=f"at most {_MOST_PARTS}"
            )
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
    simple = decode_simple(task)
    if simple is not None:
        return simple
    kinds = {
        "sequence": _sequence,
        "byDimension": _by_dimension,
        "bijection": _bijection,
        "inverseOf": _inverse_of,
    }
    kind = task.item["type"]
    if kind not in kinds:
        raise task.context.error(f"There is no transform of type {describe(kind)}.", kind=UnsupportedError)
    return (yield from kinds[kind](task, task.item))


def _part(task: Task, item: Json, inputs: Iterable[str], outputs: Iterable[str], *keys: str | int) -> Task:
    # The place in metadata that nest thousands of times deep would be longer than they are.
    context = task.context.below(*keys) if len(task.context.where) < _LONGEST_PLACE else task.context
    return replace(task, item=item, inputs=tuple(inputs), outputs=tuple(outputs), context=context)


def _sequence(task: Task, item: Mapping[str, Json]) -> _Reading:
    steps = as_list(item.get(_PARTS), task.context.below(_PARTS), "a list of transforms")
    forward = identity_affine(len(task.inputs))
    backward: Affine | None = forward
    names = task.inputs
    problems: tuple[str, ...] = ()
    for index, step in enumerate(steps):
        outputs = task.outputs if index == len(steps) - 1 else ()
        part = yield _part(task, step, names, outputs, _PARTS, index)
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
    parts, context = [], task.context.below(_PARTS)
    items = as_list(item.get(_PARTS), context, "a list of transforms")
    for index, child in enumerate(items[:MOST_AXES]):
        at = context.below(index)
        child = as_mapping(child, at, "a transform of some axes")
        taken = _axes_of(child, "input", task.inputs, at, count=len(task.inputs))
        given = _axes_of(child, "output", task.outputs, at, count=len(task.outputs) or MOST_AXES)
        # Drafts: the item is the transform.
        deeper = "transformation" if "transformation" in child else ""
        inputs = (task.inputs[axis] for axis in taken)
        outputs = [task.outputs[axis] for axis in given] if task.outputs else []
        inner = child[deeper] if deeper else child
        part = yield _part(task, inner, inputs, outputs, _PARTS, index, deeper)
        if len(part.forward.matrix) != len(given):
            raise at.error(
                "A transform of some axes gives another number of axes than it should.",
                found=f"{len(part.forward.matrix)} axes",
                expected=f"{len(given)} axes",
            )
        parts.append((taken, given, part))
    results = sorted(axis for _, given, _ in parts for axis in given)
    # "Every axis index in the parent byDimension's output ... MUST appear in exactly one child"
    if not results or results != list(range(len(results))):
        raise context.error(
            "Each axis of the result must come from exactly one transform.", found=describe(results)
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
    child: Mapping[str, Json], end: str, names: Sequence[str], context: Context, *, count: int
) -> list[int]:
    # Drafts said "input_axes", and before that "input", with names.
    key = next((key for key in (f"{end}Axes", f"{end}_axes") if key in child), end)
    return axis_indices(child.get(key), names, context.below(key), count=count)


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
    forward = yield _part(task, item.get("forward"), task.inputs, task.outputs, "forward")
    count = len(forward.forward.matrix)
    names = task.outputs if len(task.outputs) == count else ("",) * count
    inverse = yield _part(task, item.get("inverse"), names, task.inputs, "inverse")
    if len(inverse.forward.matrix) != len(task.inputs):
        raise task.context.below("inverse").error(
            "The two ways of a bijection do not fit each other.",
            found=f"{len(inverse.forward.matrix)} axes",
            expected=f"{len(task.inputs)} axes",
        )
    problems = _together(forward.problems, inverse.problems)
    return TwoWay(forward=forward.forward, backward=inverse.forward, problems=problems)


def _inverse_of(task: Task, item: Mapping[str, Json]) -> _Reading:
    """Read what drafts of 0.6 had: the inverse of a transform."""
    names = task.outputs or task.inputs
    inner = yield _part(task, item.get("transformation"), names, task.inputs, "transformation")
    if inner.backward is None or len(inner.forward.matrix) != len(task.inputs):
        raise task.context.error("A transform cannot be inverted.")
    return TwoWay(forward=inner.backward, backward=inner.forward, problems=inner.problems)


def _together(*problems: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one for some in problems for one in some))[:_MOST_PROBLEMS]
