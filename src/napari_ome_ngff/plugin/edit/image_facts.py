"""What there is to know of an image, in words and as a table that is edited. No Qt, no napari."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.errors import OmeNgffError, OptionError
from napari_ome_ngff.metadata.nouns import Axis, Multiscale
from napari_ome_ngff.metadata.transforms import level_transform
from napari_ome_ngff.plugin.save.summary import amount, axis_names, size_of, sizes
from napari_ome_ngff.reading.facts import codec_name
from napari_ome_ngff.storage.places.location import is_url

if TYPE_CHECKING:
    import zarr

COLUMNS = ("Name", "Type", "Unit", "Voxel size", "Position")
"""Of the table of axes."""


def image_facts(location: str) -> str:
    """Place, version, size, levels and codecs of an image, or why it cannot be opened; for a thread."""
    from napari_ome_ngff.reading.open import open_metadata
    from napari_ome_ngff.reading.opened import Image

    if location.startswith("memory://"):
        return "In memory: it is in no file. Save it to correct or paint it."
    try:
        image = open_metadata(location)
    except OmeNgffError as error:
        return f"{location}\n{error.summary}"
    if not isinstance(image, Image) or image.multiscale is None or image.group is None:
        return location
    size = "" if is_url(location) else f", {amount(size_of(location))} on disk"
    lines = [location, f"OME-Zarr {image.multiscale.version}, axes {axis_names(image.multiscale.dims)}{size}"]
    sources: Mapping[str, Any] = image.group.sources
    for path, array in sources.items():
        is_mosaic = not hasattr(array, "metadata")
        lines.append(f"Level {path}: a mosaic of fields" if is_mosaic else _level(path, array))
    if image.multiscale.channels:
        names = [channel.label or f"channel {i}" for i, channel in enumerate(image.multiscale.channels)]
        lines.append("Channels: " + ", ".join(names))
    if image.labels:
        lines.append("Label images: " + ", ".join(image.labels))
    return "\n".join(lines)


def _level(path: str, array: zarr.Array[Any]) -> str:
    shards = "" if array.shards is None else f" in shards of {sizes(array.shards)}"
    codecs = ", ".join(codec_name(codec) for codec in array.compressors) or "not compressed"
    return f"Level {path}: {sizes(array.shape)} {array.dtype}, chunks {sizes(array.chunks)}{shards}, {codecs}"


@dataclass(frozen=True, kw_only=True)
class AxisRow:
    """One axis as the table shows it: texts, as they are typed."""

    name: str
    type: str
    unit: str
    size: str
    position: str


def axis_rows(multiscale: Multiscale) -> list[AxisRow]:
    """The table of the axes of an image, with voxel size and position of level 0."""
    finest = level_transform(multiscale, 0)
    return [
        AxisRow(
            name=axis.name,
            type=axis.type or "",
            unit=axis.unit or "",
            size=f"{scale:.12g}",
            position=f"{start:.12g}",
        )
        for axis, scale, start in zip(multiscale.axes, finest.scale, finest.translation, strict=True)
    ]


def axis_changes(multiscale: Multiscale, rows: Sequence[AxisRow]) -> dict[str, Any]:
    """What was typed into the table, as arguments of `edit_metadata`; OptionError if it is no number."""
    scale: dict[str, float] = {}
    translation: dict[str, float] = {}
    axes: dict[str, Axis] = {}
    for axis, old, new in zip(multiscale.axes, axis_rows(multiscale), rows, strict=True):
        for values, was, text, what in (
            (scale, old.size, new.size, "voxel size"),
            (translation, old.position, new.position, "position"),
        ):
            if text.strip() != was:
                values[axis.name] = _number(text, f"The {what} of axis {axis.name!r}")
        if (new.name.strip(), new.type.strip(), new.unit.strip()) != (old.name, old.type, old.unit):
            axes[axis.name] = Axis(
                name=new.name.strip(), type=new.type.strip() or None, unit=new.unit.strip() or None
            )
    changes: Mapping[str, Any] = {"scale": scale, "translation": translation, "axes": axes}
    return {name: values for name, values in changes.items() if values}


def _number(text: str, what: str) -> float:
    try:
        return float(text.strip().replace(",", "."))
    except ValueError as error:
        raise OptionError(f"{what} is no number.", found=text) from error
