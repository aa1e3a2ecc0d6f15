"""``attrs`` of xarray, as attributes of a group: what JSON can hold of them, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from napari_ome_ngff.errors import give_warning
from napari_ome_ngff.metadata.group_kind import OUR_KEYS
from napari_ome_ngff.metadata.nouns import Json

ATTRS = f"{OUR_KEYS}attrs"
"""The attribute of an image's group that holds the ``attrs`` of its DataArray."""

_ARRAY_ONLY = "_ARRAY_DIMENSIONS"  # xarray's names of the axes, in Zarr v2

_MOST_NAMED = 5


def json_attrs(attrs: Mapping[Any, Any], what: str) -> dict[str, Json]:
    """Return what JSON can hold of some attrs, numpy's values as lists; a warning names what is left out."""
    kept: dict[str, Json] = {}
    left: list[str] = []
    for name, value in attrs.items():
        try:
            text = json.dumps(value, default=_plain, allow_nan=False)
        except (TypeError, ValueError, RecursionError, OverflowError):
            text = ""
        if isinstance(name, str) and text:
            kept[name] = json.loads(text)
        else:
            left.append(f"{name!r} ({type(value).__name__})")
    if left:
        named = ", ".join(left[:_MOST_NAMED]) + (", ..." if len(left) > _MOST_NAMED else "")
        message = f"{what} cannot be stored as JSON and is left out: {named}"
        give_warning(message, stacklevel=2)
    return kept


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biufU":
        return value.tolist()
    raise TypeError(type(value).__name__)


def with_attrs(attributes: Mapping[str, Json], attrs: Mapping[Any, Any]) -> dict[str, Json]:
    """Return the attributes of a group with the attrs of its DataArray, if it has any but ours."""
    theirs = {k: v for k, v in attrs.items() if k != _ARRAY_ONLY and not str(k).startswith(OUR_KEYS)}
    kept = json_attrs(theirs, "An attribute")
    return {**attributes, ATTRS: kept} if kept else dict(attributes)


def attrs_of(attributes: Mapping[str, Json], array: Mapping[str, Json]) -> dict[str, Json]:
    """Return the attrs of a DataArray: those that were stored with its group, and those of its array."""
    stored = attributes.get(ATTRS)
    own = {name: value for name, value in array.items() if name != _ARRAY_ONLY}
    return {**(stored if isinstance(stored, Mapping) else {}), **own}
