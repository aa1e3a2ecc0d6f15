"""The dock widget: choose layers and options, see the plan, save, and open the result.

State flows one way: fields -> `Form` -> `preview` -> table; `write`, in a worker -> progress.
"""

from __future__ import annotations

import os
import time
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Any

from magicgui.widgets import Container, ProgressBar

from napari_ome_ngff.errors import OmeNgffError
from napari_ome_ngff.plugin import notify
from napari_ome_ngff.plugin.crop_outline import CropOutline
from napari_ome_ngff.plugin.edit.edited_layer import as_stored
from napari_ome_ngff.plugin.edit.metadata_or_copy import metadata_nbytes, metadata_or_copy, remember_saved
from napari_ome_ngff.plugin.layer_axes.axes_in_view import tuples_in_view
from napari_ome_ngff.plugin.layer_part import chosen_part, sliders
from napari_ome_ngff.plugin.open.viewer_hooks import with_contours
from napari_ome_ngff.plugin.reader import read_layers
from napari_ome_ngff.plugin.save.closing_guard import ClosingGuard, guard_window, percent
from napari_ome_ngff.plugin.save.form import EVERYTHING, SHAPES, SLICES, Form
from napari_ome_ngff.plugin.save.from_layers import SAVED_KINDS
from napari_ome_ngff.plugin.save.progress import choose, in_words, start_worker
from napari_ome_ngff.plugin.save.remembered import recall, remember
from napari_ome_ngff.plugin.save.reopen import open_instead, stale_layers
from napari_ome_ngff.plugin.save.request import Outcome, Preview, preview, write
from napari_ome_ngff.plugin.save.summary import HEADER, Meter, share_of, short, summary, table
from napari_ome_ngff.plugin.save_panel.axis_lines import AxisLines
from napari_ome_ngff.plugin.save_panel.form_fields import (
    SELECTED,
    SliceRows,
    changed_choices,
    fill,
    folded_rows,
    front_rows,
    make_fields,
    offer_levels,
    read_form,
)
from napari_ome_ngff.plugin.save_panel.panel_parts import (
    Fold,
    Messages,
    UpAndDown,
    end_with_dock,
    fill_table,
    in_tab_order,
    save_buttons,
    set_looks,
    table_of,
    text_line,
    timer_of,
)
from napari_ome_ngff.plugin.save_panel.planner import Planner
from napari_ome_ngff.plugin.save_panel.proposal import places_in_words, propose_in
from napari_ome_ngff.plugin.save_panel.viewer_changes import ViewerChanges, layers_exchanged

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_ome_ngff.writing.save import Progress

STEPS = 1000
"""Resolution of the progress bar."""


WAIT = 200
"""Milliseconds after the last change in the viewer before it is planned: opening an image is many changes."""


class CreateWidget(Container[Any]):
    """Write layers as a multiscale OME-Zarr image. napari finds `napari_viewer` by its name."""

    def __init__(self, napari_viewer: Viewer) -> None:
        self._viewer = napari_viewer
        self._proposed = self._message = ""
        self._cancelled = Event()
        self._started, self._share, self._meter = 0.0, 0.0, Meter()
        self._gone, self._preview = False, Preview()
        self._written: tuple[str, ...] = ()
        self._from: list[Layer] = []
        self._ended: Outcome | None = None  # how the last save ended, until a field is changed
        self._guard: ClosingGuard | None = None
        self.fields = make_fields()
        self.slices = SliceRows()
        self.axes = AxisLines(napari_viewer, after=self.fields["version"])
        fill(self.fields, recall(Form()))
        self.place, self.messages = text_line(), Messages()
        self.advanced = Fold("Advanced", folded_rows(self.fields))
        self.plan_table = table_of(HEADER)
        self.status = self.messages.status
        self.progress = ProgressBar(value=0, min=0, max=STEPS)
        self.create, self.cancel, self.open_result = save_buttons()
        buttons = Container(
            widgets=[self.create, self.cancel, self.open_result], layout="horizontal", labels=False
        )
        below = {"target": [self.place, self.fields["overwrite"]], "part": [self.slices]}
        front = front_rows(self.fields, below)
        self.body: Container[Any] = Container(widgets=[*front, self.advanced, self.plan_table], labels=False)
        super().__init__(widgets=[self.progress, buttons], labels=False)
        self._arrange()
        self._connect()
        self.refresh()

    def _arrange(self) -> None:
        """Set what magicgui has no names for."""
        self.body.margins = (0, 0, 0, 0)
        set_looks(self.native)
        column: Any = self.native.layout()
        self.body.native.layout().insertWidget(self.body.index(self.advanced), self.axes)
        self.body.native.layout().addStretch()
        column.insertWidget(0, UpAndDown(self.body.native), 1)
        column.insertWidget(1, self.messages)
        in_tab_order(self.plan_table, self.create, self.cancel, self.open_result)
        self.fields["target"].choose_btn.text = "Choose…"
        self.progress.hide()
        self._later = timer_of(self.native, WAIT, self.refresh)
        self._planner = Planner(self.native)
        self._outline = CropOutline(self._viewer, self.native, self._plan_soon)

    def _connect(self) -> None:
        for field in self.fields.values():
            field.changed.connect(self._on_field)
        self.slices.changed.connect(self._on_field)
        self.create.changed.connect(self.start)
        self.cancel.changed.connect(self.stop)
        self.open_result.changed.connect(self.swap)
        self._changes = ViewerChanges(self._viewer, self._plan_soon, self._follow, self._on_selection)
        end_with_dock(self.native, self._on_destroyed)

    def _on_destroyed(self) -> None:
        """Forget the layers; what is being written goes on."""
        self._gone = True
        self._outline.hide()
        self._changes.end()

    def _on_field(self) -> None:
        """Something else is to be saved: what is said of the last save goes."""
        self._ended = None
        self.refresh()

    def _on_selection(self) -> None:
        if self.fields["which"].value == SELECTED or self.fields["part"].value == SHAPES:
            self._plan_soon()
        self.axes.follow()

    @property
    def busy(self) -> bool:
        """Whether an image is being written."""
        return bool(self.cancel.enabled)

    def chosen(self) -> list[Layer]:
        """Return the layers to be written, in the order of the layer list."""
        layers = self._viewer.layers
        every = self.fields["which"].value != SELECTED
        return [layer for layer in layers if every or layer in layers.selection]

    def refresh(self) -> None:
        """Plan again from the fields and layers as they are, and show the plan or what prevents it."""
        if not self.busy:
            self._plan()

    def _plan(self, then: Callable[[], None] = lambda: None) -> None:
        """Plan, in a thread, and show the plan, and then do something, unless there is another one first."""
        self._later.stop()
        chosen = self.chosen()
        field = self.fields["target"].line_edit
        self._proposed = propose_in(field, self._proposed, chosen, self._viewer.layers)
        self.axes.offer(chosen)
        data = as_stored(with_contours(tuples_in_view(chosen, self._viewer)))
        offer_levels(self.fields["from_level"], data)
        choice = self.fields["part"].value
        self.slices.offer(sliders(self._viewer) if choice == SLICES else {})
        self.slices.visible = choice == SLICES
        try:
            part = chosen_part(self._viewer, choice, chosen, self.slices.chosen())
        except OmeNgffError as error:
            part, make = {}, partial(Preview, problem=error)
        else:
            make = partial(preview, read_form(self.fields), data, part)
        written = [layer for layer, (_, _, kind) in zip(chosen, data, strict=True) if kind in SAVED_KINDS]

        def show(planned: Preview) -> None:
            self._show(planned)
            if choice == EVERYTHING or not planned.plans or written[0] not in self._viewer.layers:
                self._outline.hide()
            else:
                self._outline.show(written[0], part, int(self.fields["from_level"].value))
            then()

        self._planner.plan(make, show)

    def _follow(self) -> None:
        """Plan and outline again a moment after another part is in view."""
        if self.fields["part"].value != EVERYTHING:
            self._plan_soon()

    def _plan_soon(self) -> None:
        """Plan again a moment after the last of many changes; a save plans anew before it starts."""
        self._later.start()

    def _show(self, result: Preview) -> None:
        self._preview, self.place.visible = result, bool(result.places)
        fill_table(self.plan_table, HEADER, table(result.plans))
        self.create.enabled = result.request is not None and not self.busy
        self.place.value = places_in_words(result.places, taken=result.taken)
        self.fields["overwrite"].visible = result.taken or self.fields["overwrite"].value
        self.advanced.say(changed_choices(read_form(self.fields)))
        notes = [*result.notes, *result.hints]
        if self._ended is not None and (result.problem is None or result.taken):
            self.messages.say(self._message, notes, error=self._ended.error is not None)
        elif result.problem is not None:
            self.messages.say(str(result.problem), notes, error=bool(self.chosen()))
        else:
            self.messages.say(summary(result.plans), notes)

    def start(self) -> None:
        """Plan the layers as they are now, with their contrast and colours, and write what is planned."""
        if self.busy:
            return
        self._cancelled = Event()
        self._set_busy(True)  # nothing is changed between the plan and the save
        self._or_free(lambda: self._plan(lambda: self._or_free(self._write)))

    def _or_free(self, action: Callable[[], None]) -> None:
        """Do something; if it has a defect that is raised, and the panel can still be used."""
        try:
            action()
        except Exception:
            self._set_busy(False)
            raise

    def _write(self) -> None:
        request = self._preview.request
        if not self._cancelled.is_set():  # while it was planned
            request = metadata_or_copy(self._preview, metadata_nbytes(self._preview))
        if self._gone:  # closed while it was asked
            return
        if request is None or self._cancelled.is_set():
            self._set_busy(False)
            self._show(self._preview)
            if self._preview.request is not None:
                self.messages.say("Cancelled. Nothing was written.")
            return
        remember(read_form(self.fields))
        self._from = [layer for layer in self.chosen() if layer.as_layer_data_tuple()[2] in SAVED_KINDS]
        self._started, self._share, self._meter = time.monotonic(), 0.0, Meter()
        name = short(os.path.basename(request.target))
        self._guard = guard_window(choose, lambda: name + percent(self._share), self.stop)
        self._ended = None
        self._outline.hide()
        steps = write(request, self._preview.places, self._cancelled)
        start_worker(steps, progress=self._on_progress, ended=self._on_outcome)

    def stop(self) -> None:
        """Ask the worker to stop; it ends at the next block and takes back what it wrote."""
        self._cancelled.set()
        if not self._gone:
            self.messages.say("Stopping…")

    def _set_busy(self, busy: bool) -> None:
        for field in (*self.fields.values(), self.slices):
            field.enabled = not busy
        self.axes.setEnabled(not busy)
        self.create.enabled = not busy
        self.cancel.enabled = busy
        self.open_result.enabled = False
        self.progress.value, self.progress.visible = 0, busy

    def _on_progress(self, progress: Progress) -> None:
        self._share = share_of(progress)
        if self._gone:
            return
        self.progress.value = round(self._share * STEPS)
        if not self._cancelled.is_set():
            self.messages.say(f"{progress.message}: {self._meter.read(progress)}")

    def _on_outcome(self, outcome: Outcome) -> None:
        message = in_words(outcome, time.monotonic() - self._started)
        if self._guard is not None:
            self._guard.end()
        if self._gone:
            (notify.warn if outcome.error else notify.inform)(message)
            return
        self._set_busy(False)
        self._ended, self._message, self._written = outcome, message, outcome.folders
        remember_saved(self._from, outcome)
        self.open_result.enabled = bool(self._written)
        if stale_layers(self._from, self._written):
            self.swap()
        self.refresh()
        self._viewer.status = message.partition("\n")[0]

    def swap(self) -> None:
        """Open what was written in place of the layers that it was written from."""
        self._from += stale_layers(self._viewer.layers, self._written)
        with layers_exchanged(self.open_result, self._later):
            open_instead(self._viewer, self._written, self._from, read_layers)
