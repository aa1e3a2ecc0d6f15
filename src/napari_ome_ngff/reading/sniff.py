"""Whether a path is worth opening as OME-Zarr, from a few small files at most and without a network."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import SplitResult, urlsplit

from napari_ome_ngff.metadata.group_kind import COLLECTIONS, CONTAINER, SPATIALDATA
from napari_ome_ngff.storage.places.leftovers import moved_aside
from napari_ome_ngff.storage.places.location import group_location, is_url, is_zip, local_path, usual_spelling
from napari_ome_ngff.storage.places.node_documents import DOCUMENTS, says_array
from napari_ome_ngff.storage.places.requests import MAX_DOCUMENT_BYTES

_MAX_LEVEL_DEPTH = 3  # folders in a level's path, such as "scale0/image"


_DAMAGED = MappingProxyType({"damaged": True})


# Keys of OME-Zarr metadata. They only tell, without importing anything, that a folder is worth opening.
_OURS = frozenset({CONTAINER, "multiscales", *COLLECTIONS})


def is_likely_ome_ngff(path: str) -> bool:
    """Return whether a place is worth opening, from a few small files and without any network.

    A local group is judged by the keys of its attributes and, where it has none of ours, by its ``labels``
    and ``OME`` groups and by the plate that it may be a row or well of; an array by the image above that
    names it as a level; a zip file by its name or what it lists; a URL by its shape.
    """
    place = local_path(group_location(path))
    if is_url(place):
        return _is_likely_url(urlsplit(usual_spelling(path)))
    folder = Path(os.path.abspath(os.path.expanduser(place)))
    folder = moved_aside(folder) or folder
    if folder.name.lower().endswith(".ozx") and folder.is_file():
        return True  # nobody else reads these: what is no zip file is refused with a reason
    if folder.name.lower().endswith(".zip"):
        return is_zip(folder) and _lists_documents(folder)
    kind, attributes = _read_node(folder)
    if not kind:
        return False
    if kind == "array":
        return _is_level(folder)
    return (
        kind == "damaged"
        or not _OURS.isdisjoint(attributes)
        or SPATIALDATA in attributes
        or any(not _OURS.isdisjoint(_read_node(folder / name)[1]) for name in ("labels", "OME"))
        or _is_in_plate(folder)
    )


def is_zarr(path: str) -> bool:
    """Return whether a local folder, or the folder of a document, is a Zarr group or array of any kind."""
    place = local_path(group_location(path))
    return not is_url(place) and bool(_read_node(Path(os.path.abspath(os.path.expanduser(place))))[0])


def _is_likely_url(url: SplitResult) -> bool:
    name = url.path.rstrip("/").rpartition("/")[2]
    named_so = ".zarr" in url.path or name in DOCUMENTS or name.endswith(".ozx")
    # Nobody else reads buckets; and an address without a suffix is no PNG.
    return named_so or url.scheme in ("s3", "gs", "az", "abfs", "abfss") or (bool(name) and "." not in name)


def _lists_documents(archive: Path) -> bool:
    try:
        with zipfile.ZipFile(archive) as opened:
            names = opened.namelist()
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return True  # it is damaged: opening it raises the error
    return any(name.rpartition("/")[2] in DOCUMENTS for name in names)


def _read_node(folder: Path) -> tuple[str, dict[str, Any]]:
    """Return "group", "array", "damaged" or "" for a folder, and its OME-Zarr attributes in one layer."""
    document = _read_json(folder / "zarr.json")
    if document is not None:
        kind, attributes = "array" if says_array(document) else "group", document.get("attributes")
        kind = "damaged" if document == _DAMAGED else kind
    elif (folder / ".zarray").is_file():
        return "array", {}
    else:
        attributes = _read_json(folder / ".zattrs")
        kind = "" if attributes is None and not (folder / ".zgroup").is_file() else "group"
        kind = "damaged" if attributes == _DAMAGED else kind
    if not isinstance(attributes, dict):
        return kind, {}
    inner = attributes.get("ome")
    return kind, {**attributes, **inner} if isinstance(inner, dict) else attributes


def _read_json(path: Path) -> dict[str, Any] | None:
    """Return what a document holds; None if there is none."""
    try:
        if not path.is_file():  # a pipe would never answer
            return None
        if path.stat().st_size > MAX_DOCUMENT_BYTES:
            return dict(_DAMAGED)
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        return dict(_DAMAGED)  # opening it raises the error
    return content if isinstance(content, dict) or content is None else dict(_DAMAGED)


def _is_level(folder: Path) -> bool:
    """Return whether an image above names an array as its level: right above, or above its folder."""
    for above in list(folder.parents)[:_MAX_LEVEL_DEPTH]:
        path = folder.relative_to(above).as_posix()
        images = _read_node(above)[1].get("multiscales")
        for image in images if isinstance(images, list) else ():
            levels = image.get("datasets") if isinstance(image, dict) else None
            for level in levels if isinstance(levels, list) else ():
                if isinstance(level, dict) and str(level.get("path")).strip("/") == path:
                    return True
    return False


def _is_in_plate(folder: Path) -> bool:
    """Return whether a group is a row, or a well without attributes, of the plate above it."""
    for above in list(folder.parents)[:2]:
        path = folder.relative_to(above).as_posix()
        plate = _read_node(above)[1].get("plate")
        wells = plate.get("wells") if isinstance(plate, dict) else None
        for well in wells if isinstance(wells, list) else ():
            if isinstance(well, dict) and f"{well.get('path')}/".startswith(f"{path}/"):
                return True
    return False
