"""The place that is proposed for layers: free, valid, and called as their image."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_ome_ngff.plugin.names import image_name
from napari_ome_ngff.plugin.origin import Origin, origin_of, own_name
from napari_ome_ngff.plugin.save.form import SUFFIXES
from napari_ome_ngff.plugin.save.from_layers import SAVED_KINDS
from napari_ome_ngff.storage.places.folders import node_kind
from napari_ome_ngff.storage.places.location import is_url, is_windows_name

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_ome_ngff.plugin.save.destinations import Destination

_LONGEST = 200
"""Bytes of a proposed name: file systems take 255, and a number may follow."""


def new_place(layers: Sequence[Layer], every: Sequence[Layer], folder: str) -> str:
    """A new place for layers, beside what they were opened from, else in `folder`.

    Never inside a Zarr hierarchy, nor where nobody may write. `every`: the layers of the viewer, which say
    whether these are all of their image.
    """
    layers = [layer for layer in layers if _kind(layer) in SAVED_KINDS] or layers
    places = [place for layer in layers if (place := _opened_from(layer)) and not is_url(place)]
    folders = [os.path.dirname(outermost(place)) for place in places]
    near = next((each for each in folders if os.access(each, os.W_OK)), folder)
    taken = os.listdir(near) if os.path.isdir(near) else ()
    return propose_target(_image_name(layers, every), near, taken)


def propose_in(field: Any, last: str, layers: Sequence[Layer], every: Sequence[Layer]) -> str:
    """Propose a place in a field, unless the user typed one, and return what was proposed `last`."""
    if not layers or field.value != last:
        return last
    place = new_place(layers, every, str(Path.home()))
    with field.changed.blocked():
        field.value = place
    return place


def outermost(place: str) -> str:
    """The outermost file or Zarr hierarchy that a path lies in."""
    path = Path(place)
    inside = [each for each in (path, *path.parents) if os.path.isfile(each) or node_kind(each) is not None]
    return str(inside[-1] if inside else path)


def propose_target(name: str, folder: str, taken: Iterable[str]) -> str:
    """Path for a new image of this name in a folder, unlike the names that are taken there."""
    stem = re.sub(r'[\\/:*?"<>|\x00-\x1f]+', "", name).strip(" .")
    for suffix in SUFFIXES:
        stem = stem.removesuffix(suffix)
    stem = stem.encode()[:_LONGEST].decode(errors="ignore").strip(" .") or "image"
    stem = stem if is_windows_name(stem) else f"image_{stem}"
    used = frozenset(each.casefold() for each in taken)
    names = (f"{stem}{'' if n == 1 else f'-{n}'}.ome.zarr" for n in range(1, len(used) + 2))
    return os.path.join(folder, next(each for each in names if each.casefold() not in used))


def places_in_words(places: Sequence[Destination], *, taken: bool) -> str:
    """Where a save goes: ``will be written to /data/cells.ome.zarr``; `taken`: if it may."""
    if not places:
        return ""
    first = places[0]
    does = {"new": "be written to", "replace": "replace", "labels": "be added to"}[first.action]
    more = f" and {len(places) - 1} more beside it" if len(places) > 1 else ""
    path = re.sub(r"([/_.\\-])", "\\1\u200b", first.path)  # lines break where a space without width is
    return f"would {does} {path}{more}, if you allow it:" if taken else f"will {does} {path}{more}"


def _image_name(layers: Sequence[Layer], every: Sequence[Layer]) -> str:
    """What to call the image that layers make: as their file, as what their names share, else ``image``.

    A part of a file, such as a field of a plate, has its path there in its name, and one layer out of several
    of an image its own name.
    """
    origins = [_origin(layer) for layer in layers]
    names = [_own_name(layer, origin) for layer, origin in zip(layers, origins, strict=True)]
    images = {_image(layer) for layer in layers}
    if len(images) == 1 and (image := images.pop()):
        of_image = [layer for layer in every if _image(layer) == image]
        alone = names if len(layers) == 1 < len(of_image) else []
        return "_".join([_name_of_place(image, origins[0]), *alone])
    stores = {_opened_from(layer) for layer in layers}
    if len(stores) == 1 and (store := stores.pop()):
        return _name_of_place(store, None)
    pictures = [name for layer, name in zip(layers, names, strict=True) if _kind(layer) == "image"]
    return _shared(pictures or names)


def _name_of_place(place: str, origin: Origin | None) -> str:
    if place.startswith("memory:"):
        return (origin and origin["multiscale"].name) or "image"
    if is_url(place):
        return image_name(place)
    place, _, name = place.partition("#")
    outer = outermost(place)
    inner = Path(os.path.relpath(place, outer)).parts if outer != place else ()
    stem = image_name(outer)
    stem = os.path.splitext(stem)[0] if os.path.isfile(outer) else stem
    return "_".join([stem, *(part for part in (*inner, name) if part and part != "labels")])


def _shared(names: Sequence[str]) -> str:
    """What names begin with, if that is a word or more: ``cells`` of ``cells: DAPI`` and ``cells: GFP``."""
    if len(set(names)) == 1:
        return names[0]
    columns = takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    start = "".join(letters[0] for letters in columns)
    words = re.match(r"(.{2,})[\W_]", start + (" " if start in names else ""))
    return words[1].strip(" :_-.,([") if words else "image"


def _kind(layer: Layer) -> str:
    return str(layer.as_layer_data_tuple()[2])


def _origin(layer: Layer) -> Origin | None:
    return origin_of({"metadata": layer.metadata})


def _own_name(layer: Layer, origin: Origin | None) -> str:
    return own_name(layer.name, origin).removeprefix(origin["prefix"] if origin else "")


def _opened_from(layer: Layer) -> str:
    """What a layer was opened from, by us or by others, else ""."""
    origin = _origin(layer)
    return layer.source.path or "" if origin is None else origin["store"]


def _image(layer: Layer) -> str:
    """The image of a layer: label images that were opened alone are images themselves."""
    origin = _origin(layer)
    return layer.source.path or "" if origin is None else origin["image"]
