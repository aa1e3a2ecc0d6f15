"""The nouns of opening: one multiscale, an image with its label images, several images of one group."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from napari_ome_ngff.label_tables import Deferred
from napari_ome_ngff.metadata.nouns import Multiscale, Plate, View
from napari_ome_ngff.metadata.systems.view import own_systems

if TYPE_CHECKING:
    import zarr
    from xarray import DataArray

    from napari_ome_ngff.storage.pixels.indexing import Source
    from napari_ome_ngff.storage.pixels.source import Missing

_READ_AT_ONCE = 256  # images of a collection; making the arrays of thousands takes seconds

Kind = Literal["plate", "well", "scene", "spatialdata", "collection"]


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One field of a plate or well, and where it lies in the mosaic that all of them make."""

    well: str
    """Path of the well relative to the plate, such as ``"A/1"``; "" if a well was opened by itself."""

    field: str
    """Path of the field relative to the well."""

    location: str
    """Path or URL of the field's image."""

    # Position of the well in the plate, from 0.
    row: int
    column: int
    # First line and column, and size, of the tile in the finest level of the mosaic, in voxels.
    y: int
    x: int
    height: int
    width: int


@dataclass(frozen=True, kw_only=True, eq=False)
class MultiscaleGroup:
    """A multiscale whose documents are fetched and decoded: all that its levels are made from.

    It is the `group` of an `Image`; :func:`napari_ome_ngff.read_multiscale_group` takes it in place of a
    ``zarr.Group``, without a request.
    """

    multiscale: Multiscale
    """What the metadata say, with a place for every level."""

    sources: Mapping[str, zarr.Array[Any] | Callable[[Missing], Source]]
    """Path of each level to its Zarr array, finest first. For a mosaic, what makes its source, given whether
    to raise or to fill where a chunk cannot be read."""

    attributes: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """All attributes of the group as they are stored; none of a mosaic."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """An opened image: metadata decoded, levels lazy, label images beside it.

    Parameters
    ----------
    location
        Path or URL of the group.
    multiscale
        What the metadata say; None for a group that holds nothing but label images.
    arrays
        Path of each level in the group to the level, finest first.
    labels
        Name of each label image to the label image.
    attributes
        Attributes of the group that belong to others.
    groups
        The same of the groups between it and its levels, by path; and under ``".."`` of the group ``labels``
        that a label image is in. Those that have none are left out.
    view
        How the image lies in the coordinate system that was asked for; None for its intrinsic one.
    tiles
        The fields that a mosaic is made of, by row and column of the wells; empty for an ordinary image.
    group
        What `arrays` were read from: :func:`napari_ome_ngff.read_multiscale_group` reads them again from it,
        in another array wrapper and without a request.
    """

    location: str
    multiscale: Multiscale | None
    arrays: Mapping[str, DataArray] = field(default_factory=dict)
    labels: Mapping[str, Image] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    groups: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    view: View | None = None
    tiles: tuple[Tile, ...] = ()
    group: MultiscaleGroup | None = field(default=None, repr=False)

    @property
    def systems(self) -> tuple[str, ...]:
        """Names of the coordinate systems in which the image can be shown, the one by default first."""
        return () if self.multiscale is None else own_systems(self.multiscale)

    @property
    def system(self) -> str | None:
        """Name of the coordinate system in which the image is shown; None if that has no name."""
        if self.view is not None:
            return self.view.system.name
        return None if self.multiscale is None else self.multiscale.system


@dataclass(frozen=True, kw_only=True)
class Collection:
    """Several opened images of one group: a plate or well (one mosaic per acquisition), a scene, a series.

    Parameters
    ----------
    location
        Path or URL of the group.
    kind
        ``"plate"``, ``"well"``, ``"scene"``, ``"spatialdata"`` or ``"collection"`` (bioformats2raw, or
        several multiscales).
    name
        What to call it where the file says so, or None.
    images
        Name of each image to the image, in the order in which they are to be listed.
    attributes
        Attributes of the group that belong to others.
    plate
        Given if this is a plate.
    systems
        Names of the coordinate systems in which images of it can be shown; empty for plates and wells.
    """

    location: str
    kind: Kind
    name: str | None
    images: Mapping[str, Image]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    plate: Plate | None = None
    systems: tuple[str, ...] = ()


def images_of(opened: Image | Collection) -> Mapping[str, Image]:
    """Return the images of what was opened, by name; one that was opened by itself is called ""."""
    return {"": opened} if isinstance(opened, Image) else opened.images


def with_levels(
    opened: Image | Collection,
    read: Callable[[MultiscaleGroup], Mapping[str, DataArray]],
    *,
    most: int | None = None,
) -> Image | Collection:
    """Return what was opened by its metadata with the levels of every image and label image.

    `most` is of how many of them, the first ones; the others stay without.
    """
    left = (
        itertools.repeat(True)
        if most is None
        else itertools.chain(itertools.repeat(True, most), itertools.repeat(False))
    )
    if isinstance(opened, Collection):

        def later(group: MultiscaleGroup) -> Mapping[str, DataArray]:
            return Deferred(partial(read, group))

        images = {
            name: _image_with_levels(image, read if index < _READ_AT_ONCE else later, left)
            for index, (name, image) in enumerate(opened.images.items())
        }
        return replace(opened, images=images)
    return _image_with_levels(opened, read, left)


def _image_with_levels(
    image: Image, read: Callable[[MultiscaleGroup], Mapping[str, DataArray]], left: Iterator[bool]
) -> Image:
    arrays = read(image.group) if image.group is not None and next(left) else {}
    labels = {name: _image_with_levels(label, read, left) for name, label in image.labels.items()}
    return replace(image, arrays=arrays, labels=labels)
