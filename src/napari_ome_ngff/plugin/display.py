"""How an image looks, in OME-NGFF's words and in napari's: colours and contrast of channels. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from napari_ome_ngff.channels import default_color, default_window
from napari_ome_ngff.metadata.model import Channel, Window

Limits = tuple[float, float]

RGB_KEY = "rgb_component"
"""Key in a channel's `extra` by which an RGB layer that we saved is known again."""

RGB_COMPONENTS = ("red", "green", "blue", "alpha")

_NAMED = {
    "FFFFFF": "gray",
    "FF0000": "red",
    "00FF00": "green",
    "0000FF": "blue",
    "00FFFF": "cyan",
    "FF00FF": "magenta",
    "FFFF00": "yellow",
}


def colormap_for(color: str | None, index: int, count: int) -> str:
    """Return what napari calls the ramp from black to a channel's colour.

    Parameters
    ----------
    color
        ``"RRGGBB"``, or None where the file has none: then a channel gets the colour that napari gives to
        the `index`-th of `count` channels.
    index, count
        Which channel, of how many.

    Examples
    --------
    >>> colormap_for("00FF00", 0, 1), colormap_for("FF8000", 0, 1), colormap_for(None, 0, 2)
    ('green', '#FF8000', 'magenta')
    """
    color = color or default_color(index, count)
    return _NAMED.get(color.upper(), f"#{color}")


def color_of(colormap: object) -> str | None:
    """Return the last colour of a napari colormap as ``"RRGGBB"``, or None if there is none to be found.

    Parameters
    ----------
    colormap
        As layer tuples carry it: a mapping with ``"colors"``, a ``Colormap``, a name or ``"#RRGGBB"``.

    Examples
    --------
    >>> color_of({"colors": [[0, 0, 0, 1], [1, 0.5, 0, 1]]}), color_of("cyan"), color_of("viridis")
    ('FF8000', '00FFFF', None)
    """
    if isinstance(colormap, str):
        text = colormap.removeprefix("#").upper()
        if colormap.startswith("#") and len(text) in (6, 8):
            return text[:6]
        return next((color for color, name in _NAMED.items() if name == colormap.lower()), None)
    if isinstance(colormap, tuple) and len(colormap) == 2:  # (name, colormap), which napari accepts
        return color_of(colormap[1])
    colors = colormap.get("colors") if isinstance(colormap, Mapping) else getattr(colormap, "colors", None)
    if colors is None or len(colors) == 0:
        return None
    red, green, blue = (round(255 * min(max(float(part), 0.0), 1.0)) for part in colors[-1][:3])
    return f"{red:02X}{green:02X}{blue:02X}"


def dtype_limits(dtype: np.dtype[Any]) -> Limits:
    """Return the contrast limits that show every value of a data type; 0 to 1 for floating point and bool.

    Examples
    --------
    >>> dtype_limits(np.dtype("uint8")), dtype_limits(np.dtype("float32"))
    ((0.0, 255.0), (0.0, 1.0))
    """
    window = default_window(dtype)
    return window.start or 0.0, window.end or 0.0


def window_limits(window: Window | None) -> Limits | None:
    """Return the contrast limits that a window asks for, or None if it asks for nothing that can be shown.

    Examples
    --------
    >>> window_limits(Window(start=100, end=2000)), window_limits(Window(start=5, end=5))
    ((100.0, 2000.0), None)
    """
    if window is None or window.start is None or window.end is None:
        return None
    start, end = float(window.start), float(window.end)
    return (start, end) if math.isfinite(start) and math.isfinite(end) and start < end else None


def window_of(limits: object, dtype: np.dtype[Any], known: Window | None) -> Window:
    """Return the window that says a layer's contrast limits.

    Parameters
    ----------
    limits
        The layer's contrast limits; whatever cannot be used becomes the data type's range.
    dtype
        The layer's data type: its range is the window's ``min`` and ``max`` for integers.
    known
        The window that the file had: its ``min`` and ``max`` are kept as far as they enclose the limits.

    Examples
    --------
    >>> window_of([100, 2000], np.dtype("uint16"), None)
    Window(start=100.0, end=2000.0, min=0.0, max=65535.0)
    """
    low, high = dtype_limits(dtype)
    pair = [float(x) for x in limits if x is not None] if isinstance(limits, Sequence | np.ndarray) else []
    start, end = pair if len(pair) == 2 and all(map(math.isfinite, pair)) else (low, high)
    if known is not None and known.min is not None and known.max is not None:
        low, high = known.min, known.max
    elif dtype.kind not in "iu":
        low, high = start, end
    return Window(start=start, end=end, min=min(low, start), max=max(high, end))


def is_rgb(channels: Sequence[Channel], count: int) -> bool:
    """Tell whether these are the components of an RGB layer that we saved, all of them and in order.

    Examples
    --------
    >>> is_rgb([Channel(label="red"), Channel(label="green"), Channel(label="blue")], 3)
    False
    >>> is_rgb(rgb_channels(3, np.dtype("uint8")), 3)
    True
    """
    found = tuple(channel.extra.get(RGB_KEY) for channel in channels)
    return count in (3, 4) and found == RGB_COMPONENTS[:count]


def rgb_channels(count: int, dtype: np.dtype[Any]) -> tuple[Channel, ...]:
    """Return the channels of an RGB or RGBA layer: red, green and blue, which add up to what napari shows.

    Examples
    --------
    >>> [channel.label for channel in rgb_channels(4, np.dtype("uint8"))]
    ['red', 'green', 'blue', 'alpha']
    """
    colors = ("FF0000", "00FF00", "0000FF", "FFFFFF")
    low, high = dtype_limits(dtype)
    return tuple(
        Channel(
            label=name,
            color=color,
            window=Window(start=low, end=high, min=low, max=high),
            active=name != "alpha",  # other programs would add it to the colours
            extra={RGB_KEY: name},
        )
        for name, color in zip(RGB_COMPONENTS[:count], colors, strict=False)
    )
