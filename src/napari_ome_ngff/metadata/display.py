"""How an image is shown: ``omero`` for channels, ``image-label`` for label images; alike in all versions.

Both are decoration: reading never fails because of them. What cannot be understood is noted and left out.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator, Mapping

from napari_ome_ngff.errors import MetadataError
from napari_ome_ngff.metadata.checks import Notes, as_integer, as_number, describe
from napari_ome_ngff.metadata.model import Channel, Json, LabelImage, Multiscale, Window

_WINDOW_KEYS = ("start", "end", "min", "max")
_CHANNEL_KEYS = frozenset({"label", "color", "window", "active"})
_LABEL_KEYS = frozenset({"version", "colors", "properties", "source"})
_COLOR = re.compile(r"#?([0-9A-Fa-f]{6})")
_SOURCE = "../../"


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
    channels = tuple(
        _decode_channel(item, where=place, notes=notes)
        for place, item in _items(omero, "channels", where=where, notes=notes)
    )
    return channels, extra


def _items(
    parent: Mapping[str, Json], key: str, *, where: str, notes: Notes
) -> Iterator[tuple[str, Mapping[str, Json]]]:
    """Yield place and content of the objects in a list; one that is no object is yielded as empty."""
    items = parent.get(key)
    if items is None:
        return
    if not isinstance(items, list | tuple):
        notes.add(f"{where}.{key}", f"{describe(items)}, ignored")
        return
    for index, item in enumerate(items):
        place = f"{where}.{key}[{index}]"
        if not isinstance(item, Mapping):
            notes.add(place, f"{describe(item)}, ignored")
            item = {}
        yield place, item


def _decode_channel(item: Mapping[str, Json], *, where: str, notes: Notes) -> Channel:
    label, color, active = item.get("label"), item.get("color"), item.get("active", True)
    if label is not None and not isinstance(label, str):
        notes.add(f"{where}.label", f"{describe(label)}, read as text")
        label = describe(label)
    match = _COLOR.fullmatch(color) if isinstance(color, str) else None
    if match is None or color != match[1]:
        # 'MUST contain the field "color", which is a string of 6 hexadecimal digits'
        notes.add(f"{where}.color", f"{describe(color)} instead of six hexadecimal digits")
    if not isinstance(active, bool):
        notes.add(f"{where}.active", f"{describe(active)} instead of true or false")
        active = active != 0
    return Channel(
        label=label,
        color=match[1].upper() if match else None,
        window=_decode_window(item.get("window"), where=f"{where}.window", notes=notes),
        active=active,
        extra={key: value for key, value in item.items() if key not in _CHANNEL_KEYS},
    )


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
    return Window(**limits) if any(limit is not None for limit in limits.values()) else None


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
    shown = {"color": color.upper(), "active": bool(channel.active), "window": limits}
    return label | shown | {k: v for k, v in channel.extra.items() if k not in _CHANNEL_KEYS}


def decode_label_image(label: Json, *, where: str, notes: Notes) -> LabelImage | None:
    """Return what makes a multiscale a label image, or None if it is not one.

    Parameters
    ----------
    label
        Value of ``image-label``; null counts as missing.
    where
        Location and JSON path of it.
    notes
        Where to note what breaks a rule.

    Examples
    --------
    >>> decode_label_image(
    ...     {"colors": [{"label-value": 1, "rgba": [255, 0, 0, 255]}]}, where="", notes=Notes("")
    ... ).colors
    {1: (255, 0, 0, 255)}
    """
    if label is None:
        return None
    if not isinstance(label, Mapping):
        notes.add(where, f"{describe(label)}, ignored")
        return LabelImage()
    colors: dict[int, tuple[int, int, int, int]] = {}
    for value, item, place in _values(label, "colors", where=where, notes=notes):
        # "It MAY contain an rgba key"
        if "rgba" in item and (rgba := _decode_rgba(item["rgba"], where=place, notes=notes)):
            colors[value] = rgba
    properties = {value: item for value, item, _ in _values(label, "properties", where=where, notes=notes)}
    extra = {key: value for key, value in label.items() if key not in _LABEL_KEYS}
    source = label.get("source")
    image = source.get("image") if isinstance(source, Mapping) else None
    if source is not None and not isinstance(image, str | None):
        notes.add(f"{where}.source", f"{describe(source)}, ignored")
    elif isinstance(source, Mapping) and (others := {k: v for k, v in source.items() if k != "image"}):
        extra["source"] = others
    return LabelImage(
        colors=colors,
        properties=tuple(properties.values()),
        source=image if isinstance(image, str) else None,
        extra=extra,
    )


def _values(
    label: Mapping[str, Json], key: str, *, where: str, notes: Notes
) -> Iterator[tuple[int, Mapping[str, Json], str]]:
    """Yield label value, content and place of each usable entry of ``colors`` or ``properties``."""
    seen: set[int] = set()
    items = label.get(key)
    if isinstance(items, list | tuple) and not items:
        notes.add(f"{where}.{key}", "an empty list, ignored")
    for place, item in _items(label, key, where=where, notes=notes):
        value = as_integer(item.get("label-value"))
        if value is None:
            # "Each color object MUST contain the label-value key whose value MUST be an integer"
            if item:
                notes.add(place, f"label-value {describe(item.get('label-value'))}, ignored")
            continue
        if value in seen:
            # 0.4: "Clients who choose to not throw an error SHOULD ignore all except the _last_ entry."
            notes.add(place, f"label value {describe(value)} again, the last one counts")
        seen.add(value)
        yield value, item | {"label-value": value} if isinstance(item, dict) else item, place


def _decode_rgba(rgba: Json, *, where: str, notes: Notes) -> tuple[int, int, int, int] | None:
    # "an rgba key whose value MUST be an array of four integers between 0 and 255"
    items = rgba if isinstance(rgba, list | tuple) and len(rgba) in (3, 4) else ()
    numbers = [number for number in map(as_integer, items) if number is not None and 0 <= number <= 255]
    if len(numbers) == 4:
        return numbers[0], numbers[1], numbers[2], numbers[3]
    if len(numbers) == 3 == len(items):
        notes.add(f"{where}.rgba", "three numbers, read as an opaque colour")
        return numbers[0], numbers[1], numbers[2], 255
    notes.add(f"{where}.rgba", f"{describe(rgba)} instead of four integers from 0 to 255, ignored")
    return None


def encode_label_image(label: LabelImage, *, version: str | None, where: str) -> dict[str, Json]:
    """Return the value of ``image-label``.

    Parameters
    ----------
    label
        A source of None is written as the specification's default, ``"../../"``. If some values have
        properties, all that have a colour are listed among them.
    version
        Value of ``image-label.version`` (0.4), or None for none (0.5 and later).
    where
        JSON path of it, for errors.

    Raises
    ------
    MetadataError
        If a colour is not four integers from 0 to 255, or a label value is missing, not an integer or
        occurs twice.

    Examples
    --------
    >>> encode_label_image(LabelImage(colors={1: (255, 0, 0, 255)}), version=None, where="image-label")
    {'colors': [{'label-value': 1, 'rgba': [255, 0, 0, 255]}], 'source': {'image': '../../'}}
    """
    item: dict[str, Json] = {"version": version} if version else {}
    colors = [_encode_color(value, rgba, where=f"{where}.colors") for value, rgba in label.colors.items()]
    properties = [_encode_property(entry, where=f"{where}.properties") for entry in label.properties]
    values = [entry["label-value"] for entry in properties]
    if len(set(values)) < len(values):
        raise MetadataError("Two properties have the same label value.", where=f"{where}.properties")
    if properties:
        # ome-zarr-models, and with it napari-ome-zarr, refuse colours of values that have no properties. It
        # refuses the reverse too, but nobody here can tell the colour of a value.
        known = set(values)
        properties += [{"label-value": value} for value in label.colors if value not in known]
    # The schemas want at least one entry where there is a list.
    item |= {"colors": colors} if colors else {}
    item |= {"properties": properties} if properties else {}
    others = label.extra.get("source")
    # 'a key image whose value MUST be a string specifying the relative path to a Zarr image group'
    item["source"] = (dict(others) if isinstance(others, Mapping) else {}) | {
        "image": _SOURCE if label.source is None else str(label.source)
    }
    return item | {key: value for key, value in label.extra.items() if key not in _LABEL_KEYS}


def _encode_color(value: Json, rgba: Json, *, where: str) -> dict[str, Json]:
    try:
        numbers = [operator.index(number) for number in rgba]
        color = {"label-value": operator.index(value), "rgba": numbers}
    except TypeError as error:
        raise MetadataError("A label's colour is not made of integers.", where=where) from error
    if len(numbers) != 4 or not all(0 <= number <= 255 for number in numbers):
        raise MetadataError(
            "A label's colour must be four integers from 0 to 255.",
            where=where,
            found=f"{describe(numbers)} for label {describe(color['label-value'])}",
        )
    return color


def _encode_property(entry: Mapping[str, Json], *, where: str) -> dict[str, Json]:
    try:
        return {**entry, "label-value": operator.index(entry["label-value"])}
    except (TypeError, KeyError) as error:
        raise MetadataError(
            "The properties of a label must have an integer under 'label-value'.",
            where=where,
            found=describe(entry),
        ) from error
