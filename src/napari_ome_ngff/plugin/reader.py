"""npe2 reader: OME-Zarr images from folders, files and URLs into napari."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from napari_ome_ngff.errors import CancelledError, NotOmeNgffError
from napari_ome_ngff.plugin import notify
from napari_ome_ngff.plugin.names import image_name
from napari_ome_ngff.plugin.notify import watch_failures
from napari_ome_ngff.plugin.open.add_to_viewer import (
    add_to_viewer,
    described_layers,
    one_notification,
    prepare_first_layer,
    read_described,
)
from napari_ome_ngff.plugin.origin import METADATA_KEY, named_apart
from napari_ome_ngff.plugin.preferences import PLUGIN, follow, follow_later, recent_places, remember_place
from napari_ome_ngff.reading.sniff import is_likely_ome_ngff, is_zarr
from napari_ome_ngff.storage.places.location import is_url

if TYPE_CHECKING:
    from zarr.abc.store import Store

    from napari_ome_ngff.plugin.origin import LayerData
    from napari_ome_ngff.reading.opened import Collection, Image

# All that is heavy is imported in functions: napari imports this module to ask whose a folder is.

BROWSE = "Plugins > OME-Zarr > Browse OME-Zarr plate or collection"
"""Where the menu has the table of wells, fields and images."""

Path = str | os.PathLike[str]


def get_reader(
    path: Path | Sequence[Path] | None = None,
) -> Callable[[Path | Sequence[Path]], list[LayerData]] | None:
    """Return what reads a path or several, or None if there is no Zarr.

    napari asks for every folder that is opened: this reads a few small files at most, and uses no network.
    Its window asks only who was chosen there: what opens nothing then says why. Its palette and menus call
    every command, this one too, without a path: then the user is asked for one, and it is opened.
    """
    if path is None:
        _open_asked()
        return None
    paths = _paths(path)
    ours = paths and all(is_likely_ome_ngff(one) or is_zarr(one) for one in paths)
    return read_layers if ours or notify.has_window() else None


@notify.errors_as_text()
def read_layers(path: Path | Sequence[Path]) -> list[LayerData]:
    """Open OME-Zarr images, lazily, as napari layers.

    All that is wrong with a file which can be shown comes in one notification. Why a file cannot be opened or
    shown is the first line of an ``OmeNgffError``.
    """
    try:
        layers = [layer for one in _paths(path) for layer in _read(one)]
    except CancelledError:
        return [(None,)]  # type: ignore[list-item]  # npe2: it was read, and there are no layers
    watch_failures()
    return layers


def _open_asked() -> None:
    """Ask for a place, and open it."""
    from napari.utils.history import get_open_history, update_open_history
    from napari.viewer import current_viewer

    from napari_ome_ngff.plugin.dialogs.open_dialog import OpenDialog

    if (viewer := current_viewer()) is None:
        notify.warn("There is no viewer to open an image in.")
        return

    def open_place(place: str) -> None:
        try:
            viewer.open(place, plugin=PLUGIN)
        except FileNotFoundError:  # it says what is wrong, or knows places that napari does not
            add_to_viewer(viewer, place)
        remember_place(place)
        if not is_url(place):
            update_open_history(place)

    window = viewer.window._qt_window
    OpenDialog(window, folder=get_open_history()[0], recent=recent_places(), open_place=open_place).exec()


def _paths(path: Path | Sequence[Path]) -> list[str]:
    return [os.fspath(one) for one in ([path] if isinstance(path, str | os.PathLike) else path)]


def _read(path: str) -> list[LayerData]:
    from napari_ome_ngff.plugin.save.progress import alive, event_loop_runs, is_closed

    name = image_name(path)
    with one_notification():
        if event_loop_runs():
            from napari.viewer import current_viewer

            follow()  # 0.2 s, the first time, in which nobody paints yet
            (opened, layers), prepared = alive(lambda: (_described_layers(path, name), prepare_first_layer()))
            prepared()
            if is_closed(current_viewer()):
                raise CancelledError("The window was closed.", where=path)
        else:  # a script, or napari's start: whoever waits for it gains nothing by a thread
            opened, layers = _described_layers(path, name)
            if "napari" in sys.modules:
                follow_later()
    from napari_ome_ngff.plugin.open.viewer_hooks import attach

    attach(layers)
    if any("zarr" in meta["metadata"] for _, meta, _ in layers):
        return layers
    if notify.has_window():
        from napari.viewer import current_viewer

        named_apart(layers, image_name(path), current_viewer().layers)
    _hint(opened)
    return layers


def open_layers(location: str | Store, name: str) -> tuple[Image | Collection, list[LayerData]]:
    """Open what is at a location, and return it with its layers; `name` is for an image that has none."""
    from napari_ome_ngff.plugin.open.viewer_hooks import attach

    opened, layers = _described_layers(location, name)
    attach(layers)
    return opened, layers


def _described_layers(location: str | Store, name: str) -> tuple[Image | Collection, list[LayerData]]:
    """Read what is needed of what is at a location, in any thread: it touches no viewer."""
    from napari_ome_ngff.reading.open import open_metadata

    try:
        opened = read_described(open_metadata(location))
    except NotOmeNgffError:
        from napari_ome_ngff.reading.others.plain import open_plain

        if (arrays := open_plain(location)) is None:
            raise
        opened = read_described(arrays)
        return opened, as_plain(described_layers(opened, name))
    return opened, described_layers(opened, name)


def as_plain(layers: list[LayerData]) -> list[LayerData]:
    """Layers of plain arrays: no image to correct, to add labels to, or to save again.

    ``metadata["zarr"]`` has the place of the array and its attributes.
    """
    for _, meta, _ in layers:
        origin = meta["metadata"].pop(METADATA_KEY)
        meta["metadata"][METADATA_KEY] = {"range": origin["range"]}
        meta["metadata"]["zarr"] = {"location": origin["location"], "attributes": origin["attributes"]}
        if all(label.startswith("dim_") for label in meta["axis_labels"]):  # nobody named them, nor napari
            meta["axis_labels"] = tuple(str(i) for i in range(-len(meta["scale"]), 0))
    return layers


def _hint(opened: Image | Collection) -> None:
    """Say how to find one's way in what consists of many parts."""
    plate = getattr(opened, "plate", None)
    count = len(getattr(opened, "images", ()))
    what = f"{len(plate.wells)} wells" if plate is not None else f"{count} images"
    if plate is not None or count > 1:
        # napari's corner has room for the first line, some 35 letters.
        notify.inform(f"Opened {what}. To browse them:\n{BROWSE}.")
