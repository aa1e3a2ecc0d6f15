"""What napari's own functions make of our lazy arrays. No window."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import zarr
from napari.layers import Image
from napari.layers._multiscale_data import MultiScaleData
from napari.layers.utils import layer_utils

from napari_ome_ngff import DaskArrayWrapper, save_ome_ngff
from napari_ome_ngff.plugin.save.from_layers import from_layers
from napari_ome_ngff.storage.pixels.provenance import lazy_locations
from napari_ome_ngff.storage.places.location import location_of
from tests.writing.test_lazy_sources import CountingStore, stored, write_counting


def test_napari_widens_a_tile_to_little_more() -> None:
    """What napari asks for around a tile of a large plane ends at the borders of blocks."""
    array = zarr.create_array({}, shape=(9, 20000, 20000), chunks=(1, 256, 256), dtype="uint16")
    x = DaskArrayWrapper().wrap(array)
    corners = np.array([[4, 5000, 7000], [4, 5900, 8100]])
    wide = layer_utils.expand_corners_to_chunk_boundaries(corners, x, axes=(1, 2))
    assert (corners - wide)[0].tolist() == [0, 5000 % 512, 7000 % 512]
    assert (wide - corners).max() < 512


def test_what_a_multiscale_layer_is_read_from_is_found() -> None:
    """Else a save could replace the very image that is shown."""
    array = zarr.create_array({}, shape=(7, 10, 10), chunks=(2, 5, 5), dtype="uint16")
    level = DaskArrayWrapper().wrap(array)
    assert lazy_locations(MultiScaleData([level, level[:3, :5, :5]])) == {location_of(array)}


def test_layers_are_made_and_sliced_without_dask_array(tmp_path: Path) -> None:
    """It takes half a second of the time until a person sees the first picture."""
    save_ome_ngff(tmp_path / "a.zarr", np.arange(24, dtype="uint8").reshape(2, 3, 4), axes="cyx", units="um")
    code = (
        "import sys\n"
        "from napari.layers import Layer\n"
        "from napari_ome_ngff.plugin.reader import read_layers\n"
        "layers = [Layer.create(*layer) for layer in read_layers(sys.argv[1])]\n"
        "assert layers[1]._slice.image.raw.sum() == sum(range(12, 24))\n"
        "found = [name for name in ('dask.array', 'distributed') if name in sys.modules]\n"
        "assert not found, found\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", code, str(tmp_path / "a.zarr")]
    subprocess.run(command, check=True, timeout=120)


@pytest.mark.parametrize("kind", ["zarr", "dask"])
def test_the_levels_of_a_layer_are_written_without_being_loaded(tmp_path: Path, kind: str) -> None:
    array = stored(tmp_path)
    finest = array if kind == "zarr" else da.from_zarr(array)
    layer = Image([finest, np.zeros((12, 256, 512), "uint16")], contrast_limits=(0, 30))
    assert isinstance(layer.data, MultiScaleData)
    CountingStore.reads.clear()  # what was looked at for the thumbnail
    bundles, _ = from_layers([layer.as_layer_data_tuple()])
    write_counting(dict(bundles[0].sources), tmp_path / "a.zarr")
