"""A megabyte of everything that a file can declare: what it costs to open or to refuse it.

``python -m tests.campaigns.hostile [PART_OF_A_NAME]`` opens each family of `tests.hostile_files` in scripts'
way and in napari's, in a process of its own, and ends with 1 if one takes more than `SECONDS` of processor
time or `BYTES` more memory. The suite has the same law for some (`tests/reading/test_hostile_files.py`).
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from napari_ome_ngff import open_ome_ngff
from napari_ome_ngff.errors import OmeNgffError, OmeNgffWarning
from tests.hostile_files import FAMILIES, image, write
from tests.reading.test_hostile_files import unit

try:
    from napari_ome_ngff.plugin.reader import read_layers
except ImportError:  # without napari
    read_layers = None  # type: ignore[assignment]

SIZE, SECONDS, BYTES = 1_000_000, 2.0, 200 * 2**20
"""Bytes of metadata, and what each of the two ways of opening them may take."""


def cost(folder: Path) -> tuple[float, int, str]:
    """Seconds of processor time of the slower way, growth of memory in both, and what came of it."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    slowest, results = 0.0, []
    for open_it in filter(None, (open_ome_ngff, read_layers)):
        start = time.process_time()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                open_it(str(folder))
                results.append("opened")
            except OmeNgffError as error:
                results.append("refused" if len(str(error)) < 5000 else "BAD: a long error")
            except BaseException:  # noqa: BLE001 (what is looked for)
                results.append("BAD: " + traceback.format_exc()[-1000:])
        slowest = max(slowest, time.process_time() - start)
        if strange := [w for w in caught if not issubclass(w.category, OmeNgffWarning)]:
            results.append(f"BAD: {strange[0].category.__name__} {str(strange[0].message)[:200]}")
        if sum(len(str(w.message)) for w in caught) > 20_000:
            results.append("BAD: long warnings")
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return slowest, grown * 1024, ", ".join(dict.fromkeys(results))


def apart(do: Callable[[], object]) -> Any:
    """What a function returns in a forked process, which ends with it."""
    ours, theirs = os.pipe()
    if not (child := os.fork()):
        with os.fdopen(theirs, "w") as pipe:
            pipe.write(json.dumps(do()))
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return json.loads(text) if text else None


def main() -> int:
    """Print a line for each family; whether one breaks the law."""
    part, broken = (sys.argv[1:] or [""])[0], 0
    with tempfile.TemporaryDirectory() as scratch:
        write(image(), Path(scratch, "warm"))
        cost(Path(scratch, "warm"))  # what is imported on the way counts for nobody
        for number, name in enumerate(name for name in FAMILIES if part in name):
            folder = Path(scratch, str(number))
            apart(partial(write_family, name, folder))
            seconds, grown, result = apart(partial(cost, folder)) or (0.0, 0, "BAD: the process died")
            unit.cache_clear()  # a machine that is busy is slow
            is_broken = seconds > SECONDS * unit() or grown > BYTES or "BAD" in result
            broken += is_broken
            mark = "BREAKS THE LAW" if is_broken else ""
            print(f"{seconds:6.2f} s {grown / 2**20:6.0f} MB  {name}: {result} {mark}", flush=True)
    print(f"{broken} break the law")
    return bool(broken)


def write_family(name: str, folder: Path) -> None:
    write(FAMILIES[name](SIZE), folder)


if __name__ == "__main__":
    sys.exit(main())
