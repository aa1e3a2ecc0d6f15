"""JSON values that anyone may have written: every surprise becomes a MetadataError with its place.

Nothing here recurses, and the description of a value is short whatever its size, so hostile metadata cost no
more than reading them once.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from itertools import islice

from napari_ome_ngff.errors import OmeNgffError
from napari_ome_ngff.metadata.context import Context
from napari_ome_ngff.metadata.nouns import Json

_LONGEST_TEXT = 60
_LONGEST_PATH = 4096
_DEEPEST_PATH = 32
_NOT_BELOW = re.compile(r"[\\\0]|^[A-Za-z]:")


def describe(value: Json) -> str:
    """Say in a few words what a JSON value is, for an error's ``found``.

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


def as_mapping(value: Json, context: Context, what: str = "an object") -> Mapping[str, Json]:
    """Return `value` if it is a JSON object; `what` says in the error what it should have been."""
    if not isinstance(value, Mapping):
        raise _malformed(value, context, what)
    return value


def as_list(value: Json, context: Context, what: str = "a list") -> list[Json] | tuple[Json, ...]:
    """Return `value` if it is a JSON array; `what` says in the error what it should have been."""
    if not isinstance(value, list | tuple):
        raise _malformed(value, context, what)
    return value


def listed(
    value: Json, context: Context, what: str = "a list of transforms"
) -> list[Json] | tuple[Json, ...]:
    """Return a list of objects; one object in place of a list of one is noted."""
    if isinstance(value, Mapping) and value:
        context.note("an object in place of a list of one")
        return [value]
    return as_list(value, context, what)


def _malformed(value: Json, context: Context, what: str) -> OmeNgffError:
    return context.error(
        f"Malformed OME-Zarr metadata: {what} was expected.", found=describe(value), expected=what
    )


def as_number(value: Json) -> float | None:
    """Return `value` as a finite float, or None if it is not a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def number_in(value: Json) -> float | None:
    """Return `value` as a finite float if it is a number, or one as text; else None."""
    try:
        return as_number(float(value) if isinstance(value, str) and len(value) < _LONGEST_TEXT else value)
    except ValueError:
        return None


def as_integer(value: Json) -> int | None:
    """Return `value` as an integer if it is one (``2.0`` is), else None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    return int(value) if isinstance(value, float) and value.is_integer() else None


def as_text(value: Json, context: Context, what: str) -> str:
    """Return `value` if it is text that is not empty."""
    if not isinstance(value, str) or not value:
        raise context.error(
            f"Text that is not empty was expected as {what}.", found=describe(value), expected=what
        )
    return value


def as_vector(value: Json, context: Context, *, ndim: int, what: str) -> tuple[float, ...]:
    """Return a list of finite numbers, one per axis, as floats."""
    items = as_list(value, context, "a list of numbers")
    # 0.4 and 0.5: "The length of the scale and translation array MUST be the same as the length of axes."
    if len(items) != ndim:
        raise context.error(
            f"A {what} must have one number per axis.", found=describe(value), expected=f"{ndim} numbers"
        )
    numbers = []
    for index, item in enumerate(items):
        number = number_in(item)
        if isinstance(item, str) and number is not None:
            context.below(index).note(f"{describe(item)}, read as a number")
        if number is None:
            raise context.below(index).error(
                f"A {what} must be made of finite numbers.",
                found=describe(item),
                expected="a finite number",
            )
        numbers.append(number)
    return tuple(numbers)


def as_path(value: Json, context: Context, what: str = "array") -> str:
    """Return the path of a node below the group that names it, without a trailing slash.

    Refused if it could lead out of the group: absolute, ``..``, a backslash, a drive letter.
    """
    text = value.removesuffix("/") if isinstance(value, str) else ""
    parts = [] if is_deep(text) else text.split("/")
    if not parts or any(part in ("", ".", "..") for part in parts) or _NOT_BELOW.search(text):
        # "the path to the array for this resolution relative to the current zarr group"
        raise context.error(
            f"The path of an {what} must lead to something below its group.",
            found=describe(value),
            expected="names separated by '/', such as '0' or 'scale0/image'",
        )
    return text


def is_deep(path: str) -> bool:
    """Return whether a path is longer than any store's keys, or has more folders than any image."""
    return len(path) > _LONGEST_PATH or path.count("/") > _DEEPEST_PATH


def as_paths(values: Iterable[Json], context: Context, *, holder: str, what: str) -> list[str]:
    """Return the paths that a group is to list: at least one, and each only once."""
    paths = [as_path(value, context, what) for value in values]
    if not paths or len(set(paths)) < len(paths):
        raise context.error(
            f"A {holder} must list at least one {what}, and each only once.", found=describe(paths)
        )
    return paths


def number_as_text(value: Json) -> Json:
    """Return an integer that stands in place of a path as text (Fractal has written them), else `value`."""
    is_number = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9
    return str(value) if is_number else value


def plain_json(value: Json, context: Context) -> Json:
    """Return a copy of `value` made of JSON's own types; NaN and infinities become null.

    JSON has no word for NaN: a reader in another language would refuse the whole document.
    """
    try:
        return json.loads(json.dumps(value), parse_constant=lambda _: None)
    except (TypeError, ValueError, RecursionError) as error:
        raise context.error(
            "The metadata cannot be written as JSON.",
            found=str(error)[:200],
            expected="objects, lists, text, numbers, true, false and null, not too deep",
        ) from error


def without_keys(mapping: Mapping[str, Json], keys: Container[str]) -> dict[str, Json]:
    """Return a mapping without some of its keys."""
    return {key: value for key, value in mapping.items() if key not in keys}


def items_of(value: Json, most: int | None = None) -> list[Json]:
    """Return the first items of a list, or all; an object is one, and anything else none."""
    if isinstance(value, Mapping) and value:
        return [value]
    return list(value[:most]) if isinstance(value, list | tuple) else []


def first_items(items: list[Json] | tuple[Json, ...], most: int, context: Context, what: str) -> list[Json]:
    """Return the items of a list that are read, and note if there are more."""
    if len(items) > most:
        context.note(f"{len(items)} {what}, only the first {most} are read")
    return list(items[:most])


def objects_in(
    parent: Mapping[str, Json], key: str, context: Context, most: int
) -> Iterator[tuple[Context, Mapping[str, Json]]]:
    """Yield place and content of the first objects in a list; what is no object is yielded as empty."""
    items, context = parent.get(key), context.below(key)
    if items is None:
        return
    if isinstance(items, Mapping) and items:
        context.note("an object in place of a list of one")
        items = [items]
    if not isinstance(items, list | tuple):
        context.note(f"{describe(items)}, ignored")
        return
    for index, item in enumerate(first_items(items, most, context, "entries")):
        at = context.below(index)
        if not isinstance(item, Mapping):
            at.note(f"{describe(item)}, ignored")
            item = {}
        yield at, item
