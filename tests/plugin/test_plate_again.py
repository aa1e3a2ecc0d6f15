"""A plate that is shown as a mosaic is saved as the plate that it is, or it is said why not."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

from napari_ome_ngff import open_ome_ngff, write_plate
from napari_ome_ngff.plugin.reader import read_layers
from napari_ome_ngff.plugin.save.form import Form
from napari_ome_ngff.plugin.save.request import Preview, preview, write
from tests.campaigns.kill_edits import files

PIXELS = (np.arange(2 * 40 * 50) % 250).reshape(2, 40, 50).astype("uint16")


@pytest.fixture(scope="module")
def plate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two acquisitions of two channels, and label images on one field."""
    place = tmp_path_factory.mktemp("plate") / "p.ome.zarr"
    fields = {
        ("A", 1, 0): [PIXELS, PIXELS + 1],
        ("A", 1, 1): [PIXELS + 2],
        ("B", 3, 1): {"x": {"": PIXELS + 3, "labels/cells": PIXELS[0] > 50}},
    }
    names = {0: "one", 1: "two"}
    write_plate(
        store=place, fields=fields, axes="cyx", acquisitions=names, channels=["DAPI", "GFP"], name="p"
    ).run()
    (place / "notes.txt").write_text("mine")
    return place


def planned(layers: Any, target: Path, part: Any = None, **form: Any) -> Preview:
    result = preview(Form(target=str(target), **form), layers, part)
    assert result.problem is None
    return result


def saved(layers: Any, target: Path, **form: Any) -> Path:
    result = planned(layers, target, **form)
    assert result.request is not None
    steps = write(result.request, result.places, Event())
    ended: list[Any] = []

    def outcome() -> Any:
        ended.append((yield from steps))

    for _ in outcome():
        pass
    assert ended[0].error is None
    return target


def test_unchanged_it_is_the_same_byte_for_byte(plate: Path, tmp_path: Path) -> None:
    again = saved(read_layers(str(plate)), tmp_path / "q.ome.zarr")
    assert files(again) == {key: content for key, content in files(plate).items() if key != "notes.txt"}
    opened = open_ome_ngff(saved(read_layers(str(plate)), tmp_path / "q.ozx", version="0.5"))
    assert [well.path for well in opened.plate.wells] == ["A/1", "B/3"]
    two = [layer for layer in read_layers(str(plate)) if "two" in layer[1]["name"] and layer[2] == "image"]
    part = open_ome_ngff(saved(two, tmp_path / "two.ome.zarr", version="0.4"))
    assert [(tile.well, tile.field) for tile in next(iter(part.images.values())).tiles] == [
        ("A/1", "2"),
        ("B/3", "x"),
    ]
    assert not next(iter(part.images.values())).labels, "its layer is not written"


def test_the_plan_names_each_field(plate: Path, tmp_path: Path) -> None:
    (plan,) = planned(read_layers(str(plate)), tmp_path / "q.ome.zarr").plans
    fields = ["A/1/0", "A/1/1", "A/1/2", "B/3/x"]
    assert sorted(each.name for each in plan.multiscales if "labels" not in each.path) == fields


def test_colours_contrast_and_names_are_changed_in_each_field(plate: Path, tmp_path: Path) -> None:
    layers = read_layers(str(plate))
    for _, meta, _ in layers:
        if meta["name"] == "p two: DAPI":
            meta["contrast_limits"], meta["name"] = (7, 99), "nuclei"
    again = saved(layers, tmp_path / "q.ome.zarr")
    for path in ("A/1/0", "A/1/1", "A/1/2", "B/3/x"):
        before, after = (open_ome_ngff(place / path).multiscale.channels for place in (plate, again))
        if path in ("A/1/0", "A/1/1"):
            assert before == after
            continue
        assert (after[0].label, after[0].window.start, after[0].window.end) == ("nuclei", 7, 99)
        assert (after[0].color, after[1]) == (before[0].color, before[1])
    for key, content in files(again).items():
        assert "/c/" not in key or content == (plate / key).read_bytes()


def test_it_takes_the_place_of_the_plate_itself(plate: Path, tmp_path: Path) -> None:
    place = saved(read_layers(str(plate)), tmp_path / "q.ome.zarr")
    (place / "notes.txt").write_text("mine")
    before = files(place)
    assert preview(Form(target=str(place)), read_layers(str(place))).taken
    saved(read_layers(str(place)), place, overwrite=True)
    assert files(place) == before


def test_what_the_fields_do_not_take_is_said_before(plate: Path, tmp_path: Path) -> None:
    layers = read_layers(str(plate))
    assert not planned(layers, tmp_path / "q.ome.zarr").losses
    for _, meta, kind in layers:
        if meta["name"] == "p two: GFP":
            meta["gamma"] = 0.5
        elif kind == "labels":
            meta["features"] = {"index": [1], "area": [7.0]}
    gamma, features = planned(layers, tmp_path / "q.ome.zarr").losses
    assert "Gamma" in gamma
    assert "p two: GFP" in gamma
    assert "Features" in features


@pytest.mark.parametrize(
    "why",
    ["a channel", "pixels", "moved", "of it", "part", "labels alone", "a well"],
)
def test_what_cannot_be_a_plate_is_said_before(why: str, plate: Path, tmp_path: Path) -> None:
    layers, part = read_layers(str(plate)), None
    if why == "a channel":
        del layers[0]
    elif why == "pixels":
        layers[0] = ([level + 1 for level in layers[0][0]], *layers[0][1:])
    elif why == "moved":
        layers[0][1]["translate"] = np.asarray(layers[0][1]["translate"]) + 5
    elif why == "of it":
        layers.append((PIXELS[0], {"name": "mine"}, "image"))
    elif why == "part":
        part = {"x": (0.0, 20.0)}
    elif why == "labels alone":
        layers = [layer for layer in layers if layer[2] == "labels"]
    else:
        layers = read_layers(str(plate / "A" / "1"))
    result = planned(layers, tmp_path / "q.ome.zarr", part)
    notes = [note for note in result.notes if "not as a plate" in note]
    assert len(notes) == (0 if why == "labels alone" else 1)
    words = {"a channel": "1 of its channels", "part": "only a part", "a well": "it is a well"}
    assert why == "labels alone" or words.get(why, why) in notes[0]
    assert all(place.plate is None for place in result.places)
