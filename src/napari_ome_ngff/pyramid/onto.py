"""Label images onto an image that is there: the image's own bytes are not touched."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from concurrent.futures import Executor
from dataclasses import replace
from os import PathLike
from typing import TYPE_CHECKING

from napari_ome_ngff.errors import OptionError, TargetError
from napari_ome_ngff.metadata.model import LabelImage
from napari_ome_ngff.metadata.versions import VERSIONS, decode, decode_labels
from napari_ome_ngff.pyramid.contents import array_specs, join_paths, label_documents, replaced_labels
from napari_ome_ngff.pyramid.describe import source_path
from napari_ome_ngff.pyramid.levels import Chunks, Shards
from napari_ome_ngff.pyramid.model import MultiscaleSource
from napari_ome_ngff.pyramid.prepare import prepare
from napari_ome_ngff.pyramid.save import Progress, Save, run_save
from napari_ome_ngff.pyramid.write import MEMORY_LIMIT, options_for, plan_of
from napari_ome_ngff.storage.location import location_of
from napari_ome_ngff.storage.replace import open_existing

if TYPE_CHECKING:
    import zarr
    from zarr.abc.store import Store


def write_labels(
    *,
    store: Store | str | PathLike[str],
    path: str = "",
    labels: Mapping[str, MultiscaleSource],
    chunks: Chunks = "auto",
    shards: Shards = None,
    compressor: object = "auto",
    executor: Executor | None = None,
    memory_limit: int = MEMORY_LIMIT,
    transform_precision: int | None = None,
    overwrite: bool = False,
    verify: bool = False,
) -> Generator[Progress, None, None]:
    """Write label images onto an OME-NGFF image that is there, in the image's version.

    They become ``labels/<name>`` and are registered beside those that are there. The group ``labels`` is made
    anew beside the old one, which other label images are linked into, and takes its place in one step: the
    image itself is not opened for writing.

    Parameters
    ----------
    store, path
        Where the image is.
    labels
        Name of each label image to the label image.
    chunks, shards, compressor, executor, memory_limit, transform_precision, verify
        As for :func:`napari_ome_ngff.write_multiscale_group`.
    overwrite
        Replace label images of the same names.

    Returns
    -------
    generator of Progress
        The arguments are checked at once; writing begins with the first ``next``.

    Raises
    ------
    OptionError, CoordinateError, MetadataError
        If an argument cannot be; before anything is written.
    TargetError
        If there is no image, or a label image of that name and `overwrite` is False.
    StorageError
        If reading the source or writing fails.

    Examples
    --------
    >>> import numpy, tempfile, xarray, zarr
    >>> from napari_ome_ngff import write_multiscale_group
    >>> pixels = xarray.DataArray(numpy.ones((64, 64), "uint8"), dims=("y", "x"))
    >>> folder = tempfile.mkdtemp() + "/a.ome.zarr"
    >>> for _ in write_multiscale_group(store=folder, image=pixels):
    ...     pass
    >>> for _ in write_labels(store=folder, labels={"cells": MultiscaleSource(image=pixels)}):
    ...     pass
    >>> zarr.open_group(folder, mode="r")["labels"].attrs["ome"]["labels"]
    ['cells']
    """
    image = _image_at(store, path)
    version = decode(image.attrs.asdict(), where=location_of(image))[0].version
    if version not in VERSIONS:
        raise TargetError(
            f"Label images cannot be written in OME-NGFF {version}, the version of this image.",
            where=location_of(image),
            expected="an image in " + ", ".join(VERSIONS),
            hint="Save the image in one of these versions first.",
        )
    if not labels:
        raise OptionError("There is no label image to write.", hint="Give at least one.")
    options = options_for(
        store, version, chunks=chunks, shards=shards, executor=executor, memory_limit=memory_limit
    )
    sources = {
        name: replace(source, label_image=_with_source(name, source)) for name, source in labels.items()
    }
    prepared = prepare(sources, options, transform_precision=transform_precision)
    old = _labels_of(image)
    taken = [name for name in sources if old is not None and name in old]
    if taken and not overwrite:
        raise TargetError(
            f"The image has a label image {taken[0]!r} already.",
            where=location_of(image),
            hint="Choose another name, or overwrite=True to replace it.",
        )
    known = decode_labels(old.attrs.asdict()) if old is not None else ()
    return run_save(
        Save(
            store=store,
            path=join_paths(path, "labels"),
            options=options,
            plan=plan_of(prepared, options),
            prepared=prepared,
            specs=array_specs(prepared, options, compressor, 0),
            documents=label_documents(prepared, version, old, known),
            executor=executor,
            overwrite=True,
            obsolete=replaced_labels(prepared, old, version),
            verify=verify,
        )
    )


def _image_at(store: Store | str | PathLike[str], path: str) -> zarr.Group:
    found = open_existing(store, path)
    if found is None:
        raise TargetError(
            "There is no image to write label images onto.",
            where=str(store),
            found="no Zarr group",
            hint="Choose the folder of an OME-NGFF image.",
        )
    return found


def _labels_of(image: zarr.Group) -> zarr.Group | None:
    import zarr

    found = image.get("labels")
    return found if isinstance(found, zarr.Group) else None


def _with_source(name: str, source: MultiscaleSource) -> LabelImage:
    base = source.multiscale.label_image if source.multiscale else None
    label_image = source.label_image or base or LabelImage()
    return replace(label_image, source=source_path(name))
