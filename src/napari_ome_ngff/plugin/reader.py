"""npe2 reader: OME-NGFF images from folders, files and URLs into napari."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from napari_ome_ngff.errors import OmeNgffWarning
from napari_ome_ngff.plugin import notify
from napari_ome_ngff.plugin.origin import LayerData
from napari_ome_ngff.storage.location import group_location, is_url, looks_like_ome_ngff

Path = str | os.PathLike[str]
_SUFFIXES = (".ome.zarr", ".zarr", ".ozx", ".zarr.zip", ".zip")


def get_reader(path: Path | Sequence[Path]) -> Callable[[Path | Sequence[Path]], list[LayerData]] | None:
    """Return what reads a path, or None if there is no OME-NGFF.

    napari asks for every folder that is opened: this looks at two small files at most, and at no network.

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
    return read_layers if paths and all(map(_is_ours, paths)) else None


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
    return [layer for one in _paths(path) for layer in _read(one)]


def image_name(path: str) -> str:
    """Return what to call an image that has no name: the last part of its path.

    Examples
    --------
    >>> image_name("https://example.org/my%20cells.ome.zarr/zarr.json?version=1")
    'my cells'
    >>> image_name("/data/cells.zarr/labels/nuclei/")
    'nuclei'
    """
    if is_url(path):
        path = unquote(urlsplit(path).path)
    name = os.path.basename(group_location(path).rstrip("/" + os.sep))
    for suffix in _SUFFIXES:
        if name.lower().endswith(suffix):
            name = name[: -len(suffix)]
    return name or "image"


def _is_ours(path: str) -> bool:
    if looks_like_ome_ngff(path):
        return True
    # Label images without an image: the group that holds their group has nothing to say.
    labels = os.path.join(group_location(path), "labels")
    return not is_url(path) and os.path.isdir(labels) and looks_like_ome_ngff(labels)


def _paths(path: Path | Sequence[Path]) -> list[str]:
    return [os.fspath(one) for one in ([path] if isinstance(path, str | os.PathLike) else path)]


def _read(path: str) -> list[LayerData]:
    # Imported here: napari imports this module when it asks whose a folder is.
    from napari_ome_ngff.plugin.contrast import estimate_limits
    from napari_ome_ngff.plugin.to_layers import to_layers
    from napari_ome_ngff.read import open_ome_ngff
    from napari_ome_ngff.storage.array_wrap import DaskArrayWrapper

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", OmeNgffWarning)
        image = open_ome_ngff(path, array_wrapper=DaskArrayWrapper())
        layers = to_layers(image, image_name(path), limits=estimate_limits(image))
    _report(caught)
    return layers


def _report(caught: Sequence[Any]) -> None:
    """Pass on warnings: ours together as one notification, those of others as they came."""
    for other in caught:
        if not issubclass(other.category, OmeNgffWarning):
            warnings.warn_explicit(other.message, other.category, other.filename, other.lineno)
    messages = list(dict.fromkeys(str(w.message) for w in caught if issubclass(w.category, OmeNgffWarning)))
    if messages:
        notify.warn("\n".join(messages))
