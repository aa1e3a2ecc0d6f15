"""Kill edits of images: at every call that changes the disk, and at random moments.

Run it with ``python -m tests.campaigns.kill_edits [RANDOM] [WORDS]``; with RANDOM, at so many random moments
of each kind of edit instead. After each kill (SIGKILL of its process) the image opens in the old state or in
the new one: **every file** is byte for byte that of an edit that was never begun, or of one that was not
killed, and level n is what reducing level 0 gives. What the two differ in is what the edit had to touch. Then
another edit works; and after another kill at the same moment a whole save over the image, unopened.
"""

from __future__ import annotations

import collections
import itertools
import math
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray
import zarr

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
        for box in BOXES:
            edit[box] = painted_with(box, value)
        edit.save().run()

    def may_touch(self, place: Path) -> set[str]:
        """The files that an edit may change."""
        if self.of == "pixels":
            return {f"labels/cells/{key}" for key in files_over(place / "labels" / "cells", BOXES)}
        return {key for key in files(place) if Path(key).name in (".zattrs", ".zmetadata", "zarr.json")}

    def state(self, place: Path) -> int:
        """The value that was saved last: everything in the image says the same, or AssertionError."""
        image = open_ome_ngff(place)
        assert isinstance(image, Image)
        assert image.multiscale is not None
        assert (place / "notes.txt").read_text() == "mine"
        levels = [array.values for array in image.labels["cells"].arrays.values()]
        for fine, coarse in itertools.pairwise(levels):
            factors = tuple(round(n / m) for n, m in zip(fine.shape, coarse.shape, strict=True))
            pads = [(0, m * f - n) for n, m, f in zip(fine.shape, coarse.shape, factors, strict=True)]
            padded = np.pad(fine, [(0, max(0, more)) for _, more in pads], mode="edge")
            whole = padded[tuple(slice(0, m * f) for m, f in zip(coarse.shape, factors, strict=True))]
            np.testing.assert_array_equal(coarse, reduce_block(whole, factors, "mode"))
        if self.of == "pixels":
            value = int(levels[0].max())
            assert all((levels[0][box] == painted_with(box, value)).all() for box in BOXES)
            return value
        finest, value = image.multiscale.levels[0].transform, int((image.multiscale.name or "n0")[1:])
        assert dict(zip(image.multiscale.dims, finest.scale, strict=True))["z"] == value
        assert dict(zip(image.multiscale.dims, finest.translation, strict=True))["x"] == value
        return value


def files(place: Path) -> dict[str, bytes]:
    """Every file of a folder, and what is in it."""
    return {str(p.relative_to(place)): p.read_bytes() for p in sorted(place.rglob("*")) if p.is_file()}


def files_over(image: Path, boxes: Iterable[tuple[slice, ...]]) -> set[str]:
    """The chunks (or shards) of all levels that depend on boxes of level 0."""
    levels = list(zarr.open_group(image, mode="r").arrays())
    levels.sort(key=lambda each: -math.prod(each[1].shape))
    cells = {cell for box in boxes for cell in _cells(box, levels[0][1].chunks)}
    keys = set()
    for (path, array), coarser in itertools.zip_longest(levels, levels[1:]):
        unit = array.shards or array.chunks
        for cell in cells:
            number = tuple(i * n // m for i, n, m in zip(cell, array.chunks, unit, strict=True))
            keys.add(f"{path}/{array.metadata.encode_chunk_key(number)}")
        if coarser is not None:
            factors = [round(n / m) for n, m in zip(array.shape, coarser[1].shape, strict=True)]
            below = [
                tuple(
                    slice(i * n // f, min(-(-(i + 1) * n // f), m))
                    for i, n, f, m in zip(cell, array.chunks, factors, coarser[1].shape, strict=True)
                )
                for cell in cells
            ]
            cells = {cell for box in below for cell in _cells(box, coarser[1].chunks)}
    return keys


def _cells(box: tuple[slice, ...], grid: Sequence[int]) -> Iterable[tuple[int, ...]]:
    """The cells of a grid that a box reaches into."""
    ranges = (range(p.start // n, -(-p.stop // n)) for p, n in zip(box, grid, strict=True))
    return itertools.product(*ranges)


def voxels(values: np.ndarray[Any, Any]) -> xarray.DataArray:
    return xarray.DataArray(values, dims=("z", "y", "x"))


BOXES = (
    (slice(1, 4), slice(10, 29), slice(14, 31)),
    (slice(2, 3), slice(0, 5), slice(45, 50)),
)
"""What an edit paints on: some of the chunks, and of them an empty one."""


def painted_with(box: tuple[slice, ...], value: int) -> int:
    """What an edit paints on a box: the second one it empties every other time."""
    return 0 if box == BOXES[1] and value % 4 == 0 else value


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


def check(edit: Edit, place: Path, states: dict[int, dict[str, bytes]]) -> str:
    """The law after a kill; tells what was there."""
    first = edit.state(place)
    assert first in (2, 4), first
    # The lock of who was killed stays until the next save; whoever only reads deletes none.
    there = {key: each for key, each in files(place).items() if not key.endswith(".ngff-lock")}
    wrong = sorted(
        key for key in there.keys() | states[first].keys() if there.get(key) != states[first].get(key)
    )
    assert not wrong, wrong
    assert edit.state(place) == first
    edit.run(place, 6)
    assert edit.state(place) == 6
    assert files(place) == states[6]
    nothing_is_left(place)
    return "new" if first == 4 else "old"


def save_over(edit: Edit, place: Path) -> None:
    """A whole save over an image whose edit was killed, and that nobody has opened since."""
    values = np.arange(np.prod(SHAPE), dtype="uint16").reshape(SHAPE)
    cells = MultiscaleSource(image=voxels(values), levels=2, method="mode")
    write_multiscale_group(
        store=place,
        image=voxels(values),
        levels=2,
        labels={"cells": cells},
        overwrite=True,
        options=FORMS[edit.form],
    ).run()
    image = open_ome_ngff(place)
    assert isinstance(image, Image)
    for one in (image, image.labels["cells"]):
        assert one.multiscale is not None
        assert set(one.multiscale.levels[0].transform.scale) == {1.0}
        np.testing.assert_array_equal(next(iter(one.arrays.values())), values)
    nothing_is_left(place)


def nothing_is_left(place: Path) -> None:
    assert not [path for path in place.rglob("*") if ".ngff-" in path.name]
    assert not [path for path in place.parent.iterdir() if ".ngff-" in path.name]


def states_of(edit: Edit, start: Path, scratch: Path) -> tuple[dict[int, dict[str, bytes]], float]:
    """All files after edits that nobody killed, which change nothing but what they may touch; and seconds."""
    states, seconds = {2: files(start)}, 0.0
    for value in (4, 6):
        place = scratch / f"unkilled{value}"
        shutil.copytree(start, place)
        times = {key: (place / key).stat().st_mtime_ns for key in states[2]}
        begun = time.monotonic()
        edit.run(place, value)
        seconds = time.monotonic() - begun
        assert edit.state(place) == value
        states[value] = files(place)
        untouched = (states[2].keys() | states[value].keys()) - edit.may_touch(start)
        for key in untouched:
            assert states[2].get(key) == states[value].get(key), key
            assert (place / key).stat().st_mtime_ns == times[key], key
        assert states[value] != states[2]
    return states, seconds


def campaign(edit: Edit, *, first: int = 1, every: int = 1, moments: int = 0) -> collections.Counter[str]:
    """Kill edits of one kind at one call after the other, or at random moments instead."""
    seen = collections.Counter[str]()
    chance = random.Random(str(edit))
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = Path(scratch, "start")
        edit.prepare(start)
        edit.run(start, 2)
        states, length = states_of(edit, start, Path(scratch))
        if moments:
            kills: Iterable[dict[str, Any]] = [{"after": chance.uniform(0, length)} for _ in range(moments)]
        else:
            kills = ({"call": n} for n in itertools.count(first, every))
        for number in kills:
            for law in ("edit", "save"):
                folder = Path(scratch, "images")
                folder.mkdir()
                shutil.copytree(start, folder / "a.ome.zarr")
                came_so_far = killed(edit, folder / "a.ome.zarr", **number)
                try:
                    if law == "edit":
                        seen[check(edit, folder / "a.ome.zarr", states)] += came_so_far
                    else:
                        save_over(edit, folder / "a.ome.zarr")
                        seen["saved over"] += came_so_far
                except Exception as error:
                    raise AssertionError(f"{edit}, {number}, {law}: {error!r}") from error
                shutil.rmtree(folder)
            if not came_so_far and "call" in number:
                break
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
