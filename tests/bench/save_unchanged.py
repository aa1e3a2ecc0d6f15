"""Saving unchanged images against copying their files: ``save_unchanged.py ROOT [ROUNDS] [INPUT ...]``

Pyramids (uint16, czyx) are made once in ROOT: of 1 GiB in chunks as by default, the same in OME-Zarr 0.4
(``v2``), and 256 MiB in 5,000 files (``small``). Then, interleaved, each from a warm cache:

- ``cp``: ``cp -r``; ``cp+sync``: and then ``sync -f``, which makes the copy last as long as ours;
- ``library``: opened and written by the library; ``library-``: without its flush to disk;
- ``plugin``: opened by the reader and saved by the writer, as napari does.

Printed are medians of wall time and of processor time (user and system, of the process and of its children).
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr

from napari_ome_ngff import DaskArrayWrapper, StorageOptions, open_ome_ngff, write_multiscale_group
from napari_ome_ngff.plugin.reader import read_layers
from napari_ome_ngff.plugin.writer import write_layers
from napari_ome_ngff.writing.commit import staging
from napari_ome_ngff.writing.plan.write_plan import MultiscaleSource
from napari_ome_ngff.writing.write import write_hierarchy

INPUTS: dict[str, tuple[tuple[int, ...], StorageOptions]] = {
    "default": ((2, 64, 2048, 2048), StorageOptions()),
    "v2": ((2, 64, 2048, 2048), StorageOptions(version="0.4")),
    "small": ((2, 64, 1024, 1024), StorageOptions(chunks=(1, 8, 64, 64))),
}


def make(folder: Path, shape: tuple[int, ...], options: StorageOptions) -> None:
    """Smooth structures and noise, as a microscope sees them: it is compressed to about two thirds."""
    rng = np.random.default_rng(0)
    z, y, x = np.ogrid[: shape[1], : shape[2], : shape[3]]
    waves = 600 * (np.sin(x / 90) * np.cos(y / 70) * np.sin(z / 9) + 1)
    image = np.stack([(waves + rng.poisson(100, shape[1:])).astype("uint16") for _ in range(shape[0])])
    coords = {
        dim: step * np.arange(n) for dim, step, n in zip("zyx", (2.0, 1.0, 1.0), shape[1:], strict=True)
    }
    made = xr.DataArray(image, dims=tuple("czyx"), coords=coords)
    for _ in write_multiscale_group(store=folder, image=made, options=options):
        pass


def library(source: Path, target: Path) -> None:
    image = open_ome_ngff(source, array_wrapper=DaskArrayWrapper())
    sources = {"": MultiscaleSource(arrays=image.arrays, multiscale=image.multiscale)}
    kept = StorageOptions(version=image.multiscale.version)
    for _ in write_hierarchy(store=target, sources=sources, options=kept):
        pass


def unflushed(source: Path, target: Path) -> None:
    flush, staging.flush = staging.flush, lambda folder: None
    try:
        library(source, target)
    finally:
        staging.flush = flush


def plugin(source: Path, target: Path) -> None:
    write_layers(str(target), read_layers(str(source)))


def copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-r", source, target], check=True)


def copy_and_sync(source: Path, target: Path) -> None:
    copy(source, target)
    subprocess.run(["sync", "-f", target], check=True)


WAYS: dict[str, Callable[[Path, Path], None]] = {
    "cp": copy,
    "library-": unflushed,
    "cp+sync": copy_and_sync,
    "library": library,
    "plugin": plugin,
}


def cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def measure(root: Path, name: str, rounds: int) -> None:
    source = root / f"{name}.ome.zarr"
    if not source.exists():
        make(source, *INPUTS[name])
    stored = sum(file.stat().st_size for file in source.rglob("*") if file.is_file())
    count = sum(file.is_file() for file in source.rglob("*"))
    print(f"{name}: {stored / 2**20:.0f} MiB in {count} files", flush=True)
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    for number in range(rounds + 1):  # the first one warms up: imports, cache
        ways = list(WAYS.items())
        for way, save in ways[number % len(ways) :] + ways[: number % len(ways)]:
            target = root / f"copy-{way}.ome.zarr"
            shutil.rmtree(target, ignore_errors=True)
            os.sync()
            wall, used = time.perf_counter(), cpu()
            save(source, target)
            if number:
                found[way].append((time.perf_counter() - wall, cpu() - used))
            subprocess.run(["diff", "-rq", source / "0", target / "0"], check=True)
            shutil.rmtree(target)
    base = {"library-": "cp", "library": "cp+sync", "plugin": "cp+sync"}
    medians = {way: np.median(times, axis=0) for way, times in found.items()}
    for way, (wall, used) in medians.items():
        than = medians[base.get(way, way)]
        ratios = f"wall {wall:5.2f} s {wall / than[0]:5.2f}x   cpu {used:5.2f} s {used / than[1]:5.2f}x"
        print(f"{way:10} {ratios}   of {base.get(way, way)}")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    for chosen in sys.argv[3:] or INPUTS:
        measure(Path(sys.argv[1]), chosen, int(sys.argv[2]) if len(sys.argv) > 2 else 5)
