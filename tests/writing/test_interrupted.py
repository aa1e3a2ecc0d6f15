"""Ctrl-C at any moment of a save: nothing is left of it, or it is complete."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import xarray

from napari_ome_ngff import open_ome_ngff, write_multiscale_group

IMAGE = xarray.DataArray(np.ones((4, 256, 256), "uint16"), dims=("z", "y", "x"))
TIMES = 40


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C as in a script: whoever runs tests in parallel ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="signals of POSIX")
def test_nothing_is_left_or_it_is_complete(ctrl_c: None, tmp_path: Path) -> None:
    rng, interrupted = random.Random(0), 0
    begun = time.perf_counter()
    write_multiscale_group(store=tmp_path / "first.zarr", image=IMAGE, levels=2).run()
    seconds = time.perf_counter() - begun
    for i in range(TIMES):
        place = tmp_path / f"{i}" / "a.zarr"
        place.parent.mkdir()
        writing = write_multiscale_group(store=place, image=IMAGE, levels=2)
        timer = threading.Timer(rng.uniform(0, seconds), os.kill, (os.getpid(), signal.SIGINT))
        try:
            timer.start()
            writing.run()
            timer.join()  # it was too late
        except KeyboardInterrupt:
            interrupted += 1
            writing.close()  # before it was begun, perhaps
        timer.cancel()
        timer.join()
        left = os.listdir(place.parent)
        assert left in ([], ["a.zarr"])
        if left:
            assert (open_ome_ngff(place).arrays["1"].values == 1).all()  # type: ignore[union-attr]
    assert interrupted > TIMES / 4
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
