"""Images are sharp in 3D: there a finer level is shown than napari's choice, which is the coarsest.

napari slices in the window's thread: a level is read in the background, and handed over when napari asks.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.errors import OptionError
from napari_ome_ngff.plugin import notify
from napari_ome_ngff.plugin.open.graphics import draws_on_processor, longest_texture
from napari_ome_ngff.plugin.open.volume import Read, read_volumes
from napari_ome_ngff.plugin.open.volume_levels import (
    VolumeLevel,
    displayed_axes,
    finest_within,
    levels_of,
    shared,
    together,
    volume_at,
)
from napari_ome_ngff.plugin.origin import METADATA_KEY
from napari_ome_ngff.plugin.preferences import free_memory, volume_budget
from napari_ome_ngff.storage.pixels.dask_array import hand_over

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer

STATUS = "3D: "  # how what is said in the status bar begins
QUICK = 0.3  # seconds that a step of a slider may take: what takes longer is coarse while it moves
WAIT_MS = 150  # for the next step, or the next layer, before reading begins


class LevelsIn3D:
    """Chooses the levels of one viewer's layers in 3D. The viewer's events hold it; it holds no viewer."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = weakref.ref(viewer)
        self._locks_in_2d: weakref.WeakKeyDictionary[Layer, int | None] = weakref.WeakKeyDictionary()
        self._locked: weakref.WeakKeyDictionary[Layer, int] = weakref.WeakKeyDictionary()
        self._wanted: dict[str, float] = {}  # by image: the volume of a voxel that somebody asked for
        self._task: object = None
        self._worker: Any = None
        self._handed: list[Any] = []  # lazy arrays whose values napari has got, or will get
        self._since = 0.0
        self._is_slow = False

    def connect(self, viewer: Viewer) -> None:
        """Follow a viewer. Only callbacks of napari run before napari slices: an emitter counts as one."""
        from napari.utils.events import EventEmitter

        dims, early, step = viewer.dims.events, EventEmitter(), EventEmitter()
        early.connect(self._before)
        step.connect(self._before_step)
        for emitter in (dims.ndisplay, dims.order, dims.margin_left, dims.margin_right):
            emitter.connect(early, position="first")
            emitter.connect(self)
        dims.point.connect(step, position="first")
        dims.point.connect(self._after_step)
        viewer.layers.events.inserted.connect(self)
        viewer.layers.events.removed.connect(self)

    def __call__(self, event: Any = None) -> None:
        """Choose anew, a moment later; without a window at once."""
        self._stop()
        viewer = self._viewer()
        if viewer is None or viewer.dims.ndisplay != 3:
            return
        self._task = task = object()
        if getattr(viewer, "window", None) is None:
            self._begin(task)
            return
        from qtpy.QtCore import QTimer

        is_asked = event is None or event.type == "ndisplay"
        QTimer.singleShot(0 if is_asked else WAIT_MS, partial(self._begin, task))

    # ------------------------------------------------------------------ when something changes

    def _before(self, event: Any) -> None:
        """What napari slices next is sliced as it would; back in 2D everything is as it was before."""
        viewer = self._viewer()
        self._stop()
        if viewer is None or viewer.dims.ndisplay == 3:
            self._let_go()
            return
        for layer, lock in list(self._locks_in_2d.items()):
            if layer.locked_data_level != lock:
                layer.locked_data_level = lock
        self._locks_in_2d.clear()
        self._locked.clear()
        if str(viewer.status).startswith(STATUS):
            viewer.status = "Ready"

    def _before_step(self, event: Any) -> None:
        self._since = time.perf_counter()
        if self._is_slow:
            self._stop()
            self._let_go()

    def _after_step(self, event: Any) -> None:
        if self._locked and not self._is_slow:
            self._is_slow = time.perf_counter() - self._since > QUICK
        else:
            self(event)

    def _let_go(self) -> None:
        for layer, level in list(self._locked.items()):
            if layer.locked_data_level == level:  # else somebody chose another one
                del self._locked[layer]
                layer.locked_data_level = None

    def _stop(self) -> None:
        self._task = None
        if self._worker is not None:
            self._worker.quit()
            self._worker = None
        while self._handed:
            hand_over(self._handed.pop(), None)

    # ------------------------------------------------------------------ choose, read, show

    def _begin(self, task: object) -> None:
        viewer = self._viewer()
        if task is not self._task or viewer is None:
            return
        todo = []
        chosen = self._choose(viewer)
        for layers, level in chosen:
            for layer, index in zip(layers, level.levels, strict=True):
                layer.events.visible.connect(self)
                lock = None if index == len(layer.data) - 1 else index  # napari's own choice is the coarsest
                if layer.visible and not self._is_users(layer) and layer.locked_data_level != lock:
                    todo.append((layer, lock))
        text = "; ".join(
            (f"{layers[0].name} " if len(chosen) > 1 else "") + _described(layers, level, viewer.dims)
            for layers, level in chosen[:3]
        )
        if text:
            viewer.status = f"{STATUS}{text}{' ... loading' if todo else ''}"
        if getattr(viewer, "window", None) is None:
            for layer, lock in todo:
                self._lock(layer, lock)
        elif todo:
            self._read(viewer, task, todo, f"{STATUS}{text}. Finer, coarser: Layers > Visualize")

    def _choose(self, viewer: Viewer) -> list[tuple[list[Layer], VolumeLevel]]:
        budget = float(volume_budget(on_processor=draws_on_processor(viewer)))
        images = {
            key: layers for key, layers in _images(viewer).items() if any(one.visible for one in layers)
        }
        levels = {key: self._levels(viewer, layers) for key, layers in images.items()}
        chosen = {}
        for key in images.keys() & self._wanted.keys():
            coarser = [level for level in levels[key] if level.voxel >= 0.99 * self._wanted[key]]
            chosen[key] = finest_within(coarser or levels[key][-1:], free_memory() / 2)
            budget = max(0.0, budget - chosen[key].nbytes)
        rest = [key for key in images if key not in chosen]
        chosen |= dict(zip(rest, shared([levels[key] for key in rest], budget), strict=True))
        return [(layers, chosen[key]) for key, layers in images.items()]

    def _read(self, viewer: Viewer, task: object, todo: list[tuple[Layer, int | None]], text: str) -> None:
        from napari.qt.threading import GeneratorWorker
        from qtpy.QtWidgets import QApplication

        volumes = [None if lock is None else volume_at(layer, viewer.dims, lock) for layer, lock in todo]
        # Not by `create_worker`: napari would ask whether it may be closed all the same.
        self._worker = worker = GeneratorWorker(read_volumes, volumes)
        worker.yielded.connect(partial(self._show, task, todo, volumes, text))
        worker.errored.connect(_complain)
        app: Any = QApplication.instance()
        app.aboutToQuit.connect(worker.quit)
        worker.finished.connect(lambda: app.aboutToQuit.disconnect(worker.quit))
        worker.start()

    def _show(
        self, task: object, todo: list[tuple[Layer, int | None]], volumes: list[Any], text: str, read: Read
    ) -> None:
        viewer = self._viewer()
        count, ready, seconds = read
        if count == 0 or task is not self._task or viewer is None:
            return
        started = time.perf_counter()
        for index, (layer, lock) in enumerate(todo[:count]):
            if layer in viewer.layers and not self._is_users(layer) and layer.locked_data_level != lock:
                if index in ready:
                    hand_over(volumes[index], ready[index])
                    self._handed.append(volumes[index])
                self._lock(layer, lock)
        if count == len(todo):
            self._worker = None
            self._is_slow = seconds + time.perf_counter() - started > QUICK
            viewer.status = text

    def _lock(self, layer: Layer, lock: int | None) -> None:
        self._locks_in_2d.setdefault(layer, layer.locked_data_level)
        self._locked.pop(layer, None)
        if lock is not None:
            self._locked[layer] = lock
        layer.locked_data_level = lock

    def _is_users(self, layer: Layer) -> bool:
        # somebody chose another level, at napari's "resolution"
        return bool(layer.locked_data_level != self._locked.get(layer))

    # ------------------------------------------------------------------ finer and coarser

    def step(self, layer: Layer | None, by: int) -> str:
        """Show the image of a layer `by` levels coarser, or finer if that is negative; return which."""
        viewer, key, layers, levels, now = self._of(layer)
        if not 0 <= now + by < len(levels):
            raise OptionError(f"This is the {'finest' if by < 0 else 'coarsest'} level already.")
        level = levels[now + by]
        which, hint = _described(layers, level, viewer.dims), "Save a part of the image, and open that."
        if by < 0 and not level.drawable:
            raise OptionError(f"Too large for a graphics card: {which}.", hint=hint)
        if by < 0 and level.nbytes > free_memory() / 2:
            raise OptionError(f"More than half of the free memory: {which}.", hint=hint)
        self._wanted[key] = level.voxel
        for one in layers:
            self._locks_in_2d.setdefault(one, one.locked_data_level)
            self._locked.pop(one, None)
            if one.locked_data_level is not None:
                self._locked[one] = one.locked_data_level
        self()
        return STATUS + which

    def text(self, layer: Layer) -> str:
        """Which level of a layer's image is shown; "" where there is nothing to choose."""
        try:
            viewer, _, layers, levels, now = self._of(layer)
        except OptionError:
            return ""
        return _described(layers, levels[now], viewer.dims)

    def _of(self, layer: Layer | None) -> tuple[Viewer, str, list[Layer], list[VolumeLevel], int]:
        """The image of a layer, its layers, their levels together, and which of these is shown or loading."""
        viewer = self._viewer()
        if viewer is None or viewer.dims.ndisplay != 3:
            raise OptionError("Levels are chosen in 3D.", hint="Click the cube below the list of layers.")
        for key, layers in _images(viewer).items():
            if layer not in layers:
                continue
            at, wanted = layers.index(layer), self._wanted.get(key)
            layer = layers[at]  # no proxy
            levels = self._levels(viewer, layers)
            if wanted is not None and not self._is_users(layer):
                shown = (i for i, level in enumerate(levels) if level.voxel >= 0.99 * wanted)
            else:
                shown = (i for i, level in enumerate(levels) if level.levels[at] >= layer.data_level)
            return viewer, key, layers, levels, next(shown, len(levels) - 1)
        raise OptionError(
            "There is no level to choose.", hint="Select a layer of an OME-Zarr image with several levels."
        )

    def _levels(self, viewer: Viewer, layers: Sequence[Layer]) -> list[VolumeLevel]:
        longest = longest_texture(viewer)
        return together(levels_of(layer, viewer.dims, longest=longest) for layer in layers)


def levels_in_3d(viewer: Viewer) -> LevelsIn3D:
    """What chooses the levels of a viewer in 3D: made once, and held by the viewer's events."""
    viewer = getattr(viewer, "__wrapped__", viewer)  # what a dock is given are proxies
    for callback in viewer.dims.events.ndisplay.callbacks:
        if isinstance(callback, LevelsIn3D):
            return callback
    levels = LevelsIn3D(viewer)
    levels.connect(viewer)
    return levels


def _images(viewer: Viewer) -> dict[str, list[Layer]]:
    """The layers with levels that were opened from files, by their image."""
    images: dict[str, list[Layer]] = {}
    for layer in viewer.layers:
        origin = layer.metadata.get(METADATA_KEY)
        if getattr(layer, "multiscale", False) and isinstance(origin, Mapping) and "image" in origin:
            images.setdefault(str(origin["image"]), []).append(layer)
    return images


def _described(layers: Sequence[Layer], level: VolumeLevel, dims: Any) -> str:
    # level 1 of 0-4 (64 x 1024 x 1024 voxels, 268 MB in 2 layers)
    layer, index = max(zip(layers, level.levels, strict=True), key=lambda pair: len(pair[0].data))
    shape = " x ".join(str(layer.level_shapes[index][axis]) for axis in displayed_axes(layer, dims))
    several = f" in {len(layers)} layers" if len(layers) > 1 else ""
    size = f"{level.nbytes / 1e6:,.0f} MB" if level.nbytes >= 1e6 else f"{level.nbytes / 1e3:,.0f} kB"
    return f"level {index} of 0-{len(layer.data) - 1} ({shape} voxels, {size}{several})"


def _complain(error: Exception) -> None:
    notify.warn(f"3D stays at the coarsest level.\n{error}")
