"""Zarr's metadata documents: their names, and whether they describe a group or an array."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Literal

GROUP_DOCUMENTS = ("zarr.json", ".zattrs", ".zgroup")


NODE_DOCUMENTS = ("zarr.json", ".zgroup", ".zarray")
"""Every group and array has one of them."""


DOCUMENTS = frozenset({"zarr.json", ".zattrs", ".zgroup", ".zarray", ".zmetadata"})


def array_document(zarr_format: int) -> str:
    """Name of the document that describes an array."""
    return "zarr.json" if zarr_format == 3 else ".zarray"


def says_array(document: Mapping[str, Any]) -> bool:
    """Whether a ``zarr.json`` describes an array; without ``node_type``, whatever has a shape does."""
    return bool(document.get("node_type", "array" if "shape" in document else "group") == "array")


def kind_of_node(
    exists: Callable[[str], bool], read: Callable[[str], bytes | None]
) -> Literal["group", "array"] | None:
    """Group, array or neither, from what is asked about documents by their names.

    A damaged ``zarr.json`` counts as a group.
    """
    if exists(".zarray"):
        return "array"
    if (content := read("zarr.json")) is None:
        return "group" if exists(".zgroup") else None
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return "group"
    return "array" if isinstance(document, dict) and says_array(document) else "group"
