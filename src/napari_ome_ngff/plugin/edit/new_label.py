"""A label that is not used yet, for napari's key M, which finds one in numpy arrays only; and its colour."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np

from napari_ome_ngff.plugin import notify
from napari_ome_ngff.plugin.colors import LARGEST_WITHOUT_NUMBA
from napari_ome_ngff.plugin.edit.edited_layer import view_of
from napari_ome_ngff.plugin.save.progress import alive

if TYPE_CHECKING:
    from napari.layers import Labels
    from napari.viewer import Viewer
    from qtpy.QtWidgets import QWidget

LOOKED_THROUGH = 2**28
"""Bytes of the level that is looked through for labels: the finest one that is not larger."""


TAKEN_OVER = "ome_ngff_taken_over"
"""Property of a button that does what we say."""


def follow_labels(layer: Labels, levels: Sequence[Any]) -> None:
    """Have the key M select a label that is not used in `levels`, and labels without a colour get one."""
    from napari.settings import get_settings

    view = view_of(layer)
    if view is None:
        return
    fitting = (level for level in levels if math.prod(level.shape) * level.dtype.itemsize <= LOOKED_THROUGH)
    view.overview = next(fitting, None)
    for key in get_settings().shortcuts.shortcuts.get("napari:new_label", ()):
        layer.bind_key(key, select_new_label, overwrite=True)
    layer.events.selected_label.connect(_color_selected)


def take_over_button(window: QWidget, viewer: Viewer) -> None:
    """Have napari's button "new" do as the key M: it takes no notice of it."""
    from napari.layers import Labels
    from napari.layers.labels._labels_key_bindings import new_label as napari_new_label
    from qtpy.QtWidgets import QPushButton

    viewers = ref(viewer)

    def press() -> None:
        there = viewers()
        for layer in () if there is None else list(there.layers.selection):
            if isinstance(layer, Labels):
                (napari_new_label if view_of(layer) is None else select_new_label)(layer)

    for button in window.findChildren(QPushButton, "newLabelButton"):
        if not button.property(TAKEN_OVER):
            button.setProperty(TAKEN_OVER, True)
            button.clicked.disconnect()
            button.clicked.connect(press)


def select_new_label(layer: Labels) -> None:
    """Select the largest label that is known, plus one."""
    label = largest_label(layer) + 1
    largest = 1 if layer.data.dtype.kind == "b" else int(np.iinfo(layer.data.dtype).max)
    if label > largest:
        notify.warn(f"There is no label beyond {largest} in {layer.data.dtype}. Save as a larger type.")
    elif label == layer.selected_label:
        notify.inform(f"Label {label} is not used yet: paint with it first.")
    else:
        layer.selected_label = label


def largest_label(layer: Labels) -> int:
    """Of what was painted, of one level, and of the colours and features that labels have in the file.

    A label in no other place may be missing: it is smaller than a voxel of that level, and has no colour.
    """
    view = view_of(layer)
    if view is None:
        return 0
    level = view.overview
    if level is not None and view.largest_in_file is None:
        view.largest_in_file = int(alive(lambda: np.max(np.asarray(level), initial=0)))
    listed = view.edit.multiscale.label_image
    colors = () if listed is None else listed.colors
    features = layer.features.get("index", ())
    numbers = [int(each) for each in features if isinstance(each, int | float | np.number) and each == each]
    return max(view.largest_painted, view.largest_in_file or 0, *colors, *numbers, 0)


def _color_selected(event: Any) -> None:
    """Give the selected label a colour, where colours are listed and it has none: it would be gray."""
    from napari.utils.colormaps import DirectLabelColormap, label_colormap

    layer = event.source
    label, table = layer.selected_label, layer.colormap
    if not isinstance(table, DirectLabelColormap) or label in table.color_dict:
        return
    colors = {**table.color_dict, label: label_colormap().map(label)}
    numbers = [each for each in colors if each is not None]
    largest = max(map(abs, numbers)) * (2 if min(numbers) < 0 else 1)
    if largest > LARGEST_WITHOUT_NUMBA and importlib.util.find_spec("numba") is None:
        return  # napari could not look it up
    layer.colormap = DirectLabelColormap(
        color_dict=colors, use_selection=table.use_selection, selection=table.selection
    )
