"""Planes of images on servers: those of all layers at once, and the next ones before they are asked for."""

from __future__ import annotations

import logging
import time
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.plugin.open.arriving import Arriving, pictures_in
from napari_ome_ngff.plugin.preferences import reads_ahead
from napari_ome_ngff.storage.pixels.process_state import picture_pool
from napari_ome_ngff.storage.places.location import is_url

if TYPE_CHECKING:
    from napari.components import Dims
    from napari.viewer import Viewer

SETTLED_MS = 30  # after a step, so that what is shown now comes first

PLAYING_SECONDS = 0.25  # between two steps: a person who looks takes longer

PLAYED_AHEAD = 3
"""Steps that are read ahead while they follow quickly: a server takes longer to answer than one step."""

LARGEST = 48 * 2**20  # bytes that the pictures of one layer have at most that are read ahead

Travel = tuple[int, int]  # an axis, and 1 or -1: which way its slider moves

_log = logging.getLogger(__name__)


class ReadAhead:
    """Follows the sliders of one viewer. The viewer's events hold it; it holds no viewer."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = weakref.ref(viewer)
        self._step: tuple[int, ...] = tuple(viewer.dims.current_step)
        self._turn = 0  # of a slider: what is left of an earlier one is not begun
        self._travel: Travel | None = None
        self._stepped = 0.0
        self._ahead: list[tuple[int, ...]] = []  # what was asked for

    def connect(self, viewer: Viewer) -> None:
        """Follow a viewer. Only callbacks of napari run before napari slices: an emitter counts as one."""
        from napari.utils.events import EventEmitter

        early = EventEmitter()
        early.connect(self._before)
        viewer.dims.events.point.connect(early, position="first")
        viewer.dims.events.point.connect(self)
        viewer.dims.events.ndim.connect(self)

    def _before(self, event: Any) -> None:
        if (viewer := self._viewer()) is not None:
            self._turn += tuple(viewer.dims.current_step) != self._step  # napari also tells of what stays
            self._request(viewer, viewer.dims, self._turn)

    def __call__(self, event: Any) -> None:
        """Read what the next steps in the same direction will show."""
        if (viewer := self._viewer()) is None:
            return
        before, self._step = self._step, tuple(viewer.dims.current_step)
        if (way := travel(before, self._step)) is None:
            return
        earlier, self._stepped = self._stepped, time.monotonic()
        is_quick = way == self._travel and self._stepped - earlier < PLAYING_SECONDS
        self._travel = way
        many = PLAYED_AHEAD if is_quick else 1
        ahead = further(self._step, viewer.dims.nsteps, way, many)
        if is_quick or getattr(viewer, "window", None) is None:
            self._read(ahead, self._turn)
        else:
            from qtpy.QtCore import QTimer

            QTimer.singleShot(SETTLED_MS, partial(self._read, ahead, self._turn))

    def _read(self, steps: list[tuple[int, ...]], turn: int) -> None:
        viewer = self._viewer()
        if viewer is None or turn != self._turn:
            return
        asked, self._ahead = self._ahead, steps
        from napari.components import Dims

        for far, step in enumerate(steps, start=1):
            if step not in asked:
                dims = Dims(**viewer.dims.model_dump())  # connected to nothing
                dims.current_step = step
                self._request(viewer, dims, turn, far)

    def _request(self, viewer: Viewer, dims: Dims, turn: int, far: int = 0) -> None:
        if viewer.dims.ndisplay != 2:
            return
        requests: list[Callable[[], object]] = []
        for layer in viewer.layers:
            pictures = [p for p in pictures_in(layer) if is_url(p.location)] if layer.visible else []
            if not pictures or (far and not all(_is_worth(p, far) for p in pictures)):
                continue
            state: Any = layer._slicing_state
            requests.append(state._make_slice_request(dims))  # what asynchronous slicing runs in a thread
        if far or len(requests) > 1:
            for request in requests:
                picture_pool("ahead").submit(self._run, request, turn)

    def _run(self, request: Callable[[], object], turn: int) -> None:
        if turn != self._turn:
            return
        try:
            request()
        except Exception as error:  # noqa: BLE001 (napari's own request meets it again, and tells)
            _log.debug("reading ahead failed: %s", error)


def travel(before: Sequence[int], now: Sequence[int]) -> Travel | None:
    """Which slider was moved, and where to; None if none was, or several.

    >>> travel((0, 4), (0, 2))
    (1, -1)
    """
    moved = [i for i, (a, b) in enumerate(zip(before, now, strict=False)) if a != b]
    if len(before) != len(now) or len(moved) != 1:
        return None
    return moved[0], 1 if now[moved[0]] > before[moved[0]] else -1


def further(now: Sequence[int], counts: Sequence[int], way: Travel, many: int) -> list[tuple[int, ...]]:
    """So many steps after the present one, or fewer where it ends."""
    i, toward = way
    places = (now[i] + toward * far for far in range(1, many + 1))
    return [(*now[:i], place, *now[i + 1 :]) for place in places if 0 <= place < counts[i]]


def _is_worth(pictures: Arriving, far: int) -> bool:
    return reads_ahead(pictures.location) and pictures.nbytes() * far <= LARGEST


def read_ahead(viewer: Viewer) -> None:
    """Read ahead for a viewer: made once, and held by the viewer's events."""
    viewer = getattr(viewer, "__wrapped__", viewer)  # what a dock is given are proxies
    if not any(isinstance(callback, ReadAhead) for callback in viewer.dims.events.point.callbacks):
        ReadAhead(viewer).connect(viewer)
