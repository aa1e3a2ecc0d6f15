"""Where something is: paths, URLs and zip files, said in one way so that places can be compared.

Nothing here opens a Zarr hierarchy or imports zarr, so that napari can ask about any folder at no cost.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import zarr


def join(*parts: str) -> str:
    """Return parts of a key joined by slashes, empty ones left out.

    Parameters
    ----------
    *parts
        Paths and names.

    Returns
    -------
    str
        A key.

    Examples
    --------
    >>> join("", "a", "zarr.json")
    'a/zarr.json'
    """
    return "/".join(part for part in parts if part)


def folder_of(key: str) -> str:
    """Return what is before the last slash of a key.

    Parameters
    ----------
    key
        A key.

    Returns
    -------
    str
        A path; "" for a key at the root.
    """
    return key.rpartition("/")[0]


DOCUMENTS = ("zarr.json", ".zattrs", ".zgroup", ".zarray")
"""Names of metadata documents."""


_MAX_LEVEL_DEPTH = 3  # folders in a level's path, such as "scale0/image"


_DAMAGED = MappingProxyType({"node_type": "damaged"})


_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")  # two letters at least: "C:\" is no URL


# Keys of OME-NGFF metadata. Storage does not know what they mean (metadata does): they only tell, without
# importing anything, that a folder is worth opening.
_OURS = frozenset(
    {"ome", "multiscales", "plate", "well", "labels", "bioformats2raw.layout", "scene", "series"}
)


def group_location(path: str) -> str:
    """Return the location of the group that a path, or the path of its metadata file, stands for.

    Parameters
    ----------
    path
        Path or URL, possibly with slashes at its end or the name of a metadata document.

    Returns
    -------
    str
        The same without them.

    Examples
    --------
    >>> group_location("/data/image.zarr/zarr.json")
    '/data/image.zarr'
    >>> group_location("https://example.org/image.zarr/?signature=1")
    'https://example.org/image.zarr?signature=1'
    """
    query = ""
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


def local_path(text: str) -> str:
    """Return the path that a ``file://`` URL stands for.

    Parameters
    ----------
    text
        Path or URL.

    Returns
    -------
    str
        Anything but a ``file://`` URL unchanged.

    Examples
    --------
    >>> local_path("file:///data/my%20image.zarr"), local_path("s3://bucket/a.zarr")
    ('/data/my image.zarr', 's3://bucket/a.zarr')
    """
    if text[:7].lower() != "file://":
        return text
    from urllib.request import url2pathname

    return url2pathname(urlsplit(text).path)


def location_of(node: zarr.Group | zarr.Array[Any]) -> str:
    """Return the path or URL of a group or array: for messages, and to tell places apart.

    Parameters
    ----------
    node
        A Zarr group or array of any store.

    Returns
    -------
    str
        Absolute path (inside a zip file: the file's path, then the path inside), or URL; ``memory://...`` for
        a store in memory.

    Examples
    --------
    >>> import zarr
    >>> location_of(zarr.create_array({}, name="a/0", shape=(2,), dtype="uint8")).startswith("memory://")
    True
    """
    root = store_location(node.store)
    return f"{root.rstrip('/')}/{node.path}" if node.path else root


def is_within(location: str, root: str) -> bool:
    """Tell whether one location is another one or lies below it.

    Parameters
    ----------
    location, root
        Paths or URLs as of `location_of`. Symbolic links are followed.

    Returns
    -------
    bool
        True if writing to `root` could change what is read from `location`.

    Examples
    --------
    >>> is_within("/data/a.zarr/0", "/data/a.zarr"), is_within("/data/a.zarr2", "/data/a.zarr")
    (True, False)
    """
    inner, outer = (x if is_url(x) else os.path.realpath(x) for x in (location, root))
    separator = "/" if is_url(outer) else os.sep
    return inner == outer or inner.startswith(outer.rstrip(separator) + separator)


def is_url(text: str) -> bool:
    """Tell whether a text is a URL rather than a path of any operating system.

    Parameters
    ----------
    text
        Path or URL.

    Returns
    -------
    bool
        True if it starts with a scheme of two letters or more and ``://``.

    Examples
    --------
    >>> is_url("s3://bucket/image.zarr"), is_url("C:/data/image.zarr")
    (True, False)
    """
    return _URL.match(text) is not None


def is_zip(path: Path) -> bool:
    """Tell by its first bytes whether a file is a zip file.

    Parameters
    ----------
    path
        Any path.

    Returns
    -------
    bool
        False also if it is no file or cannot be read.

    Examples
    --------
    >>> is_zip(Path("/no/such/file.ozx"))
    False
    """
    try:
        with path.open("rb") as file:
            return file.read(2) == b"PK"
    except OSError:
        return False


def store_location(store: Any) -> str:
    """Return the path or URL of the root of a store.

    Parameters
    ----------
    store
        A Zarr store of any kind.

    Returns
    -------
    str
        As of `location_of`, without a slash at its end.

    Examples
    --------
    >>> from zarr.storage import LocalStore
    >>> store_location(LocalStore("/data/image.zarr"))
    '/data/image.zarr'
    """
    kind = type(store).__name__
    if kind == "LocalStore":
        return os.path.abspath(str(store.root))
    if kind == "ZipStore":
        return os.path.abspath(str(store.path))
    if kind in ("ObjectStore", "RemoteStore", "UploadStore"):
        from napari_ome_ngff.storage.places import object_store

        return object_store.remote_location(store.store)
    if kind == "FsspecStore":
        return str(store.fs.unstrip_protocol(store.path)).rstrip("/")
    if hasattr(store, "_store"):  # a wrapper around another store (logging, latency)
        return store_location(store._store)
    return str(store).rstrip("/")
