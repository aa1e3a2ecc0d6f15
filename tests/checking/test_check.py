"""``check_ome_ngff`` finds what the suites call invalid, and nothing in what we write."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from typer.testing import CliRunner

from napari_ome_ngff import Channel, Finding, StorageOptions, check_ome_ngff, save_ome_ngff, write_plate
from napari_ome_ngff.checking.group_rules import check_attributes
from napari_ome_ngff.cli.app import app
from tests.servers import Web
from tests.whole.test_spec_suites import VERSIONS, as_image, suite

Document = dict[str, Any]

CALLED_VALID = {
    "mismatch_axes_units",  # 2 numbers of scale for 3 axes
    "image_omero",  # names a system that is not defined
    "multiscales_example",  # path "1" with input "s1"
    # Rows and columns are exchanged against "A/1".
    "minimal_no_acquisitions",
    "minimal_acquisitions",
    "non_alphanumeric_row",
    "strict_no_acquisitions",
    "strict_acquisitions",
}
"""They break a rule of the text: spec.md section 6."""


def refused(findings: tuple[Finding, ...]) -> list[str]:
    return [str(each) for each in findings if not each.advice]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_suites_are_judged_as_they_judge_themselves(corpus: Path, version: str) -> None:
    judged = 0
    for kind in ("image", "label", "transforms", "plate", "well", "scene"):
        for name, document, valid in suite(corpus, version, kind):
            attributes = as_image(document, version) if kind == "label" else document
            findings = check_attributes(attributes, where=name)
            if valid and name not in CALLED_VALID:
                assert not refused(findings), name
            if not valid:
                assert findings, name
            judged += 1
    assert judged > 60


# What is written


def voxels() -> np.ndarray[Any, Any]:
    return np.arange(2 * 40 * 50, dtype="uint16").reshape(2, 40, 50)


def write(place: Path, version: str = "0.5") -> Path:
    channels = [Channel(label="a", color="FF0000"), Channel(label="b", color="00FF00")]
    labels = {"cells": voxels()[0] // 100}
    save_ome_ngff(
        place, voxels(), axes="cyx", labels=labels, channels=channels, levels=2, ngff_version=version
    )
    return place


@pytest.mark.parametrize("version", VERSIONS)
def test_nothing_is_refused_of_what_we_write(tmp_path: Path, version: str) -> None:
    assert refused(check_ome_ngff(write(tmp_path / "a.zarr", version))) == []
    fields = {("A", 1): [voxels()[0], voxels()[1]], ("B", 2): [voxels()[0]]}
    write_plate(store=tmp_path / "plate.zarr", fields=fields, options=StorageOptions(version=version)).run()
    assert refused(check_ome_ngff(tmp_path / "plate.zarr")) == []


# What is broken


def change(place: Path, path: str, edit: Callable[[Document], None]) -> None:
    document = json.loads((place / path / "zarr.json").read_text())
    edit(document)
    (place / path / "zarr.json").write_text(json.dumps(document))


def ome(*keys: str | int, value: Any) -> Callable[[Document], None]:
    """Set what is at a place in ``ome``; None removes it."""

    def edit(document: Document) -> None:
        holder = document["attributes"]["ome"]
        for key in keys[:-1]:
            holder = holder[key]
        if value is None:
            del holder[keys[-1]]
        else:
            holder[keys[-1]] = value

    return edit


def scale(numbers: list[float]) -> Callable[[Document], None]:
    return ome("multiscales", 0, "datasets", 0, "coordinateTransformations", 0, "scale", value=numbers)


def twice(document: Document) -> None:
    datasets = document["attributes"]["ome"]["multiscales"][0]["datasets"]
    datasets.insert(0, datasets[0])


YXC = [{"name": "y", "type": "space"}, {"name": "x", "type": "space"}, {"name": "c", "type": "channel"}]

FAULTS: list[tuple[str, Callable[[Document], None], str]] = [
    ("", ome("version", value=None), "ome: There is no version."),
    ("", ome("version", value="0.6"), "coordinateSystems"),
    ("", ome("omero", "channels", value=[]), "omero.channels: 0 channels are described, the image has 2"),
    ("", ome("omero", "channels", 0, "color", value="red"), "ome.omero.channels[0].color: This is 'red'."),
    ("", ome("omero", "channels", 0, "window", "start", value=None), "[0].window: There is no 'start'."),
    ("", ome("multiscales", 0, "axes", value=YXC), "in the order y, x, c"),
    ("", ome("multiscales", 0, "axes", 0, "type", value="space"), "the image has 1."),
    ("", ome("multiscales", 0, "axes", 1, "unit", value=1), "axes[1].unit: This is 1."),
    ("", ome("multiscales", 0, "axes", 1, "name", value="x"), "Several axes are called 'x'."),
    ("", scale([1, 1]), "There are 2 numbers for 3 axes."),
    ("", scale([1, -1, 1]), "sizes of voxels are positive"),
    ("", scale([1, 5, 5]), "smaller than those of the level before"),
    ("", ome("multiscales", 0, "datasets", 1, "path", value="7"), "There is no array '7'."),
    ("", ome("multiscales", 0, "name", value=7), "multiscales[0].name: This is 7."),
    ("", twice, "An entry is there twice."),
    ("0", lambda d: d.pop("dimension_names"), "The array has no dimension_names."),
    ("0", lambda d: d.update(dimension_names=["z", "y", "x"]), "they must be the names of the axes"),
    ("1", lambda d: d.update(shape=[2, 80, 100]), "larger than that of the level before"),
    ("labels", ome("version", value=None), "labels: ome: There is no version."),
    ("labels", ome("version", value="0.6"), "a hierarchy must be of one version"),
    ("labels", ome("labels", value=["cells", "gone"]), "labels/gone: There is no group."),
    ("labels/cells/0", lambda d: d.update(data_type="float32", fill_value=0.0), "labels are of type float32"),
    ("labels/cells", ome("image-label", value={"colors": [{"label-value": "a"}]}), "colors[0].label-value"),
]  # fmt: skip


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("sound") / "a.zarr")


@pytest.mark.parametrize(("path", "fault", "words"), FAULTS, ids=[words for _, _, words in FAULTS])
def test_what_is_broken_is_named_with_its_place(
    sound: Path, path: str, fault: Callable[[Document], None], words: str
) -> None:
    before = (sound / path / "zarr.json").read_bytes()
    try:
        change(sound, path, fault)
        lines = refused(check_ome_ngff(sound))
    finally:
        (sound / path / "zarr.json").write_bytes(before)
    assert any(words in line for line in lines), lines


def test_a_label_image_has_as_many_levels_as_its_image(sound: Path) -> None:
    path = sound / "labels/cells/zarr.json"
    before = path.read_bytes()
    try:
        change(sound, "labels/cells", lambda d: d["attributes"]["ome"]["multiscales"][0]["datasets"].pop())
        (line,) = refused(check_ome_ngff(sound))
    finally:
        path.write_bytes(before)
    assert "labels/cells: It has 1 levels, the image 2." in line


def test_advice_is_not_refused(sound: Path) -> None:
    before = (sound / "zarr.json").read_bytes()
    try:
        change(sound, "", ome("multiscales", 0, "axes", 1, "unit", value="furlong"))
        finding, colors = check_ome_ngff(sound)
    finally:
        (sound / "zarr.json").write_bytes(before)
    assert finding.advice
    assert colors.advice
    assert "ome.multiscales[0].axes[1].unit" in finding.where
    done = CliRunner().invoke(app, ["check", str(sound)])
    assert done.exit_code == 0
    assert all(line.startswith("advice: ") for line in done.stdout.splitlines())


def test_the_wells_and_fields_of_a_plate_are_checked(tmp_path: Path) -> None:
    place = tmp_path / "plate.zarr"
    write_plate(store=place, fields={("A", 1): [voxels()[0]]}).run()
    change(place, "", ome("plate", "wells", 0, "rowIndex", value=3))
    change(place, "A/1", ome("well", "images", value=[{"path": "0"}, {"path": "9"}]))
    change(place, "A/1/0", ome("multiscales", value=[]))
    text = "\n".join(refused(check_ome_ngff(place)))
    assert "rowIndex is 3, but the path says 0." in text
    assert "A/1/9: There is no group." in text
    assert "The list has 0 entries." in text


def test_the_images_of_a_spatialdata_store_are_checked(tmp_path: Path) -> None:
    write(tmp_path / "a.zarr")
    root = zarr.open_group(tmp_path / "store.zarr", mode="w")
    root.attrs["spatialdata_attrs"] = {"version": "0.2"}
    root.create_group("images")
    (tmp_path / "a.zarr").rename(tmp_path / "store.zarr/images/a")
    change(tmp_path / "store.zarr", "images/a", ome("version", value=None))
    (line,) = (line for line in refused(check_ome_ngff(tmp_path / "store.zarr")) if "images/a: ome:" in line)
    assert "There is no version." in line


def test_a_file_on_a_server_is_checked(sound: Path) -> None:
    with Web(sound) as web:
        assert refused(check_ome_ngff(web.url)) == []
        done = CliRunner().invoke(app, ["info", web.url, "--json"])
    assert json.loads(done.stdout)["location"] == web.url


def test_the_command_fails_where_something_is_refused(tmp_path: Path) -> None:
    place = write(tmp_path / "a.zarr", "0.4")
    zarr.open_group(place, mode="r+").attrs["omero"] = {}
    done = CliRunner().invoke(app, ["check", str(place)])
    assert done.exit_code == 1
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("refused: "))
    assert line.endswith("omero: There is no 'channels'. (OME-Zarr 0.4: 'channels' is required here)")
    done = CliRunner().invoke(app, ["check", str(place), "--json"])
    assert [each["advice"] for each in json.loads(done.stdout)].count(False) == 1


def test_what_is_not_there_is_an_error(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["check", str(tmp_path / "nothing.zarr")])
    assert done.exit_code == 1
    assert "no such file or folder" in done.stderr
