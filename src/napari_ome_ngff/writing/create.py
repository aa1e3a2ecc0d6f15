"""From images to a model of everything but pixels, and from a model to a group: empty, or with pixels."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from napari_ome_ngff.arguments import check_flags, check_type, place_of
from napari_ome_ngff.errors import OptionError, TargetError
from napari_ome_ngff.label_tables import GROUP
from napari_ome_ngff.metadata.collections.plate_layout import PlateLayout
from napari_ome_ngff.metadata.collections.scene_layout import SceneLayout
from napari_ome_ngff.storage.pixels.provenance import lazy_locations
from napari_ome_ngff.storage.places.leftovers import beside
from napari_ome_ngff.storage.places.location import is_within, location_of
from napari_ome_ngff.writing.commit.checks import check_target
from napari_ome_ngff.writing.commit.register_field import check_field
from napari_ome_ngff.writing.commit.staging import open_existing, staged
from napari_ome_ngff.writing.data_tree import is_tree
from napari_ome_ngff.writing.empty_group import check_fits, create_arrays, write_documents
from napari_ome_ngff.writing.pending import Writing, writing_of
from napari_ome_ngff.writing.plan.existing import as_they_were, over_existing, replaced_members
from napari_ome_ngff.writing.plan.group_documents import arrays_of, group_documents, groups_of
from napari_ome_ngff.writing.plan.options import (
    Chunks,
    NgffVersion,
    Shards,
    StorageOptions,
    chosen_options,
    save_options,
)
from napari_ome_ngff.writing.plan.plan_save import checked_sources, plan_save
from napari_ome_ngff.writing.plan.write_plan import MultiscaleSource, WritePlan, sources_of_tree
from napari_ome_ngff.writing.reader_bounds import checked_arrays
from napari_ome_ngff.writing.save import new_save
from napari_ome_ngff.writing.target import is_archive

if TYPE_CHECKING:
    import zarr
    from pydantic_zarr.v2 import GroupSpec as GroupSpecV2
    from pydantic_zarr.v3 import GroupSpec as GroupSpecV3
    from xarray import DataArray
    from zarr.abc.store import Store

    from napari_ome_ngff.arguments import Place
    from napari_ome_ngff.writing.plan.group_documents import GroupSpec


def model_multiscale_group(
    *,
    arrays: Mapping[str, DataArray] | None = None,
    transform_precision: int | None = None,
    ngff_version: NgffVersion = "0.4",
    chunks: Chunks = "auto",
    compressor: object = "auto",
    fill_value: object = 0,
    shards: Shards = None,
    sources: Mapping[str, MultiscaleSource] | WritePlan | None = None,
    options: StorageOptions | None = None,
    store: Place = "image.ome.zarr",
) -> GroupSpecV2[Any, Any] | GroupSpecV3[Any, Any]:
    """Model the Zarr group that holds these levels as an OME-Zarr image. No IO.

    Parameters
    ----------
    arrays
        Path of each level in the group (``"s0"``, ``"scale0/image"``) to its array, finest first. Axes
        follow ``dims``; scales and translations follow the coordinates.
    transform_precision
        Decimal places to round scales and translations to; None: as exact as the coordinates are.
    ngff_version
        ``"0.4"`` (Zarr v2), ``"0.5"`` or ``"0.6"`` (Zarr v3). :func:`write_multiscale_group` writes 0.5
        unless it is told otherwise.
    chunks
        ``"auto"`` (1 to 4 MiB), sizes for the last axes, or one such tuple per level.
    compressor
        ``"auto"`` (blosc-zstd), a numcodecs codec or None. For 0.5 and 0.6 Zstd, Blosc and GZip are mapped to
        their Zarr v3 counterparts. Blosc with zstd whose block is left open (0) gets blocks of 512 KiB.
    fill_value
        What chunks that were never written hold.
    shards
        None, ``"auto"`` (about 32 MiB), or multiples of the chunks. Not for 0.4.
    sources
        In place of `arrays`: the sources of :func:`write_hierarchy`, with the levels that it would make of
        them; or their plan (:func:`plan_hierarchy`), with the same options.
    options
        In place of `ngff_version` and the other options that :class:`StorageOptions` holds.
    store
        Where `sources` go: a single file has shards, for example. Whether it may be written to is not asked.

    Returns
    -------
    GroupSpec
        Of ``pydantic_zarr.v2`` or ``pydantic_zarr.v3``. :func:`create_multiscale_group` makes it in a store.
        Contrast that a channel lacks is the range of the data type; written with pixels, it is theirs.

    Raises
    ------
    CoordinateError
        If dims, coordinates or units cannot be said in OME-Zarr: the axis and the index are named.
    MetadataError
        If the result would break a rule of the version: the rule is quoted.
    OptionError
        If version, chunks, shards, compressor or fill value cannot be.

    Examples
    --------
    >>> import numpy as np, xarray
    >>> image = xarray.DataArray(np.zeros((64, 64), "uint8"), dims=("y", "x"))
    >>> spec = model_multiscale_group(arrays={"s0": image}, ngff_version="0.5")
    >>> spec.attributes["ome"]["version"]
    '0.5'
    """
    given = StorageOptions(
        version=ngff_version,
        chunks=chunks,
        shards=shards,
        compressor=compressor,
        fill_value=fill_value,
        transform_precision=transform_precision,
    )
    return _model(arrays, sources, chosen_options(options, given, version="0.4"), store)


def _model(
    arrays: Mapping[str, DataArray] | None,
    sources: Mapping[str, MultiscaleSource] | WritePlan | None,
    chosen: StorageOptions,
    store: Place = "image.ome.zarr",
) -> GroupSpec:
    if (arrays is None) == (sources is None):
        raise OptionError(
            "Give either arrays, the levels of an image, or sources, what would be written.",
            found="neither" if arrays is None else "both",
        )
    setup = save_options(chosen, store, None)
    if sources is None:
        # What is filled by others need not fit in the engine's memory, and nothing is copied as it is stored.
        is_one = not is_tree(arrays)
        sources = (
            {"": MultiscaleSource(arrays=arrays)} if is_one else sources_of_tree(arrays, make_levels=False)
        )
        setup = replace(setup, memory_limit=sys.maxsize, keep_layout=False)
    return plan_save(sources, setup, as_given=arrays is not None).model


@overload
def create_multiscale_group(
    *,
    store: Place,
    path: str = "",
    overwrite: bool = False,
    options: StorageOptions | None = None,
    model: GroupSpecV2[Any, Any] | GroupSpecV3[Any, Any] | None = None,
    pixels: Mapping[str, MultiscaleSource] | WritePlan,
    executor: Executor | None = None,
    verify: bool = False,
) -> Writing: ...


@overload
def create_multiscale_group(
    *,
    store: Place,
    path: str = "",
    arrays: Mapping[str, DataArray] | None = None,
    transform_precision: int | None = None,
    ngff_version: NgffVersion = "0.4",
    chunks: Chunks = "auto",
    compressor: object = "auto",
    fill_value: object = 0,
    overwrite: bool = False,
    shards: Shards = None,
    options: StorageOptions | None = None,
    model: GroupSpecV2[Any, Any] | GroupSpecV3[Any, Any] | None = None,
) -> zarr.Group: ...


def create_multiscale_group(
    *,
    store: Place,
    path: str = "",
    arrays: Mapping[str, DataArray] | None = None,
    transform_precision: int | None = None,
    ngff_version: NgffVersion = "0.4",
    chunks: Chunks = "auto",
    compressor: object = "auto",
    fill_value: object = 0,
    overwrite: bool = False,
    shards: Shards = None,
    options: StorageOptions | None = None,
    model: GroupSpecV2[Any, Any] | GroupSpecV3[Any, Any] | None = None,
    pixels: Mapping[str, MultiscaleSource] | WritePlan | None = None,
    executor: Executor | None = None,
    verify: bool = False,
) -> zarr.Group | Writing:
    """Create the group and its empty arrays, ready to be filled; or, with `pixels`, fill them first.

    Parameters
    ----------
    store
        A Zarr store, the path of a folder, or an ``s3``, ``gs`` or ``az`` address.
    path
        Path of the group inside the store.
    arrays, transform_precision, ngff_version, chunks, compressor, fill_value, shards, options
        As for :func:`model_multiscale_group`.
    overwrite
        Replace an OME-Zarr group that is there already. Attributes and members that are not its levels
        (labels, tables, attributes of others) are kept. Refused while `arrays` lazily read from that group.
    model
        In place of `arrays` and all options of storage: what :func:`model_multiscale_group` returned. With
        `pixels` it is what was modelled, and shown, of them with the same options.
    pixels
        In place of `arrays`: the sources of :func:`write_hierarchy`, or their plan (:func:`plan_hierarchy`),
        with the same options. Empty arrays are made out of sight and filled; then the group gets its name.
    executor, verify
        As for :func:`write_hierarchy`, with `pixels`.

    Returns
    -------
    zarr.Group
        Open for reading and writing; or, with `pixels`, a :class:`Writing` to be looped over, or run.

    Raises
    ------
    TargetError
        If something is there and `overwrite` is False, or if writing there could lose data.
    CoordinateError, MetadataError, OptionError
        As for :func:`model_multiscale_group`, before anything is written; OptionError also if `model` is not
        that of `pixels` and `options`.
    StorageError
        If the store cannot be written.

    Examples
    --------
    >>> import numpy as np, xarray, zarr
    >>> image = xarray.DataArray(np.ones((64, 64), "uint8"), dims=("y", "x"))
    >>> group = create_multiscale_group(
    ...     store=zarr.storage.MemoryStore(), arrays={"s0": image}, ngff_version="0.5"
    ... )
    >>> group["s0"][:] = image.values
    """
    place, path = place_of(store, path)
    check_flags(overwrite=overwrite, verify=verify)
    given = StorageOptions(
        version=ngff_version,
        chunks=chunks,
        shards=shards,
        compressor=compressor,
        fill_value=fill_value,
        transform_precision=transform_precision,
    )
    chosen = chosen_options(options, given, version="0.4")
    if model is not None:
        _check_model(model)
    if pixels is not None:
        if arrays is not None:
            raise OptionError("Give either arrays, to create them empty, or pixels.", found="both")
        return filled(place, path, pixels, chosen, executor, overwrite=overwrite, verify=verify, model=model)
    if verify or executor is not None:
        raise OptionError("An executor, and verify, are for pixels: there are none.")
    if model is None:
        model = _model(arrays, None, chosen)
    elif arrays is not None or chosen != StorageOptions(version="0.4"):
        raise OptionError("A model already says what the arrays are, and how they are stored.")
    return _empty(place, path, arrays or {}, model, overwrite=overwrite)


def filled(
    store: Store | str | PathLike[str],
    path: str,
    pixels: Mapping[str, MultiscaleSource] | WritePlan,
    chosen: StorageOptions,
    executor: Executor | None,
    *,
    overwrite: bool,
    verify: bool,
    model: GroupSpec | None = None,
    plate: PlateLayout | SceneLayout | None = None,
) -> Writing:
    """Create groups and arrays and fill them, as `create_multiscale_group` does; `plate` as for `prepare`."""
    setup = save_options(chosen, store, executor)
    old = None
    if overwrite:
        check_target(store, path, overwrite=True)
        old = open_existing(store, path)
    if old is not None and model is None and plate is None and not isinstance(pixels, WritePlan):
        pixels = as_they_were(checked_sources(pixels), old)
    plan = plan_save(pixels, setup, plate=plate)
    if model is not None and model != plan.model:
        raise OptionError(
            "The model is of other pixels, or of other options.",
            expected="what model_multiscale_group(sources=pixels, options=options, store=store) returns",
        )
    if not overwrite:
        check_target(store, path, overwrite=False)
    check_field(store, path, chosen.version)
    return writing_of(
        new_save(
            store=store,
            path=path,
            plan=plan,
            old=old,
            executor=executor,
            overwrite=overwrite,
            verify=verify,
        )
    )


def _empty(
    store: Store | str | PathLike[str],
    path: str,
    arrays: Mapping[str, DataArray],
    model: GroupSpec,
    *,
    overwrite: bool,
) -> zarr.Group:
    import zarr

    if is_archive(store):
        raise TargetError(
            "An .ozx file cannot be filled afterwards.",
            where=str(store),
            hint="Write it with its pixels (write_multiscale_group), or create a folder.",
        )
    _refuse_large_tables(model)
    old = open_existing(store, path) if overwrite else None
    obsolete: tuple[str, ...] = ()
    if old is not None:
        _refuse_own_source(arrays, old)
        obsolete, model = replaced_members(model, old), over_existing(model, old)
    check_fits(store, path, model, obsolete)
    documents, arrays_made = group_documents(model), checked_arrays(arrays_of(model))
    with staged(store, path, overwrite=overwrite, obsolete=obsolete, zarr_format=model.zarr_format) as part:
        create_arrays(part, arrays_made)
        write_documents(part, documents)
    return zarr.open_group(part.final_store, path=part.final_path, mode="r+")


def _check_model(model: object) -> None:
    from pydantic_zarr.v2 import GroupSpec as GroupSpecV2
    from pydantic_zarr.v3 import GroupSpec as GroupSpecV3

    check_type(model, (GroupSpecV2, GroupSpecV3), "The model", "what model_multiscale_group returns")


def _refuse_large_tables(model: GroupSpec) -> None:
    """Refuse a model of label images whose tables are arrays: it does not hold what is in them."""
    for path, attributes in groups_of(model).items():
        about = (attributes.get("ome") or attributes).get("image-label") or {}
        if GROUP in about:
            raise OptionError(
                "The label image has a table that is too large for its metadata.",
                where=path,
                found=", ".join(about[GROUP]),
                hint="Write it together with its pixels, with write_hierarchy or write_labels.",
            )


def _refuse_own_source(arrays: Mapping[str, DataArray], target: zarr.Group) -> None:
    """Refuse to empty a group that the arrays are still to be read from."""
    place = location_of(target)
    places = (place, str(beside(Path(place))))  # opened there after a save was killed
    sources = lazy_locations(arrays)
    inside = sorted(s for s in sources if any(is_within(s, one) for one in places))
    if inside:
        raise TargetError(
            "The arrays are read from the group that would be replaced.",
            where=place,
            found=f"lazy data from {', '.join(inside)}",
            hint="Write to another place, or use write_multiscale_group, which copies before it replaces.",
        )
