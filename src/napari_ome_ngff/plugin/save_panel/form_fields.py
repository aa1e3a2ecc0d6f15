"""The fields of the dock widget, made from the table of choices, and read back as a `Form`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from magicgui.types import FileDialogMode
from magicgui.widgets import CheckBox, ComboBox, Container, FileEdit, Label, LineEdit, SpinBox
from qtpy.QtWidgets import QComboBox

from napari_ome_ngff.plugin.save.form import CHOICES, Choice, Form
from napari_ome_ngff.plugin.save.from_layers import SAVED_KINDS
from napari_ome_ngff.plugin.save.summary import short, sizes

if TYPE_CHECKING:
    from napari_ome_ngff.plugin.origin import LayerData

ALL, SELECTED = "all layers", "selected layers"

FRONT = ("which", "target", "part", "version")
"""Fields that are always shown; the others are folded away."""


BESIDE = {"part": "from_level"}
"""Fields that share a line."""


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
        box = ComboBox(label=choice.title, choices=shown, value=choice.default, tooltip=choice.description)
        policy = QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        box.native.setSizeAdjustPolicy(policy)
        box.native.setMinimumContentsLength(2)  # the panel is as narrow as that allows
        return box
    return LineEdit(label=choice.title, value=choice.default, tooltip=choice.description)


class SliceRows(Container[Any]):
    """From which slice to which, a line for each slider; seen only while that is the choice."""

    def __init__(self) -> None:
        super().__init__(labels=False, visible=False)
        self.margins = (0, 0, 0, 0)
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
        ends = [
            SpinBox(value=end, min=0, max=n - 1, tooltip=f"Slices 0 to {n - 1}; the last one is taken too.")
            for end in (first, last)
        ]
        widgets: list[Any] = [label, ends[0], Label(value="to"), ends[1]]
        return line(widgets)

    def chosen(self) -> dict[int, tuple[int, int]]:
        """The first slice and the last one, by dimension as they were offered."""
        lines: list[Any] = list(self)
        return {i: (line[1].value, line[3].value) for i, line in zip(self._sliders, lines, strict=True)}


def front_rows(fields: Mapping[str, Any], below: Mapping[str, Sequence[Any]]) -> list[Any]:
    """The rows that are always shown, each with what belongs below it, by name."""
    rows = dict(zip(FRONT, _rows(fields, FRONT), strict=True))
    return [each for name, row in rows.items() for each in (row, *below.get(name, ()))]


def folded_rows(fields: Mapping[str, Any]) -> list[Any]:
    """The rows of all other fields."""
    shown = {*FRONT, *BESIDE.values(), "overwrite"}
    return _rows(fields, [name for name in fields if name not in shown])


def _rows(fields: Mapping[str, Any], names: Sequence[str]) -> list[Any]:
    """Fields with their labels before them, the labels equally wide."""
    # magicgui's own labelled rows do not stay aligned under napari's style.
    labels = [
        Label(
            value="" if isinstance(fields[name], CheckBox) else fields[name].label,
            tooltip=fields[name].tooltip,
        )
        for name in names
    ]
    # napari's font is larger
    width = round(1.35 * max(label.native.sizeHint().width() for label in labels))
    rows = []
    for label, name in zip(labels, names, strict=True):
        label.min_width = width
        widgets = [label, fields[name]]
        if (beside := fields.get(BESIDE.get(name, ""))) is not None:
            widgets += [Label(value=beside.label.lower(), tooltip=beside.tooltip), beside]
        rows.append(line(widgets))
    return rows


def line(widgets: Sequence[Any]) -> Container[Any]:
    """Widgets beside each other."""
    row: Container[Any] = Container(widgets=list(widgets), layout="horizontal", labels=False)
    row.margins = (0, 0, 0, 0)
    return row


def changed_choices(form: Form) -> str:
    """What is folded away and differs from the usual: ``compression gzip, check what was written``."""
    words = []
    for name, choice in CHOICES.items():
        value = getattr(form, name)
        if name not in {*FRONT, *BESIDE.values(), "overwrite"} and value != choice.default:
            title = f"{choice.title[0].lower()}{choice.title[1:]}"
            words.append(title if value is True else f"{title} {value}")
    return ", ".join(words)


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
    """Offer the levels that layers have, with the size of their planes."""
    planes: list[str] = []
    for data, meta, kind in layers:
        if kind in SAVED_KINDS:
            levels = data if meta.get("multiscale") else [data]
            inner = slice(-3, -1) if meta.get("rgb") else slice(-2, None)
            planes += [sizes(level.shape[inner]) for level in levels[len(planes) :]]
    offered = [(f"{i}: {plane}", str(i)) for i, plane in enumerate(planes)] or [("0", "0")]
    chosen = field.value
    with field.changed.blocked():
        field.choices = offered
        field.value = chosen if int(chosen or 0) < len(offered) else "0"
