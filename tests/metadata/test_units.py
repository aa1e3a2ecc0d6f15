"""Units: many spellings, one name; and what an axis measures."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_ome_ngff.metadata.units import SPACE_UNITS, TIME_UNITS, axis_type, canonical_unit, is_udunits

KNOWN = sorted(SPACE_UNITS | TIME_UNITS)


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("um", "micrometer"),
        ("\u00b5m", "micrometer"),  # MICRO SIGN
        ("\u03bcm", "micrometer"),  # GREEK SMALL LETTER MU
        ("microns", "micrometer"),
        ("Micron", "micrometer"),
        ("micrometers", "micrometer"),
        ("micrometre", "micrometer"),
        (" um ", "micrometer"),
        ("nm", "nanometer"),
        ("mm", "millimeter"),
        ("Mm", "megameter"),
        ("pm", "picometer"),
        ("Pm", "petameter"),
        ("m", "meter"),
        ("\u212b", "angstrom"),  # ANGSTROM SIGN
        ("\u00c5", "angstrom"),
        ("feet", "foot"),
        ("inches", "inch"),
        ("s", "second"),
        ("sec", "second"),
        ("seconds", "second"),
        ("SECONDS", "second"),
        ("ms", "millisecond"),
        ("msec", "millisecond"),
        ("min", "minute"),
        ("hrs", "hour"),
        ("days", "day"),
        ("\\u00B5m", "micrometer"),  # ImageJ writes the escape as text
        ("\u00c2\u00b5m", "micrometer"),  # UTF-8 taken for Latin-1
        ("\u00ce\u00bcm", "micrometer"),
        ("millisecs", "millisecond"),
        ("\u00b5sec", "microsecond"),
    ],
)
def test_one_name_for_many_spellings(spelling: str, name: str) -> None:
    assert canonical_unit(spelling) == name


@pytest.mark.parametrize(
    "spelling", [None, "", "  ", "pixel", "Pixels", "px", "dimensionless", "null", "reference frame", "n/a"]
)
def test_no_unit_has_no_name(spelling: str | None) -> None:
    assert canonical_unit(spelling) is None


@pytest.mark.parametrize("spelling", ["furlong", "a.u.", "hertz", "UM", "degree", "frames", "u" * 10**7])
def test_an_unknown_unit_stays_as_it_is(spelling: str) -> None:
    assert canonical_unit(spelling) == spelling


@pytest.mark.parametrize("name", KNOWN)
def test_a_name_stays_whatever_its_case_or_number(name: str) -> None:
    assert canonical_unit(name) == canonical_unit(name.upper()) == canonical_unit(f"{name}s") == name


@given(st.text())
@settings(deadline=None)
def test_a_name_that_was_found_is_found_again(text: str) -> None:
    assert canonical_unit(canonical_unit(text)) == canonical_unit(text)


@pytest.mark.parametrize("version", ["0.4", "0.5", "0.6rc0"])
@pytest.mark.parametrize(("type", "units"), [("space", SPACE_UNITS), ("time", TIME_UNITS)])
def test_the_lists_are_those_of_the_specification(
    corpus: Path, version: str, type: str, units: frozenset[str]
) -> None:
    lines = (corpus / "ngff-spec" / version / "index.md").read_text(encoding="utf-8").splitlines()
    (line,) = [line for line in lines if "- Units for" in line and type in line.partition(":")[0]]
    assert {word.strip(" '") for word in line.partition(":")[2].split(",")} == units


@pytest.mark.parametrize("unit", KNOWN)
def test_a_unit_is_one_of_space_or_of_time(unit: str) -> None:
    assert is_udunits(unit, "space") != is_udunits(unit, "time")
    assert is_udunits(unit, "channel")
    assert not is_udunits(f"{unit}s", "space")


@pytest.mark.parametrize(
    ("name", "unit", "type"),
    [
        ("t", None, "time"),
        ("T", None, "time"),
        ("c", None, "channel"),
        ("z", None, "space"),
        ("x", "pixel", "space"),
        ("depth", "um", "space"),
        ("frame", "ms", "time"),
        ("z", "second", "time"),  # the unit knows better than the name
        ("angle", None, None),
        ("angle", "degree", None),
    ],
)
def test_type_of_an_axis(name: str, unit: str | None, type: str | None) -> None:
    assert axis_type(name, unit) == type
