"""Plates, wells and series: what the groups above images say. Alike in all versions, and read leniently.

A plate that breaks rules is still a plate: whatever says where a well lies is used, and noted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from napari_ome_ngff.errors import MetadataError
from napari_ome_ngff.metadata.json_checks import Notes, as_integer, as_mapping, as_path, describe, root
from napari_ome_ngff.metadata.nouns import Acquisition, Field, Json, Plate, PlateWell, Well

MAX_ENTRIES = 10_000
"""Wells, fields, rows, columns, acquisitions or images that are read of one list.

The largest plates that are made have 3,456 wells.
"""


_PLATE_KEYS = frozenset({"version", "name", "rows", "columns", "wells", "acquisitions", "field_count"})


_WELL_KEYS = frozenset({"version", "images"})


_Said = tuple[str | None, int | None]  # name from the path, index from beside it


_UNINDEXED = ("0.1", "0.2", "0.3")
"""Versions in which a well's path alone says where it lies, and may start with further folders."""


def decode_plate(attributes: Mapping[str, Json], *, where: str) -> Plate:
    """Return the plate that a group's attributes describe.

    A well lies where its path says, "a name in the rows list, a file separator (/), and a name from the
    columns list" (0.4, "plate"): that is what its files are found by, and all that 0.1 to 0.3 know.
    ``rowIndex`` and ``columnIndex`` count where the path does not tell. Rows and columns that are not listed
    follow from the wells.

    Parameters
    ----------
    attributes
        Attributes of a Zarr group of either format.
    where
        Path or URL of the group, for errors and warnings.

    Warns
    -----
    OmeNgffWarning
        If the metadata break rules; a well that cannot be found or placed is left out.

    Raises
    ------
    MetadataError
        If this is no plate.

    Examples
    --------
    >>> wells = [{"path": "A/1", "rowIndex": 0, "columnIndex": 0}, {"path": "B/2"}]
    >>> names = {"rows": [{"name": "A"}, {"name": "B"}], "columns": [{"name": "1"}, {"name": "2"}]}
    >>> plate = decode_plate({"plate": {"wells": wells, **names}}, where="")
    >>> [(well.path, well.row, well.column) for well in plate.wells]
    [('A/1', 0, 0), ('B/2', 1, 1)]
    """
    notes = Notes(where)
    container, own = _holder(attributes, "plate")
    place = f"{root(where, container)}plate"
    plate = as_mapping(own.get("plate"), where=place, what="a plate")
    version = _version(own, plate, container)
    listed = list(_listed(plate, version=version, where=place, notes=notes))
    rows = _names(plate, "rows", [well.row for well in listed], where=place, notes=notes)
    columns = _names(plate, "columns", [well.column for well in listed], where=place, notes=notes)
    count = as_integer(plate.get("field_count"))
    if plate.get("field_count") is not None and (count is None or count < 1):
        # 'a field_count key whose value MUST be a positive integer'
        notes.add(f"{place}.field_count", f"{describe(plate['field_count'])}, ignored")
        count = None
    result = Plate(
        version=version,
        name=_text(plate.get("name"), where=f"{place}.name", notes=notes),
        rows=rows,
        columns=columns,
        wells=tuple(_wells(listed, rows, columns, notes=notes)),
        acquisitions=tuple(_acquisitions(plate, where=place, notes=notes)),
        field_count=count,
        extra={key: value for key, value in plate.items() if key not in _PLATE_KEYS},
    )
    notes.warn()
    return result


def decode_well(attributes: Mapping[str, Json], *, where: str) -> Well:
    """Return the well that a group's attributes describe.

    Parameters
    ----------
    attributes
        Attributes of a Zarr group of either format.
    where
        Path or URL of the group, for errors and warnings.

    Warns
    -----
    OmeNgffWarning
        If the metadata break rules; a field that cannot be found is left out.

    Raises
    ------
    MetadataError
        If this is no well.

    Examples
    --------
    >>> decode_well({"ome": {"version": "0.5", "well": {"images": [{"path": "0"}]}}}, where="").fields
    (Field(path='0', acquisition=None),)
    """
    notes = Notes(where)
    container, own = _holder(attributes, "well")
    place = f"{root(where, container)}well"
    well = as_mapping(own.get("well"), where=place, what="a well")
    fields: dict[str, Field] = {}
    for spot, item in _entries(well, "images", where=place, notes=notes):
        path = _path(item, where=spot, what="image", notes=notes)
        if path is None:
            continue
        if path in fields:
            # "MUST NOT be a duplicate of any other path in the images list"
            notes.add(spot, f"{path!r} again, ignored")
            continue
        fields[path] = Field(path=path, acquisition=_identifier(item, "acquisition", where=spot, notes=notes))
    result = Well(
        version=_version(own, well, container),
        fields=tuple(fields.values()),
        extra={key: value for key, value in well.items() if key not in _WELL_KEYS},
    )
    notes.warn()
    return result


@dataclass(frozen=True, kw_only=True)
class _Listed:
    """A well as it is listed."""

    path: str
    row: _Said
    column: _Said
    where: str


def _holder(attributes: Mapping[str, Json], key: str) -> tuple[str, Mapping[str, Json]]:
    """Return what holds a key: ``ome`` (0.5 and later), or the attributes themselves."""
    inside = attributes.get("ome")
    if isinstance(inside, Mapping) and inside.get(key) is not None:
        return "ome", inside
    return "", attributes


def _version(own: Mapping[str, Json], item: Mapping[str, Json], container: str) -> str:
    """Return the version that is said: inside ``ome`` once, before 0.5 at each thing."""
    said = [own.get("version") if container else None, item.get("version"), "0.5" if container else "0.4"]
    return next(tag for tag in said if isinstance(tag, str) and tag)[:20]


def _entries(
    parent: Mapping[str, Json], key: str, *, where: str, notes: Notes
) -> Iterator[tuple[str, Mapping[str, Json]]]:
    """Yield place and content of each entry of a list; a bare name stands for an entry of that name."""
    place = f"{where}.{key}" if where else key
    items = parent.get(key)
    if not isinstance(items, list | tuple):
        notes.add(place, f"{'missing' if items is None else describe(items)}, read as an empty list")
        return
    if len(items) > MAX_ENTRIES:
        notes.add(place, f"{len(items)} entries, the first {MAX_ENTRIES} are read")
    for index, item in enumerate(items[:MAX_ENTRIES]):
        spot = f"{place}[{index}]"
        if isinstance(item, Mapping):
            yield spot, item
        elif isinstance(item, str | int) and not isinstance(item, bool):
            if key != "series":  # where bare paths are the rule
                notes.add(spot, f"{describe(item)} instead of an object")
            yield spot, {"name": item, "path": item}
        else:
            notes.add(spot, f"{describe(item)}, ignored")


def _path(item: Mapping[str, Json], *, where: str, what: str, notes: Notes) -> str | None:
    """Return the path of an entry, or None if it is none that could be followed."""
    path = item.get("path")
    if isinstance(path, int) and not isinstance(path, bool) and 0 <= path < 10**9:
        notes.add(f"{where}.path", f"the number {path}, read as text")
        path = str(path)
    if isinstance(path, str):
        path = path.removeprefix("./")
    try:
        return as_path(path, where=where, what=what)
    except MetadataError:
        notes.add(f"{where}.path", f"{describe(path)} is not the path of something inside, left out")
        return None


def _listed(plate: Mapping[str, Json], *, version: str, where: str, notes: Notes) -> Iterator[_Listed]:
    """Yield the wells that a plate lists, each once."""
    seen: set[str] = set()
    for spot, item in _entries(plate, "wells", where=where, notes=notes):
        path = _path(item, where=spot, what="well", notes=notes)
        if path is None:
            continue
        if path in seen:
            notes.add(spot, f"{path!r} again, ignored")
            continue
        seen.add(path)
        parts = path.split("/")
        if len(parts) > 2 and not version.startswith(_UNINDEXED):
            # "The path MUST NOT contain additional leading or trailing directories."
            notes.add(spot, f"{path!r} has more than a row and a column, the last two count")
        joined = re.fullmatch(r"([A-Za-z]{1,2})(\d{1,3})", path)  # "A01": no folder for the row
        row, column = joined.groups() if joined else parts[-2:] if len(parts) > 1 else (None, None)
        indices = as_integer(item.get("rowIndex")), as_integer(item.get("columnIndex"))
        yield _Listed(path=path, row=(row, indices[0]), column=(column, indices[1]), where=spot)


def _names(
    plate: Mapping[str, Json], key: str, wanted: Sequence[_Said], *, where: str, notes: Notes
) -> tuple[str, ...]:
    """Return the names of rows or columns: those that are listed, and those that only wells name."""
    names: list[str] = []
    known: set[str] = set()
    for spot, item in _entries(plate, key, where=where, notes=notes):
        name = item.get("name")
        if isinstance(name, int | float) and not isinstance(name, bool):
            name = str(name)
        if not isinstance(name, str) or not name:
            notes.add(f"{spot}.name", f"{describe(name)} is not a name")
            name = str(len(names) + 1)
        elif not (name.isascii() and name.isalnum()):
            # "The name MUST contain only alphanumeric characters"
            notes.add(f"{spot}.name", f"{describe(name)} has other characters than letters and digits")
        if name in known:
            notes.add(f"{spot}.name", f"{describe(name)} again, wells of that name lie in the first")
        known.add(name)
        names.append(name)
    placed = range(len(names))
    missing = {name for name, index in wanted if name and name not in known and index not in placed}
    if missing and names:
        notes.add(f"{where}.{key}", f"{describe(sorted(missing))} only named by wells, added")
    return (*names, *sorted(missing, key=_natural))


def _wells(
    listed: Sequence[_Listed], rows: Sequence[str], columns: Sequence[str], *, notes: Notes
) -> Iterator[PlateWell]:
    """Yield the wells that can be placed."""
    # The first of two equal names counts.
    tables = [{name: i for i, name in reversed(list(enumerate(names)))} for names in (rows, columns)]
    lengths = len(rows), len(columns)
    for well in listed:
        found: list[int] = []
        for (name, index), table, length in zip((well.row, well.column), tables, lengths, strict=True):
            place = table.get(name or "", index)
            if place is not None and 0 <= place < length:
                found.append(place)
        if len(found) < 2:
            notes.add(well.where, f"{well.path!r} does not say its row and column, left out")
            continue
        indices = (well.row[1], well.column[1])
        if any(said not in (None, index) for said, index in zip(indices, found, strict=True)):
            # "The rowIndex, columnIndex, and path MUST all refer to the same row/column pair."
            notes.add(well.where, f"rowIndex and columnIndex do not fit the path {well.path!r}, which counts")
        yield PlateWell(path=well.path, row=found[0], column=found[1])


def _acquisitions(plate: Mapping[str, Json], *, where: str, notes: Notes) -> Iterator[Acquisition]:
    if plate.get("acquisitions") is None:  # "MAY contain an acquisitions key"
        return
    seen: set[int] = set()
    for spot, item in _entries(plate, "acquisitions", where=where, notes=notes):
        number = _identifier(item, "id", where=spot, notes=notes)
        if number is None or number in seen:
            # 'an id key whose value MUST be an unique integer identifier'
            notes.add(spot, f"id {describe(item.get('id'))}, left out")
            continue
        seen.add(number)
        extra = {key: value for key, value in item.items() if key not in ("id", "name")}
        name = _text(item.get("name"), where=f"{spot}.name", notes=notes)
        yield Acquisition(id=number, name=name, extra=extra)


def _identifier(item: Mapping[str, Json], key: str, *, where: str, notes: Notes) -> int | None:
    """Return the id of an acquisition; a number written as text is one."""
    value = item.get(key)
    if value is None:
        return None
    number = as_integer(value)
    if number is None and isinstance(value, str) and re.fullmatch(r"\d{1,18}", value):
        number = int(value)
    if number is None or not isinstance(value, int):
        notes.add(f"{where}.{key}", f"{describe(value)} instead of an integer")
    return number


def _text(value: Json, *, where: str, notes: Notes) -> str | None:
    if value is None or (isinstance(value, str) and value.strip()):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        notes.add(where, f"{describe(value)}, read as text")
        return str(value)
    if value != "":
        notes.add(where, f"{describe(value)}, ignored")
    return None


def _natural(name: str) -> tuple[int, str]:
    """Sort as people do: 2 before 10, B before AA."""
    return len(name.lstrip("0")), name
