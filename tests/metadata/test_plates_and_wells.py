"""Plates, wells and series: what their JSON means, and how much of it may be wrong."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_ome_ngff.errors import MetadataError, OmeNgffWarning
from napari_ome_ngff.metadata.collections.bioformats2raw import decode_series
from napari_ome_ngff.metadata.collections.plates import MAX_ENTRIES, decode_plate, decode_well
from napari_ome_ngff.metadata.nouns import Plate, Well
from tests.metadata_tools import json_values

SIX = {
    "rows": [{"name": "A"}, {"name": "B"}],
    "columns": [{"name": "1"}, {"name": "2"}, {"name": "3"}],
    "wells": [
        {"path": "A/1", "rowIndex": 0, "columnIndex": 0},
        {"path": "B/3", "rowIndex": 1, "columnIndex": 2},
    ],
}


def places(plate: Plate) -> dict[str, tuple[int, int]]:
    return {well.path: (well.row, well.column) for well in plate.wells}


def read(plate: Any, *, told: str = "") -> Plate:
    """Decode a plate that breaks a rule, which is told, or none."""
    attributes = {"ome": {"version": "0.5", "plate": plate}}
    if not told:
        return decode_plate(attributes, where="p.zarr")
    with pytest.warns(OmeNgffWarning, match=told):
        return decode_plate(attributes, where="p.zarr")


def read_well(images: Any, *, told: str = "") -> list[tuple[str, int | None]]:
    attributes = {"ome": {"version": "0.5", "well": {"images": images}}}
    if not told:
        well = decode_well(attributes, where="p.zarr/A/1")
    else:
        with pytest.warns(OmeNgffWarning, match=told):
            well = decode_well(attributes, where="p.zarr/A/1")
    return [(field.path, field.acquisition) for field in well.fields]


def test_a_plate_is_read_alike_from_both_containers() -> None:
    acquisitions = [{"id": 1, "name": "first", "maximumfieldcount": 2}, {"id": 2}]
    said = {**SIX, "name": "test", "field_count": 4, "acquisitions": acquisitions, "@note": "x"}
    new = decode_plate({"ome": {"version": "0.5", "plate": said}}, where="")
    old = decode_plate({"plate": {**said, "version": "0.4"}}, where="")
    assert (new.version, old.version) == ("0.5", "0.4")
    assert (new.rows, new.columns) == (("A", "B"), ("1", "2", "3"))
    assert places(new) == {"A/1": (0, 0), "B/3": (1, 2)}
    assert [(a.id, a.name, dict(a.extra)) for a in new.acquisitions] == [
        (1, "first", {"maximumfieldcount": 2}),
        (2, None, {}),
    ]
    assert (new.name, new.field_count, new.extra) == ("test", 4, {"@note": "x"})
    assert places(old) == places(new)
    assert old.acquisitions == new.acquisitions


def test_before_0_4_the_path_alone_places_a_well_and_may_start_with_folders() -> None:
    # The example of 0.1, "plate": "2020-10-10/A/1".
    wells = [{"path": f"2020-10-10/{row}/{column}"} for row in "AB" for column in "123"]
    plate = decode_plate({"plate": {**SIX, "wells": wells, "version": "0.1"}}, where="")
    assert list(places(plate).values()) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]


def test_rows_and_columns_that_are_not_listed_follow_from_the_wells() -> None:
    wells = [{"path": path} for path in ("B/10", "A/2", "AA/1")]
    plate = read({"wells": wells}, told="missing")
    assert (plate.rows, plate.columns) == (("A", "B", "AA"), ("1", "2", "10"))
    assert places(plate) == {"B/10": (1, 2), "A/2": (0, 1), "AA/1": (2, 0)}


def test_the_path_counts_where_the_indices_contradict_it() -> None:
    wells = [{"path": "A/2", "rowIndex": 1, "columnIndex": 0}]
    assert places(read({**SIX, "wells": wells}, told="do not fit the path")) == {"A/2": (0, 1)}


def test_the_indices_count_where_the_path_says_nothing() -> None:
    wells = [
        {"path": "well_7", "rowIndex": 1, "columnIndex": 2},
        {"path": "X/9", "rowIndex": 0, "columnIndex": 1},
    ]
    assert places(read({**SIX, "wells": wells})) == {"well_7": (1, 2), "X/9": (0, 1)}


def test_a_well_without_a_place_is_left_out() -> None:
    wells = [
        {"path": "well_7"},
        {"path": "A/1"},
        {"path": "B/9", "rowIndex": "1"},
        {"path": "well", "rowIndex": 99},
    ]
    plate = read({**SIX, "wells": wells}, told="'well_7' does not say its row and column")
    assert places(plate) == {"A/1": (0, 0), "B/9": (1, 3)}
    assert plate.columns == ("1", "2", "3", "9")


def test_a_well_may_be_named_in_one_word() -> None:
    assert places(read({**SIX, "wells": [{"path": "B3"}]})) == {"B3": (1, 2)}


@pytest.mark.parametrize("path", ["../A/1", "/A/1", "A/../../1", "C:/1", "", None, {"a": 1}, "A\\1"])
def test_a_path_that_leads_elsewhere_is_refused(path: Any) -> None:
    wells = [{"path": path}, {"path": "A/1"}]
    assert places(read({**SIX, "wells": wells}, told="left out")) == {"A/1": (0, 0)}
    assert read_well([{"path": path}, {"path": "0"}], told="left out") == [("0", None)]


def test_odd_names_and_repeated_wells_are_noted() -> None:
    rows = [{"name": "A#"}, {"name": 2}, "C", {"name": "C"}, None, {}]
    plate = read({**SIX, "rows": rows, "wells": [{"path": "C/1"}, {"path": "C/1"}]}, told="other characters")
    assert plate.rows == ("A#", "2", "C", "C", "5")
    assert places(plate) == {"C/1": (2, 0)}


def test_acquisitions_without_an_integer_of_their_own_are_left_out() -> None:
    acquisitions = [
        {"id": 3},
        {"id": "4"},
        {"id": 3, "name": "again"},
        {"name": "none"},
        {"id": 1.5},
        {"id": 5.0},
    ]
    plate = read({**SIX, "acquisitions": acquisitions}, told="acquisitions")
    assert [a.id for a in plate.acquisitions] == [3, 4, 5]


@pytest.mark.parametrize("count", [0, -1, "4", 1.5, True, []])
def test_a_wrong_field_count_is_ignored(count: Any) -> None:
    assert read({**SIX, "field_count": count}, told="field_count").field_count is None


def test_only_so_many_wells_are_read() -> None:
    wells = [{"path": f"A/{i}", "rowIndex": 0, "columnIndex": i % 3} for i in range(MAX_ENTRIES + 5)]
    assert len(read({**SIX, "wells": wells}, told="entries").wells) == MAX_ENTRIES


def test_the_fields_of_a_well_keep_their_order() -> None:
    images = [
        {"path": "b-1", "acquisition": 2},
        {"path": "a_0", "acquisition": 1},
        {"path": "10"},
        {"path": "9"},
    ]
    assert read_well(images) == [("b-1", 2), ("a_0", 1), ("10", None), ("9", None)]


def test_fields_that_break_rules() -> None:
    assert read_well([{"path": 0, "acquisition": "7"}, "1", 2], told="read as text") == [
        ("0", 7),
        ("1", None),
        ("2", None),
    ]
    assert read_well([{"path": "0"}, {"path": "0/"}, None], told="again") == [("0", None)]
    assert read_well(None, told="missing") == []
    assert read_well([{"path": "0", "acquisition": "first"}], told="instead of an integer") == [("0", None)]


@pytest.mark.parametrize(
    "attributes", [{}, {"plate": 3, "well": []}, {"ome": {"plate": [], "well": 1}}, {"ome": 3}]
)
def test_what_is_no_plate_is_an_error(attributes: Any) -> None:
    with pytest.raises(MetadataError, match="a plate was expected"):
        decode_plate(attributes, where="")
    with pytest.raises(MetadataError, match="a well was expected"):
        decode_well(attributes, where="")


def test_series_are_paths_in_order() -> None:
    assert decode_series({"ome": {"version": "0.5", "series": ["b/0", "a", "b/0"]}}, where="") == ("b/0", "a")
    with pytest.warns(OmeNgffWarning, match="left out"):
        assert decode_series({"series": ["0", "../1", 2, None]}, where="") == ("0", "2")
    with pytest.warns(OmeNgffWarning, match="series"):
        assert decode_series({"ome": {"series": "0"}}, where="") == ()


@given(value=json_values, key=st.sampled_from(["plate", "well"]), inside=st.booleans())
def test_any_json_is_a_plate_or_an_error_of_ours(value: Any, key: str, inside: bool) -> None:
    attributes = {"ome": {key: value}} if inside else {key: value}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OmeNgffWarning)
        try:
            found = (decode_plate if key == "plate" else decode_well)(attributes, where="")
        except MetadataError:
            return
    assert isinstance(found, Plate | Well)


entries = st.lists(st.fixed_dictionaries({}, optional={
    "path": st.sampled_from(["A/1", "A/2", "B/1", "B", "..", 3]) | json_values,
    "rowIndex": st.integers(-1, 3) | json_values,
    "columnIndex": st.integers(-1, 3) | json_values,
    "name": st.sampled_from("AB12") | json_values,
    "id": json_values,
}) | json_values, max_size=4)  # fmt: skip


@given(rows=entries, columns=entries, wells=entries, acquisitions=entries)
def test_every_well_of_a_plate_lies_in_it_and_below_it(
    rows: Any, columns: Any, wells: Any, acquisitions: Any
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OmeNgffWarning)
        said = {"rows": rows, "columns": columns, "wells": wells, "acquisitions": acquisitions}
        plate = decode_plate({"plate": said}, where="")
    assert len({well.path for well in plate.wells}) == len(plate.wells)
    for well in plate.wells:
        assert 0 <= well.row < len(plate.rows)
        assert 0 <= well.column < len(plate.columns)
        assert ".." not in well.path.split("/")
    assert all(isinstance(acquisition.id, int) for acquisition in plate.acquisitions)


def test_every_plate_and_well_of_the_specification_is_read(corpus: Path) -> None:
    found = 0
    for document in sorted((corpus / "ngff-spec").rglob("examples/*_strict/*.json")):
        try:
            attributes = json.loads(document.read_text(encoding="utf-8"))
        except ValueError:  # one example is no JSON
            continue
        attributes = attributes.get("attributes", attributes)
        own = attributes.get("ome", attributes)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OmeNgffWarning)  # some examples swap rows and columns
            if "plate" in own:
                assert decode_plate(attributes, where=str(document)).wells
                found += 1
            elif "well" in own:
                assert decode_well(attributes, where=str(document)).fields
                found += 1
    assert found > 10
