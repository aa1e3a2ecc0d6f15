"""Entries of ``multiscales`` and their levels: which can be read, and which of them say where they lie.

Alike in all versions; how a level says it is each version's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from napari_ome_ngff.errors import MetadataError, OmeNgffError
from napari_ome_ngff.metadata.group_kind import container_of
from napari_ome_ngff.metadata.json_checks import Notes, as_list, as_mapping, as_path, describe
from napari_ome_ngff.metadata.nouns import Axis, Json, Level, Multiscale, ScaleTranslation
from napari_ome_ngff.metadata.transforms import check_transform, compose, identity

MOST_IMAGES = 256
"""Entries of ``multiscales`` that are looked at."""


MOST_LEVELS = 64
"""Levels of an image that are looked at: nothing can be halved more often than this."""


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


ASSUMED_AXES = (
    Axis(name="t", type="time"),
    Axis(name="c", type="channel"),
    Axis(name="z", type="space"),
    Axis(name="y", type="space"),
    Axis(name="x", type="space"),
)
"""0.1 and 0.2, "multiscales": the arrays are five-dimensional, "tczyx"."""


_LONGEST = 2**63


def placed_by_shapes(multiscale: Multiscale, shapes: Mapping[str, tuple[int, ...]]) -> Multiscale:
    """Return the image with a place for every level, worked out from the sizes of the arrays.

    Parameters
    ----------
    multiscale
        The image, as `decode` returned it.
    shapes
        Path of each level that is there to the shape of its array, such as ``(z, y, x)``.

    Returns
    -------
    Multiscale
        Without levels that `shapes` does not have, and with nothing in `unplaced`. A level that the file does
        not place covers, edge to edge, what the first level covers that it does place; if it places none,
        the first level has voxels of size 1, and the others cover what that one covers. Along channels all
        levels lie alike. Arrays of an image of 0.1 or 0.2 with less than five dims have the last of t, c, z,
        y, x. An array with another number of dims than the image keeps the identity as its place.

    Raises
    ------
    MetadataError
        If a level would lie infinitely far away.

    Examples
    --------
    >>> axes = (Axis(name="y", type="space"), Axis(name="x", type="space"))
    >>> levels = tuple(Level(path=path, transform=identity(2)) for path in "01")
    >>> image = Multiscale(version="0.3", axes=axes, levels=levels, unplaced=("0", "1"))
    >>> placed_by_shapes(image, {"0": (8, 6), "1": (4, 3)}).levels[1].transform
    ScaleTranslation(scale=(2.0, 2.0), translation=(0.5, 0.5))
    """
    there = tuple(level for level in multiscale.levels if level.path in shapes)
    axes = _axes(multiscale, [len(shapes[level.path]) for level in there])
    if axes != multiscale.axes:
        there = tuple(replace(level, transform=identity(len(axes))) for level in there)
    fitting = {level.path: level for level in there if len(shapes[level.path]) == len(axes)}
    known = [level for path, level in fitting.items() if path not in multiscale.unplaced]
    if fitting and multiscale.unplaced:
        whole = known[0] if known else next(iter(fitting.values()))
        channel = replace(multiscale, axes=axes).channel_axis
        missing = {path for path in multiscale.unplaced if path in fitting}
        there = tuple(
            replace(level, transform=_stretched(whole, shapes[whole.path], shapes[level.path], channel))
            if level.path in missing
            else level
            for level in there
        )
        for level in there:
            whole_image = multiscale.transform or identity(len(axes))
            check_transform(compose(level.transform, whole_image), ndim=len(axes), where=level.path)
    return replace(multiscale, axes=axes, levels=there, unplaced=())


def _axes(multiscale: Multiscale, ndims: list[int]) -> tuple[Axis, ...]:
    """Return the axes, as many of the assumed ones as the arrays have dims."""
    old = multiscale.version in ("0.1", "0.2") and multiscale.axes == ASSUMED_AXES
    all_unplaced = all(level.path in multiscale.unplaced for level in multiscale.levels)
    if old and all_unplaced and ndims and 2 <= ndims[0] < len(ASSUMED_AXES):
        return ASSUMED_AXES[-ndims[0] :]
    return multiscale.axes


def _stretched(
    whole: Level, shape: tuple[int, ...], other: tuple[int, ...], channel: int | None
) -> ScaleTranslation:
    """Return the place of an array that covers, edge to edge, what a placed one covers."""
    factors = [
        1.0 if axis == channel or 0 in (size, its) or max(size, its) > _LONGEST else size / its
        for axis, (size, its) in enumerate(zip(shape, other, strict=True))
    ]
    placed = zip(whole.transform.scale, whole.transform.translation, factors, strict=True)
    # 0.6, "Coordinate convention": a voxel's centre is its place, and half of it lies on either side.
    return ScaleTranslation(
        scale=tuple(factor * scale for scale, factor in zip(whole.transform.scale, factors, strict=True)),
        translation=tuple(t + scale * (factor - 1.0) / 2.0 for scale, t, factor in placed),
    )
