"""The parts of a multiscale that all versions have in the same form: axes, level paths, name, type, metadata.

Reading is lenient and notes what breaks a rule; writing raises.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from napari_ome_ngff.metadata.context import Context
from napari_ome_ngff.metadata.json_checks import as_list, as_path, as_text, describe, without_keys
from napari_ome_ngff.metadata.nouns import Axis, Json, Level, Multiscale
from napari_ome_ngff.metadata.units import axis_type, canonical_unit, is_udunits

SYSTEMS_KEY = "coordinateSystems"
TRANSFORMS_KEY = "coordinateTransformations"

ENTRY_KEYS = frozenset(
    {
        "version",
        "name",
        "type",
        "metadata",
        "axes",
        "datasets",
        TRANSFORMS_KEY,
        SYSTEMS_KEY,
    }
)
"""Keys of an entry of ``multiscales`` that one version or another gives a meaning."""

MOST_AXES = 32
"""More than any array has that numpy can hold."""

_AXIS_KEYS = ("name", "type", "unit")

_NO_TYPE = "custom"


def decode_axes(axes: Json, context: Context) -> tuple[Axis, ...]:
    """Return the axes of an image; a type that is not given follows from the unit or from a usual name.

    All names are different: an axis without one, or with that of another, is called after its index,
    ``"dim_0"``.
    """
    items = as_list(axes, context, "a list of axes")
    if not 1 <= len(items) <= MOST_AXES:
        raise context.error(
            "An image must have as many axes as its arrays have dimensions.",
            found=describe(items),
            expected="2 to 5 axes",
        )
    decoded: list[Axis] = []
    for index, item in enumerate(items):
        at = context.below(index)
        axis = _decode_axis(item, at)
        # 0.4: "The values MUST be unique across all "name" fields."
        taken = {other.name for other in decoded}
        if not axis.name or axis.name in taken:
            free = (f"{'_' * count}dim_{index}" for count in range(MOST_AXES))
            name = next(name for name in free if name not in taken)
            at.below("name").note(f"{describe(axis.name)} is no name of its own, read as {name}")
            axis = replace(axis, name=name)
        decoded.append(axis)
    # Judged as the file has them: a type that was inferred here is missing there.
    written = [item.get("type") if isinstance(item, Mapping) else None for item in items]
    if problem := axes_problem([kind if isinstance(kind, str) else None for kind in written]):
        context.note(f"{problem}; found {describe(written)}")
    return tuple(decoded)


def _decode_axis(axis: Json, context: Context) -> Axis:
    """Return one axis; its name is "" where it has none."""
    if isinstance(axis, str):
        # 0.3: the names alone
        context.note("text, read as the name of an axis")
        axis = {"name": axis}
    elif not isinstance(axis, Mapping):
        context.note(f"{describe(axis)} is not an axis")
        axis = {}
    # 0.4: "MUST contain the field "name" that gives the name for this dimension."
    name = axis.get("name")
    name = name if isinstance(name, str) else ""
    if "unit" not in axis and isinstance(axis.get("units"), str):
        # webknossos has written this; without it everything would be a thousand times too large or small.
        context.below("units").note("read as 'unit'")
        axis = {"unit" if key == "units" else key: value for key, value in axis.items()}
    unit = _text_or_none(axis, "unit", context)
    kind = _text_or_none(axis, "type", context)
    unit = canonical_unit(unit)
    return Axis(
        name=name, type=kind or axis_type(name, unit), unit=unit, extra=without_keys(axis, _AXIS_KEYS)
    )


def _text_or_none(axis: Mapping[str, Json], key: str, context: Context) -> str | None:
    value = axis.get(key)
    if value is None or isinstance(value, str):
        return value
    context.below(key).note(f"{describe(value)} is not a {key}, ignored")
    return None


def axes_problem(types: Sequence[str | None]) -> str:
    """Return which rule the types of an image's axes break, or "".

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


def encode_axes(axes: Sequence[Axis], context: Context) -> list[dict[str, Json]]:
    """Return axes as JSON; an axis without a type is written as ``"custom"``."""
    names = [axis.name for axis in axes]
    for index, name in enumerate(names):
        as_text(name, context.below(index, "name"), "the name of an axis")
    if len(set(names)) < len(names):
        raise context.error("The axes of an image must have different names.", found=describe(names))
    if problem := axes_problem([axis.type for axis in axes]):
        raise context.error(
            f"OME-Zarr does not allow these axes: {problem}.",
            found=", ".join(f"{axis.name} ({axis.type or 'no type'})" for axis in axes),
            expected="time, then channel or a custom axis, then 2 or 3 of space",
        )
    return [_encode_axis(axis, context.below(index)) for index, axis in enumerate(axes)]


def _encode_axis(axis: Axis, context: Context) -> dict[str, Json]:
    # 'SHOULD contain the field "type"': besides, the schemas of 0.4 and 0.5 count an axis without it as one
    # of space, and then refuse three others.
    kind = _NO_TYPE if axis.type is None else axis.type
    as_text(kind, context.below("type"), f"the type of axis {axis.name!r}")
    item: dict[str, Json] = {"name": axis.name, "type": kind}
    unit = canonical_unit(axis.unit)
    if unit is not None:
        # "The value SHOULD be one of the following strings": the lists are those of space and time, so the
        # unit of another axis cannot be judged.
        if axis.type in ("space", "time") and not is_udunits(unit, axis.type):
            raise context.below("unit").error(
                f"The unit {unit!r} of axis {axis.name!r} is not one that OME-Zarr knows.",
                found=describe(unit),
                expected=f"a UDUNITS name for {axis.type}, such as "
                + ("'micrometer'" if axis.type == "space" else "'second'"),
                hint="Use such a name, or no unit.",
            )
        item["unit"] = unit
    return item | without_keys(axis.extra, _AXIS_KEYS)


def check_levels(levels: Sequence[Level], context: Context) -> None:
    """Raise unless there are levels, each with a path that no other has."""
    if not levels:
        raise context.error("An image must have at least one level.")
    paths = [as_path(level.path, context.below(index, "path")) for index, level in enumerate(levels)]
    if len(set(paths)) < len(paths):
        raise context.error("Two levels of an image have the same path.", found=describe(paths))


def decode_description(entry: Mapping[str, Json], context: Context) -> dict[str, Json]:
    """Return the fields `name`, `method` and `metadata` of a Multiscale."""
    fields: dict[str, Json] = {}
    for key, kind in (("name", str), ("type", str), ("metadata", Mapping)):
        value = entry.get(key)
        if value is not None and not isinstance(value, kind):
            context.below(key).note(f"{describe(value)}, ignored")
            value = None
        fields["method" if key == "type" else key] = value
    return fields


def encode_description(multiscale: Multiscale, context: Context) -> dict[str, Json]:
    """Return ``name``, ``type`` and ``metadata`` of an entry, those that are given."""
    values = {"name": multiscale.name, "type": multiscale.method, "metadata": multiscale.metadata}
    for key, value in values.items():
        kind = Mapping if key == "metadata" else str
        if value is not None and not isinstance(value, kind):
            raise context.below(key).error(
                f"The {key} of an image must be {'a mapping' if key == 'metadata' else 'text'}.",
                found=describe(value),
            )
    return {key: value for key, value in values.items() if value is not None}


def unknown_keys(entry: Mapping[str, Json]) -> dict[str, Json]:
    """Return the keys of an entry of ``multiscales`` that no version gives a meaning."""
    return without_keys(entry, ENTRY_KEYS)
