"""Saved unchanged, a file is the same file: its chunks are copied byte for byte. What was changed is not."""

from __future__ import annotations

import functools
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given
from hypothesis import strategies as st
from zarr.storage import LocalStore, MemoryStore, ZipStore

from napari_ome_ngff import DaskArrayWrapper, ZarrArrayWrapper, open_ome_ngff, write_multiscale_group
from napari_ome_ngff.errors import OptionError, StorageError
from napari_ome_ngff.plugin.colors import rgb_channels
from napari_ome_ngff.plugin.open.to_layers import to_layers
from napari_ome_ngff.plugin.save.from_layers import from_layers
from napari_ome_ngff.plugin.save.summary import summary
from napari_ome_ngff.reading.opened import Image
from napari_ome_ngff.writing.engine import copy_levels
from napari_ome_ngff.writing.labels import write_labels
from napari_ome_ngff.writing.plan.write_plan import MultiscaleSource
from napari_ome_ngff.writing.stored_objects import copy_objects
from napari_ome_ngff.writing.write import plan_hierarchy, write_hierarchy
from tests.processes import clean_processes
from tests.servers import Answer, Web, on

SHAPE = (2, 9, 70, 50)
OPTIONS: dict[str, dict[str, Any]] = {
    "blosc v2": {"ngff_version": "0.4", "chunks": (1, 4, 32, 32)},
    "gzip v2": {"ngff_version": "0.4", "compressor": numcodecs.GZip(1), "chunks": (2, 9, 35, 50)},
    "raw v2": {"ngff_version": "0.4", "compressor": None, "chunks": (2, 1, 64, 64)},
    "blosc v3": {"chunks": (1, 4, 32, 32)},
    "zstd 0.6": {"ngff_version": "0.6", "compressor": numcodecs.Zstd(1), "chunks": (2, 4, 32, 32)},
    "sharded": {"chunks": (1, 4, 16, 16), "shards": (2, 4, 32, 64)},
    "filled with 7": {"chunks": (1, 4, 32, 32), "fill_value": 7},
}


def pixels(shape: tuple[int, ...] = SHAPE, *, fill: int = 0) -> xr.DataArray:
    """An image with a corner that is not stored, and so are its lower levels."""
    values = np.random.default_rng(1).integers(1, 1000, shape).astype("uint16")
    values[..., :32, :32] = fill
    coords = {"y": 0.5 * np.arange(shape[-2]), "x": 3 + 0.25 * np.arange(shape[-1])}
    return xr.DataArray(values, dims=tuple("tczyx")[-len(shape) :], coords=coords, name="cells")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "target").mkdir()
    return tmp_path / "target"


def make(folder: Any, **options: Any) -> Any:
    """An image of two channels and three levels with a label image."""
    image = pixels(fill=options.get("fill_value", 0))
    labels = {"nuclei": MultiscaleSource(image=(image[0] % 5).astype("int32"), method="mode", levels=3)}
    factors = {"z": 1, "y": 2, "x": 2}
    given_levels = {"levels": 3, "factors": factors, "labels": labels}
    list(write_multiscale_group(store=folder, image=image, method="nearest", **given_levels, **options))
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The image in each of the forms, made once for all tests that only read it."""
    return functools.cache(lambda kind: make(tmp_path_factory.mktemp("made") / "a.zarr", **OPTIONS[kind]))


def sources_of(image: Image) -> dict[str, MultiscaleSource]:
    """What was opened, ready to be saved."""
    main = {"": MultiscaleSource(arrays=image.arrays, multiscale=image.multiscale)}
    labels = {
        f"labels/{name}": MultiscaleSource(arrays=label.arrays, multiscale=label.multiscale, method="nearest")
        for name, label in image.labels.items()
    }
    return main | labels


def through_napari(image: Image) -> dict[str, MultiscaleSource]:
    """The same by way of layers: one for each channel."""
    bundles, messages = from_layers(to_layers(image))
    assert messages == []
    return dict(bundles[0].sources)


def save(target: Any, sources: dict[str, MultiscaleSource], **options: Any) -> None:
    steps = list(write_hierarchy(store=target, sources=sources, **options))
    assert steps[-1].blocks_done == steps[-1].blocks_total
    assert steps[-1].bytes_done == steps[-1].bytes_total
    assert [step.bytes_done for step in steps] == sorted(step.bytes_done for step in steps)


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def assert_same_arrays(folder: Path, copy: Path) -> None:
    """Chunks are the same bytes, and the metadata of arrays say the same."""
    one, other = files(folder), files(copy)
    assert set(one) == set(other)
    for key, content in one.items():
        if not key.endswith((".zgroup", ".zattrs", "zarr.json")):
            assert content == other[key], key
            assert not os.path.samefile(folder / key, copy / key)
        elif json.loads(content).get("node_type") != "group" and not key.endswith((".zgroup", ".zattrs")):
            assert json.loads(content) == json.loads(other[key]), key


def values_of(place: Any) -> list[np.ndarray[Any, Any]]:
    return [array.values for array in open_ome_ngff(place).arrays.values()]


@pytest.mark.parametrize(("wrapper", "verify"), [(DaskArrayWrapper(), False), (ZarrArrayWrapper(), True)])
@pytest.mark.parametrize("kind", OPTIONS)
def test_saved_unchanged_it_is_the_same_file(
    tmp_path: Path, made: Callable[[str], Path], kind: str, wrapper: Any, verify: bool
) -> None:
    folder = made(kind)
    image = open_ome_ngff(folder, array_wrapper=wrapper)
    version = OPTIONS[kind].get("ngff_version", "0.5")
    save(tmp_path / "b.zarr", sources_of(image), ngff_version=version, verify=verify)
    assert_same_arrays(folder, tmp_path / "b.zarr")
    # The corner that holds nothing is missing in both.
    assert not [key for key in files(tmp_path / "b.zarr") if key in ("0/c/0/0/0/0", "0/0/0/0/0")] or (
        "shards" in OPTIONS[kind] or OPTIONS[kind].get("chunks") in [(2, 9, 35, 50), (2, 1, 64, 64)]
    )


@pytest.mark.parametrize("kind", OPTIONS)
def test_layers_that_were_opened_and_are_saved_unchanged(
    tmp_path: Path, made: Callable[[str], Path], kind: str
) -> None:
    folder = made(kind)
    sources = through_napari(open_ome_ngff(folder, array_wrapper=DaskArrayWrapper(missing="fill")))
    version = OPTIONS[kind].get("ngff_version", "0.5")
    plan = plan_hierarchy(sources=sources, ngff_version=version)
    assert all(level.copied for multiscale in plan.multiscales for level in multiscale.levels)
    assert plan.memory == 0
    assert "All levels are copied as they are." in summary([plan])
    save(tmp_path / "b.zarr", sources, ngff_version=version)
    assert_same_arrays(folder, tmp_path / "b.zarr")


@pytest.mark.parametrize(
    ("shape", "dims"), [((3, 40, 50), "cyx"), ((4, 40, 50), "cxy"), ((40, 50), "xy"), ((1, 40, 50), "cyx")]
)
def test_axes_that_napari_wants_in_another_order(tmp_path: Path, shape: tuple[int, ...], dims: str) -> None:
    """Colours last, y before x: turned for napari and turned back, it is the same array."""
    image = xr.DataArray(np.random.default_rng(2).integers(0, 255, shape).astype("u1"), dims=tuple(dims))
    arrays = {"0": image, "1": image[{dim: slice(None, None, 2) for dim in "yx"}]}
    channels = rgb_channels(3, np.dtype("u1")) if shape[0] == 3 else ()
    list(write_multiscale_group(store=tmp_path / "a.zarr", arrays=arrays, channels=channels))
    opened = open_ome_ngff(tmp_path / "a.zarr", array_wrapper=DaskArrayWrapper())
    assert to_layers(opened)[0][1]["rgb"] == (shape[0] == 3)
    save(tmp_path / "b.zarr", through_napari(opened))
    assert_same_arrays(tmp_path / "a.zarr", tmp_path / "b.zarr")


def test_codecs_that_we_would_not_choose_are_kept(tmp_path: Path) -> None:
    """What the bytes mean is the same wherever they are."""
    v2 = {"order": "F", "filters": [numcodecs.Delta(dtype="<u2")], "compressors": numcodecs.LZ4()}
    v3 = {"filters": [zarr.codecs.TransposeCodec(order=(1, 0))], "compressors": None}
    for name, version, options in (("two", "0.4", v2), ("three", "0.5", v3)):
        folder = tmp_path / f"{name}.zarr"
        values = np.arange(40 * 50, dtype="u2").reshape(40, 50)
        image = xr.DataArray(values, dims=("y", "x"))
        list(write_multiscale_group(store=folder, arrays={"0": image, "1": image}, ngff_version=version))
        keys: Any = {"name": "default", "separator": "/"}
        if version == "0.4":
            keys = {"name": "v2", "separator": "."}
        special = zarr.create_array(
            LocalStore(folder),
            name="0",
            shape=(40, 50),
            chunks=(16, 16),
            dtype="u2",
            fill_value=3,
            overwrite=True,
            zarr_format=2 if version == "0.4" else 3,
            chunk_key_encoding=keys,
            dimension_names=None if version == "0.4" else ("y", "x"),
            attributes={"theirs": 1},
            **options,
        )
        special[:] = values
        copy = tmp_path / f"{name}-copy.zarr"
        save(copy, sources_of(open_ome_ngff(folder, array_wrapper=DaskArrayWrapper())), ngff_version=version)
        found = zarr.open_array(copy / "0")
        np.testing.assert_array_equal(found[:], values)
        assert dict(found.attrs) == {"theirs": 1}
        chunk = "0/1.2" if version == "0.4" else "0/c/1/2"
        # 0.4 and later: "/" between the numbers of a chunk, whatever it was.
        assert (copy / chunk.replace(".", "/")).read_bytes() == (folder / chunk).read_bytes()


@pytest.mark.parametrize(("before", "after"), [("0.5", "0.6"), ("0.6", "0.5")])
def test_versions_that_store_arrays_alike(tmp_path: Path, before: str, after: str) -> None:
    folder = make(tmp_path / "a.zarr", ngff_version=before, chunks=(1, 4, 32, 32))
    save(tmp_path / "b.zarr", sources_of(open_ome_ngff(folder)), ngff_version=after)
    assert_same_arrays(folder, tmp_path / "b.zarr")


@pytest.mark.parametrize(
    ("before", "options"),
    [
        ("0.4", {"ngff_version": "0.5"}),
        ("0.5", {"ngff_version": "0.4"}),
        ("0.5", {"chunks": (1, 8, 64, 64)}),
        ("0.5", {"shards": "auto"}),
        ("0.5", {"compressor": None}),
        ("0.5", {"fill_value": 9}),
    ],
)
def test_what_is_asked_for_wins(tmp_path: Path, before: str, options: dict[str, Any]) -> None:
    folder = make(tmp_path / "a.zarr", ngff_version=before, chunks=(1, 4, 32, 32))
    sources = sources_of(open_ome_ngff(folder))
    plan = plan_hierarchy(sources=sources, **options)
    assert not any(level.copied for multiscale in plan.multiscales for level in multiscale.levels)
    save(tmp_path / "b.zarr", sources, **options)
    for found, expected in zip(values_of(tmp_path / "b.zarr"), values_of(folder), strict=True):
        np.testing.assert_array_equal(found, expected)
    if "chunks" in options:
        assert zarr.open_array(tmp_path / "b.zarr" / "0").chunks == (1, 8, 64, 50)


def test_what_is_asked_for_may_be_what_is_there(tmp_path: Path) -> None:
    options: dict[str, Any] = {"chunks": (1, 4, 32, 32), "compressor": numcodecs.Zstd(2)}
    folder = make(tmp_path / "a.zarr", **options)
    sources = sources_of(open_ome_ngff(folder))
    plan = plan_hierarchy(sources=sources, **options)
    assert all(level.copied for level in plan.multiscales[0].levels)
    save(tmp_path / "b.zarr", sources, **options)
    assert_same_arrays(folder, tmp_path / "b.zarr")


def edit(array: xr.DataArray, place: tuple[int, ...]) -> xr.DataArray:
    data = array.data.copy()
    data[place] = 12345
    return array.copy(data=data)


def assign(array: xr.DataArray, place: tuple[int, ...]) -> xr.DataArray:
    array.data[place] = 12345
    return array


CHANGES: dict[str, Any] = {
    "nothing": lambda a, _: a,
    "one voxel": edit,
    "assigned in place": assign,
    "part": lambda a, _: a[:, 1:, 3:],
    "one channel": lambda a, _: a[1:],
    "other order": lambda a, _: a[::-1],
    "cast": lambda a, _: a.astype("float32"),
    "sum": lambda a, _: a + 1,
    "transpose": lambda a, _: a.transpose("c", "y", "z", "x"),
    "list": lambda a, _: a.drop_vars("c", errors="ignore")[[1, 0, 1]],
    "loaded": lambda a, _: a.compute(),
    "chunked": lambda a, _: a.chunk({"z": 2}),
}


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("examples")
    return {kind: make(folder / f"{kind}.zarr", **options) for kind, options in OPTIONS.items()}


@given(
    change=st.sampled_from(sorted(CHANGES)),
    kind=st.sampled_from(sorted(OPTIONS)),
    level=st.integers(0, 2),
    place=st.tuples(st.integers(0, 1), st.integers(0, 8), st.integers(0, 16), st.integers(0, 11)),
)
def test_what_was_changed_is_written_as_it_is(
    change: str, kind: str, level: int, place: tuple[int, ...], examples: dict[str, Path]
) -> None:
    image = open_ome_ngff(examples[kind], array_wrapper=DaskArrayWrapper())
    arrays = dict(image.arrays)
    changed = [list(arrays)[level]] if change in ("one voxel", "assigned in place", "sum") else list(arrays)
    for path in changed:
        arrays[path] = CHANGES[change](arrays[path], place)
    expected = [array.values for array in arrays.values()]
    store, version = MemoryStore(), OPTIONS[kind].get("ngff_version", "0.5")
    sources = {"": MultiscaleSource(arrays=arrays)}
    plan = plan_hierarchy(sources=sources, ngff_version=version)
    copied = [level.path for level in plan.multiscales[0].levels if level.copied]
    assert copied == [path for path in arrays if path not in changed or change == "nothing"]
    save(store, sources, ngff_version=version)
    for found, wanted in zip(values_of(store), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
        assert found.dtype == wanted.dtype


def test_layers_that_were_changed(tmp_path: Path) -> None:
    folder = make(tmp_path / "a.zarr")
    layers = to_layers(open_ome_ngff(folder, array_wrapper=DaskArrayWrapper()))
    images = [layer for layer in layers if layer[2] == "image"]
    # One channel alone is another image, as is one whose level was replaced.
    bundles, _ = from_layers(images[1:])
    save(tmp_path / "one.zarr", dict(bundles[0].sources))
    np.testing.assert_array_equal(values_of(tmp_path / "one.zarr")[0][0], pixels().values[1])
    data, meta, kind = images[0]
    changed = [(data[0] + 1, *data[1:]), meta, kind]
    bundles, _ = from_layers([(list(changed[0]), meta, kind), images[1]])
    save(tmp_path / "two.zarr", dict(bundles[0].sources))
    np.testing.assert_array_equal(values_of(tmp_path / "two.zarr")[0][0], pixels().values[0] + 1)


def test_labels_onto_an_image(tmp_path: Path) -> None:
    folder, other = make(tmp_path / "a.zarr"), make(tmp_path / "b.zarr")
    label = open_ome_ngff(folder).labels["nuclei"]
    source = MultiscaleSource(arrays=label.arrays, multiscale=label.multiscale, method="nearest")
    list(write_labels(store=other, labels={"again": source}))
    assert_same_arrays(folder / "labels/nuclei", other / "labels/again")


def test_an_image_is_copied_over_itself(tmp_path: Path) -> None:
    folder = make(tmp_path / "a.zarr")
    before = files(folder)
    save(folder, sources_of(open_ome_ngff(folder)), overwrite=True)
    assert {key for key in before if "/c/" in key} == {key for key in files(folder) if "/c/" in key}
    assert all(content == before[key] for key, content in files(folder).items() if "/c/" in key)


@pytest.mark.parametrize("kinds", [("memory", "folder"), ("folder", "memory"), ("zip", "memory")])
def test_from_store_to_store(tmp_path: Path, kinds: tuple[str, str]) -> None:
    def store(kind: str, mode: Any = "w") -> Any:
        if kind == "zip":
            return ZipStore(tmp_path / "a.zip", mode=mode)
        return MemoryStore() if kind == "memory" else LocalStore(tmp_path / "folder.zarr")

    first, second = store(kinds[0]), store(kinds[1])
    make(first, chunks=(1, 4, 16, 16), shards=(1, 4, 32, 64))
    if kinds[0] == "zip":
        first.close()
        first = store("zip", "r")
    save(second, sources_of(open_ome_ngff(first)), verify=True)
    for found, expected in zip(values_of(second), values_of(first), strict=True):
        np.testing.assert_array_equal(found, expected)
    first.close()


def test_over_http(tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    folder = make(tmp_path / "web" / "a.zarr", chunks=(1, 4, 32, 32))
    with Web(tmp_path / "web", latency=0.02) as web:  # so that requests meet
        sources = sources_of(open_ome_ngff(f"{web.url}/a.zarr"))
        web.forget()
        save(tmp_path / "b.zarr", sources)
        chunks = [path for path in web.paths if "/c/" in path]
    assert_same_arrays(folder, tmp_path / "b.zarr")
    assert len(chunks) == len(set(chunks))  # each is asked for once
    assert web.busiest > 2  # and not one after the other


@pytest.mark.parametrize("answer", [Answer(500), Answer(reset=True)])
def test_a_server_that_fails_is_named(tmp_path: Path, target: Path, answer: Answer) -> None:
    (tmp_path / "web").mkdir()
    make(tmp_path / "web" / "a.zarr", chunks=(1, 4, 32, 32))
    with Web(tmp_path / "web", fault=on("/c/1/1", answer)) as web:
        sources = sources_of(open_ome_ngff(f"{web.url}/a.zarr"))
        with pytest.raises(StorageError, match=r"answers 500|connection to .* broke"):
            save(target / "b.zarr", sources)
    assert not list(target.iterdir())


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, target: Path) -> None:
    folder = make(tmp_path / "a.zarr", chunks=(1, 4, 32, 32))
    chunk = folder / "0/c/1/1/1/1"
    chunk.unlink()
    os.mkfifo(chunk)
    with pytest.raises(StorageError, match="named pipe"):
        save(target / "b.zarr", sources_of(open_ome_ngff(folder)))
    assert not list(target.iterdir())


def test_what_is_shown_as_empty_is_not_saved_as_empty(tmp_path: Path, target: Path) -> None:
    """A chunk that cannot be read is copied as it is, or the save fails."""
    folder = make(tmp_path / "a.zarr", chunks=(1, 4, 32, 32))
    (folder / "0/c/1/1/1/1").write_bytes(b"damaged")
    opened = open_ome_ngff(folder, array_wrapper=DaskArrayWrapper(missing="fill"))
    save(target / "b.zarr", through_napari(opened))
    assert (target / "b.zarr/0/c/1/1/1/1").read_bytes() == b"damaged"
    with pytest.raises(StorageError, match="Chunk c/1/1/1/1 could not be read"):
        save(target / "c.zarr", through_napari(opened), chunks=(1, 4, 16, 16))
    assert [path.name for path in target.iterdir()] == ["b.zarr"]


def test_an_image_that_was_written_again_is_not_mixed_up(tmp_path: Path, target: Path) -> None:
    folder = make(tmp_path / "a.zarr", chunks=(1, 4, 32, 32))
    sources = sources_of(open_ome_ngff(folder))
    shutil.rmtree(folder)
    make(folder, chunks=(1, 4, 32, 32), compressor=None)
    with pytest.raises(StorageError, match="written again since it was opened"):
        save(target / "b.zarr", sources)
    assert not list(target.iterdir())
    shutil.rmtree(folder)
    with pytest.raises(StorageError, match="cannot be read"):
        save(target / "b.zarr", sources)


@pytest.mark.parametrize("steps", [1, 3, 8])
def test_closed_early_it_leaves_nothing(
    tmp_path: Path, target: Path, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copy_levels, "_BATCH", 1)
    folder = make(tmp_path / "a.zarr", chunks=(1, 1, 32, 32))
    saving = write_hierarchy(store=target / "b.zarr", sources=sources_of(open_ome_ngff(folder)))
    for _ in range(steps):
        next(saving)
    saving.close()
    assert not list(target.iterdir())


@pytest.mark.parametrize("waits", [False, True])
def test_several_copy_at_once_where_one_would_wait_for_the_disk(
    tmp_path: Path, target: Path, waits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where none waits, a second one takes processor time, and brings none."""
    monkeypatch.setattr(copy_levels, "_BATCH", 1)
    at_work, most, lock = set[object](), [0], threading.Lock()

    def copy(*args: Any, **options: Any) -> None:
        with lock:
            at_work.add(args[2][0])
            most[0] = max(most[0], len(at_work))
        if waits:
            time.sleep(0.02)
        copy_objects(*args, **options)
        with lock:
            at_work.discard(args[2][0])

    monkeypatch.setattr(copy_levels, "copy_objects", copy)
    if not waits:  # as if the processor had been ours alone
        monkeypatch.setattr(time, "thread_time", time.perf_counter)
    folder = make(tmp_path / "a.zarr", chunks=(1, 1, 32, 32))
    with ThreadPoolExecutor(2) as executor:
        save(target / "b.zarr", sources_of(open_ome_ngff(folder)), executor=executor)
    assert most == [2 if waits else 1]
    assert_same_arrays(folder, target / "b.zarr")


def test_a_difference_is_found(tmp_path: Path, target: Path) -> None:
    folder = make(tmp_path / "a.zarr", chunks=(1, 4, 32, 32))
    sources = sources_of(open_ome_ngff(folder))
    saving = write_hierarchy(store=target / "b.zarr", sources=sources, verify=True)
    while not next(saving).message.startswith("Writing"):
        pass
    (folder / "0/c/1/1/1/1").write_bytes(b"as if the disk had lost a bit")
    with pytest.raises(StorageError, match="differs from the image; nothing was saved"):
        list(saving)
    assert not list(target.iterdir())


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(2, mp_context=clean_processes()) as executor:
        yield executor


def test_processes_copy_too(tmp_path: Path, processes: ProcessPoolExecutor) -> None:
    folder = make(tmp_path / "a.zarr", chunks=(1, 4, 16, 16), shards=(2, 4, 32, 64))
    save(tmp_path / "b.zarr", sources_of(open_ome_ngff(folder)), executor=processes)
    assert_same_arrays(folder, tmp_path / "b.zarr")
    with pytest.raises(OptionError, match="MemoryStore"):
        save(MemoryStore(), sources_of(open_ome_ngff(folder)), executor=processes)
