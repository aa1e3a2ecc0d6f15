"""Kill edits of images: at every call that changes the disk, and at random moments.

Run it with ``python -m tests.campaigns.kill_edits [RANDOM] [WORDS]``; RANDOM is at how many random moments
each kind of edit is killed besides. After each kill (SIGKILL of its process) the image opens in the old state
or in the new one, of all levels: level n is what reducing level 0 gives; files of others are as they were,
and another save works.
"""

from __future__ import annotations

import collections
import itertools
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray

from napari_ome_ngff import (
    Image,
    MultiscaleSource,
    StorageOptions,
    edit_labels,
    edit_metadata,
    open_ome_ngff,
    write_multiscale_group,
)
from napari_ome_ngff.writing.engine.reduce import reduce_block

CALLS = ("open", "mkdir", "rename", "replace", "link", "symlink", "unlink", "rmdir", "fsync", "chmod")

FORMS = {
    "v2": StorageOptions(version="0.4", chunks=(1, 16, 16)),
    "v3": StorageOptions(chunks=(1, 16, 16)),
    "sharded": StorageOptions(chunks=(1, 16, 16), shards=(2, 32, 32)),
    "0.6": StorageOptions(version="0.6", chunks=(2, 16, 16)),
}

SHAPE = (4, 48, 50)


@dataclass(frozen=True)
class Edit:
    """One kind of edit: of pixels or of metadata, of an image stored in some way."""

    of: str
    form: str

    def __str__(self) -> str:
        return f"{self.of}, {self.form}"

    def prepare(self, place: Path) -> None:
        labels = np.zeros(SHAPE, "uint16")
        labels[:, 4:30, 6:30] = 1
        cells = MultiscaleSource(image=voxels(labels), levels=3, method="mode")
        image = voxels(labels.astype("uint8"))
        options = FORMS[self.form]
        write_multiscale_group(
            store=place, image=image, levels=2, labels={"cells": cells}, options=options
        ).run()
        (place / "notes.txt").write_text("mine")

    def run(self, place: Path, value: int) -> None:
        if self.of == "metadata":
            edit_metadata(place, scale={"z": float(value)}, translation={"x": float(value)}, name=f"n{value}")
            return
        edit = edit_labels(place, "cells")
        edit[...] = paint(np.asarray(edit), value)
        edit.save().run()

    def state(self, place: Path) -> int:
        """The value that was saved last: everything in the image says the same, or AssertionError."""
        image = open_ome_ngff(place)
        assert isinstance(image, Image)
        assert image.multiscale is not None
        assert (place / "notes.txt").read_text() == "mine"
        if self.of == "metadata":
            return _metadata(image)
        levels = [array.values for array in image.labels["cells"].arrays.values()]
        value = int(levels[0].max())
        assert (levels[0] == paint(levels[0], value)).all()
        for fine, coarse in itertools.pairwise(levels):
            factors = tuple(round(n / m) for n, m in zip(fine.shape, coarse.shape, strict=True))
            pads = [(0, m * f - n) for n, m, f in zip(fine.shape, coarse.shape, factors, strict=True)]
            padded = np.pad(fine, [(0, max(0, more)) for _, more in pads], mode="edge")
            whole = padded[tuple(slice(0, m * f) for m, f in zip(coarse.shape, factors, strict=True))]
            np.testing.assert_array_equal(coarse, reduce_block(whole, factors, "mode"))
        return value


def _metadata(image: Image) -> int:
    multiscale = image.multiscale
    assert multiscale is not None
    axis = multiscale.dims.index("z")
    scale = multiscale.levels[0].transform.scale[axis]
    values = {float(level.transform.scale[axis]) / scale for level in multiscale.levels}
    assert values <= {1.0, 2.0}
    return int(scale)


def voxels(values: np.ndarray[Any, Any]) -> xarray.DataArray:
    return xarray.DataArray(values, dims=("z", "y", "x"))


def paint(values: np.ndarray[Any, Any], value: int) -> np.ndarray[Any, Any]:
    """What an edit makes of an image."""
    painted = values.copy()
    painted[1:4, 10:41, 14:37] = value
    painted[2, 0:5, 45:50] = 0 if value % 2 else value
    return painted


def killed(edit: Edit, place: Path, *, call: int | None = None, after: float = 0) -> bool:
    """Edit in another process that is killed before a call, or after a time; whether it came that far."""
    child = os.fork()
    if child == 0:
        count = 0

        def counting(real: Callable[..., Any]) -> Callable[..., Any]:
            def called(*args: Any, **kwargs: Any) -> Any:
                nonlocal count
                count += 1
                if count == call:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*args, **kwargs)

            return called

        for name in CALLS if call is not None else ():
            setattr(os, name, counting(getattr(os, name)))
        code = 1
        try:
            edit.run(place, 4)
            code = 0
        finally:
            os._exit(code)
    if call is None:
        time.sleep(after)
        os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL), f"{edit}, call {call}: the edit failed"
    return code != 0


def check(edit: Edit, place: Path) -> str:
    """The law after a kill; tells what was there."""
    first = edit.state(place)
    assert first in (2, 4), first
    assert edit.state(place) == first
    edit.run(place, 6)
    assert edit.state(place) == 6
    assert not [path for path in place.rglob("*") if ".ngff-" in path.name]
    assert not [path for path in place.parent.iterdir() if ".ngff-" in path.name]
    return "new" if first == 4 else "old"


def campaign(edit: Edit, *, first: int = 1, every: int = 1, moments: int = 0) -> collections.Counter[str]:
    """Kill edits of one kind at one call after the other, and at random moments."""
    seen = collections.Counter[str]()
    chance = random.Random(str(edit))
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = Path(scratch, "start")
        edit.prepare(start)
        edit.run(start, 2)
        begun = time.monotonic()
        timed = Path(scratch, "timed")
        shutil.copytree(start, timed)
        edit.run(timed, 4)
        length = time.monotonic() - begun
        calls: list[dict[str, Any]] = [{"after": chance.uniform(0, length)} for _ in range(moments)]
        for number in itertools.chain(calls, ({"call": n} for n in itertools.count(first, every))):
            folder = Path(scratch, "images")
            folder.mkdir()
            shutil.copytree(start, folder / "a.ome.zarr")
            there = killed(edit, folder / "a.ome.zarr", **number)
            if not there and "call" in number:
                break
            try:
                seen[check(edit, folder / "a.ome.zarr")] += there
            except Exception as error:
                raise AssertionError(f"{edit}, {number}: {error!r}") from error
            shutil.rmtree(folder)
    return seen


EDITS = tuple(Edit(*each) for each in itertools.product(("pixels", "metadata"), FORMS))

if __name__ == "__main__":
    words = sys.argv[1:]
    chosen = int(words.pop(0)) if words and words[0].isdigit() else 0
    together = collections.Counter[str]()
    for each in EDITS:
        if all(word in str(each) for word in words):
            kills = campaign(each, moments=chosen)
            together += kills
            print(f"{each}: {kills.total()} kills: {dict(kills)}", flush=True)
    print(f"{together.total()} kills: {dict(together)}")
