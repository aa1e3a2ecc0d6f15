"""What a source declares is compared with what it delivers before it is stored: the old image stands."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_ome_ngff import StorageError, open_ome_ngff, write_multiscale_group
from napari_ome_ngff.plugin.writer import write_layers
from tests.processes import clean_processes

SHAPE, CHUNKS = (6, 48, 40), (2, 48, 16)

Deliver = Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]

WRONG: dict[str, Deliver] = {
    "smaller": lambda block: block[:, :-1],
    "larger": lambda block: np.pad(block, ((0, 0), (1, 1), (0, 0))),
    "one plane for all": lambda block: block[:1],
    "one voxel for all": lambda block: block[:1, :1, :1],
    "axes exchanged": lambda block: np.swapaxes(block, 0, 1),
    "an axis less": lambda block: block[0],
    "none": lambda block: block[:0],
    "another type": lambda block: block.astype("float64"),
    "objects": lambda block: block.astype(object),
}


class Lying:
    """Delivers one block as it should not; can be sent to other processes."""

    def __init__(self, what: str, location: tuple[int, ...]) -> None:
        self.what, self.location = what, location

    def __call__(self, block: np.ndarray[Any, Any], block_info: Any = None) -> np.ndarray[Any, Any]:
        return WRONG[self.what](block) if block_info[0]["chunk-location"] == self.location else block


def lying(what: str, location: tuple[int, ...]) -> xr.DataArray:
    honest = da.from_array(np.arange(np.prod(SHAPE), dtype="uint16").reshape(SHAPE), chunks=CHUNKS)
    data = honest.map_blocks(Lying(what, location), dtype="uint16", meta=np.empty((0, 0, 0), "uint16"))
    return xr.DataArray(data, dims=("z", "y", "x"))


def refused(what: str, location: tuple[int, ...], folder: Path, **options: Any) -> None:
    """Replacing an image by such a source is an error that names the block, and the old image stands."""
    store = folder / "a.ome.zarr"
    if not store.exists():
        old = xr.DataArray(np.full(SHAPE, 7, "uint16"), dims=("z", "y", "x"))
        write_multiscale_group(store=store, image=old).run()
    before = sorted(path.relative_to(folder) for path in folder.rglob("*"))
    with pytest.raises(StorageError, match=r"Reading the image.*declared|A task failed.*declared"):
        write_multiscale_group(store=store, image=lying(what, location), overwrite=True, **options).run()
    assert (open_ome_ngff(store).arrays["0"].values == 7).all()
    assert sorted(path.relative_to(folder) for path in folder.rglob("*")) == before


blocks = st.tuples(st.integers(0, 2), st.just(0), st.integers(0, 2))


@pytest.mark.parametrize("what", WRONG)
@given(location=blocks, chunks=st.sampled_from([(6, 48, 40), (2, 48, 16), (1, 16, 16)]))
@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_one_block_delivers_is_compared_with_what_was_declared(
    what: str, location: tuple[int, ...], chunks: tuple[int, ...], tmp_path: Path
) -> None:
    refused(what, location, tmp_path, chunks=chunks)


@pytest.mark.parametrize("what", ["smaller", "one plane for all", "none", "another type"])
def test_it_is_read_in_boxes_or_verified_all_the_same(what: str, tmp_path: Path) -> None:
    refused(what, (1, 0, 1), tmp_path, chunks=(1, 16, 16), memory_limit=2**16)
    refused(what, (2, 0, 2), tmp_path, verify=True)


@pytest.fixture(scope="module")
def processes() -> Any:
    with ProcessPoolExecutor(2, mp_context=clean_processes()) as pool:
        yield pool


@pytest.mark.parametrize("what", ["smaller", "one plane for all", "another type"])
def test_other_processes_compare_too(what: str, processes: Executor, tmp_path: Path) -> None:
    refused(what, (1, 0, 1), tmp_path, chunks=(1, 48, 16), executor=processes)


class Returning(Executor):
    """Runs tasks at once, and returns something else than they do."""

    def __init__(self, spoil: Callable[[Any], Any]) -> None:
        self.spoil = spoil

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(self.spoil(fn(*args, **kwargs)))
        return future


def with_rest(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Change the voxels that a task leaves for the next level, if it leaves any."""

    def spoil(result: Any) -> Any:
        done, rest = result
        return (done, rest) if rest is None else (done, (*rest[:2], change(rest[2])))

    return spoil


RESULTS: dict[str, Callable[[Any], Any]] = {
    "nothing": lambda result: None,
    "no numbers": lambda result: ("done", None),
    "no rest": lambda result: (result[0], None),
    "a smaller rest": with_rest(lambda values: values[:, :-1]),
    "one voxel for all": with_rest(lambda values: values[:1, :1]),
    "another type": with_rest(lambda values: values.astype("float64")),
    "objects": with_rest(lambda values: values.astype(object)),
}


@pytest.mark.parametrize("what", RESULTS)
def test_what_an_executor_returns_is_compared_too(what: str, tmp_path: Path) -> None:
    image = xr.DataArray(np.arange(1536**2, dtype="uint32").reshape(1536, 1536), dims=("y", "x"))
    options: dict[str, Any] = {"chunks": (512, 512), "levels": 3}
    store = tmp_path / "a.ome.zarr"
    with pytest.raises(StorageError):
        write_multiscale_group(store=store, image=image, executor=Returning(RESULTS[what]), **options).run()
    assert list(tmp_path.iterdir()) == []
    write_multiscale_group(store=store, image=image, executor=Returning(lambda same: same), **options).run()
    assert (open_ome_ngff(store).arrays["0"].values == image.values).all()


def test_what_napari_shows_is_compared_too(tmp_path: Path) -> None:
    layer = (
        lying("one plane for all", (0, 0, 0)).data,
        {"name": "a", "axis_labels": ("z", "y", "x")},
        "image",
    )
    with pytest.raises(StorageError, match="declared"):
        write_layers(str(tmp_path / "a.ome.zarr"), [layer])
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_keeps_its_word_is_written(tmp_path: Path) -> None:
    image = lying("smaller", (9, 9, 9))
    write_multiscale_group(store=tmp_path / "a.ome.zarr", image=image).run()
    assert (open_ome_ngff(tmp_path / "a.ome.zarr").arrays["0"].values == image.values).all()
