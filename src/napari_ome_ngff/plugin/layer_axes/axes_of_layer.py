"""Names, types and units of a layer's axes: as labelled, else as in its file, else by position. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from napari_ome_ngff.metadata.nouns import Axis
from napari_ome_ngff.metadata.units import axis_type, canonical_unit, is_udunits
from napari_ome_ngff.plugin.origin import Origin

DEFAULT_DIMS = ("t", "c", "z", "y", "x")
"""Names for dimensions without names, by position from the right; time before channel."""

TYPES_KEY = "ome_ngff_axis_types"
"""Key of ``layer.metadata``: names of axes -> the types chosen for them, which napari has no place for."""

AS_IN_FILE = "as in the file"
"""In place of a unit that was not changed since the layer was opened."""

OTHER = "other"
"""A type that OME-Zarr has no word for."""

_UNNAMED = re.compile(r"-?\d+|")


def is_named(label: object) -> bool:
    """Whether an axis label is a name: napari calls axes ``"-3"`` that have none."""
    return not _UNNAMED.fullmatch(str(label))


def chosen_types(meta: Mapping[str, Any]) -> Mapping[str, Any]:
    """The types that were chosen for axes of a layer, by their names."""
    metadata = meta.get("metadata")
    types = metadata.get(TYPES_KEY) if isinstance(metadata, Mapping) else None
    return types if isinstance(types, Mapping) else {}


def axes_of_layer(
    name: str,
    labels: Sequence[str],
    units: Sequence[str],
    origin: Origin | None,
    types: Mapping[str, Any],
) -> tuple[tuple[Axis, ...], tuple[str, ...], list[str]]:
    """The axes of a layer; those taken for space by position alone, not downsampled; what is left out."""
    ndim = len(labels)
    fallback = _by_position(units) if origin is None else origin["dims"]
    names = [label if is_named(label) else fallback[i] for i, label in enumerate(labels)]
    if len(set(names)) < ndim:
        names = list(fallback)
    axes, guessed, messages = [], [], []
    for i, axis_name in enumerate(names):
        before = None
        if origin is not None:
            before = next((a for a in origin["multiscale"].axes if a.name == origin["dims"][i]), None)
        unit = canonical_unit(units[i])
        if units[i] == AS_IN_FILE:
            unit = None if origin is None else origin["units"][i]
        kind = types.get(axis_name) or _type(axis_name, unit, before, same_unit=units[i] == AS_IN_FILE)
        if kind is None and i >= ndim - 2:
            kind = "space"  # napari's two displayed dimensions
        if kind == OTHER:
            kind = None
        if unit is not None and kind in ("space", "time") and not is_udunits(unit, kind):
            messages.append(f"The unit {unit!r} of axis {axis_name!r} of layer {name!r} is left out.")
            unit = None
        if origin is None and i < ndim - 2 and kind == "space" and not is_named(labels[i]):
            guessed.append(axis_name)
        axes.append(Axis(name=axis_name, type=kind, unit=unit, extra=before.extra if before else {}))
    return tuple(axes), tuple(guessed), messages


def _by_position(units: Sequence[str]) -> list[str]:
    ndim = len(units)
    names = list(DEFAULT_DIMS[-ndim:] if ndim != 4 else ("t", "z", "y", "x"))
    if "t" not in names and axis_type("", units[0]) == "time":
        names[0] = "t"
    return names


def _type(name: str, unit: str | None, before: Axis | None, *, same_unit: bool) -> str | None:
    """The type of an axis: a new unit decides, then what the file said of that name, then a new name."""
    if not same_unit and (kind := axis_type("", unit)) is not None:
        return kind
    if before is None:
        return axis_type(name, unit)
    if before.name == name:
        return before.type or axis_type(name, unit)
    return axis_type(name, None) or axis_type(name, unit) or before.type
