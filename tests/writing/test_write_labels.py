"""Label images onto an image that is there: laws of what changes and what does not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray
import zarr
from zarr.storage import MemoryStore

from napari_ome_ngff import (
    LabelImage,
    MultiscaleSource,
    OptionError,
    TargetError,
    open_ome_ngff,
    write_hierarchy,
    write_labels,
    write_multiscale_group,
)
from tests.strategies import VERSIONS


def pixels(seed: int = 0, dtype: str = "uint16") -> xarray.DataArray:
    values = np.random.default_rng(seed).integers(1, 200, (6, 70, 90)).astype(dtype)
    return xarray.DataArray(values, dims=("z", "y", "x"), name="cells")


def source(seed: int, **options: Any) -> MultiscaleSource:
    return MultiscaleSource(image=pixels(seed, "uint32"), **options)


def run(steps: Any) -> None:
    for _ in steps:
        pass


def files(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Inode and content of every file."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): (path.stat().st_ino, path.read_bytes()) for path in found}


@pytest.mark.parametrize("version", ["0.4", "0.5", "0.6"])
def test_the_image_is_not_touched(version: str, tmp_path: Path) -> None:
    target = tmp_path / "a.ome.zarr"
    run(write_multiscale_group(store=target, image=pixels(), ngff_version=version))
    before = files(target)
    run(write_labels(store=target, labels={"nuclei": source(1)}))
    after = files(target)
    assert {name: after[name] for name in before} == before
    assert all(name.startswith("labels/") for name in set(after) - set(before))
    opened = open_ome_ngff(target)
    np.testing.assert_array_equal(opened.labels["nuclei"].arrays["0"], pixels(1))
    assert opened.labels["nuclei"].multiscale.version == version
    assert opened.labels["nuclei"].multiscale.label_image.source == "../../"
    assert os.listdir(tmp_path) == ["a.ome.zarr"]


@pytest.mark.parametrize("version", ["0.4", "0.5", "0.6"])
def test_others_stay_registered_and_as_they_are(version: str, tmp_path: Path) -> None:
    target = tmp_path / "a.ome.zarr"
    run(write_multiscale_group(store=target, image=pixels(), ngff_version=version, labels={"old": source(1)}))
    group = zarr.open_group(target / "labels", mode="r+")
    group.attrs["mine"] = {"kept": True}
    (target / "labels" / "old" / "notes.txt").write_text("kept")
    before = files(target / "labels" / "old")
    look = LabelImage(colors={1: (255, 0, 0, 255)})
    run(write_labels(store=target, labels={"new": source(2, label_image=look)}))
    assert files(target / "labels" / "old") == before
    assert zarr.open_group(target / "labels", mode="r").attrs["mine"] == {"kept": True}
    opened = open_ome_ngff(target)
    assert list(opened.labels) == ["old", "new"]
    assert opened.labels["new"].multiscale.label_image.colors == look.colors
    with pytest.raises(TargetError, match="has a label image 'old' already"):
        write_labels(store=target, labels={"old": source(3)})
    run(write_labels(store=target, labels={"old": source(3)}, overwrite=True))
    opened = open_ome_ngff(target)
    assert list(opened.labels) == ["old", "new"], "each keeps its place in the list"
    np.testing.assert_array_equal(opened.labels["old"].arrays["0"], pixels(3))
    np.testing.assert_array_equal(opened.labels["new"].arrays["0"], pixels(2))
    assert (target / "labels" / "old" / "notes.txt").read_text() == "kept"


def test_the_group_of_labels_keeps_its_attributes(tmp_path: Path) -> None:
    target = tmp_path / "a.ome.zarr"
    run(write_multiscale_group(store=target, image=pixels(), labels={"cells": source(0)}))
    zarr.open_group(target, path="labels").attrs["by"] = "me"
    before = zarr.open_group(target, path="labels", mode="r").attrs.asdict()
    came_with = source(1, groups={"..": {"by": "somebody else"}})
    run(write_labels(store=target, labels={"nuclei": came_with}))
    after = zarr.open_group(target, path="labels", mode="r").attrs.asdict()
    assert after == {**before, "ome": {"version": "0.5", "labels": ["cells", "nuclei"]}}
    assert sorted(os.listdir(target / "labels")) == ["cells", "nuclei", "zarr.json"]


def test_into_a_store_in_memory() -> None:
    store = MemoryStore()
    run(write_multiscale_group(store=store, path="well/0", image=pixels(), labels={"old": source(1)}))
    run(write_labels(store=store, path="well/0", labels={"new": source(2)}))
    opened = open_ome_ngff(zarr.open_group(store, path="well/0", mode="r"))
    assert list(opened.labels) == ["old", "new"]
    np.testing.assert_array_equal(opened.arrays["0"], pixels())


def test_without_an_image_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="no image to write label images onto"):
        write_labels(store=tmp_path / "missing.zarr", labels={"a": source(1)})
    assert os.listdir(tmp_path) == []


def test_a_hierarchy_of_labels_alone_never_replaces_the_image(tmp_path: Path) -> None:
    """`overwrite` means the label images that are given, not the image that they are written beside."""
    target = tmp_path / "a.ome.zarr"
    run(write_multiscale_group(store=target, image=pixels()))
    run(write_hierarchy(store=target, sources={"labels/cells": source(1)}, overwrite=True))
    opened = open_ome_ngff(target)
    np.testing.assert_array_equal(opened.arrays["0"], pixels())
    np.testing.assert_array_equal(opened.labels["cells"].arrays["0"], pixels(1))


def test_cancelled_it_leaves_everything_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "a.ome.zarr"
    run(write_multiscale_group(store=target, image=pixels(), labels={"old": source(1)}))
    before = files(target)
    steps = write_labels(store=target, labels={"new": source(2)}, chunks=(2, 32, 32))
    next(steps)
    next(steps)
    steps.close()
    assert files(target) == before
    assert sorted(os.listdir(target)) == ["0", "labels", "zarr.json"]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_label_image_without_coordinates_lies_on_its_image(version: str) -> None:
    store = zarr.storage.MemoryStore()
    coords = {"z": 3.0 + 2 * np.arange(4), "y": ("y", 0.5 * np.arange(32), {"units": "micrometer"})}
    pixels = xarray.DataArray(np.ones((2, 4, 32, 32), "u2"), dims=("c", "z", "y", "x"), coords=coords)
    masks = {
        "all": xarray.DataArray(np.ones((4, 32, 32), "u1"), dims=("z", "y", "x")),
        "half": xarray.DataArray(np.ones((16, 16), "u1"), dims=("y", "x")),
    }
    labels = {name: MultiscaleSource(image=mask, levels=1) for name, mask in masks.items()}
    write_multiscale_group(store=store, image=pixels, labels=labels, ngff_version=version, levels=1).run()
    later = {f"{name} later": label for name, label in labels.items()}
    write_labels(store=store, labels=later).run()
    opened = open_ome_ngff(store).labels
    for suffix in ("", " later"):
        whole, half = opened[f"all{suffix}"].arrays["0"], opened[f"half{suffix}"].arrays["0"]
        np.testing.assert_array_equal(whole.z, pixels.z)
        np.testing.assert_array_equal(whole.y, pixels.y)
        np.testing.assert_array_equal(half.y, 0.25 + np.arange(16))
        assert half.y.attrs["units"] == "micrometer"


@pytest.mark.parametrize("name", ["zarr.json", "cells/.zattrs"])
def test_names_of_documents_are_no_names_of_label_images(name: str) -> None:
    store = zarr.storage.MemoryStore()
    pixels = xarray.DataArray(np.ones((8, 8), "u1"), dims=("y", "x"))
    with pytest.raises(OptionError, match="name of a document"):
        write_multiscale_group(store=store, image=pixels, labels={name: MultiscaleSource(image=pixels)})
