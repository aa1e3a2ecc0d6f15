"""How long a window's thread does not come back to its events, and what it does meanwhile.

A timer that wants to run every 5 ms stands for a mouse that is moved. Where it is late, a thread looks where
the window's thread is, and Linux says whether that ran, waited for a processor, or slept (on a lock, on the
interpreter's lock, on a disk).
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

BEAT_MS = 5
LATE = 0.025  # seconds after a beat from which on a thread looks what there is
IDLE = (":wait", ":_worker", "selectors.py")
PACKAGES = ("napari_ome_ngff", "napari", "vispy", "magicgui", "dask", "numpy", "zarr", "tests")


@dataclass(frozen=True)
class Wait:
    """One time between two beats, in milliseconds."""

    length: float
    at: float  # since the beginning
    ran: float  # the thread had a processor
    queued: float  # it wanted one, and others had it
    host: float  # the host of a virtual machine had them, all processors together
    collected: float  # the garbage collector was at work in this thread
    doing: str

    def __str__(self) -> str:
        parts = [f"ran {self.ran:.0f}", f"waited for a processor {self.queued:.0f}"]
        slept = self.length - self.ran - self.queued
        parts += [f"slept {slept:.0f}"] if slept >= 10 else []
        parts += [f"garbage collector {self.collected:.0f}"] if self.collected >= 5 else []
        parts += [f"host {self.host:.0f}"] if self.host >= 10 else []
        return f"{self.length:.0f} ms at {self.at / 1000:.2f} s ({', '.join(parts)}): {self.doing}"


@dataclass(frozen=True)
class Waits:
    """All that happened between two looks."""

    every: list[Wait]

    @property
    def longest(self) -> float:
        """Milliseconds."""
        return max((wait.length for wait in self.every), default=0.0)

    @property
    def rare(self) -> float:
        """Milliseconds that one in a hundred events would wait, which come at any time."""
        lengths = np.sort([wait.length for wait in self.every])[::-1]
        low, high = 0.0, float(lengths[0]) if len(lengths) else 0.0
        for _ in range(40):
            middle = (low + high) / 2
            if np.maximum(lengths - middle, 0).sum() > 0.01 * lengths.sum():
                low = middle
            else:
                high = middle
        return high

    @property
    def seconds(self) -> float:
        """How long it took."""
        return sum(wait.length for wait in self.every) / 1000


class Heartbeat:
    """Beats in the thread in which it is made, which has Qt's event loop."""

    def __init__(self) -> None:
        from qtpy.QtCore import QTimer

        self._thread = threading.get_ident()
        self._schedstat = os.open(f"/proc/self/task/{threading.get_native_id()}/schedstat", os.O_RDONLY)
        self._stat = os.open("/proc/stat", os.O_RDONLY)
        self._beats: list[tuple[float, float, float, float]] = []
        self._looks: list[tuple[float, str]] = []
        self._collections: list[tuple[float, float]] = []
        self._last = time.monotonic()
        gc.callbacks.append(self._collecting)
        threading.Thread(target=self._watch, daemon=True).start()
        self._timer: Any = QTimer()
        self._timer.timeout.connect(self.beat)
        self._timer.start(BEAT_MS)

    def beat(self) -> None:
        """Note that the thread came back to its events."""
        ran, queued = (int(word) / 1e6 for word in os.pread(self._schedstat, 200, 0).split()[:2])
        stolen = int(os.pread(self._stat, 200, 0).split(maxsplit=9)[8]) * 1000 / os.sysconf("SC_CLK_TCK")
        self._last = time.monotonic()
        self._beats.append((self._last * 1000, ran, queued, stolen))

    def begin(self) -> None:
        """Forget what was."""
        for kept in (self._beats, self._looks, self._collections):
            kept.clear()
        self.beat()

    def end(self) -> Waits:
        """What has been since it was begun."""
        self.beat()
        beats = np.array(self._beats)
        looks, collections = list(self._looks), list(self._collections)
        waits = []
        for (start, *before), (stop, *after) in pairwise(beats):
            ran, queued, host = np.subtract(after, before)
            here = Counter(what for when, what in looks if start <= when * 1000 <= stop)
            doing = "; ".join(f"{what} {count}x" for what, count in here.most_common(2))
            collected = sum(e - b for b, e in collections if start <= b * 1000 <= stop) * 1000
            waits.append(Wait(stop - start, start - beats[0, 0], ran, queued, host, collected, doing))
        return Waits(waits)

    def _collecting(self, phase: str, _: object) -> None:
        now = time.monotonic()
        if phase == "start":
            self._collections.append((now, now))
        elif self._collections:
            self._collections[-1] = (self._collections[-1][0], now)

    def _watch(self) -> None:
        while True:
            time.sleep(0.01)
            if time.monotonic() - self._last > LATE:
                frames = sys._current_frames()
                what = _in_words(frames[self._thread])
                others = [
                    _in_words(f) for i, f in frames.items() if i not in (self._thread, threading.get_ident())
                ]
                at_work = [
                    o for o in others if o and not o.endswith((":wait", ":_worker", ":_watch", "select"))
                ]
                self._looks.append((time.monotonic(), " / ".join([what, *at_work[:3]])))


def _in_words(frame: FrameType | None) -> str:
    """The innermost call, and the innermost ones of the packages on the way to it."""
    words: list[str] = []
    seen: set[str] = set()
    while frame is not None:
        code = frame.f_code
        parts = Path(code.co_filename).parts
        package = next((name for name in PACKAGES if name in parts), "")
        if not words or (package and package not in seen):
            seen.add(package)
            words.append(f"{Path(code.co_filename).name}:{frame.f_lineno}:{code.co_name}")
        frame = frame.f_back
    return " < ".join(words[:4])
