"""A save whose pixels are all in place already: its documents alone."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.errors import TargetError
from napari_ome_ngff.metadata.image.array_axes import dimension_names
from napari_ome_ngff.metadata.nouns import Json
from napari_ome_ngff.storage.places.location import is_same, join, location_of
from napari_ome_ngff.writing.commit.in_place import InPlace, in_place, locked, put_documents
from napari_ome_ngff.writing.pending import Writing
from napari_ome_ngff.writing.plan.write_plan import Prepared
from napari_ome_ngff.writing.save import Progress, Save, documents_without_pixels
from napari_ome_ngff.writing.target import is_archive

if TYPE_CHECKING:
    import zarr


def only_metadata(writing: Writing) -> tuple[Writing, int] | None:
    """A save without its pixels, and the bytes of what it writes; None if some pixels are not in place.

    In place are levels that the save would copy onto themselves. Afterwards the image says what it would say
    after the whole save. 0 bytes if it says so already.
    """
    save = writing.save
    if save is None or is_archive(save.store):
        return None
    place = in_place(save.store, save.path)
    where = join(place.documents.where, place.path)
    if not _attributes(save.documents) or not _is_in_place(save, where):
        return None
    attributes = _attributes(documents_without_pixels(save, where))
    paths = [join(place.path, path) for path in attributes]
    place.documents.fetch(paths)
    before = {path: place.documents.attributes(path) for path in paths}
    if None in before.values():
        return None
    _change(place, save, attributes)
    size = sum(map(len, place.documents.encoded().values()))
    return Writing(_steps(save, attributes, before, size), where), size


def _steps(
    save: Save, attributes: Mapping[str, Json], before: Mapping[str, Json], size: int
) -> Generator[Progress, None, None]:
    total = Progress(
        blocks_done=0, blocks_total=1, bytes_done=0, bytes_total=size, message="Writing the metadata"
    )
    yield total
    with locked(save.store, save.path) as place:
        place.documents.fetch(before)
        if {path: place.documents.attributes(path) for path in before} != before:
            raise TargetError(
                "The metadata of the image were changed meanwhile.",
                where=join(place.documents.where, place.path),
                hint="Open the image again.",
            )
        _change(place, save, attributes)
        put_documents(place)
    yield replace(total, blocks_done=1, bytes_done=size, message="Written")


def _change(place: InPlace, save: Save, attributes: Mapping[str, Mapping[str, Json]]) -> None:
    for path, new in attributes.items():
        if place.documents.attributes(join(place.path, path)) != new:
            place.documents.set_attributes(join(place.path, path), new)
    for one in save.plan.prepared:
        for level, array in zip(one.plan.levels, one.stored, strict=True):
            names = None if array is None else _names(array)
            if names and names != one.plan.dims:
                renamed = dict(zip(names, one.plan.dims, strict=True))
                place.documents.rename_dims(join(place.path, one.plan.path, level.path), renamed)


def _names(array: zarr.Array[Any]) -> tuple[str, ...] | None:
    """What an array calls its dimensions itself, if it does."""
    names = dimension_names(array)
    is_complete = isinstance(names, list | tuple) and len(names) == array.ndim
    return tuple(map(str, names)) if is_complete else None


def _attributes(documents: Mapping[str, bytes]) -> dict[str, Mapping[str, Json]]:
    """Attributes of groups by their paths, out of their documents; empty if others are among these."""
    attributes: dict[str, Mapping[str, Json]] = {}
    for key, content in documents.items():
        path, _, name = key.rpartition("/")
        if name == "zarr.json":
            attributes[path] = json.loads(content).get("attributes", {})
        elif name == ".zattrs":
            attributes[path] = json.loads(content)
        elif name != ".zgroup":
            return {}
    return attributes


def _is_in_place(save: Save, target: str) -> bool:
    """Whether all levels would be copied onto themselves, and nothing else that is there would end."""
    prepared = save.plan.prepared
    levels = {join(one.plan.path, level.path) for one in prepared for level in one.plan.levels}
    return levels == set(save.obsolete) and all(_stays(one, target) for one in prepared)


def _stays(one: Prepared, target: str) -> bool:
    if one.tables or len(one.stored) != len(one.plan.levels):
        return False
    for level, array in zip(one.plan.levels, one.stored, strict=True):
        place = join(target, one.plan.path, level.path)
        if not level.copied or array is None or not is_same(location_of(array), place):
            return False
    return True
