"""What tells from a key whether its object was written again, without reading it."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

from napari_ome_ngff.storage.places.store_kind import local_folder, store_kind


def stamper(store: Any) -> Callable[[str], object] | None:
    """What tells from a key whether its object was written again; None if a server would have to be asked.

    It is pickled with the tasks that read.
    """
    if (folder := local_folder(store)) is not None:
        return functools.partial(_stamp_in_folder, os.path.join(folder, ""))
    if store_kind(store) == "zip":
        return functools.partial(_stamp_in_zip, os.path.abspath(str(store.path)))
    if store_kind(store) == "memory":
        get: Callable[[str], object] = store._store_dict.get
        return get
    return None


def _stamp_in_folder(root: str, key: str) -> object:
    return file_stamp(root + key)


def _stamp_in_zip(path: str, _key: str) -> object:
    return file_stamp(path)


def file_stamp(path: str) -> tuple[int, ...] | None:
    """Inode, size and times of a file; None if there is none."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):  # nothing there, or a name that no file can have
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
