"""Compare opened layers with what a case expects."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .nouns import Opened, Shown


def levels_of(data: Any, meta: dict[str, Any]) -> list[Any]:
    return list(data) if meta["multiscale"] else [data]


def world(meta: dict[str, Any], index: Sequence[float]) -> list[float]:
    """Where a voxel lies, as napari has it: scale, translation, and then the affine transform."""
    place = [s * i + t for s, i, t in zip(meta["scale"], index, meta["translate"], strict=True)]
    if meta.get("affine") is None:
        return place
    matrix = np.asarray(meta["affine"], float)
    return list((matrix @ [*place, 1.0])[:-1])


def compare(layers: Opened, expected: Sequence[Shown]) -> None:
    """Fail unless these are the layers that are expected."""
    found = [(kind, meta["name"]) for _, meta, kind in layers]
    assert len(layers) == len(expected), f"found {found}"
    for layer, shown in zip(layers, expected, strict=True):
        _compare(layer, shown)


def _compare(layer: tuple[Any, dict[str, Any], str], shown: Shown) -> None:
    data, meta, kind = layer
    name = meta["name"]
    assert kind == shown.kind, f"{name!r} is shown as {kind}"
    if shown.name is not None:
        assert name == shown.name, f"{name!r} should be {shown.name!r}"
    levels = levels_of(data, meta)
    ndim = levels[0].ndim
    assert len(levels) == shown.levels, f"{name!r}: {len(levels)} levels"
    if shown.shape is not None:
        assert levels[0].shape == shown.shape
    if shown.pixels is not None:
        assert levels[0].shape == shown.pixels.shape, f"{name!r}: shape {levels[0].shape}"
        np.testing.assert_array_equal(np.asarray(levels[0]), shown.pixels, err_msg=name)
    for key in ("scale", "translate", "axis_labels", "units"):
        assert len(meta[key]) == ndim, f"{name!r}: {key} is {meta[key]}"
    if shown.axes is not None:
        assert tuple(meta["axis_labels"]) == tuple(shown.axes)
    if shown.units is not None:
        assert tuple(map(str, meta["units"])) == tuple(shown.units), name
    for index, place in shown.places.items():
        assert world(meta, index) == _close(place), f"{name!r}: voxel {index} is at {world(meta, index)}"
    for value, place in shown.where.items():
        (index,) = np.argwhere(np.asarray(levels[0]) == value)
        assert world(meta, index) == _close(place), f"{name!r}: voxel {value} is at {world(meta, index)}"
    assert meta.get("visible", True) is shown.visible, f"{name!r}: visible"
    if kind == "image":
        _compare_image(levels, meta, shown)
    else:
        _compare_labels(meta, shown)


def _close(values: Sequence[float]) -> Any:
    import pytest

    return pytest.approx(list(values), rel=1e-9, abs=1e-9)


def _compare_image(levels: list[Any], meta: dict[str, Any], shown: Shown) -> None:
    name = meta["name"]
    if shown.color is not None:
        assert meta["colormap"] == shown.color, f"{name!r}: colormap {meta['colormap']}"
    low, high = (float(x) for x in meta["contrast_limits"])
    assert math.isfinite(low), name
    assert math.isfinite(high), name
    assert low < high, f"{name!r}: contrast {low} to {high}"
    if shown.limits is not None:
        assert (low, high) == _close(shown.limits), f"{name!r}: contrast {low} to {high}"
    elif shown.pixels is not None and shown.pixels.size:
        values = np.asarray(shown.pixels, "float64")
        values = values[np.isfinite(values)]
        assert low <= values.max(), f"{name!r}: contrast {low} to {high} shows nothing"
        assert high >= values.min(), f"{name!r}: contrast {low} to {high} shows nothing"
        if values.max() - values.min() > 1:
            assert high <= values.max(), f"{name!r}: contrast {low} to {high} is not from the values"


def _compare_labels(meta: dict[str, Any], shown: Shown) -> None:
    if shown.colors is not None:
        table = meta["colormap"]
        for label, color in shown.colors.items():
            assert tuple(table[label]) == _tuple(color), (label, table[label])
        assert None in table, "labels without a colour have none at all"
    if shown.features is not None:
        found = {key: list(values) for key, values in meta["features"].items()}
        assert found == {key: list(values) for key, values in shown.features.items()}


def _tuple(values: Sequence[float]) -> Any:
    import pytest

    return pytest.approx(tuple(values))
