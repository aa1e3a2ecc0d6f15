"""One GET without obstore: for answers that it refuses (no length), and headers that it does not show."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
import zlib
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from napari_ome_ngff.storage.places.bounded_reads import TooLargeError

if TYPE_CHECKING:
    from zarr.abc.store import ByteRequest

_PAGES = (b"<!doctype html", b"<html")


MAX_DECODED_BYTES = 2**30
"""More than this does not come out of what was compressed on the way."""


class StatusError(Exception):
    """An answer that is no success, and the seconds after which the server wants to be asked again, or 0."""

    def __init__(self, text: str, retry_after: float = 0.0, *, closes: bool = False) -> None:
        super().__init__(text)
        self.retry_after = retry_after
        self.closes = closes


def get(
    url: str, key: str, headers: Mapping[str, str], span: str, timeout: float, limit: int | None
) -> tuple[bytes, bool]:
    """The body of one answer, and whether the server closes each connection (HTTP/1.0); blocks.

    `span` is a Range header or "", `timeout` that of each read of the line. More than `limit` bytes are not
    read: TooLargeError.

    StatusError for another status than 200, or than 206 where a part was asked for.
    """
    parts = urlsplit(url)
    address = parts._replace(path=f"{parts.path.rstrip('/')}/{quote(key)}").geturl()
    request = urllib.request.Request(address, headers={"Range": span} if span else {})
    for name, value in headers.items():
        request.add_unredirected_header(name, value)  # a password is not for another host
    failure: Exception
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            body = b"" if span and answer.status != 206 else _body(answer, limit)
            if not span or answer.status == 206:
                return decoded(body, answer.headers.get("Content-Encoding", "")), answer.version < 11
            failure = StatusError("Range request not supported")
    except urllib.error.HTTPError as error:
        with error:
            failure = _status_error(error)
    except urllib.error.URLError as error:
        failure = error.reason if isinstance(error.reason, OSError) else OSError(str(error))
    except http.client.HTTPException as error:
        failure = ConnectionError(f"{type(error).__name__}: {error}")
    raise failure  # not in the handlers: what was caught there may name a password


def _body(answer: http.client.HTTPResponse, limit: int | None) -> bytes:
    size = answer.length or 0  # None where the server does not say
    # Python notices only in whole bodies that they were cut off.
    if limit is None or 0 < size <= limit:
        return answer.read()
    body = b"" if size else answer.read(limit + 1)
    if size or len(body) > limit:
        raise TooLargeError(size or len(body), limit)
    return body


def _status_error(error: urllib.error.HTTPError) -> StatusError:
    closes = getattr(error.fp, "version", 11) < 11
    if 300 <= error.code < 400:
        return StatusError(f"error following redirect ({error.code})", closes=closes)
    after = _seconds(error.headers.get("Retry-After", ""), error.headers.get("Date", ""))
    return StatusError(f"status code: {error.code} {error.reason}", after, closes=closes)


def decoded(body: bytes, encoding: str) -> bytes:
    """A body without what a server compressed on the way (Content-Encoding); ValueError if it is damaged."""
    for name in reversed([name.strip().lower() for name in encoding.split(",")]):
        if name in ("", "identity", "aws-chunked"):
            continue
        if name not in ("gzip", "x-gzip", "deflate"):
            raise ValueError(f"the server sent it compressed in a way that is not known: {name}")
        # Servers mean by "deflate" zlib's format or bare data.
        bits = 31 if name.endswith("gzip") else 15 if body[:1] == b"\x78" else -15
        stream = zlib.decompressobj(bits)
        try:
            body = stream.decompress(body, MAX_DECODED_BYTES)
        except zlib.error as error:
            raise ValueError(f"what the server compressed on the way is damaged: {error}") from error
        if not stream.eof:
            raise ValueError("what the server compressed on the way is cut off, or far too large")
    return body


def _seconds(after: str, date: str) -> float:
    """Seconds of a Retry-After header, a number or a time; 0 if it is neither."""
    try:
        return float(after) if after.strip().isdigit() else _gap(after, date)
    except (ValueError, TypeError):
        return 0.0


def _gap(after: str, date: str) -> float:
    return max(0.0, (parsedate_to_datetime(after) - parsedate_to_datetime(date)).total_seconds())


def range_options(part: ByteRequest | None) -> tuple[Any, str]:
    """A part in obstore's words, and as a header."""
    from zarr.abc.store import OffsetByteRequest, RangeByteRequest

    if part is None:
        return {}, ""
    if isinstance(part, RangeByteRequest):
        return {"range": (part.start, part.end)}, f"bytes={part.start}-{part.end - 1}"
    if isinstance(part, OffsetByteRequest):
        return {"range": {"offset": part.offset}}, f"bytes={part.offset}-"
    return {"range": {"suffix": part.suffix}}, f"bytes=-{part.suffix}"


def cut(whole: bytes, part: ByteRequest) -> memoryview:
    """A part of what was sent whole."""
    from zarr.abc.store import OffsetByteRequest, RangeByteRequest

    view = memoryview(whole)
    if isinstance(part, RangeByteRequest):
        return view[part.start : part.end]
    return view[part.offset if isinstance(part, OffsetByteRequest) else max(0, len(view) - part.suffix) :]


def is_page(content: bytes) -> bool:
    """Whether a server sent a web page in the place of data."""
    return bytes(memoryview(content)[:64]).lstrip().lower().startswith(_PAGES)
