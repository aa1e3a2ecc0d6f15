"""One GET without obstore: for answers that it refuses (no length), and headers that it does not show."""

from __future__ import annotations

import functools
import http.client
import re
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlsplit

from napari_ome_ngff.storage.places.bounded_reads import TooLargeError
from napari_ome_ngff.storage.places.servers.received import EVERYTHING, Received, Span, span_length

_PAGES = (b"<!doctype html", b"<html")


MAX_SECONDS = 60.0
"""After which a body that still comes is given up."""


_PIECE = 2**16


class StatusError(Exception):
    """An answer that is no success, and the seconds after which the server wants to be asked again, or 0."""

    def __init__(self, text: str, retry_after: float = 0.0, *, closes: bool = False) -> None:
        super().__init__(text)
        self.retry_after = retry_after
        self.closes = closes


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Redirects, whose bodies Python would read to their end."""

    def http_error_302(self, req: Any, fp: Any, code: int, msg: str, headers: Any) -> Any:
        """Follow one."""
        fp.read = bytes
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


@functools.cache
def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(_Redirects)


def get(
    url: str,
    key: str,
    headers: Mapping[str, str],
    span: Span,
    *,
    ranges: bool,
    timeout: float,
    most: int | None,
) -> tuple[bytes, bool]:
    """What was asked for, and whether the server closes each connection (HTTP/1.0); blocks.

    With `ranges`, a part is asked for as such; it is cut out where all is sent. `timeout` is that of
    each read of the line. TooLargeError for objects of more than `most` bytes, as far as they are read.

    StatusError for another status than 200 and 206, or for another part.
    """
    parts = urlsplit(url)
    address = parts._replace(path=f"{parts.path.rstrip('/')}/{quote(key)}").geturl()
    wanted = {"Range": _header(span)} if ranges and span != EVERYTHING else {}
    request = urllib.request.Request(address, headers=wanted)
    for name, value in headers.items():
        request.add_unredirected_header(name, value)  # a password is not for another host
    failure: Exception
    try:
        with _opener().open(request, timeout=timeout) as answer:
            return _body(answer, span, most), answer.version < 11
    except StatusError as error:
        failure = error
    except urllib.error.HTTPError as error:
        with error:
            failure = _status_error(error)
    except urllib.error.URLError as error:
        failure = error.reason if isinstance(error.reason, OSError) else OSError(str(error))
    except http.client.HTTPException as error:
        failure = ConnectionError(f"{type(error).__name__}: {error}")
    raise failure  # not in the handlers: what was caught there may name a password


def _body(answer: http.client.HTTPResponse, span: Span, most: int | None) -> bytes:
    encoding, left = answer.headers.get("Content-Encoding", ""), answer.length
    if answer.status == 206:
        if encoding or not _is_place(answer.headers.get("Content-Range", ""), span):
            raise StatusError("Range request not supported", closes=answer.version < 11)
        span, most = EVERYTHING, span_length(span) or most
    if span == EVERYTHING and left is not None and most is not None and left > most:
        raise TooLargeError(left, most)
    received, end = Received(span, most=most, encoding=encoding), time.monotonic() + MAX_SECONDS
    while piece := answer.read1(_PIECE if left is None else min(_PIECE, left)):
        left = None if left is None else left - len(piece)
        if received.take(piece):
            return received.content()
        if time.monotonic() > end:
            raise TimeoutError("timed out")
    if left:
        raise http.client.IncompleteRead(b"", left)
    return received.content()


def _header(span: Span) -> str:
    start, stop = span
    return f"bytes={start}" if start < 0 else f"bytes={start}-{'' if stop is None else stop - 1}"


def _is_place(content_range: str, span: Span) -> bool:
    """Whether a header ``Content-Range`` says that this is sent."""
    place = re.match(r"bytes (\d+)-(\d+)/", content_range)
    start, most = span[0], span_length(span)
    if place is None or (start >= 0 and int(place[1]) != start):
        return False
    return most is None or int(place[2]) + 1 - int(place[1]) <= most


def _status_error(error: urllib.error.HTTPError) -> StatusError:
    closes = getattr(error.fp, "version", 11) < 11
    if 300 <= error.code < 400:
        return StatusError(f"error following redirect ({error.code})", closes=closes)
    after = _seconds(error.headers.get("Retry-After", ""), error.headers.get("Date", ""))
    return StatusError(f"status code: {error.code} {error.reason}", after, closes=closes)


def _seconds(after: str, date: str) -> float:
    """Seconds of a Retry-After header, a number or a time; 0 if it is neither."""
    try:
        return float(after) if after.strip().isdigit() else _gap(after, date)
    except (ValueError, TypeError):
        return 0.0


def _gap(after: str, date: str) -> float:
    return max(0.0, (parsedate_to_datetime(after) - parsedate_to_datetime(date)).total_seconds())


def is_page(content: bytes) -> bool:
    """Whether a server sent a web page in the place of data."""
    return bytes(memoryview(content)[:64]).lstrip().lower().startswith(_PAGES)
