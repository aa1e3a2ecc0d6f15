"""Plates: written at once or field by field, judged by others, and never there in part."""

from __future__ import annotations

import json
import os
import pickle
import warnings
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version as installed
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaozarrs
import zarr
from hypothesis import given
from hypothesis import strategies as st
from zarr.storage import MemoryStore

from napari_ome_ngff import (
    OptionError,
    PlateWriter,
    StorageOptions,
    TargetError,
    open_ome_ngff,
    write_multiscale_group,
    write_plate,
)
from napari_ome_ngff.errors import MetadataError, NotOmeNgffError
from napari_ome_ngff.metadata.collections.plate_layout import encode_plate, lay_out_plate
from napari_ome_ngff.metadata.collections.plates import decode_plate, decode_well
from napari_ome_ngff.metadata.nouns import Acquisition, Field
from tests.campaigns.kill_plates import campaign
from tests.late_imports import when_used
from tests.metadata_tools import VERSIONS

ngff_zarr = when_used("ngff_zarr")
ome_zarr_models = when_used("ome_zarr_models")
MODELS_KNOW_06 = tuple(map(int, installed("ome-zarr-models").split(".")[:2])) >= (1, 8)


def pixels(value: int) -> Any:
    return (np.arange(2 * 20 * 30).reshape(2, 20, 30) % 250 + value).astype("uint16")


def a_plate() -> dict[Any, Any]:
    """Two acquisitions, numbered fields and a named one, label images."""
    return {
        ("A", 1, 0): [pixels(0), pixels(1)],
        ("A", 1, 1): [pixels(2)],
        ("B", 12, 1): {"left": {"": pixels(3), "labels/cells": pixels(3)[0] > 99}},
    }


OPTIONS: dict[str, Any] = {
    "name": "P",
    "acquisitions": {0: "one", 1: "two"},
    "rows": "AB",
    "columns": range(1, 13),
}


def tree(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_a_plate_is_read_again_and_others_have_no_complaint(version: str, tmp_path: Path) -> None:
    place = tmp_path / "p.ome.zarr"
    options = StorageOptions(version=version)
    write_plate(
        store=place, fields=a_plate(), axes="cyx", channels=["DAPI", "GFP"], options=options, **OPTIONS
    ).run()
    plate = open_ome_ngff(place)
    assert list(plate.images) == ["P one", "P two"]
    assert [(tile.well, tile.field) for image in plate.images.values() for tile in image.tiles] == [
        ("A/1", "0"), ("A/1", "1"), ("A/1", "2"), ("B/12", "left"),
    ]  # fmt: skip
    left = open_ome_ngff(place / "B" / "12" / "left")
    np.testing.assert_array_equal(left.arrays["0"], pixels(3))
    np.testing.assert_array_equal(left.labels["cells"].arrays["0"], pixels(3)[0] > 99)
    assert [channel.label for channel in left.multiscale.channels] == ["DAPI", "GFP"]
    if version != "0.6":
        yaozarrs.validate_zarr_store(place)
    if version != "0.6" or MODELS_KNOW_06:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it asks for a version in a 0.5 plate, which 0.5 has not
            model = ome_zarr_models.open_ome_zarr(zarr.open_group(place, mode="r"))
        assert type(model).__name__ == "HCS"
    if find_spec("jsonschema"):
        group = zarr.open_group(place, mode="r")
        ngff_zarr.validate(group.attrs.asdict(), version=version, model="plate")
        ngff_zarr.validate(group["A/1"].attrs.asdict(), version=version, model="well")
    if find_spec("ome_zarr"):
        from ome_zarr.io import parse_url
        from ome_zarr.reader import Plate, Reader

        if version != "0.6":
            node = next(iter(Reader(parse_url(str(place)))()))
            assert any(isinstance(spec, Plate) for spec in node.specs)


@pytest.mark.parametrize("version", ["0.4", "0.6"])
def test_field_by_field_it_is_the_same(version: str, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole.ome.zarr", tmp_path / "parts.ome.zarr"
    options = StorageOptions(version=version)
    write_plate(
        store=whole,
        fields={("B", 2): [pixels(0)], ("A", 1): [pixels(1), pixels(2)]},
        axes="cyx",
        options=options,
    ).run()
    writer = pickle.loads(pickle.dumps(PlateWriter(store=parts, options=options)))
    for well, field, value in (("A/1", 1, 2), (("B", "2"), 0, 0), ("A/1", "0", 1)):
        assert not parts.exists()
        writer.write_field(well, pixels(value), field=field, axes="cyx").run()
    PlateWriter(store=parts, options=options).publish()
    assert tree(whole) == tree(parts)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_in_a_store_that_renames_nothing_it_is_no_plate_before_it_is_published() -> None:
    store, whole = MemoryStore(), MemoryStore()
    writer = PlateWriter(store=store, path="in/it")
    for well, acquisition in ((("A", 1), 3), (("A", 2), 7)):
        writer.write_field(well, pixels(acquisition), acquisition=acquisition, axes="cyx").run()
    with pytest.raises(NotOmeNgffError):
        open_ome_ngff(zarr.open_group(store, path="in/it"))
    writer.publish(acquisitions={7: "last"})
    plate = open_ome_ngff(zarr.open_group(store, path="in/it")).plate
    assert [(each.id, each.name) for each in plate.acquisitions] == [(7, "last"), (3, None)]
    with pytest.raises(TargetError):
        writer.write_field(("A", 3), pixels(0), axes="cyx")
    fields = {("A", 1, 3): [pixels(3)], ("A", 2, 7): {"0": pixels(7)}}
    write_plate(store=whole, fields=fields, axes="cyx", acquisitions=[Acquisition(id=7, name="last")]).run()
    assert zarr.open_group(whole).attrs.asdict() == zarr.open_group(store, path="in/it").attrs.asdict()


def write_one(writer: PlateWriter, number: int) -> None:
    writer.write_field(("ABCD"[number % 4], number // 4), pixels(number), axes="cyx").run()


def test_processes_write_fields_and_one_publishes_them(tmp_path: Path) -> None:
    writer = PlateWriter(store=tmp_path / "p.ome.zarr")
    with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
        list(pool.map(write_one, [writer] * 8, range(8)))
    writer.publish()
    assert len(open_ome_ngff(tmp_path / "p.ome.zarr").images["p"].tiles) == 8


@pytest.mark.skipif(not hasattr(os, "fork"), reason="another process is killed")
def test_what_is_killed_while_it_is_published_is_published_by_the_next() -> None:
    """Nothing, or the plate, is at its place, and fields are not lost; the campaign kills at every call."""
    kills = campaign(first=5, every=23)
    assert kills.total() > 1
    assert kills["nothing"]


def test_a_field_that_is_being_written_is_waited_for(tmp_path: Path) -> None:
    writer = PlateWriter(store=tmp_path / "p.ome.zarr")
    writer.write_field(("A", 1), pixels(0), axes="cyx").run()
    slow = writer.write_field(("A", 2), pixels(1), axes="cyx")
    next(slow)
    with pytest.raises(TargetError, match="running"):
        writer.publish()
    slow.cancel()
    with pytest.raises(TargetError, match=r"already|exists|taken"):
        writer.write_field(("A", 1), pixels(1), axes="cyx").run()
    writer.write_field(("A", 1), pixels(1), axes="cyx", overwrite=True).run()
    writer.publish()
    np.testing.assert_array_equal(open_ome_ngff(tmp_path / "p.ome.zarr/A/1/0").arrays["0"], pixels(1))


def test_what_is_discarded_leaves_nothing(tmp_path: Path) -> None:
    store = MemoryStore()
    for place in (tmp_path / "p.ome.zarr", store):
        writer = PlateWriter(store=place)
        with pytest.raises(NotOmeNgffError):
            writer.publish()
        writer.write_field(("A", 1), pixels(0), axes="cyx").run()
        writer.discard()
        assert writer.fields() == {}
    assert list(tmp_path.iterdir()) == []
    assert not any("A/" in key for key in store._store_dict)


def test_a_plate_replaces_only_a_plate_that_has_nothing_else(tmp_path: Path) -> None:
    place = tmp_path / "p.ome.zarr"
    write_plate(store=place, fields={("A", 1): [pixels(0)], ("A", 2): [pixels(1)]}, axes="cyx").run()
    (place / "A" / "1" / "tables").mkdir()
    (place / "A" / "1" / "tables" / "mine").write_text("kept")
    document = json.loads((place / "zarr.json").read_text())
    document["attributes"]["other"] = 1
    (place / "zarr.json").write_text(json.dumps(document))
    for fields, overwrite in (({("A", 1): [pixels(2)]}, True), ({("A", 1): [pixels(2)]}, False)):
        with pytest.raises(TargetError):
            write_plate(store=place, fields=fields, axes="cyx", overwrite=overwrite)
    new = {("A", 1): [pixels(2)], ("A", 2): [pixels(3)], ("B", 1): [pixels(4)]}
    write_plate(store=place, fields=new, axes="cyx", overwrite=True).run()
    assert [well.path for well in open_ome_ngff(place).plate.wells] == ["A/1", "A/2", "B/1"]
    assert open_ome_ngff(place).attributes == {"other": 1}
    assert (place / "A" / "1" / "tables" / "mine").read_text() == "kept"
    np.testing.assert_array_equal(open_ome_ngff(place / "A/1/0").arrays["0"], pixels(2))
    image = tmp_path / "i.ome.zarr"
    write_multiscale_group(store=image, image=open_ome_ngff(place / "A/1/0").arrays["0"]).run()
    with pytest.raises(TargetError):
        write_plate(store=image, fields=new, axes="cyx", overwrite=True)


@pytest.mark.parametrize(
    ("fields", "options", "words"),
    [
        ({}, {}, "by their wells"),
        ({"A1": [pixels(0)]}, {}, "row and its column"),
        ({("A", 1.5): [pixels(0)]}, {}, "row and its column"),
        ({("A", 1, "x"): [pixels(0)]}, {}, "acquisition"),
        ({("A", 1): []}, {}, "image"),
        ({("A/B", 1): [pixels(0)]}, {}, "letters and digits"),
        ({("A", 1): {"..": pixels(0)}}, {}, "letters and digits"),
        ({("A", 1): [pixels(0)], ("a", 1): [pixels(0)]}, {}, "the same"),
        ({("A", 1): [pixels(0)]}, {"rows": "BC"}, "does not list"),
        ({("A", 1): [pixels(0)]}, {"acquisitions": {0: "a", 1: "b"}}, "needs that of each field"),
        ({("A", 1): [pixels(0)]}, {"acquisitions": "one"}, "names by their numbers"),
        ({("A", 1): [7]}, {}, "Field A/1/0 must be"),
    ],
)  # fmt: skip
def test_what_is_no_plate_is_refused(fields: Any, options: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises((OptionError, MetadataError), match=words):
        write_plate(store=tmp_path / "p.ome.zarr", fields=fields, axes="cyx", **options)
    assert list(tmp_path.iterdir()) == []


@st.composite
def layouts(draw: st.DrawFn) -> Any:
    ids = draw(st.lists(st.integers(0, 99), unique=True, max_size=3))
    rounds = tuple(Acquisition(id=n, name=draw(st.none() | st.just("x"))) for n in ids)
    names = st.sampled_from(["A", "B", "AA", "1", "02", "10"])
    acquisition = st.sampled_from(ids) if ids else st.none()
    fields = st.lists(st.sampled_from(["0", "1", "x"]), min_size=1, max_size=3, unique=True)
    wells = draw(st.dictionaries(st.tuples(names, names), fields, min_size=1, max_size=4))
    listed = {
        key: [Field(path=p, acquisition=draw(acquisition)) for p in paths] for key, paths in wells.items()
    }
    version = draw(st.sampled_from(VERSIONS))
    return lay_out_plate(listed, name=draw(st.none() | st.just("P")), acquisitions=rounds, version=version)


@given(layouts())
def test_a_layout_is_what_is_read_again(layout: Any) -> None:
    groups = encode_plate(layout)
    read = decode_plate(groups[""], where="")
    assert (read.wells, read.rows, read.columns) == (
        layout.plate.wells,
        layout.plate.rows,
        layout.plate.columns,
    )
    assert [(each.id, each.name) for each in read.acquisitions] == [
        (each.id, each.name) for each in layout.plate.acquisitions
    ]
    assert {path: decode_well(groups[path], where="") for path in layout.wells} == layout.wells
