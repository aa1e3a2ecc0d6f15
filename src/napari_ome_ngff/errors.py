"""What can go wrong, in words that tell a microscopist what to do next.

Every error that leaves this package is an :class:`OmeNgffError`. It derives from :class:`Exception`
alone: napari swallows a ``ValueError`` that leaves a writer, and a worker in which a generator raises a
``RuntimeError`` neither finishes nor reports, so neither may leave the package as such.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_USER = re.compile(r"(?<=://)[^/?#\n]*@")


_QUERY = re.compile(r"""(\?|&(?=\w+=))[^\s"'<>]+""")


def without_secrets(text: str) -> str:
    """A text without what may be secret in the addresses in it: user, password, and query (a signature).

    >>> without_secrets("http://me:word@host/a.zarr?sig=1 is not there")
    'http://host/a.zarr is not there'
    """
    if "://" not in text or text.startswith("file://"):  # file names may hold "?"
        return text
    return _QUERY.sub("", _USER.sub("", text))


_MOST_LETTERS = 2000
"""Of each part of an error: some quote what stands in a file, which may be megabytes."""


def _shortened(text: str) -> str:
    return text if len(text) <= _MOST_LETTERS else f"{text[:_MOST_LETTERS]} ..."


class OmeNgffError(Exception):
    """Base of all errors of this package.

    Parameters
    ----------
    summary
        One short sentence: napari's toast shows only this line.
    where
        Path or URL, and the JSON path inside the metadata (``multiscales[0].datasets[2]``).
    found
        What was found there.
    expected
        What should have been there, with the rule it comes from.
    hint
        What to do about it.

    Examples
    --------
    >>> print(OmeNgffError("No image here.", where="/data/a.zarr", hint="Open a folder that holds one."))
    No image here.
    Where: /data/a.zarr
    What to do: Open a folder that holds one.
    """

    def __init__(
        self, summary: str, *, where: str = "", found: str = "", expected: str = "", hint: str = ""
    ) -> None:
        summary, found, expected, hint = (_shortened(text) for text in (summary, found, expected, hint))
        summary, where, found, hint = (without_secrets(text) for text in (summary, where, found, hint))
        details = {"Where": where, "Found": found, "Expected": expected, "What to do": hint}
        lines = [summary, *(f"{label}: {text}" for label, text in details.items() if text)]
        super().__init__("\n".join(lines))
        self.summary = summary
        self.where = where
        self.found = found
        self.expected = expected
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments do not survive the default pickling, and tasks may run in other processes.
        return _rebuild, (type(self), self.summary, self.where, self.found, self.expected, self.hint)


def _rebuild(
    kind: type[OmeNgffError], summary: str, where: str, found: str, expected: str, hint: str
) -> OmeNgffError:
    return kind(summary, where=where, found=found, expected=expected, hint=hint)


class NotOmeNgffError(OmeNgffError):
    """There is no OME-Zarr metadata at this place."""


class MetadataError(OmeNgffError):
    """OME-Zarr metadata break a rule so that they cannot be interpreted or written."""


class UnsupportedError(OmeNgffError):
    """Valid, but this version of the package cannot show or write it correctly."""


class CoordinateError(OmeNgffError):
    """OME-Zarr cannot express the dims, coordinates or units of a DataArray."""


class OptionError(OmeNgffError):
    """An option was given a value that it cannot have."""


class StorageError(OmeNgffError):
    """Bytes could not be read or written: missing, refused, unreachable, full."""


class TargetError(StorageError):
    """Writing to this place is refused, because something there could be lost."""


class CancelledError(OmeNgffError):
    """The user ended a save before it was complete; nothing was left behind."""


class OmeNgffWarning(UserWarning):
    """A file breaks a rule and the best possible reading was taken, or a save was never begun."""


_collected: ContextVar[list[str] | None] = ContextVar("warnings that are collected", default=None)


def give_warning(message: str, *, stacklevel: int) -> None:
    """Warn as `warnings.warn` does, or tell who collects the warnings of this context."""
    collected = _collected.get()
    if collected is None:
        warnings.warn(message, OmeNgffWarning, stacklevel=stacklevel + 1)
    else:
        collected.append(message)


@contextmanager
def collected_warnings() -> Iterator[list[str]]:
    """Collect what `give_warning` is told in this context, in place of giving it."""
    # Not `warnings.catch_warnings`: that changes the filters of all threads, and where two do so at the same
    # time, napari in its window and a thread that reads, the filters of one stay in force for good.
    messages: list[str] = []
    token = _collected.set(messages)
    try:
        yield messages
    finally:
        _collected.reset(token)
