"""Several images in one group: what bioformats2raw makes of a file, and groups with several multiscales."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING
from xml.parsers import expat

from napari_ome_ngff.errors import NotOmeNgffError, OmeNgffError
from napari_ome_ngff.metadata.collections.bioformats2raw import MAX_XML_BYTES, decode_series, names_in
from napari_ome_ngff.metadata.collections.plates import MAX_ENTRIES
from napari_ome_ngff.metadata.group_kind import foreign_attributes, holder_of, kind_of
from napari_ome_ngff.reading.image import images_of_group, open_image, prefetch_images
from napari_ome_ngff.reading.omissions import LeftOut, warned_once
from napari_ome_ngff.reading.opened import Collection, Image
from napari_ome_ngff.storage.documents.hierarchy import open_hierarchy
from napari_ome_ngff.storage.documents.parents import parents
from napari_ome_ngff.storage.places.location import join
from napari_ome_ngff.storage.places.requests import fetch

if TYPE_CHECKING:
    from napari_ome_ngff.storage.documents.hierarchy import Hierarchy

OME_XML = "OME/METADATA.ome.xml"
"""Where bioformats2raw keeps the OME-XML of the original file."""


_FIRST_PROBED = 16


_log = logging.getLogger(__name__)


def open_collection(hierarchy: Hierarchy, *, coordinate_system: str | None = None) -> Collection:
    """Open all images of a group: those of a bioformats2raw layout, or its several multiscales.

    0.4, "bioformats2raw.layout": the images are those that ``series`` in the group ``OME`` lists, else "in
    consecutively numbered groups starting from 0"; each "MUST represent exactly one OME-XML Image in the same
    order", which is where their names come from. Without such a name an image is called as its own metadata
    say, else by its path. One that is missing, damaged or not in the coordinate system is left out with a
    warning.
    """
    attributes = hierarchy.attributes() or {}
    if kind_of(attributes) == "series":
        hierarchy = _above(hierarchy)
        attributes = hierarchy.attributes() or {}
    left = LeftOut(hierarchy.location)
    images: dict[str, Image] = {}
    with warned_once(hierarchy.location):
        for path, title, open_one in _members(hierarchy, coordinate_system):
            image = _opened(path, open_one, left)
            if image is not None:
                given = image.multiscale.name if image.multiscale is not None else None
                name = title or (given or "").strip("/ ") or path
                images[name if name not in images else f"{name} ({path})"] = image
    if not images:
        raise left.error("There is no image that can be read.")
    left.warn()
    return Collection(
        location=hierarchy.location,
        kind="collection",
        name=None,
        images=images,
        attributes=foreign_attributes(attributes),
    )


_Wanted = tuple[str, str | None]
"""Path of a group, and the name of its image, if it is known."""


def _members(
    hierarchy: Hierarchy, coordinate_system: str | None
) -> Iterator[tuple[str, str | None, Callable[[], Image | None]]]:
    """Yield path or index, name and what opens each image of a group."""
    if kind_of(hierarchy.attributes() or {}) == "image":
        prefetch_images(hierarchy, [""])
        for index, open_one in enumerate(images_of_group(hierarchy, coordinate_system=coordinate_system)):
            yield str(index), None, open_one
        return
    wanted = _listed(hierarchy)
    prefetch_images(hierarchy, [path for path, _ in wanted])
    for path, title in wanted:
        yield path, title, partial(_open_below, hierarchy, path, coordinate_system)


def _open_below(hierarchy: Hierarchy, path: str, coordinate_system: str | None) -> Image | None:
    """Open the image at a path; None if there is no group."""
    if hierarchy.attributes(path) is None:
        return None
    return open_image(hierarchy.below(path), coordinate_system=coordinate_system)


def _above(hierarchy: Hierarchy) -> Hierarchy:
    """Return the group of which an ``OME`` group lists the images."""
    group = next(parents(hierarchy.group()), None)
    if group is None:
        raise NotOmeNgffError(
            "This group only lists images; there is no group above it that has them.",
            where=hierarchy.location,
        )
    return open_hierarchy(group, ahead=("OME",))


def _listed(hierarchy: Hierarchy) -> list[_Wanted]:
    """Return the images of a bioformats2raw layout."""
    names = _names_in_xml(hierarchy)
    listed: tuple[str, ...] = ()
    # Damaged, it is passed over: it only lists the images, which can be probed instead.
    attributes = hierarchy.readable_attributes("OME")
    if holder_of(attributes, "series")[1].get("series") is not None:
        listed = decode_series(attributes, where=f"{hierarchy.location}/OME")
    paths = listed or _numbered(hierarchy, len(names))
    return [(path, names[i] if i < len(names) else None) for i, path in enumerate(paths)]


def _numbered(hierarchy: Hierarchy, expected: int) -> Sequence[str]:
    """Return the paths of images that nobody lists: numbers, or else whatever is there."""
    names = hierarchy.children()
    if names is not None:
        numbers = sorted((name for name in names if name.isdecimal() and name.isascii()), key=int)
        return (numbers or [name for name in names if name != "OME"])[:MAX_ENTRIES]
    # Where listing costs requests: as many as the OME-XML says, else ever more until one is missing.
    batch = range(expected or _FIRST_PROBED)
    paths: list[str] = []
    while True:
        hierarchy.fetch(map(str, batch), groups=True)
        existing = [str(number) for number in batch if _exists(hierarchy, str(number))]
        paths += existing
        if len(existing) < len(batch) or expected or len(paths) >= MAX_ENTRIES:
            return paths
        batch = range(batch.stop, 2 * batch.stop)


def _exists(hierarchy: Hierarchy, path: str) -> bool:
    try:
        return hierarchy.attributes(path) is not None
    except OmeNgffError:  # damaged, which is reported when it is opened
        return True


def _opened(name: str, open_one: Callable[[], Image | None], left: LeftOut) -> Image | None:
    """Open one of the images, None if it cannot be read."""
    try:
        image = open_one()
    except OmeNgffError as error:
        left.failed("images", name, error)
        return None
    if image is None:
        left.add("images are listed but not there", name)
    return image


def _names_in_xml(hierarchy: Hierarchy) -> list[str | None]:
    """Return the name of each image in the OME-XML, None for one without; empty if it cannot be read."""
    key = join(hierarchy.path, OME_XML)
    content = fetch(hierarchy.store, [key])[key]
    if not isinstance(content, bytes) or len(content) > MAX_XML_BYTES:
        return []
    try:
        return names_in(content)
    except expat.ExpatError as error:
        _log.info("%s/%s has no names: %s", hierarchy.location, OME_XML, error)
        return []
