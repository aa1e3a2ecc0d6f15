"""Transforms beside ``datasets`` from one system to several others: an image has one place in each.

SpatialData writes them into images of 0.4 and 0.5. No version of OME-Zarr has them in this form: they are
read as what 0.6 says with coordinate systems.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from napari_ome_ngff.errors import OmeNgffError
from napari_ome_ngff.metadata.affine import (
    as_scale_translation,
    compose_affine,
    identity_affine,
    invert_affine,
)
from napari_ome_ngff.metadata.axes import SYSTEMS_KEY, TRANSFORMS_KEY, decode_axes
from napari_ome_ngff.metadata.context import Context
from napari_ome_ngff.metadata.json_checks import items_of
from napari_ome_ngff.metadata.nouns import Affine, Axis, Json
from napari_ome_ngff.metadata.systems.coordinate_systems import MOST_SYSTEMS
from napari_ome_ngff.metadata.systems.read_transform import decode_two_way
from napari_ome_ngff.metadata.systems.view import SHOWN_KEY, ends_of
from napari_ome_ngff.metadata.transforms import identity, usable_steps

PREFERRED = "global"
"""The system of SpatialData that every element is in unless somebody chose otherwise."""

_UNNAMED = "intrinsic"


def are_alternatives(transforms: Json) -> bool:
    """Return whether each of some transforms leads to a system that it names, but not one after the other."""
    items = items_of(transforms, MOST_SYSTEMS)
    ends = [[_name(end) for end in ends_of(item)] for item in items]
    in_a_row = len(ends) > 1 and all(before[1] == after[0] for before, after in pairwise(ends))
    return bool(ends) and all(output for _, output in ends) and not in_a_row


def preferred(transforms: Json) -> Json:
    """Return those of some alternatives that lead to the preferred system, else to the first one."""
    items = items_of(transforms, MOST_SYSTEMS)
    names = [_name(ends_of(item)[1]) for item in items]
    chosen = PREFERRED if PREFERRED in names else names[0]
    return [item for item, name in zip(items, names, strict=True) if name == chosen]


def _name(end: Json) -> str:
    """Return the name of the system at an end of a transform, or "" if it has none."""
    name = end.get("name") if isinstance(end, Mapping) else end
    return name if isinstance(name, str) else ""


def decode_alternatives(transforms: Json, axes: tuple[Axis, ...], context: Context) -> dict[str, Json]:
    """Return the fields of a Multiscale that say how an image lies in each of the systems.

    The levels lie in the preferred one, if scale and translation lead there, else in that of the inputs, and
    the image is shown in the preferred one. Those that cannot be read are noted and left out.
    """
    items = usable_steps(items_of(transforms, MOST_SYSTEMS), axes, context)
    start = _name(ends_of(items[0])[0]) or _UNNAMED
    places: dict[str, Affine] = {start: identity_affine(len(axes))}
    systems: dict[str, tuple[Axis, ...]] = {start: axes}
    for index, item in enumerate(items):
        at, (source, target) = context.below(index), ends_of(item)
        name, before = _name(target), _name(source) or start
        try:
            # Several transforms to one system follow each other.
            first = places.get(name if name in places else before, places[start])
            inputs = systems.get(before, axes)
            outputs = _axes(target, axes, at)
            way = decode_two_way(
                item, at, inputs=[axis.name for axis in inputs], outputs=[axis.name for axis in outputs]
            )
        except OmeNgffError as error:
            at.note(f"left out: {error.summary}")
            continue
        for problem in way.problems:
            at.note(problem)
        places[name], systems[name] = compose_affine(first, way.forward), outputs
    return _fields(places, systems, start, axes)


def _axes(system: Json, default: tuple[Axis, ...], context: Context) -> tuple[Axis, ...]:
    axes = system.get("axes") if isinstance(system, Mapping) else None
    return default if axes is None else decode_axes(axes, Context.of(context.location))


def _fields(
    places: Mapping[str, Affine], systems: Mapping[str, tuple[Axis, ...]], start: str, axes: tuple[Axis, ...]
) -> dict[str, Json]:
    others = [name for name in places if name != start]
    if not others:
        return {}
    chosen = PREFERRED if PREFERRED in others else others[0]
    transform, back, names = as_scale_translation(places[chosen]), None, [axis.name for axis in axes]
    is_plain = [axis.name for axis in systems[chosen]] == names
    if transform is None or 0.0 in transform.scale or not is_plain:
        home, transform, shown = start, None, {SHOWN_KEY: {"shown": chosen}}
    else:
        home, back, shown = chosen, invert_affine(places[chosen]), {}
        axes = tuple(
            replace(axis, unit=other.unit or axis.unit)
            for axis, other in zip(axes, systems[chosen], strict=True)
        )
    ways = {name: place for name, place in places.items() if name not in (home, start)}
    views = [
        {
            "type": "affine",
            "affine": _rows(place if back is None else compose_affine(back, place)),
            "input": {"name": home},
            "output": {"name": name},
        }
        for name, place in ways.items()
    ]
    extra: dict[str, Json] = shown
    if ways:
        kept = [{"name": name, "axes": _as_json(systems[name])} for name in ways]
        extra |= {SYSTEMS_KEY: [{"name": home}, *kept], TRANSFORMS_KEY: views}
    is_identity = transform == identity(len(axes))
    return {
        "axes": axes,
        "transform": None if is_identity else transform,
        "system": home,
        "extra": extra,
    }


def _rows(affine: Affine) -> list[Json]:
    return [[*row, shift] for row, shift in zip(affine.matrix, affine.translation, strict=True)]


def _as_json(axes: Sequence[Axis]) -> list[Json]:
    fields = ({"name": axis.name, "type": axis.type, "unit": axis.unit} | dict(axis.extra) for axis in axes)
    return [{key: value for key, value in item.items() if value is not None} for item in fields]
