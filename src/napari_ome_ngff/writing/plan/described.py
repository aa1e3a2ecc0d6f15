"""What a DataArray carries of the image that it was read from, or is there of one that it replaces."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ome_ngff.channels import channels_at
from napari_ome_ngff.errors import OmeNgffError, collected_warnings
from napari_ome_ngff.metadata.axes import SYSTEMS_KEY, TRANSFORMS_KEY
from napari_ome_ngff.metadata.group_kind import CARRIED, OUR_KEYS, foreign_attributes
from napari_ome_ngff.metadata.nouns import Channel, Json, Multiscale
from napari_ome_ngff.metadata.versions import decode
from napari_ome_ngff.writing.plan.multiscale import is_label_image
from napari_ome_ngff.writing.plan.write_plan import MultiscaleSource

if TYPE_CHECKING:
    from xarray import DataArray


def as_carried(path: str, source: MultiscaleSource, array: DataArray) -> MultiscaleSource:
    """A source that says itself what it is, if its array was read from an image: names, colours, contrast."""
    text = array.attrs.get(CARRIED)
    if source.multiscale is not None or not isinstance(text, str):
        return source
    try:
        attributes = json.loads(text)
    except ValueError:  # somebody's own
        return source
    kept = _with(path, source, array, attributes)
    if kept is source:
        return source
    others = {k: v for k, v in foreign_attributes(attributes).items() if not k.startswith(OUR_KEYS)}
    return replace(kept, attributes={**others, **source.attributes})


def as_replaced(path: str, source: MultiscaleSource, old: Mapping[str, Json]) -> MultiscaleSource:
    """The same of the image that a source replaces, by its attributes, where nothing else is said of it."""
    array = source.image if source.image is not None else next(iter((source.arrays or {}).values()), None)
    if array is None or source.multiscale is not None or source.channels or CARRIED in array.attrs:
        return source
    return _with(path, source, array, old, same_voxels=False)


def _with(
    path: str, source: MultiscaleSource, array: DataArray, attributes: Json, *, same_voxels: bool = True
) -> MultiscaleSource:
    try:
        with collected_warnings():  # reading has said it
            (base,) = decode(attributes, where="")
    except (OmeNgffError, ValueError):  # no image, or several
        return source
    if is_label_image(path, source) != (base.label_image is not None):
        return source  # a mask of an image is not that image
    if not same_voxels and base.label_image is not None:
        # What was measured of other labels would be wrong of these.
        base = replace(base, label_image=replace(base.label_image, properties=(), table=None))
    if not same_voxels and base.dims != tuple(map(str, array.dims)):
        return source  # another image in its place
    kept = holding_for(base, array)
    if not same_voxels:  # their levels are not those of the new ones
        kept = replace(kept, levels=(), transform=None, original=None)
    return replace(source, multiscale=kept)


def holding_for(base: Multiscale, array: DataArray) -> Multiscale:
    """What of the description of an image holds for other voxels: of other channels, a part, another type."""
    dims = tuple(map(str, array.dims))
    name = str(array.name) if array.name else base.name
    channels = tuple(
        channel if _fits(channel, array.dtype) else replace(channel, window=None)
        for channel in channels_at(base, array)
    )
    kept = replace(base, name=name, channels=channels, omero_extra=_shown_first(base, array))
    if dims == base.dims:
        return kept
    axes = tuple(axis for axis in base.axes if axis.name in dims)
    extra = {key: value for key, value in base.extra.items() if key not in (SYSTEMS_KEY, TRANSFORMS_KEY)}
    return replace(
        kept, axes=axes, levels=(), transform=None, original=None, affine=None, system=None, extra=extra
    )


def _fits(channel: Channel, dtype: np.dtype[Any]) -> bool:
    """Whether a contrast makes sense for a data type: one of 16 bits would show nothing of 8."""
    window = channel.window
    if window is None or dtype.kind not in "iu":
        return True
    limits = [x for x in (window.start, window.end) if x is not None]
    return all(np.iinfo(dtype).min <= x <= np.iinfo(dtype).max for x in limits)


def _shown_first(base: Multiscale, array: DataArray) -> Mapping[str, Json]:
    """``omero`` without a plane to be shown first that is not there any more."""
    display = base.omero_extra.get("rdefs")
    if not isinstance(display, Mapping):
        return base.omero_extra
    gone = [
        key
        for key, dim in (("defaultZ", "z"), ("defaultT", "t"))
        if isinstance(display.get(key), int) and display[key] >= array.sizes.get(dim, 1)
    ]
    return {**base.omero_extra, "rdefs": {k: v for k, v in display.items() if k not in gone}}
