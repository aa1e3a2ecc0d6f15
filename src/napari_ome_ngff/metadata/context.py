"""Where a value stands in a group's metadata, and which rules the file was found to break."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from napari_ome_ngff.errors import MetadataError, OmeNgffError, give_warning
from napari_ome_ngff.metadata.nouns import Json

NO_PARAMETERS: Mapping[str, Json] = MappingProxyType({})

_MOST_NOTES = 8


@dataclass
class _Document:
    """What all contexts in one document share; of the notes the first few, and how many there were."""

    location: str = ""
    parameters: Mapping[str, Json] = field(default_factory=lambda: NO_PARAMETERS)
    notes: list[str] = field(default_factory=list)
    count: int = 0


@dataclass(slots=True)
class Context:
    """Where a value stands in the attributes of a group: the names and indices that lead to it.

    Never changed. It is not frozen because one is made for every value, which takes twice as long for a
    frozen one.
    """

    document: _Document = field(default_factory=_Document)
    keys: tuple[str | int, ...] = ()
    """Joined only when somebody asks for the path: most values are as they should be."""

    @classmethod
    def of(cls, location: str = "", parameters: Mapping[str, Json] = NO_PARAMETERS) -> Context:
        """Return the context of all attributes of a group, by its path or URL.

        `parameters` maps the path of an array that transforms keep their numbers in to its values, as nested
        lists.
        """
        return cls(_Document(location, parameters))

    @property
    def location(self) -> str:
        """Path or URL of the group, or "" if it is not known."""
        return self.document.location

    @property
    def parameters(self) -> Mapping[str, Json]:
        """Path of an array that transforms keep their numbers in to its values, as nested lists."""
        return self.document.parameters

    @property
    def path(self) -> str:
        """The JSON path: ``"ome.multiscales[0].axes"``."""
        path = ""
        for key in self.keys:
            if isinstance(key, int):
                path += f"[{key}]"
            elif key:
                path += f".{key}" if path else key
        return path

    @property
    def where(self) -> str:
        """Location and JSON path, as errors name them: ``"/data/a.zarr: ome.multiscales[0]"``."""
        return ": ".join(part for part in (self.location, self.path) if part)

    @property
    def notes(self) -> tuple[str, ...]:
        """The first notes on the document, each with its JSON path."""
        return tuple(self.document.notes)

    def below(self, *keys: str | int) -> Context:
        """Return the context of a value inside: names and indices. "" adds nothing (no container)."""
        return Context(self.document, self.keys + keys)

    def note(self, text: str) -> None:
        """Note what is wrong here and how it was read; only the first few notes are kept."""
        self.document.count += 1
        if len(self.document.notes) < _MOST_NOTES:
            self.document.notes.append(f"{self.path}: {text}")

    def warn(self) -> None:
        """Warn once about everything that was noted, if there is anything."""
        if not self.document.count:
            return
        lines = [f"- {line}" for line in self.notes]
        if self.document.count > len(lines):
            lines.append(f"- and {self.document.count - len(lines)} more")
        group = f" of {self.location}" if self.location else ""
        summary = f"The OME-Zarr metadata{group} break rules; they were read as well as possible."
        give_warning("\n".join([summary, *lines]), stacklevel=2)

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
