"""The writer as napari calls it: what it writes opens again as it was, and nothing is ever half written."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import dask.array
import npe2
import numpy as np
import pint
import pytest
from napari.components import ViewerModel
from napari.layers import Image as ImageLayer
from napari.layers import Labels
from qtpy.QtCore import QTimer

from napari_ome_ngff.errors import (
    OmeNgffError,
    OmeNgffWarning,
    OptionError,
    TargetError,
    UnsupportedError,
)
from napari_ome_ngff.metadata.units import SPACE_UNITS, TIME_UNITS, canonical_unit
from napari_ome_ngff.plugin.names import image_name
from napari_ome_ngff.plugin.origin import METADATA_KEY
from napari_ome_ngff.plugin.reader import read_layers
from napari_ome_ngff.plugin.samples import open_cells
from napari_ome_ngff.plugin.save.layer_image import layer_image
from napari_ome_ngff.plugin.save.progress import run_steps
from napari_ome_ngff.plugin.save.request import Outcome
from napari_ome_ngff.plugin.writer import write_layers
from napari_ome_ngff.writing.save import Progress
from tests.cases.labels import IDS, labelled
from tests.window_tools import Awake, lives

NAME = "napari-ome-ngff"

IMAGES = (
    "generated/ngff-zarr-0.50/wave_0.4.ome.zarr",
    "generated/ngff-zarr-0.50/wave_0.5.ome.zarr",
    "generated/ngff-zarr-0.50/wave_0.6.ome.zarr",
    "generated/ome-zarr-py-0.10.2/wave_0.4.zarr",
    "generated/ome-zarr-py-0.21/classes_0.5.zarr",
    "generated/ome-zarr-py-0.21/classes_0.6.zarr",
    "generated/ome-zarr-py-0.21/coins_0.4.zarr",
    "generated/ome-zarr-py-0.21/coins_0.5.zarr",
    "generated/xarray-ome-ngff-3.1.1/wave_0.4.zarr",
    "generated/yaozarrs-0.3.4/wave_0.5.ome.zarr",
    "neuroglancer/ome_zarr/simple_0.4",
    "neuroglancer/ome_zarr/simple_0.5",
    "ome-zarr-fiji-java/testdata/3d_testing/xyc/3d_dataset_v5.ome.zarr",
    "ome-zarr-fiji-java/testdata/3d_testing/xyt/3d_dataset_v4.ome.zarr",
    "ome-zarr-fiji-java/testdata/5d_testing/5d_dataset_v5.ome.zarr",
)


@pytest.fixture
def plugin(npe2pm: Any) -> Iterator[Any]:
    """npe2 knows our plugin and no other."""
    with npe2pm.tmp_plugin(package=NAME):
        yield npe2pm


def look(layer: Any) -> dict[str, Any]:
    """Everything about a layer that a save must keep."""
    found = {
        "kind": layer._type_string,
        "name": layer.name,
        "scale": tuple(layer.scale),
        "translate": tuple(layer.translate),
        "units": tuple(map(str, layer.units)),
        "axis_labels": layer.axis_labels,
        "visible": layer.visible,
        "levels": [level.shape for level in layer.data] if layer.multiscale else [layer.data.shape],
        "dtype": layer.dtype,
    }
    if isinstance(layer, ImageLayer):
        found["contrast"] = layer.contrast_limits
        found["colors"] = None if layer.rgb else layer.colormap.colors.tolist()
    if isinstance(layer, Labels):
        found["features"] = layer.features.to_dict("list")
        found["colors"] = {
            key: tuple(color) for key, color in getattr(layer.colormap, "color_dict", {}).items()
        }
    return found


def pixels(layer: Any) -> list[np.ndarray]:
    return [np.asarray(level) for level in (layer.data if layer.multiscale else [layer.data])]


def save(viewer: ViewerModel, path: Path) -> str:
    (written,) = viewer.layers.save(str(path), plugin=NAME)
    return str(written)


# Open, save, open


@pytest.mark.parametrize("path", IMAGES)
@pytest.mark.filterwarnings("ignore::napari_ome_ngff.errors.OmeNgffWarning")
def test_what_was_opened_is_saved_as_it_was(corpus: Path, plugin: Any, tmp_path: Path, path: str) -> None:
    viewer = ViewerModel()
    viewer.open(str(corpus / path), plugin=NAME)
    # What the file does not name is called after the file.
    written = save(viewer, tmp_path / f"{image_name(path)}.ome.zarr")
    again = ViewerModel()
    again.open(written, plugin=NAME)
    assert [look(layer) for layer in again.layers] == [look(layer) for layer in viewer.layers]
    for one, other in zip(viewer.layers, again.layers, strict=True):
        for level, level_again in zip(pixels(one), pixels(other), strict=True):
            np.testing.assert_array_equal(level, level_again)
        noun, noun_again = (layer.metadata[METADATA_KEY]["multiscale"] for layer in (one, other))
        assert noun.version == noun_again.version
        assert noun.axes == noun_again.axes
        assert noun.levels == noun_again.levels
        assert noun.transform == noun_again.transform
        assert noun.extra == noun_again.extra
        assert noun.omero_extra == noun_again.omero_extra


def test_labels_of_floating_point_numbers_are_saved_as_integers(tmp_path: Path) -> None:
    values = IDS.astype("float32")
    values[0, 0] = np.nan
    with pytest.warns(OmeNgffWarning, match="integers"):
        layers = read_layers(str(labelled({"nuclei": {"values": values}})(tmp_path)))
    assert [kind for _, _, kind in layers] == ["image", "labels"]
    (written,) = write_layers(str(tmp_path / "new.zarr"), layers)
    _, (data, _, kind) = read_layers(written)
    assert (kind, np.asarray(data).dtype) == ("labels", "int32")
    np.testing.assert_array_equal(data, np.nan_to_num(values))


def test_attributes_of_others_are_kept(tmp_path: Path) -> None:
    write_layers(str(tmp_path / "one"), open_cells())
    file = tmp_path / "one.ome.zarr" / "zarr.json"
    document = json.loads(file.read_text())
    document["attributes"]["mine"] = {"a": [1, 2]}
    document["attributes"]["ome"]["_creator"] = {"name": "someone"}
    file.write_text(json.dumps(document))
    write_layers(str(tmp_path / "two"), read_layers(str(tmp_path / "one.ome.zarr")))
    saved = json.loads((tmp_path / "two.ome.zarr" / "zarr.json").read_text())["attributes"]
    assert saved["mine"] == {"a": [1, 2]}
    assert saved["ome"]["_creator"] == {"name": "someone"}


def test_what_was_changed_is_saved_as_it_is(plugin: Any, tmp_path: Path) -> None:
    viewer = ViewerModel()
    for data, meta, kind in open_cells():
        getattr(viewer, f"add_{kind}")(data, **meta)
    nuclei, _, labels = viewer.layers
    nuclei.colormap, nuclei.contrast_limits, nuclei.name, nuclei.visible = "yellow", (7, 900), "DNA", False
    for layer in viewer.layers:
        layer.scale, layer.translate = (2.0, 0.5, 0.5), (100, 20, 30)
        layer.units = ("nanometer",) * 3
    labels.colormap = {1: (1, 0, 0, 1), None: (0, 0, 0, 0)}
    labels.name = "nuclei (corrected)"
    written = save(viewer, tmp_path / "changed.ome.zarr")
    again = ViewerModel()
    again.open(written, plugin=NAME)
    expected = [look(layer) for layer in viewer.layers]
    expected[-1]["colors"][None] = again.layers[-1].colormap.color_dict[None] = (0, 0, 0, 0)
    for one, other in zip(expected, map(look, again.layers), strict=True):
        assert {k: v for k, v in one.items() if k != "colors"} == {
            k: v for k, v in other.items() if k != "colors"
        }
    assert again.layers[0].colormap.colors[-1].tolist() == nuclei.colormap.colors[-1].tolist()
    assert again.layers[-1].colormap.color_dict[1].tolist() == [1, 0, 0, 1]


def test_new_layers_of_any_kind(plugin: Any, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    viewer = ViewerModel()
    for name, color in (("red", "red"), ("green", "green")):
        viewer.add_image(
            random.integers(0, 999, (3, 64, 48), dtype="uint16"), name=name, colormap=color, scale=(2, 1, 1)
        )
    cells = viewer.add_labels(random.integers(0, 5, (3, 64, 48)), name="cells", scale=(2, 1, 1))
    cells.features = {"index": [1, 3], "area": [5.5, np.nan], "kind": ["a", "b"]}
    viewer.add_points([[0, 0, 0]], name="spots")
    with (
        pytest.warns(OmeNgffWarning, match="'red' have no names"),
        pytest.warns(OmeNgffWarning, match="'spots' is not saved"),
    ):
        written = save(viewer, tmp_path / "new.ome.zarr")
    again = ViewerModel()
    again.open(written, plugin=NAME)
    assert [(layer._type_string, layer.name) for layer in again.layers] == [
        ("image", "red"),
        ("image", "green"),
        ("labels", "cells"),
    ]
    for one, other in zip(viewer.layers, again.layers, strict=False):
        np.testing.assert_array_equal(pixels(one)[0], pixels(other)[0])
        assert tuple(one.scale) == tuple(other.scale)
    assert again.layers[0].contrast_limits == viewer.layers[0].contrast_limits
    assert again.layers[-1].axis_labels == ("z", "y", "x")
    assert again.layers[-1].features["kind"].tolist() == ["a", "b"]


def test_rgb_opens_as_rgb(plugin: Any, tmp_path: Path) -> None:
    viewer = ViewerModel()
    photo = np.random.default_rng(0).integers(0, 255, (40, 50, 3), dtype="uint8")
    viewer.add_image(photo, name="photo")
    written = save(viewer, tmp_path / "photo.ome.zarr")
    again = ViewerModel()
    (layer,) = again.open(written, plugin=NAME)
    assert layer.rgb
    assert layer.name == "photo"
    np.testing.assert_array_equal(pixels(layer)[0], photo)


@pytest.mark.parametrize("count", [1, 2])
def test_labels_without_an_image_open_again(plugin: Any, tmp_path: Path, count: int) -> None:
    viewer = ViewerModel()
    for index in range(count):
        viewer.add_labels(np.full((32, 32), index + 1), name=f"cells {index}")
    written = save(viewer, tmp_path / "cells.ome.zarr")
    again = ViewerModel()
    layers = again.open(written, plugin=NAME)
    assert [(layer._type_string, layer.name) for layer in layers] == [
        ("labels", f"cells {index}") for index in range(count)
    ]
    for index, layer in enumerate(layers):
        assert (pixels(layer)[0] == index + 1).all()


def test_labels_get_as_many_levels_as_their_image(plugin: Any, tmp_path: Path) -> None:
    data, meta, _ = open_cells()[0]
    labels = (np.ones(data[0].shape, "uint16"), {"name": "new", "scale": meta["scale"]}, "labels")
    (written,) = write_layers(str(tmp_path / "x"), [(data, meta, "image"), labels])
    image, again = (levels for levels, _, _ in read_layers(written))
    assert [level.shape for level in image] == [level.shape for level in again]


@pytest.mark.parametrize("version", ["0.4", "0.5", "0.6"])
def test_layers_of_one_file_keep_its_version(corpus: Path, tmp_path: Path, version: str) -> None:
    path = corpus / "generated" / "ngff-zarr-0.50" / f"wave_{version}.ome.zarr"
    layers = read_layers(str(path))
    write_layers(str(tmp_path / "same"), layers)
    (same,) = {
        meta["metadata"][METADATA_KEY]["multiscale"].version
        for _, meta, _ in read_layers(str(tmp_path / "same.ome.zarr"))
    }
    assert same == version
    plain = [(data, {k: v for k, v in meta.items() if k != "metadata"}, kind) for data, meta, kind in layers]
    write_layers(str(tmp_path / "new"), plain)
    (_, meta, _), *_ = read_layers(str(tmp_path / "new.ome.zarr"))
    assert meta["metadata"][METADATA_KEY]["multiscale"].version == "0.5"


# Units


ALIASES = {
    "um": "micrometer",
    "µm": "micrometer",
    "micron": "micrometer",
    "nm": "nanometer",
    "mm": "millimeter",
    "m": "meter",
    "Å": "angstrom",
    "in": "inch",
    "ft": "foot",
    "yd": "yard",
    "s": "second",
    "sec": "second",
    "ms": "millisecond",
    "us": "microsecond",
    "min": "minute",
    "h": "hour",
}


@pytest.mark.parametrize("spelling", sorted(SPACE_UNITS | TIME_UNITS | set(ALIASES)))
def test_each_unit_comes_back_from_pint_as_the_specification_spells_it(spelling: str) -> None:
    unit = pint.get_application_registry().Unit(spelling)
    name = ALIASES.get(spelling, spelling)
    assert canonical_unit(str(unit)) == name
    labels, units = ("t", "y", "x"), (unit, "pixel", "pixel")
    if name in SPACE_UNITS:
        units = ("pixel", unit, unit)
    layer = np.zeros((2, 4, 4)), {"name": "a", "axis_labels": labels, "units": units}, "image"
    assert name in [axis.unit for axis in layer_image(layer).axes]


# Where it goes


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("a", "a.ome.zarr"),
        ("a.zarr", "a.zarr"),
        ("a.ome.zarr/", "a.ome.zarr"),
        ("a.tif", "a.tif.ome.zarr"),
        ("my cells.v2", "my cells.v2.ome.zarr"),
    ],
)
def test_the_path_gets_a_suffix_and_is_returned(tmp_path: Path, typed: str, name: str) -> None:
    layer = (np.zeros((4, 4), "uint8"), {"name": "a"}, "image")
    assert write_layers(f"{tmp_path}/{typed}", [layer]) == [str(tmp_path / name)]
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_npe2_writes(plugin: Any, tmp_path: Path) -> None:
    layers = [ImageLayer(np.zeros((4, 4), "uint8")), Labels(np.zeros((4, 4), "uint8"))]
    path = str(tmp_path / "a.ome.zarr")
    assert npe2.write(path, layers, plugin_name=NAME) == [path]


def test_the_user_is_told_where_and_how_large(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "napari_ome_ngff"):
        write_layers(str(tmp_path / "a"), open_cells())
    assert "Saved a.ome.zarr (" in caplog.text
    assert f"Where: {tmp_path / 'a.ome.zarr'}" in caplog.text
    assert " MB)" in caplog.text


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_nothing_that_is_there_is_replaced(tmp_path: Path) -> None:
    layer = (np.zeros((4, 4), "uint8"), {"name": "a"}, "image")
    write_layers(str(tmp_path / "a"), [layer])
    before = snapshot(tmp_path)
    for path in ("a.ome.zarr", "a.ome.zarr/b", "a.ome.zarr/labels/b.zarr"):
        with pytest.raises(TargetError):
            write_layers(str(tmp_path / path), [layer])
    assert snapshot(tmp_path) == before


def test_where_nobody_can_be_asked_what_is_shown_is_not_replaced(tmp_path: Path) -> None:
    write_layers(str(tmp_path / "a"), open_cells())
    before = snapshot(tmp_path)
    with pytest.raises(TargetError, match="at the target already"):
        write_layers(str(tmp_path / "a"), read_layers(str(tmp_path / "a.ome.zarr")))
    assert snapshot(tmp_path) == before


def test_urls_are_no_target() -> None:
    with pytest.raises(OptionError, match="cannot be written to"):
        write_layers("https://example.org/a.zarr", [(np.zeros((4, 4)), {}, "image")])


def test_a_source_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(block: np.ndarray) -> np.ndarray:
        raise RuntimeError("the camera was unplugged")

    broken = dask.array.map_blocks(fail, dask.array.zeros((64, 64)), dtype=float, meta=np.empty((0, 0)))
    with pytest.raises(OmeNgffError) as caught:
        write_layers(str(tmp_path / "a"), [(broken, {"name": "a"}, "image")])
    assert "unplugged" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_errors_reach_the_user_through_napari(plugin: Any, tmp_path: Path) -> None:
    """napari swallows a ValueError that leaves a writer: ours is none."""
    viewer = ViewerModel()
    viewer.add_image(np.zeros((8, 8)), name="a", rotate=30)
    with pytest.raises(UnsupportedError, match="'a' is rotated"):
        viewer.layers.save(str(tmp_path / "a.ome.zarr"), plugin=NAME)
    assert list(tmp_path.iterdir()) == []


# Progress and cancelling


def counting(total: int, seconds: float = 0.0) -> Generator[Progress, None, Outcome]:
    for done in range(total + 1):
        time.sleep(seconds)
        yield Progress(blocks_done=done, blocks_total=total, bytes_done=done, bytes_total=total)
    return Outcome(paths=("a",))


def failing(error: Exception) -> Generator[Progress, None, None]:
    yield Progress(blocks_done=0, blocks_total=2, bytes_done=0, bytes_total=2)
    raise error


def test_without_a_window_steps_are_simply_taken() -> None:
    assert run_steps(counting(5), Event(), "Saving").paths == ("a",)


@pytest.mark.parametrize("error", [RuntimeError("no"), ValueError("no"), OSError("no")])
def test_every_error_arrives_as_ours(
    error: Exception, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    layer = (np.zeros((4, 4), "uint8"), {"name": "a"}, "image")
    for raised, words in ((error, "Saving failed: no"), (TargetError("taken"), "taken")):
        monkeypatch.setattr(
            "napari_ome_ngff.plugin.save.request.start_writing",
            lambda *_, raised=raised, **__: failing(raised),
        )
        with pytest.raises(OmeNgffError, match=words):
            write_layers(str(tmp_path / "a"), [layer])


@pytest.fixture
def viewer(make_napari_viewer: Any, plugin: Any) -> Any:
    return make_napari_viewer()


def test_the_window_stays_alive_while_saving(viewer: Any) -> None:
    clock = Awake()
    ticks = [clock()]
    timer = QTimer()
    timer.timeout.connect(lambda: ticks.append(clock()))
    timer.start(10)
    assert run_steps(counting(20, 0.05), Event(), "Saving").paths == ("a",)
    timer.stop()
    assert len(ticks) > 30
    assert lives(ticks)


def test_a_window_that_is_held_does_not_live() -> None:
    clock, ticks = Awake(), list[float]()
    for held in (0.01, 0.01, 0.01, 0.2, 0.2):
        ticks.append(clock())
        time.sleep(held)
    assert not lives([*ticks, clock()])


def press_cancel(viewer: Any, seen: list[str]) -> None:
    """Press the Cancel button in the activity dock, as soon as there is one."""
    from napari._qt.widgets.qt_progress_bar import QtLabeledProgressBar

    def look_for_it() -> None:
        bars = viewer.window._qt_window.findChildren(QtLabeledProgressBar)
        for bar in bars:
            if bar.progress.n > 0:
                seen.append(bar.description_label.text())
                bar.cancel_button.click()
                return
        QTimer.singleShot(20, look_for_it)

    QTimer.singleShot(20, look_for_it)


def test_cancel_ends_the_save_and_takes_it_back(viewer: Any, tmp_path: Path) -> None:
    def slow(block: np.ndarray) -> np.ndarray:
        time.sleep(0.05)
        return block

    data = dask.array.zeros((4000, 256, 256), chunks=(32, 256, 256), dtype="uint8").map_blocks(slow)
    layer = viewer.add_image(data, name="a", contrast_limits=(0, 255))
    seen: list[str] = []
    press_cancel(viewer, seen)
    viewer.layers.save(str(tmp_path / "a.ome.zarr"), plugin=NAME)  # to cancel is no error
    assert seen[0].startswith("Saving a.ome.zarr")
    assert list(tmp_path.iterdir()) == []
    assert layer in viewer.layers


def test_cancelling_too_late_is_no_cancelling(
    viewer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    class LateWriting:
        """Its last step ends after Cancel was pressed: everything is in place then."""

        def __iter__(self) -> Iterator[Progress]:
            yield Progress(blocks_done=1, blocks_total=2, bytes_done=1, bytes_total=2)
            while not seen:
                time.sleep(0.01)
            time.sleep(0.1)
            yield Progress(blocks_done=2, blocks_total=2, bytes_done=2, bytes_total=2)

        def cancel(self) -> None:
            """As of a real one: too late."""

        close = cancel

    monkeypatch.setattr("napari_ome_ngff.plugin.save.request.start_writing", lambda *_, **__: LateWriting())
    press_cancel(viewer, seen)
    target = str(tmp_path / "a.ome.zarr")
    assert write_layers(target, [(np.zeros((4, 4), "uint8"), {"name": "a"}, "image")]) == [target]


@pytest.mark.parametrize("saves", [True, False])
def test_in_a_window_what_is_not_kept_is_said_before_and_the_end_once(
    viewer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saves: bool
) -> None:
    from napari.utils.colormaps import Colormap
    from napari.utils.notifications import notification_manager

    asked: list[str] = []
    monkeypatch.setattr(
        "napari_ome_ngff.plugin.save.progress.confirm",
        lambda question, details, action: asked.append(details) or saves,
    )
    colors = Colormap([[0, 0, 0, 1], [1, 0, 0, 1], [0, 1, 0, 1]], name="mine")
    viewer.add_image(np.zeros((8, 8)), name="a", colormap=colors)
    viewer.add_points([[0, 0]], name="spots")
    viewer.window._qt_window.show()  # what is told to a hidden window waits until it is seen
    count = len(notification_manager.records)
    viewer.layers.save(str(tmp_path / "a.ome.zarr"), plugin=NAME)
    (question,) = asked
    assert question.startswith("Points layer 'spots' is not saved")
    assert (tmp_path / "a.ome.zarr").exists() == saves
    (told,) = [note.message for note in notification_manager.records[count:] if "aved" in note.message]
    assert told.startswith("Saved a.ome.zarr" if saves else "Nothing was saved")
    assert "spots" not in told
    assert ("last colour of its colormap" in told) == saves
    assert viewer.status.startswith("Saved a.ome.zarr") == saves


def test_a_save_from_another_thread_runs_there(qapp: Any, tmp_path: Path) -> None:
    done: list[list[str]] = []
    layer = (np.zeros((4, 4), "uint8"), {"name": "a"}, "image")
    thread = threading.Thread(target=lambda: done.append(write_layers(str(tmp_path / "a"), [layer])))
    thread.start()
    thread.join(60)
    assert done == [[str(tmp_path / "a.ome.zarr")]]
