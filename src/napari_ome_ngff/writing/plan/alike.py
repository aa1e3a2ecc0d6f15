"""Arrays that are stored as others are, with the same chunks, codecs and fill value: bytes can be copied."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import zarr
    from pydantic_zarr.v2 import ArraySpec as ArraySpecV2
    from pydantic_zarr.v3 import ArraySpec as ArraySpecV3

# What the bytes of a stored chunk, and of one that is missing, depend on. Their keys are not among it.
_V2 = ("shape", "chunks", "dtype", "order", "compressor", "filters", "fill_value")


_V3 = ("shape", "data_type", "chunk_grid", "codecs", "fill_value", "storage_transformers")


def spec_like(array: zarr.Array[Any], dims: Sequence[str]) -> ArraySpecV2[Any] | ArraySpecV3[Any]:
    """Make the pydantic-zarr model of an array that is stored as another one is, attributes included.

    Parameters
    ----------
    array
        The other one.
    dims
        Names of the axes. Keys of chunks are those that OME-NGFF asks for, whatever they were.

    Examples
    --------
    >>> import zarr
    >>> array = zarr.create_array({}, shape=(4, 4), chunks=(2, 2), dtype="uint8")
    >>> spec_like(array, ("y", "x")).dimension_names
    ('y', 'x')
    """
    attributes = attributes_like(array, dims)
    if array.metadata.zarr_format == 2:
        from pydantic_zarr.v2 import ArraySpec

        old: ArraySpec[Any] = ArraySpec.from_zarr(array)
        return old.model_copy(update={"dimension_separator": "/", "attributes": attributes})
    from pydantic_zarr.v3 import ArraySpec as ArraySpecV3

    keys: Any = {"name": "default", "configuration": {"separator": "/"}}
    update = {"dimension_names": tuple(dims), "chunk_key_encoding": keys, "attributes": attributes}
    return ArraySpecV3.from_zarr(array).model_copy(update=update)


def attributes_like(array: zarr.Array[Any], dims: Sequence[str]) -> dict[str, Any]:
    """Return the attributes of an array for one that has the same voxels.

    Parameters
    ----------
    array
        The one that has them.
    dims
        Names of the other one's axes.

    Examples
    --------
    >>> import zarr
    >>> attributes = {"_ARRAY_DIMENSIONS": ["row", "column"], "author": "me"}
    >>> array = zarr.create_array({}, shape=(4, 4), dtype="uint8", attributes=attributes)
    >>> attributes_like(array, ("y", "x"))
    {'_ARRAY_DIMENSIONS': ['y', 'x'], 'author': 'me'}
    """
    found: dict[str, Any] = dict(array.metadata.attributes)
    if "_ARRAY_DIMENSIONS" in found:  # xarray's names of the axes
        found["_ARRAY_DIMENSIONS"] = list(dims)
    return found


def is_stored_alike(one: object, other: object) -> bool:
    """Whether two arrays store the same values as the same bytes.

    Parameters
    ----------
    one, other
        Zarr arrays, or pydantic-zarr models of such.

    Examples
    --------
    >>> import zarr
    >>> make = lambda **options: zarr.create_array({}, shape=(4, 4), dtype="uint8", **options)
    >>> is_stored_alike(make(chunks=(2, 2)), make(chunks=(2, 2)))
    True
    >>> is_stored_alike(make(chunks=(2, 2)), make(chunks=(4, 4)))
    False
    """
    return _storage(one) == _storage(other)


def _storage(array: Any) -> str:
    from zarr.core.metadata import ArrayV2Metadata, ArrayV3Metadata

    about: Mapping[str, Any]
    if hasattr(array, "metadata"):
        about = array.metadata.to_dict()
    else:
        given = array.model_dump()
        kind = ArrayV3Metadata if given["zarr_format"] == 3 else ArrayV2Metadata
        about = kind.from_dict(given).to_dict()  # with what codecs say by default
    wanted = _V3 if about["zarr_format"] == 3 else _V2
    # As text: NaN is NaN, and a tuple is a list.
    return json.dumps(
        [about["zarr_format"], *(about.get(key) for key in wanted)], default=str, sort_keys=True
    )
