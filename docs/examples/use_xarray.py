"""Open an image as an xarray DataTree, subtract the background of each plane, and write it with its labels.

python docs/examples/use_xarray.py [IMAGE] [TARGET]
"""

from __future__ import annotations

import sys
from pathlib import Path

import xarray as xr

from napari_ome_ngff import write_multiscale_group

SAMPLE = Path(__file__).parent / "data" / "coins.ome.zarr"


def main(location: str, target: str) -> None:
    tree = xr.open_datatree(location, engine="ome-ngff", chunks={})
    print(tree.groups)

    finest = next(node for node in tree.subtree if node.data_vars)  # levels are listed finest first
    image = finest["image"]
    background = image.min(("y", "x"))
    finest["image"] = (image - background).assign_attrs(image.attrs)  # lazy: nothing is computed yet
    write_multiscale_group(store=target, image=tree).run()  # lower levels are made anew, labels are kept
    print(f"Written: {target}")

    before, after = background.values.tolist(), xr.open_dataset(target, engine="ome-ngff")["image"]
    print(f"The background was {before}, now it is {after.min(('y', 'x')).values.tolist()}")


if __name__ == "__main__":
    given = dict(enumerate(sys.argv))
    main(given.get(1, str(SAMPLE)), given.get(2, "without-background.ome.zarr"))
