"""Chunks that are damaged, or made to do harm: an error that names them, in time."""

from __future__ import annotations

import bz2
import json
import lzma
import pickle
import time
import tracemalloc
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr
from zarr.core.buffer.cpu import Buffer
from zarr.storage import MemoryStore, WrapperStore

from napari_ome_ngff import open_ome_ngff, read_multiscale_array, read_multiscale_group
from napari_ome_ngff.errors import OmeNgffError, StorageError, UnsupportedError
from napari_ome_ngff.storage.pixels.chunk_cache import ChunkCache
from napari_ome_ngff.storage.pixels.codecs import checksum, chunk_format
from napari_ome_ngff.storage.pixels.source import ChunkedSource
from napari_ome_ngff.storage.pixels.unpack import unpack
from tests.campaigns import chunks as campaign

BOMB = bytes(2**23)  # what a chunk of 3 kB is made to unpack to
MEMORY = 2**20


def test_damage_anywhere_is_the_right_pixels_or_others_or_an_error_that_says_where(tmp_path: Path) -> None:
    outcomes = list(campaign.run(100, 5, tmp_path))
    assert [one for one in outcomes if one[1] not in ("right", "other", "error")] == []
    assert {"right", "other", "error"} == {result for _, result in outcomes}


def test_what_is_not_damaged_is_right_in_every_format() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Zarr: that numcodecs is no part of its core
        for name in campaign.FORMATS:
            store = stored(campaign.image(name), "memory", Path())
            assert (name, campaign.verdict(campaign.WAYS["load"], store, name)) == (name, "right")


@pytest.mark.parametrize("way", campaign.WAYS)
@pytest.mark.parametrize("name", ["3 blosc lz4, shards", "3 transposed", "2 zlib 5", "2 raw 0"])
@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_an_error_names_array_chunk_place_and_cause(name: str, kind: str, way: str, tmp_path: Path) -> None:
    objects = dict(campaign.image(name))
    key = max(campaign.chunks_of(objects))
    objects[key] = objects[key][: len(objects[key]) // 3]
    place = stored(objects, kind, tmp_path)
    with pytest.raises(StorageError, match=key.removeprefix("0/")) as caught:
        campaign.WAYS[way](place)
    assert caught.value.__cause__ is not None
    assert caught.value.where.endswith("/0")
    assert kind == "memory" or caught.value.where.startswith(str(place))


def stored(objects: dict[str, bytes], kind: str, folder: Path) -> Any:
    if kind == "memory":
        return MemoryStore({key: Buffer.from_bytes(value) for key, value in objects.items()})
    if kind == "zip":
        (folder / "a.zip").write_bytes(campaign.zipped(objects))
        return folder / "a.zip"
    for key, value in objects.items():
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_bytes(value)
    return folder


# --- bombs


@contextmanager
def frugal(limit: int = MEMORY) -> Iterator[None]:
    """Fail if more memory is taken, or much time."""
    tracemalloc.start()
    start = time.process_time()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < limit
    assert time.process_time() - start < 2


def nameless_zstd(nbytes: int) -> bytes:
    """A frame of zeros that does not say how much it unpacks to."""
    block, last = ((2**17 << 3 | 2 | is_last).to_bytes(3, "little") + bytes(1) for is_last in (0, 1))
    return b"\x28\xb5\x2f\xfd\x00\x58" + block * (nbytes // 2**17 - 1) + last


CODECS = [
    *(numcodecs.Zstd(), numcodecs.Blosc(), numcodecs.LZ4(), numcodecs.BZ2(1), numcodecs.LZMA(preset=0)),
    numcodecs.LZMA(format=lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, "preset": 0}]),
    *(
        numcodecs.LZMA(format=lzma.FORMAT_ALONE, preset=0),
        numcodecs.Zlib(),
        numcodecs.GZip(),
        numcodecs.PackBits(),
    ),
]
BOMBS = {f"{number} {codec.codec_id}": (codec, codec.encode(BOMB)) for number, codec in enumerate(CODECS)}
BOMBS["zstd that does not say"] = (numcodecs.Zstd(), nameless_zstd(len(BOMB)))
BOMBS["zstd frames"] = (numcodecs.Zstd(), 8 * numcodecs.Zstd().encode(BOMB[: 2**20]))
BOMBS["gzip members"] = (numcodecs.GZip(), 8 * numcodecs.GZip().encode(BOMB[: 2**20]))
BOMBS["bz2 streams"] = (numcodecs.BZ2(), 8 * bz2.compress(BOMB[: 2**20]))


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("name", BOMBS)
def test_nothing_unpacks_to_more_than_it_may(name: str, exact: bool) -> None:
    codec, bomb = BOMBS[name]
    if codec.codec_id == "packbits":
        bomb = bomb[:100_000]
    with frugal(), pytest.raises((ValueError, RuntimeError)):
        unpack(codec, bomb, 3000, exact=exact)


@pytest.mark.parametrize("size", [1, 2999, 200_001])
@pytest.mark.parametrize("name", [name for name in BOMBS if name[0].isdigit() and "packbits" not in name])
def test_what_is_sound_is_unpacked(name: str, size: int) -> None:
    codec = BOMBS[name][0]
    data = np.random.default_rng(size).integers(0, 9, size, "u1").tobytes()
    packed = codec.encode(data)
    assert bytes(unpack(codec, packed, size, exact=True)) == data
    assert bytes(unpack(codec, packed, size + 9, exact=False)) == data
    for other in (size - 1, size + 1):
        with pytest.raises((ValueError, RuntimeError)):
            unpack(codec, packed, other, exact=True)


def test_zstd_that_does_not_say_and_what_follows_each_other_are_unpacked() -> None:
    sound = nameless_zstd(2**18)
    assert len(unpack(numcodecs.Zstd(), sound, 2**18, exact=True)) == 2**18
    two = 2 * numcodecs.Zstd().encode(b"ab")
    for exact in (True, False):
        assert bytes(unpack(numcodecs.Zstd(), two, 4, exact=exact)) == b"abab"
    zipped = numcodecs.GZip().encode(b"ab")
    for behind in (b"", bytes(1), bytes(30), b"other"):
        assert unpack(numcodecs.GZip(), zipped + zipped + behind, 4, exact=True) == b"abab"
    assert unpack(numcodecs.BZ2(), bz2.compress(b"ab") * 2, 4, exact=True) == b"abab"
    many = numcodecs.GZip().encode(b"") * 20_000
    with frugal(2**25):
        assert unpack(numcodecs.GZip(), many, 4, exact=False) == b""


SHARDS = ["3 zstd, shards", "3 shards in shards", "3 packed shards", "3 transposed, shards"]


@pytest.mark.parametrize("way", ["xarray", "dask"])
@pytest.mark.parametrize("name", ["3 two", "3 numcodecs.bz2", "3 transposed", "2 lzma 8", *SHARDS])
def test_a_chunk_that_unpacks_to_gigabytes_is_refused_at_once(name: str, way: str) -> None:
    objects = dict(campaign.image(name))
    store = stored(objects, "memory", Path())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Zarr: that such shards are slow
        form = chunk_format(zarr.open_array(store, path="0", mode="r"))
    bomb: Any = BOMB
    for codec in (form and form.codecs) or [numcodecs.GZip() if "packed" in name else numcodecs.Zstd()]:
        bomb = codec.encode(bomb)
    bomb = bytes(bomb)
    for key in campaign.chunks_of(objects):
        index = np.frombuffer(objects[key][-68:-4], "<u8").copy()
        objects[key] = bomb
        if "shards" in name and "packed" not in name:
            index[::2], index[1::2] = 0, len(bomb)
            objects[key] = bomb + index.tobytes() + checksum(index.tobytes())
    store = stored(objects, "memory", Path())
    with warnings.catch_warnings(), frugal(2**23), pytest.raises(StorageError, match="Chunk "):
        campaign.WAYS[way](store)


@pytest.mark.parametrize("name", ["3 raw", "3 raw, shards"])
@pytest.mark.parametrize("honest", [True, False])
def test_a_member_of_a_zip_file_that_unpacks_to_gigabytes_is_refused(
    name: str, honest: bool, tmp_path: Path
) -> None:
    objects = dict(campaign.image(name))
    key = max(campaign.chunks_of(objects))
    size, objects[key] = len(objects[key]), BOMB
    data = campaign.zipped(objects, zipfile.ZIP_DEFLATED)
    if not honest:  # it says that it is a chunk
        data = data.replace(len(BOMB).to_bytes(4, "little"), size.to_bytes(4, "little"))
    (tmp_path / "a.zip").write_bytes(data)
    with frugal(), pytest.raises(StorageError, match="Chunk c/"):
        _ = open_ome_ngff(tmp_path / "a.zip").arrays["0"].values


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_file_that_cannot_be_unpacked_within_bounds_is_not_called_damaged(
    compression: int, tmp_path: Path
) -> None:
    data = campaign.zipped(dict(campaign.image("3 raw")), compression)
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(UnsupportedError, match="compressed in this way"):
        open_ome_ngff(tmp_path / "a.zip")


# --- code


class Evil:
    """What runs when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return pytest.fail, ("code of the file was run",)


class Watched(WrapperStore[Any]):
    """A store of which no chunk may be asked for."""

    async def get(self, key: str, *args: Any, **kwargs: Any) -> Any:
        assert key.rpartition("/")[2].startswith((".z", "zarr.json")), key
        return await super().get(key, *args, **kwargs)


OBJECTS: dict[str, dict[str, Any]] = {
    "compressor": {"compressor": {"id": "pickle", "protocol": 5}},
    "filter": {"filters": [{"id": "pickle", "protocol": 5}]},
    "objects": {"dtype": "|O", "filters": [{"id": "pickle", "protocol": 5}]},
    "strings": {"dtype": "|O", "fill_value": None, "filters": [{"id": "vlen-utf8"}, {"id": "pickle"}]},
    "fields": {"dtype": [["a", "<u2"], ["b", "|O"]], "fill_value": None},
    **{
        name: {"dtype": "|O", "fill_value": None, "filters": [{"id": name, **options}]}
        for name, options in {
            "json2": {},
            "msgpack2": {},
            "vlen-utf8": {},
            "vlen-bytes": {},
            "vlen-array": {"dtype": "<u1"},
            "categorize": {"labels": ["a"], "dtype": "|O"},
        }.items()
    },
    "v3": {"codecs": [{"name": "bytes"}, {"name": "numcodecs.pickle"}]},
    "v3 in shards": {
        "codecs": [
            {
                "name": "sharding_indexed",
                "configuration": {
                    "chunk_shape": [8, 8],
                    "codecs": [{"name": "bytes"}, {"name": "numcodecs.pickle", "configuration": {}}],
                    "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
                },
            }
        ]
    },
}


def written(store: Any, change: dict[str, Any]) -> None:
    """An image of one level of 8x8 bytes whose document says something else in places."""
    version = 3 if "codecs" in change else 2
    datasets = [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1.0, 1.0]}]}]
    image = {"axes": [{"name": name, "type": "space"} for name in "yx"], "datasets": datasets}
    attributes: Any = {"multiscales": [{"version": "0.4", **image}]}
    attributes = attributes if version == 2 else {"ome": {"version": "0.5", **attributes}}
    group = zarr.create_group(store, zarr_format=version, attributes=attributes)
    array = group.create_array("0", shape=(8, 8), chunks=(8, 8), dtype="u1", compressors=None)
    array[...] = 1
    name = "0/.zarray" if version == 2 else "0/zarr.json"
    document = json.loads(store._store_dict[name].to_bytes())
    store._store_dict[name] = Buffer.from_bytes(json.dumps({**document, **change}).encode())
    chunk = "0/0.0" if version == 2 else "0/c/0/0"
    store._store_dict[chunk] = Buffer.from_bytes(pickle.dumps(Evil()))


@pytest.mark.parametrize("name", OBJECTS)
def test_nothing_in_a_file_is_run(name: str) -> None:
    memory = MemoryStore()
    written(memory, OBJECTS[name])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(UnsupportedError, match=r"are not read") as caught:
            open_ome_ngff(Watched(memory))
        assert caught.value.where.endswith("/0")
        with pytest.raises(UnsupportedError):
            read_multiscale_group(zarr.open_group(Watched(memory), mode="r"))
        try:
            array = zarr.open_array(Watched(memory), path="0", mode="r")
        except Exception:  # noqa: BLE001 (Zarr refuses some of them itself)
            return
    with pytest.raises(UnsupportedError):
        _ = ChunkedSource(array, cache=ChunkCache())[...]
    with pytest.raises(OmeNgffError):
        _ = read_multiscale_array(array).values


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"compressor": {"id": "zfpy", "mode": 4}}, ("'zfpy'", "pip install zfpy")),
        ({"filters": [{"id": "imagecodecs_jpeg2k"}]}, ("imagecodecs_jpeg2k", "imagecodecs-numcodecs")),
        ({"compressor": {"id": "unheard"}}, ("unheard", "Install the package")),
        ({"codecs": [{"name": "numcodecs.zfpy", "configuration": {}}]}, ("zfpy", "pip install zfpy")),
        ({"codecs": [{"name": "bytes"}, {"name": "unheard", "configuration": {}}]}, ("unheard",)),
    ],
)
def test_a_codec_that_is_not_installed_is_no_damage(change: dict[str, Any], words: tuple[str, ...]) -> None:
    memory = MemoryStore()
    written(memory, change)
    with (
        pytest.warns(UserWarning, match="is not installed"),
        pytest.raises(UnsupportedError, match="is not installed") as caught,
    ):
        open_ome_ngff(memory)
    assert all(word in str(caught.value) for word in words)


def test_options_that_a_codec_does_not_have_are_an_error_of_ours() -> None:
    memory = MemoryStore()
    written(memory, {"codecs": [{"name": "bytes"}, {"name": "numcodecs.zlib", "configuration": {"hue": 1}}]})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(OmeNgffError) as caught:
            _ = open_ome_ngff(memory).arrays["0"].values
    assert caught.value.__cause__ is not None
