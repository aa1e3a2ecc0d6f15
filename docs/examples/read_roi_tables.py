"""Cut the regions out of an image that a table beside it lists, as Fractal and ngio write them.

python docs/examples/read_roi_tables.py [TARGET.ome.zarr]
"""

from __future__ import annotations

import sys

import numpy as np
import zarr

from napari_ome_ngff import open_ome_ngff, read_roi_tables, save_ome_ngff

FIELDS = {
    "FieldIndex": ["FOV_1", "FOV_2"],
    "x_micrometer": [0.0, 30.0],
    "y_micrometer": [0.0, 10.0],
    "len_x_micrometer": [20.0, 20.0],
    "len_y_micrometer": [10.0, 10.0],
}


def add_table(target: str) -> None:
    """A table of regions, as ngio stores small ones: here because an example needs one."""
    tables = zarr.open_group(target, mode="r+").create_group("tables", attributes={"tables": ["fields"]})
    about = {"type": "roi_table", "table_version": "1", "backend": "json"}
    tables.create_group("fields", attributes=about).create_group("table", attributes=FIELDS)


def main(target: str) -> None:
    pixels = np.random.default_rng(0).poisson(50, (200, 300)).astype("uint16")
    save_ome_ngff(target, pixels, axes="yx", scale=0.2, units="micrometer")
    add_table(target)
    image = open_ome_ngff(target).arrays["0"]
    for region in read_roi_tables(target)["fields"]:
        part = {dim: slice(region.origin[dim], region.origin[dim] + region.size[dim]) for dim in ("y", "x")}
        print(f"{region.name}: mean {float(image.sel(part).mean()):.1f}")
    print(f"Written: {target}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "fields.ome.zarr")
