"""What was chosen for saving, remembered in napari's Preferences: the one memory of widget and writer."""

from __future__ import annotations

from dataclasses import replace

from napari_ome_ngff.plugin.preferences import plugin_settings
from napari_ome_ngff.plugin.save.form import CHOICES, Form

REMEMBERED = tuple(name for name, choice in CHOICES.items() if choice.remembered)


def recall(form: Form) -> Form:
    """Return the form with the choices that are in the Preferences; as it is where there are none."""
    saving = plugin_settings("saving")
    return form if saving is None else replace(form, **{name: getattr(saving, name) for name in REMEMBERED})


def remember(form: Form) -> None:
    """Put the form's choices into the Preferences, which napari saves by itself."""
    saving = plugin_settings("saving")
    for name in () if saving is None else REMEMBERED:
        if getattr(saving, name) != getattr(form, name):
            setattr(saving, name, getattr(form, name))
