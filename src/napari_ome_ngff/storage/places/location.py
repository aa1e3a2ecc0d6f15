"""Where something is: paths, URLs and zip files, said in one way so that places can be compared.

Nothing here opens a Zarr hierarchy or imports zarr, so that napari can ask about any folder at no cost.
"""

from __future__ import annotations

import json
import os
import re
import zipfile
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

if TYPE_CHECKING:
    import zarr

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


def looks_like_ome_ngff(path: str) -> bool:
    """Tell, from a few small files and without any network, whether a place is worth opening.

    Parameters
    ----------
    path
        Path or URL. A local group is judged by the keys of its attributes and, where it has none of ours, by
        its ``labels`` and ``OME`` groups and by the plate that it may be a row or well of; an array by the
        image above that names it as a level; a zip file by its name or what it lists; a URL by its shape.

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
    place = local_path(group_location(path))
    if is_url(place):
        return _is_likely(urlsplit(path))
    folder = Path(os.path.abspath(os.path.expanduser(place)))
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
        or any(not _OURS.isdisjoint(_read_node(folder / name)[1]) for name in ("labels", "OME"))
        or _is_in_plate(folder)
    )


def _is_likely(url: SplitResult) -> bool:
    name = url.path.rstrip("/").rpartition("/")[2]
    known = ".zarr" in url.path or name in DOCUMENTS or name.endswith(".ozx")
    # Nobody else reads buckets; and an address without a suffix is no PNG.
    return known or url.scheme in ("s3", "gs", "az") or (bool(name) and "." not in name)


def _lists_documents(archive: Path) -> bool:
    try:
        with zipfile.ZipFile(archive) as opened:
            names = opened.namelist()
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return True  # it is damaged, and that should be said
    return any(name.count("/") <= 1 and name.rpartition("/")[2] in DOCUMENTS for name in names)


def _read_node(folder: Path) -> tuple[str, dict[str, Any]]:
    """Return "group", "array", "damaged" or "" for a folder, and its OME-NGFF attributes in one layer."""
    document = _read_json(folder / "zarr.json")
    if document is not None:
        kind, attributes = str(document.get("node_type", "group")), document.get("attributes")
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
        content = json.loads(path.read_bytes()) if path.is_file() else None  # a pipe would never answer
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        return dict(_DAMAGED)  # opening it says so
    return content if isinstance(content, dict) or content is None else dict(_DAMAGED)


def _is_level(folder: Path) -> bool:
    """Tell whether an image above names an array as its level: right above, or above its folder."""
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
    """Tell whether a group is a row, or a well without attributes, of the plate above it."""
    for above in list(folder.parents)[:2]:
        path = folder.relative_to(above).as_posix()
        plate = _read_node(above)[1].get("plate")
        wells = plate.get("wells") if isinstance(plate, dict) else None
        for well in wells if isinstance(wells, list) else ():
            if isinstance(well, dict) and f"{well.get('path')}/".startswith(f"{path}/"):
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
    if kind in ("ObjectStore", "RemoteStore", "UploadStore"):
        from napari_ome_ngff.storage.places import object_store

        return object_store.remote_location(store.store)
    if kind == "FsspecStore":
        return str(store.fs.unstrip_protocol(store.path)).rstrip("/")
    if hasattr(store, "_store"):  # a wrapper around another store (logging, latency)
        return store_location(store._store)
    return str(store).rstrip("/")
