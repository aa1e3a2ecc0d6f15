"""What a Zarr metadata document says: JSON checked before anything is built from it."""

from __future__ import annotations

import copy
import json
import math
import os
import re
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.errors import MetadataError

if TYPE_CHECKING:
    import zarr
    from zarr.abc.store import Store

Document = dict[str, Any]


_MAX_AXES = 32  # of a numpy array, in every version of numpy that is supported


_MAX_VALUES = 10**17  # per array: more than any storage holds, and far from where 64 bits end


def normalised(path: str, *, where: str) -> str:
    """Return a path inside a hierarchy without empty parts.

    Parameters
    ----------
    path
        Relative to a group; anyone may have written it.
    where
        Location of the group.

    Returns
    -------
    str
        Parts joined by single slashes; "" for the group itself.

    Raises
    ------
    MetadataError
        If the path is absolute or leads upwards: nothing outside the hierarchy is read.

    Examples
    --------
    >>> normalised("./labels//cells/", where="")
    'labels/cells'
    """
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
    """Return what a metadata document holds.

    Parameters
    ----------
    content
        Bytes of the document.
    where
        Path or URL of the document.

    Returns
    -------
    dict
        Its JSON object.

    Raises
    ------
    MetadataError
        If the bytes are no JSON object: cut off, not text, nested too deeply.

    Examples
    --------
    >>> parse(b'{"zarr_format": 2}', where="")
    {'zarr_format': 2}
    """
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:  # of UTF-8 and of JSON; thousands of brackets
        raise damaged(where, f"{type(error).__name__}: {error}") from error
    if not isinstance(document, dict):
        raise damaged(where, f"a JSON {type(document).__name__}")
    return document


def damaged(where: str, found: str) -> MetadataError:
    """Return the error for a document that cannot be understood.

    Parameters
    ----------
    where
        Path or URL of the document, or of the group or array that it describes.
    found
        What is wrong with it.

    Returns
    -------
    MetadataError
        To be raised by the caller.
    """
    return MetadataError(
        "The Zarr metadata are damaged.",
        where=where,
        found=found[:300],
        hint="The file may be incomplete: compare it with the original.",
    )


def attributes_of(document: Document, *, where: str) -> Document:
    """Return the attributes in a ``zarr.json``.

    Parameters
    ----------
    document
        A parsed ``zarr.json``.
    where
        Path or URL of it.

    Returns
    -------
    dict
        Empty if there are none.

    Raises
    ------
    MetadataError
        If they are no JSON object.
    """
    found = document.get("attributes")
    if found is not None and not isinstance(found, dict):
        raise damaged(where, f"attributes: a JSON {type(found).__name__}")
    return found or {}


def is_array(document: Document, *, where: str) -> bool:
    """Tell whether a ``zarr.json`` describes an array rather than a group.

    Parameters
    ----------
    document
        A parsed ``zarr.json``.
    where
        Path or URL of it.

    Returns
    -------
    bool
        False for a group. Without a ``node_type`` whatever has a shape is an array.

    Raises
    ------
    MetadataError
        If it is neither, or of another Zarr format than 3.
    """
    kind = document.get("node_type", "array" if "shape" in document else "group")
    version = document.get("zarr_format", 3)
    if kind not in ("array", "group") or version != 3 or isinstance(version, bool):
        raise damaged(where, f"zarr_format: {version!r}, node_type: {kind!r}")
    return bool(kind == "array")


def shape_of(document: Document, *, where: str) -> tuple[int, ...]:
    """Return the shape that an array's document says, if an array can have it.

    Parameters
    ----------
    document
        A parsed ``zarr.json`` or ``.zarray`` of an array.
    where
        Path or URL of it.

    Returns
    -------
    tuple of int
        One length per dimension.

    Raises
    ------
    MetadataError
        If it is no list of lengths, or larger than any array can be.

    Examples
    --------
    >>> shape_of({"shape": [4, 6]}, where="")
    (4, 6)
    """
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
    alike: zarr.Array[Any] | None = None,
) -> zarr.Array[Any]:
    """Return the Zarr array that a document describes, without asking the store for anything.

    Parameters
    ----------
    store, path
        Where the array is.
    document
        A parsed ``zarr.json`` or ``.zarray``; it is not changed.
    attributes
        The array's attributes.
    where
        Path or URL of the array.
    alike
        An array that was made from the same document and attributes: what it knows is used again.

    Returns
    -------
    zarr.Array
        As read-only as the store.

    Raises
    ------
    MetadataError
        If the document is damaged, or needs a codec that is not there.
    """
    import zarr
    from zarr.storage import StorePath

    if alike is not None:
        return zarr.Array(zarr.AsyncArray(metadata=alike.metadata, store_path=StorePath(store, path)))
    shape_of(document, where=where)
    own = {key: value for key, value in document.items() if key != "attributes"}
    try:
        with warnings.catch_warnings():
            # That a codec or a type is no part of Zarr's core concerns who writes, not who looks.
            warnings.simplefilter("ignore")
            # Zarr changes what it is given.
            return zarr.Array.from_dict(
                StorePath(store, path), {**copy.deepcopy(own), "attributes": dict(attributes)}
            )
    except Exception as error:  # zarr and codecs raise whatever they like
        raise damaged(where, f"{type(error).__name__}: {error}") from error


def build_group(
    store: Store, path: str, zarr_format: int, attributes: Mapping[str, Any], consolidated: Any = None
) -> zarr.Group:
    """Return a Zarr group without asking the store for anything.

    Parameters
    ----------
    store, path
        Where the group is.
    zarr_format
        2 or 3.
    attributes
        The group's attributes.
    consolidated
        The ``consolidated_metadata`` of its document, if any; left out if they are damaged.

    Returns
    -------
    zarr.Group
        As read-only as the store.
    """
    import zarr
    from zarr.storage import StorePath

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
