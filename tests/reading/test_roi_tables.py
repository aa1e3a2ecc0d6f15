"""Tables of regions of Fractal and ngio: the same regions from every way in which they are stored."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from napari_ome_ngff import OmeNgffWarning, Roi, read_roi_tables
from tests.cases.build import image

ROWS: dict[str, list[Any]] = {
    "FieldIndex": ["FOV_1", "FOV_2"],
    "x_micrometer": [0.0, 3.0],
    "y_micrometer": [0.0, 4.0],
    "z_micrometer": [0.0, 0.0],
    "len_x_micrometer": [3.0, 3.0],
    "len_y_micrometer": [4.0, 4.0],
    "len_z_micrometer": [1.0, 1.0],
    "x_micrometer_original": [-1448.5, -1032.25],
}


def with_table(folder: Path, backend: str, rows: dict[str, list[Any]] = ROWS, **attributes: Any) -> Path:
    """An image with a table as it is stored by a backend of ngio."""
    place = image(folder / "a.zarr", version="0.4" if backend == "anndata2" else "0.5")
    group = zarr.open_group(place, mode="r+")
    group.create_group("tables", attributes={"tables": ["fields"]})
    described = {"type": "roi_table", "table_version": "1", "backend": backend.rstrip("2"), **attributes}
    table = group.create_group("tables/fields", attributes=described)
    if backend == "json":
        table.create_group("table", attributes=rows)
    elif backend == "csv":
        text = io.StringIO()
        csv.writer(text).writerows([list(rows), *zip(*rows.values(), strict=True)])
        (place / "tables/fields/table.csv").write_text(text.getvalue())
    else:
        index, *numbers = rows
        table.create_array("X", data=np.array([rows[name] for name in numbers], "float32").T)
        for part, key, names in (("obs", index, rows[index]), ("var", "_index", numbers)):
            below = table.create_group(part, attributes={"_index": key, "column-order": []})
            array = below.create_array(key, shape=len(names), dtype=str)
            array[:] = np.array(names)
    return place


@pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning")
@pytest.mark.parametrize("backend", ["anndata", "anndata2", "json", "csv"])
def test_regions_are_the_same_however_they_are_stored(backend: str, tmp_path: Path) -> None:
    tables = read_roi_tables(with_table(tmp_path, backend))
    assert list(tables) == ["fields"]
    first, second = tables["fields"]
    assert first == Roi(
        name="FOV_1",
        origin={"z": 0.0, "y": 0.0, "x": 0.0},
        size={"z": 1.0, "y": 4.0, "x": 3.0},
        columns=first.columns,
    )
    assert (second.name, second.origin) == ("FOV_2", {"z": 0.0, "y": 4.0, "x": 3.0})
    assert float(second.columns["x_micrometer_original"]) == -1032.25


def test_other_tables_are_passed_over(tmp_path: Path) -> None:
    assert read_roi_tables(with_table(tmp_path, "json", type="feature_table")) == {}
    assert read_roi_tables(image(tmp_path / "b.zarr")) == {}


def test_what_cannot_be_read_is_left_out_with_a_warning(tmp_path: Path) -> None:
    with pytest.warns(OmeNgffWarning, match=r"cannot be read.*fields"):
        assert read_roi_tables(with_table(tmp_path, "parquet")) == {}
    rows = {**ROWS, "x_micrometer": [0.0, "wide"]}
    with pytest.warns(OmeNgffWarning, match="1 rows without place"):
        (region,) = read_roi_tables(with_table(tmp_path / "b", "json", rows))["fields"]
    assert region.name == "FOV_1"
