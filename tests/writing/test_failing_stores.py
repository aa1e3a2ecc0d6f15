"""Stores that raise whatever they like at any call: an error of ours, and nothing is left."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import xarray as xr
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from zarr.storage import FsspecStore, LocalStore, MemoryStore, WrapperStore

from napari_ome_ngff import (
    OmeNgffError,
    create_multiscale_group,
    open_ome_ngff,
    write_multiscale_group,
)

IMAGE = xr.DataArray(np.ones((64, 64), "uint16"), dims=("y", "x"))
SAVES: dict[str, Callable[[Any], object]] = {
    "write": lambda store: write_multiscale_group(store=store, image=IMAGE).run(),
    "create": lambda store: create_multiscale_group(store=store, arrays={"0": IMAGE}),
    "replace": lambda store: write_multiscale_group(store=store, image=IMAGE, overwrite=True).run(),
}


class Failing(WrapperStore[MemoryStore]):
    """Raises once, when no calls of one kind are `left` (a number in a list, which copies share)."""

    def __init__(self, store: MemoryStore, error: Exception, kind: str, left: list[int]) -> None:
        super().__init__(store)
        self.error, self.kind, self.left = error, kind, left

    def _with_store(self, store: Any) -> Failing:
        return Failing(store, self.error, self.kind, self.left)

    def _count(self, kind: str) -> None:
        if kind == self.kind:
            self.left[0] -= 1
            if self.left[0] == 0:
                raise self.error

    async def get(self, *args: Any, **options: Any) -> Any:
        self._count("get")
        return await super().get(*args, **options)

    async def set(self, *args: Any, **options: Any) -> None:
        self._count("set")
        await super().set(*args, **options)

    async def set_if_not_exists(self, *args: Any, **options: Any) -> None:
        self._count("set_if_not_exists")
        await super().set_if_not_exists(*args, **options)


@pytest.mark.parametrize("save", SAVES)
@pytest.mark.parametrize("error", [RuntimeError("odd"), KeyError("odd"), OSError(5, "odd")], ids=repr)
def test_whatever_a_store_raises_is_an_error_of_ours(save: str, error: Exception) -> None:
    for kind in ("get", "set", "set_if_not_exists"):
        for at in (1, 2, 3, 5):
            memory = MemoryStore()
            store = Failing(memory, error, kind, [at])
            try:
                SAVES[save](store)
            except OmeNgffError:
                assert memory._store_dict == {}, (kind, at)
            assert store.left[0] <= 0 or "zarr.json" in memory._store_dict or ".zgroup" in memory._store_dict


def of_fsspec(kind: str, folder: Path) -> FsspecStore:
    """Stores over file systems that cannot be written to, and some that can."""
    if kind == "files without folders":
        return FsspecStore.from_url(f"file://{folder}/none/a.ome.zarr")
    if kind == "files with folders":
        return FsspecStore.from_url(f"file://{folder}/none/a.ome.zarr", storage_options={"auto_mkdir": True})
    if kind == "web":
        return FsspecStore.from_url("http://127.0.0.1:9/a.ome.zarr")
    archive = folder / "a.zip"
    options: dict[str, Any] = {
        "cached files without folders": {"fs": fsspec.filesystem("file")},
        "cached memory": {"fs": fsspec.filesystem("memory")},
        "zip to be read": {"fo": archive},
        "zip to be written": {"fo": archive, "mode": "w"},
        "memory": {},
    }[kind]
    if kind == "zip to be read":
        zipfile.ZipFile(archive, "w").close()
    protocol = "simplecache" if kind.startswith("cached") else kind.split()[0]
    system = fsspec.filesystem(protocol, skip_instance_cache=True, **options)
    return FsspecStore(fs=AsyncFileSystemWrapper(system, asynchronous=True), path=f"/{folder.name}/a.zarr")


@pytest.mark.parametrize("save", ["call", *SAVES])
@pytest.mark.parametrize(
    "kind",
    ["files without folders", "cached files without folders", "web", "zip to be read", "zip to be written"],
)
@pytest.mark.filterwarnings("ignore")
def test_a_store_of_a_kind_that_cannot_be_written_is_refused_at_the_call(
    save: str, kind: str, tmp_path: Path
) -> None:
    store, before = of_fsspec(kind, tmp_path), sorted(tmp_path.rglob("*"))
    with pytest.raises(OmeNgffError, match="store of this kind"):
        write_multiscale_group(store=store, image=IMAGE) if save == "call" else SAVES[save](store)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("kind", ["files with folders", "memory", "cached memory"])
@pytest.mark.filterwarnings("ignore")
def test_a_store_of_fsspec_that_can_be_written_is_written(kind: str, tmp_path: Path) -> None:
    store = of_fsspec(kind, tmp_path)
    SAVES["write"](store)
    SAVES["replace"](store)
    assert (open_ome_ngff(store).arrays["0"].values == 1).all()


class Derived(LocalStore):
    """Zarr's store of a local folder, but another class: nothing may be read or written past it."""


@pytest.mark.parametrize("save", ["look", *SAVES])
@pytest.mark.parametrize(("name", "made"), [("wrapped", False), ("derived", True)])
def test_no_folder_stays_that_was_not_there(save: str, name: str, made: bool, tmp_path: Path) -> None:
    """Zarr makes the folder of a LocalStore when it is first asked for anything, and deletes none."""
    root = tmp_path / "new" / "a.ome.zarr"
    if made:
        (root / "mine").mkdir(parents=True)

    def store(left: int = 10**6) -> Any:
        local = Derived(root) if name == "derived" else LocalStore(root)
        return Failing(local, RuntimeError("odd"), "set", [left])

    before = sorted(tmp_path.rglob("*"))
    if save == "look":
        write_multiscale_group(store=store(), image=IMAGE).cancel()
        assert sorted(tmp_path.rglob("*")) == before
        return
    with pytest.raises(OmeNgffError, match="odd"):
        SAVES[save](store(2))
    assert sorted(tmp_path.rglob("*")) == before
    if save != "replace":
        return
    SAVES["write"](store())
    SAVES["replace"](store())
    left = {path.name for path in root.rglob("*") if path.is_dir() and not any(path.iterdir())}
    assert left == ({"mine"} if made else set())
