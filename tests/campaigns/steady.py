"""Memory, threads and open files of one process over many opens and saves.

Run it with `python -m tests.campaigns.steady [OPENS SAVES]`. It prints them every 20; the suite has the
same law for fewer (`tests/whole/test_steady.py`).
"""

from __future__ import annotations

import gc
import os
import shutil
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from napari_ome_ngff import DaskArrayWrapper, MultiscaleSource, open_ome_ngff, write_multiscale_group


@dataclass(frozen=True)
class Held:
    """What a process holds: megabytes, threads, open files."""

    megabytes: float
    threads: int
    files: int


def held() -> Held:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    files = len(os.listdir("/proc/self/fd"))
    return Held(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, threading.active_count(), files)


def image(seed: int) -> xr.DataArray:
    values = np.random.default_rng(seed).integers(0, 4000, (8, 256, 256)).astype("uint16")
    return xr.DataArray(values, dims=("z", "y", "x"), name="cells")


def save(path: Path, number: int) -> None:
    labels = {"cells": MultiscaleSource(image=image(number) // 1000)}
    write_multiscale_group(store=path, image=image(number), labels=labels, overwrite=True).run()


def read(path: Path) -> None:
    """Open an image, and look at a plane of each level, as a viewer does."""
    opened = open_ome_ngff(path, array_wrapper=DaskArrayWrapper(missing="fill"))
    for level in opened.arrays.values():
        level[level.shape[0] // 2].compute()


def run(folder: Path, opens: int, saves: int, every: int) -> list[Held]:
    """Save and open by turns; what was held after each so many of them, the first after a warm-up."""
    seen = []
    for number in range(max(opens, saves)):
        path = folder / f"{number % 4}.ome.zarr"
        if number < saves:
            save(path, number)
        if number < opens:
            read(path)
        if number % every == every - 1:
            seen.append(held())
    return seen


def main() -> None:
    opens, saves = (int(text) for text in (*sys.argv[1:], "500", "200")[:2])
    folder = Path(tempfile.mkdtemp())
    try:
        for number, one in enumerate(run(folder, opens, saves, 20), start=1):
            print(20 * number, one, flush=True)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
