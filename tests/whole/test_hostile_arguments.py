"""Every public function, called with what it does not take, says so with an error of ours."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import xarray as xr
import zarr
from zarr.storage import MemoryStore, StorePath

import napari_ome_ngff as ngff

PIXELS = np.arange(8 * 8, dtype="uint16").reshape(8, 8)
IMAGE = xr.DataArray(PIXELS, dims=("y", "x"))


def with_unknown_size() -> xr.DataArray:
    row = da.arange(8, chunks=2)
    return xr.DataArray(da.stack([row[row > 3]] * 2), dims=("y", "x"))


@functools.cache
def written() -> MemoryStore:
    return ngff.create_multiscale_group(store=MemoryStore(), arrays={"0": IMAGE}).store


def group() -> zarr.Group:
    """An image of its own in memory: a copy, as making one takes ten times as long."""
    return zarr.open_group(MemoryStore(dict(written()._store_dict)), mode="r+")


def folder() -> Path:
    """An image with labels in the folder of the test, made once."""
    place = Path("labelled.zarr")
    if not place.exists():
        ngff.write_multiscale_group(
            store=place, image=IMAGE, labels={"a": ngff.MultiscaleSource(image=IMAGE)}
        ).run()
    return place


class Odd:
    """Nothing that anybody asks it works."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"no {name}")


HOSTILE: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "zero": lambda: 0,
    "negative": lambda: -3,
    "fraction": lambda: 2.5,
    "nan": lambda: float("nan"),
    "huge": lambda: 10**30,
    "text": lambda: "3",
    "empty text": lambda: "",
    "text with a null": lambda: "a\0b",
    "half a character": lambda: "a\ud800",
    "bytes": lambda: b"0.5",
    "true": lambda: True,
    "list": lambda: [IMAGE],
    "empty list": list,
    "tuple of text": lambda: ("a",),
    "dict": lambda: {0: IMAGE},
    "empty dict": dict,
    "dict of numbers": lambda: {"y": 2, "x": 0},
    "dict of arrays": lambda: {"0": PIXELS},
    "set": lambda: {1},
    "type": lambda: int,
    "function": lambda: len,
    "odd": Odd,
    "numpy": lambda: PIXELS,
    "dask": lambda: da.from_array(PIXELS),
    "dask of unknown size": with_unknown_size,
    "DataArray": lambda: IMAGE,
    "DataArray without names": lambda: xr.DataArray(PIXELS, dims=(0, 1)),
    "DataArray of objects": lambda: IMAGE.astype(object),
    "DataArray of text": lambda: IMAGE.astype(str),
    "DataArray of dates": lambda: IMAGE.astype("datetime64[ns]"),
    "DataArray without axes": lambda: xr.DataArray(3),
    "unit of another kind": lambda: IMAGE.assign_coords(y=("y", np.arange(8.0), {"units": 3})),
    "Dataset": lambda: IMAGE.to_dataset(name="a"),
    "DataTree": lambda: xr.DataTree.from_dict({"s0": IMAGE.to_dataset(name="a")}),
    "Variable": lambda: IMAGE.variable,
    "zarr.Array": lambda: group()["0"],
    "zarr.Group": group,
    "StorePath": lambda: StorePath(MemoryStore()),
    "Image": lambda: ngff.open_ome_ngff(group()),
    "MultiscaleSource": lambda: ngff.MultiscaleSource(image=IMAGE),
    "Channel": lambda: ngff.Channel(label="a"),
    "StorageOptions": ngff.StorageOptions,
    "LabelImage": lambda: ngff.LabelImage(colors=[(255, 0, 0, 255)]),  # type: ignore[arg-type]
}

FUNCTIONS: dict[str, dict[str, Callable[[], Any]]] = {
    "open_ome_ngff": {"location": group},
    "read_multiscale_group": {"group": group},
    "read_multiscale_array": {"array": lambda: group()["0"]},
    "model_multiscale_group": {"arrays": lambda: {"0": IMAGE}},
    "create_multiscale_group": {"store": MemoryStore, "arrays": lambda: {"0": IMAGE}},
    "plan_hierarchy": {"sources": lambda: {"": ngff.MultiscaleSource(image=IMAGE)}},
    "write_hierarchy": {"store": MemoryStore, "sources": lambda: {"": ngff.MultiscaleSource(image=IMAGE)}},
    "write_multiscale_group": {"store": MemoryStore, "image": lambda: IMAGE},
    "write_labels": {
        "store": lambda: group().store,
        "labels": lambda: {"a": ngff.MultiscaleSource(image=IMAGE)},
    },
    "write_region": {"store": MemoryStore, "image": lambda: ngff.open_ome_ngff(group())},
    "save_ome_ngff": {"location": MemoryStore, "data": lambda: IMAGE},
    "edit_labels": {"location": folder, "name": lambda: "a"},
    "edit_image": {"location": folder},
    "edit_metadata": {"location": lambda: group().store},
    "create_labels": {"location": lambda: group().store, "name": lambda: "a"},
    "MultiscaleSource": {"image": lambda: IMAGE},
    "StorageOptions": {},
    "DaskArrayWrapper": {},
    "ZarrArrayWrapper": {},
}
"""Functions, and classes whose instances others take, with the arguments that they need."""


PASSED_ON = {"write_region": {"path", "levels", "factors", "executor", "overwrite", "verify", "options"}}
"""Arguments that go as they are to another function of the table."""


def parameters() -> list[tuple[str, str]]:
    return [
        (name, parameter)
        for name in FUNCTIONS
        for parameter in inspect.signature(getattr(ngff, name)).parameters
        if parameter not in PASSED_ON.get(name, ())
    ]


def test_numbers_and_flags_of_numpy_are_taken() -> None:
    options = ngff.StorageOptions(memory_limit=np.int64(2**28), transform_precision=np.int16(3))
    source = ngff.MultiscaleSource(image=IMAGE, levels=np.int64(2))
    plan = ngff.plan_hierarchy(sources={"": source}, options=options, workers=np.int32(2))
    assert len(plan.multiscales[0].levels) == 2
    store = MemoryStore()
    ngff.write_multiscale_group(store=store, image=IMAGE, overwrite=np.True_, verify=np.False_).run()


def use(name: str, result: Any) -> None:
    """Go on with what a call returned, as far as one would."""
    if isinstance(result, ngff.Writing):
        result.run()
    elif isinstance(result, ngff.MultiscaleSource):
        ngff.write_hierarchy(store=MemoryStore(), sources={"": result}).run()
    elif isinstance(result, ngff.StorageOptions):
        ngff.write_multiscale_group(store=MemoryStore(), image=IMAGE, options=result).run()
    elif isinstance(result, ngff.LabelEdit):
        result[0, 0] = 3
        result.save().run()
    elif isinstance(result, ngff.BaseArrayWrapper):
        assert ngff.read_multiscale_group(group(), array_wrapper=result)["0"].values.shape == (8, 8)
    elif isinstance(result, ngff.Image | xr.DataArray):
        assert repr(result)


@pytest.mark.parametrize(("name", "parameter"), parameters())
def test_hostile_arguments_are_refused_by_errors_of_ours(
    name: str, parameter: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # what is taken for a path is made here
    raw: dict[str, str] = {}
    for what, make in HOSTILE.items():
        arguments = {key: value() for key, value in FUNCTIONS[name].items()} | {parameter: make()}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                use(name, getattr(ngff, name)(**arguments))
            except ngff.OmeNgffError as error:
                if len(error.summary) > 150:
                    raw[what] = error.summary
            except Exception as error:  # noqa: BLE001 (which is what this is about)
                raw[what] = f"{type(error).__name__}: {error}"
    assert raw == {}
