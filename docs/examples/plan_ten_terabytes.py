"""Plan the save of an image of 10 TB: tasks, files, memory and time, without a byte of it.

python docs/examples/plan_ten_terabytes.py
"""

from __future__ import annotations

import tracemalloc

import dask.array as da
import xarray as xr
import zarr

from napari_ome_ngff import MultiscaleSource, create_multiscale_group, open_ome_ngff, plan_hierarchy

SHAPE = (100, 2, 400, 8192, 8192)  # t, c, z, y, x of 16 bits: 10.7 TB
# Of level 0, read, reduced, encoded and written by one core: docs/explanation/very-large-images.md
MEGABYTES_PER_SECOND = 320
CORES = 32  # of one node
MEBIBYTE = 2**20


def main() -> None:
    # Metadata alone: an image as a camera writes it, each plane in chunks of 2048 x 2048.
    planes = xr.DataArray(da.empty(SHAPE, chunks=(1, 1, 1, 2048, 2048), dtype="uint16"), dims=tuple("tczyx"))
    store = zarr.storage.MemoryStore()
    create_multiscale_group(store=store, arrays={"0": planes}, chunks=(1, 1, 1, 2048, 2048))
    image = open_ome_ngff(store, array_wrapper={"name": "zarr_array"}).arrays["0"]

    for shards in (None, "auto"):
        tracemalloc.start()
        plan = plan_hierarchy(
            sources={"": MultiscaleSource(image=image)}, chunks=(1, 1, 16, 256, 256), shards=shards
        )
        (multiscale,) = plan.multiscales
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

        print(f"shards: {shards}")
        print(
            f"  levels             {' '.join('x'.join(map(str, one.shape[2:])) for one in multiscale.levels)}"
        )
        print(f"  bytes              {plan.nbytes / 1e12:.1f} TB before compression")
        print(f"  tasks              {plan.n_tasks:,}")
        print(f"  files              {plan.n_files:,}")
        print(f"  memory             {plan.memory / MEBIBYTE:.0f} MiB of buffers")
        print(f"  source decoded     {multiscale.decodes:.2f} times")
        print(f"  memory of the plan {peak / MEBIBYTE:.2f} MiB")
    seconds = multiscale.levels[0].nbytes(2) / 1e6 / MEGABYTES_PER_SECOND
    for nodes in (1, 10, 100):
        print(f"{nodes:4} nodes of {CORES} cores: {seconds / nodes / CORES / 3600:.2f} hours")


if __name__ == "__main__":
    main()
