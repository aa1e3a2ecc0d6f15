"""What was learnt of a server while reading from it."""

from __future__ import annotations

import asyncio
import math
from typing import Any, Literal

from napari_ome_ngff.errors import OmeNgffError, StorageError
from napari_ome_ngff.storage.places.servers.pace import Pace

_DEAD = 3  # requests without an answer


ReplyKind = Literal["content", "missing", "refused", "page"]
"""Bytes, or in which way a server says that there are none."""


class ServerState:
    """What was learnt of a server, by all stores that read from it."""

    def __init__(self) -> None:
        self.refused = (
            ""  # the last refusal, and whether a page was sent: for the message if nothing else was
        )
        self.page = False
        self.proof = ""  # a document that could be read, and when
        self.proven = -math.inf
        self.missing_names: set[str] = set()  # of documents of which one, somewhere, is missing
        self.refused_documents: set[str] = set()
        self.absent: ReplyKind | None = None  # what it says of chunks that cannot exist
        self.is_plain = False  # obstore refuses its answers
        self.sends_all = False  # where a part was asked for
        self.closes: bool | None = None  # each connection, after one answer (HTTP/1.0)
        self.patient_store: Any = None
        self.given_up: list[tuple[float, OmeNgffError]] = []  # requests without an answer
        self._paces: tuple[Any, Pace, asyncio.Lock] | None = None

    def here(self) -> tuple[Pace, asyncio.Lock]:
        """The pace, and a lock, of the running event loop."""
        loop = asyncio.get_running_loop()
        if self._paces is None or self._paces[0] is not loop:
            self._paces = loop, Pace(), asyncio.Lock()
            self._paces[1].closes = bool(self.closes)
        return self._paces[1:]

    def check_alive(self, now: float, heard: float, seconds: float) -> None:
        """StorageError if several requests were left without any answer in these seconds."""
        self.given_up = [one for one in self.given_up if one[0] > heard]
        if len(self.given_up) >= _DEAD and now - self.given_up[-1][0] < seconds:
            last = self.given_up[-1][1]
            raise StorageError(last.summary, where=last.where, found=last.found, hint=last.hint)

    def __getstate__(self) -> dict[str, Any]:
        # Another machine has another clock and another event loop.
        return {**self.__dict__, "proven": -math.inf, "patient_store": None, "_paces": None}
