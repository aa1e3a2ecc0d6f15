"""Write images and label images as OME-Zarr: one pass, bounded memory, all or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_ome_ngff.arguments import check_mapping, check_whole
from napari_ome_ngff.metadata.nouns import Channel, LabelImage
from napari_ome_ngff.writing.create import create_multiscale_group
from napari_ome_ngff.writing.pending import Writing
from napari_ome_ngff.writing.plan.options import (
    MEMORY_LIMIT,
    Chunks,
    Factors,
    Shards,
    StorageOptions,
    chosen_options,
    save_options,
)
from napari_ome_ngff.writing.plan.plan_save import plan_save
from napari_ome_ngff.writing.plan.write_plan import MultiscaleSource, WritePlan, labels_of_tree

if TYPE_CHECKING:
    from xarray import DataArray, Dataset, DataTree

    from napari_ome_ngff.arguments import Place


def write_multiscale_group(
    *,
    store: Place,
    path: str = "",
    image: DataArray | Dataset | DataTree | None = None,
    arrays: Mapping[str, DataArray] | DataTree | None = None,
    ngff_version: str = "0.5",
    method: str | None = None,
    levels: int | None = None,
    factors: Factors = None,
    chunks: Chunks = "auto",
    shards: Shards = None,
    compressor: object = "auto",
    fill_value: object = 0,
    executor: Executor | None = None,
    memory_limit: int | str = MEMORY_LIMIT,
    transform_precision: int | None = None,
    overwrite: bool = False,
    verify: bool = False,
    name: str | None = None,
    channels: tuple[Channel, ...] = (),
    label_image: LabelImage | None = None,
    labels: Mapping[str, MultiscaleSource] | None = None,
    options: StorageOptions | None = None,
) -> Writing:
    """Write an image with all its levels, and its label images: metadata and pixels.

    The source is read once, in blocks; every level is written as its blocks complete. Nothing is visible at
    the target before everything is there, and nothing is left behind after an error or when it is ended
    early (in a local folder; elsewhere the metadata come last, see
    :func:`napari_ome_ngff.writing.commit.staging.staged`).

    Parameters
    ----------
    store
        Path of a folder, or of a file that ends with ``.ozx``; an ``s3``, ``gs`` or ``az`` address; or a Zarr
        store.
    path
        Path of the group inside the store.
    image
        Level 0, with coordinates, in memory or lazy (dask, zarr); dims in the order in which it is stored.
        Also a Dataset with one variable, or the finest level of a DataTree.
    arrays
        In place of `image`: path of each level to the level, finest first; they are copied as they are. Also
        a DataTree, with a group for each level: label images in its group ``labels`` are written too, and
        what ``xarray.open_datatree(..., engine="ome-ngff")`` has put into its ``attrs``.
    ngff_version
        ``"0.4"`` (Zarr v2), ``"0.5"`` or ``"0.6"`` (Zarr v3).
    method
        ``"mean"`` (of integers exactly, rounded half to even; of floating point numbers without the NaN),
        ``"nearest"`` or ``"mode"``. None: the mean, or for a label image the nearest voxel.
    levels
        Number of levels, level 0 included; None: until no axis of space that gets smaller
        has more than 512 voxels.
    factors
        Factor of each dim from level to level, ``{"z": 1, "y": 2, "x": 2}``, one number for all axes of
        space, or a list of the former. None:
        towards isotropic voxels. Time and channel axes are never made smaller.
    chunks
        ``"auto"`` (1 to 4 MiB), one size for all axes of space, sizes for the last axes, or one such tuple
        per level. If `chunks`, `shards`, `compressor` and `fill_value` are left as they are, levels that were
        opened and not changed are copied byte for byte.
    shards
        None, ``"auto"`` (about 32 MiB), or multiples of the chunks. Not for 0.4; never none in an ``.ozx``.
    compressor
        ``"auto"``: blosc-zstd, small and fast, with shuffled bytes for images and without for label images.
        Or a numcodecs codec, or None. Blosc with zstd whose block is left open (0) gets blocks of 512 KiB.
    fill_value
        What chunks hold that are not stored, because every voxel is this value.
    executor
        What tasks run on: threads of this process if None. Processes need a store that they share.
    memory_limit
        Bytes that the buffers of all tasks may take together, whatever the size of the image. What reading a
        lazy source takes comes on top, and the plan says how much: what is read at once, which is within
        this limit too, and what decoding it takes.
    transform_precision
        Decimal places to round scales and translations to; None: exact.
    overwrite
        Replace an OME-Zarr image that is there. What is not ours is kept: attributes and members of others.
    verify
        Read level 0 back before it is published, and compare it with the source, which is read twice then.
    name, channels, label_image
        See :class:`MultiscaleSource`.
    labels
        Name of each label image to the label image. Along axes without coordinates it lies on the image.
    options
        In place of `ngff_version`, `chunks`, `shards`, `compressor`, `fill_value`, `transform_precision` and
        `memory_limit`.

    Returns
    -------
    Writing
        To be looped over, or run: ``write_multiscale_group(...).run(progress=True)``. The arguments are
        checked at once, and nothing is written before.

    Raises
    ------
    OptionError, CoordinateError, MetadataError
        If an argument cannot be; before anything is written.
    TargetError
        If writing there could lose something.
    StorageError
        If reading the source or writing fails.

    Examples
    --------
    >>> import numpy, xarray, zarr
    >>> image = xarray.DataArray(numpy.ones((1024, 1024), "uint8"), dims=("y", "x"))
    >>> store = zarr.storage.MemoryStore()
    >>> for progress in write_multiscale_group(store=store, image=image):
    ...     pass
    >>> progress.blocks_done == progress.blocks_total
    True
    >>> zarr.open_group(store, mode="r")["1"].shape
    (512, 512)
    """
    main = MultiscaleSource(
        image=image,  # type: ignore[arg-type]  # a tree is taken apart
        arrays=arrays,  # type: ignore[arg-type]
        method=method,
        levels=levels,
        factors=factors,
        name=name,
        channels=channels,
        label_image=label_image,
    )
    check_mapping({} if labels is None else labels, "The label images", "label images by their names")
    every = {**labels_of_tree(arrays if image is None else image), **(labels or {})}
    named = {f"labels/{key}": source for key, source in every.items()}
    return write_hierarchy(
        store=store,
        path=path,
        sources={"": main, **named},
        executor=executor,
        overwrite=overwrite,
        verify=verify,
        options=chosen_options(
            options,
            StorageOptions(
                version=ngff_version,
                chunks=chunks,
                shards=shards,
                compressor=compressor,
                fill_value=fill_value,
                transform_precision=transform_precision,
                memory_limit=memory_limit,
            ),
        ),
    )


def plan_hierarchy(
    *,
    sources: Mapping[str, MultiscaleSource] | DataTree | Dataset,
    ngff_version: str = "0.5",
    chunks: Chunks = "auto",
    shards: Shards = None,
    compressor: object = "auto",
    fill_value: object = 0,
    memory_limit: int | str = MEMORY_LIMIT,
    transform_precision: int | None = None,
    workers: int | None = None,
    store: Place = "image.ome.zarr",
    options: StorageOptions | None = None,
) -> WritePlan:
    """Plan what :func:`write_hierarchy` would write with threads. Nothing is read or written.

    Parameters
    ----------
    sources, ngff_version, chunks, shards, compressor, fill_value, memory_limit, transform_precision, options
        As for :func:`write_hierarchy`.
    workers
        Number of threads; None: one per processor, and more where blocks go to a server.
    store
        Where to: a single file has shards, for example. Whether it may be written to is not asked.

    Raises
    ------
    OptionError, CoordinateError, MetadataError
        If an argument cannot be.
    TargetError
        If such a target cannot hold this version.

    Examples
    --------
    >>> import numpy, xarray
    >>> image = xarray.DataArray(numpy.ones((1024, 1024), "uint8"), dims=("y", "x"))
    >>> plan = plan_hierarchy(sources={"": MultiscaleSource(image=image)})
    >>> [level.shape for level in plan.multiscales[0].levels]
    [(1024, 1024), (512, 512)]
    """
    chosen = chosen_options(
        options,
        StorageOptions(
            version=ngff_version,
            chunks=chunks,
            shards=shards,
            compressor=compressor,
            fill_value=fill_value,
            transform_precision=transform_precision,
            memory_limit=memory_limit,
        ),
    )
    if workers is not None:
        check_whole(workers, 1, 4096, "The number of workers")
    setup = save_options(chosen, store, None)
    setup = replace(setup, workers=workers or setup.workers)
    return plan_save(sources, setup)  # type: ignore[arg-type]


def write_hierarchy(
    *,
    store: Place,
    path: str = "",
    sources: Mapping[str, MultiscaleSource] | DataTree | Dataset,
    ngff_version: str = "0.5",
    chunks: Chunks = "auto",
    shards: Shards = None,
    compressor: object = "auto",
    fill_value: object = 0,
    executor: Executor | None = None,
    memory_limit: int | str = MEMORY_LIMIT,
    transform_precision: int | None = None,
    overwrite: bool = False,
    verify: bool = False,
    options: StorageOptions | None = None,
) -> Writing:
    """Write an image and label images, or several images, each described by a :class:`MultiscaleSource`.

    Parameters
    ----------
    sources
        Path in the hierarchy, ``""`` for the image or ``"labels/<name>"``, to what is written there. Several
        images have no ``""``: ``"0"``, ``"0/labels/<name>"``, ``"1"``, ... make a collection in the layout of
        bioformats2raw, which never replaces anything. Or a DataTree or Dataset.
    store, path, ngff_version, chunks, shards, compressor, fill_value
        As for :func:`write_multiscale_group`.
    executor, memory_limit, transform_precision, overwrite, verify, options
        As for :func:`write_multiscale_group`.

    Returns
    -------
    Writing
        As for :func:`write_multiscale_group`.

    Raises
    ------
    OptionError, CoordinateError, MetadataError, TargetError, StorageError
        As for :func:`write_multiscale_group`.

    Examples
    --------
    >>> import numpy, xarray, zarr
    >>> image = xarray.DataArray(numpy.ones((64, 64), "uint8"), dims=("y", "x"))
    >>> store = zarr.storage.MemoryStore()
    >>> sources = {"": MultiscaleSource(image=image), "labels/all": MultiscaleSource(image=image)}
    >>> _ = write_hierarchy(store=store, sources=sources).run()
    >>> zarr.open_group(store, mode="r")["labels"].attrs["ome"]["labels"]
    ['all']
    """
    chosen = chosen_options(
        options,
        StorageOptions(
            version=ngff_version,
            chunks=chunks,
            shards=shards,
            compressor=compressor,
            fill_value=fill_value,
            transform_precision=transform_precision,
            memory_limit=memory_limit,
        ),
    )
    return create_multiscale_group(
        store=store,
        path=path,
        pixels=sources,  # type: ignore[arg-type]
        options=chosen,
        executor=executor,
        overwrite=overwrite,
        verify=verify,
    )
