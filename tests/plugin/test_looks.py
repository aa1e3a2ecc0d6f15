"""What OME-Zarr has no word for comes back in napari, and nothing is written of what is as usual."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from napari.components import ViewerModel
from napari.layers import Layer

from napari_ome_ngff import open_ome_ngff
from napari_ome_ngff.errors import OmeNgffWarning
from napari_ome_ngff.plugin.looks import LOOKS_KEY
from napari_ome_ngff.plugin.open import viewer_hooks
from napari_ome_ngff.plugin.open.to_layers import to_layers
from napari_ome_ngff.plugin.open.viewer_hooks import draw_contours, with_contours
from napari_ome_ngff.plugin.reader import read_layers
from napari_ome_ngff.plugin.writer import write_layers

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)
IMAGE = st.fixed_dictionaries(
    {},
    optional={
        "opacity": st.floats(0, 1),
        "gamma": st.floats(0.2, 2),
        "blending": st.sampled_from(["translucent_no_depth", "translucent", "additive", "minimum", "opaque"]),
        "interpolation2d": st.sampled_from(["nearest", "linear", "cubic", "kaiser", "spline36"]),
        "interpolation3d": st.sampled_from(["nearest", "linear", "cubic"]),
        "rendering": st.sampled_from(["mip", "iso", "attenuated_mip", "minip", "average", "additive"]),
        "attenuation": st.floats(0, 0.5),
        "iso_threshold": st.floats(0, 200),
    },
)
LABELS = st.fixed_dictionaries(
    {},
    optional={
        "opacity": st.floats(0, 1),
        "blending": st.sampled_from(["translucent", "additive", "translucent_no_depth"]),
        "rendering": st.sampled_from(["iso_categorical", "translucent"]),
        "iso_gradient_mode": st.sampled_from(["fast", "smooth"]),
        "contour": st.integers(0, 5),
    },
)


ALL_KEYS = (
    *("opacity", "gamma", "blending", "interpolation2d", "interpolation3d", "rendering", "attenuation"),
    *("iso_threshold", "iso_gradient_mode", "contour"),
)


def layers_of(path: Path) -> list[Layer]:
    """The layers that a viewer gets."""
    viewer = ViewerModel()
    viewer.layers.events.inserted.connect(draw_contours)
    for data, meta, kind in read_layers(str(path)):
        viewer.add_layer(Layer.create(data, dict(meta), kind))
    return list(viewer.layers)


def tuples_of(layers: list[Layer]) -> list[Any]:
    """As `with_contours` gives them, for layers of a window."""
    tuples = ((layer, *layer.as_layer_data_tuple()) for layer in layers)
    return [(d, {**m, "contour": getattr(layer, "contour", 0)}, k) for layer, d, m, k in tuples]


def save(path: Path, layers: list[Layer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_ome_ngff.plugin.writer.with_contours", lambda given: given)
    write_layers(str(path), tuples_of(layers))


def three() -> list[Layer]:
    pixels = np.arange(3 * 16 * 16, dtype="uint8").reshape(3, 16, 16)
    viewer = ViewerModel()
    names = ("z", "y", "x")
    viewer.add_image(np.stack([pixels, pixels]), channel_axis=0, name=["a", "b"], axis_labels=names)
    viewer.add_labels(pixels // 64, name="cells", axis_labels=names)
    return list(viewer.layers)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=8)
@given(looks=st.tuples(IMAGE, IMAGE, LABELS), order=st.permutations(range(3)))
def test_it_looks_as_it_was_saved(
    looks: tuple[dict[str, Any], ...],
    order: list[int],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    layers, folder = three(), tmp_path_factory.mktemp("looks")
    for layer, chosen in zip(layers, looks, strict=True):
        for key, value in chosen.items():
            setattr(layer, key, value)
    layers = [layers[i] for i in order]
    save(folder / "a.ome.zarr", layers, monkeypatch)
    opened = layers_of(folder / "a.ome.zarr")
    assert [layer.name for layer in opened] == [layer.name for layer in layers]
    for before, after in zip(layers, opened, strict=True):
        for key in looks[("a", "b", "cells").index(before.name)]:
            if key == "blending" and before is layers[0] and getattr(before, key) == "translucent_no_depth":
                continue  # the lowest layer looks the same if it is added
            if key != "iso_threshold" or before.rendering == "iso":
                assert getattr(after, key) == getattr(before, key), key
    save(folder / "b.ome.zarr", opened, monkeypatch)
    one, other = ((folder / name / "zarr.json").read_text() for name in ("a.ome.zarr", "b.ome.zarr"))
    assert json.loads(one)["attributes"].get(LOOKS_KEY) == json.loads(other)["attributes"].get(LOOKS_KEY)


def test_nothing_is_noted_of_what_is_as_usual(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layers, target = three(), tmp_path / "a.ome.zarr"
    save(target, layers, monkeypatch)
    assert LOOKS_KEY not in open_ome_ngff(target).attributes
    opened = layers_of(target)
    opened[0].gamma = 0.5
    save(tmp_path / "b.ome.zarr", opened, monkeypatch)
    assert open_ome_ngff(tmp_path / "b.ome.zarr").attributes[LOOKS_KEY] == {"layers": [{"gamma": 0.5}, {}]}
    opened = layers_of(tmp_path / "b.ome.zarr")
    opened[0].gamma = 1
    save(tmp_path / "c.ome.zarr", opened, monkeypatch)
    assert LOOKS_KEY not in open_ome_ngff(tmp_path / "c.ome.zarr").attributes


def test_what_lies_on_something_is_not_added_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b, cells = three()
    assert a.blending == "translucent_no_depth"
    save(tmp_path / "a.ome.zarr", [cells, a, b], monkeypatch)
    assert [layer.blending for layer in layers_of(tmp_path / "a.ome.zarr")[1:]] == [a.blending, b.blending]


def test_layers_that_no_window_shows_keep_what_their_file_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers, target = three(), tmp_path / "a.ome.zarr"
    layers[2].contour = 3
    save(target, layers, monkeypatch)
    monkeypatch.undo()
    write_layers(str(tmp_path / "b.ome.zarr"), read_layers(str(target)))
    assert layers_of(tmp_path / "b.ome.zarr")[2].contour == 3


def test_a_layer_has_the_contours_of_its_own_viewer(monkeypatch: pytest.MonkeyPatch) -> None:
    viewers = [ViewerModel(), ViewerModel()]
    for contour, viewer in enumerate(viewers, 1):
        viewer.add_labels(np.ones((4, 4), int), name="cells").contour = contour
    monkeypatch.setattr(viewer_hooks, "open_viewers", lambda: viewers)
    tuples = [viewer.layers[0].as_layer_data_tuple() for viewer in viewers]
    assert [meta["contour"] for _, meta, _ in with_contours(tuples)] == [1, 2]


ENTRIES = st.dictionaries(st.sampled_from([*ALL_KEYS, "other"]), VALUES)
HOSTILE = VALUES | st.fixed_dictionaries(
    {"layers": st.lists(ENTRIES), "order": st.lists(st.sampled_from(["0", "1", "labels/cells", ""])) | VALUES}
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@example(value={"layers": [{"iso_threshold": 1.0, "contour": 2, "iso_gradient_mode": "smooth"}]})
@given(value=HOSTILE)
@pytest.mark.filterwarnings("ignore::napari_ome_ngff.errors.OmeNgffWarning")
def test_whatever_the_key_holds_the_image_opens(
    value: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "a.ome.zarr"
    if not target.exists():
        save(target, three(), monkeypatch)
    for group in (target, target / "labels" / "cells"):
        document = group / "zarr.json"
        content = json.loads(document.read_text())
        content["attributes"][LOOKS_KEY] = value
        content.pop("consolidated_metadata", None)
        document.write_text(json.dumps(content))
    assert sorted(layer.name for layer in layers_of(target)) == ["a", "b", "cells"]


def test_what_no_layer_can_have_is_left_out_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers, target = three(), tmp_path / "a.ome.zarr"
    layers[0].gamma = 0.5
    save(target, layers, monkeypatch)
    document = target / "zarr.json"
    document.write_text(document.read_text().replace('"gamma": 0.5', '"gamma": -1, "opacity": 0.25'))
    with pytest.warns(OmeNgffWarning, match="gamma of 'a' cannot be"):
        first = to_layers(open_ome_ngff(target))[0][1]
    assert first["opacity"] == 0.25
    assert "gamma" not in first
