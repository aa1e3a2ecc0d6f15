"""What reading gives, `save_ome_ngff` takes back: label images, colours, tables, and the keys of others."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from zarr.storage import MemoryStore

from napari_ome_ngff import (
    Channel,
    Collection,
    Image,
    LabelImage,
    MultiscaleSource,
    OmeNgffWarning,
    OptionError,
    Window,
    label_tables,
    open_ome_ngff,
    save_ome_ngff,
    write_hierarchy,
    write_plate,
)
from tests.whole.test_unchanged import all_differences, documents, with_others_around

VERSIONS = ("0.4", "0.5", "0.6")
PIXELS = np.arange(2 * 16 * 20, dtype="uint16").reshape(2, 16, 20)


def full(place: Any, version: str) -> Image:
    """An image with colours, contrast, levels, and label images with colours, a table and levels."""
    window = Window(start=3, end=500, min=0, max=4095)
    channels = [
        Channel(label=name, color=color, window=window) for name, color in (("a", "FF0000"), ("b", "0000FF"))
    ]
    table = {"label-value": np.arange(30), "area": np.arange(30) * 0.5}
    about = LabelImage(colors={1: (255, 0, 0, 255)}, table=table)
    cells = MultiscaleSource(image=xr.DataArray(PIXELS[0] % 30, dims=("y", "x")), label_image=about, levels=2)
    return save_ome_ngff(
        place,
        [PIXELS, PIXELS[:, ::2, ::2]],
        axes="cyx",
        scale=0.5,
        units="um",
        channels=channels,
        labels={"cells": cells},
        ngff_version=version,
        name="colony",
    )


def described(image: Image) -> Any:
    """All that an image says, whatever its version, with its label images."""
    multiscale = image.multiscale
    assert multiscale is not None
    table = multiscale.label_image and multiscale.label_image.table
    return (
        replace(multiscale, version="", system=None),
        {name: list(column) for name, column in (table or {}).items()},
        {path: (array.shape, array.values.tolist()) for path, array in image.arrays.items()},
        image.attributes,
        image.groups,
        {name: described(label) for name, label in image.labels.items()},
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_an_opened_image_is_saved_as_it_was_in_every_version(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label_tables, "LARGEST_IN_JSON", 20)
    image = full(MemoryStore(), version)
    for other in VERSIONS:
        again = save_ome_ngff(MemoryStore(), image, ngff_version=other)
        assert again.multiscale is not None
        assert again.multiscale.version == other
        assert described(again) == described(image)


@pytest.mark.parametrize("version", VERSIONS)
def test_without_a_version_every_document_and_every_chunk_is_the_same(version: str, tmp_path: Path) -> None:
    one, other = tmp_path / "a.zarr", tmp_path / "b.zarr"
    with_others_around(one, version)
    save_ome_ngff(other, open_ome_ngff(one))
    assert all_differences(documents(one), documents(other)) == []
    chunks = [path for path in one.rglob("*") if path.is_file() and "z" not in path.name]
    assert len(chunks) > 10
    assert all(path.read_bytes() == (other / path.relative_to(one)).read_bytes() for path in chunks)


@pytest.mark.parametrize("engine", ["a tree", "a changed tree"])
def test_a_datatree_that_was_opened_keeps_what_its_groups_say(engine: str, tmp_path: Path) -> None:
    image = full(tmp_path / "a.ome.zarr", "0.5")
    tree = xr.open_datatree(tmp_path / "a.ome.zarr", engine="ome-ngff")
    more = 0 if engine == "a tree" else 1
    again = save_ome_ngff(MemoryStore(), tree + more if more else tree)
    assert again.multiscale is not None
    assert image.multiscale is not None
    assert again.multiscale.channels == image.multiscale.channels
    np.testing.assert_array_equal(again.arrays["0"].values, PIXELS + more)
    assert list(again.labels) == ["cells"]
    tree.close()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_collection_and_a_plate_are_saved_whole(version: str, tmp_path: Path) -> None:
    image = full(MemoryStore(), "0.5")
    sources = {str(i): MultiscaleSource(arrays=image.arrays, name=f"image {i}") for i in range(2)}
    write_hierarchy(store=tmp_path / "a.zarr", sources=sources).run()
    write_plate(store=tmp_path / "p.zarr", fields={("A", 1): [PIXELS[0]], ("B", 2): [PIXELS[1]]}).run()
    for name in ("a", "p"):
        opened = open_ome_ngff(tmp_path / f"{name}.zarr")
        assert isinstance(opened, Collection)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OmeNgffWarning)  # what is beside the images is not copied
            again = save_ome_ngff(tmp_path / f"{name}-again.zarr", opened, ngff_version=version)
        assert (again.kind, len(again.images)) == (opened.kind, len(opened.images))
        assert (again.plate and again.plate.wells) == (opened.plate and opened.plate.wells)
        for one, other in zip(again.images.values(), opened.images.values(), strict=True):
            np.testing.assert_array_equal(one.arrays["0"].values, other.arrays["0"].values)
    with pytest.raises(OptionError, match="scale is for one image, and this plate holds several"):
        save_ome_ngff(tmp_path / "b.zarr", tmp_path / "p.zarr", scale=2)


def test_coordinate_systems_that_a_version_has_no_place_for_are_named(corpus: Path) -> None:
    image = open_ome_ngff(corpus / "generated/ome-zarr-py-0.21/classes_0.6.zarr")
    assert isinstance(image, Image)
    assert image.multiscale is not None
    system = {
        "name": "world",
        "axes": [{"name": axis.name, "type": axis.type} for axis in image.multiscale.axes],
    }
    extra = {**image.multiscale.extra, "coordinateSystems": [{"name": image.multiscale.system}, system]}
    image = replace(image, multiscale=replace(image.multiscale, extra=extra))
    with pytest.warns(OmeNgffWarning, match="not where it lies in world"):
        save_ome_ngff(MemoryStore(), image, ngff_version="0.5")
