"""Which fields the wells of a plate have, from documents that are fetched together.

Four waves, however many wells: the wells, their fields, the finest level of each field, and what belongs to
label images. What is missing or damaged is left out, with one warning for each reason.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_ome_ngff.errors import OmeNgffError
from napari_ome_ngff.metadata.collections.plates import decode_well
from napari_ome_ngff.metadata.group_kind import kind_of
from napari_ome_ngff.metadata.image.datasets import placed_by_shapes
from napari_ome_ngff.metadata.image.label_images import decode_labels
from napari_ome_ngff.metadata.nouns import Field, Json, Multiscale, PlateWell
from napari_ome_ngff.metadata.versions import decode
from napari_ome_ngff.reading.label_columns import with_tables
from napari_ome_ngff.reading.omissions import LeftOut, warned_once
from napari_ome_ngff.storage.places.location import join

if TYPE_CHECKING:
    from napari_ome_ngff.storage.documents.hierarchy import Hierarchy

MAX_FIELDS = 100_000
"""Fields of a plate that are opened; each costs two documents."""


_MAX_RECENT = 5  # metadata that are compared with those of the next field


@dataclass(frozen=True, kw_only=True)
class _ListedField:
    """Where a field should be: `path` is that of its image in the hierarchy."""

    well: PlateWell
    field: Field
    path: str


@dataclass(frozen=True, kw_only=True)
class FieldImage(_ListedField):
    """A field that can be shown, with the shape of its finest level.

    `labels` are what the metadata of its label images say, by name.
    """

    multiscale: Multiscale
    shape: tuple[int, ...]
    labels: Mapping[str, Multiscale] = dataclasses.field(default_factory=dict)


def find_fields(
    hierarchy: Hierarchy, wells: Sequence[PlateWell], *, field_count: int | None = None
) -> list[FieldImage]:
    """Find the fields of wells that can be shown together: of the same axes, their finest level there.

    Documents of all levels are fetched for the first field of each acquisition, and for the first label image
    of each name in it. `field_count` is how many fields a well may have that does not list them.
    """
    left = LeftOut(hierarchy.location)
    with warned_once(hierarchy.location):
        listed = list(_listed_fields(hierarchy, wells, field_count, left))
        if len(listed) > MAX_FIELDS:
            left.add(
                "fields are left out, there are too many", *(listing.path for listing in listed[MAX_FIELDS:])
            )
        listed = listed[:MAX_FIELDS]
        # On a server only the first field of each well is asked whether there are label images at all.
        firsts = {listing.well.path: listing.path for listing in reversed(listed)}
        cheap = hierarchy.children() is not None
        asked = [listing.path for listing in listed] if cheap else list(firsts.values())
        hierarchy.fetch(
            [*(listing.path for listing in listed), *(join(path, "labels") for path in asked)], groups=True
        )
        images = list(_decoded(hierarchy, listed, left))
        names = {path: _label_names(hierarchy, path) for path in asked}
        union = tuple(dict.fromkeys(name for some in names.values() for name in some))
        hierarchy.fetch([*_level_paths(images), *_label_paths(images, names, union)])
        fields = list(_with_same_axes(_shaped(hierarchy, images, left), left))
        if union:
            fields = [replace(item, labels=_labels(hierarchy, item, left)) for item in fields]
            hierarchy.fetch(_first_label_levels(fields))
    if not fields:
        raise left.error("There is no field that can be shown.")
    left.warn()
    return fields


def axes_of(multiscale: Multiscale, shape: Sequence[int]) -> tuple[str, ...]:
    """Return the names of the axes of a finest level: files of 0.1 and 0.2 may lack the first ones."""
    if len(multiscale.axes) == len(shape) or not multiscale.levels:
        return multiscale.dims
    return placed_by_shapes(multiscale, {multiscale.levels[0].path: tuple(shape)}).dims


def _listed_fields(
    hierarchy: Hierarchy, wells: Sequence[PlateWell], field_count: int | None, left: LeftOut
) -> Iterator[_ListedField]:
    """Yield every field that a well names."""
    hierarchy.fetch((well.path for well in wells), groups=True)
    for well in wells:
        name = well.path or "this well"
        try:
            attributes = hierarchy.attributes(well.path)
            if attributes is None:
                left.add("wells are listed but not there", name)
                continue
            if kind_of(attributes) == "well":
                fields = decode_well(attributes, where=join(hierarchy.location, well.path)).fields
            else:
                left.add("wells do not list their fields; what is there is shown", name)
                fields = _guessed(hierarchy, well.path, field_count)
        except OmeNgffError as error:
            left.failed("wells", name, error)
            continue
        for item in fields:
            yield _ListedField(well=well, field=item, path=join(well.path, item.path))


def _guessed(hierarchy: Hierarchy, path: str, field_count: int | None) -> tuple[Field, ...]:
    """Return the fields of a well that does not list them: those that are there, or have usual names."""
    names = hierarchy.children(path)
    if names is None:
        names = tuple(str(index) for index in range(min(field_count or 1, 100)))
    hierarchy.fetch((join(path, name) for name in names), groups=True)
    images = [name for name in names if kind_of(hierarchy.attributes(join(path, name)) or {}) == "image"]
    return tuple(Field(path=name) for name in sorted(images, key=lambda name: (len(name), name)))


def _decoded(
    hierarchy: Hierarchy, listed: Iterable[_ListedField], left: LeftOut
) -> Iterator[tuple[_ListedField, Multiscale]]:
    """Yield the (first) image that each field's group describes."""
    decode_one = _Decoder()
    for listing in listed:
        try:
            attributes = hierarchy.attributes(listing.path)
            if attributes is None:
                left.add("fields are listed but not there", listing.path)
            else:
                yield listing, decode_one(attributes, where=join(hierarchy.location, listing.path))
        except OmeNgffError as error:
            left.failed("fields", listing.path, error)


class _Decoder:
    """Decodes the first image of a group; the same metadata, but for names, only once."""

    def __init__(self) -> None:
        self._recent: list[tuple[object, Multiscale]] = []

    def __call__(self, attributes: Mapping[str, Json], *, where: str) -> Multiscale:
        key = _nameless(attributes)
        for recent_key, multiscale in self._recent:
            if recent_key == key:
                return multiscale
        multiscale = decode(attributes, where=where)[0]
        self._recent = [(key, multiscale), *self._recent[:_MAX_RECENT]]
        return multiscale


def _nameless(attributes: Mapping[str, Json]) -> object:
    """Return metadata without the names of images, which often are those of the fields."""
    container = attributes.get("ome", attributes)
    images = container.get("multiscales") if isinstance(container, Mapping) else None
    if not isinstance(images, list) or not all(isinstance(image, Mapping) for image in images):
        return attributes
    bare = [{key: value for key, value in image.items() if key != "name"} for image in images]
    return container is attributes, {**container, "multiscales": bare}


def _level_paths(images: Iterable[tuple[_ListedField, Multiscale]]) -> Iterator[str]:
    """Yield the finest level of each field, and all of those that others are judged by."""
    seen: set[int | None] = set()
    for listing, multiscale in images:
        levels = multiscale.levels[:1] if listing.field.acquisition in seen else multiscale.levels
        seen.add(listing.field.acquisition)
        yield from (join(listing.path, level.path) for level in levels)


def _shaped(
    hierarchy: Hierarchy, images: Iterable[tuple[_ListedField, Multiscale]], left: LeftOut
) -> Iterator[FieldImage]:
    """Yield the fields of which the finest level is there."""
    for listing, multiscale in images:
        try:
            shape = hierarchy.shape(join(listing.path, multiscale.levels[0].path))
        except OmeNgffError as error:
            left.failed("fields", listing.path, error)
            continue
        if shape is None:
            left.add("fields are left out: their finest level is not there", listing.path)
        elif len(axes_of(multiscale, shape)) != len(shape) or len(shape) < 2 or 0 in shape:
            left.add("fields are left out: their arrays do not fit their axes", listing.path)
        else:
            yield FieldImage(
                well=listing.well, field=listing.field, path=listing.path, multiscale=multiscale, shape=shape
            )


def _with_same_axes(fields: Iterable[FieldImage], left: LeftOut) -> Iterator[FieldImage]:
    """Yield the fields that have the axes of most of them: the first one may be the damaged one."""
    described = [(item, axes_of(item.multiscale, item.shape)) for item in fields]
    expected = Counter(axes for _, axes in described).most_common(1)[0][0] if described else ()
    for item, axes in described:
        if axes == expected:
            yield item
        else:
            reason = f"fields are left out: their axes are {', '.join(axes)}, not {', '.join(expected)}"
            left.add(reason, item.path)


def _label_names(hierarchy: Hierarchy, path: str) -> tuple[str, ...]:
    place = join(path, "labels")
    # Damaged, they are passed over: without label images a field can be shown all the same.
    attributes = hierarchy.readable_attributes(place)
    return decode_labels(attributes, where=join(hierarchy.location, place)) if attributes else ()


def _label_paths(
    images: Iterable[tuple[_ListedField, Multiscale]],
    names: Mapping[str, tuple[str, ...]],
    union: tuple[str, ...],
) -> Iterator[str]:
    """Yield the groups of the label images of each field; of all names where it was not asked for them."""
    for listing, _ in images if union else ():
        if listing.path not in names:
            yield join(listing.path, "labels")
        yield from (join(listing.path, "labels", name) for name in names.get(listing.path, union))


def _labels(hierarchy: Hierarchy, item: FieldImage, left: LeftOut) -> dict[str, Multiscale]:
    """Return the label images of a field."""
    labels: dict[str, Multiscale] = {}
    for name in _label_names(hierarchy, item.path):
        path = join(item.path, "labels", name)
        try:
            attributes = hierarchy.attributes(path)
            if attributes is None:
                left.add("label images are listed but not there", path)
            else:
                read = decode(attributes, where=join(hierarchy.location, path))[0]
                labels[name] = with_tables(read, hierarchy.below(path))
        except OmeNgffError as error:
            left.failed("label images", path, error)
    return labels


def _first_label_levels(fields: Iterable[FieldImage]) -> Iterator[str]:
    """Yield all levels of the first label image of each name in each acquisition."""
    seen: set[tuple[int | None, str]] = set()
    for item in fields:
        for name, multiscale in item.labels.items():
            if (item.field.acquisition, name) not in seen:
                seen.add((item.field.acquisition, name))
                yield from (join(item.path, "labels", name, level.path) for level in multiscale.levels)
