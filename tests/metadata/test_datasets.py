"""Entries and levels: those that can be read are read, and it is known which of them have a place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from napari_ome_ngff.errors import MetadataError, OmeNgffError, UnsupportedError
from napari_ome_ngff.metadata.context import Context
from napari_ome_ngff.metadata.image.datasets import (
    MOST_IMAGES,
    MOST_LEVELS,
    decode_entries,
    decode_levels,
    decode_path,
)
from napari_ome_ngff.metadata.nouns import Axis, Level, Multiscale, ScaleTranslation
from napari_ome_ngff.metadata.transforms import identity, usable_steps


def test_a_number_as_path_is_read_as_text() -> None:
    """Fractal has written integers."""
    context = Context(keys=("path",))
    assert decode_path(0, context) == "0"
    assert list(context.notes) == ["path: the number 0, read as text"]


@pytest.mark.parametrize("path", [None, -1, True, 1.0, [], "../0", "/0", 10**400])
def test_no_other_path_is_guessed(path: Any) -> None:
    with pytest.raises(MetadataError):
        decode_path(path, Context(keys=("path",)))


def scale(dataset: Mapping[str, Any], path: str, at: Context) -> ScaleTranslation | None:
    """The place of a level in the tests: its number, broken if negative, missing if there is none."""
    number = dataset.get("scale")
    if number is not None and number < 0:
        raise at.error("A scale must be positive.")
    return None if number is None else ScaleTranslation(scale=(number,), translation=(0.0,))


def read(*datasets: Any, placed: bool = True) -> tuple[tuple[Level, ...], tuple[str, ...], list[str]]:
    context = Context(keys=("m",))
    levels, unplaced = decode_levels({"datasets": list(datasets)}, scale, context, ndim=1, placed=placed)
    return levels, unplaced, list(context.notes)


@pytest.mark.parametrize(
    ("entry", "where"),
    [
        ({}, "m.datasets"),
        ({"datasets": []}, "m.datasets"),
        ({"datasets": {}}, "m.datasets"),
        ({"datasets": [1]}, "m.datasets[0]"),
        ({"datasets": [{"path": "../0"}, {}]}, "m.datasets[0].path"),
    ],
)
def test_what_is_wrong_is_named_where_no_level_can_be_read(entry: Any, where: str) -> None:
    with pytest.raises(MetadataError) as caught:
        decode_levels(entry, scale, Context(keys=("m",)), ndim=1)
    assert caught.value.where == where


def test_levels_that_cannot_be_found_or_come_again_are_left_out() -> None:
    first, again = {"path": "0", "scale": 1.0}, {"path": "0", "scale": 2.0}
    levels, unplaced, notes = read(first, {"path": "/etc"}, None, again, {"path": "1", "scale": 2.0})
    assert [(level.path, level.transform.scale) for level in levels] == [("0", (1.0,)), ("1", (2.0,))]
    assert not unplaced
    assert [note.partition(":")[0] for note in notes] == [
        "m.datasets[1]",
        "m.datasets[2]",
        "m.datasets[3].path",
    ]


def test_a_level_whose_place_is_missing_or_broken_is_placed_later() -> None:
    levels, unplaced, notes = read({"path": "0"}, {"path": "1", "scale": 2.0}, {"path": "2", "scale": -1})
    assert [level.path for level in levels] == ["0", "1", "2"]
    assert levels[0].transform == levels[2].transform == identity(1)
    assert unplaced == ("0", "2")
    assert notes == [
        "m.datasets[0].coordinateTransformations: missing, placed by its size",
        "m.datasets[2].coordinateTransformations: A scale must be positive, placed by its size",
    ]


def test_where_no_level_has_a_place_voxels_have_size_1() -> None:
    _, unplaced, notes = read({"path": "0"}, {"path": "1"})
    assert unplaced == ("0", "1")
    assert [note.partition(": ")[2] for note in notes] == [
        "missing, voxels of size 1 assumed",
        "missing, placed by its size",
    ]


def test_before_0_4_that_is_nothing_to_speak_of() -> None:
    assert read({"path": "0"}, {"path": "1"}, placed=False)[2] == []


@pytest.mark.parametrize("kind", [MetadataError, UnsupportedError])
def test_pixels_are_never_refused_for_their_place(kind: type[OmeNgffError]) -> None:
    def refuse(*_: Any) -> None:
        raise kind("This level is bent.")

    context = Context()
    levels, unplaced = decode_levels({"datasets": [{"path": "0"}]}, refuse, context, ndim=1)
    assert (levels, unplaced) == ((Level(path="0", transform=identity(1)),), ("0",))
    assert "This level is bent, voxels of size 1 assumed" in context.notes[0]


def test_a_million_levels_are_not_looked_at() -> None:
    levels, _, notes = read(*({"path": str(index), "scale": 1.0} for index in range(1_000_000)))
    assert len(levels) == MOST_LEVELS
    assert notes == ["m.datasets: 1000000 levels, only the first 64 are read"]


def entry(item: Mapping[str, Any], at: Context) -> Multiscale:
    """An image in the tests: one with a name."""
    if "name" not in item:
        raise at.error("No name.")
    axes = (Axis(name="y"), Axis(name="x"))
    return Multiscale(version="0.4", axes=axes, levels=(), name=item["name"])


def test_of_several_images_those_that_can_be_read_are() -> None:
    context = Context()
    images = decode_entries({"multiscales": [{}, {"name": "a"}, None, {"name": "b"}]}, entry, context)
    assert [image.name for image in images] == ["a", "b"]
    assert [note.partition(":")[0] for note in context.notes] == ["multiscales[0]", "multiscales[2]"]
    with pytest.raises(MetadataError, match="No name"):
        decode_entries({"multiscales": [{}, None]}, entry, Context())


def test_a_million_images_are_not_looked_at() -> None:
    context = Context()
    items = {"multiscales": [{"name": "a"}] * 1_000_000}
    assert len(decode_entries(items, entry, context)) == MOST_IMAGES
    assert len(context.notes) == 1


TX = (Axis(name="t", type="time"), Axis(name="x", type="space"))


def steps(*items: Any, parameters: Mapping[str, Any] | None = None) -> tuple[Any, list[str]]:
    context = Context.of(parameters=parameters or {})
    return usable_steps(list(items), TX, context), list(context.notes)


@pytest.mark.parametrize("unknown", [0, 0.0, -0.0, None, float("nan"), float("inf")])
def test_an_unknown_time_step_is_1(unknown: Any) -> None:
    """It is not known where a voxel lies in time, but in space it is."""
    found, notes = steps({"type": "scale", "scale": [unknown, 2]})
    assert found == [{"type": "scale", "scale": [1.0, 2]}]
    assert len(notes) == 1


@pytest.mark.parametrize(
    "item",
    [
        {"type": "scale", "scale": [1, 0]},
        {"type": "scale", "scale": [0, 1, 2, 3]},
        {"type": "scale", "scale": ["0", 1]},
        {"type": "scale", "scale": [-1, 1]},
        {"type": "translation", "translation": [0, 0]},
        {"type": "scale"},
        "scale",
        None,
    ],
)
def test_nothing_else_is_mended(item: Any) -> None:
    assert steps(item) == ([item], [])


def test_a_million_transforms_are_not_followed() -> None:
    with pytest.raises(MetadataError, match="too many transforms"):
        steps(*[{"type": "scale", "scale": [1, 1]}] * 1_000_000)


def test_numbers_may_be_kept_in_an_array() -> None:
    parameters = {"where/scale": [2, 3], "t": [5, 7]}
    found, _ = steps({"type": "scale", "path": "where/scale"}, {"type": "translation", "path": "t"},
                     parameters=parameters)  # fmt: skip
    assert found == [{"type": "scale", "scale": [2, 3]}, {"type": "translation", "translation": [5, 7]}]
    unknown = {"type": "scale", "path": "elsewhere"}
    assert steps(unknown)[0] == [unknown]
