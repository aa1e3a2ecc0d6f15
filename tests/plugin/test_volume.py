"""Levels for 3D: what napari would refuse or choke on gets one more level, which is not in the file."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from napari.components import ViewerModel
from zarr.storage import MemoryStore

from napari_ome_ngff.coordinates import to_coordinates
from napari_ome_ngff.errors import OmeNgffWarning
from napari_ome_ngff.metadata.nouns import LabelImage, ScaleTranslation
from napari_ome_ngff.plugin.open.to_layers import to_layers
from napari_ome_ngff.plugin.open.volume import LONGEST, VOLUME_BYTES, misfits, sampling, strides, with_volume
from napari_ome_ngff.plugin.origin import METADATA_KEY
from napari_ome_ngff.plugin.reader import open_layers
from napari_ome_ngff.reading.opened import Image
from napari_ome_ngff.storage.pixels.array_wrap import DaskArrayWrapper
from tests.cases import build
from tests.plugin.test_axis_order_of_layers import Counting
from tests.plugin.test_layers import as_saved, make_image, one_image


def blank(*shape: int, dtype: str = "uint8") -> np.ndarray:
    """An array of any size that takes no memory."""
    return np.broadcast_to(np.zeros((), dtype), shape)


@given(
    shape=st.lists(st.integers(1, 10**6), min_size=3, max_size=3),
    itemsize=st.sampled_from([1, 2, 4, 8]),
    longest=st.integers(1, 5000),
    nbytes=st.integers(8, 2**30),
)
def test_what_is_left_can_be_drawn_and_nothing_is_thinned_without_need(
    shape: list[int], itemsize: int, longest: int, nbytes: int
) -> None:
    factors = strides(shape, itemsize, longest=longest, nbytes=nbytes)
    sizes = [-(-n // f) for n, f in zip(shape, factors, strict=True)]
    assert max(sizes) <= longest
    assert np.prod(sizes, dtype=float) * itemsize <= nbytes
    for i, factor in enumerate(factors):
        before = list(sizes)
        before[i] = -(-shape[i] // (factor // 2 or 1))
        needed = before[i] > longest or np.prod(before, dtype=float) * itemsize > nbytes
        assert factor == 1 or needed or before[i] >= max(sizes)


@pytest.mark.parametrize(
    ("shapes", "added"),
    [
        ([(64, 64)], 0),
        ([(5000, 5000)], 0),
        ([(5000, 64, 64)], 0),  # napari thins a single level itself
        ([(4000, 4000, 500)], 1),  # ... but loads all of it first
        ([(100, 4000, 4000), (100, 2000, 2000)], 1),
        ([(100, 4000, 4000), (100, 1000, 1000)], 0),
        ([(3000, 512, 512), (3000, 128, 128)], 1),
        ([(9, 3000, 64, 64, 64), (9, 3000, 32, 32, 32)], 0),  # sliders are not drawn
    ],
)
def test_a_level_is_added_only_where_3d_would_fail(shapes: list[tuple[int, ...]], added: int) -> None:
    levels = [blank(*shape) for shape in shapes]
    found = with_volume(levels)
    assert found[: len(levels)] == levels
    assert len(found) == len(levels) + added
    if added or len(levels) > 1:
        assert max(found[-1].shape[-3:]) <= LONGEST or found[-1].ndim < 3
        assert found[-1].nbytes <= VOLUME_BYTES or found[-1].ndim > 3


def test_the_colours_of_rgb_are_no_axis_of_space() -> None:
    found = with_volume([blank(100, 4000, 4000, 3), blank(100, 3000, 3000, 3)], rgb=True)
    assert found[-1].shape[-1] == 3
    assert max(found[-1].shape) <= LONGEST
    assert len(with_volume([blank(9000, 9000, 3), blank(4500, 4500, 3)], rgb=True)) == 2


@given(size=st.integers(1, 300), factor=st.sampled_from([1, 2, 4, 8, 16]))
def test_an_added_level_lies_where_its_voxels_do(size: int, factor: int) -> None:
    """napari stretches it from edge to edge: less than one of its voxels away from where they are."""
    line = np.arange(size, dtype=np.float64)
    kept = line[(factor - 1) // 2 :: factor]
    if kept.size:
        step = size / kept.size
        places = -0.5 + step * (np.arange(kept.size) + 0.5)
        assert np.abs(places - kept).max() <= step


def test_thinning_reads_chunk_by_chunk_and_only_what_it_needs(tmp_path: Path) -> None:
    """Every fourth plane of chunks that are one plane thick: a quarter of the chunks."""
    array = zarr.create_array(tmp_path / "a", shape=(64, 128, 128), chunks=(1, 64, 64), dtype="uint16")
    array[...] = np.arange(64 * 128 * 128).reshape(64, 128, 128) % 65521
    read: set[str] = set()

    class Counting(zarr.storage.LocalStore):
        async def get(self, key: str, *rest: Any, **options: Any) -> Any:
            read.add(key)
            return await super().get(key, *rest, **options)

    counted = zarr.open_array(Counting(tmp_path / "a", read_only=True))
    data = DaskArrayWrapper().wrap(counted)
    read.clear()
    *_, added = with_volume([data], nbytes=64 * 128 * 128 // 16)
    assert not read
    z, y, x = strides(data.shape, 2, nbytes=64 * 128 * 128 // 16)
    expected = array[...][(z - 1) // 2 :: z, (y - 1) // 2 :: y, (x - 1) // 2 :: x]
    np.testing.assert_array_equal(np.asarray(added), expected)
    assert len([key for key in read if "c/" in key]) == len(range((z - 1) // 2, 64, z)) * 4


def deep_image(**more: Any) -> Image:
    sizes = {"c": 2, "z": 3000, "y": 8, "x": 8}
    return make_image("czyx", sizes=sizes, dtype="uint8", **more)


def test_an_added_level_is_shown_but_not_saved() -> None:
    image = deep_image()
    layers = to_layers(image)
    for data, meta, _ in layers:
        assert [level.shape for level in data] == [(3000, 8, 8), (3000, 4, 4), (1500, 4, 4)]
        assert meta["metadata"][METADATA_KEY]["added"] == 1
    (source,) = one_image(as_saved(layers))[0].values()
    assert [array.shape for array in source.arrays.values()] == [(2, 3000, 8, 8), (2, 3000, 4, 4)]
    assert source.multiscale.levels == image.multiscale.levels


def test_labels_get_it_too() -> None:
    labels = {"cells": deep_image(label_image=LabelImage())}
    *_, (data, meta, kind) = to_layers(deep_image(labels=labels))
    assert (kind, len(data), meta["multiscale"]) == ("labels", 3, True)


def test_napari_takes_the_levels(recwarn: pytest.WarningsRecorder) -> None:
    viewer = ViewerModel()
    for data, meta, _ in to_layers(deep_image()):
        viewer.add_image(data, **meta)
    viewer.dims.ndisplay = 3
    layer = viewer.layers[0]
    assert layer._data_view.shape == (1500, 4, 4)


def test_levels_that_lie_elsewhere_are_named() -> None:
    image = make_image("yx")
    levels = image.multiscale.levels
    moved = ScaleTranslation(scale=levels[1].transform.scale, translation=(100.0, 0.375))
    noun = replace(image.multiscale, levels=(levels[0], replace(levels[1], transform=moved)))
    level = image.arrays["s1"]
    arrays = {**image.arrays, "s1": level.assign_coords(to_coordinates(noun, 1, level.shape))}
    with pytest.warns(OmeNgffWarning, match="stretches level 's1'"):
        to_layers(replace(image, multiscale=noun, arrays=arrays))


@given(
    size=st.integers(40, 5000),
    factor=st.integers(2, 8),
    up=st.booleans(),
    nearest=st.booleans(),
    scale=st.floats(1e-3, 1e3),
)
def test_levels_of_odd_sizes_and_of_every_nth_voxel_fit(
    size: int, factor: int, up: bool, nearest: bool, scale: float
) -> None:
    coarse = -(-size // factor) if up else size // factor
    start = 0.0 if nearest else scale * (factor - 1) / 2
    fine = ScaleTranslation(scale=(scale,), translation=(0.0,))
    other = ScaleTranslation(scale=(scale * factor,), translation=(start,))
    assert misfits([(size,), (coarse,)], [fine, other]) == []


@given(
    shape=st.lists(st.integers(1, 10**6), min_size=3, max_size=5),
    data=st.data(),
    nbytes=st.integers(10**4, 2**33),
    most=st.integers(1, 10**5),
)
def test_no_more_of_a_volume_is_read_than_there_is_room_for(
    shape: list[int], data: st.DataObject, nbytes: int, most: int
) -> None:
    units = [data.draw(st.integers(1, min(n, 2000))) for n in shape]
    array = SimpleNamespace(ndim=len(shape), shape=tuple(shape), chunksize=tuple(units), dtype=np.dtype("u2"))
    factors = sampling(array, nbytes=nbytes, chunks=most) or (1, 1, 1)
    counts = [
        min(-(-n // unit), -(-n // factor))
        for n, unit, factor in zip(shape[-3:], units[-3:], factors, strict=True)
    ]
    if math.prod(counts) > 1:
        assert math.prod(counts) <= most
        assert math.prod(counts) * math.prod(units) * 2 <= nbytes


@pytest.mark.parametrize("levels", [1, 2])
@pytest.mark.parametrize("order", ["zyx", "xyz"])
def test_3d_of_a_volume_of_165_gb_reads_a_bounded_part(
    order: str, levels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One level of 6000 x 4000 x 3400 voxels, or one of two that are hardly smaller; and it is said."""
    monkeypatch.setattr("napari_ome_ngff.plugin.open.volume.CHUNKS_AT_MOST", 300)
    store = MemoryStore()
    group = zarr.create_group(store, zarr_format=3)
    sizes = {"z": 6000, "y": 4000, "x": 3400}
    for level in range(levels):
        shape = [sizes[dim] // (level + 1) for dim in order]
        group.create_array(str(level), shape=shape, chunks=(64, 64, 64), dtype="u2", fill_value=7)
    scales = [{"type": "scale", "scale": [level + 1.0] * 3} for level in range(levels)]
    datasets = [{"path": str(i), "coordinateTransformations": [one]} for i, one in enumerate(scales)]
    window = {"start": 0, "end": 9, "min": 0, "max": 9}
    group.attrs["ome"] = {
        "version": "0.5",
        "multiscales": [{"axes": build.axes_of(order), "datasets": datasets}],
        "omero": {"channels": [{"color": "FFFFFF", "window": window}]},
    }
    counting = Counting(store)
    with pytest.warns(OmeNgffWarning, match="3D shows a sample"):
        ((data, meta, _),) = open_layers(counting, "huge")[1]
    model = ViewerModel(ndisplay=3)
    counting.reads.clear()
    layer = model.add_image(data, **meta)
    assert 8 <= sum("c/" in key for key in counting.reads) <= 300
    assert sum(counting.reads.values()) <= 320
    assert layer.data_level == len(data) - 1
    assert layer._slice.image.view.min() == 7
