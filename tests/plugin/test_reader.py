"""The reader as napari calls it: what it takes, what it leaves, what it tells, and what it costs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dask.array
import npe2
import numpy as np
import pytest
import xarray
import zarr
from napari.components import ViewerModel

from napari_ome_ngff import write_multiscale_group
from napari_ome_ngff.errors import NotOmeNgffError, OmeNgffError, OmeNgffWarning, StorageError
from napari_ome_ngff.metadata.nouns import Axis, Channel, Multiscale, Window
from napari_ome_ngff.plugin import reader
from napari_ome_ngff.plugin.names import image_name
from napari_ome_ngff.plugin.notify import FailureNotes
from napari_ome_ngff.plugin.origin import METADATA_KEY
from napari_ome_ngff.plugin.reader import get_reader, read_layers
from napari_ome_ngff.reading.opened import Image
from napari_ome_ngff.storage.pixels.failed_chunks import Failure
from tests.plugin.test_contrast import limits_of

NAME = "napari-ome-ngff"


@pytest.fixture
def plugin(npe2pm: Any) -> Iterator[Any]:
    """npe2 knows our plugin and no other."""
    with npe2pm.tmp_plugin(package=NAME):
        yield npe2pm


@pytest.fixture(params=["0.4", "0.5", "0.6"])
def cells(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A small image of two channels, without any display settings."""
    values = np.random.default_rng(0).integers(100, 4000, (2, 4, 16, 20), dtype="uint16")
    image = xarray.DataArray(values, dims=("c", "z", "y", "x"), name="cells")
    path = tmp_path / "cells.ome.zarr"
    for _ in write_multiscale_group(store=str(path), image=image, ngff_version=request.param, levels=2):
        pass
    return path


@pytest.mark.parametrize("suffix", ["", "/", "/zarr.json", "/.zattrs"])
def test_a_folder_and_the_files_in_it_open(cells: Path, suffix: str) -> None:
    path = f"{cells}{suffix}"
    if suffix.startswith("/.") and not os.path.exists(path):
        path = f"{cells}/zarr.json"
    if suffix == "/zarr.json" and not os.path.exists(path):
        path = f"{cells}/.zattrs"
    read = get_reader(path)
    assert read is not None
    names = [meta["name"] for _, meta, _ in read(path)]
    assert names == ["cells channel 0", "cells channel 1"]


def test_levels_are_dask_arrays_of_the_pixels_in_the_file(cells: Path) -> None:
    group = zarr.open_group(cells, mode="r")
    for channel, (levels, meta, kind) in enumerate(read_layers(str(cells))):
        assert kind == "image"
        assert meta["multiscale"] is True
        for path, level in zip(("0", "1"), levels, strict=True):
            assert isinstance(level, dask.array.Array)
            np.testing.assert_array_equal(level.compute(), group[path][channel])


def test_a_zip_file_opens(cells: Path, tmp_path: Path) -> None:
    for name in ("cells.ozx", "cells.zarr.zip"):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for file in sorted(path for path in cells.rglob("*") if path.is_file()):
                archive.write(file, file.relative_to(cells))
        read = get_reader(str(tmp_path / name))
        assert read is not None
        layers = read(str(tmp_path / name))
        assert len(layers) == 2
        assert layers[0][0][0].max().compute() > 100


def test_several_paths_open_one_after_the_other(cells: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.zarr"
    shutil.copytree(cells, other)
    read = get_reader([cells, str(other)])
    assert read is not None
    assert len(read([cells, str(other)])) == 4
    assert get_reader([str(cells), str(tmp_path)]) is None


@pytest.mark.parametrize("what", ["missing", "empty", "text"])
def test_what_is_not_ours_is_left_to_others(tmp_path: Path, what: str) -> None:
    path = tmp_path / "x.zarr"
    if what == "empty":
        path.mkdir()
    elif what == "text":
        path.write_text("{")
    assert get_reader(str(path)) is None


def test_asking_reads_three_files_at_most_and_imports_nothing_heavy(tmp_path: Path) -> None:
    """napari asks for every folder that anyone opens, with whatever is in it."""
    for index in range(100):
        (tmp_path / f"{index}.tif").write_bytes(b"")
    code = f"""
import sys
calls = []
events = ("open", "os.listdir", "os.scandir")
sys.addaudithook(lambda event, args: calls.append(args[0]) if event in events else None)
from napari_ome_ngff.plugin.reader import get_reader
folder = {str(tmp_path)!r}
assert get_reader(folder) is None
touched = [call for call in calls if str(call).startswith(folder)]
assert len(touched) <= 3, touched
heavy = {{"zarr", "dask", "xarray", "numpy", "napari", "qtpy", "pint"}} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/data/my cells.ome.zarr", "my cells"),
        ("/data/cells.zarr/", "cells"),
        ("/data/cells.ozx", "cells"),
        ("/data/cells.zarr.zip", "cells"),
        ("https://example.org/a/cells.zarr?token=1", "cells"),
        ("/data/v1.2.ome.zarr/zarr.json", "v1.2"),
    ],
)
def test_an_image_without_a_name_has_that_of_its_file(path: str, name: str) -> None:
    assert image_name(path) == name


# What the user is told


def test_warnings_become_one_notification(cells: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(cells / "1")
    told: list[str] = []
    monkeypatch.setattr(reader.notify, "warn", told.append)
    assert len(read_layers(str(cells))) == 2
    assert len(told) == 1
    assert "'1'" in told[0]


def test_without_a_window_a_warning_is_a_warning(cells: Path) -> None:
    shutil.rmtree(cells / "1")
    with pytest.warns(OmeNgffWarning, match="'1'"):
        read_layers(str(cells))


def test_warnings_of_others_are_passed_on(cells: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import warnings

    import napari_ome_ngff.reading.open

    opened = napari_ome_ngff.reading.open.open_metadata

    def noisy(*args: Any, **kwargs: Any) -> Image:
        warnings.warn("not ours", UserWarning, stacklevel=2)
        return opened(*args, **kwargs)

    monkeypatch.setattr(napari_ome_ngff.reading.open, "open_metadata", noisy)
    with pytest.warns(UserWarning, match="not ours"):
        read_layers(str(cells))


@pytest.mark.parametrize(
    ("path", "count"),
    [
        ("generated/ome-zarr-py-0.21/plate_0.5.zarr", 1),
        ("generated/ome-zarr-py-0.21/plate_0.5.zarr/A/1", 1),
        ("generated/ome-zarr-py-0.21/scene_tiles_0.6.zarr", 2),
        ("generated/ome-zarr-py-0.10.2/wave_0.1.zarr", 1),
        ("generated/ome-zarr-py-0.21/coins_0.5.zarr/labels", 1),
        ("generated/ome-zarr-py-0.21/coins_0.5.zarr/s0", 1),
    ],
)
def test_all_kinds_are_ours_and_open(corpus: Path, path: str, count: int) -> None:
    place = str(corpus / path)
    read = get_reader(place)
    assert read is not None
    layers = read(place)
    assert len({meta["metadata"][METADATA_KEY]["image"] for _, meta, _ in layers}) == count


def test_what_is_broken_is_refused_in_one_short_sentence(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path / "x.zarr", mode="w", zarr_format=2)
    group.attrs["multiscales"] = [{"version": "0.4", "axes": [], "datasets": []}]
    read = get_reader(str(tmp_path / "x.zarr"))
    assert read is not None
    with pytest.raises(OmeNgffError) as caught:
        read(str(tmp_path / "x.zarr"))
    assert len(caught.value.summary) < 120
    assert str(caught.value).splitlines()[0] == caught.value.summary


def test_a_plate_is_told_where_its_wells_are_listed(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(reader.notify, "inform", told.append)
    read_layers(str(corpus / "generated" / "ome-zarr-py-0.21" / "plate_0.5.zarr"))
    assert len(told) == 1
    assert "Browse OME-Zarr plate or collection" in told[0]


# Chunks that cannot be read


def failures(count: int, image: str = "a.zarr") -> list[Failure]:
    error = StorageError("Chunk c/0/1 could not be read.", where=image)
    return [Failure(location=f"/data/{image}/{level}", error=error, chunks=1) for level in range(count)]


def told_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def test_chunks_of_one_image_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    note = FailureNotes(seconds=0.05)
    for failure in failures(3):
        note(failure)
    time.sleep(0.2)
    note(failures(5)[4])
    time.sleep(0.2)
    (told,) = told_of(caplog)
    assert told.splitlines()[0] == "Chunk c/0/1 could not be read."


def test_images_that_fail_together_are_told_together(caplog: pytest.LogCaptureFixture) -> None:
    note = FailureNotes(seconds=0.05)
    with ThreadPoolExecutor(8) as pool:  # whatever thread reads
        list(pool.map(lambda number: note(failures(1, f"field{number}.zarr")[0]), range(40)))
    time.sleep(0.2)
    (told,) = told_of(caplog)
    assert "39 more" in told
    assert len(told) < 500


# What it costs


def test_the_plugin_adds_little_to_the_imports_of_napari() -> None:
    """napari imports the reader when a folder is opened: before anyone knows whose it is."""
    code = """
import time
import napari.viewer, napari.components.viewer_model
start = time.perf_counter()
import napari_ome_ngff.plugin.reader
print(time.perf_counter() - start)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 0.3  # usually 0.01


def test_an_unreachable_url_says_so() -> None:
    url = "http://127.0.0.1:9/cells.zarr"
    read = get_reader(url)
    assert read is not None
    with pytest.raises(StorageError) as caught:
        read(url)
    assert caught.value.where.startswith("http://127.0.0.1:9")


# Contrast


def image_of(values: Any, dims: str = "yx", **multiscale: Any) -> Image:
    types = {"c": "channel", "t": "time"}
    axes = tuple(Axis(name=dim, type=types.get(dim, "space")) for dim in dims)
    noun = Multiscale(version="0.5", axes=axes, levels=(), **multiscale)
    return Image(location="", multiscale=noun, arrays={"0": xarray.DataArray(values, dims=list(dims))})


def test_contrast_leaves_out_outliers_and_what_is_not_finite() -> None:
    values = np.random.default_rng(0).normal(100, 10, (200, 200)).astype("float32")
    values[0, :3] = 1e9, np.nan, np.inf
    ((low, high),) = limits_of(image_of(values))
    assert 60 < low < 80
    assert 120 < high < 140


def test_contrast_of_a_few_bright_spots_still_shows_them() -> None:
    values = np.zeros((200, 200), "uint16")
    values[5, 5] = 700
    assert limits_of(image_of(values)) == ((0.0, 700.0),)


@pytest.mark.parametrize("values", [np.zeros((4, 4)), np.full((4, 4), np.nan), np.zeros((0, 4))])
def test_nothing_is_said_of_an_image_without_contrast(values: np.ndarray) -> None:
    assert limits_of(image_of(values)) == (None,)


def test_only_channels_without_a_window_are_read() -> None:
    def refuse(block: np.ndarray, block_info: Any = None) -> np.ndarray:
        assert block_info[None]["chunk-location"][0] == 1, "channel 0 has a window"
        return block

    values = dask.array.from_array(np.arange(32.0).reshape(2, 4, 4), chunks=(1, 4, 4))
    values = dask.array.map_blocks(refuse, values, dtype=float, meta=np.empty((0, 0, 0)))
    channels = (Channel(window=Window(start=1, end=2)), Channel())
    first, second = limits_of(image_of(values, "cyx", channels=channels))
    assert first is None
    assert second is not None
    assert 16 <= second[0] < second[1] <= 31


@pytest.mark.parametrize(
    "shape", [(100, 2000, 2000), (5, 100, 600, 600), (2, 1, 1, 9_000_000), (9_000_000, 2)]
)
def test_a_large_image_is_looked_at_in_its_middle_only(shape: tuple[int, ...]) -> None:
    read: list[int] = []

    class Spy:
        def __init__(self) -> None:
            self.shape, self.dtype, self.ndim = shape, np.dtype("uint16"), len(shape)

        def __getitem__(self, key: tuple[slice, ...]) -> np.ndarray:
            sizes = [s.stop - s.start for s in key]
            read.append(int(np.prod(sizes)) * 2)
            return np.arange(np.prod(sizes), dtype="uint16").reshape(sizes)

    values = dask.array.from_array(Spy(), chunks=-1, name=False, meta=np.empty((0,) * len(shape), "uint16"))
    (limits,) = limits_of(image_of(values, "tczyx"[-len(shape) :].replace("c", "q")), nbytes=2**20)
    assert limits is not None
    assert 2**18 < sum(read) <= 2**20


def test_an_unreadable_level_does_not_keep_the_image_from_opening(caplog: pytest.LogCaptureFixture) -> None:
    def fail(*_: object) -> np.ndarray:
        raise OSError("broken chunk")

    values = dask.array.map_blocks(fail, dask.array.zeros((4, 4)), dtype=float, meta=np.empty((0, 0)))
    assert limits_of(image_of(values)) == (None,)
    assert "broken chunk" in caplog.text


# In napari


def test_npe2_reads(cells: Path, plugin: Any) -> None:
    layers = npe2.read([str(cells)], stack=False, plugin_name=NAME)
    assert [layer[2] for layer in layers] == ["image", "image"]


def test_layers_are_where_and_what_the_file_says(corpus: Path, plugin: Any) -> None:
    viewer = ViewerModel()
    path = corpus / "generated" / "ngff-zarr-0.50" / "wave_0.5.ome.zarr"
    layers = viewer.open(str(path), plugin=NAME)
    # INDEX.md: origin (10, 20, 30) um
    for layer in layers:
        assert tuple(layer.translate) == (10.0, 20.0, 30.0)
        assert [str(unit) for unit in layer.units] == ["micrometer"] * 3
        assert layer.axis_labels == ("z", "y", "x")
        assert layer.source.reader_plugin == NAME


def test_keywords_of_the_user_win(cells: Path, plugin: Any) -> None:
    viewer = ViewerModel()
    layers = viewer.open(str(cells), plugin=NAME, colormap="red", contrast_limits=(1, 2))
    assert [layer.colormap.name for layer in layers] == ["red", "red"]
    assert layers[0].contrast_limits == [1, 2]


def test_labels_and_image_share_units_so_that_napari_keeps_them(corpus: Path, plugin: Any) -> None:
    viewer = ViewerModel()
    viewer.open(str(corpus / "generated" / "ome-zarr-py-0.21" / "coins_0.5.zarr"), plugin=NAME)
    assert [layer._type_string for layer in viewer.layers] == ["image", "image", "labels"]
    assert len({layer.units[-2:] for layer in viewer.layers}) == 1
    assert viewer.layers.extent.units is not None


def test_a_plain_zarr_without_an_image_says_what_is_there(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path / "x.zarr", mode="w")
    with pytest.raises(NotOmeNgffError):
        read_layers(str(tmp_path / "x.zarr"))
    group.create_array("ids", data=np.arange(5))
    with pytest.raises(NotOmeNgffError, match="fewer than two dimensions") as raised:
        read_layers(str(tmp_path / "x.zarr"))
    assert "ids" in str(raised.value)


def test_layers_of_a_plain_array_are_as_good_as_new(tmp_path: Path, plugin: Any) -> None:
    """They know what the array says, and are saved as any other layer; never into what they are read from."""
    pixels = np.random.default_rng(0).integers(0, 900, (4, 32, 40), "uint16")
    place = tmp_path / "plain.zarr"
    zarr.create_array(place, data=pixels, dimension_names=["z", "y", "x"], attributes={"stain": "DAPI"})
    viewer = ViewerModel()
    (layer,) = viewer.open(str(place), plugin=NAME)
    assert layer.metadata["zarr"] == {"location": str(place), "attributes": {"stain": "DAPI"}}
    assert layer.axis_labels == ("z", "y", "x")
    assert 800 < layer.contrast_limits[1] < 900
    with pytest.raises(OmeNgffError):
        viewer.layers.save(str(place), plugin=NAME)
    viewer.layers.save(str(tmp_path / "new.ome.zarr"), plugin=NAME)
    (saved,) = viewer.open(str(tmp_path / "new.ome.zarr"), plugin=NAME)
    np.testing.assert_array_equal(np.asarray(saved.data), pixels)
