"""What of a label image's colours and properties is too long for JSON, and the documents that hold it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from napari_ome_ngff.errors import MetadataError
from napari_ome_ngff.label_tables import (
    GROUP,
    LABEL,
    Columns,
    columns_of,
    encode_table,
    is_large,
    may_be_small,
    rows_of,
)
from napari_ome_ngff.metadata.nouns import Json, LabelImage

Encoded = tuple[dict[str, Json], dict[str, np.ndarray[Any, Any]]]
"""Attributes of the group of a table, and its arrays by name."""


DOCUMENTS_OF_AN_ARRAY = {2: 2, 3: 1}
"""Files or objects of metadata of an array or group, by Zarr format."""


_CHUNK_BYTES = 4 * 2**20


def set_apart(label_image: LabelImage) -> tuple[LabelImage, dict[str, Encoded]]:
    """Return a label image as it is written, and by name the tables that are stored beside its levels."""
    # What was read may name tables of the place that it was read from.
    extra = {key: value for key, value in label_image.extra.items() if key != GROUP}
    tables: dict[str, Encoded] = {}
    properties, table = _inline(label_image)
    if table is not None:
        tables["properties"] = encode_table(table)
    colors = dict(label_image.colors)
    if is_large({"rgba": rgba, LABEL: value} for value, rgba in colors.items()):
        plain = {value: rgba for value, rgba in colors.items() if not label_image.color_extra.get(value)}
        tables["colors"] = encode_table(_color_columns(plain))
        colors = {value: rgba for value, rgba in colors.items() if value not in plain}
    extra |= {GROUP: sorted(tables)} if tables else {}
    return replace(label_image, colors=colors, properties=properties, table=None, extra=extra), tables


def _inline(label_image: LabelImage) -> tuple[tuple[Mapping[str, Json], ...], Columns | None]:
    """The properties that are written as JSON, and those that become arrays."""
    rows, table = label_image.properties, label_image.table
    if table is None:
        try:
            return ((), columns_of(rows)) if is_large(rows) else (rows, None)
        except MetadataError:  # of rows of names of their own
            return rows, None
    try:
        columns = {LABEL: table[LABEL]} | {name: table[name] for name in table if name != LABEL}
    except KeyError as error:
        raise MetadataError(
            "The properties of a label must have an integer under 'label-value'.",
            found=", ".join(map(str, table))[:300],
        ) from error
    if (
        len(lengths := {name: len(column) for name, column in columns.items()})
        and len(set(lengths.values())) > 1
    ):
        raise MetadataError("The columns of a table have different lengths.", found=str(lengths)[:300])
    if not rows and may_be_small(columns) and not is_large(small := rows_of(columns)):
        return small, None
    return rows, columns


def _color_columns(colors: Mapping[int, tuple[int, int, int, int]]) -> Columns:
    rgba = np.array(list(colors.values()))
    if (
        rgba.shape != (len(colors), 4)
        or rgba.dtype.kind not in "iu"
        or not ((rgba >= 0) & (rgba <= 255)).all()
    ):
        raise MetadataError("A label's colour must be four integers from 0 to 255.")
    names = ("red", "green", "blue", "alpha")
    return {LABEL: np.array(list(colors))} | dict(zip(names, rgba.astype("u1").T, strict=True))


def stored_size(tables: Mapping[str, Encoded], zarr_format: int) -> tuple[int, int]:
    """Return of how many files tables are made, and of how many bytes before compression."""
    if not tables:
        return 0, 0
    arrays = [values for _, arrays in tables.values() for values in arrays.values()]
    chunks = [-(-len(values) // _chunk(values)) for values in arrays]
    nbytes = sum(n * _chunk(values) * values.itemsize for n, values in zip(chunks, arrays, strict=True))
    nodes = 1 + len(tables) + len(arrays)
    return sum(chunks) + DOCUMENTS_OF_AN_ARRAY[zarr_format] * nodes, nbytes


def _chunk(values: np.ndarray[Any, Any]) -> int:
    return max(1, min(len(values), _CHUNK_BYTES // values.itemsize))


def table_documents(tables: Mapping[str, Encoded], zarr_format: int) -> dict[str, bytes]:
    """Everything that is stored of tables, by key relative to the group of their label image."""
    import zarr

    stored: dict[str, Any] = {}
    store = zarr.storage.MemoryStore(stored)
    for name, (attributes, arrays) in tables.items():
        group = zarr.create_group(store, path=f"{GROUP}/{name}", zarr_format=zarr_format)  # type: ignore[arg-type]
        group.attrs.update(attributes)
        for key, values in arrays.items():
            array = zarr.create_array(
                store,
                name=f"{GROUP}/{name}/{key}",
                shape=values.shape,
                dtype=values.dtype,
                chunks=(_chunk(values),),
                zarr_format=zarr_format,  # type: ignore[arg-type]
                # A chunk that is not there is a damaged table, whatever it would hold.
                config={"write_empty_chunks": True},
            )
            array[...] = values
    # Of what is above the group of the tables, others write the documents.
    return {key: value.to_bytes() for key, value in stored.items() if key.startswith(f"{GROUP}/")}
