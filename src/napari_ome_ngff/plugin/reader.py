"""npe2 reader: OME-NGFF images from folders, files and URLs into napari."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from napari_ome_ngff.plugin import notify
from napari_ome_ngff.plugin.names import image_name
from napari_ome_ngff.plugin.notify import watch_failures
from napari_ome_ngff.plugin.open.add_to_viewer import (
    add_to_viewer,
    one_notification,
    read_described,
    shown_layers,
)
from napari_ome_ngff.plugin.preferences import PLUGIN, follow, recent_places, remember_place
from napari_ome_ngff.reading.sniff import is_likely_ome_ngff
from napari_ome_ngff.storage.places.location import is_url

if TYPE_CHECKING:
    from zarr.abc.store import Store

    from napari_ome_ngff.plugin.origin import LayerData
    from napari_ome_ngff.reading.opened import Collection, Image

# All that is heavy is imported in functions: napari imports this module to ask whose a folder is.

BROWSE = "Plugins > OME-NGFF > Browse OME-NGFF plate or collection"
"""Where the menu has the table of wells, fields and images."""

Path = str | os.PathLike[str]


def get_reader(
    path: Path | Sequence[Path] | None = None,
) -> Callable[[Path | Sequence[Path]], list[LayerData]] | None:
    """Return what reads a path or several, or None if there is no OME-NGFF.

    napari asks for every folder that is opened: this reads a few small files at most, and uses no network.
    Its palette and menus call every command of a plugin, this one too, without a path: then the user is asked
    for one, and it is opened.
    """
    if path is None:
        _open_asked()
        return None
    paths = _paths(path)
    return read_layers if paths and all(map(is_likely_ome_ngff, paths)) else None


@notify.errors_as_text()
def read_layers(path: Path | Sequence[Path]) -> list[LayerData]:
    """Open OME-NGFF images, lazily, as napari layers.

    All that is wrong with a file which can be shown comes in one notification. Why a file cannot be opened or
    shown is the first line of an ``OmeNgffError``.
    """
    layers = [layer for one in _paths(path) for layer in _read(one)]
    watch_failures()
    if "napari" in sys.modules:
        follow()
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
        if get_reader(place) is None:
            add_to_viewer(viewer, place)  # it says why not
        else:
            viewer.open(place, plugin=PLUGIN)
        remember_place(place)
        if not is_url(place):
            update_open_history(place)

    window = viewer.window._qt_window
    OpenDialog(window, folder=get_open_history()[0], recent=recent_places(), open_place=open_place).exec()


def _paths(path: Path | Sequence[Path]) -> list[str]:
    return [os.fspath(one) for one in ([path] if isinstance(path, str | os.PathLike) else path)]


def _read(path: str) -> list[LayerData]:
    with one_notification():
        opened, layers = open_layers(path, image_name(path))
    _hint(opened)
    return layers


def open_layers(location: str | Store, name: str) -> tuple[Image | Collection, list[LayerData]]:
    """Open what is at a location, and return it with its layers; `name` is for an image that has none."""
    from napari_ome_ngff.reading.open import open_metadata

    opened = read_described(open_metadata(location))
    return opened, shown_layers(opened, name)


def _hint(opened: Image | Collection) -> None:
    """Say how to find one's way in what consists of many parts."""
    plate = getattr(opened, "plate", None)
    count = len(getattr(opened, "images", ()))
    what = f"a plate of {len(plate.wells)} wells" if plate is not None else f"{count} images"
    if plate is not None or count > 1:
        notify.inform(f"Opened {what}. {BROWSE} lists them.")
