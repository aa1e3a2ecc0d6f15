"""Decoders in turns, against reading, decoding and copying the same chunks on one thread.

    python -m tests.bench.decoders FOLDER [READS] [CANDIDATE ...]

Inputs are made in FOLDER once (0.3 GB), each as a folder and as a single file (`.ozx`). Every candidate has a
process of its own, in which its reads and those of the limit take turns at the same random places, with
nothing decoded before. Printed are medians of processor time and of wall time, as multiples of the limit.
Candidates whose package is missing are left out: ``pip install zarrs tensorstore``.
"""

import itertools
import json
import os
import random
import statistics
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

INPUTS = {
    # name: shape, chunks, codec
    "planes-zstd": ((64, 2048, 2048), (1, 256, 256), "zstd"),
    "planes-blosc": ((64, 2048, 2048), (1, 256, 256), "blosc"),
    "cubes-zstd": ((128, 1024, 1024), (64, 64, 64), "zstd"),
    "cubes-blosc": ((128, 1024, 1024), (64, 64, 64), "blosc"),
}
CASES = {
    # case: input, edge of what is read
    f"{case}, {codec}": (f"{data}-{codec}", edge)
    for codec in ("zstd", "blosc")
    for case, data, edge in (
        ("plane, 1x256x256", "planes", 2048),
        ("plane, 64x64x64", "cubes", 1024),
        ("tile of 512x512, 1x256x256", "planes", 512),
    )
}
NEEDED = {"zarrs": "zarrs", "tensorstore": "tensorstore"}
Key = tuple[int, slice, slice]
Read = Callable[[Key], Any]


def make(root: Path) -> None:
    """Make the inputs that are missing."""
    from numcodecs import Blosc, Zstd

    from napari_ome_ngff import save_ome_ngff

    rng = np.random.default_rng(0)
    root.mkdir(parents=True, exist_ok=True)
    for name, (shape, chunks, codec) in INPUTS.items():
        y, x = np.ogrid[: shape[1], : shape[2]]
        waves = (400 * (2 + np.sin(x / 40) + np.cos(y / 60))).astype("uint16")
        compressor = Zstd(level=1) if codec == "zstd" else Blosc("zstd", clevel=1)
        for ending in (".ome.zarr", ".ozx"):
            if not (root / (name + ending)).exists():
                pixels = rng.integers(0, 60, shape, dtype="uint16") + waves
                save_ome_ngff(
                    root / (name + ending), pixels, axes="zyx", levels=1, chunks=chunks, compressor=compressor
                )


def stored(place: Path) -> Any:
    """The level as an array of Zarr."""
    import zarr
    from zarr.storage import LocalStore, ZipStore

    store = ZipStore(place, mode="r") if place.suffix == ".ozx" else LocalStore(place, read_only=True)
    return zarr.open_group(store, mode="r", use_consolidated=False)["0"]


def in_zip(place: Path, array: Any, form: Any) -> dict[tuple[int, ...], tuple[int, int]]:
    """Offset and length of each chunk in a single file, in which they are members or parts of shards."""
    found, grid = {}, form.shard.grid if form.shard else (1, 1, 1)
    with zipfile.ZipFile(place) as file, place.open("rb") as raw:
        for position in itertools.product(
            *(range(-(-n // c)) for n, c in zip(array.shape, array.chunks, strict=True))
        ):
            outer = [p // n for p, n in zip(position, grid, strict=True)]
            info = file.getinfo("0/" + array.metadata.encode_chunk_key(tuple(outer)))
            raw.seek(info.header_offset + 26)
            name, extra = np.frombuffer(raw.read(4), "<u2")
            start = info.header_offset + 30 + int(name) + int(extra)
            at, length = 0, info.file_size
            if form.shard:
                raw.seek(start + info.file_size - form.shard.span[1])
                at, length = form.shard.place(form.shard.decode(raw.read(form.shard.span[1])), position)
            found[position] = start + at, length
    return found


def limit(place: Path) -> Read:
    """Read, decode and copy on one thread, knowing where each chunk lies: no reader can do less."""
    from napari_ome_ngff.storage.pixels.codecs import chunk_format

    array = stored(place)
    form: Any = chunk_format(array)
    (codec,), shape, is_zip = form.codecs, array.chunks, place.suffix == ".ozx"
    places = in_zip(place, array, form) if is_zip else {}
    opened = place.open("rb", buffering=0) if is_zip else None

    def content(position: tuple[int, ...]) -> bytes:
        if opened is not None:
            at, length = places[position]
            return os.pread(opened.fileno(), length, at)
        with open(f"{place}/0/{array.metadata.encode_chunk_key(position)}", "rb", buffering=0) as file:
            return file.read()

    def read(key: Key) -> Any:
        z, *box = key
        result = np.empty([part.stop - part.start for part in box], array.dtype)
        cells = [range(part.start // n, -(-part.stop // n)) for part, n in zip(box, shape[1:], strict=True)]
        for position in itertools.product((z // shape[0],), *cells):
            chunk = np.frombuffer(codec.decode(content(position)), form.dtype).reshape(shape)[z % shape[0]]
            inside, outside = [], []
            for part, at, n in zip(box, position[1:], shape[1:], strict=True):
                first, last = max(part.start, at * n), min(part.stop, (at + 1) * n)
                inside.append(slice(first - at * n, last - at * n))
                outside.append(slice(first - part.start, last - part.start))
            result[tuple(outside)] = chunk[tuple(inside)]
        return result

    return read


def source(place: Path) -> Read:
    from napari_ome_ngff.storage.pixels.source import ChunkedSource

    return ChunkedSource(stored(place)).__getitem__


def library(place: Path) -> Read:
    """`open_ome_ngff` as it is, with the wrapper that it takes by default."""
    from napari_ome_ngff import open_ome_ngff

    (array,) = open_ome_ngff(place).arrays.values()
    return lambda key: array[key].values


def dask(place: Path) -> Read:
    """What the plugin hands to napari."""
    from napari_ome_ngff import DaskArrayWrapper, open_ome_ngff

    (array,) = open_ome_ngff(place, array_wrapper=DaskArrayWrapper()).arrays.values()
    return lambda key: np.asarray(array.data[key])


def with_pipeline(path: str) -> Callable[[Path], Read]:
    """zarr-python with one of its codec pipelines."""

    def reader(place: Path) -> Read:
        import zarr

        zarr.config.set({"codec_pipeline.path": path})
        return stored(place).__getitem__

    return reader


def tensorstore(place: Path) -> Read:
    import tensorstore as ts

    base: dict[str, Any] = {"driver": "file", "path": f"{place}/0/"}
    if place.suffix == ".ozx":
        base = {"driver": "zip", "base": {"driver": "file", "path": str(place)}, "path": "0/"}
    array = ts.open({"driver": "zarr3", "kvstore": base}, read=True).result()
    return lambda key: array[key].read().result()


CANDIDATES: dict[str, Callable[[Path], Read]] = {
    "source": source,
    "library": library,
    "dask": dask,
    "zarr": with_pipeline("zarr.core.codec_pipeline.BatchedCodecPipeline"),
    "zarr, fused": with_pipeline("zarr.core.codec_pipeline.FusedCodecPipeline"),
    "zarrs": with_pipeline("zarrs.ZarrsCodecPipeline"),
    "tensorstore": tensorstore,
}


def timed(read: Read, key: Key) -> tuple[float, float, Any]:
    cpu, wall = time.process_time(), time.perf_counter()
    values = read(key)
    return time.process_time() - cpu, time.perf_counter() - wall, values


def child(name: str, place: Path, edge: int, reads: int) -> None:
    """Print processor and wall time of a candidate and of the limit."""
    from napari_ome_ngff.storage.pixels.process_state import shared_cache

    read, least = CANDIDATES[name](place), limit(place)
    depth, *lengths = stored(place).shape
    rng = random.Random(0)
    times = []
    for number in range(reads + 3):
        first = [rng.randrange(0, n - edge + 1) for n in lengths]
        key = (rng.randrange(depth), *(slice(at, at + edge) for at in first))
        shared_cache().clear()
        pair = (read, least) if number % 2 else (least, read)
        mine, limits = [timed(one, key) for one in pair][:: 1 if number % 2 else -1]
        assert np.array_equal(mine[2], limits[2]), f"{name} reads something else"
        times.append((*mine[:2], *limits[:2]))
    figures = [statistics.median(column) for column in zip(*times[3:], strict=True)]
    print("FIGURES" + json.dumps(figures), flush=True)


def main() -> None:
    root, reads = Path(sys.argv[1]).resolve(), int(sys.argv[2]) if len(sys.argv) > 2 else 20
    names = [n for n in sys.argv[3:] or CANDIDATES if n not in NEEDED or find_spec(NEEDED[n])]
    make(root)
    for ending in (".ome.zarr", ".ozx"):
        print(f"\n| {ending}: processor time, wall time | limit, ms | {' | '.join(names)} |")
        print("| --- |" + " --- |" * (len(names) + 1))
        for case, (data, edge) in CASES.items():
            row, least = [], []
            for name in names:
                command = [sys.executable, "-W", "ignore", "-m", "tests.bench.decoders", "--child"]
                options = [name, str(root / (data + ending)), str(edge), str(reads)]
                run = subprocess.Popen(
                    [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
                )
                try:
                    out, err = run.communicate(timeout=60)
                except subprocess.TimeoutExpired:
                    run.kill()
                    out, err = "", "no answer within a minute"
                lines = [line for line in out.splitlines() if line.startswith("FIGURES")]
                if not lines:
                    row.append("–")
                    print(name, "fails:", err.strip().splitlines()[-1:], file=sys.stderr)
                    continue
                cpu, wall, cpu_limit, wall_limit = json.loads(lines[0].removeprefix("FIGURES"))
                row.append(f"{cpu / cpu_limit:.2f}, {wall / wall_limit:.2f}")
                least.append(cpu_limit)
            milliseconds = statistics.median(least or [0]) * 1000
            print(f"| {case} | {milliseconds:.1f} | {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "--child":
        child(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
    else:
        main()
