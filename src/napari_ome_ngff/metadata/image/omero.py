"""How the channels of an image are shown (``omero``), in all versions.

This is decoration: reading never fails because of it. What cannot be understood is noted and left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from napari_ome_ngff.metadata.context import Context
from napari_ome_ngff.metadata.json_checks import as_number, describe, number_in, objects_in, without_keys
from napari_ome_ngff.metadata.nouns import Channel, Json, Multiscale, Window

_WINDOW_KEYS = ("start", "end", "min", "max")

_OMERO_KEYS = ("channels", "version")

_CHANNEL_KEYS = frozenset({"label", "color", "window", "active"})

_COLOR = re.compile(r"(?:#|0[xX])?([0-9A-Fa-f]{6}|[0-9A-Fa-f]{3}|[0-9A-Fa-f]{8})")

_NAMED_COLORS = MappingProxyType(
    {
        "red": "FF0000",
        "green": "00FF00",
        "blue": "0000FF",
        "cyan": "00FFFF",
        "magenta": "FF00FF",
        "yellow": "FFFF00",
        "white": "FFFFFF",
        "gray": "FFFFFF",
        "grey": "FFFFFF",
    }
)

_MOST_CHANNELS = 10_000

_NO = frozenset({"", "0", "false", "no", "off"})


def decode_omero(omero: Json, context: Context) -> tuple[tuple[Channel, ...], dict[str, Json]]:
    """Return the channels of an image and the other keys of ``omero``; null counts as missing."""
    if omero is None:
        return (), {}
    if not isinstance(omero, Mapping):
        context.note(f"{describe(omero)}, ignored")
        return (), {}
    listed = list(objects_in(omero, "channels", context, _MOST_CHANNELS))
    others = without_keys(omero, _OMERO_KEYS)
    if all(item.keys() == {"label"} and isinstance(item["label"], str | int) for _, item in listed):
        return tuple(Channel(label=str(item["label"])) for _, item in listed), others  # as SpatialData does
    return tuple(_decode_channel(item, at) for at, item in listed), others


def is_greyscale(omero_extra: Mapping[str, Json]) -> bool:
    """Return whether ``rdefs.model`` wants an image to be shown without the colours of its channels."""
    rdefs = omero_extra.get("rdefs")
    model = rdefs.get("model") if isinstance(rdefs, Mapping) else None
    # OMERO, from which this comes, spells it either way.
    return isinstance(model, str) and model[:20].lower() in ("greyscale", "grayscale")


def _decode_channel(item: Mapping[str, Json], context: Context) -> Channel:
    label, active = item.get("label"), item.get("active", True)
    if label is not None and not isinstance(label, str):
        context.below("label").note(f"{describe(label)} instead of text")
        label = describe(label) if isinstance(label, int | float) else None
    if not isinstance(active, bool):
        context.below("active").note(f"{describe(active)} instead of true or false")
        active = active != 0 if not isinstance(active, str) else active[:20].strip().lower() not in _NO
    return Channel(
        label=label,
        color=_decode_color(item.get("color"), context.below("color")),
        window=_decode_window(item.get("window"), context.below("window")),
        active=active,
        extra=without_keys(item, _CHANNEL_KEYS),
    )


def _decode_color(color: Json, context: Context) -> str | None:
    text = color.strip() if isinstance(color, str) and len(color) < 40 else ""
    match = _COLOR.fullmatch(text)
    digits = _NAMED_COLORS.get(text.lower()) if match is None else match[1].upper()
    if digits is None or digits != color.upper() or len(digits) != 6:
        # 'MUST contain the field "color", which is a string of 6 hexadecimal digits'
        context.note(f"{describe(color)} instead of six hexadecimal digits")
    if digits is None or len(digits) == 6:
        return digits
    # As on the web: three digits stand for six, and the last two of eight say how opaque it is.
    return "".join(digit * 2 for digit in digits) if len(digits) == 3 else digits[:6]


def _decode_window(window: Json, context: Context) -> Window | None:
    # 'MUST contain the fields "min" and "max" ... It MUST also contain the fields "start" and "end"'
    if not isinstance(window, Mapping):
        context.note(f"{describe(window)} instead of an object with limits")
        return None
    limits: dict[str, float | None] = {}
    for key in _WINDOW_KEYS:
        value = window.get(key)
        limits[key] = number_in(value)
        if isinstance(value, str) or limits[key] is None:
            context.below(key).note(f"{describe(value)} instead of a number")
    extra = without_keys(window, _WINDOW_KEYS)
    usable = extra or any(limit is not None for limit in limits.values())
    return Window(**limits, extra=extra) if usable else None


def encode_omero(multiscale: Multiscale, context: Context) -> dict[str, Json]:
    """Return the value of ``omero``, without version; empty if there are no channels to describe."""
    # 'The "omero" metadata is optional, but if present it MUST contain the field "channels"'
    if not multiscale.channels:
        return {}
    at = context.below("channels")
    if len(multiscale.channels) > 1 and multiscale.channel_axis is None:
        raise at.error(
            "Several channels are described, but the image has no channel axis.",
            found=f"{len(multiscale.channels)} channels, axes {', '.join(multiscale.dims)}",
        )
    channels = [
        _encode_channel(channel, at.below(index)) for index, channel in enumerate(multiscale.channels)
    ]
    return {"channels": channels} | without_keys(multiscale.omero_extra, _OMERO_KEYS)


def _encode_channel(channel: Channel, context: Context) -> dict[str, Json]:
    color, window = channel.color, channel.window
    if not isinstance(color, str) or not re.fullmatch("[0-9A-Fa-f]{6}", color):
        raise context.below("color").error(
            "Each channel must have a colour.",
            found=describe(color),
            expected="six hexadecimal digits without '#', such as 'FF0000'",
        )
    limits = {key: as_number(getattr(window, key, None)) for key in _WINDOW_KEYS}
    if any(limit is None for limit in limits.values()):
        raise context.below("window").error(
            "Each channel must have a window.",
            found=describe({key: limit for key, limit in limits.items() if limit is not None}),
            expected="finite numbers for start, end, min and max",
        )
    label = {} if channel.label is None else {"label": str(channel.label)}
    others = {} if window is None else without_keys(window.extra, _WINDOW_KEYS)
    shown = {"color": color.upper(), "active": bool(channel.active), "window": limits | others}
    return label | shown | without_keys(channel.extra, _CHANNEL_KEYS)
