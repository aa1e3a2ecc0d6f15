"""Bytes of several keys of a store at once: plain reads where that is fastest, else all requests together."""

from __future__ import annotations

import asyncio
import functools
import os
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any, TypeVar

from napari_ome_ngff.errors import (
    MetadataError,
    NotOmeNgffError,
    OmeNgffError,
    StorageError,
)
from napari_ome_ngff.storage.places import server_errors
from napari_ome_ngff.storage.places.bounded_reads import (
    Answer,
    NotRegularFileError,
    Piece,
    TooLargeError,
    read_file,
    read_member,
)
from napari_ome_ngff.storage.places.file_pieces import MOST_AHEAD, FilePieces
from napari_ome_ngff.storage.places.location import is_url, store_location
from napari_ome_ngff.storage.places.store_kind import local_folder, store_kind

if TYPE_CHECKING:
    from zarr.abc.store import Store

T = TypeVar("T")
R = TypeVar("R")

MAX_DOCUMENT_BYTES = 100_000_000
"""Larger metadata documents are refused; 50 MB of attributes are odd, but can be read."""


# Documents asked for at once: enough for every level, channel and label image of an image, and as many as
# web servers take from one client.
_MAX_DOCUMENTS = 128


_PATIENCE = 15.0  # seconds for one document, retries included


_SETTLED = 200.0  # seconds; longer than one upload may take


_MAX_FAILURES = 3  # then the server is taken for dead, and is not asked for what is left


MAX_REQUESTS = 64
"""Requests for pieces that are under way at once."""


# On a slow line, more at once would only make all of them late, until the server or the client gives up.
MAX_BYTES_AT_ONCE = 64 * 2**20
"""Bytes that the chunks under way should not exceed once they are decoded."""


# Bytes of decoded chunks, in all, from which on a second thread brings more than it takes to wake it.
_WORTH_SHARING = 2**21


def for_each(items: Sequence[T], work: Callable[[T], Awaitable[R]], *, at_once: int) -> list[R]:
    """Await `work` for every item in Zarr's event loop, some at a time.

    After the first that fails no other begins, and those under way are awaited: what they do, they do before
    this raises.
    """
    from zarr.core.sync import sync

    results: dict[int, R] = {}
    queue = iter(enumerate(items))

    async def worker() -> None:
        for number, item in queue:
            results[number] = await work(item)

    async def everything() -> None:
        workers = [asyncio.ensure_future(worker()) for _ in range(min(at_once, len(items)))]
        try:
            await asyncio.gather(*workers)
        except BaseException:
            deque(queue, maxlen=0)
            await asyncio.wait(workers)
            raise

    try:
        sync(everything())
    except BaseException:  # Ctrl-C does not reach the loop
        deque(queue, maxlen=0)
        raise
    return [results[number] for number in range(len(items))]


def settle() -> bool:
    """Wait until nothing of what Zarr's event loop does now is under way; False if that takes too long.

    Zarr-python raises the first error of many requests while the others go on.
    """
    from zarr.core.sync import sync

    async def others() -> bool:
        this = asyncio.current_task()
        assert this is not None
        this.set_name(settle.__name__)
        pending = {task for task in asyncio.all_tasks() if task.get_name() != this.get_name()}
        return not pending or not (await asyncio.wait(pending, timeout=_SETTLED))[1]

    return sync(others())


def fetch(store: Store, keys: Iterable[str]) -> dict[str, bytes | OmeNgffError | None]:
    """Read several metadata documents in one round trip: bytes, None, or why it could not be read."""
    unique = list(dict.fromkeys(keys))
    if (folder := local_folder(store)) is not None:
        return {key: _read_document(os.path.join(folder, key)) for key in unique}
    if store_kind(store) == "zip":
        return _read_zip(store, unique)
    return _get_all(store, unique) if unique else {}


def _read_document(path: str) -> bytes | OmeNgffError | None:
    answer = read_file(path, None, limit=MAX_DOCUMENT_BYTES)
    if isinstance(answer, NotRegularFileError):
        return StorageError("A metadata document is no regular file.", where=path)
    if isinstance(answer, TooLargeError):
        return too_large(answer.size, path)
    return explain(answer, path) if isinstance(answer, Exception) else answer


def _read_zip(store: Any, keys: list[str]) -> dict[str, bytes | OmeNgffError | None]:
    documents: dict[str, bytes | OmeNgffError | None] = {}
    for key in keys:
        answer, where = read_member(store, key, None, MAX_DOCUMENT_BYTES), f"{store_location(store)}/{key}"
        if isinstance(answer, TooLargeError):
            documents[key] = too_large(answer.size, where)
        elif isinstance(answer, Exception) and not isinstance(answer, OmeNgffError):
            text = f"{type(answer).__name__}: {answer}"
            error = StorageError("The zip file is damaged.", where=where, found=text)
            error.__cause__ = answer
            documents[key] = error
        else:
            documents[key] = answer
    return documents


def at_most(store: Store, most: int) -> Store:
    """The same store; where that can be told before, larger objects are a TooLargeError, and not read."""
    limited: Store = store.at_most(most) if hasattr(store, "at_most") else store
    return limited


def _get_all(store: Store, keys: list[str]) -> dict[str, bytes | OmeNgffError | None]:
    from zarr.core.buffer import default_buffer_prototype

    root, prototype = store_location(store), default_buffer_prototype()
    store = at_most(store, MAX_DOCUMENT_BYTES)
    failures: list[OmeNgffError] = []

    async def get(key: str) -> bytes | OmeNgffError | None:
        if len(failures) >= _MAX_FAILURES:
            return failures[0]
        try:
            await store._ensure_open()
            buffer = await asyncio.wait_for(store.get(key, prototype), _PATIENCE)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except TooLargeError as error:
            return too_large(error.size, f"{root}/{key}")
        except Exception as error:  # noqa: BLE001 (whatever a store raises)
            failures.append(explain(error, f"{root}/{key}"))
            return failures[-1]
        if buffer is None:
            return None
        size = len(buffer)
        return too_large(size, f"{root}/{key}") if size > MAX_DOCUMENT_BYTES else buffer.to_bytes()

    return dict(zip(keys, for_each(keys, get, at_once=_MAX_DOCUMENTS), strict=True))


def read_pieces(
    store: Store,
    pieces: Iterable[Piece],
    handle: Callable[[int, Answer], None],
    *,
    pool: Executor,
    decoded_bytes: int,
    limit: int,
    largest: int | None = None,
    total: int | None = None,
) -> None:
    """Read pieces of stored objects and hand each, by its number, to a function as soon as it is there.

    `handle` is called in any order and in threads of `pool`, several at once; it must not raise, nor read
    pieces itself. `decoded_bytes` is the memory that one piece needs at most once it is decoded, and `total`
    that of all: with large ones, fewer are under way at once. No piece has more than `limit` bytes, no stored
    object more than `largest` (the same, if not given): what has is no chunk, and is not read.
    """
    todo = deque(enumerate(pieces))
    if not todo:
        return
    room = max(2, MAX_BYTES_AT_ONCE // max(1, decoded_bytes))
    folder = local_folder(store)
    if folder is None and store_kind(store) != "zip":
        _request(at_most(store, largest or limit), todo, handle, pool, min(room, MAX_REQUESTS))
        return
    alone = (len(todo) * decoded_bytes if total is None else total) < _WORTH_SHARING
    threads = 1 if alone else min(room, usable_cores())
    if folder is not None:
        files = FilePieces(todo, os.path.join(folder, ""), handle, limit, min(room, MOST_AHEAD))
        _share_out(todo, files.work, pool, threads)
        return

    def work() -> None:
        while True:
            try:
                number, piece = todo.popleft()
            except IndexError:
                return
            handle(number, read_member(store, piece.key, piece.span, largest or limit))

    _share_out(todo, work, pool, threads)


def _share_out(
    todo: deque[tuple[int, Piece]], work: Callable[[], None], pool: Executor, threads: int
) -> None:
    """Read pieces in this thread, helped by others: each takes the next one when it is done with the last."""
    helpers = []
    if threads > 1 and len(todo) > 2:
        helpers = [pool.submit(work) for _ in range(min(threads, len(todo)) - 1)]
    try:
        work()
    finally:
        todo.clear()
        for helper in helpers:
            if not helper.cancel():  # else it did not begin: nothing is left for it
                helper.result()


def _request(
    store: Store,
    todo: deque[tuple[int, Piece]],
    handle: Callable[[int, Answer], None],
    pool: Executor,
    limit: int,
) -> None:
    """Ask a store, with as many requests under way at once as are allowed."""
    from zarr.core.buffer import default_buffer_prototype

    prototype = default_buffer_prototype()

    async def get(item: tuple[int, Piece]) -> None:
        number, piece = item
        answer: Answer
        try:
            buffer = await store.get(piece.key, prototype, _byte_request(piece.span))
            answer = None if buffer is None else buffer.to_bytes()
        except Exception as error:  # noqa: BLE001 (stores raise whatever they like)
            answer = error
        # Decoding in this thread would hold up all other requests.
        await asyncio.get_running_loop().run_in_executor(pool, handle, number, answer)

    for_each(todo, get, at_once=limit)


def _byte_request(span: tuple[int, int] | None) -> Any:
    from zarr.abc.store import RangeByteRequest, SuffixByteRequest

    if span is None:
        return None
    return SuffixByteRequest(span[1]) if span[0] == -1 else RangeByteRequest(span[0], span[0] + span[1])


@functools.cache
def usable_cores() -> int:
    """How many cores this process may use, eight at most."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    return min(8, len(affinity(0)) if affinity else os.cpu_count() or 1)


def explain(error: BaseException, where: str) -> OmeNgffError:
    """One clear sentence for what a store raised at a path or URL."""
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
    """The error for a metadata document of more than `MAX_DOCUMENT_BYTES`."""
    return MetadataError(
        "A metadata document is too large.",
        where=where,
        found=f"{size / 1e6:.0f} MB",
        expected=f"at most {MAX_DOCUMENT_BYTES / 1e6:.0f} MB",
        hint="Keep tables beside the metadata rather than in them.",
    )
