"""What is put at the end of an image: as if both parts had been written at once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import pytest
import xarray
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_ome_ngff import (
    OptionError,
    StorageOptions,
    TargetError,
    UnsupportedError,
    append_to_image,
    open_ome_ngff,
    save_ome_ngff,
    write_plate,
)
from tests.campaigns.kill_additions import campaign
from tests.campaigns.kill_edits import files, nothing_is_left
from tests.saving.consolidated import consolidate


def movie(n: int, seed: int = 0, dtype: str = "uint16") -> Any:
    return np.random.default_rng(seed).integers(0, 250, (n, 30, 43)).astype(dtype)


@st.composite
def cases(draw: st.DrawFn) -> Any:
    version = draw(st.sampled_from(["0.4", "0.5", "0.6"]))
    chunks = tuple(draw(st.integers(least, most)) for least, most in ((1, 3), (11, 40), (11, 50)))
    times = [1, *(draw(st.integers(1, 3)) for _ in range(2))]
    shards = None
    if version != "0.4" and draw(st.booleans()):
        shards = tuple(n * times for n, times in zip(chunks, times, strict=True))
    old, more = draw(st.integers(3, 6)), draw(st.integers(1, 6))
    levels, axis = draw(st.integers(1, 3)), draw(st.sampled_from("tc"))
    return StorageOptions(version=version, chunks=chunks, shards=shards), old, more, levels, axis


@given(cases(), st.booleans())
@settings(max_examples=6)
def test_it_is_as_if_both_parts_had_been_written_at_once(
    tmp_path_factory: pytest.TempPathFactory, case: Any, lazy: bool
) -> None:
    options, old, more, levels, axis = case
    folder = tmp_path_factory.mktemp("append")
    parts, whole = folder / "parts.ome.zarr", folder / "whole.ome.zarr"
    pixels = movie(old + more)
    labels = (pixels // 9).astype("uint8")
    named: dict[str, Any] = {"levels": levels, "axes": f"{axis}yx", "options": options}
    if axis == "c":
        save_ome_ngff(parts, pixels[:old], channels=[f"c{i}" for i in range(old)], **named)
        # The first colours depend on how many channels there are when they are written.
        save_ome_ngff(whole, pixels, channels=[f"c{i}" for i in range(old + more)], **named)
        added: dict[str, Any] = {"channels": [f"c{i}" for i in range(old, old + more)]}
    else:
        save_ome_ngff(parts, pixels[:old], labels={"cells": labels[:old], "still": labels[0]}, **named)
        save_ome_ngff(whole, pixels, labels={"cells": labels, "still": labels[0]}, **named)
        added = {"labels": {"cells": labels[old:]}}
    new = dask.array.from_array(pixels[old:], chunks=(1, 20, 43)) if lazy else pixels[old:]
    append_to_image(parts, new, axis=axis, **added).run()
    documents = {"zarr.json", ".zattrs"} if axis == "c" else set()
    one, other = files(parts), files(whole)
    assert one.keys() == other.keys()
    assert [key for key in one if one[key] != other[key] and key not in documents] == []
    if axis == "c":
        assert [channel.label for channel in open_ome_ngff(parts).multiscale.channels] == [
            channel.label for channel in open_ome_ngff(whole).multiscale.channels
        ]
    nothing_is_left(parts)


def test_who_has_it_open_reads_on_and_label_images_that_are_not_given_are_empty(tmp_path: Path) -> None:
    place = tmp_path / "a.ome.zarr"
    pixels = movie(5)
    save_ome_ngff(place, pixels[:3], axes="tyx", labels={"cells": pixels[:3] > 9})
    before = open_ome_ngff(place)
    append_to_image(place, pixels[3]).run()
    append_to_image(place, xarray.DataArray(pixels[4], dims=("y", "x"))).run()
    np.testing.assert_array_equal(before.arrays["0"], pixels[:3])
    after = open_ome_ngff(place)
    np.testing.assert_array_equal(after.arrays["0"], pixels)
    np.testing.assert_array_equal(after.labels["cells"].arrays["0"][:3], pixels[:3] > 9)
    assert not after.labels["cells"].arrays["0"][3:].any()


def test_an_image_of_others_stays_as_they_store_it(tmp_path: Path) -> None:
    """Fortran order, big-endian, dots in the keys, consolidated metadata; a level with edges rounded up."""
    place, pixels = tmp_path / "a.zarr", movie(5, dtype=">u2")
    root = zarr.create_group(place, zarr_format=2)
    for name, each in (("full", pixels[:3]), ("half", np.zeros((3, 15, 22), ">u2"))):
        array = root.create_array(name, shape=each.shape, chunks=(2, 16, 16), dtype=">u2", order="F")
        array[:] = each
    datasets = [
        {"path": name, "coordinateTransformations": [{"type": "scale", "scale": [2, n, n]}]}
        for name, n in (("full", 1), ("half", 2))
    ]
    axes = [{"name": "t", "type": "time"}, {"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
    root.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": datasets}]
    consolidate(place)
    append_to_image(place, pixels[3:].astype("uint16"), method="nearest").run()
    opened = zarr.open_consolidated(place, mode="r")
    np.testing.assert_array_equal(opened["full"], pixels)
    np.testing.assert_array_equal(opened["half"][3:], pixels[3:, ::2, ::2])
    assert not opened["half"][:3].any(), "what is there is not made anew"
    assert opened["full"].metadata.order == "F"
    assert (place / "full" / "2.1.1").exists()


def test_a_field_of_a_plate_gets_longer(tmp_path: Path) -> None:
    place, pixels = tmp_path / "p.ome.zarr", movie(4)
    write_plate(store=place, fields={("A", 1): [pixels[:2]]}, axes="tyx").run()
    consolidate(place)
    append_to_image(place / "A" / "1" / "0", pixels[2:]).run()
    np.testing.assert_array_equal(zarr.open_consolidated(place, mode="r")["A/1/0/0"], pixels)


def test_what_does_not_fit_is_refused_before_the_first_byte(tmp_path: Path) -> None:
    place, pixels = tmp_path / "a.ome.zarr", movie(3)
    save_ome_ngff(place, pixels, axes="tyx", labels={"cells": pixels > 9})
    stack = tmp_path / "b.ome.zarr"
    save_ome_ngff(stack, pixels, axes="zyx", levels=2, factors={"z": 2, "y": 2, "x": 2})
    before = files(tmp_path)
    for data, options, kind, words in (
        (pixels, {"axis": "z"}, OptionError, "no axis 'z'"),
        (pixels[:, :5], {}, OptionError, "does not fit"),
        (pixels[:0], {}, OptionError, "does not fit"),
        (pixels.astype("int64"), {}, OptionError, "another type"),
        (pixels, {"axes": "zyx"}, OptionError, "other axes"),
        (pixels, {"labels": {"nuclei": pixels}}, OptionError, "no label image 'nuclei'"),
        (pixels, {"labels": {"cells": pixels[:1]}}, OptionError, "does not fit"),
        (pixels, {"channels": ["a"]}, OptionError, "channels"),
        (pixels, {"method": "median"}, OptionError, "method"),
        ("nothing", {}, Exception, ""),
    ):
        with pytest.raises(kind, match=words or None):
            append_to_image(place, data, **options)
    with pytest.raises(UnsupportedError, match="fewer planes along 'z'"):
        append_to_image(stack, pixels, axis="z")
    with pytest.raises(OptionError):
        append_to_image(zarr.storage.MemoryStore(), pixels)  # type: ignore[arg-type]
    with pytest.raises(TargetError):
        append_to_image("s3://nowhere/a.zarr", pixels)
    assert files(tmp_path) == before


def test_one_that_ends_early_leaves_the_image_as_it_was(tmp_path: Path) -> None:
    place, pixels = tmp_path / "a.ome.zarr", movie(4)
    save_ome_ngff(place, pixels, axes="tyx", options=StorageOptions(chunks=(1, 16, 16)))
    before = files(tmp_path)
    writing = append_to_image(place, pixels)
    for _ in range(3):
        next(writing)
    with pytest.raises(TargetError, match="running"):
        append_to_image(place, pixels).run()
    writing.cancel()
    assert files(tmp_path) == before
    late = append_to_image(place, pixels)
    append_to_image(place, pixels[:1]).run()
    with pytest.raises(TargetError, match="changed the image"):
        late.run()

    def broken(*_: Any, **__: Any) -> Any:
        raise ValueError("broken")

    lazy = dask.array.from_delayed(dask.delayed(broken)(), (1, 30, 43), "uint16")
    before = files(tmp_path)
    with pytest.raises(Exception, match="broken"):
        append_to_image(place, lazy).run()
    assert files(tmp_path) == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="another process is killed")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("kind", "form", "every"), [("append", "sharded", 59), ("levels", "v3", 83)])
def test_whoever_is_killed_leaves_the_old_or_the_new_state(kind: str, form: str, every: int) -> None:
    kills = campaign(kind, form, first=7, every=every)
    assert kills.total() > 1
    assert kills["old"]
