"""An empty label image on the grid of an image that is there."""

from __future__ import annotations

from types import NoneType
from typing import TYPE_CHECKING

import numpy as np

from napari_ome_ngff.arguments import check_text, check_type, shown
from napari_ome_ngff.errors import OptionError, UnsupportedError
from napari_ome_ngff.reading.open import open_ome_ngff
from napari_ome_ngff.reading.opened import Image
from napari_ome_ngff.writing.labels import new_labels
from napari_ome_ngff.writing.plan.options import StorageOptions
from napari_ome_ngff.writing.plan.write_plan import MultiscaleSource

if TYPE_CHECKING:
    from napari_ome_ngff.arguments import Place


def create_labels(
    location: Place,
    name: str,
    *,
    dtype: str = "uint32",
    options: StorageOptions | None = None,
) -> None:
    """Create an empty label image on an image: on its grid, with its levels, and without any pixel stored.

    Paint on it with :func:`edit_labels`. It takes as little time and space for an image of any size.

    Parameters
    ----------
    location
        Folder, address or store of the image.
    name
        Of the label image.
    dtype
        Type of the labels, a whole number: ``"uint8"``, ``"uint16"``, ``"uint32"``, ...
    options
        How it is stored; the version is that of the image.

    Raises
    ------
    OptionError
        If `dtype` holds no whole numbers.
    TargetError
        If the image has a label image of that name already, or the place cannot be written to.
    NotOmeNgffError, MetadataError, UnsupportedError, StorageError
        As for :func:`open_ome_ngff` and :func:`write_labels`.

    Examples
    --------
    >>> import numpy, xarray, zarr
    >>> from napari_ome_ngff import write_multiscale_group
    >>> store = zarr.storage.MemoryStore()
    >>> image = xarray.DataArray(numpy.zeros((64, 64), "uint8"), dims=("y", "x"))
    >>> _ = write_multiscale_group(store=store, image=image).run()
    >>> create_labels(store, "nuclei")
    >>> open_ome_ngff(store).labels["nuclei"].arrays["0"].shape
    (64, 64)
    """
    from xarray import DataArray

    check_text(name, "The name of the label image")
    check_type(options, (StorageOptions, NoneType), "The options", "StorageOptions")
    check_type(dtype, (str, type, np.dtype), "The type of labels", '"uint32", for example')
    try:
        kind = np.dtype(dtype)
    except (TypeError, ValueError) as error:
        raise OptionError("There is no such type of labels.", found=shown(dtype)) from error
    if kind.kind not in "iu":
        raise OptionError("Labels are whole numbers.", found=str(kind), expected='"uint32", for example')
    image = open_ome_ngff(location)
    if not isinstance(image, Image) or image.multiscale is None or not image.arrays:
        raise UnsupportedError("Label images lie on one image.", hint="Give the folder of the image itself.")
    finest = next(iter(image.arrays.values()))
    channel = image.multiscale.channel_axis
    if channel is not None:
        finest = finest.isel({finest.dims[channel]: 0}, drop=True)
    empty = np.broadcast_to(np.zeros((), kind), finest.shape)
    labels = {name: MultiscaleSource(image=DataArray(empty, dims=finest.dims, coords=finest.coords))}
    new_labels(store=location, labels=labels, options=options or StorageOptions()).run()
