"""From what is to be saved to a plan, metadata and array specs: everything that can be refused is refused here.

Nothing is written and no voxel is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ome_ngff.create import default_color, default_window, model_multiscale
from napari_ome_ngff.errors import OptionError
from napari_ome_ngff.metadata.model import (
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
from napari_ome_ngff.pyramid.levels import Factors
from napari_ome_ngff.pyramid.model import Grid, MultiscalePlan, Options
from napari_ome_ngff.pyramid.plan import plan_given_levels, plan_multiscale
from napari_ome_ngff.pyramid.sources import source_chunks

if TYPE_CHECKING:
    from xarray import DataArray

_SAME_PLACE = 1e-6  # of a voxel


@dataclass(frozen=True, kw_only=True)
class MultiscaleSource:
    """One image or label image to write: where its voxels come from, and what is said of it.

    Parameters
    ----------
    image
        Level 0, with coordinates; the others are made of it. In memory, or lazy (dask, zarr).
    arrays
        In place of `image`: path of each level to the level, finest first; they are copied as they are.
    method
        How a level is made of the one above: ``"mean"``, ``"nearest"`` or ``"mode"``. None: the mean for
        images, the nearest voxel for label images, which are never averaged.
    levels
        Number of levels, level 0 included; None: until no spatial axis has more than 512 voxels.
    factors
        Factor of each dim from level to level, or a list of these; None: towards isotropic voxels.
    name
        By default that of `multiscale` or of the array.
    channels
        Display settings, one per index of the channel axis. What a channel leaves open is filled in.
    label_image
        Colours and properties of a label image.
    multiscale
        What was read together with the arrays, if they were: what else it says is written again.
    attributes
        Attributes of others to keep on the group.
    """

    image: DataArray | None = None
    arrays: Mapping[str, DataArray] | None = None
    method: str | None = None
    levels: int | None = None
    factors: Factors = None
    name: str | None = None
    channels: tuple[Channel, ...] = ()
    label_image: LabelImage | None = None
    multiscale: Multiscale | None = None
    attributes: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """One multiscale, ready to be written: the plan, the metadata, and what each pass reads."""

    plan: MultiscalePlan
    multiscale: Multiscale
    inputs: tuple[DataArray, ...]
    attributes: Mapping[str, Json]


def prepare(
    sources: Mapping[str, MultiscaleSource], options: Options, *, transform_precision: int | None = None
) -> tuple[Prepared, ...]:
    """Plan everything that one save writes.

    Parameters
    ----------
    sources
        Path in the hierarchy, ``""`` or ``"labels/<name>"``, to what is written there.
    options
        How to store it. `chunks` and `shards` with one size per axis of the image hold for a label image
        with fewer axes too, by name; with fewer sizes than axes they hold for the last ones.
    transform_precision
        Decimal places to round scales and translations to; None: exact.

    Raises
    ------
    OptionError
        If an option cannot be.
    CoordinateError, MetadataError
        If dims, coordinates or levels cannot be said in OME-NGFF.
    """
    if not sources:
        raise OptionError("There is nothing to write.", hint="Give at least one image.")
    main = next(iter(sources.values()))
    main_dims = tuple(str(dim) for dim in _arrays(main)[1].dims)
    shapes_of_image: Sequence[tuple[int, ...]] = ()
    prepared = []
    for path, source in sources.items():
        dims = tuple(str(dim) for dim in _arrays(source)[1].dims)
        own = replace(
            options,
            chunks=_for_dims(options.chunks, dims, main_dims),
            shards=_for_dims(options.shards, dims, main_dims),
        )
        one = _prepare_one(path, source, own, transform_precision, len(shapes_of_image))
        if path == "":
            shapes_of_image = [level.shape for level in one.plan.levels]
        prepared.append(one)
    return tuple(prepared)


def _arrays(source: MultiscaleSource) -> tuple[Mapping[str, DataArray], DataArray]:
    """The levels that are given, and the finest of them."""
    if (source.image is None) == (not source.arrays):
        raise OptionError(
            "Give either an image, whose levels are made, or arrays, the levels themselves.",
            found="both" if source.arrays else "neither",
        )
    arrays = source.arrays or ({} if source.image is None else {"0": source.image})
    return arrays, next(iter(arrays.values()))


def _for_dims(sizes: Any, dims: Sequence[str], main_dims: Sequence[str]) -> Any:
    """Chunks or shards for other axes than the main image's; whatever is no such tuple is left as it is."""
    if isinstance(sizes, str) or not isinstance(sizes, Sequence):
        return sizes
    if any(isinstance(n, Sequence) for n in sizes):
        return tuple(sizes) if len(dims) == len(main_dims) else "auto"
    if len(sizes) == len(main_dims) != len(dims):
        known = dict(zip(main_dims, sizes, strict=True))
        return tuple(known.get(dim, 1) for dim in dims)
    return (1,) * (len(dims) - len(sizes)) + tuple(sizes)


def _prepare_one(
    path: str, source: MultiscaleSource, options: Options, precision: int | None, levels_of_image: int
) -> Prepared:
    arrays, finest = _arrays(source)
    is_label = source.label_image is not None or path.startswith("labels/")
    method = source.method or ("nearest" if is_label else "mean")
    if is_label:
        _check_label_image(path, finest, method)
    model = model_multiscale(arrays, version=options.version, name=source.name)
    grids = [
        Grid(
            path=level.path,
            shape=array.shape,
            dtype=array.dtype,
            scale=level.transform.scale,
            translation=level.transform.translation,
            source_chunks=source_chunks(array),
        )
        for level, array in zip(model.levels, arrays.values(), strict=True)
    ]
    base = source.multiscale
    name = source.name or (base.name if base and base.name else None)
    name = name or (path.rpartition("/")[2] if path and not finest.name else model.name) or "image"
    dims, types = model.dims, tuple(axis.type for axis in model.axes)
    units = tuple(axis.unit for axis in model.axes)
    if source.arrays:
        plan = plan_given_levels(
            path=path, name=name, dims=dims, types=types, units=units, grids=grids, options=options
        )
    else:
        plan = plan_multiscale(
            path=path,
            name=name,
            dims=dims,
            types=types,
            units=units,
            finest=grids[0],
            method=method,
            levels=source.levels,
            factors=source.factors,
            options=options,
        )
    multiscale = _describe(path, source, model, plan, precision, is_label)
    return Prepared(
        plan=plan, multiscale=multiscale, inputs=tuple(arrays.values()), attributes=dict(source.attributes)
    )


def _check_label_image(path: str, array: DataArray, method: str) -> None:
    # 0.4 and later, "labels": pixels of label images are integers.
    if array.dtype.kind not in "iu":
        raise OptionError(
            f"Label images hold whole numbers, not {array.dtype}.",
            where=path,
            hint='Convert it yourself, for example with .astype("uint32").',
        )
    if method == "mean":
        raise OptionError(
            "The mean of labels would be other labels.", where=path, expected='"nearest" or "mode"'
        )


def _describe(
    path: str,
    source: MultiscaleSource,
    model: Multiscale,
    plan: MultiscalePlan,
    precision: int | None,
    is_label: bool,
) -> Multiscale:
    """The metadata to write: the plan's levels, and what else is known of the image."""
    base = source.multiscale
    levels = [
        Level(path=level.path, transform=ScaleTranslation(scale=level.scale, translation=level.translation))
        for level in plan.levels
    ]
    split = _kept_transform(base, levels[0].transform)
    if split is not None:
        back = invert(split)
        levels = [replace(level, transform=compose(level.transform, back)) for level in levels]
    if precision is not None:
        levels = [replace(level, transform=_rounded(level.transform, precision)) for level in levels]
    built = plan.method is not None
    label_image = source.label_image or (base.label_image if base else None)
    if is_label:
        label_image = label_image or LabelImage()
        if label_image.source is None and path.startswith("labels/"):
            label_image = replace(label_image, source="../" * len(path.split("/")))
    channels = source.channels or (base.channels if base else ()) or (() if is_label else model.channels)
    return Multiscale(
        version=model.version,
        axes=_axes(model.axes, base),
        levels=tuple(levels),
        transform=split,
        system=base.system if base else None,
        name=plan.name,
        method=plan.method if built else (base.method if base else None),
        metadata=_how(plan) if built else (base.metadata if base else None),
        channels=_completed(channels, source),
        omero_extra=base.omero_extra if base else {},
        label_image=label_image,
        extra=base.extra if base else {},
    )


def _axes(axes: tuple[Axis, ...], base: Multiscale | None) -> tuple[Axis, ...]:
    known = {axis.name: axis.extra for axis in base.axes} if base else {}
    return tuple(replace(axis, extra=known.get(axis.name, {})) for axis in axes)


def _kept_transform(base: Multiscale | None, finest: ScaleTranslation) -> ScaleTranslation | None:
    """The multiscale's own transform, if the image still lies where it lay when that was read."""
    if base is None or base.transform is None or len(base.transform.scale) != len(finest.scale):
        return None
    was = level_transform(base, 0)
    tolerance = _SAME_PLACE * np.abs(was.scale)
    moved = np.abs(np.subtract(was.translation, finest.translation)) > tolerance
    stretched = np.abs(np.subtract(was.scale, finest.scale)) > tolerance
    return None if moved.any() or stretched.any() else base.transform


def _rounded(transform: ScaleTranslation, precision: int) -> ScaleTranslation:
    if any(round(scale, precision) == 0 for scale in transform.scale):
        raise OptionError(
            f"transform_precision={precision} rounds a scale to 0.", hint="Give more decimal places, or none."
        )
    return ScaleTranslation(
        scale=tuple(round(scale, precision) for scale in transform.scale),
        translation=tuple(round(start, precision) for start in transform.translation),
    )


def _how(plan: MultiscalePlan) -> dict[str, Json]:
    """What OME-NGFF asks for under ``metadata``: how the levels were made."""
    texts = {
        "mean": "The mean of the voxels that each voxel covers.",
        "nearest": "The first of the voxels that each voxel covers.",
        "mode": "The most frequent value of the voxels that each voxel covers.",
    }
    try:
        release = version("napari-ome-ngff")
    except PackageNotFoundError:
        release = "unknown"
    return {
        "description": texts[plan.method or "mean"],
        "method": "napari_ome_ngff.write_multiscale_group",
        "version": release,
        "kwargs": {"method": plan.method},
    }


def _completed(channels: Sequence[Channel], source: MultiscaleSource) -> tuple[Channel, ...]:
    """Channels with a colour and a complete window each, which OME-NGFF demands."""
    usual = default_window(_arrays(source)[1].dtype)
    completed = []
    for i, channel in enumerate(channels):
        window = channel.window or Window()
        low = usual.min if window.min is None else window.min
        high = usual.max if window.max is None else window.max
        completed.append(
            replace(
                channel,
                color=channel.color or default_color(i, len(channels)),
                window=Window(
                    start=low if window.start is None else window.start,
                    end=high if window.end is None else window.end,
                    min=low,
                    max=high,
                ),
            )
        )
    return tuple(completed)
