"""What a save that was killed between two renames has left: looks move nothing, a save brings it back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import zarr

from napari_ome_ngff import (
    Image,
    MultiscaleSource,
    create_multiscale_group,
    open_ome_ngff,
    write_labels,
    write_multiscale_group,
)
from napari_ome_ngff.errors import OmeNgffError, TargetError
from napari_ome_ngff.reading.sniff import is_likely_ome_ngff
from napari_ome_ngff.storage.edits import locks
from napari_ome_ngff.writing.commit.checks import check_target
from napari_ome_ngff.writing.labels import plan_labels
from tests.reading.test_replaced_meanwhile import image, leave_aside, save

DASK = {"name": "dask_array", "config": {}}


def everything(folder: Path) -> dict[Path, tuple[int, int]]:
    """Which file or folder is where, and when it was last changed."""
    paths = (folder, *folder.rglob("*"))
    return {path: ((about := path.lstat()).st_ino, about.st_mtime_ns) for path in paths}


LOOKS: dict[str, Callable[[Path, str], object]] = {
    "opened": lambda target, _: open_ome_ngff(target),
    "known by its path": lambda target, _: is_likely_ome_ngff(str(target)),
    "checked": lambda target, _: check_target(target),
    "checked, to be replaced": lambda target, _: check_target(target, overwrite=True),
    "a save that is refused": lambda target, _: write_multiscale_group(store=target, image=image(2)),
    "a save that is not run": lambda target, version: write_multiscale_group(
        store=target, image=image(2), overwrite=True, ngff_version=version
    ).cancel(),
    "a save of what cannot be": lambda target, _: write_multiscale_group(
        store=target, image=image(2), overwrite=True, ngff_version="0.9"
    ),
    "created, refused": lambda target, _: create_multiscale_group(store=target, arrays={"0": image(2)}),
    "created out of itself, refused": lambda target, version: create_multiscale_group(
        store=target,
        arrays=dict(open_ome_ngff(target, array_wrapper=DASK).arrays),
        overwrite=True,
        ngff_version=version,
    ),
    "label images that are refused": lambda target, _: write_labels(
        store=target, labels={"cells": MultiscaleSource(image=image(1))}
    ),
    "label images that are not written": lambda target, _: write_labels(
        store=target, labels={"nuclei": MultiscaleSource(image=image(1))}
    ).cancel(),
    "label images planned": lambda target, _: plan_labels(
        store=target, labels={"nuclei": MultiscaleSource(image=image(1))}
    ),
}
REFUSED = {"checked", "a save of what cannot be"}
"""And all that are said to be."""


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("moved", ["", "labels"])
@pytest.mark.filterwarnings("ignore:A save to:napari_ome_ngff.errors.OmeNgffWarning")
def test_a_look_moves_nothing(moved: str, version: str, tmp_path: Path) -> None:
    target = tmp_path / "a.ome.zarr"
    save(target, 1, version)
    leave_aside(target / moved)
    before = everything(tmp_path)
    for name, look in LOOKS.items():
        if name in REFUSED or "refused" in name:
            with pytest.raises(OmeNgffError) as caught:
                look(target, version)
            if moved == "" and name in ("checked", "a save that is refused", "created, refused"):
                assert ".0123abcd.ngff-old" in str(caught.value), "it says where the old image is"
        else:
            look(target, version)
        assert everything(tmp_path) == before, name


SAVES: dict[str, Callable[[Path], object]] = {
    "replaced": lambda target: write_multiscale_group(store=target, image=image(2), overwrite=True).run(),
    "replaced with label images": lambda target: write_multiscale_group(
        store=target,
        image=image(2),
        labels={"nuclei": MultiscaleSource(image=image(2))},
        overwrite=True,
    ).run(),
    "created": lambda target: create_multiscale_group(
        store=target, arrays={"0": image(2)}, overwrite=True, ngff_version="0.5"
    ),
    "label images": lambda target: write_labels(
        store=target, labels={"nuclei": MultiscaleSource(image=image(1))}
    ).run(),
}


@pytest.mark.parametrize("moved", ["", "labels"])
@pytest.mark.parametrize("how", SAVES)
def test_a_save_that_was_allowed_to_brings_everything_back(how: str, moved: str, tmp_path: Path) -> None:
    target = tmp_path / "a.ome.zarr"
    save(target, 1)
    (target / "notes.txt").write_text("mine")
    zarr.open_group(target, mode="r+").attrs["mine"] = 1
    leave_aside(target / moved)
    SAVES[how](target)
    found = open_ome_ngff(target)
    assert isinstance(found, Image)
    assert set(found.labels) == {"cells"} | ({"nuclei"} if "label" in how else set())
    assert (target / "notes.txt").read_text() == "mine"
    assert zarr.open_group(target, mode="r").attrs["mine"] == 1
    assert not list(tmp_path.rglob("*.ngff-*"))


def test_without_locks_nothing_is_brought_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be the moment between two renames of a save on another computer."""
    target = tmp_path / "a.ome.zarr"
    save(target, 1)
    aside = leave_aside(target)
    monkeypatch.setattr(locks, "_lock", lambda *_: False)
    with pytest.raises(TargetError, match="without locks") as caught:
        save(target, 2)
    assert str(aside) in str(caught.value)
    assert aside.is_dir()
    assert not target.exists()
