"""Where one edits: plates, collections, buckets, what others write to, and journals that anyone wrote."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
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
    MultiscaleSource,
    StorageError,
    StorageOptions,
    TargetError,
    edit_image,
    edit_labels,
    edit_metadata,
    open_ome_ngff,
    write_hierarchy,
)
from napari_ome_ngff.writing.engine.reduce import reduce_block
from tests.plate_tools import write_image, write_plate
from tests.servers import s3_server

SHAPE = (3, 21, 30)
VOXELS = np.random.default_rng(0).integers(0, 4, SHAPE, dtype="uint16")
FACTORS = [{"z": 1, "y": 2, "x": 2}] * 2

KINDS = {
    "v2": StorageOptions(version="0.4", chunks=(2, 8, 8)),
    "v3": StorageOptions(version="0.5", chunks=(2, 8, 8)),
    "sharded": StorageOptions(version="0.5", chunks=(1, 4, 4), shards=(2, 8, 8)),
}


MADE = [(kind, method) for kind in KINDS for method in ("nearest", "mode")] + [("v3", "mean")]
"""How images are stored, and how their lower levels are made."""


def source(method: str) -> MultiscaleSource:
    array = xarray.DataArray(VOXELS, dims=("z", "y", "x"))
    return MultiscaleSource(image=array, method=method, factors=FACTORS, levels=3)


def levels_of(place: Path) -> list[np.ndarray[Any, Any]]:
    opened = open_ome_ngff(place, array_wrapper=DaskArrayWrapper())
    assert isinstance(opened, Image)
    return [array.values for array in opened.arrays.values()]


def contents(folder: Path) -> dict[str, bytes | str]:
    """Everything in a folder; of links, where they lead."""
    return {
        path.relative_to(folder).as_posix(): os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() or path.is_symlink()
    }


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    made = {}
    for kind, method in MADE:
        made[kind, method] = tmp_path_factory.mktemp(kind) / f"{method}.zarr"
        sources = {"": source(method)}
        write_hierarchy(store=made[kind, method], sources=sources, options=KINDS[kind]).run()
    return made


def boxes() -> st.SearchStrategy[tuple[slice, ...]]:
    parts = [
        st.tuples(st.integers(0, n - 1), st.integers(1, n)).map(lambda p: slice(p[0], p[0] + p[1]))
        for n in SHAPE
    ]
    return st.tuples(*parts)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    how=st.sampled_from(MADE),
    saves=st.lists(st.lists(st.tuples(boxes(), st.integers(0, 9)), min_size=1, max_size=3), max_size=2),
)
def test_painted_anywhere_and_saved_it_is_what_would_be_written_anew(
    how: tuple[str, str],
    saves: list[list[tuple[tuple[slice, ...], int]]],
    originals: dict[tuple[str, str], Path],
) -> None:
    """Level 0 is what numpy painted, level n what all of it reduced is, save after save, on odd sizes."""
    place = originals[how]
    edit = edit_image(place)
    expected = levels_of(place)[0]
    for strokes in saves:
        for box, value in strokes:
            edit[box] = value
            expected[box] = value
        edit.save().run()
    for level in levels_of(place):
        np.testing.assert_array_equal(level, expected)
        expected = reduce_block(expected, (1, 2, 2), how[1])


def test_a_field_of_a_plate_and_an_image_of_a_collection_are_edited_alone(tmp_path: Path) -> None:
    plate = write_plate(tmp_path / "plate.zarr", {"A/1": ["0", "1"]})
    for field in ("0", "1"):
        labels = {"cells": (np.zeros((8, 8), "uint8"), "yx")}
        write_image(plate / "A/1" / field, np.ones((8, 8), "uint8"), "yx", labels=labels)
    collection = tmp_path / "c.zarr"
    write_hierarchy(
        store=collection, sources={"0": source("mean"), "1": source("mean"), "1/labels/cells": source("mode")}
    ).run()
    for root, image in ((plate, "A/1/0"), (collection, "1")):
        before = contents(root)
        edit = edit_labels(root / image, "cells")
        edit[..., 3:6, 3:6] = 7
        edit.save().run()
        after = contents(root)
        changed = {key for key in after.keys() | before.keys() if after.get(key) != before.get(key)}
        assert changed
        assert all(key.startswith(f"{image}/labels/cells/") for key in changed)
        assert (levels_of(root / image / "labels" / "cells")[0][..., 3:6, 3:6] == 7).all()


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_every_field_of_a_plate_is_corrected_once(version: str, tmp_path: Path) -> None:
    """A missing field is left out; pixels are not touched; correcting it twice is correcting it once."""
    plate = write_plate(
        tmp_path / "p.zarr",
        {"A/1": ["0", "1"], "B/2": ["0", "gone"]},
        version=version,
        acquisitions={1: "first"},
        acquired={"0": 1, "1": 1, "gone": 1},
    )
    fields = ["A/1/0", "A/1/1", "B/2/0"]
    for field in fields:
        write_image(plate / field, np.ones((8, 8), "uint8"), "yx", version=version)
    before = contents(plate)
    size, unit = {"y": 0.5, "x": 0.5}, {"y": "micrometer", "x": "micrometer"}
    keys = edit_metadata(plate, scale=size, units=unit, name="screen", acquisitions={1: "day 1"})
    assert len(keys) == len(set(keys)) == len(fields) + 1
    assert edit_metadata(plate, scale=size)
    for field in fields:
        image = open_ome_ngff(plate / field)
        assert isinstance(image, Image)
        assert image.multiscale is not None
        scales = [np.array(array.coords["y"].attrs["scale"]) for array in image.arrays.values()]
        assert [float(scale) for scale in scales] == [0.5, 1.0]
        assert [axis.unit for axis in image.multiscale.axes] == ["micrometer"] * 2
    with pytest.warns(UserWarning, match="listed but not there"):
        opened = open_ome_ngff(plate)
    assert not isinstance(opened, Image)
    assert opened.plate is not None
    assert opened.name == "screen"
    assert [one.name for one in opened.plate.acquisitions] == ["day 1"]
    after = contents(plate)
    assert {key for key in after if after[key] != before[key]} == set(keys)


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    with s3_server() as client:
        client.create_bucket(Bucket="mine")
        yield client


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_an_image_in_a_bucket_is_corrected_and_its_pixels_are_not_asked_for(
    version: str, s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3.meta.endpoint_url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "owner")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    options = StorageOptions(version=version)
    write_hierarchy(store=tmp_path / "a.zarr", sources={"": source("mean")}, options=options).run()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # consolidated metadata are not in the specification of Zarr v3
        zarr.consolidate_metadata(str(tmp_path / "a.zarr"))
    prefix = f"{version}.zarr/"
    for key, body in contents(tmp_path / "a.zarr").items():
        s3.put_object(Bucket="mine", Key=prefix + key, Body=body)

    def held() -> dict[str, Any]:
        listed = s3.list_objects_v2(Bucket="mine", Prefix=prefix)["Contents"]
        return {item["Key"].removeprefix(prefix): (item["ETag"], item["LastModified"]) for item in listed}

    before = held()
    keys = edit_metadata(f"s3://mine/{prefix}", scale={"z": 4}, name="embryo")
    after = held()
    assert {key for key in after if after[key][0] != before[key][0]} == set(keys)
    assert after.keys() == before.keys()
    assert all(key.endswith(("zarr.json", ".zattrs", ".zmetadata")) for key in keys)
    image = open_ome_ngff(f"s3://mine/{prefix}")
    assert isinstance(image, Image)
    assert image.multiscale is not None
    assert image.multiscale.name == "embryo"
    assert image.arrays["0"].coords["z"].values.tolist() == [0, 4, 8]
    last = json.loads(s3.get_object(Bucket="mine", Key=prefix + keys[-1])["Body"].read())
    assert "embryo" in json.dumps(last)


HOLD = """
import sys
from pathlib import Path
from napari_ome_ngff.storage.edits.locks import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_what_another_process_saves_is_not_saved_to(originals: dict[tuple[str, str], Path]) -> None:
    """Neither pixels nor metadata; nothing is lost, and when it has ended the save is done."""
    place = originals["v3", "nearest"]
    edit = edit_image(place)
    edit[0, 0, 0] = 99
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(place)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        before = contents(place)
        with pytest.raises(TargetError, match="Another save"):
            edit.save().run()
        with pytest.raises(TargetError, match="Another save"):
            edit_metadata(place, name="other")
        assert contents(place) == before
        other.communicate("")
    assert edit.dirty.chunks == 1
    edit.save().run()
    assert levels_of(place)[0][0, 0, 0] == 99


def test_a_folder_that_cannot_be_written_to_is_refused_before_the_first_stroke(
    originals: dict[tuple[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_, **__: False)  # root may write everywhere
    with pytest.raises(TargetError, match="read-only"):
        edit_image(originals["v3", "mode"])


def journal(keys: Any, removed: Any = ()) -> Callable[[Path, Path], None]:
    def make(folder: Path, outside: Path) -> None:
        names = [key.format(outside=outside.as_posix()) for key in keys]
        (folder / "new").mkdir(parents=True)
        document = {"replaced": names, "removed": [key.format(outside=outside.as_posix()) for key in removed]}
        (folder / "journal.json").write_text(json.dumps(document))

    return make


def text(content: str) -> Callable[[Path, Path], None]:
    def make(folder: Path, _: Path) -> None:
        (folder / "new").mkdir(parents=True)
        (folder / "journal.json").write_text(content)

    return make


def linked_folder(folder: Path, outside: Path) -> None:
    (outside / "new").mkdir()
    (outside / "journal.json").write_text('{"replaced": ["precious"], "removed": []}')
    folder.symlink_to(outside, target_is_directory=True)


def linked_new(folder: Path, outside: Path) -> None:
    folder.mkdir()
    (folder / "new").symlink_to(outside, target_is_directory=True)
    (folder / "journal.json").write_text('{"replaced": ["precious"], "removed": []}')


def linked_in_new(folder: Path, outside: Path) -> None:
    (folder / "new").mkdir(parents=True)
    (folder / "new" / "0").symlink_to(outside, target_is_directory=True)
    (folder / "journal.json").write_text('{"replaced": ["0/precious"], "removed": []}')


def linked_in_image(folder: Path, outside: Path) -> None:
    (folder.parent / "a.zarr" / "way").symlink_to(outside, target_is_directory=True)
    (folder / "new" / "way").mkdir(parents=True)
    (folder / "new" / "way" / "precious").write_text("stolen")
    (folder / "journal.json").write_text('{"replaced": ["way/precious"], "removed": ["way/precious"]}')


def huge(folder: Path, _: Path) -> None:
    (folder / "new").mkdir(parents=True)
    with open(folder / "journal.json", "wb") as file:
        file.truncate(2**40)  # takes no space


HOSTILE: dict[str, Callable[[Path, Path], None]] = {
    "up": journal(["../outside/precious"]),
    "up to delete": journal([], ["0/../../outside/precious"]),
    "absolute": journal(["{outside}/precious"]),
    "absolute to delete": journal([], ["{outside}/precious"]),
    "drive": journal(["C:/precious"]),
    "backslash": journal(["..\\outside\\precious"]),
    "null": journal(["0\0"]),
    "empty": journal([""]),
    "number": text('{"replaced": [1], "removed": []}'),
    "list": text("[]"),
    "no JSON": text('{"replaced": ['),
    "deep": text("[" * 200_000),
    "not text": text("\ud800".encode("utf-8", "surrogatepass").decode("latin-1")),
    "huge": huge,
    "linked folder": linked_folder,
    "linked new": linked_new,
    "linked in new": linked_in_new,
    "linked in image": linked_in_image,
}


@pytest.mark.skipif(sys.platform == "win32", reason="links take an administrator")
@pytest.mark.parametrize("what", HOSTILE)
def test_a_journal_of_anyone_touches_nothing_outside_and_opening_says_so(what: str, tmp_path: Path) -> None:
    """The image opens all the same; a save to it is refused and says which folder it is."""
    place, outside = tmp_path / "in" / "a.zarr", tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("mine")
    write_image(place, np.ones((8, 8), "uint8"), "yx", levels=1)
    HOSTILE[what](place.with_name(".a.zarr.ngff-edit"), outside)
    before = contents(outside), contents(place)
    with pytest.warns(UserWarning, match="cannot be finished here"):
        assert (levels_of(place)[0] == 1).all()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        edit = edit_image(place)
    edit[0, 0] = 2
    with pytest.raises(StorageError, match="journal of an edit is damaged"):
        edit.save().run()
    with pytest.raises(StorageError, match="journal of an edit is damaged"):
        edit_metadata(place, name="other")
    assert (contents(outside), contents(place)) == before


@pytest.mark.skipif(sys.platform == "win32", reason="links take an administrator")
def test_levels_that_lie_elsewhere_are_not_edited(tmp_path: Path) -> None:
    """A level that is a link is not of the image's folder: refused before anything takes its place."""
    place = write_image(tmp_path / "a.zarr", np.ones((8, 8), "uint8"), "yx", levels=2)
    (place / "1").rename(tmp_path / "elsewhere")
    (place / "1").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    before = contents(tmp_path)
    edit = edit_image(place)
    edit[...] = 5
    with pytest.raises(StorageError, match="link to somewhere else"):
        edit.save().run()
    assert contents(tmp_path) == before
    assert edit[0, 0] == 5
