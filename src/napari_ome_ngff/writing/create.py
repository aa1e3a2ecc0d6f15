"""From DataArrays to the metadata and the empty arrays of a multiscale group.

`model_` functions do no IO; `create_multiscale_group` writes metadata and empty arrays, never pixels:
:func:`napari_ome_ngff.write_multiscale_group` writes both.
"""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING

from napari_ome_ngff.errors import TargetError
from napari_ome_ngff.metadata.group_kind import merge_attributes
from napari_ome_ngff.storage.pixels.provenance import lazy_locations
from napari_ome_ngff.storage.places.location import is_within, location_of
from napari_ome_ngff.writing.commit.staging import open_existing, staged
from napari_ome_ngff.writing.plan.existing import check_alone, check_keepable, check_members, level_paths
from napari_ome_ngff.writing.plan.model import group_spec, model_multiscale_group
from napari_ome_ngff.writing.plan.options import Chunks, NgffVersion
from napari_ome_ngff.writing.target import is_archive

if TYPE_CHECKING:
    import zarr
    from xarray import DataArray
    from zarr.abc.store import Store


def create_multiscale_group(
    *,
    store: Store | str | PathLike[str],
    path: str = "",
    arrays: Mapping[str, DataArray],
    transform_precision: int | None = None,
    ngff_version: NgffVersion = "0.4",
    chunks: Chunks = "auto",
    compressor: object = "auto",
    fill_value: object = 0,
    overwrite: bool = False,
) -> zarr.Group:
    """Create the group and its empty arrays, ready to be filled. No pixels are written.

    Parameters
    ----------
    store
        A Zarr store, the path of a folder, or an ``s3``, ``gs`` or ``az`` address.
    path
        Path of the group inside the store.
    arrays, transform_precision, ngff_version, chunks, compressor, fill_value
        As for :func:`model_multiscale_group`.
    overwrite
        Replace an OME-NGFF group that is there already. Attributes and members that are not its levels
        (labels, tables, attributes of others) are kept. Refused while `arrays` lazily read from that group.

    Returns
    -------
    zarr.Group
        Open for reading and writing.

    Raises
    ------
    TargetError
        If something is there and `overwrite` is False, or if writing there could lose data.
    CoordinateError, MetadataError, OptionError
        As for :func:`model_multiscale_group`, before anything is written.
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
    import zarr

    spec = model_multiscale_group(
        arrays=arrays,
        transform_precision=transform_precision,
        ngff_version=ngff_version,
        chunks=chunks,
        compressor=compressor,
        fill_value=fill_value,
    )
    if is_archive(store):
        raise TargetError(
            "An .ozx file cannot be filled afterwards.",
            where=str(store),
            hint="Write it with its pixels (write_multiscale_group), or create a folder.",
        )
    attributes = dict(spec.attributes)
    replaced: tuple[str, ...] = ()
    old = open_existing(store, path) if overwrite else None
    if old is not None:
        _refuse_own_source(arrays, old)
        replaced = level_paths(old)
        check_keepable(old, replaced, spec.zarr_format)
        check_alone(old)
        check_members(old, replaced, list(arrays))
        attributes = merge_attributes(old.attrs.asdict(), attributes)
    with staged(store, path, overwrite=overwrite, obsolete=replaced) as part:
        whole = group_spec(spec.members or {}, {}, zarr_format=spec.zarr_format)
        whole.to_zarr(part.store, part.path).attrs.put(attributes)  # last: without them it is no image yet
    return zarr.open_group(part.final_store, path=part.final_path, mode="r+")


def _refuse_own_source(arrays: Mapping[str, DataArray], target: zarr.Group) -> None:
    """Refuse to empty a group that the arrays are still to be read from."""
    place = location_of(target)
    inside = sorted(s for s in lazy_locations(list(arrays.values())) if is_within(s, place))
    if inside:
        raise TargetError(
            "The arrays are read from the group that would be replaced.",
            where=place,
            found=f"lazy data from {', '.join(inside)}",
            hint="Write to another place, or use write_multiscale_group, which copies before it replaces.",
        )
