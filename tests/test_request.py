"""What the dock widget's fields mean, without the widget."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_ome_ngff.errors import OptionError
from napari_ome_ngff.plugin.describe import duration, megabytes, voxel_size
from napari_ome_ngff.plugin.request import COMPRESSORS, Form, codec, resolve
from napari_ome_ngff.plugin.target import propose_target, target_path

HERE = Form(target="/data/cells")
names = st.text(
    st.characters(codec="utf-8", exclude_characters="\x00", exclude_categories=["Cs"]), max_size=30
)


def test_the_defaults_are_a_request() -> None:
    request = resolve(HERE)
    assert request.target == os.path.abspath("/data/cells.ome.zarr")
    assert (request.version, request.image_method, request.label_method) == ("0.5", "mean", "mode")
    assert (request.levels, request.chunks, request.shards, request.after) == (None, "auto", None, "keep")
    assert not request.overwrite


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("target", "", "where to write"),
        ("target", "  ", "where to write"),
        ("target", "/", "no name"),
        ("target", "s3://bucket/cells.ome.zarr", "folder on this computer"),
        ("version", "0.3", "Version"),
        ("image_method", "mode", "Method for images"),
        ("label_method", "mean", "Method for labels"),
        ("levels", "0", "Levels"),
        ("levels", "-1", "Levels"),
        ("levels", "many", "Levels"),
        ("levels", "²", "Levels"),
        ("chunks", "16, 0", "Chunks"),
        ("chunks", "16.5", "Chunks"),
        ("chunks", ",", "Chunks"),
        ("shards", "big", "Shards"),
        ("compressor", "zip", "Compression"),
        ("after", "", "When done"),
    ],
)
def test_what_a_field_cannot_mean_is_refused_by_the_field_s_name(field: str, value: str, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        resolve(replace(HERE, **{field: value}))


def test_version_0_4_has_no_shards() -> None:
    with pytest.raises(OptionError, match=r"0\.4 has no shards"):
        resolve(replace(HERE, version="0.4", shards="auto"))


@given(
    st.lists(st.integers(1, 9999), min_size=1, max_size=5), st.sampled_from([", ", ",", " ", "x", " × ", ";"])
)
def test_chunks_are_read_however_they_are_separated(sizes: list[int], separator: str) -> None:
    assert resolve(replace(HERE, chunks=separator.join(map(str, sizes)))).chunks == tuple(sizes)


@given(st.integers(1, 32))
def test_levels_are_read(levels: int) -> None:
    assert resolve(replace(HERE, levels=str(levels))).levels == levels


@given(names)
def test_a_target_is_absolute_and_named_as_zarr_and_a_second_look_changes_nothing(text: str) -> None:
    try:
        path = target_path(f"/data/a{text}")
    except OptionError:
        return
    assert os.path.isabs(path)
    assert path.lower().endswith(".zarr")
    assert target_path(path) == path


@pytest.mark.parametrize("suffix", [".zarr", ".ome.zarr", ".ZARR", ".OME.Zarr"])
def test_a_suffix_that_was_typed_stays(suffix: str) -> None:
    assert target_path(f"/data/cells{suffix}") == f"/data/cells{suffix}"


def test_the_home_folder_may_be_written_as_a_tilde() -> None:
    assert target_path("~/cells.zarr") == os.path.expanduser("~/cells.zarr")


@given(names, st.sets(names, max_size=3))
def test_a_proposal_is_free_and_means_itself(name: str, others: set[str]) -> None:
    first = propose_target(name, "/data", taken=others)
    assert os.path.dirname(first) == "/data"
    assert os.path.basename(first) not in others
    assert target_path(first) == first
    second = propose_target(name, "/data", taken={*others, os.path.basename(first)})
    assert second != first


@pytest.mark.parametrize("name", COMPRESSORS)
def test_every_compressor_on_offer_exists(name: str) -> None:
    assert (codec(name) is None) == (name == "none")


def test_numbers_are_written_for_people() -> None:
    assert voxel_size("yx", (1, 1), (None, None)) == "y 1, x 1"
    assert voxel_size("yx", (0.123456, 1e-7), ("foot", "foot")) == "y 0.1235, x 1e-07 foot"
    assert megabytes(0) == "0"
    assert megabytes(123_456_789_000) == "123,457"
    assert duration(59.7) == "1 min 0 s"
