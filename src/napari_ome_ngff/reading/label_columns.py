"""Large tables of label images: read, all columns together, when they are first asked for something."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ome_ngff.errors import MetadataError, OmeNgffError
from napari_ome_ngff.label_tables import (
    GROUP,
    LABEL,
    Columns,
    Deferred,
    array_names,
    check_size,
    decode_table,
)
from napari_ome_ngff.metadata.nouns import LabelImage, Multiscale
from napari_ome_ngff.storage.pixels.codecs import ChunkFormat, chunk_format
from napari_ome_ngff.storage.pixels.process_state import decode_pool
from napari_ome_ngff.storage.places.bounded_reads import Answer, Piece
from napari_ome_ngff.storage.places.location import location_in
from napari_ome_ngff.storage.places.requests import explain, read_pieces

if TYPE_CHECKING:
    import zarr

    from napari_ome_ngff.storage.documents.hierarchy import Hierarchy

_MOST_PIECES = 50_000  # arrays, and chunks of all of them


def with_tables(multiscale: Multiscale, hierarchy: Hierarchy) -> Multiscale:
    """Return a multiscale whose label image has the tables that it lists; nothing is read yet."""
    label_image = multiscale.label_image
    if label_image is None or GROUP not in label_image.extra:
        return multiscale
    extra = dict(label_image.extra)
    listed = extra.pop(GROUP)
    names = listed if isinstance(listed, list) else []
    changed = replace(label_image, extra=extra)
    if "properties" in names:
        changed = replace(
            changed, table=Deferred(partial(read_table, hierarchy.below(f"{GROUP}/properties")))
        )
    if "colors" in names:
        colors = Deferred(partial(_colors, hierarchy.below(f"{GROUP}/colors"), label_image))
        changed = replace(changed, colors=colors)
    return replace(multiscale, label_image=changed)


def _colors(hierarchy: Hierarchy, label_image: LabelImage) -> Mapping[int, tuple[int, int, int, int]]:
    table = read_table(hierarchy)
    try:
        rgba = np.stack([table[name] for name in ("red", "green", "blue", "alpha")], axis=1)
        stored = dict(zip(table[LABEL].tolist(), map(tuple, rgba.astype("u1").tolist()), strict=True))
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise _damaged(hierarchy, error) from error
    return stored | dict(label_image.colors)


def read_table(hierarchy: Hierarchy) -> Columns:
    """Read the table in a group; MetadataError or StorageError if that is not possible."""
    attributes = hierarchy.attributes()
    if attributes is None:
        raise _damaged(hierarchy, "it is listed but not there")
    try:
        names = array_names(attributes)
        if len(names) > _MOST_PIECES:
            raise ValueError(f"{len(names)} arrays")
        hierarchy.fetch(names)
        arrays = {name: hierarchy.array(name) for name in names}
        missing = [name for name, array in arrays.items() if array is None or array.ndim != 1]
        if missing:
            raise ValueError(f"no column at {missing[0]!r}")
        check_size(sum(array.nbytes for array in arrays.values() if array is not None), hierarchy.location)
        return decode_table(attributes, _values({n: a for n, a in arrays.items() if a is not None}))
    except OmeNgffError:
        raise
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise _damaged(hierarchy, error) from error


def _damaged(hierarchy: Hierarchy, why: object) -> MetadataError:
    return MetadataError(
        "The table of a label image cannot be read.",
        where=hierarchy.location,
        found=f"{type(why).__name__}: {why}" if isinstance(why, Exception) else str(why),
        hint="The file may be incomplete: compare it with the original.",
    )


def _values(arrays: Mapping[str, zarr.Array[Any]]) -> dict[str, np.ndarray[Any, Any]]:
    """The values of arrays of one dimension, all of whose chunks are stored: asked for together."""
    values: dict[str, np.ndarray[Any, Any]] = {}
    pieces: list[tuple[str, str, int, ChunkFormat]] = []
    for name, array in arrays.items():
        form = chunk_format(array)
        if form is None or form.codecs is None or form.shard is not None or form.shape[0] < 1:
            raise ValueError(f"{name!r} is stored in a way that tables are not")
        values[name] = np.empty(array.shape, array.dtype)
        starts = range(0, array.shape[0], form.shape[0])
        if len(pieces) + len(starts) > _MOST_PIECES:
            raise ValueError("too many chunks for a table")
        prefix = f"{array.path}/{array.metadata.encode_chunk_key((0,))}".removesuffix("0")
        pieces += [(name, f"{prefix}{index}", start, form) for index, start in enumerate(starts)]
    if not pieces:
        return values
    store, failures = next(iter(arrays.values())).store, list[Exception]()

    def handle(number: int, answer: Answer) -> None:
        name, key, start, form = pieces[number]
        try:
            if isinstance(answer, Exception):
                raise explain(answer, location_in(store, key))
            if answer is None:
                raise ValueError(f"no chunk at {key!r}")
            part = values[name][start : start + form.shape[0]]
            part[...] = form.decode(answer)[: len(part)]
        except Exception as error:  # noqa: BLE001 (codecs raise whatever they like; raised below)
            failures.append(error)

    read_pieces(
        store,
        [Piece(key) for _, key, _, _ in pieces],
        handle,
        pool=decode_pool(),
        decoded_bytes=max(form.nbytes for *_, form in pieces),
        limit=max(form.most_stored for *_, form in pieces),
    )
    for error in failures:
        raise error if isinstance(error, OmeNgffError) else ValueError(str(error)) from error
    return values
