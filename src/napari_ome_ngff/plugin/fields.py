"""The fields of the dock widget: their labels, choices and explanations, and what they say as a `Form`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from magicgui.types import FileDialogMode
from magicgui.widgets import CheckBox, ComboBox, Container, FileEdit, Label, LineEdit

from napari_ome_ngff.plugin.request import COMPRESSORS, IMAGE_METHODS, LABEL_METHODS, Form

ALL, SELECTED = "all layers", "selected layers"


@dataclass(frozen=True, kw_only=True)
class Fields:
    """The widgets that people fill in, in the order in which they are shown."""

    which: ComboBox
    target: FileEdit
    version: ComboBox
    levels: ComboBox
    image_method: ComboBox
    label_method: ComboBox
    chunks: LineEdit
    shards: ComboBox
    compressor: ComboBox
    overwrite: CheckBox
    after: ComboBox

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
        return Form(
            target=str(self.target.line_edit.value),
            version=str(self.version.value),
            image_method=str(self.image_method.value),
            label_method=str(self.label_method.value),
            levels=str(self.levels.value),
            chunks=str(self.chunks.value),
            shards=str(self.shards.value),
            compressor=str(self.compressor.value),
            overwrite=bool(self.overwrite.value),
            after=str(self.after.value),
        )


def make_fields() -> Fields:
    """Make the fields with their defaults."""
    return Fields(
        **_image_fields(),
        chunks=LineEdit(
            label="Chunks",
            value="auto",
            tooltip="Size of the blocks that the image is stored and read in. auto suits most images; or "
            "type sizes along the last axes, such as 16, 256, 256.",
        ),
        shards=ComboBox(
            label="Shards",
            choices=["none", "auto"],
            tooltip="auto puts many chunks into one file, so that a large image does not become millions of "
            "files. Needs version 0.5 or later.",
        ),
        compressor=ComboBox(
            label="Compression",
            choices=list(COMPRESSORS),
            tooltip="None of them loses anything. auto: blosc with zstd, small and fastest. "
            "zstd: slower. gzip: for tools that know neither. none: largest.",
        ),
        overwrite=CheckBox(
            text="Replace an image that is there",
            tooltip="Without this, whatever is at the target is never touched. With it, the old image stays "
            "until the new one is complete.",
        ),
        after=ComboBox(
            label="When done",
            choices=[("keep the layers", "keep"), ("add the result", "add"), ("show it instead", "swap")],
            tooltip="add the result: open the new image beside these layers. show it instead: open the new "
            "image and close these layers.",
        ),
    )


def _image_fields() -> dict[str, Any]:
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
            filter="*.zarr",
            tooltip="Folder to be made. Its name ends in .ome.zarr, which is added if you leave it out.",
        ),
        "version": ComboBox(
            label="Version",
            choices=[("0.5 (usual)", "0.5"), ("0.4 (for older tools)", "0.4"), ("0.6 (newest)", "0.6")],
            tooltip="Version of OME-NGFF. Take 0.4 for ilastik, older Fiji and other tools that read only "
            "Zarr version 2; 0.6 is read by few tools yet.",
        ),
        "levels": ComboBox(
            label="Levels",
            choices=["auto", *(str(n) for n in range(1, 11))],
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
