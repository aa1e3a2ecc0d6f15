"""What is written about an image: from the plan, the coordinates, and what was read with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ome_ngff.channels import channels_of, default_color, default_window
from napari_ome_ngff.coordinates import from_coordinates
from napari_ome_ngff.errors import MetadataError, OptionError
from napari_ome_ngff.metadata.nouns import (
    Affine,
    Axis,
    Channel,
    Json,
    LabelImage,
    Level,
    Multiscale,
    ScaleTranslation,
    Window,
)
from napari_ome_ngff.metadata.transforms import compose, invert, level_transform
from napari_ome_ngff.writing.plan.write_plan import MultiscalePlan, MultiscaleSource, split_path

if TYPE_CHECKING:
    from xarray import DataArray

_SAME_PLACE = 1e-6  # of a voxel


def model_multiscale(
    arrays: Mapping[str, DataArray],
    *,
    version: str = "0.5",
    name: str | None = None,
) -> Multiscale:
    """Describe levels, finest first and by their paths, in the words of OME-Zarr. No pixel is looked at."""
    axes, transforms = from_coordinates(arrays)
    _check_levels(arrays)
    finest = next(iter(arrays.values()))
    return Multiscale(
        version=version,
        axes=axes,
        levels=tuple(
            Level(path=path, transform=transform) for path, transform in zip(arrays, transforms, strict=True)
        ),
        name=name or (str(finest.name) if finest.name else "image"),
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


def describe(
    source: MultiscaleSource, model: Multiscale, plan: MultiscalePlan, precision: int | None
) -> Multiscale:
    """The metadata to write: the plan's levels, what the coordinates say (`model`), and what was read."""
    base = source.multiscale
    levels, split = _placed(plan, base, precision)
    affine = None if base is None or base.affine is None else _sorted(base.affine, base.dims, model.dims)
    # A single level was not made of another one: what is said of an image that was read stays as it is.
    read = base is not None and bool(base.levels)
    built = plan.method is not None and (len(plan.levels) > 1 or not read)
    label_image = source.label_image or (base.label_image if base else None)
    if is_label_image(plan.path, source):
        label_image = label_image or LabelImage()
        if label_image.source is None and (label := split_path(plan.path)[1]):
            label_image = replace(label_image, source=source_path(label))
    channels = given_channels(source, model, plan)
    return Multiscale(
        version=model.version,
        axes=_axes(model.axes, base),
        levels=levels,
        transform=split,
        original=base.original if base else None,
        affine=affine,
        system=base.system if base else None,
        name=plan.name,
        method=plan.method if built else (base.method if base else None),
        metadata=_how(plan) if built else (base.metadata if base else None),
        channels=completed(channels, np.dtype(plan.dtype)),
        omero_extra=base.omero_extra if base else {},
        label_image=label_image,
        extra=base.extra if base else {},
    )


def _sorted(affine: Affine, names: Sequence[str], dims: Sequence[str]) -> Affine:
    """An affine whose rows and columns are those of `names`, in the order of `dims`."""
    if sorted(names) != sorted(dims) or len(affine.matrix) != len(dims):
        raise OptionError(
            "The affine of the image has other axes than its pixels.",
            found=", ".join(names),
            expected=", ".join(dims),
        )
    order = [list(names).index(dim) for dim in dims]
    return Affine(
        matrix=tuple(tuple(affine.matrix[row][column] for column in order) for row in order),
        translation=tuple(affine.translation[row] for row in order),
    )


def _axes(axes: tuple[Axis, ...], base: Multiscale | None) -> tuple[Axis, ...]:
    extra = {axis.name: axis.extra for axis in base.axes} if base else {}
    return tuple(replace(axis, extra=extra.get(axis.name, {})) for axis in axes)


def _placed(
    plan: MultiscalePlan, base: Multiscale | None, precision: int | None
) -> tuple[tuple[Level, ...], ScaleTranslation | None]:
    """Levels with their transforms, and the multiscale's own: split as they were read, if nothing moved."""
    levels = tuple(Level(path=level.path, transform=level.transform) for level in plan.levels)
    split = None
    if base is not None and base.levels and _is_same(level_transform(base, 0), levels[0].transform):
        split = base.transform
        kept = [
            i < len(base.levels) and _is_same(level_transform(base, i), level.transform)
            for i, level in enumerate(levels)
        ]
        back = invert(split) if split else None
        levels = tuple(
            # What was read is written again to the last digit.
            replace(base.levels[i], path=level.path)
            if kept[i]
            else replace(level, transform=compose(level.transform, back) if back else level.transform)
            for i, level in enumerate(levels)
        )
    if precision is not None:
        levels = tuple(
            replace(level, transform=_rounded(level.transform, plan.dims, precision)) for level in levels
        )
    return levels, split


def _is_same(one: ScaleTranslation, other: ScaleTranslation) -> bool:
    """Whether two transforms place voxels at the same points."""
    if len(one.scale) != len(other.scale):
        return False
    tolerance = _SAME_PLACE * np.abs(one.scale)
    differences = np.abs(np.subtract([one.scale, one.translation], [other.scale, other.translation]))
    return bool((differences <= tolerance).all())


def _rounded(transform: ScaleTranslation, dims: Sequence[str], precision: int) -> ScaleTranslation:
    for dim, scale in zip(dims, transform.scale, strict=True):
        if round(scale, precision) == 0:
            raise OptionError(
                f"transform_precision={precision} rounds the scale of axis {dim!r} to 0.",
                hint="Give more decimal places, or none.",
            )
    return ScaleTranslation(
        scale=tuple(round(scale, precision) for scale in transform.scale),
        translation=tuple(round(start, precision) for start in transform.translation),
    )


def _how(plan: MultiscalePlan) -> dict[str, Json]:
    """What OME-Zarr asks for under ``metadata``: how the levels were made."""
    texts = {
        "mean": "The mean of the voxels that each voxel covers.",
        "nearest": "The first of the voxels that each voxel covers.",
        "mode": "The most frequent value of the voxels that each voxel covers.",
    }
    return {
        "description": texts[plan.method or "mean"],
        "method": "napari_ome_ngff.write_multiscale_group",
        "version": _release(),
        "kwargs": {"method": plan.method},
    }


@cache
def _release() -> str:
    """Version of this package: Python parses its metadata anew each time, for a millisecond."""
    try:
        return version("napari-ome-ngff")
    except PackageNotFoundError:
        return "unknown"


def given_channels(source: MultiscaleSource, model: Multiscale, plan: MultiscalePlan) -> tuple[Channel, ...]:
    """The channels as they were given, one for each that the image has, or none; not completed."""
    base = source.multiscale
    channels = source.channels or (base.channels if base else ())
    if not channels and not is_label_image(plan.path, source):
        channels = model.channels
    at = model.channel_axis
    count = 1 if at is None else plan.levels[0].shape[at]
    if len(channels) > count and base is None:
        raise OptionError(
            f"{len(channels)} channels are described, but the image has {count}.",
            where=plan.path,
            found=f"axes {', '.join(model.dims)}, shape {plan.levels[0].shape}",
        )
    # "omero" is read by index: viewers stop where it has fewer entries than the image channels, or more.
    missing = count - len(channels) if channels else 0
    return (*channels[:count], *(Channel() for _ in range(missing)))


def completed(
    channels: Sequence[Channel], dtype: np.dtype[Any], seen: Sequence[Window] = ()
) -> tuple[Channel, ...]:
    """Return channels with a colour and a complete window each, which OME-Zarr demands.

    What a window leaves open is that of the pixels, `seen` for each channel, else that of their type.
    """
    usual = default_window(dtype)
    return tuple(
        replace(
            channel,
            color=channel.color or default_color(i, len(channels)),
            window=_completed(channel.window or Window(), seen[i] if i < len(seen) else usual),
        )
        for i, channel in enumerate(channels)
    )


def _completed(window: Window, usual: Window) -> Window:
    given = [end for end in (window.start, window.end) if end is not None]
    low = min([usual.min or 0.0, *given]) if window.min is None else window.min
    high = max([usual.max or 0.0, *given]) if window.max is None else window.max
    start = usual.start if window.start is None else window.start
    end = usual.end if window.end is None else window.end
    return replace(window, start=start, end=end, min=low, max=high)


def lacks_window(channel: Channel) -> bool:
    """Whether a part of the contrast of a channel is still to be found out."""
    window = channel.window or Window()
    return None in (window.start, window.end, window.min, window.max)


def is_label_image(path: str, source: MultiscaleSource) -> bool:
    """Whether the voxels are labels: the source says so, or it follows from where they go."""
    return source.label_image is not None or split_path(path)[1] is not None


def source_path(label: str) -> str:
    """Return the path from a label image to the image that it lies on.

    0.4, "image-label": source "gives the path to the image", from "labels/<name>" upwards: "../../".
    """
    return "../" * (len(label.split("/")) + 1)
