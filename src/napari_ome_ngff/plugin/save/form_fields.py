"""The fields of the dock widget, made from the table of choices, and read back as a `Form`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from magicgui.types import FileDialogMode
from magicgui.widgets import CheckBox, ComboBox, Container, FileEdit, Label, LineEdit

from napari_ome_ngff.plugin.save.form import CHOICES, Choice, Form
from napari_ome_ngff.plugin.save.from_layers import SAVED_KINDS
from napari_ome_ngff.plugin.save.summary import megabytes

if TYPE_CHECKING:
    from napari_ome_ngff.plugin.origin import LayerData

ALL, SELECTED = "all layers", "selected layers"

BESIDE = {"part": "from_level"}
"""Fields that share a line: the window is as high as the dock at least."""


WHICH = Choice(
    title="Layers",
    description="Which layers to write. Image layers that belong together become the channels of one image, "
    "Labels layers its label images.",
    default=ALL,
    choices=(ALL, SELECTED),
)


def make_fields() -> dict[str, Any]:
    """Return one magicgui field per choice, in the order in which they are shown."""
    target = FileEdit(
        label=CHOICES["target"].title,
        mode=FileDialogMode.OPTIONAL_FILE,
        filter="*.zarr *.ozx",
        tooltip=CHOICES["target"].description,
    )
    others = {name: _field(choice) for name, choice in CHOICES.items() if name != "target"}
    return {"which": _field(WHICH), "target": target, **others}


def _field(choice: Choice) -> Any:
    if isinstance(choice.default, bool):
        return CheckBox(text=choice.title, value=choice.default, tooltip=choice.description)
    if choice.choices:
        shown = [(choice.shown.get(value, value), value) for value in choice.choices]
        return ComboBox(label=choice.title, choices=shown, value=choice.default, tooltip=choice.description)
    return LineEdit(label=choice.title, value=choice.default, tooltip=choice.description)


def rows(fields: dict[str, Any]) -> list[Any]:
    """Return the fields with their labels before them, the labels equally wide."""
    # magicgui's own labelled rows do not stay aligned under napari's style.
    first = {name: field for name, field in fields.items() if name not in BESIDE.values()}
    labels = [
        Label(value="" if isinstance(field, CheckBox) else field.label, tooltip=field.tooltip)
        for field in first.values()
    ]
    # napari's font is larger
    width = round(1.25 * max(label.native.sizeHint().width() for label in labels))
    lines = []
    for label, (name, field) in zip(labels, first.items(), strict=True):
        label.min_width = width
        widgets = [label, field]
        if (beside := fields.get(BESIDE.get(name, ""))) is not None:
            widgets += [Label(value=beside.label.lower(), tooltip=beside.tooltip), beside]
        line = Container(widgets=widgets, layout="horizontal", labels=False)
        line.margins = (0, 0, 0, 0)
        lines.append(line)
    return lines


def read_form(fields: dict[str, Any]) -> Form:
    """Read the fields as they stand."""
    # The target is read as typed: as a path, "s3://bucket" would lose a slash.
    target = str(fields["target"].line_edit.value)
    return Form(target=target, **{name: fields[name].value for name in CHOICES if name != "target"})


def fill(fields: dict[str, Any], form: Form) -> None:
    """Set the fields to a form, except for the target."""
    for name in CHOICES:
        if name != "target":
            fields[name].value = getattr(form, name)


def offer_levels(field: Any, layers: Sequence[LayerData]) -> None:
    """Offer the levels that layers have, with what each of them takes."""
    sizes: list[int] = []
    for data, meta, kind in layers:
        if kind in SAVED_KINDS:
            for i, level in enumerate(data if meta.get("multiscale") else [data]):
                sizes += [0] * (i == len(sizes))
                sizes[i] += math.prod(level.shape) * np.dtype(level.dtype).itemsize
    offered = [(f"{i}: {megabytes(size)} MB", str(i)) for i, size in enumerate(sizes or [0])]
    chosen = field.value
    with field.changed.blocked():
        field.choices = offered
        field.value = chosen if int(chosen or 0) < len(offered) else "0"
