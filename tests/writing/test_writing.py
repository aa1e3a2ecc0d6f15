"""A save that was checked and is still to be done: looped over, run, cancelled, or thrown away."""

from __future__ import annotations

import gc
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray
import zarr
from zarr.storage import MemoryStore

from napari_ome_ngff import (
    CancelledError,
    MultiscaleSource,
    OmeNgffWarning,
    OptionError,
    StorageError,
    TargetError,
    Writing,
    write_hierarchy,
    write_labels,
    write_multiscale_group,
)


def image() -> xarray.DataArray:
    values = np.random.default_rng(0).integers(1, 200, (4, 512, 512)).astype("uint16")
    return xarray.DataArray(values, dims=("z", "y", "x"), name="cells")


def write(store: Any, **options: Any) -> Writing:
    return write_multiscale_group(store=store, image=image(), levels=2, chunks=(2, 512, 512), **options)


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_run_writes_what_a_loop_writes(tmp_path: Path) -> None:
    steps = list(write(tmp_path / "a.zarr"))
    last = write(tmp_path / "b.zarr").run()
    assert files(tmp_path / "a.zarr") == files(tmp_path / "b.zarr")
    assert last == steps[-1]
    assert last.blocks_done == last.blocks_total


@pytest.mark.parametrize("function", ["write_multiscale_group", "write_hierarchy", "write_labels"])
def test_thrown_away_it_warns_once_and_names_the_target(tmp_path: Path, function: str) -> None:
    source = MultiscaleSource(image=image())
    target = tmp_path / "a.zarr"
    if function == "write_labels":
        write(target).run()
    before = files(tmp_path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if function == "write_multiscale_group":
            write(target)
        elif function == "write_hierarchy":
            write_hierarchy(store=target, sources={"": source})
        else:
            write_labels(store=target, labels={"cells": source})
        gc.collect(1)  # of what is young
    (warning,) = caught
    assert warning.category is OmeNgffWarning
    assert str(target) in str(warning.message)
    assert "run()" in str(warning.message)
    assert files(tmp_path) == before


@pytest.mark.parametrize("end", ["run", "loop", "close", "cancel"])
def test_one_that_was_used_does_not_warn(tmp_path: Path, end: str) -> None:
    writing = write(tmp_path / "a.zarr")
    if end == "loop":
        list(writing)
    else:
        getattr(writing, end)()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del writing
        gc.collect(1)  # of what is young


def test_cancelled_at_any_step_nothing_is_left(tmp_path: Path) -> None:
    steps = len(list(write(MemoryStore())))
    assert steps > 3
    for store in (tmp_path / "a.zarr", MemoryStore()):
        for step in range(steps):
            writing = write(store)
            for _ in range(step):
                next(writing)
            writing.cancel()
            left = list(store._store_dict) if isinstance(store, MemoryStore) else list(tmp_path.iterdir())
            assert left == []
            with pytest.raises(CancelledError, match="Nothing was left"):
                next(writing)
            with pytest.raises(CancelledError):
                writing.run()


def test_cancelled_in_the_loop_it_ends_with_an_error(tmp_path: Path) -> None:
    writing = write(tmp_path / "a.zarr")
    seen = 0

    def loop() -> None:
        nonlocal seen
        for progress in writing:
            seen = progress.blocks_done
            if seen == 1:
                writing.cancel()

    with pytest.raises(CancelledError, match=r"a\.zarr"):
        loop()
    assert seen == 1
    assert list(tmp_path.iterdir()) == []


def test_cancelled_from_another_thread_while_a_step_is_taken(tmp_path: Path) -> None:
    reading, cancelled = threading.Event(), threading.Event()

    class Source:
        shape, dtype, ndim = (4, 64, 64), np.dtype("u2"), 3

        def __getitem__(self, key: Any) -> Any:
            reading.set()
            assert cancelled.wait(30)
            return np.ones(self.shape, self.dtype)[key]

    import dask.array

    meta = np.zeros((0, 0, 0), "u2")  # else dask reads to learn it, before there is anything to cancel
    blocks = dask.array.from_array(Source(), chunks=(4, 64, 64), meta=meta)
    lazy = xarray.DataArray(blocks, dims=("z", "y", "x"))
    writing = write_multiscale_group(store=tmp_path / "a.zarr", image=lazy, levels=1)

    def cancel() -> None:
        assert reading.wait(30)
        writing.cancel()
        cancelled.set()

    thread = threading.Thread(target=cancel)
    thread.start()
    with pytest.raises(CancelledError):
        writing.run()
    thread.join()
    assert list(tmp_path.iterdir()) == []


def test_cancelled_too_late_everything_is_there(tmp_path: Path) -> None:
    writing = write(tmp_path / "a.zarr")
    last = writing.run()
    writing.cancel()
    assert list(writing) == []
    assert writing.run() == last
    assert (zarr.open_group(tmp_path / "a.zarr", mode="r")["0"][...] == image().values).all()


def test_a_finished_one_yields_nothing_more_and_a_failed_one_does_not_run_again(tmp_path: Path) -> None:
    writing = write(tmp_path / "a.zarr")
    assert list(writing)
    assert list(writing) == []
    closed = write(tmp_path / "b.zarr")
    next(closed)
    closed.close()
    assert list(closed) == []
    with pytest.raises(StorageError, match="ended before it was complete"):
        closed.run()
    assert not (tmp_path / "b.zarr").exists()


def test_bad_arguments_are_refused_at_the_call(tmp_path: Path) -> None:
    with pytest.raises(OptionError):
        write(tmp_path / "a.zarr", method="median")
    write(tmp_path / "a.zarr").run()
    with pytest.raises(TargetError):
        write(tmp_path / "a.zarr")


def test_progress_is_a_bar_of_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "a.zarr").run(progress=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Written: 100%" in shown.err


def test_what_it_is_and_how_far_is_seen(tmp_path: Path) -> None:
    writing = write(tmp_path / "a.zarr")
    assert "run() it" in repr(writing)
    last = writing.run()
    assert f"{last.blocks_total} of {last.blocks_total} blocks" in repr(writing)
