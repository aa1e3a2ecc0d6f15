"""Stores that raise whatever they like at any call: an error of ours, and nothing is left."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from zarr.storage import FsspecStore, MemoryStore, WrapperStore

from napari_ome_ngff import OmeNgffError, create_multiscale_group, write_multiscale_group

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


@pytest.mark.parametrize("save", SAVES)
@pytest.mark.filterwarnings("ignore")
def test_a_place_that_a_store_cannot_make_is_an_error_of_ours(save: str, tmp_path: Path) -> None:
    """fsspec's local files make no folders of their own."""
    store = FsspecStore.from_url(f"file://{tmp_path}/none/a.ome.zarr")
    with pytest.raises(OmeNgffError, match="No such file"):
        SAVES[save](store)
    assert list(tmp_path.iterdir()) == []
