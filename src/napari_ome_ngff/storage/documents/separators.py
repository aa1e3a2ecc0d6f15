"""Chunk keys of Zarr v2 arrays whose document does not say whether they are "0.0.0" or "0/0/0".

Zarr's default is ".", but old writers of nested chunks did not say "/", and OME-Zarr 0.2 to 0.4 ask for
nested ones: only the keys that are there tell. With the wrong form all chunks would be missing, and the image
black without a word.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.errors import MetadataError
from napari_ome_ngff.storage.places.location import join
from napari_ome_ngff.storage.places.requests import fetch
from napari_ome_ngff.storage.places.store_kind import local_folder, store_kind

if TYPE_CHECKING:
    from zarr.abc.store import Store

    from napari_ome_ngff.storage.documents.json_documents import Document

_FORMS = (".", "/")

_FLAT = re.compile(r"\d+(?:\.\d+)+")

_MOST_ASKED = 8
"""Arrays with the same document that a server is asked about: the fields of a plate are all stored alike."""


def lacks_separator(document: Document) -> bool:
    """Return whether a ``.zarray`` leaves open how the keys of its chunks are made."""
    if document.get("dimension_separator") in _FORMS:
        return False
    shape, chunks = document.get("shape"), document.get("chunks")
    return isinstance(shape, list) and isinstance(chunks, list) and 2 <= len(shape) == len(chunks)


def find_separators(store: Store, arrays: Mapping[str, Document]) -> dict[str, str]:
    """Return the separator of each array by its path: where none of its chunks tells, that of the others.

    Where listing is possible, any chunk tells; a server is asked for both forms of one chunk of each.
    """
    listed = store_kind(store) in ("folder", "zip", "memory")
    forms = dict(_listed(store, arrays) if listed else _asked(store, arrays))
    common = next(iter(forms.values()), None)
    return forms if common is None else {path: forms.get(path, common) for path in arrays}


def _listed(store: Any, arrays: Iterable[str]) -> Iterator[tuple[str, str]]:
    if (folder := local_folder(store)) is not None:
        for path in arrays:
            form = next(filter(None, map(_form, _names(os.path.join(folder, path)))), None)
            if form:
                yield path, form
        return
    wanted = set(arrays)
    for key in store._zf.namelist() if hasattr(store, "_zf") else list(getattr(store, "_store_dict", ())):
        above, _, name = key.rpartition("/")
        if above in wanted and _FLAT.fullmatch(name):
            yield above, "."
        while name.isdecimal() and above:
            above, _, name = above.rpartition("/")
            if above in wanted and name.isdecimal():
                yield above, "/"


def _names(folder: str) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                yield entry.name
    except (OSError, ValueError):  # not to be read: the chunks are not, either
        return


def _form(name: str) -> str:
    if name.isdecimal():
        return "/"
    return "." if _FLAT.fullmatch(name) else ""


def _asked(store: Store, arrays: Mapping[str, Document]) -> Iterator[tuple[str, str]]:
    counts: dict[int, int] = {}
    keys: dict[str, tuple[str, str]] = {}
    for path, document in arrays.items():
        counts[id(document)] = counts.get(id(document), 0) + 1
        indices = _middle(document)
        if counts[id(document)] <= _MOST_ASKED and indices:
            keys |= {join(path, form.join(indices)): (path, form) for form in _FORMS}
    for key, answer in fetch(store, keys).items():
        # One that is too large to be a document is there.
        if isinstance(answer, bytes | MetadataError):
            yield keys[key]


def _middle(document: Document) -> list[str]:
    """Return the indices of the chunk in the middle, which is less likely to be left out than others."""
    try:
        return [
            str((-(-n // c) - 1) // 2) for n, c in zip(document["shape"], document["chunks"], strict=True)
        ]
    except (TypeError, ZeroDivisionError):
        return []  # damaged, which is said when the array is made
