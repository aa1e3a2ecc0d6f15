"""npe2 writer: napari's layers into OME-Zarr images, as the Preferences say."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from threading import Event
from typing import TYPE_CHECKING

from napari_ome_ngff.errors import CancelledError, OmeNgffError
from napari_ome_ngff.plugin import notify
from napari_ome_ngff.plugin.edit.edited_layer import as_stored
from napari_ome_ngff.plugin.layer_axes.axes_in_view import named_in_view
from napari_ome_ngff.plugin.open.viewer_hooks import with_contours
from napari_ome_ngff.plugin.origin import LayerData
from napari_ome_ngff.plugin.preferences import remember_place
from napari_ome_ngff.plugin.save.form import Form
from napari_ome_ngff.plugin.save.summary import saved, short

if TYPE_CHECKING:
    from napari_ome_ngff.plugin.save.request import Outcome, Preview


@notify.errors_as_text()
def write_layers(path: str | None = None, layer_data: Sequence[LayerData] = ()) -> list[str]:
    """Save layers as an OME-Zarr image with its label images, all or nothing; return the paths written.

    Image layers that belong together become channels of one image, Labels layers its label images; other
    layers are named. Labels layers alone, saved to an existing image, become label images of it. The
    Preferences say how everything is stored. An existing image is replaced only if there is a user to ask.
    Without a path, as napari's palette and menus call every command, the user is asked for one.

    Raises an OmeNgffError if something is in the way, or layers cannot be stored; nothing is left behind. Who
    cancels in a window is told so, and `path` is returned, as napari takes an empty list for a failure;
    without a window that is a CancelledError.
    """
    from napari_ome_ngff.plugin.save.progress import can_ask

    if path is None:
        return _save_asked(selected=False)
    in_window = can_ask()
    try:
        return _write(path, layer_data)
    except CancelledError as cancelled:
        if not in_window:
            raise
        notify.inform(str(cancelled))
        return [path]  # an empty list would be an error for napari


def _write(path: str, layer_data: Sequence[LayerData]) -> list[str]:
    """Save layers; what was asked for is done, or an error is raised, CancelledError too."""
    from napari_ome_ngff.plugin.save.progress import alive, can_ask, run_steps
    from napari_ome_ngff.plugin.save.remembered import recall
    from napari_ome_ngff.plugin.save_panel.axes_question import named_by_user

    form = recall(Form(target=path))
    layer_data = as_stored(named_in_view(with_contours(layer_data)))
    planned = alive(lambda: _preview(form, layer_data))  # holds the model of what will be written
    if planned.guessed and can_ask() and notify.is_seen():
        named = named_by_user(layer_data, planned.guessed)
        planned, layer_data = alive(lambda: _preview(form, named)), named
    elif planned.hints:
        notify.warn("\n".join([*planned.hints, 'Name them: layer.axis_labels = ("t", "y", "x").']))
    planned = _asked(form, planned, layer_data)
    if planned.request is None:
        raise planned.problem or OmeNgffError("Nothing was saved.")
    agreed = _agreed(planned)
    from napari_ome_ngff.plugin.save.request import write

    cancelled, begun = Event(), time.monotonic()
    name = short(os.path.basename(planned.request.target))
    # Creates what was modelled beside the target, fills it, and gives it its name.
    outcome = run_steps(write(planned.request, planned.places, cancelled), cancelled, f"Saving {name}")
    if outcome.paths:
        of = " of metadata" if planned.request.metadata_only else ""
        notes = planned.losses if planned.request.metadata_only else planned.notes
        words = saved(outcome.paths, outcome.size, time.monotonic() - begun, of=of)
        if notify.has_window():
            _refresh(outcome)
        notify.tell_end(words, [note for note in notes if note not in agreed])
    if outcome.error is not None:
        raise outcome.error
    if outcome.cancelled:
        raise CancelledError("Saving was cancelled. Nothing was left behind.")
    return list(outcome.paths)


def _agreed(planned: Preview) -> tuple[str, ...]:
    """What is not saved and was agreed to, if there is somebody to ask; CancelledError if it was not."""
    from napari_ome_ngff.plugin.save.progress import can_ask, confirm

    if not planned.dropped or not can_ask() or not notify.is_seen():
        return ()
    if not confirm("Not everything can be saved. Save the rest?", "\n".join(planned.dropped), "Save"):
        raise CancelledError("Nothing was saved.")
    return planned.dropped


def save_selected() -> None:
    """Command: ask for a place, and save the selected layers there."""
    _save_asked(selected=True)


def _save_asked(*, selected: bool) -> list[str]:
    """Ask for a place, save layers there, and return the paths written; whatever goes wrong is said."""
    from napari.utils.history import get_save_history, update_save_history
    from napari.viewer import current_viewer

    from napari_ome_ngff.plugin.dialogs.save_dialog import SaveDialog, proposed_place

    viewer = current_viewer()
    if viewer is None or not viewer.layers:
        notify.warn("There are no layers to save.")
        return []
    layers = [layer for layer in viewer.layers if not selected or layer in viewer.layers.selection]
    if not layers:
        notify.warn("No layer is selected.")
        return []
    proposal = proposed_place(layers, viewer.layers, get_save_history()[0])
    what = "selected" if selected else "all"
    dialog = SaveDialog(viewer.window._qt_window, f"Save {what} layers as OME-Zarr", proposal)
    if not dialog.exec():
        return []
    try:
        paths = _write(dialog.target(), [layer.as_layer_data_tuple() for layer in layers])
    except CancelledError as cancelled:
        notify.inform(str(cancelled))
        return []
    except OmeNgffError as error:
        notify.warn(str(error))
        return []
    for path in paths:
        remember_place(path)
        update_save_history(path)
    return paths


def _preview(form: Form, layer_data: Sequence[LayerData]) -> Preview:
    from napari_ome_ngff.plugin.save.request import preview  # heavy: in the thread

    return preview(form, layer_data)


def _asked(form: Form, planned: Preview, layer_data: Sequence[LayerData]) -> Preview:
    """What may be written: the user is asked before something is replaced, and if metadata alone will do.

    TargetError if something is in the way and there is nobody to ask, CancelledError if it is not to be.
    """
    from napari_ome_ngff.plugin.edit.metadata_or_copy import metadata_nbytes, metadata_or_copy
    from napari_ome_ngff.plugin.save.progress import alive, can_ask

    if planned.taken and not can_ask():
        raise planned.problem or OmeNgffError("Nothing was saved.")
    allowed = planned
    if planned.taken:
        allowed = alive(lambda: _preview(replace(form, overwrite=True), layer_data))
    nbytes = metadata_nbytes(allowed)
    if nbytes is None and planned.taken:
        _ask_to_replace(planned)
    if nbytes is not None and (request := metadata_or_copy(allowed, nbytes)) is None:
        raise CancelledError("Nothing was saved. What was there is as it was.")
    return allowed if nbytes is None else replace(allowed, request=request)


def _ask_to_replace(planned: Preview) -> None:
    """Ask for permission to replace what is there; CancelledError if refused."""
    from napari_ome_ngff.plugin.save.progress import confirm

    problem = planned.problem or OmeNgffError("Nothing was saved.")
    question = f"{problem.summary} Replace it?"
    details = "It stays as it is until the new one is complete, and is deleted then."
    if not confirm(question, f"{problem.where}\n{details}", "Replace"):
        raise CancelledError("Nothing was saved. What was there is as it was.")


def _refresh(outcome: Outcome) -> None:
    """Show what is new in place of layers that are read from the old; or tell them the new metadata."""
    from napari.viewer import current_viewer

    from napari_ome_ngff.plugin.edit.metadata_or_copy import remember_saved
    from napari_ome_ngff.plugin.reader import read_layers
    from napari_ome_ngff.plugin.save.reopen import open_instead, stale_layers

    viewer = current_viewer()
    if stale := stale_layers(viewer.layers, outcome.folders):
        open_instead(viewer, outcome.folders, stale, read_layers)
    remember_saved(viewer.layers, outcome)
