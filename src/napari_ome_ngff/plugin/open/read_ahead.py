"""Planes of images on servers: those of all layers at once, and the next one before it is asked for."""

from __future__ import annotations

import logging
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

LARGEST = 48 * 2**20
"""Bytes that a picture of one layer has at most, to be read ahead."""

_log = logging.getLogger(__name__)


class ReadAhead:
    """Follows the sliders of one viewer. The viewer's events hold it; it holds no viewer."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = weakref.ref(viewer)
        self._step: tuple[int, ...] = tuple(viewer.dims.current_step)
        self._turn = 0  # of a slider: what is left of an earlier one is not begun

    def connect(self, viewer: Viewer) -> None:
        """Follow a viewer. Only callbacks of napari run before napari slices: an emitter counts as one."""
        from napari.utils.events import EventEmitter

        early = EventEmitter()
        early.connect(self._before)
        viewer.dims.events.point.connect(early, position="first")
        viewer.dims.events.point.connect(self)
        viewer.dims.events.ndim.connect(self)

    def _before(self, event: Any) -> None:
        self._turn += 1
        if (viewer := self._viewer()) is not None:
            self._request(viewer, viewer.dims, self._turn)

    def __call__(self, event: Any) -> None:
        """Read what the next step in the same direction will show."""
        if (viewer := self._viewer()) is None:
            return
        before, self._step = self._step, tuple(viewer.dims.current_step)
        ahead = one_further(before, self._step, viewer.dims.nsteps)
        if ahead is None:
            return
        if getattr(viewer, "window", None) is None:
            self._read(ahead, self._turn)
        else:
            from qtpy.QtCore import QTimer

            QTimer.singleShot(SETTLED_MS, partial(self._read, ahead, self._turn))

    def _read(self, step: Sequence[int], turn: int) -> None:
        viewer = self._viewer()
        if viewer is not None and turn == self._turn:
            from napari.components import Dims

            dims = Dims(**viewer.dims.model_dump())  # connected to nothing
            dims.current_step = tuple(step)
            self._request(viewer, dims, turn, ahead=True)

    def _request(self, viewer: Viewer, dims: Dims, turn: int, *, ahead: bool = False) -> None:
        if viewer.dims.ndisplay != 2:
            return
        requests: list[Callable[[], object]] = []
        for layer in viewer.layers:
            pictures = [p for p in pictures_in(layer) if is_url(p.location)] if layer.visible else []
            if not pictures or (ahead and not all(map(_is_worth, pictures))):
                continue
            state: Any = layer._slicing_state
            requests.append(state._make_slice_request(dims))  # what asynchronous slicing runs in a thread
        if ahead or len(requests) > 1:
            for request in requests:
                picture_pool("ahead").submit(self._run, request, turn)

    def _run(self, request: Callable[[], object], turn: int) -> None:
        if turn != self._turn:
            return
        try:
            request()
        except Exception as error:  # noqa: BLE001 (napari's own request meets it again, and tells)
            _log.debug("reading ahead failed: %s", error)


def one_further(before: Sequence[int], now: Sequence[int], counts: Sequence[int]) -> tuple[int, ...] | None:
    """The step after the present one, as far and in the same direction; None if no slider or several moved.

    Playback leaves out steps that it has no time for, and goes from the last one on to the first, or back.

    >>> one_further((0, 4), (0, 5), (3, 9)), one_further((0, 5), (0, 8), (3, 9))
    ((0, 6), (0, 2))
    """
    moved = [i for i, (a, b) in enumerate(zip(before, now, strict=False)) if a != b]
    if len(before) != len(now) or len(moved) != 1:
        return None
    i = moved[0]
    count, stride = counts[i], now[i] - before[i]
    if abs(stride) > count // 2:
        stride -= count if stride > 0 else -count
    following = (now[i] + stride) % count
    return (*now[:i], following, *now[i + 1 :]) if following != now[i] else None


def _is_worth(pictures: Arriving) -> bool:
    return reads_ahead(pictures.location) and pictures.nbytes() <= LARGEST


def read_ahead(viewer: Viewer) -> None:
    """Read ahead for a viewer: made once, and held by the viewer's events."""
    viewer = getattr(viewer, "__wrapped__", viewer)  # what a dock is given are proxies
    if not any(isinstance(callback, ReadAhead) for callback in viewer.dims.events.point.callbacks):
        ReadAhead(viewer).connect(viewer)
