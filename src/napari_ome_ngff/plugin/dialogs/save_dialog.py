"""The dialog that asks where to save: it knows our types, and that a folder may be an image."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QDialogButtonBox, QFileDialog, QWidget

from napari_ome_ngff.plugin.origin import origin_of
from napari_ome_ngff.plugin.save.form import SUFFIXES, ZIP
from napari_ome_ngff.plugin.save_panel.proposal import new_place
from napari_ome_ngff.storage.places.location import is_url

if TYPE_CHECKING:
    from napari.layers import Layer

FOLDER_TYPE, FILE_TYPE = "OME-Zarr folder (*.ome.zarr *.zarr)", f"OME-Zarr in a single file (*{ZIP})"


class SaveDialog(QFileDialog):
    """Asks for the name of an image; one that is there can be chosen, where others would step into it."""

    def __init__(self, parent: QWidget | None, caption: str, proposal: str) -> None:
        super().__init__(parent, caption, os.path.dirname(proposal))
        # Those of operating systems step into every folder; and the writer asks before it replaces anything.
        self.setOption(QFileDialog.Option.DontUseNativeDialog)
        self.setOption(QFileDialog.Option.DontConfirmOverwrite)
        self.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        self.setFileMode(QFileDialog.FileMode.AnyFile)
        self.setNameFilters([FOLDER_TYPE, FILE_TYPE])
        self.selectNameFilter(FILE_TYPE if proposal.lower().endswith(ZIP) else FOLDER_TYPE)
        self.selectFile(os.path.basename(proposal))
        self.directoryEntered.connect(self._on_folder)
        # Qt calls its button "Open" as long as the name is that of a folder.
        box: Any = self.findChild(QDialogButtonBox)
        box.button(QDialogButtonBox.StandardButton.Save).hide()
        box.addButton("&Save", QDialogButtonBox.ButtonRole.AcceptRole).setDefault(True)

    def target(self) -> str:
        """The path that was chosen, with the suffix of the type if it has none of ours."""
        path = self.selectedFiles()[0]
        if path.lower().endswith(SUFFIXES):
            return path
        return path + (ZIP if self.selectedNameFilter() == FILE_TYPE else SUFFIXES[0])

    def accept(self) -> None:
        """Take the name of an image that is there for what it says: it is to be replaced."""
        if _is_image(self.selectedFiles()[0]):
            self.done(QFileDialog.DialogCode.Accepted)
        else:
            super().accept()

    def _on_folder(self, path: str) -> None:
        """Choose an image instead of stepping into its folder."""
        if _is_image(path):
            self.setDirectory(os.path.dirname(path))
            self.selectFile(os.path.basename(path))


def _is_image(path: str) -> bool:
    return path.lower().endswith(SUFFIXES) and os.path.isdir(path)


def proposed_place(layers: Sequence[Layer], every: Sequence[Layer], folder: str) -> str:
    """Where layers are to be saved if nobody says otherwise: the place that they came from, if it is one.

    A part of `every` layer of an image gets a new name, but label images alone are added to theirs. New names
    lie where the layers came from, else in `folder`.
    """
    stores = {_store(layer) for layer in layers} - {""}
    here = {store for store in stores if not is_url(store) and not _lies_in_image(store)}
    is_whole = all(layer in layers for layer in every if _store(layer) in stores)
    if len(stores) == len(here) == 1 and (is_whole or all(_is_label(layer) for layer in layers)):
        return here.pop()
    return new_place(layers, every, folder)


def _lies_in_image(store: str) -> bool:
    """Whether this is a label image in its image, where nothing is saved but with that."""
    return os.path.basename(os.path.dirname(store)) == "labels"


def _is_label(layer: Layer) -> bool:
    """Whether a layer is saved as a label image."""
    return bool(layer.as_layer_data_tuple()[2] == "labels")


def _store(layer: Layer) -> str:
    """Path or URL of what a layer was opened from by us, or ""."""
    origin = origin_of({"metadata": layer.metadata})
    return "" if origin is None else origin["store"]
