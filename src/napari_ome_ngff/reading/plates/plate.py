"""Plates and wells: all fields side by side, as one image per acquisition.

The mosaic is for looking: each field's `Tile` says where it lies in it. Voxels have their true size, and the
first one lies at 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_ome_ngff.errors import MetadataError, give_warning
from napari_ome_ngff.label_tables import Columns, Deferred, columns_of, joined
from napari_ome_ngff.metadata.collections.plates import decode_plate
from napari_ome_ngff.metadata.group_kind import foreign_attributes, kind_of
from napari_ome_ngff.metadata.nouns import Acquisition, LabelImage, Multiscale, PlateWell
from napari_ome_ngff.metadata.transforms import level_transform
from napari_ome_ngff.reading.opened import Collection, Image, Tile
from napari_ome_ngff.reading.plates.field_layout import Arrangement, Site, arrange
from napari_ome_ngff.reading.plates.fields import FieldImage, axes_of, find_fields
from napari_ome_ngff.reading.plates.shared_levels import Member, Shared, lay_out, shared_levels
from napari_ome_ngff.storage.documents.hierarchy import open_hierarchy
from napari_ome_ngff.storage.documents.parents import parents
from napari_ome_ngff.storage.places.location import join

if TYPE_CHECKING:
    from napari_ome_ngff.storage.documents.hierarchy import Hierarchy


def open_plate(
    hierarchy: Hierarchy, *, coordinate_system: str | None = None, row: str | None = None
) -> Collection:
    """Open a plate, or one row of it: a mosaic of all wells for each acquisition, by the acquisition's name.

    Fields that belong to no acquisition are one more image. A mosaic lies in no coordinate system: one that
    is asked for is ignored with a warning.
    """
    attributes = hierarchy.attributes() or {}
    plate = decode_plate(attributes, where=hierarchy.location)
    wells = plate.wells
    if row is not None:
        wells = tuple(well for well in wells if plate.rows[well.row] == row)
    fields = find_fields(hierarchy, wells, field_count=plate.field_count)
    name = " ".join(part for part in (plate.name or _stem(hierarchy.location), row) if part)
    return Collection(
        location=hierarchy.location,
        kind="plate",
        name=name,
        images=_mosaics(hierarchy, fields, plate.acquisitions, name, coordinate_system),
        attributes=foreign_attributes(attributes),
        plate=plate,
    )


def open_well(hierarchy: Hierarchy, *, coordinate_system: str | None = None) -> Collection:
    """Open a well by itself: acquisitions are numbered, since only the plate knows their names."""
    fields = find_fields(hierarchy, [PlateWell(path="", row=0, column=0)])
    name = "/".join(hierarchy.location.rstrip("/").split("/")[-2:])
    return Collection(
        location=hierarchy.location,
        kind="well",
        name=name,
        images=_mosaics(hierarchy, fields, (), name, coordinate_system),
        attributes=foreign_attributes(hierarchy.attributes() or {}),
    )


def open_row(hierarchy: Hierarchy, *, coordinate_system: str | None = None) -> Collection | None:
    """Open the folder of a row, as the plate above it says; None if no plate above has such a row."""
    above = next(parents(hierarchy.group()), None)
    attributes = {} if above is None else above.attrs.asdict()
    if above is None or kind_of(attributes) != "plate":
        return None
    row = hierarchy.location.rpartition("/")[2]
    plate = open_hierarchy(above)
    if row not in decode_plate(attributes, where=plate.location).rows:
        return None
    return open_plate(plate, coordinate_system=coordinate_system, row=row)


@dataclass(frozen=True, kw_only=True)
class _Acquired:
    """The fields of one acquisition, and what is shared by them and by their label images.

    The members of a label image go with the index of the field that each of them labels.
    """

    name: str
    fields: tuple[FieldImage, ...]
    members: tuple[Member, ...]
    image: Shared
    labels: Mapping[str, tuple[Shared, tuple[tuple[int, Member], ...]]]

    @property
    def pixel_size(self) -> tuple[float, ...]:
        """Size of a pixel along y and x, to three digits."""
        transform = level_transform(self.image.multiscale, 0)
        return tuple(float(f"{transform.scale[axis]:.3g}") for axis in self.image.plane)


def _mosaics(
    hierarchy: Hierarchy,
    fields: Sequence[FieldImage],
    acquisitions: Sequence[Acquisition],
    name: str,
    coordinate_system: str | None,
) -> dict[str, Image]:
    """Return one mosaic per acquisition. Those with pixels of one size lie on top of each other."""
    if coordinate_system is not None:
        text = f"The fields of {name!r} are shown side by side, not in {coordinate_system!r}."
        give_warning(f"{text}\nWhere: {hierarchy.location}", stacklevel=3)
    acquired = [
        _acquired(hierarchy, members, title) for title, members in _by_acquisition(fields, acquisitions, name)
    ]
    images: dict[str, Image] = {}
    for pixel_size in dict.fromkeys(each.pixel_size for each in acquired):
        together = [each for each in acquired if each.pixel_size == pixel_size]
        multiples = [
            shared.multiple
            for each in together
            for shared in (each.image, *(s for s, _ in each.labels.values()))
        ]
        multiple = math.lcm(*(y for y, _ in multiples)), math.lcm(*(x for _, x in multiples))
        sites = [_site(item, each, number) for number, each in enumerate(together) for item in each.fields]
        arrangement = arrange(sites, multiple=multiple)
        corners = iter(arrangement.corners)
        for each in together:
            images[each.name] = _mosaic(hierarchy, each, [next(corners) for _ in each.fields], arrangement)
    return {each.name: images[each.name] for each in acquired}


def _by_acquisition(
    fields: Sequence[FieldImage], acquisitions: Sequence[Acquisition], name: str
) -> list[tuple[str, list[FieldImage]]]:
    """Return the fields of each acquisition, under its name, in the order of the plate."""
    names = {acquisition.id: acquisition.name for acquisition in acquisitions}
    # A field that does not say its acquisition belongs to the only one.
    default = next(iter(names)) if len(names) == 1 else None
    groups: dict[int | None, list[FieldImage]] = {number: [] for number in names}
    for item in fields:
        number = item.field.acquisition
        groups.setdefault(default if number is None else number, []).append(item)
    groups = {number: members for number, members in groups.items() if members}
    if len(groups) == 1:
        return [(name, members) for members in groups.values()]
    named: dict[str, list[FieldImage]] = {}
    for number, members in groups.items():
        title = name if number is None else f"{name} {names.get(number) or f'acquisition {number}'}"
        named[title if title not in named else f"{title} ({number})"] = members
    return list(named.items())


def _acquired(hierarchy: Hierarchy, fields: Sequence[FieldImage], name: str) -> _Acquired:
    members = []
    for item in fields:
        dims = axes_of(item.multiscale, item.shape)
        place = level_transform(item.multiscale, 0).translation
        origin = dict(zip(dims, place, strict=True)) if len(place) == len(dims) else {}
        sizes = dict(zip(dims, item.shape, strict=True))
        members.append(Member(path=item.path, multiscale=item.multiscale, sizes=sizes, origin=origin))
    image = shared_levels(hierarchy, members)
    if image is None or len(image.multiscale.dims) != len(fields[0].shape):  # another level says other axes
        raise MetadataError(
            "The fields of the plate cannot be read.",
            where=f"{hierarchy.location}/{members[0].path}",
            found="no level with arrays that can be understood",
        )
    labels: dict[str, tuple[Shared, tuple[tuple[int, Member], ...]]] = {}
    for label in dict.fromkeys(label for item in fields for label in item.labels):
        labelled = [
            (index, replace(member, path=join(item.path, "labels", label), multiscale=item.labels[label]))
            for index, (item, member) in enumerate(zip(fields, members, strict=True))
            if label in item.labels
        ]
        dims = labelled[0][1].multiscale.dims
        same = [(index, member) for index, member in labelled if member.multiscale.dims == dims]
        shared = shared_levels(hierarchy, [member for _, member in same])
        if shared is None or len(same) < len(labelled):
            what = "can be read" if shared is None else "has the same axes in all fields"
            text = f"Not every label image {label!r} {what}; what differs is left out."
            give_warning(f"{text}\nWhere: {hierarchy.location}", stacklevel=4)
        if shared is not None:
            labels[label] = shared, tuple(same)
    return _Acquired(name=name, fields=tuple(fields), members=tuple(members), image=image, labels=labels)


def _site(item: FieldImage, acquired: _Acquired, number: int) -> Site:
    """Return what a field wants: its size, and where it was on the stage."""
    transform = level_transform(item.multiscale, 0)
    y, x = acquired.image.plane
    position = None
    if len(transform.scale) == len(item.shape) and transform.scale[y] and transform.scale[x]:
        position = tuple(transform.translation[axis] / transform.scale[axis] for axis in (y, x))
    return Site(
        group=number,
        row=item.well.row,
        column=item.well.column,
        height=item.shape[y],
        width=item.shape[x],
        position=None if position is None else (position[0], position[1]),
    )


def _mosaic(
    hierarchy: Hierarchy,
    acquired: _Acquired,
    corners: Sequence[tuple[int, int]],
    arrangement: Arrangement,
) -> Image:
    members = [
        replace(member, corner=corner) for member, corner in zip(acquired.members, corners, strict=True)
    ]
    largest = {axis: max(member.sizes[axis] for member in members) for axis in members[0].sizes}
    model = acquired.image.multiscale
    channels = next((item.multiscale for item in acquired.fields if item.multiscale.channels), model)
    described = replace(
        model, name=acquired.name, channels=channels.channels, omero_extra=channels.omero_extra
    )
    group = lay_out(hierarchy, replace(acquired.image, multiscale=described), members, arrangement, largest)
    labels = {}
    for name, (shared, labelled) in acquired.labels.items():
        label_members = [replace(member, corner=corners[index]) for index, member in labelled]
        label_image = _merged(member.multiscale for member in label_members)
        shared = replace(shared, multiscale=replace(shared.multiscale, label_image=label_image))
        label = lay_out(hierarchy, shared, label_members, arrangement, largest)
        labels[name] = Image(location=hierarchy.location, multiscale=label.multiscale, group=label)
    y, x = acquired.image.plane
    return Image(
        location=hierarchy.location,
        multiscale=group.multiscale,
        group=group,
        labels=labels,
        tiles=tuple(
            Tile(
                well=item.well.path,
                field=item.field.path,
                location=f"{hierarchy.location.rstrip('/')}/{item.path}",
                row=item.well.row,
                column=item.well.column,
                y=corner[0],
                x=corner[1],
                height=item.shape[y],
                width=item.shape[x],
            )
            for item, corner in zip(acquired.fields, corners, strict=True)
        ),
    )


def _merged(multiscales: Iterable[Multiscale]) -> LabelImage | None:
    """Return the colours and properties of all; of several for one value the first counts."""
    images = [each.label_image for each in multiscales if each.label_image is not None]
    if not images:
        return None

    def all_colors() -> dict[int, tuple[int, int, int, int]]:
        return {value: color for each in reversed(images) for value, color in each.colors.items()}

    colors = (
        Deferred(all_colors) if any(isinstance(each.colors, Deferred) for each in images) else all_colors()
    )
    properties = {item["label-value"]: item for each in reversed(images) for item in each.properties}
    merged = LabelImage(colors=colors, properties=tuple(properties.values()), extra=images[0].extra)
    if all(each.table is None for each in images):
        return merged

    def all_rows() -> Columns:
        return joined([columns_of(each.properties) if each.table is None else each.table for each in images])

    return replace(merged, properties=(), table=Deferred(all_rows))


def _stem(location: str) -> str:
    name = location.rstrip("/").rpartition("/")[2]
    for suffix in (".zip", ".ozx", ".zarr", ".ome"):
        name = name.removesuffix(suffix)
    return name or "plate"
