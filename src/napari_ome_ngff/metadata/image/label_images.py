"""Label images: which a group lists, and how their values are shown (``image-label``); alike in all versions.

Colours and properties are decoration: reading never fails because of them. What cannot be understood is noted
and left out.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping
from itertools import islice

from napari_ome_ngff.errors import MetadataError
from napari_ome_ngff.metadata.json_checks import (
    Notes,
    as_integer,
    as_number,
    as_path,
    describe,
    objects_in,
    root,
)
from napari_ome_ngff.metadata.nouns import Json, LabelImage

_LABEL_KEYS = frozenset({"version", "colors", "properties", "source"})


_COLOR_KEYS = frozenset({"label-value", "rgba"})


_SOURCE = "../../"


_MOST_NAMES = 10_000


_MOST_VALUES = 200_000
"""Entries of a list that are looked at: reading more would take seconds."""


def decode_labels(attributes: Mapping[str, Json], *, where: str = "") -> tuple[str, ...]:
    """Return the names of the label images that a ``labels`` group lists.

    Parameters
    ----------
    attributes
        Attributes of the group, of any version.
    where
        Path or URL of the group, for warnings.

    Returns
    -------
    tuple of str
        Paths relative to the group, each once, in order; empty if nothing usable is listed.

    Warns
    -----
    OmeNgffWarning
        If something that is listed cannot be a path.

    Examples
    --------
    >>> decode_labels({"ome": {"labels": ["cells", "nuclei"]}})
    ('cells', 'nuclei')
    """
    own = attributes.get("ome")
    container, holder = ("ome", own) if isinstance(own, Mapping) and "labels" in own else ("", attributes)
    listed = holder.get("labels")
    notes, place = Notes(where), f"{root(where, container)}labels"
    if listed is not None and not isinstance(listed, list | tuple):
        notes.add(place, f"{describe(listed)}, ignored")
    names: dict[str, None] = {}
    items = listed if isinstance(listed, list | tuple) else ()
    if len(items) > _MOST_NAMES:
        notes.add(place, f"{len(items)} names, only the first {_MOST_NAMES} are read")
    for index, item in enumerate(items[:_MOST_NAMES]):
        number = isinstance(item, int) and not isinstance(item, bool) and 0 <= item < 10**9
        try:
            names[as_path(str(item) if number else item, where=place, what="label image")] = None
        except MetadataError:
            notes.add(f"{place}[{index}]", f"{describe(item)} is not a path, ignored")
    notes.warn()
    return tuple(names)


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
    color_extra: dict[int, Mapping[str, Json]] = {}
    for value, item, place in _values(label, "colors", where=where, notes=notes):
        # "MAY contain the rgba key", "Additional keys under colors are allowed"
        if "rgba" in item and (rgba := _decode_rgba(item["rgba"], where=place, notes=notes)):
            colors[value] = rgba
        others = {key: inner for key, inner in item.items() if key not in _COLOR_KEYS}
        color_extra.pop(value, None)
        if others or "rgba" not in item:
            color_extra[value] = others
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
        color_extra=color_extra,
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
    if isinstance(items, list | tuple) and len(items) > _MOST_VALUES:
        notes.add(f"{where}.{key}", f"{len(items)} entries, only the first {_MOST_VALUES} are read")
    for place, item in islice(objects_in(label, key, where=where, notes=notes), _MOST_VALUES):
        value = _decode_value(item.get("label-value"), where=place, notes=notes)
        if value is None:
            # "Each color object MUST contain the label-value key whose value MUST be an integer"
            if item:
                notes.add(place, f"label-value {describe(item.get('label-value'))}, ignored")
            continue
        if value in seen:
            # 0.4: "Clients who choose to not throw an error SHOULD ignore all except the _last_ entry."
            notes.add(place, f"label value {describe(value)} again, the last one counts")
        seen.add(value)
        given = item.get("label-value")
        yield value, item if given is value else {**item, "label-value": value}, place


def _decode_value(value: Json, *, where: str, notes: Notes) -> int | None:
    # "whose value MUST be an integer corresponding to a particular label"
    if isinstance(value, str) and len(value) < 20 and value.isdecimal():
        notes.add(f"{where}.label-value", f"{describe(value)}, read as an integer")
        return int(value)
    return as_integer(value)


def _decode_rgba(rgba: Json, *, where: str, notes: Notes) -> tuple[int, int, int, int] | None:
    # "an rgba key whose value MUST be an array of four integers between 0 and 255"
    items = rgba if isinstance(rgba, list | tuple) and len(rgba) in (3, 4) else ()
    if any(isinstance(item, float) for item in items) and all(
        0 <= (as_number(item) or 0) <= 1 for item in items
    ):
        notes.add(f"{where}.rgba", f"{describe(rgba)}, read as shares of 255")
        items = [None if (share := as_number(item)) is None else round(share * 255) for item in items]
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
    colors = [
        _others(label, value) | _encode_color(value, rgba, where=f"{where}.colors")
        for value, rgba in label.colors.items()
    ]
    plain = (value for value in label.color_extra if value not in label.colors)
    colors += [_others(label, value) | {"label-value": operator.index(value)} for value in plain]
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


def _others(label: LabelImage, value: int) -> dict[str, Json]:
    return {key: inner for key, inner in label.color_extra.get(value, {}).items() if key not in _COLOR_KEYS}


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
