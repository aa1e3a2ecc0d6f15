"""Open a SpatialData store: its images and labels, in each of the coordinate systems that they are in.

python docs/examples/read_spatialdata.py [STORE.zarr]
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

from napari_ome_ngff import OmeNgffWarning, open_ome_ngff

BLOBS = Path(__file__).parent / "data" / "spatialdata-0.2.zarr.zip"


def main(store: str) -> None:
    warnings.simplefilter("ignore", OmeNgffWarning)  # they name points, shapes and tables, which are not read
    for system in open_ome_ngff(store).systems:
        print(f"{system}:")
        for name, image in open_ome_ngff(store, coordinate_system=system).images.items():
            level = next(iter(image.arrays.values()))
            kind = "labels" if image.multiscale.label_image else "image"
            shape = " × ".join(f"{dim} {size}" for dim, size in level.sizes.items())
            print(f"  {name} ({kind}, {shape})")
            if image.view is not None:  # it is rotated, scaled or moved there
                print(f"    matrix {image.view.affine.matrix}")
                print(f"    translation {image.view.affine.translation}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else str(BLOBS))
