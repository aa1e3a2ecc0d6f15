"""Files that come from a disk: the next ones are asked for, and what is read is the same."""

from __future__ import annotations

import errno
import itertools
import os
import sys
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from zarr.storage import LocalStore

from napari_ome_ngff.storage.places import file_pieces
from napari_ome_ngff.storage.places.bounded_reads import (
    Answer,
    NotRegularFileError,
    Piece,
    TooLargeError,
    read_file,
)
from napari_ome_ngff.storage.places.file_pieces import MOST_AHEAD, thread_usage
from napari_ome_ngff.storage.places.requests import read_pieces, usable_cores

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux is asked for files")

LIMIT = 1000
FILES = 3 * MOST_AHEAD


@pytest.fixture
def pool() -> Iterator[Executor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


@pytest.fixture
def cold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every read seems to have waited for a disk."""
    waited = itertools.count()
    monkeypatch.setattr(file_pieces, "thread_usage", lambda: lambda: SimpleNamespace(ru_inblock=next(waited)))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, int]]:
    """What the system was asked for: file, offset, length."""
    calls: list[tuple[int, int, int]] = []

    def advise(file: int, offset: int, length: int, advice: int) -> None:
        assert advice == os.POSIX_FADV_WILLNEED
        calls.append((file, offset, length))
        raise OSError(errno.EINVAL, "not on this file system")  # it is only a hint

    monkeypatch.setattr(os, "posix_fadvise", advise)
    return calls


def make(folder: Path) -> list[Piece]:
    """Files, parts of files, and what is no file."""
    for number in range(FILES):
        (folder / str(number)).write_bytes(bytes([number]) * (number + 3))
    (folder / "large").write_bytes(bytes(LIMIT + 1))
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")
    pieces = [Piece(str(number)) for number in range(FILES)]
    pieces += [Piece(str(number), (-1, 2)) for number in range(FILES)]
    pieces += [Piece("large", (start, 5)) for start in range(0, LIMIT, 50)]
    last = [Piece(name) for name in ("missing", "large", "folder", "pipe")]
    return [*pieces, *last, Piece("large", (0, 9))]


def read(folder: Path, pieces: list[Piece], pool: Executor, decoded_bytes: int = 2**20) -> list[Any]:
    answers: dict[int, Answer] = {}

    def handle(number: int, answer: Answer) -> None:
        assert number not in answers
        answers[number] = answer

    before = len(os.listdir("/proc/self/fd"))
    store = LocalStore(folder, read_only=True)
    read_pieces(store, pieces, handle, pool=pool, decoded_bytes=decoded_bytes, limit=LIMIT)
    assert len(os.listdir("/proc/self/fd")) == before
    return [answers[number] for number in range(len(pieces))]


@pytest.mark.parametrize("decoded_bytes", [1, 2**20], ids=["one thread", "threads"])
def test_what_is_asked_for_reads_as_before(
    decoded_bytes: int, tmp_path: Path, pool: Executor, request: pytest.FixtureRequest
) -> None:
    pieces = make(tmp_path)
    warm = read(tmp_path, pieces, pool, decoded_bytes)
    request.getfixturevalue("cold")
    asked = request.getfixturevalue("asked")
    answers = read(tmp_path, pieces, pool, decoded_bytes)
    assert answers[:FILES] == [bytes([number]) * (number + 3) for number in range(FILES)]
    assert answers[FILES : 2 * FILES] == [bytes([number]) * 2 for number in range(FILES)]
    kinds = [type(answer) for answer in answers[-5:]]
    assert kinds == [type(None), TooLargeError, type(None), NotRegularFileError, bytes]
    assert [repr(answer) for answer in answers] == [repr(answer) for answer in warm]
    # Each of two threads reads one piece before it knows; two of the last five cannot be opened.
    assert len(pieces) - 6 <= len(asked) <= len(pieces) - 2
    assert {(offset, length) for _, offset, length in asked} >= {(8, 2), (950, 5), (0, LIMIT)}


def test_what_is_in_memory_is_not_asked_for(
    tmp_path: Path, pool: Executor, asked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_pieces, "thread_usage", lambda: lambda: SimpleNamespace(ru_inblock=7))
    read(tmp_path, make(tmp_path), pool)
    assert asked == []


def test_few_files_are_asked_for_at_once(
    tmp_path: Path, pool: Executor, cold: None, asked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor many bytes: as many as are 64 MiB once they are decoded, and no more than a chunk may have."""
    pieces, most, taken = [Piece(str(number)) for number in range(FILES)], 0, itertools.count(1)
    make(tmp_path)

    def count(*given: Any, limit: int) -> Answer:
        nonlocal most
        most = max(most, len(asked) - next(taken))
        return read_file(*given, limit=limit)

    monkeypatch.setattr(file_pieces, "read_file", count)
    read(tmp_path, pieces, pool, 1)
    assert MOST_AHEAD / 2 < most <= MOST_AHEAD
    assert {(offset, length) for _, offset, length in asked} == {(0, LIMIT)}
    most, taken = 0, itertools.count(1)
    asked.clear()
    read(tmp_path, pieces, pool, 2**23)
    assert 2 < most <= 8 + 2  # two threads may have one in hand


def test_what_a_thread_has_a_disk_read_is_told() -> None:
    usage = thread_usage()
    assert usage is not None
    assert usage().ru_inblock >= 0


@pytest.mark.parametrize("total", [None, 2**10, 2**30])
def test_little_is_read_without_waking_other_threads(total: int | None, tmp_path: Path) -> None:
    """Pieces that hold several chunks are not all as large as the largest."""
    pieces, woken = [Piece(str(number)) for number in range(9)], []
    make(tmp_path)

    class Counting(ThreadPoolExecutor):
        def submit(self, *given: Any, **named: Any) -> Any:
            woken.append(given)
            return super().submit(*given, **named)

    store = LocalStore(tmp_path, read_only=True)
    with Counting(2) as pool:
        answers: dict[int, Answer] = {}
        read_pieces(
            store, pieces, answers.__setitem__, pool=pool, decoded_bytes=2**18, limit=LIMIT, total=total
        )
    assert len(answers) == 9
    assert bool(woken) == (total != 2**10 and usable_cores() > 1)
