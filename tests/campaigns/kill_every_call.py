"""Kill saves to local folders at every call that changes a disk, with and without the exchange of folders.

Run with ``python -m tests.campaigns.kill_every_call [KILLS]``. After each kill, a look sees the old image or
the new one, whole; the next save succeeds and leaves nothing beside it. 170 kills, which are all the calls
there are: 98 as it was, 72 the new image, none other.
"""

from __future__ import annotations

import collections
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from napari_ome_ngff.writing.commit import local_swap
from tests.writing.test_locks import KINDS, left, prepare, save, value

CALLS = ("open", "mkdir", "rename", "replace", "link", "symlink", "unlink", "rmdir", "fsync", "chmod")


def killed_at(moment: int, kind: str, folder: Path) -> bool:
    """Save in another process that is killed before a call; whether the save came that far."""
    child = os.fork()
    if child == 0:
        count = 0

        def counting(real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any, **kwargs: Any) -> Any:
                nonlocal count
                count += 1
                if count == moment:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*args, **kwargs)

            return call

        for name in CALLS:
            setattr(os, name, counting(getattr(os, name)))
        local_swap.exchange = counting(local_swap.exchange)  # type: ignore[assignment]
        if "no exchange" in kind:
            local_swap.exchange = lambda *_: False  # type: ignore[assignment]
        save(kind, folder, 2)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def campaign(kind: str, kills: int) -> collections.Counter[str]:
    """Kill saves of one kind at one call after the other."""
    seen: collections.Counter[str] = collections.Counter()
    for moment in range(1, kills + 1):
        folder = Path(tempfile.mkdtemp())
        try:
            prepare(kind, folder)
            before = value(kind, folder)
            if not killed_at(moment, kind, folder):
                break
            after = value(kind, folder)
            assert after in (before, 2), f"{kind}, call {moment}: {after}"
            seen["the new image" if after == 2 else "as it was"] += 1
            save(kind, folder, 3)
            assert value(kind, folder) == 3, f"{kind}, call {moment}"
            assert left(folder) == [], f"{kind}, call {moment}"
        finally:
            shutil.rmtree(folder)
    return seen


if __name__ == "__main__":
    most = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    for each in KINDS:
        print(each, dict(campaign(each, most // len(KINDS))), flush=True)
