"""npe2 writer: napari's layers into OME-NGFF images."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

from napari_ome_ngff.errors import TargetError
from napari_ome_ngff.plugin import notify
from napari_ome_ngff.plugin.origin import LayerData

if TYPE_CHECKING:
    from napari_ome_ngff.plugin.bundles import Together
    from napari_ome_ngff.plugin.destinations import Destination
    from napari_ome_ngff.pyramid.write import Progress

DEFAULT_VERSION = "0.5"


def write_layers(
    path: str, layer_data: Sequence[LayerData], *, together: Together = "collection", overwrite: bool = False
) -> list[str]:
    """Save layers as OME-NGFF images with their label images. All or nothing.

    Image layers that belong together become the channels of one image, Labels layers its label images; other
    layers are named to the user as not saved. Layers that were opened from files of one version are written
    in that version. Labels layers alone that are saved to an image that is there become label images of it:
    the image itself is not touched.

    Parameters
    ----------
    path
        Where to; ``.ome.zarr`` is added to a name without a Zarr suffix.
    layer_data
        Data, attributes and type of each layer, bottom first.
    together
        What becomes of images that do not belong together: ``"collection"``, all in one store, or
        ``"separate"``, one store each, beside each other.
    overwrite
        Whether an image that is there may be replaced, or a label image that the layers were not opened from.

    Returns
    -------
    list of str
        The paths that were written.

    Raises
    ------
    TargetError
        If something is there already, or the place lies inside an image.
    UnsupportedError, MetadataError
        If layers cannot be said in OME-NGFF: they are named, with what to do.
    CancelledError
        If the user cancelled; nothing was left behind.
    OmeNgffError
        If the pixels could not be read or written; nothing was left behind.
    """
    from napari_ome_ngff.plugin.destinations import destinations, place_of, write_destinations
    from napari_ome_ngff.plugin.from_layers import file_version, from_layers
    from napari_ome_ngff.plugin.progress import run_steps
    from napari_ome_ngff.plugin.reader import image_name

    target = place_of(path)
    bundles, messages = from_layers(layer_data, name=image_name(target))
    places = destinations(bundles, target, together)
    for place in places:
        _refuse_what_is_shown(place)
    sizes: list[int] = []

    def steps() -> Generator[Progress, None, None]:
        yield from write_destinations(
            places, version=file_version(layer_data) or DEFAULT_VERSION, overwrite=overwrite
        )
        # In the worker: there may be many files.
        sizes.extend(sum(map(_size, place.folders)) for place in places)

    run_steps(steps(), f"Saving {os.path.basename(target)}")
    messages += [place.note for place in places if place.note]
    if messages:
        notify.warn("\n".join(messages))
    for place, size in zip(places, sizes, strict=True):
        notify.inform(f"Saved {place.path} ({_amount(size)}).")
    return [place.path for place in places]


def _refuse_what_is_shown(place: Destination) -> None:
    """Refuse to replace an image that the layers themselves are read from, in words that say why."""
    if place.action != "replace":
        return
    from napari_ome_ngff.storage.location import is_within
    from napari_ome_ngff.storage.origins import lazy_locations

    for source in place.sources.values():
        for array in [source.image] if source.image is not None else list((source.arrays or {}).values()):
            if any(is_within(location, place.path) for location in lazy_locations(array)):
                raise TargetError(
                    "These layers are shown from that very place, which saving would take away.",
                    where=place.path,
                    hint="Save under another name; Labels layers alone are added to the image that is there.",
                )


def _size(path: str) -> int:
    return sum(
        os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(path) for name in names
    )


def _amount(size: int) -> str:
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{max(1, round(size / 1e3))} kB"
