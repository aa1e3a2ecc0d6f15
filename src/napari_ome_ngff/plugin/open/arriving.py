"""Pictures that napari shows before all of them has arrived: of plates, and of images on servers.

napari slices in the window's thread, and the window stands still until everything is read. Here it waits for
a moment; what arrives later is read in the background and shown as it comes. Whoever else reads from the
layer's data, a script or a save, gets all of it.
"""

from __future__ import annotations

import math
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from napari_ome_ngff.reading.plates.mosaic import MosaicSource
from napari_ome_ngff.storage.pixels.dask_array import pictures_of, source_of, with_pictures
from napari_ome_ngff.storage.pixels.process_state import picture_pool
from napari_ome_ngff.storage.places.location import is_url

if TYPE_CHECKING:
    from napari_ome_ngff.storage.pixels.indexing import Source

NAPARI_SLICES = "napari.layers._scalar_field._slice"

NAPARI_KEEPS = "napari.layers._scalar_field.scalar_field"
"""Where napari takes the coarsest level of an image of two axes, once for all: it is completed in place."""

PATIENCE = 0.08  # seconds that the window waits for all layers together

UNITS_AT_ONCE = 64  # chunks that are read before what has arrived is shown: one wave of requests

KEPT_SECONDS = 2.0  # after it was asked for: napari asks twice, for the picture and for the thumbnail

MOST_BYTES = 2**28
"""Bytes of the pictures of one array that are held at once: of several channels, and of the next plane."""

PAUSED_AT_MOST = 0.5  # seconds: a window that waits for another thread cannot tell this one to go on


@dataclass(eq=False)
class _Picture:
    """One slice, as far as it has arrived."""

    values: np.ndarray[Any, Any]
    parts: int
    is_local: bool
    done: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None
    arrived: int = 0
    shown: int | None = None
    """How many of its parts were there when napari got it last; None if it is not on the screen."""
    asked: float = 0.0
    """When napari, or what reads ahead, asked for it last."""
    is_given: bool = False
    """Whether napari got all of it."""
    is_kept: bool = False
    """Whether napari keeps the array itself."""
    is_dropped: bool = False


class Arriving:
    """The pictures of one lazy array; with `keep_last` each begins as the last one, not as an empty one."""

    def __init__(self, location: str, window: Callable[[], RunningWindow | None], *, keep_last: bool) -> None:
        self.location = location
        self._window = window
        self._keep_last = keep_last
        self._pictures: dict[object, _Picture] = {}
        self._lock = threading.Lock()

    def picture(self, source: Source) -> np.ndarray[Any, Any] | None:
        """What there is of a slice that napari asks for; None for all who do not draw: they read it."""
        # Called by `SourceArray.__array__`, which numpy calls for whoever wants an array.
        caller = sys._getframe(2).f_globals.get("__name__")
        is_plane = source.ndim > 0 < min(source.shape) and sum(n > 1 for n in source.shape) <= 2
        if caller not in (NAPARI_SLICES, NAPARI_KEEPS) or not is_plane:
            return None
        window = self._window()
        picture = self._begin(source, window)
        if window is None:
            picture.done.wait()
        else:
            window.watch(is_late=not picture.done.wait(window.time_left()))
        if picture.is_dropped:
            return None
        if picture.error is not None:
            raise picture.error
        picture.shown, picture.is_kept = picture.arrived, caller == NAPARI_KEEPS
        picture.is_given = picture.shown == picture.parts
        return picture.values if picture.is_kept else picture.values.copy()

    def is_late(self) -> bool:
        """Whether a picture on the screen is not complete."""
        return any(p.shown is not None and p.shown < p.parts for p in self._all())

    def has_news(self) -> bool:
        """Whether more has arrived than the screen shows. What is shown from now on counts anew."""
        news = any(p.shown is not None and p.arrived > p.shown for p in self._all())
        if news:
            for picture in self._all():
                picture.shown = picture.arrived if picture.is_kept else None
        return news

    def drop_unseen(self) -> None:
        """Stop reading what was stepped over on this disk, right after the layers were drawn anew."""
        with self._lock:
            for key, picture in list(self._pictures.items()):
                if picture.is_local and picture.shown is None and not picture.done.is_set():
                    picture.is_dropped = True
                    del self._pictures[key]

    def share(self) -> tuple[int, int]:
        """How many parts of the pictures on the screen have arrived, and how many there are."""
        shown = [p for p in self._all() if p.shown is not None]
        return sum(p.arrived for p in shown), sum(p.parts for p in shown)

    def nbytes(self) -> int:
        """Bytes of the largest picture that is held."""
        return max((p.values.nbytes for p in self._all()), default=0)

    def let_go(self) -> bool:
        """Forget pictures that nobody asks for any more; return whether some are left."""
        with self._lock:
            self._forget()
            return bool(self._pictures)

    def _all(self) -> list[_Picture]:
        with self._lock:
            return list(self._pictures.values())

    def _begin(self, source: Source, window: RunningWindow | None) -> _Picture:
        read: Callable[[], None] | None = None
        with self._lock:
            self._forget()  # what is on the disk may have changed since
            if (picture := self._pictures.pop(source.part, None)) is None:
                bands = list(_bands(source))
                picture = _Picture(self._first(source), len(bands), is_local=not is_url(self.location))
                read = partial(_read, source, bands, picture, weakref.ref(self), window)
            picture.asked = time.monotonic()
            self._pictures[source.part] = picture  # the last one now
        if read is not None and window is None:
            read()  # here, as to hand it to another thread and back takes longer
        elif read is not None:
            picture_pool("local" if picture.is_local else "server").submit(read)
        return picture

    def _forget(self) -> None:
        now, nbytes = time.monotonic(), 0
        for key, picture in reversed(list(self._pictures.items())):
            nbytes += picture.values.nbytes
            is_late = picture.shown is not None and picture.shown < picture.parts
            is_old = now - picture.asked > KEPT_SECONDS and picture.done.is_set() and not is_late
            if is_old or (nbytes > MOST_BYTES and picture.is_given):
                del self._pictures[key]

    def _first(self, source: Source) -> np.ndarray[Any, Any]:
        # As napari does when it slices in the background: a screen that turns black at each step tires eyes.
        if self._keep_last:
            for last in reversed(self._pictures.values()):
                if last.values.shape == source.shape and last.error is None and last.arrived:
                    return last.values.copy()
        return np.zeros(source.shape, source.dtype)


class RunningWindow(Protocol):
    """A window that runs, when its own thread asks."""

    is_idle: threading.Event
    """Not while napari has more to do in this turn of the event loop, such as to add further layers."""

    is_over: bool
    """Whether it was closed: nothing more is read for it."""

    def time_left(self) -> float:
        """Seconds that it may wait now."""

    def watch(self, *, is_late: bool) -> None:
        """Show later what arrives, and let go of what was shown."""


def arriving(data: Any, window: Callable[[], RunningWindow | None]) -> Any:
    """A lazy array whose pictures may come later; the same array where they need not."""
    source = source_of(data)
    is_mosaic = isinstance(source, MosaicSource)
    location = "" if source is None else min(source.locations, default="")
    if not (is_mosaic or (is_url(location) and not location.startswith("memory://"))):
        return data
    return with_pictures(data, Arriving(location, window, keep_last=not is_mosaic))


def pictures_in(layer: Any) -> list[Arriving]:
    """What is on its way for a layer, by its levels."""
    levels = layer.data if getattr(layer, "multiscale", False) else [layer.data]
    pictures = [pictures_of(level) for level in levels]
    return [one for one in pictures if isinstance(one, Arriving)]


def _bands(source: Source) -> Iterator[tuple[slice, ...]]:
    """Cut a picture along the first axis that it extends over: each part is about one wave of requests."""
    units = [max(1, u // abs(dim.step)) for u, dim in zip(source.units, source.dims, strict=True)]
    counts = [-(-n // unit) for n, unit in zip(source.shape, units, strict=True)]
    axis = max(range(len(counts)), key=lambda i: counts[i] > 1)
    parts = min(counts[axis], -(-math.prod(counts) // UNITS_AT_ONCE))
    step = -(-counts[axis] // parts) * units[axis]
    for start in range(0, source.shape[axis], step):
        yield (*([slice(None)] * axis), slice(start, start + step))


def _read(
    source: Source,
    bands: Sequence[tuple[slice, ...]],
    picture: _Picture,
    owner: weakref.ref[Arriving],
    window: RunningWindow | None,
) -> None:
    try:
        for band in bands:
            if picture.is_local and window is not None:  # two threads of Python get in one another's way
                window.is_idle.wait(PAUSED_AT_MOST)
            if picture.is_dropped or owner() is None or (window is not None and window.is_over):
                picture.is_dropped = True
                return
            picture.values[band] = source[band]
            picture.arrived += 1
    except Exception as error:  # noqa: BLE001 (napari gets it when it asks)
        picture.error = error
        picture.arrived = picture.parts
    finally:
        picture.done.set()
