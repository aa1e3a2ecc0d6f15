"""A save whose pixels are all in place: its documents alone say the same as the whole save."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from napari_ome_ngff import (
    Channel,
    DaskArrayWrapper,
    Image,
    LabelImage,
    MultiscaleSource,
    StorageOptions,
    TargetError,
    Writing,
    open_ome_ngff,
    write_hierarchy,
    write_labels,
)
from napari_ome_ngff.editing.only_metadata import only_metadata
from napari_ome_ngff.metadata.versions import VERSIONS

Sources = dict[str, MultiscaleSource]


def written(place: Path, version: str) -> Path:
    pixels = np.arange(2 * 64 * 64, dtype="uint16").reshape(2, 64, 64)
    image = xr.DataArray(pixels, dims=("c", "y", "x"), coords={"y": np.arange(64) * 0.5})
    cells = xr.DataArray((pixels[0] // 512).astype("uint32"), dims=("y", "x"), coords={"y": image.y})
    sources = {
        "": MultiscaleSource(image=image, levels=2, channels=(Channel(label="A"), Channel(label="B"))),
        "labels/cells": MultiscaleSource(image=cells, label_image=LabelImage(colors={1: (255, 0, 0, 255)})),
    }
    write_hierarchy(store=place, sources=sources, options=StorageOptions(version=version)).run()
    name = ".zattrs" if version == "0.4" else "zarr.json"
    document = json.loads((place / name).read_text())
    (document if version == "0.4" else document["attributes"])["theirs"] = {"kept": True}
    (place / name).write_text(json.dumps(document))
    return place


def opened(place: Path) -> Image:
    image = open_ome_ngff(place, array_wrapper=DaskArrayWrapper())
    assert isinstance(image, Image)
    return image


def sources_of(place: Path) -> Sources:
    image = opened(place)
    parts = {"": image, **{f"labels/{name}": label for name, label in image.labels.items()}}
    return {
        path: MultiscaleSource(arrays=part.arrays, multiscale=part.multiscale, attributes=part.attributes)
        for path, part in parts.items()
    }


def save(place: Path, sources: Sources, version: str) -> Writing:
    return write_hierarchy(
        store=place, sources=sources, options=StorageOptions(version=version), overwrite=True
    )


def says(place: Path) -> list[Any]:
    """All that an image and its label images say, and where their voxels lie."""
    image = opened(place)
    return [
        (
            part.multiscale,
            part.attributes,
            {path: level.to_dict(data=False) for path, level in part.arrays.items()},
        )
        for part in (image, *image.labels.values())
    ]


def pixels(place: Path) -> dict[str, tuple[int, bytes]]:
    files = (path for path in place.rglob("*") if path.is_file() and path.name[0].isdigit())
    return {str(path.relative_to(place)): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def looks(sources: Sources) -> Sources:
    changed = {**sources[""].attributes, "napari-ome-ngff:looks": {"layers": [{"gamma": 0.5}]}}
    return {**sources, "": replace(sources[""], attributes=changed)}


def names(sources: Sources) -> Sources:
    multiscale = sources[""].multiscale
    assert multiscale is not None
    channels = tuple(replace(channel, label=f"{channel.label}!") for channel in multiscale.channels)
    return {**sources, "": replace(sources[""], multiscale=replace(multiscale, channels=channels))}


def place_of_all(sources: Sources) -> Sources:
    def moved(array: xr.DataArray) -> xr.DataArray:
        return array.assign_coords(y=array.y * 3 + 7)

    return {
        path: replace(source, arrays={key: moved(array) for key, array in (source.arrays or {}).items()})
        for path, source in sources.items()
    }


def renamed(sources: Sources) -> Sources:
    return {
        path: replace(
            source,
            multiscale=None,
            arrays={key: array.rename(y="z") for key, array in (source.arrays or {}).items()},
        )
        for path, source in sources.items()
    }


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("change", [looks, names, place_of_all, renamed])
def test_the_documents_alone_say_what_the_whole_save_says_and_no_pixel_is_touched(
    change: Callable[[Sources], Sources], version: str, tmp_path: Path
) -> None:
    place = written(tmp_path / "a.ome.zarr", version)
    copy = Path(shutil.copytree(place, tmp_path / "b" / "a.ome.zarr"))
    save(copy, change(sources_of(copy)), version).run()
    before = pixels(place)
    writing = save(place, change(sources_of(place)), version)
    alone = only_metadata(writing)
    writing.close()
    assert alone is not None
    assert alone[0].run().bytes_done == alone[1] < 20_000
    assert pixels(place) == before
    assert says(place) == says(copy)
    assert opened(place).attributes["theirs"] == {"kept": True}
    assert sorted(os.listdir(tmp_path)) == ["a.ome.zarr", "b"]
    writing = save(place, sources_of(place), version)
    again = only_metadata(writing)
    writing.close()
    assert again is not None
    assert again[1] == 0
    again[0].close()


def test_label_images_saved_onto_themselves_need_their_documents_only(tmp_path: Path) -> None:
    place = written(tmp_path / "a.ome.zarr", "0.5")
    source = sources_of(place)["labels/cells"]
    labels = {"cells": replace(source, label_image=LabelImage(colors={2: (0, 0, 255, 255)}))}
    before = pixels(place)
    writing = write_labels(store=place, labels=labels, overwrite=True)
    alone = only_metadata(writing)
    writing.close()
    assert alone is not None
    alone[0].run()
    assert pixels(place) == before
    label = opened(place).labels["cells"].multiscale
    assert label is not None
    assert label.label_image is not None
    assert label.label_image.colors == {2: (0, 0, 255, 255)}


def part_of(source: MultiscaleSource, change: Callable[[xr.DataArray], xr.DataArray]) -> MultiscaleSource:
    return replace(source, arrays={path: change(array) for path, array in (source.arrays or {}).items()})


OTHER: dict[str, Callable[[Sources], Sources]] = {
    "computed": lambda old: {**old, "": part_of(old[""], lambda array: array + 1)},
    "a part": lambda old: {**old, "": part_of(old[""], lambda array: array.isel(c=[0]))},
    "a level less": lambda old: {**old, "": replace(old[""], arrays={"0": old[""].arrays["0"]})},  # type: ignore[index]
    "a label image more": lambda old: {**old, "labels/more": old["labels/cells"]},
}


@pytest.mark.parametrize("what", OTHER)
def test_where_pixels_are_to_be_written_the_whole_is_saved(what: str, tmp_path: Path) -> None:
    place = written(tmp_path / "a.ome.zarr", "0.5")
    writing = save(place, OTHER[what](sources_of(place)), "0.5")
    assert only_metadata(writing) is None
    writing.close()


def test_at_another_place_or_in_another_format_the_whole_is_saved(tmp_path: Path) -> None:
    place = written(tmp_path / "a.ome.zarr", "0.5")
    for target, version in ((tmp_path / "b.ome.zarr", "0.5"), (place, "0.4"), (tmp_path / "c.ozx", "0.5")):
        writing = save(target, sources_of(place), version)
        assert only_metadata(writing) is None
        writing.close()


def test_what_others_changed_meanwhile_is_not_written_over(tmp_path: Path) -> None:
    place = written(tmp_path / "a.ome.zarr", "0.5")
    writing = save(place, names(sources_of(place)), "0.5")
    alone = only_metadata(writing)
    writing.close()
    assert alone is not None
    save(place, looks(sources_of(place)), "0.5").run()
    before = says(place)
    with pytest.raises(TargetError, match="changed meanwhile"):
        alone[0].run()
    assert says(place) == before
