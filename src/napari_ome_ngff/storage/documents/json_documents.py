"""Zarr metadata documents: their JSON is checked before arrays and groups are built from it."""

from __future__ import annotations

import copy
import json
import math
import os
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import zarr
from zarr.abc.store import Store
from zarr.storage import StorePath

from napari_ome_ngff.errors import MetadataError, UnsupportedError
from napari_ome_ngff.storage.documents.codec_names import check_codecs, is_plain
from napari_ome_ngff.storage.documents.spellings import is_misread, usual
from napari_ome_ngff.storage.places.location import location_of
from napari_ome_ngff.storage.places.node_documents import says_array

Document = dict[str, Any]


_MAX_AXES = 32  # of a numpy array, in every version of numpy that is supported


_HOLDERS = (dict, list, tuple)  # which isinstance looks through faster than through a union

MAX_NESTED = 100  # objects and lists in each other: whoever copies what is deeper recurses too far


_SURROGATES = re.compile(rb"\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]")


_MAX_ITEMS = 100  # of a list or object in an array's document: codecs, axes


_OF_ANY_LENGTH = ("attributes", "chunk_grid", "fill_value")  # which is not said of these


_MAX_VALUES = 10**17  # per array: more than any storage holds, and far from where 64 bits end


def normalised(path: str, *, where: str) -> str:
    """A path inside the hierarchy of a group without empty parts; MetadataError if it leads out of it."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    outside = path.startswith(("/", "\\")) or os.path.isabs(path) or os.path.splitdrive(path)[0]
    if outside or ".." in re.split(r"[/\\]", path):
        raise MetadataError(
            "A path leads out of the image.",
            where=where,
            found=repr(path)[:300],
            expected="a path relative to the group, without '..'",
            hint="The file may have been made to read other files of yours: do not trust it.",
        )
    return "/".join(parts)


def parse(content: bytes, *, where: str) -> Document:
    """The JSON object of a document; MetadataError if it is none: cut off, not text, nested too deeply."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:  # of UTF-8 and of JSON; thousands of brackets
        raise damaged(where, f"{type(error).__name__}: {error}") from error
    if not isinstance(document, dict):
        raise damaged(where, f"a JSON {type(document).__name__}")
    if content.count(b"{") + content.count(b"[") > MAX_NESTED:
        check_nesting(document, where=where)
    if _SURROGATES.search(content):  # half characters, which nothing can print or store
        return dict(json.loads(json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")))
    return document


def check_nesting(document: object, *, where: str) -> None:
    """MetadataError if objects and lists lie too deep in each other."""
    if is_nested(document, MAX_NESTED):
        raise damaged(where, f"more than {MAX_NESTED} objects and lists in each other")


def is_nested(document: object, depth: int) -> bool:
    """Whether more than so many objects and lists lie in each other."""
    layer: list[Any] = [document]
    for _ in range(depth):
        layer = [
            inner
            for outer in layer
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, _HOLDERS)
        ]
        if not layer:
            return False
    return True


def damaged(where: str, found: str) -> MetadataError:
    """The error for a document that cannot be understood."""
    return MetadataError(
        "The Zarr metadata are damaged.",
        where=where,
        found=found[:300],
        hint="The file may be incomplete: compare it with the original.",
    )


def attributes_of(document: Document, *, where: str) -> Document:
    """The attributes in a ``zarr.json``; MetadataError if they are no JSON object."""
    attributes = document.get("attributes")
    if attributes is not None and not isinstance(attributes, dict):
        raise damaged(where, f"attributes: a JSON {type(attributes).__name__}")
    return attributes or {}


def is_array(document: Document, *, where: str) -> bool:
    """Whether a ``zarr.json`` describes an array; MetadataError if neither that nor a group of Zarr v3."""
    kind = document.get("node_type", "group")
    version = document.get("zarr_format", 3)
    if kind not in ("array", "group") or version != 3 or isinstance(version, bool):
        raise damaged(where, f"zarr_format: {version!r}, node_type: {kind!r}")
    return says_array(document)


def shape_of(document: Document, *, where: str) -> tuple[int, ...]:
    """The shape in an array's document; MetadataError unless an array can have it."""
    shape = document.get("shape")
    if not isinstance(shape, list | tuple):
        raise damaged(where, f"shape: {shape!r}")
    if len(shape) > _MAX_AXES:
        raise damaged(where, f"shape: a list of {len(shape)}; an array has at most {_MAX_AXES} dimensions")
    if any(not isinstance(n, int) or isinstance(n, bool) or n < 0 for n in shape):
        raise damaged(where, f"shape: {shape!r}")
    if any(n > _MAX_VALUES for n in shape) or math.prod(shape) > _MAX_VALUES:
        raise damaged(where, f"shape: {shape!r}; no array is that large")
    return tuple(shape)


def build_array(
    store: Store,
    path: str,
    document: Document,
    attributes: Mapping[str, Any],
    *,
    where: str,
    twin: zarr.Array[Any] | None = None,
) -> zarr.Array[Any]:
    """The Zarr array that a document describes, as read-only as the store; no request is made.

    `twin` is an array that was made from the same document and attributes: its metadata are used again.
    MetadataError if the document is damaged; UnsupportedError if it needs a codec that is not installed, or
    has values that are Python objects.
    """
    if twin is not None:
        other = copy.copy(twin.async_array)  # a new one would build its codecs again: 0.15 ms for each field
        object.__setattr__(other, "store_path", StorePath(store, path))
        return zarr.Array(other)
    _check_chunks(document, shape_of(document, where=where), where=where)
    _check_lists(document, where=where)
    return array_of(StorePath(store, path), document, attributes, where=where)


def array_of(
    place: StorePath, document: Document, attributes: Mapping[str, Any], *, where: str
) -> zarr.Array[Any]:
    """The array of a document whose shape was checked, in its own spelling or else in the usual one."""
    errors: list[Exception] = []
    for is_again in (False, True):
        form = usual(document) if is_again or is_misread(document) else document
        try:
            check_codecs(form, where=where)
            array = _from_document(place, form, attributes)
            chunks_of(array)
            return array
        except Exception as error:  # noqa: BLE001 (zarr and codecs raise whatever they like)
            errors.append(error)
    if isinstance(errors[-1], UnsupportedError):
        raise errors[-1]
    # The first error is about what stands in the file.
    raise damaged(where, f"{type(errors[0]).__name__}: {errors[0]}") from errors[0]


def chunks_of(array: zarr.Array[Any]) -> tuple[int, ...]:
    """The shape of an array's chunks; UnsupportedError if there are several, as in a rectilinear grid."""
    try:
        _, chunks = array.shards, array.chunks  # those of shards are regular inside a grid that is not
        return tuple(chunks)
    except NotImplementedError as error:
        raise UnsupportedError(
            "Arrays with chunks of several shapes are not read.",
            where=location_of(array),
            found=f"the chunk grid {array.metadata.to_dict().get('chunk_grid')}"[:300],
            expected="a regular grid",
            hint="Store it again with chunks of one shape.",
        ) from error


def _from_document(place: StorePath, document: Document, attributes: Mapping[str, Any]) -> zarr.Array[Any]:
    # Zarr changes what it is given; of JSON, this copy is made ten times as fast as that of `copy.deepcopy`.
    fresh = json.loads(json.dumps({key: value for key, value in document.items() if key != "attributes"}))
    array = {**fresh, "attributes": dict(attributes)}
    if is_plain(document):
        return zarr.Array.from_dict(place, array)
    with warnings.catch_warnings():  # seldom, since other threads see it: see `collected_warnings`
        # That a codec or a type is no part of Zarr's core concerns who writes, not who looks.
        warnings.simplefilter("ignore")
        return zarr.Array.from_dict(place, array)


def _check_chunks(document: Document, shape: Sequence[int], *, where: str) -> None:
    """MetadataError if chunks hold nothing along an axis that has voxels: some versions of Zarr take them."""
    holders = [document.get("chunk_grid"), *_items(document.get("codecs"))]
    settings = [holder.get("configuration") for holder in holders if isinstance(holder, dict)]
    given = [
        document.get("chunks"),
        *(each.get("chunk_shape") for each in settings if isinstance(each, dict)),
    ]
    for chunks in given:
        if any(size and chunk == 0 for chunk, size in zip(_items(chunks), shape, strict=False)):
            raise damaged(where, f"chunks of shape {chunks} in an array of {list(shape)}")


def _check_lists(document: Document, *, where: str) -> None:
    """MetadataError if a list has more items than any array needs: Zarr takes minutes for thousands."""
    containers: list[Any] = [{key: each for key, each in document.items() if key not in _OF_ANY_LENGTH}]
    while containers:
        here = containers.pop()
        if len(here) > _MAX_ITEMS:
            raise damaged(where, f"a list or object of {len(here)} in the metadata of an array")
        containers += [
            item
            for item in (here.values() if isinstance(here, dict) else here)
            if isinstance(item, dict | list)
        ]


def _items(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def build_group(
    store: Store, path: str, zarr_format: int, attributes: Mapping[str, Any], consolidated: Any = None
) -> zarr.Group:
    """A Zarr group, as read-only as the store; no request is made. Damaged `consolidated` are left out."""
    plain = {"zarr_format": zarr_format, "attributes": dict(attributes)}
    place = StorePath(store, path)
    if consolidated:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                document = {**plain, "consolidated_metadata": copy.deepcopy(consolidated)}
                return zarr.Group(zarr.AsyncGroup.from_dict(place, document))
        except Exception:  # noqa: BLE001 (they only save requests)
            return zarr.Group(zarr.AsyncGroup.from_dict(place, plain))
    return zarr.Group(zarr.AsyncGroup.from_dict(place, plain))
