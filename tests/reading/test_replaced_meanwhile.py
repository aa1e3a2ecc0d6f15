"""Opened while it is replaced: all that is shown is of one image, and what a killed save left is found."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray
import zarr

from napari_ome_ngff import (
    Image,
    MultiscaleSource,
    open_ome_ngff,
    read_multiscale_group,
    write_labels,
    write_multiscale_group,
)
from napari_ome_ngff.errors import OmeNgffWarning, StorageError
from napari_ome_ngff.reading.sniff import is_likely_ome_ngff
from napari_ome_ngff.storage.documents import hierarchy
from napari_ome_ngff.writing.commit import local_swap

VERSIONS = ("0.4", "0.5", "0.6")


def image(seed: int) -> xarray.DataArray:
    """An image whose size, pixel size and values all tell its seed."""
    side = 16 * seed
    coords = {dim: (dim, seed * np.arange(side, dtype=float)) for dim in "yx"}
    return xarray.DataArray(np.full((side, side), seed, "uint8"), dims=("y", "x"), coords=coords)


def save(store: Any, seed: int, version: str = "0.5") -> None:
    write_multiscale_group(
        store=store,
        image=image(seed),
        labels={"cells": MultiscaleSource(image=image(seed))},
        levels=3,
        ngff_version=version,
        overwrite=True,
    ).run()


def seeds(levels: Any) -> set[int]:
    shapes = {(level.shape[0] << index) // 16 for index, level in enumerate(levels.values())}
    return shapes | {int(next(iter(levels.values())).coords["y"].attrs["scale"])}


def opened(store: Any) -> set[int]:
    image = open_ome_ngff(store)
    assert isinstance(image, Image)
    assert list(image.labels) == ["cells"]
    return seeds(image.arrays) | seeds(image.labels["cells"].arrays)


def read_again(store: Any) -> Callable[[], set[int]]:
    group = zarr.open_group(store, mode="r")
    return lambda: seeds(read_multiscale_group(group))


@pytest.mark.parametrize("by", ["open_ome_ngff", "read_multiscale_group"])
@pytest.mark.parametrize(("version", "kind"), [("0.4", "folder"), ("0.5", "folder"), ("0.6", "memory")])
def test_replaced_between_any_two_looks(
    version: str, kind: str, by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store: Any = tmp_path / "a.ome.zarr" if kind == "folder" else zarr.storage.MemoryStore()
    fetch, looks, moment = hierarchy.fetch, 0, 0

    def replacing(*args: Any) -> Any:
        nonlocal looks
        result = fetch(*args)
        looks += 1
        if looks == moment:
            monkeypatch.setattr(hierarchy, "fetch", fetch)
            save(store, 2, version)
        return result

    while looks >= moment:
        save(store, 1, version)
        look = read_again(store) if by == "read_multiscale_group" else lambda: opened(store)
        looks, moment = 0, moment + 1
        monkeypatch.setattr(hierarchy, "fetch", replacing)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert len(look()) == 1
    assert moment > 2


@pytest.mark.parametrize("exchange", [True, False])
def test_opened_while_another_thread_replaces_it(
    exchange: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not exchange:
        monkeypatch.setattr(local_swap, "exchange", lambda *_: False)
    target = tmp_path / "a.ome.zarr"
    save(target, 1)
    done = threading.Event()

    def replace() -> None:
        for seed in (2, 1) * 2:
            save(target, seed)
        done.set()

    thread = threading.Thread(target=replace)
    thread.start()
    with warnings.catch_warnings():
        warnings.simplefilter("error", OmeNgffWarning)
        while not done.is_set():
            assert len(opened(target)) == 1
    thread.join()


def test_an_image_that_never_rests_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "a.ome.zarr"
    save(target, 1)
    document, fetch = target / "zarr.json", hierarchy.fetch

    def touching(*args: Any) -> Any:
        os.utime(document)
        return fetch(*args)

    monkeypatch.setattr(hierarchy, "fetch", touching)
    with pytest.raises(StorageError, match="replaced again and again"):
        open_ome_ngff(target)


# --- what a save that was killed between two renames has left


def leave_aside(folder: Path) -> Path:
    """What such a save leaves of a folder: itself under another name, beside the complete new one."""
    aside = folder.with_name(f".{folder.name}.0123abcd.ngff-old")
    folder.rename(aside)
    aside.with_suffix(".ngff-part").mkdir()
    return aside


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("inside", ["", "/0", "/labels/cells", " through a link"])
def test_the_old_image_is_opened_from_beside(version: str, inside: str, tmp_path: Path) -> None:
    target = tmp_path / "a.ome.zarr"
    save(target, 1, version)
    place = f"{target}{inside}"
    if inside == " through a link":
        place = str(tmp_path / "link.ome.zarr")
        os.symlink(target, place)
    leave_aside(target)
    before = sorted(os.listdir(tmp_path))
    with pytest.warns(OmeNgffWarning, match=r"was interrupted.*puts it back"):
        image = open_ome_ngff(place)
    assert isinstance(image, Image)
    assert {int(level.values.max()) for level in image.arrays.values()} == {1}
    assert is_likely_ome_ngff(str(target))
    assert sorted(os.listdir(tmp_path)) == before, "a look changes nothing"
    save(target, 2, version)
    assert opened(target) == {2}
    assert "a.ome.zarr" in os.listdir(tmp_path)
    assert not list(tmp_path.rglob("*.ngff-*"))


@pytest.mark.parametrize("inside", ["", "in a group"])
@pytest.mark.parametrize("given", ["store", "group", "group of a store"])
def test_a_store_or_group_that_was_made_before_is_opened_from_beside(
    given: str, inside: str, tmp_path: Path
) -> None:
    root = tmp_path / inside
    root.mkdir(exist_ok=True)
    target = root / "a.ome.zarr"
    save(target, 1)
    if inside:
        zarr.create_group(root)
    group = zarr.open_group(target, mode="r")
    if given == "group of a store":
        group = zarr.open_group(root if inside else target, path="a.ome.zarr" if inside else "", mode="r")
    leave_aside(target)
    before = sorted(tmp_path.rglob("*"))
    with pytest.warns(OmeNgffWarning, match="was interrupted"):
        assert opened(zarr.storage.LocalStore(target) if given == "store" else group) == {1}
    if given != "store":
        with pytest.warns(OmeNgffWarning, match="was interrupted"):
            assert len(seeds(read_multiscale_group(group))) == 1
    assert sorted(tmp_path.rglob("*")) == before, "a look changes nothing"


@pytest.mark.parametrize("version", VERSIONS)
def test_label_images_are_opened_from_beside(version: str, tmp_path: Path) -> None:
    target = tmp_path / "a.ome.zarr"
    save(target, 1, version)
    leave_aside(target / "labels")
    with pytest.warns(OmeNgffWarning, match=r"was interrupted.*puts it back"):
        assert opened(target) == {1}
    write_labels(store=target, labels={"nuclei": MultiscaleSource(image=image(1))}).run()
    found = open_ome_ngff(target)
    assert isinstance(found, Image)
    assert sorted(found.labels) == ["cells", "nuclei"]
    assert not list(tmp_path.rglob("*.ngff-*"))


@pytest.mark.parametrize("opened_from", ["its place", "beside"])
@pytest.mark.parametrize("how", ["image", "arrays"])
def test_a_save_may_read_from_what_was_left_aside(how: str, opened_from: str, tmp_path: Path) -> None:
    """Whether it was opened before the other save was killed or after."""
    target = tmp_path / "a.ome.zarr"
    save(target, 1)
    if opened_from == "its place":
        before = open_ome_ngff(target, array_wrapper={"name": "dask_array", "config": {}})
        leave_aside(target)
    else:
        leave_aside(target)
        with pytest.warns(OmeNgffWarning, match="was interrupted"):
            before = open_ome_ngff(target, array_wrapper={"name": "dask_array", "config": {}})
    assert isinstance(before, Image)
    source: Any = {"image": before.arrays["0"] + 1} if how == "image" else {"arrays": before.arrays}
    write_multiscale_group(store=target, overwrite=True, **source).run()
    assert int(open_ome_ngff(target).arrays["0"].values.max()) == (2 if how == "image" else 1)
    assert not list(tmp_path.rglob("*.ngff-*"))
