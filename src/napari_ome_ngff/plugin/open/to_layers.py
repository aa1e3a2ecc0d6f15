"""From what was opened to napari's layer tuples. Pure: nothing is read, napari and Qt are not imported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from napari_ome_ngff.plugin.colors import Limits
from napari_ome_ngff.plugin.names import unique_names
from napari_ome_ngff.plugin.open.image_layers import image_layers
from napari_ome_ngff.plugin.open.label_layers import label_layers
from napari_ome_ngff.plugin.open.placed import Part, warn
from napari_ome_ngff.plugin.origin import METADATA_KEY, LayerData
from napari_ome_ngff.reading.opened import Collection, Image

if TYPE_CHECKING:
    from napari_ome_ngff.metadata.nouns import Multiscale

ImageLimits = Sequence[Limits | None]
"""Contrast limits of the channels of an image; None or missing where the file has them, or nobody knows."""


MANY_LAYERS = 100
"""Layers after which further images of a collection are not shown: napari needs about 0.1 s to add each."""


def to_layers(
    opened: Image | Collection,
    name: str = "image",
    *,
    limits: ImageLimits | Mapping[str, ImageLimits] = (),
) -> list[LayerData]:
    """Translate what was opened into layers: one for each channel, one for each label image.

    Parameters
    ----------
    opened
        What :func:`napari_ome_ngff.open_ome_ngff` returned.
    name
        Of an image for which the file has no name.
    limits
        Contrast limits of the channels for which the file has none; None or missing: the data type's range.
        For a collection a mapping from the names of its images.

    Returns
    -------
    list of tuple
        ``(data, arguments of add_image or add_labels, "image" or "labels")``, bottom layer first. Of several
        images each layer's name starts with that of its image. All images of a scene are visible. Of
        images that lie on top of each other, such as the acquisitions of a plate or the images of a series,
        the first is visible.

    Raises
    ------
    UnsupportedError
        If napari cannot show data of this type or with fewer than two dimensions.

    Warns
    -----
    OmeNgffWarning
        If something is not shown as it is in the file.

    Examples
    --------
    >>> import numpy as np, xarray, zarr
    >>> from napari_ome_ngff import create_multiscale_group, open_ome_ngff
    >>> cells = xarray.DataArray(np.zeros((2, 8, 8), "uint8"), dims=("c", "y", "x"), name="cells")
    >>> store = zarr.storage.MemoryStore()
    >>> group = create_multiscale_group(store=store, path="", arrays={"s0": cells}, ngff_version="0.5")
    >>> image = open_ome_ngff(group, array_wrapper={"name": "dask_array", "config": {}})
    >>> [(kind, meta["name"], meta["colormap"]) for _, meta, kind in to_layers(image, "cells")]
    [('image', 'cells channel 0', 'magenta'), ('image', 'cells channel 1', 'green')]
    """
    if isinstance(opened, Image):
        own = () if isinstance(limits, Mapping) else limits
        title = _given_name(opened.multiscale) or name
        return list(_layers(opened, title, Part(key=opened.location), own))
    known = limits if isinstance(limits, Mapping) else {}
    return _collection_layers(opened, name, known)


def _collection_layers(
    collection: Collection, name: str, limits: Mapping[str, ImageLimits]
) -> list[LayerData]:
    layers: list[LayerData] = []
    several = len(collection.images) > 1
    places = [image.location for image in collection.images.values()]
    titles = unique_names(key.strip("/ ") or "image" for key in collection.images)
    for index, ((key, image), title) in enumerate(zip(collection.images.items(), titles, strict=True)):
        if collection.kind == "collection" and len(layers) >= MANY_LAYERS:
            warn(
                f"{index} of {len(collection.images)} images are shown; open the others one by one.",
                collection.location,
            )
            break
        shared = places.count(image.location) > 1
        part = Part(key=f"{image.location}#{key}" if shared else image.location, kind=collection.kind)
        if not several:
            own = key.strip("/ ") if collection.kind == "collection" and not key.isdigit() else ""
            title = (collection.name or "").strip("/ ") or own or _given_name(image.multiscale) or name
        for layer in _layers(image, title, part, limits.get(key, ())):
            if several:
                _prefix(layer, title)
            if index and collection.kind != "scene":
                layer[1]["visible"] = False
                layer[1]["metadata"][METADATA_KEY]["look"]["visible"] = False
            layers.append(layer)
    return layers


def _layers(image: Image, title: str, part: Part, limits: ImageLimits) -> Iterator[LayerData]:
    """Yield the layers of an image, those of its label images on top."""
    over = None
    if image.multiscale is not None and _is_label(image):
        yield from label_layers(image, title, part)
    elif image.multiscale is not None:
        layers, over = image_layers(image, title, part, limits)
        yield from layers
    for label, label_image in image.labels.items():
        own = Part(key=part.key, kind=part.kind, label=label)
        yield from label_layers(label_image, label, own, over=over)


def _is_label(image: Image) -> bool:
    """Tell whether an image that was opened by itself holds labels, although its file may not say it.

    0.4 and later, "labels": the group of label images is called ``labels``, and within it all are.
    """
    multiscale = cast("Multiscale", image.multiscale)
    if multiscale.label_image is not None:
        return True
    *above, _ = image.location.replace("\\", "/").rstrip("/").split("/")
    stores = [i for i, name in enumerate(above) if name.lower().endswith((".zarr", ".ozx", ".zip"))]
    inside = bool(stores) and "labels" in above[stores[0] :]
    return inside and all(array.dtype.kind in "biu" for array in image.arrays.values())


def _given_name(multiscale: Multiscale | None) -> str:
    return "" if multiscale is None else (multiscale.name or "").strip("/ ")


def _prefix(layer: LayerData, title: str) -> None:
    """Put the name of its image before that of a layer."""
    meta = layer[1]
    name = meta["name"]
    if name != title and not name.startswith(f"{title} "):
        meta["name"] = f"{title} {name}"
        meta["metadata"][METADATA_KEY]["prefix"] = f"{title} "
