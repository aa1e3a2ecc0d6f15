"""Kill what adds to an image that is there: more time points, lower levels, a field of a plate.

Run it with ``python -m tests.campaigns.kill_additions [EVERY] [WORDS]``. After each kill (SIGKILL of its
process, before a call that changes the disk) the hierarchy opens in the old state or in the new one, every
file byte for byte that of a run that was never begun, or of one that was not killed; from the old state the
next run leads to the new one.
"""

from __future__ import annotations

import collections
import itertools
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from napari_ome_ngff import StorageOptions, append_to_image, build_levels, open_ome_ngff, save_ome_ngff
from tests.campaigns.kill_edits import files, nothing_is_left
from tests.campaigns.kill_plates import killed_at

FORMS = {
    "v2": StorageOptions(version="0.4", chunks=(2, 16, 16)),
    "v3": StorageOptions(chunks=(1, 32, 32)),
    "sharded": StorageOptions(chunks=(1, 16, 16), shards=(4, 32, 32)),
}
PIXELS = (np.arange(7 * 48 * 50) % 1009).reshape(7, 48, 50).astype("uint16")


def a_movie(place: Path, form: str) -> None:
    labels = {"cells": (PIXELS[:3] // 9).astype("uint8")}
    save_ome_ngff(place, PIXELS[:3], axes="tyx", levels=3, labels=labels, options=FORMS[form])


def a_level(place: Path, form: str) -> None:
    save_ome_ngff(place, PIXELS, axes="zyx", levels=2, method="nearest", options=FORMS[form])


def longer(place: Path) -> None:
    append_to_image(place, PIXELS[3:], labels={"cells": (PIXELS[3:] // 9).astype("uint8")}).run()


def with_levels(place: Path) -> None:
    build_levels(place, levels=3, method="mean").run()


KINDS: dict[str, tuple[Callable[[Path, str], None], Callable[[Path], None]]] = {
    "append": (a_movie, longer),
    "levels": (a_level, with_levels),
}


def campaign(kind: str, form: str, first: int = 1, every: int = 1) -> collections.Counter[str]:
    """Kill one kind of addition at one call after the other."""
    prepare, work = KINDS[kind]
    seen = collections.Counter[str]()
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start, whole = Path(scratch, "start.ome.zarr"), Path(scratch, "whole.ome.zarr")
        prepare(start, form)
        shutil.copytree(start, whole)
        work(whole)
        old, new = files(start), files(whole)
        for moment in itertools.count(first, every):
            place = Path(scratch, str(moment), "a.ome.zarr")
            shutil.copytree(start, place)
            if not killed_at(moment, lambda place=place: work(place)):  # type: ignore[misc]
                return seen
            opened: Any = open_ome_ngff(place)
            assert opened is not None
            present = files(place)
            assert present in (old, new), f"{kind}, {form}, call {moment}"
            seen["new" if present == new else "old"] += 1
            if present == old:
                work(place)
            else:  # whoever was killed has left the lock
                save_ome_ngff(place, PIXELS[0], overwrite=True, ngff_version=FORMS[form].version)
            assert present == new or files(place) == new
            nothing_is_left(place)
            shutil.rmtree(place.parent)
    return seen


if __name__ == "__main__":
    words = sys.argv[1:]
    step = int(words.pop(0)) if words and words[0].isdigit() else 1
    for each in itertools.product(KINDS, FORMS):
        if all(word in each for word in words):
            print(*each, dict(campaign(*each, every=step)), flush=True)
