"""Properties of labels as a table: rows as in JSON, columns as in pandas, arrays where the table is large.

The arrays have one dimension and hold numbers, so that every Zarr library reads them. Texts are UTF-8, one
after the other, with the offsets at which each begins. ``docs/explanation/ome-ngff.md`` describes the layout.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from napari_ome_ngff.errors import MetadataError
from napari_ome_ngff.metadata.nouns import Json

LABEL = "label-value"
"""Name of the column that says which label a row belongs to."""


GROUP = "napari_ome_ngff_tables"
"""Group in that of a label image with its large tables, and key in ``image-label`` that lists them."""


LARGEST_IN_JSON = 1_000_000
"""Bytes of properties, or of colours, that are kept in JSON; more become arrays.

This much every program opens in some 20 ms. Ten times as much takes it 0.3 s, even to say how large the image
is, and 100 MB are refused.
"""


MOST_BYTES = 2**30
"""Bytes of a table's arrays: more would not be read into memory without asking."""


_MOST_EMPTY_CELLS = 1_000_000
_LEAST_ROWS = 100  # what a column costs however short it is


_SMALLEST_CELL = 8  # bytes of JSON, name included

_VERSION = 1

Columns = Mapping[str, Any]
"""Columns by name, `LABEL` among them: arrays or lists of one length, also those of pandas."""


Arrays = Mapping[str, "np.ndarray[Any, Any]"]

K = TypeVar("K")
V = TypeVar("V")


class Deferred(Mapping[K, V]):
    """A mapping that is made when it is first asked for something."""

    def __init__(self, make: Callable[[], Mapping[K, V]]) -> None:
        self._make = make

    @cached_property
    def _made(self) -> Mapping[K, V]:
        return self._make()

    def __getitem__(self, key: K) -> V:
        return self._made[key]

    def __iter__(self) -> Iterator[K]:
        return iter(self._made)

    def __len__(self) -> int:
        return len(self._made)


def is_large(items: Iterable[Json]) -> bool:
    """Whether the JSON of these would be more than `LARGEST_IN_JSON` bytes."""
    size = 0
    for item in items:
        size += len(json.dumps(item, default=str)) + 2
        if size > LARGEST_IN_JSON:
            return True
    return False


def may_be_small(columns: Columns) -> bool:
    """Whether it is worth the time to make rows of a table to see how large they are."""
    rows = max(map(len, columns.values()), default=0)
    return rows * len(columns) * _SMALLEST_CELL <= LARGEST_IN_JSON


def rows_of(columns: Columns) -> tuple[dict[str, Json], ...]:
    """Return the rows of a table as JSON, each with its label first and without what is missing."""
    cells = {name: [cell(value) for value in _items(column)] for name, column in columns.items()}
    labels = cells.pop(LABEL)
    return tuple(
        {LABEL: label} | {name: values[i] for name, values in cells.items() if values[i] is not None}
        for i, label in enumerate(labels)
    )


def columns_of(rows: Sequence[Mapping[str, Json]]) -> dict[str, list[Json]]:
    """Return the columns of a table of rows; a value that a row does not have is None.

    MetadataError if nearly all would be None: rows of names of their own make a table of their square.
    """
    names = dict.fromkeys([LABEL, *(name for row in rows for name in row)])
    cells = len(names) * max(len(rows), _LEAST_ROWS)
    if cells > _MOST_EMPTY_CELLS + 10 * sum(map(len, rows)):
        raise MetadataError(
            f"The {len(rows)} rows of the table of the labels have {len(names)} different names.",
            expected=f"rows of the same names, or at most {_MOST_EMPTY_CELLS} cells",
        )
    return {str(name): [row.get(name) for row in rows] for name in names}


def joined(tables: Sequence[Columns]) -> dict[str, Any]:
    """Return one table of several; of several rows for one label the first counts."""
    import pandas

    frames = [pandas.DataFrame(dict(table)) for table in tables if len(table[LABEL])]
    every = pandas.concat(frames, ignore_index=True).drop_duplicates(LABEL)
    return {str(name): every[name].array for name in every}


def cell(value: Any) -> Json:
    """Return what JSON can say of a table's cell; None for what is missing or not a number."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [cell(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): cell(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    text = str(value)
    return None if text in ("NaT", "<NA>") else text


def encode_table(columns: Columns) -> tuple[dict[str, Json], dict[str, np.ndarray[Any, Any]]]:
    """Return the attributes of the group of a table, and its arrays by name; refused above `MOST_BYTES`."""
    described: list[Json] = []
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for index, (name, column) in enumerate(columns.items()):
        about, parts = _encode(column)
        described.append({"name": str(name), **about})
        arrays |= {f"{index}-{part}": values for part, values in parts.items()}
    labels = arrays["0-values"] if next(iter(columns)) == LABEL else None
    if labels is None or labels.dtype.kind not in "iu" or described[0] != {"name": LABEL, "kind": "number"}:
        raise MetadataError("The properties of a label must have an integer under 'label-value'.")
    if len(np.unique(labels)) < len(labels):
        raise MetadataError("Two properties have the same label value.")
    check_size(sum(array.nbytes for array in arrays.values()))
    return {"version": _VERSION, "rows": len(labels), "columns": described}, arrays


def check_size(nbytes: int, where: str = "") -> None:
    """Refuse a table that is too large to be read into memory."""
    if nbytes > MOST_BYTES:
        raise MetadataError(
            "The table of the labels is too large.",
            where=where,
            found=f"{nbytes / 1e6:.0f} MB",
            expected=f"at most {MOST_BYTES / 1e6:.0f} MB",
            hint="Keep it in a file of its own, such as Parquet or AnnData, and leave it out here.",
        )


def array_names(attributes: Mapping[str, Json]) -> list[str]:
    """Return the names of the arrays that a table consists of; ValueError if it has another form."""
    columns, rows = attributes.get("columns"), attributes.get("rows")
    if attributes.get("version") != _VERSION or not isinstance(columns, list) or not isinstance(rows, int):
        raise ValueError(f"a table of version {attributes.get('version')!r}")
    return [f"{index}-{part}" for index, about in enumerate(columns) for part in _parts(about)]


def decode_table(attributes: Mapping[str, Json], arrays: Arrays) -> dict[str, Any]:
    """Return the columns of a table, as `encode_table` took them, but for texts and lists: all as objects.

    ValueError, TypeError, KeyError or LookupError if attributes and arrays do not fit together.
    """
    parts: defaultdict[str, dict[str, np.ndarray[Any, Any]]] = defaultdict(dict)
    for name, array in arrays.items():
        index, _, part = name.partition("-")
        parts[index][part] = array
    columns = {
        str(about["name"]): _decode(about, parts[str(index)], attributes["rows"])
        for index, about in enumerate(attributes["columns"])
    }
    if getattr(columns[LABEL], "dtype", np.dtype(object)).kind not in "iu":
        raise TypeError(f"label values that are no integers: {attributes['columns'][0]}")
    return columns


def _encode(column: Any) -> tuple[dict[str, Json], dict[str, np.ndarray[Any, Any]]]:
    """A column as its description and its arrays."""
    import pandas

    dtype: Any = getattr(column, "dtype", None)
    if isinstance(dtype, pandas.CategoricalDtype):
        values = pandas.Categorical(column)
        about, parts = _encode(values.categories.to_numpy())
        inner = {f"categories-{name}": array for name, array in parts.items()}
        described = {"kind": "category", "ordered": bool(values.ordered), "categories": about}
        return described, {"codes": values.codes, **inner}
    if isinstance(dtype, np.dtype) and dtype.kind in "biuf" and np.ndim(column) == 1:
        return {"kind": "number"}, {"values": _native(np.asarray(column))}
    extension = pandas.array(column) if hasattr(dtype, "numpy_dtype") and dtype.kind in "biuf" else None
    if extension is not None:
        missing = np.asarray(extension.isna())
        plain = extension.to_numpy(dtype=dtype.numpy_dtype, na_value=dtype.numpy_dtype.type(0))
        return {"kind": "number", "missing": "nullable"}, {"values": _native(plain), "missing": missing}
    return _encode_items(_items(column))


def _encode_items(items: list[Any]) -> tuple[dict[str, Json], dict[str, np.ndarray[Any, Any]]]:
    """A column of Python's own values."""
    kinds = {type(item) for item in items if item is not None and item == item}
    if kinds <= {float}:
        pass  # not a number is a number here
    else:
        items = [None if item is None or item != item else item for item in items]
    lost = np.array([item is None for item in items], bool)
    about: dict[str, Json] = {"missing": "none"} if lost.any() else {}
    parts = {"missing": lost} if lost.any() else {}
    kinds = {type(item) for item in items if item is not None}
    if len(kinds) == 1 and kinds <= {bool, int, float}:
        (kind,) = kinds
        values = [kind() if item is None else item for item in items]
        if dtype := _fitting(kind, values):
            return {"kind": "number", **about}, {"values": np.array(values, dtype), **parts}
    is_text = kinds <= {str}
    texts = ["" if item is None else item if is_text else json.dumps(cell(item)) for item in items]
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    parts["values"] = np.frombuffer(b"".join(encoded), "u1")
    parts["offsets"] = np.concatenate([[0], np.cumsum([len(text) for text in encoded])]).astype("i8")
    return {"kind": "text" if is_text else "json", **about}, parts


def _fitting(kind: type, values: Sequence[Any]) -> str | None:
    """The type of numpy for values of one type; None for integers that have none."""
    if kind is not int:
        return "bool" if kind is bool else "f8"
    low, high = min(values), max(values)
    return "i8" if low >= -(2**63) and high < 2**63 else "u8" if low >= 0 and high < 2**64 else None


def _items(column: Any) -> list[Any]:
    """The values of a column as Python's own, None for those that pandas calls missing."""
    import pandas

    if getattr(getattr(column, "dtype", None), "kind", "") in ("m", "M"):
        column = pandas.Series(column)  # numpy makes integers of nanoseconds
    if isinstance(column, pandas.Series | pandas.Index | pandas.api.extensions.ExtensionArray):
        column = column.astype(object)
    items = column.tolist() if hasattr(column, "tolist") else list(column)
    return [item if type(item) in _PLAIN else _plain(item) for item in items]


_PLAIN = frozenset({bool, int, float, str, type(None)})


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    for kind in (bool, int, float, str):  # of a class derived from it
        if isinstance(value, kind):
            return kind(value)
    return cell(value)


def _native(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    values = values.astype("f8") if values.dtype.kind == "f" and values.dtype.itemsize > 8 else values
    return np.ascontiguousarray(values.astype(values.dtype.newbyteorder("="), copy=False))


def _parts(about: Json) -> list[str]:
    kind = about.get("kind") if isinstance(about, Mapping) else None
    if kind == "category" and (inner := about.get("categories") or {}).get("kind") != "category":
        return ["codes", *(f"categories-{part}" for part in _parts(inner))]
    if kind not in ("number", "text", "json"):
        raise ValueError(f"a column of kind {kind!r}")
    return [
        "values",
        *(["offsets"] if kind != "number" else []),
        *(["missing"] if "missing" in about else []),
    ]


def _decode(about: Mapping[str, Json], parts: Arrays, rows: int | None) -> Any:
    """A column from its description and its arrays; `rows` is None where any number is right."""
    import pandas

    if about["kind"] == "category":
        inner = {name.removeprefix("categories-"): array for name, array in parts.items() if name != "codes"}
        categories = pandas.Index(_decode(about["categories"], inner, None))
        codes = _of_length(parts["codes"], rows)
        return pandas.Categorical.from_codes(codes, categories=categories, ordered=about.get("ordered"))
    values = parts["values"]
    if about["kind"] != "number":
        values = _texts(values.tobytes(), parts["offsets"], is_json=about["kind"] == "json")
    values = _of_length(values, rows)
    if "missing" not in about:
        return values
    missing = _of_length(parts["missing"], len(values)).astype(bool)
    if about["missing"] == "nullable":
        kinds: Any = {"b": pandas.arrays.BooleanArray, "f": pandas.arrays.FloatingArray}
        return kinds.get(values.dtype.kind, pandas.arrays.IntegerArray)(values.copy(), missing)
    values = values.astype(object)
    values[missing] = None
    return values


def _of_length(values: np.ndarray[Any, Any], rows: int | None) -> np.ndarray[Any, Any]:
    if rows is not None and values.shape != (rows,):
        raise ValueError(f"a column of shape {values.shape} in a table of {rows} rows")
    return values


def _texts(content: bytes, offsets: np.ndarray[Any, Any], *, is_json: bool) -> np.ndarray[Any, Any]:
    places = offsets.tolist()
    if not places or places[0] != 0 or places[-1] != len(content) or (np.diff(offsets) < 0).any():
        raise ValueError("texts that do not fit their offsets")
    texts = np.empty(len(places) - 1, object)
    for i in range(len(texts)):
        text = content[places[i] : places[i + 1]].decode("utf-8", "surrogatepass")
        texts[i] = (json.loads(text) if text else None) if is_json else text
    return texts
