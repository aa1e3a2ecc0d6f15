"""Write an image larger than the memory that it takes, with its lower levels and a progress line.

python docs/examples/write_pyramid.py [TARGET.ome.zarr]
"""

from __future__ import annotations

import sys

import dask.array as da
import numpy as np
import xarray as xr

from napari_ome_ngff import open_ome_ngff, write_multiscale_group


def main(target: str) -> None:
    shape = (2, 32, 512, 512)
    pixels = da.random.default_rng(0).poisson(100, shape, chunks=(1, 1, 512, 512)).astype("uint16")
    micrometers = {"z": 0.5, "y": 0.2, "x": 0.2}
    image = xr.DataArray(
        pixels,
        dims=("c", "z", "y", "x"),
        coords={
            "c": ["membrane", "nuclei"],
            **{
                dim: (dim, np.arange(size) * micrometers[dim], {"units": "micrometer"})
                for dim, size in zip("zyx", shape[1:], strict=True)
            },
        },
        name="noise",
    )
    for progress in write_multiscale_group(store=target, image=image, levels=3):
        print(f"\r{progress.bytes_done / progress.bytes_total:4.0%}", end="", flush=True)
    print()

    for path, level in open_ome_ngff(target).arrays.items():
        voxel = " x ".join(f"{level[dim].attrs['scale']:g}" for dim in "zyx")
        print(f"level {path}: {dict(level.sizes)}, voxels of {voxel} micrometer")
    print(f"Written: {target}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "noise.ome.zarr")
