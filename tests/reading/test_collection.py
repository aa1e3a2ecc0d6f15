"""Several images in one group: all of them, named, and whichever way the group says what it holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from zarr.storage import LocalStore, WrapperStore

from napari_ome_ngff.errors import MetadataError, NotOmeNgffError, OmeNgffWarning, OptionError
from napari_ome_ngff.metadata.collections.bioformats2raw import names_in
from napari_ome_ngff.reading.collection import MAX_XML_BYTES, open_collection
from napari_ome_ngff.reading.opened import Collection
from napari_ome_ngff.storage.documents import hierarchy
from napari_ome_ngff.storage.documents.hierarchy import Hierarchy, open_hierarchy
from tests.plate_tools import multiscale, write_array, write_image, write_json
from tests.reading.test_plates import read

LAYOUT = {"bioformats2raw.layout": 3}
XML = (
    '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
    '<Instrument ID="Instrument:0"/>{}</OME>'
)


def pixels(seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(1, 200, (2, 8, 6)).astype("uint8")


def opened(place: Path | Hierarchy, *, told: str = "", **own: Any) -> Collection:
    hierarchy = place if isinstance(place, Hierarchy) else open_hierarchy(place)
    if not told:
        return read(open_collection(hierarchy, **own))
    with pytest.warns(OmeNgffWarning, match=told):
        return read(open_collection(hierarchy, **own))


def write_xml(folder: Path, *names: str | None) -> None:
    images = [
        f"<Image ID='Image:{i}'" + (f' Name="{name}"/>' if name else "/>") for i, name in enumerate(names)
    ]
    (folder / "OME").mkdir(exist_ok=True)
    (folder / "OME" / "METADATA.ome.xml").write_text(XML.format("".join(images)), encoding="utf-8")


class NotListing(WrapperStore[Any]):
    """A store like a server: nobody knows what it holds without asking."""


def remote(folder: Path) -> Hierarchy:
    return open_hierarchy(NotListing(LocalStore(folder, read_only=True)), ahead=("OME",))


@pytest.fixture
def waves(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many documents were asked for in each round trip."""
    asked: list[int] = []
    fetch = hierarchy.fetch

    def counted(store: Any, keys: Any) -> Any:
        keys = list(keys)
        if keys:
            asked.append(len(keys))
        return fetch(store, keys)

    monkeypatch.setattr(hierarchy, "fetch", counted)
    return asked


def test_a_real_collection_without_metadata_in_its_ome_group(corpus: Path) -> None:
    place = corpus / "ome-zarr-fiji-java/testdata/bioformats2raw_testing/bf2raw_dataset_v5.ome.zarr"
    collection = opened(place)
    names = names_in((place / "OME" / "METADATA.ome.xml").read_bytes())
    assert (collection.kind, len(collection.images)) == ("collection", 2)
    assert list(collection.images) == names
    for path, image in zip("01", collection.images.values(), strict=True):
        assert image.location == str(place / path)
        level, array = next(iter(image.arrays.items()))
        np.testing.assert_array_equal(
            np.asarray(array.data), zarr.open_array(place / path / level, mode="r")[...]
        )


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_the_series_in_the_ome_group_say_which_images_there_are(tmp_path: Path, version: str) -> None:
    folder = write_json(tmp_path / "a.zarr", LAYOUT, version=version)
    write_json(folder / "OME", {"series": ["second", "deep/down", "0"]}, version=version)
    for seed, path in enumerate(["0", "second", "deep/down", "not listed"]):
        write_image(folder / path, pixels(seed), "cyx", version=version)
    collection = opened(folder)
    assert list(collection.images) == ["second", "deep/down", "0"]
    np.testing.assert_array_equal(np.asarray(collection.images["deep/down"].arrays["0"].data), pixels(2))


def test_images_are_called_as_in_the_ome_xml_else_by_their_own_name_else_by_their_path(
    tmp_path: Path,
) -> None:
    folder = write_json(tmp_path / "a.zarr", LAYOUT)
    write_xml(folder, "a.czi [1] µ", None, None, "a.czi [1] µ")
    write_image(folder / "0", pixels(), "cyx", name="unseen")
    write_image(folder / "1", pixels(), "cyx", name="/own name")
    write_image(folder / "2", pixels(), "cyx")
    write_image(folder / "3", pixels(), "cyx")
    write_image(folder / "10", pixels(), "cyx")
    assert list(opened(folder).images) == ["a.czi [1] µ", "own name", "2", "a.czi [1] µ (3)", "10"]


def test_without_series_they_are_the_numbers_or_else_whatever_is_there(tmp_path: Path) -> None:
    numbers = write_json(tmp_path / "a.zarr", LAYOUT)
    for path in ("10", "9", "0", "thumbnail"):
        write_image(numbers / path, pixels(), "cyx")
    assert list(opened(numbers).images) == ["0", "9", "10"]
    words = write_json(tmp_path / "b.zarr", LAYOUT)
    write_xml(words)
    for path in ("b", "a"):
        write_image(words / path, pixels(), "cyx")
    assert list(opened(words).images) == ["a", "b"]


@pytest.mark.parametrize("count", [1, 15, 16, 17, 40])
def test_where_nothing_is_listed_numbers_are_tried_together(
    tmp_path: Path, waves: list[int], count: int
) -> None:
    folder = write_json(tmp_path / "a.zarr", LAYOUT)
    for path in range(count):
        write_image(folder / str(path), pixels(), "cyx", levels=1)
    assert list(opened(remote(folder)).images) == [str(path) for path in range(count)]
    # The group and OME; 16 numbers, 16 more, 32 more; label images; levels.
    assert len(waves) <= 3 + {1: 1, 15: 1, 16: 2, 17: 2, 40: 3}[count]


def test_the_ome_xml_tells_how_many_numbers_to_try(tmp_path: Path, waves: list[int]) -> None:
    folder = write_json(tmp_path / "a.zarr", LAYOUT)
    write_xml(folder, *[f"image {i}" for i in range(40)])
    for path in range(40):
        write_image(folder / str(path), pixels(), "cyx", levels=1)
    assert list(opened(remote(folder)).images) == [f"image {i}" for i in range(40)]
    assert len(waves) <= 4


def test_round_trips_do_not_depend_on_the_number_of_images_and_label_images(
    tmp_path: Path, waves: list[int]
) -> None:
    folder = write_json(tmp_path / "a.zarr", LAYOUT)
    write_json(folder / "OME", {"series": [str(i) for i in range(12)]})
    labels = {"cells": (pixels()[0], "yx"), "nuclei": (pixels()[0], "yx")}
    for path in range(12):
        write_image(folder / str(path), pixels(), "cyx", labels=labels, levels=3)
    collection = opened(remote(folder))
    assert len(waves) <= 4
    assert [list(image.labels) for image in collection.images.values()] == [["cells", "nuclei"]] * 12


def test_an_image_that_is_missing_or_damaged_is_left_out_and_named(tmp_path: Path) -> None:
    folder = write_json(tmp_path / "a.zarr", LAYOUT)
    write_json(folder / "OME", {"series": ["0", "gone", "broken", "empty", "array", "hollow"]})
    for path in ("0", "broken", "hollow"):
        write_image(folder / path, pixels(), "cyx")
    (folder / "broken/zarr.json").write_text("{")
    write_json(folder / "empty", {})
    write_array(folder / "array", pixels())
    for level in "01":
        (folder / "hollow" / level / "zarr.json").unlink()
    with pytest.warns(OmeNgffWarning) as heard:
        collection = open_collection(open_hierarchy(folder))
    assert list(collection.images) == ["0"]
    text = "\n".join(str(item.message) for item in heard)
    for path in ("gone", "broken", "empty", "array", "hollow"):
        assert path in text


def test_the_ome_group_opened_by_itself_is_the_collection(tmp_path: Path) -> None:
    folder = write_json(tmp_path / "a.zarr", LAYOUT)
    write_json(folder / "OME", {"series": ["b"]})
    write_image(folder / "b", pixels(), "cyx")
    collection = opened(folder / "OME")
    assert (collection.location, list(collection.images)) == (str(folder), ["b"])
    write_json(tmp_path / "lost/OME", {"series": ["b"]})
    with pytest.raises(NotOmeNgffError, match="no group above"):
        opened(tmp_path / "lost/OME")


def test_a_series_that_leads_elsewhere_is_not_followed(tmp_path: Path) -> None:
    folder = write_json(tmp_path / "a.zarr", LAYOUT)
    write_image(tmp_path / "other", pixels(), "cyx")
    write_json(folder / "OME", {"series": ["../other", "0"]})
    write_image(folder / "0", pixels(), "cyx")
    assert list(opened(folder, told="not the path of something inside").images) == ["0"]


@pytest.mark.parametrize("ome", [{"series": []}, {"series": "0"}, {}, None])
def test_an_ome_group_that_lists_nothing_useful_is_as_good_as_none(
    tmp_path: Path, ome: dict[str, Any] | None
) -> None:
    folder = write_json(tmp_path / "a.zarr", LAYOUT)
    write_json(folder / "OME", ome)
    write_image(folder / "0", pixels(), "cyx")
    told = "read as an empty list" if ome == {"series": "0"} else ""
    assert list(opened(folder, told=told).images) == ["0"]


@pytest.mark.parametrize("with_ome", [True, False])
def test_a_collection_without_images_is_an_error(tmp_path: Path, with_ome: bool) -> None:
    folder = write_json(tmp_path / "a.zarr", LAYOUT)
    if with_ome:
        write_json(folder / "OME", {"series": ["0"]})
    for place in (open_hierarchy(folder), remote(folder)):
        with pytest.raises(MetadataError, match="no image that can be read"):
            open_collection(place)


def test_all_multiscales_of_a_group_are_opened(tmp_path: Path) -> None:
    folder = tmp_path / "a.zarr"
    labels = {"cells": (pixels()[0], "yx")}
    write_image(folder, pixels(0), "cyx", labels=labels)
    other = multiscale("cyx", 1, scale=0.5, name="raw")
    other["datasets"][0]["path"] = "raw/full"
    write_array(folder / "raw/full", pixels(1))
    write_json(folder, {"multiscales": [multiscale("cyx", 2), other, {**other}]})
    document = json.loads((folder / "zarr.json").read_text())
    document["attributes"]["author"] = "me"
    (folder / "zarr.json").write_text(json.dumps(document))
    collection = opened(folder)
    assert list(collection.images) == ["0", "raw", "raw (2)"]
    assert [list(image.labels) for image in collection.images.values()] == [["cells"], [], []]
    assert collection.attributes == {"author": "me"}
    np.testing.assert_array_equal(np.asarray(collection.images["raw"].arrays["raw/full"].data), pixels(1))


def test_a_coordinate_system_that_no_image_has_is_an_error(tmp_path: Path) -> None:
    folder = write_json(tmp_path / "a.zarr", LAYOUT)
    write_image(folder / "0", pixels(), "cyx")
    with pytest.raises(OptionError):
        opened(folder, coordinate_system="world")


def test_names_are_read_from_xml_of_any_prefix_but_only_of_images() -> None:
    assert names_in(b'<ome:OME xmlns:ome="x"><ome:Image Name=" a "/><ome:Image/></ome:OME>') == ["a", None]
    nested = (
        b'<OME><Plate Name="p"><Image Name="no"/></Plate><Image Name="yes"><Pixels Name="no"/></Image></OME>'
    )
    assert names_in(nested) == ["yes"]


BOMB = b'<!DOCTYPE OME [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><OME><Image Name="&b;"/></OME>'


@pytest.mark.parametrize(
    "xml", [BOMB, b"<OME", b"", b"\xff\xfe\x00", b"<a/><b/>", b" " * (MAX_XML_BYTES + 1)]
)
def test_xml_that_is_damaged_large_or_hostile_says_no_names(tmp_path: Path, xml: bytes) -> None:
    folder = write_json(tmp_path / "a.zarr", LAYOUT)
    write_xml(folder)
    (folder / "OME/METADATA.ome.xml").write_bytes(xml)
    write_image(folder / "0", pixels(), "cyx")
    assert list(opened(folder).images) == ["0"]
