"""Lower levels, made anew under a finest level that stays: as if the image had been written like that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_ome_ngff import (
    OptionError,
    StorageOptions,
    TargetError,
    build_levels,
    open_ome_ngff,
    save_ome_ngff,
)
from tests.campaigns.kill_edits import files, nothing_is_left
from tests.saving.consolidated import consolidate

PIXELS = (np.arange(9 * 50 * 43) % 1009).reshape(9, 50, 43).astype("uint16")


@st.composite
def storage(draw: st.DrawFn) -> StorageOptions:
    version = draw(st.sampled_from(["0.4", "0.5", "0.6"]))
    chunks = tuple(draw(st.integers(least, most)) for least, most in ((3, 9), (12, 50), (12, 43)))
    times = [draw(st.integers(1, 3)) for _ in range(3)]
    sharded = version != "0.4" and draw(st.booleans())
    shards = tuple(n * m for n, m in zip(chunks, times, strict=True)) if sharded else None
    compressor = draw(st.sampled_from(["auto", None]))
    return StorageOptions(version=version, chunks=chunks, shards=shards, compressor=compressor)


how = st.fixed_dictionaries(
    {
        "levels": st.integers(2, 3),
        "factors": st.sampled_from([None, {"y": 2, "x": 2}, {"z": 3, "y": 2, "x": 2}]),
        "method": st.sampled_from(["mean", "nearest"]),
    }
)


@given(storage(), how, how)
@settings(max_examples=6)
def test_they_are_those_that_the_image_would_have_been_written_with(
    tmp_path_factory: pytest.TempPathFactory, options: StorageOptions, before: Any, after: Any
) -> None:
    folder = tmp_path_factory.mktemp("levels")
    built, written = folder / "built.ome.zarr", folder / "written.ome.zarr"
    save_ome_ngff(built, PIXELS, axes="zyx", scale=0.3, units="micrometer", options=options, **before)
    save_ome_ngff(written, PIXELS, axes="zyx", scale=0.3, units="micrometer", options=options, **after)
    times = {path: path.stat().st_mtime_ns for path in (built / "0").rglob("*")}
    build_levels(built, **after).run()
    assert files(built) == files(written)
    assert times == {path: path.stat().st_mtime_ns for path in (built / "0").rglob("*")}
    assert sorted(path.name for path in built.iterdir()) == sorted(path.name for path in written.iterdir())
    nothing_is_left(built)


def test_levels_of_others_and_consolidated_metadata(tmp_path: Path) -> None:
    place = tmp_path / "a.zarr"
    root = zarr.create_group(place)
    array = root.create_array("scale0/image", shape=(50, 43), chunks=(16, 16), dtype=">u2", filters=[
        zarr.codecs.TransposeCodec(order=(1, 0))], dimension_names=("y", "x"))  # fmt: skip
    array[:] = PIXELS[0]
    axes = [{"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
    scale = [{"type": "scale", "scale": [1.0, 1.0]}]
    datasets = [{"path": "scale0/image", "coordinateTransformations": scale}]
    image = {"axes": axes, "datasets": datasets, "mine": 1}
    root.attrs["ome"] = {"version": "0.5", "multiscales": [image]}
    consolidate(place)
    build_levels(place, levels=3, method="nearest").run()
    opened = zarr.open_consolidated(place, mode="r")
    np.testing.assert_array_equal(opened["scale2/image"], PIXELS[0][:48:4, :40:4])
    assert opened["scale1/image"].metadata.codecs == array.metadata.codecs
    assert opened.attrs["ome"]["multiscales"][0]["mine"] == 1
    build_levels(place, levels=1).run()
    assert list(zarr.open_consolidated(place, mode="r")) == ["scale0"]
    assert [path.name for path in place.iterdir() if path.is_dir()] == ["scale0"]


def test_labels_keep_their_labels_and_options_can_be_chosen(tmp_path: Path) -> None:
    place = tmp_path / "a.ome.zarr"
    save_ome_ngff(place, PIXELS, axes="zyx", labels={"cells": (PIXELS // 9).astype("uint8")}, levels=1)
    options = StorageOptions(chunks=(4, 8, 8), shards=(8, 16, 16))
    build_levels(place / "labels" / "cells", levels=2, options=options).run()
    cells = open_ome_ngff(place).labels["cells"]
    assert set(np.unique(cells.arrays["1"])) <= set(np.unique(PIXELS // 9))
    assert zarr.open_array(place / "labels" / "cells" / "1").chunks == (4, 8, 8)
    for asked in ({"method": "mean"}, {"levels": 99}, {"method": 3}):
        with pytest.raises(OptionError):
            build_levels(place / "labels" / "cells", **asked)  # type: ignore[arg-type]


def test_what_lies_where_a_level_goes_stays(tmp_path: Path) -> None:
    place = tmp_path / "a.ome.zarr"
    save_ome_ngff(place, PIXELS, axes="zyx", levels=1)
    (place / "1").mkdir()
    (place / "1" / "mine").write_text("kept")
    with pytest.raises(TargetError, match="Something else"):
        build_levels(place, levels=2)
    with pytest.raises(TargetError):
        build_levels("s3://nowhere/a.zarr")
    writing = build_levels(place, levels=1)
    next(writing)
    writing.cancel()
    assert (place / "1" / "mine").read_text() == "kept"
    nothing_is_left(place)
