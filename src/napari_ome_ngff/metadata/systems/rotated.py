"""Images that are rotated, sheared or mirrored as a whole: how 0.6 says it, and what older versions can say.

Levels lie by scale and translation in every version. What comes after that (`Multiscale.affine`) leads, in
0.6, from their coordinate system to a further one, in which the image is to be shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from napari_ome_ngff.errors import MetadataError, UnsupportedError
from napari_ome_ngff.metadata.affine import (
    affine_of,
    as_scale_translation,
    compose_affine,
    identity_affine,
    is_finite,
)
from napari_ome_ngff.metadata.axes import encode_axes
from napari_ome_ngff.metadata.nouns import Affine, Json, Multiscale, ScaleTranslation
from napari_ome_ngff.metadata.systems.view import SHOWN_KEY, shown_affine, shown_system, systems_of, view
from napari_ome_ngff.metadata.transforms import compose, level_transform

_VIEW_KEYS = ("coordinateSystems", "coordinateTransformations", SHOWN_KEY)


def without_views(multiscale: Multiscale) -> tuple[Multiscale, tuple[str, ...]]:
    """Return an image without its coordinate systems besides the intrinsic one, and their names.

    Transforms to the systems of label images stay.

    Examples
    --------
    >>> without_views(Multiscale(version="0.6", axes=(), levels=(), system="physical"))[1]
    ()
    """
    names = tuple(name for name in systems_of(multiscale) if name != multiscale.system)
    extra = {key: value for key, value in multiscale.extra.items() if key not in _VIEW_KEYS}
    if kept := [item for item in _transforms(multiscale) if _leads_to_labels(item)]:
        extra["coordinateTransformations"] = kept
    own = [item for item in _systems(multiscale) if item.get("name") == multiscale.system]
    return replace(multiscale, extra=extra | ({"coordinateSystems": own} if own else {})), names


def straightened(multiscale: Multiscale, *, where: str) -> Multiscale:
    """Return an image whose levels lie, by scale and translation alone, where the image is to be shown.

    That is all that 0.4 and 0.5 can say.

    Parameters
    ----------
    multiscale
        Of any version.
    where
        Location or JSON path, for errors.

    Raises
    ------
    UnsupportedError
        If it is rotated, sheared, or shown in a system with other axes.

    Examples
    --------
    >>> from napari_ome_ngff.metadata.nouns import Axis, Level
    >>> level = Level(path="0", transform=ScaleTranslation(scale=(2.0,), translation=(1.0,)))
    >>> mirror = Affine(matrix=((-1.0,),), translation=(0.0,))
    >>> image = Multiscale(version="0.6", axes=(Axis(name="x"),), levels=(level,), affine=mirror)
    >>> straightened(image, where="").levels[0].transform
    ScaleTranslation(scale=(-2.0,), translation=(-1.0,))
    """
    shown = view(multiscale, None, parameters={}, where=where)
    whole = shown_affine(multiscale, shown)
    if whole is None:
        return multiscale
    place = as_scale_translation(whole)
    names = multiscale.dims if shown is None else tuple(axis.name for axis in shown.system.axes)
    if place is None or names != multiscale.dims:
        raise UnsupportedError(
            "An image that is rotated or sheared can be written as OME-NGFF 0.6 only.",
            where=where,
            expected="nothing but scale and translation",
            hint="Write version 0.6, or resample the image.",
        )
    plain, _ = without_views(replace(multiscale, affine=None))
    if place == as_scale_translation(identity_affine(len(names))):
        return plain
    levels = tuple(
        replace(level, transform=compose(level_transform(multiscale, index), place))
        for index, level in enumerate(multiscale.levels)
    )
    return replace(plain, levels=levels, transform=None)


def is_turned(multiscale: Multiscale) -> bool:
    """Return whether only 0.6 can say where an image lies.

    Examples
    --------
    >>> is_turned(Multiscale(version="0.5", axes=(), levels=()))
    False
    """
    if multiscale.affine is None and shown_system(multiscale) is None:
        return False
    try:
        straightened(multiscale, where="")
    except UnsupportedError:
        return True
    return False


def in_world(multiscale: Multiscale, system: str, *, where: str) -> Multiscale:
    """Return an image without affine, that has a further coordinate system in its place.

    Parameters
    ----------
    multiscale
        Scales may be negative if it has an affine: 0.6 forbids that, and the affine takes it over.
    system
        Name of its intrinsic system.
    where
        JSON path of it, for errors.

    Raises
    ------
    MetadataError
        If the affine does not fit the axes, or the image has transforms to further systems already.

    Examples
    --------
    >>> from napari_ome_ngff.metadata.nouns import Axis, Level
    >>> axes = (Axis(name="y", type="space"), Axis(name="x", type="space"))
    >>> turn = Affine(matrix=((0.0, -1.0), (1.0, 0.0)), translation=(5.0, 7.0))
    >>> turned = in_world(Multiscale(version="0.6", axes=axes, levels=(), affine=turn), "physical", where="")
    >>> turned.extra["coordinateTransformations"][0]["affine"]
    [[0.0, -1.0, 5.0], [1.0, 0.0, 7.0]]
    """
    if multiscale.affine is None:
        return multiscale
    ndim, place = len(multiscale.axes), f"{where}.coordinateTransformations"
    rows = multiscale.affine.matrix
    if len(rows) != ndim or any(len(row) != ndim for row in rows) or not is_finite(multiscale.affine):
        raise MetadataError(
            "An affine must have one row and one column per axis, of finite numbers.", where=place
        )
    if not all(map(_leads_to_labels, _transforms(multiscale))):
        # They lead from the image as it lies before the affine or after it: nobody knows.
        raise MetadataError(
            "An image with an affine cannot also have transforms to other coordinate systems.",
            where=place,
            hint="Leave out the affine, or the transforms in `extra`.",
        )
    multiscale, affine = _unmirrored(multiscale, multiscale.affine)
    multiscale = replace(multiscale, affine=None)
    taken = {system, *(item.get("name") for item in _systems(multiscale))}
    world = next(name for name in ("world", *(f"world {n}" for n in range(2, 2000))) if name not in taken)
    axes = encode_axes(multiscale.axes, where=f"{where}.coordinateSystems")
    item = {
        "type": "affine",
        "affine": [[*row, shift] for row, shift in zip(affine.matrix, affine.translation, strict=True)],
        "input": {"name": system},
        "output": {"name": world},
    }
    extra = {
        "coordinateSystems": [*_systems(multiscale), {"name": world, "axes": axes}],
        "coordinateTransformations": [*_transforms(multiscale), item],
        SHOWN_KEY: {"shown": world},
    }
    return replace(multiscale, extra={**multiscale.extra, **extra})


def _unmirrored(multiscale: Multiscale, affine: Affine) -> tuple[Multiscale, Affine]:
    """Take negative scales out of the levels, and into the affine."""
    places = [level_transform(multiscale, index) for index in range(len(multiscale.levels))]
    signs = {tuple(-1.0 if number < 0 else 1.0 for number in place.scale) for place in places}
    if len(signs) != 1 or signs == {(1.0,) * len(multiscale.axes)}:
        return multiscale, affine  # levels that are mirrored differently are refused with the scale
    (sign,) = signs
    mirror = ScaleTranslation(scale=sign, translation=(0.0,) * len(sign))
    levels = tuple(
        replace(level, transform=compose(place, mirror))
        for level, place in zip(multiscale.levels, places, strict=True)
    )
    matrix = compose_affine(affine_of(mirror), affine)
    # "+ 0.0" makes 0.0 of -0.0, which would be puzzling to read.
    clean = tuple(tuple(number + 0.0 for number in row) for row in matrix.matrix)
    return replace(multiscale, levels=levels, transform=None), replace(matrix, matrix=clean)


def _systems(multiscale: Multiscale) -> list[Mapping[str, Json]]:
    kept = multiscale.extra.get("coordinateSystems")
    return [item for item in kept if isinstance(item, Mapping)] if isinstance(kept, list | tuple) else []


def _transforms(multiscale: Multiscale) -> list[Json]:
    kept = multiscale.extra.get("coordinateTransformations")
    return list(kept) if isinstance(kept, list | tuple) else []


def _leads_to_labels(item: Json) -> bool:
    ends = [item.get(key) for key in ("input", "output")] if isinstance(item, Mapping) else []
    return any(isinstance(end, Mapping) and end.get("path") is not None for end in ends)
