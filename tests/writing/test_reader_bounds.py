"""What we write, we open: the reader's bounds are those of the plan, and what they allow comes back whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray
import zarr

from napari_ome_ngff import (
    Channel,
    Image,
    LabelImage,
    MetadataError,
    MultiscaleSource,
    OmeNgffError,
    label_tables,
    open_ome_ngff,
    plan_hierarchy,
    write_hierarchy,
    write_labels,
    write_multiscale_group,
)
from napari_ome_ngff.metadata.collections import bioformats2raw, plates
from napari_ome_ngff.metadata.image import datasets, label_images, omero
from napari_ome_ngff.storage.places import requests
from tests.strategies import VERSIONS

PIXELS = xarray.DataArray(np.arange(16, dtype="u1").reshape(4, 4) % 3, dims=("y", "x"))
Sources = Mapping[str, MultiscaleSource]


def labels_of(**label_image: Any) -> Sources:
    source = MultiscaleSource(image=PIXELS, label_image=LabelImage(**label_image))
    return {"": MultiscaleSource(image=PIXELS), "labels/cells": source}


def with_levels(count: int) -> Sources:
    return {"": MultiscaleSource(arrays={str(i): PIXELS for i in range(count)})}


def with_channels(count: int) -> Sources:
    image = PIXELS.expand_dims(c=count)
    return {"": MultiscaleSource(image=image, channels=tuple(Channel(label=str(i)) for i in range(count)))}


def with_labels(count: int) -> Sources:
    return {"": MultiscaleSource(image=PIXELS)} | {
        f"labels/{i}": MultiscaleSource(image=PIXELS) for i in range(count)
    }


def with_images(count: int) -> Sources:
    return {str(i): MultiscaleSource(image=PIXELS) for i in range(count)}


def with_colors(count: int) -> Sources:
    return labels_of(colors=dict.fromkeys(range(count), (1, 2, 3, 4)))


def with_properties(count: int) -> Sources:
    return labels_of(properties=tuple({"label-value": i, "a": i} for i in range(count)))


def with_document(size: int) -> Sources:
    """A document of about this many kilobytes."""
    return {"": MultiscaleSource(image=PIXELS, attributes={"others": "x" * (size * 1000)})}


def with_name(size: int) -> Sources:
    return {"": MultiscaleSource(image=PIXELS, name="x" * (size * 1000))}


BOUNDS = [
    pytest.param(with_levels, datasets, "MOST_LEVELS", id="levels"),
    pytest.param(with_channels, omero, "_MOST_CHANNELS", id="channels"),
    pytest.param(with_labels, label_images, "MOST_LABELS", id="label images"),
    pytest.param(with_images, plates, "MAX_ENTRIES", id="images"),
    pytest.param(with_colors, label_images, "_MOST_VALUES", id="colours"),
    pytest.param(with_properties, label_images, "_MOST_VALUES", id="properties"),
]
MOST = 5


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("make", "module", "name"), BOUNDS)
def test_as_many_as_are_read_are_written_and_one_more_is_refused(
    make: Callable[[int], Sources],
    module: Any,
    name: str,
    version: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, name, MOST)
    store = zarr.storage.MemoryStore()
    most, more = make(MOST), make(MOST + 1)
    with pytest.raises(MetadataError, match="more"):
        plan_hierarchy(sources=more, ngff_version=version)
    with pytest.raises(MetadataError, match="more"):
        write_hierarchy(store=store, sources=more, ngff_version=version)
    assert not store._store_dict
    write_hierarchy(store=store, sources=most, ngff_version=version).run()
    read = open_ome_ngff(store)
    images = [read] if isinstance(read, Image) else list(read.images.values())
    assert len(images) == len({path.partition("labels")[0] for path in most})
    labels = images[0].labels
    counts: list[int] = [len(images), len(images[0].arrays), len(labels)]
    assert images[0].multiscale is not None
    counts.append(len(images[0].multiscale.channels))
    for label in labels.values():
        assert label.multiscale is not None
        about = label.multiscale.label_image or LabelImage()
        counts += [len(about.colors), len(about.properties)]
    assert MOST in counts


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", ["folder", "file", "memory"])
@pytest.mark.parametrize("make", [with_document, with_name])
def test_the_largest_document_is_read_back_and_a_larger_one_is_refused(
    make: Callable[[int], Sources], kind: str, version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "file" and version == "0.4":
        return
    monkeypatch.setattr(requests, "MAX_DOCUMENT_BYTES", 20_000)
    places = {
        "folder": tmp_path / "a.ome.zarr",
        "file": tmp_path / "a.ozx",
        "memory": zarr.storage.MemoryStore(),
    }
    store: Any = places[kind]
    with pytest.raises(MetadataError, match="too large to be read again"):
        write_hierarchy(store=store, sources=make(20), ngff_version=version)
    with pytest.raises(MetadataError, match="too large to be read again"):
        plan_hierarchy(sources=make(20), ngff_version=version)
    assert not list(tmp_path.iterdir())
    write_hierarchy(store=store, sources=make(17), ngff_version=version).run()
    read = open_ome_ngff(store)
    assert isinstance(read, Image)
    assert read.multiscale is not None
    assert len(str(read.attributes)) > 17_000 or len(read.multiscale.name or "") == 17_000


def test_what_is_kept_of_an_old_image_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_images, "MOST_LABELS", 2)
    monkeypatch.setattr(requests, "MAX_DOCUMENT_BYTES", 20_000)
    path = tmp_path / "a.ome.zarr"
    write_hierarchy(store=path, sources={**with_labels(2), **with_document(12)}).run()
    with pytest.raises(MetadataError, match="more label images"):
        write_labels(store=path, labels={"third": MultiscaleSource(image=PIXELS)})
    with pytest.raises(MetadataError, match="too large to be read again"):
        write_multiscale_group(store=path, image=PIXELS, name="x" * 12_000, overwrite=True)
    image = open_ome_ngff(path)
    assert isinstance(image, Image)
    assert list(image.labels) == ["0", "1"]


def test_a_description_of_a_collection_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bioformats2raw, "MAX_XML_BYTES", 300)
    with pytest.raises(MetadataError, match="too large to be read again"):
        plan_hierarchy(sources=with_images(3))


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize("depth", [3, 50, 150, 5000])
def test_nested_attributes_are_read_back_or_refused(depth: int, tmp_path: Path) -> None:
    source = MultiscaleSource(image=PIXELS, attributes={"others": nested(depth)})
    try:
        write_hierarchy(store=tmp_path / "a.ome.zarr", sources={"": source}).run()
    except OmeNgffError:
        assert not list(tmp_path.iterdir())
    else:
        image = open_ome_ngff(tmp_path / "a.ome.zarr")
        assert str(image.attributes["others"]) == str(nested(depth))


def test_a_table_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_tables, "LARGEST_IN_JSON", 20)
    monkeypatch.setattr(label_tables, "MOST_BYTES", 100)
    with pytest.raises(MetadataError, match="table of the labels is too large"):
        plan_hierarchy(sources=with_properties(20))
