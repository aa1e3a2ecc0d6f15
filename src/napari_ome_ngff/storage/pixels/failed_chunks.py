"""Chunks that could not be read, for those who want to tell the user.

A viewer must not stop at one damaged chunk: the chunk is shown as fill value and noted here. The viewer asks
for it again at every slice, so it is not tried again for a while.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace

from napari_ome_ngff.errors import StorageError

FIRST_WAIT = 5.0
"""Seconds after which a chunk that failed is tried again; each failure doubles them."""


LONGEST_WAIT = 60.0
"""Seconds that they do not exceed."""


MAX_CHUNKS = 20_000
"""Chunks that are remembered."""


MAX_ARRAYS = 1_000
"""Arrays that are remembered."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """An array (by path or URL) of which so many chunks could not be read so far."""

    location: str
    error: StorageError
    """The first error; it names the chunk."""
    chunks: int


Chunk = tuple[Hashable, object]
"""What tells a chunk from all others, and the state that it was in."""


@dataclass(frozen=True, kw_only=True)
class _Trouble:
    state: object
    times: int
    again: float


class Failures:
    """A bounded record of chunks that could not be read, safe under threads."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._arrays: OrderedDict[Hashable, Failure] = OrderedDict()
        self._chunks: OrderedDict[Hashable, _Trouble] = OrderedDict()
        self._subscribers: list[Callable[[Failure], None]] = []

    def subscribe(self, subscriber: Callable[[Failure], None]) -> Callable[[], None]:
        """Call `subscriber` with the first failure of each opened array; what is returned ends that.

        It is called in the thread that read; later failures are only counted.
        """
        with self._lock:
            self._subscribers.append(subscriber)

        def stop() -> None:
            with self._lock:
                if subscriber in self._subscribers:
                    self._subscribers.remove(subscriber)

        return stop

    def report(self, opening: Hashable, location: str, chunks: Sequence[Chunk], error: StorageError) -> None:
        """Note that chunks of an array could not be read, and why the first of them.

        Subscribers are told of each `opening` once.
        """
        with self._lock:
            before = self._arrays.get(opening)
            new = 0
            for key, state in chunks:
                earlier = self._chunks.pop(key, None)
                times = earlier.times + 1 if earlier is not None and earlier.state == state else 1
                new += times == 1
                wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(times - 1, 10))
                self._chunks[key] = _Trouble(state=state, times=times, again=self._clock() + wait)
            first = Failure(location=location, error=error, chunks=len(chunks))
            self._arrays[opening] = first if before is None else replace(before, chunks=before.chunks + new)
            while len(self._chunks) > MAX_CHUNKS:
                self._chunks.popitem(last=False)
            while len(self._arrays) > MAX_ARRAYS:
                self._arrays.popitem(last=False)
            subscribers = [] if before is not None else list(self._subscribers)
        # Outside of the lock: a subscriber may read, or subscribe others.
        logging.getLogger(__name__).debug("%s", error)
        for subscriber in subscribers:
            try:
                subscriber(first)
            except Exception:  # whoever is told must not spoil the reading
                logging.getLogger(__name__).exception("A subscriber to failures failed.")

    def waiting(self, chunks: Sequence[Chunk]) -> list[bool]:
        """Which chunks failed so recently, and are unchanged since, that they need not be tried."""
        with self._lock:
            if not self._chunks:
                return [False] * len(chunks)
            now = self._clock()
            return [
                (trouble := self._chunks.get(key)) is not None
                and trouble.state == state
                and now < trouble.again
                for key, state in chunks
            ]

    def recovered(self, keys: Sequence[Hashable]) -> None:
        """Forget chunks that could be read."""
        with self._lock:
            for key in keys if self._chunks else ():
                self._chunks.pop(key, None)

    def record(self) -> tuple[Failure, ...]:
        """The arrays of which chunks could not be read, the latest last."""
        with self._lock:
            return tuple(self._arrays.values())

    def clear(self) -> None:
        """Forget everything but the subscribers: all chunks are tried again, all arrays told of again."""
        with self._lock:
            self._arrays.clear()
            self._chunks.clear()
