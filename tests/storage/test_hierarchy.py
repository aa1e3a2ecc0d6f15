"""Metadata documents: fetched together, each once, never from outside; what is damaged is said, quickly."""

from __future__ import annotations

import json
import os
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from zarr.storage import LocalStore, MemoryStore, WrapperStore, ZipStore

from napari_ome_ngff.errors import MetadataError, NotOmeNgffError, OmeNgffError, StorageError
from napari_ome_ngff.storage.documents.hierarchy import Hierarchy, open_hierarchy
from napari_ome_ngff.storage.places.requests import MAX_DOCUMENT_BYTES

FORMATS = pytest.mark.parametrize("zarr_format", [2, 3])


class Counting(WrapperStore[Any]):
    """A store on which every request is seen; as from a server, nothing is listed."""

    def __init__(self, store: Any) -> None:
        super().__init__(store)
        self.keys: list[str] = []

    def with_read_only(self, read_only: bool = False) -> Counting:
        return self

    async def get(self, key: str, *args: Any, **kwargs: Any) -> Any:
        self.keys.append(key)
        return await super().get(key, *args, **kwargs)


def make(store: Any, zarr_format: Any) -> None:
    """An image with two levels and a label image, as Zarr writes it."""
    root = zarr.create_group(store, zarr_format=zarr_format, attributes={"multiscales": []})
    for level in ("0", "1"):
        own = {"level": level}
        array = root.create_array(
            level, shape=(4, 6), chunks=(2, 3), dtype=">u2", fill_value=9, attributes=own
        )
        array[:2] = np.arange(12).reshape(2, 6)
    labels = root.create_group("labels", attributes={"labels": ["cells"]})
    labels.create_group("cells", attributes={"image-label": {}}).create_array("0", shape=(4,), dtype="u1")
    root.create_group("plain")


def stores(folder: Path, zarr_format: Any) -> dict[str, Any]:
    """The same hierarchy behind every kind of store."""
    make(folder / "a.zarr", zarr_format)
    memory = MemoryStore()
    make(memory, zarr_format)
    with ZipStore(folder / "a.zip", mode="w") as archive:
        make(archive, zarr_format)
    return {
        "folder": folder / "a.zarr",
        "local": LocalStore(folder / "a.zarr"),
        "zip": folder / "a.zip",
        "memory": memory,
        "server": Counting(memory),
        "group": zarr.open_group(folder / "a.zarr", mode="r"),
    }


@FORMATS
@pytest.mark.parametrize("kind", ["folder", "local", "zip", "memory", "server", "group"])
def test_the_same_is_found_in_every_store(kind: str, zarr_format: Any, tmp_path: Path) -> None:
    place = stores(tmp_path, zarr_format)[kind]
    hierarchy = open_hierarchy(place, ahead=("labels", "OME"))
    assert hierarchy.zarr_format == zarr_format
    assert hierarchy.attributes() == {"multiscales": []}
    assert hierarchy.attributes("labels") == {"labels": ["cells"]}
    assert hierarchy.attributes("OME") is None
    assert hierarchy.attributes("0") is None
    assert hierarchy.attributes("/".join(["no", "such"])) is None
    assert hierarchy.attributes("plain") == {}
    assert hierarchy.shape("0") == (4, 6)
    assert hierarchy.shape("labels") is hierarchy.array("labels") is hierarchy.array("2") is None
    below = hierarchy.below("labels").below("cells")
    assert below.location == f"{hierarchy.location}/labels/cells"
    assert below.attributes() == hierarchy.attributes("labels/cells") == {"image-label": {}}
    assert below.shape("0") == (4,)
    listed = None if kind == "server" else ("0", "1", "labels", "plain")
    assert hierarchy.children() == listed
    assert hierarchy.children("no") == (None if listed is None else ())
    assert hierarchy.group("labels").attrs.asdict() == {"labels": ["cells"]}
    with pytest.raises(NotOmeNgffError, match="no Zarr group"):
        hierarchy.group("0")
    hierarchy.store.close()


@FORMATS
def test_an_array_is_the_one_that_zarr_opens(zarr_format: Any, tmp_path: Path) -> None:
    make(tmp_path / "a.zarr", zarr_format)
    built = open_hierarchy(tmp_path / "a.zarr").array("1")
    expected = zarr.open_array(tmp_path / "a.zarr" / "1", mode="r")
    assert built is not None
    assert built.metadata == expected.metadata
    assert built.attrs.asdict() == {"level": "1"}
    assert built.read_only
    assert np.array_equal(built[...], expected[...])
    # Twice the same: Zarr changes the dict that it builds from.
    again = open_hierarchy(tmp_path / "a.zarr")
    assert again.array("1").metadata == again.array("1").metadata == expected.metadata  # type: ignore[union-attr]


# --- how often is asked


@FORMATS
def test_each_document_is_asked_for_once_and_only_in_the_format_of_the_root(zarr_format: Any) -> None:
    memory = MemoryStore()
    make(memory, zarr_format)
    store = Counting(memory)
    hierarchy = open_hierarchy(store, ahead=("labels", "OME"))
    assert set(store.keys) == {
        *("zarr.json", ".zgroup", ".zattrs", "labels/zarr.json", "labels/.zattrs"),
        *("OME/zarr.json", "OME/.zattrs"),
    }
    store.keys.clear()
    hierarchy.fetch(["0", "/0", "0/", "1", "missing", "../out"])
    hierarchy.fetch(["labels/cells"], groups=True)
    hierarchy.fetch(["0", "labels"], groups=True)
    expected = {
        3: {f"{path}/zarr.json" for path in ("0", "1", "missing", "labels/cells")},
        2: {f"{path}/{name}" for path in ("0", "1", "missing") for name in (".zarray", ".zattrs")}
        | {"labels/cells/.zattrs"},
    }[zarr_format]
    assert sorted(store.keys) == sorted(expected)
    for path in ("0", "1", "missing"):
        hierarchy.array(path), hierarchy.shape(path), hierarchy.attributes(path), hierarchy.array(path)
    hierarchy.attributes("labels"), hierarchy.attributes("labels/cells"), hierarchy.below("labels").group()
    assert len(store.keys) == len(expected)
    assert hierarchy.array("labels/cells/0") is not None  # what was not fetched ahead is fetched now
    assert len(store.keys) == len(expected) + (1 if zarr_format == 3 else 2)


@pytest.mark.filterwarnings("ignore:Consolidated metadata is currently not part")
def test_consolidated_metadata_answer_without_requests() -> None:
    memory = MemoryStore()
    make(memory, 3)
    zarr.consolidate_metadata(memory)
    store = Counting(memory)
    hierarchy = open_hierarchy(store)
    assert len(store.keys) == 3
    hierarchy.fetch(["0", "1", "labels", "labels/cells/0"])
    assert hierarchy.shape("0") == hierarchy.array("1").shape == (4, 6)  # type: ignore[union-attr]
    assert hierarchy.attributes("labels/cells") == {"image-label": {}}
    assert hierarchy.group("labels").attrs.asdict() == {"labels": ["cells"]}
    assert len(store.keys) == 3
    zarr.create_group(memory, path="later")
    assert hierarchy.attributes("later") == {}  # what they do not list is asked for
    assert store.keys[3:] == ["later/zarr.json"]
    group = zarr.open_group(memory, mode="r")
    assert open_hierarchy(group).shape("labels/cells/0") == (4,)


@pytest.mark.parametrize(
    "consolidated",
    [
        7,
        {"metadata": 7},
        {"metadata": {"0": 7, "../x": {"zarr_format": 3}, "/y": {}, "0/": {"zarr_format": 2}}},
        {"kind": "other", "metadata": None},
    ],
)
def test_consolidated_metadata_that_are_nonsense_are_passed_over(consolidated: Any) -> None:
    memory = MemoryStore()
    make(memory, 3)
    document = {"zarr_format": 3, "node_type": "group", "consolidated_metadata": consolidated}
    _put(memory, "zarr.json", json.dumps(document).encode())
    hierarchy = open_hierarchy(memory)
    assert hierarchy.shape("0") == (4, 6)
    assert hierarchy.group().read_only


def _put(store: MemoryStore, key: str, content: bytes) -> None:
    from zarr.core.buffer import cpu
    from zarr.core.sync import sync

    sync(store.set(key, cpu.Buffer.from_bytes(content)))


@FORMATS
def test_a_group_that_is_given_is_not_read_again(zarr_format: Any) -> None:
    memory = MemoryStore()
    make(memory, zarr_format)
    group = zarr.open_group(memory, mode="r+")
    store = Counting(memory)
    given = zarr.Group(zarr.AsyncGroup(group.metadata, zarr.storage.StorePath(store, group.path)))
    hierarchy = open_hierarchy(given, ahead=("labels",))
    assert hierarchy.attributes() == {"multiscales": []}
    assert store.keys == (["labels/zarr.json"] if zarr_format == 3 else ["labels/.zattrs"])
    assert not open_hierarchy(group).group().read_only


def test_the_root_decides_the_format() -> None:
    """Documents of both formats: v3 is taken, unless its document is damaged."""
    memory = MemoryStore()
    zarr.create_group(memory, zarr_format=2, attributes={"a": 2})
    _put(memory, "zarr.json", b'{"zarr_format": 3, "node_type": "group", "attributes": {"a": 3}}')
    assert open_hierarchy(memory).attributes() == {"a": 3}
    _put(memory, "zarr.json", b"<html>")
    assert open_hierarchy(memory).attributes() == {"a": 2}


def test_v2_attributes_alone_make_a_group() -> None:
    memory = MemoryStore()
    _put(memory, ".zattrs", b'{"multiscales": []}')
    assert open_hierarchy(memory).attributes() == {"multiscales": []}
    _put(memory, ".zarray", b"{}")
    with pytest.raises(NotOmeNgffError, match="array"):
        open_hierarchy(memory)


# --- what leads outside, and what is damaged


@pytest.mark.parametrize("place", ["folder", "zip", "memory", "server"])
@FORMATS
def test_nothing_outside_is_read(place: str, zarr_format: Any, tmp_path: Path) -> None:
    at = stores(tmp_path, zarr_format)[place]
    zarr.create_array(tmp_path / "secret", shape=(2,), dtype="uint8", zarr_format=zarr_format)
    for path in ("..", "../secret", "a/../../secret", "/etc", "0/..", "..\\secret", "\\x"):
        hierarchy = open_hierarchy(at)
        hierarchy.fetch([path, "0"])
        asks = (hierarchy.array, hierarchy.shape, hierarchy.attributes, hierarchy.below, hierarchy.children)
        for ask in asks:
            with pytest.raises(MetadataError, match="leads out of"):
                ask(path)
        hierarchy.store.close()


def test_paths_that_no_store_can_have_are_just_not_there(tmp_path: Path) -> None:
    for place in stores(tmp_path, 3).values():
        hierarchy = open_hierarchy(place)
        for path in ("a\0b", "\ud800", "x" * 5000, "0/1/2", "0/zarr.json", "a:b?c*"):
            assert hierarchy.array(path) is None
            assert not hierarchy.children(path)
        hierarchy.store.close()


ODD_FILES: list[tuple[str, Callable[[Path], Any], type[OmeNgffError] | None]] = [
    ("a folder", Path.mkdir, None),
    ("a loop of links", lambda path: path.symlink_to(path), StorageError),
    ("a link to nowhere", lambda path: path.symlink_to("nowhere"), None),
    ("a device that never ends", lambda path: path.symlink_to("/dev/zero"), StorageError),
    ("an empty file", Path.touch, MetadataError),
    ("no JSON", lambda path: path.write_text("{"), MetadataError),
    ("no object", lambda path: path.write_text("[1]"), MetadataError),
    ("no UTF-8", lambda path: path.write_bytes(b'{"a": "\xff"}'), MetadataError),
    ("a hundred thousand brackets", lambda path: path.write_text("[" * 100_000), MetadataError),
    ("half a million of them", lambda path: path.write_text('{"a":' * 500_000), MetadataError),
    ("a number of 10,000 digits", lambda path: path.write_text('{"a": ' + "9" * 10_000 + "}"), MetadataError),
    ("200 MB", lambda path: _sparse(path, 2 * MAX_DOCUMENT_BYTES), MetadataError),
    ("another format", lambda path: path.write_text('{"zarr_format": 4}'), MetadataError),
    ("another node", lambda path: path.write_text('{"node_type": "table"}'), MetadataError),
    ("odd attributes", lambda path: path.write_text('{"attributes": [1]}'), MetadataError),
]
if hasattr(os, "mkfifo"):
    ODD_FILES.append(("a pipe that nobody writes to", os.mkfifo, StorageError))


def _sparse(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)


@pytest.mark.parametrize(
    ("make_odd", "error"), [case[1:] for case in ODD_FILES], ids=[c[0] for c in ODD_FILES]
)
def test_odd_files_in_the_place_of_a_document(
    make_odd: Callable[[Path], Any], error: type[OmeNgffError] | None, tmp_path: Path
) -> None:
    make(tmp_path, 3)
    (tmp_path / "odd").mkdir()
    make_odd(tmp_path / "odd" / "zarr.json")
    hierarchy = open_hierarchy(tmp_path)
    started = time.monotonic()
    hierarchy.fetch(["odd", "0"])
    for ask in (hierarchy.attributes, hierarchy.array):
        if error is None:
            assert ask("odd") is None
        elif not (ask == hierarchy.array and '"attributes": [1]' in _text(tmp_path / "odd" / "zarr.json")):
            with pytest.raises(error) as caught:
                ask("odd")
            assert str(tmp_path / "odd") in caught.value.where
    assert hierarchy.shape("0") == (4, 6)
    with pytest.raises(OmeNgffError):
        open_hierarchy(tmp_path / "odd").attributes()
    assert time.monotonic() - started < 5


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.is_file() and path.stat().st_size < 1000 else ""


def test_a_document_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, 3)
    real = os.open

    def refuse(path: Any, *args: Any) -> Any:  # root may read everything: the system's answer is put in
        if "labels" in str(path):
            raise PermissionError(13, "Permission denied", path)
        return real(path, *args)

    monkeypatch.setattr(os, "open", refuse)
    hierarchy = open_hierarchy(tmp_path, ahead=["labels"])
    with pytest.raises(StorageError, match="permission"):
        hierarchy.attributes("labels")
    assert hierarchy.shape("0") == (4, 6)


def test_links_inside_a_hierarchy_are_followed(tmp_path: Path) -> None:
    make(tmp_path / "a.zarr", 3)
    make(tmp_path / "b.zarr", 3)
    (tmp_path / "a.zarr" / "linked").symlink_to(tmp_path / "b.zarr")
    (tmp_path / "a.zarr" / "loop").symlink_to(tmp_path / "a.zarr" / "loop")
    hierarchy = open_hierarchy(tmp_path / "a.zarr")
    assert hierarchy.shape("linked/0") == (4, 6)
    assert hierarchy.children() == ("0", "1", "labels", "linked", "plain")
    with pytest.raises(StorageError):
        hierarchy.array("loop")


def test_fifty_megabytes_of_attributes_are_read_within_seconds(tmp_path: Path) -> None:
    table = {"rows": ["x" * 100] * 500_000}
    zarr.create_group(tmp_path / "a.zarr")
    document = {"zarr_format": 3, "node_type": "group", "attributes": table}
    (tmp_path / "a.zarr" / "zarr.json").write_text(json.dumps(document))
    started = time.monotonic()
    assert len(open_hierarchy(tmp_path / "a.zarr").attributes()["rows"]) == 500_000  # type: ignore[index]
    assert time.monotonic() - started < 5  # about half a second on a quiet machine


SHAPES = [
    None,
    "4",
    {},
    4,
    [4.0],
    [True],
    ["4"],
    [-1],
    [None],
    [10**18],
    [10**6] * 4,
    [10**30],
    [0, 10**18],
    [2] * 40,
    [1] * 1_000_000,
    [[1]],
]


@FORMATS
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: repr(shape)[:20])
def test_shapes_that_no_array_has(shape: Any, zarr_format: Any) -> None:
    memory = MemoryStore()
    make(memory, zarr_format)
    key = "0/zarr.json" if zarr_format == 3 else "0/.zarray"
    _put(memory, key, json.dumps(json.loads(memory._store_dict[key].to_bytes()) | {"shape": shape}).encode())
    hierarchy = open_hierarchy(memory)
    hierarchy.fetch(["0"])
    tracemalloc.start()
    try:
        for ask in (hierarchy.shape, hierarchy.array):
            with pytest.raises(MetadataError, match="damaged"):
                ask("0")
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def _places(document: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = document.items() if isinstance(document, dict) else enumerate(document)
    found = [(*at, key) for key, _ in items]
    items = document.items() if isinstance(document, dict) else enumerate(document)
    return found + [
        p for key, value in items if isinstance(value, dict | list) for p in _places(value, (*at, key))
    ]


@FORMATS
@given(data=st.data())
def test_whatever_a_document_says_only_our_errors_leave(zarr_format: Any, data: st.DataObject) -> None:
    """Any value in any place of an array's and a group's documents."""
    memory = MemoryStore()
    make(memory, zarr_format)
    names = ["0/zarr.json", "zarr.json"] if zarr_format == 3 else ["0/.zarray", "0/.zattrs", ".zattrs"]
    key = data.draw(st.sampled_from(names))
    document = json.loads(memory._store_dict[key].to_bytes())
    *way, last = data.draw(st.sampled_from(_places(document) or [("new",)]))
    target = document
    for step in way:
        target = target[step]
    target[last] = data.draw(JSON)
    _put(memory, key, json.dumps(document).encode())
    try:
        hierarchy = open_hierarchy(memory, ahead=("labels",))
    except OmeNgffError:
        return
    for ask in (hierarchy.attributes, hierarchy.array, hierarchy.shape, hierarchy.group):
        for path in ("", "0", "labels"):
            try:
                ask(path)
            except OmeNgffError:
                continue


# --- how long it takes


@FORMATS
def test_a_plate_of_1536_fields_on_disk(zarr_format: Any, tmp_path: Path) -> None:
    zarr.create_group(tmp_path, zarr_format=zarr_format)
    wells = [f"{row}/{column}" for row in "ABCDEFGHIJKLMNOP" for column in range(24)]
    fields = [f"{well}/{field}" for well in wells for field in range(4)]
    name = "zarr.json" if zarr_format == 3 else ".zattrs"
    attributes = {"multiscales": [{"axes": [{"name": n} for n in "tczyx"], "datasets": [{"path": "0"}] * 5}]}
    document = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
    text = json.dumps(document if zarr_format == 3 else attributes)
    for path in wells + fields:
        (tmp_path / path).mkdir(parents=True, exist_ok=True)
        (tmp_path / path / name).write_text(text)
    hierarchy = open_hierarchy(tmp_path)
    times = []
    for one in (hierarchy, open_hierarchy(tmp_path), open_hierarchy(tmp_path)):
        started = time.perf_counter()
        one.fetch(fields)
        assert all(one.attributes(path) == attributes for path in fields)
        times.append(time.process_time() - started)
    assert min(times) < 0.3


def test_hierarchies_say_where_they_are(tmp_path: Path) -> None:
    make(tmp_path / "a.zarr", 3)
    assert (
        repr(open_hierarchy(tmp_path / "a.zarr").below("labels")) == f"<Hierarchy {tmp_path}/a.zarr/labels>"
    )
    assert isinstance(open_hierarchy(tmp_path / "a.zarr").below("labels"), Hierarchy)


def test_arrays_described_in_the_same_words_are_still_two_arrays(tmp_path: Path) -> None:
    """What is known of one is used for the other; their places and pixels are their own."""
    for name, value in (("a", 1), ("b", 2)):
        array = zarr.create_array(tmp_path, name=name, shape=(4,), dtype="uint8")
        array[:] = value
    hierarchy = open_hierarchy(tmp_path)
    hierarchy.fetch(["a", "b"])
    one, other = hierarchy.array("a"), hierarchy.array("b")
    assert one is not None
    assert other is not None
    assert (one.path, other.path) == ("a", "b")
    assert one.metadata is other.metadata
    assert (one[0], other[0]) == (1, 2)
