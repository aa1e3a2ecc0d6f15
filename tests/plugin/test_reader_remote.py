"""The reader over a network: layers are ready after the round trips that their metadata take."""

from __future__ import annotations

from pathlib import Path

import napari  # noqa: F401 (without it this module is left out)
import pytest

from napari_ome_ngff.plugin.reader import get_reader
from tests.storage.test_round_trips_of_requests import FORMATS, make_image, served


@FORMATS
@pytest.mark.parametrize("contrast", [True, False], ids=["contrast given", "contrast looked up"])
def test_layers_are_ready_after_three_round_trips(
    contrast: bool, zarr_format: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five levels, three channels, two label images; the third trip is a look at the coarsest level."""
    make_image(tmp_path / "a.zarr", zarr_format, levels=5, channels=3, labels=2, contrast=contrast)
    with served(tmp_path, monkeypatch) as web:
        reader = get_reader(f"{web.url}/a.zarr")
        assert reader is not None
        assert len(reader(f"{web.url}/a.zarr")) == 5
        assert web.rounds <= (2 if contrast else 3)
