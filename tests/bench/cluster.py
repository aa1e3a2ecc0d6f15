"""Threads, processes and clusters, one and two: ``python tests/bench/cluster.py ROOT [ROUNDS] [NAME..]``

Images of uint16 (czyx), made once in ROOT: ``numpy``, 1 GiB in memory; ``lazy``, 2 GiB opened by this
package, in its default chunks; ``planes``, 2 GiB in chunks of one plane. Each way runs in a process of its
own, in turns, after small saves that start the workers and import what they need: ``threads`` (two) and
``thread`` (one), ``pool`` (two processes) and ``process`` (one), ``cluster`` (two workers) and ``worker``
(one). Names choose among images and ways.

Printed are medians of one save: processor time of all processes (client, scheduler, workers), wall time, and
for the client and a worker the most memory that it added to what they share with none (in another run).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import xarray as xr

from napari_ome_ngff import DaskArrayWrapper, open_ome_ngff, write_multiscale_group

SHAPE = (4, 64, 2048, 2048)
WAYS = ("threads", "thread", "process", "pool", "worker", "cluster")
IMAGES = ("numpy", "lazy", "planes")


def make(folder: Path, chunks: Any) -> None:
    """Smooth structures and noise, as a microscope sees them: it is compressed to about two thirds."""
    rng = np.random.default_rng(0)
    z, y, x = np.ogrid[: SHAPE[1], : SHAPE[2], : SHAPE[3]]
    waves = 600 * (np.sin(x / 90) * np.cos(y / 70) * np.sin(z / 9) + 1)
    image = np.stack([(waves + rng.poisson(100, SHAPE[1:])).astype("uint16") for _ in range(SHAPE[0])])
    write(folder, xr.DataArray(image, dims=tuple("czyx")), levels=1, chunks=chunks)


def write(folder: Path, image: xr.DataArray, **options: Any) -> None:
    write_multiscale_group(store=folder, image=image, **options).run()


def given(root: Path, name: str) -> xr.DataArray:
    folder = root / ("planes.zarr" if name == "planes" else "source.zarr")
    image = open_ome_ngff(folder, array_wrapper=DaskArrayWrapper()).arrays["0"]
    return image[:2].compute() if name == "numpy" else image


@contextmanager
def executor_of(way: str) -> Iterator[Executor]:
    with ExitStack() as stack:
        workers = 2 if way in ("threads", "pool", "cluster") else 1
        if way in ("threads", "thread"):
            yield stack.enter_context(ThreadPoolExecutor(workers))
        elif way in ("cluster", "worker"):
            from distributed import Client, LocalCluster

            cluster = stack.enter_context(
                LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None)
            )
            yield stack.enter_context(Client(cluster)).get_executor(pure=False)
        else:
            yield stack.enter_context(ProcessPoolExecutor(workers, mp_context=get_context("spawn")))


def processes() -> list[psutil.Process]:
    this = psutil.Process()
    return [this, *this.children(recursive=True)]


def import_all(_: int) -> None:
    """In each worker: what its first task would import."""
    import napari_ome_ngff.writing.engine.run_pass
    import napari_ome_ngff.writing.write  # noqa: F401

    time.sleep(1)


def used() -> float:
    """Processor time of this process and all below it."""
    times = [each.cpu_times() for each in processes()]
    return sum(each.user + each.system for each in times)


def memory() -> dict[int, int]:
    """Bytes of each process that it shares with none."""
    sizes = {each.pid: each.memory_info() for each in processes()}
    return {pid: size.rss - size.shared for pid, size in sizes.items()}


@contextmanager
def watching() -> Iterator[dict[int, int]]:
    """The most that each process has taken on top of what it had."""
    first, most, over = memory(), dict[int, int](), threading.Event()

    def watch() -> None:
        while not over.wait(0.1):
            for pid, size in memory().items():
                most[pid] = max(most.get(pid, 0), size - first.get(pid, 0))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield most
    finally:
        over.set()
        thread.join()


def measure(root: Path, name: str, way: str) -> dict[str, float]:
    target = root / f"{name}-{way}.zarr"
    image = given(root, name)
    with executor_of(way) as executor:
        wait([executor.submit(import_all, number) for number in range(2)])
        for _ in range(4):
            write(target, image[:, :16, :512, :512], executor=executor, levels=2, overwrite=True)
        shutil.rmtree(target)
        os.sync()
        cpu, wall = used(), time.perf_counter()
        if os.environ.get("MEMORY"):
            with watching() as most:
                write(target, image, executor=executor)
        else:
            most = {}
            write(target, image, executor=executor)
        wall, cpu = time.perf_counter() - wall, used() - cpu
    client = most.pop(os.getpid(), 0)
    worker = max(most.values(), default=0)
    return {"cpu": cpu, "wall": wall, "client": client / 2**20, "worker": worker / 2**20}


def main(root: Path, rounds: int, names: list[str]) -> None:
    for folder, chunks in (("source.zarr", "auto"), ("planes.zarr", (1, 1, 2048, 2048))):
        if not (root / folder).exists():
            make(root / folder, chunks)
    images = [name for name in IMAGES if name in names] or IMAGES
    ways = [way for way in WAYS if way in names] or WAYS
    for name in images:
        results: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
        for number in range(rounds):
            for way in ways if number % 2 == 0 else reversed(ways):
                for environment in ({}, {"MEMORY": "1"})[: 2 if number == 0 else 1]:
                    run = subprocess.run(
                        [sys.executable, __file__, str(root), "--measure", name, way],
                        env={**os.environ, **environment},
                        stdout=subprocess.PIPE,
                        check=True,
                    )
                    result = json.loads(run.stdout.splitlines()[-1])
                    if environment:
                        results[way][0] |= {key: result[key] for key in ("client", "worker")}
                    else:
                        results[way].append(result)
                subprocess.run(
                    ["diff", "-rq", root / f"{name}-{way}.zarr", root / f"{name}-{ways[0]}.zarr"], check=True
                )
        base = float(np.median([result["cpu"] for result in results[ways[0]]]))
        for way, each in results.items():
            cpu, wall = (float(np.median([result[key] for result in each])) for key in ("cpu", "wall"))
            print(
                f"{name:8} {way:8} CPU {cpu:6.2f} s {cpu / base:5.2f}x   wall {wall:6.2f} s   "
                f"client {each[0]['client']:5.0f} MiB   worker {each[0]['worker']:5.0f} MiB",
                flush=True,
            )
            shutil.rmtree(root / f"{name}-{way}.zarr")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if "--measure" in sys.argv:
        print(json.dumps(measure(Path(sys.argv[1]), sys.argv[3], sys.argv[4])))
    else:
        count = [int(word) for word in sys.argv[2:] if word.isdigit()]
        main(Path(sys.argv[1]), *count[:1] or [3], [word for word in sys.argv[2:] if not word.isdigit()])
