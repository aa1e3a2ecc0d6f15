"""What a file declares is bounded before work is done on it: a megabyte costs no more than a moment.

Every family of `tests.hostile_files` is opened from a folder, by scripts and by napari's reader.
"""

from __future__ import annotations

import functools
import json
import os
import time
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pytest
import zarr

from napari_ome_ngff import DaskArrayWrapper, open_ome_ngff, read_multiscale_array, read_multiscale_group
from napari_ome_ngff.errors import MetadataError, OmeNgffError, OmeNgffWarning, UnsupportedError
from napari_ome_ngff.reading import opened as opened_nouns
from napari_ome_ngff.reading.sniff import is_likely_ome_ngff
from napari_ome_ngff.storage.documents.json_documents import parse
from napari_ome_ngff.storage.places.requests import MAX_DOCUMENT_BYTES
from tests.hostile_files import (
    ENTRY,
    FAMILIES,
    LEVEL,
    SPACE,
    array,
    group,
    image,
    nested,
    shard_codecs,
    write,
)

LONG = bool(os.environ.get("NAPARI_OME_NGFF_LONG"))
"""Every family, not each seventh one."""

SMALL, LARGE = 4_000, 1_000_000
ALLOWED = 2.0
"""Seconds of processor time for a megabyte, on the machine of `unit`."""


@functools.cache
def unit() -> float:
    """How much slower this machine is than one that counts to ten million in 0.25 s."""
    start = time.process_time()
    sum(range(10_000_000))
    return max(1.0, (time.process_time() - start) / 0.25)


def seconds_to_open(folder: Path) -> float:
    """Open a store in both ways; every error is ours and short, every warning too."""
    start = time.process_time()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for open_it in (open_ome_ngff, layers_of):
            refusal = None
            try:
                open_it(str(folder))
            except OmeNgffError as error:
                refusal = error
            assert len(str(refusal)) < 5000
    assert {warned.category for warned in caught} <= {OmeNgffWarning}
    assert sum(len(str(warned.message)) for warned in caught) < 20_000
    return time.process_time() - start


def layers_of(place: str) -> object:
    try:
        from napari_ome_ngff.plugin import reader
    except ImportError:  # without napari
        return None
    reader.get_reader(place)
    return reader.read_layers(place)


def test_what_is_declared_costs_no_more_than_its_bytes(tmp_path: Path) -> None:
    for number, name in enumerate(list(FAMILIES)[:: 1 if LONG else 7]):
        write(FAMILIES[name](SMALL), tmp_path / str(number))
        assert seconds_to_open(tmp_path / str(number)) < ALLOWED * unit(), name


QUADRATIC = (
    "numbers as images",
    "images",
    "path of many parts",
    "paths of many images",
    "longest channel axis",
    "codecs",
    "properties of names of their own",
    "structured type",
)


@pytest.mark.parametrize("name", QUADRATIC)
def test_a_megabyte_of_what_took_minutes_takes_a_moment(name: str, tmp_path: Path) -> None:
    write(FAMILIES[name](LARGE), tmp_path / "a.zarr")
    assert seconds_to_open(tmp_path / "a.zarr") < ALLOWED * unit()


def test_an_error_that_quotes_a_file_is_short(tmp_path: Path) -> None:
    """Python's zipfile quotes the whole of a name that is wrong; others quote other things."""
    for text in ("x" * 10**6, "\n" * 10**6):
        assert len(str(OmeNgffError(text, where="a.zarr", found=text, expected=text, hint=text))) < 10_000
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("zarr.json", "{}")
    data = bytearray(path.read_bytes())
    data[26:28] = b"\xff\xff"  # length of the name before the member
    data[30:30] = b"\xb2" * 2**16
    end = data.rindex(b"PK\5\6")
    data[end + 16 : end + 20] = data.index(b"PK\1\2").to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(OmeNgffError) as raised:
        open_ome_ngff(path)
    assert len(str(raised.value)) < 5000


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("chunks", [(0, 4), (4, 0), (0, 0)])
def test_chunks_without_voxels_are_damage(chunks: tuple[int, int], zarr_format: int, tmp_path: Path) -> None:
    zarr.create_group(tmp_path / "a.zarr", zarr_format=zarr_format, attributes={"multiscales": [ENTRY]})  # type: ignore[arg-type]
    place = tmp_path / "a.zarr" / "0"
    zarr.create_array(place, shape=(8, 8), chunks=(4, 4), dtype="u1", zarr_format=zarr_format)  # type: ignore[arg-type]
    path = place / ("zarr.json" if zarr_format == 3 else ".zarray")
    document = json.loads(path.read_text())
    if zarr_format == 3:
        document["chunk_grid"]["configuration"]["chunk_shape"] = list(chunks)
    else:
        document["chunks"] = list(chunks)
    path.write_text(json.dumps(document))
    with pytest.warns(OmeNgffWarning), pytest.raises(MetadataError, match="no level that can be read"):
        open_ome_ngff(tmp_path / "a.zarr")


@pytest.mark.parametrize("more", [{}, {"codecs": shard_codecs(1)}])
@pytest.mark.parametrize("enabled", [False, True])
@pytest.mark.parametrize(
    "grid",
    [
        {"name": "regular", "configuration": {"chunk_shape": [8, [8]]}},
        {"name": "regular", "configuration": {"chunk_shape": [8, [4, 4]]}},
        {"name": "rectilinear", "configuration": {"kind": "inline", "chunk_shapes": [[4, 4], [8]]}},
        {"name": "rectilinear", "configuration": {"kind": "inline", "chunk_shapes": [8, 8]}},
    ],
)
def test_a_level_with_chunks_of_several_shapes_is_left_out(
    grid: dict[str, Any], enabled: bool, more: dict[str, Any], tmp_path: Path
) -> None:
    """Newer versions of Zarr have such grids, for those who enable them."""
    entry = {"axes": SPACE, "datasets": [LEVEL, {**LEVEL, "path": "1"}]}
    write(image({"0": array(), "1": array(chunk_grid=grid, **more)}, entry=entry), tmp_path / "a.zarr")
    with zarr.config.set({"array.rectilinear_chunks": enabled}):
        with pytest.warns(OmeNgffWarning, match="'1' cannot be read"):
            assert list(open_ome_ngff(tmp_path / "a.zarr").arrays) == ["0"]  # type: ignore[union-attr]
        try:
            given = zarr.open_array(tmp_path / "a.zarr" / "1", mode="r")
        except Exception:  # noqa: BLE001 (without such grids Zarr does not open it)
            return
        with pytest.raises(UnsupportedError, match="several shapes"):
            read_multiscale_array(given)
        with pytest.raises(UnsupportedError, match="several shapes"):
            DaskArrayWrapper().wrap(given)


@pytest.mark.parametrize("depth", [60, 150, 900])
def test_nesting_is_read_or_refused_also_in_a_group_that_is_given(depth: int, tmp_path: Path) -> None:
    store = {**image(), "zarr.json": group({"multiscales": [ENTRY]}, attributes={"a": nested(depth)})}
    write(store, tmp_path / "a.zarr")
    try:
        given = zarr.open_group(tmp_path / "a.zarr", mode="r")
    except RecursionError:  # Zarr's own
        return
    if depth < 100:
        assert read_multiscale_group(given)
        return
    with pytest.raises(MetadataError, match="damaged"):
        read_multiscale_group(given)


@pytest.mark.parametrize("half", [b'"\\ud800"', b'"\\uDFFFx"', b'"\xed\xa0\x80"'])
def test_half_characters_are_replaced(half: bytes) -> None:
    text = parse(b'{"a": ' + half + b', "b": "\\ud83d\\ude00"}', where="")
    text["a"].encode()
    assert "?" in text["a"]
    assert text["b"] == "\U0001f600"


@pytest.mark.parametrize("path", ["\0", "a\0b", "\ud800", "a/\udfff"])
def test_paths_that_no_store_can_have_are_left_out(path: str, tmp_path: Path) -> None:
    entry = {**ENTRY, "datasets": [*ENTRY["datasets"], {**ENTRY["datasets"][0], "path": path}]}
    write(image(entry=entry), tmp_path / "a.zarr")
    with pytest.warns(OmeNgffWarning) as caught:
        opened = open_ome_ngff(tmp_path / "a.zarr")
    assert list(opened.arrays) == ["0"]  # type: ignore[union-attr]
    for warned in caught:
        str(warned.message).encode()


@pytest.mark.parametrize("name", ["zarr.json", ".zattrs"])
def test_a_document_of_gigabytes_is_not_read(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "a.zarr"
    folder.mkdir()
    with (folder / name).open("wb") as file:
        file.truncate(30 * MAX_DOCUMENT_BYTES)  # a hole: it takes no room
    start = time.process_time()
    assert is_likely_ome_ngff(str(folder))
    with pytest.raises(MetadataError, match="too large"):
        open_ome_ngff(folder)
    assert time.process_time() - start < 0.5 * unit()


def test_levels_of_the_many_images_of_a_collection_are_made_when_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opened_nouns, "_READ_AT_ONCE", 2)
    write(FAMILIES["many groups"](SMALL), tmp_path / "a.zarr")
    images = open_ome_ngff(tmp_path / "a.zarr").images  # type: ignore[union-attr]
    assert len(images) > 4
    for each in images.values():
        assert [level.shape for level in each.arrays.values()] == [(8, 8)]
