"""From DataArrays to the model of a multiscale group. No IO, and no pixel is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.channels import channels_of
from napari_ome_ngff.coordinates import from_coordinates
from napari_ome_ngff.errors import MetadataError
from napari_ome_ngff.metadata.nouns import Level, Multiscale
from napari_ome_ngff.metadata.versions import check_version, encode
from napari_ome_ngff.writing.plan.array_spec import array_spec
from napari_ome_ngff.writing.plan.levels import choose_chunks
from napari_ome_ngff.writing.plan.options import Chunks, NgffVersion, StorageOptions

if TYPE_CHECKING:
    from pydantic_zarr.v2 import GroupSpec as GroupSpecV2
    from pydantic_zarr.v3 import GroupSpec as GroupSpecV3
    from xarray import DataArray


def model_multiscale(
    arrays: Mapping[str, DataArray],
    *,
    transform_precision: int | None = None,
    version: str = "0.5",
    name: str | None = None,
    method: str | None = None,
) -> Multiscale:
    """Say in OME-NGFF what these levels are. No IO, and no pixel is looked at.

    Parameters
    ----------
    arrays
        Path of each level in the group to its array, finest first.
    transform_precision
        Decimal places to round scales and translations to; None: as exact as the coordinates are.
    version
        OME-NGFF version.
    name
        Name of the image; by default the first array's, or ``"image"``.
    method
        How the levels were made, if known (``"mean"``, ``"nearest"``, ``"mode"``).

    Raises
    ------
    CoordinateError
        If dims, coordinates or units cannot be said in OME-NGFF; see
        :func:`napari_ome_ngff.coordinates.from_coordinates`.
    MetadataError
        If levels differ in dtype or grow from one to the next.

    Examples
    --------
    >>> import numpy as np, xarray
    >>> image = xarray.DataArray(np.zeros((4, 4)), dims=("y", "x"), name="cells")
    >>> model_multiscale({"s0": image}).name
    'cells'
    """
    check_version(version)
    axes, transforms = from_coordinates(arrays, transform_precision=transform_precision)
    _check_levels(arrays)
    finest = next(iter(arrays.values()))
    return Multiscale(
        version=version,
        axes=axes,
        levels=tuple(
            Level(path=path, transform=transform) for path, transform in zip(arrays, transforms, strict=True)
        ),
        name=name or (str(finest.name) if finest.name else "image"),
        method=method,
        channels=channels_of(finest, axes),
    )


def _check_levels(arrays: Mapping[str, DataArray]) -> None:
    items = list(arrays.items())
    for (key, array), (next_key, next_array) in pairwise(items):
        # 0.6, "multiscales": all levels have the same data type; every version: finest first.
        if array.dtype != next_array.dtype:
            raise MetadataError(
                f"Levels {key!r} and {next_key!r} have different data types.",
                found=f"{array.dtype} and {next_array.dtype}",
                expected="one data type at every level",
            )
        if any(b > a for a, b in zip(array.shape, next_array.shape, strict=True)):
            raise MetadataError(
                f"Level {next_key!r} is larger than {key!r}.",
                found=f"shapes {array.shape} and {next_array.shape}",
                expected="levels from the finest to the coarsest",
            )


def model_multiscale_group(
    *,
    arrays: Mapping[str, DataArray],
    transform_precision: int | None = None,
    ngff_version: NgffVersion = "0.4",
    chunks: Chunks = "auto",
    compressor: object = "auto",
    fill_value: object = 0,
) -> GroupSpecV2[Any, Any] | GroupSpecV3[Any, Any]:
    """Model the Zarr group that holds these levels as an OME-NGFF image. No IO.

    Parameters
    ----------
    arrays
        Path of each level in the group (``"s0"``, ``"scale0/image"``) to its array, finest first. Axes
        follow ``dims``; scales and translations follow the coordinates.
    transform_precision
        Decimal places to round scales and translations to; None: as exact as the coordinates are.
    ngff_version
        ``"0.4"`` (Zarr v2), ``"0.5"`` or ``"0.6"`` (Zarr v3).
    chunks
        ``"auto"`` (1 to 4 MiB, see :func:`~napari_ome_ngff.writing.plan.array_spec.auto_chunks`), one shape
        for
        all levels, or one per level.
    compressor
        ``"auto"`` (blosc-zstd, see
        :func:`~napari_ome_ngff.writing.plan.array_spec.choose_compressor`), a numcodecs
        codec or None. For 0.5 and 0.6 Zstd, Blosc and GZip are mapped to their Zarr v3 counterparts.
        Blosc with zstd whose block is left open (0) gets blocks of 512 KiB.
    fill_value
        What chunks that were never written hold.

    Returns
    -------
    GroupSpec
        Of ``pydantic_zarr.v2`` or ``pydantic_zarr.v3``; its ``to_zarr(store, path)`` creates the group.

    Raises
    ------
    CoordinateError
        If dims, coordinates or units cannot be said in OME-NGFF: the axis and the index are named.
    MetadataError
        If the result would break a rule of the version: the rule is quoted.
    OptionError
        If version, chunks, compressor or fill value cannot be.

    Examples
    --------
    >>> import numpy as np, xarray
    >>> image = xarray.DataArray(np.zeros((64, 64), "uint8"), dims=("y", "x"))
    >>> spec = model_multiscale_group(arrays={"s0": image}, ngff_version="0.5")
    >>> spec.attributes["ome"]["version"]
    '0.5'
    """
    options = StorageOptions(
        version=ngff_version,
        chunks=chunks,
        compressor=compressor,
        fill_value=fill_value,
        transform_precision=transform_precision,
    )
    multiscale = model_multiscale(
        arrays, transform_precision=options.transform_precision, version=options.version
    )
    finest = next(iter(arrays.values()))
    shapes = [array.shape for array in arrays.values()]
    level_chunks = choose_chunks(options.chunks, shapes, multiscale.axes, finest.dtype.itemsize)
    members = {
        path: array_spec(
            shape=array.shape, dtype=array.dtype, chunks=chunks, dims=multiscale.dims, options=options
        )
        for (path, array), chunks in zip(arrays.items(), level_chunks, strict=True)
    }
    return group_spec(members, encode(multiscale, options.version), zarr_format=options.zarr_format)


def group_spec(
    members: Mapping[str, Any], attributes: Mapping[str, Any], *, zarr_format: int
) -> GroupSpecV2[Any, Any] | GroupSpecV3[Any, Any]:
    """Make a pydantic-zarr group of array specs by path; slashes make the groups on the way.

    Examples
    --------
    >>> spec = group_spec({}, {"hello": 1}, zarr_format=3)
    >>> spec.attributes
    {'hello': 1}
    """
    if zarr_format == 2:
        from pydantic_zarr.v2 import GroupSpec as Group
    else:
        from pydantic_zarr.v3 import GroupSpec as Group  # type: ignore[assignment]
    below: dict[str, dict[str, Any]] = {}
    direct: dict[str, Any] = {}
    for path, member in members.items():
        head, _, rest = path.partition("/")
        if rest:
            below.setdefault(head, {})[rest] = member
        else:
            direct[head] = member
    for head, inner in below.items():
        direct[head] = group_spec(inner, {}, zarr_format=zarr_format)
    return Group(attributes=dict(attributes), members=direct)
