"""What was written into a plate or a collection, listed there: a field in its well and in its plate."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.errors import TargetError, collected_warnings
from napari_ome_ngff.metadata.collections.plates import decode_well
from napari_ome_ngff.metadata.group_kind import holder_of, kind_of
from napari_ome_ngff.metadata.versions import check_version, decode
from napari_ome_ngff.storage.places.folders import node_kind
from napari_ome_ngff.storage.places.location import join
from napari_ome_ngff.writing.commit.in_place import InPlace, in_place, locked, put_documents
from napari_ome_ngff.writing.commit.plate_place import PlatePlace, collection_of, plate_place
from napari_ome_ngff.writing.target import is_archive, local_root, target_folder

if TYPE_CHECKING:
    from zarr.abc.store import Store

_WAITS, _WAIT = 100, 0.05  # times, seconds: for others who register fields of the same plate


def register_field(place: PlatePlace) -> None:
    """Put a field into the lists of its well and its plate, if it is not there; they change together."""
    with _waiting(place.folder) as plate:
        _list_in_well(plate, place)
        _list_in_plate(plate, place)
        _list_nodes(plate, place.folder, place.path)
        put_documents(plate)


def relist(collection: Path, image: Path) -> None:
    """Put what an image of a collection has now into consolidated metadata, where there are any."""
    with _waiting(collection) as place:
        _list_nodes(place, collection, image)
        put_documents(place)


@contextmanager
def _waiting(folder: Path) -> Iterator[InPlace]:
    with ExitStack() as stack:
        for left in reversed(range(_WAITS)):
            try:
                place = stack.enter_context(locked(folder))
                break
            except TargetError:
                if not left:
                    raise
                time.sleep(_WAIT)
        yield place


def _list_nodes(place: InPlace, folder: Path, image: Path) -> None:
    place.documents.unlist(join(place.path, image.relative_to(folder).as_posix()))
    for node in _nodes(image):
        place.documents.list_node(join(place.path, node.relative_to(folder).as_posix()), node)


def check_field(store: Store | str | os.PathLike[str], path: str, version: str) -> None:
    """Refuse an image of another version than its plate or collection, or of no known acquisition."""
    root = None if is_archive(store) else local_root(store)
    if root is None:
        return
    target = target_folder(root, path)
    place = plate_place(target)
    if place is None:
        if collection_of(target) is not None:
            _check_version(target, version)
        return
    place.check_version(version)
    if len(place.plate.acquisitions) > 1 and not (place.path).exists():
        raise TargetError(
            "The plate has several acquisitions, and nothing says which of them this field is of.",
            where=str(place.folder),
            found=", ".join(str(each.id) for each in place.plate.acquisitions),
            hint="Write the plate with write_plate or PlateWriter, which take acquisitions.",
        )


def _check_version(image: Path, version: str) -> None:
    place = in_place(image)
    with collected_warnings():  # whoever opens it is told
        before = decode(place.documents.group(place.path), where=str(image))[0].version
    if before != version:
        raise TargetError(
            f"The image that is there is in OME-Zarr {before}, and so is the collection around it.",
            where=str(image),
            found=f"version {version}",
            hint=f'Choose version "{before}", or a place of its own.',
        )


def _list_in_well(plate: InPlace, place: PlatePlace) -> None:
    documents, row = plate.documents, check_version(place.plate.version)
    for group in (place.row, place.well):
        path = join(plate.path, group)
        if documents.attributes(path) is None:
            documents.add_group(path, row.zarr_format)
    path = join(plate.path, place.well)
    attributes = copy.deepcopy(dict(documents.group(path)))
    acquisition = {"acquisition": place.plate.acquisitions[0].id} if place.plate.acquisitions else {}
    entry = {"path": place.field, **acquisition}
    if kind_of(attributes) != "well":
        tag = {} if row.container else {"version": row.name}
        documents.set_attributes(path, {**attributes, **row.attributes({"well": {**tag, "images": [entry]}})})
        return
    fields = decode_well(attributes, where=join(documents.where, path)).fields
    if place.field not in [field.path for field in fields]:
        _holder(attributes, "well").setdefault("images", []).append(entry)
        documents.set_attributes(path, attributes)


def _list_in_plate(plate: InPlace, place: PlatePlace) -> None:
    documents = plate.documents
    attributes = copy.deepcopy(dict(documents.group(plate.path)))
    content = _holder(attributes, "plate")
    well = documents.group(join(plate.path, place.well))
    count = len(decode_well(well, where=documents.where).fields)
    if isinstance(content.get("field_count"), int):
        content["field_count"] = max(content["field_count"], count)
    if place.well not in [each.path for each in place.plate.wells]:
        indices = []
        for key, name in (("rows", place.row), ("columns", place.column)):
            names = [each.get("name") for each in content.setdefault(key, [])]
            if name not in names:
                content[key].append({"name": name})
            indices.append(names.index(name) if name in names else len(names))
        content.setdefault("wells", []).append(
            {"path": place.well, "rowIndex": indices[0], "columnIndex": indices[1]}
        )
    if attributes != documents.group(plate.path):
        documents.set_attributes(plate.path, attributes)


def _holder(attributes: dict[str, Any], key: str) -> dict[str, Any]:
    container, _ = holder_of(attributes, key)
    holder: Mapping[str, Any] = attributes[container] if container else attributes
    content: dict[str, Any] = holder[key]
    return content


def _nodes(folder: Path) -> list[Path]:
    """The groups and arrays of a field."""
    nodes = []
    for above, folders, _ in os.walk(folder):
        kind = node_kind(Path(above))
        if kind is None:
            folders.clear()
            continue
        nodes.append(Path(above))
        if kind == "array":
            folders.clear()
    return nodes
