"""One codec of numcodecs undone, with a bound: no data decide how much memory they are unpacked to."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

_STREAMS: dict[str, Callable[[Any], Any]] = {
    "zlib": lambda _codec: zlib.decompressobj(),
    "gzip": lambda _codec: zlib.decompressobj(wbits=31),
    "bz2": lambda _codec: bz2.BZ2Decompressor(),
    "lzma": lambda codec: lzma.LZMADecompressor(
        codec.format, None if codec.format == lzma.FORMAT_RAW else _LZMA_MEMORY, codec.filters
    ),
}
"""Formats that do not say how much they unpack to, and what undoes one stream of them."""


_LZMA_MEMORY = 2**28  # bytes; the largest preset takes a quarter of that


_FIRST_BITE = 2**10  # bytes of a stream: many short ones may follow each other


_OF_NUMCODECS = frozenset(
    {
        *(
            "adler32",
            "blosc",
            "bz2",
            "crc32",
            "crc32c",
            "fletcher32",
            "gzip",
            "jenkins_lookup3",
            "lz4",
            "lzma",
        ),
        *("shuffle", "zlib", "zstd"),
    }
)
"""Codecs from bytes to bytes that Zarr v3 has as ``numcodecs.NAME``."""


_NATIVE = frozenset({"blosc", "crc32c", "gzip", "zstd"})
"""Those that it has itself."""


_SHUFFLE = {"noshuffle": 0, "shuffle": 1, "bitshuffle": 2}


_TYPES = {"delta": "astype", "fixedscaleoffset": "astype", "quantize": "astype", "astype": "encode_dtype"}
"""Codecs that store values as another type, and where they have it."""


_CHECKSUMS = frozenset({"adler32", "crc32", "crc32c", "fletcher32", "jenkins_lookup3"})


def plain_codec(name: str, configuration: Mapping[str, Any], itemsize: int) -> Any:
    """The codec of numcodecs that does what a codec of Zarr v3 does; None if there is none.

    `itemsize` is that of the values: some codecs leave it out.
    """
    import numcodecs

    options = {key: value for key, value in configuration.items() if key not in ("typesize", "id")}
    short = name.removeprefix("numcodecs.")
    if short not in (_OF_NUMCODECS if short != name else _NATIVE):
        return None
    if name == "blosc" and isinstance(options.get("shuffle"), str):
        options["shuffle"] = _SHUFFLE[options["shuffle"]]
    if short == "shuffle" and options.get("elementsize") is None:
        options["elementsize"] = itemsize
    if name == "crc32c":
        options["location"] = "end"
    return numcodecs.get_codec({"id": short, **options})


def unpacked_sizes(codecs: Sequence[Any], nbytes: int) -> list[tuple[int, bool]]:
    """How many bytes come out of each codec when it is undone, and whether exactly as many, or at most.

    The codecs are in the order in which they encode; `nbytes` is what a chunk has in the end.
    """
    sizes: list[tuple[int, bool]] = []
    size, exact = nbytes, True
    for codec in codecs:
        sizes.append((size, exact))
        name = codec.codec_id
        if name in _CHECKSUMS:
            size += 4
        elif name in _TYPES:
            before = codec.decode_dtype if name == "astype" else codec.dtype
            size = size // np.dtype(before).itemsize * np.dtype(getattr(codec, _TYPES[name])).itemsize
        elif name == "packbits":
            size = 1 + -(-size // 8)
        elif name == "base64":
            size = 4 * -(-size // 3)
        elif name not in ("shuffle", "bitround"):
            size, exact = 2 * size + 2**16, False  # what is compressed twice may grow a little the first time
    return sizes


def unpack(codec: Any, data: Any, size: int, *, exact: bool) -> Any:
    """Undo a codec, to as many bytes as `size`, or, if that is not exact, to no more.

    ValueError before more memory is taken, or if the data are cut off; a codec that finds them damaged raises
    whatever it likes. Codecs that do not come with numcodecs are only checked when they are done.
    """
    name = codec.codec_id
    if name in _STREAMS:
        unpacked: Any = _unpack_streams(_STREAMS[name], codec, memoryview(data).cast("B"), size)
    elif name in _SAID:
        said = _SAID[name](memoryview(data).cast("B"), size if exact else None)
        if said > size or (exact and said != size):
            raise ValueError(f"the chunk says that it unpacks to {said} bytes instead of {size}")
        unpacked = codec.decode(data, np.empty(said, "u1"))
    else:
        if name in _CHECKSUMS and len(data) < 4:
            raise ValueError("the chunk is cut off")  # numcodecs would read on behind its end
        with np.errstate(all="ignore"):  # nonsense that is computed to nonsense
            unpacked = codec.decode(data)
    # The order of the values in memory is that in which they were stored.
    flat = unpacked.reshape(-1, order="A").view("u1") if isinstance(unpacked, np.ndarray) else unpacked
    if len(flat) > size or (exact and len(flat) != size):
        raise ValueError(f"the chunk holds {len(flat)} bytes instead of {size}")
    return flat


def _unpack_streams(new: Callable[[Any], Any], codec: Any, data: memoryview, limit: int) -> bytes:
    """Unpack streams that follow each other; what is no stream behind the first is left alone."""
    parts: list[bytes] = []
    start, room = 0, limit + 1
    while start < len(data) or not parts:
        stream, bite, is_first = new(codec), _FIRST_BITE, not parts
        while not stream.eof:
            piece = data[start : start + bite]
            try:
                part = stream.decompress(piece, room)
                if not (piece or part or stream.eof):
                    raise ValueError("the chunk is cut off")
            except (ValueError, zlib.error, lzma.LZMAError, OSError, EOFError):
                if is_first:
                    raise
                return b"".join(parts)
            room -= len(part)
            if room <= 0:
                raise ValueError(f"the chunk unpacks to more than {limit} bytes")
            parts.append(part)
            start, bite = start + len(piece), 2 * bite
        start -= len(stream.unused_data)
        if codec.codec_id == "zlib":
            break
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _said_by_blosc(data: memoryview, _size: int | None) -> int:
    if len(data) < 16 or int.from_bytes(data[12:16], "little") > len(data):
        raise ValueError("the chunk is cut off")  # blosc would read on behind its end
    return int.from_bytes(data[4:8], "little")


def _said_by_lz4(data: memoryview, _size: int | None) -> int:
    return int.from_bytes(data[:4], "little")


def _said_by_zstd(data: memoryview, size: int | None) -> int:
    """What the frames say in all; `size`, with which it will be compared, if they do not say it."""
    at = total = 0
    while at < len(data):
        if bytes(data[at + 1 : at + 4]) == b"*M\x18" and data[at] >> 4 == 5:  # a frame to be skipped
            at += 8 + int.from_bytes(data[at + 4 : at + 8], "little")
            continue
        flags = data[min(at + 4, len(data) - 1)]
        single = flags >> 5 & 1
        width = (single, 2, 4, 8)[flags >> 6]
        at += 6 - single + (0, 1, 2, 4)[flags & 3]
        if not width:
            if size is None or total:
                raise ValueError("a part of the chunk does not say how much it unpacks to")
            return size
        total += int.from_bytes(data[at : at + width], "little") + 256 * (width == 2)
        at += width
        last = False
        while not last:
            header = int.from_bytes(data[at : at + 3], "little")
            if at + 3 > len(data):
                raise ValueError("the chunk is cut off")
            last = bool(header & 1)
            at += 3 + (1 if header >> 1 & 3 == 1 else header >> 3)
        at += 4 * (flags >> 2 & 1)
    return total


_SAID: dict[str, Callable[[memoryview, int | None], int]] = {
    "blosc": _said_by_blosc,
    "lz4": _said_by_lz4,
    "zstd": _said_by_zstd,
}
"""Formats that say how much they unpack to, and how."""


UNPACKED = frozenset(_SAID)  # codecs that are undone into memory of their own
