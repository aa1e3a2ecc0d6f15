"""Tables of regions beside an image, as Fractal and ngio write them: AnnData, CSV or JSON in ``tables``."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.errors import MetadataError, OmeNgffError
from napari_ome_ngff.label_tables import check_size
from napari_ome_ngff.reading.omissions import LeftOut
from napari_ome_ngff.storage.documents.hierarchy import Hierarchy, open_hierarchy
from napari_ome_ngff.storage.places.location import join
from napari_ome_ngff.storage.places.requests import fetch

if TYPE_CHECKING:
    import zarr
    from zarr.abc.store import Store

Columns = dict[str, list[Any]]

_COLUMNS = {"t": "t_second", "z": "z_micrometer", "y": "y_micrometer", "x": "x_micrometer"}
"""Where a region begins along an axis; ``len_`` before it: how long it is there."""

_MOST_TABLES = 1000


@dataclass(frozen=True, kw_only=True)
class Roi:
    """A box in an image: a row of a table of regions.

    Parameters
    ----------
    name
        What the table calls it: ``"FOV_1"``, or the number of a label.
    origin
        Where it begins along ``"y"``, ``"x"`` and, if the table says it, ``"z"`` and ``"t"``: in micrometers
        and seconds from the outer edge of the first voxel, wherever the image lies.
    size
        How long it is along the same axes.
    columns
        The other columns of the row, such as ``label``.

    Examples
    --------
    >>> Roi(name="FOV_1", origin={"y": 0.0, "x": 416.0}, size={"y": 351.0, "x": 416.0}).size["y"]
    351.0
    """

    name: str
    origin: Mapping[str, float]
    size: Mapping[str, float]
    columns: Mapping[str, Any] = field(default_factory=dict)


def read_roi_tables(location: str | PathLike[str] | Store | zarr.Group) -> dict[str, tuple[Roi, ...]]:
    """Read the tables of regions that lie beside an image (Fractal and ngio, version 1).

    Tables of other kinds, such as features of labels, are passed over; a table of regions that cannot be read
    (Parquet, say) is left out with a warning, and so is a row without finite numbers.

    Parameters
    ----------
    location
        Where the image is, as for :func:`open_ome_ngff`.

    Returns
    -------
    dict
        Name of each table to its regions, in their order; empty if there is none.

    Raises
    ------
    StorageError
        If the place cannot be reached or read.
    NotOmeNgffError
        If there is no Zarr group.

    Examples
    --------
    >>> import zarr
    >>> image = zarr.create_group(zarr.storage.MemoryStore())
    >>> table = image.create_group("tables/fields", attributes={"type": "roi_table", "backend": "json"})
    >>> row = {"x_micrometer": [0], "y_micrometer": [8], "len_x_micrometer": [4], "len_y_micrometer": [4]}
    >>> values = table.create_group("table", attributes={"FieldIndex": ["FOV_1"], **row})
    >>> [roi.origin for roi in read_roi_tables(image)["fields"]]
    [{'y': 8.0, 'x': 0.0}]
    """
    hierarchy = open_hierarchy(location, ahead=("tables",)).below("tables")
    left = LeftOut(hierarchy.location)
    listed = hierarchy.readable_attributes("").get("tables")
    names = [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []
    names = list(dict.fromkeys([*names, *(hierarchy.children() or ())]))[:_MOST_TABLES]
    hierarchy.fetch(names, groups=True)
    tables: dict[str, tuple[Roi, ...]] = {}
    for name in names:
        attributes = hierarchy.readable_attributes(name)
        kind = attributes.get("type") or attributes.get("table_type") or ""
        if kind and "roi_table" not in str(kind):
            continue
        try:
            columns = _columns(hierarchy.below(name), attributes)
        except OmeNgffError as error:
            if kind:
                left.failed("tables of regions", name, error)
            continue
        rois = tuple(_rois(columns, attributes))
        if rois or kind:
            tables[name] = rois
        if len(rois) < (rows := max(map(len, columns.values()), default=0)) and kind:
            left.add(f"table has {rows - len(rois)} rows without place and size", name)
    left.warn()
    return tables


def _columns(table: Hierarchy, attributes: Mapping[str, Any]) -> Columns:
    """The columns of a table by name; MetadataError if they cannot be read."""
    backend = str(attributes.get("backend") or "anndata")
    if "json" in backend:
        stored = table.attributes("table") or {}
        return {str(name): list(values) for name, values in stored.items() if isinstance(values, list)}
    if "csv" in backend:
        key = join(table.path, "table.csv")
        content = fetch(table.store, [key])[key]
        if not isinstance(content, bytes):
            raise _unreadable(table, content or "it has no table.csv")
        rows = list(csv.reader(io.StringIO(content.decode("utf-8", "replace"))))
        return {
            name: [row[i] for row in rows[1:] if i < len(row)] for i, name in enumerate((rows or [[]])[0])
        }
    if "anndata" not in backend and backend != "annadata":
        raise _unreadable(table, f"it is stored as {backend}", "Save it as CSV, JSON or AnnData.")
    return _anndata(table)


def _anndata(table: Hierarchy) -> Columns:
    """AnnData: numbers in ``X`` with their names in ``var``; names of rows and other columns in ``obs``."""
    table.fetch(("X", "obs", "var"), groups=True)
    described = {part: table.readable_attributes(part) for part in ("obs", "var")}
    index = {part: str(described[part].get("_index", "_index")) for part in described}
    order = described["obs"].get("column-order")
    others = [name for name in order if isinstance(name, str)] if isinstance(order, list) else []
    table.fetch([f"var/{index['var']}", *(f"obs/{name}" for name in (index["obs"], *others))])
    names, numbers = _values(table, f"var/{index['var']}"), _values(table, "X")
    rows = _values(table, f"obs/{index['obs']}")
    columns: Columns = {} if rows is None else {index["obs"]: list(map(str, rows))}
    columns |= {name: each for name in others if (each := _values(table, f"obs/{name}")) is not None}
    if names is not None and numbers is not None:
        columns |= {
            str(name): list(each) for name, each in zip(names, zip(*numbers, strict=True), strict=False)
        }
    return columns


def _values(table: Hierarchy, path: str) -> list[Any] | None:
    """All values of an array; None where there is none."""
    filters = (table.below(path).document(".zarray") or {}).get("filters") if table.zarr_format == 2 else None
    try:
        # Texts of Zarr v2: safe to decode, but not what arrays of numbers are read by.
        is_text = isinstance(filters, list) and [each.get("id") for each in filters] == ["vlen-utf8"]
        array: Any = table.group()[path] if is_text else table.array(path)
        if array is None:
            return None
        check_size(array.nbytes, table.location)
        values: list[Any] = array[...].tolist()
    except OmeNgffError:
        raise
    except Exception as error:
        raise _unreadable(table, error) from error
    return values


def _rois(columns: Columns, attributes: Mapping[str, Any]) -> Iterable[Roi]:
    axes = [axis for axis, name in _COLUMNS.items() if name in columns and f"len_{name}" in columns]
    if not {"y", "x"} <= set(axes):
        return
    keys = [attributes.get("index_key"), attributes.get("instance_key"), "FieldIndex", "label", "_index"]
    index = next((key for key in keys if isinstance(key, str) and key in columns), None)
    index = index or next((name for name, each in columns.items() if each and isinstance(each[0], str)), None)
    placed = {f"{start}{_COLUMNS[axis]}" for axis in axes for start in ("", "len_")}
    for row in range(min(map(len, columns.values()))):
        origin = {axis: _number(columns[_COLUMNS[axis]], row) for axis in axes}
        size = {axis: _number(columns[f"len_{_COLUMNS[axis]}"], row) for axis in axes}
        if all(map(math.isfinite, (*origin.values(), *size.values()))):
            others = {name: each[row] for name, each in columns.items() if name not in {*placed, index}}
            name = str(row) if index is None else str(columns[index][row])
            yield Roi(name=name, origin=origin, size=size, columns=others)


def _number(values: Sequence[Any], row: int) -> float:
    try:
        return float(values[row])
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _unreadable(table: Hierarchy, why: object, hint: str = "Compare it with the original.") -> MetadataError:
    return MetadataError(
        "The table of regions cannot be read.",
        where=table.location,
        found=str(why).partition("\n")[0],
        hint=hint,
    )
