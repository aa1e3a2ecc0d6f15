"""Scenes that are written (0.6): where each image lies in the coordinate system of all; encode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from napari_ome_ngff.errors import MetadataError
from napari_ome_ngff.metadata.affine import as_scale_translation, invert_affine, is_finite
from napari_ome_ngff.metadata.axes import SYSTEMS_KEY, TRANSFORMS_KEY, encode_axes
from napari_ome_ngff.metadata.context import Context
from napari_ome_ngff.metadata.group_kind import CONTAINER
from napari_ome_ngff.metadata.json_checks import as_text, plain_json
from napari_ome_ngff.metadata.nouns import Affine, CoordinateSystem, Json, SystemRef


@dataclass(frozen=True, kw_only=True)
class SceneLayout:
    """A scene: its coordinate system, and what leads there from the intrinsic system of each image."""

    system: CoordinateSystem
    placements: Mapping[str, Affine]
    """By the path of the image in the scene."""
    intrinsic: Mapping[str, str]
    """Names of the intrinsic systems, by the same paths."""
    name: str | None = None

    @property
    def fields(self) -> tuple[str, ...]:
        """Paths of all images."""
        return tuple(self.placements)


def encode_scene(layout: SceneLayout) -> dict[str, dict[str, Json]]:
    """Return by its path the complete attributes of the group that holds the images of a scene."""
    context = Context().below(CONTAINER, "scene")
    at = context.below(SYSTEMS_KEY, 0)
    as_text(layout.system.name, at.below("name"), "the name of a coordinate system")
    axes = encode_axes(layout.system.axes, at.below("axes"))
    links = [
        _encode_link(
            affine,
            SystemRef(name=layout.intrinsic[path], path=path),
            layout.system,
            context.below(TRANSFORMS_KEY, index),
        )
        for index, (path, affine) in enumerate(layout.placements.items())
    ]
    name = {} if layout.name is None else {"name": layout.name}
    scene = {**name, SYSTEMS_KEY: [{"name": layout.system.name, "axes": axes}], TRANSFORMS_KEY: links}
    return {"": dict(plain_json({CONTAINER: {"version": "0.6", "scene": scene}}, Context(keys=(CONTAINER,))))}


def _encode_link(
    affine: Affine, start: SystemRef, system: CoordinateSystem, context: Context
) -> dict[str, Json]:
    ndim = len(system.axes)
    rows = affine.matrix
    if len(rows) != ndim or any(len(row) != ndim for row in rows) or not is_finite(affine):
        raise MetadataError(
            f"The affine of image {start.path!r} must have a row and a column for each of its axes, "
            "of finite numbers.",
            where=context.where,
            expected=", ".join(axis.name for axis in system.axes),
        )
    invert_affine(affine)  # refuses one that leaves nothing of an image
    ends = {"input": {"name": start.name, "path": start.path}, "output": {"name": system.name}}
    plain = as_scale_translation(affine)
    if plain is None or set(plain.scale) != {1.0}:
        matrix = [[*row, shift] for row, shift in zip(rows, affine.translation, strict=True)]
        return {"type": "affine", "affine": matrix} | ends
    if any(plain.translation):
        return {"type": "translation", "translation": list(plain.translation)} | ends
    return {"type": "identity"} | ends
