"""An edit that was decided and interrupted belongs to the image that it was of, and to no other one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray

from napari_ome_ngff import (
    Image,
    MultiscaleSource,
    OmeNgffWarning,
    StorageError,
    edit_labels,
    edit_metadata,
    open_ome_ngff,
    write_hierarchy,
    write_labels,
)
from napari_ome_ngff.storage.edits import edit_journal
from tests.plate_tools import write_image, write_plate


def image(value: int) -> MultiscaleSource:
    return MultiscaleSource(image=xarray.DataArray(np.full((64, 64), value, "uint16"), dims=("y", "x")))


def saved(place: Path, value: int, *, overwrite: bool = False) -> None:
    sources = {"": image(value), "labels/cells": image(value)}
    write_hierarchy(store=place, sources=sources, overwrite=overwrite).run()


def labels(place: Path, name: str = "cells") -> int:
    """The one value of a label image."""
    opened = open_ome_ngff(place)
    assert isinstance(opened, Image)
    (value,) = np.unique(opened.labels[name].arrays["0"].values)
    return int(value)


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Does something that is killed as soon as an edit is decided."""

    def run(action: Any) -> None:
        def decide(target: Path, **keys: Any) -> None:
            whole(target, **keys)
            raise KeyboardInterrupt

        whole = edit_journal.decide
        with monkeypatch.context() as patch:
            patch.setattr(edit_journal, "decide", decide)
            patch.setattr(edit_journal, "abandon", lambda _: None)
            with pytest.raises(KeyboardInterrupt):
                action()

    return run


def painted(place: Path, value: int) -> Any:
    def paint() -> None:
        edit = edit_labels(place, "cells")
        edit[...] = value
        edit.save().run()

    return paint


def test_an_image_that_is_saved_over_it_stays_as_it_was_saved(tmp_path: Path, killed: Any) -> None:
    place = tmp_path / "a.ome.zarr"
    saved(place, 1)
    killed(painted(place, 5))
    saved(place, 2, overwrite=True)
    assert labels(place) == 2
    assert not list(tmp_path.rglob("*.ngff-edit"))


def test_a_label_image_that_is_added_beside_it_finishes_it(tmp_path: Path, killed: Any) -> None:
    place = tmp_path / "a.ome.zarr"
    saved(place, 1)
    killed(painted(place, 5))
    write_labels(store=place, labels={"nuclei": image(3)}).run()
    assert not list(tmp_path.rglob("*.ngff-edit"))
    assert (labels(place), labels(place, "nuclei")) == (5, 3)


@pytest.mark.parametrize("there", [True, False], ids=["another image", "nothing"])
def test_what_came_to_its_place_otherwise_is_not_touched(there: bool, tmp_path: Path, killed: Any) -> None:
    """The journal stays, since the image that it is of may be somewhere else; who opens and saves is told."""
    place = tmp_path / "a.ome.zarr"
    saved(place, 1)
    killed(lambda: edit_metadata(place, name="edited"))
    place.rename(tmp_path / "moved.ome.zarr")
    if there:
        saved(tmp_path / "other.ome.zarr", 2)
        shutil.copytree(tmp_path / "other.ome.zarr", place)
        with pytest.warns(OmeNgffWarning, match="cannot be finished here"):
            opened = open_ome_ngff(place)
        assert isinstance(opened, Image)
        assert opened.multiscale is not None
        assert opened.multiscale.name != "edited"
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(StorageError, match="journal"):
        saved(place, 3, overwrite=True)
    assert sorted(tmp_path.rglob("*")) == before
    (tmp_path / "moved.ome.zarr").rename(place) if not there else None
    if not there:
        finished = open_ome_ngff(place)
        assert isinstance(finished, Image)
        assert finished.multiscale is not None
        assert finished.multiscale.name == "edited"


def test_of_a_plate_it_is_finished_when_a_field_is_opened(tmp_path: Path, killed: Any) -> None:
    plate = write_plate(tmp_path / "p.zarr", {"A/1": ["0"]})
    write_image(plate / "A/1/0", np.zeros((2, 20, 26), "uint8"), "cyx")
    killed(lambda: edit_metadata(plate, units={"x": "micrometer"}))
    opened = open_ome_ngff(plate / "A/1/0")
    assert isinstance(opened, Image)
    assert opened.multiscale is not None
    assert opened.multiscale.axes[-1].unit == "micrometer"
