"""Label images onto an image that is there: the image's own bytes are not touched."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from os import PathLike
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.arguments import check_flags, check_mapping, place_of
from napari_ome_ngff.errors import OptionError, TargetError
from napari_ome_ngff.metadata.nouns import LabelImage, Multiscale
from napari_ome_ngff.metadata.transforms import level_transform
from napari_ome_ngff.metadata.versions import VERSIONS, decode
from napari_ome_ngff.storage.places.location import location_of
from napari_ome_ngff.writing.commit.checks import check_target, outermost
from napari_ome_ngff.writing.commit.staging import open_existing
from napari_ome_ngff.writing.pending import Writing, writing_of
from napari_ome_ngff.writing.plan.existing import group_in
from napari_ome_ngff.writing.plan.group_documents import group_at, join_paths
from napari_ome_ngff.writing.plan.multiscale import source_path
from napari_ome_ngff.writing.plan.options import (
    MEMORY_LIMIT,
    Chunks,
    Shards,
    StorageOptions,
    chosen_options,
    save_options,
)
from napari_ome_ngff.writing.plan.plan_save import plan_save
from napari_ome_ngff.writing.plan.write_plan import ImageShape, MultiscaleSource, WritePlan, as_source
from napari_ome_ngff.writing.save import Save, new_save

if TYPE_CHECKING:
    import zarr
    from zarr.abc.store import Store

    from napari_ome_ngff.arguments import Place


def write_labels(
    *,
    store: Place,
    path: str = "",
    labels: Mapping[str, MultiscaleSource],
    chunks: Chunks = "auto",
    shards: Shards = None,
    compressor: object = "auto",
    executor: Executor | None = None,
    memory_limit: int | str = MEMORY_LIMIT,
    transform_precision: int | None = None,
    overwrite: bool = False,
    verify: bool = False,
    options: StorageOptions | None = None,
) -> Writing:
    """Write label images onto an OME-Zarr image that is there, in the image's version.

    They become ``labels/<name>`` and are registered beside those that are there. The group ``labels`` is made
    anew beside the old one, which other label images are linked into, and takes its place in one step: the
    image itself is not opened for writing. A label image on the image's grid gets as many levels as the image
    has. Label images may be read from what they replace.

    Parameters
    ----------
    store, path
        Where the image is: on its own, or a field of a plate or an image of a collection.
    labels
        Name of each label image to the label image.
    chunks, shards, compressor, executor, memory_limit, transform_precision, verify, options
        As for :func:`napari_ome_ngff.write_multiscale_group`; the version is that of the image.
    overwrite
        Replace label images of the same names.

    Returns
    -------
    Writing
        As for :func:`napari_ome_ngff.write_multiscale_group`.

    Raises
    ------
    OptionError, CoordinateError, MetadataError
        If an argument cannot be; before anything is written.
    TargetError
        If there is no image, it is a label image itself, or it has a label image of that name and `overwrite`
        is False.
    StorageError
        If reading the source or writing fails.

    Examples
    --------
    >>> import numpy, tempfile, xarray, zarr
    >>> from napari_ome_ngff import write_multiscale_group
    >>> pixels = xarray.DataArray(numpy.ones((64, 64), "uint8"), dims=("y", "x"))
    >>> folder = tempfile.mkdtemp() + "/a.ome.zarr"
    >>> _ = write_multiscale_group(store=folder, image=pixels).run()
    >>> _ = write_labels(store=folder, labels={"cells": MultiscaleSource(image=pixels)}).run()
    >>> zarr.open_group(folder, mode="r")["labels"].attrs["ome"]["labels"]
    ['cells']
    """
    chosen = chosen_options(
        options,
        StorageOptions(
            chunks=chunks,
            shards=shards,
            compressor=compressor,
            transform_precision=transform_precision,
            memory_limit=memory_limit,
        ),
    )
    check_flags(overwrite=overwrite, verify=verify)
    save = _new_save(store, path, labels, chosen, executor, overwrite=overwrite, verify=verify)
    return writing_of(save)


def new_labels(
    *,
    store: Place,
    labels: Mapping[str, MultiscaleSource],
    options: StorageOptions,
) -> Writing:
    """Write label images as :func:`write_labels` does, but for their pixels: all of them stay 0."""
    save = _new_save(store, "", labels, options, None, overwrite=False, verify=False)
    return writing_of(replace(save, empty=True))


def _new_save(
    store: Place,
    path: str,
    labels: Mapping[str, MultiscaleSource],
    chosen: StorageOptions,
    executor: Executor | None,
    *,
    overwrite: bool,
    verify: bool,
) -> Save:
    image = _image_at(*place_of(store, path))
    plan = _plan(image, labels, chosen, executor)
    inside = join_paths(image.path, "labels")
    check_target(image.store, inside, overwrite=True)
    old = group_in(image.group, "labels")
    taken = [name for name in labels if old is not None and name in old]
    if taken and not overwrite:
        raise TargetError(
            f"The image has a label image {taken[0]!r} already.",
            where=image.location,
            hint="Choose another name, or overwrite=True to replace it.",
        )
    return new_save(
        store=image.store,
        path=inside,
        plan=plan,
        old=old,
        executor=executor,
        overwrite=True,
        verify=verify,
    )


def plan_labels(
    *,
    store: Place,
    labels: Mapping[str, MultiscaleSource],
    options: StorageOptions | None = None,
) -> WritePlan:
    """Plan what :func:`write_labels` would write with threads. Only the image's metadata are read.

    Label images of the same names are no error here.
    """
    return _plan(_image_at(*place_of(store)), labels, options or StorageOptions(), None)


@dataclass(frozen=True, kw_only=True)
class _Target:
    """The image that label images are written onto, seen from the outermost group of its hierarchy."""

    store: Store | str | PathLike[str]
    path: str
    group: zarr.Group
    multiscale: Multiscale

    @property
    def location(self) -> str:
        return location_of(self.group)

    @property
    def shape(self) -> ImageShape | None:
        """None if a level is missing: then label images get levels of their own."""
        import zarr

        arrays = [self.group.get(level.path) for level in self.multiscale.levels]
        shapes = tuple(array.shape for array in arrays if isinstance(array, zarr.Array))
        complete = len(shapes) == len(arrays)
        finest = level_transform(self.multiscale, 0)
        return ImageShape(axes=self.multiscale.axes, shapes=shapes, finest=finest) if complete else None


def _image_at(store: Any, path: str) -> _Target:
    group = open_existing(store, path)
    if group is None:
        raise TargetError(
            "There is no image to write label images onto.",
            where=str(store),
            found="no Zarr group",
            hint="Choose the folder of an OME-Zarr image.",
        )
    where = location_of(group)
    multiscale = decode(group.attrs.asdict(), where=where)[0]
    if multiscale.label_image is not None:
        raise TargetError(
            "This is a label image itself.", where=where, hint="Choose the image that it lies on."
        )
    if multiscale.version not in VERSIONS:
        raise TargetError(
            f"The image is in OME-Zarr {multiscale.version}, in which no label images are written.",
            where=where,
            expected="an image in " + ", ".join(VERSIONS),
            hint="Save the image in one of these versions first.",
        )
    root, inner = outermost(store, path)
    return _Target(store=root, path=inner, group=group, multiscale=multiscale)


def _plan(
    image: _Target, labels: Mapping[str, MultiscaleSource], chosen: StorageOptions, executor: Executor | None
) -> WritePlan:
    """Plan label images in the image's version, with paths relative to its group ``labels``."""
    check_mapping(labels, "The label images", 'label images by their names: {"cells": ...}')
    labels = {name: as_source(source, "A label image") for name, source in labels.items()}
    if not labels:
        raise OptionError("There is no label image to write.", hint="Give at least one.")
    options = save_options(replace(chosen, version=image.multiscale.version), image.store, executor)
    sources = {
        f"labels/{name}": replace(
            source,
            label_image=_with_source(name, source),
            # Attributes of the group that a label image came from do not replace those of this one.
            groups={inner: attributes for inner, attributes in source.groups.items() if inner != ".."},
        )
        for name, source in labels.items()
    }
    plan = plan_save(sources, options, onto=image.shape)
    rooted = tuple(
        replace(one, plan=replace(one.plan, path=name))
        for name, one in zip(labels, plan.prepared, strict=True)
    )
    model = group_at(plan.model, "labels")
    multiscales = tuple(one.plan for one in rooted)
    arrays = {path.removeprefix("labels/"): array for path, array in plan.arrays.items()}
    return replace(plan, multiscales=multiscales, model=model, prepared=rooted, arrays=arrays)


def _with_source(name: str, source: MultiscaleSource) -> LabelImage:
    base = source.multiscale.label_image if source.multiscale else None
    label_image = source.label_image or base or LabelImage()
    return replace(label_image, source=source_path(name))
