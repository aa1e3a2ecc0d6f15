"""Kill the publishing of a plate at every call that changes a disk.

Run it with ``python -m tests.campaigns.kill_plates [EVERY]``. After each kill there is nothing at the target,
or the whole plate; no field is lost, and the next one publishes them.
"""

from __future__ import annotations

import collections
import itertools
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from napari_ome_ngff import PlateWriter, open_ome_ngff
from napari_ome_ngff.writing.commit import local_swap
from tests.campaigns.kill_every_call import CALLS


def killed_at(moment: int, work: Callable[[], object]) -> bool:
    """Do something in another process that is killed before a call; whether it came that far."""
    child = os.fork()
    if child == 0:
        count = itertools.count(1)

        def counting(real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any, **kwargs: Any) -> Any:
                if next(count) == moment:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*args, **kwargs)

            return call

        for name in CALLS:
            setattr(os, name, counting(getattr(os, name)))
        local_swap.exchange = counting(local_swap.exchange)  # type: ignore[assignment]
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL), f"call {moment}: it failed"
    return code != 0


def campaign(first: int = 1, every: int = 1) -> collections.Counter[str]:
    """Kill at one call after the other."""
    seen = collections.Counter[str]()
    with tempfile.TemporaryDirectory() as scratch:
        for moment in itertools.count(first, every):
            place = Path(scratch, f"{moment}.ome.zarr")
            writer = PlateWriter(store=place)
            writer.write_field(("A", 1), np.ones((20, 30), "uint8")).run()
            if not killed_at(moment, writer.publish):
                return seen
            seen["the plate" if place.exists() else "nothing"] += 1
            if not place.exists():
                assert writer.fields() == {("A", "1"): ("0",)}
                writer.publish()
            plate: Any = open_ome_ngff(place)
            assert [tile.well for image in plate.images.values() for tile in image.tiles] == ["A/1"]
            opened: Any = open_ome_ngff(place / "A" / "1" / "0")
            assert opened.arrays["0"].values.all()
    return seen


if __name__ == "__main__":
    print(campaign(every=int(sys.argv[1]) if sys.argv[1:] else 1))
