"""An image that is saved into a well by its folder is a field of it; one in a collection is replaced."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import yaozarrs
import zarr

from napari_ome_ngff import (
    MultiscaleSource,
    StorageOptions,
    TargetError,
    open_ome_ngff,
    save_ome_ngff,
    write_hierarchy,
    write_plate,
)
from napari_ome_ngff.storage.edits import edit_journal
from tests.campaigns.kill_edits import files, nothing_is_left
from tests.metadata_tools import VERSIONS
from tests.saving.consolidated import consolidate

PIXELS = np.arange(20 * 30).reshape(20, 30).astype("uint16")


def fields_of(place: Path) -> list[tuple[str, str]]:
    plate: Any = open_ome_ngff(place)
    return [(tile.well, tile.field) for image in plate.images.values() for tile in image.tiles]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_well_and_a_field_that_are_new_are_listed(version: str, tmp_path: Path) -> None:
    place, whole = tmp_path / "p.ome.zarr", tmp_path / "whole.ome.zarr"
    options = StorageOptions(version=version)
    write_plate(store=place, fields={("A", 1): [PIXELS]}, acquisitions={4: "x"}, options=options).run()
    consolidate(place)
    save_ome_ngff(place / "A" / "1" / "1", PIXELS + 1, labels={"cells": PIXELS > 9}, options=options)
    save_ome_ngff(place / "C" / "5" / "left", PIXELS + 2, options=options)
    assert fields_of(place) == [("A/1", "0"), ("A/1", "1"), ("C/5", "left")]
    np.testing.assert_array_equal(open_ome_ngff(place / "C" / "5" / "left").arrays["0"], PIXELS + 2)
    np.testing.assert_array_equal(zarr.open_consolidated(place, mode="r")["A/1/1/0"], PIXELS + 1)
    if version != "0.6":
        yaozarrs.validate_zarr_store(place)
    # What is listed is what writing all of it at once lists.
    images = {"0": PIXELS, "1": {"": PIXELS + 1, "labels/cells": PIXELS > 9}}
    write_plate(
        store=whole,
        fields={("A", 1): images, ("C", 5): {"left": PIXELS + 2}},
        acquisitions={4: "x"},
        options=options,
    ).run()
    group, other = zarr.open_group(place, mode="r"), zarr.open_group(whole, mode="r")
    for path in ("A", "A/1", "C", "C/5"):
        assert group[path].attrs.asdict() == other[path].attrs.asdict()
    plates = [(one.attrs.asdict().get("ome") or one.attrs.asdict())["plate"] for one in (group, other)]
    assert {**plates[0], "acquisitions": 0} == {**plates[1], "acquisitions": 0}
    nothing_is_left(place)


def test_one_that_is_listed_is_replaced_and_what_others_say_stays(tmp_path: Path) -> None:
    place = tmp_path / "p.ome.zarr"
    write_plate(store=place, fields={("A", 1): [PIXELS], ("A", 2): [PIXELS]}).run()
    document = json.loads((place / "A" / "1" / "zarr.json").read_text())
    document["attributes"]["mine"] = 1
    (place / "A" / "1" / "zarr.json").write_text(json.dumps(document))
    before = files(place)
    with pytest.raises(TargetError):
        save_ome_ngff(place / "A" / "1" / "0", PIXELS)
    save_ome_ngff(place / "A" / "1" / "0", PIXELS + 1, overwrite=True)
    changed = {key for key, content in files(place).items() if before.get(key) != content}
    assert all(key.startswith("A/1/0/") for key in changed)
    save_ome_ngff(place / "A" / "1" / "7", PIXELS)
    assert zarr.open_group(place / "A" / "1").attrs["mine"] == 1
    assert fields_of(place) == [("A/1", "0"), ("A/1", "7"), ("A/2", "0")]


def test_what_the_plate_cannot_hold_is_refused(tmp_path: Path) -> None:
    place, several = tmp_path / "p.ome.zarr", tmp_path / "several.ome.zarr"
    write_plate(store=place, fields={("A", 1): [PIXELS]}).run()
    write_plate(store=several, fields={("A", 1, 0): [PIXELS], ("A", 1, 1): [PIXELS]}).run()
    before = files(tmp_path)
    for target, version, words in (
        (place / "A" / "1" / "1", "0.4", "plate is in OME-Zarr 0.5"),
        (several / "A" / "1" / "7", "0.5", "several acquisitions"),
        (place / "A" / "1" / "a b", "0.5", "inside another"),
        (place / "A" / "1", "0.5", "inside another"),
        (place / "A" / "1" / "0" / "0", "0.5", "inside another"),
    ):
        with pytest.raises(TargetError, match=words):
            save_ome_ngff(target, PIXELS, ngff_version=version)
    assert files(tmp_path) == before


@pytest.mark.parametrize("version", VERSIONS)
def test_an_image_of_a_collection_is_replaced_in_its_place(version: str, tmp_path: Path) -> None:
    place = tmp_path / "many.ome.zarr"
    options = StorageOptions(version=version)
    image = xr.DataArray(PIXELS, dims=("y", "x"))
    sources = {name: MultiscaleSource(image=image, levels=2) for name in "012"}
    write_hierarchy(store=place, sources=sources, options=options).run()
    consolidate(place)
    before = files(place)
    other = StorageOptions(version="0.4" if version != "0.4" else "0.5")
    with pytest.raises(TargetError, match="collection around it"):
        save_ome_ngff(place / "1", PIXELS, overwrite=True, options=other)
    with pytest.raises(TargetError, match="inside another"):
        save_ome_ngff(place / "7", PIXELS, options=options)
    assert files(place) == before
    save_ome_ngff(place / "1", PIXELS + 1, levels=1, overwrite=True, options=options)
    listing = {"zarr.json", ".zmetadata"}
    changed = {key for key, content in files(place).items() if before.get(key) != content}
    assert all(key.startswith("1/") or key in listing for key in changed)
    collection = zarr.open_consolidated(place, mode="r")
    np.testing.assert_array_equal(collection["1/0"], PIXELS + 1)
    assert "1/1" not in collection
    assert "0/1" in collection
    assert list(open_ome_ngff(place).images) == ["0", "1", "2"]
    nothing_is_left(place)


def test_where_nothing_is_to_be_listed_no_journal_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "many.ome.zarr"
    source = MultiscaleSource(image=xr.DataArray(PIXELS, dims=("y", "x")))
    write_hierarchy(store=place, sources={"0": source, "1": source}).run()
    journals: list[Path] = []
    monkeypatch.setattr(edit_journal, "decide", lambda root, **_: journals.append(root))
    save_ome_ngff(place / "1", PIXELS + 1, overwrite=True)
    assert journals == []
    np.testing.assert_array_equal(open_ome_ngff(place / "1").arrays["0"], PIXELS + 1)
