"""A part of an opened image with its label images: what is written of it. No pixel is read."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal

from napari_ome_ngff.arguments import check_mapping, check_type, check_whole, shown
from napari_ome_ngff.editing.crop import cut_sources, voxels_within
from napari_ome_ngff.errors import OptionError
from napari_ome_ngff.metadata.nouns import ScaleTranslation
from napari_ome_ngff.metadata.transforms import level_transform
from napari_ome_ngff.metadata.versions import VERSIONS, check_version
from napari_ome_ngff.reading.opened import Image
from napari_ome_ngff.writing.pending import Writing
from napari_ome_ngff.writing.plan.options import Factors, StorageOptions
from napari_ome_ngff.writing.plan.write_plan import MultiscaleSource
from napari_ome_ngff.writing.target import is_archive
from napari_ome_ngff.writing.write import write_hierarchy

if TYPE_CHECKING:
    from napari_ome_ngff.arguments import Place

RegionUnits = Literal["voxel", "physical"]
"""What a region counts: voxels of the level that it is cut from, or positions in the units of the axes."""


Region = Mapping[str, Any]
"""A slice by dim, or one index; dims that are left out are taken whole."""


def write_region(
    *,
    store: Place,
    path: str = "",
    image: Image,
    region: Region | None = None,
    region_units: RegionUnits = "voxel",
    from_level: int = 0,
    method: str | None = None,
    levels: int | None = None,
    factors: Factors = None,
    name: str | None = None,
    executor: Executor | None = None,
    overwrite: bool = False,
    verify: bool = False,
    options: StorageOptions | None = None,
) -> Writing:
    """Write a part of an image that was opened, and of its label images, as an image of its own.

    It lies where it lay. Channels, colours, properties and the attributes of others are kept, the plane that
    is shown first too if it is in the part; the attribute ``napari-ome-ngff:part-of`` says what it was cut
    from. Of each label image the level with the voxel size closest to that of the image's is cut.

    Parameters
    ----------
    store, path
        Where to, as for :func:`write_multiscale_group`.
    image
        What :func:`open_ome_ngff` returned.
    region
        A slice, or one index, by dim: ``{"z": slice(10, 20)}``. Dims that are left out are taken whole.
    region_units
        What `region` counts: ``"voxel"``, those of the level that is cut, or ``"physical"``, positions in the
        units of the axes: then the voxels are taken whose centres are in ``[start, stop)``.
    from_level
        The level that becomes level 0.
    method, levels, factors
        How lower levels are made, as for :func:`write_multiscale_group`. Label images are never averaged.
    name
        Of the image; None: as it was.
    executor, overwrite, verify
        As for :func:`write_multiscale_group`.
    options
        As for :func:`write_multiscale_group`. None: in the version of the image; the versions before 0.4
        become 0.4, and 0.4 in a single file, which has to be Zarr v3, 0.5.

    Returns
    -------
    Writing
        As for :func:`write_multiscale_group`.

    Raises
    ------
    OptionError
        If the image has no such axis or level, or there is no voxel in the region.
    CoordinateError, MetadataError, TargetError, StorageError
        As for :func:`write_multiscale_group`.

    Examples
    --------
    >>> import numpy, xarray, zarr
    >>> from napari_ome_ngff import open_ome_ngff, write_multiscale_group
    >>> whole, part = zarr.storage.MemoryStore(), zarr.storage.MemoryStore()
    >>> voxels = xarray.DataArray(numpy.zeros((64, 64), "uint8"), dims=("y", "x"))
    >>> _ = write_multiscale_group(store=whole, image=voxels).run()
    >>> _ = write_region(store=part, image=open_ome_ngff(whole), region={"y": slice(10, 20)}).run()
    >>> open_ome_ngff(part).multiscale.levels[0].transform.translation
    (10.0, 0.0)
    """
    check_type(image, Image, "The image", "what open_ome_ngff returns")
    check_type(method, (str, NoneType), "The method", '"mean", "nearest" or "mode"')
    sources = part_of_image(image, region=region, region_units=region_units, from_level=from_level)
    never = "nearest" if method == "mean" else method
    chosen = {
        each: replace(source, method=never if each else method, levels=levels, factors=factors)
        for each, source in sources.items()
    }
    if name is not None:
        chosen[""] = replace(chosen[""], name=name)
    return write_hierarchy(
        store=store,
        path=path,
        sources=chosen,
        executor=executor,
        overwrite=overwrite,
        verify=verify,
        options=StorageOptions(version=_version(image, store)) if options is None else options,
    )


def _version(image: Image, store: object) -> str:
    """The version of an image, or the one closest to it that is written, into a single file too."""
    version = "" if image.multiscale is None else image.multiscale.version
    version = version if version in VERSIONS else min(VERSIONS)
    return "0.5" if is_archive(store) and check_version(version).zarr_format == 2 else version


def part_of_image(
    image: Image, *, region: Region | None, region_units: str = "voxel", from_level: int = 0
) -> dict[str, MultiscaleSource]:
    """A part of an image and of its label images, by their paths, placed where it was.

    Of each label image the level with the voxel size closest to that of `from_level` is cut.
    """
    multiscale = image.multiscale
    if multiscale is None or not image.arrays:
        raise OptionError("There is no image to take a part of.", where=image.location)
    check_whole(from_level, 0, len(image.arrays) - 1, "The level")
    check_type(region_units, str, "region_units", '"voxel" or "physical"')
    if region_units not in ("voxel", "physical"):
        raise OptionError(
            "There are no such units of a region.",
            found=shown(region_units),
            expected='"voxel" or "physical"',
        )
    check_mapping({} if region is None else region, "The region", '{"z": slice(10, 20)}')
    array = list(image.arrays.values())[from_level]
    transform = level_transform(multiscale, from_level)
    ranges = _ranges(multiscale.dims, array.shape, transform, region or {}, region_units)
    sources = {"": _whole(image)} | {
        f"labels/{name}": _whole(label)
        for name, label in image.labels.items()
        if label.multiscale is not None and label.arrays
    }
    return cut_sources(sources, from_level, ranges, dims=region or {}, location=image.location)


def _whole(image: Image) -> MultiscaleSource:
    multiscale = image.multiscale
    label_image = None if multiscale is None else multiscale.label_image
    return MultiscaleSource(
        arrays=image.arrays,
        multiscale=multiscale,
        attributes=image.attributes,
        label_image=label_image,
        groups={
            path: image.groups[path] for path in image.groups if path == ".." and label_image is not None
        },
    )


def _ranges(
    dims: Sequence[str], shape: Sequence[int], transform: ScaleTranslation, region: Region, units: str
) -> tuple[slice, ...]:
    """The voxels of a level along each of its axes that are in a region."""
    for dim in region:
        if dim not in dims:
            raise OptionError(f"The image has no axis {shown(dim)}.", expected=", ".join(dims))
    ranges = []
    for dim, n, scale, start in zip(dims, shape, transform.scale, transform.translation, strict=True):
        taken = region.get(dim, slice(None))
        if units == "physical" and dim in region:
            part = _within(taken, dim, scale, start, n)
        elif isinstance(taken, slice):
            if taken.step not in (None, 1):
                raise OptionError(
                    f"The region along {dim!r} has a step.", found=shown(taken.step), expected="none"
                )
            part = slice(*_indices(taken, dim, n))
        else:
            index = _index(taken, dim)
            part = slice(*_indices(slice(index, index + 1 or None), dim, n))
        if part.start >= part.stop:
            raise OptionError(
                f"The region along {dim!r} holds no voxel.",
                found=shown(taken),
                expected=f"a part of 0 to {n}"
                if units == "voxel"
                else f"a part of {start} to {start + scale * (n - 1)}",
            )
        ranges.append(part)
    return tuple(ranges)


def _indices(taken: slice, dim: str, n: int) -> tuple[int, int]:
    try:
        start, stop, _ = taken.indices(n)
    except TypeError as error:
        raise OptionError(f"The region along {dim!r} is not in voxels.", found=shown(taken)) from error
    return start, stop


def _index(taken: object, dim: str) -> int:
    try:
        return operator.index(taken)  # type: ignore[arg-type]
    except TypeError as error:
        raise OptionError(
            f"The region along {dim!r} cannot be that.", found=shown(taken), expected="a slice, or an index"
        ) from error


def _within(taken: object, dim: str, scale: float, start: float, n: int) -> slice:
    """The voxels whose centres lie in ``[start, stop)``."""
    check_type(taken, slice, f"The region along {dim!r}", "a slice of positions")
    assert isinstance(taken, slice)
    for position in (taken.start, taken.stop):
        if not isinstance(position, int | float | NoneType) or not math.isfinite(position or 0):
            raise OptionError(
                f"The region along {dim!r} cannot be that.", found=shown(position), expected="positions"
            )
    low = -math.inf if taken.start is None else taken.start
    high = math.inf if taken.stop is None else taken.stop
    return voxels_within(low, high, scale, start, n) if low <= high else slice(0, 0)
