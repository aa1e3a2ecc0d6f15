"""What each writing function takes: the table of `docs/reference/what-can-be-written.md`.

``python -m tests.campaigns.sources > docs/reference/what-can-be-written.md`` writes each source with each
function, opens what was written and compares it.
"""

from __future__ import annotations

import datetime
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import xarray
import zarr

from napari_ome_ngff import (
    Image,
    MultiscaleSource,
    OmeNgffError,
    PlateWriter,
    open_ome_ngff,
    save_ome_ngff,
    write_hierarchy,
    write_labels,
    write_multiscale_group,
    write_plate,
    write_region,
)
from napari_ome_ngff.reading.xarray_engine import OmeNgffBackend

PIXELS = np.arange(8 * 48 * 64, dtype="uint16").reshape(8, 48, 64)
DIMS = ("z", "y", "x")


def _array() -> xarray.DataArray:
    return xarray.DataArray(PIXELS, dims=DIMS, coords={"x": 0.5 * np.arange(64)})


def _stored(folder: Path) -> Path:
    if not (folder / "stored.zarr").exists():
        save_ome_ngff(folder / "stored.zarr", _array(), levels=2)
    return folder / "stored.zarr"


def _levels(folder: Path) -> list[xarray.DataArray]:
    opened = open_ome_ngff(_stored(folder))
    assert isinstance(opened, Image)
    return list(opened.arrays.values())


def _plain_zarr(folder: Path) -> Any:
    array = zarr.create_array(
        zarr.storage.MemoryStore(), shape=PIXELS.shape, dtype="uint16", dimension_names=DIMS
    )
    array[...] = PIXELS
    return array


SOURCES: dict[str, Callable[[Path], Any]] = {
    "numpy array": lambda folder: PIXELS,
    "dask array": lambda folder: dask.array.from_array(PIXELS, chunks=(2, 48, 64)),
    "Zarr array": _plain_zarr,
    "xarray `DataArray`": lambda folder: _array(),
    "xarray `Dataset`": lambda folder: _array().to_dataset(name="image"),
    "xarray `DataTree` (levels)": lambda folder: xarray.open_datatree(_stored(folder), engine=OmeNgffBackend),
    "list of levels": _levels,
    "opened `Image`": lambda folder: open_ome_ngff(_stored(folder)),
    "level of an opened image": lambda folder: _levels(folder)[0],
    "computed from one": lambda folder: _levels(folder)[0] + 0,
    "path": lambda folder: str(_stored(folder)),
    "Zarr group": lambda folder: zarr.open_group(_stored(folder), mode="r"),
    "`MultiscaleSource`": lambda folder: MultiscaleSource(image=_array()),
}

Write = Callable[[Path, Any], str]
"""Writes a source below a folder, and returns the path of the image in it."""


def _axes(source: Any) -> str | None:
    return "zyx" if isinstance(source, np.ndarray | dask.array.Array) else None


def _save(place: Path, source: Any) -> str:
    save_ome_ngff(place, source, axes=_axes(source))
    return ""


def _multiscale(place: Path, source: Any) -> str:
    write_multiscale_group(store=place, image=source).run()
    return ""


def _hierarchy(place: Path, source: Any) -> str:
    is_tree = isinstance(source, xarray.DataTree | xarray.Dataset)
    write_hierarchy(store=place, sources=source if is_tree else {"": source}).run()
    return ""


def _labels(place: Path, source: Any) -> str:
    save_ome_ngff(place, _array())
    write_labels(store=place, labels={"cells": source}).run()
    return "labels/cells"


def _labels_saved(place: Path, source: Any) -> str:
    save_ome_ngff(place, _array(), labels={"cells": source})
    return "labels/cells"


def _region(place: Path, source: Any) -> str:
    write_region(store=place, image=source).run()
    return ""


def _plate(place: Path, source: Any) -> str:
    write_plate(store=place, fields={("A", 1): {"0": source}}, axes=_axes(source)).run()
    return "A/1/0"


def _field(place: Path, source: Any) -> str:
    writer = PlateWriter(store=place)
    writer.write_field(("A", 1), source, axes=_axes(source)).run()
    writer.publish()
    return "A/1/0"


WRITERS: dict[str, Write] = {
    "`save_ome_ngff`": _save,
    "its `labels`": _labels_saved,
    "`write_plate`": _plate,
    "`PlateWriter`": _field,
    "`write_multiscale_group`": _multiscale,
    "`write_hierarchy`": _hierarchy,
    "`write_labels`": _labels,
    "`write_region`": _region,
}


def outcome(write: Write, source: Any, place: Path) -> str:
    """``yes`` if what was written is what was given; ``no`` if it was refused with an error of ours."""
    try:
        path = write(place, source)
    except OmeNgffError:
        return "no"
    except Exception as error:  # noqa: BLE001 - which is a fault of ours
        return f"**{type(error).__name__}**"
    image = open_ome_ngff(place / path)
    if path.startswith("labels"):
        image = next(iter(image.labels.values())) if image.labels else image  # type: ignore[union-attr]
    (finest, *_) = image.arrays.values()  # type: ignore[union-attr]
    assert np.array_equal(finest.values, PIXELS), "other pixels"
    return "yes"


def table() -> dict[str, dict[str, str]]:
    """What becomes of each source with each writer."""
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(name)
        return {
            what: {
                writer: outcome(write, make(folder), folder / f"{i}-{k}.zarr")
                for k, (writer, write) in enumerate(WRITERS.items())
            }
            for i, (what, make) in enumerate(SOURCES.items())
        }


def page(rows: dict[str, dict[str, str]], today: datetime.date) -> str:
    """The page of the documentation."""
    lines = [
        "<!-- Made by python -m tests.campaigns.sources > docs/reference/what-can-be-written.md -->",
        "",
        "# What can be written",
        "",
        f"Each source was written with each function on {today:%d %B %Y}, opened again and compared.",
        "*no*: it is refused with an error that says what to give instead. The functions in the first four",
        "columns take whatever holds an image; the others are told more about how it is written.",
        "",
        f"| source | {' | '.join(WRITERS)} |",
        f"| --- |{' --- |' * len(WRITERS)}",
        *(f"| {what} | {' | '.join(row.values())} |" for what, row in rows.items()),
        "",
        f"Made with numpy {np.__version__}, dask {dask.__version__}, xarray {xarray.__version__} and "
        f"zarr {zarr.__version__}.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page(table(), datetime.date.today()))
