"""Paths, URLs, kinds of stores and Zarr's documents: what is told of a place without opening it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import zarr
from zarr.storage import LocalStore, MemoryStore, WrapperStore, ZipStore

from napari_ome_ngff.storage.documents.json_documents import normalised, shape_of
from napari_ome_ngff.storage.places.bounded_reads import read_file
from napari_ome_ngff.storage.places.folders import node_kind
from napari_ome_ngff.storage.places.location import (
    folder_of,
    is_url,
    is_within,
    is_zip,
    join,
    local_path,
    location_of,
    store_location,
)
from napari_ome_ngff.storage.places.object_store import has_credentials
from napari_ome_ngff.storage.places.requests import explain
from napari_ome_ngff.storage.places.server_errors import first_line
from napari_ome_ngff.storage.places.store_kind import is_cheap, local_folder, store_kind
from napari_ome_ngff.storage.places.stores import folders


class DerivedStore(LocalStore):
    """One that may read in its own way."""


def test_the_kind_of_a_store(tmp_path: Path) -> None:
    kinds = {
        "folder": LocalStore(tmp_path),
        "zip": ZipStore(tmp_path / "a.zip", mode="w"),
        "memory": MemoryStore(),
    }
    for kind, store in kinds.items():
        assert store_kind(store) == kind
        assert is_cheap(store)
    assert store_kind(WrapperStore(MemoryStore())) is None
    assert not is_cheap(WrapperStore(MemoryStore()))


def test_a_derived_class_may_read_in_its_own_way(tmp_path: Path) -> None:
    assert store_kind(DerivedStore(tmp_path)) is None
    assert store_kind(DerivedStore(tmp_path), derived=True) == "folder"
    assert local_folder(DerivedStore(tmp_path)) is None
    assert local_folder(LocalStore(tmp_path)) == str(tmp_path)


def test_parts_of_keys() -> None:
    assert join("", "a", "zarr.json") == "a/zarr.json"
    assert folder_of("a/zarr.json") == "a"
    assert folder_of("zarr.json") == ""
    assert normalised("./labels//cells/", where="") == "labels/cells"


def test_urls_and_paths(tmp_path: Path) -> None:
    assert is_url("s3://bucket/image.zarr")
    assert not is_url("C:/data/image.zarr")
    assert local_path("file:///data/my%20image.zarr") == "/data/my image.zarr"
    assert local_path("s3://bucket/a.zarr") == "s3://bucket/a.zarr"
    assert is_within("/data/a.zarr/0", "/data/a.zarr")
    assert not is_within("/data/a.zarr2", "/data/a.zarr")
    assert not is_zip(tmp_path / "missing.ozx")
    assert store_location(LocalStore(tmp_path)) == str(tmp_path)
    assert location_of(zarr.create_array({}, name="a/0", shape=(2,), dtype="uint8")).startswith("memory://")


def test_folders_of_a_store_in_memory() -> None:
    store = MemoryStore()
    zarr.create_array(store, name="a/b/0", shape=(2,), dtype="uint8")
    assert folders(store, "a") == ("b",)


@pytest.mark.parametrize(
    ("documents", "kind"),
    [
        ({}, None),
        ({".zgroup": {"zarr_format": 2}}, "group"),
        ({".zattrs": {}}, None),
        ({".zarray": {"zarr_format": 2}}, "array"),
        ({"zarr.json": {"node_type": "array"}}, "array"),
        ({"zarr.json": {"node_type": "group"}}, "group"),
        ({"zarr.json": "damaged"}, "group"),
    ],
)
def test_group_or_array(documents: dict[str, Any], kind: str | None, tmp_path: Path) -> None:
    for name, content in documents.items():
        (tmp_path / name).write_text(json.dumps(content))
    assert node_kind(tmp_path) == kind


def test_what_is_read_and_what_is_said(tmp_path: Path) -> None:
    assert read_file(str(tmp_path / "missing"), None, limit=100) is None
    assert read_file(str(tmp_path), None, limit=100) is None
    (tmp_path / "a").write_bytes(b"0123456789")
    assert read_file(str(tmp_path / "a"), (2, 3), limit=100) == b"234"
    assert read_file(str(tmp_path / "a"), (-1, 3), limit=100) == b"789"
    assert isinstance(read_file(str(tmp_path / "a"), None, limit=9), ValueError)
    assert explain(PermissionError("no"), "/data/a.zarr").summary == "The permission to read this is missing."
    assert first_line(ValueError("no path\n\nDebug source: ...")) == "no path"
    assert has_credentials("s3://bucket/a.zarr", {"AWS_ACCESS_KEY_ID": "me"})
    assert not has_credentials("https://example.org/a.zarr", {"AWS_ACCESS_KEY_ID": "me"})
    assert shape_of({"shape": [4, 6]}, where="") == (4, 6)
