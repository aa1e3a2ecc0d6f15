"""What the dock widget's fields mean, without the widget."""

from __future__ import annotations

import gc
import json
import os
import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event

import dask.array
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from napari_ome_ngff import create_multiscale_group, model_multiscale_group, open_ome_ngff
from napari_ome_ngff.errors import OmeNgffError, OptionError, TargetError
from napari_ome_ngff.plugin.origin import LayerData
from napari_ome_ngff.plugin.reader import read_layers
from napari_ome_ngff.plugin.save.form import (
    AS_FILE,
    COMPRESSORS,
    SEVERAL,
    Form,
    codec,
    resolve,
    target_path,
)
from napari_ome_ngff.plugin.save.request import Outcome, preview, write
from napari_ome_ngff.plugin.save.summary import (
    Meter,
    amount,
    axis_names,
    duration,
    megabytes,
    saved,
    short,
    summary,
    table,
    voxel_size,
)
from napari_ome_ngff.plugin.save_panel.proposal import propose_target
from napari_ome_ngff.writing.plan import plan_save
from napari_ome_ngff.writing.plan.options import StorageOptions
from napari_ome_ngff.writing.save import Progress
from tests.campaigns.kill_edits import files
from tests.servers import s3_server

HERE = Form(target="/data/cells")
names = st.text(
    st.characters(codec="utf-8", exclude_characters="\x00", exclude_categories=["Cs"]), max_size=30
)


def test_the_defaults_are_a_request() -> None:
    request = resolve(HERE)
    assert request.target == os.path.abspath("/data/cells.ome.zarr")
    assert request.storage == StorageOptions()
    assert (request.levels, request.image_method, request.label_method) == (None, "mean", "mode")
    assert (request.together, request.overwrite, request.verify) == ("collection", False, False)


@pytest.mark.parametrize(
    ("chosen", "file", "written"),
    [
        (AS_FILE, None, "0.5"),
        (AS_FILE, "0.4", "0.4"),
        (AS_FILE, "0.6", "0.6"),
        ("0.5", "0.4", "0.5"),
    ],
)
def test_the_version_is_the_file_s_unless_another_was_chosen(
    chosen: str, file: str | None, written: str
) -> None:
    assert resolve(replace(HERE, version=chosen), file).storage.version == written


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("target", "", "where to write"),
        ("target", "  ", "where to write"),
        ("target", "/", "no name"),
        ("target", "https://example.org/cells.ome.zarr", "cannot be written to"),
        ("target", "s3://bucket", "no name"),
        ("target", "s3://bucket/cells.ozx", "on this computer"),
        ("version", "0.3", "Version"),
        ("image_method", "mode", "Downsampling of images"),
        ("label_method", "mean", "Downsampling of labels"),
        ("levels", "0", "Levels"),
        ("levels", "-1", "Levels"),
        ("levels", "many", "Levels"),
        ("levels", "²", "Levels"),
        ("chunks", "16, 0", "Chunks"),
        ("chunks", "16.5", "Chunks"),
        ("chunks", ",", "Chunks"),
        ("shards", "big", "Sharding"),
        ("compressor", "zip", "Compression"),
        ("several", "two", "Several images"),
    ],
)
def test_what_a_field_cannot_mean_is_refused_by_the_field_s_name(field: str, value: str, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        resolve(replace(HERE, **{field: value}))


def test_version_0_4_has_no_shards() -> None:
    with pytest.raises(OptionError, match=r"0\.4 has no shards"):
        resolve(replace(HERE, version="0.4", shards="auto"))


@given(
    st.lists(st.integers(1, 9999), min_size=1, max_size=5), st.sampled_from([", ", ",", " ", "x", " × ", ";"])
)
def test_chunks_are_read_however_they_are_separated(sizes: list[int], separator: str) -> None:
    assert resolve(replace(HERE, chunks=separator.join(map(str, sizes)))).storage.chunks == tuple(sizes)


@given(st.integers(1, 32))
def test_levels_are_read(levels: int) -> None:
    assert resolve(replace(HERE, levels=str(levels))).levels == levels


@given(names)
def test_a_target_is_absolute_and_named_as_zarr_and_a_second_look_changes_nothing(text: str) -> None:
    try:
        path = target_path(f"/data/a{text}")
    except OptionError:
        return
    assert os.path.isabs(path)
    assert path.lower().endswith((".zarr", ".ozx"))
    assert target_path(path) == path


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("s3://bucket/cells", "s3://bucket/cells.ome.zarr"),
        ("S3://bucket/day 1/cells.zarr/", "s3://bucket/day 1/cells.zarr"),
        ("gs://bucket/cells.ome.zarr", "gs://bucket/cells.ome.zarr"),
        ("az://container/cells", "az://container/cells.ome.zarr"),
        ("file:///data/cells", "/data/cells.ome.zarr"),
        ("/data/cells.zarr/", "/data/cells.zarr"),
    ],
)
def test_addresses_are_targets(typed: str, meant: str) -> None:
    assert target_path(typed) == meant


@pytest.mark.parametrize("suffix", [".zarr", ".ome.zarr", ".ZARR", ".OME.Zarr", ".ozx"])
def test_a_suffix_that_was_typed_stays(suffix: str) -> None:
    assert target_path(f"/data/cells{suffix}") == f"/data/cells{suffix}"


def test_the_home_folder_may_be_written_as_a_tilde() -> None:
    assert target_path("~/cells.zarr") == os.path.expanduser("~/cells.zarr")


@given(names, st.sets(names, max_size=3))
def test_a_proposal_is_free_and_means_itself(name: str, others: set[str]) -> None:
    first = propose_target(name, "/data", taken=others)
    assert os.path.dirname(first) == "/data"
    assert os.path.basename(first) not in others
    assert target_path(first) == first
    second = propose_target(name, "/data", taken={*others, os.path.basename(first)})
    assert second != first


@pytest.mark.parametrize(
    ("name", "taken", "proposed"),
    [
        ("my cells: DAPI", (), "my cells DAPI.ome.zarr"),
        ("cells.ome.zarr", ("cells.ome.zarr",), "cells-2.ome.zarr"),
        ("..", (), "image.ome.zarr"),
        ("Cells", ("cells.OME.zarr",), "Cells-2.ome.zarr"),
        ("con.1", (), "image_con.1.ome.zarr"),
        ("é" * 200, (), "é" * 100 + ".ome.zarr"),
    ],
)
def test_a_proposal_is_called_as_the_image(name: str, taken: tuple[str, ...], proposed: str) -> None:
    assert propose_target(name, "/data", taken=taken) == f"/data/{proposed}"


@pytest.mark.parametrize("name", COMPRESSORS)
def test_every_compressor_on_offer_exists(name: str) -> None:
    assert (codec(name) is None) == (name == "none")


def test_numbers_are_written_for_people() -> None:
    assert voxel_size("yx", (1, 2), (None, None)) == "y 1, x 2"
    assert voxel_size("yx", (0.123456, 1e-7), ("foot", "foot")) == "y 0.1235, x 1e-07 foot"
    assert voxel_size("yx", (1, 1), ("meter", "foot")) == "y 1 m, x 1 foot"
    assert voxel_size("czyx", (1, 2.0, 0.25, 0.25), (None, *["micrometer"] * 3)) == "z 2, yx 0.25 µm"
    assert voxel_size("tyx", (0.5, 3, 4), ("second", *["nanometer"] * 2)) == "t 0.5 s, y 3, x 4 nm"
    assert [megabytes(n) for n in (0, 1200, 1_500_000, 25_200_000)] == ["0", "0.0012", "1.5", "25"]
    assert megabytes(123_456_789_000) == "123,457"
    assert [amount(n) for n in (20, 2_500_000, 1_234_000_000)] == ["1 kB", "2.5 MB", "1.2 GB"]
    assert [duration(s) for s in (0.4, 59.7, 75, 7320)] == ["0 s", "1 min 0 s", "1 min 15 s", "2 h 2 min"]
    assert (axis_names(("c", "y", "x")), axis_names(("time", "y", "x"))) == ("cyx", "time, y, x")
    assert short("cells.ome.zarr") == "cells.ome.zarr"
    assert short("2026-11-25 embryo 17 stained.ome.zarr") == "2026-11-25…ome.zarr"


def test_what_was_saved_is_said_in_one_sentence_and_then_where() -> None:
    said = saved(["/data/cells.ome.zarr"], 1_234_000_000, 75)
    assert said == "Saved cells.ome.zarr (1.2 GB) in 1 min 15 s.\nWhere: /data/cells.ome.zarr"
    assert saved(["a.ozx"], 8_000, 0.4).startswith("Saved a.ozx (8 kB).\n"), "no 0 s"


def test_rate_and_time_left_are_told_once_they_settle() -> None:
    seconds = iter([0, 0.5, 4])
    meter = Meter(lambda: next(seconds))
    progress = Progress(blocks_done=2, blocks_total=8, bytes_done=400_000_000, bytes_total=1_600_000_000)
    assert meter.read(progress) == "400 of 1,600 MB"
    assert meter.read(progress) == "400 of 1,600 MB, 100 MB/s, 12 s left"


# From here on with layers, as napari hands them over.


def cells(*, shape: tuple[int, ...] = (8, 64, 64)) -> list[LayerData]:
    """Two channels and a label image."""
    pixels = np.arange(np.prod(shape), dtype="uint16").reshape(shape)
    place = {"scale": (2.0, 0.5, 0.5), "units": ("micrometer",) * 3, "axis_labels": ("z", "y", "x")}
    return [
        (pixels, {"name": "red", "colormap": "red", **place}, "image"),
        (pixels[:, ::-1], {"name": "green", "colormap": "green", **place}, "image"),
        ((pixels // 1000), {"name": "cells", **place}, "labels"),
    ]


def created(form: Form, layers: Sequence[LayerData]) -> zarr.Group:
    """Write what the form asks for, and open the group."""
    asked = preview(form, layers)
    assert asked.request is not None, asked.problem
    *_, outcome = run(write(asked.request, asked.places, Event()))
    assert isinstance(outcome, Outcome)
    if outcome.error is not None:
        raise outcome.error
    assert outcome.paths == (asked.request.target,)
    return zarr.open_group(asked.request.target, mode="r")


def run(steps: Generator[Progress, None, Outcome]) -> Iterator[Progress | Outcome]:
    yield (yield from steps)


def test_the_plan_is_what_is_written(tmp_path: Path) -> None:
    form = Form(target=str(tmp_path / "cells"), levels="3")
    asked = preview(form, cells())
    (plan,) = asked.plans
    group = created(form, cells())
    for image in plan.multiscales:
        for level in image.levels:
            array = group[f"{image.path}/{level.path}".strip("/")]
            assert isinstance(array, zarr.Array)
            assert (array.shape, array.chunks) == (level.shape, level.chunks)
    assert sum(path.is_file() for path in (tmp_path / "cells.ome.zarr").rglob("*")) <= plan.n_files
    rows = table([plan])
    assert [row[0] for row in rows if row[0]] == ["cells (czyx)", "cells (zyx)"]
    assert rows[0][1:4] == ("0", "2×8×64×64", "z 2, yx 0.5 µm")
    assert summary([plan]).startswith(f"OME-Zarr 0.5: {amount(plan.nbytes)} before compression, at most ")
    assert "memory" not in summary([plan]), "of a few megabytes nothing is said"


@pytest.mark.parametrize(("version", "zarr_format"), [("0.4", 2), ("0.5", 3), ("0.6", 3)])
def test_the_version_is_seen_in_the_file(version: str, zarr_format: int, tmp_path: Path) -> None:
    group = created(Form(target=str(tmp_path / "cells"), version=version), cells())
    assert group.metadata.zarr_format == zarr_format
    assert f'"{version}' in json.dumps(group.attrs.asdict())


@pytest.mark.parametrize(("levels", "count"), [("1", 1), ("2", 2), ("auto", 1)])
def test_the_levels_are_seen_in_the_file(levels: str, count: int, tmp_path: Path) -> None:
    group = created(Form(target=str(tmp_path / "cells"), levels=levels), cells())
    assert len(dict(group.arrays())) == count


@pytest.mark.parametrize(
    ("chunks", "image", "labels"),
    [("4, 16, 32", (1, 4, 16, 32), (4, 16, 32)), ("16, 32", (1, 1, 16, 32), (1, 16, 32))],
)
def test_the_chunks_are_seen_in_the_file(
    chunks: str, image: tuple[int, ...], labels: tuple[int, ...], tmp_path: Path
) -> None:
    group = created(Form(target=str(tmp_path / "cells"), chunks=chunks), cells())
    assert group["0"].chunks == image
    assert group["labels/cells/0"].chunks == labels


@pytest.mark.parametrize("version", ["0.5", "0.6"])
def test_the_shards_are_seen_in_the_file(version: str, tmp_path: Path) -> None:
    form = Form(target=str(tmp_path / "cells"), version=version, chunks="4, 16, 16")
    assert created(form, cells())["0"].shards is None
    form = replace(form, shards="auto", overwrite=True)
    shards = created(form, cells())["0"].shards
    assert shards is not None
    assert shards > (1, 4, 16, 16)


@pytest.mark.parametrize("version", ["0.4", "0.5", "0.6"])
@pytest.mark.parametrize("compressor", COMPRESSORS)
def test_the_compressor_is_seen_in_the_file(compressor: str, version: str, tmp_path: Path) -> None:
    form = Form(target=str(tmp_path / "cells"), version=version, compressor=compressor)
    found = repr(created(form, cells())["0"].compressors).lower()
    assert {"auto": "blosc", "none": "()"}.get(compressor, compressor) in found


@pytest.mark.parametrize(
    ("method", "value"), [("mean", 2), ("nearest", 1)]
)  # of the block 1 3 / 3 3: the mean is 2.5, rounded half to even
def test_the_method_for_images_is_seen_in_the_file(method: str, value: int, tmp_path: Path) -> None:
    block = np.tile(np.array([[1, 3], [3, 3]], "uint8"), (8, 8))
    form = Form(target=str(tmp_path / "a"), image_method=method, levels="2")
    group = created(form, [(block, {"name": "a", "axis_labels": ("y", "x")}, "image")])
    assert np.unique(group["1"][:]).tolist() == [value]


@pytest.mark.parametrize(("method", "value"), [("mode", 3), ("nearest", 1)])
def test_the_method_for_labels_is_seen_in_the_file(method: str, value: int, tmp_path: Path) -> None:
    block = np.tile(np.array([[1, 3], [3, 3]], "uint8"), (8, 8))
    form = Form(target=str(tmp_path / "a"), label_method=method, levels="2")
    group = created(form, [(block, {"name": "a", "axis_labels": ("y", "x")}, "labels")])
    assert np.unique(group["1"][:]).tolist() == [value]


def test_levels_that_a_layer_has_are_kept(tmp_path: Path) -> None:
    levels = [np.full((2 ** (8 - i),) * 2, i, "uint8") for i in range(3)]
    layer = (levels, {"name": "a", "multiscale": True, "axis_labels": ("y", "x")}, "image")
    group = created(Form(target=str(tmp_path / "a")), [layer])
    assert [np.unique(array[:]).tolist() for _, array in sorted(group.arrays())] == [[0], [1], [2]]


def test_a_number_of_levels_makes_them_anew(tmp_path: Path) -> None:
    levels = [np.full((2 ** (8 - i),) * 2, i, "uint8") for i in range(3)]
    layer = (levels, {"name": "a", "multiscale": True, "axis_labels": ("y", "x")}, "image")
    group = created(Form(target=str(tmp_path / "a"), levels="2"), [layer])
    assert [np.unique(array[:]).tolist() for _, array in sorted(group.arrays())] == [[0], [0]]


def test_what_was_opened_can_be_written_with_other_levels(corpus: Path, tmp_path: Path) -> None:
    layers = read_layers(corpus / "generated" / "ome-zarr-py-0.21" / "coins_0.5.zarr")
    asked = preview(Form(target=str(tmp_path / "a"), levels="2"), layers)
    assert [len(image.levels) for plan in asked.plans for image in plan.multiscales] == [2, 2]
    created(Form(target=str(tmp_path / "a"), levels="2"), layers)
    again = read_layers(tmp_path / "a.ome.zarr")
    assert [len(data) for data, _, _ in again] == [2, 2, 2]
    for (before, *_), (after, *_) in zip(layers, again, strict=True):
        assert np.array_equal(np.asarray(before[0]), np.asarray(after[0]))


@pytest.mark.parametrize(
    ("form", "layers", "words"),
    [
        (Form(target="a"), [], "nothing to write"),
        (Form(target="a"), [(np.zeros((3, 2)), {"name": "spots"}, "points")], "nothing"),
        (Form(target=""), cells(), "where to write"),
        (Form(target="a", levels="9"), cells(), "levels at most"),
        (Form(target="a", chunks="1, 1, 1, 1, 1, 1"), cells(), "Chunks|chunks"),
    ],
)
def test_what_cannot_be_written_is_a_problem_not_a_plan(
    form: Form, layers: list[LayerData], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = preview(form, layers)
    assert asked.plans == ()
    assert asked.request is None
    assert re.search(words, str(asked.problem))
    assert list(tmp_path.iterdir()) == []


def test_layers_that_are_left_out_are_named(tmp_path: Path) -> None:
    spots = (np.zeros((3, 3)), {"name": "spots"}, "points")
    asked = preview(Form(target=str(tmp_path / "a")), [*cells(), spots])
    assert asked.places
    assert any("spots" in note for note in asked.notes)


def test_a_target_that_exists_is_a_problem_until_it_may_be_replaced(tmp_path: Path) -> None:
    form = Form(target=str(tmp_path / "cells"))
    created(form, cells())
    taken = preview(form, cells())
    assert isinstance(taken.problem, TargetError)
    assert taken.taken
    assert taken.request is None
    assert taken.plans, "what would be written is known all the same"
    assert preview(replace(form, overwrite=True), cells()).request is not None


def test_a_collection_is_saved_onto_itself_image_by_image(tmp_path: Path) -> None:
    """The metadata alone, or each image in its place; what is beside them stays."""
    place = tmp_path / "many.ome.zarr"
    layers = [*cells(), (np.zeros((4, 32, 32), "uint8"), {"name": "other"}, "image")]
    created(Form(target=str(place)), layers)
    (place / "notes.txt").write_text("mine")
    before = files(place)
    layers = read_layers(str(place))
    pictures = [meta for _, meta, kind in layers if kind == "image"]
    pictures[-1]["contrast_limits"] = (3, 9)
    each = preview(Form(target=str(place), overwrite=True, several=SEVERAL[1]), layers)
    assert all(Path(one.path).parent == tmp_path for one in each.places), "stores of their own were asked for"
    again = preview(Form(target=str(place), overwrite=True), layers)
    assert again.request is not None
    assert [each.path for each in again.places] == [str(place / "0"), str(place / "1")]
    alone = replace(again.request, metadata_only=True)
    *_, outcome = run(write(alone, again.places, Event()))
    assert isinstance(outcome, Outcome)
    assert outcome.error is None
    after = files(place)
    assert {key for key in after if after[key] != before.get(key)} == {"1/zarr.json"}
    window = open_ome_ngff(place / "1").multiscale.channels[0].window
    assert (window.start, window.end) == (3, 9)
    *_, outcome = run(write(again.request, again.places, Event()))
    assert isinstance(outcome, Outcome)
    assert outcome.error is None
    assert files(place) == after


def test_a_version_that_a_collection_cannot_hold_is_a_problem_of_the_plan(tmp_path: Path) -> None:
    place = tmp_path / "many.ome.zarr"
    created(Form(target=str(place)), [*cells(), (np.zeros((4, 32, 32), "uint8"), {"name": "other"}, "image")])
    layers = read_layers(str(place))
    for target, chosen in ((place, layers), (place / "0", cells())):
        for overwrite in (False, True):
            form = Form(target=str(target), version="0.6", overwrite=overwrite)
            refused = preview(form, chosen)
            assert refused.request is None
            assert not refused.taken, "a tick would not help"
            assert "so is the collection around it" in str(refused.problem)
            assert preview(replace(form, version="0.5"), chosen).taken is not overwrite


def test_planning_reads_no_pixel(tmp_path: Path) -> None:
    class Untouchable:
        shape, dtype, ndim = (64, 512, 512), np.dtype("uint16"), 3

        def __getitem__(self, key: object) -> np.ndarray:
            raise AssertionError("a pixel was read")

    lazy = dask.array.from_array(Untouchable(), chunks=(1, 512, 512), meta=np.empty((0, 0, 0), "uint16"))
    asked = preview(Form(target=str(tmp_path / "a")), [(lazy, {"name": "a"}, "image")])
    assert asked.problem is None
    assert asked.request is not None


def test_cancelling_leaves_nothing(tmp_path: Path) -> None:
    asked = preview(Form(target=str(tmp_path / "cells"), chunks="1, 64, 64"), cells(shape=(32, 64, 64)))
    assert asked.request is not None
    cancelled = Event()
    steps = write(asked.request, asked.places, cancelled)
    next(steps)
    assert any(tmp_path.iterdir())
    cancelled.set()
    assert [*run(steps)][-1] == Outcome(cancelled=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("frozen_counted")
@pytest.mark.parametrize("ends", ["at the end", "cancelled", "closed"])
def test_the_garbage_collector_leaves_napari_s_objects_alone_meanwhile(ends: str, tmp_path: Path) -> None:
    """It takes 0.15 s to go through all of them, in which the window stands still."""
    asked = preview(Form(target=str(tmp_path / "cells"), chunks="1, 64, 64"), cells(shape=(32, 64, 64)))
    assert asked.request is not None
    cancelled = Event()
    steps = write(asked.request, asked.places, cancelled)
    gc.unfreeze()
    next(steps)
    assert gc.get_freeze_count() > 10_000
    if ends == "closed":
        steps.close()
    else:
        if ends == "cancelled":
            cancelled.set()
        assert [*run(steps)]
    assert gc.get_freeze_count() == 0
    gc.freeze()  # for the tests that follow


@pytest.mark.usefixtures("frozen_counted")
def test_what_somebody_else_keeps_from_the_garbage_collector_stays_kept(tmp_path: Path) -> None:
    asked = preview(Form(target=str(tmp_path / "cells")), cells())
    assert asked.request is not None
    gc.freeze()
    assert [*run(write(asked.request, asked.places, Event()))]
    assert gc.get_freeze_count() > 10_000


@pytest.mark.parametrize("error", [RuntimeError, ValueError, MemoryError, StopIteration])
def test_whatever_a_source_raises_is_in_the_outcome(error: type[Exception], tmp_path: Path) -> None:
    def broken(block: np.ndarray) -> np.ndarray:
        raise error("the microscope is on fire")

    image = dask.array.zeros((4, 64, 64), chunks=(1, 64, 64), dtype="uint8").map_blocks(
        broken, dtype="uint8", meta=np.empty((0, 0, 0), "uint8")
    )
    asked = preview(Form(target=str(tmp_path / "a")), [(image, {"name": "a"}, "image")])
    assert asked.request is not None
    *_, outcome = run(write(asked.request, asked.places, Event()))
    assert isinstance(outcome, Outcome)
    assert outcome.paths == ()
    assert isinstance(outcome.error, OmeNgffError)
    assert "the microscope is on fire" in str(outcome.error)
    assert list(tmp_path.iterdir()) == []


def test_the_summary_tells_what_reading_takes_and_how_often(tmp_path: Path) -> None:
    planes = dask.array.zeros((64, 4096, 4096), chunks=(1, 4096, 4096), dtype="uint16")
    layer = (planes, {"name": "a"}, "image")
    request = resolve(Form(target=str(tmp_path / "a"), chunks="64, 256, 256"))
    found = preview(Form(target=request.target, chunks="64, 256, 256"), [layer])
    (plan,) = found.plans
    text = summary([plan])
    assert f"up to {amount(plan.memory + plan.reading)} of memory" in text
    assert text.endswith(f"is read {plan.decodes:.2g} times.")


# Elsewhere than in a folder


def test_a_single_file_is_written_and_opens(tmp_path: Path) -> None:
    form = Form(target=str(tmp_path / "cells.ozx"))
    asked = preview(form, cells())
    assert asked.request is not None, asked.problem
    *_, outcome = run(write(asked.request, asked.places, Event()))
    assert outcome == Outcome(
        paths=(str(tmp_path / "cells.ozx"),),
        folders=(str(tmp_path / "cells.ozx"),),
        size=os.path.getsize(tmp_path / "cells.ozx"),
    )
    assert [meta["name"] for _, meta, _ in read_layers(str(tmp_path / "cells.ozx"))] == [
        "red",
        "green",
        "cells",
    ]
    again = preview(form, cells())
    assert again.taken, "it asks before it is replaced"


def test_a_bucket_is_asked_for_when_writing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan waits for no server: not even for one that does not answer."""
    pytest.importorskip("obstore")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    asked = preview(Form(target="s3://bucket/cells"), cells())
    assert asked.problem is None
    assert asked.places[0].path == "s3://bucket/cells.ome.zarr"
    with s3_server() as client:
        client.create_bucket(Bucket="bucket")
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", client.meta.endpoint_url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "me")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        assert asked.request is not None
        *_, outcome = run(write(asked.request, asked.places, Event()))
        assert outcome.error is None
        assert len(read_layers("s3://bucket/cells.ome.zarr")) == 3
        *_, outcome = run(write(asked.request, asked.places, Event()))
        assert "already" in str(outcome.error)


@pytest.mark.parametrize("version", ["0.4", "0.5", "0.6"])
def test_what_is_previewed_is_modelled_and_what_is_modelled_is_created(version: str, tmp_path: Path) -> None:
    """The public functions say it: the preview holds their model, and their model is what a save creates."""
    form = Form(target=str(tmp_path / "a"), version=version)
    shown = preview(form, cells())
    assert shown.request is not None
    (place,), (planned,) = shown.places, shown.plans
    model = model_multiscale_group(sources=place.sources, options=shown.request.storage, store=place.path)
    assert place.model == planned.model == model
    empty = create_multiscale_group(store=tmp_path / "empty.zarr", model=planned.model)
    created(form, cells())
    assert documents(Path(place.path)) == documents(tmp_path / "empty.zarr")
    assert not empty["0"][...].any()


def test_a_save_is_planned_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is shown is what is written: not another plan of the same layers."""
    times: list[object] = []
    made = plan_save.prepare
    monkeypatch.setattr(plan_save, "prepare", lambda *args, **more: times.append(args) or made(*args, **more))
    for number, target in enumerate(("a.ome.zarr", "a.ozx", "a.ome.zarr"), start=1):
        asked = preview(Form(target=str(tmp_path / target), overwrite=True), cells())
        assert asked.request is not None
        *_, outcome = run(write(asked.request, asked.places, Event()))
        assert isinstance(outcome, Outcome)
        assert outcome.error is None
        assert len(times) == number


def documents(folder: Path) -> dict[str, object]:
    """Every metadata document below a folder, by its path; without the contrast, which pixels give."""
    names = {"zarr.json", ".zgroup", ".zattrs", ".zarray"}
    paths = (path for path in folder.rglob("*") if path.name in names)
    return {
        path.relative_to(folder).as_posix(): json.loads(path.read_text(), object_hook=without_window)
        for path in paths
    }


def without_window(content: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in content.items() if key != "window"}
