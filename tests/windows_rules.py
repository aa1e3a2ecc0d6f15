"""The rules of Windows on Linux, as far as files go: what is open is neither renamed, replaced nor deleted.

`windows_rules` patches the calls of `os` that our code, zarr and Python's own library make. What is open is
what ``/proc/self/fd`` lists, so nothing that opens a file is missed. Folders cannot be opened, nor synced;
renaming never replaces; what is read-only is not deleted; names that differ in case are one
(`tests.folded_names`); there are no symbolic links, no calls and modules of POSIX alone; and for our modules
``sys.platform`` is "win32".
"""

from __future__ import annotations

import builtins
import contextlib
import ctypes
import errno
import fcntl
import functools
import importlib
import io
import os
import pkgutil
import shutil
import stat
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import napari_ome_ngff
from tests.folded_names import as_spelled, folded_names, is_one

ABSENT: tuple[str, ...] = (
    "O_CLOEXEC",
    "O_DIRECT",
    "O_DIRECTORY",
    "O_DSYNC",
    "O_NOATIME",
    "O_NOFOLLOW",
    "O_NONBLOCK",
)
ABSENT += ("O_PATH", "O_SYNC", "O_TMPFILE", "chown", "copy_file_range", "fchdir", "fchmod", "fchown")
ABSENT += ("fdatasync", "fwalk", "getegid", "geteuid", "getgid", "getuid", "getxattr")
ABSENT += ("lchown", "listxattr", "lockf", "mkfifo", "mknod", "pathconf", "posix_fadvise")
ABSENT += ("posix_fallocate", "pread", "preadv", "pwrite", "pwritev", "readv", "removexattr", "sendfile")
ABSENT += ("setxattr", "sync", "writev")
"""What of `os` has to do with files and is not in Python for Windows."""

ABSENT_MODULES = ("fcntl", "grp", "pwd", "resource")

DENIED, SHARED, EXISTS, NO_PRIVILEGE, NO_SUCH_FUNCTION, NO_PROCESS = 5, 32, 183, 1314, 1, 87


_LISTDIR, _READLINK = os.listdir, os.readlink


def refusal(winerror: int, path: Any, *, to: Any = None) -> OSError:
    """The error that Windows' Python raises."""
    number = {EXISTS: errno.EEXIST, NO_PRIVILEGE: errno.EINVAL, NO_SUCH_FUNCTION: errno.EINVAL}
    error = OSError(number.get(winerror, errno.EACCES), f"[WinError {winerror}]", os.fspath(path), None, to)
    error.winerror = winerror  # type: ignore[attr-defined]
    return error


def is_open(path: Any) -> bool:
    """Whether this process has a file open, or one in a folder."""
    path = as_spelled(path)
    place = os.path.join(os.path.realpath(os.path.dirname(os.path.abspath(path))), os.path.basename(path))
    for name in _LISTDIR("/proc/self/fd"):
        with contextlib.suppress(OSError):
            link = _READLINK(f"/proc/self/fd/{name}")
            if link == place or link.startswith(f"{place}/"):
                return True
    return f"{os.getcwd()}/".startswith(f"{place}/")


class _Windows:
    """`sys`, as our modules see it."""

    platform = "win32"

    def __getattr__(self, name: str) -> Any:
        return getattr(sys, name)


def _exit_code(_handle: int, answer: Any) -> bool:
    answer._obj.value = 259
    return True


_SYSTEM = types.SimpleNamespace(
    RtlAreLongPathsEnabled=lambda: 1,
    OpenProcess=lambda _access, _inherit, number: number if os.path.exists(f"/proc/{number}") else 0,
    GetExitCodeProcess=_exit_code,
    CloseHandle=lambda _handle: True,
)
"""What is called of ntdll and kernel32."""


@functools.cache
def _modules() -> tuple[types.ModuleType, ...]:
    """Those of our modules that ask which system it is."""
    names = (
        info.name
        for room in ("storage", "writing", "editing", "saving", "reading")
        for info in pkgutil.walk_packages(
            [f"{napari_ome_ngff.__path__[0]}/{room}"], f"napari_ome_ngff.{room}."
        )
    )
    return tuple(module for module in map(importlib.import_module, names) if "sys" in vars(module))


def _locks() -> types.ModuleType:
    def locking(handle: int, mode: int, count: int) -> None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PermissionError(errno.EACCES, "Permission denied") from None

    module = types.ModuleType("msvcrt")
    module.locking, module.LK_NBLCK = locking, 2  # type: ignore[attr-defined]
    return module


def _opening(real: Callable[..., Any]) -> Callable[..., Any]:
    """`open` by the same rules; what it opens for writing is opened by `os.open`, so that kills are there."""

    def call(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if not isinstance(file, int):
            if os.path.isdir(file):
                raise PermissionError(errno.EACCES, "Permission denied", os.fspath(file))
            if set(mode) & set("wax+"):
                kwargs.setdefault("opener", lambda path, flags: os.open(path, flags, 0o666))
        return real(file, mode, *args, **kwargs)

    return call


@contextlib.contextmanager
def windows_rules(*, hard_links: bool = True) -> Iterator[None]:
    """Have this process live by the rules of Windows in the block; exFAT and FAT have no hard links."""
    with folded_names(), _rules(hard_links=hard_links):
        yield


@contextlib.contextmanager
def _rules(*, hard_links: bool) -> Iterator[None]:
    real = types.SimpleNamespace(**{name: getattr(os, name) for name in dir(os)})
    rules: dict[str, Callable[..., Any]] = {}

    def rule(function: Callable[..., Any]) -> Callable[..., Any]:
        rules[function.__name__] = function
        return function

    @rule
    def open(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        if os.path.isdir(path):
            raise PermissionError(errno.EACCES, "Permission denied", os.fspath(path))
        handle: int = real.open(path, flags, *args, **kwargs)
        return handle

    @rule
    def unlink(path: Any, **kwargs: Any) -> None:
        if os.path.isfile(path):
            if is_open(path):
                raise refusal(SHARED, path)
            if not real.stat(path).st_mode & stat.S_IWRITE:
                raise refusal(DENIED, path)
        real.unlink(path, **kwargs)

    @rule
    def rename(source: Any, target: Any) -> None:
        if is_open(source):
            raise refusal(DENIED if os.path.isdir(source) else SHARED, source, to=target)
        if os.fspath(source) != os.fspath(target):
            if os.path.lexists(target) and not is_one(source, target):
                raise refusal(EXISTS, source, to=target)
            real.rename(source, target)

    @rule
    def replace(source: Any, target: Any) -> None:
        if is_open(source):
            raise refusal(SHARED, source, to=target)
        if os.path.lexists(target):
            protected = os.path.isdir(target) or not real.stat(target).st_mode & stat.S_IWRITE
            if protected or is_open(target):
                raise refusal(DENIED, source, to=target)
        real.replace(source, target)

    @rule
    def rmdir(path: Any, **kwargs: Any) -> None:
        if is_open(path):
            raise refusal(SHARED, path)
        real.rmdir(path, **kwargs)

    @rule
    def symlink(source: Any, target: Any, *args: Any, **kwargs: Any) -> None:
        raise refusal(NO_PRIVILEGE, source, to=target)

    @rule
    def link(source: Any, target: Any, **kwargs: Any) -> None:
        if not hard_links:
            raise refusal(NO_SUCH_FUNCTION, source, to=target)
        real.link(source, target, **kwargs)

    @rule
    def chmod(path: Any, mode: int, **kwargs: Any) -> None:
        if not os.path.isdir(path):  # nothing but "read-only" is kept, and that of files alone
            real.chmod(path, 0o666 if mode & stat.S_IWRITE else 0o444)

    @rule
    def fsync(handle: int) -> None:
        if fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, "Bad file descriptor")
        real.fsync(handle)

    modules = _modules()
    with pytest.MonkeyPatch.context() as patch:
        for name, function in (rules | {"remove": rules["unlink"]}).items():
            patch.setattr(os, name, function)
        for name in ABSENT:
            patch.delattr(os, name, raising=False)
        real_path = os.path.realpath
        patch.setattr(os.path, "realpath", lambda path, **options: as_spelled(real_path(path, **options)))
        patch.setattr(ctypes, "WinDLL", lambda _name, **_options: _SYSTEM, raising=False)
        patch.setattr(ctypes, "get_last_error", lambda: NO_PROCESS, raising=False)
        for name, value in {"_use_fd_functions": False, "_USE_CP_SENDFILE": False}.items():
            patch.setattr(shutil, name, value)
        patch.setattr(shutil, "_copyxattr", lambda *_args, **_options: None)
        for name in ABSENT_MODULES:
            patch.setitem(sys.modules, name, None)
        patch.setitem(sys.modules, "msvcrt", _locks())
        opening = _opening(io.open)
        patch.setattr(io, "open", opening)
        patch.setattr(builtins, "open", opening)
        for module in modules:
            patch.setattr(module, "sys", _Windows())
        yield
