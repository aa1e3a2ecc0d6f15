"""Every field of the dock widget is visible in what is written, and changes nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import dask.array
import numpy as np
import pytest
import zarr
from napari.components import ViewerModel

from napari_ome_ngff.plugin.layer_part import chosen_part
from napari_ome_ngff.plugin.save.form import SEVERAL, SHAPES
from napari_ome_ngff.plugin.save.request import Outcome, preview, write
from napari_ome_ngff.plugin.save_panel.form_fields import ALL, SELECTED, make_fields, read_form
from napari_ome_ngff.plugin.save_widget import CreateWidget

BASE = {"which": SELECTED, "target": "a.ome.zarr", "levels": "2"}
"""Two levels, so that one is made of the other."""

# Of 1 3 / 3 3 the mean is 2.5, which is rounded half to even; most voxels are 3, and the first is 1.
BLOCK = np.tile(np.array([[1, 3], [3, 3]], "uint8"), (16, 16))


@dataclass(frozen=True)
class Case:
    """A field that is changed: to what, what is different then, and what else was given."""

    value: object
    different: Mapping[str, object]
    given: Mapping[str, object] = field(default_factory=dict)
    there: bool = False


CASES = {
    "which": Case(ALL, {"images": ["0", "1"]}),
    "target": Case("b.zarr", {"stores": ["b.zarr"]}),
    "version": Case("0.4", {"version": "0.4", "format": 2}),
    "part": Case(SHAPES, {"size": (10, 32), "chunks": (10, 32)}),
    "levels": Case("3", {"levels": 3}),
    "image_method": Case("nearest", {"image": 1}),
    "label_method": Case("nearest", {"labels": 1}),
    "chunks": Case("8, 16", {"chunks": (8, 16)}),
    "shards": Case("auto", {"shards": (32, 32)}),
    "compressor": Case("gzip", {"codec": "Gzip"}),
    "several": Case(SEVERAL[1], {"stores": ["a-a.ome.zarr", "a-b.ome.zarr"], "images": [""]}, {"which": ALL}),
    "verify": Case(True, {"reads": 2}),
    "overwrite": Case(True, {"refused": False, "reads": 1, "image": 2}, there=True),
}


def test_no_field_is_left_out(qtbot: Any) -> None:
    # That of levels is for layers which have some: tests/plugin/test_part.py.
    assert {*CASES, "from_level"} == set(make_fields())


@pytest.fixture
def save(tmp_path: Path, qtbot: Any) -> Callable[..., dict[str, Any]]:
    """Save an image with labels, and another image, from the widget; return what there is then."""
    reads: list[bool] = []

    def pixels(block_info: Any = None) -> np.ndarray:
        reads.append(True)
        return BLOCK

    lazy = dask.array.map_blocks(pixels, chunks=((32,), (32,)), dtype="uint8", meta=np.empty((0, 0), "uint8"))
    model = ViewerModel()
    place = {"axis_labels": ("y", "x")}
    chosen = {
        model.add_image(lazy, name="a", contrast_limits=(0, 9), **place),
        model.add_labels(BLOCK, name="l", **place),
    }
    model.add_image(BLOCK[:16], name="b", contrast_limits=(0, 9), **place)
    model.add_shapes([[[-1, -1], [-1, 40], [9.5, 40], [9.5, -1]]])
    model.layers.selection = chosen

    def save(choices: Mapping[str, object]) -> dict[str, Any]:
        widget = CreateWidget(napari_viewer=model)
        qtbot.addWidget(widget.native)
        for name, value in choices.items():
            where = widget.fields[name]
            if name == "target":
                where.line_edit.value = str(tmp_path / str(value))
            else:
                where.value = value
        reads.clear()
        data = [layer.as_layer_data_tuple() for layer in widget.chosen()]
        part = chosen_part(model, widget.fields["part"].value, widget.chosen())
        asked = preview(read_form(widget.fields), data, part)
        if asked.request is not None:
            assert run(asked).error is None
        return {"refused": asked.request is None, "reads": len(reads), **facts(tmp_path)}

    return save


def run(asked: Any) -> Outcome:
    steps = write(asked.request, asked.places, Event())
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def facts(folder: Path) -> dict[str, Any]:
    """What can be seen in the files: of the first store, and of the image "a" in it."""
    stores = sorted(os.listdir(folder))
    group = zarr.open_group(folder / stores[0], mode="r")
    images = ["0", "1"] if "1/0" in group else [""]
    image = group[images[0]] if images[0] else group
    said = image.attrs.get("ome") or image.attrs["multiscales"][0]
    array = image["0"]
    return {
        "stores": stores,
        "images": images,
        "version": said["version"],
        "format": image.metadata.zarr_format,
        "levels": len(dict(image.arrays())),
        "image": image["1"][0, 0],
        "labels": image["labels/l/1"][0, 0],
        "size": array.shape,
        "chunks": array.chunks,
        "shards": array.shards,
        "codec": type(array.compressors[0]).__name__.removesuffix("Codec"),
    }


@pytest.fixture(scope="module")
def unchanged() -> dict[str, dict[str, Any]]:
    """What is there before a field is changed, the same for most of them."""
    return {}


@pytest.mark.parametrize("name", CASES)
def test_a_field_changes_what_is_written_as_it_says(
    name: str, save: Callable[..., dict[str, Any]], unchanged: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    case = CASES[name]
    if case.there:
        save(BASE | {"image_method": "nearest"})
        before = save(BASE | case.given)
    elif (before := unchanged.get(key := repr(case.given), {})) == {}:
        before = unchanged[key] = save(BASE | case.given)
        for path in tmp_path.iterdir():
            path.rename(tmp_path.parent / f"{name}-{path.name}")
    after = save(BASE | case.given | {name: case.value})
    assert {key: value for key, value in after.items() if value != before[key]} == case.different
