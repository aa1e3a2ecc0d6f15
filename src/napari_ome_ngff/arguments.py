"""What public functions are given, compared with what they take: errors say what to give instead."""

from __future__ import annotations

import os
from collections.abc import Mapping
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ome_ngff.errors import CoordinateError, OptionError

if TYPE_CHECKING:
    import zarr
    from xarray import DataArray
    from zarr.abc.store import Store
    from zarr.storage import StorePath

    Place = str | os.PathLike[str] | Store | StorePath | zarr.Group

_NOT_DATA_ARRAYS = {
    "Dataset": 'Take the variable that is the image: dataset["name"].',
    "DataTree": 'Take the variables that are the levels: arrays={"s0": tree["s0"]["name"], ...}.',
    "Image": "Give it to save_ome_ngff, or give arrays=image.arrays.",
    "Variable": "Give it a name for each axis: xarray.DataArray(variable).",
    "MultiscaleSource": "Give it to write_hierarchy, or give the array that is in it.",
}
_NOT_STORES = {
    "Array": "Give store=array.store and path=array.path.",
    "dict": "Give zarr.storage.MemoryStore(that dict).",
}


def check_type(
    value: object, kinds: type | tuple[type, ...], what: str, expected: str, hint: str = ""
) -> None:
    """OptionError unless a value is of one of these kinds; True and False are no numbers."""
    numbers_only = isinstance(value, bool) and bool not in (kinds if isinstance(kinds, tuple) else (kinds,))
    if not isinstance(value, kinds) or numbers_only:
        raise OptionError(f"{what} must be {expected}, not {shown(value)}.", hint=hint)


def check_whole(value: object, least: int, most: int, what: str) -> None:
    """OptionError unless a value is a whole number in this range, both ends included."""
    check_type(value, Integral, what, f"a whole number from {least} to {most}")  # numpy's too
    number: Any = value
    if not least <= number <= most:
        raise OptionError(f"{what} must be from {least} to {most}, not {shown(value)}.")


def check_flags(**flags: object) -> None:
    """OptionError unless each of these arguments, by its name, is True or False."""
    for name, value in flags.items():
        check_type(value, (bool, np.bool_), name, "True or False")


def check_mapping(value: object, what: str, expected: str) -> None:
    """OptionError unless a value is a mapping whose keys are text."""
    check_type(value, Mapping, what, expected)
    assert isinstance(value, Mapping)
    for key in value:
        check_type(key, str, f"A name in {what.lower()}", "text")


def check_text(value: object, what: str) -> None:
    """OptionError unless a value is text that can be in a file."""
    check_type(value, str, what, "text")
    assert isinstance(value, str)
    if "\0" in value or not _is_unicode(value):
        raise OptionError(f"{what} has a character that no file can hold.", found=shown(value))


def check_data_array(value: object, what: str) -> None:
    """OptionError unless a value is a DataArray of known size; CoordinateError unless its axes have names."""
    import xarray

    if not isinstance(value, xarray.DataArray):
        default = 'Name its axes: xarray.DataArray(array, dims=("z", "y", "x")). Or use save_ome_ngff.'
        hint = _NOT_DATA_ARRAYS.get(type(value).__name__, default)
        check_type(value, xarray.DataArray, what, "an xarray.DataArray", hint)
        return
    if not value.ndim or not all(isinstance(dim, str) for dim in value.dims):
        raise CoordinateError(
            "Axes of an image have names.",
            found=f"dims {value.dims}",
            hint='Name them: xarray.DataArray(array, dims=("y", "x")).',
        )
    _check_size(value, what)


def _check_size(array: DataArray, what: str) -> None:
    if any(not isinstance(size, int) for size in array.shape):  # dask's nan
        raise OptionError(
            f"{what} must have a size that is known.",
            found=f"shape {array.shape}",
            hint="Call compute_chunk_sizes() of the dask array first.",
        )


def check_store(store: object, path: object = "") -> None:
    """OptionError unless a value is the path of a folder, an address or a Zarr store."""
    from zarr.abc.store import Store

    value: Any = store
    hint = _NOT_STORES.get(type(store).__name__, "")
    check_type(store, (str, os.PathLike, Store), "The store", "a path, an address or a Zarr store", hint)
    check_text(path, "The path inside the store")
    if not isinstance(store, Store):
        check_text(os.fspath(value), "The path of the store")
        if not os.fspath(value):
            raise OptionError("The path of the store is empty.", hint="Give the path of a folder.")


def place_of(location: Place, path: object = "") -> tuple[Any, str]:
    """A store, or the path or address of one, and a path in it: also that of a group, or a place in a store.

    OptionError for anything else.
    """
    import zarr
    from zarr.storage import StorePath

    inner: Any = path
    if not isinstance(location, zarr.Group | StorePath):
        check_store(location, path)
        return location, inner
    check_text(path, "The path inside the store")
    return location.store, "/".join(part for part in (location.path, inner) if part)


def bytes_of(text: str, what: str) -> int:
    """Bytes of a text such as ``"1 GB"``; OptionError if it is none."""
    from dask.utils import parse_bytes

    try:
        if not any(map(str.isdecimal, text)):  # 1 would be understood
            raise ValueError("no number")
        return int(parse_bytes(text))
    except (ValueError, ArithmeticError) as error:
        raise OptionError(
            f"{what} is no number of bytes.", found=shown(text), expected='such as "512 MB", or 512 * 2**20'
        ) from error


def is_of_pint(value: object) -> bool:
    """Whether this is a unit or a quantity of pint, told without importing it."""
    return type(value).__module__.partition(".")[0] == "pint"


def unit_text(unit: object, what: str) -> str | None:
    """A unit as text, also one of pint; OptionError for anything else."""
    if is_of_pint(unit):
        return str(unit)
    check_type(unit, (str, type(None)), what, 'text such as "micrometer", or None')
    return unit  # type: ignore[return-value]


def shown(value: object) -> str:
    """A value in a message: its type, and a short text of it if there is one."""
    name = type(value).__name__
    if isinstance(value, str | int | float | bytes | None):
        return repr(value)[:40]
    module = type(value).__module__.partition(".")[0]
    return f"of type {name if module == 'builtins' else f'{module}.{name}'}"


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True


def check_all(values: Any, kind: type, what: str, expected: str) -> None:
    """OptionError unless a value is a list or tuple of such things."""
    check_type(values, (list, tuple), what, expected)
    for value in values:
        check_type(value, kind, f"An entry of {what.lower()}", kind.__name__)
