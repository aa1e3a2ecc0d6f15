"""Open an image, print what it holds, and show one plane of its coarsest level as text.

python docs/examples/read_image.py [IMAGE]
"""

from __future__ import annotations

import sys
from pathlib import Path

from napari_ome_ngff import open_ome_ngff

SAMPLE = Path(__file__).parent / "data" / "coins.ome.zarr"


def main(location: str) -> None:
    image = open_ome_ngff(location)
    labels = ", ".join(image.labels) or "none"
    print(f"{image.multiscale.name}: OME-Zarr {image.multiscale.version}, labels: {labels}")
    for path, level in image.arrays.items():
        print(f"  level {path}: {dict(level.sizes)} {level.dtype}")

    coarsest = list(image.arrays.values())[-1]
    first_plane = coarsest.isel(dict.fromkeys(coarsest.dims[:-2], 0))[::2]  # letters are high
    pixels = first_plane.values.astype(float)  # only now pixels are read
    shades = " .:-=+*#%@"
    steps = ((pixels - pixels.min()) / (pixels.max() - pixels.min() or 1) * (len(shades) - 1)).astype(int)
    for line in steps:
        print("".join(shades[step] for step in line))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else str(SAMPLE))
