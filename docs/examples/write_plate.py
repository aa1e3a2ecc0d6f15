"""Write a plate field by field, as a microscope or the jobs of a cluster make them, and publish it.

python docs/examples/write_plate.py [TARGET.ome.zarr]
"""

from __future__ import annotations

import sys

import numpy as np

from napari_ome_ngff import Collection, PlateWriter, open_ome_ngff


def main(target: str) -> None:
    rng = np.random.default_rng(0)
    for number in range(4):
        # Each of these could run in a process of its own: nothing is shared but the path.
        plate = PlateWriter(store=target)
        for field in range(2):
            image = rng.poisson(50, (2, 100, 120)).astype("uint16")
            well = ("AB"[number % 2], number // 2 + 1)
            plate.write_field(well, image, field=field, axes="cyx", scale=0.65, units="micrometer").run()
    PlateWriter(store=target).publish(name="example")

    opened = open_ome_ngff(target)
    assert isinstance(opened, Collection)
    assert opened.plate is not None
    print(f"{len(opened.plate.wells)} wells, {opened.plate.field_count} fields in each")
    print(f"Written: {target}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "plate.ome.zarr")
