"""Colours and contrast of channels and labels, in OME-Zarr's words and in napari's. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from napari_ome_ngff.channels import default_color, default_window
from napari_ome_ngff.label_tables import LABEL, Columns, cell, columns_of, rows_of
from napari_ome_ngff.metadata.nouns import Channel, Json, LabelImage, Window

Limits = tuple[float, float]


_FARTHEST = float(np.finfo(np.float32).max) / 4  # a slider reaches farther, and differences are finite


_NARROWEST = float(np.finfo(np.float32).tiny) * 16  # napari divides by it


RGB_KEY = "rgb_component"
"""Key in a channel's `extra` by which an RGB layer that we saved is known again."""


RGB_COMPONENTS = ("red", "green", "blue", "alpha")


COLORMAP_KEY = "napari_colormap"
"""Key in a channel's `extra` that names a colormap of napari, since OME-Zarr only has one colour."""


COLORMAPS = {
    "fire": "FF0000",
    "gist_earth": "FDFBFB",
    "gray_r": "FFFFFF",
    "HiLo": "FFFFFF",
    "hsv": "FF0018",
    "I Blue": "0033CC",
    "I Bordeaux": "CC0033",
    "I Forest": "009900",
    "I Orange": "FF7500",
    "I Purple": "7500FF",
    "ice": "FFFFFF",
    "inferno": "FCFFA4",
    "magma": "FCFDBF",
    "nan": "FFFFFF",
    "PiYG": "276419",
    "plasma": "F0F921",
    "turbo": "7A0403",
    "twilight": "E2D9E2",
    "twilight_shifted": "2F1436",
    "viridis": "FDE725",
}
"""napari's colormaps that are more than a ramp from black to a colour, and the colour that others see."""


_RAMP = 0.02


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
    """Return napari's name for the ramp to a colour; for None to that of a channel among several."""
    color = color or default_color(index, count)
    return _NAMED.get(color.upper(), f"#{color}")


def channel_colormap(channel: Channel, index: int, count: int) -> str:
    """Return napari's name for the colours of a channel: the colormap that it was saved with, or a ramp."""
    name = channel.extra.get(COLORMAP_KEY)
    # A program that does not know the key may have given the channel another colour since.
    saved = COLORMAPS.get(name) if isinstance(name, str) else None
    return str(name) if saved and saved == channel.color else colormap_for(channel.color, index, count)


def color_of(colormap: object) -> str | None:
    """Return the last colour of a napari colormap as ``"RRGGBB"``, or None if it has none.

    Of a colormap that ends in black, it is the last that can be seen. Layer tuples carry a mapping with
    ``"colors"``, a ``Colormap``, a name or ``"#RRGGBB"``.
    """
    if isinstance(colormap, str):
        text = colormap.removeprefix("#").upper()
        if colormap.startswith("#") and len(text) in (6, 8):
            return text[:6]
        named = next((color for color, name in _NAMED.items() if name == colormap.lower()), None)
        return named or COLORMAPS.get(colormap)
    colors = [_hexadecimal(color) for color in _colors(colormap)]
    return next((color for color in reversed(colors) if color != "000000"), colors[-1] if colors else None)


def colormap_name(colormap: object) -> str | None:
    """Return the name of a colormap of napari that is more than a ramp to a colour, else None."""
    colormap = _unwrapped(colormap)
    name = colormap if isinstance(colormap, str) else _part(colormap, "name")
    return name if isinstance(name, str) and COLORMAPS.get(name, "") == color_of(colormap) else None


def is_ramp(colormap: object) -> bool:
    """Return whether a colormap goes from black straight to one colour; True where it does not say."""
    colors = [color[:3] for color in _colors(colormap)]
    if len(colors) < 2:
        return not isinstance(colormap, str) or colormap not in COLORMAPS
    controls = _part(colormap, "controls")
    steps = np.linspace(0, 1, len(colors)) if controls is None or len(controls) != len(colors) else controls
    return bool(np.allclose(colors, np.outer(steps, colors[-1]), rtol=0, atol=_RAMP))


def _colors(colormap: object) -> list[Any]:
    """Colours of a colormap as numbers from 0 to 1; none of one that is only named."""
    colors = _part(_unwrapped(colormap), "colors")
    return [] if colors is None else [[float(part) for part in color] for color in colors]


def _unwrapped(colormap: object) -> object:
    """Return the colormap of ``(name, colormap)``, which napari accepts."""
    return colormap[1] if isinstance(colormap, tuple) and len(colormap) == 2 else colormap


def _part(colormap: object, name: str) -> Any:
    return colormap.get(name) if isinstance(colormap, Mapping) else getattr(colormap, name, None)


def _hexadecimal(color: Sequence[float]) -> str:
    return "{:02X}{:02X}{:02X}".format(*_bytes(color))


def dtype_limits(dtype: np.dtype[Any]) -> Limits:
    """Return the contrast limits that show every value of a data type; 0 to 1 for floating point."""
    window = default_window(dtype)
    return window.start or 0.0, window.end or 0.0


def window_limits(window: Window | None) -> Limits | None:
    """Return the contrast limits that a window asks for, or None if they cannot be shown."""
    if window is None or window.start is None or window.end is None:
        return None
    return usable_limits(window.start, window.end)


def usable_limits(low: float, high: float) -> Limits | None:
    """Return limits that graphics cards can tell apart and divide by in their single precision, or None."""
    with np.errstate(over="ignore"):
        start, end = np.float32(low), np.float32(high)
        fits = bool(np.isfinite(start) and np.isfinite(end) and _NARROWEST <= end - start < np.inf)
    return (float(low), float(high)) if fits else None


def limits_around(low: float, high: float) -> Limits | None:
    """Return limits that show values from `low` to `high`, however extreme; None if both are 0 or nearly so.

    Beyond what a graphics card can count they end there; of a single value they reach from it to 0.
    """
    low, high = (min(max(float(value), -_FARTHEST), _FARTHEST) for value in (low, high))
    return usable_limits(low, high) or usable_limits(min(low, 0.0), max(high, 0.0))


def slider_range(window: Window | None, limits: Limits, dtype: np.dtype[Any]) -> Limits:
    """Return the ends of the contrast slider, which enclose the limits."""
    # They are ``min`` and ``max`` of the window or, for types of one byte, the range of the type. What larger
    # types can hold says nothing about what they do hold, and a slider from 0 to 65535 cannot be set to 120:
    # there it reaches three times as far above the limits as they are apart, since fine levels are brighter
    # than the coarse one that the limits come from.
    low, high = limits
    given = None if window is None or window.min is None or window.max is None else (window.min, window.max)
    ends = None if given is None else usable_limits(*given)
    if ends is None and dtype.kind in "iu" and dtype.itemsize == 1:
        ends = dtype_limits(dtype)
    if ends is None:
        floor = 0.0 if low >= 0 else low - (high - low)
        top = high + 3 * (high - low)
        if dtype.kind in "iu":
            top = min(top, float(np.iinfo(dtype).max))
        ends = usable_limits(max(floor, low - (high - low)), top) or limits
    return usable_limits(min(ends[0], low), max(ends[1], high)) or limits


def window_of(limits: object, dtype: np.dtype[Any], previous: Window | None) -> Window:
    """Return the window of a layer's contrast limits; what is not known is None, and follows from the pixels.

    ``min`` and ``max`` of the `previous` window, that of the file, stay as far as they enclose the limits.
    What a type of one byte can hold is its range; what others can hold says nothing.
    """
    usual = default_window(dtype) if dtype.itemsize == 1 else Window()
    pair = [float(x) for x in limits if x is not None] if isinstance(limits, Sequence | np.ndarray) else []
    start, end = pair if len(pair) == 2 and all(map(math.isfinite, pair)) else (usual.start, usual.end)
    known = previous is not None and previous.min is not None and previous.max is not None
    low, high = (previous.min, previous.max) if previous is not None and known else (usual.min, usual.max)
    return Window(
        start=start,
        end=end,
        min=low if low is None or start is None else min(low, start),
        max=high if high is None or end is None else max(high, end),
        extra={} if previous is None else previous.extra,
    )


def is_rgb(channels: Sequence[Channel], count: int) -> bool:
    """Return whether these are the components of an RGB layer that we saved, all of them and in order."""
    components = tuple(channel.extra.get(RGB_KEY) for channel in channels)
    return count in (3, 4) and components == RGB_COMPONENTS[:count]


def rgb_channels(count: int, dtype: np.dtype[Any]) -> tuple[Channel, ...]:
    """Return the channels of an RGB or RGBA layer: colours that add up to what napari shows."""
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


Color = tuple[int, int, int, int]


LARGEST_WITHOUT_NUMBA = 2**16
"""Largest label that napari can give a colour of its own where numba is not installed."""


_UNLISTED = (0.6, 0.6, 0.6, 1.0)


_CLEAR = (0.0, 0.0, 0.0, 0.0)


def direct_colors(
    colors: Mapping[int, Color], dtype: np.dtype[Any], *, any_label: bool
) -> dict[int | None, tuple[float, ...]] | None:
    """Return colours per label as napari's Labels layers take them, or None if it cannot show them.

    Labels that the file gives no colour are gray; the background (0) is clear unless it has a colour. Without
    `any_label` napari can colour labels up to 65536 only: it has no numba.
    """
    low, high = (0, 1) if dtype.kind == "b" else (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
    shown = {label: color for label, color in colors.items() if low <= label <= high}
    if not shown:
        return None
    largest = max(abs(label) for label in shown) * (2 if min(shown) < 0 else 1)
    if largest > LARGEST_WITHOUT_NUMBA and not any_label:
        return None
    table: dict[int | None, tuple[float, ...]] = {None: _UNLISTED, 0: _CLEAR}
    table |= {label: tuple(part / 255 for part in color) for label, color in shown.items()}
    return table


def colors_of(colormap: object, previous: Mapping[int, Color]) -> dict[int, Color]:
    """Return the colour of each label that has one in a ``DirectLabelColormap`` or mapping.

    Other colormaps hold none: the `previous` colours of the file are kept, since napari cannot show all.
    """
    table = colormap if isinstance(colormap, Mapping) else getattr(colormap, "color_dict", None)
    if not isinstance(table, Mapping):
        return dict(previous)
    colors = {int(label): _bytes(color) for label, color in table.items() if label is not None}
    if 0 not in previous and colors.get(0, (0, 0, 0, 0))[3] == 0:
        colors.pop(0, None)  # the clear background is napari's, not the file's
    return colors


def _bytes(color: Sequence[float]) -> Color:
    parts = [round(255 * min(max(float(part), 0.0), 1.0)) for part in color]
    red, green, blue, alpha = [*parts, 255][:4]
    return red, green, blue, alpha


def features_table(label_image: LabelImage) -> Any:
    """Return the properties of labels as columns for napari, the label values in the column ``index``.

    A value that a label does not have is None. Properties that are themselves called ``index`` get the name
    ``index_``, since napari takes that column for the label values. A large table is read now, and is a
    DataFrame: from one napari keeps the types of its columns. None if there are no properties.
    """
    columns = columns_of(label_image.properties) if label_image.table is None else label_image.table
    if len(columns) < 2:
        return None
    names = [LABEL, *(name for name in columns if name != LABEL)]
    renamed = {{LABEL: "index", "index": "index_"}.get(name, name): columns[name] for name in names}
    if label_image.table is None:
        return renamed
    import pandas

    return pandas.DataFrame(renamed)


def properties_of(features: Any) -> tuple[dict[str, Json], ...]:
    """Return the rows of a features table as properties of labels, without what is missing.

    The column ``index`` holds the label values; without one the row number is the label, as in napari.
    """
    columns = table_of(features)[0]
    rows = () if columns is None else rows_of(columns)
    if all(len(row) == 1 for row in rows):
        return ()
    return tuple(row for row in rows if len(row) > 1 or row[LABEL] != 0)


def table_of(features: Any) -> tuple[Columns | None, int]:
    """Return the columns of a features table by label, and how many rows belong to no label of their own."""
    if features is None or len(features) == 0:
        return None, 0
    columns = {str(name): features[name] for name in features}
    labels = columns.pop("index", None)
    if not columns:
        return None, 0
    count = max(map(len, columns.values())) if labels is None else len(labels)
    values, rows = _labels_in(np.arange(count) if labels is None else labels)
    return {LABEL: values} | {name: _taken(column, rows) for name, column in columns.items()}, count - len(
        rows
    )


def _labels_in(column: Any) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The labels in a column, and the rows that they are in: of several with one label the last."""
    values = np.asarray(column)
    if values.dtype.kind not in "biuf":
        cells = [cell(value) for value in column]
        values = np.array([each if isinstance(each, int | float) else np.nan for each in cells])
    rows = (
        np.flatnonzero(np.isfinite(values) & (values % 1 == 0))
        if values.dtype.kind == "f"
        else np.arange(len(values))
    )
    values = values[rows] if values.dtype.kind in "iu" else values[rows].astype("i8")
    # "Each label-value SHOULD be unique" (0.4 and later, "labels metadata"): the last row counts.
    last = np.sort(len(values) - 1 - np.unique(values[::-1], return_index=True)[1])
    return values[last], rows[last]


def _taken(column: Any, rows: np.ndarray[Any, Any]) -> Any:
    if hasattr(column, "iloc"):
        return column.iloc[rows]
    return column[rows] if isinstance(column, np.ndarray) else [column[row] for row in rows]
