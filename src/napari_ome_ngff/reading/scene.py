"""Scenes (0.6): several images, opened together and placed in one coordinate system. Pixels stay unread."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_ome_ngff.errors import MetadataError, OmeNgffError, give_warning
from napari_ome_ngff.metadata.affine import along_axes, compose_affine
from napari_ome_ngff.metadata.collections.scene_placement import place_members, scene_systems
from napari_ome_ngff.metadata.collections.scenes import decode_scene, member_paths
from napari_ome_ngff.metadata.group_kind import foreign_attributes
from napari_ome_ngff.metadata.nouns import Multiscale, View
from napari_ome_ngff.metadata.systems.view import parameter_paths
from napari_ome_ngff.reading.image import open_image, prefetch_images
from napari_ome_ngff.reading.multiscale_group import read_parameters
from napari_ome_ngff.reading.opened import Collection, Image

if TYPE_CHECKING:
    from napari_ome_ngff.storage.documents.hierarchy import Hierarchy

_MOST_LINES = 8


def open_scene(hierarchy: Hierarchy, *, coordinate_system: str | None = None) -> Collection:
    """Open all images that a scene names, each placed in one coordinate system.

    The system is one of the scene by name, or one of an image by path and name (``"tile_0/physical"``); None
    for the first of the scene or, if it has none, the intrinsic system of an image. Images are called as
    their multiscales are, or by path where that is not unique. One that cannot be placed with the others has
    no `view`; one that cannot be opened is left out. Warnings name both.
    """
    where, attributes = hierarchy.location, hierarchy.attributes() or {}
    paths = member_paths(decoded := decode_scene(attributes, where=where))
    images = _open_members(hierarchy, paths, parameter_paths(attributes))
    if not images:
        raise MetadataError(
            "None of the images of the scene can be opened.",
            where=where,
            expected="an image at " + " or ".join(repr(path) for path in paths[:5]),
            hint="The file is incomplete: copy it again, or open an image of it.",
        )
    members = {path: image.multiscale for path, image in images.items() if image.multiscale is not None}
    numbers = [
        *parameter_paths(attributes),
        *(
            f"{path}/{below}"
            for path in members
            for below in parameter_paths(hierarchy.attributes(path) or {})
        ),
    ]
    views, problems = place_members(
        decoded,
        members,
        coordinate_system,
        parameters=read_parameters(hierarchy, numbers),
        where=where,
    )
    not_applied = [f"{problem} (image {path!r})" for path, view in views.items() for problem in view.problems]
    _warn_of([*problems, *not_applied], where)
    names = _names(members)
    placed = {names[path]: _placed(image, views.get(path)) for path, image in images.items()}
    name = decoded.extra.get("name")
    return Collection(
        location=where,
        kind="scene",
        name=name if isinstance(name, str) else None,
        images=placed,
        attributes=foreign_attributes(attributes),
        systems=tuple(scene_systems(decoded, members)),
    )


def _open_members(hierarchy: Hierarchy, paths: Iterable[str], numbers: Iterable[str]) -> dict[str, Image]:
    """Open images by path; one that is missing or cannot be opened is left out with a warning."""
    paths = tuple(paths)
    prefetch_images(hierarchy, paths, numbers)
    images: dict[str, Image] = {}
    problems: list[str] = []
    for path in paths:
        try:
            if hierarchy.attributes(path) is None:
                problems.append(f"Image {path!r} is named in the scene but not there.")
            else:
                images[path] = open_image(hierarchy.below(path))
        except OmeNgffError as error:
            problems.append(f"Image {path!r} is left out: {error.summary}")
    _warn_of(problems, hierarchy.location)
    return images


def _placed(image: Image, view: View | None) -> Image:
    """Place an image and its label images.

    0.6, "labels": without a transform of its own, a label image lies in the system of its image; with one,
    that leads there.
    """
    dims = image.multiscale.dims if image.multiscale is not None else ()
    labels = {name: _placed_label(label, dims, view) for name, label in image.labels.items()}
    return replace(image, view=view, labels=labels)


def _placed_label(label: Image, dims: Sequence[str], view: View | None) -> Image:
    """A label image in the scene; `dims` are those of its image, of which it may lack the channels."""
    if view is None or label.multiscale is None or not set(label.multiscale.dims) <= set(dims):
        return label
    axes = [dims.index(dim) for dim in label.multiscale.dims]
    affine = along_axes(view.affine, axes)
    if affine is None:
        return label
    system = replace(view.system, axes=tuple(view.system.axes[i] for i in axes))
    if label.view is not None and len(label.view.affine.matrix) == len(axes):
        affine = compose_affine(label.view.affine, affine)
    return replace(label, view=replace(view, system=system, affine=affine))


def _names(members: Mapping[str, Multiscale]) -> dict[str, str]:
    """Return what to call each image: by its name, or by its path where others have the same name."""
    names = Counter(member.name for member in members.values())
    return {
        path: member.name
        if member.name and names[member.name] == 1 and (member.name == path or member.name not in members)
        else path
        for path, member in members.items()
    }


def _warn_of(problems: Iterable[str], where: str) -> None:
    lines = list(problems)
    if len(lines) > _MOST_LINES:
        lines = [*lines[:_MOST_LINES], f"and {len(lines) - _MOST_LINES} more"]
    if lines:
        give_warning("\n".join((*lines, f"Where: {where}")), stacklevel=3)
