"""What is chosen for saving is remembered in the Preferences, by the widget, and followed by File > Save."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from napari.components import ViewerModel

from napari_ome_ngff.errors import OptionError
from napari_ome_ngff.plugin.preferences import PLUGIN
from napari_ome_ngff.plugin.reader import read_layers
from napari_ome_ngff.plugin.save.form import AS_FILE, SEVERAL, Form
from napari_ome_ngff.plugin.save.remembered import REMEMBERED, recall, remember
from napari_ome_ngff.plugin.save_panel.form_fields import read_form
from napari_ome_ngff.plugin.save_widget import CreateWidget
from napari_ome_ngff.plugin.writer import write_layers

OTHERS = {
    "version": "0.4",
    "image_method": "nearest",
    "label_method": "nearest",
    "chunks": "16, 16",
    "shards": "auto",
    "compressor": "gzip",
    "several": SEVERAL[1],
    "verify": True,
}
LAYER = (np.zeros((32, 32), "uint8"), {"name": "a", "axis_labels": ("y", "x")}, "image")


@pytest.fixture
def settings() -> Any:
    from napari.settings import get_plugin_settings

    return get_plugin_settings(PLUGIN).saving


@pytest.mark.parametrize("name", REMEMBERED)
def test_a_choice_is_remembered(name: str, settings: Any) -> None:
    remember(Form(target="", **{name: OTHERS[name]}))
    assert getattr(settings, name) == OTHERS[name]
    assert getattr(recall(Form(target="")), name) == OTHERS[name]


def test_it_outlives_the_session(settings: Any) -> None:
    remember(Form(target="", version="0.6"))
    from napari.settings import get_settings

    file = Path(get_settings().config_path).parent / f"{PLUGIN}.yaml"
    assert "0.6" in file.read_text()


def test_the_writer_does_as_the_preferences_say(settings: Any, tmp_path: Path) -> None:
    settings.version, settings.chunks, settings.compressor = "0.4", "16, 16", "gzip"
    write_layers(str(tmp_path / "a"), [LAYER])
    group = zarr.open_group(tmp_path / "a.ome.zarr", mode="r")
    assert group.metadata.zarr_format == 2
    assert group["0"].chunks == (16, 16)
    assert "gzip" in repr(group["0"].compressors).lower()


def test_a_preference_that_makes_no_sense_is_named(settings: Any, tmp_path: Path) -> None:
    settings.chunks = "large"
    with pytest.raises(OptionError, match="Chunks: 'large'"):
        write_layers(str(tmp_path / "a"), [LAYER])


@pytest.mark.parametrize(("chosen", "written"), [(AS_FILE, "0.4"), ("0.5", "0.5")])
def test_layers_keep_the_version_of_their_file_unless_another_is_chosen(
    chosen: str, written: str, settings: Any, tmp_path: Path
) -> None:
    settings.version = "0.4"
    write_layers(str(tmp_path / "old"), [LAYER])
    settings.version = chosen
    write_layers(str(tmp_path / "new"), read_layers(str(tmp_path / "old.ome.zarr")))
    (_, meta, _), *_ = read_layers(str(tmp_path / "new.ome.zarr"))
    assert meta["metadata"]["ome_ngff"]["multiscale"].version == written


def test_the_widget_starts_as_it_was_left(settings: Any, tmp_path: Path, qtbot: Any) -> None:
    model = ViewerModel()
    model.add_image(*LAYER[:1], **LAYER[1])
    widget = CreateWidget(napari_viewer=model)
    qtbot.addWidget(widget.native)
    widget.fields["target"].line_edit.value = str(tmp_path / "a")
    widget.fields["version"].value = "0.6"
    widget.fields["verify"].value = True
    assert settings.version == AS_FILE, "what is only tried is not remembered"
    widget.start()
    qtbot.waitUntil(lambda: not widget.busy, timeout=20_000)
    assert (settings.version, settings.verify) == ("0.6", True)
    again = CreateWidget(napari_viewer=model)
    qtbot.addWidget(again.native)
    assert read_form(again.fields).version == "0.6"
    assert read_form(again.fields).verify
