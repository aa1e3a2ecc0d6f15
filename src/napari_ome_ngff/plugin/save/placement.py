"""Where a layer lies in napari's world: scale and translation, and an affine after them.

napari places a voxel by ``affine @ (rotate @ shear @ scale @ index + translate)``. Scale and translate are
those of the levels; what rotates, shears or mirrors is one affine after them, which only 0.6 can store.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_ome_ngff.errors import MetadataError
from napari_ome_ngff.metadata.affine import affine_of, compose_affine, identity_affine, invert_affine
from napari_ome_ngff.metadata.nouns import Affine, Axis, Multiscale, ScaleTranslation
from napari_ome_ngff.metadata.systems.rotated import without_views
from napari_ome_ngff.plugin.origin import METADATA_KEY, Origin, origin_of

Floats = npt.NDArray[np.float64]

_NEGLIGIBLE = 1e-12  # of the longest step along an axis: what sines and cosines of right angles leave


def placement(meta: Mapping[str, Any], ndim: int, name: str) -> tuple[ScaleTranslation, Affine | None]:
    """Return where the finest level lies, and the affine after it if there is one.

    `meta` has scale, translate, rotate, shear and affine as napari takes or gives them. A mirrored layer has
    a negative scale and the identity as affine. Raises MetadataError if a number is not finite or an axis has
    no extent.
    """
    scale = _vector(meta.get("scale"), ndim, 1.0)
    translate = _vector(meta.get("translate"), ndim, 0.0)
    rotation = _embedded(_rotation(meta.get("rotate")), ndim) @ _embedded(_shear(meta.get("shear")), ndim)
    after, shift = _split(meta.get("affine"), ndim)
    given = (scale, translate, rotation, after, shift)
    finite = all(bool(np.isfinite(numbers).all()) for numbers in given)
    linear, offset = (after @ rotation, after @ translate + shift) if finite else (rotation, shift)
    if not finite or not scale.all() or not np.linalg.det(linear):
        raise MetadataError(
            f"Layer {name!r} has no usable placement.",
            found=f"scale {scale.tolist()}, translate {translate.tolist()}",
        )
    linear = np.where(np.abs(linear) <= _NEGLIGIBLE * np.abs(linear).max(axis=0), 0.0, linear)
    if np.array_equal(linear, np.diag(np.diag(linear))):
        scale = np.diag(linear) * scale
        # 0.6 has no negative scales: there, an affine takes the mirroring over.
        affine = identity_affine(ndim) if (scale < 0).any() else None
        return ScaleTranslation(scale=tuple(scale.tolist()), translation=tuple(offset.tolist())), affine
    # Scale and translate stay those of the layer: levels that were opened with them are saved unchanged.
    rest = offset - linear @ translate
    return (
        ScaleTranslation(scale=tuple(scale.tolist()), translation=tuple(translate.tolist())),
        Affine(matrix=tuple(map(tuple, linear.tolist())), translation=tuple(rest.tolist())),
    )


def _vector(value: Any, ndim: int, default: float) -> Floats:
    """Numbers for the last `ndim` dimensions; napari fills up from the left."""
    numbers = [] if value is None else np.atleast_1d(np.asarray(value, dtype=np.float64)).tolist()
    return np.array(([default] * ndim + numbers)[-ndim:], dtype=np.float64)


def _rotation(rotate: Any) -> Floats:
    """A rotation as a matrix: napari takes one too, an angle in the plane, or yaw, pitch and roll."""
    given = np.asarray(0.0 if rotate is None else rotate, dtype=np.float64)
    if given.ndim == 2:
        return given
    angles = np.deg2rad(np.atleast_1d(given))
    if len(angles) == 1:
        return _plane_rotation(angles[0], 2, 0, 1)
    yaw, pitch, roll = angles
    return _plane_rotation(yaw, 3, 0, 1) @ _plane_rotation(-pitch, 3, 0, 2) @ _plane_rotation(roll, 3, 1, 2)


def _plane_rotation(angle: float, ndim: int, one: int, other: int) -> Floats:
    matrix = np.eye(ndim)
    matrix[one, one] = matrix[other, other] = math.cos(angle)
    matrix[other, one] = math.sin(angle)
    matrix[one, other] = -matrix[other, one]
    return matrix


def _shear(shear: Any) -> Floats:
    """A shear as a matrix: napari takes one too, or what is above its diagonal, row by row."""
    given = np.asarray(() if shear is None else shear, dtype=np.float64)
    if given.ndim == 2:
        return given
    size = round((1 + math.sqrt(1 + 8 * given.size)) / 2)
    matrix = np.eye(size)
    matrix[np.triu_indices(size, 1)] = given
    return matrix


def _split(affine: Any, ndim: int) -> tuple[Floats, Floats]:
    matrix = _embedded(np.asarray(np.eye(1) if affine is None else affine, dtype=np.float64), ndim + 1)
    return matrix[:-1, :-1], matrix[:-1, -1]


def _embedded(matrix: Floats, ndim: int) -> Floats:
    """Return the matrix for the last `ndim` dimensions: the identity for those it does not have."""
    embedded = np.eye(ndim)
    size = min(len(matrix), ndim)
    embedded[ndim - size :, ndim - size :] = matrix[len(matrix) - size :, len(matrix) - size :]
    return embedded


def without_dims(affine: Affine, positions: Sequence[int]) -> Affine | None:
    """Return the affine without some dimensions; None if it mixes them with others."""
    rows = affine.matrix
    keep = [i for i in range(len(rows)) if i not in positions]
    if any(rows[i][j] or rows[j][i] for i in positions for j in keep):
        return None
    return Affine(
        matrix=tuple(tuple(rows[i][j] for j in keep) for i in keep),
        translation=tuple(affine.translation[i] for i in keep),
    )


def with_affine(
    multiscale: Multiscale | None,
    axes: Sequence[Axis],
    affine: Affine | None,
    *,
    name: str,
    channel: str | None,
) -> Multiscale | None:
    """Return the metadata of a file (None: of a new image) with the affine of its layers, over `axes`.

    `channel` is the axis that layers are stacked on. Other coordinate systems are dropped if there is or was
    an affine: nothing tells where the image lies in them now.
    """
    if affine is None and (multiscale is None or multiscale.affine is None):
        return multiscale
    if multiscale is None:
        multiscale = Multiscale(version="0.6", name=name, axes=tuple(axes), levels=())
    if affine is None:
        return without_views(replace(multiscale, affine=None))[0]
    if channel is not None and channel not in multiscale.dims:
        multiscale = replace(multiscale, axes=(*multiscale.axes, Axis(name=channel, type="channel")))
    positions = {axis.name: index for index, axis in enumerate(axes)}
    order = [positions.get(dim) for dim in multiscale.dims]

    def number(row: int, column: int) -> float:
        i, j = order[row], order[column]
        return float(row == column) if i is None or j is None else affine.matrix[i][j]

    size = range(len(order))
    whole = Affine(
        matrix=tuple(tuple(number(row, column) for column in size) for row in size),
        translation=tuple(0.0 if i is None else affine.translation[i] for i in order),
    )
    return without_views(replace(multiscale, affine=whole))[0]


def as_in_file(meta: Mapping[str, Any], *, keep_scene: bool = False) -> tuple[dict[str, Any], Origin | None]:
    """Return a layer's arguments in its image's intrinsic coordinate system, and its origin.

    A layer that was opened in another system and not moved gets the placement of the file. If it was moved,
    its levels keep that placement, an affine leads to where it is shown, and other systems are dropped. That
    takes axes of the same names; otherwise the layer has left its file, and there is no origin. With
    `keep_scene` an image of a scene counts as moved to its place in it.
    """
    origin = origin_of(meta)
    if origin is None or origin["placing"] is None:
        return dict(meta), origin
    opened, file = origin["placing"]["opened"], origin["placing"]["file"]
    ndim = len(opened["scale"])
    unmoved = (
        len(np.atleast_1d(meta.get("scale", ()))) == ndim
        and np.allclose(meta["scale"], opened["scale"], rtol=1e-12, atol=0)
        and np.allclose(meta.get("translate", (0.0,) * ndim), opened["translate"], rtol=1e-12, atol=1e-12)
        and _same_affine(meta.get("affine"), opened.get("affine"), ndim)
        and not any(np.any(_beyond_identity(meta.get(key))) for key in ("rotate", "shear"))
    )
    names = [str(label) for label in meta.get("axis_labels") or ()]
    same_names = sorted(names) == sorted(file["axis_labels"]) and len(names) == ndim
    if unmoved and not (keep_scene and origin["kind"] == "scene" and same_names):
        return {**meta, **file, "affine": None}, origin
    if not same_names:
        return {key: value for key, value in meta.items() if key != "metadata"}, None
    # From the file's coordinates to the world, both by dimension of the layer; and rows by name.
    finest, after = placement(meta, ndim, str(meta.get("name")))
    whole = affine_of(finest) if after is None else compose_affine(affine_of(finest), after)
    in_file = ScaleTranslation(scale=tuple(file["scale"]), translation=tuple(file["translate"]))
    rest = compose_affine(invert_affine(affine_of(in_file)), whole)
    order = [names.index(name) for name in file["axis_labels"]]
    affine = np.eye(ndim + 1)
    affine[:-1, :-1] = np.array(rest.matrix)[order]
    affine[:-1, -1] = np.array(rest.translation)[order]
    moved: Origin = {**origin, "placing": None, "multiscale": without_views(origin["multiscale"])[0]}
    metadata = {**meta["metadata"], METADATA_KEY: moved}
    return {**meta, **file, "rotate": None, "shear": None, "affine": affine, "metadata": metadata}, moved


def _beyond_identity(value: Any) -> Any:
    given = np.asarray(0.0 if value is None else value, dtype=np.float64)
    return given - np.eye(len(given)) if given.ndim == 2 else given


def _same_affine(shown: Any, opened: Any, ndim: int) -> bool:
    one, other = (np.eye(ndim + 1) if x is None else np.asarray(x, dtype=float) for x in (shown, opened))
    return one.shape == other.shape and np.allclose(one, other, rtol=1e-12, atol=1e-12)
