"""Plates and wells, in all versions: which wells and fields there are, and where they lie. Read leniently.

A plate that breaks rules is still a plate: whatever says where a well lies is used, and noted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from napari_ome_ngff.errors import MetadataError
from napari_ome_ngff.metadata.context import Context
from napari_ome_ngff.metadata.group_kind import holder_of
from napari_ome_ngff.metadata.image.datasets import LEGACY, decode_path
from napari_ome_ngff.metadata.json_checks import (
    as_integer,
    as_mapping,
    describe,
    without_keys,
)
from napari_ome_ngff.metadata.nouns import Acquisition, Field, Json, Plate, PlateWell, Well

MAX_ENTRIES = 10_000
"""Wells, fields, rows, columns, acquisitions or images that are read of one list.

The largest plates that are made have 3,456 wells.
"""

_PLATE_KEYS = frozenset({"version", "name", "rows", "columns", "wells", "acquisitions", "field_count"})

_WELL_KEYS = frozenset({"version", "images"})

_JOINED = re.compile(r"([A-Za-z]{1,2})(\d{1,3})")
"""Path of a well without a folder for its row: ``"A01"``."""

_Line = tuple[str | None, int | None]
"""Row or column of a well: the name in its path, and the index beside the path."""


def decode_plate(attributes: Mapping[str, Json], *, where: str) -> Plate:
    """Return the plate that a group's attributes describe; `where` is its path or URL.

    A well lies where its path says, "a name in the rows list, a file separator (/), and a name from the
    columns list" (0.4, "plate"): that is what its files are found by, and all that 0.1 to 0.3 know.
    ``rowIndex`` and ``columnIndex`` count where the path does not tell. Rows and columns that are not listed
    follow from the wells. A well that cannot be found or placed is left out, with a warning.
    """
    container, holder = holder_of(attributes, "plate")
    context = Context.of(where).below(container, "plate")
    plate = as_mapping(holder.get("plate"), context, "a plate")
    version = _version(container, holder, plate)
    listed = list(_listed(plate, context, version))
    rows = _names(plate, "rows", [well.row for well in listed], context)
    columns = _names(plate, "columns", [well.column for well in listed], context)
    count = as_integer(plate.get("field_count"))
    if plate.get("field_count") is not None and (count is None or count < 1):
        # 'a field_count key whose value MUST be a positive integer'
        context.below("field_count").note(f"{describe(plate['field_count'])}, ignored")
        count = None
    result = Plate(
        version=version,
        name=_text(plate.get("name"), context.below("name")),
        rows=rows,
        columns=columns,
        wells=tuple(_wells(listed, rows, columns)),
        acquisitions=tuple(_acquisitions(plate, context)),
        field_count=count,
        extra=without_keys(plate, _PLATE_KEYS),
    )
    context.warn()
    return result


def decode_well(attributes: Mapping[str, Json], *, where: str) -> Well:
    """Return the well that a group's attributes describe; `where` is its path or URL.

    A field that cannot be found is left out, with a warning.
    """
    container, holder = holder_of(attributes, "well")
    context = Context.of(where).below(container, "well")
    well = as_mapping(holder.get("well"), context, "a well")
    # "MUST NOT be a duplicate of any other path in the images list"
    fields = tuple(
        Field(path=path, acquisition=_identifier(item, "acquisition", at))
        for path, item, at in _with_paths(well, "images", "image", context)
    )
    result = Well(
        version=_version(container, holder, well), fields=fields, extra=without_keys(well, _WELL_KEYS)
    )
    context.warn()
    return result


@dataclass(frozen=True, kw_only=True)
class _Listed:
    """A well as it is listed."""

    path: str
    row: _Line
    column: _Line
    context: Context


def _version(container: str, holder: Mapping[str, Json], item: Mapping[str, Json]) -> str:
    """Return the version: inside ``ome`` once, before 0.5 at each thing."""
    tags = [holder.get("version") if container else None, item.get("version"), "0.5" if container else "0.4"]
    return next(tag for tag in tags if isinstance(tag, str) and tag)[:20]


def list_entries(
    parent: Mapping[str, Json], key: str, context: Context
) -> Iterator[tuple[Context, Mapping[str, Json]]]:
    """Yield place and content of each entry of a list; a bare name stands for an entry of that name."""
    context = context.below(key)
    items = parent.get(key)
    if not isinstance(items, list | tuple):
        context.note(f"{'missing' if items is None else describe(items)}, read as an empty list")
        return
    if len(items) > MAX_ENTRIES:
        context.note(f"{len(items)} entries, the first {MAX_ENTRIES} are read")
    for index, item in enumerate(items[:MAX_ENTRIES]):
        at = context.below(index)
        if isinstance(item, Mapping):
            yield at, item
        elif isinstance(item, str | int) and not isinstance(item, bool):
            if key != "series":  # where bare paths are the rule
                at.note(f"{describe(item)} instead of an object")
            yield at, {"name": item, "path": item}
        else:
            at.note(f"{describe(item)}, ignored")


def entry_path(item: Mapping[str, Json], what: str, context: Context) -> str | None:
    """Return the path of an entry, or None if it is none that could be followed."""
    path, context = item.get("path"), context.below("path")
    if isinstance(path, str):
        path = path.removeprefix("./")
    try:
        return decode_path(path, context, what)
    except MetadataError:
        context.note(f"{describe(path)} is not the path of something inside, left out")
        return None


def _with_paths(
    parent: Mapping[str, Json], key: str, what: str, context: Context
) -> Iterator[tuple[str, Mapping[str, Json], Context]]:
    """Yield path, content and place of the entries of a list that can be followed, each path once."""
    seen: set[str] = set()
    for at, item in list_entries(parent, key, context):
        path = entry_path(item, what, at)
        if path is None:
            continue
        if path in seen:
            at.note(f"{path!r} again, ignored")
            continue
        seen.add(path)
        yield path, item, at


def _listed(plate: Mapping[str, Json], context: Context, version: str) -> Iterator[_Listed]:
    """Yield the wells that a plate lists, each once."""
    for path, item, at in _with_paths(plate, "wells", "well", context):
        parts = path.split("/")
        if len(parts) > 2 and not version.startswith(LEGACY):
            # "The path MUST NOT contain additional leading or trailing directories."
            at.note(f"{path!r} has more than a row and a column, the last two count")
        joined = _JOINED.fullmatch(path)
        row, column = joined.groups() if joined else parts[-2:] if len(parts) > 1 else (None, None)
        indices = as_integer(item.get("rowIndex")), as_integer(item.get("columnIndex"))
        yield _Listed(path=path, row=(row, indices[0]), column=(column, indices[1]), context=at)


def _names(plate: Mapping[str, Json], key: str, lines: Sequence[_Line], context: Context) -> tuple[str, ...]:
    """Return the names of rows or columns: those that are listed, and those that only wells name."""
    names: list[str] = []
    listed: set[str] = set()
    for at, item in list_entries(plate, key, context):
        name, at = item.get("name"), at.below("name")
        if isinstance(name, int | float) and not isinstance(name, bool):
            name = str(name)
        if not isinstance(name, str) or not name:
            at.note(f"{describe(name)} is not a name")
            name = str(len(names) + 1)
        elif not (name.isascii() and name.isalnum()):
            # "The name MUST contain only alphanumeric characters"
            at.note(f"{describe(name)} has other characters than letters and digits")
        if name in listed:
            at.note(f"{describe(name)} again, wells of that name lie in the first")
        listed.add(name)
        names.append(name)
    placed = range(len(names))
    missing = {name for name, index in lines if name and name not in listed and index not in placed}
    if missing and names:
        context.below(key).note(f"{describe(sorted(missing))} only named by wells, added")
    return (*names, *sorted(missing, key=natural))


def _wells(listed: Sequence[_Listed], rows: Sequence[str], columns: Sequence[str]) -> Iterator[PlateWell]:
    """Yield the wells that can be placed."""
    # The first of two equal names counts.
    tables = [{name: i for i, name in reversed(list(enumerate(names)))} for names in (rows, columns)]
    lengths = len(rows), len(columns)
    for well in listed:
        place: list[int] = []
        for (name, index), table, length in zip((well.row, well.column), tables, lengths, strict=True):
            number = table.get(name or "", index)
            if number is not None and 0 <= number < length:
                place.append(number)
        if len(place) < 2:
            well.context.note(f"{well.path!r} does not say its row and column, left out")
            continue
        indices = (well.row[1], well.column[1])
        if any(index not in (None, number) for index, number in zip(indices, place, strict=True)):
            # "The rowIndex, columnIndex, and path MUST all refer to the same row/column pair."
            well.context.note(f"rowIndex and columnIndex do not fit the path {well.path!r}, which counts")
        yield PlateWell(path=well.path, row=place[0], column=place[1])


def _acquisitions(plate: Mapping[str, Json], context: Context) -> Iterator[Acquisition]:
    if plate.get("acquisitions") is None:  # "MAY contain an acquisitions key"
        return
    seen: set[int] = set()
    for at, item in list_entries(plate, "acquisitions", context):
        number = _identifier(item, "id", at)
        if number is None or number in seen:
            # 'an id key whose value MUST be an unique integer identifier'
            at.note(f"id {describe(item.get('id'))}, left out")
            continue
        seen.add(number)
        name = _text(item.get("name"), at.below("name"))
        yield Acquisition(id=number, name=name, extra=without_keys(item, ("id", "name")))


def _identifier(item: Mapping[str, Json], key: str, context: Context) -> int | None:
    """Return the id of an acquisition; a number written as text is one."""
    value = item.get(key)
    if value is None:
        return None
    number = as_integer(value)
    if number is None and isinstance(value, str) and re.fullmatch(r"\d{1,18}", value):
        number = int(value)
    if number is None or not isinstance(value, int):
        context.below(key).note(f"{describe(value)} instead of an integer")
    return number


def _text(value: Json, context: Context) -> str | None:
    if value is None or (isinstance(value, str) and value.strip()):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        context.note(f"{describe(value)}, read as text")
        return str(value)
    if value != "":
        context.note(f"{describe(value)}, ignored")
    return None


def natural(name: str) -> tuple[int, str]:
    """Sort as people do: 2 before 10, B before AA."""
    return len(name.lstrip("0")), name
