"""Images that are rotated, sheared or mirrored as a whole: how 0.6 says it, and what older versions can say.

Levels lie by scale and translation in every version. What comes after that (`Multiscale.affine`) leads, in
0.6, from their coordinate system to a further one, in which the image is to be shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from napari_ome_ngff.errors import UnsupportedError
from napari_ome_ngff.metadata.affine import (
    affine_of,
    as_scale_translation,
    compose_affine,
    identity_affine,
    is_finite,
    without_negative_zeros,
)
from napari_ome_ngff.metadata.axes import SYSTEMS_KEY, TRANSFORMS_KEY, encode_axes
from napari_ome_ngff.metadata.context import Context
from napari_ome_ngff.metadata.json_checks import items_of, without_keys
from napari_ome_ngff.metadata.nouns import Affine, Json, Multiscale, ScaleTranslation
from napari_ome_ngff.metadata.systems.view import (
    SHOWN_KEY,
    leads_to_labels,
    shown_affine,
    shown_system,
    systems_of,
    view,
)
from napari_ome_ngff.metadata.transforms import compose, level_transform


def without_views(multiscale: Multiscale) -> tuple[Multiscale, tuple[str, ...]]:
    """Return an image without its coordinate systems besides the intrinsic one, and their names.

    Transforms to the systems of label images stay.
    """
    names = tuple(name for name in systems_of(multiscale) if name != multiscale.system)
    extra = without_keys(multiscale.extra, (SYSTEMS_KEY, TRANSFORMS_KEY, SHOWN_KEY))
    transforms = items_of(multiscale.extra.get(TRANSFORMS_KEY))
    if to_labels := [item for item in transforms if leads_to_labels(item)]:
        extra[TRANSFORMS_KEY] = to_labels
    if intrinsic := [item for item in _systems(multiscale) if item.get("name") == multiscale.system]:
        extra[SYSTEMS_KEY] = intrinsic
    return replace(multiscale, extra=extra), names


def affine_into_levels(multiscale: Multiscale, context: Context) -> Multiscale:
    """Return an image whose levels lie, by scale and translation alone, where the image is to be shown.

    That is all that 0.4 and 0.5 can say: an image that is rotated, sheared, or shown in a system with other
    axes is refused.
    """
    shown = view(multiscale, None, where=context.where)
    whole = shown_affine(multiscale, shown)
    if whole is None:
        return multiscale
    transform = as_scale_translation(whole)
    names = multiscale.dims if shown is None else tuple(axis.name for axis in shown.system.axes)
    if transform is None or names != multiscale.dims:
        raise context.error(
            "An image that is rotated or sheared can be written as OME-Zarr 0.6 only.",
            expected="nothing but scale and translation",
            hint="Write version 0.6, or resample the image.",
            kind=UnsupportedError,
        )
    plain, _ = without_views(replace(multiscale, affine=None))
    if transform == as_scale_translation(identity_affine(len(names))):
        return plain
    return _followed_by(plain, transform)


def _followed_by(multiscale: Multiscale, transform: ScaleTranslation) -> Multiscale:
    """Return an image with a transform after those of its levels; the image's becomes part of theirs."""
    levels = tuple(
        replace(level, transform=compose(level_transform(multiscale, index), transform))
        for index, level in enumerate(multiscale.levels)
    )
    return replace(multiscale, levels=levels, transform=None)


def needs_affine(multiscale: Multiscale) -> bool:
    """Return whether only 0.6 can say where an image lies."""
    if multiscale.affine is None and shown_system(multiscale) is None:
        return False
    try:
        affine_into_levels(multiscale, Context())
    except UnsupportedError:
        return True
    return False


def affine_into_system(multiscale: Multiscale, system: str, context: Context) -> Multiscale:
    """Return an image without affine, that has a further coordinate system in its place.

    `system` is the name of its intrinsic one. Scales may be negative if it has an affine: 0.6 forbids that,
    and the affine takes it over.
    """
    if multiscale.affine is None:
        return multiscale
    ndim, at = len(multiscale.axes), context.below(TRANSFORMS_KEY)
    rows = multiscale.affine.matrix
    if len(rows) != ndim or any(len(row) != ndim for row in rows) or not is_finite(multiscale.affine):
        raise at.error("An affine must have one row and one column per axis, of finite numbers.")
    if not all(map(leads_to_labels, items_of(multiscale.extra.get(TRANSFORMS_KEY)))):
        # They lead from the image as it lies before the affine or after it: nobody knows.
        raise at.error(
            "An image with an affine cannot also have transforms to other coordinate systems.",
            hint="Leave out the affine, or the transforms in `extra`.",
        )
    multiscale, affine = _signs_into_affine(multiscale, multiscale.affine)
    taken = {system, *(item.get("name") for item in _systems(multiscale))}
    world = next(name for name in ("world", *(f"world {n}" for n in range(2, 2000))) if name not in taken)
    axes = encode_axes(multiscale.axes, context.below(SYSTEMS_KEY))
    item = {
        "type": "affine",
        "affine": [[*row, shift] for row, shift in zip(affine.matrix, affine.translation, strict=True)],
        "input": {"name": system},
        "output": {"name": world},
    }
    extra = {
        SYSTEMS_KEY: [*_systems(multiscale), {"name": world, "axes": axes}],
        TRANSFORMS_KEY: [*items_of(multiscale.extra.get(TRANSFORMS_KEY)), item],
        SHOWN_KEY: {"shown": world},
    }
    return replace(multiscale, affine=None, extra={**multiscale.extra, **extra})


def _signs_into_affine(multiscale: Multiscale, affine: Affine) -> tuple[Multiscale, Affine]:
    """Take negative scales out of the levels, and into the affine."""
    transforms = [level_transform(multiscale, index) for index in range(len(multiscale.levels))]
    signs = {tuple(-1.0 if number < 0 else 1.0 for number in each.scale) for each in transforms}
    if len(signs) != 1 or signs == {(1.0,) * len(multiscale.axes)}:
        return multiscale, affine  # levels that are mirrored differently are refused with the scale
    (sign,) = signs
    mirror = ScaleTranslation(scale=sign, translation=(0.0,) * len(sign))
    mirrored = compose_affine(affine_of(mirror), affine)
    return _followed_by(multiscale, mirror), replace(mirrored, matrix=without_negative_zeros(mirrored.matrix))


def _systems(multiscale: Multiscale) -> list[Mapping[str, Json]]:
    return [item for item in items_of(multiscale.extra.get(SYSTEMS_KEY)) if isinstance(item, Mapping)]
