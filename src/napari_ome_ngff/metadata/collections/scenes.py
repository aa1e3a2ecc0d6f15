"""Several images in one coordinate system (0.6, "scene" metadata): what the JSON names.

How the images lie to each other is worked out in
:mod:`~napari_ome_ngff.metadata.collections.scene_placement`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from napari_ome_ngff.errors import MetadataError
from napari_ome_ngff.metadata.axes import SYSTEMS_KEY, TRANSFORMS_KEY, decode_axes
from napari_ome_ngff.metadata.context import Context
from napari_ome_ngff.metadata.group_kind import CONTAINER
from napari_ome_ngff.metadata.json_checks import as_list, as_mapping, as_path, as_text, describe, without_keys
from napari_ome_ngff.metadata.nouns import CoordinateSystem, Json, Link, Scene, SystemRef

_MOST = 2000
"""Entries of a list that are read, in a scene that anyone may have written."""


def decode_scene(attributes: Mapping[str, Json], *, where: str) -> Scene:
    """Return the scene that a group's attributes describe; `where` is its path or URL.

    It has the systems and transforms that can be read; a transform's type and numbers are not judged yet.
    A reference of a draft, a text, is the name of a system of the scene or the path of an image. Warns once
    if some cannot be read, raises if none can.
    """
    root = Context.of(where)
    holder = as_mapping(attributes.get(CONTAINER), root.below(CONTAINER), "an object with OME metadata")
    context = root.below(CONTAINER, "scene")
    scene = as_mapping(holder.get("scene"), context, "a scene")
    systems = tuple(_decode_systems(scene.get(SYSTEMS_KEY), context.below(SYSTEMS_KEY)))
    # 'The scene object MUST contain the field coordinateTransformations'
    at = context.below(TRANSFORMS_KEY)
    listed = as_list(scene.get(TRANSFORMS_KEY), at, "a list of transforms")
    links: list[Link] = []
    names = [system.name for system in systems]
    for index, item in enumerate(listed[:_MOST]):
        try:
            links.append(_decode_link(item, names, at.below(index)))
        except MetadataError as error:
            _note_left_out(error, at.below(index))
    context.warn()
    if not links:
        raise at.error(
            "A scene must say how its images lie to each other.",
            found=describe(listed),
            hint="Open its images one by one.",
        )
    extra = without_keys(scene, (SYSTEMS_KEY, TRANSFORMS_KEY))
    return Scene(version="0.6", systems=systems, links=tuple(links), extra=extra)


def _note_left_out(error: MetadataError, context: Context) -> None:
    """Note, at the place that an error names in the same document, that what is there is left out."""
    path = error.where.removeprefix(f"{context.location}: ")
    replace(context, keys=(path,)).note(f"{error.summary} Left out.")


def _decode_systems(systems: Json, context: Context) -> Iterator[CoordinateSystem]:
    seen: set[str] = set()
    for index, item in enumerate([] if systems is None else as_list(systems, context)[:_MOST]):
        at = context.below(index)
        try:
            entry = as_mapping(item, at, "a coordinate system")
            name = as_text(entry.get("name"), at.below("name"), "the name of a coordinate system")
            # Without notes: a system of a scene need not have the axes of an image, such as two of space.
            axes = decode_axes(entry.get("axes"), replace(Context.of(at.location), keys=(*at.keys, "axes")))
        except MetadataError as error:
            _note_left_out(error, at)
            continue
        if name in seen:
            at.note(f"{describe(name)} again, left out")
        else:
            seen.add(name)
            yield CoordinateSystem(name=name, axes=axes)


def _decode_link(item: Json, names: list[str], context: Context) -> Link:
    transform = as_mapping(item, context, "a transform")
    start, end = (_decode_ref(transform.get(key), names, context.below(key)) for key in ("input", "output"))
    return Link(input=start, output=end, transform=transform, where=context.where)


def _decode_ref(ref: Json, names: list[str], context: Context) -> SystemRef:
    """Return which system is meant; a name of "" stands for the intrinsic one of an image."""
    if isinstance(ref, str) and ref in names:
        return SystemRef(name=ref)
    if isinstance(ref, str) and ref.strip("/"):
        # Drafts had a text: the path of an image, with or without the name of a system after it.
        path, _, name = ref.strip("/").rpartition("/")
        return SystemRef(name=name if path else "", path=_path(path or name, context))
    # "input and output fields ... MUST contain a json object, which MUST contain the field name"
    entry = as_mapping(ref, context, "a reference to a coordinate system")
    path = "" if entry.get("path") is None else _path(entry["path"], context.below("path"))
    if path and entry.get("name") is None:
        return SystemRef(name="", path=path)
    name = as_text(entry.get("name"), context.below("name"), "the name of a coordinate system")
    return SystemRef(name=name, path=path)


def _path(path: Json, context: Context) -> str:
    text = path.removeprefix("./") if isinstance(path, str) else path
    return "" if text in ("", ".") else as_path(text, context, "image")


def member_paths(scene: Scene) -> tuple[str, ...]:
    """Return the paths of the images that a scene names, each once, in order."""
    refs = (ref for link in scene.links for ref in (link.input, link.output))
    return tuple(dict.fromkeys(ref.path for ref in refs if ref.path))
