"""Rules of 0.6: coordinate systems, and the transforms between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType

from napari_ome_ngff.checking.axis_rules import check_axes, check_axes_form_v06
from napari_ome_ngff.checking.findings import Spot
from napari_ome_ngff.checking.forms import (
    Form,
    anything,
    integer,
    is_number,
    listed,
    listing,
    mapped,
    mapping,
    number,
    one_of,
    text,
)
from napari_ome_ngff.checking.image_rules import check_numbers, check_order
from napari_ome_ngff.metadata.json_checks import describe
from napari_ome_ngff.metadata.nouns import Json

_SYSTEM: Form = mapping(
    {"name": text(expected="a text that is not empty", least=1), "axes": check_axes_form_v06}
)

_INDEX = integer(0, 4)


def _positive(value: Json, spot: Spot) -> None:
    number(value, spot)
    if is_number(value) and value <= 0:
        spot.refuse(f"The scale is {describe(value)}.", "sizes of voxels must be positive")


def _matrix(value: Json, spot: Spot) -> None:
    """A square matrix of 2 to 5 rows."""
    size = len(listed(value))
    listing(listing(number, least=size, most=size), least=2, most=5)(value, spot)


def _either(key: str, form: Form) -> Form:
    """Numbers under a key, or the path of an array that holds them."""

    def check(value: Json, spot: Spot) -> None:
        name = "path" if "path" in mapped(value) and key not in mapped(value) else key
        mapping({name: text() if name == "path" else form})(value, spot)

    return check


def _project(value: Json, spot: Spot) -> None:
    indices = listing(_INDEX, least=1, most=3, unique=True)
    mapping(optional={"droppedInputs": indices, "createdOutputs": indices})(value, spot)
    if not {"droppedInputs", "createdOutputs"} & set(mapped(value)):
        spot.refuse("It drops and creates no axis.", "droppedInputs or createdOutputs is required")


def check_transform(value: Json, spot: Spot) -> None:
    """Note what does not fit the form of a transform of any type."""
    mapping({"type": text()}, {"name": text()})(value, spot)
    kind = mapped(value).get("type")
    form = _FORMS.get(kind) if isinstance(kind, str) else None
    if form is not None:
        form(value, spot)
    elif isinstance(kind, str):
        spot.at("type").refuse(
            f"There is no transform {describe(kind)}.", f"it is one of {', '.join(_FORMS)}"
        )


_FIELD: Form = mapping({"path": text()}, {"interpolation": one_of("nearest", "linear", "cubic")})

_FORMS: Mapping[str, Form] = MappingProxyType(
    {
        "identity": anything,
        "mapAxis": mapping({"mapAxis": listing(_INDEX, least=2, most=5, unique=True)}),
        "projectAxis": _project,
        "scale": mapping({"scale": listing(_positive)}),
        "translation": mapping({"translation": listing(number)}),
        "affine": _either("affine", listing(listing(number))),
        "rotation": _either("rotation", _matrix),
        "bijection": mapping({"forward": check_transform, "inverse": check_transform}),
        "sequence": mapping({"transformations": listing(check_transform)}),
        "byDimension": mapping(
            {
                "transformations": listing(
                    mapping(
                        {
                            "transformation": check_transform,
                            "inputAxes": listing(number),
                            "outputAxes": listing(number),
                        }
                    )
                )
            }
        ),
        "displacements": _FIELD,
        "coordinates": _FIELD,
    }
)


def check_systems(value: Json, spot: Spot) -> None:
    """Note what is wrong with coordinate systems."""
    listing(_SYSTEM)(value, spot)
    names = Counter(str(mapped(system).get("name")) for system in listed(value))
    for name in (name for name, count in names.items() if count > 1):
        spot.refuse(f"Several systems are called {describe(name)}.", "names of systems must be unique")
    for index, system in enumerate(listed(value)):
        check_axes(mapped(system).get("axes"), spot.at(index, "axes"))


def check_multiscales_v06(value: Json, spot: Spot) -> None:
    """Note which rules of 0.6 the images of a group break."""
    listing(anything, least=1, unique=True)(value, spot)
    for index, entry in enumerate(listed(value)):
        at = spot.at(index)
        required = {
            "datasets": listing(anything, least=1, unique=True),
            "coordinateSystems": listing(anything, least=1),
        }
        mapping(required, {"name": text(), "type": text(), "metadata": mapping()})(entry, at)
        _check_entry(mapped(entry), at)


def _check_entry(entry: Mapping[str, Json], spot: Spot) -> None:
    systems = {
        str(mapped(system).get("name")): len(listed(mapped(system).get("axes")))
        for system in listed(entry.get("coordinateSystems"))
    }
    check_systems(entry.get("coordinateSystems"), spot.at("coordinateSystems"))
    scales, outputs = [], []
    for index, dataset in enumerate(listed(entry.get("datasets"))):
        at = spot.at("datasets", index)
        mapping({"path": text(), "coordinateTransformations": listing(anything, least=1, most=1)})(
            dataset, at
        )
        for i, transform in enumerate(listed(mapped(dataset).get("coordinateTransformations"))):
            here = at.at("coordinateTransformations", i)
            scales.append(_check_place(mapped(transform), here, mapped(dataset).get("path"), systems))
            outputs.append(mapped(mapped(transform).get("output")).get("name"))
    if len({str(output) for output in outputs}) > 1:
        rule = "all levels must lie in the same coordinate system"
        spot.at("datasets").refuse(f"The levels lie in {describe(outputs)}.", rule)
    check_order(scales, spot.at("datasets"))
    if "coordinateTransformations" in entry:
        at = spot.at("coordinateTransformations")
        listing(anything, least=1)(entry["coordinateTransformations"], at)
        for i, transform in enumerate(listed(entry["coordinateTransformations"])):
            _check_link(mapped(transform), at.at(i), systems)


def _check_place(
    transform: Mapping[str, Json], spot: Spot, path: Json, systems: Mapping[str, int]
) -> list[Json]:
    """Check how a level is placed; return its scale."""
    ends = {"input": mapping({"path": text()}), "output": mapping({"name": text()})}
    mapping(ends, {"name": text()})(transform, spot)
    source, system = mapped(transform.get("input")).get("path"), mapped(transform.get("output")).get("name")
    if isinstance(source, str) and source != path:
        spot.at("input").refuse(
            f"It is that of {describe(source)}.", "the input must be the path of the level"
        )
    if isinstance(system, str) and system not in systems:
        spot.at("output").refuse(
            f"There is no coordinate system {describe(system)}.", "it must be one of the image"
        )
    steps = [transform]
    if transform.get("type") == "sequence":
        steps = [mapped(step) for step in listed(transform.get("transformations"))]
        kinds = [step.get("type") for step in steps]
        if kinds != ["scale", "translation"]:
            rule = "a sequence must be a scale and then a translation"
            spot.at("transformations").refuse(f"The sequence is {describe(kinds)}.", rule)
    elif transform.get("type") not in ("scale", "identity"):
        rule = "a level is placed by a scale, an identity, or a scale and a translation"
        spot.refuse(f"The transform is {describe(transform.get('type'))}.", rule)
    for step in steps:
        check_transform(step, spot)
        kind = str(step.get("type"))
        if isinstance(step.get(kind), list) and isinstance(system, str) and system in systems:
            check_numbers(step[kind], "", spot.at(kind), systems[system])
    return listed(steps[0].get("scale")) if steps else []


def _check_link(transform: Mapping[str, Json], spot: Spot, systems: Mapping[str, int]) -> None:
    """Check a transform from the image's system to another one."""
    end = mapping({"name": text()}, {"path": text()})
    mapping({"input": end, "output": end})(transform, spot)
    check_transform(transform, spot)
    for side in ("input", "output"):
        name, path = (mapped(transform.get(side)).get(key) for key in ("name", "path"))
        if isinstance(name, str) and name not in systems and not (side == "output" and path):
            spot.at(side).refuse(
                f"There is no coordinate system {describe(name)}.", "it must be one of the image"
            )


def check_scene(value: Json, spot: Spot) -> None:
    """Note what is wrong with a scene."""
    mapping({"coordinateTransformations": listing(anything, least=1)})(value, spot)
    if "coordinateSystems" in mapped(value):
        check_systems(mapped(value)["coordinateSystems"], spot.at("coordinateSystems"))
    end = mapping({"name": text()}, {"path": text()})
    for index, transform in enumerate(listed(mapped(value).get("coordinateTransformations"))):
        at = spot.at("coordinateTransformations", index)
        mapping({"input": end, "output": end})(transform, at)
        check_transform(transform, at)
        for side in ("input", "output"):
            if unknown := set(mapped(mapped(transform).get(side))) - {"name", "path"}:
                at.at(side).refuse(f"There is {describe(min(unknown))}.", "only name and path may be there")
