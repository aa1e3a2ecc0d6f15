"""Whether a place is that of an image in a plate or collection that is there: ``plate.zarr/A/1/0``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_ome_ngff.errors import TargetError, collected_warnings
from napari_ome_ngff.metadata.collections.plates import decode_plate
from napari_ome_ngff.metadata.group_kind import kind_of
from napari_ome_ngff.metadata.nouns import Plate
from napari_ome_ngff.storage.places.folders import node_kind
from napari_ome_ngff.storage.places.location import as_listed


@dataclass(frozen=True, kw_only=True)
class PlatePlace:
    """The place of a field: the folder of the plate, what that says, and row, column and name."""

    folder: Path
    plate: Plate
    row: str
    column: str
    field: str

    @property
    def well(self) -> str:
        """Path of the well in the plate."""
        return f"{self.row}/{self.column}"

    @property
    def path(self) -> Path:
        """The folder of the field."""
        return self.folder / self.row / self.column / self.field

    def check_version(self, version: str) -> None:
        """Refuse another version than the plate's: 0.5, it "MUST be consistent within a hierarchy"."""
        if version != self.plate.version:
            raise TargetError(
                f"The plate is in OME-Zarr {self.plate.version}, and so are its fields.",
                where=str(self.folder),
                found=f"version {version}",
                hint=f'Choose version "{self.plate.version}".',
            )


def plate_place(target: Path) -> PlatePlace | None:
    """The place of a field, if a folder is one; the well need not be there, nor listed in the plate."""
    if len(target.parents) < 4:
        return None
    folder = target.parents[2]
    if node_kind(folder) != "group" or any(node_kind(above) == "array" for above in target.parents[:2]):
        return None
    attributes = _attributes(folder)
    if kind_of(attributes) != "plate":
        return None
    with collected_warnings():  # whoever opens it is told
        plate = decode_plate(attributes, where=str(folder))
    row, column, field = as_listed(target, folder).parts[-3:]
    if not all(name.isascii() and name.isalnum() for name in (row, column, field)):
        return None
    return PlatePlace(folder=folder, plate=plate, row=row, column=column, field=field)


def collection_of(target: Path) -> Path | None:
    """The folder of the collection that an image which is there belongs to, if it does: ``many.zarr/0``."""
    is_in = kind_of(_attributes(target.parent)) == "bioformats2raw.layout"
    return target.parent if is_in and kind_of(_attributes(target)) == "image" else None


def _attributes(folder: Path) -> Mapping[str, Any]:
    for name in ("zarr.json", ".zattrs"):
        try:
            document = json.loads((folder / name).read_bytes())
        except (OSError, ValueError, RecursionError):
            continue
        attributes = document.get("attributes") if name == "zarr.json" else document
        if isinstance(attributes, Mapping):
            return attributes
    return {}
