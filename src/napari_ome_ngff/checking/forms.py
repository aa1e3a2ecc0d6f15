"""Forms of JSON values, as the official schemas have them: what does not fit is found where it is."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from napari_ome_ngff.checking.findings import Spot
from napari_ome_ngff.metadata.json_checks import describe
from napari_ome_ngff.metadata.nouns import Json

Form = Callable[[Json, Spot], None]
"""Notes what of a value does not fit."""


def _wrong(value: Json, spot: Spot, expected: str) -> None:
    spot.refuse(f"This is {describe(value)}.", f"it must be {expected}")


def text(pattern: str = "", expected: str = "text", least: int = 0) -> Form:
    """A text that is as a pattern says."""

    def check(value: Json, spot: Spot) -> None:
        fits = isinstance(value, str) and len(value) >= least
        if not fits or (pattern and not re.search(pattern, value)):
            _wrong(value, spot, expected)

    return check


def is_number(value: Json) -> bool:
    """Whether a value is a number as JSON has them."""
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def is_integer(value: Json) -> bool:
    """Whether a value is a whole number, which may be written as 1.0."""
    return is_number(value) and value == int(value)


def number(value: Json, spot: Spot) -> None:
    """A number."""
    if not is_number(value):
        _wrong(value, spot, "a number")


def integer(least: int | None = None, most: int | None = None) -> Form:
    """A whole number in a range."""
    ends = [f"from {least}"] * (least is not None) + [f"to {most}"] * (most is not None)

    def check(value: Json, spot: Spot) -> None:
        if (
            not is_integer(value)
            or (least is not None and value < least)
            or (most is not None and value > most)
        ):
            _wrong(value, spot, " ".join(["a whole number", *ends]))

    return check


def boolean(value: Json, spot: Spot) -> None:
    """True or false."""
    if not isinstance(value, bool):
        _wrong(value, spot, "true or false")


def one_of(*values: Json) -> Form:
    """One of a few values."""

    def check(value: Json, spot: Spot) -> None:
        if isinstance(value, bool) or value not in values:
            _wrong(value, spot, " or ".join(map(describe, values)))

    return check


def listing(item: Form, *, least: int = 0, most: int | None = None, unique: bool = False) -> Form:
    """A list of values of one form."""

    def check(value: Json, spot: Spot) -> None:
        if not isinstance(value, list):
            _wrong(value, spot, "a list")
            return
        if len(value) < least or (most is not None and len(value) > most):
            bound = f"at least {least}" if len(value) < least else f"at most {most}"
            spot.refuse(f"The list has {len(value)} entries.", f"it must have {bound}")
        if unique and len({json.dumps(each, sort_keys=True) for each in value}) < len(value):
            spot.refuse("An entry is there twice.", "entries must differ")
        for index, each in enumerate(value):
            item(each, spot.at(index))

    return check


def mapping(required: Mapping[str, Form] | None = None, optional: Mapping[str, Form] | None = None) -> Form:
    """An object with some keys, and any others."""
    needed, forms = required or {}, {**(required or {}), **(optional or {})}

    def check(value: Json, spot: Spot) -> None:
        if not isinstance(value, Mapping):
            _wrong(value, spot, "an object")
            return
        for key in needed:
            if key not in value:
                spot.refuse(f"There is no {key!r}.", f"{key!r} is required here")
        for key, form in forms.items():
            if key in value:
                form(value[key], spot.at(key))

    return check


def anything(value: Json, spot: Spot) -> None:
    """Any value."""


def listed(value: Json) -> list[Any]:
    """The entries of a list; none of what is no list, which its form has noted."""
    return value if isinstance(value, list) else []


def mapped(value: Json) -> Mapping[str, Json]:
    """An object; an empty one in place of what is none."""
    return value if isinstance(value, Mapping) else {}
