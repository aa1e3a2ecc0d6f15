"""Scale and translation, the transforms that place voxels: composition, inverse and their JSON.

Everything here is plain float arithmetic on tuples.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from napari_ome_ngff.errors import MetadataError, OmeNgffError, OptionError, UnsupportedError
from napari_ome_ngff.metadata.affine import is_usable
from napari_ome_ngff.metadata.context import Context
from napari_ome_ngff.metadata.json_checks import as_list, as_mapping, as_vector, describe
from napari_ome_ngff.metadata.nouns import Axis, Json, Multiscale, ScaleTranslation

METHODS = ("mean", "nearest", "mode")
"""How a coarse voxel is made: the mean of its window, the first voxel of it, or the most frequent value."""

ONE_SCALE = (["scale"], ["scale", "translation"])
"""Types of the transforms in a list as 0.4 and 0.5 ask for them."""

_SYSTEM_KEYS = ("input", "output", "path")

_MOST_STEPS = 100


def identity(ndim: int) -> ScaleTranslation:
    """Return the transform that leaves positions as they are."""
    return ScaleTranslation(scale=(1.0,) * ndim, translation=(0.0,) * ndim)


def compose(first: ScaleTranslation, then: ScaleTranslation) -> ScaleTranslation:
    """Return the transform that applies `first`, and `then` to the result: ``S * (s * i + t) + T``.

    0.4, "coordinateTransformations": "The transformations in the list are applied sequentially and in order."
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
    """Return the transform from positions back to indices; a scale of zero is refused."""
    if 0.0 in transform.scale:
        raise MetadataError("A scale of zero cannot be inverted.", found=describe(transform.scale))
    return ScaleTranslation(
        scale=tuple(1.0 / s for s in transform.scale),
        translation=tuple(-t / s for s, t in zip(transform.scale, transform.translation, strict=True)),
    )


def along(transform: ScaleTranslation, axes: Sequence[int]) -> ScaleTranslation:
    """Return the transform along some of the axes, in this order."""
    return ScaleTranslation(
        scale=tuple(transform.scale[i] for i in axes),
        translation=tuple(transform.translation[i] for i in axes),
    )


def level_translation(translation: float, scale: float, factor: float, method: str) -> float:
    """Return the translation of a coarser level along one axis, from that of the finer level.

    0.6, "Coordinate convention": a voxel's centre is its position. A voxel made of `factor` voxels (mean,
    mode) lies in their middle; one that is a copy of the first of them (nearest) lies where that one lies.
    """
    if method not in METHODS:
        raise OptionError(
            "There is no such downsampling method.", found=describe(method), expected=", ".join(METHODS)
        )
    return translation if method == "nearest" else translation + scale * (factor - 1) / 2


def coarser(transform: ScaleTranslation, factors: Sequence[float], method: str = "mean") -> ScaleTranslation:
    """Return the transform of a level whose voxels are larger by a factor per axis than those of another."""
    steps = list(zip(transform.scale, factors, strict=True))
    return ScaleTranslation(
        scale=tuple(s * f for s, f in steps),
        translation=tuple(
            level_translation(t, s, f, method) for t, (s, f) in zip(transform.translation, steps, strict=True)
        ),
    )


def level_transform(multiscale: Multiscale, index: int) -> ScaleTranslation:
    """Return the transform of one level from indices to positions, the multiscale's own included."""
    if not 0 <= index < len(multiscale.levels):
        raise OptionError(
            "There is no such level.", found=describe(index), expected=f"0 to {len(multiscale.levels) - 1}"
        )
    # 0.4 and 0.5: the multiscale's transforms "are applied after" those of the dataset.
    transform = multiscale.levels[index].transform
    return transform if multiscale.transform is None else compose(transform, multiscale.transform)


def decode_scale_translation(transforms: Json, context: Context, *, ndim: int) -> ScaleTranslation:
    """Compose a list of scale, translation and identity transforms, in list order.

    Order and number of the items are not judged.
    """
    result = identity(ndim)
    for index, item in enumerate(as_list(transforms, context, "a list of transforms")):
        result = compose(result, decode_transform(item, context.below(index), ndim=ndim))
    # Finite numbers may still multiply to infinity or to zero.
    check_transform(result, context, ndim=ndim)
    return result


def type_of(item: Mapping[str, Json], context: Context) -> str:
    """Return the type of a transform."""
    kind = item.get("type")
    if not isinstance(kind, str):
        raise context.error(
            "A coordinate transform does not say its type.",
            found=describe(item),
            expected="a type, such as 'scale'",
        )
    return kind


def types_of(steps: Sequence[Json]) -> list[Json]:
    """Return the types of transforms, None for what is no object."""
    return [step.get("type") if isinstance(step, Mapping) else None for step in steps]


def decode_transform(transform: Json, context: Context, *, ndim: int) -> ScaleTranslation:
    """Return one scale, translation or identity transform."""
    item = as_mapping(transform, context, "a transform")
    kind = type_of(item, context)
    if kind == "identity":
        return identity(ndim)
    if kind not in ("scale", "translation"):
        raise context.error(
            f"Levels that are placed by a transform of type {describe(kind)} cannot be shown.",
            expected="scale, translation or identity",
            kind=UnsupportedError,
        )
    if kind not in item and "path" in item:
        raise context.error(
            f"A {kind} whose numbers are kept in a Zarr array cannot be read.",
            expected=f"the numbers in the metadata, under '{kind}'",
            kind=UnsupportedError,
        )
    at = context.below(kind)
    vector = as_vector(item.get(kind), at, ndim=ndim, what=kind)
    if kind == "translation":
        return ScaleTranslation(scale=(1.0,) * ndim, translation=vector)
    result = ScaleTranslation(scale=vector, translation=(0.0,) * ndim)
    check_transform(result, at, ndim=ndim)
    return result


def check_transform(transform: ScaleTranslation, context: Context, *, ndim: int) -> None:
    """Raise unless a transform places voxels: one finite number per axis, no scale of zero."""
    for what, vector in (("scale", transform.scale), ("translation", transform.translation)):
        if len(vector) != ndim:
            raise context.error(
                f"A {what} must have one number per axis.", found=describe(vector), expected=f"{ndim} numbers"
            )
        if not all(map(is_usable, vector)):
            raise context.error(f"A {what} must be made of finite numbers.", found=describe(vector))
    if not all(scale and is_usable(1 / scale) for scale in transform.scale):
        raise context.error(
            "A scale must not be zero: all voxels would lie at one place.", found=describe(transform.scale)
        )


def encode_transform(transform: ScaleTranslation, context: Context, *, ndim: int) -> list[dict[str, Json]]:
    """Return a transform as JSON: a scale, then a translation.

    0.4 and 0.5: "They MUST contain exactly one scale transformation ... If translation is given it MUST be
    listed after scale".
    """
    try:
        scale = [float(number) for number in transform.scale]
        translation = [float(number) for number in transform.translation]
    except (TypeError, ValueError, OverflowError) as error:
        raise context.error("A scale or translation is not made of numbers.", found=str(error)) from error
    transform = ScaleTranslation(scale=tuple(scale), translation=tuple(translation))
    check_transform(transform, context, ndim=ndim)
    return [{"type": "scale", "scale": scale}, {"type": "translation", "translation": translation}]


def original_steps(original: Json, transform: ScaleTranslation) -> list[Json] | None:
    """Return ``coordinateTransformations`` as they were read, if 0.4 and 0.5 may have them.

    None if they must be written anew: in another form, or with other numbers than `transform`.
    """
    steps = list(original) if isinstance(original, list | tuple) else []
    if types_of(steps) not in ONE_SCALE or any(key in step for step in steps for key in _SYSTEM_KEYS):
        return None
    return steps if _are_equal(steps, transform) else None


def original_transform(
    original: Json, transform: ScaleTranslation, *, path: str, system: str
) -> dict[str, Json] | None:
    """Return the transform of a level to its system as it was read, if 0.6 may have it; else None."""
    item = original[0] if isinstance(original, list | tuple) and len(original) == 1 else None
    if not isinstance(item, Mapping) or None in item.values():
        return None
    # "in the input object provide path and omit name", "in the output object provide name and omit path"
    if item.get("input") != {"path": path} or item.get("output") != {"name": system}:
        return None
    steps: Json = [item]
    if item.get("type") == "sequence":
        steps = item.get("transformations")
        # "A sequence transformation containing one scale and one translation"
        if not isinstance(steps, list | tuple) or types_of(steps) != ["scale", "translation"]:
            return None
        if any(key in step for step in steps for key in _SYSTEM_KEYS):
            return None
    elif types_of(steps) not in (["scale"], ["identity"]) or "path" in item:
        return None
    return dict(item) if _are_equal(steps, transform) else None


def _are_equal(steps: Sequence[Json], transform: ScaleTranslation) -> bool:
    try:
        context = Context()
        same = decode_scale_translation(steps, context, ndim=len(transform.scale)) == transform
        return same and not context.notes
    except OmeNgffError:
        return False


def usable_steps(transforms: Json, axes: Sequence[Axis], context: Context) -> Json:
    """Return a list of transforms with a number for each axis, also from arrays, and unknown sizes made 1.

    Writers without a time step put 0 or null in its place. Along time or channels that says nothing about
    where a voxel lies; in space it would, and is left to be refused. Numbers for the axes of space alone
    count for those; more numbers than axes are the last ones, if the others do nothing.
    """
    if not isinstance(transforms, list | tuple):
        return transforms
    if len(transforms) > _MOST_STEPS:
        raise context.error("There are too many transforms in a row.", found=describe(transforms))
    return [
        _with_known_scale(
            _for_each_axis(_with_numbers(item, context.parameters), axes, context.below(index)),
            axes,
            context,
            index,
        )
        if isinstance(item, Mapping)
        else item
        for index, item in enumerate(transforms)
    ]


def _with_numbers(item: Mapping[str, Json], parameters: Mapping[str, Json]) -> Mapping[str, Json]:
    kind, path = item.get("type"), item.get("path")
    # 0.4, "coordinateTransformations": the numbers, or the path of an array that has them
    if kind in ("scale", "translation") and kind not in item and isinstance(path, str) and path in parameters:
        return {"type": kind, kind: parameters[path]}
    return item


def _for_each_axis(item: Mapping[str, Json], axes: Sequence[Axis], context: Context) -> Mapping[str, Json]:
    kind = str(item.get("type"))
    numbers = item.get(kind) if kind in ("scale", "translation") else None
    if not isinstance(numbers, list | tuple) or len(numbers) == len(axes):
        return item
    nothing = 1.0 if kind == "scale" else 0.0
    space = [index for index, axis in enumerate(axes) if axis.type == "space"]
    if len(numbers) == len(space):
        values = dict(zip(space, numbers, strict=True))
        fitted = [values.get(index, nothing) for index in range(len(axes))]
    elif len(numbers) > len(axes) and all(number == nothing for number in numbers[: -len(axes)]):
        fitted = list(numbers[-len(axes) :])
    else:
        return item
    context.below(kind).note(f"{len(numbers)} numbers for {len(axes)} axes, taken as {describe(fitted)}")
    return {**item, kind: fitted}


def _with_known_scale(
    item: Mapping[str, Json], axes: Sequence[Axis], context: Context, index: int
) -> Mapping[str, Json]:
    numbers = item.get("scale") if item.get("type") == "scale" else None
    if not isinstance(numbers, list | tuple) or len(numbers) != len(axes):
        return item
    unknown = [i for i, axis in enumerate(axes) if axis.type != "space" and _is_unknown(numbers[i])]
    if not unknown:
        return item
    context.below(index, "scale").note(
        f"{describe(numbers)} tells nothing about {axes[unknown[0]].name}, 1 is taken"
    )
    return {**item, "scale": [1.0 if i in unknown else number for i, number in enumerate(numbers)]}


def _is_unknown(number: Json) -> bool:
    return number is None or (
        isinstance(number, int | float)
        and not isinstance(number, bool)
        and (number == 0 or (isinstance(number, float) and not math.isfinite(number)))
    )
