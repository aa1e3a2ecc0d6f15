"""Label images of floating point numbers: whole ones are integers, others stay what they are."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from napari_ome_ngff import (
    DaskArrayWrapper,
    MultiscaleSource,
    OmeNgffError,
    OmeNgffWarning,
    open_ome_ngff,
    read_multiscale_group,
    write_labels,
)
from tests.cases.labels import labelled

IDS = np.arange(48.0).reshape(8, 6)


def stored(folder: Path, values: np.ndarray[Any, Any], *, version: str = "0.5") -> Path:
    """An image with one label image of some values, in chunks of 2 x 3."""
    image = labelled({"nuclei": {"values": values, "chunks": (2, 3)}}, version=version)(folder)
    assert isinstance(image, Path)
    return image


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("wrapper", ["zarr_array", "dask_array"])
@pytest.mark.parametrize(
    ("dtype", "read"), [("float16", "int32"), ("float32", "int32"), (">f4", "int32"), ("float64", "int64")]
)
def test_whole_numbers_are_integers(
    dtype: str, read: str, wrapper: Any, version: str, tmp_path: Path
) -> None:
    values = IDS.astype(dtype)
    values[0, :3] = np.nan, np.inf, -np.inf
    image = stored(tmp_path, values, version=version)
    with pytest.warns(OmeNgffWarning, match="integers"):
        opened = open_ome_ngff(image, array_wrapper={"name": wrapper})
    (level,) = opened.labels["nuclei"].arrays.values()  # type: ignore[union-attr]
    assert level.dtype == read
    whole = IDS.astype(read)
    whole[0, :3] = 0
    np.testing.assert_array_equal(level, whole)
    np.testing.assert_array_equal(level.transpose()[::-2, 3], whole.T[::-2, 3])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(level)), whole)


@pytest.mark.parametrize("value", [0.5, 1e300])
def test_other_numbers_stay_what_they_are(value: float, tmp_path: Path) -> None:
    values = IDS.copy()
    values[4, 4] = value
    opened = open_ome_ngff(stored(tmp_path, values))
    (level,) = opened.labels["nuclei"].arrays.values()  # type: ignore[union-attr]
    assert level.dtype == "float64"
    np.testing.assert_array_equal(level, values)


def test_a_fraction_that_was_not_seen_on_opening_is_never_taken_for_a_label(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_ome_ngff.reading.float_labels.READ_AT_MOST", 1)
    values = IDS.copy()
    values[0, 0] = 0.5
    labels = stored(tmp_path, values) / "labels" / "nuclei"
    with pytest.warns(OmeNgffWarning, match="integers"):
        (level,) = read_multiscale_group(zarr.open_group(labels, mode="r")).values()
    with pytest.raises(OmeNgffError, match="no labels"):
        level.to_numpy()
    with pytest.warns(OmeNgffWarning, match="integers"):
        (filled,) = read_multiscale_group(
            zarr.open_group(labels, mode="r"), array_wrapper=DaskArrayWrapper(missing="fill")
        ).values()
    assert filled[0, 0] == 0
    assert filled[-1, -1] == 47


def test_they_are_saved_as_integers(tmp_path: Path) -> None:
    image = stored(tmp_path, IDS)
    with pytest.warns(OmeNgffWarning, match="integers"):
        opened = open_ome_ngff(image)
    label = opened.labels["nuclei"]  # type: ignore[union-attr]
    again = MultiscaleSource(arrays=label.arrays, multiscale=label.multiscale)
    write_labels(store=image, labels={"again": again}).run()
    saved = zarr.open_array(image / "labels" / "again" / next(iter(label.arrays)), mode="r")
    assert saved.dtype == "int64"
    np.testing.assert_array_equal(saved[...], IDS)
