"""Entries of ``multiscales`` and their levels: which can be read, and which of them say where they lie.

Alike in all versions; how a level says it is each version's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from napari_ome_ngff.errors import MetadataError, OmeNgffError
from napari_ome_ngff.metadata.group_kind import container_of
from napari_ome_ngff.metadata.json_checks import Notes, as_list, as_mapping, as_path, describe
from napari_ome_ngff.metadata.looks import Json
from napari_ome_ngff.metadata.nouns import Axis, Level, Multiscale, ScaleTranslation
from napari_ome_ngff.metadata.transforms import identity

MOST_IMAGES = 256
"""Entries of ``multiscales`` that are looked at."""


MOST_LEVELS = 64
"""Levels of an image that are looked at: nothing can be halved more often than this."""


_MOST_STEPS = 100


_TRANSFORMS = "coordinateTransformations"


def decode_entries(
    own: Mapping[str, Json],
    decode_entry: Callable[[Mapping[str, Json], str], Multiscale],
    *,
    prefix: str,
    notes: Notes,
) -> tuple[Multiscale, ...]:
    """Return the images of ``multiscales``, those that can be read if there are any.

    Parameters
    ----------
    own
        The object that holds ``multiscales``.
    decode_entry
        From an entry and its place to the image.
    prefix
        What the place of ``multiscales`` starts with.
    notes
        Where to note what cannot be read.

    Raises
    ------
    OmeNgffError
        If no entry can be read, or none has two axes: what is wrong with the first one.

    Examples
    --------
    >>> axes = (Axis(name="y"), Axis(name="x"))
    >>> def decode_entry(entry, where):
    ...     return Multiscale(version="0.4", axes=axes, levels=(), name=entry["name"])
    >>> decode_entries({"multiscales": [{"name": "a"}]}, decode_entry, prefix="", notes=Notes(""))[0].name
    'a'
    """
    place = f"{prefix}multiscales"
    items = as_list(own.get("multiscales"), where=place, what="a list of images")
    if not items:
        raise MetadataError("The list of images is empty.", where=place)
    if len(items) > MOST_IMAGES:
        notes.add(place, f"{len(items)} images, only the first {MOST_IMAGES} are read")
    images: list[Multiscale] = []
    problems: list[OmeNgffError] = []
    for index, item in enumerate(items[:MOST_IMAGES]):
        at = f"{place}[{index}]"
        try:
            image = decode_entry(as_mapping(item, where=at, what="the description of an image"), at)
            # 'The length of "axes" must be between 2 and 5'
            if len(image.axes) < 2:
                raise MetadataError(
                    "An image must have at least two axes.", where=at, found=describe(image.dims)
                )
            images.append(image)
        except OmeNgffError as error:
            problems.append(error)
            notes.add(at, f"left out: {error.summary}")
    if not images:
        raise problems[0]
    return tuple(images)


def decode_levels(
    entry: Mapping[str, Json],
    decode_place: Callable[[Mapping[str, Json], str, str], ScaleTranslation | None],
    *,
    ndim: int,
    where: str,
    notes: Notes,
    placed: bool = True,
) -> tuple[tuple[Level, ...], tuple[str, ...]]:
    """Return the levels of an image, and the paths of those of which it is not known where they lie.

    Parameters
    ----------
    entry
        An entry of ``multiscales``.
    decode_place
        From a dataset, its path and its place in the JSON to the dataset's transform; None if it has none.
    ndim
        Number of axes.
    where
        Location and JSON path of the entry.
    notes
        Where to note what breaks a rule.
    placed
        Whether a level must say where it lies (0.4 and later).

    Returns
    -------
    tuple of Level
        Each path once; a level without a usable transform has the identity.
    tuple of str
        Paths of those.

    Raises
    ------
    MetadataError
        If there is no level, or none of which the place can be read although it is said.
    UnsupportedError
        If a level is placed by something else than scale and translation.

    Examples
    --------
    >>> entry = {"datasets": [{"path": "0"}]}
    >>> decode_levels(entry, lambda *_: None, ndim=1, where="", notes=Notes(""))[1]
    ('0',)
    """
    levels: dict[str, Level] = {}
    unnamed: list[MetadataError] = []
    misplaced: list[MetadataError] = []
    unplaced: dict[str, tuple[str, str]] = {}
    for at, item in _datasets(entry, where=where, notes=notes):
        try:
            dataset = as_mapping(item, where=at, what="a dataset")
            path = decode_path(dataset.get("path"), where=f"{at}.path", notes=notes)
        except MetadataError as error:
            unnamed.append(error)
            notes.add(at, f"left out: {error.summary}")
            continue
        if path in levels:
            notes.add(f"{at}.path", f"{describe(path)} again, left out")
            continue
        transform, problem = None, "missing"
        try:
            transform = decode_place(dataset, path, at)
        except MetadataError as error:
            misplaced.append(error)
            problem = error.summary.removesuffix(".")
        if transform is None:
            unplaced[path] = f"{at}.coordinateTransformations", problem
        levels[path] = Level(
            path=path,
            transform=transform or identity(ndim),
            spelled=None if transform is None else dataset.get(_TRANSFORMS),
            extra={key: value for key, value in dataset.items() if key not in ("path", _TRANSFORMS)},
        )
    # A level can be placed by its size only beside one of which the place is known.
    if not levels or (misplaced and len(unplaced) == len(levels)):
        raise (unnamed if not levels else misplaced)[0]
    for count, (at, problem) in enumerate(unplaced.values() if placed else ()):
        first = count == 0 and len(unplaced) == len(levels)
        notes.add(at, problem + (", voxels of size 1 assumed" if first else ", placed by its size"))
    return tuple(levels.values()), tuple(unplaced)


def _datasets(entry: Mapping[str, Json], *, where: str, notes: Notes) -> list[tuple[str, Json]]:
    """Return place and content of the entries of ``datasets``, not more than an image can have."""
    place = f"{where}.datasets"
    items = as_list(entry.get("datasets"), where=place, what="a list of datasets")
    if not items:
        raise MetadataError("The image has no levels.", where=place, expected="at least one dataset")
    if len(items) > MOST_LEVELS:
        notes.add(place, f"{len(items)} levels, only the first {MOST_LEVELS} are read")
    return [(f"{place}[{index}]", item) for index, item in enumerate(items[:MOST_LEVELS])]


def decode_path(path: Json, *, where: str, notes: Notes) -> str:
    """Return the path of a level's array.

    Raises
    ------
    MetadataError
        If it is missing, or could lead out of the group.

    Examples
    --------
    >>> decode_path(0, where="datasets[0].path", notes=Notes(""))
    '0'
    """
    # Fractal has written integers.
    if isinstance(path, int) and not isinstance(path, bool) and 0 <= path < 10**9:
        notes.add(where, f"the number {path}, read as text")
        return str(path)
    return as_path(path, where=where)


def usable_steps(
    transforms: Json, axes: Sequence[Axis], *, parameters: Mapping[str, Json], where: str, notes: Notes
) -> Json:
    """Return a list of transforms with numbers from arrays put in, and sizes that nobody knows made 1.

    Writers without a time step put 0 or null in its place. Along time or channels that says nothing about
    where a voxel lies; in space it would, and is left to be refused.

    Parameters
    ----------
    transforms
        Value of ``coordinateTransformations``.
    axes
        Of the image.
    parameters
        Path to content of the arrays that transforms keep their numbers in.
    where
        Location and JSON path of `transforms`.
    notes
        Where to note what breaks a rule.

    Raises
    ------
    MetadataError
        If there are more than anyone needs to say where something lies.

    Examples
    --------
    >>> axes = [Axis(name="t", type="time"), Axis(name="x", type="space")]
    >>> usable_steps([{"type": "scale", "scale": [0, 2]}], axes, parameters={}, where="", notes=Notes(""))
    [{'type': 'scale', 'scale': [1.0, 2]}]
    """
    if not isinstance(transforms, list | tuple):
        return transforms
    if len(transforms) > _MOST_STEPS:
        raise MetadataError(
            "There are too many transforms in a row.", where=where, found=describe(transforms)
        )
    steps = []
    for index, item in enumerate(transforms):
        if isinstance(item, Mapping):
            item = _with_numbers(item, parameters)
            item = _with_known_scale(item, axes, where=f"{where}[{index}]", notes=notes)
        steps.append(item)
    return steps


def _with_numbers(item: Mapping[str, Json], parameters: Mapping[str, Json]) -> Mapping[str, Json]:
    kind, path = item.get("type"), item.get("path")
    # 0.4, "coordinateTransformations": the numbers, or the path of an array that has them
    if kind in ("scale", "translation") and kind not in item and isinstance(path, str) and path in parameters:
        return {"type": kind, kind: parameters[path]}
    return item


def _with_known_scale(
    item: Mapping[str, Json], axes: Sequence[Axis], *, where: str, notes: Notes
) -> Mapping[str, Json]:
    numbers = item.get("scale") if item.get("type") == "scale" else None
    if not isinstance(numbers, list | tuple) or len(numbers) != len(axes):
        return item
    unknown = [i for i, axis in enumerate(axes) if axis.type != "space" and _is_unknown(numbers[i])]
    if not unknown:
        return item
    notes.add(
        f"{where}.scale", f"{describe(numbers)} tells nothing about {axes[unknown[0]].name}, 1 is taken"
    )
    return {**item, "scale": [1.0 if i in unknown else number for i, number in enumerate(numbers)]}


def _is_unknown(number: Json) -> bool:
    return number is None or (
        isinstance(number, int | float)
        and not isinstance(number, bool)
        and (number == 0 or (isinstance(number, float) and not math.isfinite(number)))
    )


def listed_paths(attributes: Mapping[str, Json]) -> tuple[str, ...]:
    """Return the paths of levels that a group's attributes name, and of the groups above them in it.

    Whatever else is wrong with them: this is to fetch what may be needed, all at once.

    Parameters
    ----------
    attributes
        Attributes of a group of any version.

    Examples
    --------
    >>> listed_paths({"multiscales": [{"datasets": [{"path": "a/0"}, {"path": 1}, {}, {"path": "../x"}]}]})
    ('a/0', '1', 'a')
    """
    _, own = container_of(attributes) or ("", {})
    found: dict[str, None] = {}
    for entry in _items(own.get("multiscales")):
        for item in _items(entry.get("datasets") if isinstance(entry, Mapping) else None):
            path = item.get("path") if isinstance(item, Mapping) else None
            text = str(path) if isinstance(path, str | int) and not isinstance(path, bool) else ""
            if text and not text.startswith("/") and ".." not in text.split("/"):
                found[text] = None
    return (*found, *groups_above(found))


def groups_above(paths: Iterable[str]) -> tuple[str, ...]:
    """Return the paths of the groups between an image and levels with these paths, outermost first.

    Examples
    --------
    >>> groups_above(["0", "a/b/0", "a/b/1"])
    ('a', 'a/b')
    """
    parts = [path.strip("/").split("/") for path in paths]
    return tuple(dict.fromkeys("/".join(part[:n]) for part in parts for n in range(1, len(part))))


def _items(value: Json) -> list[Json]:
    return list(value)[:1000] if isinstance(value, list | tuple) else []
