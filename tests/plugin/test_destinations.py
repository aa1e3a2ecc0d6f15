"""Where a save goes: labels onto images that are there, collections, one store each. With real files."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
import zarr
from napari.components import ViewerModel
from napari.utils.colormaps import AVAILABLE_COLORMAPS

from napari_ome_ngff import MultiscaleSource, open_ome_ngff
from napari_ome_ngff.errors import OmeNgffError, OmeNgffWarning, TargetError
from napari_ome_ngff.metadata.nouns import Axis
from napari_ome_ngff.plugin.edit import metadata_or_copy
from napari_ome_ngff.plugin.origin import METADATA_KEY, LayerData
from napari_ome_ngff.plugin.reader import read_layers
from napari_ome_ngff.plugin.save.bundles import Bundle
from napari_ome_ngff.plugin.save.destinations import TargetState, decide, destinations, inspect_target
from napari_ome_ngff.plugin.save.form import SEVERAL, Form
from napari_ome_ngff.plugin.save.from_layers import from_layers
from napari_ome_ngff.plugin.save.request import Outcome, preview, start_writing
from napari_ome_ngff.plugin.save.request import write as carry_out
from napari_ome_ngff.plugin.writer import write_layers
from napari_ome_ngff.writing.plan.options import StorageOptions
from tests.reading.test_replaced_meanwhile import leave_aside
from tests.writing.test_recovery import everything

VERSIONS = ["0.4", "0.5", "0.6"]
SHAPE = (3, 1100, 600)


COLORMAPS = tuple(AVAILABLE_COLORMAPS)
"""Those of napari: it adds to them what the layers of other tests had."""

ZYX = ("z", "y", "x")
"""Names of axes, without which it is said what they are taken for."""


def image(name: str = "cells", shape: tuple[int, ...] = SHAPE, **meta: Any) -> LayerData:
    values = np.arange(np.prod(shape)).reshape(shape).astype("uint16")
    return values, {"name": name, **meta}, "image"


def labels(name: str = "nuclei", value: int = 7, shape: tuple[int, ...] = SHAPE, **meta: Any) -> LayerData:
    return np.full(shape, value, "int32"), {"name": name, **meta}, "labels"


def write(target: Path, layers: list[LayerData], version: str = "0.5", **options: Any) -> None:
    bundles, _ = from_layers(layers)
    for place in destinations(bundles, str(target), **options):
        start_writing(place, StorageOptions(version=version)).run()


def save(target: Path, layers: list[LayerData], **choices: Any) -> Outcome:
    """Save as a user who chose these things, and return how it ended."""
    asked = preview(Form(target=str(target), **choices), layers)
    if asked.request is None:
        return Outcome(error=asked.problem)
    steps = carry_out(asked.request, asked.places, Event())
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def digests(folder: Path) -> dict[str, str]:
    """Digest and inode of every file."""
    return {
        path.relative_to(
            folder
        ).as_posix(): f"{path.stat().st_ino} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def others(found: dict[str, str], *names: str) -> dict[str, str]:
    """Files outside of these label images and of the list of label images."""
    listing = ("labels/zarr.json", "labels/.zattrs", "labels/.zgroup")
    return {
        path: digest
        for path, digest in found.items()
        if path not in listing and not any(path.startswith(f"labels/{name}/") for name in names)
    }


def listed(target: Path) -> list[str]:
    attributes = zarr.open_group(target / "labels", mode="r").attrs.asdict()
    return list(attributes.get("ome", attributes)["labels"])


# What is decided


def bundle(*paths: str, **opened: str) -> Bundle:
    found = {f"labels/{name}": location for name, location in opened.items()}
    return Bundle(name="x", sources={path: MultiscaleSource() for path in paths}, opened=found)


NOTHING, OTHER = TargetState(kind="nothing"), TargetState(kind="other")
IMAGE, WITH_B = TargetState(kind="image"), TargetState(kind="image", labels=("b",))


@pytest.mark.parametrize(
    ("given", "state", "action", "asks"),
    [
        (bundle(""), NOTHING, "new", False),
        (bundle("labels/a"), NOTHING, "new", False),
        (bundle("", "labels/a"), IMAGE, "replace", True),
        (bundle(""), OTHER, "replace", True),
        (bundle("labels/a"), OTHER, "replace", True),
        (None, IMAGE, "replace", True),
        (bundle("labels/a"), WITH_B, "labels", False),
        (bundle("labels/a", "labels/b"), WITH_B, "labels", True),
        (bundle("labels/b", b="/d/x.zarr/labels/b"), WITH_B, "labels", False),
        (bundle("labels/b", b="/d/y.zarr/labels/b"), WITH_B, "labels", True),
        (bundle("labels/b", b="/d/x.zarr/labels/a"), WITH_B, "labels", True),
    ],
)
def test_labels_alone_are_added_and_all_else_replaces(
    given: Bundle | None, state: TargetState, action: str, asks: bool
) -> None:
    found = decide("/d/x.zarr", {} if given is None else given.sources, given, state)
    assert (found.action, found.asks) == (action, asks)
    assert list(found.sources) == list(given.labels if action == "labels" and given else found.sources)


def test_what_will_happen_is_said_in_one_sentence() -> None:
    found = decide("/d/x.zarr", {}, bundle("labels/a", "labels/b"), TargetState(kind="image", labels=("b",)))
    assert found.note == "Label images of x.zarr: a is added; b is replaced. The image stays as it is."
    assert decide("/d/x.zarr", {}, bundle(""), TargetState(kind="nothing")).note == ""


def test_what_is_there_is_told_apart(tmp_path: Path) -> None:
    write(tmp_path / "a.zarr", [image(shape=(8, 8)), labels(shape=(8, 8))], "0.4")
    write(tmp_path / "l.zarr", [labels(shape=(8, 8))])
    write(tmp_path / "c.zarr", [image(shape=(8, 8)), image(shape=(9, 9))])
    (tmp_path / "notes.zarr").write_text("mine")
    axes = (Axis(name="y", type="space"), Axis(name="x", type="space"))
    found = inspect_target(str(tmp_path / "a.zarr"))
    assert found == TargetState(kind="image", labels=("nuclei",), axes=axes)
    assert inspect_target(str(tmp_path / "c.zarr" / "1")) == TargetState(kind="image", axes=axes)
    for path in ("l.zarr", "c.zarr", "notes.zarr", "a.zarr/labels/nuclei", "a.zarr/labels", "a.zarr/0"):
        assert inspect_target(str(tmp_path / path)).kind == "other", path
    assert (
        inspect_target("s3://nowhere/a.zarr").kind
        == inspect_target(str(tmp_path / "no.zarr")).kind
        == "nothing"
    )


# Labels onto an image


@pytest.mark.parametrize("version", VERSIONS)
def test_labels_onto_an_image_touch_nothing_else(version: str, tmp_path: Path) -> None:
    target = tmp_path / "a.ome.zarr"
    write(target, [image(), labels("first", 1), labels("second", 2), labels("third", 3)], version)
    before = digests(target)
    with pytest.warns(OmeNgffWarning, match="new is added. The image stays as it is"):
        assert write_layers(str(target), [labels("new", 4, colormap={1: (1, 0, 0, 1)})]) == [str(target)]
    assert others(digests(target), "new") == others(before)
    assert listed(target) == ["first", "second", "third", "new"]
    opened = open_ome_ngff(target)
    new = opened.labels["new"]
    assert [a.shape for a in new.arrays.values()] == [a.shape for a in opened.arrays.values()]
    assert len(new.arrays) > 1
    assert (new.arrays["0"].values == 4).all()
    assert new.multiscale.version == version
    assert new.multiscale.label_image.colors == {1: (255, 0, 0, 255)}
    assert new.multiscale.label_image.source == "../../"
    assert os.listdir(tmp_path) == ["a.ome.zarr"]


@pytest.mark.parametrize("version", VERSIONS)
def test_an_edited_label_image_goes_back_where_it_came_from(version: str, tmp_path: Path) -> None:
    target = tmp_path / "a.ome.zarr"
    table = {"index": [1], "kind": ["old"]}
    write(
        target, [image(), labels("first", 1), labels("nuclei", 2, features=table), labels("last", 3)], version
    )
    before = digests(target)
    data, meta, _ = next(layer for layer in read_layers(str(target)) if layer[1]["name"] == "nuclei")
    edited = np.asarray(data[0]).copy()
    edited[0, :2] = 9
    changed = {
        "features": {"index": [9], "kind": ["new"]},
        "colormap": {9: (0, 1, 0, 1)},
        "multiscale": False,
    }
    with pytest.warns(OmeNgffWarning, match="nuclei is replaced"):
        write_layers(str(target), [(edited, meta | changed, "labels")])
    assert others(digests(target), "nuclei") == others(before, "nuclei")
    assert listed(target) == ["first", "nuclei", "last"]
    again = open_ome_ngff(target).labels["nuclei"]
    assert len(again.arrays) == len(open_ome_ngff(target).arrays)
    np.testing.assert_array_equal(again.arrays["0"].values, edited)
    assert again.multiscale.label_image.properties == ({"label-value": 9, "kind": "new"},)
    assert again.multiscale.label_image.colors == {9: (0, 255, 0, 255)}


def test_a_label_image_can_be_read_from_what_it_replaces(tmp_path: Path) -> None:
    """Its pixels are copied before the old ones go: only names, colours and tables may have changed."""
    target = tmp_path / "a.ome.zarr"
    write(target, [image(), labels("nuclei", 2)])
    data, meta, kind = next(layer for layer in read_layers(str(target)) if layer[2] == "labels")
    with pytest.warns(OmeNgffWarning, match="replaced"):
        write_layers(str(target), [(data, meta | {"colormap": {2: (1, 1, 0, 1)}}, kind)])
    again = open_ome_ngff(target).labels["nuclei"]
    assert (again.arrays["0"].values == 2).all()
    assert again.multiscale.label_image.colors == {2: (255, 255, 0, 255)}
    np.testing.assert_array_equal(np.asarray(data[0][0, :3, :3]), 2)  # and what is shown can still be read


def test_a_label_image_of_others_is_replaced_only_if_asked(tmp_path: Path) -> None:
    target = tmp_path / "a.ome.zarr"
    write(target, [image(), labels("nuclei", 2)])
    before = digests(target)
    with pytest.raises(TargetError, match="has a label image 'nuclei' already"):
        write_layers(str(target), [labels("nuclei", 3)])
    assert digests(target) == before
    assert save(target, [labels("nuclei", 3)], overwrite=True).paths == (str(target),)
    assert (open_ome_ngff(target).labels["nuclei"].arrays["0"].values == 3).all()


def test_labels_onto_images_inside_plates_and_collections(tmp_path: Path) -> None:
    plate = tmp_path / "plate.zarr"
    wells = [{"path": "A/1", "rowIndex": 0, "columnIndex": 0}]
    about = {"plate": {"rows": [{"name": "A"}], "columns": [{"name": "1"}], "wells": wells, "version": "0.5"}}
    zarr.create_group(plate, attributes={"ome": {"version": "0.5", **about}})
    zarr.create_group(plate, path="A")
    well = {"ome": {"version": "0.5", "well": {"images": [{"path": "0"}]}}}
    zarr.create_group(plate, path="A/1", attributes=well)
    write(tmp_path / "field.zarr", [image()])
    (tmp_path / "field.zarr").rename(plate / "A" / "1" / "0")
    write(tmp_path / "all.zarr", [image("one"), image("other", (9, 9))])
    for inside, outside in (
        (plate / "A" / "1" / "0", plate),
        (tmp_path / "all.zarr" / "0", tmp_path / "all.zarr"),
    ):
        before = digests(outside)
        with pytest.warns(OmeNgffWarning, match="is added"):
            assert write_layers(str(inside), [labels()]) == [str(inside)]
        after = digests(outside)
        assert {path: after[path] for path in before} == before
        new = set(after) - set(before)
        assert all(path.startswith(f"{inside.relative_to(outside).as_posix()}/labels/") for path in new)
        assert (open_ome_ngff(inside).labels["nuclei"].arrays["0"].values == 7).all()
    before = digests(tmp_path)
    for path in (plate, plate / "A", plate / "A/1", plate / "A/1/0/labels/nuclei"):
        with pytest.raises(OmeNgffError):
            write_layers(str(path), [labels(axis_labels=ZYX)])
    with pytest.raises(TargetError):
        write_layers(str(plate / "A/1/0"), [image(axis_labels=ZYX)])
    assert digests(tmp_path) == before
    assert write_layers(str(plate / "A/1/1"), [image(axis_labels=ZYX)]) == [str(plate / "A/1/1")]
    assert len(next(iter(open_ome_ngff(plate).images.values())).tiles) == 2


def test_what_is_drawn_on_time_is_time(tmp_path: Path) -> None:
    """napari gives drawn labels no names for their axes, and takes them for those of the image below."""
    units = ("second", "micrometer", "micrometer")
    movie = image("movie", (3, 8, 8), axis_labels=("t", "y", "x"), units=units)
    write(tmp_path / "together.zarr", [movie, labels("cells", shape=(3, 8, 8))])
    write(tmp_path / "later.zarr", [movie])
    with pytest.warns(OmeNgffWarning, match="cells is added"):
        write_layers(str(tmp_path / "later.zarr"), [labels("cells", shape=(3, 8, 8))])
    for path in ("together.zarr", "later.zarr"):
        found = open_ome_ngff(tmp_path / path).labels["cells"].multiscale
        assert found.dims == ("t", "y", "x")
        assert [axis.type for axis in found.axes] == ["time", "space", "space"]
        assert tuple(axis.unit for axis in found.axes) == units


def test_consolidated_metadata_hide_no_label_images(tmp_path: Path) -> None:
    """They are a copy of the metadata, made before somebody added a label image."""
    target = tmp_path / "a.ome.zarr"
    write(target, [image(shape=(8, 8))], "0.4")
    zarr.consolidate_metadata(target)
    for name in ("one", "two"):
        with pytest.warns(OmeNgffWarning, match="is added"):
            write_layers(str(target), [labels(name, shape=(8, 8))])
    assert listed(target) == ["one", "two"]


# Several images


@pytest.mark.parametrize("version", VERSIONS)
def test_a_collection_opens_as_it_was_saved(version: str, tmp_path: Path) -> None:
    layers = [
        image("DAPI", scale=[2, 0.5, 0.5], units=("micrometer",) * 3, colormap="blue"),
        image(
            "GFP", scale=[2, 0.5, 0.5], units=("micrometer",) * 3, colormap="green", contrast_limits=[3, 500]
        ),
        (
            np.random.default_rng(0).integers(0, 255, (40, 50, 3), "uint8"),
            {"name": "photo", "rgb": True},
            "image",
        ),
        labels("nuclei", scale=[2, 0.5, 0.5], units=("micrometer",) * 3),
        labels("marks", shape=(40, 50)),
    ]
    write(tmp_path / "all.zarr", layers, version)
    again = read_layers(str(tmp_path / "all.zarr"))
    assert [(kind, meta["name"]) for _, meta, kind in again] == [
        ("image", "DAPI"),
        ("image", "DAPI: GFP"),
        ("labels", "DAPI: nuclei"),
        ("image", "photo"),
        ("labels", "photo: marks"),
    ]
    order = [layers[i] for i in (0, 1, 3, 2, 4)]
    for (data, meta, _), (saved, given, _) in zip(again, order, strict=True):
        finest = data[0] if isinstance(data, list) else data
        np.testing.assert_array_equal(np.asarray(finest), saved)
        assert list(meta["scale"]) == given.get("scale", [1, 1])
        assert meta["metadata"][METADATA_KEY]["multiscale"].version == version
    assert again[1][1]["contrast_limits"] == (3, 500)
    # Saved again, it is the same collection: nothing of it is asked of the user.
    write_layers(str(tmp_path / "again.zarr"), again)
    for one, other in zip(again, read_layers(str(tmp_path / "again.zarr")), strict=True):
        assert one[1]["name"] == other[1]["name"]
        assert (
            one[1]["metadata"][METADATA_KEY]["multiscale"] == other[1]["metadata"][METADATA_KEY]["multiscale"]
        )


def test_a_collection_says_what_it_is(tmp_path: Path) -> None:
    layers = [image("a", (8, 8)), image("b", (9, 9)), labels("on b", shape=(9, 9))]
    write(tmp_path / "5.zarr", layers)
    write(tmp_path / "4.zarr", layers, "0.4")

    def said(path: str) -> dict[str, Any]:
        document = json.loads((tmp_path / path).read_text())
        return document.get("attributes", {}).get("ome", document)

    assert said("5.zarr/zarr.json") == {"version": "0.5", "bioformats2raw.layout": 3}
    assert said("5.zarr/OME/zarr.json") == {"version": "0.5", "series": ["0", "1"]}
    assert said("5.zarr/1/labels/zarr.json") == {"version": "0.5", "labels": ["on_b"]}
    assert said("5.zarr/1/labels/on_b/zarr.json")["image-label"]["source"] == {"image": "../../"}
    assert said("4.zarr/.zattrs") == {"bioformats2raw.layout": 3}
    assert said("4.zarr/OME/.zattrs") == {"series": ["0", "1"]}
    assert said("4.zarr/1/.zattrs")["multiscales"][0]["name"] == "b"


def test_a_collection_is_all_or_nothing_and_replaces_nothing(tmp_path: Path) -> None:
    target = tmp_path / "all.zarr"
    bundles, _ = from_layers([image("a"), image("b", (9, 9))])
    (place,) = destinations(bundles, str(target))
    steps = start_writing(place, StorageOptions(chunks=(256, 256)))
    for _ in range(4):
        next(steps)
    assert not target.exists()
    steps.close()
    assert os.listdir(tmp_path) == []
    write(target, [image("a", (8, 8))])
    before = digests(tmp_path)
    with pytest.raises(TargetError, match="Several images never replace what is there"):
        write_layers(str(target), [image("a", axis_labels=ZYX), image("b", (9, 9))])
    refused = save(target, [image("a"), image("b", (9, 9))], overwrite=True).error
    assert "Several images never replace what is there" in str(refused)
    assert digests(tmp_path) == before


def test_one_store_each_beside_each_other(tmp_path: Path) -> None:
    layers = [image("my cells", (8, 8)), image("dish", (9, 9)), labels("marks", shape=(9, 9))]
    written = save(tmp_path / "day1", layers, several=SEVERAL[1]).paths
    assert written == (str(tmp_path / "day1-my_cells.ome.zarr"), str(tmp_path / "day1-dish.ome.zarr"))
    assert sorted(os.listdir(tmp_path)) == ["day1-dish.ome.zarr", "day1-my_cells.ome.zarr"]
    assert [meta["name"] for _, meta, _ in read_layers(written[1])] == ["dish", "marks"]


def test_all_stores_are_checked_before_the_first_is_written(tmp_path: Path) -> None:
    write(tmp_path / "x-b.zarr", [image("b", (9, 9))])
    before = digests(tmp_path)
    refused = save(tmp_path / "x.zarr", [image("a", (8, 8)), image("b", (9, 9))], several=SEVERAL[1]).error
    assert "already" in str(refused)
    assert digests(tmp_path) == before


# In napari


@pytest.fixture
def plugin(npe2pm: Any) -> Iterator[None]:
    with npe2pm.tmp_plugin(package="napari-ome-ngff"):
        yield


def test_every_colormap_of_napari_comes_back(plugin: None, tmp_path: Path) -> None:
    viewer = ViewerModel()
    for name in COLORMAPS:
        viewer.add_image(np.zeros((8, 8), "uint8"), name=name, colormap=name)
    (written,) = viewer.layers.save(str(tmp_path / "a.ome.zarr"), plugin="napari-ome-ngff")
    again = ViewerModel()
    again.open(written, plugin="napari-ome-ngff")
    for layer, before in zip(again.layers, viewer.layers, strict=True):
        assert layer.name == before.name
        steps = np.linspace(0, 1, 64)
        shown, expected = (each.colormap.map(steps) for each in (layer, before))
        np.testing.assert_allclose(shown[:, :3], expected[:, :3], atol=0.02, err_msg=layer.name)


def test_two_files_in_one_window_are_saved_as_two_images(plugin: None, tmp_path: Path) -> None:
    """Same size, same names: napari calls the second "DAPI [1]", and so does no file."""
    for name, value in (("a", 1), ("b", 2)):
        write(
            tmp_path / f"{name}.zarr",
            [image("DAPI", (8, 9)), image("GFP", (8, 9)), labels("cells", value, (8, 9))],
        )
    viewer = ViewerModel()
    for name in ("a", "b"):
        viewer.open(str(tmp_path / f"{name}.zarr"), plugin="napari-ome-ngff")
    assert "cells [1]" in viewer.layers
    viewer.layers["GFP [1]"].name = "GFP of b"
    (written,) = viewer.layers.save(str(tmp_path / "both.zarr"), plugin="napari-ome-ngff")
    found = open_ome_ngff(written).images
    labelled = {name: [c.label for c in one.multiscale.channels] for name, one in found.items()}
    assert labelled == {"DAPI": ["DAPI", "GFP"], "DAPI (1)": ["DAPI", "GFP of b"]}
    assert [int(one.labels["cells"].arrays["0"].values[0, 0]) for one in found.values()] == [1, 2]
    # An edited copy goes back to the label image that it was copied from.
    viewer.layers.selection = {viewer.layers["cells [1]"]}
    with pytest.warns(OmeNgffWarning, match="cells is replaced"):
        viewer.layers.save(str(tmp_path / "b.zarr"), selected=True, plugin="napari-ome-ngff")
    assert listed(tmp_path / "b.zarr") == ["cells"]


def test_labels_are_drawn_on_an_image_and_saved_onto_it(plugin: None, tmp_path: Path) -> None:
    """Open, draw, save onto what is there, draw on, save again; and open it once more."""
    target = tmp_path / "a.ome.zarr"
    write(target, [image(), labels("old", 1)])
    before = digests(target)
    viewer = ViewerModel()
    viewer.open(str(target), plugin="napari-ome-ngff")
    drawn = viewer.add_labels(np.zeros(SHAPE, "int32"), name="mine", scale=viewer.layers[0].scale)
    drawn.paint((1, 50, 60), 3)
    drawn.features = {"index": [3], "kind": ["a"], "area": [np.nan]}
    viewer.layers.selection = {drawn}
    for times in range(2):
        with pytest.warns(OmeNgffWarning, match="mine is added" if times == 0 else "mine is replaced"):
            saved = viewer.layers.save(str(target), selected=True, plugin="napari-ome-ngff")
        assert saved == [str(target)]
        assert others(digests(target), "mine") == others(before)
        again = ViewerModel()
        again.open(str(target), plugin="napari-ome-ngff")
        assert [layer.name for layer in again.layers] == ["cells", "old", "mine"]
        np.testing.assert_array_equal(np.asarray(again.layers["mine"].data[0]), drawn.data)
        assert again.layers["mine"].features["kind"].tolist() == ["a"]
        # From now on it is the file's: saving it again needs no permission.
        drawn.metadata = again.layers["mine"].metadata
        drawn.paint((2, 90, 90), 5)


def test_what_is_not_replaced_stays_in_the_window(
    plugin: None, make_napari_viewer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The image keeps the contrast that nobody has saved, and an edited copy its edits."""
    monkeypatch.setattr(metadata_or_copy, "choose", lambda *_: metadata_or_copy.COPY)
    target = tmp_path / "a.ome.zarr"
    write(target, [image(), labels("nuclei", 2), labels("other", 3)])
    viewer = make_napari_viewer()
    shown = {layer.name: layer for layer in viewer.open(str(target), plugin="napari-ome-ngff")}
    shown["cells"].contrast_limits = (5, 50)
    data, meta, _ = shown["other"].as_layer_data_tuple()
    edited = viewer.add_labels(np.asarray(data[0]) + 1, metadata=meta["metadata"], name="other edited")
    shown["nuclei"].colormap = {None: (0, 0, 0, 0), 2: (1, 1, 0, 1)}
    viewer.layers.selection = {shown["nuclei"]}
    viewer.layers.save(str(target), selected=True, plugin="napari-ome-ngff")
    assert all(layer in viewer.layers for layer in (shown["cells"], shown["other"], edited))
    assert shown["cells"].contrast_limits == [5, 50]
    assert shown["nuclei"] not in viewer.layers
    again = viewer.layers["nuclei"]
    assert again.colormap.color_dict[2].tolist() == [1, 1, 0, 1]
    assert tuple(again.scale) == tuple(shown["nuclei"].scale)
    assert len(viewer.layers) == 4


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_preview_sees_what_an_interrupted_save_left_beside_and_moves_nothing(
    overwrite: bool, tmp_path: Path
) -> None:
    target = tmp_path / "a.ome.zarr"
    write(target, [image(shape=(8, 8)), labels(shape=(8, 8))])
    state = inspect_target(str(target))
    leave_aside(target)
    before = everything(tmp_path)
    assert inspect_target(str(target)) == state
    shown = preview(Form(target=str(target), overwrite=overwrite), [image(shape=(8, 8))])
    assert shown.taken is not overwrite
    added = preview(Form(target=str(target)), [labels("others", shape=(8, 8))])
    assert [place.action for place in added.places] == ["labels"]
    assert everything(tmp_path) == before
