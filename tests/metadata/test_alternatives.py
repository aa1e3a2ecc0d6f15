"""Transforms beside `datasets` to several systems (SpatialData): one place in each, not in a row."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from napari_ome_ngff.errors import OptionError
from napari_ome_ngff.metadata.affine import affine_of, apply_affine, compose_affine
from napari_ome_ngff.metadata.nouns import Multiscale
from napari_ome_ngff.metadata.systems.view import shown_affine, view
from napari_ome_ngff.metadata.transforms import level_transform
from napari_ome_ngff.metadata.versions import decode, encode

YX = [{"name": "y", "type": "space", "unit": "unit"}, {"name": "x", "type": "space", "unit": "unit"}]
POINT = (3.0, 5.0)

KINDS: dict[str, tuple[dict[str, Any], tuple[float, float]]] = {
    "identity": ({"type": "identity"}, (3, 5)),
    "scale": ({"type": "scale", "scale": [3.0, 2.0]}, (9, 10)),
    "translation": ({"type": "translation", "translation": [-50.0, 10.0]}, (-47, 15)),
    "affine": ({"type": "affine", "affine": [[20.0, 10.0, 30.0], [50.0, 40.0, 60.0]]}, (140, 410)),
    "sequence": (
        {
            "type": "sequence",
            "transformations": [
                {"type": "scale", "scale": [3.0, 2.0]},
                {"type": "translation", "translation": [-50.0, 10.0]},
            ],
        },
        (-41, 20),
    ),
    "mapAxis": ({"type": "mapAxis", "mapAxis": [1, 0]}, (5, 3)),
}


def spatialdata(version: str, *alternatives: tuple[str, str]) -> dict[str, Any]:
    """Attributes of an image with a transform of each kind to the system of each name."""
    entry: dict[str, Any] = {
        "name": "img",
        "axes": [{"name": "y", "type": "space"}, {"name": "x", "type": "space"}],
        "datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1.0, 1.0]}]}],
        "coordinateTransformations": [
            {**KINDS[kind][0], "input": {"name": "yx", "axes": YX}, "output": {"name": name, "axes": YX}}
            for kind, name in alternatives
        ],
    }
    if version == "0.4":
        return {"multiscales": [{"version": "0.4", **entry}]}
    return {"ome": {"version": version, "multiscales": [entry]}}


def place(image: Multiscale, system: str | None = None) -> tuple[float, ...]:
    """Where a voxel lies in a coordinate system, by default in the one that the image is shown in."""
    levels = affine_of(level_transform(image, 0))
    shown = shown_affine(image, view(image, system))
    return apply_affine(levels if shown is None else compose_affine(levels, shown), POINT)


@pytest.mark.parametrize("version", ["0.4", "0.5-dev-spatialdata"])
@pytest.mark.parametrize("names", [("global", "other"), ("other", "global"), ("here", "there")])
def test_an_image_has_one_place_in_each_system(version: str, names: tuple[str, str]) -> None:
    for kinds in permutations(KINDS, 2):
        (image,) = decode(spatialdata(version, *zip(kinds, names, strict=True)), where="")
        for kind, name in zip(kinds, names, strict=True):
            assert place(image, name) == pytest.approx(KINDS[kind][1]), kinds
        chosen = names.index("global") if "global" in names else 0
        assert place(image) == pytest.approx(KINDS[kinds[chosen]][1]), kinds
        with pytest.raises(OptionError, match="no coordinate system"):
            view(image, "nowhere")


@pytest.mark.parametrize("kind", KINDS)
def test_the_only_one_is_taken(kind: str) -> None:
    (image,) = decode(spatialdata("0.4", (kind, "aligned")), where="")
    assert place(image) == place(image, "aligned") == pytest.approx(KINDS[kind][1])


def test_0_6_says_the_same_in_its_own_words() -> None:
    for kinds in permutations(KINDS, 2):
        (image,) = decode(spatialdata("0.4", (kinds[0], "global"), (kinds[1], "microns")), where="")
        (again,) = decode(encode(image, "0.6"), where="")
        for name in (None, "global", "microns"):
            assert place(again, name) == pytest.approx(place(image, name), abs=1e-9), kinds


def test_one_that_cannot_be_read_is_left_out() -> None:
    attributes = spatialdata("0.4", ("scale", "global"), ("scale", "other"))
    attributes["multiscales"][0]["coordinateTransformations"][0]["scale"] = [1.0, "wide"]
    with pytest.warns(UserWarning, match="left out"):
        (image,) = decode(attributes, where="")
    assert place(image) == (9, 10)


def test_transforms_in_a_row_follow_each_other() -> None:
    attributes = spatialdata("0.4", ("scale", "middle"), ("translation", "end"))
    attributes["multiscales"][0]["coordinateTransformations"][1]["input"] = {"name": "middle"}
    (image,) = decode(attributes, where="")
    assert place(image) == (-41, 20)
