"""Which layers are one image: laws of channels, label images and stores. No napari, no IO."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_ome_ngff.metadata.nouns import Channel, LabelImage
from napari_ome_ngff.plugin.open.to_layers import to_layers
from napari_ome_ngff.plugin.origin import LayerData
from napari_ome_ngff.plugin.save.bundles import Bundle, targets_of
from napari_ome_ngff.plugin.save.from_layers import from_layers
from tests.plugin.test_layers import SIZES, as_saved, make_image


def image(name: str, shape: tuple[int, ...] = (4, 8, 8), dtype: str = "uint8", **meta: Any) -> LayerData:
    return np.ones(shape, dtype), {"name": name, **meta}, "image"


def labels(name: str, shape: tuple[int, ...] = (4, 8, 8), **meta: Any) -> LayerData:
    return np.ones(shape, "uint16"), {"name": name, **meta}, "labels"


def opened(location: str, dims: str = "cyx", **more: Any) -> list[LayerData]:
    """Layers of an image that was opened from a file."""
    count = more.get("sizes", SIZES)["c"]
    channels = tuple(Channel(label=f"image channel {i}") for i in range(count))
    return as_saved(to_layers(make_image(dims, location=location, levels=1, channels=channels, **more)))


def like(layer: LayerData, name: str) -> LayerData:
    """A new layer at the place of another, such as a filter makes it."""
    data, meta, kind = layer
    placing = {key: meta[key] for key in ("scale", "translate", "units", "axis_labels")}
    return np.asarray(data) // 2, placing | {"name": name}, kind


def contents(layers: list[LayerData]) -> list[list[str]]:
    """Names of the channels of each image and of its label images."""
    found = []
    for bundle in from_layers(layers)[0]:
        channels = () if bundle.is_labels else bundle.sources[""].channels
        found.append(
            [*(channel.label or "" for channel in channels), *(f"labels/{n}" for n in bundle.labels)]
        )
    return found


# Channels


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (image("b", (4, 8, 9)), r"size \(4, 8, 8\) and \(4, 8, 9\)"),
        (image("b", (8, 8)), r"axes \(z, y, x\) and \(y, x\)"),
        (image("b", dtype="uint16"), "data type uint8 and uint16"),
        (image("b", scale=[1, 1, 2]), r"scale \(1, 1, 1\) and \(1, 1, 2\)"),
        (image("b", translate=[0, 0, 1]), r"translate \(0, 0, 0\) and \(0, 0, 1\)"),
        (image("b", units=("micrometer",) * 3), "units"),
        (image("b", (4, 8, 8, 3), rgb=True), "one of them is RGB"),
    ],
)
def test_layers_that_differ_are_different_images_and_it_is_said_why(other: LayerData, why: str) -> None:
    bundles, (message,) = from_layers([image("a"), other])
    assert [bundle.name for bundle in bundles] == ["a", "b"]
    assert message.startswith("'a' and 'b' are different images (")
    assert re.search(why, message)


def test_layers_that_have_channels_of_their_own_are_alone() -> None:
    photo = image("a", (8, 8, 3), rgb=True)
    spectrum = image("s", (70, 8, 8), axis_labels=("c", "y", "x"))
    assert len(from_layers([photo, photo])[0]) == 2
    assert len(from_layers([spectrum, spectrum])[0]) == 2


def test_a_filtered_channel_joins_its_image_and_no_other() -> None:
    layers = opened("/data/a.zarr")
    assert contents([*layers, like(layers[0], "smooth")]) == [
        ["image channel 0", "image channel 1", "image channel 2", "smooth"]
    ]
    elsewhere = opened("/data/b.zarr", sizes={"c": 2, "y": 4, "x": 4})
    found = contents([*layers, *elsewhere, like(elsewhere[0], "smooth")])
    assert [len(each) for each in found] == [3, 3]
    assert found[1][-1] == "smooth"


def test_a_filtered_channel_joins_its_image_although_its_axes_have_no_names() -> None:
    """Most plugins copy scale and translation, and neither names nor units of axes."""
    layers = opened("/data/a.zarr", "tcyx")
    data, meta, kind = like(layers[0], "smooth")
    bare = (data, {key: meta[key] for key in ("scale", "translate", "name")}, kind)
    (found,), messages = from_layers([*layers, bare])
    assert (len(found.sources[""].channels), messages) == (4, [])
    assert found.sources[""].image.dims == ("t", "c", "y", "x")
    assert found.sources[""].image.coords["t"].attrs["units"] == "second"
    # Whoever names the axes means it.
    named = (data, bare[1] | {"axis_labels": ("z", "y", "x")}, kind)
    assert len(from_layers([*layers, named])[0]) == 2


def test_images_of_different_files_stay_apart_however_alike() -> None:
    one, other = opened("/data/a.zarr"), opened("/data/b.zarr")
    bundles, messages = from_layers([*one, *other])
    assert [len(bundle.sources[""].channels) for bundle in bundles] == [3, 3]
    assert [bundle.name for bundle in bundles] == ["a", "b"]
    assert messages == [], "they were different before"
    # Which of the two is a new layer a channel of? Nobody can tell: it is neither's.
    assert [len(each) for each in contents([*one, *other, like(one[0], "smooth")])] == [3, 3, 1]


@given(st.permutations(range(6)))
def test_the_order_of_the_list_changes_no_groups(order: list[int]) -> None:
    layers = [*opened("/data/a.zarr"), image("x"), image("y"), image("z", (9, 9))]
    found = contents([layers[i] for i in order])
    assert sorted(map(sorted, found)) == sorted(
        [["image channel 0", "image channel 1", "image channel 2"], ["x", "y"], ["z"]]
    )
    flat = [name for each in found for name in each]
    assert len(flat) == len(layers), "each layer is somewhere, once"


@given(
    st.lists(
        st.tuples(
            st.sampled_from([(8, 8), (4, 8, 8), (4, 8, 9)]),
            st.sampled_from(["uint8", "float32"]),
            st.sampled_from([1.0, 2.0]),
            st.booleans(),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_every_layer_is_saved_once_and_images_are_of_one_kind(kinds: list[Any]) -> None:
    layers = [
        labels(f"layer {i}", shape, scale=[scale] * len(shape))
        if is_labels
        else image(f"layer {i}", shape, dtype, scale=[scale] * len(shape))
        for i, (shape, dtype, scale, is_labels) in enumerate(kinds)
    ]
    found = [name for each in contents(layers) for name in each]
    names = [f"labels/layer_{i}" if kind[3] else f"layer {i}" for i, kind in enumerate(kinds)]
    assert sorted(found) == sorted(names)
    for bundle in from_layers(layers)[0]:
        if not bundle.is_labels:
            source = bundle.sources[""]
            members = [kinds[int((channel.label or "").split()[-1])] for channel in source.channels]
            assert len({member[:3] for member in members}) == 1


def test_places_that_differ_by_rounding_are_the_same() -> None:
    assert len(from_layers([image("a", scale=[0.1 + 0.2] * 3), image("b", scale=[0.3] * 3)])[0]) == 1


# Label images


def test_labels_stay_with_the_image_that_they_were_opened_with() -> None:
    cells = make_image("yx", dtype="uint8", levels=1, label_image=LabelImage())
    one = opened("/data/a.zarr", labels={"cells": cells})
    other = opened("/data/b.zarr", labels={"cells": cells})
    for layers in ([*one, *other], [*other, *one], [one[-1], *other, *one[:-1]]):
        bundles, messages = from_layers(layers)
        assert [list(bundle.sources) for bundle in bundles] == [["", "labels/cells"]] * 2
        assert messages == [], "they are where they were"
    found = {bundle.name: bundle for bundle in from_layers([other[-1], *one, *other[:-1]])[0]}
    assert set(found["b"].labels) == {"cells"}


def test_new_labels_go_to_the_image_on_whose_grid_they_lie() -> None:
    layers = [image("stack"), image("flat", (9, 9)), labels("cells"), labels("spots", (9, 9))]
    bundles, messages = from_layers(layers)
    assert [(bundle.name, list(bundle.labels)) for bundle in bundles] == [
        ("stack", ["cells"]),
        ("flat", ["spots"]),
    ]
    assert "Labels layer 'cells' is saved with 'stack', on whose grid it lies." in messages


def test_of_equal_images_labels_belong_to_the_one_below_them() -> None:
    one, other = opened("/data/a.zarr"), opened("/data/b.zarr")
    drawn = (np.ones(np.shape(one[0][0]), "uint16"), like(one[0], "cells")[1], "labels")
    assert [list(b.labels) for b in from_layers([*one, drawn, *other])[0]] == [["cells"], []]
    assert [list(b.labels) for b in from_layers([*one, *other, drawn])[0]] == [[], ["cells"]]


def test_labels_on_no_grid_go_where_they_overlap_most() -> None:
    layers = [image("left", (8, 8)), image("right", (8, 10), translate=[0, 8])]
    near = labels("cells", (4, 4), translate=[2, 9])
    bundles, messages = from_layers([*layers, near])
    assert [list(bundle.labels) for bundle in bundles] == [[], ["cells"]]
    assert "is saved with 'right', which it overlaps most" in messages[-1]


def test_labels_that_touch_no_image_are_images_themselves() -> None:
    far = labels("far", (4, 4), translate=[900, 900])
    bundles, messages = from_layers([image("a", (8, 8)), image("b", (9, 9)), far])
    assert [bundle.is_labels for bundle in bundles] == [False, False, True]
    assert "lies on none of the images" in messages[-1]
    assert list(targets_of(bundles, "x.ome.zarr")["x.ome.zarr"]) == ["0", "1", "2"]
    # Of one image it is a label image wherever it lies: there is no doubt whose.
    (only,), messages = from_layers([image("a", (8, 8)), far])
    assert (list(only.labels), messages) == (["far"], [])


def test_labels_alone_are_one_bundle() -> None:
    (bundle,), messages = from_layers([labels("a"), labels("b", (3, 3))])
    assert (bundle.is_labels, list(bundle.labels), messages) == (True, ["a", "b"], [])


# Stores


def bundle(name: str, *label_images: str) -> Bundle:
    (found,), _ = from_layers([image(name), *map(labels, label_images)])
    return replace(found, name=name)


def test_one_image_is_the_target_itself() -> None:
    for together in ("collection", "separate"):
        found = targets_of([bundle("a", "cells")], "/d/x.zarr", together)  # type: ignore[arg-type]
        assert {path: list(sources) for path, sources in found.items()} == {"/d/x.zarr": ["", "labels/cells"]}


def test_several_are_numbered_or_beside_each_other() -> None:
    bundles = [bundle("my cells", "n"), bundle("../My cells"), bundle("//")]
    (sources,) = targets_of(bundles, "s3://bucket/x.ome.zarr").values()
    assert list(sources) == ["0", "0/labels/n", "1", "2"]
    found = targets_of(bundles, "s3://bucket/x.ome.zarr", "separate")
    assert list(found) == [
        "s3://bucket/x-my_cells.ome.zarr",
        "s3://bucket/x-My_cells-2.ome.zarr",
        "s3://bucket/x-image.ome.zarr",
    ]
    assert list(next(iter(found.values()))) == ["", "labels/n"]


@given(st.lists(st.text(max_size=6), min_size=2, max_size=5))
def test_separate_stores_have_names_of_their_own(names: list[str]) -> None:
    bundles = [Bundle(name=name, sources={"": bundle("a").sources[""]}) for name in names]
    found = targets_of(bundles, "/d/x.zarr", "separate")
    assert len({path.casefold() for path in found}) == len(names)
    assert all(path.startswith("/d/x-") and path.endswith(".zarr") for path in found)
    assert all(path.count("/") == 2 for path in found)
