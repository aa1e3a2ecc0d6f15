"""Names in a file are text in every label of the window, whatever they look like."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QTextDocumentFragment
from qtpy.QtWidgets import QApplication, QLabel, QWidget

from napari_ome_ngff.errors import OmeNgffError
from napari_ome_ngff.plugin import notify
from napari_ome_ngff.plugin.open.catalog import Entry
from napari_ome_ngff.plugin.origin import METADATA_KEY
from napari_ome_ngff.plugin.save.progress import confirm
from napari_ome_ngff.plugin.save_widget import CreateWidget
from tests.window_tools import PLUGIN, answering, browse, write_plate

NAMES = ('<img src="file:///zebra.png">', "CD4<zebra>", "zebra &lt; b", "< b >zebra</b>", "<?xml zebra?>")


def taken_for_html() -> list[str]:
    """Text of labels that Qt would show as HTML; tool tips as well."""
    texts = []
    for widget in QApplication.allWidgets():
        if isinstance(widget, QLabel) and "zebra" in QLabel.text(widget):
            text, kind = QLabel.text(widget), widget.textFormat()
            if kind != Qt.TextFormat.PlainText and (
                kind == Qt.TextFormat.RichText or Qt.mightBeRichText(text)
            ):
                texts.append(f"{type(widget).__name__}: {text}")
        if "zebra" in widget.toolTip() and Qt.mightBeRichText(widget.toolTip()):
            texts.append(widget.toolTip())
    return texts


def test_no_label_takes_a_name_for_html(viewer: Any, tmp_path: Path) -> None:
    seen: list[str] = []

    def look(dialog: QWidget) -> None:
        labels = [QLabel.text(label) for label in dialog.findChildren(QLabel)]
        assert any("zebra" in text for text in labels)
        seen.extend(taken_for_html())
        dialog.close()

    plate = write_plate(tmp_path / "plate.zarr", rows=1, columns=2, side=16)
    viewer.open(str(plate), plugin=PLUGIN)
    widget, create = browse(viewer), CreateWidget(viewer)
    for name in NAMES:
        viewer.layers[-1].name = name
        for layer in viewer.layers:
            layer.metadata[METADATA_KEY]["title"] = name  # the plate's name in its file
        widget.refresh()
        assert name in widget.heading.text()
        create.messages.say(name, [name])
        assert QLabel.text(create.status.native) == name
        notify.warn(name)
        notify.inform(f"{name} was opened.")
        with answering(look):
            confirm(f"{name} is there already. Replace it?", f"/data/{name}", "Replace")
        seen += taken_for_html()
    assert seen == []

    for name in NAMES:
        widget.model.fill((Entry(name=name, field="", size="", location=name),))
        tip = widget.model.data(widget.model.index(0, 0), Qt.ItemDataRole.ToolTipRole)
        assert QTextDocumentFragment.fromHtml(tip).toPlainText() == name
    create.native.deleteLater()


def test_errors_that_napari_shows_are_text(viewer: Any) -> None:
    for name in NAMES:
        with pytest.raises(OmeNgffError) as caught, notify.errors_as_text():
            raise OmeNgffError(f"{name} is no image.", where=name)
        assert not Qt.mightBeRichText(str(caught.value))
        assert str(caught.value).replace("\u200b", "") == f"{name} is no image.\nWhere: {name}"
        assert caught.value.summary == f"{name} is no image."


@pytest.mark.parametrize("text", ["a < b", "a & b", "x -> y", "5 µm", "1 < 2\nnothing > else", np.str_("c")])
def test_other_text_stays_as_it_is(text: str) -> None:
    assert notify.plain(text).replace("\u200b", "") == text
    if not Qt.mightBeRichText(text) and ">" not in text:
        assert notify.plain(text) == text
