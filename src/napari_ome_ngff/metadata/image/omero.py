"""How the channels of an image are shown (``omero``); alike in all versions.

This is decoration: reading never fails because of it. What cannot be understood is noted and left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import islice
from types import MappingProxyType

from napari_ome_ngff.errors import MetadataError
from napari_ome_ngff.metadata.json_checks import Notes, as_number, describe, objects_in
from napari_ome_ngff.metadata.nouns import Channel, Json, Multiscale, Window

_WINDOW_KEYS = ("start", "end", "min", "max")


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


def decode_omero(omero: Json, *, where: str, notes: Notes) -> tuple[tuple[Channel, ...], dict[str, Json]]:
    """Return the channels of an image and the other keys of ``omero``.

    Parameters
    ----------
    omero
        Value of ``omero``; null counts as missing.
    where
        Location and JSON path of it.
    notes
        Where to note what breaks a rule.

    Examples
    --------
    >>> decode_omero({"channels": [{"color": "#ff0000"}], "id": 1}, where="omero", notes=Notes(""))
    ((Channel(label=None, color='FF0000', window=None, active=True, extra={}),), {'id': 1})
    """
    if omero is None:
        return (), {}
    if not isinstance(omero, Mapping):
        notes.add(where, f"{describe(omero)}, ignored")
        return (), {}
    extra = {key: value for key, value in omero.items() if key not in ("channels", "version")}
    listed = objects_in(omero, "channels", where=where, notes=notes)
    channels = tuple(
        _decode_channel(item, where=place, notes=notes) for place, item in islice(listed, _MOST_CHANNELS)
    )
    if next(listed, None) is not None:
        notes.add(f"{where}.channels", f"only the first {_MOST_CHANNELS} are read")
    return channels, extra


def is_greyscale(omero_extra: Mapping[str, Json]) -> bool:
    """Return whether an image is to be shown without the colours of its channels.

    Parameters
    ----------
    omero_extra
        Keys of ``omero`` besides ``channels``; ``rdefs.model`` is ``"color"`` or ``"greyscale"``.

    Examples
    --------
    >>> is_greyscale({"rdefs": {"model": "greyscale"}}), is_greyscale({})
    (True, False)
    """
    rdefs = omero_extra.get("rdefs")
    model = rdefs.get("model") if isinstance(rdefs, Mapping) else None
    # OMERO, from which this comes, spells it either way.
    return isinstance(model, str) and model[:20].lower() in ("greyscale", "grayscale")


def _decode_channel(item: Mapping[str, Json], *, where: str, notes: Notes) -> Channel:
    label, active = item.get("label"), item.get("active", True)
    if label is not None and not isinstance(label, str):
        notes.add(f"{where}.label", f"{describe(label)} instead of text")
        label = describe(label) if isinstance(label, int | float) else None
    if not isinstance(active, bool):
        notes.add(f"{where}.active", f"{describe(active)} instead of true or false")
        active = active != 0 if not isinstance(active, str) else active[:20].strip().lower() not in _NO
    return Channel(
        label=label,
        color=_decode_color(item.get("color"), where=f"{where}.color", notes=notes),
        window=_decode_window(item.get("window"), where=f"{where}.window", notes=notes),
        active=active,
        extra={key: value for key, value in item.items() if key not in _CHANNEL_KEYS},
    )


def _decode_color(color: Json, *, where: str, notes: Notes) -> str | None:
    text = color.strip() if isinstance(color, str) and len(color) < 40 else ""
    match = _COLOR.fullmatch(text)
    digits = _NAMED_COLORS.get(text.lower()) if match is None else match[1].upper()
    if digits is None or digits != color.upper() or len(digits) != 6:
        # 'MUST contain the field "color", which is a string of 6 hexadecimal digits'
        notes.add(where, f"{describe(color)} instead of six hexadecimal digits")
    if digits is None or len(digits) == 6:
        return digits
    # As on the web: three digits stand for six, and the last two of eight say how opaque it is.
    return "".join(digit * 2 for digit in digits) if len(digits) == 3 else digits[:6]


def _decode_window(window: Json, *, where: str, notes: Notes) -> Window | None:
    # 'MUST contain the fields "min" and "max" ... It MUST also contain the fields "start" and "end"'
    if not isinstance(window, Mapping):
        notes.add(where, f"{describe(window)} instead of an object with limits")
        return None
    limits: dict[str, float | None] = {}
    for key in _WINDOW_KEYS:
        value = window.get(key)
        limits[key] = _text_number(value) if isinstance(value, str) else as_number(value)
        if isinstance(value, str) or limits[key] is None:
            notes.add(f"{where}.{key}", f"{describe(value)} instead of a number")
    extra = {key: value for key, value in window.items() if key not in _WINDOW_KEYS}
    known = extra or any(limit is not None for limit in limits.values())
    return Window(**limits, extra=extra) if known else None


def _text_number(text: str) -> float | None:
    try:
        return as_number(float(text))
    except ValueError:
        return None


def encode_omero(multiscale: Multiscale, *, version: str | None, where: str) -> dict[str, Json]:
    """Return the value of ``omero``, or an empty dict if there are no channels to describe.

    Parameters
    ----------
    multiscale
        The image.
    version
        Value of ``omero.version`` (0.4), or None for none (0.5 and later).
    where
        JSON path of it, for errors.

    Raises
    ------
    MetadataError
        If a channel has no colour or no complete window, or there are several channels and no axis for them.

    Examples
    --------
    >>> window = Window(start=0, end=9, min=0, max=255)
    >>> channel = Channel(color="FF0000", window=window)
    >>> encode_omero(
    ...     Multiscale(version="0.5", axes=(), levels=(), channels=(channel,)), version=None, where="omero"
    ... )
    {'channels': [{'color': 'FF0000', 'active': True, 'window': {'start': 0.0, ..., 'max': 255.0}}]}
    """
    # 'The "omero" metadata is optional, but if present it MUST contain the field "channels"'
    if not multiscale.channels:
        return {}
    if len(multiscale.channels) > 1 and multiscale.channel_axis is None:
        raise MetadataError(
            "Several channels are described, but the image has no channel axis.",
            where=f"{where}.channels",
            found=f"{len(multiscale.channels)} channels, axes {', '.join(multiscale.dims)}",
        )
    channels = [
        _encode_channel(channel, where=f"{where}.channels[{index}]")
        for index, channel in enumerate(multiscale.channels)
    ]
    return (
        ({"version": version} if version else {})
        | {"channels": channels}
        | {key: v for key, v in multiscale.omero_extra.items() if key not in ("channels", "version")}
    )


def _encode_channel(channel: Channel, *, where: str) -> dict[str, Json]:
    color, window = channel.color, channel.window
    if not isinstance(color, str) or not re.fullmatch("[0-9A-Fa-f]{6}", color):
        raise MetadataError(
            "Each channel must have a colour.",
            where=f"{where}.color",
            found=describe(color),
            expected="six hexadecimal digits without '#', such as 'FF0000'",
        )
    limits = {key: as_number(getattr(window, key, None)) for key in _WINDOW_KEYS}
    if any(limit is None for limit in limits.values()):
        raise MetadataError(
            "Each channel must have a window.",
            where=f"{where}.window",
            found=describe({key: limit for key, limit in limits.items() if limit is not None}),
            expected="finite numbers for start, end, min and max",
        )
    label = {} if channel.label is None else {"label": str(channel.label)}
    others = {} if window is None else {k: v for k, v in window.extra.items() if k not in _WINDOW_KEYS}
    shown = {"color": color.upper(), "active": bool(channel.active), "window": limits | others}
    return label | shown | {k: v for k, v in channel.extra.items() if k not in _CHANNEL_KEYS}
