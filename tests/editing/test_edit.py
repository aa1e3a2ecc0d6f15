"""Painting on what is there: it reads as in numpy, and a save changes what depends on it alone."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_ome_ngff import (
    DaskArrayWrapper,
    Image,
    LabelEdit,
    MultiscaleSource,
    OptionError,
    StorageOptions,
    TargetError,
    create_labels,
    edit_image,
    edit_labels,
    open_ome_ngff,
    write_hierarchy,
)
from napari_ome_ngff.writing.engine.reduce import reduce_block

SHAPE = (5, 37, 50)

KINDS = {
    "v2": StorageOptions(version="0.4", chunks=(2, 16, 16)),
    "v3": StorageOptions(version="0.5", chunks=(2, 16, 16)),
    "sharded": StorageOptions(version="0.5", chunks=(2, 8, 8), shards=(4, 16, 16)),
    "0.6": StorageOptions(version="0.6", chunks=(1, 20, 20), compressor=None),
}


def labelled(place: Path, options: StorageOptions, method: str = "nearest") -> np.ndarray[Any, Any]:
    """An image of three levels with a label image on it, and the labels."""
    rng = np.random.default_rng(0)
    voxels = rng.integers(0, 3, SHAPE, dtype="uint16")
    voxels[:, :16, :16] = 0  # a chunk that is not stored
    array = xarray.DataArray(voxels, dims=("z", "y", "x"))
    factors = [{"z": 1, "y": 2, "x": 2}, {"z": 1, "y": 2, "x": 2}]
    image = MultiscaleSource(image=array, factors=factors, levels=3)
    labels = MultiscaleSource(image=array, method=method, factors=factors, levels=3)
    write_hierarchy(store=place, sources={"": image, "labels/cells": labels}, options=options).run()
    return voxels


def levels(place: Path) -> list[np.ndarray[Any, Any]]:
    opened = open_ome_ngff(place, array_wrapper=DaskArrayWrapper())
    assert isinstance(opened, Image)
    return [array.values for array in opened.labels["cells"].arrays.values()]


def pyramid(voxels: np.ndarray[Any, Any], method: str) -> list[np.ndarray[Any, Any]]:
    made = [voxels]
    for _ in range(2):
        made.append(reduce_block(made[-1], (1, 2, 2), method))
    return made


def files(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha1(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def axis_index(n: int) -> st.SearchStrategy[Any]:
    inside = st.integers(-n, n - 1)
    bounds = st.one_of(st.none(), st.integers(-n - 2, n + 2))
    steps = st.one_of(st.none(), st.sampled_from([1, 2, 3, -1, -2]))
    return st.one_of(inside, st.builds(slice, bounds, bounds, steps))


@st.composite
def indices(draw: st.DrawFn) -> Any:
    """What numpy takes: integers, slices, an ellipsis, lists of coordinates, masks, and mixtures of these."""
    kind = draw(st.sampled_from(["basic", "points", "mask", "mixed"]))
    if kind == "basic":
        some = [draw(axis_index(n)) for n in SHAPE[: draw(st.integers(0, 3))]]
        if draw(st.booleans()) and len(some) < 3:
            some.append(...)
        return tuple(some)
    count = draw(st.integers(0, 12))
    points = tuple(
        np.array(draw(st.lists(st.integers(-n, n - 1), min_size=count, max_size=count)), dtype=np.int64)
        for n in SHAPE
    )
    if kind == "points":
        return points
    if kind == "mask":
        mask = np.zeros(SHAPE, bool)
        mask[points] = True
        return mask
    taken: list[Any] = list(points)
    for axis in draw(st.sets(st.integers(0, 2), min_size=1, max_size=2)):
        taken[axis] = draw(axis_index(SHAPE[axis]))
    return tuple(taken)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = {}
    for name, options in KINDS.items():
        made[name] = tmp_path_factory.mktemp(name) / "a.ome.zarr"
        labelled(made[name], options)
    return made


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    strokes=st.lists(indices(), min_size=1, max_size=4),
    small=st.booleans(),
    kind=st.sampled_from(["v3", "sharded"]),
)
def test_it_is_painted_and_read_as_numpy_does(
    strokes: list[Any], small: bool, kind: str, places: dict[str, Path]
) -> None:
    """Whatever the index; also if painted chunks are kept on disk."""
    edit = edit_labels(places[kind], "cells", memory_limit=1 if small else 2**29)
    expected = np.asarray(edit)
    for value, key in enumerate(strokes, start=1):
        edit[key] = value
        expected[key] = value
        np.testing.assert_array_equal(edit[key], expected[key])
    np.testing.assert_array_equal(edit[...], expected)
    edit.discard()
    assert edit.dirty.chunks == 0


def test_values_with_leading_axes_of_one_are_taken_as_numpy_takes_them(places: dict[str, Path]) -> None:
    edit = edit_labels(places["v3"], "cells")
    expected = np.asarray(edit)
    for array in (edit, expected):
        array[:, 1] = np.arange(SHAPE[2], dtype="uint32")[None, None, None]
        array[[0, 1], [1, 2], [2, 3]] = np.array([[[7, 8]]], "uint32")
    np.testing.assert_array_equal(edit, expected)


@pytest.mark.parametrize("method", ["nearest", "mode"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_save_is_what_a_whole_new_pyramid_would_be(kind: str, method: str, tmp_path: Path) -> None:
    """Level 0 is what numpy painted, level n is what all of it reduced is, and no other file is touched."""
    place = tmp_path / "a.ome.zarr"
    expected = labelled(place, KINDS[kind], method)
    before = files(place)
    edit = edit_labels(place, "cells")
    strokes: list[Any] = [(2, slice(10, 23), slice(30, 50)), (slice(None), 36, 49), (0, 0, 0)]
    for value, key in enumerate(strokes, start=7):
        edit[key] = value
        expected[key] = value
    *_, last = edit.save()
    assert last.blocks_done == last.blocks_total
    for level, whole in zip(levels(place), pyramid(expected, method), strict=True):
        np.testing.assert_array_equal(level, whole)
    after = files(place)
    changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    assert changed
    assert all(key.startswith("labels/cells/") and not key.endswith("json") for key in changed)
    assert len(changed) < len(after) / 2
    assert edit.dirty.chunks == 0
    assert not list(place.parent.rglob("*ngff*"))
    np.testing.assert_array_equal(edit[...], expected)


def test_painting_goes_on_while_it_is_saved(tmp_path: Path) -> None:
    place = tmp_path / "a.ome.zarr"
    expected = labelled(place, KINDS["v3"])
    edit = edit_labels(place, "cells")
    edit[0, 20:30, 20:30] = 5
    writing = edit.save()
    next(writing)
    first = expected.copy()
    first[0, 20:30, 20:30] = 5
    edit[0, 25:35, 25:35] = 6
    writing.run()
    np.testing.assert_array_equal(levels(place)[0], first)
    second = first.copy()
    second[0, 25:35, 25:35] = 6
    np.testing.assert_array_equal(edit[...], second)
    assert edit.dirty.chunks
    edit.save().run()
    for level, whole in zip(levels(place), pyramid(second, "nearest"), strict=True):
        np.testing.assert_array_equal(level, whole)


@pytest.mark.parametrize("kind", ["v2", "sharded"])
def test_what_others_have_changed_is_not_saved_over(kind: str, tmp_path: Path) -> None:
    place = tmp_path / "a.ome.zarr"
    labelled(place, KINDS[kind])
    one, other = edit_labels(place, "cells"), edit_labels(place, "cells")
    one[0, 20, 20] = 100
    other[0, 21, 21] = 200
    other[4, 36, 49] = 200
    one.save().run()
    before = files(place)
    with pytest.raises(TargetError, match="Somebody else has changed"):
        other.save().run()
    assert files(place) == before
    assert other[0, 21, 21] == 200
    again = edit_labels(place, "cells")
    again[4, 36, 49] = 200
    again.save().run()
    assert [level[0, 20, 20] for level in levels(place)[:1]] == [100]


def test_what_is_painted_is_saved_after_the_image_below_was_replaced(tmp_path: Path) -> None:
    """A new image without label images keeps those that are there."""
    place = tmp_path / "a.ome.zarr"
    expected = labelled(place, KINDS["v3"])
    edit = edit_labels(place, "cells")
    edit[0, :20, :20] = expected[0, :20, :20] = 7
    image = xarray.DataArray(np.ones(SHAPE, "uint16"), dims=("z", "y", "x"))
    write_hierarchy(store=place, sources={"": MultiscaleSource(image=image)}, overwrite=True).run()
    edit.save().run()
    np.testing.assert_array_equal(levels(place)[0], expected)


def test_a_save_that_is_cancelled_leaves_all_as_it_was(tmp_path: Path) -> None:
    place = tmp_path / "a.ome.zarr"
    labelled(place, KINDS["v3"])
    before = files(tmp_path)
    edit = edit_labels(place, "cells")
    edit[...] = 3
    steps = 0
    for _ in range(1000):
        writing = edit.save()
        try:
            for _ in range(steps):
                next(writing)
        except StopIteration:
            break
        if steps and writing._is_complete:
            break
        writing.close()
        assert files(tmp_path) == before
        assert edit[0, 0, 0] == 3
        steps += 3
    assert steps > 10


@pytest.mark.parametrize("kind", ["file", "address", "memory"])
def test_only_folders_are_edited(kind: str, tmp_path: Path) -> None:
    place: Any = {
        "file": tmp_path / "a.ozx",
        "address": "s3://bucket/a",
        "memory": zarr.storage.MemoryStore(),
    }[kind]
    if kind == "file":
        labelled(place, StorageOptions(version="0.5"))
    with pytest.raises(
        (TargetError, OptionError), match=r"Only (images|what is) in (folders|a folder) can be edited"
    ):
        edit_image(place)


def test_wrong_names_and_methods_are_refused(tmp_path: Path) -> None:
    place = tmp_path / "a.ome.zarr"
    labelled(place, KINDS["v3"])
    with pytest.raises(OptionError, match="no label image 'nuclei'"):
        edit_labels(place, "nuclei")
    with pytest.raises(OptionError, match="mean of labels"):
        edit_labels(place, "cells", method="mean")
    with pytest.raises(OptionError, match="no such method"):
        edit_image(place, method="median")
    with pytest.raises(OptionError, match="no such method"):
        edit_image(place / "labels" / "cells", method="mean")
    assert isinstance(edit_image(place / "labels" / "cells"), LabelEdit)


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_label_image_is_painted_on(kind: str, tmp_path: Path) -> None:
    """It has the image's grid and levels, nothing is stored of it, and others can be painted meanwhile."""
    place = tmp_path / "a.ome.zarr"
    labelled(place, KINDS[kind])
    before = edit_labels(place, "cells")
    before[0, 20, 20] = 9
    create_labels(place, "new", dtype="uint16")
    image = open_ome_ngff(place)
    assert isinstance(image, Image)
    new = image.labels["new"]
    assert [a.shape for a in new.arrays.values()] == [a.shape for a in image.arrays.values()]
    documents = ("json", ".zarray", ".zattrs", ".zgroup")
    assert all(key.endswith(documents) for key in files(place / "labels" / "new"))
    edit = edit_labels(place, "new")
    edit[1, 30:35, 30:35] = 3
    edit.save().run()
    before.save().run()
    again = open_ome_ngff(place)
    assert isinstance(again, Image)
    assert int(again.labels["new"].arrays["2"][1, 8, 8]) == 3
    assert int(again.labels["cells"].arrays["0"][0, 20, 20]) == 9
