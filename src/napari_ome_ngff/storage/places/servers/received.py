"""What is kept of an answer while it comes in: what was asked for, and no more than it may be."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.storage.places.bounded_reads import TooLargeError

if TYPE_CHECKING:
    from zarr.abc.store import ByteRequest

Span = tuple[int, int | None]
"""First byte and the one behind the last, None for the end; (-n, None) for the last n."""

EVERYTHING: Span = (0, None)


_STEP = 2**18  # bytes that are decompressed at once


def span_of(part: ByteRequest | None) -> Span:
    """A part as Zarr asks for it, None for everything."""
    from zarr.abc.store import OffsetByteRequest, RangeByteRequest

    if part is None:
        return EVERYTHING
    if isinstance(part, RangeByteRequest):
        return part.start, part.end
    return (part.offset, None) if isinstance(part, OffsetByteRequest) else (-part.suffix, None)


def obstore_options(span: Span) -> Any:
    """A part in obstore's words."""
    start, stop = span
    if span == EVERYTHING:
        return {}
    return {"range": {"suffix": -start} if start < 0 else {"offset": start} if stop is None else span}


def span_length(span: Span) -> int | None:
    """How many bytes these are at most; None if they go to the end."""
    start, stop = span
    return -start if start < 0 else None if stop is None else stop - start


class Received:
    """A body that is taken piece by piece, of which is kept what was asked for.

    `span` is cut out of what a server sends whole. What was compressed on the way
    (`encoding`) is decompressed. TooLargeError as soon as there are more than `most` bytes, kept or not;
    ValueError if what was compressed is damaged.
    """

    def __init__(self, span: Span, *, most: int | None, encoding: str = "") -> None:
        self._start, self._stop = span
        self._most = most
        self._size = 0
        self._kept: deque[bytes] = deque()
        self._surplus = self._start  # bytes of the end that are kept without need; negative: missing
        names = [name.strip().lower() for name in encoding.split(",")]
        self._names = [name for name in reversed(names) if name not in ("", "identity", "aws-chunked")]
        self._streams: list[Any] = []

    def take(self, data: bytes) -> bool:
        """Take the next piece; tell whether nothing more is needed."""
        try:
            for piece in self._unpacked(data, 0):
                self._keep(piece)
                if self._has_part:
                    return True
        except zlib.error as error:
            raise ValueError(f"what the server compressed on the way is damaged: {error}") from error
        return self._is_enough

    def content(self) -> bytes:
        """What was kept."""
        if self._names and not self._is_enough:
            raise ValueError("what the server compressed on the way is cut off")
        if self._start < 0 < self._surplus:
            self._kept[0] = self._kept[0][self._surplus :]
        return self._kept[0] if len(self._kept) == 1 else b"".join(self._kept)

    @property
    def _has_part(self) -> bool:
        return self._stop is not None and self._size >= self._stop

    @property
    def _is_enough(self) -> bool:
        if self._has_part:
            return True
        # What comes behind the end of what was compressed is not of it.
        is_complete = len(self._streams) == len(self._names) and all(stream.eof for stream in self._streams)
        return bool(self._names) and is_complete

    def _unpacked(self, data: bytes, number: int) -> Iterator[bytes]:
        """A piece of the body, without the compressions from a number on."""
        if number == len(self._names):
            yield data
            return
        if number == len(self._streams):
            self._streams.append(zlib.decompressobj(_window(self._names[number], data)))
        stream, step = self._streams[number], _STEP
        while data or step == _STEP:
            piece = stream.decompress(data, _STEP)
            data, step = stream.unconsumed_tail, len(piece)
            if piece:
                yield from self._unpacked(piece, number + 1)

    def _keep(self, piece: bytes) -> None:
        first, self._size = self._size, self._size + len(piece)
        if self._most is not None and self._size > self._most and not self._has_part:
            raise TooLargeError(self._size, self._most)
        if self._start < 0:
            self._kept.append(piece)
            self._surplus += len(piece)
            while self._surplus >= len(self._kept[0]):
                self._surplus -= len(self._kept.popleft())
        elif self._size > self._start:
            stop = None if self._stop is None else self._stop - first
            self._kept.append(piece[max(0, self._start - first) : stop])


def _window(name: str, data: bytes) -> int:
    """What zlib calls a format; servers mean by "deflate" zlib's, or bare data."""
    if name not in ("gzip", "x-gzip", "deflate"):
        raise ValueError(f"the server sent it compressed in a way that is not known: {name}")
    return 31 if name.endswith("gzip") else 15 if data[:1] == b"\x78" else -15
