"""What was chosen for saving, remembered in napari's Preferences: the one memory of widget and writer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from napari_ome_ngff.plugin.preferences import plugin_settings
from napari_ome_ngff.plugin.save.form import Form

REMEMBERED = (
    "version",
    "image_method",
    "label_method",
    "chunks",
    "shards",
    "compressor",
    "several",
    "verify",
)
"""Fields of a form that are preferences, called alike in the manifest. The others are about one image."""


def recall(form: Form) -> Form:
    """Return the form with the choices that are in the Preferences; as it is where there are none.

    Examples
    --------
    >>> recall(Form(target="/data/cells")).target
    '/data/cells'
    """
    saving = _saving()
    return form if saving is None else replace(form, **{name: getattr(saving, name) for name in REMEMBERED})


def remember(form: Form) -> None:
    """Put the form's choices into the Preferences, which napari saves by itself."""
    saving = _saving()
    for name in () if saving is None else REMEMBERED:
        if getattr(saving, name) != getattr(form, name):
            setattr(saving, name, getattr(form, name))


def _saving() -> Any:
    return plugin_settings("saving")
