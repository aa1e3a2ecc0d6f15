"""Create an empty movie, fill it frame by frame as a camera would, and read one moment of it.

python docs/examples/create_and_fill.py [TARGET.ome.zarr]
"""

from __future__ import annotations

import sys

import numpy as np
import xarray as xr

from napari_ome_ngff import create_multiscale_group, open_ome_ngff


def main(target: str) -> None:
    frames, height, width = 20, 256, 256
    template = xr.DataArray(
        np.broadcast_to(np.uint8(0), (frames, height, width)),  # takes one byte of memory
        dims=("t", "y", "x"),
        coords={
            "t": ("t", np.arange(frames) * 0.5, {"units": "second"}),
            "y": ("y", np.arange(height) * 0.1, {"units": "micrometer"}),
            "x": ("x", np.arange(width) * 0.1, {"units": "micrometer"}),
        },
        name="movie",
    )
    group = create_multiscale_group(
        store=target, arrays={"s0": template}, ngff_version="0.5", chunks=(1, height, width)
    )
    y, x = np.mgrid[:height, :width]
    for t in range(frames):
        spot = np.hypot(y - 128, x - 40 - 9 * t) < 20
        group["s0"][t] = np.where(spot, 200, 10).astype("uint8")

    movie = open_ome_ngff(target).arrays["s0"]
    moment = movie.sel(t=3.0)
    where = moment.where(moment > 100, drop=True).x.mean()
    print(f"At 3 seconds the spot is at x = {float(where):.1f} {movie.x.attrs['units']}")
    print(f"Written: {target}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "movie.ome.zarr")
