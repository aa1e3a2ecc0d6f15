"""Notifications: in napari's window where there is one, else by Python's own means.

napari shows them by Qt's event loop, whatever thread they come from.
"""

from __future__ import annotations

import functools
import logging
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from napari_ome_ngff.errors import OmeNgffError, give_warning
from napari_ome_ngff.storage.places.location import group_location

if TYPE_CHECKING:
    from napari_ome_ngff.storage.pixels.failed_chunks import Failure, Failures

BUNDLE_SECONDS = 0.5
"""How long to wait for failures of other arrays before the user is notified."""


QUIET_SECONDS = 10.0
"""How long to wait before the user is notified again."""


AGAIN_SECONDS = 300.0
"""How long failures of the same image, such as those of its other levels, are not reported again."""


SHOW_MILLISECONDS, SHOW_TRIES = 100, 100
"""How often to look whether the window is there, and how many times."""


MAX_NAMED = 5
"""How many of them are named."""


_MARKUP = re.compile("<(?=[^>]*>)|&(?=lt;)")


_log = logging.getLogger("napari_ome_ngff")


def has_window() -> bool:
    """Return whether a napari window is open, without importing napari."""
    if "napari.viewer" not in sys.modules:
        return False
    from napari.viewer import current_viewer

    return current_viewer() is not None


def plain(text: str) -> str:
    """Break what Qt would take for HTML in a label that is not ours: names in a file are anyone's.

    An ``<img src=...>`` in the name of a plate would be loaded, from any server on Windows.
    """
    return _MARKUP.sub("\\g<0>\u200b", text)  # a space without width


@contextmanager
def errors_as_text() -> Iterator[None]:
    """Let napari show our errors as the text that they are."""
    try:
        yield
    except OmeNgffError as error:
        if has_window():
            error.args = (plain(str(error)),)
        raise


def warn(message: str) -> None:
    """Show a warning.

    napari drops Python warnings that are raised while it saves, and shows them only in part while it opens.
    """
    if has_window():
        from napari.utils.notifications import show_warning

        _once_visible(show_warning, plain(message))
    else:
        give_warning(message, stacklevel=2)


def inform(message: str) -> None:
    """Say that something went well."""
    if has_window():
        from napari.utils.notifications import show_info

        _once_visible(show_info, plain(message))
    else:
        _log.info(message)


def tell_end(words: str, notes: Sequence[str]) -> None:
    """Say how a save ended and what is to be known of it: in a window once, and in its status bar."""
    first, _, where = words.partition("\n")
    if not has_window():
        if notes:
            warn("\n".join(notes))
        inform(words)
        return
    from napari.viewer import current_viewer

    (warn if notes else inform)("\n".join([first, *notes, where]))
    current_viewer().status = plain(f"{first} {where}")


def is_seen() -> bool:
    """Whether somebody sees the window that is open."""
    if not has_window():
        return False
    from napari.viewer import current_viewer

    return bool(current_viewer().window._qt_window.isVisible())


class FailureNotes:
    """Tells the user of chunks that could not be read: those that fail together in one notification.

    `Failures` reports each array once. But the levels of an image are arrays, and a plate on a server that
    went away has thousands of them.
    """

    def __init__(self, seconds: float = BUNDLE_SECONDS) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._waiting: list[Failure] = []
        self._reported: dict[str, float] = {}
        self._quiet_until = 0.0

    def __call__(self, failure: Failure) -> None:
        """Take note of a failure; called in whatever thread reads."""
        now = time.monotonic()
        image = group_location(failure.location).rpartition("/")[0]
        with self._lock:
            self._reported = {one: until for one, until in self._reported.items() if until > now}
            if image in self._reported:
                _log.info("%s", failure.error)
                return
            self._reported[image] = now + AGAIN_SECONDS
            self._waiting.append(failure)
            first = len(self._waiting) == 1
        if first:
            timer = threading.Timer(max(self._seconds, self._quiet_until - now), self._notify)
            timer.daemon = True
            timer.start()

    def _notify(self) -> None:
        with self._lock:
            failures, self._waiting = self._waiting, []
            self._quiet_until = time.monotonic() + QUIET_SECONDS
        message = failure_text(failures)
        if has_window():
            warn(message)
        else:  # a Python warning in a thread of its own reaches nobody
            _log.warning("%s", message)


def failure_text(failures: list[Failure]) -> str:
    """Say what could not be read: the first line in one sentence, which is all that a toast shows."""
    text = str(failures[0].error)
    others = list(dict.fromkeys(failure.location for failure in failures[1:]))
    if others:
        more = "" if len(others) <= MAX_NAMED else " ..."
        text += f"\nThe same in {len(others)} more: {', '.join(others[:MAX_NAMED])}{more}"
    return text


def watch_failures() -> None:
    """Tell the user from now on of chunks that could not be read. Calling it again does nothing."""
    from napari_ome_ngff.storage.pixels.process_state import shared_failures

    _watch(shared_failures())


@functools.lru_cache(maxsize=1)
def _watch(failures: Failures) -> None:
    failures.subscribe(FailureNotes())


def _once_visible(show: Callable[[str], None], message: str, tries: int = SHOW_TRIES) -> None:
    """Wait for the window if it is still to come: started with a path, napari opens that first.

    A notification in a hidden window is never shown (``NapariQtNotification.show_notification``).
    """
    from napari.viewer import current_viewer

    viewer = current_viewer()
    hidden = viewer is not None and not viewer.window._qt_window.isVisible()
    if hidden and tries and threading.current_thread() is threading.main_thread():
        from qtpy.QtCore import QTimer

        QTimer.singleShot(SHOW_MILLISECONDS, lambda: _once_visible(show, message, tries - 1))
    elif viewer is not None:
        show(message)
