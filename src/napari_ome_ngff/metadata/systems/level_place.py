"""Where a level of 0.6 lies: the transform of its dataset, and what is made of it.

0.6 allows scale and translation alone; drafts allowed any transform. An image needs one scale and translation
per level, so that its levels can have coordinates. What all have in common beyond that, a rotation say,
is taken out: one affine for the whole image, applied after them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from napari_ome_ngff.errors import MetadataError
from napari_ome_ngff.metadata.affine import affine_of, compose_affine, invert_affine
from napari_ome_ngff.metadata.json_checks import Notes, as_list, as_mapping, describe
from napari_ome_ngff.metadata.nouns import Affine, Axis, Json, ScaleTranslation
from napari_ome_ngff.metadata.systems.read_transform import decode_two_way
from napari_ome_ngff.metadata.transforms import (
    check_transform,
    decode_scale_translation,
    decode_transform,
    usable_steps,
)

_ALIKE = 1e-3
"""A level may differ by this share: drafts have matrices in three or four digits."""


def common_affine(
    places: Mapping[str, Affine], *, where: str
) -> tuple[Affine, dict[str, ScaleTranslation], tuple[str, ...]]:
    """Return what places all levels: a scale and translation for each, and one affine after them.

    Parameters
    ----------
    places
        Path of each level to the affine that places it, finest first.
    where
        Location and JSON path of the levels, for errors.

    Returns
    -------
    Affine
        Its columns have length 1: the finest level's scale is the size of its voxels. Before it, the finest
        level lies at the origin.
    dict
        Path of each level to its scale and translation.
    tuple of str
        Paths of levels that cannot be placed so; they have the nearest scale and translation.

    Raises
    ------
    MetadataError
        If different voxels of the finest level lie at one place, or a level has no size.

    Examples
    --------
    >>> turn = Affine(matrix=((0.0, -2.0), (3.0, 0.0)), translation=(5.0, 7.0))
    >>> affine, levels, odd = common_affine({"0": turn}, where="datasets")
    >>> affine, levels["0"].scale
    (Affine(matrix=((0.0, -1.0), (1.0, 0.0)), translation=(5.0, 7.0)), (3.0, 2.0))
    """
    finest, *_ = places
    first = places[finest]
    sizes = tuple(math.hypot(*column) for column in zip(*first.matrix, strict=True))
    if not all(sizes) or not all(map(math.isfinite, sizes)):
        raise MetadataError("A level is placed by a transform that gives its voxels no size.", where=where)
    common = Affine(
        matrix=tuple(tuple(n / size for n, size in zip(row, sizes, strict=True)) for row in first.matrix),
        translation=first.translation,
    )
    try:
        back = invert_affine(common)
    except MetadataError as error:
        raise MetadataError(error.summary, where=where) from error
    levels, odd = {}, []
    for path, place in places.items():
        local = compose_affine(place, back)
        scale = tuple(row[index] for index, row in enumerate(local.matrix))
        levels[path] = ScaleTranslation(scale=scale, translation=local.translation)
        check_transform(levels[path], ndim=len(sizes), where=where)
        largest = [max(map(abs, column)) for column in zip(*local.matrix, strict=True)]
        if any(
            abs(number) > _ALIKE * largest[column]
            for row, numbers in enumerate(local.matrix)
            for column, number in enumerate(numbers)
            if row != column
        ):
            odd.append(path)
    # Free of what inverting rounds.
    levels[finest] = ScaleTranslation(scale=sizes, translation=(0.0,) * len(sizes))
    return common, levels, tuple(odd)


def decode_place(
    dataset: Mapping[str, Json],
    path: str,
    axes: Sequence[Axis],
    *,
    parameters: Mapping[str, Json],
    where: str,
    notes: Notes,
) -> Affine | None:
    """Return a dataset's transform, or None if the file does not say where this level lies.

    Parameters
    ----------
    dataset
        An entry of ``datasets``.
    path
        Of its array.
    axes
        Of the system that the levels are placed in.
    parameters
        Path to values, as nested lists, of the arrays that transforms keep their numbers in.
    where
        Location and JSON path of `dataset`.
    notes
        Where to note what breaks a rule.

    Raises
    ------
    MetadataError
        If it is malformed, or does not fit the number of axes.
    UnsupportedError
        If there is no such type of transform.

    Examples
    --------
    >>> place = {"type": "scale", "scale": [2], "input": {"path": "0"}, "output": {"name": "lab"}}
    >>> dataset = {"path": "0", "coordinateTransformations": [place]}
    >>> decode_place(dataset, "0", [Axis(name="x")], parameters={}, where="", notes=Notes("")).matrix
    ((2.0,),)
    """
    where = f"{where}.coordinateTransformations"
    item = _single(dataset, where=where, notes=notes)
    if item is None:
        return None
    source = item.get("input")
    # "SHOULD always treat the dataset's path field as if it were equal to the value of path under input"
    given = source.get("path") if isinstance(source, Mapping) else source
    if given != path:
        notes.add(f"{where}[0].input", f"{describe(given)} instead of {describe(path)}, ignored")
    where = f"{where}[0]"
    steps = list(_steps(item, where=where))
    kinds = [step.get("type") if isinstance(step, Mapping) else None for step in steps]
    if kinds not in (["scale"], ["identity"], ["scale", "translation"]):
        notes.add(where, f"{describe(kinds)} instead of a scale, then at most one translation")
    if not all(_is_said(step) for step in steps):
        names = [axis.name for axis in axes]
        way = decode_two_way(item, inputs=names, outputs=names, parameters=parameters, where=where)
        for problem in way.problems:
            notes.add(where, problem)
        return way.forward
    single = len(steps) == 1 and steps[0] is item
    below = where if single else f"{where}.transformations"
    usable = usable_steps(steps, axes, parameters={}, where=below, notes=notes)
    if single:
        transform = decode_transform(usable[0], ndim=len(axes), where=where)
    else:
        transform = decode_scale_translation(usable, ndim=len(axes), where=below)
    if any(number < 0 for number in transform.scale):
        notes.add(where, f"scale {describe(transform.scale)} is negative")
    return affine_of(transform)


def _is_said(step: Json) -> bool:
    """Return whether a step is an identity, or a scale or translation with its numbers in place.

    What is malformed counts, too: the error is the better for it.
    """
    kind = step.get("type") if isinstance(step, Mapping) else None
    return (
        not isinstance(kind, str)
        or kind == "identity"
        or (kind in ("scale", "translation") and (kind in step or "path" not in step))
    )


def _single(dataset: Mapping[str, Json], *, where: str, notes: Notes) -> Mapping[str, Json] | None:
    """Return a dataset's one transform, or None if it has none."""
    transforms = dataset.get("coordinateTransformations")
    if transforms is None or transforms == []:
        return None
    items = as_list(transforms, where=where, what="a list of transforms")
    first = as_mapping(items[0], where=f"{where}[0]", what="a transform")
    # "MUST be restricted to a single scale, identity or sequence of a scale followed by a translation"
    if len(items) == 1:
        return first
    others = [item.get("output") for item in items[1:] if isinstance(item, Mapping)]
    if any(output not in (None, first.get("output")) for output in others):
        # Drafts: one transform to each of several systems. All levels are placed in that of the first.
        notes.add(where, f"{len(items)} transforms to different systems, only the first is applied")
        return first
    notes.add(where, f"{len(items)} transforms instead of one, applied one after the other")
    return {**first, "type": "sequence", "transformations": items}


def _steps(transform: Mapping[str, Json], *, where: str) -> Iterator[Json]:
    """Yield the transforms that a sequence is made of, in order, sequences in it taken apart.

    With a stack in place of recursion: a file may nest as deep as it likes.
    """
    stack: list[Json] = [transform]
    while stack:
        item = stack.pop()
        if isinstance(item, Mapping) and item.get("type") == "sequence":
            parts = as_list(
                item.get("transformations"), where=f"{where}.transformations", what="a list of transforms"
            )
            stack.extend(reversed(parts))
        else:
            yield item
