"""The fields of the dock widget: their labels, choices and explanations, and what they say as a `Form`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from magicgui.types import FileDialogMode
from magicgui.widgets import CheckBox, ComboBox, Container, FileEdit, Label, LineEdit

from napari_ome_ngff.plugin.save.form import (
    AS_FILE,
    COMPRESSORS,
    IMAGE_METHODS,
    LABEL_METHODS,
    LEVELS,
    SEVERAL,
    SHARDS,
    Form,
)

ALL, SELECTED = "all layers", "selected layers"


@dataclass(frozen=True, kw_only=True)
class Fields:
    """The widgets that people fill in, in the order in which they are shown; called as those of `Form`."""

    which: ComboBox
    target: FileEdit
    version: ComboBox
    levels: ComboBox
    image_method: ComboBox
    label_method: ComboBox
    chunks: LineEdit
    shards: ComboBox
    compressor: ComboBox
    several: ComboBox
    verify: CheckBox
    overwrite: CheckBox

    def widgets(self) -> tuple[Any, ...]:
        """All fields in order."""
        return tuple(vars(self).values())

    def rows(self) -> list[Any]:
        """All fields with their labels before them, the labels equally wide."""
        # magicgui's own labelled rows do not stay aligned under napari's style.
        labels = [
            Label(value="" if isinstance(field, CheckBox) else field.label, tooltip=field.tooltip)
            for field in self.widgets()
        ]
        width = round(
            1.25 * max(label.native.sizeHint().width() for label in labels)
        )  # napari's font is larger
        rows = []
        for label, field in zip(labels, self.widgets(), strict=True):
            label.min_width = width
            row = Container(widgets=[label, field], layout="horizontal", labels=False)
            row.margins = (0, 0, 0, 0)
            rows.append(row)
        return rows

    def form(self) -> Form:
        """Read the fields as they stand."""
        # The target is read as typed: as a path, "s3://bucket" would lose a slash.
        chosen = {one.name: getattr(self, one.name).value for one in fields(Form) if one.name != "target"}
        return Form(target=str(self.target.line_edit.value), **chosen)

    def fill(self, form: Form) -> None:
        """Let the fields say what a form says, except for the target."""
        for one in fields(Form):
            if one.name != "target":
                getattr(self, one.name).value = getattr(form, one.name)


def make_fields() -> Fields:
    """Make the fields with their defaults."""
    return Fields(**_what_and_where(), **_how_it_is_made(), **_how_it_is_stored())


def _what_and_where() -> dict[str, Any]:
    return {
        "which": ComboBox(
            label="Layers",
            choices=[ALL, SELECTED],
            tooltip="Which layers of the layer list are written. Image layers that belong together become "
            "one image, each layer a channel; Labels layers become label images of it.",
        ),
        "target": FileEdit(
            label="Target",
            mode=FileDialogMode.OPTIONAL_FILE,
            filter="*.zarr *.ozx",
            tooltip="Folder to be made. Its name ends in .ome.zarr, which is added if you leave it out. "
            "A name that ends in .ozx makes a single file. Addresses in buckets can be typed too: "
            "s3://bucket/cells.ome.zarr (or gs://, az://).",
        ),
    }


def _how_it_is_made() -> dict[str, Any]:
    return {
        "version": ComboBox(
            label="Version",
            choices=[
                (AS_FILE, AS_FILE),
                ("0.5 (usual)", "0.5"),
                ("0.4 (for older tools)", "0.4"),
                ("0.6 (newest)", "0.6"),
            ],
            tooltip="Version of OME-NGFF. Take 0.4 for ilastik, older Fiji and other tools that read only "
            "Zarr version 2; 0.6 is read by few tools yet.",
        ),
        "levels": ComboBox(
            label="Levels",
            choices=list(LEVELS),
            tooltip="How many resolutions are stored, the full one included. auto: until the smallest one "
            "can be shown at once; layers that have several resolutions keep theirs. A number: they are made "
            "anew from the full one.",
        ),
        "image_method": ComboBox(
            label="Shrink images",
            choices=list(IMAGE_METHODS),
            tooltip="How images are made smaller. mean: average of neighbouring voxels, usual for images. "
            "nearest: takes one of them, and is faster.",
        ),
        "label_method": ComboBox(
            label="Shrink labels",
            choices=list(LABEL_METHODS),
            tooltip="How labels are made smaller; they are never averaged. mode: takes the most frequent of "
            "the neighbouring labels. nearest: takes one of them, and is faster.",
        ),
    }


def _how_it_is_stored() -> dict[str, Any]:
    return {
        "chunks": LineEdit(
            label="Chunks",
            value="auto",
            tooltip="Size of the blocks that the image is stored and read in. auto: levels that were opened "
            "and not changed keep theirs; others get what suits most images. Or type sizes along the last "
            "axes, such as 16, 256, 256.",
        ),
        "shards": ComboBox(
            label="Shards",
            choices=list(SHARDS),
            tooltip="auto puts many chunks into one file, so that a large image does not become millions of "
            "files. Needs version 0.5 or later.",
        ),
        "compressor": ComboBox(
            label="Compression",
            choices=list(COMPRESSORS),
            tooltip="None of them loses anything. auto: as the file for levels that are copied, else blosc "
            "with zstd, small and fastest. zstd: slower. gzip: for tools that know neither. none: largest.",
        ),
        "several": ComboBox(
            label="Several images",
            choices=list(SEVERAL),
            tooltip="Where images go that are no channels of each other. one collection: all into the "
            "target, numbered. one store each: beside each other, named after the target and the image.",
        ),
        "verify": CheckBox(
            text="Check what was written",
            tooltip="Read the full resolution back before the image is put in place, and compare it with the "
            "layers. Takes about as long again as reading them.",
        ),
        "overwrite": CheckBox(
            text="Replace what is there",
            tooltip="Without this, no image that is at the target is touched. With it, the old image stays "
            "until the new one is complete. Labels alone are added to an image that is there; then this is "
            "about its labels of the same name.",
        ),
    }
