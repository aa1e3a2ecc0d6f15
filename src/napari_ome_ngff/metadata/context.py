"""Where a value stands in a group's metadata, and which rules the file was found to break."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from napari_ome_ngff.errors import MetadataError, OmeNgffError, OmeNgffWarning
from napari_ome_ngff.metadata.nouns import Json

NO_PARAMETERS: Mapping[str, Json] = MappingProxyType({})

_MOST_NOTES = 8


@dataclass
class _Notes:
    """The first few notes on one document, and how many there were."""

    lines: list[str] = field(default_factory=list)
    count: int = 0


@dataclass(frozen=True, slots=True)
class Context:
    """Where a value stands: `location` is the group's path or URL, `path` the JSON path in its attributes.

    All contexts below one share its notes. `parameters` maps the path of an array that transforms keep their
    numbers in to its values, as nested lists.
    """

    location: str = ""
    path: str = ""
    parameters: Mapping[str, Json] = NO_PARAMETERS
    _notes: _Notes = field(default_factory=_Notes, repr=False, compare=False)

    @property
    def where(self) -> str:
        """Location and JSON path, as errors name them: ``"/data/a.zarr: ome.multiscales[0]"``."""
        return ": ".join(part for part in (self.location, self.path) if part)

    @property
    def notes(self) -> tuple[str, ...]:
        """The first notes on the document, each with its JSON path."""
        return tuple(self._notes.lines)

    def below(self, *keys: str | int) -> Context:
        """Return the context of a value inside: names and indices. "" adds nothing (no container)."""
        path = self.path
        for key in keys:
            if isinstance(key, int):
                path += f"[{key}]"
            elif key:
                path += f".{key}" if path else key
        return Context(self.location, path, self.parameters, self._notes)

    def note(self, text: str) -> None:
        """Note what is wrong here and how it was read; only the first few notes are kept."""
        self._notes.count += 1
        if len(self._notes.lines) < _MOST_NOTES:
            self._notes.lines.append(f"{self.path}: {text}")

    def warn(self) -> None:
        """Warn once about everything that was noted, if there is anything."""
        if not self._notes.count:
            return
        lines = [f"- {line}" for line in self._notes.lines]
        if self._notes.count > len(lines):
            lines.append(f"- and {self._notes.count - len(lines)} more")
        group = f" of {self.location}" if self.location else ""
        summary = f"The OME-NGFF metadata{group} break rules; they were read as well as possible."
        warnings.warn("\n".join([summary, *lines]), OmeNgffWarning, stacklevel=2)

    def error(
        self,
        summary: str,
        *,
        found: str = "",
        expected: str = "",
        hint: str = "",
        kind: type[OmeNgffError] = MetadataError,
    ) -> OmeNgffError:
        """Return an error that names this place."""
        return kind(summary, where=self.where, found=found, expected=expected, hint=hint)
