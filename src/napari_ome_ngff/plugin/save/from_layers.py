"""From napari's layers to the images that are written. Pure: nothing is read, napari is not imported."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ome_ngff.errors import UnsupportedError
from napari_ome_ngff.metadata.affine import identity_affine
from napari_ome_ngff.metadata.nouns import Axis, Multiscale
from napari_ome_ngff.metadata.versions import VERSIONS
from napari_ome_ngff.plugin.colors import colormap_name, is_ramp, rows_left_out
from napari_ome_ngff.plugin.names import safe_name, unique_names
from napari_ome_ngff.plugin.origin import LayerData, Origin, origin_of
from napari_ome_ngff.plugin.save.appearance import channels_of, label_image_of
from napari_ome_ngff.plugin.save.bundles import Bundle
from napari_ome_ngff.plugin.save.dataarrays import Placement, lazy, stacked, to_dataarray
from napari_ome_ngff.plugin.save.form import SUFFIXES
from napari_ome_ngff.plugin.save.grouping import Group, group_layers, lead
from napari_ome_ngff.plugin.save.layer_image import LayerImage, layer_image
from napari_ome_ngff.plugin.save.placement import with_place

if TYPE_CHECKING:
    from xarray import DataArray

    from napari_ome_ngff.writing.plan.write_plan import MultiscaleSource

SAVED_KINDS = ("image", "labels")


def from_layers(
    layers: Sequence[LayerData], *, name: str | None = None
) -> tuple[tuple[Bundle, ...], list[str]]:
    """Translate layers into images with their label images, ready to be written.

    Image layers that belong together become channels of one image. Labels layers become ``labels/<name>`` of
    the image that they lie on. A layer with levels keeps them. See
    :func:`napari_ome_ngff.plugin.save.grouping.group_layers` for what belongs together.

    Parameters
    ----------
    layers
        Data, attributes and type of each layer, bottom first, as napari hands them to a writer.
    name
        Name of the image, if there is but one, and it was not opened from a file that names it; by default
        the first layer's.

    Returns
    -------
    tuple of Bundle
        At least one; :func:`targets_of` says where each is written.
    list of str
        What the user should know: layers that are not saved, and why; images that are different, and why.

    Raises
    ------
    UnsupportedError
        If there is nothing to save, or if a layer cannot be said in OME-NGFF: the layer is named.
    MetadataError
        If a layer has no usable placement.

    Examples
    --------
    >>> import numpy as np
    >>> pixels = np.zeros((8, 8), "uint8")
    >>> bundles, messages = from_layers([(pixels, {"name": "cells"}, "image"), (pixels, {}, "labels")])
    >>> [(bundle.name, list(bundle.sources)) for bundle in bundles], messages
    ([('cells', ['', 'labels/labels'])], [])
    """
    messages = [
        f"{kind.capitalize()} layer {meta.get('name', kind)!r} was not saved: "
        "OME-NGFF holds images and label images only."
        for _, meta, kind in layers
        if kind not in SAVED_KINDS
    ]
    found = [layer_image(layer) for layer in layers if layer[2] in SAVED_KINDS]
    if not found:
        raise UnsupportedError(
            "There is nothing here that OME-NGFF can hold.",
            found=", ".join(f"{kind} layer {meta.get('name', kind)!r}" for _, meta, kind in layers),
            expected="Image or Labels layers",
        )
    messages += [message for image in found for message in image.messages]
    messages += [
        f"Layer {image.name!r} is saved with the last colour of its colormap: OME-NGFF holds no more."
        for image in found
        if image.kind == "image" and not image.rgb and not _can_say(image.meta.get("colormap"))
    ]
    messages += [
        f"{left} rows of the features of {image.name!r} are not saved: they belong to no label of their own."
        for image in found
        if image.kind == "labels" and (left := rows_left_out(_features(image)))
    ]
    groups, told = group_layers(found)
    return tuple(_bundle(group, name if len(groups) == 1 else None) for group in groups), messages + told


def _can_say(colormap: object) -> bool:
    return is_ramp(colormap) or colormap_name(colormap) is not None


def _bundle(group: Group, name: str | None) -> Bundle:
    sources: dict[str, MultiscaleSource] = {}
    members = {"": group.images} if group.images else {}
    if group.images:
        sources[""] = _image_source(group.images, name)
    for label, layers in zip(unique_names(map(_label_path, group.labels)), group.labels, strict=True):
        sources[f"labels/{label}"] = _label_source(layers, group.images)
        members[f"labels/{label}"] = layers
    origins = {path: lead(layers).origin for path, layers in members.items()}
    return Bundle(
        name=next(iter(sources.values())).name or "image",
        sources=sources,
        opened={path: origin["location"] for path, origin in origins.items() if origin is not None},
        unnamed=frozenset(path for path, layers in members.items() if not lead(layers).named),
    )


def file_version(layers: Iterable[LayerData]) -> str | None:
    """Return the OME-NGFF version that all layers were opened from, or None.

    Layers that are not saved do not count. Of a version that is not written, the oldest that is, 0.4, is the
    nearest.

    Examples
    --------
    >>> file_version([]) is None
    True
    """
    origins = [origin_of(meta) for _, meta, kind in layers if kind in SAVED_KINDS]
    found = {origin["multiscale"].version if origin else None for origin in origins}
    only = found.pop() if len(found) == 1 else None
    return None if only is None else only if only in VERSIONS else min(VERSIONS)


def _image_source(images: Sequence[LayerImage], name: str | None) -> MultiscaleSource:
    """One image from the Image layers: they are its channels."""
    from napari_ome_ngff.writing.plan.write_plan import MultiscaleSource

    first = lead(images)
    origin = first.origin
    multiscale = None if origin is None else origin["multiscale"]
    if origin is not None and all(image.origin and image.origin["channel"] is not None for image in images):
        images = sorted(images, key=_channel_index)
    known = _own_title(first) or (None if multiscale is None else multiscale.name)
    channels = channels_of(images, multiscale)
    channel = _channel_name(images, multiscale)
    said = _renamed(multiscale, first, channels=channels)
    return MultiscaleSource(
        **_pixels(images, channel),
        method="mean",
        name=known or name or _file_name(origin) or (images[0] if origin is None else first).name,
        channels=channels,
        multiscale=with_place(said, first.axes, first.affine, name=first.name, channel=channel),
        attributes={} if origin is None else origin["attributes"],
        groups={} if origin is None else origin["groups"],
    )


def _file_name(origin: Origin | None) -> str | None:
    """Name of the file or group that an image was opened from, if it has channels with names of their own."""
    return None if origin is None or origin["channel"] is None else _stem(origin["location"])


def _own_title(image: LayerImage) -> str | None:
    """Name that the user gave an RGB layer: it is that of the image, as its channels are the colours."""
    if not image.rgb or image.origin is None:
        return image.name if image.rgb else None
    opened = ((image.origin["multiscale"].name or "").strip("/ "), _stem(image.origin["location"]))
    return None if image.name in opened else image.name


def _stem(location: str) -> str | None:
    name = location.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return next((name[: -len(suffix)] for suffix in SUFFIXES if name.lower().endswith(suffix)), name) or None


def _channel_index(image: LayerImage) -> int:
    return 0 if image.origin is None else image.origin["channel"] or 0


def _channel_name(images: Sequence[LayerImage], multiscale: Multiscale | None) -> str | None:
    """Name of the axis that the layers are stacked on, or None if there is none to be."""
    dims = images[0].dims
    if multiscale is not None and multiscale.channel_axis is not None:
        given = multiscale.dims[multiscale.channel_axis]
        return None if given in dims else given
    if len(images) > 1 or images[0].rgb:
        return next(name for name in ("c", "channel", "channels") if name not in dims)
    return None


def _pixels(images: Sequence[LayerImage], channel: str | None) -> dict[str, Any]:
    """``{"image": ...}`` for pixels that still need levels, ``{"arrays": ...}`` for levels that are there."""
    first = lead(images)
    shared = all(image.shapes == first.shapes and image.placements == first.placements for image in images)
    count = len(first.levels) if shared else 1
    levels = [
        _level([image.levels[i] for image in images], first, first.placements[i], channel)
        for i in range(count)
    ]
    if count == 1:
        return {"image": levels[0]}
    origin = first.origin
    paths: Sequence[str] = [str(i) for i in range(count)]
    if origin is not None and len(origin["paths"]) == count:
        paths = origin["paths"]
    return {"arrays": dict(zip(paths, levels, strict=True))}


def _level(data: Sequence[Any], image: LayerImage, placement: Placement, channel: str | None) -> DataArray:
    """One level of all layers as one array, its dims in the order of the file or of the specification."""
    import dask.array

    axes, (scale, translation) = list(image.axes), placement
    if channel is None:
        array = to_dataarray(data[0], axes, placement)
    else:
        # 0.4, "axes": time first, then channel or custom, then space.
        at = next((i for i, axis in enumerate(axes) if axis.type != "time"), 0)
        axes.insert(at, Axis(name=channel, type="channel"))
        scale = (*scale[:at], 1.0, *scale[at:])
        translation = (*translation[:at], 0.0, *translation[at:])
        if image.rgb:
            pixels = dask.array.moveaxis(lazy(data[0]), -1, at)
        elif len(data) == 1 and isinstance(data[0], np.ndarray):
            pixels = np.expand_dims(data[0], at)
        else:
            pixels = stacked(data, at)
        array = to_dataarray(pixels, axes, (scale, translation))
    return array.transpose(*_file_order(image, axes))


def _file_order(image: LayerImage, axes: Sequence[Axis]) -> list[str]:
    """Dims in the order of the file that the layer was opened from, else as they are."""
    dims = [axis.name for axis in axes]
    if image.origin is None:
        return dims
    renamed = dict(zip(image.origin["dims"], image.dims, strict=True))
    order = [renamed.get(dim, dim) for dim in image.origin["multiscale"].dims]
    return order if sorted(order) == sorted(dims) else dims


def _renamed(multiscale: Multiscale | None, image: LayerImage, **changes: Any) -> Multiscale | None:
    """Return what the file said, with the names that the axes have now, and what the layer shows now."""
    if multiscale is None or image.origin is None:
        return None if multiscale is None else replace(multiscale, **changes)
    names = dict(zip(image.origin["dims"], image.dims, strict=True))
    axes = tuple(replace(axis, name=names.get(axis.name, axis.name)) for axis in multiscale.axes)
    return replace(multiscale, axes=axes, **changes)


def _features(image: LayerImage) -> Any:
    features = image.meta.get("features")
    return image.meta.get("properties") if features is None else features


def _label_path(group: Sequence[LayerImage]) -> str:
    """Path of a label image: the one it had if the layer is still called so, else made of the name."""
    name, origin = group[0].name, group[0].origin
    if origin is not None and origin["label"] is not None:
        given = origin["label"]
        if name in (given, origin["multiscale"].name, f"{given} channel 0"):
            return given if safe_name(given) == given else safe_name(given.replace("/", "_"))
    return safe_name(name)


def _label_source(group: Sequence[LayerImage], images: Sequence[LayerImage]) -> MultiscaleSource:
    """Make a label image of a Labels layer (or of several that were its channels), on the image of others."""
    from napari_ome_ngff.writing.plan.write_plan import MultiscaleSource

    first = group[0]
    group = sorted(group, key=_channel_index)
    multiscale = None if first.origin is None else first.origin["multiscale"]
    label_image = label_image_of(first, on_image=bool(images))
    affine = first.affine
    if affine is None and images and lead(images).affine is not None:
        # 0.6, "labels": without a transform it would lie in its image's system, and be turned with it.
        affine = identity_affine(len(first.axes))
    name = first.name if len(group) == 1 else (multiscale.name if multiscale else None) or first.name
    channel = _channel_name(group, multiscale)
    said = _renamed(multiscale, first, channels=(), label_image=label_image)
    return MultiscaleSource(
        **_pixels(group, channel),
        # As many voxels for each label as it has, in the place where the means of the image lie.
        method="mode",
        name=name,
        label_image=label_image,
        multiscale=with_place(said, first.axes, affine, name=first.name, channel=channel),
        attributes={} if first.origin is None else first.origin["attributes"],
        groups={} if first.origin is None else first.origin["groups"],
    )
