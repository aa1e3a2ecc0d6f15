"""What the engine takes beside encoding, reducing and storing, in one and the same run.

    PYTHONPATH=src python tests/bench/overhead.py ROOT/data/image.npy [ROUNDS]

Processor time of a save, divided by what its own calls of the encoder, the kernels (which copy blocks out of
the image on the way) and the file system took in it. Both come from the same seconds, so other work on the
machine cannot tilt it, as it tilts the ratio of two runs. Chunks 1x64x256x256, blosc-zstd 1, five levels, the
mean of 2x2x2; the first round of a process pays for fresh memory.
"""

import functools
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import numcodecs
import numpy as np
import xarray as xr

from napari_ome_ngff import write_multiscale_group
from napari_ome_ngff.writing.engine import cascade, encode

spent: Counter[str] = Counter()
lock = threading.Lock()


def timed(function):
    @functools.wraps(function)
    def call(*arguments, **options):
        start = time.thread_time()
        try:
            return function(*arguments, **options)
        finally:
            with lock:
                spent[function.__name__] += time.thread_time() - start

    return call


def save(values, folder):
    steps = write_multiscale_group(
        store=folder,
        image=xr.DataArray(values, dims=("c", "z", "y", "x")),
        levels=5 if values.shape[-1] > 64 else 1,
        factors={"z": 2, "y": 2, "x": 2},
        chunks=(1, 64, 256, 256),
        compressor=numcodecs.Blosc(cname="zstd", clevel=1),
    )
    for _ in steps:
        pass


def main():
    encode._encode, encode._write_file = timed(encode._encode), timed(encode._write_file)
    cascade.reduce_block = timed(cascade.reduce_block)
    values = np.load(sys.argv[1])
    folder = Path(tempfile.mkdtemp(dir=Path(sys.argv[1]).parent))
    save(values[:, :, :64, :64], folder / "warm.zarr")  # imports
    ratios = []
    for _ in range(int(sys.argv[2]) if len(sys.argv) > 2 else 5):
        spent.clear()
        start = time.process_time()
        save(values, folder / "a.zarr")
        total = time.process_time() - start
        ratios.append(total / spent.total())
        parts = ", ".join(f"{name.strip('_')} {seconds:.2f}" for name, seconds in spent.items())
        print(f"{total:.2f} CPU s, {ratios[-1]:.2f} x ({parts})")
        shutil.rmtree(folder / "a.zarr")
    shutil.rmtree(folder)
    print(f"median {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
