"""Small disks for tests: file systems in memory, of a few megabytes."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """Mount a file system of so many megabytes; that takes an administrator, which tests in CI are."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True).stderr
    except OSError as error:
        done = str(error)
    if not os.path.ismount(folder):
        reason = f"no file system can be mounted here: {done.strip()}"
        pytest.fail(reason, pytrace=False) if os.environ.get("CI") else pytest.skip(reason)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def make_read_only(folder: Path) -> None:
    """Allow nobody, not even an administrator, to write to a small disk."""
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
