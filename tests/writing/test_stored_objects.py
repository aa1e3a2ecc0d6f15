"""Files of chunks are copied whole by whatever way the system has, and never into themselves."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from zarr.storage import LocalStore

from napari_ome_ngff.writing import stored_objects
from napari_ome_ngff.writing.stored_objects import copy_objects

CONTENTS = {"c/0/0": b"", "c/0/1": b"\0" * 5000 + b"end", "c/1/0": os.urandom(3 * 2**20 + 17)}


def copied(tmp_path: Path) -> dict[str, bytes]:
    for key, content in CONTENTS.items():
        (tmp_path / "a" / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "a" / key).write_bytes(content)
    (tmp_path / "a" / "c" / "2").mkdir()  # a folder is no chunk
    pairs = [(key, f"x/{key}") for key in (*CONTENTS, "c/1/1", "c/2")]
    copy_objects(LocalStore(tmp_path / "a"), LocalStore(tmp_path / "b"), pairs, at_once=1)
    made = [path for path in (tmp_path / "b" / "x").rglob("*") if path.is_file()]
    return {path.relative_to(tmp_path / "b" / "x").as_posix(): path.read_bytes() for path in made}


def test_all_bytes_of_every_file(tmp_path: Path) -> None:
    assert copied(tmp_path) == CONTENTS


@pytest.mark.skipif(sys.platform != "linux", reason="others have no such call")
def test_a_call_may_copy_less_than_it_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_objects, "_MOST", 1000)
    assert copied(tmp_path) == CONTENTS


def unable(number: int) -> Callable[..., int]:
    def fail(*_: Any) -> int:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.skipif(sys.platform != "linux", reason="others have no such call")
@pytest.mark.parametrize(
    "call", [unable(errno.EXDEV), unable(errno.ENOSYS), unable(errno.EOPNOTSUPP), lambda *_: 0]
)
def test_a_system_that_copies_nothing_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Callable[..., int]
) -> None:
    monkeypatch.setattr(os, "copy_file_range", call)
    assert copied(tmp_path) == CONTENTS


@pytest.mark.skipif(sys.platform != "linux", reason="others have no such call")
def test_a_disk_that_is_full_is_no_reason_to_try_another_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "copy_file_range", unable(errno.ENOSPC))
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)) as error:
        copied(tmp_path)
    assert error.value.errno == errno.ENOSPC


def test_a_file_is_not_copied_into_itself(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"voxels")
    os.link(tmp_path / "a", tmp_path / "b")
    store = LocalStore(tmp_path)
    with pytest.raises(shutil.SameFileError):
        copy_objects(store, store, [("a", "b")], at_once=1)
    assert (tmp_path / "a").read_bytes() == b"voxels"
