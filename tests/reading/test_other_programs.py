"""Metadata in the neighbouring place, and parts that fail: the same picture, with a warning."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from zarr.storage import LocalStore, WrapperStore

from napari_ome_ngff import Image, OmeNgffWarning, StorageError, open_ome_ngff
from tests.cases.build import array, change, image, ramp, write_json
from tests.servers import Answer, Web, on

OMERO = {
    "channels": [
        {
            "label": f"channel {i}",
            "color": "FF8000",
            "active": True,
            "window": {"start": 3, "end": 35, "min": 0, "max": 99},
        }
        for i in range(2)
    ]
}
VERSIONS = pytest.mark.parametrize("version", ["0.2", "0.3", "0.4", "0.5", "0.6"])


def make(folder: Path, version: str, **more: Any) -> Path:
    """An image with two channels, complete and as it should be."""
    axes: Any = "tczyx" if version == "0.2" else "cyx"
    shape = (1, 2, 1, 8, 6) if version == "0.2" else (2, 8, 6)
    return image(folder, version=version, axes=axes, shape=shape, levels=2, beside={"omero": OMERO, **more})


def seen(opened: Any) -> Any:
    """Pixels, places and names of an image."""
    assert isinstance(opened, Image)
    assert opened.multiscale is not None
    return (
        {path: (level.dims, level.values.tolist()) for path, level in opened.arrays.items()},
        {
            path: {dim: level[dim].values.tolist() for dim in level.dims}
            for path, level in opened.arrays.items()
        },
        opened.multiscale.channels,
        [(axis.name, axis.type, axis.unit) for axis in opened.multiscale.axes],
    )


def one(key: str, *, inside: str = "") -> Callable[[dict[str, Any]], None]:
    """Put the only item of a list in place of the list."""

    def edit(ome: dict[str, Any]) -> None:
        entry = ome["multiscales"][0]
        for holder in {"": [ome], "entry": [entry], "datasets": entry["datasets"]}[inside]:
            if key in holder:
                (holder[key],) = holder[key]

    return edit


def path_as(text: str) -> Callable[[dict[str, Any]], None]:
    def edit(ome: dict[str, Any]) -> None:
        for dataset in ome["multiscales"][0]["datasets"]:
            path = text.format(dataset["path"])
            for step in dataset.get("coordinateTransformations", ()):
                step.update({"input": {"path": path}} if "input" in step else {})
            dataset["path"] = path

    return edit


def omero_in_entry(ome: dict[str, Any]) -> None:
    ome["multiscales"][0]["omero"] = ome.pop("omero")


SPELLINGS = {
    "multiscales without a list": one("multiscales"),
    "transforms without a list": one("coordinateTransformations", inside="datasets"),
    "systems without a list": one("coordinateSystems", inside="entry"),
    "path ./0": path_as("./{}"),
    "path .//0/": path_as(".//{}/"),
    "omero in the entry": omero_in_entry,
}


@VERSIONS
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_another_spelling_opens_as_the_right_one(version: str, spelling: str, tmp_path: Path) -> None:
    right, odd = (make(tmp_path / name, version) for name in ("right.zarr", "odd.zarr"))
    change(odd, SPELLINGS[spelling])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OmeNgffWarning)
        assert seen(open_ome_ngff(odd)) == seen(open_ome_ngff(right))


@pytest.mark.parametrize("version", ["0.5", "0.6"])
def test_omero_beside_ome_counts(version: str, tmp_path: Path) -> None:
    right, odd = (make(tmp_path / name, version) for name in ("right.zarr", "odd.zarr"))
    content = json.loads((odd / "zarr.json").read_text())
    content["attributes"]["omero"] = content["attributes"]["ome"].pop("omero")
    write_json(odd / "zarr.json", content)
    with pytest.warns(OmeNgffWarning, match="omero: not in its place"):
        opened = open_ome_ngff(odd)
    assert seen(opened) == seen(open_ome_ngff(right))
    assert "omero" not in opened.attributes


@pytest.mark.parametrize("version", ["0.2", "0.5"])
@pytest.mark.parametrize("names", ["yxc", "tyx", "ctzyx"])
def test_the_names_of_the_dimensions_are_axes_where_the_image_says_none(
    version: str, names: str, tmp_path: Path
) -> None:
    values = ramp(tuple(range(2, 2 + len(names))))
    folder = image(tmp_path / "a.zarr", version=version, axes=names, values=values, scale=None, names=names)
    change(folder, lambda ome: ome["multiscales"][0].pop("axes", None))
    if version == "0.2":
        write_json(folder / "0" / ".zattrs", {"_ARRAY_DIMENSIONS": list(names)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OmeNgffWarning)
        opened = open_ome_ngff(folder)
    assert opened.arrays["0"].dims == tuple(names)
    np.testing.assert_array_equal(opened.arrays["0"].values, values)


class Broken(WrapperStore[Any]):
    """A store in which some keys cannot be read."""

    sign = ""

    def with_read_only(self, read_only: bool = False) -> Broken:
        return self

    async def get(self, key: str, *args: Any, **kwargs: Any) -> Any:
        if self.sign in key:
            raise PermissionError(13, "Permission denied", key)
        return await super().get(key, *args, **kwargs)


@pytest.fixture(params=["500", "403", "store"])
def broken(request: pytest.FixtureRequest) -> Any:
    """What makes of a folder a place of which a part cannot be read."""
    servers: list[Web] = []

    def place(folder: Path, sign: str) -> Any:
        if request.param == "store":
            store = Broken(LocalStore(folder))
            store.sign = sign
            return store
        servers.append(Web(folder.parent, fault=on(sign, Answer(int(request.param)))).__enter__())
        return f"{servers[-1].url}/{folder.name}"

    yield place
    for server in servers:
        server.__exit__()


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("sign", ["labels/", "1/"])
def test_a_part_that_fails_is_not_the_whole(version: str, sign: str, broken: Any, tmp_path: Path) -> None:
    folder = make(tmp_path / "a.zarr", version)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        opened = open_ome_ngff(broken(folder, sign))
    assert caught
    assert list(opened.arrays) == (["0", "1"] if sign == "labels/" else ["0"])
    assert seen(opened)[0]["0"] == seen(open_ome_ngff(folder))[0]["0"]


@pytest.mark.filterwarnings("ignore::napari_ome_ngff.errors.OmeNgffWarning")
def test_where_no_level_can_be_reached_that_is_the_error(tmp_path: Path) -> None:
    image(tmp_path / "a.zarr", version="0.5")
    with Web(tmp_path, fault=on("/0/", Answer(500))) as server, pytest.raises(StorageError):
        open_ome_ngff(f"{server.url}/a.zarr")


@pytest.mark.parametrize("numbers", [[0, 0], [[0.0]], list(range(20_000))])
def test_numbers_in_an_array_that_say_nothing_leave_the_pixels(numbers: Any, tmp_path: Path) -> None:
    folder = image(tmp_path / "a.zarr")
    array(folder / "s", np.array(numbers, "float64"))
    change(folder, lambda ome: ome["multiscales"][0]["datasets"][0].update(
        {"coordinateTransformations": [{"type": "scale", "path": "s"}]}
    ))  # fmt: skip
    with pytest.warns(OmeNgffWarning):
        opened = open_ome_ngff(folder)
    assert opened.arrays["0"].x.values.tolist() == list(range(6))
