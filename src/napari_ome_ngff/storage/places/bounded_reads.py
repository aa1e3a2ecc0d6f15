"""One stored object, or a part of it, read only if it is not too large: files, and members of zip files."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import zipfile
from typing import Any, NamedTuple

from napari_ome_ngff.errors import UnsupportedError
from napari_ome_ngff.storage.places.location import store_location

Answer = bytes | Exception | None
"""What came of a request: bytes, None where there is no such object, or why it could not be read."""


_NOT_THERE = (FileNotFoundError, IsADirectoryError, NotADirectoryError)


# Not blocking: a pipe in the place of a chunk would never be opened.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


_HEADER = 30  # bytes before the name of a member
_PROTECTED, _UTF_8 = 0x61, 0x800  # flags: encrypted in one of two ways, or a patch; encoding of the name


class Piece(NamedTuple):
    """What to read: a stored object or a part of it."""

    key: str
    span: tuple[int, int] | None = None
    """Offset and length in bytes; an offset of -1 stands for the last bytes; None for everything."""


class NotRegularFileError(OSError):
    """A pipe or device: it might never end."""


class TooLargeError(ValueError):
    """A file with more bytes than were expected."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"{size} bytes are too many: no more than {limit} were expected")
        self.size = size


def read_file(path: str, span: tuple[int, int] | None, *, limit: int) -> Answer:
    """Read a file or a part of it (as in `Piece`) of at most `limit` bytes; it must be a regular file."""
    try:
        file = os.open(path, _FLAGS)
    except (*_NOT_THERE, ValueError):  # a name that no file can have: NUL, lone surrogates
        return None
    except OSError as error:
        # Windows refuses to open folders.
        return None if error.errno == errno.ENAMETOOLONG or os.path.isdir(path) else error
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            is_folder = stat.S_ISDIR(status.st_mode)
            return None if is_folder else NotRegularFileError(f"{path} is not a regular file")
        start, length = (0, status.st_size) if span is None else span
        if start:
            start = start if start > 0 else max(0, status.st_size - length)
            os.lseek(file, start, os.SEEK_SET)
        length = min(length, max(0, status.st_size - start))
        return _read(file, length) if length <= limit else TooLargeError(length, limit)
    except (OSError, MemoryError, OverflowError) as error:
        return error
    finally:
        os.close(file)


def ask_for_file(path: str, span: tuple[int, int] | None, *, limit: int) -> None:
    """Ask Linux to bring a file or a part of it, `limit` bytes at most, from its disk: only a hint."""
    try:
        file = os.open(path, _FLAGS)
    except (OSError, ValueError):  # `read_file` says why
        return
    start, length = (0, limit) if span is None else span
    with contextlib.suppress(OSError, OverflowError):
        start = start if start >= 0 else max(0, os.fstat(file).st_size - length)
        os.posix_fadvise(file, start, min(length, limit), os.POSIX_FADV_WILLNEED)
    os.close(file)


def _read(file: int, length: int) -> bytes:
    parts: list[bytes] = []
    while length > 0 and (data := os.read(file, min(length, 2**30))):
        parts.append(data)
        length -= len(data)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def read_member(store: Any, key: str, span: tuple[int, int] | None, largest: int) -> Answer:
    """Read a member of a zip file, or a part of it, unless it unpacks to more than `largest` bytes."""
    try:
        if not hasattr(store, "_lock"):  # never opened: by one thread, documents are read before any chunk is
            store._sync_open()
        with store._lock:
            if not store._is_open:  # a save on Windows has closed it
                store._sync_open()
            return _read_member(store, key, span, largest)
    except KeyError:
        return None
    except Exception as error:  # noqa: BLE001 (encrypted, cut off, or compressed in an unknown way)
        return error


def _read_member(store: Any, key: str, span: tuple[int, int] | None, largest: int) -> Answer:
    """Read a member; the lock of the store is held: Python's ZipFile is wrong about members read by turns."""
    member = store._zf.getinfo(key)
    if member.file_size > largest:
        return TooLargeError(member.file_size, largest)
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # Python unpacks all that it reads of these, whatever the member says about its size.
        return UnsupportedError(
            "Zip files that are compressed in this way are not read.",
            where=f"{store_location(store)}/{key}",
            found=f"the method {member.compress_type}",
            expected="members that are stored or deflated",
            hint="Unpack the file, or pack it again without compression.",
        )
    start, length = (0, member.file_size) if span is None else span
    start = start if start >= 0 else max(0, member.file_size - length)
    length = min(length, member.file_size - start)
    if length < member.file_size and (part := _part_of_stored(store._zf, member, start, length)) is not None:
        return part
    with store._zf.open(member) as file:
        if start:
            file.seek(start)
        content: bytes = file.read(length)
        return content


def _part_of_stored(file: zipfile.ZipFile, member: zipfile.ZipInfo, start: int, length: int) -> bytes | None:
    # A part has no checksum of its own. None: ask `ZipFile`, which takes as long as it takes to decode a
    # small chunk: it reads through three objects.
    plain = member.compress_type == zipfile.ZIP_STORED and member.compress_size == member.file_size
    if file.mode != "r" or not plain or member.flag_bits & _PROTECTED or not hasattr(os, "pread"):
        return None
    try:
        number = file.fp.fileno()  # type: ignore[union-attr]
    except (AttributeError, OSError, ValueError):  # it is closed, or no file of the system
        return None
    header = os.pread(number, _HEADER, member.header_offset)
    if len(header) < _HEADER or not header.startswith(b"PK\3\4"):
        return None
    named, extra = int.from_bytes(header[26:28], "little"), int.from_bytes(header[28:30], "little")
    encoding = "utf-8" if member.flag_bits & _UTF_8 else "cp437"
    if os.pread(number, named, member.header_offset + _HEADER) != member.orig_filename.encode(
        encoding, "replace"
    ):
        return None
    content = os.pread(number, length, member.header_offset + _HEADER + named + extra + start)
    return content if len(content) == length else None
