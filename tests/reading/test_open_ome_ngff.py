"""Opening: wherever a group is it is found, and what cannot be opened is refused in one clear sentence."""

from __future__ import annotations

import builtins
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zarr
from zarr.storage import LocalStore, MemoryStore, ZipStore

from napari_ome_ngff import Collection, open_ome_ngff
from napari_ome_ngff.errors import MetadataError, NotOmeNgffError, OmeNgffError, OmeNgffWarning, StorageError
from napari_ome_ngff.reading.sniff import is_likely_ome_ngff
from napari_ome_ngff.storage.documents.hierarchy import open_hierarchy
from napari_ome_ngff.storage.documents.parents import array_at, parents
from napari_ome_ngff.storage.places.location import group_location, is_within, location_of

AXES = [{"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
LEVEL = {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1, 1]}]}
OME = {"ome": {"version": "0.5", "multiscales": [{"axes": AXES, "datasets": [LEVEL]}]}}


def make_image(store: Any, *, zarr_format: Any = 3, path: str = "") -> None:
    """A group with one level, as small as can be."""
    group = zarr.create_group(
        store, path=path, zarr_format=zarr_format, attributes=OME if zarr_format == 3 else OME["ome"]
    )
    group.create_array("0", shape=(4, 4), chunks=(2, 2), dtype="uint8")[...] = 7


def open_group(location: Any, path: str = "") -> zarr.Group:
    return open_hierarchy(location).group(path)


def said(error: OmeNgffError) -> str:
    """What a toast would show: it must be one short sentence."""
    assert len(error.summary) < 100
    assert error.summary.endswith(".")
    assert "\n" not in error.summary
    return error.summary


# --- local folders


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize(
    "name", ["a.zarr", "with space.zarr", "a#1?.zarr", "größe-µm.zarr", "no suffix", "%20.zarr"]
)
def test_folders_of_any_name(name: str, zarr_format: int, tmp_path: Path) -> None:
    make_image(tmp_path / name, zarr_format=zarr_format)
    document = "zarr.json" if zarr_format == 3 else ".zattrs"
    for spelling in (
        tmp_path / name,
        str(tmp_path / name),
        f"{tmp_path / name}/",
        f"{tmp_path / name}//",
        tmp_path / name / document,
        (tmp_path / name).as_uri(),
    ):
        group = open_group(spelling)
        assert group["0"][0, 0] == 7
        assert location_of(group) == str(tmp_path / name)
        assert location_of(group["0"]) == str(tmp_path / name / "0")


def test_what_is_opened_is_read_only(tmp_path: Path) -> None:
    make_image(tmp_path / "a.zarr")
    group = open_group(tmp_path / "a.zarr")
    with pytest.raises(ValueError, match=r"read[- _]only"):
        group["0"][0, 0] = 1


def test_relative_paths_links_and_paths_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_image(tmp_path / "plate.zarr", path="A/1/0")
    (tmp_path / "link").symlink_to(tmp_path / "plate.zarr", target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    for group in (
        open_group("plate.zarr/A/1/0"),
        open_group("link", path="A/1/0"),
        open_group(open_group("plate.zarr"), path="A/1/0"),
        open_group(LocalStore("plate.zarr"), path="A/1/0/"),
    ):
        assert group["0"][3, 3] == 7


def test_stores_and_groups_are_used_as_they_are() -> None:
    store = MemoryStore()
    make_image(store, path="image")
    assert open_group(store, path="image")["0"][0, 0] == 7
    assert open_group(store).read_only
    group = zarr.open_group(store, mode="r+")
    assert not open_group(group).read_only
    assert open_group(group).store is store


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (lambda p: None, StorageError, "no such file"),
        (lambda p: p.mkdir(), NotOmeNgffError, "no Zarr group"),
        (lambda p: p.write_text("hello"), NotOmeNgffError, "no Zarr hierarchy"),
        (lambda p: zarr.create_array(p, shape=(2,), dtype="uint8"), NotOmeNgffError, "array, not a group"),
        (
            lambda p: zarr.create_array(p, shape=(2,), dtype="uint8", zarr_format=2),
            NotOmeNgffError,
            "array, not a group",
        ),
        (lambda p: _text(p, "{not json"), MetadataError, "damaged"),
        (lambda p: _text(p, '["a"]'), MetadataError, "damaged"),
        (lambda p: _text(p, '{"zarr_format": 7, "node_type": "group"}'), MetadataError, "damaged"),
        (lambda p: p.symlink_to(p), StorageError, "cannot be read"),
    ],
)
def test_what_cannot_be_opened(
    make: Callable[[Path], Any], error: type, sentence: str, tmp_path: Path
) -> None:
    make(tmp_path / "x.zarr")
    with pytest.raises(error, match=sentence) as caught:
        open_group(tmp_path / "x.zarr")
    assert str(tmp_path / "x.zarr") in caught.value.where
    said(caught.value)


def _text(path: Path, text: str) -> None:
    path.mkdir()
    (path / "zarr.json").write_text(text)


def test_a_path_below_a_file_and_a_folder_that_may_not_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        open_group(tmp_path / "file" / "a.zarr")
    make_image(tmp_path / "a.zarr")

    def refuse(
        path: Any, *_: Any, **__: Any
    ) -> Any:  # root may read everything: the system's answer is put in
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(StorageError, match="permission"):
        open_group(tmp_path / "a.zarr")


# --- zip files


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("inside", ["", "image.zarr/"])
def test_zip_files_also_with_one_folder_inside(inside: str, zarr_format: int, tmp_path: Path) -> None:
    make_image(tmp_path / "image.zarr", zarr_format=zarr_format)
    with zipfile.ZipFile(tmp_path / "a b.zarr.zip", "w") as archive:
        for file in sorted((tmp_path / "image.zarr").rglob("*")):
            archive.write(file, inside + file.relative_to(tmp_path / "image.zarr").as_posix())
    group = open_group(tmp_path / "a b.zarr.zip")
    assert group["0"][3, 0] == 7
    assert location_of(group) == str(tmp_path / "a b.zarr.zip") + (f"/{inside.strip('/')}" if inside else "")
    assert pickle.loads(pickle.dumps(group))["0"][0, 0] == 7
    group.store.close()


def test_zip_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "a.ozx").write_bytes(b"PK\x03\x04 and then nothing")
    with pytest.raises(StorageError, match="damaged") as caught:
        open_group(tmp_path / "a.ozx")
    said(caught.value)
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("notes.txt", "hello")
        archive.writestr("photos/1.png", "")
    with pytest.raises(NotOmeNgffError, match="no Zarr group") as nothing:
        open_group(tmp_path / "b.zip")
    assert nothing.value.found == "notes.txt, photos"
    with ZipStore(tmp_path / "c.zip", mode="w") as store:
        zarr.create_group(store).create_array("table/x", shape=(1,), dtype="u1")
    with pytest.raises(NotOmeNgffError, match=r"no OME-Zarr image") as none:
        open_ome_ngff(tmp_path / "c.zip")
    assert "table" in none.value.found


def test_what_is_damaged_in_a_zip_file_leaves_the_other_images(tmp_path: Path) -> None:
    for name in ("a.zarr", "b.zarr", "c.zarr"):
        make_image(tmp_path / name)
    (tmp_path / "b.zarr" / "zarr.json").write_text("{")
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for file in sorted(tmp_path.rglob("*.zarr/**/*")):
            if file.is_file():
                archive.write(file, file.relative_to(tmp_path))
    with pytest.warns(OmeNgffWarning, match=r"groups are left out.*b\.zarr"):
        opened = open_ome_ngff(tmp_path / "all.zip")
    assert isinstance(opened, Collection)
    assert sorted(opened.images) == ["a", "c"]


def test_zip_files_of_real_writers(corpus: Path) -> None:
    for name in ("generated/ngff-zarr-0.50/wave_0.5.ozx", "neuroglancer/ome_zarr/simple_0.5.zip"):
        group = open_group(corpus / name)
        assert "ome" in group.attrs
        assert is_likely_ome_ngff(str(corpus / name))
        group.store.close()


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_paths_go_on_inside_a_zip_file(zarr_format: Any, tmp_path: Path) -> None:
    with ZipStore(tmp_path / "a.zarr.zip", mode="w") as archive:
        make_image(archive, path="b/image", zarr_format=zarr_format)
    hierarchy = open_hierarchy(tmp_path / "a.zarr.zip" / "b" / "image")
    assert hierarchy.location == f"{tmp_path}/a.zarr.zip/b/image"
    assert hierarchy.shape("0") == (4, 4)
    assert hierarchy.children() == ("0",)
    hierarchy.store.close()
    array = array_at(f"{tmp_path}/a.zarr.zip/b/image/0")
    assert array is not None
    assert array[3, 3] == 7
    assert next(parents(array)).path == "b/image"
    array.store.close()


def test_a_damaged_zip_file_is_an_error_for_what_is_damaged(tmp_path: Path) -> None:
    with ZipStore(tmp_path / "a.zip", mode="w") as archive:
        make_image(archive)
    content = bytearray((tmp_path / "a.zip").read_bytes())
    content[content.index(b'"zarr_format"') + 2] ^= 0xFF  # inside the first document: its checksum is wrong
    (tmp_path / "b.zip").write_bytes(content)
    with pytest.raises(StorageError, match="zip file is damaged") as caught:
        open_hierarchy(tmp_path / "b.zip").attributes()
    said(caught.value)
    (tmp_path / "c.zip").write_bytes(content[: len(content) // 2])
    with pytest.raises(StorageError, match="zip file is damaged"):
        open_hierarchy(tmp_path / "c.zip")


# --- arrays by their own place


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_an_array_is_found_at_its_place(zarr_format: Any, tmp_path: Path) -> None:
    make_image(tmp_path / "a.zarr", zarr_format=zarr_format)
    document = "zarr.json" if zarr_format == 3 else ".zarray"
    for spelling in (tmp_path / "a.zarr/0", f"{tmp_path}/a.zarr/0/", f"{tmp_path}/a.zarr/0/{document}"):
        array = array_at(spelling)
        assert array is not None
        assert array.read_only
        assert array[2, 1] == 7
        assert location_of(array) == str(tmp_path / "a.zarr" / "0")
        assert location_of(next(parents(array))) == str(tmp_path / "a.zarr")
        with pytest.raises(NotOmeNgffError, match="array"):
            open_hierarchy(spelling)
    assert array_at(tmp_path / "a.zarr") is None
    with pytest.raises(StorageError):
        array_at(tmp_path / "a.zarr" / "1")
    (tmp_path / "a.zarr" / "0" / document).write_text("{")
    with pytest.raises(MetadataError):
        array_at(tmp_path / "a.zarr" / "0")


# --- is it worth opening?


def test_a_folder_is_judged_by_its_attributes_in_a_few_file_operations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_image(tmp_path / "v3.zarr")
    make_image(tmp_path / "v2.zarr", zarr_format=2)
    zarr.create_group(tmp_path / "plain.zarr", attributes={"mine": 1})
    zarr.create_group(tmp_path / "plain2.zarr", attributes={"mine": 1}, zarr_format=2)
    zarr.create_array(tmp_path / "array.zarr", shape=(2,), dtype="uint8")
    (tmp_path / "empty").mkdir()
    _text(tmp_path / "odd", '{"attributes": ["multiscales"]}')
    operations: list[Any] = []
    for module, name in ((os, "stat"), (os, "open"), (os, "listdir"), (os, "scandir")):
        monkeypatch.setattr(module, name, _counted(getattr(module, name), operations))
    monkeypatch.setattr("io.open", _counted(open, operations))
    monkeypatch.setattr(builtins, "open", _counted(open, operations))
    for name in ("v3.zarr", "v2.zarr", "plain.zarr", "plain2.zarr", "array.zarr", "empty", "odd", "no"):
        operations.clear()
        ours = is_likely_ome_ngff(str(tmp_path / name))
        assert ours == (name in ("v2.zarr", "v3.zarr")), name
        # Each document is looked at before it is opened: a pipe would be waited for, and 3 GB read.
        assert len(operations) <= (5 if ours else 30), (name, operations)
    monkeypatch.undo()
    for path in ("v3.zarr/zarr.json", "v2.zarr/.zattrs", "v2.zarr/.zgroup", "v2.zarr//"):
        assert is_likely_ome_ngff(f"{tmp_path}/{path}")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert is_likely_ome_ngff("~/v3.zarr")
    assert is_likely_ome_ngff((tmp_path / "v3.zarr").as_uri())


def test_a_damaged_group_is_worth_an_error_message(tmp_path: Path) -> None:
    for number, text in enumerate(("{", "[1]", "[" * 100_000, "\0\1\2")):
        _text(tmp_path / f"{number}.zarr", text)
        assert is_likely_ome_ngff(str(tmp_path / f"{number}.zarr"))


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_level_of_an_image_is_ours_and_a_plain_array_is_not(zarr_format: Any, tmp_path: Path) -> None:
    ome = {"multiscales": [{"datasets": [{"path": "0"}, {"path": "scale1/image"}, {"path": 7}, {}]}, None]}
    attributes = {"ome": ome} if zarr_format == 3 else ome
    image = zarr.create_group(tmp_path / "a.zarr", zarr_format=zarr_format, attributes=attributes)
    plain = zarr.create_group(tmp_path / "b.zarr", zarr_format=zarr_format)
    for path in ("0", "scale1/image", "other"):
        image.create_array(path, shape=(2, 2), dtype="uint8")
        plain.create_array(path, shape=(2, 2), dtype="uint8")
        assert is_likely_ome_ngff(str(tmp_path / "a.zarr" / path)) == (path != "other")
        assert not is_likely_ome_ngff(str(tmp_path / "b.zarr" / path))
    document = "zarr.json" if zarr_format == 3 else ".zarray"
    assert is_likely_ome_ngff(str(tmp_path / "a.zarr" / "0" / document))
    assert not is_likely_ome_ngff(str(tmp_path / "a.zarr" / "7"))  # named, but not there


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_what_has_no_attributes_of_ours_is_judged_by_what_is_around_it(
    zarr_format: Any, tmp_path: Path
) -> None:
    def group(path: str, attributes: dict[str, Any]) -> None:
        own = {"ome": attributes} if attributes and zarr_format == 3 else attributes
        zarr.create_group(tmp_path / path, zarr_format=zarr_format, attributes=own)

    group("plate", {"plate": {"wells": [{"path": "A/1"}, {"path": "B/2"}, {}, None]}})
    for path in ("plate/A", "plate/A/1", "plate/B", "plate/C", "plate/A/3", "plate/A/1/0"):
        group(path, {})
    group("labels only", {})
    group("labels only/labels", {"labels": ["cells"]})
    group("collection", {"bioformats2raw.layout": 3})
    group("series", {})
    group("series/OME", {"series": ["0"]})
    ours = ("plate", "plate/A", "plate/A/1", "plate/B", "labels only", "collection", "series", "series/OME")
    for path in ours:
        assert is_likely_ome_ngff(str(tmp_path / path)), path
    for path in ("plate/C", "plate/A/3", "plate/A/1/0"):
        assert not is_likely_ome_ngff(str(tmp_path / path)), path


def test_a_zip_file_is_judged_by_what_it_lists(tmp_path: Path) -> None:
    for name, inside in (("a", "zarr.json"), ("b", "all/of/it/image.zarr/.zattrs"), ("c", "photos/1.png")):
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as archive:
            archive.writestr(inside, "{}")
    (tmp_path / "d.zip").write_bytes(b"PK and then nothing")
    (tmp_path / "e.zip").write_bytes(b"something else")
    assert [is_likely_ome_ngff(f"{tmp_path}/{name}.zip") for name in "abcde"] == [1, 1, 0, 1, 0]


def _counted(function: Callable[..., Any], calls: list[Any]) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        return function(*args, **kwargs)

    return wrapper


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://h/a.zarr", True),
        ("https://h/a.zarr/?sig=1", True),
        ("s3://b/a.ome.zarr/0?sig=1", True),
        ("s3://b/no-suffix", True),
        ("https://h/idr/6001240", True),
        ("https://h/a/zarr.json", True),
        ("https://h/a.b/.zattrs?q", True),
        ("https://h/a.png", False),
        ("https://h/", False),
        ("https://h/a.ozx", True),
    ],
)
def test_urls_are_judged_by_their_shape(url: str, expected: bool) -> None:
    assert is_likely_ome_ngff(url) is expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.zarr", "a.zarr"),
        ("/a.zarr//", "/a.zarr"),
        ("/a.zarr/zarr.json", "/a.zarr"),
        ("/a.zarr/.zgroup", "/a.zarr"),
        ("https://h/a.zarr/.zattrs", "https://h/a.zarr"),
        ("/my.zarr.json", "/my.zarr.json"),
        ("/what?/zarr.json", "/what?"),
        ("https://h/a.zarr/zarr.json?sig=a/b", "https://h/a.zarr?sig=a/b"),
        ("https://h/a.zarr//?sig=1", "https://h/a.zarr?sig=1"),
        ("s3://", "s3://"),
        ("/a.zarr/0/.zarray", "/a.zarr/0"),
        ("/", "/"),
        ("/zarr.json", "/"),
        ("zarr.json", "."),
    ],
)
def test_the_group_a_path_stands_for(path: str, expected: str) -> None:
    assert group_location(path) == expected


# --- where is it, and what is above it?


def test_locations_tell_places_apart(tmp_path: Path) -> None:
    (tmp_path / "real" / "a.zarr" / "0").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real", target_is_directory=True)
    assert is_within(f"{tmp_path}/link/a.zarr/0", f"{tmp_path}/real/a.zarr")
    assert is_within(f"{tmp_path}/real/a.zarr", f"{tmp_path}/link/a.zarr/")
    assert not is_within(f"{tmp_path}/real/a.zarr", f"{tmp_path}/real/a.zarr/0")
    assert not is_within(f"{tmp_path}/real/a.zarr2", f"{tmp_path}/real/a.zarr")
    assert is_within("s3://b/a.zarr/0", "s3://b/a.zarr")
    assert not is_within("s3://b/a.zarr/0", "s3://c/a.zarr")
    assert not is_within(str(tmp_path), "https://h/a.zarr")


def test_stores_in_memory_have_locations_of_their_own() -> None:
    one, two = MemoryStore(), MemoryStore()
    for store in (one, two):
        make_image(store, path="a")
    assert location_of(zarr.open_array(one, path="a/0")) == location_of(zarr.open_group(one, path="a")) + "/0"
    assert location_of(zarr.open_group(one, mode="r")) == location_of(zarr.open_group(one, mode="r+"))
    assert location_of(zarr.open_group(one)) != location_of(zarr.open_group(two))


def test_groups_above_an_array_nearest_first(tmp_path: Path) -> None:
    make_image(tmp_path / "a.zarr", path="labels/cells")
    expected = [str(tmp_path / "a.zarr" / name) for name in ("labels/cells", "labels", "")]
    expected[-1] = str(tmp_path / "a.zarr")
    by_group = zarr.open_group(tmp_path / "a.zarr", mode="r")["labels/cells/0"]
    by_path = zarr.open_array(tmp_path / "a.zarr" / "labels" / "cells" / "0", mode="r")
    for array in (by_group, by_path):
        assert [location_of(group) for group in parents(array)] == expected
    assert next(parents(by_path))["0"][0, 0] == 7
    assert list(parents(zarr.create_array(tmp_path / "alone", shape=(2,), dtype="uint8"))) == []


def test_folders_without_metadata_are_passed_over(tmp_path: Path) -> None:
    make_image(tmp_path / "a.zarr")
    nested = zarr.create_array(tmp_path / "a.zarr" / "scale0" / "image", shape=(2,), dtype="uint8")
    assert [location_of(group) for group in parents(nested)] == [str(tmp_path / "a.zarr")]


def test_groups_above_in_memory_and_in_a_zip_file(tmp_path: Path) -> None:
    memory = MemoryStore()
    make_image(memory, path="b/image")
    with ZipStore(tmp_path / "a.zip", mode="w") as archive:
        make_image(archive, path="b/image")
    with ZipStore(tmp_path / "a.zip", mode="r") as archive:
        for store in (memory, archive):
            array = zarr.open_array(store, path="b/image/0", mode="r")
            assert [group.path for group in parents(array)] == ["b/image", "b", ""]


# --- real files


def test_every_image_of_the_corpus_is_found(corpus: Path) -> None:
    """Whoever wrote it, and whatever the version: every folder with our keys is recognised and opens."""
    found = 0
    for document in sorted(corpus.glob("*/*/**/zarr.json")) + sorted(corpus.glob("*/*/**/.zattrs")):
        try:
            content = json.loads(document.read_text())
        except ValueError:
            continue
        attributes = content.get("attributes", {}) if document.name == "zarr.json" else content
        kind = content.get("node_type", "group")
        if kind == "group" and "multiscales" in (attributes.get("ome") or attributes):
            assert is_likely_ome_ngff(str(document.parent)), document
            found += 1
            if document.name == "zarr.json" or (document.parent / ".zgroup").exists():
                assert open_group(document).attrs.asdict() == attributes
    assert found > 50
