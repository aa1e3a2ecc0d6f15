"""The parts of a multiscale that all versions spell alike: axes, level paths, name, type and metadata.

Reading is lenient and notes what breaks a rule; writing raises.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from napari_ome_ngff.errors import MetadataError
from napari_ome_ngff.metadata.json_checks import Notes, as_list, as_path, as_text, describe
from napari_ome_ngff.metadata.nouns import Axis, Json, Level, Multiscale
from napari_ome_ngff.metadata.units import axis_type, canonical_unit, is_udunits

ENTRY_KEYS = frozenset(
    {
        "version",
        "name",
        "type",
        "metadata",
        "axes",
        "datasets",
        "coordinateTransformations",
        "coordinateSystems",
    }
)
"""Keys of an entry of ``multiscales`` that one version or another gives a meaning."""


MOST_AXES = 32
"""More than any array has that numpy can hold."""


_NO_TYPE = "custom"


def decode_axes(axes: Json, *, where: str, notes: Notes) -> tuple[Axis, ...]:
    """Return the axes of an image; a type that is not given follows from the unit or from a usual name.

    Parameters
    ----------
    axes
        Value of ``axes``.
    where
        Location and JSON path of it.
    notes
        Where to note what breaks a rule.

    Returns
    -------
    tuple of Axis
        Each with a name of its own: an axis without one, or with the name of another, is called after its
        place, such as ``"dim_0"``.

    Raises
    ------
    MetadataError
        If there are no axes, or more than any array has dims.

    Examples
    --------
    >>> decode_axes([{"name": "y", "unit": "um"}, {"name": "x", "type": "space"}], where="", notes=Notes(""))
    (Axis(name='y', type='space', unit='micrometer', extra={}), Axis(name='x', type='space', ...))
    """
    items = as_list(axes, where=where, what="a list of axes")
    if not 1 <= len(items) <= MOST_AXES:
        raise MetadataError(
            "An image must have as many axes as its arrays have dimensions.",
            where=where,
            found=describe(items),
            expected="2 to 5 axes",
        )
    found: list[Axis] = []
    for index, item in enumerate(items):
        at = f"{where}[{index}]"
        axis = _decode_axis(item, where=at, notes=notes)
        # 0.4: "The values MUST be unique across all "name" fields."
        taken = {other.name for other in found}
        if not axis.name or axis.name in taken:
            free = (f"{'_' * count}dim_{index}" for count in range(MOST_AXES))
            name = next(name for name in free if name not in taken)
            notes.add(f"{at}.name", f"{describe(axis.name)} is no name of its own, read as {name}")
            axis = replace(axis, name=name)
        found.append(axis)
    # Judged as the file has them: a type that was inferred here is missing there.
    written = [item.get("type") if isinstance(item, Mapping) else None for item in items]
    if problem := axes_problem([kind if isinstance(kind, str) else None for kind in written]):
        notes.add(where, f"{problem}; found {describe(written)}")
    return tuple(found)


def _decode_axis(axis: Json, *, where: str, notes: Notes) -> Axis:
    """Return one axis; its name is "" where there is none."""
    if isinstance(axis, str):
        # 0.3: the names alone
        notes.add(where, "text, read as the name of an axis")
        axis = {"name": axis}
    elif not isinstance(axis, Mapping):
        notes.add(where, f"{describe(axis)} is not an axis")
        axis = {}
    # 0.4: "MUST contain the field "name" that gives the name for this dimension."
    name = axis.get("name")
    name = name if isinstance(name, str) else ""
    if "unit" not in axis and isinstance(axis.get("units"), str):
        # webknossos has written this; without it everything would be a thousand times too large or small.
        notes.add(f"{where}.units", "read as 'unit'")
        axis = {"unit" if key == "units" else key: value for key, value in axis.items()}
    kind, unit = axis.get("type"), axis.get("unit")
    if unit is not None and not isinstance(unit, str):
        notes.add(f"{where}.unit", f"{describe(unit)} is not a unit, ignored")
        unit = None
    if kind is not None and not isinstance(kind, str):
        notes.add(f"{where}.type", f"{describe(kind)} is not a type, ignored")
        kind = None
    unit = canonical_unit(unit)
    extra = {key: value for key, value in axis.items() if key not in ("name", "type", "unit")}
    return Axis(name=name, type=kind or axis_type(name, unit), unit=unit, extra=extra)


def axes_problem(types: Sequence[str | None]) -> str:
    """Return which rule the types of an image's axes break, or "".

    Parameters
    ----------
    types
        Type of each axis in the order of the array's dimensions.

    Examples
    --------
    >>> axes_problem(["time", "channel", "space", "space"])
    ''
    >>> axes_problem(["space", "space", "channel"])
    'axes must be ordered: time, then channel or custom, then space'
    """
    ranks = [{"time": 0, "space": 2}.get(kind or "", 1) for kind in types]
    # 'The length of "axes" must be between 2 and 5'
    if not 2 <= len(types) <= 5:
        return "an image must have 2 to 5 axes"
    # 'The "axes" MUST contain 2 or 3 entries of "type:space"'
    if not 2 <= ranks.count(2) <= 3:
        return "2 or 3 axes must be of type 'space'"
    # "and MAY contain one additional entry of "type:time""
    if ranks.count(0) > 1:
        return "at most one axis may be of type 'time'"
    # 'and MAY contain one additional entry of "type:channel" or a null / custom type'
    if ranks.count(1) > 1:
        return "at most one axis may be of type 'channel', of a custom type or without type"
    # '"time" axis must come first (if present), followed by the "channel" or custom axis (if present)'
    return "" if ranks == sorted(ranks) else "axes must be ordered: time, then channel or custom, then space"


def encode_axes(axes: Sequence[Axis], *, where: str) -> list[dict[str, Json]]:
    """Return axes as JSON; an axis without a type is written as ``"custom"``.

    Raises
    ------
    MetadataError
        If number, order, types, names or units break a rule of the specification.

    Examples
    --------
    >>> encode_axes([Axis(name="y", type="space", unit="um"), Axis(name="x", type="space")], where="axes")
    [{'name': 'y', 'type': 'space', 'unit': 'micrometer'}, {'name': 'x', 'type': 'space'}]
    """
    names = [axis.name for axis in axes]
    for index, name in enumerate(names):
        as_text(name, where=f"{where}[{index}].name", what="the name of an axis")
    if len(set(names)) < len(names):
        raise MetadataError(
            "The axes of an image must have different names.", where=where, found=describe(names)
        )
    if problem := axes_problem([axis.type for axis in axes]):
        raise MetadataError(
            f"OME-NGFF does not allow these axes: {problem}.",
            where=where,
            found=", ".join(f"{axis.name} ({axis.type or 'no type'})" for axis in axes),
            expected="time, then channel or a custom axis, then 2 or 3 of space",
        )
    return [_encode_axis(axis, where=f"{where}[{index}]") for index, axis in enumerate(axes)]


def _encode_axis(axis: Axis, *, where: str) -> dict[str, Json]:
    # 'SHOULD contain the field "type"': besides, the schemas of 0.4 and 0.5 count an axis without it as one
    # of space, and then refuse three others.
    kind = _NO_TYPE if axis.type is None else axis.type
    as_text(kind, where=f"{where}.type", what=f"the type of axis {axis.name!r}")
    item: dict[str, Json] = {"name": axis.name, "type": kind}
    unit = canonical_unit(axis.unit)
    if unit is not None:
        # "The value SHOULD be one of the following strings": the lists are those of space and time, so the
        # unit of another axis cannot be judged.
        if axis.type in ("space", "time") and not is_udunits(unit, axis.type):
            raise MetadataError(
                f"The unit {unit!r} of axis {axis.name!r} is not one that OME-NGFF knows.",
                where=f"{where}.unit",
                found=describe(unit),
                expected=f"a UDUNITS name for {axis.type}, such as "
                + ("'micrometer'" if axis.type == "space" else "'second'"),
                hint="Use such a name, or no unit.",
            )
        item["unit"] = unit
    return item | {key: value for key, value in axis.extra.items() if key not in ("name", "type", "unit")}


def check_levels(levels: Sequence[Level], *, where: str) -> None:
    """Check that there are levels, and that each has a path of its own.

    Raises
    ------
    MetadataError
        If there is none, two share a path, or a path leads out of the group.

    Examples
    --------
    >>> from napari_ome_ngff.metadata.transforms import identity
    >>> check_levels([Level(path="0", transform=identity(2))], where="datasets")
    """
    if not levels:
        raise MetadataError("An image must have at least one level.", where=where)
    paths = [as_path(level.path, where=f"{where}[{index}].path") for index, level in enumerate(levels)]
    if len(set(paths)) < len(paths):
        raise MetadataError("Two levels of an image have the same path.", where=where, found=describe(paths))


def decode_texts(entry: Mapping[str, Json], *, where: str, notes: Notes) -> dict[str, Json]:
    """Return what an entry says about itself: the fields `name`, `method`, `metadata` of a Multiscale.

    Examples
    --------
    >>> decode_texts({"name": "cells", "type": "mean"}, where="multiscales[0]", notes=Notes(""))
    {'name': 'cells', 'method': 'mean', 'metadata': None}
    """
    found: dict[str, Json] = {}
    for key, kind in (("name", str), ("type", str), ("metadata", Mapping)):
        value = entry.get(key)
        if value is not None and not isinstance(value, kind):
            notes.add(f"{where}.{key}", f"{describe(value)}, ignored")
            value = None
        found["method" if key == "type" else key] = value
    return found


def encode_texts(multiscale: Multiscale, *, where: str) -> dict[str, Json]:
    """Return ``name``, ``type`` and ``metadata`` of an entry, those that there are.

    Raises
    ------
    MetadataError
        If `name` or `method` is no text, or `metadata` no mapping.

    Examples
    --------
    >>> encode_texts(Multiscale(version="0.5", axes=(), levels=(), name="cells"), where="multiscales[0]")
    {'name': 'cells'}
    """
    values = {"name": multiscale.name, "type": multiscale.method, "metadata": multiscale.metadata}
    for key, value in values.items():
        kind = Mapping if key == "metadata" else str
        if value is not None and not isinstance(value, kind):
            raise MetadataError(
                f"The {key} of an image must be {'a mapping' if key == 'metadata' else 'text'}.",
                where=f"{where}.{key}",
                found=describe(value),
            )
    return {key: value for key, value in values.items() if value is not None}


def unknown_keys(entry: Mapping[str, Json]) -> dict[str, Json]:
    """Return the keys of an entry of ``multiscales`` that no version gives a meaning.

    Examples
    --------
    >>> unknown_keys({"name": "cells", "@type": "ngff:Image"})
    {'@type': 'ngff:Image'}
    """
    return {key: value for key, value in entry.items() if key not in ENTRY_KEYS}
