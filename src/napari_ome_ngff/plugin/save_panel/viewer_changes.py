"""What changes in a viewer that a plan of a save follows: layers, the view, the selection."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.errors import OmeNgffError

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer

_PLANNED_BY = ("name", "data", "scale", "translate", "units", "axis_labels")
"""Events of a layer that change the plan; contrast and colours are read when writing starts."""


@contextmanager
def layers_exchanged(button: Any, later: Any) -> Iterator[None]:
    """While a button exchanges layers one after the other it is off, and `later`, a timer, plans nothing."""
    button.enabled = False
    later.blockSignals(True)
    try:
        yield
    except OmeNgffError:
        button.enabled = True
        raise
    finally:
        later.blockSignals(False)
        later.start()


class ViewerChanges:
    """Calls back when layers change, when another part is in view, and when others are selected."""

    def __init__(
        self,
        viewer: Viewer,
        layers: Callable[[], None],
        view: Callable[[], None],
        selection: Callable[[], None],
    ) -> None:
        self._layers, self._on_layers = viewer.layers, layers
        events = viewer.layers.events
        dims, scene = viewer.dims.events, getattr(viewer, "scene", viewer)
        in_view = (dims.current_step, dims.ndisplay, dims.order, scene.camera.events)
        self._connected: list[tuple[Any, Callable[..., None]]] = [
            (events.inserted, self._on_inserted),
            (events.removed, self._on_removed),
            (events.reordered, layers),
            (viewer.dims.events.axis_labels, layers),
            (viewer.layers.selection.events.changed, selection),
            *((each, view) for each in in_view),
        ]
        for event, callback in self._connected:
            event.connect(callback)
        for layer in viewer.layers:
            self._watch(layer)

    def end(self) -> None:
        """Forget the viewer and its layers."""
        for event, callback in self._connected:
            event.disconnect(callback)
        for layer in self._layers:
            self._forget(layer)

    def _watch(self, layer: Layer) -> None:
        for name in _PLANNED_BY:
            getattr(layer.events, name).connect(self._on_layers)

    def _forget(self, layer: Layer) -> None:
        for name in _PLANNED_BY:
            getattr(layer.events, name).disconnect(self._on_layers)

    def _on_inserted(self, event: Any) -> None:
        self._watch(event.value)
        self._on_layers()

    def _on_removed(self, event: Any) -> None:
        self._forget(event.value)
        self._on_layers()
