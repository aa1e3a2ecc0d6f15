"""What is at a target already: what is never replaced, and what survives when an image is."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import pytest
import xarray
import zarr
from hypothesis import given
from hypothesis import strategies as st
from zarr.storage import LocalStore, MemoryStore

from napari_ome_ngff import (
    DaskArrayWrapper,
    MultiscaleSource,
    create_multiscale_group,
    open_ome_ngff,
    write_labels,
    write_multiscale_group,
)
from napari_ome_ngff.errors import StorageError, TargetError

VERSIONS = ("0.4", "0.5", "0.6")


def image(seed: int = 0, size: int = 64) -> xarray.DataArray:
    values = np.random.default_rng(seed).integers(1, 200, (4, size, size)).astype("uint16")
    return xarray.DataArray(values, dims=("z", "y", "x"), name="cells")


def write(store: Any, seed: int = 0, **options: Any) -> None:
    options = {"levels": 2, "chunks": (2, 32, 32), "image": image(seed), **options}
    for _ in write_multiscale_group(store=store, **options):
        pass


def everything(store: Any) -> dict[str, bytes]:
    if isinstance(store, MemoryStore):
        return {key: value.to_bytes() for key, value in store._store_dict.items()}
    return {str(p.relative_to(store)): p.read_bytes() for p in sorted(store.rglob("*")) if p.is_file()}


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return tmp_path / "a.ome.zarr" if request.param == "local" else MemoryStore()


# --- never replaced


def plate(store: Any) -> None:
    zarr.create_group(store, attributes={"ome": {"version": "0.5", "plate": {"wells": []}}})
    for path in ("A", "A/1"):
        zarr.create_group(store, path=path)
    write_inside(store, "A/1/0")


def series(store: Any) -> None:
    zarr.create_group(store, attributes={"ome": {"version": "0.5", "bioformats2raw.layout": 3}})
    write_inside(store, "0")


def write_inside(store: Any, path: str, **options: Any) -> None:
    write(LocalStore(store) if isinstance(store, Path) else store, path=path, **options)


def plain_arrays(store: Any) -> None:
    zarr.create_array(store, name="0", shape=(2,), dtype="uint8")[...] = 7


def folder_of_images(store: Any) -> None:
    zarr.create_group(store, attributes={"project": "mine"})
    write_inside(store, "monday")
    zarr.create_group(store, path="tuesday")
    write_inside(store, "tuesday/first")


def images_deep_inside(store: Any) -> None:
    for path in ("", "2026", "2026/november"):
        zarr.create_group(store, path=path)
    write_inside(store, "2026/november/25")


def group_at_a_level(store: Any) -> None:
    write(store, arrays={"s0": image(1)}, image=None, levels=None)
    zarr.create_group(store, path="0", attributes={"mine": 1})


def array_at_a_level(store: Any) -> None:
    write(store, arrays={"s0": image(1)}, image=None, levels=None)
    zarr.create_array(store, name="1", shape=(2,), dtype="uint8")


def damaged_image(store: Any) -> None:
    write(store, 1)
    group = zarr.open_group(store, mode="r+")
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": 3}]}


@pytest.mark.parametrize(
    ("prepare", "sentence"),
    [
        (plate, "more than one image"),
        (series, "more than one image"),
        (folder_of_images, "Other images lie in this group"),
        (images_deep_inside, "Other images lie in this group"),
        (plain_arrays, "'0' is there, and is no level"),
        (group_at_a_level, "'0' is there, and is no level"),
        (array_at_a_level, "'1' is there, and is no level"),
        (damaged_image, "'0' is there, and is no level"),
    ],
)
def test_more_than_one_image_and_what_is_not_ours_is_not_replaced(
    prepare: Callable[[Any], None], sentence: str, store: Any
) -> None:
    prepare(store)
    before = everything(store)
    with pytest.raises(TargetError, match=sentence):
        write(store, 2, overwrite=True)
    with pytest.raises(TargetError):
        create_multiscale_group(
            store=store, arrays={"0": image(), "1": image()}, ngff_version="0.5", overwrite=True
        )
    assert everything(store) == before


def test_a_label_image_does_not_replace_an_array_of_others(store: Any) -> None:
    write(store)
    zarr.create_array(store, name="labels/cells", shape=(2,), dtype="uint8")
    before = everything(store)
    with pytest.raises(TargetError, match="'cells'"):
        for _ in write_labels(store=store, labels={"cells": MultiscaleSource(image=image())}, overwrite=True):
            pass
    assert everything(store) == before


def test_a_folder_with_other_things_in_it(tmp_path: Path) -> None:
    """A folder that is above other images, but is none itself, is not replaced however it is spelled."""
    (tmp_path / "data").mkdir()
    write(tmp_path / "data" / "first.ome.zarr")
    before = everything(tmp_path)
    (tmp_path / "link").symlink_to("data")
    for place in ("data", "data/", "data/../data", "link", "link/"):
        with pytest.raises(TargetError, match="folder is not a Zarr hierarchy"):
            write(f"{tmp_path}/{place}", overwrite=True)
    for place in ("data/first.ome.zarr/x", "link/first.ome.zarr/0/x", "data/first.ome.zarr/labels/x.zarr"):
        with pytest.raises(TargetError, match="inside another Zarr hierarchy"):
            write(f"{tmp_path}/{place}", overwrite=True)
    assert everything(tmp_path) == before


@pytest.mark.parametrize(
    "spelling", ["a b.zarr", "a b.zarr/", "./a b.zarr", "x/../a b.zarr", "file://{}/a%20b.zarr"]
)
def test_one_place_in_many_spellings(spelling: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkdir("x")
    write(tmp_path / "a b.zarr", 1)
    place = spelling.format(tmp_path.as_posix())
    with pytest.raises(TargetError, match="something already"):
        write(place, 2)
    write(place, 2, overwrite=True)
    np.testing.assert_array_equal(open_ome_ngff(tmp_path / "a b.zarr").arrays["0"], image(2))
    assert sorted(os.listdir()) == ["a b.zarr", "x"]
    labels = {"cells": MultiscaleSource(image=image(3))}
    for _ in write_labels(store=place, labels=labels):
        pass
    assert list(open_ome_ngff(tmp_path / "a b.zarr").labels) == ["cells"]


# --- what survives


@given(
    old=st.sampled_from(VERSIONS),
    same=st.booleans(),
    names=st.sets(st.sampled_from(["cells", "nuclei", "dots"]), max_size=2),
    again=st.booleans(),
    keys=st.dictionaries(st.sampled_from(["author", "stage", "bioformats2raw.layout"]), st.integers(1, 3)),
    members=st.sets(st.sampled_from(["tables/stats", "OME", "raw"])),
    local=st.booleans(),
)
def test_what_is_of_others_survives(
    old: str,
    same: bool,
    names: set[str],
    again: bool,
    keys: dict[str, int],
    members: set[str],
    local: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Tables, label images, files and keys; in a folder as in a store, also in another version."""
    new = old if same or old == "0.4" else ("0.6" if old == "0.5" else "0.5")
    store: Any = tmp_path_factory.mktemp("kept") / "a.ome.zarr" if local else MemoryStore()
    labels = {name: MultiscaleSource(image=image(1)) for name in sorted(names)}
    write(store, 1, ngff_version=old, levels=3, labels=labels)
    group = zarr.open_group(store, mode="r+")
    inside = dict(group.attrs) if old == "0.4" else dict(group.attrs["ome"])
    if old == "0.4":
        group.attrs.update(keys)
    else:
        group.attrs["ome"] = {**inside, **keys}
    group.attrs["mine"] = {"deep": [1, None, "x"]}
    for name in members:
        array = zarr.create_array(
            store, name=f"{name}/0", shape=(3,), dtype="uint8", zarr_format=group.metadata.zarr_format
        )
        array[...] = 5
    before = everything(store)
    replaced = {"dots": MultiscaleSource(image=image(2))} if again else {}
    write(store, 3, ngff_version=new, labels=replaced, overwrite=True)
    after = everything(store)
    kept = {
        key for key in before if key.startswith((*members, *(f"labels/{n}/" for n in names - set(replaced))))
    }
    assert {key: after.get(key) for key in kept} == {key: before[key] for key in kept}
    attributes = zarr.open_group(store, mode="r").attrs.asdict()
    assert attributes["mine"] == {"deep": [1, None, "x"]}
    assert keys.items() <= (attributes if new == "0.4" else attributes["ome"]).items()
    opened = open_ome_ngff(store)
    assert opened.multiscale.version == new
    assert sorted(opened.labels) == sorted({*names, *replaced})
    np.testing.assert_array_equal(opened.arrays["0"], image(3))
    assert list(opened.arrays) == ["0", "1"]
    assert not any(key.startswith("2/") for key in after)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_what_we_noted_of_an_image_ends_with_it(version: str) -> None:
    """Where it was cut from, how it looked: not of label images that stay, or when only labels are added."""
    store = MemoryStore()
    write(store, 1, ngff_version=version, labels={"cells": MultiscaleSource(image=image(1))})
    noted = ("", "labels/cells")
    for path in noted:
        zarr.open_group(store, path=path, mode="r+").attrs["napari-ome-ngff:part-of"] = {"image": "elsewhere"}
    write_labels(store=store, labels={"dots": MultiscaleSource(image=image(2))}).run()
    for path in noted:
        assert "napari-ome-ngff:part-of" in zarr.open_group(store, path=path, mode="r").attrs
    write(store, 3, ngff_version=version, overwrite=True)
    assert "napari-ome-ngff:part-of" not in zarr.open_group(store, mode="r").attrs
    assert "napari-ome-ngff:part-of" in zarr.open_group(store, path="labels/cells", mode="r").attrs


# --- a source in the target


def as_memmap(target: Path) -> Any:
    """The bytes of one uncompressed chunk."""
    return np.memmap(target / "0" / "c" / "0" / "0" / "0", dtype="uint16", mode="r", shape=(4, 64, 64))


def as_napari_layer(target: Path) -> Any:
    from napari.layers import Image

    from napari_ome_ngff.plugin.reader import get_reader

    reader = get_reader(str(target))
    assert reader is not None
    [(data, options, _)] = reader(str(target))
    return Image(data, **options).data


def as_dask(target: Path) -> Any:
    return open_ome_ngff(target, array_wrapper=DaskArrayWrapper()).arrays["0"].data


SOURCES: dict[str, Callable[[Path], Any]] = {
    "numpy": as_memmap,
    "xarray": lambda target: open_ome_ngff(target).arrays["0"].variable,
    "dask": as_dask,
    **({"napari layer": as_napari_layer} if find_spec("napari") else {}),
}
"""How pixels of an image can be held while it is replaced."""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps files that are mapped")
@pytest.mark.parametrize("chunks", [(4, 64, 64), (2, 64, 64), (2, 32, 64), (4, 32, 64)])
@pytest.mark.parametrize("kind", SOURCES)
def test_a_source_that_lives_in_the_target(kind: str, chunks: Any, tmp_path: Path) -> None:
    """It is copied first; whoever has it open sees old values or new ones, or is told: never nonsense.

    Chunks of the same number of bytes that lie otherwise would not be noticed by their size.
    """
    target = tmp_path / "a.ome.zarr"
    write(target, 1, levels=1, chunks=(2, 64, 64) if kind != "numpy" else (4, 64, 64), compressor=None)
    data = SOURCES[kind](target)
    np.testing.assert_array_equal(data[1], image(1)[1])  # some of it is in a cache
    source = xarray.DataArray(data[::-1], dims=("z", "y", "x"))
    write(target, image=source, levels=1, chunks=chunks, compressor=None, overwrite=True)
    old, new = image(1).values, image(1).values[::-1]
    np.testing.assert_array_equal(open_ome_ngff(target).arrays["0"], new)
    told: list[str] = []
    for z in range(4):
        try:
            seen = np.asarray(data[z])
        except StorageError as error:
            told.append(error.found)
        else:
            empty = kind == "napari layer" and not seen.any()  # and a notification says why
            assert empty or (seen == old[z]).all() or (seen == new[z]).all()
    assert all("another array has taken its place" in found for found in told)
    assert os.listdir(tmp_path) == ["a.ome.zarr"]


@pytest.mark.parametrize("lazy", [True, False])
def test_other_arrays_on_the_target_are_copied_first(lazy: bool, tmp_path: Path) -> None:
    """Zarr's and dask's own, of which nothing is known but what can be found in them."""
    target = tmp_path / "a.ome.zarr"
    write(target, 1, levels=1)
    array: Any = zarr.open_array(target, path="0", mode="r")
    data = dask.array.from_zarr(array)[::-1] if lazy else array
    write(target, image=xarray.DataArray(data, dims=("z", "y", "x")), levels=1, overwrite=True)
    expected = image(1).values[::-1] if lazy else image(1).values
    np.testing.assert_array_equal(open_ome_ngff(target).arrays["0"], expected)


def test_what_lies_in_the_place_of_a_level_and_cannot_be_read_is_not_replaced(tmp_path: Path) -> None:
    write(tmp_path / "a.ome.zarr", 1, levels=1)
    theirs = tmp_path / "a.ome.zarr" / "1" / "zarr.json"
    theirs.parent.mkdir()
    theirs.write_text("{")
    with pytest.raises(TargetError, match="cannot be read, so it is not replaced"):
        write(tmp_path / "a.ome.zarr", 2, levels=2, overwrite=True)
    assert theirs.read_text() == "{"
