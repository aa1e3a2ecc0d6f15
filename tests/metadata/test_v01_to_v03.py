"""OME-Zarr 0.1 to 0.3."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from napari_ome_ngff.errors import MetadataError, NotOmeNgffError, OmeNgffWarning
from napari_ome_ngff.metadata.nouns import Axis, Level, Multiscale
from napari_ome_ngff.metadata.transforms import identity
from napari_ome_ngff.metadata.versions import decode

DATASETS = [{"path": "0"}, {"path": "1"}]


def read(version: str, **entry: Any) -> Multiscale:
    (image,) = decode({"multiscales": [{"version": version, "datasets": DATASETS, **entry}]}, where="a")
    return image


@pytest.mark.parametrize("version", ["0.1", "0.2"])
def test_images_without_axes_are_tczyx(version: str) -> None:
    """0.1: "the arrays are five-dimensional", in this order; read in silence."""
    assert read(version, name="cells", type="gaussian", metadata={"method": "f"}) == Multiscale(
        version=version,
        axes=(
            Axis(name="t", type="time"),
            Axis(name="c", type="channel"),
            *(Axis(name=name, type="space") for name in "zyx"),
        ),
        levels=tuple(Level(path=path, transform=identity(5)) for path in "01"),
        unplaced=("0", "1"),
        assumed=True,
        name="cells",
        method="gaussian",
        metadata={"method": "f"},
    )


@pytest.mark.parametrize("dims", ["yx", "zyx", "cyx", "tyx", "tczyx"])
def test_axes_of_0_3_are_names(dims: str) -> None:
    image = read("0.3", axes=list(dims))
    assert "".join(image.dims) == dims
    types = {"t": "time", "c": "channel"}
    assert [axis.type for axis in image.axes] == [types.get(name, "space") for name in dims]
    assert image.unplaced == ("0", "1")


@pytest.mark.parametrize(
    ("version", "axes", "dims"),
    [
        ("0.3", ["x", "y"], ("x", "y")),  # in an order of their own, in silence
        ("0.1", ["y", "x"], ("y", "x")),  # as 0.3
    ],
)
def test_axes_are_taken_as_they_are(version: str, axes: list[str], dims: tuple[str, ...]) -> None:
    assert read(version, axes=axes).dims == dims


@pytest.mark.parametrize("axes", [None, [], [{"name": "y"}, {"name": "x"}], ["y", "y"], ["time", 3, "x"]])
def test_odd_axes_are_noted(axes: Any) -> None:
    with pytest.warns(OmeNgffWarning, match=r"multiscales\[0\].axes"):
        read("0.3", axes=axes)


def test_transforms_that_are_there_nevertheless_count() -> None:
    place = [{"type": "scale", "scale": [2, 2]}]
    datasets = [{"path": "0", "coordinateTransformations": place}, {"path": "1"}]
    image = read("0.3", axes=["y", "x"], datasets=datasets)
    assert image.levels[0].transform.scale == (2, 2)
    assert image.unplaced == ("1",)


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"multiscales": None},
        {"multiscales": []},
        {"multiscales": [None]},
        {"multiscales": [{}]},
        {"multiscales": [{"datasets": [{}]}]},
        {"multiscales": [{"datasets": [{"path": "../0"}]}]},
        {"multiscales": [{"datasets": DATASETS, "axes": 5}]},
    ],
)
@pytest.mark.parametrize("version", ["0.1", "0.3"])
def test_what_cannot_be_found_is_refused(attributes: Any, version: str) -> None:
    tagged = [
        {"version": version, **entry} if entry else entry for entry in attributes.get("multiscales") or ()
    ]
    with pytest.raises((MetadataError, NotOmeNgffError)):
        decode({**attributes, "multiscales": tagged} if tagged else attributes, where="")


def test_what_the_group_says_of_display_counts() -> None:
    omero = {"channels": [{"color": "FF0000", "window": {"start": 0, "end": 1, "min": 0, "max": 1}}]}
    entry = {"version": "0.1", "datasets": DATASETS}
    own = {"multiscales": [entry], "omero": omero, "image-label": {}}
    (image,) = decode(own, where="")
    assert image.channels[0].color == "FF0000"
    assert image.label_image is not None


@pytest.mark.parametrize("version", ["0.1", "0.2", "0.3"])
def test_files_of_ome_zarr_py(corpus: Path, version: str) -> None:
    folder = corpus / f"generated/ome-zarr-py-0.10.2/wave_{version}.zarr"
    for group in (folder, *sorted(folder.glob("labels/*"))):
        if not (group / ".zattrs").exists() or group.name.startswith("."):
            continue
        (image,) = decode(json.loads((group / ".zattrs").read_text(encoding="utf-8")), where=str(group))
        assert image.version == version
        assert image.unplaced == tuple(level.path for level in image.levels)
