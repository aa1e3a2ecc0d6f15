"""Places to write to: folders that are not there yet, the working directory, empty folders, zip files."""

from __future__ import annotations

import os
import stat
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_ome_ngff import StorageError, open_ome_ngff, save_ome_ngff

VOXELS = np.arange(12 * 8, dtype="uint16").reshape(12, 8)


def saved_to(place: Any, **options: Any) -> bool:
    save_ome_ngff(place, VOXELS, axes="yx", **options)
    image: Any = open_ome_ngff(place)
    return bool((next(iter(image.arrays.values())).values == VOXELS).all())


@pytest.mark.parametrize("name", ["a.ome.zarr", "a.ozx", "a.zarr.zip"])
def test_folders_that_are_missing_above_are_made_and_are_no_groups(name: str, tmp_path: Path) -> None:
    assert saved_to(tmp_path / "no/such" / name)
    assert [path.name for path in (tmp_path / "no").iterdir()] == ["such"]
    assert [path.name for path in (tmp_path / "no/such").iterdir()] == [name]


def test_what_was_made_goes_with_a_save_that_fails(tmp_path: Path) -> None:
    def broken() -> Any:
        import dask.array

        def fail(_: Any) -> Any:
            raise RuntimeError("the disk of the source is gone")

        return dask.array.from_array(VOXELS).map_blocks(fail, dtype="uint16", meta=VOXELS[:0])

    with pytest.raises(StorageError, match="gone"):
        save_ome_ngff(tmp_path / "no/such/a.ome.zarr", broken(), axes="yx")
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_ends_in_zarr_zip_makes_a_zip_file(tmp_path: Path) -> None:
    place = tmp_path / "cells.zarr.zip"
    assert saved_to(place)
    assert zipfile.is_zipfile(place)
    assert "zarr.json" in zipfile.ZipFile(place).namelist()


@pytest.mark.skipif(sys.platform == "win32", reason="a working directory cannot be replaced")
@pytest.mark.parametrize("place", [".", "here"])
def test_an_empty_folder_keeps_mode_and_group_and_stays_the_working_directory(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    folder.chmod(0o2775)
    monkeypatch.chdir(folder if place == "." else tmp_path)
    for options in ({}, {"overwrite": True}):
        assert saved_to(place, **options)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o2775
        (level,) = (path for path in folder.iterdir() if path.is_dir())
        assert level.stat().st_mode & stat.S_ISGID or sys.platform == "darwin"
        assert Path(os.getcwd()) == (folder if place == "." else tmp_path)
        assert os.path.exists(os.curdir)
