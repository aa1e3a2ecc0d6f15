"""Reading back what was written, before it is published."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import xarray

from napari_ome_ngff import StorageError, write_multiscale_group


@pytest.mark.parametrize("kind", ["numpy", "dask planes", "given levels", "sharded"])
def test_what_was_written_is_read_back_on_request(kind: str, tmp_path: Path) -> None:
    values = np.random.default_rng(1).normal(size=(8, 70, 90)).astype("float32")
    values[0, 0, 0] = np.nan
    image = xarray.DataArray(values, dims=("z", "y", "x"))
    if kind == "dask planes":
        image = image.chunk({"z": 1})
    arrays = {"0": image, "1": image[:, ::2, ::2]} if kind == "given levels" else None
    steps = list(
        write_multiscale_group(
            store=tmp_path / "a.zarr",
            image=None if arrays else image,
            arrays=arrays,
            chunks=(4, 32, 32),
            shards=(8, 64, 64) if kind == "sharded" else None,
            verify=True,
        )
    )
    assert any(step.message.startswith("Verifying") for step in steps)
    assert [step.blocks_done for step in steps] == sorted(step.blocks_done for step in steps)
    assert steps[-1].blocks_done == steps[-1].blocks_total


def test_a_difference_is_found_and_nothing_is_published(tmp_path: Path) -> None:
    values = np.arange(64 * 64, dtype="uint16").reshape(64, 64)
    image = xarray.DataArray(values, dims=("y", "x"))
    save = write_multiscale_group(store=tmp_path / "a.zarr", image=image, chunks=(32, 32), verify=True)
    while not next(save).message.startswith("Writing"):
        pass
    values[40, 40] += 1  # as if the disk had lost a bit
    with pytest.raises(StorageError, match="differs from the image; nothing was saved"):
        list(save)
    assert os.listdir(tmp_path) == []
