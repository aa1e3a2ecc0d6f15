"""Images anywhere in a zip file that is no image itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from napari_ome_ngff.errors import NotOmeNgffError, OmeNgffError
from napari_ome_ngff.metadata.group_kind import kind_of
from napari_ome_ngff.reading.omissions import LeftOut, warned_once
from napari_ome_ngff.reading.opened import Collection, Image, images_of
from napari_ome_ngff.storage.documents.hierarchy import Hierarchy, Table
from napari_ome_ngff.storage.places.location import location_in
from napari_ome_ngff.storage.places.stores import zarr_folders

if TYPE_CHECKING:
    from zarr.abc.store import Store

_MOST_GROUPS = 1000
"""Groups and arrays of a zip file in which an image is looked for."""


def open_archive(
    store: Store, path: str, open_one: Callable[[Hierarchy], Image | Collection]
) -> Image | Collection:
    """Open the one image of a zip file below a path, or all of them as a collection."""
    where = location_in(store, path)
    left, others = LeftOut(where), LeftOut(where)
    opened: dict[str, Image | Collection] = {}
    with warned_once(where):
        for inside, hierarchy in _groups(store, path, left, others):
            try:
                opened[inside] = open_one(hierarchy)
            except OmeNgffError as error:
                left.failed("images", inside, error)
    if not opened:
        raise (left or others).error("There is no OME-Zarr image in this zip file.", NotOmeNgffError)
    left.warn()
    if len(opened) == 1:
        return next(iter(opened.values()))
    images: dict[str, Image] = {}
    for inside, one in opened.items():
        for key, image in images_of(one).items():
            given = image.multiscale.name if image.multiscale is not None else None
            name = key or (given or "").strip("/ ") or inside.removesuffix(".zarr").removesuffix(".ome")
            images[name if name not in images else f"{name} ({inside})"] = image
    return Collection(location=where, kind="collection", name=None, images=images)


def _groups(store: Store, path: str, left: LeftOut, others: LeftOut) -> Iterator[tuple[str, Hierarchy]]:
    """Yield the groups of OME-Zarr that are in no other one, with their paths in the zip file.

    Those that cannot be read are noted in `left`, what is something else in `others`.
    """
    taken: set[str] = set()
    every = [folder for folder in zarr_folders(store, path) if folder != path]
    for folder in every[:_MOST_GROUPS]:
        names = folder.split("/")
        if any("/".join(names[:n]) in taken for n in range(1, len(names))):
            continue
        hierarchy = Hierarchy(table := Table(store), folder)
        try:
            table.find_root(folder, ("labels", "OME"))
            is_ours = bool(kind_of(hierarchy.attributes() or {}))
        except NotOmeNgffError:  # an array
            is_ours = False
        except OmeNgffError as error:
            left.failed("groups", folder, error)
            taken.add(folder)
            continue
        if is_ours:
            taken.add(folder)
            yield folder, hierarchy
        else:
            others.add("groups and arrays are no images", folder)
    if len(every) > _MOST_GROUPS:
        left.add("groups and arrays are not looked at", *every[_MOST_GROUPS:])
