"""npe2 reader: OME-NGFF images from folders, files and URLs into napari."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.errors import OmeNgffWarning
from napari_ome_ngff.plugin import notify
from napari_ome_ngff.plugin.names import image_name
from napari_ome_ngff.plugin.notify import watch_failures
from napari_ome_ngff.plugin.preferences import follow
from napari_ome_ngff.reading.sniff import looks_like_ome_ngff

if TYPE_CHECKING:
    from napari_ome_ngff.plugin.origin import LayerData
    from napari_ome_ngff.reading.opened import Collection, Image

BROWSE = "Plugins > OME-NGFF > Browse OME-NGFF plate or collection"
"""Where the menu has the table of wells, fields and images."""


Path = str | os.PathLike[str]


def get_reader(path: Path | Sequence[Path]) -> Callable[[Path | Sequence[Path]], list[LayerData]] | None:
    """Return what reads a path, or None if there is no OME-NGFF.

    napari asks for every folder that is opened: this looks at a few small files at most, and at no network.

    Parameters
    ----------
    path
        A folder, a URL, a ``.ozx`` or ``.zarr.zip`` file or a metadata file; or several of them.

    Examples
    --------
    >>> get_reader("/tmp") is None
    True
    >>> get_reader("https://example.org/image.zarr") is read_layers
    True
    """
    paths = _paths(path)
    return read_layers if paths and all(map(looks_like_ome_ngff, paths)) else None


def read_layers(path: Path | Sequence[Path]) -> list[LayerData]:
    """Open OME-NGFF images, lazily, as napari layers.

    What is wrong with a file, and does not keep it from being shown, is told in one notification.

    Parameters
    ----------
    path
        As for :func:`get_reader`.

    Returns
    -------
    list of tuple
        Data, arguments and type of each layer.

    Raises
    ------
    OmeNgffError
        If it cannot be opened or shown: the first line says why.
    """
    # Imported here, as all that is heavy: napari imports this module when it asks whose a folder is.
    from napari_ome_ngff.plugin.open.viewer_hooks import attach

    layers = [layer for one in _paths(path) for layer in _read(one)]
    attach(layers)
    watch_failures()
    if "napari" in sys.modules:
        follow()
    return layers


def _paths(path: Path | Sequence[Path]) -> list[str]:
    return [os.fspath(one) for one in ([path] if isinstance(path, str | os.PathLike) else path)]


def _read(path: str) -> list[LayerData]:
    from napari_ome_ngff.plugin.open.contrast import estimate_limits
    from napari_ome_ngff.plugin.open.to_layers import to_layers
    from napari_ome_ngff.reading.open import open_ome_ngff
    from napari_ome_ngff.storage.pixels.array_wrap import DaskArrayWrapper

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", OmeNgffWarning)
        # napari leaves the previous plane on the screen where a chunk cannot be read: it is filled instead.
        opened = open_ome_ngff(path, array_wrapper=DaskArrayWrapper(missing="fill"))
        layers = to_layers(opened, image_name(path), limits=estimate_limits(opened))
    _report(caught)
    _hint(opened)
    return layers


def _hint(opened: Image | Collection) -> None:
    """Say how to find one's way in what consists of many parts."""
    plate = getattr(opened, "plate", None)
    count = len(getattr(opened, "images", ()))
    what = f"a plate of {len(plate.wells)} wells" if plate is not None else f"{count} images"
    if plate is not None or count > 1:
        notify.inform(f"Opened {what}. {BROWSE} lists them.")


def _report(caught: Sequence[Any]) -> None:
    """Pass on warnings: ours together as one notification, those of others as they came."""
    for other in caught:
        if not issubclass(other.category, OmeNgffWarning):
            warnings.warn_explicit(other.message, other.category, other.filename, other.lineno)
    messages = list(dict.fromkeys(str(w.message) for w in caught if issubclass(w.category, OmeNgffWarning)))
    if messages:
        notify.warn("\n".join(messages))
