"""Bytes of several keys of a store at once: plain reads where that is fastest, else all requests together."""

from __future__ import annotations

import asyncio
import errno
import functools
import os
import stat
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

from napari_ome_ngff.errors import MetadataError, NotOmeNgffError, OmeNgffError, StorageError
from napari_ome_ngff.storage.places import server_errors
from napari_ome_ngff.storage.places.location import is_url, store_location

if TYPE_CHECKING:
    from zarr.abc.store import Store

MAX_DOCUMENT_BYTES = 100_000_000
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
        expected=f"at most {MAX_DOCUMENT_BYTES / 1e6:.0f} MB",
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
        if status.st_size > MAX_DOCUMENT_BYTES:
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
        return too_large(size, where) if size > MAX_DOCUMENT_BYTES else archive.read(key)
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
        return (
            too_large(len(buffer), f"{root}/{key}") if len(buffer) > MAX_DOCUMENT_BYTES else buffer.to_bytes()
        )

    return dict(zip(keys, await asyncio.gather(*map(get, keys)), strict=True))


MAX_REQUESTS = 64
"""Requests to a store that are under way at once."""


MAX_BYTES_AT_ONCE = 64 * 2**20
"""Bytes that the chunks under way should not exceed once they are decoded.

On a slow line, more at once would only make all of them late, until the server or the client gives up.
"""


# Not blocking: a pipe in the place of a chunk would never be opened.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class Piece(NamedTuple):
    """What to read: a stored object or a part of it."""

    key: str
    span: tuple[int, int] | None = None
    """Offset and length in bytes; an offset of -1 stands for the last bytes; None for everything."""


Answer = bytes | Exception | None
"""What came of it: bytes, None where there is no such object, or why it could not be read."""


def read_pieces(
    store: Store, pieces: Iterable[Piece], handle: Callable[[int, Answer], None], *, decoded_bytes: int
) -> None:
    """Read pieces of stored objects and hand each to a function as soon as it is there.

    Parameters
    ----------
    store
        Where they are; local folders are read without its help.
    pieces
        What to read.
    handle
        Gets the number of a piece and what came of it, in any order and in any thread, several at once. It
        must not raise, nor read pieces itself.
    decoded_bytes
        Memory that one piece needs once it is decoded; with large ones, fewer are under way at once. Files
        that are much larger than that are no chunks, and are not read.

    Examples
    --------
    >>> from zarr.storage import MemoryStore
    >>> found = {}
    >>> read_pieces(MemoryStore(), [Piece("a"), Piece("b")], found.__setitem__, decoded_bytes=1)
    >>> sorted(found.items())
    [(0, None), (1, None)]
    """
    from zarr.storage import LocalStore

    todo = deque(enumerate(pieces))
    room = max(2, MAX_BYTES_AT_ONCE // max(1, decoded_bytes))
    if type(store) is LocalStore:  # exactly: a class derived from it may read in its own way
        root, limit = os.path.join(os.path.abspath(store.root), ""), 2 * decoded_bytes + 2**20

        def read(number: int, piece: Piece) -> None:
            handle(number, read_file(root + piece.key, piece.span, limit=limit))

        _share_out(todo, read, min(room, _cores()))
    else:
        _request(store, todo, handle, min(room, MAX_REQUESTS))


def read_file(path: str, span: tuple[int, int] | None, *, limit: int) -> Answer:
    """Read a file or a part of it.

    Parameters
    ----------
    path
        Path of the file.
    span
        As in `Piece`.
    limit
        Bytes that it may have.

    Returns
    -------
    bytes, Exception or None
        None if there is no such file. Pipes and devices are refused: they might never end.

    Examples
    --------
    >>> read_file("/no/such/file", None, limit=100) is None
    True
    """
    try:
        file = os.open(path, _FLAGS)
        try:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode):
                return None if stat.S_ISDIR(status.st_mode) else OSError(f"{path} is not a regular file")
            start, length = (0, status.st_size) if span is None else span
            if start:
                start = start if start > 0 else max(0, status.st_size - length)
                os.lseek(file, start, os.SEEK_SET)
            length = min(length, max(0, status.st_size - start))
            if length > limit:
                return ValueError(f"{length} bytes are too many: no more than {limit} were expected")
            return _read(file, length)
        finally:
            os.close(file)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None
    except (OSError, MemoryError, OverflowError) as error:
        return error


def _read(file: int, length: int) -> bytes:
    parts: list[bytes] = []
    while length > 0 and (data := os.read(file, min(length, 2**30))):
        parts.append(data)
        length -= len(data)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _share_out(todo: deque[tuple[int, Piece]], read: Callable[[int, Piece], None], threads: int) -> None:
    """Read pieces in this thread, helped by others: each takes the next one when it is done with the last."""

    def work() -> None:
        while True:
            try:
                number, piece = todo.popleft()
            except IndexError:
                return
            read(number, piece)

    helpers = []
    if threads > 1 and len(todo) > 2:
        helpers = [_pool(os.getpid()).submit(work) for _ in range(min(threads, len(todo)) - 1)]
    try:
        work()
    finally:
        todo.clear()
        for helper in helpers:
            if not helper.cancel():  # else it did not begin: nothing is left for it
                helper.result()


def _request(
    store: Store, todo: deque[tuple[int, Piece]], handle: Callable[[int, Answer], None], limit: int
) -> None:
    """Ask a store, with as many requests under way at once as are allowed."""
    import asyncio

    from zarr.core.buffer import default_buffer_prototype
    from zarr.core.sync import sync

    prototype, pool = default_buffer_prototype(), _pool(os.getpid())

    async def work() -> None:
        loop = asyncio.get_running_loop()
        while todo:
            number, piece = todo.popleft()
            answer: Answer
            try:
                buffer = await store.get(piece.key, prototype, _byte_request(piece.span))
                answer = None if buffer is None else buffer.to_bytes()
            except Exception as error:  # noqa: BLE001 (stores raise whatever they like)
                answer = error
            # Decoding in this thread would hold up all other requests.
            await loop.run_in_executor(pool, handle, number, answer)

    async def everything() -> None:
        await asyncio.gather(*(work() for _ in range(min(limit, len(todo)))))

    sync(everything())


def _byte_request(span: tuple[int, int] | None) -> Any:
    from zarr.abc.store import RangeByteRequest, SuffixByteRequest

    if span is None:
        return None
    return SuffixByteRequest(span[1]) if span[0] == -1 else RangeByteRequest(span[0], span[0] + span[1])


@functools.cache
def _pool(process: int) -> ThreadPoolExecutor:
    """Return the threads that decode, one pool for each process: threads do not survive a fork."""
    return ThreadPoolExecutor(_cores(), thread_name_prefix=f"ome-ngff-read-{process}")


@functools.cache
def _cores() -> int:
    """Return how many cores this process may use, eight at most."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    return min(8, len(affinity(0)) if affinity else os.cpu_count() or 1)
