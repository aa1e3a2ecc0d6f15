"""The level that is shown in 3D: the finest that fits, for all layers of an image together."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from napari.components import ViewerModel
from npe2 import PluginManifest
from zarr.storage import MemoryStore

from napari_ome_ngff import DaskArrayWrapper, add_to_viewer, save_ome_ngff
from napari_ome_ngff.errors import OptionError
from napari_ome_ngff.plugin import preferences
from napari_ome_ngff.plugin.open import levels_in_3d as module
from napari_ome_ngff.plugin.open import volume
from napari_ome_ngff.plugin.open.levels_in_3d import LevelsIn3D, levels_in_3d
from napari_ome_ngff.plugin.open.volume import read_volumes
from napari_ome_ngff.plugin.open.volume_levels import VolumeLevel, finest_within, shared, together

MOVIE = (3, 2, 8, 64, 64)
"""t, c, z, y, x; with levels of 8x64x64, 8x32x32 and 8x16x16 voxels of 2 bytes, in three layers."""

BYTES = [3 * 2 * 8 * n * n for n in (64, 32, 16)]


def one_level(index: int, voxel: float, nbytes: int, *, drawable: bool = True) -> VolumeLevel:
    return VolumeLevel(levels=(index,), voxel=voxel, nbytes=nbytes, drawable=drawable)


pyramids = st.builds(
    lambda voxel, nbytes, factors, drawable: [
        one_level(i, voxel * np.prod(factors[:i]), int(nbytes // np.prod(factors[:i])), drawable=ok)
        for i, ok in zip(range(len(factors) + 1), drawable, strict=False)
    ],
    st.sampled_from([0.5, 1.0, 8.0]),
    st.integers(1, 10**9),
    st.lists(st.sampled_from([2, 4, 8]), max_size=5),
    st.lists(st.booleans(), min_size=6, max_size=6),
)
images = st.lists(pyramids, min_size=1, max_size=4)


@given(images)
def test_layers_of_an_image_become_coarser_together(layers: list[list[VolumeLevel]]) -> None:
    levels = together(layers)
    assert [level.levels for level in levels] == sorted({level.levels for level in levels})
    assert levels[-1].levels == tuple(len(each) - 1 for each in layers)
    for level in levels:
        picked = [each[i] for each, i in zip(layers, level.levels, strict=True)]
        assert level.nbytes == sum(one.nbytes for one in picked)
        for each, one in zip(layers, picked, strict=True):
            assert one.voxel >= 0.75 * level.voxel or one is each[-1], "none is finer than what is chosen"


@given(st.lists(images, min_size=1, max_size=3), st.integers(0, 10**9))
def test_no_level_beyond_the_budget_is_chosen_and_none_that_is_coarser_than_need_be(
    opened: list[list[list[VolumeLevel]]], budget: int
) -> None:
    levels = [together(layers) for layers in opened]
    chosen = shared(levels, budget)
    beyond_coarsest = [one for each, one in zip(levels, chosen, strict=True) if one != each[-1]]
    assert sum(one.nbytes for one in beyond_coarsest) <= budget
    assert all(one.drawable for one in beyond_coarsest)
    if len(levels) == 1:
        finer = levels[0][: levels[0].index(chosen[0])]
        assert not any(one.drawable and one.nbytes <= budget for one in finer)
        assert chosen[0] == finest_within(levels[0], budget)


@pytest.fixture(scope="module")
def store() -> MemoryStore:
    store = MemoryStore()
    data = np.arange(np.prod(MOVIE)).reshape(MOVIE).astype("uint16")
    labels = {"cells": (data[:, 0] > 5).astype("uint16")}
    scale = {"z": 4.0, "y": 1.0, "x": 1.0}
    save_ome_ngff(store, data, axes="tczyx", labels=labels, levels=3, scale=scale, chunks=(1, 1, 8, 16, 16))
    return store


@pytest.fixture
def viewer(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> ViewerModel:
    monkeypatch.setattr(module, "volume_budget", lambda **_: BYTES[1])
    viewer = ViewerModel()
    assert len(add_to_viewer(viewer, store)) == 3
    for layer in viewer.layers:
        layer.visible = True
    return viewer


def shown(viewer: ViewerModel) -> list[int]:
    return [layer.data_level for layer in viewer.layers]


def locks(viewer: ViewerModel) -> list[int | None]:
    return [layer.locked_data_level for layer in viewer.layers]


def test_3d_shows_the_finest_level_within_the_budget_and_2d_is_as_before(viewer: ViewerModel) -> None:
    before = shown(viewer)
    viewer.dims.ndisplay = 3
    assert shown(viewer) == locks(viewer) == [1, 1, 1]
    assert [layer._data_view.shape for layer in viewer.layers] == [(8, 32, 32)] * 3
    assert "level 1 of 0-2 (8 x 32 x 32 voxels, 49 kB in 3 layers)" in viewer.status
    viewer.dims.set_current_step(0, 2)
    image = viewer.layers[0]
    np.testing.assert_array_equal(image._data_view, np.asarray(image.data[1][2]))
    viewer.dims.ndisplay = 2
    assert locks(viewer) == [None] * 3
    assert shown(viewer) == before
    assert viewer.status == "Ready"
    levels_in_3d(viewer)  # of the same viewer
    kept = [one for one in viewer.dims.events.ndisplay.callbacks if isinstance(one, LevelsIn3D)]
    assert len(kept) == 1


def test_what_somebody_locks_stays_theirs(viewer: ViewerModel) -> None:
    viewer.layers[0].locked_data_level = 2
    viewer.dims.ndisplay = 3
    assert shown(viewer) == [2, 1, 1]
    viewer.layers[1].locked_data_level = 0
    viewer.dims.order = (1, 0, 2, 3)
    assert shown(viewer)[:2] == [2, 0]
    viewer.dims.ndisplay = 2
    assert locks(viewer) == [2, None, None], "as before 3D"


def test_thick_slices_count_and_keep_working(viewer: ViewerModel) -> None:
    viewer.dims.ndisplay = 3
    viewer.dims.set_current_step(0, 1)
    viewer.dims.margin_left = viewer.dims.margin_right = (1, 0, 0, 0)
    assert shown(viewer) == [2, 2, 2], "three time points of two layers are read at once"
    image = viewer.layers[0]
    mean = np.asarray(image.data[2]).astype(float).mean(axis=0)
    np.testing.assert_allclose(image._data_view, mean, atol=1)
    viewer.dims.margin_left = viewer.dims.margin_right = (0, 0, 0, 0)
    assert shown(viewer) == [1, 1, 1]


def test_finer_and_coarser(viewer: ViewerModel, monkeypatch: pytest.MonkeyPatch) -> None:
    levels, layer = levels_in_3d(viewer), viewer.layers[-1]
    assert levels.text(layer) == ""
    with pytest.raises(OptionError, match="chosen in 3D"):
        levels.step(layer, -1)
    viewer.dims.ndisplay = 3
    assert "level 0 of 0-2" in levels.step(layer, -1)
    assert shown(viewer) == [0, 0, 0]
    with pytest.raises(OptionError, match="finest"):
        levels.step(layer, -1)
    viewer.dims.set_current_step(0, 0)
    assert shown(viewer) == [0, 0, 0]
    levels.step(layer, 1)
    levels.step(layer, 1)
    assert (shown(viewer), locks(viewer)) == ([2, 2, 2], [None] * 3)
    monkeypatch.setattr(module, "free_memory", lambda: 2 * BYTES[1])
    assert "level 1 of 0-2" in levels.step(layer, -1)
    with pytest.raises(OptionError, match="free memory"):
        levels.step(layer, -1)
    viewer.dims.ndisplay = 2
    viewer.dims.ndisplay = 3
    assert shown(viewer) == [1, 1, 1], "what was asked for holds"


def test_hidden_layers_read_nothing_until_they_are_shown(viewer: ViewerModel) -> None:
    viewer.layers[1].visible = False
    viewer.dims.ndisplay = 3
    assert locks(viewer) == [1, None, 1]
    viewer.layers[1].visible = True
    assert shown(viewer) == [1, 1, 1]


def test_slow_sources_are_coarse_while_a_slider_moves(
    viewer: ViewerModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer.dims.ndisplay = 3
    monkeypatch.setattr(module, "QUICK", -1.0)
    seen: list[int] = []
    image = viewer.layers[0]
    image.events.set_data.connect(lambda: seen.append(image.data_level))
    viewer.dims.set_current_step(0, 0)
    assert set(seen) == {1}
    seen.clear()
    viewer.dims.set_current_step(0, 1)
    assert seen[0] == 2
    assert seen[-1] == 1


def test_a_viewer_goes_when_nobody_needs_it(viewer: ViewerModel) -> None:
    viewer.dims.ndisplay = 3
    other = ViewerModel()
    layer = viewer.layers.pop(0)
    other.add_layer(layer)  # knows where it was
    gone = weakref.ref(other)
    levels_in_3d(other)
    del other
    gc.collect()
    assert gone() is None
    viewer.dims.ndisplay = 2
    assert layer.locked_data_level is None


def test_volumes_are_read_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volume, "PIECE_BYTES", 1000)
    monkeypatch.setattr(volume, "SHOW_BYTES", 8000)
    arrays = {i: np.random.default_rng(i).integers(0, 99, (n, 32, 32), "uint8") for i, n in ((0, 4), (2, 7))}
    wrap = DaskArrayWrapper().wrap
    lazy: dict[int, Any] = {
        i: wrap(zarr.create_array({}, data=a, chunks=(1, 8, 8))) for i, a in arrays.items()
    }
    steps = list(read_volumes([lazy[0], None, lazy[2][::-1], np.zeros((1, 9), "uint8")]))
    assert len(steps) >= 10
    assert [n for n in dict.fromkeys(count for count, *_ in steps) if n] == [3, 4]
    read = {i: values for _, ready, _ in steps for i, values in ready.items()}
    assert read.keys() == arrays.keys(), "what is in memory is not read"
    np.testing.assert_array_equal(read[0], arrays[0])
    np.testing.assert_array_equal(read[2], arrays[2][::-1])


def test_the_preference_says_how_much(monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = PluginManifest.from_distribution(preferences.PLUGIN)
    entry = manifest.contributions.configurations["opening"].properties["volume_memory"]
    monkeypatch.setattr(preferences, "free_memory", lambda: 800_000_000)
    budgets: dict[Any, int] = {}
    for choice in entry.enum:
        section = type("Opening", (), {"volume_memory": choice})
        monkeypatch.setattr(preferences, "plugin_settings", lambda _, section=section: section)
        budgets[choice] = preferences.volume_budget()
    assert list(entry.enum)[:2] == [entry.default, preferences.COARSEST]
    assert (budgets["auto"], budgets[preferences.COARSEST], budgets["2 GB"]) == (10**8, 0, 2 * 10**9)
    monkeypatch.setattr(preferences, "plugin_settings", lambda _: None)
    assert preferences.volume_budget(on_processor=True) == 10**8
