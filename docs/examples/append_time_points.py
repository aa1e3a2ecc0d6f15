"""Append time points to a movie as they are recorded, then make other lower levels for it.

python docs/examples/append_time_points.py [TARGET.ome.zarr]
"""

from __future__ import annotations

import sys

import numpy as np

from napari_ome_ngff import append_to_image, build_levels, open_ome_ngff, save_ome_ngff


def main(target: str) -> None:
    rng = np.random.default_rng(0)
    first = rng.poisson(50, (1, 200, 300)).astype("uint16")
    save_ome_ngff(target, first, axes="tyx", scale=0.2, units="micrometer", levels=1)
    for _ in range(3):
        append_to_image(target, rng.poisson(50, (200, 300)).astype("uint16")).run()
    build_levels(target, levels=3).run()
    for path, level in open_ome_ngff(target).arrays.items():
        print(f"level {path}: {dict(level.sizes)}")
    print(f"Written: {target}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "movie.ome.zarr")
