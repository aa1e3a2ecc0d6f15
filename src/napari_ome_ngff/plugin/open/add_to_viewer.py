"""Images in a viewer, from a script: what opening in napari does, by a call."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from types import NoneType
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.errors import OptionError, collected_warnings
from napari_ome_ngff.plugin import notify
from napari_ome_ngff.plugin.names import image_name
from napari_ome_ngff.plugin.origin import METADATA_KEY, named_apart
from napari_ome_ngff.plugin.preferences import follow_later

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Layer
    from xarray import DataArray

    from napari_ome_ngff.arguments import Place
    from napari_ome_ngff.plugin.origin import LayerData
    from napari_ome_ngff.reading.opened import Collection, Image, MultiscaleGroup


def add_to_viewer(
    viewer: Viewer,
    location: Place | Image | Collection,
    *,
    name: str | None = None,
    coordinate_system: str | None = None,
) -> list[Layer]:
    """Add an image with its label images to a viewer, as if its folder had been dropped on the window.

    The layers are lazy, have channels, colours, contrast, units and place of the file, and can be saved,
    painted and corrected like all that was opened with the plugin. napari must be installed.

    Parameters
    ----------
    viewer
        A ``napari.Viewer``, or a ``ViewerModel`` without a window.
    location
        Whatever :func:`open_ome_ngff` takes: a folder, a URL, a Zarr store or group; or what it returned.
        Levels of an opened image that were replaced by others, in ``image.arrays``, are shown as they are.
    name
        What the layers are called where the file has no name; None: after the folder.
    coordinate_system
        As for :func:`open_ome_ngff`; not for what is open already.

    Returns
    -------
    list of napari.layers.Layer
        Those that were added, bottom first.

    Raises
    ------
    OptionError
        If one of these is something else.
    StorageError, NotOmeNgffError, MetadataError, UnsupportedError
        As for :func:`open_ome_ngff`.

    Examples
    --------
    >>> import numpy, zarr
    >>> from napari.components import ViewerModel
    >>> from napari_ome_ngff import save_ome_ngff
    >>> image = save_ome_ngff(zarr.storage.MemoryStore(), numpy.zeros((64, 64), "uint8"), name="cells")
    >>> [layer.name for layer in add_to_viewer(ViewerModel(), image)]
    ['cells']
    """
    from napari.layers import Layer as AnyLayer

    from napari_ome_ngff.arguments import check_text, check_type, place_of, shown  # it imports numpy
    from napari_ome_ngff.plugin.open.viewer_hooks import attach
    from napari_ome_ngff.reading.open import open_metadata
    from napari_ome_ngff.reading.opened import Collection, Image

    if not callable(getattr(type(viewer), "add_layer", None)):
        raise OptionError(f"The viewer must be a napari.Viewer, not {shown(viewer)}.")
    if name is not None:
        check_text(name, "name")
    with one_notification():
        if isinstance(location, Image | Collection):
            if coordinate_system is not None:
                raise OptionError("coordinate_system is for what is not open yet.", hint="Open it with it.")
            opened = read_described(location)
            if isinstance(location, Image) and isinstance(opened, Image):
                opened = _as_given(location, opened)
        else:
            place_of(location)
            check_type(coordinate_system, (str, NoneType), "coordinate_system", "the name of one, or None")
            opened = read_described(open_metadata(location, coordinate_system=coordinate_system))
        in_memory = opened.location.startswith("memory://")
        title = name or ("image" if in_memory else image_name(opened.location))
        layers = described_layers(opened, title)
        attach(layers, (viewer,))
        named_apart(layers, title, viewer.layers)
    notify.watch_failures()
    follow_later()
    return [viewer.add_layer(AnyLayer.create(*layer)) for layer in layers]


def _as_given(given: Image, read: Image) -> Image:
    """An image that was read again, with the levels that were replaced by others meanwhile; lazy."""
    import zarr

    from napari_ome_ngff.saving.dataarrays import lazy
    from napari_ome_ngff.storage.pixels.provenance import stored_array

    labels = {
        name: _as_given(label, read.labels[name]) if name in read.labels else label
        for name, label in given.labels.items()
    }
    sources = {} if given.group is None else given.group.sources
    unchanged = all(
        path in sources
        and not (
            isinstance(sources[path], zarr.Array) and stored_array(array.variable._data) is not sources[path]
        )
        for path, array in given.arrays.items()
    )
    arrays = read.arrays if unchanged else {path: a.copy(data=lazy(a)) for path, a in given.arrays.items()}
    return replace(read, arrays=arrays, labels=labels)


def read_described(opened: Image | Collection) -> Image | Collection:
    """What was opened, by its metadata at least, with as many levels as are shown, as napari needs them."""
    from napari_ome_ngff.plugin.open.to_layers import most_layers
    from napari_ome_ngff.reading.opened import with_levels

    return with_levels(opened, _levels, most=most_layers(opened))


def described_layers(opened: Image | Collection, name: str) -> list[LayerData]:
    """Layers of what was opened for napari; viewers complete them (`attach`). In any thread."""
    from napari_ome_ngff.plugin.open.contrast import estimate_limits
    from napari_ome_ngff.plugin.open.to_layers import to_layers

    layers = to_layers(opened, name, limits=estimate_limits(opened))
    for _, meta, _ in layers:
        meta["metadata"][METADATA_KEY] |= store_of(opened)
    return layers


def store_of(opened: Image | Collection) -> dict[str, Any]:
    """What all layers of what was opened remember of it, as entries of an Origin."""
    title = (getattr(opened, "name", None) or "").strip("/ ") or image_name(opened.location)
    return {"store": opened.location, "title": title, "systems": opened.systems}


def _levels(group: MultiscaleGroup) -> dict[str, DataArray]:
    """Return the levels of an image, a label image or a mosaic: napari gets them as one multiscale layer."""
    from napari_ome_ngff.plugin.open.arriving import arriving
    from napari_ome_ngff.reading.open import read_multiscale_group
    from napari_ome_ngff.storage.pixels.array_wrap import DaskArrayWrapper

    # napari leaves the previous plane on the screen where a chunk cannot be read: it is filled instead.
    levels = read_multiscale_group(group, array_wrapper=DaskArrayWrapper(missing="fill"))
    for path, array in levels.items():
        if (data := arriving(array.data, _running_window)) is not array.data:
            levels[path] = array.copy(data=data)
    return levels


def _running_window() -> Any:
    if "qtpy.QtWidgets" not in sys.modules:
        return None
    from napari_ome_ngff.plugin.open.arrivals import arrivals

    return arrivals()


def prepare_first_layer() -> Callable[[], None]:
    """Import what layers import, and have pint read its units: in a thread. The window's calls the result."""
    # Half a second each, which the window would stand still for when napari adds its first layer.
    import_module("scipy.ndimage")
    pint: Any = import_module("pint")
    application = pint.get_application_registry()
    unread = application.get()
    if not isinstance(unread, pint.LazyRegistry):
        return lambda: None
    # Not `unread` itself: the window's thread could meet it when half of it is read.
    units = pint.UnitRegistry(on_redefinition="raise")  # as pint would

    def put() -> None:
        if application.get() is unread and isinstance(unread, pint.LazyRegistry):
            pint.set_application_registry(units)

    return put


@contextmanager
def one_notification() -> Iterator[None]:
    """Pass on the warnings of this package together, as one notification."""
    with collected_warnings() as messages:
        yield
    if messages:
        notify.warn("\n".join(dict.fromkeys(messages)))
