"""A layer that was opened in one coordinate system, as it lies in its image's own: in the file's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from napari_ome_ngff.metadata.affine import affine_of, compose_affine, invert_affine
from napari_ome_ngff.metadata.nouns import ScaleTranslation
from napari_ome_ngff.metadata.systems.rotated import without_views
from napari_ome_ngff.plugin.origin import METADATA_KEY, Origin, origin_of
from napari_ome_ngff.plugin.save.placement import place_of


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
        and not any(np.any(_turn(meta.get(key))) for key in ("rotate", "shear"))
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


def _turn(value: Any) -> Any:
    """What a rotation or shear is more than nothing."""
    found = np.asarray(0.0 if value is None else value, dtype=np.float64)
    return found - np.eye(len(found)) if found.ndim == 2 else found


def _same_affine(found: Any, opened: Any, ndim: int) -> bool:
    one, other = (np.eye(ndim + 1) if x is None else np.asarray(x, dtype=float) for x in (found, opened))
    return one.shape == other.shape and np.allclose(one, other, rtol=1e-12, atol=1e-12)
