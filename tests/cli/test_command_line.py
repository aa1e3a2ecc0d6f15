"""``ome-ngff``: what is typed becomes the same as in a script, and errors are one line."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from typer.testing import CliRunner

from napari_ome_ngff import (
    Channel,
    Image,
    Writing,
    edit_metadata,
    open_ome_ngff,
    save_ome_ngff,
    write_hierarchy,
    write_plate,
)
from napari_ome_ngff.cli.app import app, main
from napari_ome_ngff.writing.plan.write_plan import MultiscaleSource
from tests.house.source import ROOT
from tests.house.test_docs import add_data
from tests.house.test_imports import HEAVY, WINDOW, loaded_after


def run(*arguments: object) -> str:
    """What a command says on standard output."""
    done = CliRunner().invoke(app, [str(each) for each in arguments], prog_name="ome-ngff")
    assert done.exit_code == 0, done.output
    return done.stdout


def refused(*arguments: object) -> str:
    """The one line of a command that fails."""
    done = CliRunner().invoke(app, [str(each) for each in arguments], prog_name="ome-ngff")
    assert done.exit_code == 1, done.output
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("ome-ngff: ")
    return line


def voxels() -> np.ndarray[Any, Any]:
    return np.arange(2 * 6 * 40 * 50, dtype="uint16").reshape(2, 6, 40, 50)


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    """An image of two channels with label images and an attribute of somebody else, in 0.4."""
    place = tmp_path / "cells.ome.zarr"
    save_ome_ngff(
        place,
        voxels(),
        axes="czyx",
        scale={"z": 2.0, "y": 0.5, "x": 0.5},
        units="micrometer",
        channels=[Channel(label="DAPI", color="0000FF"), Channel(label="GFP", color="00FF00")],
        labels={"nuclei": voxels()[0] // 100},
        levels=2,
        ngff_version="0.4",
    )
    zarr.open_group(place, mode="r+").attrs["lab"] = {"slide": 7}
    return place


# Looking


def test_info_says_what_there_is(cells: Path) -> None:
    text = run("info", cells)
    assert re.search(r"axis z +space +size 6 +step 2 micrometer +from 0", text)
    assert re.search(r"level 0 +2×6×40×50 +uint16", text)
    assert re.search(r"channel 1 +GFP +#00FF00", text)
    assert "label image 'nuclei': 6×40×50 uint16, 2 levels" in text
    assert "problem" not in text


def test_info_is_json_for_programs(cells: Path) -> None:
    facts = json.loads(run("info", cells, "--json"))
    assert facts["kind"] == "image"
    assert facts["axes"][1] == {
        "name": "z", "type": "space", "unit": "micrometer", "size": 6, "scale": 2.0, "start": 0.0
    }  # fmt: skip
    assert [level["shape"] for level in facts["levels"]] == [[2, 6, 40, 50], [2, 6, 20, 25]]
    assert [channel["label"] for channel in facts["channels"]] == ["DAPI", "GFP"]
    assert list(facts["labels"]) == ["nuclei"]
    assert facts["problems"] == []


def test_what_is_wrong_is_named(cells: Path) -> None:
    document = json.loads((cells / ".zattrs").read_text())
    del document["multiscales"][0]["axes"]
    (cells / ".zattrs").write_text(json.dumps(document))
    assert "problem: " in run("info", cells)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["info", "nowhere.zarr"], "no such file or folder"),
        (["edit", "nowhere.zarr", "--voxel-size", "z"], "nowhere.zarr"),
        (["convert", "nowhere.zarr", "b.zarr"], "no such file or folder"),
    ],
)
def test_an_error_is_one_line(arguments: list[str], words: str) -> None:
    assert words in refused(*arguments)


def test_help_loads_nothing_heavy() -> None:
    code = "from napari_ome_ngff.cli.app import app\ntry:\n    app(['--help'])\nexcept SystemExit:\n    pass"
    assert not loaded_after(code) & (WINDOW | HEAVY | {"numpy", "tqdm"})


# Correcting


def test_edit_corrects_sizes_units_and_channels(cells: Path) -> None:
    run("edit", cells, "--voxel-size", "z=3,x=0.25", "--unit", "nm", "--name", "day 1",
        "--channel-name", "0=Hoechst", "--color", "GFP=#ff00ff", "--contrast", "1=100:4000")  # fmt: skip
    multiscale = open_ome_ngff(cells).multiscale
    assert multiscale.levels[0].transform.scale == (1.0, 3.0, 0.5, 0.25)
    assert [axis.unit for axis in multiscale.axes] == [None, "nanometer", "nanometer", "nanometer"]
    assert multiscale.name == "day 1"
    first, second = multiscale.channels
    assert (first.label, second.label, second.color) == ("Hoechst", "GFP", "FF00FF")
    assert (second.window.start, second.window.end) == (100, 4000)


def test_one_size_is_that_of_all_axes_of_space(cells: Path) -> None:
    run("edit", cells, "--voxel-size", "0.1")
    assert open_ome_ngff(cells).multiscale.levels[0].transform.scale == (1.0, 0.1, 0.1, 0.1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "Nothing is to be changed"),
        (["--voxel-size", "z=big"], "--voxel-size takes numbers. Found: big"),
        (["--voxel-size", "q=1"], "no axis 'q'"),
        (["--contrast", "0=7"], "--contrast takes two numbers"),
        (["--color", "FF0000"], "--color cannot be that"),
        (["--channel-name", "7=a"], "no channel 7"),
    ],
)
def test_what_cannot_be_corrected_is_named(cells: Path, options: list[str], words: str) -> None:
    assert words in refused("edit", cells, *options)


# Converting


def equal(one: Image, other: Image) -> None:
    assert list(one.arrays) == list(other.arrays)
    for path, level in one.arrays.items():
        np.testing.assert_array_equal(level.values, other.arrays[path].values)
        assert level.coords["x"].equals(other.arrays[path].coords["x"])
    assert list(one.labels) == list(other.labels)
    for name, label in one.labels.items():
        equal(label, other.labels[name])
    assert one.multiscale.channels == other.multiscale.channels
    assert one.attributes == other.attributes


def test_convert_keeps_everything_at_another_version(cells: Path, tmp_path: Path) -> None:
    target = tmp_path / "b.ome.zarr"
    assert run("convert", cells, target, "--ngff-version", "0.6").splitlines() == [f"Written: {target}"]
    copy = open_ome_ngff(target)
    assert copy.multiscale.version == "0.6"
    assert copy.attributes["lab"] == {"slide": 7}
    equal(open_ome_ngff(cells), copy)


def test_convert_cuts_and_stores_as_it_is_told(cells: Path, tmp_path: Path) -> None:
    target = tmp_path / "part.ozx"
    run("convert", cells, target, "--ngff-version", "0.5", "--region", "z=1:3,c=1,y=:20", "--chunks", "10,16",
        "--shards", "none", "--compressor", "gzip:1", "--levels", "1")  # fmt: skip
    part = open_ome_ngff(target)
    np.testing.assert_array_equal(part.arrays["0"].values, voxels()[1:2, 1:3, :20])
    facts = json.loads(run("info", target, "--json"))
    assert facts["levels"][0]["chunks"][-2:] == [10, 16]
    assert facts["levels"][0]["compressors"] == ["gzip"]
    assert [channel["label"] for channel in facts["channels"]] == ["GFP"]
    assert facts["labels"]["nuclei"]["levels"][0]["shape"] == [2, 20, 50]


def test_a_region_may_be_in_units(cells: Path, tmp_path: Path) -> None:
    run("convert", cells, tmp_path / "part.zarr", "--region", "y=5:10,x=:5", "--in-units")
    assert open_ome_ngff(tmp_path / "part.zarr").arrays["0"].shape == (2, 6, 10, 10)


def test_nothing_is_replaced_unless_it_is_said(cells: Path, tmp_path: Path) -> None:
    target = tmp_path / "b.zarr"
    run("convert", cells, target, "--quiet")
    line = refused("convert", cells, target, "--ngff-version", "0.5")
    assert "already" in line
    assert "--overwrite" in line
    assert open_ome_ngff(target).multiscale.version == "0.4"
    run("convert", cells, target, "--ngff-version", "0.5", "--overwrite", "--verify")
    assert open_ome_ngff(target).multiscale.version == "0.5"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--ngff-version", "0.7"], "no such OME-Zarr version"),
        (["--chunks", "16x16"], "--chunks cannot be that"),
        (["--compressor", "rar"], "--compressor cannot be that"),
        (["--region", "z=1:2:3"], "--region takes a range"),
        (["--region", "q=1"], "no axis 'q'"),
        (["--region", "z=6:"], "holds no voxel"),
        (["--image", "a"], "no image 'a'"),
        (["--from-level", "2"], "The level must be from 0 to 1"),
        (["--shards", "auto"], "0.4 has no shards"),
    ],
)
def test_what_cannot_be_converted_is_named(
    cells: Path, tmp_path: Path, options: list[str], words: str
) -> None:
    assert words in refused("convert", cells, tmp_path / "b.zarr", *options)
    assert not (tmp_path / "b.zarr").exists()


def test_a_plate_is_converted_as_a_plate(tmp_path: Path) -> None:
    source, target = tmp_path / "a.zarr", tmp_path / "b.zarr"
    image, labels = voxels()[0, 0], voxels()[0, 0] // 100
    fields = {
        ("A", 1, 0): [{"": image, "labels/nuclei": labels}, image + 1],
        ("A", 1, 1): [image + 2],
        ("B", 3, 0): [image + 3],
    }
    write_plate(
        store=source, fields=fields, name="screen", acquisitions={0: "day 1", 1: "day 2"}, rows="ABC"
    ).run()
    for path in ("", "A/1"):
        zarr.open_group(source, path=path, mode="r+").attrs["lab"] = {"of": path}
    run("convert", source, target, "--ngff-version", "0.4")
    before, after = open_ome_ngff(source), open_ome_ngff(target)
    assert after.plate.version == "0.4"
    assert after.plate.rows == ("A", "B", "C")
    assert (after.plate.name, after.plate.acquisitions) == (before.plate.name, before.plate.acquisitions)
    assert after.plate.wells == before.plate.wells
    assert after.attributes["lab"] == {"of": ""}
    assert zarr.open_group(target, path="A/1", mode="r").attrs["lab"] == {"of": "A/1"}
    for path in ("A/1/0", "A/1/1", "A/1/2", "B/3/0"):
        equal(open_ome_ngff(source / path), open_ome_ngff(target / path))
    assert list(open_ome_ngff(target / "A/1/0").labels) == ["nuclei"]


def test_a_collection_is_converted_as_one(tmp_path: Path) -> None:
    source, target = tmp_path / "a.zarr", tmp_path / "b.zarr"
    image = open_ome_ngff(save_ome_ngff(tmp_path / "one.zarr", voxels()[0, 0]).location).arrays["0"]
    sources = {
        "0": MultiscaleSource(image=image, name="left"),
        "0/labels/nuclei": MultiscaleSource(image=image // 100),
        "1": MultiscaleSource(image=image + 1, name="right"),
    }
    write_hierarchy(store=source, sources=sources).run()
    done = CliRunner().invoke(app, ["convert", str(source), str(target), "--ngff-version", "0.6"])
    assert done.exit_code == 0
    assert "OME-XML" in done.stderr
    after = open_ome_ngff(target)
    assert list(after.images) == ["left", "right"]
    equal(open_ome_ngff(source).images["left"], after.images["left"])
    run("convert", source, tmp_path / "right.zarr", "--image", "right", "--name", "alone")
    assert open_ome_ngff(tmp_path / "right.zarr").multiscale.name == "alone"


def test_ctrl_c_leaves_nothing(cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step, target = Writing.__next__, tmp_path / "out" / "b.zarr"
    target.parent.mkdir()

    def interrupted(writing: Writing) -> object:
        step(writing)
        assert os.listdir(target.parent)
        raise KeyboardInterrupt

    monkeypatch.setattr(Writing, "__next__", interrupted)
    done = CliRunner().invoke(app, ["convert", str(cells), str(target)])
    assert done.exit_code in (1, 130)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert os.listdir(target.parent) == []
    monkeypatch.undo()
    run("convert", cells, target)


# Showing


def test_show_opens_napari_with_this_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[list[str]] = []

    def call(command: list[str]) -> int:
        called.append(command)
        return 0

    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    monkeypatch.setattr(subprocess, "call", call)
    run("show", "a.zarr", "https://host/b.zarr")
    assert called == [
        [sys.executable, "-m", "napari", "--plugin", "napari-ome-ngff", "a.zarr", "https://host/b.zarr"]
    ]


def test_show_says_that_napari_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "napari is not installed" in refused("show", "a.zarr")


# Its page


def commands() -> dict[str, Any]:
    import typer.main

    return dict(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["info", "check", "convert", "edit", "show"])
def test_the_page_has_every_option_as_the_help_says_it(name: str) -> None:
    page = (ROOT / "docs/reference/command-line.md").read_text(encoding="utf-8")
    section = page.split(f"\n## {name}\n")[1].split("\n## ")[0]
    command = commands()[name]
    help_of: Callable[[str], str] = lambda text: " ".join(text.split())  # noqa: E731
    assert help_of(command.help) in help_of(section)
    for parameter in command.params:
        if parameter.name != "help":
            names = parameter.opts if parameter.param_type_name == "option" else [parameter.metavar]
            assert all(f"`{each}`" in section for each in names), parameter.name
            assert parameter.help in section, parameter.name


def test_the_commands_of_the_how_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_data(tmp_path)
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs/how-to/use-the-command-line.md").read_text(encoding="utf-8")
    lines = "".join(re.findall(r"^```sh\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)).splitlines()
    assert len(lines) >= 7
    for line in lines:
        program, *arguments = shlex.split(line)
        assert program == "ome-ngff"
        assert run(*arguments)


def test_letters_that_an_output_cannot_write_are_spelled(
    cells: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Into a file, Windows writes 256 letters unless it is told otherwise."""
    edit_metadata(cells, name="\u7d30\u80de")
    written = io.BytesIO()
    monkeypatch.setattr(sys, "argv", ["ome-ngff", "info", str(cells)])
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="cp1252"))
    with pytest.raises(SystemExit) as end:
        main()
    sys.stdout.flush()
    assert end.value.code in (0, None)
    assert b"\\u7d30\\u80de" in written.getvalue()
