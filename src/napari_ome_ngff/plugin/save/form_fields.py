"""The fields of the dock widget, made from the table of choices, and read back as a `Form`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from magicgui.types import FileDialogMode
from magicgui.widgets import CheckBox, ComboBox, Container, FileEdit, Label, LineEdit, SpinBox

from napari_ome_ngff.plugin.save.form import CHOICES, Choice, Form
from napari_ome_ngff.plugin.save.from_layers import SAVED_KINDS
from napari_ome_ngff.plugin.save.summary import megabytes, short

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


class SliceRows(Container[Any]):
    """From which slice to which, a line for each slider; seen only while that is the choice."""

    def __init__(self) -> None:
        super().__init__(labels=False, visible=False)
        self.margins = (0, 0, 0, 0)
        self.indent = 0  # width of the labels
        self._sliders: dict[int, tuple[str, int]] = {}

    def offer(self, sliders: Mapping[int, tuple[str, int]]) -> None:
        """Show a line for each slider, with all of its slices if it was not there before."""
        if sliders == self._sliders:
            return
        before = {key: self.chosen()[i] for i, key in self._sliders.items()}
        self._sliders = dict(sliders)
        with self.changed.blocked():
            self.clear()
            for name, n in sliders.values():
                first, last = before.get((name, n), (0, n - 1))
                self.append(self._line(name, n, first, last))

    def _line(self, name: str, n: int, first: int, last: int) -> Container[Any]:
        from qtpy.QtCore import Qt

        label = Label(value=f"{short(name)} from")
        label.native.setTextFormat(Qt.TextFormat.PlainText)  # names in files are anyone's
        label.min_width = self.indent
        ends = [
            SpinBox(value=end, min=0, max=n - 1, tooltip=f"Slices 0 to {n - 1}; the last one is taken too.")
            for end in (first, last)
        ]
        widgets: list[Any] = [label, ends[0], Label(value="to"), ends[1]]
        line: Container[Any] = Container(widgets=widgets, layout="horizontal", labels=False)
        line.margins = (0, 0, 0, 0)
        return line

    def chosen(self) -> dict[int, tuple[int, int]]:
        """The first slice and the last one, by dimension as they were offered."""
        lines: list[Any] = list(self)
        return {i: (line[1].value, line[3].value) for i, line in zip(self._sliders, lines, strict=True)}


def rows(fields: dict[str, Any], slices: SliceRows) -> list[Any]:
    """Return the fields with their labels before them, the labels equally wide, and slices below the part."""
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
            word = beside.label.lower().removeprefix("from ")
            widgets += [Label(value=word, tooltip=beside.tooltip), beside]
            beside.min_width = round(1.1 * width)  # "0: 1,234 MB"
        line = Container(widgets=widgets, layout="horizontal", labels=False)
        line.margins = (0, 0, 0, 0)
        lines.append(line)
        if name == "part":
            slices.indent = width
            lines.append(slices)
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
