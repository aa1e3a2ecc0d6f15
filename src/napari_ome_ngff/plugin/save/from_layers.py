"""From napari's layers to the images that are written. Pure: nothing is read, napari is not imported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ome_ngff.errors import UnsupportedError
from napari_ome_ngff.metadata.affine import identity_affine
from napari_ome_ngff.metadata.nouns import Affine, Axis, Channel, LabelImage, Multiscale, ScaleTranslation
from napari_ome_ngff.metadata.transforms import along, level_transform
from napari_ome_ngff.metadata.versions import VERSIONS
from napari_ome_ngff.plugin.colors import colormap_name, is_ramp, table_of
from napari_ome_ngff.plugin.origin import LayerData, Origin, origin_of
from napari_ome_ngff.plugin.save.appearance import channels_of, features_of, label_image_of
from napari_ome_ngff.plugin.save.bundles import Bundle
from napari_ome_ngff.plugin.save.form import SUFFIXES
from napari_ome_ngff.plugin.save.grouping import (
    LayerGroup,
    attributes_with_looks,
    group_layers,
    in_channels,
    lead,
    members_of,
)
from napari_ome_ngff.plugin.save.layer_image import LayerImage, layer_image, scenes_left_out
from napari_ome_ngff.plugin.save.placement import with_affine
from napari_ome_ngff.saving.dataarrays import lazy, stacked, to_dataarray

if TYPE_CHECKING:
    from xarray import DataArray

    from napari_ome_ngff.writing.plan.write_plan import MultiscaleSource

_SAME_SCALE, _SAME_PLACE = 1e-6, 1e-3  # of the scale, of a voxel

SAVED_KINDS = ("image", "labels")


def from_layers(
    layers: Sequence[LayerData], *, name: str | None = None, keep_scene: bool = False
) -> tuple[tuple[Bundle, ...], list[str]]:
    """Translate layers (bottom first) into images with their label images, and say what will be lost.

    `name` is that of the image if there is only one, and no file names it; by default the first layer's.
    With `keep_scene` images of a scene lie where they lie in it, not in themselves.
    Raises UnsupportedError if there is nothing to save or a layer cannot be stored in OME-Zarr, and
    MetadataError if it has no usable placement: the layer is named.
    """
    messages = unsaved(layers)
    images = [
        replace(layer_image(layer, keep_scene=keep_scene), rank=rank)
        for rank, layer in enumerate(layers)
        if layer[2] in SAVED_KINDS
    ]
    if not images:
        raise UnsupportedError(
            "There is nothing here that OME-Zarr can hold.",
            found=", ".join(f"{kind} layer {meta.get('name', kind)!r}" for _, meta, kind in layers),
            expected="Image or Labels layers",
        )
    messages += [each for image in images for each in image.messages] + scenes_left_out(images)
    for image in images:
        if image.kind == "image" and not image.rgb and not _is_stored(image.meta.get("colormap")):
            messages.append(
                f"Layer {image.name!r} is saved with the last colour of its colormap: OME-Zarr holds no more."
            )
    for image in images:
        if image.kind == "labels" and (left := table_of(features_of(image))[1]):
            messages.append(
                f"{left} rows of the features of {image.name!r} are not saved: "
                "they belong to no label of their own."
            )
    groups, why = group_layers(images)
    return tuple(_bundle(group, name if len(groups) == 1 else None) for group in groups), messages + why


def unsaved(layers: Iterable[LayerData]) -> list[str]:
    """Which layers are of types that are not saved, each in a sentence."""
    return [
        f"{kind.capitalize()} layer {meta.get('name', kind)!r} is not saved: "
        "OME-Zarr holds images and label images only."
        for _, meta, kind in layers
        if kind not in SAVED_KINDS
    ]


def _is_stored(colormap: object) -> bool:
    return is_ramp(colormap) or colormap_name(colormap) is not None


def _bundle(group: LayerGroup, name: str | None) -> Bundle:
    sources: dict[str, MultiscaleSource] = {}
    members = members_of(group)
    for path, layers in members.items():
        source = _label_source(layers, group.images) if path else _image_source(layers, name)
        sources[path] = replace(source, attributes=attributes_with_looks(source.attributes, path, members))
    # A crop, or a lower level, is not what is in the file, whatever its layer remembers.
    origins = {path: lead(layers).origin for path, layers in members.items() if is_whole(lead(layers))}
    return Bundle(
        name=next(iter(sources.values())).name or "image",
        sources=sources,
        opened={path: origin["location"] for path, origin in origins.items() if origin is not None},
        unnamed=frozenset(path for path, layers in members.items() if not lead(layers).named),
        guessed={
            each.name: (each.dims, each.guessed)
            for path, each in ((path, lead(layers)) for path, layers in members.items())
            if each.guessed and not (path and group.images)  # label images are named as their image
        },
    )


def is_whole(image: LayerImage) -> bool:
    """Whether a layer has the size and the place of what it was opened from."""
    origin = image.origin
    if origin is None or image.shapes[0] != origin["shapes"][0]:
        return origin is None
    multiscale = origin["multiscale"]
    file = along(level_transform(multiscale, 0), [multiscale.dims.index(dim) for dim in origin["dims"]])
    position = image.positions[0]
    steps = np.abs(file.scale)
    return bool(
        len(position.scale) == len(steps)
        and np.allclose(position.scale, file.scale, rtol=_SAME_SCALE, atol=0)
        and (np.abs(np.subtract(position.translation, file.translation)) <= _SAME_PLACE * steps).all()
    )


def file_version(layers: Iterable[LayerData]) -> str | None:
    """Return the OME-Zarr version that all saved layers were opened from, or None.

    A version that is not written becomes 0.4, the oldest that is.
    """
    origins = [origin_of(meta) for _, meta, kind in layers if kind in SAVED_KINDS]
    versions = {origin["multiscale"].version if origin else None for origin in origins}
    version = versions.pop() if len(versions) == 1 else None
    return version if version is None or version in VERSIONS else min(VERSIONS)


def _image_source(images: Sequence[LayerImage], name: str | None) -> MultiscaleSource:
    """One image from the Image layers: they are its channels."""
    first = lead(images)
    origin = first.origin
    multiscale = None if origin is None else origin["multiscale"]
    images = in_channels(images)
    title = _rgb_title(first) or (None if multiscale is None else multiscale.name)
    return _source(
        images,
        first,
        name=title or name or _file_name(origin) or (images[0] if origin is None else first).name,
        method="mean",
        channels=channels_of(images, multiscale),
        affine=first.affine,
    )


def _label_source(layers: Sequence[LayerImage], images: Sequence[LayerImage]) -> MultiscaleSource:
    """A label image from a Labels layer, or from several that were its channels; `images` are below it."""
    first = layers[0]
    multiscale = None if first.origin is None else first.origin["multiscale"]
    affine = first.affine
    if affine is None and images and lead(images).affine is not None:
        # 0.6, "labels": without a transform it would lie in its image's system, and be transformed with it.
        affine = identity_affine(len(first.axes))
    return _source(
        in_channels(layers),
        first,
        name=first.name if len(layers) == 1 else (multiscale.name if multiscale else None) or first.name,
        # Each label keeps its share of the voxels, at the position of the image's means.
        method="mode",
        label_image=label_image_of(first, on_image=bool(images)),
        affine=affine,
        follows=bool(images) and len(lead(images).levels) > 1,
    )


def _source(
    layers: Sequence[LayerImage],
    first: LayerImage,
    *,
    name: str,
    method: str,
    affine: Affine | None,
    channels: tuple[Channel, ...] = (),
    label_image: LabelImage | None = None,
    follows: bool = False,
) -> MultiscaleSource:
    """What is written of layers that are the channels of one image; `first` has its axes and origin.

    With `follows` the lower levels are those that an image has.
    """
    from napari_ome_ngff.writing.plan.write_plan import MultiscaleSource

    origin = first.origin
    multiscale = None if origin is None else origin["multiscale"]
    channel = _channel_name(layers, multiscale)
    image, arrays = _pixels(layers, channel)
    if multiscale is not None and origin is not None:
        names = dict(zip(origin["dims"], first.dims, strict=True))  # axes may have been renamed
        axes = tuple(replace(axis, name=names.get(axis.name, axis.name)) for axis in multiscale.axes)
        multiscale = replace(multiscale, axes=axes, channels=channels)
        if label_image is not None:
            multiscale = replace(multiscale, label_image=label_image)
    return MultiscaleSource(
        image=image,
        arrays=arrays,
        method=method,
        factors=None if follows or arrays is not None else _factors(first),
        name=name,
        channels=channels,
        label_image=label_image,
        multiscale=with_affine(multiscale, first.axes, affine, name=first.name, channel=channel),
        attributes={} if origin is None else origin["attributes"],
        groups={} if origin is None else origin["groups"],
    )


def _factors(image: LayerImage) -> dict[str, int] | None:
    """Factors of lower levels that leave out the axes of which nobody said that they are space."""
    if not image.guessed:
        return None
    return {axis.name: 2 for axis in image.axes if axis.type == "space" and axis.name not in image.guessed}


def _file_name(origin: Origin | None) -> str | None:
    """Name of the file or group that an image was opened from, if its layers are called after channels."""
    return None if origin is None or origin["channel"] is None else _stem(origin["location"])


def _rgb_title(image: LayerImage) -> str | None:
    """Name that the user gave an RGB layer, which is that of the image: its channels are the colours."""
    if not image.rgb or image.origin is None:
        return image.name if image.rgb else None
    opened = ((image.origin["multiscale"].name or "").strip("/ "), _stem(image.origin["location"]))
    return None if image.name in opened else image.name


def _stem(location: str) -> str | None:
    name = location.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return next((name[: -len(suffix)] for suffix in SUFFIXES if name.lower().endswith(suffix)), name) or None


def _channel_name(images: Sequence[LayerImage], multiscale: Multiscale | None) -> str | None:
    """Name of the axis that the layers are stacked on, or None if there is none to be."""
    dims = images[0].dims
    if multiscale is not None and multiscale.channel_axis is not None:
        given = multiscale.dims[multiscale.channel_axis]
        return None if given in dims else given
    if len(images) > 1 or images[0].rgb:
        return next(name for name in ("c", "channel", "channels") if name not in dims)
    return None


def _pixels(
    images: Sequence[LayerImage], channel: str | None
) -> tuple[DataArray | None, Mapping[str, DataArray] | None]:
    """Full resolution, if levels still have to be made, or all levels by path."""
    first = lead(images)
    shared = all(image.shapes == first.shapes and image.positions == first.positions for image in images)
    count = len(first.levels) if shared and not _averaged_over_time(first) else 1
    levels = [
        _level([image.levels[i] for image in images], first, first.positions[i], channel)
        for i in range(count)
    ]
    if count == 1:
        return levels[0], None
    origin = first.origin
    paths: Sequence[str] = [str(i) for i in range(count)]
    if origin is not None and len(origin["paths"]) == count:
        paths = origin["paths"]
    return None, dict(zip(paths, levels, strict=True))


def _averaged_over_time(image: LayerImage) -> bool:
    """Whether lower levels were made along an axis of space that was found to be none since it was opened."""
    if image.origin is None:
        return False
    before = {axis.name: axis.type for axis in image.origin["multiscale"].axes}
    return any(
        axis.type != "space" and before.get(dim) == "space" and len({shape[i] for shape in image.shapes}) > 1
        for i, (axis, dim) in enumerate(zip(image.axes, image.origin["dims"], strict=True))
    )


def _level(
    data: Sequence[Any], image: LayerImage, position: ScaleTranslation, channel: str | None
) -> DataArray:
    """One level of all layers as one array, its dims in the order of the file or of the specification."""
    import dask.array

    axes = list(image.axes)
    if channel is None:
        array = to_dataarray(data[0], axes, position)
    else:
        # 0.4, "axes": time first, then channel or custom, then space.
        at = next((i for i, axis in enumerate(axes) if axis.type != "time"), 0)
        axes.insert(at, Axis(name=channel, type="channel"))
        position = ScaleTranslation(
            scale=(*position.scale[:at], 1.0, *position.scale[at:]),
            translation=(*position.translation[:at], 0.0, *position.translation[at:]),
        )
        if image.rgb:
            pixels = dask.array.moveaxis(lazy(data[0]), -1, at)
        elif len(data) == 1 and isinstance(data[0], np.ndarray):
            pixels = np.expand_dims(data[0], at)
        else:
            pixels = stacked(data, at)
        array = to_dataarray(pixels, axes, position)
    return array.transpose(*_file_order(image, axes))


def _file_order(image: LayerImage, axes: Sequence[Axis]) -> list[str]:
    """Dims in the order of the file that the layer was opened from, else as they are."""
    dims = [axis.name for axis in axes]
    if image.origin is None:
        return dims
    renamed = dict(zip(image.origin["dims"], image.dims, strict=True))
    order = [renamed.get(dim, dim) for dim in image.origin["multiscale"].dims]
    return order if sorted(order) == sorted(dims) else dims
