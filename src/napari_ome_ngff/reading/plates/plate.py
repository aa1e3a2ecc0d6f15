"""Plates and wells: all fields side by side, as one image per acquisition.

The mosaic is for looking at: where each field lies in it says its `Tile`, and how fields are laid out says
:mod:`napari_ome_ngff.reading.plates.field_layout`. Voxels have their true size, and the first one lies at 0.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_ome_ngff.errors import MetadataError, OmeNgffWarning
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
from napari_ome_ngff.storage.pixels.array_wrap import BaseArrayWrapper
from napari_ome_ngff.storage.places.location import join

if TYPE_CHECKING:
    from napari_ome_ngff.storage.documents.hierarchy import Hierarchy


def open_plate(
    hierarchy: Hierarchy,
    *,
    wrapper: BaseArrayWrapper,
    coordinate_system: str | None = None,
    row: str | None = None,
) -> Collection:
    """Open a plate: one mosaic of all wells for each acquisition.

    Parameters
    ----------
    hierarchy
        The plate's group.
    wrapper
        What each level is wrapped in.
    coordinate_system
        Not used, with a warning: a mosaic lies in none.
    row
        Name of the one row to open; None for all.

    Returns
    -------
    Collection
        One image per acquisition, by its name. Fields that belong to no acquisition are one more.

    Warns
    -----
    OmeNgffWarning
        If something is left out, or the metadata break rules.

    Raises
    ------
    MetadataError, StorageError
        If there is no field that can be shown.

    Examples
    --------
    >>> import zarr
    >>> from napari_ome_ngff import DaskArrayWrapper
    >>> from napari_ome_ngff.storage.documents.hierarchy import open_hierarchy
    >>> store = zarr.storage.MemoryStore()
    >>> axes = [{"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
    >>> level = {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1, 1]}]}
    >>> plate = {"name": "test", "rows": [{"name": "A"}], "columns": [{"name": "1"}]}
    >>> for path, key, value in [
    ...     ("", "plate", {**plate, "wells": [{"path": "A/1", "rowIndex": 0, "columnIndex": 0}]}),
    ...     ("A/1", "well", {"images": [{"path": "0"}]}),
    ...     ("A/1/0", "multiscales", [{"axes": axes, "datasets": [level]}]),
    ... ]:
    ...     _ = zarr.group(store, path=path, attributes={"ome": {"version": "0.5", key: value}})
    >>> _ = zarr.create_array(store, name="A/1/0/0", shape=(8, 6), dtype="uint8")
    >>> plate = open_plate(open_hierarchy(store), wrapper=DaskArrayWrapper())
    >>> plate.images["test"].arrays["0"].shape, plate.images["test"].tiles[0].well
    ((8, 6), 'A/1')
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
        images=_mosaics(hierarchy, fields, plate.acquisitions, name, wrapper, coordinate_system),
        attributes=foreign_attributes(attributes),
        plate=plate,
    )


def open_well(
    hierarchy: Hierarchy, *, wrapper: BaseArrayWrapper, coordinate_system: str | None = None
) -> Collection:
    """Open a well by itself: one mosaic of its fields for each acquisition.

    Parameters
    ----------
    hierarchy
        The well's group.
    wrapper, coordinate_system
        As for :func:`open_plate`.

    Returns
    -------
    Collection
        One image per acquisition, by its name; acquisitions are numbered, since only the plate knows their
        names.

    Raises
    ------
    MetadataError, StorageError
        If there is no field that can be shown.
    """
    fields = find_fields(hierarchy, [PlateWell(path="", row=0, column=0)])
    name = "/".join(hierarchy.location.rstrip("/").split("/")[-2:])
    return Collection(
        location=hierarchy.location,
        kind="well",
        name=name,
        images=_mosaics(hierarchy, fields, (), name, wrapper, coordinate_system),
        attributes=foreign_attributes(hierarchy.attributes() or {}),
    )


def open_row(
    hierarchy: Hierarchy, *, wrapper: BaseArrayWrapper, coordinate_system: str | None = None
) -> Collection | None:
    """Open the folder of a row: all wells of it, as the plate above says.

    Parameters
    ----------
    hierarchy
        The row's group, which itself says nothing.
    wrapper, coordinate_system
        As for :func:`open_plate`.

    Returns
    -------
    Collection or None
        None if there is no plate above that has such a row.
    """
    above = next(parents(hierarchy.group()), None)
    attributes = {} if above is None else above.attrs.asdict()
    if above is None or kind_of(attributes) != "plate":
        return None
    row = hierarchy.location.rpartition("/")[2]
    plate = open_hierarchy(above)
    if row not in decode_plate(attributes, where=plate.location).rows:
        return None
    return open_plate(plate, wrapper=wrapper, coordinate_system=coordinate_system, row=row)


@dataclass(frozen=True, kw_only=True)
class _Round:
    """The fields of one acquisition, and what is shared by them and by their label images."""

    name: str
    fields: tuple[FieldImage, ...]
    members: tuple[Member, ...]
    image: Shared
    labels: Mapping[str, tuple[Shared, tuple[tuple[int, Member], ...]]]

    @property
    def pixel(self) -> tuple[float, ...]:
        """Size of a pixel along y and x."""
        transform = level_transform(self.image.multiscale, 0)
        return tuple(float(f"{transform.scale[axis]:.3g}") for axis in self.image.plane)


def _mosaics(
    hierarchy: Hierarchy,
    fields: Sequence[FieldImage],
    acquisitions: Sequence[Acquisition],
    name: str,
    wrapper: BaseArrayWrapper,
    coordinate_system: str | None,
) -> dict[str, Image]:
    """Return one mosaic per acquisition. Those with pixels of one size lie on top of each other."""
    if coordinate_system is not None:
        text = f"The fields of {name!r} are shown side by side, not in {coordinate_system!r}."
        warnings.warn(f"{text}\nWhere: {hierarchy.location}", OmeNgffWarning, stacklevel=3)
    rounds = [_round(hierarchy, own, title) for title, own in _by_acquisition(fields, acquisitions, name)]
    images: dict[str, Image] = {}
    for pixel in dict.fromkeys(each.pixel for each in rounds):
        together = [each for each in rounds if each.pixel == pixel]
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
            own = [next(corners) for _ in each.fields]
            images[each.name] = _mosaic(hierarchy, each, own, arrangement, wrapper)
    return {each.name: images[each.name] for each in rounds}


def _by_acquisition(
    fields: Sequence[FieldImage], acquisitions: Sequence[Acquisition], name: str
) -> list[tuple[str, list[FieldImage]]]:
    """Return the fields of each acquisition, under its name, in the order of the plate."""
    known = {acquisition.id: acquisition.name for acquisition in acquisitions}
    # A field that does not say its acquisition belongs to the only one.
    default = next(iter(known)) if len(known) == 1 else None
    groups: dict[int | None, list[FieldImage]] = {number: [] for number in known}
    for item in fields:
        number = item.field.acquisition
        groups.setdefault(default if number is None else number, []).append(item)
    there = {number: own for number, own in groups.items() if own}
    if len(there) == 1:
        return [(name, own) for own in there.values()]
    named: dict[str, list[FieldImage]] = {}
    for number, own in there.items():
        title = name if number is None else f"{name} {known.get(number) or f'acquisition {number}'}"
        named[title if title not in named else f"{title} ({number})"] = own
    return list(named.items())


def _round(hierarchy: Hierarchy, fields: Sequence[FieldImage], name: str) -> _Round:
    members = []
    for item in fields:
        dims = axes_of(item.multiscale, item.shape)
        place = level_transform(item.multiscale, 0).translation
        origin = dict(zip(dims, place, strict=True)) if len(place) == len(dims) else {}
        sizes = dict(zip(dims, item.shape, strict=True))
        members.append(Member(path=item.path, multiscale=item.multiscale, sizes=sizes, origin=origin))
    image = shared_levels(hierarchy, members)
    if image is None:
        raise MetadataError(
            "The fields of the plate cannot be read.",
            where=f"{hierarchy.location}/{members[0].path}",
            found="no level with arrays that can be understood",
        )
    labels: dict[str, tuple[Shared, tuple[tuple[int, Member], ...]]] = {}
    for label in dict.fromkeys(label for item in fields for label in item.labels):
        own = [
            (index, replace(member, path=join(item.path, "labels", label), multiscale=item.labels[label]))
            for index, (item, member) in enumerate(zip(fields, members, strict=True))
            if label in item.labels
        ]
        alike = [
            (index, member) for index, member in own if member.multiscale.dims == own[0][1].multiscale.dims
        ]
        shared = shared_levels(hierarchy, [member for _, member in alike])
        if shared is None or len(alike) < len(own):
            what = "can be read" if shared is None else "has the same axes in all fields"
            text = f"Not every label image {label!r} {what}; what differs is left out."
            warnings.warn(f"{text}\nWhere: {hierarchy.location}", OmeNgffWarning, stacklevel=4)
        if shared is not None:
            labels[label] = shared, tuple(alike)
    return _Round(name=name, fields=tuple(fields), members=tuple(members), image=image, labels=labels)


def _site(item: FieldImage, own: _Round, number: int) -> Site:
    """Return what a field wants: its size, and where it was on the stage."""
    transform = level_transform(item.multiscale, 0)
    y, x = own.image.plane
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
    own: _Round,
    corners: Sequence[tuple[int, int]],
    arrangement: Arrangement,
    wrapper: BaseArrayWrapper,
) -> Image:
    members = [replace(member, corner=corner) for member, corner in zip(own.members, corners, strict=True)]
    largest = {axis: max(member.sizes[axis] for member in members) for axis in members[0].sizes}
    channels = next(
        (item.multiscale for item in own.fields if item.multiscale.channels), own.image.multiscale
    )
    described = replace(
        own.image.multiscale, name=own.name, channels=channels.channels, omero_extra=channels.omero_extra
    )
    shared = replace(own.image, multiscale=described)
    multiscale, arrays = lay_out(hierarchy, shared, members, arrangement, largest=largest, wrapper=wrapper)
    labels = {}
    for name, (its, placed) in own.labels.items():
        marked = [replace(member, corner=corners[index]) for index, member in placed]
        described = replace(its.multiscale, label_image=_merged(member.multiscale for member in marked))
        shared = replace(its, multiscale=described)
        said, levels = lay_out(hierarchy, shared, marked, arrangement, largest=largest, wrapper=wrapper)
        labels[name] = Image(location=hierarchy.location, multiscale=said, arrays=levels)
    y, x = own.image.plane
    return Image(
        location=hierarchy.location,
        multiscale=multiscale,
        arrays=arrays,
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
            for item, corner in zip(own.fields, corners, strict=True)
        ),
    )


def _merged(multiscales: Iterable[Multiscale]) -> LabelImage | None:
    """Return the colours and properties of all; of several for one value the first counts."""
    found = [each.label_image for each in multiscales if each.label_image is not None]
    if not found:
        return None
    colors = {value: color for each in reversed(found) for value, color in each.colors.items()}
    properties = {item["label-value"]: item for each in reversed(found) for item in each.properties}
    return LabelImage(colors=colors, properties=tuple(properties.values()), extra=found[0].extra)


def _stem(location: str) -> str:
    name = location.rstrip("/").rpartition("/")[2]
    for suffix in (".zip", ".ozx", ".zarr", ".ome"):
        name = name.removesuffix(suffix)
    return name or "plate"
