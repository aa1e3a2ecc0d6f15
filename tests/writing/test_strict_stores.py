"""Stores that take Zarr's own keys and documents only, as icechunk does."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import xarray as xr
from zarr.core.buffer import Buffer
from zarr.storage import MemoryStore, WrapperStore

from napari_ome_ngff import MultiscaleSource, open_ome_ngff, write_labels, write_multiscale_group

KEYS = re.compile(r"(.+/)?(zarr\.json|c(/\d+)*)")


class StrictStore(WrapperStore[MemoryStore]):
    """Refuses what is no key of Zarr v3, and documents that are of no node."""

    async def set(self, key: str, value: Buffer, *rest: Any) -> None:
        self._check(key, value)
        await self._store.set(key, value, *rest)

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        self._check(key, value)
        await self._store.set_if_not_exists(key, value)

    def _check(self, key: str, value: Buffer) -> None:
        assert KEYS.fullmatch(key), key
        if key.endswith("zarr.json"):
            document = json.loads(value.to_bytes())
            assert document["zarr_format"] == 3
            assert document["node_type"] in ("group", "array")


def test_images_are_saved_replaced_and_labelled() -> None:
    held: dict[str, Buffer] = {}
    store = StrictStore(MemoryStore(held))
    image = xr.DataArray(np.arange(64 * 64, dtype="uint16").reshape(64, 64), dims=("y", "x"))
    write_multiscale_group(store=store, image=image, levels=2).run()
    write_multiscale_group(store=store, image=image + 1, levels=2, overwrite=True).run()
    write_labels(store=store, labels={"cells": MultiscaleSource(image=image // 1000)}).run()
    opened = open_ome_ngff(store)
    assert opened.arrays["0"].values.max() == image.values.max() + 1  # type: ignore[union-attr]
    assert list(opened.labels) == ["cells"]  # type: ignore[union-attr]
    assert not [key for key in held if "ngff" in key]
