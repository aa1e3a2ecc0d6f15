"""The note that a save puts into a store without renames: who writes to a place, and how far it is."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.errors import StorageError
from napari_ome_ngff.storage.places.leftovers import PART
from napari_ome_ngff.storage.places.location import join, location_in
from napari_ome_ngff.storage.places.requests import fetch

if TYPE_CHECKING:
    from zarr.abc.store import Store

NOTE = f"{PART}/zarr.json"
"""Key of the note in a hierarchy, there while a save is under way: some stores take Zarr's keys alone."""

_PHASES = ("writing", "copying", "removing")


@dataclass(frozen=True, kw_only=True)
class Note:
    """Who writes to a place, and how far it is: the phase is noted before it begins, and only moves forward.

    In "writing" the new hierarchy is made: in `part`, if there is one that it replaces, else in place. In
    "copying" the part is complete and takes the place of the old one, whose members that are `obsolete`
    (paths relative to its root) end with it. In "removing" nothing is left to do but to delete: the part, or
    what was written in place, `arrays` among it.
    """

    save: str = ""
    host: str = ""
    process: int = 0
    phase: str = "writing"
    part: str = ""
    obsolete: tuple[str, ...] = ()
    arrays: tuple[str, ...] = ()

    def encode(self) -> bytes:
        """As it is stored."""
        attributes = {**asdict(self), "made by": "napari-ome-ngff"}
        return json.dumps({"zarr_format": 3, "node_type": "group", "attributes": attributes}).encode()


def decode_note(content: bytes | None) -> Note | None:
    """The note that is stored; of a damaged one nothing is known, so it is of nobody here."""
    if content is None:
        return None
    try:
        entries: dict[str, Any] = json.loads(content)["attributes"]
        return Note(
            save=str(entries["save"]),
            host=str(entries["host"]),
            process=int(entries["process"]),
            phase=_PHASES[_PHASES.index(entries["phase"])],
            part=str(entries["part"]),
            obsolete=tuple(map(str, entries["obsolete"])),
            arrays=tuple(map(str, entries["arrays"])),
        )
    except (ValueError, TypeError, KeyError):
        return Note()


def unfinished(store: Store, path: str) -> StorageError | None:
    """Why there is nothing to open at a place, if a save to it is under way or was interrupted."""
    content = fetch(store, [join(path, NOTE)])[join(path, NOTE)]
    note = decode_note(content) if isinstance(content, bytes) else None
    if note is None:
        return None
    if note.phase == "copying":
        return StorageError(
            "What is here is being replaced, or a save was interrupted while it was.",
            where=location_in(store, path),
            found=f"the new one, complete, in {location_in(store, note.part)}",
            hint="Wait if a save is running. If none is, save to this place again (overwrite=True): what is"
            " complete is put in its place first.",
        )
    return StorageError(
        "A save to this place is running, or was interrupted.",
        where=location_in(store, path),
        found=f"an incomplete hierarchy, written on {note.host or 'an unknown computer'}",
        hint="Wait if it is running. If it is not, save to this place again.",
    )
