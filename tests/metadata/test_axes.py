"""Axes, paths and texts of an image: what is forgiven when read, and what is refused when written."""

from __future__ import annotations

from typing import Any

import pytest

from napari_ome_ngff.errors import MetadataError
from napari_ome_ngff.metadata.axes import (
    axes_problem,
    check_levels,
    decode_axes,
    decode_description,
    encode_axes,
    encode_description,
    unknown_keys,
)
from napari_ome_ngff.metadata.context import Context
from napari_ome_ngff.metadata.nouns import Axis, Level, Multiscale
from napari_ome_ngff.metadata.transforms import identity

SPACE = [{"name": "y", "type": "space"}, {"name": "x", "type": "space"}]


def read(axes: Any) -> tuple[tuple[Axis, ...], list[str]]:
    context = Context(keys=("axes",))
    return decode_axes(axes, context), list(context.notes)


def test_units_get_their_udunits_name_and_unknown_ones_stay() -> None:
    axes, notes = read(
        [
            {"name": "t", "type": "time", "unit": "ms"},
            {"name": "z", "type": "space", "unit": "furlong"},
            {"name": "y", "type": "space", "unit": None},
            {"name": "x", "type": "space", "unit": "pixel"},
        ]
    )
    assert [axis.unit for axis in axes] == ["millisecond", "furlong", None, None]
    assert not notes


def test_a_missing_type_follows_from_unit_or_name() -> None:
    axes, notes = read([{"name": "frame", "unit": "s"}, {"name": "angle", "type": None}, *SPACE])
    assert [axis.type for axis in axes] == ["time", None, "space", "space"]
    assert notes == [
        "axes: at most one axis may be of type 'channel', of a custom type or without type; "
        "found [null, null, 'space', 'space']"
    ]


def test_axes_without_any_type_are_understood_and_noted() -> None:
    axes, notes = read([{"name": "y"}, {"name": "x"}])
    assert [axis.type for axis in axes] == ["space", "space"]
    assert len(notes) == 1


def test_unknown_keys_of_an_axis_are_kept() -> None:
    axes, notes = read([{**SPACE[0], "discrete": False, "orientation": {"value": "left-to-right"}}, SPACE[1]])
    assert axes[0].extra == {"discrete": False, "orientation": {"value": "left-to-right"}}
    assert not notes
    written = encode_axes(axes, Context(keys=("axes",)))
    assert written[0] == {**SPACE[0], "discrete": False, "orientation": {"value": "left-to-right"}}


@pytest.mark.parametrize("key", ["unit", "type"])
@pytest.mark.parametrize("value", [1, [], {}, True])
def test_a_unit_or_type_that_is_no_text_is_ignored(key: str, value: Any) -> None:
    axes, notes = read([{**SPACE[0], key: value}, SPACE[1]])
    assert axes[0] == Axis(name="y", type="space")
    assert notes[0].startswith(f"axes[0].{key}: ")


@pytest.mark.parametrize(
    ("axes", "where"),
    [
        (None, "axes"),
        ({}, "axes"),
        ([], "axes"),
        ("zyx", "axes"),
        (SPACE * 50, "axes"),
    ],
)
def test_axes_that_cannot_be_counted_are_refused(axes: Any, where: str) -> None:
    with pytest.raises(MetadataError) as caught:
        read(axes)
    assert caught.value.where == where


@pytest.mark.parametrize(
    ("axes", "names"),
    [
        ([SPACE[0], SPACE[0]], ("y", "dim_1")),
        ([{"name": "dim_1"}, SPACE[0], SPACE[0]], ("dim_1", "y", "dim_2")),
        ([{"name": "dim_1"}, {}], ("dim_1", "_dim_1")),
        ([SPACE[0], {"type": "space"}], ("y", "dim_1")),
        ([{"name": 1}, SPACE[0]], ("dim_0", "y")),
        ([{"name": ""}, SPACE[0]], ("dim_0", "y")),
        ([None, SPACE[0]], ("dim_0", "y")),
        ([[], "x"], ("dim_0", "x")),
        (["y", "x"], ("y", "x")),
    ],
)
def test_an_axis_without_a_name_of_its_own_is_called_after_its_place(axes: Any, names: Any) -> None:
    found, notes = read(axes)
    assert tuple(axis.name for axis in found) == names
    assert notes


def test_a_second_axis_of_a_name_keeps_its_type() -> None:
    found, _ = read([SPACE[0], {"name": "y", "type": "space", "unit": "um"}])
    assert found[1] == Axis(name="dim_1", type="space", unit="micrometer")


def test_a_unit_under_another_key_is_read() -> None:
    """webknossos has written "units"; without it, everything would be too large or small by 1000."""
    found, notes = read([{**SPACE[0], "units": "nm"}, {**SPACE[1], "unit": "um", "units": "nm"}])
    assert [axis.unit for axis in found] == ["nanometer", "micrometer"]
    assert found[0].extra == {}
    assert [note.partition(":")[0] for note in notes] == ["axes[0].units"]


@pytest.mark.parametrize(
    "types",
    [
        ["space", "space"],
        ["space", "space", "space"],
        ["time", "space", "space"],
        ["channel", "space", "space"],
        ["custom", "space", "space", "space"],
        [None, "space", "space"],
        ["time", "channel", "space", "space", "space"],
    ],
)
def test_axes_that_the_specification_allows(types: list[str | None]) -> None:
    assert axes_problem(types) == ""


@pytest.mark.parametrize(
    ("types", "rule"),
    [
        ([], "2 to 5"),
        (["space"], "2 to 5"),
        (["time", "channel", "custom", "space", "space", "space"], "2 to 5"),
        (["time", "space"], "'space'"),
        (["space"] * 4, "'space'"),
        (["time", "time", "space", "space"], "'time'"),
        (["channel", "custom", "space", "space"], "'channel'"),
        (["channel", None, "space", "space"], "'channel'"),
        (["space", "space", "channel"], "ordered"),
        (["channel", "time", "space", "space"], "ordered"),
        (["space", "time", "space"], "ordered"),
    ],
)
def test_axes_that_break_a_rule_are_noted_when_read_and_refused_when_written(
    types: list[str | None], rule: str
) -> None:
    assert rule in axes_problem(types)
    axes = tuple(Axis(name=f"axis{index}", type=kind) for index, kind in enumerate(types))
    with pytest.raises(MetadataError, match=rule):
        encode_axes(axes, Context(keys=("axes",)))
    if types:
        _, notes = read([{"name": axis.name, "type": axis.type} for axis in axes])
        assert rule in notes[0]


@pytest.mark.parametrize("unit", ["furlong", "second", "Hz"])
def test_an_unknown_unit_is_not_written_and_its_axis_named(unit: str) -> None:
    with pytest.raises(MetadataError) as caught:
        encode_axes(
            [Axis(name="y", type="space"), Axis(name="depth", type="space", unit=unit)],
            Context(keys=("axes",)),
        )
    assert "'depth'" in caught.value.summary
    assert caught.value.where == "axes[1].unit"


def test_a_unit_of_another_kind_of_axis_is_written() -> None:
    """The lists of the specification are those of space and time."""
    axes = [Axis(name="f", type="frequency", unit="hertz"), Axis(name="y", type="space", unit="um")]
    written = encode_axes([*axes, Axis(name="x", type="space", unit="px")], Context(keys=("axes",)))
    assert written == [
        {"name": "f", "type": "frequency", "unit": "hertz"},
        {"name": "y", "type": "space", "unit": "micrometer"},
        {"name": "x", "type": "space"},
    ]


def test_an_axis_without_type_is_written_as_custom() -> None:
    axes = [Axis(name="angle"), *(Axis(name=name, type="space") for name in "zyx")]
    assert encode_axes(axes, Context(keys=("axes",)))[0] == {"name": "angle", "type": "custom"}


@pytest.mark.parametrize(
    "axis", [Axis(name=""), Axis(name=1), Axis(name="x", type=""), Axis(name="x", type=2), Axis(name="y")]
)
def test_names_and_types_are_texts_of_their_own(axis: Axis) -> None:
    with pytest.raises(MetadataError):
        encode_axes(
            [Axis(name="y", type="space"), axis, Axis(name="z", type="space")], Context(keys=("axes",))
        )


@pytest.mark.parametrize("paths", [[], ["0", "0"], ["../0"], [0]])
def test_each_level_has_a_path_of_its_own(paths: Any) -> None:
    with pytest.raises(MetadataError):
        check_levels([Level(path=path, transform=identity(2)) for path in paths], Context(keys=("datasets",)))


def test_texts_that_are_none_are_ignored_when_read_and_refused_when_written() -> None:
    context = Context(keys=("m",))
    found = decode_description({"name": 3, "type": [], "metadata": "text"}, context)
    assert found == {"name": None, "method": None, "metadata": None}
    assert [line.partition(":")[0] for line in context.notes] == ["m.name", "m.type", "m.metadata"]
    for odd in ({"name": 3}, {"method": 3}, {"metadata": []}):
        with pytest.raises(MetadataError):
            encode_description(Multiscale(version="0.5", axes=(), levels=(), **odd), Context(keys=("m",)))


def test_null_counts_as_missing() -> None:
    context = Context(keys=("m",))
    decode_description({"name": None, "type": None, "metadata": None}, context)
    assert not context.notes


def test_keys_of_any_version_are_not_unknown() -> None:
    known = {"axes": [], "coordinateSystems": [], "coordinateTransformations": [], "version": "0.4"}
    assert unknown_keys({**known, "@type": "ngff:Image"}) == {"@type": "ngff:Image"}
