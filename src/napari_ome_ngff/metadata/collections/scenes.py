"""Several images in one coordinate system (0.6, "scene" metadata): what the JSON names.

How the images lie to each other is worked out in
:mod:`~napari_ome_ngff.metadata.collections.scene_placement`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from napari_ome_ngff.errors import MetadataError
from napari_ome_ngff.metadata.axes import decode_axes
from napari_ome_ngff.metadata.json_checks import Notes, as_list, as_mapping, as_path, as_text, describe, root
from napari_ome_ngff.metadata.nouns import CoordinateSystem, Json, Link, Scene, SystemRef

_KEYS = ("coordinateSystems", "coordinateTransformations")


_MOST = 2000
"""Entries of a list that are looked at, in a scene that anyone may have written."""


def decode_scene(attributes: Mapping[str, Json], *, where: str) -> Scene:
    """Return the scene that a group's attributes describe.

    Parameters
    ----------
    attributes
        Attributes of the group.
    where
        Path or URL of the group, for errors and warnings.

    Returns
    -------
    Scene
        With the systems and transforms that can be read; a transform's type and numbers are not judged yet.
        A reference of a draft, a text, is the name of a system of the scene or the path of an image.

    Warns
    -----
    OmeNgffWarning
        Once, if some systems or transforms cannot be read.

    Raises
    ------
    MetadataError
        If there is no scene, or none of it can be read.

    Examples
    --------
    >>> ends = {"input": {"name": "physical", "path": "tile_0"}, "output": {"name": "world"}}
    >>> world = {"name": "world", "axes": [{"name": "y", "type": "space"}, {"name": "x", "type": "space"}]}
    >>> own = {"coordinateSystems": [world], "coordinateTransformations": [{"type": "identity", **ends}]}
    >>> decode_scene({"ome": {"version": "0.6", "scene": own}}, where="a.zarr").links[0].input.path
    'tile_0'
    """
    own = as_mapping(attributes.get("ome"), where=f"{root(where)}ome", what="an object with OME metadata")
    place = f"{root(where, 'ome')}scene"
    scene = as_mapping(own.get("scene"), where=place, what="a scene")
    notes = Notes(where)
    systems = tuple(_decode_systems(scene.get(_KEYS[0]), where=f"{place}.{_KEYS[0]}", notes=notes))
    # 'The scene object MUST contain the field coordinateTransformations'
    listed = as_list(scene.get(_KEYS[1]), where=f"{place}.{_KEYS[1]}", what="a list of transforms")
    links: list[Link] = []
    names = [system.name for system in systems]
    for index, item in enumerate(listed[:_MOST]):
        at = f"{place}.{_KEYS[1]}[{index}]"
        try:
            links.append(_decode_link(item, names, where=at))
        except MetadataError as error:
            notes.add(error.where or at, f"{error.summary} Left out.")
    notes.warn()
    if not links:
        raise MetadataError(
            "A scene must say how its images lie to each other.",
            where=f"{place}.{_KEYS[1]}",
            found=describe(listed),
            hint="Open its images one by one.",
        )
    extra = {key: value for key, value in scene.items() if key not in _KEYS}
    return Scene(version="0.6", systems=systems, links=tuple(links), extra=extra)


def _decode_systems(systems: Json, *, where: str, notes: Notes) -> Iterator[CoordinateSystem]:
    found: set[str] = set()
    for index, item in enumerate([] if systems is None else as_list(systems, where=where)[:_MOST]):
        at = f"{where}[{index}]"
        try:
            entry = as_mapping(item, where=at, what="a coordinate system")
            name = as_text(entry.get("name"), where=f"{at}.name", what="the name of a coordinate system")
            # A system of a scene need not have the axes of an image, such as two of space.
            axes = decode_axes(entry.get("axes"), where=f"{at}.axes", notes=Notes(""))
        except MetadataError as error:
            notes.add(error.where or at, f"{error.summary} Left out.")
            continue
        if name in found:
            notes.add(at, f"{describe(name)} again, left out")
        else:
            found.add(name)
            yield CoordinateSystem(name=name, axes=axes)


def _decode_link(item: Json, names: list[str], *, where: str) -> Link:
    transform = as_mapping(item, where=where, what="a transform")
    start, end = (
        _decode_ref(transform.get(key), names, where=f"{where}.{key}") for key in ("input", "output")
    )
    return Link(input=start, output=end, transform=transform, where=where)


def _decode_ref(ref: Json, names: list[str], *, where: str) -> SystemRef:
    """Return which system is meant; a name of "" stands for the intrinsic one of an image."""
    if isinstance(ref, str) and ref in names:
        return SystemRef(name=ref)
    if isinstance(ref, str) and ref.strip("/"):
        # Drafts had a text: the path of an image, with or without the name of a system after it.
        path, _, name = ref.strip("/").rpartition("/")
        return SystemRef(name=name if path else "", path=_path(path or name, where=where))
    # "input and output fields ... MUST contain a json object, which MUST contain the field name"
    entry = as_mapping(ref, where=where, what="a reference to a coordinate system")
    path = "" if entry.get("path") is None else _path(entry["path"], where=f"{where}.path")
    if path and entry.get("name") is None:
        return SystemRef(name="", path=path)
    name = as_text(entry.get("name"), where=f"{where}.name", what="the name of a coordinate system")
    return SystemRef(name=name, path=path)


def _path(path: Json, *, where: str) -> str:
    text = path.removeprefix("./") if isinstance(path, str) else path
    return "" if text in ("", ".") else as_path(text, where=where, what="image")


def member_paths(scene: Scene) -> tuple[str, ...]:
    """Return the paths of the images that a scene names, each once, in order.

    Examples
    --------
    >>> ends = {"input": SystemRef(name="a", path="tile_0"), "output": SystemRef(name="world")}
    >>> member_paths(Scene(version="0.6", links=(Link(**ends, transform={}, where=""),)))
    ('tile_0',)
    """
    refs = (ref for link in scene.links for ref in (link.input, link.output))
    return tuple(dict.fromkeys(ref.path for ref in refs if ref.path))
