"""xarray's Datasets and DataTrees are written: levels, label images, and what their attrs say."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
from zarr.storage import MemoryStore

from napari_ome_ngff import (
    Channel,
    Image,
    LabelImage,
    MultiscaleSource,
    OmeNgffWarning,
    OptionError,
    Window,
    create_multiscale_group,
    model_multiscale_group,
    open_ome_ngff,
    plan_hierarchy,
    write_hierarchy,
    write_multiscale_group,
)

CHANNELS = tuple(
    Channel(label=name, color=color, window=Window(start=1, end=9, min=0, max=99), active=name == "GFP")
    for name, color in (("DAPI", "0000FF"), ("GFP", "00FF00"), ("RFP", "FF0000"))
)


def image(shape: tuple[int, ...] = (3, 32, 48)) -> xr.DataArray:
    values = np.random.default_rng(0).integers(1, 99, shape).astype("u2")
    dims = ("c", "y", "x")[-len(shape) :]
    coords = {
        dim: (dim, 5 + 0.5 * np.arange(n), {"units": "micrometer"})
        for dim, n in zip(dims[-2:], shape[-2:], strict=True)
    }
    return xr.DataArray(values, dims=dims, coords=coords)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("tree") / "a.ome.zarr"
    colors = LabelImage(colors={1: (255, 0, 0, 255)}, properties=({"label-value": 1, "area": 7},))
    main = MultiscaleSource(
        image=image(), levels=2, channels=CHANNELS, name="embryo", attributes={"lab": {"room": 7}}
    )
    labels = MultiscaleSource(image=image((32, 48)), levels=2, label_image=colors)
    write_hierarchy(store=target, sources={"": main, "labels/cells": labels}).run()
    return target


def opened(place: Any) -> Image:
    result = open_ome_ngff(place)
    assert isinstance(result, Image)
    return result


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


WAYS = {
    "write_hierarchy": lambda store, tree: write_hierarchy(store=store, sources=tree).run(),
    "arrays": lambda store, tree: write_multiscale_group(store=store, arrays=tree).run(),
    "pixels": lambda store, tree: create_multiscale_group(store=store, pixels=tree).run(),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_tree_that_was_opened_is_written_as_it_is(source: Path, tmp_path: Path, way: str) -> None:
    """Names, colours, labels, tables and attributes of others too; chunks byte for byte."""
    if way == "pixels":  # whose default is another version
        WAYS[way](tmp_path / "b.ome.zarr", xr.open_datatree(source))
        assert opened(tmp_path / "b.ome.zarr").multiscale.version == "0.4"  # type: ignore[union-attr]
        return
    WAYS[way](tmp_path / "b.ome.zarr", xr.open_datatree(source))
    assert files(tmp_path / "b.ome.zarr") == files(source)


def test_a_copy_is_made_of_the_stored_chunks(source: Path) -> None:
    plan = plan_hierarchy(sources=xr.open_datatree(source), store=source.parent / "c.ome.zarr")
    assert all(level.copied for each in plan.multiscales for level in each.levels)
    tree = xr.open_datatree(source)
    tree["0/image"].load()
    assert not plan_hierarchy(sources=tree).multiscales[0].levels[0].copied


def test_a_tree_that_was_computed_keeps_what_its_attrs_say(source: Path, tmp_path: Path) -> None:
    tree = xr.open_datatree(source, chunks={})
    with xr.set_options(keep_attrs=True):
        brighter = tree.map_over_datasets(lambda ds: ds + 1 if ds.data_vars else ds)
    write_multiscale_group(store=tmp_path / "b.ome.zarr", arrays=brighter).run()
    after, before = opened(tmp_path / "b.ome.zarr"), opened(source)
    assert after.multiscale == before.multiscale
    assert after.attributes == {"lab": {"room": 7}}
    assert after.labels["cells"].multiscale == before.labels["cells"].multiscale
    for path, level in before.arrays.items():
        xr.testing.assert_identical(after.arrays[path], level + 1)


@pytest.mark.parametrize(("chosen", "names"), [([2, 0], ["RFP", "DAPI"]), (slice(1, 2), ["GFP"])])
def test_channels_that_are_left_keep_their_looks(source: Path, chosen: Any, names: list[str]) -> None:
    """Channels in another order would be a negative scale; so they are placed anew."""
    level = xr.open_dataset(source, group="0").isel(c=chosen)
    store = MemoryStore()
    if names == ["RFP", "DAPI"]:
        level = level.drop_vars("c").assign_coords(c=("c", [2.0, 0.0], {"scale": -2.0}))
    write_multiscale_group(store=store, image=level).run()
    assert [channel.label for channel in opened(store).multiscale.channels] == names  # type: ignore[union-attr]


def test_a_dataset_is_an_image(source: Path) -> None:
    store = MemoryStore()
    write_multiscale_group(store=store, image=xr.open_dataset(source), levels=2).run()
    assert [a.shape for a in opened(store).arrays.values()] == [(3, 32, 48), (3, 16, 24)]
    assert opened(store).multiscale.name == "embryo"  # type: ignore[union-attr]
    store = MemoryStore()
    write_hierarchy(store=store, sources=xr.open_dataset(source, group="labels/cells/1")).run()
    label_image = opened(store).multiscale.label_image  # type: ignore[union-attr]
    assert label_image is not None
    assert label_image.colors == {1: (255, 0, 0, 255)}


def test_trees_of_others_are_written(tmp_path: Path) -> None:
    """Those of multiscale-spatial-image: scale0, scale1 ..., each with a variable "image"."""
    fine = image()
    tree = xr.DataTree.from_dict(
        {
            "scale1": fine.coarsen(y=2, x=2).mean().astype("u2").to_dataset(name="image"),
            "scale0": fine.to_dataset(name="image"),
            "labels/a/b/scale0": fine[0].to_dataset(name="image"),
        }
    )
    tree.attrs = {"lab": np.float32(0.5), "who": {1, 2}}
    with pytest.warns(OmeNgffWarning, match=r"cannot be stored as JSON and is left out: 'who' \(set\)"):
        write_multiscale_group(store=tmp_path / "b.ome.zarr", arrays=tree).run()
    after = opened(tmp_path / "b.ome.zarr")
    assert list(after.arrays) == ["scale0", "scale1"]
    assert list(after.labels) == ["a/b"]
    assert after.attributes == {"lab": 0.5}
    assert after.arrays["scale1"].x.values[0] == 5.25


def test_a_tree_of_one_level_gets_its_lower_levels_unless_it_says_what_it_is() -> None:
    tree = xr.DataTree.from_dict({"s0": image((600, 600)).to_dataset(name="cells")})
    store = MemoryStore()
    write_hierarchy(store=store, sources=tree).run()
    assert list(opened(store).arrays) == ["0", "1"]
    assert opened(store).multiscale.name == "cells"  # type: ignore[union-attr]
    assert list(model_multiscale_group(arrays=tree).members or ()) == ["s0"]
    group = create_multiscale_group(store=MemoryStore(), arrays=tree)
    assert isinstance(group, zarr.Group)
    assert list(group) == ["s0"]
    alone = xr.DataTree(image((600, 600)).to_dataset(name="a"))
    assert list(model_multiscale_group(sources=alone).members or ()) == ["0", "1"]


def test_what_is_no_image_is_refused_by_name() -> None:
    two = xr.Dataset({"a": image(), "b": image()})
    with pytest.raises(OptionError, match="The image has 2 variables: which of them is the image"):
        write_multiscale_group(store=MemoryStore(), image=two)
    with pytest.raises(OptionError, match="Group 's0' has 2 variables"):
        write_hierarchy(store=MemoryStore(), sources=xr.DataTree.from_dict({"s0": two}))
    labels = xr.DataTree.from_dict({"labels/a/0": image().to_dataset(name="a")})
    with pytest.raises(OptionError, match=r"DataTree without levels.\nFound: label images a"):
        write_hierarchy(store=MemoryStore(), sources=labels)


def test_an_empty_group_never_takes_the_place_of_what_a_tree_is_read_from(source: Path) -> None:
    from napari_ome_ngff import TargetError

    with pytest.raises(TargetError, match="read from the group that would be replaced"):
        create_multiscale_group(store=os.fspath(source), arrays=xr.open_datatree(source), overwrite=True)
