"""Label images, in all versions: which a group lists, and how their values are shown (``image-label``).

Colours and properties are decoration: reading never fails because of them. What cannot be understood is noted
and left out.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping

from napari_ome_ngff.errors import MetadataError
from napari_ome_ngff.metadata.context import Context
from napari_ome_ngff.metadata.group_kind import holder_of
from napari_ome_ngff.metadata.json_checks import (
    as_integer,
    as_number,
    as_path,
    describe,
    first_items,
    number_as_text,
    objects_in,
    without_keys,
)
from napari_ome_ngff.metadata.nouns import Json, LabelImage

_LABEL_KEYS = frozenset({"version", "colors", "properties", "source"})

_COLOR_KEYS = frozenset({"label-value", "rgba"})

_SOURCE = "../../"

_MOST_NAMES = 10_000

MOST_LABELS = 1000
"""Label images that are opened of one image."""

_MOST_VALUES = 200_000
"""Entries of a list that are read: reading more would take seconds."""


def decode_labels(attributes: Mapping[str, Json], *, where: str = "") -> tuple[str, ...]:
    """Return the paths of the label images that a ``labels`` group lists, each once; `where` is its location.

    Warns if something that is listed cannot be a path; nothing usable is no error.
    """
    container, holder = holder_of(attributes, "labels")
    listed, context = holder.get("labels"), Context.of(where).below(container, "labels")
    if listed is not None and not isinstance(listed, list | tuple):
        context.note(f"{describe(listed)}, ignored")
        listed = None
    names: dict[str, None] = {}
    for index, item in enumerate(first_items(listed or [], _MOST_NAMES, context, "names")):
        try:
            names[as_path(number_as_text(item), context, "label image")] = None
        except MetadataError:
            context.below(index).note(f"{describe(item)} is not a path, ignored")
    context.warn()
    return tuple(names)


def decode_label_image(label: Json, context: Context) -> LabelImage | None:
    """Return what makes a multiscale a label image; None if ``image-label`` is missing or null."""
    if label is None:
        return None
    if not isinstance(label, Mapping):
        context.note(f"{describe(label)}, ignored")
        return LabelImage()
    colors: dict[int, tuple[int, int, int, int]] = {}
    color_extra: dict[int, Mapping[str, Json]] = {}
    for value, item, at in _values(label, "colors", context):
        # "MAY contain the rgba key", "Additional keys under colors are allowed"
        if "rgba" in item and (rgba := _decode_rgba(item["rgba"], at)):
            colors[value] = rgba
        others = without_keys(item, _COLOR_KEYS)
        color_extra.pop(value, None)
        if others or "rgba" not in item:
            color_extra[value] = others
    properties = {value: item for value, item, _ in _values(label, "properties", context)}
    extra = without_keys(label, _LABEL_KEYS)
    source = label.get("source")
    image = source.get("image") if isinstance(source, Mapping) else None
    if source is not None and not isinstance(image, str | None):
        context.below("source").note(f"{describe(source)}, ignored")
    elif isinstance(source, Mapping) and (others := without_keys(source, ("image",))):
        extra["source"] = others
    return LabelImage(
        colors=colors,
        color_extra=color_extra,
        properties=tuple(properties.values()),
        source=image if isinstance(image, str) else None,
        extra=extra,
    )


def _values(
    label: Mapping[str, Json], key: str, context: Context
) -> Iterator[tuple[int, Mapping[str, Json], Context]]:
    """Yield label value, content and place of each usable entry of ``colors`` or ``properties``."""
    seen: set[int] = set()
    items = label.get(key)
    if isinstance(items, list | tuple) and not items:
        context.below(key).note("an empty list, ignored")
    for at, item in objects_in(label, key, context, _MOST_VALUES):
        given = item.get("label-value")
        value = _decode_value(given, at)
        if value is None:
            # "Each color object MUST contain the label-value key whose value MUST be an integer"
            if item:
                at.note(f"label-value {describe(given)}, ignored")
            continue
        if value in seen:
            # 0.4: "Clients who choose to not throw an error SHOULD ignore all except the _last_ entry."
            at.note(f"label value {describe(value)} again, the last one counts")
        seen.add(value)
        yield value, item if given is value else {**item, "label-value": value}, at


def _decode_value(value: Json, context: Context) -> int | None:
    # "whose value MUST be an integer corresponding to a particular label"
    if isinstance(value, str) and len(value) < 20 and value.isdecimal():
        context.below("label-value").note(f"{describe(value)}, read as an integer")
        return int(value)
    return as_integer(value)


def _decode_rgba(rgba: Json, context: Context) -> tuple[int, int, int, int] | None:
    # "an rgba key whose value MUST be an array of four integers between 0 and 255"
    items = rgba if isinstance(rgba, list | tuple) and len(rgba) in (3, 4) else ()
    if any(isinstance(item, float) for item in items) and all(
        0 <= (as_number(item) or 0) <= 1 for item in items
    ):
        context.below("rgba").note(f"{describe(rgba)}, read as shares of 255")
        items = [None if (share := as_number(item)) is None else round(share * 255) for item in items]
    numbers = [number for number in map(as_integer, items) if number is not None and 0 <= number <= 255]
    if len(numbers) == 4:
        return numbers[0], numbers[1], numbers[2], numbers[3]
    if len(numbers) == 3 == len(items):
        context.below("rgba").note("three numbers, read as an opaque colour")
        return numbers[0], numbers[1], numbers[2], 255
    context.below("rgba").note(f"{describe(rgba)} instead of four integers from 0 to 255, ignored")
    return None


def encode_label_image(label: LabelImage, context: Context) -> dict[str, Json]:
    """Return the value of ``image-label``, without version.

    A source of None is written as the specification's default, ``"../../"``. If some values have properties,
    all that have a colour are listed among them.
    """
    at = context.below("colors")
    colors = [
        _other_keys(label, value) | _encode_color(value, rgba, at) for value, rgba in label.colors.items()
    ]
    plain = (value for value in label.color_extra if value not in label.colors)
    colors += [_other_keys(label, value) | {"label-value": operator.index(value)} for value in plain]
    at = context.below("properties")
    properties = [_encode_property(entry, at) for entry in label.properties]
    values = {entry["label-value"] for entry in properties}
    if len(values) < len(properties):
        raise at.error("Two properties have the same label value.")
    if properties:
        # ome-zarr-models, and with it napari-ome-zarr, refuse colours of values that have no properties. It
        # refuses the reverse too, but nobody here can tell the colour of a value.
        properties += [{"label-value": value} for value in label.colors if value not in values]
    # The schemas want at least one entry where there is a list.
    item: dict[str, Json] = {"colors": colors} if colors else {}
    item |= {"properties": properties} if properties else {}
    others = label.extra.get("source")
    # 'a key image whose value MUST be a string specifying the relative path to a Zarr image group'
    item["source"] = (dict(others) if isinstance(others, Mapping) else {}) | {
        "image": _SOURCE if label.source is None else str(label.source)
    }
    return item | without_keys(label.extra, _LABEL_KEYS)


def _other_keys(label: LabelImage, value: int) -> dict[str, Json]:
    return without_keys(label.color_extra.get(value, {}), _COLOR_KEYS)


def _encode_color(value: Json, rgba: Json, context: Context) -> dict[str, Json]:
    try:
        numbers = [operator.index(number) for number in rgba]
        color = {"label-value": operator.index(value), "rgba": numbers}
    except TypeError as error:
        raise context.error("A label's colour is not made of integers.") from error
    if len(numbers) != 4 or not all(0 <= number <= 255 for number in numbers):
        raise context.error(
            "A label's colour must be four integers from 0 to 255.",
            found=f"{describe(numbers)} for label {describe(color['label-value'])}",
        )
    return color


def _encode_property(entry: Mapping[str, Json], context: Context) -> dict[str, Json]:
    try:
        return {**entry, "label-value": operator.index(entry["label-value"])}
    except (TypeError, KeyError) as error:
        raise context.error(
            "The properties of a label must have an integer under 'label-value'.", found=describe(entry)
        ) from error
