"""Metadata corrected in place: what is asked for is read then, and nothing else is touched."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_ome_ngff import (
    Axis,
    Channel,
    Image,
    LabelImage,
    MetadataError,
    MultiscaleSource,
    OptionError,
    StorageOptions,
    TargetError,
    UnsupportedError,
    Window,
    edit_metadata,
    open_ome_ngff,
    write_hierarchy,
)
from tests.strategies import VERSIONS

SHAPE = (2, 4, 24, 20)


def written(place: Any, version: str = "0.5") -> Any:
    """An image (c, z, y, x) of two levels, with a label image (z, y, x) at half its resolution."""
    image = xarray.DataArray(
        np.arange(np.prod(SHAPE), dtype="uint16").reshape(SHAPE),
        dims=("c", "z", "y", "x"),
        coords={"z": 5 + np.arange(4) * 2.0, "y": np.arange(24) * 0.5, "x": np.arange(20) * 0.5},
    )
    labels = xarray.DataArray(
        np.ones((4, 12, 10), "uint8"),
        dims=("z", "y", "x"),
        coords={"z": 5 + np.arange(4) * 2.0, "y": 0.25 + np.arange(12.0), "x": 0.25 + np.arange(10.0)},
    )
    channels = (Channel(label="DAPI", color="0000FF", extra={"family": "linear"}), Channel(label="GFP"))
    source = MultiscaleSource(image=image, levels=2, channels=channels, attributes={"mine": {"a": [1]}})
    label = MultiscaleSource(image=labels, levels=2, label_image=LabelImage(colors={1: (255, 0, 0, 255)}))
    sources = {"": source, "labels/cells": label}
    write_hierarchy(store=place, sources=sources, options=StorageOptions(version=version)).run()
    return place


def opened(place: Any) -> Image:
    image = open_ome_ngff(place)
    assert isinstance(image, Image)
    return image


def positions(image: Image) -> dict[str, dict[str, np.ndarray[Any, Any]]]:
    """Coordinates of every level of the image and of its label image, by dim."""
    every = {**image.arrays, **{f"labels/{k}": v for k, v in image.labels["cells"].arrays.items()}}
    return {
        path: {str(dim): array.coords[dim].values for dim in array.dims if dim in array.coords}
        for path, array in every.items()
    }


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {v: written(tmp_path_factory.mktemp(v.replace(".", "")) / "a.ome.zarr", v) for v in VERSIONS}


SIZES = st.floats(1e-3, 1e3)
STARTS = st.floats(-1e3, 1e3)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    version=st.sampled_from(VERSIONS),
    scale=st.dictionaries(st.sampled_from("zyx"), SIZES, min_size=1),
    translation=st.dictionaries(st.sampled_from("zyx"), STARTS),
)
def test_what_is_asked_for_is_read(
    version: str, scale: dict[str, float], translation: dict[str, float], originals: dict[str, Path]
) -> None:
    """Level 0 has the size and position that were asked for; all else keeps its place on level 0."""
    place = originals[version]
    before = positions(opened(place))
    edit_metadata(place, scale=scale, translation=translation)
    after = positions(opened(place))
    for path, dims in after.items():
        for dim, values in dims.items():
            if dim == "c":
                continue
            old, finest = before[path][dim], before["0"][dim]
            step = finest[1] - finest[0]
            size, start = scale.get(dim, step), translation.get(dim, finest[0])
            expected = start + (old - finest[0]) / step * size
            np.testing.assert_allclose(values, expected, rtol=1e-9, atol=1e-9 * (size + abs(start)))


def test_a_channel_that_gets_a_name_has_the_contrast_of_its_pixels() -> None:
    store = zarr.storage.MemoryStore()
    image = xarray.DataArray(np.arange(200, dtype="uint16").reshape(2, 10, 10), dims=("c", "y", "x"))
    write_hierarchy(store=store, sources={"": MultiscaleSource(image=image)}).run()
    edit_metadata(store, channels={0: {"label": "nuclei"}})
    first, second = opened(store).multiscale.channels
    assert (first.window.min, first.window.max, second.window.max) == (0, 99, 199)


@pytest.mark.parametrize("version", VERSIONS)
def test_only_documents_change_and_of_them_only_what_was_asked_for(version: str, tmp_path: Path) -> None:
    place = written(tmp_path / "a.ome.zarr", version)
    before, was = contents(place), opened(place).multiscale.channels[0].window
    keys = edit_metadata(
        place,
        name="embryo",
        units={"z": "micrometer", "y": "micrometer", "x": "micrometer"},
        channels={"DAPI": {"label": "nuclei", "window": Window(start=3, end=9)}, 1: {"active": False}},
    )
    after = contents(place)
    assert {key for key in after if after[key] != before.get(key)} == set(keys)
    assert all(key.endswith(("zarr.json", ".zattrs")) for key in keys)
    assert before.keys() == after.keys()
    assert not list(tmp_path.glob(".*"))
    image = opened(place)
    assert image.multiscale is not None
    assert image.multiscale.name == "embryo"
    assert [axis.unit for axis in image.multiscale.axes] == [None, *["micrometer"] * 3]
    first, second = image.multiscale.channels
    assert (first.label, first.color, first.extra) == ("nuclei", "0000FF", {"family": "linear"})
    assert first.window is not None
    assert (first.window.start, first.window.end, first.window.max) == (3, 9, was.max)
    assert (second.label, second.active) == ("GFP", False)
    assert image.attributes == {"mine": {"a": [1]}}
    labels = image.labels["cells"].multiscale
    assert labels is not None
    assert [axis.unit for axis in labels.axes] == ["micrometer"] * 3
    assert labels.label_image is not None
    assert labels.label_image.colors == {1: (255, 0, 0, 255)}


@pytest.mark.parametrize("version", VERSIONS)
def test_an_axis_gets_another_name_and_type(version: str, tmp_path: Path) -> None:
    """In the arrays too, where 0.5 and later name their dimensions."""
    store = zarr.storage.MemoryStore()
    movie = xarray.DataArray(np.zeros((3, 8, 8), "uint8"), dims=("z", "y", "x"))
    options = StorageOptions(version=version)
    write_hierarchy(store=store, sources={"": MultiscaleSource(image=movie)}, options=options).run()
    edit_metadata(store, axes={"z": Axis(name="t", type="time", unit="second")}, scale={"z": 20})
    image = opened(store)
    assert image.multiscale is not None
    assert image.multiscale.axes[0] == Axis(name="t", type="time", unit="second")
    assert image.arrays["0"].dims == ("t", "y", "x")
    assert image.arrays["0"].coords["t"].values.tolist() == [0, 20, 40]
    array = zarr.open_array(store, path="0", mode="r")
    names = array.metadata.to_dict().get("dimension_names") or array.attrs.get("_ARRAY_DIMENSIONS")
    assert names in (None, ("t", "y", "x"), ["t", "y", "x"])


def test_consolidated_copies_say_the_same(tmp_path: Path) -> None:
    for version in VERSIONS:
        place = written(tmp_path / f"{version}.ome.zarr", version)
        with pytest.warns(UserWarning, match="onsolidated") if version != "0.4" else _nothing():
            zarr.consolidate_metadata(str(place))
        edit_metadata(place, scale={"z": 7})
        for path in ("", "labels/cells"):
            consolidated = zarr.open_group(str(place), mode="r", use_consolidated=True)
            group = consolidated[path] if path else consolidated
            plain = zarr.open_group(str(place), path=path, mode="r", use_consolidated=False)
            assert group.attrs.asdict() == plain.attrs.asdict()
        assert "7" in json.dumps(consolidated.attrs.asdict())


@pytest.mark.parametrize("version", VERSIONS)
def test_attributes_of_others_are_set_and_removed_and_nothing_else_is(version: str, tmp_path: Path) -> None:
    place = written(tmp_path / "a.ome.zarr", version)
    before = opened(place)
    edit_metadata(place, attributes={"mine": {"a": [1]}, "yours": 2})
    edit_metadata(place, attributes={"yours": None})
    after = opened(place)
    assert after.attributes == {**before.attributes, "mine": {"a": [1]}}
    assert after.multiscale == before.multiscale


class _nothing:
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


WRONG: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "nothing": ({}, OptionError, "Nothing is to be changed"),
    "zero": ({"scale": {"z": 0}}, OptionError, "scale of axis 'z'"),
    "no axis": ({"scale": {"t": 1.0}}, OptionError, "no axis 't'"),
    "no channel": ({"channels": {"RFP": {"active": True}}}, OptionError, "no channel 'RFP'"),
    "no key": ({"channels": {0: {"colour": "FF0000"}}}, OptionError, "no 'colour'"),
    "colour": ({"channels": {0: {"color": "red"}}}, MetadataError, "must have a colour"),
    "twice": ({"axes": {"z": "y"}}, MetadataError, "different names"),
    "order": ({"axes": {"x": Axis(name="t", type="time")}}, MetadataError, "order|before|axes"),
    "no label image": ({"colors": {1: (0, 0, 0, 255)}}, OptionError, "this is none"),
    "a key of OME-Zarr": ({"attributes": {"omero": {}}}, OptionError, "'omero' is a key of OME-Zarr"),
    "all of OME-Zarr": ({"attributes": {"ome": None}}, OptionError, "'ome' is a key of OME-Zarr"),
    "no JSON": ({"attributes": {"mine": {1, 2}}}, MetadataError, "cannot be stored as JSON"),
    "no plate": ({"acquisitions": {0: "first"}}, OptionError, "this is none"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_cannot_be_is_refused_and_nothing_is_changed(what: str, tmp_path: Path) -> None:
    place = written(tmp_path / "a.ome.zarr")
    before = contents(tmp_path)
    options, kind, message = WRONG[what]
    with pytest.raises(kind, match=message):
        edit_metadata(place, **options)
    assert contents(tmp_path) == before


def test_a_label_image_is_corrected_by_itself(tmp_path: Path) -> None:
    place = written(tmp_path / "a.ome.zarr") / "labels" / "cells"
    properties = [{"label-value": 1, "class": "neuron"}]
    edit_metadata(place, colors={1: (0, 255, 0, 255), 2: (1, 2, 3, 4)}, properties=properties)
    label = opened(place).multiscale
    assert label is not None
    assert label.label_image is not None
    assert label.label_image.colors == {1: (0, 255, 0, 255), 2: (1, 2, 3, 4)}
    assert dict(label.label_image.properties[0]) == properties[0]
    assert label.label_image.source == "../../"


def test_a_single_file_is_refused(tmp_path: Path) -> None:
    place = written(tmp_path / "a.ozx")
    with pytest.raises(TargetError, match="single file"):
        edit_metadata(place, name="other")


def test_a_collection_is_refused(tmp_path: Path) -> None:
    image = MultiscaleSource(image=xarray.DataArray(np.zeros((8, 8), "uint8"), dims=("y", "x")))
    write_hierarchy(store=tmp_path / "a.zarr", sources={"0": image, "1": image}).run()
    with pytest.raises(UnsupportedError, match="can be corrected"):
        edit_metadata(tmp_path / "a.zarr", name="other")
    edit_metadata(tmp_path / "a.zarr" / "1", name="other")
    names = [image.multiscale.name for image in open_ome_ngff(tmp_path / "a.zarr").images.values()]
    assert names[1:] == ["other"]


@pytest.mark.parametrize("decided", [False, True])
def test_an_interrupted_correction_is_not_there_or_finished_when_it_is_opened(
    decided: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_ome_ngff.storage.edits import edit_journal

    place = written(tmp_path / "a.ome.zarr")
    step = "finish" if decided else "decide"
    calls = 0
    whole: Callable[..., Any] = getattr(edit_journal, step)

    def killed(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > (1 if decided else 0):
            raise KeyboardInterrupt
        return whole(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(edit_journal, step, killed)
        if not decided:
            patch.setattr(edit_journal, "abandon", lambda _: None)
        with pytest.raises(KeyboardInterrupt):
            edit_metadata(place, name="other", units={"z": "nanometer"})
    assert list(tmp_path.glob(".*ngff-edit"))
    image = opened(place)
    assert image.multiscale is not None
    assert (image.multiscale.name == "other") is decided
    assert image.labels["cells"].multiscale is not None
    assert (image.labels["cells"].multiscale.axes[0].unit == "nanometer") is decided
    if decided:
        assert not list(tmp_path.glob(".*ngff-edit"))
