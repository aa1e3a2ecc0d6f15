"""npe2 writer: napari's layers into one OME-NGFF image."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping, Sequence
from typing import TYPE_CHECKING

from napari_ome_ngff.errors import TargetError
from napari_ome_ngff.plugin import notify
from napari_ome_ngff.plugin.origin import LayerData
from napari_ome_ngff.plugin.target import target_path

if TYPE_CHECKING:
    from napari_ome_ngff.pyramid.write import MultiscaleSource, Progress

DEFAULT_VERSION = "0.5"


def write_layers(path: str, layer_data: Sequence[LayerData]) -> list[str]:
    """Save layers as an OME-NGFF image with its label images. All or nothing.

    Image layers become the channels of one image, Labels layers its label images; other layers are named to
    the user as not saved. Layers that were opened from one file are written in that file's version.

    Parameters
    ----------
    path
        Where to; ``.ome.zarr`` is added to a name without a Zarr suffix. Nothing may be there yet.
    layer_data
        Data, attributes and type of each layer, bottom first.

    Returns
    -------
    list of str
        The path of the image.

    Raises
    ------
    TargetError
        If something is there already, or the place lies inside an image.
    UnsupportedError, MetadataError
        If layers do not belong together or cannot be said in OME-NGFF: they are named, with what to do.
    CancelledError
        If the user cancelled; nothing was left behind.
    OmeNgffError
        If the pixels could not be read or written; nothing was left behind.
    """
    from napari_ome_ngff.plugin.from_layers import file_version, from_layers, targets_of
    from napari_ome_ngff.plugin.progress import run_steps
    from napari_ome_ngff.plugin.reader import image_name
    from napari_ome_ngff.pyramid.write import write_hierarchy

    target = target_path(path)
    bundles, messages = from_layers(layer_data, name=image_name(target))
    sources = targets_of(bundles, target)[target]
    _refuse_what_is_shown(target, sources)
    sizes: list[int] = []

    def steps() -> Generator[Progress, None, None]:
        yield from write_hierarchy(
            store=target,
            path="",
            sources=sources,
            ngff_version=file_version(layer_data) or DEFAULT_VERSION,
        )
        sizes.append(_size(target))  # in the worker: there may be many files

    run_steps(steps(), f"Saving {os.path.basename(target)}")
    if messages:
        notify.warn("\n".join(messages))
    notify.inform(f"Saved {target} ({_amount(sum(sizes))}).")
    return [target]


def _refuse_what_is_shown(target: str, sources: Mapping[str, MultiscaleSource]) -> None:
    """Refuse to write where the layers themselves are read from, in words that say why."""
    if not os.path.lexists(target):
        return
    from napari_ome_ngff.storage.location import is_within
    from napari_ome_ngff.storage.origins import lazy_locations

    for source in sources.values():
        for array in [source.image] if source.image is not None else list((source.arrays or {}).values()):
            if any(is_within(location, target) for location in lazy_locations(array)):
                raise TargetError(
                    "These layers are shown from that very place, which saving would take away.",
                    where=target,
                    hint="Save under another name.",
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
