"""Rules of the metadata of one group, of any kind and version: dicts in, findings out."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from napari_ome_ngff.checking.findings import Finding, Spot
from napari_ome_ngff.checking.forms import (
    Form,
    integer,
    is_integer,
    listed,
    listing,
    mapped,
    mapping,
    one_of,
    text,
)
from napari_ome_ngff.checking.image_rules import (
    check_image_label,
    check_labels_agree,
    check_multiscales,
    check_omero,
)
from napari_ome_ngff.checking.system_rules import check_multiscales_v06, check_scene
from napari_ome_ngff.metadata.context import Context
from napari_ome_ngff.metadata.group_kind import COLLECTIONS, CONTAINER
from napari_ome_ngff.metadata.json_checks import describe
from napari_ome_ngff.metadata.nouns import Json

_TAGS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"0.4": ("0.4",), "0.5": ("0.5",), "0.6": ("0.6", "0.6rc0")}
)
"""How the version may be written."""

_NAME = r"^[A-Za-z0-9]+$"
_FIELD_V06 = r"^(?!__)(?!\.+$)[A-Za-z0-9_.-]+$"
_NAMED: Form = mapping({"name": text(_NAME, "letters and digits alone")})
_LINES: Form = listing(_NAMED, least=1, unique=True)

_PLATE: Form = mapping(
    {
        "columns": _LINES,
        "rows": _LINES,
        "wells": listing(
            mapping(
                {
                    "path": text(r"^[A-Za-z0-9]+/[A-Za-z0-9]+$", 'a path such as "A/1"'),
                    "rowIndex": integer(0),
                    "columnIndex": integer(0),
                }
            ),
            least=1,
            unique=True,
        ),
    },
    {
        "acquisitions": listing(
            mapping(
                {"id": integer(0)},
                {
                    "maximumfieldcount": integer(1),
                    "name": text(),
                    "description": text(),
                    "starttime": integer(0),
                    "endtime": integer(0),
                },
            )
        ),
        "field_count": integer(1),
        "name": text(),
    },
)


def _check_plate(value: Json, spot: Spot) -> None:
    _PLATE(value, spot)
    plate = mapped(value)
    lines = {
        key: [mapped(line).get("name") for line in listed(plate.get(key))] for key in ("rows", "columns")
    }
    for index, entry in enumerate(listed(plate.get("wells"))):
        well, at = mapped(entry), spot.at("wells", index)
        path = well.get("path")
        parts = path.split("/") if isinstance(path, str) else []
        for part, which, key in zip(parts, ("rows", "columns"), ("rowIndex", "columnIndex"), strict=False):
            number, names = well.get(key), lines[which]
            if part not in names:
                at.refuse(f"{describe(part)} is not among the {which}.", "paths are made of their names")
            elif is_integer(number) and names.index(part) != number:
                at.refuse(f"{key} is {number}, but the path says {names.index(part)}.", "both must agree")
    for key, names in lines.items():
        texts = [name for name in names if isinstance(name, str)]
        if len(set(texts)) < len(texts):
            spot.at(key).refuse("A name is there twice.", "names must be unique")


def _check_well(value: Json, spot: Spot) -> None:
    path = (
        text(_FIELD_V06, "letters, digits and -_.")
        if spot.version == "0.6"
        else text(_NAME, "letters and digits")
    )
    item = mapping({"path": path}, {"acquisition": integer()})
    mapping({"images": listing(item, least=1, unique=True)})(value, spot)
    paths = [mapped(entry).get("path") for entry in listed(mapped(value).get("images"))]
    if len({str(path) for path in paths}) < len(paths):
        spot.at("images").refuse("A path is there twice.", "paths of fields must be unique")


_FORMS: Mapping[str, Form] = MappingProxyType(
    {
        "omero": check_omero,
        "plate": _check_plate,
        "well": _check_well,
        "labels": listing(text(), least=1, unique=True),
        "bioformats2raw.layout": one_of(3),
        "series": listing(text(), least=1),
        "scene": check_scene,
    }
)


def release_of(attributes: Mapping[str, Json]) -> str:
    """The version whose rules hold for a group: what it says, or what its form is of."""
    ours = attributes.get(CONTAINER)
    if not isinstance(ours, Mapping):
        return "0.4"
    tag = ours.get("version")
    release = (
        next((name for name, tags in _TAGS.items() if tag in tags), None) if isinstance(tag, str) else None
    )
    entry = mapped(next(iter(listed(ours.get("multiscales"))), None))
    return release or ("0.6" if "coordinateSystems" in entry or "scene" in ours else "0.5")


def check_attributes(attributes: Mapping[str, Json], *, where: str) -> tuple[Finding, ...]:
    """Check the attributes of one group; nothing is found of what holds nothing of OME-Zarr."""
    version = release_of(attributes)
    spot = Spot(context=Context.of(where), version=version)
    holder: Mapping[str, Json] = attributes
    if version != "0.4":
        spot, holder = spot.at(CONTAINER), attributes[CONTAINER]
        if "version" not in holder:
            spot.refuse("There is no version.", "every group must say it")
        else:
            one_of(*_TAGS[version])(holder["version"], spot.at("version"))
            if holder["version"] == "0.6rc0":
                spot.at("version").advise("This is a release candidate.", "ome-zarr-models wants 0.6")
    if "multiscales" in holder:
        check = check_multiscales_v06 if version == "0.6" else check_multiscales
        check(holder["multiscales"], spot.at("multiscales"))
    elif "image-label" in holder or "omero" in holder:
        spot.refuse("There is no multiscales.", "an image must say where its arrays are")
    if "image-label" in holder:
        check_image_label(holder["image-label"], spot.at("image-label"))
        check_labels_agree(holder["image-label"], spot.at("image-label"))
    for key, form in _FORMS.items():
        if key in holder and (version != "0.4" or key in COLLECTIONS or key == "omero"):
            form(holder[key], spot.at(key))
            if (
                version == "0.4"
                and isinstance(holder[key], Mapping)
                and key != "omero"
                and "version" in holder[key]
            ):
                one_of("0.4")(holder[key]["version"], spot.at(key, "version"))
    if not any(key in holder for key in ("multiscales", "image-label", "omero", *_FORMS)):
        spot.refuse("There is nothing in it.", "it must describe an image, a plate, a well or a scene")
    _advise(holder, spot)
    return tuple(spot.findings)


def _advise(holder: Mapping[str, Json], spot: Spot) -> None:
    """Note what should be said."""
    for index, entry in enumerate(listed(holder.get("multiscales"))):
        if missing := [key for key in ("name", "type", "metadata") if key not in mapped(entry)]:
            at = spot.at("multiscales", index)
            at.advise(f"There is no {' and no '.join(missing)}.", "name, type and metadata should be there")
    if "image-label" in holder and "colors" not in mapped(holder["image-label"]):
        spot.at("image-label").advise("There are no colors.", "colors should be there")
    if "plate" in holder:
        plate = mapped(holder["plate"])
        if missing := [key for key in ("name", "field_count") if key not in plate]:
            spot.at("plate").advise(f"There is no {' and no '.join(missing)}.", "they should be there")
        for index, each in enumerate(listed(plate.get("acquisitions"))):
            if missing := [key for key in ("name", "maximumfieldcount") if key not in mapped(each)]:
                at = spot.at("plate", "acquisitions", index)
                at.advise(f"There is no {' and no '.join(missing)}.", "they should be there")
    if spot.version == "0.4":
        for key in ("plate", "well", "image-label"):
            if key in holder and "version" not in mapped(holder[key]):
                spot.at(key).advise("There is no version.", "the version should be there")
