"""Scale and translation, the transforms that place voxels: composition, inverse and their JSON.

A :class:`ScaleTranslation` maps an index to a position, ``scale * index + translation``, one number per
axis. Everything here is plain float arithmetic on tuples.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from napari_ome_ngff.errors import MetadataError, OmeNgffError, OptionError, UnsupportedError
from napari_ome_ngff.metadata.json_checks import Notes, as_list, as_mapping, as_vector, describe
from napari_ome_ngff.metadata.nouns import Axis, Json, Multiscale, ScaleTranslation

METHODS = ("mean", "mode", "nearest")
"""Ways to make a level from the one above it, as far as placement is concerned."""


def identity(ndim: int) -> ScaleTranslation:
    """Return the transform that leaves positions as they are.

    Examples
    --------
    >>> identity(2)
    ScaleTranslation(scale=(1.0, 1.0), translation=(0.0, 0.0))
    """
    return ScaleTranslation(scale=(1.0,) * ndim, translation=(0.0,) * ndim)


def compose(first: ScaleTranslation, then: ScaleTranslation) -> ScaleTranslation:
    """Return the transform that applies `first`, and `then` to the result: ``S * (s * i + t) + T``.

    OME-NGFF 0.4, "coordinateTransformations": "The transformations in the list are applied sequentially and
    in order."

    Raises
    ------
    MetadataError
        If the two have different numbers of axes.

    Examples
    --------
    >>> level = ScaleTranslation(scale=(2.0,), translation=(0.5,))
    >>> compose(level, ScaleTranslation(scale=(10.0,), translation=(3.0,)))
    ScaleTranslation(scale=(20.0,), translation=(8.0,))
    """
    if len(first.scale) != len(then.scale):
        raise MetadataError(
            "Two transforms of different numbers of axes cannot follow each other.",
            found=f"{len(first.scale)} and {len(then.scale)} axes",
        )
    return ScaleTranslation(
        scale=tuple(s * f for s, f in zip(then.scale, first.scale, strict=True)),
        translation=tuple(
            s * f + t for s, f, t in zip(then.scale, first.translation, then.translation, strict=True)
        ),
    )


def invert(transform: ScaleTranslation) -> ScaleTranslation:
    """Return the transform that leads back from positions to indices.

    Raises
    ------
    MetadataError
        If a scale is zero: no index could be found again.

    Examples
    --------
    >>> invert(ScaleTranslation(scale=(2.0,), translation=(3.0,)))
    ScaleTranslation(scale=(0.5,), translation=(-1.5,))
    """
    if 0.0 in transform.scale:
        raise MetadataError("A scale of zero cannot be inverted.", found=describe(transform.scale))
    return ScaleTranslation(
        scale=tuple(1.0 / s for s in transform.scale),
        translation=tuple(-t / s for s, t in zip(transform.scale, transform.translation, strict=True)),
    )


def level_translation(translation: float, scale: float, factor: int, method: str) -> float:
    """Return where voxel 0 of a coarser level lies along one axis.

    OME-NGFF 0.6, "Coordinate convention": a voxel's centre is its place. A voxel made of `factor` voxels
    lies in their middle; one that is a copy of the first of them lies where that one lies.

    Parameters
    ----------
    translation, scale
        Of the finer level, in the axis' unit.
    factor
        How many voxels of the finer level make one of the coarser.
    method
        ``"mean"`` or ``"mode"`` (made of all of them), or ``"nearest"`` (every `factor`-th one is kept).

    Raises
    ------
    OptionError
        If there is no such method.

    Examples
    --------
    >>> level_translation(0.0, 1.0, 2, "mean"), level_translation(0.0, 1.0, 2, "nearest")
    (0.5, 0.0)
    """
    if method not in METHODS:
        raise OptionError(
            "There is no such downsampling method.", found=describe(method), expected=", ".join(METHODS)
        )
    return translation if method == "nearest" else translation + scale * (factor - 1) / 2


def level_transform(multiscale: Multiscale, index: int) -> ScaleTranslation:
    """Return the transform of one level from indices to positions, the multiscale's own included.

    Parameters
    ----------
    multiscale
        The image.
    index
        Which level; 0 is the finest.

    Raises
    ------
    OptionError
        If there is no such level.

    Examples
    --------
    >>> from napari_ome_ngff.metadata.nouns import Level
    >>> level = Level(path="0", transform=ScaleTranslation(scale=(2.0,), translation=(0.5,)))
    >>> whole = ScaleTranslation(scale=(10.0,), translation=(3.0,))
    >>> level_transform(Multiscale(version="0.5", axes=(), levels=(level,), transform=whole), 0)
    ScaleTranslation(scale=(20.0,), translation=(8.0,))
    """
    if not 0 <= index < len(multiscale.levels):
        raise OptionError(
            "There is no such level.", found=describe(index), expected=f"0 to {len(multiscale.levels) - 1}"
        )
    # 0.4 and 0.5: the multiscale's transforms "are applied after" those of the dataset.
    transform = multiscale.levels[index].transform
    return transform if multiscale.transform is None else compose(transform, multiscale.transform)


def decode_scale_translation(transforms: Json, *, ndim: int, where: str) -> ScaleTranslation:
    """Compose a list of scale, translation and identity transforms, in list order.

    Parameters
    ----------
    transforms
        Value of ``coordinateTransformations``; the order and number of its items are not judged.
    ndim
        Number of axes.
    where
        Location and JSON path, for errors.

    Raises
    ------
    MetadataError
        If an item is malformed, has a wrong length, or a scale is zero or not finite.
    UnsupportedError
        If an item has another type, or keeps its numbers in an array (``path``).

    Examples
    --------
    >>> decode_scale_translation(
    ...     [{"type": "scale", "scale": [2]}, {"type": "translation", "translation": [5]}], ndim=1, where=""
    ... )
    ScaleTranslation(scale=(2.0,), translation=(5.0,))
    """
    result = identity(ndim)
    for index, item in enumerate(as_list(transforms, where=where, what="a list of transforms")):
        result = compose(result, decode_transform(item, ndim=ndim, where=f"{where}[{index}]"))
    # Finite numbers may still multiply to infinity or to zero.
    check_transform(result, ndim=ndim, where=where)
    return result


def decode_transform(transform: Json, *, ndim: int, where: str) -> ScaleTranslation:
    """Return one scale, translation or identity transform.

    Raises
    ------
    MetadataError
        If it is malformed, has a wrong length, or a scale is zero or not finite.
    UnsupportedError
        If it has another type, or keeps its numbers in an array (``path``).

    Examples
    --------
    >>> decode_transform({"type": "translation", "translation": [5]}, ndim=1, where="")
    ScaleTranslation(scale=(1.0,), translation=(5.0,))
    """
    item = as_mapping(transform, where=where, what="a transform")
    kind = item.get("type")
    if kind == "identity":
        return identity(ndim)
    if not isinstance(kind, str):
        raise MetadataError(
            "A coordinate transform does not say its type.",
            where=where,
            found=describe(item),
            expected="a type, such as 'scale'",
        )
    if kind not in ("scale", "translation"):
        raise UnsupportedError(
            f"Levels that are placed by a transform of type {describe(kind)} cannot be shown.",
            where=where,
            expected="scale, translation or identity",
        )
    if kind not in item and "path" in item:
        raise UnsupportedError(
            f"A {kind} whose numbers are kept in a Zarr array cannot be read.",
            where=where,
            expected=f"the numbers in the metadata, under '{kind}'",
        )
    vector = as_vector(item.get(kind), ndim=ndim, where=f"{where}.{kind}", what=kind)
    if kind == "translation":
        return ScaleTranslation(scale=(1.0,) * ndim, translation=vector)
    result = ScaleTranslation(scale=vector, translation=(0.0,) * ndim)
    check_transform(result, ndim=ndim, where=f"{where}.scale")
    return result


def check_transform(transform: ScaleTranslation, *, ndim: int, where: str) -> None:
    """Check that a transform places voxels: one finite number per axis, no scale of zero.

    Raises
    ------
    MetadataError
        If it does not.

    Examples
    --------
    >>> check_transform(identity(3), ndim=3, where="datasets[0]")
    """
    for what, vector in (("scale", transform.scale), ("translation", transform.translation)):
        if len(vector) != ndim:
            raise MetadataError(
                f"A {what} must have one number per axis.",
                where=where,
                found=describe(vector),
                expected=f"{ndim} numbers",
            )
        if not all(math.isfinite(number) for number in vector):
            raise MetadataError(
                f"A {what} must be made of finite numbers.", where=where, found=describe(vector)
            )
    if 0.0 in transform.scale:
        raise MetadataError(
            "A scale must not be zero: all voxels would lie at one place.",
            where=where,
            found=describe(transform.scale),
        )


def encode_transform(transform: ScaleTranslation, *, ndim: int, where: str) -> list[dict[str, Json]]:
    """Return a transform as JSON: a scale, then a translation.

    0.4 and 0.5: "They MUST contain exactly one scale transformation ... If translation is given it MUST be
    listed after scale".

    Raises
    ------
    MetadataError
        If a number is missing or not finite, or a scale is zero.

    Examples
    --------
    >>> encode_transform(identity(1), ndim=1, where="")
    [{'type': 'scale', 'scale': [1.0]}, {'type': 'translation', 'translation': [0.0]}]
    """
    try:
        scale = [float(number) for number in transform.scale]
        translation = [float(number) for number in transform.translation]
    except (TypeError, ValueError, OverflowError) as error:
        raise MetadataError(
            "A scale or translation is not made of numbers.", where=where, found=str(error)
        ) from error
    transform = ScaleTranslation(scale=tuple(scale), translation=tuple(translation))
    check_transform(transform, ndim=ndim, where=where)
    return [{"type": "scale", "scale": scale}, {"type": "translation", "translation": translation}]


_PLAIN = (["scale"], ["scale", "translation"])


_OF_SYSTEMS = ("input", "output", "path")


def spelled_steps(spelled: Json, transform: ScaleTranslation) -> list[Json] | None:
    """Return transforms as 0.4 and 0.5 have them, or None if they must be spelled anew.

    Parameters
    ----------
    spelled
        ``coordinateTransformations`` as they were read, by whatever version.
    transform
        What they have to say.

    Examples
    --------
    >>> steps = [{"type": "scale", "scale": [2], "name": "binned"}]
    >>> spelled_steps(steps, ScaleTranslation(scale=(2.0,), translation=(0.0,)))
    [{'type': 'scale', 'scale': [2], 'name': 'binned'}]
    >>> spelled_steps(steps, ScaleTranslation(scale=(3.0,), translation=(0.0,))) is None
    True
    """
    steps = list(spelled) if isinstance(spelled, list | tuple) else []
    if _kinds(steps) not in _PLAIN or any(key in step for step in steps for key in _OF_SYSTEMS):
        return None
    return steps if _say(steps, transform) else None


def spelled_place(
    spelled: Json, transform: ScaleTranslation, *, path: str, system: str
) -> dict[str, Json] | None:
    """Return the transform of a level as 0.6 has it, or None if it must be spelled anew.

    Parameters
    ----------
    spelled
        ``coordinateTransformations`` of the dataset as they were read, by whatever version.
    transform
        What they have to say.
    path, system
        Of the level, and the coordinate system that it is placed in.

    Examples
    --------
    >>> item = {"type": "identity", "input": {"path": "0"}, "output": {"name": "lab"}, "name": "none"}
    >>> still = ScaleTranslation(scale=(1.0,), translation=(0.0,))
    >>> spelled_place([item], still, path="0", system="lab")["name"]
    'none'
    """
    item = spelled[0] if isinstance(spelled, list | tuple) and len(spelled) == 1 else None
    if not isinstance(item, Mapping) or None in item.values():
        return None
    # "in the input object provide path and omit name", "in the output object provide name and omit path"
    if item.get("input") != {"path": path} or item.get("output") != {"name": system}:
        return None
    steps: Json = [item]
    if item.get("type") == "sequence":
        steps = item.get("transformations")
        # "A sequence transformation containing one scale and one translation"
        if not isinstance(steps, list | tuple) or _kinds(steps) != ["scale", "translation"]:
            return None
        if any(key in step for step in steps for key in _OF_SYSTEMS):
            return None
    elif _kinds(steps) not in (["scale"], ["identity"]) or "path" in item:
        return None
    return dict(item) if _say(steps, transform) else None


def _kinds(steps: Sequence[Json]) -> list[Json]:
    return [step.get("type") if isinstance(step, Mapping) else None for step in steps]


def _say(steps: Sequence[Json], transform: ScaleTranslation) -> bool:
    try:
        return decode_scale_translation(steps, ndim=len(transform.scale), where="") == transform
    except OmeNgffError:
        return False


_MOST_STEPS = 100


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
