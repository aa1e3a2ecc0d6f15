"""Plates that are written: wells and fields, checked as the specification asks; encode."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from napari_ome_ngff.errors import MetadataError
from napari_ome_ngff.metadata.collections.plates import MAX_ENTRIES, natural
from napari_ome_ngff.metadata.context import Context
from napari_ome_ngff.metadata.group_kind import merge_attributes
from napari_ome_ngff.metadata.json_checks import plain_json
from napari_ome_ngff.metadata.nouns import Acquisition, Field, Json, Plate, PlateWell, Well
from napari_ome_ngff.metadata.versions import check_version

_FIELD_NAME = re.compile(r"[A-Za-z0-9]+")

_FIELD_NAME_V06 = re.compile(r"(?!__)(?!\.+$)[A-Za-z0-9._-]+")


@dataclass(frozen=True, kw_only=True)
class PlateLayout:
    """A plate with what its wells hold, by their paths: what is written of a plate besides its images."""

    plate: Plate
    wells: Mapping[str, Well] = field(default_factory=dict)
    attributes: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    """Those of others by the path of the group that they are on."""

    @property
    def fields(self) -> tuple[str, ...]:
        """Paths of all fields in the plate."""
        return tuple(f"{path}/{item.path}" for path, well in self.wells.items() for item in well.fields)


def lay_out_plate(
    wells: Mapping[tuple[str, str], Sequence[Field]],
    *,
    name: str | None = None,
    rows: Iterable[str] | None = None,
    columns: Iterable[str] | None = None,
    acquisitions: Iterable[Acquisition] = (),
    version: str,
) -> PlateLayout:
    """Lay out a plate from the fields of each well, by row and column; refused if a name cannot be.

    Rows and columns are those of the wells in their natural order, unless more are given. Acquisitions that
    only fields name are added.
    """
    if not wells:
        raise MetadataError("A plate must have a well with an image.")
    lines = [
        _names(what, given, [key[axis] for key in wells])
        for axis, (what, given) in enumerate((("row", rows), ("column", columns)))
    ]
    rounds = _acquisitions(acquisitions, wells)
    order = {key: tuple(line.index(name) for line, name in zip(lines, key, strict=True)) for key in wells}
    keys = sorted(wells, key=lambda key: order[key])
    # "If the plate contains multiple acquisitions", an image MUST say its own; of one it MAY.
    default = rounds[0].id if len(rounds) == 1 else None
    contents = {
        "/".join(key): Well(
            version=version,
            fields=tuple(_checked(item, key, default, rounds, version) for item in wells[key]),
        )
        for key in keys
    }
    for path, well in contents.items():
        _check_unique([item.path for item in well.fields], f"{path}: fields")
    _check_count("wells", len(keys))
    plate = Plate(
        version=version,
        name=name,
        rows=lines[0],
        columns=lines[1],
        wells=tuple(PlateWell(path="/".join(key), row=order[key][0], column=order[key][1]) for key in keys),
        acquisitions=rounds,
        field_count=max(len(well.fields) for well in contents.values()),
    )
    return PlateLayout(plate=plate, wells=contents)


def encode_plate(layout: PlateLayout) -> dict[str, dict[str, Json]]:
    """Return by path the complete attributes of the groups of a plate: itself (``""``), rows and wells."""
    plate = layout.plate
    row = check_version(plate.version)
    tag = {} if row.container else {"version": row.name}
    content: dict[str, Json] = dict(plate.extra) | tag
    if plate.name:
        content["name"] = plate.name
    content["rows"] = [{"name": name} for name in plate.rows]
    content["columns"] = [{"name": name} for name in plate.columns]
    content["wells"] = [
        {"path": well.path, "rowIndex": well.row, "columnIndex": well.column} for well in plate.wells
    ]
    if plate.acquisitions:
        content["acquisitions"] = [_encode_acquisition(each, layout) for each in plate.acquisitions]
    if plate.field_count:
        content["field_count"] = plate.field_count
    groups: dict[str, dict[str, Json]] = {"": row.attributes({"plate": content})}
    groups |= {plate.rows[well.row]: {} for well in plate.wells}
    for path, well in layout.wells.items():
        groups[path] = row.attributes(
            {"well": {**well.extra, **tag, "images": list(map(_image, well.fields))}}
        )
    return {
        path: dict(
            plain_json(merge_attributes(layout.attributes.get(path, {}), attributes), Context(keys=(path,)))
        )
        for path, attributes in groups.items()
    }


def _image(item: Field) -> dict[str, Json]:
    return {"path": item.path} | ({} if item.acquisition is None else {"acquisition": item.acquisition})


def _encode_acquisition(each: Acquisition, layout: PlateLayout) -> dict[str, Json]:
    counts = [Counter(item.acquisition for item in well.fields)[each.id] for well in layout.wells.values()]
    result: dict[str, Json] = {"id": each.id} | ({"name": each.name} if each.name else {}) | dict(each.extra)
    if most := max(counts, default=0):
        # "maximumfieldcount ... indicating the maximum number of fields of view for the acquisition"
        result["maximumfieldcount"] = most
    return result


def _names(what: str, given: Iterable[str] | None, needed: Iterable[str]) -> tuple[str, ...]:
    """Names of all rows or columns, checked."""
    used = sorted(set(needed), key=natural)
    names = tuple(used if given is None else given)
    for name in names:
        # "The name MUST contain only alphanumeric characters"
        if not (name.isascii() and name.isalnum()):
            raise MetadataError(f"The name of a {what} has letters and digits only.", found=repr(name)[:40])
    if missing := [name for name in used if name not in names]:
        raise MetadataError(
            f"There are wells in {what}s that the plate does not list.",
            found=", ".join(missing),
            expected=", ".join(names),
        )
    _check_unique(names, f"{what}s")
    _check_count(f"{what}s", len(names))
    return names


def _check_unique(names: Sequence[str], what: str) -> None:
    # "Care SHOULD be taken to avoid collisions on case-insensitive filesystems."
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.lower(), name)
        if other is not name or names.count(name) > 1:
            raise MetadataError(
                "Two names are the same, or would be the same folder on some computers.",
                where=what,
                found=f"{other!r} and {name!r}",
            )


def _acquisitions(
    given: Iterable[Acquisition], wells: Mapping[tuple[str, str], Sequence[Field]]
) -> tuple[Acquisition, ...]:
    listed = {each.id: each for each in given}
    named = {item.acquisition for fields in wells.values() for item in fields} - {None}
    listed |= {
        number: Acquisition(id=number)
        for number in sorted(n for n in named if n not in listed and n is not None)
    }
    for number in listed:
        if number < 0:
            # "an id key whose value MUST be an unique integer identifier greater than or equal to 0"
            raise MetadataError("The number of an acquisition is a whole one from 0.", found=repr(number))
    _check_count("acquisitions", len(listed))
    return tuple(listed.values())


def _checked(
    item: Field, key: tuple[str, str], default: int | None, rounds: Sequence[Acquisition], version: str
) -> Field:
    where = "/".join(key)
    # "MUST contain only alphanumeric characters"; 0.6 has more
    allowed = _FIELD_NAME if version < "0.6" else _FIELD_NAME_V06
    if not allowed.fullmatch(item.path):
        raise MetadataError(
            "The name of a field has letters and digits only.", where=where, found=repr(item.path)[:40]
        )
    number = default if item.acquisition is None else item.acquisition
    if number is None and len(rounds) > 1:
        raise MetadataError(
            "A plate with several acquisitions needs that of each field.",
            where=f"{where}/{item.path}",
            expected=f"one of {', '.join(str(each.id) for each in rounds)}",
        )
    return replace(item, acquisition=number)


def _check_count(what: str, count: int) -> None:
    if count > MAX_ENTRIES:
        raise MetadataError(f"A plate has at most {MAX_ENTRIES} {what}.", found=str(count))
