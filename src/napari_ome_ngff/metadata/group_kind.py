"""What kind of OME-Zarr group a group's attributes make it, and which of them are ours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType

from napari_ome_ngff.metadata.nouns import Json

OUR_KEYS = "napari-ome-ngff:"
"""What the keys start with that we add to the attributes of an image."""

CARRIED = f"{OUR_KEYS}read-from"
"""Key of a DataArray's ``attrs``: the attributes of the group that it was read from, as JSON text."""

CONTAINER = "ome"
"""Key of a group's attributes that holds everything of ours since 0.5."""

SPATIALDATA = "spatialdata_attrs"
"""Key that makes a group the root of a SpatialData store: images and labels in folders, beside tables."""

# What a group can be, by the key that says so, with the error's sentence for those who asked for one image.
# The order matters: a plate may also carry a "bioformats2raw.layout", an image also "labels".
COLLECTIONS: Mapping[str, tuple[type | tuple[type, ...], str]] = MappingProxyType(
    {
        "plate": (
            Mapping,
            "This is a plate; open it with open_ome_ngff, or read one of its images, such as 'A/1/0'.",
        ),
        "well": (
            Mapping,
            "This is a well of a plate; open it with open_ome_ngff, or read one of its images, such as '0'.",
        ),
        "scene": (
            Mapping,
            "This is a scene of several images; open it with open_ome_ngff, or read one of its images.",
        ),
        "bioformats2raw.layout": (
            (int, float, str),
            "This is a collection of images; open it with open_ome_ngff, or read one of them, such as '0'.",
        ),
        "series": (
            (list, tuple),
            "This describes a collection of images; open the group above with open_ome_ngff, or read one of "
            "the images beside it.",
        ),
        "labels": (
            (list, tuple),
            "This only lists label images; open it with open_ome_ngff, or read one of them.",
        ),
    }
)

_IMAGE_KEYS = frozenset({"multiscales", "omero", "image-label"})

_LAYOUT = "bioformats2raw.layout"

_MOST_CARRIED = 1000
"""Labels whose colours and properties a DataArray carries: of more they would take as long as opening."""

_ONLY_INSIDE = frozenset({"scene", "series"})
"""Keys that are ours inside ``ome`` alone: at the top level they are too common a word, or too new."""


def container_of(attributes: Json) -> tuple[str, Mapping[str, Json]] | None:
    """Return where in a group's attributes our metadata are, and what holds them; None if there are none.

    The key is "" for the top level.
    """
    if not isinstance(attributes, Mapping):
        return None
    # 0.5 and later: everything is under "ome", which counts where both are present.
    for key, holder in ((CONTAINER, attributes.get(CONTAINER)), ("", attributes)):
        if isinstance(holder, Mapping) and ("multiscales" in holder or collection(holder, key)):
            return key, holder
    return None


def holder_of(attributes: Mapping[str, Json], key: str) -> tuple[str, Mapping[str, Json]]:
    """Return the key and the content of what holds one of our keys: ``ome``, or "" and the attributes."""
    inside = attributes.get(CONTAINER)
    if isinstance(inside, Mapping) and inside.get(key) is not None:
        return CONTAINER, inside
    return "", attributes


def beside(attributes: Mapping[str, Json], container: str, key: str) -> tuple[str, Json]:
    """Return one of our keys of an image, and the key of what holds it: its own place, or else the other one.

    Some writers leave ``omero`` at the top level, where it was before 0.5, beside an ``ome`` with the rest.
    """
    for name in (container, "" if container else CONTAINER):
        holder = attributes.get(name) if name else attributes
        if isinstance(holder, Mapping) and holder.get(key) is not None:
            return name, holder[key]
    return container, None


def collection(holder: Mapping[str, Json], container: str) -> str:
    """Return the key that says what a group is, or "" if none says so and it may be an image."""
    return next((key for key in COLLECTIONS if _makes_collection(key, holder.get(key), container)), "")


def _makes_collection(key: str, value: Json, container: str) -> bool:
    """Return whether a value makes a collection: somebody else's "plate" may be a number."""
    return isinstance(value, COLLECTIONS[key][0]) and bool(container or key not in _ONLY_INSIDE)


def kind_of(attributes: Json) -> str:
    """Return what a group is: ``"image"``, the key of `COLLECTIONS` that makes it one, or "" if not ours.

    It is an image if it has ``multiscales``, whatever else it has.
    """
    container, holder = container_of(attributes) or ("", {})
    kind = collection(holder, container)
    if kind and holder.get("multiscales") is None:
        return kind
    return "image" if holder else ""


def image_count(attributes: Mapping[str, Json]) -> int:
    """Return how many entries ``multiscales`` has; 0 if it is no list."""
    _, holder = container_of(attributes) or ("", {})
    images = holder.get("multiscales")
    return len(images) if isinstance(images, list | tuple) else int(isinstance(images, Mapping))


def is_ome_ngff(attributes: Mapping[str, Json]) -> bool:
    """Return whether a group's attributes hold anything of OME-Zarr, valid or not."""
    return container_of(attributes) is not None


def foreign_attributes(attributes: Mapping[str, Json]) -> dict[str, Json]:
    """Return the attributes of a group that are not ours, without ``ome`` if nothing is left in it."""
    kept = _foreign(attributes, "")
    inside = kept.get(CONTAINER)
    if isinstance(inside, Mapping):
        kept[CONTAINER] = _foreign(inside, CONTAINER)
        if not kept[CONTAINER]:
            del kept[CONTAINER]
    return kept


def _foreign(holder: Mapping[str, Json], container: str) -> dict[str, Json]:
    return {
        key: value
        for key, value in holder.items()
        if key not in _IMAGE_KEYS
        and not (key in COLLECTIONS and _makes_collection(key, value, container))
        and not (key == "version" and container)
    }


def merge_attributes(existing: Mapping[str, Json], ours: Mapping[str, Json]) -> dict[str, Json]:
    """Return existing attributes of any version with everything of OME-Zarr replaced by ours.

    Keys of other owners stay, at the top level and under ``ome``.
    """
    kept = foreign_attributes(existing)
    inside, new = kept.get(CONTAINER), ours.get(CONTAINER)
    merged = {**kept, **ours}
    if isinstance(inside, Mapping) and isinstance(new, Mapping):
        merged[CONTAINER] = {**new, **{key: value for key, value in inside.items() if key not in new}}
    if kind_of(existing) == kind_of(ours) == "image":
        # On an image it says how a converter laid out what is around it, which the image does not change.
        _, old = container_of(existing) or ("", {})
        if _LAYOUT in old:
            (merged if new is None else merged[CONTAINER]).setdefault(_LAYOUT, old[_LAYOUT])
    return merged


def carried_text(attributes: Mapping[str, Json]) -> str:
    """What a DataArray carries of the group of its image: all attributes as JSON text.

    Text survives arithmetic, pickling and netCDF. "" for several images, and where labels have long tables.
    """
    if image_count(attributes) != 1:
        return ""
    _, about = beside(attributes, CONTAINER, "image-label")
    parts = about.values() if isinstance(about, Mapping) else ()
    if sum(len(part) for part in parts if isinstance(part, list | dict)) > _MOST_CARRIED:
        return ""
    try:
        return json.dumps(attributes)
    except (TypeError, ValueError, RecursionError):
        return ""
