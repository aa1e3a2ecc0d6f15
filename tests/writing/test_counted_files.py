"""A plan counts every file, and no fewer bytes than are stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import xarray

from napari_ome_ngff import (
    LabelImage,
    MultiscaleSource,
    label_tables,
    plan_hierarchy,
    write_hierarchy,
    write_labels,
)
from napari_ome_ngff.writing.labels import plan_labels
from napari_ome_ngff.writing.plan import stored_tables
from napari_ome_ngff.writing.plan.disk_space import space_for

PIXELS = xarray.DataArray(np.arange(1, 1 + 40 * 30, dtype="u2").reshape(40, 30), dims=("y", "x"))
IDS = list(range(1, 60))
TABLE = {"label-value": IDS, "name": [f"cell {i}" for i in IDS], "area": [i / 7 for i in IDS]}
TABLES = LabelImage(table=TABLE, colors={i: (i, 0, 0, 255) for i in IDS})
IMAGE = MultiscaleSource(image=PIXELS, levels=2)


def labels(**about: Any) -> MultiscaleSource:
    return MultiscaleSource(image=PIXELS, levels=2, **about)


SOURCES = {
    "image": {"": IMAGE},
    "labels": {"": IMAGE, "labels/cells": labels()},
    "attributes": {"": MultiscaleSource(image=PIXELS, attributes={"mine": 1}), "labels/a": labels()},
    "tables": {"": IMAGE, "labels/cells": labels(label_image=TABLES), "labels/others": labels()},
    "collection": {"0": IMAGE, "1": IMAGE, "1/labels/cells": labels(label_image=TABLES)},
}


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize(
    "options",
    [{"ngff_version": "0.4"}, {"ngff_version": "0.5"}, {"ngff_version": "0.6", "shards": (16, 16)}],
    ids=lambda options: options["ngff_version"],
)
def test_every_file_is_counted(options: dict[str, Any], kind: str, tmp_path: Path) -> None:
    options = {"chunks": (8, 8), **options}
    target = tmp_path / "a.ome.zarr"
    with (
        patch.object(label_tables, "LARGEST_IN_JSON", 20),
        patch.object(stored_tables, "_CHUNK_BYTES", 64),  # many chunks of each column
    ):
        plan = plan_hierarchy(store=target, sources=SOURCES[kind], **options)
        write_hierarchy(store=target, sources=SOURCES[kind], **options).run()
    files = [path for path in target.rglob("*") if path.is_file()]
    assert len(files) == plan.n_files
    has_tables = kind in ("tables", "collection")
    assert any(label_tables.GROUP in path.parts for path in files) == has_tables
    assert (plan.tables_nbytes >= 2 * 8 * len(IDS)) == has_tables
    assert space_for(plan, target).needed >= plan.nbytes + plan.tables_nbytes


def test_label_images_that_are_added_are_counted(tmp_path: Path) -> None:
    target = tmp_path / "a.ome.zarr"
    write_hierarchy(store=target, sources={"": IMAGE}).run()
    before = {path for path in target.rglob("*") if path.is_file()}
    with patch.object(label_tables, "LARGEST_IN_JSON", 20):
        added = {"cells": labels(label_image=TABLES)}
        plan = plan_labels(store=target, labels=added)
        write_labels(store=target, labels=added).run()
    new = {path for path in target.rglob("*") if path.is_file()} - before
    assert len(new) <= plan.n_files <= len(new) + 1, "the document of the image is there"
