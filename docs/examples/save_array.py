"""Save a numpy array with its voxel size, channels and a mask, as another version too, and read it back.

python docs/examples/save_array.py [TARGET.ome.zarr]
"""

from __future__ import annotations

import sys

import numpy as np

from napari_ome_ngff import save_ome_ngff


def main(target: str) -> None:
    pixels = np.random.default_rng(0).poisson(50, (2, 16, 200, 300)).astype("uint16")
    image = save_ome_ngff(
        target,
        pixels,
        axes="czyx",
        scale={"z": 1.0, "y": 0.2, "x": 0.2},
        units="micrometer",
        channels=["membrane", "nuclei"],
        labels={"bright": pixels[1] > 60},
    )
    print(f"{dict(image.arrays['0'].sizes)}, label images: {', '.join(image.labels)}")
    print(f"Written: {target}")

    older = f"{target.removesuffix('.ome.zarr')}-0.4.ome.zarr"
    save_ome_ngff(older, image, ngff_version="0.4")
    print(f"Written: {older}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "array.ome.zarr")
