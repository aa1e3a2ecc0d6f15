"""What a save would do, and doing it, without a window: layers and form -> plan, or progress and outcome.

Pure, without Qt and napari: whatever the dock widget and the writer decide is decided here.
"""

from __future__ import annotations

import gc
import logging
import os
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_ome_ngff.errors import OmeNgffError, OptionError, TargetError
from napari_ome_ngff.metadata.systems.rotated import without_views
from napari_ome_ngff.metadata.systems.view import shown_system
from napari_ome_ngff.metadata.versions import check_version
from napari_ome_ngff.plugin.save.form import Form, Request, codec, resolve
from napari_ome_ngff.plugin.save.summary import amount
from napari_ome_ngff.storage.places.location import is_url
from napari_ome_ngff.writing.plan.existing import several_replace_nothing

if TYPE_CHECKING:
    from threading import Event

    from napari_ome_ngff.plugin.origin import LayerData
    from napari_ome_ngff.plugin.save.destinations import Destination
    from napari_ome_ngff.writing.plan.write_plan import MultiscaleSource, WritePlan
    from napari_ome_ngff.writing.save import Progress, Writing

REPORT_EVERY = 0.2
"""Seconds between two reports of progress: each one paints the window, which takes time from the save."""


_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a save would do, or the reason why it cannot.

    Parameters
    ----------
    request
        Given if it can be written.
    places
        What would be written, and where. It may be there all the same, if only the target is in the way.
    plans
        The plan of each place.
    problem
        Why it cannot be written, otherwise.
    taken
        Whether the problem is that something would be replaced, which nobody has asked for.
    notes
        What the user should know either way, such as layers that cannot be stored.
    hints
        What is decided for the user, to be seen before writing: the names of axes.
    """

    request: Request | None = None
    places: tuple[Destination, ...] = ()
    plans: tuple[WritePlan, ...] = ()
    problem: OmeNgffError | None = None
    taken: bool = False
    notes: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()


def preview(form: Form, layers: Sequence[LayerData]) -> Preview:
    """Plan what a form would write of these layers. Reads no pixel, and looks at a local target only.

    Parameters
    ----------
    form
        What was chosen.
    layers
        ``(data, attributes, type)`` of each layer, in the order of the layer list.
    """
    from napari_ome_ngff.plugin.names import image_name
    from napari_ome_ngff.plugin.save.destinations import destinations, place_of
    from napari_ome_ngff.plugin.save.from_layers import SAVED_KINDS, file_version, from_layers
    from napari_ome_ngff.plugin.save.layer_image import unnamed_axes

    found = Preview()
    try:
        if not layers:
            raise OptionError("There is nothing to write yet.", hint="Open an image, or select layers.")
        request = resolve(form, file_version(layers))
        request = replace(request, target=place_of(form.target))
        bundles, messages = from_layers(layers, name=image_name(request.target))
        hints = unnamed_axes([layer for layer in layers if layer[2] in SAVED_KINDS])
        found = replace(found, notes=tuple(messages), hints=tuple(hints))
        places = destinations(bundles, request.target, request.together)
        places = tuple(replace(place, sources=with_options(request, place.sources)) for place in places)
        notes = (*messages, *(place.note for place in places if place.note))
        plans = tuple(plan_of(request, place) for place in places)
        notes += tuple(note for pair in zip(places, plans, strict=True) for note in _systems_notes(*pair))
        notes += tuple(filter(None, map(_space_note, places, plans)))
        found = replace(found, places=places, plans=plans, notes=notes)
        for place in places:
            _check_free(place, request)
    except OmeNgffError as error:
        return replace(found, problem=error, taken=isinstance(error, _TakenError))
    return replace(found, request=request)


def plan_of(request: Request, place: Destination) -> WritePlan:
    """Plan what would be written, without reading a pixel or touching the target.

    Raises
    ------
    OmeNgffError
        If it cannot be written like this; the message says why.
    """
    from napari_ome_ngff.plugin.save.destinations import plan_destination

    return plan_destination(
        place,
        version=request.version,
        chunks=request.chunks,
        shards=request.shards,
        compressor=codec(request.compressor),
    )


def _systems_notes(place: Destination, plan: WritePlan) -> list[str]:
    """Say which images lie in coordinate systems that the version to be written does not have."""
    if check_version(plan.version).affines:
        return []
    left = {
        source.name: [name for name in names if name != shown_system(said)]
        for source in place.sources.values()
        if (said := source.multiscale) is not None and (names := without_views(said)[1])
    }
    return [
        f"{image!r} is saved in one coordinate system, not in {', '.join(map(repr, names))}: "
        "only OME-NGFF 0.6 has several."
        for image, names in left.items()
        if names
    ]


def _space_note(place: Destination, plan: WritePlan) -> str:
    from napari_ome_ngff.writing.plan.disk_space import space_for

    needed, free = space_for(plan, place.path)
    if free is None or needed <= free:
        return ""
    return (
        f"It may not fit: {amount(free)} are free, {amount(needed)} are needed if nothing can be compressed."
    )


def with_options(request: Request, sources: Mapping[str, MultiscaleSource]) -> dict[str, MultiscaleSource]:
    """Give the images the request's method and number of levels; levels that exist are kept without one."""
    return {path: _with_options(request, source) for path, source in sources.items()}


def _with_options(request: Request, source: MultiscaleSource) -> MultiscaleSource:
    if source.arrays is not None and request.levels is None:
        return source
    finest = source.image if source.arrays is None else next(iter(source.arrays.values()))
    return replace(
        source,
        image=finest,
        arrays=None,
        method=request.image_method if source.label_image is None else request.label_method,
        levels=request.levels,
        # Factors are given where the image beside a label image has levels that are kept.
        factors=source.factors if request.levels is None else None,
    )


class _TakenError(TargetError):
    """Something would be replaced that nobody has asked to replace."""


def _check_free(place: Destination, request: Request) -> None:
    from napari_ome_ngff.writing.commit.checks import check_target

    if is_url(place.path):  # asked when writing starts: a window does not wait for a server at every key
        return
    if place.action != "labels":
        check_target(place.path, "", overwrite=place.asks)
    if place.action == "replace" and any(path.partition("/")[0].isdigit() for path in place.sources):
        raise several_replace_nothing(place.path)
    if place.asks and not request.overwrite:
        raise _TakenError(
            f"The image has a label image {place.replaced[0]!r} already."
            if place.action == "labels"
            else "There is an image at the target already.",
            where=place.path,
            hint='Choose another name, or tick "Replace what is there" in the dock widget.',
        )


def save(request: Request, place: Destination) -> Writing:
    """Make the save of what goes to one place: it yields progress, and closed early it leaves nothing.

    Raises
    ------
    OmeNgffError
        If it cannot be written; at once if that is known before.
    """
    from napari_ome_ngff.plugin.save.destinations import write_destination

    return write_destination(
        place,
        version=request.version,
        chunks=request.chunks,
        shards=request.shards,
        compressor=codec(request.compressor),
        overwrite=request.overwrite,
        verify=request.verify,
    )


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How writing ended.

    Parameters
    ----------
    paths
        The stores that were written: all of them, unless there is an error or it was cancelled.
    folders
        What is new: the stores, or the label images in them that were added or replaced.
    size
        Bytes of them, as far as they are on this computer.
    error
        What ended it early.
    cancelled
        Whether the user did.
    """

    paths: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    size: int = 0
    error: OmeNgffError | None = None
    cancelled: bool = False


def write(
    request: Request, places: Sequence[Destination], cancelled: Event
) -> Generator[Progress, None, Outcome]:
    """Write to all places in turn, and yield progress. Never raises: the outcome says how it ended.

    A worker that runs this must learn of every ending, and superqt's neither finishes nor reports when a
    generator raises a RuntimeError. Cancelling ends the generator here, in the worker's thread, because
    taking back what was written takes time that the window must not wait for.

    Parameters
    ----------
    request, places
        Of a :class:`Preview`.
    cancelled
        Set from any thread to stop at the next block; of a place that is not complete, nothing is left.
    """
    with _short_collections():
        return (yield from _write(request, places, cancelled))


@contextmanager
def _short_collections() -> Iterator[None]:
    """Spare Python's garbage collector all objects that are there already.

    napari has some 300,000. Whenever a save has made enough of its own, the collector would go through all of
    them, and no thread runs meanwhile: the window stood still for 0.15 s.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _write(
    request: Request, places: Sequence[Destination], cancelled: Event
) -> Generator[Progress, None, Outcome]:
    outcome = Outcome()
    try:
        with ExitStack() as stack:  # whatever can be refused is refused here, before the first is begun
            saves = [stack.enter_context(closing(save(request, place))) for place in places]
            for number, (place, steps) in enumerate(zip(places, saves, strict=True), start=1):
                which = f"{number} of {len(places)}: " if len(places) > 1 else ""
                shown = 0.0
                for progress in steps:
                    # With the last step everything is in its place: then it is too late to cancel.
                    if cancelled.is_set() and progress.blocks_done < progress.blocks_total:
                        return replace(outcome, cancelled=True)
                    if time.monotonic() - shown >= REPORT_EVERY:
                        yield replace(progress, message=which + progress.message)
                        shown = time.monotonic()
                size = outcome.size + sum(map(size_of, place.folders))
                paths, folders = (*outcome.paths, place.path), (*outcome.folders, *place.folders)
                outcome = replace(outcome, paths=paths, folders=folders, size=size)
    except OmeNgffError as error:
        return replace(outcome, error=error)
    except Exception as error:  # noqa: BLE001 - a defect: the user is told, it is not lost in a thread
        _log.exception("writing %s failed", request.target)
        found = f"{type(error).__name__}: {error}"
        failure = OmeNgffError(f"Saving failed: {error}", where=request.target, found=found)
        failure.__cause__ = error
        return replace(outcome, error=failure)
    return outcome


def size_of(target: str) -> int:
    """Bytes of a folder with all that is in it, or of a file; 0 for what is not on this computer.

    Examples
    --------
    >>> size_of("s3://bucket/a.zarr")
    0
    """
    if os.path.isfile(target):
        return os.path.getsize(target)
    return sum(
        os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(target) for name in names
    )
