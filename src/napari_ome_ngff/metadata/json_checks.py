"""Reading JSON values that anyone may have written: every surprise becomes a MetadataError with its place.

Nothing here recurses, and what is said about a value is short whatever its size, so that hostile metadata
cost no more than reading them once.
"""

from __future__ import annotations

import json
import math
import re
import warnings
from collections.abc import Iterator, Mapping
from itertools import islice

from napari_ome_ngff.errors import MetadataError, OmeNgffWarning
from napari_ome_ngff.metadata.nouns import Json

_LONGEST_TEXT = 60


_LONGEST_PATH = 4096


_MOST_NOTES = 8


def describe(value: Json) -> str:
    """Say in a few words what a JSON value is.

    Parameters
    ----------
    value
        Anything; large or deep values are named by their kind and length.

    Returns
    -------
    str
        Short text for an error's ``found``.

    Examples
    --------
    >>> describe([1, "a", None]), describe({"path": "0"}), describe(list(range(100)))
    ("[1, 'a', null]", 'an object with path', 'a list of 100')
    """
    if isinstance(value, Mapping):
        names = ", ".join(str(key)[:_LONGEST_TEXT] for key in islice(value, 5))
        return f"an object with {names}" if names else "an empty object"
    if isinstance(value, list | tuple):
        if len(value) > 6 or any(isinstance(item, Mapping | list | tuple) for item in value):
            return f"a list of {len(value)}"
        return f"[{', '.join(_describe_scalar(item) for item in value)}]"
    return _describe_scalar(value)


def _describe_scalar(value: Json) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return repr(value if len(value) <= _LONGEST_TEXT else value[:_LONGEST_TEXT] + "...")
    if isinstance(value, int):
        return str(value) if abs(value) < 10**30 else "a very large integer"
    return repr(value) if isinstance(value, float) else f"a {type(value).__name__}"


def as_mapping(value: Json, *, where: str, what: str = "an object") -> Mapping[str, Json]:
    """Return `value` if it is a JSON object.

    Raises
    ------
    MetadataError
        If it is anything else; `what` says what it should have been.

    Examples
    --------
    >>> as_mapping({"path": "0"}, where="datasets[0]")
    {'path': '0'}
    """
    if not isinstance(value, Mapping):
        raise MetadataError(
            f"Malformed OME-NGFF metadata: {what} was expected.",
            where=where,
            found=describe(value),
            expected=what,
        )
    return value


def as_list(value: Json, *, where: str, what: str = "a list") -> list[Json] | tuple[Json, ...]:
    """Return `value` if it is a JSON array.

    Raises
    ------
    MetadataError
        If it is anything else; `what` says what it should have been.

    Examples
    --------
    >>> as_list([1, 2], where="axes")
    [1, 2]
    """
    if not isinstance(value, list | tuple):
        raise MetadataError(
            f"Malformed OME-NGFF metadata: {what} was expected.",
            where=where,
            found=describe(value),
            expected=what,
        )
    return value


def as_number(value: Json) -> float | None:
    """Return `value` as a finite float, or None if it is not a finite number.

    Examples
    --------
    >>> as_number(3), as_number("3"), as_number(True), as_number(float("nan")), as_number(10**400)
    (3.0, None, None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def as_integer(value: Json) -> int | None:
    """Return `value` as an integer if it is one (``2.0`` is), else None.

    Examples
    --------
    >>> as_integer(2), as_integer(2.0), as_integer(2.5), as_integer(True), as_integer("2")
    (2, 2, None, None, None)
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    return int(value) if isinstance(value, float) and value.is_integer() else None


def as_text(value: Json, *, where: str, what: str) -> str:
    """Return `value` if it is text that is not empty.

    Raises
    ------
    MetadataError
        If it is anything else; `what` says what it should have been.

    Examples
    --------
    >>> as_text("lab", where="coordinateSystems[0].name", what="the name of a coordinate system")
    'lab'
    """
    if not isinstance(value, str) or not value:
        raise MetadataError(
            f"Text that is not empty was expected as {what}.",
            where=where,
            found=describe(value),
            expected=what,
        )
    return value


def as_vector(value: Json, *, ndim: int, where: str, what: str) -> tuple[float, ...]:
    """Return a list of finite numbers, one per axis, as floats.

    Raises
    ------
    MetadataError
        If it is not a list, has another length than `ndim`, or an item is not a finite number.

    Examples
    --------
    >>> as_vector([1, 0.5], ndim=2, where="scale", what="scale")
    (1.0, 0.5)
    """
    items = as_list(value, where=where, what="a list of numbers")
    # 0.4 and 0.5: "The length of the scale and translation array MUST be the same as the length of axes."
    if len(items) != ndim:
        raise MetadataError(
            f"A {what} must have one number per axis.",
            where=where,
            found=describe(value),
            expected=f"{ndim} numbers",
        )
    numbers = tuple(as_number(item) for item in items)
    for index, (item, number) in enumerate(zip(items, numbers, strict=True)):
        if number is None:
            raise MetadataError(
                f"A {what} must be made of finite numbers.",
                where=f"{where}[{index}]",
                found=describe(item),
                expected="a finite number",
            )
    return tuple(number for number in numbers if number is not None)


def as_path(value: Json, *, where: str, what: str = "array") -> str:
    """Return the path of a node below the group that names it, without a trailing slash.

    Raises
    ------
    MetadataError
        If it is not text, or could lead out of the group (absolute, ``..``, a backslash, a drive letter).

    Examples
    --------
    >>> as_path("scale0/image", where="datasets[0].path")
    'scale0/image'
    """
    text = value.removesuffix("/") if isinstance(value, str) else ""
    # No store has longer names of files or keys.
    parts = text.split("/") if len(text) <= _LONGEST_PATH else []
    if not parts or any(part in ("", ".", "..") for part in parts) or re.search(r"[\\\0]|^[A-Za-z]:", text):
        # "the path to the array for this resolution relative to the current zarr group"
        raise MetadataError(
            f"The path of an {what} must lead to something below its group.",
            where=where,
            found=describe(value),
            expected="names separated by '/', such as '0' or 'scale0/image'",
        )
    return text


def plain_json(value: Json, *, where: str) -> Json:
    """Return a copy of `value` made of JSON's own types; NaN and infinities become null.

    JSON has no word for NaN: a reader in another language would refuse the whole document.

    Raises
    ------
    MetadataError
        If something in it cannot be written as JSON.

    Examples
    --------
    >>> plain_json({"a": (1, float("nan"))}, where="metadata")
    {'a': [1, None]}
    """
    try:
        return json.loads(json.dumps(value), parse_constant=lambda _: None)
    except (TypeError, ValueError, RecursionError) as error:
        raise MetadataError(
            "The metadata cannot be written as JSON.",
            where=where,
            found=str(error)[:200],
            expected="objects, lists, text, numbers, true, false and null, not too deep",
        ) from error


class Notes:
    """Rules that a file breaks although it can be read: gathered, then reported in one warning.

    Parameters
    ----------
    location
        Path or URL of the group, named once in the warning.

    Examples
    --------
    >>> notes = Notes("/data/a.zarr")
    >>> notes.add("/data/a.zarr: multiscales[0].datasets[0].path", "a number, read as text")
    >>> notes.lines
    ['multiscales[0].datasets[0].path: a number, read as text']
    """

    def __init__(self, location: str) -> None:
        self._location = location
        self._count = 0
        self.lines: list[str] = []

    def add(self, where: str, text: str) -> None:
        """Note what is wrong at `where` and how it was read; only the first few are kept."""
        self._count += 1
        if len(self.lines) < _MOST_NOTES:
            self.lines.append(f"{where.removeprefix(f'{self._location}: ')}: {text}")

    def warn(self) -> None:
        """Warn once about everything noted, if there is anything."""
        if not self._count:
            return
        lines = [f"- {line}" for line in self.lines]
        if self._count > len(lines):
            lines.append(f"- and {self._count - len(lines)} more")
        place = f" of {self._location}" if self._location else ""
        summary = f"The OME-NGFF metadata{place} break rules; they were read as well as possible."
        warnings.warn("\n".join([summary, *lines]), OmeNgffWarning, stacklevel=2)


def objects_in(
    parent: Mapping[str, Json], key: str, *, where: str, notes: Notes
) -> Iterator[tuple[str, Mapping[str, Json]]]:
    """Yield place and content of the objects in a list of a parent; what is no object is yielded as empty.

    Examples
    --------
    >>> list(objects_in({"channels": [{"label": "a"}, 3]}, "channels", where="omero", notes=Notes("")))
    [('omero.channels[0]', {'label': 'a'}), ('omero.channels[1]', {})]
    """
    items = parent.get(key)
    if items is None:
        return
    if not isinstance(items, list | tuple):
        notes.add(f"{where}.{key}", f"{describe(items)}, ignored")
        return
    for index, item in enumerate(items):
        place = f"{where}.{key}[{index}]"
        if not isinstance(item, Mapping):
            notes.add(place, f"{describe(item)}, ignored")
            item = {}
        yield place, item


def root(where: str, container: str = "") -> str:
    """Return what JSON paths inside a group's attributes start with: location, then `container`.

    Examples
    --------
    >>> root("/data/a.zarr", "ome") + "multiscales[0]"
    '/data/a.zarr: ome.multiscales[0]'
    >>> root("") + "multiscales[0]"
    'multiscales[0]'
    """
    return (f"{where}: " if where else "") + (f"{container}." if container else "")
