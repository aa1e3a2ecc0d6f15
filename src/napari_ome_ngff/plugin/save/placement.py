"""Where a layer lies in napari's world, cut into what every version of OME-NGFF can say and what it cannot.

napari places a voxel by ``affine @ (rotate @ shear @ scale @ index + translate)``. Scale and translate are
those of the levels; whatever rotates, shears or mirrors comes after them. Pure; napari is not imported.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a layer lies; one entry per dimension.

    Parameters
    ----------
    scale, translate
        Of the finest level. A scale is negative where the layer is mirrored.
    affine
        What is applied after them, or None if it is nothing.
    """

    scale: tuple[float, ...]
    translate: tuple[float, ...]
    affine: Affine | None = None

    def without(self, positions: Sequence[int]) -> Place | None:
        """Leave out dimensions; None if what comes after scale and translate mixes them with others."""
        keep = [i for i in range(len(self.scale)) if i not in positions]
        affine = self.affine
        if affine is not None:
            rows = affine.matrix
            if any(rows[i][j] or rows[j][i] for i in positions for j in keep):
                return None
            affine = Affine(
                matrix=tuple(tuple(rows[i][j] for j in keep) for i in keep),
                translation=tuple(affine.translation[i] for i in keep),
            )
        return Place(
            scale=tuple(self.scale[i] for i in keep),
            translate=tuple(self.translate[i] for i in keep),
            affine=affine,
        )


def place_of(meta: Mapping[str, Any], ndim: int, name: str) -> Place:
    """Return where a layer lies.

    Parameters
    ----------
    meta
        Arguments of the layer: scale, translate, rotate, shear and affine, as napari takes or gives them.
    ndim
        Number of dimensions of the layer.
    name
        Of the layer, for errors.

    Raises
    ------
    MetadataError
        If it has no extent, or is not placed by finite numbers.

    Examples
    --------
    >>> place_of({"scale": [2, 3], "affine": [[10, 0, 5], [0, 10, 0], [0, 0, 1]]}, 2, "cells")
    Place(scale=(20.0, 30.0), translate=(5.0, 0.0), affine=None)
    >>> place_of({"scale": [2, 3], "rotate": 90}, 2, "cells").affine.matrix[1]
    (1.0, 0.0)
    """
    scale = _vector(meta.get("scale"), ndim, 1.0)
    translate = _vector(meta.get("translate"), ndim, 0.0)
    turn = _embedded(_rotation(meta.get("rotate")), ndim) @ _embedded(_shear(meta.get("shear")), ndim)
    after, shift = _split(meta.get("affine"), ndim)
    given = (scale, translate, turn, after, shift)
    finite = all(bool(np.isfinite(numbers).all()) for numbers in given)
    linear, offset = (after @ turn, after @ translate + shift) if finite else (turn, shift)
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
        return Place(scale=tuple(scale.tolist()), translate=tuple(offset.tolist()), affine=affine)
    # In the words of the layer: what was opened with these levels keeps them.
    rest = offset - linear @ translate
    return Place(
        scale=tuple(scale.tolist()),
        translate=tuple(translate.tolist()),
        affine=Affine(matrix=tuple(map(tuple, linear.tolist())), translation=tuple(rest.tolist())),
    )


def _vector(value: Any, ndim: int, default: float) -> Floats:
    """Numbers for the last `ndim` dimensions; napari fills up from the left."""
    found = [] if value is None else np.atleast_1d(np.asarray(value, dtype=np.float64)).tolist()
    return np.array(([default] * ndim + found)[-ndim:], dtype=np.float64)


def _rotation(rotate: Any) -> Floats:
    """A rotation as a matrix: napari takes one too, an angle in the plane, or yaw, pitch and roll."""
    found = np.asarray(0.0 if rotate is None else rotate, dtype=np.float64)
    if found.ndim == 2:
        return found
    angles = np.deg2rad(np.atleast_1d(found))
    if len(angles) == 1:
        return _turn(angles[0], 2, 0, 1)
    yaw, pitch, roll = angles
    return _turn(yaw, 3, 0, 1) @ _turn(-pitch, 3, 0, 2) @ _turn(roll, 3, 1, 2)


def _turn(angle: float, ndim: int, one: int, other: int) -> Floats:
    found = np.eye(ndim)
    found[one, one] = found[other, other] = math.cos(angle)
    found[other, one] = math.sin(angle)
    found[one, other] = -found[other, one]
    return found


def _shear(shear: Any) -> Floats:
    """A shear as a matrix: napari takes one too, or what is above its diagonal, row by row."""
    found = np.asarray(() if shear is None else shear, dtype=np.float64)
    if found.ndim == 2:
        return found
    size = round((1 + math.sqrt(1 + 8 * found.size)) / 2)
    matrix = np.eye(size)
    matrix[np.triu_indices(size, 1)] = found
    return matrix


def _split(affine: Any, ndim: int) -> tuple[Floats, Floats]:
    matrix = _embedded(np.asarray(np.eye(1) if affine is None else affine, dtype=np.float64), ndim + 1)
    return matrix[:-1, :-1], matrix[:-1, -1]


def _embedded(matrix: Floats, ndim: int) -> Floats:
    """The matrix for the last dimensions; the others, of which it does not speak, are left as they are."""
    found = np.eye(ndim)
    size = min(len(matrix), ndim)
    found[ndim - size :, ndim - size :] = matrix[len(matrix) - size :, len(matrix) - size :]
    return found


def with_place(
    multiscale: Multiscale | None,
    axes: Sequence[Axis],
    affine: Affine | None,
    *,
    name: str,
    channel: str | None,
) -> Multiscale | None:
    """Return what is said of an image, with what its layers apply after scale and translate.

    Its further coordinate systems are left out if there is such a thing: nobody knows where they are now.

    Parameters
    ----------
    multiscale
        What the file said, with the names that the axes have now; None for a new image.
    axes, affine
        Of the layer.
    name
        Of the layer.
    channel
        Name of the axis that the layers are stacked on, or None.

    Examples
    --------
    >>> turn = Affine(matrix=((0.0, -1.0), (1.0, 0.0)), translation=(0.0, 0.0))
    >>> c, y, x = (Axis(name=name) for name in "cyx")
    >>> file = Multiscale(version="0.6", axes=(c, y, x), levels=())
    >>> with_place(file, (y, x), turn, name="cells", channel="c").affine.matrix
    ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0))
    """
    if affine is None and (multiscale is None or multiscale.affine is None):
        return multiscale
    if multiscale is None:
        multiscale = Multiscale(version="0.6", name=name, axes=tuple(axes), levels=())
    if affine is None:
        return without_views(replace(multiscale, affine=None))[0]
    if channel is not None and channel not in multiscale.dims:
        multiscale = replace(multiscale, axes=(*multiscale.axes, Axis(name=channel, type="channel")))
    known = {axis.name: index for index, axis in enumerate(axes)}
    order = [known.get(dim) for dim in multiscale.dims]

    def number(row: int, column: int) -> float:
        i, j = order[row], order[column]
        return float(row == column) if i is None or j is None else affine.matrix[i][j]

    size = range(len(order))
    whole = Affine(
        matrix=tuple(tuple(number(row, column) for column in size) for row in size),
        translation=tuple(0.0 if i is None else affine.translation[i] for i in order),
    )
    return without_views(replace(multiscale, affine=whole))[0]


def as_in_file(meta: Mapping[str, Any]) -> tuple[dict[str, Any], Origin | None]:
    """Return a layer's arguments in its image's own coordinate system, and its origin.

    Parameters
    ----------
    meta
        Keyword arguments of the layer.

    Returns
    -------
    tuple
        If the layer was opened in another coordinate system and is still where it was, what places it becomes
        what places it in the file. If it was moved since, its levels stay where they are in the file, and an
        affine leads to where it is shown; what the file says of other systems holds no more. That takes axes
        of the same names; if there are others, the layer has left its file, and there is no origin.

    Examples
    --------
    >>> as_in_file({"name": "cells"})
    ({'name': 'cells'}, None)
    """
    origin = origin_of(meta)
    if origin is None or origin["placing"] is None:
        return dict(meta), origin
    opened, file = origin["placing"]["opened"], origin["placing"]["file"]
    ndim = len(opened["scale"])
    same = (
        len(np.atleast_1d(meta.get("scale", ()))) == ndim
        and np.allclose(meta["scale"], opened["scale"], rtol=1e-12, atol=0)
        and np.allclose(meta.get("translate", (0.0,) * ndim), opened["translate"], rtol=1e-12, atol=1e-12)
        and _same_affine(meta.get("affine"), opened.get("affine"), ndim)
        and not any(np.any(_changed(meta.get(key))) for key in ("rotate", "shear"))
    )
    if same:
        return {**meta, **file, "affine": None}, origin
    names = [str(label) for label in meta.get("axis_labels") or ()]
    if sorted(names) != sorted(file["axis_labels"]) or len(names) != ndim:
        return {key: value for key, value in meta.items() if key != "metadata"}, None
    # From the file's coordinates to the world, both by dimension of the layer; and rows by name.
    place = place_of(meta, ndim, str(meta.get("name")))
    whole = affine_of(ScaleTranslation(scale=place.scale, translation=place.translate))
    whole = whole if place.affine is None else compose_affine(whole, place.affine)
    known = ScaleTranslation(scale=tuple(file["scale"]), translation=tuple(file["translate"]))
    rest = compose_affine(invert_affine(affine_of(known)), whole)
    order = [names.index(name) for name in file["axis_labels"]]
    affine = np.eye(ndim + 1)
    affine[:-1, :-1] = np.array(rest.matrix)[order]
    affine[:-1, -1] = np.array(rest.translation)[order]
    moved: Origin = {**origin, "placing": None, "multiscale": without_views(origin["multiscale"])[0]}
    metadata = {**meta["metadata"], METADATA_KEY: moved}
    return {**meta, **file, "rotate": None, "shear": None, "affine": affine, "metadata": metadata}, moved


def _changed(value: Any) -> Any:
    """What a rotation or shear is more than nothing."""
    found = np.asarray(0.0 if value is None else value, dtype=np.float64)
    return found - np.eye(len(found)) if found.ndim == 2 else found


def _same_affine(found: Any, opened: Any, ndim: int) -> bool:
    one, other = (np.eye(ndim + 1) if x is None else np.asarray(x, dtype=float) for x in (found, opened))
    return one.shape == other.shape and np.allclose(one, other, rtol=1e-12, atol=1e-12)
