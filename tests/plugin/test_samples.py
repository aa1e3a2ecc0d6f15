"""File > Open Sample: quick, always the same, and a real pyramid with labels on their image."""

from __future__ import annotations

import time

import numpy as np
from napari.layers import Layer

from napari_ome_ngff.plugin.origin import origin_of
from napari_ome_ngff.plugin.samples import SHAPE, SPACING, make_cells, open_cells
from napari_ome_ngff.plugin.save_panel.proposal import new_place


def test_it_is_an_image_of_two_channels_with_labels() -> None:
    layers = open_cells()
    assert [(kind, meta["name"]) for _, meta, kind in layers] == [
        ("image", "nuclei"),
        ("image", "membranes"),
        ("labels", "nuclei labels"),
    ]
    for levels, meta, _ in layers:
        assert [level.shape for level in levels] == [(24, 192, 192), (24, 96, 96)]
        assert meta["multiscale"] is True
        assert meta["scale"] == SPACING
        assert meta["units"] == ("micrometer",) * 3
        assert meta["axis_labels"] == ("z", "y", "x")
        assert origin_of(meta) is not None
    assert layers[-1][1]["features"]["index"] == list(range(1, 26))
    made = [Layer.create(*layer) for layer in layers]
    assert new_place(made, made, "/nowhere") == "/nowhere/cells.ome.zarr"


def test_it_is_the_same_every_time_and_quickly_made() -> None:
    start = time.process_time()
    pixels, labels, centers = make_cells()
    assert time.process_time() - start < 2  # usually 0.3
    again = make_cells()
    np.testing.assert_array_equal(pixels, again[0])
    np.testing.assert_array_equal(labels, again[1])
    assert pixels.shape == (2, *SHAPE)
    assert (pixels.dtype, labels.dtype) == (np.uint16, np.uint8)
    assert set(np.unique(labels)) == set(range(len(centers) + 1))


def test_labels_lie_on_the_nuclei() -> None:
    pixels, labels, _ = make_cells()
    nuclei, membranes = pixels.astype(float)
    assert nuclei[labels > 0].mean() > 3 * nuclei[labels == 0].mean()
    assert membranes[labels > 0].mean() < membranes[labels == 0].mean()
