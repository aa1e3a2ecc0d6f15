"""Names of images and label images: paths in the hierarchy that every file system and server can spell."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

from napari_ome_ngff.storage.places.location import group_location, is_url, is_windows_name
from napari_ome_ngff.storage.places.node_documents import DOCUMENTS

_LONGEST = 200


def safe_name(name: str, otherwise: str = "labels") -> str:
    """Return a layer's name as the name of a Zarr node: letters, digits, ``-``, ``_`` and single dots.

    What is a device of Windows (``aux``) gets an underscore.
    Zarr v3, "Node names": not empty, no ``/``, not only dots, not starting with ``__``.
    """
    words = re.sub(r"\.{2,}", ".", re.sub(r"[^\w.-]+", "_", name)).strip("._-")
    if words.lower() in DOCUMENTS:
        words = words.replace(".", "_")
    # File systems take names of 255 bytes; a number may follow.
    words = words.encode()[:_LONGEST].decode(errors="ignore") or otherwise
    return words if is_windows_name(words) else f"_{words}"


def unique_names(names: Iterable[str]) -> list[str]:
    """Return the names with ``-2``, ``-3``, ... added where one repeats another, whatever the case."""
    taken: set[str] = set()
    numbers: dict[str, int] = {}  # where to go on counting: thousands may have one name
    unique = []
    for name in names:
        candidate, n = name, numbers.get(name.casefold(), 1)
        while candidate.casefold() in taken:
            n += 1
            candidate = f"{name}-{n}"
        numbers[name.casefold()] = n
        taken.add(candidate.casefold())
        unique.append(candidate)
    return unique


OLD = " (old)"
"""What the name of a layer ends with while another one takes its place."""


_SUFFIXES = (".ome.zarr", ".zarr", ".ozx", ".zarr.zip", ".zip")


def image_name(path: str) -> str:
    """Return what to call an image that has no name: the last part of its path or URL."""
    if is_url(path):
        path = unquote(urlsplit(path).path)
    name = os.path.basename(group_location(path).rstrip("/" + os.sep))
    for suffix in _SUFFIXES:
        if name.lower().endswith(suffix):
            name = name[: -len(suffix)]
    return name or "image"
