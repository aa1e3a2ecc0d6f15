"""Coordinate systems of 0.6: which one an image is placed in, and what becomes of the others.

The intrinsic system is the one that all levels are placed in. Further systems and the transforms to them are
optional views of the image. They are kept as they are in `Multiscale.extra`, and checked when written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from napari_ome_ngff.errors import MetadataError
from napari_ome_ngff.metadata.axes import decode_axes
from napari_ome_ngff.metadata.json_checks import Notes, as_list, as_mapping, as_text, describe
from napari_ome_ngff.metadata.nouns import Json

MOST_SYSTEMS = 1000
"""Systems of an image, and transforms between them, that are looked at."""


def decode_systems(systems: Json, *, where: str, notes: Notes) -> dict[str, Mapping[str, Json]]:
    """Return the usable coordinate systems by name, in order.

    Parameters
    ----------
    systems
        Value of ``coordinateSystems``.
    where
        Location and JSON path of it.
    notes
        Where to note what breaks a rule.

    Raises
    ------
    MetadataError
        If there is none.

    Examples
    --------
    >>> decode_systems([{"name": "lab", "axes": []}, {"axes": []}], where="", notes=Notes(""))
    {'lab': {'name': 'lab', 'axes': []}}
    """
    found: dict[str, Mapping[str, Json]] = {}
    items = as_list(systems, where=where, what="a list of coordinate systems")
    if len(items) > MOST_SYSTEMS:
        notes.add(where, f"{len(items)} systems, only the first {MOST_SYSTEMS} are read")
    for index, item in enumerate(items[:MOST_SYSTEMS]):
        name = item.get("name") if isinstance(item, Mapping) else None
        # "The value MUST be a non-empty string that is unique among all entries"
        if not isinstance(name, str) or not name or name in found:
            notes.add(f"{where}[{index}]", f"no name of its own, {describe(name)}, ignored")
        else:
            found[name] = item
    if not found:
        raise MetadataError("The image has no named coordinate system.", where=where, found=describe(systems))
    return found


def intrinsic_system(
    outputs: Iterable[tuple[str, Json]], systems: Mapping[str, Json], *, where: str, notes: Notes
) -> str:
    """Return the name of the system that all levels are placed in.

    Parameters
    ----------
    outputs
        Place and value of each level's ``output``.
    systems
        What :func:`decode_systems` found; the first one is taken if `outputs` name none of them.
    where
        Location and JSON path of ``coordinateSystems``.
    notes
        Where to note what breaks a rule.

    Raises
    ------
    MetadataError
        If the levels name different systems.

    Examples
    --------
    >>> intrinsic_system([("", {"name": "b"})], {"a": {}, "b": {}}, where="", notes=Notes(""))
    'b'
    """
    named: dict[str, str] = {}
    for place, output in outputs:
        # Drafts of 0.6 had a string here.
        name = output.get("name") if isinstance(output, Mapping) else output
        if isinstance(name, str):
            named.setdefault(name, place)
        if not isinstance(output, Mapping) or not isinstance(name, str):
            notes.add(place, f"{describe(output)} instead of an object with the name of a system")
    # "It MUST be the same value for every resolution level in a single multiscales"
    if len(named) > 1:
        raise MetadataError(
            "The levels of an image must be placed in the same coordinate system.",
            where=list(named.values())[1],
            found=", ".join(describe(name) for name in list(named)[:3]),
        )
    for name in named:
        if name in systems:
            return name
        notes.add(where, f"{describe(name)} is not defined, the first system is taken instead")
    return next(iter(systems))


def decode_views(
    systems: Mapping[str, Mapping[str, Json]], system: str, transforms: Json, *, where: str, notes: Notes
) -> dict[str, Json]:
    """Return what `Multiscale.extra` keeps of coordinate systems and of the transforms between them.

    Parameters
    ----------
    systems
        What :func:`decode_systems` found.
    system
        The intrinsic one. Its axes are left out: they are the image's, which may get others.
    transforms
        Value of the multiscale's ``coordinateTransformations``.
    where
        Location and JSON path of `transforms`.
    notes
        Where to note what breaks a rule.

    Returns
    -------
    dict
        ``coordinateSystems`` and ``coordinateTransformations``, if there is more than the intrinsic system.

    Examples
    --------
    >>> decode_views({"a": {"name": "a", "axes": []}}, "a", None, where="", notes=Notes(""))
    {}
    """
    kept = [
        {key: value for key, value in item.items() if key != "axes"} if name == system else item
        for name, item in systems.items()
    ]
    found: dict[str, Json] = {} if kept == [{"name": system}] else {"coordinateSystems": kept}
    if transforms is not None and not isinstance(transforms, list | tuple):
        notes.add(where, f"{describe(transforms)}, ignored")
    views = []
    for index, item in enumerate(transforms[:MOST_SYSTEMS] if isinstance(transforms, list | tuple) else ()):
        if not isinstance(item, Mapping):
            notes.add(f"{where}[{index}]", f"{describe(item)}, ignored")
            continue
        # Some writers leave nulls in place of absent keys, which the schemas refuse.
        kept_item = {key: _without_nulls(value) for key, value in item.items() if value is not None}
        for key in ("input", "output"):
            # Drafts of 0.6 had the name alone.
            if isinstance(kept_item.get(key), str):
                notes.add(f"{where}[{index}].{key}", "text, read as the name of a system")
                kept_item[key] = {"name": kept_item[key]}
        views.append(kept_item)
        if problem := view_problem(kept_item, system, systems):
            notes.add(f"{where}[{index}]", problem)
    return found | ({"coordinateTransformations": views} if views else {})


def _without_nulls(value: Json) -> Json:
    if not isinstance(value, Mapping):
        return value
    return {key: inner for key, inner in value.items() if inner is not None}


def encode_systems(
    kept: Json, system: str, axes: list[dict[str, Json]], *, where: str
) -> list[dict[str, Json]]:
    """Return the intrinsic system and those that were kept, in the order in which they were found.

    Parameters
    ----------
    kept
        ``coordinateSystems`` of `Multiscale.extra`, or None.
    system, axes
        Name and axes of the intrinsic system.
    where
        JSON path of the result, for errors.

    Raises
    ------
    MetadataError
        If two systems have the same name, or one no name or no axes that could be.

    Examples
    --------
    >>> encode_systems(None, "lab", [{"name": "y"}, {"name": "x"}], where="coordinateSystems")
    [{'name': 'lab', 'axes': [{'name': 'y'}, {'name': 'x'}]}]
    """
    found: list[dict[str, Json]] = []
    for index, item in enumerate(as_list(kept or [], where=where, what="a list of coordinate systems")):
        place = f"{where}[{index}]"
        entry = as_mapping(item, where=place, what="a coordinate system")
        name = as_text(entry.get("name"), where=f"{place}.name", what="the name of a coordinate system")
        if name == system:
            found.append({**entry, "axes": axes})
        elif "axes" in entry:
            others = decode_axes(entry["axes"], where=f"{place}.axes", notes=Notes(""))
            # 'The length of "axes" must be between 2 and 5'
            if not 2 <= len(others) <= 5:
                raise MetadataError("A coordinate system must have 2 to 5 axes.", where=f"{place}.axes")
            found.append(dict(entry))
    names = [item["name"] for item in found]
    if len(set(names)) < len(names):
        raise MetadataError(
            "The coordinate systems of an image must have different names.",
            where=where,
            found=describe(names),
        )
    return found if system in names else [{"name": system, "axes": axes}, *found]


def view_problem(transform: Json, system: str, names: Iterable[str]) -> str:
    """Return what is wrong with a transform of the multiscale, or "".

    Whether its parameters are right is not judged.

    Parameters
    ----------
    transform
        An entry of the multiscale's ``coordinateTransformations``.
    system
        Name of the intrinsic system.
    names
        Names of all systems of the multiscale.

    Examples
    --------
    >>> ends = {"input": {"name": "lab"}, "output": {"name": "stage"}}
    >>> view_problem({"type": "identity", **ends}, "lab", ["lab", "stage"])
    ''
    >>> view_problem({"type": "identity", **ends}, "stage", ["stage"])
    'an object with name is no known system (input)'
    """
    item = transform if isinstance(transform, Mapping) else {}
    if not isinstance(item.get("type"), str):
        return "no transform with a type"
    ends = {key: item.get(key) for key in ("input", "output")}
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
