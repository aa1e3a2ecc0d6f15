"""Wells and fields of a plate as somebody has them, as the sources and the layout that are written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from napari_ome_ngff.arguments import shown
from napari_ome_ngff.errors import OptionError
from napari_ome_ngff.metadata.nouns import Acquisition, Channel, Field
from napari_ome_ngff.saving.as_source import channels_for, label_source, sources_of
from napari_ome_ngff.saving.described_axes import Description
from napari_ome_ngff.writing.plan.write_plan import MultiscaleSource

_KEYS = 'row and column, ("A", 1), or row, column and acquisition, ("A", 1, 0)'


def well_key(key: object) -> tuple[tuple[str, str], int | None]:
    """Row and column of a well, and the acquisition if the key names one."""
    parts: Any = key.split("/") if isinstance(key, str) else key
    if not isinstance(parts, list | tuple) or len(parts) not in (2, 3):
        raise OptionError("A well is named by its row and its column.", found=shown(key), expected=_KEYS)
    acquisition = parts[2] if len(parts) == 3 else None
    return (_name(parts[0], key), _name(parts[1], key)), acquisition_number(acquisition)


def _name(part: object, key: object) -> str:
    if isinstance(part, bool) or not (isinstance(part, str) or hasattr(type(part), "__index__")):
        raise OptionError("A well is named by its row and its column.", found=shown(key), expected=_KEYS)
    return str(part)


def acquisition_number(number: Any) -> int | None:
    """The number of an acquisition; OptionError if it is none."""
    if number is None:
        return None
    if isinstance(number, bool) or not hasattr(type(number), "__index__") or number < 0:
        raise OptionError("An acquisition is named by a whole number from 0.", found=shown(number))
    return int(number)


def acquisitions_of(given: object) -> tuple[Acquisition, ...]:
    """Acquisitions from their names by their numbers, or as they are."""
    if given is None:
        return ()
    if isinstance(given, Mapping) and all(isinstance(name, str | None) for name in given.values()):
        return tuple(
            Acquisition(id=acquisition_number(number) or 0, name=name) for number, name in given.items()
        )
    if isinstance(given, Sequence) and all(isinstance(each, Acquisition) for each in given):
        return tuple(given)
    raise OptionError(
        "Acquisitions are names by their numbers.", found=shown(given), expected='{0: "first", 1: "second"}'
    )


def names_of(given: Any, what: str) -> tuple[str, ...] | None:
    """Names of rows or columns, which may be numbers; None if they are left open."""
    if given is None:
        return None
    names = list(given) if isinstance(given, Iterable) else [None]
    if not all(isinstance(name, str | int) for name in names):
        raise OptionError(
            f"{what} must be names, not {shown(given)}.", expected='"ABCDEFGH", or range(1, 13)'
        )
    return tuple(map(str, names))


def fields_of(
    wells: object, about: Description, channels: Sequence[str | Channel] | None
) -> tuple[dict[tuple[str, str], list[Field]], dict[str, MultiscaleSource]]:
    """The fields of each well, and what is written of each, label images too, by paths in the plate.

    Fields without names are numbered, on where a well has several acquisitions. Only metadata are read.
    """
    if not isinstance(wells, Mapping) or not wells:
        raise OptionError(
            "Fields are given by their wells.", found=shown(wells), expected='{("A", 1): [image]}'
        )
    fields: dict[tuple[str, str], list[Field]] = {}
    sources: dict[str, MultiscaleSource] = {}
    for key, images in wells.items():
        well, acquisition = well_key(key)
        listed = fields.setdefault(well, [])
        for name, image in _named(images, len(listed)):
            listed.append(Field(path=name, acquisition=acquisition))
            path = "/".join((*well, name))
            inside = field_sources(image, about, channels, path)
            sources |= {f"{path}/{inner}" if inner else path: source for inner, source in inside.items()}
    return fields, sources


def _named(images: Any, first: int) -> Iterable[tuple[str, Any]]:
    if isinstance(images, list | tuple):
        return ((str(number), image) for number, image in enumerate(images, start=first))
    if isinstance(images, dict) and "" not in images:
        return ((str(name), image) for name, image in images.items())
    return [(str(first), images)]


def field_sources(
    image: Any, about: Description, channels: Sequence[str | Channel] | None, path: str
) -> dict[str, MultiscaleSource]:
    """One field with its label images, by their paths in it; without a name it is called as its path."""
    members = dict(image) if isinstance(image, dict) and "" in image else {"": image}
    sources = sources_of(members.pop(""), about, what=f"Field {path}")
    main = sources[""]
    finest = main.image if main.image is not None else next(iter((main.arrays or {}).values()))
    named = main.name or (main.multiscale and main.multiscale.name) or finest.name
    sources[""] = replace(
        main, channels=channels_for(channels, finest) or main.channels, name=main.name if named else path
    )
    for path, label in members.items():
        name = str(path).removeprefix("labels/")
        sources[f"labels/{name}"] = label_source(name, label, finest, [str(dim) for dim in finest.dims])
    return sources
