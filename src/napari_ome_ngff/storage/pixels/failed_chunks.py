"""Chunks that could not be read, for those who want to tell the user.

Who shows an image does not want it to stop at one damaged chunk: the chunk is shown as fill value, and what
happened is noted here. A viewer would ask for such a chunk at every slice, so it is not tried again for a
while.
"""

from __future__ import annotations

import functools
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
    """An array of which chunks could not be read.

    Parameters
    ----------
    location
        Path or URL of the array.
    error
        The first error; it names the chunk.
    chunks
        How many chunks failed so far.
    """

    location: str
    error: StorageError
    chunks: int


Chunk = tuple[Hashable, object]
"""What tells a chunk from all others, and the state that it was in."""


@dataclass(frozen=True, kw_only=True)
class _Trouble:
    state: object
    times: int
    again: float


class Failures:
    """A bounded record of chunks that could not be read, safe under threads.

    Parameters
    ----------
    clock
        Where the time comes from, in seconds.

    Examples
    --------
    >>> failures = Failures()
    >>> stop = failures.subscribe(lambda failure: print(failure.location, failure.error.summary))
    >>> error = StorageError("Chunk c/0/0 is damaged.")
    >>> failures.report("this opening", "/data/a.zarr/0", [("c/0/0", None)], error)
    /data/a.zarr/0 Chunk c/0/0 is damaged.
    >>> failures.report("this opening", "/data/a.zarr/0", [("c/0/1", None)], error)
    >>> failures.record()[0].chunks
    2
    >>> failures.waiting([("c/0/0", None), ("c/7/7", None)])
    [True, False]
    >>> stop()
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._arrays: OrderedDict[Hashable, Failure] = OrderedDict()
        self._chunks: OrderedDict[Hashable, _Trouble] = OrderedDict()
        self._subscribers: list[Callable[[Failure], None]] = []

    def subscribe(self, subscriber: Callable[[Failure], None]) -> Callable[[], None]:
        """Ask to be told of the first chunk of each array that could not be read.

        Parameters
        ----------
        subscriber
            Called once for each opened array, in the thread that read it; later failures are only counted.

        Returns
        -------
        callable
            Ends it.
        """
        with self._lock:
            self._subscribers.append(subscriber)

        def stop() -> None:
            with self._lock:
                if subscriber in self._subscribers:
                    self._subscribers.remove(subscriber)

        return stop

    def report(self, opening: Hashable, location: str, chunks: Sequence[Chunk], error: StorageError) -> None:
        """Note that chunks of an array could not be read.

        Parameters
        ----------
        opening
            What the subscribers are told of once: usually one opening of one array.
        location
            Path or URL of the array.
        chunks
            The chunks and their states.
        error
            What happened to the first of them.
        """
        with self._lock:
            known = self._arrays.get(opening)
            new = 0
            for key, state in chunks:
                before = self._chunks.pop(key, None)
                times = before.times + 1 if before is not None and before.state == state else 1
                new += times == 1
                wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(times - 1, 10))
                self._chunks[key] = _Trouble(state=state, times=times, again=self._clock() + wait)
            first = Failure(location=location, error=error, chunks=len(chunks))
            self._arrays[opening] = first if known is None else replace(known, chunks=known.chunks + new)
            while len(self._chunks) > MAX_CHUNKS:
                self._chunks.popitem(last=False)
            while len(self._arrays) > MAX_ARRAYS:
                self._arrays.popitem(last=False)
            told = [] if known is not None else list(self._subscribers)
        # Outside of the lock: a subscriber may read, or subscribe others.
        logging.getLogger(__name__).debug("%s", error)
        for subscriber in told:
            try:
                subscriber(first)
            except Exception:  # whoever is told must not spoil the reading
                logging.getLogger(__name__).exception("A subscriber to failures failed.")

    def waiting(self, chunks: Sequence[Chunk]) -> list[bool]:
        """Tell which chunks failed so recently, and are unchanged since, that they need not be tried.

        Parameters
        ----------
        chunks
            Chunks and their present states.

        Returns
        -------
        list of bool
            One for each.
        """
        with self._lock:
            if not self._chunks:
                return [False] * len(chunks)
            now = self._clock()
            found = [(self._chunks.get(key), state) for key, state in chunks]
            return [
                trouble is not None and trouble.state == s and now < trouble.again for trouble, s in found
            ]

    def recovered(self, keys: Sequence[Hashable]) -> None:
        """Forget chunks that could be read.

        Parameters
        ----------
        keys
            The chunks.
        """
        with self._lock:
            for key in keys if self._chunks else ():
                self._chunks.pop(key, None)

    def record(self) -> tuple[Failure, ...]:
        """Return the arrays of which chunks could not be read, the latest last."""
        with self._lock:
            return tuple(self._arrays.values())

    def clear(self) -> None:
        """Forget everything but the subscribers: all chunks are tried again, all arrays told of again."""
        with self._lock:
            self._arrays.clear()
            self._chunks.clear()


@functools.cache
def shared_failures() -> Failures:
    """Return the record that all sources of this process share.

    Returns
    -------
    Failures
        Always the same one.

    Examples
    --------
    >>> shared_failures() is shared_failures()
    True
    """
    return Failures()
