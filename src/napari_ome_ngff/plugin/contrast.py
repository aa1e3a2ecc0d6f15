"""Contrast for channels of which the file says none: from a bounded look at the coarsest level."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ome_ngff.plugin.display import Limits, is_rgb, window_limits
from napari_ome_ngff.plugin.layout import layout

if TYPE_CHECKING:
    from napari_ome_ngff.read import Image

READ_AT_MOST = 16 * 2**20
"""Bytes that are looked at for all channels of an image together."""

_PERCENTILES = (0.5, 99.8)
_VALUES_AT_MOST = 2**20
_log = logging.getLogger(__name__)


def estimate_limits(image: Image, *, nbytes: int = READ_AT_MOST) -> tuple[Limits | None, ...]:
    """Read a part of the coarsest level, and return contrast limits for the channels that have none.

    Parameters
    ----------
    image
        An opened image.
    nbytes
        How much to read at most. What does not fit is left out around the middle.

    Returns
    -------
    tuple
        For each channel limits, or None where the file has them, or where nothing could be read.

    Examples
    --------
    >>> import xarray
    >>> from napari_ome_ngff.metadata.model import Axis, Multiscale
    >>> from napari_ome_ngff.read import Image
    >>> axes = (Axis(name="y", type="space"), Axis(name="x", type="space"))
    >>> ramp = xarray.DataArray(np.arange(1000, dtype="uint16").reshape(20, 50), dims=("y", "x"))
    >>> multiscale = Multiscale(version="0.5", axes=axes, levels=())
    >>> estimate_limits(Image(location="", multiscale=multiscale, arrays={"0": ramp}))
    ((4.995, 997.002),)
    """
    from dask.base import compute

    if image.multiscale is None or image.multiscale.label_image is not None or not image.arrays:
        return ()
    coarsest = list(image.arrays.values())[-1].data
    axis = layout(image.multiscale, coarsest.shape).channel
    count = 1 if axis is None else coarsest.shape[axis]
    channels = image.multiscale.channels
    if coarsest.dtype.kind not in "iufc" or is_rgb(channels, count):
        return (None,) * count
    wanted = [i for i in range(count) if i >= len(channels) or window_limits(channels[i].window) is None]
    if not wanted:
        return (None,) * count
    parts = [
        _middle(coarsest if axis is None else coarsest[(slice(None),) * axis + (i,)], nbytes // len(wanted))
        for i in wanted
    ]
    try:
        # All channels in one go: one round trip for remote data.
        values = compute(*parts)  # type: ignore[no-untyped-call]
    except Exception as error:  # noqa: BLE001 - contrast is decoration: the image opens without it
        _log.warning("no contrast could be estimated for %s: %s", image.location, error)
        return (None,) * count
    found = dict(zip(wanted, map(_limits, values), strict=True))
    return tuple(found.get(i) for i in range(count))


def _middle(data: Any, nbytes: int) -> Any:
    """Cut an array to its middle: first along the outer dimensions and evenly along the last two."""
    room = max(1, nbytes // data.dtype.itemsize)
    sizes = list(data.shape)
    for i in range(data.ndim - 2):
        rest = math.prod(sizes[i + 1 :])
        sizes[i] = max(1, min(sizes[i], room // max(1, rest)))
    plane = room // max(1, math.prod(sizes[:-2]))
    sizes[-2] = max(1, min(sizes[-2], max(math.isqrt(plane), plane // max(1, sizes[-1]))))
    sizes[-1] = max(1, min(sizes[-1], plane // sizes[-2]))
    starts = [(whole - size) // 2 for whole, size in zip(data.shape, sizes, strict=True)]
    return data[tuple(slice(start, start + size) for start, size in zip(starts, sizes, strict=True))]


def _limits(values: Any) -> Limits | None:
    """Return percentiles that leave out a few outliers; None for an empty or constant image."""
    flat = np.asarray(values).ravel()
    flat = flat[:: max(1, flat.size // _VALUES_AT_MOST)]
    flat = np.abs(flat) if flat.dtype.kind == "c" else flat
    flat = flat[np.isfinite(flat)].astype(np.float64)
    if flat.size == 0:
        return None
    for low, high in (np.percentile(flat, _PERCENTILES), (flat.min(), flat.max())):
        if low < high:
            return float(low), float(high)
    return None
