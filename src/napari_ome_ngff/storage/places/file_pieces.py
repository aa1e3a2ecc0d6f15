"""Pieces of many files of a folder, from memory or from a disk."""

from __future__ import annotations

import functools
import sys
from collections import deque
from collections.abc import Callable
from typing import Any

from napari_ome_ngff.storage.places.bounded_reads import Answer, Piece, ask_for_file, read_file

# Pieces that the system is asked for before they are read.
MOST_AHEAD = 32


class FilePieces:
    """Pieces of files, read in turn; once one comes from a disk, the system is asked for the next ones."""

    # To ask for what is in memory would only take time. Where it is not told whether a disk was read, none is
    # asked for.

    def __init__(
        self,
        todo: deque[tuple[int, Piece]],
        root: str,
        handle: Callable[[int, Answer], None],
        limit: int,
        ahead: int,
    ) -> None:
        self._todo, self._root, self._handle = todo, root, handle
        self._limit, self._ahead = limit, ahead
        self._asked: deque[tuple[int, Piece]] = deque()
        self._is_cold = False

    def work(self) -> None:
        """Read until nothing is left; several threads do so."""
        todo, asked, root, handle, limit = self._todo, self._asked, self._root, self._handle, self._limit
        usage = thread_usage() if todo else None
        before, read = usage().ru_inblock if usage else 0, 0
        while asked or todo:
            try:
                number, piece = (asked or todo).popleft()
            except IndexError:  # another thread was faster
                continue
            answer = read_file(root + piece.key, piece.span, limit=limit)
            read += 1
            # To look after 1, 2, 4, 8 ... pieces costs nothing, after each 1 %.
            if usage and not self._is_cold and not read & (read - 1):
                self._is_cold = usage().ru_inblock > before
            if self._is_cold:
                self._ask_for_next()
            handle(number, answer)

    def _ask_for_next(self) -> None:
        while len(self._asked) < self._ahead:
            try:
                number, piece = self._todo.popleft()
            except IndexError:
                return
            ask_for_file(self._root + piece.key, piece.span, limit=self._limit)
            self._asked.append((number, piece))


def thread_usage() -> Callable[[], Any] | None:
    """What this thread has used: `ru_inblock` grows with what it has a disk read. Only Linux tells."""
    if sys.platform != "linux":
        return None
    import resource

    return functools.partial(resource.getrusage, resource.RUSAGE_THREAD)
