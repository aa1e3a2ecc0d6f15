"""Tasks on an executor: how their errors are named, how they are run in order, and how they are stopped."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from typing import Any, NamedTuple

from napari_ome_ngff.writing.refusals import failing


class Done(NamedTuple):
    """What one finished task has written: blocks of the first level, and bytes of all levels."""

    blocks: int
    nbytes: int
    waited: bool = False  # for the disk, more than it worked: others can work meanwhile


def cancel_and_wait(executor: Executor, pending: Collection[Future[Any]]) -> None:
    """Cancel tasks that have not begun, where that can be told, and wait for all others."""
    if isinstance(executor, ThreadPoolExecutor | ProcessPoolExecutor):
        for future in pending:
            future.cancel()
    # Others, a cluster of dask for one, call a task cancelled that is still at work.
    wait(pending)


def run_in_order(
    task: Callable[..., Done], calls: Iterable[tuple[Any, ...]], executor: Executor, at_once: int, where: str
) -> Iterator[Done]:
    """Run a task with the arguments of each call, one more than run at once submitted; yields in their order.

    When this ends, however it does, no task is at work any more.
    """
    pending: deque[Future[Done]] = deque()
    try:
        for arguments in calls:
            with failing("A task could not be started", where):
                pending.append(executor.submit(task, *arguments))
            if len(pending) > at_once:
                yield _result(pending.popleft(), where)
        while pending:
            yield _result(pending.popleft(), where)
    finally:
        cancel_and_wait(executor, pending)


def _result(future: Future[Done], where: str) -> Done:
    with failing("A task failed", where):
        return future.result()
