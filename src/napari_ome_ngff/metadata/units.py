"""Units: the UDUNITS names that OME-Zarr lists, the other ways to spell them, and what an axis measures.

The lists are those of OME-Zarr 0.4, 0.5 and 0.6, section "axes metadata".
"""

from __future__ import annotations

from types import MappingProxyType

_PREFIXES = MappingProxyType(
    {
        "yocto": "y",
        "zepto": "z",
        "atto": "a",
        "femto": "f",
        "pico": "p",
        "nano": "n",
        "micro": "u",
        "milli": "m",
        "centi": "c",
        "deci": "d",
        "": "",
        "hecto": "h",
        "kilo": "k",
        "mega": "M",
        "giga": "G",
        "tera": "T",
        "peta": "P",
        "exa": "E",
        "zetta": "Z",
        "yotta": "Y",
    }
)

SPACE_UNITS = frozenset(
    {f"{prefix}meter" for prefix in _PREFIXES} | {"angstrom", "foot", "inch", "mile", "parsec", "yard"}
)
"""Units that OME-Zarr lists for axes of type "space"."""

TIME_UNITS = frozenset({f"{prefix}second" for prefix in _PREFIXES} | {"day", "hour", "minute"})
"""Units that OME-Zarr lists for axes of type "time"."""

# Case matters here: "Mm" is a megameter and "mm" a millimeter.
_SYMBOLS = MappingProxyType(
    {f"{symbol}m": f"{prefix}meter" for prefix, symbol in _PREFIXES.items()}
    | {f"{symbol}s": f"{prefix}second" for prefix, symbol in _PREFIXES.items()}
    | {f"{symbol}sec": f"{prefix}second" for prefix, symbol in _PREFIXES.items()}
    | {"A": "angstrom", "\u00c5": "angstrom", "\u212b": "angstrom", "ft": "foot", "in": "inch"}
    | {"mi": "mile", "pc": "parsec", "yd": "yard", "d": "day", "h": "hour", "hr": "hour", "min": "minute"}
)

# Words are compared without regard to case.
_WORDS = MappingProxyType(
    {name: name for name in SPACE_UNITS | TIME_UNITS}
    | {f"{name}s": name for name in SPACE_UNITS | TIME_UNITS}
    | {f"{prefix}metre{plural}": f"{prefix}meter" for prefix in _PREFIXES for plural in ("", "s")}
    | {"micron": "micrometer", "microns": "micrometer", "inches": "inch", "feet": "foot"}
    | {"\u00e5ngstr\u00f6m": "angstrom", "\u00e5ngstrom": "angstrom", "\u00e5ngstr\u00f6ms": "angstrom"}
    | {f"{prefix}sec{plural}": f"{prefix}second" for prefix in _PREFIXES if prefix for plural in ("", "s")}
    | {"secs": "second", "hrs": "hour", "mins": "minute"}
)

_NO_UNIT = frozenset(
    {"", "pixel", "pixels", "px", "voxel", "voxels", "dimensionless", "unitless", "none", "null"}
    # OME-XML's word for positions that were not calibrated, and words that say nothing.
    | {"reference frame", "unknown", "undefined", "n/a"}
    # SpatialData's default.
    | {"unit"}
)

# MICRO SIGN and GREEK SMALL LETTER MU look the same and both occur; ImageJ writes the escape as text, and the
# last two are what UTF-8 looks like to those who take it for Latin-1.
_MICRO = ("\\u00b5", "\\u00B5", "\u00c2\u00b5", "\u00ce\u00bc", "\u00b5", "\u03bc")

_LONGEST = 100

_TYPE_OF_NAME = MappingProxyType(
    {
        "t": "time",
        "time": "time",
        "c": "channel",
        "ch": "channel",
        "channel": "channel",
        "z": "space",
        "y": "space",
        "x": "space",
    }
)


def canonical_unit(unit: str | None) -> str | None:
    """Return the UDUNITS name of a unit that may be abbreviated, in the plural or misspelled.

    None for "no unit" (``""``, ``"pixel"``, ``"dimensionless"``, ...); an unknown unit as it is.

    >>> [canonical_unit(unit) for unit in ("um", "microns", "Seconds", "px", "furlong", None)]
    ['micrometer', 'micrometer', 'second', None, 'furlong', None]
    """
    if unit is None or len(unit) > _LONGEST:
        return unit
    text = unit.strip()
    symbol = text
    for micro in _MICRO:
        symbol = symbol.replace(micro, "u")
    if symbol in _SYMBOLS:
        return _SYMBOLS[symbol]
    word = text.lower()
    return None if word in _NO_UNIT else _WORDS.get(word, unit)


def is_udunits(unit: str, type: str) -> bool:
    """Return whether OME-Zarr lists `unit`, a full name, for axes of this type.

    The specification has lists for ``"space"`` and ``"time"`` alone: for other types both count.
    """
    return (type != "time" and unit in SPACE_UNITS) or (type != "space" and unit in TIME_UNITS)


def axis_type(name: str, unit: str | None) -> str | None:
    """Return the type of an axis that does not say it: from its unit, else from a usual name, else None."""
    canonical = canonical_unit(unit)
    if canonical in SPACE_UNITS:
        return "space"
    if canonical in TIME_UNITS:
        return "time"
    return _TYPE_OF_NAME.get(name.lower())
