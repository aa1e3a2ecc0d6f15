"""What was painted is saved: in a thread while one paints on, or at once while the window waits and lives."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from threading import Event
from typing import TYPE_CHECKING

from napari_ome_ngff.errors import CancelledError, OmeNgffError, OptionError
from napari_ome_ngff.plugin.edit.edited_layer import view_of
from napari_ome_ngff.plugin.save.progress import run_steps, start_worker
from napari_ome_ngff.plugin.save.summary import amount

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_ome_ngff.editing.label_edit import LabelEdit
    from napari_ome_ngff.writing.save import Progress

CANCELLED = "Cancelled. What you painted is not saved."


def save_in_thread(
    layer: Layer | None, *, progress: Callable[[Progress], None] | None, ended: Callable[[str], None]
) -> None:
    """Save in a thread; painting goes on meanwhile. Without `progress` napari shows that it runs."""
    edit, name = _edited(layer)
    start_worker(_saving(name, edit), progress=progress, ended=ended, title=f"Saving {name}")


def save_now(layer: Layer) -> str:
    """Save, and return how it ended when it has; in napari's window with progress and Cancel."""
    edit, name = _edited(layer)
    cancelled = Event()
    return run_steps(_saving(name, edit, cancelled), cancelled, f"Saving the changes of {name}")


def _edited(layer: Layer | None) -> tuple[LabelEdit, str]:
    view = None if layer is None else view_of(layer)
    if layer is None or view is None:
        raise OptionError(
            "No layer is selected." if layer is None else f"{layer.name!r} is not being edited.",
            hint="Select a Labels layer of an OME-Zarr image, and press Edit labels first.",
        )
    return view.edit, layer.name


def _saving(name: str, edit: LabelEdit, cancelled: Event | None = None) -> Generator[Progress, None, str]:
    """Write what was painted; never raises, and returns how it ended."""
    while edit.is_saving:  # another save of it: what it does not write is written after it
        if cancelled is not None and cancelled.is_set():
            return CANCELLED
        time.sleep(0.02)
    dirty = edit.dirty
    if not dirty.chunks:
        return "Nothing was painted since the last save."
    writing = edit.save()
    try:
        for progress in writing:
            yield progress
            if cancelled is not None and cancelled.is_set():
                return CANCELLED
    except CancelledError:
        return CANCELLED
    except OmeNgffError as error:
        return str(error)
    finally:
        writing.close()
    chunks = "1 chunk" if dirty.chunks == 1 else f"{dirty.chunks} chunks"
    return f"Saved the changes of {name}: {chunks}, {amount(dirty.nbytes)}."
