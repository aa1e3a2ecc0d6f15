"""Where something is: paths, URLs and zip files, said in one way so that places can be compared.

Nothing here opens a Zarr hierarchy or imports zarr, so that napari can ask about any folder at no cost.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import zarr

DOCUMENTS = ("zarr.json", ".zattrs", ".zgroup")
"""Names of a group's metadata documents."""

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")  # two letters at least: "C:\" is no URL
# Keys of OME-NGFF metadata. Storage does not know what they mean (metadata does): they only tell, without
# importing anything, that a folder is worth opening.
_OURS = frozenset({"multiscales", "plate", "well", "labels", "bioformats2raw.layout", "scene", "series"})


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
    >>> group_location("https://example.org/image.zarr/")
    'https://example.org/image.zarr'
    """
    separators = "/" if is_url(path) else "/" + os.sep
    trimmed = path.rstrip(separators) or path[:1]
    for name in DOCUMENTS:
        if trimmed == name:
            return "."
        if trimmed.endswith(tuple(s + name for s in separators)):
            return trimmed[: -len(name)].rstrip(separators) or trimmed[:1]
    return trimmed


def looks_like_ome_ngff(path: str) -> bool:
    """Tell, in at most three file operations and without any network, whether a place is worth opening.

    Parameters
    ----------
    path
        Path or URL. A local group is judged by the keys of its attributes, a zip file by its name and first
        bytes, a URL by its shape alone.

    Returns
    -------
    bool
        True if opening it is likely to give an image.

    Examples
    --------
    >>> looks_like_ome_ngff("https://example.org/image.zarr")
    True
    >>> looks_like_ome_ngff("/no/such/folder")
    False
    """
    if is_url(path):
        return ".zarr" in path or path.endswith(("zarr.json", ".zattrs", ".ozx"))
    folder = Path(group_location(path)).expanduser()
    if folder.name.lower().endswith((".ozx", ".zip")):
        return is_zip(folder)
    for name in ("zarr.json", ".zattrs"):
        try:
            attributes = json.loads((folder / name).read_bytes())
        except (OSError, ValueError, RecursionError):
            continue  # absent, unreadable or not JSON: then it is not ours to open
        if isinstance(attributes, dict):
            if name == "zarr.json":
                attributes = attributes.get("attributes")
            if isinstance(attributes, dict) and (
                isinstance(attributes.get("ome"), dict) or not _OURS.isdisjoint(attributes)
            ):
                return True
    return False


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
    if kind in ("ObjectStore", "RemoteStore"):
        from napari_ome_ngff.storage import remote

        return remote.remote_location(store.store)
    if kind == "FsspecStore":
        return str(store.fs.unstrip_protocol(store.path)).rstrip("/")
    if hasattr(store, "_store"):  # a wrapper around another store (logging, latency)
        return store_location(store._store)
    return str(store).rstrip("/")
