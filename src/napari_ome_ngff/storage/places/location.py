"""Paths, URLs and zip files in one form, so that they can be compared.

Nothing here opens a Zarr hierarchy or imports zarr, so that napari can ask about any folder at no cost.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from napari_ome_ngff.storage.places.node_documents import DOCUMENTS
from napari_ome_ngff.storage.places.store_kind import is_session, local_folder, store_kind

if TYPE_CHECKING:
    import zarr


def join(*parts: str) -> str:
    """Parts of a key joined by slashes, empty ones left out."""
    return "/".join(part for part in parts if part)


def folder_of(key: str) -> str:
    """What is before the last slash of a key; "" at the root."""
    return key.rpartition("/")[0]


_DEVICE = re.compile(
    r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(COM|LPT)[1-9\u00b9\u00b2\u00b3]) *(\.|$)", re.IGNORECASE
)

_NOT_IN_NAMES = re.compile(r'[<>:"/\\|?*\x00-\x1f]|[. ]$')


def is_windows_name(name: str) -> bool:
    """Whether Windows takes a file or folder of this name; elsewhere nearly everything is one.

    >>> [is_windows_name(name) for name in ("cells.ome.zarr", "aux.ome.zarr", "a:b", "cells ")]
    [True, False, False, False]
    """
    return not _NOT_IN_NAMES.search(name) and not _DEVICE.match(name)


_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")  # two letters at least: "C:\" is no URL


def group_location(path: str) -> str:
    """The group that a path or URL stands for, which may end with slashes or name a metadata document.

    >>> group_location("/data/image.zarr/zarr.json")
    '/data/image.zarr'
    >>> group_location("https://example.org/image.zarr/?signature=1")
    'https://example.org/image.zarr?signature=1'
    """
    path, query = usual_spelling(path), ""
    if is_url(path) and path[:7].lower() != "file://":  # file names may hold "?"
        path, mark, rest = path.partition("?")
        query = mark + rest
    separators = "/" if is_url(path) else "/" + os.sep
    trimmed = path.rstrip(separators) or path[:1]
    if trimmed.endswith(":"):  # "s3://": nothing but a scheme
        trimmed = path
    for name in DOCUMENTS:
        if trimmed == name:
            return "."
        if trimmed.endswith(tuple(s + name for s in separators)):
            return (trimmed[: -len(name)].rstrip(separators) or trimmed[:1]) + query
    return trimmed + query


_SCHEMES = {"gcs": "gs", "s3a": "s3", "s3n": "s3", "abfs": "az", "abfss": "az"}
"""How other programs call buckets."""


def usual_spelling(path: str) -> str:
    """The address that another program's spelling stands for.

    neuroglancer's ``zarr://ADDRESS`` and ``ADDRESS|zarr3:PATH``, and the schemes of Hadoop and fsspec.

    >>> usual_spelling("s3a://bucket/image.zarr|zarr3:")
    's3://bucket/image.zarr/'
    """
    path = re.sub(r"\|(?:zip|zarr[23]?):/*", "/", re.sub(r"^zarr[23]?://", "", path))
    scheme, mark, rest = path.partition("://")
    if mark and "@" in rest.partition("/")[0] and scheme.lower() in ("abfs", "abfss"):
        return path  # abfs://container@account: it names the account too
    return f"{_SCHEMES.get(scheme.lower(), scheme)}://{rest}" if mark else path


def local_path(text: str) -> str:
    """The path that a ``file://`` URL stands for; anything else unchanged."""
    if text[:7].lower() != "file://":
        return text
    from urllib.request import url2pathname

    return url2pathname(urlsplit(text).path)


def location_of(node: zarr.Group | zarr.Array[Any]) -> str:
    """Path (inside a zip file: its path goes on) or URL of a group or array; ``memory://...`` in memory."""
    return location_in(node.store, node.path)


def location_in(store: Any, path: str) -> str:
    """Path or URL of what is at a path in a store."""
    root = store_location(store)
    return f"{root.rstrip('/')}/{path}" if path else root


def is_within(location: str, root: str) -> bool:
    """Whether one location (as of `location_of`) is another or lies below it; symbolic links are followed."""
    inner, outer = (x if is_url(x) else os.path.realpath(x) for x in (location, root))
    separator = "/" if is_url(outer) else os.sep
    inner, outer = inner.rstrip(separator) + separator, outer.rstrip(separator) + separator
    if inner.startswith(outer) or is_url(outer):
        return inner.startswith(outer)
    return inner.casefold().startswith(outer.casefold()) and ignores_case(Path(outer))


def is_same(location: str, other: str) -> bool:
    """Whether two locations (as of `location_of`) are one; symbolic links are followed."""
    return is_within(location, other) and is_within(other, location)


def ignores_case(folder: Path) -> bool:
    """Whether names in a folder mean the same in upper and lower case: on Windows, and usually on macOS."""
    for place in (folder, *folder.parents):
        other = place.with_name(place.name.swapcase()) if place.name else place
        if other != place and os.path.exists(place):
            # Not every file system gives what is one under two names one number.
            return os.path.exists(other) and not {place.name, other.name} <= set(os.listdir(place.parent))
    return sys.platform == "win32"


def as_listed(path: Path, folder: Path) -> Path:
    """A path with its names below a folder as they are listed there, if case makes no difference to them."""
    if not ignores_case(folder):
        return path
    for name in path.relative_to(folder).parts:
        names = os.listdir(folder) if folder.is_dir() else []
        folder /= next((each for each in names if each.casefold() == name.casefold()), name)
    return folder


def is_url(text: str) -> bool:
    """Whether a text is a URL rather than a path of any operating system."""
    return _URL.match(text) is not None


def is_zip(path: Path) -> bool:
    """Whether a file begins as a zip file; False also if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(2) == b"PK"
    except OSError:
        return False


def store_location(store: Any) -> str:
    """Path or URL of the root of a store, without a slash at its end."""
    if (folder := local_folder(store)) is not None:
        return folder
    kind = store_kind(store)
    if kind == "zip":
        return os.path.abspath(str(store.path))
    if kind == "object":
        from napari_ome_ngff.storage.places import object_store

        return object_store.remote_location(store.store)
    if kind == "fsspec":
        return str(store.fs.unstrip_protocol(store.path)).rstrip("/")
    if is_session(store):
        return f"icechunk:{store.session.branch or store.session.snapshot_id}"
    if hasattr(store, "_store"):  # a wrapper around another store (logging, latency)
        return store_location(store._store)
    return str(store).rstrip("/")
