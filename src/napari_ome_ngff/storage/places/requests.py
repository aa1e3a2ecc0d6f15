"""Bytes of several keys of a store at once: plain reads where that is fastest, else all requests together."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import zipfile
import zlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.errors import MetadataError, NotOmeNgffError, OmeNgffError, StorageError
from napari_ome_ngff.storage.places import server_errors
from napari_ome_ngff.storage.places.location import is_url, store_location

if TYPE_CHECKING:
    from zarr.abc.store import Store

MAX_BYTES = 100_000_000
"""Larger metadata documents are refused; 50 MB of attributes are odd, but can be read."""


# Requests under way at once: enough for every level, channel and label image of an image, and as many as
# web servers take from one client.
_MAX_REQUESTS = 128


_PATIENCE = 15.0  # seconds for one document, retries included


_MAX_FAILURES = 3  # then the server is taken for dead, and is not asked for what is left


_NOT_THERE = (FileNotFoundError, NotADirectoryError)


def fetch(store: Store, keys: Iterable[str]) -> dict[str, bytes | OmeNgffError | None]:
    """Read several keys of a store in one round trip.

    Parameters
    ----------
    store
        Any Zarr store.
    keys
        Complete keys, such as ``labels/cells/zarr.json``.

    Returns
    -------
    dict
        Each key to its bytes, to None where there is nothing, or to the error that kept it from being read.

    Examples
    --------
    >>> import zarr
    >>> group = zarr.group(store=zarr.storage.MemoryStore(), attributes={"a": 1})
    >>> {key: found is not None for key, found in fetch(group.store, ["zarr.json", ".zgroup"]).items()}
    {'zarr.json': True, '.zgroup': False}
    """
    from zarr.core.sync import sync
    from zarr.storage import LocalStore, ZipStore

    unique = list(dict.fromkeys(keys))
    # Exactly these classes: one derived from them may read in its own way.
    if type(store) is LocalStore:
        root = os.path.abspath(store.root)
        return {key: _read_file(os.path.join(root, key)) for key in unique}
    if type(store) is ZipStore:
        return _read_zip(store, unique)
    return sync(_get_all(store, unique)) if unique else {}


def is_cheap(store: Store) -> bool:
    """Tell whether asking a store for what is not there costs next to nothing, so that it can be listed.

    Parameters
    ----------
    store
        Any Zarr store.

    Returns
    -------
    bool
        True for folders, zip files and stores in memory.
    """
    from zarr.storage import LocalStore, MemoryStore, ZipStore

    return isinstance(store, LocalStore | ZipStore | MemoryStore)


def explain(error: BaseException, where: str) -> OmeNgffError:
    """Return one clear sentence for what a store raised.

    Parameters
    ----------
    error
        Any exception.
    where
        Path or URL that was read.

    Returns
    -------
    OmeNgffError
        To be raised by the caller ``from error``.

    Examples
    --------
    >>> explain(PermissionError("no"), "/data/a.zarr").summary
    'The permission to read this is missing.'
    """
    if isinstance(error, OmeNgffError):
        return error
    if is_url(where) and not where.startswith("memory://"):
        return server_errors.explain(error, where)
    if isinstance(error, PermissionError):
        return StorageError("The permission to read this is missing.", where=where, found=str(error))
    if isinstance(error, OSError):
        return StorageError("The Zarr metadata cannot be read.", where=where, found=str(error))
    return NotOmeNgffError(
        "The Zarr metadata are damaged.", where=where, found=f"{type(error).__name__}: {error}"
    )


def too_large(size: int, where: str) -> MetadataError:
    """Return the error for a metadata document that nobody should have to read.

    Parameters
    ----------
    size
        Its size in bytes.
    where
        Path or URL of it.

    Returns
    -------
    MetadataError
        To be raised by the caller.
    """
    return MetadataError(
        "A metadata document is too large.",
        where=where,
        found=f"{size / 1e6:.0f} MB",
        expected=f"at most {MAX_BYTES / 1e6:.0f} MB",
        hint="Keep tables beside the metadata rather than in them.",
    )


def _read_file(path: str) -> bytes | OmeNgffError | None:
    try:
        # Without waiting: a named pipe that is called zarr.json would never answer.
        number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except _NOT_THERE:
        return None
    except ValueError:  # a name that no file can have (NUL, lone surrogates)
        return None
    except OSError as error:
        return None if error.errno == errno.ENAMETOOLONG or _is_folder(path) else explain(error, path)
    try:
        status = os.fstat(number)
        if stat.S_ISDIR(status.st_mode):
            return None
        if not stat.S_ISREG(status.st_mode):
            return StorageError("A metadata document is no regular file.", where=path)
        if status.st_size > MAX_BYTES:
            return too_large(status.st_size, path)
        with os.fdopen(number, "rb", buffering=0, closefd=False) as file:
            return file.read()
    except OSError as error:
        return explain(error, path)
    finally:
        os.close(number)


def _is_folder(path: str) -> bool:
    return os.path.isdir(path)  # Windows refuses to open one


def _read_zip(store: Any, keys: list[str]) -> dict[str, bytes | OmeNgffError | None]:
    if not store._is_open:
        store._sync_open()
    return {key: _read_member(store._zf, key, f"{store_location(store)}/{key}") for key in keys}


def _read_member(archive: zipfile.ZipFile, key: str, where: str) -> bytes | OmeNgffError | None:
    try:
        size = archive.getinfo(key).file_size
        return too_large(size, where) if size > MAX_BYTES else archive.read(key)
    except KeyError:
        return None
    except (OSError, EOFError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        # Encrypted, cut off, or compressed in an unknown way.
        return StorageError("The zip file is damaged.", where=where, found=f"{type(error).__name__}: {error}")


async def _get_all(store: Store, keys: list[str]) -> dict[str, bytes | OmeNgffError | None]:
    from zarr.core.buffer import default_buffer_prototype

    root, prototype = store_location(store), default_buffer_prototype()
    await store._ensure_open()
    gate = asyncio.Semaphore(_MAX_REQUESTS)
    failures: list[OmeNgffError] = []

    async def get(key: str) -> bytes | OmeNgffError | None:
        async with gate:
            if len(failures) >= _MAX_FAILURES:
                return failures[0]
            try:
                buffer = await asyncio.wait_for(store.get(key, prototype), _PATIENCE)
            except _NOT_THERE:
                return None
            except Exception as error:  # noqa: BLE001 (whatever a store raises)
                problem = explain(error, f"{root}/{key}")
                failures.append(problem)
                return problem
        if buffer is None:
            return None
        return too_large(len(buffer), f"{root}/{key}") if len(buffer) > MAX_BYTES else buffer.to_bytes()

    return dict(zip(keys, await asyncio.gather(*map(get, keys)), strict=True))
