"""Stored chunks with flipped, cut and foreign bytes: right pixels, other pixels, or an error of ours.

``python -m tests.campaigns.chunks [COUNT [SEED]]`` prints what became of COUNT damaged images.
"""

from __future__ import annotations

import functools
import io
import random
import resource
import sys
import tempfile
import time
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import zarr
from zarr import codecs as v3
from zarr.storage import MemoryStore

from napari_ome_ngff import DaskArrayWrapper, ZarrArrayWrapper, open_ome_ngff
from napari_ome_ngff.errors import OmeNgffError, StorageError

try:
    from zarr.codecs import numcodecs as more
except ImportError:  # zarr 3.1
    from numcodecs import zarr3 as more

SHAPE, CHUNKS = (6, 40, 50), (3, 20, 25)
VALUES = (np.arange(np.prod(SHAPE), dtype="uint16").reshape(SHAPE) // 7) % 1000

_OLD = {"zarr_format": 2, "chunk_key_encoding": {"name": "v2", "separator": "/"}}

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # that these are no part of Zarr's core
    _BYTES_V3 = {
        "raw": [],
        "zstd": [v3.ZstdCodec()],
        "zstd, checked": [v3.ZstdCodec(checksum=True)],
        "gzip": [v3.GzipCodec()],
        "crc32c": [v3.Crc32cCodec()],
        "two": [v3.ZstdCodec(), v3.GzipCodec()],
        **{
            f"blosc {name}": [v3.BloscCodec(cname=name, shuffle=shuffle)]  # type: ignore[arg-type]
            for name, shuffle in (("lz4", "bitshuffle"), ("zstd", "shuffle"), ("blosclz", "noshuffle"))
        },
        **{
            one.codec_name: [one]
            for one in (
                *(more.Zlib(), more.LZ4(), more.BZ2(), more.LZMA(), more.GZip(), more.Zstd(), more.Blosc()),
                *(more.CRC32(), more.Adler32(), more.Fletcher32(), more.JenkinsLookup3()),
            )
        },
    }
    _FILTERS_V3 = {
        "transposed": [v3.TransposeCodec(order=(2, 0, 1))],
        "delta": [more.Delta(dtype="<u2")],
        "fixedscaleoffset": [more.FixedScaleOffset(offset=0, scale=1, dtype="<u2", astype="<u4")],
    }
_FILTERS_V2 = {
    "delta": [numcodecs.Delta("<u2")],
    "fixedscaleoffset": [numcodecs.FixedScaleOffset(0, 1, "<u2", "<u4")],
    "astype": [numcodecs.AsType("<f8", "<u2")],
    "quantize": [numcodecs.AsType("<f8", "<u2"), numcodecs.Quantize(3, "<f8")],
    "checked": [numcodecs.CRC32(), numcodecs.Fletcher32()],
    "base64": [numcodecs.Base64()],
}
_BYTES_V2 = [None, numcodecs.Zstd(), numcodecs.Blosc(), numcodecs.Blosc("zlib", 5, 2), numcodecs.GZip()]
_BYTES_V2 += [
    numcodecs.Zlib(),
    numcodecs.LZ4(),
    numcodecs.BZ2(),
    numcodecs.LZMA(preset=0),
    numcodecs.Shuffle(2),
]

FORMATS: dict[str, dict[str, Any]] = {
    **{f"3 {name}": {"compressors": chain} for name, chain in _BYTES_V3.items()},
    **{f"3 {name}, shards": {"compressors": chain, "shards": SHAPE} for name, chain in _BYTES_V3.items()},
    **{
        f"3 {name}{', shards' * bool(shards)}": {
            "filters": chain,
            "compressors": [v3.ZstdCodec()],
            "shards": shards,
        }
        for name, chain in _FILTERS_V3.items()
        for shards in (None, SHAPE)
    },
    "3 shards, index first": {"shards": {"shape": SHAPE, "index_location": "start"}},
    "3 shards in shards": {
        "compressors": None,
        "serializer": v3.ShardingCodec(chunk_shape=(3, 10, 25), codecs=[v3.BytesCodec(), v3.ZstdCodec()]),
    },
    "3 packed shards": {
        "serializer": v3.ShardingCodec(chunk_shape=(3, 10, 25), codecs=[v3.BytesCodec(), v3.ZstdCodec()]),
        "compressors": [v3.GzipCodec()],
    },
    **{
        f"2 {getattr(codec, 'codec_id', 'raw')} {number}": {**_OLD, "compressors": codec}
        for number, codec in enumerate(_BYTES_V2)
    },
    **{
        f"2 {name}": {**_OLD, "filters": chain, "compressors": numcodecs.Zstd()}
        for name, chain in _FILTERS_V2.items()
    },
    "2 columns": {**_OLD, "order": "F"},
}


@functools.cache
def image(name: str) -> dict[str, bytes]:
    """The stored objects of a small image, not to be changed."""
    options = FORMATS[name]
    store = MemoryStore()
    options = dict(options)
    version = options.pop("zarr_format", 3)
    datasets = [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1.0, 1.0, 1.0]}]}]
    axes = [{"name": name, "type": "space"} for name in "zyx"]
    multiscales = {"multiscales": [{"version": "0.4", "axes": axes, "datasets": datasets}]}
    attributes = {"ome": {"version": "0.5", **multiscales}} if version == 3 else multiscales
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        group = zarr.create_group(store, zarr_format=version, attributes=attributes)
        array = group.create_array("0", shape=SHAPE, chunks=CHUNKS, dtype="<u2", **options)
        array[...] = VALUES
    return {key: value.to_bytes() for key, value in store._store_dict.items()}


def chunks_of(objects: dict[str, bytes]) -> list[str]:
    """The keys of the chunks or shards."""
    return [key for key in objects if key[-1].isdigit()]


def damaged(data: bytes, rng: random.Random) -> bytes:
    """The same bytes, but for one fault of the kinds that discs, lines and people make."""
    changed = bytearray(data)
    at = rng.randrange(len(data)) if rng.random() < 0.6 else min(rng.randrange(32), len(data) - 1)
    end = at + 1 + rng.randrange(64)
    kind = rng.randrange(7)
    if kind == 0:
        changed[at] ^= 1 << rng.randrange(8)
    elif kind == 1:
        changed[at] = rng.choice((0, 1, 127, 128, 255))
    elif kind == 2:
        del changed[at:]
    elif kind == 3:
        del changed[at:end]
    elif kind == 4:
        changed[at:at] = rng.randbytes(end - at)
    elif kind == 5:
        changed[at:end] = rng.choice((b"\0", b"\xff", rng.randbytes(1))) * (len(changed[at:end]))
    else:
        changed[at : at + 4] = rng.choice((2**31 - 1, 2**32 - 1, 2**30, 0)).to_bytes(4, "little")
    return bytes(changed)


WAYS: dict[str, Callable[[Any], np.ndarray]] = {
    "xarray": lambda place: open_ome_ngff(place, array_wrapper=ZarrArrayWrapper()).arrays["0"].values,
    "load": lambda place: open_ome_ngff(place).arrays["0"][2:4, ::3].load().values,
    "dask": lambda place: (
        open_ome_ngff(place, array_wrapper=DaskArrayWrapper()).arrays["0"].data.compute(scheduler="sync")
    ),
}


def verdict(read: Callable[[Any], np.ndarray], place: Any, name: str) -> str:
    """What came of reading: "right", "other" or "error"; else what must not be."""
    expected = VALUES[2:4, ::3] if read is WAYS["load"] else VALUES
    try:
        values = read(place)
    except StorageError as error:
        if not name:
            return "error"
        complete = name in error.summary and error.where.endswith("/0") and error.__cause__ is not None
        return "error" if complete else f"an error that does not say enough: {error}"
    except OmeNgffError as error:  # of a zip file that is damaged where its documents are
        return "error" if not name else f"not the error of a chunk: {error}"
    except Exception as error:  # noqa: BLE001 (what the campaign looks for)
        return f"{type(error).__name__}: {error}"
    if values.shape != expected.shape or values.dtype != expected.dtype:
        return f"values of another kind: {values.shape} {values.dtype}"
    return "right" if np.array_equal(values, expected) else "other"


def zipped(objects: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """The objects as a zip file."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for key, value in objects.items():
            archive.writestr(key, value)
    return file.getvalue()


def run(count: int, seed: int, folder: Path) -> Iterator[tuple[str, str]]:
    """Yield, for each damaged image, how it was stored and what came of reading it."""
    rng = random.Random(seed)
    names = list(FORMATS)
    rng.shuffle(names)
    for number in range(count):
        name = names[number % len(names)]
        objects, read = dict(image(name)), rng.choice(list(WAYS.values()))
        if rng.random() < 0.2:
            compression = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
            path = folder / "a.zip"
            path.write_bytes(damaged(zipped(objects, compression), rng))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield f"{name}, zip", verdict(read, path, "")
            continue
        chunks = [
            key for key in objects if key.startswith("0/") and not key.endswith(("json", ".zarray", "s"))
        ]
        key = rng.choice(chunks)
        objects[key] = damaged(objects[key], rng)
        store = MemoryStore({k: zarr.core.buffer.cpu.Buffer.from_bytes(v) for k, v in objects.items()})
        yield name, verdict(read, store, key.removeprefix("0/"))


def main() -> None:
    """Run as long as asked for, and print figures."""
    count, seed = [*map(int, sys.argv[1:3]), *(20_000, 11)[len(sys.argv) - 1 :]]
    start, results, bad = time.perf_counter(), Counter[str](), Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        for name, result in run(count, seed, Path(folder)):
            is_good = result in ("right", "other", "error")
            results[result if is_good else "BAD"] += 1
            if not is_good:
                bad[f"{name}: {result.splitlines()[0][:200]}"] += 1
    took, memory = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{count} of {len(FORMATS)} formats, seed {seed}: {dict(results)}; {took:.0f} s, {memory} MB")
    for line, times in bad.most_common(40):
        print(f"{times:6d}  {line}")


if __name__ == "__main__":
    main()
