"""A save that changes no pixel: its metadata alone, or a full copy? The user is asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_ome_ngff.errors import OmeNgffError
from napari_ome_ngff.plugin.edit.correct import remember_file
from napari_ome_ngff.plugin.save.destinations import Destination
from napari_ome_ngff.plugin.save.form import Request
from napari_ome_ngff.plugin.save.progress import alive, can_ask, choose
from napari_ome_ngff.plugin.save.request import Outcome, Preview, metadata_alone
from napari_ome_ngff.plugin.save.summary import amount, size_of

if TYPE_CHECKING:
    from napari.layers import Layer

METADATA, COPY = "Save metadata", "Full copy"


def metadata_nbytes(planned: Preview) -> int | None:
    """Bytes of metadata if nothing else changes; None if more does, or none, or nobody can be asked."""
    request, places = planned.request, planned.places
    if request is None or not can_ask() or any(place.action == "new" for place in places):
        return None
    return alive(lambda: _nbytes(places, request)) or None


def _nbytes(places: Sequence[Destination], request: Request) -> int | None:
    size = 0
    for place in places:
        try:
            alone = metadata_alone(place, request)
        except OmeNgffError:  # the save itself says why
            return None
        if alone is None:
            return None
        alone[0].close()
        size += alone[1]
    return size


def metadata_or_copy(planned: Preview, nbytes: int | None) -> Request | None:
    """Ask, if there is anything to choose; None if Cancel was pressed."""
    request = planned.request
    if request is None or nbytes is None:
        return request
    copy = alive(lambda: sum(size_of(folder) for place in planned.places for folder in place.folders))
    details = [
        *(place.path for place in planned.places),
        "No pixel was changed since the image was opened from there. Names, colours, contrast, positions and "
        "looks are written into its metadata; its pixels are not touched.",
    ]
    anew = f"about {amount(copy)}" if copy else "all pixels"
    details.append(f"A full copy writes {anew}, and then deletes what is there.")
    question = f"Save {amount(nbytes)} of metadata, or a full copy?"
    choice = choose(question, "\n".join(details), [METADATA, COPY])
    return None if choice is None else replace(request, metadata_only=choice == METADATA)


def remember_saved(layers: Iterable[Layer], outcome: Outcome) -> None:
    """Let layers know what the files say of which the metadata alone were written."""
    for path in outcome.paths if not outcome.folders else ():
        remember_file(list(layers), path)
