"""Reading from servers as they are: at their pace, again where that helps, right bytes or an error of ours.

This module imports zarr at its top and is imported only when a URL is opened.
"""

from __future__ import annotations

import asyncio
import functools
import math
import random
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from napari_ome_ngff.errors import OmeNgffError, StorageError
from napari_ome_ngff.storage.places.bounded_reads import TooLargeError
from napari_ome_ngff.storage.places.location import folder_of, join
from napari_ome_ngff.storage.places.node_documents import DOCUMENTS
from napari_ome_ngff.storage.places.object_store import (
    NamedObjectStore,
    connect,
    has_credentials,
    with_options,
)
from napari_ome_ngff.storage.places.requests import MAX_DOCUMENT_BYTES, fetch
from napari_ome_ngff.storage.places.server_errors import (
    Trouble,
    explain,
    first_line,
    refused,
    trouble,
    without_secrets_in,
)
from napari_ome_ngff.storage.places.servers import plain_http
from napari_ome_ngff.storage.places.servers.pace import Pace
from napari_ome_ngff.storage.places.servers.received import (
    EVERYTHING,
    Received,
    Span,
    obstore_options,
    span_length,
    span_of,
)
from napari_ome_ngff.storage.places.servers.server_state import ReplyKind, ServerState

if TYPE_CHECKING:
    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype


@dataclass(frozen=True, kw_only=True)
class Patience:
    """Seconds for which a server is waited for."""

    quick: float = 2.5
    """Without a byte, after which a request is sent once more."""
    long: float = 6.0
    """Without a byte, after which the second one is given up."""
    total: float = 9.0
    """After which nothing is tried again, from the first try of a request on."""
    waits: tuple[float, ...] = (0.1, 0.2, 0.4, 0.8)
    """Before each further try, where a server fails at once."""
    busy: float = 1.0
    """At least, where it was asked too much; more if it says so."""
    fresh: float = 10.0
    """In which a server that just showed a document is taken to do so still."""
    dead: float = 5.0
    """In which one that left several requests without an answer is not asked."""


PATIENCE = Patience()


class Reply(NamedTuple):
    """What came of a request, tries included: bytes, or in which way the server says that there is none."""

    kind: ReplyKind
    content: Any = b""
    text: str = ""


class RemoteStore(NamedObjectStore):
    """A read-only object store whose server may be slow, small, odd or out of order for a moment.

    - It is asked at its `Pace`, and again with back-off where the connection is not taken or breaks, where
      nothing comes, and where it is busy (429, 503) or ill (5xx). After `PATIENCE`, a StorageError.
    - A busy server may say when to ask again (Retry-After). obstore does not show that, so the second try
      comes after `PATIENCE.busy`, and only the ones after that when the server wants them.
    - What is too large to be a chunk, or has no end, is read no further than a chunk may go (`at_most`).
    - Buckets that may be read but not listed answer 403 for what is not there, servers of web applications
      send their page. Such a document is missing. Such a chunk is, if the server says the same of one that
      cannot exist, and documents can still be read (a signature may have expired); else it is an error.
    - Parts that are not sent, or wrong ones, are cut out of the whole. What is compressed on the way is
      decompressed, what has no length is read until its end.
    """

    def __init__(self, store: Any, *, read_only: bool = False) -> None:
        super().__init__(store, read_only=read_only)
        self.server = ServerState()
        self._most: int | None = None

    def at_most(self, most: int) -> RemoteStore:
        """The same store, but objects of more than so many bytes are a TooLargeError, and not read."""
        limited = object.__new__(type(self))
        limited.__dict__.update(self.__dict__, _most=most)
        return limited

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """The bytes of one key, or None where there is nothing, whatever the server calls that."""
        is_document = key.rpartition("/")[2] in DOCUMENTS
        reply = await self._ask(key, span_of(byte_range))
        if reply.kind == "content":
            if is_document:
                self.server.proof, self.server.proven = key, time.monotonic()
            return prototype.buffer.from_bytes(reply.content)
        if reply.kind == "missing":
            if is_document:
                self.server.missing_names.add(key.rpartition("/")[2])
            return None
        if is_document and reply.kind == "refused":
            self.server.refused_documents.add(key)
        if not is_document and not await self._says_so_of_nothing(reply.kind, key):
            where = f"{self}/{key}"
            if reply.kind == "refused":
                raise refused(where, reply.text)
            raise StorageError("The server sends a web page instead of the data.", where=where)
        self.server.refused = reply.text or self.server.refused
        self.server.page |= reply.kind == "page"
        return None

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Several parts, each as `get` has it."""
        return await asyncio.gather(*(self.get(key, prototype, part) for key, part in key_ranges))

    def refuses(self, key: str) -> bool:
        """Whether a document that was asked for is refused, and not only missing.

        Whether the server refuses what is missing is known from documents of the same name that were asked
        for together with it; where they do not tell, one more is.
        """
        if key not in self.server.refused_documents:
            return False
        folder, _, name = key.rpartition("/")
        others = {one.rpartition("/")[0].rpartition("/")[2] for one in self.server.refused_documents}
        if name not in self.server.missing_names and others == {folder.rpartition("/")[2]}:
            fetch(self, [join(folder_of(folder), str(uuid.uuid4().int), name)])
        return name in self.server.missing_names

    async def _says_so_of_nothing(self, kind: ReplyKind, key: str) -> bool:
        """Whether the server gives this answer for chunks that cannot exist, and is not merely closed now."""
        async with self.server.here()[1]:
            if self.server.absent is None:
                self.server.absent = (await self._ask(join(folder_of(key), str(uuid.uuid4().int)))).kind
            if self.server.absent != kind:
                return False
            if self.server.proof and time.monotonic() - self.server.proven > PATIENCE.fresh:
                if (await self._ask(self.server.proof)).kind != "content":
                    return False
                self.server.proven = time.monotonic()
            return bool(self.server.proof)

    async def _ask(self, key: str, span: Span = EVERYTHING, *, ranges: bool = True) -> Reply:
        """Ask until there is an answer, as long as that makes sense; StorageError if it does not.

        Without `ranges`, a part is cut out of the whole.
        """
        pace, _ = self.server.here()
        first, tries, patient, busy, held = math.inf, 0, False, False, False
        while True:
            # What was left without an answer is asked for again before anything new.
            turn = time.monotonic() if held else await pace.begin()
            held = False
            first = min(first, turn)
            error: Exception | None = None
            try:
                self.server.check_alive(turn, pace.heard, PATIENCE.dead)
                content = await self._try(key, span, pace, turn, ranges=ranges, patient=patient, busy=busy)
            except (OmeNgffError, TooLargeError):
                raise
            except Exception as caught:  # noqa: BLE001 (whatever obstore and urllib raise: explained below)
                error, held = caught, trouble(caught) == "silent" and not patient
            finally:
                if not held:
                    pace.end()
            if error is None:
                return Reply("page" if plain_http.is_page(content) else "content", content)
            kind = trouble(error)
            if kind == "missing":
                return Reply("missing")
            if kind == "refused":
                return Reply("refused", text=first_line(error))
            if kind == "no length" and not self.server.is_plain and self._is_http:
                self.server.is_plain = True
                continue
            if kind == "no part" and span != EVERYTHING and ranges:
                self.server.sends_all |= "Range request not supported" in str(error)
                return await self._ask_for_more(key, span)
            wait = _wait(kind, tries, error, patient=patient)
            if kind in ("silent", "broken", "busy"):
                pace.trouble(turn, pause=min(getattr(error, "retry_after", 0.0), PATIENCE.total))
            if time.monotonic() + wait > first + PATIENCE.total:
                if held:
                    pace.end()
                shown = without_secrets_in(error)
                failure = explain(shown, f"{self}/{key}")
                if kind in ("silent", "broken") and pace.heard < first:
                    self.server.given_up.append((time.monotonic(), failure))
                break
            tries, patient, busy = tries + 1, patient or kind == "silent", kind == "busy"
            if not held:
                await asyncio.sleep(wait)
        # Not in the handler: what was caught there may name a password.
        raise failure from shown

    async def _try(
        self,
        key: str,
        span: Span,
        pace: Pace,
        turn: float,
        *,
        ranges: bool,
        patient: bool,
        busy: bool,
    ) -> Any:
        """Send one request."""
        import obstore

        server = self.server
        most = MAX_DOCUMENT_BYTES if key.rpartition("/")[2] in DOCUMENTS else self._most
        is_plain = (
            server.is_plain or busy or server.closes is None or (server.sends_all and span != EVERYTHING)
        )
        try:
            # What obstore does not show: when a busy server wants to be asked again, and its version of HTTP.
            if is_plain and self._is_http:
                server.closes = bool(server.closes)
                url, seconds = str(self.store.url), PATIENCE.long if patient else PATIENCE.quick
                get = functools.partial(plain_http.get, ranges=ranges, timeout=seconds, most=most)
                content, pace.closes = await asyncio.to_thread(get, url, key, self._headers(), span)
                server.closes = pace.closes
                pace.answered(turn)
                return content
            store = self._patient_store() if patient else self.store
            answer = await obstore.get_async(store, key, options=obstore_options(span) if ranges else {})
            pace.answered(turn)
            return await _body(answer, span, ranges=ranges, most=most)
        except Exception as error:
            pace.closes = server.closes = getattr(error, "closes", bool(server.closes))
            if trouble(error) not in ("silent", "broken"):
                pace.answered(turn)
            raise

    async def _ask_for_more(self, key: str, span: Span) -> Reply:
        """Ask for a part by its place, or for everything, where the server does not send what was wanted."""
        import obstore

        if span[0] < 0 and not self._is_http:  # Azure knows no last bytes
            size = (await obstore.head_async(self.store, key))["size"]
            return await self._ask(key, (max(0, size + span[0]), size))
        return await self._ask(key, span, ranges=False)

    def _patient_store(self) -> Any:
        if self.server.patient_store is None:
            self.server.patient_store = with_options(self.store, timeouts=_timeouts(PATIENCE.long))
        return self.server.patient_store

    def _headers(self) -> dict[str, str]:
        given = (self.store.client_options or {}).get("default_headers") or {}
        return {name: v.decode() if isinstance(v, bytes) else v for name, v in given.items()}

    @property
    def _is_http(self) -> bool:
        return type(self.store).__name__ == "HTTPStore"


def _wait(kind: Trouble, tries: int, error: Exception, *, patient: bool) -> float:
    """Seconds before the next try; infinite if there is none."""
    if kind == "silent":
        return math.inf if patient else 0.0
    if kind not in ("broken", "busy", "ill") or tries >= len(PATIENCE.waits):
        return math.inf
    least = max(PATIENCE.busy, getattr(error, "retry_after", 0.0)) if kind == "busy" else 0.0
    return max(least, PATIENCE.waits[tries] * random.uniform(0.7, 1.3))  # not all at once


def _timeouts(seconds: float) -> dict[str, str]:
    spelled = f"{round(seconds * 1000)}ms"
    return {"timeout": "60s", "connect_timeout": spelled, "read_timeout": spelled}


async def _body(answer: Any, span: Span, *, ranges: bool, most: int | None) -> Any:
    """What was asked for, of an answer of obstore; the length of a whole object is known to be right."""
    encoding = answer.attributes.get("Content-Encoding", "")
    if ranges and span != EVERYTHING:
        sent, wanted = answer.range[1] - answer.range[0], span_length(span)
        if encoding or (wanted is not None and sent > wanted):
            raise plain_http.StatusError("Range request not supported")
        content = await anext(aiter(answer.stream(min_chunk_size=max(1, sent))), b"")
        if len(content) > sent:
            raise TooLargeError(len(content), sent)
        return content
    if span == EVERYTHING and most is not None and (size := answer.meta["size"]) > most:
        raise TooLargeError(size, most)
    if span == EVERYTHING and not encoding:
        return await answer.bytes_async()
    received = Received(span, most=most, encoding=encoding)
    async for piece in answer.stream(min_chunk_size=2**18):
        if received.take(bytes(piece)):
            break
    return received.content()


def remote_stores(url: str, environment: Mapping[str, str]) -> list[RemoteStore]:
    """Read-only stores to try for a URL, in order: unsigned, then with credentials; no request is made.

    A query (a signature) is sent with every request, a user and a password as its header. The environment
    variables are those of obstore (``AWS_ENDPOINT_URL``, ``AWS_REGION``, ``GOOGLE_BASE_URL``,
    ``AZURE_STORAGE_ACCOUNT_NAME`` ...), and ``STORAGE_EMULATOR_HOST``.
    """
    scheme = urlsplit(url).scheme.lower()
    if urlsplit(url).path.lower().endswith((".ozx", ".zip")):
        raise StorageError(
            "Zip files on servers cannot be opened.", where=url, hint="Download it and open the file."
        )
    ways = [False] if scheme.startswith("http") else [False, True][: 1 + has_credentials(url, environment)]
    timeouts = _timeouts(PATIENCE.quick)
    stores = (connect(url, environment, signed=way, timeouts=timeouts, retry=False) for way in ways)
    return [RemoteStore(store, read_only=True) for store in stores]
