"""A save without a window: what the dock widget and the writer both do. No Qt, no napari.

`preview`: form and layers -> the plan that is shown -> its model, which `model_multiscale_group` makes.
`write`: `create_multiscale_group` creates that model beside the target, fills it, and gives it its name.
"""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from napari_ome_ngff.errors import CancelledError, OmeNgffError, OptionError, TargetError
from napari_ome_ngff.plugin.save.form import Form, Request, resolve
from napari_ome_ngff.plugin.save.summary import size_of, space_notes, systems_notes
from napari_ome_ngff.storage.places.location import is_url
from napari_ome_ngff.writing.plan.existing import several_replace_nothing

if TYPE_CHECKING:
    from threading import Event

    from napari_ome_ngff.editing.crop import Extents
    from napari_ome_ngff.plugin.origin import LayerData
    from napari_ome_ngff.plugin.save.bundles import Guess
    from napari_ome_ngff.plugin.save.destinations import Destination
    from napari_ome_ngff.writing.pending import Writing
    from napari_ome_ngff.writing.plan.options import StorageOptions
    from napari_ome_ngff.writing.plan.write_plan import WritePlan
    from napari_ome_ngff.writing.save import Progress

REPORT_EVERY = 0.2
"""Seconds between two reports of progress: each one paints the window, which takes time from the save."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a save would do, or the reason why it cannot."""

    request: Request | None = None  # given if it can be written
    places: tuple[Destination, ...] = ()  # also if only the target is in the way
    plans: tuple[WritePlan, ...] = ()  # of each place
    problem: OmeNgffError | None = None
    taken: bool = False  # the problem is that something would be replaced without permission
    dropped: tuple[str, ...] = ()  # of the losses, what people are asked about before
    losses: tuple[str, ...] = ()  # what is not kept, or not as it is
    notes: tuple[str, ...] = ()  # those, and what is to be known of the save
    guessed: Mapping[str, Guess] = field(default_factory=dict)  # of layers, by their names
    hints: tuple[str, ...] = ()  # decided for the user, to be seen before writing: the names of axes


def preview(form: Form, layers: Sequence[LayerData], extents: Extents | None = None) -> Preview:
    """Plan what a form would write of these layers, in the order of the layer list.

    `extents` is the part of them that is written, by the names of axes; None: all. Reads no pixel, and looks
    at local targets only.
    """
    from napari_ome_ngff.plugin.names import image_name
    from napari_ome_ngff.plugin.origin import scene_system
    from napari_ome_ngff.plugin.save.bundles import (
        accepted_bundles,
        guesses_in_words,
        part_of_bundle,
        source_with_levels,
    )
    from napari_ome_ngff.plugin.save.destinations import (
        as_scene,
        destinations,
        plate_destination,
        typed_target,
    )
    from napari_ome_ngff.plugin.save.from_layers import SAVED_KINDS, file_version, from_layers, unsaved
    from napari_ome_ngff.plugin.save.plate_again import PlateAgain, plate_again

    result = Preview()
    try:
        if not layers:
            raise OptionError("There is nothing to write yet.", hint="Open an image, or select layers.")
        request = resolve(form, file_version(layers))
        request = replace(request, target=typed_target(form.target))
        saved = [layer for layer in layers if layer[2] in SAVED_KINDS]
        plate = plate_again(saved, request.storage.version, is_part=bool(extents) or request.from_level > 0)
        system = scene_system(saved) if request.makes_scenes else None
        named = image_name(request.target)
        bundles, messages = from_layers(layers, name=named, keep_scene=system is not None)
        flat = [plate] if isinstance(plate, str) and plate else []
        messages += plate.losses if isinstance(plate, PlateAgain) else flat
        losses = tuple(messages)
        dropped = (*unsaved(layers), *flat)
        result = replace(result, dropped=dropped, losses=losses, notes=losses)
        adjust = partial(source_with_levels, request=request)
        if isinstance(plate, PlateAgain):
            places: tuple[Destination, ...] = (plate_destination(request.target, plate, adjust),)
        else:
            bundles = tuple(part_of_bundle(bundle, extents or {}, request.from_level) for bundle in bundles)
            bundles = tuple(bundle.changed(adjust) for bundle in bundles)
            bundles, put_right = accepted_bundles(bundles, request.storage.version)
            messages += put_right
            places = destinations(bundles, request.target, request.together)
            places = tuple(as_scene(place, request.storage.version, system) for place in places)
        if places[0].action != "labels":  # those get the axes of the image that is there
            guessed = {name: guess for bundle in bundles for name, guess in bundle.guessed.items()}
            result = replace(result, guessed=guessed, hints=guesses_in_words(guessed))
        plans = tuple(plan(place, request.storage) for place in places)
        places = tuple(map(partial(modelled, options=request.storage), places, plans))
        notes = [*messages, *(place.note for place in places if place.note)]
        for place, planned in zip(places, plans, strict=True):
            notes += systems_notes(place.sources, planned.version) + space_notes(planned, place.path)
        result = replace(result, places=places, plans=plans, notes=tuple(notes))
        for place in places:
            _check_free(place, request)
    except OmeNgffError as error:
        taken = isinstance(error, _TakenError)
        return replace(result, problem=error, taken=taken, places=result.places if taken else ())
    return replace(result, request=request)


def modelled(place: Destination, planned: WritePlan, options: StorageOptions) -> Destination:
    """Model what would be created at one place: a save refuses to create anything else than what was shown.

    The model of label images on an image that is there is in their plan only: it depends on the image.
    """
    from napari_ome_ngff.writing.create import model_multiscale_group

    if place.action == "labels" or place.plate is not None:
        return place
    model = model_multiscale_group(sources=planned, options=options, store=place.path)
    return replace(place, model=model, planned=planned)


def plan(place: Destination, options: StorageOptions) -> WritePlan:
    """Plan what would be written to one place. No pixel is read; the target may be taken."""
    from napari_ome_ngff.writing.labels import plan_labels
    from napari_ome_ngff.writing.write import plan_hierarchy

    if place.action == "labels":
        return plan_labels(store=place.path, labels=place.sources, options=options)
    if place.plate is not None:
        return place.plate.plan(place.path, options, place.adjust)
    return plan_hierarchy(store=place.path, sources=place.sources, options=options)


class _TakenError(TargetError):
    """Something would be replaced without permission."""


def _check_free(place: Destination, request: Request) -> None:
    from napari_ome_ngff.plugin.save.destinations import sizes_in_words
    from napari_ome_ngff.writing.commit.checks import check_target
    from napari_ome_ngff.writing.commit.register_field import check_field

    if is_url(place.path):  # asked when writing starts: a window does not wait for a server at every key
        return
    if place.action != "labels":
        check_target(place.path, "", overwrite=place.asks)
        check_field(place.path, "", request.storage.version)
    if (
        place.action == "replace"
        and place.plate is None
        and any(path.partition("/")[0].isdigit() for path in place.sources)
    ):
        raise several_replace_nothing(place.path)
    if place.asks and not request.overwrite:
        summary = "There is an image at the target already."
        if place.action == "labels":
            summary = f"The image has a label image {place.replaced[0]!r} already."
        if exchange := sizes_in_words(place):
            summary += f" It would be replaced, {exchange}."
        raise _TakenError(
            summary,
            where=place.path,
            hint='Choose another name, or tick "Replace what is there" in the save panel.',
        )


def _begin(place: Destination, request: Request) -> Writing:
    """The save of one place as it was asked for: all of it, or its metadata alone."""
    if not request.metadata_only:
        return start_writing(place, request.storage, overwrite=request.overwrite, verify=request.verify)
    if (alone := metadata_alone(place, request)) is None:
        raise TargetError("Its pixels changed meanwhile.", where=place.path, hint="Save it again.")
    return alone[0]


def metadata_alone(place: Destination, request: Request) -> tuple[Writing, int] | None:
    """The save of the metadata of one place, and its bytes; None if some pixels are not in place."""
    from napari_ome_ngff.editing.only_metadata import only_metadata
    from napari_ome_ngff.plugin.save.destinations import as_they_are

    whole = start_writing(as_they_are(place, request.levels), request.storage, overwrite=True)
    with closing(whole):
        return only_metadata(whole)


def start_writing(
    place: Destination, options: StorageOptions, *, overwrite: bool = False, verify: bool = False
) -> Writing:
    """Check one place, and return its save; without `overwrite` layers replace their own label images."""
    from napari_ome_ngff.plugin.save.destinations import with_remote_state
    from napari_ome_ngff.writing.create import create_multiscale_group
    from napari_ome_ngff.writing.labels import write_labels

    place = with_remote_state(place)
    if place.action == "labels":
        return write_labels(
            store=place.path,
            labels=place.sources,
            options=options,
            overwrite=overwrite or not place.asks,
            verify=verify,
        )
    if place.plate is not None:
        return place.plate.start(place.path, options, place.adjust, overwrite=overwrite, verify=verify)
    return create_multiscale_group(
        store=place.path,
        model=place.model,
        pixels=place.planned or place.sources,
        options=options,
        overwrite=overwrite,
        verify=verify,
    )


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a save ended."""

    paths: tuple[str, ...] = ()  # of the stores that are complete
    folders: tuple[str, ...] = ()  # of what is new: stores, or label images in them; none if metadata only
    size: int = 0  # bytes of what was written, as far as it is on this computer
    error: OmeNgffError | None = None
    cancelled: bool = False


def write(
    request: Request, places: Sequence[Destination], cancelled: Event
) -> Generator[Progress, None, Outcome]:
    """Write to all places in turn, and yield progress. Never raises: the outcome says how it ended.

    Setting `cancelled`, from any thread, ends it at the next block; nothing is left of an incomplete place.
    Superqt's worker neither finishes nor reports when a generator raises a RuntimeError.
    """
    with _short_collections():
        return (yield from _write(request, places, cancelled))


@contextmanager
def _short_collections() -> Iterator[None]:
    """Keep the garbage collector off the objects that exist already, unless somebody does so.

    napari has some 300,000: whenever it went through all of them, the window stood still for 0.15 s.
    """
    if gc.get_freeze_count():
        yield
        return
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
        with ExitStack() as stack:
            writings = []
            for place in places:  # what can be refused is refused here, before the first byte
                writings.append(stack.enter_context(closing(_begin(place, request))))
            for number, (place, writing) in enumerate(zip(places, writings, strict=True), start=1):
                which = f"{number} of {len(places)}: " if len(places) > 1 else ""
                reported = 0.0
                for progress in writing:
                    if cancelled.is_set():
                        writing.cancel()  # the next step raises CancelledError, unless everything is in place
                    elif time.monotonic() - reported >= REPORT_EVERY:
                        yield replace(progress, message=which + progress.message)
                        reported = time.monotonic()
                folders = () if request.metadata_only else place.folders
                size = progress.bytes_total if request.metadata_only else sum(map(size_of, folders))
                outcome = replace(
                    outcome,
                    paths=(*outcome.paths, place.path),
                    folders=(*outcome.folders, *folders),
                    size=outcome.size + size,
                )
    except CancelledError:
        return replace(outcome, cancelled=True)
    except OmeNgffError as error:
        return replace(outcome, error=error)
    except Exception as error:  # noqa: BLE001 - a defect: the user is told, it is not lost in a thread
        _log.exception("writing %s failed", request.target)
        failure = OmeNgffError(
            f"Saving failed: {error}", where=request.target, found=f"{type(error).__name__}: {error}"
        )
        failure.__cause__ = error
        return replace(outcome, error=failure)
    return outcome
