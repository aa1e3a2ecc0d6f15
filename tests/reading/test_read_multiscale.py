"""Reading is lazy, finds what was meant, and says clearly what it does not find."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import xarray
import zarr
from zarr.storage import MemoryStore

from napari_ome_ngff import (
    DaskArrayWrapper,
    MetadataError,
    MultiscaleSource,
    NotOmeNgffError,
    OmeNgffWarning,
    OptionError,
    StorageError,
    StorageOptions,
    ZarrArrayWrapper,
    create_multiscale_group,
    open_ome_ngff,
    read_multiscale_array,
    read_multiscale_group,
    write_hierarchy,
    write_multiscale_group,
)
from napari_ome_ngff.storage.pixels.chunk_reader import ChunkReader

WRAPPERS = (
    ZarrArrayWrapper(),
    DaskArrayWrapper(),
    {"name": "zarr_array", "config": {}},
    {"name": "dask_array", "config": {"chunks": "auto", "inline_array": False, "naming": "array_url"}},
)


class CountingStore(MemoryStore):
    """A store in memory that remembers which chunks were asked for."""

    chunks: ClassVar[list[str]] = []

    async def get(self, key: str, *args: Any, **options: Any) -> Any:
        if key.rpartition("/")[2] not in ("zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata"):
            self.chunks.append(key)
        return await super().get(key, *args, **options)


def written(store: Any, **options: Any) -> zarr.Group:
    image = xarray.DataArray(
        np.arange(8 * 64 * 64, dtype="uint16").reshape(8, 64, 64),
        dims=("z", "y", "x"),
        coords={"z": xarray.Variable(("z",), np.arange(8) * 2.0, {"units": "micrometer"})},
        name="cells",
    )
    for _ in write_multiscale_group(store=store, image=image, levels=2, chunks=(2, 32, 32), **options):
        pass
    return zarr.open_group(store, mode="r")


@pytest.mark.parametrize("wrapper", WRAPPERS, ids=str)
def test_nothing_is_read_before_values_are_asked_for(wrapper: Any) -> None:
    store = CountingStore()
    group = written(store)
    store.chunks.clear()
    level = read_multiscale_group(group, array_wrapper=wrapper)["0"]
    alone = read_multiscale_array(group["0"], array_wrapper=wrapper)
    for array in (level, alone):
        part = array.isel(z=3)[16:32, ::2]
        assert part.shape == (16, 32)
        assert repr(part)
        assert store.chunks == []
    part = level.isel(z=3)[:16, :16]
    np.testing.assert_array_equal(part.values, np.arange(8 * 64 * 64).reshape(8, 64, 64)[3, :16, :16])
    assert set(store.chunks) == {"0/c/1/0/0"}, "only the one chunk that the values lie in"


def test_coordinates_carry_units_type_and_distance() -> None:
    level = read_multiscale_group(written(MemoryStore()))["1"]
    # one voxel of the coarser level is the mean of two: its centre lies between theirs
    assert level.coords["y"].attrs == {"scale": 2.0, "type": "space"}
    assert level.coords["y"].values[:2].tolist() == [0.5, 2.5]
    assert level.coords["z"].attrs["units"] == "micrometer"


def two_images(store: Any) -> zarr.Group:
    """A group with two entries of ``multiscales`` over the same arrays."""
    group = zarr.open_group(store, mode="r+") if written(store) else None
    ome = dict(group.attrs["ome"])
    second = {**ome["multiscales"][0], "name": "coarse", "datasets": ome["multiscales"][0]["datasets"][1:]}
    group.attrs["ome"] = {**ome, "multiscales": [*ome["multiscales"], second]}
    return group


def test_a_multiscale_is_chosen_by_index_or_by_name() -> None:
    group = two_images(MemoryStore())
    assert list(read_multiscale_group(group)) == ["0", "1"]
    assert list(read_multiscale_group(group, multiscale=1)) == ["1"]
    assert list(read_multiscale_group(group, multiscale="coarse")) == ["1"]
    for missing in (2, "fine"):
        with pytest.raises(OptionError, match="There is no multiscale") as caught:
            read_multiscale_group(group, multiscale=missing)
        assert "0: 'cells', 1: 'coarse'" in str(caught.value)


def test_a_level_that_is_listed_but_missing_is_left_out(tmp_path: Path) -> None:
    written(tmp_path / "a.zarr")
    (tmp_path / "a.zarr/0/zarr.json").unlink()
    with pytest.warns(OmeNgffWarning, match="Level '0' is listed but not there"):
        levels = read_multiscale_group(zarr.open_group(tmp_path / "a.zarr", mode="r"))
    assert list(levels) == ["1"]
    (tmp_path / "a.zarr/1/zarr.json").unlink()
    with (
        pytest.warns(OmeNgffWarning),
        pytest.raises(MetadataError, match="no level that can be read"),
    ):
        read_multiscale_group(zarr.open_group(tmp_path / "a.zarr", mode="r"))


def test_a_level_with_damaged_metadata_is_left_out_and_named(tmp_path: Path) -> None:
    written(tmp_path / "a.zarr")
    for damage in ('{"zarr_format": 3, "node_type": "array"}', "not json", '{"zarr_format": 3}'):
        (tmp_path / "a.zarr/0/zarr.json").write_text(damage)
        with pytest.warns(OmeNgffWarning, match=r"Level '0' .* left out.*a\.zarr"):
            image = open_ome_ngff(tmp_path / "a.zarr")
        assert list(image.arrays) == ["1"]


def test_what_is_no_image_is_said_so(tmp_path: Path) -> None:
    zarr.create_group(tmp_path / "plain.zarr")
    with pytest.raises(NotOmeNgffError, match="no OME-Zarr image"):
        open_ome_ngff(tmp_path / "plain.zarr")
    with pytest.raises(StorageError, match="no such file or folder"):
        open_ome_ngff(tmp_path / "missing.zarr")


def labelled() -> dict[str, MultiscaleSource]:
    cells = xarray.DataArray(np.arange(64, dtype="uint32").reshape(8, 8), dims=("y", "x"))
    return {
        "labels/cells": MultiscaleSource(image=cells),
        "labels/nuclei": MultiscaleSource(image=cells // 2),
    }


def test_label_images_alone_open_as_such() -> None:
    store = MemoryStore()
    for _ in write_hierarchy(store=store, sources=labelled()):
        pass
    assert zarr.open_group(store, mode="r").attrs["ome"] == {"version": "0.5"}
    for image in (open_ome_ngff(store), open_ome_ngff(zarr.open_group(store, path="labels", mode="r"))):
        assert image.multiscale is None
        assert list(image.labels) == ["cells", "nuclei"]
        assert int(image.labels["cells"].arrays["0"].max()) == 63


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda labels: (
                labels.store_path.path and labels.attrs.update({"ome": {"labels": ["cells", "gone"]}})
            ),
            "gone",
        ),
        (
            lambda labels: labels["nuclei"].attrs.put({"ome": {"version": "0.5", "multiscales": [{}]}}),
            "nuclei",
        ),
    ],
    ids=["listed but missing", "broken"],
)
def test_a_label_image_that_cannot_be_read_does_not_hide_the_image(
    damage: Callable[[zarr.Group], None], message: str
) -> None:
    store = MemoryStore()
    image = xarray.DataArray(np.zeros((8, 8), "uint8"), dims=("y", "x"))
    for _ in write_hierarchy(store=store, sources={"": MultiscaleSource(image=image), **labelled()}):
        pass
    damage(zarr.open_group(store, mode="r+")["labels"])
    with pytest.warns(OmeNgffWarning, match=message):
        opened = open_ome_ngff(store)
    assert opened.multiscale is not None
    # What is there without being listed is opened too.
    assert list(opened.labels) == (["cells", "nuclei"] if message == "gone" else ["cells"])


@pytest.mark.parametrize("kind", ["local", "memory", "zip"])
@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_the_image_of_an_array_is_found_in_every_store(tmp_path: Path, kind: str, version: str) -> None:
    image = xarray.DataArray(np.ones((4, 6), "uint8"), dims=("y", "x"), coords={"x": np.arange(6) * 0.5})
    folder = tmp_path / "a.zarr"
    store: Any = MemoryStore() if kind == "memory" else folder
    # other metadata lie between the array and the image that describes it
    create_multiscale_group(
        store=store, path="deep/image", arrays={"scale0/pixels": image}, ngff_version=version
    )
    if kind == "zip":
        store = zarr.storage.ZipStore(shutil.make_archive(str(tmp_path / "a"), "zip", folder), mode="r")
    level = read_multiscale_array(zarr.open_array(store, path="deep/image/scale0/pixels", mode="r"))
    assert level.coords["x"].values.tolist() == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
    if kind == "zip":
        store.close()


def test_the_image_of_an_array_that_was_opened_by_its_own_path_is_found(tmp_path: Path) -> None:
    written(tmp_path / "a.zarr")
    level = read_multiscale_array(zarr.open_array(tmp_path / "a.zarr/1", mode="r"))
    assert level.coords["y"].attrs["scale"] == 2.0


def test_a_step_inside_a_chunk_decodes_nothing_again_until_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = xarray.DataArray(np.zeros((8, 32, 32), "uint8"), dims=("z", "y", "x"))
    options = StorageOptions(chunks=(8, 16, 16))
    write_multiscale_group(store=tmp_path / "a.zarr", image=image, levels=1, options=options).run()
    decoded: list[Any] = []
    read = ChunkReader.read

    def noting(self: ChunkReader, positions: Any, take: Any) -> None:
        decoded.extend(positions)
        read(self, positions, take)

    monkeypatch.setattr(ChunkReader, "read", noting)
    level = open_ome_ngff(tmp_path / "a.zarr").arrays["0"]  # type: ignore[union-attr]
    for z in (0, 5, 7):
        assert not level[z].values.any()
    assert len(decoded) == 4
    zarr.open_array(tmp_path / "a.zarr" / "0", mode="r+")[6, :16, :16] = 7
    assert level[6].values.sum() == 7 * 16 * 16
    assert len(decoded) == 5
