"""Mark the bright places of the sample image, save image and labels together, and count the pixels.

python docs/examples/write_labels.py [TARGET.ome.zarr]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import xarray as xr

from napari_ome_ngff import LabelImage, MultiscaleSource, open_ome_ngff, write_multiscale_group

SAMPLE = Path(__file__).parent / "data" / "coins.ome.zarr"


def main(target: str) -> None:
    levels = open_ome_ngff(SAMPLE).arrays
    picture = next(iter(levels.values())).isel(c=0, z=0, drop=True)
    objects = xr.where(picture > 130, 1, 0).astype("uint8")
    objects = objects + (picture > 190).astype("uint8")  # 1: bright, 2: very bright

    write_multiscale_group(
        store=target,
        image=picture,
        labels={
            "bright": MultiscaleSource(
                image=objects,
                method="nearest",
                label_image=LabelImage(colors={1: (255, 160, 0, 255), 2: (0, 160, 255, 255)}),
            )
        },
    ).run()

    labels = next(iter(open_ome_ngff(target).labels["bright"].arrays.values()))
    values, counts = np.unique(labels.values, return_counts=True)
    for value, count in zip(values, counts, strict=True):
        print(f"label {value}: {count} pixels")
    print(f"Written: {target}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "coins-labelled.ome.zarr")
