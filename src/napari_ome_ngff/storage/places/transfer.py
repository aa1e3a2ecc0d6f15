"""The bytes of many stored objects at once: files by a few threads, everything else by concurrent requests.

Zarr would read them too, ten at a time and one event loop turn after the other. Here as many requests are
under way as a viewer's plane has chunks, without touching Zarr's settings, which belong to the whole process.
"""

from __future__ import annotations

import functools
import os
import stat
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from zarr.abc.store import Store

MAX_REQUESTS = 64
"""Requests to a store that are under way at once."""


MAX_BYTES = 64 * 2**20
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
    room = max(2, MAX_BYTES // max(1, decoded_bytes))
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
