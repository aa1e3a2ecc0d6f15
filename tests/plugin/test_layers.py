"""Images to layers and back: names, colours, contrast, placement, units, label images. No napari, no IO."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import dask.array
import numpy as np
import pytest
import xarray
from hypothesis import given
from hypothesis import strategies as st

from napari_ome_ngff.coordinates import to_coordinates
from napari_ome_ngff.errors import MetadataError, OmeNgffWarning, UnsupportedError
from napari_ome_ngff.metadata.nouns import (
    Axis,
    Channel,
    LabelImage,
    Level,
    Multiscale,
    ScaleTranslation,
    Window,
)
from napari_ome_ngff.plugin.colors import (
    color_of,
    colormap_for,
    colors_of,
    direct_colors,
    features_table,
    properties_of,
    window_limits,
    window_of,
)
from napari_ome_ngff.plugin.layout import MAX_CHANNEL_LAYERS
from napari_ome_ngff.plugin.names import safe_name, unique_names
from napari_ome_ngff.plugin.open.to_layers import MANY_LAYERS, to_layers
from napari_ome_ngff.plugin.origin import METADATA_KEY, LayerData
from napari_ome_ngff.plugin.save.bundles import targets_of
from napari_ome_ngff.plugin.save.from_layers import file_version, from_layers
from napari_ome_ngff.reading.opened import Collection, Image, Tile
from napari_ome_ngff.storage.places.node_documents import DOCUMENTS
from napari_ome_ngff.writing.plan.write_plan import MultiscaleSource

TYPES = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}
UNITS = {"t": "second", "z": "micrometer", "y": "micrometer", "x": "micrometer"}
SIZES = {"t": 2, "c": 3, "z": 4, "y": 8, "x": 6}
STEPS = {"t": 1.5, "c": 1.0, "z": 2.0, "y": 0.5, "x": 0.25}
STARTS = {"t": 10.0, "c": 0.0, "z": -3.0, "y": 7.0, "x": 0.125}


def make_image(
    dims: str = "czyx",
    *,
    location: str = "/data/cells.zarr",
    levels: int = 2,
    dtype: str = "uint16",
    units: dict[str, str] | None = None,
    version: str = "0.5",
    sizes: dict[str, int] | None = None,
    labels: dict[str, Image] | None = None,
    **multiscale: Any,
) -> Image:
    """An image whose pixels are all different, halved along y and x from level to level."""
    units = UNITS if units is None else units
    arrays, nouns = {}, []
    for level in range(levels):
        shape, scale, start = [], [], []
        for dim in dims:
            factor = 2**level if dim in "yx" else 1
            shape.append((sizes or SIZES)[dim] // factor)
            scale.append(STEPS[dim] * factor)
            start.append(STARTS[dim] + STEPS[dim] * (factor - 1) / 2)
        values = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
        arrays[f"s{level}"] = xarray.DataArray(dask.array.from_array(values), dims=list(dims))
        transform = ScaleTranslation(scale=tuple(scale), translation=tuple(start))
        nouns.append(Level(path=f"s{level}", transform=transform))
    axes = tuple(Axis(name=dim, type=TYPES[dim], unit=units.get(dim)) for dim in dims)
    noun = Multiscale(version=version, axes=axes, levels=tuple(nouns), **multiscale)
    for index, (path, array) in enumerate(arrays.items()):
        arrays[path] = array.assign_coords(to_coordinates(noun, index, array.shape))
    return Image(location=location, multiscale=noun, arrays=arrays, labels=labels or {})


def as_saved(layers: list[LayerData]) -> list[LayerData]:
    """Layers as napari hands them to a writer: scale as a list, colormap as a dict, no contrast range."""
    saved = []
    for data, meta, kind in layers:
        meta = dict(meta)
        meta["scale"], meta["translate"] = list(meta["scale"]), list(meta["translate"])
        ndim = len(meta["scale"])
        meta |= {"rotate": np.eye(ndim).tolist(), "shear": [0.0] * (ndim * (ndim - 1) // 2)}
        meta["affine"] = meta.get("affine", np.eye(ndim + 1))
        if "colormap" in meta and kind == "image":
            color = color_of(meta["colormap"]) or "000000"
            rgb = [int(color[i : i + 2], 16) / 255 for i in (0, 2, 4)]
            meta["colormap"] = {"name": "x", "colors": np.array([[0, 0, 0, 1], [*rgb, 1]])}
        saved.append((data, meta, kind))
    return saved


def one_image(
    layers: list[LayerData], name: str | None = None
) -> tuple[dict[str, MultiscaleSource], list[str]]:
    """What is written of layers that belong together."""
    bundles, messages = from_layers(layers, name=name)
    assert len(bundles) == 1
    return targets_of(bundles, "a.ome.zarr")["a.ome.zarr"], messages


def placed(array: xarray.DataArray) -> dict[str, tuple[float, float]]:
    """Scale and position of voxel 0 along each dim, as the coordinates say them."""
    return {
        str(dim): (float(array.coords[dim].attrs["scale"]), float(array.coords[dim].values[0]))
        for dim in array.dims
    }


# Opening


@pytest.mark.parametrize("dims", ["yx", "zyx", "cyx", "tyx", "czyx", "tczyx", "yxc", "cxy", "zcyx"])
def test_each_channel_is_a_layer_with_y_and_x_last(dims: str) -> None:
    layers = to_layers(make_image(dims))
    assert len(layers) == (3 if "c" in dims else 1)
    for index, (data, meta, kind) in enumerate(layers):
        assert kind == "image"
        assert meta["axis_labels"][-2:] == ("y", "x")
        assert set(meta["axis_labels"]) == set(dims) - {"c"}
        assert meta["scale"] == tuple(STEPS[dim] for dim in meta["axis_labels"])
        assert meta["translate"] == tuple(STARTS[dim] for dim in meta["axis_labels"])
        assert meta["units"] == tuple(UNITS[dim] for dim in meta["axis_labels"])
        source = make_image(dims).arrays["s0"]
        expected = source.isel(c=index) if "c" in dims else source
        np.testing.assert_array_equal(data[0], expected.transpose(*meta["axis_labels"]).values)
        assert [level.ndim for level in data] == [len(meta["axis_labels"])] * 2


def test_everything_that_napari_would_guess_is_said() -> None:
    for _, meta, _ in to_layers(make_image("cyx", levels=1)):
        assert meta["multiscale"] is False
        assert meta["rgb"] is False
        assert meta["contrast_limits"] == (0.0, 65535.0)
        assert meta["blending"] == "additive"
    (data, meta, _), *_ = to_layers(make_image("cyx", levels=2))
    assert meta["multiscale"] is True
    assert isinstance(data, list)


def test_nothing_is_read() -> None:
    def refuse(*_: object) -> np.ndarray:
        raise AssertionError("read")

    image = make_image("cyx", levels=1)
    unreadable = dask.array.map_blocks(
        refuse, image.arrays["s0"].data, dtype="uint16", meta=np.empty((0,) * 3)
    )
    image = Image(
        location="",
        multiscale=image.multiscale,
        arrays={"s0": image.arrays["s0"].copy(data=unreadable)},
    )
    assert len(to_layers(image)) == 3


def test_names_colours_contrast_and_visibility_come_from_omero() -> None:
    channels = (
        Channel(label="DAPI", color="0000FF", window=Window(start=10, end=200, min=0, max=4095)),
        Channel(color="FF8000", active=False),
        Channel(label=" ", window=Window(start=5, end=5)),
    )
    metas = [meta for _, meta, _ in to_layers(make_image(channels=channels, name="cells"))]
    assert [meta["name"] for meta in metas] == ["DAPI", "cells channel 1", "cells channel 2"]
    assert [meta["colormap"] for meta in metas] == ["blue", "#FF8000", "magenta"]
    assert [meta["visible"] for meta in metas] == [True, False, True]
    assert [meta["contrast_limits"] for meta in metas] == [(10.0, 200.0), (0.0, 65535.0), (0.0, 65535.0)]


def test_a_partial_omero_is_filled_up_and_a_long_one_cut() -> None:
    one = to_layers(make_image(channels=(Channel(label="a", color="FF0000"),)))
    assert [meta["colormap"] for _, meta, _ in one] == ["red", "yellow", "magenta"]
    many = to_layers(make_image("zyx", channels=(Channel(label="a", color="FF0000"), Channel(label="b"))))
    assert [meta["name"] for _, meta, _ in many] == ["image"]


def test_one_description_without_channel_axis_is_used() -> None:
    channel = Channel(label="phase", color="00FF00", window=Window(start=1, end=2))
    ((_, meta, _),) = to_layers(make_image("yx", channels=(channel,)))
    assert (meta["name"], meta["colormap"], meta["contrast_limits"]) == ("phase", "green", (1.0, 2.0))


def test_an_image_without_active_channels_is_shown_all_the_same() -> None:
    channels = (Channel(active=False),) * 3
    assert all(meta["visible"] for _, meta, _ in to_layers(make_image(channels=channels)))


def test_estimated_contrast_is_used_only_where_the_file_has_none() -> None:
    channels = (Channel(window=Window(start=1, end=9)), Channel(), Channel())
    layers = to_layers(make_image(channels=channels), limits={"": [(3, 4), (5, 6), None]})
    assert [meta["contrast_limits"] for _, meta, _ in layers] == [(1.0, 9.0), (5, 6), (0.0, 65535.0)]


def test_a_unit_that_napari_cannot_say_is_kept_for_the_next_save() -> None:
    ((_, meta, _),) = to_layers(make_image("yx", units={"y": "a.u.", "x": "micrometer"}))
    assert meta["units"] == ("pixel", "micrometer")
    assert meta["metadata"][METADATA_KEY]["units"] == ("a.u.", "micrometer")


def test_long_channel_axes_become_a_slider() -> None:
    ((data, meta, _),) = to_layers(make_image("cyx", sizes=SIZES | {"c": MAX_CHANNEL_LAYERS + 1}))
    assert data[0].shape == (MAX_CHANNEL_LAYERS + 1, 8, 6)
    assert meta["axis_labels"] == ("c", "y", "x")


def test_complex_numbers_are_shown_as_magnitude() -> None:
    with pytest.warns(OmeNgffWarning, match="magnitude"):
        ((data, _, _),) = to_layers(make_image("yx", dtype="complex64", levels=1))
    assert data.dtype == np.float32


def test_what_napari_cannot_show_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="datetime64"):
        to_layers(make_image("yx", dtype="datetime64[s]"))
    with pytest.raises(UnsupportedError, match="two dimensions"):
        to_layers(make_image("y"))


def test_a_missing_finest_level_moves_the_layer_to_the_next() -> None:
    image = make_image("yx")
    rest = Image(location="", multiscale=image.multiscale, arrays={"s1": image.arrays["s1"]})
    ((_, meta, _),) = to_layers(rest)
    assert meta["scale"] == (1.0, 0.5)
    assert meta["translate"] == (7.25, 0.25)


# Label images


def test_label_images_lie_on_their_image() -> None:
    label = make_image("zyx", dtype="int32", units={}, label_image=LabelImage())
    layers = to_layers(make_image("tczyx", labels={"cells": label}))
    data, meta, kind = layers[-1]
    assert (kind, meta["name"]) == ("labels", "cells")
    assert data[0].shape == (4, 8, 6)
    assert meta["units"] == ("micrometer",) * 3
    assert meta["metadata"][METADATA_KEY]["label"] == "cells"
    assert meta["metadata"][METADATA_KEY]["image"] == layers[0][1]["metadata"][METADATA_KEY]["image"]


def test_a_flat_label_image_covers_the_depth_that_it_lacks() -> None:
    # napari aligns from the right by position: without a z of its own, time would lie on the image's z.
    label = make_image("tyx", dtype="uint8", label_image=LabelImage())
    data, meta, _ = to_layers(make_image("tzyx", labels={"cells": label}))[-1]
    assert data[0].shape == (2, 1, 8, 6)
    assert meta["axis_labels"] == ("t", "z", "y", "x")
    z = 1
    low = meta["translate"][z] - meta["scale"][z] / 2
    assert (low, low + meta["scale"][z]) == (-3 - 2 / 2, -3 + 3 * 2 + 2 / 2)  # from edge to edge


def test_label_colours_and_properties_are_shown() -> None:
    label_image = LabelImage(
        colors={1: (255, 0, 0, 255), 300: (0, 0, 255, 128)},
        properties=({"label-value": 1, "area": 5}, {"label-value": 2, "class": "b"}),
    )
    ((_, meta, kind),) = to_layers(make_image("yx", dtype="uint8", label_image=label_image))
    assert kind == "labels"
    assert set(meta["colormap"]) == {None, 0, 1}  # no uint8 is 300
    assert meta["colormap"][1] == (1.0, 0.0, 0.0, 1.0)
    assert meta["features"] == {"index": [1, 2], "area": [5, None], "class": [None, "b"]}


def test_colours_that_napari_cannot_show_are_named_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    colors = {100_000: (1, 2, 3, 4)}
    with pytest.warns(OmeNgffWarning, match="numba"):
        layers = to_layers(make_image("yx", dtype="uint32", label_image=LabelImage(colors=colors)))
    assert "colormap" not in layers[0][1]
    sources, _ = one_image(as_saved(layers))
    assert sources[""].label_image is not None
    assert sources[""].label_image.colors == colors


def test_labels_that_are_no_whole_numbers_are_shown_as_an_image() -> None:
    label = make_image("yx", dtype="float32", label_image=LabelImage())
    with pytest.warns(OmeNgffWarning, match="float32"):
        layers = to_layers(make_image("yx", labels={"probability": label}))
    assert [(kind, meta["name"]) for _, meta, kind in layers] == [
        ("image", "image"),
        ("image", "probability"),
    ]


def test_a_group_of_label_images_alone_opens() -> None:
    label = make_image("yx", dtype="uint8", label_image=LabelImage())
    image = Image(location="/data/labels.zarr", multiscale=None, arrays={}, labels={"a": label, "b": label})
    assert [(kind, meta["name"]) for _, meta, kind in to_layers(image)] == [("labels", "a"), ("labels", "b")]


def test_the_channel_of_a_label_image_is_taken_out_and_put_back() -> None:
    label = make_image("cyx", dtype="uint8", sizes=SIZES | {"c": 1}, label_image=LabelImage())
    layers = to_layers(make_image("cyx", labels={"cells": label}))
    assert layers[-1][0][0].shape == (8, 6)
    sources, _ = one_image(as_saved(layers))
    assert sources["labels/cells"].arrays["s0"].dims == ("c", "y", "x")


def test_labels_in_a_labels_group_are_labels_whatever_their_file_says() -> None:
    inside = make_image("yx", dtype="int32", location="/data/a.ome.zarr/labels/cells")
    beside = make_image("yx", dtype="int32", location="/data/labels/cells.ome.zarr")
    floats = make_image("yx", dtype="float32", location="/data/a.ome.zarr/labels/cells")
    assert [to_layers(image)[0][2] for image in (inside, beside, floats)] == ["labels", "image", "image"]


def test_a_label_image_without_a_place_covers_its_image() -> None:
    sizes = SIZES | {"y": 4, "x": 3}
    label = make_image("zyx", dtype="uint8", units={}, sizes=sizes, levels=1, label_image=LabelImage())
    nowhere = ScaleTranslation(scale=(1.0,) * 3, translation=(0.0,) * 3)
    noun = replace(label.multiscale, levels=(Level(path="s0", transform=nowhere),))
    level = label.arrays["s0"]
    level = level.assign_coords(to_coordinates(noun, 0, level.shape))
    image = make_image("czyx", labels={"cells": replace(label, multiscale=noun, arrays={"s0": level})})
    with pytest.warns(OmeNgffWarning, match="does not say where it lies"):
        _, meta, _ = to_layers(image)[-1]
    assert meta["scale"] == (2.0, 1.0, 0.5)
    assert meta["translate"] == (-3.0, 7.25, 0.25)  # edge to edge: a voxel is two of the image's


def test_labels_may_have_axes_that_the_image_lacks_and_spell_them_differently() -> None:
    label = make_image("tyx", dtype="uint8", units={}, label_image=LabelImage())
    axes = tuple(replace(axis, name=axis.name.upper()) for axis in label.multiscale.axes)
    label = replace(label, multiscale=replace(label.multiscale, axes=axes))
    data, meta, _ = to_layers(make_image("zyx", labels={"cells": label}))[-1]
    assert data[0].shape == (2, 1, 8, 6)
    assert meta["axis_labels"] == ("T", "z", "y", "x")
    assert meta["units"] == ("pixel", "micrometer", "micrometer", "micrometer")
    sources, _ = one_image(as_saved([(data, meta, "labels")]))
    assert sources[""].arrays["s0"].sizes == {"T": 2, "y": 8, "x": 6}


# Channels


def test_a_greyscale_model_shows_one_channel_in_gray() -> None:
    extra = {"rdefs": {"model": "greyscale"}}
    channels = (Channel(active=False), Channel(color="FF0000"), Channel())
    metas = [meta for _, meta, _ in to_layers(make_image(channels=channels, omero_extra=extra))]
    assert [meta["colormap"] for meta in metas] == ["gray"] * 3
    assert [meta["visible"] for meta in metas] == [False, True, False]


def test_several_descriptions_without_channel_axis_describe_nothing() -> None:
    channels = (Channel(color="FF0000", active=False, window=Window(start=1, end=2)), Channel())
    ((_, meta, _),) = to_layers(make_image("yx", channels=channels), limits={"": [(5.0, 6.0)]})
    assert (meta["colormap"], meta["visible"], meta["contrast_limits"]) == ("gray", True, (5.0, 6.0))


def test_the_slider_has_ends() -> None:
    channels = (
        Channel(window=Window(start=10, end=20, min=0, max=100)),
        Channel(window=Window(min=0, max=3)),
    )
    layers = to_layers(make_image(channels=channels), limits={"": [None, (1.0, 9.0), (2.0, 4.0)]})
    ends = [meta["metadata"][METADATA_KEY]["range"] for _, meta, _ in layers]
    assert ends == [(0, 100), (0, 9.0), (0.0, 10.0)], "of two bytes: as far as it is likely to be bright"


@given(st.floats(), st.floats(), st.sampled_from(["uint8", "int64", "uint64", "float16", "float32", "bool"]))
def test_contrast_is_always_finite_and_has_an_extent(start: float, end: float, dtype: str) -> None:
    channel = Channel(window=Window(start=start, end=end, min=end, max=start))
    ((_, meta, _),) = to_layers(make_image("yx", levels=1, dtype=dtype, channels=(channel,)))
    low, high = meta["contrast_limits"]
    least, most = meta["metadata"][METADATA_KEY]["range"]
    assert np.isfinite([least, most]).all()
    assert least <= low < high <= most
    assert np.float32(low) < np.float32(high)


def test_complex_numbers_are_shown_by_their_magnitude() -> None:
    image = make_image("yx", levels=1, dtype="complex64")
    with pytest.warns(OmeNgffWarning, match="magnitude"):
        ((data, _, _),) = to_layers(image, limits={"": [(0.0, 5.0)]})
    assert data.dtype == np.float32
    np.testing.assert_array_equal(data, np.abs(image.arrays["s0"].values))


# Collections


def collection(kind: str, **images: Image) -> Collection:
    return Collection(location="/data/all.zarr", kind=kind, name="all", images=images)


def test_images_of_a_collection_are_told_apart_by_name() -> None:
    one = make_image("cyx", name="first", location="/data/all.zarr/0")
    channels = (Channel(label="DAPI"), Channel(), Channel(label="two"))
    label = make_image("yx", dtype="uint8", label_image=LabelImage())
    two = make_image("cyx", location="/data/all.zarr/1", channels=channels, labels={"cells": label})
    layers = to_layers(collection("collection", **{"0": one, "two": two, "/x": make_image("yx")}))
    assert [meta["name"] for _, meta, _ in layers] == [
        "0 channel 0",
        "0 channel 1",
        "0 channel 2",
        "two: DAPI",
        "two channel 1",
        "two",
        "two: cells",
        "x",
    ]
    assert [meta["visible"] for _, meta, _ in layers] == [True] * 3 + [False] * 5
    assert {meta["metadata"][METADATA_KEY]["kind"] for _, meta, _ in layers} == {"collection"}


def test_a_scene_is_visible_as_a_whole_and_one_image_keeps_its_names() -> None:
    one, two = make_image("yx", location="/data/a"), make_image("yx", location="/data/b")
    assert all(meta["visible"] for _, meta, _ in to_layers(collection("scene", a=one, b=two)))
    assert [meta["name"] for _, meta, _ in to_layers(collection("plate", a=one))] == ["all"]


def test_a_very_long_series_is_shown_in_part() -> None:
    images = {str(i): make_image("yx", levels=1, location=f"/data/{i}") for i in range(MANY_LAYERS + 5)}
    with pytest.warns(OmeNgffWarning, match=f"^{MANY_LAYERS} of {MANY_LAYERS + 5} images"):
        assert len(to_layers(collection("collection", **images))) == MANY_LAYERS
    assert len(to_layers(collection("scene", **images))) == MANY_LAYERS + 5


def mosaic(**more: Any) -> Image:
    more = {"channels": tuple(Channel(label=f"channel {i}") for i in range(3))} | more
    tile = Tile(
        well="A/1", field="0", location="/data/all.zarr/A/1/0", row=0, column=0, y=0, x=0, height=8, width=6
    )
    return replace(make_image("cyx", location="/data/all.zarr", **more), tiles=(tile,))


def test_a_mosaic_knows_its_fields_and_is_saved_as_an_image_of_its_own() -> None:
    label = replace(mosaic(dtype="uint8", label_image=LabelImage()), location="/data/all.zarr")
    layers = to_layers(collection("plate", day1=replace(mosaic(), labels={"cells": label}), day2=mosaic()))
    origins = [meta["metadata"][METADATA_KEY] for _, meta, _ in layers]
    assert {origin["tiles"] for origin in origins} == {mosaic().tiles}
    assert [origin["image"] for origin in origins] == ["/data/all.zarr#day1"] * 6 + [
        "/data/all.zarr#day2"
    ] * 3
    sources, messages = one_image(as_saved(layers[:6]))
    assert (list(sources), messages) == (["", "labels/cells"], [])
    assert sources[""].arrays["s0"].dims == ("c", "y", "x")
    assert [channel.label for channel in sources[""].channels] == [f"channel {i}" for i in range(3)]


# There and back


@pytest.mark.parametrize("dims", ["yx", "zyx", "cyx", "tyx", "czyx", "tczyx", "yxc", "cxy", "zcyx"])
@pytest.mark.parametrize("levels", [1, 3])
def test_an_unchanged_image_is_saved_as_it_was(dims: str, levels: int) -> None:
    channels = tuple(
        Channel(
            label=f"channel {i}",
            color=color,
            window=Window(start=i, end=100.0 + i, min=0, max=4095),
            active=i != 1,
            extra={"family": "linear"},
        )
        for i, color in enumerate(["FF0000", "12AB34", "FFFFFF"][: 3 if "c" in dims else 1])
    )
    image = make_image(dims, levels=levels, channels=channels, name="cells", omero_extra={"id": 7})
    sources, messages = one_image(as_saved(to_layers(image)), name="other")
    assert messages == []
    (source,) = sources.values()
    assert source.name == "cells"
    if levels == 1:
        assert source.image is not None
        saved = {"s0": source.image}
    else:
        assert source.arrays is not None
        saved = dict(source.arrays)
    assert list(saved) == list(image.arrays)
    for index, (path, array) in enumerate(saved.items()):
        assert array.dims == tuple(dims)
        np.testing.assert_array_equal(array.values, image.arrays[path].values)
        transform = image.multiscale.levels[index].transform
        assert placed(array) == {
            dim: (scale, start)
            for dim, scale, start in zip(dims, transform.scale, transform.translation, strict=True)
        }
        assert {d: array.coords[d].attrs.get("units") for d in dims} == {d: UNITS.get(d) for d in dims}
        assert {d: array.coords[d].attrs.get("type") for d in dims} == {d: TYPES[d] for d in dims}
    assert source.multiscale == image.multiscale
    assert source.channels == channels


def test_labels_are_saved_as_they_were() -> None:
    label_image = LabelImage(
        colors={1: (255, 0, 128, 255), 7: (1, 2, 3, 4)},
        properties=({"label-value": 1, "area": 5.5, "name": "a"}, {"label-value": 7, "area": 2.0}),
        source="../../",
        extra={"note": "kept"},
    )
    label = make_image("tyx", dtype="uint8", label_image=label_image, units={})
    image = make_image("tzyx", labels={"cells": label})
    sources, messages = one_image(as_saved(to_layers(image)))
    assert messages == []
    source = sources["labels/cells"]
    assert source.label_image == label_image
    assert source.method == "mode"
    assert source.arrays["s1"].dims == ("t", "y", "x")
    np.testing.assert_array_equal(source.arrays["s1"].values, label.arrays["s1"].values)
    transform = label.multiscale.levels[1].transform
    assert list(placed(source.arrays["s1"]).values()) == list(
        zip(transform.scale, transform.translation, strict=True)
    )


@given(
    factor=st.floats(0.01, 100),
    shift=st.floats(-1e4, 1e4),
    size=st.integers(16, 64),
    levels=st.integers(2, 4),
)
def test_levels_move_with_the_layer(factor: float, shift: float, size: int, levels: int) -> None:
    ((data, meta, kind),) = to_layers(make_image("yx", levels=levels, sizes={"y": size, "x": size}))
    moved = meta | {
        "scale": [factor * s for s in meta["scale"]],
        "translate": [factor * t + shift for t in meta["translate"]],
    }
    sources, _ = one_image([(data, moved, kind)])
    for level, array in enumerate(sources[""].arrays.values()):
        scale, start = placed(array)["y"]
        assert scale == pytest.approx(factor * STEPS["y"] * 2**level)
        expected = factor * (STARTS["y"] + STEPS["y"] * (2**level - 1) / 2) + shift
        assert start == pytest.approx(expected, abs=1e-9 * (1 + abs(shift)))


def test_levels_of_unknown_origin_are_placed_as_napari_shows_them() -> None:
    levels = [np.zeros((250, 100)), np.zeros((31, 50))]
    sources, _ = one_image([(levels, {"multiscale": True, "scale": [2, 3], "translate": [10, 0]}, "image")])
    fine, coarse = (placed(array) for array in sources[""].arrays.values())
    for dim, size in (("y", (250, 31)), ("x", (100, 50))):
        edges = [
            (start - scale / 2, start - scale / 2 + n * scale)
            for (scale, start), n in zip((fine[dim], coarse[dim]), size, strict=True)
        ]
        assert edges[0] == pytest.approx(edges[1])


# What belongs together


def plain(name: str, shape: tuple[int, ...] = (4, 8, 8), dtype: str = "uint8", **meta: Any) -> LayerData:
    return np.ones(shape, dtype), {"name": name} | meta, "image"


def test_equal_layers_become_channels_in_their_order() -> None:
    layers = [
        plain("b", colormap="red", contrast_limits=[1, 5], visible=False),
        plain("a", colormap={"colors": [[0, 0, 0, 1], [0, 1, 0, 1]]}, contrast_limits=(0, 300)),
    ]
    sources, messages = one_image(layers, name="both")
    source = sources[""]
    assert (list(sources), messages, source.name, source.method) == ([""], [], "both", "mean")
    assert source.image.dims == ("c", "z", "y", "x")
    assert [(c.label, c.color, c.active) for c in source.channels] == [
        ("b", "FF0000", False),
        ("a", "00FF00", True),
    ]
    assert source.channels[0].window == Window(start=1.0, end=5.0, min=0.0, max=255.0)
    assert source.channels[1].window == Window(start=0.0, end=300.0, min=0.0, max=300.0)


def test_colormaps_of_napari_come_back_and_others_are_named() -> None:
    viridis = {"name": "viridis", "colors": [[0.267, 0.005, 0.33, 1], [0.993, 0.906, 0.144, 1]]}
    odd = {"name": "mine", "colors": [[1, 0, 0, 1], [0, 0, 1, 1]]}
    sources, messages = one_image([plain("a", colormap=viridis), plain("b", colormap=odd)])
    channels = sources[""].channels
    assert [channel.color for channel in channels] == ["FDE725", "0000FF"]
    assert messages == ["Layer 'b' is saved with the last colour of its colormap: OME-Zarr holds no more."]
    layers = to_layers(make_image("cyx", sizes=SIZES | {"c": 2}, channels=channels))
    assert [meta["colormap"] for _, meta, _ in layers] == ["viridis", "blue"]
    (data, meta, kind), _ = layers
    again, _ = one_image([(data, meta | {"colormap": "green"}, kind)])
    assert again[""].channels[0].extra == {}, "it is green now"


def test_time_stays_before_the_new_channel_axis() -> None:
    layers = [plain("a", (2, 4, 8, 8)), plain("b", (2, 4, 8, 8))]
    assert one_image(layers)[0][""].image.dims == ("t", "c", "z", "y", "x")


def test_stacking_numpy_layers_copies_nothing() -> None:
    one = np.zeros((16, 2048, 1024), "uint8")
    sources, _ = one_image([(one, {"name": "a"}, "image"), (one, {"name": "b"}, "image")])
    one[3, 5, 7] = 9
    stack = sources[""].image
    assert stack.chunks is not None
    assert stack.isel(c=1, z=3, y=5, x=7).values == 9


def test_some_channels_of_a_file_are_saved_in_the_order_of_the_file() -> None:
    layers = as_saved(to_layers(make_image(channels=tuple(Channel(label=x) for x in "abc"))))
    sources, _ = one_image([layers[2], layers[0]])
    assert [channel.label for channel in sources[""].channels] == ["a", "c"]
    assert sources[""].arrays["s0"].sizes["c"] == 2
    (alone,) = one_image([layers[1]])[0].values()
    assert alone.arrays["s0"].dims == ("c", "z", "y", "x")


def test_a_new_layer_joins_the_channels_that_it_was_made_from() -> None:
    image = make_image("czyx", levels=1)
    layers = as_saved(to_layers(image))
    new = {key: layers[0][1][key] for key in ("scale", "translate", "units", "axis_labels")}
    layers.append((np.asarray(layers[0][0]) // 2, new | {"name": "smooth"}, "image"))
    sources, _ = one_image(layers)
    assert sources[""].image.sizes["c"] == 4
    assert sources[""].channels[3].label == "smooth"
    assert file_version(layers) is None


def test_a_projection_of_what_was_opened_is_a_new_image() -> None:
    data, meta, kind = as_saved(to_layers(make_image("czyx", levels=1)))[0]
    flat = meta | {"scale": meta["scale"][1:], "translate": meta["translate"][1:]}
    flat |= {"units": meta["units"][1:], "axis_labels": meta["axis_labels"][1:], "rotate": None}
    flat |= {"affine": None, "shear": None}
    (source,) = one_image([(np.asarray(data).max(0), flat, kind)])[0].values()
    assert source.image.dims == ("y", "x")
    assert source.multiscale is None


def test_rgb_opens_as_rgb_again() -> None:
    pixels = np.random.default_rng(1).integers(0, 255, (4, 8, 8, 3), dtype="uint8")
    (source,) = one_image([(pixels, {"name": "photo", "rgb": True}, "image")])[0].values()
    assert source.image.dims == ("c", "z", "y", "x")
    assert [c.label for c in source.channels] == ["red", "green", "blue"]
    noun = make_image("czyx", channels=source.channels).multiscale
    ((data, meta, _),) = to_layers(Image(location="", multiscale=noun, arrays={"s0": source.image}))
    assert meta["rgb"] is True
    np.testing.assert_array_equal(data, pixels)
    (again,) = one_image([(data, meta, "image")])[0].values()
    assert again.image.dims == ("c", "z", "y", "x")


def test_labels_alone_are_the_image_and_several_share_a_group() -> None:
    labels = (np.ones((8, 8), "int32"), {"name": "my cells/1"}, "labels")
    sources, _ = one_image([labels])
    assert list(sources) == [""]
    assert sources[""].label_image is not None
    assert sources[""].name == "my cells/1"
    assert list(one_image([labels, labels])[0]) == ["labels/my_cells_1", "labels/my_cells_1-2"]


def test_masks_become_numbers() -> None:
    sources, messages = one_image([(np.eye(4, dtype=bool), {"name": "mask"}, "labels")])
    assert sources[""].image.dtype == np.uint8
    assert "0 and 1" in messages[0]


def test_other_layers_are_named() -> None:
    points = (np.zeros((3, 2)), {"name": "spots"}, "points")
    _, messages = one_image([plain("a"), points])
    assert messages == ["Points layer 'spots' is not saved: OME-Zarr holds images and label images only."]
    with pytest.raises(UnsupportedError, match="nothing here"):
        one_image([points])


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        ((np.zeros((4, 4), "float32"), {"name": "a"}, "labels"), "'a' holds float32"),
        ((np.zeros((4, 4), "complex64"), {"name": "a"}, "image"), "'a' holds values of type complex64"),
        ((np.zeros((4, 4), object), {"name": "a"}, "image"), "'a' holds values of type object"),
        ((np.zeros((4, 4), "datetime64[s]"), {"name": "a"}, "image"), "'a' holds values of type datetime64"),
        ((np.zeros((4, 4), "U3"), {"name": "a"}, "image"), "'a' holds values of type str96"),
        ((np.zeros((4, 4), [("x", "u1")]), {"name": "a"}, "image"), "'a' holds values of type void8"),
        ((np.zeros((4, 4), "c8"), {"name": "a"}, "labels"), "'a' holds complex64"),
        ((np.zeros((4, 4), object), {"name": "a"}, "labels"), "'a' holds object"),
        ((np.zeros((2,) * 6), {"name": "a"}, "image"), "'a' has 6 dimensions"),
    ],
)
def test_what_cannot_be_said_is_refused_with_the_layers_name(layer: LayerData, words: str) -> None:
    with pytest.raises(UnsupportedError, match=words):
        one_image([layer])


@pytest.mark.skipif(np.dtype("longdouble").itemsize == 8, reason="long doubles are doubles on this computer")
def test_numbers_that_are_too_long_are_not_shortened() -> None:
    with pytest.raises(UnsupportedError, match="'a' holds values of type"):
        from_layers([(np.zeros((4, 4), "longdouble"), {"name": "a"}, "image")])


@pytest.mark.parametrize("meta", [{"scale": [0, 1]}, {"scale": [np.nan, 1]}, {"translate": [np.inf, 0]}])
def test_unusable_placement_is_refused(meta: dict[str, Any]) -> None:
    with pytest.raises(MetadataError, match="'a' has no usable placement"):
        one_image([plain("a", (4, 4), **meta)])


def test_an_affine_that_only_scales_and_moves_is_kept() -> None:
    affine = np.diag([2.0, 3.0, 1.0])
    affine[:2, -1] = 10, 20
    layer = plain("a", (4, 4), scale=[0.5, 1], translate=[1, 1], affine=affine)
    assert placed(one_image([layer])[0][""].image) == {"y": (1.0, 12.0), "x": (3.0, 23.0)}


@pytest.mark.parametrize(
    ("ndim", "labels", "dims"),
    [
        (2, ("-2", "-1"), "yx"),
        (3, ("-3", "-2", "-1"), "zyx"),
        (4, None, "tzyx"),
        (5, None, "tczyx"),
        (3, ("t", "-2", "-1"), "tyx"),
        (3, ("y", "y", "x"), "zyx"),
    ],
)
def test_axes_without_names_are_named_by_position(
    ndim: int, labels: tuple[str, ...] | None, dims: str
) -> None:
    (source,) = one_image([plain("a", (2,) * ndim, axis_labels=labels)])[0].values()
    assert "".join(source.image.dims) == dims
    assert [source.image.coords[d].attrs["type"] for d in dims] == [TYPES[d] for d in dims]


def test_units_are_spelled_as_the_specification_does() -> None:
    (source,) = one_image([plain("a", (2, 4, 4), units=("s", "µm", "pixel"), axis_labels=tuple("tyx"))])[
        0
    ].values()
    found = {dim: source.image.coords[dim].attrs.get("units") for dim in "tyx"}
    assert found == {"t": "second", "y": "micrometer", "x": None}


def test_a_unit_that_the_specification_does_not_list_is_left_out_and_named() -> None:
    image = make_image("yx", units={"y": "a.u.", "x": "micrometer"})
    sources, messages = one_image(as_saved(to_layers(image)))
    assert "units" not in sources[""].arrays["s0"].coords["y"].attrs
    assert len(messages) == 1
    assert "'a.u.'" in messages[0]


@pytest.mark.parametrize("limits", [None, [None, 3], [np.nan, 1], [1]])
def test_contrast_that_cannot_be_used_becomes_the_range_of_the_type(limits: object) -> None:
    assert window_of(limits, np.dtype("uint8"), None) == Window(start=0.0, end=255.0, min=0.0, max=255.0)


def test_the_version_of_files_is_kept_if_they_agree() -> None:
    one, other = make_image(version="0.4"), make_image(version="0.4", location="/data/other.zarr")
    label = make_image("yx", dtype="uint8", version="0.4", label_image=LabelImage())
    both = to_layers(make_image(version="0.4", labels={"cells": label}))
    assert file_version(to_layers(one)) == "0.4"
    old = replace(one, multiscale=replace(one.multiscale, version="0.1"))
    assert file_version(to_layers(old)) == "0.4", "0.1 is not written"
    assert file_version(both) == "0.4"
    assert file_version(to_layers(one) + to_layers(other)) == "0.4"
    new = replace(other, multiscale=replace(other.multiscale, version="0.5"))
    assert file_version(to_layers(one) + to_layers(new)) is None
    assert file_version([*to_layers(one), plain("new")]) is None
    assert file_version([*to_layers(one), (np.zeros((1, 2)), {}, "points")]) == "0.4"


@pytest.mark.parametrize("junk", [None, "x", {}, {"multiscale": 3}, {"location": ""}])
def test_foreign_metadata_are_no_obstacle(junk: object) -> None:
    (source,) = one_image([plain("a", metadata={METADATA_KEY: junk})])[0].values()
    assert source.multiscale is None


# Colours and tables


@given(st.integers(0, 0xFFFFFF))
def test_every_colour_survives(number: int) -> None:
    color = f"{number:06X}"
    assert color_of(colormap_for(color, 0, 1)) == color
    parts = np.array([int(color[i : i + 2], 16) for i in (0, 2, 4)], "float32") / np.float32(255)
    assert color_of({"colors": [[0, 0, 0, 1], [*parts, 1]]}) == color


@given(st.dictionaries(st.integers(1, 60000), st.tuples(*[st.integers(0, 255)] * 4), max_size=5))
def test_label_colours_survive(colors: dict[int, tuple[int, int, int, int]]) -> None:
    table = direct_colors(colors, np.dtype("uint16"), any_label=False)
    assert (table is None) == (not colors)
    assert colors_of(table, {}) == colors


def test_a_window_needs_an_extent() -> None:
    for window in (
        None,
        Window(),
        Window(start=1),
        Window(start=2, end=1),
        Window(start=float("nan"), end=1),
    ):
        assert window_limits(window) is None


def test_properties_survive_a_data_frame() -> None:
    pandas = pytest.importorskip("pandas", reason="napari's tables are made of pandas")
    rows = (
        {"label-value": 1, "area": 5, "name": "a", "box": [1, 2]},
        {"label-value": 4, "area": 7, "name": "b"},
    )
    table = features_table(LabelImage(properties=rows))
    assert properties_of(pandas.DataFrame(table)) == rows


CELLS = st.one_of(
    st.integers(-(2**53), 2**53), st.floats(allow_infinity=False), st.text(max_size=5), st.booleans()
)


@given(st.dictionaries(st.integers(1, 2**31), st.tuples(CELLS, CELLS), min_size=1, max_size=6))
def test_tables_of_any_cells_survive(rows: dict[int, tuple[Any, Any]]) -> None:
    pandas = pytest.importorskip("pandas", reason="napari's tables are made of pandas")
    table = {"index": list(rows), "one": [a for a, _ in rows.values()], "two": [b for _, b in rows.values()]}
    for features in (
        table,
        pandas.DataFrame({key: pandas.Series(v, dtype=object) for key, v in table.items()}),
    ):
        properties = properties_of(features)
        json.dumps(properties, allow_nan=False)
        found = {row["label-value"]: row for row in properties}
        assert len(found) == len(properties), "each label once"
        for label, cells in rows.items():
            for name, cell in zip(("one", "two"), cells, strict=True):
                again = found.get(label, {}).get(name)
                missing = isinstance(cell, float) and np.isnan(cell)
                assert (again, type(again)) == ((None, type(None)) if missing else (cell, type(cell)))


def test_rows_that_cannot_be_saved_are_counted() -> None:
    table = {"index": [1, 1, 2, np.nan, 2.5], "area": [1, 2, 3, 4, 5]}
    labels = (np.ones((4, 4), "uint8"), {"name": "cells", "features": table}, "labels")
    sources, messages = one_image([labels])
    assert [row["area"] for row in sources[""].label_image.properties] == [2, 3]
    assert messages == [
        "3 rows of the features of 'cells' are not saved: they belong to no label of their own."
    ]


def test_rows_without_index_are_labels_by_their_number() -> None:
    assert properties_of({"area": [np.nan, 3, 4]}) == (
        {"label-value": 1, "area": 3},
        {"label-value": 2, "area": 4},
    )
    assert properties_of({"index": [1, 2]}) == ()
    assert properties_of(None) == ()


@given(
    st.lists(st.text(max_size=8) | st.sampled_from(["zarr.json", "Zarr.JSON", "a/b", "o" * 300]), max_size=6)
)
def test_names_are_safe_and_different(names: list[str]) -> None:
    found = unique_names(map(safe_name, names))
    assert len({name.casefold() for name in found}) == len(names)
    for name in found:
        assert name
        assert "/" not in name
        assert len(name.encode()) < 250
        assert not name.startswith((".", "__"))
        assert name.lower() not in DOCUMENTS
