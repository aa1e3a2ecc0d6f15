"""Coordinate systems of 0.6: which one an image is placed in, and what becomes of the others.

The intrinsic system is the one that all levels are placed in. Further systems and the transforms to them are
optional views of the image. They are kept as they are in `Multiscale.extra`, and checked when written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from napari_ome_ngff.metadata.axes import SYSTEMS_KEY, TRANSFORMS_KEY, decode_axes
from napari_ome_ngff.metadata.context import Context
from napari_ome_ngff.metadata.json_checks import (
    as_list,
    as_mapping,
    as_text,
    describe,
    first_items,
    items_of,
    listed,
    without_keys,
)
from napari_ome_ngff.metadata.nouns import Json

MOST_SYSTEMS = 1000
"""Systems of an image, and transforms between them, that are read."""

_ENDS = ("input", "output")


def decode_systems(systems: Json, context: Context) -> dict[str, Mapping[str, Json]]:
    """Return the usable coordinate systems by name, in order; at least one."""
    usable: dict[str, Mapping[str, Json]] = {}
    items = listed(systems, context, "a list of coordinate systems")
    for index, item in enumerate(first_items(items, MOST_SYSTEMS, context, "systems")):
        name = item.get("name") if isinstance(item, Mapping) else None
        # "The value MUST be a non-empty string that is unique among all entries"
        if not isinstance(name, str) or not name or name in usable:
            context.below(index).note(f"no name of its own, {describe(name)}, ignored")
        else:
            usable[name] = item
    if not usable:
        raise context.error("The image has no named coordinate system.", found=describe(systems))
    return usable


def intrinsic_system(
    outputs: Iterable[tuple[Context, Json]], systems: Mapping[str, Json], context: Context
) -> str:
    """Return the name of the system that all levels are placed in, from their ``output`` values.

    The first of `systems` is taken if `outputs` name none of them.
    """
    named: dict[str, Context] = {}
    for at, output in outputs:
        # Drafts of 0.6 had a string here.
        name = output.get("name") if isinstance(output, Mapping) else output
        if isinstance(name, str):
            named.setdefault(name, at)
        if not isinstance(output, Mapping) or not isinstance(name, str):
            at.note(f"{describe(output)} instead of an object with the name of a system")
    # "It MUST be the same value for every resolution level in a single multiscales"
    if len(named) > 1:
        list(named.values())[1].note(
            "levels in several coordinate systems: " + ", ".join(describe(name) for name in list(named)[:3])
        )
    for name in named:
        if name in systems:
            return name
        context.note(f"{describe(name)} is not defined, the first system is taken instead")
    return next(iter(systems))


def decode_views(
    systems: Mapping[str, Mapping[str, Json]], system: str, transforms: Json, context: Context
) -> dict[str, Json]:
    """Return what `Multiscale.extra` keeps of coordinate systems and of the transforms between them.

    Nothing if there is only the intrinsic `system`. Its axes are left out: they are the image's, which may
    get others.
    """
    kept_systems = [
        without_keys(item, ("axes",)) if name == system else item for name, item in systems.items()
    ]
    kept: dict[str, Json] = {} if kept_systems == [{"name": system}] else {SYSTEMS_KEY: kept_systems}
    if transforms is not None and not isinstance(transforms, list | tuple | Mapping):
        context.note(f"{describe(transforms)}, ignored")
    views = []
    for index, item in enumerate(items_of(transforms, MOST_SYSTEMS)):
        at = context.below(index)
        if not isinstance(item, Mapping):
            at.note(f"{describe(item)}, ignored")
            continue
        # Some writers leave nulls in place of absent keys, which the schemas refuse.
        view = {key: _without_nulls(value) for key, value in item.items() if value is not None}
        for key in _ENDS:
            # Drafts of 0.6 had the name alone.
            if isinstance(view.get(key), str):
                at.below(key).note("text, read as the name of a system")
                view[key] = {"name": view[key]}
        views.append(view)
        if problem := view_problem(view, system, systems):
            at.note(problem)
    return kept | ({TRANSFORMS_KEY: views} if views else {})


def _without_nulls(value: Json) -> Json:
    if not isinstance(value, Mapping):
        return value
    return {key: inner for key, inner in value.items() if inner is not None}


def encode_systems(
    kept: Json, system: str, axes: list[dict[str, Json]], context: Context
) -> list[dict[str, Json]]:
    """Return the intrinsic system with its axes, and those that `Multiscale.extra` kept, in their order."""
    encoded: list[dict[str, Json]] = []
    for index, item in enumerate(as_list(kept or [], context, "a list of coordinate systems")):
        at = context.below(index)
        entry = as_mapping(item, at, "a coordinate system")
        name = as_text(entry.get("name"), at.below("name"), "the name of a coordinate system")
        if name == system:
            encoded.append({**entry, "axes": axes})
        elif "axes" in entry:
            # 'The length of "axes" must be between 2 and 5'
            if not 2 <= len(decode_axes(entry["axes"], at.below("axes"))) <= 5:
                raise at.below("axes").error("A coordinate system must have 2 to 5 axes.")
            encoded.append(dict(entry))
    names = [item["name"] for item in encoded]
    if len(set(names)) < len(names):
        raise context.error(
            "The coordinate systems of an image must have different names.", found=describe(names)
        )
    return encoded if system in names else [{"name": system, "axes": axes}, *encoded]


def view_problem(transform: Json, system: str, names: Iterable[str]) -> str:
    """Return which rule a transform of the multiscale breaks, or "".

    `system` is the intrinsic one, `names` are those of all systems. Whether its numbers are right is not
    judged.
    """
    item = transform if isinstance(transform, Mapping) else {}
    if not isinstance(item.get("type"), str):
        return "no transform with a type"
    ends = {key: item.get(key) for key in _ENDS}
    # "The other of input or output MUST reference either: a named coordinate system in the same multiscales
    # group (...), or a named coordinate system in a child labels group (by name and path)."
    for key, end in ends.items():
        name, path = (end.get("name"), end.get("path")) if isinstance(end, Mapping) else (None, None)
        if not isinstance(name, str) or not (isinstance(path, str) or (path is None and name in names)):
            return f"{describe(end)} is no known system ({key})"
    # "One of input or output MUST reference the intrinsic coordinate system by name"
    if not any(end["name"] == system and end.get("path") is None for end in ends.values() if end):
        return f"neither input nor output is {describe(system)}, the system of the levels"
    return ""
