"""Opening: wherever a group is it is found, and what cannot be opened is refused in one clear sentence."""

from __future__ import annotations

import builtins
import json
import os
import pickle
import shutil
import socket
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import zarr
from zarr.storage import LocalStore, MemoryStore, ZipStore

from napari_ome_ngff.errors import NotOmeNgffError, OmeNgffError, StorageError
from napari_ome_ngff.storage.open import (
    group_location,
    is_within,
    location_of,
    looks_like_ome_ngff,
    open_group,
    parents,
)

needs_obstore = pytest.mark.skipif(find_spec("obstore") is None, reason="obstore is not installed")

OME = {"ome": {"version": "0.5", "multiscales": []}}


def make_image(store: Any, *, zarr_format: Any = 3, path: str = "") -> None:
    """A group with one level, as small as can be."""
    group = zarr.create_group(
        store, path=path, zarr_format=zarr_format, attributes=OME if zarr_format == 3 else OME["ome"]
    )
    group.create_array("0", shape=(4, 4), chunks=(2, 2), dtype="uint8")[...] = 7


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
        open_group(LocalStore("plate.zarr"), path="/A/1/0/"),
    ):
        assert group["0"][3, 3] == 7


def test_stores_and_groups_are_used_as_they_are() -> None:
    store = MemoryStore()
    make_image(store, path="image")
    assert open_group(store, path="image")["0"][0, 0] == 7
    group = zarr.open_group(store, mode="r+")
    assert open_group(group) is group


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
        (lambda p: _text(p, "{not json"), NotOmeNgffError, "damaged"),
        (lambda p: _text(p, '["a"]'), NotOmeNgffError, "damaged"),
        (lambda p: _text(p, '{"zarr_format": 7, "node_type": "group"}'), NotOmeNgffError, "damaged"),
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

    def refuse(*_: Any, **__: Any) -> Any:  # root may read everything, so the system's answer is put in
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(zarr, "open_group", refuse)
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
    with pytest.raises(NotOmeNgffError, match="no Zarr group"):
        open_group(tmp_path / "b.zip")


def test_zip_files_of_real_writers(corpus: Path) -> None:
    for name in ("generated/ngff-zarr-0.50/wave_0.5.ozx", "neuroglancer/ome_zarr/simple_0.5.zip"):
        group = open_group(corpus / name)
        assert "ome" in group.attrs
        assert looks_like_ome_ngff(str(corpus / name))
        group.store.close()


# --- is it worth opening?


def test_a_folder_is_judged_by_its_attributes_in_three_file_operations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_image(tmp_path / "v3.zarr")
    make_image(tmp_path / "v2.zarr", zarr_format=2)
    zarr.create_group(tmp_path / "plain.zarr", attributes={"mine": 1})
    zarr.create_group(tmp_path / "plain2.zarr", attributes={"mine": 1}, zarr_format=2)
    zarr.create_array(tmp_path / "array.zarr", shape=(2,), dtype="uint8")
    (tmp_path / "empty").mkdir()
    _text(tmp_path / "broken", "{")
    _text(tmp_path / "odd", '{"attributes": ["multiscales"]}')
    operations: list[Any] = []
    for module, name in ((os, "stat"), (os, "open"), (os, "listdir"), (os, "scandir")):
        monkeypatch.setattr(module, name, _counted(getattr(module, name), operations))
    monkeypatch.setattr("io.open", _counted(open, operations))
    monkeypatch.setattr(builtins, "open", _counted(open, operations))
    found = {}
    for name in (
        "v3.zarr",
        "v2.zarr",
        "plain.zarr",
        "plain2.zarr",
        "array.zarr",
        "empty",
        "broken",
        "odd",
        "no",
    ):
        operations.clear()
        found[name] = looks_like_ome_ngff(str(tmp_path / name))
        assert len(operations) <= 3, (name, operations)
    monkeypatch.undo()
    assert [name for name, is_ours in found.items() if is_ours] == ["v3.zarr", "v2.zarr"]
    assert looks_like_ome_ngff(str(tmp_path / "v3.zarr" / "zarr.json"))
    assert looks_like_ome_ngff(str(tmp_path / "v2.zarr" / ".zattrs"))
    assert looks_like_ome_ngff(f"{tmp_path / 'v2.zarr'}/")
    assert not looks_like_ome_ngff(str(tmp_path / "v3.zarr" / "0"))


def _counted(function: Callable[..., Any], calls: list[Any]) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        return function(*args, **kwargs)

    return wrapper


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://h/a.zarr", True),
        ("s3://b/a.ome.zarr/0?sig=1", True),
        ("https://h/a/zarr.json", True),
        ("https://h/a/.zattrs", True),
        ("https://h/a.png", False),
        ("https://h/a.ozx", True),
    ],
)
def test_urls_are_judged_by_their_shape(url: str, expected: bool) -> None:
    assert looks_like_ome_ngff(url) is expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.zarr", "a.zarr"),
        ("/a.zarr//", "/a.zarr"),
        ("/a.zarr/zarr.json", "/a.zarr"),
        ("/a.zarr/.zgroup", "/a.zarr"),
        ("https://h/a.zarr/.zattrs", "https://h/a.zarr"),
        ("/my.zarr.json", "/my.zarr.json"),
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


# --- servers


class _Handler(SimpleHTTPRequestHandler):
    """Serves a folder; what lies below ``/private``, ``/page`` and ``/broken`` is answered in other ways."""

    requests: list[str]

    def do_GET(self) -> None:
        type(self).requests.append(self.path)
        if self.path.startswith("/private/"):
            self.send_error(403)
        elif self.path.startswith("/sparse/") and not Path(self.translate_path(self.path)).is_file():
            self.send_error(403)  # what buckets answer that list nothing
        elif self.path.startswith("/broken/"):
            self.send_error(501)
        elif self.path.startswith("/page/"):
            body = b"<!DOCTYPE html><html>Welcome</html>"
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        elif self.path.startswith("/moved/"):
            self.send_response(302)
            self.send_header("Location", self.path.replace("/moved/", "/"))
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            super().do_GET()

    def log_message(self, *args: Any) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path, list[str]]]:
    """URL of a server on this machine, the folder it serves, and the paths asked for."""
    seen: list[str] = []

    class Handler(_Handler):
        requests = seen

        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(tmp_path))

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}", tmp_path, seen
        running.shutdown()
        thread.join()


@needs_obstore
@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("name", ["a.zarr", "with space.zarr", "deep/er/a.zarr"])
def test_urls(name: str, zarr_format: int, server: tuple[str, Path, list[str]]) -> None:
    url, folder, _ = server
    make_image(folder / name, zarr_format=zarr_format)
    document = "zarr.json" if zarr_format == 3 else ".zattrs"
    for spelling in (f"{url}/{name}", f"{url}/{name}/", f"{url}/{name}/{document}", f"{url}/moved/{name}"):
        group = open_group(spelling)
        assert group["0"][3, 3] == 7
        assert location_of(group).startswith(url)
    group = open_group(f"{url}/{name}")
    assert pickle.loads(pickle.dumps(group))["0"][0, 0] == 7
    array = zarr.open_array(open_group(f"{url}/{name}").store, path="0", mode="r")
    assert [g.path for g in parents(array)][:1] == [""]


@needs_obstore
def test_groups_above_a_url(server: tuple[str, Path, list[str]]) -> None:
    url, folder, _ = server
    make_image(folder / "a.zarr", path="labels/cells")
    cells = open_group(f"{url}/a.zarr/labels/cells")
    assert [location_of(group) for group in parents(cells)] == [f"{url}/a.zarr/labels", f"{url}/a.zarr"]


@needs_obstore
def test_a_server_that_refuses_what_is_not_there(server: tuple[str, Path, list[str]]) -> None:
    url, folder, _ = server
    for zarr_format in (2, 3):
        make_image(folder / "sparse" / f"v{zarr_format}.zarr", zarr_format=zarr_format)
        assert open_group(f"{url}/sparse/v{zarr_format}.zarr")["0"][0, 0] == 7
    shutil.rmtree(folder / "sparse" / "v3.zarr" / "0" / "c" / "0")
    from napari_ome_ngff.storage.source import ChunkedSource

    with pytest.raises(StorageError, match=r"c/0/0"):  # a refused chunk is not taken for an empty one
        _ = ChunkedSource(open_group(f"{url}/sparse/v3.zarr")["0"])[...]


@needs_obstore
@pytest.mark.parametrize(
    ("path", "error", "sentence"),
    [
        ("nothing.zarr", NotOmeNgffError, "no Zarr group"),
        ("private/a.zarr", StorageError, "refuses access"),
        ("page/a.zarr", NotOmeNgffError, "not Zarr metadata"),
        ("broken/a.zarr", StorageError, "could not be read"),
        ("array.zarr", NotOmeNgffError, "array, not a group"),
    ],
)
def test_what_servers_answer(
    path: str, error: type, sentence: str, server: tuple[str, Path, list[str]]
) -> None:
    url, folder, _ = server
    zarr.create_array(folder / "array.zarr", shape=(2,), dtype="uint8")
    with pytest.raises(error, match=sentence) as caught:
        open_group(f"{url}/{path}")
    assert f"{url}/{path}" in caught.value.where
    said(caught.value)


@needs_obstore
def test_servers_that_are_not_there() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/a.zarr"
    with pytest.raises(StorageError, match="does not answer") as caught:
        open_group(url)
    said(caught.value)
    with pytest.raises(StorageError, match=r"no server called no-such-host\.invalid") as caught:
        open_group("https://no-such-host.invalid/a.zarr")
    said(caught.value)


@needs_obstore
def test_addresses_of_other_kinds() -> None:
    with pytest.raises(StorageError, match="ftp://"):
        open_group("ftp://h/a.zarr")


@needs_obstore
@pytest.mark.parametrize(
    ("url", "names"),
    [
        ("s3://bucket/deep/a.zarr", ["AWS_ACCESS_KEY_ID"]),
        ("gs://bucket/deep/a.zarr", ["GOOGLE_SERVICE_ACCOUNT_KEY"]),
        ("az://container/deep/a.zarr", ["AZURE_STORAGE_ACCOUNT_KEY"]),
    ],
)
def test_buckets_are_tried_without_signing_in_first(
    url: str, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_ome_ngff.storage.remote import remote_location, remote_parent, remote_stores

    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "somebody")
    anonymous = remote_stores(url, {})
    assert len(anonymous) == 1
    assert anonymous[0].store.config["skip_signature"] == "true"
    assert remote_location(anonymous[0].store) == url
    assert remote_location(remote_parent(anonymous[0].store)) == url.rpartition("/")[0]
    if url.startswith("s3"):
        signed = remote_stores(url, {names[0]: "x"})
        assert len(signed) == 2
        assert signed[1].store.config.get("skip_signature") != "true"


def test_without_obstore_the_way_to_get_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("obstore"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(StorageError, match=r"pip install .*remote"):
        open_group("https://h/a.zarr")


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
            assert looks_like_ome_ngff(str(document.parent)), document
            found += 1
            if document.name == "zarr.json" or (document.parent / ".zgroup").exists():
                assert open_group(document).attrs.asdict() == attributes
    assert found > 50
