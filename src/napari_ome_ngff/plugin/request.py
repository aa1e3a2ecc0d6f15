"""What the dock widget asks for, without the widget: form -> Request -> plan, or progress and outcome.

Pure, without Qt and napari: everything that the widget decides is decided here and tested without a window.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from napari_ome_ngff.errors import OmeNgffError, OptionError, TargetError
from napari_ome_ngff.plugin.target import target_path

if TYPE_CHECKING:
    from threading import Event

    from napari_ome_ngff.plugin.origin import LayerData
    from napari_ome_ngff.pyramid.model import WritePlan
    from napari_ome_ngff.pyramid.write import MultiscaleSource, Progress

After = Literal["keep", "add", "swap"]
"""What becomes of the layers when the image is written: left alone, joined by or exchanged for the result."""

COMPRESSORS = ("auto", "zstd", "gzip", "none")
IMAGE_METHODS = ("mean", "nearest")
LABEL_METHODS = ("mode", "nearest")
REPORT_EVERY = 0.05
"""Seconds between two reports of progress: a window that is told of every small block does nothing else."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Form:
    """The fields of the widget as they stand, before anything is checked.

    Parameters
    ----------
    target
        Path as typed.
    version
        OME-NGFF version.
    image_method, label_method
        How each level is made from the one above it, for images and for label images.
    levels
        Total number of levels, or ``"auto"``.
    chunks
        ``"auto"``, or sizes along the last axes: ``"16, 256, 256"``.
    shards
        ``"none"`` or ``"auto"``.
    compressor
        One of ``"auto"``, ``"zstd"``, ``"gzip"``, ``"none"``.
    overwrite
        Whether an image at the target may be replaced.
    after
        What becomes of the layers afterwards.
    """

    target: str
    version: str = "0.5"
    image_method: str = "mean"
    label_method: str = "mode"
    levels: str = "auto"
    chunks: str = "auto"
    shards: str = "none"
    compressor: str = "auto"
    overwrite: bool = False
    after: str = "keep"


@dataclass(frozen=True, kw_only=True)
class Request:
    """A form that was checked: everything that writing needs to know besides the images themselves."""

    target: str
    version: str
    image_method: str
    label_method: str
    levels: int | None
    chunks: Literal["auto"] | tuple[int, ...]
    shards: Literal["auto"] | None
    compressor: str
    overwrite: bool
    after: After


def resolve(form: Form) -> Request:
    """Check the form, field by field, without touching a disk.

    Raises
    ------
    OptionError
        If a field cannot be understood; the message names the field.

    Examples
    --------
    >>> resolve(Form(target="/data/cells", chunks="16, 256, 256")).target
    '/data/cells.ome.zarr'
    >>> resolve(Form(target="/data/cells", levels="3")).levels
    3
    """
    shards = _choice("Shards", form.shards, ("none", "auto"))
    if shards == "auto" and form.version == "0.4":
        raise OptionError(
            "OME-NGFF 0.4 has no shards.",
            expected="Zarr v3, which came with version 0.5",
            hint="Choose 0.5 or later, or no shards.",
        )
    after = _choice("When done", form.after, ("keep", "add", "swap"))
    return Request(
        target=target_path(form.target),
        version=_choice("Version", form.version, ("0.4", "0.5", "0.6")),
        image_method=_choice("Method for images", form.image_method, IMAGE_METHODS),
        label_method=_choice("Method for labels", form.label_method, LABEL_METHODS),
        levels=_levels(form.levels),
        chunks=_chunks(form.chunks),
        shards="auto" if shards == "auto" else None,
        compressor=_choice("Compression", form.compressor, COMPRESSORS),
        overwrite=form.overwrite,
        after="swap" if after == "swap" else "add" if after == "add" else "keep",
    )


def _choice(field: str, value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise OptionError(f"{field}: {value!r} is not a choice.", expected=", ".join(choices))
    return value


def _levels(text: str) -> int | None:
    text = text.strip().lower()
    if text in ("", "auto"):
        return None
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 32:
        raise OptionError(
            f"Levels: {text!r} is not a number of levels.", expected="auto, or a number from 1 to 32"
        )
    return int(text)


def _chunks(text: str) -> Literal["auto"] | tuple[int, ...]:
    text = text.strip().lower()
    if text in ("", "auto"):
        return "auto"
    words = [word for word in re.split(r"[\s,;x×()\[\]]+", text) if word]
    if not words or not all(word.isascii() and word.isdigit() and int(word) > 0 for word in words):
        raise OptionError(
            f"Chunks: {text!r} is not a list of sizes.",
            expected="auto, or whole numbers for the last axes, such as 16, 256, 256",
        )
    return tuple(int(word) for word in words)


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


def codec(name: str) -> Any:
    """Make the numcodecs codec of a compressor's name; ``"auto"`` is left to the library, and None is none.

    Raises
    ------
    OptionError
        If there is no such compressor.

    Examples
    --------
    >>> codec("gzip").level
    5
    """
    import numcodecs

    _choice("Compression", name, COMPRESSORS)
    made: dict[str, Any] = {
        "auto": lambda: "auto",
        "zstd": lambda: numcodecs.Zstd(level=3),
        "gzip": lambda: numcodecs.GZip(level=5),
        "none": lambda: None,
    }
    return made[name]()


def plan_of(request: Request, sources: Mapping[str, MultiscaleSource]) -> WritePlan:
    """Plan what would be written, without reading a pixel or touching the target.

    Raises
    ------
    OmeNgffError
        If it cannot be written like this; the message says why.
    """
    from napari_ome_ngff.pyramid.write import plan_hierarchy

    return plan_hierarchy(
        sources=with_options(request, sources),
        ngff_version=request.version,
        chunks=request.chunks,
        shards=request.shards,
        compressor=codec(request.compressor),
    )


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What the widget shows before writing: a plan, or the reason why there is none.

    Parameters
    ----------
    plan
        What would be written.
    request, sources
        Given if it can be written.
    problem
        Why not, otherwise. A plan may be there all the same, if only the target is in the way.
    notes
        What the user should know either way, such as layers that cannot be stored.
    """

    request: Request | None = None
    sources: Mapping[str, MultiscaleSource] = field(default_factory=dict)
    plan: WritePlan | None = None
    problem: OmeNgffError | None = None
    notes: tuple[str, ...] = ()


def preview(form: Form, layers: Sequence[LayerData]) -> Preview:
    """Plan what a form would write of these layers. Reads no pixel, and looks at the target but a few times.

    Parameters
    ----------
    form
        The fields as they stand.
    layers
        ``(data, attributes, type)`` of each layer, in the order of the layer list.
    """
    from napari_ome_ngff.plugin.from_layers import from_layers, targets_of
    from napari_ome_ngff.plugin.reader import image_name

    notes: tuple[str, ...] = ()
    planned: WritePlan | None = None
    try:
        if not layers:
            raise OptionError("There is nothing to write yet.", hint="Open an image, or select layers.")
        request = resolve(form)
        bundles, messages = from_layers(layers, name=image_name(request.target))
        sources = targets_of(bundles, request.target)[request.target]
        notes = tuple(messages)
        planned = plan_of(request, sources)
        _check_free(request)
    except OmeNgffError as error:
        return Preview(plan=planned, problem=error, notes=notes)
    return Preview(request=request, sources=sources, plan=planned, notes=notes)


def _check_free(request: Request) -> None:
    from napari_ome_ngff.storage.replace import check_target

    if not request.overwrite and os.path.lexists(request.target):
        raise TargetError(
            "There is something at the target already.",
            where=request.target,
            hint='Choose another name, or tick "Replace an image that is there".',
        )
    check_target(request.target, "", overwrite=request.overwrite)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How writing ended: with a path, with an error, or with neither if it was cancelled."""

    path: str | None = None
    error: OmeNgffError | None = None


def write(
    request: Request, sources: Mapping[str, MultiscaleSource], cancelled: Event
) -> Generator[Progress, None, Outcome]:
    """Write the images, and yield progress. Never raises: whatever goes wrong is in the outcome.

    A worker that runs this must learn of every ending, and superqt's neither finishes nor reports when a
    generator raises a RuntimeError. Cancelling ends the generator here, in the worker's thread, because
    taking back what was written takes time that the window must not wait for.

    Parameters
    ----------
    request, sources
        What to write.
    cancelled
        Set from any thread to stop at the next block; nothing is left behind.
    """
    from napari_ome_ngff.pyramid.write import write_hierarchy

    try:
        steps = write_hierarchy(
            store=request.target,
            path="",
            sources=with_options(request, sources),
            ngff_version=request.version,
            chunks=request.chunks,
            shards=request.shards,
            compressor=codec(request.compressor),
            overwrite=request.overwrite,
        )
        with closing(steps):
            shown = 0.0
            for progress in steps:
                published = progress.blocks_done == progress.blocks_total
                if cancelled.is_set() and not published:
                    return Outcome()
                if time.monotonic() - shown >= REPORT_EVERY:
                    yield progress
                    shown = time.monotonic()
    except OmeNgffError as error:
        return Outcome(error=error)
    except Exception as error:  # noqa: BLE001 - a defect: the user is told, it is not lost in a thread
        _log.exception("writing %s failed", request.target)
        found = f"{type(error).__name__}: {error}"
        failure = OmeNgffError("Writing failed.", where=request.target, found=found)
        failure.__cause__ = error
        return Outcome(error=failure)
    return Outcome(path=request.target)
