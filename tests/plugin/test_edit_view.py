"""What napari paints on, without a window."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray

from napari_ome_ngff import edit_image, write_multiscale_group
from napari_ome_ngff.editing.painted import Painted
from napari_ome_ngff.plugin.edit.edit_view import EditView


@pytest.fixture
def view(tmp_path: Path) -> EditView:
    voxels = np.arange(3 * 8 * 8, dtype="uint16").reshape(3, 8, 8)
    write_multiscale_group(
        store=tmp_path / "a.ome.zarr", image=xarray.DataArray(voxels, dims=("z", "y", "x"))
    ).run()
    return EditView(edit_image(tmp_path / "a.ome.zarr"), levels=[], axes=(0, 1, 2), channel=None)


def test_a_plane_is_read_when_its_values_are_needed(view: EditView, monkeypatch: pytest.MonkeyPatch) -> None:
    """napari asks the first plane for its dtype at every dab: reading it made painting ten times slower."""
    reads: list[object] = []
    real = Painted.__getitem__
    monkeypatch.setattr(Painted, "__getitem__", lambda self, key: reads.append(key) or real(self, key))
    plane = view[0]
    assert (plane.dtype, plane.shape, plane.ndim, len(plane)) == (np.dtype("uint16"), (8, 8), 2, 8)
    assert not reads
    with pytest.raises(IndexError):
        view[3]


def test_a_plane_is_what_numpy_gives(view: EditView) -> None:
    expected = np.asarray(view)
    view[1, 2, 2] = expected[1, 2, 2] = 7
    for index in (0, 1, -1):
        np.testing.assert_array_equal(view[index], expected[index])
        np.testing.assert_array_equal(view[index] == 7, expected[index] == 7)
        assert view[index].max() == expected[index].max()
        np.testing.assert_array_equal(view[index][2:4, 1], expected[index][2:4, 1])
