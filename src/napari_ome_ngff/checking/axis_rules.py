"""Rules of axes: names, types, order, units."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from napari_ome_ngff.checking.findings import Spot
from napari_ome_ngff.checking.forms import Form, boolean, listed, listing, mapped, mapping, text
from napari_ome_ngff.metadata.json_checks import describe
from napari_ome_ngff.metadata.nouns import Json
from napari_ome_ngff.metadata.units import is_udunits

_RANK = {"time": 0, "space": 2}

_AXIS: Form = mapping({"name": text()}, {"type": text(), "unit": text()})

_AXIS_V06: Form = mapping(
    {"name": text(expected="a text that is not empty", least=1)},
    {"type": text(), "unit": text(), "longName": text(), "discrete": boolean},
)

check_axes_form: Form = listing(_AXIS, least=2, most=5, unique=True)
check_axes_form_v06: Form = listing(_AXIS_V06, least=1, most=5, unique=True)


def check_axes(value: Json, spot: Spot) -> None:
    """Note which rules of the text the axes break, besides those of their form."""
    axes = [mapped(axis) for axis in listed(value)]
    if not axes:
        return  # their form says it
    names = [str(axis.get("name")) for axis in axes]
    for name in (name for name, count in Counter(names).items() if count > 1):
        spot.refuse(f"Several axes are called {name!r}.", "names of axes must be unique")
    types = [axis.get("type") for axis in axes]
    kinds = ["space" if kind == "space" else "time" if kind == "time" else "other" for kind in types]
    counts = Counter(kinds)
    if spot.version == "0.6" and types.count("array") >= 2 and not counts["space"]:
        spot.advise('The axes are of type "array".', 'ome-zarr-models wants 2 or 3 of type "space"')
        return
    if not 2 <= counts["space"] <= 3:
        rule = '2 or 3 axes must be of type "space"'
        spot.refuse(f'{counts["space"]} of {len(axes)} axes are of type "space".', rule)
    if counts["time"] > 1:
        spot.refuse('Several axes are of type "time".', 'at most one axis may be of type "time"')
    if counts["other"] > 1:
        spot.refuse(
            f"Several axes are neither space nor time: {describe(types)}.",
            'at most one axis may be of type "channel" or of another type',
        )
    ranks = [_RANK.get(kind, 1) for kind in kinds]
    if ranks != sorted(ranks):
        spot.refuse(
            f"The axes are in the order {', '.join(names)}.", "time must come first, then channel, then space"
        )
    space = [name for name, kind in zip(names, kinds, strict=True) if kind == "space"]
    if set(space) == set("zyx"[-len(space) :]) and space != list("zyx"[-len(space) :]):
        spot.advise(f"The axes of space are in the order {', '.join(space)}.", "z, y, x is the usual order")
    for index, axis in enumerate(axes):
        _check_unit(axis, spot.at(index))


def _check_unit(axis: Mapping[str, Json], spot: Spot) -> None:
    unit, kind = axis.get("unit"), axis.get("type")
    if isinstance(unit, str) and kind in ("space", "time") and not is_udunits(unit, kind):
        spot.at("unit").advise(
            f"{describe(unit)} is no unit of the list.", f"a unit of {kind} should be one of UDUNITS-2"
        )
