"""What a file declares is bounded before layers are made of it; numbers beyond use reach nobody."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import npe2  # noqa: F401 (without napari this module is left out)
import numpy as np
import pytest

from napari_ome_ngff.errors import OmeNgffError, OmeNgffWarning
from napari_ome_ngff.plugin.open.contrast import CHUNKS_AT_MOST
from napari_ome_ngff.plugin.reader import read_layers
from napari_ome_ngff.storage.pixels.chunk_reader import ChunkReader
from tests.hostile_files import ENTRY, FAMILIES, array, image, write

BYTES = 4_000


@pytest.mark.filterwarnings("ignore::napari_ome_ngff.errors.OmeNgffWarning")
def test_contrast_touches_few_chunks_however_small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    touched: list[Any] = []
    read = ChunkReader.read

    def counting(self: ChunkReader, positions: Any, take: Any) -> None:
        touched.extend(positions)
        read(self, positions, take)

    monkeypatch.setattr(ChunkReader, "read", counting)
    for name in FAMILIES:
        if "tiny chunks" in name or "huge chunk" in name or "short shards" in name:
            touched.clear()
            write(FAMILIES[name](BYTES), tmp_path / name)
            read_layers(str(tmp_path / name))
            assert len(touched) <= CHUNKS_AT_MOST, name
            if "huge" in name:
                assert not touched, name


@pytest.mark.parametrize("number", [1e308, -1e308, 1e-308, 1e155, 1e61])
def test_numbers_that_cannot_be_computed_with_reach_nobody(number: float, tmp_path: Path) -> None:
    steps = [{"type": "scale", "scale": [number, 2]}, {"type": "translation", "translation": [number, 0]}]
    entry = {
        **ENTRY,
        "datasets": [{"path": "0", "coordinateTransformations": steps}],
        "coordinateTransformations": steps,
    }
    write(image({"0": array((1000, 1000))}, entry=entry), tmp_path / "a.zarr")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OmeNgffWarning)
        warnings.simplefilter("error", RuntimeWarning)
        try:
            layers: Any = read_layers(str(tmp_path / "a.zarr"))
        except OmeNgffError:
            return
    for _, meta, _ in layers:
        assert np.isfinite([*meta["scale"], *meta["translate"]]).all()


@pytest.mark.parametrize(
    "shapes", [[(8, 8), (8, 8)], [(8, 8), (8, 8), (4, 4)], [(8, 8), (4, 4), (2, 8), (2, 2)]]
)
def test_napari_takes_labels_whatever_the_sizes_of_their_levels(
    shapes: list[tuple[int, int]], tmp_path: Path
) -> None:
    from napari.layers import Layer

    paths = [str(index) for index in range(len(shapes))]
    levels = [{**ENTRY["datasets"][0], "path": path} for path in paths]
    arrays = {path: array(shape) for path, shape in zip(paths, shapes, strict=True)}
    store = image(arrays, entry={**ENTRY, "datasets": levels}, **{"image-label": {}})
    write(store, tmp_path / "a.zarr")
    with pytest.warns(OmeNgffWarning, match="as large as the one before"):
        (data, meta, kind), *_ = read_layers(str(tmp_path / "a.zarr"))
    assert Layer.create(data, meta, kind).data[-1].shape is not None
