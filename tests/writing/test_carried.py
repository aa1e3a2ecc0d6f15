"""What is read and changed is written with its names, colours, contrast and the keys of others."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
from zarr.storage import MemoryStore

from napari_ome_ngff import (
    Channel,
    DaskArrayWrapper,
    Image,
    LabelImage,
    MultiscaleSource,
    Window,
    open_ome_ngff,
    write_hierarchy,
    write_labels,
    write_multiscale_group,
)

PIXELS = xr.DataArray(np.arange(2 * 4 * 8 * 8, dtype="uint16").reshape(2, 4, 8, 8), dims=("c", "z", "y", "x"))
WINDOW = Window(start=3, end=500, min=0, max=4095)
COLORS = {"a": "FF0000", "b": "0000FF"}
CHANNELS = tuple(Channel(label=name, color=color, window=WINDOW) for name, color in COLORS.items())
LABELS = LabelImage(colors={1: (255, 0, 0, 255)}, properties=({"label-value": 1, "area": 5},))
VERSIONS = ("0.4", "0.5", "0.6")


def written(version: str = "0.5") -> MemoryStore:
    """An image with colours, a label image, and keys of others at the top and inside."""
    store = MemoryStore()
    cells = MultiscaleSource(image=PIXELS[0] % 3, label_image=LABELS)
    write_multiscale_group(
        store=store,
        image=PIXELS,
        channels=CHANNELS,
        name="colony",
        labels={"cells": cells},
        ngff_version=version,
    ).run()
    group = zarr.open_group(store)
    attributes = group.attrs.asdict()
    ours = attributes.get("ome", attributes)
    ours["multiscales"][0]["@of others"] = 1
    ours["omero"]["rdefs"] = {"defaultZ": 3, "model": "color"}
    group.attrs.put({**attributes, "mine": {"key": 2}})
    return store


def opened(store: Any, **options: Any) -> Image:
    image = open_ome_ngff(store, **options)
    assert isinstance(image, Image)
    assert image.multiscale is not None
    return image


def about(image: Image) -> Any:
    multiscale = image.multiscale
    assert multiscale is not None
    return (
        multiscale.name,
        multiscale.channels,
        multiscale.omero_extra,
        multiscale.extra,
        dict(image.attributes),
    )


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("wrapper", ["zarr_array", "dask_array"])
def test_an_image_that_is_read_changed_and_written_in_its_place_keeps_what_it_says(
    version: str, wrapper: str
) -> None:
    store = written(version)
    before = opened(store, array_wrapper={"name": wrapper, "config": {}})
    changed = before.arrays["0"] + 1
    write_multiscale_group(store=store, image=changed, overwrite=True, ngff_version=version).run()
    after = opened(store)
    assert about(after) == about(before)
    assert list(after.labels) == ["cells"]
    np.testing.assert_array_equal(after.arrays["0"].values, PIXELS + 1)


def test_it_keeps_it_also_if_the_array_says_nothing() -> None:
    """Older xarray forgets attributes in arithmetic."""
    store = written()
    before = opened(store)
    write_multiscale_group(store=store, image=(before.arrays["0"] + 1).drop_attrs(), overwrite=True).run()
    assert about(opened(store)) == about(before)


@pytest.mark.parametrize(
    "change",
    [
        lambda array: np.sqrt(array + 1.0),
        lambda array: pickle.loads(pickle.dumps(array)),
        lambda array: array.where(array > 9, 0),
        lambda array: array.compute().astype("int32"),
        lambda array: array.to_dataset(name="image")["image"],
    ],
)
def test_an_array_carries_what_it_was_read_from_to_another_place(change: Callable[[Any], Any]) -> None:
    before = opened(written())
    store = MemoryStore()
    write_multiscale_group(store=store, image=change(before.arrays["0"]).rename("colony")).run()
    assert about(opened(store)) == about(before)


def test_channels_follow_the_pixels() -> None:
    array = opened(written()).arrays["0"]
    for part, labels in ((array[::-1], ["b", "a"]), (array[1:], ["b"]), (array[1], ["b"])):
        store = MemoryStore()
        write_multiscale_group(store=store, image=part).run()
        multiscale = opened(store).multiscale
        assert multiscale is not None
        assert [channel.label for channel in multiscale.channels] == labels
        assert [channel.color for channel in multiscale.channels] == [COLORS[label] for label in labels]


def test_what_is_not_true_of_the_new_pixels_is_not_kept() -> None:
    array = opened(written()).arrays["0"]
    store = MemoryStore()
    write_multiscale_group(store=store, image=(array[:, :2] % 200).astype("uint8"), name="other").run()
    multiscale = opened(store).multiscale
    assert multiscale is not None
    assert multiscale.name == "other"
    assert multiscale.omero_extra == {"rdefs": {"model": "color"}}
    assert multiscale.channels[0].color == "FF0000"
    assert multiscale.channels[0].window is not None
    assert multiscale.channels[0].window.end is not None
    assert multiscale.channels[0].window.end <= 255


def test_a_mask_is_not_the_image_that_it_was_made_of() -> None:
    store = written()
    mask = (opened(store).arrays["0"][0] > 100).astype("uint16")
    write_labels(store=store, labels={"bright": MultiscaleSource(image=mask)}).run()
    bright = opened(store).labels["bright"].multiscale
    assert bright is not None
    assert bright.channels == ()
    assert bright.label_image == LabelImage(source="../../")


def test_labels_keep_their_colours_and_what_was_measured_of_them_only_if_they_were_read() -> None:
    store = written()
    for labels, properties in (
        (opened(store).labels["cells"].arrays["0"] * 1, LABELS.properties),
        (PIXELS[0].drop_attrs() % 2, ()),
    ):
        again = written()
        sources = {"": MultiscaleSource(image=PIXELS), "labels/cells": MultiscaleSource(image=labels)}
        write_hierarchy(store=again, sources=sources, overwrite=True).run()
        multiscale = opened(again).labels["cells"].multiscale
        assert multiscale is not None
        assert multiscale.label_image is not None
        assert multiscale.label_image.colors == LABELS.colors
        assert multiscale.label_image.properties == properties


def test_another_image_in_its_place_is_described_anew() -> None:
    store = written()
    write_multiscale_group(
        store=store, image=xr.DataArray(np.ones((8, 8), "uint8"), dims=("y", "x")), overwrite=True
    ).run()
    image = opened(store)
    assert image.multiscale is not None
    assert (image.multiscale.name, image.multiscale.channels) == ("image", ())
    assert image.attributes == {"mine": {"key": 2}}


def test_what_an_array_carries_is_text_that_every_format_holds() -> None:
    array = opened(written(), array_wrapper=DaskArrayWrapper()).arrays["0"]
    (text,) = array.attrs.values()
    assert json.loads(text)["mine"] == {"key": 2}
    for text in ("no JSON", "[]", "{}", '{"multiscales": 3}'):
        store = MemoryStore()
        write_multiscale_group(store=store, image=array.assign_attrs(dict.fromkeys(array.attrs, text))).run()
        assert opened(store).arrays["0"].shape == array.shape
