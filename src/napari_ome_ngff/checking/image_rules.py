"""Rules of ``multiscales`` in 0.4 and 0.5, and of what all versions have: ``omero``, ``image-label``."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from napari_ome_ngff.checking.axis_rules import check_axes, check_axes_form
from napari_ome_ngff.checking.findings import Spot
from napari_ome_ngff.checking.forms import (
    Form,
    anything,
    boolean,
    integer,
    is_integer,
    is_number,
    listed,
    listing,
    mapped,
    mapping,
    number,
    one_of,
    text,
)
from napari_ome_ngff.metadata.json_checks import describe
from napari_ome_ngff.metadata.nouns import Json

_COLOR = r"^[0-9A-Fa-f]{6}$"

_WINDOW: Form = mapping(dict.fromkeys(("start", "min", "end", "max"), number))

check_omero: Form = mapping(
    {
        "channels": listing(
            mapping(
                {"window": _WINDOW, "color": text(_COLOR, 'a colour such as "00FF00"')},
                {"label": text(), "family": text(), "active": boolean},
            )
        )
    }
)

_BYTE = integer(0, 255)

check_image_label: Form = mapping(
    optional={
        "colors": listing(
            mapping({"label-value": number}, {"rgba": listing(_BYTE, least=4, most=4)}), least=1, unique=True
        ),
        "properties": listing(mapping({"label-value": integer()}), least=1, unique=True),
        "source": mapping(optional={"image": text()}),
    }
)


def check_labels_agree(value: Json, spot: Spot) -> None:
    """Note what the colours and properties of a label image say twice or only once."""
    values = {
        key: [mapped(entry).get("label-value") for entry in listed(mapped(value).get(key))]
        for key in ("colors", "properties")
    }
    colors, properties = (
        [each for each in values[key] if is_integer(each)] for key in ("colors", "properties")
    )
    if len(set(colors)) < len(colors):
        spot.at("colors").refuse("A label has several colours.", "each label-value must be there once")
    if "colors" in mapped(value) and "properties" in mapped(value) and set(colors) != set(properties):
        spot.refuse(
            "The colours and the properties are those of different labels.",
            "ome-zarr-models wants the same label-values in both",
        )


def _transform(spot: Spot, value: Json, ndim: int) -> str:
    """Check one scale or translation; return its type."""
    kind = mapped(value).get("type")
    if kind not in ("scale", "translation"):
        spot.refuse(f"The type is {describe(kind)}.", 'it must be "scale" or "translation"')
        return ""
    mapping({kind: listing(number, least=2)})(value, spot)
    numbers = mapped(value).get(kind)
    if isinstance(numbers, list):
        check_numbers(numbers, kind, spot.at(kind), ndim)
    return str(kind)


def check_numbers(numbers: Sequence[Json], kind: str, spot: Spot, ndim: int) -> None:
    """Note a scale or translation that has not one number for each axis, or no positive size."""
    if ndim and len(numbers) != ndim:
        spot.refuse(f"There are {len(numbers)} numbers for {ndim} axes.", "each axis must have one")
    if kind == "scale" and any(is_number(each) and each <= 0 for each in numbers):
        spot.refuse(f"The scale is {describe(numbers)}.", "sizes of voxels are positive")


def _check_transforms(value: Json, spot: Spot, ndim: int) -> None:
    listing(anything, least=1)(value, spot)
    kinds = [_transform(spot.at(i), each, ndim) for i, each in enumerate(listed(value))]
    if kinds and "" not in kinds and kinds not in (["scale"], ["scale", "translation"]):
        spot.refuse(
            f"The transforms are {' and '.join(kinds)}.",
            "there must be one scale, then at most one translation",
        )


def check_multiscales(value: Json, spot: Spot) -> None:
    """Note which rules of 0.4 or 0.5 the images of a group break."""
    listing(anything, least=1, unique=True)(value, spot)
    for index, entry in enumerate(listed(value)):
        at = spot.at(index)
        tag = {"version": one_of("0.4")} if spot.version == "0.4" else {}
        optional = {"name": text(), "type": text(), "metadata": mapping(), **tag}
        required = {"axes": check_axes_form, "datasets": listing(anything, least=1, unique=True)}
        mapping(required, optional)(entry, at)
        _check_entry(mapped(entry), at)


def _check_entry(entry: Mapping[str, Json], spot: Spot) -> None:
    check_axes(entry.get("axes"), spot.at("axes"))
    ndim = len(listed(entry.get("axes")))
    scales = []
    for index, dataset in enumerate(listed(entry.get("datasets"))):
        at = spot.at("datasets", index)
        mapping({"path": text(), "coordinateTransformations": anything})(dataset, at)
        transforms = mapped(dataset).get("coordinateTransformations")
        if transforms is not None or "coordinateTransformations" in mapped(dataset):
            _check_transforms(transforms, at.at("coordinateTransformations"), ndim)
        first = mapped(next(iter(listed(transforms)), None))
        scales.append(listed(first.get("scale")))
    check_order(scales, spot.at("datasets"))
    if "coordinateTransformations" in entry:
        _check_transforms(entry["coordinateTransformations"], spot.at("coordinateTransformations"), ndim)


def check_order(scales: Sequence[Sequence[Json]], spot: Spot) -> None:
    """Note levels that have smaller voxels than the one before."""
    for index, (finer, coarser) in enumerate(itertools.pairwise(scales), start=1):
        pairs = [pair for pair in zip(finer, coarser, strict=False) if all(map(is_number, pair))]
        if any(one > other for one, other in pairs):
            spot.at(index).refuse(
                f"Its voxels, {describe(coarser)}, are smaller than those of the level before.",
                "levels must be ordered from the finest to the coarsest",
            )
