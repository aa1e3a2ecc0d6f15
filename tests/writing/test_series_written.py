"""Several images in one hierarchy: what may be written, and that each is what it would be alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray
import zarr
from zarr.storage import MemoryStore

from napari_ome_ngff import MultiscaleSource, OptionError, TargetError, open_ome_ngff, write_hierarchy
from napari_ome_ngff.errors import MetadataError
from napari_ome_ngff.metadata.collections.bioformats2raw import encode_series
from napari_ome_ngff.writing.write import plan_hierarchy


def source(dims: str = "zyx", dtype: str = "uint16", **options: Any) -> MultiscaleSource:
    shape = [{"t": 2, "c": 3, "z": 5}.get(dim, 700) for dim in dims]
    values = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    return MultiscaleSource(image=xarray.DataArray(values, dims=list(dims)), **options)


def write(store: Any, sources: dict[str, MultiscaleSource], **options: Any) -> None:
    for _ in write_hierarchy(store=store, sources=sources, **options):
        pass


@pytest.mark.parametrize("version", ["0.4", "0.5", "0.6"])
def test_each_image_is_what_it_would_be_alone(version: str) -> None:
    sources = {
        "0": source(name="stack"),
        "0/labels/cells": source("zyx", "int32"),
        "1": source("cyx", name="c"),
    }
    together, alone = MemoryStore(), (MemoryStore(), MemoryStore())
    write(together, sources, ngff_version=version)
    write(alone[0], {"": sources["0"], "labels/cells": sources["0/labels/cells"]}, ngff_version=version)
    write(alone[1], {"": sources["1"]}, ngff_version=version)
    root = zarr.open_group(together, mode="r")
    for index, store in enumerate(alone):
        one, other = root[str(index)], zarr.open_group(store, mode="r")
        assert one.attrs.asdict() == other.attrs.asdict()
        members = dict(one.members(max_depth=None))
        assert set(members) == set(dict(other.members(max_depth=None)))
        for path, node in members.items():
            assert node.attrs.asdict() == other[path].attrs.asdict()
            if isinstance(node, zarr.Array):
                assert node.metadata == other[path].metadata
                np.testing.assert_array_equal(node[:], other[path][:])
    opened = open_ome_ngff(root)
    assert list(opened.images) == ["stack", "c"]
    assert list(opened.images["stack"].labels) == ["cells"]


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        (["", "0"], "only one"),
        (["labels/a", "0"], "only one"),
        (["0", "1/labels/a"], "need their image"),
        (["0", "2"], "numbered from 0"),
        (["a"], "numbered from 0"),
        (["0", "OME"], "numbered from 0"),
        (["0/1"], "numbered from 0"),
    ],
)
def test_what_is_no_collection_is_refused(paths: list[str], words: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=words):
        write_hierarchy(store=tmp_path / "a.zarr", sources={path: source("yx") for path in paths})
    assert not list(tmp_path.iterdir())


def test_one_choice_of_chunks_fits_images_of_any_number_of_axes() -> None:
    sources = {
        "0": source("yx"),
        "1": source("tczyx"),
        "1/labels/a": source("zyx", "uint8"),
        "2": source("zyx"),
    }
    plans = plan_hierarchy(sources=sources, chunks=(2, 64, 128)).multiscales
    chunks = {plan.path: plan.levels[0].chunks for plan in plans}
    assert chunks == {
        "0": (64, 128),
        "1": (1, 1, 2, 64, 128),
        "1/labels/a": (2, 64, 128),
        "2": (2, 64, 128),
    }
    with pytest.raises(OptionError, match="chunks do not fit"):
        plan_hierarchy(sources={"": source("yx")}, chunks=(2, 64, 128))


@pytest.mark.parametrize("overwrite", [False, True])
def test_it_never_takes_the_place_of_anything(overwrite: bool, tmp_path: Path) -> None:
    collection = {"0": source("yx"), "1": source("yx")}
    write(tmp_path / "a.zarr", collection)
    write(tmp_path / "b.zarr", {"": source("yx")})
    for name, sources in (("a", collection), ("b", collection), ("a", {"": source("yx")})):
        with pytest.raises(TargetError):
            write_hierarchy(store=tmp_path / f"{name}.zarr", sources=sources, overwrite=overwrite)


@pytest.mark.parametrize("paths", [[], ["0", "0"], ["../0"]])
def test_a_list_of_images_is_checked(paths: list[str]) -> None:
    with pytest.raises(MetadataError):
        encode_series(paths, "0.5")
