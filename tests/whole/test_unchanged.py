"""What was opened is saved as it was, to the last key; of what was changed, nothing but that differs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr

from napari_ome_ngff import (
    MultiscaleSource,
    model_multiscale_group,
    open_ome_ngff,
    read_multiscale_group,
    write_hierarchy,
    write_multiscale_group,
)
from napari_ome_ngff.metadata.image.datasets import listed_paths
from napari_ome_ngff.plugin.names import image_name
from napari_ome_ngff.plugin.open.to_layers import to_layers
from napari_ome_ngff.plugin.origin import LayerData
from napari_ome_ngff.plugin.reader import read_layers
from napari_ome_ngff.plugin.save.from_layers import file_version, from_layers
from tests.whole.test_corpus import IMAGES, metadata

Document = Mapping[str, Any]

TOO_ODD = ("all_0.6", "wave_0.9", "n5-universe", "warning/image-01")
"""Drafts, what breaks rules (a translation before a scale), and levels of different data types."""

EXPLAINED = {
    # The specification asks for these.
    r"\+ labels ome\.version": "0.5: every group says the version",
    r"\+ (omero|image-label)\.version": "0.4: these should say the version too",
    r"- ome\.(omero|image-label)\.version": "0.5: no version but that of the group",
    r"\+ (ome\.)?multiscales\[0\]\.name": "an image should have a name",
    r"\+ (ome\.)?image-label\.source": "what it is by default, said",
}
"""All differences that there are, and why."""


def documents(root: Path) -> dict[str, Document]:
    """Attributes of an image's group, label images, levels and the groups between them, by path."""
    found: dict[str, Document] = {}
    for path in ("", "labels", *(f"labels/{group.name}" for group in (root / "labels").glob("*"))):
        found |= attributes_at(root, path)
        for level in listed_paths(found.get(path, {})):
            found |= attributes_at(root, f"{path}/{level}".strip("/"))
    return found


def attributes_at(root: Path, path: str) -> dict[str, Document]:
    for name in ("zarr.json", ".zattrs"):
        if (root / path / name).is_file():
            document = json.loads((root / path / name).read_text())
            return {path: document.get("attributes", {}) if name == "zarr.json" else document}
    return {}


def saved(layers: list[LayerData], name: str = "cells") -> dict[str, Document]:
    """The same for what these layers would be saved as."""
    (bundle,) = from_layers(layers, name=name)[0]
    version = file_version(layers)
    assert version is not None
    nodes = model_multiscale_group(sources=bundle.sources, ngff_version=version).to_flat()
    # As text and back: a tuple is a list.
    return {path.lstrip("/"): json.loads(json.dumps(dict(node.attributes))) for path, node in nodes.items()}


def differences(before: Any, after: Any, at: str = "") -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted({*before, *after}):
            place = f"{at}.{key}".lstrip(".")
            if key not in before:
                yield f"+ {place} {after[key]}"
            elif key not in after:
                yield f"- {place} {before[key]}"
            else:
                yield from differences(before[key], after[key], place)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from differences(one, other, f"{at}[{index}]")
    elif before != after:
        yield f"~ {at} {before} -> {after}"


def all_differences(before: Mapping[str, Document], after: Mapping[str, Document]) -> list[str]:
    found = []
    for path in sorted({*before, *after}):
        lines = differences(dict(before.get(path, {})), dict(after.get(path, {})))
        prefix = "" if re.fullmatch("|labels/[^/]+", path) else f"{path} "
        found += [f"{line[:2]}{prefix}{line[2:]}" for line in lines]
    return found


def released(root: Path) -> bool:
    """Whether a file is in a version that is written."""
    ome = metadata(root)
    return str(ome.get("version") or ome["multiscales"][0].get("version")) in ("0.4", "0.5", "0.6")


@pytest.mark.filterwarnings("ignore::napari_ome_ngff.errors.OmeNgffWarning")
def test_every_file_of_the_corpus_is_saved_as_it_was(corpus: Path) -> None:
    seen = 0
    left = {}
    for path in IMAGES:
        root = corpus / path
        if any(word in path for word in TOO_ODD) or not released(root):
            continue
        before, after = documents(root), saved(read_layers(str(root)), image_name(str(root)))
        if before.get("labels") == {"labels": []}:
            del before["labels"]  # a list of label images without any
        without_new_levels(before[""], after[""])
        lines = [
            line
            for line in all_differences(before, after)
            if not any(re.match(pattern, line) for pattern in EXPLAINED)
        ]
        left |= {path: lines} if lines else {}
        seen += 1
    assert left == {}
    assert seen >= 50


def without_new_levels(before: Document, after: Document) -> None:
    """Take out the lower levels that a large image with a single one gets, and how they were made."""
    one, other = ((own.get("ome", own)["multiscales"][0]) for own in (before, after))
    if len(one["datasets"]) == 1 < len(other["datasets"]):
        other["datasets"] = other["datasets"][:1]
        for key in ("type", "metadata"):
            other.pop(key)
            one.pop(key, None)


CHANGES = {
    "name": (r"~ (ome\.)?omero\.channels\[0\]\.label", {"name": "renamed"}),
    "colour": (r"~ (ome\.)?omero\.channels\[0\]\.color", {"colormap": "yellow"}),
    "contrast": (r"~ (ome\.)?omero\.channels\[0\]\.window\.\w+", {"contrast_limits": (3, 77)}),
    "visible": (r"~ (ome\.)?omero\.channels\[0\]\.active", {"visible": False}),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(
    "path",
    [
        "generated/ome-zarr-py-0.21/classes_0.4.zarr",
        "generated/ome-zarr-py-0.21/classes_0.5.zarr",
        "generated/ome-zarr-py-0.21/classes_0.6.zarr",
        "ome-zarr-fiji-java/testdata/5d_testing/5d_dataset_v5.ome.zarr",
    ],
)
def test_what_was_changed_is_all_that_differs(corpus: Path, path: str, change: str) -> None:
    pattern, arguments = CHANGES[change]
    layers = read_layers(str(corpus / path))
    before = saved(layers)
    data, meta, kind = layers[0]
    after = saved([(data, meta | arguments, kind), *layers[1:]])
    found = all_differences(before, after)
    assert found
    assert [line for line in found if not re.match(pattern, line)] == []


def test_a_file_without_colours_gets_them_when_one_is_changed(tmp_path: Path) -> None:
    store = plain_file(zarr.storage.MemoryStore(), "0.5")
    layers = to_layers(open_ome_ngff(store))
    assert "omero" not in saved(layers)[""]["ome"]
    data, meta, kind = layers[0]
    channels = saved([(data, meta | {"colormap": "red"}, kind), *layers[1:]])[""]["ome"]["omero"]["channels"]
    assert [channel["color"] for channel in channels] == ["FF0000", "00FF00"]


def plain_file(store: Any, version: str) -> Any:
    """An image with two channels and a label image, that says no more than it must."""
    pixels = np.arange(2 * 8 * 8, dtype="uint16").reshape(2, 8, 8)
    image = pixels, {"axis_labels": ("c", "y", "x"), "name": "cells"}, "image"
    labels = pixels[0], {"name": "nuclei", "features": {"index": [1], "area": [5.0]}}, "labels"
    (bundle,) = from_layers([image, labels])[0]
    for _ in write_hierarchy(store=store, path="", sources=bundle.sources, ngff_version=version):
        pass
    return store


# Keys of others


def strange(value: Any) -> Any:
    """The same JSON with a key of somebody else in every object that may have one, at every depth."""
    if isinstance(value, list):
        return [strange(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {key: strange(item) for key, item in value.items()}
    # "input" and "output" are references: nothing is said of more in them.
    return {key: value[key] if key in ("input", "output") else item for key, item in found.items()} | {
        "@of others": {"kept": [1, None, "x"]}
    }


@pytest.mark.parametrize("version", ["0.4", "0.5", "0.6"])
def test_keys_of_others_survive_at_every_depth(tmp_path: Path, version: str) -> None:
    root = tmp_path / "a.ome.zarr"
    plain_file(str(root), version)
    before = {}
    for path in ("", "labels/nuclei"):
        file = root / path / (".zattrs" if version == "0.4" else "zarr.json")
        document = json.loads(file.read_text())
        own = document if version == "0.4" else document["attributes"]["ome"]
        if not path:
            window = {"start": 5, "end": 100, "min": 0, "max": 255}
            shown = [{"label": name, "color": "FF0000", "active": True, "window": window} for name in "ab"]
            own["omero"] = {"channels": shown, "rdefs": {"model": "color"}}
            own["omero"] |= {"version": "0.4"} if version == "0.4" else {}
        else:
            own["image-label"]["colors"] = [{"label-value": 1, "rgba": [255, 0, 0, 255]}]
        own |= strange(own)
        own.pop("@of others", None)
        own["_creator"] = {"name": "someone"}
        file.write_text(json.dumps(document))
        before[path] = document if version == "0.4" else document["attributes"]
    after = saved(read_layers(str(root)))
    assert [line for path, own in before.items() for line in differences(own, dict(after[path]))] == []
    assert str(after).count("@of others") == str(before).count("@of others") >= 20


def with_others_around(root: Path, version: str) -> dict[str, Document]:
    """Make an image with keys of others on levels and on the groups around them, and return these by path."""
    pixels = xr.DataArray(np.arange(2 * 8 * 6, dtype="uint16").reshape(2, 8, 6), dims=("c", "y", "x"))
    levels = {"scale0/image": pixels, "scale1/image": pixels[:, ::2, ::2]}
    labels = {"nuclei": MultiscaleSource(image=pixels[0])}
    options = {"ngff_version": version, "chunks": (1, 4, 4), "shards": None}
    list(write_multiscale_group(store=str(root), arrays=levels, labels=labels, **options))
    found: dict[str, Document] = {}
    for path in ("labels", "labels/nuclei/0", "scale0", "scale1", "scale0/image", "scale1/image"):
        file = root / path / (".zattrs" if version == "0.4" else "zarr.json")
        document = json.loads(file.read_text()) if file.exists() else {}
        own = document if version == "0.4" else document.setdefault("attributes", {})
        own["@of others"] = {"of": path}
        if path == "labels":
            own.setdefault("ome", {})["@inside"] = [1]
        if path == "scale0/image":
            own["_ARRAY_DIMENSIONS"] = ["c", "y", "x"]
        file.write_text(json.dumps(document))
        found[path] = own
    return found


@pytest.mark.parametrize("version", ["0.4", "0.5", "0.6"])
def test_attributes_of_levels_and_of_the_groups_around_them_survive(tmp_path: Path, version: str) -> None:
    before = with_others_around(tmp_path / "a.ome.zarr", version)
    (bundle,) = from_layers(read_layers(str(tmp_path / "a.ome.zarr")))[0]
    for name, options in {"copied": {}, "encoded": {"chunks": (1, 8, 8)}}.items():
        root = tmp_path / f"{name}.ome.zarr"
        list(write_hierarchy(store=str(root), sources=bundle.sources, ngff_version=version, **options))
        after = documents(root)
        assert {path: after[path] for path in before} == before
    # Label images alone keep what is said of all of them.
    alone = {path: source for path, source in bundle.sources.items() if path}
    list(write_hierarchy(store=str(tmp_path / "b.zarr"), sources=alone, ngff_version=version))
    assert documents(tmp_path / "b.zarr")["labels"] == before["labels"]


def test_attributes_of_levels_survive_another_version(tmp_path: Path) -> None:
    before = with_others_around(tmp_path / "a.ome.zarr", "0.4")
    arrays = read_multiscale_group(zarr.open_group(tmp_path / "a.ome.zarr", mode="r"))
    list(write_multiscale_group(store=tmp_path / "b.zarr", arrays=arrays, ngff_version="0.5"))
    for path in arrays:
        array = zarr.open_array(tmp_path / "b.zarr", path=path, mode="r")
        assert array.attrs.asdict() == before[path]
        assert array.metadata.dimension_names == ("c", "y", "x")


def test_attributes_of_levels_do_not_outlive_their_pixels(tmp_path: Path) -> None:
    with_others_around(tmp_path / "a.ome.zarr", "0.5")
    arrays = read_multiscale_group(zarr.open_group(tmp_path / "a.ome.zarr", mode="r"))
    changed = {path: array + 1 for path, array in arrays.items()}
    list(write_multiscale_group(store=tmp_path / "b.zarr", arrays=changed))
    assert documents(tmp_path / "b.zarr")["scale0/image"] == {}


def test_label_images_keep_the_group_that_is_replaced_and_bring_along_their_own(tmp_path: Path) -> None:
    before = with_others_around(tmp_path / "a.ome.zarr", "0.5")["labels"]
    root = tmp_path / "b.ome.zarr"
    plain_file(str(root), "0.5")
    zarr.open_group(root, path="labels").attrs["mine"] = 1
    (bundle,) = from_layers(read_layers(str(tmp_path / "a.ome.zarr")))[0]
    list(write_hierarchy(store=str(root), sources=bundle.sources, overwrite=True))
    assert documents(root)["labels"] == {**before, "mine": 1}


# Paths of levels


@pytest.mark.parametrize(
    ("size", "paths"), [(8, ["s0"]), (1100, ["s0", "s1", "s2"])], ids=["small", "large enough for levels"]
)
def test_a_single_level_keeps_its_path(tmp_path: Path, size: int, paths: list[str]) -> None:
    pixels = xr.DataArray(np.zeros((size, size), "uint8"), dims=("y", "x"))
    list(write_multiscale_group(store=str(tmp_path / "a.ome.zarr"), arrays={"s0": pixels}))
    written = saved(read_layers(str(tmp_path / "a.ome.zarr")))
    assert [item["path"] for item in written[""]["ome"]["multiscales"][0]["datasets"]] == paths
    assert sorted(path for path in written if path) == paths


def test_properties_that_a_table_cannot_hold_are_kept(tmp_path: Path) -> None:
    root = tmp_path / "a.ome.zarr"
    plain_file(str(root), "0.5")
    file = root / "labels" / "nuclei" / "zarr.json"
    document = json.loads(file.read_text())
    label = document["attributes"]["ome"]["image-label"]
    label |= {"properties": [{"label-value": 0}, {"label-value": 7}], "source": {"image": "../.."}}
    file.write_text(json.dumps(document))
    assert saved(read_layers(str(root)))["labels/nuclei"]["ome"]["image-label"] == label
