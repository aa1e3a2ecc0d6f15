"""A file system that keeps names as they were spelled first and knows them in any case, laid over Linux.

`folded_names` patches what of Python takes a path: each name that is not there is looked for in the listing
of its folder without regard to case, so "CELLS" opens, replaces and collides with "Cells", as on Windows and
usually on macOS. What goes past Python, as libraries in Rust do, sees the names of Linux.
"""

from __future__ import annotations

import builtins
import contextlib
import functools
import io
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

OF_ONE_PATH = ("open", "stat", "lstat", "access", "mkdir", "rmdir", "unlink", "remove", "chmod", "utime")
OF_ONE_PATH += ("listdir", "scandir", "readlink", "truncate", "chdir")

MAKES = ("open", "mkdir", "access")
"""What may succeed, or answer, where nothing is."""

_LSTAT, _LISTDIR, _RENAME = os.lstat, os.listdir, os.rename


def as_spelled(path: Any) -> Any:
    """A path with each name that is there as it was spelled first."""
    if not isinstance(path, (str, os.PathLike)):  # a descriptor, or None for the working directory
        return path
    try:
        _LSTAT(path)
        return path
    except OSError:
        pass
    above, name = os.path.split(os.fspath(path).rstrip("/"))
    if not name:
        return path
    folder = as_spelled(above) if above else ""
    with contextlib.suppress(OSError):
        folded = name.casefold()
        names = _LISTDIR(folder or ".")
        alike = (each for each in names if len(each) == len(name) and each.casefold() == folded)
        name = next(alike, name)
    return os.path.join(folder, name)


def is_one(path: Any, other: Any) -> bool:
    """Whether two paths are one in the listing of their folder."""
    return os.fspath(as_spelled(path)) == os.fspath(as_spelled(other))


def _of_one_path(real: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(real)
    def call(path: Any = ".", *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("dir_fd") is not None:
            return real(path, *args, **kwargs)
        if real.__name__ in MAKES:
            return real(as_spelled(path), *args, **kwargs)
        try:
            return real(path, *args, **kwargs)
        except FileNotFoundError:
            if (spelled := as_spelled(path)) is path:
                raise
            return real(spelled, *args, **kwargs)

    return call


def _of_two_paths(real: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(real)
    def call(source: Any, target: Any, **kwargs: Any) -> Any:
        source, there = as_spelled(source), as_spelled(target)
        if is_one(source, there) and os.fspath(there) != os.fspath(target):  # it is spelled anew
            return _RENAME(source, os.path.join(os.path.dirname(there), os.path.basename(target)))
        return real(source, there, **kwargs)

    return call


@contextlib.contextmanager
def folded_names() -> Iterator[None]:
    """Have names mean the same in upper and lower case, for this process in the block."""
    with pytest.MonkeyPatch.context() as patch:
        for name in OF_ONE_PATH:
            patch.setattr(os, name, _of_one_path(getattr(os, name)))
        for name in ("rename", "replace", "link"):
            patch.setattr(os, name, _of_two_paths(getattr(os, name)))
        opening = _of_one_path(io.open)
        patch.setattr(io, "open", opening)
        patch.setattr(builtins, "open", opening)
        yield
