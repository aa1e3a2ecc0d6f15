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
from napari_ome_ngff.metadata.axes import TRANSFORMS_KEY
from napari_ome_ngff.metadata.context import Context
from napari_ome_ngff.metadata.json_checks import as_list, as_mapping, describe, listed
from napari_ome_ngff.metadata.nouns import Affine, Axis, Json, ScaleTranslation
from napari_ome_ngff.metadata.systems.read_transform import decode_two_way
from napari_ome_ngff.metadata.transforms import (
    ONE_SCALE,
    check_transform,
    decode_scale_translation,
    types_of,
    usable_steps,
)

_TOLERANCE = 1e-3
"""A level may differ by this share: drafts have matrices in three or four digits."""


def common_affine(
    places: Mapping[str, Affine], context: Context
) -> tuple[Affine, dict[str, ScaleTranslation], tuple[str, ...]]:
    """Return one affine for all levels, and by path the scale and translation of each before it.

    `places` has the affine that places each level, finest first. The columns of the common affine have
    length 1: the finest level's scale is the size of its voxels, and it lies at the origin before the
    affine. Last come the paths of levels that cannot be placed so; they have the nearest scale and
    translation.
    """
    finest, *_ = places
    first = places[finest]
    sizes = tuple(math.hypot(*column) for column in zip(*first.matrix, strict=True))
    if not all(sizes) or not all(map(math.isfinite, sizes)):
        raise context.error("A level is placed by a transform that gives its voxels no size.")
    common = Affine(
        matrix=tuple(tuple(n / size for n, size in zip(row, sizes, strict=True)) for row in first.matrix),
        translation=first.translation,
    )
    try:
        back = invert_affine(common)
    except MetadataError as error:
        raise context.error(error.summary) from error
    levels, odd = {}, []
    for path, place in places.items():
        local = compose_affine(place, back)
        scale = tuple(row[index] for index, row in enumerate(local.matrix))
        levels[path] = ScaleTranslation(scale=scale, translation=local.translation)
        check_transform(levels[path], context, ndim=len(sizes))
        largest = [max(map(abs, column)) for column in zip(*local.matrix, strict=True)]
        if any(
            abs(number) > _TOLERANCE * largest[column]
            for row, numbers in enumerate(local.matrix)
            for column, number in enumerate(numbers)
            if row != column
        ):
            odd.append(path)
    # Free of what inverting rounds.
    levels[finest] = ScaleTranslation(scale=sizes, translation=(0.0,) * len(sizes))
    return common, levels, tuple(odd)


def decode_place(
    dataset: Mapping[str, Json], path: str, axes: Sequence[Axis], context: Context
) -> Affine | None:
    """Return the transform of a dataset with this path, or None if the file does not say it."""
    listed = context.below(TRANSFORMS_KEY)
    item = _single(dataset, listed)
    if item is None:
        return None
    context = listed.below(0)
    source = item.get("input")
    # "SHOULD always treat the dataset's path field as if it were equal to the value of path under input"
    given = source.get("path") if isinstance(source, Mapping) else source
    if given != path:
        context.below("input").note(f"{describe(given)} instead of {describe(path)}, ignored")
    steps = list(_steps(item, context))
    kinds = types_of(steps)
    if kinds not in (*ONE_SCALE, ["identity"]):
        context.note(f"{describe(kinds)} instead of a scale, then at most one translation")
    if not all(_is_plain(step) for step in steps):
        names = [axis.name for axis in axes]
        way = decode_two_way(item, context, inputs=names, outputs=names)
        for problem in way.problems:
            context.note(problem)
        return way.forward
    holder = context.below("transformations") if item.get("type") == "sequence" else listed
    transform = decode_scale_translation(usable_steps(steps, axes, holder), holder, ndim=len(axes))
    if any(number < 0 for number in transform.scale):
        context.note(f"scale {describe(transform.scale)} is negative")
    return affine_of(transform)


def _is_plain(step: Json) -> bool:
    """Return whether a step is an identity, or a scale or translation with its numbers in place.

    What is malformed counts, too: the error is the better for it.
    """
    kind = step.get("type") if isinstance(step, Mapping) else None
    return (
        not isinstance(kind, str)
        or kind == "identity"
        or (kind in ("scale", "translation") and (kind in step or "path" not in step))
    )


def _single(dataset: Mapping[str, Json], context: Context) -> Mapping[str, Json] | None:
    """Return a dataset's one transform, or None if it has none."""
    transforms = dataset.get(TRANSFORMS_KEY)
    if transforms is None or transforms in ([], {}):
        return None
    items = listed(transforms, context)
    first = as_mapping(items[0], context.below(0), "a transform")
    # "MUST be restricted to a single scale, identity or sequence of a scale followed by a translation"
    if len(items) == 1:
        return first
    others = [item.get("output") for item in items[1:] if isinstance(item, Mapping)]
    if any(output not in (None, first.get("output")) for output in others):
        # Drafts: one transform to each of several systems. All levels are placed in that of the first.
        context.note(f"{len(items)} transforms to different systems, only the first is applied")
        return first
    context.note(f"{len(items)} transforms instead of one, applied one after the other")
    return {**first, "type": "sequence", "transformations": items}


def _steps(transform: Mapping[str, Json], context: Context) -> Iterator[Json]:
    """Yield the transforms that a sequence is made of, in order, sequences in it taken apart.

    With a stack in place of recursion: a file may nest as deep as it likes.
    """
    stack: list[Json] = [transform]
    while stack:
        item = stack.pop()
        if isinstance(item, Mapping) and item.get("type") == "sequence":
            at = context.below("transformations")
            stack.extend(reversed(as_list(item.get("transformations"), at, "a list of transforms")))
        else:
            yield item
