"""Write tiles that lie side by side as a scene of OME-Zarr 0.6, and open them at their places.

python docs/examples/write_scene.py [TARGET.ome.zarr]
"""

from __future__ import annotations

import sys

import numpy as np

from napari_ome_ngff import Collection, open_ome_ngff, write_scene


def main(target: str) -> None:
    rng = np.random.default_rng(0)
    tiles = {name: rng.poisson(50, (200, 300)).astype("uint16") for name in ("left", "right")}
    placements = {"right": {"x": 300 * 0.2 - 4}}  # in micrometers: they overlap by 4
    write_scene(store=target, images=tiles, placements=placements, scale=0.2, units="micrometer").run()
    scene = open_ome_ngff(target)
    assert isinstance(scene, Collection)
    for name, image in scene.images.items():
        begins = (0.0, 0.0) if image.view is None else image.view.affine.translation
        print(f"{name}: begins at {begins}")
    print(f"Written: {target}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "tiles.ome.zarr")
