"""OME-Zarr 0.1 to 0.5: axes and transforms directly in each entry of ``multiscales``."""

from __future__ import annotations

from collections.abc import Mapping

from napari_ome_ngff.errors import OmeNgffError
from napari_ome_ngff.metadata.affine import as_scale_translation
from napari_ome_ngff.metadata.axes import (
    TRANSFORMS_KEY,
    check_levels,
    decode_axes,
    decode_description,
    encode_axes,
    encode_description,
    unknown_keys,
)
from napari_ome_ngff.metadata.context import Context
from napari_ome_ngff.metadata.image.array_axes import ASSUMED_AXES
from napari_ome_ngff.metadata.image.datasets import LEGACY, MOST_LEVELS, decode_levels
from napari_ome_ngff.metadata.json_checks import describe, items_of, listed
from napari_ome_ngff.metadata.nouns import Axis, Json, Multiscale, ScaleTranslation
from napari_ome_ngff.metadata.systems.alternatives import (
    are_alternatives,
    decode_alternatives,
    preferred,
)
from napari_ome_ngff.metadata.systems.read_transform import decode_two_way
from napari_ome_ngff.metadata.systems.rotated import affine_into_levels
from napari_ome_ngff.metadata.transforms import (
    ONE_SCALE,
    check_transform,
    compose,
    decode_scale_translation,
    encode_transform,
    identity,
    original_steps,
    types_of,
    usable_steps,
)
from napari_ome_ngff.metadata.units import axis_type


def decode_entry(entry: Mapping[str, Json], context: Context, version: str) -> Multiscale:
    """Return the image that an entry of ``multiscales`` of 0.1 to 0.5 describes.

    Before 0.4 a level need not say where it lies: all are `unplaced`, unless the file has transforms
    nevertheless.
    """
    axes, guessed = decode_axes_or_guess(entry.get("axes"), entry, context, version)
    levels, unplaced = decode_levels(
        entry,
        lambda dataset, _, at: _decode_steps(dataset.get(TRANSFORMS_KEY), axes, at.below(TRANSFORMS_KEY)),
        context,
        ndim=len(axes),
        placed=version not in LEGACY,
    )
    at = context.below(TRANSFORMS_KEY)
    transforms = entry.get(TRANSFORMS_KEY)
    fields: dict[str, Json] = {"axes": axes, "transform": None}
    if are_alternatives(transforms):
        fields |= decode_alternatives(transforms, axes, at)
    else:
        fields |= _place_of_image(transforms, axes, at)
    whole = fields["transform"]
    try:
        for level in levels:
            check_transform(compose(level.transform, whole or identity(len(axes))), at, ndim=len(axes))
    except OmeNgffError as error:
        at.note(f"{error.summary.removesuffix('.')}, ignored")
        whole = fields["transform"] = None
    return Multiscale(
        # Neither axes nor transforms: that is what 0.2 was, whose axes follow from the arrays.
        version="0.2" if guessed and version not in LEGACY and len(unplaced) == len(levels) else version,
        assumed=guessed,
        levels=levels,
        unplaced=unplaced,
        original=None if whole is None else transforms,
        **fields | {"extra": unknown_keys(entry) | fields.get("extra", {})},
        **decode_description(entry, context),
    )


def _place_of_image(transforms: Json, axes: tuple[Axis, ...], context: Context) -> dict[str, Json]:
    """Return the fields of a Multiscale that say how all of its levels are placed; empty if none does."""
    try:
        if set(types_of(items_of(transforms, MOST_LEVELS))) <= {"scale", "translation", "identity"}:
            return {"transform": _decode_steps(transforms, axes, context, of_image=True)}
        names = [axis.name for axis in axes]
        steps = {
            "type": "sequence",
            "transformations": usable_steps(listed(transforms, context), axes, context),
        }
        affine = decode_two_way(steps, context, inputs=names, outputs=names).forward
        context.note("more than a scale, then at most one translation")
        plain = as_scale_translation(affine)
        return {"affine": affine} if plain is None else {"transform": plain}
    except OmeNgffError as error:
        context.note(f"{error.summary.removesuffix('.')}, ignored")
        return {}


def decode_axes_or_guess(
    axes: Json, entry: Mapping[str, Json], context: Context, version: str
) -> tuple[tuple[Axis, ...], bool]:
    """Return the axes of an image, and whether they had to be guessed from the number of dims."""
    context = context.below("axes")
    if version in LEGACY:
        axes = _legacy_axes(axes)
        if axes is None and version != "0.3":
            return ASSUMED_AXES, True
    if axes is not None and axes != []:
        return decode_axes(axes, context), False
    lengths = _vector_lengths(entry)
    count = lengths.pop() if len(lengths) == 1 else len(ASSUMED_AXES)
    assumed = ASSUMED_AXES[-count if 2 <= count <= len(ASSUMED_AXES) else 0 :]
    names = ", ".join(axis.name for axis in assumed)
    context.note(f"missing, {names} assumed, if the arrays do not name their dimensions")
    return assumed, True


def _legacy_axes(axes: Json) -> Json:
    """Return axes of 0.1 to 0.3 in the form of 0.4."""
    # 0.3: '"axes": ["t", "c", "z", "y", "x"]'
    if isinstance(axes, list | tuple) and all(isinstance(name, str) for name in axes):
        return [{"name": name, "type": axis_type(name, None)} for name in axes]
    return axes


def _vector_lengths(entry: Mapping[str, Json]) -> set[int]:
    """Return for how many axes the levels of an image are placed, as their scales and translations say."""
    steps = [
        step
        for item in items_of(entry.get("datasets"), MOST_LEVELS)
        if isinstance(item, Mapping)
        for step in items_of(item.get(TRANSFORMS_KEY), 2)
        if isinstance(step, Mapping)
    ]
    vectors = [step.get(key) for step in steps for key in ("scale", "translation")]
    return {len(vector) for vector in vectors if isinstance(vector, list | tuple)}


def _decode_steps(
    transforms: Json, axes: tuple[Axis, ...], context: Context, *, of_image: bool = False
) -> ScaleTranslation | None:
    """Return the transform of a dataset, or of an image; None if the file does not say it.

    That of an image is also None where it changes nothing.
    """
    # 'MUST contain the field TRANSFORMS_KEY ... MUST contain exactly one scale'. For an image,
    # MoBIE and SpatialData have written an empty list, and an identity.
    if transforms is None or transforms in ([], {}):
        return None
    transforms = listed(transforms, context)
    if are_alternatives(transforms):
        transforms = preferred(transforms)
    transforms = usable_steps(transforms, axes, context)
    transform = decode_scale_translation(transforms, context, ndim=len(axes))
    kinds = [item["type"] for item in transforms]
    if kinds not in ONE_SCALE and not (of_image and kinds == ["identity"]):
        context.note(f"{describe(kinds)} instead of a scale, then at most one translation")
    return None if of_image and set(kinds) == {"identity"} else transform


def encode_entry(multiscale: Multiscale, context: Context) -> dict[str, Json]:
    """Return an entry of ``multiscales`` as 0.4 and 0.5 have it, without version."""
    multiscale = affine_into_levels(multiscale, context)
    ndim = len(multiscale.axes)
    axes = encode_axes(multiscale.axes, context.below("axes"))
    check_levels(multiscale.levels, context.below("datasets"))
    levels = []
    for index, level in enumerate(multiscale.levels):
        at = context.below("datasets", index, TRANSFORMS_KEY)
        steps = _encode_steps(level.transform, level.original, at, ndim=ndim)
        levels.append(dict(level.extra) | {"path": level.path, TRANSFORMS_KEY: steps})
    entry = {**encode_description(multiscale, context), "axes": axes, "datasets": levels}
    if multiscale.transform is not None:
        at = context.below(TRANSFORMS_KEY)
        entry[TRANSFORMS_KEY] = _encode_steps(multiscale.transform, multiscale.original, at, ndim=ndim)
    return entry | unknown_keys(multiscale.extra)


def _encode_steps(transform: ScaleTranslation, original: Json, context: Context, *, ndim: int) -> list[Json]:
    steps = encode_transform(transform, context, ndim=ndim)
    return original_steps(original, transform) or [*steps]
