"""What no writer can do without, as a peer of the benchmark: encode, reduce and store the same bytes.

Chunks are cut, and the levels above them made, before the clock starts; so neither copying a chunk out of
the image nor any bookkeeping is in it. A lazy source is read once and thrown away. Verification fails by
design.

Variants: ``mode`` for label images; ``alone`` works on one thread, which has the caches to itself.
"""

import itertools
import os
from concurrent.futures import ThreadPoolExecutor

import common
import kernels
import numpy as np

VENV = "core"
GIB = 2**30

chunks = []


def reduce(values, cfg):
    if cfg.labels and cfg.variant != "mode":
        return np.ascontiguousarray(values[tuple(slice(None, None, f) for f in cfg.factors)])
    return (kernels.numba_mode if cfg.labels else kernels.numba_mean)(values, cfg.factors)


def setup(cfg):
    data = common.load(cfg.case)
    if not isinstance(data, np.ndarray):  # a GiB of it stands for the rest
        data = data[:, : max(1, GIB * data.shape[1] // data.nbytes)].compute()
    for level in range(cfg.levels):
        size = [min(c, n) for c, n in zip(cfg.chunks, data.shape, strict=True)]
        for corner in itertools.product(*(range(0, n, s) for n, s in zip(data.shape, size, strict=True))):
            box = tuple(slice(start, start + s) for start, s in zip(corner, size, strict=True))
            chunks.append((np.ascontiguousarray(data[box]), level + 1 < cfg.levels))
        data = reduce(np.ascontiguousarray(data), cfg)


def write(data, out, cfg):
    from numcodecs import blosc

    blosc.use_threads = False
    codec = cfg.numcodecs()
    os.makedirs(out)
    times = max(1, data.nbytes // GIB)

    def one(job):
        name, (chunk, has_coarser) = job
        encoded = codec.encode(chunk)
        file = os.open(f"{out}/{name}", os.O_WRONLY | os.O_CREAT, 0o644)
        os.write(file, encoded)
        os.close(file)
        if has_coarser:
            reduce(chunk, cfg)

    if not isinstance(data, np.ndarray):
        read_once(data, cfg)
    jobs = enumerate(chunks * times)
    if cfg.variant.endswith("alone"):
        for job in jobs:
            one(job)
    else:
        with ThreadPoolExecutor(cfg.threads) as pool:
            list(pool.map(one, jobs))


class Sink:
    def __setitem__(self, key, value):
        pass


def read_once(data, cfg):
    import dask
    import dask.array as da

    with dask.config.set(scheduler="threads", num_workers=cfg.threads):
        da.store(data, Sink(), lock=False)
