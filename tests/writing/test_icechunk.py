"""Sessions of icechunk: a store that takes what is a group, an array or a chunk of one, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import icechunk
import numpy as np
import pytest
import xarray as xr
import zarr

from napari_ome_ngff import (
    MultiscaleSource,
    StorageError,
    StorageOptions,
    edit_metadata,
    open_ome_ngff,
    save_ome_ngff,
    write_labels,
    write_multiscale_group,
)
from napari_ome_ngff.storage.places import keys

PIXELS = np.arange(64 * 64, dtype="uint16").reshape(64, 64)
IMAGE = xr.DataArray(PIXELS, dims=("y", "x"))
SMALL = StorageOptions(chunks=(16, 16))


@pytest.fixture
def repository() -> icechunk.Repository:
    return icechunk.Repository.create(icechunk.in_memory_storage())


def content(store: Any) -> dict[str, bytes]:
    return {key: value or b"" for key, value in keys.read_all(store, keys.under(store, "")).items()}


def opened(store: Any, path: str) -> Any:
    return open_ome_ngff(zarr.open_group(store, path=path, mode="r"))


@pytest.mark.parametrize("path", ["", "many/first"])
def test_what_is_saved_replaced_and_labelled_is_committed_together(
    repository: icechunk.Repository, path: str
) -> None:
    session = repository.writable_session("main")
    write_multiscale_group(store=session.store, path=path, image=IMAGE, levels=2, options=SMALL).run()
    labels = {"cells": MultiscaleSource(image=IMAGE // 1000)}
    write_labels(store=session.store, path=path, labels=labels).run()
    session.commit("first")
    session = repository.writable_session("main")
    smaller = IMAGE[:20, :20] + 1
    options = StorageOptions(chunks=(8, 8), shards=(16, 16))
    write_multiscale_group(
        store=session.store, path=path, image=smaller, levels=1, options=options, overwrite=True
    ).run()
    before = repository.readonly_session("main").store
    np.testing.assert_array_equal(opened(before, path).arrays["0"], PIXELS)
    session.commit("second")
    after = opened(repository.readonly_session("main").store, path)
    np.testing.assert_array_equal(after.arrays["0"], smaller)
    assert (list(after.arrays), list(after.labels)) == (["0"], ["cells"])
    # Not a key is there that one save alone would not have made, but for the labels.
    other = icechunk.Repository.create(icechunk.in_memory_storage()).writable_session("main")
    write_multiscale_group(store=other.store, path=path, image=smaller, levels=1, options=options).run()
    stored = {key: value for key, value in content(session.store).items() if "labels/" not in key}
    assert stored == content(other.store)


def test_a_save_that_ends_early_leaves_the_session_as_it_was(repository: icechunk.Repository) -> None:
    session = repository.writable_session("main")
    for begun in range(2):
        before = content(session.store)
        writing = write_multiscale_group(
            store=session.store, image=IMAGE + 1, levels=2, options=SMALL, overwrite=bool(begun)
        )
        next(iter(writing))
        writing.close()
        assert content(session.store) == before
        if not begun:
            save_ome_ngff(session.store, IMAGE)


def test_documents_are_corrected_and_snapshots_refused(repository: icechunk.Repository) -> None:
    session = repository.writable_session("main")
    save_ome_ngff(session.store, IMAGE)
    edit_metadata(session.store, scale={"y": 2.0})
    session.commit("corrected")
    store = repository.readonly_session("main").store
    assert open_ome_ngff(store).multiscale.levels[0].transform.scale == (2, 1)
    with pytest.raises(StorageError, match="read-only"):
        save_ome_ngff(store, IMAGE, overwrite=True)


def test_it_is_a_source_of_others(repository: icechunk.Repository, tmp_path: Path) -> None:
    store = repository.writable_session("main").store
    save_ome_ngff(store, IMAGE, levels=3)
    save_ome_ngff(tmp_path / "a.ome.zarr", open_ome_ngff(store))
    assert content(store).keys() == {
        path.relative_to(tmp_path / "a.ome.zarr").as_posix() for path in tmp_path.rglob("*") if path.is_file()
    }
