"""Whatever holds the voxels, an image is written without being loaded: in pieces, and each piece once."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import dask.array as da
import numpy as np
import pytest
import xarray as xr
import zarr
from zarr.storage import LocalStore

from napari_ome_ngff import DaskArrayWrapper, open_ome_ngff
from napari_ome_ngff.plugin.save.from_layers import from_layers
from napari_ome_ngff.storage.pixels.process_state import shared_cache
from napari_ome_ngff.storage.pixels.xarray_backend import lazily_indexed
from napari_ome_ngff.writing.engine import buffers
from napari_ome_ngff.writing.plan.write_plan import MultiscaleSource
from napari_ome_ngff.writing.write import write_hierarchy

SHAPE = (24, 512, 1024)  # 24 MiB of 16 bits
MEBIBYTE = 2**20


class CountingStore(LocalStore):
    """A folder that remembers which chunks were read."""

    reads: ClassVar[list[str]] = []

    async def get(self, key: str, *args: Any, **options: Any) -> Any:
        self.reads.append(key)
        return await super().get(key, *args, **options)


def stored(folder: Path) -> zarr.Array[Any]:
    """Planes that are nearly nothing once they are compressed."""
    store = CountingStore(folder / "planes.zarr")
    names = ("z", "y", "x")
    group = zarr.create_group(store)
    array = group.create_array("v", shape=SHAPE, chunks=(1, 512, 1024), dtype="uint16", dimension_names=names)
    for z in range(SHAPE[0]):
        array[z] = z + 1
    CountingStore.reads.clear()
    return array


def write_counting(sources: Mapping[str, MultiscaleSource], target: Path) -> None:
    """Write and look at what was read, when, and how much memory it took."""
    reads = CountingStore.reads
    shared_cache().clear()
    tracemalloc.start()
    saving = write_hierarchy(
        store=target, sources=sources, chunks=(8, 128, 128), memory_limit=8 * MEBIBYTE, overwrite=True
    )
    assert not [key for key in reads if "/c/" in key]
    list(saving)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    chunks = [key for key in reads if "/c/" in key]
    assert set(chunks) == {f"v/c/{z}/0/0" for z in range(SHAPE[0])}
    assert peak < 36 * MEBIBYTE
    assert shared_cache().nbytes == 0  # what viewers were shown stays there
    written = open_ome_ngff(target).arrays["0"]
    np.testing.assert_array_equal(written[:, 5, 700].values, np.arange(SHAPE[0]) + 1)


def in_xarray(kind: str, array: zarr.Array[Any]) -> xr.DataArray:
    if kind.startswith("open_zarr"):
        chunks: Any = {} if kind.endswith("dask") else None
        found: xr.DataArray = xr.open_zarr(array.store, chunks=chunks, consolidated=False)["v"]
        return found
    data: Any = {
        "from_zarr": lambda: da.from_zarr(array),
        "from_array": lambda: da.from_array(array, chunks=(2, 256, 1024)),
        "ours, dask": lambda: DaskArrayWrapper().wrap(array),
        "ours, zarr": lambda: lazily_indexed(array),
        "sum": lambda: da.from_zarr(array) + 0,
    }[kind]()
    return xr.DataArray(xr.Variable(tuple("zyx"), data))


@pytest.mark.parametrize(
    "kind", ["from_zarr", "from_array", "ours, dask", "ours, zarr", "sum", "open_zarr", "open_zarr, dask"]
)
def test_lazy_data_arrays(tmp_path: Path, kind: str) -> None:
    array = stored(tmp_path)
    image = in_xarray(kind, array)
    CountingStore.reads.clear()
    write_counting({"": MultiscaleSource(image=image)}, tmp_path / "a.zarr")


@pytest.mark.parametrize("kind", ["zarr", "dask", "levels of zarr", "DataArray"])
def test_layers_of_lazy_arrays(tmp_path: Path, kind: str) -> None:
    array = stored(tmp_path)
    data: Any = {
        "zarr": lambda: array,
        "dask": lambda: da.from_zarr(array),
        "levels of zarr": lambda: [array, np.zeros((12, 256, 512), "uint16")],
        "DataArray": lambda: in_xarray("open_zarr", array),
    }[kind]()
    CountingStore.reads.clear()
    bundles, _ = from_layers([(data, {"name": "planes"}, "image")])
    write_counting(dict(bundles[0].sources), tmp_path / "a.zarr")


def test_a_save_of_dask_data_imports_no_cluster(tmp_path: Path) -> None:
    """dask.distributed is installed here, and dask imports it if a scheduler is asked for by its name."""
    code = """
        import sys, dask.array, xarray
        from napari_ome_ngff import write_multiscale_group
        for chunks in ((1, 64, 64), (8, 32, 32)):
            image = xarray.DataArray(dask.array.ones((8, 64, 64), chunks=chunks), dims=("z", "y", "x"))
            for _ in write_multiscale_group(store=f"{sys.argv[1]}/{chunks[0]}.ome.zarr", image=image):
                pass
        sys.exit("distributed" in sys.modules)
    """
    lines = "\n".join(line.removeprefix(" " * 8) for line in code.splitlines())
    assert subprocess.run([sys.executable, "-c", lines, str(tmp_path)], check=False).returncode == 0


@pytest.mark.parametrize(
    ("system", "has_it", "calls"), [("linux", True, 1), ("linux", False, 0), ("darwin", True, 0)]
)
def test_freed_memory_is_given_back_where_the_c_library_can(
    system: str, has_it: bool, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    library = SimpleNamespace(malloc_trim=made.append) if has_it else SimpleNamespace()
    monkeypatch.setattr(buffers.sys, "platform", system)
    monkeypatch.setattr(buffers.ctypes, "CDLL", lambda _: library)
    buffers.give_back_freed_memory()
    assert made == [0] * calls
