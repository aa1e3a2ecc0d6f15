"""File > Open Sample: a small tissue made by the program, stored as OME-Zarr in memory and opened again."""

from __future__ import annotations

import colorsys
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ome_ngff.coordinates import axis_coordinates
from napari_ome_ngff.metadata.nouns import Axis, Channel, LabelImage, ScaleTranslation, Window
from napari_ome_ngff.plugin.origin import LayerData

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from xarray import DataArray

SHAPE = (24, 192, 192)


SPACING = (1.0, 0.35, 0.35)
"""Distance of voxels along z, y and x in micrometers."""


_GRID = (1, 5, 5)


_SHAKE = (0.1, 0.25, 0.25)


_RADIUS = 4.8


_MEMBRANE = 0.9


_GOLDEN = 0.618034


_LEVELS = 2  # in 3D napari shows the coarsest


def open_cells() -> list[LayerData]:
    """Open a tissue of 25 cells: nuclei and membranes of ``(24, 192, 192)`` uint16, and labels of the nuclei.

    It is written as an OME-Zarr image of two levels into memory, and opened as any other one.
    """
    import zarr

    from napari_ome_ngff.plugin.reader import open_layers
    from napari_ome_ngff.writing.plan.write_plan import MultiscaleSource
    from napari_ome_ngff.writing.write import write_hierarchy

    pixels, labels, centers = make_cells()
    channels = (
        Channel(label="nuclei", color="00FFFF", window=Window(start=150, end=3200, min=0, max=65535)),
        Channel(label="membranes", color="FF00FF", window=Window(start=150, end=2200, min=0, max=65535)),
    )
    properties = tuple(
        {"label-value": i, "depth": round(float(center[0]), 1)} for i, center in enumerate(centers, start=1)
    )
    store = zarr.storage.MemoryStore()
    write_hierarchy(
        store=store,
        sources={
            "": MultiscaleSource(
                image=_with_coordinates(pixels, ("c", "z", "y", "x")),
                levels=_LEVELS,
                name="cells",
                channels=channels,
            ),
            "labels/nuclei_labels": MultiscaleSource(
                image=_with_coordinates(labels, ("z", "y", "x")),
                method="mode",
                levels=_LEVELS,
                name="nuclei labels",
                label_image=LabelImage(
                    colors=distinct_colors(len(centers)), properties=properties, source="../../"
                ),
            ),
        },
    ).run()
    return open_layers(store, "cells")[1]


def make_cells() -> tuple[NDArray[np.uint16], NDArray[np.uint8], NDArray[np.float64]]:
    """Return pixels ``(2, z, y, x)``, labels ``(z, y, x)`` and centers of cells ``(n, 3)`` in micrometers.

    The same every time: cells sit on a shaken grid, every point belongs to the nearest one, and membranes lie
    where two are equally near.
    """
    random = np.random.default_rng(2)
    size = np.multiply(SHAPE, SPACING)
    grid = np.stack(np.meshgrid(*map(np.arange, _GRID), indexing="ij"), axis=-1).reshape(-1, 3)
    centers = (grid + 0.5 + random.uniform(-1, 1, grid.shape) * _SHAKE) * size / _GRID
    axes = [np.arange(n, dtype=np.float32) * step for n, step in zip(SHAPE, SPACING, strict=True)]
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    nearest = np.full(SHAPE, np.inf, np.float32)
    second = nearest.copy()
    owner = np.zeros(SHAPE, np.uint8)
    for label, center in enumerate(centers.astype(np.float32), start=1):
        distance = np.sqrt((z - center[0]) ** 2 + (y - center[1]) ** 2 + (x - center[2]) ** 2)
        closer = distance < nearest
        second = np.where(closer, nearest, np.minimum(second, distance))
        nearest = np.where(closer, distance, nearest)
        owner[closer] = label
    inside = nearest < _RADIUS
    nuclei = 2600 * np.clip(1.2 * (1 - (nearest / _RADIUS) ** 2), 0, 1)
    membranes = 1800 * np.exp(-(((second - nearest) / _MEMBRANE) ** 2))
    pixels = np.stack([nuclei, membranes]) + 200
    pixels += random.standard_normal(pixels.shape, np.float32) * np.sqrt(pixels)
    labels = np.where(inside, owner, 0).astype(np.uint8)
    return pixels.round().clip(0, 65535).astype(np.uint16), labels, centers


def distinct_colors(count: int) -> dict[int, tuple[int, int, int, int]]:
    """Return a bright colour for each label from 1; neighbours are a golden section of hues apart."""
    hues = (label * _GOLDEN % 1 for label in range(1, count + 1))
    colors = (colorsys.hsv_to_rgb(hue, 0.75, 1) for hue in hues)
    return {label: (*(round(255 * part) for part in rgb), 255) for label, rgb in enumerate(colors, start=1)}  # type: ignore[misc]


def _with_coordinates(data: NDArray[Any], dims: tuple[str, ...]) -> DataArray:
    from xarray import DataArray

    axes = [Axis(name=dim, type="space", unit="micrometer") for dim in dims[-3:]]
    position = ScaleTranslation(scale=SPACING, translation=(0.0, 0.0, 0.0))
    return DataArray(data, dims=dims, coords=axis_coordinates(axes, position, data.shape[-3:]))
