"""What is left out of many things that are opened together: one warning for each reason."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from napari_ome_ngff.errors import MetadataError, OmeNgffError, collected_warnings, give_warning

_MOST_NAMES = 5  # in a warning


class LeftOut:
    """Names of what is left out of a group, by reason."""

    def __init__(self, location: str) -> None:
        self._location = location
        self._names: dict[str, list[str]] = {}
        self._first: OmeNgffError | None = None

    def __bool__(self) -> bool:
        return bool(self._names)

    def add(self, reason: str, *names: str) -> None:
        """Note what is left out for a reason, worded for several: "fields are not there"."""
        self._names.setdefault(reason, []).extend(names)

    def failed(self, what: str, name: str, error: OmeNgffError) -> None:
        """Note what is left out because of an error; `what` are several of its kind, such as "fields"."""
        self._first = self._first or error
        self.add(f"{what} are left out: {error.summary}", name)

    def warn(self) -> None:
        """Warn, once for each reason."""
        for line in self._lines():
            give_warning(f"{line}\nWhere: {self._location}", stacklevel=4)

    def error(self, summary: str, kind: type[OmeNgffError] = MetadataError) -> OmeNgffError:
        """Return the error for when nothing is left: the first one noted, or one with all reasons."""
        return self._first or kind(
            summary,
            where=self._location,
            found="; ".join(self._lines()) or "nothing is listed",
            hint="It is empty or incomplete: compare it with the original.",
        )

    def _lines(self) -> Iterator[str]:
        for reason, names in self._names.items():
            shown = ", ".join(names[:_MOST_NAMES]) + (", ..." if len(names) > _MOST_NAMES else "")
            yield f"{len(names)} {reason} ({shown})"


@contextmanager
def warned_once(location: str) -> Iterator[None]:
    """Turn the warnings of many things in one group into one: they usually have the same faults."""
    with collected_warnings() as messages:
        yield
    if messages:
        more = f"\n(and {len(messages) - 1} more like this in {location})" if len(messages) > 1 else ""
        give_warning(f"{messages[0]}{more}", stacklevel=4)
