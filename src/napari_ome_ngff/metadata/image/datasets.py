"""Entries of ``multiscales`` and their levels: which can be read, and which of them say where they lie.

The same for all versions, but for how a level says it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import islice
from types import MappingProxyType

from napari_ome_ngff.errors import MetadataError, OmeNgffError
from napari_ome_ngff.metadata.axes import TRANSFORMS_KEY
from napari_ome_ngff.metadata.context import Context
from napari_ome_ngff.metadata.group_kind import container_of
from napari_ome_ngff.metadata.image.array_axes import with_axes_of_arrays
from napari_ome_ngff.metadata.json_checks import (
    as_mapping,
    as_path,
    describe,
    first_items,
    is_deep,
    items_of,
    listed,
    number_as_text,
    without_keys,
)
from napari_ome_ngff.metadata.nouns import Json, Level, Multiscale, ScaleTranslation
from napari_ome_ngff.metadata.transforms import check_transform, coarser, compose, identity

LEGACY = ("0.1", "0.2", "0.3")
"""Versions that are read alone: they say neither where levels lie nor, before 0.3, which axes there are."""

MOST_IMAGES = 256
"""Entries of ``multiscales`` that are read."""

MOST_LEVELS = 64
"""Levels of an image that are read: nothing can be halved more often than this."""

_MOST_GROUPS = 512

_LONGEST = 2**63


def decode_entries(
    holder: Mapping[str, Json],
    decode_entry: Callable[[Mapping[str, Json], Context], Multiscale],
    context: Context,
) -> tuple[Multiscale, ...]:
    """Return the images of ``multiscales``, those that can be read; the first one's error if none can."""
    context = context.below("multiscales")
    items = listed(holder.get("multiscales"), context, "a list of images")
    if not items:
        raise context.error("The list of images is empty.")
    images: list[Multiscale] = []
    problems: list[OmeNgffError] = []
    for index, item in enumerate(first_items(items, MOST_IMAGES, context, "images")):
        at = context.below(index)
        try:
            image = decode_entry(as_mapping(item, at, "the description of an image"), at)
            # 'The length of "axes" must be between 2 and 5'
            if len(image.axes) < 2:
                raise at.error("An image must have at least two axes.", found=describe(image.dims))
            images.append(image)
        except OmeNgffError as error:
            problems.append(error)
            at.note(f"left out: {error.summary}")
    if not images:
        raise problems[0]
    return tuple(images)


def decode_levels(
    entry: Mapping[str, Json],
    decode_place: Callable[[Mapping[str, Json], str, Context], ScaleTranslation | None],
    context: Context,
    *,
    ndim: int,
    placed: bool = True,
) -> tuple[tuple[Level, ...], tuple[str, ...]]:
    """Return the levels of an image, each path once, and the paths of those that the file does not place.

    These have the identity as transform. `decode_place` returns the transform of a dataset with a path, or
    None if it has none; `placed` says whether each should have one (0.4 and later).
    """
    levels: dict[str, Level] = {}
    unnamed: list[MetadataError] = []
    unplaced: dict[str, tuple[Context, str]] = {}
    context = context.below("datasets")
    items = listed(entry.get("datasets"), context, "a list of datasets")
    if not items:
        raise context.error("The image has no levels.", expected="at least one dataset")
    for index, item in enumerate(first_items(items, MOST_LEVELS, context, "levels")):
        at = context.below(index)
        try:
            dataset = as_mapping(item, at, "a dataset")
            path = decode_path(dataset.get("path"), at.below("path"))
        except MetadataError as error:
            unnamed.append(error)
            at.note(f"left out: {error.summary}")
            continue
        if path in levels:
            at.below("path").note(f"{describe(path)} again, left out")
            continue
        transform, problem = None, "missing"
        try:
            transform = decode_place(dataset, path, at)
        except OmeNgffError as error:
            problem = error.summary.removesuffix(".") + (f" ({error.found})" if error.found else "")
        if transform is None:
            unplaced[path] = at.below(TRANSFORMS_KEY), problem
        levels[path] = Level(
            path=path,
            transform=transform or identity(ndim),
            original=None if transform is None else dataset.get(TRANSFORMS_KEY),
            extra=without_keys(dataset, ("path", TRANSFORMS_KEY)),
        )
    if not levels:
        raise unnamed[0]
    for count, (at, problem) in enumerate(unplaced.values() if placed else ()):
        first = count == 0 and len(unplaced) == len(levels)
        at.note(problem + (", voxels of size 1 assumed" if first else ", placed by its size"))
    return tuple(levels.values()), tuple(unplaced)


def decode_path(path: Json, context: Context, what: str = "array") -> str:
    """Return the path of a level's array or another node; a number, or parts that lead nowhere, are noted."""
    text = number_as_text(path)
    if text is not path:
        context.note(f"the number {path}, read as text")
    if isinstance(text, str) and not text.startswith("/") and not is_deep(text):
        plain = "/".join(part for part in text.split("/") if part not in ("", "."))
        if plain and plain != text.removesuffix("/"):
            context.note(f"{describe(text)}, read as {describe(plain)}")
            text = plain
    return as_path(text, context, what)


def listed_paths(attributes: Mapping[str, Json]) -> tuple[str, ...]:
    """Return the paths of levels that a group's attributes name, and of the groups above them in it.

    Whatever else is wrong with them: this is to fetch what may be needed, all at once.
    """
    _, holder = container_of(attributes) or ("", {})
    paths: dict[str, None] = {}
    for entry in items_of(holder.get("multiscales"), MOST_IMAGES):
        for item in items_of(entry.get("datasets") if isinstance(entry, Mapping) else None, MOST_LEVELS):
            path = item.get("path") if isinstance(item, Mapping) else None
            text = str(path) if isinstance(path, str | int) and not isinstance(path, bool) else ""
            if text and not text.startswith("/") and not is_deep(text) and ".." not in text.split("/"):
                paths[text] = None
    return (*paths, *groups_above(paths))


def groups_above(paths: Iterable[str]) -> tuple[str, ...]:
    """Return the paths of the groups between an image and levels with these paths, outermost first.

    Only the first hundreds of them: they hold attributes of others, at most.

    >>> groups_above(["0", "a/b/0", "a/b/1"])
    ('a', 'a/b')
    """
    parts = (path.strip("/").split("/") for path in paths)
    groups = dict.fromkeys("/".join(part[:n]) for part in parts for n in range(1, len(part)))
    return tuple(islice(groups, _MOST_GROUPS))


def placed_by_shapes(
    multiscale: Multiscale,
    shapes: Mapping[str, tuple[int, ...]],
    names: Mapping[str, Json] = MappingProxyType({}),
) -> Multiscale:
    """Return the image with a transform for every level, worked out from the shapes of the arrays by path.

    Levels without a shape are left out, nothing is `unplaced`. A level that the file does not place covers,
    edge to edge, what the first level covers that it does place; if it places none, the first level has
    voxels of size 1, and the others cover what that one covers. Along channels all levels have the same
    transform. The axes are those of the arrays where the image says none, or none has as many dims: `names`
    are those of the dims by path. An array with another number of dims keeps the identity.
    """
    multiscale = with_axes_of_arrays(multiscale, shapes, names)
    levels, axes = tuple(level for level in multiscale.levels if level.path in shapes), multiscale.axes
    fitting = {level.path: level for level in levels if len(shapes[level.path]) == len(axes)}
    if fitting and multiscale.unplaced:
        placed = [level for path, level in fitting.items() if path not in multiscale.unplaced]
        reference = placed[0] if placed else next(iter(fitting.values()))
        channel = multiscale.channel_axis
        missing = {path for path in multiscale.unplaced if path in fitting}
        levels = tuple(
            replace(
                level, transform=_stretched(reference, shapes[reference.path], shapes[level.path], channel)
            )
            if level.path in missing
            else level
            for level in levels
        )
        whole = multiscale.transform or identity(len(axes))
        try:
            for level in levels:
                check_transform(compose(level.transform, whole), Context(), ndim=len(axes))
        except MetadataError:  # infinitely far away: in pixels
            levels = tuple(replace(level, transform=identity(len(axes)), original=None) for level in levels)
            multiscale = replace(multiscale, transform=None)
    return replace(multiscale, levels=levels, unplaced=())


def _stretched(
    reference: Level, reference_shape: tuple[int, ...], shape: tuple[int, ...], channel: int | None
) -> ScaleTranslation:
    """Return the transform of an array that covers, edge to edge, what the reference covers."""
    factors = [
        1.0 if axis == channel or 0 in sizes or max(sizes) > _LONGEST else sizes[0] / sizes[1]
        for axis, sizes in enumerate(zip(reference_shape, shape, strict=True))
    ]
    # 0.6, "Coordinate convention": a voxel's centre is its position, and half of it lies on either side.
    return coarser(reference.transform, factors)
