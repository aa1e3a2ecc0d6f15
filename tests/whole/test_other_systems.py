"""Saving, editing and killing by the rules of Windows, and with the calls of macOS.

`tests.campaigns.windows` runs all the suites and kill campaigns by these rules.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray

from napari_ome_ngff import (
    LabelImage,
    MultiscaleSource,
    PlateWriter,
    append_to_image,
    build_levels,
    create_multiscale_group,
    edit_labels,
    edit_metadata,
    open_ome_ngff,
    save_ome_ngff,
    write_labels,
    write_multiscale_group,
    write_plate,
)
from napari_ome_ngff.errors import MetadataError, OmeNgffWarning, StorageError, TargetError
from napari_ome_ngff.plugin.names import safe_name
from napari_ome_ngff.storage.edits.locks import exclusive
from napari_ome_ngff.storage.places import folders
from napari_ome_ngff.storage.places.location import ignores_case, is_windows_name
from napari_ome_ngff.writing.commit import system_names
from napari_ome_ngff.writing.commit.temporary import is_alive
from napari_ome_ngff.writing.refusals import cannot_write
from tests.campaigns import kill_every_call
from tests.campaigns.kill_edits import files
from tests.folded_names import as_spelled, folded_names
from tests.windows_rules import DENIED, SHARED, refusal, windows_rules
from tests.writing.test_buckets import dead_process

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the rules of others are laid over those of Linux"
)

VALUES = np.arange(3 * 16 * 16, dtype="uint16").reshape(3, 16, 16)


@pytest.fixture
def rules(tmp_path: Path) -> Iterator[None]:
    with windows_rules():
        yield


def save(place: Path, more: int = 0, **options: Any) -> None:
    save_ome_ngff(place, VALUES + more, axes="zyx", levels=2, **options)


def values(place: Path) -> Any:
    return open_ome_ngff(place).arrays["0"].values  # type: ignore[union-attr]


def image() -> xarray.DataArray:
    return xarray.DataArray(VALUES, dims=("z", "y", "x"))


def labels(value: int) -> dict[str, MultiscaleSource]:
    image = xarray.DataArray(np.full((3, 16, 16), value, "uint8"), dims=("z", "y", "x"))
    return {"cells": MultiscaleSource(image=image, label_image=LabelImage())}


def paint(place: Path) -> None:
    edit = edit_labels(place, "cells")
    edit[0, :4, :4] = 7
    edit.save().run()


def labelled(place: Path) -> None:
    write_labels(store=place, labels=labels(1), overwrite=True).run()


CHANGES: dict[str, Callable[[Path], object]] = {
    "saved again": lambda place: save(place, 5, overwrite=True),
    "label images added": labelled,
    "metadata corrected": lambda place: edit_metadata(place, name="cells", scale={"z": 2.0}),
    "made longer": lambda place: append_to_image(place, VALUES, axis="z").run(),
    "levels built": lambda place: build_levels(place, levels=3).run(),
}


@pytest.mark.parametrize("hard_links", [True, False])
def test_saving_and_every_change_work_and_leave_nothing_beside(hard_links: bool, tmp_path: Path) -> None:
    with windows_rules(hard_links=hard_links):
        for name in ("a.ome.zarr", "a.ozx"):
            save(tmp_path / name)
            save(tmp_path / name, 1, overwrite=True)
            np.testing.assert_array_equal(values(tmp_path / name), VALUES + 1)
        place = tmp_path / "a.ome.zarr"
        for what, change in CHANGES.items():
            change(place)
            assert not list(tmp_path.rglob("*.ngff-*")), what
        paint(place)
        assert open_ome_ngff(place).labels["cells"].arrays["0"].values[0, 3, 3] == 7  # type: ignore[union-attr]
        assert not list(tmp_path.rglob("*.ngff-*"))


def test_what_is_read_only_is_replaced_if_it_is_no_document(rules: None, tmp_path: Path) -> None:
    place = tmp_path / "a.ome.zarr"
    save(place)
    os.chmod(place / "0" / "c" / "0" / "0" / "0", 0o444)
    save(place, 1, overwrite=True)
    np.testing.assert_array_equal(values(place), VALUES + 1)
    assert os.listdir(tmp_path) == ["a.ome.zarr"]


def test_what_could_not_be_deleted_after_a_save_goes_with_the_next_one(rules: None, tmp_path: Path) -> None:
    place = tmp_path / "a.ome.zarr"
    save(place)
    labelled(place)
    for left in (tmp_path / ".a.ome.zarr.01234567.ngff-old", place / ".labels.89abcdef.ngff-old"):
        (left / "0").mkdir(parents=True)
    save(place, 1, overwrite=True)
    assert not list(tmp_path.rglob("*.ngff-*"))


@contextlib.contextmanager
def opened(path: Path) -> Iterator[None]:
    with path.open("rb"):
        yield


@pytest.mark.parametrize("change", [*CHANGES.values(), paint], ids=[*CHANGES, "painted"])
def test_a_file_that_is_open_for_a_moment_is_waited_for(
    change: Callable[[Path], object], rules: None, tmp_path: Path
) -> None:
    place = tmp_path / "a.ome.zarr"
    save(place)
    labelled(place)
    held = [path.open("rb") for path in place.rglob("*") if path.is_file()]
    timer = threading.Timer(0.15, lambda: [file.close() for file in held])
    timer.start()
    change(place)
    timer.join()
    assert not list(tmp_path.rglob("*.ngff-*"))


@pytest.mark.parametrize("change", [*CHANGES.values(), paint], ids=[*CHANGES, "painted"])
def test_a_file_that_stays_open_is_named_and_nothing_has_changed(
    change: Callable[[Path], object], rules: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "a.ome.zarr"
    save(place)
    labelled(place)
    before = files(tmp_path)
    monkeypatch.setattr(folders, "_WAITS", (0.001,))
    with contextlib.ExitStack() as stack:
        for path in place.rglob("*"):
            if path.is_file():
                stack.enter_context(opened(path))
        with pytest.raises(StorageError, match="has this image open"):
            change(place)
    assert files(tmp_path) == before
    change(place)
    assert not list(tmp_path.rglob("*.ngff-*"))


def test_who_may_not_write_to_a_folder_is_not_told_that_it_is_open(tmp_path: Path) -> None:
    assert cannot_write(tmp_path, refusal(DENIED, tmp_path)).summary == "The place cannot be written to."
    assert "has this image open" in cannot_write(tmp_path, refusal(DENIED, tmp_path, to="a")).summary
    assert "has this image open" in cannot_write(tmp_path, refusal(SHARED, tmp_path)).summary


def test_a_second_save_is_refused_and_takes_no_lock_away(rules: None, tmp_path: Path) -> None:
    place = tmp_path / "a.ome.zarr"
    with exclusive(place) as alone:
        assert alone
        for _ in range(2):
            with pytest.raises(TargetError, match="Another save"):
                save(place)
    save(place)
    assert os.listdir(tmp_path) == ["a.ome.zarr"]


@pytest.mark.filterwarnings("ignore")
def test_whoever_is_killed_leaves_the_old_or_the_new_image(rules: None) -> None:
    way = kill_every_call.Way("write", "replace", "sharded", "folder")
    assert kill_every_call.campaign(way, first=61, every=1000).total()


@pytest.mark.parametrize("layer", [windows_rules, contextlib.nullcontext])
def test_a_process_is_known_to_be_alive_or_dead(layer: Callable[[], Any]) -> None:
    dead = dead_process()
    with layer():
        assert is_alive(os.getppid())
        assert not is_alive(dead)


class Mac:
    """The C library of macOS, made of that of Linux."""

    def __init__(self) -> None:
        self.real = ctypes.CDLL(None, use_errno=True)
        self.calls: list[str] = []
        self.error = 0

    def _answer(self, name: str, call: Callable[[], int]) -> int:
        self.calls.append(name)
        if self.error:
            ctypes.set_errno(self.error)
            return -1
        return call()

    def fsync_volume_np(self, handle: int, flags: int) -> int:
        assert flags == 3
        return self._answer("sync", lambda: self.real.syncfs(handle))

    def renamex_np(self, one: bytes, other: bytes, flags: int) -> int:
        assert flags == 2
        one, other = (os.fsencode(as_spelled(os.fsdecode(path))) for path in (one, other))
        return self._answer("swap", lambda: self.real.renameat2(-100, one, -100, other, 2))


@pytest.fixture
def mac(monkeypatch: pytest.MonkeyPatch) -> Mac:
    library = Mac()
    system = type("System", (), {"platform": "darwin"})()
    monkeypatch.setattr(folders, "sys", system)
    monkeypatch.setattr(folders.ctypes, "CDLL", lambda *_args, **_options: library)
    return library


def test_macos_swaps_folders_and_syncs_the_volume_in_one_call(mac: Mac, tmp_path: Path) -> None:
    save(tmp_path / "a.ome.zarr")
    save(tmp_path / "a.ome.zarr", 1, overwrite=True)
    assert mac.calls == ["sync", "sync", "swap"]
    np.testing.assert_array_equal(values(tmp_path / "a.ome.zarr"), VALUES + 1)


@pytest.mark.parametrize("number", [errno.ENOTSUP, errno.EINVAL])
def test_macos_renames_and_syncs_each_file_on_a_disk_that_can_do_no_better(
    number: int, mac: Mac, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    mac.error = number
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(handle) or real(handle))
    save(tmp_path / "a.ome.zarr")
    save(tmp_path / "a.ome.zarr", 1, overwrite=True)
    n_files = sum(path.is_file() for path in tmp_path.rglob("*"))
    assert len(synced) >= 2 * n_files
    np.testing.assert_array_equal(values(tmp_path / "a.ome.zarr"), VALUES + 1)


NAMES = [
    "CON",
    "aux",
    "nul.txt",
    "Com1.ome.zarr",
    "lpt\u00b9",
    "cells.",
    "cells ",
    "a:b",
    "a?b",
    "a*b",
    'a"b',
    "a|b",
]


@pytest.mark.parametrize("name", [*NAMES, "a<b", "a>b", "a\\b", "a\tb"])
def test_names_that_windows_does_not_take_are_refused_there(name: str, rules: None, tmp_path: Path) -> None:
    assert not is_windows_name(name)
    assert is_windows_name(safe_name(name))
    for place in (tmp_path / name, tmp_path / f"{name}/a.ome.zarr"):
        with pytest.raises(TargetError, match="no file or folder of this name"):
            save(place)
    named = {name: labels(1)["cells"]}
    with pytest.raises((TargetError, MetadataError), match=r"of this name|must lead to"):
        write_multiscale_group(store=tmp_path / "a.ozx", image=image(), labels=named).run()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["cells.ome.zarr", "console", "nullable", "com0", "Zellen \u00e4.ozx", ".a"])
def test_other_names_are_taken(name: str) -> None:
    assert is_windows_name(name)


@pytest.fixture(params=["Windows", "macOS"])
def folding(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
    """A system on which names that differ in case only are one."""
    if request.param == "macOS":
        request.getfixturevalue("mac")
    with folded_names() if request.param == "macOS" else windows_rules():
        yield


def test_the_layers_are_what_the_systems_do(folding: None, tmp_path: Path) -> None:
    (tmp_path / "Cells").mkdir()
    (tmp_path / "Cells" / "One").write_text("1")
    assert (tmp_path / "cells" / "ONE").read_text() == "1"
    with pytest.raises(FileExistsError):
        (tmp_path / "CELLS").mkdir()
    (tmp_path / "cells" / "one").write_text("2")
    assert list((tmp_path / "Cells").iterdir()) == [tmp_path / "Cells" / "One"]
    os.rename(tmp_path / "Cells", tmp_path / "cells")
    assert os.listdir(tmp_path) == ["cells"]
    if "msvcrt" in sys.modules:
        with pytest.raises(ImportError):
            import fcntl  # noqa: F401
        with pytest.raises(PermissionError):
            os.open(tmp_path, os.O_RDONLY)


def a_well(place: Path, row: str) -> None:
    PlateWriter(store=place).write_field((row, 1), VALUES[0], overwrite=True).run()


ALIKE: dict[str, Callable[[Path], object]] = {
    "label images": lambda place: write_labels(
        store=place, labels={"Cells": labels(2)["cells"]}, overwrite=True
    ).run(),
    "levels": lambda place: create_multiscale_group(
        store=place, arrays={"S0": image(), "s0": image()[:, ::2, ::2]}, overwrite=True, ngff_version="0.5"
    ),
    "a level and a document": lambda place: create_multiscale_group(
        store=place, arrays={"Zarr.json": image()}, overwrite=True, ngff_version="0.5"
    ),
    "wells": lambda place: a_well(place.with_name("plate.ome.zarr"), "a"),
}


@pytest.mark.parametrize("folding", ["Windows"], indirect=True)
def test_names_that_differ_in_case_only_are_refused_where_they_are_one(folding: None, tmp_path: Path) -> None:
    place = tmp_path / "a.ome.zarr"
    save(place)
    labelled(place)
    a_well(tmp_path / "plate.ome.zarr", "A")
    before = files(tmp_path)
    for what, change in ALIKE.items():
        with pytest.raises(TargetError, match="upper and lower case only"):
            change(place)
        assert files(tmp_path) == before, what


@pytest.mark.parametrize("folding", ["macOS"], indirect=True)
def test_an_image_is_the_same_in_whatever_case_its_name_is_given(folding: None, tmp_path: Path) -> None:
    place, other = tmp_path / "Cells.ome.zarr", tmp_path / "cells.OME.zarr"
    save(place)
    with pytest.raises(TargetError, match="something already"):
        save(other)
    save(other, 1, overwrite=True)
    labelled(other)
    paint(other)
    lazy: Any = open_ome_ngff(place)
    with pytest.raises(TargetError, match="read from the group"):
        create_multiscale_group(store=other, arrays=dict(lazy.arrays), overwrite=True, ngff_version="0.5")
    save_ome_ngff(place, lazy.arrays["0"] + 1, overwrite=True)
    np.testing.assert_array_equal(values(other), VALUES + 2)
    assert len(os.listdir(tmp_path)) == 1


@pytest.mark.parametrize("folding", ["Windows"], indirect=True)
def test_a_single_file_that_is_read_is_replaced_in_whatever_case(folding: None, tmp_path: Path) -> None:
    save(tmp_path / "Cells.ozx")
    lazy: Any = open_ome_ngff(tmp_path / "Cells.ozx")
    save_ome_ngff(tmp_path / "cells.OZX", lazy.arrays["0"] + 1, overwrite=True)
    np.testing.assert_array_equal(values(tmp_path / "Cells.ozx"), VALUES + 1)
    assert len(os.listdir(tmp_path)) == 1


@pytest.mark.parametrize("folding", ["macOS"], indirect=True)
def test_a_field_is_in_the_well_that_is_there_in_whatever_case_its_path_is_given(
    folding: None, tmp_path: Path
) -> None:
    plate = tmp_path / "plate.ome.zarr"
    write_plate(store=plate, fields={("A", "b"): {"left": VALUES[0]}}).run()
    for path in ("a/B/LEFT", "a/B/right", "a/C/0"):
        save_ome_ngff(plate / path, VALUES[1], overwrite=True)
    opened: Any = open_ome_ngff(plate)
    tiles = [(tile.well, tile.field) for one in opened.images.values() for tile in one.tiles]
    assert tiles == [("A/b", "left"), ("A/b", "right"), ("A/C", "0")]


@pytest.mark.parametrize("folding", ["macOS"], indirect=True)
def test_what_a_killed_save_moved_aside_is_found_in_whatever_case(folding: None, tmp_path: Path) -> None:
    for name, more in ((".Cells.ome.zarr.01234567.ngff-old", 0), (".Cells.ome.zarr.01234567.ngff-part", 1)):
        save(tmp_path / "a.ome.zarr", more)
        (tmp_path / "a.ome.zarr").rename(tmp_path / name)
    with pytest.warns(OmeNgffWarning, match="was interrupted"):
        np.testing.assert_array_equal(values(tmp_path / "cells.ome.zarr"), VALUES)
    save(tmp_path / "cells.ome.zarr", 2, overwrite=True)
    assert os.listdir(tmp_path) == ["cells.ome.zarr"]


def test_names_in_another_case_are_others_on_linux(tmp_path: Path) -> None:
    for name in ("Cells.ome.zarr", "cells.ome.zarr", ".Cells.ome.zarr.01234567.ngff-part"):
        save(tmp_path / name)
    save(tmp_path / "cells.ome.zarr", 1, overwrite=True)
    assert len(os.listdir(tmp_path)) == 3
    write_labels(
        store=tmp_path / "Cells.ome.zarr", labels={"a": labels(1)["cells"], "A": labels(1)["cells"]}
    ).run()
    assert not ignores_case(tmp_path)


def test_where_no_name_above_has_a_letter_nothing_is_known_of_case() -> None:
    assert not ignores_case(Path("/"))
    assert not ignores_case(Path("/1/22"))


def test_paths_that_are_too_long_for_windows_are_refused_there(
    rules: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system_names, "has_long_paths", lambda: False)
    fits = tmp_path / ("a" * (190 - len(str(tmp_path))))
    save(fits)
    assert max(len(str(path)) for path in fits.rglob("*")) < 259
    with pytest.raises(TargetError, match="too long for Windows"):
        save(tmp_path / ("b" * (240 - len(str(tmp_path)))))
    assert os.listdir(tmp_path) == [fits.name]
